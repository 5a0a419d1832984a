"""The posterior that is sampled: rows laid out, parameters theta, and what is refused.

``theta = (coefficients of the distribution's parameters, then of each group term log sds and
partial correlations)``. A parameter has one coefficient, its logarithm, or those of its own linear
predictor (`Predictor`). ``x = (effects of all terms but the leading one, coefficients)``, and
``x = origin + F w``, w standard normal a priori but for coefficients with flat priors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np
from scipy import sparse

from causalbias.inference.membership import effects_design, slabs
from causalbias.inference.problem import (
    EngineError,
    FloatArray,
    GroupTerm,
    IntArray,
    LogDensity,
    Problem,
)
from causalbias.inference.rowwise.densities import (
    DENSITIES,
    LIMITED,
    LIMITED_STUDENT,
    STUDENT,
    Density,
    known_parts,
)
from causalbias.inference.scales import Scales, unpack

_MANY_ROWS = 60  # of a level, on average, from which on its effect is next to normal
_MOST_PAIRS = 30_000_000  # of rows of a level, all levels together
_MOST_EFFECTS = 4000
_MOST_FURTHER = 12  # coefficients of further parameters, which are sampled with the scales
_MANY_LEVELS = 5000


@numba.njit(cache=True, nogil=True)
def _add_products(indptr, indices, data, columns, out):  # type: ignore[no-untyped-def]
    """Add the product of a sparse matrix and a dense one to another, in its place."""
    for i in range(len(out)):
        own = out[i]
        for t in range(indptr[i], indptr[i + 1]):
            value, row = data[t], columns[indices[t]]
            for d in range(len(own)):
                own[d] += value * row[d]


@dataclass(frozen=True)
class Parameter:
    """A parameter of the distribution, of which theta has the coefficients.

    Attributes
    ----------
    name : str
    positive : bool
        Whether the predictor is that of its logarithm.
    design : ndarray (cells, q)
    log_prior : callable, optional
        Log density of a constant parameter, as it is.
    mean, sd : ndarray (q,)
        Else, of the coefficients' normal priors; infinite where flat.
    """

    name: str
    positive: bool
    design: FloatArray
    log_prior: LogDensity | None
    mean: FloatArray
    sd: FloatArray

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.design.shape[1]

    def log_density(self, coefficients: FloatArray) -> FloatArray:
        """Log prior density (N,) of coefficients (N, q)."""
        if self.log_prior is not None:
            one = coefficients[:, 0]
            return self.log_prior(np.exp(one)) + one if self.positive else self.log_prior(one)
        gap = (coefficients - self.mean) / self.sd
        return np.asarray(-0.5 * (gap**2).sum(axis=1))


@dataclass(frozen=True)
class Rows:
    """n rows in blocks of one level of the leading term; of one row each where no term leads.

    Attributes
    ----------
    order : ndarray (n,)
        Where each row stood in the problem.
    start : ndarray (levels + 1,)
    level : ndarray (levels,)
        The leading term's level of each block.
    y, weight : ndarray (n,)
    known : ndarray (n, 2)
        Of `known_parts`; (n, 4) of rows with limits.
    offset : ndarray (n,)
    cell : ndarray (n,)
        Rows with one cell have the same parameters.
    cell_weight : ndarray (cells,)
    design : ndarray (n, p)
    effects : csr_matrix (n, Q)
        Design of the other terms' effects.
    indices, indptr : ndarray
        Of the sparse matrix (n, n) whose blocks are pairs of rows of a level.
    """

    order: IntArray
    start: IntArray
    level: IntArray
    y: FloatArray
    weight: FloatArray
    known: FloatArray
    offset: FloatArray
    cell: IntArray
    cell_weight: FloatArray
    design: FloatArray
    effects: sparse.csr_matrix
    indices: IntArray
    indptr: IntArray

    @property
    def plain(self) -> bool:
        """Whether rows count once and have the same parameters."""
        return len(self.cell_weight) == 1 and bool((self.weight == 1).all())

    def of_levels(self, levels: IntArray) -> "Rows":
        """The rows of some of the blocks alone."""
        sizes = np.diff(self.start)[levels]
        start = np.concatenate([[0], np.cumsum(sizes)])
        some = np.repeat(self.start[levels] - start[:-1], sizes) + np.arange(start[-1])
        indices, indptr = _block_pattern(start)
        return Rows(
            order=self.order[some],
            start=start,
            level=self.level[levels],
            y=self.y[some],
            weight=self.weight[some],
            known=self.known[some],
            offset=self.offset[some],
            cell=self.cell[some],
            cell_weight=np.bincount(self.cell[some], self.weight[some], len(self.cell_weight)),
            design=self.design[some],
            effects=self.effects[some],
            indices=indices,
            indptr=indptr,
        )


@dataclass(frozen=True)
class Target:
    """A posterior.

    Attributes
    ----------
    density : Density
    rows : Rows
    parameters : tuple of Parameter
    terms : tuple of GroupTerm
    leading : int or None
        Place of the term whose effects are integrated out.
    origin, scale, precision : ndarray (q,)
        Prior means of x, prior sds of coefficients (one of effects), and prior precisions of w:
        zero where flat.
    slabs : tuple of slice
        Where in x each term's effects are, but the leading one's.
    step, cut : float
        Of the quadrature.
    """

    density: Density
    rows: Rows
    parameters: tuple[Parameter, ...]
    terms: tuple[GroupTerm, ...]
    leading: int | None
    origin: FloatArray
    scale: FloatArray
    precision: FloatArray
    slabs: tuple[slice, ...]
    step: float
    cut: float

    @property
    def side_by_side(self) -> bool:
        """Whether rows are t's that count once and have the same parameters (`student`)."""
        return self.density.code == STUDENT and self.rows.plain

    @property
    def n_effects(self) -> int:
        """Number of effects in x."""
        return self.rows.effects.shape[1]

    @property
    def dense(self) -> list[int]:
        """Places of the terms whose effects are in x."""
        return [i for i in range(len(self.terms)) if i != self.leading]

    @property
    def n_further(self) -> int:
        """Number of coefficients in theta."""
        return sum(one.size for one in self.parameters)

    @property
    def n_theta(self) -> int:
        """Length of theta."""
        return self.n_further + sum(term.n_theta for term in self.terms)

    def split(self, theta: FloatArray) -> list[FloatArray]:
        """Coefficients (N, q) of each parameter."""
        ends = np.cumsum([one.size for one in self.parameters], dtype=int)
        return [
            theta[:, end - one.size : end] for one, end in zip(self.parameters, ends, strict=True)
        ]

    def scales(self, theta: FloatArray) -> Scales:
        """Scales of the group terms, whose log prior is that of all of theta (N, d)."""
        own = np.column_stack([np.zeros(len(theta)), theta[:, self.n_further :]])
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            found = unpack(own, self.terms, np.zeros_like)
            log_prior = found.log_prior
            for one, part in zip(self.parameters, self.split(theta), strict=True):
                log_prior = log_prior + one.log_density(part)
        return Scales(found.sigma, found.sd, found.corr_factor, log_prior)

    def phi(self, theta: FloatArray) -> FloatArray:
        """Parameters (N, cells, 2) of the distribution."""
        found = np.ones((len(theta), len(self.rows.cell_weight), 2))
        for place, part in enumerate(self.split(theta)):
            one = self.parameters[place]
            value = part @ one.design.T
            with np.errstate(over="ignore"):
                found[:, :, place] = np.exp(value) if one.positive else value
        return found

    def lead_sd(self, scales: Scales) -> FloatArray:
        """The leading sd (N,); -1 where no term leads."""
        if self.leading is None:
            return np.full(len(scales.log_prior), -1.0)
        return scales.sd[self.leading][:, 0]

    def linear_predictor(self, x: FloatArray) -> FloatArray:
        """Linear predictors (n, N) of x (N, q), without the leading effects."""
        s, rows = self.n_effects, self.rows
        found = np.ascontiguousarray(rows.design @ x[:, s:].T)
        if rows.offset.any():
            found += rows.offset[:, None]
        if s:
            sparse_rows = (rows.effects.indptr, rows.effects.indices, rows.effects.data)
            _add_products(*sparse_rows, np.ascontiguousarray(x[:, :s].T), found)
        return found

    def unwhiten(self, w: FloatArray, factors: Sequence[FloatArray]) -> FloatArray:
        """``x = origin + F w`` (q,), factors being those of all terms."""
        x = self.scale * w
        for place, slab in zip(self.dense, self.slabs, strict=True):
            x[slab] = (w[slab].reshape(-1, len(factors[place])) @ factors[place].T).ravel()
        return self.origin + x

    def whiten(self, x: FloatArray, factors: Sequence[FloatArray]) -> FloatArray:
        """The w of an x."""
        w = (x - self.origin) / self.scale
        for place, slab in zip(self.dense, self.slabs, strict=True):
            own = x[slab].reshape(-1, len(factors[place]))
            w[slab] = np.linalg.solve(factors[place], own.T).T.ravel()
        return w


def make_target(
    problem: Problem,
    family: str,
    priors: Mapping[str, LogDensity],
    trials: FloatArray | None = None,
    limits: FloatArray | None = None,
) -> Target:
    """Lay out a checked problem; `EngineError` where it is not of the engine.

    ``limits`` (n, 4): of rows that are censored or truncated, as `limited` says.
    """
    density = (DENSITIES if limits is None else LIMITED)[family]
    if density.code == LIMITED_STUDENT and limits is not None and np.isfinite(limits[:, 2:]).any():
        raise EngineError(
            f"of truncated rows of the family {family} every node of the quadrature has an "
            "incomplete beta function, which takes longer than NUTS"
        )
    if problem.row_precision is not None:
        raise EngineError(f"the family {family} has no row_precision")
    cells, cell = _cells(problem)
    parameters = tuple(
        _parameter(name, density, priors, problem, cells) for name in density.parameters
    )
    count = sum(one.size for one in parameters)
    if count > _MOST_FURTHER:
        raise EngineError(
            f"{count} coefficients of further parameters are more than the {_MOST_FURTHER} that it "
            "samples with the scales"
        )
    lead = _leading(problem)
    dense = tuple(t for i, t in enumerate(problem.terms) if i != lead)
    known = known_parts(density.code, problem.y, trials) if limits is None else limits
    rows = _rows(problem, known, lead, dense, cell)
    s, p = rows.effects.shape[1], problem.design.shape[1]
    if s + p > _MOST_EFFECTS:
        raise EngineError(
            f"{s + p:,} effects besides those integrated out are too many for one normal proposal"
        )
    flat = np.isinf(problem.beta_sd)
    many = len(rows.start) > _MANY_LEVELS
    return Target(
        density=density,
        rows=rows,
        parameters=parameters,
        terms=problem.terms,
        leading=lead,
        origin=np.concatenate([np.zeros(s), np.where(flat, 0.0, problem.beta_mean)]),
        scale=np.concatenate([np.ones(s), np.where(flat, 1.0, problem.beta_sd)]),
        precision=np.concatenate([np.ones(s), np.where(flat, 0.0, 1.0)]),
        slabs=slabs(dense),
        step=1.1 if many else 0.8,
        cut=10.0 if many else 16.0,
    )


def _cells(problem: Problem) -> tuple[IntArray, IntArray]:
    """First rows of the cells of the further predictors, and each row's cell."""
    for one in problem.further:
        if one.terms:
            raise EngineError(f"the predictor of {one.name} has group terms")
    if not problem.further:
        return np.zeros(1, np.int64), np.zeros(len(problem.y), np.int64)
    whole = np.column_stack([one.design for one in problem.further])
    _, first, cell = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    return first.astype(np.int64), cell.ravel().astype(np.int64)


def _parameter(
    name: str,
    density: Density,
    priors: Mapping[str, LogDensity],
    problem: Problem,
    cells: IntArray,
) -> Parameter:
    positive = name not in density.real
    for one in problem.further:
        if one.name == name:
            return Parameter(name, positive, one.design[cells], None, one.beta_mean, one.beta_sd)
    if name not in priors:
        raise EngineError(f"the parameter {name} has neither a prior nor a predictor")
    none = np.zeros(0)
    return Parameter(name, positive, np.ones((len(cells), 1)), priors[name], none, none)


def _leading(problem: Problem) -> int | None:
    """The plain intercept of most levels, where these have few rows each; None where none has."""
    n, found, most = len(problem.y), None, 0
    for i, term in enumerate(problem.terms):
        plain = term.k == 1 and term.codes.shape[1] == 1
        if not plain or not ((term.columns == 1).all() and (term.weights == 1).all()):
            continue
        counts = np.bincount(term.codes[:, 0]).astype(float)
        few = n <= _MANY_ROWS * np.count_nonzero(counts) and counts @ counts <= _MOST_PAIRS
        if few and term.n_levels > most:
            found, most = i, term.n_levels
    return found


def _rows(
    problem: Problem,
    known: FloatArray,
    lead: int | None,
    dense: tuple[GroupTerm, ...],
    cell: IntArray,
) -> Rows:
    n = len(problem.y)
    order, start = np.arange(n), np.arange(n + 1)
    level = np.arange(n)
    if lead is not None:
        codes = problem.terms[lead].codes[:, 0]
        order = np.argsort(codes, kind="stable")
        level, first = np.unique(codes[order], return_index=True)
        start = np.append(first, n)
    y = problem.y[order].astype(float)
    pieces = [effects_design(one) for one in dense]
    whole = sparse.hstack(pieces, format="csr") if pieces else sparse.csr_matrix((n, 0))
    indices, indptr = _block_pattern(start.astype(np.int64))
    weight = problem.row_weight[order].astype(float)
    return Rows(
        order=order,
        start=start.astype(np.int64),
        level=level.astype(np.int64),
        y=y,
        weight=weight,
        offset=np.zeros(n) if problem.offset is None else problem.offset[order],
        known=np.ascontiguousarray(known[order]),
        cell=cell[order],
        cell_weight=np.bincount(cell[order], weight),
        design=np.ascontiguousarray(problem.design[order]),
        effects=whole[order].tocsr(),
        indices=indices,
        indptr=indptr,
    )


def _block_pattern(start: IntArray) -> tuple[IntArray, IntArray]:
    """Indices and pointers of a sparse matrix of blocks, one a level, row by row."""
    sizes = np.diff(start)
    width = np.repeat(sizes, sizes)
    indptr = np.concatenate([[0], np.cumsum(width)])
    indices = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - np.repeat(start[:-1], sizes), width)
    return indices, indptr
