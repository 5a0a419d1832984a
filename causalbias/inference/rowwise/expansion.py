"""The log likelihood about a point to the second order, and normal proposals of effects from it.

At parameters theta near those of the expansion, with gradient g(theta) and curvature H about a
point x0, effects and coefficients ``x = origin + F w`` have the normal density of

    precision  A = F' H F + D,    mean  A^-1 F' (g + H (x0 - origin)),

D the prior precisions of w. The prior is exact at any theta, standard deviations of zero included.
g moves with theta by its derivative, and H by that of the rows' mean curvature, a factor, times
what else its derivatives are: a larger sd of the leading effects lessens what is known between
levels and not what is known within.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.linalg import blas, lapack

from causalbias.inference.problem import EngineError, FloatArray
from causalbias.inference.rowwise.quadrature import add_log_likelihoods, derivatives
from causalbias.inference.rowwise.student import add_student
from causalbias.inference.rowwise.target import Target
from causalbias.inference.sparse import Analysis, analyse, factor, solve_lower, solve_upper

_MAX_STEPS, _GAIN = 60, 1e-3  # of a search for a mode, and what its last step gains at most
_SHARES = (0.0, 0.25, 0.5, 1.0)  # of the positive curvature, where the true one is not
_LANES = 16  # draws that loops take at a time: a few more cost nothing
_DENSE = 150  # effects and coefficients up to which a dense factor is taken
# Above which a factor takes too long to be made for each draw.
_MOST_DENSE, _MOST_FLOPS = 1200, 5e7
_PRICE = 10.0  # of a multiplication in the sparse kernels, in ones of dense linear algebra
_STEP = 1e-3  # of theta, for derivatives
# Standard deviations at which widths are taken, what these are at most and at least, and rows times
# effects up to which they are.
_ASIDE, _WIDEST, _MOST_ASIDE = 2.0, 2.5, 3_000_000
# Of theta, up to which derivatives of the gradient and the factor, and of the rest, are followed.
_FAR, _NEAR = 3.0, 0.5


@dataclass(frozen=True)
class Nodes:
    """Where the quadrature places its nodes: rows' curvatures, levels' pulls (`quadrature`)."""

    bent: FloatArray
    pull: FloatArray


@dataclass(frozen=True)
class Slopes:
    """Derivatives by the linear predictor at one point.

    Attributes
    ----------
    value : float
        Log likelihood.
    slope, safe : ndarray (n,)
    blocks : ndarray
        As filled by `quadrature.derivatives`.
    curvature : float
        Sum of the rows' own curvatures, the leading effects integrated out.
    nodes : Nodes
    """

    value: float
    slope: FloatArray
    safe: FloatArray
    blocks: FloatArray
    curvature: float
    nodes: Nodes


@dataclass(frozen=True)
class Expansion:
    """The log likelihood about x.

    Attributes
    ----------
    theta : ndarray (d,)
    x : ndarray (q,)
    value : float
        There.
    hessian : Hessian
    gradient : ndarray (q,)
    by_theta : ndarray (q, d)
        The gradient's derivative by theta.
    log_growth : ndarray (d,)
        Derivative by theta of the logarithm of the rows' curvature.
    bends : ndarray (d, ...)
        Derivatives by theta of the curvature's `entries`, but for the growth.
    curved : ndarray (q,)
        ``H (x - origin)``.
    curved_by_theta : ndarray (q, d)
        The same of the bends.
    nodes : Nodes
    widths : ndarray (q, 2), optional
        Of a density that falls unevenly: its widths along each axis of a normal proposal, below and
        above the mode, in those of the curvature.
    """

    theta: FloatArray
    x: FloatArray
    value: float
    hessian: "Hessian"
    gradient: FloatArray
    by_theta: FloatArray
    log_growth: FloatArray
    bends: FloatArray
    curved: FloatArray
    curved_by_theta: FloatArray
    nodes: Nodes
    widths: FloatArray | None = None

    def gradient_at(self, theta: FloatArray) -> FloatArray:
        """Gradient at x and other parameters."""
        return self.gradient + self.by_theta @ np.clip(theta - self.theta, -_FAR, _FAR)

    def curvature_at(self, theta: FloatArray, bent: bool) -> "tuple[Hessian, FloatArray]":
        """Curvature H at other parameters, by its growth alone or bent too; ``H (x - origin)``."""
        step = np.clip(theta - self.theta, -_FAR, _FAR)
        growth = float(np.exp(self.log_growth @ step))
        near = np.clip(step, -_NEAR, _NEAR) if bent else np.zeros(len(step))
        entries = self.hessian.entries + np.tensordot(near, self.bends, 1)
        curved = self.curved + self.curved_by_theta @ near
        return self.hessian.of(growth * entries), growth * curved


@dataclass(frozen=True)
class Hessian:
    """A curvature (q, q): dense, or the entries of its lower triangle with a factor's pattern.

    ``share`` is that of the rows' curvatures which are positive everywhere (`hessian_of`).
    """

    dense: FloatArray | None
    rows: np.ndarray
    columns: np.ndarray
    values: FloatArray
    analysis: Analysis | None
    share: float = 0.0

    def like(self, other: "Hessian") -> bool:
        """Whether another one has the same pattern."""
        same = self.entries.shape == other.entries.shape and (self.dense is None) is (
            other.dense is None
        )
        return same and all(
            np.array_equal(*both)
            for both in ((self.rows, other.rows), (self.columns, other.columns))
        )

    @property
    def entries(self) -> FloatArray:
        """What it is made of: the whole of a dense one, the triangle's values of a sparse one."""
        return self.values if self.dense is None else self.dense

    def of(self, entries: FloatArray) -> "Hessian":
        """One of the same pattern."""
        if self.dense is None:
            return replace(self, values=entries)
        return replace(self, dense=entries)

    def times(self, x: FloatArray) -> FloatArray:
        """The product with a vector."""
        if self.dense is not None:
            return np.asarray(self.dense @ x)
        below = self.rows != self.columns
        found = np.bincount(self.rows, self.values * x[self.columns], len(x))
        upper = self.values * x[self.rows]
        return np.asarray(found + np.bincount(self.columns[below], upper[below], len(x)))


@dataclass(frozen=True)
class Given:
    """The normal density of w at one theta.

    Attributes
    ----------
    log_det : float
        Of its precision A.
    half_square : float
        ``r' A^-1 r / 2`` of the right side r.
    mean : ndarray (q,)
    """

    log_det: float
    half_square: float
    mean: FloatArray
    _chol: FloatArray
    _analysis: Analysis | None

    def deviate(self, z: FloatArray) -> FloatArray:
        """``C'^-1 z`` with ``A = C C'``, up to order."""
        if self._analysis is not None:
            return np.asarray(solve_upper(self._analysis, self._chol, z[:, None])[:, 0])
        return np.asarray(blas.dtrsv(self._chol, z, lower=1, trans=1))


def log_likelihoods(
    target: Target,
    eta: FloatArray,
    lead_sd: FloatArray,
    phi: FloatArray,
    nodes: Nodes,
) -> FloatArray:
    """``log p(y | x, theta)`` of draws with linear predictors (n, draws)."""
    rows, found = target.rows, np.zeros(eta.shape[1])
    if target.side_by_side:
        none = np.empty((0, len(found)))
        placed = (nodes.bent, nodes.pull, target.step, target.cut)
        add_student(rows.start, rows.y, eta, lead_sd, phi[:, 0], *placed, found, none)
        return np.where(np.isnan(found), -np.inf, found)
    add_log_likelihoods(
        target.density.code,
        rows.plain,
        rows.start,
        rows.y,
        rows.known,
        rows.weight,
        rows.cell,
        rows.cell_weight,
        np.ascontiguousarray(eta.T),
        lead_sd,
        phi,
        nodes.bent,
        nodes.pull,
        target.step,
        target.cut,
        found,
    )
    return np.where(np.isnan(found), -np.inf, found)


def slopes_at(
    target: Target, theta: FloatArray, x: FloatArray, nodes: Nodes | None = None
) -> Slopes:
    """Log likelihood and derivatives by the linear predictor at one theta and x."""
    rows, n = target.rows, len(target.rows.y)
    lead_sd = float(target.lead_sd(target.scales(theta[None]))[0])
    phi, eta = target.phi(theta[None]), target.linear_predictor(x[None])[:, 0]
    slope, safe, blocks = np.empty(n), np.empty(n), np.empty(len(rows.indices))
    centre, widest = np.zeros(len(rows.level)), int(np.diff(rows.start).max())

    def fill(sd: float, near: Nodes) -> float:
        return derivatives(
            target.density.code,
            rows.plain,
            rows.start,
            rows.y,
            rows.known,
            rows.weight,
            rows.cell,
            eta,
            sd,
            phi[0],
            near.bent,
            near.pull,
            target.step,
            target.cut,
            widest,
            slope,
            blocks,
            safe,
            centre,
        )

    def placed() -> Nodes:
        moved = safe * (eta + np.repeat(centre, np.diff(rows.start))) + slope
        return Nodes(safe.copy(), np.add.reduceat(moved, rows.start[:-1]))

    if nodes is None:
        fill(-1.0, Nodes(safe, centre))
        nodes = placed()
    value = fill(lead_sd, nodes)
    diagonal = rows.indptr[:-1] + np.arange(n) - np.repeat(rows.start[:-1], np.diff(rows.start))
    value = value if np.isfinite(value) else -np.inf
    return Slopes(value, slope, safe, blocks, float(blocks[diagonal].sum()), placed())


def gradients_at(
    target: Target, theta: FloatArray, x: FloatArray, nodes: Nodes
) -> tuple[FloatArray, FloatArray]:
    """Log likelihood (N,) and gradient by x (N, q) at one x and several theta (N, d)."""
    if not target.side_by_side:
        each = [slopes_at(target, one, x, nodes) for one in theta]
        values = np.array([one.value for one in each])
        return values, np.array([gradient_of(target, one.slope) for one in each])
    count = len(theta)
    theta = np.vstack([theta, np.repeat(theta[-1:], -count % _LANES, axis=0)])
    rows, values = target.rows, np.zeros(len(theta))
    lead_sd, phi = target.lead_sd(target.scales(theta)), target.phi(theta)[:, 0]
    eta = np.repeat(target.linear_predictor(x[None]), len(theta), axis=1)
    slope, placed = np.empty_like(eta), (nodes.bent, nodes.pull, target.step, target.cut)
    add_student(rows.start, rows.y, eta, lead_sd, phi, *placed, values, slope)
    gradient = gradient_of(target, slope).T[:count]
    return np.where(np.isnan(values), -np.inf, values)[:count], gradient


def gradient_of(target: Target, slope: FloatArray) -> FloatArray:
    """Gradient by x (q, ...) from that by the linear predictor (n, ...)."""
    return np.concatenate([target.rows.effects.T @ slope, target.rows.design.T @ slope])


def hessian_of(target: Target, found: Slopes, share: float, near: Hessian | None) -> Hessian:
    """Curvature by x: ``Z' W Z``, W of the rows'.

    Of these a share is replaced by ones that are positive everywhere.
    """
    rows, n = target.rows, len(target.rows.y)
    data = (1.0 - share) * found.blocks
    w = sparse.csr_matrix((data, rows.indices, rows.indptr), (n, n))
    if share:
        w = (w + sparse.diags_array(share * found.safe)).tocsr()
    links = w @ rows.design
    corner = rows.design.T @ links
    if not target.n_effects:
        return replace(_dense(corner), share=share)
    effects = (rows.effects.T @ (w @ rows.effects)).tocoo()
    across = np.asarray(rows.effects.T @ links)
    s, q = target.n_effects, len(target.origin)
    if q <= _DENSE or any(target.terms[i].k > 1 for i in target.dense):
        whole = np.zeros((q, q))
        whole[:s, :s] = effects.toarray()
        whole[:s, s:], whole[s:, :s], whole[s:, s:] = across, across.T, corner
        return replace(_dense(whole), share=share)
    return replace(_sparse(effects, across, corner, near), share=share)


def _dense(whole: FloatArray) -> Hessian:
    none = np.zeros(0, np.int64)
    return Hessian(0.5 * (whole + whole.T), none, none, np.zeros(0), None)


def _sparse(
    effects: sparse.coo_matrix, across: FloatArray, corner: FloatArray, near: Hessian | None
) -> Hessian:
    """Lower triangle of the whole, every diagonal entry included; dense where that is cheaper."""
    s, p = across.shape
    q = s + p
    kept = effects.row >= effects.col
    extra = np.arange(s)
    row = np.concatenate([effects.row[kept], extra]).astype(np.int64)
    column = np.concatenate([effects.col[kept], extra]).astype(np.int64)
    values = np.concatenate([effects.data[kept], np.zeros(s)])
    below = sparse.coo_matrix((values, (row, column)), (s, s)).tocsr()
    below.sort_indices()
    low, up = np.tril_indices(p)
    rows = np.concatenate(
        [np.repeat(np.arange(s), np.diff(below.indptr)), np.repeat(s + np.arange(p), s), s + low]
    ).astype(np.int64)
    columns = np.concatenate([below.indices, np.tile(np.arange(s), p), s + up]).astype(np.int64)
    found = np.concatenate([below.data, across.T.ravel(), corner[low, up]])
    known = near is not None and np.array_equal(rows, near.rows)
    if near is not None and known and np.array_equal(columns, near.columns) and near.analysis:
        return Hessian(None, rows, columns, found, near.analysis)
    analysis = analyse(rows, columns, q, most_flops=min(q**3 / 6 / _PRICE, _MOST_FLOPS))
    if analysis is None and q > _MOST_DENSE:
        raise EngineError(f"{q:,} effects share so many rows that each draw takes too long")
    if analysis is None:
        whole = np.zeros((q, q))
        whole[rows, columns] = found
        return _dense(whole + np.tril(whole, -1).T)
    return Hessian(None, rows, columns, found, analysis)


def given(
    target: Target, hessian: Hessian, right: FloatArray, factors: Sequence[FloatArray]
) -> Given | None:
    """The normal density of w: precision ``F' H F + D``, right side ``F' right``.

    None where that is not positive definite.
    """
    pulled = _pulled(target, right, factors)
    if hessian.analysis is not None:
        f = target.scale.copy()
        for place, slab in zip(target.dense, target.slabs, strict=True):
            f[slab] = factors[place][0, 0]
        values = hessian.values * (f[hessian.rows] * f[hessian.columns])
        values[hessian.rows == hessian.columns] += target.precision
        chol, log_det = factor(hessian.analysis, values)
        if not np.isfinite(log_det):
            return None
        solved = solve_lower(hessian.analysis, chol, pulled[:, None])
        mean = solve_upper(hessian.analysis, chol, solved)[:, 0]
        return Given(log_det, 0.5 * float((solved**2).sum()), mean, chol, hessian.analysis)
    assert hessian.dense is not None
    half = _pulled(target, hessian.dense, factors)
    matrix = _pulled(target, np.ascontiguousarray(half.T), factors)
    matrix.flat[:: len(matrix) + 1] += target.precision
    root, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
    if info != 0 or not np.isfinite(root[-1, -1]):
        return None
    solved = blas.dtrsv(root, pulled, lower=1)
    mean = blas.dtrsv(root, solved, lower=1, trans=1)
    log_det = 2.0 * float(np.log(np.diag(root)).sum())
    return Given(log_det, 0.5 * float(solved @ solved), mean, root, None)


def _pulled(target: Target, rows: FloatArray, factors: Sequence[FloatArray]) -> FloatArray:
    """``F'`` times a vector or matrix of q rows."""
    found = target.scale.reshape(-1, *[1] * (rows.ndim - 1)) * rows
    for place, slab in zip(target.dense, target.slabs, strict=True):
        own = factors[place]
        if len(own) == 1:
            found[slab] = own[0, 0] * rows[slab]
        else:
            levels = rows[slab].reshape(-1, len(own), *rows.shape[1:])
            found[slab] = np.einsum("ab,la...->lb...", own, levels).reshape(found[slab].shape)
    return found


def right_side(target: Target, hessian: Hessian, x: FloatArray) -> FloatArray:
    """``H (x - origin)``, what the curvature adds to the gradient."""
    return hessian.times(x - target.origin)


def log_prior_of(target: Target, w: FloatArray) -> float:
    """Log density of w: of coefficients with flat priors, one in units of x."""
    n = float(target.precision.sum())
    return -0.5 * float(target.precision @ w**2) - 0.5 * n * float(np.log(2 * np.pi))


def find_mode_of_x(
    target: Target,
    theta: FloatArray,
    x: FloatArray,
    near: Hessian | None = None,
    gain: float = _GAIN,
) -> tuple[FloatArray, Slopes, Hessian, Given]:
    """Climb to the mode of x given theta, by Newton steps from ``x``.

    Raises
    ------
    EngineError
        If there is no mode.
    """
    factors = target.scales(theta[None]).factors(0)
    w = target.whiten(x, factors)
    if not np.isfinite(w).all():  # effects of terms without spread
        w = np.where(np.isfinite(w), w, 0.0)
        x = target.unwhiten(w, factors)
    found = slopes_at(target, theta, x)
    best = found.value + log_prior_of(target, w)
    for _ in range(_MAX_STEPS):
        hessian, normal = _positive(target, found, x, factors, near)
        near = hessian
        step, size = normal.mean - w, 1.0
        while True:
            tried = target.unwhiten(w + size * step, factors)
            value = slopes_at(target, theta, tried, found.nodes)
            height = value.value + log_prior_of(target, w + size * step)
            if height >= best - 1e-9 * abs(best) or size < 1e-4:
                break
            size *= 0.5
        if not np.isfinite(height):
            break
        w, x, gained = w + size * step, tried, height - best
        found, best = value, max(best, height)
        if (gained < gain and size == 1.0) or size < 1e-4:
            hessian, normal = _positive(target, found, x, factors, near)
            return x, found, hessian, normal
    raise EngineError("no mode of the coefficients was found: they run away")


def _positive(
    target: Target,
    found: Slopes,
    x: FloatArray,
    factors: Sequence[FloatArray],
    near: Hessian | None,
) -> tuple[Hessian, Given]:
    """The curvature at x, made positive where it is not, and the normal density of it."""
    gradient = gradient_of(target, found.slope)
    for share in _SHARES:
        hessian = hessian_of(target, found, share, near)
        right = gradient + right_side(target, hessian, x)
        normal = given(target, hessian, right, factors)
        if normal is not None:
            return hessian, normal
    raise EngineError("the curvature at the mode is not finite: numbers are out of range")


def expand(
    target: Target, theta: FloatArray, x: FloatArray, near: Hessian | None = None
) -> Expansion:
    """Expand at the mode of x given theta."""
    x, found, hessian, normal = find_mode_of_x(target, theta, x, near)
    d, h = len(theta), _STEP
    curved = right_side(target, hessian, x)
    by_theta, growth = np.zeros((len(x), d)), np.zeros(d)
    bends, curved_by_theta = np.zeros((d, *hessian.entries.shape)), np.zeros((len(x), d))
    for k in range(d):
        up, down = (
            slopes_at(target, theta + sign * h * np.eye(d)[k], x, found.nodes)
            for sign in (1.0, -1.0)
        )
        by_theta[:, k] = (gradient_of(target, up.slope) - gradient_of(target, down.slope)) / (2 * h)
        if min(up.curvature, down.curvature) > 0:
            growth[k] = np.log(up.curvature / down.curvature) / (2 * h)
        above, below = (hessian_of(target, one, hessian.share, hessian) for one in (up, down))
        if hessian.like(above) and hessian.like(below):
            change = (above.entries - below.entries) / (2 * h) - growth[k] * hessian.entries
            bends[k] = change
            curved_by_theta[:, k] = right_side(target, hessian.of(change), x)
    return Expansion(
        theta=theta,
        x=x,
        value=found.value,
        hessian=hessian,
        gradient=gradient_of(target, found.slope),
        by_theta=by_theta,
        log_growth=growth,
        bends=bends,
        curved=curved,
        curved_by_theta=curved_by_theta,
        nodes=found.nodes,
        widths=_widths(target, theta, normal, found.nodes),
    )


def _widths(target: Target, theta: FloatArray, normal: Given, nodes: Nodes) -> FloatArray | None:
    """Widths (q, 2) of the density of x along the axes of its normal density; None of even rows.

    A normal density of the same height two standard deviations from the mode has them.
    """
    q = len(normal.mean)
    if not target.density.uneven or len(target.rows.y) * q > _MOST_ASIDE:
        return None
    scales, factors = target.scales(theta[None]), target.scales(theta[None]).factors(0)
    axes = _ASIDE * np.array([normal.deviate(one) for one in np.eye(q)])
    places = normal.mean + np.concatenate([np.zeros((1, q)), -axes, axes])
    eta = target.linear_predictor(np.array([target.unwhiten(w, factors) for w in places]))
    sd, phi = target.lead_sd(scales), target.phi(theta[None])
    sd, phi = np.repeat(sd, len(places)), np.repeat(phi, len(places), axis=0)
    height = log_likelihoods(target, eta, sd, phi, nodes)
    height += np.array([log_prior_of(target, w) for w in places])
    fall = 0.5 * _ASIDE**2 / np.maximum(height[0] - height[1:], 1e-10)
    return np.sqrt(np.clip(fall, _WIDEST**-2, _WIDEST**2)).reshape(2, q).T


def normal_at(
    target: Target,
    point: Expansion,
    theta: FloatArray,
    factors: Sequence[FloatArray],
    gradient: FloatArray,
) -> tuple[Given, FloatArray] | None:
    """The normal density of w at other parameters than the expansion's, and ``H (x - origin)``.

    The curvature is that of the growth alone where the derivatives lead to one that is not
    positive; None where that is not either.
    """
    for bent in (True, False):
        hessian, curved = point.curvature_at(theta, bent)
        normal = given(target, hessian, gradient + curved, factors)
        if normal is not None:
            return normal, curved
    return None
