"""Posterior of ordinal and binary hierarchical regressions, without a Markov chain.

With theta the scales, v the leading term's effects and x all other effects, cuts and coefficients,

    p(theta, x, v | y) ~ p(theta) p(x | theta) p(y, v | x, theta).

The effects of the largest term (pairs, as a rule) are integrated out by adaptive Gauss-Hermite
quadrature, as many as there are of them. What is left is close to normal given the scales, and
is proposed from there; the scales by adaptive importance sampling, as in the Gaussian engine.
Each draw of both is weighed by the exact ratio of the densities (`proposal`), so that nothing of
Laplace's approximation is left but the spread of the weights, which is diagnosed.
"""

import os
from collections.abc import Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from scipy import stats

from causalbias.arguments import generator
from causalbias.inference.checks import check_problem
from causalbias.inference.diagnostics import MAX_PARETO_K
from causalbias.inference.equal_rows import merge_equal_rows
from causalbias.inference.importance.adaptive import (
    Mixture,
    adapt,
    kish,
    pareto_k,
    resample,
    sample_until_good,
)
from causalbias.inference.importance.folding import Fold, choose_fold
from causalbias.inference.laplace.conditional import Target, evaluate
from causalbias.inference.laplace.disc_average import averaged_point, fit_warps
from causalbias.inference.laplace.disc_warp import Warps
from causalbias.inference.laplace.expansion import (
    ExpandedProposal,
    find_expansion,
    further_expansions,
    spread_out,
)
from causalbias.inference.laplace.nested import (
    ScalePoint,
    check_determined,
    find_scales,
    lead_slope,
    mean_shift,
    scale_point,
    start_scales,
)
from causalbias.inference.laplace.proposal import Anchor, Proposal, anchor_at
from causalbias.inference.laplace.result import Diagnostics, LaplaceDraws, collect
from causalbias.inference.laplace.target import make_target
from causalbias.inference.problem import (
    EngineError,
    FloatArray,
    GroupTerm,
    IntArray,
    Problem,
    numerical,
)
from causalbias.inference.threads import one_thread

_NODES = (8, 12, 16, 32)
_NODE_ERROR = 0.01  # of the log likelihood's change over the leading sd's posterior
_NODE_SPREAD = 0.02  # of the log weights, due to nodes
_TRIED = 32  # proposals by which that is judged, wide ones
# Effective draws of the weights by draw asked for: where draws are cheap, and where they are not.
_SHARE, _DEAR_SHARE, _DEAR = 0.65, 0.25, 2e8
_ENOUGH = 0.2  # of each proposal, to stop adapting
_ENOUGH_EXPANDED = 0.5  # the same, of proposals that each take a factor
_ANCHOR_FLOPS = 1e11
_MAX_ANCHORS = 64
_MAX_DENSE = 6000  # effects besides the leading ones of which one matrix is factored
_PLACES = 400  # scales among which further expansions are placed
_TOO_FEW = 0.15  # effective draws of a proposal in adapting, below which others are tried
_POOR = 0.05  # and in the end


def sample_laplace(
    problem: Problem,
    *,
    link: str = "logit",
    trials: FloatArray | None = None,
    threshold_mean: FloatArray | None = None,
    threshold_sd: FloatArray | None = None,
    draws: int = 4000,
    random_seed: int = 0,
    keep: Collection[str] | None = None,
    some: Collection[int] = (),
) -> LaplaceDraws:
    """Sample the posterior of an ordinal or binary hierarchical regression.

    Parameters
    ----------
    problem : Problem
        ``y`` holds 0 and 1, where ``P(y = 1) = F(eta)``; with `trials`, numbers of successes;
        with `threshold_mean`, codes 0 .. K - 1 of ordered categories, where
        ``P(y <= k) = F(threshold_k - eta)``. ``row_weight`` holds counts of equal rows. With a
        predictor ``disc`` in ``further``, ``P(y <= k) = F(d (threshold_k - eta))``, log d that
        predictor.
    link : {"logit", "probit"}
        F, the logistic or the normal distribution function.
    trials : ndarray (n,), optional
        Out of which there are so many successes.
    threshold_mean, threshold_sd : ndarray (K - 1,), optional
        Normal prior of the thresholds, on the region where they increase. Several sets of
        thresholds stand one after another, with infinity and minus infinity, of sd zero, between
        two of them: so the category between these has no rows.
    draws, random_seed : int
        Same seed, same draws.
    keep : collection of str, optional
        Terms whose effects are returned; all by default.
    some : collection of int
        Numbers of the draws at which the effects of the other terms are returned.

    Returns
    -------
    LaplaceDraws

    Raises
    ------
    EngineError
        On inconsistent input, a link that it has not, a model too large to factor, or
        a posterior without a mode.

    Notes
    -----
    Rue, Martino and Chopin (2009) for the nested approximation that the proposals come from.

    Examples
    --------
    >>> import numpy as np
    >>> from causalbias.inference.problem import GroupTerm, Problem
    >>> rng = np.random.default_rng(0)
    >>> group = np.repeat(np.arange(40), 12)
    >>> chance = 1 / (1 + np.exp(-0.5 - 1.2 * rng.normal(size=40)[group]))
    >>> prior = lambda sd: -0.5 * sd**2
    >>> ones = np.ones((480, 1))
    >>> term = GroupTerm("1|g", ("1",), ones, group[:, None], ones, 40, False, (prior,))
    >>> y = rng.binomial(1, chance).astype(float)
    >>> problem = Problem(y, ones, np.zeros(1), np.full(1, 2.5), (term,), np.ones(480))
    >>> found = sample_laplace(problem, draws=400, random_seed=1)
    >>> found.effects["1|g"].shape, found.diagnostics.pareto_k < 0.7
    ((400, 40, 1), True)
    """
    check_problem(problem, shared=True)
    if trials is None:
        problem = _merged(problem)
    target = make_target(problem, link, trials, threshold_mean, threshold_sd, _NODES[0])
    names = [t.name for t in target.terms]
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
        kept = names if keep is None else keep
        at = np.asarray(some, dtype=np.int64)
        return _sample(problem, target, draws, rng, kept, at, pool)


def _merged(problem: Problem) -> Problem:
    """Make counts of equal rows where that leaves fewer than half of them."""
    levels = replace(problem, design=np.empty((len(problem.y), 0)), design_code=None)
    if len(merge_equal_rows(levels)[0].y) > 0.5 * len(problem.y):
        return problem
    merged = merge_equal_rows(problem)[0]
    return merged if len(merged.y) < 0.5 * len(problem.y) else problem


@dataclass(frozen=True)
class _Proposed:
    """Proposed scales (n, d), what was kept of each draw (n, width), and log weights (n,)."""

    proposal: Proposal | ExpandedProposal
    theta: FloatArray
    rest: FloatArray
    log_weight: FloatArray

    @property
    def shape(self) -> float:
        """Pareto k of the weights."""
        return pareto_k(self.log_weight)

    @property
    def poor(self) -> bool:
        """Whether the weights cannot be relied on, or nearly all of them are next to nothing."""
        return self.shape > MAX_PARETO_K or kish(self.log_weight) < _POOR * len(self.log_weight)


def _sample(
    problem: Problem,
    target: Target,
    draws: int,
    rng: np.random.Generator,
    keep: Collection[str],
    some: IntArray,
    pool: Executor,
) -> LaplaceDraws:
    seconds: dict[str, float] = {}
    found = None
    if target.rows.width <= _MAX_DENSE or not target.terms:
        carried = _carried(target, rng, pool, seconds)
        found = _propose(problem, *carried, draws, rng, seconds)
    if found is None or (target.terms and found.poor):
        try:
            expanded = _expanded(target, problem, pool, seconds)
            other = _propose(problem, *expanded, draws, rng, seconds)
        except EngineError:
            if found is None:
                raise
            other = None
        found = min((one for one in (found, other) if one is not None), key=lambda one: one.shape)
    log_weight = found.log_weight
    order = rng.permutation(len(log_weight))
    chosen = order[resample(log_weight[order], draws, rng)]
    began = perf_counter()
    diagnostics = Diagnostics(
        kish(log_weight),
        pareto_k(log_weight),
        found.proposal.n_weighed,
        len(found.proposal.points),
        seconds,
    )
    theta, rest = found.theta[chosen], found.rest[chosen]
    made = collect(found.proposal, theta, rest, keep, some, rng, diagnostics)
    seconds["effects"] = perf_counter() - began
    return made


def _carried(
    target: Target,
    rng: np.random.Generator,
    pool: Executor,
    seconds: dict[str, float],
) -> tuple[Proposal, FloatArray, FloatArray]:
    """Proposals carried from anchors, and mode and covariance of the scales."""
    began = perf_counter()
    terms = target.terms
    mode, cov = find_scales(target, terms, start_scales(terms), pool)
    n_nodes = _enough_nodes(target, mode, cov)
    if n_nodes > target.n_nodes:
        target = replace(target, n_nodes=n_nodes)
        mode, cov = find_scales(target, terms, mode.theta, pool)
    first = len(mode.cov) - len(target.beta_mean)
    check_determined(target, mode.cov[first:, first:])
    seconds["mode"] = perf_counter() - began
    began = perf_counter()
    anchors = _anchors(target, mode, cov, rng, pool)
    proposal = Proposal(target, terms, anchors, np.linalg.inv(cov), pool)
    seconds["anchors"] = perf_counter() - began
    return proposal, mode.theta, cov


def _expanded(
    target: Target, problem: Problem, pool: Executor, seconds: dict[str, float]
) -> tuple[ExpandedProposal, FloatArray, FloatArray]:
    """Proposals from expansions, and mode and covariance of the scales."""
    if target.rows.disc is not None:
        raise EngineError("conditional modes propose too poorly, and discriminations do not expand")
    began = perf_counter()
    first, cov = find_expansion(target, problem, pool)
    expansions = [first, *further_expansions(target, problem, first, cov, pool)]
    seconds["expansions"] = perf_counter() - began
    metric = np.linalg.inv(cov)
    proposal = ExpandedProposal(target, problem.terms, expansions, metric, pool)
    return proposal, first.theta, cov


def _enough_nodes(target: Target, mode: ScalePoint, cov: FloatArray) -> int:
    """Return the fewest nodes whose error hardly changes over the posterior of the leading sd."""
    if target.rows.leading is None:
        return target.n_nodes
    at = 0
    for term in target.terms:
        if term is target.rows.leading:
            break
        at += term.n_theta
    found, width = mode.found, np.sqrt(cov[at, at])
    values = np.array(
        [
            [
                evaluate(
                    replace(target, n_nodes=size),
                    found.lead_sd * np.exp(step * width),
                    found.factors,
                    found.x,
                    found.lead_mode,
                )[0]
                for step in (-2.0, 2.0)
            ]
            for size in _NODES
        ]
    )
    change = values[:, 1] - values[:, 0]
    for size, error in zip(_NODES, np.abs(change - change[-1]), strict=True):
        if error < _NODE_ERROR:
            return size
    return _NODES[-1]


def _enough_to_weigh(
    proposal: Proposal | ExpandedProposal, mode: FloatArray, cov: FloatArray
) -> int:
    """Return the fewest nodes whose error hardly varies over proposals: a constant one cancels.

    Weights place their nodes by a linear model of each level, so that they may need more.
    """
    z = np.random.default_rng(1).standard_normal((_TRIED, len(cov)))
    theta = mode + 2.5 * z @ np.linalg.cholesky(cov).T
    values = [
        replace(proposal, target=replace(proposal.target, n_nodes=size)).weigh(
            theta, np.random.default_rng(2)
        )
        for size in _NODES
    ]
    for size, value in zip(_NODES, values, strict=True):
        if np.nanstd(value - values[-1]) < _NODE_SPREAD:
            return size
    return _NODES[-1]


def _anchors(
    target: Target,
    mode: ScalePoint,
    cov: FloatArray,
    rng: np.random.Generator,
    pool: Executor,
) -> list[Anchor]:
    """Spread anchors over the posterior of the scales, the more the cheaper they are."""
    d, q = len(mode.theta), len(mode.found.x)
    leads = target.rows.leading is not None
    by_lead = lead_slope(target, mode) if leads else None
    cost = q**3 + 2e3 * len(target.rows.code)
    count = int(min(_MAX_ANCHORS, max(6, _ANCHOR_FLOPS / cost))) if d else 1
    points = [mode]
    if d:
        sobol = stats.qmc.Sobol(d, scramble=False).random(2 * _MAX_ANCHORS)[1:count]
        spread = stats.norm.ppf(sobol) @ np.linalg.cholesky(cov).T

        def at(step: FloatArray) -> ScalePoint | None:
            try:
                return scale_point(target, target.terms, mode.theta + step, mode)
            except EngineError:
                return None

        points += [p for p in pool.map(at, spread) if p is not None]
    disc = target.rows.disc
    if disc is not None:
        warps = fit_warps(target, disc, mode, rng, pool)
        first = averaged_point(target, warps, mode, None, rng, pool)
        shift = first.found.x - mode.found.x
        rest = (averaged_point(target, warps, p, shift, rng, pool) for p in points[1:])
        still = np.zeros_like(shift)
        return [anchor_at(target, target.terms, p, still, by_lead, warps) for p in (first, *rest)]
    shift = mean_shift(target, mode, rng, pool)
    return [anchor_at(target, target.terms, p, shift, by_lead, Warps()) for p in points]


def _propose(
    problem: Problem,
    proposal: Proposal | ExpandedProposal,
    mode: FloatArray,
    cov: FloatArray,
    draws: int,
    rng: np.random.Generator,
    seconds: dict[str, float],
) -> _Proposed | None:
    """Adapt a mixture of t's to the scales, and propose from it until the weights are good.

    None where proposals carried from anchors turn out too poor to go on with.
    """
    if proposal.target.rows.leading is not None:
        n_nodes = _enough_to_weigh(proposal, mode, cov)
        proposal.target = replace(proposal.target, n_nodes=n_nodes)
    if not proposal.terms:
        theta = np.zeros((max(draws, 400), 0))
        rest = np.zeros((len(theta), proposal.width))
        return _Proposed(proposal, theta, rest, proposal.weigh(theta, rng, rest))
    fold = _fold(mode, cov, proposal.terms)

    def log_density(x: FloatArray, rest: FloatArray | None = None) -> FloatArray:
        theta, log_jacobian = fold.theta(fold.canonical(x))
        value = proposal.weigh(theta, rng, rest) + log_jacobian
        if not np.isfinite(value).any():
            raise EngineError("no proposal has a finite density")
        return value

    began = perf_counter()
    centre = fold.inverse(mode)
    slope = np.ones(len(centre))
    slope[fold.folded] = np.tanh(centre[fold.folded])
    cov = cov * np.outer(slope, slope)
    mixture: Mixture
    enough = _ENOUGH_EXPANDED if isinstance(proposal, ExpandedProposal) else _ENOUGH
    given = (centre, cov, fold.reflections, draws, rng, enough)
    mixture, efficiency = adapt(log_density, *given)
    if isinstance(proposal, Proposal) and efficiency < _TOO_FEW:
        return None
    if isinstance(proposal, ExpandedProposal) and efficiency < enough:
        theta = fold.theta(fold.canonical(mixture.sample(_PLACES, rng)))[0]
        proposal = spread_out(proposal, problem, theta)
        mixture, efficiency = adapt(log_density, *given)
    seconds["adapt"] = perf_counter() - began
    began = perf_counter()
    share = _SHARE if draws * len(proposal.target.rows.code) < _DEAR else _DEAR_SHARE
    x, rest, _, log_weight = sample_until_good(
        log_density, mixture, fold.canonical, proposal.width, draws, rng, share
    )
    seconds["draw"] = perf_counter() - began
    return _Proposed(proposal, fold.theta(x)[0], rest, log_weight)


def _fold(mode: FloatArray, cov: FloatArray, terms: Sequence[GroupTerm]) -> Fold:
    """Fold sds as for the Gaussian engine, whose first parameter (sigma) is not there."""
    width = np.sqrt(np.diag(cov))
    fold = choose_fold(np.append(0.0, mode), np.append(0.0, width), terms)
    return Fold(fold.folded - 1, fold.scale, fold.flips[:, 1:], fold.reflections[:, 1:])
