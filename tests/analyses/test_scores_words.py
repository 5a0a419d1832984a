"""Sentences of audits of scores: which groups they name, and limits that are never too narrow."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.analyses.scores.report import tables_of
from causalbias.analyses.scores.words import findings, limits, not_said, plain_words
from causalbias.errors import DataError
from causalbias.report.wording import rounded_down, rounded_up


def pairs(**groups):
    """Pairs of persons, each in one: of each group, false matches among impostor pairs and
    false non-matches among genuine pairs."""
    rows = []
    for group, (false, impostors, missed, genuine) in groups.items():
        for at in range(impostors):
            sides = [f"{group}{side}{at}" for side in "ab"]
            rows.append((*sides, group, group, 0.4 if at < false else 0.7))
        rows += [
            (*[f"{group}g{at}"] * 2, group, group, 0.6 if at < missed else 0.2)
            for at in range(genuine)
        ]
    return pd.DataFrame(rows, columns=["person_a", "person_b", "race_a", "race_b", "distance"])


def audited(table, **more):
    scores = cb.datasets.read_scores(table, kind="distance")
    result = cb.analyses.audit(scores, **({"threshold": 0.5} | more))
    return result, tables_of(result)


def found(table):
    return " ".join(plain_words(*audited(table)).found[""])


def test_persons_beside_a_rate_are_those_in_its_pairs():
    _, tables = audited(pairs(A=(5, 40, 3, 20), B=(9, 50, 4, 30)))
    rates = tables["rates"].set_index(["rate_of", "group"])["persons"]
    assert rates.to_dict() == {
        ("FMR", "A"): 80, ("FMR", "B"): 100, ("FNMR", "A"): 20, ("FNMR", "B"): 30
    }  # fmt: skip


def test_genuine_pairs_of_two_groups_are_counted_and_make_no_table_of_two_groups():
    table = pairs(A=(5, 40, 3, 20), B=(9, 50, 4, 30))
    genuine = table.index[table["person_a"] == table["person_b"]]
    table.loc[genuine[:7], "race_b"] = "B"  # of persons of A
    result, tables = audited(table)
    assert "between" not in tables
    said = not_said(result)
    assert any(one.startswith("7 comparisons of one person whose two sides are of") for one in said)
    assert any("There are no comparisons of two groups" in one for one in said)
    assert tables["counts"]["across"].tolist() == [0, 0]
    assert "7 comparisons of one person" in cb.analyses.audit_content(result).study.summary


def test_a_limit_against_the_group_with_fewest_allows_for_its_choice():
    """Of twelve groups with one rate, a limit of two named in advance is above 1 in most data."""
    draw = np.random.default_rng(4)
    groups = {f"g{at:02d}": (int(draw.binomial(200, 0.08)), 200, 0, 0) for at in range(12)}
    result, tables = audited(pairs(**groups))
    named = tables["pairwise"]
    assert (named["lower"] > 1).any()
    assert "Against the group" not in " ".join(plain_words(result, tables).found[""])


def test_the_group_with_fewest_is_named_if_its_rate_is_stated_and_the_others_stay():
    text = found(pairs(A=(30, 300, 9, 90), B=(60, 300, 9, 90), C=(150, 300, 9, 90)))
    assert "Against the group with fewest (A): C at least 3." in text
    text = found(pairs(A=(0, 4, 9, 90), B=(20, 300, 9, 90), C=(150, 300, 9, 90)))
    assert "Against the group with fewest, whichever it is: C at least" in text


def test_few_pairs_are_not_called_rare_errors():
    text = found(pairs(A=(2, 4, 2, 4), B=(3, 4, 1, 4)))
    assert "in 5 of 8 pairs of two different persons: too few pairs to state" in text
    assert "rarely" not in text
    assert "too rarely" in found(pairs(A=(1, 400, 1, 400), B=(1, 400, 1, 400)))
    assert "too few such pairs to state a rate of A" in found(
        pairs(A=(1, 4, 9, 90), B=(30, 300, 9, 90), C=(90, 300, 9, 90))
    )


def test_a_group_without_pairs_of_a_kind_is_named():
    table = pairs(A=(30, 300, 0, 0), B=(60, 300, 9, 90), C=(0, 0, 9, 90))
    result, tables = audited(table)
    text = plain_words(result, tables).found[""]
    assert "Nothing is known of C: no such pair has a score there." in text[0]
    assert "Nothing is known of A: no such pair has a score there." in text[1]
    captions = " ".join(one.caption for one in cb.analyses.audit_content(result).pictures)
    assert "Without genuine pairs that have a score: A." in captions
    assert "“group” on “score” no measured columns are enough" in captions


def test_limits_are_rounded_outwards():
    draw = np.random.default_rng(1)
    for value in 10.0 ** draw.uniform(-6, 4, 300):
        for digits in (2, 3):
            low, high = (
                float(one(value, digits).replace(",", "")) for one in (rounded_down, rounded_up)
            )
            assert low <= value * (1 + 1e-9)
            assert high >= value * (1 - 1e-9)
            assert high - low <= 1.001 * max(10 ** (np.floor(np.log10(value)) - digits + 1), 1e-9)
    result, tables = audited(pairs(A=(40, 100, 9, 90), B=(0, 23, 0, 24)))
    upper = 100 * tables["rates"].set_index(["rate_of", "group"]).loc[("FMR", "B"), "upper"]
    text = findings(result, tables)[0].split("at most ")[1]
    assert upper <= float(text.split("%")[0]) < upper * 1.01


def test_thresholds_of_accuracy_are_in_units_of_the_score():
    table = pairs(A=(5, 40, 3, 20), B=(9, 50, 4, 30))
    table["similarity"] = 100 * (1 - table.pop("distance"))
    result = cb.analyses.audit(cb.datasets.read_scores(table), threshold=50)
    tables = tables_of(result)
    for name in ("accuracy", "equal_error"):
        assert set(tables[name]["threshold"].round(6)) <= {30, 40, 60, 80}
        assert (
            tables[name]["threshold"] != getattr(result, name)["threshold"].values.ravel()
        ).all()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"fmr": one} for one in ("0.1", True, 1)),
        *({"threshold": one} for one in ("0.5", np.nan, {"the system": None}, {}, [0.5])),
    ],
)
def test_thresholds_and_targets_that_are_none_are_refused(wrong):
    scores = cb.datasets.read_scores(pairs(A=(5, 40, 3, 20), B=(9, 50, 4, 30)))
    with pytest.raises(DataError, match=r"threshold|fmr"):
        cb.analyses.audit(scores, **({"threshold": None} | wrong))


def test_kinds_of_error_that_cannot_be_pooled_are_said():
    result, _ = audited(pairs(A=(30, 300, 9, 90), B=(60, 300, 9, 90), C=(90, 300, 0, 0)))
    assert not any("not pooled" in one for one in limits(result))
    point = result.points[0]
    pooled = cb.analyses.pooled_rates(point.rates, factors=result.groups, draws=50)
    assert pooled["rate_of"].values.tolist() == ["FMR"]
    both = replace(result, points=[replace(point, pooled=pooled)])
    assert any("Rates of false non-matches are not pooled: fewer" in one for one in limits(both))


def test_a_factor_may_be_called_system():
    table = pairs(A=(30, 300, 0, 0), B=(60, 300, 0, 0), C=(90, 300, 0, 0))
    result, _ = audited(table)
    factors = {"A": {"system": "u"}, "B": {"system": "v"}, "C": {"system": "w"}}
    rates = result.points[0].rates.sel(rate_of=["FMR"])
    pooled = cb.analyses.pooled_rates(rates, factors=factors, draws=50).summary()
    assert pooled["estimate"].is_monotonic_increasing
