"""The words of a manipulation analysis's report: its first page, its terms and columns."""

import numpy as np
import pandas as pd

from causalbias.analyses.manipulation.analysis import Manipulation, judges_pairs
from causalbias.analyses.sentences import NO_IDENTITY_JUDGEMENTS_PLAIN, certainty, never_shown
from causalbias.report.content import PlainSummary
from causalbias.report.record import Record
from causalbias.report.wording import (
    ends_of,
    listed,
    number,
    quoted,
    rounded_down,
    rounded_up,
    with_range,
)
from causalbias.study.frames import to_frame

GLOSSARY = {
    "perceived change": "By how many points people's mean score changes when an attribute is "
    "pushed from its lowest to a higher level.",
    "distance per point": "Distance divided by perceived change: how far a network is moved for "
    "each point of change that people see.",
    "unbounded": "Without finite ends, as is the interval of a ratio whose denominator, the "
    "perceived change, may be zero.",
}
COLUMNS = {
    "leaks": "ignored: naive, as if a push moved its own attribute alone; taken out: others held",
    "question": "perceived attribute",
    "conditional_f": "how well pushes tell the attribute from the others: about 10 is wanted",
    "prior_share": "standard deviation over the prior's: near 1, the data said nothing",
    "direct_to_doubt": "least standard deviation of other effects of pushes that casts doubt",
    "beyond": "number of edits beyond the threshold of the network under system",
    "beyond_both": "number of edits beyond the thresholds of both networks",
    "beyond_other": "number of edits beyond the threshold of the network under other",
    "failures": "number of edits beyond the threshold",
    "n_attributes": "number of attributes",
    "n_edits": "number of edited faces",
    "n_raters": "number of people who rated",
    "other": "network that the one under system is compared with",
    "rate": "share of edits beyond the threshold",
    "side": "people (human) or network (machine)",
}


def plain_words(
    result: Manipulation, tables: dict[str, pd.DataFrame], record: Record
) -> PlainSummary:
    """What was asked and found, how sure it is and what it does not say."""
    human = tables["human"]
    top = human[human["level"] == human["level"].max()]
    return PlainSummary(
        asked=_asked(result, tables),
        found={"": [_noticed(result, top), *_moved(tables), *_rejected(tables), *_agreed(tables)]},
        certainty=certainty(
            record,
            {name: tables[name] for name in ("truth",) if name in tables},
            result.prob,
            clear=_clear(top),
            allowed_for="chance in who rated and which faces were made",
        ),
        not_said=_not_said(result),
    )


def _asked(result: Manipulation, tables: dict[str, pd.DataFrame]) -> str:
    attributes = sorted(tables["human"]["attribute"].astype(str).unique())
    human = to_frame(result.study, "human")
    raters = f"{human['annotator'].nunique():,} people" if "annotator" in human else "People"
    changed = (
        f"each in several versions that differ in one thing alone ({listed(quoted(attributes))})"
        if len(attributes) > 1
        else f"each in several versions that differ in {quoted(attributes)[0]} alone"
    )
    text = f"{_faces(result)} faces were shown, {changed}. {raters} scored them. "
    if "machine" not in tables:
        return text + "Which changes do people notice, and how much?"
    systems = sorted(tables["machine"]["system"].astype(str).unique())
    programs, which = "A face recognition program", "the program"
    if len(systems) > 1:
        programs, which = f"{len(systems)} face recognition programs", "each program"
    return (
        f"{text}{programs} ({listed(systems)}) measured how different each changed face is from "
        f"the unchanged face{_thresholds(tables)}. Which changes move {which}, "
        "and are they in proportion to what people see?"
    )


def _thresholds(tables: dict[str, pd.DataFrame]) -> str:
    """The threshold of each program that has one."""
    if "nonmatch" not in tables:
        return ""
    at = tables["nonmatch"].drop_duplicates("system")
    each = [
        f"{number(threshold)} for {system}"
        for system, threshold in zip(at["system"], at["threshold"], strict=True)
    ]
    return f"; beyond a distance ({listed(each)}) it takes them for two persons"


def _faces(result: Manipulation) -> str:
    if "stimuli" not in result.study.children:
        return "Computer-made"
    sizes = result.study.children["stimuli"].to_dataset().sizes
    return f"{sizes['seed']:,} computer-made" if "seed" in sizes else "Computer-made"


def _noticed(result: Manipulation, top: pd.DataFrame) -> str:
    questions = result.study.children["questions"].to_dataset()
    ends = {
        (float(low), float(high))
        for low, high in zip(questions["low"].values, questions["high"].values, strict=True)
    }
    scale = " on a scale of {:g} to {:g}".format(*ends.pop()) if len(ends) == 1 else ""
    ordered = top.iloc[top["estimate"].abs().to_numpy().argsort()]
    most, least = ordered.iloc[-1], ordered.iloc[0]
    text = (
        f"From its lowest to its highest level, {_name(most)} changed people's scores by "
        f"{with_range(most)} points{scale}"
    )
    if len(top) == 1:
        return text + "."
    return (
        f"{text}: the most of all changes. {_name(least)} changed them least, by "
        f"{with_range(least)} points."
    )


def _name(row: pd.Series) -> str:
    return quoted([row["attribute"]])[0]


def _moved(tables: dict[str, pd.DataFrame]) -> list[str]:
    """For each program, what moves it most and least for what people see."""
    if "ratio" not in tables:
        return []
    sentences = []
    for system, part in tables["ratio"].groupby("system"):
        stated = part[part["bounded"]].iloc[
            part.loc[part["bounded"], "estimate"].abs().to_numpy().argsort()
        ]
        unclear = part.loc[~part["bounded"], "attribute"].astype(str).tolist()
        if len(stated) > 1:
            high, low = stated.iloc[-1], stated.iloc[0]
            times = abs(high["estimate"] / low["estimate"])
            among = "Among the changes that people clearly notice, f" if unclear else "F"
            sentences.append(
                f"{among}or every point of change that people see, {system} moves furthest with "
                f"{_name(high)}, by a distance of {with_range(high, size=True)}, and least with "
                f"{_name(low)}, by {with_range(low, size=True)}: the first is about "
                f"{number(times)} times as far."
            )
        elif len(stated) == 1:
            only = stated.iloc[0]
            sentences.append(
                f"For every point of change that people see in {_name(only)}, {system} moves by a "
                f"distance of {with_range(only, size=True)}."
            )
        if unclear:
            sentences.append(
                f"People may see no change at all in {listed(quoted(unclear))}, so that the "
                f"distance of {system} for every point cannot be stated: it may be larger still."
            )
    return sentences


def _rejected(tables: dict[str, pd.DataFrame]) -> list[str]:
    """For each program, the faces at the highest level that it takes for another person."""
    if "nonmatch" not in tables:
        return []
    sentences = []
    table = tables["nonmatch"]
    for system, part in table[table["level"] == table["level"].max()].groupby("system"):
        worst = part.loc[part["rate"].idxmax()]
        total = f"{part['failures'].sum():,} of {part['n'].sum():,} faces at the highest level"
        if not worst["failures"]:
            sentences.append(
                f"{system} takes none of {part['n'].sum():,} faces at the highest level for "
                "another person."
            )
            continue
        sentences.append(
            f"{system} takes {total} for another person"
            + (
                f"; most with {_name(worst)}, {worst['failures']:,} of {worst['n']:,} "
                f"(range {rounded_down(100 * worst['lower'], 2)}% to "
                f"{rounded_up(100 * worst['upper'], 2)}%)."
                if len(part) > 1
                else "."
            )
        )
    return sentences


def _agreed(tables: dict[str, pd.DataFrame]) -> list[str]:
    """For each two programs, whether they agree on which changes move a face further."""
    if "networks" not in tables:
        return []
    sentences = []
    for _, row in tables["networks"].iterrows():
        both = f"{row['system']} and {row['other']}"
        ends = ends_of(row["lower"], row["upper"])
        size = f"rank correlation {number(row['estimate'])}, range {ends}; 1 is the same order"
        if row["lower"] > 0:
            sentence = f"{both} agree on which changes move a face further ({size})"
        elif row["upper"] < 0:
            sentence = f"{both} disagree on which changes move a face further ({size})"
        else:
            sentence = f"Whether {both} agree on which changes move a face further is open ({size})"
        if not np.isnan(row["beyond_both"]):
            sentence += f"; {row['beyond_both']:,.0f} faces are another person to both"
        sentences.append(sentence + ".")
    return sentences


def _clear(top: pd.DataFrame) -> str:
    clear = (top["lower"] > 0) | (top["upper"] < 0)
    if clear.all():
        return (
            "That people notice the change is clear."
            if len(top) == 1
            else f"That people notice the change is clear for each of the {len(top)} attributes."
        )
    unclear = top.loc[~clear, "attribute"].astype(str).tolist()
    return (
        f"That people notice the change is clear for {int(clear.sum())} of {len(top)} attributes; "
        f"the change that they saw in {listed(quoted(unclear))} may be chance."
    )


def _not_said(result: Manipulation) -> list[str]:
    sentences = never_shown("truth" in result.study.children)
    if not judges_pairs(result.study):
        sentences.insert(0, NO_IDENTITY_JUDGEMENTS_PLAIN)
    if "race" not in str(result.study.attrs["factors"]):
        sentences.insert(0, "Anything about race: it was not changed.")
    return sentences
