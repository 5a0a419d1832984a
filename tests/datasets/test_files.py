"""Tables as people have them: separators and encodings of spreadsheets, archives of macOS."""

import zipfile

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.study.reading import described, read_table

TEXT = "who;note;distance\n01;Zoë, who;0,25\n1;;1,5\n"


def table_of(tmp_path, content, name="t.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["t.csv", "T.CSV"])
def test_a_european_spreadsheet_is_read(tmp_path, ends, encoding, name):
    frame = table_of(tmp_path, TEXT.replace("\n", ends).encode(encoding), name)
    assert frame["who"].tolist() == ["01", "1"]
    assert frame["note"].tolist()[0] == "Zoë, who"
    assert pd.isna(frame["note"][1])
    assert frame["distance"].tolist() == [0.25, 1.5]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_separator_is_that_of_the_header(tmp_path, mark):
    lines = [["a", "b", "c d"], ["x", '"y, ; z"', "1"], ["", "q", "2"]]
    frame = table_of(tmp_path, "\n".join(mark.join(line) for line in lines))
    assert frame.columns.tolist() == ["a", "b", "c d"]
    assert frame["b"].tolist() == ["y, ; z", "q"]
    assert frame["c d"].tolist() == [1, 2]
    hinted = table_of(tmp_path, f"sep={mark}\r\n" + "\r\n".join(mark.join(line) for line in lines))
    pd.testing.assert_frame_equal(hinted, frame)


COLUMNS = {
    "whole": (["1", "-3", "0"], [1, -3, 0]),
    "whole with holes": (["1", "", "NA"], [1, pd.NA, pd.NA]),
    "decimals": (["0.5", ".5", "1e-05"], [0.5, 0.5, 1e-05]),
    "decimals with holes": (["0.5", "nan", "2"], [0.5, np.nan, 2.0]),
    "leading zeros": (["01", "1", "2"], ["01", "1", "2"]),
    "exponents without a sign": (["1E5", "2E7", "3"], ["1E5", "2E7", "3"]),
    "beyond 2^53": (["9007199254740993", "1", "2"], ["9007199254740993", "1", "2"]),
    "beyond 2^64": (["99999999999999999999", "1", ""], ["99999999999999999999", "1", np.nan]),
    "truth": (["TRUE", "false", "True"], [True, False, True]),
    "truth with holes": (["TRUE", "", "false"], [True, pd.NA, False]),
    "days": (["2024-03-01", "2024-02-01", ""], ["2024-03-01", "2024-02-01", np.nan]),
    "infinite": (["inf", "1", "2"], ["inf", "1", "2"]),
    "thousands": (["1.234.567", "1", "2"], ["1.234.567", "1", "2"]),
    "versions": (["1.10.2", "1.9", "1"], ["1.10.2", "1.9", "1"]),
    "texts": (["a", "None", "none"], ["a", np.nan, "none"]),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_column_is_numbers_only_where_all_cells_are(tmp_path, case):
    cells, wanted = COLUMNS[case]
    frame = table_of(tmp_path, "id,x\n" + "".join(f"r,{cell}\n" for cell in cells))
    found = frame["x"]
    assert found.isna().tolist() == pd.isna(pd.Series(wanted, dtype=object)).tolist()
    there = found.dropna().tolist()
    assert there == [one for one in wanted if not pd.isna(one)]
    assert len({type(one) for one in there}) == 1
    as_text = table_of(tmp_path, "id,x\n" + "".join(f"r,{cell}\n" for cell in cells), text=["x"])
    assert as_text["x"].dropna().tolist() == [
        c for c in cells if c not in ("", "NA", "nan", "None")
    ]


def test_an_archive_made_on_macos_holds_one_table(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as packed:
        packed.writestr("data/T.CSV", "a,b\n01,2\n")
        packed.writestr("__MACOSX/data/._T.CSV", b"\0\5\26\7")
        packed.writestr("data/._T.csv", b"\0\5\26\7")
        packed.writestr("data/.DS_Store", b"\0")
    assert read_table(tmp_path / "t.zip", text=["a"]).to_dict("list") == {"a": ["01"], "b": [2]}


STIMULI = "stimulus,seed,pose,image\nf1,01,0,faces\\a.png\nf2,1,3,\nf3,1,0,NA\n"
PAIRS = "stimulus_a,stimulus_b,batch\nf1,f2,x\nf2,f3,\n"


def folder(tmp_path, **changes):
    files = {"Stimuli.CSV": STIMULI, "pairs.csv": PAIRS} | changes
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_as_people_have_it_is_a_study(tmp_path, monkeypatch):
    root = folder(tmp_path, **{"._pairs.csv": "\0", ".DS_Store": "\0", "notes.txt": "x"})
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    study = cb.load("tidy", f"~/{root.name}", factors=["seed", "pose"])
    faces = cb.to_frame(study, "stimuli").set_index("stimulus")
    assert faces["seed"].to_dict() == {"f1": "01", "f2": "1", "f3": "1"}
    assert faces["image"].dropna().to_dict() == {"f1": "faces/a.png"}
    pairs = cb.to_frame(study, "pairs").set_index("stimulus_a")
    assert pairs["same_identity"].to_dict() == {"f1": False, "f2": True}
    assert pairs["batch"].dropna().to_dict() == {"f1": "x"}
    read = cb.to_frame(study, "provenance").set_index("file")
    assert read.loc["Stimuli.CSV", "columns"] == (
        "stimulus: text; seed: text, factor; pose: number, factor; image: text, 2 missing"
    )
    assert read["missing"].to_dict() == {"Stimuli.CSV": 2, "pairs.csv": 1}
    assert "batch: text, 1 missing" in repr(study)


WRONG = {
    "two of one table": ({"stimuli.tsv": STIMULI}, None, "holds both"),
    "a place on one computer": (
        {"Stimuli.CSV": STIMULI.replace("faces\\a", "C:\\faces\\a")},
        "image",
        "C:",
    ),
    "an id with its decimal": ({"pairs.csv": PAIRS.replace("f3,", "f3.0,")}, "stimulus_b", "f3"),
    "an id that a spreadsheet rounded": (
        {"Stimuli.CSV": STIMULI.replace("f1,01", "f1,6.14E+18")},
        "seed",
        "spreadsheet",
    ),
    "an id that a spreadsheet dated": (
        {"Stimuli.CSV": STIMULI.replace("f1,01", "f1,1-Mar")},
        "seed",
        "spreadsheet",
    ),
    "the same pair turned round": ({"pairs.csv": PAIRS + "f2,f1,y\n"}, None, "row 1 already"),
    "a face beside itself": ({"pairs.csv": PAIRS + "f2,f2,y\n"}, None, "beside itself"),
    "one image under two names": (
        {"Stimuli.CSV": STIMULI.replace("f2,1,3,", "f2,1,3,faces/a.png")},
        None,
        "of one image",
    ),
    "no seed": ({"Stimuli.CSV": STIMULI.replace("f3,1", "f3,nan")}, "seed", "missing"),
    "a column that contradicts": (
        {"pairs.csv": "stimulus_a,stimulus_b,seed_b\nf1,f2,01\n"},
        "seed_b",
        "by the stimuli",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_doubtful_in_a_folder_is_named(tmp_path, case):
    changes, column, told = WRONG[case]
    with pytest.raises(DataError, match=told) as caught:
        cb.load("tidy", folder(tmp_path, **changes), factors=["seed", "pose"])
    assert column is None or caught.value.column == column
    assert caught.value.file


def test_a_spreadsheets_own_file_is_named(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match="as CSV"):
        read_table(tmp_path / "t.xlsx")


def test_cells_in_no_utf8_are_found(tmp_path):
    with pytest.raises(DataError) as caught:
        table_of(tmp_path, "a,b\nx,y\nx,Zo\xeb\n".encode("latin-1"))
    assert (caught.value.column, caught.value.row) == ("b", 2)


def test_parquet_keeps_types_that_a_csv_cannot(tmp_path):
    frame = pd.DataFrame(
        {
            "id": pd.Series([2**62 + 1, None], dtype="Int64"),
            "size": pd.Categorical(["b", "a"], ["b", "a", "c"], ordered=True),
            "seen": pd.to_datetime(["2024-03-01", None]),
        }
    )
    frame.to_parquet(tmp_path / "T.PARQUET")
    found = read_table(tmp_path / "T.PARQUET", text=["id"])
    assert found["id"].tolist()[0] == str(2**62 + 1)
    assert found["size"].cat.categories.tolist() == ["b", "a", "c"]
    assert found["seen"].tolist()[0] == "2024-03-01"
    told = described(found, ["size"])
    assert told["columns"] == "id: text, 1 missing; size: levels, factor; seen: text, 1 missing"


@pytest.mark.parametrize("name", ["kind", "batch"])
def test_further_columns_of_pairs_and_distances_are_kept(name):
    faces = pd.DataFrame({"stimulus": list("abc"), "seed": [1, 1, 2], "pose": [0, 1, 0]})
    pairs = pd.DataFrame({"stimulus_a": ["a", "a"], "stimulus_b": ["b", "c"], name: ["u", None]})
    distances = pd.DataFrame(
        {
            "system": ["n", "m", "m"],
            "pair": ["a~b", "a~b", "a~c"],
            "distance": 0.1,
            "milliseconds": [3, 4, 5],
            "retried": [True, False, True],
        }
    )
    study = cb.make_study(factors=["seed", "pose"], stimuli=faces, pairs=pairs, distances=distances)
    machine = cb.to_frame(study, "machine").set_index(["system", "pair"])
    assert machine.loc["m", "milliseconds"].tolist() == [4, 5]
    assert pd.isna(machine.loc[("n", "a~c"), "milliseconds"])
    assert machine.loc["m", "retried"].tolist() == [False, True]
    assert machine.loc["m", name].fillna("-").tolist() == ["u", "-"]
    assert machine.loc[("n", "a~c"), "status"] == "no distance given"


def test_pairs_of_a_plan_come_in_with_their_columns():
    faces = cb.design.full({"seed": range(4), "race": ["a", "b"], "pose": [0, 1]})
    pairs = cb.design.sample_pairs(faces, group=["race"], genuine=3, impostors=2)
    study = cb.make_study(factors=["seed", "race", "pose"], stimuli=faces, pairs=pairs)
    frame = cb.to_frame(study, "pairs").set_index("pair").loc[pairs["pair"]]
    assert frame["kind"].tolist() == pairs["kind"].tolist()
    assert (frame["same_identity"] == (frame["kind"] == "genuine")).all()
    assert frame["race"].tolist() == pairs["race"].tolist()
    assert "excluded" not in study.children, "nothing was left out"


def frames():
    faces = pd.DataFrame({"stimulus": list("abc"), "seed": ["s", "s", "t"], "pose": [0, 1, 0]})
    pairs = pd.DataFrame({"stimulus_a": ["a", "a"], "stimulus_b": ["b", "c"]})
    judged = pd.DataFrame({"annotator": ["x", "y"], "pair": ["a~b", "a~c"], "score": [1, 2]})
    return {"stimuli": faces, "pairs": pairs, "judgements": judged.assign(question="q")}


def build(**changes):
    return cb.make_study(factors=["seed", "pose"], scales=(0, 4), **(frames() | changes))


def test_a_studys_own_frames_make_the_study_again():
    distances = pd.DataFrame({"system": "n", "pair": ["a~b", "a~c"], "distance": [0.1, 0.2]})
    study = build(distances=distances)
    again = build(
        stimuli=cb.to_frame(study, "stimuli"),
        pairs=cb.to_frame(study, "pairs"),
        distances=cb.to_frame(study, "machine"),
        judgements=cb.to_frame(study, "human"),
    )
    for group in ("stimuli", "pairs", "machine"):
        pd.testing.assert_frame_equal(cb.to_frame(again, group), cb.to_frame(study, group))
    told, first = cb.to_frame(again, "human"), cb.to_frame(study, "human")
    pd.testing.assert_frame_equal(
        told.drop(columns="annotator"), first.drop(columns="annotator"), check_like=True
    )
    assert "excluded" not in again.children


CONTRADICTIONS = {
    "judged pair's kind": ("judgements", {"same_identity": [True, True]}, 2),
    "judged pair's member": ("judgements", {"seed_b": ["s", "s"]}, 2),
    "kind of a pair": ("pairs", {"same_identity": [False, False]}, 1),
    "member of a pair": ("pairs", {"pose_b": [1, 3]}, 2),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_column_that_contradicts_the_rest_is_named(case):
    table, column, row = CONTRADICTIONS[case]
    with pytest.raises(DataError, match="by the stimuli and pairs it is") as caught:
        build(**{table: frames()[table].assign(**column)})
    assert (caught.value.column, caught.value.row) == (next(iter(column)), row)


def test_a_column_that_contradicts_a_judged_face_is_named():
    judged = pd.DataFrame({"stimulus": ["a", "b"], "question": "q", "score": 1, "pose": [0, 3]})
    with pytest.raises(DataError, match="by the stimuli") as caught:
        build(judgements=judged)
    assert (caught.value.column, caught.value.row) == ("pose", 2)
    study = build(judgements=judged.assign(pose=[0, None]))
    assert cb.to_frame(study, "human")["pose"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("table", "name"),
    [("stimuli", "cell"), ("pairs", "distance"), ("pairs", "system"), ("judgements", "judgement")],
)
def test_names_that_mean_something_else_in_a_study_are_refused(table, name):
    with pytest.raises(DataError, match="this name for something else"):
        build(**{table: frames()[table].assign(**{name: 1})})


@pytest.mark.parametrize(
    "text",
    [
        "\nstimulus,seed,v\nx1,01,0\nx2,1,1\n",
        "\r\n , ,\r\nstimulus,seed,v\r\nx1,01,0\r\nx2,1,1\r\n",
        'stimulus,seed,v,"a note\nof two lines"\nx1,01,0,p\nx2,1,1,q\n',
        '"of\r\ntwo; lines";stimulus;seed;v\r\np;x1;01;0\r\nq;x2;1;1\r\n',
        '"a ""word""",stimulus,seed,v\np,x1,01,0\nq,x2,1,1\n',
    ],
)
def test_a_header_may_be_below_blank_lines_and_of_several_lines(tmp_path, text):
    (tmp_path / "stimuli.csv").write_bytes(text.encode())
    faces = cb.to_frame(cb.load("tidy", tmp_path, factors=["seed", "v"]), "stimuli")
    assert sorted(zip(faces["stimulus"], faces["seed"], faces["v"], strict=True)) == [
        ("x1", "01", 0),
        ("x2", "1", 1),
    ]


def test_a_header_that_is_no_utf8_is_named(tmp_path):
    (tmp_path / "stimuli.csv").write_bytes("stimulus,seed,größe\nx1,01,0\n".encode("latin-1"))
    with pytest.raises(DataError, match="header is not text in UTF-8"):
        cb.load("tidy", tmp_path, factors=["seed"])


GROUPED = "who;n;score\na;1.234;{}\nb;56;{}\n"


@pytest.mark.parametrize("other", [("x", "y"), ("1", "2"), ("0,5", "0,25"), ("2.345", "1")])
def test_thousands_in_a_file_with_semicolons_are_not_read_as_decimals(tmp_path, other):
    with pytest.raises(DataError, match=r"column 'n': '1.234' may be a number of thousands"):
        table_of(tmp_path, GROUPED.format(*other))


@pytest.mark.parametrize("other", [("0.5", "0.25"), ("12.34", "1"), ("1e-05", "0.1")])
def test_points_are_decimal_where_another_cell_shows_it(tmp_path, other):
    frame = table_of(tmp_path, GROUPED.format(*other))
    assert frame["n"].tolist() == [1.234, 56.0]
    assert frame["score"].tolist() == [float(one) for one in other]
