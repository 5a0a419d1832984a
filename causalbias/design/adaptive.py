"""Adaptive annotation: which items to show next, given what has been answered."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from causalbias.design.estimability import common_matrix
from causalbias.errors import DataError
from causalbias.study.tables import check_columns, check_known, check_unique

SWEEPS = 30
FLOOR = 0.02  # least variance of an answer, as part of the scale's largest
VAGUE = 1e3  # prior sd of coefficients, in scales


def next_items(
    items: pd.DataFrame,
    judgements: pd.DataFrame,
    formula: str,
    target: Mapping[str, float],
    *,
    scale: tuple[float, float],
    count: int,
    limit: int | None = None,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The items whose judgements would tell most about an estimand.

    A working model: an item's mean score is a weighted sum of the formula's terms plus a deviation
    of its own, and answers scatter about it. Both variances are in proportion to
    (mean - low)(high - mean) of the weighted sum, as with a constant correlation of an item's
    answers (Williams 1982, *Applied Statistics* 31(2)): least where people are unanimous. Moments
    give the two proportions, and every next judgement goes where the posterior variance of the
    estimand falls most (Chaloner and Verdinelli 1995, *Statistical Science* 10(3)). It only
    chooses. Analyse the answers by a model with a deviation
    an item, as ``fit("score ~ race*pose + (1|pair)")``: plain averages over judgements would weigh
    the items by how often they were chosen.

    Parameters
    ----------
    items : DataFrame
        `item` and the columns of the formula, one row an item that may be shown.
    judgements : DataFrame
        `item`, `score`: those so far. At least a few on items of every kind.
    formula : str
        ``"race*pose"``: the common terms of the mean.
    target : mapping of coefficient to weight
        The estimand, a weighted sum of the formula's coefficients by their names in `report`:
        ``{"race[black]": 1.0}``.
    scale : (low, high)
    count : int
        Judgements to place.
    limit : int, optional
        Judgements that one item may have in all.

    Returns
    -------
    plan : DataFrame
        `item`, `judgements`: how many more to ask for, those with most first.
    estimand : dict
        `estimate` and `error` (posterior sd) now; `expected`: the error once the plan is answered.
        By the working model, whose variances are estimated too (docs/stimuli.md): no final result.

    Raises
    ------
    DataError
        If an item or coefficient is unknown, the limit leaves too few places, or there are fewer
        judgements than coefficients.

    Examples
    --------
    >>> items = pd.DataFrame({"item": list("abcd"), "race": ["x", "x", "y", "y"]})
    >>> told = pd.DataFrame({"item": list("aabbccdd"), "score": [4, 4, 4, 4, 1, 3, 0, 4]})
    >>> plan, now = next_items(items, told, "race", {"race[y]": 1.0}, scale=(0, 4), count=6)
    >>> sorted(plan["item"]), now["expected"] < now["error"]
    (['c', 'd'], True)
    """
    x, names = common_matrix(formula, items)
    weight, item, score = _checked(items, judgements, names, target, scale, limit, count)
    n = np.bincount(item, minlength=len(items))
    total = np.bincount(item, score, minlength=len(items))
    squares = np.bincount(item, score**2, minlength=len(items))
    mean, covariance, noise = posterior(x, n, total, squares, scale)
    gradient = np.concatenate([weight, np.zeros(len(items))])
    error = float(np.sqrt(gradient @ covariance @ gradient))
    room = np.full(len(items), np.iinfo(int).max) if limit is None else limit - n
    chosen, expected = place(covariance, gradient, x, noise, count, room)
    plan = pd.DataFrame({"item": items["item"].to_numpy(), "judgements": chosen})
    plan = plan[plan["judgements"] > 0].sort_values("judgements", ascending=False, kind="stable")
    now = {"estimate": float(gradient @ mean), "error": error, "expected": expected}
    return plan.reset_index(drop=True), now


def posterior(
    x: np.ndarray,
    n: np.ndarray,
    total: np.ndarray,
    squares: np.ndarray,
    scale: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal posterior of coefficients and items' deviations under the working model.

    Parameters
    ----------
    x : ndarray (item, coefficient)
    n, total, squares : ndarray (item,)
        Number of judgements of each item, their sum, and the sum of their squares.
    scale : (low, high)

    Returns
    -------
    mean : ndarray (coefficient + item,)
    covariance : ndarray (coefficient + item, coefficient + item)
    noise : ndarray (item,)
        Variance of one further answer about the item's mean.
    """
    # Variances follow the fitted means and not an item's own: those would give most weight to
    # items that happen to look unanimous.
    low, high = scale
    most = (high - low) ** 2 / 4
    asked = n > 0
    own = np.where(asked, total / np.maximum(n, 1), (low + high) / 2)
    within = np.maximum(squares - n * own**2, 0).sum()
    freedom = np.maximum(n - 1, 0).sum()
    p = x.shape[1]
    spread, share = 0.1, 0.5
    fitted = np.full(len(n), (low + high) / 2)
    for _ in range(SWEEPS):
        shape = np.maximum((fitted - low) * (high - fitted), FLOOR * most)
        # Variances by moments: of answers about their item's mean, then of items about the model.
        if freedom > 0:
            share = max(within / (np.maximum(n - 1, 0) * shape).sum(), FLOOR)
        noise, between = share * shape, spread * shape
        # Items are independent given the coefficients, whose precision is a Schur complement.
        told = n / noise
        alone = 1 / (told + 1 / between)
        inner = (x.T * (told - told**2 * alone)) @ x + np.eye(p) * (VAGUE * (high - low)) ** -2.0
        common = np.linalg.inv(inner)
        beta = common @ (x.T @ (total / noise - told * alone * total / noise))
        deviation = alone * (total / noise - told * (x @ beta))
        tied = -(alone * told)[:, None] * x
        doubt = alone + np.einsum("ij,jk,ik->i", tied, common, tied)
        fitted = np.clip(x @ beta, low, high)
        spread = max(float(((deviation**2 + doubt) / shape)[asked].mean()), 1e-4)
    across = tied @ common
    covariance = np.block([[common, across.T], [across, np.diag(alone) + across @ tied.T]])
    return np.concatenate([beta, deviation]), covariance, noise


def place(
    covariance: np.ndarray,
    gradient: np.ndarray,
    x: np.ndarray,
    noise: np.ndarray,
    count: int,
    room: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Place judgements one by one where the estimand's variance falls most.

    Returns
    -------
    chosen : ndarray of int (item,)
    error : float
        Posterior standard deviation of the estimand once they are answered.
    """
    design = np.hstack([x, np.eye(len(x))])
    seen = covariance @ design.T  # covariance of everything with each item's mean
    own = np.einsum("ij,ji->i", design, seen)
    along = gradient @ seen
    variance = float(gradient @ covariance @ gradient)
    between = design @ seen
    chosen = np.zeros(len(x), int)
    for _ in range(count):
        gain = np.where(chosen < room, along**2 / (own + noise), -1.0)
        best = int(gain.argmax())
        chosen[best] += 1
        column = between[:, best].copy()
        scale = own[best] + noise[best]
        variance -= along[best] ** 2 / scale
        along = along - along[best] * column / scale
        own = own - column**2 / scale
        between -= np.outer(column, column) / scale
    return chosen, float(np.sqrt(max(variance, 0.0)))


def _checked(
    items: pd.DataFrame,
    judgements: pd.DataFrame,
    names: list[str],
    target: Mapping[str, float],
    scale: tuple[float, float],
    limit: int | None,
    count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (coefficient,) of the estimand, and items and scores (judgement,)."""
    check_columns(items, ["item"], file="items")
    check_unique(items, ["item"], file="items")
    check_columns(judgements, ["item", "score"], file="judgements")
    check_known(
        judgements["item"], list(items["item"]), what="item", file="judgements", column="item"
    )
    for name in target:
        if name not in names:
            raise DataError(f"no coefficient {name!r}", hint=f"use {', '.join(names)}")
    low, high = scale
    if not low < high or count < 0:
        raise DataError(
            f"scale {low:g} to {high:g}, {count} judgements", hint="give (low, high), and a count"
        )
    score = judgements["score"].to_numpy(float)
    if not ((score >= low) & (score <= high)).all():
        raise DataError(
            "a score outside the scale",
            hint=f"give scores from {low:g} to {high:g}",
            file="judgements",
            column="score",
            row=int((~((score >= low) & (score <= high))).argmax()) + 1,
        )
    item = pd.Index(items["item"]).get_indexer(pd.Index(judgements["item"]))
    if len(score) < len(names):
        raise DataError(
            f"{len(score)} judgements for {len(names)} coefficients",
            hint="begin with some judgements of items of every kind",
        )
    free = len(items) * (limit or 0) - len(score)
    if limit is not None and free < count:
        raise DataError(f"places for {free} judgements, not {count}", hint="raise the limit")
    return np.array([target.get(name, 0.0) for name in names]), item, score
