"""How large a model will be, told from its formula before any matrix is made."""

import math
import re

import formulae as fm
import pandas as pd

from causalbias.io.memory import check_memory
from causalbias.models.formula.grammar import MAX_BASIS
from causalbias.models.formula.group_terms import common_formula, group_parts
from causalbias.models.formula.parse import building, formula_columns

CATEGORICAL = ("C(", "T(", "S(", "binary(", "B(")
COPIES = 4  # of the design matrix: formulae's, bambi's, the engine's, and one in the making


def check_fit_size(formula: str, used: pd.DataFrame, total: int, *, effects: bool = False) -> None:
    """Refuse a model whose design or draws memory will not hold.

    Parameters
    ----------
    formula : str
    used : DataFrame
        The rows.
    total : int
        Draws of all chains.
    effects : bool
        Whether the effects of all levels are held at every draw (NUTS).

    Raises
    ------
    DataError
        With rows, coefficients or draws, and the memory that they would take.
    """
    response = formula_columns(formula)[0]
    columns = _columns(common_formula(formula), used)
    check_memory(
        float(len(used)) * columns * COPIES,
        f"{len(used):,} rows times {columns:,} coefficients",
        "make factors of many levels group terms, (1|factor), or merge their levels",
    )
    check_memory(
        2.0 * total * columns, f"{total:,} draws of {columns:,} coefficients", "ask for fewer draws"
    )
    of_groups = 0
    for part in group_parts(formula):
        width = _columns(f"{response} ~ {part.effects}", used)
        check_memory(
            float(len(used)) * width * COPIES,
            f"{len(used):,} rows times {width:,} effects of each level of {part.factor!r}",
            "let fewer effects vary",
        )
        names = [*part.members] or re.split("[:/]", part.factor)
        known = [name.strip() for name in names if name.strip() in used]
        of_groups += width * math.prod([used[name].nunique() for name in known])
    if effects:
        check_memory(
            3.0 * total * of_groups,
            f"{total:,} draws of {of_groups:,} group effects",
            "leave method to 'auto', merge levels, or ask for fewer draws",
        )


def _columns(formula: str, used: pd.DataFrame) -> int:
    """Number of columns of a formula's design matrix, at most."""
    total = 0
    with building(formula, used):
        terms = fm.model_description(formula).common_terms
    for term in terms:
        total += math.prod(_width(one, used) for one in getattr(term, "components", []))
    return max(1, total)


def _width(component: object, used: pd.DataFrame) -> int:
    name = str(getattr(component, "name", ""))
    names = [one for one in getattr(component, "var_names", ()) if one in used]
    if name.startswith(CATEGORICAL) or any(used[one].dtype.kind not in "iufb" for one in names):
        return max([1, *(int(used[one].nunique()) for one in names)])
    # A basis has as many columns as it is told, as in bs(x, df=5) or poly(x, 3).
    told = re.findall(r"[0-9]+", name) if name.startswith(("bs(", "poly(")) else []
    return max([1, *(min(int(one), MAX_BASIS) for one in told)])
