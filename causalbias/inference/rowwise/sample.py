"""Posterior of a hierarchical regression whose rows have any smooth log likelihood.

The log likelihood is expanded to the second order, about the mode of effects and coefficients at
some values of all other parameters; effects and coefficients are proposed from the normal density
that follows, the other parameters by adaptive importance sampling, and each draw is weighed by the
exact likelihood (`proposal`). Effects of a term with few rows a level are integrated out by
quadrature (`quadrature`). No Markov chain is run: trust is a matter of the weights, which are
diagnosed.
"""

import os
from collections.abc import Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from causalbias.arguments import generator
from causalbias.inference.checks import check_problem
from causalbias.inference.importance.adaptive import (
    Mixture,
    adapt,
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
from causalbias.inference.rowwise.densities import DENSITIES, LIMITED
from causalbias.inference.rowwise.proposal import Proposal, draws_together
from causalbias.inference.rowwise.quadrature import draw_leading
from causalbias.inference.rowwise.search import (
    around,
    expansions_at,
    farthest,
    find_expansion,
)
from causalbias.inference.rowwise.student import draw_student
from causalbias.inference.rowwise.target import Target, make_target
from causalbias.inference.threads import one_thread

_DEAR = 2e8  # rows times draws, above which draws are not cheap
# Effective draws of the weights by draw asked for: where draws are cheap, and where they are not.
_SHARE, _DEAR_SHARE = 0.65, 0.25
# Effective draws of a proposal, to stop adapting. As many draws as were asked for suffice then.
_ENOUGH, _DEAR_ENOUGH = 0.5, 0.35
# Below which dear draws are not begun: proposals are at most ten for each draw asked for.
_HOPELESS = 0.02
# Pareto k of the draws above which one expansion does not reach the posterior's tails, however many
# draws are effective, and how often further ones are made then.
_HEAVY, _TIMES = 0.4, 2
_PLACES = 400  # of theta, among which further expansions are placed
_MORE, _MAX_POINTS = 8, 64  # further expansions at a time, and all of them
# That further expansions may take, by the first one's time and the memory of its derivatives.
_SECONDS, _BYTES = 15.0, 2**30


@dataclass(frozen=True)
class Diagnostics:
    """How far the draws can be trusted, and what they cost.

    Attributes
    ----------
    importance_ess : float
        Kish effective sample size of the importance weights.
    pareto_k : float
        Shape of their tail: up to 0.7 is fine, above it the draws are not to be relied on.
    n_weighed : int
        Proposals weighed, all stages.
    n_expansions : int
    seconds : dict
        Wall time by stage.
    """

    importance_ess: float
    pareto_k: float
    n_weighed: int
    n_expansions: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class RowwiseDraws:
    """Posterior draws.

    Attributes
    ----------
    beta : ndarray (draws, p)
    parameters : dict of ndarray (draws,)
        The distribution's constant parameters.
    further : dict of ndarray (draws, q)
        Coefficients of the predictors of those that differ by row.
    sd : dict of ndarray (draws, k)
    corr : dict of ndarray (draws, k, k)
        Of terms with correlated effects.
    effects : dict of ndarray (draws, n_levels, k)
        Of the terms that were kept.
    diagnostics : Diagnostics
    thinned : dict of ndarray (some draws, n_levels, k)
        Effects of the terms that were not kept, at the draws asked for.
    """

    beta: FloatArray
    parameters: dict[str, FloatArray]
    further: dict[str, FloatArray]
    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    effects: dict[str, FloatArray]
    diagnostics: Diagnostics
    thinned: dict[str, FloatArray]


def sample_rowwise(
    problem: Problem,
    family: str,
    priors: Mapping[str, LogDensity],
    *,
    trials: FloatArray | None = None,
    limits: FloatArray | None = None,
    draws: int = 4000,
    random_seed: int = 0,
    keep: Collection[str] | None = None,
    some: Collection[int] = (),
) -> RowwiseDraws:
    """Sample the posterior of a hierarchical regression.

    Parameters
    ----------
    problem : Problem
        Predictors of `further` parameters without group terms, if any.
    family : str
        One of `DENSITIES`, or with limits of `LIMITED`, with its link.
    priors : mapping of str to callable
        Log prior density of each of the distribution's constant parameters, as they are.
    trials : ndarray (n,), optional
        Of a beta-binomial response.
    limits : ndarray (n, 4), optional
        Where rows are censored or truncated: the ends between which a response is known to lie,
        equal where it was observed, and the bounds beyond which no row was reported.
    draws, random_seed : int
        Same seed, same draws.
    keep : collection of str, optional
        Terms whose effects are returned; all by default.
    some : collection of int
        Numbers of the draws at which the effects of the other terms are returned.

    Returns
    -------
    RowwiseDraws

    Raises
    ------
    EngineError
        On inconsistent input, a posterior without a mode or with several, more effects than one
        normal proposal is good for, or weights so poor that very many rows would take too long.

    Examples
    --------
    >>> import numpy as np
    >>> from causalbias.inference.problem import GroupTerm, Problem
    >>> rng = np.random.default_rng(0)
    >>> group, ones = np.repeat(np.arange(30), 10), np.ones((300, 1))
    >>> y = 3 + rng.normal(size=30)[group] + 0.5 * rng.standard_t(4, 300)
    >>> prior = lambda sd: -0.5 * sd**2
    >>> term = GroupTerm("1|g", ("1",), ones, group[:, None], ones, 30, False, (prior,))
    >>> problem = Problem(y, ones, np.zeros(1), np.full(1, 10.0), (term,), np.ones(300))
    >>> of_nu = lambda nu: np.log(nu) - 0.1 * nu
    >>> found = sample_rowwise(problem, "t", {"sigma": prior, "nu": of_nu}, draws=400)
    >>> found.effects["1|g"].shape, found.diagnostics.pareto_k < 0.7
    ((400, 30, 1), True)
    """
    check_problem(problem)
    known = DENSITIES if limits is None else LIMITED
    if family not in known:
        raise EngineError(f"no family {family!r}; it has {', '.join(known)}")
    names = [t.name for t in problem.terms]
    if draws < 1:
        raise EngineError(f"draws must be positive, found {draws}")
    if keep is not None and not set(keep) <= set(names):
        raise EngineError(f"keep names {sorted(set(keep) - set(names))}; the terms are {names}")
    rng = generator(random_seed)
    with (
        one_thread(),
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
        np.errstate(over="ignore", divide="ignore", invalid="ignore"),
        numerical(),
    ):
        target = make_target(problem, family, priors, trials, limits)
        kept = names if keep is None else keep
        at = np.asarray(some, dtype=np.int64)
        return _sample(problem, target, draws, rng, kept, at, pool)


def _sample(
    problem: Problem,
    target: Target,
    draws: int,
    rng: np.random.Generator,
    keep: Collection[str],
    some: IntArray,
    pool: Executor,
) -> RowwiseDraws:
    seconds: dict[str, float] = {}
    began = perf_counter()
    first, cov = find_expansion(target, problem, pool)
    metric = np.linalg.inv(cov) if len(cov) else cov
    proposal = Proposal(target, [first], metric, pool)
    seconds["mode"] = perf_counter() - began
    theta, x, log_weight = _proposed(proposal, cov, draws, rng, seconds)
    order = rng.permutation(len(log_weight))
    chosen = order[resample(log_weight[order], draws, rng)]
    began = perf_counter()
    diagnostics = Diagnostics(
        kish(log_weight),
        pareto_k(log_weight),
        proposal.n_weighed,
        len(proposal.points),
        seconds,
    )
    made = _collect(proposal, theta[chosen], x[chosen], keep, some, rng, diagnostics)
    seconds["effects"] = perf_counter() - began
    return made


def _proposed(
    proposal: Proposal,
    cov: FloatArray,
    draws: int,
    rng: np.random.Generator,
    seconds: dict[str, float],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Proposed theta (n, d) and x (n, q), with log weights (n,)."""
    target, first = proposal.target, proposal.points[0]
    q = len(target.origin)
    if not target.n_theta:
        theta, x = np.zeros((max(draws, 400), 0)), np.zeros((max(draws, 400), q))
        return theta, x, proposal.weigh(theta, rng, x)
    fold = _fold(target, first.theta, cov)

    def log_density(point: FloatArray, rest: FloatArray | None = None) -> FloatArray:
        theta, log_jacobian = fold.theta(fold.canonical(point))
        value = proposal.weigh(theta, rng, rest) + log_jacobian
        if not np.isfinite(value).any():
            raise EngineError("no proposal has a finite density")
        return value

    began = perf_counter()
    centre = fold.inverse(first.theta)
    slope = np.ones(len(centre))
    slope[fold.folded] = np.tanh(centre[fold.folded])
    cov = cov * np.outer(slope, slope)
    dear = draws * len(target.rows.y) > _DEAR
    enough, least = (_DEAR_ENOUGH, _HOPELESS) if dear else (_ENOUGH, 0.0)
    given = (centre, cov, fold.reflections, draws, rng, enough, least)
    mixture, efficiency = adapt(log_density, *given)
    if efficiency < least:
        raise EngineError(
            f"the weights of {proposal.n_weighed:,} proposals are worth {efficiency:.1%} of as "
            f"many draws, and one of {len(target.rows.y):,} rows takes too long for so few"
        )
    most = _most_points(proposal) if efficiency < enough else 1
    while efficiency < enough and len(proposal.points) < most:
        if not _expand_further(proposal, fold, mixture, cov, most, rng):
            break
        mixture, better = adapt(log_density, *given)
        if better < 1.1 * efficiency and len(proposal.points) > 3 * _MORE:
            break
        efficiency = better
    seconds["adapt"] = perf_counter() - began
    began = perf_counter()
    drawn = fold.canonical, q, draws, rng, _DEAR_SHARE if dear else _SHARE
    points, x, _, log_weight = sample_until_good(log_density, mixture, *drawn)
    tried = 0 if len(proposal.points) == 1 and not dear else _TIMES
    while tried < _TIMES and pareto_k(log_weight) > _HEAVY:
        _expand_further(proposal, fold, mixture, cov, _most_points(proposal), rng)
        mixture, _ = adapt(log_density, *given)
        points, x, _, log_weight = sample_until_good(log_density, mixture, *drawn)
        tried += 1
    seconds["draw"] = perf_counter() - began
    return fold.theta(points)[0], x, log_weight


def _most_points(proposal: Proposal) -> int:
    """How many expansions to make at most, by the time and the memory that they take."""
    began = perf_counter()
    target, first = proposal.target, proposal.points[0]
    expansions_at(target, first.theta[None], [first], proposal.pool)
    held = _BYTES / max(first.bends.nbytes, 1)
    return int(min(_MAX_POINTS, 1 + _SECONDS / (perf_counter() - began), 1 + held))


def _expand_further(
    proposal: Proposal,
    fold: Fold,
    mixture: Mixture,
    cov: FloatArray,
    most: int,
    rng: np.random.Generator,
) -> int:
    """Add expansions: about the first, and then where theta is far from those there are.

    Returns how many were added: where one finds no mode there is none.
    """
    target, known, pool = proposal.target, proposal.points, proposal.pool
    before, left = len(known), max(most - len(known), 0)
    if before == 1:
        known += around(target, known[0], cov, left, pool)
        return len(known) - before
    theta = fold.theta(fold.canonical(mixture.sample(_PLACES, rng)))[0]
    proposal.metric = np.linalg.inv(np.atleast_2d(np.cov(theta.T)) + 1e-6 * np.eye(theta.shape[1]))
    far = farthest(theta, known, proposal.metric, min(left, _MORE))
    known += expansions_at(target, far, known, pool)
    return len(known) - before


def _fold(target: Target, mode: FloatArray, cov: FloatArray) -> Fold:
    """Fold sds as for the Gaussian engine, which has one parameter (sigma) before them."""
    before, width = target.n_further, np.sqrt(np.diag(cov))
    own = choose_fold(np.append(0.0, mode[before:]), np.append(0.0, width[before:]), target.terms)

    def wide(signs: FloatArray) -> FloatArray:
        return np.concatenate([np.ones((len(signs), before)), signs[:, 1:]], axis=1)

    return Fold(own.folded - 1 + before, own.scale, wide(own.flips), wide(own.reflections))


def _collect(
    proposal: Proposal,
    theta: FloatArray,
    x: FloatArray,
    keep: Collection[str],
    some: IntArray,
    rng: np.random.Generator,
    diagnostics: Diagnostics,
) -> RowwiseDraws:
    target = proposal.target
    scales = target.scales(theta)
    streams = rng.integers(0, 2**63, len(theta))
    pairs = list(zip(target.terms, scales.sd, scales.corr_factor, strict=True))
    parts = list(zip(target.parameters, target.split(theta), strict=True))
    kept = [t for t in target.terms if t.name in keep]
    dropped = [t for t in target.terms if t.name not in keep]
    every = np.arange(len(x))
    return RowwiseDraws(
        beta=x[:, target.n_effects :],
        parameters={
            one.name: np.exp(part[:, 0]) if one.positive else part[:, 0]
            for one, part in parts
            if one.log_prior is not None
        },
        further={one.name: part for one, part in parts if one.log_prior is None},
        sd={t.name: sd for t, sd, _ in pairs},
        corr={t.name: c @ c.swapaxes(1, 2) for t, _, c in pairs if t.correlated},
        effects=_effects(proposal, kept, theta, x, every, streams),
        diagnostics=diagnostics,
        thinned=_effects(proposal, dropped, theta, x, some, streams) if len(some) else {},
    )


def _effects(
    proposal: Proposal,
    wanted: list[GroupTerm],
    theta: FloatArray,
    x: FloatArray,
    at: IntArray,
    streams: IntArray,
) -> dict[str, FloatArray]:
    """Effects (draws, n_levels, k) of the terms wanted, at some of the draws."""
    target, found = proposal.target, {}
    for place, slab in zip(target.dense, target.slabs, strict=True):
        term = target.terms[place]
        if term in wanted:
            found[term.name] = x[at, slab].reshape(len(at), term.n_levels, term.k)
    if target.leading is None or target.terms[target.leading] not in wanted:
        return found
    lead = target.terms[target.leading]
    out = np.empty((len(at), lead.n_levels, 1))

    def draw(part: slice) -> None:
        some = at[part]
        out[part] = _leading(proposal, theta[some], x[some], streams[some])

    size = draws_together(len(target.rows.y))
    list(proposal.pool.map(draw, (slice(i, i + size) for i in range(0, len(at), size))))
    return found | {lead.name: out}


def _leading(proposal: Proposal, theta: FloatArray, x: FloatArray, streams: IntArray) -> FloatArray:
    """Draw the leading effects (draws, n_levels, 1); levels without rows from their prior."""
    target, rows = proposal.target, proposal.target.rows
    sd, phi = target.lead_sd(target.scales(theta)), target.phi(theta)
    eta = target.linear_predictor(x)
    assert target.leading is not None
    out = np.empty((len(x), target.terms[target.leading].n_levels, 1))
    uniform = np.empty((len(rows.level), len(x)))
    for i, stream in enumerate(streams):
        own = np.random.Generator(np.random.SFC64(int(stream)))
        out[i, :, 0] = sd[i] * own.standard_normal(out.shape[1])
        uniform[:, i] = own.random(len(rows.level))
    out[:, rows.level, 0] = _drawn(proposal, eta, sd, phi, uniform).T
    return out


def _drawn(
    proposal: Proposal, eta: FloatArray, sd: FloatArray, phi: FloatArray, uniform: FloatArray
) -> FloatArray:
    """Effects (levels, draws) of levels with rows, by random numbers between zero and one."""
    target, rows, nodes = proposal.target, proposal.target.rows, proposal.points[0].nodes
    placed = (nodes.bent, nodes.pull, target.step, target.cut)
    drawn = np.empty_like(uniform)
    if target.side_by_side:
        draw_student(rows.start, rows.y, eta, sd, phi[:, 0], *placed, uniform, drawn)
        return drawn
    for i in range(len(sd)):
        one = np.empty(len(rows.level))
        draw_leading(
            target.density.code,
            rows.plain,
            rows.start,
            rows.y,
            rows.known,
            rows.weight,
            rows.cell,
            np.ascontiguousarray(eta[:, i]),
            sd[i],
            phi[i],
            *placed,
            np.ascontiguousarray(uniform[:, i]),
            one,
        )
        drawn[:, i] = one
    return drawn
