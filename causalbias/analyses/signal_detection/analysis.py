"""Signal detection: d' and criterion of people's answers, by own and other group."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri
from scipy.stats import t as t_distribution

from causalbias.analyses.fitting import fit_model
from causalbias.analyses.own_group import answers_contrasted, check_groups, own_group_contrast
from causalbias.analyses.yes_no import said_yes
from causalbias.arguments import flag_in, number_in, whole_in
from causalbias.datasets.answers import Answers, answers_in
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.estimands.contrasts import predictions
from causalbias.models.formula.parts import formula
from causalbias.models.result import Fit
from causalbias.study.columns import by_levels

WORDS = {"d_prime": "d'", "d_a": "d_a", "criterion": "the criterion"}
KINDS = ("hits", "misses", "false_alarms", "correct_rejections")


@dataclass(frozen=True, repr=False)
class SignalDetection(Listed):
    """Result of `analyse_signal_detection`.

    Attributes
    ----------
    answers : Answers
        The table, as columns `subject`, `face`, `signal`, `answer`, `face_group`, `subject_group`.
    fit : Fit
        The probit model; ordinal for confidence ratings.
    found : Estimate
        ``d_prime`` and ``criterion`` (chain, draw, *groups), of the mean of subjects and faces in
        their populations, in standard deviations of the noise of a single answer. A positive
        criterion: "new" is said more often than "old". With unequal variances, ``d_a`` in place of
        ``d_prime``, and ``criterion`` is c_a.
    own_group : Estimate or None
        Of the same names (chain, draw): mean of the cells in which face and subject are of one
        group, minus the mean of those in which they are not. ``n``: answers in these cells.
    zroc_slope : Estimate or None
        ``zroc_slope`` (chain, draw): standard deviation of the evidence on noise over that on
        signals. None where they are taken as equal.
    counts : DataFrame
        By groups: `hits`, `misses`, `false_alarms`, `correct_rejections`, `subjects`, `faces`, and
        `d_prime`, `criterion`: means over subjects, with the log-linear correction of Hautus
        (1995), in which differences between faces count as noise.
    by_hand : DataFrame
        The own-group effects by differences of each subject's own d' and criterion (log-linear
        correction), with Student's t intervals over subjects: `measure`, `estimate`, `lower`,
        `upper`, `subjects`. Faces are held, and subjects may differ in the effect. Empty unless
        both groups are given and subjects saw faces of several.
    prob : float
        Probability of the intervals.
    old_from : int or None
        The lowest step of confidence that was taken as "old".
    """

    answers: Answers
    fit: Fit
    found: Estimate
    own_group: Estimate | None
    zroc_slope: Estimate | None
    counts: pd.DataFrame
    by_hand: pd.DataFrame
    prob: float
    old_from: int | None = None


def analyse_signal_detection(
    data: pd.DataFrame | str | Path,
    *,
    subject: str,
    face: str,
    signal: str,
    answer: str = "",
    confidence: str = "",
    old_from: int | None = None,
    unequal_variance: bool = False,
    face_group: str = "",
    subject_group: str = "",
    prob: float = 0.95,
    draws: int = 1000,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> SignalDetection:
    """Estimate how well people tell old from new faces (or same from different), by group.

    A probit model of the answers is the equal-variance model of signal detection (DeCarlo 1998,
    Psychological Methods 3(2)): with s = 1/2 for signals and -1/2 for noise,

    P(answer "old") = Phi(d' s - c + effects of subject and face).

    Subjects and faces have levels and slopes by s of their own, so that intervals are of both
    populations and no correction of rates of 0 and 1 is needed (Rouder and Lu 2005, Psychonomic
    Bulletin & Review 12(4)). Confidence is modelled as ordinal, by a cumulative probit model. The
    model has one own-group effect for all subjects: `by_hand` has the interval over subjects. In
    164 simulated studies of 20 subjects and 24 faces, in which subjects differed little in it, 90%
    intervals of the own-group effect on d' held the truth in 87%, and those of d' in 93%.

    With `unequal_variance`, the standard deviation of the evidence is exp(-a s), so that

    P(confidence <= k) = Phi(exp(a s) (threshold_k - d s - effects of subject and face)),

    and exp(a) is the slope of the ROC in normal coordinates. Sensitivity and criterion are those of
    Simpson and Fitter (1973), in units of the root mean square of both standard deviations: d_a =
    sqrt(2 / (1 + b^2)) (z(hits) - b z(false alarms)) and c_a = -sqrt(2) b / (sqrt(1 + b^2) (1 + b))
    (z(hits) + z(false alarms)), with b the slope (Macmillan and Creelman 2005, Detection Theory,
    chapter 3; Wickens 2002, chapter 3). The slope is one for all subjects and groups.

    Parameters
    ----------
    data : DataFrame or path
        One row per answer, or a CSV, TSV or Parquet file of such rows.
    subject, face : str
        Columns of who answered, and of the face or pair.
    signal : str
        Column that says whether the face was old, or a pair of one person: true or false, 1 or 0,
        old or new, same or different, target or lure.
    answer : str
        Column of the answers, in such words.
    confidence : str
        In its place, column of whole numbers, the highest for the surest "old" ("same").
    old_from : int, optional
        The lowest step of confidence that says "old": 4 on a scale from 1 to 6. By default the
        upper half of the scale, if the scale is clear from the answers: all of 1, ..., 2m, or of
        0, ..., 2m-1, or of -m, ..., m without 0 were used.
    unequal_variance : bool
        Of confidence: whether evidence on old faces may vary more, or less, than that on new ones,
        as in recognition memory it does.
    face_group, subject_group : str
        Columns of the groups of faces and of subjects. Own-group effects need both.
    prob : float
        Probability of the intervals.
    draws, random_seed, progress, keep
        As in `analyse_ratings`.

    Returns
    -------
    SignalDetection
        Rows with a missing cell are left out, and counted in ``answers.excluded``.

    Raises
    ------
    DataError
        If a column is missing, a cell does not say yes or no, all answers or all faces are of one
        kind, a subject or a face is in two groups, or groups of faces and subjects share no name;
        if a column of truth values is named for new faces, as ``is_new``; if it is not clear which
        steps of confidence say "old"; if variances may differ and answers have two or fewer steps,
        which cannot tell.

    Examples
    --------
    >>> import causalbias as cb
    >>> trials = cb.simulation.simulate_recognition(subjects=8, faces=12)
    >>> found = cb.analyses.analyse_signal_detection(
    ...     trials, subject="subject", face="face", signal="old", answer="answer", draws=100)
    >>> list(found.found.data_vars)[:2]
    ['d_prime', 'criterion']
    """
    prob = number_in(prob, "prob", 0, 1)
    if bool(answer) == bool(confidence):
        raise DataError(
            "answers are not named, or twice", hint="give either answer= or confidence="
        )
    text = {"subject": subject, "face": face, "signal": signal, "answer": answer}
    groups = {"face_group": face_group, "subject_group": subject_group}
    answers = answers_in(data, text | groups, {"confidence": confidence})
    answers.check_once()
    rows = _coded(answers, old_from)
    by = [one for one in groups if one in rows]
    mean = formula_of(rows, by)
    if flag_in(unequal_variance, "unequal_variance"):
        _check_steps(rows, answers)
    fit = fit_model(
        formula(mean, disc="~ signal") if unequal_variance else mean,
        rows,
        "answers",
        progress=progress,
        keep=keep,
        family="cumulative" if "confidence" in rows else "bernoulli",
        link="probit",
        draws=draws,
        random_seed=random_seed,
    )
    slope = _slope(fit) if unequal_variance else None
    found = _sensitivity(fit, by, rows, slope)
    return SignalDetection(
        answers,
        fit,
        found,
        _own_group(found, by),
        slope,
        _counts(rows, by),
        _by_hand(rows, prob) if len(by) == 2 else pd.DataFrame(),
        prob,
        int(rows.loc[rows["said"] == 1, "confidence"].min()) if confidence else None,
    )


def formula_of(rows: pd.DataFrame, by: list[str]) -> str:
    """Formula of the model: what the design can tell.

    Examples
    --------
    >>> import causalbias as cb
    >>> trials = cb.simulation.simulate_recognition(4, 6)
    >>> formula_of(trials.assign(signal=trials["old"] - 0.5), ["face_group"])
    'confidence ~ signal*face_group + (signal|subject) + (signal|face)'
    """
    several = [one for one in by if rows[one].nunique() > 1]
    response = "confidence" if "confidence" in rows else "said"
    terms = ["*".join(["signal", *several])]
    for one in ("subject", "face"):
        kinds = rows.groupby(one, observed=True)["signal"].nunique()
        terms.append(f"(signal|{one})" if (kinds > 1).sum() > 1 else f"(1|{one})")
    return f"{response} ~ {' + '.join(terms)}"


def _coded(answers: Answers, old_from: int | None = None) -> pd.DataFrame:
    """Rows with the signal as 1/2 and -1/2, and answers as 1 (old) or 0 beside the confidence."""
    rows = answers.frame.copy()
    for one in ("subject", "face"):
        if rows[one].nunique() < 2:
            raise DataError(
                f"all answers are of one {one}, {rows[one].iloc[0]!r}",
                hint="give two or more: the estimates are of the population that they are of",
                file=answers.name,
                column=answers.columns[one],
            )
    check_groups(answers, {"face": "face_group", "subject": "subject_group"})
    rows["signal"] = np.where(said_yes(rows["signal"], answers, "signal"), 0.5, -0.5)
    if "answer" in rows:
        if old_from is not None:
            raise DataError("old_from without confidence", hint="it is a step of confidence=")
        rows["said"] = said_yes(rows["answer"], answers, "answer").astype(int)
        rows = rows.drop(columns="answer")
    else:
        whole = rows["confidence"]
        if (odd := whole != np.round(whole)).any():
            raise answers.at_first(
                odd,
                "confidence is not a whole number",
                hint="number its steps",
                ours="confidence",
            )
        rows["confidence"] = whole.astype(int)
        first = _first_old(rows["confidence"], answers, old_from)
        rows["said"] = (rows["confidence"] >= first).astype(int)
    answered = "confidence" if "confidence" in rows else "answer"
    for one, what, ours in (("signal", "faces", "signal"), ("said", "answers", answered)):
        if rows[one].nunique() < 2:
            raise DataError(
                f"all {what} are of one kind",
                hint="sensitivity needs old and new faces, and both answers",
                file=answers.name,
                column=answers.columns[ours],
            )
    return rows


def _first_old(confidence: pd.Series, answers: Answers, old_from: int | None) -> int:
    """The lowest step of confidence that says old; the answers show it on some scales only."""
    if old_from is not None:
        return whole_in(old_from, "old_from", -1000)
    used = sorted(set(confidence))
    half = len(used) // 2
    scales = {
        tuple(range(1, 2 * half + 1)): half + 1,
        tuple(range(2 * half)): half,
        (*range(-half, 0), *range(1, half + 1)): 1,
    }
    if not half or tuple(used) not in scales:
        raise DataError(
            f"it is not clear which confidence says old: {', '.join(map(str, used))} were used",
            hint="give the lowest that says old: old_from=4 of 1 to 6",
            file=answers.name,
            column=answers.columns["confidence"],
        )
    return scales[tuple(used)]


def _check_steps(rows: pd.DataFrame, answers: Answers) -> None:
    """Refuse answers that cannot tell variances apart: two points of the ROC are needed."""
    if "confidence" not in rows:
        raise DataError(
            "answers of two kinds do not tell two variances apart",
            hint="give confidence=, a column of three steps or more, or leave unequal_variance out",
            file=answers.name,
            column=answers.columns["answer"],
        )
    if rows["confidence"].nunique() < 3:
        raise DataError(
            "two steps of confidence do not tell two variances apart",
            hint="give three steps or more, or leave unequal_variance out",
            file=answers.name,
            column=answers.columns["confidence"],
        )


def _slope(fit: Fit) -> Estimate:
    """Slope of the ROC in normal coordinates: the discrimination of signals over that of noise."""
    disc = fit.children["posterior"].to_dataset()["disc_signal"]
    return estimate(
        xr.Dataset({"zroc_slope": xr.apply_ufunc(np.exp, disc)}),
        of=[fit],
        variable="zroc_slope",
        estimand="standard deviation of the evidence on noise, over that on signals",
        outcome="slope of the zROC",
        scale="ratio",
        population="new",
    )


def _sensitivity(fit: Fit, by: list[str], rows: pd.DataFrame, slope: Estimate | None) -> Estimate:
    """Sensitivity and criterion of each cell, from the linear predictor at signal and at noise."""
    cells = predictions(fit, ["signal", *by], scale="link")
    level = cells["prediction"]
    first, second = sorted(level["signal"].values, key=float)
    noise, signal = (level.sel(signal=one, drop=True) for one in (first, second))
    cut = _threshold(fit, rows) if "confidence" in rows else 0.0
    ratio = xr.ones_like(signal) if slope is None else slope["zroc_slope"]
    sensitivity, criterion = in_both_noises(signal - cut, noise - cut, ratio)
    name = "d_prime" if slope is None else "d_a"
    found = xr.Dataset({name: sensitivity, "criterion": criterion})
    found = found.transpose(*level.dims[:2], ...).assign(n=cells["n"].sum("signal"))
    return estimate(
        found,
        of=[fit],
        variable=name,
        estimand="sensitivity of answers, and criterion",
        outcome=WORDS[name],
        scale="standard deviations",
        population="new",
    )


def in_both_noises(
    signal: xr.DataArray, noise: xr.DataArray, slope: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Sensitivity and criterion, d_a and c_a, from means of the evidence above the cut.

    The noise's standard deviation is sqrt(b) and the signals' 1 / sqrt(b), b the slope of the ROC
    in normal coordinates; with b of 1 these are d' and c.

    Examples
    --------
    >>> values = in_both_noises(*(xr.DataArray(one) for one in (1.0, -0.5, 1.0)))
    >>> [float(one) for one in values]
    [1.5, -0.25]
    """
    hits, alarms = signal * slope**0.5, noise / slope**0.5
    unit = (2 / (1 + slope**2)) ** 0.5
    return unit * (hits - slope * alarms), -unit * slope / (1 + slope) * (hits + alarms)


def _threshold(fit: Fit, rows: pd.DataFrame) -> xr.DataArray:
    """The threshold above which answers say old: below it are the used steps that say new."""
    thresholds = fit.children["posterior"].to_dataset()["threshold"]
    dim = next(str(one) for one in thresholds.dims if one not in ("chain", "draw"))
    below = rows.loc[rows["said"] == 0, "confidence"].nunique()
    return thresholds.isel({dim: below - 1}, drop=True)


def _own_group(found: Estimate, by: list[str]) -> Estimate | None:
    """The own-group contrasts of d' and of the criterion."""
    if len(by) < 2 or not set(by) <= set(found["criterion"].dims):
        return None
    parts = {
        name: own_group_contrast(found[name], "face_group", "subject_group")
        for name in WORDS
        if name in found
    }
    known = {name: one for name, one in parts.items() if one is not None}
    if not known:
        return None
    return estimate(
        xr.Dataset(known | {"n": answers_contrasted(found["n"], "face_group", "subject_group")}),
        of=[found],
        variable=next(iter(known)),
        estimand="own-group effect: faces and subjects of one group, minus of two",
        outcome=f"own-group effect on {WORDS[next(iter(known))]}",
        scale="standard deviations",
        population="new",
    )


def _counts(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Counts of answers and log-linear d' and criterion, by groups in the order of the data."""
    frame = _kinds(rows)
    frame = frame.assign(**{one: by_levels(frame[one]) for one in by})
    found = []
    for key, part in frame.groupby(by, observed=True) if by else [((), frame)]:
        each = _log_linear(part, ["subject"])
        label = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        found.append(
            label
            | {one: int(each[one].sum()) for one in KINDS}
            | {"subjects": len(each), "faces": part["face"].nunique()}
            | {one: float(each[one].mean()) for one in ("d_prime", "criterion")}
        )
    return pd.DataFrame(found)


def _by_hand(rows: pd.DataFrame, prob: float) -> pd.DataFrame:
    """Own-group effects from differences within subjects, with intervals over subjects."""
    each = _log_linear(_kinds(rows), ["subject", "subject_group", "face_group"]).reset_index()
    own = each["subject_group"].astype(str) == each["face_group"].astype(str)
    found = []
    for measure in ("d_prime", "criterion"):
        means = [
            each[which].groupby(["subject_group", "subject"], observed=True)[measure].mean()
            for which in (own, ~own)
        ]
        groups = (means[0] - means[1]).dropna().groupby(level=0, observed=True)
        size, group = groups.size(), groups.mean()
        if len(group) < 2 or (size < 2).any():
            return pd.DataFrame()
        part = groups.var(ddof=1) / size
        error = float(np.sqrt(part.sum())) / len(group)
        # Welch's degrees of freedom, as the groups of subjects may differ in spread.
        degrees = float(part.sum() ** 2 / (part**2 / (size - 1)).sum())
        width = t_distribution.ppf((1 + prob) / 2, degrees) * error
        middle = float(group.mean())
        found.append(
            {
                "measure": measure,
                "estimate": middle,
                "lower": middle - width,
                "upper": middle + width,
                "subjects": int(size.sum()),
            }
        )
    return pd.DataFrame(found)


def _kinds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with which of the four kinds of answer each is."""
    said, old = rows["said"] == 1, rows["signal"] > 0
    every = (old & said, old & ~said, ~old & said, ~old & ~said)
    return rows.assign(**dict(zip(KINDS, every, strict=True)))


def _log_linear(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Counts, d' and criterion by groups of rows (Hautus 1995): half an answer more of each kind.

    A group without signals, or without noise, has no d'.
    """
    each = frame.groupby(by, observed=True)[list(KINDS)].sum()
    old, new = each["hits"] + each["misses"], each["false_alarms"] + each["correct_rejections"]
    hit = ndtri(((each["hits"] + 0.5) / (old + 1)).where(old > 0))
    alarm = ndtri(((each["false_alarms"] + 0.5) / (new + 1)).where(new > 0))
    return each.assign(d_prime=hit - alarm, criterion=-(hit + alarm) / 2)
