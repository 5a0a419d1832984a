"""Tables of comparison scores, as other programs export them."""

from causalbias.datasets.scores.read import read_scores
from causalbias.datasets.scores.scores import Scores

__all__ = ["Scores", "read_scores"]
