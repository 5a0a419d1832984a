"""`Estimate`: draws of an estimand with a description, and the mark of a failed fit."""

import functools
import json
import operator
import pkgutil
from collections.abc import Callable, Hashable, Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import as_draws
from causalbias.draws.basis import (
    BASIS,
    attributes,
    is_combined,
    of_cells,
    with_basis,
    without_basis,
)
from causalbias.draws.marks import Drawn, alone, mark, marked
from causalbias.draws.summaries import (
    CHANCES,
    INDEX,
    INTERVALS,
    LEAST,
    POPULATION_WORDS,
    RATE,
    RATE_RATIO,
    RATIO,
    SAMPLE,
    drawn,
    summarise,
)
from causalbias.elsewhere import unknown_attribute
from causalbias.errors import DataError
from causalbias.io.memory import check_memory

# The attributes of an estimate, by name. They are texts and numbers, so that files hold them.
ATTRIBUTES = {
    "kind": '"estimate": what a saved file holds',
    "variable": "name of the variable that the estimate is of, unless another is asked for",
    "figure": "function of `cb.plots` that draws it",
    "failures": "failed diagnostics of the fits behind it, as JSON of a list of texts",
    "estimand": "what is estimated, in words",
    "outcome": "whose change, difference or rate it is: the axis label of figures",
    "scale": "of the outcome: response, link, latent, probability, ratio, ...",
    "population": "whose mean it is: new, typical or these",
    "held": "what is held constant in a contrast",
    "rows": "rows of the fit that are averaged over",
    "draws": "how many of the draws sampled it is of, where not of all",
    "treatment": "what is set, or varied, in words",
    "contrast": "the variable whose levels are contrasted",
    "reference": "the level that they are contrasted with",
    "between": "of an interaction: the variable of the groups",
    "reference_group": "of an interaction: the group that the others are compared with",
    "not_estimable": "why some cells have no estimate",
    "threshold": "distance at or below which a pair matches, or score cut",
    "a": "of a comparison: what the first fit is of",
    "b": "of a comparison: what the second fit is of",
    "between_a": "of a comparison: sources of variance by which the first fit's pairs differ",
    "between_b": "of a comparison: sources of variance by which the second fit's pairs differ",
    "no_pair_sd": "of a comparison: why it has no effect in the unit pair sd",
    "no_outcome_sd": "of a comparison: why it has no effect in the unit outcome sd",
    "rope": "region of practical equivalence, in words",
    "cohort": "of error rates: which impostor pairs count",
    "match": "of error rates: factors in which both members of an impostor pair agree",
    "threshold_cohort": "of error rates: impostor pairs that the threshold was set on",
    "left_out": "of error rates: comparisons that were left out, and why",
    "one_kind": "of error rates: groups with pairs of one kind only",
    "fmr": "of a threshold: its target false match rate",
    "alpha": "of indices of both error rates: the weight of false matches",
    "assumes": "what the estimate assumes, in words",
    "metric": "of error rates over all pairs: the metric of distances",
}
SHOWN = 20  # rows of a table in the terminal or a notebook
# Columns of a summary that the head of a printed estimate says.
IN_HEAD = ("reference", "scale", "population", "cohort", "match", "threshold_cohort", "converged")


class Estimate(xr.Dataset):
    """Draws of an estimand, as a Dataset that prints as a table.

    A variable with dims (chain, draw, ...) holds the draws. Variables without draws describe the
    cells: number of observations (``n``), whether the cell is estimable (``estimable``), and
    whether there are enough errors to report a rate (``supported``). The attributes describe the
    estimand, the scale, the population, the reference level, and the failed diagnostics of the
    fits; `causalbias.draws.estimate.ATTRIBUTES` lists them.

    In everything else it is an xarray Dataset. Arithmetic (``a - b``, ``abs(a)``, ``np.exp(a)``)
    applies to the draws of each cell; descriptions of the cells are kept if both operands agree.
    Results computed from a failed fit stay marked, and so do single variables. Estimates that
    `xarray.concat` puts together keep in each cell what it is against, of which population and on
    which scale, and which diagnostics failed: the coordinate `_basis` holds it.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> effect = cb.effects(fit, "level")
    >>> effect.summary()[["level", "reference"]].values.tolist()
    [[1, 0], [2, 0]]
    >>> (effect.sel(level=2) - effect.sel(level=1)).frame().columns.tolist()
    ['.chain', '.draw', 'effect']
    """

    __slots__ = ()

    def summary(
        self, prob: float = 0.95, interval: str = "eti", *, of: str | None = None
    ) -> pd.DataFrame:
        """Summarise each cell: median, standard deviation, interval, direction. See `summarise`."""
        return summarise(self, prob=prob, interval=interval, of=of)

    def frame(self, *, of: str | None = None) -> pd.DataFrame:
        """Return the draws in long form, one row per draw and cell.

        Parameters
        ----------
        of : str, optional
            Name of the variable; by default the main variable of the estimate.

        Returns
        -------
        DataFrame
            One column per label, then `.chain`, `.draw` (named as in the R packages posterior and
            tidybayes) and the variable. Draws are missing for cells without rows and for values
            that are not estimable.

        Raises
        ------
        DataError
            If there is no such variable, or the table does not fit into memory.
        """
        whole = as_draws(self)
        name = drawn(whole, of)
        values = whole[name]
        dims = [str(dim) for dim in values.dims if dim not in SAMPLE]
        check_memory(
            float(values.size) * (len(dims) + 3),
            f"{values.size:,} draws in long form",
            "thin them first: .isel(draw=slice(None, None, 10))",
        )
        long = values.reset_coords(drop=True).to_dataframe(dim_order=[*dims, *SAMPLE])
        renamed = {"chain": ".chain", "draw": ".draw"}
        return long.reset_index().rename(columns=renamed)[[*dims, *renamed.values(), name]]

    def to_dataframe(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Return all variables as columns, as xarray does, without what the package keeps there."""
        return without_basis(self.dataset).to_dataframe(*args, **kwargs)

    @property
    def dataset(self) -> xr.Dataset:
        """Return the estimate as a plain xarray Dataset."""
        return xr.Dataset(self.data_vars, self.coords, self.attrs)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if not isinstance(found, xr.DataArray) or key == BASIS:
            return found
        of_draws = "draw" in found.dims or not _with_draws(self)
        return alone(found, self) if of_draws and key in self.data_vars else without_basis(found)

    def assign_attrs(self, *args: Any, **kwargs: Any) -> "Estimate":
        """Assign attributes, and what of them labels the numbers of each cell."""
        found = super().assign_attrs(*args, **kwargs)
        return found if is_combined(found) else with_basis(found)

    def reduce(  # type: ignore[override]
        self, func: Callable[..., Any], dim: Any = None, **kwargs: Any
    ) -> xr.Dataset:
        """Reduce over dims, as `mean`, `sum`, `max` and the like do.

        Over cells, a result is missing, and not estimable, where one of its cells is missing or
        not reported; `n` is summed. Over draws it is xarray's.
        """
        dims = _dims_of(self, dim)
        names = _with_draws(self)
        if not names or not dims or set(dims) & set(SAMPLE):
            return super().reduce(func, dim, **kwargs)
        if "skipna" in kwargs:
            kwargs["skipna"] = False
        drawn_values = xr.Dataset({name: _plain(_reported(self, name)) for name in names})
        found = drawn_values.reduce(func, dims, **kwargs)
        for key, values in _known_cells([self], names).items():
            own = [one for one in dims if one in values.dims]
            found[key] = values.all(own) if key == "estimable" else values.any(own)
        if "n" in self:
            found["n"] = self["n"].sum([one for one in dims if one in self["n"].dims])
        main = drawn(self)
        found = found.assign_attrs(attributes(self))
        return estimate(
            found,
            of=[self],
            variable=main,
            figure="forest",
            estimand=f"{self.attrs.get('estimand', main)}, over {', '.join(map(str, dims))}",
            **_contrast_left(found, main),
        )

    def plot(self, **options: Any) -> Any:  # type: ignore[override]
        """Draw the estimate with the figure of `cb.plots` that suits it.

        That is the one that ``attrs["figure"]`` names: error rates as `group_rates`, curves of a
        dose as `dose_curve`, comparisons as `comparison`, contrasts as half-eyes in a `forest`. In
        place of a forest, numbers along an axis (predictions by pose) and three dims are drawn as
        `conditional_effects`.

        Parameters
        ----------
        **options
            Arguments of that function. For the figures of xarray, use ``.dataset.plot``.
        """
        return figure_of(self)(self, **options)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            raise unknown_attribute(name, "an estimate") from None

    def __repr__(self) -> str:
        head, table, notes = described(self)
        shown = [] if table is None else ["", table.to_string(index=False)]
        return "\n".join([*head, *shown, *notes])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        head, table, notes = described(self)
        rows = "" if table is None else table.to_html(index=False, escape=True, border=0)
        above, below = ("<br>".join(map(escape, lines)) for lines in (head, notes))
        return f"<div><p>{above}</p>{rows}<p>{below}</p></div>"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)  # type: ignore[no-untyped-call]
        return _computed(ufunc, *inputs)


def _computed(function: Callable[..., Any], *inputs: Any) -> Estimate:
    """Apply a function to the draws of estimates, numbers and arrays; keep common descriptions.

    Raises
    ------
    DataError
        If two estimates have no variable with draws in common.
    """
    estimates = [one for one in inputs if isinstance(one, xr.Dataset)]
    names = [_with_draws(one) or _main_of(one) for one in estimates]
    shared = [name for name in names[0] if all(name in other for other in names[1:])]
    if not shared:
        raise DataError(
            f"draws of {' and of '.join(', '.join(each) for each in names)} have no variable in "
            "common",
            hint=f"take the variables themselves: one[{names[0][0]!r}] - other[{names[-1][0]!r}]",
        )
    found = {name: _plain(function(*(_reported(one, name) for one in inputs))) for name in shared}
    said = _said_by_all(estimates, [name for each in names for name in each])
    said |= _known_cells(estimates, shared)
    sources = [one for one in inputs if isinstance(one, xr.Dataset | xr.DataArray)]
    first, *others = [attributes(one) for one in estimates]
    agreed = {
        key: value
        for key, value in first.items()
        if all(key in one and one[key] == value for one in others)
    }
    main = agreed.get("variable")
    stated = dict.fromkeys(str(one.attrs.get("estimand", "")) for one in estimates)
    of = " and ".join(text.removeprefix("computed from: ") for text in stated if text)
    variable = main if main in shared else shared[0]
    whole = xr.Dataset(found).assign(said).assign_attrs(agreed)
    limited = any(one[name].attrs.get("quantity") in LEAST for one in estimates for name in shared)
    figure = "forest" if limited else agreed.get("figure", "forest")
    return estimate(
        whole,
        of=sources,
        variable=variable,
        figure=figure,
        estimand=f"computed from: {of}",
        **_contrast_left(whole, variable),
    )


def _main_of(one: xr.Dataset) -> list[str]:
    """The variable that an estimate is of, whose draws were averaged or one of them selected."""
    main = str(one.attrs.get("variable", ""))
    return [main] if main in one.data_vars else list(map(str, one.data_vars))


def _contrast_left(found: xr.Dataset, variable: str) -> dict[str, None]:
    """Attributes of a contrast to drop where its levels are no longer a dim of the draws."""
    gone = found.attrs.get("contrast") not in found[variable].dims
    return {"contrast": None, "reference": None} if gone else {}


def _reported(one: Any, name: str) -> Any:
    """Draws of a variable of an estimate, missing in cells whose number is not reported.

    Limits of a rate with too few errors, and of a ratio whose denominator may be zero, are not
    quantiles of the draws: what is computed from these draws would have other limits.
    """
    if not isinstance(one, xr.Dataset):
        return one
    values, reported = one[name], where_reported(one, name)
    return values if reported is None else values.where(reported)


def where_reported(one: xr.Dataset, name: str) -> xr.DataArray | None:
    """In which cells a variable has a number and a two-sided interval; None where in all."""
    quantity = one[name].attrs.get("quantity", "")
    parts = []
    if quantity == RATIO and "bounded" in one:
        parts.append(one["bounded"].astype(bool))
    if quantity in (RATE, RATE_RATIO, INDEX):
        if "supported" in one:
            parts.append(one["supported"].astype(bool))
        if "interval" in one:
            parts.append(one["interval"] == "two-sided")
    return functools.reduce(operator.and_, parts) if parts else None


def _plain(values: Any) -> Any:
    """Draws of which nothing but quantiles is known: they are no longer a rate or a ratio."""
    if not isinstance(values, xr.DataArray):
        return values
    plain = values.copy(deep=False)  # a variable of an estimate shares its attributes with it
    plain.attrs = {key: value for key, value in values.attrs.items() if key != "quantity"}
    return plain


def _known_cells(estimates: Iterable[xr.Dataset], names: Iterable[str]) -> dict[str, xr.DataArray]:
    """Variables `estimable` and `by_prior` of what is computed from several estimates."""
    estimable, by_prior = [], []
    for one in estimates:
        estimable += [one["estimable"].astype(bool)] if "estimable" in one else []
        by_prior += [one["by_prior"].astype(bool)] if "by_prior" in one else []
        reported = [where_reported(one, name) for name in names]
        estimable += [where for where in reported if where is not None]
    found = {}
    if estimable:
        found["estimable"] = functools.reduce(operator.and_, estimable)
    if by_prior:
        found["by_prior"] = functools.reduce(operator.or_, by_prior)
    return found


def _dims_of(one: xr.Dataset, dim: Any) -> list[Any]:
    """Dims that a reduction is over."""
    if dim is None or dim is ...:
        return list(one.dims)
    return [dim] if isinstance(dim, str) else list(dim)


def _with_draws(one: xr.Dataset) -> list[str]:
    return [str(name) for name in one.data_vars if "draw" in one.variables[name].dims]


def _said_by_all(
    estimates: Iterable[xr.Dataset], computed: Iterable[str]
) -> dict[str, xr.DataArray]:
    """Return the variables without draws that are equal in all of several estimates."""
    first, *others = estimates
    left_out = set(computed)
    return {
        str(name): values
        for name, values in first.data_vars.items()
        if str(name) not in left_out
        and all(name in other and values.equals(other[name]) for other in others)
    }


def _operator(function: Callable[..., Any], *, reflected: bool = False) -> Callable[..., Any]:
    def binary(self: Estimate, other: Any) -> Any:
        if isinstance(other, xr.DataTree):
            return NotImplemented
        return _computed(function, other, self) if reflected else _computed(function, self, other)

    return binary


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self: _computed(function, self)


def _same_type(name: str) -> Callable[..., Any]:
    """Make a method of Dataset that returns an estimate, with its marks."""
    method = getattr(xr.Dataset, name)

    def inner(self: Estimate, *args: Any, **kwargs: Any) -> Estimate:
        found = method(self, *args, **kwargs)
        given = [
            one for one in (*args, *kwargs.values()) if isinstance(one, xr.Dataset | xr.DataArray)
        ]
        return as_estimate(marked(found.assign_attrs(self.attrs), self, *given))

    inner.__doc__ = method.__doc__
    inner.__name__ = name
    return inner


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _function = getattr(operator, _name)
    setattr(Estimate, f"__{_name}__", _operator(_function))
    setattr(Estimate, f"__r{_name}__", _operator(_function, reflected=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "and_", "or_", "xor"):
    setattr(Estimate, f"__{_name.strip('_')}__", _operator(getattr(operator, _name)))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(Estimate, f"__{_name}__", _unary(getattr(operator, _name)))
# xarray computes these by functions that return a plain Dataset.
for _name in ("where", "fillna", "clip", "astype", "isnull", "notnull", "combine_first"):
    setattr(Estimate, _name, _same_type(_name))


def as_estimate(found: xr.Dataset) -> Estimate:
    """Convert a Dataset with the attributes of an estimate to an `Estimate`."""
    made = found if is_combined(found) else with_basis(found)
    return Estimate(made.data_vars, made.coords, made.attrs)


def estimate(
    found: xr.Dataset,
    *,
    of: Iterable[Drawn],
    variable: str | None = None,
    figure: str = "forest",
    **what: Any,
) -> Estimate:
    """Make an `Estimate` from draws and a description; all estimates are made by this function.

    Parameters
    ----------
    found : Dataset
        Variables with dims (chain, draw, ...), and variables without draws that describe cells. Its
        attributes are kept unless `what` replaces them.
    of : iterable of fits, estimates or arrays
        Sources of the estimate. If a fit behind any of these failed its diagnostics, the estimate
        and each of its variables are marked.
    variable : str, optional
        Main variable of the estimate; by default the first with draws.
    figure : str
        Function of `cb.plots` that draws the estimate.
    **what
        Any of `ATTRIBUTES`; None if an attribute does not apply.

    Raises
    ------
    TypeError
        If an attribute is not among `ATTRIBUTES`.

    Examples
    --------
    >>> draws = xr.Dataset({"effect": (("chain", "draw"), np.linspace(1, 2, 101)[None])})
    >>> failed_fit = xr.DataTree(xr.Dataset(attrs={"failures": '["R-hat of 1.2"]'}))
    >>> found = estimate(draws, of=[failed_fit], estimand="effect of pose", scale="response")
    >>> print(2 * found)
    Estimate: computed from: effect of pose
    scale: response; 95% equal-tailed intervals
    <BLANKLINE>
     estimate    sd lower upper p_positive
            3 0.586  2.05  3.95      1.000
    NOT CONVERGED. Do not use these estimates: R-hat of 1.2.
    """
    sources = list(of)
    if unknown := sorted(set(what) - set(ATTRIBUTES)):
        raise TypeError(f"no attributes of an estimate: {', '.join(unknown)}")
    of_variables = ("converged", "quantity")  # where an array was taken for a whole estimate
    said = {key: value for key, value in found.attrs.items() if key not in of_variables} | what
    said |= {"kind": "estimate", "variable": variable or drawn(found), "figure": figure}
    kept = {key: value for key, value in said.items() if value is not None}
    found = without_basis(found)
    found.attrs = kept
    return as_estimate(marked(found, *sources))


def check_names(labels: Sequence[Hashable], names: Iterable[str]) -> None:
    """Refuse a column that is to label a result and is called as something that the result has.

    A Dataset has one thing of a name: the labels would silently replace the draws, or the draws
    the labels.

    Parameters
    ----------
    labels : sequence of str
        Dims that are named after columns.
    names : iterable of str
        Everything else of the result.

    Raises
    ------
    DataError
        If a label is among the names, or there twice. The error names the column.
    """
    known = {*names, BASIS}
    taken = [str(one) for at, one in enumerate(labels) if one in known or one in labels[:at]]
    if taken:
        raise DataError(
            f"the result has something else called {taken[0]!r}",
            hint=f"rename the column, to {taken[0] + '_'!r} for instance",
            column=taken[0],
        )


def opened_estimate(tree: xr.DataTree) -> Estimate:
    """Make an estimate from an opened file.

    Raises
    ------
    DataError
        If the file has no draws, or its record of failed diagnostics cannot be read.
    """
    found = as_estimate(tree.to_dataset())
    try:
        mark(found)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"the record of failed diagnostics cannot be read ({error})",
            hint="compute the estimate again and save it",
        ) from error
    drawn(found)
    return found


def figure_of(draws: Estimate) -> Callable[..., Any]:
    """Return the function of `cb.plots` that draws an estimate.

    The function is looked up by name, because this package must not import the figures.

    Raises
    ------
    DataError
        If there is no such figure.
    """
    name = _figure_name(draws)
    plots = pkgutil.resolve_name("causalbias.plots")
    if name not in plots.__all__:
        raise DataError(
            f"there is no figure {name!r}",
            hint="call a function of cb.plots, or .dataset.plot of xarray",
        )
    function: Callable[..., Any] = getattr(plots, name)
    return function


def _figure_name(draws: xr.Dataset) -> str:
    """The figure that an estimate names; of a forest, lines where there are numbers or three dims.

    A contrast of numbers stays a forest, and so does what may have intervals of one end.
    """
    name = str(draws.attrs.get("figure", "forest"))
    if name != "forest" or not _with_draws(draws):
        return name
    values = draws[drawn(draws)]
    dims = [dim for dim in values.dims if dim not in SAMPLE]
    along = [
        dim
        for dim in dims
        if dim != draws.attrs.get("contrast")
        and dim in draws.coords
        and draws[dim].dtype.kind in "iuf"
        and draws.sizes[dim] >= 3
    ]
    limited = values.attrs.get("quantity") in LEAST
    lines = len(dims) == 3 or (bool(along) and len(dims) <= 3)
    return "conditional_effects" if lines and not limited else name


def described(draws: xr.Dataset) -> tuple[list[str], pd.DataFrame | None, list[str]]:
    """Format an estimate for printing: description, table, and notes."""
    attrs: dict[str, Any] = attributes(draws)
    names = _with_draws(draws)
    complete = bool(names) and "draw" in draws[drawn(draws)].dims and draws.sizes["draw"] > 0
    population = str(attrs.get("population", ""))
    parts = {
        "scale": attrs.get("scale", ""),
        "population": f"{population} ({POPULATION_WORDS[population]})"
        if population in POPULATION_WORDS
        else population,
        "against": attrs.get("reference", ""),
        "impostor pairs": attrs.get("cohort", ""),
        "held": attrs.get("held", ""),
        "rows": f"{attrs['rows']:,}" if "rows" in attrs else "",
        "draws": attrs.get("draws", ""),
    }
    said = [f"{key}: {value}" for key, value in parts.items() if value != ""]
    if complete:
        said.append(f"95% {INTERVALS['eti']} intervals")
    head = [f"Estimate: {attrs.get('estimand', '')}".rstrip(": "), "; ".join(said)]
    notes, table = [], None
    if complete:
        whole = summarise(draws)
        apart = is_combined(of_cells(draws, SAMPLE))
        told = [name for name in IN_HEAD if name in whole and not apart]
        table = _rounded(whole.drop(columns=told)[:SHOWN])
        if len(whole) > SHOWN:
            notes.append(f"... {len(whole) - SHOWN:,} more rows: .summary() has all")
        others = [name for name in names if name != drawn(draws)]
        if others:
            notes.append(
                f"Shown: {drawn(draws)}; other draws: {', '.join(others)}, see .summary(of=...)"
            )
        notes += _unstated(whole, attrs)
    else:
        sizes = ", ".join(f"{name}: {size:,}" for name, size in draws.sizes.items())
        notes.append(f"Variables {', '.join(map(str, draws.data_vars))}; dims {sizes or 'none'}")
    if attrs.get("assumes"):
        notes.append(f"Assumes: {attrs['assumes']}")
    reasons = json.loads(mark(draws))
    if reasons:
        notes.append(f"NOT CONVERGED. Do not use these estimates: {'; '.join(reasons)}.")
    return head, table, notes


def _unstated(table: pd.DataFrame, attrs: Any) -> list[str]:
    """Describe which cells have no estimate, and why."""
    said = []
    if "estimable" in table and not table["estimable"].all():
        why = attrs.get("not_estimable", "")
        said.append(f"Not estimable where estimable is False{f': {why}' if why else ''}.")
    if "supported" in table and not table["supported"].all():
        said.append("Too few errors to report a rate where supported is False.")
    return said


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Format numbers with three digits, and probabilities with three decimals."""
    shown = {}
    for name in table:
        values = table[name]
        if name in CHANCES or str(name).startswith("p_"):
            shown[name] = values.map(lambda value: "" if pd.isna(value) else f"{value:.3f}")
        elif values.dtype.kind == "f":
            shown[name] = values.map(lambda value: "" if pd.isna(value) else f"{value:,.3g}")
        else:
            shown[name] = values.map(str)
    return pd.DataFrame(shown, index=table.index)
