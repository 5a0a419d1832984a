"""Commands about stimuli: plan an experiment, check one."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import causalbias as cb
from causalbias.errors import DataError

if TYPE_CHECKING:
    from causalbias.manipulation_checks.checks import Checks

RANGE = re.compile(r"(-?(?:0|[1-9][0-9]{0,8}))\.\.(-?(?:0|[1-9][0-9]{0,8}))")
# Columns of pairs and assignments.
RESERVED = {
    "stimulus",
    "attribute",
    "level",
    "pair",
    "stimulus_a",
    "stimulus_b",
    "kind",
    "varies",
    "task",
    "annotator",
    "order",
    "item",
    "question",
    "role",
    "trial",
    "image",
    "generator",
}
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?")  # "01" is a name


def plan(
    out: Path,
    factors: list[str],
    attributes: list[str],
    formula: str | None,
    genuine: int,
    impostors: int,
    annotators: int,
    each: int,
    repeats: float,
    base: str,
    random_seed: int,
) -> str:
    """Write faces, pairs, assignment and tasks into a directory; return the report's text."""
    from causalbias.io.storage import replace_text
    from causalbias.report.tables import write_csv

    given = [parse_levels(one) for one in (*factors, *attributes)]
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1 or name in RESERVED:
            raise DataError(
                f"{name!r} is named twice, or a column of the plan", hint="choose another name"
            )
    groups = dict(given[: len(factors)])
    moved = {name: _numbers(name, levels) for name, levels in given[len(factors) :]}
    if "seed" not in groups:
        raise DataError("no factor seed", hint="give --factor seed=1..20")
    faces = cb.design.one_at_a_time(groups, moved) if moved else cb.design.full(groups)
    between = [name for name in groups if name != "seed"]
    pairs = cb.design.sample_pairs(
        faces, group=between, genuine=genuine, impostors=impostors, random_seed=random_seed
    )
    strata = pairs[["kind", *between]].astype(str).agg("/".join, axis=1)
    assignment = cb.design.assign(
        pairs["pair"],
        annotators,
        each=each,
        strata=strata,
        repeats=repeats,
        random_seed=random_seed,
    )
    rows = assignment.merge(pairs, left_on="item", right_on="pair")
    if formula is None:
        vary = [name for name in ("kind", *between) if rows[name].nunique() > 1]
        formula = f"{'*'.join(vary) or '1'} + (1|annotator) + (1|item)"
    told = str(cb.design.report(rows, formula))
    out.mkdir(parents=True, exist_ok=True)
    for name, table in (("faces", faces), ("pairs", pairs), ("assignment", assignment)):
        write_csv(table, out / f"{name}.csv")
    images: dict[str, object] = {
        str(row.pair): [f"{row.stimulus_a}.png", f"{row.stimulus_b}.png"]
        for row in pairs.itertuples()
    }
    cb.design.to_label_studio(assignment, images, base, out / "label-studio.json")
    cb.design.to_ground_truth(assignment, images, base, out / "ground-truth.manifest")
    cb.design.to_manifest_csv(assignment, images, base, out / "mturk.csv")
    replace_text(out / "design.txt", told + "\n")
    kinds = pairs["kind"].value_counts()
    told = (
        f"{len(faces):,} faces, {len(pairs):,} pairs ({kinds.get('genuine', 0):,} genuine, "
        f"{kinds.get('impostor', 0):,} impostor), {len(assignment):,} judgements by "
        f"{annotators:,} annotators\n{told}"
    )
    if not moved:
        told += (
            "\nno --attribute: faces of one seed differ in what a pair's members always share, so "
            "that there are no genuine pairs"
        )
    return told


def parse_levels(text: str) -> tuple[str, list[object]]:
    """A factor and its levels from a command line.

    Examples
    --------
    >>> parse_levels("seed=1..3"), parse_levels("race=asian,black"), parse_levels("pose=-1.5,0")
    (('seed', [1, 2, 3]), ('race', ['asian', 'black']), ('pose', [-1.5, 0]))
    """
    name, _, levels = text.partition("=")
    parts = [one.strip() for one in levels.split(",")]
    if not name.isidentifier() or not all(parts):
        raise DataError(f"{text!r} is no factor", hint="write name=level,level or seed=1..20")
    found = RANGE.fullmatch(levels.strip())
    if found:
        low, high = int(found[1]), int(found[2])
        if high < low:
            raise DataError(f"{text!r} counts down", hint=f"write {name}={high}..{low}")
        if high - low >= 100_000:
            raise DataError(f"{high - low + 1:,} levels of {name!r}", hint="give fewer")
        return name, list(range(low, high + 1))
    if re.fullmatch(r"[^,]*[0-9]\.\.[^,]*", levels.strip()):
        raise DataError(
            f"{text!r} is no range of whole numbers", hint="write seed=1..20, without leading zeros"
        )
    if all(NUMBER.fullmatch(one) for one in parts):
        return name, [float(one) if "." in one else int(one) for one in parts]
    return name, list(parts)


def _numbers(name: str, levels: list[object]) -> list[float]:
    if not all(isinstance(one, int | float) for one in levels):
        raise DataError(f"levels of {name!r} that are no numbers", hint=f"write {name}=-1,0,1")
    return [float(str(one)) for one in levels]


def write_checks(checks: "Checks", out: Path) -> list[Path]:
    """Write the checks' tables, findings and leak matrix into a directory."""
    from causalbias.io.storage import replace_text
    from causalbias.report.tables import write_csv

    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in checks.tables.items():
        written.append(out / f"{name}.csv")
        write_csv(table, written[-1])
    if "leaks" in checks.tables:
        figure = cb.plots.leak_matrix(checks.tables["leaks"])
        written.append(cb.plots.write(figure, out / "leaks.png"))
    written.append(out / "checks.txt")
    replace_text(written[-1], f"{checks}\n")
    return written
