"""The first page of an identity analysis's report, in plain words."""

import pandas as pd

from causalbias.analyses.identity.analysis import Identity
from causalbias.models.levels import canonical, levels_of
from causalbias.report.content import Plain
from causalbias.report.plain import always_silent, how_sure, listed, of_every
from causalbias.study.frames import to_frame

WHAT = {"impostor": "Pictures of two persons", "genuine": "Pictures of one person"}
MISTAKE = {
    "FMR": "takes two different persons for one",
    "FNMR": "takes two pictures of one person for two persons",
}


def plain_words(result: Identity, tables: dict[str, pd.DataFrame]) -> Plain:
    """What was asked and found, how sure it is and what it does not say."""
    sides = {name: tables[name] for name in ("machine", "human") if name in tables}
    found: dict[str, list[str]] = {}
    for name, table in sides.items():
        systems = table["system"] if name == "machine" else pd.Series("people", table.index)
        for who, part in table.groupby(systems.to_numpy()):
            found[str(who).replace("people", "People")] = _side(result, tables, str(who), part)
    every = pd.concat(sides.values())
    clear = int(((every["lower"] > 0) | (every["upper"] < 0)).sum())
    return Plain(
        asked=_asked(result),
        found=found,
        sure=how_sure(
            tables,
            result.prob,
            clear=f"{clear} of {len(every)} differences between groups are clear: their range lies "
            "on one side of no difference. The others may be chance.",
            allowed_for="chance in which persons the generator drew",
        ),
        silent=_silent(result),
    )


def _asked(result: Identity) -> str:
    rows = pd.concat(result.rows.values())
    races, genders = (levels_of(canonical(rows[name])) for name in ("race", "gender"))
    persons = len(set(rows["seed_a"]) | set(rows["seed_b"]))
    said = (
        f"{persons:,} persons were made up by computer, and each was drawn as {listed(races)}, "
        f"{listed(genders)}, with all else held. Pictures were shown in twos: two of one person, "
        "or one each of two persons of one group. "
    )
    if result.machine is not None:
        systems = sorted(str(name) for name in result.machine["system"].values)
        said += (
            f"Face recognition programs ({listed(systems)}) measured how unlike the two are. "
            if len(systems) > 1
            else f"A face recognition program ({systems[0]}) measured how unlike the two are. "
        )
    if result.human is not None:
        human = to_frame(result.study, "human")
        raters = f"{human['annotator'].nunique():,} people" if "annotator" in human else "People"
        said += f"{raters} said how sure they are that the two show one person. "
    return said + "Does race alone, with nothing else changed, change the answer?"


def _side(
    result: Identity, tables: dict[str, pd.DataFrame], who: str, part: pd.DataFrame
) -> list[str]:
    """What one program, or people, make of race: groups that differ, and mistakes by group."""
    unit = 1 if who == "people" else -1  # a higher answer, or a smaller distance: more alike
    said = [
        f"{WHAT[str(kind)]}: {_groups(own.assign(alike=unit * own['estimate']), result.reference)}."
        for kind, own in part.groupby("pairs", sort=False)
    ]
    if who != "people" and "rates" in tables:
        rates = tables["rates"]
        said += [
            _mistakes(str(of), own) for of, own in rates[rates["system"] == who].groupby("rate_of")
        ]
    return said


def _faces(names: pd.Series, chosen: pd.Series) -> str:
    """The groups chosen, or that it is all of several."""
    if len(names) > 2 and chosen.all():
        return "faces of all other groups"
    return f"{listed(list(names[chosen]))} faces"


def _groups(part: pd.DataFrame, reference: str) -> str:
    """Groups found clearly more, and clearly less, alike than the reference."""
    clear = (part["lower"] > 0) | (part["upper"] < 0)
    names = part["race"].astype(str) + " " + part["gender"].astype(str)
    found = [
        f"{_faces(names, clear & side)} are found {word} alike than {reference} ones"
        for side, word in ((part["alike"] > 0, "more"), (part["alike"] < 0, "less"))
        if (clear & side).any()
    ]
    if not found:
        return f"no group clearly differs from {reference} faces"
    rest = int((~clear).sum())
    beside = f"; {rest} of {len(part)} groups do not clearly differ" if rest else ""
    return ", and ".join(found) + beside


def _mistakes(of: str, part: pd.DataFrame) -> str:
    """Groups with the most and the fewest mistakes of a kind, of those of which one can tell."""
    stated = part[part["supported"]].sort_values("estimate")
    if stated.empty:
        return (
            f"It {MISTAKE[of]} too seldom for rates by group "
            f"({part['errors'].sum():,.0f} of {part['n'].sum():,.0f} pairs)."
        )
    few, many = stated.iloc[0], stated.iloc[-1]
    said = f"It {MISTAKE[of]} in {of_every(many)} pairs of {many['race']} {many['gender']} faces"
    if len(stated) > 1:
        said += f", and in {of_every(few)} of {few['race']} {few['gender']} ones"
    if part["few_identities"].any():
        said += ", where in some groups a few people make most of these mistakes"
    beside = len(part) - len(stated)
    return said + (f"; of {beside} groups too few were seen to say." if beside else ".")


def _silent(result: Identity) -> list[str]:
    said = always_silent("truth" in result.study.children)
    if result.human is None:
        said.insert(
            0,
            "Whether a program is more, or less, biased than people: nobody was asked if two "
            "pictures show one person.",
        )
    if result.machine is not None and result.machine.sizes["system"] > 1:
        said.insert(
            0,
            "Which program reacts more strongly: each measures distance on a scale of its own. "
            "Mistakes, counted in pairs, can be compared.",
        )
    return said
