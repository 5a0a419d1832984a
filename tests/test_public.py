"""The public names: all there, none hidden by a subpackage, core imports light."""

import importlib
import importlib.util
import pkgutil
import subprocess
import sys

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
