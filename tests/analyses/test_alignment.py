"""Metrics against judgements: published numbers, known truth, untidy tables, the command."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import causalbias as cb
from causalbias.cli.main import app

PAIR = {"face_a": "face_a", "face_b": "face_b", "judgement": "judgement"}
GROUPS = {"group_a": "group_a", "group_b": "group_b"}


def analyse(frame, **more):
    return cb.analyses.analyse_alignment(frame, **{**PAIR, "metrics": "metric"} | more)


@pytest.fixture(scope="module")
def pairs():
    return cb.simulation.simulate_similarity(40, correlation=0.7, reliability=0.6, apart=1.5)


@pytest.fixture(scope="module")
def found(pairs):
    return analyse(pairs, errors={"judgement": "error"}, **GROUPS)


def test_correlations_and_accuracy_are_those_of_the_simulation(pairs, found):
    truth = pairs.attrs["truth"]
    for name in ("correlation", "corrected", "accuracy"):
        table = found.found.summary(0.99, of=name).set_index("group")
        for group in ("female", "male"):
            assert table.loc[group, "lower"] < truth[name] < table.loc[group, "upper"]
    # A group's pairs are less alike across: pooled, the correlation is another.
    table = found.found.summary(of="corrected").set_index("group")["estimate"]
    assert table["all pairs"] > table["female"]


def test_the_order_of_faces_rows_and_names_is_no_matter(pairs, found):
    swapped = pairs.sample(frac=1, random_state=1)
    half = np.arange(len(swapped)) % 2 == 0
    for one in ("face", "group"):
        a, b = swapped[f"{one}_a"], swapped[f"{one}_b"]
        swapped[f"{one}_a"], swapped[f"{one}_b"] = a.where(half, b), b.where(half, a)
    swapped["face_a"] = swapped["face_a"].astype("category")
    again = analyse(
        swapped.assign(metric=-swapped["metric"]),
        errors={"judgement": "error"},
        distances=["metric"],
        **GROUPS,
    )
    one, two = (each.found.summary()[["estimate", "lower", "upper"]] for each in (found, again))
    np.testing.assert_allclose(one, two, atol=0.004)


def test_noise_of_named_raters_is_that_of_the_standard_errors(pairs):
    random = np.random.default_rng(3)
    rows = pairs.loc[pairs.index.repeat(4)].reset_index(drop=True)
    rows["rater"] = [f"r{at % 4}" for at in range(len(rows))]
    true = pairs["judgement"].to_numpy()
    lenient = np.array([0, 1, -1, 3.0])[np.arange(len(rows)) % 4]
    rows["judgement"] = np.repeat(true, 4) + lenient + random.normal(0, 0.8, len(rows))
    by_rater = analyse(rows, rater="rater").found.isel(group=0, metric=0)
    mean = pairs.assign(
        judgement=rows.groupby(["face_a", "face_b"], sort=False)["judgement"].mean().to_numpy(),
        error=0.4,
    )
    given = analyse(mean, errors={"judgement": "error"}).found.isel(group=0, metric=0)
    assert float(by_rater["reliability"]) == pytest.approx(float(given["reliability"]), abs=0.01)
    assert float(by_rater["corrected"].mean()) == pytest.approx(
        float(given["corrected"].mean()), abs=0.01
    )


def test_untidy_tables_are_counted_or_refused(pairs):
    twice = pd.concat([pairs, pairs[:1].rename(columns={"face_a": "face_b", "face_b": "face_a"})])
    broken = {
        "is there twice": twice,
        "a face is compared with itself": pairs.assign(
            face_b=pairs["face_b"].where(pairs.index > 2, "f001"),
            face_a=pairs["face_a"].where(pairs.index > 2, "f001"),
        ),
        "give 10 or more": pairs[:5],
        "is no number": pairs.assign(metric=pairs["metric"].astype(str) + "x"),
    }
    for said, frame in broken.items():
        with pytest.raises(cb.DataError, match=said):
            analyse(frame)
    with pytest.raises(cb.DataError, match="no judgement and no metric"):
        analyse(pairs, errors={"metrc": "error"})
    with pytest.raises(cb.DataError, match="twice"):
        analyse(pairs.assign(rater="one").pipe(lambda f: pd.concat([f, f])), rater="rater")
    gaps = pairs.assign(metric=pairs["metric"].where(pairs.index > 3))
    found = analyse(gaps)
    assert found.answers.excluded["count"].tolist() == [4]
    assert int(found.found["n"][0, 0]) == len(pairs) - 4
    assert found.found["corrected"].isnull().all()  # as no noise is known
    for flat in ("metric", "judgement"):
        with pytest.raises(cb.DataError, match=rf"column '{flat}'.*is 1 in all rows"):
            analyse(pairs.assign(**{flat: 1.0}))
    with pytest.raises(cb.DataError, match="noise of judgements is given twice"):
        analyse(pairs.assign(rater="r"), rater="rater", errors={"judgement": "error"})
    gone = pairs["metric"].where(pairs.index > 0)
    negative = pairs.assign(metric=gone, error=pairs["error"].where(pairs.index != 2, -1))
    with pytest.raises(cb.DataError, match=r"column 'error', row 3: a standard error is below"):
        analyse(negative, errors={"judgement": "error"})
    with pytest.raises(cb.DataError, match="row 2: face 'f001' is in several groups"):
        analyse(pairs.assign(group_a=pairs["group_a"].where(pairs.index != 1, "other")), **GROUPS)
    with pytest.raises(cb.DataError, match="name the three columns"):
        cb.analyses.odd_one_out(
            pairs, pairs, faces=["a", "b"], odd="c", metrics="metric", face_a="a", face_b="b"
        )


def test_who_judged_what_is_no_matter(pairs):
    """Raters of alike pairs and of others, and raters of one pair each, as plain means."""
    random = np.random.default_rng(5)
    rows = pairs.loc[pairs.index.repeat(4)].reset_index(drop=True)
    rows["judgement"] += random.normal(0, 0.8, len(rows))
    mean = rows.groupby(["face_a", "face_b"], sort=False)["judgement"].transform("mean")
    plain = mean.rank().corr(rows["metric"].rank())
    alike = np.where(pairs["judgement"] > 0, "h", "l").repeat(4)
    number = pd.Series(np.arange(len(rows)) % 4).astype(str)
    for rater in (alike + number, [f"r{at}" for at in range(len(rows))]):
        found = analyse(rows.assign(rater=rater), rater="rater").found.isel(group=0, metric=0)
        assert float(found["correlation"].median()) == pytest.approx(plain, abs=0.005)
        truth = 1 - 0.16 / mean[::4].var()
        assert float(found["reliability"]) == pytest.approx(truth, abs=0.01)


def test_a_metric_without_error_has_an_interval(pairs):
    table = analyse(pairs.assign(metric=pairs["judgement"])).found
    for name in ("correlation", "accuracy"):
        row = table.summary(of=name).iloc[0]
        assert 0.95 < row["lower"] < row["estimate"] < row["upper"] < 1
    triplets = cb.simulation.simulate_triplets(pairs.assign(error=0.0), 60)
    triplets.loc[2, "odd"] = None
    found = cb.analyses.odd_one_out(
        triplets,
        pairs.assign(metric=pairs["judgement"]),
        faces=["first", "second", "third"],
        odd="odd",
        face_a="face_a",
        face_b="face_b",
        metrics="metric",
    )
    row = found.summary().iloc[0]
    assert found.attrs["left_out"] == 1
    assert 0.93 < row["lower"] < 0.97 < row["upper"] < 1  # Clopper and Pearson: from 0.939


def test_reports_say_that_noise_is_as_large_as_the_spread(pairs):
    noisy = analyse(pairs.assign(error=9.0), errors={"judgement": "error"})
    content = cb.analyses.alignment_content(noisy)
    assert any(
        "noise of judgements is as large as their spread" in one for one in content.plain.certainty
    )
    assert "(no ceiling)" in content.findings[0]
    arrows = content.results["diagram"][["cause", "effect_on"]].to_numpy().tolist()
    assert ["group", "faces"] not in arrows  # all pairs are of one
    assert ["metric", "judgement"] not in arrows
    group = pairs["group_a"] == pairs["group_b"]
    flat = pairs.assign(metric=pairs["metric"].where(~group | (pairs["group_a"] == "male"), 0.5))
    content = cb.analyses.alignment_content(analyse(flat, **GROUPS))  # constant within a group
    assert any("no correlation: metric, female" in one for one in content.limits)


def test_odd_ones_out_are_found_as_often_as_by_hand(pairs):
    triplets = cb.simulation.simulate_triplets(pairs)
    faces = triplets[["first", "second", "third"]]
    same = ["".join(sorted(one)) for one in faces.to_numpy()]
    triplets = triplets[~pd.Series(same).duplicated()].reset_index(drop=True)
    options = {
        "faces": ["first", "second", "third"],
        "odd": "odd",
        "face_a": "face_a",
        "face_b": "face_b",
        "metrics": "metric",
    }
    found = cb.analyses.odd_one_out(triplets, pairs, **options)
    metric = {frozenset((r.face_a, r.face_b)): r.metric for r in pairs.itertuples()}
    right = 0
    for row in triplets.itertuples():
        faces = {row.first, row.second, row.third}
        best = max(faces, key=lambda face: metric[frozenset(faces - {face})])
        right += best == row.odd
    assert found.summary()["estimate"].item() == pytest.approx(right / len(triplets), abs=0.002)
    moved = triplets.assign(odd=triplets["first"].where(triplets.index > 0, "nobody"))
    with pytest.raises(cb.DataError, match="nobody"):
        cb.analyses.odd_one_out(moved, pairs, **options)
    with pytest.raises(cb.DataError, match="no pair of"):
        cb.analyses.odd_one_out(triplets, pairs[40:], **options)
    again = cb.analyses.odd_one_out(pd.concat([triplets, triplets]), pairs, **options)
    assert float(again["people"]) == 1.0  # each answer is there twice
    width = [one.summary()["sd"].item() for one in (found, again)]
    assert width[1] > 0.9 * width[0]  # the same answers again are no new faces


def test_one_command_and_the_published_correlation_of_facesim3d(data_root, tmp_path):
    if not (data_root / "facesim3d").is_dir():
        pytest.skip("no facesim3d")
    table = cb.datasets.read_facesim3d(data_root / "facesim3d")
    assert spearman_of(table) == pytest.approx(0.932512, abs=5e-7)
    table = table[table["face_a"].astype(int) % 8 == 0]  # of which the command takes little time
    table.to_csv(tmp_path / "pairs.csv", index=False)
    options = [
        "--face-a",
        "face_a",
        "--face-b",
        "face_b",
        "--judgement",
        "3D",
        "--metric",
        "2D",
        "--error",
        "3D=3D_error",
        "--group-a",
        "gender_a",
        "--group-b",
        "gender_b",
    ]
    command = ["alignment", str(tmp_path / "pairs.csv"), *options, "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "2D, female and male: the rank correlation is" in done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "without error would" in page


def spearman_of(table):
    return table["2D"].rank().corr(table["3D"].rank())
