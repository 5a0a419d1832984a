"""The fit: one arviz-compatible DataTree that knows its model, data, engine and diagnostics."""

import json
from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_fit, need_posterior
from causalbias.errors import DataError
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import LEVELS
from causalbias.models.specification import ModelSpec
from causalbias.models.summary import describe_fit

OBS = "__obs__"


class Fit(xr.DataTree):
    """A DataTree that prints as brms prints a model; in all else a plain (arviz) DataTree.

    Groups: ``posterior``, ``sample_stats`` (chain, draw, ...), ``observed_data`` and
    ``constant_data`` (the rows fitted), ``diagnostics``; ``thinned``, the posterior at fewer draws
    with effects that were too many to keep at all. Its attributes record formula, family,
    priors, engine, seed, versions and the data's hash.
    """

    __slots__ = ()

    def __repr__(self) -> str:  # type: ignore[override]
        return describe_fit(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(describe_fit(self))}</pre>"


def as_fit(tree: xr.DataTree) -> Fit:
    """Give a DataTree that has a fit's groups the fit's printed form."""
    return Fit(
        dataset=tree.to_dataset(),
        children={name: xr.DataTree(node.to_dataset()) for name, node in tree.children.items()},
    )


def checked_fit(tree: xr.DataTree) -> Fit:
    """A fit of an opened tree.

    Raises
    ------
    DataError
        As `check_fit`.
    """
    check_fit(tree)
    return as_fit(tree)


def with_effects(fit: xr.DataTree) -> Fit:
    """The fit with the effects of all levels: at fewer draws, where they were too many to keep."""
    found = as_fit(fit)
    if "thinned" in fit.children:
        found["posterior"] = xr.DataTree(fit.children["thinned"].to_dataset())
        del found["thinned"]
    return found


DIAGNOSTICS = ("r_hat", "ess_bulk", "ess_tail")
# What a fit's attributes hold: text that is JSON of a kind, or a number.
RECORDS = {"failures": list, "groups": dict, "sampling": list, "versions": dict}
NUMBERS = ("n_rows", "n_observations", "n_excluded", "random_seed")
NEEDED = ("posterior", "sample_stats", "observed_data", "constant_data", "diagnostics")


def check_fit(tree: xr.DataTree) -> None:
    """Raise unless a tree has a fit's groups and records.

    Raises
    ------
    DataError
        Naming what is missing or cannot be read, or as `formula_columns`.
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
            elif key in RECORDS and not isinstance(json.loads(value), RECORDS[key]):
                raise TypeError(f"{value[:40]!r}")
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _no_fit(f"the fit's record of {key!r} cannot be read ({error})") from error


def _no_fit(problem: str) -> DataError:
    return DataError(problem, hint="fit again and save it with save")


def spec_of(fit: xr.DataTree) -> ModelSpec:
    """The specification a fit was made from.

    Raises
    ------
    DataError
        If its formula calls what is not listed: a fit's file is no more trusted than any other.
    """
    need_fit(fit)
    spec = ModelSpec.from_json(fit.attrs["spec"])
    formula_columns(spec.formula)
    return spec


def failures(fit: xr.DataTree) -> list[str]:
    """Reasons not to trust the draws of a fit or a joint model; empty if it converged.

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
    """The rows of a model as a Dataset that files can hold; `frame_of` is the inverse.

    A factor is a variable of texts whose levels, in order, are the coordinate ``<name>__levels``.
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
    """The rows a model was fitted to, one column a variable of its formula.

    Columns are as `model_frame` gave them: numbers, and factors as ordered categoricals.
    """
    if not (isinstance(fit, xr.DataTree) and "constant_data" in fit.children):
        need_fit(fit)
    packed = fit["constant_data"].to_dataset()
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
