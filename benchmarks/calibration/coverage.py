"""Coverage of the 50, 90, 95 and 99% intervals of every estimand, on simulated studies.

    python -m benchmarks.calibration.coverage [CASE ...]     # goes on where it was stopped

A case is a function of a replicate's number, which is its seed, to records: the name of an
estimand, its true value, and whether the intervals hold it. Add one to `CASES`:

    def mean(replicate):
        y = np.random.default_rng(replicate).normal(0.3, 1, 50)
        fit = cb.fit("y ~ 1", pd.DataFrame({"y": y}), random_seed=replicate)
        return of_draws("predictions: mean", cb.predictions(fit, ()), lambda _: 0.3)

    CASES["mean"] = Case(mean, 500)
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from benchmarks.calibration import (
    cases_leaks,
    cases_more,
    cases_people,
    cases_rates,
    cases_wrong,
    records,
)
from benchmarks.calibration import cases_regression as regression
from benchmarks.calibration.intervals import Record, coverage
from benchmarks.calibration.worlds import SETTINGS

STEP = 40


@dataclass(frozen=True)
class Case:
    """A case, how many replicates it gets, and what its replicates are in turns."""

    one: Callable[[int], list[Record]]
    replicates: int
    settings: tuple[str, ...] = ("",)


REGRESSION = tuple(one.name for one in SETTINGS)
CASES = {
    "gaussian": Case(regression.gaussian, 800, REGRESSION),
    "ordinal": Case(regression.ordinal, 800, REGRESSION),
    "binary": Case(regression.binary, 800, REGRESSION),
    "rates": Case(cases_rates.rates, 800, tuple(cases_rates.SETTINGS)),
    "people": Case(cases_people.people, 600, tuple(cases_people.SETTINGS)),
    "joint": Case(cases_more.joint, 400),
    "perceived": Case(cases_more.perceived, 600),
    "pilot": Case(cases_more.pilot, 600),
    "checks": Case(cases_more.checks, 600),
    "release": Case(cases_more.release, 200),
    "healed": Case(cases_wrong.healed, 700, tuple(cases_wrong.HEALED)),
    "remedied": Case(cases_wrong.remedied, 400, tuple(cases_wrong.REMEDIES)),
    "remedied annotators": Case(cases_wrong.remedied_annotators, 100, ("unequal annotators",)),
    "remedied skewness": Case(cases_wrong.remedied_skewness, 200, cases_wrong.SKEWNESS),
    "leaks": Case(cases_leaks.leaks, 520, tuple(one.name for one in cases_leaks.SETTINGS)),
    "wrong": Case(cases_wrong.wrong, 700, tuple(cases_wrong.CASES)),
}


def frame_of(name: str) -> pd.DataFrame:
    """All records of a case."""
    case, lines = CASES[name], []
    for replicate, found in records.read(records.RAW / f"coverage {name}.jsonl").items():
        setting = case.settings[replicate % len(case.settings)]
        lines += [(name, setting, replicate, *one) for one in found]
    columns = ["case", "setting", "study", "estimand", "truth", "estimate", "held", "side"]
    return pd.DataFrame(lines, columns=columns)


def summarise() -> None:
    """Write the tables in `results/` of all replicates that are here."""
    every = pd.concat([frame_of(name) for name in CASES])
    records.write(table(every, ["case", "estimand"]), "coverage", CASES)
    records.write(table(every, ["case", "estimand", "setting"]), "coverage_by_setting", CASES)


def table(every: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Coverage, and what the 95% interval says of the sign."""
    rows = []
    for key, part in every.groupby(by, sort=False):
        clear = part["side"] != 0
        wrong = clear & (part["side"] * part["truth"] < 0)
        zero = part["truth"].abs() < 1e-9
        rows.append(
            dict(zip(by, key, strict=True))
            | coverage(part)
            | {
                "clear of zero": (clear & ~zero).sum(),
                "wrong sign": wrong.sum(),
                "true zeros": zero.sum(),
                "zeros excluded": (clear & zero).sum(),
            }
        )
    return pd.DataFrame(rows).round(4)


def main(*names: str) -> None:
    most = max(CASES[name].replicates for name in names or CASES)
    for upto in range(STEP, most + 1, STEP):
        for name in names or CASES:
            case = CASES[name]
            path = records.RAW / f"coverage {name}.jsonl"
            records.run(path, min(upto, case.replicates), case.one)
        summarise()


if __name__ == "__main__":
    main(*sys.argv[1:])
