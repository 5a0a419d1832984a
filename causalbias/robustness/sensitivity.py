"""What an estimate depends on besides the data as a whole: its prior, and single seeds."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_fit, need_function
from causalbias.errors import DataError
from causalbias.estimands.summaries import drawn, failed, summarise
from causalbias.robustness.influence import influence
from causalbias.robustness.prior import prior_sensitivity


def sensitivity(
    fit: xr.DataTree,
    estimand: Callable[[xr.DataTree], xr.Dataset],
    *,
    over: str | Sequence[str] = "seed",
    refit: str = "needed",
    prob: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Each estimate with how far it depends on the prior and on single seeds (or annotators).

    Parameters
    ----------
    fit : Fit
    estimand : callable
        From a fit to a Dataset: ``lambda fit: cb.effects(fit, "race")``.
    over, refit
        As in `influence`. With ``refit="never"`` nothing is fitted again, and the table is made in
        about a second.
    prob : float
        Probability of the intervals.
    seed : int
        Of refits.

    Returns
    -------
    DataFrame
        The labels of the estimand, `estimate`, `lower`, `upper`; `prior` and `likelihood`
        sensitivity with their `diagnosis`, as in `prior_sensitivity` (missing where the prior's
        density is not known); `least` and `greatest` estimate without one of the seeds, `most`:
        which one's absence moves it farthest and by how many posterior standard deviations
        (`shift`); `overturned`: without how many of them the interval would hold zero and now
        does not, or the other way round; `tried`: without how many it is known; `groups`: how many
        there are; `converged`: False where the fit, or one without a seed, failed its diagnostics.

    Raises
    ------
    DataError
        As `influence`.

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
    labels = [str(dim) for dim in draws[name].dims if dim not in ("chain", "draw")]
    table = table[[*labels, "estimate", "lower", "upper"]]
    without = influence(
        fit, lambda one: draws if one is fit else estimand(one),
        over=over, refit=refit, prob=prob, seed=seed,
    )  # fmt: skip
    cells = without[["estimate", "shift", "overturned"]].stack(cell=labels) if labels else without
    columns = _single(cells)
    if labels:
        columns = columns.merge(table[labels], on=labels, how="right")[columns.columns]
        columns = columns.drop(columns=labels)
    found = pd.concat([table, _prior(fit, draws, name, labels), columns], axis=1)
    return found.assign(converged=not failed(without))


def _prior(fit: xr.DataTree, draws: xr.Dataset, name: str, labels: Sequence[str]) -> pd.DataFrame:
    try:
        found = prior_sensitivity(fit, draws, of=name)
    except DataError:  # a prior of another shape: see `prior_sensitivity`
        count = int(np.prod([draws.sizes[dim] for dim in labels]))
        return pd.DataFrame(index=range(count), columns=["prior", "likelihood", "diagnosis"])
    return found.reset_index(drop=True)


def _single(cells: xr.Dataset) -> pd.DataFrame:
    """Of each cell, the range without single levels, and which one moves it farthest."""
    known = cells["estimate"].notnull().all([dim for dim in cells.dims if dim != "left_out"])
    some = cells.isel(left_out=np.flatnonzero(known.values))
    summary = xr.Dataset({"tried": int(known.sum()), "groups": cells.sizes["left_out"]})
    if some.sizes["left_out"]:
        at = abs(some["shift"]).argmax("left_out")
        summary = summary.assign(
            least=some["estimate"].min("left_out"),
            greatest=some["estimate"].max("left_out"),
            most=some["left_out"].isel(left_out=at),
            shift=some["shift"].isel(left_out=at),
            overturned=some["overturned"].sum("left_out"),
        ).drop_vars("left_out")
    order = ["least", "greatest", "most", "shift", "overturned", "tried", "groups"]
    if "cell" not in cells.dims:
        return pd.DataFrame([{key: one.item() for key, one in summary.items()}]).reindex(
            columns=order
        )
    frame = summary.broadcast_like(cells["cell"]).to_dataframe().reset_index(drop=True)
    index = cells["cell"].to_index().to_frame(index=False)
    return pd.concat([index, frame.reindex(columns=order)], axis=1)
