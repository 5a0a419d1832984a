"""Pairs of an editor's outputs: with their source, their target, and other persons' sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.datasets.answers import Answers, answers_in
from causalbias.errors import DataError
from causalbias.io.memory import check_memory
from causalbias.recognition.distances import pair_distances
from causalbias.study.build import exclusions
from causalbias.study.columns import levels_of
from causalbias.study.tables import check_spelling

SOURCE, GENUINE, IMPOSTOR, TARGET = "source", "genuine", "impostor", "target"
KINDS = (SOURCE, GENUINE, IMPOSTOR, TARGET)
ALL, ONE_EDITOR = "all", "editor"
BACKWARDS = 0.25  # share of comparisons: below it, the numbers are no distances
RESERVED = {"distance", "output", "source", "person", "target", "reference", "editor", "network"}


@dataclass(frozen=True)
class Pairs:
    """Pairs of a manifest with their distances.

    Attributes
    ----------
    frame : DataFrame
        `kind` (of `KINDS`), `network`, `editor`, `group`, `first`, `second` (codes of persons;
        equal where there is one), `a`, `b` (codes of images), `row` (of the manifest), `distance`
        (NaN where it failed).
    networks, editors, groups : list of str
    people : int
        Number of codes.
    thresholds : dict of str to float
        Networks' own, of embeddings.
    notes : list of tuple
        As of `exclusions`: pairs that have no distance.
    """

    frame: pd.DataFrame
    networks: list[str]
    editors: list[str]
    groups: list[str]
    people: int
    thresholds: dict[str, float]
    notes: list[tuple[str, str, str, int]]


def read_manifest(
    data: pd.DataFrame | str | Path,
    columns: Mapping[str, str],
    attributes: Mapping[str, Mapping[str, str]],
) -> Answers:
    """Read a manifest, one row per output.

    Parameters
    ----------
    data : DataFrame or path
    columns : mapping of our column to the user's
        `output`, `source`; "" where not there: `person`, `target`, `target_person`, `reference`,
        `editor`.
    attributes : mapping of "source", "target" and "output" to mapping of attribute to column

    Returns
    -------
    Answers
        With `person`, `editor` and `group` in any case, and the columns ``source race`` and so on.
    """
    named = {f"{of} {one}": col for of, each in attributes.items() for one, col in each.items()}
    bad = {one for each in attributes.values() for one in each}
    for one in sorted(bad):
        if not one.isidentifier() or one in RESERVED or one.startswith("target_"):
            raise DataError(
                f"an attribute is named {one!r}",
                hint="name it by letters, such as race, and unlike the other columns",
            )
    optional = {"target", "target_person", "reference"}
    optional |= {one for one in named if not one.startswith("source ")}
    found = answers_in(data, {**columns, **named}, {}, optional=optional)
    frame, lost = _kept(found.frame, found.name)
    rows = found.rows[frame.index]
    frame = frame.reset_index(drop=True)
    if frame.empty:
        raise DataError(
            "no row is an edit of a source into something else",
            hint="name the columns of output, source and target",
            file=found.name,
        )
    if "person" not in frame:
        frame["person"] = frame["source"].astype("str")
    if "editor" not in frame:
        frame["editor"] = ONE_EDITOR
    races = [f"source {one}" for one in attributes["source"]]
    _check(frame, races, found)
    frame["group"] = _groups(frame, races)
    excluded = pd.concat([found.excluded, exclusions(lost)], ignore_index=True)
    return Answers(frame, found.columns, found.name, excluded, found.sources, rows)


def _kept(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[tuple[str, str, str, int]]]:
    """Rows that say something of an editor, and how many do not."""
    texts = frame.astype("str")

    def same(one: str, other: str) -> pd.Series:
        if not {one, other} <= set(frame):
            return pd.Series(False, index=frame.index)
        return (texts[one] == texts[other]) & frame[one].notna() & frame[other].notna()

    copies = same("output", "source") | same("output", "target")
    selves = (same("source", "target") | same("person", "target_person")) & ~copies
    notes = [
        (name, "outputs", why, int(which.sum()))
        for which, why in (
            (copies, "the output is the source or target itself"),
            (selves, "source and target are of one person"),
        )
        if which.any()
    ]
    return frame[~(copies | selves)], notes


def _check(frame: pd.DataFrame, races: list[str], found: Answers) -> None:
    """Refuse outputs that are there twice, and persons or sources that are two."""
    again = frame["output"].astype("str").duplicated()
    if again.any():
        raise DataError(
            f"the output {frame['output'][again].iloc[0]!r} is there twice",
            hint="give each output a name of its own, with its editor's folder",
            file=found.name,
            column=found.columns["output"],
        )
    for one, of, what in (
        ("source", "person", "persons"),
        *(("person", race, f"groups of {race.removeprefix('source ')}") for race in races),
    ):
        number = frame.groupby(frame[one].astype("str"))[of].nunique()
        if (number > 1).any():
            raise DataError(
                f"{one} {number.index[(number > 1).to_numpy()][0]!r} is of several {what}",
                hint="give each one",
                file=found.name,
                column=found.columns.get(of, of),
            )


def _groups(frame: pd.DataFrame, races: list[str]) -> pd.Series:
    """Combinations of the source's attributes as texts, in the order of their levels."""
    if not races:
        return pd.Series(ALL, index=frame.index, dtype="category")
    levels = pd.MultiIndex.from_product([levels_of(frame[one]) for one in races])
    texts = frame[races].astype("str").agg(" ".join, axis=1)
    if texts.nunique() < len(frame[races].astype("str").drop_duplicates()):
        raise DataError("two groups have the same name", hint="write their levels in other words")
    order = [" ".join(map(str, one)) for one in levels]
    return texts.astype(pd.CategoricalDtype([one for one in order if one in set(texts)]))


def pairs_of(
    manifest: Answers,
    distances: pd.DataFrame | str | Path | xr.Dataset,
    columns: Mapping[str, str],
) -> tuple[Pairs, pd.DataFrame]:
    """Cut a table of distances, or embeddings, into the pairs of a manifest.

    Parameters
    ----------
    manifest : Answers
        From `read_manifest`.
    distances : DataFrame, path or Dataset
        Distances of two named images, or what `embed` returned.
    columns : mapping of our column to the user's
        `image_a`, `image_b`, `distance`, and `network` ("" where there is one).

    Returns
    -------
    pairs : Pairs
    sources : DataFrame
        Files read.
    """
    frame = manifest.frame
    roles = [one for one in ("output", "source", "reference", "target") if one in frame]
    images = pd.Index(pd.unique(pd.concat([frame[one].dropna().astype("str") for one in roles])))
    codes = {one: images.get_indexer(pd.Index(frame[one].astype("str"))) for one in roles}
    for one in roles:
        codes[one] = np.where(frame[one].notna(), codes[one], -1)
    own, people = _members(frame)
    thresholds: dict[str, float] = {}
    if isinstance(distances, xr.Dataset):
        table, networks, thresholds = _of_embeddings(distances, images, codes, frame, own)
        sources = pd.DataFrame()
    else:
        table, networks, sources = _of_table(distances, columns, images)
    found = _cut(table, images, codes, frame, own)
    notes = [
        (
            manifest.name,
            "outputs",
            f"no distance to the source, of {network}",
            len(frame) - int(((found["kind"] == SOURCE) & (found["network"] == network)).sum()),
        )
        for network in networks
    ]
    _check_found(found, networks, manifest)
    editors = [str(one) for one in levels_of(frame["editor"])]
    groups = [str(one) for one in frame["group"].cat.categories]
    kept = [one for one in notes if one[3]]
    return Pairs(found, networks, editors, groups, people, thresholds, kept), sources


def _members(frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], int]:
    """Codes of each row's person and of its target's, -1 without target; and how many there are."""
    person = frame["person"].astype("str")
    of_target = pd.Series(np.nan, index=frame.index, dtype=object)
    if "target_person" in frame:
        of_target = frame["target_person"].astype(object)
    if "target" in frame:
        image = frame["target"].astype(object)
        known = dict(zip(frame["source"].astype("str"), person, strict=True))
        # An image of nobody known is a person of its own, whatever persons are called.
        of_target = of_target.where(of_target.notna(), image.map(known))
        alone = image.map(lambda one: f"\0{one}", na_action="ignore")
        of_target = of_target.where(of_target.notna(), alone)
    both = pd.concat([person.astype(object), of_target])
    code, names = pd.factorize(both)
    n = len(frame)
    return {"first": code[:n], "second": code[n:]}, len(names)


def _of_table(
    data: pd.DataFrame | str | Path, columns: Mapping[str, str], images: pd.Index
) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """Distances of images of the manifest, each two once: `network`, `a`, `b`, `distance`."""
    text = {one: columns[one] for one in ("image_a", "image_b", "network")}
    found = answers_in(data, text, {"distance": columns["distance"]}, optional={"distance"})
    frame = found.frame
    network = frame["network"] if "network" in frame else pd.Series("network", index=frame.index)
    a, b = (images.get_indexer(pd.Index(frame[f"image_{side}"].astype("str"))) for side in "ab")
    named = frame[["image_a", "image_b"]].astype("str")
    check_spelling(images, np.unique(named), of="the manifest", file=found.name)
    value = frame["distance"].to_numpy(float)
    table = pd.DataFrame(
        {
            "network": network.astype("str").to_numpy(),
            "a": np.minimum(a, b),
            "b": np.maximum(a, b),
            "distance": np.where(np.isfinite(value), value, np.nan),
        }
    )
    networks = [str(one) for one in levels_of(network)]
    table = table[(table["a"] >= 0) & (table["a"] != table["b"])]
    each = table.groupby(["network", "a", "b"])["distance"].agg(["min", "max"])
    unlike = each["max"] - each["min"] > 1e-6 * each["max"].abs()
    if unlike.any():
        _, one, two = each.index[unlike.to_numpy()][0]
        raise DataError(
            f"{images[one]!r} and {images[two]!r} have two distances",
            hint="give one of each two images and network",
            file=found.name,
        )
    table = table.sort_values("distance", kind="stable", na_position="last")
    return table.drop_duplicates(["network", "a", "b"]), networks, found.sources


def _of_embeddings(
    embeddings: xr.Dataset,
    images: pd.Index,
    codes: Mapping[str, np.ndarray],
    frame: pd.DataFrame,
    own: Mapping[str, np.ndarray],
) -> tuple[pd.DataFrame, list[str], dict[str, float]]:
    """Distances of all pairs that the analysis has a use for."""
    if not {"embedding", "metric"} <= set(embeddings) or "system" not in embeddings.dims:
        raise DataError("these are no embeddings", hint="give what cb.embed returned")
    place = pd.Index(embeddings["stimulus"].values.astype(str)).get_indexer(images)
    a, b = _wanted(codes, frame, own)
    low, high = np.minimum(a, b), np.maximum(a, b)
    both = np.unique(np.column_stack([low, high]), axis=0)
    both = both[(place[both] >= 0).all(axis=1)]
    parts, thresholds = [], {}
    for system in embeddings["system"].values:
        one = embeddings.sel(system=system)
        metric = str(one["metric"].item())
        first, second = place[both].T
        value = pair_distances(one["embedding"].values, first, second, metric)
        parts.append(pd.DataFrame({"a": both[:, 0], "b": both[:, 1], "distance": value}))
        parts[-1]["network"] = str(system)
        if "threshold" in one and np.isfinite(one["threshold"].item()):
            thresholds[str(system)] = float(one["threshold"].item())
    networks = [str(one) for one in embeddings["system"].values]
    return pd.concat(parts, ignore_index=True), networks, thresholds


def _wanted(
    codes: Mapping[str, np.ndarray], frame: pd.DataFrame, own: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the images of each pair that the analysis may use."""
    a, b = [codes["output"]], [codes["source"]]
    for one, other in (("source", "reference"), ("output", "target")):
        if other in codes:
            there = codes[other] >= 0
            a.append(codes[one][there])
            b.append(codes[other][there])
    for group in frame["group"].cat.categories:
        rows = np.flatnonzero(frame["group"] == group)
        sources, first = np.unique(codes["source"][rows], return_index=True)
        number = len(rows) * len(sources)
        check_memory(8.0 * number, f"{number:,} pairs of {group}", "give a table of some distances")
        a += [np.repeat(codes["output"][rows], len(sources)), np.repeat(sources, len(sources))]
        b += [np.tile(sources, len(rows)), np.tile(sources, len(sources))]
        # Of two sources only those of one person count.
        person = own["first"][rows][first]
        same = (person[:, None] == person[None]) & (sources[:, None] < sources[None])
        a[-1], b[-1] = a[-1][same.ravel()], b[-1][same.ravel()]
    return np.concatenate(a), np.concatenate(b)


def _cut(
    table: pd.DataFrame,
    images: pd.Index,
    codes: Mapping[str, np.ndarray],
    frame: pd.DataFrame,
    own: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Pairs of each kind."""
    n = len(images)
    row_of, source_row = np.full(n, -1), np.full(n, -1)
    row_of[codes["output"]] = np.arange(len(frame))
    source_row[codes["source"]] = np.arange(len(frame))
    group = frame["group"].cat.codes.to_numpy()
    editor = frame["editor"].astype("str").to_numpy()
    target = codes.get("target", np.full(len(frame), -1))
    photographs = codes.get("reference", np.full(len(frame), -1))
    references = (own["first"] * n + photographs)[photographs >= 0]
    two = np.where(own["second"] < 0, own["first"], own["second"])
    parts = []
    low, high = table["a"].to_numpy(), table["b"].to_numpy()
    for a, b in ((low, high), (high, low)):
        row, other = row_of[a], source_row[b]
        is_out = row >= 0
        first, second = own["first"][row], own["first"][other]
        of_source = is_out & (b == codes["source"][row])
        of_target = is_out & (b == target[row]) & ~of_source
        impostor = is_out & (other >= 0) & (group[row] == group[other]) & (first != second)
        impostor &= (second != own["second"][row]) & ~of_target
        for kind, which, last in (
            (SOURCE, of_source, two[row]),
            (TARGET, of_target, two[row]),
            (IMPOSTOR, impostor, second),
        ):
            part = table[which].assign(kind=kind, a=a[which], b=b[which])
            part["editor"], part["group"] = editor[row[which]], group[row[which]]
            part["first"], part["second"], part["row"] = first[which], last[which], row[which]
            parts.append(part)
        row = source_row[a]
        genuine = (row >= 0) & (other >= 0) & (own["first"][row] == second)
        # A reference is a photograph of the person of its row.
        genuine |= (row >= 0) & np.isin(own["first"][row] * n + b, references)
        part = table[genuine].assign(kind=GENUINE)
        part["group"] = group[row[genuine]]
        part["first"] = part["second"] = own["first"][row[genuine]]
        part["row"] = row[genuine]
        # Photographs are of no editor: they are the baseline of each.
        parts += [part.assign(editor=one) for one in pd.unique(editor)]
    found = pd.concat(parts, ignore_index=True)
    found["group"] = frame["group"].cat.categories[found["group"]]
    found = found.drop_duplicates(["network", "kind", "editor", "a", "b"])
    there = set(zip(frame["editor"].astype("str"), frame["group"].astype("str"), strict=True))
    kept = [one in there for one in zip(found["editor"], found["group"], strict=True)]
    return found[np.array(kept, bool)].reset_index(drop=True)  # an empty list selects no column


def _check_found(
    found: pd.DataFrame,
    networks: list[str],
    manifest: Answers,
) -> None:
    """Refuse networks without a distance of an output to its source, and similarities."""
    for network in networks:
        part = found[(found["network"] == network) & found["distance"].notna()]
        kept = part[part["kind"] == SOURCE]
        if kept.empty:
            raise DataError(
                f"{network}: no output has a distance to its source",
                hint=f"name images alike in both tables, as {manifest.frame['output'].iloc[0]!r}",
                file=manifest.name,
            )
        near = part[part["kind"] == GENUINE]
        near, far = near if len(near) else kept, part[part["kind"] == IMPOSTOR]
        if len(far):
            rank = np.searchsorted(np.sort(far["distance"]), near["distance"].to_numpy())
            area = 1 - rank.mean() / len(far)
            if area < BACKWARDS:
                raise DataError(
                    f"{network}: in {1 - area:.0%} of comparisons the same person is further apart "
                    "than two: these are similarities",
                    hint="give distance = 1 - similarity",
                )
