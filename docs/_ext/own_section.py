"""The sidebar of a page: all sections, and of its own section the pages.

The theme shows all pages of all sections on each page: half of the time of a build, and more bytes
than most pages have text.
"""

from typing import Any

from sphinx.application import Sphinx


def collapsed(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _: Any) -> None:
    """Have the theme ask for a tree that is open at the page alone."""
    if "toctree" in context:
        whole = context["toctree"]
        context["toctree"] = lambda **options: whole(**(options | {"collapse": True}))


def setup(app: Sphinx) -> dict[str, bool]:
    """Change the context of a page before the theme takes it."""
    app.connect("html-page-context", collapsed, priority=400)
    return {"parallel_read_safe": True}
