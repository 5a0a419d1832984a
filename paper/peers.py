"""The same model by this package's engine and by its peers: numbers and seconds."""

import importlib.util
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import gaussian_full_size as benchmark
from results import Results, plain

NAMES = {"lmer": "lme4", "gpboost": "GPBoost"}


def peers(settings: dict[str, Any], _: Path, __: Path | None) -> Results:
    """Run each contender that is installed, one after another, each in a fresh process."""
    found = Results()
    present = _installed()
    benchmark.compile_once(False)
    runs: list[tuple[int, str, dict[str, Any]]] = []
    for size in settings["peers"]["sizes"]:
        runs += _at(size, ("engine", *present))
    sizes = list(dict.fromkeys(rows for rows, _, _ in runs))
    found.table(
        "peers",
        ["rows", "by", "gives", "first s", "again s", "CPU s", "sd seeds", "sd noise"],
        [
            [
                f"{rows:,}",
                one["version"],
                benchmark.GIVES[name],
                plain(one["first"], 1),
                plain(one["again"], 1),
                plain(one["cpu"], 1),
                *_sds(one),
            ]
            for rows, name, one in runs
        ],
    )
    truth = benchmark.TRUTH
    found.numbers |= {
        "peers.rows": " and to ".join(f"{rows:,}" for rows in sizes),
        "peers.draws": "4,000",
        "peers.n": f"{len(present)}",
        "peers.absent": _absent(present),
        "peers.coefficients": f"{benchmark.COEFFICIENTS}",
        "peers.truth.seed": plain(truth["seed"], 3),
        "peers.truth.sigma": plain(truth["sigma"], 3),
        "peers.machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    return found


def _at(size: float, contenders: tuple[str, ...]) -> list[tuple[int, str, dict[str, Any]]]:
    """Rows, contender and what was measured, at one size."""
    with tempfile.TemporaryDirectory() as name:
        folder, frame = Path(name), benchmark.simulate(size, False)
        frame.to_pickle(folder / "rows.pkl")
        return [
            (len(frame), one, benchmark.contend(one, folder, False, 4000)) for one in contenders
        ]


def _absent(present: list[str]) -> str:
    """Which of the peers were not there, as a sentence."""
    missing = [name for key, name in NAMES.items() if key not in present]
    if not missing:
        return "Both were installed when this was built."
    were = "was" if len(missing) == 1 else "were"
    return f"{' and '.join(missing)} {were} not installed when this was built."


def _sds(one: dict[str, Any]) -> list[str]:
    sd = one.get("sd") or {}
    return [plain(sd[name], 3) if name in sd else "" for name in ("seed", "sigma")]


def _installed() -> list[str]:
    lme4 = shutil.which("Rscript") is not None
    return ["lmer"] * lme4 + ["gpboost"] * (importlib.util.find_spec("gpboost") is not None)
