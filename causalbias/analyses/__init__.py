"""Published analyses as one call each, as ``cb.analyses``: from a study to estimates and report."""

from causalbias.analyses.alignment import (
    Alignment,
    alignment_content,
    analyse_alignment,
    odd_one_out,
)
from causalbias.analyses.editing import Editing, analyse_editing, editing_content
from causalbias.analyses.human_machine import (
    HumanMachine,
    analyse_human_machine,
    human_machine_content,
)
from causalbias.analyses.identity.analysis import Identity, analyse_identity
from causalbias.analyses.manipulation.analysis import Manipulation, analyse_manipulation
from causalbias.analyses.protocol import Analysis
from causalbias.analyses.ratings import Ratings, analyse_ratings, ratings_content
from causalbias.analyses.registry import choose_analysis
from causalbias.analyses.scores import (
    Audit,
    OperatingPoint,
    audit,
    audit_content,
    pooled_rates,
)
from causalbias.analyses.signal_detection import (
    SignalDetection,
    analyse_signal_detection,
    signal_detection_content,
)
from causalbias.analyses.social import (
    SocialPerception,
    analyse_social_perception,
    social_perception_content,
)

__all__ = [
    "Alignment",
    "Analysis",
    "Audit",
    "Editing",
    "HumanMachine",
    "Identity",
    "Manipulation",
    "OperatingPoint",
    "Ratings",
    "SignalDetection",
    "SocialPerception",
    "alignment_content",
    "analyse_alignment",
    "analyse_editing",
    "analyse_human_machine",
    "analyse_identity",
    "analyse_manipulation",
    "analyse_ratings",
    "analyse_signal_detection",
    "analyse_social_perception",
    "audit",
    "audit_content",
    "choose_analysis",
    "editing_content",
    "human_machine_content",
    "odd_one_out",
    "pooled_rates",
    "ratings_content",
    "signal_detection_content",
    "social_perception_content",
]
