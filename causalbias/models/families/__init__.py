"""Response families: one module each, and the registry of them."""

from causalbias.errors import DataError
from causalbias.models.families.acat import AdjacentCategory
from causalbias.models.families.asymmetriclaplace import AsymmetricLaplace
from causalbias.models.families.base import Family, Floats, Parameters
from causalbias.models.families.bernoulli import Bernoulli
from causalbias.models.families.beta import Beta
from causalbias.models.families.beta_binomial import BetaBinomial
from causalbias.models.families.binomial import Binomial
from causalbias.models.families.categorical import Categorical
from causalbias.models.families.cumulative import Cumulative
from causalbias.models.families.exgaussian import ExGaussian
from causalbias.models.families.exponential import Exponential
from causalbias.models.families.gamma import Gamma
from causalbias.models.families.gaussian import Gaussian
from causalbias.models.families.laplace import Laplace
from causalbias.models.families.lognormal import LogNormal
from causalbias.models.families.negativebinomial import NegativeBinomial
from causalbias.models.families.ordered_beta import OrderedBeta
from causalbias.models.families.poisson import Poisson
from causalbias.models.families.skew_normal import SkewNormal
from causalbias.models.families.sratio import StoppingRatio
from causalbias.models.families.t import T
from causalbias.models.families.vonmises import VonMises
from causalbias.models.families.wald import Wald
from causalbias.models.families.weibull import Weibull
from causalbias.models.families.zero_one_inflated_beta import ZeroOneInflatedBeta
from causalbias.models.families.zeros import (
    HurdleGamma,
    HurdleLogNormal,
    HurdleNegativeBinomial,
    HurdlePoisson,
    ZeroInflatedBinomial,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)

__all__ = ["FAMILIES", "Family", "Floats", "Parameters", "family_named"]

FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Gaussian,
        Bernoulli,
        Binomial,
        Cumulative,
        StoppingRatio,
        AdjacentCategory,
        Categorical,
        T,
        Laplace,
        AsymmetricLaplace,
        SkewNormal,
        ExGaussian,
        LogNormal,
        Gamma,
        Weibull,
        Exponential,
        Wald,
        HurdleGamma,
        HurdleLogNormal,
        Poisson,
        NegativeBinomial,
        ZeroInflatedPoisson,
        ZeroInflatedNegativeBinomial,
        HurdlePoisson,
        HurdleNegativeBinomial,
        BetaBinomial,
        ZeroInflatedBinomial,
        ZeroOneInflatedBeta,
        OrderedBeta,
        Beta,
        VonMises,
    )
}
# Names of brms, lme4 and R under which users look for a family.
KNOWN_AS = {
    "student": "t",
    "studentt": "t",
    "student_t": "t",
    "normal": "gaussian",
    "skewnormal": "skew_normal",
    "log_normal": "lognormal",
    "ordinal": "cumulative",
    "multinom": "categorical",
    "softmax": "categorical",
    "negbinomial": "negativebinomial",
    "negative_binomial": "negativebinomial",
    "zero_inflated_negbinomial": "zero_inflated_negativebinomial",
    "hurdle_negbinomial": "hurdle_negativebinomial",
    "asym_laplace": "asymmetriclaplace",
    "inverse.gaussian": "wald",
    "inverse_gaussian": "wald",
    "betabinomial": "beta_binomial",
    "zoib": "zero_one_inflated_beta",
    "ordbeta": "ordered_beta",
    "ordbetareg": "ordered_beta",
    "von_mises": "vonmises",
    "stopping_ratio": "sratio",
    "adjacent": "acat",
    "adjacent_category": "acat",
    "partial_credit": "acat",
}


def check_family(name: object) -> None:
    """Refuse what is no family's name, with the name that another package's has here.

    Raises
    ------
    DataError
        If there is no such family.
    """
    if isinstance(name, str) and name in FAMILIES:
        return
    plain = name.lower() if isinstance(name, str) else ""
    meant = KNOWN_AS.get(plain, plain)
    hint = f"it is called {meant!r} here" if meant in FAMILIES else f"use {', '.join(FAMILIES)}"
    raise DataError(f"unknown family {name!r}", hint=hint)


def family_named(name: str, link: str | None = None) -> Family:
    """The family of that name.

    Parameters
    ----------
    name : str
        One of `FAMILIES`.
    link : str, optional
        By default the family's own.

    Raises
    ------
    DataError
        If there is no such family, or it has no such link.

    Examples
    --------
    >>> family_named("cumulative", "probit").link.name
    'probit'
    """
    check_family(name)
    return FAMILIES[name](link)
