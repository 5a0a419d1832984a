"""Functions that recompute published values, one a quantity, by the package's public names.

Each takes the folder of its data set and the words of the column `arguments` in numbers.csv.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import xarray as xr

import causalbias as cb

# Shrout and Fleiss (1979), Psychological Bulletin 86(2), Table 2: six targets by four judges.
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
FIRST = "normal"  # the rating_type that is neither a repeat nor a fill-in
PLACES = {"largest": 0, "second": 1, "third": 2, "smallest": 3}


@dataclass(frozen=True)
class Value:
    """A recomputed value.

    Attributes
    ----------
    value : float
    n : str
        What it is of.
    lower, upper : float, optional
        95% interval. None for what is counted, not estimated.
    """

    value: float
    n: str
    lower: float | None = None
    upper: float | None = None


# 3dsk: ratings of 100 faces -----------------------------------------------------------------------


@cache
def _ratings(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "raw_3dsk_info.csv")


def ratings(folder: Path) -> Value:
    """Number of ratings."""
    return Value(len(_ratings(folder)), "rows")


def raters(folder: Path) -> Value:
    """Number of raters."""
    return Value(_ratings(folder)["rater_id"].nunique(), "raters")


def raters_of_each_kind(folder: Path) -> Value:
    """Raters of one gender, of one trait of faces of one gender; missing if these differ."""
    kinds = _ratings(folder).groupby(["face_gender", "trait", "rater_gender"])
    counts = kinds["rater_id"].nunique().unique()
    return Value(counts[0] if len(counts) == 1 else float("nan"), f"{kinds.ngroups} kinds")


def oldest_rater(folder: Path) -> Value:
    """Age of the oldest rater, in years."""
    people = _ratings(folder).drop_duplicates("rater_id")
    return Value(people["rater_age"].max(), f"{len(people):,} raters")


def mean_rating(folder: Path, trait: str, gender: str) -> Value:
    """Mean rating of all faces of a gender; the interval is over new faces and new raters."""
    table = _ratings(folder)
    rows = table[(table["trait"] == trait) & (table["face_gender"] == gender)]
    n = f"{rows['face_id'].nunique()} faces, {rows['rater_id'].nunique()} raters"
    return _mean(rows, "rating ~ 1 + (1|face_id) + (1|rater_id)", n)


def face_mean(folder: Path, trait: str, face: str) -> Value:
    """Mean rating of one face; the interval is over new raters."""
    table = _ratings(folder)
    rows = table[(table["trait"] == trait) & (table["face_id"] == face)]
    return _mean(rows, "rating ~ 1", f"{len(rows)} raters")


def _mean(rows: pd.DataFrame, formula: str, n: str) -> Value:
    """Plain mean of a formula's response, and the model's interval."""
    model = cb.summarise(cb.predictions(cb.fit(formula, rows), ())).iloc[0]
    n += "" if model["converged"] else "; the model failed its diagnostics"
    return Value(rows[formula.split()[0]].mean(), n, model["lower"], model["upper"])


# facesim3d: similarity of all pairs of 100 faces --------------------------------------------------


@cache
def _similarities(folder: Path) -> pd.DataFrame:
    return cb.datasets.read_facesim3d(folder)


@cache
def _agreement(folder: Path) -> pd.DataFrame:
    found = cb.analyses.analyse_alignment(
        _similarities(folder),
        face_a="face_a",
        face_b="face_b",
        judgement="3D",
        metrics=["2D"],
        group_a="gender_a",
        group_b="gender_b",
    )
    return found.found.summary().set_index("group")


def triplets(folder: Path) -> Value:
    """Number of triplets judged in both conditions: each is counted in the similarity of one pair.

    A similarity is a share of the triplets with each of the other faces.
    """
    pairs = _similarities(folder)
    others = pd.concat([pairs["face_a"], pairs["face_b"]]).nunique() - 2
    return Value(others * float(pairs[["2D", "3D"]].to_numpy().sum()), f"{len(pairs):,} pairs")


def rank_correlation(folder: Path, gender: str) -> Value:
    """Spearman's correlation of 2D with 3D; the interval is over new faces."""
    pairs, of_whom = _similarities(folder), _agreement(folder)
    group = of_whom.loc["all pairs" if gender == "all" else gender]
    if gender != "all":
        pairs = pairs[(pairs["gender_a"] == gender) & (pairs["gender_b"] == gender)]
    n = f"{len(pairs):,} pairs of {group['faces']:.0f} faces"
    value = pairs["2D"].corr(pairs["3D"], method="spearman")
    return Value(value, n, group["lower"], group["upper"])


# omi: single ratings of 1,004 generated faces -----------------------------------------------------


@cache
def _impressions(folder: Path) -> pd.DataFrame:
    return cb.to_frame(cb.load("omi-ratings", folder), "human")


def faces(folder: Path) -> Value:
    """Number of faces."""
    return Value(_impressions(folder)["seed"].nunique(), "faces")


def attributes(folder: Path) -> Value:
    """Number of attributes."""
    return Value(_impressions(folder)["question"].nunique(), "attributes")


def judgements(folder: Path) -> Value:
    """Number of single ratings of the generated faces."""
    return Value(len(_impressions(folder)), "ratings")


def means_reproduced(folder: Path) -> Value:
    """How many published means are those of the single ratings, to half of their tenth digit."""
    published = pd.read_csv(folder / "attribute_means.csv", index_col="stimulus")
    published.index = published.index.astype(str)
    ours = _impressions(folder).groupby(["seed", "question"])["score"].mean().unstack()
    same = (ours.loc[published.index, published.columns] - published).abs() < 5e-9
    return Value(int(same.to_numpy().sum()), f"{published.size:,} means")


def mean_impression(folder: Path, face: str, attribute: str) -> Value:
    """Mean of all ratings of a face; the interval is over new ratings, as raters are not known."""
    rows = _of_face(folder, face, attribute)
    return _mean(rows, "score ~ 1", f"{len(rows)} ratings")


def mean_of_first_ratings(folder: Path, face: str, attribute: str) -> Value:
    """Mean of the ratings of a face that are neither repeats nor fill-ins."""
    rows = _of_face(folder, face, attribute)
    rows = rows[rows["rating_type"] == FIRST]
    return _mean(rows, "score ~ 1", f"{len(rows)} ratings")


def _of_face(folder: Path, face: str, attribute: str) -> pd.DataFrame:
    table = _impressions(folder)
    return table[(table["seed"] == face) & (table["question"] == attribute)]


# rfw-pairs: two networks on photographs of four groups --------------------------------------------


@cache
def _pairs(folder: Path) -> pd.DataFrame:
    return cb.datasets.read_scores(folder).frame


@cache
def _rates(folder: Path) -> pd.DataFrame:
    rates = cb.error_rates(_pairs(folder), "race", fmr=0.01)
    return cb.summarise(rates).set_index(["rate_of", "system", "race"])


@cache
def _equal_error(folder: Path) -> pd.DataFrame:
    return cb.summarise(cb.equal_error_rate(_pairs(folder), "race")).set_index(["system", "race"])


@cache
def _accuracy(folder: Path) -> xr.Dataset:
    return cb.rates.verification_accuracy(_pairs(folder), "race")


def pairs(folder: Path, race: str) -> Value:
    """Number of pairs of a group that each network compared."""
    counts = _rates(folder).xs(race, level="race").groupby("system")["n"].sum()
    return Value(counts.iloc[0] if counts.nunique() == 1 else float("nan"), "rows")


def threshold(folder: Path, system: str) -> Value:
    """Distance at which 1% of all impostor pairs match."""
    found = cb.summarise(cb.threshold_at(_pairs(folder), 0.01)).set_index("system").loc[system]
    n = f"{found['n']:,.0f} impostor pairs"
    return Value(found["point"], n, found["lower"], found["upper"])


def false_matches(folder: Path, system: str, race: str) -> Value:
    """Impostor pairs of a group that match at that threshold."""
    found = _rates(folder).loc["FMR", system, race]
    return Value(found["errors"], f"{found['n']:,.0f} impostor pairs")


def false_nonmatch_rate(folder: Path, system: str, race: str) -> Value:
    """Share of a group's genuine pairs that do not match at that threshold."""
    found = _rates(folder).loc["FNMR", system, race]
    n = f"{found['n']:,.0f} genuine pairs"
    return Value(found["errors"] / found["n"], n, found["lower"], found["upper"])


def equal_error_rate(folder: Path, system: str, race: str) -> Value:
    """Rate at the threshold at which both error rates of a group are the same."""
    found = _equal_error(folder).loc[(system, race)]
    n = f"{found['n']:,.0f} genuine, {found['n_impostor']:,.0f} impostor pairs"
    return Value(found["point"], n, found["lower"], found["upper"])


def accuracy(folder: Path, system: str, place: str) -> Value:
    """Accuracy in percent, at each group's own threshold, of the group that is in this place."""
    table = cb.summarise(_accuracy(folder))
    table = table[table["system"] == system]
    found = table.sort_values("plug_in", ascending=False).iloc[PLACES[place]]
    n = f"{found['race']}: {found['n_genuine'] + found['n_impostor']:,.0f} pairs"
    return Value(100 * found["plug_in"], n, 100 * found["lower"], 100 * found["upper"])


def accuracy_sd(folder: Path, system: str) -> Value:
    """Standard deviation of the groups' accuracies, in percentage points."""
    table = cb.summarise(cb.rates.accuracy_indices(_accuracy(folder)))
    found = table.set_index(["index", "system"]).loc[("accuracy SD", system)]
    n = f"{found['groups']:.0f} groups"
    return Value(100 * found["plug_in"], n, 100 * found["lower"], 100 * found["upper"])


# in the code --------------------------------------------------------------------------------------


def intraclass_correlation(_folder: Path, measure: str) -> Value:
    """Intraclass correlation of Shrout and Fleiss' example, by McGraw and Wong's name."""
    wide = pd.DataFrame(SHROUT_FLEISS).rename_axis("target").rename_axis("judge", axis=1)
    long = wide.stack().rename("rating").reset_index()
    found = cb.agreement.intraclass(long, item="target", rater="judge", rating="rating")
    one = found.loc[measure]
    n = f"{one['items']} targets, {one['raters']} judges"
    return Value(one["estimate"], n, one["lower"], one["upper"])


FUNCTIONS = {
    one.__name__: one
    for one in (
        ratings,
        raters,
        raters_of_each_kind,
        oldest_rater,
        mean_rating,
        face_mean,
        triplets,
        rank_correlation,
        faces,
        attributes,
        judgements,
        means_reproduced,
        mean_impression,
        mean_of_first_ratings,
        pairs,
        threshold,
        false_matches,
        false_nonmatch_rate,
        equal_error_rate,
        accuracy,
        accuracy_sd,
        intraclass_correlation,
    )
}
