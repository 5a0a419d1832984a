"""Simulate an experiment like CausalFace, with known causal effects."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import generator
from causalbias.datasets.causalface.layout import (
    FACTORS,
    GENDERS,
    LEVELS,
    PAIR_QUESTION,
    PROTOTYPE,
    RACES,
    Design,
)
from causalbias.datasets.causalface.load import pair_ids, unanswered
from causalbias.errors import DataError
from causalbias.io.memory import check_memory
from causalbias.simulation.design import Conditions, conditions, form_pairs, render_faces
from causalbias.simulation.machine import Pairs, draw_distances
from causalbias.simulation.parameters import SYSTEMS, People, System
from causalbias.simulation.people import (
    answer,
    draw_alike,
    draw_traits,
    mean_perceived,
)
from causalbias.simulation.truth import truth_of
from causalbias.study.build import exclusions, make_study
from causalbias.study.tree import Study


def simulate(
    seeds: int = 100,
    *,
    random_seed: int = 1,
    systems: Sequence[System] = SYSTEMS,
    people: People | None = People(),  # noqa: B008 (frozen)
    races: Sequence[str] = RACES,
    genders: Sequence[str] = GENDERS,
    levels: Mapping[str, Sequence[float]] | None = None,
    references: Mapping[str, float] | None = None,
    impostors: int = 48,
    missing_renders: float = 0.0,
    leak: Mapping[str, Mapping[str, float]] | None = None,
) -> Study:
    """Simulate an experiment with the layout of the CausalFace release.

    Each seed has a prototype of every race and gender, which is rendered at every level of every
    attribute. A genuine pair is a level and the reference level of its attribute. An impostor pair
    is the reference of one seed and a level of another seed, of the same race and gender. The
    defaults give the 48,000 pairs of the published experiment.

    Parameters
    ----------
    seeds : int
        Number of generator seeds, at least 2.
    random_seed : int
        Seed of the random numbers; the same seed gives the same study.
    systems : sequence of System
        Recognition systems, by default three with biases against black and asian faces. With (),
        there are no distances.
    people : People or None
        Annotators, or None for a study without judgements.
    races, genders : sequence of str
        Labels of race and gender.
    levels : mapping of attribute to levels, optional
        By default the levels of the release, in its units.
    references : mapping of attribute to level, optional
        The level that leaves a face unchanged, as in `load_causalface`.
    impostors : int
        Number of impostor pairs per seed, race and gender.
    missing_renders : float
        Probability that a render is missing. Reference levels are never missing.
    leak : mapping of attribute to {attribute: share}, optional
        Confounded manipulations: ``{"pose": {"smiling": 0.5}}`` changes the smile by 0.5 of its
        units per unit of pose.

    Returns
    -------
    Study
        A study whose group ``/truth`` holds the true values of the estimands, see `truth_of`. The
        attribute `parameters` of this group records all parameters.

    Raises
    ------
    DataError
        If there are fewer than 2 seeds, if fewer impostor pairs exist than `impostors`, or if the
        leak or references do not match the levels.

    Examples
    --------
    >>> import causalbias as cb
    >>> study = cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4)
    >>> truth = study["truth"].to_dataset()
    >>> truth["distance"].sel(population="new seeds", system="ResNet-34", race="white",
    ...                       gender="male", same_identity=True).round(3).values
    array([0.61, 0.25, 0.61])
    """
    _check(seeds, missing_renders, people)
    design = Design(races, genders, LEVELS if levels is None else levels, references)
    layout = conditions(design)
    people_each = len(races) * len(genders)
    check_memory(
        seeds * people_each * (30 * len(layout.level) + impostors * (20 + 10 * len(systems))),
        f"a study of {seeds:,} seeds",
        "simulate fewer seeds, levels or impostors",
    )
    streams = iter(generator(random_seed).spawn(4 + len(systems)))
    faces, row_of = render_faces(design, layout, seeds, missing_renders, next(streams))
    members = form_pairs(layout, row_of, impostors, next(streams))
    rendered = layout.rendered(leak)
    pairs = _pairs(faces, members, rendered, row_of.shape, next(streams))
    sizes = (seeds, int(np.prod(row_of.shape[:3])), len(faces))
    own = next(streams)
    judgements = None
    if people is not None:
        judgements = _judgements(people, faces, pairs, rendered, layout, sizes, own)
    drawn = [draw_distances(one, pairs, sizes, layout.attributes, next(streams)) for one in systems]
    distances = [frame for frame, _ in drawn]
    study = _study(design, faces, pairs, distances, people, judgements, int((row_of < 0).sum()))
    truth = truth_of(design, layout, leak, systems, [effects for _, effects in drawn], people)
    truth.attrs["parameters"] = json.dumps(
        {
            "seeds": seeds,
            "random_seed": random_seed,
            "impostors": impostors,
            "missing_renders": missing_renders,
            "leak": {name: dict(to) for name, to in (leak or {}).items()},
            "levels": {name: [float(x) for x in one] for name, one in design.levels.items()},
            "systems": [_plain(one) for one in systems],
            "people": None if people is None else _plain(people),
        }
    )
    study["truth"] = xr.DataTree(truth)
    return study


def _check(seeds: int, missing_renders: float, people: People | None) -> None:
    if seeds < 2:
        raise DataError(f"{seeds} seeds", hint="use 2 or more, so that there are impostor pairs")
    if not 0 <= missing_renders < 1:
        raise DataError(
            f"missing_renders is {missing_renders}", hint="give a probability, 0 or more, below 1"
        )
    if people is not None and people.annotators < people.judgements:
        raise DataError(
            f"{people.judgements} judgements per item by {people.annotators} annotators",
            hint="use at least as many annotators as judgements per item",
        )


def _plain(parameters: System | People) -> dict[str, object]:
    """Convert parameters to values that JSON can store."""
    plain: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(parameters)))
    return plain


def _pairs(
    faces: pd.DataFrame,
    members: np.ndarray,
    rendered: np.ndarray,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Pairs:
    person = faces["person"].to_numpy()[members]
    seed = person // (shape[1] * shape[2])
    first = faces.iloc[members[:, 0]]
    table = first[["race", "gender"]].reset_index(drop=True)
    moved = rendered[faces["condition"].to_numpy()]
    return Pairs(
        table=table.assign(same_identity=seed[:, 0] == seed[:, 1]),
        faces=members,
        seed=seed,
        person=person,
        change=np.abs(moved[members[:, 1]] - moved[members[:, 0]]),
        alike=rng.standard_normal(len(members)),
    )


def _judgements(
    people: People,
    faces: pd.DataFrame,
    pairs: Pairs,
    rendered: np.ndarray,
    layout: Conditions,
    sizes: tuple[int, int, int],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw all answers, in the order of the release's files; answers not given have no score."""
    # Separate streams of random numbers: with other annotators, pairs and faces stay the same.
    of_traits, of_pairs, of_answers, of_faces = rng.spawn(4)
    traits = draw_traits(people, of_traits)
    eta = draw_alike(people, pairs, sizes[0], sizes[1], layout.attributes, of_pairs)
    bias = pairs.table["race"].map(dict(people.annotator_bias)).fillna(0.0).to_numpy(float)
    given = answer(eta, bias, people.cutpoints, people, traits, of_answers)
    ids = pair_ids(len(eta))
    parts = [_long(PAIR_QUESTION, "pair", ids, *given)]
    for question in sorted(people.questions, key=lambda question: question.name):
        asked = faces[_is_asked(question.slopes, layout)[faces["condition"]]].sort_values(FACTORS)
        eta = mean_perceived(question, asked, rendered[asked["condition"]], layout.attributes)
        of_seed = of_faces.normal(0.0, people.sd_seed, sizes[0])
        of_person = of_faces.normal(0.0, people.sd_face, sizes[1])
        person = asked["person"].to_numpy()
        eta += of_seed[person // (sizes[1] // sizes[0])] + of_person[person]
        eta += of_faces.normal(0.0, people.sd_pair, len(eta))
        given = answer(eta, np.zeros(len(eta)), question.cutpoints, people, traits, of_answers)
        parts.append(_long(question.name, "stimulus", asked["stimulus"].to_numpy(), *given))
    columns = ["question", "pair", "stimulus", "annotator", "score"]
    return pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)


def _is_asked(slopes: Mapping[str, float], layout: Conditions) -> np.ndarray:
    """Which conditions a question is asked about; see `People.questions`."""
    with_slopes = np.isin(layout.attribute, list(slopes))
    highest = np.array(
        [
            level == layout.level[layout.attribute == name].max()
            for name, level in zip(layout.attribute, layout.level, strict=True)
        ]
    )
    return with_slopes | highest | (layout.attribute == PROTOTYPE)


def _long(
    question: str, target: str, items: np.ndarray, who: np.ndarray, score: np.ndarray
) -> pd.DataFrame:
    names = np.char.add("w", np.arange(who.max() + 1).astype(str))
    return pd.DataFrame(
        {
            "question": question,
            target: pd.Series(np.repeat(items, who.shape[1]), dtype="str"),
            "annotator": pd.Series(names[who.ravel()], dtype="str"),
            "score": score.ravel(),
        }
    )


def _study(
    design: Design,
    faces: pd.DataFrame,
    pairs: Pairs,
    distances: Sequence[pd.DataFrame],
    people: People | None,
    judgements: pd.DataFrame | None,
    missing: int,
) -> Study:
    salt = b"simulated"  # simulated annotators need no protection
    ids = pair_ids(len(pairs.table))
    stimulus = faces["stimulus"].to_numpy()
    answered, silent = judgements, None
    if judgements is not None:
        given = judgements["score"].notna()
        answered, silent = judgements.loc[given], judgements.loc[~given]
    scales: dict[str, tuple[float, float]] = {}
    if people is not None:
        scales = {one.name: (0, len(one.cutpoints)) for one in people.questions}
        scales[PAIR_QUESTION] = (0, len(people.cutpoints))
    study = make_study(
        factors=FACTORS,
        references=design.all_references(),
        stimuli=faces.drop(columns=["person", "condition"]),
        pairs=pd.DataFrame(
            {
                "stimulus_a": stimulus[pairs.faces[:, 0]],
                "stimulus_b": stimulus[pairs.faces[:, 1]],
                "pair": ids,
            }
        ),
        distances=pd.concat([one.assign(pair=ids) for one in distances]) if distances else None,
        judgements=answered,
        scales=scales,
        salt=salt,
        name="simulated",
        title="with known truth",
        excluded=exclusions(
            [
                ("simulated", "renders", "not in the release", missing),
                ("simulated", "answers", "no score", 0 if silent is None else len(silent)),
            ]
        ),
    )
    if silent is not None and len(silent):
        study["unanswered"] = unanswered(silent, salt)
    return study
