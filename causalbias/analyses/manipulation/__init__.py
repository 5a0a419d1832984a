"""Perceived change against network distance."""

from causalbias.analyses.manipulation.analysis import (
    Manipulation,
    analyse_manipulation,
    require_manipulation,
)
from causalbias.analyses.manipulation.report import manipulation_content
from causalbias.analyses.protocol import Analysis

MANIPULATION: Analysis[Manipulation] = Analysis(
    name="manipulation",
    description="How far the manipulation of each attribute moves a network, per point of change "
    "that people perceive.",
    require=require_manipulation,
    run=analyse_manipulation,
    content=manipulation_content,
)
