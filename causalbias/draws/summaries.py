"""Summarise draws in tables: medians, intervals, probabilities of direction."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats import hdi

from causalbias import arguments
from causalbias.arguments import as_draws, name_in, number_in
from causalbias.draws.basis import (
    BASIS,
    UNCONVERGED,
    attributes,
    is_combined,
    of_cells,
    with_labels,
)
from causalbias.draws.marks import failed
from causalbias.errors import DataError

SAMPLE = arguments.SAMPLE
# Whose mean an estimate is, in words.
POPULATION_WORDS = {
    "new": "mean over the population of groups",
    "typical": "a typical group, effects at zero",
    "these": "average of these groups alone",
}
# What the draws of a variable are, where their intervals are not plain quantiles: the variable's
# attribute `quantity`. A ratio of effects has no bounded interval where its denominator may be
# zero; rates, and what is made of them, have what their pairs support.
RATIO = "ratio of effects"
RATE, RATE_RATIO, INDEX = "error rate", "ratio of error rates", "index of error rates"
LEAST = {RATIO: -np.inf, RATE: 0.0, RATE_RATIO: 0.0, INDEX: 1.0}
CHANCES = ("p_positive", "p_above_one")
PARTLY = ".partly missing"
# Columns of tables that hold no label of a cell.
OF_TABLES = {
    *("estimate", "sd", "lower", "upper", *CHANCES, "reference", "scale", "population"),
    *("cohort", "match", "threshold_cohort", "converged", "ci_bound", "quantile"),
}
INTERVALS = {"eti": "equal-tailed", "hdi": "highest-density"}


def summarise(
    draws: xr.Dataset, *, prob: float = 0.95, interval: str = "eti", of: str | None = None
) -> pd.DataFrame:
    """Summarise an estimate in a table with one row per cell.

    Parameters
    ----------
    draws : Estimate
        Result of any verb, or a Dataset with dims chain and draw.
    prob : float, default 0.95
        Probability of the interval.
    interval : {"eti", "hdi"}
        Equal-tailed interval (the default), or highest-density interval. Ratios, error rates, and
        estimates computed from error rates have equal-tailed intervals only.
    of : str, optional
        The variable, with dims chain and draw; by default the main variable.

    Returns
    -------
    DataFrame
        The labels of the cells; `estimate` (posterior median), `sd`, `lower`, `upper`, `p_positive`
        (posterior probability of being above zero), the other variables of the dataset (such as
        `n`, the number of observations), `scale`, `population` (see `predictions`), and
        `converged`, which is False if a fit failed its diagnostics. A ratio has no `sd`. A ratio of
        error rates, which is always positive, has `p_above_one` (posterior probability of being
        above one) instead of `p_positive`; an index of error rates has neither. An error rate with
        too few errors has no `estimate`, only an interval from 0 to its upper limit.

    Raises
    ------
    DataError
        If there is no such variable, or it has no highest-density interval.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> effect = xr.Dataset({"effect": (("chain", "draw"), np.arange(101.0).reshape(1, 101))})
    >>> summarise(effect, prob=0.9)[["estimate", "lower", "upper"]].round(6).values.tolist()
    [[50.0, 5.0, 95.0]]
    """
    prob = number_in(prob, "prob", 0, 1)
    draws = of_cells(_with_chain(as_draws(draws)), SAMPLE)
    name = drawn(draws, of)
    _check_labels(draws[name])
    _check_limits(draws, name)
    columns = _columns(_own_marks(draws, name), name, prob, interval)
    dims = [dim for dim in draws[name].dims if dim not in SAMPLE]
    table = xr.Dataset(columns).drop_vars(["quantile", UNCONVERGED], errors="ignore")
    if is_combined(draws):
        table = table.assign({BASIS: draws[BASIS].drop_vars(BASIS)})
    if dims:
        frame = table.to_dataframe(dim_order=dims).reset_index()
    else:
        frame = pd.DataFrame({key: [column.item()] for key, column in table.data_vars.items()})
    frame = _without_empty_cells(frame)
    frame = _with_ends_that_exist(frame, draws[name].attrs.get("quantity", ""))
    return _labelled(frame, draws)


def _with_chain(draws: xr.Dataset) -> xr.Dataset:
    """Draws of a single chain that was selected, with its dim again."""
    if "chain" in draws.dims or "draw" not in draws.dims:
        return draws
    draws = draws.drop_vars("chain", errors="ignore")
    drawn_values = {
        name: values.expand_dims("chain")
        for name, values in draws.data_vars.items()
        if "draw" in values.dims
    }
    return draws.assign(drawn_values)


def _check_labels(values: xr.DataArray) -> None:
    """Refuse dims that have the name of a column of the table, which would be overwritten."""
    clash = sorted(OF_TABLES & set(map(str, values.dims)))
    if clash:
        raise DataError(
            f"a dim is named {clash[0]!r}, and so is a column of every table of estimates",
            hint=f'rename it: .rename({clash[0]}="...")',
        )


def _check_limits(draws: xr.Dataset, name: str) -> None:
    """Refuse ratios and rates without the variable that says where they have an estimate."""
    quantity = draws[name].attrs.get("quantity", "")
    needed = {RATIO: "bounded", RATE: "supported", RATE_RATIO: "interval", INDEX: "interval"}
    if quantity in needed and needed[quantity] not in draws:
        raise DataError(
            f"{name!r} is a {quantity} without `{needed[quantity]}`, which says where it has an "
            "estimate",
            hint=f'summarise the estimate that it is part of: .summary(of="{name}")',
        )


def _columns(draws: xr.Dataset, name: str, prob: float, interval: str) -> dict[str, xr.DataArray]:
    """Return summaries of a variable's draws, and the variables that describe its cells."""
    values = draws[name]
    quantity = values.attrs.get("quantity", "")
    if values.dtype == bool:  # of a comparison, draw by draw
        values = values.astype(float)
    lower, upper = interval_of(values, prob, interval)
    columns = {
        "estimate": values.median(SAMPLE, skipna=False),
        "sd": values.std(SAMPLE, ddof=1, skipna=False),
        "lower": lower,
        "upper": upper,
        "p_positive": probability(values > 0, values),
        PARTLY: values.isnull().any(SAMPLE) & values.notnull().any(SAMPLE),
    }
    columns |= {
        str(key): value
        for key, value in draws.items()
        if "draw" not in value.dims
        and set(value.dims) <= set(values.dims)
        and (key != "bounded" or quantity == RATIO)  # of `compare`, the ratio's alone
    }
    if quantity in (RATE_RATIO, INDEX) and "interval" in columns:
        columns = _one_sided(columns, values, prob, quantity)
        if "lower_bound" in draws:
            columns = _with_lower_bound(columns, draws["lower_bound"], prob)
    return columns


def interval_of(
    values: xr.DataArray, prob: float, interval: str = "eti"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Compute the limits of intervals of draws; they are missing if draws are.

    Raises
    ------
    DataError
        If a highest-density interval is requested for a quantity with one-sided or unbounded
        intervals.
    """
    name_in(interval, "interval", *INTERVALS)
    if interval == "eti":
        tail = (1 - prob) / 2
        ends = values.quantile([tail, 1 - tail], dim=SAMPLE, skipna=False)
        return ends.isel(quantile=0, drop=True), ends.isel(quantile=1, drop=True)
    if values.attrs.get("quantity") in LEAST:
        raise DataError(
            f"no highest-density interval of a {values.attrs['quantity']}, whose interval may be "
            "one-sided or unbounded",
            hint='take interval="eti"',
        )
    values = values.compute()
    ends = hdi(values, prob=prob, dim=list(SAMPLE)).where(values.notnull().all(SAMPLE))
    lower, upper = (ends.sel(ci_bound=end, drop=True) for end in ("lower", "upper"))
    return lower, upper


def _without_empty_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop cells without rows, whose draws are all missing, but keep those not estimable.

    A cell of which some draws are missing stays, without an estimate.
    """
    known = frame["estimate"].notna()
    kept = known | frame.pop(PARTLY).astype(bool)
    if "estimable" in frame:
        frame["estimable"] = frame["estimable"].astype(bool) | known
        kept |= ~frame["estimable"]
    return frame[kept].reset_index(drop=True)


def _with_ends_that_exist(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Remove standard deviations, limits and estimates that ratios and rates do not have.

    Ratios of effects are unbounded if the denominator may be zero. Error rates, and estimates
    computed from them, are not reported if there are too few errors.
    """
    if quantity == RATIO and "bounded" in frame:
        frame["sd"] = np.nan
        unbounded = frame["estimate"].notna() & ~frame["bounded"].astype(bool)
        frame.loc[unbounded, ["lower", "upper"]] = LEAST[RATIO], np.inf
    if quantity in (RATE, RATE_RATIO, INDEX) and "supported" in frame:
        below = ~frame["supported"].astype(bool)
        unsaid = [name for name in ("estimate", "sd", *CHANCES) if name in frame]
        frame.loc[below, unsaid] = np.nan
        if quantity == RATE:
            frame["lower"] = frame["lower"].where(~below, 0.0)
    return frame


def _labelled(frame: pd.DataFrame, draws: xr.Dataset) -> pd.DataFrame:
    """Add columns with reference level, scale and population to a table."""
    if is_combined(draws):
        return with_labels(frame)
    frame = frame.drop(columns=BASIS, errors="ignore")
    attrs = attributes(draws)
    if attrs.get("contrast") in frame:
        contrast, reference = str(attrs["contrast"]), attrs["reference"]
        kind = draws[contrast].dtype
        if kind.kind in "iuf":
            reference = kind.type(reference)
        frame.insert(list(frame.columns).index(contrast) + 1, "reference", reference)
    frame = frame.assign(scale=attrs.get("scale", ""))
    # Which population, and of error rates which impostors: two choices are two numbers.
    for key in ("population", "cohort", "match", "threshold_cohort"):
        if attrs.get(key, "") != "":
            frame[key] = attrs[key]
    return frame.assign(converged=not failed(draws))


def _own_marks(draws: xr.Dataset, name: str) -> xr.Dataset:
    """Draws whose `estimable` and `by_prior` are those of one of their variables.

    Of a dose's curve and its slopes, ``slope_estimable`` is the slopes' own.
    """
    for mark in ("estimable", "by_prior"):
        its = [str(key) for key in draws.data_vars if str(key).endswith(f"_{mark}")]
        if f"{name}_{mark}" in its:
            draws = draws.assign({mark: draws[f"{name}_{mark}"]})
        draws = draws.drop_vars(its)
    return draws


def basis(draws: xr.Dataset | xr.DataArray | pd.DataFrame) -> str:
    """Describe reference level and population for notes of tables and figures; "" if unknown.

    Examples
    --------
    >>> basis(xr.Dataset(attrs={"reference": "white", "population": "these"}))
    'Against white; average of these groups alone.'
    """
    attrs = attributes(draws) if isinstance(draws, xr.Dataset) else draws.attrs
    told = []
    if attrs.get("reference", "") != "":
        told.append(f"against {attrs['reference']}")
    population = attrs.get("population", "")
    if population:
        told.append(POPULATION_WORDS.get(population, str(population)))
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _one_sided(
    columns: Mapping[str, xr.DataArray],
    values: xr.DataArray,
    prob: float,
    quantity: str,
) -> dict[str, xr.DataArray]:
    """Set the limits of one-sided intervals of ratios, and their other limits to the bounds."""
    least, kind = LEAST[quantity], columns["interval"]
    ends = values.quantile([1 - prob, prob], dim=SAMPLE, skipna=False)
    low, high = (ends.isel(quantile=at, drop=True) for at in (0, 1))
    lower = xr.where(kind == "at least", np.maximum(low, least), columns["lower"])
    upper = xr.where(kind == "at most", high, columns["upper"])
    found = {
        "estimate": columns["estimate"],
        "sd": columns["sd"] * np.nan,  # a ratio has none
        "lower": xr.where(kind.isin(["at most", "none"]), least, lower),
        "upper": xr.where(kind.isin(["at least", "none"]), np.inf, upper),
    }
    if quantity == RATE_RATIO:
        found["p_above_one"] = probability(values > 1, values)
    return found | {key: one for key, one in columns.items() if key not in (*found, "p_positive")}


def _with_lower_bound(
    columns: Mapping[str, xr.DataArray], bound: xr.DataArray, prob: float
) -> dict[str, xr.DataArray]:
    """Replace lower limits by those adjusted for the choice of a group on the same data."""
    ends = bound.quantile([1 - prob, (1 - prob) / 2], dim=SAMPLE, skipna=False)
    one_sided, two_sided = (ends.isel(quantile=at, drop=True) for at in (0, 1))
    kind = columns["interval"]
    lower = xr.where(kind == "at least", one_sided, columns["lower"])
    two = (kind == "two-sided") & two_sided.notnull()
    return {**columns, "lower": xr.where(two, two_sided, lower)}


def drawn(draws: xr.Dataset, of: str | None = None) -> str:
    """Return the name of a variable with draws: the requested, the main, or the first one.

    Raises
    ------
    DataError
        If there is no such variable. The error lists the variables with draws.
    """
    draws = as_draws(draws)
    names = [str(key) for key, value in draws.data_vars.items() if "draw" in value.dims]
    if not names or (of is not None and not (isinstance(of, str) and of in names)):
        raise DataError(
            f"no draws of {of!r}" if of else "no variable has dims chain and draw",
            hint=f"use one of {', '.join(names)}" if names else "give what a verb returned",
        )
    main = str(draws.attrs.get("variable", ""))
    return of or (main if main in names else names[0])


def probability(condition: xr.DataArray, *values: xr.DataArray) -> xr.DataArray:
    """Compute the posterior probability of a condition; it is missing if any value is.

    A comparison with a missing value is False, so that the share of draws would otherwise be a
    certainty about an unknown value.

    Parameters
    ----------
    condition : DataArray of bool
        Dims (chain, draw, ...).
    *values : DataArray
        What the condition compares, with the same dims.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> draws = xr.DataArray([[[1.0, np.nan], [-2.0, np.nan]]], dims=("chain", "draw", "race"))
    >>> probability(draws > 0, draws).values.tolist()
    [0.5, nan]
    """
    found = condition.mean(SAMPLE)
    for one in values:
        found = found.where(one.notnull().all(SAMPLE))
    return found
