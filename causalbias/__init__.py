"""Causal effects of face attributes on recognition networks and on people.

A study (stimuli, pairs, machine distances, human judgements) goes in; a model is fitted to a part
of it; effects are computed from the fit's draws; figures and tables show them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from causalbias.errors import DataError

if TYPE_CHECKING:
    from causalbias import design, plots, stimuli
    from causalbias.agreement.consensus import consensus, hcic
    from causalbias.agreement.consistency import error_consistency
    from causalbias.agreement.graded import graded_response
    from causalbias.agreement.reliability import reliability, retest
    from causalbias.bivariate.model import Joint, conditional_bias, joint, joint_rows
    from causalbias.criticism.check import check
    from causalbias.datasets import load
    from causalbias.datasets.demo import demo_study
    from causalbias.datasets.release.images import open_image
    from causalbias.datasets.release.writing import to_release
    from causalbias.datasets.simulate import simulate
    from causalbias.datasets.simulation.parameters import Bias, People, Question, System
    from causalbias.estimands.comparing import compare
    from causalbias.estimands.contrasts import counterfactual, effects, interaction, predictions
    from causalbias.estimands.dose import dose
    from causalbias.estimands.heterogeneity import heterogeneity, variance_shares
    from causalbias.estimands.hypotheses import equivalence, hypotheses
    from causalbias.estimands.perceived import per_perceived
    from causalbias.estimands.predictive import with_log_likelihood, with_predictive
    from causalbias.estimands.prior_predictive import prior_predictive
    from causalbias.estimands.rates import error_rates, group_pair_rates
    from causalbias.estimands.rates_counts import all_pairs_rates
    from causalbias.estimands.rates_det import det, equal_error_rate
    from causalbias.estimands.rates_differentials import fairness_indices, rate_ratios
    from causalbias.estimands.rates_scores import score_histograms
    from causalbias.estimands.rates_thresholds import threshold_at
    from causalbias.estimands.separation import separation
    from causalbias.estimands.summaries import per_unit, rank_probabilities, summarise
    from causalbias.estimands.tabling import table
    from causalbias.models.fitting import fit
    from causalbias.models.rerun import rerun
    from causalbias.models.result import Fit, failures
    from causalbias.models.summary import summary
    from causalbias.recognition.alignment import align_face
    from causalbias.recognition.choose import embedder
    from causalbias.recognition.classical import eigenfaces
    from causalbias.recognition.embedder import Embedder
    from causalbias.recognition.embedding import embed, images_of
    from causalbias.recognition.machine import enrolment, with_distances, with_embeddings
    from causalbias.recognition.scores import all_pairs
    from causalbias.recognition.texts import text_scores
    from causalbias.recognition.torch_file import text_embeddings
    from causalbias.robustness.influence import influence
    from causalbias.robustness.leak import leak_to_overturn
    from causalbias.robustness.prior import prior_sensitivity
    from causalbias.robustness.sensitivity import sensitivity
    from causalbias.storage import open, save
    from causalbias.studies import checks
    from causalbias.study.build import make_study
    from causalbias.study.frames import to_frame
    from causalbias.study.pairs import stimuli_from_names, with_pairs
    from causalbias.study.tree import Study
    from causalbias.study.validate import validate


__version__ = "0.1.0"

__all__ = [
    "Bias",
    "DataError",
    "Embedder",
    "Fit",
    "Joint",
    "People",
    "Question",
    "Study",
    "System",
    "__version__",
    "align_face",
    "all_pairs",
    "all_pairs_rates",
    "check",
    "checks",
    "compare",
    "conditional_bias",
    "consensus",
    "counterfactual",
    "demo_study",
    "design",
    "det",
    "dose",
    "effects",
    "eigenfaces",
    "embed",
    "embedder",
    "enrolment",
    "equal_error_rate",
    "equivalence",
    "error_consistency",
    "error_rates",
    "failures",
    "fairness_indices",
    "fit",
    "graded_response",
    "group_pair_rates",
    "hcic",
    "heterogeneity",
    "hypotheses",
    "images_of",
    "influence",
    "interaction",
    "joint",
    "joint_rows",
    "leak_to_overturn",
    "load",
    "make_study",
    "open",
    "open_image",
    "per_perceived",
    "per_unit",
    "plots",
    "predictions",
    "prior_predictive",
    "prior_sensitivity",
    "rank_probabilities",
    "rate_ratios",
    "reliability",
    "rerun",
    "retest",
    "save",
    "score_histograms",
    "sensitivity",
    "separation",
    "simulate",
    "stimuli",
    "stimuli_from_names",
    "summarise",
    "summary",
    "table",
    "text_embeddings",
    "text_scores",
    "threshold_at",
    "to_frame",
    "to_release",
    "validate",
    "variance_shares",
    "with_distances",
    "with_embeddings",
    "with_log_likelihood",
    "with_pairs",
    "with_predictive",
]

# Where each public name lives. Imported on first use: bambi and PyMC take seconds.
_HOMES = {
    "Bias": "causalbias.datasets.simulation.parameters",
    "Embedder": "causalbias.recognition.embedder",
    "Fit": "causalbias.models.result",
    "Joint": "causalbias.bivariate.model",
    "People": "causalbias.datasets.simulation.parameters",
    "Question": "causalbias.datasets.simulation.parameters",
    "Study": "causalbias.study.tree",
    "System": "causalbias.datasets.simulation.parameters",
    "align_face": "causalbias.recognition.alignment",
    "all_pairs": "causalbias.recognition.scores",
    "all_pairs_rates": "causalbias.estimands.rates_counts",
    "check": "causalbias.criticism.check",
    "compare": "causalbias.estimands.comparing",
    "conditional_bias": "causalbias.bivariate.model",
    "consensus": "causalbias.agreement.consensus",
    "counterfactual": "causalbias.estimands.contrasts",
    "demo_study": "causalbias.datasets.demo",
    "det": "causalbias.estimands.rates_det",
    "dose": "causalbias.estimands.dose",
    "effects": "causalbias.estimands.contrasts",
    "eigenfaces": "causalbias.recognition.classical",
    "embed": "causalbias.recognition.embedding",
    "embedder": "causalbias.recognition.choose",
    "enrolment": "causalbias.recognition.machine",
    "equal_error_rate": "causalbias.estimands.rates_det",
    "equivalence": "causalbias.estimands.hypotheses",
    "error_consistency": "causalbias.agreement.consistency",
    "error_rates": "causalbias.estimands.rates",
    "failures": "causalbias.models.result",
    "fairness_indices": "causalbias.estimands.rates_differentials",
    "fit": "causalbias.models.fitting",
    "graded_response": "causalbias.agreement.graded",
    "group_pair_rates": "causalbias.estimands.rates",
    "hcic": "causalbias.agreement.consensus",
    "heterogeneity": "causalbias.estimands.heterogeneity",
    "hypotheses": "causalbias.estimands.hypotheses",
    "images_of": "causalbias.recognition.embedding",
    "influence": "causalbias.robustness.influence",
    "interaction": "causalbias.estimands.contrasts",
    "joint": "causalbias.bivariate.model",
    "joint_rows": "causalbias.bivariate.model",
    "leak_to_overturn": "causalbias.robustness.leak",
    "load": "causalbias.datasets",
    "make_study": "causalbias.study.build",
    "open": "causalbias.storage",
    "open_image": "causalbias.datasets.release.images",
    "per_perceived": "causalbias.estimands.perceived",
    "per_unit": "causalbias.estimands.summaries",
    "predictions": "causalbias.estimands.contrasts",
    "prior_predictive": "causalbias.estimands.prior_predictive",
    "prior_sensitivity": "causalbias.robustness.prior",
    "rank_probabilities": "causalbias.estimands.summaries",
    "rate_ratios": "causalbias.estimands.rates_differentials",
    "reliability": "causalbias.agreement.reliability",
    "retest": "causalbias.agreement.reliability",
    "rerun": "causalbias.models.rerun",
    "save": "causalbias.storage",
    "score_histograms": "causalbias.estimands.rates_scores",
    "sensitivity": "causalbias.robustness.sensitivity",
    "separation": "causalbias.estimands.separation",
    "simulate": "causalbias.datasets.simulate",
    "stimuli_from_names": "causalbias.study.pairs",
    "summarise": "causalbias.estimands.summaries",
    "summary": "causalbias.models.summary",
    "table": "causalbias.estimands.tabling",
    "text_embeddings": "causalbias.recognition.torch_file",
    "text_scores": "causalbias.recognition.texts",
    "threshold_at": "causalbias.estimands.rates_thresholds",
    "to_frame": "causalbias.study.frames",
    "to_release": "causalbias.datasets.release.writing",
    "validate": "causalbias.study.validate",
    "variance_shares": "causalbias.estimands.heterogeneity",
    "with_distances": "causalbias.recognition.machine",
    "with_embeddings": "causalbias.recognition.machine",
    "with_log_likelihood": "causalbias.estimands.predictive",
    "with_pairs": "causalbias.study.pairs",
    "with_predictive": "causalbias.estimands.predictive",
}


# Public names that are modules.
_MODULES = {
    "checks": "causalbias.studies.checks",
    "design": "causalbias.design",
    "plots": "causalbias.plots",
    "stimuli": "causalbias.stimuli",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'causalbias' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
