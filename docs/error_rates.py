"""Writes docs/error_rates.md and its figures: false matches of dlib on 1,004 rated faces.

    python docs/error_rates.py path/to/omi

The directory holds `embeddings_dlib_faces.npz`, `attribute_means.csv` and `attribute_ratings.zip`.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import beta

import causalbias as cb

HERE = Path(__file__).parent
THRESHOLD = 0.6  # dlib's published one, on the Euclidean distance
RACES = ["asian", "black", "white"]
IMPUTATIONS, DRAWS = 100, 40
PROB = 0.95


def read(root: Path) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Embeddings, and each face's mean ratings and their standard errors, in the same order."""
    with np.load(root / "embeddings_dlib_faces.npz", allow_pickle=False) as arrays:
        found = arrays["detected"]
        faces = [int(name.removesuffix(".jpg")) for name in arrays["name"][found]]
        embeddings = arrays["embedding"][found]
    columns = [*RACES, "gender"]
    means = pd.read_csv(root / "attribute_means.csv").set_index("stimulus")[columns]
    ratings = pd.read_csv(root / "attribute_ratings.zip")
    ratings = ratings[ratings["attribute"].isin(columns) & (ratings["rating_type"] == "normal")]
    ratings = ratings.assign(stimulus=pd.to_numeric(ratings["stimulus"], errors="coerce"))
    errors = ratings.groupby(["stimulus", "attribute"])["rating"].sem().unstack()[columns]
    return embeddings, means.loc[faces], errors.loc[faces]


def groups_of(means: pd.DataFrame) -> np.ndarray:
    """Perceived group: the largest of the races' means if over 50, gender by 50; else ""."""
    race = means[RACES].idxmax(axis=1)
    gender = np.where(means["gender"] > 50, "male", "female")
    return np.where(means[RACES].max(axis=1) > 50, race + " " + gender, "")


def rates_of(embeddings: np.ndarray, group: np.ndarray, **options: int) -> xr.Dataset:
    """False match rate of each two groups at dlib's threshold."""
    kept = group != ""
    counts = cb.all_pairs(embeddings[kept], group[kept], thresholds=THRESHOLD)
    return cb.rates.all_pairs_rates(counts, **options).isel(threshold=0, drop=True)


def carry(
    embeddings: np.ndarray, means: pd.DataFrame, errors: pd.DataFrame
) -> tuple[xr.Dataset, np.ndarray]:
    """Draws over what the groups may be; and in what share of them a face changes its group."""
    rng = np.random.default_rng(1)
    parts, changed = [], []
    first = groups_of(means)
    for at in range(IMPUTATIONS):
        group = groups_of(means + errors * rng.normal(size=means.shape))
        changed.append(group != first)
        parts.append(rates_of(embeddings, group, draws=DRAWS, seed=at)["rate"])
    draws = xr.concat(parts, "draw").assign_coords(draw=np.arange(IMPUTATIONS * DRAWS))
    rates = rates_of(embeddings, first)
    return rates.drop_vars("rate").drop_dims("draw").assign(rate=draws), np.mean(changed, axis=0)


def within(rates: xr.Dataset) -> xr.Dataset:
    """Rates of pairs within one group, as `error_rates` names them."""
    groups = rates["group"].values
    same = xr.concat([rates.sel(group=one, other=one, drop=True) for one in groups], "group")
    same = same.assign_coords(group=groups).expand_dims(rate_of=["FMR"], system=["dlib"])
    return same.transpose("chain", "draw", "rate_of", "system", "group").assign_attrs(rates.attrs)


def table_of(rates: xr.Dataset, fixed: xr.Dataset, faces: pd.Series) -> pd.DataFrame:
    """One row a group: the rate with three intervals."""
    one, given = (cb.summarise(part, prob=PROB).set_index("group") for part in (rates, fixed))
    tail = (1 - PROB) / 2
    ends = [
        beta.ppf(at, one["errors"] + 0.5, one["n"] - one["errors"] + 0.5) for at in (tail, 1 - tail)
    ]
    percent = "{:.1f}".format
    return pd.DataFrame(
        {
            "perceived group": one.index,
            "faces": faces.loc[one.index].map("{:,}".format).to_numpy(),
            "impostor pairs": one["n"].map("{:,.0f}".format).to_numpy(),
            "worth": one["n_effective"].map("{:,.0f}".format).to_numpy(),
            "FMR %": (100 * one["errors"] / one["n"]).map(percent).to_numpy(),
            f"{100 * PROB:g}% interval": _interval(one),
            "groups taken as sure": _interval(given),
            "plain binomial": [
                f"{percent(100 * low)} to {percent(100 * high)}"
                for low, high in zip(*ends, strict=True)
            ],
        }
    )


def _interval(table: pd.DataFrame) -> list[str]:
    return [f"{100 * row.lower:.1f} to {100 * row.upper:.1f}" for row in table.itertuples()]


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    rows = [table.columns.tolist(), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def ratio_table(rates: xr.Dataset) -> pd.DataFrame:
    """Ratios to the geometric mean, and the indices of one error rate."""
    ratios = cb.summarise(cb.rates.rate_ratios(rates), prob=PROB)
    indices = cb.summarise(cb.rates.fairness_indices(rates), prob=PROB)
    rows = [
        (
            f"{row.group}, to the geometric mean",
            f"{row.estimate:.2f}",
            f"{row.lower:.2f} to {row.upper:.2f}",
            "1",
        )
        for row in ratios.itertuples()
    ] + [
        (
            row.index,
            f"{row.estimate:.2f}",
            f"{row.lower:.2f} to {row.upper:.2f}",
            f"{row.if_equal:.2f}",
        )
        for row in indices.rename(columns={"index": "name"})
        .assign(index=indices["index"])
        .itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=["", "estimate", f"{100 * PROB:g}% interval", "if equal"])


TEXT = """# Who is mistaken for whom: false matches on 1,004 rated faces

<!-- Written by docs/error_rates.py; change that, not this. -->

The One Million Impressions set (Peterson, Uddenberg, Griffiths, Todorov and Suchow 2022, doi
10.1073/pnas.2115228119; CC BY-NC-SA 4.0) has 1,004 faces drawn by a generator, each rated by
people. dlib's face recognition network takes two faces for one person where their distance is at
{threshold} or below. No two of these faces are of one person, so every match is a false one: the
share of pairs that match is the false match rate (FMR).

{n_faces:,} faces have a perceived race (the largest of the mean ratings of asian, black and white,
if over 50) and a perceived gender (mean rating over or under 50); {n_none} have none and are left
out. Pairs are of two faces of one group.

{table}

- **worth**: how many independent pairs would tell the rate as well. A face that looks like many
  others is in many matches at once, so pairs that share a face are not separate evidence.
- **{prob:g}% interval**: allows for the faces that pairs share, and for the groups being
  uncertain: people disagree, and {n_moved} faces change group in more than a tenth of
  {imputations} draws of what all raters would say on average (each mean rating by its standard
  error). The rate is that of the groups as the mean ratings give them.
- **groups taken as sure**: without the second.
- **plain binomial**: as if every pair were evidence of its own. It is {low:.1f} to {high:.1f} times
  too short.

![Distances by group](figures/scores.png)

![False match rate of each two groups](figures/group_pairs.png)

How far apart the groups are, with what the indices would be had all groups one rate and these
numbers of faces ("if equal"; an index near that says nothing):

{ratios}

The ratio of the largest rate to the geometric mean is NIST's (IR 8429, 2022), and the Gini
coefficient that of GARBE (Howard et al. 2022, arXiv 2203.05051). Indices of both errors need
genuine pairs, of which there are none here.

## What this does not show

- **It does not show that the network is biased.** The generator may draw asian women more alike
  than white men; the table cannot tell a narrow generator from a narrow network. For that,
  faces must differ in race and in nothing else, or people must say how alike the pairs are (see the
  identity analysis).
- **Groups are perceived, not identities.** They are what raters saw in faces of
  nobody; thresholds at 50 are ours.
- **Impostors of one group only.** Over all pairs, whatever their groups, rates are far lower: see
  the other cells of the heat map. A rate without its cohort means little.
- **Rates are high** since generated faces are more alike than people are, and 0.6 was set on
  photographs. No genuine pairs: nothing is said of false non-matches.
- Few black faces carry their rows; their intervals say so.
- Intervals are about faces drawn like these by the same generator, not about people.
"""


def main() -> None:
    """Write the page."""
    root = Path(sys.argv[1])
    embeddings, means, errors = read(root)
    group = groups_of(means)
    carried, moved = carry(embeddings, means, errors)
    rates, fixed = within(carried), within(rates_of(embeddings, group, draws=4000))
    kept = group != ""
    counts = cb.all_pairs(embeddings[kept], group[kept], thresholds=THRESHOLD, bins=150)
    sizes = pd.Series(group[kept]).value_counts()
    cb.plots.write(
        cb.plots.score_distributions(
            counts.sel(kind=["impostor"]),
            threshold=THRESHOLD,
            xlabel="dlib distance",
            note="Pairs of two faces of one perceived group; 1,004 generated faces.",
        ),
        HERE / "figures" / "scores.png",
    )
    cb.plots.write(
        cb.plots.rate_heatmap(
            carried,
            prob=PROB,
            note=f"Percent of pairs below {THRESHOLD}, {100 * PROB:g}% intervals. White: too few "
            "matches to state a rate.",
        ),
        HERE / "figures" / "group_pairs.png",
    )
    narrow = rates["deft"].values
    text = TEXT.format(
        threshold=THRESHOLD,
        n_faces=int(kept.sum()),
        n_none=int((~kept).sum()),
        table=markdown(table_of(rates, fixed, sizes)),
        prob=100 * PROB,
        imputations=IMPUTATIONS,
        n_moved=int((moved > 0.1).sum()),
        low=float(narrow.min()),
        high=float(narrow.max()),
        ratios=markdown(ratio_table(rates)),
    )
    (HERE / "error_rates.md").write_text(text)


if __name__ == "__main__":
    main()
