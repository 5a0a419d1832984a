"""Assembles draws of error rates of cells into an estimate, under their labels."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from causalbias.arguments import generator
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import RATE
from causalbias.errors import DataError
from causalbias.io.memory import check_memory
from causalbias.rates.cells import Cell
from causalbias.rates.dependence import seed_correlation
from causalbias.rates.intervals import (
    ShareCurve,
    Shares,
    curve_quantiles,
    draw_shares,
    ranks,
    shares_of,
    side_by_side,
)
from causalbias.rates.matching import matches, steps
from causalbias.rates.uncertain_truth import kind_probability

# The rule of three (ISO/IEC 19795-1): with no error in n independent comparisons the rate is below
# 3/n, at 95% confidence. The rule of thirty: 30 errors put it within 30%, at 90%.
THREE, THIRTY = 3, 30
# The share of seeds that `top_share` is about, what of the errors is most of them, and the number
# of errors from which that is no chance.
FEW, MOST, ENOUGH = 0.05, 0.5, 10
REPEATED = 2  # errors a seed, from which they are those of a few seeds and not of one each

type Draw = Callable[[Cell, Shares], np.ndarray]


def shares_at(cell: Cell, thresholds: np.ndarray) -> Shares:
    """Shares of a cell's pairs that match at each threshold (in rising order).

    They carry the shares at other thresholds (`ShareCurve`), so that the ends of their intervals
    rise with the threshold; not where pairs' kinds are uncertain, since the weights of pairs then
    differ between thresholds.
    """
    if not cell.certain:
        return plain_shares_at(cell, thresholds)
    every = np.unique(np.concatenate([_curve_thresholds(cell), thresholds]))
    return plain_shares_at(cell, every).at(np.searchsorted(every, thresholds))


def shares_each(cell: Cell, thresholds: np.ndarray, draws: int) -> Iterator[Shares]:
    """What `shares_at` gives at each threshold (in rising order) alone, computed once for all.

    The quantiles that so many draws are made of are those of the whole curve.
    """
    if not cell.certain:
        yield from (shares_at(cell, np.array([one])) for one in thresholds)
        return
    known = _curve_thresholds(cell)
    every = np.unique(np.concatenate([known, thresholds]))
    whole = plain_shares_at(cell, every)
    plain = curve_quantiles(ShareCurve(whole.share, whole.n_effective, whole.degrees), ranks(draws))
    for one in thresholds:
        kept = np.flatnonzero(np.isin(every, known) | (every == one))
        found = whole.at(kept).at(np.searchsorted(every[kept], [one]))
        assert found.curve is not None
        yield replace(found, curve=replace(found.curve, plain=plain[:, kept]))


def _curve_thresholds(cell: Cell) -> np.ndarray:
    """Thresholds at which each of a cell's distances begins to match, and one below them all.

    Of many distances a part, closer together the nearer they are to either end: as many as a
    second's work allows.
    """
    distances = np.unique(cell.distance[np.isfinite(cell.distance)])
    if not len(distances):
        return distances
    most = int(min(500, max(40, 2e6 // len(cell.distance))))
    n = len(distances)
    if n > most:
        near = np.unique(np.geomspace(1, n / 2, most // 2).round().astype(int) - 1)
        distances = distances[np.unique(np.concatenate([near, n - 1 - near]))]
    return np.concatenate([[np.nextafter(distances[0], -np.inf)], distances])


def plain_shares_at(cell: Cell, thresholds: np.ndarray) -> Shares:
    """As `shares_at`, each threshold without regard to the others."""
    found = seed_correlation(cell.first, cell.second, cell.distance, cell.weight)
    if cell.certain:
        step = steps(cell.distance, thresholds)
        return shares_of(cell.first, cell.second, step, cell.weight, len(thresholds), found)
    parts = []
    for at in thresholds:
        match = matches(cell.distance, at)
        weight = kind_weight(cell, at)
        parts.append(shares_of(cell.first, cell.second, (~match).astype(int), weight, 1, found))
    return side_by_side(parts)


def kind_weight(cell: Cell, threshold: float) -> np.ndarray:
    """Weight of each pair of a cell, given also whether it matches."""
    if cell.certain:
        return cell.weight
    weight = kind_probability(cell.weight, matches(cell.distance, threshold))
    # Never quite zero where it may be of this kind, so that every threshold has the same pairs.
    return np.where(cell.weight > 0, np.maximum(weight, 1e-12), 0.0)


def sampler(n_seeds: int, draws: int, random_seed: int) -> Draw:
    """Function that draws a cell's error rates (draw, threshold), dependent between cells."""
    if draws < 1:
        raise DataError(f"{draws} draws", hint="ask for one or more")
    check_memory(
        3.0 * draws * (n_seeds + 1), f"{draws:,} draws of {n_seeds:,} seeds", "ask for fewer draws"
    )
    rng = generator(random_seed)
    weights = rng.exponential(size=(draws, n_seeds))

    def draw(cell: Cell, shares: Shares) -> np.ndarray:
        matching = draw_shares(shares, weights)
        return 1 - matching if cell.kind == "genuine" else matching

    return draw


def facts_of(cell: Cell, shares: Shares) -> dict[str, np.ndarray]:
    """What is known of a cell's error rates beside their draws, each (threshold,)."""
    errors = shares.total - shares.matches if cell.kind == "genuine" else shares.matches
    effective = errors / shares.total * shares.n_effective
    # Ratios of whole numbers: 30 errors are 30, whatever their last digit.
    margin = 1 - 1e-9
    most = highest_errors(cell.kind, shares)
    facts = {
        "errors": errors,
        "n": shares.total,
        "failed": cell.failed,
        "disjoint": shares.disjoint,
        "n_effective": shares.n_effective,
        "deft": np.where(shares.known, np.sqrt(shares.total / shares.n_effective), np.nan),
        "smallest_rate": np.minimum(THREE / shares.n_effective, 1.0),
        "top_share": _top_share(*most),
        "few_identities": few_identities(*most),
        "supported": effective >= THREE * margin,
        "within_30_percent": effective >= THIRTY * margin,
    }
    return {name: np.broadcast_to(value, errors.shape) for name, value in facts.items()}


def few_identities(highest: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Whether a few seeds have most of the errors (threshold,), where there are errors enough.

    Takes what `highest_errors` returns. A few: at most `FEW` of the seeds, and with `REPEATED`
    errors each on average. Where errors are rare, any few per cent of the seeds have all of them,
    one each, and that is no concentration. Intervals of such rates hold the truth less often than
    they say (docs/calibration.md).
    """
    most = highest > MOST * whole
    needed = most.argmax(axis=0)  # seeds but one
    each = np.take_along_axis(highest, needed[None], axis=0)[0] / (needed + 1)
    found: np.ndarray = most.any(axis=0) & (each >= REPEATED) & (whole >= ENOUGH)
    return found


def highest_errors(kind: str, shares: Shares) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the one, two, ... few seeds with the most (few, threshold); all (threshold,)."""
    if kind == "genuine":
        errors, whole = shares.of_seed - shares.by_seed, shares.total - shares.matches
    else:
        errors, whole = shares.by_seed, shares.matches
    few = max(1, round(len(shares.seeds) * FEW))
    return np.cumsum(-np.sort(-errors, axis=0)[:few], axis=0), whole


def _top_share(highest: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Share of the errors that involve the 5% of seeds with the most errors (threshold,)."""
    # At most: an error of two such seeds is counted twice.
    top = np.minimum(highest[-1], whole)
    return np.divide(top, whole, out=np.full_like(whole, np.nan), where=whole > 1e-9)


def rates_cube(
    found: Iterable[tuple[tuple[Any, ...], Cell, Shares]],
    dims: Sequence[str],
    draw: Draw,
    levels: Mapping[str, Sequence[object]] | None = None,
    **what: Any,
) -> Estimate:
    """Draws and facts of cells at one threshold each, under their labels.

    Parameters
    ----------
    found : iterable of (key, cell, shares)
    dims : sequence of str
    draw : callable
        From `sampler`.
    levels : mapping of dim to labels, optional
        As in `cube`.
    **what
        What the rates are, as of `estimate`.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, *dims), and the facts (*dims).
    """
    entries = {
        key: {"rate": draw(cell, shares)[:, 0]}
        | {name: value[0] for name, value in facts_of(cell, shares).items()}
        for key, cell, shares in found
    }
    rates = cube(entries, dims, levels=levels)
    rates["rate"].attrs["quantity"] = RATE
    return estimate(rates, of=(), scale="probability", outcome="rate", **what)


def cube(
    entries: Mapping[tuple[Any, ...], Mapping[str, np.ndarray | float]],
    dims: Sequence[str],
    inner: Mapping[str, np.ndarray] | None = None,
    levels: Mapping[str, Sequence[object]] | None = None,
) -> xr.Dataset:
    """Dataset of values by key; missing, 0 or False where there is no key.

    Parameters
    ----------
    entries : mapping of key to {name: value}
        A key has a label for each of `dims`. Values: a number; or (inner..., ); or, with draws
        first, (draw, inner...).
    dims : sequence of str
    inner : mapping of dim to labels, optional
        Dims that the values have themselves.
    levels : mapping of dim to labels, optional
        Order of a dim's labels; else they are sorted.

    Raises
    ------
    DataError
        If there is no entry, or a dim has the name of something else in the result.
    """
    if not entries:
        raise DataError(
            "no comparison is left in any group",
            hint="give pairs within groups, or another cohort or match",
        )
    inner = dict(inner or {})
    check_names(dims, [*next(iter(entries.values())), *inner, "chain", "draw"])
    labels = []
    for at, dim in enumerate(dims):
        used = {key[at] for key in entries}
        order = (levels or {}).get(dim)
        labels.append(sorted(used) if order is None else [one for one in order if one in used])
    places = [{one: at for at, one in enumerate(own)} for own in labels]
    index = {key: tuple(own[one] for own, one in zip(places, key, strict=True)) for key in entries}
    variables = {}
    for name, first in next(iter(entries.values())).items():
        value = np.asarray(first)
        drawn = value.ndim > len(inner)
        blank: object = np.nan if value.dtype.kind == "f" and name != "n" else 0
        shape = (*value.shape, *map(len, labels))
        whole = np.full(shape, blank, dtype=value.dtype)
        for key, values in entries.items():
            slot: Any = (..., *index[key])
            whole[slot] = values[name]
        own_dims = (("draw",) if drawn else ()) + tuple(inner)[: value.ndim - drawn]
        variables[name] = ((*own_dims, *dims), whole)
    found = xr.Dataset(variables, dict(zip(dims, labels, strict=True)) | inner)
    for name in [str(name) for name, one in found.items() if "draw" in one.dims]:
        found[name] = found[name].expand_dims("chain")
    if "draw" in found.dims:
        found = found.assign_coords(chain=[0], draw=np.arange(found.sizes["draw"]))
    return found
