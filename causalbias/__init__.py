"""Causal effects of face attributes on recognition networks and on people.

A study (stimuli, pairs, machine distances, human judgements) goes in; a model is fitted to a part
of it; effects are computed from the fit's draws; figures and tables show them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from causalbias.errors import DataError

if TYPE_CHECKING:
    from causalbias import plots
    from causalbias.agreement.consensus import consensus, hcic
    from causalbias.agreement.graded import graded_response
    from causalbias.agreement.reliability import reliability
    from causalbias.checks.check import check
    from causalbias.datasets import load
    from causalbias.datasets.demo import demo_study
    from causalbias.datasets.release.images import open_image
    from causalbias.datasets.release.writing import to_release
    from causalbias.datasets.simulate import simulate
    from causalbias.datasets.simulation.parameters import Bias, People, Question, System
    from causalbias.estimands.contrasts import effects, predictions
    from causalbias.estimands.predictive import with_log_likelihood, with_predictive
    from causalbias.estimands.prior_predictive import prior_predictive
    from causalbias.estimands.summaries import per_unit, rank_probabilities, summarise
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
    from causalbias.recognition.texts import text_scores
    from causalbias.recognition.torch_file import text_embeddings
    from causalbias.storage import open, save
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
    "People",
    "Question",
    "Study",
    "System",
    "__version__",
    "align_face",
    "check",
    "consensus",
    "demo_study",
    "effects",
    "eigenfaces",
    "embed",
    "embedder",
    "enrolment",
    "failures",
    "fit",
    "graded_response",
    "hcic",
    "images_of",
    "load",
    "make_study",
    "open",
    "open_image",
    "per_unit",
    "plots",
    "predictions",
    "prior_predictive",
    "rank_probabilities",
    "reliability",
    "rerun",
    "save",
    "simulate",
    "stimuli_from_names",
    "summarise",
    "summary",
    "text_embeddings",
    "text_scores",
    "to_frame",
    "to_release",
    "validate",
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
    "People": "causalbias.datasets.simulation.parameters",
    "Question": "causalbias.datasets.simulation.parameters",
    "Study": "causalbias.study.tree",
    "System": "causalbias.datasets.simulation.parameters",
    "align_face": "causalbias.recognition.alignment",
    "check": "causalbias.checks.check",
    "consensus": "causalbias.agreement.consensus",
    "demo_study": "causalbias.datasets.demo",
    "effects": "causalbias.estimands.contrasts",
    "eigenfaces": "causalbias.recognition.classical",
    "embed": "causalbias.recognition.embedding",
    "embedder": "causalbias.recognition.choose",
    "enrolment": "causalbias.recognition.machine",
    "failures": "causalbias.models.result",
    "fit": "causalbias.models.fitting",
    "graded_response": "causalbias.agreement.graded",
    "hcic": "causalbias.agreement.consensus",
    "images_of": "causalbias.recognition.embedding",
    "load": "causalbias.datasets",
    "make_study": "causalbias.study.build",
    "open": "causalbias.storage",
    "open_image": "causalbias.datasets.release.images",
    "per_unit": "causalbias.estimands.summaries",
    "predictions": "causalbias.estimands.contrasts",
    "prior_predictive": "causalbias.estimands.prior_predictive",
    "rank_probabilities": "causalbias.estimands.summaries",
    "reliability": "causalbias.agreement.reliability",
    "rerun": "causalbias.models.rerun",
    "save": "causalbias.storage",
    "simulate": "causalbias.datasets.simulate",
    "stimuli_from_names": "causalbias.study.pairs",
    "summarise": "causalbias.estimands.summaries",
    "summary": "causalbias.models.summary",
    "text_embeddings": "causalbias.recognition.torch_file",
    "text_scores": "causalbias.recognition.texts",
    "to_frame": "causalbias.study.frames",
    "to_release": "causalbias.datasets.release.writing",
    "validate": "causalbias.study.validate",
    "with_distances": "causalbias.recognition.machine",
    "with_embeddings": "causalbias.recognition.machine",
    "with_log_likelihood": "causalbias.estimands.predictive",
    "with_pairs": "causalbias.study.pairs",
    "with_predictive": "causalbias.estimands.predictive",
}


def __getattr__(name: str) -> Any:
    if name == "plots":
        return importlib.import_module("causalbias.plots")
    if name not in _HOMES:
        raise AttributeError(f"module 'causalbias' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
