"""From scores and outcomes of faces to what each manipulation moves, with the error of that."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from causalbias.arguments import described
from causalbias.errors import DataError, at_first
from causalbias.inference.instruments import Moves
from causalbias.inference.problem import FloatArray
from causalbias.study.columns import check_groups, check_missing_code, labels
from causalbias.study.tables import check_columns

FACE = ["seed", "attribute", "level"]
CENTRINGS = 300  # of judges' and faces' means, by turns
LEAST_SEEDS = 3


def check_outcomes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the outcome of each face, the mean where it has several; refuse one without a sign.

    Raises
    ------
    DataError
        If a column is missing, or the outcome is zero at the first level of every manipulation:
        the distance of a face from its own unchanged face, to which the model does not apply.
    """
    rows = _faces(frame, "outcome", "outcomes")
    found = rows.groupby(FACE, dropna=False)["outcome"].mean().reset_index()
    whole = spread_over(found, found["attribute"].dropna().unique())
    first = whole["level"] == whole.groupby("attribute")["level"].transform("min")
    if len(whole) and (whole.loc[first, "outcome"] == 0).all():
        raise DataError(
            "the outcome of every face at the first level is 0: a distance from the face itself, "
            "which grows whichever way an attribute moves",
            hint="give an outcome that can rise and fall, such as the distance from a fixed other "
            "photograph of the person, or from other people",
            file="outcomes",
            column="outcome",
        )
    return found


def check_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of scores, with a column `annotator` (one judge where there is none)."""
    rows = _faces(frame, "score", "scores", "question", "annotator")
    return rows if "annotator" in rows else rows.assign(annotator="the classifier")


def _faces(frame: object, value: str, file: str, *more: str) -> pd.DataFrame:
    """Check columns of a table of faces, ids as texts; leave out rows without a value."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"{file} are {described(frame)}",
            hint=f"give a table with the columns {', '.join([*FACE, value])}",
        )
    needed = [*FACE, value, *(one for one in more if one != "annotator")]
    check_columns(frame, needed, file=file)
    frame = frame.reset_index(drop=True)
    known = frame[value].notna()
    for column in ("level", value):
        numbers = pd.to_numeric(frame[column], errors="coerce").astype(float)
        bad = known & ~np.isfinite(numbers)
        _refuse(bad, "the value is not a number", "give finite numbers", file, column)
        frame = frame.assign(**{column: numbers})
    for column in ("seed", "attribute", *(one for one in more if one in frame)):
        if column != "attribute":  # which the unchanged face has not
            bad = known & frame[column].isna()
            _refuse(bad, "the value is missing", "fill it in, or leave the row out", file, column)
        # As texts, since 7 in one table and "7" in the other are one seed.
        frame = frame.assign(**{column: labels(frame[column], file=file).astype("str")})
        if column in ("attribute", "question"):
            check_groups(frame[column], file=file)
    check_missing_code(frame[value], file=file)
    return frame[known]


def _refuse(bad: pd.Series, problem: str, hint: str, file: str, column: str) -> None:
    if bad.any():
        raise at_first(bad.to_numpy(bool), problem, hint=hint, file=file, column=column)


def spread_over(faces: pd.DataFrame, attributes: object) -> pd.DataFrame:
    """Give faces without an attribute, which nothing was done to, to every manipulation."""
    shared = faces["attribute"].isna()
    if not shared.any():
        return faces
    every = pd.DataFrame({"attribute": list(attributes)})  # type: ignore[call-overload]
    copies = faces[shared].drop(columns="attribute").merge(every, how="cross")
    return pd.concat([faces[~shared], copies], ignore_index=True)


def without_judges_levels(
    scores: pd.DataFrame, face_columns: Sequence[str] = FACE
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Faces' mean scores free of judges' own levels, and what each score differs from these.

    Additive in judge and face, by question, so that judges who saw few faces do not count as
    faces' differences.
    """
    face = scores.groupby([*face_columns, "question"], dropna=False, observed=True).ngroup()
    judge = scores.groupby(["annotator", "question"], observed=True).ngroup()
    size = 1 + float(scores["score"].abs().max()) if len(scores) else 1.0
    mean_of_judge = pd.Series(0.0, index=scores.index)
    mean_of_face = mean_of_judge
    for _ in range(CENTRINGS):
        before = mean_of_judge
        mean_of_face = (scores["score"] - mean_of_judge).groupby(face).transform("mean")
        mean_of_judge = (scores["score"] - mean_of_face).groupby(judge).transform("mean")
        if np.allclose(before, mean_of_judge, rtol=0.0, atol=1e-9 * size):
            break
    known = scores.assign(
        mean=mean_of_face, left=scores["score"] - mean_of_face - mean_of_judge, face=face
    )
    kept = [*face_columns, "question", "mean"]
    faces = known.drop_duplicates("face")[kept].reset_index(drop=True)
    return faces, known


def moves_of(
    outcomes: pd.DataFrame,
    faces: pd.DataFrame,
    left: pd.DataFrame,
    errors: Mapping[Hashable, float],
) -> tuple[Moves, list[str], list[str], int]:
    """Estimate what each manipulation moves: the mean over seeds of slopes on the level.

    Moves are from the lowest to the highest level. A face counts if it has an outcome and a mean
    score for every question; a seed's manipulation counts if two such faces are left.

    Returns
    -------
    tuple of Moves, list of str, list of str, int
        The moves, the manipulations, the questions, and the number of seeds.
    """
    attributes = sorted(map(str, outcomes["attribute"].dropna().unique()))
    wide = faces.pivot_table("mean", FACE, "question", dropna=False, observed=True)
    questions = [str(one) for one in wide.columns]
    wide = spread_over(wide.dropna().reset_index(), attributes)
    own = spread_over(outcomes, attributes)
    whole = wide.merge(own, on=FACE).astype({"attribute": str})
    if whole.empty:
        raise DataError(
            "no face has an outcome and a score for every question",
            hint="give both tables the same seeds, attributes and levels, written alike",
        )
    values = whole[[*wide.columns.drop(FACE), "outcome"]].to_numpy(float)
    slopes, seeds = _slopes(whole, values, attributes)
    mean, units, n = _means_over_seeds(slopes, attributes)
    judges, df = _judges(left, questions, attributes, mean[:, :-1], errors)
    return Moves(mean, units, judges, float(n - 1), df), attributes, questions, len(seeds)


def _slopes(
    whole: pd.DataFrame, values: FloatArray, attributes: list[str]
) -> tuple[FloatArray, pd.Index]:
    """Slopes on the level by seed and manipulation, (n, K, J + 1); missing with one level."""
    code, seeds = pd.factorize(whole["seed"])
    arm = pd.Index(attributes).get_indexer(pd.Index(whole["attribute"]))
    cell = code * len(attributes) + arm
    level = whole["level"].to_numpy(float)
    count = np.bincount(cell, minlength=len(seeds) * len(attributes))
    centre = np.bincount(cell, level, len(count)) / np.maximum(count, 1)
    c = level - centre[cell]
    inside = np.bincount(cell, c * c, len(count))
    span = whole.groupby("attribute")["level"].agg(lambda one: one.max() - one.min())
    slopes = np.full((len(count), values.shape[1]), np.nan)
    known = inside > 0
    for column, value in enumerate(values.T):
        total = np.bincount(cell, c * value, len(count))
        slopes[known, column] = total[known] / inside[known]
    by_seed = slopes.reshape(len(seeds), len(attributes), -1)
    by_seed = by_seed * span.reindex(attributes).to_numpy(float)[:, None]
    kept = known.reshape(len(seeds), -1).any(axis=1)
    return by_seed[kept], seeds[kept]


def _means_over_seeds(
    slopes: FloatArray, attributes: list[str]
) -> tuple[FloatArray, FloatArray, int]:
    """Mean slopes (K, J + 1), what each seed adds to their error, and the fewest seeds."""
    known = ~np.isnan(slopes[:, :, 0])
    count = known.sum(axis=0)
    if len(count) == 0 or count.min() < LEAST_SEEDS:
        what = attributes[int(count.argmin())] if len(count) else "no manipulation"
        raise DataError(
            f"{int(count.min()) if len(count) else 0} seeds have outcomes and scores at two levels "
            f"of {what}",
            hint=f"give {LEAST_SEEDS} seeds or more, of which each face has an outcome and a score "
            "for every question",
        )
    mean = np.nanmean(slopes, axis=0)
    deviation = np.where(known[:, :, None], slopes - mean, 0.0)
    units = deviation / count[:, None] * np.sqrt(count / (count - 1))[:, None]
    return mean, units, int(count.min())


def _judges(
    left: pd.DataFrame,
    questions: list[str],
    attributes: list[str],
    mean: FloatArray,
    errors: Mapping[Hashable, float],
) -> tuple[FloatArray, FloatArray]:
    """Covariances (J, K, K) of the moves' errors that all seeds share, and their df (J,)."""
    k = len(attributes)
    found, df = np.zeros((len(questions), k, k)), np.full(len(questions), np.inf)
    for at, question in enumerate(questions):
        rows = left[left["question"].astype(str) == question]
        if rows["annotator"].nunique() > 1:
            covariance, judges = _of_raters(rows, attributes, mean[:, at])
            found[at], df[at] = covariance, judges - 1.0
        sd = np.array(
            [errors.get((one, question), errors.get(question, 0.0)) for one in attributes]
        )
        if sd.any():
            of_raters = np.trace(found[at])
            found[at] += np.diag(sd**2)
            df[at] *= (np.trace(found[at]) / of_raters) ** 2 if of_raters > 0 else np.inf
    return found, df


def _of_raters(
    rows: pd.DataFrame, attributes: list[str], move: FloatArray
) -> tuple[FloatArray, int]:
    """Covariance of mean moves from raters who see them unequally large, and their number.

    A rater sees a manipulation move the attribute by ``g L + u``: a gain of the rater, of variance
    t^2 about one, and a view of the manipulation, of variance w^2 about zero. Both are estimated
    by moments from raters' own slopes, less what the noise of their scores explains.
    """
    rows = spread_over(rows, attributes)
    rows = rows[rows["attribute"].astype(str).isin(attributes)]
    code, raters = pd.factorize(rows["annotator"])
    arm = pd.Index(attributes).get_indexer(pd.Index(rows["attribute"].astype(str)))
    seed = rows.groupby(["annotator", "attribute", "seed"], observed=True)
    level, value = rows["level"], rows["left"]
    within = (level - seed["level"].transform("mean")).to_numpy(float)
    if not (within**2).sum() > 0:  # no rater saw two levels of a seed
        seed = rows.groupby(["annotator", "attribute"], observed=True)
        within = (level - seed["level"].transform("mean")).to_numpy(float)
    groups = seed.ngroups
    span = level.groupby(arm).transform(lambda one: one.max() - one.min()).to_numpy(float)
    c = within / np.where(span > 0, span, 1.0)
    e = (value - value.groupby(seed.ngroup()).transform("mean")).to_numpy(float)
    shape = (len(raters), len(attributes))
    cell, size = code * shape[1] + arm, shape[0] * shape[1]
    weight = np.bincount(cell, c * c, size)
    slope = np.bincount(cell, c * e, size) / np.where(weight > 0, weight, 1.0)
    residual = np.bincount(code, (e - slope[cell] * c) ** 2, len(raters))
    spare = np.maximum((len(rows) - groups - size) / len(rows), 0.1)
    noise = residual / np.maximum(np.bincount(code, minlength=len(raters)) * spare, 1.0)
    weight, slope = weight.reshape(shape), slope.reshape(shape)
    apart = _apart(rows)
    gain, view = _components(slope, weight, noise, move)
    shares = np.bincount(code) / len(rows)
    covariance = apart * (gain * np.outer(move, move) + view * np.eye(shape[1]))
    return covariance * (shares**2).sum(), len(raters)


def _apart(rows: pd.DataFrame) -> float:
    """By how much raters differ more from each other than from the mean of those of a face."""
    each = rows.groupby(FACE, dropna=False, observed=True)["annotator"].nunique().mean()
    return float(each / (each - 1)) if each > 1.5 else 3.0


def _components(
    slope: FloatArray, weight: FloatArray, noise: FloatArray, move: FloatArray
) -> tuple[float, float]:
    """Variances of raters' gains and views, by moments; never below zero."""
    known = weight > 0
    strength = (weight * move**2).sum(axis=1)
    seen = strength > 0
    if seen.sum() < 2:
        return 0.0, 0.0
    gain = np.where(seen, (weight * slope * move).sum(axis=1) / np.where(seen, strength, 1.0), 0.0)
    of_gain = float((gain[seen] ** 2 - noise[seen] / strength[seen]).mean())
    rest = (slope - gain[:, None] * move)[known] ** 2
    k = max(int(known.sum(axis=1).max()), 1)
    if k == 1:
        return max(of_gain, 0.0), 0.0
    by_noise = np.broadcast_to(noise[:, None], known.shape)[known] / weight[known]
    of_view = float((rest * k / (k - 1) - by_noise).mean())
    return max(of_gain, 0.0), max(of_view, 0.0)
