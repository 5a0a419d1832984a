"""What a detector finds of a face."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Face:
    """A face in an image.

    Attributes
    ----------
    box : (left, top, right, bottom)
        Its rectangle in pixels, as dlib's landmarks need it.
    confidence : float
        Score of the detector, larger for more certain faces. Scores of different detectors are on
        different scales.
    points : ndarray (5, 2) or None
        x, y of the left eye (as seen), right eye, nose tip, left and right corner of the mouth, if
        the detector finds them.
    """

    box: tuple[float, float, float, float]
    confidence: float
    points: np.ndarray | None = None

    @property
    def area(self) -> float:
        """Return the area of the rectangle in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)
