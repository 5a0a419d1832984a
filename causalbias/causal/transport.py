"""Estimates for a target population: cells weighted by how frequent they are there."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import DRAWS, described, name_in, names_in, not_what
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import LEAST, RATE, SAMPLE, drawn
from causalbias.errors import DataError, at_first
from causalbias.models.levels import find_level
from causalbias.study.columns import label_of, measured
from causalbias.study.tables import check_columns, named_columns, with_index

FILE = "target"
FOUND = (*SAMPLE, "n", "in_sample", "effective_n")
NAMED = 6  # cells that an error names


def poststratify(
    cells: Estimate, target: pd.DataFrame, *, weight: str, by: str | Sequence[str] = ()
) -> Estimate:
    """Average an estimate by cells over a target population's mix of these cells.

    Generated faces have every attribute as often as they were made to have it, and a population
    has not. With E(c) the estimate in cell c and w(c) the cell's share of the population, the
    estimate there is ``sum w(c) E(c)`` (post-stratification). Of a fit with ``(1|cell)``, the cells
    of which are pooled partially, this is multilevel regression and post-stratification (MRP;
    Gelman and Little 1997; Park, Gelman and Bafumi 2004).

    Assumes that within a cell faces of the population are like those that were generated, in what
    the estimate is of: what else tells them apart must not change it (Bareinboim and Pearl 2013,
    "transportability"). No number from generated faces shows that. The weights are taken as known.

    Parameters
    ----------
    cells : Estimate
        Effects, predictions or rates by cells: ``cb.effects(fit, "race", by=["gender", "age"])``.
    target : DataFrame
        A row for each cell of the population: columns named as dims of `cells`, and the weight.
    weight : str
        Column of counts or shares, zero or more; they are divided by their sum.
    by : str or sequence of str
        Columns of `target` for each value of which there is a population of its own: a column of
        the cells that the result keeps, or another, such as the country.

    Returns
    -------
    Estimate
        The main variable of `cells` without the dims that are columns of `target`, with those of
        `by`. ``in_sample``: the average over the cells as frequent as they are among the rows.
        ``n``: rows in cells that count; ``effective_n``, 1 / sum w(c)^2 / n(c): rows that would say
        as much if all weighed alike. Both are there if `cells` counts rows.

    Raises
    ------
    DataError
        If a cell of the population has no faces (all are named), a cell is there twice, a weight
        is missing or negative, the estimate is a ratio, whose mean means nothing, or the target has
        the variable whose levels the effects contrast.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(20, levels={"pose": [-3, 0, 3]}, impostors=4, people=None)
    >>> fit = cb.fit("distance ~ race*gender + (1|seed)", study,
    ...              subset="same_identity and system == 'ResNet-34'", draws=200)
    >>> users = pd.DataFrame({"gender": ["female", "male"], "share": [0.3, 0.7]})
    >>> found = poststratify(cb.effects(fit, "race", by="gender"), users, weight="share")
    >>> found["effect"].dims
    ('chain', 'draw', 'race')
    """
    if not isinstance(cells, xr.Dataset) or not set(SAMPLE) <= set(cells.dims):
        raise not_what(cells, DRAWS)
    name = drawn(cells)
    values = cells[name]
    if values.attrs.get("quantity") in LEAST and values.attrs["quantity"] != RATE:
        raise DataError(
            f"{name!r} is a {values.attrs['quantity']}, and a mean of ratios is not the "
            "population's ratio",
            hint="post-stratify numerator and denominator, and divide: cb.per_unit",
        )
    by = list(names_in(by, "by"))
    table, dims = _target(target, values, weight, by, cells.attrs.get("contrast"))
    shares = _shares(table, values, dims, weight, by)
    _check_support(cells, values, shares)
    known = values.fillna(0.0)
    whole = xr.dot(known, shares, dim=dims).rename(name)
    others = [str(one) for one in values.dims if one not in (*SAMPLE, *dims)]
    kept = [one for one in by if one in shares.dims]
    whole = whole.transpose(*SAMPLE, *[one for one in others if one not in kept], *kept)
    found = xr.Dataset({name: whole})
    if "n" in cells and set(dims) <= set(cells["n"].dims):
        found = _counted(found, cells, values, shares, dims)
    attrs = {key: one for key, one in cells.attrs.items() if key not in ("rows", "failures")}
    return estimate(
        found.assign_attrs(attrs),
        of=[cells],
        variable=name,
        figure="forest",
        estimand=f"{cells.attrs.get('estimand', name)}, in a population's mix of {', '.join(dims)}",
        assumes=f"that within each cell of {', '.join(dims)} the population's faces are like those "
        "studied in what is estimated, and that the weights are right",
    )


def _target(
    target: object, values: xr.DataArray, weight: str, by: Sequence[str], contrast: object
) -> tuple[pd.DataFrame, list[str]]:
    """Check the table of the population; return it and the dims that are averaged over."""
    if not isinstance(target, pd.DataFrame):
        raise DataError(
            f"the target is {described(target)}",
            hint="give a table with a row for each cell of the population and its weight",
        )
    table = named_columns(with_index(target, FILE), FILE)
    name_in(weight, "weight")
    check_columns(table, [weight, *by], file=FILE)
    possible = [str(one) for one in values.dims if one not in SAMPLE]
    cells = [one for one in possible if one in table]
    dims = [one for one in cells if one not in by]
    if contrast in dims:
        raise DataError(
            f"the target has {contrast!r}, whose levels the effects contrast: averaging effects "
            "over it means nothing",
            hint=f"add the weights up over it and leave it out, or keep it apart: by={contrast!r}",
            file=FILE,
            column=str(contrast),
        )
    if not dims:
        raise DataError(
            "no column of the target is a dim of the estimate to average over",
            hint=f"the estimate is by {', '.join(possible) or 'nothing'}; ask for it by the cells: "
            "cb.effects(fit, 'race', by=['gender', 'age'])",
            file=FILE,
        )
    check_names([one for one in by if one not in possible], [*possible, *FOUND, str(values.name)])
    further = [one for one in table if one not in (*cells, weight, *by)]
    for column in (*cells, *by):
        missing = table[column].isna().to_numpy(bool)
        if missing.any():
            raise at_first(missing, "is missing", hint="fill it in", file=FILE, column=column)
    numbers = measured(table[weight], file=FILE)
    bad = ~(np.isfinite(numbers) & (numbers >= 0)).to_numpy(bool)
    if bad.any():
        hint = "give a count or a share, zero or more"
        raise at_first(bad, "is no weight", hint=hint, file=FILE, column=weight)
    table = table.assign(**{weight: numbers})
    key = list(dict.fromkeys((*cells, *by)))
    twice = table.assign(**{one: table[one].map(_text) for one in key}).duplicated(key).to_numpy()
    if twice.any():
        more = f", or name what tells them apart: by={further[0]!r}" if further else ""
        hint = f"add the weights of equal cells up{more}"
        raise at_first(twice, "this cell is there already", hint=hint, file=FILE, column=weight)
    return table, dims


def _text(value: object) -> str:
    return label_of(value.item() if isinstance(value, np.generic) else value).strip()


def _shares(
    table: pd.DataFrame,
    values: xr.DataArray,
    dims: Sequence[str],
    weight: str,
    by: Sequence[str],
) -> xr.DataArray:
    """Weights of the cells, which add up to one in each population, over dims and `by`."""
    axes: dict[str, list[object]] = {}
    codes = {}
    lacking = np.zeros(len(table), bool)
    for column in dict.fromkeys((*dims, *by)):
        if column in values.dims:
            axes[column] = values[column].values.tolist()
            found = [find_level(axes[column], one) for one in table[column]]  # type: ignore[arg-type]
        else:
            found = [_text(one) for one in table[column]]
            axes[column] = list(dict.fromkeys(found))
        places = [-1 if one is None else axes[column].index(one) for one in found]
        codes[column] = np.array(places)
        lacking |= codes[column] < 0
    lacking &= (table[weight] > 0).to_numpy(bool)
    if lacking.any():
        cells = [_named(dict(table.loc[at, list(codes)])) for at in np.flatnonzero(lacking)]
        raise _without_faces(cells)
    known = np.all([one >= 0 for one in codes.values()], axis=0)
    cube = np.zeros([len(one) for one in axes.values()])
    np.add.at(cube, tuple(one[known] for one in codes.values()), table.loc[known, weight])
    shares = xr.DataArray(cube, axes, tuple(axes))
    for column in axes:
        if column in values.dims:
            shares = shares.assign_coords({column: values[column]})
    total = shares.sum(list(dims))
    if bool((total == 0).any()):
        cells = [_named(one) for one in _labels(total == 0)]
        raise DataError(
            "the target has no weight above zero "
            + (f"at {'; '.join(cells[:NAMED])}" if cells[0] else "at all"),
            hint="give the shares of that population"
            + (", or leave its cells out of the estimate with .sel()" if cells[0] else ""),
            file=FILE,
        )
    return shares / total


def _labels(marked: xr.DataArray) -> list[dict[str, object]]:
    """Labels of the cells that are marked."""
    dims = [str(one) for one in marked.dims]
    places = np.argwhere(marked.to_numpy())
    return [
        {name: marked[name].values[at] for name, at in zip(dims, place, strict=True)}
        for place in places
    ]


def _named(cell: dict[str, object]) -> str:
    return ", ".join(f"{name} {_text(one)}" for name, one in cell.items())


def _without_faces(cells: Sequence[str]) -> DataError:
    more = f"; and {len(cells) - NAMED:,} more" if len(cells) > NAMED else ""
    return DataError(
        f"the population has cells of which no face gives an estimate: "
        f"{'; '.join(cells[:NAMED])}{more}",
        hint="generate such faces, merge these cells with others in both tables, or give them the "
        "weight zero and say that the result is of a population without them",
        file=FILE,
    )


def _check_support(cells: xr.Dataset, values: xr.DataArray, shares: xr.DataArray) -> None:
    """Refuse cells that count and have no estimate, or none that is reported."""
    there = values.notnull().all(SAMPLE)
    if "supported" in cells and values.attrs.get("quantity") == RATE:
        there &= cells["supported"].astype(bool)
    if "estimable" in cells:
        there &= cells["estimable"].astype(bool)
    over = [one for one in shares.dims if one not in values.dims]
    counts = (shares > 0).any(over) if over else shares > 0
    bad = counts & ~there
    if bool(bad.any()):
        stacked = bad.stack(cell=list(bad.dims))
        keys = stacked["cell"].values[stacked.values]
        names = [str(one) for one in bad.dims]
        raise _without_faces([_named(dict(zip(names, key, strict=True))) for key in keys])


def _counted(
    found: xr.Dataset,
    cells: xr.Dataset,
    values: xr.DataArray,
    shares: xr.DataArray,
    dims: list[str],
) -> xr.Dataset:
    """Add the average over the rows' own mix, and how many rows are behind it."""
    n = cells["n"].fillna(0)
    own = n / n.sum(dims)
    in_sample = xr.dot(values.fillna(0.0), own, dim=dims)
    effective = 1 / (shares**2 / n.where(n > 0)).fillna(0.0).sum(dims)
    return found.assign(
        in_sample=in_sample.transpose(*SAMPLE, ...),
        n=n.where(shares > 0, 0).sum(dims).astype(int),
        effective_n=effective,
    )
