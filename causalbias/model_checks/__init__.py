"""Checks of a fit, as ``cb.model_checks``: draws, replicated data, priors, influence of seeds."""

from causalbias.estimands.predictive import with_log_likelihood, with_predictive
from causalbias.model_checks.check import check
from causalbias.model_checks.influence import influence
from causalbias.model_checks.loo import Loo, loo, loo_compare
from causalbias.model_checks.prior_sensitivity import prior_sensitivity
from causalbias.model_checks.sensitivity import sensitivity
from causalbias.models.rerun import rerun

__all__ = [
    "Loo",
    "check",
    "influence",
    "loo",
    "loo_compare",
    "prior_sensitivity",
    "rerun",
    "sensitivity",
    "with_log_likelihood",
    "with_predictive",
]
