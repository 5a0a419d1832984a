"""The same model by this package's engine and by its peers: numbers and seconds."""

import importlib.util
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import gaussian_full_size as benchmark
from results import Results, plain


def peers(settings: dict[str, Any], _: Path, __: Path | None) -> Results:
    """Run each contender that is installed, one after another, each in a fresh process."""
    found = Results()
    runs = {}
    with tempfile.TemporaryDirectory() as name:
        rows = benchmark.simulate(settings["peers"]["size"], False, Path(name))
        command = [sys.executable, benchmark.__file__, "--folder", name, "--draws", "4000"]
        for contender in ("engine", *_installed()):
            again = [*command, "--inside", contender]
            if contender == "lmer":
                again = ["Rscript", "-e", benchmark.LMER, name, str(rows),
                         str(benchmark.COEFFICIENTS)]  # fmt: skip
            runs[contender] = benchmark.measured(again)
    found.table(
        "peers",
        ["by", "gives", "wall s", "CPU s", "sd of seeds", "sd of noise"],
        [[one["version"], benchmark.GIVES[name], plain(one["seconds"], 1), plain(one["cpu"], 1),
          *_sds(one)] for name, one in runs.items()],
    )  # fmt: skip
    truth = benchmark.TRUTH
    found.numbers |= {
        "peers.rows": f"{rows:,}",
        "peers.draws": "4,000",
        "peers.n": f"{len(runs) - 1}",
        "peers.coefficients": f"{benchmark.COEFFICIENTS}",
        "peers.truth.seed": plain(truth["seed"], 3),
        "peers.truth.sigma": plain(truth["sigma"], 3),
        "peers.machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    return found


def _sds(one: dict[str, Any]) -> list[str]:
    sd = one.get("sd") or {}
    return [plain(sd[name], 3) if name in sd else "" for name in ("seed", "sigma")]


def _installed() -> list[str]:
    lme4 = shutil.which("Rscript") is not None
    return ["lmer"] * lme4 + ["gpboost"] * (importlib.util.find_spec("gpboost") is not None)
