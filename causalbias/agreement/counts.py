"""Counts of the answers to a question by item and category.

Agreement and consensus use each annotator's first answer to an item. Further answers of the same
annotator are informative about this annotator's reliability, but not about agreement between
annotators: with repeats, ICC(k) would increase even if annotators agreed with nobody else. `retest`
compares the later answers with the first.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, shown
from causalbias.study.frames import to_frame
from causalbias.study.tree import group_of


@dataclass(frozen=True)
class Ratings:
    """Answers to a question, sorted by item.

    Attributes
    ----------
    target : str
        "pair" or "stimulus": what was judged.
    items, annotators : ndarray of str
        Ids of the items and of the annotators.
    item, annotator : ndarray of int (judgement,)
        Positions in `items` and `annotators`; `item` is not decreasing.
    score : ndarray of int (judgement,)
        Position in `values`.
    values : ndarray of float (category,)
        The scores of the scale in increasing order.
    repeats : int
        Number of further answers of an annotator to an item, which are left out.
    """

    target: str
    items: np.ndarray
    annotators: np.ndarray
    item: np.ndarray
    annotator: np.ndarray
    score: np.ndarray
    values: np.ndarray
    repeats: int = 0

    def counts(self) -> np.ndarray:
        """Count how often each item got each score, (item, category)."""
        shape = (len(self.items), len(self.values))
        flat = np.ravel_multi_index((self.item, self.score), shape)
        return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def first_answers(answers: pd.DataFrame) -> pd.DataFrame:
    """Select each annotator's first answer to an item and question, by the lowest `trial`.

    Parameters
    ----------
    answers : DataFrame
        One row per judgement: `annotator`, and those of `question`, `pair`, `stimulus` that exist.
        `trial` is numeric, or a categorical whose levels are in the order of the trials; without
        it, the order of the rows is that of the answers. Without `annotator`, all answers are
        selected.

    Returns
    -------
    DataFrame
        Rows of `answers`, in their order.

    Raises
    ------
    DataError
        If some trials are missing, or are texts that are not numbers, whose order is unknown.

    Examples
    --------
    >>> twice = pd.DataFrame({"annotator": ["a", "a", "b"], "pair": "p", "trial": [2, 1, 1],
    ...                       "score": [4, 0, 3]})
    >>> first_answers(twice)["score"].tolist()
    [0, 3]
    """
    if "annotator" not in answers:
        return answers
    return answers[occasions(answers) == 0]


def occasions(answers: pd.DataFrame) -> np.ndarray:
    """Count earlier answers of the same annotator to the same item and question (judgement,)."""
    keys = [key for key in ("annotator", "question", "pair", "stimulus") if key in answers]
    frame = answers[keys].reset_index(drop=True)
    if "trial" in answers and answers["trial"].notna().any():
        order = pd.Series(_order_of_trials(answers["trial"]))
        frame = frame.loc[order.sort_values(kind="stable").index]
    times = frame.groupby(keys, dropna=False, observed=True, sort=False).cumcount()
    return times.sort_index().to_numpy()


def _order_of_trials(trial: pd.Series) -> np.ndarray:
    """Convert trials to numbers in the same order (judgement,)."""
    levels = isinstance(trial.dtype, pd.CategoricalDtype)
    number = trial.cat.codes if levels else pd.to_numeric(trial, errors="coerce")
    order = number.to_numpy(float, na_value=np.nan)
    missing = trial.isna().to_numpy(bool)
    unknown = missing | (np.isnan(order) & ~missing)
    if unknown.any():
        at = int(unknown.argmax())
        whole = pd.api.types.is_integer_dtype(trial.index.dtype)
        text = f"{shown(trial.iloc[at])} is neither a number nor a level of a categorical"
        raise DataError(
            "the trial is missing, although others are known" if missing[at] else text,
            hint="number the trials 1, 2, ..., or give a categorical with its levels in order",
            file="judgements",
            column="trial",
            row=(int(trial.index[at]) if whole else at) + 1,
        )
    return order


def ratings_of(study: xr.DataTree, question: str) -> Ratings:
    """Return the answers to a question about pairs or single stimuli.

    If an annotator answered several times about an item, the first answer is used (see
    `first_answers`).

    Raises
    ------
    DataError
        If the question has no answers or is not about pairs or stimuli, if its scores or the ends
        of its scale are not whole numbers, or if the study does not record the annotators.
    """
    target, answers = answers_of(study, question)
    first = first_answers(answers)
    scale = group_of(study, "questions").sel(question=question)
    low, high = float(scale["low"]), float(scale["high"])
    if not (low.is_integer() and high.is_integer()):
        raise DataError(
            f"question {question!r} has the scale {low:g} to {high:g}, but agreement on scores "
            "needs categories",
            hint="give the lowest and the highest possible whole number as its scale",
        )
    values = np.arange(low, high + 1)
    item, items = pd.factorize(first[target])
    annotator, annotators = pd.factorize(first["annotator"])
    order = np.argsort(item, kind="stable")
    return Ratings(
        target=target,
        items=np.asarray(items),
        annotators=np.asarray(annotators),
        item=item[order],
        annotator=annotator[order],
        score=(first["score"].to_numpy()[order] - values[0]).astype(int),
        values=values,
        repeats=len(answers) - len(first),
    )


def answers_of(study: xr.DataTree, question: str) -> tuple[str, pd.DataFrame]:
    """Return what was judged ("pair" or "stimulus"), and all answers with item and annotator.

    Raises
    ------
    DataError
        As in `ratings_of`.
    """
    if "human" not in study.children:
        raise DataError("the study has no judgements", hint="load or simulate some")
    human = group_of(study, "human")
    asked = (human["question"] == question).values
    if not asked.any():
        known = ", ".join(map(str, group_of(study, "questions")["question"].values))
        raise DataError(f"question {question!r} has no answers", hint=f"ask for one of {known}")
    if "annotator" not in human.variables:
        raise DataError("the judgements have no annotators", hint="add a column annotator")
    # to_frame keeps the order of levels and restores missing cells.
    answers = to_frame(study, "human")
    answers = answers[answers["question"] == question]
    target = next(
        (name for name in ("pair", "stimulus") if name in answers and answers[name].notna().all()),
        None,
    )
    if target is None:
        raise DataError(
            f"question {question!r} is not about pairs or stimuli",
            hint="give the judgements a column pair or stimulus",
        )
    score = answers["score"].to_numpy(float)
    if (score != np.round(score)).any():
        raise DataError(
            f"scores of {question!r} are not whole numbers ({score[score != np.round(score)][0]})",
            hint="agreement on scores needs categories",
        )
    kept = [target, "annotator", "score", *(["trial"] if "trial" in answers else [])]
    return target, answers[kept]
