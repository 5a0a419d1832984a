"""Error rates by group: counts against brute force, intervals against independent formulas."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.rates.intervals import draw_shares, pigeonhole, shares_of


def pairs_of(errors, *, genuine, seeds=10):
    """Pairs of all seeds; `errors` of the seeds (arrays) gives True for wrong ones."""
    every = range(seeds)
    both = (
        [(a, a) for a in every for _ in range(3)]
        if genuine
        else [(a, b) for a in every for b in every if a < b]
    )
    frame = pd.DataFrame(both, columns=["seed_a", "seed_b"])
    wrong = errors(*frame.to_numpy().T)
    return frame.assign(
        system="net",
        race="white",
        gender="male",
        threshold=0.6,
        same_identity=genuine,
        distance=np.where(wrong == genuine, 0.9, 0.3),
    )


def random_faces(n, rng, *, spread=0.3):
    """All pairs of n faces of three races and two genders, distances with effects of seeds."""
    random = np.random.default_rng(rng)
    first, second = np.triu_indices(n, 1)
    race, gender = random.choice(["x", "y", "z"], n), random.choice(["f", "m"], n)
    own = random.normal(0, spread, n)
    distance = 3 + own[first] + own[second] + random.normal(0, 0.5, len(first))
    return pd.DataFrame(
        {
            "seed_a": first,
            "seed_b": second,
            "same_identity": False,
            "distance": np.abs(distance),
            "race_a": race[first],
            "race_b": race[second],
            "gender_a": gender[first],
            "gender_b": gender[second],
        }
    )


def both_kinds(n, rng):
    """Impostor and genuine pairs of n seeds in two groups of race."""
    random = np.random.default_rng(rng)
    impostor = random_faces(n, rng)
    race = np.where(np.arange(n) % 2, "x", "y")
    impostor = impostor.assign(
        race_a=race[impostor["seed_a"]], race_b=race[impostor["seed_b"]]
    ).drop(columns=["gender_a", "gender_b"])
    seed = np.repeat(np.arange(n), 3)
    genuine = pd.DataFrame({"seed_a": seed, "seed_b": seed, "same_identity": True})
    genuine = genuine.assign(
        distance=np.abs(1.6 + random.normal(0, 0.4, n)[seed] + random.normal(0, 0.4, len(seed))),
        race_a=race[seed],
        race_b=race[seed],
    )
    return pd.concat([impostor, genuine], ignore_index=True)


def one_table(frame, by=("race",), **options):
    return cb.summarise(cb.error_rates(frame, list(by), **options), prob=0.9)


# Rates as counts


def test_no_error_has_no_estimate_but_the_exact_upper_end():
    frame = pd.concat(
        [
            pairs_of(lambda a, b: a < b, genuine=True),
            pairs_of(lambda a, b: a == b, genuine=False),
        ]
    )
    table = cb.summarise(cb.error_rates(frame, ["race", "gender"])).set_index("rate_of")
    assert table["errors"].tolist() == [0, 0]
    assert table["lower"].tolist() == [0, 0]
    assert table["estimate"].isna().all()
    assert table.loc["FNMR", ["n", "disjoint"]].tolist() == [30, 10]
    assert table.loc["FMR", ["n", "disjoint"]].tolist() == [45, 5]
    # Clopper and Pearson's: distances that are all alike show no dependence. To the draws' rank.
    exact = [1 - 0.025 ** (1 / n) for n in table["n"]]
    np.testing.assert_allclose(table["upper"], exact, rtol=0.01)


def test_rates_are_counts_and_errors_of_one_seed_widen_the_interval():
    of_one_seed = pairs_of(lambda a, b: np.minimum(a, b) < 2, genuine=False, seeds=40)
    spread = pairs_of(lambda a, b: (a + b) % 10 == 3, genuine=False, seeds=40)
    one, other = (one_table(rows).iloc[0] for rows in (of_one_seed, spread))
    assert (one["errors"], one["n"]) == (77, 780)
    assert one["upper"] - one["lower"] > 2 * (other["upper"] - other["lower"])
    assert one["deft"] > 2
    # Under Jeffreys' prior the posterior's median is the share to within one comparison.
    assert other["estimate"] == pytest.approx(other["errors"] / other["n"], abs=1 / other["n"])


def test_genuine_intervals_are_those_of_seeds():
    """Of n seeds, each all right or all wrong, the rate is a binomial share of seeds."""
    rows = pairs_of(lambda a, b: a + b < 240, genuine=True, seeds=400)
    found = one_table(rows).iloc[0]
    half = 1.645 * np.sqrt(0.3 * 0.7 / 400)
    assert found["n_effective"] == pytest.approx(400, rel=0.01)
    # 1000 draws: the ends have a Monte Carlo error of 0.0016.
    assert (found["lower"], found["upper"]) == pytest.approx((0.3 - half, 0.3 + half), abs=0.006)
    assert found["estimate"] == pytest.approx(0.3, abs=0.004)


def test_cohorts_are_as_counted_by_hand():
    frame = random_faces(60, rng=1)
    races = frame["race_a"], frame["race_b"]
    genders = frame["gender_a"] == frame["gender_b"]
    match = frame["distance"] < 2.6
    for race in "xyz":
        one, two = (side == race for side in races)
        wanted = {
            ("same", ()): one & two,
            ("cross", ()): one ^ two,
            ("all", ()): one | two,
            ("cross", ("gender",)): (one ^ two) & genders,
        }
        for (cohort, also), rows in wanted.items():
            rates = cb.error_rates(frame, "race", threshold=2.6, cohort=cohort, match=also)
            own = rates.sel(race=race, rate_of="FMR", system="system")
            assert (int(own["errors"]), int(own["n"])) == (int((match & rows).sum()), rows.sum())


def test_each_two_groups_are_as_counted_by_hand():
    frame = random_faces(60, rng=2)
    rates = cb.rates.group_pair_rates(frame, ["race", "gender"], threshold=2.6).sel(system="system")
    names = [frame[f"race_{side}"] + " " + frame[f"gender_{side}"] for side in "ab"]
    for one, other in combinations(rates["group"].values, 2):
        rows = ((names[0] == one) & (names[1] == other)) | ((names[0] == other) & (names[1] == one))
        own = rates.sel(group=one, other=other)
        assert int(own["n"]) == rows.sum()
        assert int(own["errors"]) == (frame["distance"][rows] <= 2.6).sum()
    assert rates["rate"].equals(
        rates["rate"].rename(group="other", other="group").transpose(*rates["rate"].dims)
    )


def test_pairs_left_out_are_counted():
    frame = both_kinds(20, rng=1)
    frame.loc[len(frame) - 1, "race_b"] = "other"
    rows = [f"face {row}" for row in range(len(frame))]
    frame = frame.assign(stimulus_a=rows, stimulus_b=[f"{row}'" for row in rows])
    rates = cb.error_rates(frame, "race", threshold=2.4)
    outside = (frame["race_a"] != frame["race_b"]) & ~frame["same_identity"]
    assert f'"impostor pairs outside the cohort": {int(outside.sum())}' in rates.left_out
    assert '"genuine pairs of two groups": 1' in rates.left_out


def test_failures_to_enrol_count_where_asked():
    """Two of ten genuine pairs failed and one does not match: FNMR 1/8, GFNMR 3/10."""
    frame = pairs_of(lambda a, b: a + b < 0, genuine=True).drop_duplicates("seed_a")
    frame = frame.assign(status="ok").reset_index(drop=True)
    frame.loc[0, "distance"] = 0.9
    frame.loc[[1, 2], ["status", "distance"]] = "no face", np.nan
    plain = cb.error_rates(frame, "race").squeeze()
    counted = cb.error_rates(frame, "race", generalised=True).squeeze()
    assert (float(plain["errors"]), float(plain["n"]), int(plain["failed"])) == (1, 8, 2)
    assert (float(counted["errors"]), float(counted["n"]), int(counted["failed"])) == (3, 10, 2)
    assert str(counted["rate_of"].values) == "GFNMR"


def test_nothing_is_reported_below_the_rule_of_three():
    """Errors in disjoint pairs are worth what they number: two do not support a rate, three do."""
    for errors, supported in ((2, False), (3, True)):
        frame = pairs_of(lambda a, b: a + b < 0, genuine=False, seeds=200)
        disjoint = (frame["seed_a"] % 2 == 0) & (frame["seed_b"] == frame["seed_a"] + 1)
        frame.loc[frame.index[disjoint][:errors], "distance"] = 0.3
        found = one_table(frame).iloc[0]
        assert bool(found["supported"]) is supported
        assert np.isnan(found["estimate"]) != supported
        assert found["smallest_rate"] == pytest.approx(3 / found["n"])
        # The exact (Clopper and Pearson) upper end of 2 and of 3 independent errors.
        assert found["upper"] * found["n"] == pytest.approx({2: 6.3, 3: 7.75}[errors], rel=0.02)


# Uncertain ground truth


def test_certain_probabilities_are_the_labels():
    frame = both_kinds(30, rng=3)
    frame["pair"] = [f"p{at}" for at in range(len(frame))]
    known = pd.Series(frame["same_identity"].astype(float).to_numpy(), index=frame["pair"])
    one = cb.error_rates(frame, "race", threshold=2.4)
    other = cb.error_rates(
        frame.drop(columns="same_identity"), "race", threshold=2.4, genuine=known
    )
    assert one.equals(other)


def doubtful(rng, n=3000):
    """Pairs whose kind is known by a calibrated probability, with FMR 0.1 and FNMR 0.2."""
    random = np.random.default_rng(rng)
    doubt = random.choice([0.02, 0.3, 0.8, 0.98], n)
    match = random.random(n) < np.where(random.random(n) < doubt, 0.8, 0.1)
    frame = pd.DataFrame(
        {
            "pair": np.arange(n),
            "seed_a": 2 * np.arange(n),
            "seed_b": 2 * np.arange(n) + 1,
            "distance": np.where(match, 0.1, 0.9) + 0.05 * random.random(n),
            "race": "x",
        }
    )
    return frame, pd.DataFrame({"label": doubt >= 0.5, "probability": np.maximum(doubt, 1 - doubt)})


def test_doubtful_pairs_give_the_rates_of_what_the_pairs_are():
    """Not those of what they are taken for: these hold every doubtful pair's mistake."""
    inside, hard = [], []
    for rng in range(15):
        frame, labels = doubtful(rng)
        table = one_table(frame, threshold=0.5, genuine=labels).set_index("rate_of")
        inside += [
            table.loc[kind, "lower"] < truth < table.loc[kind, "upper"]
            for kind, truth in (("FMR", 0.1), ("FNMR", 0.2))
        ]
        seed_b = frame["seed_a"].where(labels["label"], frame["seed_b"])
        taken = frame.assign(same_identity=labels["label"], seed_b=seed_b)
        hard.append(one_table(taken, threshold=0.5).set_index("rate_of").loc["FMR", "lower"])
    # Of 30 intervals of 90%; fewer than 21 would have probability 0.001 (binomial).
    assert sum(inside) >= 21
    assert min(hard) > 0.1


def test_thresholds_and_curves_allow_for_doubt():
    frame, labels = doubtful(1)
    at = cb.threshold_at(frame, 0.1, genuine=labels)
    # Below the gap between the two clusters of distances 10% match, at 0.9 many more.
    assert 0.1 < at["point"].item() <= 0.91
    options = {"by": "race", "genuine": labels}
    own = cb.error_rates(frame, threshold=at, **options)
    false = own.sel(rate_of="FMR").squeeze()
    # The largest threshold with at most that rate: one pair further it would be above.
    assert 0.09 < float(false["errors"] / false["n"]) <= 0.1 + 1e-9
    equal = cb.equal_error_rate(frame, draws=100, **options)
    # Both are equal a share x into the far cluster: 0.1 + 0.9 x = 0.2 - 0.2 x = 0.182.
    assert equal["point"].item() == pytest.approx(0.182, abs=0.03)
    assert cb.det(frame, fmr=[0.2], draws=100, **options)["fnmr"].median() < 0.25


# Uncertainty


def brute_variance(first, second, match, weight):
    """Sum of the products of residuals of all pairs of pairs that share a seed."""
    share = (match * weight).sum() / weight.sum()
    residual = (match - share) * weight
    touch = (
        (first[:, None] == first)
        | (first[:, None] == second)
        | (second[:, None] == first)
        | (second[:, None] == second)
    )
    return (np.outer(residual, residual) * touch).sum() / weight.sum() ** 2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_effective_numbers_are_those_of_the_sum_over_pairs_of_pairs(rng, genuine):
    random = np.random.default_rng(rng)
    n_seeds, n = 12, 60
    first = random.integers(0, n_seeds, n)
    second = first if genuine else (first + random.integers(1, n_seeds, n)) % n_seeds
    match = random.random(n) < 0.3 + 0.4 * (first < 4)
    found = shares_of(first, second, np.where(match, 0, 1), np.ones(n), 1)
    size = len(np.union1d(first, second))
    factor = size / (size - 1) if genuine else size * (size - 1) / (size - 2) ** 2
    variance = factor * brute_variance(first, second, match, np.ones(n))
    share = match.mean()
    assert found.share[0] == pytest.approx(share)
    # Of what goes beyond independent pairs, as much as there are errors to tell it by.
    rare = min(share, 1 - share) * n
    excess = max(n * variance / (share * (1 - share)) - 1, 0) if rare else 0
    effect = 1 + rare**2 / (rare**2 + 15**2) * excess
    assert found.n_effective[0] == pytest.approx(np.clip(n / effect, 1, n))


def test_where_seeds_matter_the_bootstrap_agrees_and_where_they_do_not_it_is_too_wide():
    n = 150
    first, second = np.triu_indices(n, 1)
    random = np.random.default_rng(5)
    own = random.normal(size=n)
    noise = random.normal(size=len(first))
    for spread, ratio in ((1.0, 1.0), (0.0, np.sqrt(3))):
        match = spread * (own[first] + own[second]) + noise < -0.8
        shares = shares_of(first, second, (~match).astype(int), np.ones(len(first)), 1)
        weights = random.exponential(size=(2000, n))
        draws = draw_shares(shares, weights)
        boot = pigeonhole(first, second, match, draws=600)
        # Both standard deviations have a sampling error near 6%, and the variance's own.
        assert boot.std() / draws.std() == pytest.approx(ratio, rel=0.25)


def test_rates_of_groups_of_the_same_seeds_rise_and_fall_together():
    """Each seed is rendered in both groups and easy or hard in both: the ratio is surer for it."""
    random = np.random.default_rng(6)
    seeds = 60
    hard = random.normal(0, 1, seeds)
    parts = []
    for race in ("x", "y"):
        seed = np.repeat(np.arange(seeds), 8)
        distance = np.abs(3 + hard[seed] + random.normal(0, 0.3, len(seed)))
        parts.append(
            pd.DataFrame(
                {
                    "seed_a": seed,
                    "seed_b": seed,
                    "race": race,
                    "distance": distance,
                    "same_identity": True,
                }
            )
        )
    together = cb.error_rates(pd.concat(parts), "race", threshold=3.0)
    parts[1] = parts[1].assign(seed_a=parts[1]["seed_a"] + 100, seed_b=parts[1]["seed_b"] + 100)
    apart = cb.error_rates(pd.concat(parts), "race", threshold=3.0)
    difference = [
        (one["rate"].sel(race="x") - one["rate"].sel(race="y")).std("draw").item()
        for one in (together, apart)
    ]
    assert difference[0] < 0.5 * difference[1]


def test_the_same_seed_gives_the_same_draws():
    frame = both_kinds(20, rng=7)
    one, two, other = (
        cb.error_rates(frame, "race", threshold=2.4, random_seed=seed) for seed in (1, 1, 2)
    )
    assert one.identical(two)
    assert not one["rate"].equals(other["rate"])


# Bad input


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({"distance": -1.0}, {}, "is no distance"),
        ({"distance": np.nan}, {}, "is no distance"),
        ({"seed_a": None}, {}, "missing"),
        ({"race_a": None}, {}, "missing"),
        ({"same_identity": True}, {}, "one person"),
        ({}, {"threshold": None}, "no threshold"),
        ({}, {"fmr": 0.1}, "both a threshold"),
        ({}, {"cohort": "others"}, "not a cohort"),
        ({}, {"threshold": "high"}, "give a number"),
        ({}, {"draws": 0}, "0 draws"),
        ({"same_identity": "maybe"}, {}, "neither true nor false"),
        ({"race_a": 1}, {}, "no comparison is left"),
        ({}, {"by": ["colour"]}, "not there"),
        ({}, {"threshold": {"other": 0.5}}, "no threshold"),
        ({}, {"genuine": pd.Series([2.0] * 66, index=range(66))}, "is no probability"),
        ({}, {"genuine": pd.Series([0.5] * 66, index=[0] * 66)}, "occurs twice"),
    ],
)
def test_bad_input_ends_in_one_error(change, options, told):
    frame = random_faces(12, rng=1).assign(pair=range(66)).astype({"seed_a": object})
    frame = frame.assign(**change)
    with pytest.raises(DataError, match=told):
        cb.error_rates(frame, **({"by": ["race"], "threshold": 2.6} | options))


def test_no_pair_in_the_cohort_is_an_error():
    frame = random_faces(12, rng=1)
    frame = frame[(frame["race_a"] != frame["race_b"])]
    with pytest.raises(DataError, match="no comparison is left"):
        cb.error_rates(frame, "race", threshold=2.6)


# Known truth


def test_rates_of_a_simulated_study_hold_the_truth():
    """True match rates in the population of seeds, averaged over the levels as the pairs are."""
    study = cb.simulate(
        60, random_seed=2, people=None, levels={"pose": [-4.5, -3, 0, 3, 4.5]}, impostors=40
    )
    table = cb.summarise(cb.error_rates(study, ["race", "gender"]), prob=0.9)
    truth = study["truth"].to_dataset()["match_rate"].sel(population="new seeds")
    inside = 0
    for row in table.itertuples():
        genuine = row.rate_of == "FNMR"
        rate = truth.sel(system=row.system, race=row.race, gender=row.gender, same_identity=genuine)
        if genuine:
            own = 1 - float(rate.sel(manipulation=rate["level"] != 0).mean())
        else:
            own = float(rate.mean())
        inside += row.lower <= own <= row.upper
    assert len(table) == 36
    # Of 36 intervals of 90%, which share seeds; fewer than 27 would have probability 0.003
    # (binomial) were they independent.
    assert inside >= 27


@pytest.mark.parametrize(("persons", "few"), [(30, False), (15, True), (3, True)])
@pytest.mark.parametrize("kind", ["FNMR", "FMR"])
def test_errors_of_one_each_are_not_those_of_few_identities(persons, few, kind):
    """Thirty errors of 1,000 persons: all are of 5% of them, whether of thirty or of three."""
    seed = np.repeat(np.arange(1000), 10)
    error = (seed < persons) & (np.tile(np.arange(10), 1000) < 30 // persons)
    genuine = kind == "FNMR"
    frame = pd.DataFrame(
        {
            "seed_a": seed,
            "seed_b": seed if genuine else 1000 + np.arange(len(seed)),  # each met once
            "distance": np.where(error == genuine, 0.9, 0.1),
            "same_identity": genuine,
            "group": "all",
        }
    )
    if not genuine:  # the ten errors of one are with ten others, one each
        frame = frame[frame["seed_a"] < 100]
    rates = cb.error_rates(frame, "group", threshold=0.5).sel(rate_of=kind)
    assert rates["errors"].item() == 30
    assert rates["few_identities"].item() is few
