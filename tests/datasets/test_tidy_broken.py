"""Tidy tables: a small valid experiment, and broken copies of it."""

import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError

FACES = pd.DataFrame(
    {
        "stimulus": ["f1", "f2", "f3", "f4"],
        "seed": ["s1", "s1", "s2", "s2"],
        "pose": [0, 1, 0, 1],
    }
)
PAIRS = pd.DataFrame({"pair": ["p1", "p2"], "stimulus_a": ["f1", "f3"], "stimulus_b": ["f2", "f4"]})
SCORED = pd.DataFrame(
    {
        "network": ["net", "net", "other", "other"],
        "pair": ["p1", "p2", "p1", "p2"],
        "cosine": [0.1, 0.2, 0.3, 0.4],
    }
)
SAID = pd.DataFrame(
    {
        "who": ["ann", "ann", "bob"],
        "question": ["alike", "alike", "alike"],
        "pair": ["p1", "p2", "p1"],
        "mark": [0.0, 4.0, 3.0],
    }
)
TABLES = {"stimuli": FACES, "pairs": PAIRS, "distances": SCORED, "judgements": SAID}
COLUMNS = {
    "distances": {"network": "system", "cosine": "distance"},
    "judgements": {"who": "annotator", "mark": "score"},
}


def load(root, **changes):
    layout = {"factors": ["seed", "pose"], "columns": COLUMNS, "scales": (0, 4)} | changes
    return cb.load("tidy", root, **layout)


def write(root, kind="csv", **changes):
    for table, frame in (TABLES | changes).items():
        if frame is None:
            continue
        if kind == "parquet":
            frame.to_parquet(root / f"{table}.parquet", index=False)
        else:
            frame.to_csv(root / f"{table}.{kind}", index=False, sep="\t" if kind == "tsv" else ",")


def failure(root, **changes) -> DataError:
    with pytest.raises(DataError) as caught:
        load(root, **changes)
    assert type(caught.value) is DataError
    assert caught.value.hint
    assert "np." not in str(caught.value)
    return caught.value


def change(frame, row, column, value):
    frame = frame.astype({column: object})
    frame.loc[row - 1, column] = value
    return frame


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_valid(tmp_path, kind):
    write(tmp_path, kind)
    study = load(tmp_path)
    machine = cb.to_frame(study, "machine")
    assert machine["distance"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert machine["varies"].tolist() == ["pose"] * 4
    human = cb.to_frame(study, "human")
    assert human["score"].tolist() == [0, 4, 3]
    assert human["seed"].tolist() == ["s1", "s2", "s1"]
    assert set(cb.to_frame(study, "provenance")["file"]) == {f"{t}.{kind}" for t in TABLES}


BREAKS = {
    "factor column gone": ("stimuli", FACES.drop(columns="pose"), "pose", None),
    "stimulus twice": ("stimuli", pd.concat([FACES, FACES.iloc[[1]]]), "stimulus", 5),
    "cell twice": ("stimuli", change(FACES, 4, "pose", 0), "seed + pose", 4),
    "factor missing": ("stimuli", change(FACES, 2, "seed", None), "seed", 2),
    "unknown stimulus": ("pairs", change(PAIRS, 2, "stimulus_b", "f9"), "stimulus_b", 2),
    "pair twice": ("pairs", change(PAIRS, 2, "pair", "p1"), "pair", 2),
    "pair missing": ("pairs", change(PAIRS, 1, "stimulus_a", None), "stimulus_a", 1),
    "unknown pair": ("distances", change(SCORED, 3, "pair", "p7"), "pair", 3),
    "distance twice": ("distances", pd.concat([SCORED, SCORED.iloc[[0]]]), "network + pair", 5),
    "distance negative": ("distances", change(SCORED, 2, "cosine", -0.01), "cosine", 2),
    "distance missing": ("distances", change(SCORED, 4, "cosine", None), "cosine", 4),
    "distance text": ("distances", change(SCORED, 4, "cosine", "far"), "cosine", 4),
    "distance inf": ("distances", change(SCORED, 4, "cosine", "inf"), "cosine", 4),
    "system missing": ("distances", change(SCORED, 1, "network", None), "network", 1),
    "threshold negative": ("distances", SCORED.assign(threshold=-1.0), "threshold", 1),
    "thresholds differ": (
        "distances",
        SCORED.assign(threshold=[0.1, 0.2, 0.3, 0.3]),
        "threshold",
        None,
    ),
    "score outside": ("judgements", change(SAID, 2, "mark", 5), "mark", 2),
    "score missing": ("judgements", change(SAID, 3, "mark", None), "mark", 3),
    "unknown judged pair": ("judgements", change(SAID, 1, "pair", "p5"), "pair", 1),
    "rater missing": ("judgements", change(SAID, 2, "who", None), "who", 2),
    "judged twice": (
        "judgements",
        pd.concat([SAID, SAID.iloc[[2]]]),
        "who + question + pair",
        4,
    ),
    "judged factor missing": (
        "judgements",
        SAID.drop(columns="pair").assign(pose=[0, 1, None]),
        "pose",
        3,
    ),
    "judged label missing": (
        "judgements",
        SAID.drop(columns="pair").assign(seed=["s1", None, "s2"]),
        "seed",
        2,
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_broken(tmp_path, case):
    table, frame, column, row = BREAKS[case]
    write(tmp_path, **{table: frame})
    error = failure(tmp_path)
    assert (error.file, error.column, error.row) == (f"{table}.csv", column, row)


def test_scores_without_a_scale(tmp_path):
    write(tmp_path)
    assert failure(tmp_path, scales=None).file == "judgements.csv"
    error = failure(tmp_path, scales={"other": (0, 4)})
    assert (error.file, error.column) == ("judgements.csv", "question")


@pytest.mark.parametrize("name", ["../x.csv", "/etc/hostname", "sub/../../x.csv"])
def test_file_outside_the_root(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    write(root)
    SAID.to_csv(tmp_path / "x.csv", index=False)
    assert "outside" in str(failure(root, tables={"judgements": name}))


def test_link_to_a_file_outside_the_root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    SAID.to_csv(tmp_path / "x.csv", index=False)
    (root / "judgements.csv").symlink_to(tmp_path / "x.csv")
    assert "outside" in str(failure(root, tables={"judgements": "judgements.csv"}))
    assert "outside" in str(failure(root)), "found by its default name"


def test_map_names_a_missing_column(tmp_path):
    write(tmp_path)
    error = failure(tmp_path, columns=COLUMNS | {"pairs": {"absent": "pair"}})
    assert (error.file, error.column) == ("pairs.csv", "absent")


def test_map_makes_two_columns_of_one_name(tmp_path):
    write(tmp_path, judgements=SAID.assign(annotator="x"))
    assert failure(tmp_path).file == "judgements.csv"


def test_map_of_an_unknown_table(tmp_path):
    write(tmp_path)
    assert "distance" in str(failure(tmp_path, columns=COLUMNS | {"distance": {"a": "b"}}))


def test_no_tables(tmp_path):
    assert failure(tmp_path).file == str(tmp_path)
    assert "directory" in str(failure(tmp_path / "nowhere"))
    assert "tables" not in str(failure(tmp_path, tables={"faces": "faces.csv"}).column)


def test_table_named_but_missing(tmp_path):
    write(tmp_path)
    assert failure(tmp_path, tables={"judgements": "gone.csv"}).file.endswith("gone.csv")


def test_unknown_identity(tmp_path):
    write(tmp_path)
    assert "person" in str(failure(tmp_path, identity="person"))
    assert "person" in str(failure(tmp_path, factors=["person"]))


def test_parts_that_need_others(tmp_path):
    write(tmp_path, stimuli=None)
    assert "stimuli" in str(failure(tmp_path))


def test_broken_parquet(tmp_path):
    write(tmp_path, "parquet")
    path = tmp_path / "pairs.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert failure(tmp_path).file == path.name
