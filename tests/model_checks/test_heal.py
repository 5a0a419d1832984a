"""`heal` finds the model that data were made by."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.model_checks.changes import skewed_families
from causalbias.models.fitted import fitted


def test_the_model_that_made_the_data_is_first_and_passes():
    rng = np.random.default_rng(2)
    who, x = np.arange(240) % 24, np.repeat([0.0, 1.0], 120)
    y = x + rng.normal(size=24)[who] + 0.6 * rng.normal(size=240)
    told: list[str] = []
    fit = cb.fit("y ~ x", pd.DataFrame({"y": y, "x": x, "who": who}), draws=500)
    found = cb.heal(fit, progress=told.append)
    assert told[0] == 'cb.update(fit, formula=". ~ . + (1|who)")'
    assert found.table["verdict"].iloc[0] == "pass"
    assert found.best is found.fits[told[0]]
    assert "cb.update" in repr(found)
    assert found.table["difference"].iloc[0] == 0


def test_a_fit_that_passes_needs_no_other():
    rng = np.random.default_rng(0)
    found = cb.heal(cb.fit("y ~ 1", pd.DataFrame({"y": rng.normal(size=100)}), draws=500))
    assert found.table.empty
    assert found.best is None
    assert repr(found).startswith("nothing")


def test_a_tail_to_the_left_is_not_answered_by_a_logarithm():
    y = 10 - np.random.default_rng(0).gamma(2, size=60)
    model = fitted(cb.fit("y ~ 1", pd.DataFrame({"y": y}), draws=50, chains=2))
    assert skewed_families(model, -1.4) == ["skew_normal"]
    assert skewed_families(model, 0.5)[0] == "lognormal"
    below = fitted(cb.fit("y ~ 1", pd.DataFrame({"y": y - 8}), draws=50, chains=2))
    assert skewed_families(below, 1.4) == ["exgaussian", "skew_normal"]


@pytest.mark.slow
def test_rows_with_counts_rank_models_as_the_same_rows_written_out():
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"who": np.arange(200) % 10, "x": np.arange(200) // 100})
    noise = rng.normal(size=200) * np.where(rows["x"] == 1, 3.0, 1.0)
    rows["y"] = np.round(2 * (rng.normal(size=10)[rows["who"]] + noise)) / 2  # equal rows occur
    merged = rows.groupby(["y", "x", "who"], as_index=False).size()
    assert merged["size"].max() > 3
    counted = cb.heal(cb.fit("y ~ x", merged, counts="size", draws=250))
    written = cb.heal(cb.fit("y ~ x", rows, draws=250))
    assert len(written.table) > 2
    assert counted.table["update"].tolist() == written.table["update"].tolist()
    for name in ("elpd", "difference"):
        apart = counted.table[name] - written.table[name]
        assert apart.abs().max() < 1, name
    assert counted.table["se"].tolist() == pytest.approx(written.table["se"].tolist(), abs=0.5)
