"""What every family states agrees with itself: derivatives, simulation, means, links, responses."""

import numpy as np
import pandas as pd
import pytensor
import pytest
from bambi.defaults.families import BUILTIN_FAMILIES

import causalbias as cb
from causalbias.errors import DataError
from causalbias.model_checks.replicates import STATISTICS
from causalbias.models.arrays import arrays_of
from causalbias.models.bambi_models import bambi_model
from causalbias.models.engines import METHODS
from causalbias.models.families import FAMILIES, family_named
from causalbias.models.families.continuous import Continuous
from causalbias.models.families.links import LINKS
from causalbias.models.fitted import ModelDesign
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame

EVERY = [(name, link) for name, family in FAMILIES.items() for link in family.links]
ROWS, TRIALS = 6, np.array([1.0, 2.0, 5.0, 5.0, 9.0, 30.0])


def parameters_of(family) -> dict:
    """Two draws of every parameter that a family has."""
    known = {
        "sigma": np.array([[0.7], [1.9]]),
        "nu": np.array([[4.0], [9.0]]),
        "alpha": np.array([[1.3], [4.0]]),
        "psi": np.array([[0.6], [0.9]]),
        "b": np.array([[0.7], [1.9]]),
        "lam": np.array([[0.7], [3.0]]),
        "zoi": np.array([[0.3], [0.1]]),
        "coi": np.array([[0.4], [0.7]]),
        "kappa": np.array([[3.0], [11.0]]),
        "cutzero": np.array([[-1.5], [-0.6]]),
        "cutwidth": np.array([[2.0], [3.5]]),
        "threshold": np.array([[-1.0, 0.2, 1.4], [-0.5, 0.1, 2.0]]),
    }
    found = {name: known[name] for name in family.parameters}
    if family.by_category:
        found = {"mu_b": np.array([[0.5], [-1.0]]), "mu_c": np.array([[-0.3], [0.8]])}
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


def spec_and_rows(name, link=None):
    """A model of a family, and rows of responses that it simulates."""
    family = family_named(name, link)
    y = family.simulate(np.random.default_rng(5), eta_of(family), parameters_of(family))[0]
    frame = pd.DataFrame({"y": y, "n": TRIALS.astype(int), "x": np.arange(ROWS)})
    formula = "p(y, n) ~ x" if family.has_trials else "y ~ x"
    spec = ModelSpec(formula, name, link)
    return spec, model_frame(spec, frame)


def bambi_of(name, link=None):
    """The bambi model of a family."""
    return bambi_model(*spec_and_rows(name, link))


def design_of(name):
    """The model as engines have it."""
    return ModelDesign.of(*spec_and_rows(name))


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


# Of angles there is a mean direction: see test_vonmises.py.
@pytest.mark.parametrize(("name", "link"), [one for one in EVERY if one[0] != "vonmises"])
def test_simulated_responses_have_the_mean_that_the_family_states(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    rng = np.random.default_rng(2)
    many = np.stack([family.simulate(rng, eta, parameters) for _ in range(4000)])
    of_one = many / TRIALS if family.has_trials else many
    error = of_one.std(axis=0) / np.sqrt(len(many))
    away = (of_one.mean(axis=0) - family.mean(eta, parameters)) / error
    assert np.abs(away).max() < 4.5


CONTINUOUS = [(name, link) for name, link in EVERY if issubclass(FAMILIES[name], Continuous)]


@pytest.mark.parametrize(("name", "link"), CONTINUOUS)
def test_the_distribution_function_is_the_integral_of_the_density(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    ends = family.simulate(np.random.default_rng(1), eta, parameters)[0], eta.mean(axis=0) ** 2
    low, high = np.minimum(*ends), np.maximum(*ends) + 0.1
    nodes, weights = np.polynomial.legendre.leggauss(200)
    mass, kink = 0.0, np.clip(family.parent(eta), low, high)
    for start, end in ((low, kink), (kink, high)):
        width = (end - start) / 2
        at = [start + width * (1 + node) for node in nodes]
        density = [np.exp(family.log_likelihood(y, eta, parameters)) for y in at]
        mass = mass + width * np.einsum("k,kdr->dr", weights, density)
    found = family.cdf(high, eta, parameters) - family.cdf(low, eta, parameters)
    np.testing.assert_allclose(found, mass, rtol=1e-6, atol=1e-5)
    assert np.ptp(found) > 0


@pytest.mark.parametrize(
    ("name", "link"), [(name, link) for name, link in EVERY if FAMILIES[name].has_tails]
)
def test_tails_are_of_the_distribution_function(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    y = family.simulate(np.random.default_rng(1), eta, parameters)
    low, high = (np.exp(family.log_tail(y, eta, parameters, side)) for side in ("left", "right"))
    np.testing.assert_allclose(low, family.cdf(y, eta, parameters), rtol=1e-6)
    np.testing.assert_allclose(low + high, 1.0, rtol=1e-6)


@pytest.mark.parametrize(("name", "link"), EVERY)
def test_replicates_are_responses_with_their_residuals(name, link):
    family = family_named(name, link)
    parameters, eta = parameters_of(family), eta_of(family)
    new, residual = family.replicate(np.random.default_rng(4), eta, parameters)
    again = family.simulate(np.random.default_rng(4), eta, parameters)
    np.testing.assert_allclose(new, again, rtol=1e-12)
    np.testing.assert_allclose(residual, family.residual(new, eta, parameters), rtol=1e-9)


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
    assert {*family.real, *family.probabilities} <= set(family.parameters)


# A multinomial logit is made of one linear predictor for each category: see test_categorical.py.
OF_ONE_PREDICTOR = [name for name, family in FAMILIES.items() if not family.by_category]


@pytest.mark.parametrize(("name", "link"), [one for one in EVERY if one[0] in OF_ONE_PREDICTOR])
def test_bambi_has_the_family_with_this_link_and_these_names(name, link):
    family = family_named(name, link)
    if family.pymc is not None:
        assert name not in BUILTIN_FAMILIES, "bambi has it: leave it to bambi"
        return
    if family.likelihood_of_rows:
        assert name not in BUILTIN_FAMILIES, "bambi has it: leave it to bambi"
        name = family.bambi_name  # whose design and priors it has
    bambi = BUILTIN_FAMILIES[name]
    assert bambi["likelihood"]["parent"] == family.mean_name
    assert set(bambi["likelihood"]["params"]) == {family.mean_name, *family.parameters}
    assert link in bambi["family"].SUPPORTED_LINKS[family.mean_name]


@pytest.mark.parametrize(("name", "link"), [*EVERY, *((name, None) for name in FAMILIES)])
def test_the_model_of_bambi_has_the_link_of_the_family(name, link):
    family = family_named(name, link)
    assert bambi_of(name, link).family.link[family.mean_name].name == family.link.name


@pytest.mark.parametrize("name", OF_ONE_PREDICTOR)
def test_the_likelihood_that_nuts_samples_is_that_of_the_family(name):
    """At a point of all parameters, PyMC's log probability of every row is the family's."""
    family, model = family_named(name), design_of(name)
    arrays = arrays_of(model, normal=False)
    built = nuts_model(model, arrays)
    point = {key: value + 0.1 for key, value in built.initial_point(random_seed=1).items()}
    inside = built.replace_rvs_by_values(built.free_RVs)
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        (found,) = built.compile_logp(vars=built.observed_RVs, sum=False)(point)
        values = built.compile_fn(inside, inputs=built.value_vars)(point)
    known = {one.name: value for one, value in zip(built.free_RVs, values, strict=True)}
    beta = np.concatenate([np.ravel(known[term]) for term in model.coefficient_terms])
    eta = (arrays.problem.design @ beta)[None]
    drawn = {key: np.reshape(known[key], (1, -1)) for key in family.parameters}
    parameters = family.of_rows(drawn, trials=TRIALS if family.has_trials else None)
    y = model.frame["y"].to_numpy(float) if family.has_trials else model.response_values
    np.testing.assert_allclose(found, family.log_likelihood(y, eta, parameters)[0], rtol=1e-6)


def test_a_default_link_that_is_not_bambis_is_that_of_its_model():
    assert BUILTIN_FAMILIES["gamma"]["link"]["mu"] == "inverse"
    assert bambi_of("gamma").family.link["mu"].name == "log"
    assert bambi_of("gamma", "inverse").family.link["mu"].name == "inverse"


@pytest.mark.parametrize("name", [n for n in FAMILIES if issubclass(FAMILIES[n], Continuous)])
def test_of_a_response_in_another_unit_the_priors_say_the_same(name):
    """What they predict is the same multiple, draw by draw."""
    _, rows = spec_and_rows(name)
    drawn = []
    for unit in (1, 1024):
        with pytensor.config.change_flags(mode="FAST_COMPILE"):
            found = cb.prior_predictive("y ~ x", rows.assign(y=rows["y"] * unit), family=name)
        drawn.append(found["prior_predictive"]["y"].values)
    assert np.ptp(drawn[0]) > 0
    np.testing.assert_allclose(drawn[1], 1024 * drawn[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "t", "skew_normal"])
@pytest.mark.parametrize("link", ["log", "inverse"])
def test_the_intercept_is_where_the_mean_is_whatever_the_link(name, link):
    spec, rows = spec_and_rows(name, link)
    prior = (
        ModelDesign.of(spec, rows.assign(y=rows["y"] + 800)).coefficient_terms["Intercept"].prior
    )
    known = family_named(name, link).link.inverse(np.array(prior.args["mu"]))
    assert known == pytest.approx(800, rel=0.01)


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


@pytest.mark.parametrize(
    ("theirs", "ours"), [("student", "t"), ("Gamma", "gamma"), ("normal", "gaussian")]
)
def test_what_another_package_calls_it_is_answered_by_its_name_here(theirs, ours):
    with pytest.raises(DataError, match=f"called '{ours}' here"):
        cb.fit("y ~ 1", pd.DataFrame({"y": [1.0, 2.0]}), family=theirs)


@pytest.mark.parametrize("name", OF_ONE_PREDICTOR)
def test_words_are_no_response_of_any_family(name):
    words = pd.Series(["a", "b"], name="y")
    with pytest.raises(DataError) as found:
        family_named(name).validate_response(words, pd.Series([3, 3]))
    assert found.value.column == "y"
    assert FAMILIES[name].response in str(found.value)
