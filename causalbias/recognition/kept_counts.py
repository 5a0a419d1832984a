"""Keep the counts of all pairs in a file while they are computed, so that a run can go on."""

import hashlib
from pathlib import Path

import numpy as np
import xarray as xr

from causalbias.errors import DataError
from causalbias.io.atomic import recover
from causalbias.io.storage import check_suffix, read_tree, save
from causalbias.rates.pair_counts import FINISHED, UNFINISHED
from causalbias.recognition.tiles import Counted

# Version of what is counted, and of the file that keeps it.
FORMAT = 1


def fingerprint(shell: xr.Dataset, digest: str, tile: int) -> str:
    """Return the SHA-256 of what the counts depend on.

    Parameters
    ----------
    shell : Dataset
        Coordinates and attributes of the counts.
    digest : str
        That of the embeddings.
    tile : int
        Rows of a tile.
    """
    content = hashlib.sha256(f"{FORMAT} {digest} {shell.attrs['metric']} {tile}".encode())
    for name in ("threshold", "low", "high", "face", "face_identity"):
        content.update(np.ascontiguousarray(shell[name].values).data)
    code = np.unique(shell["face_group"].values, return_inverse=True)[1]
    content.update("\0".join(shell["group"].values).encode() + code.tobytes())
    return content.hexdigest()


def filled(shell: xr.Dataset, counts: Counted) -> xr.Dataset:
    """Add counts to their coordinates."""
    by_group = ("kind", "group", "other")
    by_face = ("threshold", "face", "other")
    return shell.assign(
        histogram=((*by_group, "bin"), counts.histogram),
        matches=((*by_group, "threshold"), counts.matches),
        n=(by_group, counts.histogram.sum(axis=-1)),
        face_matches=(by_face, counts.of_face[0]),
        face_genuine_matches=(by_face, counts.of_face[1]),
    )


def keep(path: Path, shell: xr.Dataset, counts: Counted, done: np.ndarray) -> None:
    """Write unfinished counts, in place of earlier ones; `done` (pair of tiles,) are counted."""
    unfinished = filled(shell, counts).assign(done=("pair_of_tiles", done))
    save(unfinished.assign_attrs(kind=UNFINISHED), path)


def kept(path: Path, own: str) -> xr.Dataset | None:
    """Read the counts in a file, finished or not, if it exists.

    Raises
    ------
    DataError
        If it is damaged, or its counts have another fingerprint.
    """
    check_suffix(path)
    if not path.exists():
        recover(path)  # a run may have been killed while it replaced this file
    if not path.exists():
        return None
    try:
        found = read_tree(path).to_dataset()
    except DataError as error:
        raise DataError(
            error.problem, hint="delete it, and the pairs are counted again", file=str(path)
        ) from error
    if found.attrs.get("kind") not in (FINISHED, UNFINISHED):
        raise DataError(
            "the file holds no counts of all pairs", hint="give another file", file=str(path)
        )
    if found.attrs.get("fingerprint") != own:
        raise DataError(
            "the file was begun with other embeddings, groups, identities, thresholds, metric, or "
            "bins",
            hint="give what it was begun with, or another file",
            file=str(path),
        )
    return found


def counted(found: xr.Dataset) -> tuple[Counted, np.ndarray]:
    """Return the counts of unfinished ones, and which pairs of tiles they are of."""
    of_face = [found[name].values for name in ("face_matches", "face_genuine_matches")]
    whole = Counted(found["histogram"].values, found["matches"].values, np.stack(of_face))
    return whole, found["done"].values.astype(bool)
