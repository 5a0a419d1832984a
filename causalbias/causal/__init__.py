"""What selection, mediators and another population do to causal effects, as ``cb.causal``."""

from causalbias.causal.bounds import selection_bounds
from causalbias.causal.crossed import complete
from causalbias.causal.patterns import pattern_mixture
from causalbias.causal.weighting import selection_weighted

__all__ = ["complete", "pattern_mixture", "selection_bounds", "selection_weighted"]
