"""The study: one xarray DataTree with a summary that a person can read."""

from html import escape

import xarray as xr

GROUPS = (
    *("stimuli", "pairs", "machine", "embeddings", "human"),
    *("questions", "truth", "excluded", "provenance"),
)

# Status of a face or a distance: measured, or that there was no image of a face.
OK, NO_IMAGE = "ok", "no image"

FILES, LINE = 8, 400  # files that a study's summary names, letters of each


class Study(xr.DataTree):
    """A DataTree that prints as a study; in all else it is a plain DataTree.

    Every function of causalbias also takes the plain DataTree with the same groups, so anything
    xarray does to a study (``.isel``, ``.map_over_datasets``) leaves it usable.
    See `make_study` for the groups.
    """

    __slots__ = ()

    def __repr__(self) -> str:  # type: ignore[override]
        return describe(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        groups = "".join(
            f"<details><summary>/{escape(str(name))}</summary>"
            f"{group_of(self, name)._repr_html_()}</details>"
            for name in self.children
        )
        return f"<pre>{escape(describe(self))}</pre>{groups}"


def as_study(tree: xr.DataTree) -> Study:
    """Give a DataTree that has a study's groups the study's printed form."""
    return Study(
        dataset=tree.to_dataset(),
        children={name: xr.DataTree(node.to_dataset()) for name, node in tree.children.items()},
    )


def group_of(tree: xr.DataTree, name: str) -> xr.Dataset:
    """One group of a study or a fit as a Dataset."""
    return tree.children[name].to_dataset()


def factors_of(study: xr.DataTree) -> list[str]:
    """Names of the experiment's factors, as recorded when the study was built."""
    return str(study.attrs["factors"]).split(",")


def describe(study: xr.DataTree) -> str:
    """Summary of a study in a few lines: its design, its sizes, and what was excluded.

    Reads sizes and labels only, so that a study opened lazily stays unread.
    """
    lines = [f"<causalbias.Study {study.attrs.get('name', '')!r}>"]
    if title := study.attrs.get("title"):
        lines[0] += f" {title}"

    def add(label: str, text: str) -> None:
        lines.append(f"  {label:<10} {text}")

    if "stimuli" in study.children:
        stimuli = group_of(study, "stimuli")
        sizes = " x ".join(f"{name} ({size})" for name, size in stimuli.sizes.items())
        add("factors", f"{sizes}; identity: {study.attrs['identity']}")
        present = int(stimuli["present"].sum())
        add("stimuli", f"{present:,} of {stimuli['present'].size:,} cells present")
    if "pairs" in study.children:
        same = group_of(study, "pairs")["same_identity"]
        genuine = int(same.sum())
        add("pairs", f"{same.size:,}: {genuine:,} genuine, {same.size - genuine:,} impostor")
    if "machine" in study.children:
        machine = group_of(study, "machine")
        names = ", ".join(map(str, machine["system"].values))
        metric = machine["distance"].attrs.get("metric", "")
        add("machine", f"{machine['distance'].size:,} distances by {names}; {metric}".rstrip("; "))
    if "embeddings" in study.children:
        add("embeddings", _describe_embeddings(group_of(study, "embeddings")))
    if "human" in study.children:
        add("human", _describe_human(study))
    add("excluded", _describe_excluded(study))
    for text in _describe_files(study):
        add("read", text)
    return "\n".join(lines)


def _describe_files(study: xr.DataTree) -> list[str]:
    """What was read of each file: its rows, and what its columns were taken for."""
    if "provenance" not in study.children:
        return []
    files = group_of(study, "provenance")
    if "columns" not in files:
        return []
    told = [
        f"{name}, {int(rows):,} rows: {columns if len(columns) < LINE else columns[:LINE] + ' ...'}"
        for name, rows, columns in zip(
            *(files[name].values.tolist() for name in ("file", "rows", "columns")), strict=True
        )
        if columns
    ]
    return told[:FILES] + ([f"and {len(told) - FILES} more files"] if len(told) > FILES else [])


def _describe_embeddings(cube: xr.Dataset) -> str:
    failed = (cube["status"] != "ok").sum("stimulus").values
    systems = ", ".join(
        f"{name} ({int(n):,} failed to enrol)"
        for name, n in zip(cube["system"].values, failed, strict=True)
    )
    return f"{cube.sizes['stimulus']:,} faces by {systems}"


def _describe_human(study: xr.DataTree) -> str:
    human, questions = group_of(study, "human"), group_of(study, "questions")
    text = f"{human['score'].size:,} judgements"
    if "annotator" in human.coords:
        text += f" by {len(set(human['annotator'].values.tolist())):,} annotators"
    low, high = float(questions["low"].min()), float(questions["high"].max())
    return text + f" on {questions.sizes['question']} questions, scored {low:g} to {high:g}"


def _describe_excluded(study: xr.DataTree) -> str:
    if "excluded" not in study.children:
        return "nothing"
    excluded = group_of(study, "excluded")
    return "; ".join(
        f"{int(n):,} {what}: {reason}"
        for n, what, reason in zip(
            excluded["count"].values,
            excluded["what"].values,
            excluded["reason"].values,
            strict=True,
        )
    )
