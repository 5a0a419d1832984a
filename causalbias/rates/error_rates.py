"""False match and false non-match rates by group, with intervals that allow for shared seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import flag_in
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.summaries import RATE
from causalbias.rates.assembly import (
    cube,
    facts_of,
    rates_cube,
    sampler,
    shares_at,
    shares_each,
)
from causalbias.rates.cells import cells_of, check_cohort, group_pair_cells, left_out
from causalbias.rates.comparisons import Comparisons, comparisons
from causalbias.rates.groups import in_words
from causalbias.rates.thresholds import Threshold, thresholds_for

RATES = {"impostor": "FMR", "genuine": "FNMR"}
GENERALISED = {"impostor": "GFMR", "genuine": "GFNMR"}


def error_rates(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    by: str | Sequence[str],
    *,
    threshold: Threshold | None = None,
    fmr: float | None = None,
    cohort: str = "same",
    match: str | Sequence[str] = (),
    genuine: pd.DataFrame | pd.Series | None = None,
    generalised: bool = False,
    draws: int = 1000,
    random_seed: int = 0,
) -> Estimate:
    """Estimate false match rates of impostor and false non-match rates of genuine pairs, by group.

    A pair matches if its distance is at or below the threshold (NIST's convention, see `matching`).
    The rates refer to the population of seeds at a given threshold: that of the system, a number,
    or the threshold at which all impostor pairs of the cohort together have the rate `fmr` (see
    `threshold_at`, also for thresholds that are set on other pairs or for each group).

    Pairs that share a seed are dependent. The draws account for this (see `draw_shares`): each rate
    has the precision of `n_effective` independent comparisons, which is estimated from the errors
    and, if there are few, from all distances (`design_effect`). Rates of groups that were rendered
    from the same seeds have dependent draws, so that draws of differences and ratios are valid.

    Parameters
    ----------
    data : Study, DataFrame or Comparisons
        See `comparisons` for a frame's columns.
    by : str or sequence of str
        Factors whose combinations are the groups, such as ``["race", "gender"]``.
    threshold : float, mapping of system to float, or Dataset, optional
        Threshold in units of the distance; a Dataset is a result of `threshold_at`.
    fmr : float, optional
        Target false match rate, instead of a threshold.
    cohort : {"same", "cross", "all"}
        Impostor pairs of a group: those with both members in it ("same", the default, which gives
        the highest rates), with exactly one member ("cross"), or both kinds ("all"). Report the
        choice, since the rates depend on it.
    match : str or sequence of str
        Other factors in which both members of an impostor pair must agree.
    genuine : DataFrame or Series, optional
        Uncertain ground truth: the probability, by `pair`, that it shows one person, or the frame
        from `consensus`. An uncertain pair then counts for both kinds, by a probability that also
        depends on whether it matches (see `kind_probability`). This is valid where, given what a
        pair is, people's uncertainty is independent of the system's distance.
    generalised : bool
        Count a failure to enrol as a comparison that does not match (GFNMR and GFMR of ISO/IEC
        19795-1), rather than leave it out.
    draws, random_seed : int
        Number of draws, and seed of the random numbers.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, rate_of, system, *by), `rate_of` "FMR" and "FNMR", or "GFMR" and
        "GFNMR"; kinds without pairs are left out. Beside it, without chain and draw: ``errors``,
        ``n`` (comparisons), ``failed`` (comparisons without distance), ``disjoint`` (comparisons
        that share no seed, at most), ``n_effective``; ``deft``: square root of the design effect,
        how many times too short the plain binomial interval is; ``smallest_rate``: what these pairs
        can support, 3 over `n_effective` (the rule of three); ``supported``: whether the rate is
        not below that; ``top_share``: share of the errors that involve the 5% of seeds with the
        most errors (if it is near 1, the rate in another sample of seeds may be very different);
        ``few_identities``: whether it is more than half, of ten errors or more, with two errors or
        more for each of those seeds that make up this half; the coverage of
        90% intervals of such rates was 60 to 90% in simulations; ``within_30_percent``: whether
        there are thirty errors (rule of thirty); ``threshold``. Tables do not report a rate that is
        not supported, only its upper limit.

    Raises
    ------
    DataError
        If the pairs cannot be used. The error names column and row, and gives a hint.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=20, people=None, levels={"pose": [-3, 0, 3]}, impostors=20)
    >>> rates = cb.error_rates(study, by=["race", "gender"])
    >>> rates["rate"].dims
    ('chain', 'draw', 'rate_of', 'system', 'race', 'gender')
    >>> cb.summarise(rates).columns[:7].tolist()
    ['rate_of', 'system', 'race', 'gender', 'estimate', 'sd', 'lower']
    """
    check_cohort(cohort)
    flag_in(generalised, "generalised")
    pairs = comparisons(data, by, match=match, genuine=genuine)
    at = thresholds_for(pairs, threshold, fmr, cohort)
    names = GENERALISED if generalised else RATES
    found = [
        (cell, shares_at(cell, np.array([at(cell)])))
        for cell in cells_of(pairs, cohort, generalised=generalised)
    ]
    rates = rates_cube(
        [((names[cell.kind], cell.system, *cell.group), cell, one) for cell, one in found],
        ["rate_of", "system", *pairs.by],
        sampler(pairs.n_seeds, draws, random_seed),
        pairs.levels,
        figure="group_rates",
        cohort=cohort,
        match=",".join(pairs.match),
        left_out=left_out(pairs, cohort),
        assumes=pairs.several or None,
        estimand=f"error rates by {', '.join(pairs.by)}, in the population of seeds",
    )
    known = {(cell.system, *cell.group): {"threshold": at(cell)} for cell, _ in found}
    rates["threshold"] = cube(known, ["system", *pairs.by], levels=pairs.levels)["threshold"]
    if isinstance(threshold, xr.Dataset) and "cohort" in threshold.attrs:
        # A target that was set on other impostor pairs is not met on these.
        rates = rates.assign_attrs(threshold_cohort=threshold.attrs["cohort"])
    return rates


def error_rates_along(
    pairs: Comparisons,
    system: str,
    thresholds: np.ndarray,
    *,
    draws: int = 1000,
    random_seed: int = 0,
) -> Estimate:
    """Estimate error rates by group of one system at each of several thresholds.

    Parameters
    ----------
    pairs : Comparisons
    system : str
    thresholds : ndarray (n,)
        In units of the distance, each once.
    draws, random_seed : int
        As in `error_rates`.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, threshold, rate_of, *by) and the facts of `error_rates`: at each
        threshold what that gives, draw by draw. Pairs are counted once for all.
    """
    draw = sampler(pairs.n_seeds, draws, random_seed)
    entries = {}
    for cell in cells_of(pairs):
        if cell.system != system:
            continue
        each = list(shares_each(cell, thresholds, draws))
        facts = [facts_of(cell, one) for one in each]
        entries[RATES[cell.kind], *cell.group] = {
            "rate": np.hstack([draw(cell, one) for one in each]),
            **{name: np.concatenate([one[name] for one in facts]) for name in facts[0]},
        }
    found = cube(entries, ["rate_of", *pairs.by], {"threshold": thresholds}, pairs.levels)
    found["rate"].attrs["quantity"] = RATE
    return estimate(found, of=(), scale="probability", outcome="rate", cohort="same")


def group_pair_rates(
    data: xr.DataTree | pd.DataFrame | Comparisons,
    by: str | Sequence[str],
    *,
    threshold: Threshold | None = None,
    fmr: float | None = None,
    genuine: pd.DataFrame | pd.Series | None = None,
    draws: int = 1000,
    random_seed: int = 0,
) -> Estimate:
    """Estimate false match rates of impostor pairs within and between groups.

    Parameters
    ----------
    data, by, threshold, fmr, genuine, draws, random_seed
        As in `error_rates`. A target `fmr` is the rate of all impostor pairs together; thresholds
        by group cannot be used.

    Returns
    -------
    Estimate
        ``rate`` (chain, draw, system, group, other), which is symmetric in both groups, and the
        other variables of `error_rates`; `group` and `other` are names made of the values of `by`.

    Raises
    ------
    DataError
        As in `error_rates`.

    Examples
    --------
    >>> import pandas as pd
    >>> faces = pd.DataFrame({"seed": range(12), "race": ["a", "b"] * 6}).assign(one=1)
    >>> pairs = faces.merge(faces, on="one", suffixes=("_a", "_b")).query("seed_a < seed_b")
    >>> pairs = pairs.assign(same_identity=False, distance=(pairs.seed_a * pairs.seed_b) % 7)
    >>> rates = group_pair_rates(pairs, "race", threshold=2)
    >>> rates["n"].sel(system="system").values
    array([[15., 36.], [36., 15.]])
    """
    pairs = comparisons(data, by, genuine=genuine)
    at = thresholds_for(pairs, threshold, fmr, "all")
    found = []
    for cell in group_pair_cells(pairs):
        shares = shares_at(cell, np.array([at(cell)]))
        ways = {cell.group, cell.group[::-1]}
        found += [((cell.system, *way), cell, shares) for way in ways]
    draw = sampler(pairs.n_seeds, draws, random_seed)
    names = in_words(pairs.groups)
    levels = pairs.levels | {"group": names, "other": names}
    return rates_cube(
        found,
        ["system", "group", "other"],
        draw,
        levels,
        figure="rate_heatmap",
        cohort="each two groups",
        left_out=left_out(pairs, "all"),
        assumes=pairs.several or None,
        estimand=f"false match rates of each two groups by {', '.join(pairs.by)}",
    )
