"""Detection error trade-off curves and equal error rates, by group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import flag_in
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.summaries import RATE
from causalbias.errors import DataError
from causalbias.rates.assembly import (
    THREE,
    cube,
    few_identities,
    highest_errors,
    sampler,
    shares_at,
)
from causalbias.rates.cells import Cell, cells_of, check_cohort
from causalbias.rates.comparisons import Comparisons, comparisons
from causalbias.rates.groups import in_words
from causalbias.rates.intervals import Shares
from causalbias.rates.matching import share_matching

FMR_GRID = tuple(np.round(np.logspace(-4, 0, 33), 12).tolist())
BEYOND = 0.025
QUANTILES = np.concatenate([np.logspace(-5, -1, 24), np.linspace(0.15, 1, 12)])


@dataclass(frozen=True)
class Curve:
    """Both error rates of one system and group over thresholds.

    Attributes
    ----------
    key : tuple
        System and group.
    thresholds : ndarray (threshold,)
    impostor, genuine : Shares
    fmr, fnmr : ndarray (draw, threshold)
        Rising and falling.
    """

    key: tuple[object, ...]
    thresholds: np.ndarray
    impostor: Shares
    genuine: Shares
    fmr: np.ndarray
    fnmr: np.ndarray


def det(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    by: str | Sequence[str],
    *,
    fmr: Sequence[float] = FMR_GRID,
    cohort: str = "same",
    match: str | Sequence[str] = (),
    genuine: pd.DataFrame | pd.Series | None = None,
    generalised: bool = False,
    draws: int = 500,
    random_seed: int = 0,
) -> Estimate:
    """Compute DET curves: each group's false non-match rate as a function of its false match rate.

    At each point, the thresholds of the groups differ. For rates at a common threshold, see
    `error_rates`.

    Parameters
    ----------
    data, by, cohort, match, genuine, generalised, draws, random_seed
        As in `error_rates`.
    fmr : sequence of float
        False match rates, above 0, to 1.

    Returns
    -------
    Estimate
        ``fnmr`` (chain, draw, fmr, system, *by), which is missing if there are too few impostor
        pairs for this false match rate (rule of three). Without chain and draw: ``supported``,
        whether there are enough pairs, and the false non-match rate is not below its
        ``smallest_rate``; ``n`` (number of genuine pairs), ``errors`` (of these), ``n_effective``;
        ``n_impostor``, ``n_effective_impostor``. The attribute ``one_kind`` lists the groups that
        have pairs of one kind only, and therefore no curve.

    Raises
    ------
    DataError
        If no group has both genuine and impostor pairs, and as in `error_rates`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> curve = cb.det(study, by="race", fmr=[0.05, 0.1], draws=100)
    >>> curve["fnmr"].dims
    ('chain', 'draw', 'fmr', 'system', 'race')
    """
    flag_in(generalised, "generalised")
    wanted = np.asarray(fmr, dtype=float)
    if not ((wanted > 0) & (wanted <= 1)).all():
        raise DataError(f"fmr is {list(fmr)}", hint="give rates above 0, to 1")
    pairs = comparisons(data, by, match=match, genuine=genuine)
    entries = {}
    for curve in _curves(pairs, cohort, generalised, draws, random_seed):
        share = curve.impostor.share
        place = np.searchsorted(share, wanted).clip(max=len(share) - 1)
        enough = wanted * curve.impostor.n_effective[place] >= THREE
        # Nor if the rate may be higher already at the first threshold with a match, since the
        # pairs then do not determine the threshold.
        lowest = curve.fmr[:, int((curve.impostor.matches > 0).argmax())]
        enough &= (lowest[:, None] > wanted).mean(axis=0) < BEYOND
        smallest = np.minimum(THREE / curve.genuine.n_effective[place], 1.0)
        drawn = [
            np.interp(np.log(wanted), np.log(one), other)
            for one, other in zip(curve.fmr, curve.fnmr, strict=True)
        ]
        point = np.interp(wanted, share, 1 - curve.genuine.share)
        entries[curve.key] = {
            "fnmr": np.where(enough, drawn, np.nan),
            "supported": enough & (point >= smallest),
            "few_identities": (
                few_identities(*highest_errors("genuine", curve.genuine))
                | few_identities(*highest_errors("impostor", curve.impostor))
            )[place],
            "smallest_rate": np.where(enough, smallest, 1.0),
            "errors": (curve.genuine.total - curve.genuine.matches)[place],
            "n_effective": curve.genuine.n_effective[place],
            "n": curve.genuine.total[-1],
            "n_impostor": curve.impostor.total[-1],
            "n_effective_impostor": curve.impostor.n_effective[place],
        }
    curves = cube(entries, ["system", *pairs.by], {"fmr": wanted}, pairs.levels)
    curves["fnmr"].attrs["quantity"] = RATE
    return estimate(
        curves,
        of=(),
        figure="det_curves",
        scale="probability",
        outcome="FNMR",
        cohort=cohort,
        one_kind=_one_kind(pairs, list(entries)),
        estimand=f"false non-match rate at a false match rate, by {', '.join(pairs.by)}",
    )


def equal_error_rate(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    by: str | Sequence[str],
    *,
    cohort: str = "same",
    match: str | Sequence[str] = (),
    genuine: pd.DataFrame | pd.Series | None = None,
    draws: int = 500,
    random_seed: int = 0,
) -> Estimate:
    """Compute the equal error rate of each group: the rate at which both error rates are equal.

    Parameters
    ----------
    data, by, cohort, match, genuine, draws, random_seed
        As in `error_rates`.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, system, *by). Without chain and draw: ``point``, the rate on these
        pairs, which is the mean of both errors where they are closest; ``threshold`` there;
        ``smallest_rate``, ``supported`` and ``n_effective``, of the kind with fewer effective
        comparisons; ``n`` (number of genuine pairs), ``errors`` (of these); ``n_impostor``. The
        attribute ``one_kind`` is as in `det`.

    Raises
    ------
    DataError
        As in `det`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> cb.equal_error_rate(study, by="race", draws=100)["rate"].dims
    ('chain', 'draw', 'system', 'race')
    """
    pairs = comparisons(data, by, match=match, genuine=genuine)
    cells = _both_kinds(pairs, cohort, generalised=False)
    entries = {}
    for curve in _curves(pairs, cohort, False, draws, random_seed):
        rate, threshold = equal_point(*cells[curve.key], curve)
        gap = curve.fmr - curve.fnmr
        if gap.shape[1] < 2:
            raise DataError(
                f"{' '.join(map(str, curve.key))}: all distances are the same, so that no "
                "threshold separates genuine from impostor pairs",
                hint="check the distances, or leave that system or group out",
            )
        after = np.argmax(gap >= 0, axis=1).clip(min=1)
        rows = np.arange(len(gap))
        low, high = gap[rows, after - 1], gap[rows, after]
        between = np.clip(-low / np.where(high > low, high - low, 1.0), 0, 1)
        before = curve.fmr[rows, after - 1]
        near = int(np.abs(curve.thresholds - threshold).argmin())
        effective = min(curve.impostor.n_effective[near], curve.genuine.n_effective[near])
        entries[curve.key] = {
            "rate": before + between * (curve.fmr[rows, after] - before),
            "point": rate,
            "threshold": threshold,
            "smallest_rate": min(THREE / effective, 1.0),
            "supported": rate * effective >= THREE,
            "errors": rate * curve.genuine.total[-1],
            "n_effective": effective,
            "n": curve.genuine.total[-1],
            "n_impostor": curve.impostor.total[-1],
        }
    rates = cube(entries, ["system", *pairs.by], levels=pairs.levels)
    rates["rate"].attrs["quantity"] = RATE
    return estimate(
        rates,
        of=(),
        scale="probability",
        outcome="equal error rate",
        cohort=cohort,
        one_kind=_one_kind(pairs, list(entries)),
        estimand=f"equal error rate by {', '.join(pairs.by)}",
    )


def _one_kind(pairs: Comparisons, shown: list[tuple[object, ...]]) -> str:
    """List the groups of systems that are not among those shown."""
    several = len(pairs.systems) > 1
    return ", ".join(
        f"{system}: {name}" if several else name
        for system in pairs.systems
        for group, name in zip(pairs.groups, in_words(pairs.groups), strict=True)
        if (system, *group) not in shown
    )


def equal_point(impostor: Cell, genuine: Cell, curve: Curve) -> tuple[float, float]:
    """Return the mean of both error rates where they are closest, and the threshold there.

    All thresholds that separate pairs are compared; if the kinds of pairs are uncertain, those of
    the curve.
    """
    if impostor.certain and genuine.certain:
        at = np.unique(np.concatenate([impostor.distance, genuine.distance]))
        at = np.concatenate([[np.nextafter(at[0], -np.inf)], at])  # where nothing matches
        false, matched = (share_matching(cell.distance, at) for cell in (impostor, genuine))
    else:
        at, false, matched = curve.thresholds, curve.impostor.share, curve.genuine.share
    best = int(np.abs(false - (1 - matched)).argmin())
    return float((false[best] + 1 - matched[best]) / 2), float(at[best])


def _both_kinds(
    pairs: Comparisons, cohort: str, *, generalised: bool
) -> dict[tuple[object, ...], tuple[Cell, Cell]]:
    """Return the impostor and genuine cells of each system and group that has both."""
    check_cohort(cohort)
    kinds: dict[tuple[object, ...], dict[str, Cell]] = {}
    for cell in cells_of(pairs, cohort, generalised=generalised):
        kinds.setdefault((cell.system, *cell.group), {})[cell.kind] = cell
    both = {key: (one["impostor"], one["genuine"]) for key, one in kinds.items() if len(one) == 2}
    if not both:
        raise DataError(
            "no group has both genuine and impostor pairs",
            hint="give both, or see error_rates for one kind",
        )
    return both


def _curves(
    pairs: Comparisons, cohort: str, generalised: bool, draws: int, random_seed: int
) -> Iterator[Curve]:
    draw = sampler(pairs.n_seeds, draws, random_seed)
    for key, (impostor, genuine) in _both_kinds(pairs, cohort, generalised=generalised).items():
        at = _thresholds(impostor.distance, genuine.distance)
        false, own = shares_at(impostor, at), shares_at(genuine, at)
        fmr = _rising(draw(impostor, false), certain=impostor.certain)
        fnmr = _rising(draw(genuine, own)[:, ::-1], certain=genuine.certain)[:, ::-1]
        yield Curve(key, at, false, own, fmr, fnmr)


def _rising(draws: np.ndarray, *, certain: bool) -> np.ndarray:
    """Rearrange draws (draw, threshold) so that each increases with the threshold.

    The rearrangement is sorting (Chernozhukov, Fernández-Val and Galichon 2010). If the kinds of
    pairs are uncertain, shares may decrease, and each is replaced by the lowest of those after it.
    """
    if certain:
        return np.sort(draws, axis=1)
    found: np.ndarray = np.minimum.accumulate(draws[:, ::-1], axis=1)[:, ::-1]
    return found


def _thresholds(impostor: np.ndarray, genuine: np.ndarray) -> np.ndarray:
    """Choose thresholds at quantiles of both kinds, which are dense in the tails with errors."""
    finite = genuine[np.isfinite(genuine)]
    near = np.quantile(impostor[np.isfinite(impostor)], QUANTILES)
    far = np.quantile(finite, 1 - QUANTILES) if len(finite) else near[:0]
    return np.unique(np.concatenate([near, far]))
