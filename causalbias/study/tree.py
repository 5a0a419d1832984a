"""The study: an xarray DataTree with a readable summary."""

from html import escape

import numpy as np
import xarray as xr

GROUPS = (
    *("stimuli", "pairs", "machine", "embeddings", "human"),
    *("questions", "truth", "excluded", "provenance"),
)

# Status of a face or a distance: measured, or not measured because the image was missing.
OK, NO_IMAGE = "ok", "no image"

FILES, LINE = 8, 400  # a study's summary lists this many files, with this many characters each


class Study(xr.DataTree):
    """A DataTree with a printed summary of the study; it differs from a DataTree in nothing else.

    Every function of causalbias also accepts a plain DataTree with the same groups, so the results
    of xarray's methods (``.isel``, ``.map_over_datasets``) can be used as studies.
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
    """Convert a DataTree with the groups of a study to a `Study`."""
    return Study(
        dataset=tree.to_dataset(),
        children={name: xr.DataTree(node.to_dataset()) for name, node in tree.children.items()},
    )


def group_of(tree: xr.DataTree, name: str) -> xr.Dataset:
    """Return one group of a study or a fit as a Dataset."""
    return tree.children[name].to_dataset()


def factors_of(study: xr.DataTree) -> list[str]:
    """Return the names of the experiment's factors."""
    return str(study.attrs["factors"]).split(",")


def describe(study: xr.DataTree) -> str:
    """Summarise a study in a few lines: its design, its sizes, and what was excluded.

    Only sizes and labels are read, so that the arrays of a study opened lazily stay on disk.
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
        present = stimuli["present"]
        add("stimuli", f"{_number_of(present, True)} of {present.size:,} cells present")
    if "pairs" in study.children:
        same = group_of(study, "pairs")["same_identity"]
        genuine, impostor = _number_of(same, True), _number_of(same, False)
        add("pairs", f"{same.size:,}: {genuine} genuine, {impostor} impostor")
    if "machine" in study.children:
        machine = group_of(study, "machine")
        names = ", ".join(map(str, np.atleast_1d(machine["system"].values)))  # or one, selected
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


def _number_of(truths: xr.DataArray, which: bool) -> str:
    """How many are true, or false; a question mark if a study made by hand holds something else."""
    return f"{int((truths == which).sum()):,}" if truths.dtype == bool else "?"


def _describe_files(study: xr.DataTree) -> list[str]:
    """Describe each file that was read: its rows, and the type as which each column was read."""
    if "provenance" not in study.children:
        return []
    files = group_of(study, "provenance")
    if "columns" not in files:
        return []
    lines = [
        f"{name}, {int(rows):,} rows: {columns if len(columns) < LINE else columns[:LINE] + ' ...'}"
        for name, rows, columns in zip(
            *(files[name].values.tolist() for name in ("file", "rows", "columns")), strict=True
        )
        if columns
    ]
    return lines[:FILES] + ([f"and {len(lines) - FILES} more files"] if len(lines) > FILES else [])


def _describe_embeddings(cube: xr.Dataset) -> str:
    failed = (cube["status"] != "ok").sum("stimulus").values
    systems = ", ".join(
        f"{name} ({int(n):,} failed to enrol)"
        for name, n in zip(*map(np.atleast_1d, (cube["system"].values, failed)), strict=True)
    )
    return f"{cube['stimulus'].size:,} faces by {systems}"


def _describe_human(study: xr.DataTree) -> str:
    human, questions = group_of(study, "human"), group_of(study, "questions")
    text = f"{human['score'].size:,} judgements"
    if "annotator" in human.coords:
        text += f" by {len(set(human['annotator'].values.ravel().tolist())):,} annotators"
    low, high = float(questions["low"].min()), float(questions["high"].max())
    return text + f" on {questions['question'].size} questions, scored {low:g} to {high:g}"


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
