"""What the estimates of an analysis depend on: priors, and single seeds or raters."""

from collections.abc import Callable, Sequence

import pandas as pd
import xarray as xr

from causalbias.analyses.identity.analysis import Identity
from causalbias.analyses.manipulation.analysis import Manipulation
from causalbias.errors import DataError
from causalbias.estimands.contrasts import effects
from causalbias.model_checks.sensitivity import sensitivity
from causalbias.models.result import frame_of

Estimand = Callable[[xr.DataTree], xr.Dataset]


def dependence(result: Manipulation | Identity) -> pd.DataFrame:
    """Sensitivity of each effect of an analysis, without fitting anything again.

    Parameters
    ----------
    result : Manipulation or Identity
        Of the first, the changes that people see, by rater; of the second, the effects of race,
        by seed. Pairs of two seeds share seeds, and so nothing is told of single ones: see
        `influence`, which fits the model again without each.

    Returns
    -------
    DataFrame
        `fit`, and the columns of `sensitivity`.
    """
    parts = []
    for name, fit in result.fits.items():
        estimand, over = _of_fit(result, name)
        if estimand is None or frame_of(fit)[over].stack().nunique() < 3:
            continue
        try:
            found = sensitivity(fit, estimand, over=over, refit="never", prob=result.prob)
        except DataError:  # a level that one seed alone has: no rest to compare with
            continue
        parts.append(found.assign(fit=name))
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    return table[["fit", *(column for column in table if column != "fit")]]


def _of_fit(result: Manipulation | Identity, name: str) -> tuple[Estimand | None, Sequence[str]]:
    """The estimand of one of the fits, and whose influence on it is asked about."""
    if isinstance(result, Manipulation):
        if not name.startswith("human: "):
            return None, []
        return lambda fit: effects(fit, "level"), ["annotator"]
    reference = result.reference

    def of_race(fit: xr.DataTree) -> xr.Dataset:
        return effects(fit, "race", by="gender", reference=reference)

    genuine = name.endswith(", genuine")
    return of_race, ["seed"] if genuine else ["seed_a", "seed_b"]
