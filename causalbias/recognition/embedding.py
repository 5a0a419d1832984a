"""Embeddings of a set of images as a cube (system, stimulus, feature), resumable."""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, user_path
from causalbias.io.atomic import make_directory
from causalbias.recognition.alignment import RECIPES
from causalbias.recognition.choose import embedder as choose
from causalbias.recognition.crops import crop_of, image_files
from causalbias.recognition.embedder import ALIGNMENTS, Embedder, check_steady
from causalbias.recognition.images import (
    Decoded,
    list_images,
    read_image,
)
from causalbias.recognition.store import (
    Record,
    add_records,
    open_store,
    read_records,
    stored_features,
    stored_images,
)
from causalbias.study.tree import OK, group_of

STORE = "embeddings.sqlite"
# Of how image files are read: a change that moves pixels must change the key they are stored under.
READING = 2
CHECKED = 8  # images of a run that are embedded again, to see that nothing else moves them
NOT_FINITE = "embedding not finite"
NO_LENGTH = "embedding of length zero"
Progress = Callable[[str, int, int], None]


def embed(
    images: str | Path | Mapping[str, str | Path],
    embedder: str | Path | Embedder | Sequence[str | Path | Embedder] = "dlib",
    *,
    align: str | None = None,
    store: str | Path | None = None,
    batch: int = 32,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Embed face images with one or more embedders.

    Parameters
    ----------
    images : directory, or mapping of stimulus to path
        Of a directory, every image below it; a stimulus is called by its path without the ending.
        `attrs["left_out"]` says how many other files are there.
    embedder : str, path, Embedder or a list of them, default "dlib"
        A name or path is passed to `embedder`.
    align : {"dlib", "arcface", "none"}, optional
        How faces are found and cropped; by default as each embedder was trained. "none" for
        images that are such crops already. See `align_face`.
    store : directory, optional
        Where finished batches are kept, in ``embeddings.sqlite``. A second run, or one after a
        kill, computes only what is not there for the same image content, embedder and alignment.
    batch : int, default 32
        Images a batch.
    progress : callable, optional
        Called with system, images done and images in all.

    Returns
    -------
    Dataset
        `embedding` (system, stimulus, feature), float32, NaN where there is none; a system with
        fewer features than the largest is padded with zeros, which change no distance. `status`
        (system, stimulus): "ok", "face not detected", "unreadable image", "image too large",
        "blank image", "landmarks do not fit a face", "embedding not finite", "embedding of length
        zero" (where only directions are compared). `note`: "grey image", "2 faces, the largest
        taken", "HEIC cannot be read", and so on. By system: `features`, `metric`, `threshold`,
        `align`, `fingerprint`. By stimulus: `sha256` of the image file.

    Raises
    ------
    DataError
        If there are no images, an embedder is unknown or fails, gives one image two embeddings (it
        draws noise) or another one beside other images, or no image gave an embedding.

    Examples
    --------
    >>> import causalbias as cb, numpy as np, pathlib, tempfile
    >>> from PIL import Image
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    >>> for name, pixels in zip("ab", noise, strict=True):
    ...     Image.fromarray(pixels).save(root / f"{name}.png")
    >>> found = cb.embed(root, "wavelets", align="none")
    >>> found.sizes["stimulus"], found["status"].values.tolist()
    (2, [['ok', 'ok']])
    """
    chosen = _chosen(embedder)
    _check(chosen, align, batch)
    files, left_out = image_files(images)
    place = None if store is None else user_path(store)
    if place is not None:
        make_directory(place)
    with open_store(None if place is None else place / STORE) as opened:
        parts = [_one_system(files, one, align, opened, batch, progress) for one in chosen]
    return _joined(parts).assign_attrs(left_out=left_out)


def _chosen(embedder: str | Path | Embedder | Sequence[str | Path | Embedder]) -> list[Embedder]:
    several: Sequence[object] = [embedder]
    if isinstance(embedder, Sequence) and not isinstance(embedder, str):
        several = embedder
    found = []
    for one in several:
        if not isinstance(one, str | Path | Embedder):
            raise DataError(
                f"{one!r} is no embedder", hint="make one of a file or function by cb.embedder"
            )
        found.append(one if isinstance(one, Embedder) else choose(one))
    return found


def _one_system(
    files: Mapping[str, Path],
    embedder: Embedder,
    align: str | None,
    store: sqlite3.Connection,
    batch: int,
    progress: Progress | None,
) -> xr.Dataset:
    method = align or embedder.align
    recipe = f"{embedder.fingerprint} {RECIPES[method]} {READING}"
    key = hashlib.sha256(recipe.encode()).hexdigest()
    done = stored_images(store, key)
    hashes: dict[str, str] = {}
    pending: dict[str, Decoded] = {}
    checked = False
    for at, (name, path) in enumerate(files.items(), start=1):
        content = read_image(path)
        image = hashes[name] = hashlib.sha256(content).hexdigest()
        if image not in done and image not in pending:
            pending[image] = crop_of(content, method, embedder.size)
        if len(pending) == batch or (pending and at == len(files)):
            records = _embedded(pending, embedder, stored_features(store, key), not checked)
            checked = checked or any(one.vector is not None for one in records.values())
            add_records(store, key, records)
            done |= set(pending)
            pending.clear()
        if progress is not None:
            progress(embedder.name, at - len(pending), len(files))
    return _cube(hashes, read_records(store, key, hashes.values()), embedder, method)


def _embedded(
    crops: Mapping[str, Decoded], embedder: Embedder, features: int | None, check: bool
) -> dict[str, Record]:
    """The outcome of each image; `features` are those of the embeddings before, if there are."""
    ready = {image: crop.pixels for image, crop in crops.items() if crop.pixels is not None}
    by_image: dict[str, np.ndarray] = {}
    if ready:
        pixels = np.stack(list(ready.values()))
        vectors = embedder.vectors(pixels)
        if check:
            check_steady(embedder, pixels[:CHECKED], vectors[:CHECKED])
        if features is not None and vectors.shape[1] != features:
            raise DataError(
                f"embeddings of {features} numbers, then of {vectors.shape[1]}",
                hint="the network must return as many numbers for every image; change the version "
                "of a function that has changed",
                file=embedder.name,
            )
        by_image = dict(zip(ready, vectors, strict=True))
    return {image: _record(crop, by_image.get(image)) for image, crop in crops.items()}


def _record(crop: Decoded, vector: np.ndarray | None) -> Record:
    if vector is not None and not np.isfinite(vector).all():
        return Record(NOT_FINITE, crop.note, None)
    return Record(crop.status, crop.note, vector)


def _cube(
    hashes: Mapping[str, str], found: Mapping[str, Record], embedder: Embedder, method: str
) -> xr.Dataset:
    records = [_with_length(found[image], embedder) for image in hashes.values()]
    status = np.array([one.status for one in records])
    good = [one.vector for one in records if one.vector is not None]
    if not good:
        reasons, counts = np.unique(status, return_counts=True)
        told = ", ".join(f"{n} {why}" for why, n in zip(reasons, counts, strict=True))
        raise DataError(
            f"none of {len(records)} images gave an embedding ({told})",
            hint="check the images; align='none' takes crops as they are",
            file=embedder.name,
        )
    embedding = np.full((len(records), len(good[0])), np.nan, np.float32)
    embedding[status == OK] = good
    return xr.Dataset(
        {
            "embedding": (("system", "stimulus", "feature"), embedding[None]),
            "status": (("system", "stimulus"), status[None]),
            "note": (("system", "stimulus"), np.array([[one.note for one in records]])),
            "features": ("system", [len(good[0])]),
            "metric": ("system", [embedder.metric]),
            "threshold": ("system", [float(embedder.threshold)]),
            "align": ("system", [method]),
            "fingerprint": ("system", [embedder.fingerprint]),
        },
        coords={
            "system": [embedder.name],
            "stimulus": np.array(list(hashes)),
            "sha256": ("stimulus", np.array(list(hashes.values()))),
        },
        attrs={"kind": "embeddings"},
    )


def _with_length(record: Record, embedder: Embedder) -> Record:
    """The record; where only directions are compared, a vector of zeros is no embedding."""
    directed = embedder.unit or embedder.metric == "cosine"
    if directed and record.vector is not None and not record.vector.any():
        return Record(NO_LENGTH, record.note, None)
    return record


def _joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Systems along one dim, those with fewer features padded with zeros."""
    most = max(part.sizes["feature"] for part in parts)
    padded = []
    for part in parts:
        filled = part.pad(
            feature=(0, most - part.sizes["feature"]), mode="constant", constant_values=0
        )
        ok = filled["status"] == OK
        padded.append(filled.assign(embedding=filled["embedding"].where(ok)))
    return xr.concat(
        padded,
        "system",
        data_vars="minimal",
        coords="minimal",
        join="exact",
        compat="equals",
        combine_attrs="override",
    )


def _below(root: Path, image: str) -> Path:
    """The path of an image below a directory, written with slashes or as Windows does."""
    path = root / user_path(image)
    if "\\" in image and not path.is_file():
        path = root / PureWindowsPath(image).as_posix()
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(
            f"the image {path.name!r} lies outside the directory",
            hint="move it in",
            file=str(root),
        )
    return path


def images_of(study: xr.DataTree, root: str | Path) -> dict[str, Path]:
    """Where the images of a study's faces lie: stimulus to path.

    Parameters
    ----------
    study : DataTree
        With ``/stimuli``. Its `image` is a path below the root; without it, an image is called
        as its stimulus. A face without an image is left out: its pairs get the status "no image".
    root : directory

    Raises
    ------
    DataError
        If no face has an image there, or a path leads out of the root.
    """
    if "stimuli" not in study.children:
        raise DataError("the study has no faces", hint="give make_study the table of stimuli")
    stimuli = group_of(study, "stimuli")
    present = stimuli["present"].values
    names = stimuli["stimulus"].values[present].astype(str).tolist()
    if "image" in stimuli:
        images = stimuli["image"].values[present]
        paths = {
            name: _below(user_path(root), str(image))
            for name, image in zip(names, images, strict=True)
            if not pd.isna(image) and str(image).strip()
        }
        found = {name: path for name, path in paths.items() if path.is_file()}
    else:
        files = list_images(root)
        found = {name: files[name] for name in names if name in files}
    if not found:
        raise DataError(
            f"none of the study's {len(names)} faces has an image there",
            hint=f"name them as the study does, e.g. {names[0]}.jpg",
            file=str(root),
        )
    return found


def _check(embedders: Sequence[Embedder], align: str | None, batch: int) -> None:
    names = [one.name for one in embedders]
    if not names or len(set(names)) < len(names):
        raise DataError(f"embedders {names}", hint="give at least one, each with its own name")
    if align is not None and align not in ALIGNMENTS:
        raise DataError(f"alignment {align!r}", hint=f"use one of {', '.join(ALIGNMENTS)}")
    if not isinstance(batch, int | np.integer) or batch < 1:
        raise DataError(f"batch {batch}", hint="give a number from 1")
