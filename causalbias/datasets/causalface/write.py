"""Write a study as the files of a CausalFace release."""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import flag_in
from causalbias.datasets.causalface.images import ARCHIVE, check_path
from causalbias.datasets.causalface.layout import FACTORS, PAIR_QUESTION, annotation_names
from causalbias.errors import DataError, user_path
from causalbias.io.atomic import RUN_BY_SPREADSHEETS, replacing, write_netcdf
from causalbias.io.drawing import draw_faces, png
from causalbias.study.frames import to_frame
from causalbias.study.tree import factors_of

CHUNK = 500
TONES = {"white": 0.1, "asian": 0.35, "black": 0.9}


def to_release(study: xr.DataTree, path: str | Path, *, archive: bool = False) -> Path:
    """Write a study as a CausalFace release, which `load_causalface` reads back.

    The faces are drawn schematically (32 x 32), one PNG file for each stimulus with an `image`
    path. Annotators are written under their pseudonyms. ``/truth`` is written to ``truth.nc``.

    Parameters
    ----------
    study : DataTree
        A study with the factors seed, race, gender, attribute and level, such as one that
        `simulate` made.
    path : str or Path
        A directory that is empty or does not exist. It appears under its name only when it is
        complete.
    archive : bool, default False
        Pack the images into ``data.zip`` instead of folders.

    Returns
    -------
    Path
        Path of the directory.

    Raises
    ------
    DataError
        If the study has other factors, the directory already contains files, or the path of an
        image, question or system would lie outside of it.

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> study = cb.simulate(seeds=2, levels={"pose": [-3, 0, 3]}, impostors=2)
    >>> root = cb.datasets.to_release(study, tempfile.mkdtemp() + "/release")
    >>> sorted(entry.name for entry in root.iterdir())
    ['annotations', 'distances', 'final_picked_pose', 'truth.nc']
    """
    flag_in(archive, "archive")
    path = user_path(path)
    if factors_of(study) != FACTORS:
        raise DataError(
            f"the study's factors are {', '.join(factors_of(study))}",
            hint=f"the release's layout needs {', '.join(FACTORS)}",
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError("the directory is not empty", hint="give a new one", file=str(path))
    stimuli = to_frame(study, "stimuli")
    _check_names(study, stimuli)
    with replacing(path) as scratch:
        scratch.mkdir()
        _write_images(stimuli, json.loads(study.attrs.get("references", "{}")), scratch, archive)
        names = pd.Series(annotation_names(stimuli).to_numpy(), index=stimuli["stimulus"])
        if names.duplicated().any():
            raise DataError(
                f"{names[names.duplicated()].iloc[0]!r} would name both a prototype and an age",
                hint="the layout needs ages other than 0",
            )
        sides = _sides(study, names)
        _write_answers(study, names, sides, scratch)
        _write_distances(study, sides, scratch)
        if "truth" in study.children:
            write_netcdf(xr.DataTree(study["truth"].to_dataset()), scratch / "truth.nc")
    return path


def _check_names(study: xr.DataTree, stimuli: pd.DataFrame) -> None:
    """Refuse names that would be written outside the directory or run by a spreadsheet."""
    for image in stimuli["image"].dropna():
        check_path(str(image), "stimuli")
    for group, coordinate in (("human", "question"), ("machine", "system")):
        if group in study.children:
            part = study[group].to_dataset()
            for text in set(map(str, part["status"].values.ravel())) if "status" in part else ():
                if re.match(RUN_BY_SPREADSHEETS, text):
                    raise DataError(
                        f"a spreadsheet would run {text!r}", hint="rename it", file=group
                    )
            for name in sorted(set(map(str, part[coordinate].values))):
                climbs = set("/\\:") & set(name) or name.startswith(".") or not name.isprintable()
                if climbs or re.match(RUN_BY_SPREADSHEETS, name):
                    raise DataError(
                        f"a file cannot be called {name!r}",
                        hint="rename it",
                        file=group,
                        column=coordinate,
                    )


def _write_images(
    stimuli: pd.DataFrame, references: dict[str, float], root: Path, archive: bool
) -> None:
    faces = stimuli[stimuli["image"].notna()].reset_index(drop=True)
    if archive:
        with zipfile.ZipFile(root / ARCHIVE, "w", zipfile.ZIP_STORED) as packed:
            _write_each(faces, references, packed.writestr)
        return
    for folder in sorted({str(PurePosixPath(image).parent) for image in faces["image"]}):
        (root / folder).mkdir(parents=True)
    _write_each(faces, references, lambda image, content: (root / image).write_bytes(content))


def _write_each(
    faces: pd.DataFrame, references: dict[str, float], write: Callable[[str, bytes], object]
) -> None:
    skin = faces["race"].map(TONES).fillna(0.6)
    hair = faces["gender"].map({"female": 1.0}).fillna(0.2)
    wobble = 0.1 * np.sin([zlib.crc32(str(one).encode()) for one in faces["seed"]])
    for rows in _chunks(len(faces)):
        moved = {}
        for name in references:
            furthest = max(faces[name].abs().max(), 1e-9)
            moved[name] = (faces[name].iloc[rows] / furthest).to_numpy(float)
        pictures = draw_faces(
            np.clip(skin.iloc[rows].to_numpy(float) + wobble[rows], 0, 1),
            hair.iloc[rows].to_numpy(float),
            moved,
        )
        for image, picture in zip(faces["image"].iloc[rows], pictures, strict=True):
            write(image, png(picture))


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, n, CHUNK))


def _sides(study: xr.DataTree, names: pd.Series) -> pd.DataFrame:
    """Return the image names of each pair's members, indexed by pair."""
    if "pairs" not in study.children:
        return pd.DataFrame(columns=["image_a", "image_b"])
    pairs = study["pairs"].to_dataset()
    return pd.DataFrame(
        {f"image_{side}": names.loc[pairs[f"stimulus_{side}"].values].to_numpy() for side in "ab"},
        index=pairs["pair"].values,
    )


def _write_answers(study: xr.DataTree, names: pd.Series, sides: pd.DataFrame, root: Path) -> None:
    """Write one CSV per question: image names, followed by alternating annotators and scores."""
    if "human" not in study.children:
        return
    columns = ["question", "pair", "stimulus", "annotator", "score"]
    parts = []
    for group in ("human", "unanswered"):
        if group in study.children:
            part = study[group].to_dataset().reset_coords().to_dataframe().reset_index(drop=True)
            parts.append(part.reindex(columns=columns))
    (root / "annotations").mkdir()
    for question, asked in pd.concat(parts, ignore_index=True).groupby("question", sort=True):
        target = "pair" if question == PAIR_QUESTION else "stimulus"
        items, order = _order(asked[target], sides.index if target == "pair" else names.index)
        slot = asked.groupby(items).cumcount().to_numpy()
        cells = np.full((len(order), 2 * (slot.max() + 1)), "", dtype=object)
        score = asked["score"].map("{:g}".format)
        cells[items, 2 * slot] = asked["annotator"].to_numpy()
        cells[items, 2 * slot + 1] = score.where(asked["score"].notna(), "").to_numpy()
        first = sides.loc[order] if target == "pair" else names.loc[order].to_frame("image")
        wide = np.concatenate([first.to_numpy(dtype=object), cells], axis=1)
        header = [*first.columns, *["annotator", "score"] * (slot.max() + 1)]
        table = pd.DataFrame(wide, columns=header)
        table.to_csv(root / "annotations" / f"{question}.csv", index=False)


def _order(items: pd.Series, known: pd.Index) -> tuple[np.ndarray, pd.Index]:
    """Number the items in the order in which they occur in the study."""
    place = known.get_indexer(pd.Index(items))
    used = np.unique(place)
    return np.searchsorted(used, place), known[used]


def _write_distances(study: xr.DataTree, sides: pd.DataFrame, root: Path) -> None:
    """Write one CSV per system."""
    if "machine" not in study.children:
        return
    machine = study["machine"].to_dataset()
    (root / "distances").mkdir()
    both = sides.loc[machine["pair"].values].reset_index(drop=True)
    for at, system in enumerate(machine["system"].values):
        table = both.assign(
            distance=machine["distance"].values[at], status=machine["status"].values[at]
        )
        if "threshold" in machine:
            table["threshold"] = float(machine["threshold"].values[at])
        table.to_csv(root / "distances" / f"{system}.csv", index=False)
