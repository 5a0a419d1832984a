"""The verbs at R's estimates against R's emmeans 1.8.4 (R 4.2.2, ordinal 2022.11-16).

    d <- read.csv("shared_case.csv", stringsAsFactors = TRUE)
    d$mark <- factor(d$score, ordered = TRUE)
    m <- clm(mark ~ a*b, data = d, link = link)
    emmeans(m, ~ a*b, mode = "mean.class")                           # CLASS (from 1), CELLS
    emmeans(m, ~ mark | a, mode = "prob", weights = "proportional")  # CHANCES
    contrast(emmeans(m, ~ a*b, mode = "mean.class"),
             interaction = c(a = "trt.vs.ctrl", b = "trt.vs.ctrl"))  # INTERACTION
    g <- glm(hit ~ a*b, binomial, data = d)
    contrast(regrid(emmeans(g, ~ a | b)), "trt.vs.ctrl")             # RISKS
    emmeans(regrid(emmeans(g, ~ a*b)), ~ a, weights = "proportional")
    l <- lm(y ~ a + b*(x + I(x^2)), data = d)
    emtrends(l, ~ b | x, var = "x", at = list(x = c(-.5, .5)))       # TRENDS

The fits hold one draw: R's estimates. What is compared is the verbs' arithmetic, to R's digits.
"""

import numpy as np
import pytest

import causalbias as cb

CLM = {
    "logit": {
        "threshold": [-1.0319296098, 0.4115484882, 1.3452194230],
        "a": [0.2324001951, -0.6934336163],
        "b": [1.3194350699],
        "a:b": [1.0332367363, -0.6049644216],
    },
    "probit": {
        "threshold": [-0.6400430388, 0.2410603927, 0.8017099972],
        "a": [0.1467534218, -0.4276268997],
        "b": [0.8096899103],
        "a:b": [0.6675535184, -0.3687452682],
    },
}
CELLS = {
    "logit": [2.342483737, 3.119164405, 2.482448557, 3.647224588, 1.947836657, 2.355061647],
    "probit": [2.355042211, 3.144813195, 2.502980000, 3.699415166, 1.945429049, 2.368394949],
}
INTERACTION = {"logit": [0.3880953642, -0.3694556775], "probit": [0.4066641819, -0.3668050844]}
CHANCES = {
    "logit": [
        [0.2193578182, 0.3046414022, 0.1985787724, 0.2774220073],
        [0.1723590661, 0.2631550888, 0.1868526461, 0.3776331991],
        [0.3773201696, 0.3356915680, 0.1483708672, 0.1386173952],
    ],
    "probit": [
        [0.2148208770, 0.3038492623, 0.1979864574, 0.2833434033],
        [0.1654015580, 0.2601235775, 0.1854474970, 0.3890273675],
        [0.3766392941, 0.3325212198, 0.1552790403, 0.1355604458],
    ],
}
GLM = {
    "Intercept": -0.5020919438,
    "a": [0.5821346515, -0.1910552368],
    "b": [0.5891033208],
    "a:b": [-0.1583204047, -1.5053940527],
}
RISKS = [[0.14295081967, 0.10326086957], [-0.04371584699, -0.35507246377]]
PROPORTIONAL = [0.4127393680, 0.5459000000, 0.2922222222]
LM = {
    "Intercept": 1.96004005634,
    "a": [0.96713484466, -0.58599949343],
    "b": [0.82257834092],
    "x": 0.71360932772,
    "I(x ** 2)": 0.19364129865,
    "b:x": [0.08748850796],
    "b:I(x ** 2)": [0.64659673373],
    "sigma": 0.5,
}
TRENDS = {"u": [0.52034698509, 0.90762958240], "v": [-0.03749585088, 1.64298021390]}


def one_draw(values):
    return {name: np.asarray(value, float)[None] for name, value in values.items()}


@pytest.fixture(params=["logit", "probit"])
def ordinal(request, fit_at, shared_case):
    draws = one_draw(CLM[request.param])
    fit = fit_at("score ~ a*b", shared_case, draws, family="cumulative", link=request.param)
    return request.param, fit


def test_mean_category_by_cell(ordinal):
    link, fit = ordinal
    ours = cb.predictions(fit, ["a", "b"])["prediction"].values.ravel()
    np.testing.assert_allclose(1 + ours, CELLS[link], rtol=1e-8)


def test_category_probabilities(ordinal, shared_case):
    link, fit = ordinal
    ours = cb.predictions(fit, ["a", "b"], scale="probability")["prediction"]
    share = shared_case["b"].value_counts(normalize=True).sort_index().to_numpy()
    weighted = np.einsum("abk,b->ak", ours.values[0, 0], share)
    np.testing.assert_allclose(weighted, CHANCES[link], rtol=1e-8)
    effect = cb.effects(fit, "a", scale="probability")["effect"].values[0, 0]
    np.testing.assert_allclose(effect, np.subtract(CHANCES[link][1:], CHANCES[link][0]), rtol=1e-7)


def test_interaction_contrast(ordinal):
    link, fit = ordinal
    ours = cb.interaction(fit, "a", "b")["interaction"]
    np.testing.assert_allclose(ours.values.ravel(), INTERACTION[link], rtol=1e-7)


def test_risk_differences(fit_at, shared_case):
    fit = fit_at("hit ~ a*b", shared_case, one_draw(GLM), family="bernoulli")
    for scale in ("response", "probability"):
        ours = cb.effects(fit, "a", by="b", scale=scale)["effect"]
        np.testing.assert_allclose(ours.values[0, 0], RISKS, rtol=1e-8)
    overall = cb.effects(fit, "a")["effect"].values.ravel()
    np.testing.assert_allclose(overall, np.subtract(PROPORTIONAL[1:], PROPORTIONAL[0]), rtol=1e-8)


def test_slopes_of_a_quadratic(fit_at, shared_case):
    fit = fit_at("y ~ a + b*(x + I(x**2))", shared_case, one_draw(LM))
    # emtrends takes forward differences over a thousandth of x's range, which adds to a parabola's.
    ahead = 0.001 * np.ptp(shared_case["x"])
    for b, bent in (("u", 0.19364129865), ("v", 0.19364129865 + 0.64659673373)):
        slope = cb.dose(fit, "x", by="b", grid=[-0.5, 0.5])["slope"].sel(b=b)
        expected = np.array(TRENDS[b]) - bent * ahead
        np.testing.assert_allclose(slope.values.ravel(), expected, rtol=1e-7)
