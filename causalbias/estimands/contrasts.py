"""Predictions, effects, counterfactual contrasts and interactions."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd
import xarray as xr
from pandas.api.types import is_numeric_dtype

from causalbias.arguments import JOINT, kind_of, mapping_in, number_in
from causalbias.draws.estimate import Estimate
from causalbias.errors import DataError
from causalbias.estimands.averaging import Averaging, averaging, check_estimable, stacked
from causalbias.estimands.dose import MOST_DOSES
from causalbias.estimands.joint_effects import joint_effects
from causalbias.estimands.new_data import lacks_column
from causalbias.estimands.scales import outcome_named
from causalbias.io.memory import check_memory
from causalbias.models.levels import Level, reference_of

PAIRWISE = "pairwise"


def predictions(
    fit: xr.DataTree,
    by: str | Sequence[str] | None = None,
    *,
    scale: str = "response",
    population: str | None = None,
    threshold: float | None = None,
    parameter: str | None = None,
    newdata: pd.DataFrame | None = None,
) -> Estimate:
    """Compute the average expected outcome in each cell of the data, or at new rows.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    by : str or sequence of str, optional
        Columns of the model whose combinations are the cells; () for one average of all rows. With
        `newdata`, by default all of its columns that the model has.
    scale : str
        "response" is the expected distance, score or probability (for ordinal models, the mean
        category). "link" is the linear predictor. "latent" is the linear predictor in standard
        deviations of its noise (the residual of Gaussian models; the latent variable of others: 1
        for probit, pi/sqrt(3) for logit). "probability" is that of a success or, for ordinal
        models, of each category (dim ``category``). "exceedance" is the probability of at least
        each category, for ordinal models. "FMR" and "FNMR" are for Gaussian models of distances:
        the probability that the distance of an impostor pair is at or below the `threshold`, and
        that the distance of a genuine pair is above it; if the model has `same_identity`, rows of
        the other kind are left out.

        If sigma has a formula, noise is that of each row. On the scale "latent" its unit is then
        the root of the mean variance of the noise in each cell of `by`, of rows as they are, so
        that contrasts of the linear predictor do not depend on which level has which noise.

        For a transformed response, such as ``log(distance) ~ ...``, "response" is the mean of the
        untransformed distance, computed for each draw including the noise; thresholds are
        distances; "link" is the response of the formula. If rows have weights, the noise of a row
        depends on its weight, except on the scale "latent", whose unit is the noise at weight one.
    population : {"new", "these", "typical"}, optional
        "new", the default, is the mean over the estimated normal population of seeds and
        annotators (in brms, ``sample_new_levels = "gaussian"`` with infinitely many new levels).
        It is a mean over the population, not the outcome of a single new seed, and its uncertainty
        includes that of the groups' standard deviations. "typical" is a seed or annotator whose
        effects are zero (``re_formula = NA``); on linear scales it equals "new". "these" are the
        seeds and annotators in the data with their fitted effects (``re_formula = NULL``); the
        interval does not include the variation between groups. If a group term varies with a
        variable, as ``(1|seed:race)`` with race, effects for "these" include the average of these
        group effects, but not if the same model is written as ``(1|face)``. For averages by a
        column that occurs in group terms only, such as the seed, the default is "these".
    threshold : float, optional
        Threshold of FMR and FNMR; distances at or below it match.
    parameter : str, optional
        A parameter with a formula of its own, such as "sigma", to be averaged in the place of the
        outcome (the ``dpar`` of brms and marginaleffects): on the scale "response" the parameter
        itself, for sigma at weight one, and on "link" its linear predictor, the log of sigma.
    newdata : DataFrame, optional
        Rows to predict in the place of the fit's, each counted once, such as `datagrid` makes or
        a population to average over. Levels must be the fit's. Columns of groups may be left out,
        unless `population` is "these". Weights that are not given are one.

    Returns
    -------
    Estimate
        ``prediction`` with dims (chain, draw, *by[, category]), NaN in cells without rows; ``n``
        (*by): number of observations averaged over (trials in binomial models).

    Raises
    ------
    DataError
        If a column is not in the model, the family does not have the scale, or distances of genuine
        and impostor pairs would be pooled (if the model has `same_identity`).

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.predictions(fit, "level")["prediction"].dims
    ('chain', 'draw', 'level')
    >>> cb.predictions(fit, newdata=cb.datagrid(fit, level=2))["prediction"].sizes["level"]
    1
    """
    over = averaging(
        fit,
        by,
        scale=scale,
        population=population,
        threshold=threshold,
        parameter=parameter,
        newdata=newdata,
    )
    cells = f" by {', '.join(over.by)}" if over.by else ""
    known = over.estimability((1.0, {}))
    found = over.dataset(
        {"prediction": over.mean()}, f"average {outcome_named(over.model, scale)}{cells}", known
    )
    return check_estimable(found, fit)


def effects(
    fit: xr.DataTree,
    variable: str,
    *,
    by: str | Sequence[str] = (),
    reference: object = None,
    change: float | str | None = None,
    scale: str = "response",
    population: str | None = None,
    threshold: float | None = None,
    parameter: str | None = None,
    newdata: pd.DataFrame | None = None,
) -> Estimate:
    """Compute the average contrast of each level of a variable with a reference level.

    Every row is predicted with the variable set to the level and to the reference level, with
    everything else unchanged, and the difference is averaged over the rows. The contrast is a
    causal effect if only this variable was manipulated, which is a property of the experiment and
    not of the model.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    variable : str
        A column of the model.
    by : str or sequence of str
        Columns of the model within whose combinations to average.
    reference : optional
        Reference level; by default the first level of a factor, or the lowest number. Of a numeric
        variable of more than 21 values, give it, or `change`. "pairwise" contrasts all pairs of
        levels, each with those before it, labelled "white - black".
    change : float or "sd", optional
        Of a numeric variable: contrast each row at its own value and this much above it, or a
        standard deviation of the variable (over the rows of the fit), in the place of levels.
    scale, population, threshold, newdata
        As in `predictions`.
    parameter : str, optional
        As in `predictions`: with "sigma", the effect on the noise, a difference of standard
        deviations; on the scale "link" it is a difference of logs, of which exp is the ratio of
        (geometric mean) standard deviations.

    Returns
    -------
    Estimate
        ``effect`` with dims (chain, draw, variable, *by[, category]), without the variable's where
        `change` is given; ``n`` (*by): observations averaged over. Of a joint model (`joint`), dims
        (chain, draw, variable, outcome): "score" and "distance".

    Raises
    ------
    DataError
        If a column or level is not in the model's data, naming those that are; if nothing that
        is asked for can be estimated; and as `predictions`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> table = cb.summarise(cb.effects(fit, "level"))
    >>> table[["level", "reference"]].values.tolist()
    [[1, 0], [2, 0]]
    """
    if kind_of(fit) == JOINT:
        given = (threshold, parameter, change, newdata)
        asked = by or scale != "response" or any(one is not None for one in given)
        if asked or population not in (None, "new"):
            raise DataError(
                "a joint model has effects on the response, of new seeds, over all its pairs",
                hint="give variable and reference alone, or fit one outcome by itself",
            )
        return joint_effects(fit, variable, reference=reference)
    over = averaging(
        fit,
        by,
        variables=[variable],
        scale=scale,
        population=population,
        threshold=threshold,
        parameter=parameter,
        newdata=newdata,
    )
    outcome = outcome_named(over.model, scale)
    if change is not None:
        if reference is not None:
            raise DataError(
                "reference= and change= are two contrasts", hint="ask for one: change has no level"
            )
        if newdata is not None and variable not in newdata:
            raise lacks_column(variable)
        return _of_change(over, variable, change, outcome)
    levels = over.levels(variable)
    if reference is None:
        _check_few(levels, variable)
    pairwise = isinstance(reference, str) and reference == PAIRWISE and PAIRWISE not in levels
    if pairwise:
        pairs, against = list(combinations(levels, 2)), "each other level"
        cells = 1 if over.index is None else len(over.index)
        check_memory(
            3.0 * len(pairs) * cells * over.model.draws,
            f"{len(pairs):,} pairs of levels of {variable!r} in {cells:,} cells",
            "contrast with one level (reference=), or give fewer columns in by=",
        )
    else:
        chosen = reference_of(levels, reference, variable)
        pairs, against = [(chosen, one) for one in levels if one != chosen], str(chosen)
    mean = {level: over.mean([variable], **{variable: level}) for level in levels}
    estimand = f"average causal contrast of {variable} against {against} in {outcome}"
    parts: dict[Level, Estimate] = {
        f"{level} - {low}" if pairwise else level: over.dataset(
            {"effect": mean[level] - mean[low]},
            estimand,
            over.estimability((1.0, {variable: level}), (-1.0, {variable: low})),
        )
        for low, level in pairs
    }
    return check_estimable(_stack(parts, variable), fit).assign_attrs(
        treatment=f"{variable} against {against}", reference=against, contrast=variable
    )


def _check_few(levels: Sequence[Level], variable: str) -> None:
    """Refuse the contrasts of each value of a measurement with its lowest value.

    Raises
    ------
    DataError
        If it has more values than a curve of doses shows by default.
    """
    if len(levels) > MOST_DOSES and not isinstance(levels[0], str | bool):
        raise DataError(
            f"{variable!r} has {len(levels):,} different numbers, each of which would be "
            "contrasted with the lowest",
            hint=f'contrast by a step: change=1 or change="sd"; see dose(fit, {variable!r}) for '
            "the curve; or name the number to contrast with: reference=",
            column=variable,
        )


def _of_change(over: Averaging, variable: str, change: float | str, outcome: str) -> Estimate:
    """Average effect of more of a numeric variable, each row from its own value.

    Raises
    ------
    DataError
        If the variable has no numbers.
    """
    values = over.frame[variable]
    if not is_numeric_dtype(values.dtype):
        raise DataError(
            f"{variable!r} has levels and no numbers to change",
            hint="leave change out: its levels are contrasted",
            column=variable,
        )
    own = values.to_numpy(float)
    step = over.sd_of(variable) if change == "sd" else number_in(change, "change")
    more = own + step
    estimand = f"average effect of {step:g} more of {variable} on {outcome}"
    known = over.estimability((1.0, {variable: more}), (-1.0, {variable: own}))
    apart = over.mean([variable], **{variable: more}) - over.mean([variable], **{variable: own})
    found = over.dataset({"effect": apart}, estimand, known)
    return check_estimable(found, over.model.fit).assign_attrs(treatment=f"{variable} + {step:g}")


def counterfactual(
    fit: xr.DataTree,
    cell: Mapping[str, object],
    against: Mapping[str, object],
    *,
    by: str | Sequence[str] = (),
    scale: str = "response",
    population: str | None = None,
    threshold: float | None = None,
) -> Estimate:
    """Compute the average contrast between two cells of the design.

    Every row is predicted in both cells, for example the same seed as a Black woman and as a White
    man. Several variables change at once, and everything else, including the seed, is unchanged.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    cell, against : mapping of column to level
        The two cells, with levels of the same columns.
    by : str or sequence of str
        Other columns within whose combinations to average, such as the seed.
    scale, population, threshold
        As in `predictions`.

    Returns
    -------
    Estimate
        ``effect`` with dims (chain, draw, *by[, category]); ``n`` (*by): number of observations
        averaged over.

    Raises
    ------
    DataError
        If the two cells have different columns, and as in `effects`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None)
    >>> fit = cb.fit("distance ~ race*gender + (1|seed)", study, draws=100,
    ...              subset="same_identity and system == 'ResNet-34'")
    >>> one = {"race": "black", "gender": "female"}
    >>> cb.counterfactual(fit, one, {"race": "white", "gender": "male"})["effect"].dims
    ('chain', 'draw')
    """
    for one, what in ((cell, "cell"), (against, "against")):
        mapping_in(one, what, "a level by column: {'race': 'black', 'gender': 'female'}")
    variables = list(cell)
    if set(variables) != set(against) or not variables:
        raise DataError(
            f"the cells set {', '.join(cell) or 'nothing'} and {', '.join(against) or 'nothing'}",
            hint="give both a level of the same variables",
        )
    over = averaging(
        fit, by, variables=variables, scale=scale, population=population, threshold=threshold
    )
    settings = [{k: over.check_level(k, one[k]) for k in variables} for one in (cell, against)]
    high, low = (over.mean(variables, **setting) for setting in settings)
    names = [", ".join(f"{k} {v}" for k, v in one.items()) for one in settings]
    outcome = outcome_named(over.model, scale)
    estimand = f"average causal contrast of {names[0]} against {names[1]} in {outcome}"
    known = over.estimability((1.0, settings[0]), (-1.0, settings[1]))
    return check_estimable(over.dataset({"effect": high - low}, estimand, known), fit).assign_attrs(
        treatment=" against ".join(names)
    )


def interaction(
    fit: xr.DataTree,
    variable: str,
    between: str,
    *,
    by: str | Sequence[str] = (),
    reference: object = None,
    reference_group: object = None,
    scale: str = "response",
    population: str | None = None,
    threshold: float | None = None,
) -> Estimate:
    """Compute the difference between the effect of a variable in a group and a reference group.

    An example is whether the effect of pose differs between races. Every row is predicted at both
    levels of the variable in both groups (four predictions), so that the groups differ in nothing
    else. Own-group effects of annotators are interactions too, with the group of the face as
    `variable` and the annotator's group as `between`.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    variable, between : str
        Columns of the model: the variable that changes, and the group.
    by : str or sequence of str
        Columns within whose combinations to average.
    reference, reference_group : optional
        Levels of `variable` and of `between`; by default the first.
    scale, population, threshold
        As in `predictions`. Interactions depend on the scale: there may be one on the probability
        scale without one on the link scale.

    Returns
    -------
    Estimate
        ``interaction`` with dims (chain, draw, variable, between, *by[, category]); ``n`` (*by).

    Raises
    ------
    DataError
        If both columns are one, or a reference is no level of its column; and as in `predictions`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None)
    >>> fit = cb.fit("distance ~ race*pose + (1|seed)", study, draws=100,
    ...              subset="same_identity and system == 'ResNet-34'")
    >>> cb.interaction(fit, "pose", "race")["interaction"].sizes["race"]
    2
    """
    if variable == between:
        raise DataError(f"{variable!r} is both varied and the group", hint="name two columns")
    both = [variable, between]
    over = averaging(
        fit, by, variables=both, scale=scale, population=population, threshold=threshold
    )
    levels, groups = over.levels(variable), over.levels(between)
    for one, name, chosen in ((levels, variable, reference), (groups, between, reference_group)):
        if chosen is None:
            _check_few(one, name)
    low = reference_of(levels, reference, variable)
    base = reference_of(groups, reference_group, between)
    mean = {
        (level, group): over.mean(both, **{variable: level, between: group})
        for level in levels
        for group in groups
    }
    estimand = f"effect of {variable} against {low}, more than where {between} is {base}"
    parts = {}
    for level in levels:
        if level != low:
            of_group = {
                group: over.dataset(
                    {
                        "interaction": mean[level, group]
                        - mean[low, group]
                        - (mean[level, base] - mean[low, base])
                    },
                    estimand,
                    over.estimability(
                        (1.0, {variable: level, between: group}),
                        (-1.0, {variable: low, between: group}),
                        (-1.0, {variable: level, between: base}),
                        (1.0, {variable: low, between: base}),
                    ),
                )
                for group in groups
                if group != base
            }
            parts[level] = _stack(of_group, between)
    found = check_estimable(_stack(parts, variable), fit)
    return found.assign_attrs(
        treatment=f"{variable} against {low}",
        reference=str(low),
        contrast=variable,
        reference_group=str(base),
        between=between,
    )


def _stack(parts: Mapping[Level, Estimate], dim: str) -> Estimate:
    """Estimates by level along a dim."""
    return stacked(list(parts.values()), pd.Index(list(parts), name=dim))
