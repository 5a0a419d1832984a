"""The figures of a report on scores, with captions and text alternatives."""

import pandas as pd

from causalbias.analyses.causes import adjustment_sentence, causal_picture
from causalbias.analyses.scores.analysis import Audit, OperatingPoint
from causalbias.analyses.sentences import percent
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.plots.identity import group_rates
from causalbias.plots.rates import det_curves, rate_heatmap, score_distributions
from causalbias.plots.ratios import ratio_intervals
from causalbias.report.content import Picture
from causalbias.report.wording import alt_text, listed, rounded_down

ORIGIN, QUALITY = "origin of images", "light, pose, age and camera"  # nodes of the diagram
LABELS = ("operating_point", "system", "rate_of", "group", "other")
MOST_ROWS = 6  # groups of which all ratios of two are drawn
MOST_CELLS = 12  # groups of a heat map whose numbers can be read


def pictures_of(result: Audit, tables: dict[str, pd.DataFrame]) -> list[Picture]:
    """Rates by group, rates of each two groups, trade-off of both errors, and scores."""
    pictures = [_rates(result, tables, point, at) for at, point in enumerate(result.points, 1)]
    pictures += [
        _between(result, tables, point, at, system)
        for at, point in enumerate(result.points, 1)
        for system in result.scores.systems
        if point.between is not None and len(result.groups) <= MOST_CELLS
    ]
    pictures += [
        _ratios(result, tables, point, at)
        for at, point in enumerate(result.points, 1)
        if point.pairwise is not None and len(result.groups) <= MOST_ROWS
    ]
    if result.curve is not None and bool(result.curve["supported"].any()):
        pictures.append(_trade_off(result, tables))
    shown = map(str, result.histograms["system"].values)  # those with pairs of one group
    return pictures + [_scores(result, tables, one, at) for at, one in enumerate(shown, 1)]


def causes_of(result: Audit) -> Diagram:
    """What is taken to move what in this analysis."""
    lost = bool((result.scores.frame["status"] != "ok").any())
    outcomes = ["score", *(["score given"] if lost else [])]
    arrows = [f"{cause} -> {one}" for cause in ("group", QUALITY) for one in outcomes]
    arrows.append(f"{ORIGIN} -> group; {ORIGIN} -> {QUALITY}")
    return diagram("; ".join(arrows), unmeasured=[ORIGIN, QUALITY], selected=outcomes[1:])


def picture_of_causes(result: Audit) -> Picture:
    """The causal diagram, and the adjustment that follows."""
    sentences = [
        adjustment_sentence(causes_of(result), "group", "score"),
        "Rates say what happens on these images, and not why. Where faces were generated and the "
        "group was set, no arrow leads to it, and nothing needs to be adjusted for: that is what "
        "cb.analyses.analyse_identity is for.",
    ]
    return causal_picture(causes_of(result), sentences)


def _rates(
    result: Audit, tables: dict[str, pd.DataFrame], point: OperatingPoint, at: int
) -> Picture:
    figure = group_rates(point.rates, prob=result.prob)
    table = tables["rates"]
    table = table[table["operating_point"] == point.name]
    caption = (
        f"Error rates by group at {point.name}: false matches of two persons of one group, and "
        "false non-matches. Intervals allow for persons who are in several pairs. Where there are "
        "too few errors to state a rate, the interval starts at zero."
    )
    alt = alt_text(
        table.drop(columns="operating_point"),
        LABELS,
        f"error rate at {point.name}",
        "Points with intervals, false matches and false non-matches in panels of their own",
    )
    return Picture(f"rates-{at}", figure, caption, alt, "rates")


def _ratios(
    result: Audit, tables: dict[str, pd.DataFrame], point: OperatingPoint, at: int
) -> Picture:
    assert point.pairwise is not None
    note = "Intervals are each ratio's own, and not of all at once."
    figure = ratio_intervals(point.pairwise, prob=result.prob, note=note)
    table = tables["pairwise"]
    stated = table[(table["operating_point"] == point.name) & table["supported"]]
    bounds = table[(table["operating_point"] == point.name) & (table["interval"] == "at least")]
    caption = (
        f"How many times as many errors one group has as another at {point.name}. Where a group "
        "has almost no errors, only one end of the range is known, and an arrow begins there."
    )
    alt = alt_text(
        stated.drop(columns="operating_point"),
        LABELS,
        f"ratio of error rates at {point.name}",
        "Points with intervals, false matches and false non-matches in panels of their own",
    )
    least = [
        f"{row['group']} over {row['other']}, {row['rate_of']}, {row['system']}: at least "
        f"{rounded_down(row['lower'])}"
        for _, row in bounds.iterrows()
    ]
    return Picture(f"ratios-{at}", figure, caption, " ".join([alt, *least]), "pairwise")


def _between(
    result: Audit, tables: dict[str, pd.DataFrame], point: OperatingPoint, at: int, system: str
) -> Picture:
    assert point.between is not None
    figure = rate_heatmap(point.between.sel(system=[system]), prob=result.prob)
    table = tables["between"]
    table = table[(table["operating_point"] == point.name) & (table["system"] == system)]
    name = f" ({system})" if len(result.scores.systems) > 1 else ""
    caption = (
        f"False match rates of each two groups at {point.name}{name}, in percent with intervals; "
        "on the diagonal two persons of one group."
    )
    alt = alt_text(
        table.drop(columns=["operating_point", "system"]),
        LABELS,
        f"false match rate of each two groups at {point.name}{name}",
        "Heat map",
    )
    number = at if len(result.scores.systems) == 1 else f"{at}-{system}"
    return Picture(f"between-{number}", figure, caption, alt, "between")


def _trade_off(result: Audit, tables: dict[str, pd.DataFrame]) -> Picture:
    assert result.curve is not None
    figure = det_curves(result.curve, prob=result.prob)
    caption = (
        "Trade-off of both errors by group as the threshold moves, with pointwise "
        f"{percent(result.prob)} bands. A curve that is lower and further left has fewer errors. "
        "It ends where there are too few errors for a rate."
    )
    table = tables["trade_off"]
    stated = table[table["supported"]]
    middle = stated.iloc[(stated["fmr"] - 0.01).abs().argsort()[:1]]["fmr"].iloc[0]
    alt = alt_text(
        stated[stated["fmr"] == middle],
        LABELS,
        f"false non-match rate at a false match rate of {middle:g}",
        "Curves with bands; of their points",
    )
    return Picture("trade-off", figure, caption, alt, "trade_off")


def _scores(result: Audit, tables: dict[str, pd.DataFrame], system: str, at: int) -> Picture:
    scores = result.scores
    counts = result.histograms.sel(system=[system])
    point = result.points[0]
    threshold = point.thresholds[system]
    label, value = "distance", threshold
    if scores.kind == "similarity":
        label, value = f"{scores.top:g} minus the similarity", scores.top - threshold
    figure = score_distributions(counts, threshold=value, xlabel=label)
    name = f" of {system}" if len(scores.systems) > 1 else ""
    caption = (
        f"Scores{name} of genuine pairs, and of impostor pairs of two persons of one group, as "
        f"{label}; dotted: {point.name}."
    )
    sizes = tables["counts"]
    sizes = sizes[sizes["system"] == system]
    for kind in ("genuine", "impostor"):
        if none := sizes.loc[sizes[f"persons_{kind}"] == 0, "group"].tolist():
            caption += f" Without {kind} pairs that have a score: {listed(none)}."
    each = [
        f"{row.group}: {row.genuine:,} genuine, {row.impostor:,} impostor"
        for row in sizes.itertuples()
    ]
    alt = f"Distributions of {label}{name}, genuine and impostor pairs by group. {'; '.join(each)}."
    return Picture(f"scores-{at}", figure, caption, alt, "counts")
