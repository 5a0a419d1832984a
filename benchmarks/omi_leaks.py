"""Writes docs/omi_leaks.md: what the manipulations of the OMI experiment leak.

    python benchmarks/omi_leaks.py [folder of omi/]

Each rater of that experiment saw one attribute. What its faces look like otherwise is predicted
from dlib's embeddings of them, by a model of the 34 mean ratings of the 1,004 numbered faces.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import causalbias as cb
from causalbias.stimuli.regression import out_of_fold, ridge
from causalbias.study.reading import read_arrays

DOCS = Path(__file__).parents[1] / "docs"
PROB = 0.95
GREY = ("brightness", "contrast", "sharpness")  # measures of quality in grey values


def arrays(path, column):
    found = read_arrays(path, ["name", "detected", "embedding"])
    names = pd.Series(found["name"].astype(str)).str.rsplit(".", n=1).str[0].rename(column)
    kept = found["detected"]
    return names[kept].reset_index(drop=True), found["embedding"][kept].astype(float)


def predicted(root, rng=0):
    """Predicted scores of the experiment's faces, and of each question's model its fit."""
    numbers, x = arrays(root / "embeddings_dlib_faces.npz", "stimulus")
    stimulus, moved = arrays(root / "embeddings_dlib_validation_artificial.npz", "stimulus")
    means = pd.read_csv(root / "attribute_means.csv").set_index("stimulus")
    ratings = means.loc[numbers.astype(int)]
    random = np.random.default_rng(rng)
    centre = x.mean(axis=0)
    scores, fits = [], {}
    for question in ratings:
        y = ratings[question].to_numpy()
        fit = ridge(x - centre, y, 400, random)
        guess = (moved - centre) @ np.column_stack([fit.weight, fit.draws.T])
        frame = pd.DataFrame(guess).add_prefix("draw_").rename(columns={"draw_0": "score"})
        scores.append(frame.assign(stimulus=stimulus, question=question))
        correlation = out_of_fold(x - centre, y, fit, random)
        fits[question] = {"correlation": correlation, "residual": fit.residual, "n": len(y)}
    return pd.concat(scores, ignore_index=True), pd.DataFrame(fits).T


def weight_error(study, scores):
    """Standard deviation over draws of the weights, by attribute and question."""
    faces = cb.to_frame(study, "stimuli").set_index("stimulus")[["attribute", "level"]]
    draws = [name for name in scores if name.startswith("draw_")]
    ends = scores.join(faces, on="stimulus").groupby(["attribute", "question", "level"])[draws]
    mean = ends.mean()
    change = mean.xs(2, level="level") - mean.xs(0, level="level")
    return change.std(axis=1).rename("of_weights")


def matrix(study, scores, fits):
    """The leak matrix with its errors but the model's, and the comparison with what raters said."""
    table = cb.manipulation_checks.leaks(study, scores)
    measured = cb.manipulation_checks.dose(study).query("level == 2").set_index("attribute")
    own = table[table["own"]].set_index("attribute")
    beside = pd.DataFrame(
        {
            "measured": measured["estimate"],
            "predicted": own["estimate"],
            "correlation": fits["correlation"].loc[own.index],
            "residual": fits["residual"].loc[own.index],
        }
    )
    beside["miss"] = (beside["measured"] - beside["predicted"]) / beside["residual"]
    half = (table["upper"] - table["lower"]) / 2
    errors = weight_error(study, scores)
    table = table.assign(
        seeds_only=table["clear"],
        of_seeds=half / stats.t.ppf((1 + PROB) / 2, table["n"] - 1),
        of_weights=[errors[key] for key in zip(table["attribute"], table["question"], strict=True)],
        residual=table["question"].map(fits["residual"]),
    )
    return table, beside


def with_misfit(table, miss):
    """The matrix with the model's misfit, known from the cells given, in its intervals."""
    of_model = np.sqrt((miss**2).mean()) * table["residual"]
    total = np.sqrt(table["of_seeds"] ** 2 + table["of_weights"] ** 2 + of_model**2)
    half = stats.t.ppf((1 + PROB) / 2, len(miss)) * total
    wide = table.assign(lower=table["estimate"] - half, upper=table["estimate"] + half)
    return wide.assign(clear=(wide["lower"] > 0) | (wide["upper"] < 0))


def markdown(table):
    head = f"| {' | '.join(table.columns)} |\n|{' --- |' * table.shape[1]}\n"
    return head + "\n".join(f"| {' | '.join(map(str, row))} |" for row in table.to_numpy())


def told_of(rows):
    return "; ".join(
        f"{row.attribute}: {row.question} {row.estimate:+.1f} ({row.lower:.1f} to {row.upper:.1f})"
        for row in rows.itertuples()
    )


def page(table, seen, beside, fits, quality):
    misfit = float(np.sqrt((beside["miss"] ** 2).mean()))
    less = float(np.sqrt((beside["miss"].drop("outgoing") ** 2).mean()))
    also = seen[~seen["own"] & seen["clear"]]
    off = table[~table["own"]]
    clear = off[off["clear"]].copy()
    clear = clear.loc[clear["estimate"].abs().sort_values(ascending=False).index]
    listed = pd.DataFrame(
        {
            "manipulated": clear["attribute"],
            "perceived": clear["question"],
            "change": clear["estimate"].map("{:.1f}".format),
            "95% interval": [
                f"{low:.1f} to {high:.1f}"
                for low, high in zip(clear["lower"], clear["upper"], strict=True)
            ],
            "fit r": clear["question"].map(fits["correlation"]).map("{:.2f}".format),
        }
    )
    shown = beside.reset_index(names="attribute")
    for name in ("measured", "predicted", "residual"):
        shown[name] = shown[name].map("{:.1f}".format)
    for name in ("correlation", "miss"):
        shown[name] = shown[name].map("{:.2f}".format)
    fit = fits.sort_values("correlation")["correlation"].map("{:.2f}".format)
    bright = quality[quality["clear"] & quality["question"].isin(GREY)]
    dull = bright.loc[bright["estimate"].abs().sort_values(ascending=False).index].head(6)
    quality_told = "; ".join(
        f"{row.attribute} {row.question} {row.estimate:+.1f} ({row.lower:.1f} to {row.upper:.1f})"
        for row in dull.itertuples()
    )
    race = ["asian", "black", "white"]
    told = told_of(clear[clear["question"].isin(race)]) or "none clear"
    told_less = told_of(also[also["question"].isin(race)])
    return f"""# What the manipulations of the OMI experiment leak

`python benchmarks/omi_leaks.py` writes this page from the data of Peterson et al. (2022, PNAS
119(17), e2115228119): 50 seeds, ten attributes, each pushed from -0.5 to +0.5 SD.

Each rater of the experiment scored one attribute, so its own answers cannot show what else changed.
Here the other columns are **predictions**: for each of the 34 questions, a ridge regression of the
mean rating of {int(fits["n"].max()):,} other faces of the same generator on their dlib embeddings
(128 features), applied to the embeddings of the 1,500 manipulated faces. Nobody was asked these
questions about these faces.

![Leak matrix](omi_leaks.png)

*Change of the predicted mean rating (scale 0 to 100) from the lowest to the highest level, mean of
50 seeds. Bold: the 95% interval excludes zero. Boxes: the manipulated attribute itself.*

## How far the model can be trusted
Out-of-fold correlations of prediction and mean rating, from worst to best:
{", ".join(f"{name} {value}" for name, value in fit.items())}.

On the diagonal, and only there, predictions can be set beside what raters said of the same faces:

{markdown(shown)}

`residual`: standard deviation of a face's mean rating about its prediction; `miss`: measured minus
predicted, in those units. The embedding is made to ignore expression, and misses most of
*outgoing*. The root mean square of the misses, {misfit:.2f} residual standard deviations,
is carried as an error of every cell, with that of the weights and that of 50 seeds; t intervals on
10 degrees of freedom, as ten cells tell the misfit. That assumes that off the diagonal the model is
wrong by about as much.

## What is clear nevertheless
{len(clear)} of {len(off)} cells off the diagonal have intervals that exclude zero:

{markdown(listed)}

Intervals are one by one; of so many cells without a leak about {0.05 * len(off):.0f} would be clear
if their errors were independent, so that those which only just exclude zero prove little. With the
seeds' error alone {int(off["seeds_only"].sum())} would seem clear: most of these cannot be told
from the model's own error. What that error is rests on few cells: without *outgoing*, whose cause
of failure is known, the misfit is {less:.2f} and {len(also)} cells are clear, among them
{told_less}.

Of the images themselves (measured, not predicted): {int(quality["clear"].sum())} of {len(quality)}
changes of {", ".join(sorted(set(quality["question"])))}
exclude zero. The largest of those in grey values (0 to 255): {quality_told}.

## What it means for the claims
- The experiment pushes one *rating* at a time along a direction that, as these numbers suggest, is
  not orthogonal to the others. What it estimates is the effect of moving a face to where people
  see more of an attribute, with all that comes along, and not of that attribute alone.
- Perceived race moves with some of them ({told}). A distance or an error rate of a network along
  these attributes may be one of perceived race, and must not be read as an effect of the attribute
  in the name.
- Where a number is grey, a leak is not shown to be absent: the intervals are wide, and dlib's
  embedding is blind to much of expression, pose and lighting.
- The same faces rated on all attributes by people would settle it: `cb.design` plans that,
  `cb.manipulation_checks.leaks` reads it.
"""


def main():
    default = Path(os.environ.get("CAUSALBIAS_DATA", "../shared/data")) / "omi"
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    study = cb.load("omi", root)
    scores, fits = predicted(root)
    table, beside = matrix(study, scores, fits)
    seen = with_misfit(table, beside["miss"].drop("outgoing"))
    table = with_misfit(table, beside["miss"])
    from causalbias.manipulation_checks.images import image_scores

    quality = cb.manipulation_checks.leaks(
        study, image_scores(cb.recognition.images_of(study, root / "chips"))
    )
    figure = cb.plots.leak_matrix(table, unit="points of 100")
    cb.plots.write(figure, DOCS / "omi_leaks.png")
    (DOCS / "omi_leaks.md").write_text(page(table, seen, beside, fits, quality))
    print((DOCS / "omi_leaks.md").read_text())


if __name__ == "__main__":
    main()
