"""Figures of estimates with gaps, of ratios below zero, and of panels with too few rows."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.errors import DataError


def test_a_line_ends_where_levels_are_not_estimable():
    along = np.arange(8.0)
    drawn = np.random.default_rng(1).normal(along, 0.3, (4, 100, 8))
    drawn[..., [3, 4, 6]] = np.nan
    draws = xr.Dataset(
        {"prediction": (("chain", "draw", "level"), drawn)},
        {"level": along},
        {"variable": "prediction"},
    )
    axes = cb.plots.conditional_effects(draws).axes[0]
    line = axes.lines[0]
    assert np.isnan(line.get_ydata()).tolist() == np.isnan(drawn[0, 0]).tolist()
    for ribbon in axes.collections[:2]:
        corners = np.vstack([path.vertices for path in ribbon.get_paths()])[:, 0]
        assert not ((corners > 2) & (corners < 5)).any()
    assert any(7.0 in one.get_xdata() for one in axes.lines[1:])  # alone: a point


@pytest.mark.parametrize("lower", [-0.5, 0.2])
def test_a_ratio_below_zero_has_no_logarithm(lower):
    draw = np.random.default_rng(2)
    drawn = draw.uniform(lower, 2.0, (4, 250, 2))
    draws = xr.Dataset({"ratio": (("chain", "draw", "k"), drawn)}, {"k": ["a", "b"]})
    draws["ratio"].attrs["quantity"] = "ratio of effects"
    draws["bounded"] = ("k", [True, True])
    scale = cb.plots.forest(draws).axes[0].get_xscale()
    assert scale == ("log" if lower > 0 else "linear")


@pytest.fixture(scope="module")
def fit():
    draw = np.random.default_rng(3)
    rows = pd.DataFrame({"x": draw.normal(size=30), "g": ["a"] * 2 + ["b"] * 28})
    rows["y"] = rows["x"] + draw.normal(size=30)
    return cb.fit("y ~ x + g", rows, draws=50)


def test_a_panel_with_too_few_rows_for_a_density_is_empty(fit):
    figure = cb.plots.pp_check(fit, by="g", draws=5)
    assert [len(axes.lines) > 0 for axes in figure.axes] == [False, True]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"data", "replicated"}


@pytest.mark.parametrize("wrong", [3, [3], [None], 1.5])
def test_parameters_are_names(fit, wrong):
    with pytest.raises(DataError, match="parameters is"):
        cb.plots.trace(fit, parameters=wrong)
