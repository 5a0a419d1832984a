"""SIGKILL at random moments and at random operations on files; then the run goes on.

    python benchmarks/faults/random_kills.py --kills 50

A *victim* is a command that writes into a directory. It runs once undisturbed. Then it is started
again and again in a fresh directory and killed, at a moment drawn between its start and its end, or
at its n-th operation on files (n drawn too), until it ends by itself. In between, every file under
its final name must open; at the end the directory must be that of the undisturbed run.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import causalbias as cb
from causalbias.cli.main import app

# Forked of a process that has imported all: a victim is killed at its work, not as it imports.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["bambi", "causalbias.cli.main", "skimage.feature", "pywt"])
_WRITES = os.O_WRONLY | os.O_RDWR


def victim(arguments: list[str], out: Path, told: Path, left: int) -> None:
    """The command line, which ends its own process at the ``left``-th event on files below ``out``.

    An event writes, moves or removes a file. Their number is the last line of ``told``.
    """
    for number, path in ((1, os.devnull), (2, told)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(args[2], int) and args[2] & _WRITES
        moves = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")
        if (writes or moves) and str(out) in str(args[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    sys.argv = ["causalbias", *arguments, "-o", str(out)]
    try:
        app()
    finally:
        print(-left, file=sys.stderr)


SAME_BUT = ["seconds"]  # what a table may tell differently


def release(folder: Path) -> Path:
    """A small simulated release whose images are noisy, so that their distances have a spread."""
    from PIL import Image

    from causalbias.simulation.parameters import SYSTEMS

    study = cb.simulate(
        seeds=4, levels={"pose": [-3, 0, 3]}, impostors=7, random_seed=1, systems=SYSTEMS[:1]
    )
    root = cb.datasets.to_release(study, folder / "release")
    rng = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        pixels = np.asarray(Image.open(path), int)
        noisy = np.clip(pixels + rng.integers(-40, 40, pixels.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(path)
    return root


def fit_file(folder: Path) -> Path:
    """A table of rows, which a victim fits and keeps."""
    return cb.save(cb.demo_study(), folder / "demo.nc")


# name: arguments of the command line, from the folder of the inputs
VICTIMS: dict[str, Callable[[Path], list[str]]] = {
    "run --images": lambda home: [
        "run",
        str(home / "release"),
        "--dataset",
        "causalface",
        "--images",
        str(home / "release"),
        "--embedder",
        "lbp",
        "--align",
        "none",
    ],
    "run of a saved study": lambda home: ["run", str(home / "demo.nc")],
    "embed": lambda home: [
        "embed",
        str(home / "release"),
        "--embedder",
        "lbp",
        "--embedder",
        "wavelets",
        "--align",
        "none",
    ],
}


def run_victim(
    arguments: list[str], out: Path, at_write: int = 0, seconds: float | None = None
) -> tuple[int | None, str]:
    """Exit code and what was said, of a victim that is killed after so many seconds."""
    told = out.with_name("told")
    run = PROCESSES.Process(target=victim, args=(arguments, out, told, at_write))
    run.start()
    run.join(seconds)
    run.kill()
    run.join()
    return run.exitcode, told.read_text() if told.exists() else ""


def kill_once(
    arguments: list[str], out: Path, seconds: float, writes: int, draw: random.Random
) -> bool:
    """Start it and kill it; False if it ended by itself before, which must be well."""
    at_write = draw.randint(1, writes) if draw.random() < 0.5 else 0
    code, told = run_victim(
        arguments, out, at_write, None if at_write else draw.uniform(0, seconds)
    )
    assert code in (0, -signal.SIGKILL), f"ended with {code}: {told}"
    return code != 0


def check_openable(out: Path) -> None:
    """Every file that has its name is whole."""
    for path in out.rglob("*") if out.exists() else ():
        if any(part.startswith(".") for part in path.relative_to(out).parts):
            continue
        if path.suffix == ".nc":
            cb.open(path)
        elif path.suffix == ".csv":
            pd.read_csv(path)
        elif path.suffix == ".pdf":
            assert path.read_bytes().rstrip().endswith(b"%%EOF"), path
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), path


def differences(whole: Path, other: Path) -> list[str]:
    """Files that are in one of two directories alone, or whose content differs."""
    first, second = (
        {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        for root in (whole, other)
    )
    found = [f"only in one: {name}" for name in first ^ second]
    both = first & second
    found += [f"differs: {name}" for name in both if not _same(whole / name, other / name)]
    return sorted(found)


def _same(first: Path, second: Path) -> bool:
    if first.suffix == ".csv":
        one, two = (
            pd.read_csv(path).drop(columns=SAME_BUT, errors="ignore") for path in (first, second)
        )
        return one.equals(two)
    if first.suffix == ".nc":
        trees = [cb.open(path) for path in (first, second)]
        for tree in trees:
            tree.attrs.pop("seconds", None)
        return bool(trees[0].identical(trees[1]))
    if first.suffix == ".sqlite":  # its pages differ with the order in which it was filled
        one, two = (
            set(sqlite3.connect(path).execute("SELECT * FROM embeddings"))
            for path in (first, second)
        )
        return bool(one) and one == two
    if first.suffix == ".html":  # it tells seconds; its numbers are in the tables
        return re.sub("[0-9.]", "", first.read_text()) == re.sub("[0-9.]", "", second.read_text())
    return first.read_bytes() == second.read_bytes()


def kill(kills: int, *, seed: int = 1, names: list[str] | None = None) -> dict[str, int]:
    """Kill each victim in turn until there were so many kills; the number of kills of each.

    Raises
    ------
    AssertionError
        Naming what differs from the undisturbed run, is half written, or was left behind.
    """
    draw, done = random.Random(seed), dict.fromkeys(names or VICTIMS, 0)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        release(home)
        fit_file(home)
        seconds, writes = {}, {}
        for name in done:
            begun = time.monotonic()
            code, told = run_victim(VICTIMS[name](home), home / f"whole {name}")
            assert code == 0, told
            seconds[name] = time.monotonic() - begun
            writes[name] = int(told.split()[-1])
            print(f"{name}: {seconds[name]:.0f} s, {writes[name]} operations on files", flush=True)
        while sum(done.values()) < kills:
            name = min(done, key=lambda one: done[one])
            out, arguments = home / "out", VICTIMS[name](home)
            for _ in range(draw.randint(1, 5)):
                killed = kill_once(arguments, out, seconds[name], writes[name], draw)
                done[name] += killed
                check_openable(out)
                if not killed:
                    break
            code, told = run_victim(arguments, out)
            assert code == 0, told
            found = differences(home / f"whole {name}", out)
            assert not found, f"{name}: {found}"
            shutil.rmtree(out)
            print(f"{sum(done.values())} kills, {name}: the same end", flush=True)
    return done


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(kill(given.kills, seed=given.seed))
