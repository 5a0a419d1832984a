"""Read tables of comparison scores as other programs export them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.arguments import names_in
from causalbias.datasets.scores.checks import (
    check_agree,
    check_codes,
    check_groups,
    check_ids,
    check_looks,
    check_same,
    several_groups,
    with_one_spelling,
)
from causalbias.datasets.scores.columns import Chosen, Wanted, choose_columns
from causalbias.datasets.scores.files import check_units, distinct_names, systems_of_files
from causalbias.datasets.scores.layouts import in_layout
from causalbias.datasets.scores.names import direction_of, words
from causalbias.datasets.scores.people import (
    facts_of_names,
    facts_of_table,
    linked,
    sample_of,
    usual_groups,
)
from causalbias.datasets.scores.scores import Scores
from causalbias.datasets.scores.tables import not_read, read_any, tables_of, with_text
from causalbias.datasets.scores.values import numbers, same_person
from causalbias.errors import DataError, at_first, user_path
from causalbias.study.build import exclusions, file_record
from causalbias.study.columns import labels, unknown_groups
from causalbias.study.pairs import fields_of
from causalbias.study.tables import check_spelling

SIDES = ("a", "b")
TABLE = "scores"  # names a frame in errors
NO_SCORE = "no score"
FEW = 10  # comparisons that may recur by chance
KINDS = ("similarity", "distance")
Note = tuple[str, str, str, int]
Record = dict[str, str | int]


def read_scores(
    data: str | Path | pd.DataFrame | Sequence[str | Path],
    *,
    id_a: str = "",
    id_b: str = "",
    group: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    kind: str = "",
    same: str = "",
    system: str = "",
    person: str = "",
    subjects: str | Path | pd.DataFrame | None = None,
) -> Scores:
    """Read comparisons with scores, whatever their columns are called.

    Columns are found by usual names, or are named. What each was taken for is in `Scores.taken`;
    where several may be meant, the error lists them. Ids are text as written. Rows without an id, a
    group or a truth are counted in `Scores.excluded` and left out; rows without a score are failed
    comparisons.

    Parameters
    ----------
    data : path, list of paths, or DataFrame
        CSV with any separator, TSV, Parquet or Excel; several files have the same columns. Of a
        folder, all tables in it; a remark names what else is there. Files with the same comparisons
        and no column of systems are of a system each, which the file's name names. The columns of
        pairs of RFW as Yucer et al. (2022) published them are known.
    id_a, id_b : str
        Columns of the ids of both sides (reference and probe), of persons or of images.
    group : str or sequence of str
        Factors whose combinations are the groups: columns of both sides (``race_a`` and ``race_b``
        are "race"), of the table of subjects, or fields of the pattern. By default race (or
        ethnicity, skin) and gender (or sex), where they are there.
    score : str or sequence of str
        Columns of scores; several are of systems of their own.
    kind : {"similarity", "distance"}, optional
        By default as the column's name says, if genuine and impostor pairs agree.
    same : str
        Column that says which pairs show one person. By default found, or by the ids of persons.
    system : str
        Column of the systems that compared.
    person : str
        Where ids are of images: the columns of the persons, or a pattern of the ids such as
        ``"{person}_{race}_{n}"``. Without either, images that genuine pairs link are of one person.
    subjects : path or DataFrame, optional
        Groups of persons, or persons and groups of images: one row each.

    Returns
    -------
    Scores

    Raises
    ------
    DataError
        If a column is not found or may be one of several, or a cell cannot be used. The error names
        file, column and row, and gives a hint.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"reference": ["01", "01", "2"], "probe": ["01", "2", "2"],
    ...                       "race_1": ["x", "x", "y"], "race_2": ["x", "y", "y"],
    ...                       "cosine_distance": [0.1, 0.9, 0.2]})
    >>> found = read_scores(table)
    >>> found.by, found.kind, found.frame["seed_a"].tolist()
    (['race'], 'distance', ['01', '01', '2'])
    """
    if kind not in ("", *KINDS):
        raise DataError(f"scores of the kind {kind!r}", hint=f"use one of {', '.join(KINDS)}")
    wanted = Wanted(
        id_a,
        id_b,
        tuple(names_in(group, "group")),
        tuple(names_in(score, "score")),
        same,
        system,
        person,
    )
    parts: list[pd.DataFrame] = []
    notes: list[Note] = []
    sources: list[Record] = []
    taken: list[tuple[str, str, str]] = []
    layouts: list[str] = []
    named: dict[str, str] = {}
    given = wanted
    for frame, file, record in _tables(data, given):
        wanted, layout = in_layout(map(str, frame), given)
        layouts.append(layout)
        chosen = choose_columns(frame, wanted, file)
        parts.append(_part(frame, chosen, file))
        taken += [one for one in chosen.taken if one not in taken]
        sources += record
        named[file] = chosen.system or ", ".join(chosen.scores[1:] and chosen.scores)
    whole = pd.concat(parts, ignore_index=True)
    sided = [str(name).removesuffix("_a") for name in whole if str(name).endswith("_a")]
    whole = with_one_spelling(whole, sided)
    remarks = _layout_of(layouts) + not_read(data)
    whole, systems, more = systems_of_files(whole, named, images=_of_images(whole, wanted))
    taken += systems
    remarks += more
    check_groups(whole.assign(system_a=whole["system"], system_b=whole["system"]), ["system"])
    check_codes(whole)
    whole, by = _with_people(whole, wanted, subjects, taken, remarks, sources)
    check_groups(whole, by)
    remarks += _unknown(whole, by)
    remarks += several_groups(whole.dropna(subset=["person_a", "person_b"]), by)
    whole = _complete(whole, by, notes)
    check_units(whole)
    kind, top = _direction(whole, kind, taken)
    # In full precision: of narrow floats, a difference would make two scores one.
    distance = top - whole["score"].astype(float) if kind == "similarity" else whole["score"]
    whole = whole.assign(distance=distance, status=np.where(distance.isna(), NO_SCORE, "ok"))
    return Scores(
        _once(whole, notes, remarks),
        by,
        kind,
        top,
        _name(data),
        pd.DataFrame(taken, columns=["what", "column", "how"]),
        exclusions(notes),
        pd.DataFrame(sources),
        remarks,
    )


def _unknown(frame: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Sentences on groups such as "unknown", by the comparisons that they are in."""
    found = []
    for name in by:
        one, other = (frame[f"{name}_{side}"].astype("str") for side in SIDES)
        each = pd.concat([one, other[other != one]])  # a comparison of two of them counts once
        found += [f"{text}." for text in unknown_groups(each, name)]
    return found


def _of_images(frame: pd.DataFrame, wanted: Wanted) -> bool:
    """Whether ids are certainly those of images."""
    if "image_a" in frame or wanted.pattern:
        return True
    if "id_a" not in frame or "same" not in frame:
        return False
    genuine = frame["same"].fillna(False).to_numpy(bool)
    return bool((frame["id_a"] != frame["id_b"])[genuine].any())


def _layout_of(layouts: Sequence[str]) -> list[str]:
    """Say which published layout the tables have; refuse tables of two."""
    if len(set(layouts)) > 1:
        raise DataError(
            "some tables have a layout that is known, and some have not",
            hint="read them one after the other",
        )
    name = layouts[0] if layouts else ""
    return [f"The columns are those of the layout {name}, as it was published."] if name else []


def _name(data: object) -> str:
    if isinstance(data, pd.DataFrame):
        return TABLE
    if isinstance(data, str | Path):
        return user_path(data).resolve().name
    paths = list(data)  # type: ignore[call-overload]
    return ", ".join(Path(one).name for one in paths)


def _tables(
    data: str | Path | pd.DataFrame | Sequence[str | Path], wanted: Wanted
) -> list[tuple[pd.DataFrame, str, list[Record]]]:
    """The tables with their names, and what is recorded of each file."""
    if isinstance(data, pd.DataFrame):
        if data.empty:
            raise DataError("no rows", hint="give at least one comparison", file=TABLE)
        frame = data.reset_index(drop=True)
        names = [str(name).strip() for name in frame]
        if twice := next((one for one in names if names.count(one) > 1), ""):
            raise DataError(
                "two columns have this name", hint="rename one", file=TABLE, column=twice
            )
        return [(frame.set_axis(names, axis=1), TABLE, [])]
    found = []
    given = [data] if isinstance(data, str | Path) else data
    paths = [path for one in given for path in tables_of(one)]
    contents: dict[object, str] = {}
    for path, name in zip(paths, distinct_names(list(paths)), strict=True):
        frame = read_any(path)
        ids = choose_columns(frame, in_layout(map(str, frame), wanted)[0], name).ids
        frame = with_text(frame, path, ids)
        record = file_record(path, len(frame))
        other = contents.setdefault(record["sha256"], name)
        if other != name or paths.count(path) > 1:
            raise DataError(f"the same file as {other}", hint="give each file once", file=name)
        found.append((frame, name, [record]))
    if not found:
        raise DataError("no file of scores", hint="give at least one")
    return found


def _part(frame: pd.DataFrame, chosen: Chosen, file: str) -> pd.DataFrame:
    """A table in our columns: one row per comparison and system."""
    made = {"file": file, "row": np.arange(1, len(frame) + 1)}
    for what, one in (("image", chosen.image), ("person", chosen.person), ("id", chosen.either)):
        for side, name in zip(SIDES, one.columns if one else (), strict=False):
            made[f"{what}_{side}"] = _text(frame[name], file)
    for factor, names in chosen.groups.items():
        for side, name in zip(SIDES, (names * 2)[:2], strict=True):
            made[f"{factor}_{side}"] = _text(frame[name], file)
        if len(names) == 1:
            _check_shared(made, chosen.ids, frame, factor, names[0], file)
    if chosen.same:
        made["same"] = same_person(frame[chosen.same], file, chosen.same)
    made["system"] = _text(frame[chosen.system], file) if chosen.system else "the system"
    table = pd.DataFrame(made)
    parts = []
    for name in chosen.scores:
        own = table.assign(score=numbers(frame[name], file, name), column=name)
        if len(chosen.scores) > 1:
            of = _short(name, chosen.scores)
            own["system"] = own["system"].astype(str) + f" {of}" if chosen.system else of
        parts.append(own)
    return pd.concat(parts, ignore_index=True)


def _check_shared(
    made: Mapping[str, object],
    ids: Sequence[str],
    frame: pd.DataFrame,
    factor: str,
    column: str,
    file: str,
) -> None:
    """Refuse one column of groups where a person, or image, is in rows of several groups."""
    both = [pd.Series(_text(frame[name], file)) for name in ids[-2:]]
    group = pd.Series(made[f"{factor}_a"])
    table = pd.DataFrame(
        {"id": pd.concat(both), "group": pd.concat([group, group]), "row": [*range(len(frame))] * 2}
    ).dropna()
    table = table.sort_values("row", kind="stable")
    first = table.drop_duplicates(["id", "group"])
    twice = first["id"].duplicated().to_numpy(bool)
    if twice.any():
        bad = np.zeros(len(frame), dtype=bool)
        bad[first.loc[twice, "row"].to_numpy()] = True
        raise at_first(
            bad,
            f"{first.loc[twice, 'id'].iloc[0]!r} is in rows of several groups, so that the column "
            "is not that of both sides",
            hint="give a column of each side, such as race_a and race_b, or subjects='people.csv'",
            file=file,
            column=column,
        )


def _short(name: str, names: Sequence[str]) -> str:
    """What distinguishes a column of scores from the others: "bupt" of "bupt_cos_dist"."""
    parts = {one: re.findall(r"[^\W_]+", one) for one in names}
    shared = set.intersection(*({part.lower() for part in own} for own in parts.values()))
    short = {
        one: "_".join(part for part in own if part.lower() not in shared)
        for one, own in parts.items()
    }
    return short[name] if all(short.values()) and len(set(short.values())) == len(names) else name


def _text(values: pd.Series, file: str) -> pd.Series:
    return labels(values, file=file).astype(object).reset_index(drop=True)


def _with_people(
    frame: pd.DataFrame,
    wanted: Wanted,
    subjects: str | Path | pd.DataFrame | None,
    taken: list[tuple[str, str, str]],
    remarks: list[str],
    sources: list[Record],
) -> tuple[pd.DataFrame, list[str]]:
    """Persons, truths and groups of both sides of each comparison."""
    if wanted.pattern:
        frame = _by_pattern(frame, wanted, taken, remarks)
    frame = _meaning_of_ids(frame, taken, remarks)
    if subjects is not None:
        frame = _by_table(frame, subjects, wanted, taken, remarks, sources)
    by = [
        name.removesuffix("_a")
        for name in map(str, frame)
        if name.endswith("_a") and name not in ("image_a", "person_a", "id_a")
    ]
    lacking = [name for name in wanted.group if name not in by]
    if lacking or not by:
        what = (
            f"no column, field or subjects' table has {', '.join(lacking)}"
            if lacking
            else ("no column says which group a person is of")
        )
        raise DataError(
            what,
            hint="give group= with the columns of groups, or give them by subjects='people.csv'",
            file=str(frame["file"].iloc[0]),
        )
    if wanted.group:
        by = list(wanted.group)
    else:  # of which no two may say the same: those of the scores and of the subjects' table
        usual_groups(by, str(frame["file"].iloc[0]))
    check_looks(frame, [one for one in ("image", "person") if f"{one}_a" in frame])
    if "person_a" not in frame:
        frame = _by_links(frame, remarks)
        remarks += _may_be_decisions(frame, taken)
    elif "same" in frame:
        check_same(frame, next(name for what, name, _ in taken if what.startswith("whether a")))
    if "same" not in frame:
        check_ids(frame, "person")
        same = (frame["person_a"] == frame["person_b"]).astype("boolean")
        known = frame[["person_a", "person_b"]].notna().all(axis=1)
        frame["same"] = same.where(known)
        taken.append(("whether a pair shows one person", "the ids of persons", "both are equal"))
    return frame, by


def _by_pattern(
    frame: pd.DataFrame, wanted: Wanted, taken: list[tuple[str, str, str]], remarks: list[str]
) -> pd.DataFrame:
    """Persons and groups that the ids hold."""
    ids_of = {
        one: pd.Series(pd.concat([frame[f"{one}_{side}"] for side in SIDES]).dropna().unique())
        for one in ("image", "id", "person")
        if f"{one}_a" in frame
    }
    fits = {
        one: float(fields_of(ids, wanted.pattern).notna().all(axis=1).mean())
        for one, ids in ids_of.items()
    }
    what = max(fits, key=lambda one: fits[one])  # the first of those that fit best
    ids = ids_of[what]
    facts, unmatched = facts_of_names(ids, wanted.pattern, wanted.group)
    for side in SIDES:
        of = facts.reindex(frame[f"{what}_{side}"])
        for name in facts:
            frame[f"{name}_{side}"] = of[name].to_numpy(object)
    if what == "id":
        names = {f"id_{side}": f"image_{side}" for side in SIDES}
        frame = frame.rename(columns=names)
    taken += [(f"{name}", f"{what} ids by {wanted.pattern}", "as given") for name in facts]
    if unmatched:
        remarks.append(
            f"{len(unmatched):,} of {len(ids):,} ids do not fit the pattern {wanted.pattern}, and "
            f"their comparisons are left out: {sample_of(unmatched)}."
        )
    return frame


def _meaning_of_ids(
    frame: pd.DataFrame, taken: list[tuple[str, str, str]], remarks: list[str]
) -> pd.DataFrame:
    """Ids of which the name says neither are images' or persons', as the genuine pairs say."""
    if "id_a" not in frame:
        return frame
    equal = (frame["id_a"] == frame["id_b"]).to_numpy()
    what, how, why = "", "", ""
    if "same" not in frame:
        # An image beside itself has one score, whoever is on it; images of one person do not.
        itself = frame.loc[equal, "score"].nunique() < 2
        what, how = ("", "") if itself else ("person", "as pairs of one id differ in their scores")
        why = "no column says which pairs show one person, and " + (
            "all pairs of two equal ids have one score, as images beside themselves have"
            if equal.any()
            else "no pair has two equal ids"
        )
    elif not (genuine := frame["same"].fillna(False).to_numpy(bool)).any():
        what, how = "person", "as no pair is genuine, they were taken as they are"
        remarks.append(
            "Ids were taken for those of persons. If they are of images, name these by person=: "
            "intervals are too short otherwise."
        )
    elif equal[genuine].all():
        what, how = "person", "as genuine pairs have one id"
    elif not equal[genuine].any():
        what, how = "image", "as genuine pairs have two ids"
    else:
        why = "in some genuine pairs both ids are equal, in others not"
    if not what:
        raise DataError(
            f"it is not clear whether the ids are of persons or of images: {why}",
            hint="give person= with the columns of the persons, or a pattern of the ids such as "
            "'{person}_{n}'; or same= with the column that says which pairs show one person",
            file=str(frame["file"].iloc[0]),
        )
    taken.append((f"ids are those of {what}s", "the ids", how))
    return frame.rename(columns={f"id_{side}": f"{what}_{side}" for side in SIDES})


def _by_table(
    frame: pd.DataFrame,
    subjects: str | Path | pd.DataFrame,
    wanted: Wanted,
    taken: list[tuple[str, str, str]],
    remarks: list[str],
    sources: list[Record],
) -> pd.DataFrame:
    """Groups, and persons of images, of the table of subjects."""
    file = "subjects" if isinstance(subjects, pd.DataFrame) else user_path(subjects).name
    table = subjects if isinstance(subjects, pd.DataFrame) else read_any(subjects)
    ids = {
        what: pd.concat([frame[f"{what}_{side}"] for side in SIDES]).drop_duplicates()
        for what in ("person", "image")
        if f"{what}_a" in frame
    }
    if not isinstance(subjects, pd.DataFrame):
        path = user_path(subjects)
        names = [str(name) for name in table]
        table = with_text(table, path, names)
        sources.append(file_record(path, len(table)))
    group = [one for one in wanted.group if f"{one}_a" not in frame]
    what, facts, more = facts_of_table(table, ids, group, file)
    taken += more
    absent = ids[what].dropna()
    absent = absent[~absent.isin(facts.index)].tolist()
    check_spelling(ids[what].dropna(), facts.index, of="the scores", file=file)
    if absent:
        remarks.append(
            f"{len(absent):,} of {ids[what].notna().sum():,} ids of {what}s are not in {file}, and "
            f"their comparisons are left out: {sample_of(absent)}."
        )
    of = {side: facts.reindex(frame[f"{what}_{side}"]) for side in SIDES}
    for name in map(str, facts):
        values = {side: pd.Series(of[side][name].to_numpy(object)) for side in SIDES}
        if f"{name}_a" not in frame:
            frame = frame.assign(**{f"{name}_{side}": values[side] for side in SIDES})
        elif name != "person":
            check_agree(frame, name, values, file)
            filled = {
                f"{name}_{side}": frame[f"{name}_{side}"].fillna(values[side]) for side in SIDES
            }
            frame = frame.assign(**filled)
    return frame


def _by_links(frame: pd.DataFrame, remarks: list[str]) -> pd.DataFrame:
    """Persons as images that genuine pairs link; an image without is a person of its own."""
    if "same" not in frame:
        raise DataError(
            "no column says who the persons are, nor which pairs show one person",
            hint="give person= with the columns of the persons or a pattern of the ids such as "
            "'{person}_{n}', or same= with the column that says it",
            file=str(frame["file"].iloc[0]),
        )
    known = frame[["image_a", "image_b"]].notna().all(axis=1).to_numpy()
    genuine = frame["same"].fillna(False).to_numpy(bool) & known
    person = linked(
        frame["image_a"].fillna("").to_numpy(), frame["image_b"].fillna("").to_numpy(), genuine
    )
    for side, of in zip(SIDES, person, strict=True):
        frame[f"person_{side}"] = pd.Series(of).map("person {}".format).where(known)
    number = len(np.unique(person[:, known]))
    remarks.append(
        f"Who the persons are was not given: images that genuine pairs link were taken for one "
        f"person, which makes {number:,} persons. Where images of one person are in no genuine "
        "pair, he or she counts as several, and intervals are too short; give person=."
    )
    return frame


def _may_be_decisions(frame: pd.DataFrame, taken: Sequence[tuple[str, str, str]]) -> list[str]:
    """A sentence where a column "match" may say what a system decided, rather than who is shown."""
    column = next(name for what, name, _ in taken if what.startswith("whether a pair"))
    same = frame["same"].fillna(False).to_numpy(bool)
    genuine, impostor = (frame["score"][rows & frame["same"].notna()] for rows in (same, ~same))
    apart = genuine.min() > impostor.max() or genuine.max() < impostor.min()
    if not (apart and {"match", "ismatch", "matched"} & set(words(column))):
        return []
    return [
        f"One score separates all pairs of which {column} is true from the others: if the column "
        "is what a system decided, not who is shown, there are no errors to find. Give same=."
    ]


def _complete(frame: pd.DataFrame, by: Sequence[str], notes: list[Note]) -> pd.DataFrame:
    """The rows of which persons, truth and groups are known; the others are counted."""
    kept = np.ones(len(frame), dtype=bool)
    reasons = {"without the id of a person": ["person_a", "person_b"]}
    if "image_a" in frame:
        reasons = {"without the id of an image": ["image_a", "image_b"]} | reasons
    reasons["of which it is not said whether they show one person"] = ["same"]
    reasons |= {f"of a person without {name}": [f"{name}_a", f"{name}_b"] for name in by}
    for reason, names in reasons.items():
        missing = frame[names].isna().any(axis=1).to_numpy(bool)
        notes += _left_out(frame[missing & kept], reason)
        kept &= ~missing
    kept &= ~_of_one_person_in_two_groups(frame, by, kept, notes)
    if not kept.any():
        raise DataError(
            "no comparison is of known persons and groups: "
            + "; ".join(f"{count:,} {reason}" for _, _, reason, count in notes),
            hint="fill them in, or give the groups by subjects='people.csv'",
            file=str(frame["file"].iloc[0]),
        )
    frame = frame[kept].reset_index(drop=True)
    ours = {f"person_{side}": f"seed_{side}" for side in SIDES}
    if "image_a" in frame:
        frame = _with_images(frame)
    frame = frame.rename(columns=ours | {"same": "same_identity"})
    return frame.assign(same_identity=frame["same_identity"].astype(bool))


def _of_one_person_in_two_groups(
    frame: pd.DataFrame, by: Sequence[str], known: np.ndarray, notes: list[Note]
) -> np.ndarray:
    """Genuine pairs whose sides are of two groups, and so of the rates of neither; counted."""
    apart = np.zeros(len(frame), dtype=bool)
    for name in by:
        apart |= (frame[f"{name}_a"] != frame[f"{name}_b"]).to_numpy(bool, na_value=True)
    apart &= known & frame["same"].fillna(False).to_numpy(bool)
    notes += _left_out(frame[apart], "of one person whose two sides are of two groups")
    return apart


def _left_out(rows: pd.DataFrame, reason: str) -> list[Note]:
    """How many comparisons of each file are left out for a reason."""
    counts = rows.groupby("file", sort=False).size()
    return [(str(file), "comparisons", reason, int(count)) for file, count in counts.items()]


def _with_images(frame: pd.DataFrame) -> pd.DataFrame:
    """Images by ids that no two persons share: with the person's where images have numbers."""
    both = pd.DataFrame(
        {
            "image": pd.concat([frame["image_a"], frame["image_b"]]),
            "person": pd.concat([frame["person_a"], frame["person_b"]]),
        }
    ).drop_duplicates()
    several = both["image"].duplicated().any()
    for side in SIDES:
        image = frame[f"image_{side}"]
        frame[f"stimulus_{side}"] = frame[f"person_{side}"] + "/" + image if several else image
    return frame.drop(columns=["image_a", "image_b"])


def _direction(
    frame: pd.DataFrame, given: str, taken: list[tuple[str, str, str]]
) -> tuple[str, float]:
    """Whether scores are similarities, and the number that they are subtracted from."""
    columns = list(dict.fromkeys(frame["column"]))
    said = {direction_of(name) for name in columns}
    if said >= set(KINDS):
        raise DataError(
            f"some of the columns {', '.join(columns)} are similarities and some distances",
            hint="read one system at a time, or turn the distances into similarities "
            "(1 - distance)",
            file=str(frame["file"].iloc[0]),
        )
    how = "as given"
    if frame["score"].isna().all():
        raise DataError(
            "no comparison has a score",
            hint="give the scores, or name another column: score=",
            file=str(frame["file"].iloc[0]),
            column=", ".join(columns),
        )
    if not given:
        given = next(iter(said)) if len(said) == 1 else ""
        means = [_means(part["score"], part) for _, part in frame.groupby("system", sort=False)]
        for genuine, impostor in [_means(frame["score"], frame), *means]:
            seen = "" if not abs(genuine - impostor) > 0 else KINDS[int(genuine < impostor)]
            alone = np.isnan(genuine) or np.isnan(impostor)  # a system with pairs of one kind
            if not given or (given != seen and not (alone and len(means) > 1)):
                raise _unclear(frame, columns, given, seen, genuine, impostor)
        genuine, impostor = _means(frame["score"], frame)
        how = f"by name, and genuine pairs have {genuine:.4g} on average, impostors {impostor:.4g}"
    taken.append(
        (
            f"scores are {'similarities' if given == KINDS[0] else 'distances'}",
            ", ".join(columns),
            how,
        )
    )
    return given, _top(frame)


def _means(score: pd.Series, frame: pd.DataFrame) -> tuple[float, float]:
    """Means of the scores of genuine and of impostor pairs."""
    same = frame["same_identity"]
    return float(score[same].mean()), float(score[~same].mean())


def _top(frame: pd.DataFrame) -> float:
    """1, 10, 100, ... at or above all scores; the highest, where images beside themselves have it.

    At distance 0 is an image beside itself, and no other pair that happens to have the highest.
    """
    highest = float(frame["score"].max())
    if not np.isfinite(highest):
        return 1.0
    ties = frame[frame["score"] == highest]
    if highest > 1 and len(ties) > 2 and ties["seed_a"].nunique() > frame["seed_a"].nunique() / 2:
        return highest
    top = 1.0
    while top < highest:
        top *= 10
    return top


def _unclear(
    frame: pd.DataFrame, columns: list[str], name: str, seen: str, genuine: float, impostor: float
) -> DataError:
    """The error where names and data do not agree on what scores are."""
    if np.isnan(genuine) or np.isnan(impostor):
        data = "without both genuine and impostor pairs the data do not tell"
    elif not seen:
        data = f"genuine and impostor pairs have the same mean, {genuine:.4g}"
    else:
        data = (
            f"genuine pairs have {genuine:.4g} on average and impostors {impostor:.4g}, as "
            f"{'similarities' if seen == KINDS[0] else 'distances'} have"
        )
    named = f"its name says {name}" if name else "its name does not say"
    return DataError(
        f"it is not clear whether a higher score means more alike: {named}; {data}",
        hint="give kind='similarity' if it does, or kind='distance' if a lower score means more "
        "alike",
        file=str(frame["file"].iloc[0]),
        column=", ".join(columns),
    )


def _once(frame: pd.DataFrame, notes: list[Note], remarks: list[str]) -> pd.DataFrame:
    """The comparisons without an image beside itself, and each pair once.

    A full table of all images by all has both; a pair whose two rows have different scores stays,
    for `error_rates` to refuse. Where images are not known, several images of two persons may have
    one score: rows are copies where all are there equally often, and are said where some recur.
    """
    images = "stimulus_a" in frame
    sides = [frame[f"{'stimulus' if images else 'seed'}_{side}"] for side in SIDES]
    low, high = np.sort(pd.factorize(pd.concat(sides))[0].reshape(2, -1), axis=0)
    keys = pd.DataFrame(
        {"low": low, "high": high, "system": frame["system"], "score": frame["score"]}
    )
    itself = (sides[0] == sides[1]).to_numpy(bool) & images
    again = keys.duplicated().to_numpy() & ~itself
    if not images:
        copies = _copies(keys)
        if copies == "some":
            remarks.append(
                f"{again.sum():,} comparisons repeat one of the same two persons with the same "
                "score: if rows were copied, leave the copies out."
            )
        again &= copies == "all"
    for reason, rows in (("of an image with itself", itself), ("that are there again", again)):
        notes += _left_out(frame[rows], reason)
    kept = frame[~itself & ~again].reset_index(drop=True)
    if kept.empty:
        raise at_first(
            itself,
            "every comparison is of an image with itself",
            hint="give comparisons of two images",
            file=str(frame["file"].iloc[0]),
            column="ids of both sides",
        )
    return kept


def _copies(keys: pd.DataFrame) -> str:
    """Whether "all" rows recur equally often, or "some", and not by chance as coarse scores do."""
    times = keys.groupby(list(keys), dropna=False, sort=False).size()
    if len(times) < FEW or times.max() == 1 or keys["score"].nunique() <= len(times) / 2:
        return ""
    return "all" if times.nunique() == 1 else "some"
