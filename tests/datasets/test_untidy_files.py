"""Files as people keep them: a table in any dress gives the same counts, or one error in words.

The right counts are of pandas and of no code of ours.
"""

import gzip
import itertools
import json
import unicodedata
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.human_machine.tables import tables_in
from causalbias.analyses.scores.words import doubtful_units
from causalbias.cli.main import app
from causalbias.datasets.answers import answers_in
from causalbias.datasets.scores.checks import check_unit
from causalbias.errors import DataError
from causalbias.study.columns import groups_alike, missing_code
from causalbias.study.reading import read_table

read = cb.datasets.read_scores
AT = 0.5
SIDES = ("person", "image", "race")


def comparisons():
    """Genuine and impostor pairs of nine persons of three groups, names with composed letters."""
    draw = np.random.default_rng(4)
    who = [f"é{k:02d}" for k in range(9)]
    race = dict(zip(who, ["noiré", "asian", "white"] * 3, strict=True))
    rows = [(w, w, f"{w}_{k}", f"{w}_{k + 1}", draw.normal(0.7, 0.15)) for w in who for k in (0, 1)]
    for a, b in itertools.combinations(who, 2):
        rows.append((a, b, f"{a}_0", f"{b}_1", draw.normal(0.35, 0.15)))
    frame = pd.DataFrame(rows, columns=["person_a", "person_b", "image_a", "image_b", "similarity"])
    frame = frame.assign(race_a=frame["person_a"].map(race), race_b=frame["person_b"].map(race))
    return frame.round(4)


TABLE = comparisons()


def errors_of(frame, same):
    """Pairs and errors by group at a threshold, counted by pandas."""
    inside = frame[frame["race_a"] == frame["race_b"]].assign(same=same)
    wrong = (inside["similarity"] >= AT) != inside["same"]
    return wrong.groupby([inside["race_a"], inside["same"]]).agg(["sum", "size"]).to_dict("index")


RIGHT = errors_of(TABLE, TABLE["person_a"] == TABLE["person_b"])


def swapped(frame):
    """The same pairs in the other order."""
    sides = {f"{one}_a": f"{one}_b" for one in SIDES}
    return frame.rename(columns=sides | {two: one for one, two in sides.items()})


def composed(frame, columns):
    """The same texts, with letters and accents apart."""
    return frame.assign(
        **{one: frame[one].map(lambda x: unicodedata.normalize("NFD", x)) for one in columns}
    )


CONTENT = {  # what leaves every pair with its score, whichever way it is written
    "as it is": lambda frame: frame,
    "rows in another order": lambda frame: frame.sample(frac=1, random_state=0),
    "columns in another order": lambda frame: frame[frame.columns[::-1]],
    "rows twice": lambda frame: pd.concat([frame, frame]),
    "pairs in both orders": lambda frame: pd.concat([frame, swapped(frame)]),
    "an image beside itself": lambda frame: pd.concat(
        [frame, frame.assign(**{f"{one}_b": frame[f"{one}_a"] for one in SIDES}, similarity=1)]
    ),
    "a column of row numbers": lambda frame: frame.reset_index(names="Unnamed: 0"),
    "spaces in headers": lambda frame: frame.rename(columns=lambda name: f" {name}\u00a0"),
    "spaces around cells": lambda frame: frame.assign(race_a=frame["race_a"] + " "),
    "all letters apart": lambda frame: composed(frame, [f"{a}_{b}" for a in SIDES for b in "ab"]),
    "a note with commas and lines": lambda frame: frame.assign(note='said "a,\nb"; so'),
}
DAMAGE = {  # what makes one person, image or group two, if nobody looks
    "groups apart": lambda frame: composed(frame, ["race_a"]),
    "persons apart": lambda frame: composed(frame, ["person_a"]),
    "images apart": lambda frame: composed(frame, ["image_a"]),
    "capitals": lambda frame: frame.assign(race_b=frame["race_b"].str.title()),
    "some capitals": lambda frame: frame.assign(
        race_a=frame["race_a"].where(frame.index % 2 == 0, frame["race_a"].str.upper())
    ),
    "a mark that is not seen": lambda frame: frame.assign(person_a=frame["person_a"] + "\u200b"),
    "the header again": lambda frame: pd.concat(
        [frame, pd.DataFrame([list(frame)], columns=list(frame)), frame]
    ),
    "percent": lambda frame: frame.assign(similarity=(frame["similarity"] * 100).map("{}%".format)),
    "no number": lambda frame: frame.assign(
        similarity=frame["similarity"].where(frame.index > 0).astype(object).fillna("-")
    ),
}
DRESS = st.fixed_dictionaries(
    {
        "separator": st.sampled_from(",;\t"),
        "line": st.sampled_from(["\n", "\r\n"]),
        "quoting": st.sampled_from([0, 1]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    }
)


def written(frame, path, dress):
    decimal = "," if dress["separator"] == ";" else "."
    frame.to_csv(
        path,
        index=False,
        sep=dress["separator"],
        lineterminator=dress["line"],
        quoting=dress["quoting"],
        encoding=dress["encoding"],
        decimal=decimal,
    )
    return path


@given(st.sampled_from(sorted(CONTENT)), DRESS)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_scores_in_any_dress_give_the_counts_of_pandas(tmp_path, content, dress):
    found = read(written(CONTENT[content](TABLE), tmp_path / "s.csv", dress)).frame
    plain = {
        f"race_{side}": found[f"race_{side}"].map(lambda x: unicodedata.normalize("NFC", x))
        for side in "ab"
    }
    got = found.rename(columns={"score": "similarity"}).assign(**plain)
    assert errors_of(got, got["same_identity"]) == RIGHT


@given(st.sampled_from(sorted(DAMAGE)), DRESS)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_scores_are_one_error_that_names_file_column_and_row(tmp_path, damage, dress):
    with pytest.raises(DataError) as caught:
        read(written(DAMAGE[damage](TABLE), tmp_path / "s.csv", dress))
    assert caught.value.file == "s.csv"
    assert caught.value.column
    assert caught.value.row


LETTERS = st.text("abéöñ", min_size=2, max_size=8)


@given(
    LETTERS,
    st.sampled_from(
        [
            str.upper,
            str.title,
            lambda x: unicodedata.normalize("NFD", x),
            lambda x: f"{x} ",
            lambda x: x.replace("a", "a\u200b"),
        ]
    ),
)
def test_a_name_in_another_dress_is_the_same_group(name, dressed):
    if dressed(name) != name:
        assert groups_alike([name, dressed(name)]) == (name, dressed(name))
    assert groups_alike([name, f"{name}x", f"x{name}"]) is None


@pytest.mark.parametrize("text", ["unknown", "-", "Not specified", "?"])
def test_groups_that_are_not_known_are_said_and_counted(tmp_path, text):
    frame = TABLE.replace("noiré", text)
    rows = ((frame[["race_a", "race_b"]] == text).any(axis=1)).sum()
    said = [one for one in read(frame).remarks if repr(text) in one]
    assert len(said) == 1
    assert f"({rows:,} rows)" in said[0]
    rated = pd.DataFrame({"who": list("abcd"), "sex": ["f", "m", text, "f"], "score": [1, 2, 3, 4]})
    with pytest.warns(UserWarning, match=r"of sex like all others \(1 row\)"):
        found = answers_in(rated, {"rater": "who", "group": "sex"}, {"rating": "score"})
    assert "note" in found.described("ratings", "4")
    empty = rated.replace(text, "")
    assert len(answers_in(empty, {"rater": "who", "group": "sex"}, {"rating": "score"}).frame) == 3


def test_hints_name_arguments_in_python_and_options_in_the_command(tmp_path):
    path = tmp_path / "s.csv"
    cases = (
        (
            TABLE.drop(columns=["person_a", "image_a"]),
            "give id_a= and id_b=",
            "give --id-a and --id-b",
        ),
        (
            TABLE.drop(columns=["race_a", "race_b"]),
            "subjects='people.csv'",
            "--subjects people.csv",
        ),
        (TABLE.rename(columns={"similarity": "score"}), "kind='distance'", "--distance"),
        (TABLE.assign(similarity_2=1), "['similarity', 'similarity_2']", "similarity,similarity_2"),
    )
    for frame, python, command in cases:
        frame.to_csv(path, index=False)
        with pytest.raises(DataError) as caught:
            read(path)
        assert python in str(caught.value)
        assert "--" not in str(caught.value)
        done = CliRunner().invoke(app, ["rates", str(path), "--fmr", "0.1"])
        assert done.exit_code == 1
        assert command in done.output
        assert python not in done.output


def test_what_a_pair_shows_agrees_with_its_persons(tmp_path):
    same = (TABLE["person_a"] == TABLE["person_b"]).tolist()
    assert len(read(TABLE.assign(same=same)).frame) == len(TABLE)
    same[20] = not same[20]
    with pytest.raises(DataError, match="said to show one person, and its persons are") as caught:
        read(TABLE.assign(same=same))
    assert (caught.value.column, caught.value.row) == ("same", 21)


def test_a_sweep_of_thresholds_may_begin_below_all_distances():
    distances = np.linspace(0.3, 1.2, 50)
    for threshold in np.linspace(0, 1.5, 40):
        check_unit(threshold, distances, "net")
    for threshold in (0.35, 0.6, 0.9):  # of percent, where all pairs would be on one side
        with pytest.raises(DataError, match="far from all"):
            check_unit(threshold, 100 * distances, "net")
        with pytest.raises(DataError, match="far from all"):
            check_unit(100 * threshold, distances, "net")


@pytest.mark.parametrize("codes", [[99], [88, 99], [-77], [777, 888, 999]])
def test_codes_of_missing_answers_are_found_also_where_they_are_several(codes):
    assert missing_code(np.array([1.0, 4, 7, *codes])) in codes
    assert missing_code(np.array([1.0, 4, 7])) is None
    assert missing_code(np.arange(100.0)) is None


OTHER = {
    "gzip": (lambda text: gzip.compress(text.encode()), "packed by gzip"),
    "json": (lambda text: json.dumps([{"a": 1, "b": text}]).encode(), "JSON"),
    "page": (lambda text: f"<!DOCTYPE html><p>{text}".encode(), "a web page"),
    "utf-16 without a mark": (lambda text: text.encode("utf-16-le"), "NULs"),
    "bars": (lambda text: text.replace(",", "|").encode(), r"separated by '\|'"),
    "spaces": (lambda text: text.replace(",", " ").encode(), "separated by ' '"),
    "comments": (lambda text: f"# by hand, in 2024\n# a\n{text}".encode(), "title or comments"),
}


@pytest.mark.parametrize("kind", OTHER)
def test_a_file_of_another_kind_is_said_to_be_one(tmp_path, kind):
    made, said = OTHER[kind]
    plain = TABLE.assign(person_a="a", person_b="b", race_a="x", race_b="x").round(2)
    (tmp_path / "s.csv").write_bytes(made(plain.to_csv(index=False)))
    with pytest.raises(DataError, match=rf"s\.csv: .*{said}"):
        read_table(tmp_path / "s.csv")


@given(st.integers(0, 30), st.sampled_from(["all", "some", "none"]))
@settings(max_examples=12, deadline=None)
def test_copied_rows_of_persons_are_left_out_or_said(seed, copied):
    """Images are not known: all rows that are there equally often are copies."""
    frame = TABLE.drop(columns=["image_a", "image_b"]).sample(frac=1, random_state=seed)
    more = {"all": frame, "some": frame[:9], "none": frame[:0]}[copied]
    found = read(pd.concat([frame, swapped(more) if seed % 2 else more]))
    said = [one for one in found.remarks if "repeat one of the same two persons" in one]
    assert len(said) == (copied == "some")
    assert found.excluded["count"].sum() == (len(frame) if copied == "all" else 0)
    assert len(found.frame) == len(frame) + (9 if copied == "some" else 0)


def test_scores_that_are_all_missing_and_thresholds_of_another_unit_are_said(tmp_path):
    with pytest.raises(DataError, match="no comparison has a score"):
        read(TABLE.assign(similarity=np.nan))
    percent = read(TABLE.assign(similarity=TABLE["similarity"] * 100))
    points = [
        SimpleNamespace(name="given", fmr=None, thresholds={"net": 9.0}),
        SimpleNamespace(name="set", fmr=0.5, thresholds={"net": 9.0}),
    ]
    result = SimpleNamespace(points=points, scores=percent)
    rates = pd.DataFrame({"operating_point": ["given", "given", "set"], "system": "net"})
    rates = rates.assign(rate_of=["FMR", "FNMR", "FMR"], errors=[9, 0, 9], n=10)
    (said,) = doubtful_units(result, rates)
    assert said.startswith("At the threshold 9 there are false matches in 90% of the pairs of two")


def experiment(**tables):
    """Tables of `make_study`: two seeds by two levels, one network, two annotators."""
    faces = [(f"{seed}_{level}", seed, level) for seed in "ab" for level in (0, 1)]
    pairs = pd.DataFrame({"stimulus_a": ["a_0", "b_0", "a_0"], "stimulus_b": ["a_1", "b_1", "b_0"]})
    given = {
        "stimuli": pd.DataFrame(faces, columns=["stimulus", "seed", "level"]),
        "pairs": pairs,
        "distances": pairs.assign(system="net", distance=[0.2, 0.3, 0.9]),
        "judgements": pairs.assign(question="same", annotator="ann", score=[3, 4, 0]),
    }
    return given | tables


def into(root, tables):
    for name, table in tables.items():
        table.to_csv(root / f"{name}.csv", index=False)
    return cb.load("tidy", root, factors=["seed", "level"], scales=(0, 4))


def test_what_is_no_number_or_another_name_of_a_study_is_refused(tmp_path):
    plain = experiment()
    doubled = pd.concat([plain["distances"]] * 2, ignore_index=True)
    cases = {
        "999 is far from all": {"distances": plain["distances"].assign(distance=[0.2, 0.3, 999])},
        "'net' and 'Net'": {"distances": doubled.assign(system=["net"] * 3 + ["Net"] * 3)},
        "'same' and 'Same'": {
            "judgements": plain["judgements"].assign(question=["same", "same", "Same"])
        },
        "true and false": {"judgements": plain["judgements"].assign(score=[True, False, True])},
    }
    for said, changed in cases.items():
        with pytest.raises(DataError, match=said):
            into(tmp_path, plain | changed)
    levels = plain["stimuli"].assign(level=["0,0", "0,5", "0,0", "0,5"])
    with pytest.warns(UserWarning, match="such as '0,0' are text"):
        into(tmp_path, plain | {"stimuli": levels})
    numbered = {name: one.reset_index(names="Unnamed: 0") for name, one in plain.items()}
    assert len(cb.to_frame(into(tmp_path, numbered), "excluded")) == 4
    (tmp_path / "pairs.csv").rename(tmp_path / "pairs.txt")
    with pytest.raises(DataError, match=r"pairs\.txt: a file of this ending"):
        cb.load("tidy", tmp_path, factors=["seed", "level"], scales=(0, 4))


@pytest.mark.parametrize(
    ("dressed", "said"),
    [
        (str.upper, "capitals"),
        (lambda one: f"{one}.png", "the ending of a file's name"),
        (lambda one: unicodedata.normalize("NFD", one), "how letters are composed"),
    ],
)
def test_ids_in_another_spelling_are_no_other_faces(dressed, said):
    """On the two sides of a pair, and in two tables."""
    faces = [f"é{k}" for k in range(12)]
    pairs = pd.DataFrame(list(itertools.combinations(faces, 2)), columns=["a", "b"])
    pairs = pairs.assign(human=np.arange(len(pairs)) % 7, metric=np.arange(len(pairs)) % 5)
    columns = {"face_a": "a", "face_b": "b", "judgement": "human", "metrics": "metric"}
    cb.analyses.analyse_alignment(pairs, **columns)
    with pytest.raises(DataError, match=f"differ in {said} only"):
        cb.analyses.analyse_alignment(pairs.assign(b=pairs["b"].map(dressed)), **columns)


def answered(**tables):
    """Twenty pairs that two people and a system judged; the system's similarities."""
    items = [f"i{k:02d}" for k in range(20)]
    truth = ["same", "different"] * 10
    given = {
        "people": pd.DataFrame(
            {"annotator": ["ann"] * 20 + ["bo"] * 20, "item": items * 2, "answer": truth * 2}
        ),
        "systems": pd.DataFrame({"system": "net", "item": items, "score": [0.8, 0.3] * 10}),
        "items": pd.DataFrame({"item": items, "truth": truth, "race": list("xxyy") * 5}),
    } | tables
    columns = {one: one for one in ("annotator", "item", "answer", "system", "score", "truth")}
    columns |= {"option": "", "task": ""}
    return tables_in(*given.values(), None, columns, ["race"], {}, 0.5)


def test_distances_and_rows_twice_are_no_answers_of_a_system():
    right = answered()
    assert right.systems.frame["answer"].tolist() == ["same", "different"] * 10
    given = pd.DataFrame(
        {"system": "net", "item": [f"i{k:02d}" for k in range(20)], "score": [0.8, 0.3] * 10}
    )
    with pytest.raises(DataError, match="100% of comparisons two persons have a higher score"):
        answered(systems=given.assign(score=1 - given["score"]))
    with pytest.raises(DataError, match="row 21: system, item 'net, i00' is there twice"):
        answered(systems=pd.concat([given, given[:1]], ignore_index=True))


def test_errors_about_comparisons_are_in_terms_of_the_file(tmp_path):
    TABLE.to_csv(tmp_path / "s.csv", index=False)
    found = read(tmp_path / "s.csv")
    for row in (None, 3):
        with pytest.raises(DataError) as caught, found.in_terms_of_file():
            raise DataError(
                "two are one",
                hint="give distance = 1 - similarity",
                file="comparisons",
                column="distance",
                row=row,
            )
        error = caught.value
        assert (error.file, error.column, error.row) == ("s.csv", "similarity", row)
        assert error.hint == "give kind='similarity'"
