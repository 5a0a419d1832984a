"""The words of an identity analysis's report: its first page, its terms and columns."""

from collections.abc import Mapping

import pandas as pd

from causalbias.analyses.identity.analysis import PEOPLE, Identity
from causalbias.analyses.sentences import NO_IDENTITY_JUDGEMENTS_PLAIN, certainty, never_shown
from causalbias.models.levels import canonical, levels_of
from causalbias.report.content import PlainSummary
from causalbias.report.record import Record
from causalbias.report.wording import listed, of_every
from causalbias.study.frames import to_frame

GLOSSARY = {
    "genuine pair": "Two pictures of one person.",
    "impostor pair": "Pictures of two persons, here of the same race and gender.",
    "false match": "A network takes two persons for one. The false match rate (FMR) is the share "
    "of impostor pairs to which this happens.",
    "false non-match": "A network takes two pictures of one person for two persons. The false "
    "non-match rate (FNMR) is the share of genuine pairs to which this happens.",
    "reference": "The group that the others are compared with.",
    "standard deviation between pairs": "How much a network's distances, or what people say on "
    "average, differ between pairs of one group. Networks, whose scales differ, are compared with "
    "one another and with people in it.",
    "effective comparisons": "Pairs that share a face are not independent: this is the number of "
    "independent pairs that would give an interval as short.",
}
COLUMNS = {
    "fit": "network or people, and kind of pairs",
    "against": "the network whose effect is subtracted",
    "unit": "what one is: pair sd, the spread of what is said of pairs of a group",
    "n_a": "number of people's answers",
    "n_b": "number of the network's distances",
    "p_larger": "posterior probability that the network's effect is larger in size than people's",
}
SUBJECT = {"impostor": "Pictures of two persons", "genuine": "Pictures of one person"}
MISTAKE = {
    "FMR": "takes two different persons for one",
    "FNMR": "takes two pictures of one person for two persons",
}


def plain_words(
    result: Identity,
    tables: dict[str, pd.DataFrame],
    record: Record,
    truths: Mapping[str, pd.DataFrame],
) -> PlainSummary:
    """What was asked and found, how sure it is and what it does not say."""
    sides = {name: tables[name] for name in ("machine", "human") if name in tables}
    found: dict[str, list[str]] = {}
    for name, table in sides.items():
        systems = table["system"] if name == "machine" else pd.Series(PEOPLE, table.index)
        for who, part in table.groupby(systems.to_numpy()):
            name_of = "People" if str(who) == PEOPLE else str(who)
            found[name_of] = _found(tables, str(who), part, result)
    every = pd.concat(sides.values())
    clear = int(((every["lower"] > 0) | (every["upper"] < 0)).sum())
    return PlainSummary(
        asked=_asked(result),
        found=found,
        certainty=certainty(
            record,
            truths,
            result.prob,
            clear=f"{clear} of {len(every)} differences between groups are clear: their range "
            "does not include zero. The others may be chance.",
            allowed_for="chance in which persons the generator drew",
        ),
        not_said=_not_said(result),
    )


def _asked(result: Identity) -> str:
    rows = pd.concat(result.rows.values())
    races, genders = (levels_of(canonical(rows[name])) for name in ("race", "gender"))
    persons = len(set(rows["seed_a"]) | set(rows["seed_b"]))
    text = (
        f"A computer made up {persons:,} persons and drew each of them once for each race "
        f"({listed(races)}) and gender ({listed(genders)}), with all else held constant. Pictures "
        "were shown in pairs: two of one person, or one each of two persons of the same group. "
    )
    if result.machine is not None:
        systems = sorted(str(name) for name in result.machine["system"].values)
        text += (
            f"Face recognition programs ({listed(systems)}) measured how different the two are. "
            if len(systems) > 1
            else f"A face recognition program ({systems[0]}) measured how different the two are. "
        )
    if result.human is not None:
        human = to_frame(result.study, "human")
        raters = f"{human['annotator'].nunique():,} people" if "annotator" in human else "People"
        text += f"{raters} said how sure they are that the two show one person. "
    return text + "Does race alone, with nothing else changed, change the answer?"


def _found(
    tables: dict[str, pd.DataFrame], who: str, part: pd.DataFrame, result: Identity
) -> list[str]:
    """What race changes for one program, or for people: groups that differ, and mistakes."""
    sign = 1 if who == PEOPLE else -1  # a higher answer, or a smaller distance: more alike
    sentences = [
        f"{SUBJECT[str(kind)]}: "
        f"{_groups(of_kind.assign(alike=sign * of_kind['estimate']), result.reference)}."
        for kind, of_kind in part.groupby("pairs", sort=False)
    ]
    if who != PEOPLE:
        sentences += _against_others(tables, who, result.reference)
    if who != PEOPLE and "rates" in tables:
        rates = tables["rates"]
        sentences += [
            _mistakes(str(rate_of), of_rate)
            for rate_of, of_rate in rates[rates["system"] == who].groupby("rate_of")
        ]
    return sentences


def _against_others(tables: dict[str, pd.DataFrame], who: str, reference: str) -> list[str]:
    """How one program reacts to race compared with people, and with the other programs."""
    parts = []
    if "against_people" in tables:
        table = tables["against_people"]
        parts.append(("people do", table[table["system"] == who]))
    if "between_systems" in tables:
        table = tables["between_systems"]
        for other, part in table[table["system"] == who].groupby("against"):
            parts.append((f"{other} does", part))
    sentences = []
    for other, table in parts:
        for kind, part in table.groupby("pairs", sort=False):
            clear = (part["lower"] > 0) | (part["upper"] < 0)
            names = part["race"].astype(str) + " " + part["gender"].astype(str)
            found = [
                f"{_faces(names, clear & side)} {word} alike than {other}"
                for side, word in ((part["estimate"] < 0, "more"), (part["estimate"] > 0, "less"))
                if (clear & side).any()
            ]
            if found:
                sentences.append(
                    f"{SUBJECT[str(kind)]}: compared with {reference} faces, it finds "
                    f"{', and '.join(found)} (measured by how much pairs of a group differ)."
                )
    return sentences


def _faces(names: pd.Series, chosen: pd.Series) -> str:
    """The groups chosen, or that these are all of several."""
    if len(names) > 2 and chosen.all():
        return "faces of all other groups"
    return f"{listed(list(names[chosen]))} faces"


def _groups(part: pd.DataFrame, reference: str) -> str:
    """Groups found clearly more, and clearly less, alike than the reference."""
    clear = (part["lower"] > 0) | (part["upper"] < 0)
    names = part["race"].astype(str) + " " + part["gender"].astype(str)
    found = [
        f"{_faces(names, clear & side)} are found {word} alike than {reference} faces"
        for side, word in ((part["alike"] > 0, "more"), (part["alike"] < 0, "less"))
        if (clear & side).any()
    ]
    if not found:
        return f"no group clearly differs from {reference} faces"
    rest = int((~clear).sum())
    differ = "does not clearly differ" if rest == 1 else "do not clearly differ"
    unclear = f"; {rest} of {len(part)} groups {differ}" if rest else ""
    return ", and ".join(found) + unclear


def _mistakes(rate_of: str, part: pd.DataFrame) -> str:
    """Groups with the highest and the lowest rate of a mistake, where a rate can be stated."""
    stated = part[part["supported"]].sort_values("estimate")
    if stated.empty:
        return (
            f"It {MISTAKE[rate_of]} too rarely to state rates by group "
            f"({part['errors'].sum():,.0f} of {part['n'].sum():,.0f} pairs)."
        )
    few, many = stated.iloc[0], stated.iloc[-1]
    text = f"It {MISTAKE[rate_of]} in {of_every(many)} pairs of {many['race']} {many['gender']}"
    text += " faces"
    if len(stated) > 1:
        text += f", and in {of_every(few)} pairs of {few['race']} {few['gender']} faces"
    if part["few_identities"].any():
        text += ", where in some groups a few people make most of these mistakes"
    rest = len(part) - len(stated)
    return text + (f"; in {rest} groups there were too few to say." if rest else ".")


def _not_said(result: Identity) -> list[str]:
    sentences = never_shown("truth" in result.study.children)
    if result.human is None:
        sentences.insert(0, NO_IDENTITY_JUDGEMENTS_PLAIN)
    return sentences
