"""Sample genuine pairs that differ in a single attribute, and impostor pairs matched in all."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalbias.arguments import generator, names_in, whole_in
from causalbias.draws.estimate import check_names
from causalbias.errors import DataError
from causalbias.models.levels import canonical
from causalbias.study.columns import as_texts, labels
from causalbias.study.rows import blank, check_present, check_rows
from causalbias.study.tables import check_columns, check_unique, with_index

MADE = ("pair", "stimulus_a", "stimulus_b", "kind", "varies")


def sample_pairs(
    faces: pd.DataFrame,
    *,
    group: str | Sequence[str] = (),
    identity: str = "seed",
    genuine: int | None = None,
    impostors: int | None = None,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Sample pairs evenly over groups, conditions and seeds.

    Parameters
    ----------
    faces : DataFrame
        `stimulus` and the factors, which are all other columns except `image` and `present`. With
        the factors `attribute` and `level` (one attribute changed at a time), the members of a pair
        have the same attribute, since faces with different attributes differ in both. They also
        have the same `generator`, since equal seeds of two generators are different persons.
    group : str or sequence of str
        Factors that the members of all pairs share, such as race and gender.
    identity : str, default "seed"
        The factor that identifies a person.
    genuine : int, optional
        Number of pairs with the same identity and group that differ in exactly one further factor,
        for each group and each two levels of this factor; by default all such pairs.
    impostors : int, optional
        Number of pairs with different identities and equal group and further factors, for each
        combination of these; by default its number of faces. Within a combination, the numbers of
        pairs of the seeds differ by at most 1.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    DataFrame
        `pair`, `stimulus_a`, `stimulus_b`, `kind` ("genuine", "impostor"), `varies` (the factor
        that differs, "" for impostors), the factors of the group and the other matched factors.
        A stratum with fewer pairs than requested contributes all of its pairs.

    Raises
    ------
    DataError
        If a factor or a value is missing, a face is not `present`, two faces have one name or are
        in the same cell, a number of pairs is negative, a factor of the group is named as a column
        of the result, or there is no pair.

    Examples
    --------
    >>> import causalbias as cb
    >>> faces = cb.design.full({"seed": range(4), "race": ["a", "b"], "pose": [0, 1]})
    >>> pairs = sample_pairs(faces, group=["race"], genuine=3, impostors=2)
    >>> pairs.groupby(["kind", "race"]).size().tolist()
    [3, 3, 4, 4]
    """
    group = list(names_in(group, "group"))
    for name, number in (("genuine", genuine), ("impostors", impostors)):
        if number is not None:
            whole_in(number, name)
    faces = with_index(faces, "faces")
    check_columns(faces, ["stimulus", identity, *group], file="faces")
    factors = [str(name) for name in faces if name not in ("stimulus", "image", "present")]
    if "present" in faces:
        check_present(faces["present"], file="faces")
    check_rows(
        [
            (name, "the value is missing", blank(faces[name]), "fill it in")
            for name in ("stimulus", *factors)
        ],
        file="faces",
    )
    check_unique(faces, ["stimulus"], file="faces")
    stimulus = as_texts(labels(faces["stimulus"], file="faces"))
    given = faces
    # As `fit` reads them: 1 and "1", or "a" and "a ", are no two levels and no two persons.
    faces = pd.DataFrame(
        {
            name: labels(given[name], file="faces") if name == identity else canonical(given[name])
            for name in factors
        }
    )
    check_unique(faces, factors, file="faces")
    moved_alone = ["attribute"] if {"attribute", "level"} <= set(factors) else []
    held = list(dict.fromkeys([*group, *moved_alone, *({"generator"} & set(factors))]))
    check_names(held, MADE)
    free = [name for name in factors if name not in (*held, identity)]
    random = generator(random_seed)
    parts = [
        _genuine(faces, identity, held, free, name, genuine, random)
        for name in free
        if genuine != 0
    ]
    if impostors != 0:
        parts.append(_impostors(faces, [*held, *free], impostors, random))
    rows = np.concatenate([part[0] for part in parts]) if parts else np.empty((0, 2), int)
    if not len(rows):
        raise DataError(
            f"no two faces make a pair, with the factors {', '.join(factors)}",
            hint=f"ask for some pairs, of faces that differ only in {identity} or in one other "
            "factor; leave out columns that are not factors",
            file="faces",
        )
    a, b = stimulus[rows[:, 0]], stimulus[rows[:, 1]]
    varies = np.concatenate([np.repeat(part[1], len(part[0])) for part in parts])
    return pd.DataFrame(
        {
            "pair": np.char.add(np.char.add(a, "~"), b),
            "stimulus_a": a,
            "stimulus_b": b,
            "kind": np.where(varies == "", "impostor", "genuine"),
            "varies": varies,
            **{name: given[name].to_numpy()[rows[:, 0]] for name in held},
        }
    )


def _genuine(
    faces: pd.DataFrame,
    identity: str,
    held: list[str],
    free: list[str],
    varied: str,
    wanted: int | None,
    random: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """Sample pairs that differ only in `varied`, by group and levels: rows (pair, 2)."""
    matched = [identity, *held, *(name for name in free if name != varied)]
    found = []
    for rows in faces.groupby(matched, sort=False).indices.values():
        rows = np.asarray(rows)
        a, b = np.triu_indices(len(rows), k=1)
        found.append(np.column_stack([rows[a], rows[b]]))
    every = np.concatenate(found) if found else np.empty((0, 2), int)
    if wanted is None or not len(every):
        return every, varied
    first = faces.iloc[every[:, 0]]
    # Levels of both faces without their order, which is that of the rows.
    levels = np.sort(pd.factorize(faces[varied])[0][every], axis=1)
    codes = [pd.factorize(first[name])[0] for name in held]
    stratum = pd.DataFrame(np.column_stack([*codes, levels]))
    chosen = []
    for rows in stratum.groupby(list(stratum), sort=False).indices.values():
        seeds = first[identity].to_numpy()[rows]
        chosen.append(np.asarray(rows)[_evenly(seeds, wanted, random)])
    return every[np.sort(np.concatenate(chosen))], varied


def _evenly(labels: np.ndarray, wanted: int, random: np.random.Generator) -> np.ndarray:
    """Sample positions of at most `wanted` entries, with labels as equally often as possible."""
    order = random.permutation(len(labels))
    turn = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    return order[np.argsort(turn, kind="stable")][:wanted]


def _impostors(
    faces: pd.DataFrame,
    matched: list[str],
    wanted: int | None,
    random: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """Sample pairs of different identities that are equal in `matched`: rows (pair, 2)."""
    cells = (
        faces.groupby(matched, sort=False).indices.values() if matched else [np.arange(len(faces))]
    )
    found = [np.empty((0, 2), int)]
    for rows in cells:
        n = len(rows)
        asked = n if wanted is None else wanted
        ring = np.asarray(rows)[random.permutation(n)]
        # Neighbours at distance 1, 2, ... on a ring: no pair occurs twice, and each face is in two
        # pairs per distance.
        rounds = [
            np.column_stack([ring, np.roll(ring, -step)])[: n // 2 if 2 * step == n else n]
            for step in range(1, min(n // 2, asked // max(n, 1) + 1) + 1)
        ]
        if rounds:
            found.append(np.concatenate(rounds)[:asked])
    return np.sort(np.concatenate(found), axis=1), ""
