"""Columns far from zero: the same model in columns that are centred and scaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bambi as bmb
import numpy as np
from numpy.typing import NDArray

from causalbias.errors import DataError
from causalbias.models.columns import spread, triangle_of

FloatArray = NDArray[np.float64]
MIN_SPREAD = 1e-6  # sd over mean, below which a draw's variance at the mean has lost its digits


@dataclass(frozen=True)
class Part:
    """A column's term, and the variables that it takes as numbers and as factors."""

    term: str
    numeric: frozenset[str]
    categoric: frozenset[str]


def parts_of(terms: Mapping[str, Any], sizes: Mapping[str, int]) -> list[Part]:
    """What each column is made of; ``terms`` are formulae's, ``sizes`` their numbers of columns."""
    found = []
    for name, size in sizes.items():
        sets: dict[str, set[str]] = {"numeric": set(), "categoric": set()}
        for one in getattr(terms[name], "components", ()):
            sets.setdefault(one.kind, set()).update(getattr(one, "var_names", {one.name}))
        found += [Part(name, frozenset(sets["numeric"]), frozenset(sets["categoric"]))] * size
    return found


def centring_of(
    columns: Sequence[FloatArray],
    parts: list[Part],
    *,
    centre: bool,
    strict: bool = True,
    repeats: FloatArray | None = None,
) -> FloatArray:
    """The matrix T (k, k) by which columns (rows, k) are centred and scaled.

    Columns times T have means of zero and standard deviations of one where they are numeric. From
    a product of numbers what it has in common with its parts is taken, and from one with a factor's
    levels their means within levels, as if each variable had been centred before. If u are
    coefficients of the columns times T, T u are those of the columns themselves.

    Parameters
    ----------
    columns : sequence of ndarray (rows,) or (rows, m)
        k columns side by side, which are not copied as a whole.
    parts : list of Part
    centre : bool
        Whether to centre, or only to scale.
    strict : bool
        Whether to raise where a column varies too little beside its mean.
    repeats : ndarray (rows,), optional
        How often each row counts; once by default.

    Raises
    ------
    DataError
        Naming the column.
    """
    rows, k = len(columns[0]), len(parts)
    root = triangle_of([np.broadcast_to(1.0, rows), *columns], repeats)
    total = float(rows if repeats is None else repeats.sum())
    largest = np.hstack([np.abs(one).max(axis=0, initial=0.0) for one in columns])
    means = root[0, 1:] / root[0, 0] if rows else np.zeros(k)
    whole, now = np.eye(k), root[:, 1:].copy()
    order = sorted(range(len(parts)), key=lambda j: len(parts[j].numeric))
    for at, j in enumerate(order):
        if not parts[j].numeric:
            continue
        if centre:
            if strict:
                _check_spread(_spread(now[:, j], total), float(means[j]), parts[j].term)
            lower = [i for i in order[:at] if _is_part(parts[i], parts[j])]
            lower = lower or [i for i in order if parts[i].term == "Intercept"]
            for _ in range(2):  # once more for what rounding leaves
                slopes = np.linalg.lstsq(now[:, lower], now[:, j], rcond=1e-10)[0]
                now[:, j] -= now[:, lower] @ slopes
                whole[:, j] -= whole[:, lower] @ slopes
        size = _spread(now[:, j], total)
        if size > 1e-12 * largest[j]:
            now[:, j] /= size
            whole[:, j] /= size
    return whole


def _is_part(lower: Part, higher: Part) -> bool:
    """Whether a column is made of some of another's numbers, and of all of its factors."""
    return (
        lower.term != higher.term
        and lower.categoric == higher.categoric
        and lower.numeric <= higher.numeric
    )


def _spread(column: FloatArray, rows: float) -> float:
    """Standard deviation over the rows of a column of `triangle`, whose first is of ones."""
    return float(np.linalg.norm(column[1:])) / np.sqrt(rows)


def _check_spread(spread: float, mean: float, name: str) -> None:
    if 0 < spread < MIN_SPREAD * abs(mean):
        raise DataError(
            f"{name} varies by {spread:.3g} about {mean:.6g}: too little beside it for a slope of "
            "each level in numbers of 16 digits",
            hint="subtract a constant from it",
            column=name,
        )


def widen_margins(
    model: bmb.Model, given: Mapping[str, object], repeats: FloatArray | None = None
) -> None:
    """Let default priors of coefficients allow for numbers far from zero; in place.

    In ``y ~ year*race`` the coefficient of a race is its effect in the year zero, and that of
    ``year:race`` one of a product whose spread is mostly that of the race. bambi scales priors by
    the spread of columns as they are, which here rules out any slope that differs by race. The
    default sd of a product becomes that of the product of centred numbers, and to the variance of
    a part's is added what the product's adds at zero, as bambi does for the intercept. Where
    numbers are centred already, and where there is no product, nothing changes.

    Parameters
    ----------
    model : bambi Model
    given : mapping
        Terms that have a prior of the user's.
    repeats : ndarray (rows,), optional
        How often each row counts; once by default.
    """
    component = model.parameters[model.family.likelihood.parent]
    terms, design = component.common_terms, component.design.common
    if design is None or len(terms) < 2:
        return
    rows = len(model.data)
    sizes = {name: int(np.size(one.data) // rows) for name, one in terms.items()}
    parts = [Part("Intercept", frozenset(), frozenset()), *parts_of(design.terms, sizes)]
    data = {name: np.asarray(one.data, float) for name, one in terms.items()}
    columns = [np.ones(rows), *data.values()]
    basis = centring_of(columns, parts, centre=True, strict=False, repeats=repeats)
    unit = np.diag(basis)
    own = np.zeros(len(parts))  # prior sd of each coefficient
    at = 1
    for name, term in terms.items():
        here = slice(at, at + sizes[name])
        at += sizes[name]
        if term.prior.name != "Normal":
            continue
        own[here] = np.ravel(term.prior.args["sigma"])
        if name not in given and parts[here.start].numeric:
            own[here] *= spread(data[name].reshape(rows, -1), repeats) * unit[here]
    at = 1
    for name, term in terms.items():
        here = slice(at, at + sizes[name])
        at += sizes[name]
        if term.prior.name != "Normal" or name in given:
            continue
        # a coefficient of the columns is the sum over centred ones of T_ij times theirs
        shares = basis[here] / unit * own
        sigma = np.sqrt((shares**2).sum(axis=1))
        shape = np.shape(term.prior.args["sigma"])
        term.prior.update(sigma=sigma.reshape(shape) if shape else float(sigma[0]))
