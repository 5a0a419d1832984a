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
# # Human against machine
#
# Is a network more biased than people, on the same faces? People give answers from 0 to 4 and networks
# compute distances. These have no common unit, so that a comparison needs a choice of scale. This
# notebook shows how the conclusion depends on this choice. It then estimates how strongly people and
# network agree on pairs, the effect of race among pairs that people find equally similar, the
# consistency of their errors, and own-group effects of annotators. The experiment is simulated, and
# the true values are shown next to the estimates.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalbias as cb

LOGISTIC = np.pi / np.sqrt(3)  # sd of a logistic distribution
network = cb.simulation.System(
    "network",
    threshold=0.65,
    sd_seed=(0.02, 0.11),
    sd_face=(0.015, 0.01),
    sd_residual=(0.05, 0.07),
    pair_share=0.6,  # correlation with how alike people find the pair
    impostor_share=0.0,
    biases=(
        cb.simulation.Bias("asian impostors alike", -0.07, race="asian", same_identity=False),
        cb.simulation.Bias("black impostors alike", -0.07, race="black", same_identity=False),
    ),
)
people = cb.simulation.People(
    annotators=120,
    judgements=4,
    slopes={},
    questions=(),
    sd_seed=0.3,
    sd_face=0.0,
    sd_pair=0.6,
    sd_severity=0.4,
    sd_discrimination=0.0,
    careless=0.0,
    dropout=0.0,
    missing=0.0,
    biases=(cb.simulation.Bias("black impostors alike", 1.1, race="black", same_identity=False),),
)
study = cb.simulate(
    seeds=30,
    random_seed=1,
    systems=[network],
    people=people,
    levels={"pose": [-3, 0, 3]},
    impostors=12,
)
study

# %% [markdown]
# The simulated effects on *impostor* pairs (two people of the same race) are: for the network, the
# distances of asian and of black pairs are 0.07 smaller than those of white pairs; people find black
# pairs more alike, by 1.1 logits, but not asian pairs. For asian faces, the network is therefore more
# biased in any unit. For black faces, it depends on the unit.
#
# ## Two fits
#
# An impostor pair belongs to two seeds and to two of their faces; people's answers also to the
# annotator and the pair. ([Notebook 03](03_models_in_formulas.py) has the formulas.)

# %%
machine_rows = cb.to_frame(study, "machine").query("not same_identity")
faces = {
    f"face_{side}": machine_rows[f"seed_{side}"].astype(str)
    + machine_rows["race"]
    + machine_rows["gender"]
    for side in "ab"
}
machine = cb.fit(
    "distance ~ race*gender + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))",
    machine_rows.assign(**faces),
)
human_rows = cb.to_frame(study, "human")
human_rows = human_rows[~human_rows["same_identity"].astype(bool)]
human = cb.fit(
    "score ~ race*gender + (1|annotator) + (1|mm(seed_a, seed_b)) + (1|pair)",
    human_rows,
    family="cumulative",
    priors={"threshold": "Normal(0, 5)"},
)
assert not cb.failures(machine)
assert not cb.failures(human)
human

# %% [markdown]
# ## One effect, five units
#
# Effects can be compared relative to the spread of the outcome, of which there are several definitions:
#
# - **pair sd**: the spread of what is said of pairs of a group: of people's expected answers (pairs and
#   seeds, not annotators), of the network's distances. It is the only unit without the noise of answers.
# - **residual sd**: the noise of a single answer or distance, given seeds and annotators. It measures
#   how well two such pairs could be distinguished by the effect.
# - **total sd**: all variation between pairs, including seeds and annotators.
# - **outcome sd**: the standard deviation of the outcome in the data. It depends on the limits of the
#   five-point scale.
# - **error rate**: the increase of the false match rate at a threshold at which 5% of the pairs of the
#   reference group match (0.05: twice as many).
#
# `opposite=True` states that a larger distance means less similarity. With the network as the first
# fit, effects are on similarity, and errors are false matches.

# %%
found = cb.compare(
    machine,
    human,
    "race",
    reference="white",
    opposite=True,
    population="new",
    names=("network", "people"),
)
columns = [
    "unit",
    "race",
    "network",
    "people",
    "people - network",
    "lower",
    "upper",
    "P(people larger)",
]
effects = [cb.summarise(found, of=name) for name in ("effect_a", "effect_b", "difference")]
table = (
    effects[2]
    .assign(
        network=effects[0]["estimate"],
        people=effects[1]["estimate"],
    )
    .rename(columns={"estimate": "people - network", "p_larger": "P(people larger)"})[columns]
)
table.round(3)

# %% [markdown]
# **Asian faces**: the network's effect is larger in every unit, so that the conclusion does not depend
# on the choice. **Black faces**: relative to the differences that they see between pairs, people are
# more biased, and so they are in false matches; relative to the noise of a single outcome, the network
# is. All are true: an answer has noise that the network has not, and the network's residual is small
# compared with the differences between seeds. State which question is asked.

# %%
chance = table.set_index(["race", "unit"])["P(people larger)"]
assert (chance["asian"] < 0.02).all()
assert chance["black", "pair sd"] > 0.95
assert chance["black", "residual sd"] < 0.05
assert chance["black", "error rate"] > 0.95
cb.plots.comparison(found, note="Likeness against pairs of white faces.")

# %%
cb.plots.comparison(found, unit="error rate", note="Likeness against pairs of white faces.")

# %% [markdown]
# The truth in the first three units, from the simulation's parameters: the effect over the root of the
# variances between pairs (two members of a pair count twice), over the residual sd, and over the root of
# all variances.

# %%
total = {
    "network": np.sqrt(0.07**2 + 2 * 0.11**2 + 2 * 0.01**2),
    "people": np.sqrt(LOGISTIC**2 + 0.4**2 + 0.6**2 + 2 * 0.3**2),
}
pairs = {"network": total["network"], "people": np.sqrt(0.6**2 + 2 * 0.3**2)}
planted = pd.DataFrame(
    {
        ("pair sd", "asian"): {"network": 0.07 / pairs["network"], "people": 0.0},
        ("pair sd", "black"): {
            "network": 0.07 / pairs["network"],
            "people": 1.1 / pairs["people"],
        },
        ("residual sd", "asian"): {"network": 0.07 / 0.07, "people": 0.0},
        ("residual sd", "black"): {"network": 0.07 / 0.07, "people": 1.1 / LOGISTIC},
        ("total sd", "asian"): {"network": 0.07 / total["network"], "people": 0.0},
        ("total sd", "black"): {
            "network": 0.07 / total["network"],
            "people": 1.1 / total["people"],
        },
    }
).T.rename_axis(["unit", "race"])
planted["difference"] = planted["people"] - planted["network"]
beside = table.set_index(["unit", "race"]).join(planted["difference"].rename("truth"), how="inner")
assert beside["truth"].between(beside["lower"], beside["upper"]).all()
beside[["truth", "people - network", "lower", "upper"]].round(3)

# %% [markdown]
# ## Is a difference practically none?
#
# An interval that includes zero does not show that two effects are equal. Define first which
# differences make no practical difference, here up to 0.2 standard deviations, and check whether the
# interval lies within this region. Gender has no effect in the simulation:

# %%
gender = cb.compare(
    machine, human, "gender", opposite=True, population="new", names=("network", "people")
)
alike = cb.summarise(cb.equivalence(gender, (-0.2, 0.2)))
own = alike["unit"].isin(["residual sd", "total sd"])
assert (alike.loc[own, "verdict"] == "equivalent").all()
alike.loc[
    alike["unit"] != "error rate", ["unit", "estimate", "lower", "upper", "p_rope", "verdict"]
].round(3)

# %%
black = cb.equivalence(found.sel(unit=["residual sd", "total sd"]), (-0.2, 0.2))
cb.summarise(black)[["unit", "race", "estimate", "lower", "upper", "p_rope", "verdict"]].round(3)

# %% [markdown]
# The result is undecided: more pairs would be needed.
#
# ## The correlation of people and network: the joint model
#
# `cb.compare` uses two separate fits. `cb.joint` models both outcomes of the *same* pairs: given race
# and gender, do pairs that people find similar have smaller distances? Scores are means of four
# answers. The model separates the effect of a pair from the noise of answers, so that the correlation
# is not attenuated.

# %%
rows = cb.joint_model.joint_rows(study, "network")
joint = cb.joint(
    rows,
    "race*gender",
    groups={"seed": ["seed_a", "seed_b"]},
    subset="not same_identity",
    draws=2500,
)
assert joint.posterior.attrs["failures"] == "[]"
correlation = cb.summarise(joint.posterior, of="correlation")
correlation[["source", "estimate", "lower", "upper"]].round(3)

# %%
kept = rows.query("not same_identity")
cells = kept.groupby(["race", "gender"])[["score", "distance"]]
residuals = kept[["score", "distance"]] - cells.transform("mean")
plain = residuals.corr().iloc[0, 1]
pair = correlation.set_index("source").loc["pair"]
seeds = correlation.set_index("source").loc["seed"]
assert seeds["lower"] < 0 < seeds["upper"]
assert pair["upper"] < plain < 0
assert pair["lower"] < -0.6 < pair["upper"] + 0.1
f"plain correlation of mean scores and distances within cells: {plain:.2f}"

# %% [markdown]
# The true correlation of the effects of a *pair* is -0.6 (on the latent scale; on that of scores it is
# somewhat smaller), and that of the effects of *seeds* is 0. Its interval is wide, because there are
# only 30 seeds. The correlation of the raw data mixes both with noise.
#
# ## Bias among pairs that people find equally similar
#
# People find black impostors more alike. Perhaps they are more alike, and the distances merely reflect
# this. The conditional effect is the effect on the distance minus what corresponds to the effect on
# the score:

# %%
conditional = cb.joint_model.conditional_bias(joint, "race", reference="white")
parts = {
    name: cb.summarise(conditional, of=of).set_index("race")[["estimate", "lower", "upper"]]
    for name, of in {
        "on the distance": "on_distance",
        "on the score": "on_score",
        "at equal score": "conditional",
    }.items()
}
at_equal, on_distance = parts["at equal score"], parts["on the distance"]
assert on_distance.loc["black", "upper"] < 0
assert at_equal.loc["asian", "upper"] < 0
assert at_equal.loc["black", "upper"] > 0
assert at_equal.loc["black", "estimate"] > on_distance.loc["black", "estimate"]
pd.concat(parts, axis=1).round(3)

# %% [markdown]
# For asian faces, the effect hardly changes: people see no difference that could explain that of the
# network. For black faces, a part of the effect corresponds to what people see, and its interval is
# wide. Which row is "the" bias depends on the question. If people's judgements measure true similarity,
# it is the last row. If people are biased, as they are in this simulation, conditioning on their
# judgements removes a part of the bias.
#
# ## Do both err on the same pairs?
#
# Accuracy does not show this. Error consistency is the agreement of two judges' errors beyond that of
# two judges with the same error rates who err independently (Cohen's kappa; 0: independent errors,
# 1: the same errors).

# %%
labels = cb.agreement.consensus(study)
judged = cb.to_frame(study, "machine").merge(labels, left_on="pair", right_index=True)
judged["network right"] = (judged["distance"] < judged["threshold"]) == judged["same_identity"]
judged["people right"] = judged["label"] == judged["same_identity"]
impostors = judged[~judged["same_identity"]]
consistency = cb.agreement.error_consistency(
    impostors, "people right", "network right", clusters=["seed_a", "seed_b"], by="race"
)
assert (consistency["lower"] < 0).all()
assert (consistency["upper"] < 0.25).all()
consistency.round(3)

# %% [markdown]
# The kappas are about zero, with intervals below 0.25. People and network agree on the similarity of
# *pairs* (the correlation above), but their errors are hardly consistent: the errors of the network
# depend mostly on seeds, and those of people on the noise of four answers. A combination of both would
# avoid most errors of either.
#
# ## Own-group effects of annotators
#
# People often distinguish faces of their own group better. If the annotator's group is a column, an
# own-group effect is an interaction. In a small example, 20 annotators of two groups judge the
# similarity (0 to 100) of pairs of two groups; pairs of the other group look 8 points more alike:

# %%
rng = np.random.default_rng(4)
asked = pd.DataFrame(
    [
        {"seed": f"s{s}", "race": race, "annotator": f"a{a}", "annotator_race": own}
        for s in range(16)
        for race in ("black", "white")
        for a, own in enumerate(["black", "white"] * 10)
    ]
)
other = asked["race"] != asked["annotator_race"]
of_annotator = asked["annotator"].map(
    dict(zip([f"a{a}" for a in range(20)], rng.normal(0, 4, 20), strict=True))
)
asked["score"] = 40 + 8 * other + of_annotator + rng.normal(0, 6, len(asked))
own = cb.fit("score ~ race*annotator_race + (1|seed) + (1|annotator)", asked)
own_group = cb.summarise(cb.interaction(own, "race", "annotator_race"))
assert own_group["lower"].item() < -16 < own_group["upper"].item()
own_group[["race", "annotator_race", "estimate", "lower", "upper"]].round(2)

# %% [markdown]
# The difference between white and black pairs in perceived similarity differs between white and black
# annotators by twice the 8 points, once for each group. With annotators of a single group, the
# own-group effect would be confounded with a difference between faces.
#
# ## Distance per point of perceived change: `per_perceived`
#
# Another common scale for *manipulations* is the change of the distance per point of perceived change.
# The perceived change is estimated from few answers. In a regression that takes it as exact, the slope
# would be too small (regression dilution). Genuine pairs, four attributes, one answer per pair:

# %%
moved = cb.simulate(
    seeds=8,
    random_seed=3,
    impostors=2,
    levels={name: [-3, -1.5, 0, 1.5, 3] for name in ("age", "lighting", "pose", "smiling")},
    references={"age": 0},
    systems=[
        cb.simulation.System(
            "network", slopes={"pose": 0.06, "lighting": 0.015, "smiling": 0.03, "age": 0.09}
        )
    ],
    people=cb.simulation.People(
        annotators=60,
        judgements=1,
        questions=(),
        slopes={"pose": -0.4, "lighting": -0.1, "smiling": -0.2, "age": -0.6},
    ),
)


def by_step(frame):
    frame = frame[frame["same_identity"].astype(bool) & frame["attribute"].notna()]
    return frame.assign(step=frame["attribute"] + frame["level_b"].map(" {:+g}".format))


distances, answers = (
    cb.predictions(cb.fit(formula, by_step(cb.to_frame(moved, side))), "step")
    for formula, side in (
        ("distance ~ step + (1|seed)", "machine"),
        ("score ~ step + (1|seed) + (1|annotator)", "human"),
    )
)
slope = cb.joint_model.per_perceived(distances["prediction"], answers["prediction"], "step")
points = pd.DataFrame(
    {
        "score": answers["prediction"].mean(["chain", "draw"]).to_series(),
        "distance": distances["prediction"].mean(["chain", "draw"]).to_series(),
    }
)
truth = (
    moved["truth"].to_dataset().sel(same_identity=True, population="new seeds", system="network")
)
truth = truth.isel(manipulation=truth["level"].values != 0).mean(["race", "gender"])
fits = {
    "truth": np.polyfit(truth["score"], truth["distance"], 1)[0],
    "plain regression": np.polyfit(points["score"], points["distance"], 1)[0],
    "per_perceived": float(slope["slope"].median()),
}
interval = cb.summarise(slope).iloc[0]
assert interval["lower"] < fits["truth"] < interval["upper"]
assert abs(fits["plain regression"]) < abs(fits["truth"])
pd.Series(fits, name="distance per point of score").round(3)

# %%
fig, ax = plt.subplots(figsize=(4.6, 3))
ax.plot(points["score"], points["distance"], "o", color="0.6", label="estimated, 16 manipulations")
ax.plot(truth["score"], truth["distance"], "kx", label="truth")
x = np.linspace(points["score"].min(), points["score"].max(), 2)
lines = slope["intercept"].median().item() + np.outer([slope["slope"].median().item()], x)
ax.plot(x, lines[0], color="C0", label="per_perceived")
ax.plot(
    x,
    np.polyval(np.polyfit(points["score"], points["distance"], 1), x),
    "--",
    color="C1",
    label="plain regression",
)
ax.set(xlabel="mean answer: surely different (0) to the same (4)", ylabel="mean distance")
ax.legend(frameon=False, fontsize=8)
fig.tight_layout()

# %%
interval[["estimate", "lower", "upper", "n"]]

# %% [markdown]
# ## Limits of a real study
#
# Not every data set supports these analyses. The One Million Impressions experiment has
# manipulated attributes, ratings of them, and a network's distances. Where it is present:

# %%
real = Path(os.environ.get("CAUSALBIAS_DATA", "data")) / "omi"
if real.exists():
    omi = cb.load("omi", real)
    questions = set(cb.to_frame(omi, "questions")["question"])
    print("asked about identity:", "identity" in questions)
    print("manipulated race:", bool({"race", "black", "white", "asian"} & questions))
    assert "identity" not in questions
    assert not {"race", "black", "white", "asian"} & questions
else:
    print("not here: CAUSALBIAS_DATA names no folder with omi/")

# %% [markdown]
# OMI has *no identity judgements* and *no manipulated race*. It shows how ratings of age and distances
# change with the same manipulation, but not whether people or the network are more biased in
# recognising people, in whatever unit. [docs/omi.md](../docs/omi.md) compares its attributes with this
# reservation. A study that supports the comparison asks people the question that the network answers,
# about pairs whose race the experimenter set.
#
# ## Where next
#
# - [05: error rates](05_error_rates.py): what an effect means at a threshold
# - [06: making stimuli](06_making_stimuli.py): a study of your own that can answer this
# - [02: CausalFace](02_causalface.py): the published release, folder to figures
