"""Tables of scores as other programs export them: columns, ids, separators, what is missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalbias as cb
from causalbias.datasets.scores.names import direction_of, sided
from causalbias.errors import DataError

read = cb.datasets.read_scores


def table(**more):
    """Three persons with leading zeros, of two groups; a is beside itself in no row."""
    columns = {
        "subject_a": ["01", "01", "2", "2", "03", "03"],
        "subject_b": ["01", "2", "2", "03", "03", "01"],
        "race_a": ["x", "x", "y", "y", "y", "y"],
        "race_b": ["x", "y", "y", "y", "y", "x"],
        "similarity": [0.9, 0.2, 0.8, 0.4, 0.7, 0.3],
    }
    return pd.DataFrame(columns | more)


def renamed(**names):
    return table().rename(columns=names)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Reference ID", "Probe ID"),
        ("enrolment_subject", "verification_subject"),
        ("Class_ID_s1", "Class_ID_s2"),
        ("leftPerson", "rightPerson"),
        ("person1", "person2"),
        ("id_a", "id_b"),
        ("reference", "probe"),
        ("identity.x", "identity.y"),
    ],
)
def test_ids_are_found_by_usual_names(first, second):
    found = read(renamed(subject_a=first, subject_b=second))
    assert found.frame["seed_a"].tolist() == table()["subject_a"].tolist()
    assert found.frame["seed_b"].tolist() == table()["subject_b"].tolist()
    assert found.frame["same_identity"].tolist() == [True, False, True, False, True, False]


def test_every_column_taken_is_recorded_with_how():
    taken = read(table()).taken.set_index("what")
    assert taken.loc["group: race", "column"] == "race_a and race_b"
    assert taken.loc["scores are similarities", "how"].startswith("by name, and genuine pairs")
    given = read(table(), group="race", score="similarity", kind="similarity").taken
    assert (given.set_index("what").loc[["group: race", "score"], "how"] == "as given").all()


def test_several_candidates_are_one_error_that_lists_them_and_the_option():
    with pytest.raises(DataError, match=r"similarity, or cosine_distance.*score=\['similarity'"):
        read(table(cosine_distance=0.5))
    with pytest.raises(DataError, match=r"image_a and image_b, or file_a and file_b.*id_a="):
        read(table(image_a="p", image_b="q", file_a="p", file_b="q"))
    with pytest.raises(DataError, match=r"genuine, or mated.*same="):
        read(table(genuine=[1, 0] * 3, mated=[1, 0] * 3))
    with pytest.raises(DataError, match=r"race, or ethnicity.*group="):
        read(table(ethnicity_a="z", ethnicity_b="z"))


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(DataError, match=r"column 'cosine'.*found subject_a, subject_b"):
        read(table(), score="cosine")
    with pytest.raises(DataError, match="no two columns are ids of both sides"):
        read(table().drop(columns="subject_b"))
    with pytest.raises(DataError, match=r"which group a person is of.*subjects="):
        read(table().drop(columns=["race_a", "race_b"]))


def test_similarity_or_distance_is_never_a_guess():
    """The name and the means of genuine and impostor pairs agree, or the user says it."""
    with pytest.raises(DataError, match=r"its name does not say; genuine pairs have 0\.8 on"):
        read(renamed(similarity="score"))
    with pytest.raises(DataError, match=r"its name says distance.*as similarities have"):
        read(renamed(similarity="distance"))
    with pytest.raises(DataError, match="without both genuine and impostor pairs"):
        read(table().iloc[[1, 3, 5]].assign(same=False))
    assert read(renamed(similarity="score"), kind="similarity").kind == "similarity"
    assert direction_of("dissimilarity") == direction_of("L2 dist") == "distance"


def test_a_similarity_at_the_threshold_matches_whatever_rounding_does():
    values = np.random.default_rng(1).uniform(0, 1, 500)
    rows = pd.DataFrame(
        {
            "subject_a": np.arange(500),
            "subject_b": np.r_[np.arange(250), np.arange(1000, 1250)],
            "race": "x",
            "similarity": values + np.r_[np.ones(250), np.zeros(250)],
        }
    )
    found = read(rows)
    for threshold in found.frame["score"].sample(50, random_state=1):
        at = found.distance_at(threshold, "the system")
        expected = (found.frame["score"] >= threshold).sum()
        assert (found.frame["distance"] <= at).sum() == expected
        assert found.score_at(at, "the system") == threshold


def test_images_are_persons_by_pattern_column_table_or_links():
    images = pd.DataFrame(
        {
            "image1": ["ann_x_1", "ann_x_1", "bo_y_1", "bo_y_2"],
            "image2": ["ann_x_2", "bo_y_1", "bo_y_2", "cy_y_1"],
            "distance": [0.1, 0.8, 0.2, 0.9],
            "same": [True, False, True, False],
        }
    )
    persons = [["ann", "ann", "bo", "bo"], ["ann", "bo", "bo", "cy"]]

    def sides(found):
        return [found.frame[f"seed_{side}"].tolist() for side in "ab"]

    by_pattern = read(images, person="{person}_{race}_{n}")
    assert sides(by_pattern) == persons
    assert by_pattern.by == ["race"]
    people = pd.DataFrame({"image": sorted({*images.image1, *images.image2})})
    people = people.assign(person=people.image.str.split("_").str[0], race="x")
    assert sides(read(images, subjects=people)) == persons
    both = images.assign(subject1=persons[0], subject2=persons[1], race="x")
    assert sides(read(both)) == persons
    linked = read(images.assign(race="x"))
    one, two = sides(linked)
    assert one[0] == two[0] == one[1]
    assert one[2] == two[2] == two[1] == one[3] != two[3]
    assert "3 persons" in linked.remarks[0]


def test_a_pattern_is_no_program_and_names_that_do_not_fit_are_counted_and_listed():
    images = pd.DataFrame(
        {
            "image_a": ["ann_x_1", "ann_b_x_1", "bo_y_1"],
            "image_b": ["ann_x_2", "bo_y_1", "bo_y_2"],
            "distance": [0.1, 0.8, 0.2],
        }
    )
    found = read(images, person="{person}_{race}_{n}", kind="distance")
    assert found.remarks == [
        "1 of 5 ids do not fit the pattern {person}_{race}_{n}, and their comparisons are left "
        "out: 'ann_b_x_1'."
    ]
    assert len(found.frame) == 2
    with pytest.raises(DataError, match="no id fits the pattern"):
        read(images, person="{person}.*{race}")
    with pytest.raises(DataError, match=r"nothing between \{person\} and \{race\}"):
        read(images, person="{person}{race}_{n}")
    twice = images.assign(image_b=["ann_y_2", "bo_y_1", "bo_y_2"])
    with pytest.raises(DataError, match=r"'ann' is of several groups \(x, y"):
        read(twice, person="{person}_{race}_{n}", kind="distance")


def test_ids_without_meaning_and_without_truth_are_refused():
    images = pd.DataFrame({"id1": ["p", "q"], "id2": ["r", "s"], "distance": 0.1, "race": "x"})
    with pytest.raises(DataError, match="whether the ids are of persons or of images"):
        read(images)
    square = pd.DataFrame([(a, b) for a in "pqr" for b in "pqr"], columns=["id1", "id2"])
    square = square.assign(race="x", similarity=(square.id1 == square.id2) + 0.0)
    with pytest.raises(DataError, match="as images beside themselves have"):
        read(square)
    with pytest.raises(DataError, match="in some genuine pairs both ids are equal"):
        read(images.assign(id2=["p", "s"], same=True))


def test_missing_ids_groups_and_scores_are_counted_and_no_level():
    rows = table(race_a=["x", None, "y", "y", "y", "NA"], same=[1, 0, 1, 0, 1, 0])
    rows.loc[3, "subject_b"] = None
    rows.loc[2, "similarity"] = np.nan
    found = read(rows, kind="similarity")
    assert found.excluded[["reason", "count"]].values.tolist() == [
        ["without the id of a person", 1],
        ["of a person without race", 2],
    ]
    assert found.frame["status"].tolist() == ["ok", "no score", "ok"]
    assert set(found.frame["race_a"]) == {"x", "y"}


def test_one_column_of_groups_is_of_both_sides_or_an_error():
    rows = table(race=["x", "x", "y", "y", "y", "x"]).drop(columns=["race_a", "race_b"])
    with pytest.raises(DataError, match=r"column 'race', row 3: '2' is in rows of several groups"):
        read(rows)


def test_a_full_table_has_each_pair_once_and_no_image_beside_itself():
    names = ["p1", "p2", "q1", "r1"]
    rows = pd.DataFrame([(a, b) for a in names for b in names], columns=["file_a", "file_b"])
    rows["distance"] = [abs(names.index(a) - names.index(b)) for a, b in rows.values]
    people = pd.DataFrame({"file": names, "person": list("ppqr"), "race": "x"})
    found = read(rows, subjects=people)
    assert len(found.frame) == 6
    assert found.excluded["count"].tolist() == [4, 6]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "0"], [True, False]),
        (["Genuine", "Impostor"], [True, False]),
        (["mated", "non-mated"], [True, False]),
        (["same", "different"], [True, False]),
        (["Yes", "No"], [True, False]),
        ([1.0, 0.0], [True, False]),
        ([True, False], [True, False]),
    ],
)
def test_truths_are_read_in_the_words_of_the_field(cells, expected):
    rows = table(label=[cells[0], cells[1]] * 3)
    assert read(rows).frame["same_identity"].tolist() == expected * 3
    assert "label" in read(rows).taken["column"].tolist()


def test_errors_name_file_column_and_row(tmp_path):
    path = tmp_path / "export.csv"
    table(similarity=["0.9", "0.2", "high", "0.4", "0.7", "0.3"]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"export.csv, column 'similarity', row 3: 'high' is no nu"):
        read(path)
    table(similarity=["0,9", "0,2", "0,8", "0,4", "0,7", "0,3"]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"row 1: '0,9' is no number.*separate the cells by semi"):
        read(path)
    table(same=[1, 0, 1, 0, 1, "maybe"]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"column 'same', row 6: 'maybe' does not say whether"):
        read(path, same="same")
    table(is_impostor=[0, 1] * 3).to_csv(path, index=False)
    with pytest.raises(DataError, match="true where a pair shows two persons"):
        read(path, same="is_impostor")


def test_persons_that_contradict_the_truth_are_named_by_file_and_row(tmp_path):
    path = tmp_path / "export.csv"
    table(same=[1, 0, 1, 1, 1, 0]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"export.csv, .*row 4: the pair is said to show one"):
        cb.analyses.audit(read(path), threshold=0.5)


IDS = st.text("abcxyz0123456789-.", min_size=1, max_size=6).filter(
    lambda one: one not in ("nan", "NaN") and one.strip("-.")
)


@settings(max_examples=25, deadline=None)
@given(
    ids=st.lists(IDS, min_size=3, max_size=8, unique=True),
    separator=st.sampled_from(",;\t"),
    comma=st.booleans(),
    missing=st.booleans(),
)
def test_a_file_reads_as_its_frame_whatever_the_separator(
    tmp_path_factory, ids, separator, comma, missing
):
    """Ids keep leading zeros, points and signs; decimal commas are those of semicolon files."""
    people = [f"p{one}" if missing else one for one in ids]
    rows = pd.DataFrame(
        [(a, b) for i, a in enumerate(people) for b in people[i:]], columns=["person_1", "person_2"]
    )
    rows["race_1"], rows["race_2"] = "x", "x"
    same = rows["person_1"] == rows["person_2"]
    rows["distance"] = np.where(same, 0.125, 0.5 + np.arange(len(rows)) / 1024)
    if missing:
        rows.loc[len(rows) - 2, "race_2"] = None
    comma = comma and separator == ";"
    path = tmp_path_factory.mktemp("scores") / f"a.{'tsv' if separator == chr(9) else 'csv'}"
    rows.to_csv(path, index=False, sep=separator, decimal="," if comma else ".")
    found, expected = read(path), read(rows)
    assert found.frame["seed_a"].tolist() == expected.frame["seed_a"].tolist()
    np.testing.assert_array_equal(found.frame["score"], expected.frame["score"])
    assert len(found.frame) == len(rows) - missing
    assert found.excluded["count"].sum() == missing


def test_parquet_excel_and_several_files(tmp_path, monkeypatch):
    table().to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").frame["seed_a"].tolist() == table()["subject_a"].tolist()
    table().iloc[:3].to_csv(tmp_path / "1.csv", index=False)
    table().iloc[3:].to_csv(tmp_path / "2.csv", index=False)
    both = read([tmp_path / "1.csv", tmp_path / "2.csv"])
    assert both.frame["row"].tolist() == [1, 2, 3, 1, 2, 3]
    assert both.name == "1.csv, 2.csv"
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"a.xlsx: an Excel file needs the package openpyxl"):
        read(tmp_path / "a.xlsx")


def test_excel_is_read_with_ids_as_text(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    table().to_excel(path, index=False)
    assert read(path).frame["seed_a"].tolist() == table()["subject_a"].tolist()
    with pd.ExcelWriter(path) as book:
        table().to_excel(book, sheet_name="one", index=False)
        table().to_excel(book, sheet_name="two", index=False)
    with pytest.raises(DataError, match=r"2 sheets hold rows \(one, two\)"):
        read(path)


def test_sides_of_columns_that_only_look_alike_are_not_paired():
    assert sided(["model_a", "model_c", "x", "race_1", "race_a"]) == []


def images(**more):
    """Six pairs of images of their own, three of them of one person."""
    columns = {
        "image_a": [f"a{at}" for at in range(6)],
        "image_b": [f"b{at}" for at in range(6)],
        "race": "x",
        "similarity": [0.9, 0.2, 0.8, 0.4, 0.7, 0.3],
    }
    return pd.DataFrame(columns | more)


@pytest.mark.parametrize("text", [False, True])
def test_whole_numbers_beside_a_missing_id_are_the_ids_of_the_other_side(tmp_path, text):
    mixed = table(
        subject_a=[1, 1, 2, 2, 3, 3],
        subject_b=[1.0, 2.0, 2.0, 3.0, 3.0, np.nan],
        race_a=[1, 1, 2, 2, 2, 2],
        race_b=[1.0, 2.0, 2.0, 2.0, 2.0, np.nan],
    )
    if text:
        mixed = mixed.astype({"subject_b": "str", "race_b": "str"})
    mixed.to_csv(tmp_path / "t.csv", index=False)
    for data in (mixed, tmp_path / "t.csv"):
        found = read(data)
        assert found.frame["seed_b"].tolist() == ["1", "2", "2", "3", "3"]
        assert found.frame["same_identity"].tolist() == [True, False, True, False, True]
        assert found.frame["race_b"].tolist() == ["1", "2", "2", "2", "2"]
    # Numbers with parts stay as they are, on both sides.
    kept = read(
        table(subject_a=["1.0", "1.0", *"2233"], subject_b=["1.0", "2", "2", "3", "3", "1.5"])
    )
    assert kept.frame["seed_a"].tolist()[:2] == ["1.0", "1.0"]


def test_ids_that_differ_by_lost_zeros_or_capitals_are_not_two_persons():
    zeros = table(subject_b=["1", "2", "2", "3", "3", "1"])
    with pytest.raises(DataError, match=r"row 1: id '01' of the one side is '1' on the other"):
        read(zeros, kind="similarity")
    capitals = table(
        subject_a=["ann", "ann", "bo", "bo", "cy", "cy"],
        subject_b=["Ann", "bo", "bo", "cy", "cy", "ann"],
    )
    with pytest.raises(DataError, match=r"row 1: ids 'Ann' and 'ann' differ in capitals only"):
        read(capitals)
    # Two persons may be called 01 and 1 where both sides have both.
    both = table(
        subject_a=["01", "01", "1", "1", "03", "03"], subject_b=["01", "1", "1", "03", "03", "01"]
    )
    assert len(set(read(both).frame["seed_a"])) == 3


@pytest.mark.parametrize("other", ["X", "x y", "x-y"])
def test_groups_that_look_alike_are_not_two_groups(other):
    first = "x" if other == "X" else "X_y"
    rows = table(race_a=[first, first, "z", "z", "z", "z"], race_b=[other, *"zzzz", first])
    with pytest.raises(DataError, match="look like one") as caught:
        read(rows)
    assert (caught.value.column, caught.value.row) == ("race", 1)


def test_persons_of_several_groups_are_counted():
    rows = table(race_b=["x", "y", "y", "y", "x", "x"])
    assert read(rows).remarks == [
        "1 of 3 persons are of several groups of race, such as '03' (y, x): each comparison of "
        "two persons counts for the groups in its row."
    ]
    assert read(table()).remarks == []


def test_a_number_of_the_row_is_not_taken_for_the_id_of_a_person():
    people = pd.DataFrame({"index": [1, 2, 3], "subject": [3, 1, 2], "race": ["z", "x", "y"]})
    rows = table(subject_a=[*"112233"], subject_b=[*"122331"]).drop(columns=["race_a", "race_b"])
    with pytest.raises(DataError, match=r"may be the persons' ids: index, or subject"):
        read(rows, subjects=people)
    found = read(rows, subjects=people.drop(columns="index"))
    assert found.frame["race_a"].tolist() == ["x", "x", "y", "y", "z", "z"]
    again = people.assign(index=people["subject"])  # the same ids twice
    assert read(rows, subjects=again).frame["race_a"].tolist() == ["x", "x", "y", "y", "z", "z"]


def test_ids_of_subjects_are_written_as_those_of_the_scores(tmp_path):
    rows = table().drop(columns=["race_a", "race_b"])
    lost = pd.DataFrame({"subject": [1, 2, 3], "race": ["x", "y", "y"]})
    with pytest.raises(DataError, match=r"subjects: id '01' of the scores is '1' here"):
        read(rows, subjects=lost)
    plain = rows.replace({"01": "1", "03": "3"})
    floats = pd.DataFrame({"subject": [1.0, 2.0, 3.0, np.nan], "race": [*"xyyy"]})
    floats.to_csv(tmp_path / "people.csv", index=False)
    found = read(plain, subjects=tmp_path / "people.csv")
    assert found.frame["race_a"].tolist() == table()["race_a"].tolist()


def test_groups_of_subjects_that_are_not_those_of_the_scores_are_named():
    people = pd.DataFrame({"subject": ["01", "2", "03"], "race": ["x", "y", "y"]})
    assert len(read(table(), subjects=people).frame) == 6
    filled = table(race_a=["x", "x", "y", None, "y", "y"])
    assert read(filled, subjects=people).frame["race_a"].tolist() == table()["race_a"].tolist()
    wrong = people.assign(race=["x", "x", "y"])
    with pytest.raises(DataError, match=r"column 'race', row 3: 'y' is 'x' in subjects"):
        read(table(), subjects=wrong)
    with pytest.raises(DataError, match=r"the group of a person: race, or ethnicity"):
        read(table(), subjects=people.rename(columns={"race": "ethnicity"}))


@pytest.mark.parametrize("code", [-1, -99, 999])
def test_a_code_for_a_failure_is_no_score(code):
    rows = table(similarity=[0.9, 0.2, code, 0.4, 0.7, 0.3])
    with pytest.raises(DataError, match=rf"row 3: {code} is far from all other scores"):
        read(rows, kind="similarity")


def test_scores_below_zero_and_high_ones_are_scores():
    for scores in (
        [0.9, -0.2, 0.8, -1, 0.7, 0.3],
        [0.9, -0.2, 0.8, 0.1, 0.7, 0.3],
        [*range(94, 100)],
    ):
        assert (read(table(similarity=scores), kind="similarity").frame["status"] == "ok").all()


@pytest.mark.parametrize("text", ["NA", "n/a", " ", "NaN"])
def test_texts_for_a_missing_score_are_missing_in_frames_as_in_files(text):
    found = read(table(similarity=[0.9, 0.2, 0.8, text, 0.7, 0.3])).frame
    assert found["status"].tolist() == ["ok"] * 3 + ["no score"] + ["ok"] * 2


def test_a_column_that_is_there_twice_is_named():
    twice = pd.concat([table(), table()[["race_a"]]], axis=1)
    with pytest.raises(DataError, match="column 'race_a': two columns have this name"):
        read(twice)


def test_systems_of_opposite_directions_are_not_turned_alike():
    rows = table(b_distance=[0.1, 0.8, 0.2, 0.6, 0.3, 0.7])
    with pytest.raises(DataError, match="some of the columns similarity, b_distance are"):
        read(rows, score=["similarity", "b_distance"], kind="similarity")
    turned = table(similarity=[0.3, 0.4, 0.3, 0.5, 0.3, 0.4])
    both = pd.concat([table(system="one"), turned.assign(system="two")])
    with pytest.raises(
        DataError, match=r"genuine pairs have 0\.3 on average and impostors 0\.4333"
    ):
        read(both)


def test_two_pairs_with_the_highest_score_are_not_images_beside_themselves():
    rows = table(similarity=[93.5, 20, 93.5, 40, 70, 30])
    found = read(rows)
    assert found.top == 100
    assert cb.error_rates(found.frame, "race", threshold=50)["n"].sum() == 4
    itself = read(table(similarity=[93.5, 20, 93.5, 40, 93.5, 30]))
    assert itself.frame["distance"].min() == 0  # one score of all pairs of one id


def test_narrow_scores_of_two_scales_stay_apart():
    one = np.array([0.9, 0.2, 0.8, 0.4, 0.40000004, 0.3], dtype=np.float32)
    both = pd.concat([table(similarity=one, system="a"), table(similarity=one * 1000, system="b")])
    found = read(both)
    assert found.frame["distance"].nunique() == found.frame["score"].nunique()


@pytest.mark.parametrize(
    ("yes", "no"), [("match", "no match"), ("same person", "different people")]
)
def test_answers_of_two_words_are_understood(yes, no):
    found = read(images(label=[yes, no, yes, no, yes, no]))
    assert found.frame["same_identity"].tolist() == [True, False] * 3


def test_a_column_that_may_be_the_systems_decision_is_remarked():
    same = [True, False] * 3
    assert "what a system decided" in read(images(match=same)).remarks[-1]
    assert "what a system decided" not in read(images(same=same)).remarks[-1]
    errors = images(match=same, similarity=[0.9, 0.2, 0.8, 0.4, 0.35, 0.3])
    assert "what a system decided" not in read(errors).remarks[-1]


SPELLED = {
    "zeros at the start of a number": lambda one: f"00{one}",
    "spaces": lambda one: f" s_{one}",
    "capitals": str.upper,
    "zeros at the start of a number and capitals": lambda one: f"00{one.upper()}",
}


@pytest.mark.parametrize("what", SPELLED)
@pytest.mark.parametrize("some", [True, False])
def test_ids_of_a_table_that_differ_in_their_spelling_are_named(what, some):
    """Joined to nothing they would be left out, or no column would hold an id."""
    ids = [f"s {i}x" if what == "spaces" else f"{i}x" for i in range(1, 13)]
    there = [SPELLED[what](one.removeprefix("s ")) for one in ids]
    there[:6] = ids[:6] if some else there[:6]
    rows = pd.DataFrame(
        {
            "subject_a": np.repeat(ids, 12),
            "subject_b": np.tile(ids, 12),
            "score": np.random.default_rng(0).uniform(size=144) + 9 * np.eye(12).ravel(),
        }
    )
    people = pd.DataFrame({"subject": there, "race": list("xy") * 6})
    with pytest.raises(DataError, match=rf"subjects.*: id .* differ in {what} only"):
        read(rows, subjects=people, kind="similarity")
    found = read(rows, subjects=people.assign(subject=ids), kind="similarity")
    assert len(found.frame) == 144
