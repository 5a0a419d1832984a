"""Summaries of a fit: a table of parameters, and a text in the layout of brms."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import JOINT, flag_in, kind_of, need_posterior, number_in
from causalbias.inference.diagnostics import diagnose, extreme
from causalbias.models.families import FAMILIES
from causalbias.models.formula.limits import Limits, states_of, with_limits
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import LEVELS
from causalbias.models.measured import is_of_true_values, is_true_value
from causalbias.models.monotone import is_further
from causalbias.models.priors import read_as
from causalbias.models.shrinkage import HYPERPARAMETERS
from causalbias.models.specification import ModelSpec, family_of

KINDS_OF_JOINT = {"sd": "group", "correlation": "group", "noise": "further"}
# Before the names of what belongs to a parameter with a formula of its own; none: to the mean.
PREFIXES = {
    "",
    *(f"{name}_" for one in FAMILIES.values() for name in (*one.parameters, *one.optional)),
}
COLUMNS = ["estimate", "sd", "lower", "upper", "r_hat", "ess_bulk", "ess_tail"]


def summary(fit: xr.DataTree, *, prob: float = 0.95, effects: bool = False) -> pd.DataFrame:
    """Summarise parameters: posterior mean, standard deviation, interval and diagnostics.

    Parameters
    ----------
    fit : Fit or Joint
        The fitted model.
    prob : float, default 0.95
        Probability of the equal-tailed interval (lower, upper).
    effects : bool, default False
        Whether to include the effects of every group level.

    Returns
    -------
    DataFrame
        Index `parameter` as in brms: ``sd(1|seed)``, ``cor(...)``, coefficients, ``sigma``;
        columns `kind` ("group", "population", "further", "effect") and estimate, sd, lower,
        upper, r_hat, ess_bulk, ess_tail; `converged` is False if the fit failed its diagnostics.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> cb.summary(fit).index.tolist()
    ['sd(1|annotator)', 'Intercept', 'level', 'sigma']
    """
    flag_in(effects, "effects")
    need_posterior(fit)
    prob = number_in(prob, "prob", 0, 1)
    kinds = KINDS_OF_JOINT
    if kind_of(fit) != JOINT:
        family = family_of(ModelSpec.from_json(fit.attrs["spec"]))
        kinds = dict.fromkeys(family.parameters, "further")
    rows = []
    kept = fit["posterior"].to_dataset()
    kept = kept[[name for name in kept if effects or _kind(kept[name], kinds) != "effect"]]
    diagnostics = diagnose(kept) if draws_left(fit) else fit["diagnostics"].to_dataset()
    for name, draws in kept.data_vars.items():
        kind = _kind(draws, kinds)
        flat = draws.stack(draw_=["chain", "draw"])
        values = np.atleast_2d(flat.transpose(..., "draw_").values.reshape(-1, flat.sizes["draw_"]))
        tail = (1 - prob) / 2
        checks = diagnostics[name].transpose("diagnostic", ...).values.reshape(3, -1)
        rows += [
            (label, kind, one.mean(), one.std(ddof=1), *np.quantile(one, [tail, 1 - tail]), *check)
            for label, one, check in zip(_labels(str(name), draws), values, checks.T, strict=True)
        ]
    frame = pd.DataFrame(rows, columns=["parameter", "kind", *COLUMNS]).set_index("parameter")
    frame["converged"] = not json.loads(fit.attrs["failures"])
    order = {"group": 0, "population": 1, "further": 2, "effect": 3}
    return frame.sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable")


def parameter_draws(fit: xr.DataTree) -> dict[str, np.ndarray]:
    """Draws (chain, draw) of each parameter that `summary` lists, by its name there."""
    listed = summary(fit).index
    found = {}
    for name, draws in fit["posterior"].to_dataset().data_vars.items():
        values = draws.transpose("chain", "draw", ...).values
        cells = values.reshape(*values.shape[:2], -1)
        for at, label in enumerate(_labels(str(name), draws)):
            found[label] = cells[:, :, at]
    return {label: found[label] for label in listed}


def draws_left(fit: xr.DataTree) -> str:
    """How many of the draws sampled a fit has, as "400 of 4,000"; "" where it has all."""
    _, draws, _, chains = json.loads(fit.attrs.get("sampling", "[null, 0, 0, 0]"))
    sizes = fit.children["posterior"].to_dataset().sizes
    left = sizes["chain"] * sizes["draw"]
    return f"{left:,} of {draws * chains:,}" if left < draws * chains else ""


def _kind(draws: xr.DataArray, kinds: Mapping[str, str]) -> str:
    name = str(draws.name)
    if name.endswith(HYPERPARAMETERS) or is_further(name) or is_of_true_values(name):
        return "further"
    if is_true_value(name):
        return "effect"
    if "|" in name:
        return "effect" if _has(draws, "factor") else "group"
    return kinds.get(name, "population")


def _has(draws: xr.DataArray, what: str) -> bool:
    """Whether draws are of each level of a "factor", or each "pair" of its effects."""
    return any(str(dim).endswith(f"__{what}_dim") for dim in draws.dims)


def correlated(name: str) -> tuple[str, str]:
    """The parameter, and the factor whose effects are correlated; empty for no correlation.

    Examples
    --------
    >>> correlated("cor|seed"), correlated("sigma_cor|seed"), correlated("x_cor|seed")
    (('', 'seed'), ('sigma_', 'seed'), ('', ''))
    """
    before, bar, factor = name.partition("cor|")
    known = before in PREFIXES or re.fullmatch(r"mu_[^\W_]+_", before)
    return (before, factor) if bar and known else ("", "")


def _labels(name: str, draws: xr.DataArray) -> list[str]:
    dims = [dim for dim in draws.dims if dim not in ("chain", "draw")]
    before, factor = correlated(name)
    of_sd = _kind(draws, {}) == "group" and (name.endswith("_sigma") or not factor)
    shown = f"sd({name.removesuffix('_sigma')})" if of_sd else name
    if not dims:
        return [shown]
    index = draws.isel(chain=0, draw=0).stack(cell=dims)["cell"].values
    parts = [", ".join(map(str, cell)) for cell in index]
    if factor and _has(draws, "pair"):
        return [f"{before}cor({part}|{factor})" for part in parts]
    return [f"{shown}[{part}]" for part in parts]


def describe_fit(fit: xr.DataTree, *, prob: float = 0.95) -> str:
    """Summarise a fit as text, in the layout of brms."""
    return "\n".join([*_heading(fit), *_tables(fit, prob), *_warnings(fit)])


def _heading(fit: xr.DataTree) -> list[str]:
    """Lines that say what was fitted, to which rows and how."""
    spec = json.loads(fit.attrs["spec"])
    link = f" ({spec['link']})" if spec["link"] else ""
    limits = Limits(**spec.get("limits", {}))
    lines = [
        f" Family: {spec['family']}{link}",
        f"Formula: {with_limits(spec['formula'], limits)}",
        *(f"         {name} ~ {right}" for name, right in spec.get("parts", {}).items()),
        f"   Data: {_rows(fit, spec, limits)}",
        f" Engine: {fit.attrs['engine']}; random seed {int(fit.attrs['random_seed'])}",
        f" Status: {describe_status(fit)}",
    ]
    if left := draws_left(fit):
        lines.append(f"  Draws: {left}; the status is of all, the table of these")
    if spec["priors"]:
        positive = family_of(ModelSpec.from_json(fit.attrs["spec"])).positive
        lines.append(
            " Priors: "
            + "; ".join(
                f"{k} ~ {read_as(v, k, positive=k in positive)}" for k, v in spec["priors"].items()
            )
        )
    return lines + [f"   Note: {note}" for note in json.loads(fit.attrs.get("notes", "[]"))]


def _rows(fit: xr.DataTree, spec: Mapping[str, Any], limits: Limits) -> str:
    """How many rows a fit is of, what each stands for, and which were left out."""
    excluded = int(fit.attrs["n_excluded"])
    lacking = ", ".join(
        f"{name} ({count:,})" for name, count in json.loads(fit.attrs.get("missing", "{}")).items()
    )
    summed, counts, weights = (spec.get(name) for name in ("rows", "counts", "weights"))
    counts = None if counts == summed else counts
    return (
        f"{int(fit.attrs['n_rows']):,} rows"
        + (f" summed up in {len(fit['constant_data']['__obs__']):,}" if summed else "")
        + (f" for {int(fit.attrs['n_observations']):,} observations ({counts})" if counts else "")
        + (f", variance sigma^2/{weights}" if weights else "")
        + _censored(fit, limits)
        + (f"; {excluded:,} left out by subset: {fit.attrs['subset']}" if excluded else "")
        + (f"; left out for missing values: {lacking}" if lacking else "")
    )


def _tables(fit: xr.DataTree, prob: float) -> list[str]:
    """Lines of a table for each kind of parameter."""
    table, lines = summary(fit, prob=prob), list[str]()
    groups = json.loads(fit.attrs["groups"])
    for kind, title in (
        ("group", "Group-level effects"),
        ("population", "Population-level effects"),
        ("further", "Further parameters"),
    ):
        part = table[table["kind"] == kind]
        if len(part):
            if kind == "group":
                title += " (" + ", ".join(f"{k}: {n:,} levels" for k, n in groups.items()) + ")"
            if kind == "population" and (against := _references(fit)):
                title += f" ({'; '.join(against)})"
            lines += ["", f"{title}:", _format(part.drop(columns="kind"), prob)]
    return lines


def _warnings(fit: xr.DataTree) -> list[str]:
    """Lines on what the rows do not determine, and on diagnostics that failed."""
    lines = []
    if left_out := json.loads(fit.attrs.get("left_out", "[]")):
        lines += [
            "",
            "Not estimable, left out (no rows, or the same as other columns): "
            + ", ".join(left_out)
            + ".",
        ]
    if by_prior := json.loads(fit.attrs.get("by_prior", "[]")):
        lines += ["", "Identified by the priors given, not by rows: " + ", ".join(by_prior) + "."]
    if failed := json.loads(fit.attrs["failures"]):
        lines += ["", "NOT CONVERGED. Do not use these estimates: " + "; ".join(failed) + "."]
    return lines


def _censored(fit: xr.DataTree, limits: Limits) -> str:
    """How many rows are censored from which side; "" where none can be."""
    if limits.status is None:
        return ""
    words = states_of(pd.Series(fit["constant_data"].to_dataset()[limits.status].values))
    told = {"from the left": "left", "from the right": "right"}
    told |= {} if limits.upper is None else {"in intervals": "interval"}
    many = (f"{int((words == state).sum()):,} {where}" for where, state in told.items())
    return f"; censored: {', '.join(many)}"


def _references(fit: xr.DataTree) -> list[str]:
    """List the reference level of each factor with coefficients by level: "race against asian"."""
    rows, found = fit["constant_data"].to_dataset(), list[str]()
    spec = ModelSpec.from_json(fit.attrs["spec"])
    parts, family = list(spec.parts), family_of(spec)
    response = formula_columns(spec.formula)[0]
    categories = rows.get(f"{response}{LEVELS}", xr.DataArray([])).values.tolist()
    if family.by_category:
        parts = family.predictors(categories)
        found.append(f"{response} against {categories[0]}")
    for one in family.by_threshold:
        parts += family.at_thresholds(one, categories)
    for name, draws in fit["posterior"].to_dataset().data_vars.items():
        own = next((part for part in parts if str(name).startswith(f"{part}_")), "")
        column = str(name).removeprefix(f"{own}_").removeprefix("C(").removesuffix(")")
        dims = [dim for dim in draws.dims if dim not in ("chain", "draw")]
        if column not in rows or len(dims) != 1:
            continue
        labels = draws[dims[0]].values.astype(str).tolist()
        rest = [one for one in np.unique(rows[column]).astype(str).tolist() if one not in labels]
        if len(rest) == 1:
            found.append(f"{column} against {rest[0]}")
    return list(dict.fromkeys(found))


def describe_status(fit: xr.DataTree) -> str:
    """Describe convergence in a line: the worst R-hat and effective sample sizes of parameters."""
    diagnostics = fit["diagnostics"].to_dataset()
    r_hat = extreme(diagnostics, "r_hat")[1]
    bulk, tail = extreme(diagnostics, "ess_bulk")[1], extreme(diagnostics, "ess_tail")[1]
    word = "NOT CONVERGED" if json.loads(fit.attrs["failures"]) else "converged"
    return f"{word} (R-hat at most {r_hat:.4f}, ESS at least {bulk:,.0f} bulk, {tail:,.0f} tail)"


def _format(part: pd.DataFrame, prob: float) -> str:
    percent = f"{100 * prob:g}%"
    shown = pd.DataFrame(
        {
            "Estimate": part["estimate"].map("{:.4g}".format),
            "Est.Error": part["sd"].map("{:.3g}".format),
            f"l-{percent} CI": part["lower"].map("{:.4g}".format),
            f"u-{percent} CI": part["upper"].map("{:.4g}".format),
            "Rhat": part["r_hat"].map("{:.3f}".format),
            "Bulk_ESS": part["ess_bulk"].map("{:.0f}".format),
            "Tail_ESS": part["ess_tail"].map("{:.0f}".format),
        }
    )
    shown.index.name = None
    return shown.to_string()
