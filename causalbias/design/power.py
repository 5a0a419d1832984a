"""Precision and assurance of an experiment of another size, by simulation from a pilot's fit."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import (
    generator,
    mapping_in,
    names_in,
    number_in,
    rope_in,
    whole_in,
    wholes_in,
)
from causalbias.design.enlarge import Enlarger, deal
from causalbias.draws.estimate import check_names
from causalbias.draws.marks import failed
from causalbias.draws.summaries import summarise
from causalbias.errors import DataError
from causalbias.estimands.contrasts import effects
from causalbias.models.engines import Sampling
from causalbias.models.families import FAMILIES
from causalbias.models.fit import fit_spec
from causalbias.models.fitted import fitted
from causalbias.models.group_design import group_designs
from causalbias.models.needs import need_no_limits, need_no_measurements, need_rows_themselves
from causalbias.models.specification import (
    ModelSpec,
    family_of,
    outcome_columns,
    row_precisions,
    trials_of,
)
from causalbias.scheduler import map_jobs

# What the result has beside the sizes of groupings.
COLUMNS = (
    *("level", "truth", "lower", "upper", "rows", "width", "width_lower", "width_upper"),
    *("wide", "found", "coverage", "narrow", "decided", "se", "simulations", "converged"),
)


def power(
    pilot: xr.DataTree,
    variable: str,
    *,
    over: str | Sequence[str] = "seed",
    sizes: Sequence[int],
    others: Mapping[str, Sequence[int]] | None = None,
    reference: object = None,
    scale: str = "response",
    rows_each: int | None = None,
    width: float | None = None,
    rope: tuple[float, float] | None = None,
    simulations: int = 100,
    draws: int = 500,
    prob: float = 0.95,
    random_seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> pd.DataFrame:
    """How precise an effect would be with more seeds, pairs or annotators, and how surely found.

    Each simulation takes one draw of the pilot's posterior as the truth, so that the result is
    averaged over what the pilot leaves uncertain (assurance, O'Hagan, Stevens and Campbell 2005,
    and not the power at one guessed effect); draws new seeds with effects from their estimated
    population; gives each the rows of a seed of the pilot, drawn with replacement; simulates the
    outcome; fits the pilot's model by the exact or the Laplace engine; and looks at the interval.
    Fits run on the scheduler of dask that is set, if there is one, with the same numbers.

    Pairs of two seeds are dealt out so that all seeds are in equally many, each pair with the rows
    of one of the pilot's. What belongs to a seed (its faces, its pairs) is new with it.

    Parameters
    ----------
    pilot : Fit
        Gaussian, ordinal or binary, with a term of `over`: of a pilot, of published data, or of
        `simulate`.
    variable : str
        Whose effect in the population of seeds is asked about.
    over : str or sequence of str
        The grouping column of which there would be more, or those of both members of pairs:
        ``["seed_a", "seed_b"]``, as in `influence`.
    sizes : sequence of int
        Numbers of it to try, two or more each.
    others : mapping of column to numbers, optional
        Other grouping columns and how many levels to try, in all combinations: ``{"annotator":
        [50, 200]}``. Their levels are dealt out at random, each to as many rows; a column that is
        left out keeps the pilot's.
    reference : optional
        As in `effects`.
    scale : str
        As in `effects`, of those without categories or thresholds.
    rows_each : int, optional
        Rows of each seed (pairs, or answers): drawn with replacement from the pilot's; where
        seeds are in pairs, by more or fewer pairs. By default as in the pilot.
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
    random_seed : int
        Of the random numbers.
    progress : callable, optional
        Called after each simulation with how many are done and how many there are.

    Returns
    -------
    DataFrame
        One row a size and level: the size (column `over`, without the ending of a member), those
        of `others`, `level`, `rows` (mean number); `width` (median), `width_lower`, `width_upper`
        (middle 80% of simulations); `found`: share of simulations whose interval leaves zero out
        on the side of the truth; `coverage` of the truth; with `width`, `narrow`: share of
        intervals no wider; with `rope`, `decided`: share whose interval lies within or outside
        the ROPE; `se`: the simulation's standard error of these shares, at most; `simulations`;
        `converged`: share of simulations whose fit passed its diagnostics. A simulated data set
        that the engine declines (an empty category, separated groups) counts as not converged
        and as finding nothing, and is left out of `coverage`.

    Raises
    ------
    DataError
        If the pilot is of another family, has no effects of `over`, a size is below 2, a column
        of `others` is bound to seeds or variables, a grouping column is called as a column of the
        result, or there are fewer pairs than asked for.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.demo_study()
    >>> pilot = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
    >>> table = cb.design.power(pilot, "level", over="annotator", sizes=[10, 40], simulations=2)
    >>> table[["annotator", "level"]].values.tolist()
    [[10, 1], [10, 2], [40, 1], [40, 2]]
    """
    over, sizes = list(names_in(over, "over")), wholes_in(sizes, "sizes", 2)
    others = {
        name: wholes_in(numbers, f"others[{name!r}]", 2)
        for name, numbers in mapping_in(others or {}, "others", '{"annotator": [50, 200]}').items()
    }
    simulations, draws = whole_in(simulations, "simulations", 1), whole_in(draws, "draws", 1)
    rows_each = None if rows_each is None else whole_in(rows_each, "rows_each", 1)
    width = None if width is None else number_in(width, "width", 0)
    rope = None if rope is None else rope_in(rope)
    need_rows_themselves(pilot, "a design after a pilot")
    need_no_limits(pilot, "a design after a pilot")
    need_no_measurements(pilot, "a design after a pilot")
    model = fitted(pilot)
    spec, larger = model.spec, Enlarger(model.spec, model.frame, over)
    _check(spec, larger, others)
    name = over[0].removesuffix("_a") if len(over) > 1 else over[0]
    check_names([name, *others], COLUMNS)
    rng = generator(random_seed)
    levels = effects(pilot, variable, reference=reference, scale=scale, population="new")
    stacked = levels["effect"].stack(sample=("chain", "draw"))
    if stacked.ndim != 2:
        raise DataError(
            f"scale {scale!r} has an effect for each category", hint="use response, link or latent"
        )
    missing = stacked.isnull().any("sample")
    if missing.any():
        raise DataError(
            f"the pilot tells of no effect of {variable} "
            + ", ".join(map(str, stacked[variable].values[missing.values].tolist())),
            hint="leave out the interaction whose cells are empty, or give its term a prior",
        )
    truth = stacked.transpose("sample", variable).values
    plans = [dict(zip(("", *others), one, strict=True)) for one in product(sizes, *others.values())]
    simulate, asked, labels = _Simulator(pilot), levels[[variable]], []

    def experiment(plan: Mapping[str, int], one: int) -> tuple[Any, ...]:
        size = {key: value for key, value in plan.items() if key}
        at = int(rng.integers(len(truth)))
        rows = deal(larger.rows(plan[""], rows_each, rng), size, rng)
        rows = simulate.outcomes(rows, at, rng)
        labels.append({"": plan[""], **size, "truth": truth[at], "rows": len(rows)})
        return spec, rows, asked, scale, draws, prob, one

    jobs = [partial(experiment, plan, one) for plan in plans for one in range(simulations)]
    found: list[pd.DataFrame] = []
    for table in map_jobs(_estimates, jobs):
        found.append(table.assign(**labels[len(found)]))
        if progress is not None:
            progress(len(found), len(jobs))
    table = tabulate(pd.concat(found), ["", *others, "level"], width, rope, simulations)
    table = table.rename(columns={"": name})
    table.attrs["failures"] = pilot.attrs["failures"]
    return table


def _check(spec: ModelSpec, larger: Enlarger, others: Mapping[str, Sequence[int]]) -> None:
    family = family_of(spec)
    if spec.parts:
        raise DataError(
            f"the pilot has a formula of {', '.join(spec.parts)}, of which nothing is simulated",
            hint="plan by a pilot without it: cb.update(pilot, "
            + ", ".join(f"{name}=None" for name in spec.parts)
            + ")",
        )
    if not family.engines or (family.normal and not family.linear):
        fast = [name for name, one in FAMILIES.items() if one.engines]
        raise DataError(
            f"a {spec.family} pilot is too slow to simulate from",
            hint=f"fit one of these: {', '.join(fast)}",
        )
    for name in others:
        larger.check_dealt(name)


def _estimates(
    spec: ModelSpec,
    rows: pd.DataFrame,
    levels: xr.Dataset,
    scale: str,
    draws: int,
    prob: float,
    random_seed: int,
) -> pd.DataFrame:
    """Level, interval and whether the fit converged, of one simulated experiment."""
    variable = levels.attrs["contrast"]
    wanted = levels[variable].values
    reference = levels[variable].dtype.type(levels.attrs["reference"])
    try:
        settings = Sampling(draws, 1000, 4, random_seed)
        again = fit_spec(spec, rows, method=family_of(spec).engines[0], settings=settings)
        effect = effects(again, variable, reference=reference, scale=scale, population="new")
    except DataError:  # declined: a status of the simulation, see `power`
        ends = {"lower": np.nan, "upper": np.nan, "converged": False}
        return pd.DataFrame({"level": wanted, **ends})
    table = summarise(effect, prob=prob).set_index(variable).reindex(wanted)
    return pd.DataFrame(
        {
            "level": wanted,
            "lower": table["lower"].to_numpy(),
            "upper": table["upper"].to_numpy(),
            "converged": not failed(effect),
        }
    )


class _Simulator:
    """Outcomes of new rows under single draws of a pilot's posterior."""

    def __init__(self, pilot: xr.DataTree) -> None:
        need_rows_themselves(pilot, "a design after a pilot")
        need_no_limits(pilot, "a design after a pilot")
        need_no_measurements(pilot, "a design after a pilot")
        self.model = fitted(pilot)
        self.spec, posterior = self.model.spec, self.model.posterior
        self.covariances = {
            one.terms: self.model.centred_covariance(one) for one in self.model.groups
        }
        # Without the effects of the pilot's own groups, which new ones have not.
        self.posterior = posterior.drop_dims(
            [dim for dim in posterior.dims if str(dim).endswith("__factor_dim")]
        ).stack(sample=("chain", "draw"))

    def outcomes(self, rows: pd.DataFrame, at: int, rng: np.random.Generator) -> pd.DataFrame:
        """The rows with the outcome that new groups would have under draw `at`."""
        one = self.posterior.isel(sample=at)
        mean = self.model.design(rows) @ self.model.coefficients[at]
        for design in group_designs(self.spec.formula, rows):
            basis, covariances = self.covariances[design.terms]
            covariance = covariances[at]
            k = len(covariance)
            # An sd near zero leaves a matrix singular: a jitter far below its size.
            jitter = 1e-12 * np.trace(covariance) * np.eye(k)
            root = basis @ np.linalg.cholesky(covariance + jitter)
            drawn = rng.standard_normal((len(design.levels), k)) @ root.T
            mean = mean + design.matrix(rows) @ drawn.ravel()
        return self._observed(rows, np.asarray(mean), one, rng)

    def _observed(
        self, rows: pd.DataFrame, mean: np.ndarray, one: xr.Dataset, rng: np.random.Generator
    ) -> pd.DataFrame:
        family = self.model.family
        parameters = {name: np.atleast_1d(one[name].values)[None] for name in family.parameters}
        if self.model.threshold_sets is not None:
            parameters["threshold"] = self.model.threshold_sets.at(parameters["threshold"], rows)
        of_rows = row_precisions(self.spec, rows), trials_of(self.spec, rows)
        drawn = family.simulate(rng, mean[None], family.of_rows(parameters, *of_rows))[0]
        if family.has_thresholds:
            drawn = np.asarray(self.model.categories)[drawn]
        if family.has_trials:
            return rows.assign(**{str(outcome_columns(self.spec)[0]): drawn})
        response = self.model.response
        if response.transformed:  # the rows hold the column itself
            drawn = response.back().outcomes(np.asarray(drawn, float))
        return rows.assign(**{response.column: drawn})


def tabulate(
    found: pd.DataFrame,
    keys: list[str],
    width: float | None,
    rope: tuple[float, float] | None,
    simulations: int,
) -> pd.DataFrame:
    """Summarise intervals of simulated experiments by `keys`, as `power` returns it.

    Parameters
    ----------
    found : DataFrame
        A row an interval: the keys, `truth`, `rows`, `lower`, `upper` (missing where there is
        none) and `converged`.
    """
    wide = found["upper"] - found["lower"]
    above, below = found["lower"] > 0, found["upper"] < 0
    # Of an effect that is zero the share of false claims is shown, in either direction.
    beyond = np.select([found["truth"] > 0, found["truth"] < 0], [above, below], above | below)
    held = (found["lower"] <= found["truth"]) & (found["truth"] <= found["upper"])
    within = held.astype(float).where(found["lower"].notna())  # no interval, no coverage
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
    grouped = found.assign(**columns).groupby(keys)
    table = grouped["rows"].mean().to_frame()
    table["width"] = grouped["wide"].median()
    table["width_lower"], table["width_upper"] = (grouped["wide"].quantile(q) for q in (0.1, 0.9))
    for name in shares:
        table[name] = grouped[name].mean()
    table["se"] = np.sqrt(table[shares] * (1 - table[shares]) / simulations).max(axis=1)
    table["simulations"] = simulations
    table["converged"] = grouped["converged"].mean()
    return table.reset_index()
