"""Who is mistaken for whom, by race and gender: the analysis of genuine and impostor pairs.

After Liang, Perona and Balakrishnan (ICCV 2023), sections 4 and 5: the causal effect of race on how
far apart a network, and people, find two renders of one person, and two persons of one group.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import pandas as pd
import xarray as xr

from causalbias.analyses.fitting import fit_models, join
from causalbias.analyses.identity.paired import (
    between_kinds,
    between_systems,
    effect_between_systems,
    inverse_units,
    minus,
)
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.estimands.comparing import compare
from causalbias.estimands.contrasts import effects, predictions
from causalbias.models.formula.parts import Formula, formula
from causalbias.models.levels import canonical, levels_of
from causalbias.models.result import Fit
from causalbias.rates.error_rates import error_rates
from causalbias.study.frames import to_frame
from causalbias.study.tree import factors_of

QUESTION = "identity"
KINDS = {"genuine": True, "impostor": False}
# A pair of two seeds belongs to both seeds and to a face of each. An effect of race is a difference
# between faces of the same seeds: effects of seeds cancel, effects of faces do not.
GROUPS = {
    "genuine": "(1|seed) + (1|seed:race:gender)",
    "impostor": "(1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))",
}
USUAL_REFERENCE = "white"
PEOPLE = "people"  # in the place of a system's name
OF_KINDS = "impostor minus genuine"
MOST_ORDERED = 20  # values of a scale; answers on a finer one have normal noise


@dataclass(frozen=True, repr=False)
class Identity(Listed):
    """Result of `analyse_identity`.

    Attributes
    ----------
    study : DataTree
    fits : dict of str to Fit
        ``"<system>, genuine"``, ``"<system>, impostor"``, ``"people, genuine"``, ..., and of
        differences ``"<system> minus <system>, genuine"``, ``"<system>, impostor minus genuine"``.
    machine : Dataset or None
        ``effect`` (chain, draw, race, gender, pairs, system): change of the mean distance against
        the reference race, for pairs "genuine" or "impostor", in the population of seeds.
    human : Dataset or None
        ``effect`` (chain, draw, race, gender, pairs): change of the mean answer, in points, in the
        populations of seeds, pairs and annotators.
    between_systems : Dataset or None
        ``effect`` (chain, draw, race, gender, pairs, systems): the effect on the first system less
        that on the second, each in standard deviations of its distances between pairs. None if no
        two systems measured the same pairs.
    between_kinds : Dataset or None
        ``effect`` (chain, draw, race, gender, system): the effect on impostor pairs less that on
        genuine pairs, in units of distance. Negative: two persons of the group are less far apart,
        compared with two pictures of one of them, which makes errors more likely at any threshold.
    against_people : Dataset or None
        ``difference`` (chain, draw, unit, race, gender, pairs, system) of `compare`: the effect on
        the system less that on people. Negative: the system finds the group more alike, against
        the reference, than people do. None without systems or people.
    machine_dose, human_dose : Dataset or None
        ``prediction`` (chain, draw, step, pairs[, system]): mean distance, or answer, where the
        second member is at the step's `attribute` and `level`, the first at the reference.
    rates : Dataset or None
        False match and non-match rates by group at the systems' own thresholds; see `error_rates`.
        None where no system has one.
    rows : dict of str to DataFrame
        Pairs of each system's fits, and answers of people's, under the fit's name.
    left_out : DataFrame
        `fit`, `reason`, `count` of the distances and answers that are not in a fit.
    reference : str
        The race that the others are compared with.
    prob : float
        Probability of the intervals.
    """

    study: xr.DataTree
    fits: dict[str, Fit]
    machine: xr.Dataset | None
    human: xr.Dataset | None
    between_systems: xr.Dataset | None
    between_kinds: xr.Dataset | None
    against_people: xr.Dataset | None
    machine_dose: xr.Dataset | None
    human_dose: xr.Dataset | None
    rates: xr.Dataset | None
    rows: dict[str, pd.DataFrame]
    left_out: pd.DataFrame
    reference: str
    prob: float


def analyse_identity(
    study: xr.DataTree,
    *,
    prob: float = 0.95,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> Identity:
    """Estimate what race changes, by gender, for each network and for people.

    Genuine and impostor pairs are never pooled, nor are systems, whose distances are on scales of
    their own: each has its model (`formula_of`). A `step` is an attribute at a level, so that no
    dose is assumed to be linear, and each attribute may act differently on each race. The noise
    differs by race and gender: with one noise for groups of unequal spread, intervals of the
    noisier ones would be too narrow. Groups are the seed and its face of that race and gender; an
    impostor pair belongs to two of each (multiple membership).

    People's single answers have the cumulative model of ordered answers, with effects of pairs and
    of annotators besides. Answers on a scale of more than 20 points, or between whole numbers, have
    normal noise instead.

    Systems that measured the same pairs are compared pair by pair, and so are the two kinds of
    pairs of one face, which allows for all that they share (`causalbias.analyses.identity.paired`).
    One model of all systems and kinds with correlated effects would say the same, at a price that
    grows with the cube of their number. Systems are compared with people by `compare`, which takes
    them as independent.

    Models are of pairs whose members share race, gender and attribute, one at the attribute's
    reference level; the other pairs are counted in `left_out`. The reference race is "white" where
    the study has it, else the first by label.

    Parameters
    ----------
    study : DataTree
        Factors `seed`, `race`, `gender`, `attribute`, `level`, with reference levels; distances,
        or judgements of pairs on the question "identity", or both.
    prob : float
        Probability of the intervals.
    draws, tune, chains, random_seed
        As in `fit`.
    progress : callable
        Called with a line of text before each model is fitted.
    keep : Path, optional
        Directory in which to save each fit (see `fit`'s `file`), so that an interrupted run
        resumes.

    Returns
    -------
    Identity

    Raises
    ------
    DataError
        If the study lacks these factors, reference levels, or both distances and judgements of
        pairs, or if the pairs of a model have fewer than two races or genders.

    Examples
    --------
    >>> import causalbias as cb
    >>> from causalbias.analyses.identity.analysis import analyse_identity
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None,
    ...                     systems=[cb.simulation.System("network")])
    >>> result = analyse_identity(study, draws=250)
    >>> result.machine["effect"].dims
    ('chain', 'draw', 'race', 'gender', 'pairs', 'system')
    """
    require_groups(study)
    sides = _sides(study)
    fit_all = partial(
        fit_models,
        progress=progress,
        keep=keep,
        draws=draws,
        tune=tune,
        chains=chains,
        random_seed=random_seed,
    )
    rows, left_out = _rows_by_fit(sides, study)
    reference = _reference_race(rows)
    parts = {name: _side_and_kind(name) for name in rows}
    of_race = partial(effects, variable="race", by="gender", reference=reference)
    systems = [side for side, outcome, _ in sides if outcome == "distance"]
    people = [side for side, outcome, _ in sides if outcome == "score"]
    fits = _fit_sides(fit_all, rows, parts, systems)
    effect = {parts[name]: of_race(fit) for name, fit in fits.items()}
    dose = {parts[name]: predictions(fit, "step") for name, fit in fits.items()}
    inverse = inverse_units({key: fits[", ".join(key)] for key in effect if key[0] in systems})
    of_systems = _pairs_of_systems(rows, inverse, systems, reference)
    of_kinds = _pairs_of_kinds(rows, systems, reference)
    fits |= fit_all(
        {
            f"{minus(first, second)}, {kind}": (formula_of(both, "difference", kind), both)
            for (first, second, kind), both in of_systems.items()
        }
        | {
            f"{system}, {OF_KINDS}": (formula_of(both, "difference", "impostor"), both)
            for system, both in of_kinds.items()
        }
    )
    return Identity(
        study,
        fits,
        machine=_by_system(effect, systems),
        human=_by_kind(effect, people),
        between_systems=_between_systems(fits, of_systems, effect, inverse, reference),
        between_kinds=_of_systems(
            {system: of_race(fits[f"{system}, {OF_KINDS}"]) for system in of_kinds}
        ),
        against_people=_against_people(fits, systems, reference),
        machine_dose=_with_steps(_by_system(dose, systems), rows.values()),
        human_dose=_with_steps(_by_kind(dose, people), rows.values()),
        rates=_rates([rows[name] for name in rows if parts[name][0] in systems], random_seed),
        rows=rows,
        left_out=left_out,
        reference=reference,
        prob=prob,
    )


def _side_and_kind(name: str) -> tuple[str, str]:
    """What the name of a model of distances or answers says: "net, genuine"."""
    side, kind = name.rsplit(", ", 1)
    return side, kind


def formula_of(rows: pd.DataFrame, outcome: str, kind: str, family: str = "gaussian") -> Formula:
    """Formula of one model: means and noise by race and gender, and the steps.

    Models of answers have effects of pairs and of annotators, where some answered several times.
    Steps act differently on each race where every race was seen at every step; else what a race
    does at the missing steps is taken from those of the other races.

    Examples
    --------
    >>> rows = pd.DataFrame({"race": ["asian", "white"] * 2, "step": ["age 1"] * 2 + ["age 2"] * 2})
    >>> formula_of(rows, "distance", "genuine")
    distance ~ race*gender + race*step + (1|seed) + (1|seed:race:gender)
    sigma ~ race*gender
    """
    crossed = pd.crosstab(rows["race"], rows["step"]).to_numpy()
    steps = "race*step" if crossed.min() > 0 and crossed.shape[1] > 1 else "step"
    text = f"{outcome} ~ race*gender + {steps} + {GROUPS[kind]}"
    if outcome == "score":
        repeated = (name for name in ("pair", "annotator") if _repeats(rows, name))
        text += "".join(f" + (1|{name})" for name in repeated)
    noise = {"sigma": "~ race*gender"} if family == "gaussian" else {}
    return formula(text, **noise)


def family_of(scores: pd.Series) -> str:
    """Family of people's answers: ordered where they are few whole numbers.

    Examples
    --------
    >>> family_of(pd.Series([0, 1, 4])), family_of(pd.Series([0.5, 1]))
    ('cumulative', 'gaussian')
    """
    values = scores.unique()
    return "cumulative" if (values % 1 == 0).all() and len(values) <= MOST_ORDERED else "gaussian"


def _repeats(rows: pd.DataFrame, name: str) -> bool:
    """Whether the rows have several of some level of a column, and two levels or more."""
    return name in rows and 1 < rows[name].nunique() < len(rows)


def _fit_sides(
    fit_all: Callable[..., dict[str, Fit]],
    rows: Mapping[str, pd.DataFrame],
    parts: Mapping[str, tuple[str, str]],
    systems: Sequence[str],
) -> dict[str, Fit]:
    """The models of distances, then those of people's answers, each by the family of its scores."""
    fits = fit_all(
        {
            name: (formula_of(rows[name], "distance", kind), rows[name])
            for name, (side, kind) in parts.items()
            if side in systems
        }
    )
    for name, (side, kind) in parts.items():
        if side not in systems:
            family = family_of(rows[name]["score"])
            model = formula_of(rows[name], "score", kind, family), rows[name]
            fits |= fit_all({name: model}, family=family)
    return fits


def require_groups(study: xr.DataTree) -> None:
    """Refuse a study that lacks what `analyse_identity` needs.

    Raises
    ------
    DataError
        That names the factors, reference levels or outcomes that are missing.
    """
    missing = {"seed", "race", "gender", "attribute", "level"} - set(factors_of(study))
    if missing:
        raise DataError(
            f"the study has factors {', '.join(factors_of(study))}, but no "
            f"{', '.join(sorted(missing))}",
            hint="this analysis needs factors seed, race, gender, attribute and level",
        )
    if "references" not in study.attrs:
        raise DataError(
            "the study records no reference levels", hint="give references= to make_study"
        )
    if "machine" not in study.children and not _judges_identity(study):
        raise DataError(
            "the study has neither distances nor judgements of the identity of pairs",
            hint=f"give distances, or answers to the question {QUESTION!r} about pairs",
        )


def _judges_identity(study: xr.DataTree) -> bool:
    """Whether people were asked if the two faces of a pair show one person."""
    if "human" not in study.children:
        return False
    human = study.children["human"].to_dataset()
    return "pair" in human.coords and bool((human["question"] == QUESTION).any())


def _sides(study: xr.DataTree) -> list[tuple[str, str, pd.DataFrame]]:
    """Name, outcome and rows of each system (distances) and of people (answers)."""
    sides = []
    if "machine" in study.children:
        machine = to_frame(study, "machine")
        sides += [(str(name), "distance", part) for name, part in machine.groupby("system")]
        if any(name == PEOPLE for name, _, _ in sides):
            raise DataError(
                f"a system is named {PEOPLE!r}, as people's judgements are in this analysis",
                hint="give the system another name",
                file="machine",
                column="system",
            )
    if _judges_identity(study):
        human = to_frame(study, "human")
        asked = human[(human["question"] == QUESTION) & human["pair"].notna()]
        sides.append((PEOPLE, "score", asked.assign(status="ok")))
    return sides


def _rows_by_fit(
    sides: list[tuple[str, str, pd.DataFrame]], study: xr.DataTree
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Pairs of each model by its name, and a table of the pairs that are in none."""
    rows: dict[str, pd.DataFrame] = {}
    left_out = []
    for side, outcome, frame in sides:
        for kind, same in KINDS.items():
            kept, reasons = _comparable(frame[frame["same_identity"] == same], outcome, study)
            name = f"{side}, {kind}"
            left_out += [{"fit": name, "reason": why, "count": n} for why, n in reasons.items()]
            if len(kept):
                _check_groups(kept, name)
                rows[name] = kept
    if not rows:
        raise DataError(
            "no pair to compare",
            hint="give pairs that share race, gender and attribute, one member at its reference",
            file="/pairs",
        )
    return rows, pd.DataFrame(left_out, columns=["fit", "reason", "count"])


def _reference_race(rows: dict[str, pd.DataFrame]) -> str:
    """The usual reference where it is among the races, else the first by label."""
    race = canonical(pd.concat([of_fit["race"] for of_fit in rows.values()]))
    races = [str(level) for level in levels_of(race)]
    return USUAL_REFERENCE if USUAL_REFERENCE in races else races[0]


def _comparable(
    frame: pd.DataFrame, outcome: str, study: xr.DataTree
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Pairs of a reference face and a face moved along one attribute; counts of the others."""
    reference = frame["attribute"].map(json.loads(study.attrs["references"]))
    first, second = (frame[f"level_{side}"].astype(float) for side in "ab")
    at_reference = (first == reference) | (second == reference)
    reasons = {
        "members differ in race or gender": frame["race"].isna() | frame["gender"].isna(),
        "members are of different attributes": frame["attribute"].isna(),
        "no member is at its reference level": ~at_reference,
        "no distance, or no answer": (frame["status"] != "ok") | frame[outcome].isna(),
    }
    if outcome == "score" and "annotator" in frame:
        reasons["answered before"] = frame.duplicated(["pair", "annotator"])
    kept = pd.Series(True, index=frame.index)
    counts = {}
    for reason, applies in reasons.items():
        counts[reason] = int((kept & applies).sum())
        kept &= ~applies
    level = second.where(first == reference, first)[kept]
    used = frame[kept]
    step = used["attribute"].astype(str) + " " + level.map("{:g}".format)
    faces = {
        f"face_{side}": used[f"seed_{side}"].astype(str) + " " + used["race"] + " " + used["gender"]
        for side in "ab"
    }
    used = used.assign(level=level, step=step, **faces)
    return used, {reason: n for reason, n in counts.items() if n}


def _check_groups(rows: pd.DataFrame, name: str) -> None:
    for factor in ("race", "gender"):
        if rows[factor].nunique() < 2:
            raise DataError(
                f"all pairs of {name} have the {factor} {rows[factor].iloc[0]}",
                hint=f"give pairs of two or more: the analysis compares each {factor}",
            )


def _rates(rows: list[pd.DataFrame], random_seed: int) -> xr.Dataset | None:
    """Error rates of the systems that have a threshold."""
    pairs = pd.concat(rows).dropna(subset="threshold") if rows else pd.DataFrame()
    return error_rates(pairs, ["race", "gender"], random_seed=random_seed) if len(pairs) else None


def _with_steps(dose: xr.Dataset | None, rows: Iterable[pd.DataFrame]) -> xr.Dataset | None:
    """Label the steps of a dose with their attribute and level."""
    if dose is None:
        return None
    every = pd.concat([of_fit[["step", "attribute", "level"]] for of_fit in rows])
    of_step = every.drop_duplicates("step").set_index("step").loc[dose["step"].values]
    return dose.assign_coords(
        attribute=("step", of_step["attribute"].to_numpy(dtype=str)),
        level=("step", of_step["level"].to_numpy(float)),
    )


def _pairs_of_systems(
    rows: Mapping[str, pd.DataFrame],
    inverse: Mapping[tuple[str, str], xr.DataArray],
    systems: Sequence[str],
    reference: str,
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """Scaled differences of distances, of every two systems and kind of pairs."""
    found = {}
    for kind in KINDS:
        there = [system for system in systems if (system, kind) in inverse]
        for first, second in combinations(there, 2):
            both = between_systems(
                rows[f"{first}, {kind}"],
                rows[f"{second}, {kind}"],
                float(inverse[first, kind].mean()),
                float(inverse[second, kind].mean()),
                reference=reference,
            )
            if both is not None:
                found[first, second, kind] = both
    return found


def _pairs_of_kinds(
    rows: Mapping[str, pd.DataFrame], systems: Sequence[str], reference: str
) -> dict[str, pd.DataFrame]:
    """Differences of impostor and genuine distances of each system that has both."""
    found = {}
    for system in systems:
        kinds = [rows[name] for kind in KINDS if (name := f"{system}, {kind}") in rows]
        both = between_kinds(*kinds, reference=reference) if len(kinds) == len(KINDS) else None
        if both is not None:
            found[system] = both
    return found


def _between_systems(
    fits: Mapping[str, Fit],
    pairs: Collection[tuple[str, str, str]],
    effect: Mapping[tuple[str, str], xr.Dataset],
    inverse: Mapping[tuple[str, str], xr.DataArray],
    reference: str,
) -> xr.Dataset | None:
    """Differences of effects, labelled with the `system` and the one that it is `against`."""
    found = {}
    for first, second, kind in pairs:
        name, both = minus(first, second), ((first, kind), (second, kind))
        found[name, kind] = effect_between_systems(
            fits[f"{name}, {kind}"],
            [effect[one] for one in both],
            [inverse[one] for one in both],
            reference=reference,
            name=name,
        )
    both_of = {minus(first, second): (first, second) for first, second, _ in pairs}
    joined = _by_system(found, list(both_of), dim="systems")
    if joined is None:
        return None
    firsts, seconds = zip(*both_of.values(), strict=True)
    return joined.assign_coords(
        system=("systems", list(firsts)), against=("systems", list(seconds))
    )


def _against_people(
    fits: Mapping[str, Fit], systems: Sequence[str], reference: str
) -> xr.Dataset | None:
    """Effects on each system and on people in common units, by kind of pairs."""
    found: dict[tuple[str, str], xr.Dataset] = {}
    for kind in KINDS:
        for system in systems:
            if {f"people, {kind}", f"{system}, {kind}"} <= set(fits):
                found[system, kind] = compare(
                    fits[f"people, {kind}"],
                    fits[f"{system}, {kind}"],
                    "race",
                    by="gender",
                    reference=reference,
                    opposite=True,
                    names=(PEOPLE, system),
                )
    return _by_system(found, systems)


def _by_kind(parts: Mapping[tuple[str, str], xr.Dataset], sides: list[str]) -> xr.Dataset | None:
    """Estimates of both kinds of pairs, for one system or for people."""
    found = {kind: part for (side, kind), part in parts.items() if side in sides}
    return _labels_last(join(found, "pairs"), ["pairs"]) if found else None


def _by_system(
    parts: Mapping[tuple[str, str], xr.Dataset], systems: Sequence[str], dim: str = "system"
) -> xr.Dataset | None:
    found = {system: _by_kind(parts, [system]) for system in systems}
    known = {system: part for system, part in found.items() if part is not None}
    return _of_systems(known, ["pairs", dim])


def _of_systems(
    parts: dict[str, xr.Dataset], labels: Sequence[str] = ("system",)
) -> xr.Dataset | None:
    return _labels_last(join(parts, labels[-1]), list(labels)) if parts else None


def _labels_last(joined: xr.Dataset, labels: list[str]) -> xr.Dataset:
    return joined.transpose("chain", "draw", ..., *labels)


def truth_of_identity(result: Identity) -> pd.DataFrame | None:
    """The true values of the estimands of a simulated study.

    They are averages of `/truth` over the rows of each fit, in the population of seeds: the same
    estimand as the estimate beside it.

    Returns
    -------
    DataFrame or None
        `fit`, `estimand` ("effect", "dose", "rate"), `race`, `gender`, `attribute`, `level`
        (missing where the estimand has none), `truth`; systems that were not simulated have no
        rows. None if the study has no truth.
    """
    if "truth" not in result.study.children:
        return None
    truth = result.study.children["truth"].to_dataset()
    found = []
    for name, rows in result.rows.items():
        side, kind = _side_and_kind(name)
        cube = truth.sel(same_identity=KINDS[kind])
        machine = side != PEOPLE
        if machine and side not in truth["system"].values:
            continue  # a real network that embedded the simulated faces
        if machine:
            cube = cube.sel(system=side, population="new seeds")
        known = cube[["distance", "match_rate"] if machine else ["score"]]
        cells = known.to_dataframe().reset_index()
        value = "distance" if machine else "score"
        counted = rows.groupby(["race", "gender", "attribute", "level"]).size().rename("n")
        of_fit = cells.merge(counted.reset_index(), on=["race", "gender", "attribute", "level"])
        parts = [
            _true_effects(cells, counted, value, result.reference).assign(estimand="effect"),
            _weighted(of_fit, value, ["attribute", "level"]).assign(estimand="dose"),
        ]
        if machine:
            matches = of_fit["match_rate"]
            of_fit["rate"] = 1 - matches if KINDS[kind] else matches
            parts.append(_weighted(of_fit, "rate", ["race", "gender"]).assign(estimand="rate"))
        found += [part.assign(fit=name) for part in parts]
    if not found:
        return None
    columns = ["fit", "estimand", "race", "gender", "attribute", "level", "truth"]
    return pd.concat(found, ignore_index=True).reindex(columns=columns)


def _true_effects(
    cells: pd.DataFrame, counted: pd.Series, value: str, reference: str
) -> pd.DataFrame:
    """Contrasts by race and gender over the rows of all races, as `effects` averages."""
    at = ["gender", "attribute", "level"]
    of_reference = cells[cells["race"] == reference].set_index(at)[value].rename("reference")
    others = cells[cells["race"] != reference].join(of_reference, on=at)
    others = others.merge(counted.groupby(at).sum().reset_index(), on=at)
    others["contrast"] = others[value] - others["reference"]
    return _weighted(others, "contrast", ["race", "gender"])


def _weighted(cells: pd.DataFrame, value: str, by: list[str]) -> pd.DataFrame:
    total = cells.assign(truth=cells[value] * cells["n"]).groupby(by)[["truth", "n"]].sum()
    return (total["truth"] / total["n"]).rename("truth").reset_index()
