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
# # Causes: leaks, lost faces, paths and a metric
#
# A manipulation sets one attribute, so that its effect is causal. Four questions remain. Did it move
# other attributes as well? Which faces are missing from the rows? Through which path does the effect
# go? And how much of a distance is one point of each perceived attribute worth? In every section the
# data are simulated, and the true value is checked against the estimate.

# %%
import numpy as np
import pandas as pd

import causalbias as cb

rng = np.random.default_rng(8)

# %% [markdown]
# ## A manipulation that leaks
#
# Thirty faces are pushed in age and in smiling. The push of smiling also makes faces look 6 points
# older. The network's likeness to a fixed other image depends on age alone, by 0.02 a point.

# %%
pushed = pd.MultiIndex.from_product(
    [range(30), ["age", "smiling"], [0, 1]], names=["seed", "attribute", "level"]
).to_frame(index=False)
age = pushed["level"] * np.where(pushed["attribute"] == "age", 10.0, 6.0)
smiling = pushed["level"] * (pushed["attribute"] == "smiling") * 10.0
outcomes = pushed.assign(outcome=0.02 * age + rng.normal(0, 0.02, len(pushed)))
scores = pd.concat(
    [
        pushed.assign(question=name, score=value + rng.normal(0, 2, len(pushed)))
        for name, value in {"age": age, "smiling": smiling}.items()
    ]
)
corrected = cb.leak_corrected(outcomes, scores)
both = corrected.summary().set_index("question")[["estimate", "lower", "upper"]]
both["if nothing leaked"] = corrected["naive"].median(["chain", "draw"]).to_series()
assert both.loc["smiling", "lower"] < 0 < both.loc["smiling", "upper"]
assert both.loc["smiling", "if nothing leaked"] > 0.008
both.round(3)

# %% [markdown]
# Taken by itself, the push of smiling has an effect, which is that of age. With ratings of both
# attributes the two are told apart. `conditional_f` says how well: below about 10 the prior has a say.
# [More on leaks](../docs/explanation/leaks.md).

# %%
corrected["conditional_f"].to_series().round(1)

# %% [markdown]
# ## Faces that are not there
#
# The network finds no face in half of those images of black faces whose distance is large. The effect
# of race is 0.05; the rows that are left show less.

# %%
rng = np.random.default_rng(4)
faces = cb.design.full({"seed": range(60), "race": ["white", "black"], "pose": [0, 30]})
black, turned = faces["race"] == "black", faces["pose"] == 30
of_seed = faces["seed"].map(dict(zip(faces["seed"].unique(), rng.normal(0, 0.06, 60), strict=True)))
whole = 0.4 + 0.05 * black + 0.1 * turned + of_seed + rng.normal(0, 0.05, len(faces))
lost = black & (whole > 0.5) & (rng.random(len(faces)) < 0.5)
rows = faces.assign(distance=whole.mask(lost))

fit = cb.fit("distance ~ race + pose + (1|seed)", rows, missing="drop")
left = cb.effects(fit, "race", reference="white").summary()
bounds = cb.causal.selection_bounds(
    rows, "distance", "race", cluster="seed", reference="white", outcome_range=(0, 2)
)
assert left["estimate"].item() < 0.05
assert bounds["lower"].min() < 0.05 < bounds["upper"].max()
bounds[["method", "low", "high", "lower", "upper", "n", "missing"]].round(3)

# %% [markdown]
# Bounds assume least and say least. What an estimate would be if lost distances were larger by
# `delta` than the model expects of such faces is a table to give with any claim:

# %%
effect = cb.effects(fit, "race", reference="white", newdata=rows)
assumed = cb.causal.pattern_mixture(
    effect, rows, "distance", cluster="seed", delta=[0, 0.05, 0.1, 0.2]
)
assumed.summary()[["delta", "estimate", "lower", "upper", "share_missing", "n"]].round(3)

# %% [markdown]
# [Lost rows, weights and assumptions](../docs/explanation/selection.md).
#
# ## Paths
#
# How much of the effect of race goes through skin tone? The mediator was measured on every face.

# %%
rng = np.random.default_rng(8)
people = cb.design.full({"seed": range(80), "race": ["white", "black"], "pose": [0, 1]})
black = (people["race"] == "black").to_numpy(float)
of_seed = people["seed"].map(dict(enumerate(rng.normal(0, 1, 80)))).to_numpy()
people["tone"] = 3 + 2 * black + 0.5 * of_seed + rng.normal(0, 0.7, len(people))
people["distance"] = (
    0.3 + 0.02 * black + 0.02 * people["tone"] + 0.02 * of_seed + 0.05 * people["pose"]
) + rng.normal(0, 0.03, len(people))
people["tone_mean"] = people.groupby("seed")["tone"].transform("mean")

paths = cb.causal.mediation(
    cb.fit("distance ~ race + tone + tone_mean + pose + (1|seed)", people),
    cb.fit("tone ~ race + pose + (1|seed)", people),
    "race",
    reference="white",
)
table = paths.summary().set_index("path")
truth = {"total": 0.06, "direct": 0.02, "indirect": 0.04}
for name, value in truth.items():
    assert table.loc[name, "lower"] < value < table.loc[name, "upper"]
table[["estimate", "lower", "upper"]].assign(truth=pd.Series(truth)).round(3)

# %% [markdown]
# The total is identified by the manipulation; its parts assume that nothing else moves both tone and
# distance. [Paths](../docs/explanation/paths.md) has the sensitivity to that, and mediators that were
# rated with error.
#
# ## What a point of each attribute is worth
#
# A distance is the length of a change. With scores of what people see in each face, the model of its
# square says how much distance a point of each attribute is worth, to the network and to people:

# %%
distances, seen, true = cb.simulation.simulate_metric(seeds=12)
metric = cb.causal.perceived_metric(
    distances, seen, by="judge", reference="people", moved=["attribute", "level"], draws=500
)
metric.summary()[["judge", "question", "estimate", "lower", "upper"]].round(3)

# %%
relative = metric[["relative", "bounded"]].assign_attrs(variable="relative")
cb.plots.forest(relative, order="data", xlabel="worth over the mean worth")

# %% [markdown]
# Units of distance of people and network differ; relative worths can be compared.
# [What it rests on](../docs/explanation/metric.md).
#
# ## Where next
#
# - [Causal claims](../docs/explanation/causal.md): what the design identifies
# - [Diagrams](../docs/explanation/diagrams.md): what follows from arrows
# - [Another population](../docs/explanation/transport.md)
