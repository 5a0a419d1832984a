"""Censored rows: of a response that is known only to lie at or beyond a limit.

The likelihood of a row is the density where the response was observed, the distribution function at
it where it is censored from the left (the response is at most that), and one minus that where it is
censored from the right: the Tobit model, for a Gaussian response (Tobin 1958, Econometrica 26(1)).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy import special, stats

from causalbias.errors import DataError, shown

Floats = NDArray[np.float64]
SIDES = ("left", "right")
STATES = ("none", *SIDES)
FAMILIES = ("gaussian", "t", "lognormal", "gamma")


def check_censoring(column: str, values: pd.Series, family: str) -> None:
    """Refuse a column of other words than `STATES`, and families without tails here.

    Raises
    ------
    DataError
        Naming the first row, or the families.
    """
    if family not in FAMILIES:
        raise DataError(
            f"censored rows of the family {family!r} have no likelihood here",
            hint=f"choose one of {', '.join(FAMILIES)}",
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
    inner: pm.Model, family: str, sides: Mapping[str, NDArray[np.int64]], counts: Floats
) -> None:
    """Give rows of a PyMC model the likelihood of censored ones; in place.

    What that adds to the log likelihood of rows that were observed is a potential.

    Parameters
    ----------
    inner : PyMC Model
    family : str
        One of `FAMILIES`.
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
        tail = _pymc_tail(family, value[rows], parameters, side)
        added += (counts[rows] * (tail - density[rows])).sum()
    with inner:
        pm.Potential("rows_censored", added)


def _pymc_tail(family: str, y: Any, parameters: list[Any], side: str) -> Any:
    """Log probability (rows,) of a response beyond y, by PyMC's variables.

    Of a symmetric distribution the upper tail is the lower one of its mirror image, which keeps its
    digits far out.
    """
    sign = 1.0 if side == "left" else -1.0
    if family == "gamma":
        alpha, scale = parameters
        share = pt.gammainc if side == "left" else pt.gammaincc
        return pt.log(share(alpha, y / scale))
    if family == "t":
        nu, mu, sigma = parameters
        return pm.logcdf(pm.StudentT.dist(nu=nu, mu=sign * mu, sigma=sigma), sign * y)
    mu, sigma = parameters
    y = pt.log(y) if family == "lognormal" else y
    return pm.logcdf(pm.Normal.dist(mu=sign * mu, sigma=sigma), sign * y)


def log_tail(
    family: str, y: Floats, mean: Floats, parameters: Mapping[str, Floats], side: str
) -> Floats:
    """Log probability (draws, rows) of a response at most y ("left"), or at least y ("right").

    Parameters
    ----------
    family : str
    y : ndarray (rows,)
    mean : ndarray (draws, rows)
        The parameter whose predictor eta is, ``Family.parent``.
    parameters : mapping
        The family's others, (draws, 1) or (draws, rows).
    side : {"left", "right"}

    Examples
    --------
    >>> at = log_tail("gaussian", np.zeros(1), np.zeros((1, 1)), {"sigma": np.ones((1, 1))}, "left")
    >>> float(np.exp(at[0, 0]).round(3))
    0.5
    """
    sign = 1.0 if side == "left" else -1.0
    if family == "gamma":
        alpha = parameters["alpha"]
        log = stats.gamma.logcdf if side == "left" else stats.gamma.logsf
        return np.asarray(log(y, alpha, scale=mean / alpha))
    y = np.log(y) if family == "lognormal" else y
    z = sign * (y - mean) / parameters["sigma"]
    if family == "t":
        return np.asarray(stats.t.logcdf(z, parameters["nu"]))
    return np.asarray(special.log_ndtr(z))
