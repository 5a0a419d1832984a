"""Categories of a scale that nobody chose, kept by ``score | thres(k) ~ x``."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import causalbias as cb
from causalbias import DataError
from causalbias.models.arrays import arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.limits import Limits
from causalbias.models.formula.parts import as_formula
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame
from tests.models.test_shrinkage import natural

WORDS = ["not", "little", "some", "much", "very", "wholly"]


@pytest.fixture(scope="module")
def rows():
    """Answers 1, 2, 4 and 5 of a scale of six; also as words, of which all are declared."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=240)
    answer = np.digitize(x + rng.logistic(size=240), [-2.0, 0.5, 0.5, 2.0]) + 1
    words = pd.Categorical(np.array(WORDS)[answer - 1], WORDS, ordered=True)
    return pd.DataFrame(
        {"answer": answer, "words": words, "x": x, "race": rng.choice(["a", "b"], 240)}
    )


@pytest.mark.parametrize("column", ["answer", "words"])
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_the_likelihood_has_all_thresholds(rows, column, link):
    spec = ModelSpec(f"{column} ~ x", "cumulative", link, limits=Limits(thresholds=5))
    model = ModelDesign.of(spec, model_frame(spec, rows))
    inner = nuts_model(model, arrays_of(model, normal=False))
    point, values = natural(inner, np.random.default_rng(1))
    cuts, x = point["threshold"], rows["x"].to_numpy()
    assert len(cuts) == 5
    below = special.expit if link == "logit" else special.ndtr
    eta = point["x"] * x
    ends = below(np.concatenate([[-np.inf], cuts, [np.inf]]) - eta[:, None])
    codes = rows["answer"].to_numpy() - 1
    expected = np.log(np.diff(ends, axis=1)[np.arange(240), codes]).sum()
    prior = model.prior("threshold").args
    np.testing.assert_allclose(prior["mu"], [-2, -1, 0, 1, 2])
    expected += stats.norm.logpdf(cuts, prior["mu"], prior["sigma"]).sum()
    expected += stats.norm.logpdf(point["x"], 0, 2.5 / x.std()).sum()
    found = inner.compile_logp(jacobian=False)(values)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(("family", "means"), [("cumulative", [-2, 0, 2]), ("sratio", [0, 0, 0])])
def test_default_thresholds_are_those_of_bambi_where_all_categories_occur(rows, family, means):
    spec = ModelSpec("answer ~ x", family)
    found = ModelDesign.of(spec, model_frame(spec, rows)).prior("threshold").args["mu"]
    np.testing.assert_allclose(found, means)
    kept = ModelSpec("answer ~ x", family, limits=Limits(thresholds=5))
    assert len(ModelDesign.of(kept, model_frame(kept, rows)).prior("threshold").args["mu"]) == 5


@pytest.mark.slow
def test_a_fit_has_all_categories_and_little_of_those_without_answers(rows, tmp_path):
    fit = cb.fit("words | thres(5) ~ x", rows, family="cumulative", chains=2)
    assert not cb.failures(fit)
    assert "Formula: words | thres(5) ~ x" in str(fit)
    shares = cb.summarise(cb.predictions(fit, (), scale="probability")).set_index("category")
    assert shares.index.tolist() == WORDS
    assert (shares.loc[["some", "wholly"], "estimate"] < 0.02).all()
    assert shares["estimate"].sum() == pytest.approx(1, abs=0.02)
    without = cb.fit("words ~ x", rows, family="cumulative")
    for name in ("threshold[0]", "x"):
        one, other = cb.summary(fit).loc[name], cb.summary(without).loc[name]
        assert abs(one["estimate"] - other["estimate"]) < 0.2 * other["sd"]
    cb.save(fit, tmp_path / "fit.nc")
    again = cb.open(tmp_path / "fit.nc")
    assert str(again) == str(fit)
    new = cb.model_checks.with_predictive(again)["posterior_predictive"]["words"]
    assert int(new.max()) == 5
    assert (cb.check(again)["verdict"] != "fails").all()


def test_answers_are_of_the_scale(rows):
    spec = ModelSpec("answer ~ x", "cumulative", limits=Limits(thresholds=6))
    assert model_frame(spec, rows)["answer"].cat.categories.tolist() == [1, 2, 3, 4, 5, 6, 7]
    plain = model_frame(ModelSpec("answer ~ x", "cumulative"), rows)
    assert plain["answer"].cat.categories.tolist() == [1, 2, 4, 5]
    assert str(as_formula("answer|thres(x=6)~x")) == "answer | thres(6) ~x"
    once = model_frame(spec, rows)
    pd.testing.assert_frame_equal(model_frame(spec, once), once)


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("answer | thres(3) ~ x", {}, "5 .* is no answer from 1 to 4|5 is no answer from 1 to 4"),
        ("words | thres(4) ~ x", {}, r"6 categories, and thres\(4\) says 5"),
        ("race | thres(1) ~ x", {}, "is no answer from 1 to 2"),
        ("answer | thres(0) ~ x", {}, "cannot read"),
        ("answer | thres(by=race) ~ x", {}, "cannot read"),
        ("answer | thres(5) ~ x", {"family": "gaussian"}, "is of ordered answers"),
        ("answer | thres(5) + trunc(lb=1) ~ x", {}, "have no likelihood here"),
    ],
)
def test_what_is_no_answer_is_refused_in_words(rows, formula, options, message):
    with pytest.raises(DataError, match=message):
        cb.get_prior(formula, rows, **({"family": "cumulative"} | options))
