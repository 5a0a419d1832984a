"""Published tables of scores whose columns are known: what each column is, without asking."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from causalbias.datasets.scores.columns import Wanted


@dataclass(frozen=True)
class Layout:
    """A published layout.

    Attributes
    ----------
    name : str
    columns : frozenset of str
        All of these are in a table of the layout.
    wanted : Wanted
        What its columns are.
    """

    name: str
    columns: frozenset[str]
    wanted: Wanted


LAYOUTS = (
    # Pairs of Racial Faces in the Wild with two networks' cosine distances (Yucer et al. 2022,
    # WACV); the race is in the ids of persons, as in African/m.06w31gn.
    Layout(
        "rfw-pairs",
        frozenset(
            {"Class_ID_s1", "Class_ID_s2", "img_id_s1", "img_id_s2", "issame"}
            | {"bupt_cos_dist", "vgg_cos_dist"}
        ),
        Wanted(score=("bupt_cos_dist", "vgg_cos_dist"), person="{race}/{id}"),
    ),
)


def in_layout(columns: Iterable[str], wanted: Wanted) -> tuple[Wanted, str]:
    """What columns are in the published layout that a table has; what the user names comes first.

    Parameters
    ----------
    columns : iterable of str
        Of the table.
    wanted : Wanted
        As the user gave it.

    Returns
    -------
    wanted : Wanted
    name : str
        Of the layout; "" if the table has none of those known.

    Examples
    --------
    >>> in_layout(["id_a", "id_b", "score"], Wanted())[1]
    ''
    """
    there = set(columns)
    for layout in LAYOUTS:
        if layout.columns <= there:
            own = {name: value for name, value in vars(layout.wanted).items() if value}
            return replace(
                wanted, **{name: value for name, value in own.items() if not getattr(wanted, name)}
            ), layout.name
    return wanted, ""
