"""Which engine samples a model: the exact one where it applies, NUTS where none does."""

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import bambi as bmb
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from causalbias.arguments import whole_in
from causalbias.errors import DataError, SamplingWarning
from causalbias.inference.diagnostics import (
    MAX_PARETO_K,
    MAX_RHAT,
    MIN_ESS,
    apart,
    diagnose,
    verdict,
)
from causalbias.inference.equal_rows import share_design
from causalbias.inference.gaussian import GaussianDraws, effects_at, sample_gaussian
from causalbias.inference.laplace import sample_laplace
from causalbias.inference.laplace.result import Diagnostics as LaplaceDiagnostics
from causalbias.inference.nuts import sample_nuts
from causalbias.inference.problem import (
    EngineError,
    FloatArray,
    ImproperError,
    IntArray,
    LogDensity,
    Problem,
)
from causalbias.inference.protocol import Draws
from causalbias.inference.rowwise import DENSITIES, LIMITED, sample_rowwise
from causalbias.inference.rowwise.densities import Density
from causalbias.inference.rowwise.sample import Diagnostics as RowwiseDiagnostics
from causalbias.models import monotone, shrinkage
from causalbias.models.arrays import Arrays, arrays_of
from causalbias.models.fitted import ModelDesign
from causalbias.models.identified import check_identified, shared_variances
from causalbias.models.measured import repeated
from causalbias.models.naming import Variable, name_draws
from causalbias.models.nuts_model import draws_of, kept_names, large_columns, nuts_model
from causalbias.models.priors import log_density
from causalbias.models.separated import separation
from causalbias.models.sizes import check_fit_size
from causalbias.models.specification import limits_of_rows
from causalbias.progress import paused, stage

METHODS = ("auto", "collapsed", "laplace", "nuts")
# Numbers in a group term's effects, all draws together, above which they are not kept.
MAX_KEPT = 8_000_000
# Of the draws of a term's effects that are kept where all are too many, the fewest.
MIN_THINNED = 200
# Draws of half a chain from which on an engine's own are judged by how alike its chains are.
JUDGED = 50
MAX_MEASURED = 80_000_000  # true values times draws, 640 MB
NUTS_COMPILES = 20.0  # seconds
# Of an ordinal response, above which auto does not go on to NUTS.
MAX_CATEGORIES = 60


@dataclass(frozen=True)
class Sampling:
    """How a posterior is to be sampled.

    Attributes
    ----------
    draws, tune : int
        Draws kept and warm-up draws (of NUTS), of each chain.
    chains, random_seed : int

    Raises
    ------
    DataError
        If one of them is no whole number, or too small.
    """

    draws: int
    tune: int
    chains: int
    random_seed: int

    def __post_init__(self) -> None:
        for name, least in {"draws": 1, "tune": 0, "chains": 1, "random_seed": 0}.items():
            whole_in(getattr(self, name), name, least)

    @property
    def total(self) -> int:
        """Draws of all chains."""
        return self.draws * self.chains


@dataclass(frozen=True)
class Sampled:
    """What an engine gives: groups of the fit, and a line on what ran.

    Attributes
    ----------
    posterior, sample_stats : Dataset
    engine : str
    thinned : Dataset, optional
        The posterior at fewer draws with the effects that were too many to keep at all.
    notes : list of str
        What is to be said of the model beside the estimates.
    """

    posterior: xr.Dataset
    sample_stats: xr.Dataset
    engine: str
    thinned: xr.Dataset | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def diagnostics(self) -> xr.Dataset:
        """R-hat and effective sizes of every parameter."""
        stage("diagnostics")
        return diagnose(self.posterior)

    def failures(self) -> list[str]:
        """What the diagnostics say against the draws; empty where nothing."""
        return verdict(self.diagnostics, self.sample_stats)


@dataclass(frozen=True)
class Thinned:
    """Some of an engine's draws, as `name_draws` takes them."""

    beta: FloatArray
    sd: dict[str, FloatArray]
    corr: dict[str, FloatArray]
    effects: dict[str, NDArray[np.floating]]


def sample(model: ModelDesign, method: str, settings: Sampling) -> Sampled:
    """Sample a model's posterior by the method named, or by the first that applies.

    Parameters
    ----------
    model : ModelDesign
    method : {"auto", "collapsed", "laplace", "nuts"}
    settings : Sampling

    Raises
    ------
    DataError
        If the method is unknown, or was asked for by name and does not apply, with the reason.
    """
    if method not in METHODS:
        raise DataError(f"no method {method!r}", hint=f"use one of {', '.join(METHODS)}")
    check_identified(model)
    found = _sample(model, method, settings)
    notes = *shared_variances(model), *separation(model), *repeated(model.measured)
    found.notes.extend(notes)
    return found


def _sample(model: ModelDesign, method: str, settings: Sampling) -> Sampled:
    engines: tuple[str, ...] = model.family.engines
    if _is_limited(model):
        engines = ("laplace",)
    chosen = (*engines, "nuts")[0] if method == "auto" else method
    why = ""
    if chosen != "nuts":
        stage(f"{chosen} engine")
        try:
            found = _ENGINES[chosen](model, settings)
            why = _misfit(found.sample_stats, settings.total) or _unmixed(found, settings)
            if method != "auto" or not why:
                return found
        except ImproperError as error:
            raise DataError(
                str(error), hint="leave out what fits exactly, or give proper priors"
            ) from error
        except DataError:
            raise
        except (EngineError, np.linalg.LinAlgError, FloatingPointError) as error:
            if method != "auto":
                raise DataError(
                    f"the {method} engine declines: {error}", hint="use method='nuts'"
                ) from error
            why = str(error)
        _check_categories(model, why)
        why = f" (the {chosen} engine declined: {why})"
    return _nuts(model, settings, why=why, announced=method == "auto")


def _is_limited(model: ModelDesign) -> bool:
    """Whether rows are censored or truncated, of a family whose limits the Laplace engine knows."""
    return model.spec.limits.of_rows and model.family.name in LIMITED


def _nuts(model: ModelDesign, settings: Sampling, *, why: str, announced: bool) -> Sampled:
    draws, tune, chains = settings.draws, settings.tune, settings.chains
    for formula in model.spec.formulas:
        check_fit_size(formula, model.frame, settings.total, effects=True)
    arrays = arrays_of(model, normal=False)
    problem = arrays.problem
    _check_measured(model, settings.total)
    built = nuts_model(model, arrays)
    if announced:
        about = _duration(problem, draws + tune, chains)
        warnings.warn(
            f"sampling by NUTS{why}: {about}, by a rough guess from {len(model.frame):,} rows",
            SamplingWarning,
            stacklevel=4,
        )
    with paused() as bar:
        chained = sample_nuts(
            built,
            kept_names(built),
            draws=draws,
            tune=tune,
            chains=chains,
            random_seed=settings.random_seed,
            still=large_columns(model, arrays),
            target_accept=_target_accept(arrays),
            progress=bar,
        )
    found, further, parts, across = draws_of(chained["posterior"], model, arrays)
    keep = _kept(problem, settings.total)
    some = _thin(problem, keep, settings)
    rest = {name: one[some] for name, one in found.effects.items()}
    kept = replace(found, effects={name: found.effects[name] for name in keep})
    return Sampled(
        posterior=name_draws(model, arrays, kept, further, chains, parts, across),
        thinned=_thinned(model, arrays, found, further, chains, some, rest, parts, across),
        sample_stats=chained["sample_stats"],
        engine=f"NUTS (nutpie), {chains} chains of {draws:,} draws after {tune:,} of warm-up{why}"
        + _left_out(problem, keep, some),
    )


def _check_measured(model: ModelDesign, total: int) -> None:
    """Raise where the true values of what was measured are too many to keep."""
    for one in model.measured:
        if len(one.values) * total > MAX_MEASURED:
            raise DataError(
                f"{one.name} has {len(one.values):,} true values, at {total:,} draws each",
                hint="name what was measured where rows have it in common, me(age, se, gr=face), "
                "or ask for fewer draws",
            )


def _target_accept(arrays: Arrays) -> float | None:
    """The acceptance that NUTS is to aim at for the priors of all predictors; None for any."""
    every = (arrays, *arrays.parts.values())
    if any(one.shrinkage is not None for one in every):
        return shrinkage.TARGET_ACCEPT
    return monotone.TARGET_ACCEPT if any(one.monotone for one in every) else None


def _duration(problem: Problem, iterations: int, chains: int) -> str:
    """How long NUTS may take, in words."""
    terms = [*problem.terms, *(term for one in problem.further for term in one.terms)]
    columns = problem.design.shape[1] + sum(term.columns.shape[1] for term in terms)
    columns += sum(one.design.shape[1] for one in problem.further)
    effects = sum(term.n_levels * term.columns.shape[1] for term in terms)
    gradient = 2e-5 + 1e-8 * len(problem.y) * (4 + columns) + 2e-8 * effects
    steps = 32 if problem.terms else 8
    rounds = math.ceil(chains / (os.cpu_count() or 1))
    seconds = NUTS_COMPILES + gradient * steps * iterations * rounds
    if seconds < 90:
        return f"about {10 * math.ceil(seconds / 10)} seconds"
    return f"about {math.ceil(seconds / 60):,} minutes"


def _check_categories(model: ModelDesign, why: str) -> None:
    """Raise where NUTS would have so many thresholds that it does not end in reasonable time.

    The Laplace engine takes 60 categories of 3,000 rows in 6 s, and 100 in 17 s; it declines where
    most have a few rows only. NUTS then takes 22 s of CPU for 60 categories of 120 rows, and for
    100 of 1,000 it was not done after 5 minutes.
    """
    if not model.family.has_thresholds:
        return
    response = model.response.column
    count = model.frame[response].nunique()
    if count > MAX_CATEGORIES:
        raise DataError(
            f"{count:,} categories of {len(model.frame):,} rows: the laplace engine declines "
            f"({why}), and NUTS would take very long",
            hint=f"fit it as gaussian, join categories to {MAX_CATEGORIES} or fewer, or wait: "
            "method='nuts'",
            column=response,
        )


def _misfit(stats: xr.Dataset, total: int) -> str:
    """What says that proposals do not fit, so that more draws would not help; "" if nothing.

    Engines stop proposing at an effective size of a quarter of the draws at the least.
    """
    shape, size = float(stats["pareto_k"]), float(stats["importance_ess"])
    if not shape <= MAX_PARETO_K:
        return f"Pareto k is {shape:.2f}"
    return f"the weights' effective size is {size:.0f}" if size < min(MIN_ESS, total / 4) else ""


def _unmixed(found: Sampled, settings: Sampling) -> str:
    """What says that draws are not independent, as an engine's are to be; "" if nothing.

    Of m half chains of n independent draws each, R-hat is ``sqrt(1 + (B - 1) / n)``, B about
    chi-squared over m - 1: few draws are over the limit by chance, and more of them would not be.
    Where a tenth of the draws is effective or more, a few thousand are enough, and cost less than
    a Markov chain.
    """
    half = settings.draws // 2
    if half < JUDGED:
        return ""
    limits = {"r_hat": max(MAX_RHAT, math.sqrt(1 + 8 / half))}
    limits |= dict.fromkeys(("ess_bulk", "ess_tail"), min(MIN_ESS, settings.total / 10))
    for name, values in found.diagnostics.data_vars.items():
        for check, limit in limits.items():
            known = values.sel(diagnostic=check).values.ravel()
            known = known[np.isfinite(known)]
            if check == "r_hat" and known.max(initial=0) > limit:
                return f"R-hat of {name} is {apart(known.max(), limit)}"
            if check != "r_hat" and known.min(initial=np.inf) < limit:
                return f"the effective size of {name} is {apart(known.min(), limit)}"
    return ""


def _collapsed(model: ModelDesign, settings: Sampling) -> Sampled:
    family = model.family
    if "collapsed" not in family.engines or family.link.name != "identity":
        raise EngineError(
            f"it takes normal noise with an identity link, not the family {family.name} with link "
            f"{family.link.name}"
        )
    arrays = arrays_of(model)
    problem = replace(arrays.problem, y=family.normal_response(arrays.problem.y))
    prior = model.prior("sigma")
    if not isinstance(prior, bmb.Prior) and not model.parts:
        raise EngineError("sigma is fixed")
    total, chains = settings.total, settings.chains
    keep = _kept(problem, total)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pareto k is judged below
        found = sample_gaussian(
            problem,
            log_density(prior, "sigma") if isinstance(prior, bmb.Prior) else None,
            draws=total,
            random_seed=settings.random_seed,
            keep=keep,
        )
    diagnostics = found.diagnostics
    sigma: dict[str, Variable] = {} if model.parts else {"sigma": ((), found.sigma)}
    parts = {name: _of_sigma(found) for name in model.parts}
    some = _thin(problem, keep, settings)
    rest = effects_at(problem, found, some) if len(some) else {}
    statistics = xr.Dataset(
        {
            "lp": (("chain", "draw"), found.lp.reshape(chains, -1)),
            "pareto_k": diagnostics.pareto_k,
            "importance_ess": diagnostics.importance_ess,
        },
        coords={"chain": np.arange(chains), "draw": np.arange(settings.draws)},
    )
    return Sampled(
        posterior=name_draws(model, arrays, found, sigma, chains, parts),
        thinned=_thinned(model, arrays, found, sigma, chains, some, rest, parts),
        sample_stats=statistics,
        engine=f"collapsed Gaussian ({_accuracy(diagnostics.density_error)}), {total:,} draws, "
        f"Pareto k {diagnostics.pareto_k:.2f}" + _left_out(problem, keep, some),
    )


def _of_sigma(found: GaussianDraws) -> Thinned:
    """Draws of the predictor of log sigma."""
    if found.noise.levels is None:
        return Thinned(found.noise_coefficients, {}, {}, {})
    name = found.noise.levels.name
    sd, effects = found.noise_sd[:, None], found.noise_effects[:, :, None]
    return Thinned(found.noise_coefficients, {name: sd}, {}, {name: effects})


def _accuracy(error: float) -> str:
    """Whether the density of a Gaussian fit's scales was exact, and how exact if it was not."""
    if not error:
        return "exact"
    return f"log determinant estimated, which moves means by at most {error:.1g} posterior sd"


def _laplace(model: ModelDesign, settings: Sampling) -> Sampled:
    family = model.family
    limited = _is_limited(model)
    if limited or family.name in DENSITIES:
        return _rowwise(model, settings, LIMITED if limited else DENSITIES)
    if "laplace" not in family.engines:
        raise EngineError(f"the family {family.name} is not among those whose rows it knows")
    arrays = arrays_of(model)
    arrays = replace(arrays, problem=share_design(arrays.problem))
    problem, total, chains = arrays.problem, settings.total, settings.chains
    options: dict[str, FloatArray] = {}
    if family.has_trials:
        options["trials"] = problem.y[:, 1]
        problem = replace(problem, y=problem.y[:, 0])
    elif family.has_thresholds:
        prior = model.prior("threshold")
        if not isinstance(prior, bmb.Prior) or prior.name != "Normal":
            raise EngineError("the prior of the thresholds is not Normal")
        sets = model.threshold_sets
        count = len(model.categories) - 1 if sets is None else sum(sets.sizes)
        mean, sd = (np.broadcast_to(prior.args[key], count) for key in ("mu", "sigma"))
        if sets is not None:
            problem = replace(problem, y=sets.categories(problem.y, model.frame))
            mean, sd = sets.side_by_side(mean, sd)
        options |= {"threshold_mean": mean.astype(float), "threshold_sd": sd.astype(float)}
    keep = _kept(problem, total)
    some = _thin(problem, keep, settings)
    found = sample_laplace(
        problem,
        link=family.link.name,
        draws=total,
        random_seed=settings.random_seed,
        keep=[*keep, *(term.name for one in problem.further for term in one.terms)],
        some=some,
        **options,
    )
    further: dict[str, Variable] = {}
    if found.threshold.shape[1]:
        further["threshold"] = (("threshold_dim",), found.threshold)
    parts = {name: replace(found, beta=found.disc) for name in model.parts}
    diagnostics = found.diagnostics
    rest = found.thinned | {name: one[some] for name, one in found.effects.items()}
    return Sampled(
        posterior=name_draws(model, arrays, found, further, chains, parts),
        thinned=_thinned(model, arrays, found, further, chains, some, rest, parts),
        sample_stats=_weights(diagnostics),
        engine=f"{_in_words(diagnostics, total)}{_left_out(problem, keep, some)}",
    )


def _rowwise(model: ModelDesign, settings: Sampling, densities: Mapping[str, Density]) -> Sampled:
    """The Laplace engine of families whose rows have any smooth log likelihood."""
    family, total, chains = model.family, settings.total, settings.chains
    if family.link.name != densities[family.name].link:
        raise EngineError(
            f"of the family {family.name} it has the link {densities[family.name].link}, not "
            f"{family.link.name}"
        )
    arrays = arrays_of(model, limited=densities is LIMITED)
    problem, trials = arrays.problem, None
    limits = _limits(model, problem.y)
    if limits is not None:
        problem = replace(problem, y=family.normal_response(problem.y))
    if family.has_trials:
        trials, problem = problem.y[:, 1], replace(problem, y=problem.y[:, 0])
    priors: dict[str, LogDensity] = {}
    for name in family.parameters:
        prior = model.prior(name)
        if isinstance(prior, bmb.Prior):
            priors[name] = log_density(prior, name, positive=name in family.positive)
        elif name not in model.parts:
            raise EngineError(f"{name} is fixed")
    keep = _kept(problem, total)
    some = _thin(problem, keep, settings)
    found = sample_rowwise(
        problem,
        family.name,
        priors,
        trials=trials,
        limits=limits,
        draws=total,
        random_seed=settings.random_seed,
        keep=keep,
        some=some.tolist(),
    )
    further: dict[str, Variable] = {name: ((), one) for name, one in found.parameters.items()}
    parts = {name: Thinned(beta, {}, {}, {}) for name, beta in found.further.items()}
    diagnostics = found.diagnostics
    rest = found.thinned | {name: one[some] for name, one in found.effects.items()}
    return Sampled(
        posterior=name_draws(model, arrays, found, further, chains, parts),
        thinned=_thinned(model, arrays, found, further, chains, some, rest, parts),
        sample_stats=_weights(diagnostics),
        engine=f"{_in_words(diagnostics, total)}{_left_out(problem, keep, some)}",
    )


def _limits(model: ModelDesign, y: FloatArray) -> FloatArray | None:
    """What is known of rows (n, 4), as the Laplace engine takes it; None where all was observed."""
    known, family = limits_of_rows(model.spec, model.frame), model.family
    if known is None:
        return None
    low, high = (np.where(known.censored, end, y) for end in (known.low, known.high))
    ends = np.column_stack([low, high, known.lb, known.ub])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ends > family.lowest, family.normal_response(ends), -np.inf)


def _weights(diagnostics: LaplaceDiagnostics | RowwiseDiagnostics) -> xr.Dataset:
    return xr.Dataset(
        {
            "pareto_k": diagnostics.pareto_k,
            "importance_ess": diagnostics.importance_ess,
            "n_weighed": diagnostics.n_weighed,
        }
    )


def _in_words(diagnostics: LaplaceDiagnostics | RowwiseDiagnostics, draws: int) -> str:
    return (
        f"Laplace, importance-weighted, {draws:,} draws, Pareto k {diagnostics.pareto_k:.2f}, "
        f"effective size {diagnostics.importance_ess:,.0f}"
    )


def _kept(problem: Problem, draws: int) -> list[str]:
    """Terms whose effects are few enough to keep."""
    return [
        term.name
        for term in problem.terms
        if draws * term.n_levels * term.columns.shape[1] <= MAX_KEPT
    ]


def _thin(problem: Problem, keep: list[str], settings: Sampling) -> IntArray:
    """Numbers of the draws, equally many of each chain, whose effects are kept of all terms."""
    sizes = [t.n_levels * t.columns.shape[1] for t in problem.terms if t.name not in keep]
    if not sizes:
        return np.zeros(0, np.int64)
    wanted = max(MIN_THINNED, MAX_KEPT // max(sizes))
    step, draws = math.ceil(settings.total / wanted), settings.draws
    return (draws * np.arange(settings.chains)[:, None] + np.arange(0, draws, step)).ravel()


def _thinned(
    model: ModelDesign,
    arrays: Arrays,
    found: Draws,
    further: Mapping[str, Variable],
    chains: int,
    some: IntArray,
    effects: Mapping[str, NDArray[np.floating]],
    parts: Mapping[str, Draws] = MappingProxyType({}),
    across: Mapping[str, FloatArray] = MappingProxyType({}),
) -> xr.Dataset | None:
    """The posterior at some of the draws with the effects of all terms; None where none is."""
    if not len(some):
        return None
    draws = _some(found, some, effects)
    values = {name: (dims, one[some]) for name, (dims, one) in further.items()}
    of_parts = {
        name: _some(one, some, {term: values[some] for term, values in one.effects.items()})
        for name, one in parts.items()
    }
    of_shared = {name: one[some] for name, one in across.items()}
    named = name_draws(model, arrays, draws, values, chains, of_parts, of_shared)
    return named.assign_coords(draw=some[: len(some) // chains])


def _some(found: Draws, some: IntArray, effects: Mapping[str, NDArray[np.floating]]) -> Thinned:
    return Thinned(
        beta=found.beta[some],
        sd={name: one[some] for name, one in found.sd.items()},
        corr={name: one[some] for name, one in found.corr.items()},
        effects=dict(effects),
    )


def _left_out(problem: Problem, keep: list[str], some: IntArray) -> str:
    return "".join(
        f"; effects of {t.name} kept at {len(some):,} of them"
        for t in problem.terms
        if t.name not in keep
    )


_ENGINES = {"collapsed": _collapsed, "laplace": _laplace}
