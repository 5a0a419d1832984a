"""What rows have in common by columns that group them and that the model does not know.

Rows of one annotator, face or pair are alike in more than a model's columns say. A model that does
not know of it takes them for independent: estimates hold, and their intervals are too narrow.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import sparse

from causalbias.arguments import generator
from causalbias.estimands.predictive import Parts
from causalbias.inference.membership import membership
from causalbias.inference.problem import FloatArray
from causalbias.model_checks.replicates import in_parts, written_out
from causalbias.model_checks.statistics import Comparison, compare
from causalbias.models.fitted import FittedModel, fitted
from causalbias.models.group_design import GroupDesign
from causalbias.models.groupings import Codes, candidates, levelled, same_groups
from causalbias.models.needs import need_observed, need_rows_themselves
from causalbias.models.result import frame_with_others
from causalbias.models.specification import columns_of_rows


@dataclass(frozen=True)
class Clustering:
    """How alike residuals of rows are that a grouping puts together.

    The statistic is the mean product of the residuals of two rows that have a level in common, over
    the mean square of all: the intraclass correlation, and Moran's I with a weight of one for every
    level that two rows share. Where it is negative it is zero: no group term heals that.

    Attributes
    ----------
    members : csr_matrix (rows, levels)
        Ones where a row belongs to a level.
    own, shared : float
        Sum of the weights of a row with itself, and of pairs of two rows.

    Examples
    --------
    >>> found = Clustering.of(np.array([[0], [0], [1], [1]]))
    >>> found.correlation(np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]])).tolist()
    [1.0, 0.0]
    """

    members: sparse.csr_matrix
    own: FloatArray
    shared: float

    @classmethod
    def of(cls, codes: Codes) -> "Clustering":
        """The grouping of levels (rows, members)."""
        members = membership(np.ones((len(codes), 1)), codes, int(codes.max()) + 1)
        members.data[:] = 1.0
        own = np.asarray(members.sum(axis=1)).ravel()
        sizes = np.asarray(members.sum(axis=0)).ravel()
        return cls(members, own, float((sizes**2).sum() - own.sum()))

    def correlation(self, residuals: FloatArray) -> FloatArray:
        """``sum_{i != j} w_ij r_i r_j / sum w_ij / mean(r^2)`` (draws,) of residuals (draws, n)."""
        together = np.square(residuals @ self.members).sum(axis=1)
        apart = np.square(residuals) @ self.own
        variance = np.square(residuals).mean(axis=1)
        return np.maximum((together - apart) / (self.shared * variance), 0.0)


def unmodelled_groupings(model: FittedModel) -> dict[tuple[str, ...], Codes]:
    """The groupings of `candidates` that no term of the model has an intercept for.

    Columns are those that the fit keeps: of the model's grouping factors, and others of the data.
    """
    frame = frame_with_others(model.fit)
    no_group = {*model.population_columns, *columns_of_rows(model.spec)}
    names = [str(name) for name in frame if name not in no_group]
    known = {name: one for name in names if (one := levelled(frame[name])) is not None}
    groups = (one for own in model.predictors for one in own.groups)
    have = [one.codes(model.frame) for one in groups if "1" in one.effects]
    return {
        members: codes
        for members, codes in candidates(known).items()
        if not any(same_groups(codes, other) for other in have)
    }


def clustering(
    fit: xr.DataTree, *, random_seed: int = 0
) -> tuple[tuple[str, ...], Comparison] | None:
    """Compare the correlation of residuals within unmodelled groupings with that in replicates.

    The effects of a term whose levels lie within those of a grouping are part of what is looked at,
    and are new in every replicate: effects of pairs take up what their seed has in common. Other
    effects are as drawn.

    Parameters
    ----------
    fit : Fit
    random_seed : int
        Seed of the replicates.

    Returns
    -------
    (tuple of str, Comparison) or None
        The columns of the grouping that is farthest from the replicates, and how far; None if there
        is no such grouping.

    Raises
    ------
    DataError
        If the rows, counts written out, are too many.
    """
    need_rows_themselves(fit, "a replicate of the data")
    need_observed(fit, "a replicate of the data")
    rng, model = generator(random_seed), fitted(fit).with_effects()
    ways = unmodelled_groupings(model)
    if not ways:
        return None
    _, rows = written_out(model)
    of_terms = [one.codes(model.frame) for one in model.groups]
    within: dict[tuple[int, ...], list[int]] = {}
    for at, codes in enumerate(ways.values()):
        terms = tuple(k for k, finer in enumerate(of_terms) if determines(finer, codes))
        within.setdefault(terms, []).append(at)
    clusterings = [Clustering.of(codes[rows]) for codes in ways.values()]
    sides: list[tuple[FloatArray, FloatArray]] = []
    for part in in_parts(model, len(rows)):
        found = np.zeros((2, part.draws, len(ways)))
        for terms, those in within.items():
            residuals = _residuals(part, [part.groups[k] for k in terms], rows, rng)
            for at in those:
                for side, values in zip(found, residuals, strict=True):
                    side[:, at] = clusterings[at].correlation(values)
        sides.append((found[0], found[1]))
    one = compare(*(np.concatenate(side) for side in zip(*sides, strict=True)))
    return list(ways)[one.at], one


def determines(finer: Codes, coarser: Codes) -> bool:
    """Whether the levels of rows say which levels the rows have of another grouping.

    Parameters
    ----------
    finer, coarser : ndarray (rows, members)

    Examples
    --------
    >>> pair, seeds = np.array([[0], [1], [0]]), np.array([[4, 5], [5, 6], [4, 5]])
    >>> determines(pair, seeds), determines(seeds, pair)
    (True, False)
    """
    if finer.shape[1] == 1:
        _, together = np.unique(np.sort(coarser, axis=1), axis=0, return_inverse=True)
        coarser = together.reshape(-1, 1)
    elif coarser.shape[1] not in (1, finer.shape[1]):
        return False
    coarser = np.broadcast_to(coarser, finer.shape)
    image = np.empty(int(finer.max()) + 1, coarser.dtype)
    image[finer.ravel()] = coarser.ravel()
    return bool((image[finer] == coarser).all())


def _residuals(
    model: FittedModel, terms: list[GroupDesign], rows: np.ndarray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Residuals (draws, rows) of data and replicates about all but the effects of some terms."""
    parts = Parts(model)
    eta, family, parameters = parts.eta, parts.family, parts.parameters(rows)
    new = np.zeros((model.draws, 1))
    if terms:
        matrix, effects = model.group_blocks(terms, model.frame)
        eta = eta - effects @ matrix.T
        new = sum(_new_effects(model, one, rng) @ one.matrix(model.frame).T for one in terms)
    apart = eta[:, rows]
    drawn = parts.simulate(rng, (eta + new)[:, rows], rows)
    response = parts.response[None, rows]
    return family.residual(response, apart, parameters), family.residual(drawn, apart, parameters)


def _new_effects(model: FittedModel, design: GroupDesign, rng: np.random.Generator) -> FloatArray:
    """Effects (draws, levels x k) of new levels, one for each level that there is."""
    basis, covariance = model.centred_covariance(design)
    values, vectors = np.linalg.eigh(covariance)
    root = basis @ (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])
    white = rng.standard_normal((model.draws, len(design.levels), len(basis)))
    return np.einsum("dij,dlj->dli", root, white).reshape(model.draws, -1)
