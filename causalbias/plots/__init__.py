"""Figures: one function each, effects in, matplotlib out."""

from causalbias.plots.checks import leak_matrix
from causalbias.plots.forest import forest
from causalbias.plots.identity import group_effects, group_rates
from causalbias.plots.manipulation import dose_response, perceived_against_distance, rank_heatmap
from causalbias.plots.style import render, write

__all__ = [
    "dose_response",
    "forest",
    "group_effects",
    "group_rates",
    "leak_matrix",
    "perceived_against_distance",
    "rank_heatmap",
    "render",
    "write",
]
