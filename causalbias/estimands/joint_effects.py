"""Effects in a joint model: on people's scores and on a network's distances, of the same pairs."""

import formulae as fm
import numpy as np
import xarray as xr

from causalbias.draws.estimate import Estimate, check_names, estimate
from causalbias.draws.summaries import SAMPLE
from causalbias.errors import DataError
from causalbias.models.evaluation import evaluate
from causalbias.models.formula.contrasts import NAMESPACE
from causalbias.models.formula.parse import formula_columns
from causalbias.models.levels import levels_of, reference_of, same
from causalbias.models.result import frame_of


def joint_effects(found: xr.DataTree, variable: str, *, reference: object = None) -> Estimate:
    """Average contrast of each level of a variable with a reference, of both outcomes.

    Both outcomes are linear in the coefficients: with ``x(v)`` the mean row of the design where
    the variable is ``v`` on every row, the effect of ``v`` against ``v0`` is
    ``(x(v) - x(v0))' beta``, in the population of new seeds and of typical ones alike.

    Parameters
    ----------
    found : Joint
    variable : str
        A column of the terms.
    reference : optional
        By default the lowest level.

    Returns
    -------
    Estimate
        ``effect`` (chain, draw, variable, outcome), of "score" and of "distance"; ``n``: pairs.

    Raises
    ------
    DataError
        If the variable is not among the terms, or has no such level.
    """
    formula, rows = f"distance ~ {found.attrs['terms']}", frame_of(found)
    columns = formula_columns(formula)[1][1:]
    if variable not in columns:
        raise DataError(
            f"{variable!r} is not among the terms", hint=f"use one of {', '.join(columns)}"
        )
    check_names([variable], ["effect", "n", "outcome", "term", "chain", "draw"])
    levels = levels_of(rows[variable])
    base = reference_of(levels, reference, variable)
    design = fm.design_matrices(formula, rows, "error", 0, NAMESPACE).common
    mean = {
        level: evaluate(design, rows.assign(**{variable: same(rows[variable], level)})).mean(axis=0)
        for level in levels
    }
    others = [level for level in levels if level != base]
    coefficient = found["posterior"]["coefficient"]
    contrast = xr.DataArray(
        np.array([mean[level] - mean[base] for level in others]),
        dims=(variable, "term"),
        coords={variable: others, "term": coefficient["term"]},
    )
    effect = (coefficient * contrast).sum("term").transpose(*SAMPLE, variable, "outcome")
    return estimate(
        xr.Dataset({"effect": effect, "n": len(rows)}),
        of=[found],
        estimand=f"average causal contrast of {variable} against {base} in score and distance",
        outcome="score and distance",
        scale="response",
        population="new",
        held="all else as in each row",
        treatment=f"{variable} against {base}",
        contrast=variable,
        reference=str(base),
    )
