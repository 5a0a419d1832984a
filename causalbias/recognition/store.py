"""What has been embedded already: one SQLite file, keyed by image content and embedder.

A batch is one transaction, so that a run that is killed loses at most the batch it was in.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.images import UNREADABLE

FORMAT = 2
APPLICATION = 0x63627265  # marks the file as ours: "cbre"
TABLE = """CREATE TABLE IF NOT EXISTS embeddings (
    key TEXT, image TEXT, status TEXT, note TEXT, vector BLOB, checksum INTEGER,
    PRIMARY KEY (key, image)
) WITHOUT ROWID"""
ELSEWHERE = "free some space, or give another directory; what is in it is as it was"
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
    """The outcome for one image: a status, a note, and the embedding where the status is ok."""

    status: str
    note: str
    vector: np.ndarray | None


@contextmanager
def open_store(path: Path | None) -> Iterator[sqlite3.Connection]:
    """Open the file, made where it is missing; None keeps everything in memory.

    Raises
    ------
    DataError
        If the file is no such store, or is damaged.
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
                    "an SQLite file of another kind or version",
                    hint="give another directory for the store",
                    file=place,
                )
            yield store
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise DataError(
            f"cannot use the store of embeddings ({error})",
            hint=HINTS.get(code, "delete it, and what is in it will be computed again"),
            file=place,
        ) from error


def _create(store: sqlite3.Connection) -> None:
    """Mark a new file as ours, all at once, so that a kill leaves none half made."""
    with store:
        store.execute("BEGIN IMMEDIATE")
        store.execute(f"PRAGMA application_id = {APPLICATION}")
        store.execute(f"PRAGMA user_version = {FORMAT}")
        store.execute(TABLE)


def stored_images(store: sqlite3.Connection, key: str) -> set[str]:
    """Hashes of the images that this embedder is done with.

    One that could not be read is tried again: another version of Pillow may know its format.
    """
    query = "SELECT image FROM embeddings WHERE key = ? AND status != ?"
    return {row[0] for row in store.execute(query, (key, UNREADABLE))}


def stored_features(store: sqlite3.Connection, key: str) -> int | None:
    """How many numbers the embedder's stored embeddings have; None where there are none."""
    query = "SELECT length(vector) FROM embeddings WHERE key = ? AND vector NOT NULL LIMIT 1"
    row = store.execute(query, (key,)).fetchone()
    return None if row is None else int(row[0]) // FLOAT32.itemsize


def add_records(store: sqlite3.Connection, key: str, records: Mapping[str, Record]) -> None:
    """Add the outcomes of a batch, all or none."""
    rows = [
        (key, image, one.status, one.note, _packed(one.vector)) for image, one in records.items()
    ]
    with store:
        store.executemany(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?, ?, ?)",
            [(*row, checksum_of(*row)) for row in rows],
        )


def read_records(store: sqlite3.Connection, key: str, images: Iterable[str]) -> dict[str, Record]:
    """Outcomes of some images, by hash.

    Raises
    ------
    DataError
        If a row is not as it was written, or a vector not as long as the others.
    """
    wanted, found = set(images), {}
    query = "SELECT image, status, note, vector, checksum FROM embeddings WHERE key = ?"
    for image, status, note, vector, checksum in store.execute(query, (key,)):
        if image in wanted:
            if checksum != checksum_of(key, image, status, note, vector):
                raise _damaged(f"the row of image {str(image)[:12]} is not as it was written")
            found[image] = Record(status, note, _unpacked(vector))
    lengths = {
        0 if one.vector is None else len(one.vector) for one in found.values() if one.status == "ok"
    }
    if len(lengths) > 1 or 0 in lengths:
        raise _damaged(f"embeddings of {sorted(lengths)} features for one embedder")
    for image, one in found.items():
        if one.vector is not None and not np.isfinite(one.vector).all():
            raise _damaged(f"the embedding of image {image[:12]} is not finite")
    return found


def _packed(vector: np.ndarray | None) -> bytes | None:
    return None if vector is None else vector.astype(FLOAT32).tobytes()


def checksum_of(*row: object) -> int:
    """Of what a row holds, of whatever kind damage has made it."""
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
