"""Censored rows: of a response that is known only to lie at or beyond a limit.

The likelihood of a row is the density where the response was observed, the distribution function at
it where it is censored from the left (the response is at most that), and one minus that where it is
censored from the right: the Tobit model, for a Gaussian response (Tobin 1958, Econometrica 26(1)).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from causalbias.errors import DataError, shown
from causalbias.models.families import FAMILIES
from causalbias.models.families.base import SIGNS, Family

Floats = NDArray[np.float64]
SIDES = tuple(SIGNS)
STATES = ("none", *SIDES)


def check_censoring(column: str, values: pd.Series, family: str) -> None:
    """Refuse a column of other words than `STATES`, and families without tails here.

    Raises
    ------
    DataError
        Naming the first row, or the families.
    """
    if not FAMILIES[family].has_tails:
        able = [name for name, one in FAMILIES.items() if one.has_tails]
        raise DataError(
            f"censored rows of the family {family!r} have no likelihood here",
            hint=f"choose one of {', '.join(able)}",
        )
    words = values.astype(str)
    if (bad := ~words.isin(STATES).to_numpy()).any():
        row = int(bad.argmax())
        raise DataError(
            f"{shown(values.iloc[row])} does not say whether a row is censored",
            hint="write none, left (the response is at most what stands there) or right (at least)",
            file="data",
            column=column,
            row=row + 1,
        )
    if not (words == "none").any():
        raise DataError(
            "every row is censored", hint="give rows with a response too", column=column
        )


def rows_of_sides(values: pd.Series) -> dict[str, NDArray[np.int64]]:
    """Numbers of the rows that are censored from each side, where there are any."""
    words = values.astype(str).to_numpy()
    found = {side: np.flatnonzero(words == side) for side in SIDES}
    return {side: rows for side, rows in found.items() if len(rows)}


def censor_rows(
    inner: pm.Model, family: Family, sides: Mapping[str, NDArray[np.int64]], counts: Floats
) -> None:
    """Give rows of a PyMC model the likelihood of censored ones; in place.

    What that adds to the log likelihood of rows that were observed is a potential.

    Parameters
    ----------
    inner : PyMC Model
    family : Family
        One that has tails.
    sides : mapping
        As of `rows_of_sides`.
    counts : ndarray (rows,)
        How many equal observations a row stands for.
    """
    (observed,) = inner.observed_RVs
    value = inner.rvs_to_values[observed]
    density = pm.logp(observed, value)
    whole = observed.owner.op.dist_params(observed.owner)
    size = len(counts)
    added = 0.0
    for side, rows in sides.items():
        parameters = [pt.broadcast_to(one, (size,))[rows] for one in whole]
        tail = family.pymc_tail(value[rows], parameters, side)
        added += (counts[rows] * (tail - density[rows])).sum()
    with inner:
        pm.Potential("rows_censored", added)
