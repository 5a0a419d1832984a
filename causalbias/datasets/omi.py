"""The One Million Impressions data set (Peterson et al. 2022, PNAS 119(17), e2115228119)."""

import re
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.errors import DataError, at_first, in_file_terms, shown, user_path
from causalbias.study.build import Note, exclusions, file_record, make_study
from causalbias.study.columns import labels
from causalbias.study.pairs import pairs_within
from causalbias.study.privacy import salt_from
from causalbias.study.reading import (
    check_inside,
    described,
    read_arrays,
    read_table,
    unread_columns,
)
from causalbias.study.tables import (
    check_columns,
    check_frame,
    check_known,
    number_column,
)
from causalbias.study.tree import Study

CITATION = "Peterson, Uddenberg, Griffiths, Todorov, Suchow (2022), doi 10.1073/pnas.2115228119"
LEVELS = (0, 1, 2)
SCALE = (0.0, 100.0)
RATINGS_COLUMNS = {"score": "rating", "question": "attribute", "seed": "stimulus"}
RATING_TYPES = ["normal", "repeat", "fill-in"]
VALIDATION_COLUMNS = {
    "annotator": "anon_id",
    "question": "condition",
    "level": "stimulus_level",
    "score": "response",
}
RELIABILITY = "pearson_reliability"
NAME = re.compile(
    r"(?P<seed>[0-9]{1,18})_(?P<attribute>[A-Za-z][A-Za-z0-9-]*)_(?P<level>[0-9]{1,18})"
)
# Published thresholds on the Euclidean distance.
THRESHOLDS = {"dlib": 0.6}
CHIPS = "chips"
# Excludes the hidden files of macOS, such as ._1320_age_0.jpg.
IMAGE = re.compile(r"[^.].*\.(jpe?g|jfif|png|gif|webp|avif|bmp|tiff?)", re.IGNORECASE)
ORDER = ["attribute", "seed", "level"]


def load_omi(path: str | Path) -> Study:
    """Load the manipulation experiment, in which faces are moved along attributes to three levels.

    Parameters
    ----------
    path : str or Path
        The validation CSV, or a directory that contains exactly one ``validation_*.csv``. The same
        directory may contain ``embeddings_<system>_<csv's stem>.npz`` (arrays `name`, `detected`,
        `embedding`) for each recognition system. If there is no such file, the study has no
        distances; its faces and pairs are then those of the images in the folder ``chips``, if it
        exists, so that `with_distances` can add distances.

    Returns
    -------
    Study
        ``/human`` has one judgement per rater and level: the rater's mean response (0 to 100) to
        the faces moved to that level (0, 1, 2: -0.5 SD, the mean, +0.5 SD). ``/machine`` has the
        Euclidean distances of all pairs of levels of the same seed and attribute (genuine), and of
        different seeds at the same attribute and level (impostor). The raters' test-retest
        reliabilities are kept as `pearson_reliability`. Further columns, such as times, are not
        read; ``/excluded`` lists them. Seeds are text.

    Raises
    ------
    DataError
        If a file cannot be used. The error names file, column and row, and gives a hint.
    """
    csv = _find_csv(user_path(path))
    with in_file_terms({csv.name: VALIDATION_COLUMNS | {"attribute": "condition"}}):
        return _load_experiment(csv)


def _load_experiment(csv: Path) -> Study:
    judgements, read, unread = _read_validation(csv)
    records = [file_record(csv, len(judgements), read)]
    build = partial(
        make_study,
        factors=["seed", "attribute", "level"],
        judgements=judgements,
        scales=SCALE,
        salt=salt_from(csv.read_bytes()),
        name="omi",
        title="One Million Impressions, manipulation experiment",
        files={"judgements": csv.name},
    )
    systems = sorted(csv.parent.glob(f"embeddings_*_{csv.stem}.npz"))
    for file in systems:
        check_inside(file, csv.parent)
    if not systems and (csv.parent / CHIPS).is_dir():
        files = sorted(path.name for path in (csv.parent / CHIPS).iterdir() if path.is_file())
        images = [name for name in files if IMAGE.fullmatch(name)]
        stimuli = _named_faces(images, CHIPS)
        stimuli = _in_order(stimuli).reset_index(drop=True)
        return build(
            stimuli=stimuli,
            pairs=pairs_by_design(stimuli),
            provenance=pd.DataFrame(records),
            excluded=exclusions(
                [
                    *unread,
                    *_incomplete(stimuli.assign(detected=True), CHIPS),
                    (CHIPS, "files", "not an image", len(files) - len(images)),
                ]
            ),
        )
    if not systems:
        return build(provenance=pd.DataFrame(records), excluded=exclusions(unread))
    faces_of = {file: _read_faces(file) for file in systems}
    stimuli, _ = faces_of[systems[0]]
    pairs = pairs_by_design(stimuli)
    distances, left_out = [], unread
    for file, (faces, embedding) in faces_of.items():
        if not faces["stimulus"].equals(stimuli["stimulus"]):
            raise DataError(
                f"its faces differ from those of {systems[0].name}",
                hint="embed the same images with every system",
                file=file.name,
                column="name",
            )
        system = file.name.removeprefix("embeddings_").removesuffix(f"_{csv.stem}.npz")
        distances.append(_distances(system, faces, embedding, pairs))
        read = {"columns": "name: text; detected: truth value; embedding: number", "missing": 0}
        records.append(file_record(file, len(faces), read))
        left_out += _incomplete(faces, file.name)
    return build(
        stimuli=stimuli.drop(columns="detected"),
        pairs=pairs,
        distances=pd.concat(distances, ignore_index=True),
        metric="euclidean",
        provenance=pd.DataFrame(records),
        excluded=exclusions(left_out),
    )


def load_omi_ratings(path: str | Path) -> Study:
    """Load the 1.4 million single ratings of the generated faces.

    Parameters
    ----------
    path : str or Path
        ``attribute_ratings.zip`` (or ``.csv``), or the directory that contains it. If the
        directory also contains ``attribute_means.csv``, ratings of stimuli that this file does not
        list are excluded and counted, because those stimuli are not generated faces.

    Returns
    -------
    Study
        ``/human`` has one judgement per rating (0 to 100), with `question` (34 attributes), `seed`
        (the face) and `rating_type` ("normal", "repeat" or "fill-in"). The published means are
        over all three types. These files contain no rater ids.

    Raises
    ------
    DataError
        If a file cannot be used. The error names file, column and row, and gives a hint.
    """
    path = file = user_path(path)
    if file.is_dir():
        file = next(
            (
                f
                for f in (file / "attribute_ratings.zip", file / "attribute_ratings.csv")
                if f.exists()
            ),
            file / "attribute_ratings.zip",
        )
        check_inside(file, path)
    with in_file_terms({file.name: RATINGS_COLUMNS}):
        return _load_ratings(file)


def _load_ratings(file: Path) -> Study:
    table = read_table(file, text=["stimulus", "attribute", "rating_type"])
    names = [*RATINGS_COLUMNS.values(), "rating_type"]
    check_columns(table, names, file=file.name)
    unread = [str(name) for name in table if name not in names]
    ratings = table[names].rename(columns={old: new for new, old in RATINGS_COLUMNS.items()})
    # Checked before rows are excluded, so that an error names the row in the file.
    ratings = check_frame(
        ratings,
        {"score": number_column(*SCALE)},
        text=["seed"],
        levels=["question", "rating_type"],
        file=file.name,
    )
    number = ratings["seed"].str.fullmatch(r"[0-9]+").to_numpy(bool)
    if not number.all():
        raise at_first(
            ~number,
            f"{ratings['seed'].iloc[int(number.argmin())]!r} is not the number of a face",
            hint="write a whole number",
            file=file.name,
            column="seed",
        )
    check_known(
        ratings["rating_type"],
        RATING_TYPES,
        what="rating type",
        file=file.name,
        column="rating_type",
    )
    records = [file_record(file, len(ratings), described(table[names], left_out=unread))]
    left_out = [unread_columns(file.name, unread)]
    means = file.parent / "attribute_means.csv"
    if means.exists():
        check_inside(means, file.parent)
        faces = read_table(means, columns=["stimulus"], text=["stimulus"])["stimulus"]
        known = ratings["seed"].isin(labels(faces, file=means.name))
        left_out.append(
            (file.name, "ratings", f"stimulus not in {means.name}", int((~known).sum()))
        )
        ratings = ratings[known]
        records.append(file_record(means, len(faces), {"columns": "stimulus: text", "missing": 0}))
    return make_study(
        factors=["seed"],
        judgements=ratings,
        scales=SCALE,
        name="omi-ratings",
        title="One Million Impressions, ratings of generated faces",
        files={"judgements": file.name},
        provenance=pd.DataFrame(records),
        excluded=exclusions(left_out),
    )


def _find_csv(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.glob("validation_*.csv")) if path.is_dir() else []
    if len(found) != 1:
        raise DataError(
            f"the directory holds {len(found)} files named validation_*.csv",
            hint="give the directory of the data set, or the CSV itself",
            file=str(path),
        )
    return check_inside(found[0], path)


def _read_validation(csv: Path) -> tuple[pd.DataFrame, dict[str, str | int], list[Note]]:
    """Return the judgements, a description of the columns read, and notes on those not read."""
    names = list(VALIDATION_COLUMNS.values())
    table = read_table(csv, text=["anon_id", "condition"])
    check_columns(table, names, file=csv.name)
    kept = [*names, *({RELIABILITY} & set(table))]
    unread = [str(name) for name in table if name not in kept]
    read = described(table[kept], left_out=unread)
    frame = table[kept].rename(columns={old: new for new, old in VALIDATION_COLUMNS.items()})
    schema = {"level": number_column(), "score": number_column(*SCALE)}
    frame = check_frame(frame, schema, text=["annotator"], levels=["question"], file=csv.name)
    check_known(frame["level"], LEVELS, what="level", file=csv.name, column="level")
    frame = frame.assign(level=frame["level"].astype(int), attribute=frame["question"])
    return frame, read, [unread_columns(csv.name, unread)]


def _read_faces(file: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Return faces named SEED_ATTRIBUTE_LEVEL.jpg and their embeddings (face, feature), sorted."""
    arrays = read_arrays(file, ["name", "detected", "embedding"])
    faces = _named_faces(arrays["name"].astype(str).tolist(), file.name)
    embedding, detected = arrays["embedding"], arrays["detected"]
    if detected.ndim != 1 or detected.dtype != bool:
        raise DataError(
            f"the array has shape {detected.shape} and type {detected.dtype}",
            hint="give True or False for each face",
            file=file.name,
            column="detected",
        )
    if embedding.ndim != 2 or embedding.dtype.kind != "f":
        raise DataError(
            f"the array has shape {embedding.shape} and type {embedding.dtype}",
            hint="give floats (faces, features)",
            file=file.name,
            column="embedding",
        )
    broken = detected & ~np.isfinite(embedding).all(axis=1)
    if broken.any():
        row = int(broken.argmax())
        raise DataError(
            f"the embedding of {arrays['name'][row]} is not finite ({int(broken.sum())} such)",
            hint="embed the image again, or set detected to False",
            file=file.name,
            column="embedding",
            row=row + 1,
        )
    faces = faces.assign(detected=detected)
    order = _in_order(faces).index.to_numpy()
    return faces.loc[order].reset_index(drop=True), embedding[order]


def _in_order(faces: pd.DataFrame) -> pd.DataFrame:
    """Sort faces by attribute, seed (as a number) and level."""
    return faces.sort_values(ORDER, key=lambda one: one.astype(int) if one.name == "seed" else one)


def _named_faces(files: list[str], file: str) -> pd.DataFrame:
    """Parse image names of the form SEED_ATTRIBUTE_LEVEL.jpg, in the order given."""
    names = pd.Series(files).str.rsplit(".", n=1).str[0]
    parts = names.str.extract(f"^{NAME.pattern}$")
    unparsed = parts["seed"].isna().to_numpy()
    if unparsed.any():
        row = int(unparsed.argmax())
        raise DataError(
            f"{shown(files[row])} does not have the form SEED_ATTRIBUTE_LEVEL "
            f"({int(unparsed.sum())} such names)",
            hint="rename it, e.g. 1320_age_0.jpg",
            file=file,
            column="name",
            row=row + 1,
        )
    level = parts["level"].astype(int)
    check_known(level, LEVELS, what="level", file=file, column="name")
    if names.duplicated().any():
        row = int(names.duplicated().to_numpy().argmax())
        raise DataError(
            f"{shown(files[row])} occurs twice",
            hint="keep one",
            file=file,
            column="name",
            row=row + 1,
        )
    return pd.DataFrame(
        {
            "stimulus": names,
            "seed": parts["seed"],
            "attribute": parts["attribute"],
            "level": level,
        }
    )


def pairs_by_design(faces: pd.DataFrame) -> pd.DataFrame:
    """Form pairs within seed and attribute (genuine) and within attribute and level (impostor).

    Parameters
    ----------
    faces : DataFrame
        Columns `stimulus`, `seed`, `attribute`, `level`. The first member of a pair is the face
        whose row comes first.

    Returns
    -------
    DataFrame
        Columns `pair`, `stimulus_a`, `stimulus_b`.
    """
    return pairs_within(faces, [["seed", "attribute"], ["attribute", "level"]])


def _distances(
    system: str, faces: pd.DataFrame, embedding: np.ndarray, pairs: pd.DataFrame
) -> pd.DataFrame:
    index = pd.Index(faces["stimulus"])
    a, b = index.get_indexer(pairs["stimulus_a"]), index.get_indexer(pairs["stimulus_b"])
    ok = (faces["detected"].to_numpy()[a]) & (faces["detected"].to_numpy()[b])
    with np.errstate(over="ignore"):  # make_study refuses infinite distances
        difference = embedding[a].astype(float) - embedding[b].astype(float)
        distance = np.linalg.norm(difference, axis=1)
    return pd.DataFrame(
        {
            "system": system,
            "pair": pairs["pair"],
            "distance": np.where(ok, distance, np.nan),
            "status": np.where(ok, "ok", "face not detected"),
            "threshold": THRESHOLDS.get(system, np.nan),
        }
    )


def _incomplete(faces: pd.DataFrame, file: str) -> list[tuple[str, str, str, int]]:
    """Count the genuine pairs that could not be formed because a level is missing."""
    per_cell = faces.groupby(["seed", "attribute"])["level"].nunique()
    every = len(list(combinations(LEVELS, 2)))
    lacking = per_cell[per_cell < len(LEVELS)]
    formed = lacking.map(lambda n: len(list(combinations(range(n), 2))))
    seeds = ", ".join(f"{seed} {attribute}" for seed, attribute in lacking.index[:3])
    more = ", ..." if len(lacking) > 3 else ""
    reason = f"a level's face is missing (seed {seeds}{more})"
    undetected = int((~faces["detected"]).sum())
    return [
        (file, "genuine pairs not formed", reason, int((every - formed).sum())),
        (file, "faces without distances", "face not detected", undetected),
    ]
