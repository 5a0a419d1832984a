"""Figures of estimates with gaps, of ratios below zero, and of panels with too few rows."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.errors import DataError
from causalbias.plots import style


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


def normal(name, coords, **attrs):
    shape = (2, 100, *(len(labels) for labels in coords.values()))
    values = np.random.default_rng(4).normal(0.0, 1.0, shape)
    return xr.Dataset({name: (("chain", "draw", *coords), values)}, coords, attrs)


def test_a_label_longer_than_its_axis_is_broken_and_no_panel_pays_for_it():
    draws = normal("effect", {"race": ["a", "b"]})
    words = "change of the mean rating of trustworthiness on a scale from one to one hundred"
    short, long = cb.plots.forest(draws), cb.plots.forest(draws, xlabel=words)
    axes = long.axes[0]
    assert axes.get_xlabel().split() == words.split()
    assert axes.xaxis.label.get_window_extent().width <= axes.bbox.width
    long.draw_without_rendering()
    short.draw_without_rendering()
    assert axes.bbox.height > 0.9 * short.axes[0].bbox.height


def test_levels_that_would_overlap_are_slanted():
    many = [f"group {at}" for at in range(12)]
    for levels, angle in ((["black", "white"], 0), (many, 40)):
        axes = cb.plots.conditional_effects(normal("prediction", {"race": levels})).axes[0]
        assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {angle}


def test_attributes_that_are_perceived_less_have_their_whole_intervals():
    coords = {"level": [1], "attribute": ["age", "pose"]}
    human = normal("effect", coords, reference="0") - 5
    machine = abs(normal("prediction", coords))
    left, right = cb.plots.perceived_against_distance(human, machine).axes[0].get_xlim()
    table = cb.summarise(human)
    assert left < table["lower"].min()
    assert right > table["upper"].max()


def test_effects_of_both_kinds_of_pairs_are_on_one_scale():
    coords = {"race": ["a", "b"], "gender": ["f", "m"], "pairs": ["genuine", "impostor"]}
    draws = normal("effect", coords)
    draws["effect"] = draws["effect"] * xr.DataArray([1, 9], dims="pairs")
    one, other = cb.plots.group_effects(draws).axes
    assert one.get_xlim() == other.get_xlim()


def test_a_leak_matrix_has_the_order_of_all_figures_and_a_unit_that_is_said():
    names = ["age 10", "age 9"]
    rows = [(a, q, 3e-7 if a == q else -1e-9, a == q, a == q) for a in names for q in names]
    table = pd.DataFrame(rows, columns=["attribute", "question", "estimate", "own", "clear"])
    figure = cb.plots.leak_matrix(table)
    axes, bar = figure.axes
    assert [one.get_text() for one in axes.get_yticklabels()] == ["age 9", "age 10"]
    assert [one.get_text() for one in axes.texts] == ["3.0", "0.0", "0.0", "3.0"]
    assert bar.get_ylabel().split() == ["change,", "1e-7", "points"]


def test_fonts_for_what_the_own_one_lacks_are_those_that_are_installed(monkeypatch):
    monkeypatch.setattr(style, "OTHER_FONTS", ("No such font", "STIXGeneral"))
    style.fonts.cache_clear()
    assert style.fonts() == [style.FONT, "STIXGeneral"]
    style.fonts.cache_clear()


@pytest.mark.parametrize("wrong", [3, [3], [None], 1.5])
def test_parameters_are_names(fit, wrong):
    with pytest.raises(DataError, match="parameters is"):
        cb.plots.trace(fit, parameters=wrong)
