"""Families that the Laplace engine samples by their rows' log likelihood, beside NUTS."""

import warnings

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError, SamplingWarning
from causalbias.inference.rowwise import DENSITIES
from causalbias.models.families import FAMILIES, family_named


def rows(n: int = 96, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "seed": np.repeat(np.arange(12), n // 12),
            "race": np.tile(["a", "b"], n // 2),
            "x": rng.normal(size=n),
            "n": rng.integers(3, 9, n),
        }
    )
    eta = 0.5 + 0.4 * frame["x"] + rng.normal(0, 0.5, 12)[frame["seed"]]
    share = 1 / (1 + np.exp(-eta))
    frame["t"] = eta + 0.3 * rng.standard_t(3, n)
    frame["gamma"] = rng.gamma(4.0, np.exp(eta) / 4.0)
    frame["beta"] = rng.beta(6 * share, 6 * (1 - share))
    frame["skew_normal"] = eta + rng.gamma(2.0, 0.3, n)
    frame["exgaussian"] = eta + 0.3 * rng.standard_normal(n) + rng.exponential(0.6, n)
    frame["poisson"] = rng.poisson(np.exp(eta))
    frame["negativebinomial"] = rng.poisson(rng.gamma(2.0, np.exp(eta) / 2.0))
    frame["beta_binomial"] = rng.binomial(frame["n"], rng.beta(6 * share, 6 * (1 - share)))
    return frame


def formula(family: str) -> str:
    response = "p(beta_binomial, n)" if family == "beta_binomial" else family
    return f"{response} ~ x + (1|seed)"


def fitted(family: str, method: str, draws: int = 500, **options: object) -> cb.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)
        return cb.fit(formula(family), rows(), family=family, method=method, draws=draws, **options)


def agree(fit: cb.Fit, nuts: cb.Fit) -> None:
    """Means within 0.25 posterior sd of those of NUTS, and sds within a quarter: few draws."""
    ours, theirs = fit["posterior"].to_dataset(), nuts["posterior"].to_dataset()
    assert set(ours.data_vars) == set(theirs.data_vars)
    for name in ("sigma", "nu", "alpha", "1|seed_sigma"):  # whose tails are too heavy for moments
        if name in theirs:
            ours[name], theirs[name] = np.log(ours[name]), np.log(theirs[name])
    for name in theirs.data_vars:
        mean, sd = (getattr(theirs[name], one)(("chain", "draw")) for one in ("mean", "std"))
        gap = (ours[name].mean(("chain", "draw")) - mean) / sd
        assert float(abs(gap).max()) < 0.25, name
        assert float(abs(ours[name].std(("chain", "draw")) / sd - 1).max()) < 0.25, name


@pytest.mark.slow
@pytest.mark.parametrize("family", ["t", "gamma"])
def test_a_posterior_is_that_of_nuts(family: str) -> None:
    fit = fitted(family, "laplace")
    agree(fit, fitted(family, "nuts", chains=2, draws=750, tune=500))


@pytest.mark.parametrize("family", sorted(DENSITIES))
def test_auto_takes_the_engine_without_a_notice(family: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SamplingWarning)
        fit = cb.fit(formula(family), rows(), family=family, draws=300)
    assert fit.attrs["engine"].startswith("Laplace, importance-weighted")
    assert float(fit["sample_stats"]["pareto_k"]) < 0.7
    slope = fit["posterior"]["x"].values
    assert abs(slope.mean() - 0.4) < 4 * slope.std()


def test_every_density_is_of_a_family_with_the_same_parameters() -> None:
    for name, one in DENSITIES.items():
        family = family_named(name)
        assert family.engines == ("laplace",)
        assert family.parameters == one.parameters
        assert one.link == family.links[0]
    for name in FAMILIES:
        family = family_named(name)
        if name not in DENSITIES and "laplace" in family.engines:
            assert family.binary or family.has_thresholds


@pytest.mark.slow
def test_a_formula_of_a_scale_is_sampled_too() -> None:
    data = rows()
    fit = cb.fit(["t ~ x + (1|seed)", "sigma ~ race"], data, family="t", draws=300)
    assert fit.attrs["engine"].startswith("Laplace")
    assert {"sigma_Intercept", "sigma_race", "nu"} <= set(fit["posterior"].data_vars)
    # a scale of its own by group, as of fits apart in all but what they share
    wide = data.assign(t=np.where(data["race"] == "b", 3.0, 1.0) * (data["t"] - data["t"].mean()))
    more = cb.fit(["t ~ x + (1|seed)", "sigma ~ race"], wide, family="t", draws=300)
    change = more["posterior"]["sigma_race"].values
    assert change.mean() > 2 * change.std()


def test_an_offset_and_counts_are_taken_into_account() -> None:
    data = rows().assign(o=lambda frame: 2 * frame["x"], c=2)
    plain = cb.fit("poisson ~ x + (1|seed)", data, family="poisson", draws=300)
    moved = cb.fit("poisson ~ x + offset(o) + (1|seed)", data, family="poisson", draws=300)
    change = float(moved["posterior"]["x"].mean() - plain["posterior"]["x"].mean())
    assert abs(change + 2) < 0.1
    twice = cb.fit("poisson ~ x", data, family="poisson", counts="c", draws=300)
    once = cb.fit("poisson ~ x", data, family="poisson", draws=300)
    ratio = float(twice["posterior"]["x"].std() / once["posterior"]["x"].std())
    assert ratio == pytest.approx(np.sqrt(0.5), rel=0.15)


def test_another_link_is_declined_with_a_reason() -> None:
    with pytest.raises(DataError, match="link log, not inverse"):
        cb.fit(formula("gamma"), rows(), family="gamma", link="inverse", method="laplace")
