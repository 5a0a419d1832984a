"""Check that manipulations change what they should: ``cb.manipulation_checks``."""

from causalbias.manipulation_checks.checks import Checks, check_manipulations
from causalbias.manipulation_checks.images import image_scores, near_duplicates
from causalbias.manipulation_checks.leak_to_overturn import leak_to_overturn
from causalbias.manipulation_checks.tables import dose, identity_kept, leaks

__all__ = [
    "Checks",
    "check_manipulations",
    "dose",
    "identity_kept",
    "image_scores",
    "leak_to_overturn",
    "leaks",
    "near_duplicates",
]
