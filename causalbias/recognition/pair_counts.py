"""Count the distances of all pairs of faces by group, in tiles of faces that fit into memory."""

import json
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from causalbias.arguments import number_in
from causalbias.errors import DataError, shown, user_path
from causalbias.io.memory import check_memory
from causalbias.io.storage import open as open_file
from causalbias.io.storage import save
from causalbias.rates.groups import as_series
from causalbias.rates.pair_counts import FINISHED
from causalbias.recognition.blocks import Scaling
from causalbias.recognition.kept_counts import counted, filled, fingerprint, keep, kept
from causalbias.recognition.threads import number_of_workers
from causalbias.recognition.tiles import (
    Counted,
    Magnitudes,
    Part,
    Plan,
    Tile,
    count_tiles,
    cut,
    loaded,
    magnitudes,
    parts_of,
    piece,
    source_of,
    survey,
)
from causalbias.scheduler import map_tasks, scheduled
from causalbias.study.columns import is_number, labels, levels_of, typed

METRICS = ("euclidean", "cosine")
KINDS = ["impostor", "genuine"]
# Bytes of tiles that threads keep, since each is needed again, and of results awaited from dask.
KEPT_TILES, AWAITED = 2**28, 2**28
KEEP_EVERY = 30.0  # seconds of work that a killed run may lose
KEEP_COST = 20.0  # times as long as writing takes, at least, before it is done again
MEASURED, LONG = 3.0, 3600.0  # seconds after which the time is estimated, and of which is warned


def all_pairs(
    embeddings: Any,
    group: Sequence[str] | np.ndarray,
    *,
    identity: Sequence[object] | np.ndarray | None = None,
    thresholds: float | Sequence[float] = (),
    metric: str = "euclidean",
    bins: int = 1000,
    largest: float | None = None,
    file: str | Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Count the distances of all pairs of faces by the groups of both members.

    Genuine and impostor pairs are counted separately. Faces are read in tiles of some thousands,
    and the distances of each two tiles are counted immediately, so that memory holds a few tiles
    and the counts, but neither all embeddings nor n² distances: at 512 features about 0.5 GB for
    the tiles, and 8 bytes a face for each threshold and group.

    Parameters
    ----------
    embeddings : array (face, feature)
        Finite numbers. A face whose values are all NaN, as `embed` leaves a failure, has no
        embedding and is in no pair. A NumPy array, or one that is not in memory: a memory map, a
        Zarr or a dask array, or a DataArray of one, such as ``cb.open(path, lazy=True)`` holds.
        The counts do not depend on which.
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
    largest : float, optional
        Upper end of the histograms, by default a bound of the distances that depends on the
        embeddings (2 for cosine distances). Counts that are to be added have the same.
    file : path, optional
        File (``.nc`` or ``.zarr``) that keeps the counts, at first unfinished ones, so that a run
        that was stopped or killed goes on where it was and arrives at the same counts. It is
        written every half minute, or as often as takes a twentieth of the time. If it holds the
        finished counts, these are returned. It is refused if embeddings, groups, identities,
        thresholds, metric or bins are not those that it was begun with.
    workers : int, optional
        Number of threads on the CPU; by default one per core. If it is left out while a scheduler
        of dask is set (by ``dask.distributed.Client`` or ``dask.config.set(scheduler=...)``), the
        tiles are counted by that.
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
        intervals of `all_pairs_rates` there are also ``face_matches`` and ``face_genuine_matches``
        (threshold, face, other): each face's impostor and genuine matches with faces of each group;
        ``face_group``, ``face_identity`` (face). The coordinate `face` is the row of `embeddings`.
        The attribute ``left_out`` holds, as JSON by reason, the numbers of faces that are in no
        pair. `save` and `open` keep the counts in a file.

    Warns
    -----
    UserWarning
        If it will take more than an hour by the speed of the first seconds: how long, and how much
        memory.

    Raises
    ------
    DataError
        Naming what is wrong, and the row: an embedding is not finite, fewer than two faces have an
        embedding, a group and an identity, or the counts do not fit into memory.

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
    by_dask = device == "cpu" and workers is None and scheduled()
    workers = number_of_workers(workers) if device == "cpu" else 1
    source = source_of(embeddings)
    _check(source, at, metric, bins, largest)
    bins = int(bins)
    n = source.shape[0]
    code, names = _coded(group, n, "group")
    person = np.arange(n) if identity is None else _coded(identity, n, "identity")[0]
    tiles = cut(n, len(names), device=device)
    needed = _memory(source, tiles[0].stop, len(names), len(at), bins, kept=file is not None)
    check_memory(
        needed,
        f"counts of {n:,} faces in {len(names):,} groups at {len(at):,} thresholds",
        "give fewer groups, thresholds or bins",
        each=1,
    )
    seen = magnitudes(source, tiles, digest=file is not None)
    known, left_out = _known(code, person, seen, metric)
    parts = parts_of(tiles, known, code[known], person[known])
    scaling = _ending(survey(source, parts, metric, seen.largest[known]), largest)
    plan = Plan(scaling, np.ldexp(at, -scaling.exponent), bins, len(names), device)
    edges = np.ldexp(np.linspace(0, scaling.largest, bins + 1), scaling.exponent)
    shell = xr.Dataset(
        coords={
            "kind": KINDS,
            "group": names,
            "other": names,
            "threshold": at,
            "low": ("bin", edges[:-1]),
            "high": ("bin", edges[1:]),
            "face": known,
            "face_group": ("face", np.asarray(names)[code[known]]),
            "face_identity": ("face", person[known]),
        },
        attrs={"kind": FINISHED, "metric": metric, "left_out": json.dumps(left_out)},
    )
    job = Job(source, parts, plan, list(combinations_with_replacement(range(len(parts)), 2)))
    started = plan.nothing(len(known)), np.zeros(len(job.pairs), bool)
    place = None
    if file is not None:
        place = user_path(file)
        shell.attrs["fingerprint"] = fingerprint(shell, seen.digest, tiles[0].stop)
        earlier = kept(place, shell.attrs["fingerprint"])
        if earlier is not None and earlier.attrs["kind"] == FINISHED:
            return open_file(place)  # type: ignore[return-value]
        if earlier is not None:
            started = counted(earlier)
        else:  # a file that cannot be written is found out now
            keep(place, shell, *started)
    todo = np.flatnonzero(~started[1]).tolist()
    run = _by_dask(job, todo) if by_dask else _by_threads(job, todo, workers)
    tick = _ticker(job, todo, needed, progress, resumable=place is not None)
    result = filled(shell, _added(job, run, *started, tick, place, shell))
    if place is not None:
        save(result, place)
    return result


@dataclass(frozen=True)
class Job:
    """The pairs of tiles to be counted: `pairs` are of indices of `parts`."""

    source: Any
    parts: list[Part]
    plan: Plan
    pairs: list[tuple[int, int]]

    def of(self, index: int) -> list[Part]:
        """Return the tiles of a pair; one if it is a tile with itself."""
        one, other = self.pairs[index]
        return [self.parts[at] for at in dict.fromkeys((one, other))]

    def number(self, index: int) -> int:
        """Return the number of pairs of faces in a pair of tiles."""
        sizes = [len(part.own) for part in self.of(index)]
        return sizes[0] * sizes[1] if len(sizes) == 2 else sizes[0] * (sizes[0] - 1) // 2


type Found = Generator[tuple[int, Counted], None, None]


def _added(
    job: Job,
    run: Found,
    whole: Counted,
    done: np.ndarray,
    tick: Callable[[int], None],
    place: Path | None,
    shell: xr.Dataset,
) -> Counted:
    """Add the counts of all pairs of tiles that a run yields, and keep them from time to time."""
    saved, cost = time.monotonic(), 0.0
    with closing(run):
        for index, more in run:
            whole.add(more, *job.of(index))
            done[index] = True
            tick(index)
            began = time.monotonic()
            if place is not None and began - saved >= max(KEEP_EVERY, KEEP_COST * cost):
                keep(place, shell, whole, done)
                saved = time.monotonic()
                cost = saved - began
    return whole


def _by_threads(job: Job, todo: list[int], workers: int) -> Found:
    """Count pairs of tiles in turn, the blocks of each in threads."""
    tile = job.parts[0].rows
    kept_tiles = KEPT_TILES // max(1, 12 * (tile.stop - tile.start) * job.source.shape[1])

    @lru_cache(maxsize=max(2, kept_tiles))
    def tile_of(at: int) -> Tile:
        part = job.parts[at]
        return loaded(piece(job.source, part.rows), part, job.plan.scaling)

    # One thread of linear algebra per worker, since the workers run in parallel.
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        for index in todo:
            one, other = job.pairs[index]
            yield index, count_tiles(tile_of(one), tile_of(other), job.plan, pool.map)


def _by_dask(job: Job, todo: list[int]) -> Found:
    """Count pairs of tiles as tasks of dask."""

    def task(index: int) -> Callable[[], tuple[Any, ...]]:
        def arguments() -> tuple[Any, ...]:
            parts = job.of(index)
            values = [piece(job.source, part.rows) for part in parts]
            return (job.plan, *parts, *values)

        return arguments

    size = 2 * job.plan.n_groups**2 * (job.plan.bins + len(job.plan.thresholds)) * 8
    most = max(1, AWAITED // max(size, 2**20))
    yield from zip(
        todo, map_tasks(_count_pieces, [task(index) for index in todo], most), strict=True
    )


def _count_pieces(plan: Plan, *given: Any) -> Counted:
    """Count the pairs of one tile or of two, given as parts and then as rows of embeddings."""
    half = len(given) // 2
    tiles = [loaded(given[half + at], given[at], plan.scaling) for at in range(half)]
    return count_tiles(tiles[0], tiles[-1], plan, map)


def _ticker(
    job: Job,
    todo: list[int],
    needed: float,
    progress: Callable[[str], None] | None,
    *,
    resumable: bool,
) -> Callable[[int], None]:
    """Return a function to be told each pair of tiles that is done: it reports, and warns once."""
    total = sum(job.number(index) for index in range(len(job.pairs)))
    counted_ = total - sum(job.number(index) for index in todo)
    first, started, warned = counted_, 0.0, False

    def tick(index: int) -> None:
        nonlocal counted_, first, started, warned
        counted_ += job.number(index)
        if progress is not None:
            progress(f"{counted_:,} of {total:,} pairs")
        if not started:  # what is compiled in the first is not measured
            started, first = time.monotonic(), counted_
            return
        gone = time.monotonic() - started
        if warned or gone < MEASURED:
            return
        warned = True
        left = gone / max(counted_ - first, 1) * (total - counted_)
        if left > LONG:
            advice = "" if resumable else "; give file= so that it can be stopped and go on"
            warnings.warn(
                f"all_pairs: {total:,} pairs will take about {left / 3600:.1f} hours, at "
                f"{(counted_ - first) / gone / 1e6:,.0f} million pairs a second, and up to "
                f"{needed / 2**30:.1f} GiB of memory{advice}",
                stacklevel=4,
            )

    return tick


def _memory(
    source: Any, rows: int, n_groups: int, n_thresholds: int, bins: int, *, kept: bool
) -> float:
    """Bytes of memory that the counts, and tiles of `rows` faces, need at most."""
    n, features = map(float, source.shape)
    by_group = 16.0 * n_groups**2 * (bins + n_thresholds)
    by_face = 8.0 * n_thresholds * n * n_groups
    tiles = KEPT_TILES + 40.0 * rows * features
    return 2 * by_group + by_face + 2 * kept * (by_group + by_face) + 150 * n + tiles


def _known(
    code: np.ndarray, person: np.ndarray, seen: Magnitudes, metric: str
) -> tuple[np.ndarray, dict[str, int]]:
    """Rows of the faces that are in pairs, and counts of the others by reason.

    Raises
    ------
    DataError
        If fewer than two are left, or one has no direction, which its cosine needs.
    """
    nobody = person < 0
    nowhere = (code < 0) & ~nobody
    absent = seen.absent & ~nobody & ~nowhere
    left = ~nobody & ~nowhere & ~absent
    zero = left & (seen.largest == 0)
    if metric == "cosine" and zero.any():
        raise DataError(
            f"the embedding is zero ({int(zero.sum()):,} such faces)",
            hint="make all its values NaN, so that the face is left out and counted",
            file="embeddings",
            row=int(zero.argmax()) + 1,
        )
    known = np.flatnonzero(left)
    counts = {
        "faces without an identity": int(nobody.sum()),
        "faces without a group": int(nowhere.sum()),
        "faces without an embedding": int(absent.sum()),
    }
    if len(known) < 2:
        raise DataError(
            f"{len(known)} of {len(code):,} faces have an embedding, a group and an identity",
            hint="give the embeddings, groups and identities of two faces or more",
            file="embeddings",
            row=int((~left).argmax()) + 1,
        )
    return known, {reason: count for reason, count in counts.items() if count}


def _ending(scaling: Scaling, largest: float | None) -> Scaling:
    """Let the histograms end where the user says.

    Raises
    ------
    DataError
        If distances may be larger.
    """
    if largest is None:
        return scaling
    bound = float(np.ldexp(scaling.largest, scaling.exponent))
    if largest < bound * (1 - 1e-4):  # the bound is a little more than the largest distance
        raise DataError(
            f"largest={largest:g}, but distances of these embeddings may be up to {bound:.4g}",
            hint="give a larger one, the same for all counts that are to be added",
        )
    return replace(scaling, largest=float(np.ldexp(largest, -scaling.exponent)))


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


def _check(
    source: Any, thresholds: np.ndarray, metric: str, bins: int, largest: float | None
) -> None:
    """Check the arguments.

    Raises
    ------
    DataError
        If one is invalid.
    """
    if metric not in METRICS:
        raise DataError(f"metric {shown(metric)}", hint=f"use one of {', '.join(METRICS)}")
    if bins < 1 or int(bins) != bins or not (np.isfinite(thresholds) & (thresholds >= 0)).all():
        raise DataError(
            f"{bins} bins, thresholds {thresholds.tolist()}",
            hint="give one bin or more, and finite thresholds, 0 or more",
        )
    if largest is not None:
        number_in(largest, "largest", 0)
    shape = tuple(source.shape)
    few = len(shape) != 2 or not shape[0] >= 2 or not shape[1] >= 1  # dask may not know: NaN
    if few or source.dtype.kind not in "fiu":
        raise DataError(
            f"embeddings of shape {shape} and type {source.dtype}",
            hint="give an array of numbers with one row per face, for two faces or more",
            file="embeddings",
        )
