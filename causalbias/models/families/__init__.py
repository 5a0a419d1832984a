"""Response families: one module each, and the registry of them."""

from causalbias.errors import DataError
from causalbias.models.families.base import Family, Floats, Parameters
from causalbias.models.families.bernoulli import Bernoulli
from causalbias.models.families.beta import Beta
from causalbias.models.families.binomial import Binomial
from causalbias.models.families.cumulative import Cumulative
from causalbias.models.families.gaussian import Gaussian

__all__ = ["FAMILIES", "Family", "Floats", "Parameters", "family_named"]

FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Gaussian,
        Bernoulli,
        Binomial,
        Cumulative,
        Beta,
    )
}


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
    if name not in FAMILIES:
        raise DataError(f"unknown family {name!r}", hint=f"use {', '.join(FAMILIES)}")
    return FAMILIES[name](link)
