"""The engine of ordinal and binary models: nested Laplace, importance-weighted."""

from causalbias.inference.laplace.result import LaplaceDraws
from causalbias.inference.laplace.sample import sample_laplace

__all__ = ["LaplaceDraws", "sample_laplace"]
