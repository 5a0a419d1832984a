"""Manipulation checks: planted doses and leaks come back, and failures are told."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

DOSES = {"age": 10.0, "smiling": 20.0, "pose": 0.0}
LEAK = {("age", "expression"): -6.0}
QUESTIONS = ["age", "expression", "pose"]


def planted(seeds=30, annotators=6, rng=0, sd_seed=2.0):
    """Ratings 0 to 100 of faces of two groups; a dose for two levels, and one leak."""
    random = np.random.default_rng(rng)
    groups = {"seed": range(seeds), "race": ["a", "b"]}
    faces = cb.design.one_at_a_time(groups, {name: [0.0, 1.0, 2.0] for name in DOSES})
    slope = random.normal(0, sd_seed, (seeds, len(QUESTIONS)))
    rows = []
    for face in faces.itertuples():
        for q, question in enumerate(QUESTIONS):
            own = {"smiling": "expression"}.get(face.attribute, face.attribute) == question
            whole = DOSES[face.attribute] if own else LEAK.get((face.attribute, question), 0.0)
            mean = 50 + (whole + slope[face.seed, q]) * face.level / 2
            for a in range(annotators):
                score = float(np.clip(mean + random.normal(0, 8), 0, 100))
                rows.append((face.stimulus, question, f"r{a}", score))
    columns = ["stimulus", "question", "annotator", "score"]
    judgements = pd.DataFrame(rows, columns=columns)
    study = cb.make_study(
        factors=["seed", "race", "attribute", "level"],
        stimuli=faces,
        judgements=judgements,
        scales=(0, 100),
    )
    return study, judgements


def test_doses_and_the_one_leak_come_back():
    covered = []
    for rng in range(6):
        study, _ = planted(rng=rng)
        table = cb.manipulation_checks.leaks(study)
        truth = [
            DOSES[row.attribute] if row.own else LEAK.get((row.attribute, row.question), 0.0)
            for row in table.itertuples()
        ]
        covered += ((table["lower"] <= truth) & (truth <= table["upper"])).tolist()
        leak = table.set_index(["attribute", "question"]).loc[("age", "expression")]
        assert leak["clear"]
        assert (table["n"] == 30).all()
    assert np.mean(covered) >= 0.85  # 54 intervals of 95%


def test_dose_is_the_mean_difference_from_the_reference():
    study, judgements = planted(sd_seed=0.0)
    found = cb.manipulation_checks.dose(study).set_index(["attribute", "level"])
    age = judgements[judgements["question"] == "age"]
    mean = age.groupby("stimulus")["score"].mean()
    faces = (
        cb.to_frame(study, "stimuli")
        .query("attribute == 'age'")
        .assign(score=lambda f: f["stimulus"].map(mean))
    )
    by = faces.groupby("level")["score"].mean()
    assert found.loc[("age", 2.0), "estimate"] == pytest.approx(by[2.0] - by[0.0])
    assert found.loc[("age", 1.0), "estimate"] == pytest.approx(by[1.0] - by[0.0])


def test_the_reference_need_not_be_the_lowest_level():
    study, _ = planted(sd_seed=0.0)
    with_reference = study.copy()
    with_reference.attrs["references"] = '{"age": 1.0}'
    found = cb.manipulation_checks.dose(with_reference).query("attribute == 'age'")
    assert found["level"].tolist() == [0.0, 2.0]
    assert found["estimate"].iloc[0] < 0 < found["estimate"].iloc[1]


def test_a_classifiers_scores_take_the_place_of_judgements():
    study, judgements = planted()
    mean = judgements.groupby(["stimulus", "question"], as_index=False)["score"].mean()
    pd.testing.assert_frame_equal(
        cb.manipulation_checks.leaks(study, mean), cb.manipulation_checks.leaks(study)
    )
    with pytest.raises(cb.DataError, match="'stimulus', row 1: 'zz' is not a known"):
        cb.manipulation_checks.leaks(study, mean.assign(stimulus="zz"))


def test_a_face_without_a_score_is_left_out_and_not_taken_as_zero():
    study, judgements = planted(seeds=8)
    scores = judgements.groupby(["stimulus", "question"], as_index=False)["score"].mean()
    lost = scores.index % 5 == 0
    with_missing = scores.assign(score=scores["score"].mask(lost))
    for table in (cb.manipulation_checks.leaks, cb.manipulation_checks.dose):
        pd.testing.assert_frame_equal(table(study, with_missing), table(study, scores[~lost]))


def test_scores_of_two_judges_are_not_averaged():
    study, judgements = planted(seeds=8)
    scores = judgements.groupby(["stimulus", "question"], as_index=False)["score"].mean()
    both = pd.concat([scores.assign(judge="net"), scores.assign(judge="other")])
    with pytest.raises(cb.DataError, match=r"scores are of 2 judges: net, other"):
        cb.manipulation_checks.leaks(study, both)
    told = str(cb.manipulation_checks.check_manipulations(study, both[both["judge"] == "net"]))
    assert "the largest change is that of expression by age" in told
    assert "Leaks, by the scores of net:" in told
    assert "points" not in told


def test_no_question_of_its_own_is_said_and_the_rest_still_checked():
    study, judgements = planted()
    mean = judgements.groupby(["stimulus", "question"], as_index=False)["score"].mean()
    found = cb.manipulation_checks.check_manipulations(study, mean.assign(question="beard"))
    assert list(found.tables) == ["leaks"]
    assert "dose: NOT CHECKED (no question is about" in str(found)


def test_an_attribute_that_does_not_move_is_named():
    study, _ = planted(sd_seed=0.0, rng=1)
    told = str(cb.manipulation_checks.check_manipulations(study))
    assert "all intervals of the changes of pose include zero" in told
    assert "expression by age" in told


def test_omi_doses_are_those_of_lme4(omi):
    # R's lme4 1.1-31, one model a condition, level 2 against level 0 (data/README.md).
    known = {"age": 12.383, "gender": 21.677, "outgoing": 31.398, "smart": 3.967, "weight": 18.030}
    study = cb.load("omi", omi)
    found = cb.manipulation_checks.dose(study).query("level == 2").set_index("attribute")
    for attribute, change in known.items():
        assert found.loc[attribute, "estimate"] == pytest.approx(change, abs=6e-4)
        assert found.loc[attribute, "over"] == "annotators"
    kept = cb.manipulation_checks.identity_kept(study).set_index(["attribute", "level"])
    # Mean distance of levels 0 and 2, from the README's plain counting.
    assert kept.loc[("outgoing", 2.0), "estimate"] == pytest.approx(0.349, abs=5e-4)
    assert kept.loc[("familiar", 2.0), "estimate"] == pytest.approx(0.554, abs=5e-4)
    assert kept.loc[("age", 2.0), "n"] == 50


def test_identity_counts_those_beyond_the_threshold():
    faces = cb.design.one_at_a_time({"seed": range(10)}, {"age": [0.0, 1.0]})
    pairs = cb.design.sample_pairs(faces, impostors=0)
    far = np.where(np.arange(10) < 3, 0.9, 0.2)
    distances = pd.DataFrame(
        {"system": "net", "pair": pairs["pair"], "distance": far, "threshold": 0.6}
    )
    study = cb.make_study(
        factors=["seed", "attribute", "level"], stimuli=faces, pairs=pairs, distances=distances
    )
    row = cb.manipulation_checks.identity_kept(study).iloc[0]
    assert row["beyond"] == 0.3
    assert row["beyond_lower"] < 0.3 < row["beyond_upper"]
    assert row["estimate"] == pytest.approx(far.mean())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Rendered faces of which one manipulation does nothing, and one seed repeats another."""
    root = tmp_path_factory.mktemp("faces")
    faces = cb.design.one_at_a_time({"seed": range(12)}, {"lighting": [0.0, 2.0], "age": [0, 2]})
    latent = np.random.default_rng(0).normal(size=(12, 32))
    latent[7] = latent[3]
    controls = {"lighting": np.where(faces["attribute"] == "lighting", faces["level"], 0)}
    make = cb.stimuli.schematic()
    cb.stimuli.render(make, faces, latent[faces["seed"]], root, controls=controls)
    study = cb.make_study(
        factors=["seed", "attribute", "level"],
        stimuli=cb.stimuli.read_manifest(root / "manifest.csv"),
    )
    return study, cb.recognition.images_of(study, root)


def test_duplicates_of_two_seeds_and_idle_manipulations_are_found(drawn):
    study, images = drawn
    from causalbias.manipulation_checks.images import near_duplicates

    found = near_duplicates(images)
    pairs = {frozenset(row) for row in found[["stimulus_a", "stimulus_b"]].to_numpy()}
    assert frozenset(("0_age_0.0", "0_age_2.0")) in pairs
    same = found[found["identical"]]
    assert (
        len(same) == 10 * 3 + 15 + 1
    )  # three equal pictures a seed, six of the twins, and lit ones
    checks = cb.manipulation_checks.check_manipulations(study, images=images)
    duplicates = checks.tables["duplicates"]
    twins = duplicates[~duplicates["same_identity"] & duplicates["identical"]]
    assert len(twins) == 9 + 1
    assert "46 of them are identical" in str(checks)


def test_quality_that_moves_with_an_attribute_is_found(drawn):
    study, images = drawn
    quality = cb.manipulation_checks.check_manipulations(study, images=images).tables["quality"]
    table = quality.set_index(["attribute", "question"])
    assert not table.loc["age"]["clear"].any()  # the same picture: no change at all
    assert table.loc[("lighting", "contrast"), "clear"]


def crossed(seeds=20, rng=0, faces=None):
    """Ratings of a crossed design: pose moves pose; a tone is seen, and leaks into age."""
    random = np.random.default_rng(rng)
    faces = (
        faces
        if faces is not None
        else cb.design.full(
            {"seed": range(seeds), "tone": ["light", "mid", "dark"], "pose": [-1, 0, 2]}
        )
    )
    dark, mid = faces["tone"] == "dark", faces["tone"] == "mid"
    seen = {"pose": 50 + 5 * faces["pose"], "dark": 20 + 60 * dark + 30 * mid, "age": 40 + 8 * dark}
    rows = [
        faces[["stimulus"]].assign(
            question=q, annotator=f"r{a}", score=mean + random.normal(0, 4, len(faces))
        )
        for q, mean in seen.items()
        for a in range(3)
    ]
    return faces, pd.concat(rows).assign(score=lambda f: f["score"].clip(0, 100))


def test_crossed_factors_are_checked_as_attributes():
    faces, judgements = crossed()
    study = cb.make_study(
        factors=["seed", "tone", "pose"], stimuli=faces, judgements=judgements, scales=(0, 100)
    )
    levels = study["stimuli"]["tone"].to_numpy().tolist()
    table = cb.manipulation_checks.leaks(study).set_index(["attribute", "question"])
    assert table.loc[("pose", "pose"), "estimate"] == pytest.approx(15, abs=1)
    at = {"light": 20, "mid": 50, "dark": 80}
    for level in levels[1:]:
        row = table.loc[(f"tone[{level}]", "dark")]
        assert row["estimate"] == pytest.approx(at[level] - at[levels[0]], abs=2)
        assert row["own"] == (level == "dark")
    assert table.loc[("pose", "pose"), "own"]
    assert not table.loc[[("pose", "age"), ("pose", "dark")], "clear"].all()
    leak = next(
        f"tone[{level}]" for level in levels if "dark" in (level, levels[0]) and level != levels[0]
    )
    assert table.loc[(leak, "age"), "clear"]
    dose = cb.manipulation_checks.dose(study)
    pose = dose[dose["attribute"] == "pose"].set_index("level")
    assert pose["estimate"].to_dict() == pytest.approx({0.0: 5, 2.0: 15}, abs=1)
    assert (table["n"] == 20).all()


def test_a_fraction_of_a_crossed_design_gives_the_same_answers():
    whole, _ = crossed()
    faces = cb.design.fraction(whole, "C(tone)*pose + C(seed)", 120)
    faces, judgements = crossed(faces=faces)
    study = cb.make_study(
        factors=["seed", "tone", "pose"], stimuli=faces, judgements=judgements, scales=(0, 100)
    )
    row = (
        cb.manipulation_checks.leaks(study)
        .set_index(["attribute", "question"])
        .loc[("pose", "pose")]
    )
    assert row["lower"] < 15 < row["upper"]


def test_identity_of_crossed_factors_and_of_answers_is_told():
    faces = cb.design.full({"seed": range(9), "tone": ["light", "dark"], "pose": [-1, 0, 2]})
    pairs = cb.design.sample_pairs(faces, impostors=0)
    about = faces.set_index("stimulus")
    turned = about.loc[pairs["stimulus_b"], "pose"].to_numpy() == 2
    distances = pd.DataFrame(
        {"system": "net", "pair": pairs["pair"], "distance": np.where(turned, 0.8, 0.3)}
    )
    answers = pd.DataFrame(
        {
            "pair": pairs["pair"],
            "question": "identity",
            "annotator": "a",
            "score": np.where(turned, 1.0, 4.0),
        }
    )
    study = cb.make_study(
        factors=["seed", "tone", "pose"],
        stimuli=faces,
        pairs=pairs[["pair", "stimulus_a", "stimulus_b"]],
        distances=distances,
        judgements=answers,
        scales=(0, 4),
    )
    table = cb.manipulation_checks.identity_kept(study).set_index(["measure", "attribute", "level"])
    assert table.loc[("net", "pose", 2.0), "estimate"] == pytest.approx(0.8)
    assert table.loc[("HCIC", "pose", 2.0), "estimate"] == pytest.approx(1.0)
    assert (table["n"] == 9).all()
    told = str(cb.manipulation_checks.check_manipulations(study))
    assert "same person (pose at 2: 1, 1 to 1" in told
    assert "the unchanged face (pose at 2: 0.8" in told


def test_cells_that_fail_to_enrol_are_named(drawn):
    study, images = drawn
    cube = cb.embed(images, "wavelets", align="none")
    lost = cube["stimulus"].str.contains("_age_2").to_numpy()
    cube["status"][:] = np.where(lost, "no face", cube["status"])
    cube["embedding"][:] = np.where(lost[None, :, None], np.nan, cube["embedding"])
    told = str(
        cb.manipulation_checks.check_manipulations(cb.recognition.with_embeddings(study, cube))
    )
    faces = cb.to_frame(study, "stimuli")
    total = int((faces["attribute"] == "age").sum() / 2)
    assert f"Detection: {total} of {len(faces)} faces failed to enrol, in 1 of 4 cells" in told
    assert f"age 2.0 wavelets {total} of {total} (" in told


def test_quality_measures_are_those_defined(tmp_path):
    from causalbias.io.drawing import png

    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (40, 30), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(np.repeat(grey[..., None], 3, 2)))
    found = cb.manipulation_checks.image_scores({"a": tmp_path / "a.png"}).set_index("question")[
        "score"
    ]
    share = np.unique(grey, return_counts=True)[1] / grey.size
    assert found["dynamic range"] == pytest.approx(-(share * np.log2(share)).sum(), rel=1e-6)
    assert found["over-exposed"] == pytest.approx(100 * (grey >= 247).mean())
    assert found["under-exposed"] == pytest.approx(100 * (grey <= 25).mean())
    assert found["contrast"] == pytest.approx(grey.std(), rel=1e-3)
    edges = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    from scipy.ndimage import convolve

    laplacian = convolve(grey.astype(float), edges)[1:-1, 1:-1]
    assert found["sharpness"] == pytest.approx(laplacian.std(), rel=1e-3)
