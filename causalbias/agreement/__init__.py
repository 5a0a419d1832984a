"""Reliability and consensus of annotators, as ``cb.agreement``."""

from causalbias.agreement.consensus import consensus, hcic
from causalbias.agreement.consistency import error_consistency
from causalbias.agreement.graded import graded_response
from causalbias.agreement.reliability import reliability, retest

__all__ = [
    "consensus",
    "error_consistency",
    "graded_response",
    "hcic",
    "reliability",
    "retest",
]
