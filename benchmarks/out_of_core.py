"""Fits of rows that are never in memory: rows a second beside reading, and peak memory.

    python benchmarks/out_of_core.py --millions 2 8 32
    python benchmarks/out_of_core.py --millions 0.43 4.3 --answers --seeds 200
    python benchmarks/out_of_core.py --millions 2 20 200 --workers 2 --scratch /large/disk

Distances of impostor pairs are simulated file by file, a million rows each, and written as Parquet.
A fresh process reads all files once and throws the rows away (the limit), and another fits them:

    distance ~ system*race*step + (step|seed),  sigma ~ system

With --answers the response is cut in five, and rows are counted for a cumulative model:

    answer ~ system*race*step + (1|seed)

With --workers both are done by a local cluster of as many processes, of one thread and 4 GiB each;
CPU seconds are then those of workers and client together, GiB the largest peak of any worker.

With --in-memory the rows of the first size are fitted in memory too, and the posteriors compared.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def peak() -> float:
    """Largest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of a local cluster, or None for no workers."""
    if not workers:
        yield None
        return
    from dask.distributed import Client

    with Client(
        n_workers=workers, threads_per_worker=1, memory_limit="4GiB", dashboard_address=":0"
    ) as client:
        client.run(__import__, "causalbias.models.summaries.summarise")
        yield client


class Clock:
    """Wall seconds, CPU seconds of this process and the workers, and peaks of memory."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.started = time.perf_counter(), self.cpu()

    def of_workers(self, function: Any) -> list[float]:
        """Results of a function without arguments, one a worker."""
        return list(self.client.run(function).values()) if self.client else []

    def cpu(self) -> float:
        """CPU seconds of the client and the workers."""
        return time.process_time() + sum(self.of_workers(time.process_time))

    def since(self) -> tuple[float, float]:
        """Wall and CPU seconds since the clock was made."""
        return time.perf_counter() - self.started[0], self.cpu() - self.started[1]

    def report(self, **more: object) -> None:
        """Print what was measured, as JSON."""
        wall, cpu = self.since()
        own = {"wall": wall, "cpu": cpu, "peak": peak(), "workers": self.of_workers(peak)}
        print(json.dumps(own | more))


def read_file(path: Path) -> int:
    """Rows of a file, all of which are read and thrown away."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = range(file.num_row_groups)
        return sum(len(file.read_row_group(at, use_threads=False).to_pandas()) for at in groups)


def read_all(folder: Path, workers: int) -> None:
    with cluster(workers) as client:
        clock = Clock(client)
        paths = sorted(folder.glob("*.parquet"))
        read = (
            map(read_file, paths) if client is None else client.gather(client.map(read_file, paths))
        )
        clock.report(rows=sum(read))


def fit_all(folder: Path, workers: int, *, memory: bool, answers: bool) -> None:
    import causalbias as cb

    small = part_of(0, 20_000, 50)
    formula, family = (ANSWERS, "cumulative") if answers else (FORMULA, "gaussian")
    first = "answer ~ race + (1|seed)" if answers else "distance ~ race + (step|seed)"
    cb.fit(first, small, family=family, draws=100)  # imports, and compiled code
    data = pd.read_parquet(folder) if memory else folder
    with cluster(workers) as client:
        clock = Clock(client)
        if memory:
            fit = cb.fit(formula, data, family=family, random_seed=1)
            clock.report(rows=int(fit.attrs["n_rows"]))
        else:
            summary = cb.summarise_rows(formula, data, family=family, min_rows=1)
            sums = clock.since()
            fit = cb.fit(formula, summary, family=family, random_seed=1)
            kept = len(fit["constant_data"]["__obs__"])
            clock.report(rows=int(fit.attrs["n_rows"]), sums=sums, kept=kept)
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
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--scratch", help="where files are written")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"))
    chosen = parser.parse_args()
    if chosen.child:
        what, folder = chosen.child[0], Path(chosen.child[1])
        if what == "read":
            read_all(folder, chosen.workers)
        else:
            memory = what == "memory"
            fit_all(folder, 0 if memory else chosen.workers, memory=memory, answers=chosen.answers)
        return
    kind = ["--workers", str(chosen.workers), *(["--answers"] if chosen.answers else [])]
    print(
        "| rows | GB of files | in the model | reading s | sums s | posterior s "
        "| rows/s of reading | rows/s of sums | GiB |"
    )
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as scratch:
        for at, millions in enumerate(chosen.millions):
            folder = Path(scratch) / f"{millions:g}"
            simulate(folder, int(millions * 1e6), chosen.seeds)
            size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
            (reading,) = run(*kind, "--child", "read", str(folder))
            fitted, draws = run(*kind, "--child", "files", str(folder))
            rows, (wall, cpu) = fitted["rows"], fitted["sums"]
            print(
                f"| {rows:,} | {size:.2f} | {fitted['kept']:,} | "
                f"{reading['wall']:.1f} ({reading['cpu']:.1f} CPU) | "
                f"{wall:.1f} ({cpu:.1f} CPU) | {fitted['wall'] - wall:.1f} "
                f"({fitted['cpu'] - cpu:.1f} CPU) | {rows / reading['wall']:,.0f} | "
                f"{rows / wall:,.0f} | {max([fitted['peak'], *fitted['workers']]):.2f} |",
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
