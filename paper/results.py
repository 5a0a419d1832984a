"""What a stage of the paper hands on: numbers as the text prints them, claims, tables, figures."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import causalbias as cb


@dataclass
class Results:
    """Results of one stage.

    Attributes
    ----------
    numbers : dict of str to str
        By the key that the text cites.
    claims : dict of str to bool
        Whether a sentence of the text holds; the paper does not build where one does not.
    tables : dict of str to {"columns", "rows"}
        Cells as text.
    alts : dict of str to str
        Alternative text of each figure, by its name.
    failures : list of str
        Diagnostics that a fit behind these failed.
    """

    numbers: dict[str, str] = field(default_factory=dict)
    claims: dict[str, bool] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    alts: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def text(self) -> str:
        """As JSON, in one order."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False)

    def table(self, name: str, columns: list[str], rows: list[list[str]]) -> None:
        """Keep a table of text cells."""
        self.tables[name] = {"columns": columns, "rows": rows}

    def figure(self, folder: Path, name: str, figure: Figure, alt: str) -> None:
        """Write a figure as vectors, and keep what to say to those who cannot see it."""
        cb.plots.write(figure, folder / f"{name}.svg")
        self.alts[name] = alt


Stage = Callable[[dict[str, Any], Path, Path | None], Results]


def plain(value: float, digits: int = 2) -> str:
    """A number with a true minus sign; never minus zero, and words for what cannot be stated."""
    if math.isnan(value):
        return "not stated"
    text = f"{value:,.{digits}f}"
    return text.replace("-", "" if float(text.replace(",", "")) == 0 else "−")


def estimate(row: pd.Series, digits: int = 2, *, times: float = 1.0) -> str:
    """Estimate and interval: 0.12 (0.10 to 0.15)."""
    middle, low, high = (
        plain(times * row[name], digits) for name in ("estimate", "lower", "upper")
    )
    return f"{middle} ({low} to {high})"


def chance(value: float) -> str:
    """A posterior probability as some thousand draws can tell it."""
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else f"{value:.3f}"
