"""One look for every figure: sizes of a paper's columns, colour-blind safe, readable in grey."""

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causalbias.estimands.summaries import failed
from causalbias.writing import replacing

# Okabe and Ito's colours, ordered so that neighbours also differ in lightness; with a marker each,
# so that nothing rests on colour alone.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0  # inches
_STYLE = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "causalbias",
    "figure.constrained_layout.use": True,
}


def styled[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Draw a figure in the house style, leaving the user's own settings alone."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            return function(*args, **kwargs)

    return inner


def new_figure(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """Figure and axes that pyplot does not keep, so that notebooks show it once."""
    fig, axes = plt.subplots(figsize=(width, height), **grid)
    plt.close(fig)
    return fig, axes


def finish(fig: Figure, note: str, *draws: xr.Dataset | xr.DataArray | pd.DataFrame) -> Figure:
    """Write the note below a figure, and across it if a fit behind it did not converge."""
    if note:
        fig.supxlabel(note, fontsize=6, color="0.35", x=0.01, ha="left", wrap=True)
    if any(failed(one) for one in draws):
        fig.text(
            0.5, 0.5, "NOT CONVERGED", rotation=25, ha="center", va="center", fontsize=26,
            color="#D55E00", alpha=0.45, weight="bold", zorder=10,
        )  # fmt: skip
    return fig


def error_bars(axes: Axes, x: Any, y: Any, *, series: int = 0, **options: Any) -> None:
    """Points with intervals in the style of the n-th series."""
    settings: dict[str, Any] = {
        "fmt": MARKERS[series % len(MARKERS)],
        "color": COLOURS[series % len(COLOURS)],
        "elinewidth": 1.1,
        "capsize": 0,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
    }
    axes.errorbar(x, y, **(settings | options))


@styled
def write(fig: Figure, path: str | Path) -> Path:
    """Save a figure; the same figure gives the same bytes in PNG, SVG and PDF.

    Parameters
    ----------
    fig : Figure
    path : path ending in .png, .svg or .pdf

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> from matplotlib.figure import Figure
    >>> cb.plots.write(Figure(), tempfile.mkdtemp() + "/empty.svg").suffix
    '.svg'
    """
    path = Path(path)
    content = render(fig, path.suffix.lstrip("."))
    with replacing(path) as new:
        new.write_bytes(content)
    return path


@styled
def render(fig: Figure, kind: str) -> bytes:
    """Bytes of a figure as "png", "svg" or "pdf", without dates or program versions."""
    metadata: dict[str, Any] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }[kind]
    buffer = io.BytesIO()
    fig.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
