"""People and systems on the same items: accuracy, odds ratios by group, own-group effects."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.analyses.fitting import fit_models, join
from causalbias.analyses.human_machine.tables import (
    CONSENSUS,
    IDENTIFICATION,
    OF_ANNOTATOR,
    PEOPLE,
    PERSON,
    SYSTEM,
    Tables,
    consensus_of,
    tables_in,
)
from causalbias.analyses.own_group import check_groups, crossed, own_group_contrast, several
from causalbias.arguments import generator, mapping_in, names_in, number_in, whole_in
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.printing import Listed
from causalbias.draws.summaries import RATE_RATIO, SAMPLE, summarise
from causalbias.errors import DataError
from causalbias.estimands.coefficients import group_effects
from causalbias.estimands.contrasts import effects, predictions
from causalbias.models.result import Fit, frame_of, spec_of
from causalbias.rates.differentials import AT_LEAST, AT_MOST, NONE, TWO_SIDED

PRIOR = "HalfNormal(1)"  # of standard deviations of effects on the log odds
ALL = "all"
TINY = 1e-12
SYSTEMS, RATIO = "systems", "systems / people"


@dataclass(frozen=True, repr=False)
class HumanMachine(Listed):
    """Result of `analyse_human_machine`.

    Attributes
    ----------
    tables : Tables
        Answers with their items, right or wrong, and what was left out.
    fits : dict of str to Fit
        The model of each task, and that of each own-group effect ("own group: gender").
    accuracy : Estimate
        ``accuracy`` (chain, draw, task, subjects, judge): probability of a right answer, of people
        (the mean of other people and other items like these), of each system and of the consensus
        (other items like these); ``above_chance``: (accuracy - chance) / (1 - chance); ``chance``
        (task); ``n`` and ``right``: answers.
    odds : Estimate
        ``odds_ratio`` (chain, draw, task, contrast, of) of a right answer, of "people", of
        "systems", and "systems / people", their ratio: differential item functioning. Above one,
        the first named group is easier, or is so for systems more than for people. Item, ability
        and the other groups held.
    each : Estimate
        ``odds_ratio`` (chain, draw, task, contrast, judge) of each system and of the consensus:
        of their shares of right answers, nothing held.
    own_group : Estimate or None
        ``odds_ratio`` (chain, draw, group) of people's right answers to subjects of their own
        group against others; differences between groups of subjects and of people cancel.
    difficulty : Estimate or None
        ``correlation`` (chain, draw, task) of what is hard for people and for systems, among items
        of the same groups; ``items`` (task): their number. None with one system.
    consensus : DataFrame
        By item, see `consensus_of`.
    counts : DataFrame
        By task, judge ("people" together, each system, "consensus"), `same` and the groups:
        `right`, `n` and `share`. No model.
    abilities, easiness : DataFrame
        Of each annotator and system, and of each item for people and for systems: `estimate`,
        `lower`, `upper`, in log odds from the mean of their kind, or of the item's groups.
    prob : float
        Probability of the intervals.
    """

    tables: Tables
    fits: dict[str, Fit]
    accuracy: Estimate
    odds: Estimate
    each: Estimate
    own_group: Estimate | None
    difficulty: Estimate | None
    consensus: pd.DataFrame
    counts: pd.DataFrame
    abilities: pd.DataFrame
    easiness: pd.DataFrame
    prob: float


def analyse_human_machine(
    people: pd.DataFrame | str | Path,
    systems: pd.DataFrame | str | Path,
    items: pd.DataFrame | str | Path,
    *,
    groups: str | Sequence[str],
    annotators: pd.DataFrame | str | Path | None = None,
    own: Mapping[str, str] | None = None,
    annotator: str = "annotator",
    item: str = "item",
    answer: str = "answer",
    system: str = "system",
    score: str = "",
    option: str = "",
    threshold: float | Mapping[str, float] | None = None,
    truth: str = "truth",
    task: str = "",
    options: int = 9,
    prob: float = 0.95,
    draws: int = 1000,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> HumanMachine:
    """Compare the bias of people and of systems in face recognition, on the same items.

    As Dooley and others (2021), "Comparing human and machine bias in face recognition", with one
    item-response model of people and systems for each task (Rasch 1960; De Boeck and Wilson 2004).
    The log odds that judge j, of the kind k (person or system), answers item i rightly are

    mean_k + ability_j + easiness_ik + sum over groups of the subject of gap_kg,

    for pairs with a difference of same and different ones, by kind. Abilities and easiness are
    normal; an item may be easier for people than for systems, and both are correlated. The
    exponentials of gaps are odds ratios with the item controlled for; that of systems over that of
    people is differential item functioning, with an interval over items. The gaps of systems are
    the mean of these systems'. Own-group effects have a model of people's answers alone.

    Guessing is no part of the model: odds are of all right answers, whose floor is 1/2 in
    verification and 1/`options` in identification. Where accuracy is near the floor, odds ratios
    are nearer to one than those of what judges know.

    Parameters
    ----------
    people : DataFrame or path
        One row per answer of an annotator to an item, or a CSV, TSV or Parquet file of such rows.
    systems : DataFrame or path
        One row per answer of a system to an item; with `score`, one row per pair, or per option of
        an identification item, with its similarity.
    items : DataFrame or path
        One row per item: its truth, task and the groups of the subject.
    groups : str or sequence of str
        Columns of the items' table, such as gender and skin_type. The first level is the reference.
    annotators : DataFrame or path, optional
        One row per annotator, with their groups.
    own : mapping of str to str, optional
        Of each of the `groups`, the column of the annotators' table with groups of the same names;
        by default the columns that are called as the groups are.
    annotator, item, answer, system : str
        Columns of ids and answers. Answers to pairs say same or different (or true and false, 1 and
        0); to identification items, which option, as the truth of the item is written.
    score : str
        In place of systems' answers: column of similarities, larger for more alike.
    option : str
        With `score`: column of the option; missing for pairs.
    threshold : float or mapping of system to float, optional
        Pairs whose similarity is at or above it match.
    truth : str
        Column of the items' table: the right answer.
    task : str
        Column of the items' table: "verification" or "identification". By default all items are
        pairs.
    options : int
        Among how many an identification item chooses; sets the accuracy of guessing.
    prob : float
        Probability of the intervals.
    draws, random_seed
        As in `fit`.
    progress, keep
        As in `analyse_ratings`.

    Returns
    -------
    HumanMachine
        What was left out is counted in ``tables.excluded``.

    Raises
    ------
    DataError
        If a column is missing, an item, annotator or answer of a system is there twice, a cell is
        no answer, all items have one group, scores of pairs have no threshold or are distances by
        name, or groups of subjects and annotators share no name.

    Examples
    --------
    >>> import causalbias as cb
    >>> people, systems, items, who = cb.simulation.simulate_human_machine(
    ...     12, 16, answers=8, systems=2)
    >>> found = cb.analyses.analyse_human_machine(
    ...     people, systems, items[items["task"] == "verification"], groups=["gender"],
    ...     score="score", option="option", threshold=0.5, draws=100)
    >>> found.odds["of"].values.tolist()
    ['people', 'systems', 'systems / people']
    """
    prob, options = number_in(prob, "prob", 0, 1), whole_in(options, "options", 2)
    of_groups = names_in(groups, "groups")
    if not of_groups:
        raise DataError("no groups are named", hint='name columns, as groups=["gender"]')
    columns = {"annotator": annotator, "item": item, "answer": answer, "system": system}
    columns |= {"score": score, "option": option, "truth": truth, "task": task}
    tables = tables_in(
        people,
        systems,
        items,
        annotators,
        columns,
        of_groups,
        _own_columns(annotators, own, of_groups),
        threshold,
    )
    fitted = {"progress": progress, "keep": keep, "draws": draws, "random_seed": random_seed}
    rows, models = tables.rows, {}
    for name in dict.fromkeys(tables.items["task"]):
        of_task = _checked(rows[rows["task"] == name], name, tables)
        models[name] = formula_of(of_task, of_groups), of_task
    known = {group: _own_rows(tables, group) for group in tables.own}
    for group, own_rows in known.items():
        models[_own_name(group)] = own_formula(own_rows, group, of_groups), own_rows
    fits = _fits(models, fitted)
    of_tasks = {name: fits[name] for name in dict.fromkeys(tables.items["task"])}
    own_group = {
        group: _own_group(fits[_own_name(group)], own_rows, group)
        for group, own_rows in known.items()
    }
    consensus = consensus_of(rows)
    judged = _judged(rows, consensus)
    accuracy = _accuracy(of_tasks, judged, of_groups, options, random_seed)
    return HumanMachine(
        tables,
        fits,
        accuracy,
        join({one: _odds(fit, judged, one, of_groups) for one, fit in of_tasks.items()}, "task"),
        _each(accuracy, of_groups, judged),
        _joined_own(own_group),
        _difficulty(of_tasks),
        consensus,
        _counts(judged, of_groups),
        _levels(of_tasks, "judge", prob),
        _levels(of_tasks, "item", prob),
        prob,
    )


def formula_of(rows: pd.DataFrame, groups: Sequence[str]) -> str:
    """Formula of a task's model: what these answers can tell.

    With one system, an item is taken to be as much harder or easier for it as for people.

    Examples
    --------
    >>> rows = pd.DataFrame({"kind": ["person"] * 4 + ["system"] * 4, "item": ["p", "q"] * 4,
    ...                      "judge": [*"aabb", "S", "S", "T", "T"], "same": [0.5, -0.5] * 4,
    ...                      "gender": ["female", "male"] * 4})
    >>> formula_of(rows, ["gender"])
    'correct ~ kind*same + kind*gender + (0 + kind|item) + (0 + person|judge) + (0 + machine|judge)'
    """
    terms = [f"kind*{one}" for one in ("same", *groups) if several(rows, one)] or ["kind"]
    person = rows["kind"] == PERSON
    systems = rows.loc[~person, "judge"].nunique()
    if rows["item"].duplicated().any():
        terms.append("(0 + kind|item)" if systems > 1 else "(1|item)")
    if rows.loc[person, "judge"].duplicated().any():
        terms.append("(0 + person|judge)")
    if systems > 1:
        terms.append("(0 + machine|judge)")
    return f"correct ~ {' + '.join(terms)}"


def own_formula(rows: pd.DataFrame, group: str, groups: Sequence[str]) -> str:
    """Formula of the model of an own-group effect: what people's answers can tell.

    Examples
    --------
    >>> rows = pd.DataFrame({"task": "verification", "same": [0.5, -0.5] * 4,
    ...                      "judge": [*"aabbccdd"], "item": [*"pqrspqrs"], "gender": [*"fmfmfmfm"],
    ...                      "annotator_gender": [*"ffffmmmm"]})
    >>> own_formula(rows, "gender", ["gender"])
    'correct ~ gender*annotator_gender + same + (1|item) + (1|judge)'
    """
    theirs = OF_ANNOTATOR + group
    terms = [f"{group}*{theirs}"]
    terms += [one for one in ("task", "same", *groups) if one != group and several(rows, one)]
    for one, other in (("item", theirs), ("judge", group)):
        if rows[one].duplicated().any():
            terms.append(f"(1|{one})")
        if crossed(rows, one, other):
            terms.append(f"(1|{one}:{other})")
    return f"correct ~ {' + '.join(terms)}"


def _own_name(group: str) -> str:
    """Name of the model of whether people are better with their own group."""
    return f"own group: {group}"


def _fits(
    models: Mapping[str, tuple[str, pd.DataFrame]], fitted: Mapping[str, Any]
) -> dict[str, Fit]:
    """Logistic models by the Laplace engine, which takes seconds; their failures are marked."""
    terms = {
        name: re.findall(r"\((?:0 \+ )?([^)]*\|[^)]*)\)", formula)
        for name, (formula, _) in models.items()
    }
    return fit_models(
        # without what was answered, which groups no rows
        {name: (formula, rows.drop(columns="answer")) for name, (formula, rows) in models.items()},
        family="bernoulli",
        method="laplace",
        priors={name: dict.fromkeys(own, PRIOR) for name, own in terms.items()},
        **fitted,
    )


def _own_columns(
    annotators: object, own: Mapping[str, str] | None, groups: Sequence[str]
) -> dict[str, str]:
    """Columns of the annotators' groups, by that of the subjects."""
    if annotators is None:
        if own:
            raise DataError("own= without annotators=", hint="give the table that it is of")
        return {}
    if own is None:
        return {one: one for one in groups}
    mapping_in(own, "own", 'a column by group: own={"gender": "participant_gender"}')
    for one in own:
        if one not in groups:
            raise DataError(f"own= has {one!r}", hint=f"use one of {', '.join(groups)}")
    return dict(own)


def _checked(rows: pd.DataFrame, task: str, tables: Tables) -> pd.DataFrame:
    """Refuse a task of which nothing could be said."""
    for kind, answers in ((PERSON, tables.people), (SYSTEM, tables.systems)):
        own = rows[rows["kind"] == kind]
        if own.empty:
            raise DataError(
                f"no {kind} answered an item of {task}",
                hint="leave the items of this task out",
                file=answers.name,
            )
        if kind == PERSON and own["correct"].nunique() < 2:
            said = {0: "wrong", 1: "right"}
            raise DataError(
                f"{task}: all answers of people are {said[own['correct'].iloc[0]]}",
                hint="see whether answers and truths are written alike; else there is no model",
                file=answers.name,
            )
        items = own.drop_duplicates("item")[["same", *tables.groups]]
        varying = [one for one in map(str, items) if items[one].nunique() > 1]
        if not set(varying) & set(tables.groups):
            raise DataError(
                f"{task}: all items that a {kind} answered are of one group",
                hint="leave the items of this task out",
                file=answers.name,
            )
        coded = pd.get_dummies(items[varying].astype(str), drop_first=True).assign(one=1)
        if np.linalg.matrix_rank(coded.to_numpy(float)) < coded.shape[1]:
            raise DataError(
                f"{task}: among the items that a {kind} answered, {', '.join(varying)} are not "
                "to be told apart",
                hint="leave one of the groups out"
                + (" (same: pairs of one person, and of two)" if "same" in varying else ""),
                file=answers.name,
            )
    return rows


def _own_rows(tables: Tables, group: str) -> pd.DataFrame:
    """People's answers whose annotator has a group, which must share names with the subjects'."""
    theirs = OF_ANNOTATOR + group
    rows = tables.rows[tables.rows["kind"] == PERSON]
    known = rows[rows[theirs].notna()].reset_index(drop=True)
    if known.empty:
        raise DataError(
            f"no annotator who answered has a {group}",
            hint="write annotators alike in both tables, or leave own-group effects out",
        )
    known = known.assign(**{theirs: known[theirs].astype(str)})
    answers = replace(
        tables.people,
        frame=known,
        columns=tables.people.columns | {theirs: theirs, group: group},
        rows=np.arange(len(known)) + 1,
    )
    check_groups(answers, {"item": group, "judge": theirs})
    return known


def _own_group(fit: Fit, rows: pd.DataFrame, group: str) -> Estimate:
    """Odds ratio of answers on the own group, all else held: from a grid of both groups."""
    theirs = OF_ANNOTATOR + group
    there = rows[group].cat.remove_unused_categories().cat.categories
    levels = [list(there), sorted(rows[theirs].unique())]
    grid = pd.DataFrame(list(product(*levels)), columns=[group, theirs])
    grid[group] = pd.Categorical(grid[group], rows[group].cat.categories)
    held = [one for one in rows if one not in (group, theirs, "item", "judge", "correct")]
    grid = grid.assign(**{str(one): rows[one].iloc[0] for one in held})
    cells = predictions(fit, [group, theirs], scale="link", newdata=grid)
    contrast = own_group_contrast(cells["prediction"], group, theirs)
    if contrast is None:
        raise DataError(
            f"fewer than two groups of {group} are those of subjects and of annotators",
            hint="leave this group out of own=",
        )
    found = xr.apply_ufunc(np.exp, contrast).assign_attrs(quantity=RATE_RATIO)
    return estimate(
        xr.Dataset({"odds_ratio": found, "interval": TWO_SIDED, "n": len(rows)}),
        of=[fit],
        variable="odds_ratio",
        estimand="odds ratio of people's right answers: subjects of the own group against others",
        outcome="odds ratio, own group against others",
        scale="odds ratio",
    )


def _joined_own(parts: dict[str, Estimate]) -> Estimate | None:
    if not parts:
        return None
    found = join({**parts}, "group")
    found["odds_ratio"].attrs["quantity"] = RATE_RATIO
    return found


def _judged(rows: pd.DataFrame, consensus: pd.DataFrame) -> pd.DataFrame:
    """Right and wrong answers by judge, with people together and their consensus as a judge."""
    judge = rows["judge"].where(rows["kind"] == SYSTEM, PEOPLE)
    agreed = consensus[consensus["correct"].notna()].assign(judge=CONSENSUS, kind=CONSENSUS)
    columns = [one for one in agreed if one in rows]
    return pd.concat([rows[columns].assign(judge=judge), agreed[columns]], ignore_index=True)


def _subjects(rows: pd.DataFrame, groups: Sequence[str]) -> dict[str, pd.Series]:
    """Rows of all subjects and of each level of each group, by label."""
    found = {ALL: pd.Series(True, rows.index)}
    for one in groups:
        for level in rows[one].cat.categories:
            found[f"{one}: {level}"] = rows[one] == level
    return found


def _accuracy(
    fits: Mapping[str, Fit],
    judged: pd.DataFrame,
    groups: Sequence[str],
    options: int,
    random_seed: int,
) -> Estimate:
    """Probability of a right answer by subjects and judge, and how far it is above chance."""
    parts: dict[str, xr.Dataset] = {}
    for at, (task, fit) in enumerate(fits.items()):
        rows = judged[judged["task"] == task]
        chance = 1 / options if task == IDENTIFICATION else 0.5
        shares = _shares(fit, rows, groups, generator(random_seed, 1, at))
        above = (shares["accuracy"] - chance) / (1 - chance)
        parts[task] = estimate(
            shares.assign(above_chance=above, chance=chance),
            of=[fit],
            variable="accuracy",
            estimand="probability of a right answer",
            outcome="accuracy",
            scale="probability",
        )
    return join(parts, "task")


def _shares(
    fit: Fit, rows: pd.DataFrame, groups: Sequence[str], random: np.random.Generator
) -> xr.Dataset:
    """Accuracies of one task (chain, draw, subjects, judge), with `n` and `right`.

    People's are the model's; a system's and the consensus's, one answer an item, are draws of
    Beta(right + 1/2, wrong + 1/2).
    """
    whole = predictions(fit, "kind")["prediction"].sel(kind=PERSON, drop=True)
    people = {ALL: whole}
    for one in groups:
        if several(rows, one):
            cells = predictions(fit, ["kind", one])["prediction"].sel(kind=PERSON, drop=True)
            people |= {
                f"{one}: {level}": cells.sel({one: level}, drop=True) for level in cells[one].values
            }
    subjects, judges = _subjects(rows, groups), list(dict.fromkeys(rows["judge"]))
    shape = (len(subjects), len(judges))
    right, n = np.zeros(shape, int), np.zeros(shape, int)
    draws = np.full((*whole.shape, *shape), np.nan)
    for at, (label, chosen) in enumerate(subjects.items()):
        for of, judge in enumerate(judges):
            own = rows.loc[chosen & (rows["judge"] == judge), "correct"]
            right[at, of], n[at, of] = int(own.sum()), len(own)
            if judge == PEOPLE:
                if label in people:
                    draws[..., at, of] = people[label].transpose(*SAMPLE)
            elif len(own):
                wrong = n[at, of] - right[at, of]
                drawn = random.beta(right[at, of] + 0.5, wrong + 0.5, whole.shape)
                draws[..., at, of] = drawn.clip(TINY, 1 - TINY)  # whose odds are finite
    dims = ("subjects", "judge")
    return xr.Dataset(
        {"accuracy": ((*SAMPLE, *dims), draws), "n": (dims, n), "right": (dims, right)},
        coords={
            "chain": whole["chain"],
            "draw": whole["draw"],
            "subjects": list(subjects),
            "judge": judges,
        },
    )


def _contrasts(rows: pd.DataFrame, groups: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Group, level and reference of each contrast, by label; levels without rows are left out."""
    found = {}
    for one in groups:
        there = [level for level in rows[one].cat.categories if (rows[one] == level).any()]
        for level in there[1:]:
            found[f"{one}: {level} / {there[0]}"] = (one, str(level), str(there[0]))
    return found


def _odds(fit: Fit, judged: pd.DataFrame, task: str, groups: Sequence[str]) -> Estimate:
    """Odds ratios of people, of systems, and their ratio, from a task's model."""
    rows = judged[judged["task"] == task]
    contrasts = _contrasts(rows, groups)
    drawn, kinds, numbers = [], [], []
    references = {one: reference for one, _, reference in contrasts.values()}
    each = {
        one: effects(fit, one, by="kind", reference=reference, scale="link")["effect"]
        for one, reference in references.items()
    }
    for one, level, reference in contrasts.values():
        log = each[one].sel({one: level}, drop=True)
        people, systems = (log.sel(kind=kind, drop=True) for kind in (PERSON, SYSTEM))
        both = [people, systems, systems - people]
        drawn.append(xr.concat(both, pd.Index([PEOPLE, SYSTEMS, RATIO], name="of")))
        open_ends, counts = [], []
        for kind in (PERSON, SYSTEM):
            own = rows[rows["kind"] == kind]
            cells = [own.loc[own[one] == value, "correct"] for value in (level, reference)]
            open_ends.append(_open(*(((cell == 1).sum(), (cell == 0).sum()) for cell in cells)))
            counts.append(sum(map(len, cells)))
        (up_p, down_p), (up_s, down_s) = open_ends
        open_ends.append((up_s or down_p, down_s or up_p))
        kinds.append([_interval(*ends) for ends in open_ends])
        numbers.append([*counts, sum(counts)])
    odds = xr.apply_ufunc(np.exp, xr.concat(drawn, pd.Index(list(contrasts), name="contrast")))
    dims = ("contrast", "of")
    return _odds_ratios(
        odds.transpose(*SAMPLE, *dims),
        (dims, kinds),
        (dims, numbers),
        [fit],
        "odds ratio of a right answer by group of the subject",
    )


def _each(accuracy: Estimate, groups: Sequence[str], judged: pd.DataFrame) -> Estimate:
    """Odds ratios of single systems and of the consensus, from their shares of right answers."""
    judges = [one for one in accuracy["judge"].values if one != PEOPLE]
    own = accuracy.sel(judge=judges)
    odds, right = own["accuracy"] / (1 - own["accuracy"]), own["right"]
    wrong = own["n"] - right
    contrasts = _contrasts(judged, groups)
    drawn, kinds, numbers = [], [], []
    for one, level, reference in contrasts.values():
        a, b = ({"subjects": f"{one}: {value}"} for value in (level, reference))
        drawn.append(odds.sel(a, drop=True) / odds.sel(b, drop=True))
        up = (wrong.sel(a) == 0) | (right.sel(b) == 0)
        down = (right.sel(a) == 0) | (wrong.sel(b) == 0)
        kinds.append(xr.apply_ufunc(np.vectorize(_interval, otypes=[object]), up, down))
        numbers.append(own["n"].sel(a) + own["n"].sel(b))
    index = pd.Index(list(contrasts), name="contrast")
    kind, number = (
        xr.concat(one, index, coords="minimal", compat="override")
        .drop_vars("subjects", errors="ignore")
        .transpose("task", "contrast", "judge")
        for one in (kinds, numbers)
    )
    found = xr.concat(drawn, index).transpose(*SAMPLE, "task", "contrast", "judge")
    return _odds_ratios(
        found, kind, number, [accuracy], "odds ratio of shares of right answers, nothing held"
    )


def _open(level: tuple[int, int], reference: tuple[int, int]) -> tuple[bool, bool]:
    """Whether an odds ratio has no upper and no lower limit: from right and wrong answers."""
    (right, wrong), (of_right, of_wrong) = level, reference
    return wrong == 0 or of_right == 0, right == 0 or of_wrong == 0


def _interval(up: bool, down: bool) -> str:
    """Kind of the interval of an odds ratio that may be unbounded above, or below (toward 0)."""
    if up and down:
        return NONE
    return AT_LEAST if up else AT_MOST if down else TWO_SIDED


def _odds_ratios(
    odds: xr.DataArray, interval: Any, n: Any, of: Sequence[xr.Dataset | Fit], estimand: str
) -> Estimate:
    """An estimate of odds ratios, stated where no cell is without errors or right answers."""
    found = xr.Dataset({"odds_ratio": odds.assign_attrs(quantity=RATE_RATIO), "n": n})
    found = found.assign(interval=interval)
    found["interval"] = found["interval"].astype(str)
    return estimate(
        found.assign(supported=found["interval"] == TWO_SIDED),
        of=list(of),
        variable="odds_ratio",
        estimand=estimand,
        outcome="odds ratio",
        scale="odds ratio",
    )


def _difficulty(fits: Mapping[str, Fit]) -> Estimate | None:
    """Correlation of what is easy for people and for systems, among items of the same groups."""
    found: dict[str, xr.Dataset] = {}
    for task, fit in fits.items():
        posterior = fit.children["posterior"].to_dataset()
        if "cor|item" in posterior:
            values = posterior["cor|item"]
            pair = next(str(one) for one in values.dims if one not in SAMPLE)
            found[task] = estimate(
                xr.Dataset(
                    {
                        "correlation": values.isel({pair: 0}, drop=True),
                        "items": posterior.sizes["item__factor_dim"],
                    }
                ),
                of=[fit],
                variable="correlation",
                estimand="correlation of items' difficulty for people and for systems",
                outcome="correlation",
                scale="correlation",
                population="new",
            )
    return join(found, "task") if found else None


def _counts(judged: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """Right answers by task, judge, kind of pair and groups."""
    order = {one: pd.Categorical(judged[one], judged[one].unique()) for one in ("task", "judge")}
    pair = judged["same"].map({0.5: "same", -0.5: "different", 0.0: ""})
    by = ["task", "judge", "same", *groups]
    found = judged.assign(same=pair, **order).groupby(by, observed=True)["correct"]
    table = found.agg(right="sum", n="size").reset_index()
    table["right"] = table["right"].astype(int)
    return table.astype(dict.fromkeys(order, str)).assign(share=table["right"] / table["n"])


def _levels(fits: Mapping[str, Fit], factor: str, prob: float) -> pd.DataFrame:
    """Effects of judges, or of items, with intervals: those of the kind that they are of."""
    parts = []
    for task, fit in fits.items():
        if not re.search(rf"\|{factor}\)", str(spec_of(fit).formula)):
            continue
        drawn = group_effects(fit, factor)
        table = summarise(drawn, prob=prob)
        kind_of = frame_of(fit).drop_duplicates("judge").set_index("judge")["kind"].astype(str)
        words = {"person": PERSON, "machine": SYSTEM, "kind[person]": PERSON}
        words |= {"kind[system]": SYSTEM}
        table = table.assign(task=task, kind=table["term"].map(words).fillna("both"))
        if factor == "judge":
            table = table[table["kind"] == table["level"].map(kind_of)]
        table = table.rename(columns={"level": factor})
        parts.append(table[["task", factor, "kind", "estimate", "lower", "upper", "converged"]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
