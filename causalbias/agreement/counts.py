"""Judgements of one question as counts of items by categories."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
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
    """

    target: str
    items: np.ndarray
    annotators: np.ndarray
    item: np.ndarray
    annotator: np.ndarray
    score: np.ndarray
    values: np.ndarray

    def counts(self) -> np.ndarray:
        """Number of times that each item got each score, (item, category)."""
        shape = (len(self.items), len(self.values))
        flat = np.ravel_multi_index((self.item, self.score), shape)
        return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def ratings_of(study: xr.DataTree, question: str) -> Ratings:
    """The answers to one question of a study, asked of pairs or of single stimuli.

    Raises
    ------
    DataError
        If nobody was asked it, it was not asked of pairs or stimuli, its scores are not whole
        numbers, or the study does not say who answered.
    """
    if "human" not in study.children:
        raise DataError("the study has no judgements", mend="load or simulate some")
    human = group_of(study, "human")
    asked = (human["question"] == question).values
    if not asked.any():
        known = ", ".join(map(str, group_of(study, "questions")["question"].values))
        raise DataError(f"no answer to question {question!r}", mend=f"ask for one of {known}")
    if "annotator" not in human.variables:
        raise DataError("the judgements do not say who gave them", mend="add column annotator")
    here = {
        name: human[name].values[asked] for name in ("pair", "stimulus") if name in human.variables
    }
    target = next((name for name, values in here.items() if (values != "").all()), None)
    if target is None:
        raise DataError(
            f"question {question!r} was not asked of pairs or of stimuli",
            mend="give the judgements a column pair or stimulus",
        )
    score = human["score"].values[asked]
    if (score != np.round(score)).any():
        raise DataError(
            f"scores of {question!r} are not whole numbers ({score[score != np.round(score)][0]})",
            mend="agreement on scores needs categories",
        )
    scale = group_of(study, "questions").sel(question=question)
    values = np.arange(float(scale["low"]), float(scale["high"]) + 1)
    item, items = pd.factorize(here[target])
    annotator, annotators = pd.factorize(human["annotator"].values[asked])
    order = np.argsort(item, kind="stable")
    return Ratings(
        target=target,
        items=np.asarray(items),
        annotators=np.asarray(annotators),
        item=item[order],
        annotator=annotator[order],
        score=(score[order] - values[0]).astype(int),
        values=values,
    )
