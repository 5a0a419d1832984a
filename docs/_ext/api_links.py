"""Code such as `cb.fit(...)` in running text, as a link to its place in the reference.

A name that the reference has not is reported, so that no page speaks of what is no more.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

NAME = re.compile(r"cb\.([a-z_]+(?:\.[a-z_]+)*|[A-Z]\w+)(\(.*\))?")
MODULES = (
    "agreement",
    "analyses",
    "causal",
    "datasets",
    "design",
    "joint_model",
    "manipulation_checks",
    "model_checks",
    "plots",
    "rates",
    "recognition",
    "simulation",
    "stimuli",
)


class Link(SphinxTransform):
    """Wrap such code into a reference."""

    default_priority = 700

    def apply(self) -> None:
        """Change the page's tree."""
        for code in list(self.document.findall(nodes.literal)):
            found = NAME.fullmatch(code.astext())
            if found is None or isinstance(code.parent, nodes.reference | addnodes.pending_xref):
                continue
            target = f"causalbias.{found[1]}"
            if found[1] in MODULES:
                link = addnodes.pending_xref(
                    "",
                    code.deepcopy(),
                    refdomain="std",
                    reftype="ref",
                    refexplicit=True,
                    reftarget=f"module-{found[1]}",
                    refwarn=True,
                    refdoc=self.env.docname,
                )
            else:
                link = addnodes.pending_xref(
                    "",
                    code.deepcopy(),
                    refdomain="py",
                    reftype="func",
                    refexplicit=True,
                    reftarget=target,
                    refwarn=True,
                    refdoc=self.env.docname,
                )
            code.replace_self(link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_transform(Link)
    return {"parallel_read_safe": True}
