"""Ordinal or binary model of full size: our posterior beside others' point estimates.

    python benchmarks/ordinal_full_size.py [--family cumulative] [--sizes 1] [--peers gpboost clmm]

432,000 judgements (times size) in 5 categories: 48,000 pairs (times size), judged 9 times each, in
600 prototypes in 100 seeds, crossed with 1,500 annotators (times size, 60 at least); 33
coefficients. ``--family bernoulli`` cuts the same judgements in two and adds an intercept. Each
contender runs alone in a fresh process: wall and CPU seconds are of the fit, imports and reading
aside; memory is the process's peak. GPBoost has no ordinal likelihood and takes part in the binary
case; ``clmm`` (R's ordinal) in the ordinal one, at small sizes: over 15 minutes at a tenth. The
last lines are the table of docs/performance.md.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from gaussian_full_size import measured

SEEDS, PROTOTYPES, PAIRS, ANNOTATORS, JUDGEMENTS, COEFFICIENTS = 100, 600, 48_000, 1500, 9, 33
GROUPS = ("seed", "prototype", "pair", "annotator")
SD = {"seed": 0.5, "prototype": 0.4, "pair": 0.8, "annotator": 0.6}
CUTS = (-2.0, -0.7, 0.6, 1.9)

CLMM = """
suppressMessages(library(ordinal))
args <- commandArgs(TRUE); n <- as.integer(args[2]); p <- as.integer(args[3])
read <- function(name, what, count, size)
  readBin(file.path(args[1], name), what, n = count, size = size)
d <- data.frame(y = factor(read("y", "double", n, 8)))
d$X <- matrix(read("X", "double", n * p, 8), n, p)
for (g in c("seed", "prototype", "pair", "annotator")) d[[g]] <- factor(read(g, "integer", n, 4))
took <- system.time(m <- clmm(y ~ X + (1 | seed) + (1 | prototype) + (1 | pair) +
  (1 | annotator), data = d))
cat(sprintf('{"seconds": %f, "cpu": %f, "version": "ordinal %s", "sd": {%s}}', took[["elapsed"]],
  took[["user.self"]] + took[["sys.self"]], packageVersion("ordinal"),
  paste(sprintf('"%s": %.6f', names(m$ST), sapply(m$ST, as.numeric)), collapse = ", ")))
"""


def simulate(size: float, family: str) -> dict[str, np.ndarray]:
    """Return seeded judgements: y, X (n, 33; binary: an intercept before them), level codes."""
    rng = np.random.default_rng(20)
    pairs = round(PAIRS * size)
    prototype_of = np.arange(pairs) % PROTOTYPES
    pair = np.repeat(np.arange(pairs), JUDGEMENTS)
    annotators = max(60, round(ANNOTATORS * size))
    codes = {
        "seed": prototype_of[pair] // (PROTOTYPES // SEEDS),
        "prototype": prototype_of[pair],
        "pair": pair,
        "annotator": rng.integers(0, annotators, len(pair)),
    }
    amount = rng.integers(-2, 3, (pairs, 16)) / 2.0  # attributes, and who is shown
    shown = rng.integers(0, 2, (pairs, COEFFICIENTS - 17)).astype(float)
    x = np.hstack([amount, amount[:, :1] * amount[:, 1:2], shown])[pair]
    eta = x @ (0.2 * rng.standard_normal(COEFFICIENTS))
    for name, levels in codes.items():
        eta += SD[name] * rng.standard_normal(levels.max() + 1)[levels]
    y = np.digitize(eta + rng.logistic(size=len(eta)), CUTS).astype(float)
    if family == "bernoulli":
        y, x = (y >= 2).astype(float), np.column_stack([np.ones(len(y)), x])
    return {"y": y, "X": x} | codes


def run_engine(folder: Path, family: str, draws: int) -> dict[str, object]:
    """Sample in this process; effects of pairs are integrated out and not drawn."""
    from arviz_stats.base import array_stats

    from causalbias.inference.laplace import sample_laplace
    from causalbias.inference.problem import GroupTerm, Problem

    def prior(sd: np.ndarray) -> np.ndarray:
        return -0.5 * sd**2

    def problem_of(data: dict[str, np.ndarray]) -> Problem:
        y, x, ones = data["y"], data["X"], np.ones((len(data["y"]), 1))
        terms = tuple(
            GroupTerm(
                g,
                ("1",),
                ones,
                data[g][:, None].astype(np.int64),
                ones,
                int(data[g].max()) + 1,
                False,
                (prior,),
            )
            for g in GROUPS
        )
        p = x.shape[1]
        return Problem(y, x, np.zeros(p), np.full(p, 2.5), terms, np.ones(len(y)))

    problem = problem_of(read(folder, family))
    options = {"random_seed": 1, "keep": [g for g in GROUPS if g != "pair"]}
    if family == "cumulative":
        options |= {"threshold_mean": np.zeros(len(CUTS)), "threshold_sd": np.full(len(CUTS), 5.0)}
    began = perf_counter()
    sample_laplace(problem_of(simulate(0.0125, family)), draws=400, **options)  # compiles
    compiled = perf_counter() - began
    began, began_cpu = perf_counter(), process_time()
    found = sample_laplace(problem, draws=draws, **options)
    seconds, cpu = perf_counter() - began, process_time() - began_cpu

    def ess(values: np.ndarray) -> float:
        chains = values.reshape(4, draws // 4, -1)
        return float(np.min(array_stats.ess(chains, chain_axis=0, draw_axis=1)))

    own = found.diagnostics
    return {
        "version": f"causalbias {importlib.metadata.version('causalbias')}",
        "seconds": seconds,
        "cpu": cpu,
        "compile_seconds": compiled,
        "stages": own.seconds,
        "pareto_k": own.pareto_k,
        "importance_ess": own.importance_ess,
        "weighed": own.n_weighed,
        "anchors": own.n_anchors,
        "min_ess_beta": ess(found.beta),
        "min_ess_sd": min(ess(v) for v in found.sd.values()),
        "sd": {name: [float(v.mean()), float(v.std())] for name, v in found.sd.items()},
        "threshold": [found.threshold.mean(axis=0).tolist(), found.threshold.std(axis=0).tolist()],
    }


def run_gpboost(folder: Path, family: str) -> dict[str, object]:
    """Maximise the Laplace-approximated likelihood of the binary model by GPBoost."""
    import gpboost

    data = read(folder, family)
    groups = np.column_stack([data[g] for g in GROUPS])
    began, began_cpu = perf_counter(), process_time()
    model = gpboost.GPModel(group_data=groups, likelihood="bernoulli_logit")
    model.fit(y=data["y"], X=data["X"])
    took = {"seconds": perf_counter() - began, "cpu": process_time() - began_cpu}
    sds = np.sqrt(np.ravel(model.get_cov_pars(format_pandas=False))).tolist()
    return took | {
        "version": f"gpboost {importlib.metadata.version('gpboost')}",
        "sd": dict(zip(GROUPS, sds, strict=False)),
    }


def read(folder: Path, family: str) -> dict[str, np.ndarray]:
    p = COEFFICIENTS + (family == "bernoulli")
    data = {g: np.fromfile(folder / g, np.int32) for g in GROUPS}
    x = np.fromfile(folder / "X").reshape(p, -1).T.copy()
    return data | {"y": np.fromfile(folder / "y"), "X": x}


def write(data: dict[str, np.ndarray], folder: Path) -> None:
    data["y"].tofile(folder / "y")
    data["X"].ravel(order="F").tofile(folder / "X")
    for g in GROUPS:
        data[g].astype(np.int32).tofile(folder / g)


def contend(args: argparse.Namespace, size: float) -> list[str]:
    """Run all contenders on one data set; return their lines of the table."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        data = simulate(size, args.family)
        write(data, Path(name))
        rows = len(data["y"])
        del data
        again = [sys.executable, __file__, "--draws", str(args.draws), "--folder", name]
        again += ["--family", args.family]
        for contender in ("engine", *args.peers):
            command = [*again, "--inside", contender]
            if contender == "clmm":
                command = ["Rscript", "-e", CLMM, name, str(rows), str(COEFFICIENTS)]
            load = os.getloadavg()[0]
            found = measured(command)
            print(contender, rows, json.dumps(found, indent=1), flush=True)
            ess = [value for key, value in found.items() if key.startswith("min_ess")]
            lines.append(
                f"| {args.family} | {rows:,} | {found['version']} "
                f"| {'posterior' if contender == 'engine' else 'ML'} | {found['seconds']:.1f} "
                f"| {found['cpu']:.1f} | {found['peak_gib']:.2f} "
                f"| {f'{min(ess):,.0f}' if ess else ''} "
                f"| {f'{found["pareto_k"]:.2f}' if ess else ''} | {load:.1f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Simulate, run the contenders one after another, print their numbers as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("cumulative", "bernoulli"), default="cumulative")
    parser.add_argument("--sizes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--peers", nargs="*", default=[], choices=("gpboost", "clmm"))
    parser.add_argument("--inside", choices=("engine", "gpboost"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside == "gpboost":
        print(json.dumps(run_gpboost(args.folder, args.family)))
        return
    if args.inside == "engine":
        print(json.dumps(run_engine(args.folder, args.family, args.draws)))
        return
    wrong = "clmm" if args.family == "bernoulli" else "gpboost"
    if wrong in args.peers:
        parser.error(f"{wrong} has no {args.family} model here")
    lines = [line for size in args.sizes for line in contend(args, size)]
    print(f"\n{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}\n")
    print(
        "| family | rows | by | gives | wall s | CPU s | peak GiB | least ESS | Pareto k | load |"
    )
    print("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
