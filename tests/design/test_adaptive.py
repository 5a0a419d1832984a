"""Adaptive annotation: the working posterior, and where the next judgements go."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.design.adaptive import place, posterior


def small(rng=0, items=20):
    random = np.random.default_rng(rng)
    x = np.column_stack([np.ones(items), np.arange(items) % 2])
    n = random.integers(0, 5, items)
    total = np.array([random.integers(0, 5, k).sum() for k in n], float)
    squares = total**2 / np.maximum(n, 1) + n
    return x, n, total, squares


def test_posterior_is_that_of_the_joint_normal_model():
    x, n, total, squares = small()
    mean, covariance, noise = posterior(x, n, total, squares, (0, 4))
    design = np.hstack([x, np.eye(len(x))])
    precision = (design.T * (n / noise)) @ design
    left = np.linalg.inv(covariance) - precision
    # What is left of the precision is the prior: diagonal, in proportion to the answers' own.
    assert np.allclose(left, np.diag(np.diag(left)), atol=1e-6)
    both = np.diag(left)[2:] * noise
    assert np.allclose(both, both[0])
    assert np.allclose(noise[::2], noise[0])  # items of one kind alike
    assert np.allclose(noise[1::2], noise[1])
    assert np.allclose(mean, covariance @ (design.T @ (total / noise)))


def test_the_error_after_placing_is_that_of_the_posterior_with_more_answers():
    x, n, total, squares = small()
    _, covariance, noise = posterior(x, n, total, squares, (0, 4))
    gradient = np.zeros(len(covariance))
    gradient[1] = 1.0
    chosen, error = place(covariance, gradient, x, noise, 15, np.full(len(x), 99))
    design = np.hstack([x, np.eye(len(x))])
    later = np.linalg.inv(np.linalg.inv(covariance) + (design.T * (chosen / noise)) @ design)
    assert chosen.sum() == 15
    assert error == pytest.approx(np.sqrt(later[1, 1]))


def test_each_judgement_goes_where_the_variance_falls_most():
    x, n, total, squares = small(3)
    _, covariance, noise = posterior(x, n, total, squares, (0, 4))
    gradient = np.zeros(len(covariance))
    gradient[1] = 1.0
    chosen, error = place(covariance, gradient, x, noise, 1, np.full(len(x), 99))
    every = [
        place(covariance, gradient, x, noise, 1, (np.arange(len(x)) == k) * 99)[1]
        for k in range(len(x))
    ]
    assert error == pytest.approx(min(every))
    assert chosen[int(np.argmin(every))] == 1


@pytest.fixture
def study():
    random = np.random.default_rng(1)
    items = pd.DataFrame({"item": [f"p{k}" for k in range(40)], "race": list("ab") * 20})
    items["kind"] = np.repeat(["genuine", "impostor"], 20)
    asked = np.repeat(items["item"].to_numpy(), 2)
    told = pd.DataFrame({"item": asked, "score": random.integers(0, 5, 80).astype(float)})
    return items, told


def test_nothing_is_spent_on_what_the_estimand_is_not_about(study):
    items, told = study
    plan, now = cb.design.next_items(
        items, told, "race*kind", {"race[b]": 1.0}, scale=(0, 4), count=30, limit=6
    )
    genuine = set(items["item"][:20])  # the reference kind: race[b] is its effect there
    assert set(plan["item"]) <= genuine
    assert plan["judgements"].sum() == 30
    assert plan["judgements"].max() <= 4
    assert now["expected"] < now["error"]


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        ({"target": {"pose": 1.0}}, "no coefficient 'pose'"),
        ({"count": 500, "limit": 6}, "the limit allows 160 judgements"),
        ({"scale": (0, 2)}, "outside the scale"),
        ({"formula": "race*beard"}, "'beard'"),
    ],
)
def test_what_cannot_be_planned_is_said(study, change, told_of):
    items, told = study
    given = {"formula": "race*kind", "target": {"race[b]": 1.0}, "scale": (0, 4), "count": 5}
    given |= change
    with pytest.raises(cb.DataError, match=told_of):
        cb.design.next_items(items, told, given.pop("formula"), given.pop("target"), **given)


def test_unknown_items_are_named(study):
    items, told = study
    with pytest.raises(cb.DataError, match="row 1: 'zz' is not a known item"):
        cb.design.next_items(
            items, told.assign(item="zz"), "race", {"race[b]": 1.0}, scale=(0, 4), count=3
        )


def test_the_working_model_is_unbiased_and_its_intervals_hold():
    """Near the ends of the scale, where weights by items' own means would pull the estimate."""
    from scipy.special import expit

    cuts, random = np.array([-2.5, -0.8, 0.8, 2.5]), np.random.default_rng(8)

    def mean(eta):
        return expit(eta[..., None] - cuts).sum(axis=-1)

    x = np.column_stack([np.ones(120), np.arange(120) % 2])
    level = np.where(x[:, 1] > 0, 1.5, 3.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    low, high = ((weights * mean(eta + 0.8 * nodes)).sum() / weights.sum() for eta in (1.5, 3.0))
    errors = []
    for _ in range(200):
        pairs = mean(level + random.normal(0, 0.8, 120))
        n = random.integers(1, 5, 120)
        answers = [random.binomial(4, one / 4, k) for one, k in zip(pairs, n, strict=True)]
        total, squares = (np.array([(a**k).sum() for a in answers], float) for k in (1, 2))
        found, covariance, _ = posterior(x, n, total, squares, (0, 4))
        errors.append(((found[1] - (low - high)), np.sqrt(covariance[1, 1])))
    miss, said = np.array(errors).T
    assert abs(miss.mean()) < 3 * miss.std() / np.sqrt(len(miss))
    assert said.mean() == pytest.approx(miss.std(), rel=0.2)
    assert 0.9 <= (np.abs(miss) < 1.96 * said).mean() <= 0.99
