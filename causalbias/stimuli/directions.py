"""Latent directions that people see as attributes, and how far each moves what is seen."""

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import flag_in, generator
from causalbias.errors import DataError
from causalbias.stimuli.regression import Linear, ordinal, out_of_fold, ridge

Kind = Literal["ridge", "logistic", "ordinal"]
LEAST = 10  # rated faces
ALONE = 0.02  # least part of an attribute's weights that the others do not share


def fit_directions(
    latent: np.ndarray,
    ratings: pd.DataFrame,
    kind: Kind = "ridge",
    *,
    draws: int = 200,
    random_seed: int = 0,
) -> xr.Dataset:
    """One latent direction an attribute, from latents and what people see in the faces.

    Each attribute's rating is a weighted sum of the latents and noise. A step along an
    attribute's own weights also moves every attribute whose weights overlap; the step along its
    `direction` moves its predicted rating and leaves all others' unchanged.

    Parameters
    ----------
    latent : ndarray (face, feature)
        Of any generator, or embeddings. At least 10 rated faces; more than there are features for
        directions worth the name.
    ratings : DataFrame
        One row a face, in the order of `latent`, one column an attribute; missing where a face was
        not rated.
    kind : {"ridge", "logistic", "ordinal"}
        "ridge": ratings are numbers, such as mean ratings. "logistic": two categories. "ordinal":
        ordered categories, in proportional odds. All have Normal priors on weights, their variance
        chosen by the marginal likelihood.
    draws : int
        From the posterior of the weights, given that variance.
    random_seed : int

    Returns
    -------
    Dataset
        `weight` (attribute, feature): points of rating (logits, if not ridge) a unit of latent.
        `direction`, `raw` (attribute, feature): of length 1, orthogonal to all others' weights, and
        along its own weights. `draws` (draw, attribute, feature) of the weights. `gain`
        (attribute): points of rating a unit step along `direction`. `alone` (attribute): the part
        of the weights' length that no other attribute shares, 0 to 1. `certainty` (attribute): mean
        cosine between `direction` and that of each draw. `correlation` (attribute): of ratings
        with predictions from folds that left them out. `n` (attribute): rated faces. `intercept`
        (attribute; missing if ordinal), `residual` (attribute; ridge only), `centre` (feature).

    Raises
    ------
    DataError
        If latents and ratings do not match, there are too few, or two attributes are one.

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
    _check(latent, ratings, kind)
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
            f"{names[int(alone.argmin())]!r} cannot be told from the other attributes",
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
    """Directions (attribute, feature) of length 1 along which only one predictor changes.

    The columns of the weights' pseudoinverse, which lie in the span of the weights: of all steps
    that change one predictor alone, the shortest.

    Returns
    -------
    direction : ndarray (attribute, feature)
    gain : ndarray (attribute,)
        Change of the attribute's predictor a unit step.

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
    """Length that the other rows leave of each row (attribute, feature) of length 1."""
    left = np.ones(len(unit))
    for at, row in enumerate(unit):
        others = np.delete(unit, at, axis=0).T
        if others.size:
            left[at] = np.linalg.norm(row - others @ np.linalg.lstsq(others, row)[0])
    return left


def predicted_leaks(
    directions: xr.Dataset, *, orthogonalised: bool = True, prob: float = 0.95
) -> pd.DataFrame:
    """What a step along each direction would move, as the fitted weights have it.

    After orthogonalisation the estimates off the diagonal are zero by construction, and only their
    intervals tell something; whether nothing else moves, new ratings must show
    (`cb.manipulation_checks.leaks`).

    Parameters
    ----------
    directions : Dataset
        From `fit_directions`.
    orthogonalised : bool, default True
        Steps along `direction`; else along `raw`.
    prob : float, default 0.95

    Returns
    -------
    DataFrame
        `attribute` (moved), `question` (perceived), `estimate`, `lower`, `upper`: change of the
        question's rating for a step that moves the attribute's own by one point; `n`: rated faces.

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


def _check(latent: np.ndarray, ratings: pd.DataFrame, kind: str) -> None:
    if latent.ndim != 2 or not np.isfinite(latent).all():
        raise DataError(f"latents of shape {latent.shape}", hint="give finite (faces, features)")
    if not (np.ptp(latent, axis=0) > 0).any():
        raise DataError("all latents are equal", hint="give those of different faces")
    if kind not in ("ridge", "logistic", "ordinal"):
        raise DataError(f"kind {kind!r}", hint="use ridge, logistic or ordinal")
    if len(ratings) != len(latent) or ratings.shape[1] == 0:
        raise DataError(
            f"{len(ratings)} rated faces of {ratings.shape[1]} attributes, {len(latent)} latents",
            hint="give one row a latent, one column an attribute",
        )
    if not ratings.columns.is_unique:
        raise DataError(
            "two attributes have one name",
            hint="rename one",
            file="ratings",
            column=str(ratings.columns[ratings.columns.duplicated()][0]),
        )
    for name in ratings:
        values = pd.to_numeric(ratings[name], errors="coerce")
        bad = (values.isna() & ratings[name].notna()) | np.isinf(values)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(
                f"{ratings[name].iloc[row]!r} is not a number",
                hint="write a number",
                file="ratings",
                column=str(name),
                row=row + 1,
            )
        distinct, rated = int(values.nunique()), int(values.notna().sum())
        if rated < LEAST or distinct < 2 or (kind == "logistic" and distinct > 2):
            raise DataError(
                f"{rated} ratings of {distinct} values",
                hint=f"{kind} needs {LEAST} ratings or more, of "
                + ("two values" if kind == "logistic" else "at least two values"),
                file="ratings",
                column=str(name),
            )
