"""Direct and indirect effects: hand-worked formulas, simulated truth, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import causalbias as cb
from causalbias import DataError

FEW = {"draws": 250, "chains": 2}
SAMPLE = ["chain", "draw"]


def world(seeds=80, rng=0, **slopes):
    """Tone is moved by race; distance by race, tone, both together, and pose."""
    one = {"a": 2.0, "b": 0.1, "c": 0.3, "ab": 0.0, "error": 0.0, "rho": 0.0} | slopes
    rng = np.random.default_rng(rng)
    rows = pd.MultiIndex.from_product(
        [range(seeds), ["white", "black"], [0, 1]], names=["seed", "race", "pose"]
    ).to_frame(index=False)
    black = (rows["race"] == "black").to_numpy(float)
    first, second = rng.multivariate_normal([0, 0], [[1, one["rho"]], [one["rho"], 1]], len(rows)).T
    of_seed = np.repeat(rng.normal(0, 0.5, seeds), 4)
    tone = 1 + one["a"] * black + 0.5 * rows["pose"] + of_seed + first
    y = one["c"] * black + (one["b"] + one["ab"] * black) * tone + 0.2 * rows["pose"] + 0.3 * second
    y = y + np.repeat(rng.normal(0, 0.2, seeds), 4)
    seen = tone + one["error"] * rng.normal(size=len(rows))
    rows = rows.assign(tone=seen, true_tone=tone, y=y)
    return rows.assign(tone_mean=rows.groupby("seed")["tone"].transform("mean"))


def fits(rows, outcome="y ~ race*tone + pose + (1|seed)", mediator="tone ~ race + pose + (1|seed)"):
    return cb.fit(outcome, rows, **FEW), cb.fit(mediator, rows, **FEW)


def median(found, path, name="effect"):
    return found[name].median(SAMPLE).sel(race="black", path=path).item()


@pytest.fixture(scope="module")
def interacting():
    rows = world(ab=0.05)
    return rows, *fits(rows)


def coefficient(fit, term):
    return float(fit["posterior"][term].median(SAMPLE).squeeze())


def test_linear_paths_are_vanderweeles_formulas(interacting):
    rows, outcome, mediator = interacting
    found = cb.causal.mediation(outcome, mediator, "race", reference="white", at=1.5)
    mean = cb.predictions(mediator, "race")["prediction"].median(SAMPLE)
    slopes = {
        x: (
            cb.predictions(outcome, newdata=cb.datagrid(outcome, race=x, tone=[0, 1]))["prediction"]
            .median(SAMPLE)
            .sel(race=x)
            .squeeze()
        )
        for x in ("white", "black")
    }
    at_zero = {x: one.sel(tone=0).item() for x, one in slopes.items()}
    slope = {x: one.sel(tone=1).item() - at_zero[x] for x, one in slopes.items()}
    low, high = mean.sel(race="white").item(), mean.sel(race="black").item()
    c = at_zero["black"] - at_zero["white"]
    expected = {
        "direct": c + (slope["black"] - slope["white"]) * low,
        "indirect": slope["black"] * (high - low),
        "controlled direct": c + (slope["black"] - slope["white"]) * 1.5,
    }
    for path, value in expected.items():
        sd = found["effect"].std(SAMPLE).sel(race="black", path=path).item()
        assert median(found, path) == pytest.approx(value, abs=0.15 * sd), path
    total = found["effect"].sel(path=["direct", "indirect"]).sum("path")
    np.testing.assert_allclose(found["effect"].sel(path="total"), total)
    assert found["mediator_change"].median(SAMPLE).item() == pytest.approx(high - low, abs=0.02)
    assert found["n"].item() == len(rows)
    assert "measured and not manipulated" in found.attrs["assumes"]
    assert "measured and not manipulated" in repr(found)
    named = cb.causal.mediation(outcome, mediator, "race", reference="white", manipulated=True)
    assert "by design" in named.attrs["assumes"]


# statsmodels 0.15.0, Mediation(OLS, OLS).fit("parametric", n_rep=4000), with interaction n_rep=400,
# after np.random.seed(0), on world() without its seeds: "ACME (treated)", "ADE (control)" and
# "Total effect", and their 95% ends.
STATSMODELS = {
    ("race + tone", 0.0): {
        "indirect": (0.197050, 0.125207, 0.276929),
        "direct": (0.263582, 0.160256, 0.366281),
        "total": (0.460632, 0.377710, 0.544836),
    },
    ("race*tone", 0.05): {
        "indirect": (0.306207, 0.211972, 0.418744),
        "direct": (0.307904, 0.207344, 0.424752),
        "total": (0.614111, 0.522886, 0.697210),
    },
}


@pytest.mark.parametrize(("terms", "interaction"), STATSMODELS)
def test_linear_paths_are_those_of_statsmodels(terms, interaction):
    flat = world(ab=interaction).drop(columns="seed")
    found = cb.causal.mediation(
        cb.fit(f"y ~ {terms} + pose", flat),
        cb.fit("tone ~ race + pose", flat),
        "race",
        reference="white",
    )
    table = found.summary().set_index("path")
    # Ends of 400 draws have errors of 3% of the width, of 4,000 draws of 1%.
    most = 0.12 if interaction else 0.06
    for path, theirs in STATSMODELS[terms, interaction].items():
        ours = table.loc[path, ["estimate", "lower", "upper"]].to_numpy(float)
        assert ours == pytest.approx(theirs, abs=most * (theirs[2] - theirs[1])), path


def test_paths_hold_the_truth_under_interaction(interacting):
    _, outcome, mediator = interacting
    found = cb.causal.mediation(outcome, mediator, "race", reference="white", at=0)
    # Tone is 1.25 at white and 3.25 at black, on average over poses.
    truth = {"direct": 0.3 + 0.05 * 1.25, "indirect": 0.15 * 2, "controlled direct": 0.3}
    for path, value in truth.items():
        sd = found["effect"].std(SAMPLE).sel(race="black", path=path).item()
        assert abs(median(found, path) - value) < 3 * sd, path
    share = found.summary(0.99, of="proportion_mediated")
    assert share["lower"].item() < 0.3 / 0.6625 < share["upper"].item()
    assert found["bounded"].item()


def test_reversing_the_contrast_exchanges_what_is_held(interacting):
    _, outcome, mediator = interacting
    one = cb.causal.mediation(outcome, mediator, "race", reference="white")
    other = cb.causal.mediation(outcome, mediator, "race", reference="black")
    total, turned = (each["effect"].sel(path="total").squeeze() for each in (one, other))
    np.testing.assert_allclose(total, -turned)


def theorem_two(rows, rho):
    """Imai, Keele and Yamamoto (2010), theorem 2, by least squares of both reduced models."""
    x = np.column_stack([np.ones(len(rows)), rows["race"] == "black", rows["pose"]]).astype(float)
    first, second = (
        np.linalg.lstsq(x, rows[name].to_numpy(), rcond=None)[0] for name in ("y", "tone")
    )
    e1, e2 = rows["y"] - x @ first, rows["tone"] - x @ second
    tilde, s1, s2 = np.corrcoef(e1, e2)[0, 1], e1.std(), e2.std()
    ratio = np.sqrt((1 - tilde**2) / (1 - rho**2))
    return second[1] * s1 / s2 * (tilde - rho * ratio)


def test_sensitivity_to_confounding_is_theorem_two():
    rows = world(rho=0.4, b=0.0)
    flat = rows.drop(columns="seed")
    outcome = cb.fit("y ~ race + tone + pose", flat, **FEW)
    mediator = cb.fit("tone ~ race + pose", flat, **FEW)
    asked = [-0.3, 0, 0.3, 0.6]
    found = cb.causal.mediation(outcome, mediator, "race", reference="white", rho=asked)
    indirect = found["effect"].sel(path="indirect", race="black")
    for rho in asked:
        sd = indirect.sel(rho=rho).std().item()
        assert indirect.sel(rho=rho).median().item() == pytest.approx(
            theorem_two(flat, rho), abs=0.2 * sd
        )
    total = found["effect"].sel(path="total", race="black")
    np.testing.assert_allclose(total.sel(rho=0.6), total.sel(rho=0))
    # Tone has no effect, and what else moves it moves the distance: it seems to, until rho.
    assert found.summary().query("rho == 0 and path == 'indirect'")["lower"].item() > 0
    assert 0.1 < found["rho_to_doubt"].item() < 0.4


def test_confounding_that_is_known_gives_back_the_truth():
    rows = world(rho=0.4)
    found = cb.causal.mediation(*fits(rows), "race", reference="white", rho=[0, 0.4])
    row = found.summary().query("path == 'indirect'").set_index("rho")
    # Of the row's parts alone, which is where rho is: seeds' parts are independent.
    assert row.loc[0, "lower"] > 0.2
    assert row.loc[0.4, "lower"] < 0.2 < row.loc[0.4, "upper"]


def test_error_of_the_mediator_is_taken_out():
    rows = world(150, error=1.0)
    formula = "y ~ race*tone + pose + tone_mean + (1|seed)"
    outcome, mediator = fits(rows, formula)
    plain = cb.causal.mediation(outcome, mediator, "race", reference="white", at=2)
    assert plain.summary().query("path == 'indirect'")["upper"].item() < 0.15
    found = cb.causal.mediation(
        outcome, mediator, "race", reference="white", mediator_error=1.0, at=2
    )
    for path, truth in {"indirect": 0.2, "direct": 0.3, "controlled direct": 0.3}.items():
        sd = found["effect"].std(SAMPLE).sel(race="black", path=path).item()
        assert abs(median(found, path) - truth) < 3 * sd, path
    np.testing.assert_allclose(found["effect"].sel(path="total"), plain["effect"].sel(path="total"))
    # Four ratings a face with the same mean and noise of standard deviation 2.
    noise = np.random.default_rng(1).normal(0, 2, (len(rows), 4))
    ratings = pd.DataFrame(rows["tone"].to_numpy()[:, None] + noise - noise.mean(1)[:, None])
    rated = cb.causal.mediation(
        outcome, mediator, "race", reference="white", mediator_error=ratings
    )
    assert median(rated, "indirect") == pytest.approx(median(found, "indirect"), rel=0.1)
    with pytest.raises(DataError, match=r"tone_mean.*groupby"):
        cb.causal.mediation(*fits(rows), "race", mediator_error=1.0)
    with pytest.raises(DataError, match="hardly anything is left"):
        cb.causal.mediation(outcome, mediator, "race", mediator_error=1.6)
    with pytest.raises(DataError, match="together"):
        cb.causal.mediation(outcome, mediator, "race", mediator_error=0.5, rho=0.1)


def test_paths_to_a_probability_are_integrals_over_the_mediator():
    rows = world(40)
    rng = np.random.default_rng(3)
    black = (rows["race"] == "black").to_numpy(float)
    chance = special.expit(-2 + black + 0.8 * rows["tone"])
    rows["match"] = (rng.random(len(rows)) < chance).astype(int)
    outcome = cb.fit("match ~ race*tone + (1|seed)", rows, family="bernoulli", **FEW)
    mediator = cb.fit("tone ~ race + (1|seed)", rows, **FEW)
    found = cb.causal.mediation(outcome, mediator, "race", reference="white")
    assert "rho_to_doubt" not in found
    # One draw of each, so that nothing is lost in a median.
    single = {"chain": [0], "draw": [7]}
    one, two = outcome.isel(single), mediator.isel(single)
    found = cb.causal.mediation(one, two, "race", reference="white")
    grid = cb.datagrid(outcome, race=["white", "black"], tone=[0.0, 1.0])
    line = cb.predictions(one, newdata=grid, scale="link")["prediction"].squeeze()
    mean = cb.predictions(two, "race")["prediction"].squeeze()
    variance = coefficient(two, "sigma") ** 2 + coefficient(two, "1|seed_sigma") ** 2
    of_seed = coefficient(one, "1|seed_sigma") ** 2

    def mean_of(x, other):
        low = line.sel(race=x, tone=0).item()
        slope = line.sel(race=x, tone=1).item() - low
        centre = low + slope * mean.sel(race=other).item()
        where = stats.norm(centre, np.sqrt(slope**2 * variance + of_seed))
        ends = where.interval(1 - 1e-9)
        return integrate.quad(lambda eta: special.expit(eta) * where.pdf(eta), *ends)[0]

    indirect = mean_of("black", "black") - mean_of("black", "white")
    direct = mean_of("black", "white") - mean_of("white", "white")
    assert median(found, "direct") == pytest.approx(direct, abs=1e-4)
    assert median(found, "indirect") == pytest.approx(indirect, abs=1e-4)
    with pytest.raises(DataError, match="not linear"):
        cb.causal.mediation(outcome, mediator, "race", rho=0.2)


def test_a_binary_mediator_has_two_values():
    rows = world(40)
    rows["glasses"] = (rows["tone"] > 2).astype(int)
    rows["y"] = rows["y"] + 0.5 * rows["glasses"] * (rows["race"] == "black")
    outcome = cb.fit("y ~ race*glasses + (1|seed)", rows, **FEW)
    mediator = cb.fit("glasses ~ race + (1|seed)", rows, family="bernoulli", **FEW)
    found = cb.causal.mediation(outcome, mediator, "race", reference="white")
    slope = cb.effects(outcome, "glasses", by="race")["effect"].median(SAMPLE).sel(race="black")
    share = cb.effects(mediator, "race", reference="white")["effect"].median(SAMPLE)
    sd = found["effect"].std(SAMPLE).sel(race="black", path="indirect").item()
    assert median(found, "indirect") == pytest.approx((slope * share).item(), abs=0.15 * sd)


def test_paths_within_groups_are_those_of_their_rows(interacting):
    _, outcome, mediator = interacting
    found = cb.causal.mediation(outcome, mediator, "race", by="pose", reference="white")
    assert found["effect"].dims == ("chain", "draw", "race", "pose", "path")
    assert found["n"].values.tolist() == [160, 160]
    whole = cb.causal.mediation(outcome, mediator, "race", reference="white")
    np.testing.assert_allclose(found["effect"].mean("pose"), whole["effect"])


def test_what_cannot_be_split_is_refused(interacting):
    rows, outcome, mediator = interacting
    with pytest.raises(DataError, match="is not in the outcome's formula"):
        cb.causal.mediation(cb.fit("y ~ race", rows, **FEW), mediator, "race")
    with pytest.raises(DataError, match="depends on pose"):
        cb.causal.mediation(cb.fit("y ~ race*tone", rows, **FEW), mediator, "race")
    with pytest.raises(DataError, match="does not have 'race'"):
        cb.causal.mediation(outcome, cb.fit("tone ~ pose", rows, **FEW), "race")
    logged = rows.assign(tone=rows["tone"] - rows["tone"].min() + 1)
    with pytest.raises(DataError, match="neither"):
        cb.causal.mediation(outcome, cb.fit("log(tone) ~ race", logged, **FEW), "race")
    with pytest.raises(DataError, match="own mean by seed"):
        cb.causal.mediation(
            outcome, cb.fit("tone ~ race + tone_mean + (1|seed)", rows, **FEW), "race"
        )
    with pytest.raises(DataError, match="rho"):
        cb.causal.mediation(outcome, mediator, "race", rho=1)


def test_both_fits_are_of_the_same_mediator(interacting):
    rows, outcome, mediator = interacting
    formula = "tone ~ race + pose + (1|seed)"
    other = rows.assign(tone=rows["tone"].to_numpy()[::-1])
    for table in (rows.assign(tone=10 * rows["tone"]), other, rows[:100].assign(tone=rows["y"])):
        with pytest.raises(DataError, match="fit both to one table"):
            cb.causal.mediation(outcome, cb.fit(formula, table, **FEW), "race")
    # The same rows in another order, and rows without a distance, are no other table.
    turned = cb.fit(formula, rows[::-1].assign(pose=rows["pose"].astype(float)), **FEW)
    cb.causal.mediation(outcome, turned, "race")
    fewer = cb.fit("y ~ race*tone + pose + (1|seed)", rows[8:], **FEW)
    cb.causal.mediation(fewer, mediator, "race")


def test_ratings_are_those_whose_mean_the_mediator_is():
    rows = world(40)
    noise = np.random.default_rng(1).normal(0, 1, (len(rows), 4))
    ratings = pd.DataFrame(rows["tone"].to_numpy()[:, None] + noise).add_prefix("rater ")
    rows["tone"] = ratings.mean(axis=1)
    rows["tone_mean"] = rows.groupby("seed")["tone"].transform("mean")
    both = fits(rows, "y ~ race*tone + pose + tone_mean + (1|seed)")
    cb.causal.mediation(*both, "race", mediator_error=ratings.round(3))
    text = ratings.astype(str)
    text.iloc[3, 1] = "dark"
    for table, problem in (
        (ratings.assign(seed=rows["seed"]), "ids"),
        (ratings.T, "rows of ratings"),
        (ratings[:30], "rows of ratings"),
        (ratings[::-1], "mean of the ratings"),
        (ratings.drop(index=5).reindex(ratings.index), "mean of the ratings"),
        (text, "is not a number"),
    ):
        with pytest.raises(DataError, match=problem):
            cb.causal.mediation(*both, "race", mediator_error=table)


@pytest.fixture(scope="module")
def dark_seeds():
    """Seeds differ in tone, which their mean takes out of answers again."""
    rng = np.random.default_rng(3)
    rows = pd.MultiIndex.from_product(
        [range(100), ["white", "black"]], names=["seed", "race"]
    ).to_frame(index=False)
    black = (rows["race"] == "black").to_numpy(float)
    of_seed = np.repeat(rng.normal(0, 1.5, 100), 2)
    rows["tone"] = black + of_seed + rng.normal(0, 0.5, 200)
    rows["tone_mean"] = rows.groupby("seed")["tone"].transform("mean")
    eta = -1 + 2 * rows["tone"] - 2 * rows["tone_mean"]
    rows["match"] = (rng.random(200) < special.expit(eta)).astype(int)
    without = -1 + 2 * of_seed - 2 * rows["tone_mean"].to_numpy()
    noise = rng.normal(0, 0.5, (400, 200))
    at = [special.expit(without + 2 * (x + noise)) for x in (0, 1)]
    return rows, cb.fit("tone ~ race + (1|seed)", rows, **FEW), at[1].mean() - at[0].mean()


def test_a_mean_of_the_group_goes_with_the_mediator_of_the_same_group(dark_seeds):
    rows, mediator, truth = dark_seeds
    outcome = cb.fit("match ~ race + tone + tone_mean + (1|seed)", rows, family="bernoulli", **FEW)
    found = cb.causal.mediation(outcome, mediator, "race", reference="white")
    total = found["effect"].sel(path="total", race="black")
    assert truth > 0.3  # 0.16 with the mediator of new seeds beside the means of these
    assert abs(total.median().item() - truth) < 2.5 * total.std().item()
    assert total.median().item() > 0.25
    lacks = cb.fit("match ~ race + tone + tone_mean", rows, family="bernoulli", **FEW)
    with pytest.raises(DataError, match=r"add \(1\|seed\)"):
        cb.causal.mediation(lacks, mediator, "race")


def test_a_slope_that_differs_between_groups_goes_with_their_own_mediators(dark_seeds):
    rows, mediator, _ = dark_seeds
    rows = rows.assign(y=0.2 * rows["tone"] * rows["tone_mean"])
    rows["y"] += np.random.default_rng(0).normal(0, 0.05, len(rows))
    outcome = cb.fit("y ~ race + tone*tone_mean + (1|seed)", rows, **FEW)
    found = (
        cb.causal.mediation(outcome, mediator, "race", reference="white", by="race")
        if False
        else cb.causal.mediation(outcome, mediator, "race", reference="white", at=0)
    )
    change = found["mediator_change"].median().item()
    assert median(found, "indirect") == pytest.approx(
        0.2 * rows["tone_mean"].mean() * change, abs=0.02
    )


def test_an_outcome_that_jumps_or_ends_within_the_mediators_range_is_refused(dark_seeds):
    rows, _, _ = dark_seeds
    rows = rows.drop(columns="seed")
    mediator = cb.fit("tone ~ race", rows, **FEW)
    jumps = rows.assign(y=(rows["tone"] > 0.5) + 0.1 * rows["tone_mean"])
    outcome = cb.fit("y ~ race + tone + I(tone > 0.5)", jumps, **FEW)
    with pytest.raises(DataError, match="jumps with 'tone'"):
        cb.causal.mediation(outcome, mediator, "race")
    above = rows.assign(tone=rows["tone"] - rows["tone"].min() + 0.1)
    with pytest.raises(DataError, match="no finite outcome"):
        cb.causal.mediation(
            cb.fit("match ~ race + log(tone)", above, **FEW),
            cb.fit("tone ~ race", above, **FEW),
            "race",
        )
