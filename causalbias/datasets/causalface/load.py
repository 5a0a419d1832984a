"""The CausalFace release (Liang, Perona, Balakrishnan, ICCV 2023, arXiv 2308.05441)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.datasets.causalface.images import ImageTree, list_images
from causalbias.datasets.causalface.layout import (
    FACTORS,
    GENDERS,
    LEVELS,
    PAIR_QUESTION,
    RACES,
    SCALES,
    Design,
    parse_names,
)
from causalbias.datasets.causalface.tables import (
    ColumnMap,
    name_columns,
    read_answers,
    read_distances,
    stimuli_of,
)
from causalbias.errors import DataError, at_first, user_path
from causalbias.io.containment import check_contained
from causalbias.study.build import exclusions, file_record, make_study
from causalbias.study.columns import as_texts, labels
from causalbias.study.privacy import pseudonymise, salt_from
from causalbias.study.reading import check_inside, csv_files
from causalbias.study.tree import Study

TRUTH = "truth.nc"
Scales = Mapping[str, tuple[float, float]]


def load_causalface(
    root: str | Path,
    *,
    races: Sequence[str] = RACES,
    genders: Sequence[str] = GENDERS,
    levels: Mapping[str, Sequence[float]] | None = None,
    references: Mapping[str, float] | None = None,
    background: Literal["kept", "removed"] = "kept",
    files: Mapping[str, str] | None = None,
    scales: Scales | None = None,
    columns: Mapping[str, ColumnMap] | None = None,
    salt: bytes | None = None,
) -> Study:
    """Load a release: image trees, annotations, pair judgements and distances.

    The function does not open images; use `open_image` for that.

    Parameters
    ----------
    root : str or Path
        Directory with the ``final_picked_*`` folders or ``data.zip`` (which is not unpacked),
        ``annotations/<question>.csv`` and ``distances/<system>.csv``.
    races, genders : sequence of str
        Races and genders that names may state.
    levels : mapping of attribute to levels, optional
        By default the release's ten ages, eight lightings, five poses (yaw) and ten smiles.
    references : mapping of attribute to level, optional
        The level at which a face is its prototype. The release does not state it. By default it is
        assumed to be 2.6 for age, and 0 for other attributes that have this level.
    background : {"kept", "removed"}
        Which renders to use; the others are counted in ``/excluded``. If a render has a
        ``_corrected`` version, that version is used.
    files : mapping of question to file, optional
        Annotation files in other places under `root`.
    scales : mapping of question to (low, high), optional
        Ranges of integer scores, in addition to the release's: gender 0 to 4, skin_tone 0 to 5,
        and, by assumption, identity 0 (surely different) to 4 (surely the same person), and age
        and expression 0 to 4.
    columns : mapping of question to {our column: column of the file}, optional
        Columns of annotation files with another layout, and of "distances". Our columns are
        `image` (or `image_a`, `image_b`), `annotator`, `score`; several columns of a file may be
        given for each of the last two.
    salt : bytes, optional
        Key of the annotators' pseudonyms; by default derived from the annotation files.

    Returns
    -------
    Study
        The factors are seed, race, gender, attribute and level. ``/human`` holds judgements of
        pairs (question "identity") and of faces; ``/unanswered`` lists the questions that an
        annotator was asked and did not answer. ``/excluded`` counts the renders that are missing,
        superseded or not used, and the missing answers.

    Raises
    ------
    DataError
        If a file cannot be used. The error names file, column and row, and gives a hint.
    """
    root = user_path(root)
    design = Design(races, genders, LEVELS if levels is None else levels, references)
    all_scales = SCALES | dict(scales or {})
    tree = list_images(root)
    renders, notes = _renders(tree, design, background)
    answer_files = _answer_files(root, files, all_scales)
    distance_files = [check_inside(path, root) for path in csv_files(root / "distances")]
    for name in set(columns or {}) - {*answer_files, "distances"}:
        raise DataError(
            f"there is a column map for {name!r}, which has no file",
            hint=f"found {', '.join(answer_files) or 'no annotation files'}; name others in files=",
        )
    answers, distances, faces = [], [], [renders]
    read: dict[Path, dict[str, str | int]] = {}
    for question, path in answer_files.items():
        column_map = (columns or {}).get(question)
        answered, left_out, read[path] = read_answers(
            path, question, all_scales[question], column_map
        )
        answered, named = _named(answered, name_columns(question), renders, design, path.name)
        answers.append(answered.assign(question=question))
        faces.append(named)
        notes += left_out
    for path in distance_files:
        measured, read[path] = read_distances(path, (columns or {}).get("distances"))
        measured, named = _named(measured, name_columns(PAIR_QUESTION), renders, design, path.name)
        distances.append(measured)
        faces.append(named)
    pairs = _number_pairs(answers + distances)
    judged = _judgements(answers)
    given = judged["score"].notna()
    salt = salt or salt_from(b"".join(path.read_bytes() for path in answer_files.values()))
    study = make_study(
        factors=FACTORS,
        references=design.all_references(),
        stimuli=_stimuli(faces),
        pairs=pairs if len(pairs) else None,
        distances=_distances(distances),
        judgements=judged[given] if given.any() else None,
        scales=all_scales,
        salt=salt,
        name="causalface",
        title="CausalFace release",
        excluded=exclusions(notes),
        provenance=_provenance(root, tree, read),
    )
    if not given.all():
        study["unanswered"] = unanswered(judged[~given], salt)
    if (root / TRUTH).exists():
        study["truth"] = xr.DataTree(_truth(check_inside(root / TRUTH, root)))
    return study


def _truth(path: Path) -> xr.Dataset:
    try:
        check_contained(path)
        return xr.load_dataset(path, engine="h5netcdf")
    except DataError:
        raise
    except Exception as error:  # h5py raises errors of many types on damaged files
        raise DataError(
            f"not a readable .nc file ({type(error).__name__})",
            hint="write the simulated release again, or delete this file",
            file=path.name,
        ) from error


def unanswered(judgements: pd.DataFrame, salt: bytes) -> xr.DataTree:
    """Make the group of questions that were asked and not answered, with the dim `request`."""
    ids = labels(judgements["annotator"], file="unanswered").astype("str")
    named = judgements.assign(annotator=pseudonymise(ids, salt))
    return xr.DataTree(
        xr.Dataset(
            {
                name: ("request", as_texts(named[name]))
                for name in ("question", "pair", "stimulus", "annotator")
            }
        )
    )


def _renders(
    tree: ImageTree, design: Design, background: str
) -> tuple[pd.DataFrame, list[tuple[str, str, str, int]]]:
    """Choose one render per face, and count the renders that are not used or missing."""
    if background not in ("kept", "removed"):
        raise DataError(f"background is {background!r}", hint='use "kept" or "removed"')
    every = parse_names(tree.paths, design, file=tree.file, column="image")
    every["image"] = tree.paths
    removed = every["variant"].str.contains("_rm_bg")
    wanted = removed if background == "removed" else ~removed
    if not wanted.any():
        raise DataError(
            f"there is no render with its background {background}",
            hint="load the other kind with background=",
            file=tree.file,
        )
    used = every[wanted].assign(corrected=every["variant"].str.contains("_corrected"))
    used = used.sort_values(["stimulus", "corrected"], ascending=[True, False])
    _check_single(used, tree.file)
    faces = used.drop_duplicates("stimulus").drop(columns=["variant", "corrected"])
    cells = sum(len(levels) for levels in design.levels.values())
    expected = faces["seed"].nunique() * len(design.races) * len(design.genders) * cells
    notes = [
        *tree.notes,
        (tree.file, "renders", "not in the release", expected - len(faces)),
        (tree.file, "renders", f"background not {background}", int((~wanted).sum())),
        (tree.file, "renders", "a corrected render replaces it", len(used) - len(faces)),
        (tree.file, "files", "not a PNG render", tree.others),
    ]
    return faces.reset_index(drop=True), notes


def _check_single(used: pd.DataFrame, file: str) -> None:
    twice = used.duplicated(["stimulus", "corrected"], keep=False)
    if twice.any():
        both = used.loc[twice, "image"].iloc[:2].tolist()
        raise DataError(
            f"{both[0]!r} and {both[1]!r} are the same face", hint="keep one", file=file
        )


def _answer_files(root: Path, files: Mapping[str, str] | None, scales: Scales) -> dict[str, Path]:
    """Return the file of each question; the file of pair judgements comes first."""
    found = {path.stem: path for path in csv_files(root / "annotations")}
    found |= {question: root / name for question, name in (files or {}).items()}
    for question, path in found.items():
        check_inside(path, root)
        if question not in scales:
            raise DataError(
                f"no scale is known for the question {question!r}",
                hint=f"give scales={{{question!r}: (low, high)}}",
                file=path.name,
            )
    return dict(sorted(found.items(), key=lambda item: (item[0] != PAIR_QUESTION, item[0])))


def _named(
    table: pd.DataFrame, names: Sequence[str], renders: pd.DataFrame, design: Design, file: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace image names by ids of stimuli; also return the faces that the table names."""
    faces = []
    for name in names:
        ids, named = stimuli_of(
            table[name], renders, design, file=file, column=name, rows=table["row"]
        )
        table[name.replace("image", "stimulus")] = ids
        faces.append(named.drop(columns="variant"))
    if len(names) == 2:
        itself = (table["stimulus_a"] == table["stimulus_b"]).to_numpy(bool)
        if itself.any():
            raise at_first(
                itself,
                f"{table[names[0]].iloc[int(itself.argmax())]!r} is paired with itself",
                hint="leave the row out",
                file=file,
                column=" + ".join(names),
                places=table["row"].to_numpy() - 1,
            )
    return table, pd.concat(faces)


def _number_pairs(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Add a column `pair` to each table; a pair has the same id in both orders of its members."""
    tables = [table for table in tables if "stimulus_a" in table]
    if not tables:
        return pd.DataFrame(columns=["pair", "stimulus_a", "stimulus_b"])
    sides = pd.concat([table[["stimulus_a", "stimulus_b"]] for table in tables])
    codes, faces = pd.factorize(pd.concat([sides["stimulus_a"], sides["stimulus_b"]]))
    first, second = codes.reshape(2, -1)
    key = np.minimum(first, second) * len(faces) + np.maximum(first, second)
    number, distinct = pd.factorize(key)
    ids = pair_ids(len(distinct))
    ends = np.cumsum([len(table) for table in tables])
    for table, part in zip(tables, np.split(number, ends[:-1]), strict=True):
        table["pair"] = ids[part]
    at = pd.Series(number).drop_duplicates().index
    return sides.iloc[at].assign(pair=ids).reset_index(drop=True)


def pair_ids(n: int) -> np.ndarray:
    """Make ids of n pairs, "p0", "p1", ..., padded to the same length."""
    digits = len(str(max(n - 1, 0)))
    return np.char.add("p", np.char.zfill(np.arange(n).astype(str), digits))


def _judgements(answers: Sequence[pd.DataFrame]) -> pd.DataFrame:
    columns = ["question", "pair", "stimulus", "annotator", "score"]
    if not answers:
        return pd.DataFrame(columns=columns)
    return pd.concat([table.reindex(columns=columns) for table in answers], ignore_index=True)


def _stimuli(faces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    every = pd.concat(faces, ignore_index=True).drop_duplicates("stimulus")
    return every


def _distances(tables: Sequence[pd.DataFrame]) -> pd.DataFrame | None:
    if not tables:
        return None
    every = pd.concat(tables, ignore_index=True)
    known = ["row", "image_a", "image_b", "stimulus_a", "stimulus_b"]
    return every.drop(columns=known)


def _provenance(
    root: Path, tree: ImageTree, read: Mapping[Path, Mapping[str, str | int]]
) -> pd.DataFrame:
    images = {
        "file": tree.file,
        "sha256": tree.sha256,
        "bytes": int(tree.sizes.sum()),
        "rows": len(tree.paths),
        "columns": "names: seed text, factor; race, gender, attribute text, factor; level number, "
        "factor",
        "missing": 0,
    }
    rows = [file_record(path, _lines(path) - 1, one) for path, one in read.items()]
    names = [path.relative_to(root).as_posix() for path in read]
    return pd.DataFrame([images, *rows]).assign(file=[tree.file, *names])


def _lines(path: Path) -> int:
    content = path.read_bytes()
    return content.count(b"\n") + (not content.endswith(b"\n"))
