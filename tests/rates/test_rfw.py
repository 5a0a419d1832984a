"""Error rates of two networks on photographs (RFW), against counts of pandas and scikit-learn.

The numbers are those in the README of the data for development: counted independently, matching at
a distance equal to the threshold or below it, which is the 120th smallest of all impostor ones.
"""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

RACES = ["African", "Asian", "Caucasian", "Indian"]
COUNTED = {
    "bupt": (
        0.4691406,
        [78, 17, 4, 21],
        [0.2277, 0.4613, 0.3797, 0.3250],
        [0.0878, 0.0703, 0.0548, 0.0827],
    ),
    "vgg": (
        0.5866427,
        [49, 59, 1, 11],
        [0.3343, 0.4813, 0.5460, 0.4310],
        [0.1073, 0.1490, 0.0640, 0.1003],
    ),
}


@pytest.fixture(scope="module")
def pairs(data_root):
    folder = data_root / "rfw-pairs"
    if not folder.exists():
        pytest.skip("needs rfw-pairs")
    parts = [pd.read_csv(folder / f"race_{race}_6000.csv").assign(race=race) for race in RACES]
    whole = pd.concat(parts, ignore_index=True)
    names = {"Class_ID_s1": "seed_a", "Class_ID_s2": "seed_b", "issame": "same_identity"}
    return whole.rename(columns=names)


@pytest.mark.parametrize("network", ["bupt", "vgg"])
def test_counts_rates_and_ends_are_those_counted_elsewhere(pairs, network):
    threshold, false, missed, equal = COUNTED[network]
    frame = pairs.assign(distance=pairs[f"{network}_cos_dist"], system=network)
    at = cb.threshold_at(frame, 0.01)
    assert at["point"].item() == pytest.approx(threshold, abs=1e-6)
    rates = cb.error_rates(frame, "race", threshold=at).sel(system=network)
    assert rates["race"].values.tolist() == RACES
    assert rates["errors"].sel(rate_of="FMR").values.tolist() == false
    share = (rates["errors"] / rates["n"]).sel(rate_of="FNMR")
    np.testing.assert_allclose(share, missed, atol=1e-4)
    point = cb.equal_error_rate(frame, "race", draws=50)["point"].sel(system=network)
    np.testing.assert_allclose(point, equal, atol=4e-4)


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
