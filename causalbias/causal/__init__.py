"""Causal effects under selection, by paths, as metrics, elsewhere: as ``cb.causal``."""

from causalbias.causal.bounds import selection_bounds
from causalbias.causal.crossed import complete
from causalbias.causal.diagrams import Diagram, diagram
from causalbias.causal.metric import perceived_metric
from causalbias.causal.paths import mediation
from causalbias.causal.patterns import pattern_mixture
from causalbias.causal.transport import poststratify
from causalbias.causal.weighting import selection_weighted

__all__ = [
    "Diagram",
    "complete",
    "diagram",
    "mediation",
    "pattern_mixture",
    "perceived_metric",
    "poststratify",
    "selection_bounds",
    "selection_weighted",
]
