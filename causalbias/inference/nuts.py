"""NUTS for any PyMC model, by nutpie."""

import logging
import warnings
from collections.abc import Collection, Sequence

import numpy as np
import pymc as pm
import pytensor
import xarray as xr

from causalbias.errors import DataError

# Kept from nutpie's statistics: those that diagnostics read.
STATISTICS = ("diverging", "energy", "depth", "n_steps", "step_size", "tuning")


def sample_nuts(
    model: pm.Model,
    keep: Sequence[str],
    *,
    draws: int,
    tune: int,
    chains: int,
    random_seed: int,
    still: Collection[str] = (),
    target_accept: float | None = None,
    progress: bool = False,
) -> dict[str, xr.Dataset]:
    """Draw from the posterior with nutpie.

    Parameters
    ----------
    model : PyMC Model
    keep : sequence of str
        Names of the variables whose draws are returned.
    draws, tune, chains, random_seed : int
    still : collection of str
        Names of parameters whose start is the same in all chains. To others up to one is added.
    target_accept : float, optional
        Acceptance that the steps are adapted to; nutpie's default where none is given.
    progress : bool

    Returns
    -------
    dict
        Datasets "posterior" and "sample_stats", dims (chain, draw, ...).

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
        # Fast math lets compiled code round as it likes, and freshly compiled code rounds in
        # another way than the same code out of the cache: one seed would not give one chain.
        with pytensor.config.change_flags(numba__fastmath=False), warnings.catch_warnings():
            # Convergence is judged by causalbias.inference.diagnostics, on every fit.
            warnings.simplefilter("ignore", UserWarning)
            tree = pm.sample(
                nuts_sampler="nutpie",
                model=model,
                var_names=list(keep),
                draws=draws,
                tune=tune,
                chains=chains,
                random_seed=random_seed,
                progressbar=progress,
                compute_convergence_checks=False,
                # Group means and the intercept are strongly correlated; with a diagonal metric they
                # mix about ten times more slowly (docs/adr/0005).
                nuts={"adaptation": "low_rank"}
                | ({} if target_accept is None else {"target_accept": target_accept}),
                compile_kwargs={
                    "jitter_rvs": {one for one in model.free_RVs if one.name not in still}
                },
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


def check_start(model: pm.Model) -> None:
    """Refuse a model whose density is not finite where chains start.

    nutpie would end the process there by a signal, as where a column of zeros makes a default
    prior infinitely wide.

    Raises
    ------
    DataError
        Naming the parameters.
    """
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        found = model.point_logps(round_vals=8)
    if bad := [str(name) for name, value in found.items() if not np.isfinite(value)]:
        raise DataError(
            f"the density of {', '.join(bad)} is not finite where NUTS would start",
            hint="leave out columns that are constant or very large, or give proper priors",
        )
