"""Simulation-based calibration: whether ranks of the truth among posterior draws are uniform."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

# Every simulation is a fit; benchmarks/calibration does more of them, for each engine and family.
DRAWS, SIMULATIONS = 99, 100


def assert_uniform(ranks: Sequence[np.ndarray]) -> None:
    """Raise if ranks 0 ... `DRAWS` (simulations, parameters) have another mean or spread.

    Mean and mean squared distance from the middle, standardised, are nearly independent normal
    for uniform ranks. At the level 0.001 and with 100 simulations they find a posterior sd of 0.7
    of the right one with probability 0.75, one of 1.4 with 0.55, and a shift by 0.4 sd with 0.63
    (4,000 simulated tests). Chi-square of ten bins finds these with 0.71, 0.48 and 0.62, and needs
    150 simulations for it.
    """
    middle = (np.array(ranks) + 0.5) / (DRAWS + 1) - 0.5
    n = len(middle)
    shift = middle.mean(axis=0) / np.sqrt(1 / 12 / n)
    spread = (np.square(middle).mean(axis=0) - 1 / 12) / np.sqrt((1 / 80 - 1 / 144) / n)
    p_values = stats.chi2.sf(shift**2 + spread**2, 2)
    assert (p_values > 0.001).all(), (shift.round(2), spread.round(2))
