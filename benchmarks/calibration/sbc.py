"""Simulation-based calibration: the truth should be a draw like any other from the posterior.

    python -m benchmarks.calibration.sbc [CASE ...]     # goes on where it was stopped

Parameters and data are drawn from the model's own priors (`prior_predictive`), the model is fitted,
and each parameter's rank among 99 draws is kept, with that of the log likelihood, which sees what
ranks of parameters cannot (Modrak et al. 2023). Over replicates ranks are uniform if the engine is
right. Tested by chi-square in 20 bins, and by the largest departure of the ECDF, in its pointwise
probability, whose distribution is simulated (the envelope of Säilynoja, Bürkner and Vehtari 2022).

A case is an entry of `CASES`: a name, and a function of a replicate's number to ranks by quantity.
That of a formula is `Model`:

    CASES["collapsed: crossed"] = Model(
        "y ~ x + (1|seed) + (1|annotator)",
        {"Intercept": "Normal(0, 1)", "x": "Normal(0, 1)", "sigma": "HalfNormal(1)"}
        | dict.fromkeys(["1|seed", "1|annotator"], "HalfNormal(0.7)"),
        "collapsed",
    )

Priors are all given: default ones are scaled to the data, from which no data can be drawn.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse, stats

import causalbias as cb
from benchmarks.calibration import records
from benchmarks.calibration.uniform import DRAWS, binned, uniformity
from causalbias.inference.gibbs import BivariateData, sample_bivariate
from causalbias.models.formula.parts import Formula
from causalbias.models.result import Fit

ATTEMPTS = 40
STAGES = 8
STEP, OF_CHAINS = 50, 20  # replicates a stage: NUTS and Gibbs take seconds each
LEVELS_KEPT = 2  # of each grouping factor
TOLD = ("failed", "declined")  # what a replicate says beside ranks

Ranks = dict[str, int]


def rows(n: int = 48) -> pd.DataFrame:
    """The design, the same in all replicates; y only has the type of each family's response."""
    rng = np.random.default_rng(7)
    first, other = rng.integers(0, 7, (2, n))
    return pd.DataFrame(
        {
            "seed": np.repeat(np.arange(8), n // 8),
            "annotator": np.tile(np.arange(6), n // 6),
            "race": np.tile(["asian", "black", "white"], n // 3),
            "x": rng.normal(0, 1, n).round(3),
            "a": first,
            "b": (first + 1 + other % 6) % 7,
            "w": rng.choice([1.0, 4.0], n),
            "n": rng.integers(2, 9, n),
        }
    )


# Of families whose response is neither any real number nor a share, by the row's number.
STAND_IN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bernoulli": lambda at: at % 2,
    "binomial": lambda at: at % 2,
    "beta_binomial": lambda at: at % 2,
    "poisson": lambda at: at % 9,
    "negativebinomial": lambda at: at % 9,
    "cumulative": lambda at: at % 4,
    "sratio": lambda at: at % 4,
}


def stand_in(family: str, n: int) -> np.ndarray:
    """A response (n,) of the family's type: by default numbers between zero and one."""
    at = np.arange(n)
    return STAND_IN.get(family, lambda at: (at + 1.0) / (n + 1))(at)


def usable(y: np.ndarray, family: str) -> bool:
    """Whether the model can be fitted. A condition on data alone leaves ranks uniform."""
    match family:
        case "cumulative" | "sratio":
            return len(np.unique(y)) == 4
        case "gamma":
            return bool((y > 0).all())
        case "beta":
            return bool(((y > 0) & (y < 1)).all())
    return True


@dataclass(frozen=True)
class Model:
    """A formula with priors, and how to fit it; called with a replicate's number."""

    formula: str | Formula
    priors: dict[str, str]
    method: str
    family: str = "gaussian"
    link: str | None = None
    weights: str | None = None
    rows: int = 48

    def __call__(self, replicate: int) -> Ranks:
        """Ranks in one replicate.

        `failed` says whether the engine found fault with its fit. Data sets that the engine
        declines are left out and counted, `declined`: a condition on data alone, as in `usable`.
        """
        given = {"family": self.family, "link": self.link, "priors": self.priors}
        frame = rows(self.rows).assign(y=stand_in(self.family, self.rows))
        drawn = cb.prior_predictive(
            self.formula,
            frame,
            draws=ATTEMPTS,
            random_seed=replicate,
            weights=self.weights,
            **given,
        )
        ys = drawn["prior_predictive"]["y"].values[0]
        declined = 0
        for at in (i for i, y in enumerate(ys) if usable(y, self.family)):
            try:
                fit = cb.fit(
                    self.formula,
                    frame.assign(y=ys[at]),
                    weights=self.weights,
                    method=self.method,
                    draws=500,
                    tune=500,
                    chains=2,
                    random_seed=replicate,
                    **given,
                )
                break
            except cb.DataError as error:
                if "engine declines" not in str(error):
                    raise
                declined += 1
        else:
            raise RuntimeError(f"no data set of replicate {replicate} could be fitted")
        truth = drawn["prior"].to_dataset().isel(draw=[at])
        ranks = ranks_of(with_truth_first(fit, truth))
        failed = int(any(map(is_engines, cb.failures(fit))))
        return ranks | {"failed": failed, "declined": declined}


def is_engines(failure: str) -> bool:
    """Whether a failure is the engine's own, and not one of too few draws for R-hat and ESS."""
    return any(word in failure for word in ("Pareto", "weights", "divergent"))


def with_truth_first(fit: Fit, truth: xr.Dataset) -> Fit:
    """The fit with the true parameters as first draw, and then `DRAWS` evenly spaced ones."""
    posterior = fit["posterior"].to_dataset().reset_coords(drop=True)
    posterior = posterior[list(truth.data_vars)].drop_vars("threshold_dim", errors="ignore")
    draws = posterior.sizes["draw"] * posterior.sizes["chain"]
    picked = np.linspace(0, draws - 1, DRAWS).astype(int)
    variables = {}
    for name, values in posterior.data_vars.items():
        drawn = values.transpose("chain", "draw", ...)
        flat = drawn.values.reshape(draws, *drawn.shape[2:])[picked]
        true = truth[name].transpose(*drawn.dims).values.reshape(1, *drawn.shape[2:])
        variables[name] = (drawn.dims, np.concatenate([true, flat])[None])
    coords = {k: v for k, v in posterior.coords.items() if k not in ("chain", "draw")}
    kept = {name: node for name, node in fit.children.items() if name != "posterior"}
    joined = xr.Dataset(variables, {**coords, "chain": [0], "draw": np.arange(DRAWS + 1)})
    result = Fit(children={"posterior": xr.DataTree(joined), **kept})
    result.attrs = fit.attrs
    return result


def ranks_of(fit: Fit) -> Ranks:
    """Rank of the first draw of every quantity among the others."""
    found = {}
    for name, values in fit["posterior"].to_dataset().data_vars.items():
        drawn = values.values[0].reshape(DRAWS + 1, -1)
        of_levels = "|" in name and not name.endswith("_sigma") and not name.startswith("cor|")
        for k in range(min(LEVELS_KEPT, drawn.shape[1]) if of_levels else drawn.shape[1]):
            found[f"{name}[{k}]" if drawn.shape[1] > 1 else name] = rank(drawn[:, k])
    likelihood = (
        cb.model_checks.with_log_likelihood(fit)["log_likelihood"]["y"].sum("__obs__").values[0]
    )
    return found | {"log likelihood": rank(likelihood)}


def rank(values: np.ndarray) -> int:
    return int((values[1:] < values[0]).sum())


def joint_ranks(replicate: int) -> Ranks:
    """The Gibbs sampler of `joint`.

    Its priors on coefficients and on the noise of answers are improper. Ranks are uniform at any
    coefficients, since data and posterior shift with them; the noise is drawn from a proper prior
    and its draws are weighed by that prior over the sampler's own, 1/noise.
    """
    rng, scale, frame = np.random.default_rng(replicate), np.array([1.0, 0.5]), rows()
    of_noise = stats.lognorm(0.3)
    noise = of_noise.rvs(random_state=rng)
    covariances = [huang_wand(scale, rng) for _ in range(2)]
    seeds = pd.get_dummies(frame["seed"]).to_numpy(float)
    design = np.column_stack([np.ones(48), frame["race"] == "black", frame["x"]]).astype(float)
    coefficient = rng.normal(0, 1, (3, 2))
    effects = rng.multivariate_normal([0, 0], covariances[0], size=8)
    pairs = rng.multivariate_normal([0, 0], covariances[1], size=48)
    latent = design @ coefficient + seeds @ effects + pairs
    answers = [latent[i, 0] + noise * rng.standard_normal(n) for i, n in enumerate(frame["n"])]
    data = BivariateData(
        mean=np.array([one.mean() for one in answers]),
        count=frame["n"].to_numpy(float),
        within=float(sum(((one - one.mean()) ** 2).sum() for one in answers)),
        distance=latent[:, 1],
        design=design,
        members=[sparse.csr_matrix(seeds)],
        scale=scale,
    )
    drawn = sample_bivariate(data, draws=1000, tune=200, rng=rng)
    weight = of_noise.pdf(drawn["noise"]) * drawn["noise"]
    picked = rng.choice(1000, DRAWS, p=weight / weight.sum())
    truth = {"coefficient": coefficient, "covariance": np.stack(covariances), "noise": noise}
    both = {k: np.concatenate([np.asarray(truth[k])[None], drawn[k][picked]]) for k in truth}
    return {name: rank(values) for name, values in joint_quantities(both, data).items()}


def huang_wand(scale: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A covariance matrix (2, 2) from the prior: half-t of 2 degrees, uniform correlation."""
    mixing = 1 / rng.gamma(0.5, scale**2)
    return stats.invwishart(3, 4 * np.diag(1 / mixing)).rvs(random_state=rng)


def joint_quantities(drawn: dict[str, np.ndarray], data: BivariateData) -> dict[str, np.ndarray]:
    """Parameters and the log likelihood, the effects of seeds and pairs integrated out."""
    found = {"noise": drawn["noise"]}
    for i, j in np.ndindex(3, 2):
        found[f"coefficient[{i},{j}]"] = drawn["coefficient"][:, i, j]
    for i, name in enumerate(("seed", "pair")):
        matrix = drawn["covariance"][:, i]
        sd = np.sqrt(matrix[:, [0, 1], [0, 1]])
        found |= {f"sd {name}[{j}]": sd[:, j] for j in range(2)}
        found[f"correlation {name}"] = matrix[:, 0, 1] / sd.prod(axis=1)
    together = (data.members[0] @ data.members[0].T).toarray()
    found["log likelihood"] = np.array(
        [
            stats.multivariate_normal(
                (data.design @ b).T.ravel(),
                np.kron(seed, together)
                + np.kron(pair, np.eye(48))
                + np.diag(np.concatenate([noise**2 / data.count, np.zeros(48)])),
            ).logpdf(np.concatenate([data.mean, data.distance]))
            for b, (seed, pair), noise in zip(*drawn.values(), strict=True)
        ]
    )
    return found


INTERCEPT = {"Intercept": "Normal(0, 1)"}
FIXED = {"race": "Normal(0, 1)", "x": "Normal(0, 0.7)"}
SEED = {"1|seed": "HalfNormal(0.7)"}
NOISE = {"sigma": "HalfNormal(1)"}
ONE = "y ~ race + x + (1|seed)"
TRIALS = "p(y, n) ~ race + x + (1|seed)"
MEAN = INTERCEPT | FIXED | SEED
# The parameters of families that are sampled by their rows' log likelihoods.
OWN = {
    "t": {"sigma": "HalfNormal(1)", "nu": "Gamma(2, 0.1)"},
    "gamma": {"alpha": "Gamma(3, 1)"},
    "beta": {"kappa": "Gamma(4, 0.4)"},
    "skew_normal": {"sigma": "HalfNormal(1)", "alpha": "Normal(0, 3)"},
    "exgaussian": {"sigma": "HalfNormal(1)", "nu": "HalfNormal(1)"},
    "poisson": {},
    "negativebinomial": {"alpha": "Gamma(3, 1)"},
    "beta_binomial": {"kappa": "Gamma(4, 0.4)"},
}
OF_SIGMA = {"sigma_Intercept": "Normal(-0.5, 0.5)", "sigma_race": "Normal(0, 0.7)"}

CASES: dict[str, Callable[[int], Ranks]] = {
    "collapsed, gaussian, two crossed factors": Model(
        "y ~ race + x + (1|seed) + (1|annotator)",
        INTERCEPT | FIXED | SEED | {"1|annotator": "HalfNormal(0.5)"} | NOISE,
        "collapsed",
    ),
    "collapsed, gaussian, correlated slopes": Model(
        "y ~ race + x + (x|seed)",
        INTERCEPT | FIXED | SEED | {"x|seed": "HalfNormal(0.5)"} | NOISE,
        "collapsed",
    ),
    "collapsed, gaussian, members mm(a, b)": Model(
        "y ~ race + x + (1|mm(a, b))",
        INTERCEPT | FIXED | {"1|mm(a, b)": "HalfNormal(1)"} | NOISE,
        "collapsed",
    ),
    "collapsed, gaussian, weights": Model(
        ONE, INTERCEPT | FIXED | SEED | NOISE, "collapsed", weights="w"
    ),
    "collapsed, gaussian, sigma by race": Model(
        cb.formula("y ~ race + x + (1|seed) + (1|annotator)", sigma="~ race"),
        INTERCEPT | FIXED | SEED | {"1|annotator": "HalfNormal(0.5)"} | OF_SIGMA,
        "collapsed",
    ),
    "collapsed, gaussian, sigma by annotator": Model(
        cb.formula("y ~ race + x + (1|seed)", sigma="~ (1|annotator)"),
        INTERCEPT
        | FIXED
        | SEED
        | {"sigma_Intercept": "Normal(-0.5, 0.5)", "sigma_1|annotator": "HalfNormal(0.5)"},
        "collapsed",
    ),
    "collapsed, gaussian, other priors of scales": Model(
        ONE,
        INTERCEPT | FIXED | {"1|seed": "Exponential(2)", "sigma": "Gamma(3, 3)"},
        "collapsed",
    ),
    "laplace, bernoulli, logit": Model(ONE, INTERCEPT | FIXED | SEED, "laplace", "bernoulli"),
    "laplace, bernoulli, probit, slopes": Model(
        "y ~ x + (x|seed)",
        INTERCEPT | {"x": "Normal(0, 0.7)"} | SEED | {"x|seed": "HalfNormal(0.5)"},
        "laplace",
        "bernoulli",
        "probit",
    ),
    "laplace, binomial, logit": Model(TRIALS, INTERCEPT | FIXED | SEED, "laplace", "binomial"),
    "laplace, binomial, probit": Model(
        TRIALS, INTERCEPT | FIXED | SEED, "laplace", "binomial", "probit"
    ),
    "laplace, cumulative, logit": Model(
        "y ~ race + x + (1|seed) + (1|annotator)",
        FIXED | SEED | {"1|annotator": "HalfNormal(0.5)"},
        "laplace",
        "cumulative",
    ),
    "laplace, cumulative, probit": Model(
        ONE, FIXED | SEED | {"threshold": "Normal(0, 1.2)"}, "laplace", "cumulative", "probit"
    ),
    "laplace, cumulative, members mm(a, b)": Model(
        "y ~ race + x + (1|mm(a, b))",
        FIXED | {"1|mm(a, b)": "HalfNormal(1)"},
        "laplace",
        "cumulative",
    ),
    "collapsed, lognormal": Model(ONE, MEAN | NOISE, "collapsed", "lognormal", rows=96),
    **{
        f"laplace, {name}": Model(
            TRIALS if name == "beta_binomial" else ONE, MEAN | own, "laplace", name, rows=96
        )
        for name, own in OWN.items()
    },
    "laplace, t, sigma by race": Model(
        cb.formula(ONE, sigma="~ race"),
        MEAN | OF_SIGMA | {"nu": "Gamma(2, 0.1)"},
        "laplace",
        "t",
        rows=96,
    ),
    "NUTS, gaussian": Model(ONE, INTERCEPT | FIXED | SEED | NOISE, "nuts"),
    "NUTS, gaussian, weights": Model(ONE, INTERCEPT | FIXED | SEED | NOISE, "nuts", weights="w"),
    "NUTS, bernoulli": Model(ONE, INTERCEPT | FIXED | SEED, "nuts", "bernoulli"),
    "NUTS, binomial": Model(TRIALS, INTERCEPT | FIXED | SEED, "nuts", "binomial"),
    "NUTS, cumulative": Model(ONE, FIXED | SEED, "nuts", "cumulative"),
    "NUTS, beta": Model(ONE, INTERCEPT | FIXED | SEED | {"kappa": "Gamma(4, 0.4)"}, "nuts", "beta"),
    "NUTS, zero-one-inflated beta": Model(
        ONE,
        MEAN | {"kappa": "Gamma(4, 0.4)", "zoi": "Beta(2, 4)", "coi": "Beta(2, 2)"},
        "nuts",
        "zero_one_inflated_beta",
        rows=96,
    ),
    "NUTS, sratio": Model(ONE, FIXED | SEED, "nuts", "sratio", rows=96),
    "NUTS, cumulative, cloglog": Model(ONE, FIXED | SEED, "nuts", "cumulative", "cloglog", rows=96),
    "Gibbs, joint": joint_ranks,
}


def summary(case: str, found: dict[int, Ranks]) -> pd.DataFrame:
    """One row a quantity: p-values, and counts of ranks in bins."""
    ranks = pd.DataFrame(list(found.values()))
    told = {name: ranks.pop(name).sum() for name in TOLD if name in ranks}
    lines = []
    for name, values in ranks.items():
        chi_square, ecdf = uniformity(values.to_numpy())
        counts = binned(values.to_numpy())
        lines.append(
            {
                "case": case,
                "quantity": name,
                "replicates": len(ranks),
                "failed": told.get("failed", 0),
                "declined": told.get("declined", 0),
                "p_chi_square": round(chi_square, 5),
                "p_ecdf": round(ecdf, 5),
                "ranks": " ".join(map(str, counts)),
            }
        )
    return pd.DataFrame(lines)


def main(*names: str) -> None:
    # in stages, so that a run that is stopped early has some of every case
    for stage in range(1, STAGES + 1):
        for name in names or CASES:
            step = STEP if getattr(CASES[name], "method", "nuts") != "nuts" else OF_CHAINS
            records.run(records.RAW / f"sbc {name}.jsonl", stage * step, CASES[name])
        summarise()


def summarise() -> None:
    """Write `results/sbc.csv` of all replicates that are here."""
    parts = {name: records.read(records.RAW / f"sbc {name}.jsonl") for name in CASES}
    table = pd.concat([summary(name, one) for name, one in parts.items() if len(one) >= OF_CHAINS])
    records.write(table, "sbc", CASES)


if __name__ == "__main__":
    main(*sys.argv[1:])
