"""Published values: each is the same as ours or explained, and the page shows what was computed."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from studies import build, recompute

ROOT = Path(__file__).parents[2]
NUMBERS = build.numbers()
SETS = [name for name in NUMBERS["data"].unique() if name != build.IN_CODE]
PAGE = (ROOT / "docs" / "_published.md").read_text()


def of(name):
    return NUMBERS[NUMBERS["data"] == name]


def assert_same_or_explained(table):
    assert not (table["verdict"] == build.NOT_HERE).any()
    explained = (table["note"] != "").map({True: build.DIFFERS, False: build.SAME})
    wrong = table[table["verdict"] != explained]
    assert wrong[["quantity", "published", "ours", "verdict"]].to_dict("records") == []
    interval = table.dropna(subset=["lower"])
    assert (interval["lower"] < interval["ours"]).all()
    assert (interval["ours"] < interval["upper"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_each_value_is_the_same_or_explained(name, data_root):
    if not (data_root / name).is_dir():
        pytest.skip(f"{data_root} lacks {name}; see CAUSALBIAS_DATA")
    assert_same_or_explained(build.compare(of(name), data_root))


def test_the_example_in_the_code_needs_no_data(tmp_path):
    assert_same_or_explained(build.compare(of(build.IN_CODE), tmp_path))


def test_without_data_rows_say_so(tmp_path):
    table = build.compare(NUMBERS, tmp_path)
    assert set(table.loc[table["data"].isin(SETS), "verdict"]) == {build.NOT_HERE}
    text = build.markdown(table, build.sources())
    assert text.count(f"| {build.NOT_HERE} |") == len(NUMBERS) - len(of(build.IN_CODE))
    assert "data of" in build.in_words(table)


def test_a_value_that_differs_is_never_called_the_same():
    published = pd.DataFrame(
        {"published": ["0.28", "0.29", "0.3"], "quantity": "q", "data": build.IN_CODE}
    )
    table = build.compare(
        published.assign(function="intraclass_correlation", arguments="ICC(A,1)"), ROOT
    )
    assert table["verdict"].tolist() == [build.DIFFERS, build.SAME, build.SAME]
    assert float(build.rounding("0.30")) == 0.005
    assert float(build.rounding("34")) == 0.5
    assert float(build.rounding("1.3e6")) == 50_000


def test_every_row_has_a_source_a_function_and_is_there_once():
    texts = build.sources()
    assert set(NUMBERS["source"]) == set(texts)
    assert set(NUMBERS["function"]) == set(recompute.FUNCTIONS)
    assert not NUMBERS.duplicated("quantity").any()
    assert set(NUMBERS["data"]) == set(build.TITLES)
    assert not NUMBERS["published"].map(lambda one: np.isnan(float(one))).any()


def test_the_page_has_all_values_and_what_explains_differences():
    rows = re.findall(r"^\| (.+?) \| ([\d.,]+) \| .* \| (same|differs) \|$", PAGE, re.MULTILINE)
    explained = (NUMBERS["note"] != "").map({True: build.DIFFERS, False: build.SAME})
    expected = zip(NUMBERS["quantity"], NUMBERS["published"].astype(float), explained, strict=True)
    assert [(name, float(value.replace(",", "")), said) for name, value, said in rows] == list(
        expected
    )
    assert all(text in PAGE for text in [*build.sources().values(), *NUMBERS["note"]])


@pytest.mark.slow
def test_the_largest_difference_of_means_without_repeats_is_that_of_the_page(omi):
    human = cb.to_frame(cb.load("omi-ratings", omi), "human")
    cell = ["seed", "question"]
    every = human.groupby(cell)["score"].mean()
    first = human[human["rating_type"] == recompute.FIRST].groupby(cell)["score"].mean()
    largest = (every - first).abs().max()
    said = re.search(r"largest difference of all 34,136 means is ([\d.]+) points", page_text())
    assert said
    assert largest == pytest.approx(float(said[1]), abs=0.05)


@pytest.mark.slow
def test_equal_error_rates_are_those_of_all_points_of_the_curve(data_root):
    """What explains the differences from scikit-learn is what the table says."""
    if not (data_root / "rfw-pairs").is_dir():
        pytest.skip("needs rfw-pairs")
    metrics = pytest.importorskip("sklearn.metrics")
    for race in ("African", "Asian", "Caucasian", "Indian"):
        pairs = pd.read_csv(data_root / "rfw-pairs" / f"race_{race}_6000.csv")
        for system in ("bupt", "vgg"):
            false, true, _ = metrics.roc_curve(
                pairs["issame"], -pairs[f"{system}_cos_dist"], drop_intermediate=False
            )
            nearest = np.abs(1 - true - false).argmin()
            ours = recompute.equal_error_rate(data_root / "rfw-pairs", system, race)
            assert ours.value == pytest.approx((1 - true + false)[nearest] / 2, abs=1e-4)


def page_text():
    return " ".join((ROOT / "docs" / "published.md").read_text().split())
