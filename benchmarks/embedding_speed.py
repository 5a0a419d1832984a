"""Images a second of each ready-made embedder, alignment apart, on a folder of face images.

python benchmarks/embedding_speed.py FOLDER
"""

import sys
import time

import numpy as np

import causalbias as cb
from causalbias.recognition.images import decode, list_images


def main(folder: str, count: int = 100) -> None:
    files = list(list_images(folder).values())[:count]
    images = [decode(path.read_bytes()).pixels for path in files]
    images = [image for image in images if image is not None]
    for method in ("dlib", "arcface"):
        start = time.perf_counter()
        crops = [cb.recognition.align_face(image, method, (150, 150)) for image in images]
        found = sum(crop.pixels is not None for crop in crops)
        per_image = (time.perf_counter() - start) / len(images)
        print(f"align {method}: {1e3 * per_image:.1f} ms an image; {found} of {len(images)} found")
    for name in ("dlib", "lbp", "wavelets"):
        embedder = cb.embedder(name)
        crops = np.stack(
            [cb.recognition.align_face(image, "none", embedder.size).pixels for image in images]
        )
        start = time.perf_counter()
        embedder(crops)
        print(f"embed {name}: {len(crops) / (time.perf_counter() - start):.0f} images/s")


if __name__ == "__main__":
    main(sys.argv[1])
