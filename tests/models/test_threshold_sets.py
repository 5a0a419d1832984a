"""Thresholds that differ between the levels of a column: ``score | thres(gr=item) ~ x``."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias import DataError
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign, fitted
from causalbias.models.formula.limits import Limits
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.models.test_shrinkage import natural

CUTS = {"a": [-1.5, -0.2, 0.6, 1.8], "b": [-0.5, 0.4, 1.0], "c": [0.3]}
FORMULA = "score | thres(gr=item) ~ x + (1|person)"
SPEC = ModelSpec("score ~ x", "cumulative", limits=Limits(group="item"))


@pytest.fixture(scope="module")
def rows():
    """Answers of 60 persons, four to each of three items with 5, 4 and 2 categories."""
    rng = np.random.default_rng(1)
    item = np.tile(np.repeat(list("abc"), 4), 60)
    person = np.repeat(np.arange(60), 12)
    x = rng.normal(size=720)
    latent = 0.8 * x + rng.normal(0, 0.7, 60)[person] + rng.logistic(size=720)
    score = [
        1 + int(np.searchsorted(CUTS[i], value)) for i, value in zip(item, latent, strict=True)
    ]
    person = np.char.add("p", person.astype(str))
    return pd.DataFrame({"score": score, "item": item, "person": person, "x": x})


@pytest.fixture(scope="module")
def fit(rows):
    return cb.fit(FORMULA, rows, family="cumulative", method="laplace", random_seed=2)


def estimates(fit):
    return cb.summary(fit)[["estimate", "sd"]]


def agree(one, two, within=0.12):
    """Means within so many posterior sds, sds within a tenth."""
    two = two.loc[one.index]
    assert ((one["estimate"] - two["estimate"]).abs() < within * two["sd"]).all()
    assert ((one["sd"] / two["sd"] - 1).abs() < 0.1).all()


def test_the_truth_is_found(fit):
    found = estimates(fit)
    truth = {f"threshold[{i}, {k}]": cut for i, cuts in CUTS.items() for k, cut in enumerate(cuts)}
    truth |= {"x": 0.8, "sd(1|person)": 0.7}
    assert set(truth) == set(found.index)
    away = (found["estimate"] - pd.Series(truth)) / found["sd"]
    assert (away.abs() < 3).all()
    assert not cb.failures(fit)


def test_neither_names_and_order_of_levels_nor_order_of_rows_matter(rows, fit):
    other = rows.sample(frac=1, random_state=3)
    other["item"] = other["item"].map({"a": "z", "b": "m", "c": "f"})
    found = estimates(cb.fit(FORMULA, other, family="cumulative", random_seed=5))
    found.index = found.index.str.replace("[z,", "[a,").str.replace("[m,", "[b,")
    found.index = found.index.str.replace("[f,", "[c,")
    agree(estimates(fit), found)


def test_one_level_is_the_model_without(rows):
    given = {"family": "cumulative", "draws": 300, "random_seed": 1}
    own = rows[rows["item"] == "a"]
    one, plain = cb.fit(FORMULA, own, **given), cb.fit("score ~ x + (1|person)", own, **given)
    for name in ("threshold", "x", "1|person_sigma", "1|person"):
        np.testing.assert_array_equal(one["posterior"][name], plain["posterior"][name])
    found, expected = (
        cb.summarise(cb.predictions(each, (), scale="probability")) for each in (one, plain)
    )
    np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-10)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_fits_apart_are_the_fit_where_nothing_is_in_common(rows, link):
    given = {"family": "cumulative", "link": link, "draws": 2000}
    every = cb.fit(
        "score | thres(gr=item) ~ 0 + item:x",
        rows,
        priors={"item:x": "Normal(0, 2)", "threshold": "Normal(0, 4)"},
        **given,
    )
    found = estimates(every)
    for item in "ab":
        apart = cb.fit(
            "score ~ x",
            rows[rows["item"] == item],
            priors={"x": "Normal(0, 2)", "threshold": "Normal(0, 4)"},
            **given,
        )
        own = estimates(apart)
        own.index = own.index.str.replace("threshold[", f"threshold[{item}, ")
        agree(own.rename(index={"x": f"item:x[{item}]"}), found)


@pytest.mark.parametrize(
    ("family", "link"),
    [("cumulative", "logit"), ("cumulative", "cloglog"), ("sratio", "probit"), ("acat", "logit")],
)
def test_the_density_that_nuts_samples(rows, family, link):
    spec = ModelSpec("score ~ x", family, link, limits=Limits(group="item"))
    model = ModelDesign.of(spec, model_frame(spec, rows))
    inner = nuts_model(model, arrays_of(model, normal=False))
    point, values = natural(inner, np.random.default_rng(1))
    above = {
        "logit": lambda v: special.expit(-v),
        "probit": lambda v: special.ndtr(-v),
        "cloglog": lambda v: np.exp(-np.exp(v)),
    }[link]
    expected = stats.norm.logpdf(point["x"], 0, 2.5 / rows["x"].std(ddof=0)).sum()
    prior, at = model.prior("threshold").args, 0
    for item in "abc":
        own = rows[rows["item"] == item]
        cuts, codes = point[f"threshold: {item}"], own["score"].to_numpy() - 1
        assert len(cuts) == len(CUTS[item])
        part = slice(at, at + len(cuts))
        at += len(cuts)
        means = np.linspace(-2, 2, len(cuts)) if family == "cumulative" else 0 * cuts
        np.testing.assert_allclose(prior["mu"][part], means, atol=0.005)
        ends = cuts - point["x"] * own["x"].to_numpy()[:, None]
        one, none = np.ones((len(own), 1)), np.zeros((len(own), 1))
        if family == "cumulative":
            chances = -np.diff(np.hstack([one, above(ends), none]), axis=1)
        elif family == "sratio":
            reached = np.hstack([one, above(ends).cumprod(axis=1), none])
            chances = -np.diff(reached, axis=1)
        else:
            chances = special.softmax(np.hstack([none, -ends.cumsum(axis=1)]), axis=1)
        expected += np.log(chances[np.arange(len(own)), codes]).sum()
        expected += stats.norm.logpdf(cuts, prior["mu"][part], prior["sigma"]).sum()
    found = inner.compile_logp(jacobian=False)(values)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    slopes = inner.compile_dlogp()(values)
    assert np.isfinite(slopes).all()


@pytest.mark.slow
def test_nuts_agrees(rows, fit):
    other = cb.fit(FORMULA, rows, family="cumulative", method="nuts", chains=2, random_seed=4)
    agree(estimates(fit), estimates(other), within=0.15)


def test_probabilities_are_those_of_the_items_own_thresholds(rows, fit):
    fit = fit.isel(draw=slice(None, None, 5))
    shares = cb.predictions(fit, "item", scale="probability", population="typical")
    assert np.allclose(shares["prediction"].sum("category"), 1)
    short = shares["prediction"].sel(item="c")
    assert float(short.sel(category=[3, 4, 5]).max()) == 0
    posterior, own = fit["posterior"], rows[rows["item"] == "b"]["x"].to_numpy()
    cut = posterior["threshold"].sel(threshold_dim="b, 1").values
    eta = posterior["x"].values[..., None] * own
    above = special.expit(eta - cut[..., None]).mean(axis=-1)
    passed = cb.predictions(fit, "item", scale="exceedance", population="typical")
    found = passed["prediction"].sel(item="b", category=3)
    np.testing.assert_allclose(found, above, rtol=1e-8)
    means = cb.summarise(cb.predictions(fit, "item")).set_index("item")["estimate"]
    assert (means - rows.groupby("item")["score"].mean()).abs().max() < 0.1
    gap = cb.summarise(cb.effects(fit, "item", reference="c"))
    assert len(gap) == 2
    new = pd.DataFrame({"x": [0.0], "item": ["b"]})
    alone = cb.predictions(fit, newdata=new, population="typical", scale="exceedance")
    np.testing.assert_allclose(
        np.squeeze(alone["prediction"].sel(category=3).values), special.expit(-cut), rtol=1e-8
    )


def test_what_else_a_fit_is_asked(rows, fit, tmp_path):
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert str(again) == str(fit)
    assert "Formula: score | thres(gr=item) ~ x + (1|person)" in str(fit)
    again = again.isel(draw=slice(None, None, 5))
    new = cb.model_checks.with_predictive(again)["posterior_predictive"]["score"].values
    for item, cuts in CUTS.items():  # codes from 0
        assert new[..., (rows["item"] == item).to_numpy()].max() == len(cuts)
    assert (cb.check(again)["verdict"] != "fails").all()
    one = cb.fit("score ~ x + (1|person)", rows, family="cumulative", draws=300)
    compared = cb.loo_compare({"items": again, "one": one})
    assert compared.index[0] == "items"
    by_person = cb.loo(again, by="person")
    assert by_person.elpd == pytest.approx(cb.loo(again).elpd, rel=0.05)
    drawn = cb.prior_predictive(FORMULA, rows, family="cumulative", draws=50)
    cuts = drawn["prior"]["threshold"]
    assert cuts["threshold_dim"].values.tolist() == fitted(fit).threshold_sets.labels
    assert (cuts.values[..., 1:4] > cuts.values[..., :3]).all()


def test_a_scale_with_answers_that_nobody_gave_of_an_item(rows):
    spec = ModelSpec("score ~ x", "cumulative", limits=Limits(thresholds=4, group="item"))
    sets = ModelDesign.of(spec, model_frame(spec, rows)).threshold_sets
    assert sets.sizes == (4, 4, 4)


@pytest.mark.parametrize(
    ("formula", "change", "problem"),
    [
        ("score | thres(gr=item) ~ x", {"item": ("b", "a", 0)}, "no row of item 'a'"),
        ("score | thres(gr=nowhere) ~ x", {}, "nowhere"),
        ("score | thres(gr=score) ~ x", {}, "the response cannot say"),
        ("score | thres(gr=item) ~ x + item", {}, "nothing tells what"),
        ("score | thres(gr=item) ~ x + (1|item)", {}, "nothing tells what"),
        ("score | thres(gr=2) ~ x", {}, "cannot read"),
        ("score | thres(3, 4) ~ x", {}, "cannot read"),
    ],
)
def test_what_makes_no_sense_is_refused(rows, formula, change, problem):
    if change:
        rows = rows[(rows["item"] != "a") | (rows["score"] != 3)]
    with pytest.raises(DataError, match=problem):
        cb.fit(formula, rows, family="cumulative")


def test_levels_that_are_missing_or_unseen_or_of_one_answer(rows, fit):
    lacking = rows.assign(item=rows["item"].where(rows["x"] < 1))
    with pytest.raises(DataError, match="missing in"):
        cb.fit(FORMULA, lacking, family="cumulative")
    with pytest.raises(DataError, match="all answers of item 'c' are 1"):
        cb.fit(FORMULA, rows[(rows["item"] != "c") | (rows["score"] == 1)], family="cumulative")
    with pytest.raises(DataError, match="d"):
        cb.predictions(fit, newdata=pd.DataFrame({"x": [0.0], "item": ["d"]}), population="typical")
    with pytest.raises(DataError, match="thresholds"):
        cb.effects(fit, "item", scale="link")
    with pytest.raises(DataError, match="ordered answers"):
        cb.fit("x | thres(gr=item) ~ 1", rows)


def test_what_tells_nothing_of_a_level_is_named_alone(rows):
    for formula, told in {
        "x*item": "what item adds",
        "x + race + mean_of_item": "what mean_of_item adds",
        "x + (1|kind)": r"what \(1\|kind\) adds",
    }.items():
        more = {"mean_of_item": rows["item"].map({"a": 1.0, "b": 2.0, "c": 4.0})}
        more |= {"kind": rows["item"].map({"a": "k", "b": "k", "c": "l"}), "race": list("vw") * 360}
        with pytest.raises(DataError, match=told):
            cb.fit(f"score | thres(gr=item) ~ {formula}", rows.assign(**more), family="cumulative")


def test_an_offset_of_a_level_moves_its_thresholds_and_nothing_else(rows):
    add = {"a": 30.0, "b": -30.0, "c": 0.0}
    offset = rows["item"].map(add)
    priors = [
        ModelDesign.of(spec, model_frame(spec, frame)).prior("threshold").args
        for spec, frame in (
            (SPEC, rows),
            (
                ModelSpec("score ~ x + offset(o)", "cumulative", limits=SPEC.limits),
                rows.assign(o=offset),
            ),
        )
    ]
    own = np.repeat([add[item] for item in CUTS], [len(cuts) for cuts in CUTS.values()])
    np.testing.assert_allclose(priors[1]["mu"], priors[0]["mu"] + own)
    np.testing.assert_allclose(priors[1]["sigma"], priors[0]["sigma"])


def test_a_grid_has_the_level_whose_thresholds_are_meant(rows, fit):
    grid = cb.datagrid(fit, x=[0.0, 1.0])
    assert grid["item"].tolist() == ["a", "a"]
    numbers = rows.assign(item=rows["item"].map({"a": 1.5, "b": 2.0, "c": 10.0}))
    other = cb.fit(FORMULA, numbers, family="cumulative", draws=100)
    assert other["posterior"]["threshold_dim"].values[3:6].tolist() == ["1.5, 3", "2, 0", "2, 1"]
    assert cb.datagrid(other, item=[2, 10]).columns.tolist() == ["item", "x"]
    assert cb.datagrid(other)["item"].tolist() == [1.5]  # and not their mean
    assert cb.predictions(other, newdata=cb.datagrid(other)).sizes["draw"] == 100
    with pytest.raises(DataError, match=r"row 1: 3\.0 is no level of 'item'"):
        cb.predictions(other, newdata=cb.datagrid(other, item=3))


def test_the_table_of_priors_has_each_threshold(rows):
    found = cb.get_prior("score | thres(gr=item) ~ x", rows, family="cumulative")
    found = found.set_index("parameter")["prior"].str.split(",").str[0]
    assert found.index[1:].tolist() == [
        f"threshold[{item}, {k}]" for item, cuts in CUTS.items() for k in range(len(cuts))
    ]
    assert found.iloc[1:6].tolist() == [f"Normal({at}" for at in ("-2", "-0.67", "0.67", "2", "-2")]
    given = {"threshold": "Normal(0, 3)"}
    one = cb.get_prior("score ~ x", rows, family="cumulative", priors=given)
    assert one["parameter"].tolist() == ["x", "threshold"]
