"""Print a result of several parts: what each part is, in a line, and not its numbers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.arguments import kind_of
from causalbias.draws.basis import attributes
from causalbias.draws.summaries import SAMPLE

WIDTH = 100  # of a line


class Listed:
    """Base of dataclasses of results that print as the list of their parts.

    The dataclass is made with ``repr=False``. Without this, one line of a terminal asks for tables
    of all rows that were read, and for every number that was estimated.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, repr=False)
    ... class Found(Listed):
    ...     means: pd.DataFrame
    ...     prob: float
    ...     curves: None = None
    >>> Found(pd.DataFrame({"race": ["black", "white"], "mean": [0.1, 0.2]}), 0.95)
    Found, of which each part prints by itself, as in found.means
      means   2 rows: race, mean
      prob    0.95
      curves  none
    """

    def __repr__(self) -> str:
        parts = {
            one.name: described_in_a_line(getattr(self, one.name))
            for one in dataclasses.fields(self)  # type: ignore[arg-type]
        }
        width = max(map(len, parts))
        example = next((name for name, one in parts.items() if one != "none"), "")
        head = f"{type(self).__name__}, of which each part prints by itself, as in found.{example}"
        return "\n".join([head, *(f"  {name:{width}}  {one}" for name, one in parts.items())])


def described_in_a_line(value: Any) -> str:
    """What a part of a result is.

    Examples
    --------
    >>> described_in_a_line({"black": pd.DataFrame({"mean": [0.1]})})
    'by black: 1 row: mean'
    >>> described_in_a_line(None), described_in_a_line(("race", "gender"))
    ('none', "('race', 'gender')")
    """
    if value is None:
        return "none"
    if isinstance(value, pd.DataFrame):
        rows = f"{len(value):,} row{'' if len(value) == 1 else 's'}"
        line = f"{rows}: {', '.join(map(str, value.columns))}" if len(value) else "none"
    elif isinstance(value, xr.Dataset):
        dims = {str(name): size for name, size in value.sizes.items() if name not in SAMPLE}
        sizes = ", ".join(f"{name} ({size:,})" for name, size in dims.items())
        line = f"{attributes(value).get('estimand', 'estimate')}{f', by {sizes}' if sizes else ''}"
    elif isinstance(value, xr.DataTree):
        line = kind_of(value)
    elif isinstance(value, Mapping):
        first = described_in_a_line(next(iter(value.values()))) if value else ""
        line = f"by {', '.join(map(str, value))}: {first}" if value else "none"
    elif hasattr(value, "frame") and isinstance(value.frame, pd.DataFrame):
        line = described_in_a_line(value.frame)
    elif isinstance(value, str | int | float | tuple | list):
        line = repr(value)
    else:
        line = type(value).__name__
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
