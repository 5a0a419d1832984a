"""Whether data can tell the spread of group effects: refused in advance where they cannot."""

import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.models.formula import proportion
from causalbias.models.group_design import GroupDesign, group_designs
from causalbias.models.spec import ModelSpec, row_counts, row_precisions

# What a level's effect on its only observation cannot be told from.
NOISE = {
    "gaussian": "sigma",
    "beta": "the noise of single answers (kappa)",
    "bernoulli": "the chance of the answer itself",
    "binomial": "the chance of the answer itself",
    "cumulative": "the noise of single answers",
}


def check_identified(spec: ModelSpec, used: pd.DataFrame) -> None:
    """Refuse group terms of whose standard deviations the data can say nothing.

    A factor of one level; one whose levels have one observation each, so that a level's effect is
    one with the noise; Gaussian: a term with as many effects as there are observations, as lme4
    refuses it. A row of several observations (`counts`, trials) tells them apart, as do weights
    that differ.

    Raises
    ------
    DataError
        Naming the term, and what its standard deviation cannot be told from.
    """
    observations = _observations(spec, used)
    precision = row_precisions(spec, used)
    weighed = precision is not None and len(np.unique(precision)) > 1
    for one in group_designs(spec.formula, used):
        term = f"({' + '.join(one.effects)}|{one.factor})"
        if len(one.levels) == 1:
            raise DataError(
                f"the grouping factor {one.factor!r} has one level, {str(one.levels[0])!r}: of a "
                "spread between levels the data say nothing",
                mend=f"leave {term} out",
            )
        codes = one.codes(used)
        if codes.shape[1] == 1:
            most = np.bincount(codes[:, 0], observations).max()
        else:  # a level may be both of a row's members
            rows = np.repeat(np.arange(len(codes)), codes.shape[1])
            pairs = np.unique(np.column_stack([codes.ravel(), rows]), axis=0)
            most = np.bincount(pairs[:, 0], observations[pairs[:, 1]]).max()
        if most == 1 and not weighed:
            raise DataError(
                f"each level of {one.factor!r} has one observation: nothing in the data tells the "
                f"standard deviation of {term} from {NOISE[spec.family]}",
                mend=f"leave {term} out, or give rows that share a level of {one.factor}",
            )
        effects, total = len(one.levels) * sum(one.sizes()), observations.sum()
        plain = spec.family == "gaussian" and not weighed and codes.shape[1] == 1
        if plain and effects >= total:
            raise DataError(
                f"{term} has {effects:,} effects, and there are {total:,.0f} observations: their "
                "standard deviations cannot be told from sigma",
                mend=f"let fewer effects vary, as (1|{one.factor})",
            )


def _observations(spec: ModelSpec, used: pd.DataFrame) -> np.ndarray:
    """Observations (rows,) of each row: its count, times its trials."""
    counts = row_counts(spec, used)
    if spec.family != "binomial":
        return counts
    trials = proportion(spec.formula)[1]
    return counts * (used[trials].to_numpy(float) if isinstance(trials, str) else float(trials))


def shared_variances(spec: ModelSpec, used: pd.DataFrame) -> list[str]:
    """What is to be said of effects that several terms give the same groups of rows.

    Examples
    --------
    >>> rows = pd.DataFrame({"y": [1.0, 2, 3, 5], "x": [0.5, 1, 2, 3], "w": [1.0, 3, 2, 2],
    ...                      "g": ["a", "a", "b", "b"]})
    >>> shared_variances(ModelSpec("y ~ (x|g) + (w|g)"), rows)
    ['the data tell the sum of the variances of 1|g and 1|g#2, and only priors tell them apart']
    """
    designs = group_designs(spec.formula, used)
    groups = [_partition(one, used) for one in designs]
    found = []
    for i, one in enumerate(designs):
        for j in range(i):
            other = designs[j]
            both = [effect for effect in other.effects if effect in one.effects]
            if not both or not _same(groups[i], groups[j]):
                continue
            names = [dict(zip(d.effects, d.terms, strict=True)) for d in (other, one)]
            found += [
                f"the data tell the sum of the variances of {names[0][effect]} and "
                f"{names[1][effect]}, and only priors tell them apart"
                for effect in both
            ]
    return found


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _partition(one: GroupDesign, used: pd.DataFrame) -> np.ndarray | None:
    """Numbers (rows,) of the groups of rows as they appear; None where a row has several."""
    codes = one.codes(used)
    return pd.factorize(codes[:, 0])[0] if codes.shape[1] == 1 else None
