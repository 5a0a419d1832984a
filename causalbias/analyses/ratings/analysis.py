"""Ratings of faces by people: reliability, groups of raters, and own-group effects."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import xarray as xr

from causalbias.agreement.generalisability import (
    RATERS,
    generalisability,
    variance_components,
)
from causalbias.agreement.intraclass import intraclass
from causalbias.analyses.fitting import fit_models, join
from causalbias.analyses.own_group import (
    answers_contrasted,
    check_groups,
    crossed,
    own_group_contrast,
    several,
)
from causalbias.arguments import number_in
from causalbias.datasets.answers import Answers, answers_in
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.estimands.contrasts import predictions
from causalbias.models.result import Fit
from causalbias.study.build import exclusions

REPEATED = 20  # combinations of rater and item with repeats, from which on their spread is known
ONE_TRAIT = "rating"


@dataclass(frozen=True, repr=False)
class Ratings(Listed):
    """Result of `analyse_ratings`.

    Attributes
    ----------
    answers : Answers
        The ratings, as columns `item`, `rater`, `rating`, `trait`, `item_group`, `rater_group`.
    fits : dict of str to Fit
        By trait.
    means : DataFrame
        By trait and groups: `mean`, `n` (ratings), `items`, `raters`. Plain means, no model.
    components : Estimate
        ``variance`` and ``share`` (chain, draw, component, trait); see `variance_components`.
    reliability : Estimate
        ``coefficient`` (chain, draw, kind, raters, trait); see `generalisability`.
    intraclass : DataFrame
        Of each trait (and group of items) in which every rater rated every item: `measure` and the
        columns of `intraclass`. Empty if there is none.
    group_means : Estimate or None
        ``prediction`` (chain, draw, item_group, rater_group, trait): mean in the population of
        items and raters; with groups of items alone, or of raters alone, without the other dim.
    own_group : Estimate or None
        ``effect`` (chain, draw, trait): mean of the cells in which item and rater are of one
        group, minus the mean of the cells in which they are not. Differences between groups of
        items, and between groups of raters, cancel. ``n`` (trait): ratings in these cells.
    consensus : Estimate or None
        ``correlation`` (chain, draw, trait): of the means that two groups of raters would give
        the items if they were infinitely many; below one, they see different things.
    prob : float
        Probability of the intervals.
    """

    answers: Answers
    fits: dict[str, Fit]
    means: pd.DataFrame
    components: Estimate
    reliability: Estimate
    intraclass: pd.DataFrame
    group_means: Estimate | None
    own_group: Estimate | None
    consensus: Estimate | None
    prob: float


def analyse_ratings(
    data: pd.DataFrame | str | Path,
    *,
    item: str,
    rater: str,
    rating: str,
    trait: str = "",
    item_group: str = "",
    rater_group: str = "",
    prob: float = 0.95,
    draws: int = 1000,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> Ratings:
    """Estimate how reliable ratings are, and whether raters favour items of their own group.

    One Gaussian model a trait, of the ratings as they are, so that raters who rated only some of
    the items are no matter: group means of items and of raters (crossed, where there are both),
    ``(1|item) + (1|rater)``, and interactions that the design can tell: ``(1|item:rater_group)``
    where groups of raters rated the same items, ``(1|rater:item_group)`` where raters rated items
    of several groups, ``(1|item:rater)`` where raters rated items again. Without the last two, an
    interval of an own-group effect would take ratings of one rater as independent. With groups of
    items, reliability is within them. Where fewer than 20 combinations of item and rater have
    several ratings, the first of each is taken.

    Parameters
    ----------
    data : DataFrame or path
        One row per rating, or a CSV, TSV or Parquet file of such rows.
    item, rater, rating : str
        Columns of what was rated, of who rated, and of the number.
    trait : str
        Column of what was asked, each of which has its model; by default all is one trait.
    item_group, rater_group : str
        Columns of the groups of items and of raters. Own-group effects need both, with the same
        names of groups in both.
    prob : float
        Probability of the intervals.
    draws, random_seed
        As in `fit`.
    progress, keep
        Called with a line of text before each model; directory of the fits.

    Returns
    -------
    Ratings
        Rows with a missing cell are left out, and ratings of an item that the rater rated before
        where fewer than 20 combinations of both have them; ``answers.excluded`` counts both.

    Raises
    ------
    DataError
        If a column is missing or a cell no number; if a trait has fewer than two items or raters;
        if an item or a rater is in two groups; if groups of items and raters share no name.

    Examples
    --------
    >>> import causalbias as cb
    >>> ratings = cb.simulation.simulate_ratings(items=12, raters=12, own_group=0.5)
    >>> found = cb.analyses.analyse_ratings(
    ...     ratings, item="item", rater="rater", rating="rating", item_group="item_group",
    ...     rater_group="rater_group", draws=100)
    >>> found.own_group["effect"].dims
    ('chain', 'draw', 'trait')
    """
    prob = number_in(prob, "prob", 0, 1)
    names = {"item": item, "rater": rater, "trait": trait}
    groups = {"item_group": item_group, "rater_group": rater_group}
    answers = answers_in(data, names | groups, {"rating": rating})
    answers.check_once()
    answers = _first_ratings(answers)
    frame = answers.frame if trait else answers.frame.assign(trait=ONE_TRAIT)
    check_groups(answers, {"item": "item_group", "rater": "rater_group"})
    parts = {str(one): part for one, part in frame.groupby("trait", sort=False, observed=True)}
    fits = fit_models(
        {name: (formula_of(_checked(rows, name, answers)), rows) for name, rows in parts.items()},
        progress=progress,
        keep=keep,
        draws=draws,
        random_seed=random_seed,
    )
    by = [one for one in groups if one in frame]
    cells = _group_means(fits, frame, by)
    return Ratings(
        answers,
        fits,
        means_of(frame, by),
        _by_trait({name: variance_components(fit) for name, fit in fits.items()}),
        _by_trait(
            {
                name: generalisability(fit, "item", "rater", raters=RATERS)
                for name, fit in fits.items()
            }
        ),
        _intraclass(parts, "item_group" in frame, prob),
        cells,
        _own_group(cells) if len(by) == 2 and cells is not None else None,
        _consensus(fits),
        prob,
    )


def _first_ratings(answers: Answers) -> Answers:
    """Leave out later ratings of an item by one rater, where they are too few for a term.

    Without the term ``(1|item:rater)`` they would count as other people's.
    """
    frame = answers.frame
    trait = frame["trait"].astype(str) if "trait" in frame else pd.Series("", index=frame.index)
    later = frame.assign(trait=trait).duplicated(["rater", "item", "trait"])
    cells = frame.assign(trait=trait)[later].drop_duplicates(["rater", "item", "trait"])
    often = cells["trait"].value_counts()
    gone = (later & (trait.map(often).fillna(0) < REPEATED)).to_numpy()
    if not gone.any():
        return answers
    why = f"the rater rated the item before (fewer than {REPEATED} were rated again)"
    notes = exclusions([(answers.name, "answers", why, int(gone.sum()))])
    return replace(
        answers,
        frame=frame[~gone].reset_index(drop=True),
        excluded=pd.concat([answers.excluded, notes], ignore_index=True),
        rows=answers.rows[~gone],
    )


def formula_of(rows: pd.DataFrame) -> str:
    """Formula of one trait's model: what its design can tell.

    Examples
    --------
    >>> import causalbias as cb
    >>> formula_of(cb.simulation.simulate_ratings(nested=True))
    'rating ~ item_group*rater_group + (1|item) + (1|item:rater_group) + (1|rater)'
    """
    groups = [one for one in ("item_group", "rater_group") if several(rows, one)]
    terms = ["*".join(groups) or "1", "(1|item)"]
    if "rater_group" in groups and crossed(rows, "item", "rater_group"):
        terms.append("(1|item:rater_group)")
    if (rows.groupby("rater", observed=True).size() > 1).any():
        terms.append("(1|rater)")
    if "item_group" in groups and crossed(rows, "rater", "item_group"):
        terms.append("(1|rater:item_group)")
    again = rows.groupby(["rater", "item"], observed=True).size() > 1
    if again.sum() >= REPEATED:
        terms.append("(1|item:rater)")
    return f"rating ~ {' + '.join(terms)}"


def _checked(rows: pd.DataFrame, trait: str, answers: Answers) -> pd.DataFrame:
    """Refuse a trait of which nothing could be said."""
    for one in ("item", "rater"):
        if rows[one].nunique() < 2:
            raise DataError(
                f"{trait}: there is only one {one}, {rows[one].iloc[0]!r}",
                hint="reliability needs two or more items and raters",
                file=answers.name,
                column=answers.columns[one],
            )
    if (rows.groupby("item", observed=True)["rater"].nunique() < 2).all():
        raise DataError(
            f"{trait}: no item was rated by two raters",
            hint="reliability needs items that several people rated",
            file=answers.name,
        )
    if rows["rating"].nunique() < 2:
        raise DataError(
            f"{trait}: all ratings are {rows['rating'].iloc[0]:g}",
            hint="reliability is undefined without variation",
            file=answers.name,
            column=answers.columns["rating"],
        )
    return rows


def _by_trait(parts: dict[str, xr.Dataset]) -> Estimate:
    """Estimates of all traits, with the trait as the last dim."""
    return join(parts, "trait").transpose("chain", "draw", ..., "trait")


def means_of(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Plain means by trait and groups."""
    grouped = frame.groupby(["trait", *by], observed=True, sort=False)
    found = grouped.agg(
        mean=("rating", "mean"),
        n=("rating", "size"),
        items=("item", "nunique"),
        raters=("rater", "nunique"),
    )
    return found.reset_index().sort_values(["trait", *by], kind="stable", ignore_index=True)


def _intraclass(parts: dict[str, pd.DataFrame], grouped: bool, prob: float) -> pd.DataFrame:
    """Intraclass correlations by analysis of variance, of tables without gaps."""
    found = []
    for trait, rows in parts.items():
        tables = rows.groupby("item_group", observed=True) if grouped else [("", rows)]
        for group, table in tables:
            size = table["item"].nunique() * table["rater"].nunique()
            if len(table) != size or table.duplicated(["item", "rater"]).any():
                continue
            if min(table["item"].nunique(), table["rater"].nunique()) < 2:
                continue
            each = intraclass(table, item="item", rater="rater", rating="rating", prob=prob)
            label = {"trait": trait, **({"item_group": str(group)} if grouped else {})}
            found.append(each.reset_index().assign(**label))
    if not found:
        return pd.DataFrame()
    whole = pd.concat(found, ignore_index=True)
    first = [one for one in ("trait", "item_group", "measure", "also") if one in whole]
    return whole[[*first, *whole.columns.drop(first)]]


def _group_means(fits: dict[str, Fit], frame: pd.DataFrame, by: list[str]) -> Estimate | None:
    """Means of each combination of groups, in the population of items and raters."""
    found: dict[str, xr.Dataset] = {}
    for trait, fit in fits.items():
        rows = frame[frame["trait"].astype(str) == trait]
        own = [one for one in by if several(rows, one)]
        if own == by and by:
            found[trait] = predictions(fit, by)
    return _by_trait(found) if found else None


def _own_group(cells: Estimate) -> Estimate | None:
    """The own-group contrast of the cells' means."""
    effect = own_group_contrast(cells["prediction"], "item_group", "rater_group")
    if effect is None:
        return None
    return estimate(
        xr.Dataset(
            {
                "effect": effect.transpose("chain", "draw", "trait"),
                "n": answers_contrasted(cells["n"], "item_group", "rater_group"),
            }
        ),
        variable="effect",
        of=[cells],
        estimand="own-group effect on ratings: raters and items of one group, minus of two",
        outcome="own-group effect on ratings",
        scale="response",
        population="new",
    )


def _consensus(fits: dict[str, Fit]) -> Estimate | None:
    """Correlation of what groups of raters find on average, U / (U + interaction)."""
    found: dict[str, xr.Dataset] = {}
    for trait, fit in fits.items():
        components = variance_components(fit)
        variance = components["variance"]
        if "item:rater_group" in variance["component"].values:
            item = variance.sel(component="item", drop=True)
            apart = variance.sel(component="item:rater_group", drop=True)
            found[trait] = estimate(
                xr.Dataset({"correlation": item / (item + apart), "n": components["n"]}),
                of=[fit],
                variable="correlation",
                estimand="correlation of the means of items by two groups of raters",
                outcome="correlation of groups of raters",
                scale="correlation",
                population="new",
            )
    return _by_trait(found) if found else None
