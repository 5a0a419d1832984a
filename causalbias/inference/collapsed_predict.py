"""Pointwise log likelihood and replicated data for collapsed draws, in bounded memory."""

from collections.abc import Iterator

import numpy as np

from causalbias.inference.collapsed import CollapsedDraws, leading_effects
from causalbias.inference.collapsed_effects import chunks
from causalbias.inference.problem import EngineError, FloatArray, Problem


def linear_predictor(problem: Problem, draws: CollapsedDraws) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (which draws, linear predictor (c, n)) over chunks of draws of about 64 MiB.

    Effects of terms that were not kept are drawn again, the same ones each time.

    Raises
    ------
    EngineError
        Where the draws are not this problem's (shapes differ).
    """
    if draws.blocks.n_rows != len(problem.y) or draws.beta.shape[1] != problem.design.shape[1]:
        raise EngineError(
            f"draws belong to a problem of {draws.blocks.n_rows} rows and {draws.beta.shape[1]} "
            f"coefficients, found {problem.design.shape}"
        )
    lead = draws.blocks.leading
    width = 0 if lead is None else lead.gram.shape[0] * lead.gram.shape[1]
    for part in chunks(len(draws.sigma), 16 * len(problem.y) + 8 * width):
        eta = draws.beta[part] @ problem.design.T
        for term in problem.terms:
            effects = draws.effects.get(term.name, draws.others.get(term.name))
            now = leading_effects(problem, draws, part) if effects is None else effects[part]
            for m in range(term.codes.shape[1]):
                for c in range(term.columns.shape[1]):
                    times = term.weights[:, m] * term.columns[:, c]
                    eta += now[:, :, c][:, term.codes[:, m]] * times
        yield part, eta


def log_likelihood(problem: Problem, draws: CollapsedDraws) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (which draws, log density of each row given coefficients and effects (c, n)).

    A row that stands for several observations has the log density of them all.

    Examples
    --------
    >>> import numpy as np
    >>> from causalbias.inference.collapsed import sample_collapsed
    >>> y = np.random.default_rng(0).normal(size=50)
    >>> problem = Problem(y, np.ones((50, 1)), np.zeros(1), np.ones(1), (), np.ones(50))
    >>> found = sample_collapsed(problem, lambda sd: -0.5 * sd**2, draws=100, seed=1)
    >>> [values.shape for _, values in log_likelihood(problem, found)]
    [(100, 50)]
    """
    for part, eta in linear_predictor(problem, draws):
        sd = problem.noise_sd(draws.sigma[part])
        eta -= problem.y
        eta /= sd
        np.square(eta, out=eta)
        eta *= -0.5
        eta -= np.log(sd) + 0.5 * np.log(2 * np.pi)
        eta *= problem.row_weight
        yield part, eta


def posterior_predict(
    problem: Problem, draws: CollapsedDraws, *, seed: int
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (which draws, one new observation of each row, same levels (c, n))."""
    rng = np.random.default_rng(seed)
    for part, eta in linear_predictor(problem, draws):
        noise = rng.standard_normal(eta.shape)
        noise *= problem.noise_sd(draws.sigma[part])
        yield part, eta + noise
