"""Plain sentences that reports of every analysis share, and figures in words."""

from collections.abc import Sequence
from textwrap import shorten

import numpy as np
import pandas as pd

from causalbias.report.tables import overall

MOST = 12  # estimates that an alternative text lists one by one


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
    """Names of attributes, which may be adjectives, as a sentence can hold them."""
    return [f"\u201c{name}\u201d" for name in names]


def number(value: float, digits: int = 2) -> str:
    """A number of so many significant digits without exponent, and with a true minus sign.

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


def span(row: pd.Series, digits: int = 2, *, size: bool = False) -> str:
    """Estimate and range: "31 (range 28 to 34)"; with `size`, of its size whatever the sign."""
    ends = [row["lower"], row["upper"]]
    middle = row["estimate"]
    if size and middle < 0:
        middle, ends = -middle, [-end for end in reversed(ends)]
    low, high = (number(end, digits) for end in ends)
    return f"{number(middle, digits)} (range {low} to {high})"


def of_every(row: pd.Series) -> str:
    """A rate as a count of so many: "12 of every 1,000 (range 8 to 17)".

    Examples
    --------
    >>> of_every(pd.Series({"estimate": 0.012, "lower": 0.0081, "upper": 0.017}))
    '12 of every 1,000 (range 8 to 17)'
    """
    every = 100
    while every < 1_000_000 and row["estimate"] * every < 3:
        every *= 10
    middle, low, high = (round(every * row[name]) for name in ("estimate", "lower", "upper"))
    return f"{middle:,} of every {every:,} (range {low:,} to {high:,})"


def how_sure(
    tables: dict[str, pd.DataFrame], prob: float, *, clear: str, allowed_for: str
) -> list[str]:
    """How sure the results are: the verdict, what is `clear`, ranges, simulations' truth."""
    level, verdict = overall(tables["fits"]["verdict"])
    shout = {"alarm": "NOT SURE AT ALL. ", "doubt": "Not sure. ", "passed": ""}[level]
    told = [f"{shout}{verdict}"]
    if level == "doubt":
        told[0] += " The table of checks says in what respect, and what to do about it."
    told.append(clear)
    told.append(
        f"Every number is an estimate. The range after it holds the true value with a probability "
        f"of {100 * prob:g}%, so far as the model and the data are right. Ranges allow for "
        f"{allowed_for}; they do not allow for pictures that changed more than they should."
    )
    covered = [table["covered"] for name, table in tables.items() if name.startswith("truth")]
    if covered:
        every = pd.concat(covered)
        told.append(
            "The data are simulated, so that the truth is known: "
            f"{int(every.sum())} of {len(every)} ranges hold it (about {100 * prob:g}% should)."
        )
    return told


def always_silent(simulated: bool) -> list[str]:
    """What no study of generated faces says."""
    told = [
        "Whether the same holds for photographs of real people: the faces are computer-made.",
        "That there is no difference where none is clear: too little may have been measured.",
        "Anything about who people are. Words such as female or black say what was asked of the "
        "generator, or what people saw in a picture.",
    ]
    if simulated:
        told.insert(
            0, "Anything about real people or programs: the data were simulated to try the method."
        )
    return told


def told(table: pd.DataFrame, labels: Sequence[str], what: str, shape: str) -> str:
    """A figure in words: what it is, and its estimates, all of a few, else the ends.

    Parameters
    ----------
    table : DataFrame
        `labels`, `estimate`, `lower`, `upper`; rows without estimate are counted.
    labels : sequence of str
        Columns that name a row; those that the table lacks are passed over.
    what : str
        What is estimated, with its unit.
    shape : str
        The kind of figure.
    """
    names = [name for name in labels if name in table]
    stated = table[table["estimate"].notna()].sort_values("estimate", ascending=False)
    parts = [_estimate(row, names) for _, row in stated.iterrows()]
    missing = len(table) - len(stated)
    said = f"{shape}: {what}. "
    if not parts:
        ends = " to ".join(number(end, 3) for end in (table["upper"].min(), table["upper"].max()))
        return said + f"None of {len(table)} could be stated; their intervals end at {ends}."
    if len(parts) > MOST or sum(map(len, parts)) > 1000:
        said += (
            f"{len(parts)} estimates with intervals, from {'; '.join(parts[:3])}; down to "
            f"{'; '.join(parts[-2:])}."
        )
    else:
        said += "; ".join(parts) + "."
    beside = (stated["lower"] > 0) | (stated["upper"] < 0)
    if (stated["lower"] < 0).any():
        said += f" {int(beside.sum())} of {len(stated)} intervals leave zero out."
    if missing:
        said += f" {missing} too uncertain to state."
    return said


def _estimate(row: pd.Series, names: list[str]) -> str:
    label = shorten(" ".join(str(row[name]) for name in names), 60, placeholder=" …") or "all"
    if not np.isfinite(row["upper"]):
        return f"{label}: unbounded"
    return (
        f"{label} {number(row['estimate'], 3)} ({number(row['lower'], 3)} to "
        f"{number(row['upper'], 3)})"
    )
