"""The public names: all there, listed once, none hidden by a subpackage, core imports light."""

import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import causalbias as cb

PACKAGES = [name for name in cb.__all__ if isinstance(getattr(cb, name), ModuleType)]
DAILY = [name for name in cb.__all__ if name not in PACKAGES]


def test_every_public_name_is_still_itself_when_all_modules_are_imported():
    has_torch = importlib.util.find_spec("torch") is not None
    for module in pkgutil.walk_packages(cb.__path__, "causalbias."):
        if has_torch or not module.name.startswith("causalbias.recognition.networks."):
            importlib.import_module(module.name)
    assert all(callable(getattr(cb, name)) for name in DAILY)
    for package in PACKAGES:
        home = getattr(cb, package)
        assert all(callable(getattr(home, name)) for name in home.__all__), package


def test_names_of_daily_use_are_few_and_each_package_lists_its_own():
    assert len(DAILY) < 60
    assert all(sorted(getattr(cb, name).__all__) == getattr(cb, name).__all__ for name in PACKAGES)


def test_import_and_load_need_neither_torch_nor_bambi(tmp_path):
    script = (
        "import sys, causalbias as cb; cb.demo_study(); "
        "print(sorted({'torch', 'bambi', 'pymc', 'dlib', 'skimage', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]", done.stderr


def public() -> dict[str, Any]:
    """Each public function and class by its name, those of public packages too."""
    found = {name: getattr(cb, name) for name in DAILY}
    for package in PACKAGES:
        home = getattr(cb, package)
        found |= {f"{package}.{name}": getattr(home, name) for name in home.__all__}
    return dict(sorted(found.items()))


def public_names() -> list[str]:
    """Each public function and class with its parameters."""
    lines = []
    for name, one in public().items():
        whole = inspect.signature(one)
        bare = [each.replace(annotation=each.empty) for each in whole.parameters.values()]
        lines.append(f"{name}{whole.replace(parameters=bare, return_annotation=whole.empty)}")
    return lines


def test_the_public_interface_changes_on_purpose_only():
    """After a change on purpose: python -m tests.test_public > tests/public_names.txt."""
    assert public_names() == (Path(__file__).parent / "public_names.txt").read_text().splitlines()


def documented_parameters(text: str) -> list[str] | None:
    """Names in the Parameters section of a docstring; None without a section."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+$|\Z)", text, re.DOTALL | re.MULTILINE)
    if section is None:
        return None
    heads = re.findall(r"^(\S.*?)(?: : .*)?$", section[1], re.MULTILINE)
    return [name.lstrip("*") for head in heads for name in head.split(", ")]


def test_a_docstring_names_the_parameters_of_its_function_and_no_others():
    found = {
        name: (documented_parameters(inspect.getdoc(one) or ""), inspect.signature(one).parameters)
        for name, one in public().items()
    }
    documented = {name: each for name, each in found.items() if each[0] is not None}
    assert len(documented) > 100
    assert [n for n, (named, own) in documented.items() if sorted(named) != sorted(own)] == []


if __name__ == "__main__":
    print("\n".join(public_names()))
