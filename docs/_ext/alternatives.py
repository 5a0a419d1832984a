"""Text alternatives of figures that cells of notebooks show, from the functions that draw them."""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import causalbias as cb

PLOT = re.compile(r"cb\.plots\.(\w+)\(")


class Alternatives(SphinxTransform):
    """Give each figure of a cell that has none a text alternative."""

    default_priority = 710

    def apply(self) -> None:
        """Change the page's tree."""
        for cell in self.document.findall(
            lambda n: "cell" in getattr(n, "attributes", {}).get("classes", [])
        ):
            code = " ".join(part.astext() for part in cell.findall(nodes.literal_block))
            for image in cell.findall(nodes.image):
                if not image.get("alt"):
                    image["alt"] = _alternative(image, code)


def _alternative(image: nodes.image, code: str) -> str:
    """What the plotting function says that it draws, or the section whose figure it is."""
    drawn = [name for name in PLOT.findall(code) if name in cb.plots.__all__]
    if drawn:
        said = (getattr(cb.plots, drawn[-1]).__doc__ or "").strip().splitlines()[0]
        return f"Figure by cb.plots.{drawn[-1]}: {said}"
    section = image.parent
    while section is not None and not isinstance(section, nodes.section):
        section = section.parent
    title = "" if section is None else section.next_node(nodes.title).astext()
    return f"Figure of the section {title!r}; the text about it says what it shows."


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_transform(Alternatives)
    return {"parallel_read_safe": True}
