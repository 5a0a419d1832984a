"""Which engine samples a model: the exact one where it applies, NUTS where none does."""

import warnings
from dataclasses import dataclass

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.inference.collapsed import sample_collapsed
from causalbias.inference.nuts import sample_nuts, weigh_rows
from causalbias.inference.problem import EngineError, ImproperError
from causalbias.models.arrays import arrays_of, sd_log_prior
from causalbias.models.group_design import group_designs
from causalbias.models.naming import name_draws
from causalbias.models.spec import (
    ModelSpec,
    bambi_model,
    common_model,
    row_counts,
    row_precisions,
)

METHODS = ("auto", "collapsed", "nuts")
MAX_PARETO_K = 0.7
# Numbers in a group term's effects, all draws together, above which they are not kept.
MAX_KEPT = 8_000_000


@dataclass(frozen=True)
class Sampled:
    """What an engine gives: groups of the fit, a line on what ran, and its own failures."""

    posterior: xr.Dataset
    sample_stats: xr.Dataset
    engine: str
    failures: list[str]


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
    method : {"auto", "collapsed", "nuts"}
    draws, tune, chains, seed : int
        As in `fit`.

    Raises
    ------
    DataError
        If the method is unknown, or was asked for by name and does not apply, with the reason.
    """
    if method not in METHODS:
        raise DataError(f"no method {method!r}", mend=f"use one of {', '.join(METHODS)}")
    why = ""
    if method != "nuts":
        try:
            found = _collapsed(spec, used, draws=draws, chains=chains, seed=seed)
            if method == "auto" and found.failures:
                raise EngineError("; ".join(found.failures))
            return found
        except ImproperError as error:
            raise DataError(
                str(error), mend="leave out what fits exactly, or give proper priors"
            ) from error
        except EngineError as error:
            if method == "collapsed":
                raise DataError(
                    f"the collapsed engine declines: {error}", mend="use method='nuts'"
                ) from error
            why = f" (the exact engine declined: {error})"
    model = bambi_model(spec, used)
    model.build()
    weigh_rows(model, row_counts(spec, used), row_precisions(spec, used))
    chained = sample_nuts(model, draws=draws, tune=tune, chains=chains, seed=seed)
    divergences = int(chained["sample_stats"]["diverging"].sum())
    slopes = any(
        one.correlated and len(one.effects) > 1 for one in group_designs(spec.formula, used)
    )
    return Sampled(
        posterior=chained["posterior"],
        sample_stats=chained["sample_stats"],
        engine=f"NUTS (nutpie), {chains} chains of {draws:,} draws after {tune:,} of warm-up{why}"
        + ("; slopes not correlated, as bambi has it" if slopes else ""),
        failures=[f"{divergences} divergent transitions"] if divergences else [],
    )


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
    keep = [
        term.name
        for term in problem.terms
        if total * term.n_levels * term.columns.shape[1] <= MAX_KEPT
    ]
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
    too_heavy = diagnostics.pareto_k > MAX_PARETO_K
    return Sampled(
        posterior=posterior,
        sample_stats=statistics,
        engine=f"collapsed Gaussian (exact), {total:,} draws, Pareto k {diagnostics.pareto_k:.2f}"
        + "".join(f"; effects of {t.name} not kept" for t in problem.terms if t.name not in keep),
        failures=[f"Pareto k is {diagnostics.pareto_k:.2f} (limit {MAX_PARETO_K})"]
        if too_heavy
        else [],
    )
