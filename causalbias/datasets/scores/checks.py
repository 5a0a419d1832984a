"""What makes rates wrong without a sign: ids and groups spelled in two ways, codes for failures."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from causalbias.errors import DataError, at_first
from causalbias.study.columns import ALIKE, FAR, both_shown, groups_alike, looks, missing_code

WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")
MOST = 2  # of cosine distances, and of Euclidean ones between vectors of length 1


def without_point(values: Iterable[object]) -> dict[object, object]:
    """Whole numbers without the ".0" that a missing cell beside them leaves; {} for other texts.

    Examples
    --------
    >>> without_point(["12.0", "7"]), without_point(["12.0", "1.5"]), without_point(["012.0"])
    ({'12.0': '12', '7': '7'}, {}, {})
    """
    texts = [str(one) for one in values]
    if not any("." in one for one in texts):
        return {}
    found = {one: WHOLE.fullmatch(one) for one in texts}
    return {one: of[1] for one, of in found.items() if of} if all(found.values()) else {}


def with_one_spelling(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Both sides of each name with whole numbers written alike ("12", and not "12.0")."""
    for name in names:
        sides = [f"{name}_a", f"{name}_b"]
        if new := without_point(_values(frame, name)):
            frame = frame.assign(**{side: frame[side].map(new) for side in sides})
    return frame


def _values(frame: pd.DataFrame, name: str) -> list[str]:
    """Distinct values of both sides."""
    sides = [frame[f"{name}_{side}"].dropna().unique() for side in "ab"]
    return list(dict.fromkeys(map(str, np.concatenate(sides))))


def check_groups(frame: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse two groups of both sides that look like one: pairs of them would be in no rate."""
    for name in by:
        if (found := groups_alike(_values(frame, name))) is not None:
            other, one = found
            problem = f"{both_shown(other, one)} look like one"
            raise _at(frame, name, one, problem, ALIKE)


def check_looks(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Refuse ids of both sides that differ and look the same, as by how a letter is composed."""
    for name in names:
        seen: dict[str, str] = {}
        for one in _values(frame, name):
            other = seen.setdefault(looks(one), one)
            if other != one:
                problem = f"ids {both_shown(one, other)} look the same and are two"
                raise _at(frame, name, one, problem, "write them alike")


def check_ids(frame: pd.DataFrame, name: str) -> None:
    """Refuse ids that are one but for capitals or lost zeros, where equal ids are one person.

    Zeros are lost where each of two ids is of one side only: ``007`` and ``7`` may be two ids.
    """
    values = _values(frame, name)
    sides = [set(frame[f"{name}_{side}"].dropna()) for side in "ab"]
    seen: dict[str, str] = {}
    for one in values:
        other = seen.setdefault(one.casefold(), one)
        if other != one:
            problem = f"ids {one!r} and {other!r} differ in capitals only"
            hint = "write them alike, or name a column that says which pairs show one person: same="
            raise _at(frame, name, one, problem, hint)
    first, second = sides[0] - sides[1], sides[1] - sides[0]
    lost = zeros_lost(first, second)
    if lost:
        raise _at(
            frame,
            name,
            lost[0],
            f"id {lost[0]!r} of the one side is {lost[1]!r} on the other, as where zeros were lost",
            "write ids alike, as text",
        )


def check_same(frame: pd.DataFrame, column: str) -> None:
    """Refuse a pair of one person that is said to show two, or of two persons said to be one."""
    known = frame[["person_a", "person_b", "same"]].notna().all(axis=1)
    equal = frame["person_a"] == frame["person_b"]
    wrong = (known & (frame["same"].fillna(False).astype(bool) != equal)).to_numpy(bool)
    if wrong.any():
        place = frame.iloc[int(wrong.argmax())]
        one, other = place["person_a"], place["person_b"]
        said = "one person" if place["same"] else "two persons"
        raise at_first(
            wrong,
            f"the pair is said to show {said}, and its persons are {one!r} and {other!r}",
            hint="correct the column or the ids of persons, or leave one of them out",
            file=str(place["file"]),
            column=column,
            places=frame["row"].to_numpy() - 1,
        )


def zeros_lost(first: Iterable[str], second: Iterable[str]) -> tuple[str, str] | None:
    """An id of each of two sets that are equal but for zeros at their start; None without."""
    others = {one.lstrip("0"): one for one in second if one.isdigit()}
    return next(
        (
            (one, others[one.lstrip("0")])
            for one in sorted(first)
            if one.isdigit() and others.get(one.lstrip("0"), one) != one
        ),
        None,
    )


def _at(frame: pd.DataFrame, name: str, value: str, problem: str, hint: str) -> DataError:
    """The error of the first row with a value on either side."""
    rows = (frame[f"{name}_a"] == value) | (frame[f"{name}_b"] == value)
    place = frame.iloc[int(rows.to_numpy(bool).argmax())]
    column = "ids" if name in ("image", "person", "id") else name
    return DataError(
        problem, hint=hint, file=str(place["file"]), column=column, row=int(place["row"])
    )


def check_unit(threshold: float, values: np.ndarray, of: str) -> None:
    """Refuse a threshold of another unit than scores or distances, such as 60 (%) of 0.1 to 0.9.

    All pairs would be on one side of it. A threshold below all distances is no sign of another
    unit, as in a sweep from 0; one is that is among them when it is read as a share.

    Examples
    --------
    >>> check_unit(60, np.array([0.1, 0.9]), "system 'net'")
    Traceback (most recent call last):
    causalbias.errors.DataError: the threshold 60 of system 'net' is far from all of its numbers, \
0.1 to 0.9. Hint: give it in their unit, such as 0.6 rather than 60 (%).
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return
    low, high = float(known.min()), float(known.max())
    share = high > MOST and low <= 100 * threshold <= high  # of numbers in percent
    if threshold > FAR * high > 0 or (share and 0 < FAR * threshold < low):
        raise DataError(
            f"the threshold {threshold:g} of {of} is far from all of its numbers, {low:.4g} to "
            f"{high:.4g}",
            hint="give it in their unit, such as "
            + (
                f"{100 * threshold:g} rather than {threshold:g}; a sweep may begin at {low:.4g}"
                if share
                else "0.6 rather than 60 (%)"
            ),
        )


def check_codes(frame: pd.DataFrame) -> None:
    """Refuse a score that stands for a failure, which would be a pair that does not match.

    That is a whole number below 0 where all other scores are 0 or more, as -1; or a code far beyond
    all others, as 77, 88 or 999.
    """
    for system, part in frame.groupby("system", sort=False):
        values = np.unique(part["score"].dropna())
        low = values[values < 0]
        code = missing_code(values)
        if len(low) == 1 and low[0] == np.round(low[0]) and values[-1] > 0:
            code = float(low[0])
        if code is None:
            continue
        others = np.abs(values[values != code]).max()
        turned = f"add {-code:g} to all" if code < 0 else f"write {FAR * max(others, 1):.3g} for it"
        rows = (part["score"] == code).to_numpy()
        place = part.iloc[int(rows.argmax())]
        raise at_first(
            rows,
            f"{code:g} is far from all other scores of {system}, as a code for a failure is",
            hint=f"leave the cell empty where there is no score; if it is a score, {turned}",
            file=str(place["file"]),
            column=str(place["column"]),
            places=part["row"].to_numpy() - 1,
        )


def several_groups(frame: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Sentences on persons that are of several groups in different rows."""
    sentences = []
    for name in by:
        both = [
            frame[[f"person_{side}", f"{name}_{side}"]].set_axis(["person", "group"], axis=1)
            for side in "ab"
        ]
        known = pd.concat([one.drop_duplicates() for one in both]).dropna().drop_duplicates()
        twice = known["person"].duplicated()
        if twice.any():
            who = known.loc[twice, "person"]
            groups = known.loc[known["person"] == who.iloc[0], "group"]
            sentences.append(
                f"{who.nunique():,} of {known['person'].nunique():,} persons are of several groups "
                f"of {name}, such as {who.iloc[0]!r} ({', '.join(groups)}): each comparison of two "
                "persons counts for the groups in its row."
            )
    return sentences


def check_agree(frame: pd.DataFrame, name: str, given: Mapping[str, pd.Series], file: str) -> None:
    """Refuse groups of the subjects' table that are not those of the scores."""
    for side, values in given.items():
        there = frame[f"{name}_{side}"]
        wrong = (there.notna() & values.notna() & (there != values)).to_numpy(bool)
        if wrong.any():
            place = frame.iloc[int(wrong.argmax())]
            raise at_first(
                wrong,
                f"{place[f'{name}_{side}']!r} is {values.iloc[int(wrong.argmax())]!r} in {file}",
                hint="correct one, or leave the column out of one table",
                file=str(place["file"]),
                column=name,
                places=frame["row"].to_numpy() - 1,
            )
