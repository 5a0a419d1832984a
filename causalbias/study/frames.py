"""Convert the groups of a study to tidy frames."""

import json

import pandas as pd
import xarray as xr

from causalbias.arguments import need_study
from causalbias.errors import DataError
from causalbias.study.columns import unpack
from causalbias.study.contents import check_contents, check_labels, check_once
from causalbias.study.tree import factors_of, group_of


def to_frame(study: xr.DataTree, group: str) -> pd.DataFrame:
    """Return one row per record of a group, with the factors of what was compared or judged.

    Parameters
    ----------
    study : DataTree
    group : {"stimuli", "pairs", "machine", "human", "questions", "excluded", "provenance"}

    Returns
    -------
    DataFrame
        Ids are text, and missing cells are missing in columns of every type. Factors that were
        given as categoricals are categoricals with the same order of levels.

        "stimuli" has one row per face that is present. "pairs" has one row per pair and "machine"
        one per system and pair, with ``<factor>_a``, ``<factor>_b``, and ``<factor>``, which is
        missing where the members differ in it. "human" has one row per judgement, with the
        factors of the face or pair that was judged. If the study records reference levels (see
        `make_study`), there is also one column per attribute: the change of the face from the
        reference level, or of the pair's second member from its first, in units of `level`.

    Raises
    ------
    DataError
        If the study has no such group; if a group lacks a dim or a variable, or holds text in the
        place of numbers or truth values; or if an id is not in the group that says what it is.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.to_frame(cb.demo_study(), "machine").columns[:3].tolist()
    ['system', 'pair', 'distance']
    """
    need_study(study)
    if group not in study.children:
        raise DataError(
            f"the study has no group {group!r}", hint=f"ask for one of {', '.join(study.children)}"
        )
    check_contents(study, group)
    dataset = group_of(study, group)
    if group == "stimuli":
        cube = dataset.stack(cell=list(dataset.sizes))
        present = cube.isel(cell=cube["present"].values).reset_index("cell")
        frame = present.to_dataframe().drop(columns="present").reset_index(drop=True)
        frame = _unpacked(frame, dataset)
        frame = frame[["stimulus", *factors_of(study), *_others(frame, study)]]
        references = _references(study)
        return frame.assign(**{name: _moved(frame, name, at) for name, at in references.items()})
    if group == "pairs":
        return _pairs_frame(study)
    if group == "machine":
        frame = dataset.to_dataframe(dim_order=["system", "pair"]).reset_index()
        return _joined(_unpacked(frame, dataset), _pairs_frame(study), "pair", group, "pairs")
    if group == "human":
        return _human_frame(study)
    return _unpacked(dataset.to_dataframe().reset_index(), dataset)


def is_lazy(study: xr.DataTree, group: str) -> bool:
    """Whether a group's variables are dask arrays, as those of ``cb.open(path, lazy=True)``."""
    found = study.children.get(group)
    return found is not None and any(one.chunks for one in found.variables.values())


def frame_between(study: xr.DataTree, group: str, start: int, stop: int) -> pd.DataFrame:
    """Return the frame of some pairs of "machine", or judgements of "human", and read no others.

    Parameters
    ----------
    study : DataTree
        Its arrays may be dask arrays.
    group : {"machine", "human"}
    start, stop : int
        Places of pairs or judgements.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> rows = frame_between(study, "human", 10, 12)
    >>> rows.equals(cb.to_frame(study, "human")[10:12].reset_index(drop=True))
    True
    """
    kept = {name: group_of(study, name) for name in ("stimuli", "pairs") if name in study.children}
    if group == "machine":
        own = group_of(study, group).isel(pair=slice(start, stop))
        known, wanted = kept["pairs"].indexes["pair"], own.indexes["pair"]
        alike = known[start:stop].equals(wanted)  # as in all studies but those changed by hand
        some = slice(start, stop) if alike else known.isin(wanted)
        kept = {"pairs": kept["pairs"].isel(pair=some), group: own}
    else:
        own = _loaded(group_of(study, group).isel(judgement=slice(start, stop)))
        if "pairs" in kept and "pair" in own:
            used = kept["pairs"].indexes["pair"].isin(own["pair"].values.astype(str))
            kept["pairs"] = kept["pairs"].isel(pair=used)
        kept[group] = own
    part = xr.DataTree.from_dict({name: _loaded(one) for name, one in kept.items()})
    part.attrs = study.attrs
    return to_frame(part, group)


def _loaded(dataset: xr.Dataset) -> xr.Dataset:
    """Read dask arrays here and now: this may be a task itself, which waits for no others."""
    return dataset.compute(scheduler="synchronous")


def _unpacked(frame: pd.DataFrame, dataset: xr.Dataset) -> pd.DataFrame:
    """Return the columns with the types that they had when the study was made."""
    attrs = {str(name): one.attrs for name, one in dataset.variables.items()}
    return pd.DataFrame(
        {
            name: unpack(frame[name].to_numpy(), attrs[name]) if name in attrs else frame[name]
            for name in map(str, frame)
        },
        columns=frame.columns,
    )


def _others(frame: pd.DataFrame, study: xr.DataTree) -> list[str]:
    return [str(name) for name in frame if name not in ("stimulus", *factors_of(study))]


def _references(study: xr.DataTree) -> dict[str, float]:
    return dict(json.loads(study.attrs.get("references", "{}")))


def _moved(frame: pd.DataFrame, attribute: str, reference: float, side: str = "") -> pd.Series:
    """Return the change of an attribute from its reference level, in units of `level`."""
    level = frame[f"level{side}"].astype(float)
    return (level - reference).where(frame[f"attribute{side}"] == attribute, 0.0)


def _joined(
    frame: pd.DataFrame, about: pd.DataFrame, key: str, group: str, other: str
) -> pd.DataFrame:
    """Add what another group says of each id; that has each once, so that no row is lost or new."""
    known = pd.Index(about[key])
    check_once(known, other, key)
    check_labels(frame[key].dropna().unique(), known, group, key, other)
    columns = about.columns.difference(frame.columns, sort=False)
    return frame.join(about.set_index(key)[columns], on=key)


def _pairs_frame(study: xr.DataTree) -> pd.DataFrame:
    check_contents(study, "pairs")
    dataset = group_of(study, "pairs")
    coords = dataset.reset_index("pair").reset_coords()
    frame = _unpacked(coords.to_dataframe().reset_index(drop=True), dataset)
    for name in factors_of(study):
        first, second = frame[f"{name}_a"], frame[f"{name}_b"]
        whole = first.dtype.kind == "i"
        frame[name] = (first.astype("Int64") if whole else first).where(first == second)
    for name, at in _references(study).items():
        frame[name] = _moved(frame, name, at, "_b") - _moved(frame, name, at, "_a")
    return frame


def _human_frame(study: xr.DataTree) -> pd.DataFrame:
    dataset = group_of(study, "human")
    frame = _unpacked(dataset.reset_coords().to_dataframe().reset_index(drop=True), dataset)
    keys = [
        (key, group)
        for key, group in (("pair", "pairs"), ("stimulus", "stimuli"))
        if key in frame and group in study.children and frame[key].notna().any()
    ]
    parts = []
    for key, group in keys:
        part = frame[frame[key].notna()] if len(keys) > 1 else frame
        part = _joined(part, to_frame(study, group), key, "human", group)
        if len(keys) > 1 and "same_identity" in part:
            part["same_identity"] = part["same_identity"].astype("boolean")  # missing for faces
        parts.append(part)
    if not parts:
        return frame
    every = pd.concat(parts).sort_index()
    kinds = {name: part[name].dtype for part in parts for name in part}
    return every.astype(
        {name: kind for name, kind in kinds.items() if isinstance(kind, pd.CategoricalDtype)}
    )
