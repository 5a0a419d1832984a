"""Monotone effects: the steps from level to level, all of one sign.

With levels 0 to D in order, ``mo(x) = D b sum_{i <= x} zeta_i``: b is the average step, and the
simplex zeta says how it is divided between the steps, whose sizes are ``D b zeta_i``. Its prior is
Dirichlet; that of b is as of a coefficient of the level's number. The steps are the coefficients of
the columns of `formula.steps.Steps`.

Source: Bürkner and Charpentier (2020), Modelling monotonic effects of ordinal predictors in
Bayesian regression models, British Journal of Mathematical and Statistical Psychology 73(3),
equation 1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bambi as bmb
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from formulae.terms.call import Call
from numpy.typing import NDArray

from causalbias.errors import DataError
from causalbias.models.priors import draw_prior, parse_dirichlet

Floats = NDArray[np.float64]
# Before the term's name in a posterior: the average step, and the shares of the steps in it.
AVERAGE, SHARES = "bsp_", "simo_"
TARGET_ACCEPT = 0.95


@dataclass(frozen=True)
class Monotone:
    """The monotone effects of a term: one, or one for each column that it is multiplied with.

    Attributes
    ----------
    name : str
        Of the term.
    prior : bambi Prior
        Of the average step, for each curve.
    concentration : ndarray (D,)
        Of the simplex's Dirichlet prior.
    at : ndarray (curves, D) of int
        Which of the term's columns are the steps of each curve.
    curves, steps : tuple of str
        Labels of the columns that it is multiplied with (one, empty, where there is none), and of
        the levels that steps lead to.
    """

    name: str
    prior: bmb.Prior
    concentration: Floats
    at: NDArray[np.int64]
    curves: tuple[str, ...]
    steps: tuple[str, ...]

    def variable(self, name: str) -> Any:
        """The coefficients (columns,) of the term's columns as PyMC's, within a model.

        ``name``: how the term's variables are called there.
        """
        curves, steps = self.at.shape
        average = getattr(pm, self.prior.name)(
            f"{name}: average step", **self.prior.args, shape=curves
        )
        share: Any = 1.0  # PyMC has no simplex of one number
        if steps > 1:
            concentration = np.broadcast_to(self.concentration, (curves, steps))
            share = pm.Dirichlet(f"{name}: shares", concentration)
        step = steps * average[:, None] * share
        return pt.flatten(step)[np.argsort(self.at, axis=None)]

    def draw(self, draws: int, rng: np.random.Generator) -> Floats:
        """Draws (draws, columns) of the coefficients from their prior."""
        curves, steps = self.at.shape
        average = draw_prior(self.prior, self.name, (draws, curves), rng)
        share = rng.dirichlet(self.concentration, (draws, curves))
        found = np.empty((draws, curves * steps))
        found[:, self.at] = steps * average[:, :, None] * share
        return found

    def apart(self, coefficients: Floats) -> tuple[Floats, Floats]:
        """Average step (draws, curves) and its shares (draws, curves, D) of coefficients.

        Examples
        --------
        >>> flat = bmb.Prior("Flat")
        >>> one = Monotone("mo(x)", flat, np.ones(2), np.array([[0, 1]]), ("",), ("1", "2"))
        >>> [values.tolist() for values in one.apart(np.array([[-1.0, -3.0]]))]
        [[[-2.0]], [[[0.25, 0.75]]]]
        """
        step = coefficients[:, self.at]
        average = step.mean(axis=2)
        return average, step / step.sum(axis=2, keepdims=True)


def is_further(name: str) -> bool:
    """Whether a posterior's variable is an average step or the shares of steps.

    Examples
    --------
    >>> [is_further(one) for one in ("bsp_mo(dose)", "sigma_simo_race:mo(dose)", "mo(dose)")]
    [True, True, False]
    """
    return re.search(rf"(^|_)({AVERAGE}|{SHARES}).*mo\(", name) is not None


def is_monotone(term: Any) -> bool:
    """Whether a term of formulae's has a monotone effect in it."""
    return any(_is_call(one) for one in getattr(term, "components", []))


def monotone_of(
    terms: Mapping[str, Any],
    sizes: Mapping[str, int],
    priors: Mapping[str, bmb.Prior],
    simplexes: Mapping[str, str],
) -> dict[str, Monotone]:
    """The monotone effects among formulae's terms, by the terms' names.

    Parameters
    ----------
    terms : mapping
    sizes : mapping of str to int
        Numbers of columns of the terms in the model.
    priors : mapping
        Of the average steps.
    simplexes : mapping
        Texts of priors of the shares, by `SHARES` and the term's name.

    Raises
    ------
    DataError
        If columns of one were left out, or a prior of shares cannot be read.
    """
    found = {}
    for name, term in terms.items():
        if not is_monotone(term):
            continue
        own = [_is_call(one) for one in term.components]
        labels = [_labels(one) for one in term.components]
        shape = [len(one) for one in labels]
        if np.prod(shape) != sizes[name]:
            raise DataError(
                f"rows do not tell all columns of {name} from those of other terms",
                hint="leave out the other terms that it follows from, or its interaction",
            )
        steps = own.index(True)
        at = np.moveaxis(np.arange(sizes[name]).reshape(shape), steps, -1)
        given = simplexes.get(f"{SHARES}{name}", "Dirichlet(1)")
        found[name] = Monotone(
            name=name,
            prior=priors[name],
            concentration=parse_dirichlet(given, f"{SHARES}{name}", shape[steps]),
            at=at.reshape(-1, shape[steps]),
            curves=_products([one for k, one in enumerate(labels) if k != steps]),
            steps=tuple(labels[steps]),
        )
    return found


def _is_call(component: Any) -> bool:
    return isinstance(component, Call) and str(component.name).startswith("mo(")


def _labels(component: Any) -> list[str]:
    """Labels of a component's columns; an empty one for a number's."""
    if component.contrast_matrix is not None:
        return [str(one) for one in component.contrast_matrix.labels]
    size = int(np.size(component.value) // len(component.value))
    return [""] if size == 1 else [str(one) for one in range(size)]


def _products(labels: Sequence[Sequence[str]]) -> tuple[str, ...]:
    found = [""]
    for each in labels:
        found = [", ".join(filter(None, (one, other))) for one in found for other in each]
    return tuple(found)
