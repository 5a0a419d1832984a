"""Long NUTS runs of the uncollapsed model by an independent tool, kept as a table of summaries.

    python -m tests.inference.gaussian.nuts_reference [CASE ...]    # all cases: three CPU minutes

writes `nuts_reference.csv` anew for these cases. It is kept because the runs take minutes and
depend on nothing of this package: only on data and model, written out below for PyMC.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import nutpie
import pandas as pd
import pymc as pm

from causalbias.inference.diagnostics import split_ess
from causalbias.inference.problem import FloatArray, Problem
from tests.inference.gaussian_cases import CASES, SD_SCALE, indicator, saturated, written_out

TABLE = Path(__file__).with_suffix(".csv")
DECILES = np.arange(1, 10) / 10
# `saturated` is judged by quadrature (test_gaussian_sample): NUTS does not mix on it, its 20,000
# draws are worth 300 and off by several of their errors.
JUDGED = [case for case in CASES if case is not saturated]


class Summary(NamedTuple):
    """Of draws of q numbers: moments, quantiles, and how many independent draws they are worth."""

    mean: FloatArray  # (q,)
    sd: FloatArray
    ess: FloatArray  # of the mean
    kurtosis: FloatArray
    deciles: FloatArray  # (q, 9)
    ess_of_deciles: FloatArray  # (q, 9), of the share of draws below each


def summary(draws: FloatArray) -> Summary:
    """Summarise draws (draws, ...) of any number of chains, one after the other."""
    flat = np.asarray(draws, float).reshape(len(draws), -1)
    mean, sd = flat.mean(axis=0), flat.std(axis=0)
    deciles = np.quantile(flat, DECILES, axis=0).T
    return Summary(
        mean,
        sd,
        effective_sizes(flat),
        ((flat - mean) ** 4).mean(axis=0) / sd**4,
        deciles,
        ess_below(flat, deciles),
    )


def ess_below(flat: FloatArray, points: FloatArray) -> FloatArray:
    """Effective sample size (q, k) of whether draws (draws, q) are below points (q, k)."""
    return np.array(
        [
            effective_sizes((draws[:, None] < at).astype(float))
            for draws, at in zip(flat.T, points, strict=True)
        ]
    )


def effective_sizes(draws: FloatArray) -> FloatArray:
    """Effective sample size of each column of (draws, q), cut into four runs."""
    return split_ess(draws[: len(draws) // 4 * 4].T.reshape(draws.shape[1], 4, -1))


def pooled(draws: FloatArray) -> FloatArray:
    """Draws (chains, draws, ...) as (chains * draws, ...)."""
    return draws.reshape(-1, *draws.shape[2:])


def nuts(p: Problem, *, draws: int = 5000, seed: int = 1) -> dict[str, FloatArray]:
    """Sample the full model, effects non-centred, by nutpie: name -> (chains, draws, ...)."""
    p = written_out(p)
    with pm.Model() as model:
        beta = pm.Normal("beta", p.beta_mean, p.beta_sd)
        sigma = pm.HalfNormal("sigma", SD_SCALE)
        eta = p.design @ beta
        for i, t in enumerate(p.terms):
            k = t.columns.shape[1]
            z = pm.Normal(f"z{i}", shape=(t.n_levels, k))
            if t.correlated:
                chol, _, _ = pm.LKJCholeskyCov(
                    f"chol{i}", n=k, eta=t.lkj_eta, sd_dist=pm.HalfNormal.dist(SD_SCALE, shape=k)
                )
                pm.Deterministic(f"used{i}", pm.math.sqrt((chol**2).sum(axis=1)))
                u = pm.Deterministic(f"u{i}", z @ chol.T)
            else:
                u = pm.Deterministic(f"u{i}", z * pm.HalfNormal(f"sd{i}", SD_SCALE, shape=k))
            flat = indicator(t).reshape(len(p.y), -1)
            eta = eta + flat @ u.reshape((-1,))
        pm.Normal("y", eta, p.noise_sd(sigma[None])[0], observed=p.y)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model),
        draws=draws,
        tune=2000,
        chains=4,
        cores=1,
        seed=seed,
        target_accept=0.98,
        progress_bar=False,
    )
    return {str(k): np.asarray(v) for k, v in trace["posterior"].data_vars.items()}


def quantities(p: Problem, found: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Draws of a run under the names of a result, correlations below the diagonal."""
    named = {"beta": found["beta"], "sigma": found["sigma"]}
    for i, t in enumerate(p.terms):
        named[f"sd {t.name}"] = found[f"used{i}" if t.correlated else f"sd{i}"]
        named[f"effects {t.name}"] = found[f"u{i}"]
        if t.correlated:
            below = np.tril_indices(t.columns.shape[1], -1)
            named[f"corr {t.name}"] = found[f"chol{i}_corr"][:, :, *below]
    return named


def table_of(p: Problem, case: str, draws: Mapping[str, FloatArray]) -> pd.DataFrame:
    """One row an element of each quantity, and one of the data, by which they are known."""
    rows: list[dict[str, object]] = [
        {"case": case, "quantity": "y", "mean": p.y.mean(), "sd": p.y.std()}
    ]
    for name, values in draws.items():
        found = summary(pooled(values))
        for j in range(len(found.mean)):
            moments = {one: getattr(found, one)[j] for one in ("mean", "sd", "ess", "kurtosis")}
            q = {f"q{k}0": value for k, value in enumerate(found.deciles[j], 1)}
            ess = {f"ess{k}0": round(n) for k, n in enumerate(found.ess_of_deciles[j], 1)}
            rows.append({"case": case, "quantity": name} | moments | q | ess)
    return pd.DataFrame(rows)


def reference(p: Problem, case: str) -> dict[str, Summary]:
    """Summaries kept of a case, by quantity; raises if they are of other data."""
    every = pd.read_csv(TABLE, comment="#").query("case == @case")
    data = every.query("quantity == 'y'").iloc[0]
    again = f"the data of {case} are others: python -m {__spec__.name} {case}"
    np.testing.assert_allclose([data["mean"], data["sd"]], [p.y.mean(), p.y.std()], 1e-4, 0, again)
    found = {}
    for name, rows in every.query("quantity != 'y'").groupby("quantity", sort=False):
        moments = (rows[one].to_numpy() for one in ("mean", "sd", "ess", "kurtosis"))
        parts = (rows[[f"{one}{k}0" for k in range(1, 10)]].to_numpy() for one in ("q", "ess"))
        found[str(name)] = Summary(*moments, *parts)
    return found


def main(*names: str) -> None:
    """Run these cases, or all, and keep their summaries in the table beside those of others."""
    from tests.inference.gaussian import test_gaussian_photographs as rfw

    runs: dict[str, tuple[Callable[[], Problem], int]] = {
        case.__name__: (case, 5000) for case in JUDGED
    }
    runs["photographs"] = (rfw.subset, 700)
    for name in names or runs:
        make, draws = runs[name]
        p = make()
        named = quantities(p, nuts(p, draws=draws))
        if name == "photographs":  # effects of hundreds of identities are not compared
            named = {key: value for key, value in named.items() if "effects" not in key}
        table = table_of(p, name, named)
        if TABLE.exists():
            old = pd.read_csv(TABLE, comment="#").query("case != @name")
            table = pd.concat([old, table])
        by = f"# nutpie {nutpie.__version__}, PyMC {pm.__version__}; see nuts_reference.py\n"
        TABLE.write_text(by + table.to_csv(index=False, float_format="%.5g"))
        print(name, len(table))


if __name__ == "__main__":
    main(*sys.argv[1:])
