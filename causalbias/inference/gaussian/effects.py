"""The leading term's effects given everything else: exact, level by level, in chunks of draws.

For level j with block ``G_j = sum_i w_i x_i x_i' / sigma_i^2`` (k, k) and
``r_j = sum_i w_i x_i e_i / sigma_i^2`` (k,), sums over its rows, e being the response less all
other terms,

    b_j = L u_j,    u_j ~ N(M_j^-1 L' r_j, M_j^-1),    M_j = I + L' G_j L.

Both are kept by record, a level in one cell of rows of equal sigma (`blocks.Leading`).
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray

from causalbias.inference.gaussian.blocks import Leading
from causalbias.inference.problem import FloatArray


def draw_leading(
    leading: Leading,
    sigma: FloatArray,
    factor: FloatArray,
    beta: FloatArray,
    chain: list[FloatArray],
    dense: FloatArray,
    seeds: NDArray[np.uint64],
) -> NDArray[np.float32]:
    """Draw the leading effects for a chunk of c draws, (c, levels, k) in single precision.

    Parameters
    ----------
    leading : Leading
    sigma : ndarray (c, cells)
    factor : ndarray (c, k, k)
        ``diag(sd) @ chol(corr)``.
    beta : ndarray (c, p)
        Coefficients, less the centre the cross-products were formed with.
    chain : list of ndarray (c, levels, k)
    dense : ndarray (c, q)
        Effects of the dense terms, level-major.
    seeds : ndarray (c,)
        Each draw has its own stream of random numbers, so that its effects do not depend on how
        draws are cut into chunks.
    """
    levels, k = leading.n_levels, len(leading.links)
    out = np.empty((len(sigma), levels, k), dtype=np.float32)
    rhs = _residual_sums(leading, beta, chain, dense)
    precision, starts = sigma**-2.0, leading.starts

    def draw(some: NDArray[np.intp]) -> None:
        for i in some:
            stream = np.random.Generator(np.random.SFC64(int(seeds[i])))
            noise = stream.standard_normal((levels, k), dtype=np.float32)
            own = precision[i, leading.cell]
            _draw_levels(starts, own, leading.gram, rhs[i], factor[i], noise, out[i])

    # Both steps release the lock. Handing single draws to threads costs more than few levels do.
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(draw, np.array_split(np.arange(len(seeds)), 8 * threads)))
    return out


def leading_given(
    leading: Leading,
    factor: FloatArray,
    beta: FloatArray,
    chain: list[FloatArray],
    dense: FloatArray,
    noise: FloatArray,
) -> FloatArray:
    """The leading effects (c, levels, k) of draws with sigma 1, from the noise (c, levels * k).

    Other arguments as for `draw_leading`.
    """
    out = np.empty((len(noise), leading.n_levels, len(leading.links)), dtype=np.float32)
    rhs, starts = _residual_sums(leading, beta, chain, dense), leading.starts
    normal, own = noise.reshape(out.shape).astype(np.float32), np.ones(len(leading.cell))
    for i in range(len(out)):
        _draw_levels(starts, own, leading.gram, rhs[i], factor[i], normal[i], out[i])
    return out.astype(float)


def _residual_sums(
    leading: Leading, beta: FloatArray, chain: list[FloatArray], dense: FloatArray
) -> FloatArray:
    """r_j sigma^2 of each draw, coefficient and record (c, k, records)."""
    rhs = np.empty((len(beta), len(leading.links), len(leading.gram)))
    for c, link in enumerate(leading.links):
        own = link.x[:, -1] - beta @ link.x[:, :-1].T
        if link.sparse.shape[1]:
            own -= (link.sparse @ dense.T).T
        for codes, values, effects in zip(link.codes, link.values, chain, strict=True):
            _subtract_gathered(own, codes, values, effects)
        rhs[:, c] = own
    return rhs


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subtract_gathered(
    rhs: FloatArray, codes: NDArray[np.int64], values: FloatArray, effects: FloatArray
) -> None:
    for i in range(rhs.shape[0]):
        for j in range(rhs.shape[1]):
            if values.shape[1] == 1:
                rhs[i, j] -= values[j, 0] * effects[i, codes[j], 0]
                continue
            for r in range(values.shape[1]):
                rhs[i, j] -= values[j, r] * effects[i, codes[j], r]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_levels(
    starts: NDArray[np.int64],
    precision: FloatArray,
    gram: FloatArray,
    rhs: FloatArray,
    factor: FloatArray,
    noise: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Draw each level's effects; ``precision`` (records,) is 1 / sigma^2 of each record."""
    levels, k = noise.shape
    if k == 1:
        sd = factor[0, 0]
        for j in range(levels):
            square, mean = 1.0, 0.0
            for i in range(starts[j], starts[j + 1]):
                square += sd**2 * precision[i] * gram[i, 0, 0]
                mean += sd * precision[i] * rhs[0, i]
            out[j, 0] = sd * (mean / square + noise[j, 0] / np.sqrt(square))
        return
    own, half, pivot = np.empty((k, k)), np.empty((k, k)), np.empty((k, k))
    right, white = np.empty(k), np.empty(k)
    for j in range(levels):
        own[:], right[:] = 0.0, 0.0
        for i in range(starts[j], starts[j + 1]):
            for r in range(k):
                right[r] += precision[i] * rhs[r, i]
                for c in range(k):
                    own[r, c] += precision[i] * gram[i, r, c]
        for r in range(k):
            for c in range(k):
                half[r, c] = 0.0
                for s in range(k):
                    half[r, c] += own[r, s] * factor[s, c]
        for r in range(k):
            white[r] = 0.0
            for s in range(r, k):
                white[r] += factor[s, r] * right[s]
            for c in range(r + 1):
                total = 1.0 if r == c else 0.0
                for s in range(r, k):
                    total += factor[s, r] * half[s, c]
                for s in range(c):
                    total -= pivot[r, s] * pivot[c, s]
                pivot[r, c] = np.sqrt(total) if r == c else total / pivot[c, c]
        for r in range(k):
            for s in range(r):
                white[r] -= pivot[r, s] * white[s]
            white[r] /= pivot[r, r]
        for r in range(k - 1, -1, -1):
            white[r] += noise[j, r]
            for s in range(r + 1, k):
                white[r] -= pivot[s, r] * white[s]
            white[r] /= pivot[r, r]
        for r in range(k):
            total = 0.0
            for s in range(r + 1):
                total += factor[r, s] * white[s]
            out[j, r] = total
