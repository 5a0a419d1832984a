"""Reliability of ratings: published numbers, known truth, designs that are incomplete."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.agreement.intraclass import intraclass_of, mean_squares
from causalbias.agreement.reliability import icc

# Shrout and Fleiss (1979), Table 2: six targets by four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)
# Their estimates (page 424), and the intervals that the R package psych (2.4.3, `ICC`) prints.
PUBLISHED = {
    "ICC(1)": (0.17, -0.13, 0.72),
    "ICC(k)": (0.44, -0.88, 0.91),
    "ICC(A,1)": (0.29, 0.02, 0.76),
    "ICC(A,k)": (0.62, 0.07, 0.93),
    "ICC(C,1)": (0.71, 0.34, 0.95),
    "ICC(C,k)": (0.91, 0.68, 0.99),
}


def long(scores, **names):
    frame = pd.DataFrame(scores).rename_axis("item").rename_axis("rater", axis=1)
    return frame.stack().rename("rating").reset_index().rename(columns=names)


def intraclass(frame):
    return cb.agreement.intraclass(frame, item="item", rater="rater", rating="rating")


def test_intraclass_correlations_are_those_of_shrout_and_fleiss():
    found = intraclass(long(SHROUT_FLEISS))
    np.testing.assert_allclose(
        found[["estimate", "lower", "upper"]], list(PUBLISHED.values()), atol=0.0051
    )
    assert found.index.tolist() == list(PUBLISHED)
    # Their mean squares (Table 3): 11.24, 32.49, 1.02, 6.26.
    np.testing.assert_allclose(
        mean_squares(SHROUT_FLEISS.astype(float)), [11.24, 32.49, 1.02, 6.26], atol=0.006
    )


@pytest.mark.parametrize("steps", [[0.1, 0.3, 0.7], [1, 3, 5]])
def test_reliability_is_undefined_without_variation_between_items(steps):
    found = intraclass(long(np.tile(steps, (7, 1))))  # raters always give their own number
    assert found[["estimate", "lower", "upper"]].isna().all().all()
    assert set(found["note"]) == {"no variation between items"}
    counts = np.tile([1, 1, 0, 1], (7, 1))
    assert np.isnan(icc(counts, np.array([0.1, 0.3, 0.5, 0.7]))).all()


def test_agreement_of_means_is_undefined_where_its_denominator_is_negative():
    found = intraclass(long([[1, 3], [3, 1], [2, 2.1], [1, 3]]))
    assert found.loc["ICC(A,k)", ["estimate", "lower", "upper"]].isna().all()
    assert found.loc["ICC(A,k)", "note"]
    assert (found["note"] != "").sum() == 1
    random = np.random.default_rng(0)
    for _ in range(200):
        noise = random.normal(size=random.integers(2, 6, 2)).round(1)
        table = intraclass_of(noise)
        for estimate, lower, upper in table.values():
            assert np.isnan(estimate) or lower <= estimate <= min(upper, 1) + 1e-12


def test_alpha_is_cronbachs_by_its_own_formula():
    scores = np.random.default_rng(2).normal(size=(30, 5)) + np.arange(30)[:, None] / 10
    k = scores.shape[1]
    alpha = k / (k - 1) * (1 - scores.var(0, ddof=1).sum() / scores.sum(1).var(ddof=1))
    assert intraclass(long(scores)).loc["ICC(C,k)", "estimate"] == pytest.approx(alpha)


def test_names_order_and_dtypes_of_items_and_raters_are_no_matter():
    first = intraclass(long(SHROUT_FLEISS))
    frame = long(SHROUT_FLEISS).sample(frac=1, random_state=3)
    frame["rater"] = pd.Categorical(
        frame["rater"].map("0{}".format), ["09", "03", "02", "01", "00"]
    )
    frame["rating"] = frame["rating"].astype("Int64").astype("string")
    pd.testing.assert_frame_equal(intraclass(frame), first)


def test_what_an_analysis_of_variance_cannot_do_is_refused():
    frame = long(SHROUT_FLEISS)
    for broken, said in (
        (frame.drop(3), "1 of 24 combinations"),
        (pd.concat([frame, frame[:1]]), "rated an item twice"),
        (frame.assign(rating=frame["rating"].where(frame.index > 0)), "1 ratings are incomplete"),
        (frame.assign(rating=frame["rating"].astype(str).replace("10", "ten")), "'ten' is no"),
        (frame[frame["rater"] == 0], "by 1 raters"),
        (frame.assign(rating=3), "all ratings are equal"),
        (frame.rename(columns={"rater": "who"}), "no column 'rater'"),
    ):
        with pytest.raises(cb.DataError, match=said):
            intraclass(broken)


@pytest.fixture(scope="module")
def balanced():
    """A complete table, of which the analysis of variance is exact."""
    sds = {"item": 1.0, "rater": 0.8, "item:rater_group": 0.0, "rater:item_group": 0.0}
    ratings = cb.simulation.simulate_ratings(20, 12, sds=sds, random_seed=5)
    fit = cb.fit("rating ~ 1 + (1|item) + (1|rater)", ratings)
    return ratings, fit


def test_generalisability_agrees_with_the_analysis_of_variance_of_a_complete_table(balanced):
    ratings, fit = balanced
    found = cb.agreement.generalisability(fit, "item", "rater", raters=[1, 12])
    mean = found["coefficient"].median(("chain", "draw"))
    by_anova = intraclass(ratings)["estimate"]
    for kind, one, many in (
        ("consistency", "ICC(C,1)", "ICC(C,k)"),
        ("agreement", "ICC(A,1)", "ICC(A,k)"),
    ):
        assert float(mean.sel(kind=kind, raters=1)) == pytest.approx(by_anova[one], abs=0.03)
        assert float(mean.sel(kind=kind, raters=12)) == pytest.approx(by_anova[many], abs=0.03)
    components = cb.agreement.variance_components(fit).summary().set_index("component")
    rows, _, error, _ = mean_squares(
        ratings.pivot(index="item", columns="rater", values="rating").to_numpy()
    )
    assert components.loc["residual", "estimate"] == pytest.approx(error, rel=0.03)
    assert components.loc["item", "estimate"] == pytest.approx((rows - error) / 12, rel=0.15)


def test_terms_of_neither_items_nor_raters_are_refused(balanced):
    ratings, fit = balanced
    with pytest.raises(cb.DataError, match=r"no term \(1\|who\)|neither of who"):
        cb.agreement.generalisability(fit, "who", "rater")
    slopes = cb.fit("rating ~ 1 + (item_group|rater)", ratings, draws=100)
    with pytest.raises(cb.DataError, match="no plain intercept"):
        cb.agreement.variance_components(slopes)
    apart = cb.fit(cb.formula("rating ~ 1 + (1|item)", sigma="~ rater_group"), ratings, draws=100)
    with pytest.raises(cb.DataError, match="one noise"):
        cb.agreement.variance_components(apart)


def test_groups_of_raters_are_part_of_the_error_of_agreement():
    ratings = cb.simulation.simulate_ratings(16, 16, sds={"rater": 0.1}, random_seed=2)
    shifted = ratings.assign(rating=ratings["rating"] + 3.0 * (ratings["rater_group"] == "male"))
    options = {"raters": [1]}
    by_group = cb.fit("rating ~ rater_group + (1|item) + (1|rater)", shifted, draws=250)
    without = cb.fit("rating ~ 1 + (1|item) + (1|rater)", shifted, draws=250)
    for fit in (by_group, without):
        found = cb.agreement.generalisability(fit, "item", "rater", **options)
        mean = found["coefficient"].median(("chain", "draw")).sel(raters=1)
        # Variance of two halves that are 3 apart: 2.25, beside U = 0.66 and an error of about 1.
        assert float(mean.sel(kind="agreement")) == pytest.approx(0.17, abs=0.08)
        assert float(mean.sel(kind="consistency")) > 0.28
