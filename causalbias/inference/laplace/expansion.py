"""Proposals from an expansion of the likelihood, for effects that are many or loosely determined.

About any effects, cuts and coefficients, the log likelihood of the rows is to the second order that
of normal observations of their linear predictor and cuts. With these the model is Gaussian. Given
the scales theta its posterior is normal, whatever theta is, and the Gaussian engine factors it
where it factors that of a Gaussian model: nested, crossed and multi-membership terms, by a sparse
factor where levels are thousands. A draw x from it is weighed by the likelihood itself. With g(x)
the likelihood of the normal observations and ``G(theta)`` its integral over x given theta, the
proposal is ``q(x | theta) = g(x) p(x | theta) / G(theta)``, and

    p(y, x, theta) / q(x | theta) = p(theta) G(theta) p(y | x, theta) / g(x, theta).

The leading term's effects are integrated out of both likelihoods, out of the second in closed form.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

import numba
import numpy as np

from causalbias.inference.gaussian.blocks import Blocks, build_blocks
from causalbias.inference.gaussian.conditional import Given, draw_all, log_marginal, n_noise
from causalbias.inference.gaussian.density import eliminate
from causalbias.inference.gaussian.small import is_small
from causalbias.inference.importance.adaptive import find_mode
from causalbias.inference.laplace.conditional import (
    Target,
    all_cuts,
    coloured,
    cuts_apart,
    likelihood_at,
    log_prior,
    node_places,
    start_of,
)
from causalbias.inference.laplace.drawn import add_log_likelihoods, drawn_rows
from causalbias.inference.laplace.likelihood import DrawnPredictor, NodePlaces
from causalbias.inference.laplace.nested import (
    check_determined,
    lead_sds,
    scales_of,
    split_factors,
    start_scales,
)
from causalbias.inference.laplace.proposal import nearest_parts
from causalbias.inference.laplace.rows import Answers
from causalbias.inference.problem import EngineError, FloatArray, GroupTerm, IntArray, Problem
from causalbias.inference.scales import Scales
from causalbias.io.memory import chunks

_CHUNK = 64
_LEAST = 1e-10  # precision of an observation that is left out
_LOG_2PI = float(np.log(2 * np.pi))
_MAX_STEPS, _GAIN = 40, 1e-2  # of a search for a mode, and what its last step gains at most
_MAX_ROUNDS, _CLOSE = 15, 0.2  # of a search for scales, and its last step in standard deviations
_PAIRS = 12  # of draws over which derivatives are averaged
_MORE_BY_SCALE = 4  # further expansions, where the first are too few
_SPREAD = 1.5  # of further points from the mode, in standard deviations


@dataclass(frozen=True)
class Expansion:
    """The likelihood about a point, as normal observations.

    A row of category c has two, of precision ``precision[:, 0]`` and ``precision[:, 1]``: one of
    ``a + share * b``, ``a = cut_c - eta``, ``b = cut_{c-1} - eta``, and one of b.

    Attributes
    ----------
    theta : ndarray (d,)
    raw : ndarray (q,)
        Where: effects, cuts, coefficients.
    modes : ndarray (levels,)
        Of the leading effects, standardised.
    share : ndarray (n,)
    response, precision : ndarray (n, 2)
    blocks : Blocks
        Of the Gaussian problem of these observations, with coefficients (cuts, coefficients). Its
        terms have the levels and effects of the problem's.
    places : NodePlaces
        Of the quadrature, near this point.
    """

    theta: FloatArray
    raw: FloatArray
    modes: FloatArray
    share: FloatArray
    response: FloatArray
    precision: FloatArray
    blocks: Blocks
    places: NodePlaces

    def log_integral(self, log_marginal: FloatArray) -> FloatArray:
        """``log G`` from the log density of the normal observations, less what is constant."""
        return log_marginal - self.blocks.half_log_weight + 0.5 * self.blocks.n * _LOG_2PI


@dataclass
class ExpandedProposal:
    """Expansions, and what is needed to weigh draws about them.

    Attributes
    ----------
    points : list of Expansion
    metric : ndarray (d, d)
        Inverse covariance of theta, by which distances to expansions are measured.
    """

    target: Target
    terms: tuple[GroupTerm, ...]
    points: list[Expansion]
    metric: FloatArray
    pool: Executor
    n_weighed: int = field(default=0)

    @property
    def node_places(self) -> NodePlaces:
        """Where the quadrature places its nodes, at the first expansion."""
        return self.points[0].places

    @property
    def width(self) -> int:
        """Numbers kept of a draw: its stream of random numbers, its cuts and coefficients."""
        return 1 + self.target.n_free + len(self.target.beta_mean)

    def weigh(
        self, theta: FloatArray, rng: np.random.Generator, rest: FloatArray | None = None
    ) -> FloatArray:
        """Draw x for each theta (N, d); return the estimates of the log density of theta.

        ``rest`` (N, width) is filled where given.
        """
        self.n_weighed += len(theta)
        streams = rng.integers(0, 2**53, len(theta))
        scales = scales_of(theta, self.terms)
        values = np.full(len(theta), -np.inf)

        def run(job: tuple[Expansion, IntArray]) -> None:
            expansion, part = job
            raw, log_integral = self._draw(expansion, scales, part, streams)
            values[part] = scales.log_prior[part] + log_integral
            values[part] += _log_ratio(self.target, expansion, scales, self.terms, part, raw)
            if rest is not None:
                rest[part, 0] = streams[part]
                rest[part, 1:] = raw[:, self.target.rows.n_effects :]

        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            list(self.pool.map(run, self._parts(theta, np.isfinite(scales.log_prior))))
        return np.where(np.isnan(values), -np.inf, values)

    def raw_at(self, theta: FloatArray, rest: FloatArray) -> FloatArray:
        """Return the x (N, q) that were drawn."""
        scales, streams = scales_of(theta, self.terms), rest[:, 0].astype(np.int64)
        raw = np.empty((len(theta), self.target.rows.n_effects + self.width - 1))

        def run(job: tuple[Expansion, IntArray]) -> None:
            expansion, part = job
            raw[part] = self._draw(expansion, scales, part, streams)[0]

        list(self.pool.map(run, self._parts(theta, np.ones(len(theta), bool))))
        return raw

    def _parts(self, theta: FloatArray, usable: np.ndarray) -> list[tuple[Expansion, IntArray]]:
        places = [one.theta for one in self.points]
        parts = nearest_parts(theta, usable, places, self.metric, _CHUNK)
        return [(self.points[number], part) for number, part in parts]

    def _draw(
        self, expansion: Expansion, scales: Scales, part: IntArray, streams: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Draws (part, q) of x, and ``log G`` (part,); minus infinity out of range."""
        many = n_noise(self.terms, expansion.blocks)
        noise = np.empty((len(part), many))
        for own, stream in zip(noise, streams[part], strict=True):
            np.random.Generator(np.random.SFC64(int(stream))).standard_normal(out=own)
        given = draw_all(self.terms, expansion.blocks, scales.factors(part), noise)
        return _joined(self.target, self.terms, given), expansion.log_integral(given.log_marginal)


def _joined(target: Target, terms: Sequence[GroupTerm], given: Given) -> FloatArray:
    """Each x (N, q): the dense terms' effects, the cuts, the coefficients."""
    pairs = zip(terms, given.effects, strict=True)
    dense = [one.reshape(len(one), -1) for term, one in pairs if term is not target.rows.leading]
    return np.concatenate([*dense, given.beta], axis=1)


def _log_ratio(
    target: Target,
    expansion: Expansion,
    scales: Scales,
    terms: Sequence[GroupTerm],
    part: IntArray,
    raw: FloatArray,
) -> FloatArray:
    """``log p(y | x, theta) - log g(x, theta)`` (part,), leading effects integrated out of both."""
    rows, lead_sd = target.rows, lead_sds(target, terms, scales)[part]
    drawn = drawn_rows(target, raw.T)
    s = rows.n_effects
    possible = (target.gaps(raw[:, s : s + target.n_free].T) > 0).all(axis=0)
    values = np.where(possible, 0.0, -np.inf)
    add_log_likelihoods(target, drawn, lead_sd, expansion.places, values)
    observed = expansion.share, expansion.response, expansion.precision
    for first in range(0, len(values), drawn.lanes):
        side = slice(first, first + drawn.lanes)
        eta = drawn.eta.at(side)
        effects, fixed = np.ascontiguousarray(eta.effects.T), np.ascontiguousarray(eta.fixed.T)
        given = eta._replace(effects=effects, fixed=fixed), drawn.cuts[side], lead_sd[side]
        _subtract_normal(rows.answers, *given, *observed, values[side])
    return values


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subtract_normal(
    answers: Answers,
    drawn: DrawnPredictor,
    cuts: FloatArray,
    lead_sd: FloatArray,
    share: FloatArray,
    response: FloatArray,
    precision: FloatArray,
    out: FloatArray,
) -> None:
    """Subtract the log likelihood of an expansion's observations from ``out`` (draws,).

    Here draws are first in each array. A level of rows with residuals r_m, in which its effect v
    counts s_m times, has up to a constant
    ``-sum w r^2 / 2 + (sum w s r)^2 / (sum w s^2 + sd^-2) / 2 - log(1 + sd^2 sum w s^2) / 2``.
    """
    for d in range(len(out)):
        if not np.isfinite(out[d]):
            continue
        total, square = 0.0, max(lead_sd[d], 0.0) ** 2
        for j in range(len(answers.start) - 1):
            linear, bent = 0.0, 0.0
            for i in range(answers.start[j], answers.start[j + 1]):
                eta = drawn.fixed[d, drawn.code[i]]
                for m in range(drawn.indptr[i], drawn.indptr[i + 1]):
                    eta += drawn.value[m] * drawn.effects[d, drawn.column[m]]
                c = answers.category[i]
                if precision[i, 0] > 0.0:
                    at = cuts[d, c + 1] - eta
                    if share[i] != 0.0:
                        at += share[i] * (cuts[d, c] - eta)
                    gap, times = response[i, 0] - at, -1.0 - share[i]
                    total -= 0.5 * precision[i, 0] * gap * gap
                    linear += precision[i, 0] * times * gap
                    bent += precision[i, 0] * times * times
                if precision[i, 1] > 0.0:
                    gap = response[i, 1] - (cuts[d, c] - eta)
                    total -= 0.5 * precision[i, 1] * gap * gap
                    linear -= precision[i, 1] * gap
                    bent += precision[i, 1]
            inner = 1.0 + square * bent
            total += 0.5 * square * linear * linear / inner - 0.5 * np.log(inner)
        out[d] -= total


def expand(
    target: Target,
    problem: Problem,
    theta: FloatArray,
    raw: FloatArray,
    modes: FloatArray,
    around: Sequence[FloatArray] = (),
) -> Expansion:
    """Expand the likelihood at scales theta about raw x, the leading effects averaged over.

    A row's mean derivatives ``g_a, g_b`` and mean curvatures ``m_aa, m_ab, m_bb`` (times its count)
    are those of observations with ``share = m_ab / m_aa``, precisions ``m_aa`` and
    ``m_bb - m_ab^2 / m_aa``, and residuals ``g_a / m_aa`` and ``g_b - share g_a`` over the second.
    They are averaged over points ``around`` x where there are any: draws of x, of which the
    expansion then has the mean, not the mode.
    """
    rows, scales = target.rows, scales_of(theta[None], problem.terms)
    lead_sd, _ = split_factors(target, problem.terms, scales, 0)
    value, eta, moments, levels, modes = likelihood_at(target, lead_sd, raw, modes)
    if not np.isfinite(value):
        raise EngineError("the density is not finite where its mode was looked for")
    places = node_places(rows, lead_sd, modes, eta, moments, levels)
    total, possible = np.zeros_like(moments) if around else moments, 0
    for one in around:  # added up one by one: those of all points would fill the memory
        value, _, found, _, _ = likelihood_at(target, lead_sd, one, modes)
        if np.isfinite(value):
            total += found
            possible += 1
    moments = total / possible if possible else moments
    if lead_sd >= 0:  # the mean of a level's effect is sd^2 times the slope there, on average
        slope = -np.add.reduceat(moments[:, 0] + moments[:, 1], rows.start[:-1])
        eta = eta + np.repeat(lead_sd**2 * slope, np.diff(rows.start))
    share, response, precision = _observations(target, raw, eta, moments)
    problem = _normal_problem(target, problem, share, response, precision)
    return Expansion(
        theta=theta,
        raw=raw,
        modes=modes,
        share=share,
        response=response,
        precision=precision,
        blocks=build_blocks(problem, factored=True),
        places=places,
    )


def averaged(target: Target, problem: Problem, expansion: Expansion) -> Expansion:
    """Expand again, derivatives averaged over draws from the expansion at its own scales.

    A skewness too slight to see in any one of many effects moves the mean in all that they share.
    Draws come in pairs about the mean, in which what is linear cancels; those with cuts that all
    but meet are left out.
    """
    scales = scales_of(np.tile(expansion.theta, (_PAIRS, 1)), problem.terms)
    size = _PAIRS, n_noise(problem.terms, expansion.blocks)
    noise = np.random.default_rng(1).standard_normal(size)
    given = draw_all(problem.terms, expansion.blocks, scales.factors(np.arange(_PAIRS)), noise)
    around: list[FloatArray] = []
    for drawn in _joined(target, problem.terms, given)[np.isfinite(given.log_marginal)]:
        pair = [drawn, 2 * expansion.raw - drawn]
        if all(cuts_apart(target, one, expansion.raw) for one in pair):
            around += pair
    return expand(target, problem, expansion.theta, expansion.raw, expansion.modes, around)


def _observations(
    target: Target, raw: FloatArray, eta: FloatArray, moments: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares, responses and precisions as in `Expansion`; no precision: no observation."""
    rows, s = target.rows, target.rows.n_effects
    cuts, c = all_cuts(target, raw[s : s + target.n_free]), rows.category
    by_a, by_b, aa, ab, bb = moments[:, :5].T
    upper, lower = (c < rows.n_cuts) & (aa > _LEAST), c > 0
    share = np.where(upper & lower, ab / np.where(upper, aa, 1.0), 0.0)
    rest = np.where(lower, bb - share * ab, 0.0)
    lower &= rest > _LEAST
    above = np.where(upper, cuts[c + 1] - eta, 0.0)
    below = np.where(np.isfinite(cuts[c]), cuts[c] - eta, 0.0)
    first = above + share * below + by_a / np.where(upper, aa, 1.0)
    second = below + (by_b - share * by_a) / np.where(lower, rest, 1.0)
    precision = np.column_stack([np.where(upper, aa, 0.0), np.where(lower, rest, 0.0)])
    return share, np.column_stack([first, second]), precision


def _normal_problem(
    target: Target,
    problem: Problem,
    share: FloatArray,
    response: FloatArray,
    precision: FloatArray,
) -> Problem:
    """The Gaussian problem of an expansion's observations."""
    rows, free, n_free = target.rows, target.free, target.n_free
    row, second = np.nonzero(precision > 0)
    times = np.where(second == 1, -1.0, -1.0 - share[row])
    design = np.zeros((len(row), n_free + problem.design.shape[1]))
    c = rows.category[row]
    if n_free:
        place = np.cumsum(free) - 1
        upper = np.flatnonzero(second == 0)
        design[upper, place[c[upper]]] = 1.0
        lower = np.flatnonzero(np.append(False, free)[c])
        of_lower = np.where(second == 1, 1.0, share[row])
        design[lower, place[c[lower] - 1]] = of_lower[lower]
    for part in chunks(len(row), 8 * rows.design.shape[1]):
        design[part, n_free:] = times[part, None] * rows.design[rows.code[row[part]]]
    source = rows.source[row]
    terms = tuple(
        replace(
            term,
            columns=times[:, None] * term.columns[source],
            codes=term.codes[source],
            weights=term.weights[source],
        )
        for term in problem.terms
    )
    return Problem(
        y=response[row, second] - times * rows.offset[rows.code[row]],
        design=design,
        beta_mean=np.concatenate([target.cut_mean[free], target.beta_mean]),
        beta_sd=np.concatenate([target.cut_sd[free], target.beta_sd]),
        terms=terms,
        row_weight=np.ones(len(row)),
        row_precision=precision[row, second],
    )


def find_mode_of_x(
    target: Target, problem: Problem, theta: FloatArray, raw: FloatArray, modes: FloatArray
) -> Expansion:
    """Expand at the mode of x given theta, by Newton steps from ``raw``; each solves an expansion.

    Raises
    ------
    EngineError
        If there is no mode.
    """
    scales = scales_of(theta[None], problem.terms)
    lead_sd, dense = split_factors(target, problem.terms, scales, 0)
    factors = scales.factors(np.zeros(1, np.int64))
    inverse = [np.linalg.inv(factor) for factor in dense]

    def height(x: FloatArray, near: FloatArray) -> float:
        return likelihood_at(target, lead_sd, x, near)[0] + float(
            log_prior(target, coloured(target.rows, inverse, x))
        )

    best = height(raw, modes)
    expansion = expand(target, problem, theta, raw, modes)
    for _ in range(_MAX_STEPS):
        still = np.zeros((1, n_noise(problem.terms, expansion.blocks)))
        given = draw_all(problem.terms, expansion.blocks, factors, still)
        if not np.isfinite(given.log_marginal[0]):
            break
        step = _joined(target, problem.terms, given)[0] - raw
        size, found = 1.0, height(raw + step, expansion.modes)
        while not found >= best - 1e-6 and size > 1e-6:
            size *= 0.5
            found = height(raw + size * step, expansion.modes)
        raw = raw + size * step
        expansion = expand(target, problem, theta, raw, expansion.modes)
        if found - best < _GAIN and size == 1.0:
            return expansion
        best = found
    raise EngineError(
        "no mode was found: a coefficient or cut runs away (separation, or a category that a "
        "coefficient predicts without error); give it a tighter prior"
    )


def find_expansion(
    target: Target, problem: Problem, pool: Executor
) -> tuple[Expansion, FloatArray]:
    """Climb to scales where the expansion's own posterior has its mode, and expand there.

    Returns
    -------
    expansion : Expansion
    cov : ndarray (d, d)
        Inverse curvature of the log density of theta there.
    """
    theta = start_scales(problem.terms)
    start = start_of(target)
    modes = np.zeros(len(target.rows.level))
    expansion = find_mode_of_x(target, problem, theta, start, modes)
    for _ in range(_MAX_ROUNDS):
        mode, cov = find_mode(log_density_of(expansion, problem.terms, pool), theta)
        step = (mode - theta) / np.sqrt(np.diag(cov))
        theta = mode
        expansion = find_mode_of_x(target, problem, theta, expansion.raw, expansion.modes)
        if (np.abs(step) < _CLOSE).all():
            break
    _check(target, expansion, scales_of(theta[None], problem.terms).factors(0))
    return averaged(target, problem, expansion), cov


def _check(target: Target, expansion: Expansion, factors: list[FloatArray]) -> None:
    """Refuse coefficients with flat priors that run away: they come last in the dense part."""
    done = eliminate(expansion.blocks, 1.0, factors, np.empty_like(expansion.blocks.total))
    p = len(target.beta_mean)
    if done is not None and p:
        root = np.linalg.inv(done.chol[-p:, -p:]) * expansion.blocks.prior.scale[-p:]
        check_determined(target, root.T @ root)


def log_density_of(
    expansion: Expansion, terms: Sequence[GroupTerm], pool: Executor
) -> Callable[[FloatArray], FloatArray]:
    """The log density of theta (N, d) if the likelihood were the expansion."""

    def log_density(theta: FloatArray) -> FloatArray:
        scales = scales_of(theta, terms)

        possible = np.flatnonzero(np.isfinite(scales.log_prior))
        parts = [possible] if is_small(expansion.blocks) else list(possible[:, None])

        def run(part: IntArray) -> FloatArray:
            return scales.log_prior[part] + log_marginal(expansion.blocks, scales.factors(part))

        values = np.full(len(theta), -np.inf)
        for part, value in zip(parts, pool.map(run, parts), strict=True):
            values[part] = value
        return values

    return log_density


def further_expansions(
    target: Target, problem: Problem, first: Expansion, cov: FloatArray, pool: Executor
) -> list[Expansion]:
    """Expansions to either side of the first, along the principal axes of the scales."""
    value, vector = np.linalg.eigh(cov)
    steps = _SPREAD * np.sqrt(value) * vector
    return expansions_at(
        target, problem, first.theta + np.vstack([steps.T, -steps.T]), [first], pool
    )


def expansions_at(
    target: Target,
    problem: Problem,
    theta: FloatArray,
    near: Sequence[Expansion],
    pool: Executor,
) -> list[Expansion]:
    """Expansions at scales (N, d), each from the nearest of those there are; without failures."""

    def at(one: FloatArray) -> Expansion | None:
        start = min(near, key=lambda known: float(np.abs(known.theta - one).max()))
        try:
            found = find_mode_of_x(target, problem, one, start.raw, start.modes)
            return averaged(target, problem, found)
        except EngineError:
            return None

    return [one for one in pool.map(at, theta) if one is not None]


def spread_out(proposal: ExpandedProposal, problem: Problem, theta: FloatArray) -> ExpandedProposal:
    """Add expansions at those of the scales (N, d) that are farthest from the ones there are.

    One at a time, each the farthest from those before (Gonzalez 1985), by the covariance of theta.
    """
    d = theta.shape[1]
    metric = np.linalg.inv(np.atleast_2d(np.cov(theta.T)) + 1e-6 * np.eye(d))
    places = [one.theta for one in proposal.points]
    distance = np.min([_distances(theta, place, metric) for place in places], axis=0)
    chosen = []
    for _ in range(min(_MORE_BY_SCALE * d, len(theta))):
        chosen.append(theta[distance.argmax()])
        distance = np.minimum(distance, _distances(theta, chosen[-1], metric))
    more = expansions_at(proposal.target, problem, np.array(chosen), proposal.points, proposal.pool)
    return replace(proposal, points=[*proposal.points, *more], metric=metric)


def _distances(theta: FloatArray, place: FloatArray, metric: FloatArray) -> FloatArray:
    gap = theta - place
    return np.asarray(((gap @ metric) * gap).sum(axis=1))
