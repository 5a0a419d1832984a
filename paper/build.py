"""Builds the paper: the stages that are out of date, then the PDF.

    python paper/build.py [--out build/paper] [--data DIR] [--settings FILE] [--png] [--draft]

A stage's key is the hash of all it depends on: its settings, its code and the package's, versions,
data. A stage whose key is that of its results is not run again.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalbias.io.atomic import replacing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "docs"), str(ROOT / "benchmarks")]
PACKAGES = ("numpy", "scipy", "xarray", "pandas", "matplotlib", "bambi", "formulae", "numba")
PEERS = ("gpboost",)
SOURCES = ("paper.typ", "template.typ", "refs.yml")
REAL = "omi"  # keys of what needs the real data begin so
# Sizes of a draft, which is to show the text, not results.
DRAFT: dict[str, Any] = {
    "draws": 400,
    "simulated": {
        "seeds": 10,
        "impostors": 9,
        "annotators": 100,
        "judgements": 3,
        "target": 0.3,
        "levels": {"pose": [-3.0, 0.0, 3.0]},
    },
}


@dataclass(frozen=True)
class Stage:
    """One computation: where its function is, and what it depends on besides the package."""

    name: str
    module: str
    settings: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    versions: tuple[str, ...] = PACKAGES


_FEW = ("omi/validation_artificial.csv", "omi/embeddings_dlib_validation_artificial.npz")
_RATED = (
    "omi/embeddings_dlib_faces.npz",
    "omi/attribute_means.csv",
    "omi/attribute_ratings.zip",
)
STAGES = (
    Stage("simulated", "simulated", ("simulated",)),
    Stage("manipulation", "real", data=(*_FEW, "omi/chips")),
    Stage("against", "real", code=("docs/omi.py",), data=_FEW),
    Stage("false_matches", "real", code=("docs/error_rates.py",), data=_RATED),
    Stage(
        "peers",
        "peers",
        ("peers",),
        ("benchmarks/gaussian_full_size.py",),
        versions=(*PACKAGES, *PEERS),
    ),
)


def main() -> None:
    """Build, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "paper")
    parser.add_argument("--data", type=Path, default=_default_data())
    parser.add_argument("--settings", type=Path, default=HERE / "settings.toml")
    parser.add_argument("--png", action="store_true", help="pages as pictures too")
    parser.add_argument(
        "--draft",
        action="store_true",
        help="the simulated part alone, at small sizes; claims that fail are marked, not fatal",
    )
    args = parser.parse_args()
    settings, out = tomllib.loads(args.settings.read_text()), args.out.resolve()
    if args.draft:
        settings["draws"] = DRAFT["draws"]
        settings["simulated"] |= DRAFT["simulated"]
        pdf = build(out, args.data, settings, png=args.png, only=("simulated",), draft=True)
    else:
        pdf = build(out, args.data, settings, png=args.png)
    print(f"paper: {pdf}")


def _default_data() -> Path:
    return Path(os.environ.get("CAUSALBIAS_DATA", ROOT.parent / "shared" / "data"))


def build(
    out: Path,
    data: Path,
    settings: dict[str, Any],
    *,
    png: bool = False,
    only: tuple[str, ...] = tuple(one.name for one in STAGES),
    say: Callable[[str], None] = print,
    draft: bool = False,
) -> Path:
    """Run the stages that are out of date and write the PDF.

    Parameters
    ----------
    out : Path
        Directory of results and PDF; made if it is not there.
    data : Path
        Directory that holds ``omi/``. Without it, the parts on real data are left out and the
        paper says so.
    settings : dict
        As in ``settings.toml``.
    png : bool
        Also write the pages as pictures.
    only : tuple of str
        Names of the stages to have; the rest's results are left as they are, or absent.
    say : callable
        Called with a line for each stage.
    draft : bool
        Mark what the text claims and the results do not show, in the PDF and by `say`. The parts on
        real data are left out.

    Raises
    ------
    SystemExit
        If the text cites what no stage produces, or claims what the results do not show.
    """
    have = not draft and (data / "omi" / "validation_artificial.csv").exists()
    results: dict[str, Any] = {"real": have, "peers": "peers" in only, "draft": draft}
    merged: dict[str, dict[str, Any]] = {"numbers": {}, "claims": {}, "tables": {}, "figures": {}}
    sources = []
    for stage in STAGES:
        if stage.name not in only or (stage.data and not have):
            continue
        files = _files(stage, data)
        found = run_stage(stage, out / stage.name, data, settings, files, say)
        if found["failures"]:
            say(f"{stage.name}: fits failed their diagnostics: {'; '.join(found['failures'])}")
        for name in ("numbers", "claims", "tables"):
            merged[name] |= found[name]
        for name, alt in found["alts"].items():
            merged["figures"][name] = {"path": f"{stage.name}/{name}.svg", "alt": alt}
        results.setdefault("failures", []).extend(found["failures"])
        sources += files
    merged["numbers"] |= _general(settings)
    merged["tables"]["provenance"] = provenance(sources, data, settings)
    _write(out / "results.json", json.dumps(results | merged, indent=1, ensure_ascii=False))
    wrong = problems((HERE / "paper.typ").read_text(), results | merged)
    if draft:
        for key in sorted(key for key, holds in merged["claims"].items() if not holds):
            say(f'holds("{key}"): marked, this draft does not show it')
    if wrong:
        raise SystemExit("the paper is not what the code produces:\n  " + "\n  ".join(wrong))
    return compile_pdf(out, png)


def run_stage(
    stage: Stage,
    folder: Path,
    data: Path,
    settings: dict[str, Any],
    files: list[Path],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Results of a stage: those that are there, where their key is right, else new ones."""
    key = key_of(stage, settings, files, data)
    kept = folder / "results.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        if found["key"] == key:
            say(f"{stage.name}: up to date")
            return found
    say(f"{stage.name}: running")
    function = getattr(__import__(stage.module), stage.name)
    with replacing(folder) as new:
        new.mkdir()
        results = function(settings, new, data)
        found = json.loads(results.text()) | {"key": key}
        (new / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False))
    return found


def key_of(stage: Stage, settings: dict[str, Any], files: list[Path], data: Path) -> str:
    """Hash of all that a stage's results depend on."""
    common = {name: settings[name] for name in ("seed", "prob", "draws", "rope")}
    code = [HERE / "results.py", HERE / f"{stage.module}.py", *(ROOT / one for one in stage.code)]
    code += sorted((ROOT / "causalbias").rglob("*.py"))
    parts = {
        "settings": common | {name: settings[name] for name in stage.settings},
        "code": {str(one.relative_to(ROOT)): sha256(one) for one in code},
        "data": {str(one.relative_to(data)): sha256(one) for one in files},
        "versions": {name: version(name) for name in stage.versions},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def version(package: str) -> str:
    """Version of an installed package, or that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _files(stage: Stage, data: Path) -> list[Path]:
    """Data files of a stage, those of a folder in order of their names."""
    found = []
    for name in stage.data:
        path = data / name
        found += sorted(path.iterdir()) if path.is_dir() else [path] * path.exists()
    return found


def _general(settings: dict[str, Any]) -> dict[str, str]:
    return {
        "prob": f"{100 * settings['prob']:g}%",
        "seed": str(settings["seed"]),
        "draws": f"{4 * settings['draws']:,}",
        "rope": f"{settings['rope']:g}",
        "version": version("causalbias"),
    }


def provenance(files: list[Path], data: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What the paper was made from: data, versions, code, seed."""
    rows = [["seed", str(settings["seed"])], ["code", git_state()]]
    rows += [["Python", platform.python_version()]]
    rows += [[name, version(name)] for name in ("causalbias", *PACKAGES, *PEERS, "typst")]
    single = dict.fromkeys(one for one in files if one.parent.name != "chips")
    rows += [[str(one.relative_to(data)), f"{sha256(one)[:16]}…"] for one in single]
    chips = sorted({one for one in files if one.parent.name == "chips"})
    if chips:
        every = hashlib.sha256("".join(sha256(one) for one in chips).encode()).hexdigest()
        rows.append([f"omi/chips ({len(chips):,} files)", f"{every[:16]}…"])
    return {"columns": ["what", "version, or SHA-256"], "rows": rows}


def git_state() -> str:
    """Commit of the code, and whether files of it were changed since."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "not under version control"
    changed = len(git("status", "--porcelain").splitlines())
    files = "file" if changed == 1 else "files"
    return f"{commit}, {changed} {files} changed since" if changed else commit


CITED = re.compile(r'#?\b(num|holds|results-table|results-figure)\("([^"]+)"')
_KINDS = {
    "num": "numbers",
    "holds": "claims",
    "results-table": "tables",
    "results-figure": "figures",
}


def problems(text: str, results: dict[str, Any]) -> list[str]:
    """What the text cites and nothing produces, and what it claims and is not so."""
    found = []
    for what, key in dict.fromkeys(CITED.findall(text)):
        absent = key.split(".")[0].split("-")[0] == REAL and not results["real"]
        absent |= key.startswith("peers") and not results["peers"]
        if absent or key in ("omi-faces",):
            continue
        if key not in results[_KINDS[what]]:
            found.append(f'{what}("{key}"): no stage produces it')
        elif what == "holds" and not results["claims"][key] and not results.get("draft"):
            found.append(f'holds("{key}"): the results do not show it; rewrite the sentence')
    return found


def compile_pdf(out: Path, png: bool) -> Path:
    """Compile the text with the results beside it, by Typst."""
    import matplotlib
    import typst

    for name in SOURCES:
        shutil.copyfile(HERE / name, out / name)
    # Fonts that come with the packages, and no timestamp: the same results give the same bytes.
    same: dict[str, Any] = {
        "root": out,
        "ignore_system_fonts": True,
        "font_paths": [Path(matplotlib.get_data_path()) / "fonts" / "ttf"],
    }
    pdf = typst.compile(out / "paper.typ", **same)
    _write(out / "paper.pdf", pdf)
    if png:
        for old in out.glob("page-*.png"):
            old.unlink()
        pages = typst.compile(out / "paper.typ", format="png", ppi=110, **same)
        for at, page in enumerate(pages if isinstance(pages, list) else [pages], start=1):
            _write(out / f"page-{at:02}.png", page)
    return out / "paper.pdf"


def _write(path: Path, content: str | bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.replace(path)


if __name__ == "__main__":
    main()
