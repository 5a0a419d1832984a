"""Outcome per unit of perceived change, over manipulations whose perceived change is estimated."""

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.inference.gibbs import sample_slope
from causalbias.inference.problem import FloatArray


def per_perceived(
    outcome: xr.DataArray,
    change: xr.DataArray,
    dim: str,
    *,
    draws: int = 1000,
    tune: int = 300,
    chains: int = 4,
    random_seed: int = 0,
) -> Estimate:
    """Slope of an outcome on what people see change, over manipulations, free of raters' noise.

    How much further does a network move for each point of perceived change? Perceived changes are
    estimates from few raters. Plugged into a regression they flatten its slope, the more the
    fewer the raters (regression dilution). Here each manipulation's true change x is latent,
    ``x ~ N(mu, tau^2)``; its estimate is ``N(x, V)``; the outcome's true value is ``a + b x +
    N(0, scatter^2)`` and its estimate about that ``N(0, W)``: a structural errors-in-variables
    model (Carroll, Ruppert, Stefanski and Crainiceanu 2006, ch. 9) with the error known. V and W
    are the covariances of the draws, so what manipulations share (raters, seeds) is kept.

    Priors are weak, in the units of the data: the slope is normal, of scale ``2.5 sd(outcome) /
    sd(change)`` as in `fit`; scatter and tau are half-t, of three degrees and scale 2.5 sd.

    Parameters
    ----------
    outcome, change : DataArray
        Draws of both by manipulation, dims (chain, draw, `dim`), of independent fits: such as
        effects on a distance, and on people's ratings. Posteriors are taken as normal.
    dim : str
        The manipulations: at least five that both have.
    draws, tune, chains : int
        Of the Gibbs sampler.
    random_seed : int
        Of the random numbers.

    Returns
    -------
    Estimate
        ``slope`` (chain, draw): outcome per unit of perceived change; ``intercept``; ``scatter``:
        standard deviation of the outcome about the line, what perceived change does not explain;
        ``true_change`` (chain, draw, `dim`): changes, pooled; ``n``: manipulations.

    Raises
    ------
    DataError
        If dims differ from these, or fewer than five manipulations are shared.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> seen = xr.DataArray(10 * np.arange(8.0), dims="what", coords={"what": list("abcdefgh")})
    >>> noise = lambda sd: xr.DataArray(rng.normal(0, sd, (4, 250, 8)), dims=(*SAMPLE, "what"))
    >>> found = per_perceived(0.1 + 0.02 * seen + noise(0.02), seen + noise(1.0), "what", draws=200)
    >>> round(float(found["slope"].median()), 2)
    0.02
    """
    for values in (outcome, change):
        if set(values.dims) != {*SAMPLE, dim}:
            raise DataError(
                f"the draws have dims {', '.join(map(str, values.dims))}",
                hint=f"give (chain, draw, {dim}), selecting from the others with .sel",
            )
    check_names([dim], ["slope", "intercept", "scatter", "true_change", "n"])
    shared = [one for one in outcome[dim].values.tolist() if one in change[dim].values.tolist()]
    if len(shared) < 5:
        raise DataError(
            f"{len(shared)} manipulations in both ({', '.join(map(str, shared)) or 'none'})",
            hint="give five or more: fewer do not make a line",
        )
    moments = [_moments(values.sel({dim: shared}), dim) for values in (outcome, change)]
    found = [
        sample_slope(*moments[0], *moments[1], draws=draws, tune=tune, rng=rng)
        for rng in generator(random_seed).spawn(chains)
    ]
    every = {name: np.stack([one[name] for one in found]) for name in found[0]}
    line = xr.Dataset(
        {
            "slope": (SAMPLE, every["slope"]),
            "intercept": (SAMPLE, every["intercept"]),
            "scatter": (SAMPLE, every["scatter"]),
            "true_change": ((*SAMPLE, dim), every["latent"]),
            "n": len(shared),
        },
        coords={"chain": np.arange(chains), "draw": np.arange(draws), dim: shared},
        attrs={
            "estimand": f"outcome per unit of perceived change, over {dim}",
            "scale": "response",
        },
    )
    return estimate(line, of=[outcome, change])


def _moments(values: xr.DataArray, dim: str) -> tuple[FloatArray, FloatArray]:
    flat = values.transpose(*SAMPLE, dim).values.reshape(-1, values.sizes[dim])
    return flat.mean(axis=0), np.atleast_2d(np.cov(flat.T))
