"""Answers of people and systems to the same items, as one table of right and wrong ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from causalbias.analyses.yes_no import said_yes
from causalbias.arguments import number_in
from causalbias.datasets.answers import Answers, answers_in
from causalbias.datasets.scores.checks import check_unit
from causalbias.datasets.scores.names import words
from causalbias.errors import DataError
from causalbias.study.build import exclusions
from causalbias.study.columns import by_levels
from causalbias.study.tables import check_spelling

VERIFICATION, IDENTIFICATION = "verification", "identification"
BACKWARDS = 0.25  # share of comparisons: below it, the numbers are no similarities
FEW = 10  # pairs of one person, or of two
TASKS = {"verify": VERIFICATION, "1:1": VERIFICATION, "identify": IDENTIFICATION} | {
    **{"1:n": IDENTIFICATION, VERIFICATION: VERIFICATION, IDENTIFICATION: IDENTIFICATION}
}
PERSON, SYSTEM = "person", "system"
CONSENSUS, PEOPLE = "consensus", "people"
OF_ANNOTATOR = "annotator_"  # before the name of a group: that of the annotator
OURS = ("judge", "kind", "item", "task", "truth", "same", "answer", "correct", "person", "machine")
DISTANCE = {"distance", "distances", "dist", "dissimilarity"}


@dataclass(frozen=True)
class Tables:
    """Items and the answers to them.

    Attributes
    ----------
    rows : DataFrame
        One row per answer: `judge` (annotator or system), `kind` ("person", "system"), `item`,
        `task`, `same` (1/2 for pairs of one person, -1/2 for pairs of two, 0 for identification),
        `answer`, `correct` (0, 1), `person` and `machine` (1 for rows of the kind, else 0), the
        groups of the subject, and ``annotator_<group>`` (missing for systems).
    items : DataFrame
        `item`, `task`, `truth`, `same` and groups, of all items in the table of them.
    groups : tuple of str
        Columns of the subject's groups.
    own : tuple of str
        Those of which annotators have the same.
    people, systems : Answers
    excluded, sources : DataFrame
        Rows of all tables that were left out, and files.
    """

    rows: pd.DataFrame
    items: pd.DataFrame
    groups: tuple[str, ...]
    own: tuple[str, ...]
    people: Answers
    systems: Answers
    excluded: pd.DataFrame
    sources: pd.DataFrame


def tables_in(
    people: pd.DataFrame | str | Path,
    systems: pd.DataFrame | str | Path,
    items: pd.DataFrame | str | Path,
    annotators: pd.DataFrame | str | Path | None,
    columns: Mapping[str, str],
    groups: Sequence[str],
    own: Mapping[str, str],
    threshold: float | Mapping[str, float] | None,
) -> Tables:
    """Read the tables, and say of each answer whether it is right.

    ``columns``: the user's names of `annotator`, `item`, `answer`, `system`, `score`, `option`,
    `truth` and `task`; "" of what is not there.
    """
    of = dict(columns)
    known = _items(items, {one: of[one] for one in ("item", "truth", "task")}, groups)
    frame = known.frame
    notes: list[tuple[str, str, str, int]] = []
    theirs = answers_in(people, {"judge": of["annotator"], **_pick(of, "item", "answer")}, {})
    theirs = _known_items(theirs, frame, notes)
    theirs = _first_answers(theirs, notes)
    if of["score"]:
        text = {"judge": of["system"], **_pick(of, "item", "option")}
        machines = answers_in(systems, text, {"score": of["score"]}, optional=["option"])
        machines = _known_items(machines, frame, notes)
        machines = _answers_of_scores(machines, frame, threshold, notes)
    else:
        text = {"judge": of["system"], **_pick(of, "item", "answer")}
        machines = _known_items(answers_in(systems, text, {}), frame, notes)
        _once(machines, ["judge", "item"])
    _names_apart(theirs, machines)
    parts = [_marked(theirs, frame, PERSON), _marked(machines, frame, SYSTEM)]
    rows = pd.concat(parts, ignore_index=True)
    sources = [known.sources, theirs.sources, machines.sources]
    excluded = [known.excluded, theirs.excluded, machines.excluded]
    if annotators is not None:
        text = {"judge": of["annotator"]} | {OF_ANNOTATOR + one: name for one, name in own.items()}
        who = answers_in(annotators, text, {}, optional=[OF_ANNOTATOR + one for one in own])
        _once(who, ["judge"])
        rows = _with_annotators(rows, who, notes)
        sources.append(who.sources)
        excluded.append(who.excluded)
    unanswered = int((~frame["item"].isin(rows["item"])).sum())
    if unanswered:
        notes.append((known.name, "items", "nobody answered", unanswered))
    left = [one for one in (*excluded, exclusions(notes) if notes else None) if one is not None]
    left = [one for one in left if len(one)]
    return Tables(
        rows,
        frame,
        tuple(groups),
        tuple(own),
        theirs,
        machines,
        pd.concat(left, ignore_index=True) if left else pd.DataFrame(),
        pd.concat([one for one in sources if len(one)] or [pd.DataFrame()], ignore_index=True),
    )


def _pick(columns: Mapping[str, str], *names: str) -> dict[str, str]:
    return {one: columns[one] for one in names}


def _items(
    data: pd.DataFrame | str | Path, columns: Mapping[str, str], groups: Sequence[str]
) -> Answers:
    """The items with their task, and groups as categoricals of the levels in use."""
    for name in groups:
        if not name.isidentifier() or name in OURS or name.startswith(OF_ANNOTATOR):
            raise DataError(
                f"a group is called {name!r}",
                hint=f"rename its column: letters, digits and _, none of {', '.join(OURS)}, and "
                f"not beginning with {OF_ANNOTATOR}",
            )
    found = answers_in(data, dict(columns) | {name: name for name in groups}, {})
    _once(found, ["item"])
    frame = found.frame.copy()
    frame["item"] = frame["item"].astype(str)
    for name in groups:
        frame[name] = by_levels(frame[name])
        if frame[name].nunique() < 2:
            raise DataError(
                f"all items have the {name} {frame[name].iloc[0]}",
                hint="name groups that differ",
                file=found.name,
                column=name,
            )
    frame["task"] = _tasks(found) if "task" in frame else VERIFICATION
    pairs = (frame["task"] == VERIFICATION).to_numpy()
    same = said_yes(frame["truth"], found, "truth", among=pairs)
    frame["truth"] = frame["truth"].astype(str).str.strip()
    frame["same"] = np.where(pairs, np.where(same, 0.5, -0.5), 0.0)
    return replace(found, frame=frame)


def _tasks(items: Answers) -> pd.Series:
    said = items.frame["task"].astype(str).str.strip().str.lower()
    odd = ~said.isin(TASKS)
    if odd.any():
        raise items.at_first(
            odd,
            f"a task is {items.frame['task'][odd].iloc[0]!r}",
            hint="write verification (same or different) or identification (one of several)",
            ours="task",
        )
    return said.map(TASKS)


def _once(answers: Answers, key: list[str]) -> None:
    """Refuse a table in which the key is there twice."""
    twice = answers.frame.duplicated(key)
    if twice.any():
        key = [one for one in key if one in answers.columns]  # an option may be of no column
        which = ", ".join(str(answers.frame[one][twice].iloc[0]) for one in key)
        raise answers.at_first(
            twice,
            f"{', '.join(answers.columns[one] for one in key)} {which!r} is there twice",
            hint="give each once",
            ours=key[0],
        )


def _kept(
    answers: Answers, keep: NDArray[np.bool_], reason: str, notes: list[tuple[str, str, str, int]]
) -> Answers:
    """Leave out rows, and note how many and why."""
    if keep.all():
        return answers
    if not keep.any():
        raise DataError(f"no row is left: {reason}", hint="see the columns", file=answers.name)
    notes.append((answers.name, "answers", reason, int((~keep).sum())))
    frame = answers.frame[keep].reset_index(drop=True)
    return replace(answers, frame=frame, rows=answers.rows[keep])


def _known_items(
    answers: Answers, items: pd.DataFrame, notes: list[tuple[str, str, str, int]]
) -> Answers:
    frame = answers.frame.copy()
    for one in ("judge", "item"):
        frame[one] = frame[one].astype(str)
    check_spelling(items["item"], frame["item"], of="the items' table", file=answers.name)
    known = frame["item"].isin(items["item"]).to_numpy()
    return _kept(replace(answers, frame=frame), known, "the item is not in the items' table", notes)


def _first_answers(answers: Answers, notes: list[tuple[str, str, str, int]]) -> Answers:
    later = answers.frame.duplicated(["judge", "item"]).to_numpy()
    return _kept(answers, ~later, "the annotator answered the item before", notes)


def _answers_of_scores(
    scores: Answers,
    items: pd.DataFrame,
    threshold: float | Mapping[str, float] | None,
    notes: list[tuple[str, str, str, int]],
) -> Answers:
    """What a system says by its similarities: same from the threshold on; the best option."""
    if set(words(scores.columns["score"])) & DISTANCE:
        raise DataError(
            "by its name the column holds distances",
            hint="give similarities, larger for more alike: a column of minus the distance, and "
            "minus the threshold",
            file=scores.name,
            column=scores.columns["score"],
        )
    of = items.set_index("item").loc[scores.frame["item"], ["task", "truth", "same"]]
    pair = (of["task"] == VERIFICATION).to_numpy()
    frame = scores.frame.assign(truth=of["truth"].to_numpy())
    if "option" not in frame:
        frame["option"] = None
    bare = ~pair & frame["option"].isna().to_numpy()
    if bare.any():
        raise scores.at_first(
            bare,
            "an identification item has a score of no option",
            hint="give a score of each option, in rows of their own, and name the column: option=",
            ours="score",
        )
    frame["option"] = frame["option"].astype(object).where(~pair, "").astype(str)
    _once(replace(scores, frame=frame), ["judge", "item", "option"])
    _check_direction(scores, frame.assign(same=of["same"].to_numpy() > 0)[pair])
    said = frame["option"].copy()
    if pair.any():
        limit = _thresholds(frame[pair], threshold)
        said[pair] = np.where(frame["score"][pair] >= limit, "same", "different")
    keep = pair.copy()
    keep[~pair] = _chosen(frame[~pair], scores.name, notes)
    made = frame[["judge", "item"]].assign(answer=said)[keep].reset_index(drop=True)
    columns = scores.columns | {"answer": scores.columns["score"]}
    return replace(scores, frame=made, rows=scores.rows[keep], columns=columns)


def _check_direction(scores: Answers, pairs: pd.DataFrame) -> None:
    """Refuse scores of pairs that are smaller for one person than for two: these are distances."""
    for system, own in pairs.groupby("judge", sort=False):
        one, two = own["score"][own["same"]], own["score"][~own["same"]]
        if min(len(one), len(two)) < FEW:
            continue
        area = float(mannwhitneyu(one, two).statistic) / (len(one) * len(two))
        if area < BACKWARDS:
            raise DataError(
                f"{system}: in {1 - area:.0%} of comparisons two persons have a higher score than "
                "one: these are distances, or the truth is turned",
                hint="give similarities, larger for more alike: a column of minus the distance, "
                "and minus the threshold",
                file=scores.name,
                column=scores.columns["score"],
            )


def _chosen(
    options: pd.DataFrame, file: str, notes: list[tuple[str, str, str, int]]
) -> NDArray[np.bool_]:
    """Which rows of `judge`, `item`, `option`, `score` are the one best option of their item."""
    by = [options["judge"], options["item"]]
    score = options["score"].groupby(by)
    best = options["score"] == score.transform("max")
    right = (options["option"] == options["truth"]).groupby(by).transform("any")
    lacking = ~right | (score.transform("size") < 2)
    tied = ~lacking & (best.groupby(by).transform("sum") > 1)
    first = ~options.duplicated(["judge", "item"])
    for gone, reason in (
        (lacking, "the right option, or any other, has no score"),
        (tied, "two options have the highest score"),
    ):
        if gone.any():
            notes.append((file, "answers", reason, int((gone & first).sum())))
    if len(options) and lacking.all():
        raise DataError(
            "no identification item has scores of its right option and of others",
            hint="write options as the truth of the items is written",
            file=file,
        )
    return (best & ~lacking & ~tied).to_numpy()


def _thresholds(
    scores: pd.DataFrame, threshold: float | Mapping[str, float] | None
) -> NDArray[np.float64]:
    """The threshold of each row's system."""
    systems = scores["judge"]
    given: dict[str, Any]
    if isinstance(threshold, Mapping):
        given = {str(one): value for one, value in threshold.items()}
    else:
        given = dict.fromkeys(systems.unique(), threshold)
    lacking = [one for one in systems.unique() if given.get(one) is None]
    if lacking:
        raise DataError(
            f"{lacking[0]!r} has scores of pairs and no threshold",
            hint="give threshold=, of all systems or by system: pairs at or above it match",
        )
    of = {one: number_in(value, f"threshold of {one}") for one, value in given.items()}
    for one, own in scores.groupby("judge", sort=False):
        check_unit(of[str(one)], own["score"].to_numpy(float), f"system {one!r}")
    return np.asarray(systems.map(of), np.float64)


def _names_apart(people: Answers, systems: Answers) -> None:
    """Refuse an annotator and a system of one name, and systems called as we call others."""
    machines = set(systems.frame["judge"])
    both = sorted(machines & set(people.frame["judge"]))
    taken = sorted(machines & {CONSENSUS, PEOPLE, "systems"})
    if both or taken:
        raise DataError(
            f"a system is called {(both or taken)[0]!r}, as an annotator is"
            if both
            else f"a system is called {taken[0]!r}",
            hint="rename it",
            file=systems.name,
            column=systems.columns["judge"],
        )


def _marked(answers: Answers, items: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Answers with what is known of their items, and whether they are right."""
    frame = answers.frame[["judge", "item", "answer"]].merge(items, on="item", how="left")
    pair = (frame["task"] == VERIFICATION).to_numpy()
    same = said_yes(frame["answer"], answers, "answer", among=pair)
    chosen = frame["answer"].astype(str).str.strip()
    if (~pair).any() and not set(chosen[~pair]) & set(frame["truth"][~pair]):
        raise DataError(
            f"no answer to an identification item, such as {chosen[~pair].iloc[0]!r}, is the truth "
            f"of any, such as {frame['truth'][~pair].iloc[0]!r}",
            hint="write options alike in both tables",
            file=answers.name,
            column=answers.columns["answer"],
        )
    right = np.where(pair, same == (frame["same"] > 0), chosen == frame["truth"])
    frame["answer"] = np.where(pair, np.where(same, "same", "different"), chosen)
    return frame.drop(columns="truth").assign(
        kind=kind,
        correct=right.astype(int),
        person=float(kind == PERSON),
        machine=float(kind == SYSTEM),
    )


def _with_annotators(
    rows: pd.DataFrame, who: Answers, notes: list[tuple[str, str, str, int]]
) -> pd.DataFrame:
    """Rows with the groups of their annotators; those without are no part of own-group effects."""
    frame = who.frame.assign(judge=who.frame["judge"].astype(str))
    people = rows.loc[rows["kind"] == PERSON, "judge"]
    check_spelling(people, frame["judge"], of="the answers", file=who.name)
    found = rows.merge(frame, on="judge", how="left")
    people = found["kind"] == PERSON
    for name in frame.columns.drop("judge"):
        lacking = found.loc[people & found[name].isna(), "judge"].nunique()
        if lacking:
            of = name.removeprefix(OF_ANNOTATOR)
            reason = f"{of} not known: no part of own-group effects"
            notes.append((who.name, "annotators", reason, int(lacking)))
    return found


def consensus_of(rows: pd.DataFrame) -> pd.DataFrame:
    """What most people answered to each item.

    Parameters
    ----------
    rows : DataFrame
        As of `Tables`.

    Returns
    -------
    DataFrame
        One row per item that people answered: `item`, `task`, `same` and the groups; `answers` and
        `share` (number, and share of the most frequent); `answer` and `correct` (0, 1), which are
        missing where two answers are the most frequent (`tie`), or one person answered.

    Examples
    --------
    >>> rows = pd.DataFrame({"kind": "person", "item": ["p", "p", "p", "q", "q"], "task": "any",
    ...                      "answer": ["1", "2", "1", "1", "2"], "correct": [1, 0, 1, 0, 1]})
    >>> consensus_of(rows)[["item", "answer", "correct", "tie"]].values.tolist()
    [['p', '1', 1.0, False], ['q', None, nan, True]]
    """
    people = rows[rows["kind"] == PERSON]
    counts = people.groupby(["item", "answer"]).agg(
        count=("correct", "size"), correct=("correct", "first")
    )
    counts = counts.reset_index().sort_values(["item", "count"], ascending=[True, False])
    total = counts.groupby("item")["count"]
    top = counts["count"] == total.transform("max")
    ties = top.groupby(counts["item"]).transform("sum") > 1
    made = counts.assign(answers=total.transform("sum"), tie=ties)
    made = made[top].drop_duplicates("item")
    made["share"] = made["count"] / made["answers"]
    said = ~made["tie"] & (made["answers"] > 1)
    made["answer"] = made["answer"].astype(object).where(said, None)
    made["correct"] = made["correct"].astype(float).where(said)
    fixed = ["judge", "kind", "answer", "correct", "person", "machine"]
    own = [one for one in map(str, people) if one not in fixed and OF_ANNOTATOR not in one]
    found = people[own].drop_duplicates("item").merge(made.drop(columns="count"), on="item")
    return found.sort_values("item", ignore_index=True)
