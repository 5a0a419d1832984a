"""Causal effects of face attributes on recognition networks and on people.

A study (stimuli, pairs, machine distances, human judgements) goes in; a model is fitted to a part
of it; effects are computed from the fit's draws; figures and tables show them.

The public names are listed once, in ``__init__.pyi``, and imported on first use: bambi and PyMC
take seconds. Names and arguments of other packages are answered with what they are called here.
"""

import types

import lazy_loader

from causalbias import elsewhere

__version__ = "0.1.0"

_found, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name not in __all__:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        raise elsewhere.unknown_name(name, __name__, __all__)
    found = _found(name)
    if isinstance(found, types.FunctionType):
        found = elsewhere.answering(found, f"cb.{name}")
        found.__module__ = __name__  # under which it is pickled
    globals()[name] = found
    return found
