"""What every family states agrees with itself: derivatives, simulation, means, links, responses."""

import numpy as np
import pandas as pd
import pytest
from bambi.defaults.families import BUILTIN_FAMILIES
from bambi.priors.scaler import PriorScaler

import causalbias as cb
from causalbias.errors import DataError
from causalbias.model_checks.replicates import STATISTICS
from causalbias.models.engines import METHODS
from causalbias.models.families import FAMILIES, family_named
from causalbias.models.families.links import LINKS
from causalbias.models.specification import ModelSpec, bambi_model, model_frame

EVERY = [(name, link) for name, family in FAMILIES.items() for link in family.links]
ROWS, TRIALS = 6, np.array([1.0, 2.0, 5.0, 5.0, 9.0, 30.0])


def parameters_of(family) -> dict:
    """Two draws of every parameter that a family has."""
    known = {
        "sigma": np.array([[0.7], [1.9]]),
        "kappa": np.array([[3.0], [11.0]]),
        "threshold": np.array([[-1.0, 0.2, 1.4], [-0.5, 0.1, 2.0]]),
    }
    found = {name: known[name] for name in family.parameters}
    return family.of_rows(found, trials=TRIALS if family.has_trials else None)


def eta_of(family) -> np.ndarray:
    """Linear predictors (draws, rows) whose means the family can have."""
    rng = np.random.default_rng(3)
    identity = family.link.name == "identity"
    no_negative, none_above_one = family.impossible(pd.Series([-1.0, 2.0]))
    if identity and none_above_one:
        return rng.uniform(0.2, 0.8, (2, ROWS))
    positive = family.link.name == "inverse" or (identity and no_negative)
    return rng.uniform(0.5, 1.5, (2, ROWS)) * (1 if positive else [[1], [-1]])


def bambi_of(name, link=None):
    """The bambi model of a family, of responses that it simulates."""
    family = family_named(name, link)
    y = family.simulate(np.random.default_rng(5), eta_of(family), parameters_of(family))[0]
    frame = pd.DataFrame({"y": y, "n": TRIALS.astype(int), "x": np.arange(ROWS)})
    formula = "p(y, n) ~ x" if family.has_trials else "y ~ x"
    spec = ModelSpec(formula, name, link)
    return bambi_model(spec, model_frame(spec, frame))


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_derivatives_are_those_of_the_log_likelihood(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    y = family.simulate(np.random.default_rng(1), eta, parameters)[0]
    step = 1e-4

    def slope_of(function) -> np.ndarray:
        return (function(eta + step) - function(eta - step)) / (2 * step)

    first, second = family.derivatives(y, eta, parameters)
    assert first.shape == second.shape == eta.shape
    by_steps = slope_of(lambda at: family.log_likelihood(y, at, parameters))
    np.testing.assert_allclose(first, by_steps, rtol=1e-5, atol=1e-6)
    by_steps = slope_of(lambda at: family.derivatives(y, at, parameters)[0])
    np.testing.assert_allclose(second, by_steps, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_simulated_responses_have_the_mean_that_the_family_states(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    rng = np.random.default_rng(2)
    many = np.stack([family.simulate(rng, eta, parameters) for _ in range(4000)])
    of_one = many / TRIALS if family.has_trials else many
    error = of_one.std(axis=0) / np.sqrt(len(many))
    away = (of_one.mean(axis=0) - family.mean(eta, parameters)) / error
    assert np.abs(away).max() < 4.5


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_replicates_are_responses_with_their_residuals(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    mean = family.mean(eta, parameters)
    new, residual = family.replicate(np.random.default_rng(4), eta, mean, parameters)
    again = family.simulate(np.random.default_rng(4), eta, parameters)
    np.testing.assert_allclose(new, again, rtol=1e-12)
    np.testing.assert_allclose(residual, family.residual(new, mean, parameters), rtol=1e-9)


@pytest.mark.parametrize("link", LINKS.values(), ids=list(LINKS))
def test_slopes_of_links_are_their_derivatives(link):
    eta, step = np.linspace(0.3, 2.0, 7), 1e-5
    slope = (link.inverse(eta + step) - link.inverse(eta - step)) / (2 * step)
    np.testing.assert_allclose(link.slope(eta), slope, rtol=1e-7)
    curvature = (link.slope(eta + step) - link.slope(eta - step)) / (2 * step)
    np.testing.assert_allclose(link.curvature(eta), curvature, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_what_a_family_names_is_there(name, link):
    family = family_named(name, link)
    assert family.name == name
    assert set(family.statistics) <= set(STATISTICS)
    assert set(family.engines) <= set(METHODS)
    assert set(family.links) <= set(LINKS)
    assert not family.normal or family.parameters == ("sigma",)


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_bambi_has_the_family_with_this_link_and_these_names(name, link):
    bambi = BUILTIN_FAMILIES[name]
    family = family_named(name, link)
    assert bambi["likelihood"]["parent"] == family.mean_name
    assert set(bambi["likelihood"]["params"]) == {family.mean_name, *family.parameters}
    assert link in bambi["family"].SUPPORTED_LINKS[family.mean_name]


@pytest.mark.parametrize(("name", "link"), [*EVERY, *((name, None) for name in FAMILIES)])
def test_the_model_of_bambi_has_the_link_of_the_family(name, link):
    family = family_named(name, link)
    assert bambi_of(name, link).family.link[family.mean_name].name == family.link.name


def test_a_default_link_that_is_not_bambis_is_that_of_its_model(monkeypatch):
    class Gamma(FAMILIES["gaussian"]):
        name, links = "gamma", ("log", "inverse")

        def simulate(self, rng, eta, parameters):
            return rng.gamma(3.0, self.mean(eta, parameters) / 3.0)

    monkeypatch.setitem(FAMILIES, "gamma", Gamma)
    assert BUILTIN_FAMILIES["gamma"]["link"]["mu"] == "inverse"
    assert bambi_of("gamma").family.link["mu"].name == "log"
    assert bambi_of("gamma", "inverse").family.link["mu"].name == "inverse"


@pytest.mark.parametrize("name", FAMILIES)
def test_default_priors_are_in_units_of_the_response_where_bambis_are(name):
    scaled = PriorScaler(bambi_of(name)).response_std != 1
    assert FAMILIES[name].in_response_units == scaled


@pytest.mark.parametrize("name", FAMILIES)
def test_the_reference_of_fit_lists_every_family(name):
    assert f'"{name}"' in cb.fit.__doc__.partition("link :")[0]


def test_a_link_that_a_family_has_not_names_those_it_has():
    with pytest.raises(DataError) as found:
        family_named("beta", "log")
    assert "'beta' has no link 'log'" in str(found.value)
    assert "logit, probit, cloglog" in str(found.value)


def test_an_unknown_family_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="unknown family 'poison'") as found:
        family_named("poison")
    assert ", ".join(FAMILIES) in str(found.value)


@pytest.mark.parametrize("name", FAMILIES)
def test_words_are_no_response_of_any_family(name):
    words = pd.Series(["a", "b"], name="y")
    with pytest.raises(DataError) as found:
        family_named(name).validate_response(words, pd.Series([3, 3]))
    assert found.value.column == "y"
    assert FAMILIES[name].response in str(found.value)
