"""Images of noise, and an embedder of one line."""

import numpy as np

from causalbias.recognition.embedder import Embedder


def noise(seed, size=(64, 64)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def mean_colour(calls=None, **known):
    """An embedder that returns each image's mean colour, and counts the images new to it."""
    seen = set()

    def forward(images):
        new = {image.tobytes() for image in images} - seen
        if calls is not None and new:
            calls.append(len(new))
        seen.update(new)
        return images.reshape(len(images), -1, images.shape[-1]).mean(axis=1)

    known = {"name": "mean", "weights": "mean 1", "size": (16, 16)} | known
    return Embedder(forward=forward, **known)
