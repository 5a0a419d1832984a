"""Figures of a fit: replicated data, PIT values with their band, traces and ranks."""

import numpy as np
import pandas as pd
import pytest
from arviz_stats.ecdf_utils import ecdf_pit

import causalbias as cb
from causalbias.estimands.predictive import left_out_pit, replicated
from causalbias.plots.predictive import uniform_band


@pytest.fixture(scope="module")
def frame():
    """Three rows of each of 60 groups, whose effects are as large as the noise."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(60), 3)
    rows = pd.DataFrame({"g": [f"{one:03d}" for one in group], "x": np.tile([0, 1, 2], 60)})
    noise = rng.normal(size=180)
    rows["y"] = rows["x"] + rng.normal(size=60)[group] + noise
    rows["long"] = rows["x"] + rng.normal(size=60)[group] + rng.exponential(1, 180) ** 2
    return rows.assign(b=rows["y"] > 1)


@pytest.fixture(scope="module")
def fit(frame):
    return cb.fit("y ~ x + (1|g)", frame, draws=400)


def test_the_band_holds_uniform_samples_as_often_as_it_says_and_is_that_of_arviz():
    rng = np.random.default_rng(0)
    at, low, high = uniform_band(60, 0.9, random_seed=0)
    inside = 0
    for _ in range(1000):
        seen = np.searchsorted(np.sort(rng.uniform(size=60)), at, side="right") / 60
        inside += bool(((seen >= low) & (seen <= high)).all())
    assert inside / 1000 == pytest.approx(0.9, abs=0.04)  # four standard errors
    places, _, lower, upper = ecdf_pit(rng.uniform(size=60), 0.9, 1000)
    np.testing.assert_allclose(np.interp(places, at, low), lower, atol=1.5 / 60)
    np.testing.assert_allclose(np.interp(places, at, high), upper, atol=1.5 / 60)


def test_pit_values_of_the_right_model_are_uniform_though_groups_are_small(frame, fit):
    found = left_out_pit(fit, random_seed=0)
    # In place of the posterior without the row, that with it would give a sd of 0.23.
    assert found.pit.std() == pytest.approx(12**-0.5, abs=0.03)
    _, low, high = uniform_band(180, 0.999, random_seed=0)
    at = uniform_band(180, 0.999, random_seed=0)[0]
    seen = np.searchsorted(np.sort(found.pit), at, side="right") / 180
    assert ((seen >= low) & (seen <= high)).all()
    wrong = left_out_pit(cb.fit("long ~ x + (1|g)", frame, draws=400), random_seed=0)
    seen = np.searchsorted(np.sort(wrong.pit), at, side="right") / 180
    assert not ((seen >= low) & (seen <= high)).all()


def test_pit_values_need_rows_of_one_observation(frame):
    counted = frame.assign(n=2)
    with pytest.raises(cb.DataError, match="several observations"):
        cb.plots.pp_check(cb.fit("y ~ x", counted, counts="n", draws=100), kind="pit")


def test_replicates_write_counts_out_and_trials_are_shares(frame):
    counted = frame.assign(n=[1, 2, 3] * 60)
    rows, y, new = replicated(
        cb.fit("y ~ x", counted, counts="n", draws=100), draws=30, random_seed=0
    )
    assert len(rows) == len(y) == new.shape[1] == 360
    assert len(new) == 30
    copies = new[:, rows["n"].to_numpy() == 2]
    assert (copies[:, ::2] != copies[:, 1::2]).all()  # each its own new response
    hits = pd.DataFrame({"hits": [3, 5, 2, 9] * 5, "of": 10, "x": range(20)})
    shares = cb.fit("p(hits, of) ~ x", hits, family="binomial", draws=100)
    _, y, new = replicated(shares, draws=20, random_seed=0)
    assert y[:4].tolist() == [0.3, 0.5, 0.2, 0.9]
    assert new.max() <= 1


def test_a_density_is_of_the_data_and_shares_are_the_datas(frame, fit):
    fig = cb.plots.pp_check(fit, draws=7)
    lines = fig.axes[0].lines
    assert [line.get_label() for line in lines if not line.get_label().startswith("_")] == [
        "replicated",
        "data",
    ]
    assert len(lines) == 8
    of_b = cb.fit("b ~ x", frame, family="bernoulli", draws=200)
    axes = cb.plots.pp_check(of_b, by="x").axes
    for panel, (_, part) in zip(axes, frame.groupby("x"), strict=True):
        bars = [patch.get_height() for patch in panel.patches]
        assert bars == pytest.approx([1 - part["b"].mean(), part["b"].mean()])
    assert max(bar.get_height() for panel in axes for bar in panel.patches) <= axes[0].get_ylim()[1]
    with pytest.raises(cb.DataError, match="no column"):
        cb.plots.pp_check(fit, by="race")
    with pytest.raises(cb.DataError, match="60 levels"):
        cb.plots.pp_check(fit, by="g")


def test_ranks_and_traces_are_of_the_parameters_of_the_summary(fit):
    fig = cb.plots.rank(fit)
    names = [axes.get_title().splitlines()[0] for axes in fig.axes]
    assert names == cb.summary(fit).index.tolist()
    stairs = [patch.get_data().values for patch in fig.axes[0].patches]
    assert [one.sum() for one in stairs] == [400] * 4
    assert max(one.max() for one in stairs) <= fig.axes[0].get_ylim()[1]
    drawn = cb.plots.trace(fit, parameters=["x"]).axes[0].lines
    np.testing.assert_array_equal(drawn[1].get_ydata(), fit["posterior"]["x"].values[1])
    with pytest.raises(cb.DataError, match="no parameter"):
        cb.plots.trace(fit, parameters=["z"])


def test_the_same_seed_gives_the_same_figure(fit):
    one, two, other = (
        cb.plots.render(cb.plots.pp_check(fit, draws=5, random_seed=seed), "svg")
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other
