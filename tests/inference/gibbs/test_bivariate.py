"""The sampler of scores and distances where they hardly differ, which is where chains get stuck."""

import arviz as az
import numpy as np
import pytest
from scipy import sparse

from causalbias.inference.gibbs import BivariateData, sample_bivariate


def simulated(rng, answers, seeds=30, pairs=150):
    """A network that follows likeness without noise, people who do with much, seeds that matter
    to neither: the pairs' outcomes correlate all but perfectly, and the seeds' variance is zero.
    """
    group = np.repeat([0.0, 1.0], pairs // 2)
    likeness = 0.6 * group + rng.standard_normal(pairs)
    noise = 1.5 * rng.standard_normal(pairs) / np.sqrt(answers)
    codes = rng.integers(0, seeds, pairs)
    return BivariateData(
        mean=likeness + noise,
        count=answers.astype(float),
        within=float(1.5**2 * rng.chisquare((answers - 1).sum())),
        distance=-likeness,
        design=np.column_stack([np.ones(pairs), group]),
        members=[sparse.csr_matrix(np.eye(seeds)[codes])],
        scale=np.full(2, 2.5),
    )


@pytest.mark.parametrize("most", [4, 12])
def test_draws_of_a_difference_of_effects_are_nearly_independent(most):
    """Where scores are drawn given distances, and effects given scores, chains need 10 times as
    many draws: pairs with fewer answers than others are those that are drawn in part.
    """
    rng = np.random.default_rng(2)
    data = simulated(rng, rng.integers(3, most, 150, endpoint=True))
    found = [sample_bivariate(data, draws=300, tune=100, rng=one) for one in rng.spawn(4)]
    effect = np.stack([one["coefficient"][:, 1] for one in found])
    pairs = np.stack([one["covariance"][:, -1] for one in found])
    spread = np.sqrt(np.diagonal(pairs, axis1=-2, axis2=-1))
    difference = (effect / spread).sum(axis=-1)  # of distances they have the other sign
    assert float(az.ess(difference)) > 0.4 * difference.size
    assert abs(difference.mean()) < 3 * difference.std()
    sds = np.sqrt(np.stack([one["covariance"][:, 0, 0, 0] for one in found]))
    assert float(az.ess(sds)) > 0.05 * sds.size


def test_answers_told_one_by_one_or_as_their_mean_give_one_posterior():
    """Of a pair with many answers and of others with few, the many are drawn to for all: what is
    known of the others must not grow by that.
    """
    rng = np.random.default_rng(4)
    few = simulated(rng, np.full(150, 3))
    added = BivariateData(
        mean=np.append(few.mean, 0.0),
        count=np.append(few.count, 60.0),
        within=few.within + 1.5**2 * 59,
        distance=np.append(few.distance, 0.0),
        design=np.vstack([few.design, [1.0, 0.0]]),
        members=[sparse.vstack([few.members[0], few.members[0][:1]]).tocsr()],
        scale=few.scale,
    )
    spread = []
    for data in (few, added):
        found = [sample_bivariate(data, draws=500, tune=100, rng=one) for one in rng.spawn(2)]
        spread.append(np.concatenate([one["coefficient"][:, 1, 0] for one in found]).std())
    assert spread[1] == pytest.approx(spread[0], rel=0.15)
