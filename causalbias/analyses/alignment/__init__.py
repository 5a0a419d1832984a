"""Metrics of similarity against people's judgements of pairs of faces."""

from causalbias.analyses.alignment.analysis import Alignment, analyse_alignment, odd_one_out
from causalbias.analyses.alignment.report import alignment_content

__all__ = ["Alignment", "alignment_content", "analyse_alignment", "odd_one_out"]
