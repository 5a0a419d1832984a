"""The joint model against the truth it was simulated with, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError

TRUTH = {
    "seed": {"sd": (0.5, 0.05), "correlation": -0.3},
    "pair": {"sd": (0.8, 0.08), "correlation": -0.6},
    "noise": 1.2,
}
EFFECT = {"score": 0.6, "distance": -0.02}  # of group b


def simulate(rng, seeds=60, each=20, answers=(2, 5), members=1, dif=None):
    """Pairs as `joint_rows` has them; `dif` makes distances follow scores, plus that in group b."""

    def effects(source, n):
        sd, cor = TRUTH[source]["sd"], TRUTH[source]["correlation"]
        return rng.multivariate_normal([0, 0], np.outer(sd, sd) * [[1, cor], [cor, 1]], size=n)

    n = seeds * each
    codes = rng.integers(0, seeds, (n, members))
    group = rng.choice(["a", "b"], n)
    own = effects("seed", seeds)[codes].mean(axis=1) + effects("pair", n)
    score = 2 + EFFECT["score"] * (group == "b") + own[:, 0]
    distance = 0.7 + EFFECT["distance"] * (group == "b") + own[:, 1]
    if dif is not None:
        distance = 0.7 - 0.1 * score + dif * (group == "b") + rng.normal(0, 0.03, n)
    many = rng.integers(*answers, n)
    given = [score[i] + rng.normal(0, TRUTH["noise"], many[i]) for i in range(n)]
    frame = pd.DataFrame(
        {
            "distance": distance,
            "score": [one.mean() for one in given],
            "answers": many,
            "within": [((one - one.mean()) ** 2).sum() for one in given],
            "group": group,
        }
    )
    names = ["seed"] if members == 1 else ["seed_a", "seed_b"]
    return frame.assign(**dict(zip(names, codes.T, strict=True)))


def holds(draws, truth, sds=4.0):
    return abs(float(draws.mean()) - truth) < sds * float(draws.std())


@pytest.mark.parametrize("members", [1, 2])
def test_truth_is_recovered(members):
    rows = simulate(np.random.default_rng(1), members=members)
    groups = {"seed": "seed" if members == 1 else ["seed_a", "seed_b"]}
    found = cb.joint(rows, "group", groups=groups, draws=400, tune=200)
    posterior = found.posterior
    for source in ("seed", "pair"):
        assert holds(posterior["correlation"].sel(source=source), TRUTH[source]["correlation"])
        for outcome, sd in zip(("score", "distance"), TRUTH[source]["sd"], strict=True):
            assert holds(posterior["sd"].sel(source=source, outcome=outcome), sd)
    assert holds(posterior["noise"], TRUTH["noise"])
    for outcome, effect in EFFECT.items():
        coefficient = posterior["coefficient"].sel(term="group[b]", outcome=outcome)
        assert holds(coefficient, effect)
    assert found.shares == {"seed": pytest.approx(1.0 if members == 1 else 0.5, abs=0.02)}


def test_noise_in_answers_flattens_the_plain_correlation_and_not_this_one():
    rows = simulate(np.random.default_rng(2))
    found = cb.joint(rows, "group", groups={"seed": "seed"}, draws=300, tune=200)
    within = rows.groupby(["seed", "group"])[["score", "distance"]].transform("mean")
    plain = np.corrcoef((rows[["score", "distance"]] - within).to_numpy().T)[0, 1]
    pair = found.posterior["correlation"].sel(source="pair")
    assert plain > float(pair.quantile(0.9995))
    assert holds(pair, -0.6)


def test_bias_at_equal_score_where_there_is_none_and_where_there_is():
    """Groups differ in likeness and distances follow it: means plugged in find bias anyway."""
    for dif in (0.0, 0.03):
        rows = simulate(np.random.default_rng(3), dif=dif, answers=(2, 4))
        found = cb.joint(rows, "group", groups={"seed": "seed"}, draws=300, tune=200)
        ours = cb.joint_model.conditional_bias(found, "group")
        assert holds(ours["conditional"], dif)
        assert holds(ours["slope"], -0.1)
        x = np.column_stack([np.ones(len(rows)), rows["group"] == "b", rows["score"]])
        plug_in = np.linalg.lstsq(x.astype(float), rows["distance"], rcond=None)[0]
        spread = float(ours["conditional"].std())
        assert abs(plug_in[1] - dif) > 3 * spread, "the mean score plugged in is biased"
        assert abs(plug_in[2] + 0.1) > 0.02


@pytest.mark.slow
def test_intervals_hold_the_truth_at_their_rate():
    rng = np.random.default_rng(5)
    hits, studies = 0, 40
    for study in range(studies):
        rows = simulate(rng, seeds=20, each=8)
        found = cb.joint(
            rows, "group", groups={"seed": "seed"}, draws=300, tune=100, chains=1, random_seed=study
        )
        ends = found.posterior["correlation"].sel(source="pair").quantile([0.1, 0.9]).values
        hits += ends[0] <= TRUTH["pair"]["correlation"] <= ends[1]
    # Binomial(40, 0.8): 32, sd 2.5; the prior on correlations pulls a little towards zero.
    assert 23 <= hits <= 39


def test_scaling_the_distance_scales_its_side_only():
    rows = simulate(np.random.default_rng(6), seeds=20)
    one, other = (
        cb.joint(
            rows.assign(distance=factor * rows["distance"]),
            "group",
            groups={"seed": "seed"},
            draws=200,
            tune=100,
        ).posterior
        for factor in (1, 100)
    )
    # Equal but where rounding turns a Metropolis step; so to Monte Carlo error, not to rounding.
    factor = xr.DataArray([1, 100], dims="outcome", coords={"outcome": ["score", "distance"]})
    for name in ("coefficient", "sd"):
        away = (other[name] / factor - one[name]).mean(["chain", "draw"])
        assert (abs(away) < 0.5 * one[name].std(["chain", "draw"])).all()
    away = (other["correlation"] - one["correlation"]).mean(["chain", "draw"])
    assert (abs(away) < 0.5 * one["correlation"].std(["chain", "draw"])).all()


def test_of_a_simulated_study_people_and_network_agree_on_pairs():
    study = cb.simulate(seeds=25, levels={"pose": [-3, 0, 3]}, impostors=12, random_seed=4)
    rows = cb.joint_model.joint_rows(study, "ResNet-34")
    assert len(rows) == study["pairs"].sizes["pair"]
    found = cb.joint(
        rows,
        "race*gender",
        groups={"seed": ["seed_a", "seed_b"]},
        subset="not same_identity",
        draws=200,
        tune=100,
    )
    assert int(found.rows["same_identity"].sum()) == 0
    assert found.left_out["count"].sum() + len(found.rows) <= len(rows)
    assert float(found.posterior["correlation"].sel(source="pair").mean()) < 0


@pytest.fixture(scope="module")
def rows():
    return simulate(np.random.default_rng(7), seeds=6, each=4)


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({}, {"terms": "nope"}, "no column 'nope'"),
        ({}, {"terms": "group + (1|seed)"}, "the terms contain group terms"),
        ({}, {"groups": {}}, "the terms contain group terms"),
        ({}, {"groups": {"seed": "nope"}}, "no column 'nope'"),
        ({}, {"terms": "exec(group)"}, "calls 'exec'"),
        ({"answers": 1}, {}, "no pair has two answers"),
        ({"distance": np.nan}, {}, "no pair has distance"),
        ({"same_identity": [True, False] * 12}, {}, "would be pooled"),
    ],
)
def test_refused(rows, change, options, told):
    asked = {"terms": "group", "groups": {"seed": "seed"}} | options
    with pytest.raises(DataError, match=told):
        cb.joint(rows.assign(**change), draws=5, tune=5, **asked)


def test_exclusions_are_counted(rows):
    frame = rows.assign(distance=rows["distance"].where(rows.index > 2))
    found = cb.joint(frame, "group", groups={"seed": "seed"}, draws=5, tune=5)
    assert found.left_out.values.tolist() == [["no distance", 3]]
    assert cb.summarise(cb.joint_model.conditional_bias(found, "group"))["converged"].tolist() == [
        False
    ]


@pytest.fixture(scope="module")
def fitted():
    rows = simulate(np.random.default_rng(3), seeds=10, each=5)
    return cb.joint(rows, "group", groups={"seed": "seed"}, draws=60, tune=60)


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_a_joint_model_is_saved_and_opened_as_one(fitted, tmp_path, ending):
    again = cb.open(cb.save(fitted, tmp_path / f"joint{ending}"))
    assert isinstance(again, cb.joint_model.Joint)
    assert again.identical(fitted)
    assert cb.summary(again).sort_index().equals(cb.summary(fitted).sort_index())
    one, other = (cb.joint_model.conditional_bias(each, "group") for each in (again, fitted))
    assert one.identical(other)


def test_a_joint_model_has_failures_a_summary_and_a_printed_form(fitted):
    assert cb.failures(fitted)  # 60 draws are too few
    table = cb.summary(fitted)
    assert not table["converged"].any()
    assert "sd([seed, score])" in [
        name.replace("sd[", "sd([").replace("]", "])") for name in table.index
    ]
    assert "NOT CONVERGED" in repr(fitted)
    assert "Terms: group; effects of seed and pair" in repr(fitted)


def test_effects_of_a_joint_model_are_its_coefficients(fitted):
    found = cb.effects(fitted, "group")
    assert found["effect"].dims[:2] == ("chain", "draw")
    coefficient = fitted["posterior"]["coefficient"].isel(term=1, drop=True)
    np.testing.assert_allclose(
        found["effect"].isel(group=0).transpose("chain", "draw", "outcome"), coefficient, atol=1e-12
    )
    bias = cb.joint_model.conditional_bias(fitted, "group")
    assert (bias["on_score"] == found["effect"].sel(outcome="score")).all()
    with pytest.raises(cb.DataError, match="a joint model has effects on the response"):
        cb.effects(fitted, "group", scale="link")


def test_verbs_of_one_outcome_say_what_a_joint_model_has(fitted):
    for verb in (lambda: cb.dose(fitted, "group"), lambda: cb.check(fitted)):
        with pytest.raises(cb.DataError, match=r"a joint model was given.*cb\.effects"):
            verb()


def test_a_file_that_is_no_joint_model_is_refused(fitted, tmp_path):
    broken = fitted.copy()
    broken.attrs["shares"] = "{"
    with pytest.raises(cb.DataError, match="records cannot be read"):
        cb.open(cb.save(broken, tmp_path / "one.nc"))
    broken = fitted.copy()
    del broken["excluded"]
    with pytest.raises(cb.DataError, match="lacks excluded"):
        cb.open(cb.save(broken, tmp_path / "two.nc"))
    broken = fitted.copy()
    broken.attrs["terms"] = "__import__('os').getcwd()"
    with pytest.raises(cb.DataError):
        cb.open(cb.save(broken, tmp_path / "three.nc"))


def test_people_and_network_side_by_side_are_in_deviations_of_pairs(fitted):
    posterior = fitted.posterior
    found = cb.joint_model.compare(fitted, "group")
    weight = {"seed": fitted.shares["seed"], "pair": 1.0}
    for name, outcome, sign in (("effect_a", "score", -1), ("effect_b", "distance", 1)):
        sd = posterior["sd"].sel(outcome=outcome)
        spread = np.sqrt(sum(weight[k] * sd.sel(source=k) ** 2 for k in weight))
        effect = posterior["coefficient"].sel(term="group[b]", outcome=outcome)
        expected = sign * effect / spread
        np.testing.assert_allclose(found[name].sel(group="b"), expected)
    apart = found["effect_b"] - found["effect_a"]
    np.testing.assert_allclose(found["difference"], apart)
    turned = cb.joint_model.compare(fitted, "group", opposite=False)
    np.testing.assert_allclose(turned["effect_a"], -found["effect_a"])
    assert found.attrs["between_a"] == "seed, pair"
    assert cb.plots.comparison(found.expand_dims(unit=["pair sd"]).assign_attrs(found.attrs))


def test_what_all_people_misjudge_alike_is_a_share_that_the_user_states():
    """The network follows the likeness without bias; 0.3 of the scores' spread is shared error."""
    rng = np.random.default_rng(4)
    n, share = 800, 0.3
    group = rng.choice(["a", "b"], n)
    likeness = 0.5 * (group == "b") + rng.normal(0, np.sqrt(1 - share), n)
    score = 3 + likeness + rng.normal(0, np.sqrt(share), n)
    given = score[:, None] + rng.normal(0, 0.5, (n, 3))
    rows = pd.DataFrame(
        {
            "distance": 0.7 - 0.1 * likeness + rng.normal(0, 0.02, n),
            "score": given.mean(axis=1),
            "answers": 3,
            "within": given.var(axis=1) * 3,
            "group": group,
            "seed": rng.integers(0, 30, n),
        }
    )
    found = cb.joint(rows, "group", groups={"seed": "seed"}, draws=300, tune=150)
    bias = cb.joint_model.conditional_bias(found, "group", shared_error=[0.0, share])
    assert bias["conditional"].dims == ("chain", "draw", "shared_error", "group")
    assert not holds(bias["conditional"].sel(shared_error=0.0), 0.0, sds=2.5)
    assert holds(bias["conditional"].sel(shared_error=share), 0.0, sds=3)
    assert holds(bias["slope"].sel(shared_error=share), -0.1, sds=3)
    one = cb.joint_model.conditional_bias(found, "group", shared_error=share)
    np.testing.assert_allclose(
        one["conditional"], bias["conditional"].sel(shared_error=share, drop=True)
    )
    for wrong in (1.0, -0.1, "half", [], [0.2, 0.2]):
        with pytest.raises(DataError, match="shared_error"):
            cb.joint_model.conditional_bias(found, "group", shared_error=wrong)
