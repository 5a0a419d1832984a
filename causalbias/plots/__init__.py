"""Figures, as ``cb.plots``: each function takes estimates and returns a matplotlib Figure."""

from causalbias.plots.chains import rank, trace
from causalbias.plots.checks import leak_matrix
from causalbias.plots.comparing import comparison
from causalbias.plots.conditional import conditional_effects
from causalbias.plots.dose import dose_curve
from causalbias.plots.faces import face_strip
from causalbias.plots.forest import forest
from causalbias.plots.identity import group_effects, group_rates
from causalbias.plots.manipulation import dose_response, perceived_against_distance, rank_heatmap
from causalbias.plots.power import assurance
from causalbias.plots.predictive import pp_check
from causalbias.plots.rates import (
    det_curves,
    rate_differentials,
    rate_heatmap,
    score_distributions,
)
from causalbias.plots.ratios import ratio_intervals
from causalbias.plots.style import render, write

__all__ = [
    "assurance",
    "comparison",
    "conditional_effects",
    "det_curves",
    "dose_curve",
    "dose_response",
    "face_strip",
    "forest",
    "group_effects",
    "group_rates",
    "leak_matrix",
    "perceived_against_distance",
    "pp_check",
    "rank",
    "rank_heatmap",
    "rate_differentials",
    "rate_heatmap",
    "ratio_intervals",
    "render",
    "score_distributions",
    "trace",
    "write",
]
