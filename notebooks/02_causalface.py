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
# # CausalFace: from the folder to the paper's figures
#
# CausalFace (Liang, Perona and Balakrishnan, ICCV 2023) shows faces of six groups, generated from
# the same seeds, with pose, lighting, age and smile moved one at a time. Where
# `CAUSALBIAS_CAUSALFACE` names a folder that holds the release, this notebook reads it; otherwise
# it simulates an experiment, writes it as the release's files, and reads those. The true values are
# then known and drawn as crosses. A report of a release needs no code:
# `causalbias run RELEASE -o report`.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalbias as cb

root = Path(os.environ.get("CAUSALBIAS_CAUSALFACE", ""))
if not (root.is_dir() and "CAUSALBIAS_CAUSALFACE" in os.environ):
    simulated = cb.simulate(seeds=20, impostors=24, missing_renders=0.05, random_seed=7)
    root = cb.datasets.to_release(simulated, Path(tempfile.mkdtemp()) / "release", archive=True)

study = cb.load("causalface", root)
study

# %% [markdown]
# What was left out, by file and reason:

# %%
cb.to_frame(study, "excluded")

# %% [markdown]
# ## The faces
#
# One seed in its six groups, and one of them along pose. Images are read out of the archive one by
# one.

# %%
faces = cb.to_frame(study, "stimuli").query("image != ''")
seed = faces["seed"].iloc[0]
one_seed = faces[faces["seed"] == seed]
groups = one_seed.query("attribute == 'pose' and level == 0")
turned = one_seed.query("attribute == 'pose' and race == 'black' and gender == 'female'")

fig, axes = plt.subplots(2, 6, figsize=(9, 3.4))
for ax in axes.flat:
    ax.axis("off")
for row, part, label in ((0, groups, ["race", "gender"]), (1, turned, ["level"])):
    for ax, (_, face) in zip(axes[row], part.iterrows(), strict=False):
        ax.imshow(plt.imread(cb.datasets.open_image(root, face["image"])))
        ax.set_title(" ".join(str(face[name]) for name in label), fontsize=8)

# %% [markdown]
# ## Do annotators agree?
#
# Krippendorff's alpha and the intraclass correlation of each question; ICC(k) is of the mean of all
# annotators of an item.

# %%
questions = cb.to_frame(study, "questions")["question"].tolist()
agreement = pd.concat({name: cb.reliability(study, name) for name in questions})
agreement["estimate"].unstack().round(2)

# %% [markdown]
# ## Do people see the manipulation, and nothing else?
#
# The table shows perceived attributes by manipulated attribute. If the answers to a question change
# with the manipulation of another attribute, there is a leak. The experiment assumes that there is
# none.

# %%
asked = [name for name in questions if name != "identity"]
perceived = pd.DataFrame({name: cb.agreement.hcic(study, name)["mean"] for name in asked})
faces = cb.to_frame(study, "stimuli").set_index("stimulus")
prototypes = faces.index[faces["attribute"] == "prototype"]
highest = faces[faces["level"] == faces.groupby("attribute")["level"].transform("max")]
shift = perceived.loc[perceived.index.isin(highest.index)].groupby(faces["attribute"]).mean()
(shift - perceived.loc[perceived.index.isin(prototypes)].mean()).drop(index="prototype").round(2)

# %% [markdown]
# ## HCIC: how sure people are that two faces are one person
#
# The mean answer to each pair, and the estimate of a graded response model, which gives more weight
# to reliable annotators.

# %%
hcic = cb.agreement.hcic(study)
model = cb.agreement.graded_response(study)
pairs = cb.to_frame(study, "pairs").set_index("pair")
same = pairs.loc[hcic.index, "same_identity"]

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
bins = np.linspace(0, 4, 25)
for kind, name in ((True, "same seed"), (False, "different seeds")):
    axes[0].hist(hcic.loc[same == kind, "mean"], bins, alpha=0.6, label=name)
axes[0].set(xlabel="HCIC (0 surely different, 4 surely the same)", ylabel="pairs")
axes[0].legend()
axes[1].plot(hcic["mean"], model["mean"].to_series().loc[hcic.index], ".", alpha=0.1)
axes[1].set(xlabel="HCIC, plain mean", ylabel="graded response")
# %% [markdown]
# Labels have a probability of being correct. (Selecting pairs by HCIC would condition on a
# post-treatment variable; below, pairs are genuine if their seeds are equal.)

# %%
labels = cb.agreement.consensus(study)
labels.groupby(
    ["label", pd.cut(labels["probability"], [0, 0.6, 0.8, 0.95, 1])], observed=True
).size()

# %% [markdown]
# ## Error rates by group
#
# False match rate (impostor pairs at a system's threshold or below it) and false non-match rate
# (genuine pairs above it), with intervals that account for shared seeds. A rate with too few errors is
# not reported, only an upper limit.

# %%
rates = cb.error_rates(study, by="race")
columns = ["rate_of", "system", "race", "estimate", "lower", "upper", "errors", "n", "supported"]
cb.summarise(rates)[columns].round(4)

# %%
cb.plots.group_rates(rates)

# %% [markdown]
# ## What moves the networks
#
# Mean distance to the unchanged face along each attribute. Crosses: the simulation's truth.

# %%
machine = cb.to_frame(study, "machine").query("status == 'ok'")
systems = sorted(machine["system"].unique())
genuine = machine[machine["same_identity"] & machine["attribute"].notna()]
means = genuine.groupby(["attribute", "system", "level_b"])["distance"].mean()
truth = study["truth"].to_dataset() if "truth" in study.children else None
attributes = sorted(genuine["attribute"].unique())
fig, axes = plt.subplots(1, len(attributes), figsize=(11, 3), sharey=True)
for ax, attribute in zip(axes, attributes, strict=True):
    for at, system in enumerate(systems):
        line = means.loc[attribute, system]
        ax.plot(line.index, line, color=f"C{at}", label=system)
        if truth is not None:
            cell = truth["distance_as_rendered"].sel(
                system=system, same_identity=True, population="these seeds"
            )
            cell = cell.isel(manipulation=np.flatnonzero(cell["attribute"] == attribute))
            cell = cell.isel(manipulation=np.isin(cell["level"], line.index))
            ax.plot(cell["level"], cell.mean(["race", "gender"]), "x", color=f"C{at}")
    ax.set(xlabel=attribute)
axes[0].set(ylabel="distance to the unchanged face")
axes[0].legend(fontsize=7)
# %% [markdown]
# ## One model of one system
#
# The causal effect of race on the distance of genuine pairs, averaged over poses, with the seed held
# constant. Rows are those of a turned face beside the unturned one.

# %%
system = systems[0]
rows = genuine[(genuine["system"] == system) & (genuine["attribute"] == "pose")]
rows = rows.assign(turn=rows["pose"].abs())
fit = cb.fit("distance ~ race*turn + gender + (1|seed) + (1|seed:race:gender)", rows)
effects = cb.effects(fit, "race", by="turn", reference="white")
cb.plots.forest(effects, rows="turn")

# %% [markdown]
# ## Where next
#
# - [03: models in formulas](03_models_in_formulas.py): models, checks and verbs
# - [04: human against machine](04_human_against_machine.py): comparison of people and networks
# - [05: error rates](05_error_rates.py): error rates by `cb.error_rates`
