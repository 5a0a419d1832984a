"""Dose, counterfactuals, heterogeneity, shares, comparison, hypotheses: properties and refusals."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import causalbias as cb
from causalbias import DataError
from causalbias.draws.pairing import paired
from causalbias.estimands import averaging
from causalbias.estimands.dose import isotonic

DRAWS = 400


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    n = 90
    return pd.DataFrame(
        {
            "seed": np.arange(n) % 15,
            "race": rng.choice(list("abc"), n),
            "gender": rng.choice(list("fm"), n, p=[0.7, 0.3]),
            "pose": rng.integers(0, 4, n).astype(float),
            "distance": rng.normal(size=n),
            "score": rng.integers(0, 3, n),
        }
    )


@pytest.fixture(scope="module")
def machine(rows, fit_at):
    rng = np.random.default_rng(5)
    draws = {
        "Intercept": rng.normal(0, 1, DRAWS),
        "race": rng.normal([0.3, -0.4], 0.1, (DRAWS, 2)),
        "gender": rng.normal(0.2, 0.1, (DRAWS, 1)),
        "race:gender": rng.normal([0.1, 0.5], 0.1, (DRAWS, 2)),
        "pose": rng.normal(0.2, 0.05, DRAWS),
        "sigma": rng.uniform(0.4, 0.6, DRAWS),
        "1|seed": rng.normal(0, 0.3, (DRAWS, 15)),
        "1|seed_sigma": rng.uniform(0.2, 0.4, DRAWS),
    }
    dims = {"1|seed": ("seed__factor_dim", np.array(sorted(map(str, range(15)))))}
    return fit_at("distance ~ race*gender + pose + (1|seed)", rows, draws, dims=dims)


@pytest.fixture(scope="module")
def human(rows, fit_at):
    rng = np.random.default_rng(6)
    draws = {
        "race": rng.normal([0.1, -0.1], 0.2, (DRAWS // 2, 2)),
        "threshold": rng.normal([-1, 1], 0.1, (DRAWS // 2, 2)),
    }
    return fit_at("score ~ race", rows, draws, family="cumulative", link="probit")


# Counterfactuals and interactions ---------------------------------------------------------------


def test_a_counterfactual_is_its_steps_one_after_the_other(machine):
    whole = cb.counterfactual(
        machine, {"race": "b", "gender": "m"}, {"race": "a", "gender": "f"}, by="pose"
    )["effect"]
    draws = machine["posterior"].to_dataset()
    by_hand = draws["race"][..., 0] + draws["gender"][..., 0] + draws["race:gender"][..., 0]
    for pose in range(4):
        np.testing.assert_allclose(whole.sel(pose=pose), by_hand, rtol=1e-9)


def test_swapping_the_cells_changes_the_sign(machine):
    one, other = {"race": "c", "gender": "m"}, {"race": "b", "gender": "f"}
    there = cb.counterfactual(machine, one, other)["effect"]
    np.testing.assert_allclose(there, -cb.counterfactual(machine, other, one)["effect"], rtol=1e-9)


def test_an_interaction_is_a_difference_of_effects_and_symmetric(machine):
    one = cb.interaction(machine, "race", "gender")["interaction"].sel(gender="m")
    np.testing.assert_allclose(one, machine["posterior"]["race:gender"], rtol=1e-7, atol=1e-12)
    other = cb.interaction(machine, "gender", "race")["interaction"].sel(gender="m")
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (({"race": "b"}, {"gender": "f"}), "same variables"),
        (({}, {}), "nothing and nothing"),
        (({"race": "z"}, {"race": "a"}), "'z' is not a level of 'race'"),
        (({"nope": "z"}, {"nope": "a"}), "'nope' is not a variable"),
    ],
)
def test_impossible_counterfactuals(machine, cells, told):
    with pytest.raises(DataError, match=told):
        cb.counterfactual(machine, *cells)


@pytest.mark.parametrize("population", ["these", "typical", "new"])
@pytest.mark.parametrize("which", ["machine", "human"])
def test_alike_rows_counted_once_are_all_rows(request, which, population, monkeypatch):
    fit = request.getfixturevalue(which)
    verbs = [
        lambda: cb.predictions(fit, "race", population=population),
        lambda: cb.effects(fit, "race", population=population),
        lambda: cb.effects(fit, "race", population=population, scale="link"),
    ]
    once = [verb() for verb in verbs]
    monkeypatch.setattr(averaging, "_merged", lambda frame, _, counts: (frame, counts))
    for one, verb in zip(once, verbs, strict=True):
        every = verb()
        assert one.attrs == every.attrs
        pd.testing.assert_frame_equal(one.to_dataframe(), every.to_dataframe(), rtol=1e-5)


# Dose -------------------------------------------------------------------------------------------


def test_a_straight_line_has_one_slope(machine):
    found = cb.dose(machine, "pose", by="gender")
    slope = machine["posterior"]["pose"]
    for gender, pose in itertools.product("fm", range(4)):
        one = found["slope"].sel(gender=gender, pose=pose)
        np.testing.assert_allclose(one, slope, rtol=1e-6)
        np.testing.assert_allclose(found["average_slope"].sel(gender=gender), slope, rtol=1e-6)
    rise = found["prediction"].sel(pose=3) - found["prediction"].sel(pose=0)
    np.testing.assert_allclose(rise.sel(gender="f"), 3 * slope, rtol=1e-9)


def test_a_spline_follows_a_curve_that_a_line_misses():
    rng = np.random.default_rng(9)
    x = np.append(rng.uniform(-2, 2, 298), [-2, 2])
    frame = pd.DataFrame({"x": x, "y": np.sin(2 * x) + rng.normal(0, 0.1, 300)})
    fit = cb.fit("y ~ bs(x, df=9)", frame, draws=250)
    found = cb.dose(fit, "x", grid=[-2, -1, 0, 0.5, 1.5])
    at = found["x"].values
    curve = cb.summarise(found)
    assert (np.abs(curve["estimate"] - np.sin(2 * at)) < 4 * curve["sd"] + 0.02).all()
    slope = cb.summarise(found, of="slope").iloc[1:]  # a spline's end is free
    assert (np.abs(slope["estimate"] - 2 * np.cos(2 * at[1:])) < 4 * slope["sd"] + 0.1).all()


@given(
    values=st.lists(st.floats(-50, 50), min_size=2, max_size=9),
    weights=st.lists(st.integers(1, 20), min_size=9, max_size=9),
)
@settings(deadline=None)
def test_isotonic_is_scipys(values, weights):
    y, w = np.array(values), np.array(weights[: len(values)], float)
    expected = optimize.isotonic_regression(y, weights=w).x
    np.testing.assert_allclose(isotonic(y[None], w)[0], expected, atol=1e-9)


def test_a_monotone_curve_is_closer_to_a_monotone_truth():
    """A dose that saturates, with noise: the free spline wiggles, the projected one does not."""
    rng = np.random.default_rng(3)
    x = np.repeat(np.arange(9.0), 8)
    truth = 1 - np.exp(-np.arange(9.0) / 2)
    kind = np.tile(["u", "v"], 36)
    frame = pd.DataFrame({"x": x, "kind": kind, "y": truth[x.astype(int)] + rng.normal(0, 0.4, 72)})
    fit = cb.fit("y ~ bs(x, df=7) + kind", frame, draws=250)
    free, one = cb.dose(fit, "x", by="kind"), cb.dose(fit, "x", by="kind", monotone="increasing")
    assert (one["prediction"].diff("x") >= -1e-9).all()
    assert (one["slope"] >= -1e-9).all()
    error = {
        name: float(
            np.square(each["prediction"].sel(kind="u").mean(("chain", "draw")) - truth).mean()
        )
        for name, each in (("free", free), ("monotone", one))
    }
    assert error["monotone"] < error["free"]
    assert (one["p_monotone"] < 0.2).all()
    # The mean over a cell's rows is kept by projection, as by any least squares on a cone.
    np.testing.assert_allclose(one["prediction"].mean("x"), free["prediction"].mean("x"), rtol=1e-6)
    turned = cb.dose(
        cb.fit("z ~ bs(x, df=7) + kind", frame.assign(z=-frame["y"]), draws=250),
        "x",
        by="kind",
        monotone="decreasing",
    )
    np.testing.assert_allclose(
        turned["average_slope"].median(), -one["average_slope"].median(), rtol=0.1
    )


def test_a_straight_line_needs_no_projection(machine):
    free, one = cb.dose(machine, "pose"), cb.dose(machine, "pose", monotone="increasing")
    rising = machine["posterior"]["pose"] > 0
    np.testing.assert_allclose(one["prediction"].where(rising), free["prediction"].where(rising))
    np.testing.assert_allclose(
        one["average_slope"].where(rising), free["average_slope"].where(rising)
    )
    assert float(one["p_monotone"]) == pytest.approx(float(rising.mean()))


def test_impossible_monotone_curves(machine, human, rows, fit_at):
    with pytest.raises(DataError, match="increasing, decreasing"):
        cb.dose(machine, "pose", monotone="up")
    with pytest.raises(DataError, match="a single dose"):
        cb.dose(machine, "pose", grid=[1], monotone="increasing")
    draws = {"pose": np.array([0.5, 0.4]), "threshold": np.array([[-1.0, 1.0], [-1.1, 1.0]])}
    ordinal = fit_at("score ~ pose", rows, draws, family="cumulative", link="probit")
    with pytest.raises(DataError, match="exceedance"):
        cb.dose(ordinal, "pose", scale="probability", monotone="increasing")
    found = cb.dose(ordinal, "pose", scale="exceedance", monotone="increasing")
    assert set(found["p_monotone"].dims) == {"category"}


@pytest.mark.parametrize(
    ("variable", "grid", "told"),
    [
        ("race", None, "not a number.*use effects"),
        ("pose", [0, 7], "7 is outside.*from 0 to 3"),
        ("nope", None, "not a variable"),
    ],
)
def test_impossible_doses(machine, variable, grid, told):
    with pytest.raises(DataError, match=told):
        cb.dose(machine, variable, grid=grid)


def test_categories_have_no_slope(rows, fit_at):
    fit = fit_at("distance ~ C(pose)", rows, {"Intercept": [0.0], "C(pose)": [[1.0, 2, 3]]})
    with pytest.raises(DataError, match="enters the formula as categories"):
        cb.dose(fit, "pose")


# Heterogeneity and shares -----------------------------------------------------------------------


def test_share_of_seeds_whose_sign_flips(rows, fit_at):
    """Effects 1 + N(0, 1) of 15 seeds: of many draws a share of P(N(1, 1) < 0) = 0.159 flips."""
    rng = np.random.default_rng(7)
    many = 4000
    frame = rows.assign(moved=np.arange(len(rows)) // 15 % 2)
    draws = {
        "Intercept": np.zeros(many),
        "moved": np.ones(many),
        "sigma": np.ones(many),
        "1|seed": rng.normal(0, 1, (many, 15)),
        "moved|seed": rng.normal(0, 1, (many, 15)),
    }
    labels = np.array(sorted(map(str, range(15))))
    dims = dict.fromkeys(("1|seed", "moved|seed"), ("seed__factor_dim", labels))
    fit = fit_at("distance ~ moved + (moved|seed)", frame, draws, dims=dims)
    found = cb.heterogeneity(fit, "moved")
    effect = 1 + draws["moved|seed"]
    flipped = (np.sign(effect) != np.sign(effect.mean(axis=1, keepdims=True))).mean(axis=1)
    np.testing.assert_allclose(found["share_flipped"].values.ravel(), flipped)
    assert float(found["share_flipped"].mean()) == pytest.approx(0.159, abs=0.005)
    np.testing.assert_allclose(found["sd"].values.ravel(), effect.std(axis=1, ddof=1))


def test_seeds_without_slopes_have_one_effect(machine):
    with pytest.raises(DataError, match=r"every seed the same effect.*\(race\|seed\)"):
        cb.heterogeneity(machine, "race")


def shapley_by_brute_force(value, n):
    """Mean over all orders of what each player adds."""
    added = np.zeros(n)
    orders = list(itertools.permutations(range(n)))
    for order in orders:
        for at, player in enumerate(order):
            before = frozenset(order[:at])
            added[player] += value(before | {player}) - value(before)
    return added / len(orders)


def test_shares_are_shapleys(machine, rows):
    found = cb.variance_shares(machine)["share"].isel(chain=0)
    np.testing.assert_allclose(found.sum("source"), 1, rtol=1e-12)
    names = ["race", "gender", "pose"]
    weights = [rows[name].value_counts(normalize=True).sort_index() for name in names]
    draws = machine["posterior"].isel(chain=0)
    for draw in (0, 17):
        race = np.array([0, *draws["race"].values[draw]])
        cross = np.array([0, *draws["race:gender"].values[draw]])
        gender = np.array([0, draws["gender"].values[draw, 0]])
        f = (race[:, None] + gender + cross[:, None] * [0, 1])[..., None] + (
            draws["pose"].values[draw] * np.arange(4)
        )

        def variance(subset, f=f):
            mean = f
            for axis in (2, 1, 0):
                if axis not in subset:
                    mean = np.expand_dims(
                        np.average(mean, axis=axis, weights=weights[axis].to_numpy()), axis
                    )
            mean = np.broadcast_to(mean, f.shape)
            weight = np.einsum("i,j,k->ijk", *[one.to_numpy() for one in weights])
            return (weight * mean**2).sum() - (weight * mean).sum() ** 2

        expected = shapley_by_brute_force(variance, 3)
        rest = [draws["1|seed_sigma"].values[draw] ** 2, draws["sigma"].values[draw] ** 2]
        every = np.array([*expected, *rest])
        np.testing.assert_allclose(found.isel(draw=draw), every / every.sum(), rtol=1e-9)


# Comparison -------------------------------------------------------------------------------------


def test_units_of_a_comparison(human, machine):
    found = cb.compare(human, machine, "race")
    effect = cb.effects(machine, "race", scale="link")["effect"].values[0]
    sigma = machine["posterior"]["sigma"].values[0][:, None]
    total = np.sqrt(sigma**2 + machine["posterior"]["1|seed_sigma"].values[0][:, None] ** 2)
    # Half as many human draws: every other machine draw is kept, in a shuffled order.
    for unit, expected in (("residual sd", effect / sigma), ("total sd", effect / total)):
        ours = found["effect_b"].sel(unit=unit).values[0]
        away = np.abs(ours[:, :1] / expected[:, 0] - 1).min(axis=1)
        assert (away < 1e-12).all()
        assert len(np.unique(ours[:, 0])) == DRAWS // 2
    probit = human["posterior"]["race"].values[0]
    ours = found["effect_a"].sel(unit="residual sd").values[0]
    np.testing.assert_allclose(ours, probit, rtol=1e-9)
    larger = (abs(found["effect_b"]) > abs(found["effect_a"])).mean(["chain", "draw"])
    known = found["difference"].notnull().all(["chain", "draw"])
    np.testing.assert_allclose(found["p_larger"], larger.where(known))
    excess = (found["excess"] > 0).mean(["chain", "draw"])
    np.testing.assert_allclose(found["p_larger"], excess.where(known))


def test_swapping_the_fits_changes_the_sign(human, machine):
    one, other = cb.compare(human, machine, "race"), cb.compare(machine, human, "race")
    for name, sign in (("difference", -1), ("excess", -1)):
        mean = one[name].mean(["chain", "draw"])
        away = abs(mean - sign * other[name].mean(["chain", "draw"]))
        # The mean of a difference is that of its parts, but for which half of the draws is kept.
        near = away < 6 * one[name].std(["chain", "draw"]) / np.sqrt(DRAWS / 2)
        assert near.sel(unit=["residual sd", "total sd", "outcome sd", "error rate"]).all()


def test_an_outcome_with_its_sign_changed_has_the_same_effects_in_every_unit(human, rows):
    """The error rate too: both are then of one tail, though its change is not symmetric."""
    rng = np.random.default_rng(5)
    level = rows["race"].map({name: at for at, name in enumerate(sorted(rows["race"].unique()))})
    rows = rows.assign(distance=0.8 * level + rng.normal(size=len(rows)))
    fit, mirrored = (
        cb.fit("distance ~ race", rows.assign(distance=sign * rows["distance"])) for sign in (1, -1)
    )
    found = cb.compare(mirrored, fit, "race", opposite=True).median(["chain", "draw"])
    assert (found["effect_b"] > 0).all()
    np.testing.assert_allclose(found["effect_a"], found["effect_b"], rtol=0.02)
    plain, turned = (cb.compare(human, fit, "race", opposite=way) for way in (False, True))
    for unit in ("residual sd", "total sd", "outcome sd"):
        np.testing.assert_allclose(
            turned["effect_a"].sel(unit=unit), -plain["effect_a"].sel(unit=unit)
        )


def test_fits_of_one_random_seed_are_paired_as_independent(rows):
    """One engine's random numbers would else go into both fits' draws alike."""
    rng = np.random.default_rng(1)
    frames = [rows.assign(distance=rng.normal(size=len(rows))) for _ in "ab"]
    one, other = (cb.fit("distance ~ race", frame, random_seed=3) for frame in frames)
    effects = [
        cb.effects(fit, "race")["effect"].sel(race="b").values.ravel() for fit in (one, other)
    ]
    found = cb.compare(one, other, "race").sel(unit="residual sd", race="b")
    correlation = np.corrcoef(found["effect_a"].values.ravel(), found["effect_b"].values.ravel())
    assert abs(correlation[0, 1]) < 5 / np.sqrt(4000)
    assert len(effects[0]) == 4000


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 3), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_pairing_keeps_as_many_draws_as_the_fewer(chains, draws, other_chains, other_draws):
    sizes = [(chains, draws), (other_chains, other_draws)]
    given_ = [
        xr.Dataset({"v": (("chain", "draw", "k"), np.arange(c * d, dtype=float).reshape(c, d, 1))})
        for c, d in sizes
    ]
    both = paired(*given_)
    kept = min(c * d for c, d in sizes)
    for one, (c, d) in zip(both, sizes, strict=True):
        values = one["v"].values.ravel()
        assert len(values) == kept
        assert len(np.unique(values)) == kept
        assert values.max() < c * d


@pytest.mark.parametrize(
    ("variable", "options", "told"),
    [
        ("gender", {}, "not a variable of both fits.*they share: race"),
        ("race", {"by": "gender"}, "'gender' is not a variable of both"),
        ("race", {"reference": "z"}, "use one of a, b, c"),
        ("race", {"rate": 0}, "between 0 and 1"),
    ],
)
def test_impossible_comparisons(human, machine, variable, options, told):
    with pytest.raises(DataError, match=told):
        cb.compare(human, machine, variable, **options)


def test_disjoint_designs_name_what_is_shared(rows, fit_at, machine):
    draws = {"race": [[0.1]], "threshold": [[0.0, 1.0]]}
    frame = rows[rows["race"] != "c"].assign(race=lambda one: one["race"].map({"a": "x", "b": "c"}))
    other = fit_at("score ~ race", frame, draws, family="cumulative")
    with pytest.raises(DataError, match=r"share 1 levels.*score: c, x; distance: a, b, c"):
        cb.compare(other, machine, "race")


@pytest.mark.slow
def test_a_null_is_rejected_at_the_nominal_rate():
    """No effect in either of two fits: their 90% interval leaves zero out in 10% of 100 studies."""
    rng = np.random.default_rng(12)
    rejected = 0
    for study in range(100):
        frames = [
            pd.DataFrame({"y": rng.normal(0, sd, 60), "k": np.arange(60) % 2}) for sd in (1, 5)
        ]
        fits = [cb.fit("y ~ k", one, draws=250, random_seed=study) for one in frames]
        found = cb.compare(*fits, "k").sel(unit=["residual sd"])
        table = cb.summarise(found, prob=0.9)
        rejected += int(table["lower"].iloc[0] > 0 or table["upper"].iloc[0] < 0)
    # Binomial(100, 0.1): P(fewer than 2) = 3e-4, P(more than 21) = 3e-4.
    assert 2 <= rejected <= 21


# Hypotheses -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def effect():
    rng = np.random.default_rng(2)
    values = rng.normal([[0, 1], [2, 3]], 1, (2, 300, 2, 2))
    return xr.Dataset(
        {"effect": (("chain", "draw", "race", "level"), values)},
        coords={"race": ["a", "b c"], "level": [1, 2]},
    )


def test_expressions_are_arithmetic_on_draws(effect):
    told = {
        "linear": 'effect["b c", 2] - 2 * effect["a", 1]',
        "not": 'maximum(exp(effect["a", 2]), abs(-effect["b c", 1])) / 3 ** 0.5',
    }
    found = cb.hypotheses(effect, told)["value"]
    a1, a2, b1, b2 = (effect["effect"].values[:, :, i, j] for i in (0, 1) for j in (0, 1))
    np.testing.assert_allclose(found.sel(hypothesis="linear"), b2 - 2 * a1)
    expected = np.maximum(np.exp(a2), np.abs(b1)) / np.sqrt(3)
    np.testing.assert_allclose(found.sel(hypothesis="not"), expected)


@pytest.mark.parametrize(
    "text",
    [
        '__import__("os").system("true")',
        "effect.values",
        "effect[0].__class__",
        "lambda: 1",
        'effect["a", 1] if 1 else 2',
        "[x for x in effect]",
        "open('x')",
        "exp(effect, effect)",
        "effect['a', 1] @ 2",
        "effect['a', exit()]",
        "effect[effect]",
        "",
        "1 +",
        "(" * 300,
        "+".join(["effect['a', 1]"] * 300),
        "True",
        "'a'",
        "effect['a', 1] < 3",
        "other",
        "3 * 4",
        "effect['a':'b']",
        f"{'5' * 400} * effect['a', 1]",
        "10 ** 10 ** 10 * effect['a', 1]",
        "1 / 0 * effect['a', 1]",
    ],
)
def test_nothing_but_arithmetic_is_read(effect, text):
    with pytest.raises(DataError):
        cb.hypotheses(effect, {"h": text})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('effect["z", 1]', "'z' is not a race.*'a', 'b c'"),
        ('effect["a", "1"]', "'1' is not a level.*1, 2"),
        ('effect["a"]', "has dims race, level, not 1"),
    ],
)
def test_unknown_labels_name_the_known(effect, text, told):
    with pytest.raises(DataError, match=told):
        cb.hypotheses(effect, {"h": text})


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(0.5, 0.99))
@settings(max_examples=40, deadline=None)
def test_equivalence_splits_the_draws_in_three(centre, half, prob):
    draws = np.random.default_rng(0).normal(0.5, 1, (1, 500))
    one = xr.Dataset({"effect": (("chain", "draw"), draws)})
    found = cb.equivalence(one, (centre - half, centre + half), prob=prob)
    parts = [float(found[name]) for name in ("p_below", "p_rope", "p_above")]
    assert sum(parts) == pytest.approx(1)
    verdict = str(found["verdict"].item())
    if verdict == "equivalent":
        assert parts[1] >= prob - 0.01
    if verdict == "different":
        assert max(parts[0], parts[2]) >= 1 - (1 - prob) / 2 - 0.01


def test_a_table_says_what_it_is_of(machine):
    found = cb.equivalence(cb.effects(machine, "race", by="gender"), (-0.1, 0.1))
    failed = found.assign_attrs(failures='["R-hat is 1.3"]')
    html = cb.table(failed, prob=0.9).as_raw_html()
    settings_told = ("scale: response", "population: new", "rope: -0.1 to 0.1", "Lower 90%")
    for told in (*settings_told, "contrast of race against a", "NOT CONVERGED", "R-hat is 1.3"):
        assert told in html
    assert "NOT CONVERGED" not in cb.table(found).as_raw_html()


def test_labels_in_a_table_are_text(machine):
    found = cb.effects(machine, "race").assign_coords(race=["<script>x</script>", "b"])
    assert "<script>x" not in cb.table(found).as_raw_html()


def test_of_names_the_draws_there_are(machine):
    found = cb.dose(machine, "pose")
    assert len(cb.summarise(found, of="average_slope")) == 1
    with pytest.raises(DataError, match="prediction, slope, average_slope"):
        cb.summarise(found, of="nope")


@pytest.mark.parametrize("family", ["gaussian", "cumulative", "bernoulli"])
def test_a_model_of_an_intercept_has_its_verbs_and_the_intraclass_correlation(family):
    rng = np.random.default_rng(3)
    own = np.repeat(rng.normal(0, 1, 12), 10)
    y = own + rng.normal(size=120)
    y = {"gaussian": y, "cumulative": np.digitize(y, [-1, 0, 1]), "bernoulli": (y > 0).astype(int)}
    rows = pd.DataFrame({"y": y[family], "g": np.arange(120) // 10})
    for formula in ("y ~ 1", "y ~ 1 + (1|g)"):
        fit = cb.fit(formula, rows, family=family, draws=500, random_seed=1)
        mean = cb.summarise(cb.predictions(fit, ())).iloc[0]
        assert mean["lower"] < rows["y"].mean() < mean["upper"]
        checked = cb.check(fit)  # the first leaves groups out, which may show
    assert checked.attrs["verdict"] == "pass"
    share = cb.variance_shares(fit)["share"].sel(source="groups")
    posterior = fit["posterior"].to_dataset()
    noise = posterior["sigma"] ** 2 if family == "gaussian" else np.pi**2 / 3
    between = posterior["1|g_sigma"] ** 2
    np.testing.assert_allclose(share, between / (between + noise))


def test_a_seed_never_seen_in_a_race_is_named_where_its_own_effect_is_asked_for():
    cells = pd.MultiIndex.from_product([range(9), list("ab"), [0, 1]], names=["seed", "race", "x"])
    rows = cells.to_frame(index=False)
    rows["y"] = np.random.default_rng(0).normal(size=len(rows))
    rows = rows[~((rows["seed"] == 3) & (rows["race"] == "b"))]
    fit = cb.fit("y ~ race + x + (1|seed) + (1|seed:race)", rows, draws=200)
    with pytest.raises(DataError, match=r"no row of seed:race '3:b' was fitted.*population='new'"):
        cb.effects(fit, "race", population="these")
    assert np.isfinite(cb.summarise(cb.effects(fit, "race", population="new"))["estimate"]).all()
