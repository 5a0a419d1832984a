"""Comparing fits whose posteriors are not independent: what they share is said."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"race": list("ab") * 60, "seed": np.repeat(np.arange(20), 6)})
    return frame.assign(y=rng.normal(size=120), z=rng.normal(size=120))


def assumed(formulas, first, second):
    one, other = (
        cb.fit(formula, frame, draws=50)
        for formula, frame in zip(formulas, (first, second), strict=True)
    )
    return cb.compare(one, other, "race")


def test_what_fits_share_is_said_and_fits_apart_say_nothing(rows):
    groups = "race + (1|seed)"
    same = assumed([f"y ~ {groups}", "y ~ race"], rows, rows[::-1][::-1])
    assert "share all rows" in same.attrs["assumes"]
    assert "share all rows" in str(same)
    halves = assumed([f"y ~ {groups}"] * 2, rows[rows["seed"] < 12], rows[rows["seed"] >= 8])
    assert "share 4 levels of seed" in halves.attrs["assumes"]
    assert "one fit of all rows" in halves.attrs["assumes"]
    people = assumed([f"z ~ {groups}", f"y ~ {groups}"], rows, rows)
    assert "share 20 levels of seed" in people.attrs["assumes"]
    assert "joint_model" in people.attrs["assumes"]
    apart = assumed([f"y ~ {groups}"] * 2, rows[rows["seed"] < 10], rows[rows["seed"] >= 10])
    assert "assumes" not in apart.attrs
