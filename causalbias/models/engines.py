"""Which engine samples a model: the exact one where it applies, NUTS where none does."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.inference.collapsed import sample_collapsed
from causalbias.inference.diagnostics import MAX_PARETO_K, MIN_ESS, diagnose, verdict
from causalbias.inference.laplace import sample_laplace
from causalbias.inference.laplace_target import FAMILIES
from causalbias.inference.nuts import sample_nuts, weigh_rows
from causalbias.inference.problem import EngineError, FloatArray, ImproperError, Problem
from causalbias.models.arrays import arrays_of, sd_log_prior
from causalbias.models.formula import formula_columns
from causalbias.models.group_design import group_designs
from causalbias.models.groups import has_members
from causalbias.models.naming import name_draws
from causalbias.models.sizes import check_fit_size
from causalbias.models.spec import (
    ModelSpec,
    bambi_model,
    common_model,
    row_counts,
    row_precisions,
)

METHODS = ("auto", "collapsed", "laplace", "nuts")
# Numbers in a group term's effects, all draws together, above which they are not kept.
MAX_KEPT = 8_000_000
# Of an ordinal response, above which auto does not go on to NUTS.
MAX_CATEGORIES = 60


@dataclass(frozen=True)
class Sampled:
    """What an engine gives: groups of the fit, and a line on what ran."""

    posterior: xr.Dataset
    sample_stats: xr.Dataset
    engine: str

    @cached_property
    def diagnostics(self) -> xr.Dataset:
        """R-hat and effective sizes of every parameter."""
        return diagnose(self.posterior)

    def failures(self) -> list[str]:
        """What the diagnostics say against the draws; empty where nothing."""
        return verdict(self.diagnostics, self.sample_stats)


def sample(
    spec: ModelSpec,
    used: pd.DataFrame,
    method: str,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
) -> Sampled:
    """Sample a model's posterior by the method named, or by the first that applies.

    Parameters
    ----------
    spec : ModelSpec
    used : DataFrame
        The rows (`model_frame`).
    method : {"auto", "collapsed", "laplace", "nuts"}
    draws, tune, chains, seed : int
        As in `fit`.

    Raises
    ------
    DataError
        If the method is unknown, or was asked for by name and does not apply, with the reason.
    """
    if method not in METHODS:
        raise DataError(f"no method {method!r}", mend=f"use one of {', '.join(METHODS)}")
    for name, value, least in (("draws", draws, 1), ("tune", tune, 0), ("chains", chains, 1)):
        if value != int(value) or value < least:
            raise DataError(f"{name} is {value}", mend=f"give a whole number from {least}")
    check_fit_size(spec.formula, used, draws * chains)
    chosen = _exact_for(spec) if method == "auto" else method
    why = ""
    if chosen != "nuts":
        try:
            found = _ENGINES[chosen](spec, used, draws=draws, chains=chains, seed=seed)
            # where nothing else can sample it, draws that are marked are all there is
            why = _misfit(found.sample_stats, draws * chains)
            if method != "auto" or not why or has_members(spec.formula):
                return found
        except ImproperError as error:
            raise DataError(
                str(error), mend="leave out what fits exactly, or give proper priors"
            ) from error
        except EngineError as error:
            if method != "auto":
                raise DataError(
                    f"the {method} engine declines: {error}", mend="use method='nuts'"
                ) from error
            why = str(error)
        _check_categories(spec, used, why)
        why = f" (the {chosen} engine declined: {why})"
    return _nuts(spec, used, draws=draws, tune=tune, chains=chains, seed=seed, why=why)


def _nuts(
    spec: ModelSpec,
    used: pd.DataFrame,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    why: str,
) -> Sampled:
    check_fit_size(spec.formula, used, draws * chains, dense=True)
    model = bambi_model(spec, used)
    model.build()
    weigh_rows(model, row_counts(spec, used), row_precisions(spec, used))
    chained = sample_nuts(model, draws=draws, tune=tune, chains=chains, seed=seed)
    slopes = any(
        one.correlated and len(one.effects) > 1 for one in group_designs(spec.formula, used)
    )
    return Sampled(
        posterior=chained["posterior"],
        sample_stats=chained["sample_stats"],
        engine=f"NUTS (nutpie), {chains} chains of {draws:,} draws after {tune:,} of warm-up{why}"
        + ("; slopes not correlated, as bambi has it" if slopes else ""),
    )


def _check_categories(spec: ModelSpec, used: pd.DataFrame, why: str) -> None:
    """Raise where NUTS would have so many thresholds that it does not end in reasonable time.

    The Laplace engine takes 60 categories of 3,000 rows in 6 s, and 100 in 17 s; it declines where
    most have a few rows only. NUTS then takes 22 s of CPU for 60 categories of 120 rows, and for
    100 of 1,000 it was not done after 5 minutes.
    """
    if spec.family != "cumulative":
        return
    response = formula_columns(spec.formula)[0]
    count = used[response].nunique()
    if count > MAX_CATEGORIES:
        raise DataError(
            f"{count:,} categories of {len(used):,} rows: the laplace engine declines ({why}), and "
            "NUTS would take very long",
            mend=f"fit it as gaussian, join categories to {MAX_CATEGORIES} or fewer, or wait: "
            "method='nuts'",
            column=response,
        )


def _misfit(stats: xr.Dataset, total: int) -> str:
    """What says that proposals do not fit, so that more draws would not mend it; "" if nothing.

    Engines stop proposing at an effective size of a quarter of the draws at the least.
    """
    shape, size = float(stats["pareto_k"]), float(stats["importance_ess"])
    if not shape <= MAX_PARETO_K:
        return f"Pareto k is {shape:.2f}"
    return f"the weights' effective size is {size:.0f}" if size < min(MIN_ESS, total / 4) else ""


def _exact_for(spec: ModelSpec) -> str:
    """Name the engine that auto tries first."""
    if spec.family == "gaussian":
        return "collapsed"
    return "laplace" if spec.family in FAMILIES else "nuts"


def _collapsed(
    spec: ModelSpec, used: pd.DataFrame, *, draws: int, chains: int, seed: int
) -> Sampled:
    if spec.family != "gaussian" or spec.link not in (None, "identity"):
        raise EngineError("the family is not gaussian with an identity link")
    model = common_model(spec, used)
    arrays = arrays_of(model, spec, used)
    problem = arrays.problem
    prior = model.parameters["sigma"].prior
    if not isinstance(prior, bmb.Prior):
        raise EngineError("sigma is fixed")
    total = draws * chains
    keep = _kept(problem, total)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pareto k is judged below
        found = sample_collapsed(
            problem, sd_log_prior(prior, "sigma"), draws=total, seed=seed, keep=keep
        )
    diagnostics = found.diagnostics
    posterior = name_draws(model, arrays, found, {"sigma": ((), found.sigma)}, chains)
    statistics = xr.Dataset(
        {
            "lp": (("chain", "draw"), found.lp.reshape(chains, -1)),
            "pareto_k": diagnostics.pareto_k,
            "importance_ess": diagnostics.importance_ess,
        },
        coords={"chain": np.arange(chains), "draw": np.arange(draws)},
    )
    return Sampled(
        posterior=posterior,
        sample_stats=statistics,
        engine=f"collapsed Gaussian (exact), {total:,} draws, Pareto k {diagnostics.pareto_k:.2f}"
        + _left_out(problem, keep),
    )


def _laplace(spec: ModelSpec, used: pd.DataFrame, *, draws: int, chains: int, seed: int) -> Sampled:
    if spec.family not in FAMILIES:
        raise EngineError(f"the family {spec.family} is not ordinal or binary")
    model = common_model(spec, used)
    arrays = arrays_of(model, spec, used)
    problem, total = arrays.problem, draws * chains
    options: dict[str, FloatArray] = {}
    if spec.family == "binomial":
        options["trials"] = problem.y[:, 1]
        problem = replace(problem, y=problem.y[:, 0])
    elif spec.family == "cumulative":
        prior = model.parameters["threshold"].prior
        if not isinstance(prior, bmb.Prior) or prior.name != "Normal":
            raise EngineError("the prior of the thresholds is not Normal")
        count = len(model.response_term.levels) - 1
        options["threshold_mean"] = np.broadcast_to(prior.args["mu"], count).astype(float)
        options["threshold_sd"] = np.broadcast_to(prior.args["sigma"], count).astype(float)
    keep = _kept(problem, total)
    found = sample_laplace(
        problem, family=spec.family, link=spec.link or "logit", draws=total, seed=seed, keep=keep,
        **options,
    )  # fmt: skip
    further = {"threshold": (("threshold_dim",), found.threshold)}
    diagnostics = found.diagnostics
    return Sampled(
        posterior=name_draws(
            model, arrays, found, further if found.threshold.shape[1] else {}, chains
        ),
        sample_stats=xr.Dataset(
            {
                "pareto_k": diagnostics.pareto_k,
                "importance_ess": diagnostics.importance_ess,
                "n_weighed": diagnostics.n_weighed,
            }
        ),
        engine=f"Laplace, importance-weighted, {total:,} draws, Pareto k "
        f"{diagnostics.pareto_k:.2f}, effective size {diagnostics.importance_ess:,.0f}"
        + _left_out(problem, keep),
    )


def _kept(problem: Problem, draws: int) -> list[str]:
    """Terms whose effects are few enough to keep."""
    return [
        term.name
        for term in problem.terms
        if draws * term.n_levels * term.columns.shape[1] <= MAX_KEPT
    ]


def _left_out(problem: Problem, keep: list[str]) -> str:
    return "".join(f"; effects of {t.name} not kept" for t in problem.terms if t.name not in keep)


_ENGINES = {"collapsed": _collapsed, "laplace": _laplace}
