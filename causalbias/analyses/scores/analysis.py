"""Error rates by group of a table of scores: which group has more, by what factor, how sure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import xarray as xr

from causalbias.analyses.scores.pooling import pooled_rates
from causalbias.analyses.scores.thresholds import rates_at_thresholds
from causalbias.arguments import described, flag_in, number_in
from causalbias.datasets.scores import Scores
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.rates.accuracy import accuracy_indices, verification_accuracy
from causalbias.rates.comparisons import Comparisons, comparisons
from causalbias.rates.det import det, equal_error_rate
from causalbias.rates.differentials import fairness_indices, rate_ratios
from causalbias.rates.error_rates import error_rates, group_pair_rates
from causalbias.rates.groups import in_words
from causalbias.rates.histograms import score_histograms
from causalbias.rates.pairwise import pairwise_rate_ratios
from causalbias.rates.thresholds import threshold_at

GROUP = "group"


@dataclass(frozen=True, repr=False)
class OperatingPoint(Listed):
    """Error rates at one threshold a system.

    Attributes
    ----------
    name : str
        How the thresholds were set, in words.
    fmr : float or None
        Target false match rate at which they were set, over all pairs of two persons of one group.
    thresholds : dict of str to float
        By system, in units of the score.
    rates : Estimate
        From `error_rates`, by ``group``.
    between : Estimate or None
        From `group_pair_rates`; None without pairs of two groups.
    ratios, pairwise, indices : Estimate or None
        From `rate_ratios`, `pairwise_rate_ratios` and `fairness_indices`; None of a single group.
    pooled : Estimate or None
        From `pooled_rates`, if asked for.
    """

    name: str
    fmr: float | None
    thresholds: dict[str, float]
    rates: xr.Dataset
    between: xr.Dataset | None
    ratios: xr.Dataset | None
    pairwise: xr.Dataset | None
    indices: xr.Dataset | None
    pooled: xr.Dataset | None = None


@dataclass(frozen=True, repr=False)
class Audit(Listed):
    """Result of `audit`.

    Attributes
    ----------
    scores : Scores
        The comparisons.
    groups : dict of str to dict of str to str
        By name of a group, the value of each factor.
    counts : DataFrame
        `system`, `group`, `persons`, `genuine`, `impostor`, `across`, `failed`: number of persons,
        of comparisons of each kind (across: of two persons of whom one is of the group), and of
        those without a score; `persons_genuine` and `persons_impostor`, the persons of the rates:
        those in genuine, and in impostor, pairs of the group that have a score.
    points : list of OperatingPoint
    curve : Estimate or None
        From `det`; None without genuine or without impostor pairs.
    accuracy, equal_error : Estimate or None
        From `verification_accuracy` and `equal_error_rate`, whose thresholds are distances; None
        where these do not apply, as without genuine or without impostor pairs.
    accuracy_indices : Estimate or None
        From `accuracy_indices`; None of a single group.
    histograms : Dataset
        From `score_histograms`.
    thresholds : DataFrame
        Rates at other thresholds too: `system`, `threshold` (in units of the score), `rate_of`,
        `group`, `estimate`, `lower`, `upper`, `errors`, `n`.
    prob : float
        Probability of the intervals.
    random_seed : int
    """

    scores: Scores
    groups: dict[str, dict[str, str]]
    counts: pd.DataFrame
    points: list[OperatingPoint]
    curve: xr.Dataset | None
    accuracy: xr.Dataset | None
    equal_error: xr.Dataset | None
    accuracy_indices: xr.Dataset | None
    histograms: xr.Dataset
    thresholds: pd.DataFrame
    prob: float
    random_seed: int


def audit(
    scores: Scores,
    *,
    threshold: float | Mapping[str, float] | None = None,
    fmr: float | None = None,
    pool: bool = False,
    prob: float = 0.95,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Estimate false match and false non-match rates by group from a table of scores.

    The rates are those of `error_rates`: false match rates are of two persons of one group, and
    intervals allow for persons who are in several pairs. Rates of each two groups are apart.

    Parameters
    ----------
    scores : Scores
        From `read_scores`.
    threshold : float or mapping of system to float, optional
        In units of the score: a similarity at or above it matches, or a distance at or below it.
    fmr : float, optional
        The threshold at which all impostor pairs of two persons of one group together have this
        false match rate; beside `threshold`, a second operating point.
    pool : bool
        Also estimate the rates in one multilevel model of all groups and systems, see
        `pooled_rates`: for groups of many factors, of which some are small.
    prob : float
        Probability of the intervals.
    random_seed : int
        Of the draws.
    progress : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    Audit

    Raises
    ------
    DataError
        If neither a threshold nor a target is given, no pair is of one group, or there are too few
        pairs for the target.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=12, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> scores = cb.datasets.read_scores(cb.to_frame(study, "machine"), id_a="stimulus_a",
    ...                                  id_b="stimulus_b", person="seed", group="race")
    >>> found = cb.analyses.audit(scores, fmr=0.1)
    >>> found.points[0].rates["group"].values.tolist()
    ['asian', 'black', 'white']
    """
    if not isinstance(scores, Scores):
        raise DataError(
            f"{described(scores)} in the place of scores that were read",
            hint="write audit(cb.datasets.read_scores(table), ...)",
        )
    prob = number_in(prob, "prob", 0, 1)
    fmr = None if fmr is None else number_in(fmr, "fmr", 0, 1)
    if threshold is None and fmr is None:
        raise DataError(
            "neither a threshold nor a false match rate",
            hint="give threshold=, in units of the score, or fmr=0.001, or both",
        )
    flag_in(pool, "pool")
    given = None if threshold is None else _thresholds(scores, threshold)
    say = progress or (lambda _: None)
    say("pairs")
    frame, groups = _with_groups(scores)
    with scores.in_terms_of_file():
        pairs = comparisons(frame, GROUP)
    counts = _counts(frame, list(groups))
    if not counts["impostor"].any() and not counts["genuine"].any():
        raise DataError(
            "no comparison is of two sides of one group",
            hint="give pairs of one group, whose rates are compared",
        )
    at = partial(_point, scores, pairs, counts, random_seed=random_seed)
    points = []
    if given is not None:
        name = _name(threshold, given)
        say(f"rates at {name}")
        points.append(at(name, given, None))
    if fmr is not None:
        name = f"{100 * fmr:g}% false matches"
        say(f"rates at {name}")
        points.append(at(name, None, fmr))
    if pool:
        pooled = partial(pooled_rates, factors=groups, random_seed=random_seed, progress=say)
        points = [replace(one, pooled=pooled(one.rates)) for one in points]
    say("accuracy")
    accuracy = _or_none(verification_accuracy, pairs, random_seed)
    alone = accuracy is None or (accuracy["plug_in"].notnull().sum(GROUP) < 2).all()
    both = (counts["impostor"] > 0) & (counts["genuine"] > 0)
    say("rates at other thresholds")
    along = rates_at_thresholds(
        scores, pairs, [one.thresholds for one in points], prob=prob, random_seed=random_seed
    )
    say("trade-off of both errors")
    return Audit(
        scores,
        groups,
        counts,
        points,
        det(pairs, GROUP, random_seed=random_seed) if both.any() else None,
        accuracy,
        _or_none(equal_error_rate, pairs, random_seed),
        None if accuracy is None or alone else accuracy_indices(accuracy),
        score_histograms(pairs, GROUP),
        along,
        prob,
        random_seed,
    )


def _or_none(
    estimate: Callable[..., xr.Dataset], pairs: Comparisons, random_seed: int
) -> xr.Dataset | None:
    """An estimate that some pairs do not allow: of one kind only, or of equal scores."""
    try:
        return estimate(pairs, GROUP, random_seed=random_seed)
    except DataError:
        return None


def _with_groups(scores: Scores) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """Comparisons with one column of groups a side, and each group's factors."""
    frame = scores.frame.reset_index(drop=True)
    sides = [frame[[f"{name}_{side}" for name in scores.by]].astype(str) for side in "ab"]
    tuples = [list(one.itertuples(index=False, name=None)) for one in sides]
    known = sorted({*tuples[0], *tuples[1]})
    names = dict(zip(known, in_words(known), strict=True))
    labels = {
        f"{GROUP}_{side}": pd.Categorical([names[one] for one in each], list(names.values()))
        for side, each in zip("ab", tuples, strict=True)
    }
    text = [name for name in ("seed_a", "seed_b", "stimulus_a", "stimulus_b") if name in frame]
    objects = [name for name in text if frame[name].dtype == object]  # which are slow
    plain = frame[["distance", "status", "same_identity", "system", *text]]
    plain = plain.astype(dict.fromkeys(objects, "str")).assign(**labels)
    factors = {name: dict(zip(scores.by, key, strict=True)) for key, name in names.items()}
    return plain, factors


def _counts(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Persons and comparisons of each group and system."""
    rows = []
    within = (frame["group_a"].astype(str) == frame["group_b"].astype(str)).to_numpy()
    for system, part in frame.groupby("system", sort=False):
        inside = within[part.index]
        for group in groups:
            first, second = (part[f"group_{side}"] == group for side in "ab")
            same, own = part["same_identity"], (first | second) & inside
            persons = {*part.loc[first, "seed_a"], *part.loc[second, "seed_b"]}
            rated = {
                kind: part[own & of & (part["status"] == "ok")]
                for kind, of in (("genuine", same), ("impostor", ~same))
            }
            rows.append(
                {
                    "system": system,
                    "group": group,
                    "persons": len(persons),
                    "genuine": int((own & same).sum()),
                    "impostor": int((own & ~same).sum()),
                    "across": int(((first | second) & ~inside).sum()),
                    "failed": int(((first | second) & (part["status"] != "ok")).sum()),
                }
                | {
                    f"persons_{kind}": len({*rows["seed_a"], *rows["seed_b"]})
                    for kind, rows in rated.items()
                }
            )
    return pd.DataFrame(rows)


def _name(given: object, thresholds: Mapping[str, float]) -> str:
    """Thresholds in words: one for all systems, or one for each, as they were given."""
    if not isinstance(given, Mapping):
        return f"threshold {next(iter(thresholds.values())):g}"
    each = [f"{value:g} ({system})" for system, value in thresholds.items()]
    return f"thresholds {', '.join(each)}"


def _point(
    scores: Scores,
    pairs: Comparisons,
    counts: pd.DataFrame,
    name: str,
    shown: dict[str, float] | None,
    fmr: float | None,
    random_seed: int,
) -> OperatingPoint:
    """Rates at one threshold a system, given in units of the score or set at a false match rate."""
    if shown is None:
        assert fmr is not None
        found = threshold_at(pairs, fmr, by=GROUP, cohort="same", random_seed=random_seed)
        at = {one: float(found["point"].sel(system=one)) for one in scores.systems}
        shown = {one: scores.score_at(at[one], one) for one in at}
    else:
        at = {one: scores.distance_at(shown[one], one) for one in shown}
        _check_among(scores, shown, at)
    rates = error_rates(pairs, GROUP, threshold=at, random_seed=random_seed)
    several = rates.sizes[GROUP] > 1
    between = None
    if counts["across"].any():
        between = group_pair_rates(pairs, GROUP, threshold=at, random_seed=random_seed)
    return OperatingPoint(
        name,
        fmr,
        shown,
        rates,
        between,
        rate_ratios(rates) if several else None,
        pairwise_rate_ratios(rates) if several else None,
        fairness_indices(rates) if several else None,
    )


def _check_among(scores: Scores, shown: Mapping[str, float], at: Mapping[str, float]) -> None:
    """Refuse a threshold in other units than the scores: no pair matches, or all do."""
    for system, distance in at.items():
        frame = scores.frame
        part = frame[(frame["system"] == system) & (frame["status"] == "ok")]
        matched, same = part["distance"] <= distance, part["same_identity"]
        none, every = not matched.any() and same.any(), matched.all() and not same.all()
        if none or every:
            raise DataError(
                f"at the threshold {shown[system]:g}, {'all pairs match' if every else 'no pair'}"
                f"{'' if every else ' matches'}: the scores of {system} are from "
                f"{part['score'].min():.4g} to {part['score'].max():.4g}",
                hint="give it in units of the score, such as 60 of scores in percent",
            )


def _thresholds(scores: Scores, threshold: float | Mapping[str, float]) -> dict[str, float]:
    """The threshold of each system, as given."""
    if not isinstance(threshold, Mapping):
        given = dict.fromkeys(scores.systems, threshold)
    else:
        given = {one: threshold[one] for one in scores.systems if one in threshold}
        unknown = [one for one in threshold if one not in scores.systems]
        if unknown:
            raise DataError(
                f"no system is called {unknown[0]!r}", hint=f"use {', '.join(scores.systems)}"
            )
    if missing := [one for one in scores.systems if given.get(one) is None]:
        raise DataError(
            f"system {missing[0]!r} has no threshold", hint="give one number, or one per system"
        )
    return {system: number_in(value, "the threshold") for system, value in given.items()}
