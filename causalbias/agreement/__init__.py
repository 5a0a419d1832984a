"""Reliability and consensus of annotators, as ``cb.agreement``."""

from causalbias.agreement.consensus import consensus, hcic
from causalbias.agreement.consistency import error_consistency
from causalbias.agreement.generalisability import generalisability, variance_components
from causalbias.agreement.graded import graded_response
from causalbias.agreement.intraclass import intraclass
from causalbias.agreement.reliability import reliability, retest

__all__ = [
    "consensus",
    "error_consistency",
    "generalisability",
    "graded_response",
    "hcic",
    "intraclass",
    "reliability",
    "retest",
    "variance_components",
]
