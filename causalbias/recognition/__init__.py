"""Compute embeddings of images and the distances of a study, as ``cb.recognition``."""

from causalbias.recognition.alignment import align_face
from causalbias.recognition.choose import embedder
from causalbias.recognition.classical import eigenfaces
from causalbias.recognition.classification import classify
from causalbias.recognition.classifiers import Classifier, classifier
from causalbias.recognition.distances import with_distances, with_embeddings
from causalbias.recognition.embedder import Embedder
from causalbias.recognition.embedding import embed, images_of
from causalbias.recognition.pair_counts import all_pairs
from causalbias.recognition.photos import Photos, photo_faces, photo_scores
from causalbias.recognition.sanity import compare_preparations, embedding_warnings
from causalbias.recognition.texts import text_scores
from causalbias.recognition.torch_file import text_embeddings

__all__ = [
    "Classifier",
    "Embedder",
    "Photos",
    "align_face",
    "all_pairs",
    "classifier",
    "classify",
    "compare_preparations",
    "eigenfaces",
    "embed",
    "embedder",
    "embedding_warnings",
    "images_of",
    "photo_faces",
    "photo_scores",
    "text_embeddings",
    "text_scores",
    "with_distances",
    "with_embeddings",
]
