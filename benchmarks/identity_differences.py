"""Coverage of differences of what race changes, between systems and between kinds of pairs.

Two systems see the same pairs. What each seed and face has of its own is correlated between systems
and between kinds of pairs, and so is the noise between systems. Counted is how often intervals of
the identity analysis's differences hold the truth, and their width, beside those of the separate
fits taken as independent.

Run as ``python benchmarks/identity_differences.py STUDIES [FIRST]``: studies are appended to
``identity_differences.csv`` in the working directory, and all that are there are summed up. With
``joint`` in the place of STUDIES, one study is also fitted by a joint model of both kinds of pairs,
and CPU seconds and estimates are printed.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb
from causalbias.analyses.identity.analysis import Identity

SEEDS, IMPOSTORS, CORRELATION = 12, 12, 0.7
SYSTEMS = ("A", "B")
KINDS = ("genuine", "impostor")
# by system, of (genuine, impostor) pairs, in units of its distance
SCALE = {"A": 1.0, "B": 2.5}
BIAS = {"A": (0.04, -0.08), "B": (0.0, -0.05)}  # of black faces, times the scale
SD_SEED, SD_FACE, SD_NOISE = (0.02, 0.02), (0.03, 0.03), (0.035, 0.05)
OUT = Path("identity_differences.csv")


def study(seed: int) -> cb.Study:
    """A study of two systems whose distances are drawn with correlated effects and noise."""
    rng = np.random.default_rng([seed, 5])
    made = cb.simulate(
        SEEDS,
        random_seed=seed,
        people=None,
        levels={"pose": [-3.0, 0.0, 3.0]},
        impostors=IMPOSTORS,
        systems=tuple(cb.simulation.System(name) for name in SYSTEMS),
    )
    pairs = cb.to_frame(made, "pairs")
    same = pairs["same_identity"].to_numpy(bool)
    kind = np.where(same, 0, 1)
    faces = [
        pairs[[f"seed_{side}", "race", "gender"]].astype(str).agg(" ".join, axis=1) for side in "ab"
    ]
    mean = np.where(same, 0.3, 0.95)
    black = (pairs["race"] == "black").to_numpy()
    own = _effects(rng, [pairs["seed_a"], pairs["seed_b"]], SD_SEED, kind)
    own += _effects(rng, faces, SD_FACE, kind)
    noise = _correlated(rng, len(pairs), len(SYSTEMS)) * np.array(SD_NOISE)[kind][:, None]
    distance = np.stack(
        [
            SCALE[name] * (mean + black * np.array(BIAS[name])[kind] + own[:, at] + noise[:, at])
            for at, name in enumerate(SYSTEMS)
        ]
    )
    machine = made["machine"].to_dataset()
    machine["distance"] = (("system", "pair"), distance)
    made["machine"] = xr.DataTree(machine)
    return made


def _correlated(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """Standard normal numbers (n, k), those of a row correlated."""
    shared = rng.standard_normal((n, 1))
    return np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * rng.standard_normal((n, k))


def _effects(
    rng: np.random.Generator, members: list[pd.Series], sd: tuple[float, float], kind: np.ndarray
) -> np.ndarray:
    """Effects (pair, system): of one member of genuine pairs, the sum of both of impostor pairs."""
    levels, codes = np.unique(np.concatenate(members), return_inverse=True)
    each = _correlated(rng, len(levels), len(SYSTEMS) * len(KINDS)).reshape(-1, len(SYSTEMS), 2)
    each = each * np.array(sd)
    first, second = codes.reshape(2, -1)
    return np.where(kind[:, None] == 0, each[first, :, 0], each[first, :, 1] + each[second, :, 1])


def truths() -> dict[str, float]:
    """The true differences for black faces, against white ones."""
    found = {}
    for at, kind in enumerate(KINDS):
        members = at + 1
        unit = np.sqrt(members * (SD_SEED[at] ** 2 + SD_FACE[at] ** 2) + SD_NOISE[at] ** 2)
        found[f"systems, {kind}"] = (BIAS["A"][at] - BIAS["B"][at]) / unit
    found |= {f"kinds, {name}": SCALE[name] * (BIAS[name][1] - BIAS[name][0]) for name in SYSTEMS}
    return found


def differences(result: Identity) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Draws of each difference: of the analysis, and of separate fits taken as independent."""
    found = {}
    for kind in KINDS:
        apart = cb.compare(
            *(result.fits[f"{name}, {kind}"] for name in reversed(SYSTEMS)),
            "race",
            by="gender",
            reference="white",
        )
        found[f"systems, {kind}"] = (
            result.between_systems["effect"].sel(pairs=kind, systems="A minus B"),
            apart["difference"].sel(unit="pair sd"),
        )
    for name in SYSTEMS:
        own = result.machine["effect"].sel(system=name)
        found[f"kinds, {name}"] = (
            result.between_kinds["effect"].sel(system=name),
            own.sel(pairs="impostor") - own.sel(pairs="genuine"),
        )
    return found


def record(seed: int) -> pd.DataFrame:
    result = cb.analyses.analyse_identity(study(seed), draws=250, random_seed=seed)
    truth, rows = truths(), []
    for name, both in differences(result).items():
        for way, draws in zip(("paired", "independent"), both, strict=True):
            for race, true in (("asian", 0.0), ("black", truth[name])):
                for gender in ("female", "male"):
                    one = draws.sel(race=race, gender=gender).values.ravel()
                    low, high = np.quantile(one, [0.05, 0.95])
                    z = (one.mean() - true) / one.std()
                    rows.append((seed, name, way, race, gender, low <= true <= high, high - low, z))
    columns = ["study", "difference", "way", "race", "gender", "holds", "width", "z"]
    return pd.DataFrame(rows, columns=columns)


def main(studies: int, first: int = 0) -> None:
    for seed in range(first, first + studies):
        record(seed).to_csv(OUT, mode="a", header=not OUT.exists(), index=False)
    every = pd.read_csv(OUT)
    table = every.groupby(["difference", "way"]).agg(
        studies=("study", "nunique"),
        holds=("holds", "mean"),
        width=("width", "mean"),
        z=("z", lambda z: np.sqrt(np.mean(np.square(z)))),
    )
    print(table.round(3).to_string())


def joint() -> None:
    """CPU seconds of one model of both kinds of pairs, and what it says beside the paired one."""
    made = study(0)
    start = time.process_time()
    result = cb.analyses.analyse_identity(made)
    print(f"the analysis, 10 fits: {time.process_time() - start:.0f} s of CPU")
    rows = pd.concat([result.rows[f"A, {kind}"] for kind in KINDS])
    cell = "same_identity"
    text = (
        f"distance ~ {cell}*(race*gender + race*step) + (0 + {cell}|mm(seed_a, seed_b))"
        f" + (0 + {cell}|mm(face_a, face_b))"
    )
    start = time.process_time()
    fit = cb.fit(cb.formula(text, sigma=f"~ {cell}*race*gender"), rows)
    print(f"one model of both kinds of A: {time.process_time() - start:.0f} s of CPU\n{fit}")
    effect = cb.effects(fit, "race", by=["gender", cell], reference="white")["effect"]
    difference = effect.sel({cell: False}) - effect.sel({cell: True})
    paired, apart = differences(result)["kinds, A"]
    for name, one in (("joint", difference), ("paired", paired), ("independent", apart)):
        print(
            name, cb.summarise(one.to_dataset(name="effect"))[["race", "gender", "estimate", "sd"]]
        )


if __name__ == "__main__":
    if sys.argv[1] == "joint":
        joint()
    else:
        main(*map(int, sys.argv[1:]))
