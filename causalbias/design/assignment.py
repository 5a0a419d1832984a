"""Assign items to annotators evenly, with gold and repeated trials."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalbias.arguments import described, generator, whole_in
from causalbias.errors import DataError
from causalbias.io.memory import check_memory
from causalbias.rates.groups import as_series
from causalbias.study.columns import labels


def assign(
    items: Sequence[str] | pd.Series,
    annotators: int,
    *,
    each: int,
    question: str = "identity",
    strata: Sequence[object] | pd.Series | None = None,
    gold: Sequence[str] = (),
    repeats: float = 0.0,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Assign items to annotators evenly, in random order.

    Parameters
    ----------
    items : sequence of str
        Names of pairs or faces.
    annotators : int
        Number of annotators. A service recruits a person for each.
    each : int
        Number of judgements per item, all by different annotators.
    question : str
        The question that is asked.
    strata : sequence (item,), optional
        Stratum of each item, such as the group. Each annotator's items are spread evenly over
        the strata. Items whose stratum is missing are a stratum of their own.
    gold : sequence of str
        Items with a known answer, which all annotators judge; they must not be among `items`.
    repeats : float, default 0
        Share (0 to 1) of an annotator's items that is shown a second time, in the last third of
        the session. Items that were first shown before the last third are preferred.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    DataFrame
        One row per trial: `task` (unique text in random order, so that it reveals nothing),
        `annotator` (such as "p001"), `order` (from 1), `item`, `question`, `role` ("normal",
        "gold", "repeat"), `trial` (1, or 2 for a repeat). The numbers of normal trials differ by
        at most 1 between annotators.

    Raises
    ------
    DataError
        If an item is missing, occurs twice, is also gold or is hard to distinguish from another, or
        if there are fewer annotators than judgements per item.

    Examples
    --------
    >>> plan = assign(["x", "y", "z"], 2, each=2, gold=["g"], repeats=0.34)
    >>> plan.groupby(["annotator", "role"]).size().tolist()
    [1, 3, 1, 1, 3, 1]
    """
    annotators, each = whole_in(annotators, "annotators", 1), whole_in(each, "each", 1)
    for name, given in (("items", items), ("gold", gold)):
        if isinstance(given, str | pd.DataFrame):
            raise DataError(
                f"{name} is {described(given)}", hint=f'give a list of names: {name}=["x", "y"]'
            )
    named = labels(pd.Series([*items, *gold], dtype=object, name="item"), file="items")
    if named.isna().any() or len(items) == 0:
        raise DataError("there are no items, or a missing one", hint="give the name of each item")
    names, known = named.iloc[: len(items)].tolist(), named.iloc[len(items) :].tolist()
    if len({*names, *known}) < len(names) + len(known):
        raise DataError("an item occurs twice, or also among the gold", hint="give each once")
    if not 1 <= each <= annotators or not 0 <= repeats <= 1:
        raise DataError(
            f"{each} judgements of each item by {annotators} annotators, repeats {repeats:g}",
            hint="give at least as many annotators as judgements, and repeats from 0 to 1",
        )
    if strata is not None and len(strata) != len(names):
        raise DataError(
            f"{len(strata)} strata of {len(names)} items", hint="give one stratum per item"
        )
    check_memory(
        10.0 * annotators + 20.0 * each * len(names),
        f"{annotators:,} annotators and {each * len(names):,} judgements",
        "plan fewer of either",
        each=40,
    )
    random = generator(random_seed)
    codes = np.zeros(len(names), int)
    if strata is not None:  # items without one are a stratum of their own
        kinds = labels(as_series(strata).rename("strata"), file="strata").astype("str")
        codes = pd.factorize(kinds, use_na_sentinel=False)[0]
    judges = _spread(codes, annotators, each, random)
    width = len(str(annotators))
    parts = []
    for person in range(annotators):
        mine = np.flatnonzero((judges == person).any(axis=1))
        part = _session([names[i] for i in mine], known, repeats, random)
        parts.append(part.assign(annotator=f"p{person + 1:0{width}d}"))
    plan = pd.concat(parts, ignore_index=True).assign(question=question)
    number = random.permutation(len(plan)) + 1
    plan["task"] = [f"t{one:0{len(str(len(plan)))}d}" for one in number]
    return plan[["task", "annotator", "order", "item", "question", "role", "trial"]]


def _spread(
    strata: np.ndarray, annotators: int, each: int, random: np.random.Generator
) -> np.ndarray:
    """Choose judges (item, each): those with fewest items, and then with fewest in the stratum."""
    load = np.zeros(annotators)
    of_stratum = np.zeros((strata.max(initial=0) + 1, annotators))
    judges = np.empty((len(strata), each), int)
    for item in random.permutation(len(strata)):
        here = of_stratum[strata[item]]
        chosen = np.lexsort((random.random(annotators), here, load))[:each]
        load[chosen] += 1
        here[chosen] += 1
        judges[item] = chosen
    return judges


def _session(
    items: list[str], gold: list[str], repeats: float, random: np.random.Generator
) -> pd.DataFrame:
    """Arrange the trials of an annotator in order."""
    first = [(item, "normal", 1) for item in items] + [(item, "gold", 1) for item in gold]
    shown = [first[i] for i in random.permutation(len(first))]
    last_third = 2 * len(shown) // 3
    seen_at = {item: at for at, (item, kind, _) in enumerate(shown) if kind == "normal"}
    # Items that were shown before the last third are preferred, in random order.
    order = sorted(seen_at, key=lambda item: (seen_at[item] >= last_third, random.random()))
    for item in order[: round(repeats * len(items))]:
        after = shown.index((item, "normal", 1)) + 1
        at = int(random.integers(max(last_third + 1, after), len(shown) + 1))
        shown.insert(at, (item, "repeat", 2))
    frame = pd.DataFrame(shown, columns=["item", "role", "trial"])
    return frame.assign(order=np.arange(1, len(frame) + 1))
