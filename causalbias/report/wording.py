"""Names, numbers and estimates in sentences, and figures in words."""

import math
from collections.abc import Sequence
from textwrap import shorten

import numpy as np
import pandas as pd

MOST_ESTIMATES = 12  # in a text alternative, which lists the ends of a longer table only
MOST_CHARACTERS = 1000  # of these estimates together


def listed(names: Sequence[object], most: int = 6) -> str:
    """Names in a sentence: all of a few, else the first and how many more.

    Examples
    --------
    >>> listed(["age", "pose", "light"])
    'age, pose and light'
    >>> listed(range(12), most=2)
    '0, 1 and 10 more'
    """
    shown = [str(name) for name in names]
    if len(shown) > most:
        return f"{', '.join(shown[:most])} and {len(shown) - most} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def quoted(names: Sequence[object]) -> list[str]:
    """Names of attributes, which may be adjectives, in quotation marks."""
    return [f"\u201c{name}\u201d" for name in names]


def number(value: float, digits: int = 2) -> str:
    """A number with so many significant digits, without exponent and with a true minus sign.

    Examples
    --------
    >>> number(-1234.6), number(0.0456), number(-0.0)
    ('−1,235', '0.046', '0')
    """
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else "unbounded"
    places = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:,.{places}f}"
    return text.replace("-", "−")


def rounded_down(value: float, digits: int = 3) -> str:
    """A lower bound with so many significant digits, which is never above the bound itself.

    Examples
    --------
    >>> rounded_down(12.59), rounded_down(1.999), rounded_down(1234.5), rounded_down(-0.1234, 2)
    ('12.5', '1.99', '1,234', '−0.13')
    """
    return _rounded(value, digits, up=False)


def rounded_up(value: float, digits: int = 3) -> str:
    """An upper bound with so many significant digits, which is never below the bound itself.

    Examples
    --------
    >>> rounded_up(12.51), rounded_up(0.99901), rounded_up(0.3, 2), rounded_up(-0.1299, 2)
    ('12.6', '1.00', '0.30', '−0.12')
    """
    return _rounded(value, digits, up=True)


def _rounded(value: float, digits: int, *, up: bool) -> str:
    if value == 0 or not np.isfinite(value):
        return number(value, digits)
    size, away = abs(value), up == (value > 0)  # whether away from zero
    places = max(0, digits - 1 - int(np.floor(np.log10(size))))
    sign = -1 if away else 1  # what is a number up to rounding is not moved
    moved = sign * np.floor(sign * size * 10.0**places * (1 + sign * 1e-12)) / 10.0**places
    return number(float(np.copysign(moved, value)), digits)


def with_range(row: pd.Series, digits: int = 2, *, size: bool = False) -> str:
    """An estimate with its interval; with `size`, the absolute value of both.

    The ends are rounded outwards, so that the range as written holds all that the interval holds,
    the estimate among it.

    Examples
    --------
    >>> row = pd.Series({"estimate": -31.0, "lower": -34.0, "upper": -28.0})
    >>> with_range(row), with_range(row, size=True)
    ('−31 (range −34 to −28)', '31 (range 28 to 34)')
    >>> with_range(pd.Series({"estimate": 1.26, "lower": 1.2501, "upper": 1.2601}))
    '1.3 (range 1.2 to 1.3)'
    """
    middle, lower, upper = row["estimate"], row["lower"], row["upper"]
    if size and middle < 0:
        middle, lower, upper = -middle, -upper, -lower
    return f"{number(middle, digits)} (range {ends_of(lower, upper, digits)})"


def ends_of(lower: float, upper: float, digits: int = 2) -> str:
    """The ends of an interval in words, rounded outwards.

    Examples
    --------
    >>> ends_of(-0.0449, 1.0401)
    '−0.045 to 1.1'
    """
    return f"{rounded_down(lower, digits)} to {rounded_up(upper, digits)}"


def of_every(row: pd.Series) -> str:
    """A rate with its interval as counts: "12 of every 1,000 (range 8 to 17)".

    Examples
    --------
    >>> of_every(pd.Series({"estimate": 0.012, "lower": 0.0081, "upper": 0.017}))
    '12 of every 1,000 (range 8 to 17)'
    """
    every = 100
    while every < 1_000_000 and row["estimate"] * every < 3:
        every *= 10
    middle, lower, upper = (every * row[name] for name in ("estimate", "lower", "upper"))
    low, high = math.floor(lower * (1 + 1e-12)), math.ceil(upper * (1 - 1e-12))
    return f"{round(middle):,} of every {every:,} (range {low:,} to {high:,})"


def alt_text(table: pd.DataFrame, labels: Sequence[str], quantity: str, form: str) -> str:
    """Text alternative of a figure: what it shows, and its estimates in numbers.

    All of up to 12 estimates are listed, of more the largest and the smallest.

    Parameters
    ----------
    table : DataFrame
        `labels`, `estimate`, `lower`, `upper`; rows without an estimate are counted.
    labels : sequence of str
        Columns that identify a row; those that the table lacks are left out.
    quantity : str
        What is estimated, with its unit.
    form : str
        The kind of figure.
    """
    names = [name for name in labels if name in table]
    stated = table[table["estimate"].notna()].sort_values("estimate", ascending=False)
    parts = [_estimate(row, names) for _, row in stated.iterrows()]
    missing = len(table) - len(stated)
    text = f"{form}: {quantity}. "
    if not parts:
        ends = " to ".join(number(end, 3) for end in (table["upper"].min(), table["upper"].max()))
        return text + (
            f"None of {len(table)} estimates can be stated; the upper ends of their intervals "
            f"range from {ends}."
        )
    if len(parts) > MOST_ESTIMATES or sum(map(len, parts)) > MOST_CHARACTERS:
        text += (
            f"{len(parts)} estimates with intervals, from {'; '.join(parts[:3])}; down to "
            f"{'; '.join(parts[-2:])}."
        )
    else:
        text += "; ".join(parts) + "."
    excluding = (stated["lower"] > 0) | (stated["upper"] < 0)
    if (stated["lower"] < 0).any():
        text += f" {int(excluding.sum())} of {len(stated)} intervals exclude zero."
    if missing:
        are = "estimate is" if missing == 1 else "estimates are"
        text += f" {missing} {are} too uncertain to be stated."
    return text


def _estimate(row: pd.Series, names: list[str]) -> str:
    label = shorten(" ".join(str(row[name]) for name in names), 60, placeholder=" …") or "all"
    if not np.isfinite(row["upper"]):
        return f"{label}: unbounded"
    return f"{label} {number(row['estimate'], 3)} ({ends_of(row['lower'], row['upper'], 3)})"
