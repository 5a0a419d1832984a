"""A summary of rows: cells with their sums or counts, and what sites must agree on."""

import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import combinations
from os.path import realpath
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import gammaln, xlogy

from causalbias.elsewhere import unknown_attribute
from causalbias.errors import DataError
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import canonical
from causalbias.models.response import Map, Response, response_of
from causalbias.models.specification import (
    MAX_NUMBER,
    ModelSpec,
    data_columns_of,
    population_columns_of,
)
from causalbias.models.summaries.cells import Cells, added, equal_rows, without_keys
from causalbias.models.summaries.columns import LEVELS, MOMENTS, VALUES
from causalbias.models.summaries.uses import answers_of, check_summable

FORMAT_VERSION = 1
ROWS = "summed_rows"  # the column of rows of a fit that says how many rows of data each stands for
COUNTED = "summed_counts_"  # before a column of counts: the counts of all rows together
KIND = "summary"
_KINDS = (LEVELS, VALUES, MOMENTS)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CELL = "__cell"  # a dimension whose name no column has
_SAME = 1e-9  # sums that differ by less, relative to their size, are of the same rows
_REMOTE = 1e-6  # a chance that the counts of other rows are equal, below which they are the same's
_NUMBERED = "__levels"
# What the manifests of summaries that are added must have in common, and how it is called.
_AGREED = {
    "formula": "formula",
    "parts": "formulas of further parameters",
    "counts": "counts",
    "weights": "weights",
    "subset": "subset",
    "answers": "columns of the response that are counted",
}


class RowSummary(xr.DataTree):
    """What `summarise_rows` returns: sums of rows by cells, and no row.

    Groups: ``cells`` (the levels and values of each cell), ``sums`` (number of rows, means and
    cross-products about them). Of a response that is counted, each of its values has cells of its
    own, and there are no means. The attributes record the manifest that sites share. Printing it
    says what it reveals.
    """

    __slots__ = ()

    def __repr__(self) -> str:  # type: ignore[override]
        return describe_summary(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(describe_summary(self))}</pre>"

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            raise unknown_attribute(name, "a summary of rows") from None


def summary_tree(
    cells: Cells,
    levels: Mapping[str, Sequence[str]],
    manifest: Mapping[str, Any],
    tally: Mapping[str, Any],
) -> RowSummary:
    """The tree of cells whose factors have these levels."""
    keys = xr.Dataset({name: (_CELL, values) for name, values in cells.keys.items()})
    keys = keys.assign_coords(
        {f"{name}{_NUMBERED}": np.array(list(own), dtype=str) for name, own in levels.items()}
    )
    sums = xr.Dataset({"rows": (_CELL, cells.n)})
    if not manifest["answers"]:
        numbers = [*manifest["moments"], manifest["response"]]
        sums = sums.assign_coords(number=numbers, number_2=numbers).assign(
            mean=((_CELL, "number"), cells.mean),
            scatter=((_CELL, "number", "number_2"), cells.scatter),
        )
    found = RowSummary(children={"cells": xr.DataTree(keys), "sums": xr.DataTree(sums)})
    found.attrs = {
        "kind": KIND,
        "causalbias_format": FORMAT_VERSION,
        "manifest": json.dumps(manifest),
        "tally": json.dumps(tally),
    }
    return found


def checked_summary(tree: xr.DataTree) -> RowSummary:
    """Make a summary from an opened tree.

    Raises
    ------
    DataError
        If it is not what `summarise_rows` makes.
    """
    try:
        manifest, tally = manifest_of(tree), json.loads(tree.attrs["tally"])
        for one in (manifest["formula"], *(f"{k} ~ {v}" for k, v in manifest["parts"].items())):
            formula_columns(one)
        cells, levels = cells_in(tree)
        _check_manifest(manifest, cells, levels)
        _check_tally(tally)
        summed = 0 if manifest["answers"] else len(manifest["moments"]) + 1
        _check_sums(cells, summed, tally["rows"])
        for name, own in levels.items():
            codes = cells.keys[name]
            _need(codes.dtype.kind in "iu", f"{name} is not of levels")
            _need(len(set(own)) == len(own), f"two levels of {name} have one name")
            _need(np.isin(np.unique(codes), np.arange(len(own))).all(), f"{name} has no such level")
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(
            f"the summary of rows cannot be read ({error})",
            hint="write it again with summarise_rows and save",
        ) from error
    return RowSummary(
        dataset=tree.to_dataset(),
        children={name: xr.DataTree(node.to_dataset()) for name, node in tree.children.items()},
    )


def _need(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _check_manifest(
    manifest: Mapping[str, Any], cells: Cells, levels: Mapping[str, Sequence[str]]
) -> None:
    """Refuse a manifest that does not say what the cells are."""
    columns, moments = manifest["columns"], manifest["moments"]
    _need(isinstance(manifest["response"], str), "the response is not named")
    answers = manifest["answers"]
    _need(isinstance(answers, list) and set(answers) <= set(columns), "other answers")
    _need(not (answers and moments), "moments beside answers")
    _need(set(columns.values()) <= set(_KINDS), "its columns are of no known kind")
    own = {kind: {name for name, one in columns.items() if one == kind} for kind in _KINDS}
    _need(set(moments) == own[MOMENTS] and len(set(moments)) == len(moments), "other moments")
    _need(set(cells.keys) == own[LEVELS] | own[VALUES], "other columns than its cells have")
    _need(set(levels) == own[LEVELS], "other levels than its columns have")
    for name in own[VALUES]:
        values = cells.keys[name]
        real = values.dtype.kind in "iuf"
        _need(real and (np.abs(values) <= MAX_NUMBER).all(), f"{name} has a value that is none")
    for key in ("counts", "weights"):
        _need(manifest[key] is None or manifest[key] in own[VALUES], f"no such {key}")
    _need(isinstance(manifest["subset"], str), "its subset is no text")


def _check_tally(tally: Mapping[str, Any]) -> None:
    """Refuse a tally that is not one of rows."""
    numbers = [tally["rows"], tally["excluded"], *tally["missing"].values()]
    _need(all(type(one) is int and one >= 0 for one in numbers), "its tally is not of numbers")
    for texts in (tally["kinds"], tally.get("judges", []), *tally["labels"].values()):
        listed = isinstance(texts, list) and all(isinstance(one, str) for one in texts)
        _need(listed, "its tally is not of texts")


def _check_sums(cells: Cells, numbers: int, rows: int) -> None:
    """Refuse sums that no rows have."""
    fits = cells.mean.shape == (len(cells), numbers)
    fits &= cells.scatter.shape == (len(cells), numbers, numbers)
    fits &= all(one.shape == (len(cells),) for one in cells.keys.values())
    _need(fits and cells.n.shape == (len(cells),), "its sums and cells do not fit together")
    _need(cells.n.dtype.kind in "iu" and (cells.n > 0).all(), "its cells have no rows")
    _need(int(cells.n.sum(dtype=object)) == rows, "its cells have other rows than its tally")
    _need((np.abs(cells.mean) <= MAX_NUMBER).all(), "a mean is not finite, or too large")
    _need(np.isfinite(cells.scatter).all(), "a sum of squares is not finite")
    squares = np.diagonal(cells.scatter, axis1=1, axis2=2)
    _need((squares >= 0).all(), "a sum of squares is negative")
    rounding = (1e-7 * np.abs(cells.mean).max(axis=0, initial=0.0)) ** 2
    one = cells.n == 1
    _need((squares[one] <= rounding).all(), "a cell of one row has a sum of squares")
    most = np.sqrt(squares[:, :, None] * squares[:, None, :])
    room = np.sqrt(np.outer(rounding, rounding)) * cells.n[:, None, None]
    whole = (np.abs(cells.scatter) <= most * (1 + 1e-6) + room).all()
    whole &= np.allclose(cells.scatter, cells.scatter.swapaxes(1, 2))
    _need(whole, "its cross-products are of no rows")


def is_summary(value: object) -> bool:
    """Whether a value is a summary of rows."""
    return isinstance(value, xr.DataTree) and value.attrs.get("kind") == KIND


def manifest_of(summary: xr.DataTree) -> dict[str, Any]:
    """What sites must agree on, of a summary."""
    return {"answers": []} | json.loads(summary.attrs["manifest"])


def cells_in(summary: xr.DataTree) -> tuple[Cells, dict[str, list[str]]]:
    """The cells of a summary, and the levels of its factors."""
    keys, sums = summary["cells"].to_dataset(), summary["sums"].to_dataset()
    rows = sums["rows"].values
    counted = "mean" not in sums
    levels = {
        str(name).removesuffix(_NUMBERED): [str(one) for one in values.values]
        for name, values in keys.coords.items()
        if str(name).endswith(_NUMBERED)
    }
    cells = Cells(
        {str(name): values.values for name, values in keys.data_vars.items()},
        rows,
        np.empty((len(rows), 0)) if counted else sums["mean"].values,
        np.empty((len(rows), 0, 0)) if counted else sums["scatter"].values,
    )
    return cells, levels


def sum_of(summaries: Sequence[xr.DataTree], names: Sequence[str], spec: ModelSpec) -> RowSummary:
    """The summary of the rows of several summaries together.

    Parameters
    ----------
    summaries : sequence of RowSummary
    names : sequence of str
        What to call each in errors: its file.
    spec : ModelSpec
        The model that is to be fitted: levels of its population must be those of all.

    Raises
    ------
    DataError
        If their manifests differ, with what differs: a formula, a column, a level.
    """
    checked = [_checked(one, name) for one, name in zip(summaries, names, strict=True)]
    if len(checked) == 1:
        return checked[0]
    first = manifest_of(checked[0])
    read = [cells_in(one) for one in checked]
    for own, name in zip(checked[1:], names[1:], strict=True):
        _check_agreed(first, manifest_of(own), names[0], name)
    alike = _need_alike(spec)
    levels: dict[str, list[str]] = {}
    parts = [cells for cells, _ in read]
    for factor in read[0][1]:
        each = [known[factor] for _, known in read]
        if factor in alike:
            for there, name in zip(each[1:], names[1:], strict=True):
                _check_levels(each[0], there, factor, names[0], name)
        levels[factor] = _joined(each, factor)
        place = pd.Index(levels[factor])
        for at, known_there in enumerate(each):
            codes = place.get_indexer(pd.Index(known_there))[parts[at].keys[factor]]
            parts[at] = _with_key(parts[at], factor, codes.astype(np.int64))
    _check_differ(parts, names, summaries, first["answers"])
    tallies = [json.loads(one.attrs["tally"]) for one in checked]
    return summary_tree(added(parts), levels, first, added_tallies(tallies))


def _checked(summary: xr.DataTree, name: str) -> RowSummary:
    try:
        return checked_summary(summary)
    except DataError as error:
        raise DataError(error.problem, hint=error.hint, file=name) from error


def _check_differ(
    parts: Sequence[Cells],
    names: Sequence[str],
    given: Sequence[xr.DataTree],
    answers: Sequence[str],
) -> None:
    """Refuse the same rows given twice, in whatever order they were summed up.

    Of means and cross-products no two sites have the same. Counts of a few cells may be equal by
    chance: they are taken for those of other rows, with a warning, where that chance is not remote.
    """
    for (a, one), (b, other) in combinations(enumerate(parts), 2):
        if len(one) != len(other) or one.n.sum() != other.n.sum() or not _alike(one, other):
            continue
        what = f"{names[b]} has the sums of {names[a]}"
        again = given[a] is given[b] or realpath(names[a]) == realpath(names[b])
        if not answers or again or _chance_of(one, answers) < _REMOTE:
            raise DataError(
                f"{what}: their rows would count twice",
                hint="give each summary once; if other rows have the same numbers by chance, sum "
                "both up together",
            )
        warnings.warn(
            f"{what}. They are taken for those of other rows with the same answers: if they are of "
            "the same rows, give one",
            UserWarning,
            stacklevel=2,
        )


def _chance_of(cells: Cells, answers: Sequence[str]) -> float:
    """Probability that other rows of the same design, with these shares of answers, count alike.

    It is that of the counts themselves in a multinomial distribution with their own shares,
    ``n! prod_y (n_y/n)^n_y / n_y!``, for each cell of the design; no other shares have a larger.
    """
    of_design = without_keys(cells, answers).n

    def entropy(n: np.ndarray) -> float:
        return float((xlogy(n, n) - gammaln(n + 1.0)).sum())

    return math.exp(entropy(cells.n) - entropy(of_design))


def _alike(one: Cells, other: Cells) -> bool:
    """Whether cells of two summaries have the same keys and, but for rounding, the same sums."""
    one, other = added([one]), added([other])
    same = np.array_equal(one.n, other.n)
    same &= all(np.array_equal(values, other.keys[name]) for name, values in one.keys.items())
    if not same:
        return False
    if not one.mean.shape[1]:
        return True
    squares = np.diagonal(one.scatter, axis1=1, axis2=2).max(axis=0)
    size = np.abs(one.mean).max(axis=0) + np.sqrt(squares)
    near = np.abs(one.mean - other.mean) <= _SAME * size
    room = _SAME * np.outer(size, size) * one.n[:, None, None]
    return bool(near.all() and (np.abs(one.scatter - other.scatter) <= room).all())


def _need_alike(spec: ModelSpec) -> set[str]:
    """Columns whose levels must be the same at every site: those of coefficients."""
    found = set(population_columns_of(spec))
    for formula in spec.formulas:
        response = formula_columns(formula)[0]
        for one in group_parts(formula):
            found |= set(formula_columns(f"{response} ~ {one.effects}")[1])
    return found


def _with_key(cells: Cells, name: str, values: np.ndarray) -> Cells:
    return Cells(cells.keys | {name: values}, cells.n, cells.mean, cells.scatter)


def _joined(each: Sequence[Sequence[str]], factor: str) -> list[str]:
    """Levels of all sites in one order: that of the text, or that which all give."""
    if all(list(own) == list(each[0]) for own in each):
        return list(each[0])
    found = sorted({level for own in each for level in own})
    days = {level for level in found if _DAY.fullmatch(level)}
    if both := sorted(one for one in days if f"{one}T00:00:00" in found):
        raise DataError(
            f"the day {both[0]} of {factor} is {both[0]}T00:00:00 in another summary",
            hint="write dates alike at every site: rows[column] = rows[column].dt.date.astype(str)",
            column=factor,
        )
    texts = pd.Series(found, name=factor)
    return [str(one) for one in canonical(texts).cat.categories]


def _check_agreed(
    first: Mapping[str, Any], other: Mapping[str, Any], name: str, other_name: str
) -> None:
    for key, called in _AGREED.items():
        if first[key] != other[key]:
            raise DataError(
                f"{called}: {other[key]!r} in {other_name}, and {first[key]!r} in {name}",
                hint="summarise both by one manifest: cb.summarise_rows(..., levels=manifest)",
            )
    for column in dict.fromkeys([*first["columns"], *other["columns"]]):
        own, theirs = first["columns"].get(column), other["columns"].get(column)
        if own != theirs:
            raise DataError(
                f"{column} is kept as {theirs} in {other_name}, and as {own} in {name}",
                hint=f"summarise both with the same moments=, or levels={{{column!r}: [...]}}",
                column=column,
            )


def _check_levels(
    first: Sequence[str], other: Sequence[str], factor: str, name: str, other_name: str
) -> None:
    if list(first) == list(other):
        return
    for own, where, there in ((other, other_name, first), (first, name, other)):
        if extra := [level for level in own if level not in set(there)]:
            raise DataError(
                f"{factor} has the level {extra[0]!r} in {where} alone",
                hint=f"correct it, or declare all at every site: levels={{{factor!r}: [...]}}",
                column=factor,
            )
    raise DataError(
        f"the levels of {factor} are in another order in {other_name} than in {name}",
        hint=f"declare one order at every site: levels={{{factor!r}: [...]}}",
        column=factor,
    )


def added_tallies(tallies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was read, left out and of which kinds, of several parts together."""
    missing: dict[str, int] = {}
    labels: dict[str, list[str]] = {}
    for one in tallies:
        for name, count in one["missing"].items():
            missing[name] = missing.get(name, 0) + count
    told = [one["labels"] for one in tallies if one["rows"]]
    for name in {name for one in told for name in one}:
        labels[name] = sorted({text for one in told for text in one.get(name, [""])})
    kinds = {kind for one in tallies for kind in one["kinds"]}
    judges = {name for one in tallies for name in one.get("judges", [])}
    return {
        "rows": sum(one["rows"] for one in tallies),
        "excluded": sum(one["excluded"] for one in tallies),
        "missing": missing,
        "labels": labels,
        "kinds": [kind for kind in ("genuine", "impostor") if kind in kinds],
        "judges": sorted(judges),
    }


def rows_for(spec: ModelSpec, summary: RowSummary) -> tuple[ModelSpec, pd.DataFrame]:
    """A specification and rows, few for each cell, that have the likelihood of the data's rows.

    Raises
    ------
    DataError
        If the summary has not what the formula needs.
    """
    manifest = manifest_of(summary)
    for argument in ("counts", "weights"):
        given, kept = getattr(spec, argument), manifest[argument]
        if given is not None and given != kept:
            raise DataError(
                f"{argument}={given!r}, and the rows were summed up with {argument}={kept!r}",
                hint=f"leave {argument}= out, or summarise the rows again",
            )
    counted = manifest["counts"]
    counts = ROWS if counted is None else f"{COUNTED}{counted}"
    used = [name for name in data_columns_of(spec) if name in manifest["moments"]]
    spec = replace(spec, counts=counts, weights=manifest["weights"], rows=ROWS, moments=tuple(used))
    check_summable(spec)
    response = response_map(spec)
    own = response_text(spec)
    if own != manifest["response"]:
        raise DataError(
            f"the response is {own!r}, and the rows were summed up for {manifest['response']!r}",
            hint="summarise the rows again by this formula",
        )
    answers = manifest["answers"]
    if lacking := [name for name in answers_of(spec) if name not in answers]:
        raise DataError(
            f"the rows were summed up for a Gaussian model, and the family is {spec.family!r}",
            hint=f"count them: cb.summarise_rows(formula, rows, family={spec.family!r})",
            column=lacking[0],
        )
    column = formula_columns(spec.formula)[0]
    summed = () if answers else (column,)
    used = [name for name in data_columns_of(spec) if name not in (*summed, ROWS, counts)]
    for name in used:
        if name not in manifest["columns"]:
            raise DataError(
                f"the model uses {name!r}, and the rows were summed up by "
                f"{', '.join(manifest['columns'])}",
                hint="summarise the rows again by a formula that has it",
                column=name,
            )
    if answers:
        return spec, _counted(summary, used, counted, counts)
    moments = spec.moments
    cells, levels = cells_in(summary)
    numbers = [*moments, manifest["response"]]
    at = [[*manifest["moments"], manifest["response"]].index(name) for name in numbers]
    by = {name: values for name, values in cells.keys.items() if name in (*used, counted)}
    fewer = Cells(by, cells.n, cells.mean[:, at], cells.scatter[:, at][:, :, at])
    cells = added([fewer]) if len(by) < len(cells.keys) else fewer
    cell, count, values = equal_rows(cells)
    frame = pd.DataFrame({column: _backward(response, values[:, -1])})
    for name in used:
        if name in moments:
            frame[name] = values[:, moments.index(name)]
        else:
            frame[name] = _values(cells.keys[name][cell], levels.get(name))
    frame[ROWS] = count
    if counted is not None:  # beside the column itself, which may be a predictor too
        frame[counts] = np.asarray(cells.keys[counted][cell], float) * count
    return spec, frame


def _counted(
    summary: RowSummary, used: Sequence[str], counted: str | None, counts: str
) -> pd.DataFrame:
    """Rows that differ in the columns used, with how many of the data each stands for.

    ``counted`` is the data's column of counts, and ``counts`` that of the sum of these.
    """
    cells, levels = cells_in(summary)
    others = [name for name in cells.keys if name not in used]
    rows = without_keys(cells, others)
    frame = pd.DataFrame(
        {name: _values(rows.keys[name], levels.get(name)) for name in used},
        index=pd.RangeIndex(len(rows)),
    )
    frame[ROWS] = rows.n
    if counted is not None:
        times = np.asarray(cells.keys[counted], np.int64) * cells.n
        of_answers = without_keys(replace(cells, n=times), others)
        frame[counts] = of_answers.n
    return frame


def _values(keys: np.ndarray, levels: Sequence[str] | None) -> np.ndarray | pd.Categorical:
    """A column of the values of cells: numbers, or levels in their order."""
    if levels is None:
        return keys
    kind = pd.CategoricalDtype(pd.Index(levels, dtype=object), ordered=True)
    return pd.Categorical.from_codes(np.asarray(keys, np.int64), dtype=kind)


def counts_of_data(spec: ModelSpec) -> str | None:
    """The column of counts of the data that the rows of a fit of sums were read from."""
    if spec.rows is None:
        return spec.counts
    return None if spec.counts == spec.rows else str(spec.counts).removeprefix(COUNTED)


def _response(spec: ModelSpec) -> Response:
    """The left side of a formula; its map is not of any rows."""
    names = formula_columns(spec.formula)[1]
    return response_of(spec, pd.DataFrame({name: [1.0, 2.0] for name in names}))


def response_text(spec: ModelSpec) -> str:
    """The response as the formula writes it, ``"log(distance)"``."""
    return _response(spec).text.strip("`")


def response_map(spec: ModelSpec) -> Map | None:
    """The map from the response's column to what is modelled; None where they are the same.

    Raises
    ------
    DataError
        If it is no map onto all real numbers, so that sums on its scale are not those of a column.
    """
    found = _response(spec)
    if not found.transformed:
        return None
    if len(found.columns) > 1 or found.map is None or found.map.image != (-np.inf, np.inf):
        raise DataError(
            f"the response {found.text} is not a logarithm or a straight line of one column",
            hint="compute it as a column first, and model that",
        )
    return found.map


def _backward(response: Map | None, values: np.ndarray) -> np.ndarray:
    return values if response is None else response.outcomes(values)


def describe_summary(summary: xr.DataTree) -> str:
    """What a summary reveals, in words."""
    manifest, tally = manifest_of(summary), json.loads(summary.attrs["tally"])
    cells, levels = cells_in(summary)
    answers = manifest["answers"]
    cells = without_keys(cells, answers)
    if answers:
        revealed = f" with each {' and '.join(answers)}"
    else:
        revealed = f", mean of {manifest['response']} and sum of squares"
    by = [
        f"{name} ({len(levels[name]):,} levels)"
        if how == LEVELS
        else f"{name} ({len(np.unique(cells.keys[name])):,} values)"
        for name, how in manifest["columns"].items()
        if how in (LEVELS, VALUES) and name not in answers
    ]
    moments = [name for name, how in manifest["columns"].items() if how == MOMENTS]
    least = int(cells.n.min()) if len(cells) else 0
    excluded = tally["excluded"]
    lacking = ", ".join(f"{name} ({count:,})" for name, count in tally["missing"].items())
    lines = [
        f"Summary of {tally['rows']:,} rows for {manifest['formula']}",
        *(f"  {name} ~ {right}" for name, right in manifest["parts"].items()),
        f"  {len(cells):,} cells by {', '.join(by) or 'nothing'}; at least {least:,} rows in each",
        f"  Reveals of each cell: its number of rows{revealed}"
        + ("; a cell of one row is that row" if least == 1 else ""),
    ]
    if moments:
        lines.append(f"  and the means of {', '.join(moments)}, with all cross-products")
    if excluded:
        lines.append(f"  {excluded:,} rows left out by subset: {manifest['subset']}")
    if lacking:
        lines.append(f"  rows left out for missing values: {lacking}")
    return "\n".join(lines)
