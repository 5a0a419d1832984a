"""Group effects that are correlated across formulas: ``(1|p|seed)`` in those of mean and sigma."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from causalbias.errors import DataError
from causalbias.inference.problem import FloatArray
from causalbias.models.group_design import GroupDesign


@dataclass(frozen=True)
class Shared:
    """Terms of several predictors whose effects of a level have one correlation matrix.

    Attributes
    ----------
    name : str
        What the bars have between them and the factor, ``"p|seed"``. The correlations between
        effects of different predictors are ``"cor|p|seed"`` in a posterior; those within one keep
        their own name.
    designs : dict of str to GroupDesign
        By predictor: "" for that of the mean, else the parameter's name.
    """

    name: str
    designs: dict[str, GroupDesign]

    @property
    def correlation(self) -> str:
        """Name of the correlations in the posterior."""
        return f"cor|{self.name}"

    @property
    def labels(self) -> list[str]:
        """Of each effect, ``"1"`` or ``"sigma_1"``, in the order of `designs`."""
        return [
            (f"{predictor}_" if predictor else "") + (f"{effect}[{one}]" if one else effect)
            for predictor, design in self.designs.items()
            for effect, columns in design.effects.items()
            for one in columns or ("",)
        ]

    @property
    def slices(self) -> dict[str, slice]:
        """Which of the effects are of each predictor."""
        found, at = {}, 0
        for predictor, design in self.designs.items():
            found[predictor] = slice(at, at + sum(design.sizes()))
            at = found[predictor].stop
        return found

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the effects of different predictors, of which there are correlations."""
        of = np.repeat(
            np.arange(len(self.designs)), [sum(d.sizes()) for d in self.designs.values()]
        )
        low, high = np.triu_indices(len(of), k=1)
        apart = of[low] != of[high]
        return low[apart], high[apart]

    @property
    def pair_labels(self) -> list[str]:
        """Of each of `pairs`, ``"1, sigma_1"``."""
        labels = self.labels
        return [f"{labels[a]}, {labels[b]}" for a, b in zip(*self.pairs, strict=True)]

    def joined(self, blocks: Mapping[str, FloatArray], between: FloatArray) -> FloatArray:
        """Matrix (draws, K, K) of those of each predictor (draws, k, k) and what is in `pairs`."""
        low, high = self.pairs
        size = len(self.labels)
        found = np.zeros((len(between), size, size))
        for predictor, own in self.slices.items():
            found[:, own, own] = blocks[predictor]
        found[:, low, high] = found[:, high, low] = between
        return found


def shared_effects(groups: Mapping[str, Sequence[GroupDesign]]) -> tuple[Shared, ...]:
    """The terms that share a name, of the predictors' group terms; a name used once shares nothing.

    Raises
    ------
    DataError
        If terms that share a name are of different factors, or of one formula.
    """
    found: dict[str, dict[str, GroupDesign]] = {}
    factors: dict[str, tuple[object, str]] = {}
    for predictor, designs in groups.items():
        for one in designs:
            if not one.shared:
                continue
            factor = one.members, one.weights, one.within and one.within[0]
            known, text = factors.setdefault(one.shared, (factor, one.factor))
            if known != factor:
                raise DataError(
                    f"terms of {text!r} and of {one.factor!r} share {one.shared!r}, and effects of "
                    "levels of different factors have no correlation",
                    hint="give those of one factor a letter of their own",
                )
            own = found.setdefault(f"{one.shared}|{one.factor}", {})
            if predictor in own:
                raise DataError(
                    f"two terms of one formula share {one.shared!r}",
                    hint=f"write them as one: (1 + x|{one.shared}|{one.factor})",
                )
            own[predictor] = one
    return tuple(Shared(name, own) for name, own in found.items() if len(own) > 1)
