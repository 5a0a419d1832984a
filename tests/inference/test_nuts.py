"""NUTS: one seed, one chain, whatever was compiled before."""

import os
import subprocess
import sys

import pytest

DRAWS = """
import numpy as np, pymc as pm
from causalbias.inference.nuts import sample_nuts

rng = np.random.default_rng(1)
group, x = np.repeat(np.arange(12), 20), rng.normal(size=240)
y = 0.7 * x + rng.normal(size=12)[group] + rng.normal(size=240)
with pm.Model() as model:
    slope, sd, noise = pm.Normal("slope"), pm.HalfNormal("sd"), pm.HalfNormal("noise")
    effect = sd * pm.Normal("z", shape=12)
    pm.Normal("y", slope * x + effect[group], noise, observed=y)
found = sample_nuts(model, ["slope", "sd"], draws=100, tune=200, chains=1, random_seed=3)
print(found["posterior"]["sd"].values.ravel().tolist())
"""


@pytest.mark.slow
def test_code_from_the_cache_gives_the_draws_of_code_compiled_afresh(tmp_path):
    flags = {"PYTENSOR_FLAGS": f"base_compiledir={tmp_path}"}
    run = [
        subprocess.run(
            [sys.executable, "-c", DRAWS],
            env={**os.environ, **flags},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert run[0] == run[1] != ""
