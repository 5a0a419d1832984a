"""Faces from file names, and the pairs that a design compares."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.study.build import pairs_group
from causalbias.study.columns import labels
from causalbias.study.frames import to_frame
from causalbias.study.tables import check_columns
from causalbias.study.tree import Study, as_study, factors_of

FIELD = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


def stimuli_from_names(names: Iterable[str], pattern: str) -> pd.DataFrame:
    """Read the factors of faces from their names.

    Parameters
    ----------
    names : iterable of str
        Names of stimuli, as `embed` gives them: paths without their file endings.
    pattern : str
        Names of factors in braces, with the text between them as it stands in the names, e.g.
        ``"{seed}_{attribute}_{level}"``. The value of a factor contains neither ``/`` nor the text
        that follows it in the pattern.

    Returns
    -------
    DataFrame
        `stimulus` and one column per factor, which is numeric if all of its values are whole
        numbers without leading zeros, and text otherwise; `seed` is always text.

    Raises
    ------
    DataError
        If the pattern has no factors or a factor twice, or a name does not match the pattern.

    Examples
    --------
    >>> stimuli_from_names(["1320_age_0", "1320_age_1"], "{seed}_{attribute}_{level}")
         stimulus  seed attribute  level
    0  1320_age_0  1320       age      0
    1  1320_age_1  1320       age      1
    """
    names = list(map(str, names))
    read = fields_of(names, pattern)
    fields = list(map(str, read))
    unmatched = read.isna().any(axis=1).to_numpy(bool)
    if unmatched.any():
        raise DataError(
            f"{names[int(unmatched.argmax())]!r} does not match the pattern {pattern}",
            hint="rename the image, or correct the pattern",
        )
    frame = pd.DataFrame({"stimulus": names} | {name: read[name] for name in fields})
    for field in fields:
        if field != "seed" and frame[field].str.fullmatch(r"0|[1-9][0-9]{0,14}").all():
            frame[field] = frame[field].astype(np.int64)
    return frame


def fields_of(names: Iterable[str], pattern: str) -> pd.DataFrame:
    """Read the fields of a pattern from names; a row of missing values where a name does not fit.

    Parameters
    ----------
    names : iterable of str
    pattern : str
        Fields in braces, with the text between them as it stands in the names. A value contains
        neither ``/`` nor any of these texts, so that a name can be read in one way only: of
        ``"{person}_{n}"``, ``"anna_b_1"`` does not fit.

    Returns
    -------
    DataFrame
        One row per name and one column of text per field.

    Raises
    ------
    DataError
        If the pattern has no fields, a field twice, or two fields with nothing between them.

    Examples
    --------
    >>> fields_of(["ann_1", "ann_b_1"], "{person}_{n}").values.tolist()
    [['ann', '1'], [nan, nan]]
    """
    fields = FIELD.findall(pattern)
    if not fields or len(set(fields)) < len(fields):
        raise DataError(
            f"the pattern {pattern!r} has no factor or a factor twice",
            hint="write each factor once in braces, e.g. '{seed}_{attribute}_{level}'",
        )
    between = FIELD.split(pattern)[::2]
    if "" in between[1:-1]:
        at = between[1:-1].index("")
        raise DataError(
            f"the pattern {pattern!r} has nothing between {{{fields[at]}}} and {{{fields[at + 1]}}}"
            ", so that names can be read in several ways",
            hint="write the text that stands between them, or make one field of both",
        )
    parts = [re.escape(between[0])]
    stop = "".join(rf"(?!{re.escape(text)})" for text in sorted(set(between[1:]) - {""}))
    for field, after in zip(fields, between[1:], strict=True):
        parts.append(rf"(?P<{field}>(?:{stop}[^/])+){re.escape(after)}")
    fits = re.compile("".join(parts))
    found = [fits.fullmatch(str(name)) for name in names]
    rows = [{} if one is None else one.groupdict() for one in found]
    return pd.DataFrame(rows, columns=fields, dtype="str")


def pairs_within(faces: pd.DataFrame, groups: Sequence[Sequence[str]]) -> pd.DataFrame:
    """All pairs of faces that share certain factors.

    Parameters
    ----------
    faces : DataFrame
        `stimulus` and the factors. The first member of a pair is the face whose row comes first.
    groups : sequence of sequences of factors
        Each element lists the factors that the members of a pair share: with
        ``[["seed", "attribute"], ["attribute", "level"]]``, pairs that share seed and attribute,
        and pairs that share attribute and level. A pair that meets two of these conditions is
        returned once.

    Returns
    -------
    DataFrame
        `pair`, `stimulus_a`, `stimulus_b`.

    Raises
    ------
    DataError
        If a factor is not a column of `faces`, or no two faces share the factors.
    """
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for by in groups:
        check_columns(faces, by, file="stimuli")
        for rows in faces.groupby(list(by)).indices.values():
            a, b = np.triu_indices(np.size(rows), k=1)
            first.append(np.asarray(rows)[a])
            second.append(np.asarray(rows)[b])
    if not sum(len(rows) for rows in first):
        raise DataError(
            f"no two faces share {' or '.join('+'.join(by) for by in groups)}",
            hint="name fewer factors",
        )
    stimulus = labels(faces["stimulus"], file="stimuli").astype("str").reset_index(drop=True)
    sides = [stimulus.iloc[np.concatenate(rows)].reset_index(drop=True) for rows in (first, second)]
    frame = pd.DataFrame(
        {"pair": sides[0] + "~" + sides[1], "stimulus_a": sides[0], "stimulus_b": sides[1]}
    )
    return frame.drop_duplicates(["stimulus_a", "stimulus_b"], ignore_index=True)


def with_pairs(study: xr.DataTree, groups: Sequence[Sequence[str]]) -> Study:
    """Add the group ``/pairs`` to a study: all pairs of faces that share certain factors.

    Parameters
    ----------
    study : DataTree
        A study with ``/stimuli`` and without pairs, distances and judgements of pairs.
    groups : sequence of sequences of factors
        As in `pairs_within`.

    Raises
    ------
    DataError
        If the study has no faces, has pairs already, or a factor is unknown.

    Examples
    --------
    >>> import causalbias as cb
    >>> faces = cb.datasets.stimuli_from_names(["1_0", "1_1", "2_0", "2_1"], "{seed}_{level}")
    >>> study = cb.make_study(factors=["seed", "level"], stimuli=faces)
    >>> cb.with_pairs(study, [["seed"], ["level"]])
    <causalbias.Study 'study'>
      factors    seed (2) x level (2); identity: seed
      stimuli    4 of 4 cells present
      pairs      4: 2 genuine, 2 impostor
      excluded   nothing
    """
    if "stimuli" not in study.children or "pairs" in study.children:
        raise DataError(
            f"the study has the groups {', '.join(study.children)}",
            hint="give a study with faces and no pairs",
        )
    faces = to_frame(study, "stimuli")
    factors = factors_of(study)
    table = pairs_within(faces, groups)
    pairs, _ = pairs_group(table, faces, factors, str(study.attrs["identity"]), "pairs")
    new = as_study(study)
    new["pairs"] = xr.DataTree(pairs)
    return new
