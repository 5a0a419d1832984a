"""Precision and assurance of an experiment of another size, by simulation from a pilot's fit."""

from collections.abc import Sequence
from typing import Any

import bambi as bmb
import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.estimands.contrasts import effects
from causalbias.estimands.predictor import coefficients_of, design_of, outcome_of
from causalbias.estimands.summaries import failed, summarise
from causalbias.models.fitting import fit as fit_model
from causalbias.models.group_design import group_designs
from causalbias.models.result import frame_of, model_of, spec_of


def power(
    pilot: xr.DataTree,
    variable: str,
    *,
    over: str = "seed",
    sizes: Sequence[int],
    reference: object = None,
    rows_each: int | None = None,
    width: float | None = None,
    rope: tuple[float, float] | None = None,
    simulations: int = 100,
    draws: int = 250,
    prob: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """How precise an effect would be with more seeds (or annotators), and how surely it is found.

    Each simulation takes one draw of the pilot's posterior as the truth, so that the result is
    averaged over what the pilot leaves uncertain (assurance, O'Hagan, Stevens and Campbell 2005,
    and not the power at one guessed effect); draws new seeds with effects from their estimated
    population; gives each the rows of a seed of the pilot, drawn with replacement; simulates the
    outcome; fits the pilot's model by the exact engine; and looks at the interval.

    Parameters
    ----------
    pilot : Fit
        Gaussian, with a term of `over`: of a pilot, of published data, or of `simulate`.
    variable : str
        Whose effect on the typical seed is asked about.
    over : str
        The grouping column of which there would be more.
    sizes : sequence of int
        Numbers of it to try, two or more each.
    reference : optional
        As in `effects`.
    rows_each : int, optional
        Rows of each seed (pairs, or answers), drawn with replacement from the pilot's; by default
        all of them once.
    width : float, optional
        Interval width that would do, in units of the outcome.
    rope : (float, float), optional
        Effects between these make no practical difference.
    simulations : int
        Of each size.
    draws : int
        Of each fit, by four chains.
    prob : float
        Probability of the intervals.
    seed : int
        Of the random numbers.

    Returns
    -------
    DataFrame
        One row a size and level: the size (column `over`), `level`, `rows` (mean number);
        `width` (median), `width_lower`, `width_upper` (middle 80% of simulations); `found`:
        share of simulations whose interval leaves zero out on the side of the truth; `coverage`
        of the truth; with `width`, `narrow`: share of intervals no wider; with `rope`,
        `decided`: share whose interval lies within or outside the ROPE; `se`: the simulation's
        standard error of these shares, at most; `simulations`; `converged`: share of fits that
        passed their diagnostics.

    Raises
    ------
    DataError
        If the pilot is not Gaussian, has no effects of `over` or only as one of two members, or a
        size is below 2.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> pilot = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> table = cb.design.power(pilot, "level", over="annotator", sizes=[10, 40], simulations=2)
    >>> table[["annotator", "level"]].values.tolist()
    [[10, 1], [10, 2], [40, 1], [40, 2]]
    """
    frame = frame_of(pilot)
    _check(pilot, frame, over, sizes)
    rng = np.random.default_rng(seed)
    model, spec, outcome = model_of(pilot), spec_of(pilot), outcome_of(pilot)
    levels = effects(pilot, variable, reference=reference, population="typical")
    truth = levels["effect"].stack(sample=("chain", "draw")).transpose("sample", variable).values
    found = []
    for size in sizes:
        for one in range(simulations):
            at = int(rng.integers(len(truth)))
            rows = _rows(frame, over, size, rows_each, rng)
            rows[outcome] = _outcome(pilot, model, rows, at, rng)
            again = fit_model(
                spec.formula, rows, priors=spec.priors, method="collapsed", draws=draws, seed=one
            )
            effect = effects(again, variable, reference=reference, population="typical")
            table = summarise(effect, prob=prob).set_index(variable).loc[levels[variable].values]
            table = table.assign(truth=truth[at], converged=not failed(effect), rows=len(rows))
            found.append(table.reset_index().rename(columns={variable: "level"}).assign(size=size))
    table = _tabulate(pd.concat(found), over, width, rope, simulations)
    table.attrs["failures"] = pilot.attrs["failures"]
    return table


def _check(pilot: xr.DataTree, frame: pd.DataFrame, over: str, sizes: Sequence[int]) -> None:
    spec = spec_of(pilot)
    if spec.family != "gaussian" or spec.link not in (None, "identity"):
        raise DataError(
            f"a {spec.family} pilot is too slow to simulate from", mend="fit a Gaussian one to it"
        )
    designs = group_designs(spec.formula, frame)
    if not any(over in names for one in designs for names in one.members):
        factors = ", ".join(one.factor for one in designs) or "none"
        raise DataError(
            f"the pilot has no effects of {over!r} (it has {factors})",
            mend=f"fit it with (1|{over}), or name another column",
        )
    if any(len(one.members) > 1 for one in designs):
        raise DataError(
            "pairs of two seeds cannot be dealt out to new ones", mend="use a pilot without mm()"
        )
    if not sizes or min(sizes) < 2:
        raise DataError(f"sizes {list(sizes)}", mend="give whole numbers of 2 or more")


def _rows(
    frame: pd.DataFrame, over: str, size: int, rows_each: int | None, rng: np.random.Generator
) -> pd.DataFrame:
    """Rows of a larger or smaller experiment: those of resampled seeds, with new labels."""
    of_seed = list(frame.groupby(over, observed=True).indices.values())
    parts = [of_seed[pick] for pick in rng.integers(len(of_seed), size=size)]
    if rows_each is not None:
        parts = [rng.choice(part, rows_each) for part in parts]
    labels = np.repeat([f"new {at}" for at in range(size)], [len(part) for part in parts])
    rows = frame.iloc[np.concatenate(parts)].reset_index(drop=True)
    rows[over] = labels
    return rows


def _outcome(
    pilot: xr.DataTree, model: bmb.Model, rows: pd.DataFrame, at: int, rng: np.random.Generator
) -> np.ndarray:
    """The outcome of new rows under one draw of the pilot's posterior."""
    posterior = pilot.children["posterior"].to_dataset()
    one = posterior.stack(sample=("chain", "draw")).isel(sample=[at]).unstack("sample")
    mean = design_of(model, rows) @ coefficients_of(model, frame_of(pilot), one)[0]
    for design in group_designs(spec_of(pilot).formula, rows):
        sd = np.concatenate([one[f"{name}_sigma"].values.ravel() for name in design.names()])
        correlation = np.eye(len(sd))
        if f"cor|{design.factor}" in one:
            low, high = np.triu_indices(len(sd), k=1)
            correlation[low, high] = one[f"cor|{design.factor}"].values.ravel()
            correlation[high, low] = correlation[low, high]
        root = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(sd)))
        drawn = rng.standard_normal((len(design.levels), len(sd))) @ root.T * sd
        mean = mean + design.matrix(rows) @ drawn.ravel()
    return np.asarray(mean + rng.normal(0, one["sigma"].item(), len(rows)))


def _tabulate(
    found: pd.DataFrame,
    over: str,
    width: float | None,
    rope: tuple[float, float] | None,
    simulations: int,
) -> pd.DataFrame:
    wide = found["upper"] - found["lower"]
    beyond = np.where(found["truth"] > 0, found["lower"] > 0, found["upper"] < 0)
    within = (found["lower"] <= found["truth"]) & (found["truth"] <= found["upper"])
    columns: dict[str, Any] = {"wide": wide, "found": beyond, "coverage": within}
    shares = ["found", "coverage"]
    if width is not None:
        columns["narrow"] = wide <= width
        shares.append("narrow")
    if rope is not None:
        inside = (found["lower"] >= rope[0]) & (found["upper"] <= rope[1])
        outside = (found["lower"] > rope[1]) | (found["upper"] < rope[0])
        columns["decided"] = inside | outside
        shares.append("decided")
    grouped = found.assign(**columns).groupby(["size", "level"])
    table = grouped["rows"].mean().to_frame()
    table["width"] = grouped["wide"].median()
    table["width_lower"], table["width_upper"] = (grouped["wide"].quantile(q) for q in (0.1, 0.9))
    for name in shares:
        table[name] = grouped[name].mean()
    table["se"] = np.sqrt(table[shares] * (1 - table[shares]) / simulations).max(axis=1)
    table["simulations"] = simulations
    table["converged"] = grouped["converged"].mean()
    return table.reset_index().rename(columns={"size": over})
