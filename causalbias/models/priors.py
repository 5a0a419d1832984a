"""Priors written as text, so that a saved fit can state them and be built again."""

import ast
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
        If the text is not one listed distribution with numbers.

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
        values = dict(zip(parameters, map(ast.literal_eval, call.args), strict=False))
        values |= {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
        numbers = {key: float(value) for key, value in values.items()}
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        raise wrong from error
    if set(numbers) != set(parameters) or len(call.args) > len(parameters):
        raise wrong
    prior = bmb.Prior(name, auto_scale=False, **numbers)
    if "|" in term:
        return bmb.Prior("Normal", auto_scale=False, mu=0, sigma=prior)
    return prior


def parse_priors(priors: Mapping[str, str] | None) -> dict[str, bmb.Prior]:
    """Read the priors of several terms; see `parse_prior`."""
    return {term: parse_prior(text, term) for term, text in (priors or {}).items()}
