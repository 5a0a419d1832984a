"""Posterior of hierarchical regressions of any family whose rows have a smooth log likelihood."""

from causalbias.inference.rowwise.densities import DENSITIES, LIMITED
from causalbias.inference.rowwise.sample import RowwiseDraws, sample_rowwise

__all__ = ["DENSITIES", "LIMITED", "RowwiseDraws", "sample_rowwise"]
