"""How far the estimates of an analysis depend on priors, and on single seeds or raters."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.model_checks.sensitivity import sensitivity
from causalbias.models.result import Fit, frame_of

Estimand = Callable[[xr.DataTree], xr.Dataset]


def dependence(
    fits: Mapping[str, Fit],
    estimand_of: Callable[[str], tuple[Estimand | None, Sequence[str]]],
    *,
    prob: float,
) -> pd.DataFrame:
    """Sensitivity of each estimate of an analysis, without fitting any model again.

    Impostor pairs share seeds, so that leaving out a seed takes a new fit (see `influence`): for
    them, only the sensitivity to priors is reported.

    Parameters
    ----------
    fits : mapping of str to Fit
    estimand_of : function of a fit's name
        The estimand of that fit (None: the fit has no row in the table), and the columns whose
        levels are left out in turn.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        `fit`, and the columns of `sensitivity`; empty if no fit has an estimand.
    """
    parts = []
    for name, fit in fits.items():
        estimand, over = estimand_of(name)
        if estimand is None or frame_of(fit)[over].stack().nunique() < 3:
            continue
        try:
            found = sensitivity(fit, estimand, over=over, refit="never", prob=prob)
        except DataError:  # a single seed has a level: without it there is no contrast
            continue
        parts.append(found.assign(fit=name))
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    return table[["fit", *(column for column in table if column != "fit")]]
