"""One plain term with so many levels, so much entangled, that no factor can be made.

Pairs of random identities make an expander graph, whose every elimination order fills in. But of a
model whose only effects are those of one term, one of each level, the normal matrix of the whitened
effects is ``A = I + r^2 M``, ``M = Z'WZ`` and r = sd / sigma: one Krylov space of M serves all r.
K steps of Lanczos' recurrence from a vector s give a tridiagonal matrix, whose eigenvalues theta_k
and first components tau_k of eigenvectors are a Gauss quadrature (Golub and Meurant 2010,
*Matrices, Moments and Quadrature*, chapter 7),

    s'f(M)s = |s|^2 sum_k tau_k^2 f(theta_k),

whose error falls like ``((sqrt(c) - 1) / (sqrt(c) + 1))^2K``, c = 1 + r^2 max(mu). Coefficients
need ``B'A^-1 B``, B = Z'W [X, y], by the starts ``q_i`` and ``q_i + q_j`` of an orthonormal basis
of B: to the accuracy of rounding. The log determinant is *estimated* from random signs z_m, of
which ``E z'log(A)z = log |A|`` (Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. Appl. 38(4)).
What a polynomial of M explains of it is taken out, since the traces of the first powers are known
exactly: control variates, by least squares. The scatter between the z_m says how large an error is
left; it is known for every function of the scales (`LanczosTerm.error`), and more z_m are drawn
until it is small beside the posterior.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from causalbias.inference.problem import EngineError, FloatArray

_ACCURACY = 1e-14  # of a quadrature, relative
_FIRST_STEPS, _MOST_STEPS = 24, 300
_FIRST_PROBES, _MOST_PROBES = 32, 2048
MAX_ERROR = 0.05  # of a posterior mean, in posterior standard deviations
_MAX_PRODUCTS = 50_000_000  # multiplications of M by itself
_BLOCK = 32  # starts whose recurrences run side by side
_QUANTILES = 200  # of the ratio, by which the posterior is represented
_TOLERANCE = 1e-9  # of the solution for drawn effects, relative

_compiled = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"}
)


@dataclass(frozen=True)
class Recurrence:
    """Lanczos' recurrences of c starts, as far as they have been taken.

    Attributes
    ----------
    alpha, beta : ndarray (steps, c)
        Diagonals and subdiagonals of the tridiagonal matrices; a beta of zero is the end.
    last, before : ndarray (levels, c)
        The vector to go on from, and the one before it.
    """

    alpha: FloatArray
    beta: FloatArray
    last: FloatArray
    before: FloatArray

    def advanced(self, matrix: sparse.csr_matrix, steps: int, largest: float) -> "Recurrence":
        """The recurrences after so many steps in all; ``largest`` bounds the eigenvalues."""
        done, count = self.alpha.shape
        if steps <= done:
            return self
        alpha, beta = np.zeros((steps, count)), np.zeros((steps, count))
        alpha[:done], beta[:done] = self.alpha, self.beta
        last, before = self.last.copy(), self.before.copy()
        _advance(
            matrix.indptr, matrix.indices, matrix.data, last, before, alpha, beta, done, largest
        )
        return Recurrence(alpha, beta, last, before)

    def quadrature(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights (c, steps) of unit starts."""
        pairs = [
            linalg.eigh_tridiagonal(self.alpha[:, i], self.beta[:-1, i])
            for i in range(self.alpha.shape[1])
        ]
        nodes = np.array([values for values, _ in pairs])
        return np.maximum(nodes, 0.0), np.array([vectors[0] ** 2 for _, vectors in pairs])


@dataclass(frozen=True)
class LanczosTerm:
    """The term's part of the normal equations; what it says of the log determinant is an estimate.

    Attributes
    ----------
    root : csr_matrix (n, levels)
        ``W^1/2 Z``.
    matrix : csr_matrix (levels, levels)
        M.
    largest : float
        A bound of its eigenvalues.
    link : ndarray (levels, p + 1)
        ``B = Z'W [X, y]``.
    triangle : ndarray (p + 1, p + 1)
        R of ``B = Q R``.
    traces : ndarray (powers,)
        Of Chebyshev's polynomials of ``2 M / largest - I``.
    exact : tuple of Recurrence
        Of the columns of Q, and sums of two of them.
    probes : tuple of Recurrence
        Of random signs.
    steps : int
    """

    root: sparse.csr_matrix
    matrix: sparse.csr_matrix
    largest: float
    link: FloatArray
    triangle: FloatArray
    traces: FloatArray
    exact: tuple[Recurrence, ...]
    probes: tuple[Recurrence, ...]
    steps: int

    def taken(self, sigma: FloatArray, factors: list[FloatArray]) -> tuple[FloatArray, float]:
        """As `SparsePart.taken`."""
        noise = float(sigma[0])
        square = (float(factors[0][0, 0]) / noise) ** 2
        nodes, weights = self._of_link
        quads = (weights / (1.0 + square * nodes)).sum(axis=1)
        q = len(self.triangle)
        first, second = np.triu_indices(q, 1)
        inner = np.diag(quads[:q])
        inner[first, second] = quads[q:] - 0.5 * (quads[first] + quads[second])
        inner[second, first] = inner[first, second]
        taken = (square / noise**2) * (self.triangle.T @ inner @ self.triangle)
        nodes, to_powers = self._of_probes[0], self._of_probes[2]
        log_det = self.traces @ (to_powers @ np.log1p(square * nodes.ravel()))
        return taken, float(log_det)

    @cached_property
    def _of_link(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights of the starts from B."""
        return _joined(self.exact)

    @cached_property
    def _of_probes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Nodes and weights (probes, steps), and the least-squares fit of polynomials to values.

        Fitted with the weights of all probes, what polynomials leave of a function adds up to zero.
        """
        nodes, weights = _joined(self.probes)
        root = np.sqrt(weights.ravel() / len(nodes))
        waves = _chebyshev(2.0 * nodes.ravel() / self.largest - 1.0, len(self.traces))
        return nodes, weights, np.linalg.pinv((waves * root).T, rcond=1e-12) * root

    def refined(self, ratio: FloatArray, weight: FloatArray) -> "LanczosTerm | None":
        """One that is accurate for a posterior that was found by this one; None if this one is.

        Parameters
        ----------
        ratio, weight : ndarray (n,)
            Values of sd / sigma, and their posterior weights.

        Raises
        ------
        EngineError
            Where too many steps or probes would be needed.
        """
        weight = weight / weight.sum()
        steps = _steps_for(float(ratio[weight > 1e-8].max()), self.largest)
        if steps > _MOST_STEPS:
            raise EngineError(
                f"effects of {len(self.link):,} levels are so large beside the noise that their "
                f"equations would take {steps:,} iterations, more than {_MOST_STEPS}"
            )
        if steps > self.steps:
            return self._advanced(steps)
        error, probes = self.error(ratio, weight), sum(one.last.shape[1] for one in self.probes)
        if error <= MAX_ERROR:
            return None
        wanted = int(np.ceil(probes * (1.2 * error / MAX_ERROR) ** 2 / _BLOCK)) * _BLOCK
        if wanted > _MOST_PROBES:
            raise EngineError(
                f"the log determinant of {len(self.link):,} levels would take {wanted:,} random "
                f"vectors, more than {_MOST_PROBES:,}, to be known well enough"
            )
        return replace(self, probes=_probes(len(self.link), wanted, self.probes))._advanced(steps)

    def _advanced(self, steps: int) -> "LanczosTerm":
        def advance(one: Recurrence) -> Recurrence:
            return one.advanced(self.matrix, steps, self.largest)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            exact = tuple(pool.map(advance, self.exact))
            probes = tuple(pool.map(advance, self.probes))
        return replace(self, exact=exact, probes=probes, steps=steps)

    def error(self, ratio: FloatArray, weight: FloatArray) -> float:
        """Standard error that the estimate brings to a posterior mean, in posterior sds, at most.

        Of a log density that is off by delta, the mean of h is off by ``cov(h, delta)``, to first
        order: at most sd(delta) of h's own. delta is a mean over the probes m of ``delta_m``, what
        the polynomials leave of half of ``z_m'log(A)z_m``.
        """
        order = np.argsort(ratio)
        below = np.cumsum(weight[order]) / weight.sum()
        at = np.searchsorted(below, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
        nodes, weights, to_powers = self._of_probes
        waves = _chebyshev(2.0 * nodes.ravel() / self.largest - 1.0, len(self.traces))
        left = np.empty((_QUANTILES, len(nodes)))
        for i, one in enumerate(ratio[order[np.minimum(at, len(order) - 1)]]):
            values = np.log1p(one**2 * nodes.ravel())
            rest = (values - (to_powers @ values) @ waves).reshape(nodes.shape)
            left[i] = 0.5 * len(self.link) * (weights * rest).sum(axis=1)
        count = len(nodes)
        return float(np.sqrt(left.var(axis=0).sum() / (count * (count - 1))))

    def draw(
        self,
        sigma: FloatArray,
        factors: list[FloatArray],
        beta: FloatArray,
        streams: NDArray[np.uint64],
    ) -> list[NDArray[np.float32]]:
        """As `SparsePart.draw`, by conjugate gradients.

        The solution of ``A u = sd Z'We / sigma^2 + r (W^1/2 Z)'z + z'``, e being the response less
        the coefficients' fit and z, z' standard normal, has the mean and the covariance of u
        (Papandreou and Yuille 2010, *Gaussian sampling by local perturbations*).
        """
        sd, sigma = factors[0][:, 0, 0], sigma[:, 0]
        out = np.empty((len(sd), len(self.link), 1), np.float32)

        def draw(some: slice) -> None:
            ratio = sd[some] / sigma[some]
            right = self.link[:, -1:] - self.link[:, :-1] @ beta[some].T
            right *= sd[some] / sigma[some] ** 2
            for i, stream in enumerate(streams[some]):
                generator = np.random.Generator(np.random.SFC64(int(stream)))
                right[:, i] += ratio[i] * (
                    self.root.T @ generator.standard_normal(self.root.shape[0])
                )
                right[:, i] += generator.standard_normal(len(right))
            out[some, :, 0] = (sd[some] * _solve(self.matrix, ratio**2, right)).T

        parts = [slice(at, at + 16) for at in range(0, len(sd), 16)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(draw, parts))
        return [out]


def lanczos_term(root: sparse.csr_matrix, link: FloatArray) -> LanczosTerm:
    """The part of a term with weighted design ``root = W^1/2 Z`` and ``link = Z'W [X, y]``.

    The probes are the same each time: the same data have the same estimate.
    """
    matrix = sparse.csr_matrix(root.T @ root)
    matrix.sort_indices()
    largest = max(float(np.abs(matrix).sum(axis=1).max()), 1e-300)
    basis, triangle = np.linalg.qr(link)
    first, second = np.triu_indices(basis.shape[1], 1)
    starts = np.hstack([basis, (basis[:, first] + basis[:, second]) / np.sqrt(2.0)])
    exact = tuple(
        _begin(np.ascontiguousarray(starts[:, at : at + _BLOCK]))
        for at in range(0, starts.shape[1], _BLOCK)
    )
    term = LanczosTerm(
        root=root,
        matrix=matrix,
        largest=largest,
        link=link,
        triangle=triangle,
        traces=_traces(matrix, largest),
        exact=exact,
        probes=_probes(len(link), _FIRST_PROBES, ()),
        steps=0,
    )
    return term._advanced(_FIRST_STEPS)


def _begin(starts: FloatArray) -> Recurrence:
    """No step taken from unit starts (levels, c)."""
    none = np.zeros((0, starts.shape[1]))
    return Recurrence(none, none, starts, np.zeros_like(starts))


def _probes(levels: int, count: int, known: Sequence[Recurrence]) -> tuple[Recurrence, ...]:
    """So many random signs in all, in blocks, those already known among them."""
    made = list(known)
    for block in range(len(made), count // _BLOCK):
        signs = np.random.default_rng(block).integers(0, 2, (levels, _BLOCK))
        made.append(_begin((2.0 * signs - 1.0) / np.sqrt(levels)))
    return tuple(made)


def _steps_for(ratio: float, largest: float) -> int:
    """Steps after which the quadratures are accurate at a ratio, by the bound on their error."""
    root = np.sqrt(1.0 + ratio**2 * largest)
    rate = np.log1p(2.0 / max(root - 1.0, 1e-12))
    return int(np.ceil(-0.5 * np.log(_ACCURACY) / rate)) + 2


def _joined(some: Sequence[Recurrence]) -> tuple[FloatArray, FloatArray]:
    nodes, weights = zip(*(one.quadrature() for one in some), strict=True)
    return np.concatenate(nodes), np.concatenate(weights)


def _chebyshev(x: FloatArray, count: int) -> FloatArray:
    """The first ``count`` of Chebyshev's polynomials at x (n,), (count, n)."""
    return np.asarray(np.polynomial.chebyshev.chebvander(x, count - 1).T, dtype=float)


def _traces(matrix: sparse.csr_matrix, largest: float) -> FloatArray:
    """Traces of Chebyshev's polynomials of ``C = 2 M / largest - I``, as many as are affordable.

    ``T_2 = 2 C^2 - I``, ``T_3 = 4 C^3 - 3 C``, ``T_4 = 8 C^4 - 8 C^2 + I``; C is symmetric, so that
    the traces of its first four powers are sums of products of entries of C and C^2.
    """
    n = matrix.shape[0]
    scaled = sparse.csr_matrix(matrix * (2.0 / largest) - sparse.eye_array(n))
    one, two = float(scaled.diagonal().sum()), float((scaled.data**2).sum())
    known = [float(n), one, 2 * two - n]
    if float(np.square(np.diff(matrix.indptr).astype(float)).sum()) <= _MAX_PRODUCTS:
        square = sparse.csr_matrix(scaled @ scaled)
        three = float(scaled.multiply(square).sum())
        known += [4 * three - 3 * one, 8 * float((square.data**2).sum()) - 8 * two + n]
    return np.array(known)


def _solve(matrix: sparse.csr_matrix, square: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``(I + r_i^2 M) x_i = b_i`` for columns b_i (levels, c), by conjugate gradients."""
    inverse = 1.0 / (1.0 + matrix.diagonal()[:, None] * square)
    x, residual = np.zeros_like(right), right.copy()
    towards = inverse * residual
    product = (residual * towards).sum(axis=0)
    target = _TOLERANCE**2 * (right**2).sum(axis=0)
    for _ in range(2 * _MOST_STEPS):
        image = towards + square * (matrix @ towards)
        active = (residual**2).sum(axis=0) > target
        if not active.any():
            return x
        step = np.where(active, product / (towards * image).sum(axis=0), 0.0)
        x += step * towards
        residual -= step * image
        conditioned = inverse * residual
        following = (residual * conditioned).sum(axis=0)
        towards = conditioned + (following / product) * towards
        product = following
    raise EngineError("effects could not be drawn: their equations did not converge")


@_compiled
def _advance(  # type: ignore[no-untyped-def]
    starts, columns, values, last, before, alpha, beta, done, largest
):
    """Steps of ``beta_j v_{j+1} = M v_j - alpha_j v_j - beta_{j-1} v_{j-1}`` from ``done`` on.

    ``last`` and ``before`` (levels, c) are v_j and v_{j-1}; they are overwritten. Where beta
    vanishes the vectors so far span all that M makes of the start, and the rest is zero.
    """
    n, count = last.shape
    row = np.empty(count)
    for j in range(done, len(alpha)):
        previous = beta[j - 1] if j else np.zeros(count)
        for i in range(n):
            for c in range(count):
                row[c] = -previous[c] * before[i, c]
            for t in range(starts[i], starts[i + 1]):
                value, source = values[t], last[columns[t]]
                for c in range(count):
                    row[c] += value * source[c]
            for c in range(count):
                before[i, c] = row[c]
                alpha[j, c] += row[c] * last[i, c]
        for i in range(n):
            for c in range(count):
                before[i, c] -= alpha[j, c] * last[i, c]
                beta[j, c] += before[i, c] ** 2
        for c in range(count):
            size = np.sqrt(beta[j, c])
            beta[j, c] = size if size > 1e-13 * largest else 0.0
            row[c] = 1.0 / size if size > 1e-13 * largest else 0.0
        for i in range(n):
            for c in range(count):
                following = before[i, c] * row[c]
                before[i, c] = last[i, c]
                last[i, c] = following
