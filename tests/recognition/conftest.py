"""Real crops of generated faces, and images that are no faces."""

import numpy as np
import pytest
from PIL import Image

from tests.recognition.recognition_cases import noise


@pytest.fixture(scope="session")
def chips(omi):
    """Folder of the 1,500 aligned crops, or a skip that says what is missing."""
    folder = omi / "chips"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; see CAUSALBIAS_DATA")
    return folder


@pytest.fixture(scope="session")
def stored(omi):
    """dlib 20.0's embeddings of those crops, made apart from this package."""
    with np.load(omi / "embeddings_dlib_validation_artificial.npz", allow_pickle=False) as arrays:
        names = [name.removesuffix(".jpg") for name in arrays["name"].tolist()]
        return names, arrays["embedding"]


@pytest.fixture
def noisy_folder(tmp_path):
    """Ten images of noise, called f0 to f9."""
    root = tmp_path / "images"
    root.mkdir()
    for n in range(10):
        Image.fromarray(noise(n)).save(root / f"f{n}.png")
    return root
