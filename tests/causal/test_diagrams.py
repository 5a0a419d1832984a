"""Causal diagrams: textbook graphs, an independent check of separation, and what is refused."""

from itertools import combinations

import numpy as np
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.causal import diagram

# Figure 2a of Shrier and Platt (2008), BMC Med. Res. Methodol. 8, as R's dagR has it (demo.dag2).
SHRIER = """
warmup -> intragame; coach -> motivation; coach -> fitness; genetics -> fitness
genetics -> fatigue; genetics -> tissue disorder; fitness -> pregame; fitness -> fatigue
tissue disorder -> fatigue; tissue disorder -> weakness; pregame -> warmup
motivation -> warmup; motivation -> previous injury; fatigue -> intragame; fatigue -> injury
contact -> intragame; contact -> previous injury; weakness -> injury; intragame -> injury
"""


def sets(found, exposure="x", outcome="y"):
    return {frozenset(one) for one in found.adjustment_sets(exposure, outcome)}


def names(*texts):
    return {frozenset(text.split(", ")) for text in texts}


def test_the_graph_of_shrier_and_platt_has_its_known_sets():
    found = sets(diagram(SHRIER), "warmup", "injury")
    # Those that Ruiz de Villa, Causal Inference for Data Science, section 7.2, names.
    assert names("coach, fitness", "coach, pregame", "fitness, genetics") <= found
    assert all("previous injury" not in one and "intragame" not in one for one in found)


TEXTBOOK = {
    "confounder": ("x -> y; u -> x; u -> y", {}, [("u",)]),
    "mediator": ("x -> m -> y", {}, [()]),
    "collider": ("x -> y; x -> c <- y", {}, [()]),
    "M-bias": ("x -> y; a -> x; a -> m <- b; b -> y", {}, [()]),
    "M-bias, selected": (
        "x -> y; a -> x; a -> m <- b; b -> y",
        {"selected": "m"},
        [("a",), ("b",)],
    ),
    "butterfly": (
        "x -> y; a -> x; a -> m <- b; b -> y; m -> x; m -> y",
        {},
        [("a", "m"), ("m", "b")],
    ),
    "front door": ("u -> x -> m -> y; u -> y", {"unmeasured": "u"}, []),
    "instrument": ("z -> x -> y; u -> x; u -> y", {"unmeasured": "u"}, []),
    "manipulated": ("x -> y; u -> y; x -> m -> y; u -> m", {"manipulated": "x"}, [()]),
    "selected by the outcome": ("x -> y -> s; x -> s", {"selected": "s"}, []),
}


@pytest.mark.parametrize("case", TEXTBOOK)
def test_textbook_graphs_have_their_adjustment_sets(case):
    arrows, given, expected = TEXTBOOK[case]
    assert sets(diagram(arrows, **given)) == {frozenset(one) for one in expected}


def random_graph(rng, n=7):
    return [(f"n{a}", f"n{b}") for a, b in combinations(range(n), 2) if rng.random() < 0.35]


def test_separation_is_networkxs():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(40):
        arrows = random_graph(rng)
        found = diagram("; ".join(f"{a} -> {b}" for a, b in arrows))
        graph = networkx.DiGraph(arrows)
        one, other, *rest = rng.permutation(found.nodes).tolist()
        given = set(rest[: rng.integers(0, len(rest) + 1)])
        expected = networkx.is_d_separator(graph, {one}, {other}, given)
        assert found.separated(one, other, given) == expected
        seen.append(expected)
    assert 5 < sum(seen) < 35


def test_adjusting_by_a_set_gives_back_the_effect_and_by_part_of_it_does_not():
    """Linear models of random graphs: the regression on a set has the total effect."""
    rng = np.random.default_rng(3)
    for _ in range(6):
        arrows = [*random_graph(rng, 6), ("n0", "n5"), ("n1", "n5"), ("n1", "n2"), ("n2", "n5")]
        found = diagram("; ".join(f"{a} -> {b}" for a, b in dict.fromkeys(arrows)))
        at = {name: int(name[1]) for name in found.nodes}
        slopes = np.zeros((6, 6))
        for cause, effect in found.arrows:
            slopes[at[effect], at[cause]] = rng.uniform(0.5, 1.5)
        ways = np.linalg.inv(np.eye(6) - slopes)
        cov = ways @ ways.T
        truth = ways[5, 2]
        for one in found.adjustment_sets("n2", "n5"):
            columns = [2, *(at[name] for name in one)]
            by_regression = np.linalg.solve(cov[np.ix_(columns, columns)], cov[columns, 5])[0]
            assert by_regression == pytest.approx(truth)
            for left_out in range(len(one)):
                part = [2, *(at[name] for k, name in enumerate(one) if k != left_out)]
                wrong = np.linalg.solve(cov[np.ix_(part, part)], cov[part, 5])[0]
                assert wrong != pytest.approx(truth, rel=1e-6)


BAD = {
    "circle": ("a -> b -> c -> a", {}, "circle"),
    "itself": ("a -> a", {}, "circle"),
    "no arrow": ("a, b", {}, "no chain"),
    "half": ("a -> ", {}, "no chain"),
    "nothing": ("", {}, "no arrows"),
    "manipulated effect": ("a -> b", {"manipulated": "b"}, "is manipulated"),
    "unknown": ("a -> b", {"selected": "c"}, "not in the diagram"),
    "two kinds": ("a -> b", {"selected": "b", "unmeasured": "b"}, "both"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_diagram_is_refused(case):
    arrows, given, told = BAD[case]
    with pytest.raises(DataError, match=told):
        diagram(arrows, **given)
    with pytest.raises(DataError, match="no arrows lead"):
        diagram("a -> b").adjustment_sets("b", "a")


def test_the_picture_has_every_node_and_arrow():
    found = cb.causal.diagram(
        "race -> tone -> distance <- light; race -> distance; light -> tone; distance -> found",
        manipulated="race",
        unmeasured="light",
        selected="found",
    )
    axes = found.plot().axes[0]
    assert {one.get_text() for one in axes.texts} == set(found.nodes)
    assert len(axes.patches) == len(found.arrows)


@pytest.mark.parametrize(
    "arrows",
    [
        "race --> distance",
        "race <-- distance",
        "race -> {tone distance}",
        "race → tone -> distance",
        "race -> distance # what is asked",
        "race => tone -> distance",
        "race -- tone -> distance",
    ],
)
def test_what_looks_like_an_arrow_is_no_part_of_a_name(arrows):
    with pytest.raises(DataError, match="no name of a node"):
        cb.causal.diagram(arrows)


def test_a_double_arrow_is_an_unmeasured_common_cause():
    found = cb.causal.diagram("race -> tone -> distance; race -> distance; tone <-> distance")
    assert found.unmeasured == ("U(tone, distance)",)
    assert found.adjustment_sets("tone", "distance") == []
    assert found.adjustment_sets("race", "distance") == [()]
    with pytest.raises(DataError, match="is manipulated"):
        cb.causal.diagram("race -> distance; race <-> distance", manipulated="race")
