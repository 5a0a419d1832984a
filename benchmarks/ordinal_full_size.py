"""Ordinal or binary model of full size: our posterior beside others' point estimates.

    python benchmarks/ordinal_full_size.py [--family cumulative] [--sizes 1] [--peers gpboost clmm]
    python benchmarks/ordinal_full_size.py --sizes 1 3 --annotators 1500 --once  # memory by rows
    python benchmarks/ordinal_full_size.py --disc --sizes 0.03334 0.33334 1 --once

432,000 judgements (times size) in 5 categories: 48,000 pairs (times size), judged 9 times each, in
600 prototypes in 100 seeds, crossed with 1,500 annotators (times size, 60 at least); 33
coefficients. ``--family bernoulli`` cuts the same judgements in two and adds an intercept. What is
timed is what a user calls, as in gaussian_full_size.py, which also says what the columns are; the
second fit is left out with ``--once``. ``--disc`` makes annotators discriminate unequally and fits
their log discriminations, ``disc ~ (1|annotator)``. GPBoost has no ordinal likelihood and takes
part in the binary case; ``clmm`` (R's ordinal, fitted once) in the ordinal one, at small sizes:
over 15 minutes at a tenth. The last lines are the table of docs/performance.md.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from gaussian_full_size import as_factor, clocked, measured, of_fit, run_r, two_fits

SEEDS, PROTOTYPES, PAIRS, ANNOTATORS, JUDGEMENTS = 100, 600, 48_000, 1500, 9
AMOUNTS, SHOWN = 16, 16  # attributes, by how much; and who is shown
GROUPS = ("seed", "prototype", "pair", "annotator")
SD = {"seed": 0.5, "prototype": 0.4, "pair": 0.8, "annotator": 0.6}
CUTS = (-2.0, -0.7, 0.6, 1.9)
LOG_DISC_SD, DISC = 0.3, "~ (1|annotator)"
NAMES = [f"a{j + 1}" for j in range(AMOUNTS)] + [f"s{j + 1}" for j in range(SHOWN)]
FORMULA = f"y ~ {' + '.join(NAMES)} + a1:a2 + {' + '.join(f'(1|{g})' for g in GROUPS)}"

CLMM = """
clock <- system.time(suppressMessages(library(ordinal)))
args <- commandArgs(TRUE)
d <- read.csv(file.path(args[1], "rows.csv"), stringsAsFactors = TRUE)
d$y <- factor(d$y)
first <- system.time(m <- clmm(as.formula(args[2]), data = d))
cat(sprintf('{"imports": %f, "first": %f, "cpu": %f, "version": "ordinal %s", "sd": {%s}}',
  clock[["elapsed"]], first[["elapsed"]], first[["user.self"]] + first[["sys.self"]],
  packageVersion("ordinal"),
  paste(sprintf('"%s": %.6f', names(m$ST), sapply(m$ST, as.numeric)), collapse = ", ")))
"""


def simulate(
    size: float, family: str, annotators: int | None = None, disc: bool = False
) -> pd.DataFrame:
    """Return seeded judgements: y, a1, ..., s1, ..., and the factors of `GROUPS`."""
    rng = np.random.default_rng(20)
    pairs = round(PAIRS * size)
    prototype_of = np.arange(pairs) % PROTOTYPES
    pair = np.repeat(np.arange(pairs), JUDGEMENTS)
    annotators = annotators or max(60, round(ANNOTATORS * size))
    codes = {
        "seed": prototype_of[pair] // (PROTOTYPES // SEEDS),
        "prototype": prototype_of[pair],
        "pair": pair,
        "annotator": rng.integers(0, annotators, len(pair)),
    }
    amount = rng.integers(-2, 3, (pairs, AMOUNTS)) / 2.0
    shown = rng.integers(0, 2, (pairs, SHOWN)).astype(float)
    x = np.hstack([amount, amount[:, :1] * amount[:, 1:2], shown])[pair]
    eta = x @ (0.2 * rng.standard_normal(x.shape[1]))
    for name, levels in codes.items():
        eta += SD[name] * rng.standard_normal(levels.max() + 1)[levels]
    noise = rng.logistic(size=len(eta))
    if disc:
        noise *= np.exp(-LOG_DISC_SD * rng.standard_normal(annotators))[codes["annotator"]]
    y = np.digitize(eta + noise, CUTS)
    columns = np.delete(x, AMOUNTS, axis=1)
    rows = {"y": (y >= 2).astype(int) if family == "bernoulli" else y}
    rows |= dict(zip(NAMES, columns.T, strict=True))
    return pd.DataFrame(rows | {name: as_factor(one, name) for name, one in codes.items()})


def run_engine(folder: Path, family: str, draws: int, once: bool, disc: bool) -> dict[str, Any]:
    """Fit in this process, twice or once; effects of pairs are kept at some draws."""
    began = perf_counter()
    import causalbias as cb
    from causalbias.models import engines

    cb.fit  # noqa: B018, which is imported on first use
    imports = perf_counter() - began
    frame = pd.read_pickle(folder / "rows.pkl")
    calls: list[dict[str, Any]] = []
    engines.sample_laplace = clocked(engines.sample_laplace, calls)
    options = {"family": family, "method": "laplace", "draws": draws // 4, "random_seed": 1}
    formula = cb.formula(FORMULA, disc=DISC) if disc else FORMULA
    fit, seconds = two_fits(lambda: cb.fit(formula, frame, **options), once)
    own = calls[-1]["found"].diagnostics
    return {
        "version": f"causalbias {importlib.metadata.version('causalbias')}",
        "imports": imports,
        **seconds,
        "sampler": calls[-1]["seconds"],
        "stages": own.seconds,
        "weighed": own.n_weighed,
        "anchors": own.n_anchors,
        **of_fit(fit),
    }


def run_gpboost(folder: Path) -> dict[str, Any]:
    """Maximise the Laplace-approximated likelihood of the binary model by GPBoost, once."""
    began = perf_counter()
    import gpboost

    imports = perf_counter() - began
    rows = pd.read_pickle(folder / "rows.pkl")
    x = np.column_stack([np.ones(len(rows)), rows[NAMES], rows["a1"] * rows["a2"]])
    groups = np.column_stack([rows[g].astype(str) for g in GROUPS])
    y = rows["y"].to_numpy(float)

    def fit() -> Any:
        model = gpboost.GPModel(group_data=groups, likelihood="bernoulli_logit")
        return model.fit(y=y, X=x)

    model, seconds = two_fits(fit, once=True)
    sds = np.sqrt(np.ravel(model.get_cov_pars(format_pandas=False))).tolist()
    return seconds | {
        "imports": imports,
        "version": f"gpboost {importlib.metadata.version('gpboost')}",
        "sd": dict(zip(GROUPS, sds, strict=False)),
    }


def compile_once(family: str, disc: bool) -> None:
    """Fit a small model of the same kind in a process, so that numba's cache is full."""
    # with few annotators flat priors of 33 coefficients say as much of the mean log discrimination
    # as its own, and the posterior is far from normal
    size = 0.03334 if disc else 0.0125
    with tempfile.TemporaryDirectory() as name:
        simulate(size, family, None, disc).to_pickle(Path(name) / "rows.pkl")
        inside("engine", name, family, 400, once=True, disc=disc)


def inside(
    contender: str, folder: str, family: str, draws: int, *, once: bool, disc: bool
) -> dict[str, Any]:
    """Run a contender in a process of its own, and say what it took."""
    if contender == "clmm":
        return run_r(CLMM, Path(folder), FORMULA)
    command = [sys.executable, __file__, "--family", family, "--draws", str(draws)]
    command += ["--once"] * once + ["--disc"] * disc
    return measured([*command, "--folder", folder, "--inside", contender])


def contend(args: argparse.Namespace, size: float) -> list[str]:
    """Run all contenders on one data set; return their lines of the table."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        frame = simulate(size, args.family, args.annotators, args.disc)
        frame.to_pickle(Path(name) / "rows.pkl")
        rows = len(frame)
        del frame  # beside the process that is measured
        for contender in ("engine", *args.peers):
            load = os.getloadavg()[0]
            options = {"once": args.once, "disc": args.disc}
            found = inside(contender, name, args.family, args.draws, **options)
            print(contender, rows, json.dumps(found, indent=1), flush=True)
            family = f"{args.family}, disc" if args.disc else args.family
            lines.append(line(family, contender, rows, found, load))
            print(lines[-1], flush=True)
    return lines


def line(family: str, contender: str, rows: int, found: dict[str, Any], load: float) -> str:
    """A line of the table."""
    gives = "posterior" if contender == "engine" else "ML"
    seconds = [
        f"{found[key]:.1f}" if key in found else ""
        for key in ("imports", "first", "again", "cpu", "sampler")
    ]
    told = [
        f"{found['min_ess']:,.0f}" if "min_ess" in found else "",
        f"{found['pareto_k']:.2f}" if "pareto_k" in found else "",
    ]
    cells = [family, f"{rows:,}", found["version"], gives, *seconds, f"{found['peak_gib']:.2f}"]
    return "| " + " | ".join([*cells, *told, f"{load:.1f}"]) + " |"


def main() -> None:
    """Simulate, run the contenders one after another, print their numbers as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("cumulative", "bernoulli"), default="cumulative")
    parser.add_argument("--sizes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--annotators", type=int, help="1,500 times the size by default")
    parser.add_argument("--once", action="store_true", help="one fit, whose CPU seconds are shown")
    parser.add_argument("--disc", action="store_true", help="annotators discriminate unequally")
    parser.add_argument("--compile", action="store_true", help="time compilation as well")
    parser.add_argument("--peers", nargs="*", default=[], choices=("gpboost", "clmm"))
    parser.add_argument("--inside", choices=("engine", "gpboost"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside == "gpboost":
        print(json.dumps(run_gpboost(args.folder)))
        return
    if args.inside == "engine":
        found = run_engine(args.folder, args.family, args.draws, args.once, args.disc)
        print(json.dumps(found, default=float))
        return
    wrong = "clmm" if args.family == "bernoulli" else "gpboost"
    if wrong in args.peers:
        parser.error(f"{wrong} has no {args.family} model here")
    if args.disc and (args.peers or args.family != "cumulative"):
        parser.error("--disc is of the cumulative model alone, and no peer has it")
    with tempfile.TemporaryDirectory() as cache:
        if args.compile:
            os.environ["NUMBA_CACHE_DIR"] = cache
        else:
            compile_once(args.family, args.disc)
        lines = [one for size in args.sizes for one in contend(args, size)]
    print(f"\n{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}\n")
    print(
        "| family | rows | by | gives | imports s | first s | again s | CPU s | sampler s "
        "| peak GiB | least ESS | Pareto k | load before |"
    )
    print("| --- | ---: | --- | --- |" + " ---: |" * 9)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
