"""Estimate the latent directions of perceived attributes, and how far a step moves ratings."""

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import flag_in, generator
from causalbias.errors import DataError, at_first
from causalbias.stimuli.regression import Linear, ordinal, out_of_fold, ridge
from causalbias.study.columns import measured

Kind = Literal["ridge", "logistic", "ordinal"]
LEAST = 10  # least number of rated faces
ALONE = 0.02  # least part of an attribute's weights that is orthogonal to those of the others


def fit_directions(
    latent: np.ndarray,
    ratings: pd.DataFrame,
    kind: Kind = "ridge",
    *,
    draws: int = 200,
    random_seed: int = 0,
) -> xr.Dataset:
    """Estimate a latent direction for each attribute from latents and ratings of the faces.

    The model of an attribute's rating is a weighted sum of the latents plus noise. A step along the
    weights of an attribute also moves every attribute whose weights overlap with them. A step along
    its `direction` moves the predicted rating of this attribute and leaves all others unchanged.

    Parameters
    ----------
    latent : ndarray (face, feature)
        Latents of any generator, or embeddings. At least 10 faces must be rated; for precise
        directions, there should be more faces than features.
    ratings : DataFrame
        One row per face, in the order of `latent`, and one column per attribute. Cells are missing
        where a face was not rated.
    kind : {"ridge", "logistic", "ordinal"}
        "ridge" is for numeric ratings, such as mean ratings; "logistic" for two categories;
        "ordinal" for ordered categories, with proportional odds. All have Normal priors on the
        weights, whose variance maximises the marginal likelihood.
    draws : int
        Number of draws from the posterior of the weights, given that variance.
    random_seed : int
        Seed of the random numbers.

    Returns
    -------
    Dataset
        `weight` (attribute, feature): change of the rating in points (or logits, if `kind` is not
        "ridge") per unit of the latent. `direction` (attribute, feature): unit vector orthogonal to
        the weights of all other attributes. `raw` (attribute, feature): unit vector along the
        weights. `draws` (draw, attribute, feature): draws of the weights. `gain` (attribute):
        change of the rating per unit step along `direction`. `alone` (attribute): part of the
        weights' length that is orthogonal to the weights of the other attributes, 0 to 1.
        `certainty` (attribute): mean cosine between `direction` and the directions of the draws.
        `correlation` (attribute): correlation between ratings and predictions from folds that
        left them out. `n` (attribute): number of rated faces. `intercept` (attribute; missing if
        ordinal), `residual` (attribute; ridge only), `centre` (feature).

    Raises
    ------
    DataError
        If latents and ratings do not match, there are too few ratings, or an attribute's weights
        are a combination of those of the others.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> latent = random.normal(size=(300, 4))
    >>> seen = pd.DataFrame({"age": latent[:, 0], "smile": latent[:, 0] + latent[:, 1]})
    >>> found = fit_directions(latent, seen + random.normal(size=(300, 2)) / 9)
    >>> (found["direction"].sel(attribute="age").values.round(1) + 0.0).tolist()
    [0.7, -0.7, 0.0, 0.0]
    """
    latent = np.asarray(latent, float)
    ratings = _check(latent, ratings, kind)
    centre = latent.mean(axis=0)
    random = generator(random_seed)
    fits: list[Linear] = []
    correlation, count = [], []
    for name in ratings:
        rated = ratings[name].notna().to_numpy()
        x, y = latent[rated] - centre, ratings[name].to_numpy(float)[rated]
        fits.append(ridge(x, y, draws, random) if kind == "ridge" else ordinal(x, y, draws, random))
        correlation.append(out_of_fold(x, y, fits[-1], random))
        count.append(len(y))
    weight = np.array([one.weight for one in fits])
    drawn = np.stack([one.draws for one in fits], axis=1)
    length = np.linalg.norm(weight, axis=1)
    alone = _alone(weight / length[:, None])
    names = [str(name) for name in ratings]
    if alone.min() < ALONE:
        raise DataError(
            f"{names[int(alone.argmin())]!r} cannot be distinguished from the other attributes",
            hint="leave one of them out, or rate faces in which they differ",
            column=names[int(alone.argmin())],
        )
    direction, gain = orthogonal(weight)
    cosine = np.array([(orthogonal(one)[0] * direction).sum(axis=1) for one in drawn])
    one_each, cell = ("attribute",), ("attribute", "feature")
    return xr.Dataset(
        {
            "weight": (cell, weight),
            "direction": (cell, direction),
            "raw": (cell, weight / length[:, None]),
            "draws": (("draw", *cell), drawn),
            "gain": (one_each, gain),
            "alone": (one_each, alone),
            "certainty": (one_each, cosine.mean(axis=0)),
            "correlation": (one_each, correlation),
            "n": (one_each, count),
            "intercept": (one_each, [one.intercept for one in fits]),
            "residual": (one_each, [one.residual for one in fits]),
            "centre": (("feature",), centre),
        },
        coords={"attribute": names, "feature": np.arange(latent.shape[1])},
        attrs={"kind": kind, "random_seed": random_seed},
    )


def orthogonal(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute directions of length 1 along which a single linear predictor changes.

    They are the normalised columns of the pseudoinverse of the weights. As these lie in the span of
    the weights, they are the shortest steps that change one predictor and no other.

    Parameters
    ----------
    weight : ndarray (attribute, feature)
        Weights of the linear predictors.

    Returns
    -------
    direction : ndarray (attribute, feature)
        Directions of length 1.
    gain : ndarray (attribute,)
        Change of an attribute's predictor per unit step along its direction.

    Examples
    --------
    >>> direction, gain = orthogonal(np.array([[1.0, 0.0], [1.0, 1.0]]))
    >>> (direction.round(3) + 0.0).tolist(), gain.round(3).tolist()
    ([[0.707, -0.707], [0.0, 1.0]], [0.707, 1.0])
    """
    steps = np.linalg.pinv(weight).T
    length = np.linalg.norm(steps, axis=1)
    return steps / length[:, None], 1 / length


def _alone(unit: np.ndarray) -> np.ndarray:
    """Length of the part of each unit row (attribute, feature) orthogonal to all other rows."""
    left = np.ones(len(unit))
    for at, row in enumerate(unit):
        others = np.delete(unit, at, axis=0).T
        if others.size:
            left[at] = np.linalg.norm(row - others @ np.linalg.lstsq(others, row)[0])
    return left


def predicted_leaks(
    directions: xr.Dataset, *, orthogonalised: bool = True, prob: float = 0.95
) -> pd.DataFrame:
    """Predict how a step along each direction changes all attributes, by the fitted weights.

    After orthogonalisation, the estimates for other attributes are zero by construction, and only
    their intervals are informative. Whether a manipulation changes nothing else can only be
    established by new ratings (`cb.manipulation_checks.leaks`).

    Parameters
    ----------
    directions : Dataset
        Result of `fit_directions`.
    orthogonalised : bool, default True
        Whether steps are along `direction`; otherwise they are along `raw`.
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        `attribute` (manipulated), `question` (perceived), `estimate`, `lower`, `upper`: change of
        the question's rating for a step that changes the attribute's rating by one point; `n`:
        number of rated faces.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> latent = random.normal(size=(300, 4))
    >>> seen = pd.DataFrame({"age": latent[:, 0], "smile": latent[:, 0] + latent[:, 1]})
    >>> found = fit_directions(latent, seen + random.normal(size=(300, 2)) / 9)
    >>> predicted_leaks(found, orthogonalised=False)["estimate"].round(1).tolist()
    [1.0, 1.0, 0.5, 1.0]
    """
    flag_in(orthogonalised, "orthogonalised")
    step = directions["direction" if orthogonalised else "raw"].to_numpy()
    weight, drawn = directions["weight"].to_numpy(), directions["draws"].to_numpy()
    own = (step * weight).sum(axis=1)[:, None]
    estimate = step @ weight.T / own
    moved = np.einsum("af,dbf->dab", step, drawn) / own
    lower, upper = np.quantile(moved, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    names = directions["attribute"].to_numpy()
    return pd.DataFrame(
        {
            "attribute": np.repeat(names, len(names)),
            "question": np.tile(names, len(names)),
            "estimate": estimate.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "n": np.tile(directions["n"].to_numpy(), len(names)),
        }
    )


def _check(latent: np.ndarray, ratings: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Refuse what cannot be fitted; return the ratings as numbers, NaN where there is none."""
    if latent.ndim != 2 or not np.isfinite(latent).all():
        raise DataError(f"latents of shape {latent.shape}", hint="give finite (faces, features)")
    if not (np.ptp(latent, axis=0) > 0).any():
        raise DataError("all latents are equal", hint="give those of different faces")
    if kind not in ("ridge", "logistic", "ordinal"):
        raise DataError(f"kind {kind!r}", hint="use ridge, logistic or ordinal")
    if len(ratings) != len(latent) or ratings.shape[1] == 0:
        raise DataError(
            f"there are {len(ratings)} rated faces with {ratings.shape[1]} attributes, but "
            f"{len(latent)} latents",
            hint="give one row per latent and one column per attribute",
        )
    if not ratings.columns.is_unique:
        raise DataError(
            "two attributes have one name",
            hint="rename one",
            file="ratings",
            column=str(ratings.columns[ratings.columns.duplicated()][0]),
        )
    ratings = ratings.reset_index(drop=True)
    numbers = pd.DataFrame({name: measured(ratings[name], file="ratings") for name in ratings})
    for name, values in numbers.items():
        if (bad := np.isinf(values.to_numpy())).any():
            problem, hint = "the rating is infinite", "leave the cell empty"
            raise at_first(bad, problem, hint=hint, file="ratings", column=str(name))
        distinct, rated = int(values.nunique()), int(values.notna().sum())
        if rated < LEAST or distinct < 2 or (kind == "logistic" and distinct > 2):
            raise DataError(
                f"there are {rated} ratings with {distinct} different values",
                hint=f"{kind} needs {LEAST} ratings or more, of "
                + ("two values" if kind == "logistic" else "at least two values"),
                file="ratings",
                column=str(name),
            )
    return numbers
