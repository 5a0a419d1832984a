"""Baselines without trained weights, from before deep networks; Euclidean distance."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.crops import crops_of
from causalbias.recognition.embedder import Embedder, prepare

SIZE = (64, 64)
LBP_SIZE, LBP_CELL = (112, 112), 16
LBP_CODES = 59
LEVELS = 3


def lbp(name: str = "lbp") -> Embedder:
    """Make an embedder by histograms of uniform local binary patterns in 7 x 7 cells.

    The patterns have 8 neighbours at radius 1 (Ahonen, Hadid and Pietikainen 2006, IEEE TPAMI
    28(12)). The 2,891 features are square roots of shares, so that the Euclidean distance is
    proportional to the Hellinger distance.
    """

    def forward(images: np.ndarray) -> np.ndarray:
        from skimage.feature import local_binary_pattern

        cells = LBP_SIZE[0] // LBP_CELL
        place = np.arange(LBP_SIZE[0]) // LBP_CELL
        cell = (place[:, None] * cells + place).ravel()
        rows = []
        for image in images[..., 0]:
            code = local_binary_pattern(image, 8, 1, "nri_uniform").astype(int).ravel()
            counts = np.bincount(cell * LBP_CODES + code, minlength=cells**2 * LBP_CODES)
            rows.append(np.sqrt(counts / LBP_CELL**2 / cells**2))
        return np.array(rows)

    return Embedder(
        name,
        forward,
        size=LBP_SIZE,
        weights="lbp 8,1 nri_uniform 7x7 sqrt/1",
        colour="grey",
        align="dlib",
    )


def wavelets(name: str = "wavelets") -> Embedder:
    """Make an embedder by the coarsest Haar wavelet coefficients of the grey image.

    The 256 features are the approximation coefficients at the third level, as in *A robust,
    low-cost approach to face detection and face recognition* (Jyoti, Chadha, Vaidya and Roja,
    2011). Each image is first standardised to mean 0 and standard deviation 1, which reduces
    differences in lighting.
    """

    def forward(images: np.ndarray) -> np.ndarray:
        from pywt import wavedec2

        grey = _standardised(images)
        approximation, details, *_ = wavedec2(grey, "haar", level=LEVELS, axes=(1, 2))
        coarse = np.stack([approximation, *details], axis=1)
        # Orthonormal coefficients divided by the image's side: a distance is a mean difference.
        return coarse.reshape(len(images), -1) / SIZE[0]

    return Embedder(
        name,
        forward,
        size=SIZE,
        weights="haar 3 levels, standardised/1",
        colour="grey",
        align="dlib",
    )


def eigenfaces(
    training: str | Path | Mapping[str, str | Path],
    *,
    components: int = 64,
    align: str = "dlib",
    name: str = "eigenfaces",
) -> Embedder:
    """Make an embedder by the principal components of a set of faces (Turk and Pentland 1991).

    Parameters
    ----------
    training : directory, or mapping of stimulus to path
        At least `components` + 1 faces; those without a usable image are left out.
    components : int
        Number of components, which are the features of the embedding.
    align : {"dlib", "arcface", "none"}
        Alignment of the training faces, as in `embed`, and the default for faces to be embedded.
    name : str
        Name of the system.

    Returns
    -------
    Embedder
        An embedder whose fingerprint derives from the training crops.

    Raises
    ------
    DataError
        If there are too few faces.
    """
    crops = crops_of(training, align, SIZE)
    if components < 1 or len(crops) <= components:
        raise DataError(
            f"{components} components cannot be computed from {len(crops)} usable faces",
            hint="give more faces, or ask for fewer components",
            file=name,
        )
    grey = _standardised(prepare(crops, "grey", None)).reshape(len(crops), -1)
    mean = grey.mean(axis=0)
    _, _, directions = np.linalg.svd(grey - mean, full_matrices=False)
    directions = directions[:components]
    # The sign of a component is arbitrary; its largest entry is made positive.
    largest = np.take_along_axis(directions, abs(directions).argmax(1)[:, None], 1)
    directions = directions * np.sign(largest)
    digest = hashlib.sha256(crops.tobytes()).hexdigest()

    def forward(images: np.ndarray) -> np.ndarray:
        return (_standardised(images).reshape(len(images), -1) - mean) @ directions.T / SIZE[0]

    return Embedder(
        name,
        forward,
        size=SIZE,
        weights=f"eigenfaces/1 {components} {digest}",
        colour="grey",
        align=align,
    )


def _standardised(images: np.ndarray) -> np.ndarray:
    """Standardise each grey image (n, h, w, 1) to mean 0 and standard deviation 1: (n, h, w)."""
    grey = images[..., 0].astype(float)
    spread = grey.std(axis=(1, 2), keepdims=True)
    return (grey - grey.mean(axis=(1, 2), keepdims=True)) / np.where(spread > 0, spread, 1)
