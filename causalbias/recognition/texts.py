"""Cosine similarity between images and texts that a model such as CLIP embeds together."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from causalbias.errors import DataError
from causalbias.recognition.embedder import unit_length


def text_scores(
    embeddings: xr.Dataset, system: str, texts: Mapping[str, np.ndarray]
) -> xr.DataArray:
    """Compute the cosine between embeddings of images and of texts.

    Parameters
    ----------
    embeddings : Dataset
        The result of `embed`.
    system : str
        System with the image tower that belongs to the text tower.
    texts : mapping of text to ndarray (features,)
        Embeddings of the texts, from `text_embeddings` or another tower into the same space.

    Returns
    -------
    DataArray (stimulus, text)
        Cosine, from -1 to 1; larger means more alike. It is NaN if a face has no embedding.

    Raises
    ------
    DataError
        If the system is unknown, or an embedding of a text has another length or is not finite.

    Examples
    --------
    >>> import xarray as xr
    >>> cube = xr.Dataset(
    ...     {"embedding": (("system", "stimulus", "feature"), [[[2.0, 0.0], [1.0, 1.0]]]),
    ...      "features": ("system", [2])},
    ...     coords={"system": ["clip"], "stimulus": ["a", "b"]})
    >>> scores = text_scores(cube, "clip", {"a smiling face": np.array([3.0, 0.0])})
    >>> scores.sel(text="a smiling face").values.round(3).tolist()
    [1.0, 0.707]
    """
    if system not in embeddings["system"].values:
        known = ", ".join(map(str, embeddings["system"].values))
        raise DataError(f"no system is called {system!r}", hint=f"use one of {known}")
    one = embeddings.sel(system=system)
    features = int(one["features"])
    for text, vector in texts.items():
        if np.shape(vector) != (features,) or not np.isfinite(vector).all():
            raise DataError(
                f"the embedding of {text!r} has shape {np.shape(vector)}, or is not finite",
                hint=f"give {features} numbers, from the same network as the images",
            )
    images = unit_length(one["embedding"].values[:, :features].astype(float))
    words = unit_length(np.array([np.asarray(vector, float) for vector in texts.values()]))
    return xr.DataArray(
        images @ words.T,
        dims=("stimulus", "text"),
        coords={"stimulus": one["stimulus"].values, "text": list(texts)},
        name="cosine",
    )
