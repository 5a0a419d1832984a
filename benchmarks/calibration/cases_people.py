"""Coverage of what is said of annotators and their consensus, and of the manipulation checks.

Parameters are fixed; items, annotators and answers are drawn anew. `hcic` and `graded_response`
have an interval for each item, whose own true mean it should hold.
"""

from functools import cache

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats
from scipy.special import expit

import causalbias as cb
from benchmarks.calibration.intervals import Record, of_table

CUTS = np.array([-2.0, -0.7, 0.7, 2.0])
SPREAD = 2.0  # standard deviation of the items' latent values, in logits
SETTINGS = {"60 items, 6 answers each": (60, 6), "200 items, 3 answers each": (200, 3)}


def people(replicate: int) -> list[Record]:
    """Reliability, consensus, and errors shared by two judges."""
    rng = np.random.default_rng([5, replicate])
    items, each = list(SETTINGS.values())[replicate % len(SETTINGS)]
    latent = rng.normal(0, SPREAD, items)
    alike = study_of(latent, each, rng, annotators=None)
    true = true_reliability(each)
    mean = expit(latent[:, None] - CUTS).sum(axis=1)
    found = of_table(
        "reliability: {measure}",
        lambda prob: cb.reliability(alike, prob=prob, resamples=600, random_seed=replicate),
        lambda row: true[row["measure"]],
    )
    found += of_table(
        "hcic: mean of all annotators, each item",
        lambda prob: cb.agreement.hcic(alike, prob=prob).rename(columns={"mean": "estimate"}),
        lambda row: mean[int(row["stimulus"][1:])],
    )
    differ = study_of(latent, each, rng, annotators=items * each // 20)
    found += of_table(
        "graded_response: mean of a typical annotator, each item",
        lambda prob: items_of(cb.agreement.graded_response(differ, prob=prob)),
        lambda row: mean[int(row["stimulus"][1:])],
    )
    return found + consistency(rng, replicate)


def items_of(graded: xr.Dataset) -> pd.DataFrame:
    return graded.drop_dims("annotator").rename(mean="estimate").to_dataframe()


def study_of(latent: np.ndarray, each: int, rng: np.random.Generator, annotators: int | None):
    """A study of answers; exchangeable, or by annotators of unequal severity and discrimination."""
    items = np.repeat(np.arange(len(latent)), each)
    who = np.arange(len(items)) if annotators is None else np.empty(len(items), int)
    severity, sharp = np.zeros(len(items)), np.ones(len(items))
    if annotators is not None:
        who = np.concatenate([rng.permutation(annotators)[:each] for _ in latent])
        severity, sharp = rng.normal(0, 0.5, annotators), np.exp(rng.normal(0, 0.25, annotators))
    passing = expit(
        sharp[who, None] * (latent[items] - severity[who])[:, None] - CUTS * sharp[who, None]
    )
    score = (rng.uniform(size=(len(items), 1)) < passing).sum(axis=1)
    names = np.array([f"s{k}" for k in range(len(latent))])
    return cb.make_study(
        factors=["seed"],
        stimuli=pd.DataFrame({"stimulus": names, "seed": np.arange(len(latent))}),
        judgements=pd.DataFrame(
            {
                "stimulus": names[items],
                "question": "identity",
                "score": score.astype(float),
                "annotator": [f"p{k}" for k in who],
            }
        ),
        scales=(0, 4),
    )


@cache
def true_reliability(each: int) -> dict[str, float]:
    """Of the population of items: by quadrature, alpha from the expected coincidences."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(81)
    passing = expit(SPREAD * nodes[:, None] - CUTS)
    edge = np.ones((81, 1))
    chance = -np.diff(np.concatenate([edge, passing, 0 * edge], axis=1), axis=1)
    weights = weights / weights.sum()
    margins, codes = weights @ chance, np.arange(5)
    together = (chance * weights[:, None]).T @ chance
    middle = np.cumsum(margins) - margins / 2
    apart = {
        "nominal": 1 - np.eye(5),
        "ordinal": (middle[:, None] - middle) ** 2,
        "interval": (codes[:, None] - codes) ** 2.0,
    }
    found = {
        f"alpha ({name})": 1 - (together * one).sum() / (margins @ one @ margins)
        for name, one in apart.items()
    }
    single = found["alpha (interval)"]  # share of one answer's variance that is between items
    return found | {"ICC(1)": single, "ICC(k)": each * single / (1 + (each - 1) * single)}


def consistency(rng: np.random.Generator, seed: int) -> list[Record]:
    """Two judges whose errors share something, on genuine pairs of 40 seeds."""
    share, chance, seeds, each = 0.5, np.array([0.8, 0.7]), 40, 8
    of_seed, of_pair = 0.3, 0.2  # parts of the variance that both judges share
    both = np.repeat(rng.normal(0, np.sqrt(of_seed), seeds), each)
    both = both + rng.normal(0, np.sqrt(of_pair), len(both))
    own = rng.normal(0, np.sqrt(1 - share), (2, len(both)))
    right = both + own < stats.norm.ppf(chance)[:, None]
    frame = pd.DataFrame({"seed": np.repeat(np.arange(seeds), each), "a": right[0], "b": right[1]})
    joint = stats.multivariate_normal([0, 0], [[1, share], [share, 1]]).cdf(stats.norm.ppf(chance))
    observed = 2 * joint + 1 - chance.sum()
    expected = chance.prod() + (1 - chance).prod()
    return of_table(
        "error_consistency",
        lambda prob: cb.agreement.error_consistency(
            frame, "a", "b", clusters="seed", prob=prob, random_seed=seed
        ).rename(columns={"kappa": "estimate"}),
        lambda _: (observed - expected) / (1 - expected),
    )
