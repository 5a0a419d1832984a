"""The report on people and systems who answered the same items."""

import pandas as pd

from causalbias.analyses.causes import adjustment_sentence
from causalbias.analyses.human_machine.analysis import PRIOR, RATIO, SYSTEMS, HumanMachine
from causalbias.analyses.human_machine.tables import CONSENSUS, PEOPLE, PERSON, SYSTEM
from causalbias.analyses.sentences import percent
from causalbias.analyses.table_report import content_of_table
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.estimate import Estimate
from causalbias.draws.summaries import summarise
from causalbias.plots.forest import forest
from causalbias.rates.differentials import AT_LEAST, AT_MOST
from causalbias.report.content import Content, Data, Picture
from causalbias.report.wording import alt_text, listed, number, with_range

FEW_SYSTEMS = 10
TITLES = {
    "odds": "Odds ratios by group of the subject: people, systems, and their ratio",
    "own_group": "Own-group effects of people",
    "accuracy": "Accuracy by group of the subject",
    "each": "Odds ratios of each system and of the consensus, from their shares alone",
    "difficulty": "Correlation of what is hard for people and for systems",
    "counts": "Counts of right answers",
}
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "seed", "network", "distance"), ""),
    "odds ratio": "The odds are right answers to one wrong one. A ratio of 2 says that the odds of "
    "the one group are twice those of the other; 1 says that there is no difference.",
    "systems / people": "Differential item functioning: how many times as large the systems' odds "
    "ratio is as people's. 1 says that both find the group harder, or easier, by as much.",
    "own-group effect": "The odds of a right answer on subjects of the own group against others, "
    "after differences between groups of subjects, and between groups of people.",
    "consensus": "What most people answered to an item, taken for the answer of one more system.",
    "above chance": "Accuracy from guessing (0) to all right (1).",
}
COLUMNS = {
    "task": "verification: do two pictures show one person; identification: which of several does",
    "contrast": "first group against second",
    "of": "people, systems (the mean of these), or systems / people: the ratio of both ratios",
    "judge": "who answered: people, a system, or the consensus of people",
    "subjects": "group of the person in the pictures",
    "chance": "accuracy of guessing",
    "above_chance": "(accuracy - chance) / (1 - chance)",
    "right": "number of right answers",
    "interval": "two-sided; at least or at most: a group has no error, or no right answer",
    "same": "whether pairs show one person",
    "share": "share of right answers",
    "group": "groups of subjects and people alike",
}


def human_machine_content(result: HumanMachine) -> Content:
    """Content of the report on people and systems, for `write_report`.

    Parameters
    ----------
    result : HumanMachine
        From `analyse_human_machine`.

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> people, systems, items, who = cb.simulation.simulate_human_machine(
    ...     12, 16, answers=8, systems=2)
    >>> found = cb.analyses.analyse_human_machine(
    ...     people, systems, items[items["task"] == "verification"], groups=["gender"],
    ...     score="score", option="option", threshold=0.5, draws=100)
    >>> list(cb.analyses.human_machine_content(found).results)[:3]
    ['odds', 'accuracy', 'each']
    """
    tables = tables_of(result)
    files = {"excluded": result.tables.excluded, "sources": result.tables.sources}
    labels = ("task", "contrast", "of", "judge", "subjects", "group")
    ratios = tables["odds"][tables["odds"]["of"] == RATIO]
    clear = int(((ratios["lower"] > 1) | (ratios["upper"] < 1)).sum())
    return content_of_table(
        Data(result.tables.people.name, "People and systems", _summary(result), labels),
        files,
        result.fits,
        result.prob,
        title="Are systems biased as people are?",
        asked=_asked(result),
        findings=findings(result, tables),
        clear=f"{clear} of {len(ratios)} differences between people and systems are clear: their "
        "range leaves out one.",
        not_said=[
            "Anything about other systems than these, or other kinds of items: which were chosen "
            "decides how hard a group is.",
            "Why a group is harder: pictures of groups may differ in quality, pose or age.",
            "Anything about who people are: groups are the labels that the data give.",
        ],
        limits=_limits(result),
        pictures=_pictures(result, tables),
        results=tables,
        titles=TITLES,
        headline="odds",
        glossary=GLOSSARY,
        columns=COLUMNS,
        diagram=_causes(result),
        adjustment=_adjustment(result),
    )


def tables_of(result: HumanMachine) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`, and those that are only written."""
    found = {"odds": _table(result.odds, result.prob)}
    own = None if result.own_group is None else _table(result.own_group, result.prob)
    if own is not None and len(own):
        found["own_group"] = own
    accuracy = _table(result.accuracy, result.prob)
    above = summarise(result.accuracy, prob=result.prob, of="above_chance")
    key = ["task", "subjects", "judge"]
    found["accuracy"] = accuracy.merge(
        above[[*key, "estimate"]].rename(columns={"estimate": "above_chance"}), on=key
    )
    found["each"] = _table(result.each, result.prob)
    if result.difficulty is not None:
        found["difficulty"] = _table(result.difficulty, result.prob)
    found |= {"counts": result.counts, "consensus": result.consensus}
    more = {"abilities": result.abilities, "easiness": result.easiness}
    return found | {name: table for name, table in more.items() if len(table)}


def _table(draws: Estimate, prob: float) -> pd.DataFrame:
    table = summarise(draws, prob=prob)
    gone = ("sd", "p_positive", "scale", "population", "supported")
    return table.drop(columns=[one for one in gone if one in table])


def _summary(result: HumanMachine) -> str:
    tables, rows = result.tables, result.tables.rows
    answered = {kind: rows[rows["kind"] == kind] for kind in (PERSON, SYSTEM)}
    lines = [
        f"  items       {len(tables.items):,} ({_by_task(tables.items)})",
        *(
            f"  {'people' if kind == PERSON else 'systems':<11} {own['judge'].nunique():,} with "
            f"{len(own):,} answers ({_by_task(own)})"
            for kind, own in answered.items()
        ),
        *(
            f"  left out    {row.count:,} {row.what}: {row.reason} ({row.file})"
            for row in tables.excluded.itertuples(index=False)
        ),
    ]
    return "\n".join(lines)


def _by_task(rows: pd.DataFrame) -> str:
    counts = rows["task"].value_counts(sort=False)
    return ", ".join(f"{task}: {count:,}" for task, count in counts.items())


def _asked(result: HumanMachine) -> str:
    rows = result.tables.rows
    people, systems = (
        rows.loc[rows["kind"] == kind, "judge"].nunique() for kind in (PERSON, SYSTEM)
    )
    return (
        f"{people:,} people and {systems:,} system{'s' if systems > 1 else ''} answered the same "
        f"{rows['item'].nunique():,} items: whether two pictures show one person, or which of "
        f"several pictures does. Which {listed(result.tables.groups)} of the person in the "
        "pictures is harder, and is it as much harder for systems as for people?"
    )


def findings(result: HumanMachine, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    sentences = []
    for (task, contrast), rows in tables["odds"].groupby(["task", "contrast"], sort=False):
        odds = {row["of"]: row for _, row in rows.iterrows()}
        group, _, levels = str(contrast).partition(": ")
        first, _, second = levels.partition(" / ")
        own = " and ".join(f"{_ratio(odds[of])} for {of}" for of in (PEOPLE, SYSTEMS) if of in odds)
        said = (
            f"{task}, {group}: odds of a right answer on {first} against {second} subjects are "
            f"{own}."
        )
        if RATIO in odds:
            ratio = odds[RATIO]
            clear = ratio["lower"] > 1 or ratio["upper"] < 1
            said += f" Systems' ratio is {_ratio(ratio)} times people's"
            said += "." if clear else ": no difference between people and systems is clear."
        sentences.append(said)
    for _, row in tables.get("own_group", pd.DataFrame()).iterrows():
        clear = row["lower"] > 1 or row["upper"] < 1
        sentences.append(
            f"People's odds of a right answer are {with_range(row)} times as large on subjects of "
            f"their own {row['group']}{'.' if clear else ': no own-group effect is clear.'}"
        )
    stated = set(tables["own_group"]["group"]) if "own_group" in tables else set()
    sentences += [
        f"No own-group effect of {group} is estimated: people of some groups did not answer on "
        "subjects of some groups."
        for group in result.tables.own
        if group not in stated
    ]
    return sentences + _of_consensus(result, tables) + _of_difficulty(tables) + _warnings(tables)


def _ratio(row: pd.Series) -> str:
    """An odds ratio with its interval, which may have one end."""
    if row["interval"] == AT_LEAST:
        return f"at least {number(row['lower'])}"
    if row["interval"] == AT_MOST:
        return f"at most {number(row['upper'])}"
    return with_range(row) if pd.notna(row["estimate"]) else "not bounded (too few errors)"


def _of_consensus(result: HumanMachine, tables: dict[str, pd.DataFrame]) -> list[str]:
    accuracy, agreed = tables["accuracy"], result.consensus
    sentences = []
    for task in dict.fromkeys(accuracy["task"]):
        own = agreed[agreed["task"] == task]
        row = accuracy[
            (accuracy["task"] == task)
            & (accuracy["judge"] == CONSENSUS)
            & (accuracy["subjects"] == "all")
        ]
        ties, single = int(own["tie"].sum()), int((own["answers"] < 2).sum())
        left = f"{ties:,} {'item is a tie' if ties == 1 else 'items are ties'}"
        left += f", {single:,} had one answer" if single else ""
        if row.empty:
            sentences.append(f"{task}: people have no consensus on any item ({left}).")
            continue
        best = row.iloc[0]
        sentences.append(
            f"{task}: the consensus of people is right on {int(best['right']):,} of "
            f"{int(best['n']):,} items; {left} (neither right nor wrong)."
        )
    return sentences


def _of_difficulty(tables: dict[str, pd.DataFrame]) -> list[str]:
    return [
        f"{row['task']}: among items of the same groups, what is hard for people and what is hard "
        f"for systems correlate by {with_range(row)}."
        for _, row in tables.get("difficulty", pd.DataFrame()).iterrows()
    ]


def _warnings(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Judges who answer worse than guessing, which a reversed column makes."""
    accuracy = tables["accuracy"]
    whole = accuracy[(accuracy["subjects"] == "all") & (accuracy["upper"] < accuracy["chance"])]
    return [
        f"{row['task']}: {row['judge']} is right less often than by guessing: see whether answers, "
        "truths or scores are the other way round."
        for _, row in whole.iterrows()
    ]


def _limits(result: HumanMachine) -> list[str]:
    rows = result.tables.rows
    systems = rows.loc[rows["kind"] == SYSTEM, "judge"].nunique()
    sentences = [
        f"There {'is' if systems == 1 else 'are'} {systems:,} system{'' if systems == 1 else 's'}. "
        "Odds ratios of systems are the mean of these; the model has one effect of a group for all "
        "of them, and the table of each shows how they differ. "
        + ("So few say little of other systems." if systems < FEW_SYSTEMS else ""),
        "Odds ratios of people, systems and both hold item, ability and the other groups; those of "
        "each system and of the consensus hold nothing, and are nearer to one for it.",
        "Guessing is no part of the model: odds are of all right answers, and their ratios are "
        "nearer to one than those of knowing. Where guessing is right in 1 of 9, and 1/2 and 2/5 "
        "of the items of two groups are known, the odds ratio is 0.70 in place of 0.67.",
        "In verification, accuracy is a mean of same and different pairs as they are in the data. "
        "A group that is called same more often has more right answers on the one and fewer on the "
        "other: the counts have both, and old/new or same/different answers have a signal "
        "detection analysis.",
        "Answers that are missing (people who did not answer, systems that found no face) are in "
        "no number; how many there are stands with what was left out.",
        f"Standard deviations of abilities and difficulties have the prior {PRIOR}, in log odds. "
        "With few systems it matters.",
    ]
    if systems == 1:
        sentences.append(
            "With one system, items are taken to be as much harder or easier for it as for people."
        )
    if result.own_group is not None:
        sentences.append(
            "An own-group effect is of groups as they are labelled, over all tasks, and has one "
            "value for all people."
        )
    return sentences


def _causes(result: HumanMachine) -> Diagram:
    """What is taken to move what in this analysis."""
    arrows = (
        "choice of items -> subject's group -> right answer <- person or system; "
        "choice of items -> light, pose and age -> right answer"
    )
    if result.own_group is not None:
        arrows += (
            "; subject's group -> own group <- person's group -> right answer; "
            "own group -> right answer"
        )
    unmeasured = ["choice of items", "light, pose and age"]
    return diagram(arrows, manipulated="person or system", unmeasured=unmeasured)


def _adjustment(result: HumanMachine) -> list[str]:
    """What follows from the diagram."""
    found = _causes(result)
    sentences = [
        adjustment_sentence(found, "subject's group", "right answer"),
        "What makes the pictures of a group harder for people and systems alike is in both odds "
        "ratios, and cancels in their ratio; what does so for one of them alone is in the ratio.",
        adjustment_sentence(found, "person or system", "right answer"),
    ]
    if result.own_group is not None:
        sentences.append(adjustment_sentence(found, "own group", "right answer"))
    return sentences


def _pictures(result: HumanMachine, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    note, prob = f"{percent(result.prob)} intervals.", result.prob
    pictures = []
    for task in result.odds["task"].values:
        drawn, table = result.odds.sel(task=task, drop=True), tables["odds"]
        xlabel = "odds ratio of a right answer"
        pictures.append(
            Picture(
                f"odds_{task}",
                forest(drawn, rows="contrast", order="data", prob=prob, xlabel=xlabel, note=note),
                f"{task.capitalize()}: odds ratios of people and of systems, and how many times as "
                f"large systems' are. {note}",
                alt_text(
                    table[table["task"] == task],
                    ["contrast", "of"],
                    "odds ratio",
                    "Points with intervals",
                ),
                "odds",
            )
        )
    pictures += [
        _accuracy(result, str(task), tables["accuracy"], note)
        for task in result.accuracy["task"].values
    ]
    if result.own_group is not None and "own_group" in tables:
        xlabel = "odds ratio, own group against others"
        pictures.append(
            Picture(
                "own_group",
                forest(result.own_group, rows="group", prob=prob, xlabel=xlabel, note=note),
                f"{TITLES['own_group']}. {note}",
                alt_text(tables["own_group"], ["group"], "odds ratio", "Points with intervals"),
                "own_group",
            )
        )
    return pictures


def _accuracy(result: HumanMachine, task: str, table: pd.DataFrame, note: str) -> Picture:
    """Accuracies of a task, with a line where guessing would be."""
    drawn = result.accuracy[["accuracy"]].sel(task=task, drop=True)
    drawn = drawn.assign_attrs(variable="accuracy", figure="forest")
    own = table[table["task"] == task]
    chance = float(own["chance"].iloc[0])
    said = f"{note} Dashed: guessing ({number(chance)})."
    figure = forest(
        drawn, rows="subjects", order="data", prob=result.prob, xlabel="accuracy", note=said
    )
    figure.axes[0].axvline(chance, color="0.4", linewidth=0.8, linestyle="--", zorder=0)
    return Picture(
        f"accuracy_{task}",
        figure,
        f"{task.capitalize()}: accuracy by group of the subject. {said}",
        alt_text(own, ["subjects", "judge"], "accuracy", "Points with intervals"),
        "accuracy",
    )
