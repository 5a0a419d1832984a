"""Conditions on rows select by what cells say, whatever a column's dtype."""

import datetime

import numpy as np
import pandas as pd
import pytest

from causalbias.errors import DataError
from causalbias.models.formula.conditions import condition_of, meets

NUMBERS = [1.0, None, 3.0, 2.0]
# One column of numbers with a missing cell, as each type that holds it.
AS_NUMBERS = {
    "float64": pd.Series(NUMBERS, dtype="float64"),
    "Float64": pd.Series(NUMBERS, dtype="Float64"),
    "Int64": pd.Series(NUMBERS, dtype="Int64"),
    "arrow": pd.Series(NUMBERS, dtype="double[pyarrow]"),
    "object": pd.Series(NUMBERS, dtype=object),
}
TEXTS = ["a", None, "c", "b"]
AS_TEXTS = {
    "object": pd.Series(TEXTS, dtype=object),
    "str": pd.Series(TEXTS, dtype="str"),
    "string": pd.Series(TEXTS, dtype="string"),
    "arrow": pd.Series(TEXTS, dtype="string[pyarrow]"),
    "categorical": pd.Series(pd.Categorical(TEXTS, ["c", "a", "b", "unused"])),
    "ordered": pd.Series(pd.Categorical(TEXTS, ["a", "b", "c"], ordered=True)),
}
TRUTHS = [True, None, False, True]
AS_TRUTHS = {"boolean": pd.Series(TRUTHS, dtype="boolean"), "object": pd.Series(TRUTHS)}


def chosen(values, text):
    return np.flatnonzero(meets(pd.DataFrame({"x": values}), condition_of(text))).tolist()


@pytest.mark.parametrize("kind", AS_NUMBERS)
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("x < 3", [0, 3]),
        ("not x < 3", [2]),
        ("x != 1", [2, 3]),
        ("x not in [1, 2]", [2]),
        ("x == [1, 2]", [0, 3]),
        ("1 < x <= 3", [2, 3]),
        ("x > -1", [0, 2, 3]),
        ("x < 3 or x >= 3", [0, 2, 3]),
        ("not (x < 3 and x > 1)", [0, 2]),
        ("x == x", [0, 2, 3]),
    ],
)
def test_a_missing_number_meets_no_condition(kind, text, rows):
    assert chosen(AS_NUMBERS[kind], text) == rows


@pytest.mark.parametrize("kind", AS_TEXTS)
@pytest.mark.parametrize(
    ("text", "rows"),
    [("x == 'a'", [0]), ("x != 'a'", [2, 3]), ("x in ['a', 'z']", [0]), ("not x == 'a'", [2, 3])],
)
def test_a_missing_text_meets_no_condition(kind, text, rows):
    assert chosen(AS_TEXTS[kind], text) == rows


@pytest.mark.parametrize("kind", AS_TRUTHS)
@pytest.mark.parametrize(
    ("text", "rows"),
    [("x", [0, 3]), ("not x", [2]), ("x == True", [0, 3]), ("x != True", [2]), ("x == 0", [2])],
)
def test_a_missing_truth_value_meets_no_condition(kind, text, rows):
    assert chosen(AS_TRUTHS[kind], text) == rows


def test_what_is_known_of_a_row_decides_where_it_can():
    """Kleene's logic: true or unknown is true, false and unknown is false."""
    frame = pd.DataFrame({"a": [1.0, 1.0], "b": [None, None]}, dtype=float)
    assert meets(frame, condition_of("a == 1 or b == 2")).all()
    assert meets(frame, condition_of("not (a == 2 and b == 2)")).all()
    assert not meets(frame, condition_of("a == 1 and b == 2")).any()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["01", "1", "2"], "x == 1"),
        (["01", "1", "2"], "x != 1"),
        (["01", "1", "2"], "x < 2"),
        ([1, 2, 3], "x != '1'"),
        ([1, 2, 3], "x in ['1']"),
        ([True, False, True], "x == 'True'"),
        ([True, False, True], "x != 'True'"),
        (pd.Categorical(["a", "b", "a"]), "x < 'b'"),
        (pd.Categorical(["a", "b", "a"], ["b", "a"], ordered=True), "x < 'z'"),
        (pd.date_range("2024-01-01", periods=3), "x != 'spring'"),
        (pd.date_range("2024-01-01", periods=3), "x < 2025"),
        (pd.date_range("2024-01-01", periods=3), "x < '2024-01-02T00:00Z'"),
    ],
)
def test_values_of_two_types_are_not_compared(values, text):
    with pytest.raises(DataError, match="cannot compare") as caught:
        chosen(values, text)
    assert caught.value.hint


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_dates_are_compared_as_dates(zone):
    days = pd.Series([*pd.date_range("2024-01-09", periods=2, tz=zone), pd.NaT])
    assert chosen(days, "x == '2024-01-10'") == [1]
    assert chosen(days, "x != '2024-01-10'") == [0]
    assert chosen(days, "x < '2024-01-09T12:00'") == [0]
    plain = days.dropna().map(datetime.datetime.date)
    assert chosen(plain, "x == '2024-01-10'") == [1]


def test_levels_and_whole_numbers_are_compared_in_their_order():
    levels = pd.Categorical(["low", "high", "mid"], ["low", "mid", "high"], ordered=True)
    assert chosen(levels, "x < 'high'") == [0, 2]
    assert chosen(pd.Categorical([3, 1, 2], ordered=True), "x >= 2") == [0, 2]
    assert chosen(["10", "9", "2"], "x > '9'") == [0]


def test_two_columns_are_compared_by_their_texts():
    sides = {
        "a": pd.Categorical(["p", "q", None]),
        "b": pd.Categorical(["p", "p", "q"], ["q", "p"]),
        "n": [1, 2, 3],
    }
    frame = pd.DataFrame(sides)
    assert meets(frame, condition_of("a == b")).tolist() == [True, False, False]
    assert meets(frame, condition_of("a != b")).tolist() == [False, True, False]
    with pytest.raises(DataError, match="cannot compare"):
        meets(frame, condition_of("a == n"))


def test_a_name_that_is_no_identifier_is_in_backticks():
    frame = pd.DataFrame({"the level": [1, 2], "race": ["a`b", "c"]})
    found = condition_of("`the level` > 1 or race == 'a`b'")
    assert list(found.columns.values()) == ["the level", "race"]
    assert meets(frame, found).tolist() == [True, True]


def test_texts_of_numbers_are_compared_by_size_and_equal_as_they_are_written():
    rows = pd.DataFrame({"x": ["-2", "+2", "10.5", "1.0"], "y": ["-10", "-2", "9.5", "1"]})
    for text, expected in {
        "x < '0'": [0],
        "x > '2'": [2],
        "x >= '+2'": [1, 2],
        "x == '2'": [],
        "x == y": [],
        "x > y": [0, 1, 2],
    }.items():
        assert np.flatnonzero(meets(rows, condition_of(text))).tolist() == expected, text
