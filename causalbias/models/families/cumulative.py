"""Ordered categories: P(y <= k) = F(disc (threshold_k - eta)), disc one unless it is given."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy import special

from causalbias.errors import DataError
from causalbias.models.families.base import Family, Floats, Parameters


def _logit(upper: Any, lower: Any) -> tuple[Any, Any, Any]:
    """``log F(u)``, ``log(1 - F(l))`` and ``log(F(u) - F(l))`` of the logistic distribution."""
    below, above = -pt.softplus(-upper), -pt.softplus(lower)
    return below, above, below + above + pt.log1mexp(lower - upper)


def _probit(upper: Any, lower: Any) -> tuple[Any, Any, Any]:
    """As `_logit` of the normal distribution; differences in the tail where they are exact."""
    flip = pt.gt(upper + lower, 0)
    far, near = pt.where(flip, -lower, upper), pt.where(flip, -upper, lower)
    high, low = log_normal(far), log_normal(near)
    return log_normal(upper), log_normal(-lower), high + pt.log1mexp(low - high)


def log_normal(x: Any) -> Any:
    """``log Phi(x)`` by PyMC."""
    return pm.logcdf(pm.Normal.dist(0.0, 1.0), x)


def _cloglog(upper: Any, lower: Any) -> tuple[Any, Any, Any]:
    """As `_logit` of ``F(x) = 1 - exp(-exp(x))``."""
    above = -pt.exp(pt.minimum(lower, _END))
    apart = upper + pt.log1mexp(lower - upper)  # log of exp(u) - exp(l)
    return log_of_some(upper), above, above + log_of_some(apart)


def log_of_some(x: Any) -> Any:
    """``log(1 - exp(-exp(x)))``, which is x where that is small."""
    return pt.where(pt.lt(x, -_END), x, pt.log1mexp(-pt.exp(pt.clip(x, -_END, _END))))


MAX_LISTED = 12  # categories that an error lists
_END = 300.0  # beyond which exp(-exp(x)) is one or zero to all digits
_LOG_CHANCES = {"logit": _logit, "probit": _probit, "cloglog": _cloglog}


def _log_chance(link: str, codes: Any, eta: Any, disc: Any, threshold: Any) -> Any:
    """Log probability (rows,) of categories, by logarithms of F.

    A difference of probabilities would be zero, and its gradient not a number, where a sampler
    starts far from the thresholds.
    """
    last_cut = threshold.shape[-1] - 1
    high, low = pt.minimum(codes, last_cut), pt.maximum(codes - 1, 0)
    numbers = pt.arange(threshold.shape[-1])  # PyMC gives thresholds (K - 1,) or (rows, K - 1)
    chosen = (pt.where(pt.eq(one[:, None], numbers), threshold, 0.0).sum(-1) for one in (high, low))
    upper, lower = (disc * (cut - eta) for cut in chosen)
    first, last = pt.eq(codes, 0), pt.gt(codes, last_cut)
    # At an end one of the two is not used: apart from the other, so that no gradient is taken of
    # the logarithm of zero.
    upper = pt.where(last, lower + 1.0, upper)
    lower = pt.where(first, upper - 1.0, lower)
    below, above, between = _LOG_CHANCES[link](upper, lower)
    return pt.where(first, below, pt.where(last, above, between))


class Cumulative(Family):
    """y is the number of thresholds below eta plus noise, whose distribution F the link says."""

    name = "cumulative"
    response = "ordered categories, as whole numbers"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    mean_name = "p"
    parameters = ("threshold",)
    optional: ClassVar[tuple[str, ...]] = ("disc",)
    noise = "the noise of single answers"
    engines: ClassVar[tuple[str, ...]] = ("laplace",)
    statistics = ("category shares",)
    has_thresholds = True

    @property
    def scales(self) -> tuple[str, ...]:
        """Mean category, latent scale, probabilities of categories and of exceeding them."""
        return ("response", "link", "latent", "probability", "exceedance")

    def validate_response(self, values: pd.Series, trials: pd.Series | None = None) -> pd.Series:
        """Ordered categories as they are; of whole numbers, those that occur."""
        if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
            return values
        given = values
        values = pd.to_numeric(values.astype(object), errors="coerce")
        bad = (values.isna() | (values != values.round())).to_numpy()
        if bad.any():
            raise self.wrong_response(given, bad)
        codes = sorted(values.astype(int).unique().tolist())
        if len(codes) < 2:
            raise DataError(
                f"all responses are {codes[0]}",
                hint="an ordinal model needs two categories used",
                file="data",
                column=str(values.name),
            )
        return values.astype(int).astype(pd.CategoricalDtype(codes, ordered=True))

    def way_out(self, values: pd.Series) -> str:
        """How to say the order of categories that are no whole numbers."""
        known = sorted(values.unique().tolist())
        listed = ", ".join(map(repr, known)) if len(known) <= MAX_LISTED else "from low to high"
        return (
            "give its categories in their order, from low to high: "
            f"pd.Categorical(data[{str(values.name)!r}], [{listed}], ordered=True)"
        )

    def chances(self, eta: Floats, parameters: Parameters) -> Floats:
        """Probability (draws, rows, categories) of each category."""
        ends = self.thresholds(parameters) - eta[:, :, None]
        below = self._below(self._disc(eta, parameters)[:, :, None] * ends)
        edge = np.ones((*below.shape[:2], 1))
        return np.diff(np.concatenate([0 * edge, below, edge], axis=2), axis=2)

    def thresholds(self, parameters: Parameters) -> Floats:
        """Thresholds (draws, 1 or rows, cuts)."""
        found = np.asarray(parameters["threshold"])
        return found if found.ndim == 3 else found[:, None]

    def _disc(self, eta: Floats, parameters: Parameters) -> Floats:
        """How well each row (draws, rows) discriminates: one where the parameters do not say."""
        return np.broadcast_to(parameters.get("disc", 1.0), eta.shape)

    def _below(self, x: Floats) -> Floats:
        """The distribution function F."""
        normal = self.link.name == "probit"  # to more digits than the link's own
        return np.asarray(special.ndtr(x) if normal else self.link.inverse(x))

    def log_likelihood(self, y: Floats, eta: Floats, parameters: Parameters) -> Floats:
        """``log(F(a) - F(b))``, y the category's code.

        ``a = disc (threshold_y - eta)`` and ``b = disc (threshold_(y-1) - eta)``.
        """
        codes = np.broadcast_to(np.asarray(y).astype(int), eta.shape)
        chances = self.chances(eta, parameters)
        return np.asarray(np.log(np.take_along_axis(chances, codes[..., None], axis=2)[..., 0]))

    def derivatives(self, y: Floats, eta: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
        """``l' = -d (f_1 - f_0) / P`` and ``d^2 (f'_1 - f'_0) / P - l'^2``, d the discrimination.

        P is the category's probability and f the density of F, at d times the category's upper (1)
        and lower (0) threshold less eta.
        """
        codes = np.broadcast_to(np.asarray(y).astype(int), eta.shape)
        inner = self.thresholds(parameters)
        ends = np.full((*inner.shape[:2], 1), np.inf)
        cuts = np.concatenate([-ends, inner, ends], axis=2)
        cuts = np.broadcast_to(cuts, (*eta.shape, cuts.shape[2]))
        disc = self._disc(eta, parameters)
        low, high = (
            disc * (np.take_along_axis(cuts, codes[..., None] + one, axis=2)[..., 0] - eta)
            for one in (0, 1)
        )
        chance = np.exp(self.log_likelihood(y, eta, parameters))
        first = -disc * (self.link.slope(high) - self.link.slope(low)) / chance
        second = disc**2 * (self.link.curvature(high) - self.link.curvature(low)) / chance
        return first, second - first**2

    def mean(self, eta: Floats, parameters: Parameters) -> Floats:
        """Expected code 0, 1, ... of the category."""
        chances = self.chances(eta, parameters)
        return np.asarray(chances @ np.arange(chances.shape[2]))

    def simulate(
        self, rng: np.random.Generator, eta: Floats, parameters: Parameters
    ) -> NDArray[Any]:
        """Codes 0, 1, ... of categories."""
        below = self.chances(eta, parameters).cumsum(axis=2)[..., :-1]
        return np.asarray((rng.uniform(size=(*below.shape[:2], 1)) > below).sum(axis=2))

    def pymc_of_rows(
        self, name: str, eta: Any, parameters: Mapping[str, Any], **options: Any
    ) -> Any:
        """Of rows that discriminate unequally, or have thresholds (rows, cuts) of their own."""
        return pm.CustomDist(
            name,
            pt.as_tensor(eta),
            parameters.get("disc", 1.0),
            parameters["threshold"],
            logp=partial(_log_chance, self.link.name),
            signature="(),(),(k)->()",
            dtype="int64",
            **options,
        )

    def no_formula(self, parameter: str) -> str:
        """That effects which differ between thresholds would let these cross."""
        if parameter != "cs":
            return super().no_formula(parameter)
        return (
            "effects that differ between thresholds, cs(), would let cumulative probabilities "
            'cross; write family="acat" (adjacent categories) or "sratio" (one after another), '
            "whose probabilities are positive with any"
        )

    def latent_sd(self, parameters: Parameters, draws: int) -> Floats:
        """That of F over the discrimination (draws, rows), where rows have one."""
        sd = super().latent_sd(parameters, draws)
        return sd[:, None] / parameters["disc"] if "disc" in parameters else sd

    def cuts(self, parameters: Parameters, draws: int) -> Floats:
        """The thresholds."""
        return np.asarray(parameters["threshold"])

    def outcome_weights(
        self, scale: str, levels: list[Any]
    ) -> tuple[Floats, Floats, list[Any] | None]:
        """Probabilities of categories, or the mean of those that are numbers."""
        try:
            codes = np.array([float(level) for level in levels])
            labels: list[Any] = [int(c) if c == int(c) else c for c in codes.tolist()]
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
                hint="code them as whole numbers, or ask for scale='probability' or 'link'",
            )
        # E[y] = lowest + sum over cuts of (step between categories) * P(y above the cut).
        return codes[:1], np.diff(codes)[None, :], None
