"""What changed between two faces, as people or classifiers perceive it, with the error of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalbias.arguments import number_in
from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.manipulation_checks.perceived_moves import without_judges_levels
from causalbias.study.columns import check_groups, check_missing_code
from causalbias.study.tables import check_frame, number_column

FACE = ("stimulus",)
PAIR = ["stimulus_a", "stimulus_b"]
LEAST_DF = 10  # of annotators' differences, for an estimate of their error
DOUBT = 1.645  # standard errors by which true changes must exceed what error alone would show


@dataclass(frozen=True)
class Changes:
    """Changes of pairs given the scores of both faces; the rows are those of a table of pairs.

    Attributes
    ----------
    mean : ndarray (pairs, J)
    covariance : ndarray (pairs, J, J)
        Given the mean of the pair's cell: of pairs in which the same was manipulated.
    loading : ndarray (pairs, J, J)
        The mean of the cell is known with error, B eta with eta standard normal: B.
    cell : ndarray (pairs,) of int
        -1 where there are no cells, and of a face beside itself.
    rows : ndarray (pairs,) of int
        Their rows in the table.
    questions : list of str
        Attributes that changed in these pairs, beyond what error alone would show.
    unmoved : list of str
        The others.
    reliability : ndarray (J,)
        Share of the mean square of differences between scores that is no error.
    seen : ndarray (pairs, J)
        Differences between scores.
    """

    mean: FloatArray
    covariance: FloatArray
    loading: FloatArray
    cell: np.ndarray
    rows: np.ndarray
    questions: list[str]
    unmoved: list[str]
    reliability: FloatArray
    seen: FloatArray

    def scale_error(self, clusters: np.ndarray) -> FloatArray:
        """Standard deviation (J,) of the error of ``log(scale)``, from clusters (pairs,) of pairs.

        Half of the relative error of the mean square of differences between scores, as far as that
        is of the scores' error: for normal changes and errors, of the variance ``2 (T + S)^2`` of a
        square ``2 T^2`` is of changes, and T / (T + S) the reliability.
        """
        code = np.unique(clusters, return_inverse=True)[1]
        count = np.bincount(code)
        squares = self.seen**2
        mean = squares.mean(axis=0)
        sums = np.stack([np.bincount(code, one) for one in (squares - mean).T], axis=1)
        variance = (sums**2).sum(axis=0) / len(squares) ** 2 * len(count) / (len(count) - 1)
        of_error = np.sqrt(variance * (1 - np.clip(self.reliability, 0, 1) ** 2))
        return np.asarray(of_error / (2 * self.reliability * mean))

    @property
    def moment(self) -> FloatArray:
        """Second moment (pairs, J, J) of each change."""
        known = self.mean[:, :, None] * self.mean[:, None, :] + self.covariance
        return known + self.loading @ np.swapaxes(self.loading, 1, 2)

    @property
    def scale(self) -> FloatArray:
        """Root mean square (J,) of the changes."""
        return np.sqrt(np.einsum("njj->j", self.moment) / len(self.mean))

    @property
    def tolerance(self) -> FloatArray:
        """Share (J,) of the mean squared change that is no linear function of the others'."""
        return _tolerances(self.moment.mean(axis=0))


def read_scores(
    scores: object, score_error: object
) -> tuple[pd.DataFrame, dict[str, FloatArray], list[str]]:
    """Faces' mean scores by question, and the covariance of their errors.

    An error's variance is that of annotators about each other, of each score of a face, over their
    number; errors of two questions go together as far as annotators who answered both show.

    Returns
    -------
    tuple of DataFrame (face, question), dict of ndarray (J, J), list of str
        Mean scores, without faces that lack one; error covariances by face; questions.

    Raises
    ------
    DataError
        If columns or values are missing, or the error of a question is not known.
    """
    if not isinstance(scores, pd.DataFrame):
        raise DataError(
            "scores are no table",
            hint="give a DataFrame with the columns stimulus, question, score and, if people "
            "scored, annotator",
        )
    judged = "annotator" in scores
    ids = ["stimulus", "question", *(["annotator"] if judged else [])]
    rows = check_frame(scores, {"score": number_column()}, file="scores", text=ids)
    check_groups(rows["question"], file="scores")
    check_missing_code(rows["score"], file="scores")
    for name in ids:
        rows[name] = rows[name].astype("str")
    if not judged:
        rows = rows.assign(annotator="the classifier")
    faces, left = without_judges_levels(rows, FACE)
    wide = faces.pivot(index="stimulus", columns="question", values="mean").dropna()
    questions = [str(one) for one in wide.columns]
    given = _given_errors(score_error, questions)
    return wide, _error_covariances(left, wide.index, questions, given), questions


def _given_errors(given: object, questions: list[str]) -> dict[str, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return dict.fromkeys(questions, number_in(given, "score_error", -1e-300))
    for key in given:
        if str(key) not in questions:
            raise DataError(
                f"score_error of {key!r}, of which there are no scores",
                hint=f"give it by question ({', '.join(questions)})",
            )
    return {str(key): number_in(one, "score_error", -1e-300) for key, one in given.items()}


def _error_covariances(
    left: pd.DataFrame, faces: pd.Index, questions: list[str], given: Mapping[str, float]
) -> dict[str, FloatArray]:
    """Covariance (J, J) of the errors of each face's mean scores."""
    j = len(questions)
    wide = left.pivot_table("left", ["stimulus", "annotator"], "question")[questions]
    by_question = left.groupby("question")
    count = by_question.size()[questions].to_numpy(float)
    fitted = by_question[["stimulus", "annotator"]].nunique().sum(axis=1)[questions] - 1
    spare = count - fitted.to_numpy(float)
    for at, one in enumerate(questions):
        if spare[at] < LEAST_DF and one not in given:
            raise DataError(
                f"the error of scores of {one!r} is not known: there are not enough faces with "
                "several scores",
                hint=f'give its standard deviation, score_error={{"{one}": 2.5}}, or 0 where '
                "scores are exact",
                file="scores",
                column="annotator",
            )
    values = wide.to_numpy(float)
    known = ~np.isnan(values)
    both = known[:, :, None] & known[:, None, :]
    filled = np.where(known, values, 0.0)
    products = np.einsum("ij,ik->jk", filled, filled)
    inflation = np.sqrt(count / np.maximum(spare, 1.0))
    single = products / np.maximum(both.sum(axis=0), 1) * np.outer(inflation, inflation)
    code = faces.get_indexer(wide.index.get_level_values("stimulus"))
    shared = np.zeros((len(faces), j, j))
    np.add.at(shared, code[code >= 0], both[code >= 0].astype(float))
    own = np.einsum("fjj->fj", shared)
    covariance = single * shared / (own[:, :, None] * own[:, None, :])
    for at, one in enumerate(questions):
        if one in given:
            covariance[:, at, :] = covariance[:, :, at] = 0.0
            covariance[:, at, at] = given[one] ** 2
    return dict(zip(map(str, faces), covariance, strict=True))


def changes_of(
    pairs: pd.DataFrame,
    moved: Sequence[str],
    faces: pd.DataFrame,
    errors: Mapping[str, FloatArray],
) -> Changes:
    """Estimate the change of each pair: shrunken towards what is usual, by its own error.

    True changes are normal, about zero; with `moved`, about the mean of the pairs that are alike in
    these columns, with one covariance. Means and covariances are those of the scores, less the
    error. A face beside itself has changed by exactly zero.

    Parameters
    ----------
    pairs : DataFrame
        Columns `stimulus_a`, `stimulus_b`, and those of `moved`.
    moved : sequence of str
    faces, errors
        From `read_scores`.
    """
    a, b = (faces.index.get_indexer(pd.Index(pairs[name])) for name in PAIR)
    itself = (pairs[PAIR[0]] == pairs[PAIR[1]]).to_numpy(bool)
    rows = np.flatnonzero((a >= 0) & (b >= 0) | itself)
    again = itself[rows]
    if again.all():
        raise DataError(
            "no pair of two faces has scores of both for every question",
            hint="write faces alike in both tables, as `stimulus` and as `stimulus_a`, "
            "`stimulus_b`",
            file="scores",
            column="stimulus",
        )
    values = faces.to_numpy(float)
    each = np.stack([errors[str(one)] for one in faces.index])
    seen = np.where(again[:, None], 0.0, values[a[rows]] - values[b[rows]])
    error = np.where(again[:, None, None], 0.0, each[a[rows]] + each[b[rows]])
    cell = _cells(pairs.iloc[rows], moved)
    questions, unmoved, reliability = _moved_questions(
        seen[~again], error[~again], [str(one) for one in faces.columns]
    )
    kept = [at for at, one in enumerate(faces.columns) if str(one) in questions]
    seen, error = seen[:, kept], error[:, kept][:, :, kept]
    mean, covariance, loading = np.zeros_like(seen), np.zeros_like(error), np.zeros_like(error)
    mean[~again], covariance[~again], loading[~again] = _shrunken(
        seen[~again], error[~again], cell[~again], several=bool(moved)
    )
    cell = np.where(again | (not moved), -1, cell)
    return Changes(mean, covariance, loading, cell, rows, questions, unmoved, reliability, seen)


def _tolerances(square: FloatArray) -> FloatArray:
    """Share of each attribute's mean square that a regression on the others leaves."""
    found = np.empty(len(square))
    for at in range(len(square)):
        rest = np.delete(np.arange(len(square)), at)
        own = square[at, rest]
        solved = np.linalg.pinv(square[np.ix_(rest, rest)], hermitian=True) @ own
        found[at] = max(0.0, 1 - own @ solved / square[at, at])
    return found


def _cells(pairs: pd.DataFrame, moved: Sequence[str]) -> np.ndarray:
    """Number of each pair's cell: what was manipulated in it."""
    if not moved:
        return np.zeros(len(pairs), int)
    return pairs.groupby(list(moved), dropna=False, observed=True).ngroup().to_numpy()


def _moved_questions(
    seen: FloatArray, error: FloatArray, questions: list[str]
) -> tuple[list[str], list[str], FloatArray]:
    """Questions whose mean square exceeds that of the error by more than chance; the others."""
    squares = seen**2
    by_error = np.einsum("njj->nj", error).mean(axis=0)
    mean = squares.mean(axis=0)
    standard = squares.std(axis=0) / np.sqrt(len(seen))
    exceeds = (mean - by_error > DOUBT * standard) & (mean > 0)
    if not exceeds.any():
        raise DataError(
            "no attribute changed between the faces of pairs, as far as the scores tell",
            hint="give scores with less error, or pairs that differ more",
            file="scores",
            column="score",
        )
    known = [one for one, yes in zip(questions, exceeds, strict=True) if yes]
    others = [one for one, yes in zip(questions, exceeds, strict=True) if not yes]
    return known, others, (1 - by_error / np.where(mean > 0, mean, 1.0))[exceeds]


def _shrunken(
    seen: FloatArray, error: FloatArray, cell: np.ndarray, *, several: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and covariance of changes given what was seen, and the loading of their cells' means.

    What was seen is ``N(d, error)``, a true change ``N(centre, T)``, and the centre of a cell
    ``N(0, between)``; zero if there is one cell alone. All by moments.
    """
    j = seen.shape[1]
    codes, cell = np.unique(cell, return_inverse=True)
    centre = np.stack([seen[cell == one].mean(axis=0) for one in range(len(codes))]) * several
    left = seen - centre[cell]
    pooled = left.T @ left / max(len(seen) - several * len(codes), 1)
    rows_of = [np.flatnonzero(cell == one) for one in range(len(codes))]
    # One covariance for all cells: cells' own, from few seeds, are made positive so often that
    # changes come out too large on average.
    true = _positive(pooled - error.mean(axis=0))
    of_centre = [pooled / len(rows) for rows in rows_of]
    between = _positive((centre.T @ centre - sum(of_centre)) / len(codes))
    mean, covariance = np.empty_like(seen), np.empty_like(error)
    loading = np.zeros_like(error)
    for at, rows in enumerate(rows_of):
        gain = true @ np.linalg.pinv(true + error[rows], hermitian=True)
        covariance[rows] = true - gain @ true
        middle = np.zeros(j)
        if several:
            kept = between @ np.linalg.pinv(between + of_centre[at], hermitian=True)
            middle = kept @ centre[at]
            values, vectors = np.linalg.eigh(_positive(between - kept @ between))
            loading[rows] = (np.eye(j) - gain) @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        mean[rows] = middle + np.einsum("njk,nk->nj", gain, seen[rows] - middle)
    exact = np.einsum("njj->n", error) == 0
    mean[exact], covariance[exact], loading[exact] = seen[exact], 0.0, 0.0
    return mean, (covariance + np.swapaxes(covariance, 1, 2)) / 2, loading


def _positive(matrix: FloatArray) -> FloatArray:
    """The nearest positive semi-definite matrix: negative eigenvalues are set to zero."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
