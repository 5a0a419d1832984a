"""The human-machine comparison on the OMI experiment: figure and table of docs/omi.md.

python docs/omi.py path/to/omi
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb

HERE = Path(__file__).parent
ROPE = (-0.5, 0.5)
UNITS = ("residual sd", "total sd", "outcome sd", "error rate")


def main(root: str) -> None:
    study = cb.load("omi", root)
    found = comparisons(study)
    cb.plots.write(figure(found), HERE / "omi-comparison.svg")
    table = cb.summarise(cb.equivalence(found.sel(unit="residual sd"), ROPE))
    human = cb.summarise(found.sel(unit="residual sd"), of="effect_a")
    machine = cb.summarise(found.sel(unit="residual sd"), of="effect_b")
    every = found["p_larger"].to_pandas()
    print(markdown(human, machine, table, every))


def comparisons(study: xr.DataTree) -> xr.Dataset:
    """The second half of each attribute's push: people and dlib, attribute by attribute."""
    rows = cb.to_frame(study, "machine")
    first = rows["same_identity"] & (rows["attribute_a"] == rows["attribute_b"])
    rows = rows[first & (rows["level_a"] == 0) & (rows["status"] == "ok")]
    rows = rows.assign(attribute=rows["attribute_b"], level=rows["level_b"], seed=rows["seed_b"])
    parts = {}
    for attribute, edits in rows.groupby("attribute"):
        machine = cb.fit("distance ~ C(level) + (1|seed)", edits)
        human = cb.fit(
            "score ~ C(level) + (1|annotator)",
            study,
            subset=f"attribute == '{attribute}' and level > 0",
        )
        parts[attribute] = cb.compare(
            human, machine, "level", reference=1, names=("people", "dlib")
        ).sel(level=2, drop=True)
    index = pd.Index(list(parts), name="attribute")
    joined = xr.concat(list(parts.values()), index, combine_attrs="override")
    failures = [one.attrs["failures"] for one in parts.values() if one.attrs["failures"] != "[]"]
    joined.attrs = {k: v for k, v in joined.attrs.items() if k not in ("contrast", "reference")}
    return joined.assign_attrs(failures=failures[0] if failures else "[]")


def figure(found: xr.Dataset):  # type: ignore[no-untyped-def]
    note = (
        "Second half of each push (level 1 to 2), in standard deviations of the noise of one "
        "rater's mean (50 raters) and of one edit's distance (50 seeds). 95% intervals."
    )
    return cb.plots.comparison(found, rope=ROPE, note=note)


def markdown(human: pd.DataFrame, machine: pd.DataFrame, table: pd.DataFrame, every) -> str:  # type: ignore[no-untyped-def]
    def cell(row: pd.Series) -> str:
        return f"{row['estimate']:.2f} ({row['lower']:.2f}, {row['upper']:.2f})"

    lines = [
        "| attribute | people | dlib | dlib minus people | P(dlib larger) | in other units |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    order = np.argsort(-table["estimate"].to_numpy())
    for at in order:
        name = table["attribute"][at]
        others = " / ".join(chance(every.loc[name, unit]) for unit in UNITS[1:])
        row = [name, cell(human.loc[at]), cell(machine.loc[at]), cell(table.loc[at])]
        lines.append(f"| {' | '.join(row)} | {chance(table['p_larger'][at])} | {others} |")
    return "\n".join(lines) + "\n"


def chance(value: float) -> str:
    """A probability as 4,000 draws can tell it."""
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else f"{value:.3f}"


if __name__ == "__main__":
    main(sys.argv[1])
