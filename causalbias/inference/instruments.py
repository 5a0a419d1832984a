"""Effects of several exposures, each moved by several instruments, all of them measured with error.

K manipulations (instruments, arms) move J <= K perceived attributes (exposures) by the K x J matrix
L and the outcome by the K numbers Y. If a manipulation acts through these attributes alone, then

    Y = L b,

with b the effect of each exposure by one unit, the others held: multivariable instrumental
variables, or multivariable Mendelian randomisation. Of L and Y there are estimates, means over n
units (seeds) with joint error covariance S. Given b, the K differences

    r(b) = Y^ - L^ b  are  N(0, V(b)),    V(b) = [-b, 1] S [-b, 1]' + sum_j b_j^2 E_j + direct^2 I,

where E_j is an error of exposure j that all units share (its judges'), and ``direct`` the standard
deviation of what a manipulation does to the outcome by itself. The latent L is integrated out.
A flat prior on L would favour b of small V(b), and pull effects to zero the more the more
manipulations there are (Chamberlain and Imbens 2004). The prior here is Jeffreys' (Kleibergen and
van Dijk 1998), under which the density of b is, up to its own weak normal prior,

    p(b) ~ (1 + r' V^-1 r / df)^(-(df + K) / 2) |L~' V^-1 L~|^(w / 2),    w = 1,

with df the degrees of freedom of V's estimate (Hotelling) and L~ the mean of L given b. With K = J
and no other prior these are the draws of Y divided by those of L (Fieller). The first factor has
its mode at the limited-information maximum likelihood, or the continuously updated GMM (Hansen,
Heaton and Yaron 1996). It is bounded below where L may be singular: b may then be anything. There
the second factor would decide, and would settle on the association within the errors. So w falls
to 0, and leaves the decision to the normal prior, as the p-value of the smallest conditional F
grows to `DOUBT`.
"""

from dataclasses import dataclass, replace

import numba
import numpy as np
from scipy import optimize, stats

from causalbias.inference.problem import FloatArray, IntArray

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")

STRETCH = 2.0
DOUBT = 0.2  # p-value of the least conditional F from which on the data choose no scale of b
ITERATIONS = 40
EXACT = 1e-6  # of moves' sizes: error of those that are known exactly, so that V has an inverse
MOST_ALIKE = 0.95  # correlation of manipulations in the target of shrinkage


@dataclass(frozen=True)
class Moves:
    """What each manipulation moves, and how well that is known.

    Attributes
    ----------
    mean : ndarray (K, J + 1)
        Estimated moves of the exposures and, last, of the outcome.
    units : ndarray (n, K, J + 1)
        What each unit adds to the error of the means: the covariance of the means is the sum over
        units of products of these. Zero where a unit lacks a manipulation.
    judges : ndarray (J, K, K)
        Covariance of the errors of an exposure's moves that all units share.
    df : float
        Degrees of freedom of the units' covariance: of n units n - 1.
    judges_df : ndarray (J,)
        Of that of the judges of each exposure; infinite where it is known.
    direct : float
        Standard deviation of manipulations' own effects on the outcome.
    """

    mean: FloatArray
    units: FloatArray
    judges: FloatArray
    df: float
    judges_df: FloatArray
    direct: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of manipulations and of exposures."""
        return self.mean.shape[0], self.mean.shape[1] - 1


@dataclass(frozen=True)
class _Arrays:
    """What the compiled functions take.

    Attributes
    ----------
    mean : ndarray (K, J + 1)
    cross : ndarray (J + 1, J + 1, K, K)
        Covariances of the means of two columns, by units.
    judges, judges_df : as in `Moves`
    numbers : ndarray (3,)
        Variance of direct effects, df, and the weight of equal correlations in V: as of an inverse
        Wishart prior of K + 1 degrees of freedom (Ledoit and Wolf 2004 have the target).
    """

    mean: FloatArray
    cross: FloatArray
    judges: FloatArray
    judges_df: FloatArray
    numbers: FloatArray

    def criterion(self, weights: FloatArray) -> tuple[float, float]:
        """Return ``(M w)' V(w)^-1 (M w)`` and the degrees of freedom of V."""
        v, df = self.variance(weights)
        r = self.mean @ weights
        return float(r @ np.linalg.solve(v, r)), df

    def variance(self, weights: FloatArray) -> tuple[FloatArray, float]:
        """Return V(w) and its degrees of freedom."""
        return _variance(weights, self.cross, self.judges, self.judges_df, self.numbers)


def _arrays(moves: Moves) -> _Arrays:
    n, k, width = moves.units.shape
    flat = moves.units.transpose(0, 2, 1).reshape(n, width * k)
    cross = (flat.T @ flat).reshape(width, k, width, k).transpose(0, 2, 1, 3).copy()
    own = np.arange(width)
    cross[own, own] += EXACT**2 * (moves.mean**2).mean(axis=0)[:, None, None] * np.eye(k)
    return _Arrays(
        np.ascontiguousarray(moves.mean),
        np.ascontiguousarray(cross),
        np.ascontiguousarray(moves.judges),
        np.asarray(moves.judges_df, float),
        np.array([moves.direct**2, moves.df, (k + 1) / (k + 1 + moves.df)]),
    )


@_compiled
def _variance(
    weights: FloatArray,
    cross: FloatArray,
    judges: FloatArray,
    judges_df: FloatArray,
    numbers: FloatArray,
) -> tuple[FloatArray, float]:
    """V(w) and Satterthwaite's degrees of freedom of this sum, by traces."""
    width, k = cross.shape[0], cross.shape[2]
    v = np.zeros((k, k))
    for a in range(width):
        for b in range(width):
            product = weights[a] * weights[b]
            if product == 0.0:
                continue
            for i in range(k):
                for j in range(k):
                    v[i, j] += product * cross[a, b, i, j]
    alike = 0.0
    for i in range(k):
        for j in range(i):
            alike += v[i, j] / np.sqrt(max(v[i, i] * v[j, j], 1e-300))
    if k > 1:
        alike = min(max(2 * alike / (k * (k - 1)), -0.9 / (k - 1)), MOST_ALIKE)
    shrink = numbers[2]
    for i in range(k):
        for j in range(k):
            if i != j:
                target = alike * np.sqrt(max(v[i, i] * v[j, j], 0.0))
                v[i, j] = (1 - shrink) * v[i, j] + shrink * target
    total = np.trace(v)
    spread = total * total / numbers[1]
    for one in range(width - 1):
        square, size = weights[one] ** 2, 0.0
        for i in range(k):
            size += square * judges[one, i, i]
            for j in range(k):
                v[i, j] += square * judges[one, i, j]
        total += size
        spread += size * size / judges_df[one]
    direct = weights[width - 1] ** 2 * numbers[0]
    for i in range(k):
        v[i, i] += direct
    total += k * direct
    return v, total * total / max(spread, 1e-300)


@_compiled
def _cholesky(a: FloatArray) -> bool:
    """Lower factor in place; False where the matrix is not positive definite."""
    for i in range(a.shape[0]):
        for j in range(i + 1):
            found = a[i, j]
            for m in range(j):
                found -= a[i, m] * a[j, m]
            if i == j:
                if not found > 0.0:
                    return False
                a[i, i] = np.sqrt(found)
            else:
                a[i, j] = found / a[j, j]
    return True


@_compiled
def _forward(factor: FloatArray, y: FloatArray) -> FloatArray:
    """Solve ``factor x = y`` of a lower triangle."""
    x = np.empty_like(y)
    for i in range(len(y)):
        found = y[i]
        for m in range(i):
            found -= factor[i, m] * x[m]
        x[i] = found / factor[i, i]
    return x


@_compiled
def _log_density(
    b: FloatArray,
    mean: FloatArray,
    cross: FloatArray,
    judges: FloatArray,
    judges_df: FloatArray,
    numbers: FloatArray,
    prior_sd: FloatArray,
    jeffreys: float,
) -> float:
    """Log density of effects up to a constant: see the module."""
    k, width = mean.shape
    weights = np.ones(width)
    weights[: width - 1] = -b
    factor, df = _variance(weights, cross, judges, judges_df, numbers)
    if not _cholesky(factor):
        return -np.inf
    r = np.zeros(k)
    for i in range(k):
        for one in range(width):
            r[i] += mean[i, one] * weights[one]
    z = _forward(factor, r)
    criterion = 0.0
    for i in range(k):
        criterion += z[i] * z[i]
    found = -(df + k) / 2 * np.log1p(criterion / df)
    for one in range(width - 1):
        found -= (b[one] / prior_sd[one]) ** 2 / 2
    if jeffreys == 0.0:
        return found
    # Given b, the moves of exposure j are L_j^ - C_j V^-1 r, with C_j = cov(L_j^, r).
    solved = z.copy()
    for i in range(k - 1, -1, -1):
        for j in range(i + 1, k):
            solved[i] -= factor[j, i] * solved[j]
        solved[i] /= factor[i, i]
    whitened = np.empty((width - 1, k))
    for one in range(width - 1):
        moved = mean[:, one].copy()
        for i in range(k):
            for j in range(k):
                c = 0.0
                for other in range(width):
                    c += weights[other] * cross[one, other, i, j]
                if i != j:
                    c *= 1 - numbers[2]
                moved[i] -= (c - b[one] * judges[one, i, j]) * solved[j]
        whitened[one] = _forward(factor, moved) * prior_sd[one]
    information = 1e-12 * np.eye(width - 1)
    for one in range(width - 1):
        for other in range(width - 1):
            for i in range(k):
                information[one, other] += whitened[one, i] * whitened[other, i]
    if not _cholesky(information):
        return -np.inf
    for one in range(width - 1):
        found += jeffreys * np.log(information[one, one])
    return found


@_compiled
def _walk(
    at: FloatArray,
    uniform: FloatArray,
    partner: IntArray,
    warm: int,
    thin: int,
    mean: FloatArray,
    cross: FloatArray,
    judges: FloatArray,
    judges_df: FloatArray,
    numbers: FloatArray,
    prior_sd: FloatArray,
    jeffreys: float,
) -> FloatArray:
    """One ensemble's walkers (walkers, J) through all steps: (kept, walkers, J)."""
    walkers, j = at.shape
    half, steps = walkers // 2, len(uniform)
    found = np.empty(((steps - warm) // thin, walkers, j))
    here = np.empty(walkers)
    for one in range(walkers):
        here[one] = _log_density(
            at[one], mean, cross, judges, judges_df, numbers, prior_sd, jeffreys
        )
    for step in range(steps):
        for one in range(walkers):
            z = ((STRETCH - 1) * uniform[step, one, 0] + 1) ** 2 / STRETCH
            anchor = at[partner[step, one] + (half if one < half else 0)]
            new = anchor + z * (at[one] - anchor)
            there = _log_density(new, mean, cross, judges, judges_df, numbers, prior_sd, jeffreys)
            if np.log(uniform[step, one, 1]) < (j - 1) * np.log(z) + there - here[one]:
                at[one] = new
                here[one] = there
        if step >= warm and (step - warm) % thin == thin - 1:
            found[(step - warm) // thin] = at
    return found


def closest(
    moves: Moves, target: int = -1, prior_sd: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Weights that explain the moves of one column by those of the others: iterated GLS.

    Parameters
    ----------
    moves : Moves
    target : int
        The column of ``moves.mean``: the outcome, by default, explained by exposures; or an
        exposure, explained by the other exposures.
    prior_sd : ndarray, optional
        Standard deviations of the weights' prior, which is normal about zero.

    Returns
    -------
    tuple of ndarray (J,) or (J - 1,), ndarray (J, J) or (J - 1, J - 1)
        The weights, and their covariance.
    """
    arrays = _arrays(moves)
    at = np.delete(np.arange(moves.mean.shape[1]), [target, -1])  # exposures, but for the target
    x, y = moves.mean[:, at], moves.mean[:, target]
    size = (x**2).sum(axis=0) + 1e-300
    # Without a prior, a ridge that no estimate notices keeps equal columns from failing.
    ridge = 1 / prior_sd**2 if prior_sd is not None else np.zeros(len(at))
    found, cov = np.zeros(len(at)), np.empty((len(at), len(at)))
    for _ in range(ITERATIONS):
        weights = np.zeros(moves.mean.shape[1])
        weights[at], weights[target] = -found, 1.0
        v, _ = arrays.variance(weights)
        solved = np.linalg.solve(v, np.column_stack([x, y]))
        precision = x.T @ solved[:, :-1] + np.diag(ridge)
        precision += np.diag(1e-9 * size / np.trace(v))
        cov = np.linalg.inv(precision)
        new = cov @ (x.T @ solved[:, -1])
        if np.allclose(new, found, rtol=1e-8, atol=1e-12 * np.abs(new).max()):
            break
        found = new
    return found, cov


def conditional_f(moves: Moves) -> tuple[FloatArray, FloatArray]:
    """Strength of the instruments for each exposure given the others, (J,), and its p-value, (J,).

    The criterion of ``L_j - L_others d`` at the d of generalised least squares, divided by
    K - J + 1 (Sanderson and Windmeijer 2016; of estimated moves Sanderson, Spiller and Bowden
    2021). With one exposure it is the F of the first stage.

    A smaller criterion there may be at other d, and it is not used. Scaling all weights leaves the
    criterion as it is, so that its least value is the same for every exposure: it says that some
    exposures cannot be told apart, and not which. Nor would its p-value be right where nothing is
    moved at all. That of d as it is holds its level there and where one exposure moves as another.
    """
    k, j = moves.shape
    arrays, found, p = _arrays(moves), np.empty(j), np.empty(j)
    for one in range(j):
        weights = np.zeros(j + 1)
        weights[one] = 1.0
        if j > 1:
            weights[np.delete(np.arange(j), one)] = -closest(moves, one)[0]
        value, df = arrays.criterion(weights)
        found[one] = value / (k - j + 1)
        p[one] = stats.f.sf(found[one], k - j + 1, df)
    return found, p


def closest_of_all(moves: Moves) -> tuple[FloatArray, float, float]:
    """Effects (J,) of the least criterion, that criterion, and the degrees of freedom of V there.

    They are the continuously updated GMM's, whose J statistic the criterion is, if V is not shrunk.
    """
    arrays = _arrays(moves)
    start = closest(moves)[0]
    scale = np.maximum(np.abs(start), 1e-12)
    found = optimize.minimize(
        lambda b: arrays.criterion(np.r_[-b * scale, 1.0])[0], start / scale, method="BFGS"
    )
    b = found.x * scale
    value, df = arrays.criterion(np.r_[-b, 1.0])
    return b, value, df


def overidentified(moves: Moves) -> float:
    """Return the p-value that the moves fit any effects at all; NaN if K = J, where they always do.

    Hansen's J, the least criterion, as an F of K - J and the degrees of freedom of V.
    """
    k, j = moves.shape
    if k == j:
        return np.nan
    _, value, df = closest_of_all(moves)
    return float(stats.f.sf(value / (k - j), k - j, df))


def approximate_intervals(
    moves: Moves, prior_sd: FloatArray, prob: float
) -> tuple[FloatArray, FloatArray]:
    """Middles and half widths of t intervals of the effects, (J,) each, without sampling."""
    middle, cov = closest(moves, prior_sd=prior_sd)
    df = _arrays(moves).variance(np.r_[-middle, 1.0])[1]
    return middle, stats.t.ppf((1 + prob) / 2, df) * np.sqrt(np.diag(cov))


def direct_to_doubt(moves: Moves, prior_sd: FloatArray, prob: float) -> FloatArray:
    """Return the least sd of direct effects at which an interval of each effect holds zero, (J,).

    It is 0 where the interval holds zero without any, and infinite where no sd up to 1,000 times
    the outcome's largest move makes it do so.
    """

    def doubtful(direct: float) -> np.ndarray:
        given = replace(moves, direct=float(np.hypot(moves.direct, direct)))
        middle, half = approximate_intervals(given, prior_sd, prob)
        return np.abs(middle) <= half

    top = float(np.abs(moves.mean[:, -1]).max()) + 1e-300
    grid = np.r_[0.0, top * np.geomspace(1e-3, 1e3, 61)]
    table = np.array([doubtful(one) for one in grid])
    first = table.argmax(axis=0)
    return np.where(table.any(axis=0), grid[first], np.inf)


def sample_effects(
    moves: Moves, prior_sd: FloatArray, draws: int, chains: int, rng: np.random.Generator
) -> FloatArray:
    """Draw effects from the density of the module's docstring, (chains, draws, J).

    Each chain is an ensemble of walkers that stretch towards each other (Goodman and Weare 2010),
    which is blind to the scales and correlations of the effects.

    Parameters
    ----------
    moves : Moves
    prior_sd : ndarray (J,)
        Standard deviations of the effects' prior, which is normal about zero.
    draws, chains : int
    rng : Generator
    """
    j = moves.shape[1]
    arrays = _arrays(moves)
    walkers = max(32, 4 * j)
    thin = 2 + 2 * j
    warm, kept = 20 + 40 * j, -(-draws // walkers)
    steps = warm + kept * thin
    middle, cov = closest(moves, prior_sd=prior_sd)
    factor = np.linalg.cholesky(cov)
    jeffreys = max(0.0, 1 - float(conditional_f(moves)[1].max()) / DOUBT)
    found = []
    for _ in range(chains):
        ensemble = _walk(
            middle + rng.standard_normal((walkers, j)) @ factor.T,
            rng.random((steps, walkers, 2)),
            rng.integers(0, walkers // 2, (steps, walkers)),
            warm,
            thin,
            *(arrays.mean, arrays.cross, arrays.judges, arrays.judges_df, arrays.numbers),
            prior_sd,
            jeffreys,
        )
        found.append(ensemble.reshape(-1, j)[:draws])
    return np.stack(found)
