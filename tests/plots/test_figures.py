"""Figures: what they draw, that they are the same bytes twice, and that failures are marked."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import causalbias as cb
from causalbias.errors import DataError


def draws(name, mean, *, sd=0.5, coords, **attrs):
    """Dataset of normal draws around `mean`, whose dims are the keys of `coords`."""
    rng = np.random.default_rng(0)
    values = np.asarray(mean)[None, None] + rng.normal(0, sd, (2, 200, *np.shape(mean)))
    attrs = {"failures": "[]", "scale": "response", "outcome": name} | attrs
    return xr.Dataset(
        {name: (("chain", "draw", *coords), values)}, coords=dict(coords), attrs=attrs
    )


@pytest.fixture
def human():
    coords = {"level": [1, 2], "attribute": ["age", "pose", "smile"]}
    mean = [[3.0, 6.0, 1.0], [6.0, 12.0, 1.5]]
    return draws("effect", mean, coords=coords, reference="0", contrast="level")


@pytest.fixture
def machine():
    coords = {"level": [1, 2], "attribute": ["age", "pose", "smile"]}
    return draws("prediction", [[0.2, 0.3, 0.1], [0.4, 0.5, 0.2]], sd=0.01, coords=coords)


def texts(fig: Figure) -> list[str]:
    found = [t.get_text() for t in fig.texts]
    if fig._supxlabel is not None:
        found.append(fig._supxlabel.get_text())
    for axes in fig.axes:
        found += [t.get_text() for t in axes.texts]
    return found


def test_forest_has_a_row_a_level_sorted_by_the_last_series(human):
    fig = cb.plots.forest(human)
    labels = [t.get_text() for t in fig.axes[0].get_yticklabels()]
    assert labels == ["smile", "age", "pose"]


def test_forest_draws_the_intervals_that_the_table_states(human):
    one = human.sel(level=2)
    fig = cb.plots.forest(one, prob=0.8)
    segments = fig.axes[0].collections[0].get_segments()
    drawn = sorted((float(s[0, 0]), float(s[1, 0])) for s in segments)
    table = cb.summarise(one, prob=0.8)
    stated = sorted(zip(table["lower"], table["upper"], strict=True))
    np.testing.assert_allclose(drawn, stated)


def test_forest_says_which_ratio_is_not_bounded():
    coords = {"attribute": ["seen", "unseen"]}
    outcome = draws("x", [0.4, 0.4], sd=0.01, coords=coords)["x"]
    change = draws("x", [9.0, 0.1], coords=coords)["x"]
    ratio = cb.per_unit(outcome, change).assign_attrs(failures="[]")
    fig = cb.plots.forest(ratio)
    assert sum("not bounded" in text for text in texts(fig)) == 1


def test_forest_refuses_three_dims(human):
    with pytest.raises(DataError, match="select"):
        cb.plots.forest(human.expand_dims(system=["a", "b"], axis=4))


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(human, machine, kind):
    first, second = (
        cb.plots.render(cb.plots.perceived_against_distance(human, machine), kind) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("failed", [False, True])
def test_a_failed_fit_is_marked_across_every_figure(human, machine, failed):
    reasons = json.dumps(["R-hat of b is 1.7"] if failed else [])
    bad = human.assign_attrs(failures=reasons)
    figures = [
        cb.plots.forest(bad),
        cb.plots.dose_response(bad, machine),
        cb.plots.perceived_against_distance(bad, machine),
    ]
    assert [("NOT CONVERGED" in texts(fig)) for fig in figures] == [failed] * 3


def test_dose_response_starts_at_zero_and_passes_through_the_estimates(human, machine):
    fig = cb.plots.dose_response(human, machine)
    line = fig.axes[0].lines[0]
    table = cb.summarise(human).query("attribute == 'age'").sort_values("level")
    np.testing.assert_allclose(line.get_xdata(), [0, 1, 2])
    np.testing.assert_allclose(line.get_ydata(), [0, *table["estimate"]])


def test_several_systems_must_be_selected_from(human, machine):
    both = xr.concat([machine, machine], "system").assign_coords(system=["a", "b"])
    for plot in (cb.plots.dose_response, cb.plots.perceived_against_distance):
        with pytest.raises(DataError, match="several systems"):
            plot(human, both)


def test_labels_do_not_cover_one_another(human, machine):
    fig = cb.plots.perceived_against_distance(human, machine)
    fig.draw_without_rendering()
    boxes = [t.get_window_extent() for t in fig.axes[0].texts if "/point" not in t.get_text()]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_rank_heatmap_puts_the_largest_on_top(human):
    ranks = cb.rank_probabilities(human["effect"].sel(level=2), "attribute")
    fig = cb.plots.rank_heatmap(ranks)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["pose", "age", "smile"]


def test_drawing_leaves_the_users_settings_alone(human):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    cb.plots.render(cb.plots.forest(human), "png")
    assert dict(mpl.rcParams) == before


def test_a_dose_curve_is_the_table_of_its_draws(dose_fit):
    found = cb.dose(dose_fit, "level", by="attribute", grid=[0, 1, 2])
    fig = found.plot()
    table = found.summary()
    lines = [line for line in fig.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) == table["attribute"].nunique()
    for line, (_, part) in zip(lines, table.groupby("attribute", sort=False), strict=True):
        assert line.get_ydata().tolist() == part["estimate"].tolist()
    slopes = cb.plots.dose_curve(found, of="slope")
    assert slopes.axes[0].get_ylabel() == "slope of score"
    with pytest.raises(cb.DataError, match="has dims"):
        cb.plots.dose_curve(found.expand_dims(other=[1, 2]))


@pytest.fixture(scope="module")
def dose_fit():
    study = cb.demo_study()
    return cb.fit("score ~ level*attribute + (1|annotator)", study, subset="attribute != 'pose'")


def test_every_estimate_draws_its_own_figure():
    study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    rates = cb.error_rates(study, by="race", fmr=0.3)
    shown = [
        rates,
        cb.rates.fairness_indices(rates),
        cb.rates.group_pair_rates(study, "race", fmr=0.3).isel(system=[0]),
        cb.det(study, by="race", draws=50),
        cb.threshold_at(study, 0.1),
    ]
    for one in shown:
        assert one.plot().axes
