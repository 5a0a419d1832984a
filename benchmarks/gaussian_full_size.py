"""Gaussian model of full size: the collapsed engine's posterior beside others' point estimates.

    python benchmarks/gaussian_full_size.py [--sizes 0.1 1 10] [--peers lmer gpboost nuts]

3 systems x 48,000 pairs (times size) in 600 prototypes in 100 seeds, 33 coefficients. Each
contender runs alone in a fresh process: wall and CPU seconds are of the fit, imports and reading
aside; memory is the process's peak. ``nuts`` (bambi with nutpie) takes hours at full size and is
asked for by name. ``--members``: an impostor half of the pairs belongs to two seeds, which no peer
can model. The last lines are the table of docs/performance.md.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

SEEDS, PROTOTYPES, PAIRS, SYSTEMS, COEFFICIENTS = 100, 600, 48_000, 3, 33
TRUTH = {"seed": 0.4, "prototype": 0.3, "pair": 0.5, "sigma": 0.6}

LMER = """
suppressMessages(library(lme4))
args <- commandArgs(TRUE); n <- as.integer(args[2]); p <- as.integer(args[3])
read <- function(name, what, count, size)
  readBin(file.path(args[1], name), what, n = count, size = size)
d <- list(y = read("y", "double", n, 8), X = matrix(read("X", "double", n * p, 8), n, p))
for (g in c("seed", "prototype", "pair")) d[[g]] <- factor(read(g, "integer", n, 4))
took <- system.time(m <- lmer(y ~ 0 + X + (1 | seed) + (1 | prototype) + (1 | pair), data = d))
v <- as.data.frame(VarCorr(m))
cat(sprintf('{"seconds": %f, "cpu": %f, "version": "lme4 %s", "sd": {%s}}', took[["elapsed"]],
  took[["user.self"]] + took[["sys.self"]], packageVersion("lme4"),
  paste(sprintf('"%s": %.6f', sub("Residual", "sigma", v$grp), v$sdcor), collapse = ", ")))
"""


def simulate(size: float, members: bool, folder: Path) -> int:
    """Write seeded data as raw arrays; return the number of rows."""
    rng = np.random.default_rng(20)
    per_prototype = round(PAIRS * size / PROTOTYPES)
    prototype_of = np.repeat(np.arange(PROTOTYPES), per_prototype)
    pairs = len(prototype_of)
    pair = np.tile(np.arange(pairs), SYSTEMS)
    system = np.repeat(np.arange(SYSTEMS), pairs)
    prototype = prototype_of[pair]
    seed = prototype // (PROTOTYPES // SEEDS)
    other = np.where(np.arange(pairs) % 2, rng.integers(0, SEEDS, pairs), prototype_of // 6)[pair]
    attributes = rng.standard_normal((pairs, (COEFFICIENTS - 3) // 2))
    x = np.ones((len(pair), COEFFICIENTS))
    x[:, 1], x[:, 2] = system == 1, system == 2
    half = 3 + attributes.shape[1]
    x[:, 3:half] = attributes[pair]
    x[:, half:] = attributes[pair] * (system == 1)[:, None]
    effect = TRUTH["seed"] * rng.standard_normal(SEEDS)
    y = x @ (0.3 * rng.standard_normal(COEFFICIENTS))
    y += 0.5 * (effect[seed] + effect[other]) if members else effect[seed]
    y += TRUTH["prototype"] * rng.standard_normal(PROTOTYPES)[prototype]
    y += TRUTH["pair"] * rng.standard_normal(pairs)[pair]
    y += TRUTH["sigma"] * rng.standard_normal(len(pair))
    y.tofile(folder / "y")
    x.ravel(order="F").tofile(folder / "X")
    codes = {"seed": seed, "other": other, "prototype": prototype, "pair": pair}
    for name, values in codes.items():
        values.astype(np.int32).tofile(folder / name)
    return len(y)


def run_engine(folder: Path, members: bool, draws: int) -> dict[str, object]:
    """Sample in this process, twice; pair effects are drawn apart."""
    began = perf_counter()
    from arviz_stats.base import array_stats

    from causalbias.inference.gaussian import leading_effects, sample_gaussian
    from causalbias.inference.problem import GroupTerm, Problem
    from causalbias.io.memory import chunks

    imports = perf_counter() - began
    y = np.fromfile(folder / "y")
    x = np.fromfile(folder / "X").reshape(COEFFICIENTS, -1).T.copy()
    ones = np.ones((len(y), 1))

    def prior(sd: np.ndarray) -> np.ndarray:
        return -0.5 * sd**2

    def term(name: str, *codes: str) -> GroupTerm:
        level = np.column_stack([np.fromfile(folder / c, np.int32) for c in codes]).astype(np.int64)
        weights = np.full(level.shape, 1 / len(codes))
        return GroupTerm(name, ("1",), ones, level, weights, int(level.max()) + 1, False, (prior,))

    terms = (
        term("seed", "seed", "other") if members else term("seed", "seed"),
        term("prototype", "prototype"),
        term("pair", "pair"),
    )
    p = COEFFICIENTS
    problem = Problem(y, x, np.zeros(p), np.full(p, 2.5), terms, np.ones(len(y)))
    seconds, cpu = [], []
    for _ in range(2):
        began, began_cpu = perf_counter(), process_time()
        found = sample_gaussian(
            problem, prior, draws=draws, random_seed=1, keep=["seed", "prototype"]
        )
        seconds.append(perf_counter() - began)
        cpu.append(process_time() - began_cpu)
    began = perf_counter()
    total = np.zeros((terms[2].n_levels, 1))
    for part in chunks(draws, 12 * terms[2].n_levels):
        total += leading_effects(problem, found, part).sum(axis=0)
    effects_seconds = perf_counter() - began

    def ess(values: np.ndarray) -> float:
        chains = values.reshape(4, draws // 4, -1)
        return float(np.min(array_stats.ess(chains, chain_axis=0, draw_axis=1)))

    return {
        "version": f"causalbias {importlib.metadata.version('causalbias')}",
        "seconds": seconds[0],
        "again": seconds[1],
        "cpu": cpu[0],
        "imports": imports,
        "pair_effects_seconds": effects_seconds,
        "stages": found.diagnostics.seconds,
        "evaluations": found.diagnostics.n_evaluations,
        "pareto_k": found.diagnostics.pareto_k,
        "importance_ess": found.diagnostics.importance_ess,
        "min_ess_beta": ess(found.beta),
        "min_ess_sigma": ess(found.sigma),
        "min_ess_sd": min(ess(v) for v in found.sd.values()),
        "sd": {k: float(v.mean()) for k, v in found.sd.items()}
        | {"sigma": float(found.sigma.mean())},
    }


def run_gpboost(folder: Path) -> dict[str, object]:
    """Maximise the likelihood by GPBoost in this process."""
    import gpboost

    x = np.fromfile(folder / "X").reshape(COEFFICIENTS, -1).T.copy()
    names = ("seed", "prototype", "pair")
    groups = np.column_stack([np.fromfile(folder / name, np.int32) for name in names])
    began, began_cpu = perf_counter(), process_time()
    model = gpboost.GPModel(group_data=groups, likelihood="gaussian")
    model.fit(y=np.fromfile(folder / "y"), X=x)
    took = {"seconds": perf_counter() - began, "cpu": process_time() - began_cpu}
    variances = np.ravel(model.get_cov_pars(format_pandas=False))
    sds = dict(zip(("sigma", *names), np.sqrt(variances).tolist(), strict=False))
    return took | {"version": f"gpboost {importlib.metadata.version('gpboost')}", "sd": sds}


def run_nuts(folder: Path) -> dict[str, object]:
    """Fit by bambi and nutpie in this process, two chains of 500 draws."""
    import arviz_stats
    import bambi
    import pandas as pd

    x = np.fromfile(folder / "X").reshape(COEFFICIENTS, -1)
    names = [f"x{j}" for j in range(1, COEFFICIENTS)]
    frame = pd.DataFrame(dict(zip(names, x[1:], strict=True)) | {"y": np.fromfile(folder / "y")})
    for name in ("seed", "prototype", "pair"):
        frame[name] = np.fromfile(folder / name, np.int32).astype(str)
    groups = "(1|seed) + (1|prototype) + (1|pair)"
    model = bambi.Model(f"y ~ {' + '.join(names)} + {groups}", frame)
    began, began_cpu = perf_counter(), process_time()
    fit = model.fit(inference_method="nutpie", draws=500, tune=500, chains=2, random_seed=1)
    took = {"seconds": perf_counter() - began, "cpu": process_time() - began_cpu}
    found = fit["posterior"].to_dataset()
    main = found[["Intercept", "sigma", *(n for n in found if str(n).endswith("_sigma")), *names]]
    ess = min(float(v.min()) for v in arviz_stats.ess(main).data_vars.values())
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("bambi", "nutpie")]
    return took | {"version": ", ".join(versions), "min_ess": ess}


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command to its end: the JSON object it prints last, with peak memory in GiB."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise RuntimeError(f"{command[:2]} failed with status {status}")
        out.seek(0)
        found: dict[str, Any] = json.loads(out.read().strip().splitlines()[-1])
        return found | {"peak_gib": usage.ru_maxrss / 2**20}


RUNS = {"gpboost": run_gpboost, "nuts": run_nuts}
GIVES = {"engine": "posterior", "lmer": "REML", "gpboost": "ML", "nuts": "posterior"}


def contend(args: argparse.Namespace, size: float, peers: list[str]) -> list[str]:
    """Run all contenders on one data set; return their lines of the table."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        rows = simulate(size, args.members, Path(name))
        again = [sys.executable, __file__, "--draws", str(args.draws), "--folder", name]
        again += ["--members"] * args.members
        for contender in ("engine", *peers):
            command = [*again, "--inside", contender]
            if contender == "lmer":
                command = ["Rscript", "-e", LMER, name, str(rows), str(COEFFICIENTS)]
            load = os.getloadavg()[0]
            found = measured(command)
            print(contender, rows, json.dumps(found, indent=1), flush=True)
            ess = [value for key, value in found.items() if key.startswith("min_ess")]
            lines.append(
                f"| {rows:,} | {found['version']} | {GIVES[contender]} | {found['seconds']:.1f} "
                f"| {found['cpu']:.1f} | {found['peak_gib']:.2f} "
                f"| {f'{min(ess):,.0f}' if ess else ''} | {load:.1f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Simulate, run the contenders one after another, print their numbers as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--members", action="store_true")
    parser.add_argument("--peers", nargs="*", default=["lmer"], choices=("lmer", *RUNS))
    parser.add_argument("--inside", choices=("engine", *RUNS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        run = RUNS.get(args.inside)
        found = run(args.folder) if run else run_engine(args.folder, args.members, args.draws)
        print(json.dumps(found))
        return
    peers = [] if args.members else list(args.peers)
    if "lmer" in peers and not shutil.which("Rscript"):
        peers.remove("lmer")
    lines = [line for size in args.sizes for line in contend(args, size, peers)]
    print(f"\n{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}\n")
    print("| rows | by | gives | wall s | CPU s | peak GiB | least ESS | load before |")
    print("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
