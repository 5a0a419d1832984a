"""Censored responses in a formula: ``distance | cens(status) ~ race``, as in brms."""

import re

from causalbias.errors import DataError

_QUOTED = re.compile(r"`[^`]+`")
_CENSORED = re.compile(r"^(?P<response>[^|~]*)\|\s*cens\((?P<column>[^()]*)\)\s*(?=~)")


def split_censoring(formula: str) -> tuple[str, str | None]:
    """A formula without its ``cens(...)``, and the column that it names; None where it has none.

    Raises
    ------
    DataError
        If the response is not a column, or what is named is not one.

    Examples
    --------
    >>> split_censoring("distance | cens(status) ~ race")
    ('distance ~ race', 'status')
    """
    found = _CENSORED.match(formula)
    if found is None:
        return formula, None
    response, column = found["response"].strip(), found["column"].strip()
    if "," in column:
        raise DataError(
            f"cens({column}) is of intervals, which are not read",
            hint="name one column, of none, left and right: y | cens(status) ~ x",
        )
    for name in (response, column):
        if name != "." and not (_QUOTED.fullmatch(name) or name.isidentifier()):  # . of `update`
            raise DataError(
                f"cannot read {formula[: found.end()].strip()!r}",
                hint="a censored response is a column as it is, and so is what says which rows "
                'are: y | cens(status) ~ x; for its logarithm write family="lognormal"',
            )
    return f"{response} {formula[found.end() :]}", column.strip("`")


def with_censoring(formula: str, column: str | None) -> str:
    """A formula with ``cens(column)`` after its response, as it was written; without where None.

    Examples
    --------
    >>> with_censoring("distance ~ race", "status")
    'distance | cens(status) ~ race'
    """
    if column is None:
        return formula
    response, _, right = formula.partition("~")
    named = column if column.isidentifier() else f"`{column}`"
    return f"{response.rstrip()} | cens({named}) ~{right}"
