"""Histograms of distances by group, genuine and impostor apart."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.rates.assembly import cube
from causalbias.rates.cells import cells_of
from causalbias.rates.comparisons import Comparisons, comparisons
from causalbias.rates.groups import in_words


def score_histograms(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    by: str | Sequence[str],
    *,
    cohort: str = "same",
    match: str | Sequence[str] = (),
    bins: int = 60,
) -> xr.Dataset:
    """Count distances in bins of equal width, by group and kind of pair.

    Parameters
    ----------
    data, by, cohort, match
        As in `error_rates`.
    bins : int
        Over the range of each system's distances.

    Returns
    -------
    Dataset
        ``histogram`` (kind, system, group, bin): comparisons; ``low``, ``high`` (system, bin):
        edges; ``n`` (kind, system, group); `group` is the values of `by` in words.

    Raises
    ------
    DataError
        As `error_rates`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, people=None, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> counts = cb.rates.score_histograms(study, "race", bins=10)
    >>> counts["histogram"].sizes["bin"]
    10
    """
    if bins < 1:
        raise DataError(f"{bins} bins", hint="give one or more")
    pairs = comparisons(data, by, match=match)
    there = pairs.frame[np.isfinite(pairs.frame["distance"])]
    ends = there.groupby("system", observed=True)["distance"].agg(["min", "max"])
    edges = {
        str(system): np.linspace(low, high if high > low else low + 1, bins + 1)
        for system, low, high in ends.itertuples(name=None)
    }
    names = dict(zip(pairs.groups, in_words(pairs.groups), strict=True))
    entries = {
        (cell.kind, cell.system, names[cell.group]): {
            "histogram": np.histogram(cell.distance, edges[cell.system])[0],
            "n": np.int64(len(cell.distance)),
        }
        for cell in cells_of(pairs, cohort)
    }
    found = cube(
        entries,
        ["kind", "system", "group"],
        {"bin": np.arange(bins)},
        pairs.levels | {"group": list(names.values())},
    )
    found = found.transpose("kind", "system", "group", "bin")
    sides = {
        name: np.stack([edges[one][part] for one in found["system"].values])
        for name, part in (("low", slice(None, -1)), ("high", slice(1, None)))
    }
    return found.assign_coords({name: (("system", "bin"), one) for name, one in sides.items()})
