"""Draws of estimands to tables: intervals, probability of direction, ratios, ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias import arguments
from causalbias.arguments import DRAWS, as_draws, kind_of, name_in, not_what, number_in
from causalbias.errors import DataError

SAMPLE = arguments.SAMPLE
# Whose mean an estimate is, in words.
POPULATION_WORDS = {
    "new": "mean over the population of groups",
    "typical": "a typical group, effects at zero",
    "these": "average of these groups alone",
}
CHANCES = ("p_positive", "p_above_one")
NOT = "no"  # of a variable's attribute `converged`; others have none


def summarise(draws: xr.Dataset, *, prob: float = 0.95, of: str | None = None) -> pd.DataFrame:
    """One row an estimand: posterior median, standard deviation, interval, direction.

    Parameters
    ----------
    draws : Dataset
        From any verb.
    prob : float, default 0.95
        Probability of the equal-tailed interval.
    of : str, optional
        The variable, with dims chain and draw; by default the first such.

    Returns
    -------
    DataFrame
        The labels of the estimand; `estimate` (median), `sd`, `lower`, `upper`,
        `p_positive` (posterior probability of being above zero), the dataset's other variables
        (`n`: observations), `scale`, `population` (see `predictions`), and `converged`: False
        where the fit behind it failed its diagnostics. A ratio has no `sd`; a ratio of error
        rates, which is always positive, has `p_above_one` (posterior probability of being above
        one) in the place of `p_positive`, and an index of them has neither. An error rate below
        what its pairs support has no `estimate`, only an interval, from 0 to its upper end.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> effect = xr.Dataset({"effect": (("chain", "draw"), np.arange(101.0).reshape(1, 101))})
    >>> summarise(effect, prob=0.9)[["estimate", "lower", "upper"]].round(6).values.tolist()
    [[50.0, 5.0, 95.0]]
    """
    prob = number_in(prob, "prob", 0, 1)
    draws = as_draws(draws)
    values, tail = draws[drawn(draws, of)], (1 - prob) / 2
    if "ratio" in draws and values.name != "ratio":  # whose ends it is about
        draws = draws.drop_vars("bounded", errors="ignore")
    draws = _own_marks(draws, str(values.name))
    # A cell without rows is NaN in every draw, and so in the table, from which it is left out;
    # what is not estimable stays in it, marked.
    interval = values.quantile([tail, 1 - tail], dim=SAMPLE, skipna=False)
    columns = {
        "estimate": values.median(SAMPLE, skipna=False),
        "sd": values.std(SAMPLE, ddof=1, skipna=False),
        "lower": interval.isel(quantile=0, drop=True),
        "upper": interval.isel(quantile=1, drop=True),
        "p_positive": probability(values > 0, values),
    }
    columns |= {
        str(key): value
        for key, value in draws.items()
        if "draw" not in value.dims and set(value.dims) <= set(values.dims)
    }
    if "interval" in columns:  # of ratios and indices of error rates
        columns = _one_sided(columns, values, prob, draws.attrs)
        if "lower_bound" in draws:
            columns = _with_lower_bound(columns, draws["lower_bound"], prob)
    dims = [dim for dim in values.dims if dim not in SAMPLE]
    table = xr.Dataset(columns).drop_vars("quantile", errors="ignore")
    if dims:
        frame = table.to_dataframe(dim_order=dims).reset_index()
    else:
        frame = pd.DataFrame({key: [column.item()] for key, column in table.data_vars.items()})
    known = frame["estimate"].notna()
    kept = known.copy()
    if "estimable" in frame:
        frame["estimable"] = frame["estimable"].astype(bool) | known
        kept |= ~frame["estimable"]
    frame, known = frame[kept].reset_index(drop=True), known[kept].reset_index(drop=True)
    if "bounded" in frame:
        frame["sd"] = np.nan  # a ratio has none
        least = draws.attrs.get("least", -np.inf)
        unbounded = known & ~frame["bounded"].astype(bool)
        frame.loc[unbounded, ["lower", "upper"]] = least, np.inf
    if "supported" in frame:
        below = ~frame["supported"].astype(bool)
        unsaid = [name for name in ("estimate", "sd", *CHANCES) if name in frame]
        frame.loc[below, unsaid] = np.nan
        if "smallest_rate" in frame:
            frame["lower"] = frame["lower"].where(~below, 0.0)
    if draws.attrs.get("contrast") in frame:
        kind, reference = draws[draws.attrs["contrast"]].dtype, draws.attrs["reference"]
        if kind.kind in "iuf":
            reference = kind.type(reference)
        frame.insert(list(frame.columns).index(draws.attrs["contrast"]) + 1, "reference", reference)
    frame = frame.assign(scale=draws.attrs.get("scale", ""))
    # Which population, and of error rates which impostors: two choices are two numbers.
    for key in ("population", "cohort", "match", "threshold_cohort"):
        if draws.attrs.get(key, "") != "":
            frame[key] = draws.attrs[key]
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
    """What an estimate is against, and whose: for notes below tables and figures; "" if unsaid.

    Examples
    --------
    >>> basis(xr.Dataset(attrs={"reference": "white", "population": "these"}))
    'Against white; average of these groups alone.'
    """
    told = []
    if draws.attrs.get("reference", "") != "":
        told.append(f"against {draws.attrs['reference']}")
    population = draws.attrs.get("population", "")
    if population:
        told.append(POPULATION_WORDS.get(population, str(population)))
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _one_sided(
    columns: Mapping[str, xr.DataArray],
    values: xr.DataArray,
    prob: float,
    attrs: Mapping[Any, Any],
) -> dict[str, xr.DataArray]:
    """Columns of ratios with the ends that their intervals have, the other one where it must be."""
    least, kind = float(attrs["least"]), columns["interval"]
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
    if attrs.get("scale") == "ratio":
        found["p_above_one"] = probability(values > 1, values)
    return found | {key: one for key, one in columns.items() if key not in (*found, "p_positive")}


def _with_lower_bound(
    columns: Mapping[str, xr.DataArray], bound: xr.DataArray, prob: float
) -> dict[str, xr.DataArray]:
    """Columns whose lower ends allow for a group's having been chosen on the same data."""
    ends = bound.quantile([1 - prob, (1 - prob) / 2], dim=SAMPLE, skipna=False)
    one_sided, two_sided = (ends.isel(quantile=at, drop=True) for at in (0, 1))
    kind = columns["interval"]
    lower = xr.where(kind == "at least", one_sided, columns["lower"])
    two = (kind == "two-sided") & two_sided.notnull()
    return {**columns, "lower": xr.where(two, two_sided, lower)}


def drawn(draws: xr.Dataset, of: str | None = None) -> str:
    """Name of the variable that holds an estimand's draws: the one asked for, or the first.

    Raises
    ------
    DataError
        If there is none of that name, naming those there are.
    """
    draws = as_draws(draws)
    names = [str(key) for key, value in draws.data_vars.items() if "draw" in value.dims]
    if not names or (of is not None and not (isinstance(of, str) and of in names)):
        raise DataError(
            f"no draws of {of!r}" if of else "no variable has dims chain and draw",
            hint=f"use one of {', '.join(names)}" if names else "give what a verb returned",
        )
    return of or names[0]


Drawn = xr.Dataset | xr.DataArray | pd.DataFrame | xr.DataTree


def mark(*sources: Drawn) -> str:
    """The first failed diagnostics among fits, or draws of them, as the JSON of attributes.

    Examples
    --------
    >>> good, bad = (xr.Dataset(attrs={"failures": one}) for one in ("[]", '["R-hat"]'))
    >>> mark(good, bad)
    '["R-hat"]'
    """
    told = [one.attrs["failures"] for one in sources if one.attrs.get("failures", "[]") != "[]"]
    if not told and any(map(failed, sources)):
        return '["a fit behind these draws failed its diagnostics"]'
    return str(told[0]) if told else "[]"


def marked(found: xr.Dataset, *sources: Drawn) -> xr.Dataset:
    """A Dataset that says so, as does each of its variables, if a fit behind it failed.

    On variables of failed fits alone, and besides the reasons in always the same words: xarray's
    arithmetic keeps attributes that one side has or both agree on, so that a difference of two
    networks' effects keeps the mark.

    Examples
    --------
    >>> bad = xr.Dataset(attrs={"failures": '["R-hat"]'})
    >>> failed(2 * marked(xr.Dataset({"effect": 1.0}), bad)["effect"])
    True
    """
    failures = mark(*sources)
    found = found.assign_attrs(failures=failures)
    if failures != "[]":
        for name in found.data_vars:
            found[name] = found[name].assign_attrs(failures=failures, converged=NOT)
    return found


def failed(draws: Drawn) -> bool:
    """Whether a fit behind these draws failed its diagnostics."""
    parts = draws.data_vars.values() if isinstance(draws, xr.Dataset) else []
    return draws.attrs.get("failures", "[]") != "[]" or any(
        one.attrs.get("converged") == NOT for one in (draws, *parts)
    )


def per_unit(outcome: xr.DataArray, change: xr.DataArray, *, prob: float = 0.95) -> xr.Dataset:
    """Outcome per unit of a change that is itself uncertain: a ratio of two effects.

    A ratio has no mean, and no bounded interval where its denominator may be zero (Fieller 1954):
    where the interval of `change` holds zero, `bounded` is False, and tables then give an infinite
    interval rather than a made-up one.

    Parameters
    ----------
    outcome, change : DataArray
        Draws of numerator and denominator, dims (chain, draw, ...). They must be draws of one
        posterior, or of two independent ones.
    prob : float
        Probability of the interval that must exclude zero.

    Returns
    -------
    Dataset
        ``ratio`` (chain, draw, ...), ``bounded`` (...), ``p_sign`` (...): the posterior
        probability that the change has its likelier sign.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(1)
    >>> draws = lambda mean: xr.DataArray(rng.normal(mean, 1, (4, 500)), dims=("chain", "draw"))
    >>> [bool(per_unit(draws(5), draws(mean))["bounded"]) for mean in (10, 1)]
    [True, False]
    """
    for values in (outcome, change):
        if kind_of(values) != DRAWS or not isinstance(values, xr.DataArray):
            raise not_what(values, DRAWS)
    tail = (1 - number_in(prob, "prob", 0, 1)) / 2
    positive = probability(change > 0, change)
    sure = np.maximum(positive, 1 - positive)
    found = xr.Dataset({"ratio": outcome / change, "bounded": sure > 1 - tail, "p_sign": sure})
    return marked(found, outcome, change)


def probability(condition: xr.DataArray, *values: xr.DataArray) -> xr.DataArray:
    """Posterior probability of a condition on draws; missing where any of its values is.

    A comparison with a missing value is False, and its share of the draws would be a certainty
    about what is not known.

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


def rank_probabilities(draws: xr.DataArray, dim: str) -> xr.DataArray:
    """Posterior probability of each rank, 1 the largest, along a dim.

    Parameters
    ----------
    draws : DataArray
        Dims (chain, draw, `dim`, ...).
    dim : str
        What is ranked.

    Returns
    -------
    DataArray
        Dims (`dim`, rank, ...); sums to one over either.

    Raises
    ------
    DataError
        If draws of a level are missing, as of one that is not estimable, naming it.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> sizes = xr.DataArray(np.array([[[3.0, 1.0], [2.0, 5.0]]]), dims=("chain", "draw", "what"))
    >>> rank_probabilities(sizes, "what").values.tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    if kind_of(draws) != DRAWS or not isinstance(draws, xr.DataArray):
        raise not_what(draws, DRAWS)
    name_in(dim, "dim", *(str(one) for one in draws.dims if one not in SAMPLE))
    missing = draws.isnull().any([one for one in draws.dims if one != dim])
    if missing.any():
        levels = [str(one) for one in draws[dim].values[missing.values].tolist()]
        raise DataError(
            f"{dim} {', '.join(levels)} cannot be ranked: its draws are missing",
            hint=f"leave out what is not estimable with .sel or .drop_sel({dim}={levels})",
        )
    ranks = xr.apply_ufunc(
        lambda values: np.argsort(np.argsort(-values, axis=-1), axis=-1) + 1,
        draws,
        input_core_dims=[[dim]],
        output_core_dims=[[dim]],
    )
    positions = np.arange(1, draws.sizes[dim] + 1)
    index = xr.DataArray(positions, dims="rank", coords={"rank": positions})
    found = probability(ranks == index)
    found = found.transpose(dim, "rank", ...).rename("probability")
    return marked(found.to_dataset(), draws)["probability"]
