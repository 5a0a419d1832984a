"""Gaussian model of full size: the collapsed engine's posterior beside lme4's point estimate.

    python benchmarks/gaussian_full_size.py [--size 0.1|1|10] [--members] [--no-lmer] [--nuts]

3 systems x 48,000 pairs (times ``--size``) in 600 prototypes in 100 seeds, 33 coefficients.
``--members``: an impostor half of the pairs belongs to two seeds (lme4 has no such term, and is
left out). Each contender runs alone in a fresh process; memory is that process's peak.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
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
cat(sprintf('{"seconds": %f, "sd": {%s}}', took[["elapsed"]],
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

    from causalbias.inference.collapsed import leading_effects, sample_collapsed
    from causalbias.inference.collapsed_effects import chunks
    from causalbias.inference.problem import GroupTerm, Problem

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
        term("prototype", "prototype"), term("pair", "pair"),
    )  # fmt: skip
    p = COEFFICIENTS
    problem = Problem(y, x, np.zeros(p), np.full(p, 2.5), terms, np.ones(len(y)))
    seconds = []
    for _ in range(2):
        began = perf_counter()
        found = sample_collapsed(problem, prior, draws=draws, seed=1, keep=["seed", "prototype"])
        seconds.append(perf_counter() - began)
    began = perf_counter()
    total = np.zeros((terms[2].n_levels, 1))
    for part in chunks(draws, 12 * terms[2].n_levels):
        total += leading_effects(problem, found, part).sum(axis=0)
    effects_seconds = perf_counter() - began

    def ess(values: np.ndarray) -> float:
        chains = values.reshape(4, draws // 4, -1)
        return float(np.min(array_stats.ess(chains, chain_axis=0, draw_axis=1)))

    return {
        "seconds": seconds[0], "again": seconds[1], "imports": imports,
        "pair_effects_seconds": effects_seconds,
        "stages": found.diagnostics.seconds, "evaluations": found.diagnostics.n_evaluations,
        "pareto_k": found.diagnostics.pareto_k, "importance_ess": found.diagnostics.importance_ess,
        "min_ess_beta": ess(found.beta), "min_ess_sigma": ess(found.sigma),
        "min_ess_sd": min(ess(v) for v in found.sd.values()),
        "sd": {k: float(v.mean()) for k, v in found.sd.items()}
        | {"sigma": float(found.sigma.mean())},
    }  # fmt: skip


def run_nuts(folder: Path) -> dict[str, object]:
    """Fit by bambi and nutpie in this process: hours at full size."""
    import bambi
    import pandas as pd

    x = np.fromfile(folder / "X").reshape(COEFFICIENTS, -1)
    names = [f"x{j}" for j in range(1, COEFFICIENTS)]
    frame = pd.DataFrame(dict(zip(names, x[1:], strict=True)) | {"y": np.fromfile(folder / "y")})
    for name in ("seed", "prototype", "pair"):
        frame[name] = np.fromfile(folder / name, np.int32).astype(str)
    groups = "(1|seed) + (1|prototype) + (1|pair)"
    model = bambi.Model(f"y ~ {' + '.join(names)} + {groups}", frame)
    began = perf_counter()
    model.fit(inference_method="nutpie", draws=1000, chains=4, random_seed=1)
    return {"seconds": perf_counter() - began}


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command to its end: its JSON output, with peak memory in GiB."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise RuntimeError(f"{command[:2]} failed with status {status}")
        out.seek(0)
        found: dict[str, Any] = json.loads(out.read())
        return found | {"peak_gib": usage.ru_maxrss / 2**20}


def main() -> None:
    """Simulate, run the contenders one after another, print their numbers and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--members", action="store_true")
    parser.add_argument("--no-lmer", action="store_true")
    parser.add_argument("--nuts", action="store_true")
    parser.add_argument("--inside", choices=("engine", "nuts"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside == "engine":
        print(json.dumps(run_engine(args.folder, args.members, args.draws)))
        return
    if args.inside == "nuts":
        print(json.dumps(run_nuts(args.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        rows = simulate(args.size, args.members, Path(name))
        print(f"{rows} rows")
        again = [sys.executable, __file__, *sys.argv[1:], "--folder", name, "--inside"]
        ours = measured([*again, "engine"])
        print("engine", json.dumps(ours, indent=1))
        if not (args.no_lmer or args.members) and shutil.which("Rscript"):
            lmer = measured(["Rscript", "-e", LMER, name, str(rows), str(COEFFICIENTS)])
            print("lmer", json.dumps(lmer, indent=1))
            print(f"engine / lmer: {ours['seconds'] / lmer['seconds']:.3f}")
        if args.nuts:
            print("bambi + nutpie", json.dumps(measured([*again, "nuts"]), indent=1))


if __name__ == "__main__":
    main()
