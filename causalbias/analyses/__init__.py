"""Published analyses as one call each, as ``cb.analyses``: from a study to estimates and report."""

from causalbias.analyses.identity.analysis import Identity, analyse_identity
from causalbias.analyses.manipulation.analysis import Manipulation, analyse_manipulation
from causalbias.analyses.protocol import Analysis
from causalbias.analyses.ratings import Ratings, analyse_ratings, ratings_content
from causalbias.analyses.registry import choose_analysis
from causalbias.analyses.scores import Audit, OperatingPoint, audit, audit_content

__all__ = [
    "Analysis",
    "Audit",
    "Identity",
    "Manipulation",
    "OperatingPoint",
    "Ratings",
    "analyse_identity",
    "analyse_manipulation",
    "analyse_ratings",
    "audit",
    "audit_content",
    "choose_analysis",
    "ratings_content",
]
