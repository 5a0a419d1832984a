"""The first page of a manipulation analysis's report, in plain words."""

import pandas as pd

from causalbias.analyses.manipulation.analysis import Manipulation
from causalbias.report.content import Plain
from causalbias.report.plain import always_silent, how_sure, listed, number, quoted, span
from causalbias.study.frames import to_frame


def plain_words(result: Manipulation, tables: dict[str, pd.DataFrame], *, identity: bool) -> Plain:
    """What was asked and found, how sure it is and what it does not say.

    `identity`: whether people judged whether two pictures show one person.
    """
    human = tables["human"]
    top = human[human["level"] == human["level"].max()]
    return Plain(
        asked=_asked(result, tables),
        found={"": [_noticed(result, top), *_moved(tables), *_lost(tables)]},
        sure=how_sure(
            tables,
            result.prob,
            clear=_clear(top),
            allowed_for="chance in who rated and which faces were made",
        ),
        silent=_silent(result, identity),
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
    said = f"{_faces(result)} faces were shown, {changed}. {raters} scored them. "
    if "machine" not in tables:
        return said + "Which changes do people notice, and how much?"
    systems = sorted(tables["machine"]["system"].astype(str).unique())
    return (
        said + f"A face recognition program ({listed(systems)}) measured how unlike each changed "
        f"face is to its unchanged self{_decides(tables)}. Which changes move the program, and is "
        "that in proportion to what people see?"
    )


def _decides(tables: dict[str, pd.DataFrame]) -> str:
    """Where each program that decides does so."""
    if "nonmatch" not in tables:
        return ""
    at = tables["nonmatch"].drop_duplicates("system")
    each = [
        f"at {number(threshold)} by {system}"
        for system, threshold in zip(at["system"], at["threshold"], strict=True)
    ]
    return f", a distance from which on it is taken for another person {listed(each)}"


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
    said = (
        f"Pushed all the way, {_name(most)} changed people's scores by {span(most)} points{scale}"
    )
    if len(top) == 1:
        return said + "."
    return said + f": the most of all changes. {_name(least)} changed them least, by {span(least)}."


def _name(row: pd.Series) -> str:
    return quoted([row["attribute"]])[0]


def _moved(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Of each program, what moves it most and least for what people see."""
    if "ratio" not in tables:
        return []
    said = []
    for system, part in tables["ratio"].groupby("system"):
        stated = part[part["bounded"]].iloc[
            part.loc[part["bounded"], "estimate"].abs().to_numpy().argsort()
        ]
        unsure = part.loc[~part["bounded"], "attribute"].astype(str).tolist()
        if len(stated) > 1:
            high, low = stated.iloc[-1], stated.iloc[0]
            times = abs(high["estimate"] / low["estimate"])
            among = "Of the changes that people surely notice, f" if unsure else "F"
            said.append(
                f"{among}or every point that people notice, {system} moves furthest with "
                f"{_name(high)}, by a distance of {span(high, size=True)}, and least with "
                f"{_name(low)}, by {span(low, size=True)}: about {number(times)} times as "
                "far."
            )
        elif len(stated) == 1:
            one = stated.iloc[0]
            said.append(
                f"For every point that people notice of {_name(one)}, {system} moves by a "
                f"distance of {span(one, size=True)}."
            )
        if unsure:
            said.append(
                f"Of {listed(quoted(unsure))} people may see nothing at all, so that how far "
                f"{system} moves for what they see cannot be stated: it may be further still."
            )
    return said


def _lost(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Of each program, the faces that it takes for another person when pushed all the way."""
    if "nonmatch" not in tables:
        return []
    said = []
    table = tables["nonmatch"]
    for system, part in table[table["level"] == table["level"].max()].groupby("system"):
        worst = part.loc[part["rate"].idxmax()]
        total = f"{part['failures'].sum():,} of {part['n'].sum():,} faces pushed all the way"
        if not worst["failures"]:
            said.append(f"{system} takes none of {part['n'].sum():,} faces for another person.")
            continue
        said.append(
            f"{system} takes {total} for another person"
            + (
                f"; most with {_name(worst)}, {worst['failures']:,} of {worst['n']:,} "
                f"(range {number(100 * worst['lower'])}% to {number(100 * worst['upper'])}%)."
                if len(part) > 1
                else "."
            )
        )
    return said


def _clear(top: pd.DataFrame) -> str:
    clear = (top["lower"] > 0) | (top["upper"] < 0)
    if clear.all():
        return (
            "That people notice the change is clear."
            if len(top) == 1
            else f"That people notice the change is clear for each of the {len(top)} attributes."
        )
    doubtful = top.loc[~clear, "attribute"].astype(str).tolist()
    return (
        f"That people notice the change is clear for {int(clear.sum())} of {len(top)} attributes; "
        f"what was seen of {listed(quoted(doubtful))} may be chance."
    )


def _silent(result: Manipulation, identity: bool) -> list[str]:
    said = always_silent("truth" in result.study.children)
    if not identity:
        said.insert(
            0,
            "Whether a program is more, or less, biased than people: nobody was asked if two "
            "pictures show one person.",
        )
    if "race" not in str(result.study.attrs["factors"]):
        said.insert(0, "Anything about race: it was not changed.")
    return said
