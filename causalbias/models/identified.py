"""Whether data identify the spread of group effects: refused in advance where they cannot."""

import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.models.fitted import ModelDesign, PartDesign
from causalbias.models.group_design import GroupDesign
from causalbias.models.specification import observations_of, row_precisions

FEW = 5  # rows of a table that is an example, of which nobody asks for sigma


def check_identified(model: ModelDesign) -> None:
    """Refuse group terms of whose standard deviations the data can say nothing.

    A factor of one level. An intercept (or an effect of each level of another factor) whose levels
    have one observation each: it is one with the noise. A slope is not, since the variance of its
    rows, ``sigma^2 + tau^2 x^2``, changes with x; but of a Gaussian model a term with as many
    effects as there are observations is refused, as lme4 does. A row of several observations
    (`counts`, trials) tells them apart, as do weights that differ. A Gaussian model with as many
    coefficients as there are observations, such as of a time with a level a row.

    Raises
    ------
    DataError
        Naming the term, and what its standard deviation cannot be separated from.
    """
    spec, used, family = model.spec, model.frame, model.family
    observations = observations_of(spec, used)
    precision = row_precisions(spec, used)
    weighed = precision is not None and len(np.unique(precision)) > 1
    _check_rows_left(model, observations)
    for part in model.parts.values():
        for one in part.groups:
            _check_levels(one)
    for one in (one for own in model.predictors for one in own.groups):
        _check_levels(one)
        term = _written(one)
        if one.within is not None and any(
            _most_of(other, used, observations) > 1 for other in _divided_alike(model, one)
        ):
            continue  # rows of other levels tell the noise
        codes, own = one.codes(used), one.own_rows(used)
        constant = None if weighed else _constant_effect(one, used[own])
        if constant is not None and _most_of(one, used, observations) == 1:
            effect = f"({constant}|{one.factor})"
            raise DataError(
                f"each level of {one.factor!r} has one observation: nothing in the data tells the "
                f"standard deviation of {effect} from {family.noise}",
                hint=f"leave {effect} out, or give rows that share a level of {one.factor}",
            )
        effects, total = len(one.levels) * sum(one.sizes()), observations[own].sum()
        plain = family.normal and not weighed and codes.shape[1] == 1
        if plain and effects >= total:
            many = "as many" if effects == total else "more"
            their = "their standard deviation" + ("s" if sum(one.sizes()) > 1 else "")
            raise DataError(
                f"{term} has {many} effects ({effects:,}) {'as' if many == 'as many' else 'than'} "
                f"there are observations ({total:,.0f}), so {their} cannot be separated from sigma",
                hint=f"leave {term} out, let fewer effects vary, or give more rows a level",
            )


def _check_rows_left(model: ModelDesign, observations: np.ndarray) -> None:
    """Refuse a Gaussian model of default priors in which no observation is left to tell the noise.

    Priors that were given may tell coefficients where rows do not.
    """
    given = set(model.spec.priors) & {"sigma", *model.coefficient_terms}
    if not model.family.normal or given:
        return
    rows, total = len(model.frame), float(observations.sum())
    number = sum(int(np.size(one.data) // rows) for one in model.coefficient_terms.values())
    if number >= max(total, FEW):
        raise DataError(
            f"{number:,} coefficients of {total:,.0f} observations: none is left to tell sigma",
            hint="leave out a factor with a level of its own in nearly every row, such as a time "
            "or an id, make it a number, or give priors",
        )


def _check_levels(one: GroupDesign) -> None:
    if len(one.levels) == 1:
        raise DataError(
            f"the grouping factor {one.factor!r} has one level, {str(one.levels[0])!r}: of a "
            "spread between levels the data say nothing",
            hint=f"leave {_written(one)} out",
        )


def _written(one: GroupDesign) -> str:
    """A group term as a formula has it."""
    none = "" if "1" in one.effects else "0 + "
    return f"({none}{' + '.join(one.effects)}|{one.factor})"


def _divided_alike(model: ModelDesign, one: GroupDesign) -> list[GroupDesign]:
    """The terms that ``gr(factor, by=column)`` makes of one factor."""
    by = one.within[0] if one.within else ""
    return [
        other
        for other in model.groups
        if other.within is not None and (other.within[0], other.members) == (by, one.members)
    ]


def _most_of(one: GroupDesign, used: pd.DataFrame, observations: np.ndarray) -> float:
    """The most observations that a level of a term has."""
    own = one.own_rows(used)
    return _most(one.codes(used)[own], observations[own])


def _most(codes: np.ndarray, observations: np.ndarray) -> float:
    """The most observations that a level has, of levels (rows, members) of the rows."""
    if codes.shape[1] == 1:
        return float(np.bincount(codes[:, 0], observations).max())
    # A level may be both of a row's members.
    pairs = np.unique(codes * len(codes) + np.arange(len(codes))[:, None])
    levels, rows = np.divmod(pairs, len(codes))
    return float(np.bincount(levels, observations[rows]).max())


def _constant_effect(one: GroupDesign, used: pd.DataFrame) -> str | None:
    """An effect that may add the same variance to every row; None if all change from row to row.

    Of columns x_j with standard deviations tau_j a row's variance is the sum of tau_j^2 x_j^2: the
    same for all rows if the squares, in some combination, are constant.
    """
    columns, at = one.columns(used), 0
    for effect, size in zip(one.effects, one.sizes(), strict=True):
        squares = columns[:, at : at + size] ** 2
        at += size
        squares = squares / squares.max(axis=0)
        ones = np.ones(len(squares))
        rest = ones - squares @ np.linalg.lstsq(squares, ones)[0]
        if np.abs(rest).max() < 1e-9:
            return effect if effect == "1" else f"0 + {effect}"
    return None


def shared_variances(model: ModelDesign) -> list[str]:
    """What is to be said of effects that several terms give the same groups of rows.

    Examples
    --------
    >>> from causalbias.models.specification import ModelSpec
    >>> rows = pd.DataFrame({"y": [1.0, 2, 3, 5], "x": [0.5, 1, 2, 3], "w": [1.0, 3, 2, 2],
    ...                      "g": ["a", "a", "b", "b"]})
    >>> model = ModelDesign.of(ModelSpec("y ~ (x|g) + (w|g)"), rows)
    >>> [one.split(";")[0] for one in shared_variances(model)]
    ['of 1|g and 1|g#2 only the sum of the two variances is identified']
    """
    found = [note for part in model.parts.values() for note in shared_variances(part)]
    designs = model.groups
    groups = [_partition(one, model.frame) for one in designs]
    for i, one in enumerate(designs):
        for j in range(i):
            other = designs[j]
            both = [effect for effect in other.effects if effect in one.effects]
            if not both or not _same(groups[i], groups[j]):
                continue
            names = [dict(zip(d.effects, d.terms, strict=True)) for d in (other, one)]
            of_part = f"{model.name}_" if isinstance(model, PartDesign) else ""
            found += [
                f"of {of_part}{names[0][effect]} and {of_part}{names[1][effect]} only the sum of "
                "the two variances is identified; the split between them comes from the priors"
                for effect in both
            ]
    return found


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _partition(one: GroupDesign, used: pd.DataFrame) -> np.ndarray | None:
    """Numbers (rows,) of the groups of rows as they appear; None where a row is not of one."""
    codes = one.codes(used)
    whole = codes.shape[1] == 1 and one.within is None
    return pd.factorize(codes[:, 0])[0] if whole else None
