"""Data that are not in memory, or are sums already: one summary of all of their rows."""

from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.arguments import need_rows, not_what
from causalbias.errors import DataError
from causalbias.io.storage import SUFFIXES
from causalbias.io.storage import open as open_tree
from causalbias.models.rows import group_for
from causalbias.models.specification import ModelSpec
from causalbias.models.summaries.pieces import is_dask
from causalbias.models.summaries.summarise import summed
from causalbias.models.summaries.tree import RowSummary, is_summary, sum_of
from causalbias.study.frames import is_lazy

GIVEN = "a study, a table, a dask DataFrame, a path of Parquet files, or summaries of rows"


def gathered(spec: ModelSpec, data: Any, subset: str | None, missing: str) -> RowSummary | None:
    """The summary of data in pieces, or the sum of summaries; None of rows in memory.

    Raises
    ------
    DataError
        If data are none of these, or rows of summaries would have to be chosen.
    """
    if isinstance(data, xr.DataTree) and not is_summary(data):
        need_rows(data)
        if is_lazy(data, group_for(spec.formula)):
            return summed(spec, data, subset=subset, missing=missing)
        return None
    if isinstance(data, pd.DataFrame):
        return None
    several = list(data) if isinstance(data, list | tuple) else [data]
    if all(_is_sums(one) for one in several) and several:
        if subset is not None or missing != "refuse":
            raise DataError(
                "a subset of rows, or missing=, of summaries, which hold no row",
                hint="give it to summarise_rows",
            )
        read = [one if is_summary(one) else _opened(one) for one in several]
        names = [
            str(one) if isinstance(one, str | Path) else f"summary {at}"
            for at, one in enumerate(several, start=1)
        ]
        return sum_of(read, names, spec)
    if several and (is_dask(data) or all(isinstance(one, str | Path) for one in several)):
        return summed(spec, data, subset=subset, missing=missing)
    raise not_what(data, GIVEN)


def _is_sums(one: object) -> bool:
    return is_summary(one) or (isinstance(one, str | Path) and Path(one).suffix in SUFFIXES)


def _opened(path: str | Path) -> xr.DataTree:
    found = open_tree(path)
    if not is_summary(found):
        raise DataError(
            "not a summary of rows",
            hint="open it with cb.open and give that",
            file=str(path),
        )
    return found  # type: ignore[return-value]
