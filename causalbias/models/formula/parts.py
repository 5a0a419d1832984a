"""Formulas of several parts: one for the response, and one each for parameters that differ by row.

In ``formula("distance ~ race", sigma="~ system")`` the noise of a distance depends on the network
as its mean depends on race, as in brms' ``bf(distance ~ race, sigma ~ system)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from causalbias.arguments import not_what
from causalbias.errors import DataError
from causalbias.models.formula.by_threshold import split_by_threshold
from causalbias.models.formula.limits import Limits, split_limits, with_limits
from causalbias.models.formula.parse import formula_columns


@dataclass(frozen=True)
class Formula:
    """A formula of the response, with those of further parameters; see `formula`.

    Attributes
    ----------
    text : str
        The formula of the response.
    parts : mapping of str to str
        By parameter, the right side of its formula.
    limits : Limits
        What ``y | cens(status) + trunc(lb=0)`` says of the response.
    """

    text: str
    parts: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def __str__(self) -> str:
        text = with_limits(self.text, self.limits)
        return "\n".join([text, *(f"{name} ~ {right}" for name, right in self.parts.items())])

    __repr__ = __str__


def formula(text: str, **parts: str) -> Formula:
    """Write a model in which further parameters of the distribution differ between rows.

    Parameters
    ----------
    text : str
        The formula of the response, as in `fit`.
    **parts : str
        By parameter of the family, the right side of its formula after a tilde, such as
        ``sigma="~ system*kind + (1|seed)"``. It is a linear predictor like that of the mean, on a
        logarithmic scale where the parameter is positive: the coefficient of a level is the log of
        how many times as large the parameter is there.

    Returns
    -------
    Formula
        What `fit`, `update` and `prior_predictive` take in the place of a text. They also take a
        list of texts, ``["distance ~ race", "sigma ~ system"]``.

    Raises
    ------
    DataError
        If a part is not of the language of formulas, or has an offset.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.formula("distance ~ race + (1|seed)", sigma="~ race")
    distance ~ race + (1|seed)
    sigma ~ race
    """
    if not isinstance(text, str):
        raise not_what(text, "a formula")
    found = one_formula(text)
    formula_columns(found.text)
    own = {name: formula_part(name, part) for name, part in parts.items()}
    return replace(found, parts=with_part(found.parts, own))


def formula_part(name: str, part: object) -> str:
    """The right side of a parameter's formula, checked, of what is written for it.

    Raises
    ------
    DataError
        As `formula`.
    """
    if not isinstance(part, str) or not part.strip().startswith("~"):
        raise DataError(
            f"the formula of {name} is {part!r}",
            hint=f'write what follows a tilde: {name}="~ race"',
        )
    right = part.strip()[1:].strip()
    check_part(name, right)
    return right


def check_part(name: str, right: str) -> None:
    """Refuse the right side of a parameter's formula that is none.

    Raises
    ------
    DataError
        As `formula`.
    """
    if not name.isidentifier():
        raise DataError(f"{name!r} is no parameter", hint='write it as "sigma ~ race"')
    if "~" in right:
        raise DataError(f"two tildes in the formula of {name}", hint=f'write it as {name}="~ race"')
    formula_columns(f"{name} ~ {right}")
    if "offset(" in right.replace(" ", ""):
        raise DataError(f"the formula of {name} has an offset", hint="model it as a coefficient")


def one_formula(text: str) -> Formula:
    """A text taken apart into terms, limits of the response, and effects by threshold.

    Examples
    --------
    >>> one_formula("score | thres(6) ~ race + cs(pose)").parts
    {'cs': 'pose'}
    """
    plain, limits = split_limits(text)
    plain, own = split_by_threshold(plain)
    if own:
        check_part("cs", own)
    return Formula(plain, {"cs": own} if own else {}, limits)


def with_part(parts: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Parts and others.

    Raises
    ------
    DataError
        If a parameter has a formula in both.
    """
    if twice := [name for name in parts if name in more]:
        raise DataError(f"two formulas of {twice[0]}", hint="write it once")
    return dict(parts) | dict(more)


def as_formula(value: object) -> Formula:
    """The formula that a text, a `Formula` or a list of texts is.

    Raises
    ------
    DataError
        If it is none, or two parts are of one parameter.

    Examples
    --------
    >>> as_formula(["y ~ x", "sigma ~ race"]).parts
    {'sigma': 'race'}
    """
    if isinstance(value, Formula):
        return value
    if isinstance(value, str):
        return one_formula(value)
    texts = list(value) if isinstance(value, Sequence) else []
    if not texts or not all(isinstance(one, str) for one in texts):
        raise not_what(value, "a formula")
    parts: dict[str, str] = {}
    for one in texts[1:]:
        name, tilde, right = one.partition("~")
        name = name.strip()
        if not tilde:
            raise DataError(f"no tilde in {one!r}", hint='write it as "sigma ~ race"')
        if name in parts:
            raise DataError(f"two formulas of {name}", hint="write it once")
        parts[name] = f"~{right}"
    return formula(texts[0], **parts)
