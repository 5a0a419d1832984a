"""NUTS for any model that bambi can build, by nutpie."""

import contextlib
import io
import logging
import warnings

import bambi as bmb
import xarray as xr

# Kept from nutpie's statistics: those that diagnostics read.
STATISTICS = ("diverging", "energy", "depth", "n_steps", "step_size", "tuning")


def sample_nuts(
    model: bmb.Model, *, draws: int, tune: int, chains: int, seed: int
) -> dict[str, xr.Dataset]:
    """Draw from the posterior with nutpie.

    Returns
    -------
    dict
        Datasets "posterior" and "sample_stats", dims (chain, draw, ...), under bambi's names.
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
            )
    finally:
        logger.setLevel(before)
    statistics = tree["sample_stats"].to_dataset()
    kept = [name for name in STATISTICS if name in statistics]
    return {"posterior": tree["posterior"].to_dataset(), "sample_stats": statistics[kept]}
