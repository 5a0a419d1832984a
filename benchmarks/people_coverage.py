"""How often intervals of the analyses of people's answers hold the truth, in simulated studies.

    python -m benchmarks.people_coverage ratings 100
    python -m benchmarks.people_coverage memory 20 24     # from the study of that number on

A line for each estimand: studies, and the share of 50, 90 and 95% intervals that hold the truth.
"""

import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb
from causalbias.agreement.intraclass import intraclass_of

PROBS = (0.5, 0.9, 0.95)
Found = Iterator[tuple[str, xr.DataArray, float]]


def ratings(study: int) -> Found:
    """24 items, 24 raters who rate 14 of them each; every second study nested, as 3DSK is."""
    nested = study % 2 == 1
    each = None if nested else 14
    frame = cb.simulation.simulate_ratings(
        24, 24, each=each, nested=nested, own_group=0.4, random_seed=study
    )
    found = cb.analyses.analyse_ratings(
        frame,
        item="item",
        rater="rater",
        rating="rating",
        item_group="item_group",
        rater_group="rater_group",
        draws=200,
        random_seed=study,
    )
    truth = {name: sd**2 for name, sd in frame.attrs["truth"]["sds"].items()}
    share = pd.crosstab(frame["item"], frame["rater_group"], normalize="index").pow(2)
    kept = share.sum(axis=1).mean()
    item = truth["item"] + kept * truth["item:rater_group"]
    error = (1 - kept) * truth["item:rater_group"] + truth["residual"]
    level = truth["rater"] + truth["rater:item_group"]
    one = found.reliability["coefficient"].sel(raters=1).isel(trait=0)
    ten = found.reliability["coefficient"].sel(raters=10).isel(trait=0)
    design = "nested" if nested else "incomplete"
    assert found.own_group is not None
    assert found.consensus is not None
    yield f"ratings, {design}: own-group effect", found.own_group["effect"].isel(trait=0), 0.4
    yield f"ratings, {design}: consistency, 1", one.sel(kind="consistency"), item / (item + error)
    yield (
        f"ratings, {design}: consistency, 10",
        ten.sel(kind="consistency"),
        item / (item + error / 10),
    )
    yield (
        f"ratings, {design}: agreement, 1",
        one.sel(kind="agreement"),
        item / (item + error + level),
    )
    correlation = truth["item"] / (truth["item"] + truth["item:rater_group"])
    yield f"ratings, {design}: consensus", found.consensus["correlation"].isel(trait=0), correlation


def anova(study: int) -> Iterator[tuple[str, list[bool]]]:
    """Whether the limits of `intraclass` hold the truth: 30 items, 6 raters, no groups."""
    random = np.random.default_rng(study)
    scores = random.normal(0, 0.8, (30, 1)) + random.normal(0, 0.7, 6) + random.normal(size=(30, 6))
    truth = {"ICC(A,1)": 0.64 / 2.13, "ICC(C,1)": 0.64 / 1.64}
    for name, value in truth.items():
        limits = [intraclass_of(scores, prob)[name][1:] for prob in PROBS]
        yield f"intraclass, {name}", [low <= value <= high for low, high in limits]


def alignment(study: int) -> Found:
    """40 faces, or 20 in every second study, of which half of the variance is of faces."""
    faces = 20 if study % 2 else 40
    pairs = cb.simulation.simulate_similarity(
        faces, correlation=0.7, reliability=0.6, random_seed=study
    )
    found = cb.analyses.analyse_alignment(
        pairs,
        face_a="face_a",
        face_b="face_b",
        judgement="judgement",
        metrics="metric",
        errors={"judgement": "error"},
        random_seed=study,
    ).found.isel(group=0, metric=0)
    for name, value in pairs.attrs["truth"].items():
        yield f"alignment, {faces} faces: {name}", found[name], value


def memory(study: int) -> Found:
    """20 subjects by 24 faces, half of them old; subjects differ in their own-group effect."""
    trials = cb.simulation.simulate_recognition(20, 24, random_seed=study)
    found = cb.analyses.analyse_signal_detection(
        trials,
        subject="subject",
        face="face",
        signal="old",
        answer="answer",
        face_group="face_group",
        subject_group="subject_group",
        draws=200,
        random_seed=study,
    )
    truth = trials.attrs["truth"]
    assert found.own_group is not None
    for name, own in (("d_prime", "own_group"), ("criterion", "own_criterion")):
        yield (
            f"memory: {name}",
            found.found[name].mean(("face_group", "subject_group")),
            truth[name],
        )
        yield f"memory: own-group effect on {name}", found.own_group[name], truth[own]


def human_machine(study: int) -> Found:
    """40 annotators who answer 20 of 40 pairs each, and 4 systems; own-group effects of gender."""
    people, systems, items, annotators = cb.simulation.simulate_human_machine(
        40, 40, answers=20, systems=4, random_seed=study
    )
    found = cb.analyses.analyse_human_machine(
        people,
        systems,
        items[items["task"] == "verification"],
        groups=["gender", "skin_type"],
        annotators=annotators,
        own={"gender": "gender"},
        score="score",
        option="option",
        threshold=0.5,
        draws=200,
        random_seed=study,
    )
    truth = people.attrs["truth"]
    odds = found.odds["odds_ratio"].sel(task="verification")
    contrasts = {"gender": "gender: male / female", "skin_type": "skin_type: light / dark"}
    for group, contrast in contrasts.items():
        values = {one: truth[one][group] for one in ("people", "systems")}
        values["systems / people"] = values["systems"] / values["people"]
        for of, value in values.items():
            yield f"people and systems: {group}, {of}", odds.sel(contrast=contrast, of=of), value
    assert found.own_group is not None
    own = found.own_group["odds_ratio"].sel(group="gender")
    yield "people and systems: own-group effect", own, truth["own_group"]["gender"]


STUDIES = {
    "ratings": ratings,
    "alignment": alignment,
    "memory": memory,
    "human_machine": human_machine,
}


def held(draws: xr.DataArray, truth: float) -> list[bool]:
    """Whether equal-tailed intervals of each probability hold the truth."""
    below = float((draws < truth).mean())
    return [abs(below - 0.5) <= prob / 2 for prob in PROBS]


def main(which: str, studies: int, first: int = 0) -> None:
    """Print the table of one analysis."""
    rows: dict[str, list[list[bool]]] = {}
    for study in range(first, first + studies):
        if which == "anova":
            for name, inside in anova(study):
                rows.setdefault(name, []).append(inside)
            continue
        for name, draws, truth in STUDIES[which](study):
            rows.setdefault(name, []).append(held(draws, truth))
    print("| estimand | studies | 50% | 90% (Monte Carlo interval) | 95% |")
    print("| --- | --- | --- | --- | --- |")
    for name, every in sorted(rows.items()):
        share = 100 * np.mean(every, axis=0)
        error = 196 * np.sqrt(share[1] / 100 * (1 - share[1] / 100) / len(every))
        low, high = max(0, share[1] - error), min(100, share[1] + error)
        print(
            f"| `{name}` | {len(every)} | {share[0]:.0f} | {share[1]:.0f} ({low:.0f} to "
            f"{high:.0f}) | {share[2]:.0f} |"
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
