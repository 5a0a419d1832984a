"""Tables of a manipulation analysis, as frames and as CSV that is safe to open."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.estimands.summaries import summarise
from causalbias.inference.diagnostics import extreme
from causalbias.storage import replace_text
from causalbias.studies.manipulation import Manipulation


def tables_of(result: Manipulation) -> dict[str, pd.DataFrame]:
    """Tables by name: human, machine, ratio, ranks, nonmatch, truth, fits, excluded, sources."""
    prob = result.prob
    tables = {"human": summarise(result.human, prob=prob)}
    if result.machine is not None and result.ratio is not None:
        tables["machine"] = summarise(result.machine, prob=prob)
        tables["ratio"] = summarise(result.ratio, prob=prob)
    tables["ranks"] = pd.concat(
        [
            ranks.to_dataframe().reset_index().assign(of=name)
            for name, ranks in result.ranks.items()
        ],
        ignore_index=True,
    )
    if result.nonmatch is not None and len(result.nonmatch):
        tables["nonmatch"] = result.nonmatch
    if "truth" in result.study.children:
        tables["truth"] = against_truth(result, tables)
    tables["fits"] = fits_table(result)
    for name, group in (("excluded", "excluded"), ("sources", "provenance")):
        if group in result.study.children:
            tables[name] = result.study.children[group].to_dataset().to_dataframe()
    return tables


def against_truth(result: Manipulation, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Estimates of a simulated study beside the truth, and whether the interval holds it."""
    truth = result.study.children["truth"].to_dataset()
    parts = []
    for side in ("human", "machine"):
        if side in tables and side in truth:
            known = truth[side].rename("truth").to_dataframe().reset_index()
            joined = tables[side].merge(known, on=["attribute", "level"])
            parts.append(joined.assign(side=side))
    both = pd.concat(parts, ignore_index=True)
    both["covered"] = (both["lower"] <= both["truth"]) & (both["truth"] <= both["upper"])
    return both[["side", "attribute", "level", "truth", "estimate", "lower", "upper", "covered"]]


def fits_table(result: Manipulation) -> pd.DataFrame:
    """One row a model: formula, rows, engine, worst diagnostics and verdict."""
    rows = []
    for name, one in result.fits.items():
        diagnostics = one.children["diagnostics"].to_dataset()
        failures = json.loads(one.attrs["failures"])
        rows.append(
            {
                "model": name,
                "formula": json.loads(one.attrs["spec"])["formula"],
                "rows": int(one.attrs["n_rows"]),
                "engine": one.attrs["engine"],
                "max_r_hat": extreme(diagnostics, "r_hat")[1],
                "min_ess_bulk": extreme(diagnostics, "ess_bulk")[1],
                "min_ess_tail": extreme(diagnostics, "ess_tail")[1],
                "verdict": "; ".join(failures) if failures else "converged",
            }
        )
    return pd.DataFrame(rows)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; text that a spreadsheet would run as a formula is quoted."""
    safe = table.copy()
    for column in safe:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            text = safe[column].astype(str)
            safe[column] = text.where(~text.str.match(r"[=+\-@\t\r]"), "'" + text)
    replace_text(path, safe.to_csv(index=False, lineterminator="\n"))


def rounded(table: pd.DataFrame, digits: int = 3) -> list[list[str]]:
    """Cells as text with this many significant digits, for people."""

    def show(value: object) -> str:
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if isinstance(value, int | np.integer):
            return f"{value:,}"
        if isinstance(value, float | np.floating):
            if np.isinf(value):
                return "unbounded"
            return "" if np.isnan(value) else f"{value:.{digits}g}"
        return str(value)

    return [[show(value) for value in row] for row in table.itertuples(index=False)]
