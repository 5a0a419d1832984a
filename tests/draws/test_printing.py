"""A result of several parts prints as a list of them, and every analysis of a table is such one."""

import dataclasses

import pytest

import causalbias as cb
from causalbias.draws.printing import Listed

RESULTS = [
    "Alignment",
    "Audit",
    "Editing",
    "HumanMachine",
    "Identity",
    "Manipulation",
    "Ratings",
    "SignalDetection",
    "SocialPerception",
]


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_analyses_print_as_lists_of_their_parts(name):
    result = getattr(cb.analyses, name)
    assert result.__repr__ is Listed.__repr__
    empty = result(**dict.fromkeys(one.name for one in dataclasses.fields(result)))
    assert len(repr(empty).splitlines()) == 1 + len(dataclasses.fields(result))


def test_no_line_holds_the_rows_that_were_read():
    pairs = cb.simulation.simulate_similarity(faces=12)
    found = cb.analyses.analyse_alignment(
        pairs, face_a="face_a", face_b="face_b", judgement="judgement", metrics=["metric"]
    )
    lines = repr(found).splitlines()
    assert lines[0].startswith("Alignment")
    assert any("66 rows" in line for line in lines)
    assert max(map(len, lines)) < 125
