"""The causal diagram that an analysis's report draws, and the adjustment that follows from it."""

import pandas as pd
import xarray as xr

from causalbias.causal.diagrams import Diagram
from causalbias.report.content import Picture
from causalbias.report.wording import listed, quoted

TITLE = "Arrows of the causal diagram"
COLUMNS = {
    "cause": "what an arrow leads from",
    "cause_is": "whether the cause was manipulated, measured or not, or rows were kept by it",
    "effect_on": "what the arrow leads to",
}
IMAGE_QUALITY = "image quality"


def lost_distances(study: xr.DataTree) -> bool:
    """Whether distances are missing, so that rows were kept by whether a system found the faces."""
    if "machine" not in study.children:
        return False
    return bool((study.children["machine"].to_dataset()["status"] != "ok").any())


def arrows_table(found: Diagram) -> pd.DataFrame:
    """One row an arrow: `cause`, `effect_on`, and how the cause came about (`cause_is`)."""
    kinds = {
        name: kind
        for kind, names in (
            ("manipulated", found.manipulated),
            ("not measured", found.unmeasured),
            ("kept by", found.selected),
        )
        for name in names
    }
    return pd.DataFrame(
        [(cause, effect, kinds.get(cause, "measured")) for cause, effect in found.arrows],
        columns=["cause", "effect_on", "cause_is"],
    )


def causal_picture(found: Diagram, sentences: list[str]) -> Picture:
    """Draw a diagram, with what follows from it below; its table is named "diagram"."""
    table = arrows_table(found)
    every = [f"{row.cause} to {row.effect_on}" for row in table.itertuples()]
    arrows = listed(every, most=len(every))
    caption = (
        "What is taken to move what: the assumptions of this analysis. Arrows that are not drawn "
        f"are the strongest of them. {' '.join(sentences)}"
    )
    return Picture(
        "diagram", found.plot(), caption, f"Causal diagram. Arrows: {arrows}.", "diagram"
    )


def adjustment_sentence(found: Diagram, exposure: str, outcome: str) -> str:
    """State in words what the diagram says has to be adjusted for.

    Examples
    --------
    >>> from causalbias.causal import diagram
    >>> found = diagram("race -> distance <- seed", manipulated="race")
    >>> adjustment_sentence(found, "race", "distance")
    'For the effect of “race” on “distance” nothing needs to be adjusted for: the design sets it.'
    """
    sets = found.adjustment_sets(exposure, outcome)
    cause, effect = quoted([exposure, outcome])
    start = f"For the effect of {cause} on {effect}"
    if () in sets:
        why = ": the design sets it" if exposure in found.manipulated else ""
        return f"{start} nothing needs to be adjusted for{why}."
    if sets:
        return f"{start} it is enough to adjust for {listed(quoted(sets[0]))}."
    among = (
        f" among rows that are kept by {listed(quoted(found.selected))}" if found.selected else ""
    )
    return f"{start} no measured columns are enough to adjust for{among}."
