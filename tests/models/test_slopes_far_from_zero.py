"""Slopes of numbers far from zero, huge or tiny: the model of the centred ones, as they are."""

import bambi as bmb
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.errors import DataError
from causalbias.inference.diagnostics import split_ess
from causalbias.models.bambi_models import common_model
from causalbias.models.group_design import group_designs
from causalbias.models.specification import ModelSpec, model_frame

GROUPS = 18


@pytest.fixture(scope="module")
def rows():
    """lme4's sleepstudy in shape."""
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(GROUPS), 10), np.tile(np.arange(10.0), GROUPS)
    level, slope = rng.normal(0, [[25], [6]], (2, GROUPS))
    y = 250 + 10 * x + level[g] + slope[g] * x + rng.normal(0, 25, len(g))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i:02d}" for i in g], "a": np.arange(len(g)) % 2})


@pytest.fixture(scope="module")
def centred(rows):
    return cb.fit("y ~ x + (x|g)", rows.assign(x=rows["x"] - rows["x"].mean()), draws=500)


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (2000, 1), (1e5, 1), (0, 1e-6), (-3e6, 10)])
def test_the_same_model_wherever_x_is(rows, centred, shift, scale):
    frame = rows.assign(x=shift + scale * rows["x"])
    fit = cb.fit("y ~ x + (x|g)", frame, draws=500)
    assert cb.failures(fit) == []
    first, second = (one["posterior"].to_dataset() for one in (fit, centred))
    assert_same(first["x"] * scale, second["x"])
    assert_same(first["x|g_sigma"] * scale, second["x|g_sigma"])
    assert_same(first["sigma"], second["sigma"])
    means = [cb.predictions(one, "g", population="these")["prediction"] for one in (fit, centred)]
    assert_same(*means)
    # on the user's scale the intercept's sd is that at zero, and its correlation that with x
    variance = first["1|g_sigma"] ** 2
    middle = float(frame["x"].mean())
    covariance = first["cor|g"].isel(g__pair_dim=0) * first["1|g_sigma"] * first["x|g_sigma"]
    there = variance + 2 * middle * covariance + middle**2 * first["x|g_sigma"] ** 2
    assert_same(np.sqrt(there), second["1|g_sigma"])


def assert_same(one, other):
    """The same posterior to within four Monte Carlo errors of 2,000 draws.

    Not the same draws: bambi's default prior of the intercept is wider where x is far from zero,
    which moves the density in its fourth digit, and any move may choose other proposals.
    """
    one, other = one.values.reshape(2000, -1), other.values.reshape(2000, -1)
    size = np.minimum(*(split_ess(v.T.reshape(-1, 4, 500)) for v in (one, other)))
    assert (size > 500).all()
    gap = np.abs(one.mean(axis=0) - other.mean(axis=0)) / other.std(axis=0)
    assert (gap < 4 * np.sqrt(2 / size)).all()
    np.testing.assert_allclose(one.std(axis=0), other.std(axis=0), rtol=0.12)


def test_a_given_prior_of_the_intercept_is_about_x_at_zero(rows):
    frame = rows.assign(x=rows["x"] + 20)
    fit = cb.fit("y ~ x + (x|g)", frame, priors={"1|g": "HalfNormal(1)"}, draws=250)
    assert float(fit["posterior"]["1|g_sigma"].max()) < 6


def test_a_given_prior_of_the_slope_is_on_its_own_scale(rows):
    frame = rows.assign(x=(rows["x"] + 20) * 100)
    fit = cb.fit("y ~ x + (x|g)", frame, priors={"x|g": "HalfNormal(0.0001)"}, draws=250)
    assert float(fit["posterior"]["x|g_sigma"].max()) < 0.0006


def test_two_bars_are_not_centred(rows):
    """Of independent effects, those at x = 0: another model than of any other origin."""
    fit = cb.fit("y ~ x + (x||g)", rows.assign(x=rows["x"] + 2000), draws=250)
    assert float(fit["posterior"]["1|g_sigma"].mean()) > 20


def test_a_slope_without_spread_beside_its_mean_is_refused(rows):
    with pytest.raises(DataError, match="subtract a constant"):
        cb.fit("y ~ x + (x|g)", rows.assign(x=1e9 + 1e-3 * rows["x"]))


@given(
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(1e-4, 1e4),
    effects=st.sampled_from(["x", "x*a", "0 + a + a:x", "x + I(x**2)", "x*w", "C(a)*x"]),
)
@settings(max_examples=60, deadline=None)
def test_centring_is_exact_and_does_not_see_the_origin(shift, scale, effects):
    """T undoes itself, and the centred columns are those of any other origin and unit."""
    assume(abs(shift) < 1e5 * scale)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=60),
            "x": rng.normal(size=60),
            "w": rng.normal(size=60),
            "a": rng.choice(["p", "q", "r"], 60),
            "g": np.arange(60) % 6,
        }
    )
    found = []
    for one in (frame, frame.assign(x=shift + scale * frame["x"])):
        (design,) = group_designs(f"y ~ ({effects}|g)", one)
        basis, columns = design.centring(one), design.columns(one)
        found.append(columns @ basis)
        np.testing.assert_allclose(
            found[-1] @ np.linalg.inv(basis), columns, rtol=1e-6, atol=1e-6 * np.abs(columns).max()
        )
    limit = 1e-11 * (1 + abs(shift) / scale) ** 2 + 1e-9
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=limit)


@pytest.mark.parametrize("effects", ["x*a", "x + I(x**2)"])
def test_products_of_the_population_do_not_see_the_origin(rows, effects):
    """bambi's default priors of a product of years rule out that slopes differ."""
    rng = np.random.default_rng(2)
    kind = np.where(rows["a"] == 1, "q", "p")
    y = rng.normal(0, 0.5, len(rows)) + rows["x"] + 2.0 * rows["x"] * (kind == "q")
    name = "x:a[q]" if effects == "x*a" else "I(x ** 2)"
    tables, differences = [], []
    for shift, scale in ((-4.5, 1.0), (2000.0, 1.0), (3e4, 1.0), (0.0, 1e-6)):
        frame = rows.assign(a=kind, y=y, x=shift + scale * rows["x"])
        fit = cb.fit(f"y ~ {effects}", frame, draws=500)
        power = scale if effects == "x*a" else scale**2
        tables.append(cb.summary(fit).loc[name, ["estimate", "sd"]].to_numpy(float) * power)
        if effects == "x*a":
            found = cb.summarise(cb.effects(fit, "a"))
            differences.append(found[["estimate", "sd"]].to_numpy(float)[0])
    for found in (tables, differences):
        for one in found[1:]:
            assert abs(one[0] - found[0][0]) < 0.15 * found[0][1]
            assert one[1] == pytest.approx(found[0][1], rel=0.1)


def test_default_priors_without_products_are_bambis(rows):
    frame = rows.assign(x=rows["x"] + 2000, a=np.where(rows["a"] == 1, "q", "p"))
    spec = ModelSpec("y ~ x + a")
    ours = common_model(spec, model_frame(spec, frame))
    theirs = bmb.Model("y ~ x + a", frame)
    for name in ("x", "a"):
        found, expected = (
            np.ravel(one.parameters["mu"].common_terms[name].prior.args["sigma"])
            for one in (ours, theirs)
        )
        np.testing.assert_allclose(found, expected)
