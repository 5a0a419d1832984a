"""Simulated answers of people and systems to the same items, with known effects of groups."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from causalbias.arguments import generator, number_in, whole_in

LEVELS = {"gender": ("female", "male"), "skin_type": ("dark", "light")}
TASKS = ("verification", "identification")
OPTIONS = 9
THRESHOLD = 0.5
LEVEL = {"person": 1.0, "system": 1.8}  # log odds of a right answer, of the mean judge and item
OF_JUDGE = {"person": 0.6, "system": 0.4}  # standard deviations of the log odds
OF_ITEM, TOGETHER = 0.8, 0.6  # of items for either kind, and the correlation of both
OF_PAIRING = 0.2  # of annotators by group of the item, and of items by group of the annotator
HELD = {"gender": 0.3, "skin_type": 0.3}


def simulate_human_machine(
    annotators: int = 60,
    items: int = 40,
    *,
    answers: int = 20,
    systems: int = 4,
    people_gap: Mapping[str, float] = HELD,
    systems_gap: Mapping[str, float] | None = None,
    own_group: Mapping[str, float] = HELD,
    random_seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Simulate verification and identification items that people and systems answer.

    The log odds of a right answer of judge j, of the kind k (person or system), to item i are

    mean_k + ability_j + easiness_ik + sum over groups of gap_kg (x_ig - 1/2) + own_jig,

    where x is 1 for male and light-skinned subjects. Easiness differs between items by a standard
    deviation of 0.8 and is correlated by 0.6 between people and systems; abilities differ by 0.6
    between people and by 0.4 between systems. For people, own is half of `own_group` where subject
    and annotator are of one group, and minus half where they are not. People's wrong answers to
    identification items are any of the eight others alike. There is no guessing beside: the odds
    are those of all answers.

    Parameters
    ----------
    annotators, systems : int
    items : int
        Of each task, a multiple of eight: groups and same and different pairs are balanced.
    answers : int
        To items of each task, by each annotator, at most `items`.
    people_gap, systems_gap : mapping of str to float
        Log odds ratio of "gender" (male against female) and "skin_type" (light against dark);
        systems' is by default 0.3 and 0.9.
    own_group : mapping of str to float
        Log odds ratio of people, own against other group.
    random_seed : int

    Returns
    -------
    people : DataFrame
        `annotator`, `item`, `answer`: "same" or "different", or an option from "1" to "9".
        ``.attrs["truth"]``: odds ratios, "people", "systems" and "own_group" by group.
    systems : DataFrame
        `system`, `item`, `option` (missing for pairs), `score`: a similarity, of which pairs of 0.5
        or more match.
    items : DataFrame
        `item`, `task`, `truth`, `gender`, `skin_type` of the subject.
    annotators : DataFrame
        `annotator`, `gender`, `skin_type`.

    Examples
    --------
    >>> people, systems, items, annotators = simulate_human_machine(8, 8, answers=4, systems=2)
    >>> len(people), len(systems), len(items), people.attrs["truth"]["people"]["gender"].round(2)
    (64, 160, 16, np.float64(1.35))
    """
    annotators, items = whole_in(annotators, "annotators", 4), whole_in(items, "items", 8)
    answers, systems = min(whole_in(answers, "answers", 1), items), whole_in(systems, "systems", 1)
    gaps = {"person": people_gap, "system": systems_gap or {"gender": 0.3, "skin_type": 0.9}}
    gaps = {
        kind: {one: number_in(gap.get(one, 0.0), f"gap of {one}") for one in LEVELS}
        for kind, gap in gaps.items()
    }
    own = {one: number_in(own_group.get(one, 0.0), f"own_group of {one}") for one in LEVELS}
    random = generator(random_seed)
    table, of_item = _items(items, random)
    who, of_person = _annotators(annotators)
    count = len(table)
    easy = (
        OF_ITEM
        * random.normal(size=(count, 2))
        @ np.array([[1, TOGETHER], [0, np.sqrt(1 - TOGETHER**2)]])
    )
    person = np.repeat(np.arange(annotators), 2 * answers)
    item = np.concatenate(
        [
            at * items + random.permutation(items)[:answers]
            for _ in range(annotators)
            for at in range(len(TASKS))
        ]
    )
    odds = LEVEL["person"] + random.normal(0, OF_JUDGE["person"], annotators)[person]
    odds += easy[item, 0] + _gap(gaps["person"], of_item)[item]
    for at, one in enumerate(LEVELS):
        a, b = of_item[item, at], of_person[person, at]
        odds += np.where(a == b, 0.5, -0.5) * own[one]
        odds += OF_PAIRING * random.normal(size=(annotators, 2))[person, a]
        odds += OF_PAIRING * random.normal(size=(count, 2))[item, b]
    right = random.logistic(size=len(odds)) < odds
    people = pd.DataFrame(
        {
            "annotator": who["annotator"].to_numpy()[person],
            "item": table["item"].to_numpy()[item],
            "answer": _answered(table["truth"].to_numpy()[item], right, random),
        }
    )
    people.attrs["truth"] = {
        "people": {one: np.exp(gap) for one, gap in gaps["person"].items()},
        "systems": {one: np.exp(gap) for one, gap in gaps["system"].items()},
        "own_group": {one: np.exp(effect) for one, effect in own.items()},
    }
    ability = LEVEL["system"] + random.normal(0, OF_JUDGE["system"], systems)
    mean = ability[:, None] + easy[:, 1] + _gap(gaps["system"], of_item)
    return people, _scored(table, mean, random), table, who


def _items(items: int, random: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Items of both tasks, and their groups as numbers (items, groups)."""
    at = np.tile(np.arange(items), len(TASKS))
    task = np.repeat(TASKS, items)
    groups = np.column_stack([at % 2, at // 2 % 2])
    same = np.where(at // 4 % 2 == 0, "same", "different")
    option = random.integers(1, OPTIONS + 1, len(at)).astype(str)
    table = pd.DataFrame(
        {
            "item": [f"{one[0]}{number + 1:03d}" for one, number in zip(task, at, strict=True)],
            "task": task,
            "truth": np.where(task == "verification", same, option),
        }
    )
    for column, (one, levels) in enumerate(LEVELS.items()):
        table[one] = np.array(levels)[groups[:, column]]
    return table, groups


def _annotators(annotators: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Annotators, and their groups as numbers (annotators, groups)."""
    at = np.arange(annotators)
    groups = np.column_stack([at % 2, at // 2 % 2])
    table = pd.DataFrame({"annotator": [f"a{one + 1:03d}" for one in at]})
    for column, (one, levels) in enumerate(LEVELS.items()):
        table[one] = np.array(levels)[groups[:, column]]
    return table, groups


def _gap(gap: Mapping[str, float], groups: np.ndarray) -> np.ndarray:
    return (groups - 0.5) @ np.array([gap[one] for one in LEVELS])


def _answered(truth: np.ndarray, right: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Answers that are right or wrong: the other of two words, or any other option."""
    pair = np.isin(truth, ["same", "different"])
    number = np.where(pair, "1", truth).astype(int)
    other = (number - 1 + random.integers(1, OPTIONS, len(truth))) % OPTIONS + 1
    wrong = np.where(pair, np.where(truth == "same", "different", "same"), other.astype(str))
    return np.where(right, truth, wrong)


def _scored(table: pd.DataFrame, mean: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Similarities of pairs, and of each option of identification items, by system."""
    parts = []
    margin = mean + random.logistic(size=mean.shape)  # a right answer where it is positive
    for at, margins in enumerate(margin):
        of = table.assign(margin=margins, system=f"system {at + 1}")
        pairs = of[of["task"] == "verification"]
        toward = np.where(pairs["truth"] == "same", 0.05, -0.05) * pairs["margin"]
        parts.append(pairs.assign(score=THRESHOLD + toward))
        choice = of[of["task"] == "identification"].reset_index(drop=True)
        scores = random.uniform(0.1, 0.6, (len(choice), OPTIONS))
        best = np.where(
            choice["margin"] > 0,
            choice["truth"].astype(int),
            _answered(choice["truth"].to_numpy(), np.zeros(len(choice), bool), random).astype(int),
        )
        scores[np.arange(len(choice)), best - 1] = random.uniform(0.61, 0.9, len(choice))
        long = choice.loc[choice.index.repeat(OPTIONS)]
        options = np.tile(np.arange(1, OPTIONS + 1).astype(str), len(choice))
        parts.append(long.assign(option=options, score=scores.ravel()))
    found = pd.concat(parts, ignore_index=True)
    return found[["system", "item", "option", "score"]]
