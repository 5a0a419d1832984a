"""The Laplace engine against NUTS on a part of the ordinal study: every parameter of the model.

    python benchmarks/laplace_against_nuts.py [--size 0.05] [--family cumulative] [--draws 1000]

Both fit one model with one set of priors (`causalbias.fit`, from formula and frame to diagnostics),
NUTS by nutpie with 2 chains. Seconds are of imports, of each fit, and of the Laplace engine's
second fit: the first compiles, or reads compiled code from numba's cache. Of every coefficient,
threshold and sd it prints the gap between the means in posterior sds, the ratio of the sds, and
what Monte Carlo error alone would make of either: aimed at are 0.1 and 10%.
"""

import argparse
import importlib.metadata
import os
import platform
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from ordinal_full_size import FORMULA, simulate


def main() -> None:
    """Fit twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=0.05)
    parser.add_argument("--family", choices=("cumulative", "bernoulli"), default="cumulative")
    parser.add_argument("--draws", type=int, default=1000)
    args = parser.parse_args()
    began = perf_counter()
    import causalbias as cb

    cb.fit  # noqa: B018, which is imported on first use
    print(f"imports {perf_counter() - began:.1f} s")
    frame = simulate(args.size, args.family)
    few = {"draws": args.draws, "tune": args.draws, "chains": 2}
    tables = {}
    for method, options in (
        ("laplace", {"draws": 2000}),
        ("laplace", {"draws": 2000}),
        ("nuts", few),
    ):
        load, began, began_cpu = os.getloadavg()[0], perf_counter(), process_time()
        fit = cb.fit(FORMULA, frame, family=args.family, method=method, random_seed=1, **options)
        print(
            f"{method}: {len(frame):,} rows, wall {perf_counter() - began:.1f} s, CPU "
            f"{process_time() - began_cpu:.1f} s, load before {load:.1f}\n  {fit.attrs['engine']}"
            f"\n  failures: {cb.failures(fit)}",
            flush=True,
        )
        tables[method] = cb.summary(fit)
    print(compare(tables["laplace"], tables["nuts"]).round(3).to_string())
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("causalbias", "bambi", "nutpie")]
    print(", ".join(versions), platform.machine(), f"{os.cpu_count()} cores")


def compare(ours: pd.DataFrame, nuts: pd.DataFrame) -> pd.DataFrame:
    """Gaps by parameter, the largest last, each beside its Monte Carlo standard error."""
    ours = ours.loc[nuts.index]
    per_draw = 1 / ours["ess_bulk"] + 1 / nuts["ess_bulk"]
    table = pd.DataFrame(
        {
            "laplace": ours["estimate"],
            "nuts": nuts["estimate"],
            "nuts_sd": nuts["sd"],
            "gap": (ours["estimate"] - nuts["estimate"]) / nuts["sd"],
            "gap_mc": np.sqrt(per_draw),
            "sd_ratio": ours["sd"] / nuts["sd"],
            "ratio_mc": np.sqrt(per_draw / 2),
            "ess": nuts["ess_bulk"],
            "r_hat": nuts["r_hat"],
        }
    )
    return table.sort_values("gap", key=abs)


if __name__ == "__main__":
    main()
