"""Full, one-at-a-time, fractional and incomplete block designs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from causalbias.arguments import described, generator, whole_in
from causalbias.design.estimability import common_matrix
from causalbias.errors import DataError
from causalbias.io.memory import check_memory

Levels = Sequence[object] | range
SWAPS = 40_000  # largest number of swaps that are tried for an incomplete block design
RESTARTS = 4
MADE = ("stimulus", "attribute", "level")  # columns that the functions of this module add


def full(factors: Mapping[str, Levels]) -> pd.DataFrame:
    """Make a full factorial design: every combination of the factors' levels.

    Parameters
    ----------
    factors : mapping of factor to its levels
        Such as ``{"seed": range(20), "race": ["asian", "black"], "pose": [-1, 0, 1]}``.

    Returns
    -------
    DataFrame
        `stimulus` (the levels joined by ``_``) and one column per factor.

    Raises
    ------
    DataError
        If there are no factors, a factor has no levels, a repeated or a missing level, or two faces
        would have the same name.

    Examples
    --------
    >>> full({"seed": range(2), "pose": [0, 1]})
      stimulus  seed  pose
    0      0_0     0     0
    1      0_1     0     1
    2      1_0     1     0
    3      1_1     1     1
    """
    check_levels(factors, reserved=MADE[:1])
    _check_size(factors, 1)
    frame = pd.DataFrame(list(product(*factors.values())), columns=list(factors))
    return with_stimulus(frame)


def one_at_a_time(
    groups: Mapping[str, Levels],
    attributes: Mapping[str, Sequence[float]],
) -> pd.DataFrame:
    """Make a design in which faces change in one attribute at a time, as in CausalFace and OMI.

    Parameters
    ----------
    groups : mapping of factor to its levels
        Seeds and the factors crossed with them, such as ``{"seed": range(20), "race": [...]}``.
    attributes : mapping of attribute to its levels
        The levels of an attribute should include its reference level, which leaves the face
        unchanged.

    Returns
    -------
    DataFrame
        `stimulus`, the factors of `groups`, `attribute`, `level`.

    Raises
    ------
    DataError
        As in `full`, and if an attribute is also a factor of `groups`.

    Examples
    --------
    >>> one_at_a_time({"seed": [7]}, {"age": [0, 1], "pose": [0]})["stimulus"].tolist()
    ['7_age_0', '7_age_1', '7_pose_0']
    """
    check_levels(groups, reserved=(*MADE, *attributes))
    check_levels(attributes)
    moves = [(name, level) for name, levels in attributes.items() for level in levels]
    _check_size(groups, len(moves))
    rows = [(*cell, *move) for cell, move in product(product(*groups.values()), moves)]
    return with_stimulus(pd.DataFrame(rows, columns=[*groups, "attribute", "level"]))


def fraction(cells: pd.DataFrame, formula: str, runs: int, *, random_seed: int = 0) -> pd.DataFrame:
    """Choose a D-optimal fraction of a design for a model.

    The fraction maximises the determinant of X'X. It is found by Fedorov's exchange algorithm
    (1972, *Theory of Optimal Experiments*) from several random starts, with each cell at most once.
    For two-level factors and a power of two of runs, the result is a regular fraction where this
    is optimal.

    Parameters
    ----------
    cells : DataFrame
        The cells from which to choose, such as the result of `full`.
    formula : str
        The common terms, without a response, such as ``"race*gender + pose + C(seed)"``. Without
        ``C()``, numeric seeds would have a slope. Group terms ``(1|seed)`` do not enter the
        criterion.
    runs : int
        Number of cells to choose.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    DataFrame
        The chosen rows, in the order of `cells`.

    Raises
    ------
    DataError
        If there are fewer runs than coefficients, fewer cells than runs, or the model is not
        estimable from all cells.

    Examples
    --------
    >>> cells = full({"a": [-1, 1], "b": [-1, 1], "c": [-1, 1]})
    >>> half = fraction(cells, "a + b + c", 4)
    >>> (half["a"] * half["b"] * half["c"]).nunique()
    1
    """
    whole_in(runs, "runs", 1)
    x, names = common_matrix(formula, cells)
    if not x.shape[1] <= runs <= len(cells):
        raise DataError(
            f"{runs} runs for {x.shape[1]} coefficients and {len(cells)} cells",
            hint="give at least as many runs as coefficients, and at most as many as cells",
        )
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise DataError(
            f"not all of {', '.join(names)} are estimable from all cells",
            hint="leave out a term, or add levels",
        )
    q, _ = np.linalg.qr(x)  # the criterion does not depend on the basis
    random = generator(random_seed)
    found = [_exchange(q, random.choice(len(q), runs, replace=False)) for _ in range(RESTARTS)]
    best = max(found, key=lambda rows: np.linalg.slogdet(q[rows].T @ q[rows])[1])
    return cells.iloc[np.sort(best)].reset_index(drop=True)


def _exchange(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Exchange rows for others as long as this increases det X'X."""
    rows = rows.copy()
    little = 1e-6 / len(x)  # makes X'X of a singular start invertible
    moved = True
    while moved:
        moved = False
        for at in range(len(rows)):
            inverse = np.linalg.inv(x[rows].T @ x[rows] + little * np.eye(x.shape[1]))
            to_all = x @ inverse
            spread = np.einsum("ij,ij->i", to_all, x)
            cross = to_all @ x[rows[at]]
            gain = (1 + spread) * (1 - spread[rows[at]]) + cross**2 - 1
            gain[rows] = -np.inf
            if gain.max() > 1e-8:
                rows[at] = int(gain.argmax())
                moved = True
    return rows


def incomplete_blocks(
    treatments: Sequence[object], *, blocks: int, size: int, random_seed: int = 0
) -> pd.DataFrame:
    """Make an incomplete block design in which pairs of treatments occur together equally often.

    Blocks are units that can have only some of the treatments, such as annotators, who can judge
    only some of the conditions.

    Parameters
    ----------
    treatments : sequence
        The conditions.
    blocks, size : int
        Number of blocks, and number of different treatments per block.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    DataFrame
        `block` (from 0) and `treatment`. If a small balanced design exists, it is found; otherwise
        the concurrences are as equal as the search achieves. `report` evaluates the design with
        ``"C(treatment) + C(block)"``.

    Raises
    ------
    DataError
        If the size is below 2 or above the number of different treatments.

    Examples
    --------
    >>> plan = incomplete_blocks(list("abcdefg"), blocks=7, size=3)
    >>> together = pd.crosstab(plan["block"], plan["treatment"])
    >>> set((together.T @ together).to_numpy()[np.triu_indices(7, 1)].tolist())
    {1}
    """
    whole_in(blocks, "blocks", 1), whole_in(size, "size", 2)
    treatments = list(treatments)
    v = len(treatments)
    if not 1 < size <= v or len(set(treatments)) < v or pd.isna(treatments).any():
        raise DataError(
            f"blocks of {size} cannot be made from {v} treatments",
            hint="give distinct treatments, and a size from 2 to their number",
        )
    random = generator(random_seed)
    whole, rest = divmod(blocks * size * (size - 1) // 2, v * (v - 1) // 2)
    best_possible = v * (v - 1) // 2 * whole**2 + rest * (2 * whole + 1)
    best, least = None, np.inf
    for _ in range(RESTARTS):
        plan, worth = _anneal(_deal(v, blocks, size, random), v, best_possible, random)
        if worth < least:
            best, least = plan, worth
        if least <= best_possible:
            break
    assert best is not None
    order = random.permuted(best, axis=1)
    return pd.DataFrame(
        {
            "block": np.repeat(np.arange(blocks), size),
            "treatment": [treatments[int(at)] for at in order.ravel()],
        }
    )


def _deal(v: int, blocks: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Assign treatments (blocks, size) equally often, and none twice in a block."""
    used = np.zeros(v)
    plan = np.empty((blocks, size), int)
    for row in plan:
        row[:] = np.lexsort((random.random(v), used))[:size]
        used[row] += 1
    return plan


def _anneal(
    plan: np.ndarray, v: int, best_possible: int, random: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Swap treatments between two blocks to reduce the sum of squared concurrences."""
    together = np.zeros((v, v))
    for row in plan:
        together[np.ix_(row, row)] += 1
    np.fill_diagonal(together, 0)
    worth = (together**2).sum() / 2
    tries = SWAPS // RESTARTS if len(plan) > 1 else 0
    heat = np.linspace(1.5, 0.0, max(tries, 1))
    for t in range(tries):
        if worth <= best_possible:
            break
        i, j = random.choice(len(plan), 2, replace=False)
        a, b = random.integers(plan.shape[1], size=2)
        x, y = plan[i, a], plan[j, b]
        if x in plan[j] or y in plan[i]:
            continue
        mates, others = np.delete(plan[i], a), np.delete(plan[j], b)
        before = worth
        for one, with_, change in ((x, mates, -1), (y, others, -1), (y, mates, 1), (x, others, 1)):
            worth += (2 * change * together[one, with_] + 1).sum()
            together[one, with_] += change
            together[with_, one] += change
        if worth <= before or random.random() < np.exp(-(worth - before) / max(heat[t], 1e-9)):
            plan[i, a], plan[j, b] = y, x
            continue
        for one, with_, change in ((x, mates, 1), (y, others, 1), (y, mates, -1), (x, others, -1)):
            together[one, with_] += change
            together[with_, one] += change
        worth = before
    return plan, float(worth)


def _check_size(factors: Mapping[str, Levels], moves: int) -> None:
    faces = math.prod([moves, *(len(levels) for levels in factors.values())])
    check_memory(
        float(faces) * (len(factors) + 3),
        f"{faces:,} faces",
        "leave out levels, or take fraction() of a smaller design",
        each=80,
    )


def check_levels(factors: Mapping[str, Levels], reserved: Sequence[str] = ()) -> None:
    """Refuse no factors, no, missing or repeated levels, and names that the design needs."""
    if not factors:
        raise DataError("there are no factors", hint="give at least one, with its levels")
    for name, levels in factors.items():
        if name in reserved:
            raise DataError("the design has a column of this name", hint="rename it", column=name)
        if isinstance(levels, str) or not isinstance(levels, Iterable):
            raise DataError(
                f"its levels are {described(levels)}",
                hint=f"give a list of levels: {{{name!r}: [0, 1]}}",
                column=name,
            )
        some = pd.Series(list(levels), dtype=object)
        if some.empty or some.isna().any() or some.duplicated().any():
            raise DataError(
                f"levels {list(levels)}", hint="give each level once, and at least one", column=name
            )


def with_stimulus(frame: pd.DataFrame) -> pd.DataFrame:
    """Insert `stimulus`, all columns joined by ``_``."""
    named = frame.astype(str).agg("_".join, axis=1)
    twice = named.duplicated()
    if twice.any():
        raise DataError(
            f"two faces would be called {named[twice].iloc[0]!r}",
            hint="rename levels so that joined by _ they differ",
        )
    frame.insert(0, "stimulus", named)
    return frame
