"""Pair draws of independent posteriors, as draws of their joint posterior."""

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.draws.summaries import SAMPLE


def paired(
    first: xr.Dataset, second: xr.Dataset, *, random_seed: int = 0
) -> tuple[xr.Dataset, xr.Dataset]:
    """Pair draws of two independent posteriors at their common labels.

    The draws of the second are shuffled, because fits with the same random seed use the same random
    numbers, so that their draws are correlated in the original order.

    Parameters
    ----------
    first, second : Dataset
        Draws with dims (chain, draw, ...). If their numbers differ, surplus draws are left out at
        even intervals.
    random_seed : int
        Seed of the random order.
    """
    sizes = [one.sizes["chain"] * one.sizes["draw"] for one in (first, second)]
    kept = min(sizes)
    order = generator(random_seed).permutation(sizes[1])
    picks = (np.linspace(0, sizes[0] - 1, kept).round().astype(int), order[:kept])
    chains = first.sizes["chain"] if kept == sizes[0] else 1
    both = []
    for one, pick in zip((first, second), picks, strict=True):
        flat = one.stack(sample=SAMPLE, create_index=False).drop_vars(SAMPLE, errors="ignore")
        chosen = flat.isel(sample=pick).assign_coords(
            chain=("sample", np.repeat(np.arange(chains), kept // chains)),
            draw=("sample", np.tile(np.arange(kept // chains), chains)),
        )
        both.append(chosen.set_index(sample=SAMPLE).unstack("sample").transpose(*SAMPLE, ...))
    left, right = xr.align(*both, join="inner")
    return left, right


def shuffled(draws: xr.Dataset, random_seed: int) -> xr.Dataset:
    """Permute draws, in the same way for all variables; see `paired`.

    Examples
    --------
    >>> one = xr.Dataset({"v": (("chain", "draw"), np.arange(4.0).reshape(2, 2))})
    >>> sorted(shuffled(one, 1)["v"].values.ravel().tolist())
    [0.0, 1.0, 2.0, 3.0]
    """
    return paired(draws, draws, random_seed=random_seed)[1]
