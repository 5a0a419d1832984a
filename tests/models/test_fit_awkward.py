"""Gaussian models that an engine may do badly: `fit` is right, or refuses with the reason."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import solve_triangular

import causalbias as cb
from causalbias import DataError
from causalbias.inference.problem import EngineError, numerical
from causalbias.models import bambi_models, engines
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.identified import check_identified
from causalbias.models.specification import ModelSpec, model_frame


@pytest.fixture(scope="module")
def rows():
    """Unbalanced groups, the last of them seen once."""
    rng = np.random.default_rng(11)
    g = np.append(np.repeat(np.arange(12), rng.integers(2, 9, 12)), 12)
    x = rng.normal(size=len(g))
    y = 1 + 0.5 * x + rng.normal(0, 0.8, 13)[g] + rng.normal(0, 0.5, len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g})


def gap(one, other, times=1.0):
    """Difference of two summary rows in Monte Carlo errors, the first multiplied."""
    error = np.hypot(
        times * one["sd"] / np.sqrt(one["ess_bulk"]), other["sd"] / np.sqrt(other["ess_bulk"])
    )
    return abs(times * one["estimate"] - other["estimate"]) / error


def test_columns_on_another_scale(rows):
    plain = cb.summary(cb.fit("y ~ x + (x|g)", rows))
    large = cb.fit("y ~ x + (x|g)", rows.assign(x=1e6 * rows["x"], y=1e-6 * rows["y"]))
    assert cb.failures(large) == []
    scaled = cb.summary(large)
    for name, times in {"x": 1e12, "sd(x|g)": 1e12, "sd(1|g)": 1e6, "sigma": 1e6}.items():
        assert gap(scaled.loc[name], plain.loc[name], times) < 4
        assert times * scaled.loc[name, "sd"] == pytest.approx(plain.loc[name, "sd"], rel=0.1)


def test_a_column_far_from_zero(rows):
    near, far = (
        cb.summary(cb.fit("y ~ x + (1|g)", rows.assign(x=rows["x"] + by))) for by in (0.0, 1e6)
    )
    assert gap(far.loc["x"], near.loc["x"]) < 4
    assert far.loc["x", "sd"] == pytest.approx(near.loc["x", "sd"], rel=0.1)


def test_a_group_seen_once(rows):
    fit = cb.fit("y ~ x + (1|g)", rows)
    assert cb.failures(fit) == []
    draws = fit["posterior"].to_dataset()
    once, last = draws["1|g"].sel(g__factor_dim="12"), rows.iloc[-1]
    # given all else, its effect is normal about the shrunken residual of its only row
    shrink = draws["1|g_sigma"] ** 2 / (draws["1|g_sigma"] ** 2 + draws["sigma"] ** 2)
    off = once - shrink * (last["y"] - draws["Intercept"] - draws["x"] * last["x"])
    z = off / (draws["sigma"] * np.sqrt(shrink))
    assert abs(float(z.mean())) < 4 / np.sqrt(2000)
    assert float(z.std()) == pytest.approx(1, abs=0.06)


def test_groups_all_seen_once_are_refused_before_sampling(rows):
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"y": 2 + rng.normal(size=40), "g": np.arange(40), "h": np.arange(40) % 5})
    for method in ("auto", "collapsed", "nuts"):
        with pytest.raises(DataError, match="one observation: nothing in the data tells"):
            cb.fit("y ~ 1 + (1|g)", frame, method=method)
    with pytest.raises(DataError, match=r"'h:g' has one observation"):
        cb.fit("y ~ 1 + (1|h/g)", frame)
    few = rows.assign(pair=np.arange(len(rows)) // 2)
    with pytest.raises(DataError, match=r"more effects \(.*\) than there are observations"):
        cb.fit("y ~ x + (x|pair)", few)


def test_slopes_of_levels_of_one_row_are_refused_for_their_number_and_not_as_unidentified():
    """A row's variance is sigma^2 + tau^2 x^2: unidentified only where x^2 does not vary."""
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"y": rng.normal(size=60), "g": np.arange(60), "x": rng.normal(size=60)})
    frame = frame.assign(s=np.where(frame["x"] > 0, 2.0, -2.0), k=np.tile(["u", "v"], 30))
    with pytest.raises(DataError) as caught:
        cb.fit("y ~ x + (0 + x|g)", frame)
    assert caught.value.problem == (
        "(0 + x|g) has as many effects (60) as there are observations (60), so their standard "
        "deviation cannot be separated from sigma"
    )
    for effects, named in (("0 + s", "0 + s"), ("x", "1"), ("0 + k", "0 + k")):
        with pytest.raises(DataError, match="nothing in the data tells") as caught:
            cb.fit(f"y ~ x + s + ({effects}|g)", frame)
        assert f"standard deviation of ({named}|g) from sigma" in caught.value.problem
    answers = frame.assign(y=rng.integers(0, 2, 60))
    model = ModelSpec("y ~ x + (0 + x|g)", "bernoulli")
    check_identified(ModelDesign.of(model, model_frame(model, answers)))  # nothing to refuse


@pytest.mark.parametrize("family", ["bernoulli", "cumulative", "beta"])
def test_single_answers_tell_nothing_of_their_own_effects(family):
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"y": rng.integers(0, 2, 40), "g": np.arange(40)})
    if family == "beta":
        frame["y"] = rng.uniform(0.1, 0.9, 40)
    with pytest.raises(DataError, match="one observation"):
        cb.fit("y ~ 1 + (1|g)", frame, family=family)


def test_rows_of_several_trials_have_effects_of_their_own():
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"n": rng.integers(20, 40, 60), "g": np.arange(60)})
    frame["k"] = rng.binomial(frame["n"], 1 / (1 + np.exp(-rng.normal(0, 1.5, 60))))
    fit = cb.fit("p(k, n) ~ 1 + (1|g)", frame, family="binomial")
    assert cb.failures(fit) == []
    assert 1.0 < float(fit["posterior"]["1|g_sigma"].mean()) < 2.1


def test_weights_that_differ_tell_single_effects_from_noise():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"w": rng.uniform(1, 400, 300), "g": np.arange(300)})
    frame["y"] = rng.normal(size=300) + rng.normal(0, 10 / np.sqrt(frame["w"]))
    fit = cb.fit("y ~ 1 + (1|g)", frame, weights="w")
    assert cb.failures(fit) == []
    assert 0.7 < float(fit["posterior"]["1|g_sigma"].mean()) < 1.3


def test_a_grouping_factor_of_one_level_is_refused(rows):
    with pytest.raises(DataError, match="has one level, 'only'"):
        cb.fit("y ~ x + (1|g)", rows.assign(g="only"))


def test_of_collinear_columns_the_last_is_left_out_and_named(rows):
    one = cb.summary(cb.fit("y ~ x + (1|g)", rows)).loc["x"]
    fit = cb.fit("y ~ x + z + (1|g)", rows.assign(z=2 * rows["x"]))
    assert cb.failures(fit) == []
    assert "z" not in fit["posterior"]
    assert "left out (no rows, or the same as other columns): z." in repr(fit)
    assert gap(cb.summary(fit).loc["x"], one) < 4


def test_collinear_columns_with_priors_share_their_effect(rows):
    one = cb.summary(cb.fit("y ~ x + (1|g)", rows)).loc["x"]
    wide = dict.fromkeys("xz", "Normal(0, 3)")
    fit = cb.fit("y ~ x + z + (1|g)", rows.assign(z=2 * rows["x"]), priors=wide)
    draws = fit["posterior"].to_dataset()
    total = draws["x"] + 2 * draws["z"]
    assert float(total.mean()) == pytest.approx(one["estimate"], abs=0.1 * one["sd"])
    assert float(total.std()) == pytest.approx(one["sd"], rel=0.1)
    assert float(draws["x"].std()) > 5 * one["sd"]
    assert "Identified by the priors given, not by rows: x, z." in repr(fit)


def test_improper_posteriors_are_refused_by_any_method(rows):
    for method in ("auto", "collapsed"):
        with pytest.raises(DataError, match="constant within groups"):
            cb.fit("y ~ 1 + (1|g)", rows.assign(y=rows["g"] * 1.5), method=method)
        with pytest.raises(DataError, match="exact linear function"):
            cb.fit("y ~ x", rows.assign(y=3 - 2 * rows["x"]), method=method)


def test_a_flat_prior_tells_nothing_of_a_collinear_column(rows):
    flat = {"x": "Flat()", "z": "Flat()"}
    fit = cb.fit("y ~ x + z", rows.assign(z=2 * rows["x"]), priors=flat)
    assert json.loads(fit.attrs["left_out"]) == ["z"]
    assert gap(cb.summary(fit).loc["x"], cb.summary(cb.fit("y ~ x", rows)).loc["x"]) < 4


@pytest.mark.parametrize("seed", range(4))
def test_a_factor_mostly_of_single_levels_is_proper(seed):
    """A level's only row is fitted exactly by its effect, and the others are not."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(5), [300, 1, 1, 2, 1])
    frame = pd.DataFrame({"x": rng.normal(size=len(g)), "g": g})
    frame["y"] = rng.normal(size=5)[g] + rng.normal(size=len(g))
    fit = cb.fit("y ~ x + (x|g)", frame, draws=250)
    assert 0.85 < float(fit["posterior"]["sigma"].mean()) < 1.15


@pytest.mark.parametrize("seed", range(4))
def test_raters_of_few_answers_are_proper(seed):
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.arange(15), np.arange(4)])
    frame = pd.DataFrame({"g": g, "y": rng.normal(50, 10, 15)[g] + rng.normal(0, 5, len(g))})
    fit = cb.fit("y ~ 1 + (1|g)", frame, draws=250)
    total = fit["posterior"]["1|g_sigma"] ** 2 + fit["posterior"]["sigma"] ** 2
    assert 0.3 < float(np.sqrt(total).mean()) / frame["y"].std() < 3


def test_noise_too_small_for_the_numbers_is_no_exact_fit():
    """y is all but constant within groups: proper, and nothing says that it is not."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 5)
    frame = pd.DataFrame({"g": g, "y": 1.5 * g + rng.normal(0, 1e-4, len(g))})
    fit = cb.fit("y ~ 1 + (1|g)", frame, draws=250)
    assert float(fit["posterior"]["sigma"].mean()) == pytest.approx(1e-4, rel=0.3)


def test_more_coefficients_than_rows_follow_their_priors():
    rng = np.random.default_rng(13)
    frame = pd.DataFrame(rng.normal(size=(6, 10)), columns=list("abcdefghij")).assign(
        y=rng.normal(size=6)
    )
    names = list("abcdefghij")
    priors = dict.fromkeys(names, "Normal(0, 1)") | {"Intercept": "Normal(0, 1)"}
    fit = cb.fit(f"y ~ {' + '.join(names)}", frame, priors=priors)
    assert cb.failures(fit) == []
    # no combination of columns can be better known than by its prior alone, nor worse
    assert (cb.summary(fit).loc[names, "sd"] < 1.1).all()
    hidden = np.linalg.svd(frame[names] - frame[names].mean())[2][-1]
    draws = np.stack([fit["posterior"][name].values.ravel() for name in names], axis=1)
    assert (draws @ hidden).std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("y ~ race + x", "gaussian"),
        ("y ~ race*x", "gaussian"),
        ("y ~ C(same)", "gaussian"),
        ("y ~ x + (race|g)", "gaussian"),
        ("k ~ race + (1|g)", "cumulative"),
    ],
)
def test_a_factor_of_one_level_is_named(rows, formula, family):
    """A subset that leaves one race, say: R's "contrasts need 2 or more levels"."""
    frame = rows.assign(race="black", same=3, k=np.arange(len(rows)) % 3, a="also once")
    with pytest.raises(DataError, match=r"^column '(race|same)': '(race|same)' has one level only"):
        cb.fit(formula, frame, family=family)


def test_a_fault_of_an_engine_is_no_reason_to_sample_by_another(rows, monkeypatch):
    def faulty(*_, **__):
        raise ValueError("operands could not be broadcast together")

    def declining(*_, **__):
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setitem(engines._ENGINES, "collapsed", faulty)
    with pytest.raises(ValueError, match="broadcast") as caught:
        cb.fit("y ~ x", rows)
    assert not isinstance(caught.value, DataError)
    monkeypatch.setitem(engines._ENGINES, "collapsed", declining)
    with pytest.raises(DataError, match="declines: not positive definite"):
        cb.fit("y ~ x", rows, method="collapsed")


@pytest.mark.parametrize("fault", ["apart", "stuck", ""])
def test_chains_that_differ_are_a_reason_to_sample_by_another(rows, monkeypatch, fault):
    """Draws of an engine are independent: where they are not, another's may be."""
    own, went_on = engines._ENGINES["collapsed"], []

    def biased(model, settings):
        found = own(model, settings)
        draws = found.posterior["x"].values
        draws[:] = draws[:, :1] if fault == "stuck" else draws
        draws[0] += 3 * draws.std() if fault == "apart" else 0
        return found

    def other(model, settings, *, why, announced):
        went_on.append(why)
        return own(model, settings)

    monkeypatch.setitem(engines._ENGINES, "collapsed", biased)
    monkeypatch.setattr(engines, "_nuts", other)
    bad = cb.failures(cb.fit("y ~ x", rows, draws=500))
    assert not bad
    assert [("R-hat of x is" in why, "declined" in why) for why in went_on] == (
        [(True, True)] if fault else []
    )
    assert cb.failures(cb.fit("y ~ x", rows, draws=500, method="collapsed")) if fault else True
    assert len(went_on) == bool(fault)


def test_numbers_that_overflow_are_the_engines_to_decline():
    with pytest.raises(EngineError, match="overflowed"), numerical():
        solve_triangular([[np.nan]], [1.0])
    with pytest.raises(ValueError, match="incompatible") as caught, numerical():
        solve_triangular(np.eye(2), np.ones(3))
    assert not isinstance(caught.value, EngineError)


def test_columns_that_no_formula_is_rid_of_end_in_an_error(rows, monkeypatch):
    monkeypatch.setattr(bambi_models, "_minus", lambda *_: " ")
    with pytest.raises(DataError, match="no formula without them was found"):
        cb.fit("y ~ x + z", rows.assign(z=2 * rows["x"]))


@pytest.mark.parametrize("written", ["I(x / 2)|g", "I(x/2)|g", "I(x ÷ 2)|g"])
def test_a_prior_of_a_group_term_with_a_division_is_found_however_it_is_written(rows, written):
    model = ModelSpec("y ~ x + (0 + I(x / 2)|g)", priors={written: "HalfNormal(7)"})
    used = model_frame(model, rows)
    found = arrays_of(ModelDesign.of(model, used)).sd_priors
    given = {written: "HalfNormal(70)"}
    wider = arrays_of(ModelDesign.of(replace(model, priors=given), used)).sd_priors
    for one, other in zip(found.values(), wider.values(), strict=True):
        assert other[0].args["sigma"] == pytest.approx(10 * one[0].args["sigma"])
    twice = replace(model, priors=given | {"I( x/2 )|g": "HalfNormal(1)"})
    with pytest.raises(DataError, match="two priors"):
        arrays_of(ModelDesign.of(twice, used))
