"""Tables of every report, and tables as CSV that is safe to open."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.inference.diagnostics import extreme
from causalbias.io.atomic import RUN_BY_SPREADSHEETS
from causalbias.io.storage import replace_text
from causalbias.manipulation_checks.checks import Checks
from causalbias.model_checks.check import Checks as ModelChecks
from causalbias.model_checks.check import check
from causalbias.models.result import Fit

PASSED = "passed"
RECORD_TITLES = {
    "check_dose": "Manipulation check: perceived change of the manipulated attribute",
    "check_leaks": "Manipulation check: what each manipulation changes of what is perceived",
    "check_identity": "Manipulation check: distance from the unchanged face, and HCIC",
    "check_enrolment": "Manipulation check: failures to enrol by cell",
    "check_quality": "Manipulation check: what each manipulation changes of image quality",
    "dependence": "How far the estimates depend on priors and on single seeds or raters",
    "fits": "Diagnostics and verdict of every model",
    "checks": "What checks of the models found, with a hint",
    "excluded": "What was excluded",
    "sources": "Files read",
}


def record_tables(study: xr.DataTree, fits: dict[str, Fit]) -> dict[str, pd.DataFrame]:
    """Tables of every report: fits, and excluded and sources where the study has them."""
    checks = {name: check(one) for name, one in fits.items()}
    tables = {"fits": fits_table(fits, checks), "checks": checks_table(checks)}
    for name, group in (("excluded", "excluded"), ("sources", "provenance")):
        if group in study.children:
            tables[name] = study.children[group].to_dataset().to_dataframe()
    return tables


def check_tables(checks: Checks) -> dict[str, pd.DataFrame]:
    """The checks' tables under the names that a report gives them."""
    return {f"check_{name}": table for name, table in checks.tables.items()}


def check_sentences(checks: Checks) -> list[str]:
    """What the checks found, and what could not be checked."""
    return [line.strip() for line in str(checks).splitlines()[1:]]


def verdict_of(fit: Fit, found: ModelChecks) -> str:
    """The one verdict on a model, of its draws and of its checks against the data."""
    if failures := json.loads(fit.attrs["failures"]):
        return f"not converged: {'; '.join(failures)}"
    bad = found.loc[found["verdict"] == "fail", "check"]
    if len(bad):
        return f"fails {len(bad)} of {len(found)} checks: {', '.join(dict.fromkeys(bad))}"
    lost = found.loc[found["verdict"] == "not run", "check"]
    if len(lost):
        return f"not fully checked: {', '.join(dict.fromkeys(lost))} did not run"
    return PASSED


def overall(verdicts: pd.Series) -> tuple[str, str]:
    """How bad the worst of a report's verdicts is, and the verdict on all in a sentence.

    Parameters
    ----------
    verdicts : Series of str
        From `verdict_of`, a model each.

    Returns
    -------
    level : {"alarm", "doubt", "passed"}
    sentence : str

    Examples
    --------
    >>> overall(pd.Series(["passed", "fails 1 of 8 checks: tails"]))[1]
    'Do not report yet: 1 of 2 calculations does not pass its checks against the data.'
    """
    many = len(verdicts)
    of = f"of {many} calculation{'s' if many > 1 else ''}"
    lost, bad = (int(verdicts.str.startswith(word).sum()) for word in ("not converged", "fails"))
    unchecked = int(verdicts.str.startswith("not fully checked").sum())
    if lost:
        told = f"{lost} {of} failed {'its' if lost == 1 else 'their'} own tests."
        return "alarm", f"Not converged: do not use these estimates. {told}"
    if bad:
        told = "does not pass its" if bad == 1 else "do not pass their"
        return "doubt", f"Do not report yet: {bad} {of} {told} checks against the data."
    if unchecked:
        return "doubt", f"Not fully checked: of {unchecked} {of} some checks did not run."
    told = f"all {many} calculations" if many > 1 else "the calculation"
    their = "their" if many > 1 else "its"
    return "passed", f"Passed: {told} passed {their} own tests and {their} checks against the data."


def fits_table(fits: dict[str, Fit], checks: dict[str, ModelChecks]) -> pd.DataFrame:
    """One row a model: formula, rows, engine, worst diagnostics and verdict."""
    rows = []
    for name, one in fits.items():
        diagnostics = one.children["diagnostics"].to_dataset()
        rows.append(
            {
                "model": name,
                "formula": json.loads(one.attrs["spec"])["formula"],
                "rows": int(one.attrs["n_rows"]),
                "engine": one.attrs["engine"],
                "max_r_hat": extreme(diagnostics, "r_hat")[1],
                "min_ess_bulk": extreme(diagnostics, "ess_bulk")[1],
                "min_ess_tail": extreme(diagnostics, "ess_tail")[1],
                "verdict": verdict_of(one, checks[name]),
            }
        )
    return pd.DataFrame(rows)


def checks_table(checks: dict[str, ModelChecks]) -> pd.DataFrame:
    """The checks that failed or could not run, one row each; one row for a model without any."""
    parts = []
    for name, found in checks.items():
        bad = pd.DataFrame(found[found["verdict"] != "ok"])
        if bad.empty:
            none = {"check": f"all {len(found)}", "of": "", "hint": "", "verdict": "ok"}
            bad = pd.DataFrame([none])
        parts.append(bad.assign(model=name))
    columns = ["model", "verdict", "check", "of", "value", "low", "high", "p", "hint"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; text that a spreadsheet would run as a formula is quoted."""
    safe = table.copy()
    for column in safe:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = ["" if pd.isna(cell) else _harmless(str(cell)) for cell in safe[column]]
    safe.columns = pd.Index([_harmless(str(name)) for name in safe])
    replace_text(path, safe.to_csv(index=False, lineterminator="\n"))


def _harmless(text: str) -> str:
    """A cell that no spreadsheet runs, and that no carriage return splits in two."""
    text = re.sub(r"[\x00-\x1f]", " ", text)
    return "'" + text if re.match(RUN_BY_SPREADSHEETS, text) else text


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
            if np.isnan(value):
                return ""
            return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
        return str(value)

    return [[show(value) for value in row] for row in table.itertuples(index=False)]
