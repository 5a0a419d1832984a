"""The fit: an arviz-compatible DataTree with records of model, data, engine and diagnostics."""

import json
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_fit, need_posterior
from causalbias.elsewhere import unknown_attribute
from causalbias.errors import DataError
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import LEVELS
from causalbias.models.specification import ModelSpec
from causalbias.models.summary import describe_fit

OBS = "__obs__"
OTHERS = "other_columns"


class Fit(xr.DataTree):
    """A DataTree in the format of arviz, which prints as brms prints a model.

    Groups: ``posterior``, ``sample_stats`` (chain, draw, ...), ``observed_data`` and
    ``constant_data`` (the rows of the data), ``diagnostics``; ``thinned``, fewer draws of the
    posterior with effects that are too many to store for all draws; ``other_columns``, by which
    rows could be grouped and the formula does not group them (`check` looks at them). The
    attributes record formula,
    family, priors, engine, random seed, versions and the hash of the data.
    """

    __slots__ = ()

    def __repr__(self) -> str:  # type: ignore[override]
        return describe_fit(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(describe_fit(self))}</pre>"

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            raise unknown_attribute(name, "a fit") from None


def as_fit(tree: xr.DataTree) -> Fit:
    """Convert a DataTree with the groups of a fit to a `Fit`."""
    return Fit(
        dataset=tree.to_dataset(),
        children={name: xr.DataTree(node.to_dataset()) for name, node in tree.children.items()},
    )


def checked_fit(tree: xr.DataTree) -> Fit:
    """Make a fit from an opened tree.

    Raises
    ------
    DataError
        As in `check_fit`.
    """
    check_fit(tree)
    return as_fit(tree)


def with_effects(fit: xr.DataTree) -> Fit:
    """Return the fit with the effects of all levels, at fewer draws if they are too many."""
    found = as_fit(fit)
    if "thinned" in fit.children:
        thinned = fit.children["thinned"].to_dataset()
        if not thinned.sizes["draw"]:
            raise DataError(
                "none of these draws has the effects of all levels, which were too many to keep",
                hint="take every so manyth draw: fit.isel(draw=slice(0, None, 2))",
            )
        found["posterior"] = xr.DataTree(thinned)
        del found["thinned"]
    return found


DIAGNOSTICS = ("r_hat", "ess_bulk", "ess_tail")
# What a fit's attributes hold: text that is JSON of a kind, or a number.
RECORDS = {"failures": list, "groups": dict, "missing": dict, "sampling": list, "versions": dict}
NUMBERS = ("n_rows", "n_observations", "n_excluded", "random_seed")
NEEDED = ("posterior", "sample_stats", "observed_data", "constant_data", "diagnostics")


def check_fit(tree: xr.DataTree) -> None:
    """Raise an error unless a tree has the groups and records of a fit.

    Raises
    ------
    DataError
        If a group or record is missing or cannot be read, and as in `formula_columns`.
    """
    lacking = set(NEEDED) - set(tree.children)
    if lacking:
        raise _no_fit(f"the fit lacks {', '.join(sorted(lacking))}")
    known = np.ravel(tree.children["diagnostics"].to_dataset().get("diagnostic", [])).tolist()
    if missing := [one for one in DIAGNOSTICS if one not in known]:
        raise _no_fit(f"the fit's diagnostics lack {', '.join(missing)}")
    for key in ("spec", "engine", *RECORDS, *NUMBERS):
        try:
            value = tree.attrs[key]
            if key == "spec":
                spec_of(tree)
            elif key in NUMBERS:
                int(value)
            elif key == "sampling":
                _, draws, _, chains = json.loads(value)
                int(draws * chains)
            elif key in RECORDS and not isinstance(json.loads(value), RECORDS[key]):
                raise TypeError(f"{value[:40]!r}")
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _no_fit(f"the fit's record of {key!r} cannot be read ({error})") from error


def _no_fit(problem: str) -> DataError:
    return DataError(problem, hint="fit again and save it with save")


def spec_of(fit: xr.DataTree) -> ModelSpec:
    """Return the specification of a fit.

    Raises
    ------
    DataError
        If the formula calls a function that is not allowed, since files of fits are not trusted.
    """
    need_fit(fit)
    spec = ModelSpec.from_json(fit.attrs["spec"])
    for formula in spec.formulas:
        formula_columns(formula)
    return spec


def failures(fit: xr.DataTree) -> list[str]:
    """List the failed diagnostics of a fit or a joint model; empty if it converged.

    Examples
    --------
    >>> import causalbias as cb
    >>> human = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", human, subset="question == 'age'")
    >>> cb.failures(fit)
    []
    """
    need_posterior(fit)
    return list(json.loads(fit.attrs["failures"]))


def pack_frame(used: pd.DataFrame) -> xr.Dataset:
    """Convert the rows of a model to a Dataset that files can hold; `frame_of` is the inverse.

    A factor becomes a variable of text; the coordinate ``<name>__levels`` has its ordered levels.
    """
    variables, levels = {}, {}
    for name, values in used.items():
        attrs: dict[str, int] = {}
        plain = values.to_numpy()
        if isinstance(values.dtype, pd.CategoricalDtype):
            attrs["ordered"] = int(bool(values.cat.ordered))
            categories = values.cat.categories.to_numpy()
            if categories.dtype.kind not in "iuf":
                categories = categories.astype(str)
            levels[f"{name}{LEVELS}"] = categories
            plain = categories[values.cat.codes.to_numpy()]
        variables[str(name)] = (OBS, plain, attrs)
    return xr.Dataset(variables, coords={OBS: np.arange(len(used)), **levels})


def frame_of(fit: xr.DataTree) -> pd.DataFrame:
    """Return the rows to which a model was fitted, with one column per variable of its formula.

    Columns are as in `model_frame`: numbers, and factors as ordered categoricals.
    """
    if not (isinstance(fit, xr.DataTree) and "constant_data" in fit.children):
        need_fit(fit)
    return _unpacked(fit["constant_data"].to_dataset())


def frame_with_others(fit: xr.DataTree) -> pd.DataFrame:
    """Return the rows of `frame_of` with the columns by which they could be grouped besides.

    Those are what `grouping_columns` made of columns that the formula has not.
    """
    frame = frame_of(fit)
    if OTHERS not in fit.children:
        return frame
    return pd.concat([frame, _unpacked(fit[OTHERS].to_dataset())], axis="columns")


def _unpacked(packed: xr.Dataset) -> pd.DataFrame:
    """Inverse of `pack_frame`."""
    frame = pd.DataFrame({str(name): packed[name].values for name in packed.data_vars})
    for name in frame:
        values = frame[name]
        if f"{name}{LEVELS}" in packed.coords:
            levels = pd.Index(packed[f"{name}{LEVELS}"].values)
            if levels.dtype.kind not in "iuf":
                levels = pd.Index([str(one) for one in levels], dtype=object)
                values = values.astype(str).astype(object)
            ordered = bool(packed[name].attrs.get("ordered", 0))
            frame[name] = values.astype(pd.CategoricalDtype(levels, ordered=ordered))
    return frame
