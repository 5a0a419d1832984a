"""The analyses that the command line offers, and the choice of one for a study."""

from typing import Any

import xarray as xr

from causalbias.analyses.identity import IDENTITY
from causalbias.analyses.manipulation import MANIPULATION
from causalbias.analyses.protocol import Analysis
from causalbias.errors import DataError

# By name. Where several apply to a study, the first of them is the default.
ANALYSES: dict[str, Analysis[Any]] = {
    analysis.name: analysis
    for analysis in (
        IDENTITY,
        MANIPULATION,
    )
}


def choose_analysis(study: xr.DataTree, name: str | None = None) -> Analysis[Any]:
    """Choose the analysis of a study.

    Parameters
    ----------
    study : DataTree
    name : str, optional
        Name of a registered analysis. By default the first one that applies.

    Returns
    -------
    Analysis

    Raises
    ------
    DataError
        If there is no analysis of that name, or it does not apply, or none applies. The error
        lists the analyses that apply, and why the others do not.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.analyses.choose_analysis(cb.demo_study()).name
    'manipulation'
    """
    reasons = {key: analysis.why_not(study) for key, analysis in ANALYSES.items()}
    applicable = [key for key, reason in reasons.items() if not reason]
    if name is None and applicable:
        return ANALYSES[applicable[0]]
    if name in applicable:
        return ANALYSES[name]
    if name is None:
        problem = "no analysis applies to this study"
    elif name in ANALYSES:
        problem = f"the analysis {name!r} does not apply to this study"
    else:
        problem = f"there is no analysis {name!r}"
    others = "; ".join(f"{key}: {reason}" for key, reason in reasons.items() if reason)
    raise DataError(
        f"{problem} ({others})" if others else problem,
        hint=f"choose {' or '.join(applicable)}"
        if applicable
        else "give the study the factors and groups that one of them requires",
    )
