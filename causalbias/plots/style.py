"""Common style of figures: sizes for print, colours and markers that are easy to distinguish."""

import inspect
import io
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from causalbias.arguments import DRAWS, name_in, not_what
from causalbias.draws.marks import failed
from causalbias.draws.summaries import basis
from causalbias.errors import DataError, user_path
from causalbias.io.atomic import replacing

# The hues of Okabe and Ito, darkened to a contrast with white of 3 to 1 or more. Neighbours differ
# in lightness, and so in greyscale. Each has a marker, so that series differ not only in colour.
COLOURS = ("#0072B2", "#CC8400", "#00674A", "#C868A3", "#B23A00", "#4298D4", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_TICKS = 7  # of a logarithmic axis
LETTER, LINE = 0.06, 0.13  # inches, of an axis's label: width of a letter, height of a line
# The widths of most journals, 89 and 183 mm, in inches.
ONE_COLUMN, TWO_COLUMNS = 89 / 25.4, 183 / 25.4
FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine has it
# Of characters that it lacks, where installed: Chinese, Japanese, Korean and Indian scripts.
OTHER_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans"),
    *("WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
    *("Noto Sans Devanagari", "Lohit Devanagari", "Nirmala UI", "Arial Unicode MS"),
)
_STYLE = {
    "mathtext.fontset": "dejavusans",
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
    "axes.formatter.useoffset": False,  # ticks of 0 and 1 beside "+1e9" would be read as 0 and 1
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",  # so that figures are the same without an installed DejaVu Sans
    "svg.hashsalt": "causalbias",
    "figure.constrained_layout.use": True,
}


def styled[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Draw a figure in the house style, leaving the user's own settings alone.

    Arguments that the figure takes as draws or as a table are checked to be that, and to have the
    labels that it shows.
    """
    whole = inspect.signature(function)

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in whole.bind(*args, **kwargs).arguments.items():
            _check_kind(whole.parameters[name].annotation, value)
        _start_backend()
        with mpl.rc_context(_STYLE | {"font.family": fonts()}):  # type: ignore[arg-type]
            try:
                return function(*args, **kwargs)
            except KeyError as error:  # a dim, a column or an attribute of another estimate
                raise DataError(
                    f"plots.{function.__name__} needs {error.args[0]!s:.60}, which its argument "
                    "does not have",
                    hint="give what its docstring describes, or plots.forest for draws of one "
                    "or two dims",
                ) from error

    return inner


def _check_kind(wanted: object, value: object) -> None:
    """Raise where a figure of draws, or of a table, was given something else."""
    if wanted in (xr.Dataset, xr.DataArray) and not isinstance(value, wanted):
        raise not_what(value, DRAWS)
    if isinstance(value, xr.Dataset | xr.DataArray):
        empty = [str(dim) for dim, size in value.sizes.items() if not size]
        if empty:
            raise DataError(
                f"nothing is left to draw: no {' and no '.join(empty)} was selected",
                hint="select one or more",
            )
    if wanted is pd.DataFrame and not isinstance(value, pd.DataFrame):
        raise not_what(value, "a table (DataFrame)")


@cache
def fonts() -> list[str]:
    """The font of figures, and those that are installed of the ones for what it lacks."""
    known = {one.name for one in fontManager.ttflist}
    return [FONT, *(name for name in OTHER_FONTS if name in known)]


@cache
def _start_backend() -> None:
    """Make pyplot's first figure before the style is applied.

    The first figure starts the backend, which changes settings: that of notebooks turns
    `interactive` on. If this happened within the style's context, it would be undone with the
    style, and notebooks would not show the user's figures.
    """
    plt.close(plt.figure())


def new_figure(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """Make a figure and axes that pyplot does not keep, so that notebooks show it only once."""
    fig, axes = plt.subplots(figsize=(width, height), **grid)
    plt.close(fig)
    return fig, axes


def one_panel(height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure of a single panel, one column of a journal wide."""
    fig, axes = new_figure(ONE_COLUMN, height)
    return fig, [axes]


def facets(
    n: int, *, height: float = 1.7, columns: int = 4, share_y: bool = True
) -> tuple[Figure, list[Axes]]:
    """Make n panels of one scale, or of one horizontal scale, two columns of a journal wide."""
    across = min(columns, n)
    down = -(-n // across)
    fig, grid = new_figure(
        TWO_COLUMNS,
        0.7 + height * down,
        nrows=down,
        ncols=across,
        squeeze=False,
        sharex=True,
        sharey=share_y,
    )
    panels = list(grid.flat)
    for axes in panels[n:]:
        axes.set_visible(False)
    for axes in panels[max(n - across, 0) : n]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
    return fig, panels[:n]


def finish(
    fig: Figure,
    note: str,
    *draws: xr.Dataset | xr.DataArray | pd.DataFrame | xr.DataTree,
    levels: str = "",
) -> Figure:
    """Write the note below a figure, and across it if a fit behind it did not converge.

    The note ends in the levels of the intervals, what the estimates are against, and whose they
    are, where they say so. Labels of axes that are longer than these are broken into lines.
    """
    against = [basis(one) for one in draws if not isinstance(one, xr.DataTree)]
    note = " ".join(filter(None, [note, levels, *dict.fromkeys(against)]))
    if note:
        fig.supxlabel(_literal(note), fontsize=6, color="0.35", x=0.01, ha="left", wrap=True)
    _break_labels(fig)
    _make_room(fig, note)
    if any(failed(one) for one in draws):
        width, height = fig.get_size_inches()
        size = min(26, 5.5 * math.hypot(width, height))
        tilt = min(25.0, math.degrees(math.atan2(height, width)))
        fig.text(
            0.5,
            0.5,
            "NOT CONVERGED",
            rotation=tilt,
            ha="center",
            va="center",
            fontsize=size,
            color="#D55E00",
            alpha=0.45,
            weight="bold",
            zorder=10,
        )
    return fig


def _break_labels(fig: Figure) -> None:
    """Break the labels of axes into lines as long as these, where they would be cut or overlap."""
    sides = [(axes, axes.xaxis.label, 0) for axes in fig.axes]
    sides += [(axes, axes.yaxis.label, 1) for axes in fig.axes]
    shown = [side for side in sides if _may_be_long(fig, *side)]
    if not shown:
        return
    fig.draw_without_rendering()  # computes the layout, on which the room depends
    for axes, text, side in shown:
        room = axes.get_window_extent().size[side]
        length = text.get_window_extent().size[side]
        if length > room:
            most = max(map(len, text.get_text().splitlines()))
            text.set_text(_in_lines(text.get_text(), max(int(most * room / length), 8)))


def _may_be_long(fig: Figure, axes: Axes, text: Text, side: int) -> bool:
    """Whether a label may be longer than its axes, of which the layout leaves half or more."""
    lines = text.get_text().splitlines()
    horizontal = side == 1 and text.get_rotation() == 0
    if not axes.get_visible() or not lines or horizontal or "$" in text.get_text():
        return False  # a formula is not broken
    room = axes.get_position().size[side] * fig.get_size_inches()[side]
    return bool(max(map(len, lines)) * LETTER > room / 2)


def _make_room(fig: Figure, note: str) -> None:
    """Make a figure as much higher as its note has lines above two, and labels above one."""
    panels = [axes for axes in fig.axes if axes.get_visible()]
    labels = max((_lines(axes.xaxis.label) for axes in panels), default=1)
    titles = max((_lines(axes.title) for axes in panels), default=1)
    of_note = math.ceil(len(note) * LETTER * 0.8 / fig.get_figwidth())
    grow(fig, LINE * (labels + titles - 2) + 0.8 * LINE * max(of_note - 2, 0))


def _lines(text: Text) -> int:
    return max(1, text.get_text().count("\n") + 1)


def grow(fig: Figure, inches: float) -> None:
    """Make a figure higher."""
    width, height = fig.get_size_inches()
    fig.set_size_inches(width, height + inches)


def _in_lines(text: str, width: int) -> str:
    return "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, width))


def difference_name(value: object, draws: xr.Dataset, dim: str) -> str:
    """Name a level, and the reference that it is contrasted with where the dim is of a contrast.

    Examples
    --------
    >>> effect = xr.Dataset(attrs={"contrast": "race", "reference": "white"})
    >>> difference_name("black", effect, "race"), difference_name("male", effect, "gender")
    ('black \u2212 white', 'male')
    """
    name = str(value)
    if draws.attrs.get("contrast") != dim:
        return name
    if " - " in name and draws.attrs["reference"] == "each other level":
        return name.replace(" - ", " \u2212 ")
    return f"{name} \u2212 {draws.attrs['reference']}"


def in_asked_order(
    values: Sequence[Any], order: str | Sequence[object], sizes: pd.Series
) -> list[Any]:
    """Levels from the lowest row to the highest.

    Parameters
    ----------
    values : sequence
        In the data's order.
    order : {"size", "data"} or sequence
        The largest first, or the data's order, or the levels themselves, from the top.
    sizes : Series
        By level; a missing one comes last.

    Raises
    ------
    DataError
        If the levels are not those of the estimate.
    """
    if isinstance(order, str) and order == "size":
        return sizes.sort_values(na_position="first", kind="stable").index.tolist()
    chosen = list(values) if isinstance(order, str) and order == "data" else order
    if isinstance(chosen, str) or sorted(map(str, chosen)) != sorted(map(str, values)):
        raise DataError(
            f"order={order!r} is not an order of the rows",
            hint='use "size", "data", or every one of: ' + ", ".join(map(str, values)),
        )
    known = {str(one): one for one in values}
    return [known[str(one)] for one in chosen][::-1]


def letter(panels: Iterable[Axes]) -> None:
    """Write a, b, c ... beside the upper left corner of panels, if there are several."""
    shown = list(panels)
    for name, axes in zip(
        "abcdefghijklmnopqrstuvwxyz", shown if len(shown) > 1 else [], strict=False
    ):
        axes.annotate(
            name,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            weight="bold",
        )


def label(name: object, width: int = 22) -> str:
    """Format a name from the data for a figure: at most three short lines, without mathematics.

    The middle of a longer name is left out, since names of groups differ at their ends.

    Examples
    --------
    >>> label("middle eastern or north african").splitlines()
    ['middle eastern or', 'north african']
    """
    lines = textwrap.wrap(str(name), width)
    if len(lines) > 3:
        lines = [lines[0], f"{lines[1]} …", lines[-1]]
    return _literal("\n".join(lines))


def _literal(text: str) -> str:
    return text.replace("$", r"\$")


def key(name: object) -> str:
    """Make a name that legends show: matplotlib omits names that begin with an underscore."""
    return f" {name}" if str(name).startswith("_") else str(name)


def in_order[T](names: Iterable[T]) -> list[T]:
    """Sort labels alphabetically, with numbers within them by size, as in all figures.

    Examples
    --------
    >>> in_order(["net 10", "net 9", "black", "net 9"])
    ['black', 'net 9', 'net 10']
    """

    def parts_of(name: T) -> list[tuple[int, int | str]]:
        parts = re.split(r"(\d+)", str(name))
        return [(1, int(part)) if part.isdecimal() else (0, part) for part in parts]

    return sorted(dict.fromkeys(names), key=parts_of)


def row_height(names: Sequence[str], least: float) -> float:
    r"""Height of a row, in inches, that holds the name of most lines.

    Examples
    --------
    >>> row_height(["white", "middle eastern or\nnorth african"], 0.2)
    0.31
    """
    return max(least, 0.05 + LINE * (1 + max(name.count("\n") for name in names)))


def apart(values: Iterable[float], share: float = 0.12) -> list[float]:
    """Those of some places that are at least a share of their range apart, for ticks.

    Examples
    --------
    >>> apart([0.0, 0.001, 0.5, 1.0])
    [0.0, 0.5, 1.0]
    """
    ordered = sorted(set(values))
    least, kept = share * (ordered[-1] - ordered[0]), ordered[:1]
    for one in ordered[1:]:
        if one - kept[-1] >= least:
            kept.append(one)
    return kept


def few_ticks(axes: Axes) -> None:
    """Set at most six steps on the horizontal axis, so that tick labels do not overlap."""
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))


def log_ticks(*along: Axis) -> None:
    """Set few ticks of logarithmic axes, whose labels do not overlap, once their ends are set.

    They are at 1, 2 and 5 times powers of 10, or at powers of 10 only where these are enough; at
    equal steps where the axis is too short for two of these.
    """
    for axis in along:
        low, high = sorted(axis.get_view_interval())
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1,)):
            ticks = [digit * 10.0**power for power in powers for digit in digits]
            inside = [tick for tick in ticks if low <= tick <= high]
            if len(inside) <= MOST_TICKS:
                break
        if len(inside) < 2:
            steps = MaxNLocator(4).tick_values(low, high)
            inside = [tick for tick in steps if low <= tick <= high]
        axis.set_ticks(inside, labels=[f"{tick:,g}" for tick in inside])
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())


def legend_above(fig: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """Draw a legend above the panels, in as many columns as fit."""
    if not handles:  # such as panels with too few rows for any line
        return
    shown = [key(label(name, 34)) for name in names]
    longest = max(len(line) for name in shown for line in name.splitlines())
    # There are about 14 letters per inch, and a key takes the space of three.
    room = int(fig.get_figwidth() * 14 / (longest + 4))
    columns = max(1, min(len(shown), room))
    lines = math.ceil(len(shown) / columns) * max(1 + name.count("\n") for name in shown)
    grow(fig, LINE * max(lines - 2, 0))  # heights are for two
    fig.legend(
        handles,
        shown,
        loc="outside upper center",
        ncols=columns,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def marker(series: int) -> str:
    """Return the marker of the n-th series; the first 49 series differ in colour or marker."""
    return MARKERS[(series + series // len(COLOURS)) % len(MARKERS)]


def error_bars(axes: Axes, x: Any, y: Any, *, series: int = 0, **options: Any) -> None:
    """Draw points with intervals in the style of the n-th series."""
    settings: dict[str, Any] = {
        "fmt": marker(series),
        "color": COLOURS[series % len(COLOURS)],
        "elinewidth": 1.1,
        "capsize": 0,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
    }
    axes.errorbar(x, y, **(settings | options))


@styled
def write(fig: Figure, path: str | Path) -> Path:
    """Save a figure reproducibly: the same figure gives the same bytes.

    Figures are 89 or 183 mm wide, one or two columns of most journals. Their font, DejaVu Sans,
    comes with matplotlib; a PDF holds it as TrueType (type 42, which can be edited and searched),
    and an SVG holds its outlines.

    Parameters
    ----------
    fig : Figure
        The figure.
    path : str or Path
        Path that ends in ``.png``, ``.svg`` or ``.pdf``.

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> from matplotlib.figure import Figure
    >>> cb.plots.write(Figure(), tempfile.mkdtemp() + "/empty.svg").suffix
    '.svg'
    """
    path = user_path(path)
    content = render(fig, path.suffix.lstrip("."))
    with replacing(path) as new:
        new.write_bytes(content)
    return path


@styled
def render(fig: Figure, kind: str) -> bytes:
    """Render a figure as "png", "svg" or "pdf", without dates or versions of programs."""
    of_kind: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    buffer = io.BytesIO()
    fig.savefig(buffer, format=kind, metadata=of_kind[name_in(kind, "kind", *of_kind)])
    return buffer.getvalue()
