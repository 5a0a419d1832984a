"""Simulate the distances of recognition systems."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalbias.simulation.parameters import System, biases_sum, vector


@dataclass(frozen=True)
class Pairs:
    """Pairs as arrays.

    Attributes
    ----------
    table : DataFrame (pair,)
        Columns `race`, `gender`, `same_identity`.
    faces : ndarray of int (pair, 2)
        Rows of the faces.
    seed, person : ndarray of int (pair, 2)
        Codes of the members' seeds, and of their persons (seed, race, gender).
    change : ndarray (pair, attribute)
        Absolute difference between the members in each attribute, in units of `level`.
    alike : ndarray (pair,)
        Standard normal effect of the pair on how alike its members look to people.
    """

    table: pd.DataFrame
    faces: np.ndarray
    seed: np.ndarray
    person: np.ndarray
    change: np.ndarray
    alike: np.ndarray

    def shared(self, of_seed: np.ndarray, of_person: np.ndarray) -> np.ndarray:
        """Sum the effects of seeds and persons: of one member (genuine) or of both (impostor).

        The effects have columns (genuine, impostor).
        """
        each = of_seed[self.seed] + of_person[self.person]  # (pair, member, kind)
        same = self.table["same_identity"].to_numpy()
        return np.where(same, each[:, 0, 0], each[:, :, 1].sum(axis=1))


@dataclass(frozen=True)
class Effects:
    """Effects of seeds (seed, 2) and persons (person, 2) with columns (genuine, impostor)."""

    seed: np.ndarray
    person: np.ndarray


def mean_distance(
    system: System, table: pd.DataFrame, change: np.ndarray, attributes: Sequence[str]
) -> np.ndarray:
    """Compute a system's mean distances without effects of seeds and faces; see `System`."""
    same = table["same_identity"].to_numpy(dtype=bool)
    moved = change @ vector(system.slopes, attributes)
    base = np.where(same, system.genuine + moved, system.impostor + system.impostor_share * moved)
    return base + biases_sum(system.biases, table, change, attributes)


def draw_distances(
    system: System,
    pairs: Pairs,
    sizes: tuple[int, int, int],
    attributes: Sequence[str],
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, Effects]:
    """Draw the distances of one system.

    Parameters
    ----------
    system : System
    pairs : Pairs
    sizes : (int, int, int)
        Numbers of seeds, persons and faces.
    attributes : sequence of str
        Names of the columns of ``pairs.change``.
    rng : Generator

    Returns
    -------
    distances : DataFrame
        Columns `system`, `distance`, `status`, `threshold`; one row per pair.
    effects : Effects
        The effects of seeds and persons that were drawn.
    """
    seeds, persons, faces = sizes
    effects = Effects(
        rng.normal(0.0, system.sd_seed, (seeds, 2)), rng.normal(0.0, system.sd_face, (persons, 2))
    )
    same = pairs.table["same_identity"].to_numpy()
    share = system.pair_share
    noise = np.sqrt(1 - share**2) * rng.standard_normal(len(same)) - share * pairs.alike
    distance = np.abs(
        mean_distance(system, pairs.table, pairs.change, attributes)
        + pairs.shared(effects.seed, effects.person)
        + np.where(same, *system.sd_residual) * noise
    )
    failed = (rng.random(faces) < system.failure)[pairs.faces].any(axis=1)
    frame = pd.DataFrame(
        {
            "system": system.name,
            "distance": np.where(failed, np.nan, distance),
            "status": np.where(failed, "face not detected", "ok"),
            "threshold": system.threshold,
        }
    )
    return frame, effects
