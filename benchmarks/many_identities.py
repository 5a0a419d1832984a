"""Pairs of two identities among thousands: time and memory of `cb.fit` as identities grow.

    python benchmarks/many_identities.py [--identities 500 1000 2000 5000 10000] [--each 2.8]

Photographs give lone pairs: each identity is in few pairs, and each pair belongs to two. With eight
pairs of an identity (``--each 8``) they are so entangled that no sparse factor can be made. The
model is ``distance ~ group + (1|mm(id_a, id_b))``. Each size is fitted in a process of its own, so
that imports, the first call (compilation included where numba's cache is empty) and the peak of
memory are its own; the second fit of the process is timed beside it. "Sampler" is the engine's own
clock within the second fit. With ``CAUSALBIAS_DATA`` the 12,000 impostor pairs of RFW are fitted
too.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from gaussian_full_size import clocked, two_fits

import causalbias as cb

FORMULA = "distance ~ group + (1|mm(id_a, id_b))"


def simulated(identities: int, each: float, seed: int = 1) -> pd.DataFrame:
    """Pairs of random identities of one group; sd 0.02 between identities, 0.05 within."""
    rng = np.random.default_rng(seed)
    pairs = int(identities * each / 2)
    group = rng.integers(0, 4, pairs)
    first = 4 * rng.integers(0, identities // 4, pairs) + group
    other = 4 * ((first // 4 + rng.integers(1, identities // 4, pairs)) % (identities // 4)) + group
    effect = rng.normal(0, 0.02, identities)
    mean = 0.75 + 0.02 * group + (effect[first] + effect[other]) / 2
    return pd.DataFrame(
        {
            "distance": rng.normal(mean, 0.05),
            "group": pd.Categorical.from_codes(group, list("abcd")),
            "id_a": first.astype(str),
            "id_b": other.astype(str),
        }
    )


def photographs(root: Path) -> pd.DataFrame:
    """Impostor pairs of RFW, one network's distances."""
    parts = [
        pd.read_csv(path, dtype={"Class_ID_s1": str, "Class_ID_s2": str}).assign(
            group=path.stem.split("_")[1]
        )
        for path in sorted(root.glob("race_*.csv"))
    ]
    names = {"Class_ID_s1": "id_a", "Class_ID_s2": "id_b", "vgg_cos_dist": "distance"}
    rows = pd.concat(parts, ignore_index=True).rename(columns=names)
    return rows[rows["issame"] == 0].reset_index(drop=True)


def measure(rows: pd.DataFrame) -> str:
    """One line: seconds of imports, of both fits and of the sampler; CPU seconds; the peak."""
    began = time.perf_counter()
    from causalbias.models import engines

    imports = time.perf_counter() - began
    calls: list[dict[str, Any]] = []
    engines.sample_gaussian = clocked(engines.sample_gaussian, calls)
    fit, seconds = two_fits(lambda: cb.fit(FORMULA, rows))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    levels = len(set(rows["id_a"]) | set(rows["id_b"]))
    return (
        f"{len(rows):>8,} {levels:>10,} {imports:>8.1f} {seconds['first']:>8.1f} "
        f"{seconds['again']:>8.1f} {seconds['cpu']:>8.1f} {calls[-1]['seconds']:>8.1f} "
        f"{peak:>6.2f}  {'; '.join(cb.failures(fit)) or 'converged'}"
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument(
        "--identities", type=int, nargs="+", default=[500, 1000, 2000, 5000, 10000]
    )
    options.add_argument("--each", type=float, default=2.8, help="pairs of an identity, on average")
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args()
    photos = Path(os.environ.get("CAUSALBIAS_DATA", "")) / "rfw-pairs"
    if given.one:
        known = given.one.isdigit()
        print(measure(simulated(int(given.one), given.each) if known else photographs(photos)))
        return
    print("   pairs identities  imports    first    again      CPU  sampler    GiB")
    sizes = [str(size) for size in given.identities] + ["photographs"] * photos.is_dir()
    for size in sizes:
        command = [sys.executable, __file__, "--one", size, "--each", str(given.each)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
