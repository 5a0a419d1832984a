"""How often intervals of the analyses of tables hold the truth, in simulated studies.

    python -m benchmarks.analysis_coverage ratings 100
    python -m benchmarks.analysis_coverage memory 20 24     # from the study of that number on

A line for each estimand: studies, intervals, and the share of 50, 90 and 95% intervals that hold
the truth. Those of one study are dependent, which the Monte Carlo interval allows for. An
interrupt prints the table of the studies that are done.
"""

import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, logit, ndtr, ndtri

import causalbias as cb
from causalbias.agreement.intraclass import intraclass_of

PROBS = (0.5, 0.9, 0.95)
Found = Iterator[tuple[str, list[bool]]]


def held(draws: xr.DataArray, truth: float) -> list[bool]:
    """Whether equal-tailed intervals of each probability hold the truth."""
    below = float((draws < truth).mean())
    return [abs(below - 0.5) <= prob / 2 for prob in PROBS]


def rows_held(
    found: xr.Dataset,
    truth: Callable[[pd.Series], float],
    of: str | None = None,
) -> Iterator[tuple[pd.Series, list[bool]]]:
    """Each row of an estimate's table, and whether its intervals hold the truth of the row.

    Intervals are those that tables and reports show, some of which have one end.
    """
    tables = [cb.summarise(found, prob=prob, of=of) for prob in PROBS]
    for at, row in tables[-1].iterrows():
        if pd.notna(row["lower"]) or pd.notna(row["upper"]):
            value = truth(row)
            ends = [one.loc[at, ["lower", "upper"]].astype(float) for one in tables]
            yield row, [bool(not value < low and not value > high) for low, high in ends]


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
    yield (
        f"ratings, {design}: own-group effect",
        held(found.own_group["effect"].isel(trait=0), 0.4),
    )
    yield (
        f"ratings, {design}: consistency, 1",
        held(one.sel(kind="consistency"), item / (item + error)),
    )
    yield (
        f"ratings, {design}: consistency, 10",
        held(ten.sel(kind="consistency"), item / (item + error / 10)),
    )
    yield (
        f"ratings, {design}: agreement, 1",
        held(one.sel(kind="agreement"), item / (item + error + level)),
    )
    correlation = truth["item"] / (truth["item"] + truth["item:rater_group"])
    consensus = found.consensus["correlation"].isel(trait=0)
    yield f"ratings, {design}: consensus", held(consensus, correlation)


def anova(study: int) -> Found:
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
        yield f"alignment, {faces} faces: {name}", held(found[name], value)


def memory(study: int) -> Found:
    """20 subjects by 24 faces, half of them old; subjects differ in their own-group effect."""
    trials = cb.simulation.simulate_recognition(20, 24, random_seed=study)
    found = _signal_detection(trials, study, answer="answer")
    names = {"d_prime": ("d_prime", "own_group"), "criterion": ("criterion", "own_criterion")}
    yield from _own_group_held("memory", found, trials.attrs["truth"], names)


def memory_unequal(study: int) -> Found:
    """Confidence of 20 subjects by 24 faces, of which evidence on old ones varies more."""
    trials = cb.simulation.simulate_recognition(20, 24, zroc_slope=0.75, random_seed=study)
    found = _signal_detection(
        trials, study, confidence="confidence", old_from=4, unequal_variance=True
    )
    label = "memory, unequal variance"
    assert found.zroc_slope is not None
    yield f"{label}: zroc_slope", held(found.zroc_slope["zroc_slope"], 0.75)
    names = {"d_a": ("d_a", "own_d_a"), "criterion": ("c_a", "own_c_a")}
    yield from _own_group_held(label, found, trials.attrs["truth"], names)


def _signal_detection(
    trials: pd.DataFrame, study: int, **answers: Any
) -> cb.analyses.SignalDetection:
    """The analysis of simulated trials; ``answers``: its arguments that say what was answered."""
    return cb.analyses.analyse_signal_detection(
        trials,
        subject="subject",
        face="face",
        signal="old",
        face_group="face_group",
        subject_group="subject_group",
        draws=200,
        random_seed=study,
        **answers,
    )


def _own_group_held(
    label: str,
    found: cb.analyses.SignalDetection,
    truth: dict[str, float],
    names: dict[str, tuple[str, str]],
) -> Found:
    """Means over groups and own-group effects; ``names`` of both in the truth, by estimate."""
    assert found.own_group is not None
    for name, (mean, own) in names.items():
        over_groups = found.found[name].mean(("face_group", "subject_group"))
        yield f"{label}: {name}", held(over_groups, truth[mean])
        yield f"{label}: own-group effect on {name}", held(found.own_group[name], truth[own])


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
            own = odds.sel(contrast=contrast, of=of)
            yield f"people and systems: {group}, {of}", held(own, value)
    assert found.own_group is not None
    own = found.own_group["odds_ratio"].sel(group="gender")
    yield "people and systems: own-group effect", held(own, truth["own_group"]["gender"])


def editing(study: int) -> Found:
    """40 persons, 20 targets, two editors: kinds of pairs, identity kept, groups seen, effects."""
    manifest, distances = cb.simulation.simulate_editing(40, random_seed=study)
    found = cb.analyses.analyse_editing(
        manifest,
        distances,
        person="person",
        target="target",
        target_person="target_person",
        reference="reference",
        editor="editor",
        threshold=0.7,
        source_attributes={"race": "source_race"},
        target_attributes={"race": "target_race"},
        output_attributes={"race": "output_race"},
        draws=200,
        random_seed=study,
    )
    truth = pd.DataFrame(manifest.attrs["truth"]).set_index(["editor", "group"])
    truth["target"] = truth["impostor"]
    far = 0.7 - truth["impostor"].iloc[0]
    rates = {  # persons have sd 0.06, targets 0.04, pairs 0.1
        "genuine": ndtr(0.3 / np.hypot(0.06, 0.1)),
        "impostor": ndtr(far / np.sqrt(2 * 0.06**2 + 0.1**2)),
        "target": ndtr(far / np.sqrt(0.06**2 + 0.04**2 + 0.1**2)),
    }

    def rate(row: pd.Series) -> float:
        own = float(truth["rate"][row["editor"], row["group"]])
        return rates.get(row.get("kind", "source"), own)

    assert found.matching is not None
    assert found.lost is not None
    assert found.seen is not None
    for row, inside in rows_held(found.matching, rate):
        limit = "rate" if row["supported"] else "upper limit of the rate"
        yield f"editing: {limit}, {row['kind']}", inside
    for row, inside in rows_held(
        found.identity, lambda row: truth[row["kind"]][row["editor"], row["group"]], "mean"
    ):
        yield f"editing: mean distance, {row['kind']}", inside
    for _, inside in rows_held(
        found.identity, lambda row: truth["kept"][row["editor"], row["group"]], "kept"
    ):
        yield "editing: identity kept", inside
    for _, inside in rows_held(
        found.lost,
        lambda row: truth["rate"][row["editor"]].mean() - rate(row),
    ):
        yield "editing: identity lost more often", inside
    for row, inside in rows_held(
        found.seen,
        lambda row: {
            "source": truth["leak"][row["editor"], row["level"]],
            "target": 1 - truth["leak"][row["editor"], row["level"]],
            "neither": 0.0,
        }[row["seen_as"]],
    ):
        if row["seen_as"] != "neither":  # of which there are none
            yield f"editing: seen as of the {row['seen_as']}'s race", inside
    effects = {"race": -0.1, "target_race": 0.0, "editor": 0.075}
    for name, value in effects.items():
        for _, inside in rows_held(found.effects[name], lambda _, value=value: value):
            yield f"editing: effect of {name.replace('_', ' ')}", inside


RACES, GENDERS, SMILES = ("asian", "black", "white"), ("female", "male"), (-1.0, 0.0, 1.0)


def social(study: int) -> Found:
    """8 seeds, three races, two genders, three smiles, three prompts of each valence."""
    table = cb.simulation.simulate_social_perception(8, 3, random_seed=study)
    found = cb.analyses.analyse_social_perception(
        table,
        image="image",
        prompt="prompt",
        similarity="similarity",
        seed="seed",
        groups=["race", "gender"],
        doses="smile",
        valence="valence",
        draws=200,
        random_seed=study,
    )
    cells = pd.DataFrame(list(product(RACES, GENDERS, SMILES)), columns=["race", "gender", "smile"])
    black, smile = cells["race"] == "black", cells["smile"]
    truth = table.attrs["truth"]
    contrast = truth["black"] * black + truth["black_women"] * (
        black & (cells["gender"] == "female")
    )
    means = {
        "neutral": 0.22 + truth["marked"] * black,
        "positive - negative": contrast + truth["smile"] * smile + truth["bend"] * smile**2,
    }
    yield from _social_means(found, cells, means)
    shares = _social_shares(cells, means)
    for row, inside in rows_held(
        found.shares, lambda row: shares[row["prompts"]].get(row["source"], 0.0)
    ):
        if shares[row["prompts"]].get(row["source"], 0.0) > 0:  # else no interval can hold it
            yield f"social perception: share of variance, {row['prompts']}", inside
    changes = _social_changes(cells, means)
    for _, inside in rows_held(found.changes, lambda row: changes[row["attribute"]]):
        yield "social perception: mean absolute change", inside


def _social_means(
    found: "cb.analyses.SocialPerception", cells: pd.DataFrame, means: dict[str, pd.Series]
) -> Found:
    """Cells, effects, interactions, markedness and curves of doses."""

    def mean(prompts: str, **levels: object) -> float:
        which = np.logical_and.reduce([cells[one] == level for one, level in levels.items()])
        return float(means[prompts][which].mean())

    def of_cell(row: pd.Series) -> float:
        race, gender = row["cell"].split(", ")
        return mean(row["prompts"], race=race, gender=gender)

    def of_effect(row: pd.Series) -> float:
        name, _, levels = row["contrast"].partition(": ")
        high, low = (mean(row["prompts"], **{name: one}) for one in levels.split(" - "))
        return high - low

    def of_interaction(row: pd.Series) -> float:
        high, low = row["contrast"].split(", by ")[0].removeprefix("race: ").split(" - ")
        return float(
            np.dot(
                [1, -1, -1, 1],
                [
                    mean(row["prompts"], race=race, gender=gender)
                    for race, gender in product((high, low), ("male", "female"))
                ],
            )
        )

    def of_mark(row: pd.Series) -> float:
        name, _, level = row["contrast"].rpartition(": ")
        race, _, gender = level.partition(", ")
        levels = {name: level} if name else {"race": race, "gender": gender}
        own = np.logical_and.reduce([cells[one] == value for one, value in levels.items()])
        return float(means["neutral"][own].mean() - means["neutral"][~own].mean())

    def of_curve(row: pd.Series) -> float:
        at = [mean(row["prompts"], smile=one) for one in SMILES]
        return float(np.polynomial.polynomial.polyval(row["smile"], _parabola(at)))

    def of_coefficient(row: pd.Series) -> float:
        at = [mean(row["prompts"], smile=one) for one in SMILES]
        return float(_parabola(at)[1 if row["term"] == "linear" else 2])

    assert found.interactions is not None
    assert found.markedness is not None
    assert found.coefficients is not None
    for name, estimate, truth in (
        ("mean of a combination", found.cells, of_cell),
        ("effect of a group", found.effects, of_effect),
        ("interaction of race and gender", found.interactions, of_interaction),
        ("markedness", found.markedness, of_mark),
        ("curve of the smile", found.curves["smile"], of_curve),
        ("coefficient of the smile", found.coefficients, of_coefficient),
    ):
        for row, inside in rows_held(estimate, truth):
            prompts = row.get("prompts", "neutral")
            yield f"social perception: {name}, {prompts}", inside


def _parabola(at: list[float]) -> list[float]:
    """Coefficients of the parabola through values at -1, 0 and 1."""
    low, middle, high = at
    return [middle, (high - low) / 2, (high + low) / 2 - middle]


SPREAD, NOISE = 0.004, 0.005  # of the simulator


def _social_shares(cells: pd.DataFrame, means: dict[str, pd.Series]) -> dict[str, dict[str, float]]:
    """Shares of the variance: Shapley values of race and gender, the smile, groups, residual."""
    found = {}
    own = SPREAD**2 * (1 + 0.25 + 0.25)
    for prompts, mean in means.items():
        joint = mean.groupby([cells["race"], cells["gender"]]).mean().var(ddof=0)
        race, gender, smile = (
            mean.groupby(cells[one]).mean().var(ddof=0) for one in ("race", "gender", "smile")
        )
        # Rows of a contrast vary by 2 * 2 times the variance of prompts: see `valence_rows`.
        times = 1.0 if prompts == "neutral" else 4.0
        parts = {
            "race": race + (joint - race - gender) / 2,
            "gender": gender + (joint - race - gender) / 2,
            "smile": smile,
            "groups": own + times * SPREAD**2 * (1 + 0.3**2),
            "residual": times * NOISE**2,
        }
        parts = {name: value if value > 1e-12 else 0.0 for name, value in parts.items()}
        found[prompts] = {name: value / sum(parts.values()) for name, value in parts.items()}
    return found


def _social_changes(cells: pd.DataFrame, means: dict[str, pd.Series]) -> dict[str, float]:
    """Mean absolute change by attribute: folded normals, over valences and what else is held."""
    found: dict[str, list[float]] = {"race": [], "gender": [], "smile": []}
    level, contrast = means["neutral"], means["positive - negative"]
    for sign, (one, two) in product((0.0, 0.5, -0.5), product(cells.index, cells.index)):
        apart = [name for name in found if cells.loc[one, name] != cells.loc[two, name]]
        if len(apart) != 1 or one > two:
            continue
        mean = float((level + sign * contrast).diff(two - one)[two])
        parts = 0.25 if apart == ["smile"] else 0.5  # of images, and of seeds in a race and gender
        variance = 2 * parts * SPREAD**2 * (1 + sign**2) + 2 * NOISE**2
        if apart != ["smile"]:
            variance += 2 * (0.3 * SPREAD) ** 2
        z = mean / np.sqrt(variance)
        folded = np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + z * (1 - 2 * ndtr(-z))
        found[apart[0]].append(float(np.sqrt(variance) * folded))
    return {name: float(np.mean(values)) for name, values in found.items()}


def association(study: int) -> Found:
    """Effect sizes of WEAT: 20 normal values a set, whose means are 0.8 sd apart, or none."""
    random = np.random.default_rng(study)
    for apart in (0.0, 0.8):
        x, y = random.normal(apart, size=20), random.normal(size=20)
        truth = apart / np.sqrt(1 + apart**2 / 4)  # the sd is of both sets together
        inside = []
        for prob in PROBS:
            found = cb.rates.association_test(x, y, prob=prob, permutations=500, random_seed=study)
            inside.append(bool(found["lower"] <= truth <= found["upper"]))
        yield f"WEAT: effect size {apart:g}", inside
        if not apart:
            yield (
                "WEAT: p of the permutation test above 1 - prob",
                [bool(found["p"] > 1 - prob) for prob in PROBS],
            )


def ranking(study: int) -> Found:
    """Skew@k of 40 seeds with two images of each group; group b is 0.5 sd higher."""
    random = np.random.default_rng(study)
    own = random.normal(size=(40, 1))
    scores = np.sqrt(0.5) * (own + random.normal(size=(40, 4))) + [0, 0, 0.5, 0.5]
    groups, seeds = np.tile(list("aabb"), 40), np.repeat(np.arange(40), 4)
    grid = np.linspace(-5, 5, 100_001)
    above = np.array([ndtr(-grid), ndtr(0.5 - grid)])  # shares above a score
    top = above[:, np.argmin(np.abs(above.mean(axis=0) - 0.25))]
    truth = dict(zip("ab", np.log(top / top.sum() * 2), strict=True))
    tables = [
        cb.rates.ranking_indices(scores.ravel(), groups, seeds, 40, prob=prob, random_seed=study)
        for prob in PROBS
    ]
    for at, group in enumerate("ab"):
        ends = [one.loc[at, ["lower", "upper"]] for one in tables]
        yield f"Skew@k, group {group}", [bool(low <= truth[group] <= high) for low, high in ends]


LEVELS = [f"{race}_{gender}" for race in "abc" for gender in "fm"]


def scores(study: int) -> Found:
    """Audit of 6 groups of race and gender, 100 persons and 400 pairs of each kind in each.

    Logits of the rates are of a population of groups, as partial pooling takes them to be.
    """
    random = np.random.default_rng(study)
    race, gender = np.repeat(random.normal(0, 0.5, (3, 2)), 2, axis=0), np.tile([0.2, -0.2], 3)
    effect = race + gender[:, None] + random.normal(0, 0.3, (6, 2))
    true = dict(zip(LEVELS, map(tuple, expit(logit([0.03, 0.2]) + effect)), strict=True))
    frame = cb.simulation.simulate_scores(
        {"system": true},
        persons=100,
        pairs=400,
        random_seed=study,
    )
    names = {"Class_ID_s1": "seed_a", "Class_ID_s2": "seed_b", "issame": "same_identity"}
    frame = frame.rename(columns=names | {"system_cos_dist": "distance"})
    frame = frame.assign(group=frame["seed_a"].str.partition("/")[0], system="system")
    fixed = cb.error_rates(frame, "group", threshold=0.5, draws=1000, random_seed=study)
    yield from _score_rates(fixed, true, "")
    factors = {one: dict(zip(("race", "gender"), one.split("_"), strict=True)) for one in LEVELS}
    pooled = cb.analyses.pooled_rates(fixed, factors=factors, draws=200, random_seed=study)
    yield from _score_rates(pooled, true, "partially pooled ")
    # At a threshold of which 2% of impostor pairs match, whose true rates are known too.
    at = cb.rates.threshold_at(frame, 0.02, by="group", cohort="same", random_seed=study)
    moved = (float(at["point"].item()) - 0.5) / 0.05
    shifted = {
        one: (float(ndtr(ndtri(fmr) + moved)), float(ndtr(ndtri(fnmr) - moved)))
        for one, (fmr, fnmr) in true.items()
    }
    threshold = float(at["point"].item())
    set_at = cb.error_rates(frame, "group", threshold=threshold, draws=1000, random_seed=study)
    yield from _score_rates(set_at, shifted, "at 2% false matches, ")
    yield from _score_indices(frame, fixed, true, study)


def _score_rates(rates: xr.Dataset, true: dict[str, tuple[float, float]], of: str) -> Found:
    """Rates by group, and ratios of each two groups."""
    for row, inside in rows_held(rates, lambda row: true[row["group"]][row["rate_of"] == "FNMR"]):
        limit = "rate" if row["supported"] else "upper limit of the rate"
        yield f"scores: {of}{limit}, {row['rate_of']}", inside

    def ratio(row: pd.Series) -> float:
        one, other = (true[row[name]][row["rate_of"] == "FNMR"] for name in ("group", "other"))
        return one / other

    for row, inside in rows_held(cb.rates.pairwise_rate_ratios(rates), ratio):
        if row["group"] < row["other"] or row["interval"] == "at least":
            yield f"scores: {of}ratio of two groups, {row['rate_of']}, {row['interval']}", inside


def _score_indices(
    frame: pd.DataFrame, rates: xr.Dataset, true: dict[str, tuple[float, float]], study: int
) -> Found:
    """Ratios to the mean, fairness indices, accuracy and its indices, equal error rates."""
    both = np.array(list(true.values())).T
    mean = np.exp(np.log(both).mean(axis=1))
    for row, inside in rows_held(
        cb.rates.rate_ratios(rates),
        lambda row: (
            true[row["group"]][row["rate_of"] == "FNMR"] / mean[int(row["rate_of"] == "FNMR")]
        ),
    ):
        yield f"scores: ratio to the geometric mean, {row['rate_of']}, {row['interval']}", inside
    ratio, best = both.max(axis=1) / both.min(axis=1), both.max(axis=1) / mean
    apart = np.abs(both[:, :, None] - both[:, None, :]).sum(axis=(1, 2))
    gini = apart / (2 * 6 * 5 * both.mean(axis=1))
    indices = {"FDR": 1 - np.ptp(both, axis=1).mean(), "GARBE": gini.mean()}
    indices["inequity rate"] = np.sqrt(ratio.prod())
    for at, kind in enumerate(("FMR", "FNMR")):
        indices |= {
            f"{kind} max/min": ratio[at],
            f"{kind} max/geometric mean": best[at],
            f"{kind} Gini": gini[at],
        }
    for row, inside in rows_held(
        cb.rates.fairness_indices(rates), lambda row: indices[row["index"]]
    ):
        yield f"scores: {row['index']}", inside
    error = {one: float(ndtr(sum(ndtri(value)) / 2)) for one, value in true.items()}
    accuracy = cb.rates.verification_accuracy(frame, "group", draws=1000, random_seed=study)
    for _, inside in rows_held(accuracy, lambda row: 1 - error[row["group"]]):
        yield "scores: accuracy", inside
    equal = cb.rates.equal_error_rate(frame, "group", draws=1000, random_seed=study)
    for _, inside in rows_held(equal, lambda row: error[row["group"]]):
        yield "scores: equal error rate", inside
    wrong = np.array(list(error.values()))
    spread = {"accuracy SD": wrong.std(ddof=1), "skewed error ratio": wrong.max() / wrong.min()}
    for row, inside in rows_held(
        cb.rates.accuracy_indices(accuracy), lambda row: spread[row["index"]]
    ):
        yield f"scores: {row['index']}", inside


STUDIES: dict[str, Callable[[int], Found]] = {
    "ratings": ratings,
    "anova": anova,
    "alignment": alignment,
    "memory": memory,
    "memory_unequal": memory_unequal,
    "human_machine": human_machine,
    "editing": editing,
    "social": social,
    "association": association,
    "ranking": ranking,
    "scores": scores,
}


def main(which: str, studies: int, first: int = 0) -> None:
    """Print the table of one analysis, and on standard error the studies as they are done."""
    rows: list[tuple[str, int, list[bool]]] = []
    try:
        for study in range(first, first + studies):
            rows += [(name, study, inside) for name, inside in STUDIES[which](study)]
            print(f"study {study} of {which}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        pass
    table = pd.DataFrame([(name, study, *inside) for name, study, inside in rows])
    print("| estimand | studies | intervals | 50% | 90% (Monte Carlo interval) | 95% |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, own in table.groupby(0):
        by_study = own.groupby(1)[[2, 3, 4]]
        number, share = by_study.ngroups, 100 * own[[2, 3, 4]].mean()
        # The error of a mean of dependent intervals, from the sums of what each study is off.
        off = (own[3] - own[3].mean()).groupby(own[1]).sum()
        error = 196 * np.sqrt(float(off @ off)) / len(own)
        low, high = max(0, share[3] - error), min(100, share[3] + error)
        print(
            f"| `{name}` | {number} | {len(own)} | {share[2]:.0f} | {share[3]:.0f} "
            f"({low:.0f} to {high:.0f}) | {share[4]:.0f} |"
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
