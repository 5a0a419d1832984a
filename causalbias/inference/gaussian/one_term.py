"""One plain term whose effects share too many rows for a sparse factor: by its eigenvalues.

Of a model whose only effects are those of one term, one of each level, the normal matrix of the
whitened effects is ``A = I + r^2 M``, ``M = Z'WZ`` and r = sd / sigma: the eigenvectors of M are
those of A, whatever the scales. With ``M = V diag(mu) V'`` and ``h = V'Z'W [X, y]``,

    log |A| = sum_k log(1 + r^2 mu_k),
    (Z'W [X, y])' A^-1 (Z'W [X, y]) = sum_k h_k h_k' / (1 + r^2 mu_k).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from causalbias.inference.gaussian.lanczos import LanczosTerm, lanczos_term
from causalbias.inference.membership import effects_design
from causalbias.inference.problem import FloatArray, Problem

_FEW = 300  # effects in the dense part below which nothing is gained
_MAX_DENSE = 3000  # levels, of which all eigenvectors take some 20 s and 150 MB


@dataclass(frozen=True)
class EigenTerm:
    """The term's part of the normal equations, by the eigenvectors of ``M = Z'WZ``.

    Attributes
    ----------
    values : ndarray (levels,)
        Eigenvalues mu.
    vectors : ndarray (levels, levels)
        V, one a column.
    loading : ndarray (levels, p + 1)
        ``V'Z'W [X, y]``.
    """

    values: FloatArray
    vectors: FloatArray
    loading: FloatArray

    def taken(self, sigma: FloatArray, factors: list[FloatArray]) -> tuple[FloatArray, float]:
        """As `SparsePart.taken`."""
        noise = float(sigma[0])
        square = (float(factors[0][0, 0]) / noise) ** 2
        grown = 1.0 + square * self.values
        taken = (square / noise**2) * (self.loading.T @ (self.loading / grown[:, None]))
        return taken, float(np.log(grown).sum())

    def draw(
        self,
        sigma: FloatArray,
        factors: list[FloatArray],
        beta: FloatArray,
        streams: NDArray[np.uint64],
    ) -> list[NDArray[np.float32]]:
        """As `SparsePart.draw`: ``b = sd V (D^-1 V'Z'We sd / sigma^2 + D^-1/2 z)``.

        D holds the eigenvalues of A, and e is the response less the coefficients' fit.
        """
        sd, sigma = factors[0][:, 0, 0], sigma[:, 0]
        grown = 1.0 + ((sd / sigma) ** 2)[:, None] * self.values
        right = self.loading[:, -1] - beta @ self.loading[:, :-1].T
        white = right * (sd / sigma**2)[:, None] / grown
        for one, scale, stream in zip(white, grown, streams, strict=True):
            generator = np.random.Generator(np.random.SFC64(int(stream)))
            one += generator.standard_normal(len(one)) / np.sqrt(scale)
        # draw by draw, so that rounding does not depend on how draws are cut into chunks
        effects = [scale * (self.vectors @ one) for scale, one in zip(sd, white, strict=True)]
        return [np.array(effects, np.float32)[:, :, None]]


def one_term_part(
    problem: Problem, residual: FloatArray, crossed: int
) -> EigenTerm | LanczosTerm | None:
    """The part of a problem's one plain term: exact up to 3,000 levels, estimated above.

    Parameters
    ----------
    problem : Problem
    residual : ndarray (n,)
        The response less the fit of the coefficients subtracted beforehand.
    crossed : int
        Effects that would be in the dense factor.

    Returns
    -------
    EigenTerm, LanczosTerm or None
        None where there are other terms, or few effects.
    """
    if crossed < _FEW or len(problem.terms) != 1 or problem.terms[0].k != 1:
        return None
    root_weight = np.sqrt(problem.total_weight)
    design = effects_design(problem.terms[0])
    root = sparse.csr_matrix(sparse.diags_array(root_weight) @ design)
    link = root.T @ (np.column_stack([problem.design, residual]) * root_weight[:, None])
    if crossed > _MAX_DENSE:
        return lanczos_term(root, link)
    values, vectors = linalg.eigh((root.T @ root).toarray(), driver="evd", overwrite_a=True)
    return EigenTerm(np.maximum(values, 0.0), vectors, vectors.T @ link)
