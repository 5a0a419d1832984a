"""Store embeddings in an SQLite file, with the image's content and the embedder as key.

A batch is one transaction, so that a run that is killed loses at most one batch.
"""

import math
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.images import UNREADABLE

FORMAT = 3
APPLICATION = 0x63627265  # identifies files of this format: "cbre"
TABLE = """CREATE TABLE IF NOT EXISTS embeddings (
    key TEXT, image TEXT, status TEXT, note TEXT, faces REAL, confidence REAL, vector BLOB,
    checksum INTEGER,
    PRIMARY KEY (key, image)
) WITHOUT ROWID"""
ELSEWHERE = "free some space, or give another directory; what was stored before is unchanged"
HINTS = {
    sqlite3.SQLITE_FULL: ELSEWHERE,
    sqlite3.SQLITE_IOERR: ELSEWHERE,
    sqlite3.SQLITE_READONLY: ELSEWHERE,
    sqlite3.SQLITE_CANTOPEN: ELSEWHERE,
    sqlite3.SQLITE_BUSY: "wait until the other run that writes it has ended",
}
FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True)
class Record:
    """The outcome for an image, with the embedding if the status is "ok".

    `faces`, the number that the detector found, and `confidence` are NaN as in `Decoded`.
    """

    status: str
    note: str
    vector: np.ndarray | None
    faces: float = math.nan
    confidence: float = math.nan


@contextmanager
def open_store(path: Path | None) -> Iterator[sqlite3.Connection]:
    """Open the file, which is made if it does not exist; None keeps everything in memory.

    Raises
    ------
    DataError
        If the file is not a store of embeddings, or is damaged.
    """
    place = ":memory:" if path is None else str(path)
    try:
        with closing(sqlite3.connect(place, timeout=60)) as store:
            found = [
                store.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version", "schema_version")
            ]
            if found == [0, 0, 0]:
                _create(store)
            elif found[:2] != [APPLICATION, FORMAT]:
                raise DataError(
                    "the file is an SQLite file of another kind or version",
                    hint="give another directory for the store",
                    file=place,
                )
            yield store
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise DataError(
            f"cannot use the store of embeddings ({error})",
            hint=HINTS.get(code, "delete it; its embeddings will be computed again"),
            file=place,
        ) from error


def _create(store: sqlite3.Connection) -> None:
    """Create the table of a new file in one transaction, so that no incomplete file can remain."""
    with store:
        store.execute("BEGIN IMMEDIATE")
        store.execute(f"PRAGMA application_id = {APPLICATION}")
        store.execute(f"PRAGMA user_version = {FORMAT}")
        store.execute(TABLE)


def stored_images(store: sqlite3.Connection, key: str) -> set[str]:
    """Return the hashes of the images with a stored outcome for an embedder.

    Images that could not be read are left out, since another version of Pillow may read them.
    """
    query = "SELECT image FROM embeddings WHERE key = ? AND status != ?"
    return {row[0] for row in store.execute(query, (key, UNREADABLE))}


def stored_features(stores: Iterable[sqlite3.Connection], key: str) -> int | None:
    """Return the number of features of an embedder's stored embeddings; None if there are none."""
    query = "SELECT length(vector) FROM embeddings WHERE key = ? AND vector NOT NULL LIMIT 1"
    for store in stores:
        row = store.execute(query, (key,)).fetchone()
        if row is not None:
            return int(row[0]) // FLOAT32.itemsize
    return None


def add_records(store: sqlite3.Connection, key: str, records: Mapping[str, Record]) -> None:
    """Add the outcomes of a batch in one transaction."""
    rows = [
        (key, image, one.status, one.note, *_seen(one), _packed(one.vector))
        for image, one in records.items()
    ]
    with store:
        store.executemany(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, checksum_of(*row)) for row in rows],
        )


def read_stores(
    stores: Sequence[sqlite3.Connection], key: str, images: Iterable[str]
) -> dict[str, Record]:
    """Read the outcomes of images from several stores, of which the first that knows one counts.

    An image that could not be read is unknown, if another store has another outcome.

    Raises
    ------
    DataError
        As `read_records`, of all stores together.
    """
    wanted, found = set(images), dict[str, Record]()
    for store in stores:
        for image, one in read_records(store, key, wanted).items():
            if image not in found or found[image].status == UNREADABLE:
                found[image] = one
    lengths = {len(one.vector) for one in found.values() if one.vector is not None}
    if len(lengths) > 1:
        raise _damaged(f"an embedder has embeddings of {sorted(lengths)} features")
    return found


def read_records(store: sqlite3.Connection, key: str, images: Iterable[str]) -> dict[str, Record]:
    """Read the outcomes of images, by hash.

    Raises
    ------
    DataError
        If a row is damaged, or embeddings have different lengths.
    """
    wanted, found = set(images), {}
    query = (
        "SELECT image, status, note, faces, confidence, vector, checksum FROM embeddings "
        "WHERE key = ?"
    )
    for image, status, note, faces, confidence, vector, checksum in store.execute(query, (key,)):
        if image in wanted:
            if checksum != checksum_of(key, image, status, note, faces, confidence, vector):
                raise _damaged(f"the row of image {str(image)[:12]} does not match its checksum")
            seen = [_number(one) for one in (faces, confidence)]
            found[image] = Record(status, note, _unpacked(vector), *seen)
    lengths = {
        0 if one.vector is None else len(one.vector) for one in found.values() if one.status == "ok"
    }
    if len(lengths) > 1 or 0 in lengths:
        raise _damaged(f"an embedder has embeddings of {sorted(lengths)} features")
    for image, one in found.items():
        if one.vector is not None and not np.isfinite(one.vector).all():
            raise _damaged(f"the embedding of image {image[:12]} is not finite")
    return found


def _seen(one: Record) -> list[float | None]:
    """Return number of faces and confidence; SQLite's NULL stands for NaN."""
    return [None if math.isnan(value) else float(value) for value in (one.faces, one.confidence)]


def _number(value: object) -> float:
    if value is not None and not isinstance(value, int | float):
        raise _damaged("a number of faces, or a confidence, is not a number")
    return math.nan if value is None else float(value)


def _packed(vector: np.ndarray | None) -> bytes | None:
    return None if vector is None else vector.astype(FLOAT32).tobytes()


def checksum_of(*row: object) -> int:
    """Compute the checksum of a row, whose cells may have any type if the file is damaged."""
    return zlib.crc32(repr(row).encode(errors="replace"))


def _unpacked(vector: bytes | None) -> np.ndarray | None:
    if vector is None:
        return None
    if not isinstance(vector, bytes) or len(vector) % FLOAT32.itemsize:
        raise _damaged(f"an embedding of {len(vector)} bytes")
    return np.frombuffer(vector, FLOAT32).astype(np.float32)


def _damaged(what: str) -> DataError:
    return DataError(
        what, hint="delete the store; it will be computed again", file="embeddings.sqlite"
    )
