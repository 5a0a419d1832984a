"""What separates the responses, so that the size of its effect is a matter of the priors.

Where all rows of a level have the highest response, or a number is larger in all rows of the one
response than in any of the other, the likelihood of an effect rises for ever with its size (Albert
and Anderson 1984, Biometrika 71(1): complete and quasi-complete separation). Proper priors still
give a posterior; how far from zero it is, they say.
"""

import numpy as np
import pandas as pd

from causalbias.inference.problem import IntArray
from causalbias.models.fitted import ModelDesign
from causalbias.models.specification import row_counts, trials_of

NAMED = 3  # cells that are named; the others are counted
HOW = "(separation): the data say that the effect is large, and only the priors how large"


def separation(model: ModelDesign) -> list[str]:
    """What is to be said of columns that separate binary, binomial or ordered responses.

    Examples
    --------
    >>> from causalbias.models.specification import ModelSpec
    >>> rows = pd.DataFrame({"y": [0, 1, 1, 1], "race": list("aabb"), "x": [0.0, 3, 1, 2]})
    >>> for formula in ("y ~ race", "y ~ x"):
    ...     model = ModelDesign.of(ModelSpec(formula, "bernoulli"), rows)
    ...     print(separation(model)[0].split(" (")[0])
    all 2 rows of race b have the response 1
    x is larger in all rows of response 1 than in any of 0
    """
    ends = _ends(model)
    if ends is None:
        return []
    end, labels = ends
    counts = row_counts(model.spec, model.frame)
    if (end == end[0]).all() and end[0] >= 0:
        return [f"all responses are {labels[end[0]]} {HOW}"]
    cells: dict[str, str] = {}
    for names, kind in _terms(model).items():
        if kind == "number":
            cells |= _by_number(model.frame[names[0]], end, labels)
        else:
            cells |= _by_cell(model.frame[list(names)], end, counts, labels, cells)
    some = [f"{one} {HOW}" for one in list(cells.values())[:NAMED]]
    more = len(cells) - len(some)
    return some + ([f"so do {more:,} more cells"] if more else [])


def _ends(model: ModelDesign) -> tuple[IntArray, list[str]] | None:
    """Whether rows have the lowest response (0), the highest (1) or another (-1), and their names.

    None of other families.
    """
    y, family = model.response_values, model.family
    if family.has_trials:
        trials = trials_of(model.spec, model.frame)
        assert trials is not None
        low, high, labels = y[:, 0] == 0, y[:, 0] == trials, ["0", "equal to the trials"]
    elif family.binary:
        low, high, labels = y == 0, y == 1, ["0", "1"]
    elif family.has_thresholds:
        sets = model.threshold_sets
        most = model.n_cuts if sets is None else np.array(sets.sizes)[sets.codes(model.frame)]
        low, high = y == 0, y == most
        labels = [str(model.categories[0]), str(model.categories[-1])]
    else:
        return None
    return np.where(low, 0, np.where(high, 1, -1)), labels


def _terms(model: ModelDesign) -> dict[tuple[str, ...], str]:
    """Columns of the population's terms that are of cells or of one number; main effects first."""
    found: dict[tuple[str, ...], str] = {}
    of_levels = {
        next(iter(term.var_names))
        for term in model.common_terms.values()
        if term.kind == "categoric" and len(term.var_names) == 1
    }
    for term in model.common_terms.values():
        names = tuple(sorted(getattr(term, "var_names", ())))
        if names and of_levels.issuperset(names):
            found[names] = "cell"
        elif len(names) == 1 and term.kind == "numeric":
            found[names] = "number"
    return dict(sorted(found.items(), key=lambda one: len(one[0])))


def _by_number(values: pd.Series, end: IntArray, labels: list[str]) -> dict[str, str]:
    """A number that is larger, or smaller, in all rows of the highest response than in others."""
    x = values.to_numpy(float)
    own, rest = x[end == 1], x[end != 1]
    if not len(own) or not len(rest):
        return {}
    other = labels[0] if (end >= 0).all() else "another"
    for word, apart in (("larger", own.min() > rest.max()), ("smaller", own.max() < rest.min())):
        if apart:
            what = f"{word} in all rows of response {labels[1]} than in any of {other}"
            return {str(values.name): f"{values.name} is {what}"}
    return {}


def _by_cell(
    frame: pd.DataFrame,
    end: IntArray,
    counts: np.ndarray,
    labels: list[str],
    known: dict[str, str],
) -> dict[str, str]:
    """Cells whose rows all have the same end, without those of a larger cell that has."""
    found = {}
    rows = frame.assign(end=end, n=counts)
    names = list(frame)
    for key, part in rows.groupby(names, observed=True, sort=True):
        first = int(part["end"].iloc[0])
        where = [f"{name} {one}" for name, one in zip(names, key, strict=True)]
        if first >= 0 and (part["end"] == first).all() and not set(where) & set(known):
            n = int(part["n"].sum())
            found[", ".join(where)] = (
                f"all {n:,} rows of {', '.join(where)} have the response {labels[first]}"
            )
    return found
