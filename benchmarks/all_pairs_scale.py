"""All pairs of embeddings on disk: growth, peak memory, a kill and what it costs, and a peer.

    python benchmarks/all_pairs_scale.py [--faces 20000 40000 80000] [--features 512] [--peer 10000]
    python benchmarks/all_pairs_scale.py --part 1000000

Each size is counted in a process of its own with one thread, from a memory-mapped file, into
histograms and at three thresholds, with eight groups and two faces an identity. Memory is the
process's peak less what it had after imports. The run of `--killed` faces is killed halfway and
resumed. The peer is scikit-learn's `pairwise_distances_chunked` with NumPy's histogram, groups
together. Times of 1,000,000 faces are computed from the rate of the largest size. ``--part`` counts
the first tiles of so many faces, is killed, goes on, and prints the memory, which is all that they
would take: that of tiles does not grow, and that of the counts is there from the beginning.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

GROUPS, THRESHOLDS = 8, [1.1, 1.2, 1.3]


def written(folder: Path, n: int, features: int) -> Path:
    """Write embeddings of length 1 in parts, so that they are never in memory."""
    path = folder / f"faces_{n}.npy"
    file: Any = np.lib.format.open_memmap(path, "w+", np.float32, (n, features))
    random = np.random.default_rng(n)
    for start in range(0, n, 10_000):
        part = random.standard_normal((min(10_000, n - start), features), np.float32)
        file[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    file.flush()
    return path


def peak() -> float:
    """Most memory that the process had, in GiB, without that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 2**20


def counted(path: Path, kept: str) -> None:
    """Count the pairs of a file, and print what it took as JSON; a line at each pair of tiles."""
    from causalbias.recognition import pair_counts
    from causalbias.recognition.pair_counts import all_pairs

    pair_counts.KEEP_EVERY = 1.0
    vectors = np.load(path, mmap_mode="r")
    n = len(vectors)
    group = (np.arange(n) // 2 % GROUPS).astype(str)
    all_pairs(vectors[:600], group[:600], thresholds=THRESHOLDS)  # compiles
    before = peak()
    wall, cpu = time.perf_counter(), time.process_time()
    counts = all_pairs(
        vectors,
        group,
        identity=np.arange(n) // 2,
        thresholds=THRESHOLDS,
        workers=1,
        file=kept or None,
        progress=lambda text: print(text, f"{peak() - before:.2f}", flush=True),
    )
    print(
        json.dumps(
            {
                "pairs": n * (n - 1) // 2,
                "wall": time.perf_counter() - wall,
                "cpu": time.process_time() - cpu,
                "memory": peak() - before,
                "before": before,
                "matches": counts["matches"].values.tolist(),
                "histogram": counts["histogram"].values.sum(axis=(1, 2)).tolist(),
                "of_face": int(counts["face_matches"].sum()),
            }
        )
    )


def run(path: Path, kept: str = "", *, kill_after: int = 0) -> tuple[dict[str, Any], list[str]]:
    """Count in a process of its own: what it found, and a line for each pair of tiles it did."""
    command = [sys.executable, __file__, "--count", str(path), "--kept", kept]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if kill_after and len(lines) == kill_after:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    return ({}, lines) if kill_after else (json.loads(lines[-1]), lines[:-1])


def part(folder: Path, n: int, features: int) -> None:
    """Count the first pairs of tiles of n faces in two runs, both killed."""
    path = written(folder, n, features)
    for at, number in enumerate((8, 4)):
        began = time.perf_counter()
        _, lines = run(path, str(folder / "counts.nc"), kill_after=number)
        print(
            f"{n:,} faces, run {at + 1}, killed after {number} pairs of tiles and "
            f"{time.perf_counter() - began:.0f} s: {lines[0].strip()} GiB at the first, "
            f"{lines[-1].strip()} GiB at the last",
            flush=True,
        )


def peer(path: Path, n: int) -> float:
    """CPU seconds of scikit-learn and NumPy for the same histogram and thresholds."""
    from sklearn.metrics import pairwise_distances_chunked

    vectors = np.load(path, mmap_mode="r")[:n]
    edges, began = np.linspace(0, 2, 1001), time.process_time()
    histogram, below = np.zeros(1000, np.int64), np.zeros(len(THRESHOLDS), np.int64)
    for part in pairwise_distances_chunked(vectors, working_memory=64):
        histogram += np.histogram(part, edges)[0]
        below += [(part <= at).sum() for at in THRESHOLDS]
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, nargs="+", default=[20_000, 40_000, 80_000])
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--killed", type=int, default=40_000)
    parser.add_argument("--peer", type=int, default=10_000)
    parser.add_argument("--part", type=int)
    parser.add_argument("--count", type=Path)
    parser.add_argument("--kept", default="")
    options = parser.parse_args()
    if options.count:
        counted(options.count, options.kept)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), {}
        if options.part:
            part(folder, options.part, options.features)
            return
        for n in options.faces:
            path = written(folder, n, options.features)
            found[n], parts = run(path)
            one = found[n]
            print(
                f"{n:,} faces, {one['pairs']:,} pairs: CPU {one['cpu']:.1f} s, wall "
                f"{one['wall']:.1f} s, {one['pairs'] / one['cpu'] / 1e6:.1f} million pairs a CPU "
                f"second, memory {one['memory']:.2f} GiB above {one['before']:.2f} GiB; "
                f"{len(parts)} pairs of tiles",
                flush=True,
            )
            if n == options.killed:
                kept = str(folder / "counts.nc")
                _, done = run(path, kept, kill_after=len(parts) // 2)
                again, rest = run(path, kept)
                same = all(again[name] == one[name] for name in ("matches", "histogram", "of_face"))
                print(
                    f"killed after {len(done)} of {len(parts)} pairs of tiles, {len(rest)} were "
                    f"left to resume (CPU {again['cpu']:.1f} s): the same counts: {same}",
                    flush=True,
                )
        rate = one["pairs"] / one["cpu"]
        million = 1_000_000 * 999_999 / 2
        print(
            f"1,000,000 faces: {million / rate / 3600:.1f} CPU hours at that rate, "
            f"{million / rate / 3600 / 16:.2f} hours on 16 cores"
        )
        seconds = peer(path, options.peer)
        ours = options.peer * (options.peer - 1) / 2 / rate
        print(
            f"scikit-learn and NumPy, {options.peer:,} faces, groups together: CPU {seconds:.1f} "
            f"s; ours {ours:.1f} s at the rate above"
        )


if __name__ == "__main__":
    main()
