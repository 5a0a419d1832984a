"""Cells that say yes or no: old or new, same or different."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalbias.datasets.answers import Answers
from causalbias.datasets.scores.names import REVERSED
from causalbias.datasets.scores.values import is_reversed
from causalbias.errors import DataError

YES = frozenset({"true", "1", "yes", "y", "old", "same", "target", "signal", "match", "studied"})
NO = frozenset(
    {"false", "0", "no", "n", "new", "different", "lure", "noise", "mismatch", "unstudied"}
)
# Words of a column's name that say that it is true of new faces, or of different ones.
NEW = (NO - {"false", "0", "no", "n"}) | REVERSED | {"foil", "distractor", "unseen", "novel"}


def said_yes(
    values: pd.Series,
    answers: Answers,
    ours: str,
    *,
    among: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Whether each cell says old, same or yes.

    Parameters
    ----------
    values : Series
        A column of ``answers.frame``.
    answers : Answers
        Names the user's file, column and row in errors.
    ours : str
        Our name of the column.
    among : ndarray of bool, optional
        The rows that are read; False is returned of the others.

    Raises
    ------
    DataError
        If a cell says neither, or yes may mean no by the column's name.
    """
    read = np.ones(len(values), bool) if among is None else among
    plain = values.astype(str).str.strip().str.lower().str.removesuffix(".0")
    odd = read & ~plain.isin(YES | NO).to_numpy()
    if odd.any():
        raise answers.at_first(
            odd,
            f"{values[odd].iloc[0]!r} says neither yes nor no",
            hint="write true or false, 1 or 0, old or new, same or different",
            ours=ours,
        )
    if is_reversed(answers.columns[ours], plain[read], answers.name, NEW):
        raise DataError(
            "by its name the column may be true of new faces, or different ones",
            hint="write old and new, or same and different, in its cells; or name it for what is "
            "true of old or same ones, such as is_old",
            file=answers.name,
            column=answers.columns[ours],
        )
    return read & plain.isin(YES).to_numpy()
