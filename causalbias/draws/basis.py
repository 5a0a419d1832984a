"""What the numbers of a cell rest on, beside its draws, so that it survives `xarray.concat`.

xarray gives a combination of datasets the attributes of the first. A coordinate is combined like
the data: where two estimates differ in it, each cell of their combination keeps its own. So the
attributes by which a table labels its numbers are kept as a coordinate too.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

BASIS = "_basis"
# A coordinate of single variables of failed fits: `xarray.concat` keeps it, whichever comes first,
# and drops the attributes of all but the first. It has one value, so that none conflict.
UNCONVERGED = "_not_converged"
# Attributes that label numbers in a table, and the failed diagnostics behind them.
LABELS = ("reference", "scale", "population", "cohort", "match", "threshold_cohort")
FAILURES = "failures"


def with_basis[Data: xr.Dataset](found: Data) -> Data:
    """The dataset with a coordinate of what its attributes say, in the place of an earlier one."""
    said = {key: str(found.attrs[key]) for key in (*LABELS, FAILURES) if key in found.attrs}
    plain = found.drop_vars([BASIS, UNCONVERGED], errors="ignore")
    return plain.assign_coords({BASIS: json.dumps(said, sort_keys=True)})


def without_basis[Data: (xr.Dataset, xr.DataArray)](found: Data) -> Data:
    """The dataset or array without that coordinate, and without that of a failed fit."""
    return found.drop_vars([BASIS, UNCONVERGED], errors="ignore")


def is_combined(found: xr.Dataset) -> bool:
    """Whether estimates that differ in their basis were put together.

    Examples
    --------
    >>> one, two = (
    ...     with_basis(xr.Dataset({"effect": ("draw", [0.0])}, attrs={"scale": scale}))
    ...     for scale in ("response", "link")
    ... )
    >>> options = {"coords": "different", "compat": "equals"}  # xarray's defaults of today
    >>> is_combined(one), is_combined(xr.concat([one, two], "model", **options))
    (False, True)
    """
    return BASIS in found.coords and found[BASIS].ndim > 0


def stated(found: xr.Dataset) -> list[dict[str, str]]:
    """What each cell rests on, of a combination; one for all else; none where it is not known."""
    if BASIS not in found.coords:
        return []
    cells = found.coords[BASIS].values.ravel().tolist()
    return [read(one) for one in dict.fromkeys(cells)]


def of_cells(found: xr.Dataset, sample: Sequence[str]) -> xr.Dataset:
    """The dataset with one basis a cell, where estimates were put together along the draws.

    That is what the draws of a cell agree in, and all of the diagnostics that failed.
    """
    if BASIS not in found.coords or not set(sample) & set(found[BASIS].dims):
        return found
    cells = found.coords[BASIS]
    along = [one for one in cells.dims if one in sample]
    plain = cells.reset_coords(drop=True).drop_vars(along, errors="ignore")
    joined = xr.apply_ufunc(_in_common, plain, input_core_dims=[along], vectorize=True)
    return without_basis(found).assign_coords({BASIS: joined.astype(object)})


def _in_common(cells: Any) -> str:
    first, *others = [read(one) for one in dict.fromkeys(np.ravel(cells).tolist())]
    agreed = {
        key: value
        for key, value in first.items()
        if key in LABELS and all(one.get(key) == value for one in others)
    }
    failed = [one for each in (first, *others) for one in json.loads(each.get(FAILURES, "[]"))]
    return json.dumps(agreed | {FAILURES: json.dumps(list(dict.fromkeys(failed)))}, sort_keys=True)


def attributes(found: xr.Dataset) -> dict[str, Any]:
    """The attributes; of labels, what all cells agree in.

    A part that is selected of a combination has the attributes of the first estimate still.
    """
    said = stated(found)
    if not said:
        return dict(found.attrs)
    agreed = {
        key: value
        for key, value in said[0].items()
        if key in LABELS and all(one.get(key) == value for one in said)
    }
    return {key: value for key, value in found.attrs.items() if key not in LABELS} | agreed


def read(cell: object) -> dict[str, str]:
    """What a cell of the coordinate says; nothing where a cell of a combination is empty."""
    return dict(json.loads(cell)) if isinstance(cell, str) and cell else {}


def with_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose column of bases is replaced by columns of what they say, `converged` last."""
    cells = frame.pop(BASIS).map(read)
    for key in LABELS:
        if cells.map(lambda one, key=key: key in one).any():
            frame[key] = cells.map(lambda one, key=key: one.get(key, ""))
    return frame.assign(converged=cells.map(lambda one: one.get(FAILURES, "[]") == "[]"))
