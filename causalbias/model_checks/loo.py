"""Leave-one-out cross-validation: of rows, or of the levels of a grouping column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from numpy.typing import NDArray
from scipy import optimize, special

from causalbias.arguments import mapping_in, name_in, need_fit
from causalbias.draws.marks import failed
from causalbias.errors import DataError
from causalbias.estimands.predictive import Parts, with_log_likelihood
from causalbias.estimands.predictor import average_prediction
from causalbias.inference.diagnostics import MAX_PARETO_K
from causalbias.model_checks.left_out import check_tail, log_likelihoods
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.group_design import texts_of
from causalbias.models.needs import need_no_limits, need_no_measurements, need_rows_themselves
from causalbias.models.specification import outcome_columns, row_counts

Floats = NDArray[np.float64]
NODES = 21  # of the quadrature about a level's own mode
STEPS = 60  # of Newton's method


@dataclass(frozen=True, eq=False)
class Loo:
    """The expected log predictive density of what a fit has not seen, by leaving one out.

    Attributes
    ----------
    elpd, se : float
        Sum over units, and its standard error.
    p_loo : float
        Effective number of parameters: how much better the fit predicts what it has seen.
    pointwise : DataFrame
        One row per unit: ``elpd``, ``pareto_k``, and ``count``, the number of equal observations
        that the row stands for. The index is the row, or the level left out.
    by : str or None
        The column whose levels were left out; None for rows.
    failures : list of str
        Why not to trust it; empty if nothing speaks against it.
    """

    elpd: float
    se: float
    p_loo: float
    pointwise: pd.DataFrame
    by: str | None
    failures: list[str]
    outcome: pd.DataFrame
    measure: str

    @property
    def n(self) -> int:
        """Number of units left out, one at a time."""
        return int(self.pointwise["count"].sum())

    def __repr__(self) -> str:
        unit = f"levels of {self.by}" if self.by else "observations"
        text = f"elpd {self.elpd:.1f} (se {self.se:.1f}), p_loo {self.p_loo:.1f}, {self.n:,} {unit}"
        return "\n".join([text, *(f"  FAIL {one}" for one in self.failures)])


def loo(fit: xr.DataTree, *, by: str | None = None) -> Loo:
    """Estimate how well a fit predicts an observation, or a whole level, that it has not seen.

    Pareto-smoothed importance sampling of the fit's draws (Vehtari, Gelman and Gabry 2017,
    Statistics and Computing 27(5)), with no further fit.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    by : str, optional
        Column whose levels are left out one at a time, such as "seed": how well a new seed is
        predicted. The effects of the level are integrated out, exactly in Gaussian models, by
        quadrature in others. By default single observations are left out, each predicted with the
        effects of its groups as they are known from the others. Where observations of a seed
        depend on each other, the standard error of the latter is too small.

    Returns
    -------
    Loo
        With a Pareto k for each unit; those above 0.7 are failures, since the draws do not tell
        what the fit would be without the unit. Densities are those of the response's column, also
        where the formula transforms it.

    Raises
    ------
    DataError
        If levels share effects, or have several effects each in a model that is not Gaussian, or
        there are fewer than 100 draws.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ level + (1|annotator)", study, subset="question == 'age'")
    >>> found = cb.loo(fit)
    >>> found.n, sorted(found.pointwise)
    (120, ['count', 'elpd', 'pareto_k'])
    """
    need_fit(fit)
    need_rows_themselves(fit, "cb.loo")
    model = fitted(fit)
    if by is None:
        densities, labels = _of_rows(fit)
        counts = row_counts(model.spec, model.frame)
    else:
        need_no_limits(fit, f"leaving out each {by}")
        need_no_measurements(fit, f"leaving out each {by}")
        known = [str(name) for name in model.frame if name != model.response.column]
        labels = np.unique(texts_of(model.frame[name_in(by, "by", *known)]))
        densities, counts = _of_levels(fit, model, by), np.ones(len(labels))
    check_tail(densities.shape[1])
    with np.errstate(all="ignore"):
        weights, shape = array_stats.psislw(densities)  # it turns the sign itself
    elpd = special.logsumexp(np.asarray(weights) + densities, axis=1)
    seen = special.logsumexp(densities, axis=1) - np.log(densities.shape[1])
    total, n = float(counts @ elpd), counts.sum()
    variance = float(counts @ np.square(elpd - total / n)) / n
    pointwise = pd.DataFrame({"elpd": elpd, "pareto_k": shape, "count": counts.astype(int)}, labels)
    return Loo(
        elpd=total,
        se=float(np.sqrt(n * variance)),
        p_loo=float(counts @ (seen - elpd)),
        pointwise=pointwise.rename_axis(by or "row"),
        by=by,
        failures=_failures(fit, pointwise, by),
        outcome=_outcome(model, by),
        measure=_measure(model),
    )


def _failures(fit: xr.DataTree, pointwise: pd.DataFrame, by: str | None) -> list[str]:
    bad = pointwise[~(pointwise["pareto_k"] <= MAX_PARETO_K)]
    found = ["the fit did not converge"] if failed(fit) else []
    if len(bad):
        worst = bad["pareto_k"].idxmax() if bad["pareto_k"].notna().any() else bad.index[0]
        what = f"levels of {by}" if by else "rows"
        found.append(
            f"Pareto k above {MAX_PARETO_K:g} at {len(bad):,} of {len(pointwise):,} {what} "
            f"(largest {bad['pareto_k'].max():.2f} at {worst}): fit again without them "
            "(influence), or give a model in which they are less surprising"
        )
    return found


def _outcome(model: FittedModel, by: str | None) -> pd.DataFrame:
    """What was predicted, by which fits of the same observations are known."""
    limits = model.spec.limits
    named = (*outcome_columns(model.spec), limits.status, limits.upper)
    names = [name for name in named if isinstance(name, str)]
    found = model.frame[names].astype(
        {name: float if pd.api.types.is_numeric_dtype(model.frame[name]) else str for name in names}
    )
    return found if by is None else found.assign(by=texts_of(model.frame[by]))


def _measure(model: FittedModel) -> str:
    """Of what the response's probability is a density."""
    family = model.family
    if not family.continuous:
        return "probabilities"
    if model.spec.limits.status is not None:
        return "densities, and tails of censored rows"
    return "densities with single points" if family.probabilities else "densities"


def _of_rows(fit: xr.DataTree) -> tuple[Floats, NDArray[Any]]:
    """Log density (rows, draws) of one observation of each row."""
    whole = with_log_likelihood(fit)
    values = next(iter(whole["log_likelihood"].to_dataset().values()))
    flat = values.stack(sample=["chain", "draw"]).transpose(..., "sample").values
    model = fitted(fit)
    return flat / row_counts(model.spec, model.frame)[:, None], np.arange(1, len(flat) + 1)


def _of_levels(fit: xr.DataTree, model: FittedModel, by: str) -> Floats:
    """Log density (levels, draws) of all rows of a level, its own effects integrated out."""
    if model.family.linear:
        found = log_likelihoods(fit, by)
        if model.response.transformed:
            frame = model.frame
            slopes = pd.Series(Parts(model).log_slope() * row_counts(model.spec, frame))
            found = found + slopes.groupby(texts_of(frame[by])).sum().to_numpy()[:, None]
        return found
    return _by_quadrature(model.with_effects(), by)


def _by_quadrature(model: FittedModel, by: str) -> Floats:
    """Log density (levels, draws) of the rows of each level with one normal effect b.

    ``log int prod_i p(y_i | eta_i + z_i b) N(b; 0, sd^2) db`` by Gauss-Hermite quadrature about the
    mode of the integrand, of the width that its curvature says (Liu and Pierce 1994, Biometrika
    81(3)).
    """
    labels = texts_of(model.frame[by])
    column, sd = _effect(model, labels, by)
    found = []
    for level in np.unique(labels):
        at = np.flatnonzero(labels == level)
        rows = model.frame.iloc[at].reset_index(drop=True)
        eta = average_prediction(
            model, rows, np.arange(len(at)), scale="link", population="typical"
        )
        found.append(_integral(_Level(Parts(model, at), eta, column[at]), sd))
    return np.stack(found)


@dataclass(frozen=True)
class _Level:
    """Rows of a level: their linear predictor (draws, rows) without its effect, and its column."""

    parts: Parts
    eta: Floats
    column: Floats

    def density(self, effect: Floats) -> Floats:
        """Log density (draws,) of all rows, given the effect (draws,)."""
        parts, eta = self.parts, self.eta + effect[:, None] * self.column
        values = parts.family.log_likelihood(parts.response, eta, parts.parameters())
        slope = parts.log_slope() if parts.family.continuous else 0.0
        return np.asarray((values + slope) @ parts.counts)

    def derivatives(self, effect: Floats) -> tuple[Floats, Floats]:
        """First and second derivative (draws,) by the effect."""
        parts, eta = self.parts, self.eta + effect[:, None] * self.column
        first, second = parts.family.derivatives(parts.response, eta, parts.parameters())
        weight = parts.counts * self.column
        return np.asarray(first @ weight), np.asarray(second @ (weight * self.column))


def _integral(level: _Level, sd: Floats) -> Floats:
    mode, precision = np.zeros(len(sd)), 1 / np.square(sd)
    for _ in range(STEPS):
        first, second = level.derivatives(mode)
        # At least the prior's curvature: a likelihood that is not concave must not turn the step.
        step = (first - precision * mode) / (precision - np.minimum(second, 0.0))
        mode = mode + np.clip(step, -sd, sd)
        if np.abs(step).max() < 1e-6 * sd.min():
            break
    width = 1 / np.sqrt(precision - np.minimum(level.derivatives(mode)[1], 0.0))
    nodes, weights = np.polynomial.hermite.hermgauss(NODES)
    terms = []
    for node, weight in zip(nodes, weights, strict=True):
        effect = mode + 2**0.5 * width * node
        log_prior = -0.5 * precision * effect**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        terms.append(level.density(effect) + log_prior + node**2 + np.log(weight))
    return np.asarray(special.logsumexp(terms, axis=0) + np.log(2**0.5 * width))


def _effect(model: FittedModel, labels: NDArray[Any], by: str) -> tuple[Floats, Floats]:
    """Column (rows,) and standard deviation (draws,) of the only effect of each level."""
    hint = "fit again without each level (influence)"
    designs = list(model.groups)
    if len(designs) != 1 or sum(designs[0].sizes()) != 1 or model.parts:
        raise DataError(
            f"levels of {by!r} are left out of a {model.family.name} model where they have one "
            "effect each and nothing else has effects or a formula of its own",
            hint=hint,
        )
    (one,) = designs
    codes = one.codes(model.frame)
    pairs = pd.DataFrame({"code": codes[:, 0], "level": labels}).drop_duplicates()
    if codes.shape[1] > 1 or len(pairs) > min(pairs["code"].nunique(), pairs["level"].nunique()):
        raise DataError(f"levels of {by!r} are not those of {one.factor!r}", hint=hint)
    variance = model.group_covariance(one)[:, 0, 0]
    return one.columns(model.frame)[:, 0], np.sqrt(np.maximum(variance, 1e-300))


def loo_compare(fits: Mapping[str, xr.DataTree | Loo], *, by: str | None = None) -> pd.DataFrame:
    """Compare how well models predict the same observations that they have not seen.

    Parameters
    ----------
    fits : dict of str to Fit or Loo
        Two or more models of the same rows in the same order. Their responses may be transformed
        differently: densities are those of the column itself.
    by : str, optional
        As in `loo`, of fits.

    Returns
    -------
    DataFrame
        One row per model, the best first: ``elpd``, ``se``, ``difference`` from the best and its
        ``se_difference``, ``p_loo``, ``n``, ``weight`` by stacking (Yao, Vehtari, Simpson and
        Gelman 2018, Bayesian Analysis 13(3)): the mixture of the models that predicts best; and
        ``failures``. A difference below about 4, or below two of its standard errors, does not
        tell the models apart.

    Raises
    ------
    DataError
        If the models are of other rows or other responses, or some give densities and others
        probabilities, which cannot be compared.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> rows = {"data": study, "subset": "question == 'age'"}
    >>> plain = cb.fit("score ~ level", **rows)
    >>> grouped = cb.fit("score ~ level + (1|annotator)", **rows)
    >>> cb.loo_compare({"plain": plain, "grouped": grouped}).index[0]
    'grouped'
    """
    mapping_in(fits, "fits", 'fits by name: {"normal": one, "t": other}')
    if len(fits) < 2:
        raise DataError(f"{len(fits)} models", hint="give two or more")
    found = {
        str(name): one if isinstance(one, Loo) else loo(one, by=by) for name, one in fits.items()
    }
    first, *others = found
    for name in others:
        _check_alike(found[first], found[name], first, name)
    counts = found[first].pointwise["count"].to_numpy(float)
    elpd = np.column_stack([one.pointwise["elpd"] for one in found.values()])
    best = max(found.values(), key=lambda one: one.elpd)
    away = [difference(one, best) for one in found.values()]
    table = pd.DataFrame(
        {
            "elpd": [one.elpd for one in found.values()],
            "se": [one.se for one in found.values()],
            "difference": [one[0] for one in away],
            "se_difference": [one[1] for one in away],
            "p_loo": [one.p_loo for one in found.values()],
            "n": best.n,
            "weight": _stacked(elpd, counts),
            "failures": ["; ".join(one.failures) for one in found.values()],
        },
        index=pd.Index(found, name="model"),
    )
    return table.sort_values("elpd", ascending=False)


def difference(one: Loo, other: Loo) -> tuple[float, float]:
    """Difference of the elpd of two models of the same observations, and its standard error.

    ``sum_i c_i d_i`` of the differences d of rows that stand for c observations each, and
    ``sqrt(sum_i c_i (d_i - mean d)^2)``.
    """
    counts = one.pointwise["count"].to_numpy(float)
    away = (one.pointwise["elpd"] - other.pointwise["elpd"]).to_numpy(float)
    total = float(counts @ away)
    spread = np.square(away - total / counts.sum())
    return total, float(np.sqrt(counts @ spread))


def _check_alike(one: Loo, other: Loo, name: str, its_name: str) -> None:
    what = f"{name!r} and {its_name!r}"
    if one.by != other.by:
        raise DataError(f"{what} leave out different units", hint="give one by= for all")
    if list(one.outcome) != list(other.outcome):
        raise DataError(
            f"{what} have different responses: {', '.join(map(str, one.outcome))} and "
            f"{', '.join(map(str, other.outcome))}",
            hint="compare models of one response",
        )
    if one.measure != other.measure:
        raise DataError(
            f"{name!r} gives {one.measure} and {its_name!r} {other.measure}, which have no common "
            "unit",
            hint="compare models of one kind, or by what they predict (check)",
        )
    if len(one.outcome) != len(other.outcome) or not one.outcome.equals(other.outcome):
        raise DataError(
            f"{what} are not of the same rows in the same order "
            f"({len(one.outcome):,} and {len(other.outcome):,})",
            hint="fit both to one frame, with one subset",
        )
    if not one.pointwise["count"].equals(other.pointwise["count"]):
        raise DataError(f"{what} have different counts", hint="give one counts= for all")


def _stacked(elpd: Floats, counts: Floats) -> Floats:
    """Weights w (models,) that maximise ``sum_i count_i log sum_k w_k exp(elpd_ik)``."""
    models = elpd.shape[1]
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    share = counts / counts.sum()

    def loss(w: Floats) -> tuple[float, Floats]:
        mixed = np.maximum(density @ w, 1e-300)
        return -float(share @ np.log(mixed)), -(share / mixed) @ density

    found = optimize.minimize(
        loss,
        np.full(models, 1 / models),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * models,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weights = np.maximum(found.x, 0.0)
    return np.asarray(weights / weights.sum())
