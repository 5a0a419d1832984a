"""Differences of what race changes, between systems and between kinds of pairs, made pair by pair.

Two systems see the same pairs, faces and seeds, and genuine and impostor pairs are of the same
faces, so that their estimates err together: a difference of two fits that are taken as independent
has an interval that is too wide, or too narrow. A joint model of all has correlated effects of
systems and kinds on each seed and face. What it says of a difference is said by a model of the
differences themselves, since differences of mixed models of one form, whatever the correlations of
their effects and of their noise, follow a mixed model of that form: the paired analysis of two
measurements, whose likelihood is the joint model's marginal one of the differences.

Systems ``s`` and ``t``, each in units ``u`` of its own:

    y_s / u_s - y_t / u_t ~ race*gender + race*step + (groups),   sigma ~ race*gender

The unit is the standard deviation of a system's distances between pairs of a cell, as of `compare`,
which makes metrics comparable. Its uncertainty is added to first order: ``effect_s (1 / u_s -
E[1 / u_s])`` with u_s drawn from the system's own fit.

Kinds, for an impostor pair of faces i and j and the mean distance ``g`` of a face's genuine pairs:

    y_ij - (g_i + g_j) / 2 ~ race*gender + race*step + (groups),   sigma ~ race*gender

by how much farther apart two persons are than two pictures of one of them. The means g err by
face, and are shared by all pairs of a face: the model's effects of faces hold their error.
"""

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd
import xarray as xr

from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.pairing import shuffled
from causalbias.draws.summaries import SAMPLE
from causalbias.estimands.contrasts import effects
from causalbias.estimands.pair_spread import pair_sd
from causalbias.models.fitted import fitted
from causalbias.models.result import Fit

SAME = 1e-6  # standard deviation of a difference, in units, below which two systems are one


def inverse_units[Key: Hashable](fits: Mapping[Key, Fit]) -> dict[Key, xr.DataArray]:
    """Draws (chain, draw) of one over each fit's standard deviation between pairs.

    They are shuffled, since fits of one random seed use the same random numbers.
    """
    found = {}
    for at, (key, fit) in enumerate(fits.items()):
        draws = xr.Dataset({"inverse": 1 / pair_sd(fitted(fit))})
        found[key] = shuffled(draws, random_seed=at)["inverse"]
    return found


def minus(first: str, second: str) -> str:
    """Name of a difference of two systems."""
    return f"{first} minus {second}"


def between_systems(
    first: pd.DataFrame,
    second: pd.DataFrame,
    first_scale: float,
    second_scale: float,
    *,
    reference: str,
) -> pd.DataFrame | None:
    """Rows of the pairs that two systems measured, with the difference of their scaled distances.

    Parameters
    ----------
    first, second : DataFrame
        Rows of one kind of pairs, with `pair`, `race`, `gender` and `distance`.
    first_scale, second_scale : float
        What distances are multiplied by: one over the system's unit.
    reference : str
        The race that the others are compared with.

    Returns
    -------
    DataFrame or None
        The first's rows, with `difference`. None if there are no common pairs of the groups that
        are compared, or if distances are equal, or multiples of each other.
    """
    other = (second_scale * second.set_index("pair")["distance"]).rename("other")
    both = first.join(other, on="pair", how="inner")
    both = both.assign(difference=first_scale * both["distance"] - both["other"])
    known = _has_groups(both, reference) and both["difference"].std() > SAME
    return both if known else None


def effect_between_systems(
    fit: Fit,
    own: Sequence[xr.Dataset],
    inverse: Sequence[xr.DataArray],
    *,
    reference: str,
    name: str,
) -> Estimate:
    """Effects of race on the first system less those on the second, in their units.

    Parameters
    ----------
    fit : Fit
        Of the scaled differences, `between_systems`.
    own : sequence of Dataset
        ``effect`` (chain, draw, race, gender) on each of the two, in units of distance.
    inverse : sequence of DataArray
        Draws of one over each unit.
    reference : str
        The race that the others are compared with.
    name : str
        Of the difference.

    Returns
    -------
    Estimate
        ``effect`` (chain, draw, race, gender).
    """
    scaled = effects(fit, "race", by="gender", reference=reference)
    first_order = [
        effect["effect"].mean(SAMPLE) * (one - one.mean())
        for effect, one in zip(own, inverse, strict=True)
    ]
    return estimate(
        scaled.assign(effect=scaled["effect"] + first_order[0] - first_order[1]),
        of=[scaled, *own],
        estimand=f"effect of race against {reference}, {name}",
        outcome="effect of race (sd between pairs)",
    )


def between_kinds(
    genuine: pd.DataFrame, impostor: pd.DataFrame, *, reference: str
) -> pd.DataFrame | None:
    """Impostor pairs, with their distance less the mean genuine distance of their two faces.

    Parameters
    ----------
    genuine, impostor : DataFrame
        Rows of one system with `face_a`, `face_b`, `race`, `gender`, `step` and `distance`.
    reference : str
        The race that the others are compared with.

    Returns
    -------
    DataFrame or None
        The rows whose faces have genuine pairs, with `difference`. None if these are not of the
        groups that are compared.
    """
    own = genuine_distances(genuine)
    members = [impostor[f"face_{side}"].map(own) for side in "ab"]
    apart = impostor["distance"] - (members[0] + members[1]) / 2
    both = impostor.assign(difference=apart)[apart.notna()]
    return both if _has_groups(both, reference) else None


def genuine_distances(genuine: pd.DataFrame) -> pd.Series:
    """Mean distance of each face's genuine pairs, as if it had been seen at every step.

    It is the mean over all rows of what the face's race has at their steps, and the mean deviation
    of the face's own rows from that: of complete designs, the face's mean.

    Examples
    --------
    >>> rows = pd.DataFrame({"face_a": ["x", "x", "y"], "race": "asian",
    ...                      "step": ["age 1", "age 2", "age 1"], "distance": [0.2, 0.6, 0.3]})
    >>> genuine_distances(rows).round(3).to_dict()  # of y, 0.05 above the mean of age 1
    {'x': 0.342, 'y': 0.417}
    """
    crossed = pd.crosstab(genuine["race"], genuine["step"]).to_numpy().min() > 0
    keys = ["race", "step"] if crossed else ["step"]
    expected = genuine.groupby(keys)["distance"].mean()
    often = genuine["step"].value_counts(normalize=True)
    average = expected.mul(often, level="step") if crossed else expected * often
    deviation = genuine["distance"] - genuine.groupby(keys)["distance"].transform("mean")
    by_face = deviation.groupby(genuine["face_a"]).mean()
    if not crossed:
        return by_face + average.sum()
    race = genuine.groupby("face_a")["race"].first()
    return by_face + race.map(average.groupby("race").sum()).astype(float)


def _has_groups(rows: pd.DataFrame, reference: str) -> bool:
    """Whether the reference race, another one and two genders are there."""
    several = all(rows[factor].nunique() > 1 for factor in ("race", "gender"))
    return several and reference in set(rows["race"])
