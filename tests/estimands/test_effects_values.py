"""Predictions and effects against bambi's own, against hand arithmetic, and their invariances."""

import bambi as bmb
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.models.bambi_models import bambi_model
from causalbias.models.result import frame_of, spec_of


def bambi_means(fit, frame):
    """Expected outcome of every row by bambi's predict: (chain, draw, row)."""
    model: bmb.Model = bambi_model(spec_of(fit), frame_of(fit))
    model.build()
    tree = xr.DataTree.from_dict({"posterior": fit["posterior"].to_dataset()})
    after = model.predict(tree, kind="response_params", data=frame, inplace=False)["posterior"]
    if model.family.name == "cumulative":
        chances = after["p"] if "p" in after else after["mu"]
        levels = np.array([float(level) for level in model.response_term.levels])
        return chances.values @ levels
    parent = model.family.likelihood.parent
    return after[parent].values


def assert_as_bambi(fit, variable, by):
    frame = frame_of(fit)
    cell = frame[by].to_numpy()
    counts = frame["trials"].to_numpy() if "trials" in frame else np.ones(len(frame))

    def mean_of(values, chosen=slice(None)):
        return np.average(values[:, :, chosen], axis=2, weights=counts[chosen])

    ours = cb.predictions(fit, by, population="these")["prediction"]
    theirs = bambi_means(fit, frame)
    for label in np.unique(cell):
        expected = mean_of(theirs, cell == label)
        np.testing.assert_allclose(ours.sel({by: label}), expected, rtol=1e-6, atol=1e-8)
    levels = np.unique(frame[variable])
    mean = {level: bambi_means(fit, frame.assign(**{variable: level})) for level in levels}
    effect = cb.effects(fit, variable, population="these")["effect"]
    within = None
    if by != variable:
        within = cb.effects(fit, variable, by=by, population="these")["effect"]
    for level in levels[1:]:
        difference = mean[level] - mean[levels[0]]
        ours = effect.sel({variable: level})
        np.testing.assert_allclose(ours, mean_of(difference), rtol=1e-6, atol=1e-8)
        for label in np.unique(cell) if within is not None else ():
            np.testing.assert_allclose(
                within.sel({variable: level, by: label}),
                mean_of(difference, cell == label),
                rtol=1e-6,
                atol=1e-8,
            )


def test_gaussian_with_slopes_as_bambi(slopes_fit):
    assert_as_bambi(slopes_fit, "kind", "kind")
    assert_as_bambi(slopes_fit, "kind", "g")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bernoulli", "cumulative", "beta", "binomial"])
def test_families_as_bambi(family, family_fit):
    by = "g" if family in ("bernoulli", "cumulative") else "kind"
    assert_as_bambi(family_fit(family), "kind", by)


@pytest.mark.slow
def test_probabilities_and_categories_keep_their_range(family_fit):
    chance = cb.predictions(family_fit("bernoulli"), "kind")["prediction"]
    assert float(chance.min()) > 0
    assert float(chance.max()) < 1
    mark = cb.predictions(family_fit("cumulative"), "kind")["prediction"]
    assert float(mark.min()) > 0
    assert float(mark.max()) < 3


@pytest.mark.slow
def test_link_scale_is_the_coefficient(family_fit):
    fit = family_fit("bernoulli")
    effect = cb.effects(fit, "kind", scale="link")["effect"].sel(kind="b")
    np.testing.assert_allclose(
        effect, fit["posterior"]["kind"].sel(kind_dim="b"), rtol=1e-9, atol=1e-12
    )
    assert not np.allclose(effect, cb.effects(fit, "kind")["effect"].sel(kind="b"))


@pytest.mark.slow
def test_typical_group_of_a_probability(family_fit, family_frame):
    fit = family_fit("bernoulli")
    draws = fit["posterior"].to_dataset()
    linear = (
        draws["Intercept"].values[..., None]
        + draws["x"].values[..., None] * family_frame["x"].to_numpy()
        + draws["kind"].values * (family_frame["kind"] == "b").to_numpy(float)
    )
    chance = 1 / (1 + np.exp(-linear))
    ours = cb.predictions(fit, "kind", population="typical")["prediction"]
    for kind in "ab":
        rows = (family_frame["kind"] == kind).to_numpy()
        np.testing.assert_allclose(ours.sel(kind=kind), chance[:, :, rows].mean(axis=2))


# Hand arithmetic ------------------------------------------------------------------------------

FLAT = dict.fromkeys(("Intercept", "C(a)", "C(b)", "C(a):C(b)"), "Flat()")


@pytest.fixture(scope="module")
def crossed():
    random = np.random.default_rng(4)
    a, b = random.integers(0, 3, 240), random.choice(["u", "v"], 240, p=[0.8, 0.2])
    y = 10 + 2.0 * a + (b == "v") * (3 - a) + random.normal(0, 1.0, 240)
    return pd.DataFrame({"y": y, "a": a, "b": b})


@pytest.fixture(scope="module")
def saturated(crossed):
    return cb.fit("y ~ C(a)*C(b)", crossed, priors=FLAT, random_seed=6)


def close(draws, expected):
    """Whether the mean of independent draws is the expected, to five Monte Carlo errors."""
    sd = float(draws.std())
    return abs(float(draws.mean()) - expected) < 5 * sd / np.sqrt(draws.size)


def test_saturated_model_gives_cell_means(saturated, crossed):
    means = crossed.groupby(["a", "b"])["y"].mean()
    ours = cb.predictions(saturated, ["a", "b"])
    for (a, b), expected in means.items():
        assert close(ours["prediction"].sel(a=a, b=b), expected), (a, b)
        assert int(ours["n"].sel(a=a, b=b)) == ((crossed["a"] == a) & (crossed["b"] == b)).sum()


def test_effects_are_differences_of_cell_means_weighted_by_rows(saturated, crossed):
    means = crossed.groupby(["a", "b"])["y"].mean()
    share = crossed["b"].value_counts(normalize=True)
    overall = cb.effects(saturated, "a")["effect"]
    within = cb.effects(saturated, "a", by="b")["effect"]
    for level in (1, 2):
        per = {b: means[level, b] - means[0, b] for b in "uv"}
        assert close(overall.sel(a=level), sum(share[b] * per[b] for b in "uv"))
        for b in "uv":
            assert close(within.sel(a=level, b=b), per[b])


def test_overall_effect_is_the_weighted_mean_of_those_within(saturated):
    overall = cb.effects(saturated, "a")["effect"]
    within = cb.effects(saturated, "a", by="b")
    weighted = within["effect"].weighted(within["n"].astype(float)).mean("b")
    np.testing.assert_allclose(weighted.transpose(*overall.dims), overall, rtol=1e-9, atol=1e-12)


def test_contrasts_add_up(saturated):
    low = cb.effects(saturated, "a", by="b")["effect"]
    middle = cb.effects(saturated, "a", by="b", reference=1)["effect"]
    np.testing.assert_allclose(low.sel(a=2), low.sel(a=1) + middle.sel(a=2), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(low.sel(a=1), -middle.sel(a=0), rtol=1e-9, atol=1e-12)
    table = cb.summarise(cb.effects(saturated, "a", reference=1))
    assert table[["a", "reference"]].values.tolist() == [[0, 1], [2, 1]]


def test_relabelled_levels_have_the_same_effects(crossed, saturated):
    in_order = crossed.assign(a=crossed["a"].map({0: "k", 1: "l", 2: "m"}))
    one = cb.effects(cb.fit("y ~ C(a)*C(b)", in_order, priors=FLAT, random_seed=6), "a")["effect"]
    expected = cb.effects(saturated, "a")["effect"]
    np.testing.assert_allclose(one.values, expected.values, rtol=1e-6, atol=1e-9)
    turned = crossed.assign(a=2 - crossed["a"])
    fit = cb.fit("y ~ C(a)*C(b)", turned, priors=FLAT, random_seed=6)
    other = cb.effects(fit, "a", reference=2)["effect"]
    for level in (1, 2):
        draws = expected.sel(a=level)
        difference = float(other.sel(a=2 - level).mean() - draws.mean())
        assert abs(difference) < 6 * float(draws.std()) / np.sqrt(draws.size)


def test_scaled_response_has_scaled_effects(slopes_frame, slopes_fit):
    scaled = cb.fit(
        "y ~ x*kind + (x|g)", slopes_frame.assign(y=100 * slopes_frame["y"]), random_seed=2
    )
    one = cb.summarise(cb.effects(slopes_fit, "kind"))
    other = cb.summarise(cb.effects(scaled, "kind"))
    for column in ("estimate", "sd", "lower", "upper"):
        difference = np.abs(other[column] / 100 - one[column])
        assert (difference < 0.1 * one["sd"]).all(), column


def test_typical_leaves_the_groups_own_effects_out(slopes_frame, slopes_fit):
    these = cb.predictions(slopes_fit, "kind", population="these")["prediction"]
    typical = cb.predictions(slopes_fit, "kind", population="typical")["prediction"]
    posterior = slopes_fit["posterior"].to_dataset()
    for kind in "abc":
        rows = slopes_frame[slopes_frame["kind"] == kind]
        own = posterior["1|g"].sel(g__factor_dim=rows["g"].to_numpy())
        slope = posterior["x|g"].sel(g__factor_dim=rows["g"].to_numpy())
        added = (own.values + slope.values * rows["x"].to_numpy()).mean(axis=2)
        np.testing.assert_allclose(
            these.sel(kind=kind) - typical.sel(kind=kind), added, rtol=1e-6, atol=1e-9
        )


def test_cells_without_rows(crossed):
    frame = crossed[~((crossed["a"] == 2) & (crossed["b"] == "v"))]
    fit = cb.fit("y ~ C(a) + C(b)", frame, draws=100)
    cells = cb.predictions(fit, ["a", "b"])
    assert int(cells["n"].sel(a=2, b="v")) == 0
    assert cells["n"].dtype.kind == "i"
    assert cells["prediction"].sel(a=2, b="v").isnull().all()
    assert int(cells["prediction"].isnull().sum()) == 400
    assert len(cb.summarise(cells)) == 5
    effect = cb.effects(fit, "a", by="b")
    assert effect["effect"].notnull().all(), "rows of b = v are there to be set to a = 2"
    both = cb.fit("y ~ C(a) + C(b) + C(c)", frame.assign(c=np.arange(len(frame)) % 2), draws=100)
    grid = cb.effects(both, "c", by=["a", "b"])
    assert grid["effect"].dims == ("chain", "draw", "c", "a", "b")
    assert grid["effect"].sel(a=2, b="v").isnull().all()
    assert int(grid["n"].sum()) == len(frame)
    assert len(cb.summarise(grid)) == 5


def test_table_says_on_what_it_rests(saturated):
    effect = cb.effects(saturated, "a")
    assert effect.attrs["outcome"] == "y"
    assert effect.attrs["population"] == "new"
    assert "against 0" in effect.attrs["estimand"]
    table = cb.summarise(effect)
    draws = effect["effect"].sel(a=1).values.ravel()
    first = table.iloc[0]
    assert first["estimate"] == pytest.approx(np.median(draws))
    assert [first["lower"], first["upper"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    assert first["p_positive"] == pytest.approx((draws > 0).mean())
    assert first["n"] == 240
