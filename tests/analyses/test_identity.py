"""Genuine and impostor pairs of simulated studies, whose effects are known."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.analyses.identity.analysis import analyse_identity, formula_of, truth_of_identity
from causalbias.analyses.identity.paired import (
    between_systems,
    effect_between_systems,
    genuine_distances,
    inverse_units,
)
from causalbias.models.result import spec_of

LEVELS = {"age": [0.8, 2.6, 4.4], "pose": [-3.0, 0.0, 3.0]}
PLANTED = cb.simulation.System(
    "planted",
    biases=(
        cb.simulation.Bias("black impostors alike", -0.10, race="black", same_identity=False),
        cb.simulation.Bias("asian genuine apart", 0.08, race="asian", same_identity=True),
    ),
)
NULL = cb.simulation.System("without bias", sd_face=(0.015, 0.03))
PEOPLE = cb.simulation.People(annotators=60, judgements=4, questions=())
FACTORS = ["seed", "race", "gender", "attribute", "level"]


@pytest.fixture(scope="module")
def result():
    study = cb.simulate(
        12, random_seed=3, systems=(PLANTED, NULL), people=PEOPLE, levels=LEVELS, impostors=12
    )
    return analyse_identity(study)


def table_of(result, **where):
    table = cb.summarise(result.machine, prob=0.95)
    return table[np.logical_and.reduce([table[name] == value for name, value in where.items()])]


@pytest.mark.slow
def test_models_are_apart_and_converge(result):
    assert sorted(result.fits) == [
        "people, genuine",
        "people, impostor",
        "planted minus without bias, genuine",
        "planted minus without bias, impostor",
        "planted, genuine",
        "planted, impostor",
        "planted, impostor minus genuine",
        "without bias, genuine",
        "without bias, impostor",
        "without bias, impostor minus genuine",
    ]
    assert not any(cb.failures(fit) for fit in result.fits.values())
    for name, rows in result.rows.items():
        assert rows["same_identity"].unique().tolist() == [name.endswith("genuine")]
    assert result.reference == "white"
    assert result.machine.sizes["race"] == 2


@pytest.mark.slow
def test_planted_bias_is_found_with_its_sign(result):
    black = table_of(result, system="planted", pairs="impostor", race="black")
    asian = table_of(result, system="planted", pairs="genuine", race="asian")
    assert len(black) == len(asian) == 2
    assert (black["upper"] < 0).all()
    assert (asian["lower"] > 0).all()
    other = table_of(result, system="planted", pairs="genuine", race="black")
    assert (other["estimate"].abs() < asian["estimate"].min()).all()


@pytest.mark.slow
def test_without_bias_the_intervals_hold_zero(result):
    table = table_of(result, system="without bias")
    assert len(table) == 8
    # Eight of 95%, dependent: fewer than six would have probability below 0.01.
    assert ((table["lower"] < 0) & (table["upper"] > 0)).sum() >= 6


@pytest.mark.slow
def test_truth_is_within_the_intervals(result):
    known = truth_of_identity(result).query("estimand == 'effect'")
    machine, human = (cb.summarise(one, prob=0.95) for one in (result.machine, result.human))
    both = pd.concat([machine, human.assign(system="people")])
    both["fit"] = both["system"] + ", " + both["pairs"]
    both = both.merge(known[["fit", "race", "gender", "truth"]], on=["fit", "race", "gender"])
    assert len(both) == 24
    inside = (both["lower"] <= both["truth"]) & (both["truth"] <= both["upper"])
    assert inside.sum() >= 20
    assert both["truth"].nunique() > 4, "a truth that is always zero would prove little"


@pytest.mark.slow
def test_truth_by_hand(result):
    """Planted shifts, far from where distances fold at 0, are the true contrasts."""
    known = truth_of_identity(result).set_index(["fit", "estimand", "race", "gender"])["truth"]
    for gender in ("female", "male"):
        for fit, race, shift in (
            ("planted, impostor", "black", -0.10),
            ("planted, impostor", "asian", 0.0),
            ("planted, genuine", "asian", 0.08),
            ("without bias, genuine", "black", 0.0),
        ):
            assert known[fit, "effect", race, gender] == pytest.approx(shift, abs=1e-4)


@pytest.mark.slow
def test_impostor_intervals_allow_for_shared_members(result):
    """Two faces' own effects do not cancel between races; a model without members ignores them."""
    rows = result.rows["without bias, impostor"]
    naive = cb.fit("distance ~ race*gender + step", rows, draws=500)
    naive = cb.summarise(cb.effects(naive, "race", by="gender", reference="white"))
    ours = table_of(result, system="without bias", pairs="impostor")
    ours = ours.merge(naive, on=["race", "gender"], suffixes=("", "_naive"))
    assert len(ours) == 4
    assert (ours["sd"] > 1.5 * ours["sd_naive"]).all()


@pytest.mark.slow
def test_unequal_noise_of_groups_passes_the_check_that_one_noise_fails(result):
    rows, rng = result.rows["without bias, genuine"], np.random.default_rng(4)
    noisy = np.where(rows["race"] == "black", 0.06, 0.0) * rng.standard_normal(len(rows))
    rows = rows.assign(distance=rows["distance"] + noisy)
    fit = cb.fit(formula_of(rows, "distance", "genuine"), rows, draws=500)
    verdicts = [
        cb.check(one).set_index("check").loc["spread by group", "verdict"]
        for one in (fit, cb.update(fit, sigma=None))
    ]
    assert verdicts == ["ok", "fail"]


@pytest.mark.slow
def test_an_attribute_that_acts_on_one_race_alone_is_in_the_model(result):
    rows = result.rows["without bias, genuine"]
    moved = np.where((rows["race"] == "asian") & (rows["step"] == "pose 3"), 0.1, 0.0)
    rows = rows.assign(distance=rows["distance"] + moved)
    fit = cb.fit(formula_of(rows, "distance", "genuine"), rows, draws=500)
    plain = cb.update(fit, "distance ~ race*gender + step + (1|seed) + (1|seed:race:gender)")
    verdicts = [
        cb.check(one).set_index("check").loc["means by group", "verdict"] for one in (fit, plain)
    ]
    assert verdicts == ["ok", "fail"]


@pytest.mark.slow
def test_doses_are_those_of_the_steps(result):
    dose = cb.summarise(result.machine_dose)
    assert set(dose["step"]) == {"age 0.8", "age 2.6", "age 4.4", "pose -3", "pose 0", "pose 3"}
    genuine = dose[(dose["pairs"] == "genuine") & (dose["system"] == "without bias")].set_index(
        "step"
    )
    # 0.25, and 0.12 for each of three units of pose.
    assert genuine.loc["pose 3", "estimate"] == pytest.approx(0.61, abs=0.05)
    assert (genuine["attribute"] + " " + genuine["level"].map("{:g}".format) == genuine.index).all()


@pytest.mark.slow
def test_single_answers_have_the_ordinal_model(result):
    rows = result.rows["people, impostor"]
    asked = result.study["human"].to_dataset().to_dataframe().query("question == 'identity'")
    genuine = result.rows["people, genuine"]
    left_out = result.left_out.set_index("fit")["count"].filter(like="people").sum()
    assert len(rows) + len(genuine) + left_out == len(asked)
    assert not rows.duplicated(["pair", "annotator"]).any()
    spec = spec_of(result.fits["people, impostor"])
    assert spec.family == "cumulative"
    assert "(1|pair) + (1|annotator)" in spec.formula


@pytest.mark.slow
def test_differences_of_planted_biases_are_found(result):
    """True: -0.10 of impostor pairs, a spread of 0.079 between pairs; 0.08 of genuine, of 0.043."""
    between = cb.summarise(result.between_systems).set_index(["pairs", "race", "gender"])
    kinds = cb.summarise(result.between_kinds).set_index(["system", "race", "gender"])
    assert between["system"].unique().tolist() == ["planted"]
    assert between["against"].unique().tolist() == ["without bias"]
    for gender in ("female", "male"):
        for one, true in (
            (between.loc["impostor", "black", gender], -0.10 / 0.0786),
            (between.loc["genuine", "asian", gender], 0.08 / 0.0430),
            (kinds.loc["planted", "black", gender], -0.10),
            (kinds.loc["planted", "asian", gender], -0.08),
        ):
            assert one["lower"] < true < one["upper"]
            assert (one["lower"] > 0) == (true > 0)
            assert (one["upper"] < 0) == (true < 0)
        null = kinds.loc["without bias", "black", gender]
        assert null["lower"] < 0 < null["upper"]


@pytest.mark.slow
def test_networks_are_compared_with_people(result):
    found = result.against_people
    assert found.sizes["system"] == found.sizes["pairs"] == 2
    main = cb.summarise(found).query("unit == 'pair sd'")
    black = main.query("system == 'planted' and pairs == 'impostor' and race == 'black'")
    assert len(black) == 2
    assert (black["upper"] < 0).all(), "the network finds them more alike than people do"


@pytest.mark.slow
def test_a_difference_of_two_systems_that_err_alike_is_sharper_than_of_independent_ones(result):
    """A copy of a system in another metric, with a little noise, differs from it in nothing."""
    rows, rng = result.rows["planted, genuine"], np.random.default_rng(5)
    noise = 0.01 * rng.standard_normal(len(rows))
    copy = rows.assign(distance=2.5 * (rows["distance"] + noise), system="copy")
    fits = {
        name: cb.fit(formula_of(one, "distance", "genuine"), one, draws=500)
        for name, one in (("planted", rows), ("copy", copy))
    }
    inverse = inverse_units(fits)
    scales = [float(one.mean()) for one in inverse.values()]
    assert scales[0] / scales[1] == pytest.approx(2.5, rel=0.1)
    both = between_systems(rows, copy[5:], *scales, reference="white")
    assert len(both) == len(rows) - 5, "pairs that one did not measure are not in it"
    paired = effect_between_systems(
        cb.fit(formula_of(both, "difference", "genuine"), both, draws=500),
        [cb.effects(fit, "race", by="gender", reference="white") for fit in fits.values()],
        list(inverse.values()),
        reference="white",
        name="planted minus copy",
    )
    paired = cb.summarise(paired)
    apart = cb.compare(*reversed(fits.values()), "race", by="gender", reference="white")
    apart = cb.summarise(apart).query("unit == 'pair sd'")
    assert (paired["sd"].to_numpy() < apart["sd"].to_numpy() / 2).all()
    assert ((paired["lower"] < 0) & (paired["upper"] > 0)).sum() >= 3


def test_one_system_in_two_metrics_is_not_compared_with_itself():
    rows = pd.DataFrame(
        {
            "pair": list("abcd"),
            "race": ["asian", "white"] * 2,
            "gender": ["female"] * 2 + ["male"] * 2,
            "distance": [0.3, 0.4, 0.1, 0.7],
        }
    )
    twice = rows.assign(distance=2 * rows["distance"])
    assert between_systems(rows, twice, 1.0, 0.5, reference="white") is None
    assert between_systems(rows, twice, 1.0, 1.0, reference="black") is None
    assert len(between_systems(rows, twice, 1.0, 1.0, reference="white")) == 4


def test_a_faces_genuine_distance_is_its_mean_and_allows_for_steps_that_are_missing():
    rng = np.random.default_rng(6)
    faces = pd.DataFrame({"face_a": [f"f{i}" for i in range(6)], "race": ["asian", "white"] * 3})
    steps = pd.DataFrame({"step": ["age 1", "age 2", "age 4"], "moved": [0.0, 0.1, 0.4]})
    rows = faces.merge(steps, how="cross")
    own = rows["face_a"].map(dict(zip(faces["face_a"], rng.normal(0, 0.1, 6), strict=True)))
    rows["distance"] = 0.3 + rows["moved"] + own
    whole = genuine_distances(rows)
    assert whole.to_numpy() == pytest.approx(rows.groupby("face_a")["distance"].mean().to_numpy())
    lost = rows.drop(index=2)  # the farthest step of the first face
    assert genuine_distances(lost)["f0"] == pytest.approx(whole["f0"], abs=0.06)
    assert lost.groupby("face_a")["distance"].mean()["f0"] < whole["f0"] - 0.1


def small_study():
    """A study with a pair of each kind that no model is about."""
    study = cb.simulate(
        4,
        random_seed=1,
        people=None,
        levels=LEVELS,
        impostors=4,
        systems=(cb.simulation.System("net", sd_residual=(0.02, 0.02)),),
    )
    faces = cb.to_frame(study, "stimuli").set_index(FACTORS).sort_index()["stimulus"]
    one, two = cb.to_frame(study, "stimuli")["seed"].unique()[:2]
    extra = [
        (faces[one, "asian", "male", "pose", 0], faces[two, "black", "male", "pose", 3]),
        (faces[one, "asian", "male", "pose", 0], faces[two, "asian", "male", "age", 0.8]),
        (faces[one, "asian", "male", "pose", -3], faces[one, "asian", "male", "pose", 3]),
    ]
    pairs = cb.to_frame(study, "pairs")[["pair", "stimulus_a", "stimulus_b"]]
    # Written the other way round, a pair is the same.
    odd = pairs.index % 2 == 1
    pairs.loc[odd, ["stimulus_a", "stimulus_b"]] = pairs.loc[
        odd, ["stimulus_b", "stimulus_a"]
    ].to_numpy()
    more = pd.DataFrame(extra, columns=["stimulus_a", "stimulus_b"]).assign(pair=["x0", "x1", "x2"])
    distances = cb.to_frame(study, "machine")[["system", "pair", "distance", "threshold"]]
    distances = pd.concat(
        [distances, more[["pair"]].assign(distance=0.5, system="net", threshold=0.7)]
    )
    distances = distances.assign(status="ok")
    distances.loc[distances["pair"] == "p000", ["distance", "status"]] = np.nan, "no face"
    return study, cb.make_study(
        factors=FACTORS,
        references={"age": 2.6, "pose": 0.0},
        stimuli=cb.to_frame(study, "stimuli")[["stimulus", *FACTORS]],
        pairs=pd.concat([pairs, more]),
        distances=distances,
    )


def test_pairs_left_out_are_counted_and_sides_do_not_matter():
    straight, odd = small_study()
    one, two = (analyse_identity(study, draws=50, chains=2) for study in (straight, odd))
    left = two.left_out.set_index(["fit", "reason"])["count"]
    assert left["net, impostor", "members differ in race or gender"] == 1
    assert left["net, impostor", "members are of different attributes"] == 1
    assert left["net, genuine", "no member is at its reference level"] == 1
    assert left["net, genuine", "no distance, or no answer"] == 1
    for kind in ("genuine", "impostor"):
        names = ["pair", "step", "race", "gender", "level"]
        first, second = (each.rows[f"net, {kind}"][names].set_index("pair") for each in (one, two))
        assert first.loc[second.index].equals(second)
        assert len(first) - len(second) == (kind == "genuine")
    assert one.human is None


def test_a_study_without_groups_ends_in_one_error():
    with pytest.raises(DataError, match="gender"):
        analyse_identity(cb.demo_study())


def test_a_system_is_not_called_what_people_are():
    system = cb.simulation.System("people")
    design = {"levels": {"pose": [-3, 0]}, "impostors": 2, "people": None}
    with pytest.raises(DataError, match="a system is named 'people'"):
        analyse_identity(cb.simulate(seeds=3, systems=[system], **design))


def test_a_study_of_one_race_says_so():
    study = cb.simulate(4, people=None, levels={"pose": [-3, 0, 3]}, impostors=2, races=["white"])
    with pytest.raises(DataError, match=r"all pairs of .* have the race white"):
        analyse_identity(study)
