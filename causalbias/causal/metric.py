"""What a unit of each perceived change is worth in distance, to networks and to people."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import described, generator, name_in, names_in, number_in, whole_in
from causalbias.causal.perceived_changes import PAIR, Changes, changes_of, read_scores
from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import RATIO, SAMPLE
from causalbias.errors import DataError, at_first
from causalbias.inference.diagnostics import diagnose, verdict
from causalbias.inference.problem import FloatArray
from causalbias.inference.squared_distance import SquaredDistances, sample_metric
from causalbias.models.levels import Level, canonical, levels_of, reference_of
from causalbias.study.columns import check_groups
from causalbias.study.tables import check_columns, check_frame, check_spelling, number_column

FILE = "distances"
LEAST_CLUSTERS = 5
PRIOR_SD = float(np.sqrt(1 - 2 / np.pi))  # of a half-normal of scale 1
KIND = "same_identity"
CLUSTER = "__cluster"  # the cluster's column, whatever the user's is called
OF_RESULT = (
    *("worth", "relative", "ratio", "correlation", "floor", "seed_sd", "own_sd", "bounded"),
    *("moved", "reliability", "tolerance", "prior_share", "estimable", "n", "clusters"),
    *("left_out", "question", "other"),
)
ASSUMES = (
    "that the squared distance is a quadratic form in what was scored, plus a floor that does not "
    "depend on it: what moved and was not scored counts for what it moved together with."
)


def perceived_metric(
    distances: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    cluster: str = "seed",
    by: str | None = None,
    reference: object = None,
    moved: str | Sequence[str] = (),
    score_error: object = None,
    floor: float | None = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    random_seed: int = 0,
) -> Estimate:
    """Estimate how many units of distance a unit of each perceived change is worth.

    A distance grows whichever way a face changes, so that it is no sum of effects. It is a length:
    with d the perceived changes between two faces,

        E[D^2] = floor^2 + d' M d,    M positive semi-definite.

    The root of a diagonal entry of M is an attribute's *worth*, the distance that one unit of its
    change makes if nothing else changes and there were no noise. Off the diagonal are the cosines
    of the attributes' directions: whether two changes together go further than apart. The *floor*
    is what distances are between two renderings of one face.

    Changes are differences between scores of the two faces, which have error. What is wanted is the
    mean of ``d d'`` given the scores, and that is known: differences are shrunken by their error,
    and the covariance of what is left unknown is added. Seeds have metrics of their own, about the
    mean one; worth and correlation are those of the mean. `causalbias.inference.squared_distance`
    states the likelihood and the priors. In short: worths are half-normal, with the scale at which
    an attribute's usual change alone would make the usual distance; correlations are uniform over
    correlation matrices.

    Distances of people and of networks have different units, and no ratio of their worths means
    anything. *Relative* worths, each divided by the geometric mean of all, have none, and their
    ratio says to whom an attribute counts for more among the attributes scored.

    Parameters
    ----------
    distances : DataFrame
        Columns `stimulus_a`, `stimulus_b`, `distance` (0 for what is the same, or a dissimilarity
        that people judged), and the cluster's. A pair may have several rows, as of annotators:
        their mean is taken, and its noise is known from them. A face beside itself is a rendering
        again, which tells the floor. Rows without a distance are left out.
    scores : DataFrame
        Columns `stimulus`, `question` (the attribute), `score`, and `annotator` if people scored.
        A pair counts if both faces have a score for every question.
    cluster : str, default "seed"
        Column of `distances`: what pairs share. A face belongs to one cluster.
    by : str, optional
        Column of `distances`: the judge, a network or people. Each has a metric of its own.
    reference : optional
        The judge with whom others are compared; by default the first.
    moved : str or sequence of str, optional
        Columns of `distances` that say what was manipulated in a pair, such as
        ``["attribute", "level_a", "level_b"]``. Changes are shrunken towards the mean of pairs that
        are alike in them, and towards zero without: that is right where changes of all pairs
        together are normal, and not where most pairs change little and a few change much.
    score_error : float or mapping, optional
        Standard deviation of the error of a face's score, for all or by question, in place of the
        one that annotators' differences show. It has to be given where each face has one score; 0
        if scores are exact.
    floor : float, optional
        The floor where it is known, in units of the distance. It is estimated else.
    draws, tune, chains : int
        Of NUTS.
    random_seed : int

    Returns
    -------
    Estimate
        ``worth`` (chain, draw, [by], question): distance per unit of the score. ``relative``: it
        divided by the geometric mean over questions. ``ratio``: relative worth over that of the
        reference judge (with `by`). ``correlation`` (chain, draw, [by], question, other): cosines.
        ``floor``; ``seed_sd`` and ``own_sd``: standard deviations over seeds of the log worth, of
        all attributes together and of each.

        By question: ``moved``, root mean square of the true changes; ``reliability``, share of the
        mean square of differences that is no error; ``tolerance``, share of the changes that does
        not go along with the others'; near 0, worths cannot be told apart, and intervals are wide;
        ``prior_share``, standard deviation of the worth over that of its prior: near 1, the
        distances said nothing. ``estimable`` is False for a question that did not change beyond its
        error: it has no worth, and is left out. ``n``: pairs; ``clusters``; ``left_out``: rows
        without a distance or without scores.

    Raises
    ------
    DataError
        If columns are missing, a distance is negative, genuine and impostor pairs are pooled, a
        face is in two clusters, there are fewer than five clusters, no attribute changed, or the
        error of scores is not known.

    Examples
    --------
    >>> import causalbias as cb
    >>> distances, scores, truth = cb.simulation.simulate_metric(seeds=15, random_seed=3)
    >>> found = perceived_metric(
    ...     distances, scores, by="judge", reference="people", draws=300, chains=2
    ... )
    >>> found["worth"].dims
    ('chain', 'draw', 'judge', 'question')
    >>> bool((abs(np.log(found["worth"].median(["chain", "draw"]) / truth["worth"])) < 0.5).all())
    True
    """
    by = None if by is None else name_in(by, "by")
    cluster, columns = name_in(cluster, "cluster"), names_in(moved, "moved")
    draws, tune = whole_in(draws, "draws", 4), whole_in(tune, "tune", 10)
    chains = whole_in(chains, "chains", 1)
    known_floor = np.nan if floor is None else number_in(floor, "floor", -1e-300)
    rows = _read(distances, cluster, by, columns)
    faces, errors, questions = read_scores(scores, score_error)
    named = pd.unique(rows[PAIR].to_numpy(str).ravel())
    check_spelling(named, faces.index, of="the distances", file="scores", column="stimulus")
    pairs = rows.drop_duplicates(PAIR).reset_index(drop=True)
    changes = changes_of(pairs, columns, faces, errors)
    place = pairs.iloc[changes.rows][PAIR].assign(change=np.arange(len(changes.rows)))
    judges: list[Level] = [] if by is None else levels_of(rows[by])
    base = None if by is None else reference_of(judges, reference, by)
    parts, reasons = [], []
    for at, judge in enumerate(judges or [None]):
        own = rows if by is None else rows[(rows[by].astype(object) == judge).to_numpy()]
        name = "" if judge is None else f"{judge}: "
        problem, unit, counts = _problem(own, place, cluster, changes, known_floor, name)
        stream = int(generator(random_seed, at).integers(2**31))
        posterior, statistics = sample_metric(
            problem, draws=draws, tune=tune, chains=chains, random_seed=stream
        )
        reasons += [name + one for one in _failures(posterior, statistics)]
        parts.append(_labelled(posterior, unit, changes, questions).assign(counts))
    error = changes.scale_error(pairs.iloc[changes.rows][cluster].to_numpy())
    larger = generator(random_seed, len(parts)).normal(0, error, (chains, draws, len(error)))
    # One error of the scale of changes for all judges: their ratios do not have it.
    factor = xr.DataArray(np.exp(larger), {"question": changes.questions}, (*SAMPLE, "question"))
    parts = [one.assign(worth=one["worth"] * factor.reindex(question=questions)) for one in parts]
    whole = parts[0] if by is None else xr.concat(parts, pd.Index(judges, name=by))
    whole = whole.transpose(*SAMPLE, ...)
    whole = _compared(whole, by, base).assign(_described(changes, questions))
    return estimate(
        whole,
        of=[xr.Dataset(attrs={"failures": json.dumps(list(dict.fromkeys(reasons)))})],
        variable="worth",
        estimand="distance per unit of each perceived change, the metric of distances",
        outcome="distance per unit of perceived change",
        scale="response",
        held="the other perceived attributes",
        not_estimable="the attribute did not change beyond the error of its scores",
        assumes=ASSUMES,
    )


def _read(distances: object, cluster: str, by: str | None, moved: Sequence[str]) -> pd.DataFrame:
    """Check the table of distances; ids become texts."""
    if not isinstance(distances, pd.DataFrame):
        raise DataError(
            f"distances are {described(distances)}",
            hint=f"give a table with the columns {', '.join([*PAIR, 'distance', cluster])}",
        )
    judge = [by] if by else []
    check_names(judge, OF_RESULT)
    check_columns(distances, [*moved, *judge], file=FILE)
    numbers = {"distance": number_column(low=0)}
    ids = [*PAIR, cluster]
    rows = check_frame(distances, numbers, file=FILE, text=ids, missing=["distance"])
    if by:
        rows[by] = canonical(rows[by])
        bad = rows[by].isna().to_numpy(bool)
        if bad.any():
            raise at_first(bad, "is missing", hint="name the judge", file=FILE, column=by)
        if isinstance(rows[by].dtype, pd.CategoricalDtype):
            check_groups(rows[by], file=FILE)
    if KIND in rows and rows[KIND].nunique() > 1:
        raise DataError(
            "genuine and impostor pairs would be pooled",
            hint=f"choose one kind, rows[rows[{KIND!r}]]",
            file=FILE,
            column=KIND,
        )
    same = ((rows[PAIR[0]] == rows[PAIR[1]]) & (rows["distance"] == 0)).to_numpy(bool)
    if same.any():
        raise at_first(
            same,
            "a face beside itself has the distance 0: the same image, and not rendered again",
            hint="leave these rows out",
            file=FILE,
            column="distance",
        )
    _check_clusters(rows[rows["distance"].notna()], cluster)
    return _in_one_order(rows, moved)


def _in_one_order(rows: pd.DataFrame, moved: Sequence[str]) -> pd.DataFrame:
    """Pairs of two faces in the order of their first row: a and b, and b and a, are one pair.

    Raises
    ------
    DataError
        If rows of a pair, in one order of its faces, differ in what was moved.
    """
    again = rows.duplicated(PAIR).to_numpy(bool)
    for name in moved if again.any() else ():
        codes = pd.Series(pd.factorize(rows[name], use_na_sentinel=False)[0], index=rows.index)
        first = codes.groupby([rows[one] for one in PAIR]).transform("first")
        if (bad := (codes != first).to_numpy(bool)).any():
            raise at_first(
                bad,
                f"{rows[name][bad].iloc[0]!r} is not what an earlier row of these faces says",
                hint="write what was moved alike in all rows of a pair",
                file=FILE,
                column=name,
            )
    faces = rows[PAIR].to_numpy(str)
    pair = pd.DataFrame(np.sort(faces, axis=1)).groupby([0, 1]).ngroup()
    first_of = pd.Series(faces[:, 0]).groupby(pair).transform("first").to_numpy()
    turned = faces[:, 0] != first_of
    return rows.assign(**dict(zip(PAIR, np.where(turned, faces.T[::-1], faces.T), strict=True)))


def _check_clusters(rows: pd.DataFrame, cluster: str) -> None:
    """Refuse faces of two clusters, whose pairs would be taken for independent."""
    both = pd.concat([rows[[name, cluster]].set_axis(["face", "cluster"], axis=1) for name in PAIR])
    several = both.drop_duplicates().duplicated("face")
    if several.any():
        face = both.drop_duplicates().loc[several, "face"].iloc[0]
        raise DataError(
            f"the face {face!r} belongs to two clusters, so that their pairs are not independent",
            hint="give pairs within seeds; of pairs of different people, a choice in which each "
            "face is in one pair, or name a cluster that holds both",
            file=FILE,
            column=cluster,
        )
    _need_clusters(rows[cluster], "with a distance")


def _need_clusters(values: pd.Series, what: str, judge: str = "") -> int:
    """The number of clusters, of which the error says what they are where they are too few."""
    count = values.nunique()
    if count < LEAST_CLUSTERS:
        raise DataError(
            f"{judge}{count} clusters {what}",
            hint=f"give {LEAST_CLUSTERS} or more: they are the units of the intervals",
            file=FILE,
            column=str(values.name),
        )
    return count


def _problem(
    rows: pd.DataFrame,
    place: pd.DataFrame,
    cluster: str,
    changes: Changes,
    floor: float,
    name: str,
) -> tuple[SquaredDistances, float, dict[str, int]]:
    """One row a pair, in units of the root mean square, and that unit; numbers of rows."""
    keys = [rows[cluster].rename(CLUSTER), *(rows[name] for name in PAIR)]
    grouped = rows["distance"].groupby(keys, sort=True, observed=True)
    pairs = grouped.agg(["mean", "count", "var"]).reset_index().merge(place, on=PAIR, how="inner")
    pairs = pairs[pairs["count"] > 0]
    left_out = len(rows) - int(pairs["count"].sum())
    pairs = pairs.sort_values(CLUSTER, kind="stable")
    of_cluster = pairs[CLUSTER].rename(cluster)
    clusters = _need_clusters(of_cluster, "have pairs with scores of both faces", name)
    distance = pairs["mean"].to_numpy(float)
    unit = float(np.sqrt((distance**2).mean()))
    if not distance.std() > 0:
        raise DataError(
            f"{name}all distances are {distance[0]:g}",
            hint="give distances of pairs that differ",
            file=FILE,
            column="distance",
        )
    answers = pairs["count"].to_numpy(float)
    spare = float((answers - 1).sum())
    within = float((pairs["var"].fillna(0.0) * (answers - 1)).sum()) / max(spare, 1.0)
    at, scale = pairs["change"].to_numpy(int), changes.scale
    covariance = changes.covariance[at] / np.outer(scale, scale)
    code, _ = pd.factorize(pd.concat([pairs[one] for one in PAIR], ignore_index=True))
    values, vectors = np.linalg.eigh(covariance.mean(axis=0) / 2)
    problem = SquaredDistances(
        distance / unit,
        within / answers / unit**2 if spare else np.zeros(len(pairs)),
        np.ascontiguousarray(changes.mean[at] / scale),
        np.ascontiguousarray(covariance),
        np.ascontiguousarray(changes.loading[at] / scale[:, None]),
        np.ascontiguousarray(changes.cell[at]),
        np.ascontiguousarray(vectors * np.sqrt(np.maximum(values, 0.0))),
        np.ascontiguousarray(code.reshape(2, -1).T),
        np.r_[0, np.cumsum(of_cluster.value_counts(sort=False).to_numpy())],
        int(changes.cell.max()) + 1,
        floor / unit,
    )
    return problem, unit, {"n": len(pairs), "clusters": clusters, "left_out": left_out}


def _failures(posterior: xr.Dataset, statistics: xr.Dataset) -> list[str]:
    j = posterior.sizes["attribute"]
    below = np.tril_indices(j, -1)
    judged = posterior[["worth", "seed_sd", "own_sd"]]
    if j > 1:
        judged["correlation"] = (
            (*SAMPLE, "two"),
            posterior["correlation"].values[..., below[0], below[1]],
        )
    if posterior["floor"].std() > 0:
        judged["floor"] = posterior["floor"]
    return verdict(diagnose(judged), statistics)


def _labelled(
    posterior: xr.Dataset, unit: float, changes: Changes, questions: list[str]
) -> xr.Dataset:
    """Draws in units of the data, with attributes by name; missing for those that did not move."""
    names = changes.questions
    found = posterior.assign_coords(
        chain=np.arange(posterior.sizes["chain"]),
        draw=np.arange(posterior.sizes["draw"]),
        attribute=names,
        other=names,
    ).rename(attribute="question")
    found["prior_share"] = found["worth"].std(SAMPLE) / PRIOR_SD
    per = xr.DataArray(unit / changes.scale, {"question": names}, "question")
    found["worth"] = found["worth"] * per
    found["floor"] = found["floor"] * unit
    return found.reindex(question=questions, other=questions)


def _compared(whole: xr.Dataset, by: str | None, base: Level | None) -> xr.Dataset:
    """Add worths without units, and their ratios to those of the reference judge."""
    of = {"quantity": RATIO}
    worth = whole["worth"]
    logarithm = xr.apply_ufunc(np.log, worth)
    relative = worth / xr.apply_ufunc(np.exp, logarithm.mean("question"))  # of those that moved
    whole = whole.assign(relative=relative.assign_attrs(of), bounded=True)
    if by is None:
        return whole
    ratio = relative / relative.sel({by: base}, drop=True)
    ratio = ratio.where(whole[by] != base)
    return whole.assign(ratio=ratio.assign_attrs(of))


def _described(changes: Changes, questions: list[str]) -> dict[str, xr.DataArray]:
    """What is said of each question, whether it moved or not."""

    def of_moved(values: FloatArray) -> xr.DataArray:
        known = xr.DataArray(values, {"question": changes.questions}, "question")
        return known.reindex(question=questions)

    return {
        "moved": of_moved(changes.scale),
        "reliability": of_moved(changes.reliability),
        "tolerance": of_moved(changes.tolerance),
        "estimable": xr.DataArray(
            [one not in changes.unmoved for one in questions],
            {"question": questions},
            "question",
        ),
    }
