"""Latent directions: planted ones come back, and nothing else moves along them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import causalbias as cb
from causalbias.stimuli.directions import orthogonal
from causalbias.stimuli.regression import ordinal
from causalbias.stimuli.traversals import nearest

NAMES = ["age", "gender", "pose", "smiling"]


def planted(features, rng=0, overlap=0.5, names=NAMES):
    """Weights of length 10 that share a direction: cosines of about `overlap`."""
    random = np.random.default_rng(rng)
    rows = np.sqrt(overlap) * random.normal(size=features) + np.sqrt(1 - overlap) * (
        random.normal(size=(len(names), features))
    )
    return 10 * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rated(features, faces=1000, raters=20, sd=20.0, rng=0):
    """Latents, true weights, and mean ratings of a face by several noisy raters."""
    random = np.random.default_rng(rng + 100)
    weight = planted(features, rng)
    latent = random.normal(size=(faces, features))
    noise = random.normal(size=(faces, len(NAMES))) * sd / np.sqrt(raters)
    return latent, weight, pd.DataFrame(50 + latent @ weight.T + noise, columns=NAMES)


@pytest.mark.parametrize("features", [32, 64, 128])
def test_planted_directions_come_back_from_a_thousand_rated_faces(features):
    latent, weight, ratings = rated(features)
    found = cb.stimuli.fit_directions(latent, ratings)
    raw = (found["raw"].to_numpy() * weight).sum(axis=1) / 10
    cosine = (found["direction"].to_numpy() * orthogonal(weight)[0]).sum(axis=1)
    assert raw.min() > 0.95
    assert cosine.min() > 0.95
    # What it says of its own certainty: cosines of draws with the fit, not of the fit with truth,
    # but both come of the same spread.
    np.testing.assert_allclose(found["certainty"], cosine, atol=0.02)


def test_ordered_answers_and_two_categories_find_them_too():
    latent, weight, ratings = rated(16)
    cuts = np.array([35, 45, 55, 65])
    answers = ratings.apply(lambda column: np.searchsorted(cuts, column))
    for kind, seen in (("ordinal", answers), ("logistic", (answers > 2).astype(int))):
        found = cb.stimuli.fit_directions(latent, seen, kind)
        assert ((found["direction"].to_numpy() * orthogonal(weight)[0]).sum(axis=1) > 0.95).all()


def test_leaks_hold_zero_after_orthogonalisation_and_visibly_not_before():
    """What moving truly leaks is within the predicted intervals as often as they say."""
    held, before = [], []
    for rng in range(12):
        latent, weight, ratings = rated(64, rng=rng)
        found = cb.stimuli.fit_directions(latent, ratings, random_seed=rng)
        off = ~np.eye(len(NAMES), dtype=bool).ravel()
        step = found["direction"].to_numpy()
        truth = (step @ weight.T / (step * weight).sum(axis=1)[:, None]).ravel()[off]
        after = cb.stimuli.predicted_leaks(found)[off]
        held.append((after["lower"] <= truth) & (truth <= after["upper"]))
        assert (after["estimate"].abs() < 1e-9).all()
        raw = cb.stimuli.predicted_leaks(found, orthogonalised=False)[off]
        before.append(raw["lower"] > 0.1)
    # 144 intervals of 95%, alike within a replicate
    assert 0.88 <= np.mean(held) <= 1.0
    assert np.mean(before) > 0.95


def test_weights_agree_with_a_ridge_solved_directly():
    latent, _, ratings = rated(32, faces=200)
    from causalbias.stimuli.regression import ridge

    x, y = latent - latent.mean(axis=0), ratings["age"].to_numpy()
    found = ridge(x, y, 4000, np.random.default_rng(0))
    inner = x.T @ x + found.penalty * np.eye(32)
    np.testing.assert_allclose(found.weight, np.linalg.solve(inner, x.T @ (y - y.mean())))
    covariance = found.residual**2 * np.linalg.inv(inner)
    np.testing.assert_allclose(found.draws.std(axis=0), np.sqrt(np.diag(covariance)), rtol=0.05)


def test_the_penalty_is_the_ratio_of_variances_that_made_the_data():
    random = np.random.default_rng(4)
    x = random.normal(size=(2000, 200))
    y = x @ random.normal(0, 0.5, 200) + random.normal(0, 3, 2000)
    from causalbias.stimuli.regression import ridge

    found = ridge(x, y, 1, random)
    assert found.penalty == pytest.approx(3**2 / 0.5**2, rel=0.25)  # 200 weights tell it
    assert found.residual == pytest.approx(3, rel=0.05)


def test_ordinal_mode_is_the_optimum_of_the_likelihood():
    random = np.random.default_rng(5)
    x = random.normal(size=(300, 3))
    y = np.searchsorted([-1.0, 0.5, 1.5], x @ [1.0, -0.5, 0.0] + random.logistic(size=300))
    found = ordinal(x, y, 3000, random)

    def cost(theta):
        cuts = np.concatenate([[-np.inf], np.cumsum([theta[3], *np.exp(theta[4:])]), [np.inf]])
        logistic = 1 / (1 + np.exp(-(cuts[None] - (x @ theta[:3])[:, None])))
        mass = np.diff(logistic, axis=1)[np.arange(300), y]
        return -np.log(mass).sum() + found.penalty / 2 * (theta[:3] ** 2).sum()

    direct = minimize(cost, np.array([0, 0, 0, -1, 0.5, 0.0]), method="BFGS")
    np.testing.assert_allclose(found.weight, direct.x[:3], atol=1e-4)
    np.testing.assert_allclose(
        found.draws.std(axis=0), np.sqrt(np.diag(direct.hess_inv))[:3], rtol=0.1
    )


@given(rng=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_nearest_point_is_that_of_a_general_optimiser(rng):
    random = np.random.default_rng(rng)
    weight = random.normal(size=(3, 5))
    low = random.normal(size=3)
    high = low + np.abs(random.normal(size=3)) * np.array([1, 1, 0])
    step = nearest(weight, low, high)
    assert (weight @ step >= low - 1e-7).all()
    assert (weight @ step <= high + 1e-7).all()
    limits = [
        {"type": "ineq", "fun": lambda d: weight @ d - low},
        {"type": "ineq", "fun": lambda d: high - weight @ d},
    ]
    other = minimize(lambda d: (d**2).sum(), np.zeros(5), constraints=limits, method="SLSQP")
    assert np.linalg.norm(step) <= np.linalg.norm(other.x) + 1e-5


def test_prototypes_reach_their_group_and_hold_the_rest():
    latent, _, ratings = rated(24)
    found = cb.stimuli.fit_directions(latent, ratings)
    cells = {"old": {"age": (65.0, 100.0)}, "young man": {"age": 40.0, "gender": (0.0, 45.0)}}
    made = cb.stimuli.prototypes(latent[:20], found, cells, hold=["smiling"])
    score = (made["latent"] - found["centre"]) @ found["weight"] + found["intercept"]
    own = (latent[:20] - found["centre"].to_numpy()) @ found["weight"].to_numpy().T
    own += found["intercept"].to_numpy()
    assert (score.sel(cell="old", attribute="age") >= 65 - 1e-6).all()
    assert np.allclose(score.sel(cell="young man", attribute="age"), 40)
    assert (score.sel(cell="young man", attribute="gender") <= 45 + 1e-6).all()
    assert np.allclose(score.sel(attribute="smiling"), own[:, [3]])
    already = own[:, 0] >= 65
    assert np.allclose(made["moved"].sel(cell="old")[already], 0, atol=1e-9)
    assert (made["moved"].sel(cell="old")[~already] > 0).all()


def test_traversals_are_seen_in_equal_steps():
    latent, weight, ratings = rated(24)
    found = cb.stimuli.fit_directions(latent, ratings)
    made = cb.stimuli.traverse(np.zeros((3, 24)), found, "age", [-10, 0, 10, 20])
    seen = made.to_numpy() @ weight.T
    # Ratings' means have an error of 20/sqrt(20) on 1,000 faces: 4.5/sqrt(1000) a weight.
    np.testing.assert_allclose(seen[..., 0], np.tile([-10, 0, 10, 20], (3, 1)), atol=0.6)
    np.testing.assert_allclose(seen[..., 1:], 0, atol=1.0)


def test_equal_steps_undo_a_curve():
    random = np.random.default_rng(0)
    moved = np.repeat(np.linspace(-3, 3, 13), 200)
    seen = 50 + 40 * np.tanh(moved / 2) + random.normal(0, 15, len(moved))
    found = cb.stimuli.equal_steps(moved, seen, 5)
    truth = 2 * np.arctanh(np.linspace(-1, 1, 5) * np.tanh(1.5))
    assert (np.abs(found["displacement"] - truth) < 0.35).all()
    inner = found.iloc[1:-1]
    assert ((inner["lower"] - 0.1 <= truth[1:-1]) & (truth[1:-1] <= inner["upper"] + 0.1)).all()


def test_intervals_of_equal_steps_are_as_wide_as_few_ratings_make_them():
    """Against plain arithmetic: halfway between two means, of 5 ratings each, far apart."""
    random = np.random.default_rng(0)
    ratios = []
    for rng in range(20):
        seen = np.array([[0.0], [1000.0]]) + random.normal(0, 5, (2, 5))
        found = cb.stimuli.equal_steps(
            np.repeat([0.0, 1000.0], 5), seen.ravel(), 3, prob=0.5, random_seed=rng
        )
        error = np.sqrt(seen.var(axis=1, ddof=1).sum() / 5) / 2
        ratios.append((found["upper"] - found["lower"])[1] / (2 * 0.6745 * error))
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)  # without (n - 1) / n: 0.89


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.iloc[:-1], "latents"),
        (lambda r: r.assign(age="x"), r"'age', row 1: 'x' is not a number"),
        (lambda r: r.assign(age=3.0), "1 different values"),
        (lambda r: r.assign(pose=r["age"]), "cannot be distinguished"),
        (lambda r: r.assign(age=np.where(np.arange(len(r)) < 9, r["age"], np.nan)), "9 ratings"),
    ],
)
def test_ratings_that_cannot_be_used(change, told):
    latent, _, ratings = rated(8, faces=60)
    with pytest.raises(cb.DataError, match=told):
        cb.stimuli.fit_directions(latent, change(ratings))


def test_latents_that_do_not_vary():
    with pytest.raises(cb.DataError, match="all latents are equal"):
        cb.stimuli.fit_directions(np.zeros((20, 3)), pd.DataFrame({"age": range(20)}))


def test_unknown_attributes_and_unreachable_groups():
    latent, _, ratings = rated(8, faces=60)
    found = cb.stimuli.fit_directions(latent, ratings)
    with pytest.raises(cb.DataError, match="no direction"):
        cb.stimuli.traverse(latent, found, "beard", [0, 1])
    with pytest.raises(cb.DataError, match="not a known attribute"):
        cb.stimuli.prototypes(latent, found, {"a": {"beard": 1.0}})
    with pytest.raises(cb.DataError, match="range"):
        cb.stimuli.prototypes(latent, found, {"a": {"age": (9.0, 1.0)}})
    with pytest.raises(cb.DataError, match="does not rise"):
        cb.stimuli.equal_steps(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 2)


def moved_faces(found, which, weight, random, points=20.0, seeds=40):
    """Fresh ratings of faces moved along each attribute by points of its own rating."""
    base = random.normal(size=(seeds, weight.shape[1]))
    faces = cb.design.one_at_a_time(
        {"seed": range(seeds)}, {name: [0.0, points / 2, points] for name in NAMES}
    )
    step = found[which].to_numpy()
    own = (step * found["weight"].to_numpy()).sum(axis=1)
    at = [NAMES.index(name) for name in faces["attribute"]]
    along = (faces["level"].to_numpy() / own[at])[:, None] * step[at]
    seen = 50 + (base[faces["seed"]] + along) @ weight.T
    seen += random.normal(size=seen.shape) * 20 / np.sqrt(10)
    scores = pd.DataFrame(seen, columns=NAMES).assign(stimulus=faces["stimulus"])
    scores = scores.melt("stimulus", var_name="question", value_name="score")
    study = cb.make_study(factors=["seed", "attribute", "level"], stimuli=faces)
    return cb.manipulation_checks.leaks(study, scores)


def test_new_ratings_of_moved_faces_show_leaks_before_and_few_after():
    clear = {"raw": [], "direction": []}
    for rng in range(8):
        latent, weight, ratings = rated(32, rng=rng)
        found = cb.stimuli.fit_directions(latent, ratings, draws=10)
        for which, seen in clear.items():
            table = moved_faces(found, which, weight, np.random.default_rng(rng))
            assert table[table["own"]]["clear"].all()
            seen += table[~table["own"]]["clear"].tolist()
    assert np.mean(clear["raw"]) > 0.95
    # 96 intervals of 95%; the directions' own errors make a few more clear
    assert np.mean(clear["direction"]) < 0.2


def test_more_features_than_faces_agree_with_the_problem_solved_in_full():
    random = np.random.default_rng(2)
    x = random.normal(size=(40, 60))
    x -= x.mean(axis=0)
    y = np.searchsorted([-4.0, 4.0], 2 * x[:, :5].sum(axis=1) + random.logistic(size=40))
    found = ordinal(x, y, 6000, random)
    from causalbias.stimuli.regression import _newton

    start = np.concatenate([np.zeros(60), [-0.5, 0.5]])
    theta, hessian = _newton(x, y, 3, found.penalty, start)
    np.testing.assert_allclose(found.weight, theta[:60], atol=1e-6)
    spread = np.sqrt(np.diag(np.linalg.inv(hessian))[:60])
    np.testing.assert_allclose(found.draws.std(axis=0), spread, rtol=0.05)


def test_prototypes_by_yes_and_no_reach_their_odds():
    latent, _, ratings = rated(12)
    odds = (ratings - 50) / 5 + np.random.default_rng(0).logistic(size=ratings.shape)
    found = cb.stimuli.fit_directions(latent, (odds > 0).astype(int), "logistic")
    cells = {"woman": {"gender": (2.0, np.inf)}, "man": {"gender": [-np.inf, -2.0]}}
    made = cb.stimuli.prototypes(latent[:30], found, cells, hold=["age"])
    logit = (made["latent"] - found["centre"]) @ found["weight"] + found["intercept"]
    assert (logit.sel(cell="woman", attribute="gender") >= 2 - 1e-6).all()
    assert (logit.sel(cell="man", attribute="gender") <= -2 + 1e-6).all()
    start = (latent[:30] - found["centre"].to_numpy()) @ found["weight"].to_numpy().T
    start += found["intercept"].to_numpy()
    assert np.allclose(logit.sel(attribute="age"), start[:, [0]])
    # The intercept is the one that made the data: about 0.
    assert np.abs(found["intercept"]).max() < 0.5
    with pytest.raises(cb.DataError, match="no scale of ratings"):
        cb.stimuli.prototypes(latent, found.assign_attrs(kind="ordinal"), cells)


@pytest.mark.parametrize(
    ("latent", "cells"),
    [
        (np.zeros((1, 7)), {"a": {"age": 60.0}}),
        (np.full((1, 8), np.nan), {"a": {"age": 60.0}}),
        (np.zeros((1, 8)), {"a": {}}),
        (np.zeros((1, 8)), {"a": {"age": (np.inf, np.inf)}}),
        (np.zeros((1, 8)), {"a": {"age": (1.0, 2.0, 3.0)}}),
    ],
)
def test_prototypes_that_cannot_be_asked_for(latent, cells):
    known, _, ratings = rated(8, faces=60)
    found = cb.stimuli.fit_directions(known, ratings)
    with pytest.raises(cb.DataError):
        cb.stimuli.prototypes(latent, found, cells)
    if latent.shape[1] == 7:
        with pytest.raises(cb.DataError, match="latents of shape"):
            cb.stimuli.traverse(latent, found, "age", [0, 1])
