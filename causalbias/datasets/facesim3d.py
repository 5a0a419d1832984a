"""The FaceSim3D release: how alike people find all pairs of 100 faces, in 2D and in 3D."""

from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.errors import DataError, at_first, user_path
from causalbias.study.reading import read_table

FILES = {"2D": "2D_similarity-rt.csv", "3D": "3D_similarity-rt.csv"}
TRIPLETS = 98  # of a pair with each other face: the similarity is the share in which it was chosen
FEMALE = 50  # faces 0 to 49 are female


def read_facesim3d(root: str | Path) -> pd.DataFrame:
    """Read the similarities of FaceSim3D (Hofmann et al.), one row per pair of faces.

    The similarity of a pair is the share of the triplets with each of the 98 other faces in which
    neither of the two was chosen as the odd one. Its standard error is that of a share of 98
    independent answers. It is too large if triplets with different third faces have different
    probabilities, so that what is corrected for it is an upper bound.

    Parameters
    ----------
    root : str or Path
        Directory of ``2D_similarity-rt.csv`` and ``3D_similarity-rt.csv``.

    Returns
    -------
    DataFrame
        `face_a`, `face_b` (texts "0" to "99"), `gender_a`, `gender_b` ("female", "male"), `2D`,
        `3D`, `2D_error`, `3D_error`, `2D_seconds`, `3D_seconds` (mean response times).

    Raises
    ------
    DataError
        If a file is missing, a pair is not written ``(0, 1)``, or the files' pairs differ.
    """
    folder = user_path(root)
    parts = [_side(folder / name, side) for side, name in FILES.items()]
    if set(parts[0].index) != set(parts[1].index):
        raise DataError(
            "the two files are not of the same pairs", hint="fetch both again", file=str(folder)
        )
    whole = parts[0].join(parts[1]).reset_index()
    for end in "ab":
        female = whole[f"face_{end}"].astype(int) < FEMALE
        whole[f"gender_{end}"] = np.where(female, "female", "male")
    first = ["face_a", "face_b", "gender_a", "gender_b"]
    return whole[[*first, *whole.columns.drop(first)]]


def _side(path: Path, side: str) -> pd.DataFrame:
    """Similarities of one file by pair."""
    frame = read_table(path)
    pair = frame.iloc[:, 0].astype(str)
    ids = pair.str.extract(r"^\((\d+), (\d+)\)$")
    if ids.isna().to_numpy().any():
        raise at_first(
            ids.isna().any(axis=1).to_numpy(),
            f"{pair[ids.isna().any(axis=1)].iloc[0]!r} is no pair",
            hint="pairs are written (0, 1); fetch the file again",
            file=path.name,
            column=str(frame.columns[0]),
        )
    share = frame["similarity"].astype(float)
    return pd.DataFrame(
        {
            side: share.to_numpy(),
            f"{side}_error": np.sqrt(share.to_numpy() * (1 - share.to_numpy()) / (TRIPLETS - 1)),
            f"{side}_seconds": frame["response_time"].to_numpy(float),
        },
        index=pd.MultiIndex.from_arrays([ids[0], ids[1]], names=["face_a", "face_b"]),
    )
