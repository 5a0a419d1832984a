"""What docstrings of ours need before numpydoc and Sphinx read them."""

import inspect
import re
from typing import Any

from sphinx.application import Sphinx

STAR = re.compile(r"(?<=[ (\[])\*(?=\w)")
LONGEST = 30  # characters of a default


def plain_stars(*known: Any) -> None:
    """Write dims such as ``(chain, draw, *by)`` so that the star begins no emphasis."""
    lines = known[-1]
    lines[:] = [STAR.sub(r"\\*", line) for line in lines]


def short_defaults(
    _app: Sphinx, what: str, _name: str, thing: Any, _options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out a class's defaults that would take lines, or have no text of their own."""
    if what != "class" or signature is None:
        return None
    return f"({', '.join(map(_told, inspect.signature(thing).parameters.values()))})", returns


def _told(one: inspect.Parameter) -> str:
    if one.default is one.empty:
        return one.name
    default = repr(one.default)
    return f"{one.name}={'...' if len(default) > LONGEST or '<' in default else default}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Correct docstrings before numpydoc takes them, signatures after."""
    app.connect("autodoc-process-docstring", plain_stars, priority=100)
    app.connect("autodoc-process-signature", short_defaults, priority=900)
    return {"parallel_read_safe": True}
