"""Coverage of what is asked of fits: Gaussian, ordinal, binary and binomial."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special, stats

import causalbias as cb
from benchmarks.calibration import worlds
from benchmarks.calibration.intervals import Record, of_draws
from benchmarks.calibration.worlds import (
    FORMULA,
    PRIORS,
    RACES,
    SETTINGS,
    SIGMA,
    Outcome,
    Setting,
    World,
)

POPULATIONS = ("these", "new", "typical")
CUTS = np.array([-1.0, 0.3, 1.6])
DRAWS = {"draws": 250, "chains": 4}


def gaussian(replicate: int) -> list[Record]:
    """Distances of genuine and impostor pairs, and what compares the two."""
    rng = np.random.default_rng([1, replicate])
    setting = SETTINGS[replicate % len(SETTINGS)]
    a, b = (worlds.make(setting, rng, gaussian=True) for _ in range(2))
    if setting.bias is not None:  # impostors are further apart
        b = replace(b, intercept=b.intercept + 2.0)
    fits = [fit_gaussian(one, setting, rng, replicate) for one in (a, b)]
    return [*linear(fits[0], a), *rates(fits[0], a), *spread(fits[0], a), *two(*fits, a, b)]


def fit_gaussian(world: World, setting: Setting, rng: np.random.Generator, seed: int) -> cb.Fit:
    eta = world.fixed(world.rows) + world.groups(world.rows)
    frame = world.rows.assign(distance=eta + world.sigma * rng.standard_normal(len(eta)))
    priors = PRIORS | {"sigma": SIGMA} if setting.bias is None else None
    return cb.fit(FORMULA.format(y="distance"), frame, priors=priors, random_seed=seed, **DRAWS)


def identity(eta: np.ndarray) -> np.ndarray:
    return eta


def effect(world: World, outcome: Outcome, population: str, level: str, base: str = "asian"):
    high, low = (world.mean(outcome, population, race=one) for one in (level, base))
    return high - low


def slope_of_effect(
    world: World, outcome: Outcome, population: str, pose: float, race: str
) -> float:
    """Effect of a pose against 0, in a race more than in asian faces."""
    mean = {
        (p, r): world.mean(outcome, population, pose=p, race=r)
        for p in (pose, 0.0)
        for r in (race, "asian")
    }
    return mean[pose, race] - mean[0.0, race] - mean[pose, "asian"] + mean[0.0, "asian"]


def linear(fit: cb.Fit, world: World) -> list[Record]:
    """Estimands of the mean distance."""
    found = []
    for population in ("these", "new"):
        found += of_draws(
            f"predictions: response, {population}",
            cb.predictions(fit, "race", population=population),
            lambda row, p=population: world.mean(
                identity, p, world.rows[world.rows["race"] == row["race"]]
            ),
        )
    for population in ("these", "typical"):
        draws = cb.effects(fit, "race", population=population)
        found += of_draws(
            f"effects: response, {population}",
            draws,
            lambda row, p=population: effect(world, identity, p, row["race"]),
        )
    found += of_draws(
        "hypotheses: difference of two effects",
        cb.hypotheses(draws, {"d": 'effect["black"] - effect["white"]'}),
        lambda _: effect(world, identity, "typical", "black", "white"),
    )
    found += of_draws(
        "effects: latent, typical",
        cb.effects(fit, "race", scale="latent", population="typical"),
        lambda row: effect(world, identity, "typical", row["race"]) / world.sigma,
    )
    found += of_draws(
        "interaction: response, these",
        cb.interaction(fit, "pose", "race", population="these"),
        lambda row: slope_of_effect(world, identity, "these", row["pose"], row["race"]),
    )
    one, other = {"race": "black", "gender": "female"}, {"race": "white", "gender": "male"}
    found += of_draws(
        "counterfactual: response, these",
        cb.counterfactual(fit, one, other, population="these"),
        lambda _: world.mean(identity, "these", **one) - world.mean(identity, "these", **other),
    )
    curve = cb.dose(fit, "pose", by="race", grid=[0.0, 1.5], population="these")
    return [
        *found,
        *of_draws(
            "dose: prediction",
            curve,
            lambda row: world.mean(
                identity, "these", world.rows[world.rows["race"] == row["race"]], pose=row["pose"]
            ),
        ),
        *of_draws(
            "dose: average slope",
            curve,
            lambda row: world.slope + world.turn[RACES.index(row["race"])],
            "average_slope",
        ),
    ]


def rates(fit: cb.Fit, world: World) -> list[Record]:
    """Estimands on the scale of false match rates, at a threshold about one sd below the mean."""
    threshold = float(world.fixed(world.rows).mean() - np.hypot(world.sigma, np.hypot(*world.sd)))

    def below(eta: np.ndarray) -> np.ndarray:
        return stats.norm.cdf((threshold - eta) / world.sigma)

    scale, found = {"scale": "FMR", "threshold": threshold}, []
    for population in POPULATIONS:
        found += of_draws(
            f"effects: FMR, {population}",
            cb.effects(fit, "race", population=population, **scale),
            lambda row, p=population: effect(world, below, p, row["race"]),
        )
    found += of_draws(
        "predictions: FMR, new",
        cb.predictions(fit, "race", population="new", **scale),
        lambda row: world.mean(below, "new", world.rows[world.rows["race"] == row["race"]]),
    )
    found += of_draws(
        "interaction: FMR, new",
        cb.interaction(fit, "pose", "race", population="new", **scale),
        lambda row: slope_of_effect(world, below, "new", row["pose"], row["race"]),
    )
    return found


def spread(fit: cb.Fit, world: World) -> list[Record]:
    """Heterogeneity between the study's seeds, and shares of variance."""
    each = {
        race: np.array(
            [
                (
                    world.fixed(own.assign(race=race))
                    - world.fixed(own.assign(race="asian"))
                    + world.groups(own.assign(race=race))
                    - world.groups(own.assign(race="asian"))
                ).mean()
                for _, own in world.rows.groupby("seed")
            ]
        )
        for race in RACES[1:]
    }
    differs = cb.heterogeneity(fit, "race")
    found = of_draws("heterogeneity: sd", differs, lambda row: each[row["race"]].std(ddof=1), "sd")
    found += of_draws("heterogeneity: mean", differs, lambda row: each[row["race"]].mean(), "mean")
    found += of_draws(
        "heterogeneity: share flipped",
        differs,
        lambda row: np.mean(np.sign(each[row["race"]]) == -np.sign(each[row["race"]].mean())),
        "share_flipped",
    )
    shares = true_shares(world)
    none = not world.race.any()  # a share of zero is the end of what a share can be
    return found + of_draws(
        "variance_shares",
        cb.variance_shares(fit),
        lambda row: np.nan if none and row["source"] == "race" else shares[row["source"]],
    )


def true_shares(world: World) -> dict[str, float]:
    """Main effects' variances and half of the interaction's, from the table of cell means."""
    weight = [
        world.rows[name].value_counts(normalize=True).sort_index() for name in ("race", "pose")
    ]
    r, p = (one.to_numpy() for one in weight)
    poses = weight[1].index.to_numpy(float)
    table = world.race[:, None] + poses * (world.slope + world.turn[:, None])
    total = r @ table @ p
    of_race, of_pose = table @ p - total, r @ table - total
    rest = table - total - of_race[:, None] - of_pose
    half = (r @ rest**2 @ p) / 2
    male = (world.rows["gender"] == "male").mean()
    parts = {
        "race": r @ of_race**2 + half,
        "pose": p @ of_pose**2 + half,
        "gender": world.gender**2 * male * (1 - male),
        "groups": (world.sd**2).sum(),
        "residual": world.sigma**2,
    }
    return {name: value / sum(parts.values()) for name, value in parts.items()}


def two(one: cb.Fit, other: cb.Fit, a: World, b: World, rate: float = 0.05) -> list[Record]:
    """Comparison, separation and a ratio of slopes of two independent fits."""
    observed = [
        float(fit["observed_data"]["distance"].std(ddof=1)) for fit in (one, other)
    ]  # the unit "outcome sd" is that of the data as they are

    def in_unit(world: World, sd: float, row) -> float:
        link = effect(world, identity, "these", row["race"])
        total = np.sqrt(world.sigma**2 + (world.sd**2).sum())
        match row["unit"]:
            case "residual sd":
                return link / world.sigma
            case "total sd" | "pair sd":  # a row is a pair, and no group is of who answers
                return link / total
            case "outcome sd":
                return link / sd
        return stats.norm.cdf(stats.norm.ppf(rate) + link / total) - rate

    both = cb.compare(one, other, "race", rate=rate)
    found = []
    for name, combine in (
        ("difference", lambda x, y: y - x),
        ("excess", lambda x, y: abs(y) - abs(x)),
        ("ratio", lambda x, y: y / x if x else np.nan),
    ):
        found += of_draws(
            f"compare: {name}, {{unit}}",
            both,
            lambda row, f=combine: f(in_unit(a, observed[0], row), in_unit(b, observed[1], row)),
            name,
        )
    apart = cb.discriminability(one, other, by="race")
    for name in ("d_prime", "overlap", "auc"):
        found += of_draws(
            f"separation: {name}",
            apart,
            lambda row, n=name: true_separation(a, b, row["race"])[n],
            name,
        )
    slopes = [cb.dose(fit, "pose", grid=[0.0])["average_slope"] for fit in (one, other)]
    true = [(w.slope + w.turn[pd.Index(RACES).get_indexer(w.rows["race"])]).mean() for w in (a, b)]
    ratio = true[0] / true[1]
    found += of_draws("per_unit: ratio of slopes", cb.per_unit(*slopes), lambda _: ratio)
    return found


def true_separation(a: World, b: World, race: str) -> dict[str, float]:
    mean = [w.mean(identity, "new", w.rows[w.rows["race"] == race]) for w in (a, b)]
    sd = [np.sqrt(w.sigma**2 + (w.sd**2).sum()) for w in (a, b)]
    low = min(m - 8 * s for m, s in zip(mean, sd, strict=True))
    high = max(m + 8 * s for m, s in zip(mean, sd, strict=True))
    grid = np.linspace(low, high, 20_001)
    density = np.minimum(*(stats.norm.pdf(grid, m, s) for m, s in zip(mean, sd, strict=True)))
    shift, total = mean[1] - mean[0], sd[0] ** 2 + sd[1] ** 2
    return {
        "d_prime": shift / np.sqrt(total / 2),
        "overlap": density.sum() * (grid[1] - grid[0]),
        "auc": stats.norm.cdf(shift / np.sqrt(total)),
    }


def ordinal(replicate: int) -> list[Record]:
    """Answers in four categories, logit and probit in turns; and people against a network."""
    rng = np.random.default_rng([2, replicate])
    setting = SETTINGS[replicate % len(SETTINGS)]
    link = ("logit", "probit")[replicate // len(SETTINGS) % 2]
    noise = stats.logistic if link == "logit" else stats.norm
    while True:
        world = worlds.make(setting, rng, gaussian=False)
        cuts = CUTS
        while setting.bias is None:  # bambi's default prior, ascending
            cuts = rng.normal(np.linspace(-2, 2, 3), 1)
            if (np.diff(cuts) > 0).all():
                break
        # cuts stand for the intercept
        world = replace(world, intercept=0.0)
        eta = world.fixed(world.rows) + world.groups(world.rows)
        score = np.searchsorted(cuts, eta + noise.rvs(size=len(eta), random_state=rng))
        if len(np.unique(score)) == 4:  # a condition on data alone
            break
    priors = {k: v for k, v in PRIORS.items() if k != "Intercept"}
    fit = cb.fit(
        FORMULA.format(y="score"),
        world.rows.assign(score=score),
        family="cumulative",
        link=link,
        priors=priors if setting.bias is None else None,
        random_seed=replicate,
        method="laplace",
        **DRAWS,
    )

    def passing(eta: np.ndarray, k: int) -> np.ndarray:
        return noise.sf(cuts[k] - eta)

    def mean_category(eta: np.ndarray) -> np.ndarray:
        return sum(passing(eta, k) for k in range(3))

    found = []
    for population in POPULATIONS:
        found += of_draws(
            f"effects: mean category, {population}",
            cb.effects(fit, "race", population=population),
            lambda row, p=population: effect(world, mean_category, p, row["race"]),
        )
    sd = np.pi / np.sqrt(3) if link == "logit" else 1.0
    for scale, unit in (("link", 1.0), ("latent", sd)):
        found += of_draws(
            f"effects: {scale}, ordinal",
            cb.effects(fit, "race", scale=scale, population="these"),
            lambda row, u=unit: effect(world, identity, "these", row["race"]) / u,
        )
    found += of_draws(
        "effects: exceedance, new",
        cb.effects(fit, "race", scale="exceedance", population="new"),
        lambda row: effect(
            world, lambda eta: passing(eta, int(row["category"]) - 1), "new", row["race"]
        ),
    )
    found += of_draws(
        "predictions: probability, new",
        cb.predictions(fit, "race", scale="probability", population="new"),
        lambda row: world.mean(
            lambda eta: (
                (passing(eta, int(row["category"]) - 1) if row["category"] else 1.0)
                - (passing(eta, int(row["category"])) if row["category"] < 3 else 0.0)
            ),
            "new",
            world.rows[world.rows["race"] == row["race"]],
        ),
    )
    found += of_draws(
        "interaction: mean category, these",
        cb.interaction(fit, "pose", "race", population="these"),
        lambda row: slope_of_effect(world, mean_category, "these", row["pose"], row["race"]),
    )
    machine = worlds.make(setting, rng, gaussian=True)
    distances = fit_gaussian(machine, setting, rng, replicate)

    def in_noise(row) -> tuple[float, float]:
        return (
            -effect(world, identity, "these", row["race"]) / sd,
            effect(machine, identity, "these", row["race"]) / machine.sigma,
        )

    both = cb.compare(fit, distances, "race", opposite=True, population="these")
    both = both.sel(unit=["residual sd"])
    found += of_draws(
        "compare: ordinal against gaussian",
        both,
        lambda row: in_noise(row)[1] - in_noise(row)[0],
        "difference",
    )
    return found


def binary(replicate: int) -> list[Record]:
    """Same or different, and shares of several answers, in turns."""
    rng = np.random.default_rng([3, replicate])
    setting = SETTINGS[replicate % len(SETTINGS)]
    world = worlds.make(setting, rng, gaussian=True)
    trials = rng.integers(1, 9, len(world.rows)) if replicate // len(SETTINGS) % 2 else None
    chance = special.expit(world.fixed(world.rows) + world.groups(world.rows))
    hits = rng.binomial(1 if trials is None else trials, chance)
    frame = world.rows.assign(y=hits, n=1 if trials is None else trials)
    fit = cb.fit(
        FORMULA.format(y="y" if trials is None else "p(y, n)"),
        frame,
        family="bernoulli" if trials is None else "binomial",
        priors=PRIORS if setting.bias is None else None,
        random_seed=replicate,
        method="laplace",
        **DRAWS,
    )
    found = []
    for population in POPULATIONS:
        found += of_draws(
            f"effects: probability, {population}",
            cb.effects(fit, "race", scale="probability", population=population),
            lambda row, p=population: effect(world, special.expit, p, row["race"]),
        )
    found += of_draws(
        "effects: link, binary",
        cb.effects(fit, "race", scale="link", population="these"),
        lambda row: effect(world, identity, "these", row["race"]),
    )
    found += of_draws(
        "counterfactual: probability, new",
        cb.counterfactual(fit, {"race": "black"}, {"race": "white"}, population="new"),
        lambda _: effect(world, special.expit, "new", "black", "white"),
    )
    return found
