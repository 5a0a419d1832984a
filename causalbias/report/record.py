"""What every report holds, whichever analysis it is of: verdicts, checks, sources."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from causalbias.inference.diagnostics import extreme
from causalbias.manipulation_checks.checks import check_manipulations
from causalbias.model_checks.check import Checks, check
from causalbias.models.result import Fit, spec_of
from causalbias.report.misfits import Misfit, misfit_of
from causalbias.report.verdicts import Verdict, verdict_of

TITLES = {
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


@dataclass(frozen=True)
class Record:
    """What a report records of its study and models beside the analysis's estimates.

    Attributes
    ----------
    verdicts : dict of str to Verdict
        Verdict on each model, by its name.
    misfits : dict of str to Misfit
        Of each model that fails checks: what that does to the claims, and the line that answers it.
    checked : list of str
        Sentences: what the manipulation checks found, and what could not be checked.
    tables : dict of str to DataFrame
        Manipulation checks, diagnostics and checks of the models, exclusions and files; `TITLES`
        has their titles.
    """

    verdicts: dict[str, Verdict]
    misfits: dict[str, Misfit]
    checked: list[str]
    tables: dict[str, pd.DataFrame]


def record_of(
    study: xr.DataTree,
    fits: Mapping[str, Fit],
    *,
    prob: float,
    images: Mapping[str, object] | None = None,
) -> Record:
    """Check a study's manipulations and an analysis's models, and record what was found.

    Parameters
    ----------
    study : DataTree
    fits : mapping of str to Fit
        The models by name; may be empty.
    prob : float
        Probability of the intervals of the manipulation checks.
    images : mapping of stimulus to path or array, optional
        Images of the faces: their quality is checked too.

    Returns
    -------
    Record
    """
    manipulations = check_manipulations(study, images=images, prob=prob)
    tables = {f"check_{name}": table for name, table in manipulations.tables.items()}
    files = {
        name: study.children[group].to_dataset().to_dataframe()
        for name, group in (("excluded", "excluded"), ("sources", "provenance"))
        if group in study.children
    }
    of_models = record_of_models(fits, files)
    sentences = [line.strip() for line in str(manipulations).splitlines()[1:]]
    return Record(of_models.verdicts, of_models.misfits, sentences, tables | of_models.tables)


def record_of_models(fits: Mapping[str, Fit], files: Mapping[str, pd.DataFrame]) -> Record:
    """Check an analysis's models, where the data are a table without manipulations.

    Parameters
    ----------
    fits : mapping of str to Fit
        The models by name; may be empty.
    files : mapping of str to DataFrame
        Tables "excluded" and "sources"; empty ones are left out.
    """
    checks = {name: check(fit) for name, fit in fits.items()}
    verdicts = {name: verdict_of(fit, checks[name]) for name, fit in fits.items()}
    misfits = {name: one for name in fits if (one := misfit_of(checks[name])) is not None}
    tables: dict[str, pd.DataFrame] = {}
    if fits:
        tables |= {"fits": _fits_table(fits, verdicts), "checks": _checks_table(checks)}
    return Record(verdicts, misfits, [], tables | {k: v for k, v in files.items() if len(v)})


def _fits_table(fits: Mapping[str, Fit], verdicts: Mapping[str, Verdict]) -> pd.DataFrame:
    """One row for each model: formula, rows, engine, worst diagnostics and verdict."""
    rows = []
    for name, fit in fits.items():
        diagnostics = fit.children["diagnostics"].to_dataset()
        rows.append(
            {
                "model": name,
                "formula": "; ".join(spec_of(fit).formulas),
                "rows": int(fit.attrs["n_rows"]),
                "engine": fit.attrs["engine"],
                "max_r_hat": extreme(diagnostics, "r_hat")[1],
                "min_ess_bulk": extreme(diagnostics, "ess_bulk")[1],
                "min_ess_tail": extreme(diagnostics, "ess_tail")[1],
                "verdict": verdicts[name].sentence,
            }
        )
    return pd.DataFrame(rows)


def _checks_table(checks: Mapping[str, Checks]) -> pd.DataFrame:
    """The checks that failed or did not run; a single row for a model that passed all."""
    parts = []
    for name, found in checks.items():
        failed = pd.DataFrame(found[found["verdict"] != "ok"])
        if failed.empty:
            passed = {
                "check": f"all {len(found)}",
                "of": "",
                "hint": "",
                "update": "",
                "verdict": "ok",
            }
            failed = pd.DataFrame([passed])
        parts.append(failed.assign(model=name))
    columns = ["model", "verdict", "check", "of", "value", "low", "high", "p", "hint", "update"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)
