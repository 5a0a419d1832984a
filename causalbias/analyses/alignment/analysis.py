"""Whether metrics of similarity are faithful to people's judgements of pairs of faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from causalbias.agreement.dyads import (
    accuracy,
    ceilings,
    covariance_of,
    draws_of_t,
    noise_share,
    pair_means,
    spearman,
)
from causalbias.arguments import generator, mapping_in, names_in, number_in
from causalbias.datasets.answers import Answers, answers_in
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.study.tables import check_spelling

Floats = NDArray[np.float64]
ALL = "all pairs"
MADE = ("face_a", "face_b", "pair", "judgement", "group")  # columns of pairs beside metrics
MOST = 5000  # raters, whose covariance is a matrix
LEAST = 10  # pairs of a group, and faces in them
DRAWS = 4000


@dataclass(frozen=True, repr=False)
class Alignment(Listed):
    """Result of `analyse_alignment`.

    Attributes
    ----------
    answers : Answers
        The table, as columns `face_a`, `face_b`, `judgement`, metrics and their standard errors.
    found : Estimate
        By group of pairs and metric, dims (chain, draw, group, metric): ``correlation``,
        Spearman's, of metric and judgements; ``corrected``, divided by its ceiling; ``accuracy``,
        the share of comparisons of two pairs that the metric orders as people do. Without draws:
        ``ceiling`` and ``accuracy_ceiling``, what a metric without error would have with
        judgements (and errors of the metric) as noisy as these; ``reliability`` of the
        judgements; ``ties``, the share of comparisons in which the metric is equal; ``n`` (pairs)
        and ``faces``.
    metrics : tuple of str
    prob : float
        Probability of the intervals.
    """

    answers: Answers
    found: Estimate
    metrics: tuple[str, ...]
    prob: float


def analyse_alignment(
    data: pd.DataFrame | str | Path,
    *,
    face_a: str,
    face_b: str,
    judgement: str,
    metrics: str | Sequence[str],
    rater: str = "",
    errors: Mapping[str, str] | None = None,
    group_a: str = "",
    group_b: str = "",
    distances: Sequence[str] = (),
    prob: float = 0.95,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Alignment:
    """Estimate how faithful metrics are to people's judgements of pairs, by group.

    Pairs that share a face are not independent: intervals are from sums of the influence of pairs
    over faces (as if faces were resampled), with Student's t of the number of faces less one. Draws
    of all metrics and groups are joint, so that their differences have the right intervals. Where a
    metric orders all pairs as people do, none shows how it may err: half a pair is added that it
    gets wrong, so that the estimate is below 1 and has an interval.

    Judgements are noisy, so that no metric can agree with them perfectly. The ceiling is the rank
    correlation of simulated judgements, with this noise, with the values without it; the corrected
    correlation is the observed one divided by it (Spearman 1904, in ranks). Noise is known where
    each row is a judgement of a named rater, or from a column of standard errors. The latter may
    also be given for a metric that is itself a mean of judgements.

    Parameters
    ----------
    data : DataFrame or path
        One row per pair of faces, or per judgement of a pair; or a file of such rows.
    face_a, face_b : str
        Columns of the two faces. Their order is of no matter.
    judgement : str
        Column of how alike people find the two.
    metrics : str or sequence of str
        Columns of similarities.
    rater : str
        Column of who judged, where a pair has several rows. Pairs and raters are estimated
        together (see `pair_means`), so that it is no matter who is lenient, nor who judged what.
    errors : mapping of column to column, optional
        Columns of standard errors of the judgements (without `rater`), or of metrics.
    group_a, group_b : str
        Columns of the groups of both faces: pairs within each group and across each two are
        analysed apart, beside all.
    distances : sequence of str
        Those of `metrics`, or `judgement`, in which smaller means more alike.
    prob : float
        Probability of the intervals.
    random_seed : int
    progress : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    Alignment

    Raises
    ------
    DataError
        If a column is missing or a cell no number, a pair is there twice, a metric has two values
        of one pair, all judgements or all values of a metric are equal, a standard error is
        negative, a face is in two groups, or there are fewer than 10 pairs or faces.

    Examples
    --------
    >>> import causalbias as cb
    >>> pairs = cb.simulation.simulate_similarity(faces=14)
    >>> result = cb.analyses.analyse_alignment(
    ...     pairs, face_a="face_a", face_b="face_b", judgement="judgement", metrics="metric",
    ...     errors={"judgement": "error"})
    >>> result.found["corrected"].dims
    ('chain', 'draw', 'group', 'metric')
    """
    prob = number_in(prob, "prob", 0, 1)
    names = names_in(metrics, "metrics")
    if not names or len(set(names)) < len(names):
        raise DataError(f"metrics is {list(names)}", hint="name each column of a metric once")
    check_names(names, MADE)
    of_errors = dict(mapping_in(errors or {}, "errors", 'errors={"judgement": "se"}'))
    signs = _signs(names_in(distances, "distances"), (judgement, *names))
    if unknown := [one for one in of_errors if one not in (judgement, *names)]:
        raise DataError(
            f"errors are of {unknown[0]!r}, which is no judgement and no metric",
            hint=f"use {', '.join((judgement, *names))}",
        )
    if rater and judgement in of_errors:
        raise DataError(
            "the noise of judgements is given twice, by raters and by standard errors",
            hint="give single judgements with rater=, or means with errors=",
        )
    if bool(group_a) != bool(group_b):
        raise DataError("groups of one face only", hint="name the columns of both faces' groups")
    values = {"judgement": judgement} | {f"metric {one}": one for one in names}
    values |= {f"error {one}": column for one, column in of_errors.items()}
    text = {"face_a": face_a, "face_b": face_b, "rater": rater}
    answers = answers_in(data, text | {"group_a": group_a, "group_b": group_b}, values)
    answers.check_sides("face_a", "face_b")
    if group_a:
        answers.check_sides("group_a", "group_b")
    pairs, noise = _pairs(answers, names, judgement, signs, of_errors)
    if progress is not None:
        progress("correlations")
    found = _estimate(pairs, noise, names, judgement, random_seed)
    return Alignment(answers, found, names, prob)


def odd_one_out(
    triplets: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    faces: Sequence[str],
    odd: str,
    face_a: str,
    face_b: str,
    metrics: str | Sequence[str],
    distances: Sequence[str] = (),
    random_seed: int = 0,
) -> Estimate:
    """Estimate how often metrics find the odd one of three faces that people find.

    The odd one of a metric is the face that is not in the most similar pair; of two equal pairs,
    each counts a half, of three a third. Intervals know that triplets share faces. A metric that is
    always right (or wrong) has half an answer more of the other kind, so that it has an interval.

    Parameters
    ----------
    triplets : DataFrame
        One row per answer.
    pairs : DataFrame
        One row per pair of faces, with the metrics.
    faces : sequence of three str
        Columns of `triplets`: the faces that were shown.
    odd : str
        Column of the face that was chosen as the odd one.
    face_a, face_b, metrics, distances
        Columns of `pairs`, as in `analyse_alignment`.
    random_seed : int

    Returns
    -------
    Estimate
        ``accuracy`` (chain, draw, metric), of which chance is a third. ``people``: share of two
        answers to the same triplet that are equal (missing without repeated triplets), which no
        metric can exceed by much; ``ties`` (metric): share of triplets without a single odd one;
        ``n`` (answers), ``faces``. ``.attrs["left_out"]``: number of answers with a missing cell.

    Raises
    ------
    DataError
        If `faces` are not three columns, a triplet is not of three faces, the odd one is none of
        them, or a pair has no metric.

    Examples
    --------
    >>> import causalbias as cb
    >>> pairs = cb.simulation.simulate_similarity(faces=14)
    >>> triplets = cb.simulation.simulate_triplets(pairs)
    >>> found = cb.analyses.odd_one_out(triplets, pairs, faces=["first", "second", "third"],
    ...     odd="odd", face_a="face_a", face_b="face_b", metrics="metric")
    >>> bool(found["accuracy"].mean() > 1 / 3)
    True
    """
    names = names_in(metrics, "metrics")
    signs = _signs(names_in(distances, "distances"), names)
    columns = names_in(faces, "faces")
    if len(columns) != 3:
        raise DataError(
            f"faces is {list(columns)}", hint="name the three columns of the faces that were shown"
        )
    three = dict(zip(("f0", "f1", "f2"), columns, strict=True))
    answers = answers_in(triplets, three | {"odd": odd}, {})
    ids, is_odd = _triplets(answers)
    table = answers_in(pairs, {"face_a": face_a, "face_b": face_b}, {one: one for one in names})
    table.check_sides("face_a", "face_b")
    right, ties = [], []
    for name, similarity in _left_in_triplets(ids, table, names).items():
        left = signs[name] * similarity
        best = left == left.max(axis=1, keepdims=True)
        right.append((best & is_odd).sum(axis=1) / best.sum(axis=1))
        ties.append(float((best.sum(axis=1) > 1).mean()))
    values = np.column_stack(right)
    mean = values.mean(axis=0)
    codes = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
    covariance = covariance_of((values - mean) / len(values), codes)
    mean, at_edge = _inside(mean, len(values))
    slope = 1 / np.clip(mean * (1 - mean), 1e-6, None)
    draws = draws_of_t(
        _logit(mean),
        covariance * np.outer(slope, slope) + np.diag(at_edge),
        float(codes.max()),
        DRAWS,
        generator(random_seed, 1),
    )
    coords = {"chain": [0], "draw": np.arange(DRAWS), "metric": list(names)}
    found = xr.Dataset(
        {
            "accuracy": (("chain", "draw", "metric"), _expit(draws)[None]),
            "ties": ("metric", ties),
            "people": _agree(ids, answers.frame["odd"].astype("str").to_numpy(str)),
            "n": len(values),
            "faces": int(codes.max()) + 1,
        },
        coords=coords,
    )
    found = estimate(
        found,
        of=[],
        estimand="share of triplets in which the odd one is that of people",
        outcome="odd-one-out accuracy",
        scale="probability",
    )
    found.attrs["left_out"] = int(answers.excluded["count"].sum())
    return found


def _triplets(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Faces of each triplet (n, 3), and whether each was chosen as the odd one."""
    shown = answers.frame.astype("str")
    ids = shown[["f0", "f1", "f2"]].to_numpy(str)
    is_odd = ids == shown["odd"].to_numpy(str)[:, None]
    if (bad := is_odd.sum(axis=1) != 1).any():
        row = int(bad.argmax())
        raise answers.at_first(
            bad,
            f"the triplet {', '.join(ids[row])} with the odd one {shown['odd'].iloc[row]}",
            hint="give three different faces, and one of them as the odd one",
        )
    return ids, is_odd


def _left_in_triplets(ids: np.ndarray, table: Answers, names: Sequence[str]) -> dict[str, Floats]:
    """Each metric (n, 3) of the pair that is left where face 0, 1 or 2 of a triplet is odd."""
    known = _unordered(table.frame["face_a"], table.frame["face_b"])
    _refuse_twice(known, table.name)
    of_pair = [
        _unordered(pd.Series(ids[:, a]), pd.Series(ids[:, b])) for a, b in ((1, 2), (0, 2), (0, 1))
    ]
    lost = next((one[~one.isin(known)] for one in of_pair if not one.isin(known).all()), None)
    if lost is not None:
        in_pairs = np.unique(table.frame[["face_a", "face_b"]].astype(str))
        check_spelling(np.unique(ids), in_pairs, of="the triplets", file=table.name)
        raise DataError(
            f"no pair of {' and '.join(lost[0])} is in the table", hint="give all pairs' metrics"
        )
    rows = np.column_stack([known.get_indexer(one) for one in of_pair])
    return {name: table.frame[name].to_numpy()[rows] for name in names}


def _signs(distances: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """-1 for columns in which smaller means more alike."""
    if unknown := [one for one in distances if one not in known]:
        raise DataError(
            f"{unknown[0]!r} is among the distances, and no column in use", hint=f"use {known}"
        )
    return {one: -1.0 if one in distances else 1.0 for one in known}


def _unordered(first: pd.Series, second: pd.Series) -> pd.Index:
    """Pairs of faces as tuples, the same whichever face comes first."""
    both = zip(first.astype(str), second.astype(str), strict=True)
    return pd.Index([(a, b) if a <= b else (b, a) for a, b in both], tupleize_cols=False)


def _refuse_twice(pairs: pd.Index, file: str) -> None:
    if pairs.has_duplicates:
        raise DataError(
            f"the pair {' and '.join(pairs[pairs.duplicated()][0])} is there twice",
            hint="leave one out, or name the raters of single judgements",
            file=file,
        )


def _pairs(
    answers: Answers,
    names: Sequence[str],
    judgement: str,
    signs: Mapping[str, float],
    errors: Mapping[str, str],
) -> tuple[pd.DataFrame, dict[str, Floats]]:
    """One row a pair, and noise variances by column."""
    frame = answers.frame
    itself = frame["face_a"].astype(str) == frame["face_b"].astype(str)
    if itself.any():
        raise answers.at_first(
            itself,
            "a face is compared with itself",
            hint="leave such rows out: they are no judgement of two faces",
        )
    for one in errors:
        if (below := frame[f"error {one}"] < 0).any():
            raise answers.at_first(
                below,
                "a standard error is below zero",
                hint="give standard errors, which are positive or zero",
                ours=f"error {one}",
            )
    for ours, name in (("judgement", judgement), *((f"metric {one}", one) for one in names)):
        if frame[ours].nunique() < 2:
            raise DataError(
                f"{name} is {frame[ours].iloc[0]:g} in all rows",
                hint="a column without variation orders no pairs: use another, or leave it out",
                file=answers.name,
                column=name,
            )
    if "group_a" in frame:
        _refuse_two_groups(answers)
    frame = frame.assign(pair=_unordered(frame["face_a"], frame["face_b"]))
    noise: dict[str, Floats] = {}
    if "rater" in frame:
        frame, variance = _by_rater(frame, names, answers)
        noise[judgement] = variance
    _refuse_twice(pd.Index(frame["pair"], tupleize_cols=False), answers.name)
    for one in errors:
        noise[one] = frame[f"error {one}"].to_numpy(float) ** 2
    made = frame[["face_a", "face_b", "pair"]].copy()
    made["judgement"] = signs[judgement] * frame["judgement"]
    for one in names:
        made[one] = signs[one] * frame[f"metric {one}"]
    made["group"] = ALL
    if "group_a" in frame:
        a, b = (frame[f"group_{side}"].astype(str).to_numpy(str) for side in "ab")
        first, last = np.where(a <= b, a, b), np.where(a <= b, b, a)
        across = np.char.add(np.char.add(first, " and "), last)
        made["group"] = np.where(first == last, first, across)
        number = len(pd.DataFrame([first, last]).T.drop_duplicates())
        if number > made["group"].nunique() or ALL in set(made["group"]):
            raise DataError(
                "two groups of pairs would be called alike",
                hint=f"write labels of groups without ' and ', and none as {ALL!r}",
                file=answers.name,
                column=answers.columns["group_a"],
            )
    return made.reset_index(drop=True), noise


def _refuse_two_groups(answers: Answers) -> None:
    """Refuse faces of several groups, on either side of a pair."""
    frame = answers.frame
    sides = [frame[[f"face_{one}", f"group_{one}"]].astype(str) for one in "ab"]
    both = pd.concat([one.set_axis(["face", "group"], axis=1) for one in sides])
    odd = (both["group"] != both.groupby("face")["group"].transform("first")).to_numpy()
    if odd.any():
        raise answers.at_first(
            odd[: len(frame)] | odd[len(frame) :],
            f"face {both['face'][odd].iloc[0]!r} is in several groups",
            hint="give each face one group",
        )


def _by_rater(
    frame: pd.DataFrame, names: Sequence[str], answers: Answers
) -> tuple[pd.DataFrame, Floats]:
    """Pairs with their mean judgement, whoever judged them, and its noise variance."""
    if (again := frame.duplicated(["pair", "rater"])).any():
        raise answers.at_first(
            again,
            "a rater judged a pair twice",
            hint="give one judgement each: the second is no other person's",
        )
    constant = frame.groupby("pair")[[f"metric {one}" for one in names]].nunique().max()
    if (constant > 1).any():
        raise DataError(
            f"{constant.idxmax()} has several values of one pair",
            hint="give the metric's value of the pair in each of its rows",
            file=answers.name,
        )
    if not frame["pair"].duplicated().any():
        raise DataError(
            "no pair was judged by two raters",
            hint="leave the rater out: the noise of judgements is not known from these",
            file=answers.name,
        )
    of_pair, _ = pd.factorize(frame["pair"])
    of_rater, raters = pd.factorize(frame["rater"])
    if len(raters) > MOST and pd.Series(of_rater).duplicated().any():
        raise DataError(
            f"{len(raters):,} raters, some of whom judged several pairs",
            hint=f"raters are estimated together, up to {MOST:,}: give the pairs' means, and their "
            "standard errors as errors=",
            file=answers.name,
        )
    means, noise = pair_means(frame["judgement"].to_numpy(float), of_pair, of_rater)
    return frame.loc[~frame["pair"].duplicated()].assign(judgement=means), noise


def _estimate(
    pairs: pd.DataFrame,
    noise: Mapping[str, Floats],
    names: Sequence[str],
    judgement: str,
    random_seed: int,
) -> Estimate:
    """Correlations, ceilings and accuracies of all groups and metrics, with joint draws."""
    random = generator(random_seed)
    members = _codes(pairs)
    groups = [ALL, *sorted(set(pairs["group"]) - {ALL})]
    plain: dict[str, Floats] = {
        name: np.full((len(groups), len(names)), np.nan)
        for name in ("ceiling", "accuracy_ceiling", "reliability", "ties", "n", "faces")
    }
    kinds = ("correlation", "ceiling of each", "accuracy")
    centres, at_edge = np.full((2, len(groups), len(names), len(kinds)), np.nan)
    influence = np.zeros((len(pairs), *centres.shape))
    for g, group in enumerate(groups):
        inside = np.ones(len(pairs), bool) if group == ALL else (pairs["group"] == group).to_numpy()
        faces = len(np.unique(members[inside]))
        if inside.sum() < LEAST or faces < LEAST:
            if group != ALL:
                continue
            raise DataError(
                f"{int(inside.sum())} pairs of {faces} faces",
                hint=f"give {LEAST} or more of both: intervals are from differences of faces",
            )
        for m, name in enumerate(names):
            plain["n"][g, m], plain["faces"][g, m] = inside.sum(), faces
            centre, moved, edge, said = _cell(pairs, noise, inside, name, judgement, random)
            centres[g, m], at_edge[g, m] = centre, edge
            influence[inside, g, m] = moved / inside.sum()
            for key, value in said.items():
                plain[key][g, m] = value
    return _as_estimate(
        pairs, groups, names, centres, at_edge, influence, plain, members, random_seed
    )


def _cell(
    pairs: pd.DataFrame,
    noise: Mapping[str, Floats],
    inside: NDArray[np.bool_],
    name: str,
    judgement: str,
    random: np.random.Generator,
) -> tuple[list[float], Floats, list[float], dict[str, float]]:
    """Statistics of one group and metric on scales without ends, with influence (rows, 3).

    The third is the variance of statistics that are at the end of their scale.
    """
    judged, metric = (pairs.loc[inside, one].to_numpy(float) for one in ("judgement", name))
    rho, by_rank = spearman(judged, metric)
    share, ties, by_order = accuracy(judged, metric, random)
    log_ceiling, moved, said = 0.0, np.zeros(len(judged)), {"ties": ties}
    for column, values in ((judgement, judged), (name, metric)):
        if column not in noise:
            continue
        reliability, by_noise = noise_share(values, noise[column][inside])
        top, top_accuracy = ceilings(values, noise[column][inside], reliability, random)
        log_ceiling += np.log(top)
        moved = moved + by_noise / (2 * reliability)
        if column == judgement:
            said |= {"reliability": reliability, "accuracy_ceiling": top_accuracy}
    if judgement in noise:
        said["ceiling"] = float(np.exp(log_ceiling))
    else:
        log_ceiling = np.nan
    # The correlation as the share (1 + rho) / 2, whose logit is twice arctanh(rho).
    (half, share), edge = _inside(np.array([(1 + rho) / 2, share]), len(judged))
    rho = 2 * half - 1
    slopes = 1 / max(1 - rho**2, 1e-9), 1 / max(share * (1 - share), 1e-9)
    centre = [float(np.arctanh(rho)), log_ceiling, float(_logit(np.array(share)))]
    moved = np.column_stack([by_rank * slopes[0], moved, by_order * slopes[1]])
    return centre, moved, [edge[0] / 4, 0.0, edge[1]], said


def _as_estimate(
    pairs: pd.DataFrame,
    groups: Sequence[str],
    names: Sequence[str],
    centres: Floats,
    at_edge: Floats,
    influence: Floats,
    plain: Mapping[str, Floats],
    members: NDArray[np.int64],
    random_seed: int,
) -> Estimate:
    known = np.isfinite(centres)
    flat = np.where(known, influence, 0).reshape(len(pairs), -1)
    few = np.nanmin(plain["faces"])
    covariance = covariance_of(flat, members) + np.diag(np.where(known, at_edge, 0).ravel())
    draws = draws_of_t(
        np.where(known, centres, 0).ravel(),
        covariance,
        few - 1,
        DRAWS,
        generator(random_seed, 1),
    )
    z = np.where(known, draws.reshape(DRAWS, *centres.shape), np.nan)
    correlation = np.tanh(z[..., 0])
    drawn = {
        "correlation": correlation,
        "corrected": correlation / np.exp(z[..., 1]),
        "accuracy": _expit(z[..., 2]),
    }
    dims = ("chain", "draw", "group", "metric")
    found = xr.Dataset(
        {name: (dims, one[None]) for name, one in drawn.items()}
        | {name: (dims[2:], one) for name, one in plain.items()},
        coords={
            "chain": [0],
            "draw": np.arange(DRAWS),
            "group": list(groups),
            "metric": list(names),
        },
    )
    return estimate(
        found,
        of=[],
        variable="correlation",
        estimand="Spearman correlation of metrics with judgements of pairs",
        outcome="rank correlation with judgements",
        scale="correlation",
    )


def _inside(share: Floats, n: int) -> tuple[Floats, Floats]:
    """Shares of n of which those at 0 or 1 have half a one more of the other kind.

    Returns
    -------
    shares, variance : ndarray
        The variance is that of the half one, (1/2)^2 / (n + 1)^2, on the logit scale; 0 of shares
        that are not at an end.
    """
    end = (share < 1e-9) | (share > 1 - 1e-9)
    moved = np.where(end, (n * np.round(share) + 0.5) / (n + 1), share)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (0.5 / (n + 1) / (moved * (1 - moved))) ** 2
    return moved, np.where(end, variance, 0.0)


def _codes(pairs: pd.DataFrame) -> NDArray[np.int64]:
    both = pairs[["face_a", "face_b"]].astype(str).to_numpy(str)
    return np.unique(both, return_inverse=True)[1].reshape(both.shape).astype(np.int64)


def _agree(ids: NDArray[np.str_], odd: NDArray[np.str_]) -> float:
    """Share of two answers to the same triplet that are equal; missing if none was asked twice."""
    frame = pd.DataFrame({"triplet": ["|".join(sorted(one)) for one in ids], "odd": odd})
    each = frame.groupby(["triplet", "odd"]).size()
    total = each.groupby(level=0).sum()
    equal, both = (each * (each - 1)).sum(), (total * (total - 1)).sum()
    return float(equal / both) if both else np.nan


def _logit(share: Floats) -> Floats:
    inner = np.clip(share, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inner / (1 - inner)))


def _expit(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))
