"""Pairs of photographs of thousands of identities: Racial Faces in the Wild.

Distances of 12,000 impostor pairs by one network, in units of 0.05. The references are the
restricted likelihood that lme4 maximises (Bates et al. 2015, equation 39), written out here with
SciPy's SuperLU, which shares no code with the engine; NUTS on some of the pairs; and lme4 1.1-31,
R 4.2.2, given the sparse indicator matrix by hand (1 s), run as::

    library(lme4); library(Matrix)
    files <- sort(list.files("rfw-pairs", "csv$", full.names = TRUE))
    d <- do.call(rbind, lapply(1:4, function(i) {
      r <- read.csv(files[i]); r$group <- factor(i, 1:4); r[r$issame == "False", ] }))
    d$y <- d$vgg_cos_dist / 0.05
    ids <- sort(unique(c(d$Class_ID_s1, d$Class_ID_s2))); n <- nrow(d)
    d$g <- factor(rep_len(ids, n), ids)
    lf <- lFormula(y ~ group + (1 | g), d)
    lf$reTrms$Zt <- sparseMatrix(i = c(match(d$Class_ID_s1, ids), match(d$Class_ID_s2, ids)),
                                 j = rep(1:n, 2), x = 0.5, dims = c(length(ids), n))
    df <- do.call(mkLmerDevfun, lf); op <- optimizeLmer(df)
    m <- mkMerMod(environment(df), op, lf$reTrms, fr = lf$fr)
    VarCorr(m); summary(m)$coefficients; logLik(m)
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.sparse.linalg import splu

from causalbias.inference.gaussian import sample_gaussian
from causalbias.inference.gaussian.blocks import build_blocks
from causalbias.inference.gaussian.density import eliminate
from causalbias.inference.problem import Problem
from tests.inference.gaussian.nuts_reference import reference
from tests.inference.gaussian.test_gaussian_nuts import compare
from tests.inference.gaussian_cases import half_normal, problem, term

NAME = "1|mm(id_a, id_b)"
SD, SIGMA, LOG_LIKELIHOOD = 0.19435911, 1.02992889, -17495.609  # lme4's
BETA = np.array([14.85943233, -0.19234770, 1.75353179, 0.72154634])
ERRORS = np.array([0.019418525, 0.027592745, 0.027469089, 0.027578889])
PHOTOGRAPHS = Path(os.environ.get("CAUSALBIAS_DATA", "../shared/data")) / "rfw-pairs"
pytestmark = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"no {PHOTOGRAPHS}")


def photographs(least: int = 1, beta_sd: float = np.inf) -> Problem:
    """Impostor pairs of identities with so many pairs: a mean for each of four labelled groups."""
    rows = pd.concat(
        [pd.read_csv(path).query("issame == False") for path in sorted(PHOTOGRAPHS.glob("*.csv"))],
        keys=range(4),
    )
    both = rows[["Class_ID_s1", "Class_ID_s2"]]
    many = pd.Series(both.to_numpy().ravel()).value_counts()
    rows = rows[both.apply(lambda one: one.map(many) >= least).all(axis=1)]
    group = rows.index.get_level_values(0)
    names, codes = np.unique(rows[["Class_ID_s1", "Class_ID_s2"]], return_inverse=True)
    design = np.column_stack([np.ones(len(rows)), *(group == g for g in (1, 2, 3))])
    ones = np.ones((len(rows), 1))
    members = term(NAME, ones, codes.reshape(-1, 2), len(names))
    return problem(rows["vgg_cos_dist"].to_numpy() / 0.05, design, [members], beta_sd=beta_sd)


def restricted(p: Problem, sigma: float, sd: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Restricted log likelihood, and the coefficients' estimates and standard errors."""
    n, levels = len(p.y), p.terms[0].n_levels
    rows = np.repeat(np.arange(n), 2)
    z = sparse.csc_matrix((np.full(2 * n, 0.5), (rows, p.terms[0].codes.ravel())), (n, levels))
    normal = sparse.csc_matrix(z.T @ z * (sd / sigma) ** 2 + sparse.eye_array(levels))
    found = splu(normal, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})

    def within(v: np.ndarray) -> np.ndarray:
        return (v - (sd / sigma) ** 2 * (z @ found.solve(z.T @ v))) / sigma**2

    solved = within(p.design)
    gram = p.design.T @ solved
    beta = np.linalg.solve(gram, solved.T @ p.y)
    residual = p.y - p.design @ beta
    log_det = np.log(np.abs(found.U.diagonal())).sum() + 2 * n * np.log(sigma)
    log_det += np.linalg.slogdet(gram)[1] + (n - len(beta)) * np.log(2 * np.pi)
    return (
        -0.5 * float(log_det + residual @ within(residual)),
        beta,
        np.sqrt(np.diag(np.linalg.inv(gram))),
    )


@pytest.mark.parametrize(("sigma", "sd"), [(1.0, 0.2), (0.8, 1.3), (1.1, 0.01), (0.1, 2.0)])
def test_the_density_is_the_restricted_likelihood(sigma, sd):
    p = photographs()
    blocks = build_blocks(p)
    assert blocks.sparse is not None
    found = eliminate(blocks, sigma, [np.array([[sd]])], np.empty_like(blocks.total))
    assert found.log_marginal == pytest.approx(restricted(p, sigma, sd)[0], rel=1e-10)


def test_the_posterior_is_where_lme4_has_its_optimum():
    p = photographs()
    blocks = build_blocks(p)
    there = eliminate(blocks, SIGMA, [np.array([[SD]])], np.empty_like(blocks.total))
    assert there.log_marginal == pytest.approx(LOG_LIKELIHOOD, abs=2e-3)
    found = sample_gaussian(p, half_normal, draws=4000, random_seed=1, keep=[])
    assert np.abs((found.beta.mean(axis=0) - BETA) / ERRORS).max() < 0.1
    np.testing.assert_allclose(found.beta.std(axis=0), ERRORS, rtol=0.05)
    assert abs(found.sigma.mean() - SIGMA) < 0.5 * found.sigma.std()
    low, high = np.quantile(found.sd[NAME], [0.1, 0.9])
    assert low < SD < high


def subset() -> Problem:
    """Pairs of identities with seven pairs or more, as NUTS had them for its reference."""
    return photographs(least=7, beta_sd=20.0)


@pytest.mark.slow
def test_the_posterior_is_that_of_nuts_on_a_subset():
    p = subset()
    found = sample_gaussian(p, half_normal, draws=10_000, random_seed=2)
    assert found.blocks.sparse is not None
    theirs = reference(p, "photographs")
    assert set(theirs) == {"beta", "sigma", f"sd {NAME}"}
    compare("beta", found.beta, theirs["beta"])
    compare("sigma", found.sigma, theirs["sigma"])
    compare("sd", found.sd[NAME], theirs[f"sd {NAME}"])
