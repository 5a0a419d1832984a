"""Gibbs samplers of two models with latent variables: a bivariate mixed model, and a line.

Each gives one chain as a dict of arrays, from data of arrays and a random generator.
"""

from causalbias.inference.gibbs.bivariate import BivariateData, sample_bivariate
from causalbias.inference.gibbs.slope import sample_slope

__all__ = ["BivariateData", "sample_bivariate", "sample_slope"]
