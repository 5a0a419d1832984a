"""Tables with missing outcomes, and Bayesian bootstrap weights of their clusters."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from causalbias.arguments import described, name_in, names_in
from causalbias.draws.estimate import check_names
from causalbias.errors import DataError, at_first
from causalbias.inference.problem import FloatArray
from causalbias.models.levels import Level, canonical, levels_of
from causalbias.study.columns import labels, measured
from causalbias.study.tables import check_columns, named_columns, with_index

FILE = "rows"
KIND = "same_identity"
LEAST_CLUSTERS = 3


@dataclass(frozen=True)
class Rows:
    """A table of attempted rows, of which some have no outcome.

    Attributes
    ----------
    frame : DataFrame
        All its columns, `variable` and those of `by` as models have them.
    outcome : ndarray (rows,)
        NaN where there is none.
    level : ndarray (rows,) of int
        Place of the row's level among `levels`.
    levels : list
    clusters : ndarray (rows, 1 or 2) of int
        Cluster of the row, or those of both members of a pair.
    n_clusters : int
    by : tuple of str
    """

    frame: pd.DataFrame
    outcome: FloatArray
    level: np.ndarray
    levels: list[Level]
    clusters: np.ndarray
    n_clusters: int
    by: tuple[str, ...]

    def cells(self) -> Iterator[tuple[dict[str, Hashable], np.ndarray]]:
        """Labels of each cell of `by`, and its rows; one cell of all rows without `by`."""
        if not self.by:
            yield {}, np.arange(len(self.frame))
            return
        for labels_of_cell, cell in self.frame.groupby(list(self.by), observed=True):
            key = labels_of_cell if isinstance(labels_of_cell, tuple) else (labels_of_cell,)
            yield dict(zip(self.by, key, strict=True)), cell.index.to_numpy()

    def weights(self, draws: int, rng: np.random.Generator) -> FloatArray:
        """Weights (draws, n_clusters) of a Bayesian bootstrap (Rubin 1981), of mean one."""
        return rng.dirichlet(np.ones(self.n_clusters), size=draws) * self.n_clusters

    def clusters_with_outcome(self, rows: np.ndarray) -> int:
        """Count the clusters that have an outcome among some rows."""
        return len(np.unique(self.clusters[rows[~np.isnan(self.outcome[rows])]]))

    def of_rows(self, weights: FloatArray, rows: np.ndarray) -> FloatArray:
        """Weights (draws, rows): a row of two clusters has the product of theirs."""
        first, *others = self.clusters[rows].T
        found = weights[:, first]
        for other in others:
            found = found * np.where(other == first, 1.0, weights[:, other])
        return found


def stretch(n_clusters: int) -> float:
    """How much wider than a Bayesian bootstrap's draws the sampling distribution of a mean is.

    With n clusters the variance of a bootstrapped mean is s^2 (n - 1) / (n (n + 1)), and that of
    the mean s^2 / n.
    """
    return float(np.sqrt((n_clusters + 1) / (n_clusters - 1)))


def read_rows(
    frame: object,
    outcome: str,
    variable: str,
    cluster: str | Sequence[str],
    by: str | Sequence[str],
    also: Sequence[str] = (),
    *,
    made: Sequence[str],
) -> Rows:
    """Check a table and read its columns.

    Parameters
    ----------
    frame : DataFrame
    outcome, variable, cluster, by
        As in `selection_bounds`.
    also : sequence of str
        Further columns of the table that have to be there.
    made : sequence of str
        Names of the result, which no column may have that labels it.

    Raises
    ------
    DataError
        If a column is missing or has missing values (but for the outcome), a value is no finite
        number, there are fewer than three clusters, a column is named as one of the result, or
        genuine and impostor pairs are pooled.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"{described(frame)} was given where a table of rows is needed",
            hint="give a DataFrame in which rows that were lost have no outcome, such as "
            "cb.to_frame(study, 'machine') or cb.causal.complete(fit, 'seed', ['race', 'pose'])",
        )
    name_in(outcome, "outcome")
    name_in(variable, "variable")
    clusters, by = names_in(cluster, "cluster"), names_in(by, "by")
    if not 1 <= len(clusters) <= 2:
        raise DataError(
            f"cluster names {len(clusters)} columns",
            hint="name the seed's column, or the two columns of the members of a pair",
        )
    frame = named_columns(with_index(frame, FILE), FILE)
    check_columns(frame, [outcome, variable, *clusters, *by, *also], file=FILE)
    check_names([variable, *by], [outcome, *made])
    if frame.empty:
        raise DataError("no rows", hint="give a table with rows", file=FILE)
    values = measured(frame[outcome], file=FILE).to_numpy(float)
    if np.isinf(values).any():
        raise at_first(
            np.isinf(values), "is not finite", hint="correct it", file=FILE, column=outcome
        )
    read = {name: canonical(frame[name]) for name in dict.fromkeys((variable, *by, *also))}
    for name, column in read.items():
        refuse_missing(column, name)
        if types.is_float_dtype(column) and np.isinf(column.to_numpy(float)).any():
            bad = np.isinf(column.to_numpy(float))
            raise at_first(bad, "is not finite", hint="correct it", file=FILE, column=name)
    frame = frame.assign(**read)
    _check_kinds(frame, outcome, by)
    levels = levels_of(frame[variable])
    if len(levels) < 2:
        raise DataError(
            f"{variable!r} has the single level {levels[0]}",
            hint="give rows of two levels or more, those without an outcome too",
            file=FILE,
            column=variable,
        )
    codes = pd.Index(levels, dtype=object).get_indexer(pd.Index(frame[variable].astype(object)))
    members, n_clusters = _clusters(frame, clusters)
    return Rows(frame, values, codes, levels, members, n_clusters, by)


def refuse_missing(column: pd.Series, name: str) -> None:
    """Raise if a value is missing in a column that must be known where the outcome is not."""
    missing = column.isna().to_numpy(bool)
    if missing.any():
        raise at_first(
            missing,
            "is missing",
            hint="fill it in: what a row is of must be known even where it has no outcome",
            file=FILE,
            column=name,
        )


def _clusters(frame: pd.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, int]:
    texts = [labels(frame[name], file=FILE).astype("str") for name in names]
    for name, text in zip(names, texts, strict=True):
        refuse_missing(text, name)
    codes, ids = pd.factorize(pd.concat(texts, ignore_index=True))
    if len(ids) < LEAST_CLUSTERS:
        raise DataError(
            f"{len(ids)} clusters",
            hint=f"give rows of {LEAST_CLUSTERS} or more: they are the units of the interval",
            file=FILE,
            column=" + ".join(names),
        )
    return codes.reshape(len(names), -1).T, len(ids)


def _check_kinds(frame: pd.DataFrame, outcome: str, by: Sequence[str]) -> None:
    if KIND in frame and KIND not in by and outcome != KIND and frame[KIND].nunique() > 1:
        raise DataError(
            "genuine and impostor pairs would be pooled",
            hint=f"choose one kind, rows[rows[{KIND!r}]], or give by={KIND!r}",
            file=FILE,
            column=KIND,
        )


def cells_with_level(rows: Rows, within: np.ndarray, level: int) -> np.ndarray:
    """Return the rows of a cell at a level."""
    return within[rows.level[within] == level]
