"""The report of an analysis of genuine and impostor pairs."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import xarray as xr

from causalbias.analyses import causes
from causalbias.analyses.dependence import Estimand, dependence
from causalbias.analyses.identity.analysis import PEOPLE, Identity, truth_of_identity
from causalbias.analyses.identity.figures import causes_of, picture_of_causes, pictures_of
from causalbias.analyses.identity.words import COLUMNS, GLOSSARY, plain_words
from causalbias.analyses.sentences import (
    NO_IDENTITY_JUDGEMENTS,
    SMALLEST_DISTANCE,
    causal_if,
    coverage,
    failures_to_enrol,
    percent,
)
from causalbias.draws.summaries import summarise
from causalbias.estimands.contrasts import effects
from causalbias.models.result import spec_of
from causalbias.report.content import Content
from causalbias.report.record import record_of

TITLES = {
    "machine": "Networks: effect of race on the distance",
    "human": "People: effect of race on the mean answer",
    "between_kinds": "Networks: effect on impostor pairs less that on genuine pairs",
    "between_systems": "Between networks: effects of race in standard deviations between pairs",
    "against_people": "Networks against people: effects of race in standard deviations between "
    "pairs",
    "rates": "Error rates at each network's threshold",
    "truth": "Effects of race beside the truth (this study is simulated)",
    "truth_rates": "Error rates beside the truth",
    "truth_dose": "Mean by level beside the truth",
    "machine_dose": "Networks: mean distance where one member is moved to the level",
    "human_dose": "People: mean answer where one member is moved to the level",
    "left_out": "Distances and answers that are in no model",
    "diagram": causes.TITLE,
}
ESTIMATES = (
    "machine",
    "human",
    "between_kinds",
    "between_systems",
    "against_people",
    "machine_dose",
    "human_dose",
)
SIDES = ("machine", "human")
MAIN_UNIT = "pair sd"  # of `compare`: free of the noise of answers; the others are only written
INTRO = (
    "Faces are generated: for each seed, one face of every race and gender, of which one attribute "
    "at a time is moved from its reference level, with all else held constant. Genuine pairs are "
    "two renders of one face; impostor pairs are faces of two seeds of the same race and gender. "
    "Networks give a distance (smaller means more alike), people an answer from surely different "
    "to surely the same person."
)
TRUTHS = {"effect": "truth", "dose": "truth_dose", "rate": "truth_rates"}


def identity_content(result: Identity, *, images: Mapping[str, object] | None = None) -> Content:
    """Content of the report on an identity analysis.

    Parameters
    ----------
    result : Identity
    images : mapping of stimulus to path or array, optional
        Images of the faces, whose quality is then checked too.

    Returns
    -------
    Content
    """
    record = record_of(result.study, result.fits, prob=result.prob, images=images)
    tables = tables_of(result)
    return Content(
        study=result.study,
        fits=result.fits,
        record=record,
        prob=result.prob,
        title="What race changes: two renders of one person, and two persons of one group",
        intro=INTRO,
        plain=plain_words(result, tables, record, _truths(tables)),
        findings=findings(result, tables),
        limits=limits(result),
        pictures=[*pictures_of(result, tables), picture_of_causes(result)],
        results=tables | {"diagram": causes.arrows_table(causes_of(result))},
        titles=TITLES,
        headline=next(name for name in ("truth", "machine", "human") if name in tables),
        glossary=GLOSSARY,
        columns=COLUMNS | causes.COLUMNS,
    )


def tables_of(result: Identity) -> dict[str, pd.DataFrame]:
    """Tables of the estimates and of what is in no model; `dependence` on priors and seeds."""
    found = estimates_of(result)
    if len(result.left_out):
        found["left_out"] = result.left_out
    table = dependence_of(result)
    return found | ({"dependence": table} if len(table) else {})


def estimates_of(result: Identity) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`, and of those whose truth is known."""
    found: dict[str, pd.DataFrame] = {}
    for name in ESTIMATES:
        draws: xr.Dataset | None = getattr(result, name)
        if draws is not None:
            found[name] = _in_order(summarise(draws, prob=result.prob))
    if "against_people" in found:
        units = found["against_people"]
        main = units["unit"] == MAIN_UNIT
        found["against_people_units"] = units[~main].reset_index(drop=True)
        found["against_people"] = units[main].dropna(subset="estimate").reset_index(drop=True)
    if result.rates is not None:
        found["rates"] = _in_order(summarise(result.rates, prob=result.prob), "rate_of")
    return found | against_truth(result, found)


def dependence_of(result: Identity) -> pd.DataFrame:
    """How far effects of race depend on priors and, for genuine pairs, on single seeds."""

    def of_race(fit: xr.DataTree) -> xr.Dataset:
        return effects(fit, "race", by="gender", reference=result.reference)

    def estimand_of(name: str) -> tuple[Estimand | None, Sequence[str]]:
        return of_race, ["seed"] if name.endswith(", genuine") else ["seed_a", "seed_b"]

    return dependence(result.fits, estimand_of, prob=result.prob)


def _in_order(table: pd.DataFrame, kind: str = "pairs") -> pd.DataFrame:
    """Label columns first, rows by system and kind of pairs; levels keep their order."""
    compared = ["system", "against", "unit", kind]
    labels = [*compared, "race", "reference", "gender", "attribute", "level"]
    first = [name for name in labels if name in table]
    rest = [name for name in table if name not in {*first, "step", "systems"}]
    together = [name for name in ("system", "against", kind) if name in table]
    return table[[*first, *rest]].sort_values(together, kind="stable", ignore_index=True)


def against_truth(result: Identity, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Effects, doses and rates beside the truth; empty unless the study is simulated."""
    known = truth_of_identity(result)
    if known is None:
        return {}
    parts: dict[str, list[pd.DataFrame]] = {}
    for name in [*SIDES, *(f"{side}_dose" for side in SIDES), "rates"]:
        if name not in tables:
            continue
        table = tables[name]
        estimand = {"rates": "rate"}.get(name, "dose" if name.endswith("_dose") else "effect")
        keys = ["attribute", "level"] if estimand == "dose" else ["race", "gender"]
        if name == "rates":
            kind = table["rate_of"].map({"FNMR": "genuine", "FMR": "impostor"})
            table = table.assign(pairs=kind)
        side = table["system"] if "system" in table else pd.Series(PEOPLE, index=table.index)
        table = table.assign(fit=side + ", " + table["pairs"])
        true = known[known["estimand"] == estimand][["fit", *keys, "truth"]]
        both = true.merge(table[["fit", *keys, "estimate", "lower", "upper"]], on=["fit", *keys])
        inside = (both["lower"] <= both["truth"]) & (both["truth"] <= both["upper"])
        parts.setdefault(estimand, []).append(both.assign(covered=inside))
    return {TRUTHS[estimand]: pd.concat(found) for estimand, found in parts.items()}


def _truths(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of estimates beside the truth."""
    return {name: tables[name] for name in TRUTHS.values() if name in tables}


def findings(result: Identity, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in sentences, each with its interval."""
    prob = percent(result.prob)
    sentences = []
    for side, unit in (("machine", "distance"), ("human", "points")):
        if side not in tables:
            continue
        by = ["system", "pairs"] if side == "machine" else ["pairs"]
        for key, part in tables[side].groupby(by):
            who = str(key[0]) if side == "machine" else "People"
            sentences.append(_finding(part, who, str(key[-1]), unit, result.reference, prob))
    sentences += _differences(tables, result.reference, prob)
    if "rates" in tables:
        sentences += _uncertain_rates(tables["rates"], prob)
    return sentences + coverage(_truths(tables), result.prob, "intervals")


def _finding(part: pd.DataFrame, who: str, kind: str, unit: str, reference: str, prob: str) -> str:
    """Largest effect on one kind of pairs, or that no interval excludes zero."""
    of_unit = "of distance" if unit == "distance" else unit
    clear = _clear_only(part)
    if clear.empty:
        farthest = part[["lower", "upper"]].abs().to_numpy().max()
        return (
            f"{who}, {kind} pairs: no effect of race is clear in sign; every {prob} interval "
            f"includes zero and none reaches beyond {farthest:.3g} {of_unit}."
        )
    top = _largest(clear)
    alike = (top["estimate"] < 0) == (unit == "distance")
    return (
        f"{who}, {kind} pairs: {len(clear)} of {len(part)} effects of race are clear in sign. The "
        f"largest: {top['group']} faces are found {'more' if alike else 'less'} "
        f"alike than {reference} faces, by {abs(top['estimate']):.3g} {of_unit} "
        f"({prob} interval of the change {top['lower']:.3g} to {top['upper']:.3g})."
    )


def _differences(tables: dict[str, pd.DataFrame], reference: str, prob: str) -> list[str]:
    """Where kinds of pairs, systems, and systems and people differ in what race changes."""
    sentences = []
    kinds = tables.get("between_kinds", pd.DataFrame({"system": []}))
    for system, part in kinds.groupby("system"):
        clear = _clear_only(part)
        sentence = (
            f"{system}: in {len(clear)} of {len(part)} groups, race clearly changes impostor pairs "
            "otherwise than genuine ones."
        )
        if len(clear):
            top = _largest(clear)
            side = "farther apart" if top["estimate"] > 0 else "closer together"
            sentence += (
                f" The largest: against {reference} faces, two persons with {top['group']} faces "
                f"are {side}, compared with two pictures of one, {_by(top, 'distance', prob)}."
            )
        sentences.append(sentence)
    for first, second, kind, part in _compared(tables):
        clear = _clear_only(part)
        sentence = (
            f"{first} and {second}, {kind} pairs: {len(clear)} of {len(part)} effects of race "
            "clearly differ between the two."
        )
        if len(clear):
            top = _largest(clear)
            side = "less alike" if top["estimate"] > 0 else "more alike"
            unit = "standard deviations between pairs"
            sentence += (
                f" The largest: against {reference} faces, {top['group']} faces are found {side} "
                f"by {first} than by {second}, {_by(top, unit, prob)}."
            )
        sentences.append(sentence)
    return sentences


def _compared(tables: dict[str, pd.DataFrame]) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Tables of two systems, and of a system and people, by these names and kind of pairs."""
    by = ["system", "against", "pairs"]
    for name in ("between_systems", "against_people"):
        if name in tables:
            table = tables[name]
            others = table["against"] if name == "between_systems" else PEOPLE
            for (first, second, kind), part in table.assign(against=others).groupby(by):
                yield str(first), str(second), str(kind), part


def _clear_only(part: pd.DataFrame) -> pd.DataFrame:
    return part[(part["lower"] > 0) | (part["upper"] < 0)]


def _largest(clear: pd.DataFrame) -> pd.Series:
    """The row of the largest effect, with the name of its group."""
    top = clear.iloc[int(clear["estimate"].abs().argmax())].copy()
    top["group"] = f"{top['race']} {top['gender']}"
    return top


def _by(top: pd.Series, unit: str, prob: str) -> str:
    return (
        f"by {abs(top['estimate']):.3g} {unit} ({prob} interval of the difference "
        f"{top['lower']:.3g} to {top['upper']:.3g})"
    )


def _uncertain_rates(rates: pd.DataFrame, prob: str) -> list[str]:
    """Which error rates rest on too few errors, or on few identities."""
    sentences = []
    unsupported = int((~rates["supported"]).sum())
    if unsupported:
        sentences.append(
            f"{unsupported} of {len(rates)} error rates by group are smaller than their number of "
            "pairs can support (fewer than three independent errors); such a rate is not zero, and "
            "only the upper end of its interval is known."
        )
    concentrated = int(rates["few_identities"].sum())
    if concentrated:
        sentences.append(
            f"In {concentrated} of {len(rates)} error rates by group, 5% of the identities have "
            "most of the errors (few_identities): the rate among other people may be much lower or "
            f"higher, and the {prob} interval is too short."
        )
    return sentences


def _how_attributes_act(result: Identity) -> str:
    """What the models assume of attributes and groups."""
    if any("race*step" not in spec_of(fit).formula for fit in result.fits.values()):
        return "The models assume that each attribute acts equally on every race."
    return "An attribute may act differently on each race; it is assumed to act equally by gender."


def limits(result: Identity) -> list[str]:
    """What this study cannot support, in sentences."""
    sentences = [
        causal_if("race changed in the generated face"),
        "Effects are averages over the levels of the attributes in this study. Intervals allow for "
        "other seeds drawn from the same generator.",
        _how_attributes_act(result),
    ]
    if result.machine is not None:
        sentences += [
            "Distances of different networks are on different scales: compare the sizes of their "
            "effects in standard deviations between pairs, as the tables of differences do, and "
            "not in units of distance.",
            SMALLEST_DISTANCE,
            f"{failures_to_enrol(result.study)} False non-match rates here do not count failures "
            "to enrol.",
        ]
    if result.human is not None:
        sentences.append(
            "The scale of answers is bounded, so an effect in points is smaller where answers are "
            "near an end. Networks are compared with people in standard deviations of what each "
            "says of pairs of a group, which leaves out the noise of answers; their estimates are "
            "taken as independent though they are of the same pairs, so that these intervals are "
            "wider, or narrower, than those of a joint model (`joint`) if the two err alike, or "
            "oppositely, about the same faces. A conclusion that holds in one unit only "
            "depends on it: the file against_people_units.csv has the others."
        )
    else:
        sentences.append(NO_IDENTITY_JUDGEMENTS)
    excluded = result.left_out["count"].sum()
    if excluded:
        sentences.append(
            f"{int(excluded):,} distances and answers are in no model; a table says why."
        )
    return sentences
