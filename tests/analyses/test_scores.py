"""Audits of tables of scores: rates as counted by hand, words, tables and the JSON."""

import json

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.analyses.scores.words import asked, not_said
from causalbias.errors import DataError
from causalbias.report.page import write_report

# The README of the data: threshold at 1% false matches, false matches of 3,000, FNMR, EER of
# African, Asian, Caucasian, Indian; counted with pandas and scikit-learn.
COUNTED = {
    "bupt": (
        0.4691406,
        [78, 17, 4, 21],
        [0.2277, 0.4613, 0.3797, 0.3250],
        [0.0878, 0.0703, 0.0548, 0.0827],
    ),
    "vgg": (
        0.5866427,
        [49, 59, 1, 11],
        [0.3343, 0.4813, 0.5460, 0.4310],
        [0.1073, 0.1490, 0.0640, 0.1003],
    ),
}


def export(seed=1, persons=40):
    """Two images of each person, all pairs; persons of group A are three times nearer at best."""
    draw = np.random.default_rng(seed)
    who = np.repeat(np.arange(persons), 2)
    group = np.where(who % 2 == 0, "A", "B")
    one, two = np.triu_indices(2 * persons, k=1)
    same = who[one] == who[two]
    mean = np.where(same, 0.8, np.where((group[one] == "A") & (group[two] == "A"), 0.3, 0.1))
    return pd.DataFrame(
        {
            "Probe Image": [f"{who[i]:03d}_{i}" for i in one],
            "Gallery Image": [f"{who[i]:03d}_{i}" for i in two],
            "Probe Subject": [f"{who[i]:03d}" for i in one],
            "Gallery Subject": [f"{who[i]:03d}" for i in two],
            "Probe Ethnicity": group[one],
            "Gallery Ethnicity": group[two],
            "Similarity": np.clip(draw.normal(mean, 0.12), 0, 1).round(4),
            "Mated": same.astype(int),
        }
    )


@pytest.fixture(scope="module")
def rows():
    return export()


@pytest.fixture(scope="module")
def result(rows):
    return cb.analyses.audit(cb.datasets.read_scores(rows), threshold=0.5, fmr=0.05)


@pytest.fixture(scope="module")
def content(result):
    return cb.analyses.audit_content(result)


def counted(rows, threshold):
    """Errors and pairs by kind and group, by comparing similarities."""
    inside = rows[rows["Probe Ethnicity"] == rows["Gallery Ethnicity"]]
    match = inside["Similarity"] >= threshold
    wrong = np.where(inside["Mated"] == 1, ~match, match)
    return (
        inside.assign(wrong=wrong)
        .groupby(["Mated", "Probe Ethnicity"])["wrong"]
        .agg(["sum", "size"])
    )


def test_rates_are_those_counted_from_the_similarities_themselves(rows, result, content):
    table = content.results["rates"].set_index(["operating_point", "rate_of", "group"])
    for point in result.points:
        threshold = point.thresholds["the system"]
        for (mated, group), (wrong, size) in counted(rows, threshold).iterrows():
            row = table.loc[(point.name, "FNMR" if mated else "FMR", group)]
            assert (row["errors"], row["n"], row["persons"]) == (wrong, size, 20)
            assert row["threshold"] == threshold


def test_a_target_rate_is_met_on_all_pairs_of_one_group_together(rows, result):
    false = counted(rows, result.points[1].thresholds["the system"]).loc[0].sum()
    assert false["sum"] / false["size"] == pytest.approx(0.05, abs=0.003)
    assert false["sum"] / false["size"] <= 0.05


def test_pairs_of_two_groups_are_apart(rows, result, content):
    table = content.results["between"]
    across = table[table["group"] != table["other"]]
    assert len(across) == 2  # a row an operating point
    expected = (rows["Probe Ethnicity"] != rows["Gallery Ethnicity"]).sum()
    assert across["n"].tolist() == [expected] * 2
    assert result.counts["across"].tolist() == [expected] * 2


def test_plain_words_say_which_group_how_much_how_sure_and_what_not(content):
    plain = content.plain
    first = plain.found[""][0]
    assert first.startswith("At a similarity of 0.5 or more, two different persons are taken for")
    assert "most often in the group A: in" in first
    assert "range" in first
    assert "times as many" in first or "at least" in first
    assert "The difference is clear" in first
    text = " ".join(plain.certainty)
    assert "20 persons, say as much as" in text
    assert "cannot be told from none" in text
    assert any("were not compared" in one for one in plain.not_said)
    words = " ".join([plain.asked, *plain.found[""], *plain.certainty, *plain.not_said])
    assert "seed" not in words
    assert "nan" not in words


def test_a_group_that_may_have_more_errors_is_not_said_to_have_fewer():
    """Four persons without a false match: their rate is not known, and may be the highest."""
    rows = export(seed=2, persons=40)
    seen = rows["Probe Subject"].isin([f"{one:03d}" for one in range(0, 40, 2)]) | (
        rows["Probe Subject"].isin(["001", "003", "005", "007"])
        & rows["Gallery Subject"].isin(["001", "003", "005", "007"])
    )
    found = cb.analyses.audit(cb.datasets.read_scores(rows[seen]), threshold=0.5)
    first = cb.analyses.audit_content(found).plain.found[""][0]
    assert "most often" not in first
    assert "too few such errors to state a rate of B" in first
    assert "which may be higher or lower" in first
    assert "clear" not in first


def test_no_difference_is_not_called_clear(rows):
    alike = rows.copy()
    labels = np.random.default_rng(3).permutation([f"{i:03d}" for i in range(40)])
    of = {one: "A" if at < 20 else "B" for at, one in enumerate(labels)}
    for side in ("Probe", "Gallery"):
        alike[f"{side} Ethnicity"] = alike[f"{side} Subject"].map(of)
    found = cb.analyses.audit(cb.datasets.read_scores(alike), threshold=0.5)
    first = cb.analyses.audit_content(found).plain.found[""][0]
    assert "The difference may be chance." in first


def test_a_table_turned_into_distances_has_the_same_rates(rows, content):
    turned = rows.assign(Distance=1 - rows["Similarity"]).drop(columns="Similarity")
    found = cb.analyses.audit(cb.datasets.read_scores(turned), threshold=0.5 + 1e-9)
    mine = cb.analyses.audit_content(found).results["rates"]
    theirs = content.results["rates"].query("operating_point == 'threshold 0.5'")
    columns = ["estimate", "lower", "upper", "errors", "n"]
    np.testing.assert_array_equal(mine[columns], theirs[columns])


def test_the_report_and_the_json_say_the_same(content, tmp_path):
    page = write_report(content, tmp_path).read_text(encoding="utf-8")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert found["format"] == "causalbias-rates"
    assert found["version"] == 1
    assert found["data"]["groups"] == {"A": {"ethnicity": "A"}, "B": {"ethnicity": "B"}}
    table = content.results["rates"]
    assert len(found["rates"]) == len(table)
    for row, (_, own) in zip(found["rates"], table.iterrows(), strict=True):
        assert row["errors"] == own["errors"]
        assert (row["estimate"] is None) == np.isnan(own["estimate"])
    taken = content.results["columns"]["what"]
    assert [row["what"] for row in found["data"]["columns"]] == taken.tolist()
    assert not (tmp_path / "study.nc").exists()
    for text in ("What was asked", "How sure it is", "taken for", "results.json"):
        assert text in page
    assert "manipulations" not in page
    assert "No model was fitted, so" not in page
    assert {one.name for one in (tmp_path / "figures").iterdir()} >= {"rates-1.pdf", "scores-1.pdf"}


def test_an_audit_needs_a_threshold_and_pairs_of_one_group(rows):
    scores = cb.datasets.read_scores(rows)
    with pytest.raises(DataError, match=r"or fmr=0\.001"):
        cb.analyses.audit(scores)
    with pytest.raises(DataError, match="are too few for a false match rate of 1e-06"):
        cb.analyses.audit(scores, fmr=1e-6)
    with pytest.raises(DataError, match="no system is called 'other'"):
        cb.analyses.audit(scores, threshold={"other": 0.5})


@pytest.mark.parametrize(
    ("threshold", "problem"),
    [
        (0.5, "all pairs match: the scores of the system are"),
        (120, "no pair matches: the scores of the system are"),
        (5000, "threshold 5000 of system 'the system' is far from all of its numbers,"),
    ],
)
def test_a_threshold_in_other_units_than_the_scores_is_refused(threshold, problem):
    rows = export(persons=8)
    scores = cb.datasets.read_scores(rows.assign(Similarity=1 + 99 * rows["Similarity"]))
    with pytest.raises(DataError, match=rf"{problem}( from)? 1 to \d\d"):
        cb.analyses.audit(scores, threshold=threshold)


def test_without_genuine_pairs_none_need_match():
    rows = export(persons=8)
    scores = cb.datasets.read_scores(rows[rows["Mated"] == 0], kind="similarity")
    found = cb.analyses.audit(scores, threshold=0.99).points[0].rates
    assert (found["errors"].sel(rate_of="FMR") == 0).all()


def test_systems_of_other_pairs_are_counted_by_themselves_and_a_failure_once():
    rows = export(persons=8)
    across = (rows["Probe Ethnicity"] != rows["Gallery Ethnicity"]).to_numpy()
    rows.loc[across.argmax(), "Similarity"] = np.nan  # of two groups: in the counts of both
    both = pd.concat([rows.assign(System="one"), rows[:60].assign(System="two")])
    result = cb.analyses.audit(cb.datasets.read_scores(both), threshold=0.5)
    genuine = int(rows["Mated"][:60].sum())
    assert f"(60 to 120 comparisons each, {genuine} to 8 of them of one person)" in asked(result)
    said = not_said(result)
    assert any("the systems did not compare the same pairs" in one for one in said)
    assert any(one.startswith("Comparisons without a score: 2 are left") for one in said)


def test_a_folder_of_pairs_of_photographs_is_read_without_naming_a_column(data_root):
    folder = data_root / "rfw-pairs"
    if not folder.exists():
        pytest.skip("needs rfw-pairs")
    found = cb.datasets.read_scores(folder)
    assert found.name == "rfw-pairs"
    assert (found.systems, found.by, found.kind) == (["bupt", "vgg"], ["race"], "distance")
    assert len(found.sources) == 4
    sizes = found.frame.groupby(["system", "race_a", "same_identity"]).size()
    assert sizes.tolist() == [3000] * 16
    persons = found.frame.groupby("race_a")["seed_a"].nunique()
    assert persons.index.tolist() == ["African", "Asian", "Caucasian", "Indian"]
    assert any("rfw-pairs" in text for text in found.remarks)
    one = cb.datasets.read_scores(folder / "race_Asian_6000.csv", score="vgg_cos_dist")
    assert one.systems == ["the system"]


def test_tables_of_two_layouts_are_not_read_as_one(tmp_path):
    ours = pd.DataFrame({"id_a": ["1", "2"], "id_b": ["1", "3"], "race": "x", "score": [0.9, 0.1]})
    theirs = pd.DataFrame(
        {
            "Class_ID_s1": ["A/1", "A/2"],
            "Class_ID_s2": ["A/1", "A/3"],
            "img_id_s1": 1,
            "img_id_s2": 2,
            "issame": [True, False],
            "bupt_cos_dist": [0.1, 0.9],
            "vgg_cos_dist": [0.2, 0.8],
        }
    )
    theirs.to_csv(tmp_path / "b.csv", index=False)
    assert cb.datasets.read_scores(tmp_path).systems == ["bupt", "vgg"]
    ours.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="have a layout that is known"):
        cb.datasets.read_scores(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no table is in this folder"):
        cb.datasets.read_scores(tmp_path / "none")


@pytest.mark.slow
def test_real_photographs_give_the_counts_of_their_readme(data_root):
    folder = data_root / "rfw-pairs"
    if not folder.exists():
        pytest.skip("needs rfw-pairs")
    result = cb.analyses.audit(cb.datasets.read_scores(folder), fmr=0.01)
    point = result.points[0]
    for system, (threshold, false, missed, equal) in COUNTED.items():
        assert point.thresholds[system] == pytest.approx(threshold, abs=5e-8)
        rates = point.rates.sel(system=system)
        assert rates["errors"].sel(rate_of="FMR").values.tolist() == false
        share = (rates["errors"] / rates["n"]).sel(rate_of="FNMR")
        np.testing.assert_allclose(share, missed, atol=5.1e-5)
        # scikit-learn's curve leaves points out, so that its ends are a pair or two away.
        np.testing.assert_allclose(result.equal_error["point"].sel(system=system), equal, atol=4e-4)
    content = cb.analyses.audit_content(result)
    said = content.plain.found["vgg"][0]
    assert "fewest, whichever it is: Asian at least 9.1" in said
    assert "at least 7.5" in said  # of the largest of all ratios, which allows for the choice
    assert "African at least 6.65 times" in content.plain.found["bupt"][0]
    accuracy = content.results["accuracy"].set_index(["system", "group"])["plug_in"]
    # Folds in the order of the rows, which are sorted by vgg's distance, would give 0.85 and 0.80.
    assert accuracy["vgg"].tolist() == pytest.approx([0.8928, 0.8520, 0.9353, 0.9042], abs=0.003)


def test_one_model_of_all_groups_is_a_table_of_its_own(tmp_path):
    rows = export(persons=30)
    sex = {f"{at:03d}": "f" if at % 4 < 2 else "m" for at in range(30)}
    for side in ("Probe", "Gallery"):
        rows[f"{side} Sex"] = rows[f"{side} Subject"].map(sex)
    result = cb.analyses.audit(cb.datasets.read_scores(rows), threshold=0.5, pool=True)
    content = cb.analyses.audit_content(result)
    table = content.results["pooled"]
    assert sorted(set(table["group"])) == sorted(result.groups)
    assert len(result.groups) == 4
    saved = json.loads((write_report(content, tmp_path).parent / "results.json").read_text())
    assert len(saved["pooled"]) == len(table)
    assert len(saved["pairwise"]) == 2 * 4 * 3
    assert any(name.name.startswith("ratios-1") for name in (tmp_path / "figures").iterdir())
