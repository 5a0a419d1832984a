"""Error rates of two networks on photographs (RFW), of which one group has almost no errors.

Counts, thresholds, rates and equal error rates against independent ones: tests/studies.
"""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

RACES = ["African", "Asian", "Caucasian", "Indian"]


@pytest.fixture(scope="module")
def pairs(data_root):
    folder = data_root / "rfw-pairs"
    if not folder.exists():
        pytest.skip("needs rfw-pairs")
    parts = [pd.read_csv(folder / f"race_{race}_6000.csv").assign(race=race) for race in RACES]
    whole = pd.concat(parts, ignore_index=True)
    names = {"Class_ID_s1": "seed_a", "Class_ID_s2": "seed_b", "issame": "same_identity"}
    return whole.rename(columns=names)


def test_a_group_almost_without_errors_bounds_ratios_on_one_side(pairs):
    """59 false matches of 3,000 against 1: no estimate, but at least some nine times as many."""
    frame = pairs.assign(distance=pairs["vgg_cos_dist"])
    rates = cb.error_rates(frame, "race", fmr=0.01)
    best = cb.summarise(cb.rates.rate_ratios(rates, to="best"))
    best = best[best["rate_of"] == "FMR"].set_index("race")
    assert best.loc["Asian", "interval"] == "at least"
    assert 8 < best.loc["Asian", "lower"] < 59
    assert np.isinf(best.loc["Asian", "upper"])
    assert np.isnan(best.loc["Asian", "estimate"])
    assert best.loc["Asian", ["errors", "n"]].tolist() == [59, 3000]
    mean = cb.summarise(cb.rates.rate_ratios(rates)).query("rate_of == 'FMR'").set_index("race")
    assert mean.loc["Caucasian", "interval"] == "at most"
    assert 0 == mean.loc["Caucasian", "lower"] < mean.loc["Caucasian", "upper"] < 1
    assert 1 < mean.loc["Asian", "lower"] < best.loc["Asian", "lower"]
    indices = cb.summarise(cb.rates.fairness_indices(rates)).set_index("index")
    # Over 12 ordered pairs of groups, where the ratio to the best is over 4.
    assert 5 < indices.loc["FMR max/min", "lower"] < best.loc["Asian", "lower"]
    assert np.isinf(indices.loc["FMR max/min", "upper"])
    assert indices.loc["FNMR max/min", "interval"] == "two-sided"
