"""Causal effects of face attributes on recognition networks and on people.

A study (stimuli, pairs, machine distances, human judgements) goes in; a model is fitted to a part
of it; effects are computed from the fit's draws; figures and tables show them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from causalbias.errors import DataError

if TYPE_CHECKING:
    from causalbias import design, plots
    from causalbias.agreement.consensus import consensus, hcic
    from causalbias.agreement.consistency import error_consistency
    from causalbias.agreement.graded import graded_response
    from causalbias.agreement.reliability import reliability
    from causalbias.bivariate.model import Joint, conditional_bias, joint, joint_rows
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
    from causalbias.estimands.separation import separation
    from causalbias.estimands.summaries import per_unit, rank_probabilities, summarise
    from causalbias.estimands.tabling import table
    from causalbias.models.fitting import fit
    from causalbias.models.result import Fit, failures
    from causalbias.models.summary import summary
    from causalbias.robustness.influence import influence
    from causalbias.robustness.leak import leak_to_overturn
    from causalbias.robustness.prior import prior_sensitivity
    from causalbias.storage import open, save
    from causalbias.study.build import make_study
    from causalbias.study.frames import to_frame
    from causalbias.study.tree import Study
    from causalbias.study.validate import validate

__version__ = "0.1.0"

__all__ = [
    "Bias",
    "DataError",
    "Fit",
    "Joint",
    "People",
    "Question",
    "Study",
    "System",
    "__version__",
    "compare",
    "conditional_bias",
    "consensus",
    "counterfactual",
    "demo_study",
    "design",
    "dose",
    "effects",
    "equivalence",
    "error_consistency",
    "failures",
    "fit",
    "graded_response",
    "hcic",
    "heterogeneity",
    "hypotheses",
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
    "prior_sensitivity",
    "rank_probabilities",
    "reliability",
    "save",
    "separation",
    "simulate",
    "summarise",
    "summary",
    "table",
    "to_frame",
    "to_release",
    "validate",
    "variance_shares",
    "with_log_likelihood",
    "with_predictive",
]

# Where each public name lives. Imported on first use: bambi and PyMC take seconds.
_HOMES = {
    "Bias": "causalbias.datasets.simulation.parameters",
    "Fit": "causalbias.models.result",
    "Joint": "causalbias.bivariate.model",
    "People": "causalbias.datasets.simulation.parameters",
    "Question": "causalbias.datasets.simulation.parameters",
    "Study": "causalbias.study.tree",
    "System": "causalbias.datasets.simulation.parameters",
    "compare": "causalbias.estimands.comparing",
    "conditional_bias": "causalbias.bivariate.model",
    "consensus": "causalbias.agreement.consensus",
    "counterfactual": "causalbias.estimands.contrasts",
    "demo_study": "causalbias.datasets.demo",
    "dose": "causalbias.estimands.dose",
    "effects": "causalbias.estimands.contrasts",
    "equivalence": "causalbias.estimands.hypotheses",
    "error_consistency": "causalbias.agreement.consistency",
    "failures": "causalbias.models.result",
    "fit": "causalbias.models.fitting",
    "graded_response": "causalbias.agreement.graded",
    "hcic": "causalbias.agreement.consensus",
    "heterogeneity": "causalbias.estimands.heterogeneity",
    "hypotheses": "causalbias.estimands.hypotheses",
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
    "prior_sensitivity": "causalbias.robustness.prior",
    "rank_probabilities": "causalbias.estimands.summaries",
    "reliability": "causalbias.agreement.reliability",
    "save": "causalbias.storage",
    "separation": "causalbias.estimands.separation",
    "simulate": "causalbias.datasets.simulate",
    "summarise": "causalbias.estimands.summaries",
    "summary": "causalbias.models.summary",
    "table": "causalbias.estimands.tabling",
    "to_frame": "causalbias.study.frames",
    "to_release": "causalbias.datasets.release.writing",
    "validate": "causalbias.study.validate",
    "variance_shares": "causalbias.estimands.heterogeneity",
    "with_log_likelihood": "causalbias.estimands.predictive",
    "with_predictive": "causalbias.estimands.predictive",
}


def __getattr__(name: str) -> Any:
    if name in ("design", "plots"):
        return importlib.import_module(f"causalbias.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'causalbias' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
