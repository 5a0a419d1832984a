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
# # Your own network and your own generator
#
# This notebook shows how to analyse your own network or face generator. A network is any function from
# images to vectors, and a generator any function from numbers to images. The notebook defines one of
# each, computes embeddings, distances and effects, and detects a bias that was built in. The faces are
# **drawings**: results cannot be generalised to real faces.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import causalbias as cb

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(7)

# %% [markdown]
# ## A generator of your own
#
# A generator takes latents (one row per face) and optional controls, and returns 8-bit RGB images,
# which must be the same whenever the same row is drawn. A GAN or a diffusion model on a GPU is used in
# the same way, and `cb.stimuli.torch_generator` reads one from a TorchScript or torch.export file. Here
# are 20 lines of NumPy:

# %%
SIDE = 64
y, x = np.mgrid[-1:1:64j, -1:1:64j]


def ellipse(cx, cy, rx, ry):
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1


def draw(latent, controls):
    tone = controls.get("tone", np.zeros(len(latent)))
    pictures = np.full((len(latent), SIDE, SIDE, 3), 20, np.uint8)
    for picture, z, dark in zip(pictures, np.tanh(latent), tone, strict=True):
        skin = np.clip(np.array([205, 165, 140]) - 45 * dark, 20, 250)
        picture[ellipse(0, 0, 0.6 + 0.1 * z[0], 0.85 + 0.08 * z[1])] = skin
        for side in (-1, 1):
            picture[
                ellipse(side * (0.25 + 0.05 * z[2]), -0.2 + 0.08 * z[3], 0.11 + 0.03 * z[4], 0.07)
            ] = 25
        picture[ellipse(0, 0.15 + 0.08 * z[5], 0.06 + 0.025 * z[6], 0.15)] = 0.8 * skin
        picture[ellipse(0, 0.5 + 0.06 * z[7], 0.22 + 0.07 * z[8], 0.05 + 0.02 * z[9])] = [
            150,
            60,
            60,
        ]
    return pictures


mine = cb.stimuli.Generator("ovals", draw, latents=10, version="ovals 1", controls=("tone",))
pictures = mine(rng.normal(size=(8, 10)), tone=np.linspace(-1, 2, 8))

fig, axes = plt.subplots(1, 8, figsize=(8, 1.2))
for ax, picture in zip(axes, pictures, strict=True):
    ax.imshow(picture)
    ax.axis("off")

# %% [markdown]
# `version` is recorded for every image. Change it when the function changes. Invalid input raises an
# error:

# %%
floats = cb.stimuli.Generator("floats", lambda z, c: draw(z, c) / 255, 10, "floats 1")
try:
    floats(np.zeros((2, 10)))
except cb.DataError as error:
    print(error)

# %% [markdown]
# ## From a design to pictures
#
# There are thirty seeds, each in two tones with everything else held constant. Each face is drawn three
# times, with small changes as on another day, so that there are genuine pairs. (The generator
# `cb.stimuli.schematic()` of the package has pose, lighting, age and smile as controls; see
# [notebook 06](06_making_stimuli.py).)

# %%
TONES = {"light": -0.5, "dark": 2.0}
shots = cb.design.one_at_a_time(
    {"seed": range(30), "tone": list(TONES)}, {"shot": [0, 1, 2]}
).rename(columns={"level": "day"})
identity = rng.normal(size=(30, mine.latents))
day = rng.normal(0, 0.25, size=(30, 3, mine.latents))
latent = identity[shots["seed"]] + day[shots["seed"], shots["day"]]  # the same days for both tones
faces = cb.stimuli.render(
    mine,
    shots.rename(columns={"day": "level"}),
    latent,
    folder / "faces",
    controls={"tone": shots["tone"].map(TONES).to_numpy()},
)
faces.head(3)

# %% [markdown]
# The folder contains the images and `manifest.csv`, which `cb.stimuli.read_manifest` reads. A study is
# made from the factors, and its pairs are faces that share factors: genuine pairs share seed and tone,
# and impostor pairs share tone and day.

# %%
study = cb.make_study(
    factors=["seed", "tone", "level"],
    stimuli=faces[["stimulus", "seed", "tone", "level", "image"]],
    name="ovals",
)
study = cb.with_pairs(study, [["seed", "tone"], ["tone", "level"]])
images = cb.recognition.images_of(study, folder / "faces")
study

# %% [markdown]
# ## Networks of your own
#
# **A Python function** takes prepared images (n, height, width, channels) and returns vectors
# (n, features). This one uses the pixels on a coarse grid:


# %%
def coarse(batch):
    n, height, width, channels = batch.shape
    blocks = batch.reshape(n, height // 8, 8, width // 8, 8, channels).mean(axis=(2, 4))
    return blocks.reshape(n, -1)


pixels = cb.embedder(coarse, name="pixels", version="1", size=(64, 64))

# %% [markdown]
# `version` identifies the function in the store of embeddings, as a file is identified by its weights. It
# must change with the function.
#
# **A second function** divides each image by its contrast, so that it does not depend on the larger
# differences between light faces:


# %%
def contrast_free(batch):
    values = coarse(batch)
    away = values - values.mean(axis=1, keepdims=True)
    return away / away.std(axis=1, keepdims=True)


normalised = cb.embedder(contrast_free, name="normalised", version="1", size=(64, 64))

# %% [markdown]
# **An ONNX file** can come from any framework. The size of images is read from the file; by default,
# normalisation, alignment and distance are those of ArcFace. If the `onnx` package is installed, a small
# convolutional network with random weights is written here:

# %%
try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    networks = []
else:
    weights = np.random.default_rng(0).normal(0, 0.1, (32, 3, 8, 8)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["features"], strides=[4, 4]),
            helper.make_node("Relu", ["features"], ["active"]),
            helper.make_node(
                "AveragePool", ["active"], ["pooled"], kernel_shape=[3, 3], strides=[3, 3]
            ),
            helper.make_node("Flatten", ["pooled"], ["vector"]),
        ],
        "random convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "random.onnx")
    networks = [cb.embedder(folder / "random.onnx", name="random.onnx", align="none")]
[(one.name, one.size, one.metric) for one in networks]

# %% [markdown]
# **Classical embedders** are part of the package: local binary patterns, wavelets, and eigenfaces trained
# on any folder. dlib's network is `"dlib"`; it is made for photographs, and does not find these drawings.
#
# ## Embeddings and distances
#
# With `store=`, finished batches are stored by the hashes of image and network, so that an interrupted run
# can continue. `align="none"` is for images that are crops already.

# %%
every = [pixels, normalised, *networks, "lbp", "wavelets"]
cube = cb.embed(images, every, align="none", store=folder / "store")
study = cb.recognition.with_distances(study, cube)
study

# %%
distances = cb.to_frame(study, "machine")
distances["kind"] = np.where(distances["same_identity"], "genuine", "impostor")
means = distances.pivot_table(index="system", columns=["kind", "tone"], values="distance")
means.round(3)

# %% [markdown]
# The scales of the systems differ, so that these rows cannot be compared with each other.
#
# ## Effects
#
# Does the tone of two *different* drawings change their distance? The drawings of a seed differ in tone
# only, so that the difference is a causal effect of tone. There is one model per system; effects are in
# units of its residual noise:


# %%
def tone_effect(system):
    rows = distances[(distances["system"] == system) & (distances["kind"] == "impostor")]
    sides = {f"face_{side}": rows[f"seed_{side}"].astype(str) + rows["tone"] for side in "ab"}
    return cb.fit(
        "distance ~ tone + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))", rows.assign(**sides)
    )


fits = {system: tone_effect(system) for system in means.index}
for fit in fits.values():
    assert not cb.failures(fit)
effects = {
    system: cb.summarise(cb.effects(fit, "tone", reference="light", scale="latent")).iloc[0]
    for system, fit in fits.items()
}
table = pd.DataFrame(effects).T[["estimate", "lower", "upper", "n"]]
assert table.loc["pixels", "upper"] < 0
assert abs(table.loc["normalised", "estimate"]) < abs(table.loc["pixels", "estimate"])
table.astype(float).round(2)

# %%
fig, ax = plt.subplots(figsize=(5, 2.2))
shown = table.astype(float).sort_values("estimate")
ax.errorbar(
    shown["estimate"],
    range(len(shown)),
    fmt="o",
    xerr=[shown["estimate"] - shown["lower"], shown["upper"] - shown["estimate"]],
)
ax.axvline(0, color="0.7", zorder=0)
ax.set_yticks(range(len(shown)), shown.index)
ax.set(
    xlabel="effect of dark against light on the distance\nof impostor pairs, residual sd",
    ylim=(-0.5, len(shown) - 0.5),
)
fig.tight_layout()

# %% [markdown]
# The bias that was built in is detected: for `pixels`, dark drawings have smaller distances, since dark
# faces have less contrast with the dark background. Dividing by the contrast removes most of this
# effect, which is a causal conclusion about the network that an error rate cannot provide. `cb.compare`
# compares two networks on a common scale in the same way as people and a network:

# %%
between = cb.compare(
    fits["pixels"], fits["normalised"], "tone", reference="light", names=("pixels", "normalised")
)
compared = cb.summarise(between, of="excess")
assert (compared["upper"] < 0).sum() >= 3
compared[["unit", "estimate", "lower", "upper"]].round(3)

# %% [markdown]
# (`excess`: how much larger the second's effect is in size. The two networks saw the same
# pairs, which `compare` does not use: see its documentation.)
#
# ## Images that fail
#
# An image without an embedding is kept with a status. Failures are counted by group:

# %%
(folder / "faces" / faces["image"].iloc[0]).write_bytes(b"not an image")
broken = cb.recognition.with_distances(study, cb.embed(images, pixels, align="none"))
failed = cb.rates.enrolment(broken, ["tone"]).query("system == 'pixels'")
assert failed.set_index("tone")["failed"].to_dict() == {"light": 1, "dark": 0}
failed[["tone", "faces", "failed", "rate", "lower", "upper", "reasons"]].round(3)

# %% [markdown]
# ## Where next
#
# - [Recognition](../docs/recognition.md): checkpoints of ArcFace, FaceNet, CLIP; alignment; trust
# - [Stimuli](../docs/stimuli.md): latent directions, prototypes, checks of manipulations
# - [05: error rates](05_error_rates.py) and [04: human against machine](04_human_against_machine.py):
#   what to do with the distances
