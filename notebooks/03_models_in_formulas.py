# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Models in formulas, for those who know lme4 or brms
#
# This notebook shows how to write the mixed models of lme4 or brms, how to read the results, and
# where they differ. It uses a simulated experiment with known effects: a Gaussian model of a
# network's distances, an ordinal model of people's answers, and estimands from both. What brms, lme4,
# emmeans and marginaleffects call things is in [Coming from R](../docs/howto/from-r.md), line by line.

# %%
import json
import tempfile
from pathlib import Path

import arviz_stats as azs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalbias as cb

study = cb.simulate(
    seeds=20,
    random_seed=3,
    levels={"pose": [-3, -1, 0, 1, 3]},
    impostors=12,
    people=cb.simulation.People(
        annotators=60, judgements=3, sd_pair=0.0, sd_face=0.0, questions=()
    ),
)
study

# %% [markdown]
# The study is generated faces: 20 seeds (a seed makes one person), each drawn in three races and
# two genders, and turned to five poses. A *genuine* pair is one face in two poses; an *impostor*
# pair, the faces of two seeds. A network gives each pair a distance (smaller: more alike), and
# people say how surely it shows one person, from 0 to 4. Every part is a tidy frame:

# %%
machine = cb.to_frame(study, "machine").query("system == 'ResNet-34'")
genuine = machine[machine["same_identity"]].assign(turn=lambda rows: rows["pose"].abs())
genuine[["distance", "seed", "race", "gender", "turn"]].head()

# %% [markdown]
# ## A first model
#
# `turn` is the number of steps by which the second face of a pair is turned away from the first. Does
# the effect of turning on the distance differ between races? Distances vary between seeds, and
# between the faces of a seed.

# %%
formula = "distance ~ race*turn + gender + (1|seed) + (1|seed:race:gender)"
fit = cb.fit(formula, genuine)
fit

# %% [markdown]
# The output is similar to that of brms:
#
# - **Engine**: how the posterior was sampled. Gaussian models with normal priors are integrated
#   exactly, ordinal and binary models are sampled by importance sampling, and all others by NUTS. For
#   the exact engines, nothing is compiled, and "Pareto k" replaces divergences as a diagnostic (up to
#   0.7 is good). [More on engines](../docs/engines.md).
# - **Status**: the worst R-hat and effective sample size of *all* parameters, including group effects.
#   A fit that failed is marked NOT CONVERGED here, and in every table and figure made from it.
# - **Group-level effects**: standard deviations, as brms' `sd(Intercept)`.
# - **Population-level effects**: posterior mean (Estimate), standard deviation (Est.Error) and 95%
#   interval. `race:turn[black]` is brms' `raceblack:turn`: the label comes last, in brackets. The
#   reference of a factor is its first level in the alphabet.
# - **sigma**: the residual standard deviation.
#
# The truth of the simulation: 0.12 a step, 0.03 more for black faces, seeds' sd 0.02, faces' sd
# 0.015, sigma 0.035.

# %%
truth = {
    "turn": 0.12,
    "race:turn[black]": 0.03,
    "race:turn[white]": 0.0,
    "gender[male]": 0.0,
    "sd(1|seed)": 0.02,
    "sd(1|seed:race:gender)": 0.015,
    "sigma": 0.035,
}
beside = cb.summary(fit).loc[list(truth), ["estimate", "lower", "upper"]].assign(truth=truth)
assert beside["truth"].between(beside["lower"], beside["upper"]).all()
beside.round(3)

# %% [markdown]
# ## The same words, other meanings
#
# - **Default priors.** brms leaves coefficients flat, with Student t's of 3 degrees of freedom
#   scaled by the response's mad on the rest. Here they are bambi's: Normal with sd `2.5 sd(y) /
#   sd(x)` on each column of the design (logit and probit binary models: `1 / sd(x)`, and 1 for
#   factors), Normal about the mean of `y` on the intercept at average predictors, half-normal on
#   groups' sds, half-Student t (4 degrees of freedom) on sigma; correlations LKJ(1), as in brms.
#   They matter little in Gaussian models; **in ordinal ones they can matter much, see below.**
# - **`||` with a factor.** In lme4, `||` removes correlations between numeric columns only, and not
#   between the columns of a factor. Here, as in brms, no two columns are correlated.
# - **`weights`** are lme4's (precision), not brms' (repetition); brms' are `counts`.
# - **Missing values** raise an error that names the column and the first row. With `missing="drop"`, rows
#   are left out as in R, and the fit's summary counts them.
# - **Reference levels.** The order of an R factor sets the reference of its coefficients. So does that
#   of a pandas categorical; for texts it is the first in the alphabet. Verbs take `reference="white"`.
# - **Thresholds** of ordinal models are counted from 0: `threshold[0]` is brms' `b_Intercept[1]`,
#   with the same sign. brms centres predictors before it puts a prior on them, and reports
#   thresholds for zero predictors; here both prior and report are for zero predictors.
# - **A mean in a table** is a posterior mean in `cb.summary`, as in brms, and a posterior *median*
#   in `cb.summarise`, the table of the verbs.
#
# Names and arguments of those packages that are not here end in an error that says what to write:

# %%
for guess in (lambda: cb.ranef(fit), lambda: cb.fit(formula, genuine, iter=2000)):
    try:
        guess()
    except cb.DataError as error:
        print(error)

# %% [markdown]
# ## Priors
#
# Before fitting, draw data from the priors. The default priors are wide: they allow distances of
# several units in both directions, although distances are positive and the network's threshold is
# 0.7. With 480 rows this does no harm, but a small study benefits from priors on the scale of the
# data.

# %%
narrow = {
    "turn": "Normal(0, 0.3)",
    "race": "Normal(0, 0.1)",
    "race:turn": "Normal(0, 0.1)",
    "gender": "Normal(0, 0.1)",
    "1|seed": "HalfNormal(0.1)",
    "1|seed:race:gender": "HalfNormal(0.1)",
    "Intercept": "Normal(0.5, 0.3)",
    "sigma": "HalfNormal(0.1)",
}
imagined = {
    name: cb.prior_predictive(formula, genuine, priors=priors, draws=300)["prior_predictive"][
        "distance"
    ].values.ravel()
    for name, priors in {"default priors": None, "priors that know the unit": narrow}.items()
}
fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=False)
for ax, (name, values) in zip(axes, imagined.items(), strict=True):
    ax.hist(values, 80, density=True, color="0.75", label="imagined")
    ax.hist(genuine["distance"], 20, density=True, histtype="step", color="C0", label="seen")
    ax.set(title=name, xlabel="distance", yticks=[], xlim=np.quantile(values, [0.005, 0.995]))
axes[0].legend(frameon=False)
beyond = {name: float(np.mean((v < 0) | (v > 2))) for name, v in imagined.items()}
assert beyond["default priors"] > 0.5 > 0.2 > beyond["priors that know the unit"]

# %% [markdown]
# A prior is text, one of Normal, StudentT, Cauchy, Laplace, Uniform, Flat, HalfNormal,
# HalfStudentT, HalfCauchy, Exponential, Gamma, InverseGamma, LogNormal. The prior of a group term is
# that of its standard deviation. Below are the effects with both sets of priors, and the sensitivity
# of the first to its prior by power-scaling ("✓": low sensitivity):

# %%
informed = cb.fit(formula, genuine, priors=narrow)
both = pd.concat(
    {
        name: cb.summary(one).loc[list(truth), ["estimate", "lower", "upper"]]
        for name, one in {"default": fit, "narrow": informed}.items()
    },
    axis=1,
)
assert np.allclose(both["default", "estimate"], both["narrow", "estimate"], atol=0.002)
both.round(4)

# %%
cb.model_checks.prior_sensitivity(fit, cb.effects(fit, "race"))

# %% [markdown]
# ## Model checks: `cb.check`
#
# The function checks the draws, compares replicated data with the data, and compares priors with the
# estimates. For each check that fails, it gives a hint. This model passes:

# %%
checks = cb.check(fit)
assert checks.attrs["verdict"] == "pass"
checks

# %% [markdown]
# This model omits `turn`:

# %%
forgot = cb.check(cb.fit("distance ~ race + gender + (1|seed)", genuine))
failed = forgot[forgot["verdict"] == "fail"]
tails = failed[failed["check"] == "heavy tails"]
assert len(tails)
assert (tails["value"] < tails["high"]).all()
forgot

# %% [markdown]
# The omitted variable is detected by the distribution of the residuals (bimodal, with lighter tails
# than a normal distribution). The hint lists common causes; the analyst has to find the actual one.
# Of columns that are not in the formula, the function only looks at those that group rows, such as
# ids of faces and annotators. Where a change of the model is known to help, the line that makes it
# is printed below the hint, and `cb.heal(fit)` tries such lines. Passing a check does not prove that a model is
# correct ([error rates of the checks](../docs/calibration.md)).
#
# Leave-one-out cross-validation compares models of the same rows:

# %%
simpler = cb.update(fit, ". ~ . - race:turn")
compared = cb.loo_compare({"turning matters by race": fit, "it matters alike": simpler})
assert compared.index[0] == "turning matters by race"
assert compared["difference"].iloc[1] < -10
compared[["elpd", "se", "difference", "se_difference", "weight"]].round(1)

# %% [markdown]
# ## Slopes that vary: `|` and `||`
#
# Does the effect of turning vary between seeds? With one bar, a seed's intercept and slope are
# correlated; with two bars, they are not. In the simulation slopes do not vary, and both models
# estimate a standard deviation near zero. The correlation is then not identified.

# %%
correlated = cb.fit("distance ~ race*turn + (turn|seed)", genuine)
apart = cb.fit("distance ~ race*turn + (turn||seed)", genuine)
spread = pd.concat(
    {
        name: cb.summary(one).query("kind == 'group'")[["estimate", "lower", "upper"]]
        for name, one in {"(turn|seed)": correlated, "(turn||seed)": apart}.items()
    }
)
assert spread.loc[("(turn|seed)", "sd(turn|seed)"), "upper"] < 0.012
assert ("(turn||seed)", "cor(1, turn|seed)") not in spread.index
spread.round(4)

# %% [markdown]
# A race effect that varies between seeds can be written as `(0 + race|seed)` or as nested intercepts
# `(1|seed/race)`. `cb.heterogeneity` estimates the variation of effects between seeds:

# %%
nested = cb.fit("distance ~ race*turn + (1|seed/race)", genuine)
by_race = cb.fit("distance ~ race*turn + (0 + race|seed)", genuine)
cb.summary(by_race).query("kind == 'group'")[["estimate", "lower", "upper"]].round(3)

# %%
cb.summarise(cb.heterogeneity(nested, "race"), of="sd").round(4)

# %% [markdown]
# Further formulas of the table:

# %%
for right in (
    "C(pose) + (1|seed) + (1|race:gender)",
    "0 + race + (1|seed)",
    "poly(pose, 2) + (1|seed)",
    "pose + I(pose**2) + (1|seed)",
    "bs(pose, df=4) + (1|seed)",
):
    one = cb.fit(f"distance ~ {right}", study, subset="same_identity and system == 'ResNet-34'")
    assert not cb.failures(one), right

# %% [markdown]
# ## Rows that belong to two groups: `mm()`
#
# An impostor pair belongs to two seeds, so `(1|seed)` has no meaning for it, and is an error:

# %%
impostors = machine[~machine["same_identity"]]
try:
    cb.fit("distance ~ race*gender + (1|seed)", impostors)
except cb.DataError as error:
    print(error)

# %% [markdown]
# `mm(seed_a, seed_b)` gives the row the *mean* of its two members' effects, brms' default weights.
# A seed's effect on a distance in which it is one of two is therefore half of its effect
# here: the simulation adds effects of sd 0.02 for each member, an sd of 0.04 in this model's terms.

# %%
faces = {
    f"face_{side}": impostors[f"seed_{side}"].astype(str) + impostors["race"] + impostors["gender"]
    for side in "ab"
}
impostors = impostors.assign(**faces)
members = cb.fit(
    "distance ~ race*gender + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))", impostors
)
sds = cb.summary(members).query("kind == 'group'")[["estimate", "lower", "upper"]]
sds["truth"] = [0.04, 0.02]
assert sds["truth"].between(sds["lower"], sds["upper"]).all()
sds.round(3)

# %% [markdown]
# ## Ordered answers: `family="cumulative"`
#
# People's answers, 0 to 4, of genuine pairs. P(answer <= k) = logistic(threshold[k] - eta), as in
# brms and `ordinal::clmm`: a positive coefficient moves answers up. There is no intercept.

# %%
human = cb.to_frame(study, "human").query("question == 'identity'")
human = human[human["same_identity"].astype(bool)].assign(turn=lambda rows: rows["pose"].abs())
ordinal = "score ~ race*turn + (1|annotator) + (1|seed)"
answers = cb.fit(ordinal, human, family="cumulative")
answers

# %% [markdown]
# (Several people judge each pair, so that a model of real data should include `(1|pair)`, which takes
# longer; in this simulation, pairs have no effects besides those in the model.)
#
# **The prior of the thresholds.** By default, it is as wide as that of an intercept: its standard
# deviation is 2.5, or more if predictors are far from zero. The default of bambi is 1. For these
# pairs, most answers are 3 or 4, and the thresholds are far below zero. A prior that shrinks them
# towards zero biases other parameters as well. Here are both:

# %%
narrow = cb.fit(ordinal, human, family="cumulative", priors={"threshold": "Normal(0, 1)"})
both = {"default": answers, "Normal(0, 1)": narrow}
at_three = {
    name: cb.summarise(cb.effects(one, "turn", scale="link")).set_index("turn").loc[3.0]
    for name, one in both.items()
}
named = ["threshold[0]", "threshold[3]", "turn", "race[black]"]
moved = pd.DataFrame({name: cb.summary(one).loc[named, "estimate"] for name, one in both.items()})
moved.loc["effect of turn 3 against 1"] = {name: row["estimate"] for name, row in at_three.items()}
sd = cb.summary(answers)["sd"]
shift = moved["Normal(0, 1)"] - moved["default"]
assert (human["score"] >= 3).mean() > 0.6
assert shift["threshold[3]"] > sd["threshold[3]"]
assert shift["turn"] > 0
assert shift["effect of turn 3 against 1"] > at_three["default"]["sd"]
moved.round(3)

# %% [markdown]
# The narrow prior changes thresholds by more than a posterior sd, and also coefficients and the
# average effect of turning. Use the default unless you have prior information, and report effects
# rather than coefficients, which refer to faces that are not turned.
#
# With `link="probit"`, coefficients are in standard deviations of the latent answer, and about 0.6
# times those of the logit link.

# %%
probit = cb.fit(ordinal, human, family="cumulative", link="probit")
ratio = cb.summary(probit)["estimate"] / cb.summary(answers)["estimate"]
assert 0.5 < ratio["sd(1|annotator)"] < 0.7
assert 0.5 < ratio["threshold[0]"] < 0.7
ratio.round(2)

# %% [markdown]
# ## Yes or no, k of n, counts, weights
#
# "Surely one person" (4) or not, answer by answer and as k of n of a cell, is one likelihood:

# %%
human["sure"] = human["score"] == 4
single = cb.fit("sure ~ race*turn + (1|seed)", human, family="bernoulli")
cells = human.groupby(["seed", "race", "turn"], as_index=False).agg(
    k=("sure", "sum"), n=("sure", "size")
)
of_n = cb.fit("p(k, n) ~ race*turn + (1|seed)", cells, family="binomial")
alike = pd.DataFrame(
    {"bernoulli": cb.summary(single)["estimate"], "binomial": cb.summary(of_n)["estimate"]}
)
assert np.allclose(alike["bernoulli"], alike["binomial"], atol=0.05)
alike.round(3)

# %% [markdown]
# (Not to the last digit: default priors are scaled to the rows as they are given.) Equal rows of an
# ordinal model can be counted, and the fit is the same one:

# %%
counted = human.groupby(["seed", "race", "turn", "score"], as_index=False).size()
short = cb.fit(
    "score ~ race*turn + (1|seed)",
    counted,
    family="cumulative",
    counts="size",
    priors={
        "threshold": "Normal(0, 5)",
        "race": "Normal(0, 2)",
        "turn": "Normal(0, 2)",
        "race:turn": "Normal(0, 2)",
        "1|seed": "HalfNormal(2)",
    },
)
long = cb.fit(
    "score ~ race*turn + (1|seed)",
    human,
    family="cumulative",
    priors=json.loads(short.attrs["spec"])["priors"],
)
assert np.allclose(cb.summary(short)["estimate"], cb.summary(long)["estimate"], atol=0.01)
len(counted), len(human)

# %% [markdown]
# A mean of n rows is different: it has no information on the variation within, and enters with a
# precision, as the `weights` of lme4.

# %%
means = genuine.groupby(["seed", "race", "gender", "turn"], as_index=False).agg(
    distance=("distance", "mean"), n=("distance", "size")
)
from_means = cb.fit(formula, means, weights="n")
pair = [cb.summary(one).loc["race:turn[black]", "estimate"] for one in (fit, from_means)]
assert np.isclose(*pair, atol=0.002)
np.round(pair, 4)

# %% [markdown]
# ## Estimands from a fit
#
# Coefficients depend on the coding of the variables. The verbs compute estimands: each sets a variable
# in every row, predicts, and averages over the rows for every draw. The table and the attributes of
# the result state the population and the rows.

# %%
cb.summarise(cb.predictions(fit, ["race", "turn"])).round(3)

# %%
effects = cb.effects(fit, "race", by="turn", reference="white")
cb.plots.forest(effects, rows="turn", xlabel="distance, against the same face as white")

# %% [markdown]
# The experimenter set the race of a face with the seed held constant, so that these differences are
# causal effects *of what was manipulated in the pictures*. The effect of turning is larger for black
# faces. The interaction estimates the difference, and so does a hypothesis about single effects:

# %%
steeper = cb.interaction(fit, "turn", "race", reference_group="white")
cb.summarise(steeper).round(4)

# %%
growth = cb.hypotheses(
    effects, {"effect at 3 less that at 1": 'effect["black", 3.0] - effect["black", 1.0]'}
)
asked = cb.summarise(growth)
assert asked["lower"].item() < 0.06 < asked["upper"].item()  # two steps of 0.03
asked.round(4)

# %% [markdown]
# Per step of turn, and what share of the variance each variable causes:

# %%
slopes = cb.dose(fit, "turn", by="race")
cb.summarise(slopes, of="average_slope").round(4)

# %%
cb.summarise(cb.variance_shares(fit))[["source", "estimate", "lower", "upper"]].round(3)

# %% [markdown]
# Is the effect of gender practically zero? Define first which effects make no practical difference,
# here up to 0.01 of distance:

# %%
none = cb.equivalence(cb.effects(fit, "gender"), (-0.01, 0.01))
verdict = cb.summarise(none)
assert verdict["verdict"].item() == "undecided"
assert verdict["p_rope"].item() > 0.9
verdict[["gender", "estimate", "lower", "upper", "p_rope", "verdict"]].round(4)

# %% [markdown]
# Probably, but the interval extends slightly beyond the region: undecided. (The true effect is zero.)

# %% [markdown]
# **Populations.** On a nonlinear scale, such as the probability of an answer, effects differ between
# the groups in the data (`"these"`), a group whose effect is zero (`"typical"`), and the estimated
# population of groups (`"new"`). "Typical" is not an average: the effect on the typical annotator is
# larger than the average effect on annotators.

# %%
turned = pd.concat(
    {
        who: cb.summarise(cb.effects(answers, "turn", scale="probability", population=who)).query(
            "category == 4 and turn == 3"
        )
        for who in ("these", "typical", "new")
    }
)
sizes = turned["estimate"].droplevel(1).abs()
assert sizes["typical"] > max(sizes["these"], sizes["new"])
turned.droplevel(1)[["turn", "reference", "category", "estimate", "lower", "upper"]].round(3)

# %% [markdown]
# For print: `cb.table`.

# %%
cb.table(effects, title="Effect of race on the network's distance, by turn")

# %% [markdown]
# ## Save, open, and reproduce a fit
#
# With `file=`, a fit is saved, and read instead of fitted again if data, model, random seed and
# versions are the same. `cb.model_checks.rerun` fits the model again from the record and lists the
# differences; there are none.

# %%
path = Path(tempfile.mkdtemp()) / "turn.nc"
kept = cb.fit(formula, genuine, file=path)
again, differences = cb.model_checks.rerun(cb.open(path))
assert differences.empty
differences

# %% [markdown]
# A fit is an `xarray.DataTree` in arviz' layout, so whatever reads that reads it.

# %%
azs.summary(kept["posterior"].to_dataset()[["turn", "sigma"]])

# %%
cb.group_effects(kept, "seed").summary().head().round(4)

# %% [markdown]
# ## Where next
#
# - [04: human against machine](04_human_against_machine.py): two fits on a common scale
# - [05: error rates](05_error_rates.py): from distances to false matches
# - [06: making stimuli](06_making_stimuli.py): the number of seeds of an experiment
# - [Engines](../docs/engines.md): the engines, and when to trust them
# - [Calibration](../docs/calibration.md): error rates of `cb.check`
