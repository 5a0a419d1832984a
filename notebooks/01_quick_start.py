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
# In a manipulation experiment, one attribute of generated faces is changed at a time, and all others
# are held constant. How strongly does each manipulation change what people see, and the distances of
# a network?
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
# Every part of the study can be converted to a tidy frame.

# %%
cb.to_frame(study, "human").head()

# %% [markdown]
# ## One model
#
# How do raters' responses change with the level of *age*? Raters differ in their mean response, so
# that each has an intercept. The formula is that of lme4.

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
# The main quantity is the distance per point of perceived change. It is a ratio of two uncertain
# estimates. If the perceived change may be zero, the ratio has no bounded interval, and is marked.

# %%
cb.plots.forest(result.ratio.sel(system=system))

# %%
cb.summarise(result.ratio)

# %% [markdown]
# The ranking of the attributes, with the probability of each rank:

# %%
cb.plots.rank_heatmap(result.ranks["ratio"].sel(system=system))

# %% [markdown]
# ## Where next
#
# - [02: CausalFace](02_causalface.py): identity, race and gender, from the folder to the paper's figures
# - [03: models in formulas](03_models_in_formulas.py): models, and estimands from them
