"""Draw a causal diagram in layers, causes on the left."""

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.transforms import Bbox

from causalbias.inference.problem import FloatArray
from causalbias.plots.style import COLOURS, TWO_COLUMNS, label, new_figure, styled

BENDS = (0.0, 0.15, -0.15, 0.3, -0.3, 0.45, -0.45)  # of arrows, the straight one first
SWEEPS = 12  # over the layers, each node going to the mean place of its neighbours


@styled
def draw(
    nodes: Sequence[str],
    arrows: Collection[tuple[str, str]],
    manipulated: Collection[str],
    unmeasured: Collection[str],
    selected: Collection[str],
) -> Figure:
    """Draw the nodes in layers by their longest way from a root, and the arrows between them."""
    place = _places(nodes, arrows)
    height = max(len({y for x, y in place.values() if x == at}) for at, _ in place.values())
    figure, axes = new_figure(TWO_COLUMNS, 0.9 + 0.55 * height)
    axes.axis("off")
    columns = [x for x, _ in place.values()]
    rows = [y for _, y in place.values()]
    axes.set_xlim(min(columns) - 0.5, max(columns) + 0.5)
    axes.set_ylim(min(rows) - 0.6, max(rows) + 0.6)
    texts = {}
    for name in nodes:
        style = _style(name, manipulated, unmeasured, selected)
        white = name in manipulated
        texts[name] = axes.text(
            *place[name],
            label(name),
            ha="center",
            va="center",
            color="white" if white else "black",
            bbox=style,
            zorder=3,
        )
        if name in selected:
            inner = {**style, "boxstyle": "square,pad=0.3"}
            axes.text(*place[name], label(name), ha="center", va="center", bbox=inner, zorder=4)
    _key(figure, nodes, manipulated, unmeasured, selected)
    figure.draw_without_rendering()  # so that boxes have their places
    boxes = {name: one.get_bbox_patch() for name, one in texts.items()}
    extents = {name: one.get_window_extent().padded(4) for name, one in boxes.items()}
    ends = {name: axes.transData.transform(place[name]) for name in nodes}
    for cause, effect in arrows:
        others = [extents[name] for name in nodes if name not in (cause, effect)]
        bend = min(BENDS, key=lambda rad: _hidden(ends[cause], ends[effect], rad, others))
        axes.add_patch(
            FancyArrowPatch(
                place[cause],
                place[effect],
                arrowstyle="-|>",
                mutation_scale=9,
                patchA=boxes[cause],
                patchB=boxes[effect],
                shrinkA=1,
                shrinkB=1,
                linewidth=0.9,
                color="0.25",
                linestyle="--" if cause in unmeasured else "-",
                connectionstyle=f"arc3,rad={bend}",
                zorder=2,
            )
        )
    return figure


def _hidden(
    start: FloatArray, end: FloatArray, bend: float, boxes: Collection[Bbox]
) -> tuple[int, float]:
    """How much of an arrow would be behind other nodes, and how much it bends."""
    run = end - start
    middle = (start + end) / 2 + bend * np.array([run[1], -run[0]])  # as matplotlib's arc3
    t = np.linspace(0, 1, 60)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    inside = [box.contains(x, y) for box in boxes for x, y in points]
    return sum(inside), abs(bend)


def _style(
    name: str,
    manipulated: Collection[str],
    unmeasured: Collection[str],
    selected: Collection[str],
) -> dict[str, object]:
    plain: dict[str, object] = {
        "boxstyle": "square,pad=0.45",
        "fc": "white",
        "ec": "black",
        "lw": 0.8,
    }
    if name in manipulated:
        return plain | {"fc": COLOURS[0], "ec": COLOURS[0]}
    if name in unmeasured:
        return plain | {"boxstyle": "round,pad=0.45,rounding_size=1.2", "ls": "--", "ec": "0.35"}
    return plain | ({"ec": COLOURS[4], "lw": 1.0} if name in selected else {})


def _key(
    figure: Figure,
    nodes: Sequence[str],
    manipulated: Collection[str],
    unmeasured: Collection[str],
    selected: Collection[str],
) -> None:
    """Name the kinds of nodes that there are, below the diagram."""
    kinds = {
        "manipulated": (manipulated, {"fc": COLOURS[0], "ec": COLOURS[0]}),
        "measured": (
            set(nodes) - set(manipulated) - set(unmeasured) - set(selected),
            {"fc": "white", "ec": "black"},
        ),
        "not measured": (unmeasured, {"fc": "white", "ec": "0.35", "ls": "--"}),
        "rows are kept by it": (selected, {"fc": "white", "ec": COLOURS[4], "lw": 2.0}),
    }
    handles = [Patch(label=name, **style) for name, (some, style) in kinds.items() if some]  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _places(
    nodes: Sequence[str], arrows: Collection[tuple[str, str]]
) -> dict[str, tuple[float, float]]:
    """Layer and height of each node: neighbours near each other, layers centred."""
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for cause, effect in arrows:
            layer[effect] = max(layer[effect], layer[cause] + 1)
    for name in nodes:  # roots stand just before what they cause
        causes = [cause for cause, effect in arrows if effect == name]
        effects = [layer[effect] for cause, effect in arrows if cause == name]
        if effects and not causes:
            layer[name] = min(effects) - 1
    layers = [[one for one in nodes if layer[one] == at] for at in range(max(layer.values()) + 1)]
    height = {one: float(at) for names in layers for at, one in enumerate(names)}
    for _ in range(SWEEPS):
        for names in layers:
            near = {
                one: [height[b if a == one else a] for a, b in arrows if one in (a, b)]
                for one in names
            }
            names.sort(key=lambda one: (float(np.mean(near[one])), nodes.index(one)))
            for at, one in enumerate(names):
                height[one] = at - (len(names) - 1) / 2
    # Two nodes of one height with one between them would have their arrow through it.
    shift = {one: 0.18 * (-1) ** layer[one] for one in nodes}
    return {one: (float(layer[one]), -(height[one] + shift[one])) for one in nodes}
