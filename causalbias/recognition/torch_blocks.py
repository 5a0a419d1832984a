"""Count the distances between two blocks of faces by torch, on a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from causalbias.errors import DataError
from causalbias.rates.matching import at_or_below
from causalbias.recognition.blocks import Counts, Vectors, exact_distances, margins, scale_of
from causalbias.recognition.checkpoints import import_torch
from causalbias.recognition.embedder import first_line

# Faces per block: some 20 numbers for each pair of a block, 1 to 2 GB, fit into a GPU's memory.
BLOCK = 4096


def torch_counter(
    vectors: Vectors, bins: int, thresholds: np.ndarray, device: str
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
        ready, squares, identity = (
            torch.from_numpy(part).to(device)
            for part in (vectors.ready, vectors.squares, vectors.identity)
        )
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"device {device!r}: {first_line(error)}", hint="use 'cpu'") from error
    bound, least, squared = margins(vectors, thresholds)

    def count(rows: slice, columns: slice) -> Counts:
        with _full_precision(torch):
            product = ready[rows] @ ready[columns].T
        lengths = squares[rows, None] + squares[None, columns]
        apart = (lengths - 2 * product).clamp_(min=0)
        same = identity[rows, None] == identity[None, columns]
        counted = torch.ones_like(same)
        if rows == columns:
            counted = counted.triu_(1)
        doubt = lengths.mul_(float(bound)).add_(float(least))
        of_kind = _histogram(torch, vectors, apart, same, counted, bins)
        matches, of_rows, of_columns = [], [], []
        for at, limit in zip(thresholds, squared.tolist(), strict=True):
            below = apart <= limit
            first, second = torch.nonzero(
                ((apart - limit).abs_() <= doubt) & counted, as_tuple=True
            )
            distance = exact_distances(
                vectors.exact[rows],
                vectors.exact[columns],
                first.cpu().numpy(),
                second.cpu().numpy(),
                vectors.cosine,
            )
            below[first, second] = torch.from_numpy(at_or_below(distance, at)).to(device)
            below &= counted
            impostor = below & ~same
            matches.append([int(impostor.sum()), int((below & same).sum())])
            of_rows.append(impostor.sum(1, dtype=torch.int32).cpu().numpy())
            of_columns.append(impostor.sum(0, dtype=torch.int32).cpu().numpy())
        return (
            of_kind,
            np.array(matches, np.int64).reshape(len(thresholds), 2).T,
            np.array(of_rows, np.int32).reshape(len(thresholds), product.shape[0]),
            np.array(of_columns, np.int32).reshape(len(thresholds), product.shape[1]),
        )

    return count


def _histogram(
    torch: Any, vectors: Vectors, apart: Any, same: Any, counted: Any, bins: int
) -> np.ndarray:
    """Count impostor and genuine pairs by bin (2, bin); pairs not to be counted are left out."""
    distance = apart if vectors.cosine else apart.sqrt()
    place = (distance * scale_of(vectors, bins)).clamp_(max=bins - 1).long()
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
