"""NUTS for any model that bambi can build, by nutpie."""

import contextlib
import io
import logging
import warnings

import bambi as bmb
import numpy as np
import pymc as pm
import xarray as xr

from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray

LARGE = 10.0  # of a predictor's values
# Kept from nutpie's statistics: those that diagnostics read.
STATISTICS = ("diverging", "energy", "depth", "n_steps", "step_size", "tuning")


def weigh_rows(model: bmb.Model, counts: FloatArray, precision: FloatArray | None) -> None:
    """Let rows of a built model count several times, and differ in precision; in place.

    bambi's own ``weighted()`` scales default priors by the response and its weights mixed, and
    knows no precisions. Here the model is as without weights, and what they add to the log
    likelihood is a potential.

    Parameters
    ----------
    model : bambi Model
        Built.
    counts : ndarray (n,)
    precision : ndarray (n,), optional
        Of a Gaussian model: row i has variance ``sigma^2 / precision[i]``.
    """
    if precision is None and (counts == 1).all():
        return
    inner = model.backend.model
    (observed,) = inner.observed_RVs
    value = inner.rvs_to_values[observed]
    added = (counts - 1) * pm.logp(observed, value)
    if precision is not None:
        mean, sd = observed.owner.op.dist_params(observed.owner)
        square = ((value - mean) / sd) ** 2
        added += 0.5 * counts * (np.log(precision) - (precision - 1) * square)
    with inner:
        pm.Potential("rows_weighed", added.sum())


def sample_nuts(
    model: bmb.Model, *, draws: int, tune: int, chains: int, seed: int
) -> dict[str, xr.Dataset]:
    """Draw from the posterior with nutpie.

    Returns
    -------
    dict
        Datasets "posterior" and "sample_stats", dims (chain, draw, ...), under bambi's names.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted before the last draw.
    DataError
        If the likelihood is not finite where it could start.
    """
    logger = logging.getLogger("pymc")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            # Convergence is judged by causalbias.inference.diagnostics, on every fit.
            warnings.simplefilter("ignore", UserWarning)
            tree = model.fit(
                inference_method="nutpie",
                draws=draws,
                tune=tune,
                chains=chains,
                random_seed=seed,
                progressbar=False,
                # Group means and the intercept are strongly correlated; a diagonal metric mixes
                # them ten times slower (benchmarks/nuts_metric.py).
                nuts={"adaptation": "low_rank"},
                compile_kwargs={"jitter_rvs": _jittered(model)},
            )
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # nutpie's, of no base but BaseException
            raise
        raise DataError(
            f"NUTS finds nowhere to start ({str(error)[:80]})",
            mend="bring predictors to a scale near one, or narrow the priors",
        ) from None
    finally:
        logger.setLevel(before)
    posterior = tree["posterior"].to_dataset()
    unfinished = any(values.isnull().any() for values in posterior.values())
    if unfinished or posterior.sizes["draw"] < draws:
        raise KeyboardInterrupt  # nutpie catches it, and returns what it has by then
    statistics = tree["sample_stats"].to_dataset()
    kept = [name for name in STATISTICS if name in statistics]
    return {"posterior": posterior, "sample_stats": statistics[kept]}


def _jittered(model: bmb.Model) -> set[object]:
    """Parameters to which chains' starts add up to one: not coefficients of large columns.

    There one would take the predictor to where the likelihood is flat or not finite.
    """
    terms = model.parameters[model.family.likelihood.parent].common_terms
    large = {name for name, one in terms.items() if np.abs(one.data).max() > LARGE}
    return {one for one in model.backend.model.free_RVs if one.name not in large}
