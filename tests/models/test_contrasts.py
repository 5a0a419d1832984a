"""Contrasts of factors decide what coefficients are, and nothing that verbs say."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.contrasts import Helmert
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import same
from causalbias.models.specification import ModelSpec, model_frame

CODED = ("C(race, Sum)", "C(race, Helmert)", "C(race, Treatment('b'))", "C(race, Treatment)")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(6)
    race = np.repeat(["a", "b", "c"], 40)
    x = rng.normal(size=120)
    y = np.repeat([0.0, 1.0, 3.0], 40) + x * np.repeat([0.5, 1.0, 0.0], 40) + rng.normal(size=120)
    return pd.DataFrame({"y": y, "race": race, "x": x, "seed": np.tile(np.arange(12), 10)})


def coefficients(formula, rows):
    """Least squares on the design, by column."""
    spec = ModelSpec(formula)
    model = ModelDesign.of(spec, model_frame(spec, rows))
    return np.linalg.lstsq(model.design(model.frame), rows["y"])[0]


def test_helmert_is_rs():
    """R: contr.helmert(4)."""
    expected = [[-1, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]]
    found = Helmert().code_without_intercept(list("abcd"))
    assert found.matrix.tolist() == expected
    assert np.linalg.matrix_rank(Helmert().code_with_intercept(list("abcd")).matrix) == 4


def test_coefficients_are_those_of_the_contrast(rows):
    """In terms of the levels' means, which least squares of a factor reproduces."""
    a, b, c = rows.groupby("race")["y"].mean()
    grand = (a + b + c) / 3
    for coded, expected in {
        "C(race, Sum)": [grand, a - grand, b - grand],
        "C(race, Sum('a'))": [grand, b - grand, c - grand],
        "C(race, Helmert)": [grand, (b - a) / 2, (c - (a + b) / 2) / 3],
        "C(race, Treatment('b'))": [b, a - b, c - b],
        "C(race, contrast=Treatment(reference='c'))": [c, a - c, b - c],
    }.items():
        np.testing.assert_allclose(coefficients(f"y ~ {coded}", rows), expected, atol=1e-9)


@pytest.mark.parametrize("coded", CODED)
def test_differences_between_levels_do_not_depend_on_the_coding(rows, coded):
    found = []
    for one in ("race", coded):
        spec = ModelSpec(f"y ~ {one}*x")
        model = ModelDesign.of(spec, model_frame(spec, rows))
        fitted = np.linalg.lstsq(model.design(model.frame), rows["y"])[0]
        levels = [model.frame.assign(race=same(model.frame["race"], level)) for level in "abc"]
        found.append([model.design(at).mean(axis=0) @ fitted for at in levels])
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)


def test_effects_do_not_depend_on_the_coding(rows):
    left, right = (
        cb.effects(cb.fit(f"y ~ {coded}*x", rows), "race")["effect"]
        for coded in ("C(race, Helmert)", "race")
    )
    apart = left.mean(("chain", "draw")) - right.mean(("chain", "draw"))
    assert (abs(apart) < 0.3 * right.std(("chain", "draw"))).all()


def test_columns_and_group_terms_of_a_contrast(tmp_path, rows):
    assert formula_columns("y ~ C(race, Sum) + C(g, Treatment('Sum'))")[1] == ["y", "race", "g"]
    fit = cb.fit("y ~ C(race, Sum) + (C(race, Helmert)||seed)", rows, draws=50)
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    np.testing.assert_array_equal(
        cb.predictions(again, "race")["prediction"], cb.predictions(fit, "race")["prediction"]
    )


@pytest.mark.parametrize(
    ("term", "match"),
    [
        ("C(race, Treatment('absent'))", "levels"),
        ("C(race, Treatment(x))", "something else than a level"),
        ("C(race, Poly)", "Poly"),
        ("Sum(race)", "calls 'Sum'"),
        ("C(Sum(race))", "calls 'Sum'"),
    ],
)
def test_what_is_no_contrast_is_refused(rows, term, match):
    with pytest.raises(DataError, match=match):
        cb.fit(f"y ~ {term}", rows)
