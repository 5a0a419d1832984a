"""Priors: what each distribution is, how it is read and written, its density and its draws.

`DISTRIBUTIONS` is the one table. A prior itself is a bambi `Prior`, whose name is PyMC's.
"""

import ast
import itertools
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import bambi as bmb
import numpy as np
import pymc as pm
from scipy import stats

from causalbias.errors import DataError
from causalbias.inference.problem import EngineError, FloatArray, LogDensity
from causalbias.models.evaluation import portable
from causalbias.models.shrinkage import SHRINKAGE, shrinkage_prior

# What a parameter is: it says which values it can have, and what becomes of it where the variable
# is multiplied by c. A location and a scale are multiplied too, a rate is divided, to the location
# of a logarithm log c is added, and a shape stays.
Kind = Literal["location", "scale", "rate", "log location", "shape"]


@dataclass(frozen=True)
class Distribution:
    """A distribution that a prior can be.

    Attributes
    ----------
    parameters : dict of str to str
        Their names in order, as PyMC has them, and what each is (`Kind`).
    density : callable, optional
        SciPy's frozen distribution of these parameters, in order. None where it is flat.
    half : str, optional
        Of a distribution that is symmetric about its location: its positive half about zero.
    least, most : float or str
        The ends of what it can be, or the parameters that are these ends.
    """

    parameters: dict[str, Kind]
    density: Callable[..., Any] | None = None
    half: str | None = None
    least: float | str = -math.inf
    most: float | str = math.inf

    def allows(self, numbers: Mapping[str, float]) -> bool:
        """Whether parameters are finite, scales, rates and shapes positive, ends in order."""
        real = [
            key for key, kind in self.parameters.items() if kind in ("location", "log location")
        ]
        ends = [numbers[key] for key in real]
        return (
            all(map(math.isfinite, numbers.values()))
            and all(value > 0 for key, value in numbers.items() if key not in real)
            and all(low < high for low, high in itertools.pairwise(ends))
        )

    def reaches_below_zero(self, numbers: Mapping[str, float]) -> bool:
        """Whether the variable can be negative."""
        return (numbers[self.least] if isinstance(self.least, str) else self.least) < 0

    def reaches_above_one(self, numbers: Mapping[str, float]) -> bool:
        """Whether the variable can be above one."""
        return (numbers[self.most] if isinstance(self.most, str) else self.most) > 1


@dataclass(frozen=True)
class _Half:
    """The absolute value of a variable that is symmetric about zero: density ``2 p(x), x >= 0``."""

    full: Any

    def logpdf(self, x: FloatArray) -> FloatArray:
        return np.where(x >= 0, np.log(2.0) + self.full.logpdf(x), -np.inf)


DISTRIBUTIONS = {
    "Normal": Distribution({"mu": "location", "sigma": "scale"}, stats.norm, "HalfNormal"),
    "StudentT": Distribution(
        {"nu": "shape", "mu": "location", "sigma": "scale"}, stats.t, "HalfStudentT"
    ),
    "Cauchy": Distribution({"alpha": "location", "beta": "scale"}, stats.cauchy, "HalfCauchy"),
    "Laplace": Distribution({"mu": "location", "b": "scale"}, stats.laplace),
    "Uniform": Distribution(
        {"lower": "location", "upper": "location"},
        lambda lower, upper: stats.uniform(lower, upper - lower),
        least="lower",
        most="upper",
    ),
    "Beta": Distribution({"alpha": "shape", "beta": "shape"}, stats.beta, least=0.0, most=1.0),
    "Flat": Distribution({}),
    "HalfNormal": Distribution(
        {"sigma": "scale"}, lambda sigma: stats.halfnorm(scale=sigma), least=0.0
    ),
    "HalfStudentT": Distribution(
        {"nu": "shape", "sigma": "scale"},
        lambda nu, sigma: _Half(stats.t(nu, scale=sigma)),
        least=0.0,
    ),
    "HalfCauchy": Distribution(
        {"beta": "scale"}, lambda beta: stats.halfcauchy(scale=beta), least=0.0
    ),
    "HalfFlat": Distribution({}, least=0.0),
    "Exponential": Distribution({"lam": "rate"}, lambda lam: stats.expon(scale=1 / lam), least=0.0),
    "Gamma": Distribution(
        {"alpha": "shape", "beta": "rate"},
        lambda alpha, beta: stats.gamma(alpha, scale=1 / beta),
        least=0.0,
    ),
    "InverseGamma": Distribution(
        {"alpha": "shape", "beta": "scale"},
        lambda alpha, beta: stats.invgamma(alpha, scale=beta),
        least=0.0,
    ),
    "LogNormal": Distribution(
        {"mu": "log location", "sigma": "shape"},
        lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
        least=0.0,
    ),
}
# Names of R and Stan, as normal and student_t, without case and underscores.
_FOLDED = {name.lower(): name for name in (*DISTRIBUTIONS, *SHRINKAGE)}


def parse_prior(
    text: str, term: str, *, positive: bool = False, probability: bool = False
) -> bmb.Prior:
    """Read a prior such as ``"Normal(0, 5)"`` or ``"HalfNormal(sigma=10)"``.

    Parameters
    ----------
    text : str
        A distribution of `DISTRIBUTIONS` with numbers for its parameters, or a prior of many
        coefficients of `SHRINKAGE`, with those that are not its defaults.
    term : str
        The term it is for. For a group term (``"1|seed"``) it is the prior of its standard
        deviation, as brms' class "sd".
    positive : bool
        Whether the term is a parameter of the family's that is positive, such as sigma. A prior of
        one of these, or of a standard deviation, is of a positive number: ``Normal(0, 1)``,
        ``StudentT(3, 0, 2.5)`` and ``Cauchy(0, 1)`` are read as their positive halves, as in brms
        (`read_as`).
    probability : bool
        Whether it is a parameter of the family's that lies between zero and one.

    Raises
    ------
    DataError
        If the text is not one listed distribution with numbers that it can have; if a positive
        parameter's prior is none of positive numbers, nor half of one; if a probability's prior
        reaches beyond zero or one.

    Examples
    --------
    >>> parse_prior("Normal(0, sigma=5)", "pose")
    Normal(mu: 0.0, sigma: 5.0)
    >>> parse_prior("Normal(0, 5)", "sigma", positive=True)
    HalfNormal(sigma: 5.0)
    """
    meant = _FOLDED.get(text.partition("(")[0].strip().lower().replace("_", ""))
    called = f"it is called {meant} here; " if meant and not text.strip().startswith(meant) else ""
    wrong = DataError(
        f"cannot read the prior {text!r} of {term!r}",
        hint=f"{called}write e.g. Normal(0, 5); distributions: "
        + ", ".join((*DISTRIBUTIONS, *SHRINKAGE)),
    )
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise wrong
        name = call.func.id
        parameters = list(_parameters(name))
        nodes = [*call.args, *(word.value for word in call.keywords)]
        given = [*parameters[: len(call.args)], *(str(word.arg) for word in call.keywords)]
        values = [ast.literal_eval(one) for one in nodes]
        if any(isinstance(value, bool) for value in values) or len(set(given)) < len(given):
            raise wrong
        numbers = {key: float(value) for key, value in zip(given, values, strict=True)}
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise wrong from error
    if name in SHRINKAGE:
        if not set(given) <= set(parameters):
            raise wrong
        return shrinkage_prior(name, numbers, text, term, of_other=positive or probability)
    distribution = DISTRIBUTIONS[name]
    if sorted(given) != sorted(parameters) or not distribution.allows(numbers):
        raise wrong
    if probability:
        if distribution.reaches_below_zero(numbers) or distribution.reaches_above_one(numbers):
            raise DataError(
                f"the prior {text} of {term!r}, a probability, reaches beyond zero or one",
                hint="write Beta(a, b), or Uniform(low, high) within zero and one",
            )
    elif positive or "|" in term:
        name, numbers = _positive(name, numbers, text, term)
    prior = bmb.Prior(name, auto_scale=False, **numbers)
    if "|" in term:
        return bmb.Prior("Normal", auto_scale=False, mu=0, sigma=prior)
    return prior


def _parameters(name: str) -> Collection[str]:
    """Names of a distribution's parameters, in order."""
    return SHRINKAGE[name] if name in SHRINKAGE else DISTRIBUTIONS[name].parameters


def text_of(prior: bmb.Prior, column: int = 0) -> str:
    """A prior as text that `parse_prior` reads, with the numbers of one column.

    Examples
    --------
    >>> text_of(bmb.Prior("Normal", mu=0.0, sigma=np.array([1.0, 2.0])), 1)
    'Normal(0, 2)'
    """
    values = [np.ravel(prior.args[key]) for key in _parameters(prior.name)]
    numbers = [one[column] if len(one) > 1 else one[0] for one in values]
    return f"{prior.name}({', '.join(f'{float(one):.4g}' for one in numbers)})"


def _positive(
    name: str, numbers: dict[str, float], text: str, term: str
) -> tuple[str, dict[str, float]]:
    """The prior of a positive number that is meant: half of one that is symmetric about zero."""
    what = f"the standard deviation of {term!r}" if "|" in term else f"{term!r}"
    distribution = DISTRIBUTIONS[name]
    if distribution.half is not None:
        location = next(key for key, kind in distribution.parameters.items() if kind == "location")
        if numbers[location] != 0:
            raise DataError(
                f"the prior {text} is not about zero, and {what} is positive",
                hint=f"write its half, {distribution.half}(...), or Gamma, LogNormal or "
                "InverseGamma",
            )
        return distribution.half, {k: value for k, value in numbers.items() if k != location}
    hint = "write HalfNormal, HalfStudentT, HalfCauchy, Exponential, Gamma or LogNormal"
    if distribution.density is None:
        raise DataError(f"a flat prior of {what} makes no proper posterior sure", hint=hint)
    if distribution.most == 1:
        raise DataError(f"the prior {text} of {what} is of numbers below one", hint=hint)
    if distribution.reaches_below_zero(numbers):
        if name == "Laplace":
            hint = f"write its positive half about zero, Exponential({1 / numbers['b']:g})"
        raise DataError(
            f"the prior {text} of {what}, which is positive, reaches below zero", hint=hint
        )
    return name, numbers


def parse_lkj(text: str, term: str) -> float:
    """Read the prior of a group term's correlations, ``"LKJ(2)"``: its shape eta.

    The density of a correlation matrix C is ``det(C)^(eta - 1)``: uniform for one, and the closer
    to no correlation the larger eta (Lewandowski, Kurowicka and Joe 2009).

    Raises
    ------
    DataError
        If the text is not LKJ with a positive number.

    Examples
    --------
    >>> parse_lkj("LKJ(eta=2)", "cor|seed")
    2.0
    """
    found = re.fullmatch(r"\s*LKJ\(\s*(?:eta\s*=)?\s*([0-9.eE+-]+)\s*\)\s*", text)
    try:
        eta = float(found[1]) if found else math.nan
    except ValueError:
        eta = math.nan
    if not (math.isfinite(eta) and eta > 0):
        raise DataError(
            f"cannot read the prior {text!r} of {term!r}",
            hint="write LKJ(2): correlations have this prior only, of a positive number",
        )
    return eta


def parse_dirichlet(text: str, term: str, size: int) -> FloatArray:
    """Read the prior of a monotone effect's shares, ``"Dirichlet(2)"``: its concentrations (size,).

    One number is that of every share: the larger, the more alike are the steps.

    Raises
    ------
    DataError
        If the text is not Dirichlet with one positive number, or as many as there are steps.

    Examples
    --------
    >>> parse_dirichlet("Dirichlet(2, 1)", "simo_mo(dose)", 2).tolist()
    [2.0, 1.0]
    """
    found = re.fullmatch(r"\s*Dirichlet\(([0-9.eE+,\s-]+)\)\s*", text)
    try:
        numbers = [float(one) for one in found[1].split(",")] if found else []
    except ValueError:
        numbers = []
    fine = all(math.isfinite(one) and one > 0 for one in numbers)
    if not fine or len(numbers) not in (1, size):
        raise DataError(
            f"cannot read the prior {text!r} of {term!r}",
            hint=f"write Dirichlet(1), or a positive number for each of the {size} steps",
        )
    return np.broadcast_to(np.array(numbers), size).astype(float)


def scaled_prior(prior: bmb.Prior, factor: float) -> bmb.Prior:
    """The prior of a variable times a positive factor.

    Examples
    --------
    >>> scaled_prior(bmb.Prior("HalfNormal", sigma=2), 3.0)
    HalfNormal(sigma: 6.0)
    """
    kinds, changed = DISTRIBUTIONS[prior.name].parameters, {}
    for key, value in prior.args.items():
        changed[key] = {
            "location": value * factor,
            "scale": value * factor,
            "rate": value / factor,
            "log location": value + math.log(factor),
            "shape": value,
        }[kinds[key]]
    return bmb.Prior(prior.name, auto_scale=False, **changed)


def log_density(prior: bmb.Prior, term: str, *, positive: bool = True) -> LogDensity:
    """Log density of the prior of one number, such as a standard deviation.

    Parameters
    ----------
    prior : bambi Prior
        With numbers for its parameters.
    term : str
        Whose prior it is, for errors.
    positive : bool
        Whether it is of a positive number.

    Returns
    -------
    callable
        From an array to the log density at each of its numbers.

    Raises
    ------
    EngineError
        If the distribution is flat or none of `DISTRIBUTIONS`, or reaches below zero where the
        number does not.

    Examples
    --------
    >>> at = np.array([0.0, 1.0])
    >>> np.exp(log_density(bmb.Prior("Exponential", lam=1.0), "sigma")(at)).round(3).tolist()
    [1.0, 0.368]
    """
    numbers = {key: float(value) for key, value in prior.args.items()}
    distribution = DISTRIBUTIONS.get(prior.name)
    if (
        distribution is None
        or distribution.density is None
        or (positive and distribution.reaches_below_zero(numbers))
    ):
        raise EngineError(f"the prior {prior.name} of the sd of {term!r} is not known to it")
    found: LogDensity = distribution.density(*(numbers[k] for k in distribution.parameters)).logpdf
    return found


def prior_of_set(prior: bmb.Prior, own: slice, size: int) -> bmb.Prior:
    """The prior of one set of thresholds, of that of all, so many; without bambi's order."""
    args = {
        key: np.broadcast_to(value, size)[own]
        for key, value in prior.args.items()
        if key != "transform"
    }
    return bmb.Prior(prior.name, auto_scale=False, **args)


def log_density_of_thresholds(prior: bmb.Prior, thresholds: FloatArray) -> FloatArray:
    """Log density (draws,) of the prior of ascending thresholds, up to a constant.

    It is the normal density: that thresholds ascend restricts it by a constant factor.

    Parameters
    ----------
    prior : bambi Prior
        Its parameters may be arrays (k,).
    thresholds : ndarray (draws, k)

    Raises
    ------
    EngineError
        If the prior is not Normal.

    Examples
    --------
    >>> prior = bmb.Prior("Normal", mu=np.array([-1.0, 1.0]), sigma=2.0)
    >>> log_density_of_thresholds(prior, np.array([[-1.0, 1.0], [-1.0, 3.0]])).tolist()
    [-0.0, -0.5]
    """
    if prior.name != "Normal":
        raise EngineError(f"the prior of the thresholds is {prior.name}")
    away = (thresholds - prior.args["mu"]) / prior.args["sigma"]
    return np.asarray(-0.5 * np.square(away).sum(axis=1))


def draw_prior(
    prior: bmb.Prior, term: str, shape: tuple[int, ...], rng: np.random.Generator
) -> FloatArray:
    """Independent draws from a prior, by PyMC.

    Parameters
    ----------
    prior : bambi Prior
        Its parameters may be arrays that fit `shape`.
    term : str
        Whose prior it is, for errors.
    shape : tuple of int
    rng : Generator

    Raises
    ------
    DataError
        If the prior is improper.
    """
    arguments = {key: np.asarray(value, float) for key, value in prior.args.items()}
    try:
        distribution = getattr(pm, prior.name).dist(**arguments, shape=shape)
        # Drawn once: to compile it for speed takes half a second, to interpret it milliseconds.
        found = pm.draw(distribution, random_seed=rng, mode="FAST_COMPILE")
    except NotImplementedError as error:
        raise DataError(
            f"the prior of {term!r} is {prior.name}, which is no distribution to draw from",
            hint="give it a proper one in priors=",
        ) from error
    return np.asarray(found, float)


def read_as(text: str, term: str, *, positive: bool = False) -> str:
    """A prior's text, with what it is read as where that is another; see `parse_prior`.

    Examples
    --------
    >>> read_as("Normal(0, 1)", "1|seed"), read_as("Normal(0, 1)", "pose")
    ('Normal(0, 1), its positive half: HalfNormal(1)', 'Normal(0, 1)')
    """
    if text.strip().startswith("LKJ"):
        return f"LKJ({parse_lkj(text, term):g})"
    if text.strip().startswith("Dirichlet"):
        return text
    prior = parse_prior(text, term, positive=positive)
    if "|" in term:
        prior = prior.args["sigma"]
    if text.strip().startswith(prior.name):
        return text
    numbers = ", ".join(
        f"{float(prior.args[key]):g}" for key in DISTRIBUTIONS[prior.name].parameters
    )
    return f"{text}, its positive half: {prior.name}({numbers})"


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


def parse_priors(
    priors: Mapping[str, str], positive: Collection[str], probabilities: Collection[str] = ()
) -> dict[str, bmb.Prior]:
    """Read the priors of several terms, some positive or probabilities; see `parse_prior`."""
    return {
        term: parse_prior(text, term, positive=term in positive, probability=term in probabilities)
        for term, text in priors.items()
    }
