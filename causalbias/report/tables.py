"""Tables as CSV that is safe to open in a spreadsheet, and as rounded text for people."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.io.atomic import RUN_BY_SPREADSHEETS
from causalbias.io.storage import replace_text


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; text that a spreadsheet would run as a formula is quoted."""
    safe = table.copy()
    for column in safe:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = ["" if pd.isna(cell) else _harmless(str(cell)) for cell in safe[column]]
    safe.columns = pd.Index([_harmless(str(name)) for name in safe])
    replace_text(path, safe.to_csv(index=False, lineterminator="\n"))


def _harmless(text: str) -> str:
    """A cell that no spreadsheet runs, and that no carriage return splits in two."""
    text = re.sub(r"[\x00-\x1f]", " ", text)
    return "'" + text if re.match(RUN_BY_SPREADSHEETS, text) else text


def rounded(table: pd.DataFrame, digits: int = 3) -> list[list[str]]:
    """Cells as text, numbers with so many significant digits.

    Examples
    --------
    >>> rounded(pd.DataFrame({"n": [12345], "mean": [0.12345], "upper": [float("inf")]}))
    [['12,345', '0.123', 'unbounded']]
    """

    def show(value: object) -> str:
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if isinstance(value, int | np.integer):
            return f"{value:,}"
        if isinstance(value, float | np.floating):
            if np.isinf(value):
                return "unbounded"
            if np.isnan(value):
                return ""
            return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
        return str(value)

    return [[show(value) for value in row] for row in table.itertuples(index=False)]
