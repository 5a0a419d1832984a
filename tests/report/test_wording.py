"""Numbers in sentences: a range as written holds the interval, and the estimate."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalbias.report.wording import alt_text, ends_of, of_every, with_range

SIZES = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda one: one == 0 or abs(one) > 1e-6)


def read(text):
    """The numbers of a text as they are written."""
    return float(text.replace("−", "-").replace(",", ""))


@given(st.tuples(SIZES, SIZES, SIZES).map(sorted), st.integers(2, 3), st.booleans())
def test_a_range_holds_the_interval_and_the_estimate(values, digits, size):
    lower, estimate, upper = values
    said = with_range(
        pd.Series({"lower": lower, "estimate": estimate, "upper": upper}), digits, size=size
    )
    middle, ends = said.removesuffix(")").split(" (range ")
    low, high = map(read, ends.split(" to "))
    if size and estimate < 0:
        lower, estimate, upper = -upper, -estimate, -lower
    slack = 1e-9 * max(abs(lower), abs(upper))
    assert low <= lower + slack
    assert high >= upper - slack
    assert low <= read(middle) <= high


@given(st.floats(1e-6, 1e3), st.floats(0, 1e3))
def test_an_end_does_not_cross_zero(near, width):
    low, high = map(read, ends_of(near, near + width).split(" to "))
    assert 0 < low <= high
    assert ends_of(-near - width, -near) == " to ".join(
        f"−{one}" for one in reversed(ends_of(near, near + width).split(" to "))
    )


@given(st.tuples(*[st.floats(1e-5, 1)] * 3).map(sorted))
def test_counts_of_a_rate_hold_its_interval(values):
    lower, estimate, upper = values
    said = of_every(pd.Series({"lower": lower, "estimate": estimate, "upper": upper}))
    middle, rest = said.split(" of every ")
    every, ends = rest.removesuffix(")").split(" (range ")
    low, high = (read(one) / read(every) for one in ends.split(" to "))
    assert low <= lower * (1 + 1e-9)
    assert high >= upper * (1 - 1e-9)
    assert low <= read(middle) / read(every) <= high


def test_a_text_alternative_does_not_reach_a_limit_that_an_interval_excludes():
    table = pd.DataFrame({"race": ["a"], "estimate": [1.0049], "lower": [1.00049], "upper": [1.02]})
    assert "1.00 (1.00 to 1.02)" in alt_text(table, ["race"], "ratio", "Points")


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 0.0), (float("-inf"), float("inf"))])
def test_ends_that_are_exact_stay(ends):
    assert ends_of(*ends) in ("0 to 1.0", "−1.0 to 0", "unbounded to unbounded")
