"""Effects if missing outcomes differ from what is expected of them: delta adjustment."""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api import types

from causalbias.arguments import described, generator, number_in
from causalbias.causal.bounds import nothing_missing
from causalbias.causal.rows import Rows, read_rows, stretch
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.models.levels import level_of, levels_of
from causalbias.study.columns import label_of

FOUND = (
    *("chain", "draw", "delta", "effect", "naive", "share_missing", "share_missing_reference"),
    *("tipping_point", "n", "missing"),
)


def pattern_mixture(
    effect: Estimate,
    rows: pd.DataFrame,
    outcome: str,
    *,
    cluster: str | Sequence[str],
    delta: float | Sequence[float],
    levels: Sequence[Hashable] | None = None,
    prob: float = 0.95,
    random_seed: int = 0,
) -> Estimate:
    """Give an effect as a function of how far missing outcomes are from what is expected of them.

    A fit predicts the outcome of a lost row as that of others like it. If lost outcomes at level a
    are in fact higher by `delta` on average, and a share m(a) of rows was lost there, the mean over
    all rows is higher by ``m(a) delta``, and the effect against reference b by
    ``(m(a) - m(b)) delta``: a pattern-mixture model with a sensitivity parameter (Little 1993;
    Rubin 1977; National Research Council 2010, chapter 5). No data can tell `delta`. One says for
    which values a claim holds, and whether those are plausible.

    Parameters
    ----------
    effect : Estimate
        What `effects` returned for a variable, on a scale of outcomes: any family, any cells,
        averaged over all rows with ``newdata=rows``. Rows that are there may have another mix of
        poses, and so another effect, than those that were attempted.
    rows : DataFrame
        The rows of that fit and those that were lost, without an outcome (see `complete`). But for
        what was lost, rows of all levels are alike, as in a crossed design.
    outcome : str
        Column that is missing where a row was lost.
    cluster : str or sequence of str
        Column of the seed, or those of both members of a pair: shares lost are uncertain as those
        of a sample of these.
    delta : float or sequence of float
        Mean of missing outcomes less that expected of the same rows, in units of the effect.
    levels : sequence, optional
        Levels at which missing outcomes differ by `delta`; at others by zero. By default all, so
        that only the difference in shares counts.
    prob : float, default 0.95
        Probability of the interval behind `tipping_point`.
    random_seed : int
        Of the bootstrap of clusters.

    Returns
    -------
    Estimate
        ``effect`` with dims (chain, draw, delta, variable, *by). ``naive`` (chain, draw, variable,
        *by): the effect as it was given, which is that at a delta of zero. ``share_missing``,
        ``share_missing_reference`` (variable, *by). ``tipping_point`` (variable, *by): the delta
        nearest to zero at which the interval includes zero, or excludes it no longer; 0 if it
        includes zero without, infinite if no delta makes it. ``n``, ``missing``: rows with and
        without an outcome, at the level and the reference.

    Raises
    ------
    DataError
        If `effect` is no contrast of levels with a reference on a scale of outcomes, it is not
        averaged over all of `rows`, or no outcome is missing.

    Examples
    --------
    >>> import causalbias as cb
    >>> rng = np.random.default_rng(2)
    >>> faces = pd.MultiIndex.from_product(
    ...     [range(40), ["white", "black"]], names=["seed", "race"]
    ... ).to_frame(index=False)
    >>> faces["distance"] = rng.normal(0.5 + 0.05 * (faces["race"] == "black"), 0.05)
    >>> faces.loc[(faces["race"] == "black") & (faces["seed"] >= 30), "distance"] = np.nan
    >>> fit = cb.fit("distance ~ race + (1|seed)", faces.dropna())
    >>> found = pattern_mixture(
    ...     cb.effects(fit, "race", reference="white", newdata=faces), faces, "distance",
    ...     cluster="seed", delta=[0, 0.1], levels=["black"],
    ... )
    >>> found["effect"].median(["chain", "draw"]).diff("delta").round(3).values.tolist()
    [[0.025]]
    """
    variable, by = _contrast(effect)
    prob = number_in(prob, "prob", 0, 1)
    deltas = _deltas(delta)
    read = read_rows(rows, outcome, variable, cluster, by, made=FOUND)
    lost = np.isnan(read.outcome)
    if not lost.any():
        raise nothing_missing(outcome)
    _check_same_rows(effect, read, by)
    shifted = [
        level_of(read.levels, one, variable) for one in (read.levels if levels is None else levels)
    ]
    cube = effect[str(effect.attrs["variable"])]
    counts, shares = _shares(effect, cube, read, variable, random_seed)
    base = level_of(read.levels, effect.attrs["reference"], variable)
    own = xr.DataArray(
        [float(level_of(read.levels, one, variable) in shifted) for one in cube[variable].values],
        {variable: cube[variable]},
    )
    slope = own * shares["level"] - float(base in shifted) * shares["reference"]
    grid = xr.DataArray(deltas, {"delta": deltas})
    adjusted = (cube + grid * slope).transpose(*SAMPLE, "delta", variable, ...)
    tip = xr.apply_ufunc(
        _tipping_point,
        cube,
        slope,
        kwargs={"prob": prob},
        input_core_dims=[SAMPLE, SAMPLE],
        vectorize=True,
    )
    return estimate(
        counts.assign(effect=adjusted, naive=cube, tipping_point=tip),
        of=[effect],
        variable="effect",
        figure="forest",
        estimand=f"{effect.attrs['estimand']}, if missing outcomes"
        f"{_at(shifted, read, variable)} are delta more than expected",
        **{
            key: effect.attrs[key]
            for key in ("outcome", "scale", "population", "reference", "contrast", "treatment")
            if key in effect.attrs
        },
        rows=len(read.frame),
        assumes="that the model is right for rows that are there, and delta for those that are not",
    )


def _contrast(effect: object) -> tuple[str, list[str]]:
    """Return the variable of a contrast, and the columns of its cells."""
    if not isinstance(effect, xr.Dataset) or "contrast" not in effect.attrs:
        raise DataError(
            f"{described(effect)} is no contrast of levels",
            hint="give what cb.effects(fit, 'race', reference='white') returned",
        )
    variable = effect.attrs["contrast"]
    cube = effect[str(effect.attrs["variable"])]
    if variable not in cube.dims or str(effect.attrs.get("reference")) == "each other level":
        raise DataError(
            "every level has to be contrasted with one reference",
            hint="give cb.effects(fit, 'race', reference='white')",
        )
    if effect.attrs.get("scale") in ("link", "latent") or "category" in cube.dims:
        raise DataError(
            f"means do not add up on the scale {effect.attrs.get('scale')!r}",
            hint="give an effect on scale='response', or of one category",
        )
    if effect.attrs.get("population") == "these":
        raise DataError(
            "the effect is of these groups alone, some of which lost rows",
            hint="give cb.effects(..., population='new')",
        )
    return str(variable), [str(one) for one in cube.dims if one not in (*SAMPLE, variable)]


def _deltas(delta: object) -> list[float]:
    listed = list(delta) if types.is_list_like(delta) else [delta]  # type: ignore[call-overload]
    found = [number_in(one, "delta") for one in listed]
    if not found or len(set(found)) < len(found):
        raise DataError(f"delta is {described(delta)}", hint="give different numbers")
    return found


def _check_same_rows(effect: Estimate, read: Rows, by: Sequence[str]) -> None:
    """Refuse an effect that is an average over other rows than those that were attempted."""
    stated, attempted = effect.attrs.get("rows"), len(read.frame)
    hint = "average it over them: cb.effects(fit, 'race', reference='white', newdata=rows)"
    if stated is None or int(stated) != attempted:
        raise DataError(
            f"the effect is averaged over {'unknown' if stated is None else f'{int(stated):,}'} "
            f"rows, and {attempted:,} were attempted, whose mix of all else may be another",
            hint=hint,
        )
    texts = {name: read.frame[name].map(_text).to_numpy() for name in by}
    for place in np.ndindex(*(effect.sizes[name] for name in by)):
        at = dict(zip(by, place, strict=True))
        cell = {name: _text(effect[name].values[one]) for name, one in at.items()}
        same = np.ones(attempted, bool)
        for name, one in cell.items():
            same &= texts[name] == one
        here = int(same.sum())
        if "n" in effect and (effect["n"].isel(at) != here).any():
            told = ", ".join(f"{name} {one}" for name, one in cell.items())
            raise DataError(
                f"the effect is not averaged over the {here:,} rows{' of ' if told else ''}{told}",
                hint=hint,
            )


def _at(shifted: Sequence[object], read: Rows, variable: str) -> str:
    if len(shifted) == len(read.levels):
        return ""
    return f" at {variable} {', '.join(map(label_of, shifted))}"


def _shares(
    effect: Estimate, cube: xr.DataArray, read: Rows, variable: str, random_seed: int
) -> tuple[xr.Dataset, dict[str, xr.DataArray]]:
    """Shares missing at each level and at the reference: as they are, and draws of them."""
    dims = [str(one) for one in cube.dims if one not in SAMPLE]
    labels = {name: [_text(one) for one in cube[name].values] for name in dims}
    known = {
        name: [_text(one) for one in levels_of(read.frame[name])] for name in dims
    }  # of the table
    for name in dims:
        for one in labels[name]:
            if one not in known[name]:
                raise DataError(
                    f"the table of rows has no {name} {one}",
                    hint="give the rows that the effect is of",
                    column=name,
                )
    chains, draws = (cube.sizes[one] for one in SAMPLE)
    weights = read.weights(chains * draws, generator(random_seed))
    lost = np.isnan(read.outcome)
    texts = {name: read.frame[name].map(_text).to_numpy() for name in (variable, *dims)}
    base = _text(level_of(read.levels, effect.attrs["reference"], variable))
    shape = tuple(cube.sizes[name] for name in dims)
    found = {name: np.full((chains * draws, *shape), np.nan) for name in ("level", "reference")}
    whole = {name: np.full(shape, np.nan) for name in found}
    n = {name: np.zeros(shape, int) for name in ("n", "missing")}
    for place in np.ndindex(*shape):
        cell = {name: labels[name][at] for name, at in zip(dims, place, strict=True)}
        for name, level in (("level", cell[variable]), ("reference", base)):
            asked = cell | {variable: level}
            here = np.flatnonzero(
                np.all([texts[key] == value for key, value in asked.items()], axis=0)
            )
            if len(here):
                whole[name][place] = lost[here].mean()
                found[name][(slice(None), *place)] = _share(read, weights, lost, here)
                n["n"][place] += int((~lost[here]).sum())
                n["missing"][place] += int(lost[here].sum())
    coords = {name: cube[name] for name in (*SAMPLE, *dims)}
    arrays = {
        name: xr.DataArray(values.reshape(chains, draws, *shape), coords, (*SAMPLE, *dims))
        for name, values in found.items()
    }
    shares = {"share_missing": whole["level"], "share_missing_reference": whole["reference"]}
    described_cells = {
        name: xr.DataArray(values, {one: cube[one] for one in dims}, dims)
        for name, values in (shares | n).items()
    }
    return xr.Dataset(described_cells), arrays


def _share(read: Rows, weights: FloatArray, lost: np.ndarray, here: np.ndarray) -> FloatArray:
    """Draws of the share lost among some rows, stretched about it to its sampling variance."""
    drawn = read.of_rows(weights, here)
    share = (drawn @ lost[here]) / drawn.sum(axis=1)
    clusters = len(np.unique(read.clusters[here]))
    wide = stretch(clusters) if clusters > 1 else 1.0
    mean = lost[here].mean()
    return np.clip(mean + wide * (share - mean), 0.0, 1.0)


def _text(level: object) -> str:
    return label_of(level.item() if isinstance(level, np.generic) else level)


def _tipping_point(effect: FloatArray, slope: FloatArray, prob: float) -> float:
    """Return the delta nearest to zero at which the interval of effect + delta * slope has zero."""
    effect, slope = effect.ravel(), slope.ravel()
    if np.isnan(effect).any() or np.isnan(slope).any():
        return np.nan
    tail = (1 - prob) / 2
    if tail <= (effect > 0).mean() <= 1 - tail:
        return 0.0
    moved = slope != 0
    at = np.sort(-effect[moved] / slope[moved])  # where each draw is zero
    at = at[np.argsort(np.abs(at), kind="stable")]
    for portion in np.array_split(at, max(1, len(at) // 200)):
        above = (effect + portion[:, None] * slope > 0).mean(axis=1)
        holds = (above >= tail) & (above <= 1 - tail)
        if holds.any():
            return float(portion[holds.argmax()])
    return np.inf
