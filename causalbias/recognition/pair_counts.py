"""Count the distances of all pairs of faces by group, in blocks that fit into memory."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from causalbias.errors import DataError, shown
from causalbias.io.memory import check_memory
from causalbias.rates.groups import as_series
from causalbias.recognition import torch_blocks
from causalbias.recognition.blocks import Counts, Vectors, count_block, make_ready
from causalbias.recognition.threads import number_of_workers
from causalbias.recognition.torch_blocks import torch_counter
from causalbias.study.columns import is_number, labels, levels_of, typed

METRICS = ("euclidean", "cosine")
KINDS = ["impostor", "genuine"]
# Faces per block, such that two blocks and their product fit into the processor's cache.
BLOCK = 512


def all_pairs(
    embeddings: np.ndarray,
    group: Sequence[str] | np.ndarray,
    *,
    identity: Sequence[object] | np.ndarray | None = None,
    thresholds: float | Sequence[float] = (),
    metric: str = "euclidean",
    bins: int = 1000,
    workers: int | None = None,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Count the distances of all pairs of faces by the groups of both members.

    Genuine and impostor pairs are counted separately. The distances are computed in blocks and
    counted immediately, so that n faces take memory for n rows and a few blocks, but not for n²
    distances.

    Parameters
    ----------
    embeddings : array (face, feature)
        Finite numbers; a read-only memory map is accepted.
    group : sequence (face,)
        Group of each face, such as ``"black female"``. The groups of a categorical are in the order
        of its categories.
    identity : sequence (face,), optional
        Faces of one identity make genuine pairs. By default each face is a person of its own.
        Identities are text: ``1`` and ``"1"`` are one, ``"01"`` is another. A face without an
        identity or a group is in no pair, genuine or impostor.
    thresholds : float or sequence of float
        Thresholds in units of the distance, at which matches (distances at or below the threshold)
        are counted exactly.
    metric : {"euclidean", "cosine"}
        Distance between embeddings; "cosine" is 1 minus the cosine of the angle.
    bins : int
        Number of bins of the histograms. These are computed from distances in float32, so that a
        distance very close to an edge may be counted on either side.
    workers : int, optional
        Number of threads on the CPU; by default one per core.
    device : str, default "cpu"
        "cuda" counts on a GPU, by torch. The numbers of matches are those of the CPU.
    progress : callable, optional
        Function that is called with a line of text from time to time.

    Returns
    -------
    Dataset
        ``histogram`` (kind, group, other, bin) and ``matches`` (kind, group, other, threshold):
        numbers of pairs of a face of the one group and a face of the other, the same both ways
        round, each pair once; ``n`` (kind, group, other): number of all pairs; ``low``, ``high``
        (bin): edges of the bins, which hold distances of at least `low` and below `high`. For the
        intervals of `all_pairs_rates` there are also ``face_matches`` (threshold, face, other):
        each face's impostor matches with faces of each group; ``face_group``, ``face_identity``
        (face). The coordinate `face` is the row of `embeddings`. The attribute ``left_out`` holds,
        as JSON by reason, the numbers of faces that are in no pair.

    Raises
    ------
    DataError
        Naming what is wrong, and the row: an embedding is not finite, or fewer than two faces have
        a group and an identity.

    Examples
    --------
    >>> faces = np.array([[0.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    >>> counts = all_pairs(faces, ["a", "a", "b"], thresholds=[1.5, 2.1])
    >>> counts["matches"].sel(kind="impostor", threshold=2.1).values
    array([[1, 1],
           [1, 0]])
    """
    at = np.unique(np.asarray(thresholds, dtype=float))
    if device != "cpu" and workers is not None:
        raise DataError(f"workers are given for device {device!r}", hint="leave them out")
    workers = number_of_workers(workers)
    embeddings = _check(embeddings, at, metric, bins)
    code, names = _coded(group, len(embeddings), "group")
    person = np.arange(len(embeddings))
    if identity is not None:
        person, _ = _coded(identity, len(embeddings), "identity")
    known, left_out = _known(code, person)
    code, person = code[known], person[known]
    numbers = 2 * len(names) ** 2 * (bins + len(at)) + len(at) * len(code) * len(names) / 2
    check_memory(
        numbers + 2 * embeddings.size,
        f"counts of {len(code):,} faces in {len(names):,} groups at {len(at):,} thresholds",
        "give fewer groups, thresholds or bins",
    )
    order = np.argsort(code, kind="stable")
    vectors = make_ready(embeddings[known[order]], person[order], metric)
    own = np.ldexp(at, -vectors.exponent)
    counted = _count_all(vectors, code[order], len(names), bins, own, workers, device, progress)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    edges = np.ldexp(np.linspace(0, vectors.largest, bins + 1), vectors.exponent)
    return xr.Dataset(
        {
            "histogram": (("kind", "group", "other", "bin"), counted[0]),
            "matches": (("kind", "group", "other", "threshold"), counted[1]),
            "n": (("kind", "group", "other"), counted[0].sum(axis=-1)),
            "face_matches": (("threshold", "face", "other"), counted[2][:, back]),
        },
        coords={
            "kind": KINDS,
            "group": names,
            "other": names,
            "threshold": at,
            "low": ("bin", edges[:-1]),
            "high": ("bin", edges[1:]),
            "face": known,
            "face_group": ("face", np.asarray(names)[code]),
            "face_identity": ("face", person),
        },
        attrs={"metric": metric, "left_out": json.dumps(left_out)},
    )


def _known(code: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Rows of the faces that have a group and an identity, and counts of the others by reason."""
    nobody, nowhere = person < 0, (code < 0) & (person >= 0)
    known = np.flatnonzero(~nobody & ~nowhere)
    counts = {
        "faces without an identity": int(nobody.sum()),
        "faces without a group": int(nowhere.sum()),
    }
    if len(known) < 2:
        raise DataError(
            f"{len(known)} of {len(code):,} faces have a group and an identity",
            hint="give the groups and identities of two faces or more",
            file="embeddings",
            row=int((nobody | nowhere).argmax()) + 1,
        )
    return known, {reason: count for reason, count in counts.items() if count}


def _count_all(
    vectors: Vectors,
    code: np.ndarray,
    n_groups: int,
    bins: int,
    thresholds: np.ndarray,
    workers: int,
    device: str,
    progress: Callable[[str], None] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum the histograms, the matches, and the matches of each face over all blocks."""
    histogram = np.zeros((2, n_groups, n_groups, bins), np.int64)
    matches = np.zeros((2, n_groups, n_groups, len(thresholds)), np.int64)
    of_face = np.zeros((len(thresholds), len(code), n_groups), np.int32)
    count: Callable[[slice, slice], Counts] = partial(
        count_block, vectors, bins=bins, thresholds=thresholds
    )
    size = BLOCK
    if device != "cpu":
        count, size = torch_counter(vectors, bins, thresholds, device), torch_blocks.BLOCK
        workers = 1
    jobs = list(combinations_with_replacement(_blocks(code, n_groups, size), 2))
    step = max(1, len(jobs) // 20)
    # One thread of linear algebra per worker, since the workers run in parallel.
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        # In portions, so that few results are in memory at once.
        for start in range(0, len(jobs), step):
            portion = jobs[start : start + step]
            for (rows, columns), found in zip(
                portion, pool.map(count, *zip(*portion, strict=True)), strict=True
            ):
                one, two = code[rows.start], code[columns.start]
                for g, h in {(one, two), (two, one)}:
                    histogram[:, g, h] += found[0]
                    matches[:, g, h] += found[1]
                of_face[:, rows, two] += found[2]
                of_face[:, columns, one] += found[3]
            if progress is not None:
                progress(f"{start + len(portion):,} of {len(jobs):,} blocks")
    return histogram, matches, of_face


def _blocks(code: np.ndarray, n_groups: int, size: int) -> list[slice]:
    """Divide the faces, which are sorted by group, into slices within groups."""
    found = []
    for group in range(n_groups):
        low, high = (int(np.searchsorted(code, group, side)) for side in ("left", "right"))
        found += [slice(at, min(at + size, high)) for at in range(low, high, size)]
    return found


def _coded(
    values: Sequence[object] | np.ndarray, n: int, name: str
) -> tuple[np.ndarray, list[str]]:
    """Code of each face's label (face,), -1 where it is missing, and the labels as text.

    Labels are in the order of the data's levels.

    Raises
    ------
    DataError
        If there are not as many labels as faces.
    """
    if len(values) != n:
        raise DataError(
            f"{len(values):,} labels for {n:,} faces",
            hint="give one label per face",
            file="embeddings",
            column=name,
        )
    given = as_series(values).rename(name)
    found = labels(given, file="embeddings")
    ordered, column = found, typed(given, file="embeddings")
    if is_number(column):  # by size, not as texts
        sizes = pd.Series(levels_of(column), name=name)
        known = labels(sizes, file="embeddings").drop_duplicates().tolist()
        ordered = found.astype(pd.CategoricalDtype(known))
    names = levels_of(ordered).tolist()
    codes = pd.Index(names).get_indexer(pd.Index(found.astype(object)))
    return codes, names


def _check(embeddings: np.ndarray, thresholds: np.ndarray, metric: str, bins: int) -> np.ndarray:
    """Check the arguments and return the embeddings as floats of a supported precision.

    Raises
    ------
    DataError
        If an argument is invalid.
    """
    if metric not in METRICS:
        raise DataError(f"metric {shown(metric)}", hint=f"use one of {', '.join(METRICS)}")
    if bins < 1 or int(bins) != bins or not (np.isfinite(thresholds) & (thresholds >= 0)).all():
        raise DataError(
            f"{bins} bins, thresholds {thresholds.tolist()}",
            hint="give one bin or more, and finite thresholds, 0 or more",
        )
    try:
        embeddings = np.asarray(embeddings)
    except ValueError as error:  # rows of different lengths
        raise DataError(
            f"the embeddings have different lengths ({error})",
            hint="give as many numbers for each face",
            file="embeddings",
        ) from None
    few = embeddings.ndim != 2 or len(embeddings) < 2 or embeddings.shape[1] < 1
    if few or embeddings.dtype.kind not in "fiu":
        raise DataError(
            f"embeddings of shape {embeddings.shape} and type {embeddings.dtype}",
            hint="give an array of numbers with one row per face, for two faces or more",
            file="embeddings",
        )
    # Other precisions are converted; for half precision and integers this loses nothing.
    small = embeddings.dtype.itemsize <= 2 or embeddings.dtype == np.float32
    embeddings = embeddings.astype(np.float32 if small else np.float64, copy=False)
    largest = np.abs(embeddings).max(axis=1, initial=0)
    bad = ~np.isfinite(largest) | ((largest == 0) & (metric == "cosine"))
    if bad.any():
        raise DataError(
            f"the embedding is not finite, or zero ({int(bad.sum()):,} such faces)",
            hint="leave out faces that failed to enrol, and count them",
            file="embeddings",
            row=int(bad.argmax()) + 1,
        )
    return embeddings
