"""Recomputes the published values of numbers.csv and sets ours beside them.

    python -m studies.build [--out build/studies] [--data DIR]

Writes published.csv and published.md. With all data sets, also docs/_published.md, which the page
docs/published.md shows.
"""

import argparse
import math
import os
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from causalbias.io.atomic import replacing
from studies.recompute import FUNCTIONS, Value

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "_published.md"
IN_CODE = "in the code"  # of the column `data`: a published example that needs no file
SAME, DIFFERS, NOT_HERE = "same", "differs", "data not here"
TITLES = {
    "3dsk": "3dsk: ratings of 100 faces by 2,000 people",
    "facesim3d": "facesim3d: similarity of all pairs of 100 faces",
    "omi": "omi: impressions of 1,004 generated faces",
    "rfw-pairs": "rfw-pairs: two networks on photographs of four groups",
    IN_CODE: "Shrout and Fleiss' example",
}


def main() -> None:
    """Build, and say how many values are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "studies")
    default = Path(os.environ.get("CAUSALBIAS_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default)
    args = parser.parse_args()
    table = compare(numbers(), args.data)
    page = markdown(table, sources())
    args.out.mkdir(parents=True, exist_ok=True)
    with replacing(args.out / "published.csv") as new:
        table.to_csv(new, index=False)
    # Numbers of the page are not replaced by "data not here".
    complete = not (table["verdict"] == NOT_HERE).any()
    for path in (args.out / "published.md", *([PAGE] if complete else [])):
        with replacing(path) as new:
            new.write_text(page)
    print(f"{args.out / 'published.md'}: {in_words(table)}")


def numbers() -> pd.DataFrame:
    """Published values as texts, whose decimals say to what they are rounded."""
    return pd.read_csv(HERE / "numbers.csv", dtype=str, keep_default_na=False)


def sources() -> dict[str, str]:
    """Where each value is published, by the key in the column `source`."""
    found = tomllib.loads((HERE / "sources.toml").read_text())
    return {key: one["text"] for key, one in found.items()}


def rounding(published: str) -> Decimal:
    """Half a unit of the last digit of a value as it is printed."""
    exponent = Decimal(published).as_tuple().exponent
    assert isinstance(exponent, int)
    return Decimal(5).scaleb(exponent - 1)


def compare(table: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Recompute each value whose data set is a folder of `data`.

    Parameters
    ----------
    table : DataFrame
        As from `numbers`: `data`, `quantity`, `published`, `function`, `arguments`, `source`,
        `note`.
    data : Path
        Directory that holds the data sets' folders.

    Returns
    -------
    DataFrame
        The table with `ours`, `lower`, `upper` (95% interval, missing for counts), `n` (what ours
        is of), `difference` (ours minus the published one) and `verdict`: "same" if ours rounds to
        the published value, "differs", or "data not here".
    """
    rows = []
    for row in _records(table):
        folder = data / row["data"]
        if row["data"] != IN_CODE and not folder.is_dir():
            rows.append(row | {"verdict": NOT_HERE})
            continue
        ours = FUNCTIONS[row["function"]](folder, *row["arguments"].split())
        rows.append(row | _beside(row["published"], ours))
    columns = [*table.columns, "ours", "lower", "upper", "n", "difference", "verdict"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _beside(published: str, ours: Value) -> dict[str, Any]:
    # Half a unit rounds up or down, by whoever printed it; binary fractions are not exact.
    difference = float(ours.value) - float(published)
    same = abs(difference) <= float(rounding(published)) * (1 + 1e-6)
    return {
        "ours": float(ours.value),
        "lower": ours.lower,
        "upper": ours.upper,
        "n": ours.n,
        "difference": difference,
        "verdict": SAME if same else DIFFERS,
    }


def in_words(table: pd.DataFrame) -> str:
    """Say how many values are the same, differ, or could not be recomputed."""
    counts = table["verdict"].value_counts()
    parts = [f"{counts.get(SAME, 0)} of {len(table)} values are the same to the last digit"]
    parts += [f"{counts[DIFFERS]} differ"] if DIFFERS in counts else []
    parts += [f"data of {counts[NOT_HERE]} are not here"] if NOT_HERE in counts else []
    return ", ".join(parts)


def markdown(table: pd.DataFrame, texts: dict[str, str]) -> str:
    """Write a table for each data set, what explains the differences, and the sources."""
    lines = [f"{in_words(table)}.", ""]
    for name, part in table.groupby("data", sort=False):
        lines += [f"### {TITLES[str(name)]}", "", *_rows(part), ""]
        lines += _differences(part[part["note"] != ""])
        lines += _sources(part["source"].unique(), texts)
    return "\n".join(lines).rstrip() + "\n"


def _rows(part: pd.DataFrame) -> list[str]:
    lines = [
        "| quantity | published | ours (95% interval) | of | difference | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in _records(part):
        if row["verdict"] == NOT_HERE:
            cells = ["", "", "", NOT_HERE]
        else:
            cells = [_ours(row), row["n"], _difference(row), row["verdict"]]
        published = _number(float(row["published"]), _decimals(row["published"]))
        lines.append(f"| {' | '.join([row['quantity'], published, *cells])} |")
    return lines


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _decimals(published: str) -> int:
    exponent = Decimal(published).as_tuple().exponent
    return max(0, -int(exponent))


def _number(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"


def _ours(row: dict[str, Any]) -> str:
    """Our value to the digits of the published one, one more if they differ, and its interval."""
    decimals = _decimals(row["published"])
    more = decimals + (row["verdict"] == DIFFERS and not row["ours"].is_integer())
    text = _number(row["ours"], more)
    if pd.isna(row["lower"]):
        return text
    lower, upper = row["lower"], row["upper"]
    # Two digits of its width are all that is known of an interval's ends.
    known = max(0, 1 - math.floor(math.log10(upper - lower)))
    return f"{text} ({_number(lower, known)} to {_number(upper, known)})"


def _difference(row: dict[str, Any]) -> str:
    difference = float(row["difference"])
    if difference.is_integer():
        return f"{difference:+,.0f}" if difference else "0"
    return f"{difference:+,.{_decimals(row['published']) + 1}f}"


def _differences(part: pd.DataFrame) -> list[str]:
    """List what explains the differences, each explanation once."""
    if part.empty:
        return []
    lines = ["What explains the differences:", ""]
    for note, rows in part.groupby("note", sort=False):
        lines.append(f"- {'; '.join(rows['quantity'])}. {note}")
    return [*lines, ""]


def _sources(keys: Iterable[str], texts: dict[str, str]) -> list[str]:
    return ["Sources of the published values:", "", *(f"- {texts[key]}" for key in keys), ""]


if __name__ == "__main__":
    main()
