"""Draws from the prior of a model's parameters, under the names that its posterior has."""

from dataclasses import dataclass

import bambi as bmb
import numpy as np
from scipy import stats

from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.inference.scales import draw_corr_factors
from causalbias.models.arrays import Arrays, SharedTerms
from causalbias.models.fitted import ModelDesign, PartDesign
from causalbias.models.naming import Variable
from causalbias.models.priors import draw_prior, prior_of_set
from causalbias.models.thresholds import slices


@dataclass(frozen=True)
class PriorDraws:
    """Draws of all parameters but the effects of single levels, in a problem's coordinates.

    Attributes
    ----------
    beta : ndarray (draws, p)
        Of the centred design.
    sd : dict of ndarray (draws, k), by term
    corr : dict of ndarray (draws, k, k)
    factors : dict of ndarray (draws, k, k)
        ``diag(sd) @ chol(corr)``.
    further : dict of name to (dims, ndarray (draws, ...))
        sigma, kappa, threshold, and what a shrinkage prior has besides coefficients.
    effects : dict of ndarray (draws, levels, k)
        To be filled in.
    parts : dict of str to PriorDraws
        Of the predictors of parameters that differ by row.
    across : dict of ndarray (draws, K, K)
        Correlations of the effects that `Arrays.shared` names. The factors of their terms are
        (draws, k, K), of the same K white numbers a level.
    """

    beta: FloatArray
    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    factors: dict[str, FloatArray]
    further: dict[str, Variable]
    effects: dict[str, FloatArray]
    parts: "dict[str, PriorDraws]"
    across: dict[str, FloatArray]


def draw_priors(
    model: ModelDesign, arrays: Arrays, draws: int, rng: np.random.Generator
) -> PriorDraws:
    """Draw from the priors of a model.

    Parameters
    ----------
    model : ModelDesign
    arrays : Arrays
        Of that model.
    draws : int
    rng : Generator

    Raises
    ------
    DataError
        If a prior is improper, naming its term.
    """
    columns, shrunk, at = [np.empty((draws, 0))], list[int](), 0
    for name, term in model.coefficient_terms.items():
        size = np.asarray(term.data).reshape(len(arrays.problem.y), -1).shape[1]
        if arrays.shrinkage is not None and name in arrays.shrinkage.spreads:
            shrunk += range(at, at + size)
            columns.append(np.zeros((draws, size)))  # until sigma is drawn
        elif name in arrays.monotone:
            columns.append(arrays.monotone[name].draw(draws, rng))
        else:
            columns.append(draw_prior(term.prior, name, (draws, size), rng))
        at += size
    sd, corr, factors = {}, {}, {}
    for term in arrays.problem.terms:
        priors = arrays.sd_priors[term.name]
        sd[term.name] = np.hstack([draw_prior(one, term.name, (draws, 1), rng) for one in priors])
        chol = np.broadcast_to(np.eye(len(priors)), (draws, len(priors), len(priors)))
        if term.correlated:
            chol = draw_corr_factors(len(priors), term.lkj_eta, draws, rng)
            corr[term.name] = chol @ chol.swapaxes(1, 2)
        factors[term.name] = sd[term.name][:, :, None] * chol
    further: dict[str, Variable] = {}
    of_family = {} if isinstance(model, PartDesign) else model.bambi.marginal_parameters
    for name, one in of_family.items():
        if name in model.parts:
            continue
        if name == "threshold":
            further[name] = (("threshold_dim",), _all_thresholds(model, one.prior, draws, rng))
        elif isinstance(one.prior, bmb.Prior):
            further[name] = ((), draw_prior(one.prior, name, (draws,), rng))
        else:
            further[name] = ((), np.full(draws, float(one.prior)))
    parts = {
        name: draw_priors(one, arrays.parts[name], draws, rng) for name, one in model.parts.items()
    }
    beta = np.hstack(columns)
    for name, own in parts.items():
        further |= {f"{name}_{one}": values for one, values in own.further.items()}
    if arrays.shrinkage is not None:
        unit = np.full(draws, arrays.shrinkage.unit)
        noise = np.asarray(further["sigma"][1], float) if arrays.shrinkage.of_noise else unit
        beta[:, shrunk], hyper = arrays.shrinkage.draw(noise, rng)
        further |= {name: ((), values) for name, values in hyper.items()}
    found = PriorDraws(beta, sd, corr, factors, further, {}, parts, {})
    for one in arrays.shared:
        _correlate(found, one, draw_corr_factors(len(one.shared.labels), one.lkj_eta, draws, rng))
    return found


def _correlate(drawn: PriorDraws, shared: SharedTerms, chol: FloatArray) -> None:
    """Give effects of several predictors one correlation matrix, of factors (draws, K, K)."""
    drawn.across[shared.shared.name] = corr = chol @ chol.swapaxes(1, 2)
    for term, predictor in shared.terms.items():
        of, own = drawn.parts[predictor] if predictor else drawn, shared.own(term)
        of.factors[term] = of.sd[term][:, :, None] * chol[:, own]
        if term in of.corr:
            of.corr[term] = corr[:, own, own]


def _all_thresholds(
    model: ModelDesign, prior: bmb.Prior, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draw thresholds (draws, all), set after set."""
    sets = model.threshold_sets
    sizes = (model.n_cuts,) if sets is None else sets.sizes
    if not model.family.thresholds_ascend:
        return draw_prior(prior, "threshold", (draws, sum(sizes)), rng)
    return np.hstack(
        [
            _draw_thresholds(prior_of_set(prior, own, sum(sizes)), own.stop - own.start, draws, rng)
            for own in slices(sizes)
        ]
    )


def _draw_thresholds(
    prior: bmb.Prior, cuts: int, draws: int, rng: np.random.Generator, points: int = 4001
) -> FloatArray:
    """Draw (draws, cuts) independent normals on condition that they ascend.

    bambi's own prior predictive leaves the condition out. From the last cut back, the density of a
    cut given those below it is its own times the probability that all later ones ascend above it:
    a Markov chain, of which each step is drawn by inversion on a grid.
    """
    if prior.name != "Normal":
        raise DataError(
            f"the prior of the thresholds is {prior.name}",
            hint="give a Normal one to draw from the prior",
        )
    mean = np.broadcast_to(np.asarray(prior.args["mu"], float), cuts)
    sd = np.broadcast_to(np.asarray(prior.args["sigma"], float), mean.shape)
    grid = np.linspace((mean - 8 * sd).min(), (mean + 8 * sd).max(), points)
    density = np.exp(stats.norm.logpdf(grid, mean[:, None], sd[:, None]))
    for i in range(len(mean) - 1, 0, -1):
        above = np.cumsum(density[i][::-1])[::-1]
        density[i - 1] *= above / above[0]
    step, found = grid[1] - grid[0], np.empty((draws, cuts))
    low = np.zeros(draws)
    for i, one in enumerate(density):
        cumulative = np.concatenate([[0.0], np.cumsum(one)])
        below = np.interp(low, np.arange(points + 1.0), cumulative)
        target = below + rng.uniform(size=draws) * (cumulative[-1] - below)
        at = np.searchsorted(cumulative, target, side="right").clip(1, points) - 1
        low = at + (target - cumulative[at]) / (cumulative[at + 1] - cumulative[at])
        found[:, i] = grid[0] + (low - 0.5) * step
    return found
