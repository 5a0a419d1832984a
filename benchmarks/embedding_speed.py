"""Images a second of each ready-made embedder, its parts apart, on a folder of face images.

python benchmarks/embedding_speed.py FOLDER [--images 100] [--embedders dlib sface] [--workers 1 4]

First the parts, one after another: CPU milliseconds an image for reading and decoding, for each
alignment, and for each network. Then `cb.embed` from files to embeddings, seconds on the clock, by
number of threads that read and align beside the network.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import causalbias as cb
from causalbias.recognition.images import decode, list_images

ALIGNMENTS = {"dlib": "hog", "arcface": "yunet"}


def milliseconds[Result](what: str, n: int, work: Callable[[], Result]) -> Result:
    """Run a function and print its CPU time for each of n images."""
    start = time.process_time()
    found = work()
    print(f"{what}: {1e3 * (time.process_time() - start) / n:.1f} ms of CPU an image")
    return found


def parts(files: list[Path], names: list[str]) -> None:
    n = len(files)
    decoded = milliseconds("read and decode", n, lambda: [decode(f.read_bytes()) for f in files])
    images = [one.pixels for one in decoded if one.pixels is not None]
    for method, detector in ALIGNMENTS.items():

        def crops(method: str = method, detector: str = detector) -> list[object]:
            align = cb.recognition.align_face
            return [align(image, method, (150, 150), detector).pixels for image in images]

        crops()  # loads the detector
        found = milliseconds(f"align {method} by {detector}", len(images), crops)
        print(f"  {sum(crop is not None for crop in found)} of {len(images)} found")
    for name in names:
        embedder = cb.embedder(name)
        ready = np.stack(
            [cb.recognition.align_face(image, "none", embedder.size).pixels for image in images]
        )
        embedder(ready[:2])  # loads the network
        milliseconds(f"network {name}", len(ready), lambda e=embedder, r=ready: e(r))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--embedders", nargs="+", default=["dlib", "sface", "lbp", "wavelets"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 4, 8])
    options = parser.parse_args()
    files = dict(list(list_images(options.folder).items())[: options.images])
    parts(list(files.values()), options.embedders)
    for name in options.embedders:
        for workers in options.workers:
            start = time.perf_counter()
            cb.embed(files, name, workers=workers)
            speed = len(files) / (time.perf_counter() - start)
            print(f"embed {name}, {workers} workers: {speed:.0f} images a second")


if __name__ == "__main__":
    main()
