"""Build a study from tidy frames."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import names_in
from causalbias.errors import DataError, at_first, shown
from causalbias.study.columns import (
    as_texts,
    check_groups,
    is_number,
    labels,
    levels_of,
    measured,
    missing_code,
    pack,
    sizes_of,
    typed,
    unknown_groups,
    unpack,
)
from causalbias.study.privacy import pseudonymise, salt_from
from causalbias.study.rows import check_present
from causalbias.study.tables import (
    check_columns,
    check_comparisons,
    check_frame,
    check_known,
    check_unique,
    checked_status,
    named_columns,
    number_column,
    one_path,
    table_of,
)
from causalbias.study.tree import Study
from causalbias.study.validate import validate

FORMAT_VERSION = 1
NO_DISTANCE = "no distance given"
# Names that a study uses for other things than factors.
TAKEN = (
    *("cell", "stimulus", "image", "present", "pair", "stimulus_a", "stimulus_b", "same_identity"),
    *("varies", "system", "distance", "status", "threshold", "question", "score", "annotator"),
    *("judgement", "feature", "embedding"),
)
Note = tuple[str, str, str, int]  # file, what, reason, count of what was left out
Variable = tuple[tuple[str, ...], np.ndarray, dict[str, str]]


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

    Ids become text and missing cells stay missing, whatever their type in the frames; the page
    ``columns.md`` of the documentation lists what each type becomes. Further columns of the four
    frames are kept, and so are the named levels of an index. A column that has no name and only
    numbers the rows is left out.

    Parameters
    ----------
    factors : sequence of str
        Names of the variables that the experiment sets, e.g.
        ``["seed", "race", "gender", "attribute", "level"]``.
    identity : str, default "seed"
        The factor whose equality makes a pair genuine.
    stimuli : DataFrame
        Columns `stimulus` (unique id), one column per factor, optionally `image` (relative path).
        The identity factor is text; every other factor is numeric if its column is, and text
        otherwise.
    pairs : DataFrame
        Columns `stimulus_a`, `stimulus_b`, optionally `pair` (unique id; by default ``"a~b"``).
        Pairs are unordered: two faces may be paired once, in either order, and no face may be
        paired with itself.
    distances : DataFrame
        Columns `system`, `pair` (or `stimulus_a` and `stimulus_b`, in either order), `distance`
        (>= 0, smaller means more alike), optionally
        `threshold` (the same value in all rows of a system, or missing) and `status` ("ok", in
        upper or lower case, or the reason why there is no distance).
    judgements : DataFrame
        Columns `question`, `score`, optionally `annotator`, and the columns that identify what
        was judged: `pair` (or `stimulus_a` and `stimulus_b`), `stimulus`, or factors (a cell of
        the design). A column `trial`
        (1, 2, ...) is needed where an annotator answers the same question about the same item
        again, see `retest`. If both `pair` and `stimulus` are columns, each row gives one of them
        and leaves the other missing.
    scales : (low, high) or mapping of question to (low, high)
        Lowest and highest possible score; required with judgements.
    references : mapping of attribute to level, optional
        For factors `attribute` and `level`: the level at which each attribute leaves a face
        unchanged. `to_frame` then has one column per attribute: the change of the attribute from
        its reference level.
    excluded : DataFrame
        What a loader left out: columns `file`, `what`, `reason`, `count`.
    provenance : DataFrame
        The files that were read: columns `file`, `sha256`, `bytes`, `rows`, `columns` (the type
        as which each column was read), `missing` (number of missing cells).
    salt : bytes, optional
        Key of the annotators' pseudonyms; by default derived from the judgements' content.
    name, title, metric : str
        Name and one-line title of the study; name of the distance, e.g. "euclidean".
    files : mapping of str to str
        File names for error messages, by frame (``{"judgements": "ratings.csv"}``).

    Returns
    -------
    Study
        Groups ``/stimuli`` (dims: the factors), ``/pairs`` (dim `pair`), ``/machine`` (dims
        `system`, `pair`), ``/human`` (dim `judgement`), ``/questions`` (dim `question`),
        ``/excluded``, ``/provenance``. Groups for which no frame was given are absent.

    Raises
    ------
    DataError
        If a frame is not as described above. The error names the frame or file, the column and
        the row, and gives a hint.

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
    factors = _checked_factors(factors)
    left_out: list[Note] = []
    given = {"stimuli": stimuli, "pairs": pairs, "distances": distances, "judgements": judgements}
    for key, frame in given.items():
        if frame is not None:
            given[key], unnamed = table_of(frame, names[key])
            reason = "without a name: the rows' numbers"
            left_out += [(names[key], "columns", reason, unnamed)] * (unnamed > 0)
    stimuli, pairs, distances, judgements = given.values()
    groups: dict[str, xr.Dataset] = {}
    if stimuli is not None:
        stimuli = _checked_stimuli(stimuli, factors, identity, names["stimuli"])
        groups["stimuli"] = _stimuli_cube(stimuli, factors)
    if pairs is not None:
        if stimuli is None:
            raise DataError("pairs without stimuli", hint="give the stimuli they name")
        groups["pairs"], notes = pairs_group(pairs, stimuli, factors, identity, names["pairs"])
        left_out += notes
    if distances is not None:
        if "pairs" not in groups:
            raise DataError("distances without pairs", hint="give the pairs they belong to")
        distances = _with_pair(distances, groups["pairs"], names["distances"])
        made = _machine(distances, groups["pairs"], metric, factors, names["distances"])
        groups["machine"] = made[0]
        left_out += made[1]
    if judgements is not None:
        if "pairs" in groups:
            judgements = _with_pair(judgements, groups["pairs"], names["judgements"])
        groups["human"], groups["questions"], notes = _human(
            judgements, groups, stimuli, factors, identity, scales, salt, names["judgements"]
        )
        left_out += notes
    notes_of = (excluded, exclusions(left_out))
    exclusion_tables = [table for table in notes_of if table is not None and len(table)]
    if exclusion_tables:
        groups["excluded"] = _table(pd.concat(exclusion_tables, ignore_index=True), "exclusion")
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
        study.attrs["references"] = _checked_references(references, factors, stimuli)
    validate(study)
    return study


def _checked_factors(factors: Sequence[str]) -> list[str]:
    """Return the names of the factors; refuse repeated names and names with another meaning."""
    names = list(names_in(factors, "factors"))
    for name in names:
        taken = name in TAKEN or any(f"{name}_{side}" in names for side in "ab")
        if taken or not name.strip() or set(name) & set(",/+\0") or name == ".":
            raise DataError(
                f"a factor is called {name!a}",
                hint="rename it: a study uses this name for something else"
                if taken
                else "give it a name without comma, slash and plus",
            )
        if names.count(name) > 1:
            raise DataError(f"the factor {name!r} is given twice", hint="name each factor once")
    return names


def _checked_references(
    references: Mapping[str, float], factors: Sequence[str], stimuli: pd.DataFrame | None
) -> str:
    if not {"attribute", "level"} <= set(factors) or set(references) & set(factors):
        raise DataError(
            f"references for {', '.join(references)} with factors {', '.join(factors)}",
            hint="references need the factors attribute and level, and names that no factor has",
        )
    if stimuli is not None and not is_number(stimuli["level"]):
        raise DataError(
            "levels that are text, with references",
            hint="give levels as numbers, or leave the references out",
            file="stimuli",
            column="level",
        )
    return json.dumps({name: float(level) for name, level in references.items()})


def _checked_stimuli(
    frame: pd.DataFrame, factors: Sequence[str], identity: str, file: str
) -> pd.DataFrame:
    if identity not in factors:
        raise DataError(
            f"the identity factor {identity!r} is not among the factors {', '.join(factors)}",
            hint="name one of them as identity",
        )
    check_columns(frame, factors, file=file)
    _check_free(frame, ["cell"], file)
    others = [name for name in factors if name != identity]
    image = ["image"] if "image" in frame else []
    checked = check_frame(
        frame,
        {},
        text=["stimulus", *image],
        levels=[identity],
        factors=others,
        missing=image,
        file=file,
    )
    check_unique(checked, ["stimulus"], file=file)
    check_unique(checked, factors, file=file)
    for name in others:
        if not is_number(checked[name]):
            check_groups(checked[name], file=file)
            _warn_decimal_commas(checked[name], file)
            for one in unknown_groups(checked[name], name):
                warnings.warn(f"{file}: {one}", UserWarning, stacklevel=3)
    if "present" in checked:  # as xarray's frames of a study have it
        check_present(checked["present"], file=file)
        checked = checked.drop(columns="present")
    return checked.assign(image=_relative(checked["image"], file)) if image else checked


def _warn_decimal_commas(levels: pd.Series, file: str) -> None:
    """Warn of a factor whose levels are numbers but for their decimal commas: they are text."""
    known = [str(one) for one in levels_of(levels)]
    commas = [one for one in known if "," in one]
    if commas and sizes_of([one.replace(",", ".") for one in known]) is not None:
        warnings.warn(
            f"{file}: levels of {levels.name} such as {commas[0]!r} are text, and no numbers: "
            "write decimal points, or semicolons between cells",
            UserWarning,
            stacklevel=4,
        )


def _relative(image: pd.Series, file: str) -> pd.Series:
    r"""Return paths relative to the folder of images, with each file written in one way.

    ``faces\a.png`` (Windows) and ``faces/./a.png`` both become ``faces/a.png``.
    """
    absolute = image.str.match(r"[A-Za-z]:|\\\\", na=False).to_numpy(bool)
    if absolute.any():
        path = image.iloc[int(absolute.argmax())]
        hint = "write the path relative to the folder of images"
        raise at_first(
            absolute, f"{path!r} is an absolute path", hint=hint, file=file, column="image"
        )
    found = image.map(one_path, na_action="ignore").astype("str")
    outside = ((found == "..") | found.str.startswith("../", na=False)).to_numpy(bool)
    if outside.any():
        path = image.iloc[int(outside.argmax())]
        hint = "move the file there, or write the path relative to the folder of images"
        raise at_first(
            outside,
            f"{path!r} is outside the folder of images",
            hint=hint,
            file=file,
            column="image",
        )
    return found


def _stimuli_cube(frame: pd.DataFrame, factors: Sequence[str]) -> xr.Dataset:
    index = {name: levels_of(frame[name]) for name in factors}
    place = tuple(
        pd.Index(index[name]).get_indexer(pd.Index(pack(frame[name])[0])) for name in factors
    )
    shape = tuple(len(values) for values in index.values())
    present = np.zeros(shape, dtype=bool)
    present[place] = True
    variables: dict[str, Variable] = {"present": (tuple(factors), present, {})}
    for name in frame.columns.difference(list(factors)):
        variables[name] = (tuple(factors), *_cube(frame[name], place, shape))
    coords = {name: (name, values, pack(frame[name])[1]) for name, values in index.items()}
    return xr.Dataset(variables, coords=coords)


def _cube(
    column: pd.Series, place: tuple[np.ndarray, ...], shape: tuple[int, ...]
) -> tuple[np.ndarray, dict[str, str]]:
    """Place the values of a column in a cube; the cells without a value are missing."""
    values, attrs = pack(column)
    if values.dtype.kind == "b":
        values, attrs = values.astype(str), {"column": "truth"}
    if values.dtype.kind == "i":
        attrs = {"column": "whole"}
    if values.dtype.kind == "U":
        cube = np.full(shape, "", dtype=values.dtype)
    else:
        cube = np.full(shape, np.nan)
    cube[place] = values
    return cube, attrs


def pairs_group(
    frame: pd.DataFrame, stimuli: pd.DataFrame, factors: Sequence[str], identity: str, file: str
) -> tuple[xr.Dataset, list[Note]]:
    """Make the group ``/pairs`` from tables of pairs and stimuli in the form of `make_study`.

    Returns
    -------
    pairs : Dataset
    left_out : list of (file, what, reason, count)
        The columns that were left out because the study computes them.
    """
    sides = ["stimulus_a", "stimulus_b"]
    check_columns(frame, sides, file=file)
    _check_free(frame, ["system", "distance", "status", "threshold"], file)
    named = ["pair"] if "pair" in frame else []
    frame = check_frame(frame, {}, text=[*named, *sides], file=file)
    if not named:
        frame = frame.assign(pair=frame["stimulus_a"] + "~" + frame["stimulus_b"])
    check_unique(frame, ["pair"], file=file)
    known = stimuli.set_index("stimulus")
    for side in sides:
        check_known(frame[side], known.index, what="stimulus", file=file, column=side)
    image = known.get("image")
    check_comparisons(frame, image, file)
    made: dict[str, pd.Series] = {name: frame[name] for name in ("pair", *sides)}
    for name in factors:
        for side in sides:
            values = known[name].loc[frame[side]].reset_index(drop=True)
            made[name + side.removeprefix("stimulus")] = values
    differs = {name: (made[f"{name}_a"] != made[f"{name}_b"]).to_numpy() for name in factors}
    made["same_identity"] = pd.Series(~differs[identity])
    varies = pd.Series("", index=frame.index, dtype="str")
    for name in factors:
        if name != identity:
            joined = varies.where(varies == "", varies + "+") + name
            varies = varies.where(~differs[name], joined)
    shared = {name: made[f"{name}_a"].where(~differs[name]) for name in factors}
    rest, notes = further(frame, made | {"varies": varies} | shared, [*shared, "varies"], file)
    coords = {name: ("pair", *pack(values)) for name, values in (made | rest).items()}
    coords["varies"] = ("pair", as_texts(varies), {"column": "blank"})
    return xr.Dataset(coords=coords), notes


def further(
    frame: pd.DataFrame, computed: Mapping[str, pd.Series], may_differ: Sequence[str], file: str
) -> tuple[dict[str, pd.Series], list[Note]]:
    """Return the columns that the study does not compute; check those that it does.

    Parameters
    ----------
    frame : DataFrame
        Table as given.
    computed : mapping of str to Series
        Columns that the study computes, in the same rows. A column of `frame` with the same name
        must have the same values, where it is not missing.
    may_differ : sequence of str
        Names in `computed` whose values may differ: such a column is left out, with a note.
    file : str
        Name used in errors.

    Raises
    ------
    DataError
        If a column of the table contradicts the study.
    """
    kept: dict[str, pd.Series] = {}
    notes: list[Note] = []
    for name in map(str, frame):
        if name not in computed:
            kept[name] = frame[name]
            continue
        given, expected = (
            labels(column, file=file).astype("str") for column in (frame[name], computed[name])
        )
        differs = (given.notna() & (given != expected)).to_numpy(bool)
        if not differs.any():
            continue
        row = int(differs.argmax())
        if name in may_differ:
            reason = f"column {name!r} differs from what the study computes from the factors"
            notes.append((file, "columns", reason, 1))
            continue
        what = f"{given.iloc[row]!r}, but by the stimuli and pairs it is {expected.iloc[row]!r}"
        raise at_first(
            differs, what, hint="correct it, or leave the column out", file=file, column=name
        )
    return kept, notes


def _with_pair(frame: pd.DataFrame, pairs: xr.Dataset, file: str) -> pd.DataFrame:
    """Name the pair of rows that name its two faces, whichever of them comes first."""
    sides = ["stimulus_a", "stimulus_b"]
    if "pair" in frame or not set(sides) <= set(frame):
        return frame
    named = [labels(frame[side], file=file).astype(object) for side in sides]
    faces = [pairs[side].values.tolist() for side in sides]
    known: dict[tuple[object, ...], str] = {}
    for order in (faces, faces[::-1]):
        known |= dict(zip(zip(*order, strict=True), pairs["pair"].values.tolist(), strict=True))
    found = pd.Series([known.get(both) for both in zip(*named, strict=True)], frame.index)
    missing = found.isna().to_numpy(bool)
    if missing.any():
        one, other = (side.iloc[int(missing.argmax())] for side in named)
        raise at_first(
            missing,
            f"{shown(one)} and {shown(other)} are no pair of the study",
            hint="add them to the pairs, or leave the row out",
            file=file,
            column=" + ".join(sides),
        )
    return frame.drop(columns=sides).assign(pair=found)


def _machine(
    frame: pd.DataFrame, pairs: xr.Dataset, metric: str, factors: Sequence[str], file: str
) -> tuple[xr.Dataset, list[Note]]:
    similar = [str(name) for name in frame if "similar" in str(name).casefold()]
    if "distance" not in frame and similar:
        raise DataError(
            f"the column is not there, and {similar[0]!r} seems to be larger the more alike",
            hint=f"compute a distance, smaller the more alike: distance = 1 - {similar[0]}",
            file=file,
            column="distance",
        )
    check_columns(frame, ["distance"], file=file)
    frame = named_columns(frame, file).reset_index(drop=True)
    frame = frame if "status" in frame else frame.assign(status="ok")
    frame = frame.assign(status=checked_status(frame["status"], frame["distance"], file=file))
    ok = (frame["status"] == "ok").to_numpy(bool)
    threshold = {"threshold": number_column(0.0)} if "threshold" in frame else {}
    # Read before it is masked: 0.0 in a failed row is of another type than "0" in others.
    given = measured(frame["distance"].astype(object).where(ok, None), file=file)
    frame = check_frame(
        frame.assign(distance=given.where(ok, 0.0)),
        {"distance": number_column(0.0)} | threshold,
        text=["pair", "status"],
        levels=["system"],
        missing=list(threshold),
        file=file,
        unique=["system", "pair"],
    )
    pair_index = pd.Index(pairs["pair"].values)
    check_known(frame["pair"], pair_index, what="pair", file=file, column="pair")
    check_groups(frame["system"], file=file)
    _check_codes(frame[ok], file)
    systems = levels_of(frame["system"])
    at = pair_index.get_indexer(pd.Index(frame["pair"]))
    place = (pd.Index(systems).get_indexer(pd.Index(as_texts(frame["system"]))), at)
    shape = (len(systems), len(pair_index))
    distance = np.full(shape, np.nan)
    distance[place] = frame["distance"].where(ok)
    width = max(len(NO_DISTANCE), int(frame["status"].str.len().max()))
    status = np.full(shape, NO_DISTANCE, dtype=f"<U{width}")
    status[place] = as_texts(frame["status"])
    machine = xr.Dataset(
        {
            "distance": (("system", "pair"), distance, {"metric": metric}),
            "status": (("system", "pair"), status),
        },
        coords={
            "system": ("system", systems, pack(frame["system"])[1]),
            "pair": pair_index.to_numpy().astype(str),
        },
    )
    machine["distance"].attrs["direction"] = "smaller means more alike"
    if threshold:
        machine["threshold"] = ("system", _thresholds(frame, systems, file))
    own = ("system", "pair", "distance", "status", "threshold")
    of_pair = {
        name: values.iloc[at].reset_index(drop=True)
        for name, values in _pair_columns(pairs, factors).items()
    }
    rest = frame.drop(columns=[name for name in own if name in frame])
    kept, notes = further(rest, of_pair, [*factors, "varies"], file)
    for name, values in kept.items():
        machine[name] = (("system", "pair"), *_cube(values, place, shape))
    return machine, notes


def _check_codes(frame: pd.DataFrame, file: str) -> None:
    """Refuse a distance such as 999 that stands for a failure."""
    for system, own in frame.groupby(frame["system"].astype("str"), sort=False):
        code = missing_code(own["distance"].to_numpy(float))
        if code is not None:
            bad = np.zeros(int(frame.index.max()) + 1, bool)
            bad[own.index[own["distance"] == code]] = True
            raise at_first(
                bad,
                f"{code:g} is far from all other distances of {system!r}, as the code of a failure",
                hint="leave the distance blank, and write why in a column status",
                file=file,
                column="distance",
            )


def _thresholds(frame: pd.DataFrame, systems: np.ndarray, file: str) -> np.ndarray:
    per_system = frame.groupby(frame["system"].astype("str"))["threshold"]
    if (per_system.nunique() > 1).any():
        raise DataError(
            f"system {per_system.nunique().idxmax()!r} has several thresholds",
            hint="give one threshold per system",
            file=file,
            column="threshold",
        )
    return per_system.first().loc[systems].to_numpy(float)


def _human(
    frame: pd.DataFrame,
    groups: Mapping[str, xr.Dataset],
    stimuli: pd.DataFrame | None,
    factors: Sequence[str],
    identity: str,
    scales: Mapping[str, tuple[float, float]] | tuple[float, float] | None,
    salt: bytes | None,
    file: str,
) -> tuple[xr.Dataset, xr.Dataset, list[Note]]:
    check_columns(frame, ["question", "score"], file=file)
    _check_free(frame, ["judgement"], file)
    if scales is None:
        raise DataError("judgements without a scale", hint="give scales=(low, high)", file=file)
    target = [key for key in ("pair", "stimulus") if key in frame]
    here = [name for name in factors if name in frame]
    target = target or here
    if not target:
        raise DataError(
            "no column identifies what was judged",
            hint=f"add a column pair, stimulus, or some of {', '.join(factors)}",
            file=file,
        )
    either = target == ["pair", "stimulus"]
    truths = pd.api.types.is_bool_dtype(typed(frame["score"], file=file))
    frame = check_frame(
        frame,
        {"score": number_column()},
        text=[name for name in ("pair", "stimulus", "annotator") if name in frame],
        levels=["question", *({identity} & set(here))],
        factors=[name for name in here if name != identity],
        missing=[*(target if either else ()), *(name for name in here if name not in target)],
        file=file,
    )
    if either:
        _check_one_target(frame, file)
    check_groups(frame["question"], file=file)
    questions = _questions(frame, scales, file)
    if truths and (questions["high"] - questions["low"] != 1).any():
        raise DataError(
            "the scores are true and false, and the scale is not one of two steps",
            hint="give the scores as numbers, or scales=(0, 1)",
            file=file,
            column="score",
        )
    for key, group in (("pair", "pairs"), ("stimulus", "stimuli")):
        if key in target and group in groups:
            known = pd.Index(np.unique(groups[group][key].values)).drop("", errors="ignore")
            check_known(frame[key], known, what=key, file=file, column=key)
    notes: list[Note] = []
    for key, known_rows in _of_targets(groups, stimuli, factors).items():
        if key in target:
            frame, more = _without_computed(frame, key, known_rows, factors, file)
            notes += more
    if "annotator" in frame:
        trial = ["trial"] if "trial" in frame else []
        check_unique(
            frame,
            ["annotator", "question", *target, *trial],
            file=file,
            hint="number repeats in a column 'trial' (1, 2, ...), or keep one row for each",
        )
        frame = frame.assign(
            annotator=pseudonymise(frame["annotator"], salt or salt_from(frame.to_csv().encode()))
        )
    coords = {column: ("judgement", *pack(frame[column])) for column in frame.columns.drop("score")}
    score = ("judgement", frame["score"].to_numpy(float))
    return xr.Dataset({"score": score}, coords=coords), questions, notes


def _of_targets(
    groups: Mapping[str, xr.Dataset], stimuli: pd.DataFrame | None, factors: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Return what the study records of each pair and stimulus, indexed by its id."""
    found: dict[str, pd.DataFrame] = {}
    if stimuli is not None:
        found["stimulus"] = stimuli.set_index("stimulus")[list(factors)]
    if "pairs" in groups:
        found["pair"] = pd.DataFrame(_pair_columns(groups["pairs"], factors)).set_index("pair")
    return found


def _pair_columns(pairs: xr.Dataset, factors: Sequence[str]) -> dict[str, pd.Series]:
    """Return the columns of ``/pairs``, and the factors whose values both members share."""
    made = {str(name): unpack(one.values, one.attrs) for name, one in pairs.variables.items()}
    for name in factors:
        first, second = made[f"{name}_a"], made[f"{name}_b"]
        made[name] = first.where(first == second)
    return made


def _without_computed(
    frame: pd.DataFrame, key: str, computed: pd.DataFrame, factors: Sequence[str], file: str
) -> tuple[pd.DataFrame, list[Note]]:
    """Drop the columns of judgements that follow from what was judged, after checking them."""
    here = [name for name in map(str, frame) if name in computed and name != "stimulus"]
    if not here:
        return frame, []
    judged = frame[key].notna()
    expected = computed[here].reindex(frame[key]).reset_index(drop=True)
    given = frame[here].where(judged)
    may_differ = [*factors, "varies"] if key == "pair" else []
    _, notes = further(given, {name: expected[name] for name in here}, may_differ, file)
    return (frame.drop(columns=here) if judged.all() else frame), notes


def _check_free(frame: pd.DataFrame, names: Sequence[str], file: str) -> None:
    """Refuse columns whose names mean something else in a study."""
    for name in names:
        if name in frame:
            raise DataError(
                "a study uses this name for something else",
                hint="rename the column",
                file=file,
                column=name,
            )


def _check_one_target(frame: pd.DataFrame, file: str) -> None:
    wrong = (frame["pair"].notna() == frame["stimulus"].notna()).to_numpy(bool)
    if wrong.any():
        row = int(wrong.argmax())
        pair, stimulus = (as_texts(frame[name])[row].item() for name in ("pair", "stimulus"))
        raise DataError(
            f"the row gives both pair {pair!r} and stimulus {stimulus!r}",
            hint="a judgement is about a pair or a stimulus; leave the other cell blank",
            file=file,
            column="pair + stimulus",
            row=row + 1,
        )


def _questions(
    frame: pd.DataFrame,
    scales: Mapping[str, tuple[float, float]] | tuple[float, float],
    file: str,
) -> xr.Dataset:
    """Return the range of each question's scale, after checking that all scores lie in it."""
    names = levels_of(frame["question"])
    asked = as_texts(frame["question"])
    codes = pd.Index(names).get_indexer(pd.Index(asked))
    if not isinstance(scales, Mapping):
        scales = dict.fromkeys(names.tolist(), scales)
    ends = {str(name): _ends(scale, str(name), file) for name, scale in scales.items()}
    check_known(
        pd.Series(asked), list(ends), what="question with a scale", file=file, column="question"
    )
    ranges = np.array([ends[str(name)] for name in names], dtype=float)
    low, high = ranges[codes].T
    score = frame["score"].to_numpy(float)
    outside = (score < low) | (score > high)
    if outside.any():
        at = int(outside.argmax())
        raise DataError(
            f"{score[at]:g} is outside the scale {low[at]:g} to "
            f"{high[at]:g} ({int(outside.sum()):,} such scores)",
            hint="correct the score, or give the scale on which it was given",
            file=file,
            column="score",
            row=at + 1,
        )
    return xr.Dataset(
        {
            "low": ("question", ranges[:, 0]),
            "high": ("question", ranges[:, 1]),
        },
        coords={"question": ("question", names, pack(frame["question"])[1])},
    )


def _ends(scale: object, question: str, file: str) -> tuple[float, float]:
    """Return the lowest and the highest possible score of a question."""
    try:
        low, high = map(float, [] if isinstance(scale, str) else scale)  # type: ignore[call-overload]
        good = np.isfinite([low, high]).all() and low < high
    except (TypeError, ValueError):
        good = False
    if not good:
        raise DataError(
            f"the scale of question {question!r} is {shown(scale)}",
            hint="give its lowest and its highest score: scales=(0, 4), or {question: (0, 4)}",
            file=file,
            column="score",
        )
    return low, high


def exclusions(rows: Sequence[Note]) -> pd.DataFrame:
    """Make the table of exclusions from rows (file, what, reason, count) with count > 0."""
    table = pd.DataFrame(rows, columns=["file", "what", "reason", "count"])
    return table[table["count"] > 0].reset_index(drop=True)


def file_record(
    path: Path, rows: int, read: Mapping[str, str | int] | None = None
) -> dict[str, str | int]:
    """Make a row of the provenance table: a file's name, SHA-256, bytes, rows and columns."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    record: dict[str, str | int] = {
        "file": path.name,
        "sha256": digest,
        "bytes": path.stat().st_size,
        "rows": rows,
    }
    return record | dict(read or {"columns": "", "missing": 0})


def _table(frame: pd.DataFrame, dim: str) -> xr.Dataset:
    made = {name: typed(frame[name], file=dim) for name in frame}
    return xr.Dataset({name: (dim, *pack(values)) for name, values in made.items()})
