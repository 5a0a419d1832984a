"""`effects` is a function and the name of a room; users get the function whatever comes first."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "first",
    ["cb.predictions", "cb.effects", "import causalbias.effects.contrasts", "cb.summarise",
     "import causalbias.studies.manipulation"],
)  # fmt: skip
def test_effects_is_the_function(first):
    code = f"import causalbias as cb; {first}; assert callable(cb.effects), cb.effects"
    code += "; from causalbias import effects; assert callable(effects)"
    subprocess.run([sys.executable, "-c", code], check=True)
