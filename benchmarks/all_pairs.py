"""All-pairs scores by group against the bare matrix product, and against SciPy and NumPy.

    python benchmarks/all_pairs.py [--faces 10200] [--features 512] [--alone] [--workers 2]

Prints seconds, CPU seconds of all threads, peak memory of our part, and whether SciPy's distances
and NumPy's histogram count the same. The matrix product is that of the same blocks in as many
threads, its results thrown away: no way of counting all pairs can take less. ``--alone`` leaves
SciPy out: it needs 8 bytes a pair. 100,000 faces make 5 billion pairs.
"""

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations_with_replacement

import numpy as np
from scipy.spatial.distance import pdist
from threadpoolctl import threadpool_limits

from causalbias.recognition.blocks import BLOCK
from causalbias.recognition.pair_counts import all_pairs

THRESHOLDS = [1.2, 1.25, 1.3]


def faces(n: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of length 1 that differ more between six groups than within them."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 6, n)
    vectors = rng.normal(size=(n, features)).astype(np.float32)
    vectors += rng.normal(0, 0.5, (6, features)).astype(np.float32)[group]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, group.astype(str)


def products(vectors: np.ndarray, workers: int | None) -> None:
    """Multiply every block of faces with every other and itself."""
    blocks = [vectors[at : at + BLOCK] for at in range(0, len(vectors), BLOCK)]
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(
            lambda pair: (pair[0] @ pair[1].T)[0, 0], combinations_with_replacement(blocks, 2)
        ):
            pass


def timed[Result](work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Run a function: its result, seconds, and CPU seconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=10_200)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    vectors, group = faces(options.faces, options.features)
    all_pairs(vectors[:600], group[:600], thresholds=THRESHOLDS)  # compiles
    ours, seconds, cpu = timed(
        lambda: all_pairs(vectors, group, thresholds=THRESHOLDS, workers=options.workers)
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pairs = options.faces * (options.faces - 1) // 2
    print(
        f"all_pairs: {pairs:,} pairs in {seconds:.1f} s, {pairs / seconds / 1e6:,.0f} million/s, "
        f"CPU {cpu:.1f} s; peak memory {memory:.2f} GiB"
    )
    _, bare, bare_cpu = timed(lambda: products(vectors, options.workers))
    print(
        f"matrix product alone: {bare:.1f} s, CPU {bare_cpu:.1f} s; "
        f"ours takes {cpu / bare_cpu:.2f} times its CPU seconds"
    )
    if options.alone:
        return
    started = time.perf_counter()
    distance = pdist(vectors)
    edges = np.append(ours["low"].values, ours["high"].values[-1])
    histogram = np.histogram(distance, edges)[0]
    below = [int((distance < at).sum()) for at in THRESHOLDS]
    theirs = time.perf_counter() - started
    print(
        f"scipy pdist and numpy histogram, groups together: {theirs:.1f} s; "
        f"ours is {theirs / seconds:.1f} times faster"
    )
    # A pair of two groups is counted both ways round.
    once = ours.where(ours["group"] <= ours["other"]).sum(["kind", "group", "other"])
    moved = np.abs(once["histogram"].values - histogram).sum() / 2
    print(
        f"matches agree: {once['matches'].values.tolist() == below}; "
        f"{moved:,.0f} pairs in a neighbouring bin"
    )


if __name__ == "__main__":
    main()
