"""Similarities with prompts: known truth, outcomes by hand, untidy tables, report and command."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

import causalbias as cb
from causalbias.analyses.social.analysis import formula_of
from causalbias.analyses.social.table import absolute_changes, outcomes_of, valence_rows
from causalbias.cli.main import app
from causalbias.report.page import write_report

COLUMNS = {"image": "image", "prompt": "prompt", "similarity": "similarity", "seed": "seed"}


def analyse(table, **more):
    options = {"groups": ["race", "gender"], "draws": 100, **COLUMNS} | more
    return cb.analyses.analyse_social_perception(table, **options)


@pytest.fixture(scope="module")
def table():
    return cb.simulation.simulate_social_perception(seeds=8, prompts=3)


@pytest.fixture(scope="module")
def found(table):
    return analyse(table, doses="smile", valence="valence", draws=300)


@pytest.mark.slow
def test_effects_are_those_of_the_simulation(table, found):
    truth = table.attrs["truth"]
    contrast, neutral = "positive - negative", "neutral"
    effects = found.effects.summary(0.99).set_index(["prompts", "contrast"])
    between = found.interactions.summary(0.99).set_index(["prompts", "contrast"])
    doses = found.coefficients.summary(0.99).set_index(["prompts", "term"])
    marked = found.markedness.summary(0.99).set_index("contrast")
    both = "race: black - asian, by gender: male - female"
    black = truth["black"] + truth["black_women"] / 2
    for row, value in (
        (effects.loc[(contrast, "race: black - asian")], black),
        (effects.loc[(contrast, "race: white - asian")], 0),
        (effects.loc[(contrast, "gender: male - female")], -truth["black_women"] / 3),
        (effects.loc[(neutral, "race: black - asian")], truth["marked"]),
        (between.loc[(contrast, both)], -truth["black_women"]),
        (doses.loc[(contrast, "linear")], truth["smile"]),
        (doses.loc[(contrast, "quadratic")], truth["bend"]),
        (doses.loc[(neutral, "linear")], 0),
        (marked.loc["race: black"], truth["marked"]),
        (marked.loc["black, female"], truth["marked"] * 0.8),
    ):
        assert row["lower"] < value < row["upper"]
        assert row["upper"] - row["lower"] < 0.05
    # Markedness of all levels adds up to nothing.
    levels = [f"race: {one}" for one in ("asian", "black", "white")]
    sums = found.markedness["effect"].sel(contrast=levels).sum("contrast")
    np.testing.assert_allclose(sums, 0, atol=1e-12)
    np.testing.assert_allclose(found.shares["share"].sum("source"), 1)
    assert set(found.cells.summary()["n"]) == {8 * 3}  # seeds, smiles
    assert (found.coefficients.summary()["n"] > 0).all()
    # The curve is that of the coefficients: its ends differ by twice the slope.
    curve = found.curves["smile"]["prediction"].sel(prompts=contrast)
    slope = found.coefficients["coefficient"].sel(prompts=contrast, term="linear", dose="smile")
    ends = curve.sel(smile=1) - curve.sel(smile=-1)
    np.testing.assert_allclose(ends.mean(), 2 * slope.mean(), rtol=1e-6)


@pytest.mark.slow
def test_the_report_shows_every_table(found, tmp_path):
    content = cb.analyses.social_perception_content(found)
    text = write_report(content, tmp_path).read_text()
    assert "−0.00" in " ".join(content.findings)
    shown = ("effects", "interactions", "markedness", "coefficients", "changes", "shares")
    for name in (*shown, "diagram"):
        assert (tmp_path / "tables" / f"{name}.csv").exists()
        assert content.titles[name].split(":")[0] in text


def test_rows_of_a_contrast_have_its_mean_and_its_variance_over_prompts():
    random = np.random.default_rng(1)
    three, two = [f"p{at}" for at in range(3)], ["n0", "n1"]
    rows = pd.MultiIndex.from_product(
        [[f"i{at}" for at in range(4000)], three + two], names=["image", "prompt"]
    ).to_frame(index=False)
    rows["similarity"] = random.normal(size=len(rows))
    positive = rows["prompt"].isin(three)
    made = valence_rows(rows, positive)
    wide = rows.pivot(index="image", columns="prompt", values="similarity")
    wanted = wide[three].mean(axis=1) - wide[two].mean(axis=1)
    np.testing.assert_allclose(made.groupby("image")["similarity"].mean(), wanted)
    # What a model takes as the variance of a mean of five rows, from their spread in an image.
    taken = made.groupby("image")["similarity"].var().mean() / 5
    assert taken == pytest.approx(1 / 3 + 1 / 2, rel=0.05)
    pair = rows[rows["prompt"].isin(["p0", "n0"])]
    one = valence_rows(pair, pair["prompt"] == "p0")
    one = one.set_index("image")["similarity"]
    np.testing.assert_allclose(one.loc[wide.index], wide["p0"] - wide["n0"])


def test_absolute_changes_are_those_by_hand():
    rows = pd.DataFrame(
        [
            ("s", "p", "a", 0, 0.1),
            ("s", "p", "a", 1, 0.4),
            ("s", "p", "b", 0, 0.2),
            ("t", "p", "a", 0, 0.5),
            ("t", "p", "b", 1, 0.9),  # differs in both
            ("t", "q", "b", 0, 0.0),  # of another prompt
        ],
        columns=["seed", "prompt", "race", "smile", "similarity"],
    )
    made = absolute_changes(rows, ["race", "smile"])
    np.testing.assert_allclose(made["race"], [[0.1, 0], [1, 0]])
    np.testing.assert_allclose(made["smile"], [[0.3, 0], [1, 0]])


def test_changes_of_few_seeds_have_the_interval_of_their_number(found, table):
    """Where all seeds have as many pairs of images it is a t interval of the seeds' means."""
    total, number = absolute_changes(table, ["race", "gender", "smile"])["race"]
    assert np.ptp(number) == 0
    means = total / number
    half = stats.t.ppf(0.95, 7) * stats.sem(means) / means.mean()
    row = found.changes.summary(prob=0.9).set_index("attribute").loc["race"]
    ends = means.mean() * np.exp([-half, half])
    np.testing.assert_allclose(row[["lower", "upper"]].astype(float), ends, rtol=0.03)


def test_models_are_those_that_the_rows_can_tell(table):
    one = table[(table["prompt"] == "positive 1") & (table["smile"] == 0)]
    assert formula_of(one, ["race"], ["smile"]) == ("similarity ~ race + (1|seed) + (1|seed:race)")
    some = one[(one["race"] != "black") | (one["gender"] != "male")]
    assert "race + gender" in formula_of(some, ["race", "gender"], [])


def test_untidy_tables_are_counted_or_refused(table):
    few = table[table["seed"] < "s004"]
    first = few.index[0]
    for said, frame, more in (
        ("is there twice", pd.concat([few, few[:1]]), {}),
        ("several values of race", few.assign(race=few["race"].where(few.index != first, "x")), {}),
        ("a valence is 'good'", few.replace({"valence": {"positive": "good"}}), {}),
        ("several values of valence", few.assign(prompt="same", image=few.index.astype(str)), {}),
        ("all images have the gender", few[few["gender"] == "male"], {}),
        ("is no number", few.assign(similarity=few["similarity"].astype(str) + "x"), {}),
        ("there are 2 seeds", few[few["seed"] < "s002"], {}),
        ("no groups", few, {"groups": []}),
        ("is called 'my race'", few.rename(columns={"race": "my race"}), {"groups": "my race"}),
        ("no column 'rase'", few, {"groups": "rase"}),
    ):
        with pytest.raises(cb.DataError, match=said):
            analyse(frame, **{"valence": "valence", "groups": ["race", "gender"]} | more)


def test_images_without_each_prompt_are_left_out_of_the_contrast_and_counted(table):
    gone = table.drop(table.index[[0]])
    answers = cb.datasets.answers.answers_in(
        gone,
        {one: one for one in ("image", "prompt", "seed", "valence")},
        {"similarity": "similarity"},
    )
    parts, answers = outcomes_of(answers)
    assert list(parts) == ["positive - negative", "neutral"]
    assert parts["positive - negative"]["image"].nunique() == 143
    assert answers.excluded["count"].tolist() == [1]
    by_topic = outcomes_of(
        cb.datasets.answers.answers_in(
            table.assign(topic=np.where(table["prompt"].str.endswith("1"), "warmth", "power")),
            {"image": "image", "prompt": "prompt", "valence": "valence", "dimension": "topic"},
            {"similarity": "similarity"},
        )
    )[0]
    assert set(by_topic) == {"warmth: positive - negative", "power: positive - negative", "neutral"}
    assert len(by_topic["warmth: positive - negative"]) == 144  # one row an image


@pytest.mark.slow
def test_the_command_makes_a_report_of_a_file(table, tmp_path):
    path = tmp_path / "table.csv"
    neutral = table[(table["valence"] == "neutral") & (table["smile"] == 0)]
    neutral.assign(seed=neutral["seed"].str[1:]).to_csv(path, index=False)
    options = [f"--{name}={name}" for name in ("image", "prompt", "similarity", "seed", "valence")]
    command = ["social-perception", str(path), *options, "--group", "race", "--draws", "300"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code in (0, 2), done.output
    assert (tmp_path / "out" / "report.html").exists()
    assert "neutral" in done.output
