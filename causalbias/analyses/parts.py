"""What the published analyses share: fitting with progress and files, joining estimates."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.draws.pairing import shuffled
from causalbias.draws.summaries import marked
from causalbias.errors import DataError
from causalbias.models.fit import fit
from causalbias.models.result import Fit


def fit_one(
    formula: str,
    rows: pd.DataFrame,
    what: str,
    *,
    progress: Callable[[str], None] | None,
    keep: Path | None,
    **sampling: Any,
) -> Fit:
    """Fit one model of an analysis: say `what` first, and keep it in a file named after that.

    Raises
    ------
    DataError
        That of `fit`, naming the model.
    """
    if progress is not None:
        progress(what)
    file = None if keep is None else keep / f"{_file_name(what)}.nc"
    try:
        return fit(formula, rows, file=file, **sampling)
    except DataError as error:
        raise DataError(
            f"{what}: {error.problem}",
            hint=error.hint,
            file=error.file,
            column=error.column,
            row=error.row,
        ) from error


def _file_name(what: str) -> str:
    """File name for a label from the data, which may hold anything."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", what).strip("-")[:40]
    return f"{readable}-{hashlib.sha256(what.encode()).hexdigest()[:6]}"


def join(parts: dict[str, xr.Dataset], dim: str) -> xr.Dataset:
    """Estimates of several models as one dataset with a new dim, their draws as independent.

    Fits of one random seed use the same random numbers: as they stand, their draws go together.
    """
    index = pd.Index(list(parts), name=dim)
    apart = [shuffled(part, random_seed=at) for at, part in enumerate(parts.values())]
    joined = xr.concat(apart, index, combine_attrs="override", join="outer")
    return marked(joined, *parts.values())
