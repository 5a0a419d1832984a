"""Loaders of data sets, one module per published layout, as ``cb.datasets``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from causalbias.datasets.causalface.images import open_image
from causalbias.datasets.causalface.load import load_causalface
from causalbias.datasets.causalface.write import to_release
from causalbias.datasets.demo import demo_study
from causalbias.datasets.facesim3d import read_facesim3d
from causalbias.datasets.omi import load_omi, load_omi_ratings
from causalbias.datasets.scores import Scores, read_scores
from causalbias.datasets.tidy import load_tidy
from causalbias.errors import DataError, user_path
from causalbias.study.pairs import stimuli_from_names
from causalbias.study.tree import Study

__all__ = [
    "Scores",
    "demo_study",
    "load",
    "load_causalface",
    "load_omi",
    "load_omi_ratings",
    "load_tidy",
    "open_image",
    "read_facesim3d",
    "read_scores",
    "stimuli_from_names",
    "to_release",
]

LOADERS: dict[str, Callable[..., Study]] = {
    "causalface": load_causalface,
    "omi": load_omi,
    "omi-ratings": load_omi_ratings,
    "tidy": load_tidy,
}


def load(dataset: str, path: str | Path, **layout: Any) -> Study:
    """Load a data set into a study.

    Parameters
    ----------
    dataset : {"causalface", "omi", "omi-ratings", "tidy"}
        Layout of the files, which is described in `load_causalface`, `load_omi`,
        `load_omi_ratings` and `load_tidy`.
    path : str or Path
        Directory or file of the data set. Nothing outside it is read.
    **layout
        Further arguments of the layout's loader ("causalface" and "tidy" have some).

    Returns
    -------
    Study

    Raises
    ------
    DataError
        If the layout is unknown or a file cannot be used. The error names the file, the column and
        the row, and gives a hint.
    """
    if dataset not in LOADERS:
        raise DataError(
            f"no layout of data sets is called {dataset!r}", hint=f"use one of {', '.join(LOADERS)}"
        )
    return LOADERS[dataset](user_path(path), **layout)
