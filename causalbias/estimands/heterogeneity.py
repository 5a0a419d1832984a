"""Heterogeneity of effects between seeds, and shares of the variance by attribute."""

from collections.abc import Sequence
from itertools import chain, combinations

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import name_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.contrasts import effects
from causalbias.estimands.predictor import noise_variance, total_group_variance
from causalbias.estimands.scales import Floats, outcome_named, scale_of
from causalbias.models.fitted import fitted
from causalbias.models.formula.group_terms import common_formula
from causalbias.models.formula.parse import formula_columns
from causalbias.models.specification import number_of_rows, observations_of, outcome_columns

MAX_CELLS = 50_000


def heterogeneity(
    fit: xr.DataTree,
    variable: str,
    *,
    over: str = "seed",
    reference: object = None,
    scale: str = "response",
) -> Estimate:
    """Compute how an effect varies between seeds: share of opposite signs, standard deviation.

    Every posterior draw has a partially pooled effect of each seed. Shares and standard deviations
    are computed within draws, so that they are not shrunk, unlike those of the seeds' estimates.

    Parameters
    ----------
    fit : Fit
        A model in which effects of `variable` vary between levels of `over`, with a term
        ``(variable|seed)`` or ``(1|seed:variable)``.
    variable : str
        A column of the model.
    over : str
        A grouping column.
    reference, scale
        As in `effects`.

    Returns
    -------
    Estimate
        ``share_flipped`` (chain, draw, variable): share of the levels of `over` whose effect has
        the opposite sign of the mean effect; ``sd``: standard deviation of the effects between
        levels; ``mean``: mean of the effects, with equal weights of the levels; ``groups``
        (variable): number of levels. Levels whose effect is not estimable are left out;
        ``groups_left_out`` (variable) is their number, if there are any, and ``estimable``
        (variable) is False if no level is left.

    Raises
    ------
    DataError
        If the model gives all levels of `over` the same effect; and as `effects`.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None)
    >>> fit = cb.fit("distance ~ race + (1|seed) + (1|seed:race)", study, draws=100,
    ...              subset="same_identity and system == 'ResNet-34'")
    >>> found = cb.heterogeneity(fit, "race")
    >>> found["share_flipped"].dims, found["groups"].values.tolist()
    (('chain', 'draw', 'race'), [4, 4])
    """
    name_in(over, "over")
    terms = [one for own in fitted(fit).predictors for one in own.groups]
    grouping = list(dict.fromkeys(name for one in terms for name in chain(*one.members)))
    if grouping and over not in grouping:
        raise DataError(
            f"the model has no effects of {over!r}",
            hint=f"name what groups its rows: over={' or '.join(map(repr, grouping))}",
        )
    # The estimand is about the levels in the data.
    by_group = effects(fit, variable, by=over, reference=reference, scale=scale, population="these")
    if not any(variable in one.columns_used() and over in chain(*one.members) for one in terms):
        raise DataError(
            f"the model gives every {over} the same effect of {variable!r}",
            hint=f"add ({variable}|{over}) or (1|{over}:{variable}) to the formula",
        )
    each = by_group["effect"]
    known = each.notnull().all(SAMPLE)
    groups = known.sum(over)
    mean = each.mean(over)
    quantities = {
        "share_flipped": (np.sign(each) == -np.sign(mean)).where(known).mean(over),
        "sd": each.where(groups > 1).std(over, ddof=1),
        "mean": mean,
        "groups": groups,
    }
    check_names([variable], [*quantities, "groups_left_out"])
    found = xr.Dataset(quantities)
    if not known.all():
        found = found.assign(groups_left_out=each.sizes[over] - groups, estimable=groups > 0)
    estimand = f"{by_group.attrs['estimand']}, how it differs between {over}s"
    attrs = by_group.attrs | {"estimand": estimand, "variable": None}
    return estimate(found.assign_attrs(attrs), of=[fit], variable="share_flipped")


def variance_shares(fit: xr.DataTree) -> Estimate:
    """Compute the share of the outcome's variance that each manipulated variable causes.

    The variables of the common terms are taken as independent, with the frequencies of their levels
    in the data, as in a factorial design. The share of a variable is its Shapley value in the
    explained variance (Owen 2014): its main effect and an equal part of each of its interactions,
    so that the shares add up to the total. Variances are on the link scale.

    Parameters
    ----------
    fit : Fit
        The fitted model.

    Returns
    -------
    Estimate
        ``share`` (chain, draw, source) of each variable, of "groups" (all effects and slopes of
        seeds, annotators and other groups, averaged over the rows), and of "residual" (for other
        than Gaussian models, the noise of the latent variable; if it differs between rows, its mean
        variance). The shares add up to one. Without
        variables, as in ``score ~ 1 + (1|annotator)``, that of "groups" is the intraclass
        correlation.

    Raises
    ------
    DataError
        If the variables' levels have more than 50,000 combinations.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.variance_shares(fit)["source"].values.tolist()
    ['level', 'groups', 'residual']
    """
    model = fitted(fit)
    spec, frame = model.spec, model.frame
    scale_of(model, "latent", None)  # or one error
    outcome = outcome_columns(spec)
    of_mean = formula_columns(common_formula(spec.formula))[1]
    variables = [name for name in of_mean if name not in outcome]
    if moments := [name for name in variables if name in spec.moments]:
        raise DataError(
            f"of {moments[0]!r} the fit has means and cross-products, not values",
            hint="sum the rows up with its values: moments=[]",
            column=moments[0],
        )
    rows = number_of_rows(spec, frame)
    check_names(variables, ["groups", "residual"])
    beta = model.coefficients
    shares = np.empty((len(beta), 0))
    if variables:
        grid, weights = _grid(frame, variables, observations_of(spec, frame))
        if model.estimable.judge(model.estimable.rows(grid)).any():
            raise DataError(
                "combinations of the variables' levels have no rows, so that their variance is "
                f"not known ({', '.join(model.estimable.left_out + model.estimable.by_prior)})",
                hint="leave out the interaction whose cells are empty, or aliased columns",
            )
        shares = _shapley(model.design(grid).reshape(*map(len, weights), -1), weights, beta)
    groups = total_group_variance(model, frame)
    cell, counts = np.zeros(len(frame), int), observations_of(spec, frame)
    residual = noise_variance(model, frame, cell, counts, "new", weighted=False)
    every = np.column_stack([shares, groups, residual])
    posterior = model.posterior
    sizes = posterior.sizes["chain"], posterior.sizes["draw"], -1
    share = (every / every.sum(axis=1, keepdims=True)).reshape(sizes)
    found = xr.Dataset(
        {"share": (("chain", "draw", "source"), share)},
        coords={
            "chain": posterior["chain"],
            "draw": posterior["draw"],
            "source": [*variables, "groups", "residual"],
        },
        attrs={
            "estimand": f"share of the variance of {outcome_named(model, 'link')}",
            "outcome": outcome_named(model, "link"),
            "scale": "link",
            "population": "new",
            "rows": rows,
        },
    )
    return estimate(found.assign(n=rows), of=[fit])


def _grid(
    frame: pd.DataFrame, variables: Sequence[str], observations: Floats
) -> tuple[pd.DataFrame, list[Floats]]:
    """Return all combinations of levels, with the last variable fastest, and level frequencies.

    ``observations`` (rows,): number of observations of each row.
    """
    many = pd.Series(observations, index=frame.index)
    counts = [many.groupby(frame[name], observed=True).sum().sort_index() for name in variables]
    counts = [one[one > 0] for one in counts]
    cells = int(np.prod([len(one) for one in counts]))
    if cells > MAX_CELLS:
        raise DataError(
            f"{', '.join(variables)} have {cells:,} combinations of levels",
            hint=f"use fewer variables, or numbers rounded to fewer values ({MAX_CELLS:,} at most)",
        )
    product = pd.MultiIndex.from_product([one.index for one in counts], names=list(variables))
    grid = product.to_frame(index=False)
    grid = grid.astype({name: frame[name].dtype for name in variables})
    return grid, [one.to_numpy(float) / observations.sum() for one in counts]


def _shapley(design: Floats, weights: Sequence[Floats], beta: Floats) -> Floats:
    """Shapley values (draws, variables) in the variance of ``design @ beta`` on a product grid.

    Parameters
    ----------
    design : ndarray (levels of the first, ..., levels of the last, p)
    weights : sequence of ndarray (levels,)
        Each adding up to one.
    beta : ndarray (draws, p)
    """
    n = len(weights)
    subsets = list(chain.from_iterable(combinations(range(n), size) for size in range(n + 1)))
    explained = {one: _explained(design, weights, beta, one) for one in subsets}
    values = np.zeros((len(beta), n))
    for subset in subsets[1:]:
        # Variance of the interaction of exactly these (Moebius), which they share equally.
        inner = chain.from_iterable(combinations(subset, k) for k in range(len(subset) + 1))
        own = sum((-1) ** (len(subset) - len(part)) * explained[part] for part in inner)
        values[:, list(subset)] += np.asarray(own)[:, None] / len(subset)
    return values


def _explained(
    design: Floats, weights: Sequence[Floats], beta: Floats, subset: tuple[int, ...]
) -> Floats:
    """Variance (draws,) of the mean given the variables of a subset: a quadratic form."""
    mean = design
    for axis in reversed(range(len(weights))):
        if axis not in subset:
            mean = np.tensordot(weights[axis], mean, axes=(0, axis))
    rows = mean.reshape(-1, design.shape[-1])
    weight = np.ones(1)
    for axis in subset:
        weight = np.outer(weight, weights[axis]).ravel()
    centred = rows - weight @ rows
    covariance = centred.T @ (centred * weight[:, None])
    return np.asarray(np.einsum("di,di->d", beta @ covariance, beta))
