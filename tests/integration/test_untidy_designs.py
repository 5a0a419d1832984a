"""Untidy tables in agreement and in designs: what holds whatever a column is like."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import causalbias as cb
from causalbias import DataError
from causalbias.agreement.consistency import FOUND
from causalbias.causal.bounds import FOUND as BOUNDS
from causalbias.design.sampling import MADE
from causalbias.model_checks.left_out import log_likelihoods
from causalbias.models.formula.by_threshold import split_by_threshold
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.signs import summands
from tests.integration.test_untidy_data import FEW, FLAT, IDS, groups

# pytensor raises Python's recursion limit when it compiles its first function.
pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit")
STYLES = st.sampled_from(sorted(IDS))


def ratings():
    """Scores of Shrout and Fleiss (1979, Table 2), a row each."""
    scores = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    )
    item, rater = np.indices(scores.shape)
    return pd.DataFrame({"item": item.ravel(), "rater": rater.ravel(), "score": scores.ravel()})


def named(values, style, order):
    """Codes as ids of a style, of which any are which."""
    return IDS[style].iloc[np.asarray(order)[values]].reset_index(drop=True)


@FEW
@given(STYLES, STYLES, st.permutations(range(10)), st.integers(0, 9), st.integers(-250, 250))
def test_intraclass_correlations_know_no_names_order_or_unit(first, second, order, seed, power):
    rows = ratings()
    plain = cb.agreement.intraclass(rows, item="item", rater="rater", rating="score")
    rows = rows.assign(
        item=named(rows["item"], first, order),
        rater=named(rows["rater"], second, order),
        score=rows["score"] * 10.0**power,
    ).sample(frac=1, random_state=seed)
    found = cb.agreement.intraclass(rows, item="item", rater="rater", rating="score")
    ends = ["estimate", "lower", "upper"]
    np.testing.assert_allclose(found[ends], plain[ends], rtol=1e-9)


def pairs_judged():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.integers(0, 8, 60),
            "b": rng.integers(0, 8, 60),
            "one": rng.random(60) < 0.7,
            "two": rng.random(60) < 0.7,
            "group": rng.integers(0, 3, 60),
        }
    )


@FEW
@given(groups(60), STYLES, st.permutations(range(10)))
def test_error_consistency_is_that_of_the_rows_of_each_group(grouped, style, order):
    rows = pairs_judged()
    rows["a"], rows["b"] = (named(rows[name], style, order) for name in "ab")
    found = cb.agreement.error_consistency(
        rows.assign(group=grouped.column), "one", "two", clusters=["a", "b"], by="group"
    )
    assert found["group"].astype(str).tolist() == grouped.order
    for row in found.itertuples():
        part = rows[(grouped.label == str(row.group)).to_numpy()]
        by_chance = np.prod(part[["one", "two"]].mean()) + np.prod(1 - part[["one", "two"]].mean())
        alike = (part["one"] == part["two"]).mean()
        assert row.n == len(part)
        if by_chance < 1:
            assert row.kappa == pytest.approx((alike - by_chance) / (1 - by_chance))


@pytest.mark.parametrize("name", FOUND)
def test_a_column_of_by_never_replaces_one_of_the_result(name):
    rows = pairs_judged().rename(columns={"group": name})
    with pytest.raises(DataError, match=f"column '{name}'.*rename"):
        cb.agreement.error_consistency(rows, "one", "two", clusters=["a", "b"], by=name)


def test_one_seed_has_no_interval_and_no_rows_have_no_kappa():
    rows = pairs_judged()
    alone = cb.agreement.error_consistency(rows.assign(a=1, b=1), "one", "two", clusters=["a", "b"])
    assert alone[["lower", "upper"]].isna().all(axis=None)
    for empty, by in ((rows.iloc[:0], ()), (rows.assign(group=None), "group")):
        with pytest.raises(DataError, match="no row"):
            cb.agreement.error_consistency(empty, "one", "two", clusters="a", by=by)


def judged(scores, items=4, annotators=3):
    item, annotator = np.indices((items, annotators)).reshape(2, -1)
    rows = pd.DataFrame({"stimulus": item.astype(str), "annotator": annotator, "question": "q"})
    rows["score"] = np.resize(scores, len(rows))
    return cb.make_study(factors=["seed"], judgements=rows, scales=(0, 4))


@pytest.mark.parametrize(
    ("study", "more", "told"),
    [
        (judged([2]), {}, "all answers are the same"),
        (judged([0, 1], items=1), {}, "single item"),
        (judged([0, 1, 4]), {"threshold": "high"}, "threshold is the text"),
        (judged([0, 1, 4]), {"threshold": 5}, "threshold is 5"),
        (judged([0, 1, 4]), {"prob": 95}, "prob is 95"),
    ],
)
def test_graded_response_refuses_what_it_cannot_estimate(study, more, told):
    with pytest.raises(DataError, match=told):
        cb.agreement.graded_response(study, "q", **more)


@pytest.fixture(scope="module")
def rated():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(np.argwhere(np.ones((12, 8))), columns=["residual", "rater"])
    level = rng.normal(0, 0.3, 12)[rows["residual"]] + rng.normal(0, 0.2, 8)[rows["rater"]]
    rows["rating"] = np.exp(1 + level) + rng.normal(0, 0.1, len(rows))
    return rows


def test_components_of_a_nonlinear_model_or_of_one_name_are_no_shares(rated):
    terms = "rating ~ 1 + (1|residual) + (1|rater)"
    fit = cb.fit(terms, rated, draws=100)
    with pytest.raises(DataError, match="column 'residual'"):
        cb.agreement.variance_components(fit)
    fit = cb.fit(terms.replace("residual", "face"), rated.rename(columns={"residual": "face"}))
    assert cb.agreement.variance_components(fit)["component"].size == 3
    spec = json.loads(fit.attrs["spec"])
    fit.attrs["spec"] = json.dumps(spec | {"link": "log"})  # sampling it takes a minute
    with pytest.raises(DataError, match="identity link"):  # variances of logs and of ratings
        cb.agreement.variance_components(fit)
    with pytest.raises(DataError, match="link log"):  # effects are not integrated out exactly
        log_likelihoods(fit, "rater")


@FEW
@given(groups(24))
def test_a_report_of_a_design_has_the_coefficients_of_the_fit(grouped):
    rows = pd.DataFrame({"group": grouped.column, "x": np.arange(24) % 5})
    report = cb.design.report(rows, "group + x")
    fit = cb.fit("y ~ group + x", rows.assign(y=np.sqrt(np.arange(24))), draws=20, priors=FLAT)
    summary = cb.summary(fit)
    assert report.effects["term"].tolist() == summary.index[:-1].tolist()
    counts = grouped.label.value_counts()
    of_groups = cb.design.balance(rows, "group").iloc[0]
    assert (of_groups["cells"], of_groups["least"], of_groups["most"]) == (
        len(grouped.order),
        counts.min(),
        counts.max(),
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, 2, np.inf, 4], "row 3: the value is infinite"),
        (["a", "b", None, "c"], "row 3"),
        (["a", "a ", "b", "b"], "look the same"),
    ],
)
def test_a_design_with_values_that_are_none(values, told):
    rows = pd.DataFrame({"x": values})
    for ask in (lambda: cb.design.report(rows, "x"), lambda: cb.design.balance(rows, ["x"])):
        with pytest.raises(DataError, match=told):
            ask()


@FEW
@given(groups(3), STYLES, st.permutations(range(10)), st.integers(0, 99))
def test_sampled_pairs_are_of_who_they_say(grouped, style, order, seed):
    codes = np.argwhere(np.ones((4, 3, 2)))
    faces = pd.DataFrame({"stimulus": [f"f{k:02}" for k in range(24)], "pose": codes[:, 2]})
    faces["seed"] = named(codes[:, 0], style, order)
    faces["group"] = grouped.column.iloc[codes[:, 1]].array
    # Two of the three groups may be one level, whose faces would be in one cell.
    cell = pd.DataFrame(codes).assign(group=grouped.label[codes[:, 1]].to_numpy()).drop(columns=1)
    faces = faces[~cell.duplicated()].sample(frac=1, random_state=seed)
    pairs = cb.design.sample_pairs(faces, group="group", genuine=2, impostors=3)
    where = {name: int(name[1:]) for name in faces["stimulus"]}
    for pair in pairs.itertuples():
        a, b = codes[where[pair.stimulus_a]], codes[where[pair.stimulus_b]]
        assert grouped.label[a[1]] == grouped.label[b[1]] == str(pair.group)
        assert (a[0] == b[0]) == (pair.kind == "genuine")
        assert (a[2] != b[2]) == (pair.kind == "genuine")
    kinds = pairs.groupby(["kind", pairs["group"].astype(str)]).size()
    assert (kinds["genuine"] == 2).all()
    assert (kinds["impostor"] == 6).all()  # three of each pose


@pytest.mark.parametrize("name", MADE)
def test_a_group_of_pairs_never_replaces_a_column_of_theirs(name):
    faces = cb.design.full({"seed": range(3), name: ["x", "y"], "pose": [0, 1]})
    with pytest.raises(DataError, match=f"column '{name}'.*rename"):
        cb.design.sample_pairs(faces, group=[name])


def test_an_item_without_a_stratum_is_in_no_other():
    kinds = ["none"] * 12 + ["x"] * 12
    strata = [None if one == "none" else one for one in kinds]
    items = [f"i{k:02}" for k in range(24)]
    plan = cb.design.assign(items, 4, each=2, strata=strata, random_seed=3)
    table = pd.crosstab(plan["annotator"], plan["item"].map(dict(zip(items, kinds, strict=True))))
    assert (table.to_numpy() == 6).all()


def test_the_next_items_are_chosen_for_what_items_can_tell():
    items = pd.DataFrame({"item": list("abcd"), "x": [0, 0, 1, 1], "y": [2, 2, 4, 4]})
    done = pd.DataFrame({"item": list("aabbccdd"), "score": [4, 4, 4, 4, 1, 3, 0, 4]})

    def ask(formula="x", weights=None, rows=done):
        target = {"x": 1.0} if weights is None else weights
        return cb.design.next_items(items, rows, formula, target, scale=(0, 4), count=2)[1]

    assert np.isfinite(ask()["expected"])
    with pytest.raises(DataError, match="no answers to these items tell x"):
        ask("x + y")
    assert ask("x + y", {"x": 1.0, "y": 2.0})["error"] < 10  # a sum that they tell
    with pytest.raises(DataError, match="row 3: the value is missing"):
        ask(rows=done.assign(item=done["item"].where(done.index != 2)))
    with pytest.raises(DataError, match="row 1: 'high' is not a number"):
        ask(rows=done.assign(score="high"))


@pytest.fixture(scope="module")
def attempted():
    rng = np.random.default_rng(0)
    rows = cb.design.full({"seed": range(8), "race": ["white", "black"], "pose": [0, 1]})
    rows["distance"] = rng.normal(0.5, 0.1, len(rows)).round(3)
    rows.loc[[1, 5, 11], "distance"] = np.nan
    return rows


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_are_never_replaced_by_levels(attempted, name):
    for renamed, asked in (
        ("race", {"variable": name}),
        ("pose", {"variable": "race", "by": name}),
    ):
        rows = attempted.rename(columns={renamed: name})
        with pytest.raises(DataError, match=f"column '{name}'.*rename"):
            cb.causal.selection_bounds(rows, "distance", cluster="seed", **asked)


@pytest.mark.parametrize("name", ["effective_n", "least_probability"])
def test_weighted_effects_are_never_replaced_by_levels(attempted, name):
    rows = attempted.rename(columns={"pose": name}).assign(pose=attempted["pose"])
    with pytest.raises(DataError, match=f"column '{name}'.*rename"):
        cb.causal.selection_weighted(
            rows, "distance", "race", predictors="pose", cluster="seed", by=name
        )


def test_predictors_of_loss_are_finite(attempted):
    rows = attempted.assign(x=np.where(attempted.index == 4, np.inf, 1.0 * attempted["pose"]))
    with pytest.raises(DataError, match="column 'x', row 5: is not finite"):
        cb.causal.selection_weighted(rows, "distance", "race", predictors="x", cluster="seed")


@pytest.mark.parametrize("name", ["effect", "effective_n", "in_sample", "n", "draw"])
def test_a_population_is_never_called_as_its_estimate(name):
    draws = np.random.default_rng(0).normal(size=(1, 50, 2))
    cells = xr.Dataset(
        {"effect": (("chain", "draw", "pose"), draws), "n": ("pose", [3, 4])},
        {"pose": ["a", "b"], "chain": [0], "draw": range(50)},
    )
    target = pd.DataFrame({"pose": ["a", "b"] * 2, "share": [1, 3, 1, 1], name: list("xxyy")})
    with pytest.raises(DataError, match=f"column '{name}'.*rename"):
        cb.causal.poststratify(cells, target, weight="share", by=name)
    plain = cb.causal.poststratify(
        cells, target.rename(columns={name: "country"}), weight="share", by="country"
    )
    np.testing.assert_allclose(plain["effect"].sel(country="x"), draws @ [0.25, 0.75])


def test_pairs_of_faces_whose_names_have_and_in_them_are_two():
    faces = ["a", "b and c", "a and b", "c", *(f"f{k:02}" for k in range(12))]
    pairs = pd.DataFrame([(a, b) for k, a in enumerate(faces) for b in faces[k + 1 :]])
    rng = np.random.default_rng(0)
    pairs = pairs.set_axis(["one", "two"], axis=1).assign(metric=rng.normal(size=len(pairs)))
    pairs["likeness"] = pairs["metric"] + rng.normal(size=len(pairs))
    asked = {"face_a": "one", "face_b": "two", "judgement": "likeness", "metrics": "metric"}
    found = cb.analyses.analyse_alignment(pairs, **asked)
    assert found.found["n"].item() == len(pairs)  # of which two would be "a and b and c"
    again = pd.concat([pairs, pairs.iloc[[3]].rename(columns={"one": "two", "two": "one"})])
    with pytest.raises(DataError, match="the pair a and f00 is there twice"):
        cb.analyses.analyse_alignment(again, **asked)
    named = pairs.rename(columns={"metric": "judgement"})  # it would agree with itself
    with pytest.raises(DataError, match=r"column 'judgement'.*rename"):
        cb.analyses.analyse_alignment(named, **asked | {"metrics": "judgement"})
    odd = cb.analyses.odd_one_out(
        pd.DataFrame({"x": "a", "y": ["b and c", "a and b"], "z": ["f00", "c"], "odd": "a"}),
        pairs,
        faces=["x", "y", "z"],
        odd="odd",
        face_a="one",
        face_b="two",
        metrics="metric",
    )
    assert len(odd)


NAMES = st.text("ab+()|`~ ", min_size=1, max_size=6).filter(lambda one: "`" not in one)


@given(st.lists(NAMES, min_size=1, max_size=4), st.data())
def test_signs_in_quoted_names_are_none_of_the_formula(names, data):
    quoted = [f"`{one}`" for one in names]
    assert summands(" + ".join(quoted)) == quoted
    formula = f"y ~ {' + '.join(quoted)} + ({quoted[0]}||g) + cs({' + '.join(quoted)})"
    (part,) = group_parts(formula)
    assert (part.effects, part.factor, part.correlated) == (quoted[0], "g", False)
    if not any("~" in one for one in names):
        rest, own = split_by_threshold(formula)
        assert summands(own) == quoted
        assert summands(rest.partition("~")[2]) == [*quoted, f"({quoted[0]}||g)"]


def test_an_estimate_is_ranked_by_its_main_variable_and_shows_no_inner_column():
    rows = pd.DataFrame({"group": np.tile(list("abc"), 20), "y": np.arange(60) % 7.0})
    effects = cb.effects(cb.fit("y ~ group", rows, draws=50), "group")
    ranks = cb.rank_probabilities(effects, "group")
    xr.testing.assert_equal(ranks, cb.rank_probabilities(effects["effect"], "group"))
    assert effects.to_dataframe().columns.tolist() == ["effect", "n"]


RATES = st.lists(st.floats(0.001, 1), min_size=2, max_size=5)


@FEW
@given(RATES, st.permutations(range(5)))
def test_indices_take_any_sequence_of_rates_and_know_no_order(values, order):
    order = [one for one in order if one < len(values)]
    turned = [values[one] for one in order]
    for index in ("gini", "max_to_min", "max_to_geometric_mean"):
        of_rates = getattr(cb.rates, index)
        found = of_rates(np.array(values))
        assert of_rates(values) == found == of_rates(pd.Series(values, index=[0] * len(values)))
        assert of_rates(turned) == pytest.approx(found)
    for index in ("garbe", "inequity", "fairness_discrepancy"):
        of_both = getattr(cb.rates, index)
        found = of_both(np.array(values), np.array(values[::-1]), alpha=0.3)
        assert of_both(pd.Series(values), pd.Series(values[::-1]), alpha=0.3) == found
        again = of_both(turned, [values[::-1][one] for one in order], alpha=0.3)
        assert again == pytest.approx(found)


@pytest.mark.parametrize(
    ("fmr", "fnmr", "alpha", "told"),
    [
        ([0.1, 0.2, 0.3], [0.1, 0.2], 0.5, "not of the same groups"),
        (pd.Series([0.1, 0.2], ["a", "b"]), pd.Series([0.1, 0.2], ["b", "a"]), 0.5, "same order"),
        ([0.1, 0.2], [0.1, 0.2], 2, "alpha is 2"),
        ([1.5, 2], [0.1, 0.2], 0.5, r"1\.5 among them"),
        ([0.1], [0.2], 0.5, "of one group"),
        ([0.1, 0.2], ["a", "b"], 0.5, "no numbers"),
    ],
)
def test_indices_of_both_rates_are_of_the_same_groups(fmr, fnmr, alpha, told):
    for index in (cb.rates.garbe, cb.rates.inequity, cb.rates.fairness_discrepancy):
        with pytest.raises(DataError, match=told):
            index(fmr, fnmr, alpha=alpha)


def test_ratios_of_two_estimates_drop_no_level():
    rng = np.random.default_rng(0)
    sizes = {"chain": [0], "draw": range(50), "race": list("bcd")}
    effect = xr.DataArray(rng.normal(2, 0.1, (1, 50, 3)), sizes, [*sizes])
    found = cb.manipulation_checks.leak_to_overturn(effect, effect / 2)
    np.testing.assert_allclose(found["to_zero"], 2)
    for ask in (cb.manipulation_checks.leak_to_overturn, cb.per_unit):
        ask(effect, effect.isel(race=[2, 0, 1]))
        for other in (effect.isel(race=[0]), effect.isel(draw=slice(10))):
            with pytest.raises(DataError, match="two estimates have other"):
                ask(effect, other)
        with pytest.raises(DataError, match="the draws of an estimate is needed"):
            ask(2.0, effect)


def test_weights_of_members_are_numbers():
    rows = pd.DataFrame({"y": np.arange(12.0) % 5, "a": list("pqrs") * 3, "b": list("qrsp") * 3})
    rows = rows.assign(w="heavy", v=1.0)
    with pytest.raises(DataError, match="column 'w', row 1: 'heavy' is not a number"):
        cb.fit("y ~ 1 + (1|mm(a, b, weights=cbind(w, v)))", rows, draws=50)
