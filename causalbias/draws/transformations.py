"""Estimates from draws of others: ratios of effects, probabilities of ranks."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from causalbias.arguments import DRAWS, SAMPLE, kind_of, name_in, not_what, number_in
from causalbias.draws.basis import without_basis
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.marks import marked
from causalbias.draws.summaries import RATIO, drawn, probability
from causalbias.errors import DataError


def per_unit(
    outcome: xr.DataArray | xr.Dataset, change: xr.DataArray | xr.Dataset, *, prob: float = 0.95
) -> Estimate:
    """Compute the outcome per unit of an uncertain change: a ratio of two effects.

    A ratio has no mean, and no bounded interval if its denominator may be zero (Fieller 1954). If
    the interval of `change` includes zero, `bounded` is False, and tables give an infinite
    interval.

    Parameters
    ----------
    outcome, change : DataArray or Estimate
        Draws of numerator and denominator, dims (chain, draw, ...), from the same posterior or from
        two independent ones.
    prob : float
        Probability of the interval that must exclude zero.

    Returns
    -------
    Estimate
        ``ratio`` (chain, draw, ...), ``bounded`` (...), ``p_sign`` (...): the posterior
        probability that the change has its more probable sign.

    Raises
    ------
    DataError
        If one of both is no draws, they are of other levels or other numbers of draws, or `prob` is
        no probability.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(1)
    >>> draws = lambda mean: xr.DataArray(rng.normal(mean, 1, (4, 500)), dims=("chain", "draw"))
    >>> [bool(per_unit(draws(5), draws(mean))["bounded"]) for mean in (10, 1)]
    [True, False]
    """
    outcome, change = of_same_cells(outcome, change)
    tail = (1 - number_in(prob, "prob", 0, 1)) / 2
    positive = probability(change > 0, change)
    sure = np.maximum(positive, 1 - positive)
    ratio = (outcome / change).assign_attrs(quantity=RATIO)
    quantities = {"ratio": ratio, "bounded": sure > 1 - tail, "p_sign": sure}
    check_names(ratio.dims, quantities)
    found = xr.Dataset(quantities)
    return estimate(found, of=(outcome, change), estimand="ratio of two effects")


def of_same_cells(
    first: xr.DataArray | xr.Dataset, second: xr.DataArray | xr.Dataset
) -> tuple[xr.DataArray, xr.DataArray]:
    """Draws of two estimates, or of their main variables, for arithmetic cell by cell.

    xarray's arithmetic silently leaves out what only one of both has, such as a level.

    Raises
    ------
    DataError
        If one is no draws, or both have a dim of other labels or another size.
    """
    both = _main_draws(first), _main_draws(second)
    for dim in set(both[0].dims) & set(both[1].dims):
        labels = [one.get_index(dim) for one in both]
        if len(labels[0]) != len(labels[1]) or set(labels[0]) != set(labels[1]):
            raise DataError(
                f"two estimates have other {dim}s ({len(labels[0])} and {len(labels[1])})"
                if dim in SAMPLE
                else f"two estimates have other levels of {dim!r}",
                hint="compute both of the same levels and with as many draws, or select them first",
            )
    return both


def _main_draws(draws: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """The draws themselves, or those of an estimate's main variable."""
    if kind_of(draws) != DRAWS:
        raise not_what(draws, DRAWS)
    found = draws[drawn(draws)] if isinstance(draws, xr.Dataset) else draws
    if not isinstance(found, xr.DataArray):
        raise not_what(found, DRAWS)
    return found


def pool(estimates: Iterable[Estimate]) -> Estimate:
    """Pool estimates from completed data sets: one posterior, with the uncertainty of completion.

    Missing values are completed several times, each completed data set is fitted, and the same
    verb is asked of each fit. The draws of all are draws of the posterior given the data that are
    there (Zhou and Reiter 2010; brms' ``brm_multiple``): their spread between data sets is the
    uncertainty of the completion. Take many data sets (100), each with few draws, rather than five.

    Parameters
    ----------
    estimates : iterable of Estimate
        Of the same verb and arguments, with the same cells and numbers of draws.

    Returns
    -------
    Estimate
        Their draws, the chains one after another; ``n`` is that of the smallest, and a cell is
        estimable or supported if it is in all. Of what else describes cells, only probabilities
        of draws (``p_larger``) and where a ratio is `bounded` are known of all together; the
        rest is left out.

    Raises
    ------
    DataError
        If fewer than two are given, they are of different estimands, cells or numbers of draws,
        or ratios whose denominators are not among them.

    Examples
    --------
    >>> import causalbias as cb
    >>> rng = np.random.default_rng(1)
    >>> import pandas as pd
    >>> data = pd.DataFrame({"x": np.arange(40) % 2, "y": rng.normal(size=40)})
    >>> completed = [data.assign(y=data["y"].where(data.index > 3, rng.normal(size=40)))
    ...              for _ in range(5)]
    >>> effects = [cb.effects(cb.fit("y ~ x", one, draws=100), "x") for one in completed]
    >>> cb.pool(effects)["effect"].sizes["chain"]
    20
    """
    listed = list(estimates) if isinstance(estimates, Iterable) else []
    for one in listed:
        if not isinstance(one, Estimate):
            raise not_what(one, DRAWS)
    if len(listed) < 2:
        raise DataError(
            f"{len(listed)} estimates",
            hint="give two or more: cb.pool([cb.effects(fit, 'race') for fit in fits])",
        )
    first = listed[0]
    for one in listed[1:]:
        for key in ("estimand", "scale", "population"):
            if one.attrs.get(key) != first.attrs.get(key):
                raise DataError(
                    f"the estimates have {key} {first.attrs.get(key)!r} and {one.attrs.get(key)!r}",
                    hint="give those of one verb with the same arguments",
                )
        if one.sizes != first.sizes or not all(
            np.array_equal(one[dim], first[dim]) for dim in first.dims if dim not in SAMPLE
        ):
            raise DataError(
                "the estimates have different cells or numbers of draws",
                hint="give those of one verb with the same arguments, of fits of equal size",
            )
    of_draws = [str(name) for name in first.data_vars if set(SAMPLE) <= set(first[name].dims)]
    plain = [xr.Dataset({name: one[name].variable for name in of_draws}) for one in listed]
    found = xr.concat(plain, "chain")
    found = found.assign(_of_cells(listed, found))
    coords = {dim: first[dim] for dim in first.dims if dim != "chain" and dim in first.coords}
    found = found.assign_coords(coords).assign_coords(chain=np.arange(found.sizes["chain"]))
    main, figure = first.attrs["variable"], first.attrs["figure"]
    return estimate(found.assign_attrs(first.attrs), of=listed, variable=main, figure=figure)


# How what describes cells is pooled, by the end of its name.
POOLED = {
    **dict.fromkeys(("n", "n_a", "n_b"), "min"),
    **dict.fromkeys(("estimable", "supported"), "all"),
    "by_prior": "any",
    **dict.fromkeys(("p_larger", "p_monotone"), "mean"),  # of as many draws each
}
UNMARKED = {"estimable": True, "by_prior": False}  # of estimates without the mark


def _of_cells(estimates: Sequence[Estimate], found: xr.Dataset) -> dict[str, xr.DataArray]:
    """What is known of the cells of several estimates together; ``found``: the draws of all.

    Raises
    ------
    DataError
        If they are ratios without their denominators: whether all of their draws together have
        one sign is not known.
    """
    pooled = {}
    for name in dict.fromkeys(str(name) for one in estimates for name in one.data_vars):
        mark = next((one for one in UNMARKED if name.endswith(one)), name)
        own = [one[name].variable for one in estimates if name in one]
        if mark in POOLED and (mark in UNMARKED or len(own) == len(estimates)):
            if len(own) < len(estimates):
                own.append(xr.full_like(own[0], UNMARKED[mark]))
            every = xr.DataArray(xr.Variable.concat(own, "dataset"))
            pooled[name] = getattr(every, POOLED[mark])("dataset")
    if any("bounded" in one for one in estimates):
        if not {"effect_a", "effect_b"} <= set(found):
            raise DataError(
                "ratios are bounded where all draws of the denominator have one sign, which ratios "
                "do not tell",
                hint="pool both effects, and take the ratio of these: cb.per_unit",
            )
        pooled["bounded"] = per_unit(found["effect_b"], found["effect_a"])["bounded"]
    return pooled


def rank_probabilities(draws: xr.DataArray | xr.Dataset, dim: str) -> xr.DataArray:
    """Compute the posterior probability of each rank along a dim; rank 1 is the largest.

    Parameters
    ----------
    draws : DataArray or Estimate
        Draws with dims (chain, draw, `dim`, ...); of an estimate, those of its main variable.
    dim : str
        Dim whose levels are ranked.

    Returns
    -------
    DataArray
        Probabilities with dims (`dim`, rank, ...), which sum to one over `dim` and over rank.

    Raises
    ------
    DataError
        If the draws of a level are missing, because it is not estimable. The error names it.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> sizes = xr.DataArray(np.array([[[3.0, 1.0], [2.0, 5.0]]]), dims=("chain", "draw", "what"))
    >>> rank_probabilities(sizes, "what").values.tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    draws = _main_draws(draws)
    name_in(dim, "dim", *(str(one) for one in draws.dims if one not in SAMPLE))
    missing = draws.isnull().any([one for one in draws.dims if one != dim])
    if missing.any():
        levels = [str(one) for one in draws[dim].values[missing.values].tolist()]
        raise DataError(
            f"{dim} {', '.join(levels)} cannot be ranked: its draws are missing",
            hint=f"leave out what is not estimable with .sel or .drop_sel({dim}={levels})",
        )
    ranks = xr.apply_ufunc(
        lambda values: np.argsort(np.argsort(-values, axis=-1), axis=-1) + 1,
        draws,
        input_core_dims=[[dim]],
        output_core_dims=[[dim]],
    )
    positions = np.arange(1, draws.sizes[dim] + 1)
    index = xr.DataArray(positions, dims="rank", coords={"rank": positions})
    found = probability(ranks == index)
    found = found.transpose(dim, "rank", ...).rename("probability")
    return marked(without_basis(found.to_dataset()), draws)["probability"]
