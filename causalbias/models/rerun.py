"""Fit a saved fit again from its own record, and say what differs."""

import importlib.metadata
import json

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.models.fit import VERSIONED, fit
from causalbias.models.result import Fit, frame_of, spec_of


def rerun(result: xr.DataTree) -> tuple[Fit, pd.DataFrame]:
    """Fit again the rows that a fit holds, with its formula, priors, method and seed.

    Parameters
    ----------
    result : Fit

    Returns
    -------
    again : Fit
    differences : DataFrame
        One row each of what differs: `what`, `then`, `now`. Empty if the draws are the same to the
        last bit under the same versions. Of a parameter that differs, the means, and how many
        Monte Carlo standard errors they are apart.

    Raises
    ------
    DataError
        As `fit`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> again, differences = cb.model_checks.rerun(fit)
    >>> len(differences)
    0
    """
    spec = spec_of(result)
    method, draws, tune, chains = json.loads(result.attrs["sampling"])
    again = fit(
        spec.formula,
        frame_of(result),
        family=spec.family,
        link=spec.link,
        priors=spec.priors,
        counts=spec.counts,
        weights=spec.weights,
        method=method,
        draws=draws,
        tune=tune,
        chains=chains,
        random_seed=int(result.attrs["random_seed"]),
    )
    then = json.loads(result.attrs["versions"])
    now = {name: importlib.metadata.version(name) for name in VERSIONED}
    rows = [(f"version of {name}", then.get(name, "?"), now[name]) for name in now]
    for key, what in (("data_sha256", "data"), ("engine", "engine"), ("failures", "failures")):
        rows.append((what, str(result.attrs.get(key, "?")), str(again.attrs[key])))
    rows += _posteriors(result, again)
    differences = pd.DataFrame(rows, columns=["what", "then", "now"])
    return again, differences[differences["then"] != differences["now"]].reset_index(drop=True)


def _posteriors(one: xr.DataTree, other: xr.DataTree) -> list[tuple[str, str, str]]:
    """Parameters whose draws differ, with their means."""
    first, second = (tree.children["posterior"].to_dataset() for tree in (one, other))
    size = one.children["diagnostics"].to_dataset().sel(diagnostic="ess_bulk")
    rows = []
    for name in first.data_vars:
        if name not in second:
            rows.append((str(name), "there", "not there"))
        elif not np.array_equal(first[name].values, second[name].values):
            means = [tree[name].mean(("chain", "draw")) for tree in (first, second)]
            error = first[name].std(("chain", "draw")) * np.sqrt(2 / size[name])
            apart = float((abs(means[1] - means[0]) / error).max())
            told = [f"mean {float(mean.mean()):.6g}" for mean in means]
            rows.append((str(name), told[0], f"{told[1]}, {apart:.2g} Monte Carlo errors apart"))
    return rows
