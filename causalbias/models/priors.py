"""Priors written as text, so that a saved fit can state them and be built again."""

import ast
import math
from collections.abc import Mapping

import bambi as bmb

from causalbias.errors import DataError

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


def parse_prior(text: str, term: str) -> bmb.Prior:
    """Read a prior such as ``"Normal(0, 5)"`` or ``"HalfNormal(sigma=10)"``.

    Parameters
    ----------
    text : str
        A distribution of `DISTRIBUTIONS` with numbers for its parameters.
    term : str
        The term it is for. For a group term (``"1|seed"``) it is the prior of its standard
        deviation, as brms' class "sd".

    Raises
    ------
    DataError
        If the text is not one listed distribution with numbers that it can have.

    Examples
    --------
    >>> parse_prior("Normal(0, sigma=5)", "pose")
    Normal(mu: 0.0, sigma: 5.0)
    """
    wrong = DataError(
        f"cannot read the prior {text!r} of {term!r}",
        mend="write e.g. Normal(0, 5); distributions: " + ", ".join(DISTRIBUTIONS),
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
        if any(isinstance(value, bool) for value in values):
            raise wrong
        numbers = {key: float(value) for key, value in zip(given, values, strict=True)}
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise wrong from error
    if sorted(given) != sorted(parameters) or not _possible(name, numbers):
        raise wrong
    prior = bmb.Prior(name, auto_scale=False, **numbers)
    if "|" in term:
        return bmb.Prior("Normal", auto_scale=False, mu=0, sigma=prior)
    return prior


def _possible(name: str, numbers: Mapping[str, float]) -> bool:
    """Whether the parameters are finite, and scales, rates and shapes positive."""
    location = {"mu", "lower", "upper"} | ({"alpha"} if name == "Cauchy" else set())
    return (
        all(map(math.isfinite, numbers.values()))
        and all(value > 0 for key, value in numbers.items() if key not in location)
        and (name != "Uniform" or numbers["lower"] < numbers["upper"])
    )


def parse_priors(priors: Mapping[str, str] | None) -> dict[str, bmb.Prior]:
    """Read the priors of several terms; see `parse_prior`."""
    return {term: parse_prior(text, term) for term, text in (priors or {}).items()}
