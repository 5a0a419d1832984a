"""Fit a saved fit again from its own record, and say what differs."""

import json

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_fit
from causalbias.models.engines import Sampling
from causalbias.models.fit import fit_spec, versions
from causalbias.models.result import Fit, frame_with_others, spec_of
from causalbias.models.specification import ModelSpec

# What a fit's record says of where its rows are from, beyond the rows themselves.
OF_ROWS = ("subset", "n_excluded", "missing_rows", "missing", "rows_of", "kinds", "judges")


def settings_of(fit: xr.DataTree) -> tuple[str, Sampling]:
    """The method that a fit was asked for, and how it was sampled."""
    method, draws, tune, chains = json.loads(fit.attrs["sampling"])
    return method, Sampling(draws, tune, chains, int(fit.attrs["random_seed"]))


def refit(
    fit: xr.DataTree,
    frame: pd.DataFrame,
    *,
    method: str,
    settings: Sampling,
    spec: ModelSpec | None = None,
) -> Fit:
    """Fit rows of a fit again, by its own specification or another.

    Parameters
    ----------
    fit : Fit
    frame : DataFrame
        Rows of `frame_with_others(fit)`. What the fit records of their source holds for the new
        one.
    method, settings
    spec : ModelSpec, optional
    """
    spec = spec_of(fit) if spec is None else spec
    again = fit_spec(spec, frame, method=method, settings=settings)
    again.attrs |= {name: fit.attrs[name] for name in OF_ROWS if name in fit.attrs}
    return again


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
    need_fit(result)
    method, settings = settings_of(result)
    again = refit(result, frame_with_others(result), method=method, settings=settings)
    then = json.loads(result.attrs["versions"])
    now = versions()
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
