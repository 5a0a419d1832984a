"""What a verb needs of the rows of a fit; where it is not so, it says what to do instead."""

import xarray as xr

from causalbias.errors import DataError
from causalbias.models.formula.measured import measured
from causalbias.models.result import frame_of, spec_of
from causalbias.models.specification import family_of, limits_of_rows


def need_rows_themselves(fit: xr.DataTree, what: str) -> None:
    """Refuse a fit of rows that were summed up, whose rows have not the values of any.

    Rows that were counted have.

    ``what``: what cannot be had of it, such as "cb.loo".

    Raises
    ------
    DataError
        With what to do instead.
    """
    spec = spec_of(fit)
    if spec.rows is not None and family_of(spec).normal:
        raise DataError(
            f"{what} needs single rows, and this fit is of rows that were summed up",
            hint="fit rows that memory holds with the same formula, such as all of some groups or "
            "a random part, and ask that fit: cb.fit(formula, frame.sample(100_000))",
        )


def need_observed(fit: xr.DataTree, what: str) -> None:
    """Refuse a fit of which some rows are censored, so that their responses are limits.

    ``what``: what cannot be had of it, such as "a replicate of the data".

    Raises
    ------
    DataError
        With the number of such rows.
    """
    spec = spec_of(fit)
    known = limits_of_rows(spec, frame_of(fit))
    if known is None or spec.limits.status is None:
        return
    many, rows = int(known.censored.sum()), len(known.censored)
    raise DataError(
        f"{what} needs responses that were observed, and {many:,} of {rows:,} are censored",
        hint="read cb.predictions and cb.effects, which are of the response without a limit, and "
        "compare models of censored rows by cb.loo",
        column=spec.limits.status,
    )


def need_no_limits(fit: xr.DataTree, what: str) -> None:
    """Refuse a fit of which some rows are censored, or others were not reported.

    ``what``: what cannot be had of it, such as "a design after a pilot".

    Raises
    ------
    DataError
        If the response is censored or truncated.
    """
    need_observed(fit, what)
    if spec_of(fit).limits.truncated:
        raise DataError(
            f"{what} needs rows of all responses, and these are truncated",
            hint="read cb.predictions and cb.effects, which are of all responses, those beyond the "
            "bounds too, and compare models of truncated rows by cb.loo",
        )


def need_no_measurements(fit: xr.DataTree, what: str) -> None:
    """Refuse a fit with covariates measured with error.

    ``what``: what cannot be had of it, such as "a design after a pilot".

    Raises
    ------
    DataError
        With the term.
    """
    if found := measured(spec_of(fit).formula):
        raise DataError(
            f"{what} needs covariates without error, and the formula has {found[0]}",
            hint="read cb.predictions, cb.effects and cb.dose, and compare models by cb.loo",
            column=found[0].column,
        )
