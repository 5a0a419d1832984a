"""People and systems on the same items: hand counts, known truth, untidy tables, the command."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.human_machine.analysis import _interval, _open
from causalbias.analyses.human_machine.tables import consensus_of, tables_in
from causalbias.cli.main import app
from causalbias.report.page import write_report

COLUMNS = {
    "annotator": "annotator",
    "item": "item",
    "answer": "answer",
    "system": "system",
    "score": "score",
    "option": "option",
    "truth": "truth",
    "task": "task",
}
GROUPS = ["gender", "skin_type"]
OWN = {one: one for one in GROUPS}
OPTIONS = {"groups": GROUPS, "score": "score", "option": "option", "threshold": 0.5}


def read(people, systems, items, annotators=None, *, own=None, threshold=0.5, **columns):
    named = COLUMNS | columns
    return tables_in(people, systems, items, annotators, named, GROUPS, own or {}, threshold)


@pytest.fixture(scope="module")
def tables():
    return cb.simulation.simulate_human_machine(
        40, 64, answers=24, systems=6, systems_gap={"gender": 0.3, "skin_type": 1.6}, random_seed=3
    )


@pytest.fixture(scope="module")
def pairs(tables):
    people, systems, items, _ = tables
    items = items[items["task"] == "verification"]
    return tuple(one[one["item"].isin(items["item"])] for one in (people, systems)), items


@pytest.fixture(scope="module")
def found(pairs):
    (people, systems), items = pairs
    return cb.analyses.analyse_human_machine(people, systems, items, **OPTIONS, draws=300)


def test_answers_are_right_as_counted_by_hand(tables):
    people, systems, items, _ = tables
    rows = read(people, systems, items).rows
    truth = dict(zip(items["item"], items["truth"], strict=True))
    own = rows[rows["kind"] == "person"]
    by_hand = people["answer"] == people["item"].map(truth)
    assert own["correct"].tolist() == by_hand.astype(int).tolist()
    for (system, item), scores in systems.groupby(["system", "item"]):
        if scores["option"].isna().all():
            said = "same" if scores["score"].item() >= 0.5 else "different"
        else:
            said = scores.set_index("option")["score"].idxmax()
        row = rows[(rows["judge"] == system) & (rows["item"] == item)]
        assert row["answer"].tolist() == [said]
        assert row["correct"].tolist() == [int(said == truth[item])]
    assert set(rows.loc[rows["task"] == "identification", "same"]) == {0}


def test_a_pair_at_the_threshold_matches_and_each_system_may_have_its_own(pairs):
    (people, systems), items = pairs
    at = systems.assign(score=np.where(systems["system"] == "system 1", 0.5, 70.0))
    limits = {f"system {one}": 70.0 for one in range(2, 7)} | {"system 1": 0.5}
    rows = read(people, at, items, threshold=limits).rows
    assert set(rows.loc[rows["kind"] == "system", "answer"]) == {"same"}
    with pytest.raises(cb.DataError, match="'system 1' has scores of pairs and no threshold"):
        read(people, at, items, threshold={"system 2": 1.0})


def test_answers_in_place_of_scores_and_words_of_any_kind_are_read_alike(tables):
    people, systems, items, _ = tables
    first = read(people, systems, items).rows
    machine = first[first["kind"] == "system"]
    answers = machine.rename(columns={"judge": "system"})[["system", "item", "answer"]]
    worded = {"same": "1", "different": "0"}
    pair = people["item"].str.startswith("v")
    said = people.assign(
        answer=people["answer"].where(~pair, people["answer"].map(worded)),
        item=people["item"].astype("category"),
    )
    known = items.assign(
        truth=items["truth"].where(items["task"] != "verification", items["truth"].map(worded)),
        task=items["task"].str.upper(),
    ).sample(frac=1, random_state=1)
    again = read(said, answers, known, score="", option="").rows
    columns = ["judge", "item", "answer", "correct", "same"]
    pd.testing.assert_frame_equal(again[columns], first[columns])


def test_the_consensus_is_the_most_frequent_answer_and_ties_are_none(tables):
    people, systems, items, _ = tables
    rows = read(people, systems, items).rows
    agreed = consensus_of(rows).set_index("item")
    truth = items.set_index("item")["truth"]
    for item, answers in people.groupby("item")["answer"]:
        counts = answers.value_counts()
        tie = (counts == counts.iloc[0]).sum() > 1
        one = agreed.loc[item]
        assert one["tie"] == tie
        assert one["answers"] == len(answers)
        assert one["share"] == pytest.approx(counts.iloc[0] / len(answers))
        if tie:
            assert one["answer"] is None
            assert np.isnan(one["correct"])
        else:
            assert one["answer"] == counts.index[0]
            assert one["correct"] == (counts.index[0] == truth[item])
    single = consensus_of(rows[rows["kind"] == "person"].drop_duplicates("item"))
    assert single["correct"].isna().all()  # one answer is no consensus


def test_what_is_left_out_is_counted(tables):
    people, systems, items, annotators = tables
    more = pd.DataFrame({"annotator": ["a001"], "item": ["of no table"], "answer": ["same"]})
    untidy = pd.concat([people, people.iloc[[0, 1]], more], ignore_index=True)
    untidy.loc[3, "answer"] = None
    choices = systems[systems["option"].notna()].index
    item = systems.loc[choices[0], "item"]
    of_first = systems["item"].eq(item) & systems["system"].eq("system 1")
    scores = systems.assign(score=systems["score"].mask(of_first, 0.5))
    found = read(untidy, scores, items, annotators.iloc[1:], own=OWN)
    said = found.excluded.set_index("reason")["count"]
    assert said["answer is missing"] == 1
    assert said["the item is not in the items' table"] == 1
    assert said["the annotator answered the item before"] == 2
    assert said["two options have the highest score"] == 1
    assert said["gender not known: no part of own-group effects"] == 1
    lost = systems[
        ~(
            systems["option"]
            .astype(str)
            .eq(items.set_index("item")["truth"].reindex(systems["item"]).to_numpy())
            & of_first
        )
    ]
    said = read(people, lost, items).excluded.set_index("reason")["count"]
    assert said["the right option, or any other, has no score"] == 1


def test_untidy_tables_are_refused(tables):
    people, systems, items, _ = tables
    pair, number = people["item"].str.startswith("v"), systems["option"].isna()
    broken = {
        "'perhaps' says neither": (people.assign(answer="perhaps"), systems, items),
        "item 'v001' is there twice": (people, systems, pd.concat([items, items.head(1)])),
        "a task is 'sorting'": (people, systems, items.assign(task="sorting")),
        "all items have the gender": (people, systems, items.assign(gender="male")),
        "is the truth of any": (
            people.assign(answer=people["answer"].where(pair, "image " + people["answer"])),
            systems,
            items,
        ),
        "score of no option": (people, systems.assign(option=None), items),
        "system, item, option .* there twice": (
            people,
            pd.concat([systems, systems[~number].head(1)]),
            items,
        ),
        "no identification item has scores": (
            people,
            systems.assign(option="option " + systems["option"]),
            items,
        ),
        "as an annotator is": (
            people,
            systems.assign(system="a001").drop_duplicates(["item", "option"]),
            items,
        ),
        "a system is called 'consensus'": (
            people,
            systems[systems["system"] == "system 1"].assign(system="consensus"),
            items,
        ),
    }
    for said, one in broken.items():
        with pytest.raises(cb.DataError, match=said):
            read(*one)
    with pytest.raises(cb.DataError, match="by its name the column holds distances"):
        read(people, systems.rename(columns={"score": "distance"}), items, score="distance")
    with pytest.raises(cb.DataError, match="a group is called 'kind'"):
        cb.analyses.analyse_human_machine(people, systems, items, groups=["kind"])
    with pytest.raises(cb.DataError, match="own= without annotators="):
        cb.analyses.analyse_human_machine(
            people, systems, items, groups=GROUPS, own={"gender": "gender"}
        )
    with pytest.raises(cb.DataError, match=r"same, gender, skin_type are not to be told apart"):
        cb.analyses.analyse_human_machine(
            people, systems, items.assign(skin_type=items["gender"]), **OPTIONS, task="task"
        )
    alike = items[(items["gender"] == "male") | (items["task"] == "identification")]
    with pytest.raises(cb.DataError, match=r"verification: all items .* of one group"):
        cb.analyses.analyse_human_machine(
            people, systems, alike, **OPTIONS | {"groups": ["gender"]}, task="task"
        )
    one = people[pair].merge(items[["item", "truth"]], on="item")
    with pytest.raises(cb.DataError, match="all answers of people are right"):
        cb.analyses.analyse_human_machine(
            one.assign(answer=one["truth"])[["annotator", "item", "answer"]],
            systems,
            items,
            **OPTIONS,
            task="task",
        )


@pytest.mark.parametrize(
    ("level", "reference", "kind"),
    [
        ((9, 1), (8, 2), "two-sided"),
        ((9, 0), (8, 2), "at least"),  # no error on the level: its odds may be anything above
        ((9, 1), (8, 0), "at most"),
        ((9, 1), (0, 3), "at least"),
        ((9, 0), (8, 0), "none"),
    ],
)
def test_odds_ratios_of_groups_without_errors_have_one_limit(level, reference, kind):
    assert _interval(*_open(level, reference)) == kind


def test_odds_ratios_are_those_of_the_simulation(tables, found):
    truth = tables[0].attrs["truth"]
    table = found.odds.summary(0.99).set_index(["contrast", "of"])
    for contrast, group in (
        ("gender: male / female", "gender"),
        ("skin_type: light / dark", "skin_type"),
    ):
        people, systems = truth["people"][group], truth["systems"][group]
        values = {"people": people, "systems": systems, "systems / people": systems / people}
        for of, value in values.items():
            row = table.loc[(contrast, of)]
            assert row["lower"] < value < row["upper"]
    # Large enough a difference that these tables can tell it.
    assert table.loc[("skin_type: light / dark", "systems")]["lower"] > 1


def test_accuracies_of_systems_are_shares_of_their_items(found):
    counts = found.counts
    accuracy = found.accuracy.summary().set_index(["subjects", "judge"])
    for judge in ("system 1", "consensus"):
        own = counts[(counts["judge"] == judge) & (counts["skin_type"] == "dark")]
        right, n = own["right"].sum(), own["n"].sum()
        row = accuracy.loc[("skin_type: dark", judge)]
        assert (row["right"], row["n"]) == (right, n)
        low, high = beta.ppf([0.025, 0.975], right + 0.5, n - right + 0.5)
        # Quantiles of 1,200 draws have standard errors of 0.01 or less here.
        assert (row["lower"], row["upper"]) == (
            pytest.approx(low, abs=0.05),
            pytest.approx(high, abs=0.05),
        )
    above = found.accuracy["above_chance"] * 0.5 + 0.5
    np.testing.assert_allclose(above, found.accuracy["accuracy"])
    people = counts[counts["judge"] == "people"]
    row = accuracy.loc[("all", "people")]
    assert row["lower"] < people["right"].sum() / people["n"].sum() < row["upper"]


def test_the_report_says_what_was_found_and_what_it_is_not_of(found, tmp_path):
    content = cb.analyses.human_machine_content(found)
    text = write_report(content, tmp_path).read_text()
    ties = int(found.consensus["tie"].sum())
    assert f"{ties} {'item is a tie' if ties == 1 else 'items are ties'}" in text
    assert "So few say little of other systems" in text
    assert "skin_type: light / dark" in text
    assert (tmp_path / "tables" / "easiness.csv").exists()
    drawn = ["odds_verification", "accuracy_verification", "diagram"]
    assert [one.name for one in content.pictures] == drawn
    said = content.pictures[-1].caption
    assert "“subject's group” on “right answer” no measured columns are enough" in said
    assert "“person or system” on “right answer” nothing needs to be adjusted for" in said


@pytest.mark.slow
def test_own_group_effects_are_those_of_the_simulation():
    people, systems, items, annotators = cb.simulation.simulate_human_machine(
        40, 32, answers=24, systems=2, own_group={"gender": 0.8}, random_seed=2
    )
    items = items[items["task"] == "verification"]
    found = cb.analyses.analyse_human_machine(
        people,
        systems,
        items,
        **OPTIONS,
        annotators=annotators.rename(columns={"gender": "their gender"}),
        own={"gender": "their gender"},
        draws=300,
    )
    row = found.own_group.summary(0.99).iloc[0]
    assert row["group"] == "gender"
    assert row["lower"] < np.exp(0.8) < row["upper"]
    assert row["lower"] > 1
    with pytest.raises(cb.DataError, match="none is in both"):
        cb.analyses.analyse_human_machine(
            people,
            systems,
            items,
            **OPTIONS,
            annotators=annotators.replace({"gender": {"male": "m", "female": "f"}}),
            own={"gender": "gender"},
            draws=100,
        )


def test_one_command_reads_the_tables_and_writes_the_report(tmp_path):
    people, systems, items, _ = cb.simulation.simulate_human_machine(12, 16, answers=8, systems=2)
    items = items[items["task"] == "verification"].rename(columns={"truth": "right"})
    for name, table in {"people": people, "systems": systems, "items": items}.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    files = [str(tmp_path / f"{one}.csv") for one in ("people", "systems", "items")]
    options = ["--group", "gender", "--score", "score", "--option", "option", "--truth", "right"]
    more = ["--threshold", "0.5", "--draws", "100", "-o", str(tmp_path / "report")]
    result = CliRunner().invoke(app, ["human-machine", *files, *options, *more])
    assert result.exit_code in (0, 2), result.output  # 2: so few draws may fail their diagnostics
    assert "odds of a right answer on male against female" in result.output
    assert (tmp_path / "report" / "report.html").exists()
