"""Coefficients and effects of groups as estimates: R's ``fixef`` and ``ranef``."""

import numpy as np
import xarray as xr

from causalbias.arguments import name_in, need_fit
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.estimands.averaging import part_of
from causalbias.estimands.scales import outcome_named
from causalbias.inference.membership import membership
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.group_design import GroupDesign
from causalbias.models.specification import observations_of
from causalbias.models.summary import draws_left, summary


def coefficients(fit: xr.DataTree) -> Estimate:
    """Coefficients of the population's terms (``fixef``), with thresholds and those of parts.

    They depend on the coding of factors: for effects of a variable use `effects`.

    Parameters
    ----------
    fit : Fit
        The fitted model.

    Returns
    -------
    Estimate
        ``coefficient`` (chain, draw, term), on the scale of the linear predictor, under the names
        of `summary` ("race[black]"); `hypotheses` combines them.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> found = cb.coefficients(fit)
    >>> found["term"].values.tolist()
    ['Intercept', 'C(level)[1]', 'C(level)[2]']
    >>> test = {"as large again": 'coefficient["C(level)[2]"] - 2 * coefficient["C(level)[1]"]'}
    >>> cb.summarise(cb.hypotheses(found, test))["hypothesis"].tolist()
    ['as large again']
    """
    need_fit(fit)
    model = fitted(fit)
    names = [str(name) for name, kind in summary(fit)["kind"].items() if kind == "population"]
    posterior = model.posterior
    found, labels = [], []
    for name, draws in posterior.data_vars.items():
        own = [one for one in names if one == name or one.startswith(f"{name}[")]
        if "|" in str(name) or not own:
            continue
        found.append(draws.transpose(*SAMPLE, ...).values.reshape(*draws.shape[:2], -1))
        labels += own
    values = np.concatenate(found, axis=-1)
    return estimate(
        xr.Dataset(
            {"coefficient": ((*SAMPLE, "term"), values), "n": int(fit.attrs["n_observations"])},
            coords={"chain": posterior["chain"], "draw": posterior["draw"], "term": labels},
        ),
        of=[fit],
        estimand=f"coefficients of {model.spec.formula}",
        outcome=outcome_named(model, "link"),
        scale="link",
        population="typical",
        draws=draws_left(fit) or None,
    )


def group_effects(fit: xr.DataTree, factor: str, *, parameter: str | None = None) -> Estimate:
    """Effects of each level of a grouping factor (``ranef``): deviations from the population.

    Parameters
    ----------
    fit : Fit
        The fitted model.
    factor : str
        As the formula has it: "seed", "seed:race", "mm(seed_a, seed_b)".
    parameter : str, optional
        A parameter with a formula of its own, such as "sigma" or "disc", whose group terms are
        meant, as in `predictions`; by default those of the mean.

    Returns
    -------
    Estimate
        ``effect`` (chain, draw, level, term), on the scale of the linear predictor: of the
        intercept "1" and of each slope; ``n`` (level): observations of the level.

    Raises
    ------
    DataError
        If the model has no such factor, the parameter no formula, or the effects were too many to
        keep.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> cb.group_effects(fit, "annotator")["effect"].dims
    ('chain', 'draw', 'level', 'term')
    """
    need_fit(fit)
    whole = fitted(fit).with_effects()
    model = whole if parameter is None else part_of(whole, parameter)
    known = list(dict.fromkeys(one.factor for one in model.groups))
    if not known:
        others = [name for name, part in whole.parts.items() if part.groups and name != parameter]
        raise DataError(
            f"the model has no group terms{f' of {parameter}' if parameter else ''}",
            hint=f"{' and '.join(others)} has: write parameter={others[0]!r}"
            if others
            else "add one: (1|seed)",
        )
    written = {one.replace(" ", ""): one for one in known}  # the user's spaces do not matter
    factor = written.get(factor.replace(" ", ""), factor) if isinstance(factor, str) else factor
    name_in(factor, "factor", *known)
    designs = [one for one in model.groups if one.factor == factor]
    labels, parts = [], []
    for design in designs:
        for name, (term, columns) in zip(design.names(), design.effects.items(), strict=True):
            values = model.group_effects(design, name).reshape(model.draws, len(design.levels), -1)
            parts.append(values)
            labels += [f"{term}[{one}]" for one in columns] or [term]
    levels = designs[0].levels
    if any(not np.array_equal(one.levels, levels) for one in designs[1:]):
        raise DataError(
            f"the terms of {factor!r} have different levels",
            hint="read them in the posterior: fit['posterior']",
        )
    sizes = [model.posterior.sizes[one] for one in SAMPLE]
    values = np.concatenate(parts, axis=-1).reshape(*sizes, len(levels), -1)
    return estimate(
        xr.Dataset(
            {
                "effect": ((*SAMPLE, "level", "term"), values),
                "n": ("level", _observations(model, designs[0])),
            },
            coords={
                **{one: model.posterior[one] for one in SAMPLE},
                "level": levels.astype(object),
                "term": labels,
            },
        ),
        of=[fit],
        estimand=f"effects of each {factor}" + (f" on {parameter}" if parameter else ""),
        outcome=parameter or outcome_named(model, "link"),
        scale="link",
        population="these",
        draws=draws_left(whole.fit) or None,
    )


def _observations(model: FittedModel, design: GroupDesign) -> np.ndarray:
    """Observations (levels,) that have a level among their members."""
    counts = observations_of(model.spec, model.frame) * design.own_rows(model.frame)
    shares = membership(np.ones((len(counts), 1)), design.codes(model.frame), len(design.levels))
    return np.asarray((shares > 0).T @ counts).astype(int)  # a row of two equal members once
