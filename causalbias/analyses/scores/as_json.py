"""The results of an audit as one machine-readable file; docs/howto/audit.md describes it."""

import json
from typing import Any

import numpy as np
import pandas as pd

from causalbias import __version__
from causalbias.analyses.scores.analysis import Audit

TABLES = (
    *("rates", "indices", "ratios", "pairwise", "between", "trade_off"),
    *("accuracy", "equal_error", "pooled"),
)
FORMAT, VERSION = "causalbias-rates", 1


def results_as_json(result: Audit, tables: dict[str, pd.DataFrame]) -> str:
    """Everything that the tables of an audit say, as JSON without NaN: null is not known."""
    scores = result.scores
    found: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "causalbias": __version__,
        "probability": result.prob,
        "random_seed": result.random_seed,
        "data": {
            "name": scores.name,
            "score": scores.kind,
            "systems": scores.systems,
            "factors": scores.by,
            "groups": result.groups,
            "columns": _rows(scores.taken),
            "excluded": _rows(scores.excluded),
            "files": _rows(scores.sources),
            "remarks": scores.remarks,
            "counts": _rows(result.counts),
        },
        "operating_points": [
            {"name": point.name, "fmr": point.fmr, "thresholds": point.thresholds}
            for point in result.points
        ],
    }
    for name in TABLES:
        found[name] = _rows(tables[name]) if name in tables else []
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as JSON has them."""
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _plain(value: object) -> object:
    """A number, truth, text, or None where it is missing or not bounded."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, (bool, int, float, str)):
        return value
    return None if value is None or value is pd.NA else str(value)
