"""The same models by `cb.fit` and by bambi with nutpie, as a user calls them.

    python benchmarks/beside_bambi.py [MODEL ...] [--rows 3000]

Each contender runs alone in a fresh process that reads the same frame, and makes one call with its
own default draws (four chains of 1,000; bambi after as much warm-up). CPU seconds (user and system,
one thread each) are the whole process's: imports, the first call's compilation, and diagnostics,
which `cb.fit` makes and bambi leaves to ArviZ. Numba's cache is full, as after the first fit on a
machine; nutpie compiles each model anew. "Effective" is the least bulk effective size of all
coefficients and standard deviations, "gap" the largest difference of their posterior means in
posterior standard deviations. The last lines are the
table of docs/performance.md.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from gaussian_full_size import as_factor, measured

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
MEAN = "distance ~ system*kind + (1|seed) + (1|seed:face)"
MODELS: dict[str, tuple[str, str, str | None]] = {  # formula, family, formula of sigma
    "sigma": (MEAN, "gaussian", "sigma ~ system*kind"),
    "t": (MEAN, "t", None),
    "lognormal": (MEAN, "lognormal", None),
    "ordinal": ("score ~ race + (1|annotator) + (1|face)", "cumulative", None),
}


def distances(rows: int, noise: Callable[[np.random.Generator, np.ndarray], np.ndarray]) -> Any:
    """Seeded distances of 3 systems and 2 kinds of pairs: 20 rows a face, 5 faces a seed."""
    rng = np.random.default_rng(3)
    face = np.arange(rows) % max(rows // 20, 10)
    system, kind = rng.integers(0, 3, rows), rng.integers(0, 2, rows)
    y = 3 + 0.2 * system + 0.5 * kind + 0.4 * rng.standard_normal(rows)[face // 5]
    y += 0.3 * rng.standard_normal(rows)[face] + noise(rng, 3 * kind + system)
    codes = {"system": system, "kind": kind, "seed": face // 5, "face": face % 5}
    return pd.DataFrame(
        {"distance": y} | {name: as_factor(one, name) for name, one in codes.items()}
    )


def judgements(rows: int) -> pd.DataFrame:
    """Seeded answers in five categories: faces, of three races, crossed with annotators."""
    rng = np.random.default_rng(4)
    faces, annotators = max(rows // 20, 10), max(rows // 50, 10)
    face, annotator = np.arange(rows) % faces, rng.integers(0, annotators, rows)
    eta = 0.4 * (face % 3) + 0.8 * rng.standard_normal(faces)[face]
    eta += 0.6 * rng.standard_normal(annotators)[annotator] + rng.logistic(size=rows)
    codes = {"race": face % 3, "face": face, "annotator": annotator}
    score = pd.Categorical(np.digitize(eta, [-1.5, -0.2, 1.0, 2.3]), ordered=True)  # bambi asks so
    return pd.DataFrame(
        {"score": score} | {name: as_factor(one, name) for name, one in codes.items()}
    )


def simulate(model: str, rows: int) -> pd.DataFrame:
    """The frame that a model is fitted to."""
    sd = np.array([0.3, 0.5, 0.8, 0.4, 0.6, 1.0])
    match model:
        case "ordinal":
            return judgements(rows)
        case "sigma":
            return distances(rows, lambda rng, cell: sd[cell] * rng.standard_normal(rows))
        case "t":
            return distances(rows, lambda rng, _: 0.4 * rng.standard_t(4, rows))
    found = distances(rows, lambda rng, _: 0.5 * rng.standard_normal(rows))
    return found.assign(distance=np.exp(found["distance"]))


def fit_ours(model: str, frame: pd.DataFrame) -> Any:
    """The call of a user of causalbias."""
    import causalbias as cb

    formula, family, sigma = MODELS[model]
    return cb.fit([formula, sigma] if sigma else formula, frame, family=family, random_seed=1)


def fit_bambi(model: str, frame: pd.DataFrame) -> Any:
    """The call of a user of bambi; lognormal is Gaussian of the logarithm, the same model."""
    import bambi

    formula, family, sigma = MODELS[model]
    if family == "lognormal":
        frame, family = frame.assign(distance=np.log(frame["distance"])), "gaussian"
    whole = bambi.Formula(formula, sigma) if sigma else formula
    built = bambi.Model(whole, frame, family=family)
    return built.fit(inference_method="nutpie", draws=1000, tune=1000, chains=4, random_seed=1)


FITS = {"causalbias": fit_ours, "bambi": fit_bambi}


def inside(contender: str, model: str, path: str) -> dict[str, Any]:
    """One fit in this process: its CPU seconds, and means, sds and effective sizes."""
    fit = FITS[contender](model, pd.read_pickle(path))
    own = resource.getrusage(resource.RUSAGE_SELF)
    import arviz_stats

    posterior = fit["posterior"].to_dataset()
    kept = [n for n in map(str, posterior) if "|" not in n or n.endswith("_sigma")]
    kept = [n for n in kept if posterior[n].ndim < 4 and not n.startswith(("mu", "p"))]
    size = arviz_stats.ess(posterior[kept])
    told = {
        n: [posterior[n].mean(("chain", "draw")).values, posterior[n].std(("chain", "draw")).values]
        for n in kept
    }
    return {
        "cpu": own.ru_utime + own.ru_stime,
        "ess": min(float(size[n].min()) for n in kept),
        "told": {n: [one.ravel().tolist() for one in both] for n, both in told.items()},
        "failures": fit.attrs.get("failures", []),
        "engine": fit.attrs.get("engine", ""),
    }


def gap(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Largest difference of means of what both have, in posterior standard deviations."""
    return max(
        float(np.max(np.abs(np.subtract(mean, theirs[name][0])) / np.array(theirs[name][1])))
        for name, (mean, _) in ours.items()
        if name in theirs
    )


def beside(model: str, rows: int) -> str:
    """Run both on one data set; a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.pkl"
        simulate(model, rows).to_pickle(path)
        found = {
            one: measured([sys.executable, __file__, model, "--inside", one, "--path", str(path)])
            for one in FITS
        }
    print(json.dumps({model: found}), flush=True)
    ours, theirs = found["causalbias"], found["bambi"]
    per = [one["cpu"] / one["ess"] for one in (ours, theirs)]
    cells = [
        model,
        f"{rows:,}",
        f"{ours['cpu']:.1f}",
        f"{theirs['cpu']:.1f}",
        f"{theirs['cpu'] / ours['cpu']:.1f}",
        f"{ours['ess']:,.0f}",
        f"{theirs['ess']:,.0f}",
        f"{per[1] / per[0]:.0f}",
        f"{gap(ours['told'], theirs['told']):.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run the contenders one after another, print their numbers as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--inside", choices=tuple(FITS), help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ |= dict.fromkeys(ONE_THREAD, "1")
    if args.inside:
        print(json.dumps(inside(args.inside, args.models[0], args.path), default=str))
        return
    lines = [beside(model, args.rows) for model in args.models]
    print(
        "\n| model | rows | causalbias CPU s | bambi CPU s | times | effective | bambi's "
        "| times, an effective draw | gap |\n| --- |" + " ---: |" * 8
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
