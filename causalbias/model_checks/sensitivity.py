"""Sensitivity of estimates to priors and to single seeds or annotators."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_fit, need_function
from causalbias.draws.estimate import check_names
from causalbias.draws.marks import failed
from causalbias.draws.summaries import SAMPLE, drawn, summarise
from causalbias.errors import DataError
from causalbias.model_checks.influence import influence
from causalbias.model_checks.prior_sensitivity import prior_sensitivity

# What the table has beside the labels of the estimand.
COLUMNS = (
    *("estimate", "lower", "upper", "estimable", "by_prior", "prior", "likelihood", "diagnosis"),
    *("least", "greatest", "most", "shift", "overturned", "tried", "groups", "converged"),
    *("cell", "left_out", "variable"),
)


def sensitivity(
    fit: xr.DataTree,
    estimand: Callable[[xr.DataTree], xr.Dataset],
    *,
    over: str | Sequence[str] = "seed",
    refit: str = "needed",
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Compute the sensitivity of estimates to the prior and to single seeds (or annotators).

    Parameters
    ----------
    fit : Fit
        The fitted model.
    estimand : callable
        Function from a fit to an estimate, such as ``lambda fit: cb.effects(fit, "race")``.
    over, refit
        As in `influence`. With ``refit="never"``, no model is fitted, and the table takes about a
        second.
    prob : float
        Probability of the intervals.
    random_seed : int
        Seed of the random numbers of refits.

    Returns
    -------
    DataFrame
        The labels of the estimand, `estimate`, `lower`, `upper`; `prior` and `likelihood`, the
        sensitivities, with a `diagnosis`, as in `prior_sensitivity` (missing if the density of the
        prior is unknown); `least` and `greatest`, the range of the estimate if single seeds are
        left out; `most`, the seed whose omission changes it most, and `shift`, this change in
        posterior standard deviations; `overturned`, the number of seeds whose omission changes
        whether the interval includes zero; `tried`, the number of seeds whose omission was
        evaluated; `groups`, the number of seeds; `converged`, which is False if the fit, or a fit
        without a seed, failed its diagnostics. A value that is not estimable has a row with
        `estimable` False and no numbers.

    Raises
    ------
    DataError
        As in `influence`, or if a label is called as a column of the table.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> found = cb.sensitivity(
    ...     fit, lambda one: cb.effects(one, "level"), over="annotator"
    ... )
    >>> found[["level", "diagnosis", "overturned"]].values.tolist()
    [[1, '✓', 0], [2, '✓', 0]]
    """
    need_fit(fit)
    need_function(estimand)
    draws = estimand(fit)
    name = drawn(draws)
    table = summarise(draws, prob=prob)
    labels = [str(dim) for dim in draws[name].dims if dim not in SAMPLE]
    check_names(labels, COLUMNS)
    marks = [mark for mark in ("estimable", "by_prior") if mark in table]
    table = table[[*labels, "estimate", "lower", "upper", *marks]]
    without = influence(
        fit,
        lambda one: draws if one is fit else estimand(one),
        over=over,
        refit=refit,
        prob=prob,
        random_seed=random_seed,
    )
    cells = without[["estimate", "shift", "overturned"]].stack(cell=labels) if labels else without
    columns = _single(cells)
    prior = _prior(fit, draws, name, labels)
    if labels:  # cells without rows have no row in the table
        prior, columns = (
            table[labels].merge(one, on=labels, how="left").drop(columns=labels)
            for one in (prior, columns)
        )
    found = pd.concat([table, prior, columns], axis=1)
    return found.assign(converged=not failed(without))


def _prior(fit: xr.DataTree, draws: xr.Dataset, name: str, labels: Sequence[str]) -> pd.DataFrame:
    """Compute the prior sensitivity of every cell, with its labels; missing if it is unknown."""
    cells = draws[[name]].isel(chain=0, draw=0).drop_vars(SAMPLE, errors="ignore")
    grid = cells.to_dataframe(dim_order=labels).reset_index()[labels] if labels else None
    count = 1 if grid is None else len(grid)
    try:
        found = prior_sensitivity(fit, draws, of=name).reset_index(drop=True)
    except DataError:  # a prior of another shape: see `prior_sensitivity`
        found = pd.DataFrame(index=range(count), columns=["prior", "likelihood", "diagnosis"])
    return found if grid is None else pd.concat([grid, found], axis=1)


def _single(cells: xr.Dataset) -> pd.DataFrame:
    """Compute the range of each cell's estimate without single levels, and the largest change."""
    last = cells.transpose(..., "left_out")
    shape = (-1, cells.sizes["left_out"])
    estimate, shift, overturned = (
        last[name].values.reshape(shape) for name in ("estimate", "shift", "overturned")
    )
    known = np.isfinite(estimate)
    some, each = known.any(axis=1), np.arange(len(known))
    at = np.where(known, np.abs(shift), -1.0).argmax(axis=1)
    found = pd.DataFrame(
        {
            "least": np.where(known, estimate, np.inf).min(axis=1),
            "greatest": np.where(known, estimate, -np.inf).max(axis=1),
            "most": cells["left_out"].values.astype(object)[at],
            "shift": shift[each, at],
            "overturned": np.where(known, overturned, 0.0).sum(axis=1),
        }
    )
    found.loc[~some] = np.nan
    found = found.assign(tried=known.sum(axis=1), groups=cells.sizes["left_out"])
    if some.all():
        found = found.astype({"overturned": int})
    if "cell" not in cells.dims:
        return found
    return pd.concat([cells["cell"].to_index().to_frame(index=False), found], axis=1)
