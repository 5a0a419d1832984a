"""Where two networks agree on a manipulation experiment: known orders, and seeds they share."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from causalbias.analyses.manipulation.networks import networks_table
from causalbias.analyses.manipulation.report import _compared
from causalbias.analyses.manipulation.words import _agreed

ATTRIBUTES = [f"a{n}" for n in range(6)]


def edits_of(means, seeds=30, sd=0.05, thresholds=(0.5, 0.5), shared=0.0):
    """Distances at one level of two networks, with errors by seed and attribute partly shared."""
    random = np.random.default_rng(1)
    common = random.normal(size=(seeds, len(ATTRIBUTES)))
    parts = []
    for name, mean, threshold in zip(("one", "two"), means, thresholds, strict=True):
        own = random.normal(size=common.shape)
        error = sd * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
        frame = pd.DataFrame(np.asarray(mean) + error, columns=ATTRIBUTES)
        frame = frame.rename_axis("seed").reset_index().melt("seed", var_name="attribute")
        frame = frame.rename(columns={"value": "distance"})
        parts.append(frame.assign(system=name, level_b=2, threshold=threshold))
    return pd.concat(parts, ignore_index=True)


def test_the_estimate_is_spearmans_and_the_counts_are_of_the_highest_level():
    means = np.linspace(0.2, 0.7, 6), np.array([0.3, 0.2, 0.4, 0.6, 0.5, 0.7])
    edits = edits_of(means, thresholds=(0.5, 0.6))
    lower = edits.assign(level_b=1, distance=9.0)
    row = networks_table(pd.concat([lower, edits])).iloc[0]
    wide = edits.pivot_table("distance", ["seed", "attribute"], "system")
    by_attribute = wide.groupby("attribute").mean()
    assert row["estimate"] == pytest.approx(spearmanr(by_attribute["one"], by_attribute["two"])[0])
    beyond = wide > [0.5, 0.6]
    assert [row["beyond"], row["beyond_other"]] == beyond.sum().tolist()
    assert row["beyond_both"] == beyond.all(axis=1).sum()
    assert (row["n_edits"], row["n_attributes"]) == (180, 6)


def test_clear_orders_have_a_narrow_interval_and_equal_means_a_wide_one():
    up = np.linspace(0.1, 0.6, 6)
    for other, expected in ((up, 1.0), (up[::-1], -1.0)):
        row = networks_table(edits_of((up, other), sd=0.01)).iloc[0]
        assert row[["estimate", "lower", "upper"]].tolist() == pytest.approx([expected] * 3)
    row = networks_table(edits_of((np.full(6, 0.3), np.full(6, 0.3)))).iloc[0]
    assert row["lower"] < -0.3
    assert row["upper"] > 0.3


def test_errors_that_the_networks_share_are_not_taken_for_independent_ones():
    """With the same error in both, both orders change alike, and the correlation stays 1."""
    equal = np.full(6, 0.3)
    row = networks_table(edits_of((equal, equal), shared=1.0)).iloc[0]
    assert row[["estimate", "lower", "upper"]].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_only_edits_with_both_distances_count_and_a_missing_threshold_is_no_count():
    up = np.linspace(0.1, 0.6, 6)
    edits = edits_of((up, up), thresholds=(0.5, np.nan))
    kept = edits[(edits["system"] == "one") | (edits["seed"] > 4)]
    row = networks_table(kept).iloc[0]
    assert row["n_edits"] == 25 * 6
    assert row["beyond"] == (kept.query("system == 'one' and seed > 4")["distance"] > 0.5).sum()
    assert np.isnan([row["beyond_other"], row["beyond_both"]]).all()


def test_without_an_order_there_is_no_row():
    up = np.linspace(0.1, 0.6, 6)
    edits = edits_of((up, up))
    assert networks_table(edits[edits["system"] == "one"]).empty
    assert networks_table(edits[edits["attribute"].isin(ATTRIBUTES[:2])]).empty
    assert networks_table(edits.assign(distance=0.0)).empty


def test_the_sentences_claim_an_agreement_only_where_the_interval_excludes_none():
    up = np.linspace(0.1, 0.6, 6)
    alike = networks_table(edits_of((up, up), sd=0.01, thresholds=(0.45, 0.55)))
    sentence = _compared(alike.iloc[0], "95%")
    assert "the 6 attributes move one and two has a rank correlation of 1.00" in sentence
    assert (
        "Of 180 edits to the highest level, 60 are beyond the threshold of one and 30" in sentence
    )
    assert sentence.endswith("30 are beyond both.")
    plain = _agreed({"networks": alike})[0]
    assert plain.startswith("one and two agree on which changes")
    assert plain.endswith("; 30 faces are another person to both.")
    flat = np.full(6, 0.3)
    unclear = networks_table(edits_of((flat, flat), thresholds=(0.5, np.nan)))
    assert "beyond" not in _compared(unclear.iloc[0], "95%")
    plain = _agreed({"networks": unclear})[0]
    assert plain.startswith("Whether one and two agree")
    assert "another person" not in plain
    against = _agreed({"networks": networks_table(edits_of((up, up[::-1]), sd=0.01))})[0]
    assert against.startswith("one and two disagree")
    assert _agreed({}) == []
