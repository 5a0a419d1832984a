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
    from causalbias.datasets import load
    from causalbias.datasets.causalface.images import open_image
    from causalbias.datasets.causalface.write import to_release
    from causalbias.datasets.demo import demo_study
    from causalbias.draws.hypotheses import equivalence, hypotheses
    from causalbias.draws.summaries import per_unit, rank_probabilities, summarise
    from causalbias.draws.tables import table
    from causalbias.estimands.comparing import compare
    from causalbias.estimands.contrasts import counterfactual, effects, interaction, predictions
    from causalbias.estimands.dose import dose
    from causalbias.estimands.heterogeneity import heterogeneity, variance_shares
    from causalbias.estimands.perceived import per_perceived
    from causalbias.estimands.predictive import with_log_likelihood, with_predictive
    from causalbias.estimands.prior_predictive import prior_predictive
    from causalbias.estimands.separation import separation
    from causalbias.io.storage import open, save
    from causalbias.joint_model.model import Joint, conditional_bias, joint, joint_rows
    from causalbias.manipulation_checks import checks
    from causalbias.manipulation_checks.leak_to_overturn import leak_to_overturn
    from causalbias.model_checks.check import check
    from causalbias.model_checks.influence import influence
    from causalbias.model_checks.prior_sensitivity import prior_sensitivity
    from causalbias.model_checks.sensitivity import sensitivity
    from causalbias.models.fit import fit
    from causalbias.models.rerun import rerun
    from causalbias.models.result import Fit, failures
    from causalbias.models.summary import summary
    from causalbias.rates.all_pairs import all_pairs_rates
    from causalbias.rates.det import det, equal_error_rate
    from causalbias.rates.differentials import fairness_indices, rate_ratios
    from causalbias.rates.error_rates import error_rates, group_pair_rates
    from causalbias.rates.histograms import score_histograms
    from causalbias.rates.thresholds import threshold_at
    from causalbias.recognition.alignment import align_face
    from causalbias.recognition.all_pairs import all_pairs
    from causalbias.recognition.choose import embedder
    from causalbias.recognition.classical import eigenfaces
    from causalbias.recognition.distances import enrolment, with_distances, with_embeddings
    from causalbias.recognition.embedder import Embedder
    from causalbias.recognition.embedding import embed, images_of
    from causalbias.recognition.texts import text_scores
    from causalbias.recognition.torch_file import text_embeddings
    from causalbias.simulation.parameters import Bias, People, Question, System
    from causalbias.simulation.simulate import simulate
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
    "Bias": "causalbias.simulation.parameters",
    "Embedder": "causalbias.recognition.embedder",
    "Fit": "causalbias.models.result",
    "Joint": "causalbias.joint_model.model",
    "People": "causalbias.simulation.parameters",
    "Question": "causalbias.simulation.parameters",
    "Study": "causalbias.study.tree",
    "System": "causalbias.simulation.parameters",
    "align_face": "causalbias.recognition.alignment",
    "all_pairs": "causalbias.recognition.all_pairs",
    "all_pairs_rates": "causalbias.rates.all_pairs",
    "check": "causalbias.model_checks.check",
    "compare": "causalbias.estimands.comparing",
    "conditional_bias": "causalbias.joint_model.model",
    "consensus": "causalbias.agreement.consensus",
    "counterfactual": "causalbias.estimands.contrasts",
    "demo_study": "causalbias.datasets.demo",
    "det": "causalbias.rates.det",
    "dose": "causalbias.estimands.dose",
    "effects": "causalbias.estimands.contrasts",
    "eigenfaces": "causalbias.recognition.classical",
    "embed": "causalbias.recognition.embedding",
    "embedder": "causalbias.recognition.choose",
    "enrolment": "causalbias.recognition.distances",
    "equal_error_rate": "causalbias.rates.det",
    "equivalence": "causalbias.draws.hypotheses",
    "error_consistency": "causalbias.agreement.consistency",
    "error_rates": "causalbias.rates.error_rates",
    "failures": "causalbias.models.result",
    "fairness_indices": "causalbias.rates.differentials",
    "fit": "causalbias.models.fit",
    "graded_response": "causalbias.agreement.graded",
    "group_pair_rates": "causalbias.rates.error_rates",
    "hcic": "causalbias.agreement.consensus",
    "heterogeneity": "causalbias.estimands.heterogeneity",
    "hypotheses": "causalbias.draws.hypotheses",
    "images_of": "causalbias.recognition.embedding",
    "influence": "causalbias.model_checks.influence",
    "interaction": "causalbias.estimands.contrasts",
    "joint": "causalbias.joint_model.model",
    "joint_rows": "causalbias.joint_model.model",
    "leak_to_overturn": "causalbias.manipulation_checks.leak_to_overturn",
    "load": "causalbias.datasets",
    "make_study": "causalbias.study.build",
    "open": "causalbias.io.storage",
    "open_image": "causalbias.datasets.causalface.images",
    "per_perceived": "causalbias.estimands.perceived",
    "per_unit": "causalbias.draws.summaries",
    "predictions": "causalbias.estimands.contrasts",
    "prior_predictive": "causalbias.estimands.prior_predictive",
    "prior_sensitivity": "causalbias.model_checks.prior_sensitivity",
    "rank_probabilities": "causalbias.draws.summaries",
    "rate_ratios": "causalbias.rates.differentials",
    "reliability": "causalbias.agreement.reliability",
    "retest": "causalbias.agreement.reliability",
    "rerun": "causalbias.models.rerun",
    "save": "causalbias.io.storage",
    "score_histograms": "causalbias.rates.histograms",
    "sensitivity": "causalbias.model_checks.sensitivity",
    "separation": "causalbias.estimands.separation",
    "simulate": "causalbias.simulation.simulate",
    "stimuli_from_names": "causalbias.study.pairs",
    "summarise": "causalbias.draws.summaries",
    "summary": "causalbias.models.summary",
    "table": "causalbias.draws.tables",
    "text_embeddings": "causalbias.recognition.torch_file",
    "text_scores": "causalbias.recognition.texts",
    "threshold_at": "causalbias.rates.thresholds",
    "to_frame": "causalbias.study.frames",
    "to_release": "causalbias.datasets.causalface.write",
    "validate": "causalbias.study.validate",
    "variance_shares": "causalbias.estimands.heterogeneity",
    "with_distances": "causalbias.recognition.distances",
    "with_embeddings": "causalbias.recognition.distances",
    "with_log_likelihood": "causalbias.estimands.predictive",
    "with_pairs": "causalbias.study.pairs",
    "with_predictive": "causalbias.estimands.predictive",
}


# Public names that are modules.
_MODULES = {
    "checks": "causalbias.manipulation_checks.checks",
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
