"""Effects of perceived attributes from manipulations that leak, and what they would be naively.

Every manipulation moves its own attribute by about 12 points and leaks a share of that into the
next. Raters are unequal in noise and in how large they see a change. Seeds' own moves vary, and go
together with what else moves their outcome.

    python -m benchmarks.calibration.cases_leaks     # corrected beside naive: results/leaks.csv
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import causalbias as cb
from benchmarks.calibration import records
from benchmarks.calibration.intervals import Record, of_draws

QUESTIONS = ["age", "smile", "weight"]
EFFECT = np.array([0.004, 0.0, -0.002])  # of distance, by the point
PUSH = 12.0


@dataclass(frozen=True)
class Leaks:
    """A setting: the share leaked, seeds, manipulations, raters, and how strong the push is."""

    leak: float
    seeds: int
    manipulations: int = 3
    raters: int = 8
    push: float = PUSH

    @property
    def name(self) -> str:
        """What tables call it."""
        weak = ", weak push" if self.push < PUSH else ""
        return f"{self.manipulations} pushes leak {self.leak:.0%}{weak}, {self.seeds} seeds"


SETTINGS = (
    *(Leaks(leak, seeds) for leak in (0.0, 0.4, 0.8) for seeds in (10, 30, 100)),
    *(Leaks(0.4, seeds, 6, 5) for seeds in (10, 30, 100)),
    *(Leaks(0.4, seeds, push=1.5) for seeds in (10, 30, 100)),
)


def world(setting: Leaks, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Outcomes and scores of a study."""
    n, k, j = setting.seeds, setting.manipulations, len(QUESTIONS)
    names = [*QUESTIONS, "dark", "round", "wide"][:k]
    # Each leaks into the next attribute; further manipulations are mixtures without a name.
    moves = np.eye(j) + setting.leak * np.roll(np.eye(j), 1, axis=1)
    moves = np.vstack([moves, rng.uniform(-0.5, 1, (k - j, j))]) * setting.push
    own = rng.normal(0, 4, (n, k, j))
    seen = moves + own
    also = -0.003 * own[:, :, 0] + rng.normal(0, 0.02, (n, k))  # what moves with it, unseen
    truth = rng.normal(40, 10, (n, j))
    base, noise = rng.normal(0.5, 0.05, n), 0.02
    outcome = np.stack(
        [
            np.broadcast_to((base + rng.normal(0, noise, n))[:, None], (n, k)),
            base[:, None] + seen @ EFFECT + also + rng.normal(0, noise, (n, k)),
        ],
        axis=2,
    )
    faces = pd.MultiIndex.from_product(
        [range(n), names, [0, 1]], names=["seed", "attribute", "level"]
    ).to_frame(index=False)
    level = np.stack([np.zeros_like(seen), seen], axis=2) + truth[:, None, None]  # seed, k, 2, j
    parts = []
    for at, question in enumerate(QUESTIONS):
        gain, sd = (
            rng.normal(1, 0.25, setting.raters),
            8 * np.exp(rng.normal(0, 0.5, setting.raters)),
        )
        for rater in range(setting.raters):
            score = rng.normal(0, 5) + gain[rater] * level[..., at]
            score = (score + sd[rater] * rng.standard_normal(score.shape)).ravel()
            parts.append(faces.assign(question=question, annotator=f"r{rater}", score=score))
    return faces.assign(outcome=outcome.ravel()), pd.concat(parts, ignore_index=True)


def study(replicate: int) -> tuple[Leaks, cb.Estimate]:
    """One setting after the other."""
    setting = SETTINGS[replicate % len(SETTINGS)]
    outcomes, scores = world(setting, np.random.default_rng([11, replicate]))
    return setting, cb.leak_corrected(outcomes, scores, draws=400, random_seed=replicate)


def leaks(replicate: int) -> list[Record]:
    """The corrected effects."""
    setting, found = study(replicate)
    weak = ", weak push" if setting.push < PUSH else ""

    def truth(row: Mapping[str, Any]) -> float:
        return float(EFFECT[QUESTIONS.index(row["question"])])

    return of_draws(f"leak_corrected: effect{weak}", found, truth, "effect")


def beside(replicate: int) -> list[list[float]]:
    """Whether the 90% interval of each effect holds it, and its width: corrected and naive."""
    _, found = study(replicate)
    lines = []
    for name in ("effect", "naive"):
        low, high = found[name].quantile([0.05, 0.95], ["chain", "draw"]).values
        lines += [((low <= EFFECT) & (high >= EFFECT)).astype(float).tolist(), high - low]
    return [list(map(float, one)) for one in lines]


def summarise(every: dict[int, Any]) -> pd.DataFrame:
    """Coverage of corrected and naive 90% intervals, and how much wider the corrected ones are."""
    rows = []
    for at, setting in enumerate(SETTINGS):
        one = np.array([every[key] for key in sorted(every) if key % len(SETTINGS) == at])
        rows.append(
            {
                "setting": setting.name,
                "studies": len(one),
                "corrected": one[:, 0].mean(),
                "naive": one[:, 2].mean(),
                "width over naive": np.median(one[:, 1] / one[:, 3]),
            }
        )
    return pd.DataFrame(rows).round(4)


def main(replicates: int = 520) -> None:
    """Write results/leaks.csv, and its table into docs/explanation/leaks.md."""
    table = summarise(records.run(records.RAW / "leaks beside.jsonl", replicates, beside))
    table.to_csv(records.RESULTS / "leaks.csv", index=False)
    lines = [
        "| setting | studies | corrected | naive | width over naive (median) |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row[0]} | {row[1]} | {row[2]:.1%} | {row[3]:.1%} | {row[4]:.2f} |"
            for row in table.to_numpy().tolist()
        ),
    ]
    page = records.HERE.parents[1] / "docs" / "explanation" / "leaks.md"
    start, end = "<!-- coverage -->\n", "<!-- /coverage -->"
    before, rest = page.read_text().split(start)
    page.write_text(before + start + "\n".join(lines) + "\n" + end + rest.split(end)[1])
    print(table.to_string())


if __name__ == "__main__":
    main()
