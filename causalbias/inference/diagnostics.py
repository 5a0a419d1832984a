"""Whether draws can be trusted: R-hat, effective sample sizes, divergences, weights."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri

from causalbias.inference.problem import FloatArray, IntArray

MAX_RHAT = 1.01
MIN_ESS = 400
MAX_PARETO_K = 0.7
DIAGNOSTICS = ("r_hat", "ess_bulk", "ess_tail")
TAILS = (0.11, 0.89)  # ends of ArviZ's default interval
BLOCK = 2**17  # draws of several parameters that are diagnosed together


def diagnose(posterior: xr.Dataset) -> xr.Dataset:
    """R-hat (rank-normalised split) and bulk and tail ESS of every parameter.

    Source: Vehtari, Gelman, Simpson, Carpenter, Buerkner (2021), Bayesian Analysis 16(2).

    Parameters
    ----------
    posterior : Dataset
        Dims (chain, draw, ...).

    Returns
    -------
    Dataset
        The posterior's variables with a dim `diagnostic` ("r_hat", "ess_bulk", "ess_tail") in
        place of (chain, draw).
    """
    found = {}
    for name, values in posterior.data_vars.items():
        dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
        draws = values.transpose("chain", "draw", *dims)
        numbers = diagnostics_of(draws.values.reshape(*draws.shape[:2], -1))
        shape = (len(DIAGNOSTICS), *draws.shape[2:])
        coords = {key: one for key, one in draws.coords.items() if set(one.dims) <= set(dims)}
        found[name] = xr.DataArray(numbers.reshape(shape), coords, ("diagnostic", *dims))
    labels = xr.Variable("diagnostic", np.array(DIAGNOSTICS))
    return xr.Dataset(found).assign_coords(diagnostic=labels)


def diagnostics_of(draws: FloatArray) -> FloatArray:
    """R-hat, bulk and tail ESS (3, q) of q parameters, whose draws are (chains, draws, q).

    The numbers are those of ArviZ, which goes over one parameter at a time: chains are split in
    halves; R-hat is the larger one of the ranks' normal scores z and of those of the distances from
    the median; bulk ESS is that of z, tail ESS the smaller one of whether draws are below their 11%
    and 89% quantiles. NaN where a draw is not a number, or there are fewer than four draws a chain.

    Source: Vehtari, Gelman, Simpson, Carpenter, Buerkner (2021), Bayesian Analysis 16(2), sections
    3 and 4; ranks by Blom (1958), ``z = Phi^-1((r - 3/8) / (n + 1/4))``.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(4, 1000, 1))
    >>> r_hat, bulk, tail = diagnostics_of(x)[:, 0]
    >>> bool(r_hat < 1.01), bool(bulk > 3000), bool(tail > 3000)
    (True, True, True)
    """
    chains, many, q = draws.shape
    found = np.full((len(DIAGNOSTICS), q), np.nan)
    if many < 4:
        return found
    step = max(1, BLOCK // (chains * many))

    def diagnose_block(start: int) -> None:
        block = np.moveaxis(draws[:, :, start : start + step], 2, 0).astype(float, order="C")
        known = ~np.isnan(block).any(axis=(1, 2))
        found[:, start : start + step][:, known] = _of_block(block[known])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # sorts and transforms release the lock
        list(pool.map(diagnose_block, range(0, q, step)))
    return found


def _of_block(draws: FloatArray) -> FloatArray:
    """`diagnostics_of` of parameters (q, chains, draws) without missing draws."""
    half = draws.shape[2] // 2
    split = _halves(draws, half)
    with np.errstate(invalid="ignore"):  # of infinite draws
        low, high = np.quantile(draws, TAILS, axis=(1, 2), keepdims=True)
        folded = np.abs(split - np.median(split, axis=(1, 2), keepdims=True))
    scores = _normal_scores(split)
    tails = [split_ess(_halves(draws <= end, half).astype(float)) for end in (low, high)]
    r_hat = np.maximum(_r_hat(scores), _r_hat(_normal_scores(folded)))
    if draws.shape[1] < 2:
        r_hat[:] = np.nan
    return np.stack([r_hat, split_ess(scores), np.minimum(*tails)])


def _halves(draws: NDArray[Any], half: int) -> NDArray[Any]:
    """First and last draws of each chain as chains of their own."""
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def _normal_scores(draws: FloatArray) -> FloatArray:
    """``Phi^-1((rank - 3/8) / (n + 1/4))`` of all draws of each parameter, ties averaged.

    A parameter with draws that are not numbers has none.
    """
    flat = draws.reshape(len(draws), -1)
    n = flat.shape[1]
    ranks = np.arange(2, 2 * n + 1) / 2  # 1, 1.5, 2, ...: all that averages of ranks can be
    of_rank = ndtri((ranks - 3 / 8) / (n + 1 / 4))
    scores = np.empty_like(flat)
    _score_in_order(flat, np.argsort(flat, axis=1), of_rank, scores)
    return scores.reshape(draws.shape)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _score_in_order(
    draws: FloatArray, order: IntArray, of_rank: FloatArray, out: FloatArray
) -> None:
    """Give draws (q, n) the scores of their ranks, equal ones that of the mean of theirs."""
    q, n = draws.shape
    for j in range(q):
        if np.isnan(draws[j, order[j, n - 1]]):  # they come last
            out[j] = np.nan
            continue
        first = 0
        while first < n:
            last = first
            value = draws[j, order[j, first]]
            while last + 1 < n and draws[j, order[j, last + 1]] == value:
                last += 1
            for i in range(first, last + 1):
                out[j, order[j, i]] = of_rank[first + last]
            first = last + 1


def _r_hat(chains: FloatArray) -> FloatArray:
    """``sqrt((B / W + n - 1) / n)``: variances between and within chains (q, m, n)."""
    n = chains.shape[2]
    between = n * chains.mean(axis=2).var(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = between / chains.var(axis=2, ddof=1).mean(axis=1)
    return np.sqrt((ratio + n - 1) / n)


def split_ess(chains: FloatArray) -> FloatArray:
    """Effective sample size (q,) of split chains (q, m, n), by Geyer's initial sequences.

    ``m n / tau`` with ``tau = -1 + 2 sum rho_t``, ``rho_t = 1 - (W - mean s_t) / V`` of the chains'
    autocovariances ``s_t``: summed while ``rho_2t + rho_2t+1`` is positive and made to fall. The
    number of draws where they are all the same.
    """
    _, m, n = chains.shape
    size = fft.next_fast_len(2 * n)
    mean = chains.mean(axis=2, keepdims=True)
    spectrum = fft.rfft(chains - mean, size, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    covariance = fft.irfft(power, size, axis=1)[:, :n] / n
    within = covariance[:, 0] * n / (n - 1.0)
    total = within * (n - 1.0) / n
    if m > 1:
        total = total + mean[:, :, 0].var(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1.0 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1.0
    found = m * n / np.maximum(_autocorrelation_times(rho), 1 / np.log10(m * n))
    constant = np.ptp(chains, axis=(1, 2)) < np.finfo(float).resolution
    return np.where(constant, m * n, found)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _autocorrelation_times(rho: FloatArray) -> FloatArray:
    """Integrated autocorrelation times (q,) of autocorrelations (q, lags) (Geyer 1992)."""
    q, n = rho.shape
    found, kept = np.empty(q), np.zeros(n)
    for j in range(q):
        kept[:] = 0.0
        kept[0], kept[1] = 1.0, rho[j, 1]
        even, odd, t = 1.0, rho[j, 1], 1
        while t < n - 3 and even + odd > 0.0:
            even, odd = rho[j, t + 1], rho[j, t + 2]
            if even + odd >= 0:
                kept[t + 1], kept[t + 2] = even, odd
            t += 2
        last = t - 2
        if even > 0:
            kept[last + 1] = even
        t = 1
        while t <= last - 2:
            if kept[t + 1] + kept[t + 2] > kept[t - 1] + kept[t]:
                kept[t + 1] = kept[t + 2] = (kept[t - 1] + kept[t]) / 2.0
            t += 2
        total = -1.0
        for t in range(last + 1):
            total += 2.0 * kept[t]
        found[j] = total + kept[last + 1]
    return found


def apart(value: float, limit: float) -> str:
    """A number in three digits, or as many as it needs to be seen to differ from a limit.

    Examples
    --------
    >>> apart(1.2345, 1.01), apart(1.0123, 1.01), apart(399.97, 400)
    ('1.23', '1.012', '399.97')
    """
    texts = (f"{value:.{digits}g}" for digits in range(3, 17))
    return next((one for one in texts if float(one) != limit), f"{value:g}")


@dataclass(frozen=True)
class Limit:
    """A diagnostic of the draws, its parameter, and the range within which draws are trusted.

    Attributes
    ----------
    check, of : str
    value, low, high : float
    """

    check: str
    of: str
    value: float
    low: float
    high: float

    @property
    def passes(self) -> bool:
        """Whether it lies within the range; NaN does not."""
        return bool(self.low <= self.value <= self.high)

    def __str__(self) -> str:
        if self.check == "divergences":
            return f"{self.value:.0f} divergent {self.of}"
        bound = self.high if np.isfinite(self.high) else self.low
        return f"{self.check} of {self.of} is {apart(self.value, bound)} (limit {bound:g})"


def limits(diagnostics: xr.Dataset, stats: xr.Dataset | None = None) -> list[Limit]:
    """Everything that says whether draws can be trusted: `verdict` and `check` read it here.

    Parameters
    ----------
    diagnostics : Dataset
        From `diagnose`.
    stats : Dataset, optional
        ``diverging`` (chain, draw) of NUTS, ``pareto_k`` and ``importance_ess`` of importance
        weights. The effective sample size of weights has the limit of that of draws: resampled
        draws repeat each other, which bulk ESS misses where the copies stand apart.
    """
    stats = xr.Dataset() if stats is None else stats
    found = [
        Limit("R-hat", *extreme(diagnostics, "r_hat"), -np.inf, MAX_RHAT),
        Limit("bulk ESS", *extreme(diagnostics, "ess_bulk"), MIN_ESS, np.inf),
        Limit("tail ESS", *extreme(diagnostics, "ess_tail"), MIN_ESS, np.inf),
    ]
    if "diverging" in stats:
        found.append(Limit("divergences", "transitions", float(stats["diverging"].sum()), 0, 0))
    if "pareto_k" in stats:
        shape, size = float(stats["pareto_k"]), float(stats["importance_ess"])
        found.append(Limit("Pareto k", "importance weights", shape, -np.inf, MAX_PARETO_K))
        found.append(Limit("weights' ESS", "proposals", size, MIN_ESS, np.inf))
    return found


def verdict(diagnostics: xr.Dataset, stats: xr.Dataset | None = None) -> list[str]:
    """Reasons not to trust the draws; empty if there are none.

    Parameters
    ----------
    diagnostics, stats : Dataset
        As in `limits`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> stuck = xr.Dataset({"b": (("chain", "draw"), np.arange(8.0).reshape(2, 4))})
    >>> verdict(diagnose(stuck))[0].split(" (")[0]
    'R-hat of b is 3'
    """
    return [str(one) for one in limits(diagnostics, stats) if not one.passes]


def extreme(diagnostics: xr.Dataset, key: str) -> tuple[str, float]:
    """The worst value of a diagnostic ("r_hat": largest, ESS: smallest), and whose it is."""
    sign = -1.0 if key == "r_hat" else 1.0
    worst, whose = np.inf, ""
    for name, values in diagnostics.sel(diagnostic=key).data_vars.items():
        flat = sign * values.values.ravel()
        # A constant parameter has no R-hat; it must not hide behind a NaN.
        value = -np.inf if np.isnan(flat).any() else flat.min()
        if value < worst:
            worst, whose = value, str(name)
    return whose, sign * worst
