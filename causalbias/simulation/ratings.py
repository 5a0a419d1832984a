"""Simulated ratings of items by raters, with known variance components and own-group effect."""

import numpy as np
import pandas as pd

from causalbias.arguments import generator, number_in, whole_in
from causalbias.errors import DataError

GROUPS = ("female", "male")
SDS = {"item": 0.8, "rater": 0.7, "item:rater_group": 0.2, "rater:item_group": 0.3, "residual": 1.0}


def simulate_ratings(
    items: int = 40,
    raters: int = 40,
    *,
    each: int | None = None,
    nested: bool = False,
    repeats: int = 1,
    own_group: float = 0.0,
    sds: dict[str, float] | None = None,
    mean: float = 4.0,
    random_seed: int = 1,
) -> pd.DataFrame:
    """Simulate ratings of items of two groups by raters of the same two groups.

    rating = mean + own_group/2 (plus if item and rater are of one group, else minus) + effects of
    item, rater, item by group of the rater, rater by group of the item, item by rater, and noise,
    all normal.

    Parameters
    ----------
    items, raters : int
        Numbers, half of each group.
    each : int, optional
        Number of items that a rater rates, drawn at random; by default all.
    nested : bool
        Whether a rater rates items of one group only, as in the 3DSK ratings.
    repeats : int
        Ratings of an item by a rater.
    own_group : float
        How much higher items of the own group are rated.
    sds : dict of str to float, optional
        Standard deviations of "item", "rater", "item:rater_group", "rater:item_group",
        "item:rater" and "residual"; those left out are 0.8, 0.7, 0.2, 0.3, 0 and 1.
    mean : float
    random_seed : int

    Returns
    -------
    DataFrame
        `item`, `item_group`, `rater`, `rater_group`, `rating`. ``.attrs["truth"]``: the standard
        deviations, and `own_group`.

    Raises
    ------
    DataError
        If a number is too small, or a component is unknown.

    Examples
    --------
    >>> simulate_ratings(items=6, raters=4).shape
    (24, 5)
    """
    items, raters = whole_in(items, "items", 4), whole_in(raters, "raters", 4)
    known = {**SDS, "item:rater": 0.0}
    if unknown := sorted(set(sds or {}) - set(known)):
        raise DataError(f"no component is called {unknown[0]!r}", hint=f"use {', '.join(known)}")
    sd = {**known, **(sds or {})}
    own = number_in(own_group, "own_group")
    random = generator(random_seed)
    of_item, of_rater = np.arange(items) % 2, np.arange(raters) % 2
    shown = np.arange(raters) // 2 % 2  # group of items that a rater sees, where raters see one
    pairs = []
    for one in range(raters):
        seen = np.flatnonzero(of_item == shown[one]) if nested else np.arange(items)
        number = len(seen) if each is None else min(whole_in(each, "each", 1), len(seen))
        chosen = random.choice(seen, number, replace=False)
        pairs += [(item, one) for item in np.sort(chosen)]
    item, rater = np.repeat(np.array(pairs), whole_in(repeats, "repeats", 1), axis=0).T
    draw = {name: random.normal(size=(items, raters)) for name in known}
    rating = (
        mean
        + own * np.where(of_item[item] == of_rater[rater], 0.5, -0.5)
        + sd["item"] * draw["item"][item, 0]
        + sd["rater"] * draw["rater"][0, rater]
        + sd["item:rater_group"] * draw["item:rater_group"][item, of_rater[rater]]
        + sd["rater:item_group"] * draw["rater:item_group"][of_item[item], rater]
        + sd["item:rater"] * draw["item:rater"][item, rater]
        + sd["residual"] * random.normal(size=len(item))
    )
    frame = pd.DataFrame(
        {
            "item": [f"i{one + 1:03d}" for one in item],
            "item_group": np.array(GROUPS)[of_item[item]],
            "rater": [f"r{one + 1:03d}" for one in rater],
            "rater_group": np.array(GROUPS)[of_rater[rater]],
            "rating": rating,
        }
    )
    frame.attrs["truth"] = {"sds": sd, "own_group": own}
    return frame
