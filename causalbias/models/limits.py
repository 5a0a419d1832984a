"""Rows whose response is known only to lie in an interval, or could not have been beyond bounds.

With F the distribution function, a row that was observed at y has the density f(y), and one that is
censored the probability ``F(high) - F(low)`` of what it is known to lie between: from the left
(``low`` is minus infinity), from the right, or both; the Tobit model, of a Gaussian response (Tobin
1958, Econometrica 26(1)). Where the data have no response outside of ``lb`` and ``ub``, because
rows of others were never reported, either is divided by ``F(ub) - F(lb)`` (truncation), and a
censored row lies within the bounds too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from causalbias.errors import DataError, at_first, shown
from causalbias.models.families import FAMILIES
from causalbias.models.families.base import Family, Floats, Parameters
from causalbias.models.formula.limits import STATES, Limits, states_of

HALF = np.log(0.5)


@dataclass(frozen=True)
class RowLimits:
    """What is known of the responses of rows, all (rows,).

    Attributes
    ----------
    censored : ndarray of bool
    low, high : ndarray
        Ends between which the response of a censored row lies; infinite of others.
    lb, ub : ndarray
        Bounds beyond which no row was reported; infinite where there are none.
    """

    censored: NDArray[np.bool_]
    low: Floats
    high: Floats
    lb: Floats
    ub: Floats

    @property
    def truncated(self) -> bool:
        """Whether any row has a bound."""
        return bool(np.isfinite(self.lb).any() or np.isfinite(self.ub).any())


def with_upper_ends(limits: Limits, response: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows, with the response as upper end of those that are not known to lie in an interval.

    What stands there says nothing, and may be missing.
    """
    columns = list(frame.columns)
    names = (limits.status, limits.upper, response)
    if limits.upper is None or any(columns.count(name or "") != 1 for name in names):
        return frame
    between = states_of(frame[limits.status]) == "interval"
    return frame.assign(**{limits.upper: frame[limits.upper].where(between, frame[response])})


def check_limits(limits: Limits, used: pd.DataFrame, response: str, family: str) -> None:
    """Refuse columns that say no limits, rows outside of bounds, and families without tails here.

    Raises
    ------
    DataError
        Naming the first row, or the families.
    """
    if not FAMILIES[family].has_tails:
        able = [name for name, one in FAMILIES.items() if one.has_tails]
        what = "truncated" if limits.status is None else "censored"
        raise DataError(
            f"{what} rows of the family {family!r} have no likelihood here",
            hint=f"choose one of {', '.join(able)}",
        )
    if limits.status is not None:
        _check_status(limits, used[limits.status])
    for name in (limits.upper, *limits.bounds):
        if name is not None and used[name].dtype.kind not in "iuf":
            raise DataError(
                f"{shown(used[name].iloc[0])} is no number", hint="give limits", column=name
            )
    _check_order(limits, used, response)


def _check_status(limits: Limits, values: pd.Series) -> None:
    words = states_of(values)
    column = str(limits.status)
    if (bad := ~words.isin(STATES).to_numpy()).any():
        row = int(bad.argmax())
        raise DataError(
            f"{shown(values.iloc[row])} does not say whether a row is censored",
            hint="write none (or 0), left (-1: the response is at most what stands there), right "
            "(1: at least) or interval (2: between that and a second column, cens(status, upper))",
            file="data",
            column=column,
            row=row + 1,
        )
    between = (words == "interval").to_numpy()
    if limits.upper is None and between.any():
        raise DataError(
            "a response in an interval, and no column of upper ends",
            hint="name it: y | cens(status, upper) ~ x",
            file="data",
            column=column,
            row=int(between.argmax()) + 1,
        )
    if words.isin(("left", "right")).all():
        raise DataError(
            "every row is censored", hint="give rows with a response too", column=column
        )


def _check_order(limits: Limits, used: pd.DataFrame, response: str) -> None:
    """Refuse intervals and bounds without room, and responses outside of their bounds."""
    known = row_limits(limits, used, response)
    y = used[response].to_numpy(float)
    words = np.full(len(y), "none") if limits.status is None else states_of(used[limits.status])
    ends = np.where(words == "interval", known.high, y)
    wrong = {
        "the upper end of the interval is not above the lower": (
            (words == "interval") & ~(used[limits.upper or response].to_numpy(float) > y),
            limits.upper,
        ),
        "the upper bound is not above the lower": (~(known.ub > known.lb), response),
        "the response is below the lower bound, where no row can be": (y < known.lb, response),
        "the response is above the upper bound, where no row can be": (ends > known.ub, response),
        "between limit and bound there is no room for the response": (
            known.censored & ~(known.high > known.low),
            response,
        ),
    }
    for problem, (bad, column) in wrong.items():
        if bad.any():
            row = int(np.argmax(bad))
            bounds = f"; its bounds are {known.lb[row]:g} and {known.ub[row]:g}"
            raise at_first(
                bad,
                f"{shown(used[column].iloc[row])}: {problem}{bounds if limits.truncated else ''}",
                hint="correct the row or the limits, or leave the row out with subset=",
                file="data",
                column=column,
            )


def row_limits(limits: Limits, frame: pd.DataFrame, response: str) -> RowLimits:
    """The limits of rows, which have been checked.

    Raises
    ------
    DataError
        If the rows lack a column that says so.
    """
    for name in limits.columns:
        if name not in frame:
            raise DataError(
                "the rows do not have the limits of their response",
                hint="add the column",
                column=name,
            )
    y, rows = frame[response].to_numpy(float), len(frame)
    lb, ub = (
        np.full(rows, out) if one is None else _column(one, frame)
        for one, out in ((limits.lb, -np.inf), (limits.ub, np.inf))
    )
    words = np.full(rows, "none")
    if limits.status is not None:
        words = states_of(frame[limits.status]).to_numpy()
    upper = y if limits.upper is None else frame[limits.upper].to_numpy(float)
    left, right, between = (words == state for state in STATES[1:])
    low = np.select([left, right | between], [lb, y], -np.inf)
    high = np.select([left, right, between], [y, ub, upper], np.inf)
    return RowLimits(words != "none", low, high, lb, ub)


def _column(named: str | float, frame: pd.DataFrame) -> Floats:
    return np.broadcast_to(
        frame[named].to_numpy(float) if isinstance(named, str) else float(named), len(frame)
    )


# -- by NumPy --------------------------------------------------------------------------------------


def log_likelihood(
    family: Family, y: Floats, known: RowLimits, eta: Floats, parameters: Parameters
) -> Floats:
    """Log likelihood (draws, rows) of rows with limits, as the module says.

    Parameters
    ----------
    family : Family
        One that has tails.
    y : ndarray (rows,)
        The response where it was observed.
    known : RowLimits
    eta : ndarray (draws, rows)
    parameters : mapping of str to ndarray
        Of the family: (draws, 1), or (draws, rows) where they differ by row.
    """
    found = np.array(family.log_likelihood(y, eta, parameters))
    if len(rows := np.flatnonzero(known.censored)):
        ends = known.low[rows], known.high[rows]
        found[:, rows] = log_between(family, *ends, eta[:, rows], _of(parameters, rows))
    if known.truncated:
        found -= log_between(family, known.lb, known.ub, eta, parameters)
    return found


def log_between(
    family: Family, low: Floats, high: Floats, eta: Floats, parameters: Parameters
) -> Floats:
    """Log probability (draws, rows) of a response between two ends (rows,), which may be infinite.

    Examples
    --------
    >>> from causalbias.models.families import family_named
    >>> ends, one = (np.array([-1.96, 0.0]), np.array([1.96, np.inf])), np.ones((1, 1))
    >>> normal = family_named("gaussian")
    >>> np.exp(log_between(normal, *ends, np.zeros((1, 2)), {"sigma": one})).round(3).tolist()
    [[0.95, 0.5]]
    """
    _, large, small = _tails(family, low, high, eta, parameters)
    with np.errstate(all="ignore"):
        return np.where(large == -np.inf, large, large + _log1mexp(small - large))


def simulate_between(
    family: Family,
    rng: np.random.Generator,
    bounds: tuple[Floats, Floats],
    eta: Floats,
    parameters: Parameters,
) -> Floats:
    """New responses (draws, rows) within bounds (rows,), by the inverse distribution function.

    That is at ``F(lb) + u (F(ub) - F(lb))`` with u uniform, or the same of the upper tail.
    """
    near, large, small = _tails(family, *bounds, eta, parameters)
    uniform = rng.uniform(size=eta.shape)
    with np.errstate(all="ignore"):
        log_p = large + np.log(np.exp(small - large) * (1 - uniform) + uniform)
        values = np.where(
            near,
            family.tail_quantile(log_p, eta, parameters, "left"),
            family.tail_quantile(log_p, eta, parameters, "right"),
        )
    # So far out that no tail has digits, all of it is at the bound that is nearer.
    values = np.where(large == -np.inf, np.where(near, *bounds[::-1]), values)
    return np.clip(values, *bounds)


def _tails(
    family: Family, low: Floats, high: Floats, eta: Floats, parameters: Parameters
) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Two log tails (draws, rows) whose difference is what lies between the ends, and their side.

    They are lower tails where less than half of the distribution is below the lower end, and upper
    tails elsewhere, so that digits are kept far out on both sides.

    Returns
    -------
    near : ndarray of bool
        Whether they are lower tails.
    large, small : ndarray
    """

    def tail(ends: Floats, side: str) -> Floats:
        found = np.empty(eta.shape)
        found[:] = np.where((ends > family.lowest) == (side == "left"), 0.0, -np.inf)
        if len(rows := np.flatnonzero((ends > family.lowest) & (ends < np.inf))):
            found[:, rows] = family.log_tail(ends[rows], eta[:, rows], _of(parameters, rows), side)
        return found

    near = (below := tail(low, "left")) < HALF
    large = np.where(near, tail(high, "left"), tail(low, "right"))
    return near, large, np.where(near, below, tail(high, "right"))


def _of(parameters: Parameters, rows: NDArray[np.intp]) -> dict[str, Floats]:
    """The parameters of some rows."""
    return {name: one if one.shape[-1] == 1 else one[..., rows] for name, one in parameters.items()}


def _log1mexp(x: Floats) -> Floats:
    """``log(1 - exp(x))`` of negative numbers (Maechler 2012, the vignette of R's Rmpfr)."""
    return np.where(x > HALF, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


# -- by PyMC ---------------------------------------------------------------------------------------


def limit_rows(inner: pm.Model, family: Family, known: RowLimits, counts: Floats) -> None:
    """Give rows of a PyMC model the likelihood of rows with limits; in place.

    What that adds to the log likelihood of rows that were observed is a potential.

    Parameters
    ----------
    inner : PyMC Model
    family : Family
        One that has tails.
    known : RowLimits
    counts : ndarray (rows,)
        How many equal observations a row stands for.
    """
    (observed,) = inner.observed_RVs
    value = inner.rvs_to_values[observed]
    whole = [
        pt.broadcast_to(one, counts.shape) for one in observed.owner.op.dist_params(observed.owner)
    ]
    added: Any = 0.0
    if len(rows := np.flatnonzero(known.censored)):
        added += _pymc_between(family, known.low, known.high, whole, counts)
        added -= (counts[rows] * pm.logp(observed, value)[rows]).sum()
    if known.truncated:
        added -= _pymc_between(family, known.lb, known.ub, whole, counts)
    with inner:
        pm.Potential("rows_limited", added)


def _pymc_between(
    family: Family, low: Floats, high: Floats, whole: list[Any], counts: Floats
) -> Any:
    """Sum over rows of `log_between`, weighted by their counts, by PyMC's variables.

    Rows with one end are taken by themselves, so that no slope is of an infinite number.
    """

    def tail(ends: Floats, side: str, rows: NDArray[np.intp]) -> Any:
        return family.pymc_tail(pt.as_tensor(ends[rows]), [one[rows] for one in whole], side)

    has_low, has_high = low > family.lowest, high < np.inf
    total: Any = 0.0
    if len(rows := np.flatnonzero(has_high & ~has_low)):
        total += (counts[rows] * tail(high, "left", rows)).sum()
    if len(rows := np.flatnonzero(has_low & ~has_high)):
        total += (counts[rows] * tail(low, "right", rows)).sum()
    if len(rows := np.flatnonzero(has_low & has_high)):
        near = (below := tail(low, "left", rows)) < HALF
        large = pt.switch(near, tail(high, "left", rows), tail(low, "right", rows))
        small = pt.switch(near, below, tail(high, "right", rows))
        less = pt.minimum(small - large, -np.finfo(float).tiny)  # of which there is a logarithm
        total += (counts[rows] * (large + pt.log1mexp(less))).sum()
    return total
