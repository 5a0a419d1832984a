"""Discriminability: how well distances separate genuine from impostor pairs, by group."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import special

from causalbias.arguments import names_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.pairing import paired
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.averaging import KIND, averaging
from causalbias.estimands.predictor import designs_in, total_group_variance
from causalbias.estimands.scales import Floats, scale_of
from causalbias.models.fitted import FittedModel, fitted


def discriminability(
    genuine: xr.DataTree,
    impostor: xr.DataTree | None = None,
    *,
    by: str | Sequence[str] = (),
) -> Estimate:
    """Compute d-prime, overlap and area under the curve of genuine and impostor distances.

    Both distributions are taken as normal, with the means of each cell in the population of seeds
    and the variances within the cell (residual, and between seeds and other groups). d-prime is the
    difference of means divided by the root of the mean variance (Green and Swets 1966); overlap is
    the area under both densities (Weitzman 1970); auc is the probability that the distance of an
    impostor pair is larger than that of a genuine pair.

    Parameters
    ----------
    genuine : Fit
        A Gaussian model of the distances of genuine pairs, or of both kinds with a variable
        `same_identity`.
    impostor : Fit, optional
        A model of the impostor pairs. Its draws are paired at random with those of `genuine`.
    by : str or sequence of str
        Columns of the model, or of both models.

    Returns
    -------
    Estimate
        ``d_prime``, ``overlap``, ``auc`` (chain, draw, *by); ``n_genuine``, ``n_impostor`` (*by).

    Raises
    ------
    DataError
        If a model is not Gaussian, or a single fit without `same_identity` is given.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None)
    >>> fit = cb.fit("distance ~ race*same_identity", study, draws=100,
    ...              subset="system == 'ResNet-34'")
    >>> cb.discriminability(fit, by="race")["d_prime"].dims
    ('chain', 'draw', 'race')
    """
    by = list(names_in(by, "by"))
    check_names(by, ("d_prime", "overlap", "auc", "n_genuine", "n_impostor"))
    models = [fitted(fit) for fit in (genuine, *([] if impostor is None else [impostor]))]
    if impostor is None:
        kinds = _moments(models[0], [KIND, *by])
        both = [label for label in ("True", "False") if label in kinds[KIND].values]
        if len(both) < 2:
            raise DataError(f"{KIND!r} has one value", hint="give a fit of each kind of pairs")
        first, second = (kinds.sel({KIND: label}, drop=True) for label in both)
    else:
        first, second = paired(*(_moments(model, by) for model in models))
    outcome, sign = _one_response(models)
    shift, variances = (
        sign * (second["mean"] - first["mean"]),
        (first["variance"], second["variance"]),
    )
    total = variances[0] + variances[1]
    found = xr.Dataset(
        {
            "d_prime": shift / np.sqrt(total / 2),
            "overlap": xr.apply_ufunc(_overlap, shift, *map(np.sqrt, variances)),
            "auc": xr.apply_ufunc(special.ndtr, shift / np.sqrt(total)),
            "n_genuine": first["n"],
            "n_impostor": second["n"],
        }
    )
    return estimate(
        found.transpose(*SAMPLE, ...),
        of=[model.fit for model in models],
        estimand=f"separation of genuine from impostor pairs by {outcome}",
        outcome="discriminability",
        scale="standard deviations",
        population="new",
    )


def _one_response(models: Sequence[FittedModel]) -> tuple[str, float]:
    """Return the common response, and -1 if it decreases as the distance increases.

    Raises
    ------
    DataError
        If the responses have different transformations, so that means cannot be compared.
    """
    found = [model.response for model in models]
    names = list(dict.fromkeys(one.text.strip("`") for one in found))
    if len(names) > 1:
        raise DataError(
            f"the responses are {' and '.join(names)}", hint="give fits of one response"
        )
    falls = found[0].map is not None and not found[0].map.increasing
    return names[0], -1.0 if falls else 1.0


def _moments(model: FittedModel, by: Sequence[str]) -> xr.Dataset:
    """Compute mean and variance of the outcome of new pairs in each cell."""
    if not model.family.normal:
        raise DataError(
            f"a {model.spec.family} model has no normal distances", hint="give Gaussian models"
        )
    over = averaging(model.fit, by, population="new", scale="link")
    scale_of(model, "latent", None)
    sampled = designs_in(model, "new")[1]
    between = [
        total_group_variance(model, over.frame[own], over.counts[own], sampled)
        for own in (over.cells == cell for cell in range(over.cells.max() + 1))
    ]
    variance = over.noise_variance(weighted=True) + np.column_stack(between)
    return over.dataset({"mean": over.mean(), "variance": variance}, "moments")


def _overlap(shift: Floats, first: Floats, second: Floats) -> Floats:
    """Compute the overlap of the densities of Normal(0, first) and Normal(shift, second).

    The densities are equal at the roots of a quadratic, between which the narrower one is higher.
    """
    narrow, wide = np.minimum(first, second), np.maximum(first, second)
    centre = np.where(first <= second, 0.0, shift)
    other = shift - centre
    alike = wide - narrow < 1e-6 * wide
    ratio = np.where(alike, 1.0, np.square(wide / narrow) - 1)
    # (x - centre)^2 / narrow^2 + 2 log(narrow) = (x - other)^2 / wide^2 + 2 log(wide)
    apart = other - centre
    half = np.sqrt(
        np.square(apart) * (1 + ratio) / ratio**2
        + 2 * np.square(wide) * np.log(wide / narrow) / ratio
    )
    low, high = -apart / ratio - half, -apart / ratio + half
    inside = special.ndtr((high - apart) / wide) - special.ndtr((low - apart) / wide)
    outside = special.ndtr(low / narrow) + special.ndtr(-high / narrow)
    return np.where(alike, 2 * special.ndtr(-np.abs(shift) / (2 * wide)), inside + outside)
