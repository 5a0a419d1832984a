"""How much of an effect goes through a measured mediator: direct and indirect effects."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from pandas.api import types

from causalbias.arguments import described, flag_in, generator, need_fit, number_in
from causalbias.causal.path_sums import MediatorModel, Paths, counterfactual_means
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.draws.transformations import per_unit
from causalbias.errors import DataError, at_first
from causalbias.estimands.averaging import Averaging, averaging
from causalbias.estimands.scales import outcome_named
from causalbias.inference.problem import FloatArray
from causalbias.models.estimable import UNKNOWN
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.levels import Level, reference_of
from causalbias.study.columns import measured

PATHS = ("total", "direct", "indirect", "controlled direct")
OF_RESULT = ("path", "effect", "proportion_mediated", "bounded", "mediator_change", "n", "rho")
LEAST_RELIABILITY = 0.1
MOST_APART = 0.01  # standard deviations of the mediator by which rounding moves means of ratings
BY_DESIGN = (
    "that variable and mediator were set independently of each other, as said. Controlled direct "
    "effects are then identified by design; direct and indirect effects are those of a mediator "
    "drawn from its distribution at a level (interventional effects)."
)
ASSUMED = (
    "for the total effect nothing but the manipulation; for the paths, since the mediator was "
    "measured and not manipulated, that nothing else moves both mediator and outcome of a row, "
    "given the other terms of both formulas, be it moved by the variable or not (see rho=)."
)


def mediation(
    outcome: xr.DataTree,
    mediator: xr.DataTree,
    variable: str,
    *,
    reference: object = None,
    by: str | Sequence[str] = (),
    at: float | None = None,
    manipulated: bool = False,
    mediator_error: float | pd.DataFrame | None = None,
    rho: float | Sequence[float] | None = None,
    scale: str = "response",
    threshold: float | None = None,
    prob: float = 0.95,
    random_seed: int = 0,
) -> Estimate:
    """Split the effect of a manipulated variable into what goes through a mediator and the rest.

    How much of the effect of race on a distance goes through skin tone? With Y(x, m) the outcome at
    level x and mediator m, M(x) the mediator at level x, and x' the reference (Pearl 2001):

    - total: ``E[Y(x, M(x)) - Y(x', M(x'))]``,
    - direct (natural): ``E[Y(x, M(x')) - Y(x', M(x'))]``, the mediator left as at the reference,
    - indirect (natural): ``E[Y(x, M(x)) - Y(x, M(x'))]``, and both add up to the total,
    - controlled direct: ``E[Y(x, m) - Y(x', m)]``, the mediator held at `at`.

    Each expectation is an average over the rows of the outcome's fit, over the mediator's
    distribution in its model and over new groups (but over the mediators of the rows' own groups,
    where the outcome's formula has what tells these apart, as the group's mean of the mediator, and
    the mediator's effect differs by row or is not straight) (g-computation; for linear models with
    ``variable*mediator`` the formulas of VanderWeele 2015, section 2.2.1). The models may be any of
    `fit`'s for the outcome, and normal or binary ones for the mediator.

    Parameters
    ----------
    outcome : Fit
        Model of the outcome with the variable and the mediator, best with their interaction:
        ``"distance ~ race*tone + (1|seed)"``. Write powers of the mediator in the formula,
        ``I(tone**2)``: a column that was computed from it is held.
    mediator : Fit
        Model of the mediator on the same faces, ``"tone ~ race + (1|seed)"``: normal with the
        identity link and without a transformation, or binary with values 0 and 1.
    variable : str
        What was manipulated, a column of both.
    reference, by, scale, threshold
        As in `effects`.
    at : float, optional
        Mediator at which the controlled direct effect holds it; by default its mean over the rows.
    manipulated : bool
        Whether the design set the mediator too, independently of the variable. It changes what is
        stated of the assumptions, and no number.
    mediator_error : float or DataFrame, optional
        The mediator was measured with error, which flattens the indirect effect: the standard
        deviation of the error of a row's value, or a table of nothing but ratings: a row for each
        row of the mediator's fit, in its order, and a column a rating (missing cells allowed), of
        which the mediator is the mean. For normal linear models.
    rho : float or sequence of float, optional
        Correlation of what else moves mediator and outcome of a row: a sensitivity parameter
        (Imai, Keele and Yamamoto 2010, theorem 2). For normal linear models without
        `mediator_error`. Adds a dim `rho`.
    prob : float, default 0.95
        Probability of the interval behind `rho_to_doubt` and `bounded`.
    random_seed : int
        Of the order in which draws of both fits are paired.

    Returns
    -------
    Estimate
        ``effect`` (chain, draw, variable, *by, path[, rho]). ``proportion_mediated``: indirect over
        total, with `bounded`, as in `per_unit`. ``mediator_change`` (chain, draw, variable, *by):
        effect on the mediator. ``n``: rows averaged over. For normal linear models without error
        ``rho_to_doubt``: the correlation nearest to zero at which the interval of the indirect
        effect includes zero. ``attrs["assumes"]`` says what identifies the paths.

    Raises
    ------
    DataError
        If the mediator is not in the outcome's formula, its values there are not those of its own
        fit, its model depends on columns that the outcome's does not, the outcome jumps with the
        mediator or is not finite where the mediator may be, the rows' own groups are needed and not
        known, ratings are not those whose mean the mediator is, or an error or correlation is given
        for models that are not linear and normal.

    Examples
    --------
    Race darkens the face by 2, and a unit of tone adds 0.1 to the distance; race itself adds 0.3.

    >>> import causalbias as cb
    >>> rng = np.random.default_rng(1)
    >>> faces = pd.MultiIndex.from_product(
    ...     [range(100), ["white", "black"]], names=["seed", "race"]
    ... ).to_frame(index=False)
    >>> black = faces["race"] == "black"
    >>> faces["tone"] = 2 * black + rng.normal(0, 1, 200)
    >>> faces["distance"] = 0.3 * black + 0.1 * faces["tone"] + rng.normal(0, 0.1, 200)
    >>> found = mediation(
    ...     cb.fit("distance ~ race*tone + (1|seed)", faces),
    ...     cb.fit("tone ~ race + (1|seed)", faces), "race", reference="white",
    ... )
    >>> found["effect"].median(["chain", "draw"]).round(1).sel(race="black").values.tolist()
    [0.5, 0.3, 0.2, 0.3]
    """
    need_fit(outcome)
    need_fit(mediator)
    manipulated, prob = flag_in(manipulated, "manipulated"), number_in(prob, "prob", 0, 1)
    model = MediatorModel.of(mediator, variable)
    _check_noise(model)
    over = _rows(outcome, model, variable, by, scale, threshold)
    check_names([variable, *over.by], [*OF_RESULT, *SAMPLE])
    levels = over.levels(variable)
    base = reference_of(levels, reference, variable)
    _check_known(over, variable, levels, base)
    held = _held(over, model.name) if at is None else number_in(at, "at")
    paths = counterfactual_means(over, model, variable, levels, held, random_seed)
    normal = _normal_linear(over, model, paths)
    correlations = None if rho is None else _correlations(rho)
    if (mediator_error is not None or correlations is not None) and not normal:
        raise DataError(
            "the outcome is not linear in the mediator with normal noise that is equal in all rows",
            hint="errors and rho= are for a gaussian outcome (identity link, no transformation, "
            "terms of the mediator to the first power) and a gaussian mediator, both without "
            "weights and without a formula of sigma",
        )
    if mediator_error is not None:
        if correlations is not None:
            raise DataError(
                "mediator_error= and rho= together",
                hint="give one: rho is the correlation of what is left of the values as measured",
            )
        _check_within(over.model, model)
        paths = paths.without_error(_reliability(mediator_error, model, paths, random_seed))
    found = _dataset(over, paths, variable, levels, base)
    if normal and mediator_error is None:
        confounding = paths.residual_ratio
        found["rho_to_doubt"] = _rho_to_doubt(found, confounding, prob)
        if correlations is not None:
            found = _with_rho(found, confounding, correlations)
    ratio = per_unit(
        found["effect"].sel(path="indirect", drop=True),
        found["effect"].sel(path="total", drop=True),
        prob=prob,
    )
    found = found.assign(proportion_mediated=ratio["ratio"], bounded=ratio["bounded"])
    name = outcome_named(over.model, scale)
    return estimate(
        found,
        of=[outcome, mediator],
        variable="effect",
        estimand=f"effect of {variable} against {base} on {name}, through {model.name} and not",
        outcome=name,
        scale=scale,
        population="new",
        held=f"controlled direct: {model.name} at {held:.4g}",
        rows=over.rows,
        reference=str(base),
        contrast=variable,
        treatment=f"{variable} against {base}",
        threshold=threshold,
        assumes=BY_DESIGN if manipulated else ASSUMED,
    )


def _rows(
    outcome: xr.DataTree,
    mediator: MediatorModel,
    variable: str,
    by: str | Sequence[str],
    scale: str,
    threshold: float | None,
) -> Averaging:
    """Rows of the outcome's fit, and a check that the mediator's model knows them."""
    model = fitted(outcome)
    known = model.population_columns
    if mediator.name not in known:
        raise DataError(
            f"{mediator.name!r}, the response of the mediator's model, is not in the outcome's "
            "formula",
            hint=f'add it: "{model.response.column} ~ {variable}*{mediator.name} + ..."',
            column=mediator.name,
        )
    if not types.is_numeric_dtype(model.frame[mediator.name].dtype):
        raise DataError(
            "the mediator has levels and no numbers in the outcome's model",
            hint="give it as numbers, 0 and 1 where it is binary",
            column=mediator.name,
        )
    if variable == mediator.name:
        raise DataError(f"{variable!r} is the mediator", hint="name the manipulated variable")
    further = [one for one in mediator.columns if one not in known]
    if further:
        raise DataError(
            f"the mediator's model depends on {', '.join(further)}, which the outcome's does not "
            "have",
            hint="add it to the outcome's formula: what moves the mediator may move the outcome",
            column=further[0],
        )
    _check_same_mediator(model, mediator)
    both = [variable, mediator.name]
    return averaging(
        outcome, by, variables=both, scale=scale, population="new", threshold=threshold
    )


def _check_same_mediator(outcome: FittedModel, mediator: MediatorModel) -> None:
    """Refuse fits of two tables, or of one mediator in two units.

    Rows may be repeated in one fit, as where a face has a distance from each of several networks,
    and lost in one, as without a distance: the rows of one fit have to be among those of the other,
    by all columns that both have.
    """
    name, model = mediator.name, mediator.model
    known, own = (_numbers(one.frame[name]) for one in (outcome, model))
    if known.shape == own.shape and np.allclose(known, own, rtol=1e-9, atol=0):
        return
    unit = known.std() or 1.0
    shared = [one for one in outcome.columns if one in model.columns and one != name]
    if outcome.repeats is not None or model.repeats is not None:  # their rows stand for others
        known, own = _means(outcome, known, shared), _means(model, own, shared)
    rows, others = (
        set(
            zip(
                np.round(values / unit, 6).tolist(),
                *(_comparable(one.frame[column]) for column in shared),
                strict=True,
            )
        )
        for values, one in ((known, outcome), (own, model))
    )
    if not (rows <= others or others <= rows):
        raise DataError(
            f"of {len(rows):,} different rows of the outcome's fit {len(rows - others):,} are not "
            f"in that of {name!r}, which has the mean {known.mean():.4g} in the one and "
            f"{own.mean():.4g} in the other",
            hint=f"fit both to one table, with {name!r} in the same units",
            column=name,
        )


def _means(model: FittedModel, values: FloatArray, columns: Sequence[str]) -> FloatArray:
    """Mean (rows,) of values over the rows of the data that are alike in the columns."""
    frame, by = model.frame, list(columns)
    group = (
        frame.groupby(by, observed=True).ngroup().to_numpy() if by else np.zeros(len(frame), int)
    )
    each = np.ones(len(frame)) if model.repeats is None else model.repeats
    return np.asarray((np.bincount(group, each * values) / np.bincount(group, each))[group])


def _numbers(values: pd.Series) -> FloatArray:
    """Values of a mediator, which are booleans in one of two fits that has them for levels."""
    if types.is_numeric_dtype(values.dtype):
        return values.to_numpy(float)
    return np.where(values.astype(str) == "True", 1.0, 0.0)


def _comparable(values: pd.Series) -> list[object]:
    """Values of a column, equal in two fits if they are."""
    numeric = types.is_numeric_dtype(values.dtype)
    return list(values.astype(float) if numeric else values.astype(str))


def _check_known(over: Averaging, variable: str, levels: list[Level], base: Level) -> None:
    """Refuse levels whose outcome the rows do not tell, as in an empty cell of an interaction."""
    for level in levels:
        known = over.estimability((1.0, {variable: level}), (-1.0, {variable: base}))
        if (known == UNKNOWN).any():
            raise DataError(
                f"the rows do not tell the outcome at {variable} {level} in every cell",
                hint="leave out the interaction whose cells are empty, or the rows of that level",
            )


def _held(over: Averaging, mediator: str) -> float:
    return float(np.average(over.frame[mediator].to_numpy(float), weights=over.counts))


def _normal_linear(over: Averaging, mediator: MediatorModel, paths: Paths) -> bool:
    """Whether both models are linear with normal noise that is the same in all rows."""
    models = (over.model, mediator.model)
    return (
        paths.linear
        and over.scale == "response"
        and all(one.family.linear and not one.response.transformed for one in models)
        and all(one.spec.weights is None and not one.parts for one in models)
    )


def _correlations(rho: object) -> list[float]:
    listed = list(rho) if types.is_list_like(rho) else [rho]  # type: ignore[call-overload]
    found = [number_in(one, "rho", -1, 1) for one in listed]
    if not found or len(set(found)) < len(found):
        raise DataError(f"rho is {described(rho)}", hint="give different numbers: rho=[0, 0.3]")
    return found


def _check_within(model: FittedModel, mediator: MediatorModel) -> None:
    """Refuse an outcome's model that mixes what the mediator does within and between groups.

    Error flattens the two unequally: within a seed more than between the means of seeds. With the
    group's mean in the formula (Mundlak 1978) the mediator's slope is the one within.
    """
    grouped = {names for one in mediator.model.groups for names in map(tuple, one.members)}
    name = mediator.name
    for names, known in _means_of_groups(model, name):
        if names not in grouped:
            raise DataError(
                f"the mediator's model takes differences between {':'.join(names)} for noise",
                hint=f"add (1|{':'.join(names)}) to its formula, as the outcome's has",
                column=name,
            )
        if not known:
            by = f"{list(names)}" if len(names) > 1 else f"{names[0]!r}"
            raise DataError(
                f"the mediator's slope mixes what it does within {':'.join(names)} and between, "
                "which error flattens unequally",
                hint=f"add the mean to the outcome's formula: rows['{name}_mean'] = "
                f"rows.groupby({by})['{name}'].transform('mean')",
                column=name,
            )


def _check_noise(mediator: MediatorModel) -> None:
    """Refuse a mediator's model that has the mediator's own mean by group as a predictor.

    It has a part of each row's noise, which is then taken for smaller than it is.
    """
    for names, known in _means_of_groups(mediator.model, mediator.name):
        if known:
            raise DataError(
                f"the mediator's model has its own mean by {':'.join(names)} as a predictor, which "
                "takes a part of the noise for known",
                hint=f"leave {known[0]!r} out there and keep the group term; in the outcome's "
                "formula it is right",
                column=known[0],
            )


def _means_of_groups(
    model: FittedModel, mediator: str
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Columns of each group term with several rows a level, and predictors that are its means."""
    for design in model.groups:
        for names in design.members:
            group = model.frame.groupby(list(names), observed=True).ngroup().to_numpy()
            each = np.ones(len(group)) if model.repeats is None else model.repeats
            rows = np.bincount(group, each)
            if len(rows) in (1, each.sum()):
                continue
            values = model.frame[mediator].to_numpy(float)
            mean = (np.bincount(group, each * values) / rows)[group]
            yield (
                tuple(names),
                [
                    name
                    for name in model.population_columns
                    if name not in (mediator, model.response.column)
                    and types.is_numeric_dtype(model.frame[name].dtype)
                    and np.allclose(model.frame[name].to_numpy(float), mean, rtol=1e-6, atol=1e-9)
                ],
            )


def _reliability(
    error: object, mediator: MediatorModel, paths: Paths, random_seed: int
) -> FloatArray:
    """Share (draws,) of the mediator's variance, given all else, that is not error of its values.

    Raises
    ------
    DataError
        If hardly anything is left.
    """
    draws = len(paths.mediator_variance)
    if isinstance(error, pd.DataFrame):
        variance = _variance_of_mean(_ratings(error, mediator), draws, random_seed)
    else:
        variance = np.full(draws, number_in(error, "mediator_error", -1e-300) ** 2)
    found = 1 - variance / paths.mediator_variance
    if np.median(found) < LEAST_RELIABILITY or (found <= 0).mean() > 0.01:
        raise DataError(
            f"the mediator's values spread by {np.sqrt(np.median(paths.mediator_variance)):.3g} "
            f"given all else, and their error is {np.sqrt(np.median(variance)):.3g}: hardly "
            "anything is left of the mediator itself",
            hint="measure it more exactly, such as by more ratings a face",
        )
    return np.maximum(found, LEAST_RELIABILITY / 2)


def _ratings(table: pd.DataFrame, mediator: MediatorModel) -> FloatArray:
    """Ratings (rows, ratings) of each row of the mediator's fit, NaN where there is none.

    Raises
    ------
    DataError
        If the mediator is not their mean: of other rows, or with a column that is no rating.
    """
    name, own = mediator.name, mediator.model.frame[mediator.name].to_numpy(float)
    if len(table) != len(own):
        raise DataError(
            f"{len(table):,} rows of ratings, and {len(own):,} of the fit of {name!r}",
            hint="give a row for each row of that fit, in its order, and a column a rating",
        )
    values = np.column_stack(
        [measured(table.iloc[:, at], file="mediator_error") for at in range(table.shape[1])]
    ).astype(float)
    count = (~np.isnan(values)).sum(axis=1)
    mean = np.nansum(values, axis=1) / np.where(count > 0, count, np.nan)
    apart = ~(np.abs(mean - own) <= MOST_APART * (own.std() or 1.0))
    if apart.any():
        row = int(apart.argmax())
        raise at_first(
            apart,
            f"the mean of the ratings is {mean[row]:.4g} and {name!r} is {own[row]:.4g}",
            hint="give nothing but the ratings whose mean it is (no ids), in the order of its rows",
            file="mediator_error",
            column=None,
        )
    return values


def _variance_of_mean(values: FloatArray, draws: int, random_seed: int) -> FloatArray:
    """Draws of the variance of faces' mean ratings, by chance: within-face variance over ratings.

    The pooled variance within faces is s^2 = SS / df; its draws are SS / chi^2(df).
    """
    count = (~np.isnan(values)).sum(axis=1)
    seen = count > 0
    df = int((count[seen] - 1).sum())
    if df < 10 or (count[seen] < 2).all():
        raise DataError(
            f"{int(seen.sum())} faces with {int(count.sum())} ratings do not tell their error",
            hint="give a row a face and a column a rating, two ratings or more a face",
        )
    mean = np.nansum(values, axis=1) / np.maximum(count, 1)
    squares = np.nansum((values - mean[:, None]) ** 2)
    drawn = squares / generator(random_seed, 1).chisquare(df, size=draws)
    return drawn * float((1 / count[seen]).mean())


def _dataset(
    over: Averaging, paths: Paths, variable: str, levels: list[Level], base: Level
) -> xr.Dataset:
    """Effects of all levels as a Dataset, by path."""
    others = [one for one in levels if one != base]
    parts = []
    for level in others:
        of_level = {
            "total": paths.mean[level, level] - paths.mean[base, base],
            "direct": paths.mean[level, base] - paths.mean[base, base],
            "indirect": paths.mean[level, level] - paths.mean[level, base],
            "controlled direct": paths.held[level] - paths.held[base],
        }
        change = paths.mediator[level] - paths.mediator[base]
        arrays = {name: paths.array(over, values) for name, values in of_level.items()}
        effect = xr.concat(list(arrays.values()), pd.Index(list(arrays), name="path"))
        parts.append(xr.Dataset({"effect": effect, "mediator_change": paths.array(over, change)}))
    found = xr.concat(parts, pd.Index(others, name=variable))
    found = found.transpose(*SAMPLE, variable, *over.by, "path")
    return found.assign(n=over.dataset({"mean": over.mean()}, "")["n"])


def _shift(found: xr.Dataset, ratio: xr.DataArray, rho: float) -> xr.DataArray:
    """Change of the direct effect, and of the indirect one with the other sign, at a correlation.

    The slope on the mediator is too large by ``rho s_y / (s_m sqrt(1 - rho^2))``, with s_y and s_m
    the residual standard deviations of both fits: theorem 2 of Imai, Keele and Yamamoto (2010)
    in terms of the outcome's model with the mediator.
    """
    return rho / np.sqrt(1 - rho**2) * ratio * found["mediator_change"]


def _with_rho(found: xr.Dataset, ratio: xr.DataArray, rho: list[float]) -> xr.Dataset:
    parts = []
    for one in rho:  # the slope is wrong at both levels alike: the total is not
        shift = _shift(found, ratio, one)
        effect = found["effect"]
        sign = xr.DataArray([0.0, 1.0, -1.0, 1.0], {"path": list(PATHS)})
        parts.append((effect + sign * shift).transpose(*effect.dims))
    whole = xr.concat(parts, pd.Index(rho, name="rho"))
    return found.assign(effect=whole.transpose(*found["effect"].dims, "rho"))


def _rho_to_doubt(found: xr.Dataset, ratio: xr.DataArray, prob: float) -> xr.DataArray:
    """Return the rho nearest to zero at which the interval of the indirect effect has zero."""
    tail = (1 - prob) / 2
    sizes = np.arange(0.0, 0.995, 0.005)
    rho = np.stack([sizes, -sizes], axis=1).ravel()  # nearest to zero first

    def of_cell(indirect: FloatArray, unit: FloatArray) -> float:
        wrong = unit.ravel()[:, None] * (rho / np.sqrt(1 - rho**2))
        above = (indirect.ravel()[:, None] > wrong).mean(axis=0)
        holds = (above >= tail) & (above <= 1 - tail)
        known = np.isfinite(indirect).all() and holds.any()
        return float(rho[holds.argmax()]) if known else np.nan

    indirect = found["effect"].sel(path="indirect", drop=True)
    unit = ratio * found["mediator_change"]  # see `_shift`
    dims = [list(SAMPLE), list(SAMPLE)]
    return xr.apply_ufunc(of_cell, indirect, unit, input_core_dims=dims, vectorize=True)
