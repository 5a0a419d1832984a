"""`check` finds planted faults with the right remedy, and passes right models."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.model_checks.statistics import averages, compare, skew_and_kurtosis, spread_of_means

PATH = Path(__file__).parents[2] / "benchmarks" / "calibration" / "check_rates.py"
_spec = importlib.util.spec_from_file_location("check_rates", PATH)
rates = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rates)

HINTS = {
    "heavy tails": "outliers",
    "heavy tails, cells vary": "outliers",
    "skewed": "longer tail on one side",
    "unequal spread": "race black",
    "unequal spread, cells vary": "race black",
    "lost by outcome": "race black, pose 2",
    "interaction left out": "race black, pose 2",
    "slopes left out": "(pose|seed)",
    "unequal annotators": "levels of seed are unequally noisy",
    "one odd seed": "seed 7",
    "prior too narrow": "widen the prior",
    "prior strangles": "widen the prior",
    "overdispersed": "(1|row)",
    "ends of the scale": "race black",
}


@pytest.mark.parametrize("case", rates.CASES)
def test_verdict_and_mend(case):
    make, expected = rates.CASES[case]
    frame, formula, given = make(np.random.default_rng(5))
    found = cb.check(cb.fit(formula, frame, draws=500, random_seed=5, **given))
    bad = found[found["verdict"].isin(["fail", "look"])]
    if not expected:
        assert found.attrs["verdict"] == "pass", found
        return
    assert found.attrs["verdict"] == ("pass" if expected == {"missing rows"} else "fail"), found
    assert expected & set(bad["check"]), found
    hints = " ".join(bad.loc[bad["check"].isin(expected), "hint"])
    assert HINTS[case] in hints


def test_draws_too_few_for_their_diagnostics():
    frame, formula, given = rates.short(np.random.default_rng(0))
    found = cb.check(cb.fit(formula, frame, **given)).set_index("check")
    assert found.loc["bulk ESS", "verdict"] == "fail"
    assert found.loc["bulk ESS", "hint"].startswith("draws=")
    assert int(found.loc["bulk ESS", "hint"].removeprefix("draws=")) > 60


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(2)
    x = np.tile(["a", "b"], 40)
    return pd.DataFrame({"y": rng.normal(0.5 * (x == "b"), 1), "x": x, "n": 1 + np.arange(80) % 3})


def test_a_failed_fit_prints_its_mends_in_terminal_and_notebook(small):
    frame = small.assign(y=np.exp(2 * small["y"]))
    found = cb.check(cb.fit("y ~ x", frame))
    assert str(found).startswith("FAIL")
    assert str(found).count("hint:") == (found["verdict"] == "fail").sum()
    assert "FAIL" in found._repr_html_()
    assert type(found[found["verdict"] == "fail"]) is pd.DataFrame


def test_names_from_the_data_are_escaped_in_a_notebook(small):
    frame = small.assign(x=small["x"].replace("b", "<script>"), y=np.exp(2 * small["y"]))
    assert "<script>" not in cb.check(cb.fit("y ~ x", frame))._repr_html_()


def test_counts_are_checked_as_if_written_out(small):
    """A row standing for several equal observations repeats them: too equal to be independent."""
    written = small.loc[small.index.repeat(small["n"])].reset_index(drop=True)
    by_counts = cb.check(cb.fit("y ~ x", small, counts="n"))
    by_rows = cb.check(cb.fit("y ~ x", written))
    numbers = ["value", "low", "high"]
    both = by_counts.merge(by_rows, on=["check", "of"], suffixes=("", "_rows"))
    both = both[both["check"].isin(["means by group", "skewness"])]
    # up to the Monte Carlo error of 500 replicates
    np.testing.assert_allclose(both[numbers], both[[f"{n}_rows" for n in numbers]], atol=0.15)


def test_a_threshold_is_where_tails_are_compared(small):
    found = cb.check(cb.fit("y ~ x", small), threshold=0.25).set_index("check")
    assert "0.25" in found.loc["tails", "of"]


def test_weights_standardise_residuals(small):
    rng = np.random.default_rng(0)
    frame = small.assign(w=rng.uniform(0.02, 5, 80))
    frame["y"] = rng.normal(0, 1 / np.sqrt(frame["w"]))
    assert cb.check(cb.fit("y ~ x", frame, weights="w")).attrs["verdict"] == "pass"
    unweighted = cb.check(cb.fit("y ~ x", frame)).set_index("check")
    assert unweighted.loc["heavy tails", "verdict"] == "fail"


def test_a_flat_prior_is_told_and_the_rest_checked(small):
    fit = cb.fit("y ~ x", small, priors={"x": "Flat()"})
    found = cb.check(fit).set_index("check")
    assert found.loc["priors", "verdict"] == "not run"
    assert "'x'" in found.loc["priors", "of"]
    assert found.loc["means by group", "verdict"] == "ok"
    assert found.attrs["verdict"].startswith("incomplete: 1 of")
    assert "pass" not in found.attrs["verdict"]
    assert repr(cb.check(fit)).startswith("incomplete: 1 of")


def test_terms_of_several_memberships_and_a_beta_model(small):
    rng = np.random.default_rng(1)
    pair = {f"seed_{side}": rng.integers(0, 12, 80).astype(str) for side in "ab"}
    fit = cb.fit("y ~ x + (1|mm(seed_a, seed_b))", small.assign(**pair))
    assert "effects of levels" in set(cb.check(fit)["check"])
    mean = np.where(small["x"] == "b", 0.6, 0.4)
    share = small.assign(y=rng.beta(8 * mean, 8 * (1 - mean)))
    found = cb.check(cb.fit("y ~ x", share, family="beta", draws=500, tune=500))
    assert found.attrs["verdict"] == "pass", found


def test_skewness_and_kurtosis_are_scipys():
    values = np.random.default_rng(0).gamma(2, size=(3, 50))
    expected = np.column_stack([stats.skew(values, axis=1), stats.kurtosis(values, axis=1)])
    np.testing.assert_allclose(skew_and_kurtosis(values), expected)


def test_averages_are_those_of_pandas():
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 5, 40), rng.normal(size=(2, 40))
    means = pd.DataFrame(values.T).groupby(codes).mean().to_numpy().T
    np.testing.assert_allclose(values @ averages(codes), means)
    sizes = np.bincount(codes)
    for found, of_cells in zip(spread_of_means(values, averages(codes)), means, strict=True):
        variance = np.cov(of_cells, fweights=sizes, ddof=0)
        np.testing.assert_allclose(found, np.sqrt(variance))


def test_p_is_uniform_where_data_are_like_replicates():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        data = np.tile(rng.gamma(1, size=4), (100, 1))
        p.append(compare(data, rng.gamma(1, size=(100, 4))).p)
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_a_quantity_without_spread_in_replicates_is_found():
    data, same = np.full((50, 1), 0.1), np.zeros((50, 1))
    assert compare(data, same).p < 0.03
    assert compare(same, same).p == 1


def test_rounding_of_sums_is_no_difference():
    """A share of one, summed in another order, is one but for its last digits."""
    rng = np.random.default_rng(0)
    other = rng.normal(size=(200, 1))
    replicates = np.hstack([1 + 2e-16 * rng.integers(-1, 2, size=(200, 1)), other])
    data = np.tile([1 - 3e-15, 0.1], (200, 1))
    assert compare(data, replicates).p > 0.5
