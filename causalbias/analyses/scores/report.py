"""The report on a table of scores."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.analyses import causes
from causalbias.analyses.scores.analysis import Audit, OperatingPoint
from causalbias.analyses.scores.as_json import results_as_json
from causalbias.analyses.scores.figures import causes_of, picture_of_causes, pictures_of
from causalbias.analyses.scores.words import (
    COLUMNS,
    GLOSSARY,
    asked,
    findings,
    limits,
    plain_words,
)
from causalbias.draws.summaries import summarise
from causalbias.report.content import Content, Data, Slider
from causalbias.report.record import record_of_models

TITLES = {
    "rates": "Error rates by group",
    "indices": "How far groups differ",
    "ratios": "Each group's rate over the geometric mean of all groups",
    "pairwise": "Each group's rate over that of each other group",
    "accuracy": "Accuracy of each group at its own best threshold",
    "equal_error": "Equal error rate of each group",
    "pooled": "Error rates by group, partially pooled",
    "between": "False match rates of each two groups",
    "counts": "Persons and comparisons",
    "columns": "What each column was taken for",
}
RESULTS = "results.json"
# Of no use to readers of this report, and too wide a table for print.
DROPPED = (
    *("sd", "p_positive", "scale", "cohort", "threshold_cohort", "converged", "match"),
    *("disjoint", "deft", "top_share", "within_30_percent"),
)
UNUSED = ("p_positive", "population", "n_effective", "smallest_rate")
OWN = "each group's own threshold"
FIRST = ("operating_point", "system", "rate_of", "index", "group", "other")


def audit_content(result: Audit) -> Content:
    """Content of the report on an audit, for `write_report`.

    Parameters
    ----------
    result : Audit

    Returns
    -------
    Content

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=12, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> scores = cb.datasets.read_scores(cb.to_frame(study, "machine"), id_a="stimulus_a",
    ...                                  id_b="stimulus_b", person="seed", group="race")
    >>> content = cb.analyses.audit_content(cb.analyses.audit(scores, fmr=0.1))
    >>> sorted(content.results)[:3]
    ['accuracy', 'columns', 'counts']
    """
    tables = tables_of(result)
    scores = result.scores
    data = Data(
        scores.name,
        scores.name,
        summary_of(result),
        ("operating_point", "index"),
        {RESULTS: results_as_json(result, tables)},
    )
    known = {"excluded": scores.excluded, "sources": scores.sources}
    return Content(
        study=data,
        fits={},
        record=record_of_models({}, known),
        prob=result.prob,
        title="Is the system wrong more often for some groups?",
        intro=asked(result),
        plain=plain_words(result, tables),
        findings=findings(result, tables),
        limits=limits(result),
        pictures=[*pictures_of(result, tables), picture_of_causes(result)],
        results=tables | {"diagram": causes.arrows_table(causes_of(result))},
        titles=TITLES | {"diagram": causes.TITLE},
        headline="rates",
        glossary=GLOSSARY,
        columns=COLUMNS | causes.COLUMNS,
        sliders=[_slider(result, str(one)) for one in result.thresholds["system"].unique()],
    )


def _slider(result: Audit, system: str) -> Slider:
    table = result.thresholds[result.thresholds["system"] == system]
    start = result.points[0].thresholds[system]
    return Slider(system, result.scores.kind, start, table)


def tables_of(result: Audit) -> dict[str, pd.DataFrame]:
    """Tables of the estimates by name, as in `TITLES`."""
    rates = _at_points(result, lambda point: point.rates).merge(
        _persons(result.counts), on=["system", "group", "rate_of"]
    )
    used = {
        (point.name, system): value
        for point in result.points
        for system, value in point.thresholds.items()
    }
    places = zip(rates["operating_point"], rates["system"], strict=True)
    rates["threshold"] = [used[name, str(system)] for name, system in places]
    order = list(rates.columns.drop("persons"))
    order.insert(order.index("n") + 1, "persons")
    tables = {"rates": rates[rates["n"] > 0][order].reset_index(drop=True)}
    for name, of in (
        ("indices", lambda point: point.indices),
        ("ratios", lambda point: point.ratios),
        ("pairwise", lambda point: point.pairwise),
        ("pooled", lambda point: point.pooled),
        ("between", lambda point: point.between),
    ):
        found = _at_points(result, of)
        if len(found):
            tables[name] = found
    tables = _with_accuracy(tables, result)
    if "between" in tables:  # the same both ways round
        place = {name: at for at, name in enumerate(result.groups)}
        both = tables["between"]
        once = both["group"].astype(str).map(place) <= both["other"].astype(str).map(place)
        tables["between"] = both[once].reset_index(drop=True)
    if result.curve is not None and bool(result.curve["supported"].any()):
        curve = summarise(result.curve, prob=result.prob)
        curve = curve.drop(columns=[name for name in DROPPED if name in curve])
        tables["trade_off"] = curve
    tables["thresholds"] = result.thresholds
    return tables | {"counts": result.counts, "columns": result.scores.taken}


def _persons(counts: pd.DataFrame) -> pd.DataFrame:
    """Number of persons in the pairs of each rate."""
    parts = [
        counts[["system", "group"]].assign(persons=counts[f"persons_{kind}"], rate_of=rate)
        for rate, kind in (("FMR", "impostor"), ("FNMR", "genuine"))
    ]
    return pd.concat(parts, ignore_index=True)


def _in_units_of_score(table: pd.DataFrame, result: Audit) -> pd.DataFrame:
    """A table whose thresholds are scores rather than distances."""
    each = zip(table["threshold"].astype(float), table["system"].astype(str), strict=True)
    scores = [np.nan if np.isnan(at) else result.scores.score_at(at, one) for at, one in each]
    return table.assign(threshold=scores)


def _with_accuracy(tables: dict[str, pd.DataFrame], result: Audit) -> dict[str, pd.DataFrame]:
    """Tables with those that are at each group's own threshold, which is no operating point."""
    for name, drawn in (("accuracy", result.accuracy), ("equal_error", result.equal_error)):
        if drawn is not None:
            table = _in_units_of_score(summarise(drawn, prob=result.prob), result)
            tables[name] = table.drop(columns=[one for one in (*DROPPED, *UNUSED) if one in table])
    if result.accuracy_indices is not None:
        own = summarise(result.accuracy_indices, prob=result.prob).assign(operating_point=OWN)
        own = own.drop(columns=[one for one in DROPPED if one in own])
        before = [tables[name] for name in ("indices",) if name in tables]
        tables["indices"] = pd.concat([*before, own], ignore_index=True)
    return tables


def _at_points(result: Audit, of: Callable[[OperatingPoint], xr.Dataset | None]) -> pd.DataFrame:
    """Summaries of an estimate at all operating points, the columns that identify a row first."""
    parts = []
    for point in result.points:
        draws = of(point)
        if draws is not None:
            parts.append(summarise(draws, prob=result.prob).assign(operating_point=point.name))
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table = table.drop(columns=[name for name in DROPPED if name in table])
    first = [name for name in FIRST if name in table]
    return table[[*first, *table.columns.drop(first)]]


def summary_of(result: Audit) -> str:
    """The data in a few lines of text."""
    scores = result.scores
    persons = len(set(scores.frame["seed_a"]) | set(scores.frame["seed_b"]))
    lines = [
        f"{scores.name}",
        f"  comparisons {len(scores.frame):,} by {', '.join(scores.systems)}; scores are "
        f"{scores.kind}",
        f"  persons     {persons:,}",
        f"  groups      {', '.join(scores.by)}: {', '.join(result.groups)}",
    ]
    lines += [
        f"  taken       {row.what}: {row.column} ({row.how})" for row in scores.taken.itertuples()
    ]
    lines += [
        f"  left out    {row.count:,} {row.what} {row.reason} ({row.file})"
        for row in scores.excluded.itertuples(index=False)
    ] or ["  left out    nothing"]
    return "\n".join(lines + [f"  note        {text}" for text in scores.remarks])
