"""Ridge and ordinal regression of ratings on arrays, with posterior draws."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, log_expit

PENALTIES = np.logspace(4, -1, 11)  # penalties that the ordinal model tries, from strong to weak
NEWTON = 60
FOLDS = 5


@dataclass(frozen=True)
class Linear:
    """A linear predictor with a Normal posterior.

    Attributes
    ----------
    weight : ndarray (feature,)
        Posterior mean (ridge) or mode (ordinal) of the weights.
    intercept : float
        Intercept; NaN if there are two or more cut points instead.
    draws : ndarray (draw, feature)
        Posterior draws of the weights, given the penalty.
    penalty : float
        Ratio of the residual variance (1 for the ordinal model) to the weights' prior variance.
    residual : float
        Residual standard deviation of the ridge; NaN for the ordinal model.
    """

    weight: np.ndarray
    intercept: float
    draws: np.ndarray
    penalty: float
    residual: float


def ridge(x: np.ndarray, y: np.ndarray, draws: int, random: np.random.Generator) -> Linear:
    """Fit a Bayesian linear regression with equal Normal priors on the weights.

    The penalty maximises the marginal likelihood (MacKay 1992, *Neural Computation* 4(3)).

    Parameters
    ----------
    x : ndarray (n, feature)
        Predictors, centred by the caller.
    y : ndarray (n,)
        Ratings.
    draws : int
        Number of posterior draws.
    random : Generator
        Source of random numbers.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(200, 3))
    >>> ridge(x, x @ [1.0, 0.0, -2.0], 5, random).weight.round(2)
    array([ 1.,  0., -2.])
    """
    middle = y.mean()
    u, s, v = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    along = u.T @ (y - middle)
    rest = max(float(((y - middle) ** 2).sum() - (along**2).sum()), 0.0)
    n = len(y) - 1

    def cost(log_penalty: float) -> float:
        grown = 1 + s**2 / np.exp(log_penalty)
        return n * np.log((along**2 / grown).sum() + rest + 1e-300) + np.log(grown).sum()

    scale = np.log((s**2).mean())
    found = optimize.minimize_scalar(cost, bounds=(scale - 25, scale + 12), method="bounded")
    penalty = float(np.exp(found.x))
    variance = ((along**2 / (1 + s**2 / penalty)).sum() + rest) / n
    weight = v.T @ (s / (s**2 + penalty) * along)
    noise = random.normal(size=(draws, x.shape[1]))
    inside = noise @ v.T
    spread = (noise - inside @ v) / np.sqrt(penalty) + (inside / np.sqrt(s**2 + penalty)) @ v
    intercept = float(middle - x.mean(axis=0) @ weight)
    return Linear(
        weight, intercept, weight + np.sqrt(variance) * spread, penalty, float(np.sqrt(variance))
    )


def ordinal(x: np.ndarray, y: np.ndarray, draws: int, random: np.random.Generator) -> Linear:
    """Fit a proportional odds model with equal Normal priors on the weights.

    With two categories, this is logistic regression. The mode is found by Newton's method, as the
    log likelihood is concave (Burridge 1981, *JRSS B* 43(1)). The penalty maximises Laplace's
    approximation of the marginal likelihood, and the draws are from that approximation.

    Parameters
    ----------
    x : ndarray (n, feature)
        Predictors, centred by the caller.
    y : ndarray (n,)
        Categories as numbers, whose order is that of the categories.
    draws : int
        Number of posterior draws.
    random : Generator
        Source of random numbers.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(4000, 2))
    >>> y = x @ [2.0, -1.0] + random.logistic(size=4000) > 0
    >>> (ordinal(x, y, 5, random).weight / [2, -1]).round(0)
    array([1., 1.])
    """
    values, code = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise ValueError("all ratings are equal")
    whole, features = x, x.shape[1]
    if features > len(x):  # the mode lies in the span of the rows
        u, s, v = np.linalg.svd(x, full_matrices=False)
        x = u * s
    share = np.cumsum(np.bincount(code))[:-1] / len(code)
    start = np.concatenate([np.zeros(x.shape[1]), np.log(share / (1 - share))])
    best, top = None, -np.inf
    for penalty in PENALTIES * (whole**2).mean():
        start, hessian = _newton(x, code, len(values), penalty, start)
        _, log_det = np.linalg.slogdet(hessian)
        worth = -_cost(x, code, start, penalty) + 0.5 * x.shape[1] * np.log(penalty) - 0.5 * log_det
        if worth > top:
            best, top = (start.copy(), hessian, penalty), worth
    assert best is not None
    theta, hessian, penalty = best
    factor = np.linalg.cholesky(hessian)
    noise = np.linalg.solve(factor.T, random.normal(size=(len(theta), draws)))
    p = x.shape[1]
    intercept = -float(theta[p]) if len(values) == 2 else np.nan
    weight, drawn = theta[:p], theta[:p] + noise[:p].T
    if features > len(whole):  # outside of the span the prior is left
        outside = random.normal(size=(draws, features)) / np.sqrt(penalty)
        weight, drawn = weight @ v, drawn @ v + outside - outside @ v.T @ v
    return Linear(weight, intercept, drawn, float(penalty), np.nan)


def _newton(
    x: np.ndarray, code: np.ndarray, categories: int, penalty: float, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the posterior mode (weights, cut points) and the negative Hessian at the mode."""
    p = x.shape[1]
    cuts = np.eye(categories - 1)
    upper = np.vstack([cuts, np.zeros(categories - 1)])[code]  # which cut is above a category
    lower = np.vstack([np.zeros(categories - 1), cuts])[code]
    prior = np.zeros(len(theta))
    prior[:p] = penalty
    for _ in range(NEWTON):
        above, below = _bounds(x, code, theta)
        f_above, f_below = expit(above), expit(below)
        mass = np.maximum(f_above - f_below, 1e-300)
        d_above, d_below = f_above * (1 - f_above), f_below * (1 - f_below)
        up, down = d_above / mass, d_below / mass
        # Second derivatives of the log probability of a category by its two cut points.
        h_up = up * (1 - 2 * f_above) - up**2
        h_down = -down * (1 - 2 * f_below) - down**2
        h_both = up * down
        by_eta = -(up - down)
        gradient = np.concatenate([x.T @ by_eta, upper.T @ up - lower.T @ down]) - prior * theta
        a = -(h_up + h_down + 2 * h_both)
        cross = (h_up + h_both)[:, None] * upper + (h_down + h_both)[:, None] * lower
        corner = -(
            upper.T @ (h_up[:, None] * upper)
            + lower.T @ (h_down[:, None] * lower)
            + upper.T @ (h_both[:, None] * lower)
            + lower.T @ (h_both[:, None] * upper)
        )
        hessian = np.block([[x.T @ (a[:, None] * x), x.T @ cross], [cross.T @ x, corner]])
        hessian += np.diag(prior)
        step = np.linalg.solve(hessian, gradient)
        size, before = 1.0, _cost(x, code, theta, penalty)
        while size > 1e-8 and not _cost(x, code, theta + size * step, penalty) <= before:
            size /= 2
        theta = theta + size * step
        if np.abs(size * step).max() < 1e-7:
            break
    return theta, hessian


def _bounds(x: np.ndarray, code: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's upper and lower cut points minus its linear predictor."""
    p = x.shape[1]
    cuts = np.concatenate([[-np.inf], theta[p:], [np.inf]])
    eta = x @ theta[:p]
    return cuts[code + 1] - eta, cuts[code] - eta


def _cost(x: np.ndarray, code: np.ndarray, theta: np.ndarray, penalty: float) -> float:
    """Compute minus the log posterior, up to a constant; infinite if cut points do not ascend."""
    p = x.shape[1]
    if (np.diff(theta[p:]) <= 0).any():
        return np.inf
    above, below = _bounds(x, code, theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        # log(F(a) - F(b)) = log F(a) + log F(-b) + log(1 - exp(b - a))
        log_mass = log_expit(above) + log_expit(-below) + np.log1p(-np.exp(below - above))
    return float(-log_mass.sum() + 0.5 * penalty * (theta[:p] ** 2).sum())


def out_of_fold(x: np.ndarray, y: np.ndarray, fit: Linear, random: np.random.Generator) -> float:
    """Compute the correlation of ratings with predictions from five folds that left them out.

    The predictions are those of ridge regression with the penalty of `fit`, also if the model is
    ordinal (with codes of its categories), since the correlation only measures how well the
    latents predict the ratings.
    """
    if x.shape[1] > len(x):
        u, s, _ = np.linalg.svd(x, full_matrices=False)
        x = u * s
    order = random.permutation(len(y))
    guess = np.empty(len(y))
    for rows in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, rows)
        middle = x[rest].mean(axis=0)
        inner = (x[rest] - middle).T @ (x[rest] - middle) + fit.penalty * np.eye(x.shape[1])
        weight = np.linalg.solve(inner, (x[rest] - middle).T @ (y[rest] - y[rest].mean()))
        guess[rows] = (x[rows] - middle) @ weight + y[rest].mean()
    return float(np.corrcoef(guess, y)[0, 1])
