"""Ratings: reliability and own-group effects of a known truth, untidy tables, the command."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.ratings.analysis import _first_ratings, formula_of, means_of
from causalbias.cli.main import app
from causalbias.datasets.answers import answers_in

COLUMNS = {"item": "item", "rater": "rater", "rating": "rating"}
GROUPS = {"item_group": "item_group", "rater_group": "rater_group"}


@pytest.fixture(scope="module")
def ratings():
    return cb.simulation.simulate_ratings(24, 24, each=16, own_group=0.8, random_seed=3)


@pytest.fixture(scope="module")
def found(ratings):
    return cb.analyses.analyse_ratings(ratings, **COLUMNS, **GROUPS, draws=250)


def test_own_group_effect_and_reliability_are_those_of_the_simulation(found, ratings):
    effect = found.own_group.summary(0.99).iloc[0]
    assert effect["lower"] < 0.8 < effect["upper"]
    assert effect["lower"] > 0
    assert effect["n"] == len(ratings)
    assert found.consensus.summary()["n"].tolist() == [len(ratings)]
    # U = 0.64 + 0.04 / 2, error = 0.04 / 2 + 1.
    one = found.reliability.sel(kind="consistency", raters=1).summary(0.99).iloc[0]
    assert one["lower"] < 0.66 / 1.68 < one["upper"]
    means = found.means.set_index(["item_group", "rater_group"])["mean"]
    own = ratings["item_group"] == ratings["rater_group"]
    cells = ratings.groupby(["item_group", "rater_group"])["rating"].mean()
    assert means.sort_index().tolist() == pytest.approx(cells.tolist())
    assert own.mean() == pytest.approx(0.5, abs=0.1)


def test_the_own_group_effect_ignores_differences_between_groups(ratings, found):
    shift = 2.0 * (ratings["item_group"] == "male") - 1.0 * (ratings["rater_group"] == "male")
    moved = ratings.assign(rating=ratings["rating"] + shift)
    again = cb.analyses.analyse_ratings(moved, **COLUMNS, **GROUPS, draws=250)
    first, second = (one.own_group.summary().iloc[0] for one in (found, again))
    assert second["estimate"] == pytest.approx(first["estimate"], abs=0.1 * first["sd"] + 0.05)


def test_formulas_have_what_the_design_can_tell():
    simulate = cb.simulation.simulate_ratings
    crossed = formula_of(simulate(12, 12))
    assert crossed.endswith("(1|item:rater_group) + (1|rater) + (1|rater:item_group)")
    assert "rater:item_group" not in formula_of(simulate(12, 12, nested=True))
    assert "(1|item:rater)" in formula_of(simulate(12, 12, repeats=2))
    plain = simulate(12, 12)[["item", "rater", "rating"]]
    assert formula_of(plain) == "rating ~ 1 + (1|item) + (1|rater)"
    own_raters = plain.assign(rater=[f"r{at}" for at in range(len(plain))])
    assert formula_of(own_raters) == "rating ~ 1 + (1|item)"


def test_a_few_repeated_ratings_are_no_other_peoples():
    plain = cb.simulation.simulate_ratings(12, 12)[["item", "rater", "rating"]]
    again = plain[plain["rater"] == plain["rater"].iloc[0]]
    columns = {"item": "item", "rater": "rater"}
    answers = answers_in(pd.concat([plain, again, again]), columns, {"rating": "rating"})
    kept = _first_ratings(answers)
    assert len(kept.frame) == len(plain) == len(kept.rows)
    assert kept.excluded["count"].tolist() == [2 * len(again)]
    many = answers_in(pd.concat([plain, plain]), columns, {"rating": "rating"})
    assert _first_ratings(many) is many  # these have a term of their own


def test_untidy_tables_are_counted_or_refused(ratings):
    def analyse(frame, **more):
        return cb.analyses.analyse_ratings(frame, **COLUMNS, **{**GROUPS, **more}, draws=100)

    broken = {
        "none is in both": ratings.assign(rater_group=ratings["rater_group"].str.upper() + "S"),
        "is in several groups": ratings.assign(item_group=np.arange(len(ratings)) % 2),
        "look like one": ratings.assign(
            item_group=ratings["item_group"].where(
                ratings.index > 3, ratings["item_group"].str.title()
            )
        ),
        "there is only one rater": ratings.assign(rater="r1", rater_group="male"),
        "no item was rated by two": ratings.drop_duplicates("item"),
        "all ratings are 3": ratings.assign(rating=3),
        "is no number": ratings.assign(rating=ratings["rating"].astype(str) + "!"),
    }
    for said, frame in broken.items():
        with pytest.raises(cb.DataError, match=said):
            analyse(frame)
    with pytest.raises(cb.DataError, match="two uses"):
        analyse(ratings, item_group="item")
    gaps = ratings.assign(
        item=ratings["item"].astype("category"), rating=ratings["rating"].where(ratings.index > 4)
    )
    found = analyse(gaps, item_group="", rater_group="")
    assert found.answers.excluded[["reason", "count"]].values.tolist() == [["rating is missing", 5]]
    assert found.own_group is None
    assert int(found.components["n"].max()) == len(ratings) - 5


def test_one_command_from_a_table_to_a_report(ratings, tmp_path):
    table = ratings.rename(columns={"item": "face id", "rating": "att"})
    table["rater"] = table["rater"].str.replace("r", "0")  # ids with leading zeros
    table.to_csv(tmp_path / "table.csv", index=False)
    options = [
        "--item",
        "face id",
        "--rater",
        "rater",
        "--rating",
        "att",
        "--item-group",
        "item_group",
        "--rater-group",
        "rater_group",
        "--draws",
        "500",
    ]
    out = tmp_path / "report"
    done = CliRunner().invoke(
        app, ["ratings", str(tmp_path / "table.csv"), *options, "-o", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "own group are rated higher" in done.output
    page = (out / "report.html").read_text()
    assert "Raters needed" in page
    assert "face id" in page
    needed = pd.read_csv(out / "tables" / "needed.csv")
    one = pd.read_csv(out / "tables" / "reliability.csv").query("raters == 1")
    # Spearman-Brown: 9 (1 - r) / r raters for a reliability of 0.9.
    for kind in ("consistency", "agreement"):
        r = one.set_index("kind").loc[kind, "estimate"]
        k = needed.set_index("kind").loc[kind, "estimate"]
        assert k == pytest.approx(9 * (1 - r) / r, rel=1e-2)


# Means by trait of female and male faces, of the data's own documentation.
PUBLISHED = {
    "att": (2.7141, 2.6399),
    "dom": (3.5714, 3.6223),
    "health": (3.5399, 3.5935),
    "sexdim": (3.3240, 3.9923),
    "trust": (3.3716, 3.3648),
}


def test_the_3dsk_ratings_have_their_published_means(data_root):
    path = data_root / "3dsk" / "raw_3dsk_info.csv"
    if not path.exists():
        pytest.skip(f"no {path}")
    answers = answers_in(
        path,
        {"item": "face_id", "rater": "rater_id", "trait": "trait", "item_group": "face_gender"},
        {"rating": "rating"},
    )
    table = means_of(answers.frame, ["item_group"])
    assert len(answers.excluded) == 0
    assert set(table["raters"]) == {200}
    assert table["n"].sum() == 100_000
    for trait, part in table.groupby("trait"):
        assert part["mean"].round(4).tolist() == list(PUBLISHED[trait])


def test_a_table_in_which_every_row_is_twice_is_refused():
    rows = pd.DataFrame(
        {"face": list("aabbcc"), "who": list("xyxyxy"), "score": [1, 2, 4, 4, 3, 5]}
    )
    whole = {"item": "face", "rater": "who", "rating": "score"}
    with pytest.raises(cb.DataError, match="every row is there 2 times"):
        cb.analyses.analyse_ratings(pd.concat([rows, rows]), **whole)


@pytest.mark.parametrize("code", [-99, 99, 999, -999])
def test_a_code_for_a_missing_rating_is_no_rating(code):
    rows = pd.DataFrame(
        {"face": list("aabbcc"), "who": list("xyxyxy"), "score": [1, 2, 4, code, 3, 5]}
    )
    with pytest.raises(cb.DataError, match=rf"column 'score', row 4: {code} is far"):
        cb.analyses.analyse_ratings(rows, item="face", rater="who", rating="score")
