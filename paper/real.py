"""The One Million Impressions experiment: perceived change, distance, and false matches."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# The analyses behind docs/omi.md and docs/error_rates.md.
from error_rates import carry, groups_of, rates_of, read, within
from omi import comparisons
from results import Results, chance, estimate, plain

import causalbias as cb
from causalbias.analyses import Manipulation

SURE = 0.95  # probability from which on one is said to be the larger
SHOWN = ("familiar", "outgoing")  # attributes whose faces are shown


def manipulation(settings: dict[str, Any], folder: Path, data: Path) -> Results:
    """How far each push moves people and dlib's network."""
    study = cb.load("omi", data / "omi")
    prob = settings["prob"]
    result = cb.analyses.analyse_manipulation(
        study, prob=prob, draws=settings["draws"], random_seed=settings["seed"]
    )
    found = Results(failures=[f for one in result.fits.values() for f in cb.failures(one)])
    _sizes(found, study)
    _pushes(found, folder, result)
    if (data / "omi" / "chips").is_dir():
        faces = cb.to_frame(study, "stimuli")
        faces = faces[(faces["seed"] == faces["seed"].min()) & faces["attribute"].isin(SHOWN)]
        figure = cb.plots.face_strip(faces, cb.recognition.images_of(study, data / "omi" / "chips"))
        told = f"One generated face at three levels of {' and of '.join(SHOWN)}."
        found.figure(folder, "omi-faces", figure, told)
    return found


def _sizes(found: Results, study: cb.Study) -> None:
    human = cb.to_frame(study, "human")
    stimuli = cb.to_frame(study, "stimuli")
    per = human.groupby("attribute")["annotator"].nunique()
    counts = {
        "raters": human["annotator"].nunique(),
        "raters-each": int(per.min()),
        "seeds": stimuli["seed"].nunique(),
        "attributes": len(per),
        "faces": len(stimuli),
        "levels": stimuli["level"].nunique(),
    }
    found.numbers |= {f"omi.{name}": f"{n:,}" for name, n in counts.items()}


def _pushes(found: Results, folder: Path, result: Manipulation) -> None:
    top = float(result.human["level"].max())
    system = str(result.machine["system"].values[0])
    human, machine, ratio = (
        cb.summarise(draws, prob=result.prob).set_index("attribute")
        for draws in (
            result.human.sel(level=top),
            result.machine.sel(level=top, system=system),
            result.ratio.sel(system=system),
        )
    )
    lost = result.nonmatch.query("level == @top").set_index("attribute")
    order = ratio.sort_values("estimate", ascending=False).index
    found.table(
        "omi-pushes",
        ["attribute", "people (points)", "dlib (distance)", "distance per point", "beyond"],
        [
            [
                str(at),
                estimate(human.loc[at], 1),
                estimate(machine.loc[at], 3),
                estimate(ratio.loc[at], 3) if np.isfinite(ratio.loc[at, "upper"]) else "unbounded",
                f"{lost.loc[at, 'failures']} of {lost.loc[at, 'n']}",
            ]
            for at in order
        ],
    )
    found.numbers |= {
        "omi.threshold": plain(lost["threshold"].iloc[0], 1),
        "omi.system": system,
        "omi.ratio.first": str(order[0]),
        "omi.ratio.last": str(order[-1]),
        "omi.lost.most": str(lost["rate"].idxmax()),
        "omi.lost.total": f"{lost['failures'].sum()}",
    }
    for at in order:
        found.numbers |= {
            f"omi.{at}.people": estimate(human.loc[at], 1),
            f"omi.{at}.distance": estimate(machine.loc[at], 3),
            f"omi.{at}.ratio": estimate(ratio.loc[at], 3),
            f"omi.{at}.lost": f"{lost.loc[at, 'failures']} of {lost.loc[at, 'n']}",
            f"omi.{at}.lost-interval": _percent(lost.loc[at]),
        }
    ends = (result.ranks["ratio"].sel(system=system) > SURE).any("rank").sum()
    found.numbers["omi.ranks-sure"] = str(int(ends))
    sure = cb.summarise(result.ratio.sel(system=system), prob=result.prob)
    least = sure.set_index("attribute").drop(SHOWN[0])["upper"].max()
    found.claims["omi.familiar-first"] = bool(
        order[0] == SHOWN[0] and ratio.loc[SHOWN[0], "lower"] > least
    )
    found.claims["omi.outgoing-last"] = bool(order[-1] == SHOWN[1])
    found.claims["omi.lost-familiar"] = bool(lost["rate"].idxmax() == SHOWN[0])
    found.figure(
        folder,
        "omi-pushes",
        cb.plots.perceived_against_distance(
            result.human, result.machine.sel(system=system), prob=result.prob
        ),
        "Perceived change against distance, a point an attribute, with intervals of both.",
    )


def _percent(row: pd.Series) -> str:
    return f"{plain(100 * row['lower'], 0)} to {plain(100 * row['upper'], 0)}%"


def against(settings: dict[str, Any], folder: Path, data: Path) -> Results:
    """People and dlib on a common scale, the second half of each push."""
    draws = comparisons(cb.load("omi", data / "omi"))
    one = draws.sel(unit="residual sd")
    rope = (-settings["rope"], settings["rope"])
    people, network = (
        cb.summarise(one, of=name, prob=settings["prob"]).set_index("attribute")
        for name in ("effect_a", "effect_b")
    )
    table = cb.summarise(cb.equivalence(one, rope), prob=settings["prob"]).set_index("attribute")
    found = Results(failures=json.loads(draws.attrs["failures"]))
    order = table.sort_values("estimate", ascending=False).index
    found.table(
        "omi-against",
        ["attribute", "people", "dlib", "dlib minus people", "P(dlib larger)"],
        [
            [
                str(at),
                estimate(people.loc[at]),
                estimate(network.loc[at]),
                estimate(table.loc[at]),
                chance(table.loc[at, "p_larger"]),
            ]
            for at in order
        ],
    )
    every = draws["p_larger"].to_dataframe()["p_larger"].unstack("unit")
    every = every.dropna(axis="columns", how="all")  # raters saw no pairs: there is no pair sd
    agree = every[((every > SURE).all(axis=1)) | ((every < 1 - SURE).all(axis=1))]
    found.numbers |= {
        "omi.against.sure": plain(SURE, 2),
        "omi.against.larger": f"{int((table['p_larger'] > SURE).sum())}",
        "omi.against.all-units": f"{int((every > SURE).all(axis=1).sum())}",
        "omi.against.attributes": f"{len(table)}",
        "omi.against.agree": f"{len(agree)}",
    }
    for at in order:
        found.numbers[f"omi.against.{at}"] = estimate(table.loc[at])
        found.numbers[f"omi.against.{at}.p"] = chance(table.loc[at, "p_larger"])
    found.claims["omi.against.most-larger"] = bool((table["p_larger"] > SURE).mean() > 0.5)
    found.claims["omi.against.unsure"] = bool(
        table.loc[["age", "gender"], "p_larger"].between(1 - SURE, SURE).all()
    )
    found.figure(
        folder,
        "omi-against",
        cb.plots.comparison(draws, rope=rope, prob=settings["prob"]),
        "Effects of each attribute on people and on dlib on a common scale, and the difference.",
    )
    return found


def false_matches(settings: dict[str, Any], folder: Path, data: Path) -> Results:
    """False matches of dlib among rated faces, by perceived group."""
    embeddings, means, errors = read(data / "omi")
    group = groups_of(means)
    carried, _ = carry(embeddings, means, errors)
    rates = within(carried)
    prob = settings["prob"]
    table = cb.summarise(rates, prob=prob).set_index("group")
    plain_pairs = within(rates_of(embeddings, group, draws=1000))
    sizes = pd.Series(group[group != ""]).value_counts()
    found = Results()
    found.table(
        "omi-rated",
        ["perceived group", "faces", "impostor pairs", "worth", "FMR % (interval)"],
        [
            [
                str(at),
                f"{sizes[at]:,}",
                f"{row['n']:,.0f}",
                f"{row['n_effective']:,.0f}",
                estimate(row, 1, times=100),
            ]
            for at, row in table.iterrows()
        ],
    )
    indices = cb.summarise(cb.rates.fairness_indices(rates), prob=prob).set_index("index")
    narrow = plain_pairs["deft"].values
    found.numbers |= {
        "omi.rated.faces": f"{int(sizes.sum()):,}",
        "omi.rated.without": f"{int((group == '').sum()):,}",
        "omi.rated.max-min": estimate(indices.loc["FMR max/min"], 1),
        "omi.rated.max-min.equal": plain(indices.loc["FMR max/min", "if_equal"], 1),
        "omi.rated.narrow": f"{plain(narrow.min(), 1)} to {plain(narrow.max(), 1)}",
        "omi.rated.highest": str(table["estimate"].idxmax()),
        "omi.rated.lowest": str(table["estimate"].idxmin()),
    }
    found.claims["omi.rated.unequal"] = bool(
        indices.loc["FMR max/min", "lower"] > indices.loc["FMR max/min", "if_equal"]
    )
    found.figure(
        folder,
        "omi-rated",
        cb.plots.rate_heatmap(carried, prob=prob),
        "False match rate of each two perceived groups, as a heat map with intervals.",
    )
    return found
