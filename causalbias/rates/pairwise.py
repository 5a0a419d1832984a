"""Ratios of the error rates of each two groups, with one-sided limits where one has few errors."""

import numpy as np
import xarray as xr

from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.summaries import RATE_RATIO, SAMPLE
from causalbias.rates.differentials import (
    AT_LEAST,
    AT_MOST,
    NONE,
    STACKED,
    TWO_SIDED,
    groups_of,
    with_dims,
)
from causalbias.rates.groups import in_words

SIDES = ("group", "other")


def pairwise_rate_ratios(rates: xr.Dataset) -> Estimate:
    """Compute the ratio of error rates of each two groups.

    Where one of both groups has too few errors to state its rate, the ratio has no estimate, but
    the draws of its rate still bound the ratio on one side: of 59 errors in 3,000 pairs against 1
    in 3,000, "at least 12.6 times as many".

    Parameters
    ----------
    rates : Dataset
        Result of `error_rates`.

    Returns
    -------
    Estimate
        ``ratio`` (chain, draw, rate_of, system, group, other): the rate of `group` over that of
        `other`, whose names are made of the values of all factors; missing where both are the same
        group. Without chain and draw: ``interval``, "two-sided", "at least" (`other` has too few
        errors: tables have a one-sided lower limit of probability `prob` and no upper one), "at
        most" (`group` has too few), or "none"; ``supported``, whether it is two-sided; ``errors``
        and ``n`` of `group`, ``errors_other`` and ``n_other``.

        Each interval is one of two groups named in advance. For the largest of all ratios, or one
        to the best group, use `fairness_indices` and `rate_ratios`, whose limits allow for the
        choice.

    Raises
    ------
    DataError
        If there is a single group.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> ratios = cb.rates.pairwise_rate_ratios(cb.error_rates(study, by="race", fmr=0.1))
    >>> ratios.summary()[["group", "other"]].head(2).values.tolist()
    [['asian', 'black'], ['asian', 'white']]
    """
    rates = with_dims(rates)
    by = groups_of(rates)
    stacked = rates[["rate", "errors", "n", "supported"]].stack({STACKED: by})
    names = in_words([one if isinstance(one, tuple) else (one,) for one in stacked[STACKED].values])
    first, second = (
        stacked.drop_vars([STACKED, *by]).rename({STACKED: side}).assign_coords({side: names})
        for side in SIDES
    )
    apart = xr.DataArray(~np.eye(len(names), dtype=bool), dims=SIDES)
    known = apart & (first["n"] > 0) & (second["n"] > 0)
    enough, other_enough = first["supported"], second["supported"]
    alone = xr.where(enough, AT_LEAST, xr.where(other_enough, AT_MOST, NONE))
    dims = ("rate_of", "system", *SIDES)
    found = xr.Dataset(
        {
            "ratio": (first["rate"] / second["rate"]).where(known).transpose(*SAMPLE, *dims),
            "interval": xr.where(enough & other_enough, TWO_SIDED, alone).astype(str),
            "supported": enough & other_enough,
            "errors": first["errors"],
            "n": first["n"],
            "errors_other": second["errors"],
            "n_other": second["n"],
        },
        attrs=rates.attrs,
    )
    found["ratio"].attrs["quantity"] = RATE_RATIO
    return estimate(
        found,
        of=[rates],
        variable="ratio",
        figure="ratio_intervals",
        scale="ratio",
        outcome="error rate over that of the other group",
        estimand="ratio of error rates of each two groups",
    )
