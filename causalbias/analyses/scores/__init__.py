"""Error rates by group of a table of scores, with a report."""

from causalbias.analyses.scores.analysis import Audit, OperatingPoint, audit
from causalbias.analyses.scores.pooling import pooled_rates
from causalbias.analyses.scores.report import audit_content

__all__ = ["Audit", "OperatingPoint", "audit", "audit_content", "pooled_rates"]
