"""Design experiments, as ``cb.design``: faces, pairs, annotators, estimability and power."""

from causalbias.design.adaptive import next_items
from causalbias.design.assignment import assign
from causalbias.design.corrected import power_corrected, separability
from causalbias.design.estimability import Report, balance, report
from causalbias.design.ground_truth import from_ground_truth, to_ground_truth
from causalbias.design.layouts import fraction, full, incomplete_blocks, one_at_a_time
from causalbias.design.power import power
from causalbias.design.pushes import crossed_pushes
from causalbias.design.sampling import sample_pairs
from causalbias.design.services import (
    from_label_studio,
    from_mturk,
    label_studio_config,
    to_label_studio,
    to_manifest_csv,
)

__all__ = [
    "Report",
    "assign",
    "balance",
    "crossed_pushes",
    "fraction",
    "from_ground_truth",
    "from_label_studio",
    "from_mturk",
    "full",
    "incomplete_blocks",
    "label_studio_config",
    "next_items",
    "one_at_a_time",
    "power",
    "power_corrected",
    "report",
    "sample_pairs",
    "separability",
    "to_ground_truth",
    "to_label_studio",
    "to_manifest_csv",
]
