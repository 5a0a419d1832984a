"""What a column becomes, by its type: each line of the documentation's table, and any frame."""

import datetime
import decimal
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import causalbias as cb
import causalbias.io.storage  # what it imports sets the recursion limit, which hypothesis watches
from causalbias import DataError
from causalbias.models.specification import ModelSpec, model_frame
from causalbias.study.columns import (
    MISSING_TEXTS,
    labels,
    levels_of,
    measured,
    pack,
    typed,
    unpack,
)

PAGE = Path(__file__).parents[2] / "docs/explanation/columns.md"
DAY = datetime.date(2024, 3, 1)


def arrow(values, kind):
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def levels(values, known, ordered):
    return pd.Series(pd.Categorical(values, known, ordered=ordered))


# By line of the table: what comes in, and what comes out.
LINES = {
    "whole numbers, of any width, signed or not": [
        (pd.Series([1, 2], dtype=kind), pd.Series([1, 2], dtype="int64"))
        for kind in ("int8", "uint8", "int64", "uint64", "Int32", "UInt64", "int64[pyarrow]")
    ],
    "whole numbers with missing cells (nullable, Arrow)": [
        (values, pd.Series([1, None], dtype="Int64"))
        for values in (
            pd.Series([1, None], dtype="Int64"),
            pd.Series([1, None], dtype=object),
            arrow([1, None], pa.uint8()),
        )
    ],
    "whole numbers beyond 2^53": [
        (pd.Series([2**53 + 1, 2]), pd.Series([str(2**53 + 1), "2"])),
        (pd.Series([2**63 + 1, 2], dtype="uint64"), pd.Series([str(2**63 + 1), "2"])),
        (pd.Series([2**70, None], dtype=object), pd.Series([str(2**70), None])),
        (pd.Series([2**60, None], dtype="Int64"), pd.Series([str(2**60), None])),
    ],
    "floats, decimals (`Decimal`, Arrow), sparse numbers": [
        (values, pd.Series([1.5, np.nan]))
        for values in (
            pd.Series([1.5, None], dtype="float32"),
            pd.Series([1.5, None], dtype="Float64"),
            pd.Series([decimal.Decimal("1.5"), decimal.Decimal("NaN")]),
            arrow([decimal.Decimal("1.5"), None], pa.decimal128(4, 2)),
            arrow([1.5, None], pa.float64()),
            pd.Series([1.5, np.nan], dtype=pd.SparseDtype(float)),
        )
    ],
    "durations": [
        (values, pd.Series([1.5, np.nan]))
        for values in (
            pd.Series(pd.to_timedelta([1.5, None], "s")),
            pd.Series([datetime.timedelta(seconds=1.5), None], dtype=object),
            arrow([datetime.timedelta(seconds=1.5), None], pa.duration("ms")),
        )
    ],
    "booleans": [
        (pd.Series([True, False]), pd.Series([True, False])),
        (pd.Series([True, None], dtype=object), pd.Series([True, None], dtype="boolean")),
        (pd.Series([True, None], dtype="boolean"), pd.Series([True, None], dtype="boolean")),
        (arrow([True, None], pa.bool_()), pd.Series([True, None], dtype="boolean")),
    ],
    "text (object, `str`, `string`, Arrow)": [
        (values, pd.Series(["é1", None]))
        for values in (
            pd.Series(["é1", None], dtype=object),
            pd.Series(["é1", pd.NA], dtype=object),
            pd.Series(["é1", "NA"]),
            pd.Series(["é1", " "], dtype="string"),
            arrow(["é1", None], pa.large_string()),
            arrow(["é1", None], pa.dictionary(pa.int8(), pa.string())),
        )
    ],
    "categorical, ordered or not, of anything": [
        (levels(["b"], ["b", "a", "c"], True), levels(["b"], ["b", "a", "c"], True)),
        (levels([2, None], [10, 2], False), levels(["2", None], ["10", "2"], False)),
        (levels([0.5], [0.5, 1.0], True), levels(["0.5"], ["0.5", "1"], True)),
        (levels([True], [True, False], False), levels(["True"], ["True", "False"], False)),
        (levels(["nan", "a"], ["nan", "a"], False), levels([None, "a"], ["a"], False)),
        (
            pd.Series(pd.Categorical(pd.to_datetime(["2024-03-01"]))),
            levels(["2024-03-01"], ["2024-03-01"], False),
        ),
    ],
    "intervals (`pd.cut`)": [
        (
            pd.cut(pd.Series([50, 20, None]), [0, 35, 99, 120]),
            levels(["(35, 99]", "(0, 35]", None], ["(0, 35]", "(35, 99]", "(99, 120]"], True),
        ),
        (
            pd.Series(pd.arrays.IntervalArray.from_tuples([(2, 3), (0, 1)])),
            levels(["(2, 3]", "(0, 1]"], ["(0, 1]", "(2, 3]"], True),
        ),
    ],
    "dates, times, periods": [
        (pd.Series(pd.to_datetime(["2024-03-01", None])), pd.Series(["2024-03-01", None])),
        (pd.Series([DAY, None]), pd.Series(["2024-03-01", None])),
        (arrow([DAY, None], pa.date32()), pd.Series(["2024-03-01", None])),
        (pd.Series(pd.to_datetime(["2024-03-01 08:00"])), pd.Series(["2024-03-01T08:00:00"])),
        (
            pd.Series(pd.to_datetime(["2024-03-01 08:00"], utc=True)),
            pd.Series(["2024-03-01T08:00:00+00:00"]),
        ),
        (pd.Series([datetime.time(8)]), pd.Series(["08:00:00"])),
        (pd.Series(pd.period_range("2024-03", periods=1, freq="M")), pd.Series(["2024-03"])),
    ],
    "objects of several types": [
        (pd.Series([1, "a", None, DAY]), pd.Series(["1", "a", None, "2024-03-01"])),
    ],
    "complex numbers, bytes, lists": [
        (pd.Series([1j]), None),
        (pd.Series([b"a"]), None),
        (pd.Series([[1], [2]]), None),
        (pd.Series([{"a": 1}]), None),
        (pd.Series([1, "1"]), None),
        (pd.Series(["a\0b"]), None),
        (pd.Series(["\ud800"], dtype=object), None),
    ],
}


def test_the_table_names_every_type_that_is_tried_here():
    table = PAGE.read_text().split("## By type")[1].split("\n\n")[1]
    assert re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[2:] == list(LINES)
    section = PAGE.read_text().split("## What is missing")[1]
    named = section.split("\n`unknown`, ")[0].split("A missing cell is not a level")[0]
    assert set(re.findall(r"`([^`]+)`", named)) - {"pandas.read_csv", "NAM"} == MISSING_TEXTS - {""}


# By line of the table: columns, and a fit's rows: the dtype of numbers, or levels in order.
FITS = {
    "whole numbers, of any width, signed or not": [(pd.Series([10, 2], dtype="uint8"), "int64")],
    "whole numbers with missing cells (nullable, Arrow)": [
        (pd.Series([1, None], dtype="Int64"), None),
        (arrow([1, None], pa.uint8()), None),
    ],
    "whole numbers beyond 2^53": [
        (pd.Series([2**60, 3]), ["3", str(2**60)]),
        (pd.Series([3, -(2**60), -5]), [str(-(2**60)), "-5", "3"]),
    ],
    "floats, decimals (`Decimal`, Arrow), sparse numbers": [
        (pd.Series([1.5, 2.0], dtype="Float64"), "float64"),
        (pd.Series([decimal.Decimal("1.5"), decimal.Decimal(2)]), "float64"),
        (pd.Series([1.5, 2.0], dtype=pd.SparseDtype(float)), "float64"),
        (pd.Series([decimal.Decimal("1.5"), decimal.Decimal("NaN")]), None),
    ],
    "durations": [(pd.Series(pd.to_timedelta([90, 60], "s")), "float64")],
    "booleans": [
        (pd.Series([True, False]), ["False", "True"]),
        (pd.Series([True, False], dtype=object), ["False", "True"]),
        (pd.Series([True, None], dtype="boolean"), None),
    ],
    "text (object, `str`, `string`, Arrow)": [
        (pd.Series(["b", " a", "b"], dtype=object), ["a", "b"]),
        (pd.Series(["1", "10", "2"], dtype="string"), ["1", "2", "10"]),
        (arrow(["b", "a"], pa.dictionary(pa.int8(), pa.string())), ["a", "b"]),
        (pd.Series(["b", "NA"]), None),
        (pd.Series(["a", "a "]), None),
    ],
    "categorical, ordered or not, of anything": [
        (levels(["b", "a"], ["b", "c", "a"], False), ["b", "a"]),
        (levels([2.0, 1.0], [2.0, 1.0], True), ["2", "1"]),
        (arrow(["b", "a"], pa.dictionary(pa.int8(), pa.string(), ordered=True)), ["b", "a"]),
        (levels(["a", "nan"], ["a", "nan"], False), None),
    ],
    "intervals (`pd.cut`)": [
        (pd.cut(pd.Series([50, 20]), [0, 35, 99, 120]), ["(0, 35]", "(35, 99]"])
    ],
    "dates, times, periods": [
        (pd.Series(pd.to_datetime(["2024-10-01", "2024-09-01"])), ["2024-09-01", "2024-10-01"]),
        (pd.Series([datetime.time(10), datetime.time(9)]), ["09:00:00", "10:00:00"]),
    ],
    "objects of several types": [(pd.Series([1, "b", 2.0]), ["1", "2", "b"])],
    "complex numbers, bytes, lists": [
        (given_, None) for given_, _ in LINES["complex numbers, bytes, lists"]
    ],
}


@pytest.mark.parametrize("line", LINES)
def test_a_column_of_a_fit_becomes_what_the_table_says(line):
    row = next(one for one in PAGE.read_text().splitlines() if one.startswith(f"| {line} |"))
    said = row.split("|")[3].strip()
    for given_, wanted in FITS[line]:
        frame = pd.DataFrame({"y": np.arange(len(given_)) + 0.5, "v": given_})
        spec = ModelSpec("y ~ 1 + v + (1|v)")
        if wanted is None:
            with pytest.raises(DataError, match="'v'"):
                model_frame(spec, pd.concat([frame, frame]))
            continue
        found = model_frame(spec, pd.concat([frame, frame]))["v"]
        if isinstance(wanted, str):
            assert str(found.dtype) == wanted
            assert said.startswith(wanted)
        else:
            assert found.cat.categories.tolist() == wanted
            assert said.startswith("factor")


GOOD = [case for cases in LINES.values() for case in cases if case[1] is not None]


@pytest.mark.parametrize("line", LINES)
def test_a_column_becomes_what_the_table_says(line):
    for given_, wanted in LINES[line]:
        if wanted is None:
            with pytest.raises(DataError, match="value"):
                typed(given_.rename("value"), file="f")
            continue
        found = typed(given_, file="f")
        pd.testing.assert_series_equal(found, plain(wanted), check_names=False)
        pd.testing.assert_series_equal(unpack(*pack(found)), found, check_names=False)


def plain(wanted):
    return wanted if wanted.dtype != object else wanted.astype("str")


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("suffix", [None, ".nc", ".zarr"])
def test_further_columns_of_all_tables_come_back(rows, suffix, tmp_path):
    """Of stimuli, distances and judgements, for every type of the table."""
    here = [case for case in GOOD if len(case[0]) == rows]
    more = {f"v{at}": given_.array for at, (given_, _) in enumerate(here)}
    wanted = {f"v{at}": plain(values) for at, (_, values) in enumerate(here)}
    faces = [f"f{k}" for k in range(rows)]
    stimuli = pd.DataFrame({"stimulus": faces, "seed": faces, **more})
    stimuli = pd.concat([stimuli, pd.DataFrame({"stimulus": ["ref"], "seed": ["ref"]})])
    distances = pd.DataFrame({"pair": [f"ref~{one}" for one in faces], **more})
    study = cb.make_study(
        factors=["seed"],
        stimuli=stimuli,
        pairs=pd.DataFrame({"stimulus_a": "ref", "stimulus_b": faces, "note": "x"}),
        distances=distances.assign(system="n", distance=1.0),
        judgements=pd.DataFrame({"stimulus": faces, "question": "q", "score": 1, **more}),
        scales=(0, 4),
    )
    if suffix is not None:
        study = cb.open(cb.save(study, tmp_path / f"s{suffix}"))
    assert cb.to_frame(study, "pairs")["note"].tolist() == ["x"] * rows
    for group in ("human", "machine"):
        frame = cb.to_frame(study, group)
        for name, values in wanted.items():
            pd.testing.assert_series_equal(frame[name], values, check_names=False)
    frame = cb.to_frame(study, "stimuli").set_index("stimulus")
    for name, values in wanted.items():
        found = frame.loc[faces, name].reset_index(drop=True)
        assert found.isna().tolist() == values.isna().tolist()
        assert pd.isna(frame.loc["ref", name])
        assert found.astype(str).tolist() == values.astype(str).tolist() or found.dtype != "str"


def test_factors_keep_the_order_of_their_levels(tmp_path):
    kinds = {
        "race": pd.Categorical(["b", "a"] * 2, ["b", "c", "a"]),
        "size": pd.Categorical([2, 2, 10, 10], [10, 5, 2], ordered=True),
        "age": pd.cut(pd.Series([50, 20] * 2), [0, 35, 99]),
        "glasses": [True, True, False, False],
        "pose": [-3, 0, -3, 0],
    }
    stimuli = pd.DataFrame({"stimulus": list("wxyz"), "seed": ["01", "1", "10", "2"], **kinds})
    pairs = pd.DataFrame({"stimulus_a": ["w", "w"], "stimulus_b": ["y", "x"]})
    study = cb.make_study(factors=["seed", *kinds], stimuli=stimuli, pairs=pairs)
    for one in (study, cb.open(cb.save(study, tmp_path / "s.nc"))):
        assert one["stimuli"]["race"].values.tolist() == ["b", "a"]
        assert one["stimuli"]["size"].values.tolist() == ["10", "2"]
        assert one["stimuli"]["age"].values.tolist() == ["(0, 35]", "(35, 99]"]
        assert one["stimuli"]["pose"].values.tolist() == [-3, 0]
        faces, members = cb.to_frame(one, "stimuli"), cb.to_frame(one, "pairs")
        for frame, name in ((faces, "{}"), (members, "{}_a"), (members, "{}_b"), (members, "{}")):
            race, size = frame[name.format("race")], frame[name.format("size")]
            assert (race.cat.categories.tolist(), race.cat.ordered) == (["b", "c", "a"], False)
            assert (size.cat.categories.tolist(), size.cat.ordered) == (["10", "5", "2"], True)
        assert members["race"].astype("str").fillna("-").tolist() == ["b", "-"]
        assert members["glasses_a"].tolist() == ["True", "True"]
        assert members["pose"].tolist()[0] == -3


# Ids --------------------------------------------------------------------------------------------

IDS = {
    "leading zeros": (["01", "1", "001"], ["01", "1", "001"]),
    "exponents": (["1E5", "100000", "1e5"], ["1E5", "100000", "1e5"]),
    "beyond 2^53": ([2**62 + 1, 2**62 + 2, 0], [str(2**62 + 1), str(2**62 + 2), "0"]),
    "unsigned": (np.array([2**64 - 1, 2**64 - 2], "uint64"), [str(2**64 - 1), str(2**64 - 2)]),
    "floats": ([1.0, 2.0, 30.0], ["1", "2", "30"]),
    "nullable floats": (pd.array([1.0, 2.0, 30.0], "Float64"), ["1", "2", "30"]),
    "float32": (np.array([0.1, 2, 3], "float32"), ["0.1", "2", "3"]),
    "spaces around": ([" a", "b ", "c"], ["a", "b", "c"]),
    "truth values": ([True, False], ["True", "False"]),
    "numbers and texts": ([1, "a", 2.0], ["1", "a", "2"]),
}


@pytest.mark.parametrize("case", IDS)
def test_ids_are_text_whatever_their_type(case):
    given_, wanted = IDS[case]
    assert labels(pd.Series(given_, name="seed"), file="data").tolist() == wanted
    stimuli = pd.DataFrame({"stimulus": [f"f{k}" for k in range(len(wanted))], "seed": given_})
    study = cb.make_study(factors=["seed"], stimuli=stimuli)
    found = cb.to_frame(study, "stimuli").set_index("stimulus")["seed"]
    assert found.loc[stimuli["stimulus"]].tolist() == wanted


BAD_IDS = {
    "whole number and its decimal": ["7", "7.0"],
    "a space behind": ["7", "7 "],
    "number and text": [1, "1"],
    "float of too many digits": [6.144e18, 1.0],
    "infinite": [np.inf, 1.0],
    "rounded by a spreadsheet": ["6.14E+18", "a"],
    "short exponent by a spreadsheet": ["1.00E+05", "a"],
    "dated by a spreadsheet": ["1-Mar", "a"],
    "zeros after fifteen digits": ["6144039378640930000", "6144039378640940000"],
    "missing": ["a", None],
    "written as missing": ["a", "nan"],
    "written as None": ["a", "None"],
    "blank": ["a", "  "],
    "lists": [["a"], ["b"]],
}


@pytest.mark.parametrize("case", BAD_IDS)
def test_ids_that_are_doubtful_are_named(case):
    stimuli = pd.DataFrame({"stimulus": ["f1", "f2"], "seed": pd.Series(BAD_IDS[case])})
    with pytest.raises(DataError) as caught:
        cb.make_study(factors=["seed"], stimuli=stimuli)
    assert (caught.value.file, caught.value.column) == ("stimuli", "seed")
    assert caught.value.row in (1, 2)
    judged = pd.DataFrame({"question": "q", "seed": ["a", "b"], "score": 1})
    judged = judged.assign(annotator=pd.Series(BAD_IDS[case]))
    with pytest.raises(DataError) as caught:
        cb.make_study(factors=["seed"], judgements=judged, scales=(0, 4))
    assert (caught.value.file, caught.value.column) == ("judgements", "annotator")


def test_annotators_are_neither_merged_nor_split():
    def people(ids):
        judged = pd.DataFrame({"question": "q", "seed": [f"s{k}" for k in range(len(ids))]})
        judged = judged.assign(annotator=ids, score=1)
        study = cb.make_study(factors=["seed"], judgements=judged, scales=(0, 4), salt=b"s")
        return cb.to_frame(study, "human")["annotator"].tolist()

    assert people([7, 8, 7]) == people(["7", "8", "7"]) == people([7.0, 8.0, 7.0])
    one, other = people(["7", "07"])
    assert one != other


def test_measured_texts_are_numbers_or_named():
    found = measured(pd.Series(["1e-3", "NA", 2, decimal.Decimal("0.5")]), file="f")
    assert found.tolist()[0] == 1e-3
    assert np.isnan(found[1])
    with pytest.raises(DataError, match=r"'0,5' is not a number.*decimal point"):
        measured(pd.Series(["0,5", "1"], name="distance"), file="f")


# Any frame --------------------------------------------------------------------------------------

id_texts = st.one_of(
    st.integers(0, 10**19).map(str),
    st.from_regex(r"0{1,3}[1-9]?", fullmatch=True),
    st.from_regex(r"[1-9]E[1-9]", fullmatch=True),
    st.text("abcé李_ -", min_size=1, max_size=5).map(str.strip).filter(bool),
).filter(lambda one: one not in MISSING_TEXTS)
ID_TYPES = ("object", "str", "string", "category", "arrow", "number")


def as_type(texts, kind):
    """Ids in a type; as numbers, where all of them are written as such."""
    values = pd.Series(texts, dtype="str")
    if kind == "number":
        whole = values.str.fullmatch("0|[1-9][0-9]*").all()
        if whole and values.astype(object).map(int).max() < 2**64:
            return pd.Series(np.array([int(one) for one in texts], "uint64"))
        return values
    return values.astype(pd.ArrowDtype(pa.string()) if kind == "arrow" else kind)


@st.composite
def tables(draw):
    """Stimuli, pairs and judgements with ids of any style, and a further column with holes."""
    seeds = draw(st.lists(id_texts, min_size=2, max_size=4, unique=True))
    kind = draw(st.sampled_from(ID_TYPES))
    seed = [one for one in seeds for _ in range(2)]
    faces = [f"f{k}" for k in range(len(seed))]
    more = draw(
        st.lists(
            st.sampled_from(["USA", "U", None, "NA", ""]), min_size=len(faces), max_size=len(faces)
        )
    )
    stimuli = pd.DataFrame(
        {"stimulus": faces, "seed": as_type(seed, kind), "pose": [0, 1] * len(seeds)}
    )
    stimuli["country"] = pd.Series(more, dtype=object)
    pairs = [(a, b) for at, a in enumerate(faces) for b in faces[at + 1 :]]
    judged = pd.DataFrame({"stimulus": faces, "score": 1.0, "question": "q"})
    judged["annotator"] = as_type(seed, kind).array
    return (
        pd.Series(seed, index=faces),
        stimuli,
        pd.DataFrame(pairs, columns=["stimulus_a", "stimulus_b"]),
        judged,
        draw(st.sampled_from([None, "csv", "tsv", "parquet"])),
        draw(st.sampled_from([None, ".nc", ".zarr"])),
    )


@given(tables())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_table_says_the_same_as_a_plain_computation_on_texts(case):
    seed, stimuli, pairs, judged, kind, suffix = case
    looks = {re.sub(r"\.0+$", "", one) for one in set(seed)}
    assert len(looks) == seed.nunique()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if kind is None:
            study = cb.make_study(
                factors=["seed", "pose"],
                stimuli=stimuli,
                pairs=pairs,
                judgements=judged,
                scales=(0, 4),
                salt=b"s",
            )
        else:
            for name, table in (("stimuli", stimuli), ("pairs", pairs), ("judgements", judged)):
                if kind == "parquet":
                    table.to_parquet(root / f"{name}.parquet")
                else:
                    table.to_csv(
                        root / f"{name}.{kind}", index=False, sep="\t" if kind == "tsv" else ","
                    )
            study = cb.load("tidy", root, factors=["seed", "pose"], scales=(0, 4), salt=b"s")
            read = cb.to_frame(study, "provenance").set_index("file")["columns"]
            assert "seed: text, factor" in read[f"stimuli.{kind}"] or kind == "parquet"
        if suffix is not None:
            study = cb.open(cb.save(study, root / f"s{suffix}"))
    found = cb.to_frame(study, "pairs")
    assert len(found) == len(pairs)
    for side in "ab":
        assert found[f"seed_{side}"].tolist() == seed[found[f"stimulus_{side}"]].tolist()
    same = seed[found["stimulus_a"]].to_numpy() == seed[found["stimulus_b"]].to_numpy()
    assert found["same_identity"].tolist() == same.tolist()
    assert found["seed"].notna().tolist() == same.tolist()
    faces = cb.to_frame(study, "stimuli").set_index("stimulus").loc[stimuli["stimulus"]]
    country = stimuli["country"].where(stimuli["country"].isin(["USA", "U"]))
    assert faces["country"].fillna("-").tolist() == country.fillna("-").tolist()
    people = cb.to_frame(study, "human").groupby("annotator")["stimulus"].agg(frozenset)
    assert set(people) == set(seed.index.to_series().groupby(seed).agg(frozenset))


any_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=4),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),
    st.decimals().filter(lambda one: not one.is_snan()),
    st.binary(max_size=2),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
)


@given(st.lists(any_values, min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_whatever_is_in_a_column_it_ends_in_one_of_five_types_or_a_data_error(values):
    column, places = pd.Series(values, dtype=object, name="c"), []
    for make in (typed, labels):
        try:
            found = make(column, file="f")
        except DataError as error:
            places.append((error.file, error.column))
            continue
        assert str(found.dtype) in ("int64", "float64", "bool", "Int64", "boolean", "str")
        pd.testing.assert_series_equal(unpack(*pack(found)), found, check_names=False)
        assert (found.isna() >= column.isna()).all(), "a missing cell is missing"
        if make is labels:
            assert found.dtype == "str"
            assert labels(found, file="f").equals(found), "labels are labels"
    assert set(places) <= {("f", "c")}


def test_moments_are_in_the_order_of_time_where_clocks_are_set_back():
    hours = pd.date_range("2024-10-27T00:30", periods=4, freq="30min", tz="UTC")
    local = pd.Series(hours.tz_convert("Europe/Berlin"))
    order = levels_of(labels(local, file="data")).tolist()
    assert order == [one.isoformat() for one in local]
    assert order != sorted(order)


@given(st.lists(st.integers(-(10**6), 10**6), unique=True, min_size=2), st.integers(0, 3))
def test_numbers_written_as_text_are_levels_by_size(numbers, digits):
    # "+2" sorts before "-2" as text, and "10.5" before "2.5": the reference would be another level.
    texts = [f"{number / 10**digits:+.{digits}f}" for number in numbers]
    order = levels_of(pd.Series(texts)).tolist()
    assert order == [text for _, text in sorted(zip(numbers, texts, strict=True))]
    assert levels_of(pd.Series([*texts, "none"])).tolist() == sorted([*texts, "none"])


@given(
    st.integers(-(10**8), 10**8),
    st.sampled_from([".,", ",.", " ,", "'.", "\u202f,", "’.", "_."]),
    st.integers(0, 4),
)
def test_a_number_in_the_way_of_any_language_is_named_as_it_is_to_be_written(number, marks, digits):
    plain = f"{number / 10**digits:,.{digits}f}"
    cell = plain.translate(str.maketrans({",": marks[0], ".": marks[1]}))
    values = pd.Series(["0.5", cell])
    try:
        found = measured(values, file="a.csv").tolist()[1]
    except DataError as error:
        found = {float(one) for one in re.findall(r"-?[0-9.]*[0-9]", error.hint)}
        assert number / 10**digits in found
    else:  # "1.234" is a number in any file but that with semicolons
        assert found == float(cell)
