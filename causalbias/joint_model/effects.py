"""Effects on people and network from their joint model: side by side, and at equal likeness."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from causalbias.arguments import flag_in, number_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.comparing import RESULT_NAMES, compared
from causalbias.estimands.joint_effects import joint_effects
from causalbias.joint_model.model import OUTCOMES, Joint

SHARED_ERROR = "shared_error"


def compare(
    found: Joint, variable: str, *, reference: object = None, opposite: bool = True
) -> Estimate:
    """Compare the effects of a variable on people and network, of the same pairs.

    Each effect is in standard deviations of its outcome between pairs of a cell (of the effects of
    seeds and pairs, without the noise of answers), the unit "pair sd" of `causalbias.compare`. That
    verb takes two fits as independent. Here both outcomes are of the same pairs: what the pairs of
    a group happen to have in common is in both effects and not in their difference, whose interval
    is the narrower the more people and network agree about pairs.

    Parameters
    ----------
    found : Joint
        Result of `joint`.
    variable : str
        A column of the terms.
    reference : optional
        Reference level; by default the lowest level.
    opposite : bool
        Whether a higher score means a smaller distance, as of similarity. The sign of the effect on
        the score is then changed.

    Returns
    -------
    Estimate
        As of `causalbias.compare`, without the dim unit: a is the score, b the distance.

    Raises
    ------
    DataError
        If the variable is not among the terms, or has no such level.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=6, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> rows = cb.joint_model.joint_rows(study, "ResNet-34")
    >>> found = cb.joint(rows, "race", groups={"seed": "seed"}, subset="same_identity", draws=50)
    >>> cb.joint_model.compare(found, "race")["difference"].dims
    ('chain', 'draw', 'race')
    """
    flag_in(opposite, "opposite")
    effect = joint_effects(found, variable, reference=reference)
    check_names([variable], RESULT_NAMES)
    spread = np.sqrt(pair_variance(found))
    sources = ", ".join(_sources(found))
    sides = [
        xr.Dataset(
            {
                "effect": sign
                * (effect["effect"] / spread).sel(outcome=name, drop=True).transpose(*SAMPLE, ...),
                "n": effect["n"],
            }
        )
        for name, sign in zip(OUTCOMES, (-1 if opposite else 1, 1), strict=True)
    ]
    return estimate(
        compared(*sides),
        of=[effect],
        figure="comparison",
        estimand=f"effect of {effect.attrs['treatment']}: distance (b) minus score (a), in "
        "standard deviations between pairs",
        outcome="score (a), distance (b)",
        a=OUTCOMES[0],
        b=OUTCOMES[1],
        between_a=sources,
        between_b=sources,
        scale="latent",
        population="new",
        reference=effect.attrs["reference"],
        contrast=variable,
    )


def conditional_bias(
    found: Joint,
    variable: str,
    *,
    reference: object = None,
    shared_error: float | Sequence[float] = 0.0,
) -> Estimate:
    """Estimate the effect on the distance among pairs that are equally similar by people's answers.

    This is differential item functioning: the part of a group difference in distances that is not
    explained by perceived similarity. It is the effect on the distance minus the effect on the
    score times the slope of distance on likeness among pairs of the same cell (from the effects of
    seeds and pairs together). The score is latent, so that the noise of answers does not attenuate
    the slope; a regression on mean scores would be biased.

    More answers do not remove what *all* people misjudge alike in a pair, as by its hair or its
    lighting. Where that is a share s of the variance of scores between pairs, and the network does
    not err with them, the slope on the latent score is 1 - s of that on likeness, and a network
    without bias is charged with s of what likeness explains. The data cannot tell s; with
    `shared_error` the slope is divided by 1 - s. State it from a criterion besides the answers (s
    is one less the squared correlation of the latent score with it), or from two groups of raters
    who do not err alike (one less the correlation of their latent scores), or look over which
    values a claim holds.

    Parameters
    ----------
    found : Joint
        Result of `joint`.
    variable : str
        A column of the terms.
    reference : optional
        Reference level; by default the lowest level.
    shared_error : float or sequence of float
        Share, at least 0 and below 1, of the variance of scores between pairs of a cell that is
        error which all people share. Of several, the result has a dim ``shared_error``.

    Returns
    -------
    Estimate
        ``conditional`` (chain, draw, [shared_error,] variable), in units of distance;
        ``on_distance`` and ``on_score``, the effects; ``slope`` (chain, draw[, shared_error]), of
        distance on likeness in units of the score.

    Raises
    ------
    DataError
        If the variable is not among the terms, or has no such level, or a share is not one.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=6, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> rows = cb.joint_model.joint_rows(study, "ResNet-34")
    >>> found = cb.joint(rows, "race", groups={"seed": "seed"}, subset="same_identity", draws=50)
    >>> cb.joint_model.conditional_bias(found, "race")["conditional"].sizes["race"]
    2
    >>> bias = cb.joint_model.conditional_bias(found, "race", shared_error=[0.0, 0.2, 0.4])
    >>> bias["conditional"].dims
    ('chain', 'draw', 'shared_error', 'race')
    """
    effect = joint_effects(found, variable, reference=reference)
    check_names([variable], (SHARED_ERROR, "conditional", "on_distance", "on_score", "slope"))
    share = _shares(shared_error)
    slope = slope_on_score(found) / (1 - share)
    both = {name: effect["effect"].sel(outcome=name, drop=True) for name in OUTCOMES}
    conditional = both["distance"] - slope * both["score"]
    dims = (*SAMPLE, *share.dims, variable)
    bias = xr.Dataset(
        {
            "conditional": conditional.transpose(*dims),
            "on_distance": both["distance"].transpose(*SAMPLE, variable),
            "on_score": both["score"].transpose(*SAMPLE, variable),
            "slope": slope.transpose(*SAMPLE, ...),
            "n": effect["n"],
        },
        attrs=effect.attrs,
    )
    against = effect.attrs["treatment"]
    stated = "" if share.dims else f" (shared error of people taken as {float(share):.0%})"
    return estimate(
        bias,
        of=[effect],
        variable="conditional",
        estimand=f"effect of {against} on the distance at equal likeness by people{stated}",
        outcome="distance",
    )


def _shares(shared_error: float | Sequence[float]) -> xr.DataArray:
    """Shares of shared error: a number, or with a dim of their own."""
    if isinstance(shared_error, Sequence | np.ndarray) and not isinstance(shared_error, str):
        values = [_share(one) for one in shared_error]
        if not values or len(set(values)) < len(values):
            raise DataError(
                "shared_error is empty or names a share twice", hint="such as (0.0, 0.2, 0.4)"
            )
        return xr.DataArray(values, dims=SHARED_ERROR, coords={SHARED_ERROR: values})
    return xr.DataArray(_share(shared_error))


def _share(value: float) -> float:
    found = number_in(value, SHARED_ERROR)
    if not 0 <= found < 1:
        raise DataError(
            f"{SHARED_ERROR} is {found:g}",
            hint="give a share of the variance of scores between pairs, from 0 and below 1",
        )
    return found


def slope_on_score(found: Joint) -> xr.DataArray:
    """Compute the slope (chain, draw) of distance on latent score among new pairs of a cell."""
    posterior = found["posterior"].to_dataset()
    covariance = posterior["correlation"] * posterior["sd"].prod("outcome")
    variance = pair_variance(found).sel(outcome="score", drop=True)
    return (_weights(found) * covariance).sum("source") / variance


def pair_variance(found: Joint) -> xr.DataArray:
    """Variance (chain, draw, outcome) of new pairs of a cell, by seeds and pairs together."""
    return (_weights(found) * np.square(found["posterior"]["sd"])).sum("source")


def _weights(found: Joint) -> xr.DataArray:
    """Mean squared weight of a row's members of each source; of pairs, one."""
    shares, sources = found.shares | {"pair": 1.0}, _sources(found)
    return xr.DataArray(
        [shares[name] for name in sources], dims="source", coords={"source": sources}
    )


def _sources(found: Joint) -> list[str]:
    return [str(name) for name in found.posterior["source"].values]
