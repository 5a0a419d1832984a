"""The verdict on a model, from its diagnostics and its checks, and the verdict on all models."""

import json
from collections.abc import Iterable
from typing import Literal, NamedTuple

from causalbias.model_checks.check import Checks
from causalbias.models.result import Fit

Level = Literal["passed", "unchecked", "misfit", "unconverged"]


class Verdict(NamedTuple):
    """A verdict on one model, or on all models of a report.

    Attributes
    ----------
    level : {"passed", "unchecked", "misfit", "unconverged"}
        From good to bad: all checks passed; some checks did not run; the model does not reproduce
        the data; the posterior draws failed their diagnostics.
    sentence : str
    """

    level: Level
    sentence: str


PASSED = Verdict("passed", "passed")


def verdict_of(fit: Fit, checks: Checks) -> Verdict:
    """Verdict on a model: of its posterior draws first, then of its checks against the data.

    Parameters
    ----------
    fit : Fit
    checks : Checks
        From `check` of the fit.

    Returns
    -------
    Verdict
    """
    if failures := json.loads(fit.attrs["failures"]):
        return Verdict("unconverged", f"not converged: {'; '.join(failures)}")
    failed = checks.loc[checks["verdict"] == "fail", "check"]
    if len(failed):
        names = ", ".join(dict.fromkeys(failed))
        return Verdict("misfit", f"fails {len(failed)} of {len(checks)} checks: {names}")
    missing = checks.loc[checks["verdict"] == "not run", "check"]
    if len(missing):
        names = ", ".join(dict.fromkeys(missing))
        return Verdict("unchecked", f"not fully checked: {names} did not run")
    return PASSED


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on all models of a report: the worst level, and a sentence.

    Parameters
    ----------
    verdicts : iterable of Verdict
        From `verdict_of`, one for each model.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> overall([PASSED, Verdict("misfit", "fails 1 of 8 checks: tails")]).sentence
    'Do not report yet: 1 of 2 models does not pass its checks against the data.'
    """
    levels = [verdict.level for verdict in verdicts]
    unconverged, misfit, unchecked = (
        levels.count(level) for level in ("unconverged", "misfit", "unchecked")
    )
    models = f"{len(levels)} model{'s' if len(levels) > 1 else ''}"
    if unconverged:
        their = "its" if unconverged == 1 else "their"
        return Verdict(
            "unconverged",
            "Not converged: do not use these estimates. "
            f"{unconverged} of {models} failed {their} diagnostics.",
        )
    if misfit:
        fail = "does not pass its" if misfit == 1 else "do not pass their"
        return Verdict(
            "misfit", f"Do not report yet: {misfit} of {models} {fail} checks against the data."
        )
    if unchecked:
        return Verdict(
            "unchecked", f"Not fully checked: some checks of {unchecked} of {models} did not run."
        )
    if not levels:
        return Verdict("passed", "No model was fitted, so there is none to check.")
    passed = f"all {models} passed their" if len(levels) > 1 else "the model passed its"
    return Verdict("passed", f"Passed: {passed} diagnostics and checks against the data.")
