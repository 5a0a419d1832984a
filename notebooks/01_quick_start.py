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
# # From files to figures
#
# A manipulation experiment: generated faces, one attribute pushed along its levels at a time, all
# else held. How strongly does each push change what people see, and how far does it move a network?
#
# With the real data (`CAUSALBIAS_DATA` naming a folder that holds `omi/`) this notebook analyses
# the One Million Impressions experiment; without, a simulated one of the same form.

# %%
import os
from pathlib import Path

import causalbias as cb

real = Path(os.environ.get("CAUSALBIAS_DATA", "data")) / "omi"
study = cb.load("omi", real) if real.exists() else cb.demo_study()
study

# %% [markdown]
# Any part of the study is a tidy frame away.

# %%
cb.to_frame(study, "human").head()

# %% [markdown]
# ## One model
#
# How do raters' responses change with the level of *age*? Raters differ in where they start, so
# they get an intercept each. The formula is lme4's.

# %%
fit = cb.fit("score ~ C(level) + (1|annotator)", study, subset="question == 'age'")
fit

# %% [markdown]
# Levels were set by the experimenter, so the contrast of a level with the lowest is a causal
# effect.

# %%
cb.summarise(cb.effects(fit, "level"))

# %% [markdown]
# ## All attributes, people and network

# %%
result = cb.analyses.analyse_manipulation(study)
system = result.machine["system"].values[0]
cb.plots.perceived_against_distance(result.human, result.machine.sel(system=system))

# %% [markdown]
# The headline quantity: distance per point of perceived change. Both sides are uncertain, and so is
# their ratio; where people may see no change at all, it has no bounded interval, and is marked so.

# %%
cb.plots.forest(result.ratio.sel(system=system))

# %%
cb.summarise(result.ratio)

# %% [markdown]
# And its ranking, with the probability of each rank.

# %%
cb.plots.rank_heatmap(result.ranks["ratio"].sel(system=system))

# %% [markdown]
# ## Where next
#
# - [02: CausalFace](02_causalface.py): identity, race and gender, from the folder to the paper's figures
# - [03: models in formulas](03_models_in_formulas.py): the model above, and what one asks of it
