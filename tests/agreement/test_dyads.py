"""Rank correlation and accuracy of pairs: other packages' values, influence by leaving one out."""

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from causalbias.agreement.dyads import accuracy, covariance_of, noise_share, pair_means, spearman

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module", params=["continuous", "tied"])
def columns(request):
    x = RANDOM.normal(size=300)
    y = 0.6 * x + RANDOM.normal(size=300)
    return (x, y) if request.param == "continuous" else (np.round(x), np.round(2 * y))


def test_spearman_is_that_of_scipy(columns):
    assert spearman(*columns)[0] == pytest.approx(spearmanr(*columns).statistic)


def test_accuracy_without_ties_is_kendalls_tau():
    x, y = RANDOM.normal(size=(2, 120))
    share, ties, _ = accuracy(x, y, np.random.default_rng(1))
    assert 2 * share - 1 == pytest.approx(kendalltau(x, y).statistic)
    assert ties == 0


def test_accuracy_counts_ties_of_the_metric_a_half_and_those_of_people_not_at_all():
    judged, metric = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 0.0, 5.0, 1.0])
    # (1, 2) tied, (1, 3) and (1, 4) right, (2, 3) tied by people, (2, 4) right, (3, 4) wrong.
    share, ties, _ = accuracy(judged, metric, np.random.default_rng(1))
    assert share == pytest.approx(3.5 / 5)
    assert ties == pytest.approx(1 / 5)


@pytest.mark.parametrize("which", ["spearman", "accuracy", "noise"])
def test_influence_is_what_leaving_a_row_out_changes(columns, which):
    x, y = columns
    noise = np.abs(RANDOM.normal(size=len(x)))

    def statistic(kept):
        if which == "spearman":
            return spearman(x[kept], y[kept])
        if which == "accuracy":
            share, _, influence = accuracy(x[kept], y[kept], np.random.default_rng(1))
            return share, influence
        return noise_share(x[kept], 0.1 * noise[kept])

    n = len(x)
    whole, influence = statistic(np.arange(n))
    left = [(n - 1) * (whole - statistic(np.delete(np.arange(n), at))[0]) for at in range(40)]
    assert influence.mean() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(influence[:40], left, atol=0.06, rtol=0.06)


@pytest.mark.parametrize("size", [2, 3])
def test_covariance_is_the_sum_over_rows_that_share_a_face(size):
    members = np.array(list(itertools.combinations(range(7), size)))[RANDOM.permutation(20)]
    members = np.vstack([members, members[:3, ::-1]])  # some are judged again
    # Effects of faces, so that the sum is positive and nothing is clipped.
    face = RANDOM.normal(size=(7, 2))
    values = face[members].sum(axis=1) + 0.1 * RANDOM.normal(size=(len(members), 2))
    total = np.zeros((2, 2))
    for one, two in itertools.product(range(len(members)), repeat=2):
        if set(members[one]) & set(members[two]):
            total += np.outer(values[one], values[two])
    own = values.T @ values
    low = np.linalg.eigvalsh(total - own)[0]
    assert low > 0
    np.testing.assert_allclose(covariance_of(values, members), total * 7 / 6)


def judgements(pairs=60, each=4, leniency=1.0, own=3, seed=0):
    """Judgements of pairs by raters who judged `own` pairs each, at random: codes and truth."""
    random = np.random.default_rng(seed)
    truth, pair = random.normal(size=pairs), np.tile(np.arange(pairs), each)
    rater = np.concatenate([random.permutation(pairs) // own + at * pairs for at in range(each)])
    rater = np.unique(rater, return_inverse=True)[1]
    lenient = leniency * random.normal(size=rater.max() + 1)
    return truth[pair] + lenient[rater] + 0.5 * random.normal(size=len(pair)), pair, rater, truth


def test_means_of_pairs_are_generalised_least_squares_by_the_whole_covariance_matrix():
    y, pair, rater, _ = judgements()
    means, variance = pair_means(y, pair, rater)
    x, z = np.eye(60)[pair], np.eye(rater.max() + 1)[rater]
    both = np.hstack([x, z])
    residual = y - both @ np.linalg.lstsq(both, y, rcond=None)[0]
    noise = residual @ residual / (len(y) - np.linalg.matrix_rank(both))
    apart = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    of_raters = apart @ apart / (len(y) - 60) - noise
    inverse = np.linalg.inv(noise * np.eye(len(y)) + of_raters * z @ z.T)
    covariance = np.linalg.inv(x.T @ inverse @ x)
    np.testing.assert_allclose(means, covariance @ x.T @ inverse @ y, atol=1e-8)
    centre = np.eye(60) - 1 / 60
    assert variance.mean() == pytest.approx((centre @ covariance @ centre).diagonal().mean(), 0.02)


def test_means_of_pairs_leave_leniency_out_of_any_design():
    errors = []
    for seed in range(30):
        y, pair, rater, truth = judgements(leniency=2.0, own=6, seed=seed)
        means, variance = pair_means(y, pair, rater)
        off = means - truth
        errors.append(((off - off.mean()) ** 2).mean() / variance.mean())
        plain = np.bincount(pair, y) / 4 - truth
        assert off.var() < plain.var()
    assert np.mean(errors) == pytest.approx(1, abs=0.12)  # the noise is as large as it says
    # Complete: two-way analysis of variance.
    table = RANDOM.normal(size=(20, 5)) + np.arange(20)[:, None] + np.array([0, 3, -2, 5, 1])
    rows, columns = np.indices(table.shape)
    means, variance = pair_means(table.ravel(), rows.ravel(), columns.ravel())
    np.testing.assert_allclose(np.diff(means), np.diff(table.mean(axis=1)))
    rest = table - table.mean(axis=0) - table.mean(axis=1)[:, None] + table.mean()
    np.testing.assert_allclose(variance, (rest**2).sum() / (19 * 4) / 5)
    # Raters of alike pairs and of others have nothing in common; then each rater judged one pair.
    block = columns + 5 * (rows >= 10)
    means = pair_means(table.ravel(), rows.ravel(), block.ravel())[0]
    np.testing.assert_allclose(means, table.mean(axis=1))
    means, variance = pair_means(table.ravel(), rows.ravel(), np.arange(100))
    np.testing.assert_allclose(means, table.mean(axis=1))
    np.testing.assert_allclose(variance, table.var(axis=1, ddof=1).mean() / 5)
