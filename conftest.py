"""What is not collected: modules of torch networks without torch, and the package's front door.

Functions of ``causalbias`` itself are those of its modules, where their examples are run.
"""

import importlib.util

collect_ignore = ["causalbias/__init__.py"]
collect_ignore_glob = (
    [] if importlib.util.find_spec("torch") else ["causalbias/recognition/networks/*.py"]
)
