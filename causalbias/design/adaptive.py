"""Adaptive annotation: choose the items to be judged next, given the answers so far."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from causalbias.arguments import mapping_in, number_in, two_in, whole_in
from causalbias.design.estimability import common_matrix
from causalbias.errors import DataError
from causalbias.study.columns import labels, measured
from causalbias.study.rows import blank, check_rows
from causalbias.study.tables import check_columns, check_known, check_unique

SWEEPS = 30
FLOOR = 0.02  # least variance of an answer, relative to the largest possible on the scale
VAGUE = 1e3  # prior sd of coefficients, in units of the scale's range


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
    """Choose the items whose judgements reduce the posterior variance of an estimand most.

    The working model is that an item's mean score is a weighted sum of the formula's terms plus a
    deviation of the item, and that answers vary about this mean. Both variances are proportional to
    (mean - low)(high - mean) of the weighted sum, as with a constant correlation between an item's
    answers (Williams 1982, *Applied Statistics* 31(2)), and are smallest where answers are
    unanimous. The two factors are estimated by moments. Each further judgement is assigned to the
    item for which the posterior variance of the estimand decreases most (Chaloner and Verdinelli
    1995, *Statistical Science* 10(3)).

    The model is used for the choice only. Analyse the answers by a model with an effect of the
    item, such as ``fit("score ~ race*pose + (1|pair)")``, because simple averages over judgements
    would weight the items by the number of their judgements.

    Parameters
    ----------
    items : DataFrame
        One row per item that may be shown: `item` and the columns of the formula.
    judgements : DataFrame
        `item` and `score` of the judgements so far, which should include items of every kind.
    formula : str
        The common terms of the mean, such as ``"race*pose"``.
    target : mapping of coefficient to weight
        The estimand, a weighted sum of the formula's coefficients by their names in `report`, such
        as ``{"race[black]": 1.0}``.
    scale : (low, high)
        Lowest and highest possible score. Estimates do not depend on where zero is, nor on the
        units of scores and covariates.
    count : int
        Number of judgements to assign.
    limit : int, optional
        Largest number of judgements per item, including those so far.

    Returns
    -------
    plan : DataFrame
        `item` and `judgements`, the number of further judgements, in decreasing order.
    estimand : dict
        `estimate` and `error` (posterior sd) from the judgements so far, and `expected`, the error
        after the plan. These are by the working model, whose variances are estimated as well
        (docs/stimuli.md), and are not final results.

    Raises
    ------
    DataError
        If an item or coefficient is unknown, no item tells the target, the limit allows fewer than
        `count` judgements, or
        there are fewer judgements than coefficients.

    Examples
    --------
    >>> items = pd.DataFrame({"item": list("abcd"), "race": ["x", "x", "y", "y"]})
    >>> done = pd.DataFrame({"item": list("aabbccdd"), "score": [4, 4, 4, 4, 1, 3, 0, 4]})
    >>> plan, now = next_items(items, done, "race", {"race[y]": 1.0}, scale=(0, 4), count=6)
    >>> sorted(plan["item"]), now["expected"] < now["error"]
    (['c', 'd'], True)
    """
    x, names = common_matrix(formula, items)
    weight, item, score = _checked(items, judgements, names, target, scale, limit, count)
    x, weight = _basis(x, weight, target)
    middle, origin = _middle(x, scale)
    score, scale = score - middle, (scale[0] - middle, scale[1] - middle)
    n = np.bincount(item, minlength=len(items))
    total = np.bincount(item, score, minlength=len(items))
    squares = np.bincount(item, score**2, minlength=len(items))
    mean, covariance, noise = posterior(x, n, total, squares, scale)
    gradient = np.concatenate([weight, np.zeros(len(items))])
    error = float(np.sqrt(gradient @ covariance @ gradient))
    remaining = np.full(len(items), np.iinfo(int).max) if limit is None else limit - n
    chosen, expected = place(covariance, gradient, x, noise, count, remaining)
    plan = pd.DataFrame({"item": items["item"].to_numpy(), "judgements": chosen})
    plan = plan[plan["judgements"] > 0].sort_values("judgements", ascending=False, kind="stable")
    estimate = float(weight @ origin + gradient @ mean)
    now = {"estimate": estimate, "error": error, "expected": expected}
    return plan.reset_index(drop=True), now


def posterior(
    x: np.ndarray,
    n: np.ndarray,
    total: np.ndarray,
    squares: np.ndarray,
    scale: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the Normal posterior of coefficients and items' deviations in the working model.

    Parameters
    ----------
    x : ndarray (item, coefficient)
        Design matrix.
    n, total, squares : ndarray (item,)
        Number of judgements of each item, their sum, and the sum of their squares.
    scale : (low, high)
        Lowest and highest possible score.

    Returns
    -------
    mean : ndarray (coefficient + item,)
        Posterior mean.
    covariance : ndarray (coefficient + item, coefficient + item)
        Posterior covariance.
    noise : ndarray (item,)
        Variance of a further answer about the item's mean.
    """
    # Variances depend on the fitted means and not on the items' observed means, which would give
    # most weight to items whose few answers happen to be unanimous.
    low, high = scale
    most = (high - low) ** 2 / 4
    asked = n > 0
    observed = np.where(asked, total / np.maximum(n, 1), (low + high) / 2)
    within = np.maximum(squares - n * observed**2, 0).sum()
    freedom = np.maximum(n - 1, 0).sum()
    p = x.shape[1]
    spread, share = 0.1, 0.5
    fitted = np.full(len(n), (low + high) / 2)
    for _ in range(SWEEPS):
        shape = np.maximum((fitted - low) * (high - fitted), FLOOR * most)
        # Moment estimates of the variance within items, and of the variance between items.
        if freedom > 0:
            share = max(within / (np.maximum(n - 1, 0) * shape).sum(), FLOOR)
        noise, between = share * shape, spread * shape
        # Items are independent given the coefficients, whose precision is a Schur complement.
        precision = n / noise
        conditional = 1 / (precision + 1 / between)
        inner = (x.T * (precision - precision**2 * conditional)) @ x + np.eye(p) * (
            VAGUE * (high - low)
        ) ** -2.0
        common = np.linalg.inv(inner)
        beta = common @ (x.T @ (total / noise - precision * conditional * total / noise))
        deviation = conditional * (total / noise - precision * (x @ beta))
        slope = -(conditional * precision)[:, None] * x
        variance = conditional + np.einsum("ij,jk,ik->i", slope, common, slope)
        fitted = np.clip(x @ beta, low, high)
        spread = max(float(((deviation**2 + variance) / shape)[asked].mean()), 1e-4)
    across = slope @ common
    covariance = np.block([[common, across.T], [across, np.diag(conditional) + across @ slope.T]])
    return np.concatenate([beta, deviation]), covariance, noise


def place(
    covariance: np.ndarray,
    gradient: np.ndarray,
    x: np.ndarray,
    noise: np.ndarray,
    count: int,
    remaining: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Assign judgements one by one to the item for which the estimand's variance falls most.

    Returns
    -------
    chosen : ndarray of int (item,)
        Number of further judgements of each item.
    error : float
        Posterior standard deviation of the estimand after these judgements.
    """
    design = np.hstack([x, np.eye(len(x))])
    seen = covariance @ design.T  # covariance of all parameters with each item's mean
    spread = np.einsum("ij,ji->i", design, seen)
    along = gradient @ seen
    variance = float(gradient @ covariance @ gradient)
    between = design @ seen
    chosen = np.zeros(len(x), int)
    for _ in range(count):
        gain = np.where(chosen < remaining, along**2 / (spread + noise), -1.0)
        best = int(gain.argmax())
        chosen[best] += 1
        column = between[:, best].copy()
        scale = spread[best] + noise[best]
        variance -= along[best] ** 2 / scale
        along = along - along[best] * column / scale
        spread = spread - column**2 / scale
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
    """Check the arguments; return the weights (coefficient,), and items and scores (judgement,)."""
    check_columns(items, ["item"], file="items")
    check_columns(judgements, ["item", "score"], file="judgements")
    for name, values in (("items", items["item"]), ("judgements", judgements["item"])):
        check_rows([("item", "the value is missing", blank(values), "fill it in")], file=name)
    known, asked = (
        labels(one["item"], file=name).astype("str")
        for one, name in ((items, "items"), (judgements, "judgements"))
    )
    check_unique(known.to_frame(), ["item"], file="items")
    check_known(asked, list(known), what="item", file="judgements", column="item")
    low, high = (number_in(one, "scale") for one in two_in(scale, "scale", "scale=(0, 4)"))
    if not low < high:
        raise DataError(f"scale is {low:g} to {high:g}", hint="give (low, high)")
    whole_in(count, "count")
    scores = measured(judgements["score"], file="judgements")
    missing = [("score", "the value is missing", blank(scores), "fill it in, or leave it out")]
    check_rows(missing, file="judgements")
    score = scores.to_numpy(float)
    if not ((score >= low) & (score <= high)).all():
        raise DataError(
            "the score is outside the scale",
            hint=f"give scores from {low:g} to {high:g}",
            file="judgements",
            column="score",
            row=int((~((score >= low) & (score <= high))).argmax()) + 1,
        )
    item = pd.Index(known).get_indexer(pd.Index(asked))
    if not target:
        raise DataError("the target is empty", hint='weigh a coefficient: {"race[black]": 1.0}')
    for name in mapping_in(target, "target", '{"race[black]": 1.0}'):
        if name not in names:
            raise DataError(f"there is no coefficient {name!r}", hint=f"use {', '.join(names)}")
        number_in(target[name], f"target[{name!r}]")
    if len(score) < len(names):
        raise DataError(
            f"{len(score)} judgements for {len(names)} coefficients",
            hint="begin with some judgements of items of every kind",
        )
    if limit is not None:
        so_far = np.bincount(item, minlength=len(items))
        free = int(np.maximum(whole_in(limit, "limit", 1) - so_far, 0).sum())
        if free < count:
            raise DataError(
                f"the limit allows {free} judgements, not {count}", hint="raise the limit"
            )
    return np.array([target.get(name, 0.0) for name in names], float), item, score


def _basis(
    x: np.ndarray, weight: np.ndarray, target: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Orthogonal columns (item, rank) of mean square 1 that span those of x, and their weights.

    What is vague a priori of their coefficients is so in any unit of the covariates, and from any
    zero.

    Raises
    ------
    DataError
        If the weighted sum of coefficients is no weighted sum of items' means.
    """
    size = np.abs(x).max(axis=0)
    size = np.where(size > 0, size, 1)
    rank = np.linalg.matrix_rank(x / size)
    left, singular, right = (
        one[..., :rank] if at < 2 else one[:rank]
        for at, one in enumerate(np.linalg.svd(x / size, full_matrices=False))
    )
    own = weight / size
    told = right @ own
    if np.abs(own - told @ right).max() > 1e-9 * np.abs(own).max():
        raise DataError(
            f"no answers to these items tell {' and '.join(target)}",
            hint="see report(items, formula): leave out a term, or add items that differ in it",
        )
    root = np.sqrt(len(x))
    return left * root, told / singular * root


def _middle(x: np.ndarray, scale: tuple[float, float]) -> tuple[float, np.ndarray]:
    """The scale's middle, and coefficients of a `_basis` at which all means are it.

    Both are zero without an intercept: means of items are then not to be moved.
    """
    middle = sum(scale) / 2
    found = x.sum(axis=0) * middle / len(x)
    if np.allclose(x @ found, middle, rtol=1e-9):
        return middle, found
    return 0.0, np.zeros_like(found)
