"""Design analysis: against the closed form of a balanced design, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError


@pytest.fixture(scope="module")
def pilot():
    """Two levels within each of 200 seeds, twice: the effect's error is known."""
    rng = np.random.default_rng(2)
    seed = np.repeat(np.arange(200), 4)
    level = np.tile([0, 1], 400)
    y = 5 + 0.3 * level + rng.normal(0, 2, 200)[seed] + rng.normal(0, 1, 800)
    frame = pd.DataFrame({"y": y, "level": level, "seed": seed})
    return cb.fit("y ~ level + (1|seed)", frame, draws=500)


@pytest.mark.slow
def test_width_is_that_of_a_paired_difference(pilot):
    """sd of the mean of n differences of means of two: sigma / sqrt(n); seeds cancel."""
    table = cb.design.power(pilot, "level", sizes=[10, 40], simulations=30, width=0.7)
    expected = 2 * 1.96 * 1.0 / np.sqrt(table["seed"])
    # The pilot's sigma is known to 3%; the median of 30 widths to 5%; small n has heavier tails.
    np.testing.assert_allclose(table["width"], expected, rtol=0.15)
    assert table["narrow"].tolist() == [0.0, pytest.approx(1.0, abs=0.2)]
    assert table["rows"].tolist() == [40, 160]
    assert (table["coverage"] > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 30)).all()


@pytest.mark.slow
def test_twice_the_rows_of_each_seed_narrow_it(pilot):
    once, twice = (
        cb.design.power(pilot, "level", sizes=[20], simulations=15, rows_each=rows)["width"][0]
        for rows in (8, 32)
    )
    assert twice == pytest.approx(once / 2, rel=0.2)


@pytest.fixture(scope="module")
def judged():
    """Ordinal answers of 40 people to 60 faces, each once."""
    rng = np.random.default_rng(5)
    face, person = np.repeat(np.arange(60), 8), rng.integers(0, 40, 480)
    race = np.where(np.arange(480) % 2, "black", "white")
    latent = 1.0 * (race == "black") + rng.normal(0, 0.7, 60)[face] + rng.normal(0, 1, 40)[person]
    score = np.searchsorted([-1, 0.5, 2], latent + rng.logistic(0, 1, 480))
    frame = pd.DataFrame({"score": score, "race": race, "seed": face, "annotator": person})
    formula = "score ~ race + (1|seed) + (1|annotator)"
    return cb.fit(formula, frame, family="cumulative", draws=500)


@pytest.mark.slow
def test_more_seeds_and_more_annotators_narrow_an_ordinal_effect(judged):
    told = []
    table = cb.design.power(
        judged,
        "race",
        sizes=[15, 60],
        others={"annotator": [10, 60]},
        scale="link",
        reference="white",
        simulations=4,
        progress=lambda done, of: told.append((done, of)),
    )
    assert table[["seed", "annotator", "level"]].values.tolist() == [
        [seed, people, "black"] for seed in (15, 60) for people in (10, 60)
    ]
    wide = table.set_index(["seed", "annotator"])["width"]
    # Race varies within seeds: a quarter of the rows, twice as wide (Laplace, 4 simulations).
    assert (wide[15] / wide[60]).between(1.5, 2.7).all()
    assert table["converged"].min() >= 0.75
    assert told[-1] == (16, 16)


def test_a_refused_data_set_is_counted_and_not_dropped(judged):
    """Few answers leave out categories or separate groups: a status, not an end."""
    table = cb.design.power(judged, "race", sizes=[2], rows_each=2, simulations=6, scale="link")
    assert table["simulations"].tolist() == [6]
    assert 0 <= table["converged"][0] < 1


@pytest.mark.slow
def test_precise_rows_are_planned_as_precise(pilot):
    """lme4's weights go through: rows of weight 4 halve the width."""
    rng = np.random.default_rng(2)
    seed, level = np.repeat(np.arange(100), 4), np.tile([0, 1], 200)
    frame = pd.DataFrame({"seed": seed, "level": level, "w": 4.0})
    frame["y"] = 0.3 * level + rng.normal(0, 2, 100)[seed] + rng.normal(0, 0.5, 400)
    weighted = cb.fit("y ~ level + (1|seed)", frame, weights="w", draws=500)
    one, other = (
        cb.design.power(fit, "level", sizes=[30], simulations=12)["width"][0]
        for fit in (weighted, pilot)
    )
    assert one == pytest.approx(other / 2, rel=0.2)


def test_the_same_seed_gives_the_same_table(pilot):
    tables = [
        cb.design.power(pilot, "level", sizes=[5], simulations=3, random_seed=4) for _ in "ab"
    ]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"over": "annotator"}, r"no effects of 'annotator' \(it has seed\)"),
        ({"sizes": [1]}, "sizes is 1. Hint: give a whole number from 2"),
        ({"sizes": []}, "sizes is empty. Hint: give a list of whole numbers from 2"),
        ({"sizes": 5}, "sizes is 5"),
        ({"sizes": "55"}, "sizes is the text '55'"),
        ({"sizes": ["5"]}, "sizes is the text '5'"),
        ({"sizes": [5.5]}, "sizes is 5.5"),
        # Both would be one row, of twice the simulations that it says.
        ({"sizes": [5, 5]}, "sizes has 5 more than once"),
        ({"others": {"level": [5]}}, "not another grouping column"),
        ({"others": {"annotator": []}}, r"others\['annotator'\] is empty"),
        ({"others": ["annotator"]}, 'give {"annotator"'),
        ({"simulations": 0}, "simulations is 0"),
        ({"simulations": "2"}, "simulations is the text '2'"),
        ({"draws": 0}, "draws is 0"),
        ({"rows_each": 0}, "rows_each is 0"),
        ({"rows_each": 2.5}, "rows_each is 2.5"),
        ({"width": -1}, "give a number above 0"),
        ({"width": "a"}, "width is the text 'a'"),
        ({"rope": 0.1}, "give two"),
        ({"rope": ("a", "b")}, "rope is the text 'a'"),
        # Everything would be decided: no interval is within it, and each is outside of it.
        ({"rope": (1, -1)}, "the ROPE 1 to -1 is empty"),
    ],
)
def test_refused(pilot, options, told):
    with pytest.raises(DataError, match=told):
        cb.design.power(pilot, "level", **{"sizes": [5], **options})


@pytest.mark.parametrize("name", ["level", "rows", "width", "converged"])
def test_a_grouping_called_as_a_column_of_the_table_is_refused(name):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"y": rng.normal(size=80), name: np.repeat(np.arange(10), 8)})
    rows["race"] = np.tile(["a", "b"], 40)
    pilot = cb.fit(f"y ~ race + (1|{name})", rows, draws=50)
    with pytest.raises(DataError, match=f"something else called '{name}'"):
        cb.design.power(pilot, "race", over=name, sizes=[5], simulations=1)


def test_figure_shows_every_size(pilot):
    table = cb.design.power(pilot, "level", sizes=[5, 10, 20], simulations=3, rope=(-1, 1))
    fig = cb.plots.assurance(table)
    assert [len(panel.lines[0].get_xdata()) for panel in fig.axes] == [3, 3]
    assert "number of seeds" in fig.axes[0].get_xlabel()
    with pytest.raises(DataError, match="not a level"):
        cb.plots.assurance(table, level=9)
    two = pd.concat([table.assign(annotator=many) for many in (20, 50)])
    two = two[["seed", "annotator", *(name for name in table if name != "seed")]]
    fig = cb.plots.assurance(two)
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == [
        "20 annotators",
        "50 annotators",
    ]
    assert "ROPE" in fig.axes[1].get_ylabel()
