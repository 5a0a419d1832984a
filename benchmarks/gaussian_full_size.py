"""Gaussian model of full size: the collapsed engine's posterior beside others' point estimates.

    python benchmarks/gaussian_full_size.py [--sizes 0.1 1 10]
        [--peers lmer gpboost nuts cells student lognormal]

3 systems x 48,000 pairs (times size) in 600 prototypes in 100 seeds, 33 coefficients. What is timed
is what a user calls: `cb.fit` and `lmer` read the same formula and a frame with factors, and ours
ends with its diagnostics. Each contender runs alone in a fresh process and fits twice: "first" is
the process's first fit, imports aside (compiled code is read from numba's cache; with ``--compile``
that is empty), "again" the second, of which CPU seconds are. "Sampler" is the engine's own clock
within the second fit: arrays in, draws out. GPBoost takes no formula and is given arrays. Making
and reading the frame are not timed; memory is the process's peak, reading included. ``nuts`` (bambi
with nutpie, one fit) takes hours at full size and is asked for by name. ``--members``: an impostor
half of the pairs belongs to two seeds, which no peer can model. ``cells`` is the engine with a
residual sd by system and kind of pair, ``sigma ~ system*kind``, six of them. ``student`` is the
model with t's, fitted to distances to which noise of four degrees of freedom is added, and
``lognormal`` that of their exponentials. The last lines are the table of docs/performance.md.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd

SEEDS, PROTOTYPES, PAIRS, SYSTEMS, ATTRIBUTES = 100, 600, 48_000, 3, 10
COEFFICIENTS = SYSTEMS * (1 + ATTRIBUTES)
TRUTH = {"seed": 0.4, "prototype": 0.3, "pair": 0.5, "sigma": 0.6}
FIXED = f"distance ~ system*({' + '.join(f'a{j + 1}' for j in range(ATTRIBUTES))})"
NESTED = f"{FIXED} + (1|seed) + (1|seed:prototype) + (1|pair)"
CELLS = "~ system*kind"
MEMBERS = f"{FIXED} + (1|mm(seed, other)) + (1|seed:prototype) + (1|pair)"

LMER = """
clock <- system.time(suppressMessages(library(lme4)))
args <- commandArgs(TRUE)
d <- read.csv(file.path(args[1], "rows.csv"), stringsAsFactors = TRUE)
first <- system.time(lmer(as.formula(args[2]), data = d))
again <- system.time(m <- lmer(as.formula(args[2]), data = d))
v <- as.data.frame(VarCorr(m))
cat(sprintf('{"version": "lme4 %s", "imports": %f, "first": %f, "again": %f, "cpu": %f, ',
  packageVersion("lme4"), clock[["elapsed"]], first[["elapsed"]], again[["elapsed"]],
  again[["user.self"]] + again[["sys.self"]]))
cat(sprintf('"sd": {%s}}',
  paste(sprintf('"%s": %.6f', sub("Residual", "sigma", v$grp), v$sdcor), collapse = ", ")))
"""


def simulate(size: float, members: bool) -> pd.DataFrame:
    """Return seeded rows: distance, system, a1, ..., seed, other, prototype (in a seed), pair."""
    rng = np.random.default_rng(20)
    per_prototype = round(PAIRS * size / PROTOTYPES)
    prototype_of = np.repeat(np.arange(PROTOTYPES), per_prototype)
    pairs = len(prototype_of)
    pair = np.tile(np.arange(pairs), SYSTEMS)
    system = np.repeat(np.arange(SYSTEMS), pairs)
    prototype = prototype_of[pair]
    seed = prototype // (PROTOTYPES // SEEDS)
    other = np.where(np.arange(pairs) % 2, rng.integers(0, SEEDS, pairs), prototype_of // 6)[pair]
    attributes = rng.standard_normal((pairs, ATTRIBUTES))[pair]
    slopes = 0.3 * rng.standard_normal((SYSTEMS, 1 + ATTRIBUTES))
    effect = TRUTH["seed"] * rng.standard_normal(SEEDS)
    y = slopes[system, 0] + (attributes * slopes[system, 1:]).sum(axis=1)
    y += 0.5 * (effect[seed] + effect[other]) if members else effect[seed]
    y += TRUTH["prototype"] * rng.standard_normal(PROTOTYPES)[prototype]
    y += TRUTH["pair"] * rng.standard_normal(pairs)[pair]
    y += TRUTH["sigma"] * rng.standard_normal(len(pair))
    numbers = {"distance": y} | {f"a{j + 1}": attributes[:, j] for j in range(ATTRIBUTES)}
    codes = {"system": system, "seed": seed, "other": other, "pair": pair, "kind": pair % 2}
    codes["prototype"] = prototype % (PROTOTYPES // SEEDS)
    return pd.DataFrame(numbers | {name: as_factor(one, name) for name, one in codes.items()})


def as_factor(codes: np.ndarray, name: str) -> pd.Categorical:
    """Levels of text, such as seed007."""
    last = int(codes.max())
    levels = [f"{name}{one:0{len(str(last))}}" for one in range(last + 1)]
    return pd.Categorical.from_codes(codes, levels)


def run_r(program: str, folder: Path, formula: str) -> dict[str, Any]:
    """Run a program of R on the rows in a folder, which it reads as text."""
    pd.read_pickle(folder / "rows.pkl").to_csv(folder / "rows.csv", index=False)
    return measured(["Rscript", "-e", program, str(folder), formula])


def clocked(function: Callable[..., Any], calls: list[dict[str, Any]]) -> Callable[..., Any]:
    """The function, which writes down its seconds, arguments and result at each call."""

    def timed(*args: Any, **options: Any) -> Any:
        began = perf_counter()
        found = function(*args, **options)
        calls.append({"seconds": perf_counter() - began, "args": args, "found": found})
        return found

    return timed


def two_fits(fit: Callable[[], Any], once: bool = False) -> tuple[Any, dict[str, float]]:
    """Fit twice, or once: the last fit, wall seconds of each, CPU seconds of the last."""
    seconds = {}
    for name in ("first",) if once else ("first", "again"):
        began, began_cpu = perf_counter(), process_time()
        found = fit()
        seconds |= {name: perf_counter() - began, "cpu": process_time() - began_cpu}
    return found, seconds


def of_fit(fit: Any) -> dict[str, Any]:
    """What a fit says of itself: least ESS of coefficients and scales, Pareto k, means of sds."""
    told = fit["diagnostics"].to_dataset()
    plain = [name for name in told if "|" not in name or name.endswith("_sigma")]
    scales = [name for name in plain if name == "sigma" or name.endswith("_sigma")]
    size = told.sel(diagnostic="ess_bulk")

    def group(name: str) -> str:
        return name.removeprefix("1|").removesuffix("_sigma") or name

    return {
        "failures": fit.attrs["failures"],
        "pareto_k": float(fit["sample_stats"]["pareto_k"]),
        "importance_ess": float(fit["sample_stats"]["importance_ess"]),
        "min_ess": min(float(size[name].min()) for name in plain),
        "sd": {group(name): float(fit["posterior"][name].mean()) for name in scales},
    }


def run_cells(folder: Path, members: bool, draws: int) -> dict[str, Any]:
    """As `run_engine`, with a residual sd in each of six cells."""
    return run_engine(folder, members, draws, CELLS)


def run_student(folder: Path, members: bool, draws: int) -> dict[str, Any]:
    """Fit a t model in this process, twice, to the rows with heavy-tailed noise added."""
    rows = pd.read_pickle(folder / "rows.pkl")
    rows["distance"] += 0.3 * np.random.default_rng(5).standard_t(4, len(rows))
    return run_family(rows, members, draws, "t")


def run_lognormal(folder: Path, members: bool, draws: int) -> dict[str, Any]:
    """Fit a lognormal model in this process, twice, to the exponentials of the distances."""
    rows = pd.read_pickle(folder / "rows.pkl")
    rows["distance"] = np.exp(rows["distance"])
    return run_family(rows, members, draws, "lognormal")


def run_family(rows: pd.DataFrame, members: bool, draws: int, family: str) -> dict[str, Any]:
    """Fit a model of another family in this process, twice."""
    began = perf_counter()
    import causalbias as cb
    from causalbias.models import engines

    cb.fit  # noqa: B018, which is imported on first use
    imports = perf_counter() - began
    calls: list[dict[str, Any]] = []
    engine = "sample_rowwise" if family == "t" else "sample_gaussian"
    setattr(engines, engine, clocked(getattr(engines, engine), calls))
    formula = MEMBERS if members else NESTED
    options = {"family": family, "draws": draws // 4, "random_seed": 1}
    fit, seconds = two_fits(lambda: cb.fit(formula, rows, **options))
    return {
        "version": f"causalbias {importlib.metadata.version('causalbias')}",
        "imports": imports,
        **seconds,
        "sampler": calls[-1]["seconds"],
        "stages": calls[-1]["found"].diagnostics.seconds,
        **of_fit(fit),
    }


def run_engine(folder: Path, members: bool, draws: int, sigma: str | None = None) -> dict[str, Any]:
    """Fit in this process, twice; then draw the effects of all pairs."""
    began = perf_counter()
    import causalbias as cb
    from causalbias.inference.gaussian import leading_effects
    from causalbias.io.memory import chunks
    from causalbias.models import engines

    cb.fit  # noqa: B018, which is imported on first use
    imports = perf_counter() - began
    frame, formula = pd.read_pickle(folder / "rows.pkl"), MEMBERS if members else NESTED
    if sigma is not None:
        formula = cb.formula(formula, sigma=sigma)
    calls: list[dict[str, Any]] = []
    engines.sample_gaussian = clocked(engines.sample_gaussian, calls)
    fit, seconds = two_fits(lambda: cb.fit(formula, frame, draws=draws // 4, random_seed=1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    (problem, *_), found = calls[-1]["args"], calls[-1]["found"]
    pairs = problem.terms[-1].n_levels
    began = perf_counter()
    total = np.zeros((pairs, 1))
    for part in chunks(draws, 12 * pairs):
        total += leading_effects(problem, found, part).sum(axis=0)
    return {
        "version": f"causalbias {importlib.metadata.version('causalbias')}",
        "imports": imports,
        **seconds,
        "sampler": calls[-1]["seconds"],
        "peak_gib": peak,
        "pair_effects_seconds": perf_counter() - began,
        "stages": found.diagnostics.seconds,
        "evaluations": found.diagnostics.n_evaluations,
        **of_fit(fit),
    }


def run_gpboost(folder: Path, members: bool, draws: int) -> dict[str, Any]:
    """Maximise the likelihood by GPBoost in this process, on ready arrays."""
    del members, draws
    began = perf_counter()
    import gpboost

    imports = perf_counter() - began
    rows = pd.read_pickle(folder / "rows.pkl")
    names = [f"a{j + 1}" for j in range(ATTRIBUTES)]
    cells = pd.get_dummies(rows["system"], dtype=float).to_numpy(copy=True)
    cells[:, 0] = 1.0
    plain = np.column_stack([np.ones(len(rows)), rows[names]])
    x = (cells[:, :, None] * plain[:, None, :]).reshape(len(rows), -1)
    whole = rows["seed"].astype(str) + ":" + rows["prototype"].astype(str)
    groups = np.column_stack([rows["seed"].astype(str), whole, rows["pair"].astype(str)])

    def fit() -> Any:
        model = gpboost.GPModel(group_data=groups, likelihood="gaussian")
        return model.fit(y=rows["distance"].to_numpy(), X=x)

    model, seconds = two_fits(fit)
    variances = np.ravel(model.get_cov_pars(format_pandas=False))
    sds = dict(zip(("sigma", "seed", "prototype", "pair"), np.sqrt(variances), strict=False))
    version = f"gpboost {importlib.metadata.version('gpboost')}"
    return seconds | {"imports": imports, "version": version, "sd": sds}


def run_nuts(folder: Path, members: bool, draws: int) -> dict[str, Any]:
    """Fit by bambi and nutpie in this process, once: two chains of 500 draws."""
    del members, draws
    began = perf_counter()
    import arviz_stats
    import bambi

    imports = perf_counter() - began
    frame = pd.read_pickle(folder / "rows.pkl")
    options = {"inference_method": "nutpie", "draws": 500, "tune": 500, "chains": 2}
    fit, seconds = two_fits(lambda: bambi.Model(NESTED, frame).fit(random_seed=1, **options), True)
    found = fit["posterior"].to_dataset()
    main = found[[n for n in found if "|" not in str(n) or str(n).endswith("_sigma")]]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("bambi", "nutpie")]
    return {
        "version": ", ".join(versions),
        "imports": imports,
        **seconds,
        "min_ess": min(float(v.min()) for v in arviz_stats.ess(main).data_vars.values()),
    }


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command to its end: the JSON object it prints last, with peak memory in GiB."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise RuntimeError(f"{command[:2]} failed with status {status}")
        out.seek(0)
        found: dict[str, Any] = json.loads(out.read().strip().splitlines()[-1])
        return {"peak_gib": usage.ru_maxrss / 2**20} | found


RUNS = {
    "engine": run_engine,
    "cells": run_cells,
    "student": run_student,
    "lognormal": run_lognormal,
    "gpboost": run_gpboost,
    "nuts": run_nuts,
}
GIVES = {
    "engine": "posterior",
    "cells": "posterior by cell",
    "student": "posterior, t",
    "lognormal": "posterior, lognormal",
    "lmer": "REML",
    "gpboost": "ML",
    "nuts": "posterior",
}


def contend(contender: str, folder: Path, members: bool, draws: int) -> dict[str, Any]:
    """Run a contender on the rows in a folder in a process of its own, and say what it took."""
    if contender == "lmer":
        return run_r(LMER, folder, NESTED)
    command = [sys.executable, __file__, "--folder", str(folder), "--draws", str(draws)]
    return measured([*command, "--inside", contender, *["--members"] * members])


def compile_once(members: bool) -> None:
    """Fit a small model of the same kind in a process, so that numba's cache is full."""
    with tempfile.TemporaryDirectory() as name:
        simulate(0.0125, members).to_pickle(Path(name) / "rows.pkl")
        contend("engine", Path(name), members, 400)


def line(contender: str, rows: int, found: dict[str, Any], load: float) -> str:
    """A line of the table."""
    seconds = [
        f"{found[key]:.1f}" if key in found else ""
        for key in ("imports", "first", "again", "cpu", "sampler")
    ]
    ess = f"{found['min_ess']:,.0f}" if "min_ess" in found else ""
    cells = [f"{rows:,}", found["version"], GIVES[contender], *seconds]
    return "| " + " | ".join([*cells, f"{found['peak_gib']:.2f}", ess, f"{load:.1f}"]) + " |"


def main() -> None:
    """Simulate, run the contenders one after another, print their numbers as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--members", action="store_true")
    parser.add_argument("--compile", action="store_true", help="time compilation as well")
    parser.add_argument("--peers", nargs="*", default=["lmer"], choices=("lmer", *list(RUNS)[1:]))
    parser.add_argument("--inside", choices=tuple(RUNS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        print(json.dumps(RUNS[args.inside](args.folder, args.members, args.draws), default=float))
        return
    ours = ("cells", "student", "lognormal")
    peers = [one for one in args.peers if one in ours or not args.members]
    if "lmer" in peers and not shutil.which("Rscript"):
        peers.remove("lmer")
    with tempfile.TemporaryDirectory() as cache:
        if args.compile:
            os.environ["NUMBA_CACHE_DIR"] = cache
        else:
            compile_once(args.members)
        lines = [one for size in args.sizes for one in at_size(size, ("engine", *peers), args)]
    print(f"\n{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}\n")
    print(
        "| rows | by | gives | imports s | first s | again s | CPU s | sampler s | peak GiB "
        "| least ESS | load before |"
    )
    print("| ---: | --- | --- |" + " ---: |" * 8)
    print("\n".join(lines))


def at_size(size: float, contenders: tuple[str, ...], args: argparse.Namespace) -> list[str]:
    """Run contenders on one data set; return their lines of the table."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        frame = simulate(size, args.members)
        frame.to_pickle(Path(name) / "rows.pkl")
        for contender in contenders:
            load = os.getloadavg()[0]
            found = contend(contender, Path(name), args.members, args.draws)
            print(contender, len(frame), json.dumps(found, indent=1), flush=True)
            lines.append(line(contender, len(frame), found, load))
            print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    main()
