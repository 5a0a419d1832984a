"""How well a plan will tell the effects of perceived attributes apart, and how many seeds it takes.

A plan's faces f are pushed by P (faces, K); a push by 1 of manipulation k moves perceived attribute
j by M (K, J) on average over seeds. Directions of the plan (`attribute`) are the instruments of
`leak_corrected`: with W (R, faces) the weights that make of faces the slopes of the R directions on
the level, times the range of levels, they move what is perceived by ``L = W P M`` and the outcome
by ``Y = L b``. The error of each is known from what is assumed of faces, raters and seeds, so that
the analysis can be foretold (`separability`) or played through (`power_corrected`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalbias.arguments import generator, mapping_in, number_in, rope_in, whole_in, wholes_in
from causalbias.design.power import tabulate
from causalbias.design.pushes import leak_matrix
from causalbias.errors import DataError
from causalbias.inference.diagnostics import diagnostics_of
from causalbias.inference.instruments import (
    Moves,
    approximate_intervals,
    closest,
    conditional_f,
    sample_effects,
)
from causalbias.inference.problem import FloatArray
from causalbias.study.tables import check_columns

PRIOR_SCALE = 2.5  # default of `leak_corrected`
MAX_RHAT = 1.05  # as there
FACE = ["attribute", "level"]
LEAST_SEEDS = 3
NOT_TOLD = 1e8  # of a variance inflation: attributes that the plan never moves apart


def separability(
    plan: pd.DataFrame,
    leaks: pd.DataFrame,
    *,
    outcome_sd: float,
    score_sd: float | Mapping[str, float],
    raters: int,
    gain_sd: float = 0.0,
    move_sd: float | Mapping[str, float] = 0.0,
    effects: Mapping[str, float] | None = None,
    prob: float = 0.95,
) -> pd.DataFrame:
    """Foretell how well a plan tells the effects of perceived attributes apart.

    These are the numbers that `leak_corrected` would give if every estimate came out as expected:
    no data are simulated. Compare plans by them, and check the chosen one by `power_corrected`.

    Parameters
    ----------
    plan : DataFrame
        Faces, from `crossed_pushes` or `one_at_a_time`: `seed`, `attribute`, `level` and, where
        several manipulations are pushed at once, a column for each (else `attribute` is pushed by
        `level`). All seeds have the same faces; plan groups of seeds one by one. A row is a face
        with noise of its own.
    leaks : DataFrame
        What a push by 1 moves: a row a manipulation (index), a column a perceived attribute, in
        points of its scale. From a pilot, divided by its range of levels:
        ``leak_corrected(...)["change"].to_pandas()``.
    outcome_sd : float
        Standard deviation of a face's outcome about what the perceived attributes make of it,
        within a seed, in units of the outcome.
    score_sd : float or mapping
        Of one rater's score of a face about the rater's usual score of it, in points; by perceived
        attribute where they differ.
    raters : int
        How many score each face on each question, the same for all faces. A classifier is 1.
    gain_sd : float, default 0
        Standard deviation of how large raters see the same change: at 0.25 one in six sees it
        more than a quarter too large. More seeds do not average it out.
    move_sd : float or mapping
        Standard deviation between seeds of what a push by 1 moves a perceived attribute, in points.
    effects : mapping, optional
        Effects of a point of each perceived attribute, zero where not given. The noise of scores
        widens intervals in proportion to them.
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        A row a perceived attribute: `question`; `moved`: root mean square of what the plan's
        directions move it by, from the lowest to the highest level; `vif`: how many times larger
        the variance of its effect is since the others have to be held (variance inflation; 1 if
        directions move it independently of all others, infinite if they never move it alone);
        `conditional_f`, as in `leak_corrected`: 10 and more is strong, below that the interval
        begins to be the prior's, and of estimated moves it is larger by 1; `width` of the interval
        of the effect, in units of the outcome per point, by a t approximation that is too short
        where `conditional_f` is small; `seeds`.

    Raises
    ------
    DataError
        If a column, manipulation or attribute is missing, seeds have different faces, there are
        fewer directions than attributes or fewer than three seeds, or a number is out of range.

    Examples
    --------
    Two manipulations that both move age and smile, in four faces of each seed:

    >>> import causalbias as cb
    >>> leaks = pd.DataFrame({"age": [12, 9], "smile": [9, 12]}, index=["age", "smile"])
    >>> one = cb.design.one_at_a_time({"seed": range(30)}, {"age": [-1, 1], "smile": [-1, 1]})
    >>> crossed = cb.design.crossed_pushes(
    ...     {"seed": range(30)}, ["age", "smile"], runs=2, levels=[-1, 1], leaks=leaks
    ... )
    >>> noise = {"outcome_sd": 0.02, "score_sd": 12, "raters": 8}
    >>> cb.design.separability(one, leaks, **noise)["width"].round(4).tolist()
    [0.0025, 0.0025]
    >>> cb.design.separability(crossed, leaks, **noise)["width"].round(4).tolist()
    [0.0017, 0.0017]
    """
    prob = number_in(prob, "prob", 0, 1)
    world = _world(plan, leaks, outcome_sd, score_sd, raters, gain_sd, move_sd, effects)
    if world.seeds < LEAST_SEEDS:
        raise DataError(
            "the plan is of one seed, and seeds tell by how much estimates vary",
            hint=f"give the faces of {LEAST_SEEDS} seeds or more",
            file="plan",
            column="seed",
        )
    moves = world.expected()
    cov = closest(moves)[1]
    inflation = np.diag(cov) * np.diag(np.linalg.inv(cov))
    half = approximate_intervals(moves, world.prior_sd, prob)[1]
    return pd.DataFrame(
        {
            "question": world.questions,
            "moved": np.sqrt((world.moved**2).mean(axis=0)),
            "vif": np.where(inflation < NOT_TOLD, inflation, np.inf),
            "conditional_f": conditional_f(moves)[0],
            "width": 2 * half,
            "seeds": world.seeds,
        }
    )


def power_corrected(
    plan: pd.DataFrame,
    leaks: pd.DataFrame,
    effects: Mapping[str, float],
    *,
    sizes: Sequence[int],
    outcome_sd: float,
    score_sd: float | Mapping[str, float],
    raters: int,
    gain_sd: float = 0.0,
    move_sd: float | Mapping[str, float] = 0.0,
    width: float | None = None,
    rope: tuple[float, float] | None = None,
    simulations: int = 100,
    draws: int = 400,
    prob: float = 0.95,
    random_seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> pd.DataFrame:
    """How precise leak-corrected effects would be with more seeds, and how surely found.

    Each simulation draws seeds, faces and raters as assumed, and the effects of perceived
    attributes from the density of `leak_corrected`, given what each direction of the plan would
    seem to move. The sister of `power` for effects of what is perceived.

    Parameters
    ----------
    plan, leaks, outcome_sd, score_sd, raters, gain_sd, move_sd
        As in `separability`; the plan's number of seeds does not matter.
    effects : mapping
        True effects of a point of each perceived attribute, in units of the outcome; zero where
        not given.
    sizes : sequence of int
        Numbers of seeds to try, three or more each.
    width, rope, simulations, draws, prob, random_seed, progress
        As in `power`.

    Returns
    -------
    DataFrame
        One row a size and perceived attribute: `seed` (their number), `question`, `rows` (faces),
        and `width`, `width_lower`, `width_upper`, `found`, `coverage`, `narrow`, `decided`, `se`,
        `simulations`, `converged` as in `power`. Of an effect of zero, `found` is the share of
        false claims. `plots.assurance` draws it.

    Raises
    ------
    DataError
        As in `separability`, and if a size is below 3.

    Examples
    --------
    >>> import causalbias as cb
    >>> leaks = pd.DataFrame({"age": [12, 4], "smile": [4, 12]}, index=["age", "smile"])
    >>> plan = cb.design.crossed_pushes({"seed": [0]}, ["age", "smile"], runs=2, leaks=leaks)
    >>> table = cb.design.power_corrected(
    ...     plan, leaks, {"age": 0.004}, sizes=[10, 40], outcome_sd=0.05, score_sd=12, raters=8,
    ...     simulations=3,
    ... )
    >>> table[["seed", "question"]].values.tolist()
    [[10, 'age'], [10, 'smile'], [40, 'age'], [40, 'smile']]
    """
    prob = number_in(prob, "prob", 0, 1)
    draws, simulations = whole_in(draws, "draws", 4), whole_in(simulations, "simulations", 1)
    if width is not None:
        width = number_in(width, "width", 0)
    if rope is not None:
        rope = rope_in(rope)
    sizes = wholes_in(sizes, "sizes", LEAST_SEEDS)
    world = _world(plan, leaks, outcome_sd, score_sd, raters, gain_sd, move_sd, effects)
    rng = generator(random_seed)
    found: list[pd.DataFrame] = []
    for size in sizes:
        for _ in range(simulations):
            moves = world.simulate(size, rng)
            drawn = sample_effects(moves, world.prior_sd, draws, 4, rng)
            low, high = np.quantile(drawn, [(1 - prob) / 2, (1 + prob) / 2], axis=(0, 1))
            rhat = diagnostics_of(drawn)[0]
            labels = {"seed": size, "question": world.questions, "truth": world.effects}
            ends = {"lower": low, "upper": high, "rows": size * len(world.pushes)}
            converged = bool(np.nanmax(rhat, initial=1.0) <= MAX_RHAT)
            found.append(pd.DataFrame({**labels, **ends, "converged": converged}))
            if progress is not None:
                progress(len(found), len(sizes) * simulations)
    return tabulate(pd.concat(found), ["seed", "question"], width, rope, simulations)


@dataclass(frozen=True)
class _World:
    """What is assumed of an experiment, with R directions, F faces a seed, K pushes, J attributes.

    Attributes
    ----------
    questions : list of str
        Perceived attributes.
    weights : ndarray (R, F)
        Of faces' values, that make the moves of the directions.
    pushes : ndarray (F, K)
    leaks : ndarray (K, J)
        Mean moves by a push of 1.
    effects : ndarray (J,)
    outcome_sd : float
    face_sd : ndarray (J,)
        Of the error of a face's mean score.
    raters : int
    gain_sd : float
    move_sd : ndarray (J,)
    seeds : int
    """

    questions: list[str]
    weights: FloatArray
    pushes: FloatArray
    leaks: FloatArray
    effects: FloatArray
    outcome_sd: float
    face_sd: FloatArray
    raters: int
    gain_sd: float
    move_sd: FloatArray
    seeds: int

    @property
    def moved(self) -> FloatArray:
        """What directions move each attribute by, (R, J)."""
        return self.weights @ self.pushes @ self.leaks

    @property
    def prior_sd(self) -> FloatArray:
        """Standard deviation (J,) of the prior of the effects: by that of faces of one seed."""
        true = self.pushes @ self.leaks
        spread = (self.pushes**2).sum(axis=1).mean() * self.move_sd**2
        scores = true.var(axis=0) + spread + self.face_sd**2
        outcome = (true @ self.effects).var() + self.outcome_sd**2 + self.effects**2 @ spread
        return PRIOR_SCALE * np.sqrt(outcome / scores)

    def judges(self, gain_variance: FloatArray, moved: FloatArray) -> FloatArray:
        """Covariance (J, R, R) of what all seeds share, by variances (J,) of single gains."""
        return np.einsum("j,rj,sj->jrs", gain_variance / self.raters, moved, moved)

    @property
    def judges_df(self) -> FloatArray:
        df = self.raters - 1.0 if self.gain_sd else np.inf
        return np.full(len(self.questions), df)

    def expected(self) -> Moves:
        """Moves with their expectation as estimate, and the expected covariance of its error."""
        moved = self.moved
        r, j = moved.shape
        noise = self.weights @ self.weights.T
        arms = self.weights @ self.pushes
        spread = arms @ arms.T
        also = np.r_[self.move_sd**2 * self.effects, 0.0]  # moves and outcome vary together
        together = np.diag(np.r_[self.move_sd**2, self.effects**2 @ self.move_sd**2])
        together[:, -1] += also
        together[-1] += also
        alone = np.diag(np.r_[self.face_sd**2, self.outcome_sd**2])
        covariance = np.kron(noise, alone) + np.kron(spread, together)
        values, vectors = np.linalg.eigh(covariance / self.seeds)
        units = (vectors * np.sqrt(np.maximum(values, 0.0))).T.reshape(-1, r, j + 1)
        judges = self.judges(np.full(j, self.gain_sd**2), moved)
        mean = np.column_stack([moved, moved @ self.effects])
        return Moves(mean, units, judges, self.seeds - 1.0, self.judges_df)

    def simulate(self, n: int, rng: np.random.Generator) -> Moves:
        """Moves as n seeds, and raters, would show them."""
        f, j = len(self.pushes), len(self.questions)
        own = self.leaks + self.move_sd * rng.standard_normal((n, *self.leaks.shape))
        true = self.pushes @ own  # (n, F, J)
        gain = 1 + self.gain_sd / np.sqrt(self.raters) * rng.standard_normal(j)
        scores = gain * true + self.face_sd * rng.standard_normal((n, f, j))
        outcome = true @ self.effects + self.outcome_sd * rng.standard_normal((n, f))
        slopes = self.weights @ np.concatenate([scores, outcome[..., None]], axis=2)
        mean = slopes.mean(axis=0)
        variance = np.zeros(j)
        if self.gain_sd:
            variance = self.gain_sd**2 * rng.chisquare(self.judges_df) / self.judges_df
        return Moves(
            mean,
            (slopes - mean) / np.sqrt(n * (n - 1)),
            self.judges(variance, mean[:, :-1]),
            n - 1.0,
            self.judges_df,
        )


def _world(
    plan: pd.DataFrame,
    leaks: pd.DataFrame,
    outcome_sd: float,
    score_sd: float | Mapping[str, float],
    raters: int,
    gain_sd: float,
    move_sd: float | Mapping[str, float],
    effects: Mapping[str, float] | None,
) -> _World:
    matrix = leak_matrix(leaks, [str(one) for one in getattr(leaks, "index", [])])
    questions = list(matrix.columns)
    raters = whole_in(raters, "raters", 1)
    gain_sd = number_in(gain_sd, "gain_sd", -1e-300)
    if gain_sd and raters < 2:
        raise DataError(
            "gain_sd of one rater, which no scores show",
            hint="plan two raters or more, or leave gain_sd out",
        )
    faces, seeds = _faces(plan)
    weights = _slope_weights(faces)
    if len(weights) < len(questions):
        raise DataError(
            f"{len(questions)} perceived attributes ({', '.join(questions)}) and {len(weights)} "
            "directions: their effects cannot be told apart",
            hint="plan more directions, or leave out columns of leaks",
            file="plan",
            column="attribute",
        )
    return _World(
        questions,
        weights,
        _pushes(faces, list(matrix.index)),
        matrix.to_numpy(),
        _by_question(0.0 if effects is None else effects, questions, "effects"),
        number_in(outcome_sd, "outcome_sd", 0),
        _by_question(score_sd, questions, "score_sd", -1e-300) / np.sqrt(raters),
        raters,
        gain_sd,
        _by_question(move_sd, questions, "move_sd", -1e-300),
        seeds,
    )


def _by_question(
    given: float | Mapping[str, float], questions: list[str], name: str, low: float = -np.inf
) -> FloatArray:
    """A number a question: one for all, or of a mapping, zero where it has none."""
    if isinstance(given, int | float | np.number):
        return np.full(len(questions), number_in(given, name, low))
    known = mapping_in(given, name, f"{{{questions[0]!r}: 0.01}}")
    for key in known:
        if str(key) not in questions:
            raise DataError(
                f"{name} of {key!r}, which no column of leaks is of",
                hint=f"use {', '.join(questions)}",
            )
    values = {str(key): number_in(one, name, low) for key, one in known.items()}
    return np.array([values.get(one, 0.0) for one in questions])


def _faces(plan: object) -> tuple[pd.DataFrame, int]:
    """Faces of one seed, if all have the same, and the number of seeds."""
    if not isinstance(plan, pd.DataFrame):
        raise DataError("the plan is no table", hint="make one: cb.design.crossed_pushes(...)")
    check_columns(plan, ["seed", *FACE], file="plan")
    if plan.duplicated(["seed", *FACE]).any():
        raise DataError(
            "a seed has two faces of one attribute and level",
            hint="plan groups of seeds one by one: leave out the rows of other groups",
            file="plan",
        )
    first = plan[plan["seed"] == plan["seed"].iloc[0]] if len(plan) else plan
    counts = plan.groupby(FACE, dropna=False)["seed"].nunique()
    seeds = int(plan["seed"].nunique())
    if seeds < LEAST_SEEDS and seeds != 1:
        raise DataError(f"{seeds} seeds", hint=f"give {LEAST_SEEDS} or more", file="plan")
    if len(counts) != len(first) or (counts != seeds).any():
        raise DataError(
            "seeds have different faces",
            hint="plan the same attributes and levels for every seed",
            file="plan",
        )
    return first.reset_index(drop=True), seeds


def _slope_weights(faces: pd.DataFrame) -> FloatArray:
    """Weights (R, F) of the slope of each direction on the level, times its range of levels."""
    level = faces["level"].map(lambda one: number_in(one, "level of the plan")).to_numpy(float)
    unchanged = faces["attribute"].isna().to_numpy()
    rows = []
    for name in sorted(faces["attribute"].dropna().unique(), key=str):
        of = unchanged | (faces["attribute"] == name).to_numpy()
        c = np.where(of, level - level[of].mean(), 0.0)
        if not (c**2).sum() > 0:
            raise DataError(
                f"{name} has one level", hint="plan two or more", file="plan", column="level"
            )
        rows.append(c / (c**2).sum() * np.ptp(level[of]))
    return np.array(rows).reshape(-1, len(faces))


def _pushes(faces: pd.DataFrame, names: list[str]) -> FloatArray:
    """By how much each manipulation is pushed in each face, (F, K)."""
    if set(names) <= set(map(str, faces)):
        return np.asarray(faces.set_axis(faces.columns.astype(str), axis=1)[names], float)
    attributes = faces["attribute"].astype(object)
    unknown = set(map(str, attributes.dropna())) - set(names)
    if unknown:
        raise DataError(
            f"the plan moves {min(unknown)!r}, of which leaks have no row",
            hint="add it to the index of leaks, or give a column of the plan for each manipulation",
            file="plan",
            column="attribute",
        )
    own = attributes.astype(str).to_numpy()[:, None] == np.array(names)
    return np.asarray(own * faces[["level"]].to_numpy(float))
