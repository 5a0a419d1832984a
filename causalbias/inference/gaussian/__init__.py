"""The exact engine of Gaussian models: coefficients and effects integrated out."""

from causalbias.inference.gaussian.sample import (
    GaussianDraws,
    effects_at,
    leading_effects,
    sample_gaussian,
)

__all__ = ["GaussianDraws", "effects_at", "leading_effects", "sample_gaussian"]
