"""Published analyses as one call each, as ``cb.analyses``: from a study to estimates and report."""

from causalbias.analyses.identity.analysis import Identity, analyse_identity
from causalbias.analyses.manipulation.analysis import Manipulation, analyse_manipulation
from causalbias.analyses.protocol import Analysis
from causalbias.analyses.registry import choose_analysis

__all__ = [
    "Analysis",
    "Identity",
    "Manipulation",
    "analyse_identity",
    "analyse_manipulation",
    "choose_analysis",
]
