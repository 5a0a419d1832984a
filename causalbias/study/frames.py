"""Tidy frames out of a study's groups."""

import json

import pandas as pd
import xarray as xr

from causalbias.arguments import need_study
from causalbias.errors import DataError
from causalbias.study.tree import factors_of, group_of


def to_frame(study: xr.DataTree, group: str) -> pd.DataFrame:
    """One row a record of a group, with the factors of what was compared or judged.

    Parameters
    ----------
    study : DataTree
    group : {"stimuli", "pairs", "machine", "human", "questions", "excluded", "provenance"}

    Returns
    -------
    DataFrame
        stimuli: one row a face that is present. pairs, machine: one row a pair, or a system and
        pair, with ``<factor>_a``, ``<factor>_b``, and ``<factor>`` where the members share its
        value (missing where they differ). human: one row a judgement, with the factors of the
        face or pair judged. Where the study records reference levels (see `make_study`), also
        one column an attribute: how far the face was moved from its reference, or the pair's
        second member from its first, in units of `level`.

    Raises
    ------
    DataError
        If the study has no such group.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.to_frame(cb.demo_study(), "machine").columns[:3].tolist()
    ['system', 'pair', 'distance']
    """
    need_study(study)
    if group not in study.children:
        raise DataError(
            f"the study has no group {group!r}", mend=f"ask for one of {', '.join(study.children)}"
        )
    if group == "stimuli":
        cube = group_of(study, group).stack(cell=list(group_of(study, group).sizes))
        present = cube.isel(cell=cube["present"].values).reset_index("cell")
        frame = present.to_dataframe().drop(columns="present").reset_index(drop=True)
        frame = frame[["stimulus", *factors_of(study), *_others(frame, study)]]
        references = _references(study)
        return frame.assign(**{name: _moved(frame, name, at) for name, at in references.items()})
    if group == "pairs":
        return _pairs_frame(study)
    if group == "machine":
        frame = group_of(study, group).to_dataframe(dim_order=["system", "pair"]).reset_index()
        pairs = _pairs_frame(study).set_index("pair")
        return frame.join(pairs, on="pair")
    if group == "human":
        return _human_frame(study)
    return group_of(study, group).to_dataframe().reset_index()


def _others(frame: pd.DataFrame, study: xr.DataTree) -> list[str]:
    return [str(name) for name in frame if name not in ("stimulus", *factors_of(study))]


def _references(study: xr.DataTree) -> dict[str, float]:
    return dict(json.loads(study.attrs.get("references", "{}")))


def _moved(frame: pd.DataFrame, attribute: str, reference: float, side: str = "") -> pd.Series:
    """How far an attribute was moved from its reference, in units of `level`."""
    level = frame[f"level{side}"].astype(float)
    return (level - reference).where(frame[f"attribute{side}"] == attribute, 0.0)


def _pairs_frame(study: xr.DataTree) -> pd.DataFrame:
    coords = group_of(study, "pairs").reset_index("pair").reset_coords()
    frame = coords.to_dataframe().reset_index(drop=True)
    for name in factors_of(study):
        first, second = frame[f"{name}_a"], frame[f"{name}_b"]
        whole = first.dtype.kind == "i"
        frame[name] = (first.astype("Int64") if whole else first).where(first == second)
    for name, at in _references(study).items():
        frame[name] = _moved(frame, name, at, "_b") - _moved(frame, name, at, "_a")
    return frame


def _human_frame(study: xr.DataTree) -> pd.DataFrame:
    frame = group_of(study, "human").reset_coords().to_dataframe().reset_index(drop=True)
    keys = [
        (key, group)
        for key, group in (("pair", "pairs"), ("stimulus", "stimuli"))
        if key in frame and group in study.children and (frame[key] != "").any()
    ]
    parts = []
    for key, group in keys:
        part = frame[frame[key] != ""] if len(keys) > 1 else frame
        about = to_frame(study, group).set_index(key)
        part = part.join(about[about.columns.difference(part.columns, sort=False)], on=key)
        if len(keys) > 1 and "same_identity" in part:
            part["same_identity"] = part["same_identity"].astype("boolean")  # missing for faces
        parts.append(part)
    return pd.concat(parts).sort_index() if parts else frame
