"""Generalisability theory: variance components of ratings, and reliability at any number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from causalbias.arguments import name_in, whole_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.errors import DataError
from causalbias.models.fitted import FittedModel, fitted, flat

Floats = NDArray[np.float64]
RATERS = (1, 2, 3, 5, 10, 20, 30, 50, 100)
RESIDUAL = "residual"


def variance_components(fit: xr.DataTree) -> Estimate:
    """Return the variance of each group term of a Gaussian model, and the residual's.

    In a model of ratings such as ``rating ~ 1 + (1|face) + (1|rater)``, these are the components of
    a generalisability study (Brennan 2001, Generalizability Theory, chapter 3). They are of the
    model, so that designs in which raters rated only some of the faces need no correction. What
    the common terms explain is in no component.

    Parameters
    ----------
    fit : Fit
        A Gaussian model whose group terms are intercepts.

    Returns
    -------
    Estimate
        ``variance`` (chain, draw, component), in squared units of the response, and ``share`` of
        their sum. Components are named by their factor ("face", "face:rater_group"), and
        "residual".

    Raises
    ------
    DataError
        If the model is not Gaussian with the identity link, has slopes by group or multi-membership
        terms, or its noise
        has a formula.

    Examples
    --------
    >>> import causalbias as cb
    >>> ratings = cb.simulation.simulate_ratings(items=12, raters=8)
    >>> fit = cb.fit("rating ~ 1 + (1|item) + (1|rater)", ratings, draws=100)
    >>> cb.agreement.variance_components(fit)["component"].values.tolist()
    ['item', 'rater', 'residual']
    """
    model = fitted(fit)
    variances = _components(model)
    every = np.column_stack(list(variances.values()))
    share = every / every.sum(axis=1, keepdims=True)
    return _estimate(
        model,
        {"variance": every, "share": share},
        {"component": list(variances)},
        estimand=f"variance components of {_response(model)}",
        outcome=f"variance of {_response(model)}",
        scale="squared units of the response",
    )


def generalisability(
    fit: xr.DataTree, item: str, rater: str, *, raters: int | Sequence[int] = RATERS
) -> Estimate:
    """Compute the reliability of the mean of k raters from a model of ratings (a decision study).

    With the variance U of the items, the error D of their differences and the error A of their
    level, for one rater each,

    - consistency = U / (U + D/k): the generalisability coefficient. ICC(C,1) at one rater, ICC(C,k)
      and Cronbach's alpha at k;
    - agreement = U / (U + A/k): the index of dependability. ICC(A,k), in which lenient raters are
      error; also ICC(1) and ICC(k), where each item has raters of its own.

    D is the residual and interactions of items with raters; A also has the raters' levels and what
    the common terms change between the ratings of one item. An interaction of items with groups of
    raters, ``(1|item:rater_group)``, is in part the items', whose mean is over the groups in the
    data: ``S`` of it, the sum of the squared shares of the groups, and ``1 - S`` is error
    (raters are drawn at random from both groups). Items are compared with others of the same values
    of the common terms: with ``item_group`` in the formula, reliability is within its groups.
    Sources: Brennan (2001), Generalizability Theory, chapters 2 and 3; McGraw and Wong (1996),
    Psychological Methods 1(1), for the names.

    Parameters
    ----------
    fit : Fit
        A Gaussian model with ``(1|item)``, and ``(1|rater)`` unless each rater rated one item.
    item, rater : str
        Columns of the items and the raters.
    raters : int or sequence of int
        Numbers k of raters, each of whom rates an item once.

    Returns
    -------
    Estimate
        ``coefficient`` (chain, draw, kind, raters), from 0 to 1; `kind` is "consistency" or
        "agreement". Without ``(1|rater)`` there is "agreement" alone.

    Raises
    ------
    DataError
        If a term of the model is neither of items nor of raters; and as `variance_components`.

    Examples
    --------
    >>> import causalbias as cb
    >>> ratings = cb.simulation.simulate_ratings(items=12, raters=8)
    >>> fit = cb.fit("rating ~ 1 + (1|item) + (1|rater)", ratings, draws=100)
    >>> found = cb.agreement.generalisability(fit, "item", "rater", raters=[1, 8])
    >>> found["coefficient"].dims, found["kind"].values.tolist()
    (('chain', 'draw', 'kind', 'raters'), ['consistency', 'agreement'])
    """
    item, rater = name_in(item, "item"), name_in(rater, "rater")
    listed = raters if isinstance(raters, Sequence | np.ndarray | range) else [raters]
    many = [whole_in(one, "raters", 1) for one in listed]
    if not many or len(set(many)) < len(many):
        raise DataError(f"raters is {many}", hint="give different numbers: raters=[1, 10]")
    model = fitted(fit)
    universe, relative, absolute = _errors(model, item, rater)
    k = np.array(many, float)
    errors = {"agreement": relative + absolute}
    if any(rater in one.members[0] and item not in one.members[0] for one in model.groups):
        errors = {"consistency": relative, **errors}
    values = np.stack(
        [universe[:, None] / (universe[:, None] + e[:, None] / k) for e in errors.values()], axis=1
    )
    return _estimate(
        model,
        {"coefficient": values},
        {"kind": list(errors), "raters": many},
        estimand=f"reliability of the mean {_response(model)} of {item}",
        outcome="reliability",
        scale="share of variance",
        treatment="raters",
        figure="dose_curve",
    )


def _errors(model: FittedModel, item: str, rater: str) -> tuple[Floats, Floats, Floats]:
    """Variance of items, error of differences and further error of levels, of one rater (draws,).

    Raises
    ------
    DataError
        If a term is of neither, or items have none.
    """
    variances = _components(model)
    universe, relative, absolute = np.zeros(model.draws), variances[RESIDUAL], np.zeros(model.draws)
    for one in model.groups:
        members, variance = set(one.members[0]), variances[one.factor]
        if members == {item}:
            universe = universe + variance
        elif {item, rater} <= members:
            relative = relative + variance
        elif item in members:
            kept = _shared(model, item, list(members - {item}))
            universe, relative = universe + kept * variance, relative + (1 - kept) * variance
        elif rater in members:
            absolute = absolute + variance
        else:
            raise DataError(
                f"the term (1|{one.factor}) is neither of {item} nor of {rater}",
                hint=f"use terms such as (1|{item}), (1|{rater}) and (1|{item}:group)",
            )
    if not universe.any():
        raise DataError(f"the model has no term (1|{item})", hint=f"add (1|{item}) to the formula")
    return universe, relative, absolute + _within(model, item)


def _rows(model: FittedModel) -> Floats:
    """Ratings (rows,) that each row stands for: several where they were summed up."""
    return np.ones(len(model.frame)) if model.repeats is None else model.repeats


def _shared(model: FittedModel, item: str, others: list[str]) -> float:
    """Sum of squared shares of the levels of other columns in an item's rows, over items."""
    by = [model.frame[name] for name in (item, *others)]
    keys = pd.Series(_rows(model)).groupby(by, observed=True).sum()
    share = keys / keys.groupby(level=0, observed=True).transform("sum")
    return float((share**2).groupby(level=0, observed=True).sum().mean())


def _within(model: FittedModel, item: str) -> Floats:
    """Variance (draws,) of the common part between the rows of one item, over items."""
    design = model.design(model.frame)
    codes = pd.factorize(model.frame[item])[0]
    keys, of_row = np.unique(np.column_stack([codes, design]), axis=0, return_inverse=True)
    counts = np.bincount(of_row.ravel(), _rows(model))
    mean = model.coefficients @ keys[:, 1:].T  # (draws, kinds of rows)
    at = keys[:, 0].astype(int)
    total = np.bincount(at, counts)
    share = counts / total[at]
    member = np.zeros((len(at), len(total)))
    member[np.arange(len(at)), at] = share
    between = (mean**2) @ member - (mean @ member) ** 2
    return np.asarray(np.maximum(between, 0).mean(axis=1))


def _components(model: FittedModel) -> dict[str, Floats]:
    """Variances (draws,) by factor, the residual last.

    Raises
    ------
    DataError
        Of models that are not of intercepts and normal noise.
    """
    if not model.family.linear or model.parts or model.spec.weights:
        raise DataError(
            "variance components are of Gaussian models with the identity link and one noise",
            hint="fit rating ~ 1 + (1|item) + (1|rater) without a link, weights and a formula of "
            "sigma",
        )
    found: dict[str, Floats] = {}
    for one in model.groups:
        check_names([one.factor], [RESIDUAL])
        if list(one.effects) != ["1"] or len(one.members) > 1 or one.within is not None:
            raise DataError(
                f"the term of {one.factor} is no plain intercept",
                hint=f"write (1|{one.factor}); differences by a group are (1|{one.factor}:group)",
            )
        if one.factor in found:
            raise DataError(f"{one.factor} has two terms", hint="leave one out of the formula")
        (name,) = one.names()
        found[one.factor] = flat(model.posterior[f"{name}_sigma"])[:, 0] ** 2
    return found | {RESIDUAL: model.latent_sd**2}


def _response(model: FittedModel) -> str:
    return str(model.response.text)


def _estimate(
    model: FittedModel, values: dict[str, Floats], labels: dict[str, Any], **what: Any
) -> Estimate:
    """An estimate of draws (draws, *labels) by name."""
    posterior = model.posterior
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    found = xr.Dataset(
        {
            name: (("chain", "draw", *labels), one.reshape(*sizes, *one.shape[1:]))
            for name, one in values.items()
        },
        coords={"chain": posterior["chain"], "draw": posterior["draw"], **labels},
    )
    return estimate(
        found.assign(n=int(_rows(model).sum())), of=[model.fit], population="new", **what
    )
