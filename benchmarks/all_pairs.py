"""All-pairs scores by group against scipy.spatial.distance and numpy.histogram, in one run.

    python benchmarks/all_pairs.py [--faces 10200] [--features 512] [--alone] [--workers 2]

Prints seconds, the ratio, peak memory of our part, and whether both counted the same. ``--alone``
leaves SciPy out: it needs 8 bytes a pair. 100,000 faces make 5 billion pairs.
"""

import argparse
import resource
import time

import numpy as np
from scipy.spatial.distance import pdist

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=10_200)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    vectors, group = faces(options.faces, options.features)
    all_pairs(vectors[:600], group[:600], thresholds=THRESHOLDS)  # compiles
    started = time.perf_counter()
    ours = all_pairs(vectors, group, thresholds=THRESHOLDS, workers=options.workers)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pairs = options.faces * (options.faces - 1) // 2
    print(
        f"all_pairs: {pairs:,} pairs in {seconds:.1f} s, {pairs / seconds / 1e6:,.0f} million/s; "
        f"peak memory {memory:.2f} GiB"
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
