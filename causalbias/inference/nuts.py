"""NUTS for any model that bambi can build, by nutpie."""

import contextlib
import io
import logging
import warnings

import bambi as bmb
import numpy as np
import pytensor
import xarray as xr

from causalbias.errors import DataError

LARGE = 10.0  # of a predictor's values
# Kept from nutpie's statistics: those that diagnostics read.
STATISTICS = ("diverging", "energy", "depth", "n_steps", "step_size", "tuning")


def sample_nuts(
    model: bmb.Model,
    *,
    draws: int,
    tune: int,
    chains: int,
    random_seed: int,
    progress: bool = False,
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
    check_start(model)
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
                random_seed=random_seed,
                progressbar=progress,
                # Group means and the intercept are strongly correlated; with a diagonal metric they
                # mix about ten times more slowly (docs/adr/0005).
                nuts={"adaptation": "low_rank"},
                compile_kwargs={"jitter_rvs": _jittered(model)},
            )
    except BaseException as error:
        # nutpie's panic has no base but BaseException
        if type(error).__name__ != "PanicException" and "initialization" not in str(error):
            raise
        raise DataError(
            f"NUTS finds nowhere to start ({str(error)[:80]})",
            hint="bring predictors to a scale near one, or narrow the priors",
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


def check_start(model: bmb.Model) -> None:
    """Refuse a built model whose density is not finite where chains start.

    nutpie would end the process there by a signal, as where a column of zeros makes a default
    prior infinitely wide.

    Raises
    ------
    DataError
        Naming the parameters.
    """
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        found = model.backend.model.point_logps(round_vals=8)
    if bad := [str(name) for name, value in found.items() if not np.isfinite(value)]:
        raise DataError(
            f"the density of {', '.join(bad)} is not finite where NUTS would start",
            hint="leave out columns that are constant or very large, or give proper priors",
        )


def _jittered(model: bmb.Model) -> set[object]:
    """Parameters to which chains' starts add up to one: not coefficients of large columns.

    There one would take the predictor to where the likelihood is flat or not finite.
    """
    terms = model.parameters[model.family.likelihood.parent].common_terms
    large = {name for name, one in terms.items() if np.abs(one.data).max() > LARGE}
    return {one for one in model.backend.model.free_RVs if one.name not in large}
