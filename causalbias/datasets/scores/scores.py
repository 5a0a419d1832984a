"""Comparisons with scores, whose columns have names and meaning: what `read_scores` returns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalbias.datasets.scores.checks import check_unit
from causalbias.errors import DataError


@dataclass(frozen=True)
class Scores:
    """Comparisons of two images each, with scores, persons and groups of both sides.

    Attributes
    ----------
    frame : DataFrame
        One row per comparison and system, in the columns of `error_rates`: `system`, `distance`,
        `status`, `seed_a`, `seed_b` (ids of persons), `same_identity`, ``<group>_a`` and
        ``<group>_b``, and `stimulus_a`, `stimulus_b` where images are known; also `score` (as in
        the file), `file` and `row` (from 1).
    by : list of str
        Factors whose combinations are the groups.
    kind : {"similarity", "distance"}
        What the scores are. Of similarities, the distance is `top` minus the score.
    top : float
    name : str
        Of the data, such as the file's.
    taken : DataFrame
        `what`, `column`, `how`: what each column was taken for.
    excluded : DataFrame
        `file`, `what`, `reason`, `count`: rows that are in no rate.
    sources : DataFrame
        Files that were read: `file`, `sha256`, `bytes`, `rows`.
    remarks : list of str
        Sentences on what was concluded from the data rather than read in them.

    Examples
    --------
    >>> import causalbias as cb, pandas as pd
    >>> table = pd.DataFrame({"subject_1": ["a", "a", "b"], "subject_2": ["a", "b", "b"],
    ...                       "race": "x", "similarity": [0.9, 0.2, 0.8]})
    >>> cb.datasets.read_scores(table).frame["distance"].round(3).tolist()
    [0.1, 0.8, 0.2]
    """

    frame: pd.DataFrame
    by: list[str]
    kind: str
    top: float
    name: str
    taken: pd.DataFrame
    excluded: pd.DataFrame
    sources: pd.DataFrame
    remarks: list[str]

    @property
    def systems(self) -> list[str]:
        """Names of the systems, in the data's order."""
        return list(dict.fromkeys(self.frame["system"].astype(str)))

    def distance_at(self, threshold: float, system: str) -> float:
        """The largest distance of a pair that matches at a threshold in units of the score.

        A similarity at or above the threshold matches, and a distance at or below it. The pair's
        own distance is returned rather than `top` minus the threshold, so that no pair at the
        threshold is lost to rounding.
        """
        if self.kind == "distance":
            return float(threshold)
        part = self.frame[(self.frame["system"] == system) & (self.frame["status"] == "ok")]
        score, distance = part["score"].to_numpy(), part["distance"].to_numpy()
        check_unit(threshold, score, f"system {system!r}")
        matched = score >= score.dtype.type(threshold)
        if matched.any():
            return float(distance[matched].max())
        return float(np.nextafter(distance.min(), -np.inf))

    def score_at(self, distance: float, system: str) -> float:
        """The threshold in units of the score at which pairs up to a distance match."""
        if self.kind == "distance":
            return float(distance)
        part = self.frame[(self.frame["system"] == system) & (self.frame["status"] == "ok")]
        matched = part["distance"] <= distance
        if matched.any():
            return float(part.loc[matched, "score"].min())
        return float(np.nextafter(float(part["score"].max()), np.inf))

    @contextmanager
    def in_terms_of_file(self) -> Iterator[None]:
        """Raise errors about the comparisons with the file and row that they are of."""
        try:
            yield
        except DataError as error:
            if error.file != "comparisons":
                raise
            place = self.frame.iloc[0 if error.row is None else error.row - 1]
            raise DataError(
                error.problem.replace("seed", "person"),
                hint=error.hint.replace(
                    "stimulus_a and stimulus_b", "columns of ids of images"
                ).replace("give distance = 1 - similarity", "give kind='similarity'"),
                file=self.name if error.row is None else str(place["file"]),
                column=self._column_of(error.column, place),
                row=None if error.row is None else int(place["row"]),
            ) from None

    def _column_of(self, ours: str | None, place: pd.Series) -> str | None:
        """The file's column of one of ours, in a row."""
        if ours == "distance":
            return str(place["column"])
        whose = {"stimulus": "images", "seed": "persons"}.get((ours or "").partition("_a")[0])
        known = self.taken[self.taken["what"] == f"{whose} of both sides"]
        return str(known["column"].iloc[0]) if len(known) else ours
