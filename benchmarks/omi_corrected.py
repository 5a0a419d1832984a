"""Writes docs/omi_corrected.md: effects of the OMI experiment's attributes, leaks taken out.

    python -m benchmarks.omi_corrected [folder of omi/ [store of embeddings [report]]]

With a folder for it, the analysis's report is written too, which has the effects side by side.

The outcome is SFace's distance of a pushed face from 49 strangers. What people see in the faces
is predicted, as in omi_leaks.py, but on the diagonal, where raters saw them.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import causalbias as cb
from benchmarks.omi_leaks import DOCS, markdown, matrix, predicted, weight_error
from causalbias.analyses import choose_analysis
from causalbias.report.page import write_report

PER = 10  # points that effects are stated by
SCALE = 1000  # thousandths of a unit of distance


def outcomes_of(faces, root, store):
    """Mean cosine distance of each face from the other seeds' faces at the middle level."""
    cube = cb.embed(cb.recognition.images_of(faces, root / "chips"), "sface", store=store)
    known = cube["embedding"].sel(system="sface").to_pandas().dropna()
    unit = known.div(np.sqrt((known**2).sum(axis=1)), axis=0)
    table = cb.to_frame(faces, "stimuli").set_index("stimulus")
    table = table.loc[table.index.isin(unit.index)]
    table = table.assign(level=table["level"].astype(int))
    rows = []
    for attribute, part in table.groupby("attribute", observed=True):
        middle = part[part["level"] == 1]
        distance = 1 - unit.loc[part.index] @ unit.loc[middle.index].T
        other = part["seed"].to_numpy()[:, None] != middle["seed"].to_numpy()
        mean = distance.where(other).mean(axis=1)
        rows.append(part.assign(attribute=str(attribute), outcome=SCALE * mean))
    return pd.concat(rows)[["seed", "attribute", "level", "outcome"]].reset_index(drop=True)


def scores_of(study, root):
    """Scores of the ten questions that were manipulated, and the sd of errors all seeds share."""
    scores, fits = predicted(root)
    _table, beside = matrix(study, scores, fits)
    faces = cb.to_frame(study, "stimuli").set_index("stimulus")[["seed", "attribute", "level"]]
    asked = list(beside.index)
    rows = scores[scores["question"].isin(asked)][["stimulus", "question", "score"]]
    rows = rows.join(faces, on="stimulus")
    rows = rows.assign(attribute=rows["attribute"].astype(str), level=rows["level"].astype(int))
    # Raters saw what was pushed: the mean move is theirs, the seeds' differences are predicted.
    missed = beside["measured"] - beside["predicted"]
    own = rows["attribute"] == rows["question"]
    shift = rows["question"].map(missed).astype(float) * (rows["level"] - 1) / 2
    rows = rows.assign(score=rows["score"] + shift.where(own, 0.0))
    misfit = float(np.sqrt((beside["miss"] ** 2).mean()))
    measured = cb.manipulation_checks.dose(study).query("level == 2").set_index("attribute")
    half = (measured["upper"] - measured["lower"]) / 2
    of_raters = half / stats.t.ppf(0.975, measured["n"] - 1)
    of_weights = weight_error(study, scores)
    errors = {}
    for attribute in asked:
        for question in asked:
            away = np.hypot(
                misfit * fits.loc[question, "residual"], of_weights[attribute, question]
            )
            errors[attribute, question] = of_raters[attribute] if attribute == question else away
    return rows, errors, measured["estimate"]


def told(table):
    return [
        f"{PER * one.estimate:+.1f} ({PER * one.lower:.1f} to {PER * one.upper:.1f})"
        for one in table.itertuples()
    ]


def figure(parts):
    """Effects by attribute, one colour a way of estimating."""
    shown, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    names = next(iter(parts.values()))["question"].tolist()
    for at, (label, table) in enumerate(parts.items()):
        y = np.arange(len(names)) + 0.22 * (at - 1)
        values = table.set_index("question").loc[names]
        middle = PER * values["estimate"]
        ends = [middle - PER * values["lower"], PER * values["upper"] - middle]
        axes.errorbar(middle, y, xerr=ends, fmt="osD"[at], markersize=4, label=label)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_xlim(-60, 60)
    axes.invert_yaxis()
    axes.set_xlabel(f"distance from strangers, thousandths for {PER} points (95% intervals)")
    shown.legend(loc="outside upper center", ncols=3, fontsize=8)
    return shown


def main():
    default = Path(os.environ.get("CAUSALBIAS_DATA", "../shared/data")) / "omi"
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    store = sys.argv[2] if len(sys.argv) > 2 else None
    study = cb.load("omi", root)
    outcomes = outcomes_of(study, root, store)
    scores, errors, measured = scores_of(study, root)
    whole = cb.leak_corrected(outcomes, scores, score_error=errors)
    believed = cb.leak_corrected(outcomes, scores)
    change = whole["outcome_change"].to_series()
    naive = whole.summary(of="naive")
    order = naive["estimate"].abs().sort_values(ascending=False).index
    naive, corrected, exact = (
        one.loc[order].reset_index(drop=True)
        for one in (naive, whole.summary(), believed.summary())
    )
    parts = {
        "naive": naive,
        "corrected, predictions taken as exact": exact,
        "corrected, their error carried": corrected,
    }
    cb.plots.write(figure(parts), DOCS / "omi_corrected.png")
    shown = pd.DataFrame(
        {
            "attribute": naive["question"],
            "seen, points": naive["question"].map(measured).map("{:.1f}".format),
            "distance moves": naive["question"].map(change).map("{:+.1f}".format),
            "naive": told(naive),
            "corrected, predictions exact": told(exact),
            "F": exact["conditional_f"].map("{:.1f}".format),
            "corrected, error carried": told(corrected),
            "F ": corrected["conditional_f"].map("{:.1f}".format),
            "prior share": corrected["prior_share"].map("{:.2f}".format),
        }
    )
    print(markdown(shown))
    page = DOCS / "omi_corrected.md"
    if len(sys.argv) > 3:
        analysis = choose_analysis(study)
        result = replace(analysis.run(study), corrected=whole)
        print(write_report(analysis.content(result), Path(sys.argv[3])))
    text = page.read_text()
    start, end = text.index("<!-- table -->"), text.index("<!-- /table -->")
    page.write_text(f"{text[:start]}<!-- table -->\n{markdown(shown)}\n{text[end:]}")


if __name__ == "__main__":
    main()
