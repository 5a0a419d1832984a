"""Whether draws can be trusted: R-hat, effective sample sizes, divergences."""

import arviz_stats
import numpy as np
import xarray as xr

MAX_RHAT = 1.01
MIN_ESS = 400


def diagnose(posterior: xr.Dataset) -> xr.Dataset:
    """R-hat (rank-normalised split) and bulk and tail ESS of every parameter.

    Source: Vehtari, Gelman, Simpson, Carpenter, Buerkner (2021), Bayesian Analysis 16(2).

    Parameters
    ----------
    posterior : Dataset
        Dims (chain, draw, ...).

    Returns
    -------
    Dataset
        The posterior's variables with a dim `diagnostic` ("r_hat", "ess_bulk", "ess_tail") in
        place of (chain, draw).
    """
    parts = {
        "r_hat": arviz_stats.rhat(posterior),
        "ess_bulk": arviz_stats.ess(posterior, method="bulk"),
        "ess_tail": arviz_stats.ess(posterior, method="tail"),
    }
    return xr.concat(
        list(parts.values()), dim=xr.Variable("diagnostic", np.array(list(parts))), join="exact"
    )


def verdict(diagnostics: xr.Dataset) -> list[str]:
    """Reasons not to trust the draws; empty if there are none.

    Parameters
    ----------
    diagnostics : Dataset
        From `diagnose`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> stuck = xr.Dataset({"b": (("chain", "draw"), np.arange(8.0).reshape(2, 4))})
    >>> verdict(diagnose(stuck))[0].split(" (")[0]
    'R-hat of b is 3'
    """
    reasons = []
    for key, worse, limit, text in (
        ("r_hat", np.greater, MAX_RHAT, "R-hat of {} is {:.3g} (limit {})"),
        ("ess_bulk", np.less, MIN_ESS, "bulk ESS of {} is {:.0f} (limit {})"),
        ("ess_tail", np.less, MIN_ESS, "tail ESS of {} is {:.0f} (limit {})"),
    ):
        name, value = extreme(diagnostics, key)
        if worse(value, limit) or not np.isfinite(value):
            reasons.append(text.format(name, value, limit))
    return reasons


def extreme(diagnostics: xr.Dataset, key: str) -> tuple[str, float]:
    """The worst value of a diagnostic ("r_hat": largest, ESS: smallest), and whose it is."""
    sign = -1.0 if key == "r_hat" else 1.0
    worst, whose = np.inf, ""
    for name, values in diagnostics.sel(diagnostic=key).data_vars.items():
        flat = sign * values.values.ravel()
        # A constant parameter has no R-hat; it must not hide behind a NaN.
        value = -np.inf if np.isnan(flat).any() else flat.min()
        if value < worst:
            worst, whose = value, str(name)
    return whose, sign * worst
