"""Awkward sizes and scales at the level of `fit`: right, or refused with the reason."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    group = np.repeat(list("abcdef"), 10)
    kind = np.tile(["a", "b"], 30)
    return pd.DataFrame({"x": x, "g": group, "k": kind, "y": x + rng.normal(size=60)})


def estimates(frame, **given):
    return cb.summary(cb.fit("y ~ x + (1|g)", frame, draws=500, **given))["estimate"]


@pytest.mark.parametrize(("of_y", "of_x"), [(1e-8, 1e-8), (1e8, 1e8), (1e-8, 1e8), (1e8, 1e-8)])
def test_units_change_nothing_but_units(frame, of_y, of_x):
    """Default priors scale with the data, so the same draws come in other units."""
    plain = estimates(frame)
    found = estimates(frame.assign(y=frame["y"] * of_y, x=frame["x"] * of_x))
    unit = plain.index.map(lambda name: of_y / of_x if name == "x" else of_y).to_numpy()
    np.testing.assert_allclose(found / unit, plain, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "family", "reason"),
    [
        ({"y": 1.0}, "gaussian", "all responses are 1"),
        ({"y": 1}, "cumulative", "all responses are 1"),
        ({"x": 1.0}, "gaussian", "constant"),
        ({"y": np.nan}, "gaussian", "missing in 60 of 60 rows"),
        ({"x": np.nan}, "gaussian", "missing in 60 of 60 rows"),
        ({"y": np.inf}, "gaussian", "not finite"),
        ({"y": 1e300}, "gaussian", "beyond 1e"),
        ({"x": -1e300}, "gaussian", "beyond 1e"),
    ],
)
def test_refused_with_the_reason(frame, change, family, reason):
    with pytest.raises(DataError, match=reason):
        cb.fit("y ~ x + (1|g)", frame.assign(**change), family=family)


def test_no_rows_are_refused(frame):
    with pytest.raises(DataError, match="observation"):
        cb.fit("y ~ x", frame.iloc[:0])


def test_a_spread_lost_beside_the_mean_is_refused_for_that_reason(frame):
    with pytest.raises(DataError, match="subtract a constant"):
        cb.fit("y ~ x", frame.assign(y=frame["y"] + 1e8))


def test_one_level_or_one_a_row_leave_the_slope_right(frame):
    slope = np.polyfit(frame["x"], frame["y"], 1)[0]
    for group in ("only", np.arange(60)):
        found = estimates(frame.assign(g=group))
        assert abs(found["x"] - slope) < 0.1  # half of its standard error, for the weak prior


@pytest.mark.parametrize("formula", ["y ~ k", "y ~ 1 + (1|k)"])
def test_separable_groups_have_finite_effects_by_their_priors(frame, formula):
    fit = cb.fit(formula, frame.assign(y=(frame["k"] == "a").astype(int)), family="bernoulli")
    assert not cb.failures(fit)
    assert np.isfinite(cb.summary(fit)["estimate"]).all()
