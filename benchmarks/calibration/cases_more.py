"""Coverage of the joint model, slopes on perceived change, the pilot's tools, and a whole release.

Parameters are fixed and what is sampled (seeds, pairs, faces, answers) is drawn anew, but for
`perceived`, whose model has a population of manipulations to draw from.
"""

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb
from benchmarks.calibration.intervals import Record, of_draws, of_table
from benchmarks.interval_coverage import contrasts, pairs_of

SAMPLE = ("chain", "draw")


def joint(replicate: int) -> list[Record]:
    """Scores and distances of the same pairs; bias at equal score."""
    rng = np.random.default_rng([6, replicate])
    seeds, each, noise = 25, 8, 0.8
    of_seed = np.array([[0.16, -0.04], [-0.04, 0.04]])
    of_pair = np.array([[0.36, -0.06], [-0.06, 0.09]])
    coefficient = np.array([[2.0, 1.0], [0.3, -0.1], [-0.2, 0.1]])  # intercept, race, pose
    seed = np.repeat(np.arange(seeds), each)
    race, pose = np.tile([0, 1], len(seed) // 2), np.tile([0, 0, 1, 1, 2, 2, 0, 2], seeds)
    mean = np.column_stack([np.ones(len(seed)), race, pose]) @ coefficient
    latent = mean + rng.multivariate_normal([0, 0], of_seed, seeds)[seed]
    latent += rng.multivariate_normal([0, 0], of_pair, len(seed))
    count = rng.integers(1, 7, len(seed))
    answers = [latent[i, 0] + noise * rng.standard_normal(n) for i, n in enumerate(count)]
    rows = pd.DataFrame(
        {
            "seed": seed,
            "race": np.array(["asian", "black"])[race],
            "pose": pose,
            "distance": latent[:, 1],
            "answers": count,
            "score": [one.mean() for one in answers],
            "within": [((one - one.mean()) ** 2).sum() for one in answers],
        }
    )
    found = cb.joint(
        rows,
        "race + pose",
        groups={"seed": "seed"},
        draws=500,
        tune=300,
        chains=2,
        random_seed=replicate,
    )
    of = {"seed": of_seed, "pair": of_pair}

    def part(row, value):
        return value(of[row["source"]])

    posterior = found.posterior.to_dataset()
    terms = dict(zip(posterior["term"].values, (0, 1, 2), strict=True))
    outcomes = {"score": 0, "distance": 1}
    records = of_draws(
        "joint: coefficients",
        posterior[["coefficient"]],
        lambda row: coefficient[terms[row["term"]], outcomes[row["outcome"]]],
    )
    records += of_draws(
        "joint: sd, {source}",
        posterior[["sd"]],
        lambda row: part(row, lambda m: np.sqrt(m[(outcomes[row["outcome"]],) * 2])),
    )
    records += of_draws(
        "joint: correlation, {source}",
        posterior[["correlation"]],
        lambda row: part(row, lambda m: m[0, 1] / np.sqrt(m[0, 0] * m[1, 1])),
    )
    records += of_draws("joint: noise of an answer", posterior[["noise"]], lambda _: noise)
    total = of_seed + of_pair
    slope = total[0, 1] / total[0, 0]
    bias = cb.joint_model.conditional_bias(found, "race")
    records += of_draws(
        "conditional_bias",
        bias,
        lambda _: coefficient[1, 1] - slope * coefficient[1, 0],
        "conditional",
    )
    return records + of_draws(
        "conditional_bias: slope on the score", bias[["slope"]], lambda _: slope
    )


def perceived(replicate: int) -> list[Record]:
    """Slope of distance on perceived change over 12 manipulations, both estimated."""
    rng = np.random.default_rng([7, replicate])
    what, (slope, scatter) = 12, (0.02, 0.05)
    change = rng.normal(10, 8, what)
    outcome = 0.1 + slope * change + rng.normal(0, scatter, what)

    def draws_of(values: np.ndarray, sd: float) -> xr.DataArray:
        centre = values + rng.normal(0, sd, what)
        drawn = rng.normal(centre, sd, (4, 250, what))
        return xr.DataArray(drawn, dims=(*SAMPLE, "what"), coords={"what": np.arange(what)})

    found = cb.joint_model.per_perceived(
        draws_of(outcome, 0.03), draws_of(change, 4.0), "what", draws=250, random_seed=replicate
    )
    return [
        *of_draws("per_perceived: slope", found, lambda _: slope, "slope"),
        *of_draws("per_perceived: scatter", found, lambda _: scatter, "scatter"),
        *of_draws("per_perceived: true change", found, lambda r: change[r["what"]], "true_change"),
    ]


def pilot(replicate: int) -> list[Record]:
    """Directions in a latent space, and steps that look equal."""
    rng = np.random.default_rng([8, replicate])
    weight = rng.normal(0, 3, (3, 12))
    latent = rng.normal(size=(150, 12))
    names = ["age", "smiling", "weight"]
    seen = pd.DataFrame(50 + latent @ weight.T + rng.normal(0, 8, (150, 3)), columns=names)
    directions = cb.stimuli.fit_directions(latent, seen, random_seed=replicate, draws=400)
    step = directions["direction"].to_numpy()
    own = (step * directions["weight"].to_numpy()).sum(axis=1)
    moved = step @ weight.T / own[:, None]
    found = of_table(
        "stimuli.predicted_leaks",
        lambda prob: cb.stimuli.predicted_leaks(directions, prob=prob),
        lambda row: moved[names.index(row["attribute"]), names.index(row["question"])],
    )
    at = np.repeat(np.linspace(0, 3, 7), 20)
    score = curve(at) + rng.normal(0, 12, len(at))
    fine = np.linspace(0, 3, 3001)
    # the first and last level are where the pilot ends
    return found + of_table(
        "stimuli.equal_steps",
        lambda prob: cb.stimuli.equal_steps(at, score, 5, prob=prob, random_seed=replicate).rename(
            columns={"displacement": "estimate"}
        ),
        lambda row: (
            np.interp(row["score"], curve(fine), fine) if row["index"] in (1, 2, 3) else np.nan
        ),
    )


def curve(at: np.ndarray) -> np.ndarray:
    """Points of rating by displacement."""
    return 50 + 25 * np.tanh(at - 1)


LEVELS = {"age": [0.8, 2.6, 4.4], "pose": [-3.0, 0.0, 3.0]}
SYSTEM = cb.simulation.System(
    "net",
    biases=(
        cb.simulation.Bias("black impostors alike", -0.08, race="black", same_identity=False),
        cb.simulation.Bias(
            "pose harder on black", 0.03, race="black", same_identity=True, attribute="pose"
        ),
    ),
    failure=0.03,
)
# As the models assume: one discrimination, no careless clicks.
PEOPLE = cb.simulation.People(
    annotators=60, judgements=3, sd_discrimination=0.0, careless=0.0, dropout=0.1, missing=0.05
)


def release(replicate: int) -> list[Record]:
    """A simulated release: failed renders, failures to enrol, dropouts and missing answers."""
    study = cb.simulate(
        16,
        random_seed=replicate,
        systems=(SYSTEM,),
        people=PEOPLE,
        levels=LEVELS,
        impostors=6,
        missing_renders=0.05,
    )
    truth = study["truth"].to_dataset()
    return [*distances(study, truth, replicate), *answers(study, truth, replicate)]


def distances(study: cb.Study, truth: xr.Dataset, seed: int) -> list[Record]:
    """Effects of race on distances of genuine and impostor pairs, in the population of seeds."""
    found = []
    for same, groups in (
        (True, "(1|seed) + (1|seed:race:gender)"),
        (False, "(1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b))"),
    ):
        frame = pairs_of(study, "machine", same_identity=same)
        frame = frame[frame["distance"].notna()]
        slopes = "race*turn + older" if same else "turn + older"
        fit = cb.fit(f"distance ~ race*gender + {slopes} + {groups}", frame, random_seed=seed)
        cube = truth["distance"].sel(population="new seeds", same_identity=same, system="net")
        true = contrasts(cube, frame, "race", "white")
        kind = "genuine" if same else "impostor, mm()"
        found += of_draws(
            f"release: race, {kind}",
            cb.effects(fit, "race", reference="white", population="typical"),
            lambda row, t=true: t[row["race"]],
        )
    return found


def answers(study: cb.Study, truth: xr.Dataset, seed: int) -> list[Record]:
    """Effect of race on people's mean answer about impostor pairs, in points of the scale."""
    frame = pairs_of(study, "human", same_identity=False)
    fit = cb.fit(
        "score ~ race*gender + step + (1|mm(seed_a, seed_b)) + (1|mm(face_a, face_b)) + (1|pair)"
        " + (1|annotator)",
        frame,
        random_seed=seed,
    )
    true = contrasts(truth["score"].sel(same_identity=False), frame, "race", "white")
    return of_draws(
        "release: race, people's answers",
        cb.effects(fit, "race", reference="white", population="typical"),
        lambda row: true[row["race"]],
    )


def checks(replicate: int, leak: float = 0.0, seeds: int = 20) -> list[Record]:
    """Perceived dose and leaks, from scores of a classifier for most faces.

    `leak`: points of expression that a unit of age moves.
    """
    rng = np.random.default_rng([9, replicate])
    levels = np.array([-1.0, 0.0, 1.0])
    faces = pd.MultiIndex.from_product(
        [range(seeds), ["a", "b"], ["age", "smiling"], levels],
        names=["seed", "race", "attribute", "level"],
    ).to_frame(index=False)
    faces.insert(0, "stimulus", [f"f{k}" for k in range(len(faces))])
    study = cb.make_study(
        factors=["seed", "race", "attribute", "level"],
        stimuli=faces,
        references={"age": 0.0, "smiling": 0.0},
    )
    effect = {("age", "age"): 1.0, ("smiling", "expression"): 0.8, ("age", "expression"): leak}
    parts = []
    for question in ("age", "expression"):
        slope = faces["attribute"].map(lambda one, q=question: effect.get((one, q), 0.0))
        slope = (
            slope.to_numpy()
            + rng.normal(0, 0.3, (seeds, 2))[
                faces["seed"], (faces["attribute"] == "age").astype(int)
            ]
        )
        score = 3 + rng.normal(0, 0.5, seeds)[faces["seed"]] + slope * faces["level"]
        score += rng.normal(0, 0.4, len(faces))
        kept = (rng.uniform(size=len(faces)) > 0.1) | (faces["level"] == 0)
        parts.append(
            pd.DataFrame({"stimulus": faces["stimulus"], "question": question, "score": score})[
                kept
            ]
        )
    scores = pd.concat(parts)
    found = of_table(
        "checks.dose",
        lambda prob: cb.manipulation_checks.dose(study, scores, prob=prob),
        lambda row: effect[row["attribute"], row["question"]] * row["level"],
    )
    return found + of_table(
        "checks.leaks",
        lambda prob: cb.manipulation_checks.leaks(study, scores, prob=prob),
        lambda row: 2 * effect.get((row["attribute"], row["question"]), 0.0),
    )
