"""Whose average an estimate is: the population of groups, and what rows count in it."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.errors import DataError


@pytest.fixture(scope="module")
def faces():
    """Distances of 20 seeds' faces of three races, four pictures each."""
    rng, rows = np.random.default_rng(5), []
    seed, face = rng.normal(0, 0.02, 20), rng.normal(0, 0.05, (20, 3))
    for s, (j, race), _ in itertools.product(range(20), enumerate("abw"), range(4)):
        effect = 0.03 * (race == "b")
        distance = 0.3 + effect + seed[s] + face[s, j] + rng.normal(0, 0.05)
        rows.append((f"s{s}", race, f"s{s} {race}", distance))
    return pd.DataFrame(rows, columns=["seed", "race", "face", "distance"])


@pytest.fixture(scope="module")
def codings(faces):
    """One model, its faces' effects written in two ways."""
    return [
        cb.fit(f"distance ~ race + (1|seed) + (1|{name})", faces, draws=500)
        for name in ("seed:race", "face")
    ]


VERBS = {
    "effects": lambda fit, **who: cb.effects(fit, "race", reference="w", **who)["effect"],
    "predictions": lambda fit, **who: cb.predictions(fit, "race", **who)["prediction"],
    "counterfactual": lambda fit, **who: cb.counterfactual(
        fit, {"race": "b"}, {"race": "w"}, **who
    )["effect"],
    "false matches": lambda fit, **who: cb.effects(fit, "race", scale="FMR", threshold=0.25, **who)[
        "effect"
    ],
}


@pytest.mark.parametrize("verb", VERBS)
def test_one_model_in_two_codings_has_one_answer(verb, codings):
    first, second = (VERBS[verb](fit) for fit in codings)
    assert (np.abs(first.mean(("chain", "draw")) - second.mean(("chain", "draw"))) < 1e-3).all()
    ratio = first.std(("chain", "draw")) / second.std(("chain", "draw"))
    assert (np.abs(ratio - 1) < 0.1).all()


def test_the_seeds_own_average_depends_on_the_coding_and_is_called_what_it_is(codings):
    own = [cb.effects(fit, "race", reference="w", population="these") for fit in codings]
    sds = [float(one["effect"].sel(race="b").std()) for one in own]
    assert sds[0] < 0.7 * sds[1]
    table = cb.summarise(own[0])
    assert set(table["population"]) == {"these"}
    note = cb.plots.forest(own[0]).get_supxlabel()
    assert note.endswith("Against w; average of these groups alone.")


def test_the_default_is_the_mean_over_the_population_whatever_the_scale(codings):
    fit = codings[0]
    for options in ({}, {"scale": "FMR", "threshold": 0.25}):
        by_default = cb.effects(fit, "race", **options)
        asked = cb.effects(fit, "race", population="new", **options)
        assert by_default.identical(asked)
        assert by_default.attrs["population"] == "new"
    typical = cb.effects(fit, "race", population="typical")["effect"]
    np.testing.assert_allclose(cb.effects(fit, "race")["effect"], typical)


def test_an_average_by_the_seed_is_of_these_seeds(codings):
    fit = codings[0]
    assert cb.predictions(fit, "seed").attrs["population"] == "these"
    assert cb.effects(fit, "race", by="seed").attrs["population"] == "these"
    assert float(cb.predictions(fit, "seed")["prediction"].mean(("chain", "draw")).std()) > 0.01


def test_a_variable_of_group_terms_only_has_no_effect_in_the_population(faces):
    fit = cb.fit(
        "distance ~ 1 + (1|race) + (1|seed)", faces, draws=100, priors={"1|race": "HalfNormal(1)"}
    )
    assert cb.effects(fit, "race").attrs["population"] == "these"
    for population in ("new", "typical"):
        with pytest.raises(DataError, match=r"group terms only.*population='these'"):
            cb.effects(fit, "race", population=population)


def test_a_slope_of_a_column_called_y_is_read(faces):
    frame = faces.assign(y=np.tile([0.0, 1.0], len(faces) // 2))
    fit = cb.fit("distance ~ race + y + (y|seed)", frame, draws=100)
    assert np.isfinite(cb.summarise(cb.effects(fit, "race"))["estimate"]).all()


def test_cells_of_known_variables_keep_their_own_effects_in_the_population(faces):
    """``(1|race:sex)`` pools cells of the design: there are no new ones to be averaged over."""
    frame = faces.assign(sex=np.tile(["f", "m"], len(faces) // 2))
    frame["distance"] += 0.2 * ((frame["race"] == "b") & (frame["sex"] == "f"))
    fit = cb.fit("distance ~ race + sex + (1|race:sex) + (1|seed)", frame, draws=250)
    by_sex = cb.effects(fit, "race", by="sex", reference="w")["effect"].sel(race="b")
    means = by_sex.mean(("chain", "draw"))
    assert float(means.sel(sex="f") - means.sel(sex="m")) > 0.1
    rates = cb.predictions(fit, ["race", "sex"], scale="FMR", threshold=0.3)["prediction"]
    means = rates.sel(race="b").mean(("chain", "draw"))
    assert float(means.sel(sex="m") - means.sel(sex="f")) > 0.3


# Rows that stand for several observations ---------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(
    trials=st.lists(st.integers(0, 30), min_size=4, max_size=8).filter(
        lambda one: min(one[:4]) > 0
    ),
    chance=st.floats(0.2, 0.8),
    seed=st.integers(0, 100),
)
def test_binomial_rows_average_as_their_bernoulli_rows_do(trials, chance, seed):
    rng = np.random.default_rng(seed)
    counted = pd.DataFrame(
        {
            "n": trials,
            "g": np.resize(["a", "b"], len(trials)),
            "x": np.resize([0, 0, 1, 1], len(trials)),
        }
    )
    counted["k"] = rng.binomial(counted["n"], chance)
    priors = dict.fromkeys(("Intercept", "g", "x"), "Normal(0, 1.5)")
    a = cb.fit("p(k, n) ~ g + x", counted, family="binomial", priors=priors, draws=500)
    b = cb.fit("hit ~ g + x", _split(counted), family="bernoulli", priors=priors, draws=500)
    for verb in (
        lambda fit: cb.predictions(fit, "g"),
        lambda fit: cb.effects(fit, "g"),
        lambda fit: cb.dose(fit, "x", by="g"),
    ):
        one, other = verb(a), verb(b)
        np.testing.assert_array_equal(one["n"], other["n"])
        name = str(next(iter(one.data_vars)))
        first, second = one[name], other[name]
        sd = np.maximum(first.std(("chain", "draw")), 1e-9)
        away = np.abs(first.mean(("chain", "draw")) - second.mean(("chain", "draw"))) / sd
        assert (away < 0.2).all()


def _split(counted):
    """Binomial rows as their bernoulli rows."""
    parts = [
        pd.DataFrame({"hit": [1] * row.k + [0] * (row.n - row.k), "g": row.g, "x": row.x})
        for row in counted.itertuples()
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_column_of_trials_is_no_variable(faces):
    frame = pd.DataFrame({"k": [3, 5, 2, 6], "n": [10, 9, 8, 12], "x": [0, 1, 0, 1]})
    fit = cb.fit("p(k, n) ~ x", frame, family="binomial", draws=100)
    with pytest.raises(DataError, match="'n' is not a variable of the model"):
        cb.effects(fit, "n")
    assert int(cb.predictions(fit, ())["n"]) == 39
