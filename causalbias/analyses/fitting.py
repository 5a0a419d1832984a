"""Models of an analysis: fitted with progress and files, and their estimates joined."""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from causalbias.draws.basis import without_basis
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.pairing import shuffled
from causalbias.errors import DataError
from causalbias.models.fit import fit
from causalbias.models.formula.parts import Formula
from causalbias.models.result import Fit
from causalbias.scheduler import map_jobs


def fit_model(
    formula: str | Formula,
    rows: pd.DataFrame,
    name: str,
    priors: Mapping[str, str] | None = None,
    *,
    progress: Callable[[str], None] | None,
    keep: Path | None,
    **sampling: Any,
) -> Fit:
    """Fit a model of an analysis.

    Parameters
    ----------
    formula : str or Formula
    rows : DataFrame
    name : str
        Of the model, for progress, its file and errors.
    priors : dict, optional
        As of `fit`.
    progress : callable or None
        Called with the name before the model is fitted.
    keep : Path or None
        Directory of the fit's file: a file of the same model and data is read, and not fitted
        again.
    **sampling
        Further arguments of `fit`.

    Raises
    ------
    DataError
        That of `fit`, with the name of the model.
    """
    if progress is not None:
        progress(name)
    file = None if keep is None else keep / f"{_file_name(name)}.nc"
    try:
        return fit(formula, rows, file=file, priors=priors, **sampling)
    except DataError as error:
        raise DataError(
            f"{name}: {error.problem}",
            hint=error.hint,
            file=error.file,
            column=error.column,
            row=error.row,
        ) from error


def fit_models(
    models: Mapping[str, tuple[str | Formula, pd.DataFrame]],
    *,
    progress: Callable[[str], None] | None,
    keep: Path | None,
    priors: Mapping[str, Mapping[str, str]] | None = None,
    **sampling: Any,
) -> dict[str, Fit]:
    """Fit several models of an analysis.

    They are fitted on the scheduler of dask that is set, whose workers see `keep`; if there is
    none, one after another.

    Parameters
    ----------
    models : dict of str to (Formula, DataFrame)
        Formula and rows by the model's name.
    progress, keep, **sampling
        As of `fit_model`.
    priors : dict of str to dict, optional
        Priors of each model, by its name.

    Raises
    ------
    DataError
        As `fit_model`.
    """

    def job(name: str) -> tuple[str | Formula, pd.DataFrame, str, Mapping[str, str] | None]:
        if progress is not None:
            progress(name)
        return *models[name], name, None if priors is None else priors[name]

    place = None if keep is None else keep.resolve()
    work = partial(fit_model, progress=None, keep=place, **sampling)
    jobs = [partial(job, name) for name in models]
    return dict(zip(models, map_jobs(work, jobs), strict=True))


def _file_name(name: str) -> str:
    """File name of a model, whose own name may hold any character of the data's labels."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def join(parts: dict[str, xr.Dataset], dim: str) -> Estimate:
    """Join the estimates of several models along a new dim.

    Fits of one random seed use the same random numbers, so that their draws are correlated. The
    draws of each model are shuffled, as draws of independent models are.

    Parameters
    ----------
    parts : dict of str to Dataset
        Estimates by their label on the new dim.
    dim : str

    Returns
    -------
    Estimate
        Marked as not converged if one of the models is.
    """
    index = pd.Index(list(parts), name=dim)
    independent = [
        without_basis(shuffled(part, random_seed=at)) for at, part in enumerate(parts.values())
    ]
    joined = xr.concat(independent, index, combine_attrs="override", join="outer")
    return estimate(joined, of=parts.values())
