"""Count the distances between two blocks of faces, on arrays that fit into the cache."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from causalbias.rates.matching import at_or_below

# Unit roundoff of float32, in which the products are computed.
ROUNDOFF = 2.0**-24
LARGE = 1e30  # larger than any squared distance of scaled vectors

# Faces per block, such that two blocks and their product fit into the processor's cache.
BLOCK = 512

# Histogram (2, bin), matches (2, threshold), matches of each face (2, threshold, face), twice.
Counts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_matches = njit(cache=True)(at_or_below)


@dataclass(frozen=True)
class Scaling:
    """How the embeddings of all faces are scaled for the computation of distances.

    Embeddings are divided by a power of two that brings the largest number near 1 (for cosine
    distances, which do not depend on length, by one for each face). This loses no digits and keeps
    squares within the range of float32, which ends at about 3e38. Centring does not change
    distances and reduces rounding errors.

    Attributes
    ----------
    cosine : bool
        Whether distances are 1 minus the cosine, and not Euclidean.
    exponent : int
        Distances are 2 to this power times those of `Vectors.exact`.
    mean : ndarray of float64 (feature,)
        Mean of the divided embeddings, for Euclidean distances.
    largest : float
        Upper end of the histograms, in units of the distances of `Vectors.exact`.
    """

    cosine: bool
    exponent: int
    mean: np.ndarray
    largest: float


@dataclass(frozen=True)
class Vectors:
    """Embeddings of some faces, scaled for the computation of distances.

    Attributes
    ----------
    exact : ndarray (face, feature)
        Embeddings divided by a power of two, so that no square overflows or underflows.
    ready : ndarray of float32 (face, feature)
        Centred embeddings, or embeddings of length 1 for cosine distances.
    squares : ndarray of float32 (face,)
        Squared lengths of `ready`.
    identity : ndarray of int32 (face,)
        Code of each face's identity.
    """

    exact: np.ndarray
    ready: np.ndarray
    squares: np.ndarray
    identity: np.ndarray


def make_ready(embeddings: np.ndarray, identity: np.ndarray, scaling: Scaling) -> Vectors:
    """Scale and centre embeddings, or scale them to length 1, and compute their squared lengths."""
    if scaling.cosine:
        exponents = np.frexp(np.abs(embeddings).max(axis=1, initial=0).astype(np.float64))[1]
        exact = np.ascontiguousarray(np.ldexp(embeddings, -exponents[:, None]))
        lengths = np.sqrt(np.einsum("ij,ij->i", exact, exact, dtype=np.float64))
        ready = (exact / lengths[:, None]).astype(np.float32)
    else:
        exact = np.ascontiguousarray(np.ldexp(embeddings, -scaling.exponent))
        ready = (exact - scaling.mean).astype(np.float32)
    squares = np.einsum("ij,ij->i", ready, ready, dtype=np.float64).astype(np.float32)
    return Vectors(exact, ready, squares, identity.astype(np.int32))


def count_block(
    one: Vectors,
    other: Vectors,
    scaling: Scaling,
    bins: int,
    thresholds: np.ndarray,
    rows: slice,
    columns: slice,
) -> Counts:
    """Count the distances of the faces `rows` of `one` to the faces `columns` of `other`.

    Parameters
    ----------
    one, other : Vectors
        Of different faces, or the same object.
    scaling : Scaling
    bins : int
        Number of bins of equal width, from 0 to `scaling.largest`.
    thresholds : ndarray (threshold,)
        Thresholds in units of the distances of `Vectors.exact`.
    rows, columns : slice
        Of the same vectors: equal slices for the pairs within a block (each pair is counted once),
        or disjoint ones.

    Returns
    -------
    histogram : ndarray of int64 (2, bin)
        Numbers of impostor and of genuine pairs, from distances in float32.
    matches : ndarray of int64 (2, threshold)
        Exact numbers of pairs that match at each threshold. Where float32 is not precise enough to
        decide, the distance is computed again in float64.
    of_rows, of_columns : ndarray of int32 (2, threshold, face)
        Numbers of impostor and of genuine matches of each face.
    """
    product = one.ready[rows] @ other.ready[columns].T
    error, least, squared = margins(one.ready.shape[1], scaling, thresholds)
    found: Counts = _count(
        product,
        one.squares[rows],
        other.squares[columns],
        one.identity[rows],
        other.identity[columns],
        one.exact[rows],
        other.exact[columns],
        one is other and rows == columns,
        scaling.cosine,
        np.float32(scale_of(scaling, bins)),
        bins,
        thresholds.astype(np.float64),
        squared,
        error,
        least,
    )
    return found


def margins(
    features: int, scaling: Scaling, thresholds: np.ndarray
) -> tuple[np.float32, np.float32, np.ndarray]:
    """Return the bounds of the error of squared distances in float32, and squared thresholds.

    The first bound is relative to the sum of the two squared lengths, for sums in any order. The
    second is absolute, of underflow. With cosine distances the squared distance of vectors of
    length 1, twice the distance, is compared.
    """
    terms = features + 16
    squared = np.minimum(2 * thresholds if scaling.cosine else thresholds**2, LARGE)
    least = np.float32(terms * np.finfo(np.float32).tiny)
    return np.float32(terms * ROUNDOFF), least, squared.astype(np.float32)


def scale_of(scaling: Scaling, bins: int) -> float:
    """Return the number of bins per unit of a distance, or of a squared one if it is a cosine."""
    return bins / scaling.largest * (0.5 if scaling.cosine else 1.0)


@njit(cache=True, nogil=True)
def exact_distances(exact_a, exact_b, first, second, cosine):  # type: ignore[no-untyped-def]
    """Compute the distances in float64 of some pairs of rows (pair,) of two blocks."""
    found = np.empty(len(first))
    for k in range(len(first)):
        found[k] = _distance(exact_a[first[k]], exact_b[second[k]], cosine)
    return found


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _count(  # type: ignore[no-untyped-def]
    product,
    square_a,
    square_b,
    identity_a,
    identity_b,
    exact_a,
    exact_b,
    triangle,
    cosine,
    scale,
    bins,
    thresholds,
    squared,
    error,
    least,
):
    n_rows, n_columns = product.shape
    # Two histograms are filled in turn: neighbouring pairs often fall in the same bin, and adding
    # to it twice in a row would stall the processor.
    even = np.zeros(2 * bins + 2, np.int32)
    odd = np.zeros(2 * bins + 2, np.int32)
    matches = np.zeros((2, len(thresholds)), np.int64)
    of_rows = np.zeros((2, len(thresholds), n_rows), np.int32)
    of_columns = np.zeros((2, len(thresholds), n_columns), np.int32)
    apart = np.empty(n_columns, np.float32)
    place = np.empty(n_columns, np.int32)
    highest = np.float32(-1.0)
    for t in range(len(squared)):
        highest = max(highest, squared[t])
    last = np.int32(bins - 1)
    for i in range(n_rows):
        start = i + 1 if triangle else 0
        own, who, row = square_a[i], identity_a[i], product[i]
        for j in range(start, n_columns):
            value = max(own + square_b[j] - np.float32(2.0) * row[j], np.float32(0.0))
            apart[j] = value
            # The index is forced into the table, because numba does not check bounds.
            at = np.int32(min((value if cosine else np.sqrt(value)) * scale, np.float32(last)))
            at = max(min(at, last), np.int32(0))
            place[j] = at + (bins if who == identity_b[j] else np.int32(0))
        for j in range(start, n_columns - 1, 2):
            even[place[j]] += 1
            odd[place[j + 1]] += 1
        if start < n_columns and (n_columns - start) % 2:
            even[place[n_columns - 1]] += 1
        for j in range(start, n_columns):
            doubt = error * (own + square_b[j]) + least
            if apart[j] <= highest + doubt:
                same = who == identity_b[j]
                for t in range(len(squared)):
                    below = apart[j] <= squared[t]
                    if abs(apart[j] - squared[t]) <= doubt:
                        below = _matches(_distance(exact_a[i], exact_b[j], cosine), thresholds[t])
                    if below:
                        own_kind = np.int64(same)
                        matches[own_kind, t] += 1
                        of_rows[own_kind, t, i] += 1
                        of_columns[own_kind, t, j] += 1
    histogram = np.empty((2, bins), np.int64)
    for kind in range(2):
        for edge in range(bins):
            histogram[kind, edge] = even[kind * bins + edge] + odd[kind * bins + edge]
    return histogram, matches, of_rows, of_columns


@njit(cache=True, nogil=True)
def _distance(one, other, cosine):  # type: ignore[no-untyped-def]
    """Compute a distance in float64."""
    if cosine:
        product, length_a, length_b = 0.0, 0.0, 0.0
        for k in range(len(one)):
            a, b = np.float64(one[k]), np.float64(other[k])
            product += a * b
            length_a += a * a
            length_b += b * b
        return max(1.0 - product / math.sqrt(length_a * length_b), 0.0)
    total = 0.0
    for k in range(len(one)):
        total += (np.float64(one[k]) - np.float64(other[k])) ** 2
    return math.sqrt(total)
