"""Fits with draws of our choosing, and the data that R saw too."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from causalbias.models.result import Fit, pack_frame
from causalbias.models.specification import ModelSpec, model_frame


@pytest.fixture(scope="session")
def shared_case():
    """150 made-up rows (`a`, `b`, `x`; `score`, `hit`, `y`), as R read them."""
    return pd.read_csv(Path(__file__).with_name("shared_case.csv"))


@pytest.fixture(scope="session")
def fit_at():
    """Make a fit of given draws: values (draws, ...) by name in the posterior."""

    def make(formula, frame, draws, family="gaussian", link=None, dims=None):
        spec = ModelSpec(formula, family, link)
        used = model_frame(spec, frame)
        response = formula.split("~")[0].strip()
        variables, coords = {}, {}
        draws = {name: np.asarray(values, float) for name, values in draws.items()}
        for name, values in draws.items():
            own = [f"{name}_dim_{i}" for i in range(values.ndim - 1)]
            if dims and name in dims:
                own = [dims[name][0]]
                coords[own[0]] = dims[name][1]
            variables[name] = (("chain", "draw", *own), values[None])
        coords |= {"chain": [0], "draw": np.arange(len(next(iter(draws.values()))))}
        packed = pack_frame(used)
        groups = {
            "posterior": xr.Dataset(variables, coords=coords),
            "observed_data": packed[[response]],
            "constant_data": packed,
        }
        fit = Fit(children={name: xr.DataTree(one) for name, one in groups.items()})
        fit.attrs = {"spec": spec.to_json(), "failures": json.dumps([]), "n_rows": len(used)}
        return fit

    return make
