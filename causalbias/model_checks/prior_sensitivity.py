"""Prior sensitivity of an estimand, by power-scaling."""

import logging

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr

from causalbias.draws.marks import failed
from causalbias.draws.summaries import SAMPLE, drawn
from causalbias.errors import DataError
from causalbias.estimands.predictive import total_log_likelihood
from causalbias.estimands.scales import Floats
from causalbias.inference.problem import EngineError
from causalbias.model_checks.left_out import check_tail
from causalbias.models.arrays import Arrays, arrays_of
from causalbias.models.fitted import FittedModel, fitted, flat
from causalbias.models.priors import log_density, log_density_of_thresholds

# What it would print to stderr is in the column `diagnosis`.
logging.getLogger("arviz_stats.psense").addFilter(
    lambda record: "potential issues" not in str(record.msg)
)


def prior_sensitivity(
    fit: xr.DataTree, draws: xr.Dataset, *, of: str | None = None
) -> pd.DataFrame:
    """Compute the sensitivity of an estimand to a slightly weaker or stronger prior.

    The method is power-scaling (Kallioinen, Paananen, Buerkner and Vehtari 2023, as in priorsense
    and arviz-stats): prior and likelihood are raised to powers near one by importance weights. The
    sensitivity is the change of the estimand's distribution (cumulative Jensen-Shannon distance)
    per unit of the log power.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    draws : Dataset
        An estimate from this fit, by any verb.
    of : str, optional
        The variable, with dims chain and draw; by default the main variable.

    Returns
    -------
    DataFrame
        Of the draws at which the fit has the effects of all levels. Index: the estimand's labels.
        ``prior``, ``likelihood``: sensitivities; ``diagnosis``: "✓" where the prior matters little
        (below 0.05), else what arviz-stats makes of the two ("potential prior-data conflict" or
        "potential strong prior / weak likelihood");
        ``converged``: whether the fit passed its diagnostics.

    Raises
    ------
    DataError
        If a prior is not one whose density is known here (coefficients and thresholds: Normal or
        flat), the draws are not of this fit, or are fewer than 100.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> prior_sensitivity(fit, cb.effects(fit, "level"))["diagnosis"].tolist()
    ['✓', '✓']
    """
    name = drawn(draws, of)
    whole = fitted(fit)
    model = whole.with_effects()
    sizes = [{dim: one.posterior.sizes[dim] for dim in SAMPLE} for one in (whole, model)]
    if {dim: draws.sizes[dim] for dim in SAMPLE} not in sizes:
        raise DataError("the draws are not of this fit", hint="give an estimand of the fit itself")
    coords = {dim: model.posterior[dim] for dim in SAMPLE}
    draws = draws.sel(coords)
    check_tail(model.draws)
    shape = tuple(sizes[1].values())
    prior, likelihood = log_prior(model).reshape(shape), total_log_likelihood(model).reshape(shape)
    tree = xr.DataTree.from_dict(
        {
            "posterior": draws[[name]].drop_vars("reference", errors="ignore"),
            "log_prior": xr.Dataset({"log_prior": (SAMPLE, prior)}, coords=coords),
            "log_likelihood": xr.Dataset({"all rows": (SAMPLE, likelihood)}, coords=coords),
        }
    )
    found = arviz_stats.psense_summary(tree, var_names=[name])
    return found.assign(converged=not failed(fit))


def log_prior(model: FittedModel) -> Floats:
    """Log density (draws,) of the prior of all but single groups' effects, up to a constant.

    Raises
    ------
    DataError
        If the model is not one whose priors are known in closed form.
    """
    posterior, total = model.posterior, np.zeros(model.draws)
    try:
        arrays = arrays_of(model)
        for name in dict.fromkeys((*model.family.parameters, *model.parts)):
            prior = model.prior(name)
            if name in model.parts:
                total += _of_predictor(model.fitted_parts[name], arrays.parts[name])
            elif model.family.has_thresholds:
                thresholds = flat(posterior["threshold"])
                total += log_density_of_thresholds(prior, thresholds)
            else:
                total += log_density(prior, name)(flat(posterior[name])[:, 0])
    except EngineError as error:
        hint = "use Normal priors"
        if model.spec.limits.of_rows or model.measured or model.shared:
            hint = "fit it with other priors, cb.update(fit, priors={...}), and compare"
        raise DataError(f"the prior is not known: {error}", hint=hint) from None
    return total + _of_predictor(model, arrays)


def _of_predictor(model: FittedModel, arrays: Arrays) -> Floats:
    """Log density (draws,) of coefficients and of the standard deviations of effects."""
    total = _of_coefficients(arrays, model.coefficients)
    for term in arrays.problem.terms:
        covariance = model.group_covariance(arrays.designs[term.name])
        inverse = np.linalg.inv(arrays.bases[term.name])
        whole = inverse @ covariance @ inverse.T
        sd = np.sqrt(np.maximum(np.diagonal(whole, axis1=1, axis2=2), 0.0))
        total = total + sum(density(sd[:, k]) for k, density in enumerate(term.sd_log_prior))
        if term.correlated and term.lkj_eta != 1:
            correlation = whole / (sd[:, :, None] * sd[:, None, :])
            total = total + (term.lkj_eta - 1) * np.linalg.slogdet(correlation)[1]
    return np.asarray(total)


def _of_coefficients(arrays: Arrays, beta: Floats) -> Floats:
    """Of coefficients (draws, p), whose intercept bambi's prior has at the columns' means."""
    problem = arrays.problem
    centred = beta.copy()
    if np.any(arrays.centre):
        centred[:, 0] += beta @ arrays.centre
    proper = np.isfinite(problem.beta_sd)
    away = (centred[:, proper] - problem.beta_mean[proper]) / problem.beta_sd[proper]
    return np.asarray(-0.5 * np.square(away).sum(axis=1))
