"""Count the distances between two blocks of faces by torch, on a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.rates.matching import at_or_below
from causalbias.recognition.blocks import (
    Counts,
    Scaling,
    Vectors,
    exact_distances,
    margins,
    scale_of,
)
from causalbias.recognition.checkpoints import import_torch
from causalbias.recognition.embedder import first_line

# Faces per block: some 20 numbers for each pair of a block, 1 to 2 GB, fit into a GPU's memory.
BLOCK = 4096


def torch_counter(
    one: Vectors,
    other: Vectors,
    scaling: Scaling,
    bins: int,
    thresholds: np.ndarray,
    device: str,
) -> Callable[[slice, slice], Counts]:
    """Return a function that counts as `count_block` does, on a device of torch.

    Distances in float32 are torch's. Where they are not precise enough to decide whether a pair
    matches, the distance is computed again in float64 by the function that `count_block` uses, so
    that the numbers of matches are equal. In the histogram, a distance that is very close to an
    edge may be counted on either side.

    Raises
    ------
    DataError
        If torch is not installed or has no such device.
    """
    torch = import_torch()
    try:
        first, second = (
            [torch.from_numpy(part).to(device) for part in (own.ready, own.squares, own.identity)]
            for own in (one, other)
        )
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"device {device!r}: {first_line(error)}", hint="use 'cpu'") from error
    bound, least, squared = margins(one.ready.shape[1], scaling, thresholds)

    def count(rows: slice, columns: slice) -> Counts:
        with _full_precision(torch):
            product = first[0][rows] @ second[0][columns].T
        lengths = first[1][rows, None] + second[1][None, columns]
        apart = (lengths - 2 * product).clamp_(min=0)
        same = first[2][rows, None] == second[2][None, columns]
        counted = torch.ones_like(same)
        if one is other and rows == columns:
            counted = counted.triu_(1)
        doubt = lengths.mul_(float(bound)).add_(float(least))
        of_kind = _histogram(torch, scaling, apart, same, counted, bins)
        matches, of_rows, of_columns = [], [], []
        for at, limit in zip(thresholds, squared.tolist(), strict=True):
            below = apart <= limit
            i, j = torch.nonzero(((apart - limit).abs_() <= doubt) & counted, as_tuple=True)
            distance = exact_distances(
                one.exact[rows],
                other.exact[columns],
                i.cpu().numpy(),
                j.cpu().numpy(),
                scaling.cosine,
            )
            below[i, j] = torch.from_numpy(at_or_below(distance, at)).to(device)
            below &= counted
            for found in (below & ~same, below & same):
                matches.append(int(found.sum()))
                of_rows.append(found.sum(1, dtype=torch.int32).cpu().numpy())
                of_columns.append(found.sum(0, dtype=torch.int32).cpu().numpy())
        shape = len(thresholds), 2
        return (
            of_kind,
            np.array(matches, np.int64).reshape(shape).T,
            np.array(of_rows, np.int32).reshape(*shape, product.shape[0]).swapaxes(0, 1),
            np.array(of_columns, np.int32).reshape(*shape, product.shape[1]).swapaxes(0, 1),
        )

    return count


def _histogram(
    torch: Any, scaling: Scaling, apart: Any, same: Any, counted: Any, bins: int
) -> np.ndarray:
    """Count impostor and genuine pairs by bin (2, bin); pairs not to be counted are left out."""
    distance = apart if scaling.cosine else apart.sqrt()
    place = (distance * scale_of(scaling, bins)).clamp_(max=bins - 1).long()
    place += bins * same
    place[~counted] = 2 * bins
    found = torch.bincount(place.ravel(), minlength=2 * bins + 1)
    return np.asarray(found[: 2 * bins].reshape(2, bins).cpu().numpy())


@contextmanager
def _full_precision(torch: Any) -> Iterator[None]:
    """Multiply in float32: the rounding of TF32 exceeds the error allowed for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
