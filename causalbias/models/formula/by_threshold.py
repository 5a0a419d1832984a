"""Effects that differ between the thresholds of an ordinal model: ``score ~ race + cs(pose)``."""

import re

from causalbias.errors import DataError
from causalbias.models.formula.signs import brackets, signs_of, summands

_CALL = re.compile(r"(?<![\w.`])cs\s*\(")


def split_by_threshold(formula: str) -> tuple[str, str]:
    """A formula without its ``cs(...)``, and the terms that stand in these.

    Raises
    ------
    DataError
        If one is no term by itself.

    Examples
    --------
    >>> split_by_threshold("score ~ race + cs(pose + age) + (1|annotator)")
    ('score ~ race + (1|annotator)', 'pose + age')
    >>> split_by_threshold("score ~ cs(pose)"), split_by_threshold("score ~ pose")
    (('score ~ 1', 'pose'), ('score ~ pose', ''))
    """
    response, tilde, right = formula.partition("~")
    if not _CALL.search(signs_of(right)):
        return formula, ""
    kept: list[str] = []
    own: list[str] = []
    for term in summands(right):
        found = _CALL.match(term)
        inside = term[found.end() : -1] if found else term
        # The first bracket of a whole call is closed by the last letter.
        whole = not found or (found.end() - 1, len(term) - 1) in brackets(term)
        if _CALL.search(signs_of(inside)) or not whole or (found and not _of_population(inside)):
            raise DataError(
                f"cannot read {term!r}",
                hint="cs() holds terms of the population, and is a term by itself: "
                "score ~ race + cs(pose + age) + (1|annotator)",
            )
        (own if found else kept).append(inside.strip())
    return f"{response.rstrip()} {tilde} {' + '.join(kept) or '1'}", " + ".join(own)


def _of_population(inside: str) -> bool:
    """Whether these are some terms, and none of groups."""
    return bool(inside.strip()) and "|" not in signs_of(inside)
