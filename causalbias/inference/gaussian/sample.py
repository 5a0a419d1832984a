"""Exact, fast posterior of Gaussian hierarchical regressions.

Given the standard deviations and correlations, coefficients and effects are jointly normal and
integrate out in closed form. What is left is a density over a handful of parameters, whose cost
does not depend on the number of rows; it is explored by adaptive importance sampling, and
coefficients and effects are then drawn exactly. No Markov chain is run, so there is nothing to
converge: trust is a matter of the importance weights, which are diagnosed.
"""

import os
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from causalbias.arguments import generator
from causalbias.inference.checks import (
    check_effects_leave_noise,
    check_not_exact,
    check_problem,
)
from causalbias.inference.gaussian.blocks import Blocks, build_blocks
from causalbias.inference.gaussian.density import (
    Eliminated,
    at_rounding,
    draw_given,
    eliminate,
    eliminate_rest,
    first_weights,
)
from causalbias.inference.gaussian.effects import draw_leading
from causalbias.inference.gaussian.lanczos import LanczosTerm
from causalbias.inference.gaussian.noise import Noise, noise_of
from causalbias.inference.gaussian.noise_draws import BESIDE, GivenScales
from causalbias.inference.gaussian.small import at_scales, is_small, n_drawn
from causalbias.inference.gaussian.sparse_part import SparsePart
from causalbias.inference.importance.adaptive import (
    adapt,
    find_mode,
    kish,
    pareto_k,
    resample,
    sample_until_good,
)
from causalbias.inference.importance.folding import Fold, choose_fold
from causalbias.inference.problem import (
    EngineError,
    FloatArray,
    GroupTerm,
    IntArray,
    LogDensity,
    Problem,
    numerical,
)
from causalbias.inference.scales import Scales
from causalbias.inference.threads import one_thread
from causalbias.io.memory import chunks

_THREADED = 200  # columns of the dense part from which on its factors are made in threads
_MAX_HELD = 2**30  # bytes of factors at a time, with what they are made of
_MANY = 7  # scales, from which on proposals need not fit as well
_MAX_BATCH = 2**23  # bytes of matrices that are made by one product

# Of points (N, d), the log density (N,); where an array (N, width) is given it is filled with what
# is drawn along with each point.
_Density = Callable[..., FloatArray]


@dataclass(frozen=True)
class Diagnostics:
    """How far the draws can be trusted, and what they cost.

    Attributes
    ----------
    importance_ess : float
        Kish effective sample size of the importance weights.
    pareto_k : float
        Shape of their tail: up to 0.7 is fine, above it the draws are not to be relied on.
    efficiency : float
        Effective draws per proposal, in [0, 1].
    n_evaluations : int
        Evaluations of the marginal density, all stages.
    seconds : dict
        Wall time by stage: blocks, mode, adapt, draw, effects.
    density_error : float
        Standard error that an estimated log determinant brings to posterior means, in posterior
        standard deviations, at most (`LanczosTerm.error`). Zero where the density is exact.
    """

    importance_ess: float
    pareto_k: float
    efficiency: float
    n_evaluations: int
    seconds: dict[str, float]
    density_error: float = 0.0


@dataclass(frozen=True)
class GaussianDraws:
    """Posterior draws.

    Attributes
    ----------
    beta : ndarray (draws, p)
    cell_sigma : ndarray (draws, cells)
        Residual sd of an observation of precision one, in each cell of ``noise``.
    sd : dict of ndarray (draws, k)
    corr : dict of ndarray (draws, k, k)
        Correlation matrices of terms with correlated effects.
    effects : dict of ndarray (draws, n_levels, k)
        Of the terms that were kept.
    lp : ndarray (draws,)
        Log joint density of y and the scales (log scale), coefficients and effects integrated
        out.
    diagnostics : Diagnostics
    others : dict of ndarray (draws, n_levels, k)
        Effects of all terms but the leading (largest) one, kept or not: given these the leading
        term's can be drawn at any time, see `leading_effects`. Empty where the effects have a
        sparse factor, by which all can be drawn at any time: see `sparse_effects`.
    factors : dict of ndarray (draws, k, k)
        ``diag(sd) @ chol(corr)``.
    noise_coefficients : ndarray (draws, q)
        Coefficients of log sigma: its log itself where it is constant.
    noise_sd : ndarray (draws,)
        Sd of the effects of log sigma; zero where it has no group term.
    noise_effects : ndarray (draws, levels)
        These effects.
    noise : Noise
        Which rows are in which cell of equal sigma: all in one where it is constant.
    blocks : Blocks
    streams : ndarray (draws,) of uint64
        Seed of each draw's leading effects, or of all that have a sparse factor.
    """

    beta: FloatArray
    cell_sigma: FloatArray
    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    effects: dict[str, NDArray[np.floating]]
    lp: FloatArray
    diagnostics: Diagnostics
    others: dict[str, FloatArray]
    factors: dict[str, FloatArray]
    noise_coefficients: FloatArray
    noise_sd: FloatArray
    noise_effects: FloatArray
    noise: Noise
    blocks: Blocks
    streams: NDArray[np.uint64]

    @property
    def sigma(self) -> FloatArray:
        """Residual sd (draws,) of an observation of precision one, where it is constant."""
        if self.noise.n_cells > 1:
            raise EngineError("sigma differs by row: see cell_sigma")
        return self.cell_sigma[:, 0]


def sample_gaussian(
    problem: Problem,
    sigma_log_prior: LogDensity | None,
    *,
    draws: int = 4000,
    random_seed: int = 0,
    keep: Collection[str] | None = None,
) -> GaussianDraws:
    """Sample the posterior of a Gaussian hierarchical regression.

    The model is ``y_i ~ Normal(eta_i, sigma^2 / row_precision_i)``, ``row_weight_i`` times over,
    with eta as in `problem`. Sigma is constant or, where ``problem.further`` has its predictor,
    ``log sigma_i = design_i' gamma + w_l``, l the row's level of one grouping factor. Scales
    theta, gamma and w among them, are proposed from a density q, coefficients and effects x drawn
    from ``p(x | y, theta)``, and draws are chosen with weights
    ``p(y | theta) p(theta) / q(theta)``.

    Parameters
    ----------
    problem : Problem
    sigma_log_prior : callable or None
        Log density of sigma itself (not of its log), vectorised over an array. None where sigma has
        a linear predictor, whose coefficients have Normal priors.
    draws : int
    random_seed : int
        Same seed, same draws.
    keep : collection of str, optional
        Terms whose effects are returned; all by default. The leading (largest) term's take
        ``4 * draws * n_levels * k`` bytes: leave it out and see `leading_effects`.

    Returns
    -------
    GaussianDraws

    Raises
    ------
    EngineError
        On inconsistent input, an improper posterior, or a model too large to factor; where sigma's
        predictor has more than 64 distinct rows, or group terms but for one ``(1|g)`` (`noise`).

    Warns
    -----
    UserWarning
        Where the importance weights' Pareto k exceeds 0.7.

    Notes
    -----
    Bates et al. (2015), *Fitting linear mixed-effects models using lme4*, J. Stat. Soft. 67(1),
    section 3, for the penalised least-squares problem; see `causalbias.inference.importance` for
    sampling.

    Examples
    --------
    >>> import numpy as np
    >>> from causalbias.inference.problem import GroupTerm, Problem
    >>> rng = np.random.default_rng(0)
    >>> group = np.repeat(np.arange(20), 5)
    >>> y = 3 + rng.normal(size=20)[group] + 0.5 * rng.normal(size=100)
    >>> prior = lambda sd: -0.5 * sd**2
    >>> ones = np.ones((100, 1))
    >>> term = GroupTerm("1|g", ("1",), ones, group[:, None], ones, 20, False, (prior,))
    >>> problem = Problem(y, ones, np.zeros(1), np.full(1, 10.0), (term,), np.ones(100))
    >>> found = sample_gaussian(problem, prior, draws=500, random_seed=1)
    >>> found.effects["1|g"].shape, bool(abs(found.sigma.mean() - 0.5) < 0.1)
    ((500, 20, 1), True)
    """
    check_problem(problem)
    problem = problem.less_offset
    names = [t.name for t in problem.terms]
    if draws < 1:
        raise EngineError(f"draws must be positive, found {draws}")
    if keep is not None and not set(keep) <= set(names):
        raise EngineError(f"keep names {sorted(set(keep) - set(names))}; the terms are {names}")
    # thousands of small factorisations: threads within each only get into one another's way,
    # ruinously so on a busy machine, and make rounding depend on the machine
    with one_thread(), numerical():
        return _sample(problem, sigma_log_prior, draws, generator(random_seed), keep)


def effects_at(
    problem: Problem, draws: GaussianDraws, some: slice | IntArray
) -> dict[str, NDArray[np.floating]]:
    """Effects (n, n_levels, k) of each term at some of the draws, kept or not."""
    problem = problem.less_offset
    known = draws.others | draws.effects
    found = {name: effects[some] for name, effects in known.items()}
    if len(found) == len(problem.terms):
        return found
    if draws.blocks.sparse is not None:
        return sparse_effects(problem, draws, some)
    lead = next(term.name for term in problem.terms if term.name not in found)
    return found | {lead: leading_effects(problem, draws, some)}


def sparse_effects(
    problem: Problem, draws: GaussianDraws, which: slice | IntArray
) -> dict[str, NDArray[np.floating]]:
    """Draw the effects (n, n_levels, k) of each term for some draws, by the sparse factor.

    The same numbers come back each time, and are those of ``draws.effects`` where they were kept.
    """
    part = draws.blocks.sparse
    if part is None:
        raise EngineError("the effects are not eliminated together")
    names = [term.name for term in problem.terms]
    factors = [draws.factors[name][which] for name in names]
    beta = draws.beta[which] - draws.blocks.centre
    with one_thread():
        found = part.draw(draws.cell_sigma[which], factors, beta, draws.streams[which])
    return dict(zip(names, found, strict=True))


def leading_effects(
    problem: Problem, draws: GaussianDraws, which: slice | IntArray
) -> NDArray[np.float32]:
    """Draw the leading term's effects for some draws, (n, n_levels, k).

    The same numbers come back each time, and are those of ``draws.effects`` where it was kept.
    """
    leading = draws.blocks.leading
    if leading is None:
        raise EngineError("no term has one level a row, so there is no leading term")
    count = len(draws.beta[which])
    dense = [draws.others[problem.terms[i].name][which] for i in draws.blocks.dense_terms]
    chain = [i for i in draws.blocks.chain.terms if i != leading.term]
    return draw_leading(
        leading,
        draws.cell_sigma[which],
        draws.factors[problem.terms[leading.term].name][which],
        draws.beta[which] - draws.blocks.centre,
        [draws.others[problem.terms[i].name][which] for i in chain],
        np.concatenate([d.reshape(count, -1) for d in dense], axis=1)
        if dense
        else np.empty((count, 0)),
        draws.streams[which],
    )


@dataclass(frozen=True)
class _Proposed:
    """Proposed scales theta (N, d), what was drawn with each, and their weights.

    Attributes
    ----------
    noise : Noise
        By which theta is read.
    theta : ndarray (N, d)
    rest : ndarray (N, width)
        Coefficients and effects.
    log_density : ndarray (N,)
        Of theta.
    log_weight : ndarray (N,)
    n_evaluations : int
    """

    noise: Noise
    theta: FloatArray
    rest: FloatArray
    log_density: FloatArray
    log_weight: FloatArray
    n_evaluations: int

    def scales(self, problem: Problem) -> Scales:
        """On their natural scales."""
        return self.noise.scales(self.theta, problem)

    def chosen(self, draws: int, rng: np.random.Generator) -> "_Proposed":
        """So many of them, by their weights."""
        order = rng.permutation(len(self.log_weight))
        some = order[resample(self.log_weight[order], draws, rng)]
        theta, rest, log_density = self.theta[some], self.rest[some], self.log_density[some]
        return replace(self, theta=theta, rest=rest, log_density=log_density)


def _sample(
    problem: Problem,
    sigma_log_prior: LogDensity | None,
    draws: int,
    rng: np.random.Generator,
    keep: Collection[str] | None,
) -> GaussianDraws:
    seconds: dict[str, float] = {}
    began = perf_counter()
    noise = noise_of(problem, sigma_log_prior)
    blocks = build_blocks(problem, noise.cell)
    check_not_exact(problem, float(blocks.total[-1]))
    seconds["blocks"] = perf_counter() - began
    while True:
        proposed = _explore(blocks, problem, noise, draws, rng, seconds)
        better = _refined(blocks, proposed.scales(problem), proposed.log_weight)
        if better is None:
            break
        blocks = better
    found = _collect(problem, blocks, proposed, draws, rng, seconds)
    began = perf_counter()
    kept = [term for term in problem.terms if keep is None or term.name in keep]
    found.effects.update(_kept_effects(problem, found, kept))
    seconds["effects"] = perf_counter() - began
    return found


def _refined(blocks: Blocks, scales: Scales, log_weight: FloatArray) -> Blocks | None:
    """Blocks that estimate the density better, where they do not well enough; else None."""
    if not isinstance(blocks.sparse, LanczosTerm):
        return None
    weight = np.exp(log_weight - logsumexp(log_weight))
    better = blocks.sparse.refined(scales.sd[0][:, 0] / scales.sigma[:, 0], weight)
    return None if better is None else replace(blocks, sparse=better)


def _density_error(blocks: Blocks, scales: Scales) -> float:
    if not isinstance(blocks.sparse, LanczosTerm):
        return 0.0
    return blocks.sparse.error(scales.sd[0][:, 0] / scales.sigma[:, 0], np.ones(len(scales.sigma)))


@dataclass(frozen=True)
class _Mode:
    """Coordinates x in which the density is nearly normal, and its mode and covariance in them.

    x is theta with loosely determined log sds folded (`folding`): first the scales, then the
    effects of log sigma, if there are any.
    """

    noise: Noise
    fold: Fold
    mode: FloatArray
    cov: FloatArray

    @property
    def n_scales(self) -> int:
        """Number of scales."""
        return len(self.mode) - self.noise.n_levels

    def theta(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Theta (N, d) at x (N, d), and the log Jacobian (N,)."""
        scales, log_jacobian = self.fold.theta(self.fold.canonical(x[:, : self.n_scales]))
        return np.concatenate([scales, x[:, self.n_scales :]], axis=1), log_jacobian


def _explore(
    blocks: Blocks,
    problem: Problem,
    noise: Noise,
    draws: int,
    rng: np.random.Generator,
    seconds: dict[str, float],
) -> _Proposed:
    """Propose scales, with coefficients and effects drawn at each, until the weights are good."""
    spent = 0

    def of_noise(noise: Noise) -> _Density:
        def log_density(theta: FloatArray, rest: FloatArray | None = None) -> FloatArray:
            nonlocal spent
            spent += len(theta)
            return _evaluate(theta, blocks, problem, noise, rest, rng)

        return log_density

    began = perf_counter()
    found = _search(of_noise, blocks, problem, noise)
    seconds["mode"] = perf_counter() - began
    density, scales = _folded(found, of_noise(found.noise)), slice(found.n_scales)
    width = blocks.n_dense - 1 + blocks.chain.n_rows
    if found.noise.n_levels:
        density = _given_scales(found, density, width, rng)
    began = perf_counter()
    # a mixture of t's does not come to 0.8 in more dimensions, and what is drawn below needs 0.65
    enough = 0.8 if found.n_scales < _MANY else 0.7
    about = found.mode[scales], found.cov[scales, scales]
    mixture, _ = adapt(density, *about, found.fold.reflections, draws, rng, enough)
    seconds["adapt"] = perf_counter() - began
    began = perf_counter()
    x, rest, values, log_weight = sample_until_good(
        density,
        mixture,
        found.fold.canonical,
        width + found.noise.n_levels,
        draws,
        rng,
        exact=not found.noise.n_levels,
    )
    theta, log_jacobian = found.theta(np.concatenate([x, rest[:, width:]], axis=1))
    seconds["draw"] = perf_counter() - began
    lp = values - log_jacobian
    return _Proposed(found.noise, theta, rest[:, :width], lp, log_weight, spent)


def _search(
    of_noise: Callable[[Noise], _Density], blocks: Blocks, problem: Problem, noise: Noise
) -> _Mode:
    """Find the mode of the density of theta, in coordinates in which it is about normal."""
    noise, start = _start(blocks, problem, noise)
    log_density = of_noise(noise)
    # as sigma tends to zero the density must fall, be it only by the Jacobian of the log
    down = np.zeros(len(start))
    down[: noise.n_coefficients] = noise.nearest(np.ones(noise.n_cells), blocks.cell_n)
    near_zero = log_density(start - down * [[5.0], [7.0]])
    if not near_zero[1] < near_zero[0]:  # or so it seems: there little but rounding is left
        check_effects_leave_noise(problem)
    mode, cov = find_mode(log_density, start)
    noise, mode = noise.refined(mode, cov)
    if at_rounding(blocks, np.exp(-1.0) * noise.scales(mode[None], problem).sigma[0]):
        raise EngineError("sigma is too small beside the effects for numbers of 16 digits")
    scales = slice(len(mode) - noise.n_levels)
    wide = np.sqrt(np.diag(cov))[scales]
    varies = noise.levels is not None
    fold = choose_fold(mode[scales], wide, problem.terms, noise.n_first, varies=varies)
    found = _Mode(noise, fold, mode, cov)
    if len(fold.folded):
        start = np.concatenate([fold.inverse(mode[scales]), mode[scales.stop :]])
        mode, cov = find_mode(_folded(found, of_noise(noise)), start)
    return replace(found, mode=mode, cov=cov)


def _folded(found: _Mode, log_density: _Density) -> _Density:
    """The density of x, of that of theta."""

    def density(x: FloatArray, rest: FloatArray | None = None) -> FloatArray:
        theta, log_jacobian = found.theta(x)
        return log_density(theta, rest) + log_jacobian

    return density


def _given_scales(found: _Mode, joint: _Density, width: int, rng: np.random.Generator) -> _Density:
    """The density of the scales alone, estimated; the effects of log sigma follow the rest."""
    given = GivenScales.at(found.mode, found.cov, found.noise.n_levels)
    # numbers of one point: coordinates, effects and sigmas of all that is drawn beside it
    size = 8 * BESIDE * (len(found.mode) + 4 * found.noise.n_levels + 4 * found.noise.n_cells)

    def density(x: FloatArray, rest: FloatArray | None = None) -> FloatArray:
        x, values = found.fold.canonical(x), np.empty(len(x))
        for part in chunks(len(x), size):
            values[part], z = given.marginal(joint, x[part], rng)
            if rest is not None:
                rest[part, width:] = z
                joint(np.concatenate([x[part], z], axis=1), rest[part, :width])
        return values

    return density


def _evaluate(
    theta: FloatArray,
    blocks: Blocks,
    problem: Problem,
    noise: Noise,
    rest: FloatArray | None,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the log density of each row of theta; fill ``rest`` with draws where given.

    A row of ``rest`` holds coefficients, dense effects and chain effects (right-aligned).
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scales = noise.scales(theta, problem)
        lp = np.full(len(theta), -np.inf)
        p = len(problem.beta_mean)
        possible = np.flatnonzero(np.isfinite(scales.log_prior) & (scales.sigma > 0).all(axis=1))
        if is_small(blocks):
            for some in chunks(len(possible), 16 * n_drawn(blocks)):
                _evaluate_small(scales, possible[some], blocks, lp, rest, rng)
            return lp
        for i, done in zip(possible, _eliminated(blocks, scales, possible), strict=True):
            if done is None or not np.isfinite(done.log_marginal):
                continue
            lp[i] = scales.log_prior[i] + done.log_marginal
            if rest is not None:
                beta, dense, chain = draw_given(done, blocks, rng.standard_normal)
                rest[i, :p], rest[i, p : p + len(dense)] = beta, dense
                rest[i, rest.shape[1] - len(chain) :] = chain
    return lp


def _evaluate_small(
    scales: Scales,
    which: IntArray,
    blocks: Blocks,
    lp: FloatArray,
    rest: FloatArray | None,
    rng: np.random.Generator,
) -> None:
    """Fill ``lp`` and ``rest`` at some of the scales, in one compiled call."""
    noise = None if rest is None else rng.standard_normal((len(which), n_drawn(blocks)))
    log_marginal, drawn = at_scales(blocks, scales.sigma[which], scales.factors(which), noise)
    lp[which] = scales.log_prior[which] + log_marginal
    if rest is not None:
        q = blocks.n_dense - 1
        rest[which, :q] = drawn[:, :q]
        rest[which, rest.shape[1] - (drawn.shape[1] - q) :] = drawn[:, q:]


def _eliminated(blocks: Blocks, scales: Scales, which: IntArray) -> Iterator[Eliminated | None]:
    """The factored normal matrix at some of the scales; it may be overwritten by the next.

    Large factors are made in threads beside each other: compiled code lets go of the interpreter's
    lock. They are few at a time, so that few are held.
    """
    sparse = isinstance(blocks.sparse, SparsePart) and blocks.sparse.largest is None
    if not sparse and blocks.n_dense < _THREADED:
        yield from _in_batches(blocks, scales, which)
        return

    def one(i: int) -> Eliminated | None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            own = np.empty(blocks.stack.shape[1])
            return eliminate(blocks, scales.sigma[i], scales.factors(int(i)), own)

    held = max(1, min(64, _MAX_HELD // (3 * 8 * blocks.stack.shape[1])))
    with ThreadPoolExecutor(min(held, os.cpu_count() or 1)) as pool:
        for at in range(0, len(which), held):
            yield from pool.map(one, which[at : at + held])


def _in_batches(blocks: Blocks, scales: Scales, which: IntArray) -> Iterator[Eliminated | None]:
    """As `_eliminated`, with the first part of many scales as one product of matrices."""
    if blocks.sparse is not None:
        work = np.empty(blocks.stack.shape[1])
        for i in which:
            yield eliminate(blocks, scales.sigma[i], scales.factors(int(i)), work)
        return
    size = max(1, _MAX_BATCH // (8 * sum(blocks.stack.shape)))
    for first in range(0, len(which), size):
        some = which[first : first + size]
        factors = [scales.factors(int(i)) for i in some]
        weights, log_dets = np.empty((len(some), len(blocks.stack))), []
        for at, (i, own) in enumerate(zip(some, factors, strict=True)):
            weights[at], log_det = first_weights(blocks, scales.sigma[i], own)
            log_dets.append(log_det)
        flats = weights @ blocks.stack
        for i, own, flat, log_det in zip(some, factors, flats, log_dets, strict=True):
            yield eliminate_rest(blocks, scales.sigma[i], own, flat, log_det)


def _start(blocks: Blocks, problem: Problem, noise: Noise) -> tuple[Noise, FloatArray]:
    """Guess: half the residual spread each for sigma and every term's contribution."""
    residual = problem.y - problem.design @ blocks.centre
    weight, cells = problem.total_weight, blocks.cell_n
    spread = np.sqrt(residual**2 @ weight / blocks.n)
    of_cell = np.sqrt(np.bincount(noise.cell, residual**2 * weight) / cells)
    whole = np.sqrt(problem.y**2 @ weight / blocks.n)
    if spread < 1e-6 * whole:  # the coefficients can fit y exactly, but their priors may not
        spread, of_cell = whole, np.full(len(cells), whole)
    noise, of_noise = noise.about(np.log(0.7 * np.maximum(of_cell, 0.01 * spread)), cells)
    parts = [of_noise]
    for term in problem.terms:
        log_sd = np.log(0.5 * spread / term.root_mean_squares(problem.row_repeats))
        parts += [log_sd, np.zeros(term.n_corr)]
    return noise, np.concatenate([*parts, np.zeros(noise.n_levels)])


def _collect(
    problem: Problem,
    blocks: Blocks,
    proposed: _Proposed,
    draws: int,
    rng: np.random.Generator,
    seconds: dict[str, float],
) -> GaussianDraws:
    """Draws chosen by their weights, with the effects that were drawn along with their scales."""
    found, noise, log_weight = proposed.chosen(draws, rng), proposed.noise, proposed.log_weight
    terms, p = problem.terms, len(problem.beta_mean)
    scales = found.scales(problem)
    pairs = list(zip(terms, scales.sd, scales.corr_factor, strict=True))
    shape = pareto_k(log_weight)
    if shape > 0.7:
        warnings.warn(
            f"importance weights have Pareto k {shape:.2f} > 0.7: the draws are unreliable, "
            "sample this model by MCMC",
            stacklevel=4,
        )
    beta = found.rest[:, :p].copy()
    effective = kish(log_weight)
    tau, w = noise.effects(found.theta)
    return GaussianDraws(
        beta=beta,
        cell_sigma=scales.sigma,
        sd={t.name: sd for t, sd, _ in pairs},
        corr={t.name: c @ c.swapaxes(1, 2) for t, _, c in pairs if t.correlated},
        effects={},
        lp=found.log_density,
        diagnostics=Diagnostics(
            effective,
            shape,
            effective / len(log_weight),
            found.n_evaluations,
            seconds,
            _density_error(blocks, scales),
        ),
        others=_split_effects(found.rest, terms, blocks, p),
        factors={t.name: sd[:, :, None] * c for t, sd, c in pairs},
        noise_coefficients=noise.coefficients(found.theta),
        noise_sd=tau,
        noise_effects=w,
        noise=noise,
        blocks=blocks,
        streams=rng.integers(0, 2**63, draws, dtype=np.uint64),
    )


def _kept_effects(
    problem: Problem, found: GaussianDraws, kept: list[GroupTerm]
) -> dict[str, NDArray[np.floating]]:
    """Effects of some terms at all draws; those that are drawn on demand, in chunks of draws."""
    many = len(found.beta)
    missing = [term for term in kept if term.name not in found.others]
    effects: dict[str, NDArray[np.floating]] = {
        term.name: np.empty((many, term.n_levels, term.k), np.float32) for term in missing
    }
    for part in chunks(many, 8 * sum(term.n_effects for term in missing)) if missing else ():
        drawn = effects_at(problem, found, part)
        for name, values in effects.items():
            values[part] = drawn[name]
    known = found.others | effects
    return {term.name: known[term.name] for term in kept}


def _split_effects(
    rest: FloatArray, terms: tuple[GroupTerm, ...], blocks: Blocks, p: int
) -> dict[str, FloatArray]:
    others, at = {}, p
    lead = blocks.leading.term if blocks.leading is not None else -1
    chain = tuple(i for i in blocks.chain.terms if i != lead)
    for members in (blocks.dense_terms, chain):
        for i in members:
            part = rest[:, at : at + terms[i].n_effects]
            others[terms[i].name] = part.reshape(-1, terms[i].n_levels, terms[i].k)
            at += terms[i].n_effects
        at = rest.shape[1] - sum(terms[i].n_effects for i in chain)
    return others
