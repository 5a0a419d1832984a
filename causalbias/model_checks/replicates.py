"""Posterior predictive checks on what matters here: shares, spreads, tails, shape, groups."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator
from causalbias.errors import DataError
from causalbias.estimands.predictive import Parts, spaced_draws
from causalbias.inference.problem import FloatArray
from causalbias.model_checks.changes import (
    NONE,
    Change,
    by_spread,
    for_skewness,
    for_tails,
    grouped,
    term,
    written,
)
from causalbias.model_checks.residuals import residuals_of
from causalbias.model_checks.statistics import (
    Comparison,
    Subject,
    averages,
    compare,
    kurtosis_of_spread,
    levels_in_twos,
    skew_and_kurtosis,
    spread_of_means,
)
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.formula.group_terms import common_formula
from causalbias.models.formula.parse import formula_columns
from causalbias.models.group_design import GroupDesign
from causalbias.models.needs import need_observed, need_rows_themselves
from causalbias.progress import stage

DRAWS, MIN_DRAWS = 500, 200  # 1 / 201 is below the level of `check`
HELD = 2**23  # draws x rows (x categories) at once
MAX_ROWS = 5_000_000  # with counts written out
MAX_CELLS = 60
FEW = 12  # a number with at most so many values is taken for a level
MIN_IN_CELL = 10
QUANTILES = (0.01, 0.05, 0.95, 0.99)
# Kinds of checks that more than one function knows; others are the keys of `STATISTICS`.
SKEWNESS, HEAVY_TAILS = "skewness", "heavy tails"
UNEQUAL_NOISE, UNEQUAL_EFFECTS = "noise between groups", "effects between groups"
SHAPE_OF_EFFECTS = "effects of levels"
Statistic = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Quantities:
    """Quantities of one kind: of responses and residuals (draws, rows), (draws, k) numbers.

    Residuals are about the draws' expected outcomes; if `fitted`, about what the model would fit to
    those responses (`residuals_of`). `name` is the check's, a subject, label and hint a quantity's.
    """

    name: str
    statistic: Statistic
    subjects: list[Subject]
    labels: list[str]
    hints: list[str]
    fitted: bool = False
    change: Callable[[Comparison], Change] = lambda _: NONE
    groups: Callable[[Comparison], np.ndarray | None] = lambda _: None


@dataclass(frozen=True)
class Found:
    """The quantity of a check that is farthest from the replicates, and what to do about it.

    ``change``: of the model, if any is known to help; see `changes`.
    """

    check: str
    of: str
    hint: str
    compared: Comparison
    subject: Subject
    change: Change = field(default_factory=dict)


def predictive_checks(
    fit: xr.DataTree, *, threshold: float | None = None, random_seed: int = 0
) -> list[Found]:
    """Compare the data with replicates that the fit makes of them.

    Parameters
    ----------
    fit : Fit
    threshold : float, optional
        As in `check`.
    random_seed : int

    Returns
    -------
    list of Found

    Raises
    ------
    DataError
        If the rows, counts written out, are more than five million.
    """
    need_rows_themselves(fit, "a replicate of the data")
    need_observed(fit, "a replicate of the data")
    rng, model = generator(random_seed), fitted(fit).with_effects()
    # A threshold is of the column; what is compared is the response as the model has it.
    cut = None if threshold is None else model.response.back().cut(threshold)
    frame, rows = written_out(model)
    refitted = residuals_of(model, rows) if model.family.normal else None
    quantities: list[Quantities] = []
    drawn: list[list[tuple[FloatArray, ...]]] = []
    for part in in_parts(model, len(rows)):
        sides = _responses(Parts(part), rows, rng)
        again = sides if refitted is None else tuple((y, refitted(y)) for y, _ in sides)
        quantities = quantities or quantities_of(model, frame, sides[0][0][0], cut)
        drawn.append(
            [
                np.broadcast_arrays(*(one.statistic(*s) for s in (again if one.fitted else sides)))
                for one in quantities
            ]
        )
    found: list[Found] = []
    groups: list[np.ndarray] = []  # of rows that are unequally spread
    for kind, parts in zip(quantities, zip(*drawn, strict=True), strict=True):
        one = compare(*(np.concatenate(side) for side in zip(*parts, strict=True)))
        of, hint, subject = kind.labels[one.at], kind.hints[one.at], kind.subjects[one.at]
        found.append(Found(kind.name, of, hint, one, subject, kind.change(one)))
        if (unequal := kind.groups(one)) is not None and not one.low <= one.value <= one.high:
            groups.append(unequal)
    explained = max((kurtosis_of_spread(again[0][1][0], one) for one in groups), default=0.0)
    return _with_shape(found, model, explained) + _effects(model, rng)


def _with_shape(found: list[Found], model: FittedModel, explained: float) -> list[Found]:
    """The checks, with the change of family that skewness and tails together ask for.

    Noise with one long tail has heavy tails too, of an excess kurtosis of about 1.5 to 2 times its
    squared skewness (gamma, lognormal); noise with two has some skewness in every sample. And rows
    of unequal spread have heavy tails without any family's (``explained``): a formula of sigma
    answers those.
    """
    of = {one.subject.kind: one.compared for one in found}
    if SKEWNESS not in of or HEAVY_TAILS not in of:
        return found
    skew, tails = of[SKEWNESS], of[HEAVY_TAILS]
    heavy = tails.value > tails.high and tails.value > 2 * explained + tails.high
    skewed = not skew.low <= skew.value <= skew.high and tails.value < 3 * skew.value**2
    change = NONE
    if skewed:
        change = for_skewness(model, skew.value)
    elif heavy:
        change = for_tails(model)
    return [
        replace(one, change=change) if one.subject.kind in (SKEWNESS, HEAVY_TAILS) else one
        for one in found
    ]


def written_out(model: FittedModel) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows, those with counts repeated; and which row each of them is."""
    frame, counts = model.frame, model.spec.counts
    times = np.ones(len(frame), int) if counts is None else frame[counts].to_numpy(int)
    if times.sum() > MAX_ROWS:
        raise DataError(
            f"{times.sum():,} observations (limit {MAX_ROWS:,})", hint="check a fit of fewer rows"
        )
    rows = np.repeat(np.arange(len(frame)), times)
    return frame.iloc[rows].reset_index(drop=True), rows


def in_parts(model: FittedModel, rows: int) -> Iterator[FittedModel]:
    """The model with some of its draws, in parts that memory holds."""
    posterior = model.posterior
    chains = posterior.sizes["chain"]
    width = rows * (1 + model.n_cuts)
    kept = spaced_draws(model, int(np.clip(HELD // width, MIN_DRAWS, DRAWS)))
    together = chains if chains * width <= HELD else 1
    step = max(1, HELD // (together * width))
    for chain in range(0, chains, together):
        for start in range(0, len(kept), step):
            some = {"chain": slice(chain, chain + together), "draw": kept[start : start + step]}
            stage(f"replicates of the data, draws from {start + 1} of {len(kept)}")
            yield replace(model, fit=model.fit.isel(some, missing_dims="ignore"))


Pair = tuple[FloatArray, FloatArray]


def _responses(parts: Parts, rows: np.ndarray, rng: np.random.Generator) -> tuple[Pair, Pair]:
    """Responses (1 or draws, rows) and residuals (draws, rows) of the data and of replicates."""
    eta, parameters = parts.eta[:, rows], parts.parameters(rows)
    response = parts.response[None, rows]
    residual = parts.family.residual(response, eta, parameters)
    if parts.limits is None:
        return (response, residual), parts.family.replicate(rng, eta, parameters)
    new = parts.simulate(rng, eta, rows)
    return (response, residual), (new, parts.family.residual(new, eta, parameters))


def quantities_of(
    model: FittedModel, frame: pd.DataFrame, response: FloatArray, threshold: float | None
) -> list[Quantities]:
    """What to compare: the statistics that the family names, and those of the group terms."""
    masks, subjects = cells_of(model, frame)
    found = []
    for kind in model.family.statistics:
        own = [one._replace(kind=kind) for one in subjects]
        found.append(STATISTICS[kind](Cells(model, frame, response, masks, own, threshold)))
    between = _between(model, frame)
    return found + ([between] if between is not None else [])


def cells_of(model: FittedModel, frame: pd.DataFrame) -> tuple[list[np.ndarray], list[Subject]]:
    """Groups of rows: all, each level of each column of few levels, and levels of two columns.

    Returns
    -------
    masks : list of ndarray (rows,) of bool
    subjects : list of Subject
        Of no kind.
    """
    keys = few_levels(model, frame)
    masks, subjects = [np.ones(len(frame), bool)], [Subject("")]
    for subject, rows in levels_in_twos(frame, keys, ""):
        if MIN_IN_CELL <= len(rows) < len(frame):
            mask = np.zeros(len(frame), bool)
            mask[rows] = True
            masks.append(mask)
            subjects.append(subject)
    return masks[:MAX_CELLS], subjects[:MAX_CELLS]


def few_levels(model: FittedModel, frame: pd.DataFrame) -> list[str]:
    """Columns of few levels, not the response's; of grouping factors' what has an effect itself."""
    designs = [one for own in (model, *model.parts.values()) for one in own.groups]
    grouping = {name for one in designs for member in one.members for name in member}
    # race in "race + (1|seed:race)" is a group to compare, as it is in "race + (1|seed)".
    grouping -= set(model.population_columns)
    return [
        name
        for name in model.columns
        if name != model.response.column
        and name not in grouping
        and 2 <= frame[name].nunique() <= (FEW if frame[name].dtype.kind in "iuf" else MAX_CELLS)
    ]


def _mean_of(masks: list[np.ndarray]) -> FloatArray:
    """Matrix (rows, cells) by which rows are averaged within cells that may overlap."""
    weights = np.empty((len(masks[0]), len(masks)))  # dense: a tenth of the time of a sparse one
    for column, mask in enumerate(masks):
        weights[:, column] = mask / mask.sum()
    return weights


DIFFERS = (
    "the model does not follow {}: add the term or interaction that sets it apart, or widen "
    "the prior that holds its coefficient"
)


@dataclass(frozen=True)
class Cells:
    """The rows that statistics are of: responses, and groups of rows that may overlap.

    Attributes
    ----------
    model : FittedModel
    frame : DataFrame
        The rows, counts written out.
    response : ndarray (rows,)
    masks : list of ndarray (rows,) of bool
        The first is of all rows.
    subjects : list of Subject
        Which rows these are, of the kind that is compared.
    threshold : float or None
        As in `check`, on the scale of the response as the model has it.
    """

    model: FittedModel
    frame: pd.DataFrame
    response: FloatArray
    masks: list[np.ndarray]
    subjects: list[Subject]
    threshold: float | None

    @property
    def labels(self) -> list[str]:
        """The groups of rows in words."""
        return [one.cell for one in self.subjects]


def _shares(cells: Cells) -> Quantities:
    categories, weights = np.unique(cells.response).astype(int), _mean_of(cells.masks)
    names = cells.model.categories or categories.tolist()  # of codes; of no or yes, 0 and 1
    told = [names[one] if one < len(names) else one for one in categories]
    labels = [f"share of category {one}, {cell}" for one in told for cell in cells.labels]
    return Quantities(
        "category shares",
        lambda y, _: np.hstack([(y == one) @ weights for one in categories]),
        cells.subjects * len(categories),
        labels,
        [DIFFERS.format(cell) for _ in categories for cell in cells.labels],
    )


def _means(cells: Cells) -> Quantities:
    weights = _mean_of(cells.masks)
    return Quantities(
        "means by group",
        lambda _, r: r @ weights,
        cells.subjects,
        [f"mean residual, {cell}" for cell in cells.labels],
        [DIFFERS.format(cell) for cell in cells.labels],
        change=lambda one: _cell_of(cells, cells.subjects[one.at].columns),
    )


def _cell_of(cells: Cells, columns: tuple[str, ...]) -> Change:
    """The term of the columns of a cell, if they are several or one of numbers."""
    known = formula_columns(common_formula(cells.model.spec.formula))[1]
    numbers = [name for name in columns if cells.frame[name].dtype.kind in "iuf"]
    if set(columns) <= set(known) and (len(columns) > 1 or numbers):
        return term(written(cells.frame, columns))
    return NONE


def _spread(cells: Cells) -> Quantities:
    weights = _mean_of(cells.masks[1:] or cells.masks)
    subjects = cells.subjects[1:] or cells.subjects
    names, columns = [one.cell for one in subjects], [one.columns for one in subjects]
    return Quantities(
        "spread by group",
        lambda _, r: np.sqrt((r**2) @ weights),
        subjects,
        [f"spread of residuals, {cell}" for cell in names],
        [
            f"rows with {cell} differ in spread: let it differ by group in the model, or intervals "
            "of one group are too narrow and those of others too wide"
            for cell in names
        ],
        change=lambda one: (
            by_spread(cells.model, written(cells.frame, columns[one.at]))
            if columns[one.at]
            else NONE
        ),
        groups=lambda one: (
            cells.frame.groupby(list(columns[one.at]), observed=True).ngroup().to_numpy()
            if columns[one.at]
            else None
        ),
    )


def _tails(cells: Cells) -> Quantities:
    cuts = np.quantile(cells.response, QUANTILES)
    if cells.threshold is not None:
        cuts = np.array([cells.threshold])
    weights = _mean_of(cells.masks)
    return Quantities(
        "tails",
        lambda y, _: np.hstack([(y <= cut) @ weights for cut in cuts]),
        cells.subjects * len(cuts),
        [f"share at or below {cut:.4g}, {cell}" for cut in cuts for cell in cells.labels],
        [
            "take error rates from counts (see error rates), not from this model; if another "
            "check of spread or shape fails too, answer that one first"
        ]
        * (len(cuts) * len(cells.labels)),
    )


def _skewness(cells: Cells) -> Quantities:
    return Quantities(
        "skewness",
        lambda _, r: skew_and_kurtosis(r)[:, :1],
        cells.subjects[:1],
        ["residuals"],
        [
            "the noise has a longer tail on one side: give it a family that has one (a logarithm "
            "is for positive responses with a tail to the right); until then trust means, not "
            "error rates"
        ],
        fitted=True,
    )


def _heavy_tails(cells: Cells) -> Quantities:
    return Quantities(
        "heavy tails",
        lambda _, r: skew_and_kurtosis(r)[:, 1:],
        cells.subjects[:1],
        ["excess kurtosis of residuals"],
        [
            "look for outliers or a mixture of kinds of rows, and fit those apart; "
            "intervals of means bear it in large samples, error rates do not"
        ],
        fitted=True,
    )


def _dispersion(cells: Cells) -> Quantities:
    return Quantities(
        "dispersion",
        lambda _, r: (r**2).mean(axis=1, keepdims=True),
        cells.subjects[:1],
        ["mean squared residual"],
        ["add a group term of the row, (1|row): trials are not independent"],
    )


# By kind, as families state them. Those with residuals of a refit (`fitted`) need normal noise.
STATISTICS: dict[str, Callable[[Cells], Quantities]] = {
    "category shares": _shares,
    "means by group": _means,
    "tails": _tails,
    "spread by group": _spread,
    SKEWNESS: _skewness,
    HEAVY_TAILS: _heavy_tails,
    "dispersion": _dispersion,
}


def _between(model: FittedModel, frame: pd.DataFrame) -> Quantities | None:
    """Spread between groups that the group terms leave: effects that vary, unequal noise."""
    averaged, labels, hints = [], [], []
    subjects: list[Subject] = []
    changes: list[Change] = []
    unequal: list[np.ndarray | None] = []
    for names in dict.fromkeys(one.members for one in model.groups):
        if len(names) > 1:
            continue  # a row belongs to several levels
        factor = ":".join(names[0])
        group = frame.groupby(list(names[0]), observed=True).ngroup().to_numpy()
        if len(frame) >= 4 * (group.max() + 1):
            averaged.append((averages(group), True))
            subjects.append(Subject(UNEQUAL_NOISE, factor))
            labels.append(f"size of residuals between levels of {factor}")
            hints.append(
                f"levels of {factor} are unequally noisy: let their noise differ, or look at them "
                "first (reliability, graded_response)"
            )
            changes.append(by_spread(model, grouped(factor)))
            unequal.append(group)
        for name in few_levels(model, frame):
            cell = frame.assign(_g=group).groupby(["_g", name], observed=True).ngroup().to_numpy()
            if cell.max() > group.max() and len(frame) >= 2 * (cell.max() + 1):
                averaged.append((averages(cell), False))
                subjects.append(Subject(UNEQUAL_EFFECTS, factor, (name,)))
                labels.append(f"residuals between levels of {factor} by {name}")
                hints.append(
                    f"the effect of {name} differs between levels of {factor}: add "
                    f"({name}|{factor}), or (1|{factor}:{name})"
                )
                changes.append(term(f"(1|{factor}:{name})"))
                unequal.append(None)
    if not averaged:
        return None
    return Quantities(
        "spread between groups",
        lambda _, r: np.column_stack(
            [spread_of_means(np.abs(r) if size else r, one) for one, size in averaged]
        ),
        subjects,
        labels,
        hints,
        change=lambda one: changes[one.at],
        groups=lambda one: unequal[one.at],
    )


def _effects(model: FittedModel, rng: np.random.Generator) -> list[Found]:
    """Shape of the effects of each group term's levels, which the model takes for normal."""
    found: list[Found] = []
    parts = {"": model} | {f"{name}_": one for name, one in model.fitted_parts.items()}
    for prefix, part in parts.items():
        for design in part.groups:
            if len(design.levels) >= MIN_IN_CELL:
                found += _effects_of(part, design, prefix, rng)
    return found


def _effects_of(
    model: FittedModel, design: GroupDesign, prefix: str, rng: np.random.Generator
) -> list[Found]:
    posterior = model.posterior
    found: list[Found] = []
    for name in design.names():
        if name not in posterior:
            continue
        dim = next(d for d in posterior[name].dims if str(d).endswith("__factor_dim"))
        white = (posterior[name] / posterior[f"{name}_sigma"]).stack(d=["chain", "draw"])
        white = white.isel(d=np.linspace(0, white.sizes["d"] - 1, DRAWS).astype(int))
        values = white.transpose("d", ..., dim).values.reshape(-1, len(design.levels))
        data, replicates = (_shape(x) for x in (values, rng.standard_normal(values.shape)))
        extreme = str(white[dim].values[np.abs(values).mean(axis=0).argmax()])
        labels = [
            f"skewness of {prefix}{name}",
            f"excess kurtosis of {prefix}{name}",
            f"largest effect of {prefix}{name} ({extreme})",
        ]
        hint = (
            f"look at {design.factor} {extreme} (wrong rows? a kind of its own?); statements "
            "about new levels lean on normal effects, those about these levels hardly"
        )
        result = compare(data, replicates)
        subject = Subject(SHAPE_OF_EFFECTS, design.factor, levels=(extreme,))
        found.append(Found("effects of levels", labels[result.at], hint, result, subject))
    return found


def _shape(values: FloatArray) -> FloatArray:
    return np.column_stack([skew_and_kurtosis(values), np.abs(values).max(axis=1)])
