"""What the groups of a study hold: their dims, variables and types, and labels of other groups."""

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.study.tree import factors_of, group_of

# group: (required dims, required coordinates and variables); /stimuli has the factors as dims.
CONTRACT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stimuli": ((), ("stimulus", "present")),
    "pairs": (("pair",), ("pair", "stimulus_a", "stimulus_b", "same_identity", "varies")),
    "machine": (("system", "pair"), ("system", "pair", "distance", "status")),
    "embeddings": (
        ("system", "stimulus", "feature"),
        ("system", "stimulus", "embedding", "status"),
    ),
    "human": (("judgement",), ("score", "question")),
    "questions": (("question",), ("question", "low", "high")),
}
# What is computed with, or selects. Text is neither, nor is 0 a "no": a study that was changed by
# hand may hold either in its place.
NUMBERS = {
    "machine": ("distance", "threshold"),
    "embeddings": ("embedding", "threshold"),
    "human": ("score",),
    "questions": ("low", "high"),
}
TRUTHS = {"stimuli": ("present",), "pairs": ("same_identity",)}


def check_contents(study: xr.DataTree, group: str) -> None:
    """Refuse a group without its dims and variables, or with others than numbers or truth values.

    Names, types and indexes are looked at, so that lazy arrays stay where they are.

    Raises
    ------
    DataError
        With the variable.

    Examples
    --------
    >>> human = xr.Dataset({"score": ("judgement", ["1", "2"]), "question": ("judgement", [*"aa"])})
    >>> check_contents(xr.DataTree.from_dict({"human": human}), "human")
    Traceback (most recent call last):
    causalbias.errors.DataError: /human, column 'score': these are no numbers, but of type <U1. \
Hint: convert them: .astype(float).
    """
    if group not in CONTRACT:
        return
    node = group_of(study, group)
    dims, variables = CONTRACT[group]
    if group == "stimuli":
        dims, variables = tuple(factors_of(study)), (*factors_of(study), *variables)
    if group == "pairs":
        variables += tuple(f"{name}_{side}" for name in factors_of(study) for side in "ab")
    for kind, wanted, found in (
        ("dim", dims, list(node.sizes)),
        ("variable", variables, list(node.variables)),
    ):
        for name in wanted:
            if name not in found:
                raise DataError(
                    f"there is no {kind} {name!r}; found {', '.join(map(str, found))}",
                    hint=f"the group /{group} needs {kind}s {', '.join(wanted)}",
                    file=f"/{group}",
                )
    for name in dims:
        if name in node.coords:
            check_once(pd.Index(node[name].values), group, name)
    for held, kinds, what, hint in (
        (NUMBERS, "iuf", "numbers", "convert them: .astype(float)"),
        (TRUTHS, "b", "truth values", "convert them: numbers by == 1, text by == 'True'"),
    ):
        for name in held.get(group, ()):
            if name in node and node[name].dtype.kind not in kinds:
                raise DataError(
                    f"these are no {what}, but of type {node[name].dtype}",
                    hint=hint,
                    file=f"/{group}",
                    column=name,
                )


def check_once(labels: pd.Index, group: str, column: str) -> None:
    """Refuse a label that a group has twice.

    Raises
    ------
    DataError
        With the label.
    """
    if not labels.is_unique:
        raise DataError(
            f"{shown(labels[labels.duplicated()][0])} occurs more than once",
            hint="give every label once",
            file=f"/{group}",
            column=column,
        )


def check_labels(values: np.ndarray, known: pd.Index, group: str, column: str, other: str) -> None:
    """Refuse labels that the group to which they refer does not have.

    Raises
    ------
    DataError
        With the first of them, and their number.
    """
    unknown = ~pd.Index(values).isin(known)
    if unknown.any():
        raise DataError(
            f"{shown(values[unknown][0])} is not in /{other} ({int(unknown.sum()):,} such labels)",
            hint=f"add it to /{other} or remove it here",
            file=f"/{group}",
            column=column,
        )
