"""What docstrings of ours need before numpydoc and Sphinx read them."""

import inspect
import re
from typing import Any

from sphinx.application import Sphinx

STAR = re.compile(r"(?<=[ (\[])\*(?=\w)")
LONGEST = 300  # characters of a signature


def plain_stars(*known: Any) -> None:
    """Write dims such as ``(chain, draw, *by)`` so that the star begins no emphasis."""
    lines = known[-1]
    lines[:] = [STAR.sub(r"\\*", line) for line in lines]


def short_defaults(
    _app: Sphinx, what: str, _name: str, thing: Any, _options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out a class's defaults where they would take a page; its text says them."""
    if what != "class" or len(signature or "") < LONGEST:
        return None
    names = inspect.signature(thing).parameters.values()
    told = [one.name if one.default is one.empty else f"{one.name}=..." for one in names]
    return f"({', '.join(told)})", returns


def setup(app: Sphinx) -> dict[str, bool]:
    """Mend docstrings before numpydoc takes them, signatures after."""
    app.connect("autodoc-process-docstring", plain_stars, priority=100)
    app.connect("autodoc-process-signature", short_defaults, priority=900)
    return {"parallel_read_safe": True}
