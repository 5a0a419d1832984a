"""Photographs whose names, or a table, say who is on them: to the scores of all their pairs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import names_in
from causalbias.datasets.scores import Scores
from causalbias.datasets.scores.people import facts_of_names, facts_of_table, sample_of
from causalbias.datasets.scores.tables import read_any, with_text
from causalbias.errors import DataError, user_path
from causalbias.io.memory import check_memory
from causalbias.recognition.crops import image_files
from causalbias.recognition.distances import pair_distances
from causalbias.recognition.images import SUFFIXES
from causalbias.study.build import exclusions, file_record
from causalbias.study.tables import check_spelling
from causalbias.study.tree import OK

BYTES = 400  # of memory for a pair, in all steps


@dataclass(frozen=True)
class Photos:
    """Photographs with persons and groups; from `photo_faces`.

    Attributes
    ----------
    files : dict of str to Path
        Images of which person and groups are known.
    people : DataFrame
        Index: the image. Columns: `person` and the groups.
    by : list of str
        The groups.
    name : str
        Of the folder.
    taken, excluded, sources, remarks
        As of `Scores`.
    """

    files: dict[str, Path]
    people: pd.DataFrame
    by: list[str]
    name: str
    taken: pd.DataFrame
    excluded: pd.DataFrame
    sources: pd.DataFrame
    remarks: list[str]


def photo_faces(
    folder: str | Path,
    *,
    names: str = "",
    table: str | Path | pd.DataFrame | None = None,
    group: str | Sequence[str] = (),
) -> Photos:
    """Read who is on the photographs of a folder, and of which groups they are.

    Parameters
    ----------
    folder : path
    names : str
        Fields of the files' names in braces, ``"{person}_{race}_{gender}_{n}"``, without ending. A
        value holds none of the texts between the fields. With a ``/`` in it, the pattern is of
        the path below the folder, else of the name alone.
    table : path or DataFrame, optional
        In place of `names`: one row per image, with its name, person and groups.
    group : str or sequence of str
        Fields or columns that are groups; by default race (ethnicity, skin) and gender (sex).

    Returns
    -------
    Photos

    Raises
    ------
    DataError
        If no name fits the pattern, or persons or groups are not there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("ann_x_1.png", "ann_x_2.png", "bo_y_1.png", "note.png"):
    ...     _ = (root / name).write_bytes(b"")
    >>> found = photo_faces(root, names="{person}_{race}_{n}")
    >>> found.people["person"].tolist(), found.remarks
    (['ann', 'ann', 'bo'], ["1 of 4 images do not fit {person}_{race}_{n}: 'note'."])
    """
    folder, group = user_path(folder), list(names_in(group, "group"))
    files, others = image_files(folder)
    remarks = [f"Files left out: {others}."] * bool(others)
    stimuli = pd.Series(list(files))
    sources: list[dict[str, str | int]] = []
    if table is None:
        keys = stimuli if "/" in names else stimuli.map(lambda one: PurePosixPath(one).name)
        facts, unmatched = facts_of_names(pd.Series(keys.unique()), names, group)
        people = facts.reindex(keys).set_axis(pd.Index(stimuli))
        lost = stimuli[keys.isin(unmatched).to_numpy()].tolist()
        where = names
        taken = [(str(name), names, "as given") for name in facts]
    else:
        people, taken, where, sources = _from_table(table, stimuli, group)
        lost = stimuli[~stimuli.isin(people.index)].tolist()
        check_spelling(stimuli, people.index, of="an image", file=where)
        people = people.reindex(pd.Index(stimuli))
    if lost:
        verb = "do not fit" if table is None else "are not in"
        remarks.append(f"{len(lost):,} of {len(files):,} images {verb} {where}: {sample_of(lost)}.")
    by = [str(name) for name in people if name != "person"]
    lacking = [
        *(["person"] if "person" not in people else []),
        *(one for one in group if one not in by),
    ]
    if lacking or not by:
        raise DataError(
            f"{where} has no {', '.join(lacking) or 'group, such as race'}",
            hint="name the fields, or columns, person and race (or another, with group=)",
        )
    known = people.notna().all(axis=1).to_numpy()
    notes = [(folder.name, "images", "without person or group", int((~known).sum()))]
    if known.sum() < 2:
        raise DataError(
            "fewer than two images have a person and a group", hint="correct names= or the table"
        )
    people = people[known]
    return Photos(
        {name: files[name] for name in people.index},
        people,
        by,
        folder.resolve().name,
        pd.DataFrame(taken, columns=["what", "column", "how"]),
        exclusions(notes),
        pd.DataFrame(sources),
        remarks,
    )


def _from_table(
    table: str | Path | pd.DataFrame, stimuli: pd.Series, group: list[str]
) -> tuple[pd.DataFrame, list[tuple[str, str, str]], str, list[dict[str, str | int]]]:
    """Persons and groups of a table by image, whose names may have their endings there."""
    sources, file = [], "table"
    if isinstance(table, pd.DataFrame):
        frame = table
    else:
        path = user_path(table)
        frame, file = read_any(path), path.name
        frame = with_text(frame, path, [str(name) for name in frame])
        sources.append(file_record(path, len(frame)))
    ending = "|".join(re.escape(one) for one in SUFFIXES)
    text = frame.astype(object).map(
        lambda cell: (
            re.sub(f"({ending})$", "", cell, flags=re.IGNORECASE) if isinstance(cell, str) else cell
        )
    )
    _, facts, taken = facts_of_table(text, {"image": stimuli}, group, file)
    return facts, taken, file, sources


def photo_scores(photos: Photos, embeddings: xr.Dataset) -> Scores:
    """Compute the distances of all pairs of photographs.

    Parameters
    ----------
    photos : Photos
    embeddings : Dataset
        Result of `embed` of ``photos.files``.

    Returns
    -------
    Scores
        Of a pair with an image that has no embedding, the status says why.

    Raises
    ------
    DataError
        If all pairs do not fit into memory.

    Examples
    --------
    >>> import numpy as np
    >>> people = pd.DataFrame({"person": ["p", "p", "q"], "race": "x"}, index=["a", "b", "c"])
    >>> empty = pd.DataFrame()
    >>> photos = Photos({}, people, ["race"], "faces", empty, empty, empty, [])
    >>> cube = xr.Dataset(
    ...     {"embedding": (("system", "stimulus", "feature"), [[[0.0], [1.0], [3.0]]]),
    ...      "status": (("system", "stimulus"), [["ok", "ok", "ok"]]),
    ...      "metric": ("system", ["euclidean"])},
    ...     coords={"system": ["net"], "stimulus": ["a", "b", "c"]})
    >>> photo_scores(photos, cube).frame[["stimulus_a", "stimulus_b", "distance"]].values.tolist()
    [['a', 'b', 1.0], ['a', 'c', 3.0], ['b', 'c', 2.0]]
    """
    people = photos.people
    size, systems = len(people), [str(one) for one in embeddings["system"].values]
    pairs = size * (size - 1) / 2 * len(systems)
    check_memory(
        pairs,
        f"{pairs:,.0f} pairs of {size:,} images",
        "give fewer images, or count in blocks with cb.all_pairs",
        each=BYTES,
    )
    one, two = np.triu_indices(size, k=1)
    place = embeddings.indexes["stimulus"].get_indexer(people.index)
    if (place < 0).any():
        lacking = sample_of(list(map(str, people.index[place < 0])))
        raise DataError(
            f"photographs have no embedding: {lacking}",
            hint="give the embeddings of photos.files",
        )
    made: dict[str, object] = {}
    for name in ("stimulus", "person", *photos.by):
        values = pd.Categorical(people.index if name == "stimulus" else people[name])
        key = "seed" if name == "person" else name
        made |= {f"{key}_a": values[one], f"{key}_b": values[two]}
    same = made["seed_a"].codes == made["seed_b"].codes  # type: ignore[attr-defined]
    table = pd.DataFrame(made | {"same_identity": same, "file": photos.name})
    table["row"] = np.arange(1, len(table) + 1)
    parts = []
    for system in systems:
        net = embeddings.sel(system=system)
        status = net["status"].values[place].astype(object)
        each = np.where(status[one] == OK, status[two], status[one])
        distance = np.full(len(table), np.nan)
        ok = each == OK
        metric = str(net["metric"].item())
        first, second = place[one[ok]], place[two[ok]]
        distance[ok] = pair_distances(net["embedding"].values, first, second, metric)
        parts.append(table.assign(system=system, status=each, distance=distance, score=distance))
    return Scores(
        pd.concat(parts, ignore_index=True),
        photos.by,
        "distance",
        1.0,
        photos.name,
        photos.taken,
        photos.excluded,
        photos.sources,
        photos.remarks,
    )
