"""Priors of many coefficients together, most of which are close to zero: horseshoe and R2D2.

Both are scale mixtures of normals: coefficient j is ``z_j s_j / spread_j`` with z standard normal
and ``spread_j`` the standard deviation of its column, so that no column's unit matters. They differ
in the scales s_j. Definitions, parameters and defaults are those of brms' ``horseshoe`` and
``R2D2`` for columns and a response that are standardised.

Sources: Piironen and Vehtari (2017), Sparsity information and regularization in the horseshoe and
other shrinkage priors, EJS 11(2), equations 2.7 to 2.10; Zhang, Naughton, Bondell and Reich (2022),
Bayesian regression using a prior on the model fit: the R2-D2 shrinkage prior, JASA 117(538).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import bambi as bmb
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy import stats

from causalbias.errors import DataError

Floats = NDArray[np.float64]
# Parameters in brms' order, with its defaults.
SHRINKAGE: dict[str, dict[str, float]] = {
    "Horseshoe": {
        "df": 1.0,
        "scale_global": 1.0,
        "df_global": 1.0,
        "scale_slab": 2.0,
        "df_slab": 4.0,
    },
    "R2D2": {"mean_R2": 0.5, "prec_R2": 2.0, "cons_D2": 0.5},
}
# What a posterior has of them, all positive.
HYPERPARAMETERS = ("horseshoe_global", "horseshoe_slab", "R2D2_R2")
# NUTS takes small steps: the posterior is a funnel where a scale is close to zero. Of 4,000
# transitions of 20 columns and 150 rows without any effect 4 diverge at 0.99, at most one here.
TARGET_ACCEPT = 0.998


def shrinkage_prior(
    name: str, given: Mapping[str, float], text: str, term: str, *, of_other: bool = False
) -> bmb.Prior:
    """The prior of one of `SHRINKAGE`, what is not given filled in.

    ``of_other``: whether the term is a parameter of the response's distribution.

    Raises
    ------
    DataError
        If a number is one that its parameter cannot have, or the term has other numbers than
        coefficients of columns.

    Examples
    --------
    >>> float(shrinkage_prior("R2D2", {"mean_R2": 0.3}, "R2D2(0.3)", "b").args["prec_R2"])
    2.0
    """
    numbers = SHRINKAGE[name] | dict(given)
    fine = all(np.isfinite(value) and value > 0 for value in numbers.values())
    if not fine or numbers.get("mean_R2", 0.5) >= 1:
        raise DataError(
            f"cannot read the prior {text!r} of {term!r}",
            hint="its numbers are positive, and mean_R2 is below one; by default "
            f"{name}({', '.join(f'{key}={value:g}' for key, value in SHRINKAGE[name].items())})",
        )
    if of_other or "|" in term or term == "Intercept":
        raise DataError(
            f"the prior {text} of {term!r} is of coefficients",
            hint=f'give it to all of them: {{"b": "{text}"}}',
        )
    return bmb.Prior(name, auto_scale=False, **numbers)


def check_shrinkage(priors: Mapping[str, bmb.Prior], terms: Collection[str]) -> None:
    """Refuse shrinkage priors of what is no term, and two different ones in one predictor.

    Raises
    ------
    DataError
        Naming the terms.
    """
    own = {name: prior for name, prior in priors.items() if prior.name in SHRINKAGE}
    for name, prior in own.items():
        if name not in terms:
            raise DataError(
                f"the prior {prior.name} of {name!r} is of coefficients",
                hint=f'give it to all of them: {{"b": "{prior.name}()"}}',
            )
    first = next(iter(own), "")
    for name, prior in own.items():
        if (prior.name, prior.args) != (own[first].name, own[first].args):
            raise DataError(
                f"the priors of {first!r} and {name!r} are two different ones that shrink "
                "coefficients together",
                hint="give one of them to both, and other terms priors of their own",
            )


@dataclass(frozen=True)
class Shrinkage:
    """A shrinkage prior of some columns of a predictor.

    Attributes
    ----------
    prior : bambi Prior
        Of one of `SHRINKAGE`.
    spreads : dict of str to ndarray (k,)
        Standard deviations of the columns of each term that has it.
    unit : float
        Standard deviation of the response, on the scale of the predictor; of answers and the like,
        and of parameters that differ by row, one.
    of_noise : bool
        Whether the model has one ``sigma`` on that scale, which then takes the unit's place in the
        scale of all coefficients, though not in that of the slab.
    """

    prior: bmb.Prior
    spreads: dict[str, Floats]
    unit: float
    of_noise: bool

    @property
    def of_columns(self) -> Floats:
        """The standard deviations (k,) of all columns, term by term."""
        return np.concatenate(list(self.spreads.values()))

    def variables(self, noise: Any, prefix: str) -> dict[str, Any]:
        """The coefficients of each term as PyMC's, within a model; in front of names a prefix.

        ``noise``: sigma, or the unit.
        """
        numbers, of_columns = self.prior.args, self.of_columns
        k, own = len(of_columns), f"{prefix}shrinkage: "
        white = pm.Normal(f"{own}z", shape=k)
        if self.prior.name == "Horseshoe":
            local = _half_t(f"{own}local", numbers["df"], (k,))
            whole = numbers["scale_global"] * _half_t(f"{own}global", numbers["df_global"], ())
            total = pm.Deterministic(f"{prefix}horseshoe_global", whole * noise)
            square = pm.InverseGamma(f"{own}slab", *[numbers["df_slab"] / 2] * 2)
            slab = self.unit * numbers["scale_slab"] * square**0.5
            scale = horseshoe_scale(local, total, pm.Deterministic(f"{prefix}horseshoe_slab", slab))
        else:
            explained = pm.Beta(f"{prefix}R2D2_R2", *_beta(numbers))
            # PyMC has no simplex of one number
            share = pm.Dirichlet(f"{own}share", np.full(k, numbers["cons_D2"])) if k > 1 else 1.0
            scale = r2d2_scale(share, explained, noise)
        found, at, beta = {}, 0, white * scale / of_columns
        for name, one in self.spreads.items():
            found[name] = beta[at : at + len(one)]
            at += len(one)
        return found

    def draw(self, noise: Floats, rng: np.random.Generator) -> tuple[Floats, dict[str, Floats]]:
        """Draws (draws, k) of all coefficients, and (draws,) of what a posterior has besides.

        ``noise`` (draws,): sigma, or the unit.
        """
        numbers, of_columns = self.prior.args, self.of_columns
        shape = (len(noise), len(of_columns))
        white = rng.standard_normal(shape)
        if self.prior.name == "Horseshoe":
            local = np.abs(stats.t(numbers["df"]).rvs(shape, rng))
            whole = np.abs(stats.t(numbers["df_global"]).rvs(len(noise), rng))
            square = stats.invgamma(numbers["df_slab"] / 2, scale=numbers["df_slab"] / 2)
            slab = self.unit * numbers["scale_slab"] * np.sqrt(square.rvs(len(noise), rng))
            total = numbers["scale_global"] * whole * noise
            scale = horseshoe_scale(local, total[:, None], slab[:, None])
            hyper = {"horseshoe_global": total, "horseshoe_slab": slab}
        else:
            explained = rng.beta(*_beta(numbers), len(noise))
            share = rng.dirichlet(np.full(shape[1], numbers["cons_D2"]), len(noise))
            scale = r2d2_scale(share, explained[:, None], noise[:, None])
            hyper = {"R2D2_R2": explained}
        return white * scale / of_columns, hyper


def _half_t(name: str, nu: float, shape: tuple[int, ...]) -> Any:
    """A variable of PyMC's that is half t; of one degree of freedom, by a normal variable's place.

    The quantile function of the half Cauchy is ``tan(pi p / 2)``. Its heavy tail is none of the
    normal variable's, so that far fewer transitions of NUTS diverge.
    """
    if nu != 1:
        return pm.HalfStudentT(name, nu, 1.0, shape=shape)
    place = 0.5 * pt.erfc(-pm.Normal(name, shape=shape) / np.sqrt(2))
    return pt.tan(np.pi / 2 * place)


def horseshoe_scale(local: Any, total: Any, slab: Any) -> Any:
    """Scale of a coefficient, ``tau c lambda / sqrt(c^2 + tau^2 lambda^2)``.

    That of all, tau, times its own, lambda, where the product is far below the slab's c; and c
    where it is far above (Piironen and Vehtari 2017, equation 2.8). Arrays or PyMC's variables.

    Examples
    --------
    >>> horseshoe_scale(np.array([1.0, 1e9]), 0.1, 2.0).round(3).tolist()
    [0.1, 2.0]
    """
    ratio = total * local
    return ratio / (1 + (ratio / slab) ** 2) ** 0.5


def r2d2_scale(share: Any, explained: Any, noise: Any) -> Any:
    """Scale of a coefficient, ``sigma sqrt(phi R2 / (1 - R2))``.

    The variance that all columns explain is ``sigma^2 R2 / (1 - R2)``, of which phi is its share
    (Zhang et al. 2022, section 2). Arrays or PyMC's variables.

    Examples
    --------
    >>> r2d2_scale(np.array([0.25, 0.75]), 0.5, 2.0).round(3).tolist()
    [1.0, 1.732]
    """
    return noise * (share * explained / (1 - explained)) ** 0.5


def _beta(numbers: Mapping[str, float]) -> tuple[float, float]:
    """Both shapes of the beta distribution of R2, of its mean and precision."""
    return (
        numbers["mean_R2"] * numbers["prec_R2"],
        (1 - numbers["mean_R2"]) * numbers["prec_R2"],
    )
