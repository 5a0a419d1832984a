"""Failures to enrol by group: faces without an embedding."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import names_in, number_in
from causalbias.draws.estimate import check_names
from causalbias.errors import DataError
from causalbias.rates.dependence import errors_weight
from causalbias.rates.intervals import binomial_ends
from causalbias.study.frames import to_frame
from causalbias.study.tables import check_columns
from causalbias.study.tree import NO_IMAGE, OK, group_of

FOUND = (
    *("system", "detector", "faces", "identities", "failed", "rate", "lower", "upper"),
    "reasons",
)


def enrolment(
    study: xr.DataTree, by: str | Sequence[str] = (), *, prob: float = 0.95
) -> pd.DataFrame:
    """Estimate failure to enrol rates by system and group, from faces without an embedding.

    Parameters
    ----------
    study : DataTree
        A study with ``/stimuli`` and ``/embeddings`` (from `with_distances` or `with_embeddings`).
    by : str or sequence of str
        Factors whose levels are the groups.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        `system`, `detector` ("" if none was run), the groups, `faces` (present in the study),
        `identities`, `failed`, `rate` (0 to 1) with `lower` and `upper`, `reasons`. The interval is
        that of error rates (see `quantiles`): it allows for faces of one identity failing together.
        Faces whose group is missing are left out; ``.attrs["left_out"]`` is their number.

    Raises
    ------
    DataError
        If the study has no embeddings, or a factor is unknown or named as a column of the result.
    """
    if not {"embeddings", "stimuli"} <= set(study.children):
        raise DataError("the study has no embeddings", hint="add them by with_embeddings")
    by, prob = list(dict.fromkeys(names_in(by, "by"))), number_in(prob, "prob", 0, 1)
    check_names(by, FOUND)
    faces = to_frame(study, "stimuli")
    check_columns(faces, by, file="/stimuli")
    left_out = int(faces[by].isna().any(axis=1).sum())
    identity = str(study.attrs["identity"])
    rows = []
    for system, one in group_of(study, "embeddings").groupby("system", squeeze=False):
        status = one["status"].isel(system=0).to_series()
        detector = str(one["detector"].item()) if "detector" in one else ""
        every = faces.assign(status=faces["stimulus"].map(status).fillna(NO_IMAGE))
        for key, part in every.groupby(by, observed=True) if by else [((), every)]:
            failed = (part["status"] != OK).to_numpy()
            reasons = part["status"][failed].value_counts()
            lower, upper = rate_interval(failed, part[identity].to_numpy(), prob)
            rows.append(
                {
                    "system": system,
                    "detector": detector,
                    **dict(zip(by, key, strict=True)),
                    "faces": len(part),
                    "identities": part[identity].nunique(),
                    "failed": int(failed.sum()),
                    "rate": failed.mean(),
                    "lower": lower,
                    "upper": upper,
                    "reasons": "; ".join(f"{n} {why}" for why, n in sorted(reasons.items())),
                }
            )
    found = pd.DataFrame(rows)
    found.attrs["left_out"] = left_out
    return found


def rate_interval(
    failed: np.ndarray, identity: np.ndarray, prob: float = 0.95
) -> tuple[float, float]:
    """Interval of a rate of clustered failures (n,), bool; see `enrolment`.

    With n_c faces of identity c and ``E_c = sum (failed - rate)`` over them, the design effect is

        seen^w together^(1 - w),    seen = sum_c E_c^2 / (n rate (1 - rate)),    together = sum_c
        n_c^2 / n,

    w the weight of `errors_weight`: that of the failures where there are many, and as they become
    few that of faces of one identity which fail together or not at all. The interval is binomial at
    n over the design effect.

    Examples
    --------
    >>> import numpy as np
    >>> one_each, in_pairs = np.arange(100), np.arange(100) // 2
    >>> failed = np.repeat([True, False], [10, 90])
    >>> [round(end, 3) for end in rate_interval(failed, one_each)]
    [0.049, 0.176]
    >>> [round(end, 3) for end in rate_interval(failed, in_pairs)]
    [0.033, 0.218]
    """
    n, rate = len(failed), float(failed.mean())
    cluster, _ = pd.factorize(pd.Series(identity))
    sizes = np.bincount(cluster)
    together = float(sizes @ sizes) / n
    seen = 1.0
    if 0 < rate < 1:
        excess = np.bincount(cluster, weights=failed - rate)
        # Equal shares in all clusters: they differ less than independent failures would.
        seen = max(1.0, float(excess @ excess) / (n * rate * (1 - rate)))
    # The identities that are informative: those with a failure, or with none, the fewer of them.
    number = np.bincount(cluster, weights=failed)
    weight = errors_weight(float(min((number > 0).sum(), (number < sizes).sum())))
    effect = seen**weight * together ** (1 - weight)
    low, high = binomial_ends(np.array([rate * n / effect]), np.array([n / effect]), prob)
    return float(low[0]), float(high[0])
