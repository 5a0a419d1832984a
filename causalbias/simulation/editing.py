"""Simulated outputs of editors that should keep a person's identity, with known truth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from causalbias.arguments import generator, names_in, number_in, whole_in

RACES = ("black", "white")
GENUINE, IMPOSTOR = 0.4, 1.0  # mean distances
OF_PERSON, OF_TARGET, NOISE = 0.06, 0.04, 0.1  # standard deviations
OF_LEAK = 0.5  # of persons, probit
KEPT_RACE = {"black": 0.55, "white": 0.8}  # chance that an output has its source's race


def simulate_editing(
    persons: int = 40,
    *,
    targets: int = 20,
    outputs: int = 4,
    editors: Sequence[str] = ("first", "second"),
    loss: float = 0.15,
    gap: float = 0.1,
    impostors: int = 6,
    threshold: float = 0.7,
    failed: float = 0.02,
    random_seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate a manifest of face swaps and the distances of a network, with known truth.

    The mean distance of an output to its source is 0.4, that of two photographs of one person, plus
    `loss`, half as much again for each further editor, plus `gap` where the source is Black;
    strangers' is 1. Persons (sd 0.06, all their distances), targets (0.04, of outputs) and pairs
    (0.1) vary around these. An output is seen as of its source's race with probability 0.55 if
    that is black and 0.8 if it is white, which varies between persons (probit, sd 0.5), and else as
    of its target's.

    Parameters
    ----------
    persons, targets : int
        Persons whose photographs are edited, and images into which; half of each race.
    outputs : int
        Of each person and editor, each with another target.
    editors : sequence of str
    loss, gap : float
        In units of the distance.
    impostors : int
        Sources of other persons of the same race that each output is compared with, at most.
    threshold : float
        At which the rates of the truth are.
    failed : float
        Chance that no face is found in an output.
    random_seed : int

    Returns
    -------
    manifest : DataFrame
        `output`, `source`, `reference` (another photograph of the person), `person`, `target`,
        `target_person`, `editor`, `source_race`, `target_race`, `output_race`.
        ``.attrs["truth"]``: a record of each `editor` and `group` (race) of mean distances
        ``source``, ``genuine``, ``impostor``; ``kept``, (impostor - source) / (impostor - genuine);
        ``rate``, at which outputs match their source; ``leak``, share of the source's race.
    distances : DataFrame
        `image_a`, `image_b`, `distance` (missing where no face was found), `network`.

    Examples
    --------
    >>> manifest, distances = simulate_editing(persons=6, targets=4)
    >>> manifest.shape, [round(one["kept"], 2) for one in manifest.attrs["truth"]]
    ((48, 10), [0.58, 0.75, 0.46, 0.62])
    """
    persons, targets = whole_in(persons, "persons", 4), whole_in(targets, "targets", 2)
    outputs, impostors = whole_in(outputs, "outputs", 1), whole_in(impostors, "impostors", 1)
    failed = number_in(failed, "failed", -1e-9, 1)
    editors, random = names_in(editors, "editors"), generator(random_seed)
    person = np.tile(np.repeat(np.arange(persons), outputs), len(editors))
    editor = np.repeat(np.arange(len(editors)), persons * outputs)
    order = np.array([random.permutation(targets) for _ in range(persons * len(editors))])
    target = np.array([one[np.arange(outputs) % targets] for one in order]).ravel()
    race = np.array(RACES)[person % 2]
    into = np.array(RACES)[target % 2]
    ids = np.array([f"{one + 1:03d}" for one in range(persons)])
    found = pd.DataFrame(
        {
            "output": [f"out/{at + 1:05d}.png" for at in range(len(person))],
            "source": [f"source/{one}.png" for one in ids[person]],
            "reference": [f"reference/{one}.png" for one in ids[person]],
            "person": ids[person],
            "target": [f"target/{one + 1:03d}.png" for one in target],
            "target_person": [f"t{one + 1:03d}" for one in target],
            "editor": np.array(editors)[editor],
            "source_race": race,
            "target_race": into,
        }
    )
    chance = np.array([KEPT_RACE[one] for one in race])
    shift = random.normal(0, OF_LEAK, persons)[person]
    stays = random.uniform(size=len(race)) < ndtr(ndtri(chance) * np.hypot(1, OF_LEAK) + shift)
    found["output_race"] = np.where(stays, race, into)
    own, of_target = random.normal(0, OF_PERSON, persons), random.normal(0, OF_TARGET, targets)
    mean = GENUINE + loss * (1 + editor / 2) + gap * (race == "black")
    kept = mean + own[person] + of_target[target] + random.normal(0, NOISE, len(mean))
    rows = [
        pd.DataFrame({"image_a": found["output"], "image_b": found["source"], "distance": kept})
    ]
    photographs = found.drop_duplicates("person")
    genuine = GENUINE + own + random.normal(0, NOISE, persons)
    rows.append(
        pd.DataFrame(
            {
                "image_a": photographs["source"],
                "image_b": photographs["reference"],
                "distance": genuine,
            }
        )
    )
    far = IMPOSTOR + own[person] + of_target[target] + random.normal(0, NOISE, len(mean))
    rows.append(
        pd.DataFrame({"image_a": found["output"], "image_b": found["target"], "distance": far})
    )
    rows.append(_impostors(found, photographs, own, person, impostors, random))
    distances = pd.concat(rows, ignore_index=True).assign(network="network")
    lost = found["output"][random.uniform(size=len(found)) < failed]
    distances["distance"] = distances["distance"].mask(distances["image_a"].isin(lost))
    found.attrs["truth"] = _truth(editors, loss, gap, threshold)
    return found, distances


def _impostors(
    found: pd.DataFrame,
    photographs: pd.DataFrame,
    own: np.ndarray,
    person: np.ndarray,
    impostors: int,
    random: np.random.Generator,
) -> pd.DataFrame:
    """Distances of outputs to sources of other persons of the same race."""
    sources = photographs["source"].to_numpy()
    a, b = [], []
    for at, one in enumerate(person):
        others = np.flatnonzero((np.arange(len(own)) % 2 == one % 2) & (np.arange(len(own)) != one))
        some = random.choice(others, min(impostors, len(others)), replace=False)
        a += [at] * len(some)
        b += some.tolist()
    distance = IMPOSTOR + own[person[a]] + own[b] + random.normal(0, NOISE, len(a))
    return pd.DataFrame(
        {"image_a": found["output"].to_numpy()[a], "image_b": sources[b], "distance": distance}
    )


def _truth(
    editors: Sequence[str], loss: float, gap: float, threshold: float
) -> list[dict[str, str | float]]:
    spread = np.sqrt(OF_PERSON**2 + OF_TARGET**2 + NOISE**2)
    rows: list[dict[str, str | float]] = []
    for at, editor in enumerate(editors):
        for race in RACES:
            mean = GENUINE + loss * (1 + at / 2) + gap * (race == "black")
            rows.append(
                {
                    "editor": editor,
                    "group": race,
                    "source": mean,
                    "genuine": GENUINE,
                    "impostor": IMPOSTOR,
                    "kept": (IMPOSTOR - mean) / (IMPOSTOR - GENUINE),
                    "rate": float(ndtr((threshold - mean) / spread)),
                    "leak": KEPT_RACE[race],
                }
            )
    return rows
