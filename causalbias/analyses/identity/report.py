"""The report of an analysis of genuine and impostor pairs."""

from collections.abc import Mapping, Sequence

import pandas as pd
import xarray as xr

from causalbias.analyses.dependence import Estimand, dependence
from causalbias.analyses.identity.analysis import Identity, truth_of_identity
from causalbias.analyses.identity.words import plain_words
from causalbias.draws.summaries import summarise
from causalbias.estimands.contrasts import effects
from causalbias.manipulation_checks.checks import check_manipulations
from causalbias.plots.identity import group_effects, group_rates
from causalbias.report.content import Content, Picture
from causalbias.report.glossary import COMMON, IDENTITY
from causalbias.report.plain import told
from causalbias.report.tables import (
    RECORD_TITLES,
    check_sentences,
    check_tables,
    record_tables,
)

TITLES = {
    "machine": "Networks: effect of race on the distance",
    "human": "People: effect of race on the mean answer",
    "rates": "Error rates at each network's threshold",
    "truth": "Effects of race beside truth (this study is simulated)",
    "truth_rates": "Error rates beside truth",
    "truth_dose": "Mean by level beside truth",
    "machine_dose": "Networks: mean distance where one member is moved to the level",
    "human_dose": "People: mean answer where one member is moved to the level",
    "left_out": "Pairs that no model is about",
}
INTRO = (
    "Faces are generated: from each seed one of every race and gender, with one attribute at a "
    "time moved from its reference level, all else held. Genuine pairs are two renders of one "
    "face; impostor pairs, faces of two seeds of one race and gender. Networks give a distance "
    "(smaller means more alike), people an answer from surely different to surely the same person."
)
LABELS = ("system", "pairs", "rate_of", "race", "gender")
TRUTHS = {"effect": "truth", "dose": "truth_dose", "rate": "truth_rates"}


def identity_content(result: Identity, *, images: Mapping[str, object] | None = None) -> Content:
    """Words, figures and tables of an identity analysis; with `images` also of their checks."""
    checks = check_manipulations(result.study, images=images, prob=result.prob)
    tables = tables_of(result) | check_tables(checks)
    return Content(
        study=result.study,
        fits=result.fits,
        prob=result.prob,
        title="What race changes: two renders of one person, and two persons of one group",
        intro=INTRO,
        plain=plain_words(result, tables),
        findings=findings(result, tables),
        limits=limits(result),
        checked=check_sentences(checks),
        pictures=pictures_of(result, tables),
        tables=tables,
        titles=TITLES | RECORD_TITLES,
        headline=next(name for name in ("truth", "machine", "human") if name in tables),
        glossary=COMMON | IDENTITY,
    )


def tables_of(result: Identity) -> dict[str, pd.DataFrame]:
    """Tables by name, as in `TITLES`, and those of every report."""
    found: dict[str, pd.DataFrame] = {}
    for name in ("machine", "human", "machine_dose", "human_dose"):
        draws: xr.Dataset | None = getattr(result, name)
        if draws is not None:
            found[name] = _in_order(summarise(draws, prob=result.prob))
    if result.rates is not None:
        found["rates"] = _in_order(summarise(result.rates, prob=result.prob), "rate_of")
    found |= against_truth(result, found)
    if len(result.left_out):
        found["left_out"] = result.left_out
    table = dependence_of(result)
    found |= {"dependence": table} if len(table) else {}
    return found | record_tables(result.study, result.fits)


def dependence_of(result: Identity) -> pd.DataFrame:
    """How far effects of race depend on priors and, of genuine pairs, on single seeds."""

    def of_race(fit: xr.DataTree) -> xr.Dataset:
        return effects(fit, "race", by="gender", reference=result.reference)

    def estimand_of(name: str) -> tuple[Estimand | None, Sequence[str]]:
        return of_race, ["seed"] if name.endswith(", genuine") else ["seed_a", "seed_b"]

    return dependence(result.fits, estimand_of, prob=result.prob)


def _in_order(table: pd.DataFrame, kind: str = "pairs") -> pd.DataFrame:
    """Labels first, rows of one system and kind of pairs together; levels keep their order."""
    labels = ("system", kind, "race", "reference", "gender", "attribute", "level")
    first = [name for name in labels if name in table]
    rest = [name for name in table if name not in {*first, "step"}]
    together = [name for name in ("system", kind) if name in table]
    return table[[*first, *rest]].sort_values(together, kind="stable", ignore_index=True)


def against_truth(result: Identity, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Effects, doses and rates of a simulated study beside the truth; none of another study."""
    known = truth_of_identity(result)
    if known is None:
        return {}
    parts: dict[str, list[pd.DataFrame]] = {}
    for name, table in tables.items():
        estimand = {"rates": "rate"}.get(name, "dose" if name.endswith("_dose") else "effect")
        keys = ["attribute", "level"] if estimand == "dose" else ["race", "gender"]
        if name == "rates":
            kind = table["rate_of"].map({"FNMR": "genuine", "FMR": "impostor"})
            table = table.assign(pairs=kind)
        side = table["system"] if "system" in table else pd.Series("people", index=table.index)
        table = table.assign(fit=side + ", " + table["pairs"])
        own = known[known["estimand"] == estimand][["fit", *keys, "truth"]]
        both = own.merge(table[["fit", *keys, "estimate", "lower", "upper"]], on=["fit", *keys])
        inside = (both["lower"] <= both["truth"]) & (both["truth"] <= both["upper"])
        parts.setdefault(estimand, []).append(both.assign(covered=inside))
    return {TRUTHS[estimand]: pd.concat(found) for estimand, found in parts.items()}


def pictures_of(result: Identity, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    """Effects on networks and on people, and error rates."""
    prob = f"{100 * result.prob:g}%"
    against = f"against {result.reference} faces of the same seeds and gender"
    truth = _crosses(tables)
    pictures = []
    if result.machine is not None:
        pictures.append(
            Picture(
                "race-networks",
                group_effects(
                    result.machine,
                    prob=result.prob,
                    truth=truth.get("machine"),
                    xlabel=f"change of distance against {result.reference}",
                    note=f"{prob} intervals. {_sizes(result)} {_cross_note(truth)}",
                ),
                f"Effect of race on the distance, {against}. Genuine pairs to the right of zero "
                "are found less alike, towards false non-matches; impostor pairs to the left, more "
                f"alike, towards false matches. {prob} intervals.",
                told(
                    tables["machine"],
                    LABELS,
                    f"change of distance {against}",
                    "Points with intervals, genuine and impostor pairs in panels of their own",
                ),
                "machine",
            )
        )
    if result.human is not None:
        pictures.append(
            Picture(
                "race-people",
                group_effects(
                    result.human,
                    prob=result.prob,
                    truth=truth.get("human"),
                    xlabel=f"change of mean answer against {result.reference} (points)",
                    note=f"{prob} intervals. {_cross_note(truth)}",
                ),
                f"Effect of race on what people answer (higher: surer that the two are one "
                f"person), {against}. {prob} intervals.",
                told(
                    tables["human"],
                    LABELS,
                    f"change of the mean answer in points {against}",
                    "Points with intervals, genuine and impostor pairs in panels of their own",
                ),
                "human",
            )
        )
    if result.rates is not None:
        pictures.append(
            Picture(
                "rates",
                group_rates(
                    result.rates,
                    prob=result.prob,
                    note=f"{prob} intervals. Hollow: too few errors to state a rate; an arrow: the "
                    "interval leaves the panel.",
                ),
                "Error rates at each network's threshold, by group, with intervals that allow for "
                "the seeds that pairs share. Where there are too few errors to state a rate, the "
                "interval starts at zero; where there is none, it ends at 3 over the number of "
                "comparisons that share no seed.",
                told(
                    tables["rates"],
                    LABELS,
                    "error rate at the network's threshold",
                    "Points with intervals, false matches and false non-matches in panels of "
                    "their own",
                ),
                "rates",
            )
        )
    return pictures


def _crosses(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """True effects as `group_effects` takes them."""
    if "truth" not in tables:
        return {}
    true = tables["truth"]
    sides = [str(name).rsplit(", ", 1) for name in true["fit"]]
    true = true.assign(system=[side for side, _ in sides], pairs=[kind for _, kind in sides])
    people = true["system"] == "people"
    return {"machine": true[~people], "human": true[people]}


def _cross_note(truth: dict[str, pd.DataFrame]) -> str:
    return "Crosses: truth (simulated)." if truth else ""


def _sizes(result: Identity) -> str:
    seeds = max(len(set(one["seed_a"]) | set(one["seed_b"])) for one in result.rows.values())
    pairs = sum(len(one) for name, one in result.rows.items() if not name.startswith("people, "))
    return f"{seeds} seeds, {pairs:,} distances."


def findings(result: Identity, tables: dict[str, pd.DataFrame]) -> list[str]:
    """The main results in plain sentences, each with its interval."""
    prob = f"{100 * result.prob:g}%"
    said = []
    for side, unit in (("machine", "distance"), ("human", "points")):
        if side not in tables:
            continue
        by = ["system", "pairs"] if side == "machine" else ["pairs"]
        for key, part in tables[side].groupby(by):
            who = str(key[0]) if side == "machine" else "People"
            said.append(_finding(part, who, str(key[-1]), unit, result.reference, prob))
    if "rates" in tables:
        few = int((~tables["rates"]["supported"]).sum())
        if few:
            said.append(
                f"{few} of {len(tables['rates'])} error rates by group are below what their pairs "
                "can support (fewer than three errors' worth); such a rate is not zero, and the "
                "upper end of its interval is all that is known of it."
            )
        rest_on_few = int(tables["rates"]["few_identities"].sum())
        if rest_on_few:
            said.append(
                f"In {rest_on_few} of {len(tables['rates'])} error rates by group, 5% of the "
                "identities have most of the errors (few_identities): other people may have far "
                f"fewer, or more, and the {prob} intervals of such rates are too short."
            )
    if "truth" in tables:
        covered = pd.concat([tables[name]["covered"] for name in TRUTHS.values() if name in tables])
        said.append(
            f"This study is simulated, so the truth is known: {int(covered.sum())} of "
            f"{len(covered)} intervals hold it (about {prob} should)."
        )
    return said


def _finding(part: pd.DataFrame, who: str, kind: str, unit: str, reference: str, prob: str) -> str:
    """Largest effect of one side on one kind of pairs, or that none is sure."""
    sure = part[(part["lower"] > 0) | (part["upper"] < 0)]
    if sure.empty:
        widest = part[["lower", "upper"]].abs().to_numpy().max()
        return (
            f"{who}, {kind} pairs: no effect of race is sure in sign; every {prob} interval holds "
            f"zero and none reaches beyond {widest:.3g} {_unit(unit)}."
        )
    top = sure.iloc[int(sure["estimate"].abs().argmax())]
    alike = (top["estimate"] < 0) == (unit == "distance")
    return (
        f"{who}, {kind} pairs: {len(sure)} of {len(part)} effects of race have a sure sign. The "
        f"largest: {top['race']} {top['gender']} faces are found {'more' if alike else 'less'} "
        f"alike than {reference} ones, by {abs(top['estimate']):.3g} {_unit(unit)} "
        f"({prob} interval of the change {top['lower']:.3g} to {top['upper']:.3g})."
    )


def _unit(unit: str) -> str:
    return "of distance" if unit == "distance" else unit


def limits(result: Identity) -> list[str]:
    """What this study cannot support, in plain sentences."""
    said = [
        "Effects are causal where race changed in the generated face and nothing else did. That is "
        "a property of the stimuli; the manipulation checks are all that tests it here.",
        "Effects are averages over the levels of the attributes in this study; the models let no "
        "attribute act more strongly on one race than on another. Intervals allow for other seeds "
        "drawn like these.",
    ]
    if result.machine is not None:
        said += [
            "Distances of different networks are on different scales: do not compare the sizes of "
            "effects across networks.",
            "Distances cannot be negative, and a re-rendered or re-cropped image of the same face "
            "is also some distance away; that floor was not measured and is not subtracted.",
            _failures_to_enrol(result),
        ]
    if result.human is not None:
        said.append(
            "People's answers are averaged for each pair, all pairs counting alike: how many "
            "answered, and how reliable they are, gives no weight. The answer's scale ends, so an "
            "effect in points is smaller where answers are near an end. People and networks "
            "answer on different scales: sizes of effects cannot be compared between them."
        )
    else:
        said.append(
            "Nobody was asked whether two faces show one person, so this study supports no claim "
            "that a network is more, or less, biased than people."
        )
    left = result.left_out["count"].sum()
    if left:
        said.append(
            f"{int(left):,} rows of pairs are in no model; the table of pairs left out says why."
        )
    return said


def _failures_to_enrol(result: Identity) -> str:
    status = result.study.children["machine"].to_dataset()["status"]
    lost = int((status != "ok").sum())
    if not lost:
        return "Failures to enrol: not measured."
    return (
        f"Failures to enrol: {lost:,} of {status.size:,} distances are missing. False non-match "
        "rates here do not count them."
    )
