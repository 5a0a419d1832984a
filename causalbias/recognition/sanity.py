"""Signs that a network is run on images that were not prepared as in its training.

A wrong normalisation, colour order or alignment raises no error: the embeddings remain plausible
and are only less accurate.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.recognition.crops import crop_of, image_files
from causalbias.recognition.distances import pair_distances
from causalbias.recognition.embedder import Embedder
from causalbias.recognition.images import read_image, without_warnings
from causalbias.study.tree import OK

# Preparations that published networks use, for pixels from 0 to 255.
NORMALISATIONS: dict[str, tuple[float | tuple[float, ...], float | tuple[float, ...]] | None] = {
    "none": None,
    "0/255": (0.0, 255.0),
    "127.5/127.5": (127.5, 127.5),
    "127.5/128": (127.5, 128.0),
    "ImageNet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
FACES = 500  # number of faces of which all pairs are compared
CONSTANT = 0.02  # median distance, relative to the length of embeddings, of a near-constant network
# Published thresholds are made for false match rates of a per cent or less, and false non-match
# rates of a few per cent. Generated and similar faces raise both, but not to these.
MANY_MATCHES, MANY_MISSES = 0.2, 0.5


def embedding_warnings(
    embeddings: xr.Dataset, identity: Mapping[str, object] | None = None
) -> list[str]:
    """Describe what is unusual about embeddings, one sentence each.

    Parameters
    ----------
    embeddings : Dataset
        The result of `embed`.
    identity : mapping of stimulus to identity, optional
        Identities of the faces. Without them all pairs count as pairs of different identities.

    Returns
    -------
    list of str
        A sentence for each system whose embeddings are almost equal for all faces; at whose
        threshold more than 20% of the pairs of different identities match; or at whose threshold
        more than half of the pairs of one identity do not. At most 500 faces, spread over all, are
        compared.

    Examples
    --------
    >>> cube = xr.Dataset(
    ...     {"embedding": (("system", "stimulus", "feature"), [[[1.0, 0.0], [1.0, 0.01]]]),
    ...      "status": (("system", "stimulus"), [["ok", "ok"]]), "features": ("system", [2]),
    ...      "metric": ("system", ["cosine"]), "threshold": ("system", [np.nan])},
    ...     coords={"system": ["net"], "stimulus": ["a", "b"]})
    >>> embedding_warnings(cube)
    ['net: the embeddings of 2 faces are almost equal (median distance 5e-05)...']
    """
    found = []
    for system in embeddings["system"].values:
        one = embeddings.sel(system=system)
        good = one.sel(stimulus=(one["status"] == OK).values)
        good = good.isel(stimulus=slice(None, None, -(-good.sizes["stimulus"] // FACES) or 1))
        if good.sizes["stimulus"] < 2:
            continue
        vectors = good["embedding"].values[:, : int(one["features"])]
        names = good["stimulus"].values.astype(str)
        known = names if identity is None else np.array([str(identity.get(n, n)) for n in names])
        found += [
            f"{system}: {text}"
            for text in _unusual(vectors, known, str(one["metric"].item()), float(one["threshold"]))
        ]
    return found


def _unusual(vectors: np.ndarray, identity: np.ndarray, metric: str, threshold: float) -> list[str]:
    a, b = np.triu_indices(len(vectors), 1)
    distance = pair_distances(vectors, a, b, metric)
    length = 1.0 if metric == "cosine" else float(np.linalg.norm(vectors, axis=1).mean())
    median = float(np.median(distance))
    advice = "check size, colour, normalisation and alignment"
    if median < CONSTANT * length:
        return [
            f"the embeddings of {len(vectors)} faces are almost equal (median distance "
            f"{median:.2g}); {advice}"
        ]
    if np.isnan(threshold):
        return []
    same = identity[a] == identity[b]
    found = []
    for pairs, wrong, most, what in (
        (~same, distance <= threshold, MANY_MATCHES, "different identities are at or below"),
        (same, distance > threshold, MANY_MISSES, "one identity are above"),
    ):
        share = float(wrong[pairs].mean()) if pairs.any() else 0.0
        if share > most:
            found.append(
                f"{share:.0%} of {int(pairs.sum()):,} pairs of {what} the threshold "
                f"{threshold:.3g}; {advice}, and that the threshold is one of this distance"
            )
    return found


def compare_preparations(
    images: str | Path | Mapping[str, str | Path],
    embedder: Embedder,
    identity: Mapping[str, object],
    *,
    faces: int = 45,
) -> pd.DataFrame:
    """Compare how well a network separates identities under usual preparations of its images.

    The separation is d' of the distances, ``(m_i - m_g) / sqrt((v_i + v_g) / 2)``, with means m and
    variances v of pairs of different identities (i) and of one identity (g).

    Parameters
    ----------
    images : directory, or mapping of stimulus to path
        As in `embed`.
    embedder : Embedder
        The network; not a function of bytes.
    identity : mapping of stimulus to identity
        Identities of the faces. Up to three images each, of the first identities that have two or
        more, are used.
    faces : int, default 45
        Largest number of images.

    Returns
    -------
    DataFrame
        `normalise`, `colour`, `stated` (whether it is the embedder's), `d_prime`, `auc` (0.5 to 1),
        `difference` of d' from that of the stated preparation, `se` of the difference (jackknife
        over identities), `n` (images), `identities`; the best first.

    Raises
    ------
    DataError
        If fewer than three identities have two images with a usable crop.
    """
    crops, who = _sample(images, embedder, identity, faces)
    rows = []
    own = _separations(embedder, crops, who)
    for colour in ("grey",) if embedder.colour == "grey" else ("rgb", "bgr"):
        for name, normalise in NORMALISATIONS.items():
            other = replace(embedder, colour=colour, normalise=normalise)
            stated = other.fingerprint == embedder.fingerprint
            d_prime, auc, without = own if stated else _separations(other, crops, who)
            change = without - own[2]
            spread = float(((len(change) - 1) * change.var()) ** 0.5)  # jackknife
            rows.append((name, colour, stated, d_prime, auc, d_prime - own[0], spread))
    if not any(row[2] for row in rows):
        rows.append(("as stated", embedder.colour, True, own[0], own[1], 0.0, 0.0))
    names = ["normalise", "colour", "stated", "d_prime", "auc", "difference", "se"]
    table = pd.DataFrame(rows, columns=names).assign(n=len(crops), identities=len(np.unique(who)))
    return table.sort_values("d_prime", ascending=False, ignore_index=True)


def preparation_warning(table: pd.DataFrame, system: str) -> str:
    """Describe a preparation that separates better than the stated one by three standard errors.

    Examples
    --------
    >>> table = pd.DataFrame({"normalise": ["none", "127.5/127.5"], "colour": "rgb",
    ...     "stated": [False, True], "d_prime": [4.0, 3.0], "auc": [1.0, 0.99],
    ...     "difference": [1.0, 0.0], "se": [0.1, 0.0], "n": 90, "identities": 30})
    >>> print(preparation_warning(table, "net"))
    net: --normalise none --colour rgb separates identities better than what was stated (d' 4.00...
    """
    better = table[table["difference"] > 3 * table["se"]]
    if better.empty:
        return ""
    best, own = better.iloc[0], table[table["stated"]].iloc[0]
    return (
        f"{system}: --normalise {best['normalise']} --colour {best['colour']} separates identities "
        f"better than what was stated (d' {best['d_prime']:.2f} instead of {own['d_prime']:.2f}, "
        f"difference {best['difference']:.2f} with standard error {best['se']:.2f}; AUC "
        f"{best['auc']:.4f} instead of {own['auc']:.4f}; {best['n']} images of "
        f"{best['identities']} identities)"
    )


def _sample(
    images: str | Path | Mapping[str, str | Path],
    embedder: Embedder,
    identity: Mapping[str, object],
    faces: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return crops (n, height, width, 3) and their identities (n,)."""
    files, _ = image_files(images)
    named = pd.Series({name: str(identity[name]) for name in files if name in identity}, dtype=str)
    place = named.groupby(named).cumcount()
    several = named.groupby(named).transform("size") > 1
    chosen = named[several & (place < 3)].sort_values(kind="stable")[:faces]
    crops, who = [], []
    for name, one in chosen.items():
        content = read_image(Path(files[str(name)]))
        with without_warnings():
            crop = crop_of(content, embedder.align, embedder.size, embedder.detector).pixels
        if crop is not None:
            crops.append(crop)
            who.append(one)
    counts = pd.Series(who, dtype=str).value_counts()
    if (counts > 1).sum() < 3:
        raise DataError(
            f"{int((counts > 1).sum())} identities have two usable images",
            hint="give at least three identities with two images each",
            file=embedder.name,
        )
    return np.stack(crops), np.array(who)


def _separations(
    embedder: Embedder, crops: np.ndarray, who: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Return d', the area under the ROC curve, and d' without each identity in turn."""
    vectors = np.concatenate(
        [embedder.vectors(crops[at : at + 32]) for at in range(0, len(crops), 32)]
    )
    a, b = np.triu_indices(len(crops), 1)
    distance = pair_distances(vectors, a, b, embedder.metric)
    same = who[a] == who[b]
    without = [
        _d_prime(distance[kept], same[kept])
        for one in np.unique(who)
        for kept in [(who[a] != one) & (who[b] != one)]
    ]
    order = pd.Series(distance).rank().to_numpy()
    n, m = int(same.sum()), int((~same).sum())
    auc = 1 - (order[same].sum() - n * (n + 1) / 2) / (n * m)
    return _d_prime(distance, same), float(auc), np.array(without)


def _d_prime(distance: np.ndarray, same: np.ndarray) -> float:
    genuine, impostor = distance[same], distance[~same]
    spread = np.sqrt((genuine.var() + impostor.var()) / 2)
    return float((impostor.mean() - genuine.mean()) / spread) if spread > 0 else 0.0
