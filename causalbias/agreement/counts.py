"""Judgements of one question as counts of items by categories.

One annotator is one vote. A second answer of the same annotator to the same item tells how reliable
that annotator is, and nothing of whether others agree (ICC(k) of raters who agree with nobody would
rise with every repeat); so agreement and consensus take each annotator's first answer to an item,
and `retest` compares the later ones with it.
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
    """Answers to one question, in the order of their items.

    Attributes
    ----------
    target : str
        "pair" or "stimulus": what was judged.
    items, annotators : ndarray of str
    item, annotator : ndarray of int (judgement,)
        Positions in `items` and `annotators`; `item` rises.
    score : ndarray of int (judgement,)
        Position in `values`.
    values : ndarray of float (category,)
        The scores of the scale, rising.
    repeats : int
        Further answers of an annotator to an item, which are not among these.
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
        """Number of times that each item got each score, (item, category)."""
        shape = (len(self.items), len(self.values))
        flat = np.ravel_multi_index((self.item, self.score), shape)
        return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def first_answers(answers: pd.DataFrame) -> pd.DataFrame:
    """Each annotator's first answer to an item and question: that of the lowest `trial`.

    Parameters
    ----------
    answers : DataFrame
        One row a judgement: `annotator`, and those of `question`, `pair`, `stimulus` that there
        are. Without `trial` the rows are in the order of the answers. Without `annotator` nobody
        is known to have answered twice. `trial` is numbers, or a categorical, whose levels are in
        the order of the trials.

    Returns
    -------
    DataFrame
        Rows of `answers`, in their order.

    Raises
    ------
    DataError
        If some trials are missing, or are texts that are no numbers, whose order nobody knows.

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
    """How many answers each annotator gave to the same item and question before (judgement,)."""
    keys = [key for key in ("annotator", "question", "pair", "stimulus") if key in answers]
    frame = answers[keys].reset_index(drop=True)
    if "trial" in answers and answers["trial"].notna().any():
        order = pd.Series(_order_of_trials(answers["trial"]))
        frame = frame.loc[order.sort_values(kind="stable").index]
    times = frame.groupby(keys, dropna=False, observed=True, sort=False).cumcount()
    return times.sort_index().to_numpy()


def _order_of_trials(trial: pd.Series) -> np.ndarray:
    """Numbers that rise with the trials (judgement,)."""
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
            "the trial is missing, where others are known" if missing[at] else text,
            hint="number the trials 1, 2, ..., or give a categorical with its levels in order",
            file="judgements",
            column="trial",
            row=(int(trial.index[at]) if whole else at) + 1,
        )
    return order


def ratings_of(study: xr.DataTree, question: str) -> Ratings:
    """The answers to one question of a study, asked of pairs or of single stimuli.

    Of several answers of an annotator to an item, the first (see `first_answers`).

    Raises
    ------
    DataError
        If nobody was asked it, it was not asked of pairs or stimuli, its scores or the ends of its
        scale are not whole numbers, or the study does not say who answered.
    """
    target, answers = answers_of(study, question)
    first = first_answers(answers)
    scale = group_of(study, "questions").sel(question=question)
    low, high = float(scale["low"]), float(scale["high"])
    if not (low.is_integer() and high.is_integer()):
        raise DataError(
            f"question {question!r} has the scale {low:g} to {high:g}, and agreement on scores "
            "needs categories",
            hint="give the lowest and the highest whole number that may be answered as its scale",
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
    """What was judged ("pair" or "stimulus"), and all answers: item, annotator, score, trial.

    Raises
    ------
    DataError
        As `ratings_of`.
    """
    if "human" not in study.children:
        raise DataError("the study has no judgements", hint="load or simulate some")
    human = group_of(study, "human")
    asked = (human["question"] == question).values
    if not asked.any():
        known = ", ".join(map(str, group_of(study, "questions")["question"].values))
        raise DataError(f"no answer to question {question!r}", hint=f"ask for one of {known}")
    if "annotator" not in human.variables:
        raise DataError("the judgements do not say who gave them", hint="add column annotator")
    # By to_frame, in which levels have their order, and missing cells are missing.
    answers = to_frame(study, "human")
    answers = answers[answers["question"] == question]
    target = next(
        (name for name in ("pair", "stimulus") if name in answers and answers[name].notna().all()),
        None,
    )
    if target is None:
        raise DataError(
            f"question {question!r} was not asked of pairs or of stimuli",
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
