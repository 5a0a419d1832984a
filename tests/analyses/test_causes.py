"""The causal diagram of a report, and the adjustment that it states."""

import pytest

from causalbias.analyses.causes import adjustment_sentence, arrows_table, causal_picture
from causalbias.causal import diagram


@pytest.mark.parametrize(
    ("arrows", "kinds", "said"),
    [
        (
            "race -> distance <- seed",
            {"manipulated": "race"},
            "nothing needs to be adjusted for: the",
        ),
        ("race -> distance <- seed", {}, "nothing needs to be adjusted for."),
        ("light -> race -> distance <- light", {}, "it is enough to adjust for “light”."),
        (
            "race -> distance; race -> found; blur -> found; blur -> distance",
            {"manipulated": "race", "selected": "found", "unmeasured": "blur"},
            "no measured columns are enough to adjust for among rows that are kept by “found”.",
        ),
    ],
)
def test_the_sentence_is_what_the_diagram_says(arrows, kinds, said):
    sentence = adjustment_sentence(diagram(arrows, **kinds), "race", "distance")
    assert sentence.startswith("For the effect of “race” on “distance”")
    assert said in sentence


def test_a_diagram_has_its_arrows_as_a_table_and_in_words():
    found = diagram("race -> distance; light -> distance", manipulated="race", unmeasured="light")
    table = arrows_table(found)
    assert table.to_numpy().tolist() == [
        ["race", "distance", "manipulated"],
        ["light", "distance", "not measured"],
    ]
    picture = causal_picture(found, ["So it is."])
    assert "race to distance and light to distance" in picture.alt
    assert picture.caption.endswith("So it is.")
