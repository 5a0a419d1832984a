"""Estimates from draws of others: ratios of effects, probabilities of ranks."""

import numpy as np
import xarray as xr

from causalbias.arguments import DRAWS, SAMPLE, kind_of, name_in, not_what, number_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.marks import marked
from causalbias.draws.summaries import RATIO, probability
from causalbias.errors import DataError


def per_unit(outcome: xr.DataArray, change: xr.DataArray, *, prob: float = 0.95) -> Estimate:
    """Compute the outcome per unit of an uncertain change: a ratio of two effects.

    A ratio has no mean, and no bounded interval if its denominator may be zero (Fieller 1954). If
    the interval of `change` includes zero, `bounded` is False, and tables give an infinite
    interval.

    Parameters
    ----------
    outcome, change : DataArray
        Draws of numerator and denominator, dims (chain, draw, ...), from the same posterior or from
        two independent ones.
    prob : float
        Probability of the interval that must exclude zero.

    Returns
    -------
    Estimate
        ``ratio`` (chain, draw, ...), ``bounded`` (...), ``p_sign`` (...): the posterior
        probability that the change has its more probable sign.

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
    ratio = (outcome / change).assign_attrs(quantity=RATIO)
    quantities = {"ratio": ratio, "bounded": sure > 1 - tail, "p_sign": sure}
    check_names(ratio.dims, quantities)
    found = xr.Dataset(quantities)
    return estimate(found, of=(outcome, change), estimand="ratio of two effects")


def rank_probabilities(draws: xr.DataArray, dim: str) -> xr.DataArray:
    """Compute the posterior probability of each rank along a dim; rank 1 is the largest.

    Parameters
    ----------
    draws : DataArray
        Draws with dims (chain, draw, `dim`, ...).
    dim : str
        Dim whose levels are ranked.

    Returns
    -------
    DataArray
        Probabilities with dims (`dim`, rank, ...), which sum to one over `dim` and over rank.

    Raises
    ------
    DataError
        If the draws of a level are missing, because it is not estimable. The error names it.

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
