"""An experiment planned: faces, pairs, who judges what, and what it can estimate."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import causalbias as cb
from causalbias.cli.console import errors_in_one_line, say
from causalbias.cli.options import PATH, RandomSeed
from causalbias.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

RANGE = re.compile(r"(-?(?:0|[1-9][0-9]{0,8}))\.\.(-?(?:0|[1-9][0-9]{0,8}))")
# Columns of pairs and assignments, which no factor may be named after.
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


def design(
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory for the plan.", **PATH)],
    factor: Annotated[
        list[str], typer.Option(help="A factor and its levels: seed=1..20, race=asian,black.")
    ],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="An attribute moved alone, with its levels: pose=-2,0,2."),
    ] = None,
    formula: Annotated[
        str | None,
        typer.Option(
            help="Model to be fitted, of kind, annotator, item and the factors. "
            "[default: kind by factors, annotators and pairs]"
        ),
    ] = None,
    genuine: Annotated[
        int, typer.Option(help="Genuine pairs of each group and each two levels.")
    ] = 10,
    impostors: Annotated[int, typer.Option(help="Impostor pairs of each cell of the design.")] = 10,
    annotators: Annotated[int, typer.Option(help="Number of annotators.")] = 50,
    each: Annotated[int, typer.Option(help="Judgements of each pair.")] = 5,
    repeats: Annotated[float, typer.Option(help="Share of pairs shown a second time.")] = 0.1,
    base: Annotated[
        str, typer.Option(help="Prefix of the images' paths.")
    ] = "/data/local-files/?d=",
    random_seed: RandomSeed = 1,
) -> None:
    """Plan an experiment: faces, pairs, who judges what; and what it can estimate."""
    with errors_in_one_line():
        groups, moved = _factors(factor, attribute or [])
        faces = cb.design.one_at_a_time(groups, moved) if moved else cb.design.full(groups)
        between = [name for name in groups if name != "seed"]
        pairs = cb.design.sample_pairs(
            faces, group=between, genuine=genuine, impostors=impostors, random_seed=random_seed
        )
        assignment = cb.design.assign(
            pairs["pair"],
            annotators,
            each=each,
            strata=pairs[["kind", *between]].astype(str).agg("/".join, axis=1),
            repeats=repeats,
            random_seed=random_seed,
        )
        rows = assignment.merge(pairs, left_on="item", right_on="pair")
        if formula is None:
            vary = [name for name in ("kind", *between) if rows[name].nunique() > 1]
            formula = f"{'*'.join(vary) or '1'} + (1|annotator) + (1|item)"
        report = str(cb.design.report(rows, formula))
        _write(out, faces, pairs, assignment, base, report)
    kinds = pairs["kind"].value_counts()
    say(
        f"{len(faces):,} faces, {len(pairs):,} pairs ({kinds.get('genuine', 0):,} genuine, "
        f"{kinds.get('impostor', 0):,} impostor), {len(assignment):,} judgements by "
        f"{annotators:,} annotators\n{report}"
    )
    if not moved:
        say(
            "no --attribute: faces of one seed differ only in factors that both members of a pair "
            "share, so that there are no genuine pairs"
        )
    say(f"plan: {out}")


def _factors(
    factors: list[str], attributes: list[str]
) -> tuple[dict[str, list[object]], dict[str, list[float]]]:
    """Factors of faces and attributes moved alone, each with its levels."""
    given = [parse_levels(text) for text in (*factors, *attributes)]
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1 or name in RESERVED:
            raise DataError(
                f"{name!r} is given twice, or a column of the plan", hint="choose another name"
            )
    groups = dict(given[: len(factors)])
    if "seed" not in groups:
        raise DataError("no factor seed", hint="give --factor seed=1..20")
    return groups, {name: _numbers(name, levels) for name, levels in given[len(factors) :]}


def _write(
    out: Path,
    faces: "pd.DataFrame",
    pairs: "pd.DataFrame",
    assignment: "pd.DataFrame",
    base: str,
    report: str,
) -> None:
    """Write the tables, the tasks of three annotation services, and the report."""
    from causalbias.io.storage import replace_text
    from causalbias.report.tables import write_csv

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
    replace_text(out / "design.txt", report + "\n")


def parse_levels(text: str) -> tuple[str, list[object]]:
    """A factor and its levels from a command line.

    Examples
    --------
    >>> parse_levels("seed=1..3"), parse_levels("race=asian,black"), parse_levels("pose=-1.5,0")
    (('seed', [1, 2, 3]), ('race', ['asian', 'black']), ('pose', [-1.5, 0]))
    """
    name, _, levels = text.partition("=")
    parts = [level.strip() for level in levels.split(",")]
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
    if all(NUMBER.fullmatch(part) for part in parts):
        return name, [float(part) if "." in part else int(part) for part in parts]
    return name, list(parts)


def _numbers(name: str, levels: list[object]) -> list[float]:
    if not all(isinstance(level, int | float) for level in levels):
        raise DataError(f"levels of {name!r} that are no numbers", hint=f"write {name}=-1,0,1")
    return [float(str(level)) for level in levels]
