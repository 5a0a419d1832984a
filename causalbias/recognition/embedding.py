"""Embed a set of images: a Dataset (system, stimulus, feature), with resumable computation."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError, user_path
from causalbias.io.atomic import make_directory
from causalbias.recognition.alignment import DETECTED, recipe
from causalbias.recognition.choose import embedder as choose
from causalbias.recognition.crops import crop_of, image_files
from causalbias.recognition.embedder import ALIGNMENTS, DETECTORS, Embedder, check_steady
from causalbias.recognition.images import (
    Decoded,
    list_images,
    read_image,
    without_warnings,
)
from causalbias.recognition.store import (
    Record,
    add_records,
    open_store,
    read_stores,
    stored_features,
    stored_images,
)
from causalbias.recognition.threads import in_order, number_of_workers
from causalbias.study.tree import OK, group_of

STORE = "embeddings.sqlite"
# Version of the reading of image files. A change that alters pixels must change the store's keys.
READING = 2
READERS = 8  # default number of threads at most, as each may hold a large photograph in memory
CHECKED = 8  # number of images that are embedded again, to check that embeddings do not vary
NOT_FINITE = "embedding not finite"
NO_LENGTH = "embedding of length zero"
Progress = Callable[[str, int, int], None]


def embed(
    images: str | Path | Mapping[str, str | Path],
    embedder: str | Path | Embedder | Sequence[str | Path | Embedder] = "dlib",
    *,
    align: str | None = None,
    detector: str | None = None,
    store: str | Path | Sequence[str | Path] | None = None,
    batch: int = 32,
    workers: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Embed face images with one or more embedders.

    Parameters
    ----------
    images : directory, or mapping of stimulus to path
        With a directory, every image below it is embedded, and the name of a stimulus is its path
        without the ending; `attrs["left_out"]` of the result states the number of other files.
    embedder : str, Path, Embedder or a list of them, default "dlib"
        A name or path is passed to `embedder`.
    align : {"dlib", "dlib-0.2", "arcface", "clip", "none"}, optional
        Method of finding and cropping faces, see `align_face`; by default that of each embedder's
        training. Use "none" for images that are crops already.
    detector : {"hog", "cnn", "yunet"}, optional
        Detector for all embedders, see `align_face`; by default each embedder's own.
    store : directory or list of directories, optional
        Directory in which finished batches are stored, as ``embeddings.sqlite``. A later run
        computes only embeddings that are not stored for the same image content, embedder and
        alignment. Several processes of one machine may write to one directory; machines of a
        cluster write to one each, a part of the images by each, and a list of these directories is
        then read as one store. What is in none of them is computed and stored in the first.
    batch : int, default 32
        Number of images per batch.
    workers : int, optional
        Number of threads that read and align images while the network runs, so that it does not
        wait for them; by default one per core, at most 8. With 1, images are read, aligned and
        embedded in turn. The result is the same for any number.
    progress : callable, optional
        Function that is called with the system, the number of images done and of all images.

    Returns
    -------
    Dataset
        `embedding` (system, stimulus, feature), float32, NaN where there is none; a system with
        fewer features than the largest is padded with zeros, which change no distance. `status`
        (system, stimulus): "ok", "face not detected", "unreadable image", "image too large",
        "blank image", "landmarks do not fit a face", "embedding not finite", "embedding of length
        zero" (where only directions are compared). `note`: "grey image", "2 faces, the largest
        taken", "HEIC cannot be read", and so on. By system: `features`, `metric`, `threshold`,
        `align`, `detector` ("" if none was run), `fingerprint`. `faces` and `confidence` (system,
        stimulus): the number of faces found and the detector's score of the largest, NaN if no
        detector was run. By stimulus: `sha256` of the image file.

    Raises
    ------
    DataError
        If there are no images; if an embedder is unknown or fails; if an image's embedding varies,
        because the network draws noise or depends on the other images of the batch; if no image
        has an embedding.

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
    _check(chosen, align, detector, batch)
    workers = number_of_workers(workers, READERS)
    chosen = [
        replace(one, align=align or one.align, detector=detector or one.detector) for one in chosen
    ]
    files, left_out = image_files(images)
    places = _places(store)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_store(place)) for place in places]
        parts = [_one_system(files, one, opened, batch, workers, progress) for one in chosen]
    return _joined(parts).assign_attrs(left_out=left_out)


def _places(store: str | Path | Sequence[str | Path] | None) -> list[Path | None]:
    """Return the files of the stores, of which the first is made if it does not exist."""
    if store is None:
        return [None]
    folders = [user_path(one) for one in ([store] if isinstance(store, str | Path) else store)]
    if not folders or len({one.resolve() for one in folders}) < len(folders):
        raise DataError(
            f"{len(folders)} stores, of which some are the same" if folders else "no store",
            hint="give each directory once",
        )
    make_directory(folders[0])
    for folder in folders[1:]:
        if not (folder / STORE).is_file():
            raise DataError(
                "no embeddings are stored there", hint="correct the path", file=str(folder)
            )
    return [folder / STORE for folder in folders]


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
    stores: Sequence[sqlite3.Connection],
    batch: int,
    workers: int,
    progress: Progress | None,
) -> xr.Dataset:
    cropped = recipe(embedder.align, embedder.detector)
    key = hashlib.sha256(f"{embedder.fingerprint} {cropped} {READING}".encode()).hexdigest()
    done = set().union(*(stored_images(store, key) for store in stores))
    hashes: dict[str, str] = {}
    pending: dict[str, Decoded] = {}
    checked = False
    with _crops(files.values(), embedder, done, workers, batch) as crops:
        for at, (name, (image, crop)) in enumerate(zip(files, crops, strict=True), start=1):
            hashes[name] = image
            if crop is not None and image not in done:
                pending[image] = crop
            if len(pending) == batch or (pending and at == len(files)):
                features = stored_features(stores, key)
                records = _embedded(pending, embedder, features, not checked)
                checked = checked or any(one.vector is not None for one in records.values())
                add_records(stores[0], key, records)
                done |= set(pending)
                pending.clear()
            if progress is not None:
                progress(embedder.name, at - len(pending), len(files))
    return _cube(hashes, read_stores(stores, key, hashes.values()), embedder)


@contextmanager
def _crops(
    paths: Iterable[Path], embedder: Embedder, done: set[str], workers: int, batch: int
) -> Iterator[Iterator[tuple[str, Decoded | None]]]:
    """Read images in threads: an iterator of each one's hash, and of its crop if it is not done.

    A batch is prepared in advance, while the network runs on the one before.
    """

    def prepared(path: Path) -> tuple[str, Decoded | None]:
        content = read_image(path)
        image = hashlib.sha256(content).hexdigest()
        if image in done:
            return image, None
        return image, crop_of(content, embedder.align, embedder.size, embedder.detector)

    ahead = batch + workers
    with without_warnings(), closing(in_order(prepared, paths, workers, ahead)) as crops:
        yield crops


def _embedded(
    crops: Mapping[str, Decoded], embedder: Embedder, features: int | None, check: bool
) -> dict[str, Record]:
    """Embed a batch of crops; earlier embeddings, if there are any, have `features` features."""
    ready = {image: crop.pixels for image, crop in crops.items() if crop.pixels is not None}
    by_image: dict[str, np.ndarray] = {}
    if ready:
        pixels = np.stack(list(ready.values()))
        vectors = embedder.vectors(pixels)
        if check:
            check_steady(embedder, pixels[:CHECKED], vectors[:CHECKED])
        if features is not None and vectors.shape[1] != features:
            raise DataError(
                f"the network returned {features} features, and then {vectors.shape[1]}",
                hint="the network must return as many numbers for every image; change the version "
                "of a function that has changed",
                file=embedder.name,
            )
        by_image = dict(zip(ready, vectors, strict=True))
    return {image: _record(crop, by_image.get(image)) for image, crop in crops.items()}


def _record(crop: Decoded, vector: np.ndarray | None) -> Record:
    if vector is not None and not np.isfinite(vector).all():
        return Record(NOT_FINITE, crop.note, None, crop.faces, crop.confidence)
    return Record(crop.status, crop.note, vector, crop.faces, crop.confidence)


def _cube(hashes: Mapping[str, str], found: Mapping[str, Record], embedder: Embedder) -> xr.Dataset:
    records = [_with_length(found[image], embedder) for image in hashes.values()]
    status = np.array([one.status for one in records])
    good = [one.vector for one in records if one.vector is not None]
    if not good:
        reasons, counts = np.unique(status, return_counts=True)
        failures = ", ".join(f"{n} {why}" for why, n in zip(reasons, counts, strict=True))
        raise DataError(
            f"none of {len(records)} images has an embedding ({failures})",
            hint="check the images; with align='none', crops are used as they are",
            file=embedder.name,
        )
    embedding = np.full((len(records), len(good[0])), np.nan, np.float32)
    embedding[status == OK] = good
    return xr.Dataset(
        {
            "embedding": (("system", "stimulus", "feature"), embedding[None]),
            "status": (("system", "stimulus"), status[None]),
            "note": (("system", "stimulus"), np.array([[one.note for one in records]])),
            "faces": (("system", "stimulus"), np.array([[one.faces for one in records]])),
            "confidence": (("system", "stimulus"), np.array([[one.confidence for one in records]])),
            "features": ("system", [len(good[0])]),
            "metric": ("system", [embedder.metric]),
            "threshold": ("system", [float(embedder.threshold)]),
            "align": ("system", [embedder.align]),
            "detector": ("system", [embedder.detector if embedder.align in DETECTED else ""]),
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
    """Mark a vector of zeros as a failure if the metric is the cosine, which it does not have."""
    directed = embedder.unit or embedder.metric == "cosine"
    if directed and record.vector is not None and not record.vector.any():
        return replace(record, status=NO_LENGTH, vector=None)
    return record


def _joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Concatenate systems, after padding those with fewer features with zeros."""
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
    """Return the path of an image below a directory; it may be written with backslashes."""
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
    """Find the images of a study's faces: a mapping of stimulus to path.

    Parameters
    ----------
    study : DataTree
        A study with ``/stimuli``. Its `image` is a path below the root; if there is no `image`, the
        name of an image is that of its stimulus. A face without an image is left out, and its pairs
        get the status "no image".
    root : str or Path
        Directory of the images.

    Raises
    ------
    DataError
        If no face has an image in the directory, or a path leads out of it.
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
            f"none of the study's {len(names)} faces has an image in the directory",
            hint=f"name the images as the study does, e.g. {names[0]}.jpg",
            file=str(root),
        )
    return found


def _check(
    embedders: Sequence[Embedder], align: str | None, detector: str | None, batch: int
) -> None:
    names = [one.name for one in embedders]
    if not names or len(set(names)) < len(names):
        raise DataError(f"embedders {names}", hint="give at least one, each with its own name")
    if align is not None and align not in ALIGNMENTS:
        raise DataError(f"alignment {align!r}", hint=f"use one of {', '.join(ALIGNMENTS)}")
    if detector is not None and detector not in DETECTORS:
        raise DataError(f"detector {detector!r}", hint=f"use one of {', '.join(DETECTORS)}")
    if not isinstance(batch, int | np.integer) or batch < 1:
        raise DataError(f"batch {batch}", hint="give a number from 1")
