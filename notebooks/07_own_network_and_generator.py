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
# How do I put a network, or a face generator, that nobody else has through the same analysis? A
# network is any function from images to vectors, a generator any function from numbers to pictures.
# This notebook writes one of each, goes from pictures to embeddings, distances and effects, and finds
# a bias that was built in. The faces are **drawings of nobody**: what networks make of them says
# nothing of real faces, and everything about how the parts fit.

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
# It takes latents (one row a face) and, if it has any, controls that can be set beside them, and
# returns pictures: 8-bit RGB, always the same for the same row. That is the whole contract; a GAN or
# a diffusion model on a GPU is wrapped alike, and `cb.stimuli.torch_generator` reads one from a TorchScript or torch.export
# file. Here, 20 lines of numpy:

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
# `version` is written beside every picture. Change it when the function changes. What does not fit
# the contract is refused in words:

# %%
floats = cb.stimuli.Generator("floats", lambda z, c: draw(z, c) / 255, 10, "floats 1")
try:
    floats(np.zeros((2, 10)))
except cb.DataError as error:
    print(error)

# %% [markdown]
# ## From a design to pictures
#
# Thirty seeds, each in two tones with all else held. Each face is drawn three times, with small
# changes as of another day, so that there are genuine pairs. (The package's own
# `cb.stimuli.schematic()` has pose, lighting, age and smile as controls; [notebook
# 06](06_making_stimuli.py) designs with it.)

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
# The folder holds the pictures and `manifest.csv`; `cb.stimuli.read_manifest` reads it back. Factors
# make a study, and shared factors its pairs: genuine ones share seed and tone, impostor ones tone and
# day.

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
# (n, features). This one looks at pixels on a coarse grid as they are:


# %%
def coarse(batch):
    n, height, width, channels = batch.shape
    blocks = batch.reshape(n, height // 8, 8, width // 8, 8, channels).mean(axis=(2, 4))
    return blocks.reshape(n, -1)


pixels = cb.embedder(coarse, name="pixels", version="1", size=(64, 64))

# %% [markdown]
# A function has no weights to tell it by: `version` stands for them in the store of embeddings, and
# must change with the function.
#
# **A second function** divides each picture by its own contrast first, so that it cannot profit from
# light faces' larger differences:


# %%
def contrast_free(batch):
    values = coarse(batch)
    away = values - values.mean(axis=1, keepdims=True)
    return away / away.std(axis=1, keepdims=True)


normalised = cb.embedder(contrast_free, name="normalised", version="1", size=(64, 64))

# %% [markdown]
# **An ONNX file** from any framework. Size is read from the file; normalisation, alignment and
# distance are ArcFace's unless said otherwise. Where the `onnx` package is installed, a small
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
# **Classical ones** come with the package: local binary patterns, wavelets, and eigenfaces trained on
# any folder. dlib's network is `"dlib"`; it looks for photographs of faces, and these are none.
#
# ## Embeddings and distances
#
# With `store=`, finished batches are kept by the hash of image and network, and a run that was
# killed goes on. `align="none"`: the pictures are crops already.

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
# Every system has a scale of its own, so that these rows cannot be compared with each other.
#
# ## Effects
#
# Does the tone of two *different* drawings change how far apart they are? The drawings differ in
# tone alone, so that what the model finds is an effect of tone. One model a system, in units of its
# residual noise:


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
# The bias that was built in is found: `pixels` sees dark drawings closer together, since
# dark faces stand out less from the dark background, and differences of pixels shrink with contrast.
# Dividing by the contrast takes most of it away, which is a causal statement about the network that
# an error rate alone would not give. In `cb.compare`, two networks stand on one scale like people and a
# network:

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
# An image without an embedding keeps its place, with a status. Failures are counted by group:

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
