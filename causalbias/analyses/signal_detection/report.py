"""The report on old/new and same/different answers."""

import pandas as pd

from causalbias.analyses.causes import adjustment_sentence
from causalbias.analyses.sentences import percent
from causalbias.analyses.signal_detection.analysis import WORDS, SignalDetection
from causalbias.analyses.table_report import content_of_table
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.estimate import Estimate
from causalbias.draws.summaries import summarise
from causalbias.plots.forest import forest
from causalbias.report.content import Content, Data, Picture
from causalbias.report.wording import alt_text, with_range

SHOWN, EVIDENCE, HABIT = "old or new", "evidence", "habit of answering"  # nodes of the diagram
TITLES = {
    "own_group": "Own-group effects",
    "sensitivity": "Sensitivity and criterion",
    "zroc_slope": "Slope of the ROC in normal coordinates (zROC)",
    "by_hand": "The same by hand: differences within subjects, intervals over subjects",
    "counts": "Counts of answers, with d' and c by hand (log-linear correction)",
}
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "seed", "network", "distance", "threshold"), ""),
    "sensitivity (d')": "How well people tell old faces from new ones, or same from different: 0 "
    "is chance, 1 is 69% right and 2 is 84% right where both answers are given equally often.",
    "sensitivity (d_a)": "d' where evidence on old and new faces varies unequally: in units of the "
    "root mean square of both standard deviations. Equal to d' where they are equal.",
    "slope of the zROC": "How much evidence varies on new faces, over how much it varies on old "
    "ones (standard deviations). Below one: old faces differ more in how familiar they seem.",
    "criterion (c)": "How much it takes to be called old, or same: above zero people say new more "
    "often than old. It is a habit of answering, and not a lack of memory.",
    "own-group effect": "The value for faces of the own group minus that for other groups', after "
    "differences between groups of faces, and between groups of people.",
}
COLUMNS = {
    "measure": "d_prime, d_a: sensitivity; criterion: habit of answering",
    "face_group": "group of the face",
    "subject_group": "group of the person who answered",
    "hits": "old faces called old",
    "misses": "old faces called new",
    "false_alarms": "new faces called old",
    "correct_rejections": "new faces called new",
    "subjects": "number of people who answered",
    "faces": "number of faces",
    "d_prime": "mean of the subjects' d', with the log-linear correction",
    "criterion": "mean of the subjects' criterion, with the log-linear correction",
}


def signal_detection_content(result: SignalDetection) -> Content:
    """Content of the report on a signal detection analysis, for `write_report`.

    Parameters
    ----------
    result : SignalDetection
        From `analyse_signal_detection`.

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> trials = cb.simulation.simulate_recognition(subjects=8, faces=12)
    >>> found = cb.analyses.analyse_signal_detection(
    ...     trials, subject="subject", face="face", signal="old", answer="answer", draws=100)
    >>> sorted(cb.analyses.signal_detection_content(found).results)
    ['counts', 'diagram', 'sensitivity']
    """
    tables = tables_of(result)
    answers = result.answers
    return content_of_table(
        Data(answers.name, answers.name, _summary(result), ("face_group", "subject_group")),
        answers.files,
        {"answers": result.fit},
        result.prob,
        title="Whom do people recognise?",
        asked=_asked(result),
        findings=findings(tables) + answers.copies("answers", "subject", "face"),
        clear="A number whose range leaves out zero is clear; the others may be chance.",
        not_said=[
            "Why faces of one group are recognised better: how much people have seen of a group, "
            "and how alike the pictures of its faces are, were not compared.",
            "Anything about who people are: groups are the labels that the data give.",
        ],
        limits=[
            _of_variances(result),
            "d' is in units of the noise of a single answer, with subjects and faces held: it is "
            "larger than d' of pooled counts, in which their differences are noise too.",
            "The model has one own-group effect for all subjects. If subjects differ in it, its "
            "interval is too narrow: the table by hand has the interval over subjects, with the "
            "faces held. A claim should survive both. In 164 simulated studies of 20 subjects who "
            "differed little in it, the model's 90% intervals of the effect on d' held 87%.",
            "Intervals are of the populations that subjects and faces are samples of.",
        ],
        pictures=_pictures(result, tables),
        results=tables,
        titles=TITLES,
        headline="own_group" if "own_group" in tables else "sensitivity",
        glossary=GLOSSARY,
        columns=COLUMNS,
        diagram=_causes(result),
        adjustment=_adjustment(result),
    )


def tables_of(result: SignalDetection) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`."""
    tables = {}
    for name, draws in (("own_group", result.own_group), ("sensitivity", result.found)):
        if draws is not None:
            tables[name] = pd.concat(
                [_table(draws, one, result.prob) for one in WORDS if one in draws],
                ignore_index=True,
            )
    if result.zroc_slope is not None:
        tables["zroc_slope"] = _table(result.zroc_slope, "zroc_slope", result.prob)
    if len(result.by_hand):
        tables["by_hand"] = result.by_hand
    return tables | {"counts": result.counts}


def _table(draws: Estimate, of: str, prob: float) -> pd.DataFrame:
    table = summarise(draws, prob=prob, of=of).dropna(subset="estimate")
    names = (
        "measure",
        "face_group",
        "subject_group",
        "estimate",
        "lower",
        "upper",
        "n",
        "converged",
    )
    table = table.assign(measure=of)
    return table[[one for one in names if one in table]]


def _of_variances(result: SignalDetection) -> str:
    """What is taken of the variances of the evidence."""
    if result.zroc_slope is None:
        return (
            "The model has one variance for the evidence on old and on new faces. Where old faces' "
            "evidence varies more, d' is a mean of both, and moves with the criterion: with "
            "ratings of confidence, unequal_variance=True lets the two differ."
        )
    return (
        "The variances of the evidence on old and on new faces may differ, and by as much in all "
        "groups and for all people. That evidence is normal is assumed: a few faces that are "
        "recollected and others that are guessed give an unequal variance too."
    )


def _summary(result: SignalDetection) -> str:
    frame, old_from = result.answers.frame, result.old_from
    return result.answers.described(
        "answers",
        f"{len(frame):,} of {frame['subject'].nunique():,} subjects on "
        f"{frame['face'].nunique():,} faces",
        *([] if old_from is None else [f"  old         confidence of {old_from} and more"]),
    )


def _asked(result: SignalDetection) -> str:
    frame = result.answers.frame
    return (
        f"{frame['subject'].nunique():,} people answered {len(frame):,} times if they had seen "
        f"one of {frame['face'].nunique():,} faces before (or whether two pictures show one "
        "person). How well can they tell, to which answer do they lean, and is it otherwise for "
        "faces of their own group?"
    )


def findings(tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    own, sentences = [], []
    for _, row in tables["sensitivity"].iterrows():
        groups = [
            f"{row[one]} {what}"
            for one, what in (("face_group", "faces"), ("subject_group", "people"))
            if one in row
        ]
        name = WORDS[row["measure"]]
        sentences.append(f"{', '.join(groups) or 'All'}: {name} is {with_range(row)}.")
    for _, row in tables.get("own_group", pd.DataFrame()).iterrows():
        clear = row["lower"] > 0 or row["upper"] < 0
        higher = "higher" if row["estimate"] > 0 else "lower"
        name = WORDS[row["measure"]]
        own.append(
            f"{name} is {higher} by {with_range(row, size=True)} for faces of the own group."
            if clear
            else f"No own-group effect on {name} is clear ({with_range(row)})."
        )
    for _, row in tables.get("zroc_slope", pd.DataFrame()).iterrows():
        sentences.append(
            "The standard deviation of the evidence on new faces is "
            f"{with_range(row)} times that on old ones (slope of the zROC)."
        )
    sensitivity = tables["sensitivity"]
    if (sensitivity.loc[sensitivity["measure"] != "criterion", "upper"] < 0).all():
        sentences.append(
            "Old faces were called old less often than new ones: see whether a column, or the "
            "scale of confidence, is the other way round."
        )
    return own + sentences


def _causes(result: SignalDetection) -> Diagram:
    """What is taken to move what in this analysis."""
    named = {"face": "face_group", "subject": "subject_group"}
    who = [f"{one} group" if group in result.found.dims else one for one, group in named.items()]
    arrows = []
    if result.own_group is not None:
        who.append("own group")
        arrows.append("face group -> own group <- subject group")
    arrows += [f"{one} -> {effect}" for one in who for effect in (EVIDENCE, HABIT)]
    arrows.append(f"{SHOWN} -> {EVIDENCE} -> answer <- {HABIT}")
    return diagram("; ".join(arrows), manipulated=SHOWN, unmeasured=[EVIDENCE, HABIT])


def _adjustment(result: SignalDetection) -> list[str]:
    """What follows from the diagram."""
    found = _causes(result)
    sentences = [
        adjustment_sentence(found, SHOWN, "answer"),
        "Sensitivity is how far evidence on old faces is from that on new ones, and the criterion "
        "is where a habit of answering cuts it.",
    ]
    if result.own_group is not None:
        sentences += [
            adjustment_sentence(found, "own group", "answer"),
            "The contrast of cells does that, as differences between groups cancel in it.",
        ]
    return sentences


def _pictures(result: SignalDetection, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    note = f"{percent(result.prob)} intervals."
    dims = [one for one in ("face_group", "subject_group") if one in result.found.dims]
    if not dims:
        return []
    table = tables["sensitivity"]
    pictures = []
    for name in (one for one in WORDS if one in result.found):
        label = "criterion c" if name == "criterion" else f"sensitivity {WORDS[name]}"
        draws = result.found[[name]].assign_attrs(variable=name, figure="forest")
        figure = forest(draws, rows=dims[0], prob=result.prob, xlabel=label, note=note)
        alt = alt_text(table[table["measure"] == name], dims, label, "Points with intervals")
        caption = f"{label[0].upper()}{label[1:]} by group. {note}"
        pictures.append(Picture(name, figure, caption, alt, "sensitivity"))
    return pictures
