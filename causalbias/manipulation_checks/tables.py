"""Tables of manipulation checks: change of the attribute, change of others, identity."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from causalbias.agreement.counts import first_answers
from causalbias.datasets.causalface.layout import PAIR_QUESTION
from causalbias.errors import DataError
from causalbias.manipulation_checks.moves import is_own, moved_faces, moved_pairs, references
from causalbias.rates.enrolment import rate_interval
from causalbias.rates.matching import matches
from causalbias.study.frames import to_frame
from causalbias.study.tables import check_columns, check_known
from causalbias.study.tree import factors_of

UNITS = ["attribute", "level", "question"]


def dose(
    study: xr.DataTree, scores: pd.DataFrame | None = None, *, prob: float = 0.95
) -> pd.DataFrame:
    """Estimate the perceived change of the manipulated attribute at every level.

    Parameters
    ----------
    study : DataTree
        A study with judgements of faces or of cells of the design. Its factors are attribute and
        level (one attribute changes at a time), or crossed. A numeric crossed factor is an
        attribute whose values are the levels; a crossed factor of text has one attribute for each
        level except the first ("race[black]"), with level 1 for this level and 0 for the first.
        Faces are compared that agree in all other factors.
    scores : DataFrame, optional
        Scores of one classifier (`cb.recognition.classify`), which are used instead of the
        judgements: `stimulus`, `question`, `score`, and `judge` if there is one. Faces with a
        missing score are left out.
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        `attribute`, `level`, `question` (with the name of the attribute, of the crossed factor or
        of its level, or "expression" for smiling), `estimate` (mean change of the score from the
        reference level, in points of the question's scale), and a t interval `lower`, `upper` over
        `n` units. The units (`over`) are seeds or, if judgements are of cells, annotators.

    Raises
    ------
    DataError
        If no question is about an attribute, or the scores are of several judges.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.manipulation_checks.dose(cb.demo_study())["n"].unique().tolist()
    [40]
    """
    seen, over = _seen(study, scores)
    pairs = zip(seen["attribute"], seen["question"], strict=True)
    own = seen[[is_own(attribute, question) for attribute, question in pairs]]
    if own.empty:
        raise DataError(
            f"no question is about {', '.join(map(str, seen['attribute'].unique()))}",
            hint="ask about the manipulated attributes, or give a classifier's scores",
        )
    own = _changes(own, references(study))
    rows = []
    for key, part in own.groupby(UNITS):
        change = part.groupby("unit")["change"].mean()
        rows.append((*key, *_t_interval(change, prob), len(change), over))
    columns = [*UNITS, "estimate", "lower", "upper", "n", "over"]
    return pd.DataFrame(rows, columns=columns)


def leaks(
    study: xr.DataTree, scores: pd.DataFrame | None = None, *, prob: float = 0.95
) -> pd.DataFrame:
    """Estimate the leak matrix: the effect of each manipulation on every perceived attribute.

    For each face (seed and group), the score is regressed on the level. The slopes are averaged
    over groups, and then over seeds.

    Parameters
    ----------
    study, scores, prob
        As in `dose`.

    Returns
    -------
    DataFrame
        `attribute` (manipulated), `question` (perceived), `own` (whether the question is about this
        attribute), `estimate` (change of the score from the lowest to the highest level, in points
        of the question's scale), a t interval `lower`, `upper` over `n` units (`over`: seeds or
        annotators), and `clear` (whether the interval excludes zero). The intervals are not
        adjusted for multiplicity: without leaks, 1 of 20 excludes zero by chance at 95%.

    Raises
    ------
    DataError
        If the study manipulates nothing, or has neither judgements nor scores.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=8, levels={"age": [0.8, 2.6, 4.4]}, impostors=2, random_seed=1)
    >>> found = cb.manipulation_checks.leaks(study)
    >>> found[found["own"]]["clear"].tolist()
    [True]
    """
    seen, over = _seen(study, scores)
    rows = []
    for (attribute, question), part in seen.groupby(["attribute", "question"]):
        levels = part["level"]
        centred = levels - levels.groupby(part["face"]).transform("mean")
        inside = centred.pow(2).groupby(part["face"]).sum()
        slope = (centred * part["score"]).groupby(part["face"]).sum() / inside.where(inside > 0)
        unit = part.groupby("face")["unit"].first()
        attribute, question = str(attribute), str(question)
        mean = slope.dropna().groupby(unit).mean() * (levels.max() - levels.min())
        if len(mean):
            own = is_own(attribute, question)
            rows.append((attribute, question, own, *_t_interval(mean, prob), len(mean), over))
    columns = ["attribute", "question", "own", "estimate", "lower", "upper", "n", "over"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(clear=(table["lower"] > 0) | (table["upper"] < 0))


def identity_kept(study: xr.DataTree, *, prob: float = 0.95) -> pd.DataFrame:
    """Estimate how far each manipulation changes identity, by distances and by human judgements.

    Parameters
    ----------
    study : DataTree
        A study with factors as in `dose`, and with distances or judgements of identity.
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    DataFrame
        `measure` (a system, or "HCIC"), `attribute`, `level`, `estimate` (mean distance, or mean
        human confidence that both faces show the same person), with a t interval over `n` seeds.
        `beyond`, with an interval, is the share of pairs that do not match at the system's
        threshold; it is missing for HCIC, and for systems without a threshold.

    Raises
    ------
    DataError
        If there are no pairs of a changed and the unchanged face, or no distances and judgements of
        them.

    Examples
    --------
    >>> import causalbias as cb
    >>> cb.manipulation_checks.identity_kept(cb.demo_study())["measure"].unique().tolist()
    ['simulated net']
    """
    parts = []
    if "machine" in study.children:
        machine = to_frame(study, "machine").query("status == 'ok'")
        machine = machine.rename(columns={"system": "measure", "distance": "value"})
        parts.append(moved_pairs(machine, study))
    if "human" in study.children and "pairs" in study.children and _asked(study, PAIR_QUESTION):
        human = to_frame(study, "human")
        answers = first_answers(human[human["question"] == PAIR_QUESTION])
        mean = answers.groupby("pair")["score"].mean().rename("value")
        pairs = to_frame(study, "pairs").set_index("pair")
        human = pairs.join(mean, how="inner").assign(measure="HCIC")
        parts.append(moved_pairs(human.reset_index(), study))
    if not parts or not sum(len(part) for part in parts):
        raise DataError(
            "there are no distances or judgements of pairs of a changed and the unchanged face",
            hint="embed the faces (with_distances), or ask whether two faces show the same person",
        )
    identity = str(study.attrs["identity"])
    rows = []
    for key, part in pd.concat(parts).groupby(["measure", "attribute", "moved_to"]):
        mean = part.groupby(identity)["value"].mean()
        known = "threshold" in part and part["threshold"].notna().all()
        beyond = (
            ~matches(part["value"].to_numpy(float), part["threshold"].to_numpy(float))
            if known
            else np.empty(0, bool)
        )
        rate = (
            (beyond.mean(), *rate_interval(beyond, part[identity].to_numpy(), prob))
            if known
            else (np.nan,) * 3
        )
        rows.append((*key, *_t_interval(mean, prob), len(mean), *rate))
    columns = ["measure", "attribute", "level", "estimate", "lower", "upper", "n"]
    return pd.DataFrame(rows, columns=[*columns, "beyond", "beyond_lower", "beyond_upper"])


def _seen(study: xr.DataTree, scores: pd.DataFrame | None) -> tuple[pd.DataFrame, str]:
    """Return mean scores by unit, face, attribute, level and question, and the kind of units."""
    factors = factors_of(study)
    if "stimuli" not in study.children:
        raise DataError("the study has no faces", hint="give the stimuli to make_study")
    identity = str(study.attrs["identity"])
    if scores is None:
        if "human" not in study.children:
            raise DataError(
                "the study has no judgements", hint="ask people, or give a classifier's scores"
            )
        frame = to_frame(study, "human")
        if "stimulus" in frame:
            frame = first_answers(frame[frame["stimulus"].notna()])
    else:
        check_columns(scores, ["stimulus", "question", "score"], file="scores")
        faces = to_frame(study, "stimuli").set_index("stimulus")
        check_known(
            scores["stimulus"], faces.index, what="stimulus", file="scores", column="stimulus"
        )
        _check_one_judge(scores)
        known = scores[["stimulus", "question", "score"]].dropna(subset="score")
        frame = known.join(faces[factors], on="stimulus")
    identified = {"attribute", "level"} & set(factors) <= set(frame)
    if frame.empty or not identified or ("pair" in frame and "stimulus" not in frame):
        raise DataError(
            "the study has no judgements of single faces",
            hint="ask about single faces, and not only about pairs",
        )
    by_face = "stimulus" in frame
    # Judgements of cells of the design are means over faces, and are compared within annotators.
    within = [] if by_face else ["annotator"]
    factors = [name for name in factors if by_face or (name in frame and name != identity)]
    check_columns(frame, [*within, *factors, "question", "score"], file="/human")
    mean = frame.groupby([*within, *factors, "question"])["score"].mean().reset_index()
    unit = identity if by_face else "annotator"
    mean = moved_faces(mean, study, within).assign(unit=lambda rows: rows[unit])
    return mean, "seeds" if by_face else "annotators"


def _check_one_judge(scores: pd.DataFrame) -> None:
    """Refuse scores of several judges, which would be averaged."""
    judges = scores["judge"].unique().tolist() if "judge" in scores else []
    if len(judges) > 1:
        raise DataError(
            f"the scores are of {len(judges)} judges: {', '.join(map(str, judges))}",
            hint=f"check the scores of one at a time: scores[scores['judge'] == {judges[0]!r}]",
        )


def _changes(seen: pd.DataFrame, origins: Mapping[str, float]) -> pd.DataFrame:
    """Compute the `change` of each row from the same face at the reference level."""
    origin = seen.groupby("attribute")["level"].transform("min")
    origin = seen["attribute"].map(dict(origins)).astype(float).fillna(origin)
    key = ["face", "attribute", "question"]
    rest = seen[seen["level"] == origin].set_index(key)["score"]
    base = rest.reindex(pd.MultiIndex.from_frame(seen[key])).to_numpy()
    moved = seen.assign(change=seen["score"] - base)
    return moved[(seen["level"] != origin) & moved["change"].notna()]


def _asked(study: xr.DataTree, question: str) -> bool:
    return question in study["questions"]["question"].to_numpy()


def _t_interval(values: pd.Series, prob: float) -> tuple[float, float, float]:
    """Compute a mean and its t interval, which is unbounded for a single value."""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, -np.inf, np.inf
    half = float(stats.t.ppf((1 + prob) / 2, n - 1) * values.std() / np.sqrt(n))
    return mean, mean - half, mean + half
