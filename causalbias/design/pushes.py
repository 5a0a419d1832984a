"""Faces that are pushed along several manipulations at once, so that their leaks come apart."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from causalbias.arguments import generator, names_in, number_in, whole_in
from causalbias.design.layouts import MADE, Levels, check_levels, with_stimulus
from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.io.memory import check_memory

MOST_PUSHES = 12  # there are (3^K - 1) / 2 directions
RESTARTS = 8
UNCHANGED = "unchanged"


def crossed_pushes(
    groups: Mapping[str, Levels],
    pushes: Sequence[str],
    *,
    runs: int,
    levels: Sequence[float] = (-1, 0, 1),
    leaks: pd.DataFrame | None = None,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Make a design in which faces are pushed along several manipulations at once.

    Pushed one at a time, manipulations that move nearly the same mixture of perceived attributes
    leave their effects hard to tell apart. Pushed together, once in the same and once in opposite
    directions, the mixtures differ. A *direction* pushes each manipulation by -1, 0 or 1; of all
    directions (up to their sign) `runs` are chosen, by exchange (Fedorov 1972) from several random
    starts, such that the variances of the effects of the perceived attributes, each for what single
    pushes move of it, have the least sum (A-optimality). Without `leaks` each push is taken to
    move one attribute alone, and the design is a fractional factorial or near one.

    Parameters
    ----------
    groups : mapping of factor to its levels
        Seeds and the factors crossed with them, as in `one_at_a_time`.
    pushes : sequence of str
        Names of the manipulations, 12 at most.
    runs : int
        Number of directions; as many as `pushes`, or more.
    levels : sequence of float
        How far faces go along a direction: at level 0.5 every manipulation of the direction is
        pushed by half. Level 0 is the unchanged face, one for all directions. Levels on both sides
        of zero give slopes that do not depend on it; with three or more, a bend can be seen.
    leaks : DataFrame, optional
        What a push by 1 moves: a row a manipulation (index), a column a perceived attribute, as in
        `separability`.
    random_seed : int
        Of the random starts.

    Returns
    -------
    DataFrame
        `stimulus`, the factors of `groups`, `attribute` (the direction, such as ``age+smile`` or
        ``age-smile``; missing for the unchanged face), `level`, and a column for each manipulation:
        by how much it is pushed in this face. A face is made by all of these pushes, as from
        ``latent + pushes @ directions``; with its outcome and scores the table is what
        `leak_corrected` takes.

    Raises
    ------
    DataError
        If there are fewer runs than manipulations or more than directions, levels are not numbers
        or all zero, or `leaks` lacks a manipulation or tells attributes not apart.

    Examples
    --------
    >>> import causalbias as cb
    >>> leaks = pd.DataFrame({"age": [10, 8], "smile": [8, 10]}, index=["age", "smile"])
    >>> plan = cb.design.crossed_pushes(
    ...     {"seed": [7]}, ["age", "smile"], runs=2, levels=[-1, 1], leaks=leaks
    ... )
    >>> plan[["stimulus", "attribute", "level", "age", "smile"]].values.tolist()[-2:]
    [['7_age-smile_-1', 'age-smile', -1, -1, 1], ['7_age-smile_1', 'age-smile', 1, 1, -1]]
    """
    names = list(names_in(pushes, "pushes"))
    check_levels(groups, reserved=(*MADE, *names))
    check_levels({"pushes": names})
    check_levels({name: [0] for name in names}, reserved=MADE)
    at = _levels(levels)
    if len(names) > MOST_PUSHES:
        raise DataError(
            f"{len(names)} manipulations", hint=f"cross {MOST_PUSHES} at most, the leaking ones"
        )
    directions = _directions(len(names))
    if not len(names) <= whole_in(runs, "runs", 1) <= len(directions):
        raise DataError(
            f"{runs} runs of {len(names)} manipulations",
            hint=f"give {len(names)} to {len(directions)}: the number of directions",
        )
    moved = directions @ (np.eye(len(names)) if leaks is None else _moved(leaks, names))
    chosen = directions[_choose(moved, runs, generator(random_seed))]
    cells = list(product(*groups.values()))
    faces = float(len(cells)) * (runs * len(at) + 1)
    check_memory(faces * (len(names) + 4), f"{faces:,.0f} faces", "leave out levels", each=80)
    rows: list[tuple[str, float, FloatArray]] = []
    if 0 in at:
        rows.append((UNCHANGED, 0, np.zeros(len(names))))
    rows += [(_label(one, names), level, level * one) for one in chosen for level in at if level]
    if len({one for one, *_ in rows}) < runs + (0 in at):
        raise DataError(
            f"two directions of {', '.join(names)} would have one name", hint="rename some"
        )
    frame = pd.DataFrame(
        [(*cell, *row[:2]) for cell in cells for row in rows],
        columns=[*groups, "attribute", "level"],
    )
    frame = with_stimulus(frame)
    frame["attribute"] = frame["attribute"].where(frame["attribute"] != UNCHANGED)
    pushed = np.tile(np.array([one for *_, one in rows]), (len(cells), 1))
    if (pushed == pushed.round()).all():
        pushed = pushed.astype(int)
    return frame.assign(**dict(zip(names, pushed.T, strict=True)))


def leak_matrix(leaks: object, pushes: Sequence[str]) -> pd.DataFrame:
    """Return what a push by 1 of each manipulation moves each perceived attribute, checked.

    Raises
    ------
    DataError
        If it is no table, lacks a manipulation, or a value is no finite number.
    """
    if not isinstance(leaks, pd.DataFrame) or {"attribute", "question"} <= set(leaks):
        raise DataError(
            "leaks are no matrix",
            hint="give a table with a row for each manipulation and a column for each perceived "
            'attribute; of a long one, leaks.pivot(index="attribute", columns="question", '
            'values="estimate")',
        )
    rows = list(map(str, leaks.index))
    questions = list(map(str, leaks.columns))
    for name in pushes:
        if rows.count(name) != 1:
            raise DataError(
                f"leaks have {rows.count(name)} rows of {name!r}",
                hint=f"name rows after the manipulations: {', '.join(pushes)}",
            )
    if not questions or len(set(questions)) < len(questions):
        raise DataError("leaks have no columns, or two of one name", hint="name each once")
    values = [
        [
            number_in(leaks.iloc[rows.index(name), at], f"leaks of {name} into {question}")
            for at, question in enumerate(questions)
        ]
        for name in pushes
    ]
    return pd.DataFrame(values, index=list(pushes), columns=questions)


def _levels(levels: Sequence[float]) -> list[float]:
    found = [number_in(one, "levels") for one in levels]
    if len(set(found)) < max(len(found), 2):
        raise DataError(
            f"levels {list(levels)}", hint="give two different ones or more: (-1, 0, 1)"
        )
    return [int(one) if one == int(one) else one for one in found]


def _directions(k: int) -> FloatArray:
    """All of {-1, 0, 1}^k whose first entry that is not 0 is 1, those of few pushes first."""
    whole = np.array(list(product((0, 1, -1), repeat=k)), float)
    first = np.array([one[np.flatnonzero(one)[0]] if one.any() else 0 for one in whole])
    kept = whole[first == 1]
    return kept[np.argsort(np.abs(kept).sum(axis=1), kind="stable")]


def _label(direction: FloatArray, names: Sequence[str]) -> str:
    signs = {1.0: "+", -1.0: "-"}
    return "".join(
        signs[sign] + name for sign, name in zip(direction, names, strict=True) if sign
    ).removeprefix("+")


def _moved(leaks: pd.DataFrame, names: Sequence[str]) -> FloatArray:
    """What pushes move, in units of what single ones move of each attribute."""
    moved = leak_matrix(leaks, names).to_numpy()
    size = np.sqrt((moved**2).sum(axis=0))
    if (size == 0).any() or np.linalg.matrix_rank(moved / np.where(size, size, 1)) < len(size):
        raise DataError(
            f"no pushes of {', '.join(names)} tell the {len(size)} attributes of leaks apart",
            hint="leave out an attribute that always moves with others, or add a manipulation",
        )
    return np.asarray(moved / size)


def _choose(moved: FloatArray, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of the least trace of (X'X)^-1, each at most once."""
    best, least = None, np.inf
    little = 1e-6 * np.eye(moved.shape[1])  # makes X'X of a singular start invertible
    for _ in range(RESTARTS):
        rows = _exchange(moved, rng.choice(len(moved), runs, replace=False), little)
        trace = np.trace(np.linalg.inv(moved[rows].T @ moved[rows] + little))
        if trace < least * (1 - 1e-9):
            best, least = rows, trace
    assert best is not None
    return np.sort(best)


def _exchange(moved: FloatArray, rows: np.ndarray, little: FloatArray) -> np.ndarray:
    """Exchange rows for others as long as this lowers the trace."""
    changed = True
    while changed:
        changed = False
        for at in range(len(rows)):
            rest = np.delete(rows, at)
            inverse = np.linalg.inv(moved[rest].T @ moved[rest] + little)
            to = moved @ inverse
            gain = (to**2).sum(axis=1) / (1 + (to * moved).sum(axis=1))  # Sherman and Morrison
            gain[rest] = -np.inf
            new = int(gain.argmax())
            if gain[new] > gain[rows[at]] * (1 + 1e-9):
                rows[at], changed = new, True
    return rows
