"""Add the distances of a study's pairs, computed from embeddings of its faces."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.study.tree import NO_IMAGE, OK, Study, as_study, group_of

BLOCK = 1 << 15


def pair_distances(
    embedding: np.ndarray, first: np.ndarray, second: np.ndarray, metric: str
) -> np.ndarray:
    """Compute distances (n,), float64, between rows `first` and `second` (n,) of an array (m, d).

    The distances are Euclidean, or 1 minus the cosine. They are computed in blocks, so that the
    memory for intermediate results does not grow with n.

    Examples
    --------
    >>> points = np.array([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]])
    >>> pair_distances(points, np.array([0, 0]), np.array([1, 2]), "euclidean").tolist()
    [5.0, 5.0]
    >>> pair_distances(points, np.array([0]), np.array([2]), "cosine").round(12).tolist()
    [0.0]
    """
    found = np.empty(len(first))
    for start in range(0, len(first), BLOCK):
        part = slice(start, start + BLOCK)
        a, b = embedding[first[part]].astype(float), embedding[second[part]].astype(float)
        if metric == "euclidean":
            found[part] = np.linalg.norm(a - b, axis=1)
        else:
            lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            cosine = (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1)
            found[part] = np.clip(1 - cosine, 0, 2)
    return found


def with_distances(study: xr.DataTree, embeddings: xr.Dataset) -> Study:
    """Add the distances of a study's pairs, ``/machine``, from embeddings of its faces.

    Parameters
    ----------
    study : DataTree
        A study with ``/stimuli`` and ``/pairs``. Distances of other systems are kept; a system of
        the same name is replaced.
    embeddings : Dataset
        The result of `embed` for the stimuli of the study.

    Returns
    -------
    Study
        The study with ``/machine``: `distance` (system, pair) by each system's metric; `status`,
        which is "ok", or the status of the member that has no embedding, or "no image";
        `threshold` (system). ``/embeddings`` holds `embeddings`.

    Raises
    ------
    DataError
        If the study has no pairs, or no face of the study was embedded.

    Examples
    --------
    >>> import causalbias as cb, xarray as xr, numpy as np
    >>> faces = cb.datasets.stimuli_from_names(["1_0", "1_1", "2_0"], "{seed}_{level}")
    >>> study = cb.make_study(factors=["seed", "level"], stimuli=faces)
    >>> study = cb.with_pairs(study, [["seed"], ["level"]])
    >>> cube = xr.Dataset(
    ...     {"embedding": (("system", "stimulus", "feature"), [[[0.0, 0.0], [3.0, 4.0]]]),
    ...      "status": (("system", "stimulus"), [["ok", "ok"]]),
    ...      "metric": ("system", ["euclidean"]), "threshold": ("system", [6.0])},
    ...     coords={"system": ["net"], "stimulus": ["1_0", "1_1"]})
    >>> measured = cb.recognition.with_distances(study, cube)
    >>> cb.to_frame(measured, "machine")[["pair", "distance", "status"]]
          pair  distance    status
    0  1_0~1_1       5.0        ok
    1  1_0~2_0       NaN  no image
    """
    if "pairs" not in study.children:
        raise DataError(
            "the study has no pairs",
            hint="add them, e.g. by with_pairs(study, [['seed'], ['level']])",
            file="/pairs",
        )
    pairs = group_of(study, "pairs")
    index = embeddings.indexes["stimulus"]
    first, second = (
        index.get_indexer(pd.Index(pairs[f"stimulus_{side}"].values)) for side in ("a", "b")
    )
    parts = [
        _system(embeddings.sel(system=name), first, second, pairs["pair"].values)
        for name in embeddings["system"].values
    ]
    if "machine" in study.children:
        parts = _others(study, embeddings["system"].values) + parts
    machine = xr.concat(parts, "system", join="outer", data_vars="all", combine_attrs="drop")
    machine["distance"].attrs = {
        "metric": _metrics(parts),
        "direction": "smaller means more alike",
    }
    new = with_embeddings(study, embeddings)
    new["machine"] = xr.DataTree(machine)
    return new


def with_embeddings(study: xr.DataTree, embeddings: xr.Dataset) -> Study:
    """Add the result of `embed` to a study as the group ``/embeddings``.

    Raises
    ------
    DataError
        If the study has no faces, or none of its faces was embedded.
    """
    if "stimuli" not in study.children:
        raise DataError("the study has no faces", hint="give make_study the table of stimuli")
    if not np.isin(embeddings["stimulus"].values, group_of(study, "stimuli")["stimulus"]).any():
        raise DataError(
            f"none of the {embeddings.sizes['stimulus']} embedded images, such as "
            f"{str(embeddings['stimulus'].values[0])!r}, is an image of the study",
            hint="embed the study's faces: embed(images_of(study, folder))",
            file="/stimuli",
        )
    new = as_study(study)
    new["embeddings"] = xr.DataTree(embeddings)
    return new


def _system(
    one: xr.Dataset, first: np.ndarray, second: np.ndarray, pairs: np.ndarray
) -> xr.Dataset:
    statuses = np.append(one["status"].values.astype(object), NO_IMAGE)  # -1 is the last
    status = np.where(statuses[first] == OK, statuses[second], statuses[first]).astype(str)
    ok = status == OK
    distance = np.full(len(pairs), np.nan)
    metric = str(one["metric"].item())
    distance[ok] = pair_distances(one["embedding"].values, first[ok], second[ok], metric)
    made = xr.Dataset(
        {
            "distance": (("system", "pair"), distance[None], {"metric": metric}),
            "status": (("system", "pair"), status[None]),
            "threshold": ("system", [float(one["threshold"])]),
        },
        coords={"system": [str(one["system"].item())], "pair": pairs},
    )
    return made


def _others(study: xr.DataTree, replaced: np.ndarray) -> list[xr.Dataset]:
    """Return the systems that are not replaced, one Dataset each."""
    machine = group_of(study, "machine")
    if "threshold" not in machine:
        machine["threshold"] = ("system", np.full(machine.sizes["system"], np.nan))
    stay = [name for name in machine["system"].values if name not in replaced]
    return [machine.sel(system=[name]) for name in stay]


def _metrics(parts: Sequence[xr.Dataset]) -> str:
    """Describe the distance: the common metric, or the metric of each system."""
    metrics = {
        str(part["system"].item()): str(part["distance"].attrs.get("metric", "distance"))
        for part in parts
    }
    if len(set(metrics.values())) == 1:
        return next(iter(metrics.values()))
    return "; ".join(f"{system}: {metric}" for system, metric in metrics.items())
