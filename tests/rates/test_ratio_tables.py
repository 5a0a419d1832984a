"""Tables of ratios and indices of error rates: one selected is as in the whole table."""

import numpy as np
import pytest

import causalbias as cb

from .test_error_rates import random_faces


@pytest.fixture(params=[False, True], ids=["errors everywhere", "a group without errors"])
def rates(request):
    frame = random_faces(60, rng=3)
    if request.param:
        spared = (frame["race_a"] == "x") & (frame["race_b"] == "x")
        frame.loc[spared, "distance"] = 9.0
    return cb.error_rates(frame, "race", threshold=2.6)


def test_one_selected_ratio_or_index_is_summarised_as_in_the_whole_table(rates):
    ratios = cb.rates.rate_ratios(rates)
    whole = cb.summarise(ratios)
    assert "p_positive" not in whole
    assert whole["p_above_one"].dropna().between(0, 1).all()
    dims = [dim for dim in ratios["ratio"].dims if dim not in ("chain", "draw")]
    for at, row in whole.iterrows():
        one = cb.summarise(ratios.sel({dim: row[dim] for dim in dims})).iloc[0]
        for name in ("estimate", "lower", "upper", "p_above_one"):
            np.testing.assert_allclose(one[name], row[name], rtol=1e-12, err_msg=f"{at} {name}")
        draws = ratios["ratio"].sel({dim: row[dim] for dim in dims})
        if np.isfinite(row["p_above_one"]):
            assert row["p_above_one"] == float((draws > 1).mean())
    indices = cb.rates.fairness_indices(rates)
    table = cb.summarise(indices)
    assert not {"p_positive", "p_above_one"} & set(table)
    first = {dim: 0 for dim in indices["index_value"].dims if dim not in ("chain", "draw")}
    one, row = cb.summarise(indices.isel(first)).iloc[0], table.iloc[0]
    for name in ("estimate", "lower", "upper"):
        np.testing.assert_allclose(one[name], row[name], rtol=1e-12)
