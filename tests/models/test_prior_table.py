"""Priors before a fit: the table, correlations, and what their names and numbers are."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.models.priors import parse_lkj


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 6)
    x = rng.normal(0, 2, 72)
    effects = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 12)
    y = effects[g, 0] + effects[g, 1] * x + rng.normal(0, 0.5, 72)
    race = np.tile(["a", "b", "c"], 24)
    return pd.DataFrame({"y": y, "x": x, "race": race, "g": g.astype(str)})


def test_every_parameter_has_its_prior_and_its_source(rows):
    given = {"x": "Normal(0, 3)", "cor|g": "LKJ(4)"}
    table = cb.get_prior("y ~ x + race + (x|g)", rows, priors=given).set_index("parameter")
    assert table["class"].to_dict() == {
        "Intercept": "Intercept",
        "x": "b",
        "race[b]": "b",
        "race[c]": "b",
        "1|g": "sd",
        "x|g": "sd",
        "cor|g": "cor",
        "sigma": "parameter",
    }
    assert set(table.index[table["source"] == "given"]) == {"x", "cor|g"}
    assert table.loc["x", "prior"] == "Normal(0, 3)"
    assert table.loc["cor|g", "prior"] == "LKJ(4)"
    sd = rows["y"].std(ddof=0)
    share = (rows["race"] == "b").std(ddof=0)
    assert table.loc["race[b]", "prior"] == f"Normal(0, {2.5 * sd / share:.4g})"
    assert table.loc["race[b]", "response_unit"] == pytest.approx(sd)
    assert table.loc["race[b]", "column_unit"] == pytest.approx(share)
    assert table.loc["x|g", "prior"] == f"HalfNormal({2.5 * sd / rows['x'].std(ddof=0):.4g})"
    assert table.loc["sigma", "prior"] == f"HalfStudentT(4, {sd:.4g})"


def test_what_the_table_says_can_be_given_and_is_the_same_model(rows):
    table = cb.get_prior("y ~ x + race + (1|g)", rows, family="t").set_index("parameter")
    kept = [name for name in table.index if "[" not in name and name != "Intercept"]
    again = cb.get_prior(
        "y ~ x + race + (1|g)", rows, family="t", priors=table.loc[kept, "prior"].to_dict()
    ).set_index("parameter")
    assert (again.loc[kept, "prior"] == table.loc[kept, "prior"]).all()
    assert (again.loc[kept, "source"] == "given").all()


def test_a_narrow_prior_of_correlations_draws_them_to_zero(rows):
    plain = cb.fit("y ~ x + (x|g)", rows)
    narrow = cb.fit("y ~ x + (x|g)", rows, priors={"cor|g": "LKJ(60)"})
    found = [abs(float(one["posterior"]["cor|g"].mean())) for one in (plain, narrow)]
    assert found[0] > 0.5
    assert found[1] < 0.5 * found[0]
    assert "cor|g ~ LKJ(60)" in repr(narrow)


@pytest.mark.parametrize("text", ["LKJ(0)", "LKJ(-1)", "Normal(0, 1)", "LKJ(1, 2)", "LKJ(nan)"])
def test_correlations_have_no_other_prior(text):
    with pytest.raises(cb.DataError, match=r"cannot read the prior|LKJ"):
        parse_lkj(text, "cor|g")


def test_a_prior_of_correlations_that_are_not_there_is_refused(rows):
    with pytest.raises(cb.DataError, match="not a term of the formula"):
        cb.fit("y ~ x + (1|g)", rows, priors={"cor|g": "LKJ(2)"})


def test_a_prior_of_a_probability_stays_within_zero_and_one():
    rows = pd.DataFrame({"y": [0, 1, 0, 3, 2, 0]})
    table = cb.get_prior("y ~ 1", rows, family="hurdle_poisson", priors={"psi": "Beta(1, 3)"})
    assert table.set_index("parameter").loc["psi", "prior"] == "Beta(1, 3)"
    for wrong in ("Normal(0, 1)", "Uniform(0, 2)", "HalfNormal(1)"):
        with pytest.raises(cb.DataError, match="reaches beyond zero or one"):
            cb.get_prior("y ~ 1", rows, family="hurdle_poisson", priors={"psi": wrong})
    with pytest.raises(cb.DataError, match="numbers below one"):
        cb.get_prior("y ~ 1 + (1|g)", rows.assign(g=list("aabbcc")), priors={"1|g": "Beta(2, 2)"})
