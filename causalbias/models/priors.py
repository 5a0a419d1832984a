"""Priors written as text, so that a saved fit can state them and be built again."""

import ast
import math
from collections.abc import Collection, Mapping

import bambi as bmb

from causalbias.errors import DataError
from causalbias.models.evaluation import portable

# name: its parameters, in order, as PyMC names them
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "Normal": ("mu", "sigma"),
    "StudentT": ("nu", "mu", "sigma"),
    "Cauchy": ("alpha", "beta"),
    "Laplace": ("mu", "b"),
    "Uniform": ("lower", "upper"),
    "Flat": (),
    "HalfNormal": ("sigma",),
    "HalfStudentT": ("nu", "sigma"),
    "HalfCauchy": ("beta",),
    "HalfFlat": (),
    "Exponential": ("lam",),
    "Gamma": ("alpha", "beta"),
    "InverseGamma": ("alpha", "beta"),
    "LogNormal": ("mu", "sigma"),
}
# What becomes of the parameters of a positive number's prior when the number is multiplied.
SCALING = {
    ("", "sigma"): "times",
    ("", "lower"): "times",
    ("", "upper"): "times",
    ("", "lam"): "over",
    ("", "b"): "times",
    ("HalfCauchy", "beta"): "times",
    ("InverseGamma", "beta"): "times",
    ("Gamma", "beta"): "over",
    ("LogNormal", "mu"): "shifted",
    ("LogNormal", "sigma"): "",
}
# Parameters of likelihoods that are positive.
POSITIVE = ("sigma", "kappa")
# Symmetric distributions: the half of each about zero, and what must be zero for that.
HALVES = {
    "Normal": ("HalfNormal", "mu"),
    "StudentT": ("HalfStudentT", "mu"),
    "Cauchy": ("HalfCauchy", "alpha"),
}


def parse_prior(text: str, term: str) -> bmb.Prior:
    """Read a prior such as ``"Normal(0, 5)"`` or ``"HalfNormal(sigma=10)"``.

    Parameters
    ----------
    text : str
        A distribution of `DISTRIBUTIONS` with numbers for its parameters.
    term : str
        The term it is for. For a group term (``"1|seed"``) it is the prior of its standard
        deviation, as brms' class "sd". A prior of a standard deviation, or of `sigma` or
        `kappa`, is of a positive number: ``Normal(0, 1)``, ``StudentT(3, 0, 2.5)`` and
        ``Cauchy(0, 1)`` are read as their positive halves, as in brms (`read_as`).

    Raises
    ------
    DataError
        If the text is not one listed distribution with numbers that it can have; if a positive
        parameter's prior is none of positive numbers, nor half of one.

    Examples
    --------
    >>> parse_prior("Normal(0, sigma=5)", "pose")
    Normal(mu: 0.0, sigma: 5.0)
    >>> parse_prior("Normal(0, 5)", "sigma")
    HalfNormal(sigma: 5.0)
    """
    wrong = DataError(
        f"cannot read the prior {text!r} of {term!r}",
        hint="write e.g. Normal(0, 5); distributions: " + ", ".join(DISTRIBUTIONS),
    )
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise wrong
        name = call.func.id
        parameters = DISTRIBUTIONS[name]
        nodes = [*call.args, *(word.value for word in call.keywords)]
        given = [*parameters[: len(call.args)], *(str(word.arg) for word in call.keywords)]
        values = [ast.literal_eval(one) for one in nodes]
        if any(isinstance(value, bool) for value in values) or len(set(given)) < len(given):
            raise wrong
        numbers = {key: float(value) for key, value in zip(given, values, strict=True)}
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise wrong from error
    if sorted(given) != sorted(parameters) or not _possible(name, numbers):
        raise wrong
    if is_positive(term):
        name, numbers = _positive(name, numbers, text, term)
    prior = bmb.Prior(name, auto_scale=False, **numbers)
    if "|" in term:
        return bmb.Prior("Normal", auto_scale=False, mu=0, sigma=prior)
    return prior


def is_positive(term: str) -> bool:
    """Whether a term's prior is of a positive number: an sd, or a likelihood's own scale."""
    return "|" in term or term in POSITIVE


def _positive(
    name: str, numbers: dict[str, float], text: str, term: str
) -> tuple[str, dict[str, float]]:
    """The prior of a positive number that is meant: half of one that is symmetric about zero."""
    what = f"the standard deviation of {term!r}" if "|" in term else f"{term!r}"
    if name in HALVES:
        half, location = HALVES[name]
        if numbers[location] != 0:
            raise DataError(
                f"the prior {text} is not about zero, and {what} is positive",
                hint=f"write its half, {half}(...), or Gamma, LogNormal or InverseGamma",
            )
        return half, {key: value for key, value in numbers.items() if key != location}
    if name in ("Flat", "HalfFlat", "Laplace") or (name == "Uniform" and numbers["lower"] < 0):
        hint = "write HalfNormal, HalfStudentT, HalfCauchy, Exponential, Gamma or LogNormal"
        problem = f"the prior {text} of {what}, which is positive, reaches below zero"
        if name in ("Flat", "HalfFlat"):
            problem = f"a flat prior of {what} makes no proper posterior sure"
        elif name == "Laplace":
            hint = f"write its positive half about zero, Exponential({1 / numbers['b']:g})"
        raise DataError(problem, hint=hint)
    return name, numbers


def scaled_prior(prior: bmb.Prior, factor: float) -> bmb.Prior:
    """The prior of a positive number times a factor.

    Examples
    --------
    >>> scaled_prior(bmb.Prior("HalfNormal", sigma=2), 3.0)
    HalfNormal(sigma: 6.0)
    """
    changed = {}
    for key, value in prior.args.items():
        what = SCALING.get((prior.name, key), SCALING.get(("", key), ""))
        changed[key] = {
            "times": value * factor,
            "over": value / factor,
            "shifted": value + math.log(factor),
        }.get(what, value)
    return bmb.Prior(prior.name, auto_scale=False, **changed)


def read_as(text: str, term: str) -> str:
    """A prior's text, with what it is read as where that is another.

    Examples
    --------
    >>> read_as("Normal(0, 1)", "1|seed"), read_as("Normal(0, 1)", "pose")
    ('Normal(0, 1), its positive half: HalfNormal(1)', 'Normal(0, 1)')
    """
    prior = parse_prior(text, term)
    if "|" in term:
        prior = prior.args["sigma"]
    if text.strip().startswith(prior.name):
        return text
    numbers = ", ".join(f"{float(prior.args[key]):g}" for key in DISTRIBUTIONS[prior.name])
    return f"{text}, its positive half: {prior.name}({numbers})"


def _possible(name: str, numbers: Mapping[str, float]) -> bool:
    """Whether the parameters are finite, and scales, rates and shapes positive."""
    location = {"mu", "lower", "upper"} | ({"alpha"} if name == "Cauchy" else set())
    return (
        all(map(math.isfinite, numbers.values()))
        and all(value > 0 for key, value in numbers.items() if key not in location)
        and (name != "Uniform" or numbers["lower"] < numbers["upper"])
    )


def by_term(priors: Mapping[str, str], terms: Collection[str]) -> dict[str, str]:
    """Priors under the terms' own names, however spaces and divisions are written.

    Raises
    ------
    DataError
        If two of them are of one term.

    Examples
    --------
    >>> by_term({"I(x / 2)|g": "HalfNormal(1)", "z": "Normal(0, 1)"}, ["I(x ÷ 2)|g"])
    {'I(x ÷ 2)|g': 'HalfNormal(1)', 'z': 'Normal(0, 1)'}
    """
    named = {_plain(term): term for term in terms}
    found: dict[str, str] = {}
    for written, text in priors.items():
        term = named.get(_plain(written), written)
        if term in found:
            raise DataError(f"two priors for {term!r}", hint="leave one of them out")
        found[term] = text
    return found


def _plain(term: str) -> str:
    return portable(term).replace(" ", "")


def parse_priors(priors: Mapping[str, str] | None) -> dict[str, bmb.Prior]:
    """Read the priors of several terms; see `parse_prior`."""
    return {term: parse_prior(text, term) for term, text in (priors or {}).items()}
