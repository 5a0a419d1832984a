"""What a model's failed checks do to the claims that rest on it, in plain words."""

from collections.abc import Callable
from typing import Any, NamedTuple

from causalbias.model_checks.check import CLUSTERING, PRIORS, Checks
from causalbias.model_checks.replicates import (
    HEAVY_TAILS,
    SHAPE_OF_EFFECTS,
    SKEWNESS,
    UNEQUAL_EFFECTS,
    UNEQUAL_NOISE,
)
from causalbias.model_checks.statistics import Subject
from causalbias.report.wording import number


class Misfit(NamedTuple):
    """What a model that fails checks does not reproduce.

    Attributes
    ----------
    sentence : str
        What it is, and what that does to the claims.
    update : str
        The line that fits a model which answers it, of a fit called `fit`; "" if none is known.
    """

    sentence: str
    update: str


def misfit_of(checks: Checks) -> Misfit | None:
    """What the failed checks of a model do to the claims; None if none failed.

    Parameters
    ----------
    checks : Checks
        From `check` of a fit.

    Returns
    -------
    Misfit or None

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalbias as cb
    >>> x, noise = np.tile([0, 1], 100), np.random.default_rng(3).normal(size=200)
    >>> rows = pd.DataFrame({"x": x, "y": np.where(x == 1, 4, 1) * noise})
    >>> misfit_of(cb.check(cb.fit("y ~ x", rows, draws=250))).update
    'cb.update(fit, sigma="~ C(x)")'
    """
    failed = checks[checks["verdict"] == "fail"]
    if failed.empty:
        return None
    clauses = [MEANINGS.get(str(row.kind), _draws)(row) for row in failed.itertuples()]
    sentence = f"Not healed: {'; '.join(dict.fromkeys(clauses))}."
    update = str(checks.attrs["update"])
    unknown = "" if update else " No model of this package is known to answer it."
    return Misfit(sentence + unknown, update)


def _rows(row: Any) -> str:
    """The rows that a check is of: "rows with level 1"."""
    cell = Subject(row.kind, row.factor, row.columns, row.levels).cell
    return f"rows with {cell}" if row.columns else cell


def _spread(row: Any) -> str:
    # A model with one noise states standard errors by its own spread: a mean of these rows alone
    # has one that is wrong by the ratio of spreads, and a smaller error where groups vary too.
    if row.value > 1:
        times, side, more = row.value, "narrow", "more"
    else:
        times, side, more = 1 / row.value, "wide", "less"
    return (
        f"{_rows(row)} vary {more} than the model says, so that their intervals are "
        f"up to {number(times)} times too {side}, while estimates are not shifted"
    )


def _means(row: Any) -> str:
    return (
        f"the mean of {_rows(row)} is off by {number(abs(row.value))} standard "
        "deviations of a row, and so are estimates for that group alone; averages over all groups "
        "are off by less"
    )


def _tails(_: Any) -> str:
    return (
        "shares of extreme values are not those of the data, so that a rate of errors taken from "
        "this model would be wrong; means, and rates that are counted, bear it"
    )


def _skewness(row: Any) -> str:
    side = "high" if row.value > 0 else "low"
    return (
        f"the noise has a longer tail on the {side} side, which means and their intervals bear, "
        "and a range for single values does not"
    )


def _heavy_tails(_: Any) -> str:
    return (
        "a few rows are farther out than normal noise is: no estimate is shifted to one side, but "
        "single rows count for much, and intervals are wider than those of a model of such noise"
    )


def _unequal_noise(row: Any) -> str:
    return (
        f"levels of {row.factor} are unequally noisy, so that intervals of a single {row.factor} "
        "are too narrow or too wide; those of averages over many are about right"
    )


def _unequal_effects(row: Any) -> str:
    return (
        f"the effect of {row.columns[0]} differs between levels of {row.factor}, so that its "
        "intervals are too narrow for others than those of this study, while the average over "
        "these is not shifted"
    )


def _effects(row: Any) -> str:
    return (
        f"levels are not spread as a normal distribution ({row.of}): averages over the levels bear "
        "it, statements about a single new one do not"
    )


def _clustering(row: Any) -> str:
    return (
        f"rows that share {row.factor} are alike (correlation {number(row.value)}) in more than "
        "the model says, so that intervals may be too narrow, and clear results may be chance"
    )


def _dispersion(row: Any) -> str:
    if row.value < 1:
        return "counts vary less than independent trials do, so that intervals are too wide"
    return (
        "observations of one row are alike, so that intervals are about "
        f"{number(row.value**0.5)} times too narrow"
    )


def _shares(row: Any) -> str:
    return (
        f"answers are not shared out as the model says ({row.of}): probabilities of this answer "
        "are off there, mean answers by less"
    )


def _priors(row: Any) -> str:
    return (
        f"a prior holds {row.of} far from where the data put it, so that estimates with it are a "
        "compromise of the two"
    )


def _draws(row: Any) -> str:
    return (
        f"the draws do not describe the posterior ({row.check}), so that no number of this model "
        "is to be used"
    )


# By kind of check; what is not here is a diagnostic of the draws.
MEANINGS: dict[str, Callable[[Any], str]] = {
    "spread by group": _spread,
    "means by group": _means,
    "tails": _tails,
    SKEWNESS: _skewness,
    HEAVY_TAILS: _heavy_tails,
    UNEQUAL_NOISE: _unequal_noise,
    UNEQUAL_EFFECTS: _unequal_effects,
    SHAPE_OF_EFFECTS: _effects,
    CLUSTERING: _clustering,
    "dispersion": _dispersion,
    "category shares": _shares,
    PRIORS: _priors,
}
