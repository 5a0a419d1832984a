"""Formulas: listed operations, names of columns, nested terms; right, or refused in advance."""

import bambi as bmb
import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.models.specification import OF_TABLES, RESERVED


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(20, 60, 300), "a": list("pqr") * 100})
    frame["b"] = list("uv") * 150
    slope = frame["a"].map({"p": 0.1, "q": 0.2, "r": 0.3})
    return frame.assign(y=slope * frame["x"] + (frame["b"] == "v") + rng.normal(0, 0.1, 300))


OPERATIONS = [
    "I(x/10)",
    "I(x / 10 + 1)",
    "I(-x)",
    "I(x*2 - 3)",
    "I(x**2)",
    "I(x > 40)",
    "I((x - 20)/40)",
    "log(x)",
    "log2(x)",
    "log10(x)",
    "exp(I(x/10))",
    "abs(x)",
    "np.log1p(x)",
    "np.sqrt(x/2)",
    "scale(x)",
    "center(x)",
    "standardize(x)",
    "bs(x, df=4)",
    "poly(x, 2)",
    "I(x/10) + I(x/20)",
]


@pytest.mark.parametrize("term", OPERATIONS)
def test_every_operation_fits_and_predicts_its_own_rows(rows, term, tmp_path):
    fit = cb.fit(f"y ~ {term}", rows, draws=100, file=tmp_path / "fit.nc")
    fit = cb.open(tmp_path / "fit.nc")
    found = cb.predictions(fit, ())["prediction"]
    assert float(found.mean()) == pytest.approx(rows["y"].mean(), abs=4 * float(found.std()))
    assert np.isfinite(cb.dose(fit, "x", grid=[30, 50])["prediction"].values).all()


CODINGS = [
    "C(a)",
    "T(a, 'q')",
    "S(a)",
    "a",
    "binary(a, 'q') + binary(a, 'r')",
    "I(a == 'q') + I(a == 'r')",
]


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding_of_a_factor_has_the_same_effects(rows, coding):
    table = cb.summarise(cb.effects(cb.fit(f"y ~ {coding} + x", rows), "a"))
    assert table["reference"].tolist() == ["p", "p"]
    means = rows.groupby("a")["y"].mean()
    expected = [means["q"] - means["p"], means["r"] - means["p"]]
    np.testing.assert_allclose(table["estimate"], expected, atol=0.5)


@pytest.mark.parametrize("formula", ["y ~ a/b", "y ~ 0 + a*b", "y ~ a*b", "y ~ a:b", "y ~ b/a"])
def test_nested_terms_have_the_means_of_the_cells(rows, formula):
    found = cb.summarise(cb.predictions(cb.fit(formula, rows, draws=500), ["a", "b"]))
    means = rows.groupby(["a", "b"])["y"].mean().to_numpy()
    np.testing.assert_allclose(found["estimate"], means, atol=0.2)


def test_a_slope_in_each_level_is_that_levels_own(rows):
    fit = cb.fit("y ~ a/x + b", rows, draws=500)
    slopes = cb.dose(fit, "x", by="a")["average_slope"].mean(("chain", "draw"))
    np.testing.assert_allclose(slopes, [0.1, 0.2, 0.3], atol=0.005)
    assert slopes["a"].values.tolist() == ["p", "q", "r"]


GOOD = [
    "two words",
    "dotted.name",
    "größe",
    "class",
    "lambda",
    "x,y",
    "it's",
    "100%",
    "[x]",
    "race_dim",
]


@pytest.mark.parametrize("name", GOOD)
def test_names_of_any_text_are_columns(rows, name):
    named = rows.rename(columns={"a": name, "x": f"{name} 2"})
    table = cb.summarise(cb.effects(cb.fit(f"y ~ `{name}` + `{name} 2`", named, draws=100), name))
    plain = cb.summarise(cb.effects(cb.fit("y ~ a + x", rows, draws=100), "a"))
    np.testing.assert_array_equal(table["estimate"], plain["estimate"])
    assert table[name].tolist() == ["q", "r"]


BAD = ["a_dim", "a__levels", "x:y", "x/y", "mu", *sorted(OF_TABLES), *sorted(RESERVED)]


@pytest.mark.parametrize("name", BAD)
def test_names_that_results_have_are_refused_before_sampling(rows, name):
    with pytest.raises(DataError, match="rename"):
        cb.fit(f"y ~ a + `{name}`", rows.assign(**{name: rows["b"]}), draws=10)


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("binary(a, 'q') ~ x", "no response"),
        ("C(y) ~ x", "no response"),
        ("y ~ 0", "no term of the population"),
        ("y ~ 0 + (1|a)", "no term of the population"),
        ("y ~ log(I(x - 40))", "is not finite in"),
        ("log(I(x - 40)) ~ a", "is not finite in"),
        ("y ~ a + offset(log(I(x - 40)))", "is not finite in"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_no_model_can_be_made_of_is_refused(rows, formula, told):
    with pytest.raises(DataError, match=told):
        cb.fit(formula, rows)


def test_columns_of_several_levels_are_refused_and_any_index_is_none(rows):
    several = rows.copy()
    several.columns = pd.MultiIndex.from_product([["m"], rows.columns])
    with pytest.raises(DataError, match="several levels"):
        cb.fit("y ~ x", several)
    odd = rows.set_axis([7] * len(rows), axis=0).rename_axis("row").assign(**{"other": 1})
    odd = odd.rename(columns={"other": 5})
    fit = cb.fit("y ~ x", odd, subset="b == 'u'", draws=50)
    assert fit.attrs["n_rows"] == 150


def test_ids_that_lost_their_zeros_in_one_column_are_not_two_levels():
    rng = np.random.default_rng(2)
    one, other = rng.integers(0, 12, (2, 60))
    rows = pd.DataFrame({"a": [f"{i:03d}" for i in one], "b": other, "y": rng.normal(size=60)})
    with pytest.raises(DataError, match="zeros were lost"):
        cb.fit("y ~ 1 + (1|mm(a, b))", rows, draws=10)
    pairs = rows.rename(columns={"a": "seed_a", "b": "seed_b", "y": "distance"})
    pairs = pairs[one != other].assign(race="x", same_identity=False)
    with pytest.raises(DataError, match="zeros were lost"):
        cb.error_rates(pairs.assign(distance=pairs["distance"].abs()), "race", threshold=1.0)


def test_a_level_in_every_row_leaves_nothing_to_tell_the_noise():
    rows = pd.DataFrame({"y": np.random.default_rng(0).normal(size=24)})
    rows["time"] = pd.date_range("2024-01-01", periods=24)
    with pytest.raises(DataError, match="24 coefficients of 24 observations"):
        cb.fit("y ~ time", rows, draws=10)


@pytest.mark.parametrize("prior", [1, ("Normal", 0, 1), None, bmb.Prior("Normal", mu=0, sigma=1)])
def test_a_prior_that_is_no_text_is_refused(rows, prior):
    with pytest.raises(DataError, match="the prior of 'x' is"):
        cb.fit("y ~ x", rows, priors={"x": prior}, draws=10)


def test_answers_that_are_no_ordered_categories_are_shown_as_they_are():
    rows = pd.DataFrame({"s": ["low", "high"] * 5, "x": range(10)})
    with pytest.raises(DataError, match=r"row 1: 'low', but .* \(and 9 more rows like it\)"):
        cb.fit("s ~ x", rows, family="cumulative", draws=10)
