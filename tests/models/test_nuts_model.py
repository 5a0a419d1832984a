"""What NUTS samples: the same model as the other engines, whatever the formula."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalbias as cb
from causalbias.inference.membership import effects_design
from causalbias.models.arrays import arrays_of
from causalbias.models.bambi_models import bambi_model
from causalbias.models.fitted import ModelDesign
from causalbias.models.nuts_model import nuts_model
from causalbias.models.specification import ModelSpec, model_frame, trials_of

RESPONSES = {
    "gaussian": "y",
    "bernoulli": "hit",
    "binomial": "p(hits, tries)",
    "cumulative": "mark",
    "beta": "share",
}
PARAMETERS = {
    "sigma": np.array(0.8),
    "kappa": np.array(5.0),
    "threshold": np.array([-1.0, 0.2, 1.1]),
}
TERMS = [
    "(1|g)",
    "(x|g)",
    "(x||g)",
    "(1|mm(a, b))",
    "(poly(x, 2)|g) + (x|mm(a, b)) + (1|h)",
]


@pytest.fixture(scope="module")
def frame():
    """Rows of 12 groups and 10 members, whose slopes are correlated with their intercepts."""
    rng = np.random.default_rng(5)
    n, levels = 360, 12
    g, h, a, b = rng.integers(0, levels, (4, n))
    x = rng.normal(size=n)
    effects = rng.multivariate_normal([0, 0], [[0.5, 0.25], [0.25, 0.3]], levels)
    member = rng.normal(0, 1.2, levels)
    eta = 0.3 + 0.5 * x + effects[g, 0] + effects[g, 1] * x + (member[a] + member[b]) / 2
    chance = 1 / (1 + np.exp(-eta))
    tries = rng.integers(3, 9, n)
    columns = {"x": x, "g": g + 10, "h": h, "a": a + 20, "b": b + 20, "tries": tries}
    return pd.DataFrame(columns).assign(
        y=eta + rng.normal(0, 0.8, n),
        hit=rng.binomial(1, chance),
        hits=rng.binomial(tries, chance),
        mark=np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 1.5]),
        share=np.clip(rng.beta(6 * chance, 6 * (1 - chance)), 1e-6, 1 - 1e-6),
        n=rng.integers(1, 4, n),
        w=rng.uniform(0.5, 2.0, n),
    )


def design_of(spec, frame):
    model = ModelDesign.of(spec, model_frame(spec, frame))
    return model, arrays_of(model, normal=False)


def point_of(inner, rng):
    """Natural values of all parameters, and of those that PyMC transforms."""
    natural = {}
    for one in inner.free_RVs:
        shape = inner.initial_point()[inner.rvs_to_values[one].name].shape
        natural[one.name] = rng.uniform(0.2, 0.8, shape)
        if one.name in PARAMETERS:
            natural[one.name] = PARAMETERS[one.name]
    values = {}
    for one in inner.free_RVs:
        change, value = inner.rvs_to_transforms[one], natural[one.name]
        if change is not None:
            value = change.forward(value, *one.owner.inputs).eval()
        values[inner.rvs_to_values[one].name] = value
    return natural, values


def corr_factor_of(partial, k):
    """Of partial correlations r_ij given the columns before j, by Lewandowski et al. (2009)."""
    factor, at = np.eye(k), 0
    for i in range(k):
        for j in range(i):
            factor[i, j] = partial[at] * np.sqrt(1 - np.sum(factor[i, :j] ** 2))
            at += 1
        factor[i, i] = np.sqrt(1 - np.sum(factor[i, :i] ** 2))
    return factor


def expected_log_density(model, arrays, natural):
    """Of priors, by SciPy, and of the responses, by the family, with effects of a sparse design."""
    problem, total = arrays.problem, 0.0
    beta = [natural[name.replace(",", ";")] for name in model.coefficient_terms]
    coefficients = np.concatenate([np.empty(0), *beta])
    eta = model.offset + problem.design @ coefficients
    total += stats.norm.logpdf(coefficients, problem.beta_mean, problem.beta_sd).sum()
    for term in problem.terms:
        name = term.name.replace(",", ";")
        z = natural[f"{name}: z"]
        sds = [natural[f"{name}: sd of {one}".replace(",", ";")] for one in term.coefficients]
        total += stats.norm.logpdf(z).sum()
        total += sum(density(sd) for density, sd in zip(term.sd_log_prior, sds, strict=True))
        factor = np.eye(term.k)
        if term.correlated:
            partial = natural[f"{name}: partial correlations"]
            shapes = [(term.k - j) / 2 for i in range(term.k) for j in range(i)]
            total += stats.beta.logpdf(partial, shapes, shapes).sum()
            factor = corr_factor_of(2 * partial - 1, term.k)
        effects = z @ factor.T * np.array(sds)
        eta = eta + effects_design(term) @ effects.ravel()
    for name in model.family.parameters:
        prior = model.prior(name)
        given = natural[name]
        of_prior = {
            "HalfStudentT": lambda p, v: np.log(2) + stats.t.logpdf(v, p["nu"], scale=p["sigma"]),
            "HalfCauchy": lambda p, v: stats.halfcauchy.logpdf(v, scale=p["beta"]),
            "Normal": lambda p, v: stats.norm.logpdf(v, p["mu"], p["sigma"]),
        }
        total += np.sum(of_prior[prior.name](prior.args, given))
    parameters = model.family.of_rows(
        {name: np.atleast_2d(natural[name]) for name in model.family.parameters},
        problem.row_precision,
        trials_of(model.spec, model.frame),
    )
    y = problem.y[:, 0] if model.family.has_trials else problem.y
    logs = model.family.log_likelihood(y, eta[None], parameters)
    return float(total + (problem.row_weight * logs).sum())


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("family", list(RESPONSES))
def test_its_density_is_the_models(frame, family, terms):
    weights = "w" if family == "gaussian" else None
    formula = f"{RESPONSES[family]} ~ poly(x, 2) + h + {terms}"
    model, arrays = design_of(ModelSpec(formula, family, counts="n", weights=weights), frame)
    inner = nuts_model(model, arrays)
    natural, values = point_of(inner, np.random.default_rng(0))
    found = inner.compile_logp(jacobian=False, mode="FAST_COMPILE")(values)
    assert found == pytest.approx(expected_log_density(model, arrays, natural), rel=1e-9)


@pytest.mark.parametrize("family", list(RESPONSES))
def test_its_density_is_bambis_where_bambi_has_the_model(frame, family):
    """Intercepts, to which neither adds a centring: the same parameters, in the same places."""
    spec = ModelSpec(f"{RESPONSES[family]} ~ x + h + offset(w) + (1|g)", family)
    used = model_frame(spec, frame)
    theirs = bambi_model(spec, used)
    theirs.build()
    inner = nuts_model(*design_of(spec, frame))
    _, values = point_of(inner, np.random.default_rng(1))
    names = {"1|g: z": "1|g_offset", "1|g: sd of 1_log__": "1|g_sigma_log__"}
    given = {names.get(name, name): np.squeeze(value) for name, value in values.items()}
    start = theirs.backend.model.initial_point()
    given = {name: np.reshape(given[name], np.shape(one)) for name, one in start.items()}
    ours = inner.compile_logp(mode="FAST_COMPILE")(values)
    bambis = theirs.backend.model.compile_logp(mode="FAST_COMPILE")(given)
    assert ours == pytest.approx(bambis, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "terms", "how"),
    [
        ("gaussian", "(x|g) + (1|mm(a, b))", {"weights": "w", "counts": "n"}),
        ("bernoulli", "(1|g) + (1|mm(a, b))", {"counts": "n"}),
        ("binomial", "(x||g) + (1|mm(a, b))", {}),
        ("cumulative", "(x|g) + (1|mm(a, b))", {}),
    ],
)
def test_its_draws_are_those_of_the_other_engines(frame, family, terms, how):
    formula = f"{RESPONSES[family]} ~ x + {terms}"
    other = {"gaussian": "collapsed"}.get(family, "laplace")
    exact = cb.fit(formula, frame, family=family, method=other, **how)
    nuts = cb.fit(formula, frame, family=family, method="nuts", draws=2000, tune=800, **how)
    assert set(exact["posterior"].data_vars) == set(nuts["posterior"].data_vars)
    for name in exact["posterior"].data_vars:
        ours, theirs = exact["posterior"][name], nuts["posterior"][name]
        assert theirs.dims == ours.dims
        assert set(theirs.indexes) == set(ours.indexes)
        for dim in set(ours.indexes) - {"chain", "draw"}:
            assert theirs.indexes[dim].equals(ours.indexes[dim]), name
    assert nuts.attrs["engine"].startswith("NUTS")
    one, other = cb.summary(exact), cb.summary(nuts)
    assert set(one.index) == set(other.index)
    other = other.loc[one.index]
    # 0.1 posterior sd and 10%, beside three Monte Carlo errors (of an sd, of kurtosis six)
    mean_error = np.hypot(1 / np.sqrt(one["ess_bulk"]), 1 / np.sqrt(other["ess_bulk"]))
    away = (one["estimate"] - other["estimate"]).abs() / other["sd"]
    assert (away < 0.1 + 3 * mean_error).all(), (away, mean_error)
    sd_error = 1.1 * np.hypot(1 / np.sqrt(one["ess_tail"]), 1 / np.sqrt(other["ess_tail"]))
    assert ((one["sd"] / other["sd"] - 1).abs() < 0.1 + 3 * sd_error).all(), one["sd"] / other["sd"]


def test_auto_falls_back_to_it_with_members_too_and_says_why_and_how_long(frame):
    priors = {"x": "StudentT(3, 0, 1)"}
    said = r"sampling by NUTS.*collapsed engine declined: .*about \d+ seconds"
    with pytest.warns(cb.errors.SamplingWarning, match=said):
        fit = cb.fit("y ~ x + (1|mm(a, b))", frame, priors=priors, draws=50, tune=50, chains=1)
    assert "1|mm(a, b)" in fit["posterior"]
    assert "declined" in fit.attrs["engine"]
