"""Perceived change against network distance: the analysis of a manipulation experiment.

After Liang, Perona and Balakrishnan (ICCV 2023), section 5: how far does each manipulation move a
network, per point of change that people see?
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import xarray as xr

from causalbias.analyses.fitting import fit_models, join
from causalbias.draws.estimate import Estimate
from causalbias.draws.printing import Listed
from causalbias.draws.transformations import per_unit, rank_probabilities
from causalbias.errors import DataError
from causalbias.estimands.contrasts import effects, predictions
from causalbias.models.formula.parts import Formula, formula
from causalbias.models.result import Fit
from causalbias.rates.intervals import binomial_ends
from causalbias.rates.matching import matches
from causalbias.study.frames import to_frame
from causalbias.study.tree import factors_of


@dataclass(frozen=True, repr=False)
class Manipulation(Listed):
    """Result of `analyse_manipulation`.

    Attributes
    ----------
    study : DataTree
    fits : dict of str to Fit
        ``"human: <attribute>"`` and ``"machine: <system>"``.
    human : Dataset
        ``effect`` (chain, draw, level, attribute): change of the mean score against the lowest
        level, in points of the score.
    machine : Dataset or None
        ``prediction`` (chain, draw, attribute, level, system): mean distance, over seeds, of a
        face at the level from its face at the lowest.
    ratio : Dataset or None
        ``ratio`` (chain, draw, attribute, system): distance per point of perceived change, lowest
        to highest level; with ``bounded`` and ``p_sign`` of `per_unit`.
    ranks : dict of str to DataArray
        Probability of each rank of the attributes (1 the largest) by "human", "machine", "ratio".
    nonmatch : DataFrame or None
        Share of same-seed edits whose distance is beyond the system's operating threshold.
    prob : float
        Probability of the intervals.
    corrected : Estimate or None
        From `leak_corrected`, if the report is to have naive and corrected effects side by side:
        ``dataclasses.replace(result, corrected=found)``. `analyse_manipulation` makes none, since
        it needs scores of every face for every attribute, and distances that can rise and fall.
    """

    study: xr.DataTree
    fits: dict[str, Fit]
    human: xr.Dataset
    machine: xr.Dataset | None
    ratio: xr.Dataset | None
    ranks: dict[str, xr.DataArray]
    nonmatch: pd.DataFrame | None
    prob: float
    corrected: Estimate | None = None


def analyse_manipulation(
    study: xr.DataTree,
    *,
    prob: float = 0.95,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> Manipulation:
    """Estimate what each manipulation changes for people and for each network, and the ratio.

    People: one model for each attribute (`human_formula`), since raters of different attributes
    answer different questions, whose scores differ in spread; raters also differ in how much change
    they see. Networks: one model for each system (`machine_formula`), on pairs of the same seed of
    which one member is at the lowest level; the noise of distances differs by attribute.

    Parameters
    ----------
    study : DataTree
        Factors `seed`, `attribute`, `level`; judgements of attribute and level; optionally
        distances.
    prob : float
        Probability of the intervals, and of the check that a perceived change is not zero.
    draws, tune, chains, random_seed
        As in `fit`.
    progress : callable
        Called with a line of text before each model is fitted.
    keep : Path, optional
        Directory in which to save each fit (see `fit`'s `file`), so that an interrupted run
        resumes.

    Returns
    -------
    Manipulation

    Raises
    ------
    DataError
        If the study has not these factors, has factors race and gender too, or no attribute with
        two levels.
    """
    require_manipulation(study)
    fit_each = partial(
        fit_models,
        progress=progress,
        keep=keep,
        draws=draws,
        tune=tune,
        chains=chains,
        random_seed=random_seed,
    )
    judged = {str(one): rows for one, rows in to_frame(study, "human").groupby("attribute")}
    of_people = fit_each(
        {f"people: {one}": (human_formula(rows), rows) for one, rows in judged.items()}
    )
    fits = {f"human: {one}": of_people[f"people: {one}"] for one in judged}
    human = join({one: effects(fits[f"human: {one}"], "level") for one in judged}, "attribute")
    ranks = {"human": _ranks(human["effect"])}
    if "machine" not in study.children:
        return Manipulation(study, fits, human, None, None, ranks, None, prob)
    edits = {str(one): rows for one, rows in edits_of(study).groupby("system")}
    of_networks = fit_each(
        {f"network: {one}": (machine_formula(rows), rows) for one, rows in edits.items()}
    )
    fits |= {f"machine: {one}": of_networks[f"network: {one}"] for one in edits}
    machine = join(
        {one: _mean_distances(fits[f"machine: {one}"], rows) for one, rows in edits.items()},
        "system",
    )
    ratio = _distance_per_point(study, human, machine, prob)
    ranks["machine"] = _ranks(machine["prediction"])
    ranks["ratio"] = rank_probabilities(ratio["ratio"], "attribute")
    nonmatch = nonmatch_rates(study, prob=prob)
    return Manipulation(study, fits, human, machine, ratio, ranks, nonmatch, prob)


def require_manipulation(study: xr.DataTree) -> None:
    """Refuse a study that lacks what `analyse_manipulation` needs, or has more than it models.

    Raises
    ------
    DataError
        That names the factors or judgements that are missing, or the groups that would be pooled.
    """
    factors = factors_of(study)
    missing = {"seed", "attribute", "level"} - set(factors)
    if missing:
        raise DataError(
            f"the study has factors {', '.join(factors)}, but no {', '.join(sorted(missing))}",
            hint="this analysis needs factors seed, attribute and level",
        )
    if {"race", "gender"} <= set(factors):
        raise DataError(
            "the study has faces of several races and genders of each seed, which this analysis "
            "would pool",
            hint="analyse the faces of one race and gender, as a study without these factors",
        )
    if "human" not in study.children:
        raise DataError(
            "the study has no human judgements",
            hint="give judgements of attribute and level to make_study",
        )


def judges_pairs(study: xr.DataTree) -> bool:
    """Whether people judged pairs of faces, and so whether both show one person."""
    return "pair" in study.children["human"].to_dataset().coords


def human_formula(judgements: pd.DataFrame) -> str:
    """Formula of the scores of one attribute.

    Raters differ in how much change they see. An interval that is to hold for other raters has to
    allow for that, with a slope of each rater, where most raters have more than two judgements:
    with two, a slope is not told from noise.

    Examples
    --------
    >>> seen = pd.DataFrame({"annotator": ["a", "a", "a", "b", "b", "b"], "level": [0, 1, 2] * 2})
    >>> human_formula(seen)
    'score ~ C(level) + (level|annotator)'
    >>> human_formula(seen[seen["level"] > 0])
    'score ~ C(level) + (1|annotator)'
    """
    seen = judgements.groupby("annotator")["level"].agg(["size", "nunique"])
    enough = ((seen["size"] > 2) & (seen["nunique"] > 1)).mean() > 0.5
    slopes = enough and pd.api.types.is_numeric_dtype(judgements["level"])
    return f"score ~ C(level) + ({'level' if slopes else '1'}|annotator)"


def machine_formula(edits: pd.DataFrame) -> Formula:
    """Formula of the distances of edits, without the terms that a small design cannot estimate.

    Attributes are compared, and move a network more or less evenly: each has a noise of its own.

    Examples
    --------
    >>> edits = pd.DataFrame({"attribute": ["age", "age", "pose"], "level_b": [1, 2, 1]})
    >>> machine_formula(edits)
    distance ~ attribute*C(level_b) + (1|seed) + (1|seed:attribute)
    sigma ~ attribute
    >>> machine_formula(edits[:2])
    distance ~ C(level_b) + (1|seed)
    >>> machine_formula(edits[:1])
    distance ~ 1
    """
    attributes, levels = edits["attribute"].nunique() > 1, edits["level_b"].nunique() > 1
    terms = ["attribute"] * attributes + ["C(level_b)"] * levels
    # With a single distance of each seed (or seed and attribute), the group effect and the residual
    # are not identified separately.
    groups = " + (1|seed)" * (attributes or levels)
    groups += " + (1|seed:attribute)" * (attributes and levels)
    noise = {"sigma": "~ attribute"} if attributes else {}
    return formula(f"distance ~ {'*'.join(terms) or '1'}{groups}", **noise)


def _mean_distances(fit: Fit, edits: pd.DataFrame) -> xr.Dataset:
    """Mean distance over seeds by attribute and level, also if there is a single one of either."""
    varying = [name for name in ("attribute", "level_b") if edits[name].nunique() > 1]
    found = predictions(fit, varying)
    for name in ("attribute", "level_b"):
        if name not in varying:
            found = found.expand_dims({name: [edits[name].iloc[0]]})
    found["prediction"] = found["prediction"].transpose("chain", "draw", "attribute", "level_b")
    return found.rename(level_b="level")


def _distance_per_point(
    study: xr.DataTree, human: xr.Dataset, machine: xr.Dataset, prob: float
) -> xr.Dataset:
    moved, seen = xr.align(_widest(machine["prediction"]), _widest(human["effect"]), join="inner")
    ratio = per_unit(moved, seen, prob=prob).assign_attrs(
        outcome="distance per point of perceived change",
        scale="response",
    )
    return ratio.assign(
        n_edits=_widest(machine["n"]), n_raters=("attribute", _raters(study, ratio))
    )


def edits_of(study: xr.DataTree) -> pd.DataFrame:
    """Distances of each seed's edited faces from its own face at the lowest level."""
    frame = to_frame(study, "machine")
    lowest = min(frame["level_a"].min(), frame["level_b"].min())
    frame = _lower_first(frame)
    same = frame["same_identity"] & (frame["attribute_a"] == frame["attribute_b"])
    kept = frame[same & (frame["level_a"] == lowest) & (frame["status"] == "ok")]
    if kept.empty:
        raise DataError(
            "no pair joins two levels of one seed and attribute",
            hint="give genuine pairs of which one member is at the lowest level",
            file="/pairs",
        )
    return kept


def _lower_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Pairs with their members in order of level; a distance is symmetric."""
    turned = frame["level_a"] > frame["level_b"]
    members = [name[:-2] for name in map(str, frame) if name.endswith("_a")]
    frame = frame.copy()
    for member in members:
        first, second = f"{member}_a", f"{member}_b"
        a, b = frame[first], frame[second]
        frame[first], frame[second] = a.where(~turned, b), b.where(~turned, a)
    return frame


def nonmatch_rates(study: xr.DataTree, *, prob: float = 0.95) -> pd.DataFrame:
    """Share of same-seed edits that a network takes for another person.

    This is the manipulation-induced non-match rate: pairs are of one generated identity, edited on
    purpose. Each seed is in a cell once, so that the pairs of a cell are exchangeable and the
    binomial interval (Clopper and Pearson's, as for all rates) is valid.

    Parameters
    ----------
    study : DataTree
    prob : float
        Probability of the interval.

    Returns
    -------
    DataFrame
        `system`, `attribute`, `level`, `threshold`, `failures`, `n` (edits), `rate`, `lower`,
        `upper`; systems without a threshold are left out.
    """
    edits = edits_of(study).dropna(subset="threshold")
    edits = edits.assign(
        beyond=~matches(*(edits[name].to_numpy(float) for name in ("distance", "threshold")))
    )
    keys = ["system", "attribute", "level_b", "threshold"]
    table = edits.groupby(keys)["beyond"].agg(failures="sum", n="size").reset_index()
    k, n = table["failures"].to_numpy(), table["n"].to_numpy()
    lower, upper = binomial_ends(k, n, prob)
    table = table.rename(columns={"level_b": "level"})
    return table.assign(rate=k / n, lower=lower, upper=upper)


def _raters(study: xr.DataTree, ratio: xr.Dataset) -> list[int]:
    per = to_frame(study, "human").groupby("attribute")["annotator"].nunique()
    return [int(per[str(attribute)]) for attribute in ratio["attribute"].values]


def _ranks(draws: xr.DataArray) -> xr.DataArray:
    return rank_probabilities(_widest(draws), "attribute")


def _widest(draws: xr.DataArray) -> xr.DataArray:
    """The contrast of the highest level with the lowest."""
    return draws.sel(level=draws["level"].max(), drop=True)
