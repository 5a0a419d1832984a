"""Effects of groups whose cells are partially pooled: ``race + gender + (1|race:gender)``."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

CELLS = [(race, gender) for race in "abcd" for gender in "fm"]


def cells(rng, each, interaction):
    """Rows of eight cells whose means are sums of both factors' and an interaction's of that sd."""
    own = rng.normal(0, interaction, len(CELLS))
    main = {"a": 0.0, "b": 0.5, "c": 1.0, "d": -0.5, "f": 0.0, "m": 0.3}
    means = [
        main[race] + main[gender] + extra for (race, gender), extra in zip(CELLS, own, strict=True)
    ]
    frame = pd.DataFrame(CELLS, columns=["race", "gender"]).assign(mean=means)
    frame = frame.loc[frame.index.repeat(each)].reset_index(drop=True)
    return frame.assign(y=frame["mean"] + rng.normal(0, 1, len(frame)))


def gaps(frame, formula):
    """Estimated and true effect of d against a, by gender."""
    fit = cb.fit(formula, frame, draws=500)
    found = cb.effects(fit, "race", by="gender")["effect"].sel(race="d").median(("chain", "draw"))
    truth = frame.drop_duplicates(["race", "gender"]).set_index(["race", "gender"])["mean"]
    true = [truth["d", gender] - truth["a", gender] for gender in "fm"]
    return found.values, np.array(true)


POOLED, SEPARATE = "y ~ race + gender + (1|race:gender)", "y ~ race*gender"


def test_pooled_cells_have_effects_of_their_own():
    """With much data in each cell pooling changes nothing, and the interaction is found."""
    frame = cells(np.random.default_rng(2), 300, 1.0)
    pooled, true = gaps(frame, POOLED)
    separate, _ = gaps(frame, SEPARATE)
    np.testing.assert_allclose(pooled, separate, atol=0.05)
    np.testing.assert_allclose(pooled, true, atol=0.35)
    assert abs(true[0] - true[1]) > 0.5
    assert pooled[0] - pooled[1] == pytest.approx(true[0] - true[1], abs=0.4)


@pytest.mark.slow
def test_pooling_is_nearer_to_the_truth_where_cells_are_small():
    """The price of many comparisons is paid by the hierarchy: noise is not taken for findings."""
    errors = {POOLED: [], SEPARATE: []}
    for seed in range(12):
        frame = cells(np.random.default_rng(seed), 6, 0.15)
        for formula, all_errors in errors.items():
            found, true = gaps(frame, formula)
            all_errors.append(np.square(found - true).mean())
    assert np.mean(errors[POOLED]) < 0.8 * np.mean(errors[SEPARATE])
