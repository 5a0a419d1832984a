"""Modules of torch networks are collected only where torch is installed."""

import importlib.util

collect_ignore_glob = (
    [] if importlib.util.find_spec("torch") else ["causalbias/recognition/networks/*.py"]
)
