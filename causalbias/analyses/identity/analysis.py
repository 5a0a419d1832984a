"""Who is mistaken for whom, by race and gender: the analysis of genuine and impostor pairs.

After Liang, Perona and Balakrishnan (ICCV 2023), sections 4 and 5: the causal effect of race on how
far apart a network, and people, find two renders of one person, and two persons of one group.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from causalbias.agreement.consensus import hcic
from causalbias.analyses.fitting import fit_models, join
from causalbias.errors import DataError
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


@dataclass(frozen=True)
class Identity:
    """Result of `analyse_identity`.

    Attributes
    ----------
    study : DataTree
    fits : dict of str to Fit
        ``"<system>, genuine"``, ``"<system>, impostor"``, ``"people, genuine"``, ...
    machine : Dataset or None
        ``effect`` (chain, draw, race, gender, pairs, system): change of the mean distance against
        the reference race, for pairs "genuine" or "impostor", in the population of seeds.
    human : Dataset or None
        ``effect`` (chain, draw, race, gender, pairs): change of the pair's mean answer, in points.
    machine_dose, human_dose : Dataset or None
        ``prediction`` (chain, draw, step, pairs[, system]): mean distance, or answer, where the
        second member is at the step's `attribute` and `level`, the first at the reference.
    rates : Dataset or None
        False match and non-match rates by group at the systems' own thresholds; see `error_rates`.
        None where no system has one.
    rows : dict of str to DataFrame
        Pairs of each fit, under its name.
    left_out : DataFrame
        `fit`, `reason`, `count` of the pairs that are not in a fit.
    reference : str
        The race that the others are compared with.
    prob : float
        Probability of the intervals.
    """

    study: xr.DataTree
    fits: dict[str, Fit]
    machine: xr.Dataset | None
    human: xr.Dataset | None
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
    impostor pair belongs to two of each (multiple membership). The models of people have the mean
    answer of each pair (HCIC) as their response; all pairs have equal weight, whatever their number
    of answers.

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
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4, people=None)
    >>> result = analyse_identity(study, draws=250)
    >>> result.machine["effect"].dims
    ('chain', 'draw', 'race', 'gender', 'pairs', 'system')
    """
    require_groups(study)
    sides = _sides(study)
    rows, left_out = _rows_by_fit(sides, study)
    reference = _reference_race(rows)
    effect, dose = {}, {}
    outcomes = {side: outcome for side, outcome, _ in sides}
    parts = {name: tuple(name.rsplit(", ", 1)) for name in rows}
    fits = fit_models(
        {
            name: (formula_of(rows[name], outcomes[side], kind), rows[name])
            for name, (side, kind) in parts.items()
        },
        progress=progress,
        keep=keep,
        draws=draws,
        tune=tune,
        chains=chains,
        random_seed=random_seed,
    )
    for name, (side, kind) in parts.items():
        effect[side, kind] = effects(fits[name], "race", by="gender", reference=reference)
        dose[side, kind] = predictions(fits[name], "step")
    systems = [side for side, outcome in outcomes.items() if outcome == "distance"]
    people = [side for side, outcome in outcomes.items() if outcome == "score"]
    return Identity(
        study,
        fits,
        machine=_by_system(effect, systems),
        human=_by_kind(effect, people),
        machine_dose=_with_steps(_by_system(dose, systems), rows.values()),
        human_dose=_with_steps(_by_kind(dose, people), rows.values()),
        rates=_rates(
            [rows[name] for name in rows if name.rsplit(", ", 1)[0] in systems], random_seed
        ),
        rows=rows,
        left_out=left_out,
        reference=reference,
        prob=prob,
    )


def formula_of(rows: pd.DataFrame, outcome: str, kind: str) -> Formula:
    """Formula of one model: means and noise by race and gender, and the steps.

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
    return formula(text, sigma="~ race*gender")


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
    """Name, outcome and pairs of each system and of people."""
    sides = []
    if "machine" in study.children:
        machine = to_frame(study, "machine")
        sides += [(str(name), "distance", part) for name, part in machine.groupby("system")]
    if _judges_identity(study):
        scores = hcic(study, QUESTION)["mean"].rename("score")
        # Pairs that were asked about: the others are not missing answers.
        pairs = to_frame(study, "pairs").set_index("pair")
        asked = pairs.loc[scores.index].assign(score=scores, status="ok")
        sides.append(("people", "score", asked.reset_index()))
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


def _by_kind(parts: Mapping[tuple[str, str], xr.Dataset], sides: list[str]) -> xr.Dataset | None:
    """Estimates of both kinds of pairs, for one system or for people."""
    found = {kind: part for (side, kind), part in parts.items() if side in sides}
    return _labels_last(join(found, "pairs"), ["pairs"]) if found else None


def _by_system(
    parts: Mapping[tuple[str, str], xr.Dataset], systems: list[str]
) -> xr.Dataset | None:
    found = {system: _by_kind(parts, [system]) for system in systems}
    known = {system: part for system, part in found.items() if part is not None}
    return _labels_last(join(known, "system"), ["pairs", "system"]) if known else None


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
        side, kind = name.rsplit(", ", 1)
        cube = truth.sel(same_identity=KINDS[kind])
        machine = side != "people"
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
