"""`heal`: fit the models that answer what `check` found, and rank those that pass."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.arguments import need_fit
from causalbias.errors import DataError
from causalbias.inference.diagnostics import MAX_PARETO_K
from causalbias.model_checks.changes import Change, line, skewed_families, together
from causalbias.model_checks.check import Checks, check
from causalbias.model_checks.loo import Loo, difference, loo
from causalbias.model_checks.replicates import SKEWNESS
from causalbias.models.fitted import fitted
from causalbias.models.result import Fit
from causalbias.models.updating import update
from causalbias.scheduler import map_jobs

COLUMNS = ["update", "verdict", "failed", "elpd", "difference", "se", "pareto_k", "seconds"]


@dataclass(frozen=True)
class Healed:
    """Result of `heal`.

    Attributes
    ----------
    table : DataFrame
        One row a model, the best first: `update` (the line, of a fit called `fit`), `verdict` of
        its checks, `failed` (names of checks), `elpd` (expected log density of new rows, by LOO),
        `difference` from the best and its standard error `se`, `pareto_k` (number of rows of which
        LOO is not reliable), `seconds` of fitting. NaN where a model could not be fitted.
    fits : dict of str to Fit
        The models by their line.
    """

    table: pd.DataFrame
    fits: dict[str, Fit]

    @property
    def best(self) -> Fit | None:
        """The first model, if it passed its checks."""
        first = self.table.iloc[0] if len(self.table) else None
        return None if first is None or first["verdict"] != "pass" else self.fits[first["update"]]

    def __repr__(self) -> str:
        if self.table.empty:
            return "nothing that check found is known to have a model that answers it"
        return str(self.table.round(2).to_string(index=False))


def heal(fit: xr.DataTree, *, progress: Callable[[str], None] | None = None) -> Healed:
    """Fit the models that answer what `check` found, check each, and rank them.

    The models are those of each line of `check` alone and of all together, and for skewed noise
    those of each family that has it. Where the model of all lines still fails, what its own check
    adds is tried once. Those that pass their checks come first, each kind ranked by leave-one-out
    cross-validation of single observations, also where a row stands for several (`loo`; Vehtari,
    Gelman and Gabry 2017).

    It costs one fit, check and LOO a model, two to eight of them, on the scheduler of dask that is
    set. A model that the fast engines do not take is sampled by NUTS: half a minute for hundreds of
    rows, hours for 100,000. There, paste the line of `check` first.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    progress : callable, optional
        Called with a line of text before each model is fitted.

    Returns
    -------
    Healed
        ``table``, ``fits`` by their lines, and ``best``. Choosing a model by its checks and by LOO
        is itself a use of the data: report which models were tried.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalbias as cb
    >>> rng, group = np.random.default_rng(0), np.arange(200) % 20
    >>> y = rng.normal(size=20)[group] + rng.normal(size=200)
    >>> fit = cb.fit("y ~ 1", pd.DataFrame({"y": y, "annotator": group}), draws=500)
    >>> cb.heal(fit).table[["update", "verdict"]].values.tolist()
    [['cb.update(fit, formula=". ~ . + (1|annotator)")', 'pass']]
    """
    need_fit(fit)
    asked = suggestions(fit, check(fit))

    def job(change: Change) -> tuple[xr.DataTree, Change]:
        if progress is not None:
            progress(line(change))
        return fit, change

    tried = list(map_jobs(_try, [partial(job, change) for change in asked]))
    # What the model of all changes still lacks, by its own check.
    if tried and tried[-1].fit is not None:
        further = together([asked[-1], *tried[-1].changes])
        if further not in asked:
            tried.append(_try(*job(further)))
    predicted = {one.text: one.loo for one in tried if one.loo is not None}
    fits = {one.text: one.fit for one in tried if one.fit is not None}
    return Healed(_ranked([one.row for one in tried], predicted), fits)


@dataclass(frozen=True)
class _Tried:
    """A model that was tried: its line, its row of the table, and what its own check asks for.

    ``fit`` and ``loo`` are None where it could not be fitted.
    """

    text: str
    row: dict[str, object]
    fit: Fit | None = None
    loo: Loo | None = None
    changes: Sequence[Change] = ()


def _try(fit: xr.DataTree, change: Change) -> _Tried:
    """Fit the model of a change, check it, and cross-validate it."""
    text, started = line(change), time.perf_counter()
    try:
        others: dict[str, Any] = {name: one for name, one in change.items() if name != "formula"}
        new = update(fit, change.get("formula"), **others)
    except DataError as error:
        return _Tried(text, {"update": text, "verdict": "not fitted", "failed": error.problem})
    seconds = time.perf_counter() - started
    checks, predicted = check(new), loo(new)
    failed = checks[checks["verdict"] == "fail"]
    row = {
        "update": text,
        "verdict": checks.attrs["verdict"],
        "failed": ", ".join(dict.fromkeys(failed["check"])),
        "elpd": predicted.elpd,
        "pareto_k": int((predicted.pointwise["pareto_k"] > MAX_PARETO_K).sum()),
        "seconds": seconds,
    }
    return _Tried(text, row, new, predicted, checks.attrs["changes"])


def suggestions(fit: xr.DataTree, checks: Checks) -> list[Change]:
    """The changes to try: each alone, other families for skewed noise, and all together."""
    changes: list[Change] = list(checks.attrs["changes"])
    model = fitted(fit)
    found = list(changes)
    skew = checks.loc[checks["kind"] == SKEWNESS, "value"]
    for change in changes:
        others = skewed_families(model, float(skew.iloc[0])) if len(skew) else []
        if change.get("family") in others:
            found += [{"family": name} for name in others]
    if changes:
        found.append(together(changes))
    return [one for at, one in enumerate(found) if one not in found[:at]]


def _ranked(rows: list[dict[str, object]], predicted: dict[str, Loo]) -> pd.DataFrame:
    """The models, those that pass first and within these the best by LOO."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    if table.empty:
        return table
    table["failing"] = table["verdict"] != "pass"
    table = table.sort_values(["failing", "elpd"], ascending=[True, False], kind="stable")
    table = table.drop(columns="failing").reset_index(drop=True)
    best = predicted.get(str(table["update"].iloc[0]))
    for at, text in enumerate(table["update"]):
        if best is not None and text in predicted:
            table.loc[at, ["difference", "se"]] = difference(predicted[text], best)
    return table
