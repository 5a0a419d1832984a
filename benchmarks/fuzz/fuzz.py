"""Coverage-guided fuzzing by atheris: nothing but an ordinary end or a DataError.

    python benchmarks/fuzz/fuzz.py --harness npz --seconds 600
    python benchmarks/fuzz/fuzz.py --seconds 600            # all, one after the other

Needs ``pip install atheris``. What ends otherwise, hangs for 20 seconds or takes 4 GiB is told and
written to ``fuzz-found/``; it goes on after an exception, so that one run finds several.
"""

import argparse
import hashlib
import importlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

FOUND = Path("fuzz-found")
# Followed for coverage; not numba's functions, which must stay as they are.
FOLLOWED = [
    "causalbias.datasets",
    "causalbias.study",
    "causalbias.models.formula.parse",
    "causalbias.models.priors",
    "causalbias.models.formula.group_terms",
    "causalbias.io.storage",
    "causalbias.stimuli",
    "causalbias.draws.hypotheses",
    "causalbias.recognition.embedding",
    "causalbias.recognition.images",
    "causalbias.recognition.onnx_file",
]


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one harness in this process, for so many seconds of CPU."""
    import atheris

    with atheris.instrument_imports(include=FOLLOWED, enable_loader_override=False):
        import causalbias as cb

        for followed in FOLLOWED:  # now, not when first used: they would not be followed then
            importlib.import_module(followed)
        from benchmarks.fuzz.harnesses import HARNESSES, in_folder
    warnings.simplefilter("ignore")
    harness, seeds = HARNESSES[name]
    told: set[str] = set()
    counted = Counter(name, seconds)
    corpus = Path(tempfile.mkdtemp())
    for at, one in enumerate(seeds()):
        (corpus / f"seed{at}").write_bytes(one)
        with in_folder() as root:
            harness(root, one)  # what is sound must be taken

    def once(data: bytes) -> None:
        with in_folder() as root:
            try:
                harness(root, data)
                counted.taken += 1
            except cb.DataError as error:
                counted.refused += 1
                if not error.hint:
                    print(f"FOUND {name}: an error without a hint: {error}", flush=True)
            except Exception as error:
                trace = traceback.extract_tb(error.__traceback__)
                ours = [one for one in trace if "causalbias" in one.filename] or trace
                place = f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno}"
                if place not in told:
                    told.add(place)
                    FOUND.mkdir(exist_ok=True)
                    digest = hashlib.sha256(data).hexdigest()[:8]
                    (FOUND / f"{name.replace(' ', '-')}-{digest}").write_bytes(data)
                    print(f"FOUND {name}: {place}: {str(error)[:200]!r} {digest}", flush=True)
        counted.tell()

    FOUND.mkdir(exist_ok=True)
    options = [
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-verbosity=0",
        "-max_len=20000",
        "-print_final_stats=0",
        f"-artifact_prefix={FOUND}/",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


class Counter:
    """Counts runs, tells them now and then, and ends the process: libFuzzer knows no CPU time."""

    def __init__(self, name: str, seconds: int) -> None:
        self.name, self.seconds = name, seconds
        self.taken, self.refused, self.last = 0, 0, 0.0

    def tell(self) -> None:
        """Print the numbers, every two seconds of CPU; the last ones after all seconds."""
        if time.process_time() - self.last > 2:
            self.last = time.process_time()
            runs = f"{self.taken + self.refused:,} runs, {self.taken:,} taken"
            print(f"{self.name}: {self.last:.0f} CPU s, {runs}", flush=True)
            if self.last >= self.seconds:
                os._exit(0)


def main() -> None:
    """Each harness in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--harness")
    parser.add_argument("--seconds", type=int, default=600, help="of CPU")
    given = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root))
    if given.harness:
        fuzz(given.harness, given.seconds)
        return
    from benchmarks.fuzz.harnesses import HARNESSES

    for name in HARNESSES:
        command = [sys.executable, __file__, "--harness", name, "--seconds", str(given.seconds)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, check=False)
        print(f"{name}: ended with {done.returncode}", flush=True)


if __name__ == "__main__":
    main()
