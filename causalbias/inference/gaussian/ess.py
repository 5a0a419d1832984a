"""Effective sample size from autocorrelation, for plain arrays."""

import numpy as np
from scipy import fft

from causalbias.inference.problem import FloatArray


def effective_sizes(draws: FloatArray, parts: int = 4) -> FloatArray:
    """Return the effective sample size of each column of (draws, q).

    The draws are cut into ``parts`` runs and treated as chains: Geyer's initial positive,
    monotone sequence as in Vehtari et al. (2021), without rank normalisation. At most draws *
    log10(draws), and nan for a constant column.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(4000, 1))
    >>> bool(3000 < effective_sizes(x)[0] < 5000)
    True
    """
    n = len(draws) // parts
    if n < 4:
        return np.full(draws.shape[1], np.nan)
    chains = draws[: n * parts].reshape(parts, n, -1)
    mean = chains.mean(axis=1, keepdims=True)
    power = np.abs(fft.rfft(chains - mean, 2 * n, axis=1)) ** 2
    covariance = fft.irfft(power, axis=1)[:, :n].mean(axis=0) / n
    within = covariance[0] * n / (n - 1)
    total = covariance[0] + mean[:, 0].var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1 - (within - covariance) / total
    rho[0] = 1.0
    pairs = rho[: n // 2 * 2].reshape(n // 2, 2, -1).sum(axis=1)
    positive = np.cumprod(pairs > 0, axis=0).astype(bool)
    monotone = np.minimum.accumulate(np.where(positive, pairs, 0.0), axis=0)
    tau = np.maximum(2 * monotone.sum(axis=0) - 1, 1 / np.log10(n * parts))
    return np.where(covariance[0] > 0, n * parts / tau, np.nan)
