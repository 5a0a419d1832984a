"""Who is compared: persons and their groups, from ids, a pattern or a table of subjects."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from causalbias.datasets.scores.checks import without_point
from causalbias.datasets.scores.names import GENDER, IMAGE, NEUTRAL, PERSON, RACE, factor_of, words
from causalbias.errors import DataError, at_first
from causalbias.study.columns import labels
from causalbias.study.pairs import fields_of
from causalbias.study.tables import check_spelling

MOST_NAMED = 10  # names that a sentence lists


def facts_of_names(
    names: pd.Series, pattern: str, group: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """What a pattern reads from ids: `person` and the groups, missing where an id does not fit.

    Parameters
    ----------
    names : Series
        Distinct ids.
    pattern : str
        As ``"{person}_{race}_{gender}_{n}"``, see `fields_of`.
    group : sequence of str
        Fields that are groups; those of usual names, if there are none.

    Returns
    -------
    facts : DataFrame
        Index: the id. Columns: `person` where the pattern has it, and the groups.
    unmatched : list of str
        Ids that do not fit the pattern.

    Raises
    ------
    DataError
        If no id fits, or a field that is a group is not in the pattern.
    """
    read = fields_of(names, pattern).set_index(pd.Index(names))
    unmatched = read.index[read.isna().all(axis=1)].tolist()
    if len(unmatched) == len(read):
        raise DataError(
            f"no id fits the pattern {pattern}; the first is {unmatched[0]!r}",
            hint="write the text between the fields as it stands in the ids; a value of a field "
            "holds none of these texts",
        )
    fields = [str(name) for name in read]
    person = [one for one in fields if set(words(one)) & (PERSON | {"seed"})]
    if len(person) > 1:
        raise DataError(f"{' and '.join(person)} may be the person", hint="name one field person")
    groups = [one for one in group if one in fields]
    if not group:
        usual = RACE | GENDER
        groups = [one for one in fields if set(words(one)) & usual and one not in person]
    facts = read[[*person, *groups]].rename(columns=dict.fromkeys(person, "person"))
    if person:
        _check_one_group(facts, groups)
    return facts, unmatched


def _check_one_group(facts: pd.DataFrame, groups: Sequence[str]) -> None:
    """Refuse a person whose ids are of several groups, who may be several persons."""
    several = facts.dropna().drop_duplicates()
    twice = several["person"].duplicated()
    if twice.any():
        who = several.loc[twice, "person"].iloc[0]
        of = several.loc[several["person"] == who, list(groups)].agg(" ".join, axis=1)
        raise DataError(
            f"by their ids, person {who!r} is of several groups ({', '.join(of)}; "
            f"{several.loc[twice, 'person'].nunique():,} such persons)",
            hint="correct the ids; where they are of persons already, call the field {id} rather "
            "than {person}; where numbers of persons begin again in each group, give persons ids "
            "of their own in a table (subjects=)",
        )


def facts_of_table(
    table: pd.DataFrame, ids: Mapping[str, pd.Series], group: Sequence[str], file: str
) -> tuple[str, pd.DataFrame, list[tuple[str, str, str]]]:
    """Persons and groups of a table of subjects or images, by the ids that the pairs have.

    Parameters
    ----------
    table : DataFrame
        One row a person, or an image.
    ids : mapping of "image" or "person" to Series
        Ids that the pairs have. The table's key is the column that holds most of them.
    group : sequence of str
        Columns that are groups; those of usual names, if there are none.
    file : str
        Named in errors.

    Returns
    -------
    key : str
        Of `ids`: which the table is by.
    facts : DataFrame
        Index: the id. Columns: `person` if the key is the image and the table names persons, and
        the groups.
    taken : list of (what, column, how)

    Raises
    ------
    DataError
        If no column holds ids of the pairs, a group is not there, or an id has two different rows.
    """
    names = [str(name) for name in table]
    text = {name: _written(labels(table[name], file=file).astype(object)) for name in names}
    usual = [name for name in names if set(words(name)) & (PERSON | IMAGE | NEUTRAL)]
    found = {
        (kind, name): len(set(text[name].dropna()) & set(known.dropna()))
        for kind, known in ids.items()
        for name in usual
    }
    (kind, key), most = max(found.items(), key=lambda one: one[1], default=(("", ""), 0))
    if not most:
        for kind, name in found:
            check_spelling(
                ids[kind].dropna(), text[name].dropna(), of="the scores", file=file, column=name
            )
        raise DataError(
            f"no column of ids holds an id of the scores; found {', '.join(names)}",
            hint="name the column of ids subject, person, image or id",
            file=file,
        )
    keys = [name for (of, name), count in found.items() if of == kind and 2 * count >= most]
    _check_alike(text, keys, f"the {kind}s' ids", file)
    person = [
        name for name in usual if kind == "image" and name != key and set(words(name)) & PERSON
    ]
    _check_alike(text, person, "the persons", file)
    groups = [_column_of(names, one, file) for one in group] if group else usual_groups(names, file)
    facts = pd.DataFrame({name: text[name] for name in [*person[:1], *groups]})
    facts = facts.rename(columns=dict.fromkeys(person[:1], "person"))
    facts = facts.rename(columns=dict(zip(groups, group or map(_factor, groups), strict=True)))
    facts.index = pd.Index(text[key])
    _check_once(facts, file, key)
    facts = facts[facts.index.notna()]
    facts = facts[~facts.index.duplicated()]
    taken = [(f"id of each row of {file}", key, "by name and values")]
    taken += [(f"person of each row of {file}", name, "by name") for name in person[:1]]
    how = "as given" if group else "by name"
    taken += [(f"group: {_factor(name)}", f"{name} of {file}", how) for name in groups]
    return kind, facts, taken


def _written(values: pd.Series) -> pd.Series:
    new = without_point(values.dropna().unique())
    return values.map(new) if new else values


def _check_alike(text: Mapping[str, pd.Series], names: Sequence[str], what: str, file: str) -> None:
    """Refuse several columns for one thing, unless they are equal: a row's number is no id."""
    if any(not text[one].equals(text[names[0]]) for one in names[1:]):
        raise DataError(
            f"several columns may be {what}: {', or '.join(names)}",
            hint="leave the others out of the table",
            file=file,
        )


def _factor(name: str) -> str:
    return factor_of(words(name))


def _column_of(names: Sequence[str], wanted: str, file: str) -> str:
    found = [one for one in names if one == wanted] or [
        one for one in names if words(one) == words(wanted)
    ]
    if not found:
        raise DataError(
            f"the column is not there; found {', '.join(names)}",
            hint="correct group=, or add the column",
            file=file,
            column=wanted,
        )
    return found[0]


def usual_groups(names: Sequence[str], file: str) -> list[str]:
    """The names that say a race or a gender.

    Raises
    ------
    DataError
        If two say the same.
    """
    found = []
    for concept in (RACE, GENDER):
        some = [name for name in names if concept & set(words(name))]
        if len(some) > 1:
            raise DataError(
                f"several columns may be the group of a person: {', or '.join(some)}",
                hint="give group= with the one that is meant, or with both",
                file=file,
            )
        found += some
    return found


def _check_once(facts: pd.DataFrame, file: str, key: str) -> None:
    """Refuse an id with two rows that differ."""
    again = facts.reset_index(names="key").drop_duplicates()
    again = again[again["key"].notna()]
    twice = again["key"].duplicated().to_numpy(bool)
    if twice.any():
        bad = np.zeros(len(facts), dtype=bool)
        bad[again.index[twice]] = True
        raise at_first(
            bad,
            f"{again['key'][twice].iloc[0]!r} has another row with other values",
            hint="keep one row of each id",
            file=file,
            column=key,
        )


def linked(first: np.ndarray, second: np.ndarray, genuine: np.ndarray) -> np.ndarray:
    """Persons (2, n) of the images of n pairs: images that genuine pairs link are of one person.

    Examples
    --------
    >>> sides = np.array(["a", "b", "d"]), np.array(["b", "c", "a"])
    >>> linked(*sides, np.array([True, True, False])).tolist()
    [[0, 0, 1], [0, 0, 0]]
    """
    codes, names = pd.factorize(np.concatenate([first, second]).astype(object))
    one, two = codes.reshape(2, -1)
    size = (len(names), len(names))
    pairs = coo_array((np.ones(int(genuine.sum())), (one[genuine], two[genuine])), shape=size)
    _, person = connected_components(pairs, directed=False)
    found: np.ndarray = person[np.stack([one, two])]
    return found


def sample_of(names: Sequence[str]) -> str:
    """The first of some names, in a sentence."""
    shown = ", ".join(map(repr, names[:MOST_NAMED]))
    return shown + (f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else "")
