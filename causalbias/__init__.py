"""Causal effects of face attributes on recognition networks and on people.

A study (stimuli, pairs, machine distances, human judgements) goes in; a model is fitted to a part
of it; effects are computed from the fit's draws; figures and tables show them.

The public names are listed once, in ``__init__.pyi``, and imported on first use: bambi and PyMC
take seconds.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
