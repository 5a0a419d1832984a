"""What the name of a column says: words, and which side of a comparison it is about."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Words for the first and for the second side of a comparison; the roles are those of ISO/IEC 2382.
ROLES = (
    {"reference", "ref", "enrol", "enroll", "enrolled", "enrolment", "enrollment", "gallery"}
    | {"source", "registered"},
    {"probe", "query", "verification", "verify", "verified", "target", "live", "candidate"},
)
SIDES = (
    ({"a"}, {"b"}),
    ({"1"}, {"2"}),
    ({"left"}, {"right"}),
    ({"first"}, {"second"}),
    ({"x"}, {"y"}),
    ({"i"}, {"j"}),
    ROLES,
)
FILLERS = {"s", "p", "of", "the", "is", "person"}  # of a stem, where a factor is looked for
PERSON = {"subject", "subj", "person", "identity", "individual", "people", "celebrity", "class"}
IMAGE = {"image", "img", "file", "filename", "path", "photo", "picture", "sample", "face"} | {
    *("capture", "scan", "stimulus", "media", "frame", "template")
}
NEUTRAL = {"id", "ids", "name", "key", "uid", "uuid", "s", "index", "idx", "code"}
SCORE = {"score", "scores", "cosine", "cos", "confidence", "comparison", "euclidean", "l2"}
SYSTEM = {"system", "algorithm", "algo", "model", "network", "matcher", "engine", "sdk", "vendor"}
SAME = {"same", "issame", "genuine", "isgenuine", "mated", "ismated"}
SAME_PERHAPS = {"label", "match", "ismatch", "target", "truth", "mate", "pair", "type", "kind"}
REVERSED = {"impostor", "imposter", "different", "nonmated", "non", "nonmatch", "not"} | {
    *("mismatch", "mismatched", "unmatched", "unmated", "nonmate", "notsame")
}
RACE = {"race", "ethnicity", "ethnic", "skin", "demographic", "demographics", "phenotype"}
GENDER = {"gender", "sex"}


class Sided(NamedTuple):
    """Two columns that say the same of both sides of a comparison."""

    stem: tuple[str, ...]
    first: str
    second: str

    @property
    def columns(self) -> tuple[str, str]:
        """Names of both columns."""
        return self.first, self.second

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"


def words(name: str) -> tuple[str, ...]:
    """Words of a column's name, in lower case; a number is a word.

    Examples
    --------
    >>> words("Class_ID_s1"), words("probeSubjectId"), words("cos-dist")
    (('class', 'id', 's', '1'), ('probe', 'subject', 'id'), ('cos', 'dist'))
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)", " ", name)
    return tuple(re.findall(r"[^\W_]+", apart.lower()))


def sided(columns: Iterable[str]) -> list[Sided]:
    """Pairs of columns whose names differ in the side of the comparison only.

    Examples
    --------
    >>> [str(one) for one in sided(["race_a", "race_b", "probe", "reference", "score", "x1"])]
    ['race_a and race_b', 'reference and probe']
    """
    known: dict[tuple[int, tuple[str, ...]], dict[int, str]] = {}
    for column in columns:
        for family, side, stem in _readings(column):
            known.setdefault((family, stem), {}).setdefault(side, column)
    found: dict[tuple[str, str], Sided] = {}
    for (_, stem), both in known.items():
        if len(both) == 2 and both[0] != both[1]:
            found.setdefault((both[0], both[1]), Sided(stem, both[0], both[1]))
    return list(found.values())


def _readings(column: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """Each way to read a name as a side and what is said of it."""
    parts = words(column)
    return [
        (family, side, parts[:at] + parts[at + 1 :])
        for at, word in enumerate(parts)
        for family, both in enumerate(SIDES)
        for side, names in enumerate(both)
        if word in names
    ]


def names_of(stem: Sequence[str]) -> str:
    """What a pair of columns is about: ``"person"``, ``"image"``, ``"id"`` (of either), or "".

    Examples
    --------
    >>> names_of(("class", "id", "s")), names_of(("img", "id")), names_of(()), names_of(("race",))
    ('person', 'image', 'id', '')
    """
    there = set(stem)
    if there & IMAGE:
        return "image"
    if there & PERSON and not there & (RACE | GENDER | {"age", "group"}):
        return "person"
    return "id" if there <= NEUTRAL else ""


def factor_of(stem: Sequence[str]) -> str:
    """Name of a factor, without words that say nothing of it.

    Examples
    --------
    >>> factor_of(("race", "s")), factor_of(("skin", "tone"))
    ('race', 'skin_tone')
    """
    return "_".join(word for word in stem if word not in FILLERS) or "_".join(stem)


def direction_of(name: str) -> str:
    """What a column of scores says that it is: "similarity", "distance", or "" (it does not say).

    Examples
    --------
    >>> [direction_of(name) for name in ("cosine_similarity", "bupt_cos_dist", "score")]
    ['similarity', 'distance', '']
    """
    parts = words(name)
    distance = any(
        word.startswith(("distan", "dissim"))
        or word.endswith("dist")
        or word in ("euclidean", "l2")
        for word in parts
    )
    similarity = any(word.startswith("simil") or word in ("sim", "cossim") for word in parts)
    return "" if distance == similarity else "distance" if distance else "similarity"
