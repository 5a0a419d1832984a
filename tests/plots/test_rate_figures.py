"""Figures of scores and error rates: what they draw, and what they leave out."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import causalbias as cb
from causalbias import DataError

from ..rates.test_error_rates import both_kinds, random_faces


@pytest.fixture(scope="module")
def frame():
    return both_kinds(60, rng=1)


def words(fig: Figure) -> str:
    note = fig._supxlabel.get_text() if fig._supxlabel is not None else ""
    return " ".join([note, *(t.get_text() for axes in fig.axes for t in axes.texts)])


def test_distributions_have_area_one_and_say_how_many(frame):
    counts = cb.rates.score_histograms(frame, "race", bins=30)
    fig = cb.plots.score_distributions(counts, threshold=2.4)
    assert len(fig.axes) == 2
    for axes, race in zip(fig.axes, "xy", strict=True):
        n = ((frame["race_a"] == race) & (frame["race_b"] == race) & frame["same_identity"]).sum()
        assert axes.get_ylabel().startswith(f"{race}\n{n:,} genuine")
        for patch in axes.patches:
            values, edges, _ = patch.get_data()
            assert (values * np.diff(edges)).sum() == pytest.approx(1)
    assert counts["histogram"].sum("bin").equals(counts["n"])


def test_distributions_of_all_pairs_are_those_within_groups():
    faces = np.random.default_rng(1).normal(size=(50, 4))
    counts = cb.all_pairs(faces, ["a", "b"] * 25, thresholds=2.0, bins=40)
    fig = cb.plots.score_distributions(counts)
    assert fig.axes[0].get_ylabel() == "a\n300 impostor\n0 genuine"


def test_det_curves_draw_the_medians_and_bands_of_the_table(frame):
    curve = cb.det(frame, "race", draws=200)
    fig = cb.plots.det_curves(curve, prob=0.8)
    table = cb.summarise(curve, prob=0.8)
    table = table[table["supported"] & (table["race"] == "x")]
    line = fig.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), table["fmr"])
    np.testing.assert_allclose(line.get_ydata(), table["estimate"])
    band = fig.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(table["upper"].max())


def test_differentials_are_joined_over_thresholds_and_name_who_is_missing(frame):
    at = [2.0, 2.2]
    ratios = [cb.rates.rate_ratios(cb.error_rates(frame, "race", threshold=one)) for one in at]
    joined = xr.concat(ratios, dim=xr.Variable("target", at), combine_attrs="override")
    fig = cb.plots.rate_differentials(joined)
    table = cb.summarise(joined).set_index(["target", "rate_of", "race"])["estimate"]
    paths = [line for line in fig.axes[0].lines if len(line.get_xdata()) == 2]
    drawn = {tuple(np.round(line.get_ydata(), 6)) for line in paths}
    assert tuple(np.round([table[one, "FMR", "x"] for one in at], 6)) in drawn
    assert "Ratios to the geometric mean" in words(fig)


def test_a_heat_map_tells_each_rate_and_leaves_white_what_has_none():
    pairs = random_faces(80, rng=2)
    none = (pairs["race_a"] == "x") & (pairs["race_b"] == "x")
    pairs.loc[none, "distance"] = 9.0
    rates = cb.rates.group_pair_rates(pairs, "race", threshold=2.6)
    fig = cb.plots.rate_heatmap(rates)
    said = [text.get_text() for text in fig.axes[0].texts]
    assert len(said) == 9
    assert said[0].startswith("< ")
    table = cb.summarise(rates).set_index(["group", "other"])
    assert said[4].startswith(f"{100 * table.loc[('y', 'y'), 'estimate']:.3g}\n")
    assert np.ma.getmaskarray(fig.axes[0].images[0].get_array())[0, 0]


def test_the_same_figure_is_the_same_bytes(frame):
    one, two = (
        cb.plots.render(cb.plots.det_curves(cb.det(frame, "race", draws=50)), "svg")
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda one: cb.plots.score_distributions(two_systems(one)), "several systems"),
        (lambda one: cb.plots.rate_differentials(ratios_of_one_kind(one)), "one kind of error"),
        (lambda one: cb.plots.det_curves(cb.det(one, "race", fmr=[1e-5])), "too few errors"),
    ],
)
def test_what_cannot_be_drawn_ends_in_one_error(frame, draw, told):
    with pytest.raises(DataError, match=told):
        draw(frame)


def two_systems(frame):
    both = [frame.assign(system=name) for name in "ab"]
    return cb.rates.score_histograms(pd.concat(both), "race")


def ratios_of_one_kind(frame):
    impostors = frame[~frame["same_identity"]]
    return cb.rates.rate_ratios(cb.error_rates(impostors, "race", threshold=2.4))


def many_groups(names, rng=0):
    """Genuine and impostor pairs of groups, the first and last of which make no errors."""
    random, parts = np.random.default_rng(rng), []
    for at, name in enumerate(names):
        shift = 0.45 if at in (0, len(names) - 1) else 0.25
        first, second = np.triu_indices(14, 1)
        seed = np.repeat(np.arange(14), 3)
        parts.append(
            pd.DataFrame(
                {
                    "seed_a": np.concatenate([first, seed]) + 100 * at,
                    "seed_b": np.concatenate([second, seed]) + 100 * at,
                    "same_identity": np.repeat([False, True], [len(first), len(seed)]),
                    "distance": random.normal(0.75, 0.08, len(first) + len(seed)).clip(0)
                    - np.repeat([0, shift], [len(first), len(seed)]),
                    "group": name,
                }
            ).assign(distance=lambda rows: rows["distance"].clip(0.001))
        )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    "names",
    [
        list("abcdefghij"),
        list(range(9, 0, -1)),
        ["a group with a name that is longer than any axis has room for", "b", "$x_1$", "d"],
    ],
)
def test_figures_of_any_groups_name_those_that_they_cannot_show(names):
    frame = many_groups(names)
    rates = cb.plots.group_rates(cb.error_rates(frame, "group", threshold=0.6))
    assert len(rates.axes[0].get_yticks()) == len(names)
    curve = cb.det(frame, "group", draws=50)
    fig = cb.plots.det_curves(curve)
    shown = {line.get_label() for line in fig.axes[0].lines}
    for name in map(str, names):
        titles = [axes.get_title() for axes in fig.axes]
        assert name in [*shown, *titles] or name.replace("$", r"\$") in words(fig)
    cb.plots.render(fig, "svg")
    cb.plots.render(rates, "png")


def test_twelve_groups_have_a_panel_each_and_their_own_curve():
    frame = many_groups([f"group {at}" for at in range(12)])
    away = np.where(
        frame["same_identity"], 0.1, 0.0
    )  # so that all groups make errors of both kinds
    noise = np.random.default_rng(1).normal(0.75, 0.1, len(frame))
    frame = frame.assign(distance=(noise - away).clip(0.001))
    curve = cb.det(frame, "group", fmr=np.geomspace(0.05, 1, 8), draws=50)
    fig = cb.plots.det_curves(curve)
    table = cb.summarise(curve)
    table = table[table["supported"]]
    panels = {axes.get_title(): axes for axes in fig.axes if axes.get_visible()}
    assert set(panels) == set(table["group"])
    assert len(panels) > 6
    for name, part in table.groupby("group"):
        own = [line for line in panels[name].lines if line.get_label() == "this group"]
        np.testing.assert_allclose(own[0].get_ydata(), part["estimate"])
    counts = cb.rates.score_histograms(frame, "group")
    scores = cb.plots.score_distributions(counts)
    shown = [axes for axes in scores.axes if axes.get_visible()]
    assert {axes.get_ylabel().split("\n")[0] for axes in shown} == set(counts["group"].values)
    assert scores.get_figheight() < 5


def test_group_rates_name_groups_of_which_few_identities_make_most_errors():
    frame = many_groups(["x", "y"]).query("not same_identity").reset_index(drop=True)
    wolf = (frame["seed_a"] == 3) & (frame["group"] == "x")
    frame["distance"] = np.where(wolf, 0.3, 0.9)
    rates = cb.error_rates(frame, "group", threshold=0.6)
    assert rates["top_share"].sel(group="x").item() == 1
    assert np.isnan(rates["top_share"].sel(group="y").item())
    flags = rates["few_identities"].sel(rate_of="FMR", system="system")
    assert flags.to_series().to_dict() == {"x": True, "y": False}
    table = cb.summarise(rates).set_index("group")["few_identities"]
    assert table.to_dict() == {"x": True, "y": False}
    pairs = cb.rates.group_pair_rates(frame, "group", threshold=0.6)
    assert "have most of the errors: x." in words(cb.plots.rate_heatmap(pairs))
    said = words(cb.plots.group_rates(rates))
    assert "5% of the identities have most of the errors: x (FMR, system)." in said
    genuine = many_groups(["x", "y"]).query("same_identity").reset_index(drop=True)
    genuine = pd.concat([genuine.assign(distance=0.2)] * 5, ignore_index=True)
    genuine.loc[genuine["seed_a"] == 3, "distance"] = 0.9
    rates = cb.error_rates(genuine, "group", threshold=0.6)
    assert "have most of the errors: x (FNMR, system)" in words(cb.plots.group_rates(rates))


def test_where_nothing_is_left_to_draw_the_error_says_what(frame):
    rates = cb.error_rates(frame, "race", threshold=2.4)
    between = cb.rates.group_pair_rates(frame, "race", threshold=2.4)
    counts = cb.rates.score_histograms(frame, "race")
    for draw in (
        lambda: cb.plots.group_rates(rates.isel(race=[])),
        lambda: cb.plots.group_rates(rates.isel(system=[])),
        lambda: cb.plots.group_rates(rates.isel(rate_of=[])),
        lambda: cb.plots.rate_heatmap(between.isel(group=[], other=[])),
        lambda: cb.plots.score_distributions(counts.isel(group=[])),
    ):
        with pytest.raises(DataError, match=r"no \w+.* was selected"):
            draw()
    lone = rates.assign(n=rates["n"].where(rates["race"] != "x", 0)).sel(race=["x"])
    with pytest.raises(DataError, match="no comparisons of these groups"):
        cb.plots.group_rates(lone)
