"""The report on editors that should keep a person's identity: whose they lose, and how often."""

import numpy as np
import pandas as pd

from causalbias.analyses.causes import IMAGE_QUALITY, adjustment_sentence
from causalbias.analyses.editing.analysis import LEAST, Editing
from causalbias.analyses.editing.pairs import ALL, GENUINE, IMPOSTOR, ONE_EDITOR, SOURCE, TARGET
from causalbias.analyses.sentences import percent
from causalbias.analyses.table_report import content_of_table
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.draws.estimate import Estimate
from causalbias.draws.summaries import summarise
from causalbias.plots.forest import forest
from causalbias.rates.enrolment import rate_interval
from causalbias.report.content import Content, Data, Picture
from causalbias.report.wording import alt_text, listed, number, rounded_up, with_range

TITLES = {
    "matching": "Share of pairs that match, at the threshold",
    "lost": "Identity lost more often than on average over groups",
    "kept": "Identity kept: 1 as photographs of one person, 0 as strangers",
    "means": "Mean distances",
    "failures": "Outputs without a distance to their source",
    "seen": "Outputs that are seen as of the source's, or the target's, level",
    "effects": "Effects on the distance to the source",
}
WORDS = {
    SOURCE: "outputs and their source",
    GENUINE: "photographs of one person",
    IMPOSTOR: "outputs and other persons' sources",
    TARGET: "outputs and their target",
}
GLOSSARY = {
    **dict.fromkeys(("attribute", "level", "seed"), ""),
    "source": "The photograph whose person the output should show.",
    "target": "The picture into which the person is put.",
    "output": "The picture that the editor made.",
    "editor": "The program that makes an output of a source, such as a face swap.",
    "genuine baseline": "Distances of two photographs of one person: as near as a network finds "
    "the same person anyway.",
    "impostor baseline": "Distances of outputs to the sources of other persons of the same group, "
    "whom they should not show. It is never mixed with the genuine one.",
    "identity kept": "Where outputs are between both baselines: 1 if they are as near to their "
    "source as photographs of one person, 0 if they are as far as strangers.",
}
COLUMNS = {
    "kind": "; ".join(f"{kind}: {what}" for kind, what in WORDS.items()),
    "group": "attributes of the source",
    "network": "what compared the pictures",
    "persons": "number of persons whose photographs were edited",
    "outputs": "number of outputs that are seen so",
    "matches": "number of pairs that match",
    "failed": "pairs without a distance: no face was found in one of the pictures",
    "seen_as": "whose level an output is seen as of, where source and target differ",
    "level": "level of the source",
    "effect_of": "what differs",
    "contrast": "levels that are compared",
    "by": "editor, where the effect is of each",
}
GROUP, ORIGIN = "source's group", "origin of pictures"  # nodes of the diagram
SIZES = ["n", "failed", "n_effective"]
ENDS = ["estimate", "lower", "upper"]


def editing_content(result: Editing) -> Content:
    """Content of the report on editors, for `write_report`.

    Parameters
    ----------
    result : Editing
        From `analyse_editing`.

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> manifest, distances = cb.simulation.simulate_editing(persons=12, editors=["swap"])
    >>> found = cb.analyses.analyse_editing(manifest, distances, person="person")
    >>> sorted(cb.analyses.editing_content(found).results)
    ['diagram', 'failures', 'means']
    """
    tables = tables_of(result)
    answers = result.manifest
    labels = ("kind", "network", "editor", "group", "seen_as", "effect_of", "contrast", "by")
    return content_of_table(
        Data(answers.name, answers.name, _summary(result), labels),
        answers.files,
        result.fits,
        result.prob,
        title="Whose identity is lost?",
        asked=_asked(result),
        findings=findings(result, tables),
        clear="",
        allowed_for="chance in which persons and targets were edited, and for one person's or "
        "target's outputs being alike",
        not_said=[
            "Whether people would still see the person, where only programs compared the pictures: "
            "programs have biases of their own, and may have been used to train the editor.",
            "Why identity is lost more often in a group: sources of groups may differ in light, "
            "pose and quality, and the comparison is causal only where they do not.",
            "That there is no difference where none is clear: the data may have been too few.",
            "Anything about who people are: groups are the labels that the data give.",
        ],
        limits=_limits(result),
        pictures=_pictures(result, tables),
        results=tables,
        titles=TITLES,
        headline=next(one for one in ("matching", "kept", "means") if one in tables),
        glossary=GLOSSARY,
        columns=COLUMNS,
        diagram=_causes(result),
        adjustment=_adjustment(result),
    )


def tables_of(result: Editing) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`."""
    tables: dict[str, pd.DataFrame] = {}
    cell = ["kind", "network", "editor", "group"]
    prob = result.prob
    if result.matching is not None:
        table = summarise(result.matching, prob=prob).dropna(subset="upper")
        shown = [*cell, *ENDS, "matches", *SIZES, "threshold"]
        tables["matching"] = table[shown].astype({"matches": int, "n": int})
    if result.lost is not None:
        table = summarise(result.lost, prob=prob).dropna(subset="estimate")
        tables["lost"] = table[[*cell[1:], *ENDS]]
    means = summarise(result.identity, prob=prob, of="mean").dropna(subset="estimate")
    kept = summarise(result.identity, prob=prob, of="kept").dropna(subset="estimate")
    if len(kept):
        # Of how many outputs: those whose distances to their source are between the two others.
        outputs = means[means["kind"] == SOURCE].set_index(cell[1:])[["n", "persons"]]
        tables["kept"] = kept[[*cell[1:], *ENDS]].join(outputs, on=cell[1:])
    tables["means"] = means[[*cell, *ENDS, "n", "persons", "failed"]]
    tables["failures"] = _failures(result)
    if result.seen is not None:
        table = summarise(result.seen, prob=prob).dropna(subset="upper")
        labels = ["attribute", "seen_as", "editor", "level"]
        tables["seen"] = table[[*labels, *ENDS, "outputs", "n", "n_effective"]].astype(
            {"outputs": int, "n": int}
        )
    if result.effects:
        tables["effects"] = pd.concat(
            [_effects(name, found, prob) for name, found in result.effects.items()]
        )
    return {name: table.reset_index(drop=True) for name, table in tables.items()}


def _effects(name: str, found: Estimate, prob: float) -> pd.DataFrame:
    """Contrasts of one variable in the columns of the table of all."""
    table = summarise(found, prob=prob)
    contrast = [
        f"{a} − {b}" for a, b in zip(table[name].astype(str), table["reference"], strict=True)
    ]
    by = table["editor"].astype(str) if name != "editor" and "editor" in table else "all"
    made = table[["network"]].assign(effect_of=name, contrast=contrast, by=by)
    return pd.concat([made, table[[*ENDS, "converged"]]], axis=1)


def _failures(result: Editing) -> pd.DataFrame:
    """How many outputs, or their sources, had no face, with intervals over persons."""
    rows = result.pairs[result.pairs["kind"] == SOURCE]
    found = []
    for key, part in rows.groupby(["network", "editor", "group"], observed=True):
        failed = part["distance"].isna().to_numpy()
        lower, upper = rate_interval(failed, part["first"].to_numpy(), result.prob)
        found.append(
            dict(zip(("network", "editor", "group"), map(str, key), strict=True))
            | {"estimate": failed.mean(), "lower": lower, "upper": upper}
            | {"failed": int(failed.sum()), "n": len(failed)}
        )
    return pd.DataFrame(found)


def _summary(result: Editing) -> str:
    frame = result.manifest.frame
    return result.manifest.described(
        "outputs",
        f"{len(frame):,} of {frame['person'].nunique():,} persons by "
        f"{frame['editor'].nunique():,} editors",
    )


def _asked(result: Editing) -> str:
    frame = result.manifest.frame
    editors = [one for one in pd.unique(frame["editor"].astype(str)) if one != ONE_EDITOR]
    networks = [str(one) for one in result.identity["network"].values]
    groups = [str(one) for one in frame["group"].cat.categories if one != ALL]
    return (
        f"Photographs of {frame['person'].nunique():,} persons were edited into {len(frame):,} "
        f"pictures{f' by {listed(editors)}' if editors else ''} that should still show them. "
        f"Does {listed(networks)} still find the person"
        f"{f', and equally often in all groups ({listed(groups)})' if groups else ''}?"
    )


def _where(row: pd.Series) -> str:
    """Network, editor and group of a row, at the start of a sentence."""
    parts = [str(row[one]) for one in ("network", "editor") if str(row[one]) != ONE_EDITOR]
    return ", ".join([*parts, *([str(row["group"])] if str(row["group"]) != ALL else [])])


def _per_cent(row: pd.Series) -> str:
    """A share with its interval, in per cent; its upper limit where too few support it."""
    if np.isnan(row["estimate"]):
        return f"at most {rounded_up(100 * row['upper'], 2)} per cent (too few to say more)"
    ends = 100 * row[ENDS].astype(float)
    return f"{with_range(ends.where(ends > 0.01, 0), 3)} per cent"


def findings(result: Editing, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    sentences = []
    if "matching" in tables:
        sentences += _matching_sentences(tables["matching"])
    if "lost" in tables:
        sentences += _lost_sentences(tables["lost"], result.prob)
    for _, row in tables.get("kept", pd.DataFrame()).iterrows():
        sentences.append(
            f"{_where(row)}: on the way from strangers (0) to photographs of one person (1), "
            f"outputs are at {with_range(row)}."
        )
    if "matching" not in tables and "kept" not in tables:
        for _, row in tables["means"][tables["means"]["kind"] == SOURCE].iterrows():
            sentences.append(
                f"{_where(row)}: the mean distance to the source is {with_range(row, 3)}."
            )
    if "effects" in tables:
        sentences += _effect_sentences(tables["effects"], result.prob)
    return [*sentences, *_failure_sentences(tables["failures"]), *_seen_sentences(tables)]


def _lost_sentences(table: pd.DataFrame, prob: float) -> list[str]:
    """Whose identity is lost more often; of two groups in one sentence."""
    sentences, clear, number_of = [], 0, 0
    for _, part in table.groupby(["network", "editor"], sort=False):
        rows = part.sort_values("estimate", ascending=False)
        number_of += 1 if len(rows) == 2 else len(rows)
        for _, row in (rows[:1] if len(rows) == 2 else rows).iterrows():
            sure = row["lower"] > 0 or row["upper"] < 0
            clear += int(sure)
            # Two groups are as far from each other as both are from their mean.
            ends = 100 * row[ENDS].astype(float) * (2 if len(rows) == 2 else 1)
            than = (
                f"in group {rows['group'].iloc[1]}" if len(rows) == 2 else "on average over groups"
            )
            if sure or len(rows) == 2:
                which = "more" if row["estimate"] > 0 else "less"
                doubt = "" if sure else "; the range includes no difference"
                points = with_range(ends) if row["estimate"] > 0 else with_range(ends, size=True)
                sentences.append(
                    f"{_where(row)}: identity is lost {which} often than {than}, by {points} "
                    f"percentage points{doubt}."
                )
    by_chance = number((1 - prob) * number_of)
    sentences.append(
        f"{clear} of {number_of} such differences are clear: their range leaves out zero (of "
        f"{by_chance} it would by chance)."
    )
    return sentences


def _effect_sentences(table: pd.DataFrame, prob: float) -> list[str]:
    """Clear effects on the distance to the source."""
    sure = ((table["lower"] > 0) | (table["upper"] < 0)) & table["converged"]
    sentences = []
    for _, row in table[sure].iterrows():
        by = "" if row["by"] == "all" else f", {row['by']}"
        which = "further from" if row["estimate"] > 0 else "nearer to"
        sentences.append(
            f"{row['network']}{by}: outputs are {which} their source by "
            f"{with_range(row, size=True)} ({row['effect_of']}: {row['contrast']})."
        )
    sentences.append(
        f"{int(sure.sum())} of {len(table)} effects on the distance to the source are clear (of "
        f"{number((1 - prob) * len(table))} the range would leave out zero by chance)."
    )
    return sentences


def _matching_sentences(table: pd.DataFrame) -> list[str]:
    sentences = []
    labels = ["network", "editor", "group"]
    by = {kind: part.set_index(labels) for kind, part in table.groupby("kind")}
    for _, row in table[table["kind"] == SOURCE].iterrows():
        key = tuple(row[labels])
        others = [
            f"{WORDS[kind]} in {_per_cent(by[kind].loc[key])}"
            for kind in (GENUINE, IMPOSTOR, TARGET)
            if kind in by and key in by[kind].index
        ]
        sentences.append(
            f"{_where(row)}: outputs match their source in {_per_cent(row)} of {row['n']:,} "
            f"pairs{f'; {listed(others)}' if others else ''}."
        )
    return sentences


def _failure_sentences(table: pd.DataFrame) -> list[str]:
    failed = table[table["failed"] > 0]
    if failed.empty:
        return []
    worst = failed.sort_values("estimate", ascending=False).iloc[0]
    return [
        f"{int(table['failed'].sum()):,} of {int(table['n'].sum()):,} distances to the source are "
        "missing, as no face was found; they are in no other number. Most often of "
        f"{_where(worst)}: {_per_cent(worst)} of {worst['n']:,}."
    ]


def _seen_sentences(tables: dict[str, pd.DataFrame]) -> list[str]:
    if "seen" not in tables:
        return []
    sentences = []
    for key, part in tables["seen"].groupby(["attribute", "editor", "level"], sort=False):
        attribute, editor, level = map(str, key)
        rows = {str(row["seen_as"]): row for _, row in part.iterrows()}
        into = ""
        if "target" in rows:
            into = f", and {_per_cent(rows['target'])} as of their target's"
        where = "" if editor == ONE_EDITOR else f"{editor}: "
        other = " and target is not" if into else ""
        sentences.append(
            f"{where}of {part['n'].iloc[0]:,} outputs whose source is {level}{other}, "
            f"{_per_cent(rows['source'])} are seen as of their source's {attribute}{into}."
        )
    return sentences


def _limits(result: Editing) -> list[str]:
    sentences = [
        "A network that finds persons of a group alike has near strangers in it: outputs then "
        "match their source more easily, and other persons too. Read the rate at which outputs "
        "match beside the same group's impostor baseline.",
        "An output is compared with the photograph that it was made of, from which it may copy "
        "light and pose: photographs of one person differ in these.",
        f"Groups with fewer than {LEAST} persons are left out and counted; with fewer than some 20 "
        "persons ranges are rough.",
    ]
    if result.matching is not None:
        sentences.append(
            "The threshold is taken as known. Of a threshold that was set at a false match rate of "
            "these pairs, its own error is in no range."
        )
    if result.fits:
        sentences.append(
            "Effects are of a Gaussian model of distances. They are differences of one network's "
            "distances, and of no meaning across networks."
        )
    if result.seen is not None:
        sentences.append(
            "What an output is seen as is the answer of people or of a classifier, which errs, and "
            "not equally often in all groups."
        )
    return sentences


def _causes(result: Editing) -> Diagram:
    """What is taken to move what in this analysis."""
    frame, lost = result.manifest.frame, bool((result.identity["failed"] > 0).any())
    several = frame["editor"].nunique() > 1
    moved = [*(["editor"] if several else []), *(["target"] if "target" in frame else [])]
    outcomes = ["distance", *(["face found"] if lost else [])]
    causes = [GROUP, *moved, IMAGE_QUALITY]
    arrows = [f"{one} -> {outcome}" for one in causes for outcome in outcomes]
    arrows.append(f"{ORIGIN} -> {GROUP}; {ORIGIN} -> {IMAGE_QUALITY}")
    return diagram(
        "; ".join(arrows),
        manipulated=moved,
        unmeasured=[ORIGIN, IMAGE_QUALITY],
        selected=outcomes[1:],
    )


def _adjustment(result: Editing) -> list[str]:
    """What follows from the diagram."""
    found = _causes(result)
    sentences = [
        adjustment_sentence(found, GROUP, "distance"),
        "Baselines of the same group bear some of this: photographs of one person have the "
        "quality of its sources, and strangers of one group are as near as the network finds them.",
    ]
    if "editor" in found.nodes:
        sentences.append(adjustment_sentence(found, "editor", "distance"))
    if found.selected:
        sentences.append(
            "Distances are missing where no face was found: cb.causal.selection_bounds says how "
            "far that could move an effect."
        )
    return sentences


def _pictures(result: Editing, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    note = f"{percent(result.prob)} intervals over persons and targets."
    pictures: list[Picture] = []
    for network in map(str, result.identity["network"].values):
        own = {"network": network}
        shown = []
        if result.matching is not None:
            rate = result.matching.sel(own, drop=True).sel(kind=SOURCE, drop=True)
            shown.append(("matching", rate, "share of outputs that match their source"))
        if "kept" in tables and network in set(tables["kept"]["network"]):
            kept = result.identity[["kept"]].sel(own, drop=True).assign_attrs(variable="kept")
            shown.append(("kept", kept, "identity kept"))
        for name, draws, label in shown:
            table = tables[name][tables[name]["network"] == network]
            if name == "matching":
                table = table[table["kind"] == SOURCE]
            figure = forest(draws, rows="group", prob=result.prob, xlabel=label, note=note)
            alt = alt_text(table, ["group", "editor"], label, "Points with intervals")
            title = f"{network}: {label}"
            pictures.append(
                Picture(f"{name}-{len(pictures)}", figure, f"{title}. {note}", alt, name)
            )
    if result.seen is not None:
        for attribute in map(str, result.seen["attribute"].values):
            draws = result.seen.sel(attribute=attribute, seen_as="source", drop=True)
            draws = draws.dropna("level", how="all", subset=["rate"])
            table = tables["seen"]
            table = table[(table["attribute"] == attribute) & (table["seen_as"] == "source")]
            label = f"share seen as of the source's {attribute}"
            figure = forest(draws, rows="level", prob=result.prob, xlabel=label, note=note)
            alt = alt_text(table, ["level", "editor"], label, "Points with intervals")
            pictures.append(Picture(f"seen-{attribute}", figure, f"{label}. {note}", alt, "seen"))
    return pictures
