"""The public names: all there, none hidden by a subpackage, core imports light."""

import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import causalbias as cb


def test_every_public_name_is_still_itself_when_all_modules_are_imported():
    has_torch = importlib.util.find_spec("torch") is not None
    for module in pkgutil.walk_packages(cb.__path__, "causalbias."):
        if has_torch or not module.name.startswith("causalbias.recognition.networks."):
            importlib.import_module(module.name)
    functions = [n for n in cb.__all__ if n != "__version__" and n not in cb._MODULES]
    assert all(callable(getattr(cb, name)) for name in functions)


def test_import_and_load_need_neither_torch_nor_bambi(tmp_path):
    script = (
        "import sys, causalbias as cb; cb.demo_study(); "
        "print(sorted({'torch', 'bambi', 'pymc', 'dlib', 'skimage', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]", done.stderr


def public_names() -> list[str]:
    """Each public function and class, those of public modules too, with its parameters."""
    names = {name: cb for name in cb.__all__ if name not in ("__version__", *cb._MODULES)}
    found = {name: getattr(home, name) for name, home in names.items()}
    for module in sorted(cb._MODULES):
        home = getattr(cb, module)
        inside = getattr(home, "__all__", None) or [
            name
            for name, one in vars(home).items()
            if inspect.isfunction(one) and one.__module__ == home.__name__ and name[0] != "_"
        ]
        found |= {f"{module}.{name}": getattr(home, name) for name in inside}
    lines = []
    for name, one in sorted(found.items()):
        whole = inspect.signature(one)
        bare = [each.replace(annotation=each.empty) for each in whole.parameters.values()]
        lines.append(f"{name}{whole.replace(parameters=bare, return_annotation=whole.empty)}")
    return lines


def test_the_public_interface_changes_on_purpose_only():
    """After a change on purpose: python -m tests.test_public > tests/public_names.txt."""
    assert public_names() == (Path(__file__).parent / "public_names.txt").read_text().splitlines()


if __name__ == "__main__":
    print("\n".join(public_names()))
