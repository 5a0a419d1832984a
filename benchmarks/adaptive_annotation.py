"""How many judgements `next_items` saves, against random assignment, on a simulated study.

Pairs of two races: genuine ones at four poses and impostors, 60 pairs a cell, answered 0 to 4. Two
estimands: the effect of race on the mean score of genuine pairs over poses, and at the last pose.
Three schemes: random over the whole pool, random over the pairs that the estimand is about, and
adaptive over the whole pool. All begin with the same two answers of 12 pairs a cell, and are
analysed alike, by `posterior`.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from causalbias.design.adaptive import next_items, posterior
from causalbias.design.estimability import common_matrix

CELLS = {"g0": 4.0, "g1": 2.5, "g2": 1.0, "g3": -0.5, "impostor": -4.0}
RACE = {"g0": -0.3, "g1": -0.6, "g2": -0.8, "g3": -0.8, "impostor": 0.5}
CUTS = np.array([-2.5, -0.8, 0.8, 2.5])
PAIRS, SD_PAIR, SD_PERSON = 60, 0.8, 0.7
FIRST, START, ROUND, ROUNDS, LIMIT = 12, 2, 96, 12, 30
REPLICATES = 40
ESTIMANDS = {"genuine, all poses": ["g0", "g1", "g2", "g3"], "genuine, last pose": ["g3"]}
SCALE = (0, 4)
FORMULA = "race*cell"


def pool(random):
    rows = [(race, cell) for race in "ab" for cell in CELLS for _ in range(PAIRS)]
    items = pd.DataFrame(rows, columns=["race", "cell"])
    items["item"] = [f"p{k:03d}" for k in range(len(items))]
    mean = items["cell"].map(CELLS) + items["cell"].map(RACE) * (items["race"] == "b")
    return items, mean.to_numpy() + random.normal(0, SD_PAIR, len(items))


def answers(latent, random):
    """Each by a person of their own severity."""
    felt = latent + random.normal(0, SD_PERSON, len(latent)) + random.logistic(size=len(latent))
    return np.searchsorted(CUTS, felt).astype(float)


def truth(about):
    """Effect in the population of pairs, by quadrature over pairs and persons."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    sd = np.hypot(SD_PAIR, SD_PERSON)

    def mean(eta):
        return (weights * expit(eta + sd * nodes - CUTS[:, None]).sum(0)).sum() / weights.sum()

    return np.mean([mean(CELLS[c] + RACE[c]) - mean(CELLS[c]) for c in about])


def variances(cell, race):
    """Of a cell's pairs about its mean, and of answers about their pair's mean, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    eta = CELLS[cell] + race * RACE[cell] + SD_PAIR * nodes
    above = expit(eta[:, None, None] + SD_PERSON * nodes[:, None] - CUTS)  # pair, person, cut
    above = np.einsum("pqc,q->pc", above, weights)
    mean = above.sum(axis=1)
    squares = (above * (2 * np.arange(len(CUTS)) + 1)).sum(axis=1)
    return weights @ (mean - weights @ mean) ** 2, weights @ (squares - mean**2)


def fewest(about):
    """Judgements with which the best allocation over the cells' pairs equals random over the pool.

    What pairs differ by cannot be lowered by asking, so that it is what answers scatter by that is
    made equal, with judgements in proportion to its root in each cell (Neyman 1934). The first
    answers, spread over all cells, are fixed.
    """
    scatter = np.array([variances(cell, race)[1] for cell in about for race in (0, 1)])
    whole = 2 * len(CELLS) * FIRST * START + ROUND * ROUNDS
    each = whole / (2 * len(CELLS) * PAIRS)
    needed = PAIRS * np.sqrt(scatter).sum() ** 2 / (scatter.sum() / each)
    return needed + 2 * (len(CELLS) - len(about)) * FIRST * START, whole


def target(items, x, about):
    genuine = items["cell"].isin(about).to_numpy()
    black = (items["race"] == "b").to_numpy()
    return x[genuine & black].mean(axis=0) - x[genuine & ~black].mean(axis=0)


def run(scheme, about, seed):
    """Judgements so far, and the estimand's estimate and error, after each round."""
    random = np.random.default_rng([seed, 1])
    items, latent = pool(np.random.default_rng([seed, 0]))
    x, names = common_matrix(FORMULA, items)
    weight = target(items, x, about)
    item = np.repeat(np.flatnonzero(np.arange(len(items)) % PAIRS < FIRST), START)
    score = answers(latent[item], np.random.default_rng([seed, 2]))
    rows = []
    for _ in range(ROUNDS + 1):
        n = np.bincount(item, minlength=len(items))
        total, squares = (np.bincount(item, v, minlength=len(items)) for v in (score, score**2))
        mean, covariance, _ = posterior(x, n, total, squares, SCALE)
        p = len(weight)
        rows.append((len(item), weight @ mean[:p], np.sqrt(weight @ covariance[:p, :p] @ weight)))
        if scheme == "adaptive":
            told = pd.DataFrame({"item": items["item"].to_numpy()[item], "score": score})
            goal = dict(zip(names, weight, strict=True))
            plan, _ = next_items(items, told, FORMULA, goal, scale=SCALE, count=ROUND, limit=LIMIT)
            where = pd.Index(items["item"]).get_indexer(pd.Index(plan["item"]))
            new = np.repeat(where, plan["judgements"])
        else:
            open_to = np.arange(len(items))
            if scheme == "random, relevant":
                open_to = open_to[items["cell"].isin(about).to_numpy()]
            # As evenly as can be, in random order
            order = open_to[np.lexsort((random.random(len(open_to)), n[open_to]))]
            new = np.resize(order, ROUND)
        item = np.concatenate([item, new])
        score = np.concatenate([score, answers(latent[new], random)])
    return np.array(rows)


def compare(about):
    known = truth(about)
    schemes = ("random, whole pool", "random, relevant", "adaptive")
    found = {
        scheme: np.stack([run(scheme, about, seed) for seed in range(REPLICATES)])
        for scheme in schemes
    }
    goal = found[schemes[0]][:, -1, 2]
    whole = found[schemes[0]][0, -1, 0]
    for scheme, rows in found.items():
        last = rows[:, -1]
        rms = np.sqrt(((last[:, 1] - known) ** 2).mean())
        covered = (np.abs(last[:, 1] - known) < 1.96 * last[:, 2]).mean()
        needed = [np.interp(-goal[k], -rows[k, :, 2], rows[k, :, 0]) for k in range(REPLICATES)]
        saved = 1 - np.array(needed) / whole
        spread = 2 * saved.std(ddof=1) / np.sqrt(REPLICATES)
        yield (
            scheme,
            f"{last[:, 2].mean():.3f}",
            f"{rms:.3f}",
            f"{covered:.2f}",
            f"{np.mean(needed):.0f}",
            f"{saved.mean():.0%} ± {spread:.0%}",
        )


def main():
    total = 2 * len(CELLS) * FIRST * START + ROUND * ROUNDS
    print(f"{REPLICATES} replicates, {total} judgements\n")
    head = ["estimand", "scheme", "error", "rms", "covered", "judgements needed", "saved"]
    for name, about in ESTIMANDS.items():
        least, whole = fewest(about)
        print(f"{name}: any allocation needs {least:.0f} at least, {1 - least / whole:.0%} saved")
    print(f"\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name, about in ESTIMANDS.items():
        for row in compare(about):
            print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
