"""Prior predictive draws: parameters and data from the priors of a model."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from causalbias.arguments import generator, need_rows
from causalbias.errors import DataError
from causalbias.inference.membership import effects_design
from causalbias.inference.problem import EngineError
from causalbias.io.memory import check_memory, chunks
from causalbias.models.arrays import Arrays, arrays_of
from causalbias.models.engines import MAX_KEPT
from causalbias.models.fitted import ModelDesign
from causalbias.models.formula.parts import Formula
from causalbias.models.limits import simulate_between
from causalbias.models.naming import name_draws
from causalbias.models.prior_draws import PriorDraws, draw_priors
from causalbias.models.result import OBS, pack_frame
from causalbias.models.rows import frame_for, rows_of
from causalbias.models.sizes import check_fit_size
from causalbias.models.specification import limits_of_rows, model_frame, specify, trials_of


def prior_predictive(
    formula: str | Formula | Sequence[str],
    data: xr.DataTree | pd.DataFrame,
    *,
    family: str = "gaussian",
    link: str | None = None,
    priors: Mapping[str, str] | None = None,
    subset: str | None = None,
    weights: str | None = None,
    draws: int = 500,
    random_seed: int = 0,
) -> xr.DataTree:
    """Draw parameters and responses from the priors of a model, to check whether they are sensible.

    The responses in `data` are used only to scale default priors.

    Parameters
    ----------
    formula, data, family, link, priors, subset, weights
        As in `fit`.
    draws : int
        Number of draws.
    random_seed : int
        Seed of the random numbers; the same seed gives the same draws.

    Returns
    -------
    DataTree
        ``prior`` and ``prior_predictive`` (chain, draw, ...) with the names of a fit's posterior,
        ``observed_data`` and ``constant_data``, which prior checks of arviz can read. Ordinal
        responses are category codes 0, 1, ... Effects of single levels are left out of ``prior`` if
        they are more than eight million numbers. The memory for intermediate results does not grow
        with the number of draws.

    Raises
    ------
    DataError
        As in `fit`, and if a prior is flat, or if rows times draws do not fit into memory.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> drawn = cb.prior_predictive("score ~ level + (1|annotator)", study, draws=100)
    >>> drawn["prior_predictive"]["score"].dims
    ('chain', 'draw', '__obs__')
    """
    spec = specify(formula, family, link=link, priors=priors, weights=weights)
    need_rows(data)
    used = model_frame(spec, rows_of(frame_for(spec.formula, data), subset))
    if draws < 1:
        raise DataError(f"{draws} draws", hint="ask for one or more")
    hint = "ask for fewer draws, or for fewer rows by subset="
    check_memory(float(draws) * len(used), f"{len(used):,} rows times {draws:,} draws", hint)
    for one in spec.formulas:
        check_fit_size(one, used, draws)
    model = ModelDesign.of(spec, used)
    if model.measured:
        raise DataError(
            f"true values of {model.measured[0].name} have no prior without its measurements",
            hint="draw from the prior of the model with the measurement itself as covariate",
        )
    try:
        arrays = arrays_of(model, normal=False)
    except EngineError as error:
        raise DataError(f"cannot draw from the prior: {error}", hint="change that term") from error
    of_parameters, of_effects, of_rows = generator(random_seed).spawn(3)
    drawn = draw_priors(model, arrays, draws, of_parameters)
    of_family = model.family
    values = np.empty((draws, len(used)), np.float64 if of_family.continuous else np.int32)
    further = {name: array.reshape(draws, -1) for name, (_, array) in drawn.further.items()}
    precision, trials = arrays.problem.row_precision, trials_of(spec, used)
    known = limits_of_rows(spec, used)
    bounds = None if known is None or not known.truncated else (known.lb, known.ub)
    predictors = [(arrays, drawn), *((arrays.parts[one], drawn.parts[one]) for one in model.parts)]
    for part, linear in _linear_predictors(predictors, of_effects):
        some = {
            name: np.asarray(further[name][part], float)
            for name in of_family.parameters
            if name in further
        }
        if model.threshold_sets is not None:
            some["threshold"] = model.threshold_sets.at(some["threshold"], used)
        for (name, design), own in zip(model.parts.items(), linear[1:], strict=True):
            some[name] = design.link.inverse(own)
        parameters = of_family.of_rows(some, precision, trials)
        if bounds is None:
            values[part] = of_family.simulate(of_rows, linear[0], parameters)
        else:
            values[part] = simulate_between(of_family, of_rows, bounds, linear[0], parameters)
    if model.response.transformed:
        values = model.response.back().outcomes(values)
    prior = name_draws(model, arrays, drawn, drawn.further, 1, drawn.parts, drawn.across)
    return _tree(prior, values, model.response.column, used)


def _linear_predictors(
    predictors: Sequence[tuple[Arrays, PriorDraws]], rng: np.random.Generator
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Yield (draws of a chunk, linear predictors (c, rows)); keep effects that are not too many."""
    terms = [term for arrays, _ in predictors for term in arrays.problem.terms]
    draws, rows = len(predictors[0][1].beta), len(predictors[0][0].problem.y)
    width = rows * len(predictors) + sum(term.n_levels * term.k for term in terms)
    designs = [effects_design(term) for term in terms]
    # A separate stream for each term, so that the draws do not depend on the size of chunks.
    streams = rng.spawn(len(terms))
    names = [term.name for term in terms]
    for one in predictors[0][0].shared:  # effects that are correlated are of the same numbers
        first, *others = (names.index(term) for term in one.terms)
        for other in others:
            streams[other] = deepcopy(streams[first])
    for arrays, drawn in predictors:
        for term in arrays.problem.terms:
            shape = (draws, term.n_levels, term.columns.shape[1])
            if np.prod(shape) <= MAX_KEPT:
                drawn.effects[term.name] = np.empty(shape)
    for part in chunks(draws, 16 * width):
        each = iter(zip(designs, streams, strict=True))
        yield part, [_linear_predictor(part, *one, each) for one in predictors]


def _linear_predictor(
    part: slice,
    arrays: Arrays,
    drawn: PriorDraws,
    each: Iterator[tuple[sparse.csr_matrix, np.random.Generator]],
) -> np.ndarray:
    """One of them (c, rows); ``each`` has the design and the stream of the terms to come."""
    problem = arrays.problem
    linear = drawn.beta[part] @ problem.design.T
    if problem.offset is not None:
        linear += problem.offset
    for term in problem.terms:
        design, stream = next(each)
        effects = _effects(drawn.factors[term.name][part], term.n_levels, stream)
        linear += _times(design, effects)
        if term.name in drawn.effects:
            drawn.effects[term.name][part] = effects
    return np.asarray(linear)


def _effects(factors: np.ndarray, levels: int, rng: np.random.Generator) -> np.ndarray:
    """Effects (c, levels, k) given their factors (c, k, K) of K white numbers."""
    white = rng.standard_normal((len(factors), levels, factors.shape[2]))
    return white @ factors.swapaxes(1, 2)


def _times(design: sparse.csr_matrix, effects: np.ndarray) -> np.ndarray:
    return np.asarray(design @ effects.reshape(len(effects), -1).T).T


def _tree(prior: xr.Dataset, values: np.ndarray, response: str, used: pd.DataFrame) -> xr.DataTree:
    packed = pack_frame(used)
    predictive = xr.Dataset(
        {response: (("chain", "draw", OBS), values[None])},
        coords={"chain": [0], "draw": prior["draw"], OBS: packed[OBS]},
    )
    return xr.DataTree.from_dict(
        {
            "prior": prior,
            "prior_predictive": predictive,
            "observed_data": packed[[response]],
            "constant_data": packed,
        }
    )
