"""Tables of scores as benchmarks of photographs have them, of which the true rates are known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtri

from causalbias.arguments import generator, mapping_in, number_in, two_in, whole_in
from causalbias.errors import DataError

EXAMPLE = "rates={'system': {'group': (0.02, 0.1)}}"
SD = 0.05  # of distances of one kind: no distance is near zero


def simulate_scores(
    rates: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    persons: int = 300,
    pairs: int = 300,
    shared: float = 0.3,
    threshold: float = 0.5,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Simulate distances of genuine and impostor pairs of photographs with given error rates.

    A distance of a pair of kind k in group g is ``m_kg + sum_i u_i + e``: the mean at which a share
    of the pairs is on the wrong side of the threshold, an effect of each person of the pair, and
    noise; all are normal. The shares are those of new persons.

    Parameters
    ----------
    rates : mapping of system to mapping of group to (FMR, FNMR)
        True rates at the threshold, between 0 and 1.
    persons : int
        Of each group.
    pairs : int
        Genuine, and impostor, pairs of each group; both members are drawn at random.
    shared : float
        Share of the variance of distances that is due to the persons of a pair, from 0 to 1.
    threshold : float
        Distance at or below which a pair matches, above 0.5 or there, so that no distance is
        negative.
    random_seed : int

    Returns
    -------
    DataFrame
        In the columns of ``rfw-pairs``: `Class_ID_s1`, `img_id_s1`, `Class_ID_s2`, `img_id_s2`,
        `issame`, and ``<system>_cos_dist`` of each system. The group is in the ids of persons, as
        in ``a/p00001``. `read_scores` knows the layout by the systems "bupt" and "vgg"; for others,
        give it ``person="{group}/{id}", group="group"``, and ``score`` the columns of systems.

    Raises
    ------
    DataError
        If `rates` has no pair of rates for each system and group, systems have different groups, or
        there are fewer than two persons.

    Examples
    --------
    >>> table = simulate_scores({"bupt": {"a": (0.02, 0.1)}, "vgg": {"a": (0.01, 0.2)}})
    >>> table.columns[-2:].tolist(), len(table)
    (['bupt_cos_dist', 'vgg_cos_dist'], 600)
    """
    persons, pairs = whole_in(persons, "persons", 2), whole_in(pairs, "pairs", 1)
    shared, threshold = number_in(shared, "shared"), number_in(threshold, "threshold")
    if not 0 <= shared < 1:
        raise DataError(f"shared is {shared:g}", hint="give a share of variance, from 0 to below 1")
    for own in mapping_in(rates, "rates", EXAMPLE).values():
        for both in mapping_in(own, "rates", EXAMPLE).values():
            two_in(both, "rates", EXAMPLE)
    if not rates or len({frozenset(one) for one in rates.values()}) > 1:
        raise DataError("systems have different groups, or none", hint="give each the same groups")
    if threshold < 10 * SD:
        raise DataError(f"the threshold {threshold:g} is too near zero", hint="give 0.5 or more")
    rng = generator(random_seed)
    parts = []
    for group in next(iter(rates.values())):
        first = rng.integers(persons, size=2 * pairs)
        other = (first + rng.integers(1, persons, 2 * pairs)) % persons
        same = np.arange(2 * pairs) < pairs
        second = np.where(same, first, other)
        table = {
            "Class_ID_s1": [f"{group}/p{one:05d}" for one in first],
            "img_id_s1": np.arange(2 * pairs) * 2,
            "Class_ID_s2": [f"{group}/p{one:05d}" for one in second],
            "img_id_s2": np.arange(2 * pairs) * 2 + 1,
            "issame": same,
        }
        for system, own in rates.items():
            fmr, fnmr = (number_in(one, "rates", 0, 1) for one in own[group])
            mean = threshold + SD * np.where(same, ndtri(fnmr), -ndtri(fmr))
            effect = rng.normal(0, 1, (2, persons))  # on genuine and on impostor pairs
            both = (effect[1, first] + effect[1, second]) / 2**0.5
            of_pair = np.where(same, effect[0, first], both)
            noise = rng.normal(0, 1, 2 * pairs)
            table[f"{system}_cos_dist"] = mean + SD * (
                shared**0.5 * of_pair + (1 - shared) ** 0.5 * noise
            )
        parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)
