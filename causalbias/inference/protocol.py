"""What an engine is.

An engine is a function from a `Problem` to draws of its posterior:

    draws = sample_gaussian(problem, sigma_log_prior, draws=4000, random_seed=0, keep=None)
    draws = sample_laplace(problem, trials=..., draws=4000, random_seed=0, keep=None)
    draws = sample_rowwise(problem, family, priors, draws=4000, random_seed=0, keep=None)

- It takes arrays alone (`causalbias.inference.problem`): formulas, labels and
  families are unknown to it, and what it needs beside the problem are arrays and densities too.
- It gives a frozen dataclass with the attributes of `Draws`, and ``diagnostics`` with
  ``pareto_k`` and ``importance_ess``, by which the caller judges whether to trust them.
- The same ``random_seed`` gives the same draws. ``keep`` names the terms whose effects are
  returned; the posterior of all else is the same without them.
- It raises `EngineError` where it cannot sample this problem and another engine may, and
  `ImproperError` where there is nothing to sample. It never returns draws of another model.

``models/engines.py`` chooses the engine of a fit, and ``models/naming.py`` gives draws the names
of the model's parameters. A new engine is a package beside ``gaussian/`` and ``laplace/``, and a
line in that choice. NUTS (``nuts.py``) is the exception: it samples a PyMC model, which
``models/nuts_model.py`` makes of a problem and bambi's likelihood.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from causalbias.inference.problem import FloatArray


@runtime_checkable
class GroupDraws(Protocol):
    """Draws of what belongs to group terms, by the name of the term.

    Attributes
    ----------
    sd : mapping to ndarray (draws, k)
        Standard deviations of the term's k effects.
    corr : mapping to ndarray (draws, k, k)
        Correlation matrices, of terms with correlated effects only.
    effects : mapping to ndarray (draws, n_levels, k)
        Of the terms that were kept.
    """

    @property
    def sd(self) -> Mapping[str, FloatArray]:
        """Standard deviations."""

    @property
    def corr(self) -> Mapping[str, FloatArray]:
        """Correlation matrices."""

    @property
    def effects(self) -> Mapping[str, NDArray[np.floating]]:
        """Effects of levels."""


@runtime_checkable
class Draws(GroupDraws, Protocol):
    """Draws of a problem's posterior.

    Attributes
    ----------
    beta : ndarray (draws, p)
        Population-level coefficients, of the columns of ``problem.design``.
    sd, corr, effects
        As in `GroupDraws`.
    """

    @property
    def beta(self) -> FloatArray:
        """Coefficients."""
