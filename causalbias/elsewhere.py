"""What other packages call things, and what to write here: answers to a user's first guess.

A name of brms, lme4, bambi, emmeans, marginaleffects, tidybayes, bayesplot or ArviZ that is not one
of ours ends in an error that says how it is written here, and so does a call with their arguments.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from causalbias.errors import DataError
from causalbias.progress import shown

_PREDICTIONS = "cb.predictions(fit, 'race'), with newdata= for other rows"
_EQUAL_CELLS = (
    "cb.predictions(fit, 'race', newdata=cb.datagrid(fit, race=['a', 'b'], gender=['f', 'm'])), "
    "all cells with equal weights; without newdata= each race is averaged over its own rows"
)
_EFFECTS = "cb.effects(fit, 'race'), averaged over the rows, by= within groups"
_DRAWS = "cb.effects(fit, 'race').frame() is a table of draws, as every estimate has one"
_SUMMARY = "cb.summary(fit) is the table of parameters, with R-hat and effective sample sizes"
_FIT = "cb.fit('y ~ x + (1|g)', data, family=...) fits all models"
_FIGURES = "estimates have .plot(); cb.plots has every figure; ArviZ's functions take a fit too"
# Functions and methods, by the name that users of other packages type.
NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("brm", "brmsformula_fit", "lmer", "glmer", "lm", "glm", "glmmTMB", "clmm", "clm", "polr"),
        _FIT,
    ),
    **dict.fromkeys(("stan_glm", "stan_glmer", "stan_lmer", "gam", "bam", "Model", "model"), _FIT),
    **dict.fromkeys(
        ("bf", "brmsformula", "mvbf", "Formula", "nlf", "lf"), "cb.formula('y ~ x', sigma='~ x')"
    ),
    "fixef": "cb.coefficients(fit), and cb.summarise of it",
    "coef": "cb.coefficients(fit) for the population, cb.group_effects(fit, 'seed') for each seed",
    "ranef": "cb.group_effects(fit, 'seed'), and cb.summarise of it",
    "VarCorr": "cb.summary(fit) has sd(...) and cor(...); shares: cb.variance_shares(fit, ...)",
    "sigma": "cb.summary(fit).loc['sigma'], or fit['posterior']['sigma']",
    **dict.fromkeys(("vcov", "confint", "posterior_summary", "tidy", "parameters"), _SUMMARY),
    **dict.fromkeys(
        ("rhat", "Rhat", "ess", "neff_ratio", "nuts_params", "describe_posterior"), _SUMMARY
    ),
    **dict.fromkeys(
        ("fitted", "predict", "posterior_epred", "epred", "kfold_predict"), _PREDICTIONS
    ),
    **dict.fromkeys(("avg_predictions", "ggpredict", "ref_grid", "add_epred_draws"), _PREDICTIONS),
    **dict.fromkeys(("emmeans", "marginal_means", "ggemmeans", "estimate_means"), _EQUAL_CELLS),
    "posterior_linpred": "cb.predictions(fit, 'race', scale='link')",
    "add_linpred_draws": "cb.predictions(fit, 'race', scale='link').frame()",
    **dict.fromkeys(
        ("posterior_predict", "predictive", "predicted_draws", "add_predicted_draws"),
        "cb.model_checks.with_predictive(fit)['posterior_predictive']",
    ),
    **dict.fromkeys(("residuals", "resid"), "cb.check(fit), which looks at them, by group too"),
    **dict.fromkeys(
        ("pp_check", "ppc", "plot_ppc", "check_model", "ppc_dens_overlay"),
        "cb.check(fit) in numbers, cb.plots.pp_check(fit) as a figure",
    ),
    **dict.fromkeys(
        ("conditional_effects", "marginal_effects", "plot_predictions", "interaction_plot"),
        "cb.predictions(fit, ['race', 'gender']).plot(), or cb.dose(fit, 'pose') for a curve",
    ),
    **dict.fromkeys(
        ("hypothesis", "glht", "linear_hypothesis", "contrast"),
        "cb.hypotheses(cb.coefficients(fit), {'name': 'coefficient[\"a\"] - coefficient[\"b\"]'}), "
        "or of the effects of cb.effects",
    ),
    **dict.fromkeys(("comparisons", "avg_comparisons", "estimate_contrasts"), _EFFECTS),
    **dict.fromkeys(
        ("pairs", "pairwise", "tukey"), "cb.effects(fit, 'race', reference='pairwise')"
    ),
    **dict.fromkeys(
        ("slopes", "avg_slopes", "emtrends", "marginaleffects", "margins"),
        "cb.effects(fit, 'pose', change=1), or cb.dose(fit, 'pose')['average_slope']",
    ),
    **dict.fromkeys(("expand_grid", "data_grid", "newdata"), "cb.datagrid(fit, race=['a', 'b'])"),
    **dict.fromkeys(
        ("prior", "set_prior", "prior_string", "Prior"),
        "priors are texts by term: cb.fit(..., priors={'race': 'Normal(0, 1)'})",
    ),
    **dict.fromkeys(
        ("horseshoe", "R2D2", "r2d2", "hs"),
        "a prior of all coefficients: cb.fit(..., priors={'b': 'Horseshoe(1)'}), or 'R2D2()'",
    ),
    **dict.fromkeys(("prior_summary", "default_prior", "priors"), "cb.get_prior('y ~ x', data)"),
    **dict.fromkeys(("waic", "WAIC", "compare_ic", "LOO"), "cb.loo(fit)"),
    **dict.fromkeys(("kfold", "add_criterion"), "cb.loo(fit, by='seed') leaves whole groups out"),
    **dict.fromkeys(
        ("model_weights", "loo_model_weights", "stacking", "pp_average"),
        "cb.loo_compare({'a': one, 'b': other}) has stacking weights",
    ),
    **dict.fromkeys(("bayes_R2", "r2", "R2", "icc", "r2_nakagawa"), "cb.variance_shares(fit, ...)"),
    **dict.fromkeys(
        ("bayes_factor", "bridge_sampler", "post_prob", "logLik", "AIC", "BIC", "anova"),
        "models are compared by cb.loo_compare({'a': one, 'b': other}), practical equivalence by "
        "cb.equivalence",
    ),
    **dict.fromkeys(
        ("rope", "equivalence_test", "p_direction", "pd", "p_rope"),
        "cb.equivalence(estimate, (-0.1, 0.1)); cb.summarise has the probability of a direction",
    ),
    **dict.fromkeys(
        (
            "hdi",
            "HDI",
            "qi",
            "eti",
            "median_qi",
            "mean_qi",
            "median_hdi",
            "mode_hdi",
            "point_interval",
        ),
        "cb.summarise(estimate, prob=0.9, interval='hdi')",
    ),
    **dict.fromkeys(
        ("estimate", "lower", "upper", "interval", "conf_int", "ci", "p_value", "pvalues"),
        "effect.summary(), a DataFrame with the estimate, lower, upper and n of each cell",
    ),
    **dict.fromkeys(
        ("to_csv", "to_excel", "to_latex", "to_html", "to_markdown"),
        "effect.summary().to_csv(...), as summary() of an estimate is a DataFrame",
    ),
    **dict.fromkeys(("summarize", "summarise_draws", "summarize_draws"), "cb.summarise(estimate)"),
    **dict.fromkeys(
        (
            "as_draws",
            "as_draws_df",
            "as_draws_array",
            "spread_draws",
            "gather_draws",
            "tidy_draws",
            "posterior_samples",
            "extract",
            "to_pandas_draws",
        ),
        f"{_DRAWS}; fit['posterior'] has those of parameters",
    ),
    **dict.fromkeys(
        ("tab_model", "tbl_regression", "kable", "gt", "modelsummary"), "cb.table(estimate)"
    ),
    **dict.fromkeys(
        (
            "mcmc_plot",
            "plot_posterior",
            "plot_forest",
            "mcmc_areas",
            "mcmc_intervals",
            "stat_halfeye",
            "plot_model",
            "autoplot",
            "coefplot",
        ),
        _FIGURES,
    ),
    **dict.fromkeys(("plot_trace", "traceplot", "mcmc_trace"), "cb.plots.trace(fit)"),
    **dict.fromkeys(("plot_rank", "mcmc_rank_overlay", "mcmc_rank_hist"), "cb.plots.rank(fit)"),
    **dict.fromkeys(
        ("brm_multiple", "mice", "with_imputed"),
        "fit each completed data set: cb.pool([cb.effects(cb.fit(formula, one), 'race') for one in "
        "completed])",
    ),
    **dict.fromkeys(
        ("stancode", "make_stancode", "standata", "make_standata", "launch_shinystan"),
        "there is no Stan program; fit.attrs['engine'] says how it was fitted",
    ),
    **dict.fromkeys(("nobs", "ngrps"), "fit.attrs['n_rows']; printing the fit shows the groups"),
    "refit": "cb.update(fit, data=rows), or cb.model_checks.rerun(fit)",
    "data": "fit['constant_data'] holds the rows",
    "save_model": "cb.save(fit, 'fit.nc'), and cb.open",
    "read": "cb.open('fit.nc') opens what cb.save wrote; cb.load reads data sets",
    "read_csv": "pandas.read_csv; cb.load('tidy', folder) reads a study's tables",
    **dict.fromkeys(
        ("gaussian", "bernoulli", "binomial", "cumulative", "student", "Gamma", "poisson"),
        "families are names: cb.fit(..., family='gaussian')",
    ),
    **dict.fromkeys(
        ("normal", "student_t", "exponential", "lkj", "cauchy"),
        "priors are texts by term: cb.fit(..., priors={'race': 'Normal(0, 1)'})",
    ),
}
# Arguments of other packages.
ARGUMENTS: dict[str, str] = {
    "iter": "draws= and tune= per chain (brms' iter counts both)",
    **dict.fromkeys(("warmup", "burn", "burnin", "n_burn"), "tune="),
    **dict.fromkeys(("seed", "random_state", "rng"), "random_seed="),
    **dict.fromkeys(
        ("cores", "threads", "n_jobs", "future"), "leave it out: chains run in parallel"
    ),
    **dict.fromkeys(("prior", "beta_prior"), "priors={'race': 'Normal(0, 1)'}"),
    **dict.fromkeys(
        (
            "re_formula",
            "re_form",
            "allow_new_levels",
            "sample_new_levels",
            "sample_new_groups",
            "re.form",
        ),
        "population='new' (the mean over new groups), 'typical' (effects of zero) or 'these'",
    ),
    **dict.fromkeys(
        (
            "probs",
            "ci",
            "conf_level",
            "level",
            "hdi_prob",
            "ci_prob",
            "width",
            ".width",
            "alpha",
            "conf",
        ),
        "prob=0.95",
    ),
    **dict.fromkeys(
        ("type", "transform", "regrid"), "scale='response', 'link', 'probability', ..."
    ),
    "dpar": "parameter='sigma'",
    **dict.fromkeys(
        ("specs", "variables", "effects", "terms", "resp"),
        "name the variable: cb.effects(fit, 'race')",
    ),
    **dict.fromkeys(
        ("control", "adapt_delta", "target_accept", "max_treedepth"),
        "leave it out: what did not converge says so, and more tune= may help",
    ),
    **dict.fromkeys(
        ("backend", "algorithm", "engine", "inference_method", "sampler"), "method='auto'"
    ),
    **dict.fromkeys(
        ("init", "inits", "init_r", "step_size"), "leave it out: starting points are found"
    ),
    **dict.fromkeys(
        ("file_refit", "save_pars", "save_model"), "file='fit.nc' keeps a fit and reads it again"
    ),
    "sample_prior": "cb.prior_predictive(formula, data)",
    **dict.fromkeys(("na_action", "na.action", "dropna", "na_rm"), "missing='drop'"),
    **dict.fromkeys(("ndraws", "nsamples", "num_samples", "n_draws"), "draws= of cb.fit"),
    **dict.fromkeys(
        ("newdata", "data_new", "at", "grid"), "newdata= of cb.predictions and cb.effects"
    ),
    **dict.fromkeys(("progressbar", "refresh", "silent", "verbose"), "progress=False"),
    **dict.fromkeys(
        ("contrast", "contrasts", "method_contrast"), "reference='white', or 'pairwise'"
    ),
    **dict.fromkeys(("groups", "by_", "group_by", "condition"), "by='gender'"),
    "offset": "a term of the formula: offset(log(exposure))",
    "autocor": "there are no autocorrelated residuals: add a group term",
    "REML": "leave it out: all parameters have a posterior",
    "family_link": "link='probit'",
    "rope_range": "cb.equivalence(estimate, (-0.1, 0.1))",
    "where": "subset=\"race == 'black'\"",
    "per": "cb.leak_corrected(outcomes, scores), the effect of each perceived attribute",
}


class UnknownNameError(DataError, AttributeError):
    """A name that there is not, with what it is called here."""


class WrongCallError(DataError, TypeError):
    """A call with arguments that a function does not have, with those it has."""


def unknown_name(name: str, owner: str, known: list[str]) -> UnknownNameError:
    """The error of a name that a module or an object has not.

    Parameters
    ----------
    name : str
    owner : str
        What was asked, "causalbias" or "a fit".
    known : list of str
        Public functions of the package.

    Examples
    --------
    >>> print(unknown_name("ranef", "causalbias", []))
    causalbias has no 'ranef'. Hint: write cb.group_effects(fit, 'seed'), and cb.summarise of it.
    """
    if name in NAMES:
        hint = f"write {NAMES[name]}"
    elif name in known:
        hint = f"it is a function here: cb.{name}(...)"
    else:
        near = get_close_matches(name, [*known, *NAMES], n=3, cutoff=0.75)
        listed = [f"cb.{one}" if one in known else NAMES[one] for one in near]
        hint = f"perhaps {' or '.join(listed)}" if listed else "dir(causalbias) lists what there is"
    return UnknownNameError(f"{owner} has no {name!r}", hint=hint)


def unknown_attribute(name: str, owner: str) -> AttributeError:
    """The error of an attribute that an object has not: of a public name, or a plain one."""
    if name.startswith("_"):
        return AttributeError(f"{owner} has no attribute {name!r}")
    return unknown_name(name, owner, list(sys.modules["causalbias"].__all__))


def answering[**P, T](function: Callable[P, T], name: str) -> Callable[P, T]:
    """A function as the package offers it: wrong calls say how to call it, long ones what they do.

    It takes ``progress=False`` besides its own arguments: then it is quiet.

    Parameters
    ----------
    function : callable
    name : str
        As the user writes it, such as "cb.fit".
    """
    signature = inspect.signature(function)

    own = "progress" in signature.parameters

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # What is neither true nor false is a column, as of `datagrid`.
        taken = not own and isinstance(kwargs.get("progress"), bool)
        quiet = taken and kwargs.pop("progress") is False
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise _wrong_call(name, signature, args, kwargs, error) from None
        if quiet:
            return function(*args, **kwargs)
        with shown(name):
            return function(*args, **kwargs)

    return call


def _wrong_call(
    name: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: TypeError,
) -> WrongCallError:
    usage = f"{name}{_arguments(signature)}"
    unknown = [one for one in kwargs if one not in signature.parameters]
    if unknown:
        one = unknown[0]
        near = get_close_matches(one, list(signature.parameters), n=1, cutoff=0.75)
        if one in ARGUMENTS:
            meant = f"write {ARGUMENTS[one]}; "
        else:
            meant = f"perhaps {near[0]}=; " if near else ""
        return WrongCallError(
            f"{name} has no argument {one!r}", hint=f"{meant}it is called as {usage}"
        )
    positional = [
        key for key, one in signature.parameters.items() if one.kind is not one.KEYWORD_ONLY
    ]
    if len(args) > len(positional):
        return WrongCallError(
            f"{name} takes {len(positional)} arguments without a name, and {len(args)} were given",
            hint=f"name the others: {usage}",
        )
    return WrongCallError(f"{name}: {error}", hint=f"it is called as {usage}")


def _arguments(signature: inspect.Signature) -> str:
    """The arguments, without types."""
    empty = inspect.Parameter.empty
    plain = [one.replace(annotation=empty) for one in signature.parameters.values()]
    return str(inspect.Signature(plain))
