"""Tables of estimates for print, by great-tables."""

import json
from typing import Any

import xarray as xr

from causalbias.arguments import as_draws
from causalbias.draws.marks import mark
from causalbias.draws.summaries import drawn, summarise

try:
    from great_tables import GT
except ModuleNotFoundError as error:
    raise ImportError("cb.table needs great-tables: pip install 'causalbias[tables]'") from error

_HEADINGS = {
    "estimate": "Median",
    "sd": "SD",
    "p_positive": "P(> 0)",
    "p_above_one": "P(> 1)",
    "p_larger": "P(b larger)",
    "p_rope": "P(in ROPE)",
    "p_below": "P(below ROPE)",
    "p_above": "P(above ROPE)",
}
_HIDDEN = ("scale", "converged", "bounded")


def table(
    draws: xr.Dataset, *, prob: float = 0.95, of: str | None = None, title: str | None = None
) -> GT:
    """Make a table of an estimate for print or a notebook, with estimand, scale and sizes.

    Parameters
    ----------
    draws : Estimate
        Result of any verb.
    prob : float, default 0.95
        Probability of the equal-tailed interval.
    of : str, optional
        The variable, with dims chain and draw; by default the main variable.
    title : str, optional
        Title; by default the estimand.

    Returns
    -------
    great_tables.GT
        ``.as_raw_html()``, ``.as_latex()`` and ``.save(path)`` write it.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> "P(&gt; 0)" in cb.table(cb.effects(fit, "level")).as_raw_html()
    True
    """
    draws = as_draws(draws)
    frame = summarise(draws, prob=prob, of=of)
    frame = frame.drop(columns=[name for name in _HIDDEN if name in frame])
    names = [str(name) for name in frame]
    labels = names[: names.index("estimate")]
    headings: dict[str, Any] = {name: _HEADINGS.get(name, name.replace("_", " ")) for name in names}
    headings |= {end: f"{end.capitalize()} {100 * prob:g}%" for end in ("lower", "upper")}
    whole = [name for name in names if name not in labels and frame[name].dtype.kind in "iu"]
    found = (
        GT(frame.astype(dict.fromkeys(labels, str)), id="causalbias")
        .tab_header(title=title or draws.attrs.get("estimand", drawn(draws, of)))
        .cols_label(headings)
        .fmt_number(columns=["estimate", "sd", "lower", "upper"], n_sigfig=3)
        .fmt_number(columns=[name for name in names if name.startswith("p_")], decimals=3)
        .fmt_integer(columns=whole)
        .cols_align("left", columns=labels)
    )
    for note in _notes(draws):
        found = found.tab_source_note(note)
    return found


def _notes(draws: xr.Dataset) -> list[str]:
    told = [
        f"{key}: {draws.attrs[key]}"
        for key in ("outcome", "scale", "population", "held", "threshold", "rope")
        if draws.attrs.get(key) not in (None, "")
    ]
    notes = ["; ".join(told)] if told else []
    failures = json.loads(mark(draws))
    if failures:
        notes.append(f"NOT CONVERGED. Do not use these estimates: {'; '.join(failures)}.")
    return notes
