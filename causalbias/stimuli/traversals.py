"""Move through a latent space: prototypes of groups, traversals, and equal perceived steps."""

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
    """Find, for each seed, the nearest point that has the predicted ratings of each group.

    Parameters
    ----------
    latent : ndarray (seed, feature)
        Latents of the seeds.
    directions : Dataset
        Result of `fit_directions` of kind "ridge" or "logistic".
    cells : mapping of group to its predicted ratings
        For each group, the range or value of predicted ratings by attribute, such as
        ``{"black female": {"black": (70, 100), "gender": (0, 30)}, ...}``. An end of a range may be
        infinite. The ratings are in logits if `directions` are of kind "logistic".
    hold : sequence of attributes
        Attributes whose predicted ratings do not change.

    Returns
    -------
    Dataset
        `latent` (seed, cell, feature), and `moved` (seed, cell), the Euclidean distance from the
        seed.

    Raises
    ------
    DataError
        If latents have the wrong shape, an attribute is unknown or both held and moved, a range is
        empty, or no point has the ratings of a group.

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
            "the directions have no scale of ratings",
            hint="fit them with kind='ridge' or 'logistic'",
        )
    weight = directions["weight"].to_numpy()
    predicted = (latent - directions["centre"].to_numpy()) @ weight.T
    predicted += directions["intercept"].to_numpy()
    made = np.empty((len(latent), len(cells), latent.shape[1]))
    for c, (cell, targets) in enumerate(cells.items()):
        known = pd.Series([*targets, *hold], dtype=object)
        if not len(targets):
            raise DataError(f"cell {cell!r} has no targets", hint="give its predicted ratings")
        check_known(known, names, what="attribute", file="cells", column=cell)
        if known.duplicated().any():
            raise DataError(
                f"cell {cell!r} moves an attribute that is held", hint="hold other attributes"
            )
        rows = [names.index(one) for one in known]
        ranges = [_range(one, cell) for one in targets.values()]
        for s in range(len(latent)):
            own = predicted[s, rows]
            both = [*ranges, *((value, value) for value in own[len(targets) :])]
            low, high = np.array(both).T - own
            step = nearest(weight[rows], low, high)
            if step is None:
                raise DataError(
                    f"no point has the ratings of cell {cell!r}", hint="widen its ranges"
                )
            made[s, c] = latent[s] + step
    return xr.Dataset(
        {
            "latent": (("seed", "cell", "feature"), made),
            "moved": (("seed", "cell"), np.linalg.norm(made - latent[:, None], axis=2)),
        },
        coords={"cell": list(cells)},
    )


def nearest(weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Find the shortest step with low <= weight @ step <= high; None if there is none.

    The problem is least distance programming, which is solved by non-negative least squares (Lawson
    and Hanson 1974, *Solving Least Squares Problems*, chapter 23) in the span of the weights.

    Parameters
    ----------
    weight : ndarray (m, feature)
        Weights of the constraints.
    low, high : ndarray (m,)
        Limits, some of which may be infinite.

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
    """Move faces along an attribute by steps of its predicted rating.

    Parameters
    ----------
    latent : ndarray (seed, feature)
        Latents of the seeds.
    directions : Dataset
        Result of `fit_directions`.
    attribute : str
        Attribute that is changed.
    steps : sequence of float
        Changes of the attribute's predicted rating (or logit); 0 leaves the face unchanged.

    Returns
    -------
    DataArray (seed, level, feature)
        Latents; the coordinate `level` holds the steps.

    Raises
    ------
    DataError
        If the attribute is unknown, latents have the wrong shape, or steps are not finite.
    """
    latent = _latents(latent, directions)
    if not np.isfinite(np.asarray(steps, float)).all():
        raise DataError(f"steps {list(steps)}", hint="give finite numbers")
    known = directions["attribute"].to_numpy().tolist()
    if attribute not in known:
        raise DataError(
            f"there is no direction {attribute!r}", hint=f"use one of {', '.join(known)}"
        )
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
    """Find displacements with equal perceived steps, from a pilot's ratings along a traversal.

    The mean rating need not be linear in the latent displacement. It is estimated as an increasing
    function by isotonic regression, which is then inverted.

    Parameters
    ----------
    displacement : ndarray (rating,)
        Displacement of the rated face.
    score : ndarray (rating,)
        Rating of the attribute. The same faces should be rated at all displacements.
    levels : int
        Number of levels; the first and the last are at the pilot's lowest and highest mean score.
    prob : float, default 0.95
        Probability of the intervals.
    random_seed : int
        Seed of the bootstrap of ratings, from which the intervals are computed.

    Returns
    -------
    DataFrame
        `score` (perceived level, evenly spaced), `displacement`, `lower`, `upper`, and `n`, the
        number of ratings.

    Raises
    ------
    DataError
        If the mean score does not increase with the displacement.

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
        raise DataError(
            "displacements and scores have different shapes, or are not finite",
            hint="give one finite number of each per rating",
        )
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
    """Compute the mean score at each displacement by isotonic regression."""
    count = np.bincount(at, minlength=places)
    mean = np.bincount(at, score, minlength=places) / count
    return np.asarray(isotonic_regression(mean, weights=count).x)


def _unbiased(at: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Rescale the scores at each displacement so that the bootstrap variance is unbiased.

    The bootstrap of n unscaled ratings underestimates the variance of their mean by the factor
    (n - 1) / n (Davison and Hinkley 1997, *Bootstrap Methods and their Application*, section 2.3).
    """
    count = np.bincount(at)
    mean = (np.bincount(at, score) / count)[at]
    return mean + (score - mean) * np.sqrt(count / np.maximum(count - 1, 1))[at]


def _read_back(wanted: np.ndarray, curve: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Invert an increasing curve at the wanted values; flat parts give their middle."""
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
    """Check that latents have the shape (seed, feature) of the directions, and return them."""
    latent = np.atleast_2d(np.asarray(latent, float))
    features = directions.sizes["feature"]
    if latent.ndim != 2 or latent.shape[1] != features or not np.isfinite(latent).all():
        raise DataError(f"latents of shape {latent.shape}", hint=f"give finite (seeds, {features})")
    return latent
