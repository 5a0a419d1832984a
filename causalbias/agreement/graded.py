"""Consensus that weights annotators by their reliability: a graded response model."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse import csr_array
from scipy.special import expit

from causalbias.agreement.consensus import threshold_on
from causalbias.agreement.counts import Ratings, ratings_of
from causalbias.arguments import number_in
from causalbias.errors import DataError

GRID = np.linspace(-7.0, 7.0, 43)
ITERATIONS = 500
TOLERANCE = 1e-6
SMALL = 1e-12
# The distribution of items is smoothed at each step (EMS; Silverman, Jones, Wilson and Nychka
# 1990), because its maximum likelihood estimate consists of a few points, so that the intervals of
# items would be too narrow.
WIDTH = 0.4
SMOOTHING = np.exp(-0.5 * ((GRID[:, None] - GRID) / WIDTH) ** 2)
SMOOTHING /= SMOOTHING.sum(axis=0)


@dataclass(frozen=True)
class Annotators:
    """Parameters of the model.

    Attributes
    ----------
    sharp, severity : ndarray (annotator,)
        Log discrimination, and severity in logits.
    spread : ndarray (2,)
        Standard deviations of both between annotators.
    cutpoints : ndarray (category - 1,)
        Cut points in logits.
    weights : ndarray (grid,)
        Distribution of the items' latent values on `GRID`.
    """

    sharp: np.ndarray
    severity: np.ndarray
    spread: np.ndarray
    cutpoints: np.ndarray
    weights: np.ndarray


def graded_response(
    study: xr.DataTree,
    question: str = "identity",
    *,
    threshold: float | None = None,
    prob: float = 0.95,
) -> xr.Dataset:
    """Estimate the consensus on each item by a graded response model of items and annotators.

    For item i, annotator j and category k, the model is

    P(answer >= k) = logistic(discrimination_j * (latent_i - severity_j - cutpoint_k)).

    An annotator who answers at random has a discrimination near 0 and little weight. The latent
    values of items have an unrestricted smooth distribution; log discriminations and severities are
    normal. The model is fitted by EM (marginal maximum likelihood). The intervals of items take the
    annotators' parameters as known, which makes them slightly too narrow if annotators answered few
    items. Sources: Samejima (1969), Psychometrika Monograph 17; Bock and Aitkin (1981),
    Psychometrika 46(4); Silverman, Jones, Wilson and Nychka (1990), J. Royal Statistical Society B
    52(2), for the smoothing.

    Parameters
    ----------
    study : DataTree
        A study with judgements.
    question : str
        The question.
    threshold : float, optional
        Threshold of the label, as in `consensus`; by default the middle of the scale.
    prob : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    Dataset
        With the dim `pair` or `stimulus`: `n` (number of answers); `latent` (logits) and
        `latent_sd`; `mean`, `error`, `lower`, `upper` (expected answer of a typical annotator, in
        units of the scale); `label` and its `probability`. With the dim `annotator`: `severity`,
        `discrimination`, `answers`. Attributes: `converged`, `iterations`, and `repeats`, the
        number of further answers of an annotator to the same item, which are left out (see
        `retest`).

    Raises
    ------
    DataError
        If the question has no answers, its scores are not whole numbers, there is a single item, or
        all answers are the same.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4,
    ...                     people=cb.simulation.People(annotators=30))
    >>> model = cb.agreement.graded_response(study)
    >>> bool(abs(model["mean"].to_series() - cb.agreement.hcic(study)["mean"]).mean() < 0.4)
    True
    """
    prob = number_in(prob, "prob", 0, 1)
    ratings = ratings_of(study, question)
    values = ratings.values
    threshold = threshold_on(values, threshold)
    _check_varied(ratings)
    parameters, posterior, iterations = fit_graded(ratings)
    typical = values[0] + expit(GRID[:, None] - parameters.cutpoints).sum(axis=1)
    latent = posterior @ GRID
    mean = posterior @ typical
    tails = [_quantile(posterior, typical, at) for at in ((1 - prob) / 2, (1 + prob) / 2)]
    label = mean >= threshold
    above = posterior[:, typical >= threshold].sum(axis=1)
    by_item = {
        "n": np.bincount(ratings.item),
        "latent": latent,
        "latent_sd": np.sqrt(np.maximum(posterior @ GRID**2 - latent**2, 0)),
        "mean": mean,
        "error": np.sqrt(np.maximum(posterior @ typical**2 - mean**2, 0)),
        "lower": tails[0],
        "upper": tails[1],
        "label": label,
        "probability": np.where(label, above, 1 - above),
    }
    by_annotator = {
        "severity": parameters.severity,
        "discrimination": np.exp(parameters.sharp),
        "answers": np.bincount(ratings.annotator),
    }
    return xr.Dataset(
        {name: (ratings.target, value) for name, value in by_item.items()}
        | {name: ("annotator", value) for name, value in by_annotator.items()},
        coords={ratings.target: ratings.items, "annotator": ratings.annotators},
        attrs={
            "converged": int(iterations < ITERATIONS),
            "iterations": iterations,
            "repeats": ratings.repeats,
        },
    )


def _check_varied(ratings: Ratings) -> None:
    """Refuse answers from which neither cut points nor the items' distribution can be estimated."""
    for count, problem, needed in (
        (len(ratings.items), "there is a single item", "items"),
        (len(np.unique(ratings.score)), "all answers are the same", "answers"),
    ):
        if count < 2:
            raise DataError(
                problem,
                hint=f"the model needs {needed} that differ; hcic has the mean answer and its "
                "interval",
            )


def fit_graded(ratings: Ratings) -> tuple[Annotators, np.ndarray, int]:
    """Fit the model by EM, where each M-step is one step of Fisher scoring.

    Returns
    -------
    parameters : Annotators
        Estimated parameters.
    posterior : ndarray (item, grid)
        Posterior distribution of each item's latent value.
    iterations : int
        Number of iterations; `ITERATIONS` if the algorithm did not converge.
    """
    categories, annotators = len(ratings.values), len(ratings.annotators)
    cell = ratings.annotator * categories + ratings.score
    answers = csr_array(
        (np.ones(len(cell)), (cell, ratings.item)),
        shape=(annotators * categories, len(ratings.items)),
    )
    by_item = answers.T.tocsr()
    parameters = _start(ratings)
    before = -np.inf
    posterior = np.empty(0)
    for iteration in range(1, ITERATIONS + 1):
        chance = _chances(parameters)
        log_chance = np.log(chance).reshape(-1, len(GRID))
        joint = by_item @ log_chance + np.log(parameters.weights)
        top = joint.max(axis=1, keepdims=True)
        posterior = np.exp(joint - top)
        total = posterior.sum(axis=1, keepdims=True)
        posterior /= total
        fit = float((np.log(total) + top).sum())
        if abs(fit - before) < TOLERANCE * abs(fit):
            return parameters, posterior, iteration
        before = fit
        expected = (answers @ posterior).reshape(chance.shape)
        parameters = _improve(parameters, chance, expected, SMOOTHING @ posterior.mean(axis=0))
    return parameters, posterior, ITERATIONS


def _start(ratings: Ratings) -> Annotators:
    shares = np.bincount(ratings.score, minlength=len(ratings.values)) + 1.0
    above = 1 - np.cumsum(shares / shares.sum())[:-1]
    weights = np.exp(-0.5 * (GRID / 2.5) ** 2)
    return Annotators(
        sharp=np.zeros(len(ratings.annotators)),
        severity=np.zeros(len(ratings.annotators)),
        spread=np.array([0.3, 0.5]),
        cutpoints=-1.8 * np.log(above / (1 - above)),
        weights=weights / weights.sum(),
    )


def _passed(parameters: Annotators) -> tuple[np.ndarray, np.ndarray]:
    """Compute P(answer >= k) for k > 0, and its logit, (annotator, category - 1, grid)."""
    gap = GRID - parameters.severity[:, None, None] - parameters.cutpoints[:, None]
    eta = np.exp(parameters.sharp)[:, None, None] * gap
    return expit(eta), eta


def _chances(parameters: Annotators) -> np.ndarray:
    """Compute P(answer = k), (annotator, category, grid)."""
    return np.maximum(_between(_passed(parameters)[0], 1.0), SMALL)


def _between(inner: np.ndarray, first: float) -> np.ndarray:
    """Compute differences along the categories, with `first` before and 0 after them."""
    return -np.diff(inner, axis=1, prepend=first, append=0.0)


def _improve(
    old: Annotators, chance: np.ndarray, expected: np.ndarray, weights: np.ndarray
) -> Annotators:
    """Make a scoring step for annotators and cut points; update their spread and the weights."""
    passed, eta = _passed(old)
    slope = passed * (1 - passed)
    sharp = np.exp(old.sharp)[:, None, None]
    ratio = expected / chance
    asked = expected.sum(axis=1, keepdims=True)
    moves = np.stack([_between(eta * slope, 0.0), _between(-sharp * slope, 0.0)])
    mode = np.stack([old.sharp, old.severity])
    gradient = np.einsum("pjkq,jkq->jp", moves, ratio) - (mode / old.spread[:, None] ** 2).T
    information = np.einsum("pjkq,rjkq->jpr", moves, moves * (asked / chance))
    information += np.diag(old.spread**-2.0)
    step = np.linalg.solve(information, gradient[..., None])[..., 0]
    new = mode + np.clip(step, -1, 1).T
    covariance = np.linalg.inv(information)
    spread = np.sqrt((new**2).mean(axis=1) + covariance[:, [0, 1], [0, 1]].mean(axis=0))
    pulls = -sharp * slope  # derivatives of P(answer >= k) with respect to cut point k
    below, above = ratio[:, :-1], ratio[:, 1:]
    pull = np.einsum("jkq,jkq->k", pulls, above - below)
    weight = asked / chance
    size = len(old.cutpoints)
    curve = np.zeros((size, size))
    at = np.arange(size)
    curve[at, at] = np.einsum("jkq,jkq->k", pulls**2, weight[:, :-1] + weight[:, 1:])
    beside = -np.einsum("jkq,jkq->k", pulls[:, :-1] * pulls[:, 1:], weight[:, 1:-1])
    curve[at[:-1], at[1:]] = curve[at[1:], at[:-1]] = beside
    shift = np.linalg.solve(curve + 1e-6 * np.eye(size), pull)
    cutpoints = np.sort(old.cutpoints + np.clip(shift, -0.5, 0.5))
    return _centred(new[0], new[1], np.maximum(spread, 0.02), cutpoints, weights)


def _centred(
    sharp: np.ndarray,
    severity: np.ndarray,
    spread: np.ndarray,
    cutpoints: np.ndarray,
    weights: np.ndarray,
) -> Annotators:
    """Reparametrise the model so that mean severity and mean log discrimination are zero.

    Without this, location and scale of the items' distribution are not identified.
    """
    scale, middle = np.exp(sharp.mean()), severity.mean()
    weights = np.interp(GRID / scale, GRID, weights) + SMALL
    return Annotators(
        sharp=sharp - sharp.mean(),
        severity=scale * (severity - middle),
        spread=spread,
        cutpoints=scale * (cutpoints + middle),
        weights=weights / weights.sum(),
    )


def _quantile(posterior: np.ndarray, typical: np.ndarray, at: float) -> np.ndarray:
    """Compute quantiles of each item's typical answer, interpolated between points of the grid."""
    below = np.cumsum(posterior, axis=1) - posterior / 2
    right = np.clip((below < at).sum(axis=1), 1, len(typical) - 1)
    rows = np.arange(len(posterior))
    low, high = below[rows, right - 1], below[rows, right]
    share = np.clip((at - low) / np.maximum(high - low, SMALL), 0, 1)
    return typical[right - 1] + share * (typical[right] - typical[right - 1])
