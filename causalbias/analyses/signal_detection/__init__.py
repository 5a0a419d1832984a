"""Old/new and same/different answers: sensitivity and criterion by own and other group."""

from causalbias.analyses.signal_detection.analysis import (
    SignalDetection,
    analyse_signal_detection,
)
from causalbias.analyses.signal_detection.report import signal_detection_content

__all__ = ["SignalDetection", "analyse_signal_detection", "signal_detection_content"]
