"""Outcome scales: what is asked of a linear predictor, and how it is averaged over new groups."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import bambi as bmb
import numba
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from causalbias.errors import DataError
from causalbias.models.result import spec_of

Floats = NDArray[np.float64]

SCALES = ("response", "link", "latent", "probability", "exceedance", "FMR", "FNMR")
# Standard deviation of the noise that a link adds to the linear predictor.
LATENT_SD = {"logit": np.pi / np.sqrt(3), "probit": 1.0, "cloglog": np.pi / np.sqrt(6)}
_OF_FAMILY = {
    "gaussian": ("response", "link", "latent", "FMR", "FNMR"),
    "bernoulli": ("response", "link", "latent", "probability"),
    "binomial": ("response", "link", "latent", "probability"),
    "cumulative": ("response", "link", "latent", "probability", "exceedance"),
    "beta": ("response", "link"),
}
NODES = 15  # of Gauss-Hermite quadrature: logits with sd up to 4 to five digits


# Normal probabilities and their slopes on a grid, to be interpolated by cubics: three times as fast
# as scipy's, exact to 1e-12.
_PER_UNIT, _END = 256, 9
_POINTS = np.arange(-_END * _PER_UNIT, _END * _PER_UNIT + 2) / _PER_UNIT
_NORMAL = np.column_stack(
    [special.ndtr(_POINTS), np.exp(-(_POINTS**2) / 2) / np.sqrt(2 * np.pi) / _PER_UNIT]
)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normal_cdf(x: Floats, grid: Floats) -> Floats:  # pragma: no cover
    """Standard normal distribution function, in the place of `x`."""
    flat = x.ravel()
    for i in range(flat.size):
        at = (min(max(flat[i], -_END), _END) + _END) * _PER_UNIT
        k = int(at)
        t = at - k
        left, slope, slope_right = grid[k, 0], grid[k, 1], grid[k + 1, 1]
        rise = grid[k + 1, 0] - left
        cubic = slope + slope_right - 2 * rise
        flat[i] = left + t * (slope + t * (rise - slope - cubic + t * cubic))
    return x


@dataclass(frozen=True)
class Scale:
    """A scale as a function of the linear predictor eta.

    Linear: eta / `unit`. Otherwise ``constant + sum_k weights[:, k] * P(eta + noise > cut_k)``,
    which covers probabilities, mean categories and error rates.

    Attributes
    ----------
    linear : bool
    unit : ndarray (draws,)
        Divisor of eta, or the standard deviation of the noise where that is normal.
    link : str
        Distribution of the noise: "logit", "probit" or another link of bambi's.
    cuts : ndarray (draws, k)
    constant : ndarray (outcomes,)
    weights : ndarray (outcomes, k)
    categories : list or None
        Labels of several outcomes; None for one.
    inverse : callable
        The link's inverse, for links other than logit and probit.
    ordinal : bool
        Whether P is ``1 - inverse(cut - eta)``, which asymmetric links tell from the other form.
    """

    linear: bool
    unit: Floats
    link: str = ""
    cuts: Floats = field(default_factory=lambda: np.empty((0, 0)))
    constant: Floats = field(default_factory=lambda: np.zeros(1))
    weights: Floats = field(default_factory=lambda: np.ones((1, 1)))
    categories: list[Any] | None = None
    inverse: Any = None
    ordinal: bool = False

    def exceedances(self, eta: Floats, variance: Floats | None) -> Iterator[Floats]:
        """Probability (rows, draws) of passing each cut.

        Parameters
        ----------
        eta : ndarray (rows, draws)
            Overwritten.
        variance : ndarray (rows, draws), optional
            Of normal effects of new groups, over which to average: exactly for normal noise, by
            Gauss-Hermite quadrature else.
        """
        if self.link == "probit":
            sd = self.unit if variance is None else np.sqrt(self.unit**2 + variance)
            for cut in self.cuts.T:
                yield normal_cdf((eta - cut) / sd, _NORMAL)
        elif variance is None:
            yield from self._passed(eta)
        else:
            nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
            sd = np.sqrt(variance)
            total = [np.zeros_like(eta) for _ in self.cuts.T]
            for node, weight in zip(nodes, weights / weights.sum(), strict=True):
                for sums, passed in zip(total, self._passed(eta + node * sd), strict=True):
                    sums += weight * passed
            yield from total

    def _passed(self, eta: Floats) -> Iterator[Floats]:
        if self.link != "logit":
            for cut in self.cuts.T:
                yield 1.0 - self.inverse(cut - eta) if self.ordinal else self.inverse(eta - cut)
            return
        # One exponential serves all cuts. An overflow is a probability of zero.
        with np.errstate(over="ignore"):
            odds_against = np.exp(np.negative(eta, out=eta), out=eta)
            for cut in self.cuts.T:
                passed = odds_against * np.exp(cut)
                passed += 1.0
                yield np.reciprocal(passed, out=passed)


def link_of(model: bmb.Model) -> str:
    """Name of the link of a model's mean."""
    return str(model.family.link[model.family.likelihood.parent].name)


def scale_of(fit: xr.DataTree, model: bmb.Model, scale: str, threshold: float | None) -> Scale:
    """The scale of that name for a fit.

    Raises
    ------
    DataError
        If the family has no such scale, naming those it has, or error rates lack a threshold.
    """
    family, link = spec_of(fit).family, link_of(model)
    possible = [
        name
        for name in _OF_FAMILY[family]
        if name not in ("latent", "FMR", "FNMR")
        or (link == "identity" if family == "gaussian" else link in LATENT_SD)
    ]
    if scale not in SCALES:
        raise DataError(f"no scale {scale!r}", mend=f"use one of {', '.join(possible)}")
    if scale not in possible:
        raise DataError(
            f"a {family} model with link {link} has no scale {scale!r}",
            mend=f"use one of {', '.join(possible)}",
        )
    if (threshold is None) == (scale in ("FMR", "FNMR")):
        told = "is needed for" if threshold is None else "is only for"
        raise DataError(f"a threshold {told} FMR and FNMR", mend="give threshold= with those")
    posterior = fit.children["posterior"].to_dataset()
    draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    one = np.ones(draws)
    if scale == "link" or (link == "identity" and scale == "response"):
        return Scale(True, one)
    if scale == "latent":
        return Scale(True, latent_sd(fit, model))
    if threshold is not None:
        sign = {"FMR": -1.0, "FNMR": 1.0}[scale]
        return Scale(
            False, latent_sd(fit, model), "probit", np.full((draws, 1), float(threshold)),
            np.array([0.0 if sign > 0 else 1.0]), np.array([[sign]]),
        )  # fmt: skip
    inverse: Any = model.family.link[model.family.likelihood.parent].linkinv
    if family != "cumulative":
        return Scale(False, one, link, np.zeros((draws, 1)), inverse=inverse)
    cuts = posterior["threshold"].transpose("chain", "draw", ...).values.reshape(draws, -1)
    constant, weights, labels = _of_categories(scale, list(model.response_term.levels))
    return Scale(False, one, link, cuts, constant, weights, labels, inverse, ordinal=True)


def latent_sd(fit: xr.DataTree, model: bmb.Model) -> Floats:
    """Standard deviation (draws,) of the noise about the linear predictor.

    The residual one of Gaussian models; that of the link's latent variable of others.
    """
    posterior = fit.children["posterior"].to_dataset()
    if spec_of(fit).family == "gaussian":
        return np.asarray(posterior["sigma"].transpose("chain", "draw").values).ravel()
    draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    return np.full(draws, LATENT_SD[link_of(model)])


def _of_categories(scale: str, levels: list[Any]) -> tuple[Floats, Floats, list[Any] | None]:
    """Constant, weights and labels that turn exceedances of the cuts into an ordinal outcome."""
    try:
        codes = np.array([float(level) for level in levels])
        labels: list[Any] = [int(code) if code == int(code) else code for code in codes.tolist()]
    except ValueError:
        labels = [str(level) for level in levels]
    k = len(labels) - 1
    if scale == "exceedance":
        return np.zeros(k), np.eye(k), labels[1:]
    if scale == "probability":
        return np.eye(k + 1)[0], np.eye(k + 1, k, -1) - np.eye(k + 1, k), labels
    if isinstance(labels[0], str):
        raise DataError(
            f"the categories {', '.join(labels)} have no mean",
            mend="code them as whole numbers, or ask for scale='probability' or 'link'",
        )
    # E[y] = lowest + sum over cuts of (step between categories) * P(y above the cut).
    return codes[:1], np.diff(codes)[None, :], None
