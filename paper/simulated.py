"""The simulated experiment: race and gender on two networks and on people, truth known."""

from pathlib import Path
from typing import Any

import pandas as pd
from results import Results, chance, estimate, plain

import causalbias as cb
from causalbias.analyses.identity import Identity
from causalbias.analyses.identity.report import estimates_of

AGAINST = "white"
UNIT = "pair sd"  # of `compare`: the only one in which the noise of answers is not


def simulated(settings: dict[str, Any], folder: Path, _: Path | None) -> Results:
    """Effects of race beside the truth; error rates; people against the first network."""
    study = study_of(settings["simulated"], settings["seed"])
    result = cb.analyses.analyse_identity(
        study, prob=settings["prob"], draws=settings["draws"], random_seed=settings["seed"]
    )
    found = Results(failures=[f for one in result.fits.values() for f in cb.failures(one)])
    size(found, study)
    effects(found, folder, result)
    rates(found, folder, study, settings)
    against_people(found, folder, result, settings)
    return found


def study_of(settings: dict[str, Any], seed: int) -> cb.Study:
    """Simulate the experiment that the settings name."""
    systems = [
        cb.simulation.System(
            one["name"],
            impostor=one["impostor"],
            biases=tuple(cb.simulation.Bias(**bias) for bias in one["biases"]),
        )
        for one in settings["systems"]
    ]
    people = cb.simulation.People(
        annotators=settings["annotators"],
        judgements=settings["judgements"],
        biases=tuple(cb.simulation.Bias(**bias) for bias in settings["people"]),
        questions=(),
    )
    return cb.simulate(
        settings["seeds"],
        random_seed=seed,
        systems=systems,
        people=people,
        levels=settings["levels"],
        impostors=settings["impostors"],
    )


def size(found: Results, study: cb.Study) -> None:
    """How large the experiment is."""
    pairs = cb.to_frame(study, "pairs")
    human = cb.to_frame(study, "human")
    counts = {
        "seeds": pairs["seed_a"].nunique(),
        "faces": int(study["stimuli"]["present"].sum()),
        "genuine": int(pairs["same_identity"].sum()),
        "impostor": int((~pairs["same_identity"]).sum()),
        "judgements": len(human),
        "annotators": human["annotator"].nunique(),
    }
    found.numbers |= {f"sim.{name}": f"{n:,}" for name, n in counts.items()}


def effects(found: Results, folder: Path, result: Identity) -> None:
    """Effects of race on distances and answers, beside the truth."""
    tables = estimates_of(result)
    truth = tables["truth"].assign(
        side=lambda t: t["fit"].str.rsplit(", ", n=1).str[0],
        pairs=lambda t: t["fit"].str.rsplit(", ", n=1).str[1],
    )
    rows = [row for _, row in truth.iterrows()]
    found.table(
        "sim-effects",
        ["who", "pairs", "race", "gender", "effect (interval)", "truth", "held"],
        [
            [
                r["side"],
                r["pairs"],
                r["race"],
                r["gender"],
                estimate(r, 3),
                plain(r["truth"], 3),
                "yes" if r["covered"] else "no",
            ]
            for r in rows
        ],
    )
    every = pd.concat([tables["truth"], tables["truth_dose"]])
    found.numbers |= {
        "sim.held": f"{int(every['covered'].sum())}",
        "sim.estimates": f"{len(every)}",
    }
    for name, group in truth.groupby("side"):
        other = group[group["truth"] == 0]
        key = _key(str(name))
        found.numbers[f"sim.{key}.zeros"] = f"{len(other)}"
        found.numbers[f"sim.{key}.zeros-found"] = f"{int((~other['covered']).sum())}"
        for _, row in group.iterrows():
            label = f"sim.{key}.{row['pairs']}.{row['race']}-{row['gender']}"
            found.numbers[label] = estimate(row, 3)
            found.numbers[f"{label}.truth"] = plain(row["truth"], 3)
    first = truth[(truth["side"] == first_system(result)) & (truth["pairs"] == "impostor")]
    found.claims["sim.first-alike"] = bool((first["upper"] < 0).all())
    # Intervals of one fit are dependent: all of them cover a little too often or too seldom.
    found.claims["sim.covered"] = bool(every["covered"].mean() > result.prob - 0.1)
    found.figure(
        folder,
        "sim-effects",
        cb.plots.group_effects(
            result.machine,
            truth=truth.rename(columns={"side": "system"}).query("system != 'people'"),
            prob=result.prob,
            xlabel=f"change of distance against {result.reference}",
        ),
        "Effects of race on the distance of genuine and impostor pairs, by race, gender and "
        "network, with intervals and the true values as crosses.",
    )


def rates(found: Results, folder: Path, study: cb.Study, settings: dict[str, Any]) -> None:
    """Error rates by group where all impostor pairs together have the target rate."""
    one = settings["simulated"]
    got = cb.error_rates(study, ["race", "gender"], fmr=one["target"], random_seed=settings["seed"])
    table = cb.summarise(got, prob=settings["prob"])
    false = table[table["rate_of"] == "FMR"]
    found.table(
        "sim-rates",
        ["network", "race", "gender", "pairs", "worth", "FMR % (interval)"],
        [
            [
                r["system"],
                r["race"],
                r["gender"],
                f"{r['n']:,.0f}",
                f"{r['n_effective']:,.0f}",
                rate_text(r),
            ]
            for _, r in false.iterrows()
        ],
    )
    found.numbers["sim.target"] = plain(100 * one["target"], 0)
    indices = cb.summarise(cb.rates.fairness_indices(got), prob=settings["prob"])
    gini = indices[indices["index"] == "FMR Gini"].set_index("system")
    for system, row in gini.iterrows():
        found.numbers[f"sim.{_key(str(system))}.gini"] = estimate(row)
        found.numbers[f"sim.{_key(str(system))}.gini.equal"] = plain(row["if_equal"])
    first, second = (gini.loc[system["name"]] for system in one["systems"])
    found.claims["sim.gini-first-unequal"] = bool(first["lower"] > first["if_equal"])
    found.claims["sim.gini-second-equal"] = bool(second["lower"] < second["if_equal"])
    found.figure(
        folder,
        "sim-rates",
        cb.plots.group_rates(got.sel(rate_of=["FMR"]), prob=settings["prob"]),
        "False match rate by race, gender and network, with intervals.",
    )


def rate_text(row: pd.Series) -> str:
    """A rate in percent, or what is known of one that the pairs do not support."""
    if row["supported"]:
        return estimate(row, 1, times=100)
    return f"under {plain(100 * row['upper'], 1)}"


def against_people(
    found: Results, folder: Path, result: Identity, settings: dict[str, Any]
) -> None:
    """Effects of race on impostor pairs: people and each network on a common scale."""
    parts = {}
    for system in result.machine["system"].values:
        parts[str(system)] = cb.compare(
            result.fits["people, impostor"],
            result.fits[f"{system}, impostor"],
            "race",
            by="gender",
            reference=AGAINST,
            opposite=True,
            names=("people", "network"),
        )
    rows, chances = [], {}
    for system, draws in parts.items():
        one = draws.sel(unit=UNIT)
        people, network, table = (
            cb.summarise(one, of=name, prob=settings["prob"]).set_index(["race", "gender"])
            for name in ("effect_a", "effect_b", "difference")
        )
        for (race, gender), row in table.iterrows():
            at = (race, gender)
            rows.append(
                [
                    system,
                    race,
                    gender,
                    estimate(people.loc[at]),
                    estimate(network.loc[at]),
                    estimate(row),
                    chance(row["p_larger"]),
                ]
            )
            key = f"sim.against.{_key(system)}.{race}-{gender}"
            found.numbers[key] = estimate(row)
            found.numbers[f"{key}.p"] = chance(row["p_larger"])
        chances[system] = table["p_larger"]
    found.claims["sim.against-larger"] = bool((chances[first_system(result)] > 0.95).all())
    found.table(
        "sim-against",
        ["network", "race", "gender", "people", "network", "difference", "P(network larger)"],
        rows,
    )
    first = parts[first_system(result)].sel(unit=UNIT)
    stacked = first.stack(group=("race", "gender"))
    labels = [" ".join(one) for one in stacked["group"].values]
    stacked = stacked.drop_vars(["group", "race", "gender"]).assign_coords(group=labels)
    draws = stacked.expand_dims(unit=[UNIT]).assign_attrs(first.attrs)
    found.figure(
        folder,
        "sim-against",
        cb.plots.comparison(
            draws.assign_attrs(b=first_system(result)),
            prob=settings["prob"],
            xlabel="effect of race (sd between pairs)",
        ),
        "Effects of race on impostor pairs on a common scale, people and the first network, and "
        "their difference.",
    )


def first_system(result: Identity) -> str:
    """Name of the network that the settings list first."""
    return str(sorted(result.machine["system"].values)[0])


def _key(name: str) -> str:
    return name.lower().replace(" ", "-")
