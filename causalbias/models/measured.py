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

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from causalbias.errors import DataError
from causalbias.models.formula.measured import Measured, measured

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
    """

    name: str
    values: Floats
    errors: Floats
    codes: NDArray[np.int64]
    labels: NDArray[np.str_]
    slopes: Floats

    @property
    def dim(self) -> str:
        """Dim of the true values in a posterior."""
        return f"{self.name}__level_dim"

    def beyond(self, name: str) -> Any:
        """True values less measurements (levels,) as PyMC's, within a model.

        ``name``: how the term's variables are called there.
        """
        w, s = self.values, self.errors
        mean = pm.Normal(f"{MEAN}{name}", w.mean(), 2.5 * w.std())
        spread = pm.HalfStudentT(f"{SPREAD}{name}", NU, w.std())
        white = pm.Normal(f"{name}: z", shape=len(w))
        total = pt.sqrt(spread**2 + s**2)
        pm.Potential(f"{name}: measurements", pm.logp(pm.Normal.dist(mean, total), w).sum())
        centre = (mean * s**2 + w * spread**2) / total**2
        return pm.Deterministic(f"{TRUE}{name}", centre + spread * s / total * white) - w


def is_true_value(name: str) -> bool:
    """Whether a posterior's variable has the true values of what was measured."""
    return name.startswith(f"{TRUE}me(")


def is_of_true_values(name: str) -> bool:
    """Whether it is the mean or the spread of true values."""
    return name.startswith((f"{MEAN}me(", f"{SPREAD}me("))


def check_measured(formula: str, used: pd.DataFrame) -> None:
    """Refuse measurements that are no numbers, and errors that are none, in the rows of a model.

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
    one: Measured, used: pd.DataFrame, slopes: Floats, curvature: Floats
) -> MeasuredValues:
    """What was measured in the rows of a model.

    Parameters
    ----------
    one : Measured
    used : DataFrame
    slopes, curvature : ndarray (rows, p)
        First and second differences of the design by the column of measurements.

    Raises
    ------
    DataError
        If a term is no multiple of the true values.
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
    values = used[one.column].to_numpy(float)
    return MeasuredValues(str(one), values[first], errors[first], codes, labels.astype(str), slopes)
