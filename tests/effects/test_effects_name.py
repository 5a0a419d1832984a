"""`effects` is a function and the name of a room; users get the function whatever comes first."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("first", ["cb.predictions", "import causalbias.effects.contrasts"])
def test_effects_is_the_function(first):
    code = f"import causalbias as cb; {first}; assert callable(cb.effects), cb.effects"
    code += "; from causalbias import effects; assert callable(effects)"
    subprocess.run([sys.executable, "-c", code], check=True)
