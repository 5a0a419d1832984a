"""Moving through a latent space: prototypes of groups, and equal perceived steps."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import isotonic_regression, nnls

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.study.tables import check_known

Target = float | tuple[float, float]
RESAMPLED = 200


def prototypes(
    latent: np.ndarray,
    directions: xr.Dataset,
    cells: Mapping[str, Mapping[str, Target]],
    *,
    hold: Sequence[str] = (),
) -> xr.Dataset:
    """From each seed to the nearest point of each group, moving as little as possible.

    Parameters
    ----------
    latent : ndarray (seed, feature)
    directions : Dataset
        From `fit_directions`, of kind "ridge" or "logistic".
    cells : mapping of group to its predicted ratings
        ``{"black female": {"black": (70, 100), "gender": (0, 30)}, ...}``: a range, open where an
        end is infinite, or one number. In logits if `directions` are of kind "logistic".
    hold : sequence of attributes
        Whose predicted ratings stay at each seed's own.

    Returns
    -------
    Dataset
        `latent` (seed, cell, feature) and `moved` (seed, cell), the Euclidean distance from the
        seed.

    Raises
    ------
    DataError
        If latents do not fit, an attribute is unknown or both held and moved, a range is empty, or
        a group cannot be reached.

    Examples
    --------
    >>> import causalbias as cb
    >>> z = np.random.default_rng(0).normal(size=(300, 3))
    >>> found = cb.stimuli.fit_directions(z, pd.DataFrame({"age": 50 + 10 * z[:, 0]}))
    >>> old = prototypes(np.zeros((1, 3)), found, {"old": {"age": (70.0, 100.0)}})
    >>> (old["latent"].values.round(2) + 0.0).tolist()
    [[[2.0, 0.0, 0.0]]]
    """
    latent = _latents(latent, directions)
    names = directions["attribute"].to_numpy().tolist()
    if directions.attrs["kind"] == "ordinal":
        raise DataError(
            "directions without a scale of ratings", hint="fit them with kind='ridge' or 'logistic'"
        )
    weight = directions["weight"].to_numpy()
    predicted = (latent - directions["centre"].to_numpy()) @ weight.T
    predicted += directions["intercept"].to_numpy()
    made = np.empty((len(latent), len(cells), latent.shape[1]))
    for c, (cell, targets) in enumerate(cells.items()):
        known = pd.Series([*targets, *hold], dtype=object)
        if not len(targets):
            raise DataError(f"cell {cell!r} has no targets", hint="give the ratings that make it")
        check_known(known, names, what="attribute", file="cells", column=cell)
        if known.duplicated().any():
            raise DataError(f"cell {cell!r} moves what is held", hint="hold other attributes")
        rows = [names.index(one) for one in known]
        ranges = [_range(one, cell) for one in targets.values()]
        for s in range(len(latent)):
            own = predicted[s, rows]
            both = [*ranges, *((value, value) for value in own[len(targets) :])]
            low, high = np.array(both).T - own
            step = nearest(weight[rows], low, high)
            if step is None:
                raise DataError(f"no point of cell {cell!r}", hint="widen its ranges")
            made[s, c] = latent[s] + step
    return xr.Dataset(
        {
            "latent": (("seed", "cell", "feature"), made),
            "moved": (("seed", "cell"), np.linalg.norm(made - latent[:, None], axis=2)),
        },
        coords={"cell": list(cells)},
    )


def nearest(weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """The shortest step with low <= weight @ step <= high; None if there is none.

    Least distance programming by non-negative least squares (Lawson and Hanson 1974, *Solving Least
    Squares Problems*, chapter 23), in the span of the weights.

    Parameters
    ----------
    weight : ndarray (m, feature)
    low, high : ndarray (m,)
        Infinite where there is no limit; not everywhere.

    Examples
    --------
    >>> nearest(np.array([[1.0, 1.0]]), np.array([2.0]), np.array([9.0])).round(6).tolist()
    [1.0, 1.0]
    """
    basis, corner = np.linalg.qr(weight.T)
    scale = np.linalg.norm(weight, axis=1)
    g = np.vstack([corner.T / scale[:, None], -corner.T / scale[:, None]])
    h = np.concatenate([low / scale, -high / scale])
    g, h = g[np.isfinite(h)], h[np.isfinite(h)]
    unit = max(np.abs(h).max(), 1e-12)
    target = np.zeros(g.shape[1] + 1)
    target[-1] = 1.0
    matrix = np.vstack([g.T, h / unit])
    found, left = nnls(matrix, target)
    if left < 1e-9:
        return None
    rest = matrix @ found - target
    return basis @ (-rest[:-1] / rest[-1]) * unit


def traverse(
    latent: np.ndarray, directions: xr.Dataset, attribute: str, steps: Sequence[float]
) -> xr.DataArray:
    """Move faces along one attribute by steps of what is perceived.

    Parameters
    ----------
    latent : ndarray (seed, feature)
    directions : Dataset
        From `fit_directions`.
    attribute : str
    steps : sequence of float
        Changes of the attribute's predicted rating (or logit), 0 for the face itself.

    Returns
    -------
    DataArray (seed, level, feature)
        Latents; `level` holds the steps.

    Raises
    ------
    DataError
        If the attribute is unknown, or latents or steps do not fit.
    """
    latent = _latents(latent, directions)
    if not np.isfinite(np.asarray(steps, float)).all():
        raise DataError(f"steps {list(steps)}", hint="give finite numbers")
    known = directions["attribute"].to_numpy().tolist()
    if attribute not in known:
        raise DataError(f"no direction {attribute!r}", hint=f"use one of {', '.join(known)}")
    one = directions.sel(attribute=attribute)
    step = np.asarray(steps, float)[:, None] / float(one["gain"]) * one["direction"].to_numpy()
    made = latent[:, None] + step
    return xr.DataArray(
        made, dims=("seed", "level", "feature"), coords={"level": np.asarray(steps, float)}
    )


def equal_steps(
    displacement: np.ndarray,
    score: np.ndarray,
    levels: int,
    *,
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Displacements at which equal steps are seen, from a pilot's ratings along a traversal.

    What is seen need not rise evenly with the latent: the mean score is fitted by a rising curve
    (isotonic regression) and read backwards.

    Parameters
    ----------
    displacement : ndarray (rating,)
        How far each rated face was moved.
    score : ndarray (rating,)
        The attribute's rating; its faces balanced over displacements.
    levels : int
        Levels wanted, the first and last at the pilot's lowest and highest mean score.
    prob : float, default 0.95
    random_seed : int
        Of the resampling of ratings that gives the intervals.

    Returns
    -------
    DataFrame
        `score`: perceived level, evenly spaced. `displacement`, `lower`, `upper`. `n`: ratings.

    Raises
    ------
    DataError
        If scores do not rise along the displacements.

    Examples
    --------
    >>> moved = np.repeat([0.0, 1.0, 2.0, 3.0], 5)
    >>> equal_steps(moved, moved**2, 4)["displacement"].round(2).tolist()
    [0.0, 1.67, 2.4, 3.0]
    """
    moved, seen = np.asarray(displacement, float), np.asarray(score, float)
    if (
        moved.shape != seen.shape
        or levels < 2
        or not (moved.size and np.isfinite([moved, seen]).all())
    ):
        raise DataError("displacements and scores", hint="give one finite number of each a rating")
    places, at = np.unique(moved, return_inverse=True)
    curve = _rising(at, seen, len(places))
    if not curve[-1] > curve[0]:
        raise DataError(
            "the mean score does not rise along the displacements",
            hint="turn the direction round, or move further",
        )
    wanted = np.linspace(curve[0], curve[-1], levels)
    random = generator(random_seed)
    rows_of = [np.flatnonzero(at == one) for one in range(len(places))]
    spread = _unbiased(at, seen)
    drawn = np.empty((RESAMPLED, levels))
    for one in drawn:
        rows = np.concatenate([random.choice(rows, len(rows)) for rows in rows_of])
        one[:] = _read_back(wanted, _rising(at[rows], spread[rows], len(places)), places)
    lower, upper = np.quantile(drawn, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return pd.DataFrame(
        {
            "score": wanted,
            "displacement": _read_back(wanted, curve, places),
            "lower": lower,
            "upper": upper,
            "n": len(seen),
        }
    )


def _rising(at: np.ndarray, score: np.ndarray, places: int) -> np.ndarray:
    """Mean score at each place, made to rise."""
    count = np.bincount(at, minlength=places)
    mean = np.bincount(at, score, minlength=places) / count
    return np.asarray(isotonic_regression(mean, weights=count).x)


def _unbiased(at: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores with as much spread at each place as those of all who might have rated.

    Resampled as they are, n ratings give means too little spread, by (n - 1) / n of the variance
    (Davison and Hinkley 1997, *Bootstrap Methods and their Application*, section 2.3).
    """
    count = np.bincount(at)
    mean = (np.bincount(at, score) / count)[at]
    return mean + (score - mean) * np.sqrt(count / np.maximum(count - 1, 1))[at]


def _read_back(wanted: np.ndarray, curve: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Where a rising curve has the wanted heights; the middle of a flat part."""
    height, first = np.unique(np.round(curve, 12), return_index=True)
    last = len(curve) - 1 - np.unique(np.round(curve[::-1], 12), return_index=True)[1]
    return np.interp(wanted, height, (places[first] + places[last]) / 2)


def _range(target: Target, cell: str) -> tuple[float, float]:
    ends = np.broadcast_to(np.asarray(target, float), 2) if np.size(target) in (1, 2) else [np.nan]
    low, high = float(ends[0]), float(ends[-1])
    if not low <= high or low == np.inf or high == -np.inf or not np.isfinite([low, high]).any():
        raise DataError(f"range {target} in cell {cell!r}", hint="give (low, high)")
    return low, high


def _latents(latent: np.ndarray, directions: xr.Dataset) -> np.ndarray:
    """Latents (seed, feature) that fit the directions."""
    latent = np.atleast_2d(np.asarray(latent, float))
    features = directions.sizes["feature"]
    if latent.ndim != 2 or latent.shape[1] != features or not np.isfinite(latent).all():
        raise DataError(f"latents of shape {latent.shape}", hint=f"give finite (seeds, {features})")
    return latent
