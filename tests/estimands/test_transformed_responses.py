"""Transformed responses: numbers are of the column itself, as new data drawn by hand have them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models.response import response_of
from causalbias.models.specification import ModelSpec

BACK = {
    "log(distance)": np.exp,
    "np.log(distance)": np.exp,
    "log10(distance)": lambda z: 10.0**z,
    "np.log1p(distance)": np.expm1,
    "np.sqrt(distance)": np.square,
    "I(distance**2)": lambda z: np.sqrt(np.maximum(z, 0)),
    "I(2 * log(distance) + 1)": lambda z: np.exp((z - 1) / 2),
    "I(-distance)": np.negative,
    "I((distance - 1) / 2)": lambda z: 2 * z + 1,
    "distance": np.array,
}
NO_MEAN = {"I(1 / distance)": lambda z: 1 / z, "exp(distance)": np.log}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    seed = np.repeat(np.arange(15), 8)
    race = np.tile(["black", "white"], 60)
    mean = 0.1 - 0.12 * (race == "black") + rng.normal(0, 0.05, 15)[seed]
    distance = np.exp(rng.normal(mean, 0.1))
    return pd.DataFrame({"seed": seed.astype(str), "race": race, "distance": distance})


@pytest.fixture(scope="module")
def fit_of(rows):
    """The model of one transform, fitted once."""
    kept = {}

    def make(left):
        if left not in kept:
            kept[left] = cb.fit(f"{left} ~ race + (1|seed)", rows, draws=50, random_seed=1)
        return kept[left]

    return make


def drawn_by_hand(fit, draw, race, population, many=400_000):
    """Outcomes on the model's scale under one draw of the posterior, for new or typical seeds."""
    one = fit["posterior"].to_dataset().isel(chain=0, draw=draw)
    mean = float(one["Intercept"])
    if race == "white":
        mean += float(one["race"].sel(race_dim="white"))
    variance = float(one["sigma"]) ** 2
    if population == "new":
        variance += float(one["1|seed_sigma"]) ** 2
    return np.random.default_rng(draw).normal(mean, np.sqrt(variance), many)


@pytest.mark.parametrize("population", ["new", "typical"])
@pytest.mark.parametrize("left", BACK)
def test_means_are_those_of_data_drawn_and_transformed_back(fit_of, left, population):
    fit = fit_of(left)
    found = cb.predictions(fit, "race", population=population)
    assert found.attrs["outcome"] == "distance"
    for draw in (0, 20):
        for race in ("black", "white"):
            values = BACK[left](drawn_by_hand(fit, draw, race, population))
            error = values.std() / np.sqrt(len(values))
            ours = float(found["prediction"].sel(race=race).isel(chain=0, draw=draw))
            assert abs(ours - values.mean()) < 5 * error
    effect = cb.effects(fit, "race", population=population)["effect"].sel(race="white")
    mean = found["prediction"]
    np.testing.assert_allclose(effect, mean.sel(race="white") - mean.sel(race="black"))


@pytest.mark.parametrize("left", BACK | NO_MEAN)
def test_thresholds_are_distances(fit_of, left):
    fit = fit_of(left)
    for scale in ("FMR", "FNMR"):
        found = cb.predictions(fit, "race", scale=scale, threshold=0.95)
        assert found.attrs["outcome"] == "distance"
        for race in ("black", "white"):
            distances = (BACK | NO_MEAN)[left](drawn_by_hand(fit, 3, race, "new"))
            share = np.mean(distances <= 0.95 if scale == "FMR" else distances > 0.95)
            ours = float(found["prediction"].sel(race=race).isel(chain=0, draw=3))
            assert abs(ours - share) < 5 * np.sqrt(0.25 / 400_000)


def test_rates_of_all_monotone_transforms_agree_with_the_shares_in_the_data(rows, fit_of):
    truth = rows.groupby("race")["distance"].apply(lambda one: (one <= 1.0).mean())
    for left in BACK | NO_MEAN:
        rates = cb.summarise(cb.predictions(fit_of(left), "race", scale="FMR", threshold=1.0))
        assert (rates.set_index("race")["estimate"] - truth).abs().max() < 0.12, left


def test_of_a_logarithm_the_mean_is_that_of_the_lognormal(fit_of):
    fit = fit_of("log(distance)")
    one = fit["posterior"].to_dataset()
    variance = one["sigma"] ** 2 + one["1|seed_sigma"] ** 2
    expected = np.exp(one["Intercept"] + variance / 2)
    ours = cb.predictions(fit, "race")["prediction"].sel(race="black")
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_the_link_is_the_response_as_it_is_written(fit_of):
    fit = fit_of("log(distance)")
    found = cb.effects(fit, "race", scale="link")
    assert found.attrs["outcome"] == "log(distance)"
    expected = fit["posterior"]["race"].sel(race_dim="white")
    np.testing.assert_allclose(found["effect"].sel(race="white"), expected)
    assert cb.effects(fit, "race", scale="latent").attrs["outcome"] == "log(distance)"


def test_thresholds_beyond_what_a_distance_can_be_are_never_reached(fit_of):
    for left in ("log(distance)", "np.sqrt(distance)", "I(1 / distance)"):
        for threshold, rate in ((-1.0, 0.0), (1e6, 1.0)):
            found = cb.predictions(fit_of(left), (), scale="FMR", threshold=threshold)
            np.testing.assert_allclose(found["prediction"], rate, atol=1e-12)


def test_what_has_no_mean_or_no_way_back_says_so(rows, fit_of):
    for left in NO_MEAN:
        with pytest.raises(DataError, match="distance has no mean where"):
            cb.effects(fit_of(left), "race")
        assert np.isfinite(cb.effects(fit_of(left), "race", scale="link")["effect"]).all()
    bent = cb.fit("I((distance - 1)**2) ~ race", rows, draws=50)
    for options in ({}, {"scale": "FMR", "threshold": 0.6}):
        with pytest.raises(DataError, match="no inverse that is known"):
            cb.predictions(bent, "race", **options)
    both = cb.fit("I(distance - other) ~ race", rows.assign(other=0.5), draws=50)
    assert cb.predictions(both, "race").attrs["outcome"] == "I(distance - other)"
    with pytest.raises(DataError, match="no inverse that is known"):
        cb.predictions(both, "race", scale="FMR", threshold=0.6)


def test_kinds_of_pairs_are_not_pooled_under_a_logarithm(rows):
    kinds = rows.assign(same_identity=np.tile([True, True, False, False], 30))
    fit = cb.fit("log(distance) ~ race", kinds, draws=50)
    with pytest.raises(DataError, match="pool distances of genuine and of impostor"):
        cb.effects(fit, "race")
    both = cb.fit("log(distance) ~ race*same_identity", kinds, draws=50)
    found = cb.discriminability(both, by="race")
    assert "log(distance)" in found.attrs["estimand"]
    turned = cb.fit("I(-1 * log(distance)) ~ race*same_identity", kinds, draws=50)
    np.testing.assert_allclose(
        found["auc"].mean(), cb.discriminability(turned, by="race")["auc"].mean(), atol=0.03
    )


def test_a_falling_transform_compares_with_the_sign_of_its_column(rows, fit_of):
    direct, falling = fit_of("log(distance)"), fit_of("I(-distance)")
    found = cb.compare(direct, falling, "race")
    for side in "ab":
        assert float(found[f"effect_{side}"].mean(("chain", "draw")).min()) > 0
    assert found.attrs["a"] == "log(distance)"


def test_new_data_are_distances_and_densities_too(rows, fit_of):
    for left in ("log(distance)", "np.sqrt(distance)", "I(-distance)", "I(1 / distance)"):
        fit = fit_of(left)
        new = cb.model_checks.with_predictive(fit)["posterior_predictive"]["distance"]
        assert abs(float(new.mean()) - rows["distance"].mean()) < 0.05, left
        prior = {"race": "Normal(0, 1)", "Intercept": "Normal(0, 1)"}
        drawn = cb.prior_predictive(f"{left} ~ race", rows, draws=20, priors=prior)
        assert drawn["prior_predictive"]["distance"].shape == (1, 20, 120)
        ours = cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["distance"].isel(
            chain=0, draw=0
        )
        one = fit["posterior"].to_dataset().isel(chain=0, draw=0)
        eta = float(one["Intercept"] + one["1|seed"].sel(seed__factor_dim="0"))
        density = _density(left, eta, float(one["sigma"]))
        row = int(np.flatnonzero((rows["seed"] == "0") & (rows["race"] == "black"))[0])
        assert float(ours[row]) == pytest.approx(np.log(density(rows["distance"][row])), rel=1e-6)
        total = integrate.quad(density, 0.2, 3.0, limit=200)[0]
        assert total == pytest.approx(1, abs=1e-3), left


def _density(left, eta, sigma):
    """Density of a distance by differences of its distribution function."""
    forward = {
        "log(distance)": np.log,
        "np.sqrt(distance)": np.sqrt,
        "I(-distance)": np.negative,
        "I(1 / distance)": lambda y: 1 / y,
    }[left]

    def density(y, step=1e-6):
        ends = stats.norm.cdf([forward(y - step), forward(y + step)], eta, sigma)
        return abs(ends[1] - ends[0]) / (2 * step)

    return density


def test_single_seeds_are_weighed_on_the_models_own_scale(rows, fit_of):
    fit = fit_of("log(distance)")
    again = cb.fit(
        "z ~ race + (1|seed)", rows.assign(z=np.log(rows["distance"])), draws=50, random_seed=1
    )
    options = {"refit": "never"}
    one, other = (
        cb.influence(each, lambda fit: cb.effects(fit, "race", scale="link"), **options)
        for each in (fit, again)
    )
    np.testing.assert_allclose(one["estimate"], other["estimate"], rtol=1e-6)


def test_power_simulates_the_column_and_not_its_logarithm(fit_of):
    table = cb.design.power(fit_of("log(distance)"), "race", sizes=[15], simulations=4, draws=250)
    assert table["converged"].iloc[0] >= 0.5, "the logarithm of a logarithm would fit nowhere"
    assert table["coverage"].iloc[0] >= 0.5
    assert table["width"].iloc[0] < 0.2


# The maps themselves ------------------------------------------------------------------------------

INNER = ["y", "log(y)", "np.sqrt(y)", "I(y**3)", "I(y**0.5)", "scale(y)", "I(1/y)", "np.log1p(y)"]
OUTER = ["I({} * 2)", "I(3 - {})", "I(({} + 1) / -4)", "I({} + 2 * 3)", "center({})", "exp({})"]


@settings(max_examples=60, deadline=None)
@given(
    inner=st.sampled_from(INNER),
    outer=st.lists(st.sampled_from(OUTER), max_size=2).filter(
        lambda them: len(set(them)) == len(them)
    ),
    values=st.lists(st.floats(0.1, 3), min_size=3, max_size=8, unique=True),
)
@example(inner="I(1/y)", outer=["I(3 - {})", "I({} * 2)"], values=[1.0, 2.0, 1.5])
def test_every_map_goes_there_and_back(inner, outer, values):
    left = inner
    for one in outer:
        left = one.format(left)
    frame = pd.DataFrame({"y": values, "x": 1.0})
    found = response_of(ModelSpec(f"{left} ~ x"), frame).back()
    y = np.sort(np.array(values))
    z = found.forward(y)
    np.testing.assert_allclose(found.outcomes(z), y, rtol=1e-6)
    assert (np.diff(z) >= 0).all() == found.increasing or (np.diff(z) == 0).any()
    step = 1e-5 * y
    by_hand = (found.forward(y + step) - found.forward(y - step)) / (2 * step)
    np.testing.assert_allclose(found.slope(y), by_hand, rtol=1e-4, atol=1e-9)
    assert [found.cut(one) for one in y] == pytest.approx(z.tolist())
