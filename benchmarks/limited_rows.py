"""Censored and truncated rows: the Laplace engine, beside NUTS, and beside the simulated truth.

    python benchmarks/limited_rows.py [--seeds 2000] [--rows 8] [--limit censored] [--nuts]

Distances by race of ``--seeds`` seeds, ``--rows`` rows each, `distance ~ race + (1|seed)`: of those
above 1.2 (about a fifth) the table has the limit (censored) or no row (truncated). Seconds are of
the second call of `causalbias.fit`, diagnostics included; the first compiles, or reads compiled
code. Estimates are beside the truth, and beside NUTS by nutpie, 2 chains, with ``--nuts``.
"""

import argparse
import os
import platform
from time import perf_counter, process_time

import numpy as np
import pandas as pd

import causalbias as cb

CUT = 1.2
TRUTH = {"race[white]": -0.2, "sd(1|seed)": 0.15, "sigma": 0.2}
FORMULAS = {
    "censored": "distance | cens(status) ~ race + (1|seed)",
    "truncated": f"distance | trunc(ub={CUT}) ~ race + (1|seed)",
}


def simulate(seeds: int, rows: int, limit: str) -> pd.DataFrame:
    """The table as it would be published."""
    rng = np.random.default_rng(1)
    seed = np.repeat(np.arange(seeds), rows)
    race = np.where(np.arange(len(seed)) % 2, "white", "black")
    mean = 1.1 + TRUTH["race[white]"] * (race == "white")
    effects = rng.normal(size=seeds)  # of the very mean and sd that are the truth
    mean = mean + TRUTH["sd(1|seed)"] * ((effects - effects.mean()) / effects.std())[seed]
    distance = mean + TRUTH["sigma"] * rng.normal(size=len(seed))
    data = pd.DataFrame({"distance": distance, "race": race, "seed": seed.astype(str)})
    if limit == "truncated":
        return data[data["distance"] < CUT]
    status = np.where(data["distance"] > CUT, "right", "none")
    return data.assign(distance=data["distance"].clip(upper=CUT), status=status)


def main() -> None:
    """Fit, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--limit", choices=tuple(FORMULAS), default="censored")
    parser.add_argument("--nuts", action="store_true")
    args = parser.parse_args()
    data, found = simulate(args.seeds, args.rows, args.limit), {}
    for method in ("laplace", "laplace", *(["nuts"] if args.nuts else [])):
        options = {"chains": 2} if method == "nuts" else {}
        load, began, cpu = os.getloadavg()[0], perf_counter(), process_time()
        fit = cb.fit(FORMULAS[args.limit], data, method=method, random_seed=1, **options)
        print(
            f"{method}: {len(data):,} rows, wall {perf_counter() - began:.1f} s, CPU "
            f"{process_time() - cpu:.1f} s, load before {load:.1f}\n  {fit.attrs['engine']}\n"
            f"  failures: {cb.failures(fit)}",
            flush=True,
        )
        found[method] = cb.summary(fit)[["estimate", "sd", "ess_bulk"]]
    table = pd.concat(found, axis=1)
    table["truth", ""] = pd.Series(TRUTH)
    print(table.round(4).to_string())
    print("causalbias", cb.__version__, platform.machine(), f"{os.cpu_count()} cores")


if __name__ == "__main__":
    main()
