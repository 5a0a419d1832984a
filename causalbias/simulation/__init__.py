"""Simulated studies with known truth, as ``cb.simulation``."""

from causalbias.simulation.editing import simulate_editing
from causalbias.simulation.human_machine import simulate_human_machine
from causalbias.simulation.metric import simulate_metric
from causalbias.simulation.parameters import Bias, People, Question, System
from causalbias.simulation.ratings import simulate_ratings
from causalbias.simulation.recognition_memory import simulate_recognition
from causalbias.simulation.scores import simulate_scores
from causalbias.simulation.similarity import simulate_similarity, simulate_triplets
from causalbias.simulation.simulate import simulate
from causalbias.simulation.social import simulate_social_perception

__all__ = [
    "Bias",
    "People",
    "Question",
    "System",
    "simulate",
    "simulate_editing",
    "simulate_human_machine",
    "simulate_metric",
    "simulate_ratings",
    "simulate_recognition",
    "simulate_scores",
    "simulate_similarity",
    "simulate_social_perception",
    "simulate_triplets",
]
