"""The sentences of a report on scores, in words that need no statistics."""

import numpy as np
import pandas as pd

from causalbias.analyses.scores.analysis import Audit, OperatingPoint
from causalbias.analyses.sentences import percent
from causalbias.draws.summaries import SAMPLE
from causalbias.rates.differentials import rate_ratios
from causalbias.report.content import PlainSummary
from causalbias.report.wording import listed, number, rounded_down, rounded_up

HAPPENS = {
    "FMR": "two different persons are taken for one",
    "FNMR": "two images of one person are taken for two persons",
}
PAIRS = {"FMR": "pairs of two different persons", "FNMR": "pairs of images of one person"}
ERROR = {"FMR": "false matches", "FNMR": "false non-matches"}
FREQUENT = 0.05  # share of errors from which it is not the errors that are few, but the pairs
SHARED = 1.5  # pairs for each independent one, from which on the same persons make the errors
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "seed", "network", "model", "converged"), ""),
    "system": "A program that compares two images of faces and gives a score.",
    "distance": "How different two images are to a system. Of similarities, the distance is a "
    "fixed number minus the similarity.",
    "threshold": "The score at which a system decides: two images that are as alike as this, or "
    "more, are taken for one person.",
    "genuine pair, impostor pair": "A comparison of two images of one person; of two persons.",
    "false match rate (FMR)": "The share of impostor pairs that are taken for one person. Here of "
    "two persons of one group, unless it is said otherwise.",
    "false non-match rate (FNMR)": "The share of genuine pairs that are taken for two persons.",
    "operating point": "How the threshold was set: as given, or where all impostor pairs of two "
    "persons of one group together have the false match rate that was asked for.",
    "estimate, interval": "The estimate is the best single guess. The interval is a range that "
    "contains the true value with the stated probability, if the persons are a sample of those "
    "that the system will meet. It allows for persons who are in several pairs.",
    "independent pairs": "A person who looks like many others is in many false matches at once, so "
    "pairs that share a person are not separate evidence. This is the number of pairs without "
    "shared persons that would tell as much.",
    "accuracy": "1 less the mean of both error rates, at the threshold that is best for the group "
    "on other pairs (ten folds, dealt at random). No system in use has a threshold a group.",
    "accuracy SD, skewed error ratio": "The standard deviation of the accuracies of groups, and "
    "the largest share of errors over the smallest (STD and SER of papers on RFW).",
    "partially pooled": "Rates of one model of all groups and systems: a group with few errors is "
    "drawn toward what its attributes have elsewhere, by as much as groups are alike.",
    "if equal": "The index that data of this size would show by chance if all groups had one rate.",
}
COLUMNS = {
    "operating_point": "how the threshold was set",
    "persons": "number of persons of the group; beside a rate, of those in its comparisons",
    "persons_genuine": "number of persons in genuine pairs of the group that have a score",
    "persons_impostor": "number of persons in impostor pairs of the group that have a score",
    "plug_in": "what is counted, as papers report it, whatever the number of errors",
    "errors_other": "number of errors of the other group",
    "n_other": "number of comparisons of the other group",
    "n_genuine": "number of comparisons of two images of one person",
    "n_impostor": "number of comparisons of two persons of the group",
    "point": "rate on these pairs: the mean of both errors where they are closest",
    "genuine": "number of comparisons of two images of one person",
    "impostor": "number of comparisons of two persons of the group",
    "across": "number of comparisons with a person of another group",
    "threshold": "in units of the score",
    "n_effective": "number of pairs without shared persons that would tell as much",
    "few_identities": "whether 5% of the persons have most of the errors, so that the rate among "
    "other persons may be very different",
    "if_equal": "what chance alone would show if all groups had one rate",
    "interval": "two-sided, or only one end is known",
    "group": "group of the persons",
    "other": "group of the other person",
    "index": "how far groups differ: FMR, FNMR: false matches, false non-matches",
    "what": "what it was taken for, or what was left out",
    "column": "column of the file",
    "how": "why it was taken for this",
    "system": "system that compared",
    "sha256": "fingerprint of the file's content",
}


def plain_words(result: Audit, tables: dict[str, pd.DataFrame]) -> PlainSummary:
    """What was asked and found, how sure it is and what it does not say."""
    found = {
        ("" if len(result.scores.systems) == 1 else system): found_of(result, tables, system)
        for system in result.scores.systems
    }
    return PlainSummary(
        asked=asked(result),
        found=found,
        certainty=how_sure(result, tables),
        not_said=not_said(result),
    )


def asked(result: Audit) -> str:
    """The data and the question."""
    scores, frame = result.scores, result.scores.frame
    persons = len(set(frame["seed_a"]) | set(frame["seed_b"]))
    parts = frame.groupby("system", sort=False)["same_identity"]
    each, genuine = _from_to(parts.size()), _from_to(parts.sum())
    many = f"{listed(scores.systems)} compared" if len(scores.systems) > 1 else "A system compared"
    own = " each" if len(scores.systems) > 1 else ""
    return (
        f"{many} images of {persons:,} persons in pairs ({each} comparisons{own}, {genuine} of "
        f"them of one person) and gave each a score ({scores.kind}). Is it wrong more often for "
        f"some groups ({' and '.join(scores.by)}: {listed(list(result.groups))}) than for others?"
    )


def _from_to(numbers: pd.Series) -> str:
    """A number, or the least and the most where systems differ."""
    least, most = int(numbers.min()), int(numbers.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def found_of(result: Audit, tables: dict[str, pd.DataFrame], system: str) -> list[str]:
    """What was found of one system: who has more errors, and by what factor."""
    sentences = []
    for point in result.points:
        rates = _of(tables["rates"], system, point)
        first = True
        for kind in ("FMR", "FNMR"):
            part = rates[rates["rate_of"] == kind]
            if len(part):
                text = _finding(result, tables, part, system, point, first=first)
                sentences.append(text + _without(result, part))
                first = False
        if (rates["rate_of"] == "FMR").sum() == 0:
            sentences.append(
                "How often two different persons are taken for one is not known: no comparison is "
                "of two persons of one group."
            )
        if (rates["rate_of"] == "FNMR").sum() == 0:
            sentences.append(
                "How often two images of one person are taken for two persons is not known: no "
                "comparison is of one person."
            )
    return sentences


def _of(table: pd.DataFrame, system: str, point: OperatingPoint) -> pd.DataFrame:
    return table[(table["system"] == system) & (table["operating_point"] == point.name)]


def at(result: Audit, point: OperatingPoint, system: str) -> str:
    """The operating point of a system, in words."""
    value = f"{point.thresholds[system]:.4g}"
    word = "or more" if result.scores.kind == "similarity" else "or less"
    if point.fmr is None:
        return f"At a {result.scores.kind} of {value} {word}"
    return (
        f"At the threshold that lets {100 * point.fmr:g}% of all pairs of two persons of one group "
        f"match (a {result.scores.kind} of {value} {word})"
    )


def _finding(
    result: Audit,
    tables: dict[str, pd.DataFrame],
    part: pd.DataFrame,
    system: str,
    point: OperatingPoint,
    *,
    first: bool,
) -> str:
    """Most and least errors of one kind, the factor between them, and whether it may be chance."""
    kind = str(part["rate_of"].iloc[0])
    stated = part[part["supported"]].sort_values("estimate")
    place = at(result, point, system) if first else "At the same threshold"
    start = f"{place}, {HAPPENS[kind]}"
    if stated.empty:
        all_of = f"{part['errors'].sum():,.0f} of {part['n'].sum():,.0f} {PAIRS[kind]}"
        if _frequent(part).any():
            return f"{start} in {all_of}: too few pairs to state rates by group."
        return f"{start} too rarely to state rates by group ({all_of})."
    few, many = stated.iloc[0], stated.iloc[-1]
    if len(part) == 1:
        return f"{start} in {_often(many)} pairs."
    unstated = part[~part["supported"]]
    if unstated.empty:
        text = (
            f"{start} most often in the group {many['group']}: in {_often(many)} pairs; least "
            f"often in the group {few['group']}: in {_often(few)}."
        )
        return text + _factor(tables, kind, system, point) + _pairs(result, part, point)
    ends = unstated["upper"].max()
    if ends < many["estimate"]:
        text = f"{start} most often in the group {many['group']}: in {_often(many)} pairs"
    else:  # one of those with too few errors may have more
        text = f"{start} in {_often(many)} pairs of the group {many['group']}"
    names = listed(list(unstated["group"]))
    few_what = "such pairs" if _frequent(unstated).any() else "such errors"
    text += f". There are too few {few_what} to state a rate of {names} (at most {_share(ends)}"
    text += ")." if ends < many["estimate"] else "), which may be higher or lower."
    return text + _factor(tables, kind, system, point) + _pairs(result, part, point)


def _frequent(part: pd.DataFrame) -> pd.Series:
    """Whether errors of each group are not rare: if they do not suffice, its pairs are few."""
    return part["errors"] >= FREQUENT * part["n"]


def _without(result: Audit, part: pd.DataFrame) -> str:
    """The groups that have no such pair, and so no rate."""
    missing = [one for one in result.groups if one not in set(part["group"].astype(str))]
    if not missing:
        return ""
    return f" Nothing is known of {listed(missing)}: no such pair has a score there."


def _pairs(result: Audit, part: pd.DataFrame, point: OperatingPoint) -> str:
    """How many times as many errors each group has as the one with fewest, at least.

    The limits allow for the choice of the group with fewest on the same pairs. It is named if its
    rate is stated; of others it is not known whether they have fewest.
    """
    if len(part) < 3:  # of two groups the factor is said already
        return ""
    system, kind = part["system"].iloc[0], part["rate_of"].iloc[0]
    rates = point.rates.sel(system=[system], rate_of=[kind])
    drawn = rate_ratios(rates, to="best")["lower_bound"].isel(system=0, rate_of=0)
    ends = drawn.quantile(1 - result.prob, SAMPLE).to_series().dropna()
    ends = ends[ends > 1].sort_values(ascending=False)
    if ends.empty:
        return ""
    shares = part.assign(share=part["errors"] / part["n"]).sort_values("share", kind="stable")
    fewest = shares.iloc[0]
    name = f" ({fewest['group']})" if fewest["supported"] else ", whichever it is"
    each = [f"{group} at least {rounded_down(end)} times" for group, end in ends.items()]
    return f" Against the group with fewest{name}: {listed(each)} as many, each limit by itself."


def _often(row: pd.Series) -> str:
    """A rate with its interval as counts of as many pairs as make its number 10 or more."""
    every = 100
    while every < 10_000_000 and row["estimate"] * every < 10:
        every *= 10
    # Counts, of which the limits are rounded outwards; what is whole up to rounding stays.
    low, high = int(every * row["lower"] + 1e-9), -int(-every * row["upper"] + 1e-9)
    return f"{round(every * row['estimate']):,} of every {every:,} (range {low:,} to {high:,})"


def _share(rate: float) -> str:
    """An upper limit of a rate."""
    every = 100
    while every < 1_000_000 and rate * every < 1:
        every *= 10
    return f"{rounded_up(rate * every, 2)} of every {every:,}"


def _factor(
    tables: dict[str, pd.DataFrame],
    kind: str,
    system: str,
    point: OperatingPoint,
) -> str:
    """The factor between the groups with most and fewest errors, with its range."""
    if "indices" not in tables:
        return ""
    table = _of(tables["indices"], system, point)
    row = table[table["index"] == f"{kind} max/min"]
    if row.empty:
        return ""
    one = row.iloc[0]
    clear = one["lower"] > 1
    if one["interval"] == "two-sided" and np.isfinite(one["estimate"]):
        text = (
            f" That is {number(one['estimate'])} times as many (range "
            f"{rounded_down(one['lower'], 2)} to {rounded_up(one['upper'], 2)}). "
        )
        chance = (
            f"Were all groups alike, data of this size would show a factor of about "
            f"{number(one['if_equal'])} by chance."
        )
    elif np.isfinite(one["lower"]) and clear:
        text = (
            f" The group with most has at least {rounded_down(one['lower'])} times as many as the "
            "group with fewest; how many times exactly cannot be said. "
        )
        chance = ""
    else:
        return " These data do not say by what factor groups differ."
    verdict = (
        "The difference is clear: chance alone would hardly make it. "
        if clear
        else ("The difference may be chance. ")
    )
    return (text + verdict + chance).rstrip()


def how_sure(result: Audit, tables: dict[str, pd.DataFrame]) -> list[str]:
    """What the number of people supports."""
    sentences = [
        "Every number is an estimate. The range after it contains the true value with a "
        f"probability of {percent(result.prob)}, if these persons are a fair sample of those that "
        "the system will meet. Ranges are of persons: one person who is in many pairs counts as "
        "one person."
    ]
    rates = tables["rates"]
    for kind in ("FMR", "FNMR"):
        part = rates[rates["rate_of"] == kind]
        if part.empty:
            continue
        worst = part.iloc[int(part["n_effective"].argmin())]
        sentences.append(
            f"What the number of people supports: the {worst['n']:,.0f} {PAIRS[kind]} of the group "
            f"{worst['group']}, {worst['persons']:,.0f} persons, say as much as "
            f"{worst['n_effective']:,.0f} pairs without shared persons. Rates of {ERROR[kind]} "
            f"below {_share(worst['smallest_rate'])} cannot be told from none there."
        )
        # Where hardly any pairs share a person, few persons have the few errors in any case.
        few = part[part["few_identities"] & (part["n"] > SHARED * part["n_effective"])]
        if len(few):
            names = list(dict.fromkeys(few["group"]))
            sentences.append(
                f"In the group{'s' if len(names) > 1 else ''} {listed(names)}, one person in "
                f"twenty is involved in most of the {ERROR[kind]}: among other persons the rate "
                "may be much higher or lower, and the range is too short."
            )
    return sentences + doubtful_units(result, rates) + list(result.scores.remarks)


def doubtful_units(result: Audit, rates: pd.DataFrame) -> list[str]:
    """A sentence on each given threshold at which most pairs are taken wrongly."""
    sentences = []
    for point in (one for one in result.points if one.fmr is None):
        at = rates[rates["operating_point"] == point.name]
        for (system, kind), part in at.groupby(["system", "rate_of"], sort=False):
            share = part["errors"].sum() / max(part["n"].sum(), 1)
            if share > 0.5:
                own = result.scores.frame["system"] == system
                score = result.scores.frame.loc[own, "score"]
                errors, pairs = ERROR[str(kind)], PAIRS[str(kind)]
                sentences.append(
                    f"At the threshold {point.thresholds[str(system)]:g} there are {errors} in "
                    f"{share:.0%} of the {pairs}: is it in the unit of the scores, "
                    f"which are from {score.min():.4g} to {score.max():.4g}?"
                )
    return sentences


def not_said(result: Audit) -> list[str]:
    """What was not measured."""
    sentences = [
        "Why groups differ. Groups may also differ in their images (light, pose, age, camera), and "
        "these were not compared. To tell race from all that comes with it needs images in which "
        "nothing else changes.",
        "What group membership does. That would need persons of all groups who are alike in all "
        "else that matters (the quality, age and pose of their images, how alike their pairs were "
        "chosen to be), or generated faces in which the group is changed and nothing else, with "
        "people's judgement of how alike the pairs are.",
        "How often the system is wrong in use. The rates are of the pairs in these data, and pairs "
        "of benchmarks are often chosen to be hard.",
        "What happens between groups: false matches here are of two persons of one group, the case "
        "in which mistakes are most frequent."
        + (
            " The table of each two groups has the others."
            if any(point.between is not None for point in result.points)
            else " There are no comparisons of two groups in these data."
        ),
        "What happens at another threshold, in a search through a large gallery, or with another "
        "version of the system.",
        "Anything about who people are: groups are the labels that the data give.",
    ]
    failed = int((result.scores.frame["status"] != "ok").sum())
    if result.scores.frame.groupby("system").size().nunique() > 1:
        sentences.append(
            "Which system is better: the systems did not compare the same pairs, and rates of "
            "other pairs are others."
        )
    sentences.append(
        f"Comparisons without a score: {failed:,} are left out of all rates, as if the system had "
        "not been asked."
        if failed
        else "How often no face is found in an image: every comparison in these data has a score."
    )
    return sentences + [
        f"{row.count:,} comparisons {row.reason}: they are left out ({row.file})."
        for row in result.scores.excluded.itertuples(index=False)
    ]


def findings(result: Audit, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Rates of all groups in sentences, each with its interval."""
    sentences = []
    rates = tables["rates"]
    for (point, system, kind), part in rates.groupby(
        ["operating_point", "system", "rate_of"], sort=False
    ):
        each = [
            f"{row['group']} {number(100 * row['estimate'], 3)}% "
            f"({rounded_down(100 * row['lower'])} to {rounded_up(100 * row['upper'])}; "
            f"{row['errors']:,.0f} of {row['n']:,.0f})"
            if row["supported"]
            else f"{row['group']} not stated, at most {rounded_up(100 * row['upper'])}% "
            f"({row['errors']:,.0f} of {row['n']:,.0f})"
            for _, row in part.iterrows()
        ]
        who = f"{system}, " if len(result.scores.systems) > 1 else ""
        sentences.append(f"{who}{point}, {kind}: {'; '.join(each)}.")
    return sentences


def limits(result: Audit) -> list[str]:
    """What the data cannot support, for readers who know the terms."""
    taken = result.scores.taken
    return [
        "Rates are descriptive: a difference between groups is not an effect of the group, as "
        "image quality and everything else may differ with it.",
        *_not_pooled(result),
        "False match rates are of impostor pairs within a group (cohort: same). A target false "
        "match rate is met on all of these pairs together.",
        "Intervals resample persons, not pairs (see the explanation of error rates). They do not "
        "allow for groups that are labelled wrongly, nor for a threshold that was chosen on the "
        "same pairs.",
        "Columns were taken for: "
        + "; ".join(f"{row.what}: {row.column} ({row.how})" for row in taken.itertuples())
        + ".",
    ]


def _not_pooled(result: Audit) -> list[str]:
    """Kinds of error that could not be pooled, where the others are."""
    kinds = {
        str(kind)
        for point in result.points
        if point.pooled is not None
        for kind in point.rates["rate_of"].values
        if kind not in point.pooled["rate_of"]
    }
    return [
        f"Rates of {ERROR[kind]} are not pooled: fewer than three groups have {PAIRS[kind]}, which "
        "do not tell how alike groups are."
        for kind in sorted(kinds)
    ]
