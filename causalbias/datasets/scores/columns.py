"""Which column of a table of scores is what: by its name, or as the user says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from causalbias.datasets.scores.names import (
    GENDER,
    RACE,
    SAME,
    SAME_PERHAPS,
    SCORE,
    SYSTEM,
    Sided,
    direction_of,
    factor_of,
    names_of,
    sided,
    words,
)
from causalbias.datasets.scores.values import is_truth
from causalbias.errors import DataError
from causalbias.study.columns import is_number

MOST_LEVELS = 30  # of a group: more are an id, or a number


@dataclass(frozen=True)
class Wanted:
    """Columns that the user names; what is empty is found by usual names.

    Attributes
    ----------
    id_a, id_b : str
    group : tuple of str
    score : tuple of str
        Several are systems, one each.
    same, system : str
    person : str
        A column (of one side, or the name that both sides share), or a pattern with braces.
    """

    id_a: str = ""
    id_b: str = ""
    group: tuple[str, ...] = ()
    score: tuple[str, ...] = ()
    same: str = ""
    system: str = ""
    person: str = ""

    @property
    def pattern(self) -> str:
        """The pattern by which ids hold persons; "" if there is none."""
        return self.person if "{" in self.person else ""


@dataclass
class Chosen:
    """Columns by what they are, and how each was chosen.

    Attributes
    ----------
    image, person : Sided or None
        Ids of images, and of persons.
    either : Sided or None
        Ids of which the name does not say whether they are images' or persons'.
    groups : dict of str to tuple of str
        Columns of both sides by factor; one column where it is of both.
    scores : list of str
    same, system : str
        "" if there is none.
    taken : list of (what, column, how)
    """

    image: Sided | None = None
    person: Sided | None = None
    either: Sided | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scores: list[str] = field(default_factory=list)
    same: str = ""
    system: str = ""
    taken: list[tuple[str, str, str]] = field(default_factory=list)

    def note(self, what: str, column: object, given: object) -> None:
        """Record what a column was taken for."""
        self.taken.append((what, str(column), "as given" if given else "by name"))

    @property
    def ids(self) -> list[str]:
        """Columns of ids, which are text."""
        return [
            name for one in (self.image, self.person, self.either) if one for name in one.columns
        ]


def choose_columns(frame: pd.DataFrame, wanted: Wanted, file: str) -> Chosen:
    """Find ids, groups, scores, systems and the truth among the columns of a table.

    Raises
    ------
    DataError
        If a column that was named is not there, or several may be meant. The error lists them and
        the argument that decides.
    """
    chosen = Chosen()
    both = sided(map(str, frame.columns))
    _ids(chosen, frame, both, wanted, file)
    _groups(chosen, frame, both, wanted, file)
    used = {*chosen.ids, *(name for names in chosen.groups.values() for name in names)}
    paired = {name for one in both for name in one.columns}
    rest = [name for name in map(str, frame) if name not in used]
    if wanted.same or (free := _truths(frame, [one for one in rest if one not in paired], file)):
        chosen.same = (
            _there(frame, wanted.same, file)
            if wanted.same
            else _only(free, "which pairs show one person", "same=", file)
        )
        chosen.note("whether a pair shows one person", chosen.same, wanted.same)
    rest = [name for name in rest if name != chosen.same]
    _system(chosen, frame, [one for one in rest if one not in paired], wanted, file)
    _scores(chosen, frame, [one for one in rest if one != chosen.system], wanted, file)
    return chosen


def _there(frame: pd.DataFrame, name: str, file: str) -> str:
    """The name of a column that the user gave."""
    if name not in frame:
        raise DataError(
            f"the column is not there; found {', '.join(map(str, frame.columns))}",
            hint="correct the name",
            file=file,
            column=name,
        )
    return name


def _only[One](found: Sequence[One], what: str, option: str, file: str) -> One:
    """The only candidate."""
    if len(found) > 1:
        raise DataError(
            f"several columns may say {what}: {', or '.join(map(str, found))}",
            hint=f"give {option} with the one that is meant",
            file=file,
        )
    return found[0]


def _ids(chosen: Chosen, frame: pd.DataFrame, both: list[Sided], wanted: Wanted, file: str) -> None:
    """Ids of images and of persons."""
    kinds: dict[str, list[Sided]] = {"image": [], "person": [], "id": []}
    for one in both:
        if kind := names_of(one.stem):
            kinds[kind].append(one)
    if wanted.id_a or wanted.id_b:
        if not (wanted.id_a and wanted.id_b):
            raise DataError("one of both ids", hint="give both id_a= and id_b=", file=file)
        given = Sided((), *(_there(frame, name, file) for name in (wanted.id_a, wanted.id_b)))
        stem = next((one.stem for one in both if one.columns == given.columns), ())
        kind = names_of(stem) or "id"
        kinds[kind], kinds["id"] = [given], [given] * (kind == "id")
    if wanted.person and not wanted.pattern:
        kinds["person"] = [_sides_of(frame, both, wanted.person, file)]
        kinds["id"] = [one for one in kinds["id"] if one not in kinds["person"]]
    ask = "id_a= and id_b="
    image, person, either = (
        _only(kinds[kind], f"who is compared ({kind})", ask, file) if kinds[kind] else None
        for kind in ("image", "person", "id")
    )
    if either is not None and person is not None and image is None:
        image, either = either, None
    elif either is not None and image is not None and person is None:
        person, either = either, None
    elif either is not None and image is not None:
        either = None  # such as a number of the pair's sides: images and persons are known
    chosen.image, chosen.person, chosen.either = image, person, either
    if not chosen.ids:
        raise DataError(
            f"no two columns are ids of both sides; found {', '.join(map(str, frame.columns))}",
            hint="give id_a= and id_b= with their names",
            file=file,
        )
    for what, pair in (("images", image), ("persons", person), ("ids", either)):
        if pair is not None:
            named = wanted.person and not wanted.pattern if what == "persons" else wanted.id_a
            chosen.note(f"{what} of both sides", pair, named)


def _sides_of(frame: pd.DataFrame, both: list[Sided], name: str, file: str) -> Sided:
    """Both columns of what the user calls by a stem, by one of them, or by both with a comma."""
    ask = "person='FIRST,SECOND'"
    if "," in name:
        names = [one.strip() for one in name.split(",")]
        if len(names) == 2:
            return Sided(words(names[0]), *(_there(frame, one, file) for one in names))
    found = [one for one in both if name in one.columns or _is_called(one, name)]
    if not found:
        raise DataError(
            f"no two columns of both sides are called {name}; found "
            f"{', '.join(map(str, frame.columns))}",
            hint=f"give both: {ask}",
            file=file,
        )
    return _only(found, name, ask, file)


def _is_called(one: Sided, name: str) -> bool:
    return factor_of(one.stem) == "_".join(words(name)) or one.stem == words(name)


def _groups(
    chosen: Chosen, frame: pd.DataFrame, both: list[Sided], wanted: Wanted, file: str
) -> None:
    """Columns of groups, of both sides or one for both."""
    ids, paired = set(chosen.ids), {name for one in both for name in one.columns}
    others = [one for one in both if not ids & set(one.columns)]
    single = [str(name) for name in frame if name not in paired and name not in ids]
    for name in wanted.group:
        found: list[tuple[str, ...]] = [
            one.columns for one in others if name in one.columns or _is_called(one, name)
        ]
        # A study's frames also have one column of what both sides share.
        found = found or [(one,) for one in single if one == name or words(one) == words(name)]
        if found:
            named = {" and ".join(one): one for one in found}
            chosen.groups[name] = named[_only(list(named), name, "group=", file)]
            chosen.note(f"group: {name}", _both(chosen.groups[name]), True)
    if wanted.group:
        return
    for concept in (RACE, GENDER):
        known: dict[str, tuple[str, ...]] = {
            factor_of(one.stem): one.columns for one in others if concept & set(one.stem)
        }
        for name in single:
            said = set(words(name))
            if concept & said and not SAME & said and frame[name].nunique() <= MOST_LEVELS:
                known.setdefault(factor_of(words(name)), (name,))
        if known:
            factor = _only(list(known), "the group of a person", "group=", file)
            chosen.groups[factor] = known[factor]
            chosen.note(f"group: {factor}", _both(known[factor]), False)


def _both(columns: tuple[str, ...]) -> str:
    return " and ".join(columns) if len(columns) == 2 else f"{columns[0]}, of both sides"


def _truths(frame: pd.DataFrame, free: list[str], file: str) -> list[str]:
    """Columns that may say which pairs show one person: the surer names, else the others."""
    for names in (SAME, SAME_PERHAPS):
        found = [
            name
            for name in free
            if names & set(words(name))
            and not (RACE | GENDER | SYSTEM | {"age"}) & set(words(name))
            and is_truth(name, frame[name], file)
        ]
        if found:
            return found
    return []


def _system(
    chosen: Chosen, frame: pd.DataFrame, free: list[str], wanted: Wanted, file: str
) -> None:
    """The column of systems, if there is one."""
    found = [name for name in free if SYSTEM & set(words(name)) and not _is_score(frame, name)]
    if wanted.system:
        found = [_there(frame, wanted.system, file)]
    if found:
        chosen.system = _only(found, "which system compared", "system=", file)
        chosen.note("system", chosen.system, wanted.system)


def _is_score(frame: pd.DataFrame, name: str) -> bool:
    return is_number(frame[name]) and bool(direction_of(name) or SCORE & set(words(name)))


def _scores(
    chosen: Chosen, frame: pd.DataFrame, free: list[str], wanted: Wanted, file: str
) -> None:
    """The column of scores; several only where the user names them."""
    named: Callable[[str], bool] = lambda name: bool(  # noqa: E731
        direction_of(name) or SCORE & set(words(name))
    )
    found = [name for name in free if named(name)]
    if wanted.score:
        found = [_there(frame, name, file) for name in wanted.score]
    elif not found:
        raise DataError(
            f"no column is called score, similarity or distance; found "
            f"{', '.join(map(str, frame.columns))}",
            hint="give score= with the column's name",
            file=file,
        )
    elif len(found) > 1:
        raise DataError(
            f"several columns may be the score: {', or '.join(found)}",
            hint=f"give score= with the one that is meant, or score={found} if they are of systems "
            "of their own",
            file=file,
        )
    chosen.scores = found
    chosen.note("score", ", ".join(found), wanted.score)
