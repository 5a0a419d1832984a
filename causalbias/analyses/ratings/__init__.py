"""Ratings of faces by people: how reliable they are, and whether the own group is rated higher."""

from causalbias.analyses.ratings.analysis import Ratings, analyse_ratings
from causalbias.analyses.ratings.report import ratings_content

__all__ = ["Ratings", "analyse_ratings", "ratings_content"]
