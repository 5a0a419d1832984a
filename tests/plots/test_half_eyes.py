"""Half-eyes and ribbons: the slabs, the inner intervals, the names of differences, the order."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import causalbias as cb
from causalbias.draws.estimate import estimate
from causalbias.draws.summaries import INDEX
from causalbias.plots.intervals import density, with_inner
from causalbias.plots.style import ONE_COLUMN, TWO_COLUMNS
from tests.plots.test_figures import draws, texts

RACES = ["black", "asian", "latino"]


@pytest.fixture
def effect():
    coords = {"race": RACES}
    attrs = {"contrast": "race", "reference": "white", "population": "new"}
    return draws("effect", [0.5, -1.0, 0.0], coords=coords, **attrs)


def slabs(fig):
    return [one.get_paths()[0].vertices for one in fig.axes[0].collections if one.get_zorder() < 1]


def rows(fig):
    return [tick.get_text() for tick in fig.axes[0].get_yticklabels()]


def test_a_slab_is_the_density_of_its_draws_and_all_have_one_area(effect):
    rng = np.random.default_rng(0)
    places, heights = density(rng.normal(3, 2, 4000))
    normal = np.exp(-0.5 * ((places - 3) / 2) ** 2) / (2 * np.sqrt(2 * np.pi))
    assert abs(heights - normal).max() < 0.1 * normal.max()
    wide = effect.copy(deep=True)
    wide["effect"][..., 0] = 3 * wide["effect"][..., 0]
    shapes = slabs(cb.plots.forest(wide))
    assert len(shapes) == 3
    x, y = (np.array([one[:, at] for one in shapes], object) for at in (0, 1))
    areas = [  # of a closed outline (the shoelace formula)
        0.5 * abs(np.sum(a * np.roll(b, 1) - b * np.roll(a, 1))) for a, b in zip(x, y, strict=True)
    ]
    assert max(areas) / min(areas) < 1.05


def test_thick_lines_are_the_66_percent_intervals_and_the_note_says_both(effect):
    fig = cb.plots.forest(effect, prob=0.9)
    thick = fig.axes[0].collections[1].get_segments()
    stated = cb.summarise(effect, prob=0.66)
    got = sorted((float(one[0, 0]), float(one[1, 0])) for one in thick)
    np.testing.assert_allclose(got, sorted(zip(stated["lower"], stated["upper"], strict=True)))
    note = " ".join(texts(fig))
    assert "thick: 66%, thin: 90% intervals" in note
    narrow = cb.plots.forest(effect, prob=0.5)
    assert "66" not in " ".join(texts(narrow))


def test_rows_of_a_contrast_name_both_sides(effect):
    assert rows(cb.plots.forest(effect))[-1] == "black − white"
    pairs = effect.assign_coords(race=["black - asian", "b - c", "c - d"])
    pairs = pairs.assign_attrs(reference="each other level")
    assert rows(cb.plots.forest(pairs))[-1] == "black − asian"
    numbers = effect.assign_coords(race=[1, 2, 3]).assign_attrs(reference="0")
    assert rows(cb.plots.forest(numbers))[-1] == "race 1 − 0"


def test_rows_stand_in_the_order_that_is_asked_for(effect):
    named = [f"{one} − white" for one in RACES]
    assert rows(cb.plots.forest(effect, order="data"))[::-1] == named
    mine = ["latino", "black", "asian"]
    shown = rows(cb.plots.forest(effect, order=mine))[::-1]
    assert shown == [f"{one} − white" for one in mine]
    for bad in ("alphabetical", ["black", "asian"], ["black", "asian", "asian"]):
        with pytest.raises(cb.DataError, match="order"):
            cb.plots.forest(effect, order=bad)


def test_no_slab_where_there_is_no_density_to_speak_of(effect):
    few = effect.copy(deep=True)
    few["effect"][..., 1] = 1.0  # a constant
    few["effect"][..., 2] = np.nan
    assert len(slabs(cb.plots.forest(few))) == 1
    many = draws("effect", np.arange(30.0), coords={"seed": [str(at) for at in range(30)]})
    fig = cb.plots.forest(many)
    assert not slabs(fig)
    assert "slabs" not in " ".join(texts(fig))


def test_an_interval_of_one_end_is_told_and_has_no_inner_one():
    made = draws("index_value", [2.0, 3.0], sd=0.1, coords={"index": ["a", "b"]})
    made["interval"] = ("index", ["two-sided", "at least"])
    made["supported"] = ("index", [True, False])
    made["index_value"].attrs["quantity"] = INDEX
    one = estimate(made, of=[made], variable="index_value")
    table = with_inner(one, 0.95)
    assert table["inner_lower"].isna().tolist() == [False, True]
    fig = one.plot()
    assert len(slabs(fig)) == 1
    assert any("at least" in text for text in texts(fig))


def test_one_estimate_has_one_row_and_none_is_an_error(effect):
    with pytest.raises(cb.DataError, match="nothing is left to draw"):
        cb.plots.forest(effect.isel(race=[]))
    fig = cb.plots.forest(effect.sel(race="black"))
    assert rows(fig) == ["effect"]


def test_lines_of_numbers_and_points_of_levels_are_the_tables():
    coords = {"pose": np.linspace(-3, 3, 7), "race": ["black", "white"]}
    found = draws("prediction", np.arange(14.0).reshape(7, 2), coords=coords)
    found = estimate(found, of=[found], variable="prediction")
    fig = found.plot()  # a number along the axis: lines
    assert fig.axes[0].get_xlabel() == "pose"
    table = cb.summarise(found, prob=0.66)
    for line, (_, part) in zip(fig.axes[0].lines, table.groupby("race", sort=False), strict=True):
        np.testing.assert_allclose(line.get_ydata(), part["estimate"])
    inner = fig.axes[0].collections[1].get_paths()[0].vertices
    assert inner[:, 1].max() == pytest.approx(table.query("race == 'black'")["upper"].max())
    three = found.expand_dims(system=["a", "b"], axis=4)
    three = estimate(three.isel(pose=[0, 1]), of=[found], variable="prediction")
    panels = three.plot().axes
    assert [axes.get_title() for axes in panels] == ["system a", "system b"]
    with pytest.raises(cb.DataError, match="no dim"):
        cb.plots.conditional_effects(found, x="gender")


def test_more_lines_than_colours_have_a_panel_each():
    coords = {"pose": [-3.0, 0.0, 3.0], "group": [f"g{at}" for at in range(12)]}
    found = draws("prediction", np.ones((3, 12)), coords=coords)
    fig = cb.plots.conditional_effects(found)
    assert len([axes for axes in fig.axes if axes.get_visible()]) == 12
    assert fig.get_figwidth() == pytest.approx(183 / 25.4)


def test_what_is_not_estimable_is_left_out_and_the_note_says_so():
    found = draws("prediction", np.ones(3), coords={"pose": [1.0, 2.0, 3.0]})
    found["prediction"][..., 1] = np.nan
    found["estimable"] = ("pose", [True, False, True])
    fig = cb.plots.conditional_effects(found)
    seen = fig.axes[0].lines[0].get_ydata()
    assert np.isnan(seen).tolist() == [False, True, False]  # a gap, and no line across it
    assert "Not drawn where not estimable." in " ".join(texts(fig))
    with pytest.raises(cb.DataError, match="nothing is estimable"):
        cb.plots.conditional_effects(found.isel(pose=[1]))


def test_widths_are_those_of_journals_and_the_font_is_in_the_file(effect):
    assert [25.4 * one for one in (ONE_COLUMN, TWO_COLUMNS)] == pytest.approx([89, 183])
    with mpl.rc_context({"font.family": "serif", "pdf.fonttype": 3}):  # the user's own
        fig = cb.plots.forest(effect, xlabel="bewußt")
        pdf = cb.plots.render(fig, "pdf")
    assert b"DejaVuSans" in pdf
    assert b"/FontFile2" in pdf  # embedded, as TrueType
    assert b"DejaVuSerif" not in pdf


def test_panels_have_letters_if_there_are_several(effect):
    pairs = xr.concat([effect, effect], "pairs").assign_coords(pairs=["genuine", "impostor"])
    pairs = pairs.expand_dims(gender=["female"], axis=4)
    two = cb.plots.group_effects(pairs)
    assert [axes.texts[0].get_text() for axes in two.axes] == ["a", "b"]
    one = cb.plots.group_effects(pairs.isel(pairs=[0]))
    assert not one.axes[0].texts


def test_draws_below_zero_have_no_logarithm_and_the_others_their_density():
    draws = np.concatenate([np.random.default_rng(0).lognormal(size=990), np.full(10, -0.5)])
    places, heights = density(draws, log=True)
    assert np.isfinite(places).all()
    assert np.isfinite(heights).all()
    assert (places > 0).all()
    assert density(-np.abs(draws), log=True) is None
