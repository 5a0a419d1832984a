"""Before NUTS: what it would end the process on is named, and a fall-back announces itself."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import causalbias as cb
from causalbias.errors import DataError
from causalbias.inference.nuts import check_start


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {"y": rng.normal(size=80), "x": rng.normal(size=80), "g": np.arange(80) % 8}
    )


def test_density_that_is_not_finite_is_named():
    """As of a column of zeros, whose default prior is infinitely wide."""
    with pm.Model() as inner:
        pm.Normal("fine", 0, 1)
        pm.Normal("x", 0, np.inf)
    with pytest.raises(DataError, match="density of x is not finite"):
        check_start(inner)


@pytest.mark.parametrize("term", ["poly(x, 2)", "bs(x, df=4)"])
def test_bases_of_several_columns(rows, term):
    options = {"method": "nuts", "draws": 20, "tune": 20, "chains": 1}
    fit = cb.fit(f"y ~ {term}", rows, **options)
    assert fit["posterior"][term].sizes[f"{term}_dim"] == int(term[-2])
