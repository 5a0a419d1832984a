"""Full disks, broken caches and kills: one clear error, or the next run goes on."""

import multiprocessing
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.analyses.manipulation.analysis import analyse_manipulation

FRAME = pd.DataFrame({"y": np.random.default_rng(0).normal(size=60), "g": list("abcdef") * 10})


# Forked of a process that has imported all: what is tried is their work, not seconds of imports.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "bambi", "causalbias.cli.main"])


class Done(NamedTuple):
    returncode: int | None
    stdout: str
    stderr: str


def run_script(script, arguments, size, folder):
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["-c", *map(str, arguments)]
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    exec(script, {"__name__": "__main__"})


def python(script, *arguments, size=None):
    """A process that runs a script, in which no file may grow beyond so many bytes."""
    with TemporaryDirectory() as folder:
        run = PROCESSES.Process(target=run_script, args=(script, arguments, size, Path(folder)))
        run.start()
        run.join(300)
        run.kill()
        run.join()
        said = [(Path(folder) / name).read_text() for name in ("stdout", "stderr")]
    return Done(run.exitcode, *said)


SAVE = """
import gc, sys, causalbias as cb
for _ in range(3):
    try:
        cb.save(cb.demo_study(2), sys.argv[1])
    except cb.DataError as error:
        print(error)
    gc.collect()  # what h5py left in memory ended the process here
"""


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_a_full_disk_leaves_what_was_there(kind, tmp_path):
    before = cb.demo_study(1)
    path = cb.save(before, tmp_path / f"s.{kind}")
    done = python(SAVE, path, size=2000)
    assert "cannot be written" in done.stdout, done.stderr
    assert cb.open(path).identical(before)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_is_one_line_of_the_command_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    script = "from causalbias.cli.main import app; app()"
    done = python(script, "demo", "-o", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("error:")
    assert "Traceback" not in done.stderr


def test_a_broken_kept_fit_is_named_with_its_mend(tmp_path):
    path = tmp_path / "fit.nc"
    cb.fit("y ~ (1|g)", FRAME, draws=250, file=path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="delete it") as caught:
        cb.fit("y ~ (1|g)", FRAME, draws=250, file=path)
    assert str(path) in str(caught.value)


def test_rerun_gives_the_same_draws_and_tells_what_differs(tmp_path):
    fit = cb.fit("y ~ 1 + (1|g)", FRAME, draws=250, random_seed=3, priors={"1|g": "HalfNormal(2)"})
    path = cb.save(fit, tmp_path / "fit.nc")
    again, differences = cb.model_checks.rerun(cb.open(path))
    assert differences.empty
    assert again["posterior"].identical(fit["posterior"])
    fit.attrs["versions"] = fit.attrs["versions"].replace(cb.__version__, "0.0.1")
    fit["posterior"]["sigma"] = fit["posterior"]["sigma"] + 1.0
    told = cb.model_checks.rerun(fit)[1].set_index("what")
    assert told.loc["version of causalbias", "then"] == "0.0.1"
    assert "Monte Carlo errors apart" in told.loc["sigma", "now"]
    assert len(told) == 2


@pytest.mark.parametrize("year", [1971, 2100])
def test_a_clock_that_jumped_changes_nothing(tmp_path, year):
    path, moment = tmp_path / "fit.nc", (year - 1970) * 31_557_600
    first = cb.fit("y ~ (1|g)", FRAME, draws=250, file=path)
    os.utime(path, (moment, moment))
    second = cb.fit("y ~ (1|g)", FRAME, draws=250, file=path)
    assert second.attrs["seconds"] == first.attrs["seconds"], "read, and not fitted again"
    other = cb.fit("y ~ (1|g)", FRAME.assign(y=FRAME["y"] + 1), draws=250, file=path)
    assert other.attrs["data_sha256"] != first.attrs["data_sha256"]


KILLED = "import os, causalbias.io.atomic as w; w._replace = lambda *_: os._exit(9)\n"


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_what_killed_runs_left_is_cleared_away(kind, tmp_path):
    path = tmp_path / f"s.{kind}"
    for _ in range(2):
        python(
            SAVE.replace("cb.save(", "os._exit if False else cb.save(").replace(
                "import gc",
                "import os, causalbias.io.atomic as w\nw._replace = lambda *_: os._exit(9)\n"
                "import gc",
            ),
            path,
        )
        assert not path.exists()
        assert len(list(tmp_path.iterdir())) == 1, "what it left, and not what earlier ones left"
    study = cb.demo_study(2)
    assert cb.open(cb.save(study, path)).identical(study)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_killed_between_the_two_steps_of_replacing_a_folder(tmp_path):
    path = cb.save(cb.demo_study(1), tmp_path / "s.zarr")
    script = SAVE.replace(
        "import gc",
        "import os\nmove = os.replace\n"
        "os.replace = lambda a, b: (move(a, b), str(a) == sys.argv[1] and os._exit(9))\nimport gc",
    )
    assert python(script, path).returncode == 9
    assert not path.exists()
    assert cb.open(path).identical(cb.demo_study(2)), "the new one was whole"


def test_a_full_disk_does_not_cost_the_store_of_embeddings(tmp_path):
    from tests.hostile.battery_binary import embedded

    embedded(tmp_path)
    before = (tmp_path / "embeddings.sqlite").read_bytes()
    script = (
        "import sys, causalbias as cb\n"
        "try: cb.embed(sys.argv[1] + '/faces', 'wavelets', align='none', store=sys.argv[1])\n"
        "except cb.DataError as error: print(error)"
    )
    done = python(script, tmp_path, size=2000)
    assert "free some space" in done.stdout, done.stderr
    assert (tmp_path / "embeddings.sqlite").read_bytes() == before


INTERRUPTED = """
import os, signal, threading, numpy as np, pandas as pd, causalbias as cb, nutpie
wait = nutpie.sample.__globals__["_BackgroundSampler"].wait
def interrupted(self, **options):
    raise KeyboardInterrupt  # as the first chain runs
nutpie.sample.__globals__["_BackgroundSampler"].wait = interrupted
rng = np.random.default_rng(0)
rows = pd.DataFrame({"y": rng.normal(size=3000), "x": rng.normal(size=3000)})
try:
    cb.fit("y ~ x", rows, method="nuts", draws=100_000, file="fit.nc")
except KeyboardInterrupt:
    print("interrupted", os.path.exists("fit.nc"))
"""


@pytest.mark.slow
def test_interrupted_nuts_gives_no_fit(tmp_path, monkeypatch):
    """Interrupted, nutpie returns what it has by then, which is no posterior."""
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", INTERRUPTED]  # not forked: there nutpie waits for ever
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "interrupted False"


def test_interrupted_the_command_line_says_so_in_one_line(tmp_path):
    script = (
        "import causalbias.analyses.manipulation.analysis as m\n"
        "def interrupted(*_, **__): raise KeyboardInterrupt\n"
        "m.fit_models = interrupted\n"
        "from causalbias.cli.main import app; app()"
    )
    done = python(script, "demo", "-o", tmp_path / "out")
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_killed_embedding_goes_on():
    """A few of what benchmarks/faults/random_kills.py does fifty times, and of all its victims."""
    from benchmarks.faults.random_kills import kill

    assert kill(3, names=["embed"])["embed"] >= 3


def analyse(out):
    """A long run that keeps what it has; in a process of its own, which is killed."""
    analyse_manipulation(cb.demo_study(), draws=250, keep=out / "fits")
    cb.save(cb.demo_study(), out / "study.nc")


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_goes_on(tmp_path):
    """SIGKILL at random times; what is there opens, and the end is that of an undisturbed run."""
    moments, whole, killed = random.Random(1), tmp_path / "whole", tmp_path / "killed"

    def run_of(out, seconds=None):
        begun, run = time.monotonic(), PROCESSES.Process(target=analyse, args=(out,))
        run.start()
        run.join(seconds)
        run.kill()
        run.join()
        return run.exitcode, time.monotonic() - begun

    ended, seconds = run_of(whole)
    assert ended == 0
    for _ in range(4):
        run_of(killed, moments.uniform(0.1, 0.5) * seconds)
        for path in killed.rglob("*.nc") if killed.exists() else ():
            if not any(part.startswith(".") for part in path.relative_to(killed).parts):
                cb.open(path)
    assert run_of(killed)[0] == 0
    for path in (whole / "fits").iterdir():
        first, second = cb.open(path), cb.open(killed / "fits" / path.name)
        assert first["posterior"].identical(second["posterior"])
