"""The few parameters that are left once coefficients and effects are integrated out.

``theta = (log sigma, then for each term: log sd of each coefficient, unconstrained partial
correlations)``. A term's effects are ``b = L u`` with ``u`` standard normal and
``L = diag(sd) @ chol(corr)``, so that nothing breaks down as a standard deviation tends to zero.
A correlation matrix has independent partial correlations r_ij under the LKJ(eta) prior, with
``(r_ij + 1) / 2 ~ Beta(b_j, b_j)``, ``b_j = eta + (k - 2 - j) / 2``, j = 0, 1, ... (Lewandowski,
Kurowicka and Joe 2009); theta holds ``atanh(r_ij)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaln

from causalbias.inference.problem import FloatArray, GroupTerm, IntArray, LogDensity


@dataclass(frozen=True)
class Scales:
    """A batch of N parameter vectors on their natural scales.

    Attributes
    ----------
    sigma : ndarray (N,), or (N, cells)
        By cell of rows in the Gaussian engine, where it may differ between them.
    sd : tuple of ndarray (N, k), one a term
    corr_factor : tuple of ndarray (N, k, k)
        Lower Cholesky factors of the correlation matrices.
    log_prior : ndarray (N,)
        Log density of theta itself, Jacobians included.
    """

    sigma: FloatArray
    sd: tuple[FloatArray, ...]
    corr_factor: tuple[FloatArray, ...]
    log_prior: FloatArray

    def factors(self, i: int | IntArray) -> list[FloatArray]:
        """Return each term's ``diag(sd) @ chol(corr)`` at one parameter vector, or at several."""
        pairs = zip(self.sd, self.corr_factor, strict=True)
        return [s[i][..., None] * c[i] for s, c in pairs]


def n_theta(terms: Sequence[GroupTerm]) -> int:
    """Count the parameters: sigma, sds and free correlations."""
    return 1 + sum(t.n_theta for t in terms)


def unpack(theta: FloatArray, terms: Sequence[GroupTerm], sigma_log_prior: LogDensity) -> Scales:
    """Turn a batch of parameter vectors (N, d) into scales, with their log prior density.

    Priors are densities of the standard deviations themselves; the Jacobian of the log is added
    here: ``log p(theta) = log p(sigma) + log sigma + sum_t sum_j (log p(sd_tj) + log sd_tj) +
    sum_t log p(atanh r_t)``.
    """
    sigma = np.exp(theta[:, 0])
    rest = group_scales(theta[:, 1:], terms)
    log_prior = sigma_log_prior(sigma) + theta[:, 0] + rest.log_prior
    return replace(rest, sigma=sigma, log_prior=np.asarray(log_prior, dtype=float))


def group_scales(theta: FloatArray, terms: Sequence[GroupTerm]) -> Scales:
    """The scales of group terms alone, from vectors (N, d) of their parameters; sigma is one."""
    log_prior = np.zeros(len(theta))
    sds, corr_factors, at = [], [], 0
    for term in terms:
        k = term.k
        log_sd = theta[:, at : at + k]
        sd = np.exp(log_sd)
        for j in range(k):
            log_prior = log_prior + term.sd_log_prior[j](sd[:, j]) + log_sd[:, j]
        at += k
        corr_factor = np.broadcast_to(np.eye(k), (len(theta), k, k))
        if term.n_corr:
            x = theta[:, at : at + term.n_corr]
            corr_factor, log_lkj = _correlations(x, k, term.lkj_eta)
            log_prior = log_prior + log_lkj
            at += term.n_corr
        sds.append(sd)
        corr_factors.append(corr_factor)
    return Scales(np.ones(len(theta)), tuple(sds), tuple(corr_factors), log_prior)


def draw_corr_factors(k: int, eta: float, size: int, rng: np.random.Generator) -> FloatArray:
    """Draw Cholesky factors (size, k, k) of LKJ(eta) correlation matrices.

    Examples
    --------
    >>> factors = draw_corr_factors(3, 1.0, 2, np.random.default_rng(0))
    >>> np.allclose(np.diagonal(factors @ factors.swapaxes(1, 2), axis1=1, axis2=2), 1.0)
    True
    """
    shapes = [eta + 0.5 * (k - 2 - j) for i in range(k) for j in range(i)]
    partial = 2 * rng.beta(shapes, shapes, (size, len(shapes))) - 1
    return _correlations(np.arctanh(np.clip(partial, -1 + 1e-15, 1 - 1e-15)), k, eta)[0]


def _correlations(x: FloatArray, k: int, eta: float) -> tuple[FloatArray, FloatArray]:
    """Cholesky factors (N, k, k) at ``x = atanh r`` (N, k (k - 1) / 2), and log densities of x.

    ``L_ij = r_ij prod_{m<j} sqrt(1 - r_im^2)``, ``L_ii = prod_{m<i} sqrt(1 - r_im^2)``. As
    ``dr = (1 - r^2) dx``, x_ij has density ``(1 - r_ij^2)^b_j / (2^(2 b_j - 1) B(b_j, b_j))``.
    """
    # log(1 - tanh(x)^2), without losing it where |x| is large
    log_sech2 = -2.0 * (np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x))) - np.log(2.0))
    partial, sech = np.tanh(x), np.exp(0.5 * log_sech2)
    factor = np.zeros((len(x), k, k))
    log_density = np.zeros(len(x))
    at = 0
    for i in range(k):
        remaining = np.ones(len(x))
        for j in range(i):
            b = eta + 0.5 * (k - 2 - j)
            norm = (2 * b - 1) * np.log(2.0) + betaln(b, b)
            log_density += b * log_sech2[:, at] - norm
            factor[:, i, j] = partial[:, at] * remaining
            remaining = remaining * sech[:, at]
            at += 1
        factor[:, i, i] = remaining
    return factor, log_density
