"""Effects of perceived attributes, corrected for what manipulations move besides their own."""

import json
from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import described, generator, name_in, number_in, whole_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError, at_first
from causalbias.inference.diagnostics import apart, diagnostics_of
from causalbias.inference.instruments import (
    Moves,
    conditional_f,
    direct_to_doubt,
    overidentified,
    sample_effects,
)
from causalbias.inference.problem import FloatArray
from causalbias.manipulation_checks.moves import is_own
from causalbias.manipulation_checks.perceived_moves import (
    check_outcomes,
    check_scores,
    moves_of,
    without_judges_levels,
)
from causalbias.study.tables import check_columns

MAX_RHAT = 1.05  # of ensembles: where they disagree, walkers are caught in a tail
OF_RESULT = (
    *("effect", "naive", "change", "outcome_change", "conditional_f", "prior_share"),
    *("direct_to_doubt", "overidentification_p", "n", "attribute", "question"),
)


def leak_corrected(
    outcomes: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    by: str | None = None,
    direct: float = 0.0,
    score_error: Mapping[Hashable, float] | None = None,
    prior_scale: float = 2.5,
    prob: float = 0.95,
    draws: int = 1000,
    chains: int = 4,
    random_seed: int = 0,
) -> Estimate:
    """Estimate the effect of each perceived attribute, others held, from manipulations that leak.

    A manipulation of attractiveness that makes faces look younger has an effect on a network that
    is partly one of age. If others were rated too, the effects can be told apart: manipulations are
    instruments, perceived attributes exposures. With `L` what each of K manipulations moves each
    of J <= K attributes, and `Y` what it moves the outcome, ``Y = L b`` if a manipulation acts
    through these attributes alone; `b` is the effect of a point of each, the others held
    (multivariable instrumental variables; Sanderson, Windmeijer and others).

    `L` and `Y` are means over seeds of slopes on the level, both known with error. The true `L` is
    latent: noise of scores does not flatten effects, and weak manipulations give wide intervals.
    Seeds are the units: whatever varies or goes together within a seed, the shared unchanged face
    for instance, is in the covariance of the means. Raters who see changes unequally large are
    units too. `causalbias.inference.instruments` states the density.

    Parameters
    ----------
    outcomes : DataFrame
        Columns `seed`, `attribute` (what is manipulated), `level` (a number) and `outcome`; the
        mean is taken of several outcomes of a face. Rows with a missing `attribute` are the
        unchanged face of every manipulation. The outcome must be able to rise and fall, since an
        attribute may leak in either direction. A distance from a fixed other image can; the
        distance from the face's own unchanged version cannot, and its expectation is no weighted
        sum of moves.
    scores : DataFrame
        Columns `seed`, `attribute`, `level`, `question` (the perceived attribute), `score`, and
        `annotator` if people scored: raters, or several classifiers on one scale. At most as many
        questions as manipulations; leave out rows of others.
    by : str, optional
        A column of `outcomes`, such as the seeds' race or the recognition system: effects within
        each of its groups.
    direct : float, default 0
        Standard deviation of the effects that manipulations have on the outcome other than through
        the questions (pleiotropy), in units of the outcome: a sensitivity parameter. What all of
        them do alike is the effect of a further question whose score is the level: it is the
        intercept of MR-Egger (Bowden, Davey Smith and Burgess 2015).
    score_error : mapping, optional
        Standard deviation of an error of the scores' moves that all seeds share, as of a
        classifier that mistakes what it sees: by question, or by (attribute, question).
    prior_scale : float, default 2.5
        The prior of an effect is normal about zero; its standard deviation is this many standard
        deviations of the outcome for each standard deviation of the attribute, over faces.
    prob : float, default 0.95
        Probability of the interval behind `direct_to_doubt`.
    draws, chains : int
        Of the sampler.
    random_seed : int
        Of the random numbers.

    Returns
    -------
    Estimate
        ``effect`` (chain, draw, [by], question): outcome per point of the perceived attribute, the
        others held. ``naive``: the same if nothing leaked, from the manipulation that is named
        after the attribute alone; missing where there is none. ``change`` ([by], attribute,
        question) and ``outcome_change``: mean moves from lowest to highest level.

        ``conditional_f``: strength of the manipulations for an attribute given the others
        (Sanderson-Windmeijer); below about 10 the prior has a say. ``prior_share``: standard
        deviation of the effect divided by that of its prior; near 1, the data said nothing.
        ``direct_to_doubt``: the least standard deviation of direct effects at which the interval
        includes zero; 0 if it does so without. ``overidentification_p``: with more manipulations
        than attributes, the p-value that any effects at all explain the outcome's moves (Hansen's
        J); when small, manipulations move what nobody rated. ``n``: seeds.

    Raises
    ------
    DataError
        If columns are missing, there are more questions than manipulations or fewer than three
        seeds, all faces have one outcome or one score of a question, or the outcome is a distance
        from the face itself.

    Examples
    --------
    >>> rng = np.random.default_rng(5)
    >>> faces = pd.MultiIndex.from_product(
    ...     [range(30), ["age", "smile"], [0, 1]], names=["seed", "attribute", "level"]
    ... ).to_frame(index=False)
    >>> age = faces["level"] * np.where(faces["attribute"] == "age", 10.0, 6.0)  # a smile ages
    >>> smile = faces["level"] * (faces["attribute"] == "smile") * 10.0
    >>> outcomes = faces.assign(outcome=0.02 * age + rng.normal(0, 0.02, len(faces)))
    >>> scores = pd.concat([
    ...     faces.assign(question=name, score=value + rng.normal(0, 2, len(faces)))
    ...     for name, value in {"age": age, "smile": smile}.items()
    ... ])
    >>> found = leak_corrected(outcomes, scores)
    >>> found["naive"].median(["chain", "draw"]).round(3).values.tolist()
    [0.02, 0.011]
    >>> found.summary()[["question", "estimate", "lower", "upper"]].round(3).values.tolist()
    [['age', 0.02, 0.017, 0.023], ['smile', 0.0, -0.003, 0.003]]
    """
    direct = number_in(direct, "direct", -1e-300)
    prior_scale = number_in(prior_scale, "prior_scale", 0)
    prob = number_in(prob, "prob", 0, 1)
    draws, chains = whole_in(draws, "draws", 4), whole_in(chains, "chains", 1)
    errors = _errors(score_error)
    rows = check_scores(scores)
    groups = _groups(outcomes, by)
    _check_errors(errors, rows)
    faces, left = without_judges_levels(rows)
    parts, reasons = [], []
    for at, (group, part) in enumerate(groups.items()):
        try:
            known = check_outcomes(part)
            moves, attributes, questions, n = moves_of(known, faces, left, errors)
        except DataError as error:
            if group is None:
                raise
            told = f"{by} {group}: {error.problem}"
            raise DataError(told, hint=error.hint, file=error.file, column=error.column) from error
        _check_enough(attributes, questions)
        moves = Moves(**{**vars(moves), "direct": direct})
        seen = faces.pivot_table("mean", ["seed", "attribute", "level"], "question", dropna=False)
        spread = _spread(known["outcome"], "outcomes", "outcome", group)
        of_scores = [_spread(seen[one], "scores", one, group) for one in questions]
        prior_sd = prior_scale * spread / np.array(of_scores)
        found = _one(
            moves, attributes, questions, prior_sd, prob, draws, generator(random_seed, at), chains
        )
        reasons += _failures(found["effect"].values)
        parts.append(found.assign(n=n))
    whole = parts[0] if by is None else xr.concat(parts, pd.Index(list(groups), name=by))
    return estimate(
        whole,
        of=[xr.Dataset(attrs={"failures": json.dumps(list(dict.fromkeys(reasons)))})],
        variable="effect",
        estimand="outcome per point of each perceived attribute, the others held",
        scale="response",
        held="the other perceived attributes",
    )


def _spread(values: pd.Series, file: str, what: str, group: object) -> float:
    """Standard deviation over faces; refuse what is the same for all."""
    spread = float(values.std())
    if not spread > 0:
        within = "" if group is None else f" of {group}"
        raise DataError(
            f"all faces{within} have the same {what}",
            hint="leave it out: it moved nothing, and nothing moved it",
            file=file,
            column="outcome" if file == "outcomes" else "score",
        )
    return spread


def _one(
    moves: Moves,
    attributes: list[str],
    questions: list[str],
    prior_sd: FloatArray,
    prob: float,
    draws: int,
    rng: np.random.Generator,
    chains: int,
) -> xr.Dataset:
    """Compute the effects within one group, and what is said of them."""
    effect = sample_effects(moves, prior_sd, draws, chains, rng)
    naive = np.full(effect.shape, np.nan)
    for at, question in enumerate(questions):
        own = [row for row, one in enumerate(attributes) if is_own(one, question)]
        if own:
            alone = _part(moves, own, at)
            naive[..., at] = sample_effects(alone, prior_sd[[at]], draws, chains, rng)[..., 0]
    return xr.Dataset(
        {
            "effect": ((*SAMPLE, "question"), effect),
            "naive": ((*SAMPLE, "question"), naive),
            "change": (("attribute", "question"), moves.mean[:, :-1]),
            "outcome_change": ("attribute", moves.mean[:, -1]),
            "conditional_f": ("question", conditional_f(moves)[0]),
            "prior_share": ("question", effect.std(axis=(0, 1)) / prior_sd),
            "direct_to_doubt": ("question", _to_doubt(moves, effect, prior_sd, prob)),
            "overidentification_p": overidentified(moves),
        },
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            "question": questions,
            "attribute": attributes,
        },
    )


def _part(moves: Moves, own: list[int], question: int) -> Moves:
    """Moves of some manipulations, as if they moved one attribute alone."""
    columns = [question, -1]
    return Moves(
        moves.mean[own][:, columns],
        moves.units[:, own][:, :, columns],
        moves.judges[[question]][:, own][:, :, own],
        moves.df,
        moves.judges_df[[question]],
        moves.direct,
    )


def _to_doubt(moves: Moves, effect: FloatArray, prior_sd: FloatArray, prob: float) -> FloatArray:
    """Least sd of direct effects that takes away a claim; 0 where the draws make none."""
    ends = np.quantile(effect, [(1 - prob) / 2, (1 + prob) / 2], axis=(0, 1))
    return np.where((ends[0] > 0) | (ends[1] < 0), direct_to_doubt(moves, prior_sd, prob), 0.0)


def _failures(effect: FloatArray) -> list[str]:
    rhat = diagnostics_of(effect)[0]
    worst = float(np.nanmax(rhat, initial=1.0))
    return [f"R-hat of {apart(worst, MAX_RHAT)}"] if worst > MAX_RHAT else []


def _errors(given: Mapping[Hashable, float] | None) -> dict[Hashable, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping | pd.Series):
        raise DataError(
            f"score_error is {described(given)}",
            hint='give standard deviations by question: score_error={"age": 3.0}',
        )
    return {
        tuple(map(str, key)) if isinstance(key, tuple) else str(key): number_in(
            value, "score_error", -1e-300
        )
        for key, value in given.items()
    }


def _check_errors(errors: Mapping[Hashable, float], rows: pd.DataFrame) -> None:
    """Refuse an error of what there are no scores of: it would be left out without a word."""
    questions, attributes = (rows[one].dropna().unique() for one in ("question", "attribute"))
    for key in errors:
        pair = key if isinstance(key, tuple) else (None, key)
        known = len(pair) == 2 and pair[1] in questions
        if not known or (isinstance(key, tuple) and pair[0] not in attributes):
            raise DataError(
                f"score_error of {key!r}, of which there are no scores",
                hint=f"give it by question ({', '.join(questions)}), or by (attribute, question)",
            )


def _groups(outcomes: pd.DataFrame, by: str | None) -> dict[object, pd.DataFrame]:
    if by is None or not isinstance(outcomes, pd.DataFrame):
        return {None: outcomes}
    check_columns(outcomes, [name_in(by, "by")], file="outcomes")
    check_names([by], OF_RESULT)
    missing = outcomes[by].isna().to_numpy(bool)
    if missing.any():
        hint = "fill it in, or leave the row out"
        raise at_first(missing, "the value is missing", hint=hint, file="outcomes", column=by)
    return dict(iter(outcomes.groupby(by, observed=True)))


def _check_enough(attributes: list[str], questions: list[str]) -> None:
    if len(questions) > len(attributes):
        raise DataError(
            f"{len(questions)} questions ({', '.join(questions)}) and {len(attributes)} "
            f"manipulations ({', '.join(attributes)}): their effects cannot be told apart",
            hint="leave out the rows of some questions, or manipulate more attributes",
            file="scores",
            column="question",
        )
