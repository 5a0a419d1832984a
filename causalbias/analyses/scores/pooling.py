"""Error rates of all groups and systems in one model, so that small groups borrow strength."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.analyses.fitting import fit_model, join
from causalbias.draws.basis import without_basis
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.summaries import RATE
from causalbias.errors import DataError
from causalbias.estimands.contrasts import predictions
from causalbias.rates.differentials import groups_of, with_dims

PRIOR = "HalfNormal(1)"  # of standard deviations of effects on the logit
GROUP_TERM = 3  # levels from which their effects have a standard deviation that is estimated
FACTS = ("errors", "n", "n_effective")
COUNTS = ("errors", "trials")
OF = "of "  # before the names of attributes, which may be those of other columns


def pooled_rates(
    rates: xr.Dataset,
    *,
    factors: Mapping[str, Mapping[str, str]] | None = None,
    draws: int = 1000,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> Estimate:
    """Estimate error rates with partial pooling over attributes, their intersections and systems.

    One multilevel binomial model for each kind of error: the logit of the rate has effects of each
    attribute, of the intersections, of systems, and of each group with one system. The standard
    deviations of effects are estimated, so that a group with few errors is drawn toward what its
    attributes have elsewhere, by as much as groups are alike, and one with many stays. Systems and
    attributes of two levels have population-level effects.

    These have the prior HalfNormal(1) on the logit scale: a group at two standard deviations has up
    to seven times the odds. The Laplace engine samples; a fit that fails its diagnostics is marked.

    Pairs that share persons are no independent trials. As in small area estimation, errors and
    trials are therefore the effective ones of `error_rates`: the observed share in `n_effective`
    trials, in whole numbers and never more (Chen, Wakefield and Lumley 2014, Spatial and
    Spatio-temporal Epidemiology 11). Persons are so crossed with groups and systems at the cost of
    a row a group. With some hundred persons, effects of both members of a pair can be in the model
    itself: see `crossed_formula`.

    Parameters
    ----------
    rates : Dataset
        Result of `error_rates`.
    factors : mapping of group to mapping of factor to level, optional
        Where the groups of `rates` are names: what each is made of, as `Audit.groups`.
    draws, random_seed
        As in `fit`.
    progress, keep
        As in `Run`.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, rate_of, system, *by) as of `error_rates`, for groups with pairs;
        stated for all of them (``supported``), with ``errors``, ``n``, ``n_effective``. It may be
        given to `pairwise_rate_ratios`. A kind of error of which fewer than three groups have pairs
        is left out: such groups do not tell how alike groups are.

    Raises
    ------
    DataError
        If neither kind of error has three groups with pairs.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> rates = cb.error_rates(study, by="race", fmr=0.1).isel(system=[0], rate_of=[0])
    >>> pooled = cb.analyses.pooled_rates(rates, draws=250)
    >>> pooled["rate"].sizes["race"]
    3
    """
    rates = with_dims(rates)
    by = groups_of(rates)
    found = {}
    for kind in _poolable(rates, by):
        cells = _cells(rates.sel(rate_of=kind), by, factors)
        table = _model_rows(cells)
        levels = {name: table[name].nunique() for name in map(str, table) if name not in COUNTS}
        used = [name for name, number in levels.items() if number > 1]
        formula = f"p(errors, trials) ~ {crossed_formula(levels)}"
        fit = fit_model(
            formula,
            table,
            f"pooled {kind}",
            family="binomial",
            method="laplace",  # seconds, where a Markov chain takes minutes
            priors=dict.fromkeys(re.findall(r"\((1\|[^)]*)\)", formula), PRIOR),
            progress=progress,
            keep=keep,
            draws=draws,
            random_seed=random_seed,
        )
        drawn = predictions(fit, by=used, population="these")
        found[kind] = _by_group(drawn, table[used], cells[["system", *by]])
    pooled = join(found, "rate_of")
    facts = rates[list(FACTS)].sel(rate_of=pooled["rate_of"])
    order = ("chain", "draw", "rate_of", "system", *by)
    pooled = pooled.reindex({name: rates[name] for name in ("system", *by)}).transpose(*order)
    pooled = pooled.drop_vars([name for name in pooled if name != "rate"])
    pooled["rate"].attrs = {"quantity": RATE}
    both = xr.merge([without_basis(pooled), without_basis(facts)])
    return estimate(
        both.assign(supported=facts["n"] > 0).assign_attrs(rates.attrs),
        of=list(found.values()),
        variable="rate",
        figure="group_rates",
        scale="probability",
        outcome="rate",
        estimand=f"error rates by {', '.join(by)}, partially pooled",
    )


def _poolable(rates: xr.Dataset, by: Sequence[str]) -> list[str]:
    """Kinds of error of which three groups or more have pairs."""
    there = (rates["n"] > 0).any("system").sum(by)
    groups = {str(kind): int(there.sel(rate_of=kind)) for kind in rates["rate_of"].values}
    found = [kind for kind, number in groups.items() if number >= GROUP_TERM]
    if not found:
        raise DataError(
            f"{max(groups.values())} groups have pairs",
            hint="leave out pool=True, and take the rates as they are: fewer than three groups do "
            "not tell how alike groups are",
        )
    return found


def _cells(
    rates: xr.Dataset, by: Sequence[str], factors: Mapping[str, Mapping[str, str]] | None
) -> pd.DataFrame:
    """Groups with pairs: their labels, the facts, and the attributes."""
    cells = rates[list(FACTS)].drop_vars("rate_of").to_dataframe().reset_index()
    cells = cells[cells["n"] > 0].reset_index(drop=True)
    cells[f"{OF}system"] = cells["system"].astype(str)
    if factors is None:
        for name in by:
            cells[f"{OF}{name}"] = cells[name].astype(str)
    else:
        each = cells[by[0]].astype(str)
        for name in next(iter(factors.values())):
            column = f"{OF}{name} of persons" if name == "system" else f"{OF}{name}"
            cells[column] = each.map({group: own[name] for group, own in factors.items()})
    return cells


def _model_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """Effective errors and trials of each cell, and its attributes under names of formulas."""
    errors, trials = effective_counts(*(cells[name].to_numpy() for name in FACTS))
    table = pd.DataFrame(dict(zip(COUNTS, (errors, trials), strict=True)))
    for at, column in enumerate(name for name in map(str, cells) if name.startswith(OF)):
        name = column.removeprefix(OF)
        fine = name.isidentifier() and name not in COUNTS
        table[name if fine else f"attribute_{at}"] = cells[column]
    return table


def crossed_formula(levels: Mapping[str, int]) -> str:
    """Write the terms of a model of errors by attributes and, if there are several, systems.

    Parameters
    ----------
    levels : mapping of column to int
        Number of levels of each attribute, and of the column `system`.

    Returns
    -------
    str
        To which ``(1|mm(seed_a, seed_b))`` may be added for the persons of both sides.

    Examples
    --------
    >>> crossed_formula({"system": 2, "race": 4})
    'system + (1|race) + (1|system:race)'
    >>> crossed_formula({"system": 1, "race": 4, "gender": 2})
    '(1|race) + gender + (1|race:gender)'
    """
    several = [name for name, number in levels.items() if number > 1 and name != "system"]
    terms = [f"(1|{name})" if levels[name] >= GROUP_TERM else name for name in several]
    joint = ":".join(several)
    if len(several) > 1:
        terms.append(f"(1|{joint})")
    if levels.get("system", 1) > 1:
        terms = ["system", *terms, f"(1|system:{joint})"]
    return " + ".join(terms)


def effective_counts(
    errors: np.ndarray, n: np.ndarray, n_effective: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers of errors and trials, of no more trials than the effective ones.

    With one effective error or more of the rarer outcome its number is rounded down, and trials
    follow from the observed share. With less than one there is none among the effective trials: one
    of more trials would be evidence that the pairs do not give.

    Examples
    --------
    >>> counts = effective_counts(np.array([4, 0, 90, 1]), np.full(4, 100), np.full(4, 40.0))
    >>> [one.tolist() for one in counts]
    [[1, 0, 36, 0], [25, 40, 40, 40]]
    """
    share = errors / n
    rarer = np.minimum(share, 1 - share)
    few = np.floor(rarer * n_effective * (1 + 1e-9))
    trials = np.where(few > 0, few / np.where(few > 0, rarer, 1.0), np.maximum(n_effective, 1))
    trials = np.maximum(np.floor(trials * (1 + 1e-9)), 1)
    found = np.where(share <= 0.5, few, trials - few)
    return found.astype(int), trials.astype(int)


def _by_group(drawn: xr.Dataset, attributes: pd.DataFrame, labels: pd.DataFrame) -> xr.Dataset:
    """Draws of cells of the model's attributes, under the labels of their groups."""
    name = str(drawn.attrs["variable"])
    at = {one: xr.DataArray(attributes[one].to_numpy(), dims="cell") for one in attributes}
    values = drawn[[name]].rename({name: "rate"}).sel(at).drop_vars(list(at))
    index = xr.Coordinates.from_pandas_multiindex(pd.MultiIndex.from_frame(labels), "cell")
    return values.assign_coords(index).unstack("cell")
