"""First guesses of a user of brms, lme4, bambi, emmeans, marginaleffects, tidybayes or ArviZ.

Each works or is answered in words: none ends in a bare error of Python, pandas, bambi or xarray.
"""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.elsewhere import ARGUMENTS, NAMES


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    race = np.repeat(["a", "b", "c"], 40)
    return pd.DataFrame(
        {
            "race": race,
            "x": rng.normal(size=120),
            "seed": np.tile([f"s{k}" for k in range(12)], 10),
            "k": rng.binomial(10, 0.4, 120),
            "n": 10,
            "y": rng.normal(size=120) + (race == "b"),
            "rank": rng.integers(1, 5, 120),
        }
    )


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit("y ~ race + x + (1|seed)", rows, draws=200)


@pytest.fixture(scope="module")
def effect(fit):
    return cb.effects(fit, "race")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_another_package_is_answered_everywhere(name, fit, effect):
    for owner in (cb, fit, effect):
        if name in dir(owner):
            continue
        with pytest.raises(DataError, match=r"has no .*Hint: write "):
            getattr(owner, name)
        assert getattr(owner, name, None) is None
        assert not hasattr(owner, name)


def test_answers_name_what_there_is():
    known = {f"cb.{name}" for name in cb.__all__}
    for text in (*NAMES.values(), *ARGUMENTS.values()):
        said = {word.split("(")[0] for word in text.replace(",", " ").split() if "cb." in word}
        for one in said:
            name = one[one.index("cb.") :].rstrip(";.").split("[")[0]
            assert ".".join(name.split(".")[:2]) in known, text


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_an_argument_of_another_package_is_answered(argument, rows, fit, effect):
    calls = [
        lambda **one: cb.fit("y ~ x", rows, **one),
        lambda **one: cb.summarise(effect, **one),
    ]
    if argument != "newdata":  # which there is
        calls.append(lambda **one: cb.predictions(fit, "race", **one))
    for call in calls:
        with pytest.raises(DataError, match=r"has no argument.*Hint: write"):
            call(**{argument: 1})


GUESSES = {
    "factor()": lambda g: cb.fit("y ~ factor(race)", g.d),
    "as.factor()": lambda g: cb.fit("y ~ as.factor(race)", g.d),
    "I(x^2)": lambda g: cb.fit("y ~ I(x^2)", g.d),
    "ns()": lambda g: cb.fit("y ~ ns(x, 3)", g.d),
    "scale=FALSE": lambda g: cb.fit("y ~ scale(x, scale=FALSE)", g.d),
    "cbind()": lambda g: cb.fit("cbind(k, n - k) ~ race", g.d, family="binomial"),
    "trials()": lambda g: cb.fit("k | trials(n) ~ race", g.d, family="binomial"),
    "k/n": lambda g: cb.fit("k/n ~ race", g.d, family="binomial"),
    "weights()": lambda g: cb.fit("y | weights(n) ~ race", g.d),
    "mvbind()": lambda g: cb.fit("mvbind(y, x) ~ race", g.d),
    "0 + Intercept": lambda g: cb.fit("y ~ 0 + Intercept + race", g.d),
    "mo()": lambda g: cb.fit("y ~ mo(race)", g.d),
    "cens()": lambda g: cb.fit("y | cens(rank) ~ race", g.d),
    "trunc()": lambda g: cb.fit("y | trunc(0, 1) ~ race", g.d),
    "ordered()": lambda g: cb.fit("ordered(rank) ~ race", g.d, family="cumulative"),
    "contr.sum": lambda g: cb.fit("y ~ C(race, contr.sum)", g.d),
    "%in%": lambda g: cb.fit("y ~ race %in% seed", g.d),
    "y ~ .": lambda g: cb.fit("y ~ .", g.d),
    "family=normal": lambda g: cb.fit("y ~ race", g.d, family="normal"),
    "normal(0, 1)": lambda g: cb.fit("y ~ race", g.d, priors={"race": "normal(0, 1)"}),
    "student_t()": lambda g: cb.fit("y ~ x", g.d, priors={"x": "student_t(3, 0, 2.5)"}),
    "class b": lambda g: cb.fit("y ~ 1", g.d, priors={"b": "Normal(0, 1)"}),
    "horseshoe(1)": lambda g: cb.fit("y ~ race", g.d, priors={"b": "horseshoe(1)"}),
    "class sd": lambda g: cb.fit("y ~ race", g.d, priors={"sd": "HalfNormal(1)"}),
    "(Intercept)": lambda g: cb.fit("y ~ x", g.d, priors={"(Intercept)": "Normal(0, 1)"}),
    "no level": lambda g: cb.fit("y ~ race", g.d, priors={"race[q]": "Normal(0, 1)"}),
    "list of priors": lambda g: cb.fit("y ~ race", g.d, priors=["normal(0, 1)"]),
    "data first": lambda g: cb.fit(g.d, "y ~ race"),
    "file's name": lambda _: cb.fit("y ~ race", "data.csv"),
    "unquoted": lambda g: cb.fit("y ~ race", g.d, subset="race == a"),
    "effects()": lambda g: cb.effects(g.f),
    "two variables": lambda g: cb.effects(g.f, ["race", "x"]),
    "by in place": lambda g: cb.effects(g.f, "race", "x"),
    "predictions()": lambda g: cb.predictions(g.f),
    "hypothesis of a fit": lambda g: cb.hypotheses(g.f, {"h": "race[b] > 0"}),
    "hypothesis as text": lambda g: cb.hypotheses(g.e, "effect['b'] > 0"),
    "two fits to loo": lambda g: cb.loo(g.f, g.f),
    "two fits to loo_compare": lambda g: cb.loo_compare(g.f, g.f),
    "prob in place": lambda g: cb.summarise(g.e, 0.9),
    "a slip": lambda g: cb.efects(g.f, "race"),
}


@pytest.mark.parametrize("name", GUESSES)
def test_a_wrong_guess_ends_in_words(name, rows, fit, effect):
    with pytest.raises(DataError, match="Hint: "):
        GUESSES[name](SimpleNamespace(d=rows, f=fit, e=effect))


def test_functions_are_themselves_to_pickle_and_to_help(fit, effect):
    assert pickle.loads(pickle.dumps(cb.effects)) is cb.effects
    assert cb.effects.__doc__.startswith("Compute the average contrast")
    assert copy.deepcopy(effect).identical(effect)
    assert pickle.loads(pickle.dumps(effect)).identical(effect)
    assert copy.copy(fit).attrs == fit.attrs
