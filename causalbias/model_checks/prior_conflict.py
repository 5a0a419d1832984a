"""Conflicts between priors and data."""

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.inference.problem import EngineError, FloatArray
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import fitted, flat
from causalbias.models.naming import name_draws
from causalbias.models.prior_draws import draw_priors
from causalbias.models.shrinkage import HYPERPARAMETERS
from causalbias.models.summary import correlated

DRAWS = 20_000


def prior_conflicts(
    fit: xr.DataTree, *, random_seed: int = 0
) -> list[tuple[str, float, float, float]]:
    """Compute how far in the tail of its prior each parameter's estimate lies.

    The estimate from the data alone is compared with its prior predictive distribution (Evans and
    Moshonov 2006, Bayesian Analysis 1(4)). With a normal prior and likelihood, this is a comparison
    of the prior with ``|posterior median - prior median| / sqrt(1 - r^2)``, where r is the spread
    of the posterior divided by that of the prior. A standard deviation conflicts with its prior if
    it is larger than expected, but not if it is smaller.

    Returns
    -------
    list of (parameter, median, prior's median, p)
        p is of one parameter, from 20,000 draws of the prior.

    Raises
    ------
    DataError
        If a prior is improper or no engine knows it.
    """
    prior, positives = _prior(fit, random_seed), fitted(fit).family.positive
    posterior = fit.children["posterior"].to_dataset()
    found = []
    for name in map(str, prior.data_vars):
        if correlated(name)[1] or name not in posterior:
            continue
        sides = (flat(prior[name]), flat(posterior[name]))
        dims = [d for d in prior[name].dims if d not in ("chain", "draw")]
        stacked = prior[name].isel(chain=0, draw=0).stack(cell=dims) if dims else None
        for at, (expected, seen) in enumerate(zip(sides[0].T, sides[1].T, strict=True)):
            cell = ""
            if stacked is not None:
                cell = f"[{', '.join(map(str, stacked['cell'].values[at]))}]"
            positive = "|" in name or name in positives or name.endswith(HYPERPARAMETERS)
            p = _tail(expected, seen, positive=positive)
            found.append((name + cell, float(np.median(seen)), float(np.median(expected)), p))
    return found


def _prior(fit: xr.DataTree, random_seed: int) -> xr.Dataset:
    model = fitted(fit)
    try:
        arrays = arrays_of(model, normal=False)
    except EngineError as error:
        raise DataError(f"no draws from the prior: {error}", hint="change that term") from error
    drawn = draw_priors(model, arrays, DRAWS, generator(random_seed))
    return name_draws(model, arrays, drawn, drawn.further, 1, drawn.parts, drawn.across)


def _tail(expected: FloatArray, seen: FloatArray, *, positive: bool) -> float:
    """Share of the prior's draws at least as far out as the data's estimate."""
    if positive:
        beyond = (expected >= np.median(seen)).sum()
        return float((1 + beyond) / (1 + len(expected)))
    centre = np.median(expected)
    spreads = [np.subtract(*np.quantile(one, [0.75, 0.25])) for one in (seen, expected)]
    # Where the data say little the ratio is noise: below 0.2 it is not told from it.
    learnt = max(0.2, 1 - (spreads[0] / max(spreads[1], 1e-300)) ** 2)
    distance = abs(np.median(seen) - centre) / np.sqrt(learnt)
    beyond = (np.abs(expected - centre) >= distance).sum()
    return float((1 + beyond) / (1 + len(expected)))
