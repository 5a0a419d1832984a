"""Covariates measured with known error: the true values are sampled beside all else.

With measurement w of a true value x, of standard error s, ``w ~ Normal(x, s)`` and
``x ~ Normal(m, t)``; the response depends on x, so that its coefficient is not attenuated by the
reliability ``t^2 / (t^2 + s^2)``, as that of w is. Given w alone, and mean and spread of the true
values,

    w ~ Normal(m, r),  x | w ~ Normal((m s^2 + w t^2) / r^2, t s / r),  r = sqrt(t^2 + s^2),

which is the same joint density, of coordinates that the response's likelihood changes little.

Source: Carroll, Ruppert, Stefanski and Crainiceanu (2006), Measurement Error in Nonlinear Models,
2nd edition, sections 1.1 and 9.2; brms has the same model under the same name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from causalbias.errors import DataError
from causalbias.models.formula.measured import Measured, measured
from causalbias.models.priors import by_term, parse_prior

Floats = NDArray[np.float64]
# Before the term in a posterior, brms' names: mean and spread of the true values, and these.
MEAN, SPREAD, TRUE = "meanme_", "sdme_", "Xme_"
NU = 4.0  # of the half t prior of the spread


@dataclass(frozen=True)
class MeasuredValues:
    """What was measured, once each.

    Attributes
    ----------
    name : str
        The term, ``me(age, se)``.
    values, errors : ndarray (levels,)
        Measurements and their standard errors.
    codes : ndarray (rows,) of int
        Which of them each row has.
    labels : ndarray (levels,) of str
        Levels of the column that says what was measured; else the numbers of rows.
    slopes : ndarray (rows, p)
        By how much the columns of the design grow with a true value that is larger by one.
    priors : mapping of str to bambi Prior
        Of the mean and the spread of true values, by their names in a posterior.
    """

    name: str
    values: Floats
    errors: Floats
    codes: NDArray[np.int64]
    labels: NDArray[np.str_]
    slopes: Floats
    priors: Mapping[str, bmb.Prior]

    @property
    def dim(self) -> str:
        """Dim of the true values in a posterior."""
        return f"{self.name}__level_dim"

    def beyond(self, name: str) -> Any:
        """True values less measurements (levels,) as PyMC's, within a model.

        ``name``: how the term's variables are called there.
        """
        w, s = self.values, self.errors
        mean, spread = (
            getattr(pm, one.name)(f"{which}{name}", **one.args)
            for which, one in zip((MEAN, SPREAD), self.priors.values(), strict=True)
        )
        white = pm.Normal(f"{name}: z", shape=len(w))
        total = pt.sqrt(spread**2 + s**2)
        pm.Potential(f"{name}: measurements", pm.logp(pm.Normal.dist(mean, total), w).sum())
        centre = (mean * s**2 + w * spread**2) / total**2
        return pm.Deterministic(f"{TRUE}{name}", centre + spread * s / total * white) - w


def names_of_true_values(formula: str) -> tuple[list[str], list[str]]:
    """Names in a posterior, and in priors, of means and of spreads of true values.

    Examples
    --------
    >>> names_of_true_values("y ~ me(age, se)*race")
    (['meanme_me(age, se)'], ['sdme_me(age, se)'])
    """
    found = measured(formula)
    return [f"{MEAN}{one}" for one in found], [f"{SPREAD}{one}" for one in found]


def is_true_value(name: str) -> bool:
    """Whether a posterior's variable has the true values of what was measured."""
    return name.startswith(f"{TRUE}me(")


def is_of_true_values(name: str) -> bool:
    """Whether it is the mean or the spread of true values."""
    return name.startswith((f"{MEAN}me(", f"{SPREAD}me("))


def check_measured(formula: str, used: pd.DataFrame, counts: NDArray[np.float64]) -> None:
    """Refuse measurements that are no numbers, and errors that are none, in the rows of a model.

    A row that stands for c observations (`counts`) has one measurement where something was measured
    (``gr=``), and c where rows were: c true values, of which each has a response. One of them to
    c responses would be another model, which changes if a row is split into equal ones.

    Raises
    ------
    DataError
        With the first row.
    """
    for one in measured(formula):
        errors = used[one.sd] if isinstance(one.sd, str) else pd.Series(one.sd, index=used.index)
        for values in (used[one.column], errors):
            if values.dtype.kind not in "iuf":
                raise DataError(
                    f"{one} is of numbers", hint="correct the column", column=str(values.name)
                )
        if (bad := (errors < 0).to_numpy()).any() or not (errors > 0).any():
            raise DataError(
                f"{one} has a standard error that is negative"
                if bad.any()
                else f"{one} is without error: all its standard errors are zero",
                hint="give positive numbers"
                if bad.any()
                else f"write {one.column} in the place of {one}",
                file="data",
                column=str(one.sd),
                row=int(bad.argmax()) + 1 if bad.any() else None,
            )
        if used[one.column].nunique() == 1:
            raise DataError(
                f"all measurements of {one} are the same", hint="leave it out", column=one.column
            )
        if one.group is None and (counts > 1).any():
            raise DataError(
                f"each row of {one} is a measurement of its own, and a row with counts several",
                hint="repeat the rows, data.loc[data.index.repeat(data[counts])], or name what was "
                f"measured once: me({one.column}, {one.sd}, gr=face)",
                column=one.column,
            )
        if one.group is not None:
            _check_of_group(one, used[one.group].astype(str), used[one.column], errors)


def _check_of_group(one: Measured, groups: pd.Series, values: pd.Series, errors: pd.Series) -> None:
    for name, own in ((one.column, values), (one.sd, errors)):
        bad = (own != own.groupby(groups).transform("first")).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"{one.group} {groups.iloc[row]!r} has two values of {name}, and gr= says that it "
                "was measured once",
                hint="give the mean of its measurements with the standard error of that",
                file="data",
                column=str(name),
                row=row + 1,
            )


def measured_values(
    one: Measured,
    used: pd.DataFrame,
    slopes: Floats,
    curvature: Floats,
    given: Mapping[str, str],
) -> MeasuredValues:
    """What was measured in the rows of a model.

    Parameters
    ----------
    one : Measured
    used : DataFrame
    slopes, curvature : ndarray (rows, p)
        First and second differences of the design by the column of measurements.
    given : mapping of str to str
        Priors of the specification.

    Raises
    ------
    DataError
        If a term is no multiple of the true values, or a prior cannot be read.
    """
    if np.abs(curvature).max(initial=0.0) > 1e-6 * np.abs(slopes).max(initial=1.0):
        raise DataError(
            f"{one} stands inside of a function",
            hint=f"only its multiples are read: {one}, {one}:race",
            column=one.column,
        )
    if one.group is None:
        labels, first, codes = np.arange(len(used)), np.arange(len(used)), np.arange(len(used))
    else:
        groups = used[one.group].astype(str).to_numpy(str)
        labels, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    errors = used[one.sd].to_numpy(float) if isinstance(one.sd, str) else np.full(len(used), one.sd)
    values = used[one.column].to_numpy(float)[first]
    default = {
        f"{MEAN}{one}": f"Normal({float(values.mean())!r}, {float(2.5 * values.std())!r})",
        f"{SPREAD}{one}": f"HalfStudentT({NU!r}, {float(values.std())!r})",
    }
    own = by_term({k: v for k, v in given.items() if k.startswith((MEAN, SPREAD))}, list(default))
    priors = {
        name: parse_prior(own.get(name, text), name, positive=name.startswith(SPREAD))
        for name, text in default.items()
    }
    for name, prior in priors.items():
        if not hasattr(pm, prior.name):
            raise DataError(
                f"the prior {prior.name} of {name!r} is of coefficients",
                hint='give a Normal one, or "HalfNormal(1)" of a spread',
            )
    return MeasuredValues(
        str(one), values, errors[first], codes, labels.astype(str), slopes, priors
    )


def repeated(found: Sequence[MeasuredValues]) -> list[str]:
    """What is to be said of measurements that several rows have, taken for independent ones."""
    notes = []
    for one in found:
        rows = len(one.codes)
        distinct = len(np.unique(np.column_stack([one.values, one.errors]), axis=0))
        if len(one.values) == rows and 2 * distinct <= rows:
            notes.append(
                f"{one.name} has {distinct:,} different measurements in {rows:,} rows, each taken "
                "for independent of the others: if rows have one in common, such as all of a face, "
                "name what was measured: gr=face"
            )
    return notes
