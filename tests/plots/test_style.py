"""The house style: colours apart for all eyes and in grey, nothing tiny, no labels in a heap."""

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.text import Text

import causalbias as cb
from causalbias.plots.style import COLOURS, MARKERS, TWO_COLUMNS, in_order, label, marker

LONG = "a very long name that nobody would want, but that one data set has"
MACHADO = {  # what is seen of linear RGB, of full severity (Machado, Oliveira and Fernandes 2009)
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def linear(colour):
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_colours_stand_out_from_paper_and_neighbours_differ_in_grey():
    light = [float(np.dot([0.2126, 0.7152, 0.0722], linear(one))) for one in COLOURS]
    assert all(1.05 / (one + 0.05) >= 3 for one in light)
    grey = [lab(linear(one))[0] for one in COLOURS]

    assert all(abs(a - b) >= 10 for a, b in pairwise(grey))


@pytest.mark.parametrize("eyes", list(MACHADO))
def test_colours_are_apart_for_the_colour_blind(eyes):
    seen = [lab(np.array(MACHADO[eyes]) @ linear(one)) for one in COLOURS]
    # Two are told apart side by side from about 2.3 on; lines want far more.
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 12


def test_series_differ_in_more_than_colour():
    looks = [(COLOURS[at % len(COLOURS)], marker(at)) for at in range(49)]
    assert len(set(looks)) == 49
    assert len({marker(at) for at in range(7)}) == len(MARKERS)


def test_order_and_names():
    assert in_order(["net 10", "white", "net 9"]) == ["net 9", "net 10", "white"]
    assert label("a$b$") == r"a\$b\$"
    shown = [label(f"{LONG} {gender}") for gender in ("female", "male")]
    assert shown[0] != shown[1]
    assert all(len(line) <= 24 for name in shown for line in name.splitlines())


def draws(name, coords, *, sd=0.3, **attrs):
    rng = np.random.default_rng(0)
    shape = [len(values) for values in coords.values()]
    values = rng.normal(1, 3, shape) + rng.normal(0, sd, (2, 100, *shape))
    attrs = {"failures": "[]", "scale": "response", "outcome": name} | attrs
    return xr.Dataset({name: (("chain", "draw", *coords), values)}, coords=coords, attrs=attrs)


def names_of(kind):
    return {
        "one": ["age"],
        "long": ["age", LONG, "$x^2$ & <b>y_1</b>"],
        "many": [f"attribute {i}" for i in range(20)],
    }[kind]


def groups_of(kind):
    return {
        "one": (["white"], ["net"]),
        "long": (["$x$", LONG], ["net", LONG]),
        "many": (
            ["asian", "black", "indigenous american", "middle eastern", "white"],
            [f"net {i}" for i in range(9)],
        ),
    }[kind]


def pairs_of(kind):
    rng = np.random.default_rng(1)
    races, systems = groups_of(kind)
    parts = []
    for system in systems[:3]:
        for race in [*races, "zz"]:
            for same, mean in ((True, 0.45), (False, 0.8)):
                a = rng.integers(0, 30, 200)
                b = a if same else (a + 1 + rng.integers(0, 28, 200)) % 30
                parts.append(
                    pd.DataFrame(
                        {
                            "system": system,
                            "race": race,
                            "gender": "female",
                            "seed_a": a,
                            "seed_b": b,
                            "same_identity": same,
                            "distance": np.abs(rng.normal(mean, 0.15, 200)),
                            "status": "ok",
                            "threshold": 0.6,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def forest(kind):
    coords = {"level": [1, 2], "attribute": names_of(kind)}
    return cb.plots.forest(draws("effect", coords), note="95% intervals.")


def sides(kind):
    coords = {"level": [1, 2], "attribute": names_of(kind)}
    human = draws("effect", coords, reference="0", contrast="level")
    machine = abs(draws("prediction", coords, sd=0.05))
    return human, machine.assign_attrs(failures="[]")


def dose(kind):
    return cb.plots.dose_response(*sides(kind))


def ranks(kind):
    effect = sides(kind)[0]["effect"].sel(level=2)
    return cb.plots.rank_heatmap(cb.rank_probabilities(effect, "attribute"))


def group_effects(kind):
    races, systems = groups_of(kind)
    coords = {
        "race": races,
        "gender": ["female", "male"],
        "pairs": ["genuine", "impostor"],
        "system": systems,
    }
    return cb.plots.group_effects(draws("effect", coords), xlabel="change")


def group_rates(kind):
    return cb.plots.group_rates(cb.error_rates(pairs_of(kind), ["race", "gender"]))


def det(kind):
    return cb.plots.det_curves(cb.det(pairs_of(kind), ["race"], draws=50))


def differentials(kind):
    rates = cb.error_rates(pairs_of(kind), ["race"])
    return cb.plots.rate_differentials(cb.rates.rate_ratios(rates))


def leaks(kind):
    names = names_of(kind)
    rows = [(a, q, a == q, 20.0 if a == q else 2.0, a == q) for a in names for q in names]
    table = pd.DataFrame(rows, columns=["attribute", "question", "own", "estimate", "clear"])
    return cb.plots.leak_matrix(table)


@pytest.mark.parametrize("kind", ["one", "long", "many"])
@pytest.mark.parametrize(
    "draw", [forest, dose, ranks, group_effects, group_rates, det, differentials, leaks]
)
def test_awkward_names_are_drawn_large_enough_and_apart(draw, kind):
    fig = draw(kind)
    fig.draw_without_rendering()
    assert fig.get_figwidth() <= TWO_COLUMNS
    texts = [one for one in fig.findobj(Text) if one.get_visible() and one.get_text().strip()]
    assert min(one.get_fontsize() for one in texts) >= 6
    for axes in fig.axes:
        for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
            shown = [one for one in ticks if one.get_text().strip() and not one.get_rotation()]
            boxes = [one.get_window_extent() for one in shown]
            inside = [box for box in boxes if box.width and fig.bbox.overlaps(box)]
            for one, other in combinations(inside, 2):
                assert not one.padded(-1).overlaps(other.padded(-1)), [t.get_text() for t in shown]
    box = fig.get_tightbbox()
    assert box.x0 > -0.1, "something is cut off on the left"
    assert box.x1 < fig.get_figwidth() + 0.1, "something is cut off on the right"
