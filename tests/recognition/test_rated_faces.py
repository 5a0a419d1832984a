"""False matches of dlib on the 1,004 rated faces, against plain counting made elsewhere."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

# Faces, impostor pairs and share under 0.6, counted apart from this package when the embeddings
# were measured (the README beside the data).
COUNTED = {
    "asian female": (127, 8001, 0.437),
    "asian male": (61, 1830, 0.283),
    "black female": (28, 378, 0.212),
    "black male": (23, 253, 0.158),
    "white female": (347, 60031, 0.086),
    "white male": (333, 55278, 0.049),
}


def test_false_match_rates_by_perceived_group(omi):
    with np.load(omi / "embeddings_dlib_faces.npz", allow_pickle=False) as arrays:
        faces = [int(name.removesuffix(".jpg")) for name in arrays["name"]]
        embeddings = arrays["embedding"]
    means = pd.read_csv(omi / "attribute_means.csv").set_index("stimulus").loc[faces]
    races = means[["asian", "black", "white"]]
    gender = np.where(means["gender"] > 50, "male", "female")
    group = (races.idxmax(axis=1) + " " + gender).to_numpy()
    kept = (races.max(axis=1) > 50).to_numpy()
    counts = cb.all_pairs(embeddings[kept], group[kept], thresholds=0.6)
    rates = cb.rates.all_pairs_rates(counts).sel(threshold=0.6)
    for name, (n_faces, n_pairs, share) in COUNTED.items():
        own = rates.sel(group=name, other=name)
        assert (group[kept] == name).sum() == n_faces
        assert int(own["n"]) == n_pairs
        assert float(own["errors"] / own["n"]) == pytest.approx(share, abs=0.0005)
        assert float(own["deft"]) > 1.2
        low, high = np.quantile(own["rate"], [0.025, 0.975])
        assert low < share < high
