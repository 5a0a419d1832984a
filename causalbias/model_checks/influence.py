"""Influence of single seeds or annotators on an estimate."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import names_in, need_fit, need_function
from causalbias.draws.basis import without_basis
from causalbias.draws.marks import marked
from causalbias.draws.summaries import SAMPLE, drawn
from causalbias.errors import DataError
from causalbias.inference.diagnostics import MAX_PARETO_K
from causalbias.model_checks.left_out import left_out_weights
from causalbias.models.engines import Sampling
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.group_design import texts_of
from causalbias.models.rerun import refit
from causalbias.models.specification import ModelSpec
from causalbias.scheduler import map_jobs

REFITS = ("needed", "always", "never")


def influence(
    fit: xr.DataTree,
    estimand: Callable[[xr.DataTree], xr.Dataset],
    *,
    over: str | Sequence[str] = "seed",
    refit: str = "needed",
    draws: int = 500,
    prob: float = 0.95,
    method: str = "auto",
    random_seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> xr.Dataset:
    """Compute an estimand without each seed (or annotator) in turn.

    If seeds share no effects (a Gaussian model whose grouping factors are all nested in the seed),
    the draws are reweighted by the marginal leave-one-cluster-out likelihood, in which the effects
    of the seed are integrated out, and Pareto k diagnoses the weights. If it exceeds 0.7, or the
    weights cannot be computed (pairs of two seeds, crossed annotators, ordinal scores, population
    "these"), the model is fitted again without the seed: on the scheduler of dask that is set, if
    there is one, with the same numbers.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    estimand : callable
        Function from a fit to an estimate, such as ``lambda fit: cb.effects(fit, "race")``.
    over : str or sequence of str
        The grouping column, or the columns of both members of pairs; a pair is left out with
        either member.
    refit : {"needed", "always", "never"}
        When to fit the model again. With "never", values for which the weights are unreliable are
        missing (NaN).
    draws : int
        Number of draws of each refit, by four chains.
    prob : float
        Probability of the interval for `overturned`.
    method, random_seed
        As in `fit`.
    progress : callable, optional
        Function that is called after each level with the number of levels done and of all levels.

    Returns
    -------
    Dataset
        Dims (left_out, ...): ``estimate``, ``lower``, ``upper`` without it; ``shift``: change of
        the estimate in posterior standard deviations of the original fit; ``overturned``: 1 if the
        omission changes whether the interval includes zero, 0 otherwise, missing if an interval is
        missing. With the dim (left_out): ``rows`` (number of rows left out), ``refitted``, and
        ``pareto_k`` of the weights (NaN without weights). In refits, Monte Carlo error causes
        shifts of about ``1.3 / sqrt(4 * draws)``. With weights, averages are over all rows of the
        design.

    Raises
    ------
    DataError
        If a column is not in the model or has fewer than three levels, or if a level cannot be left
        out because another column would lose levels.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> effect = lambda one: cb.effects(one, "level")
    >>> found = influence(fit, effect, over="annotator")
    >>> found["estimate"].dims, int(found["refitted"].sum())
    (('left_out', 'level'), 0)
    """
    if refit not in REFITS:
        raise DataError(f"refit={refit!r}", hint=f"use one of {', '.join(REFITS)}")
    need_fit(fit)
    columns = list(names_in(over, "over"))
    need_function(estimand)
    model = fitted(fit)
    texts, levels = _levels(model, columns)
    whole = estimand(fit)
    name = drawn(whole)
    base = _interval(whole[name], prob)
    weights, shape = np.empty((len(levels), 0)), np.full(len(levels), np.nan)
    if refit != "always" and _can_be_weighed(fit, columns, whole):
        with contextlib.suppress(DataError):  # shared effects, or another family
            weights, shape = left_out_weights(fit, columns[0])
    refitted = ~(shape <= MAX_PARETO_K) & (refit != "never")
    settings = Sampling(draws, 1000, 4, random_seed)
    record = xr.DataTree()  # of the fit, whose draws no refit needs
    record.attrs = dict(fit.attrs)

    def job(level: str) -> tuple[Any, ...]:
        kept = model.frame[~(texts == level).any(axis=1)]
        return record, model.spec, kept, method, settings, estimand, name, prob

    again = map_jobs(_interval_of_refit, [partial(job, level) for level in levels[refitted]])
    parts: list[xr.Dataset] = []
    for at in range(len(levels)):
        if refitted[at]:
            parts.append(next(again))
        elif refit == "never" and not shape[at] <= MAX_PARETO_K:
            parts.append(base.where(False))
        else:
            parts.append(_interval(whole[name], prob, np.exp(weights[at])))
        if progress is not None:
            progress(at + 1, len(levels))
    index = pd.Index(levels, name="left_out")
    found = xr.concat(list(map(without_basis, parts)), index, join="outer")
    if any(found.sizes[dim] != size for dim, size in base.sizes.items()):
        raise DataError("without some level others vanish too", hint="give more data, or by=()")
    found["shift"] = (found["estimate"] - base["estimate"]) / whole[name].std(SAMPLE, ddof=1)
    known = found["estimate"].notnull() & base["estimate"].notnull()
    overturned = (_holds_zero(found) != _holds_zero(base)).astype(float)
    found["overturned"] = overturned.where(known)
    each = np.ones(len(texts)) if model.repeats is None else model.repeats
    left = [int(each[(texts == one).any(axis=1)].sum()) for one in levels]
    found["rows"] = ("left_out", np.array(left))
    found["refitted"] = ("left_out", refitted)
    found["pareto_k"] = ("left_out", shape)
    description = f"{whole.attrs.get('estimand', name)}, without each {' or '.join(columns)}"
    return marked(found.drop_attrs(), fit, *parts).assign_attrs(estimand=description)


def _levels(model: FittedModel, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts (rows, columns) of the rows' levels, and the levels."""
    frame = model.frame
    no_group = {model.response.column, model.spec.rows, *model.spec.moments}
    possible = [str(name) for name in frame if name not in no_group]
    for name in columns:
        if name not in possible:
            raise DataError(
                f"{name!r} is not a variable of the model", hint=f"use one of {', '.join(possible)}"
            )
    if not columns:
        raise DataError("over names no column", hint="name what to leave out: over='seed'")
    texts = np.column_stack([texts_of(frame[name]) for name in columns])
    levels = np.unique(texts)
    if len(levels) < 3:
        raise DataError(
            f"{', '.join(columns)} has {len(levels)} levels", hint="three or more are needed"
        )
    return texts, levels


def _can_be_weighed(fit: xr.DataTree, columns: Sequence[str], whole: xr.Dataset) -> bool:
    """Whether the weights of the fit's draws apply to the estimand."""
    # An estimand for "these" groups would still include the effects of the group left out.
    of_population = whole.attrs.get("population") in ("typical", "new")
    draws = fit["posterior"].sizes
    return len(columns) == 1 and of_population and all(whole.sizes[d] == draws[d] for d in SAMPLE)


def _interval_of_refit(
    record: xr.DataTree,
    spec: ModelSpec,
    frame: pd.DataFrame,
    method: str,
    settings: Sampling,
    estimand: Callable[[xr.DataTree], xr.Dataset],
    name: str,
    prob: float,
) -> xr.Dataset:
    """Fit a model again to a part of its rows: the estimate's interval, marked if that failed."""
    again = refit(record, frame, method=method, settings=settings, spec=spec)
    return _interval(estimand(again)[name], prob).assign_attrs(failures=again.attrs["failures"])


def _interval(values: xr.DataArray, prob: float, weights: np.ndarray | None = None) -> xr.Dataset:
    """Compute median and interval of draws, with `weights` (draws,) if they are given."""
    flat = values.stack(sample=SAMPLE).transpose("sample", ...)
    method = "linear" if weights is None else "inverted_cdf"
    wanted = [0.5, (1 - prob) / 2, (1 + prob) / 2]
    ends = np.quantile(flat.values, wanted, axis=0, weights=weights, method=method)  # type: ignore[call-overload]
    like = flat.isel(sample=0, drop=True)
    return xr.Dataset(
        {
            name: like.copy(data=one)
            for name, one in zip(("estimate", "lower", "upper"), ends, strict=True)
        }
    )


def _holds_zero(one: xr.Dataset) -> xr.DataArray:
    return (one["lower"] <= 0) & (one["upper"] >= 0)
