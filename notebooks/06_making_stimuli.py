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
# # A complete experiment
#
# This notebook makes rated faces, latent directions, manipulated faces, a design, annotations,
# distances of a network, manipulation checks, and effects. The generator draws schematic faces:
# **drawings, not photographs of anyone**, so that results cannot be generalised to real faces. The
# annotators are simulated. All true values are known, and are compared with the results of each step.

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalbias as cb

rng = np.random.default_rng(6)
make = cb.stimuli.schematic(side=96)
truth = cb.stimuli.schematic_truth()
attributes = truth["attribute"].values.tolist()
folder = Path(tempfile.mkdtemp())
make.version

# %% [markdown]
# ## Ratings of 1,000 faces
#
# Ten simulated annotators rate each face from 0 to 100 on six attributes. The perceived attributes are
# weighted sums of the latents; the weights of different attributes overlap.

# %%
POINTS = 12  # of rating, a standard deviation of an attribute


def seen(latent):
    return 50 + POINTS * latent @ truth.values.T


latent = rng.normal(size=(1000, make.latents))
ratings = seen(latent) + rng.normal(0, 15 / np.sqrt(10), size=(1000, len(attributes)))
ratings = pd.DataFrame(ratings.clip(0, 100), columns=attributes)

fig, axes = plt.subplots(1, 8, figsize=(9, 1.4))
for ax, picture in zip(axes, make(latent[:8]), strict=True):
    ax.imshow(picture)
    ax.axis("off")

# %% [markdown]
# ## A direction for each attribute
#
# `raw` is along the weights of an attribute; `direction` is orthogonal to the weights of all others.
# `alone` is the part of the weights that is orthogonal to those of the other attributes.

# %%
directions = cb.stimuli.fit_directions(latent, ratings)
weights = truth.values
steps = np.linalg.pinv(weights).T
steps /= np.linalg.norm(steps, axis=1, keepdims=True)
pd.DataFrame(
    {
        "cosine with truth": (directions["direction"].values * steps).sum(axis=1),
        "certainty": directions["certainty"].values,
        "alone": directions["alone"].values,
        "out-of-fold r": directions["correlation"].values,
    },
    index=attributes,
).round(3)

# %% [markdown]
# A step along `raw` that changes its attribute by one point changes the others by about half a point;
# for a step along `direction`, the true changes of the others are a few hundredths.

# %%
leaks = {}
for name in ("raw", "direction"):
    moved = directions[name].values @ weights.T
    leaks[name] = pd.DataFrame(moved / np.diag(moved)[:, None], attributes, attributes).round(2)
pd.concat(leaks)

# %% [markdown]
# ## Prototypes and traversals
#
# For each of 16 seeds, find the nearest light and dark face with all other attributes held constant, and
# move these along smiling and age, in steps of 20 perceived points.

# %%
seeds = rng.normal(size=(16, make.latents))
cells = {"light": {"skin_tone": 35.0}, "dark": {"skin_tone": 65.0}}
hold = [name for name in attributes if name != "skin_tone"]
prototypes = cb.stimuli.prototypes(seeds, directions, cells, hold=hold)
levels = [-20, 0, 20]
faces = cb.design.one_at_a_time(
    {"seed": range(16), "tone": list(cells)}, {"smiling": levels, "age": levels}
)
moved = {
    (tone, name): cb.stimuli.traverse(prototypes["latent"].sel(cell=tone), directions, name, levels)
    for tone in cells
    for name in ("smiling", "age")
}
points = np.array(
    [
        moved[face.tone, face.attribute].sel(level=face.level)[face.seed].values
        for face in faces.itertuples()
    ]
)
faces = cb.stimuli.render(make, faces, points, folder)

fig, axes = plt.subplots(4, 6, figsize=(7, 5))
of_cell = faces.groupby(["seed", "tone"])
for line, cell in zip(axes, [(0, "light"), (0, "dark"), (1, "light"), (1, "dark")], strict=True):
    part = of_cell.get_group(cell)
    for ax, face in zip(line, part.itertuples(), strict=True):
        ax.imshow(plt.imread(folder / face.image))
        ax.set_title(f"{face.attribute} {face.level:+d}", fontsize=7)
        ax.axis("off")

# %% [markdown]
# ## The design
#
# Genuine pairs differ in one attribute; impostor pairs are two seeds, matched on everything else. 30
# annotators give five judgements of each pair, and a tenth of their items are repeated. The report
# shows what the design can estimate:

# %%
stimuli = cb.stimuli.read_manifest(folder / "manifest.csv")
pairs = cb.design.sample_pairs(
    stimuli.drop(columns="generator"), group=["tone"], genuine=12, impostors=12
)
assignment = cb.design.assign(
    pairs["pair"], 30, each=5, strata=pairs["kind"] + pairs["tone"], repeats=0.1
)
rows = assignment.merge(pairs, left_on="item", right_on="pair")
cb.design.report(rows, "kind*tone + (1|annotator) + (1|item)", sds={"annotator": 0.5, "item": 0.5})

# %% [markdown]
# ## Tasks and answers
#
# The tasks are exported to Label Studio, and the answers imported; here simulated annotators state from
# 0 to 100 how certain they are that two faces show the same person. True effects: impostor pairs score
# 40 points less than genuine pairs, and dark impostor pairs 8 points *more* than light ones.

# %%
image = stimuli.set_index("stimulus")["image"]
shown = {row.pair: [image[row.stimulus_a], image[row.stimulus_b]] for row in pairs.itertuples()}
tasks_file = cb.design.to_label_studio(
    assignment, shown, "/data/local-files/?d=", folder / "tasks.json"
)

about = pairs.set_index("pair")
impostor, dark = about["kind"] == "impostor", about["tone"] == "dark"
alike = 70 - 40 * impostor + 8 * (impostor & dark) + rng.normal(0, 5, len(about))
severity = dict(zip(assignment["annotator"].unique(), rng.normal(0, 4, 30), strict=True))
tasks = json.loads(tasks_file.read_text())
item = assignment.set_index("task")["item"]
for task in tasks:
    person = task["data"]["annotator"]
    said = alike[item[task["data"]["task"]]] + severity[person] + rng.normal(0, 10)
    answer = {"from_name": "score", "type": "number", "value": {"number": said.clip(0, 100)}}
    task["annotations"] = [{"completed_by": person, "result": [answer]}]
(folder / "results.json").write_text(json.dumps(tasks))
identity, excluded = cb.design.from_label_studio(folder / "results.json", assignment)
identity.head()

# %% [markdown]
# Each face is also rated on all six attributes by four annotators, so that leaks can be seen.

# %%
value = seen(points)
single = pd.DataFrame(
    [
        (stimulus, question, f"q{a}", float(np.clip(value[i, q] + rng.normal(0, 15), 0, 100)))
        for i, stimulus in enumerate(stimuli["stimulus"])
        for q, question in enumerate(attributes)
        for a in range(4)
    ],
    columns=["stimulus", "question", "annotator", "score"],
)
judgements = pd.concat(
    [identity.rename(columns={"item": "pair"}), single.assign(trial=1)], ignore_index=True
)
judgements[["pair", "stimulus"]] = judgements[["pair", "stimulus"]].fillna("")
judgements = judgements[["question", "score", "annotator", "pair", "stimulus", "trial"]]

# %% [markdown]
# ## A network
#
# dlib's network if it finds faces in the drawings, and otherwise a classical embedder.

# %%
study = cb.make_study(
    factors=["seed", "tone", "attribute", "level"],
    stimuli=stimuli,
    pairs=pairs[["pair", "stimulus_a", "stimulus_b"]],
    judgements=judgements,
    scales=(0, 100),
    references={"smiling": 0, "age": 0},
    excluded=excluded,
    name="schematic",
)
files = cb.recognition.images_of(study, folder)
try:
    embeddings = cb.embed(files, ["dlib", "wavelets"])
except cb.DataError:
    embeddings = cb.embed(files, "wavelets", align="none")
study = cb.recognition.with_distances(study, embeddings)
study

# %% [markdown]
# ## Manipulation checks
#
# People see smiling and age change by about 40 points, the true value. Some other interval may exclude
# zero, by chance or because the directions were estimated (the true leaks are in the table above: at
# most a point or two of 40). The contrast and sharpness of the pictures change because of wrinkles and
# grey hair, and the two unchanged faces of a seed are the same picture.

# %%
checks = cb.manipulation_checks.check_manipulations(study, images=files)
checks

# %%
cb.plots.leak_matrix(
    checks.tables["leaks"],
    note="16 seeds. Planted: 40 points in the boxes, about nothing elsewhere.",
)

# %% [markdown]
# ## The effects
#
# A model of people's answers, with effects of annotators and pairs. The true difference between dark and
# light faces is 0 for genuine pairs and +8 for impostor pairs.

# %%
human = cb.to_frame(study, "human").query("question == 'identity'")
human = human.assign(
    kind=human["same_identity"].astype(bool).map({True: "genuine", False: "impostor"})
)
fit = cb.fit("score ~ kind*tone + (1|annotator) + (1|pair)", human)
found = cb.summarise(cb.effects(fit, "tone", by="kind", reference="light"))
found.assign(planted=found["kind"].map({"genuine": 0, "impostor": 8}))

# %% [markdown]
# The mean distance of the network to the unchanged face. The perceived steps of both attributes are
# equal, but their distances may differ.

# %%
kept = checks.tables["identity"]
kept[kept["measure"] != "HCIC"].round(3)

# %% [markdown]
# ## How many seeds would the next experiment need?
#
# Take this experiment as a pilot. `cb.design.power` simulates the next one: it takes a draw of the
# pilot's posterior as the truth, draws new seeds from their estimated population with as many pairs
# each as here, fits the model again, and evaluates the interval. The result thus includes the
# uncertainty of the pilot (*assurance*, not the power at an assumed effect). The question is whether
# the distances of the network are larger for dark faces. How probable is it that the next experiment
# shows that the effect is not zero, or that it is larger or smaller than what makes a practical
# difference, here a tenth of the mean distance?

# %%
pairs_moved = cb.to_frame(study, "machine").query("status == 'ok' and same_identity")
pairs_moved = pairs_moved[pairs_moved["system"] == pairs_moved["system"].iloc[-1]]
pairs_moved = pairs_moved.dropna(subset=["attribute"])
pilot = cb.fit("distance ~ tone*attribute + (1|seed)", pairs_moved)
little = 0.1 * pairs_moved["distance"].mean()
power = cb.design.power(
    pilot,
    "tone",
    sizes=[10, 30, 90],
    reference="light",
    rope=(-little, little),
    simulations=25,
    draws=400,
    random_seed=6,
)
assert power["width"].is_monotonic_decreasing
assert power["decided"].iloc[-1] > power["decided"].iloc[0]
assert (power["converged"] > 0.9).all()
power.round(3)

# %%
cb.plots.assurance(power, note="Seeds with as many pairs as in the pilot; 25 simulations a size.")

# %% [markdown]
# The left panel shows the width of the interval, and the right panel the share of experiments whose
# interval excludes zero (`found`), or lies entirely within or outside the region of practical
# equivalence (`decided`). `rows_each=` varies the number of pairs per seed.
#
# ## Where next
#
# - [03: models in formulas](03_models_in_formulas.py): the model of your experiment
# - [04: human against machine](04_human_against_machine.py): comparisons of people and networks
# - [07: your own network and generator](07_own_network_and_generator.py)
