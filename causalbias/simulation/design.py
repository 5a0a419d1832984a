"""Faces and pairs of a simulated study."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalbias.datasets.causalface.layout import PROTOTYPE, Design, render_paths, stimulus_ids
from causalbias.errors import DataError


@dataclass(frozen=True)
class Conditions:
    """The conditions of the design: one per attribute and level, and the prototype as the last.

    Attributes
    ----------
    attribute : ndarray of str (condition,)
        Attribute that was changed.
    level : ndarray of float (condition,)
        Level of this attribute.
    moved : ndarray (condition, attribute)
        Change of each attribute from its reference level, in units of `level`.
    reference : ndarray of int (condition,)
        Index of the condition with the reference level of the same attribute.
    attributes : tuple of str
        Names of the attributes.
    """

    attribute: np.ndarray
    level: np.ndarray
    moved: np.ndarray
    reference: np.ndarray
    attributes: tuple[str, ...]

    @property
    def n_rendered(self) -> int:
        """Number of conditions without the prototype."""
        return len(self.level) - 1

    def rendered(self, leak: Mapping[str, Mapping[str, float]] | None) -> np.ndarray:
        """Return `moved` including the changes that leak into other attributes."""
        mixing = np.eye(len(self.attributes))
        for source, targets in (leak or {}).items():
            for target, share in targets.items():
                for name in (source, target):
                    if name not in self.attributes:
                        raise DataError(
                            f"the leak names {name!r}", hint=f"use {', '.join(self.attributes)}"
                        )
                mixing[self.attributes.index(source), self.attributes.index(target)] = share
        return self.moved @ mixing


def conditions(design: Design) -> Conditions:
    """Make the conditions of a design from its attributes and levels."""
    attributes = tuple(sorted(design.levels))
    attribute = [name for name in attributes for _ in design.levels[name]]
    level = [float(one) for name in attributes for one in sorted(design.levels[name])]
    moved = np.zeros((len(level) + 1, len(attributes)))
    reference = np.arange(len(level) + 1)
    for at, name in enumerate(attributes):
        rows = np.array([i for i, one in enumerate(attribute) if one == name])
        origin = design.reference(name)
        moved[rows, at] = np.array(level)[rows] - origin
        reference[rows] = rows[np.array(level)[rows] == origin][0]
    return Conditions(
        np.array([*attribute, PROTOTYPE]), np.array([*level, 0.0]), moved, reference, attributes
    )


def render_faces(
    design: Design, layout: Conditions, seeds: int, missing: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Make the faces of every seed, race, gender and condition, without the missing renders.

    Returns
    -------
    faces : DataFrame
        `stimulus`, `seed`, `race`, `gender`, `attribute`, `level`, `image`, and the integer codes
        `person` (seed, race, gender) and `condition`.
    row_of : ndarray of int (seed, race, gender, condition)
        Row of each face in `faces`; -1 if its render is missing.
    """
    pool = max(90_000, 9 * seeds)
    names = np.sort(rng.choice(pool, size=seeds, replace=False)) + 10_000
    shape = (seeds, len(design.races), len(design.genders), len(layout.level))
    there = rng.random(shape) >= missing
    # References are never missing, as each is the partner of all other levels; nor are prototypes,
    # which are not renders.
    kept = layout.reference == np.arange(len(layout.level))
    there[..., kept] = True
    seed, race, gender, condition = np.nonzero(there)
    faces = pd.DataFrame(
        {
            "seed": pd.Series(names[seed]).astype(str),
            "race": np.array(design.races)[race],
            "gender": np.array(design.genders)[gender],
            "attribute": layout.attribute[condition],
            "level": layout.level[condition],
        }
    )
    faces.insert(0, "stimulus", stimulus_ids(faces))
    faces["image"] = render_paths(faces)
    people = np.ravel_multi_index((seed, race, gender), shape[:3])
    faces = faces.assign(person=people, condition=condition)
    row_of = np.full(shape, -1)
    row_of[there] = np.arange(len(faces))
    return faces, row_of


def form_pairs(
    layout: Conditions, row_of: np.ndarray, impostors: int, rng: np.random.Generator
) -> np.ndarray:
    """Form the pairs; pairs with a missing render are left out.

    The genuine pairs are each level with the reference level of its attribute, and the reference of
    the first attribute with those of the others (renders of the same face). An impostor pair is the
    reference of one seed with any level of another seed, of the same race, gender and attribute.
    Each seed, race and gender has `impostors` impostor pairs, and no pair occurs twice.

    Returns
    -------
    ndarray of int (pair, 2)
        Rows of the faces.
    """
    n, reference = layout.n_rendered, layout.reference[:-1]
    origins = np.unique(reference)
    changed = np.setdiff1d(np.arange(n), origins)
    first = np.concatenate([reference[changed], np.repeat(origins[0], len(origins) - 1)])
    second = np.concatenate([changed, origins[1:]])
    genuine = np.stack([row_of[..., first], row_of[..., second]], axis=-1).reshape(-1, 2)
    seeds, races, genders, _ = row_of.shape
    # A pair of two references has no order, so that only half of the other seeds are taken.
    every = [(step, c) for c in changed for step in range(1, seeds)]
    every += [(step, c) for c in origins for step in range(1, (seeds + 1) // 2)]
    if impostors > len(every):
        raise DataError(
            f"{impostors} impostor pairs per face, but {seeds} seeds give only {len(every)}",
            hint="ask for fewer impostors, or more seeds",
        )
    who = np.indices((seeds, races, genders)).reshape(3, -1)
    picked = _distinct(len(every), impostors, who.shape[1], rng)
    step, condition = np.array(every or [(0, 0)]).T
    partner = (who[0][:, None] + step[picked]) % seeds
    other = [np.broadcast_to(axis[:, None], picked.shape) for axis in who[1:]]
    first_seed = np.broadcast_to(who[0][:, None], picked.shape)
    a = row_of[first_seed, *other, reference[condition[picked]]]
    b = row_of[partner, *other, condition[picked]]
    impostor = np.stack([a, b], axis=-1).reshape(-1, 2)
    both = np.concatenate([genuine, impostor])
    return both[(both >= 0).all(axis=1)]


def _distinct(n: int, k: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw k distinct integers below n for each row, by arithmetic walks modulo n: (rows, k)."""
    if k == 0:
        return np.zeros((rows, 0), dtype=int)
    strides = np.flatnonzero(np.gcd(np.arange(n), n) == 1) if n > 1 else np.array([1])
    start = rng.integers(n, size=(rows, 1))
    return (start + rng.choice(strides, size=(rows, 1)) * np.arange(k)) % n
