"""Several files of scores: whether they are of one system or of a system each, and of one unit."""

import itertools
from collections.abc import Mapping
from pathlib import PurePath

import numpy as np
import pandas as pd

from causalbias.errors import DataError

RECUR = 0.5  # share of a file's comparisons that are in all others, if each is of its own system
UNITS = 8  # times the scores of another file, which those of one system have in another unit only
IDS = ("image", "person", "id")
Taken = tuple[str, str, str]


def systems_of_files(
    frame: pd.DataFrame, named: Mapping[str, str], *, images: bool
) -> tuple[pd.DataFrame, list[Taken], list[str]]:
    """Take each file for a system of its own where the same comparisons are in all of them.

    Parameters
    ----------
    frame : DataFrame
        Rows of all files: `file`, `system`, `score` and ids of both sides.
    named : mapping of file to str
        The columns that say which systems compared; "" without.
    images : bool
        Whether ids are known to be of images.

    Returns
    -------
    frame : DataFrame
    taken : list of tuple
        What was taken for what, as in `Scores.taken`.
    remarks : list of str

    Raises
    ------
    DataError
        If some files say which systems compared and some do not, or if some comparisons recur and
        it is not clear whether the files are of one system.
    """
    with_name = [file for file, column in named.items() if column]
    without = [file for file, column in named.items() if not column]
    if with_name and without:
        raise DataError(
            f"{with_name[0]} says which systems compared (column {named[with_name[0]]}), and "
            f"{without[0]} does not",
            hint="add the column to all files, or read them one after the other",
            file=without[0],
        )
    if with_name or len(without) < 2:
        return frame, [], []
    rows = _comparisons(frame)
    each = rows.groupby(["pair", "file"], sort=False)["score"].agg(["size", "sum"]).reset_index()
    of_pair = each.groupby("pair")
    files = of_pair["file"].transform("size")
    again = each[files > 1]
    if again.empty:
        return frame, [], []
    alike = again.groupby("pair")["sum"].agg(lambda sums: np.ptp(sums.to_numpy()) == 0)
    if alike.all() and images:  # the same rows again, which are counted and left out
        return frame, [], []
    once = not rows.duplicated(["file", "first", "second"]).any()
    everywhere = files == len(named)
    same_size = of_pair["size"].transform("nunique") == 1
    shares = (everywhere if once else everywhere & same_size).groupby(each["file"]).mean()
    if not alike.all() and shares.min() >= (RECUR if once else 1):
        names = _names(list(named))
        remark = (
            f"The same comparisons are in each of the {len(named)} files, so that each file was "
            f"taken for a system of its own: {', '.join(names.values())}."
        )
        taken = [("system", "the name of the file", "the same comparisons are in each file")]
        return frame.assign(system=frame["file"].map(names)), taken, [remark]
    pair = again["pair"].iloc[0]
    one, other = again.loc[again["pair"] == pair, "file"].iloc[:2]
    scores = "with the same scores, " if alike.all() else ""
    raise DataError(
        f"{again['pair'].nunique():,} pairs of ids of {one} or others are {scores}also in {other} "
        "or others: it is not clear whether the files are of one system",
        hint="give each comparison once, and add a column 'system' to each file: one name in all "
        "files if they are of one system",
        file=str(other),
    )


def _comparisons(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with ids: `file`, `score`, the ids as numbers, and the pair whichever comes first."""
    sides = [
        frame[[f"{what}_{side}" for what in IDS if f"{what}_{side}" in frame]].set_axis(
            [what for what in IDS if f"{what}_{side}" in frame], axis=1
        )
        for side in "ab"
    ]
    known = (sides[0].notna() & sides[1].notna()).all(axis=1).to_numpy(bool)
    both = pd.concat([one[known] for one in sides])
    codes = both.groupby(list(both), sort=False).ngroup().to_numpy().reshape(2, -1)
    low, high = np.sort(codes, axis=0)
    rows = frame.loc[known, ["file", "score"]].reset_index(drop=True)
    return rows.assign(
        first=codes[0], second=codes[1], pair=low * (codes.max(initial=0) + 1) + high
    )


def _names(files: list[str]) -> dict[str, str]:
    """Names of files without ending, where these differ."""
    short = {one: str(PurePath(one).with_suffix("")) for one in files}
    return short if len(set(short.values())) == len(files) else {one: one for one in files}


def distinct_names(paths: list[PurePath]) -> list[str]:
    """The names of files; with the folder, or all of the path, where two have the same name.

    Examples
    --------
    >>> distinct_names([PurePath("a/scores.csv"), PurePath("b/scores.csv")])
    ['a/scores.csv', 'b/scores.csv']
    """
    for parts in (1, 2):
        names = ["/".join(one.parts[-parts:]) for one in paths]
        if len(set(names)) == len(names):
            return names
    return [str(one) for one in paths]


def check_units(frame: pd.DataFrame) -> None:
    """Refuse files of one system whose scores are in two units, such as 0 to 1 and 0 to 100.

    Genuine pairs are compared with genuine ones and impostors with impostors, as a file may have
    one kind only.
    """
    size = frame["score"].abs().groupby([frame["system"], frame["file"], frame["same_identity"]])
    sizes = size.quantile(0.9).unstack("same_identity")
    for system, own in sizes.groupby(level="system", sort=False):
        own = own.droplevel("system")
        for most, first in itertools.permutations(own.index, 2):
            factors = (own.loc[most] / own.loc[first]).dropna()
            if len(factors) and (factors >= UNITS).all():
                raise DataError(
                    f"scores of {system} in {most} are {factors.min():.3g} times those in {first}, "
                    "as those of another unit are",
                    hint="write all in one unit, such as 0.6 rather than 60 (%); or say in a "
                    "column 'system' that they are of two systems",
                    file=str(most),
                )
