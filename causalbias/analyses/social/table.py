"""Tables of similarities of images with prompts: what is checked, and the outcomes made of them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalbias.datasets.answers import Answers, answers_in
from causalbias.errors import DataError
from causalbias.study.build import exclusions
from causalbias.study.columns import by_levels

CONTRAST = "positive - negative"
NEUTRAL = "neutral"
VALENCES = ("positive", "negative", NEUTRAL)
ALL = "all prompts"
OURS = ("image", "prompt", "similarity", "seed", "valence", "dimension")


def similarities_in(
    data: pd.DataFrame | str | Path,
    columns: dict[str, str],
    similarity: str,
    groups: Sequence[str],
    doses: Sequence[str],
) -> Answers:
    """Read and check a table of similarities; groups are categoricals of the levels in use."""
    for name in (*groups, *doses):
        if not name.isidentifier() or name in OURS:
            raise DataError(
                f"an attribute is called {name!r}",
                hint=f"rename it: letters, digits and _, and none of {', '.join(OURS)}",
            )
    text = columns | {name: name for name in groups}
    answers = answers_in(data, text, {"similarity": similarity} | {name: name for name in doses})
    frame = answers.frame.copy()
    for name in groups:
        frame[name] = by_levels(frame[name])
    answers = replace(answers, frame=frame)
    _check(answers, [*groups, *doses])
    return answers


def _check(answers: Answers, attributes: Sequence[str]) -> None:
    frame, file = answers.frame, answers.name
    for name in attributes:
        if frame[name].nunique() < 2:
            raise DataError(
                f"all images have the {name} {frame[name].iloc[0]}",
                hint="name attributes that vary",
                file=file,
                column=name,
            )
    of_prompt = [one for one in ("valence", "dimension") if one in frame]
    for what, fixed in (("image", ["seed", *attributes]), ("prompt", of_prompt)):
        for name in fixed:
            codes = pd.Series(pd.factorize(frame[name])[0], index=frame.index)
            other = codes != codes.groupby(frame[what], observed=True).transform("first")
            if other.any():
                raise answers.at_first(
                    other,
                    f"{what} {frame[what][other].iloc[0]!r} has several values of {name}",
                    hint=f"give each {what} one",
                    ours=name,
                )
    twice = frame.duplicated(["image", "prompt"])
    if twice.any():
        first = frame[twice].iloc[0]
        raise answers.at_first(
            twice,
            f"image {first['image']!r} with prompt {first['prompt']!r} is there twice",
            hint="give one similarity of each image and prompt: one model, one table",
        )
    if frame["seed"].nunique() < 3:
        raise DataError(
            f"there are {frame['seed'].nunique()} seeds",
            hint="give three or more: intervals are over seeds",
            file=file,
            column=answers.columns["seed"],
        )
    if "valence" in frame:
        _check_valence(answers)


def _check_valence(answers: Answers) -> None:
    frame = answers.frame
    other = sorted(set(frame["valence"].astype(str)) - set(VALENCES))
    if other:
        raise DataError(
            f"a valence is {other[0]!r}",
            hint=f"write {', '.join(VALENCES)}",
            file=answers.name,
            column=answers.columns["valence"],
        )


def outcomes_of(answers: Answers) -> tuple[dict[str, pd.DataFrame], Answers]:
    """Rows of each model by the prompts that it is of, and what was left out."""
    frame = answers.frame
    if "valence" not in frame and "dimension" not in frame:
        return {ALL: frame}, answers
    parts: dict[str, pd.DataFrame] = {}
    notes = []
    labels = frame["dimension"].astype(str) if "dimension" in frame else pd.Series("", frame.index)
    valence = frame["valence"].astype(str) if "valence" in frame else pd.Series("", frame.index)
    neutral = valence == NEUTRAL
    for name, rows in frame[~neutral].groupby(labels[~neutral], sort=False):
        own = valence[rows.index]
        said = f"{name}: " if name else ""
        if own.nunique() < 2:
            parts[f"{said}{own.iloc[0]}".removesuffix(": ") or ALL] = rows
            continue
        whole = rows.groupby("image", observed=True)["prompt"].transform("size")
        complete = whole == rows["prompt"].nunique()
        if not complete.any():
            raise DataError(
                f"{said}no image has a similarity with each of the prompts",
                hint="give each image with each prompt",
                file=answers.name,
            )
        if not complete.all():
            count = rows.loc[~complete, "image"].nunique()
            notes.append(
                (answers.name, "images", f"{said}no similarity with each prompt", int(count))
            )
        parts[f"{said}{CONTRAST}"] = valence_rows(rows[complete], own[complete] == "positive")
    if neutral.any():
        parts[NEUTRAL] = frame[neutral]
    excluded = answers.excluded
    if notes:
        more = exclusions(notes)
        excluded = more if excluded.empty else pd.concat([excluded, more], ignore_index=True)
    return parts, replace(answers, excluded=excluded)


def valence_rows(rows: pd.DataFrame, positive: pd.Series) -> pd.DataFrame:
    """Rows of each image's contrast c, positive minus negative prompts.

    With P prompts, of which P+ are positive and P- negative, the row of a positive prompt is

    y = c + a (similarity - mean of the image's positive prompts),

    that of a negative one is c - a (similarity - mean of its negative prompts), and
    a^2 = (P - 1) / (P - 2) P (1 / P+ + 1 / P-). The mean of an image's rows is c, and the variance
    of the mean of P rows over prompts is that of a difference of means of P+ and P- prompts. With
    one prompt of each valence, an image has one row.

    Parameters
    ----------
    rows : DataFrame
        `image`, `prompt`, `similarity`; each image with each prompt.
    positive : Series of bool
        Which rows are of positive prompts; the others are of negative ones.

    Examples
    --------
    >>> rows = pd.DataFrame({"image": ["a"] * 3, "prompt": ["p", "q", "r"],
    ...                      "similarity": [0.3, 0.2, 0.1]})
    >>> valence_rows(rows, pd.Series([True, True, False]))["similarity"].mean().round(3)
    np.float64(0.15)
    """
    many = rows["prompt"].nunique()
    of_positive = rows.loc[positive, "prompt"].nunique()
    sign = np.where(positive, 1.0, -1.0)
    key = [rows["image"].astype(str), positive]
    mean = rows.groupby(key)["similarity"].transform("mean")
    contrast = (
        (sign * mean / positive.groupby(key).transform("size")).groupby(key[0]).transform("sum")
    )
    if many == 2:
        return rows.assign(similarity=contrast)[positive.to_numpy()].reset_index(drop=True)
    scale = np.sqrt((many - 1) / (many - 2) * many * (1 / of_positive + 1 / (many - of_positive)))
    values = contrast + scale * sign * (rows["similarity"] - mean)
    return rows.assign(similarity=values).reset_index(drop=True)


def absolute_changes(
    frame: pd.DataFrame, attributes: Sequence[str]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Sum and number, by seed, of absolute changes between images that differ in one attribute.

    Two images count if they are of one seed and one prompt, and differ in this attribute only;
    several images of the same attributes are averaged first.
    """
    seeds = np.unique(frame["seed"].astype(str))
    found = {}
    for name in attributes:
        fixed = ["seed", "prompt", *(one for one in attributes if one != name)]
        table = frame.pivot_table(
            index=fixed, columns=name, values="similarity", aggfunc="mean", observed=True
        )
        place = np.searchsorted(seeds, table.index.get_level_values("seed").astype(str))
        values = table.to_numpy(float)
        total, number = np.zeros(len(seeds)), np.zeros(len(seeds))
        for one, other in combinations(range(values.shape[1]), 2):
            change = np.abs(values[:, one] - values[:, other])
            known = np.isfinite(change)
            total += np.bincount(place[known], change[known], len(seeds))
            number += np.bincount(place[known], minlength=len(seeds))
        found[name] = (total, number)
    return found
