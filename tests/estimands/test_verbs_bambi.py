"""Effects and slopes against bambi.interpret (bambi 0.21) on the same draws."""

import bambi as bmb
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias.models.bambi_models import bambi_model
from causalbias.models.result import frame_of, spec_of


@pytest.fixture(scope="module")
def curved():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=120), "kind": rng.choice(list("abc"), 120)})
    y = frame["x"] ** 2 + (frame["kind"] == "b") + rng.normal(size=120)
    return cb.fit("y ~ x*kind + I(x**2)", frame.assign(y=y), draws=100)


@pytest.fixture(scope="module")
def theirs(curved):
    model = bambi_model(spec_of(curved), frame_of(curved))
    model.build()
    groups = {name: curved[name].to_dataset() for name in ("posterior", "observed_data")}
    return model, xr.DataTree.from_dict(groups)


def test_slopes_at_the_mean(curved, theirs):
    found = bmb.interpret.slopes(*theirs, wrt="x", average_by="kind", use_hdi=False, prob=0.95)
    table = found.summary.set_index("kind")
    ours = cb.dose(curved, "x", by="kind", grid=[table["value"].iloc[0]])
    ours = cb.summarise(ours, of="slope").set_index("kind")
    # Theirs is a forward difference over 1e-4, which adds that times a parabola's bend of about 1.
    for column, name in (("lower", "lower_2.5%"), ("upper", "upper_97.5%")):
        np.testing.assert_allclose(ours[column], table[name], atol=2e-4)


def test_average_comparisons(curved, theirs):
    found = bmb.interpret.comparisons(
        *theirs, contrast={"kind": ["a", "b"]}, conditional=None, use_hdi=False, prob=0.95
    )
    ours = cb.effects(curved, "kind")["effect"].sel(kind="b")
    assert len(found.summary) == 120, "one comparison a row of the data"
    assert float(ours.mean()) == pytest.approx(found.summary["estimate"].mean(), rel=1e-9)
