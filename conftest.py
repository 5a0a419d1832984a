"""What is not collected, and how PyTensor compiles in tests.

Modules of torch networks are left out without torch, and so is the package's front door: functions
of ``causalbias`` itself are those of its modules, where their examples are run.
"""

import importlib.util
import os

# Graphs that tests evaluate once (densities, bambi's predictions) are interpreted: to compile one
# takes seconds. What NUTS samples is compiled all the same, nutpie asks for it by name. Set before
# PyTensor is imported, and for the processes that tests start.
os.environ.setdefault("PYTENSOR_FLAGS", "mode=FAST_COMPILE")

collect_ignore = ["causalbias/__init__.py"]
collect_ignore_glob = (
    [] if importlib.util.find_spec("torch") else ["causalbias/recognition/networks/*.py"]
)
