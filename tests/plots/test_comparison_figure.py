"""The figure of a comparison shows what its table says."""

import numpy as np
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(1)
    dims = ("chain", "draw", "unit", "what")
    one, two = (rng.normal(mean, 0.2, (2, 100, 2, 3)) for mean in ([1, 2, 3], [1, 0, 5]))
    larger = (abs(two) > abs(one)).mean(axis=(0, 1))
    return xr.Dataset(
        {
            "difference": (dims, two - one),
            "effect_a": (dims, one),
            "effect_b": (dims, two),
            "p_larger": (dims[2:], larger),
        },
        coords={"unit": ["residual sd", "total sd"], "what": ["x", "y", "z"]},
        attrs={"a": "people", "b": "net", "failures": "[]"},
    )


def test_every_row_and_chance_is_there(draws):
    fig = cb.plots.comparison(draws, rope=(-1, 1))
    left, right = fig.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["y", "x", "z"]
    chances = [text.get_text() for text in right.texts]
    assert chances[0] == "< 0.001"
    assert chances[2] == "> 0.999"
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["people", "net"]


def test_a_failed_fit_is_marked(draws):
    fig = cb.plots.comparison(draws.assign_attrs(failures='["R-hat"]'))
    assert any(text.get_text() == "NOT CONVERGED" for text in fig.texts)


def test_what_is_not_estimable_has_a_row_that_says_so(draws):
    """One fit has the effect of y, the other has not: the row has one interval."""
    lost = draws.copy(deep=True)
    for name in ("difference", "effect_b", "p_larger"):
        lost[name] = lost[name].where(lost["what"] != "y")
    left, right = cb.plots.comparison(lost).axes
    assert [one.get_text() for one in left.get_yticklabels()] == ["y", "x", "z"]
    assert right.texts[0].get_text() == "not estimable"
    points = [line.get_xdata() for line in left.lines if len(line.get_xdata()) == 3]
    known = np.isfinite(np.array(points, float)).sum(axis=0)
    assert known[0] < known[1]
    assert known[0] > 0


def test_refusals(draws):
    with pytest.raises(DataError, match="use one of residual sd, total sd"):
        cb.plots.comparison(draws, unit="nope")
    with pytest.raises(DataError, match="keep one"):
        cb.plots.comparison(draws.isel(what=0))
