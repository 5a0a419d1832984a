"""Builds a study from tidy frames."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import xarray as xr

from causalbias.errors import DataError
from causalbias.study.privacy import pseudonymise, salt_from
from causalbias.study.tables import (
    check_columns,
    check_frame,
    check_known,
    check_unique,
    number_column,
    text_column,
)
from causalbias.study.tree import Study
from causalbias.study.validate import validate

FORMAT_VERSION = 1


def make_study(
    *,
    factors: Sequence[str],
    identity: str = "seed",
    stimuli: pd.DataFrame | None = None,
    pairs: pd.DataFrame | None = None,
    distances: pd.DataFrame | None = None,
    judgements: pd.DataFrame | None = None,
    scales: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    references: Mapping[str, float] | None = None,
    excluded: pd.DataFrame | None = None,
    provenance: pd.DataFrame | None = None,
    salt: bytes | None = None,
    name: str = "study",
    title: str = "",
    metric: str = "distance",
    files: Mapping[str, str] | None = None,
) -> Study:
    """Build a study from tidy frames, checking every one of them.

    Parameters
    ----------
    factors : sequence of str
        What the experiment sets: ``["seed", "race", "gender", "attribute", "level"]``.
    identity : str, default "seed"
        The factor whose equality makes a pair genuine.
    stimuli : DataFrame
        Columns `stimulus` (unique id), one column a factor, optionally `image` (relative path).
    pairs : DataFrame
        Columns `stimulus_a`, `stimulus_b`, optionally `pair` (unique id; else ``"a~b"``).
    distances : DataFrame
        Columns `system`, `pair`, `distance` (>= 0, smaller means more alike), optionally
        `threshold` (one value a system, or none) and `status` ("ok", or why there is no distance).
    judgements : DataFrame
        Columns `question`, `score`, optionally `annotator`, and what was judged: `pair`,
        `stimulus`, or factor columns (a cell of the design). With both `pair` and `stimulus`,
        each row fills one and leaves the other "". Other columns are kept as coordinates.
    scales : (low, high) or mapping of question to (low, high)
        Range of the scores; needed with judgements.
    references : mapping of attribute to level, optional
        For factors `attribute` and `level`: the level at which each attribute leaves a face
        unchanged. `to_frame` then has one column an attribute: how far it was moved.
    excluded : DataFrame
        What a loader left out: columns `file`, `what`, `reason`, `count`.
    provenance : DataFrame
        The files read: columns `file`, `sha256`, `bytes`, `rows`.
    salt : bytes, optional
        Key of the annotators' pseudonyms; by default derived from the judgements' content.
    name, title, metric : str
        Name and one-line title of the study; what the distance is, e.g. "euclidean".
    files : mapping of str to str
        File names to put in errors, by frame (``{"judgements": "ratings.csv"}``).

    Returns
    -------
    Study
        Groups ``/stimuli`` (dims: the factors), ``/pairs`` (dim `pair`), ``/machine`` (dims
        `system`, `pair`), ``/human`` (dim `judgement`), ``/questions`` (dim `question`),
        ``/excluded``, ``/provenance``; those for which something was given.

    Raises
    ------
    DataError
        Naming frame or file, column, row and mend.

    Examples
    --------
    >>> import causalbias as cb, pandas as pd
    >>> faces = pd.DataFrame({"stimulus": ["s1_0", "s1_1"], "seed": ["s1", "s1"], "level": [0, 1]})
    >>> pairs = pd.DataFrame({"stimulus_a": ["s1_0"], "stimulus_b": ["s1_1"]})
    >>> distances = pd.DataFrame({"system": "net", "pair": ["s1_0~s1_1"], "distance": [0.3]})
    >>> cb.make_study(factors=["seed", "level"], stimuli=faces, pairs=pairs, distances=distances)
    <causalbias.Study 'study'>
      factors    seed (1) x level (2); identity: seed
      stimuli    2 of 2 cells present
      pairs      1: 1 genuine, 0 impostor
      machine    1 distances by net; distance
      excluded   nothing
    """
    names = {key: key for key in ("stimuli", "pairs", "distances", "judgements")}
    names.update(files or {})
    groups: dict[str, xr.Dataset] = {}
    if stimuli is not None:
        stimuli = _checked_stimuli(stimuli, factors, identity, names["stimuli"])
        groups["stimuli"] = _stimuli_cube(stimuli, factors)
    if pairs is not None:
        if stimuli is None:
            raise DataError("pairs without stimuli", mend="give the stimuli they name")
        groups["pairs"] = pairs_group(pairs, stimuli, factors, identity, names["pairs"])
    if distances is not None:
        if "pairs" not in groups:
            raise DataError("distances without pairs", mend="give the pairs they belong to")
        groups["machine"] = _machine(distances, groups["pairs"], metric, names["distances"])
    if judgements is not None:
        groups["human"], groups["questions"] = _human(
            judgements, groups, factors, scales, salt, names["judgements"]
        )
    if excluded is not None and len(excluded):
        groups["excluded"] = _table(excluded, "exclusion")
    if provenance is not None and len(provenance):
        groups["provenance"] = _table(provenance, "source")
    study = Study(children={key: xr.DataTree(ds) for key, ds in groups.items()})
    study.attrs = {
        "kind": "study",
        "name": name,
        "title": title,
        "factors": ",".join(factors),
        "identity": identity,
        "causalbias_format": FORMAT_VERSION,
    }
    if references is not None:
        study.attrs["references"] = _checked_references(references, factors)
    validate(study)
    return study


def _checked_references(references: Mapping[str, float], factors: Sequence[str]) -> str:
    if not {"attribute", "level"} <= set(factors) or set(references) & set(factors):
        raise DataError(
            f"references for {', '.join(references)} with factors {', '.join(factors)}",
            mend="references need factors attribute and level, and names that are no factor's",
        )
    return json.dumps({name: float(level) for name, level in references.items()})


def _checked_stimuli(
    frame: pd.DataFrame, factors: Sequence[str], identity: str, file: str
) -> pd.DataFrame:
    if identity not in factors:
        raise DataError(
            f"the identity factor {identity!r} is not among the factors {', '.join(factors)}",
            mend="name one of them as identity",
        )
    check_columns(frame, factors, file=file)
    checked = _check_factors(frame, {"stimulus": text_column()}, factors, file)
    check_unique(checked, ["stimulus"], file=file)
    check_unique(checked, factors, file=file)
    return checked


def _check_factors(
    frame: pd.DataFrame, schema: dict[str, pa.Column], factors: Sequence[str], file: str
) -> pd.DataFrame:
    """The frame, checked by the schema and for factors whose values are all there."""
    factor = {
        name: number_column() if _is_number(frame[name]) else text_column() for name in factors
    }
    integers = [name for name in factors if pd.api.types.is_integer_dtype(frame[name])]
    checked = check_frame(frame, factor | schema, file=file)
    return checked.astype(dict.fromkeys(integers, np.int64))


def _stimuli_cube(frame: pd.DataFrame, factors: Sequence[str]) -> xr.Dataset:
    index = {name: np.unique(_plain(frame[name])) for name in factors}
    place = tuple(np.searchsorted(index[name], _plain(frame[name])) for name in factors)
    shape = tuple(len(values) for values in index.values())
    present = np.zeros(shape, dtype=bool)
    present[place] = True
    variables = {"present": (tuple(factors), present)}
    for name in frame.columns.difference(list(factors)):
        values = _plain(frame[name])
        blank = "" if values.dtype.kind == "U" else np.nan
        cube = np.full(shape, blank, dtype=values.dtype if values.dtype.kind == "U" else float)
        cube[place] = values
        variables[name] = (tuple(factors), cube)
    return xr.Dataset(variables, coords=index)


def pairs_group(
    frame: pd.DataFrame, stimuli: pd.DataFrame, factors: Sequence[str], identity: str, file: str
) -> xr.Dataset:
    """The group ``/pairs`` from a table of pairs and one of stimuli, as `make_study` takes them."""
    check_columns(frame, ["stimulus_a", "stimulus_b"], file=file)
    if "pair" not in frame:
        frame = frame.assign(
            pair=frame["stimulus_a"].astype(str) + "~" + frame["stimulus_b"].astype(str)
        )
    schema = {key: text_column() for key in ("pair", "stimulus_a", "stimulus_b")}
    frame = check_frame(frame, schema, file=file, unique=["pair"])
    known = stimuli.set_index("stimulus")
    coords: dict[str, tuple[str, np.ndarray]] = {"pair": ("pair", _plain(frame["pair"]))}
    for side in ("a", "b"):
        column = f"stimulus_{side}"
        check_known(frame[column], known.index, what="stimulus", file=file, column=column)
        coords[column] = ("pair", _plain(frame[column]))
        for name in factors:
            values = known[name].loc[frame[column]]
            coords[f"{name}_{side}"] = ("pair", _plain(values))
    differs = {name: coords[f"{name}_a"][1] != coords[f"{name}_b"][1] for name in factors}
    others = [name for name in factors if name != identity]
    varies = np.full(len(frame), "", dtype=f"<U{sum(len(n) + 1 for n in others) or 1}")
    for name in others:
        joined = np.where(varies == "", name, np.char.add(np.char.add(varies, "+"), name))
        varies = np.where(differs[name], joined, varies)
    coords["varies"] = ("pair", varies)
    coords["same_identity"] = ("pair", ~differs[identity])
    return xr.Dataset(coords=coords)


def _machine(frame: pd.DataFrame, pairs: xr.Dataset, metric: str, file: str) -> xr.Dataset:
    check_columns(frame, ["distance"], file=file)
    frame = frame if "status" in frame else frame.assign(status="ok")
    ok = (frame["status"] == "ok").to_numpy()
    schema = {key: text_column() for key in ("system", "pair", "status")}
    schema |= {"distance": number_column(0.0)}
    filled = frame.assign(distance=frame["distance"].where(ok, 0.0))
    frame = check_frame(filled, schema, file=file, unique=["system", "pair"])
    pair_index = pd.Index(pairs["pair"].values)
    check_known(frame["pair"], pair_index, what="pair", file=file, column="pair")
    systems, system_code = np.unique(_plain(frame["system"]), return_inverse=True)
    place = (system_code, pair_index.get_indexer(frame["pair"]))
    shape = (len(systems), len(pair_index))
    distance = np.full(shape, np.nan)
    status = np.full(
        shape, "no distance given", dtype=f"<U{max(17, frame['status'].str.len().max())}"
    )
    distance[place] = frame["distance"].where(ok)
    status[place] = _plain(frame["status"])
    machine = xr.Dataset(
        {
            "distance": (("system", "pair"), distance, {"metric": metric}),
            "status": (("system", "pair"), status),
        },
        coords={"system": systems, "pair": pair_index.to_numpy().astype(str)},
    )
    machine["distance"].attrs["direction"] = "smaller means more alike"
    if "threshold" in frame:
        frame = check_frame(frame, {"threshold": number_column(0.0, nullable=True)}, file=file)
        per_system = frame.groupby("system")["threshold"]
        if (per_system.nunique() > 1).any():
            raise DataError(
                f"system {per_system.nunique().idxmax()!r} has several thresholds",
                mend="give one threshold a system",
                file=file,
                column="threshold",
            )
        machine["threshold"] = ("system", per_system.first().loc[systems].to_numpy(float))
    return machine


def _human(
    frame: pd.DataFrame,
    groups: Mapping[str, xr.Dataset],
    factors: Sequence[str],
    scales: Mapping[str, tuple[float, float]] | tuple[float, float] | None,
    salt: bytes | None,
    file: str,
) -> tuple[xr.Dataset, xr.Dataset]:
    check_columns(frame, ["question", "score"], file=file)
    if scales is None:
        raise DataError("judgements without a scale", mend="give scales=(low, high)", file=file)
    schema = {"question": text_column(), "score": number_column()}
    target = [key for key in ("pair", "stimulus") if key in frame]
    target = target or [name for name in factors if name in frame]
    if not target:
        raise DataError(
            "nothing says what was judged",
            mend=f"add a column pair, stimulus, or some of {', '.join(factors)}",
            file=file,
        )
    either = "pair" in frame and "stimulus" in frame
    if either:
        _check_one_target(frame, file)
    names = ("annotator",) if either else ("pair", "stimulus", "annotator")
    schema |= {key: text_column() for key in names if key in frame}
    frame = _check_factors(frame, schema, [name for name in factors if name in target], file)
    questions = _questions(frame, scales, file)
    for key, group in (("pair", "pairs"), ("stimulus", "stimuli")):
        if key in target and group in groups:
            known = pd.Index(np.unique(groups[group][key].values))
            known = known.union([""]) if either else known
            check_known(frame[key], known, what=key, file=file, column=key)
    if "annotator" in frame:
        trial = ["trial"] if "trial" in frame else []
        check_unique(frame, ["annotator", "question", *target, *trial], file=file)
        frame = frame.assign(
            annotator=pseudonymise(frame["annotator"], salt or salt_from(frame.to_csv().encode()))
        )
    coords = {
        column: ("judgement", _plain(frame[column])) for column in frame.columns.drop("score")
    }
    score = ("judgement", frame["score"].to_numpy(float))
    return xr.Dataset({"score": score}, coords=coords), questions


def _check_one_target(frame: pd.DataFrame, file: str) -> None:
    wrong = ((frame["pair"] != "") == (frame["stimulus"] != "")).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"pair {frame['pair'].iloc[row]!r} and stimulus {frame['stimulus'].iloc[row]!r}",
            mend='a judgement is of one of them; leave the other ""',
            file=file,
            column="pair + stimulus",
            row=row + 1,
        )


def _questions(
    frame: pd.DataFrame,
    scales: Mapping[str, tuple[float, float]] | tuple[float, float],
    file: str,
) -> xr.Dataset:
    """Range of each question's scale, having checked that the scores keep to it."""
    codes, found = pd.factorize(frame["question"], sort=True)
    names = np.array(found, dtype=str)
    if not isinstance(scales, Mapping):
        scales = dict.fromkeys(names.tolist(), scales)
    check_known(
        frame["question"], list(scales), what="question with a scale", file=file, column="question"
    )
    ranges = np.array([scales[str(name)] for name in names], dtype=float)
    low, high = ranges[codes].T
    score = frame["score"].to_numpy(float)
    outside = (score < low) | (score > high)
    if outside.any():
        at = int(outside.argmax())
        raise DataError(
            f"{score[at]:g} is outside the scale {low[at]:g} to "
            f"{high[at]:g} ({int(outside.sum()):,} such scores)",
            mend="correct the score, or state the scale it was given on",
            file=file,
            column="score",
            row=at + 1,
        )
    return xr.Dataset(
        {
            "low": ("question", ranges[:, 0]),
            "high": ("question", ranges[:, 1]),
        },
        coords={"question": names},
    )


def exclusions(rows: Sequence[tuple[str, str, str, int]]) -> pd.DataFrame:
    """Table of what a loader left out, from rows (file, what, reason, count) with count > 0."""
    table = pd.DataFrame(rows, columns=["file", "what", "reason", "count"])
    return table[table["count"] > 0].reset_index(drop=True)


def file_record(path: Path, rows: int) -> dict[str, str | int]:
    """Row of the provenance table: a file's name, hash, size in bytes and rows read."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"file": path.name, "sha256": digest, "bytes": path.stat().st_size, "rows": rows}


def _table(frame: pd.DataFrame, dim: str) -> xr.Dataset:
    return xr.Dataset({column: (dim, _plain(frame[column])) for column in frame})


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _plain(values: pd.Series) -> np.ndarray:
    """NumPy array that files can hold bit for bit: fixed-width text, integers, floats, booleans."""
    if _is_number(values) or pd.api.types.is_bool_dtype(values):
        return values.to_numpy()
    return values.astype(str).to_numpy(dtype=str)
