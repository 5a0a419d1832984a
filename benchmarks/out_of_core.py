"""Fits of rows that are never in memory: rows a second beside reading, and peak memory.

    python benchmarks/out_of_core.py --millions 2 8 32
    python benchmarks/out_of_core.py --millions 0.43 4.3 --answers --seeds 200

Distances of impostor pairs are simulated file by file, a million rows each, and written as Parquet.
A fresh process reads all files once and throws the rows away (the limit), and another fits them:

    distance ~ system*race*step + (step|seed),  sigma ~ system

With --answers the response is cut in five, and rows are counted for a cumulative model:

    answer ~ system*race*step + (1|seed)

With --in-memory the rows of the first size are fitted in memory too, and the posteriors compared.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

FORMULA = ["distance ~ system*race*step + (step|seed)", "sigma ~ system"]
ANSWERS = "answer ~ system*race*step + (1|seed)"
CUTS = (0.7, 0.85, 0.95, 1.1)
PART = 1_000_000
SYSTEMS, RACES = ["arcface", "dlib", "facenet"], ["asian", "black", "indian", "white"]


def part_of(number: int, rows: int, n_seeds: int) -> pd.DataFrame:
    """Rows of one file."""
    seeds = np.random.default_rng(0).normal(0, [0.05, 0.01], (n_seeds, 2))
    rng = np.random.default_rng([1, number])
    system, race = rng.integers(0, 3, rows), rng.integers(0, 4, rows)
    step, seed = rng.integers(-2, 3, rows), rng.integers(0, n_seeds, rows)
    mean = 0.8 + 0.1 * system + 0.02 * step * (race == 1) + seeds[seed, 0] + step * seeds[seed, 1]
    noise = np.array([0.08, 0.1, 0.12])[system]
    distance = rng.normal(mean, noise)
    return pd.DataFrame(
        {
            "system": pd.Series(SYSTEMS)[system].array,
            "race": pd.Series(RACES)[race].array,
            "step": step,
            "seed": pd.Series([f"{i:05d}" for i in range(n_seeds)])[seed].array,
            "distance": distance,
            "answer": np.digitize(distance, CUTS),
        }
    )


def simulate(folder: Path, rows: int, n_seeds: int) -> None:
    """Write files of a million rows each."""
    folder.mkdir()
    for number, at in enumerate(range(0, rows, PART)):
        frame = part_of(number, min(PART, rows - at), n_seeds)
        frame.to_parquet(folder / f"{number:04d}.parquet", row_group_size=PART // 4)


def report(started: tuple[float, float], **more: object) -> None:
    """Print wall and CPU seconds since, and the peak of memory, as JSON."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak} | more))


def read_all(folder: Path) -> None:
    import pyarrow.parquet as pq

    started = time.perf_counter(), time.process_time()
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group, use_threads=False).to_pandas()
    report(started)


def fit_all(folder: Path, *, memory: bool, answers: bool) -> None:
    import causalbias as cb

    small = part_of(0, 20_000, 50)
    formula, family = (ANSWERS, "cumulative") if answers else (FORMULA, "gaussian")
    first = "answer ~ race + (1|seed)" if answers else "distance ~ race + (step|seed)"
    cb.fit(first, small, family=family, draws=100)  # imports, and compiled code
    data = pd.read_parquet(folder) if memory else folder
    started = time.perf_counter(), time.process_time()
    if memory:
        fit = cb.fit(formula, data, family=family, random_seed=1)
        report(started, rows=int(fit.attrs["n_rows"]))
    else:
        summary = cb.summarise_rows(formula, data, family=family, min_rows=1)
        sums = time.perf_counter() - started[0], time.process_time() - started[1]
        fit = cb.fit(formula, summary, family=family, random_seed=1)
        kept = len(fit["constant_data"]["__obs__"])
        report(started, rows=int(fit.attrs["n_rows"]), sums=sums, kept=kept)
    posterior = fit["posterior"].to_dataset()
    numbers = [name for name in posterior if "|" not in str(name)]
    over = ("chain", "draw")
    means = {str(n): np.ravel(posterior[n].mean(over)).tolist() for n in numbers}
    sds = {str(n): np.ravel(posterior[n].std(over)).tolist() for n in numbers}
    print(json.dumps({"means": means, "sds": sds}))


def run(*arguments: str) -> list[dict]:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[2, 8, 32])
    parser.add_argument("--in-memory", action="store_true")
    parser.add_argument("--answers", action="store_true")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"))
    chosen = parser.parse_args()
    if chosen.child:
        what, folder = chosen.child[0], Path(chosen.child[1])
        if what == "read":
            read_all(folder)
        else:
            fit_all(folder, memory=what == "memory", answers=chosen.answers)
        return
    kind = ["--answers"] if chosen.answers else []
    print(
        "| rows | in the model | reading s | sums s | posterior s | rows/s of reading "
        "| rows/s of sums | GiB |"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for at, millions in enumerate(chosen.millions):
            folder = Path(scratch) / f"{millions:g}"
            simulate(folder, int(millions * 1e6), chosen.seeds)
            (reading,) = run("--child", "read", str(folder))
            fitted, draws = run(*kind, "--child", "files", str(folder))
            rows, (wall, cpu) = fitted["rows"], fitted["sums"]
            print(
                f"| {rows:,} | {fitted['kept']:,} | "
                f"{reading['wall']:.1f} ({reading['cpu']:.1f} CPU) | "
                f"{wall:.1f} ({cpu:.1f} CPU) | {fitted['wall'] - wall:.1f} "
                f"({fitted['cpu'] - cpu:.1f} CPU) | {rows / reading['cpu']:,.0f} | "
                f"{rows / cpu:,.0f} | {fitted['peak']:.2f} |",
                flush=True,
            )
            if chosen.in_memory and at == 0:
                memory, same = run(*kind, "--child", "memory", str(folder))
                apart = max(
                    float(np.max(np.abs(np.subtract(same["means"][n], draws["means"][n])) / sd))
                    for n, sd in same["sds"].items()
                )
                print(
                    f"  in memory: {memory['wall']:.1f} s ({memory['cpu']:.1f} CPU), "
                    f"{memory['peak']:.2f} GiB; means {apart:.1g} posterior sd apart"
                )


if __name__ == "__main__":
    main()
