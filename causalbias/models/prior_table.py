"""The priors of a model as a table, before it is fitted."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import need_rows
from causalbias.models.arrays import Arrays, arrays_of
from causalbias.models.columns import of_rows, spread
from causalbias.models.fitted import ModelDesign, PartDesign
from causalbias.models.formula.parts import Formula
from causalbias.models.monotone import SHARES, Monotone
from causalbias.models.priors import by_term, scaled_prior, text_of
from causalbias.models.rows import frame_for, rows_of
from causalbias.models.shrinkage import SHRINKAGE
from causalbias.models.specification import ModelSpec, model_frame, specify

Row = tuple[str, str, str, str, float, float]
COLUMNS = ["class", "parameter", "prior", "source", "response_unit", "column_unit"]


def get_prior(
    formula: str | Formula | list[str],
    data: xr.DataTree | pd.DataFrame,
    *,
    family: str = "gaussian",
    link: str | None = None,
    priors: Mapping[str, str] | None = None,
    subset: str | None = None,
    counts: str | None = None,
    weights: str | None = None,
) -> pd.DataFrame:
    """List the prior of every parameter of a model, as brms' ``get_prior``, without fitting it.

    Parameters
    ----------
    formula, data, family, link, priors, subset, counts, weights
        As in `fit`.

    Returns
    -------
    DataFrame
        One row per parameter. ``class``: "Intercept" (at the means of the columns), "b" (a
        coefficient, or the average step of a monotone effect), "simo" (shares of such steps),
        "meanme" and "sdme" (mean and spread of a covariate measured with error), "sd" and "cor" (of
        the effects of a group term) or "parameter" (of the distribution). ``parameter``: the name
        under which ``fit(priors=)`` takes it, with the column in brackets where a term has several,
        and the number of the threshold where defaults of thresholds differ. ``prior``: as text.
        ``source``: "default" or "given". ``response_unit`` and ``column_unit``: the spread of the
        response, on the scale of the linear predictor, and that of the column, by which a default
        is scaled: 2.5 response units per column unit, or more where numbers lie far from zero.

    Raises
    ------
    DataError
        As in `fit`.

    Examples
    --------
    >>> import causalbias as cb
    >>> rows = pd.DataFrame({"y": [0.1, 0.4, 0.2, 0.7], "x": [0.0, 1.0, 0.0, 1.0]})
    >>> found = cb.get_prior("y ~ x", rows, priors={"x": "Normal(0, 1)"})
    >>> found[["class", "parameter", "source"]].to_numpy().tolist()
    [['Intercept', 'Intercept', 'default'], ['b', 'x', 'given'], ['parameter', 'sigma', 'default']]
    """
    spec = specify(formula, family, link=link, priors=priors, counts=counts, weights=weights)
    need_rows(data)
    used = model_frame(spec, rows_of(frame_for(spec.formula, data), subset))
    model = ModelDesign.of(spec, used)
    arrays = arrays_of(model, normal=False)
    of_several = {term for one in arrays.shared for term in one.terms}
    rows = _of_predictor(model, arrays, "", of_several)
    for name in dict.fromkeys((*model.family.parameters, *model.parts)):
        if name in model.parts:
            rows += _of_predictor(model.parts[name], arrays.parts[name], f"{name}_", of_several)
        else:
            rows += _of_parameter(model, name)
    for one in arrays.shared:
        name = one.shared.correlation
        rows.append(("cor", name, f"LKJ({one.lkj_eta:g})", name, np.nan, np.nan))
    spec = model.spec  # with a part for each predictor
    given = set(by_term(spec.priors, [row[3] for row in rows]))
    return pd.DataFrame(
        [
            (*row[:3], "given" if _names(row, rows, spec) & given else "default", *row[4:])
            for row in rows
        ],
        columns=COLUMNS,
    )


def _names(row: Row, rows: list[Row], spec: ModelSpec) -> set[str]:
    """Names under which a prior of a parameter can have been given."""
    kind, label, _, name, *_ = row
    of_part = next((f"{one}_" for one in spec.parts if name.startswith(f"{one}_")), "")
    of_class = f"{of_part}b"  # unless a term has that name
    shrinks = spec.priors.get(of_class, "").strip().startswith(tuple(SHRINKAGE))
    if kind != "b" or of_class in {one[3] for one in rows}:
        return {name, label}
    # monotone effects are not shrunk with others
    return {name, label} if shrinks and "mo(" in name else {name, label, of_class}


def _of_parameter(model: ModelDesign, name: str) -> list[Row]:
    """Of a parameter of the distribution; of each threshold where their priors differ."""
    prior = model.prior(name)
    several = max((np.size(one) for one in getattr(prior, "args", {}).values()), default=1)
    texts = [_text(prior, k) for k in range(several)]
    if len(set(texts)) == 1:
        return [("parameter", name, texts[0], name, np.nan, np.nan)]
    sets = model.threshold_sets
    labels = list(map(str, range(several))) if sets is None else sets.labels
    return [
        ("parameter", f"{name}[{label}]", text, name, np.nan, np.nan)
        for label, text in zip(labels, texts, strict=True)
    ]


def _of_predictor(
    model: ModelDesign, arrays: Arrays, prefix: str, of_several: Collection[str]
) -> list[Row]:
    """Of coefficients and group terms: class, label, prior, name in ``priors``, and units.

    ``of_several``: terms whose correlations are among those with other predictors' effects.
    """
    response = model.response_values
    unit = 1.0
    if not isinstance(model, PartDesign):
        beside = model.family.beside(response, model.offset)
        unit = model.family.units(of_rows(beside, model.repeats))[1]
    rows: list[Row] = []
    for name, term in model.coefficient_terms.items():
        data = np.asarray(term.data, float).reshape(len(response), -1)
        labels = [f"{prefix}{name}"]
        if data.shape[1] > 1:
            columns = next(iter(term.coords.values()), range(data.shape[1]))
            labels = [f"{prefix}{name}[{one}]" for one in columns]
        if name in arrays.monotone:
            rows += _of_monotone(model, arrays.monotone[name], data, prefix, unit)
            continue
        kind = "Intercept" if name == "Intercept" else "b"
        for k, label in enumerate(labels):
            own = np.nan if kind == "Intercept" else float(spread(data[:, k], model.repeats))
            rows.append((kind, label, _text(term.prior, k), f"{prefix}{name}", unit, own))
    for one in model.measured:
        own = float(one.values.std())
        for name, prior in one.priors.items():
            rows.append((name.partition("_")[0], name, _text(prior), name, np.nan, own))
    for key, design in arrays.designs.items():
        at, basis = 0, arrays.bases[key]
        columns = design.columns(model.frame)
        for name, size in zip(design.names(), design.sizes(), strict=True):
            for k in range(at, at + size):
                prior = scaled_prior(arrays.sd_priors[key][k], float(basis[k, k]))
                own = float(spread(columns[:, k], model.repeats)) or np.nan
                rows.append(("sd", f"{prefix}{name}", _text(prior), f"{prefix}{name}", unit, own))
            at += size
        if design.correlation and key not in of_several:
            (term,) = (one for one in arrays.problem.terms if one.name == key)
            name = f"{prefix}{design.correlation}"
            rows.append(("cor", name, f"LKJ({term.lkj_eta:g})", name, np.nan, np.nan))
    return rows


def _of_monotone(
    model: ModelDesign, effect: Monotone, data: np.ndarray, prefix: str, unit: float
) -> list[Row]:
    """Of a monotone effect: the average step of each curve, and the shares of its steps."""
    name, rows = f"{prefix}{effect.name}", list[Row]()
    for k, (curve, at) in enumerate(zip(effect.curves, effect.at, strict=True)):
        own = float(spread(data[:, at].sum(axis=1), model.repeats))
        label = f"{name}[{curve}]" if curve else name
        rows.append(("b", label, _text(effect.prior, k), name, unit, own))
    if len(effect.steps) > 1:
        numbers = [f"{one:g}" for one in effect.concentration]
        alike = numbers[:1] if len(set(numbers)) == 1 else numbers
        shares = f"{prefix}{SHARES}{effect.name}"
        rows.append(("simo", shares, f"Dirichlet({', '.join(alike)})", shares, np.nan, np.nan))
    return rows


def _text(prior: Any, column: int = 0) -> str:
    """A prior as `fit` takes it, with the numbers of one column; a fixed number as it is."""
    return text_of(prior, column) if hasattr(prior, "args") else str(prior)
