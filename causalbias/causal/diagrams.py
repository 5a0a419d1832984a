"""Causal diagrams: what is manipulated, measured and selected, and what to adjust for."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from matplotlib.figure import Figure

from causalbias.arguments import described, names_in
from causalbias.causal.drawing import draw
from causalbias.errors import DataError

MOST_CANDIDATES = 16  # of adjustment: their subsets are tried
ARROW = re.compile(r"(<->|<-|->)")
NO_NAME = re.compile(r"[<>{}#\u2190-\u21ff\u27f0-\u27ff]|--|^-|-$")  # arrows, groups, notes


@dataclass(frozen=True)
class Diagram:
    """A directed acyclic graph of an experiment; see `diagram`.

    Attributes
    ----------
    nodes : tuple of str
        In the order of their first arrow.
    arrows : tuple of (str, str)
        Cause and effect.
    manipulated, unmeasured, selected : tuple of str
        Nodes that the design sets, whose causes have no arrow; nodes that nobody measured; nodes by
        whose value rows were kept. All others are measured.
    """

    nodes: tuple[str, ...]
    arrows: tuple[tuple[str, str], ...]
    manipulated: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()

    def plot(self) -> Figure:
        """Draw it, causes on the left.

        Returns
        -------
        Figure
            Manipulated nodes are filled boxes, measured ones boxes, unmeasured ones dashed ellipses
            and those of selection double boxes; the key says so.
        """
        return draw(self.nodes, self.arrows, self.manipulated, self.unmeasured, self.selected)

    def ancestors(self, of: Iterable[str]) -> set[str]:
        """Nodes from which arrows lead to one of these, and these."""
        return _reached(of, [(effect, cause) for cause, effect in self.arrows])

    def descendants(self, of: Iterable[str]) -> set[str]:
        """Nodes to which arrows lead from one of these, and these."""
        return _reached(of, self.arrows)

    def separated(self, one: str, other: str, given: Collection[str] = ()) -> bool:
        """Whether two nodes are d-separated, and so independent, given others (Pearl 1988).

        By the moral graph of the ancestors (Lauritzen et al. 1990): parents of one node are joined,
        directions dropped, and no path may be left around those given.

        Examples
        --------
        >>> found = diagram("race -> enrolled <- distance")
        >>> found.separated("race", "distance"), found.separated("race", "distance", ["enrolled"])
        (True, False)
        """
        for name in (one, other, *given):
            _check_node(self, name)
        return _separated(self.arrows, one, other, set(given))

    def adjustment_sets(self, exposure: str, outcome: str) -> list[tuple[str, ...]]:
        """Find the smallest sets of measured nodes by which to adjust for the total effect.

        A set does if it holds no node that the exposure has moved on its way to the outcome, or
        what these moved, and separates both in the graph without the first arrows of the ways
        between them: the adjustment criterion (Shpitser, VanderWeele and Robins 2010, as van der
        Zander, Liskiewicz and Textor 2014 write it), which is complete. Nodes of selection are
        given in any case; the effect is then one among the rows that were kept.

        Returns
        -------
        list of tuple of str
            Sets no part of which does, the smallest first; ``[()]`` if nothing is needed, as for a
            manipulated exposure without selection, and ``[]`` if nothing measured helps.

        Raises
        ------
        DataError
            If a name is not in the diagram, no arrows lead from exposure to outcome, or more than
            16 nodes could be adjusted for.

        Examples
        --------
        >>> found = diagram("race -> tone -> distance <- light -> tone; race -> distance",
        ...                 manipulated="race")
        >>> found.adjustment_sets("race", "distance"), found.adjustment_sets("tone", "distance")
        ([()], [('race', 'light')])
        """
        for name in (exposure, outcome):
            _check_node(self, name)
        on_way = (self.descendants([exposure]) & self.ancestors([outcome])) - {exposure}
        if exposure == outcome or not on_way:
            raise DataError(
                f"no arrows lead from {exposure} to {outcome}",
                hint="name a cause and what it moves, in this order",
            )
        forbidden = self.descendants(on_way) | {exposure}
        first = {(exposure, node) for node in on_way}
        arrows = [one for one in self.arrows if one not in first]
        given = set(self.selected)
        if given & forbidden:
            return []
        near = self.ancestors([exposure, outcome, *given])
        barred = forbidden | given | set(self.unmeasured)
        possible = [one for one in self.nodes if one in near - barred]
        if len(possible) > MOST_CANDIDATES:
            raise DataError(
                f"{len(possible)} nodes could be adjusted for",
                hint=f"leave out what is no question: up to {MOST_CANDIDATES} are searched",
            )
        found: list[tuple[str, ...]] = []
        for size in range(len(possible) + 1):
            for one in combinations(possible, size):
                known = any(set(smaller) <= set(one) for smaller in found)
                if not known and _separated(arrows, exposure, outcome, given | set(one)):
                    found.append(one)
        return found


def diagram(
    arrows: str,
    *,
    manipulated: str | Sequence[str] = (),
    unmeasured: str | Sequence[str] = (),
    selected: str | Sequence[str] = (),
) -> Diagram:
    """Make a causal diagram of what is manipulated, measured and selected.

    Parameters
    ----------
    arrows : str
        Chains of arrows, apart by semicolons or lines: ``"race -> tone -> distance; race ->
        distance <- light"``. ``tone <-> distance`` says that something unmeasured causes both, and
        adds it as the node ``U(tone, distance)``. Names are anything without arrows, semicolons and
        any of ``< > { } #``, and have no dash at an end.
    manipulated : str or sequence of str
        Nodes that the design sets: nothing in the diagram may cause them.
    unmeasured : str or sequence of str
        Nodes that nobody measured, by which one cannot adjust.
    selected : str or sequence of str
        Nodes by whose value rows were kept, such as whether the network found the face.

    Returns
    -------
    Diagram
        With ``adjustment_sets``, ``separated`` and ``plot``.

    Raises
    ------
    DataError
        If the text is no chain of arrows, a name has a part of an arrow in it, arrows lead in a
        circle, a name is not in the diagram, or an arrow leads to a manipulated node.

    Examples
    --------
    >>> found = diagram("race -> distance -> enrolled; race -> enrolled", manipulated="race",
    ...                 selected="enrolled")
    >>> found.nodes
    ('race', 'distance', 'enrolled')
    >>> found.adjustment_sets("race", "distance")
    []
    """
    pairs, common = _arrows(arrows)
    nodes = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    kinds = {
        "manipulated": names_in(manipulated, "manipulated"),
        "unmeasured": tuple(dict.fromkeys((*names_in(unmeasured, "unmeasured"), *common))),
        "selected": names_in(selected, "selected"),
    }
    found = Diagram(nodes, tuple(dict.fromkeys(pairs)), **kinds)
    for names in kinds.values():
        for name in names:
            _check_node(found, name)
    for one, other in combinations(kinds, 2):
        if both := set(kinds[one]) & set(kinds[other]):
            raise DataError(f"{min(both)} is both {one} and {other}", hint="leave it out of one")
    for cause, effect in found.arrows:
        if effect in found.manipulated:
            raise DataError(
                f"an arrow leads from {cause} to {effect}, which is manipulated",
                hint="what the design sets has no other cause: leave out the arrow, or the node "
                "from manipulated=",
            )
        if cause in found.descendants([effect]):
            raise DataError(
                f"arrows lead in a circle through {cause} and {effect}",
                hint="turn one of them, or make two nodes of one at two times",
            )
    return found


def _arrows(text: object) -> tuple[list[tuple[str, str]], list[str]]:
    """Causes and effects, and the unmeasured common causes among them."""
    if not isinstance(text, str):
        raise DataError(f"arrows are {described(text)}", hint='write them as text: "race -> tone"')
    found: list[tuple[str, str]] = []
    common: list[str] = []
    for chain in filter(str.strip, re.split(r"[;\n]", text)):
        parts = [one.strip() for one in ARROW.split(chain)]
        if len(parts) < 3 or not all(parts[::2]):
            raise DataError(
                f"{chain.strip()!r} is no chain of arrows",
                hint='write names with arrows between them: "race -> tone -> distance"',
            )
        for name in parts[::2]:
            _check_name(name)
        for left, arrow, right in zip(parts[:-2:2], parts[1::2], parts[2::2], strict=True):
            if arrow == "<->":
                common.append(f"U({left}, {right})")
                found += [(common[-1], left), (common[-1], right)]
            else:
                found.append((left, right) if arrow == "->" else (right, left))
    if not found:
        raise DataError("no arrows", hint='write some: "race -> tone -> distance"')
    return found, common


def _check_name(name: str) -> None:
    """Refuse what was meant as an arrow, several nodes or a note, and would be a node's name."""
    if NO_NAME.search(name):
        raise DataError(
            f"{name!r} is no name of a node",
            hint='write arrows as ->, <- or <->, each of them alone ("race -> distance; tone -> '
            'distance"), and no notes; names have none of < > { } # and no dash at an end',
        )


def _check_node(found: Diagram, name: object) -> None:
    if name not in found.nodes:
        raise DataError(
            f"{described(name)} is not in the diagram",
            hint=f"use one of {', '.join(found.nodes)}",
        )


def _reached(start: Iterable[str], arrows: Iterable[tuple[str, str]]) -> set[str]:
    to = defaultdict(list)
    for cause, effect in arrows:
        to[cause].append(effect)
    found, left = set[str](), list(start)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += to[node]
    return found


def _separated(arrows: Collection[tuple[str, str]], one: str, other: str, given: set[str]) -> bool:
    if one in given or other in given:
        return True
    near = _reached([one, other, *given], [(effect, cause) for cause, effect in arrows])
    parents = defaultdict(list)
    for cause, effect in arrows:
        if effect in near:
            parents[effect].append(cause)
    joined = [(cause, effect) for effect, causes in parents.items() for cause in causes]
    joined += [pair for causes in parents.values() for pair in combinations(causes, 2)]
    open_ways = [pair for pair in joined if not given & set(pair)]
    return other not in _reached([one], [*open_ways, *((b, a) for a, b in open_ways)])
