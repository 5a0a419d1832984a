"""`check`: check the draws, the model and the priors of a fit, with hints for failures."""

import json
import math
from html import escape
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.arguments import generator, need_fit, number_in
from causalbias.errors import DataError
from causalbias.inference.diagnostics import MIN_ESS, Limit, limits
from causalbias.model_checks.changes import NONE, grouped, line, term, together
from causalbias.model_checks.clustering import clustering
from causalbias.model_checks.missing import MISSING, missing_by_cell
from causalbias.model_checks.prior_conflict import prior_conflicts
from causalbias.model_checks.replicates import Found, few_levels, predictive_checks
from causalbias.model_checks.statistics import Subject
from causalbias.models.fitted import fitted
from causalbias.models.needs import need_rows_themselves

LEVEL = 0.01
OF_CHECKS = ("check", "of", "value", "low", "high", "p", "verdict", "hint")
COLUMNS = [*OF_CHECKS, *Subject._fields, "update"]
CLUSTERING, PRIORS = "clustering", "priors"  # kinds; others are in `replicates` and `missing`


class Checks(pd.DataFrame):
    """A DataFrame that prints as a list of verdicts."""

    def __repr__(self) -> str:
        return describe_checks(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(describe_checks(self))}</pre>"


def check(fit: xr.DataTree, *, threshold: float | None = None, random_seed: int = 0) -> Checks:
    """Check the draws, the model and the priors of a fit, with hints for what fails.

    Sampling: R-hat, effective sample sizes, divergences, Pareto k and effective sample size of
    importance weights. Model: posterior predictive checks that compare replicated data with the
    data in category shares or means by group (columns of few levels, and pairs of these), tails at
    a threshold, spread of residuals by group and between levels of grouping factors, skewness and
    kurtosis of residuals and of the effects of levels; correlation of residuals within columns of
    the data by which rows could be grouped and the formula does not group them, those of both
    members of a pair included. Priors: how far in the tail of a prior the
    estimate of its parameter lies. Missing rows, if the design crosses the levels of a grouping
    factor with other columns: whether some cells have more missing rows than expected by chance.
    This is no failure, but should be examined, because no model can detect whether rows are missing
    because of their outcome.

    A fit of a correct model fails each check of model or prior with a probability of at most 0.02,
    and usually 0.01 (Meng 1994); docs/calibration.md reports simulations.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    threshold : float, optional
        Threshold of the response at which tails are compared; by default the 1, 5, 95 and 99%
        quantiles of the response.
    random_seed : int
        Seed of the replicates.

    Returns
    -------
    DataFrame
        One row per check: `check`, `of` (the quantity that is farthest from expectation), its
        `value`, the range `low` to `high` of values that pass (for replicated data, the central
        99%), `p` (for all quantities of the check together), `verdict` ("ok", "look", "fail", "not
        run"), `hint`; what it is of as data, for programs, since texts may change: `kind`, grouping
        `factor`, `columns` and their `levels` (see `Subject`); and `update`: the line that fits the
        model which answers the failure, of a fit called `fit`, where one is known ("" else).
        ``attrs["update"]`` is the line that answers
        all failures at once. ``attrs["verdict"]`` is "pass" or "fail"; if no check failed but some
        could not run, it is "incomplete" with their number and the reasons.
        ``attrs["replicates"]`` is the number of data sets replicated, 200 to 500, fewer of many
        rows.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.check(fit).attrs["verdict"]
    'pass'
    """
    need_fit(fit)
    need_rows_themselves(fit, "cb.check")
    if threshold is not None:
        threshold = number_in(threshold, "threshold")
    rows = _sampling(fit)
    first, compared = len(rows), list[Found]()
    try:
        compared = predictive_checks(fit, threshold=threshold, random_seed=random_seed)
        compared += _clustering(fit, random_seed)
        rows += [_compared(one) for one in compared]
    except DataError as error:
        rows.append(_not_run("replicates", error))
    try:
        rows.append(_priors(fit, random_seed))
    except DataError as error:
        rows.append(_not_run("priors", error))
    rows += _missing(fit, random_seed)
    bad = {at: one.change for at, one in enumerate(compared, first) if one.compared.p < LEVEL}
    lines = [line(bad.get(at, NONE)) for at in range(len(rows))]
    found = Checks([(*row, one) for row, one in zip(rows, lines, strict=True)], columns=COLUMNS)
    found.loc[found["verdict"] == "ok", "hint"] = ""
    words = set(found["verdict"])
    found.attrs["replicates"] = compared[0].compared.draws if compared else 0
    found.attrs["changes"] = [dict(one) for one in bad.values() if one]
    found.attrs["update"] = line(together(found.attrs["changes"]))
    found.attrs["verdict"] = "fail" if "fail" in words else incomplete(found) or "pass"
    return found


def incomplete(checks: pd.DataFrame) -> str:
    """Describe how many checks could not run, and why; "" if all did."""
    lost = checks[checks["verdict"] == "not run"]
    if lost.empty:
        return ""
    why = "; ".join(f"{one.check}: {one.of}" for one in lost.itertuples())
    return f"incomplete: {len(lost)} of {len(checks)} checks could not run ({why})"


def _word(bad: bool) -> str:
    return "fail" if bad else "ok"


Row = tuple[object, ...]  # of all COLUMNS but the last


def _compared(found: Found) -> Row:
    one = found.compared
    word = _word(one.p < LEVEL)
    row = (found.check, found.of, one.value, one.low, one.high, one.p, word, found.hint)
    return (*row, *found.subject)


def _not_run(name: str, error: DataError) -> Row:
    return (name, error.problem, *(math.nan,) * 4, "not run", error.hint, *Subject(name))


def _sampling(fit: xr.DataTree) -> list[Row]:
    """What the diagnostics say, with limits."""
    draws, tune = json.loads(fit.attrs["sampling"])[1:3]
    found = limits(*(fit.children[name].to_dataset() for name in ("diagnostics", "sample_stats")))
    return [
        (
            one.check,
            one.of,
            one.value,
            one.low,
            one.high,
            math.nan,
            _word(not one.passes),
            _longer(one, draws, tune),
            *Subject(one.check),
        )
        for one in found
    ]


def _longer(one: Limit, draws: int, tune: int) -> str:
    """The hint for a limit that is not kept."""
    needed = min(draws * MIN_ESS / one.value if one.value > 0 else math.inf, 10 * draws)
    more = f"draws={math.ceil(needed / 500) * 500 + 500}"
    return {
        "R-hat": f"run longer: tune={2 * tune}, draws={2 * draws}; if this does not help, "
        "parameters are hardly identified: leave a term out or narrow its prior",
        "divergences": "narrow the priors of the sds of group terms, leave out one with few "
        f"levels, or tune={2 * tune}",
        "Pareto k": "method='nuts'",
        "weights' ESS": f"{more}, or method='nuts'",
    }.get(one.check, more)


def _clustering(fit: xr.DataTree, random_seed: int) -> list[Found]:
    """The grouping that the formula has not whose rows are most alike."""
    if (found := clustering(fit, random_seed=random_seed)) is None:
        return []
    members, one = found
    factor = members[0] if len(members) == 1 else f"mm({', '.join(members)})"
    hint = (
        f"rows of one {factor} are alike in more than the model says, so that its intervals are "
        f"too narrow: add {grouped(factor)}"
    )
    label = f"correlation of residuals within {factor}"
    subject = Subject(CLUSTERING, factor, members)
    return [Found("clustering", label, hint, one, subject, term(grouped(factor)))]


def _priors(fit: xr.DataTree, random_seed: int) -> Row:
    """The parameter farthest out in its prior, p for all of them (Bonferroni)."""
    found = prior_conflicts(fit, random_seed=random_seed)
    name, seen, expected, p = min(found, key=lambda one: one[3])
    p = min(1.0, p * len(found))
    hint = (
        f"the data put it far out in its prior (centre {expected:.3g}): check the units, or widen "
        "the prior in priors="
    )
    row = ("priors", name, seen, math.nan, math.nan, p, _word(p < LEVEL), hint)
    return (*row, *Subject(PRIORS))


def _missing(fit: xr.DataTree, random_seed: int) -> list[Row]:
    """For each grouping factor of one column, which cell of the other columns lost most rows."""
    rng, model = generator(random_seed), fitted(fit)
    frame, designs = model.frame, [one for own in model.predictors for one in own.groups]
    found: list[Row] = []
    columns = few_levels(model, frame)
    units = {one.members[0] for one in designs if len(one.members) == 1}
    for unit in sorted(names[0] for names in units if len(names) == 1):
        lost = missing_by_cell(frame, unit, [name for name in columns if name != unit], rng)
        if lost is not None:
            subject, one = lost
            hint = (
                f"an effect on {subject.cell} holds if its missing rows are like those there: find "
                "out why they are missing; no change of the model answers rows that are missing "
                "because of their outcome, but their effect can be bounded, or given as a function "
                "of what they would have been (cb.causal.pattern_mixture). "
                f"write: {_bounded(model.response.column, unit, subject.columns)}"
            )
            word = "look" if one.p < LEVEL else "ok"
            label = f"share of {unit}'s rows missing, {subject.cell}"
            row = ("missing rows", label, one.value, one.low, one.high, one.p, word, hint)
            found.append((*row, *subject))
    return found


def _bounded(outcome: str, unit: str, columns: tuple[str, ...]) -> str:
    """The line that bounds an effect on cells that lost rows, of a fit called `fit`."""
    rows = f"cb.causal.complete(fit, {unit!r}, {list(columns)!r})"
    return f"cb.causal.selection_bounds({rows}, {outcome!r}, {columns[0]!r}, cluster={unit!r})"


def describe_checks(checks: pd.DataFrame) -> str:
    """The verdicts as text, failures with their hints."""
    if "verdict" not in checks:
        return pd.DataFrame(checks).to_string()
    bad, look = (int((checks["verdict"] == word).sum()) for word in ("fail", "look"))
    first = (
        f"FAIL: {bad} of {len(checks)} checks. Do not report this fit before they are dealt with."
    )
    if not bad:
        first = incomplete(checks) or f"pass: {len(checks)} checks"
        first += f", {look} to look at" if look else ""
    if replicates := checks.attrs.get("replicates"):
        first += f"; {replicates:,} replicates"
    lines = [first]
    if bad and (lost := incomplete(checks)):
        lines.append(lost)
    row: Any
    for row in checks.itertuples():
        shown = {"ok": "ok  ", "fail": "FAIL", "look": "look"}.get(row.verdict, "not run")
        lines.append(f"  {shown} {row.check:<22} {_told(row)}")
        if row.hint:
            lines.append(f"       hint: {row.hint}")
        if row.update:
            lines.append(f"       write: {row.update}")
    if len(checks.attrs.get("changes", ())) > 1:
        lines.append(f"  all in one: {checks.attrs['update']}")
    return "\n".join(lines)


def _told(row: Any) -> str:
    """One check in words: what, its value, what would pass, p."""
    of, value, low, high, p = row.of, row.value, row.low, row.high, row.p
    if math.isnan(value):
        return str(of)
    text = f"{of}: {value:.4g}"
    if not math.isnan(p):
        of_chance = "chance" if row.kind == MISSING else "replicates"
        beside = "" if math.isnan(low) else f"{of_chance} {low:.3g} to {high:.3g}, "
        return f"{text} ({beside}p {p:.3f} for all such quantities)"
    if math.isinf(low):
        return f"{text} (at most {high:g})"
    return f"{text} (at least {low:g})" if math.isinf(high) else f"{text} (must be {high:g})"
