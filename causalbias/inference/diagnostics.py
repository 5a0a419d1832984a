"""Whether draws can be trusted: R-hat, effective sample sizes, divergences, weights."""

from dataclasses import dataclass

import arviz_stats
import numpy as np
import xarray as xr
from scipy import fft

from causalbias.inference.problem import FloatArray

MAX_RHAT = 1.01
MIN_ESS = 400
MAX_PARETO_K = 0.7


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
    parts = {
        "r_hat": arviz_stats.rhat(posterior),
        "ess_bulk": arviz_stats.ess(posterior, method="bulk"),
        "ess_tail": arviz_stats.ess(posterior, method="tail"),
    }
    return xr.concat(
        list(parts.values()), dim=xr.Variable("diagnostic", np.array(list(parts))), join="exact"
    )


def effective_sizes(draws: FloatArray, parts: int = 4) -> FloatArray:
    """Return the effective sample size of each column of (draws, q).

    The draws are cut into ``parts`` runs and treated as chains: Geyer's initial positive,
    monotone sequence as in Vehtari et al. (2021), without rank normalisation. At most draws *
    log10(draws), and nan for a constant column.

    Examples
    --------
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
        return f"{self.check} of {self.of} is {self.value:.3g} (limit {bound:g})"


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
