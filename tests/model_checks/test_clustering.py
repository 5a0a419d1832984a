"""Unmodelled clustering is found in whatever column says it, and not where there is none."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.model_checks.clustering import Clustering, clustering, unmodelled_groupings
from causalbias.models.fitted import fitted
from causalbias.models.groupings import grouping_columns
from causalbias.models.result import frame_with_others

DRAWS = {"draws": 100, "chains": 2}


def study(seed: int, sd: float) -> pd.DataFrame:
    """120 rows of 12 people, crossed with x; people differ by a normal effect of this sd."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(12), 10)
    x = rng.permutation(np.tile([0.0, 1.0], 60))
    y = 0.5 * x + sd * rng.standard_normal(12)[who] + rng.standard_normal(120)
    return pd.DataFrame({"y": y, "x": x, "who": who + 100})


COLUMNS = {
    "int64": lambda who: who,
    "Int64": lambda who: who.astype("Int64"),
    "int8": lambda who: (who - 100).astype("int8"),
    "text": lambda who: "person " + who.astype(str),
    "object": lambda who: ("person " + who.astype(str)).astype(object),
    "category": lambda who: ("p" + who.astype(str)).astype("category"),
    "numbers as categories": lambda who: pd.Categorical(who, categories=np.arange(111, 99, -1)),
    "unused categories": lambda who: pd.Categorical(who, categories=np.arange(90, 130)),
    "pyarrow": lambda who: who.astype(str).astype("string[pyarrow]"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_type_is_found(kind):
    frame = study(1, 1.5)
    first = clustering(cb.fit("y ~ x", frame, **DRAWS))
    frame["who"] = COLUMNS[kind](frame["who"])
    fit = cb.fit("y ~ x", frame, **DRAWS)
    assert clustering(fit) == first
    row = cb.check(fit).set_index("check").loc["clustering"]
    assert row["verdict"] == "fail"
    assert "(1|who)" in row["hint"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(np.linspace(0, 1, 120)),
        pd.Series(np.arange(120)),
        pd.Series([True, False] * 60),
        pd.Series([[1]] * 120),
        pd.Series(["a", "b", "c", None, "e", "f"] * 20),
        pd.Series(["a", "b", "c", "NA", "e", "f"] * 20),
        pd.Series(["a", "b", 3, 4, 5, 6] * 20),
        pd.to_datetime(pd.Series(np.arange(120) // 10)),
        pd.Series(["a", "b", "c", "d"] * 30),
    ],
    ids=["floats", "one a row", "bool", "lists", "None", "NA", "mixed", "dates", "four levels"],
)
def test_a_column_that_groups_nothing_is_left_alone(values):
    frame = study(1, 0.0).drop(columns="who").assign(other=values)
    assert clustering(cb.fit("y ~ x", frame, **DRAWS)) is None


@pytest.mark.slow
def test_a_right_model_seldom_fails():
    """At most 2 of 100 (Meng 1994): 4 or more of 30 would come with probability below 0.003."""
    p = [
        clustering(cb.fit("y ~ x", study(seed, 0.0), draws=150, chains=2, random_seed=seed))[1].p
        for seed in range(30)
    ]
    assert np.sum(np.array(p) < 0.01) < 4
    assert np.median(p) > 0.2  # and it is not asleep: half of the correlations are positive
    assert np.mean(np.array(p) < 0.5) > 0.15


def test_members_of_pairs_are_one_grouping_and_the_line_runs():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 20, 200)
    second = (first + rng.integers(1, 20, 200)) % 20
    effect = rng.standard_normal(20)
    y = (effect[first] + effect[second]) / 2 + 0.7 * rng.standard_normal(200)
    name = np.array([f"f{k}" for k in range(20)])
    frame = pd.DataFrame({"y": y, "id_a": name[first], "id_b": name[second]})
    fit = cb.fit("y ~ 1", frame, **DRAWS)
    assert clustering(fit)[0] == ("id_a", "id_b")
    row = cb.check(fit).set_index("check").loc["clustering"]
    assert row["verdict"] == "fail"
    assert "(1|mm(id_a, id_b))" in row["hint"]
    healed = cb.update(fit, formula=". ~ . + (1|mm(id_a, id_b))")
    assert "clustering" not in set(cb.check(healed)["check"])


def test_effects_of_pairs_do_not_hide_their_seed():
    """A finer term takes up what its seed has in common, and residuals alone show nothing."""
    rng = np.random.default_rng(3)
    seed, pair = np.repeat(np.arange(25), 8), np.repeat(np.arange(100), 2)
    y = rng.standard_normal(25)[seed] + 0.3 * rng.standard_normal(100)[pair]
    frame = pd.DataFrame({"y": y + 0.5 * rng.standard_normal(200), "seed": seed, "pair": pair})
    way, found = clustering(cb.fit("y ~ 1 + (1|pair)", frame, draws=150, chains=2))
    assert way == ("seed",)
    assert found.p < 0.01


def test_groupings_that_are_modelled_or_say_the_same_are_none():
    frame = study(0, 1.0)
    frame["name"] = "n" + frame["who"].astype(str)
    frame["also_a"] = frame["also_b"] = frame["name"]
    assert list(unmodelled_groupings(fitted(cb.fit("y ~ x", frame, **DRAWS)))) == [("who",)]
    for formula in ("y ~ x + (1|who)", "y ~ x + (1|name)"):
        assert not unmodelled_groupings(fitted(cb.fit(formula, frame, **DRAWS)))
    slopes = fitted(cb.fit("y ~ x + (0 + x|who)", frame, **DRAWS))
    assert list(unmodelled_groupings(slopes)) == [("who",)]


def test_a_fit_keeps_no_names_that_its_formula_does_not_use():
    frame = study(0, 1.0)
    frame["mail"] = frame["who"].astype(str) + "@example.org"
    fit = cb.fit("y ~ x", frame.drop(columns="who"), **DRAWS)
    kept = frame_with_others(fit)
    assert kept["mail"].cat.categories[:2].tolist() == ["#1", "#2"]
    assert (pd.factorize(kept["mail"])[0] == pd.factorize(frame["mail"])[0]).all()


def test_members_are_numbered_together_or_keep_the_labels_of_the_member_that_is_used():
    names = np.array(list("abcdefgh"))
    rows = np.arange(80)
    frame = pd.DataFrame({"y": 0.1 * rows, "id_a": names[rows % 8], "id_b": names[rows // 10]})
    numbered = grouping_columns(frame, ["y"])
    pairs = {
        (new, old)
        for side in numbered
        for new, old in zip(numbered[side], frame[side], strict=True)
    }
    assert len(pairs) == 8
    assert grouping_columns(frame, ["y", "id_a"])["id_b"].tolist() == frame["id_b"].tolist()


def test_the_correlation_is_that_of_all_pairs_of_rows():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, (15, 2))
    residuals = rng.standard_normal((4, 15)) + 0.5
    # A level that a row has twice counts once.
    sets = [set(row) for row in codes.tolist()]
    weight = np.array([[len(one & other) for other in sets] for one in sets], float)
    np.fill_diagonal(weight, 0)
    found = np.einsum("di,ij,dj->d", residuals, weight, residuals) / weight.sum()
    expected = np.maximum(found / np.mean(residuals**2, axis=1), 0)
    np.testing.assert_allclose(Clustering.of(codes).correlation(residuals), expected)


REMARKS = {
    "comment": lambda at: ["fine", "odd", "blurred", "dark", "small", "good"][at % 6],
    "file_name": lambda at: f"part{at % 6}.csv",
    "source": lambda at: f"raw/{at % 6}.parquet",
    "q7": lambda at: f"I had seen face {at % 6} before",
}


@pytest.mark.parametrize("name", REMARKS)
def test_what_is_said_of_rows_is_no_grouping_of_them(name):
    """A file that each row is from, or a comment that several rows have."""
    rows = pd.DataFrame({"y": np.arange(60.0), "face": [f"f{at % 12}" for at in range(60)]})
    rows[name] = [REMARKS[name](at) for at in range(60)]
    assert list(grouping_columns(rows, ["y"])) == ["face"]
