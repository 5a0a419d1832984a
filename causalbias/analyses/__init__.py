"""Published analyses as one call each, as ``cb.analyses``: from a study to estimates."""

from causalbias.analyses.identity.analysis import Identity, analyse_identity
from causalbias.analyses.manipulation.analysis import Manipulation, analyse_manipulation

__all__ = [
    "Identity",
    "Manipulation",
    "analyse_identity",
    "analyse_manipulation",
]
