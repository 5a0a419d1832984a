"""Time and memory of every verb on a posterior of the paper's size: 4,000 draws, 48,000 pairs.

    python benchmarks/verbs_full_size.py [--links]

Ordinal and binary posteriors are a Gaussian one's draws under another family's name: what is
measured is what the verbs do with them. Prints one line a verb: seconds, CPU seconds of all its
threads, and the peak of the process's memory so far. The target is 5 s and 4 GiB. With --links
also a probit model.
"""

import resource
import sys
import time

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb
from causalbias.models.result import Fit, pack_frame
from causalbias.models.specification import ModelSpec, model_frame

SEEDS, PAIRS = 100, 48_000


def main(links: bool) -> None:
    rng = np.random.default_rng(1)
    both = pairs(rng)
    frame = both.drop(columns="same_identity")
    groups = "(1|seed) + (1|seed:race)"
    right = f"race*gender + pose + {groups}"
    distance = cb.fit(f"distance ~ {right}", frame)
    kinds = cb.fit("distance ~ race*gender*same_identity", both)
    score = made_up(distance, ModelSpec(f"score ~ {right}", "cumulative"), frame)
    same = made_up(distance, ModelSpec(f"same ~ {right}", "bernoulli"), frame)
    models = {"distance": distance, "score (ordinal)": score, "same (binary)": same}
    if links:
        spec = ModelSpec(f"score ~ {right}", "cumulative", "probit")
        models["score (probit)"] = made_up(distance, spec, frame)
    print(f"{len(frame):,} pairs, 4,000 draws; {memory():.1f} GiB before the first verb")
    for name, fit in models.items():
        of_model(name, fit)
    timed("effects on FMR", lambda: cb.effects(distance, "race", scale="FMR", threshold=0.6))
    timed("compare", lambda: cb.compare(score, distance, "race", by="gender", population="new"))
    timed("discriminability", lambda: cb.discriminability(kinds, by=["race", "gender"]))
    effect = cb.effects(distance, "race", by="gender")
    told = {"a": 'effect["b", "f"] - effect["c", "f"]'}
    timed("hypotheses", lambda: cb.equivalence(cb.hypotheses(effect, told), (-0.1, 0.1)))
    timed("table", lambda: cb.table(effect).as_raw_html())


def of_model(name: str, fit: Fit) -> None:
    cells = ["race", "gender"]
    for population in ("these", "new"):
        options = {"population": population}
        told = f"{name}, {population}"
        timed(f"predictions, {told}", lambda o=options: cb.predictions(fit, cells, **o))
        timed(f"effects, {told}", lambda o=options: cb.effects(fit, "race", by="gender", **o))
        timed(f"interaction, {told}", lambda o=options: cb.interaction(fit, *cells, **o))
        timed(f"dose, {told}", lambda o=options: cb.dose(fit, "pose", **o))
    timed(f"variance_shares, {name}", lambda: cb.variance_shares(fit))
    timed(f"heterogeneity, {name}", lambda: cb.heterogeneity(fit, "race", scale="link"))


def pairs(rng: np.random.Generator) -> pd.DataFrame:
    seed = np.arange(PAIRS) % SEEDS
    return pd.DataFrame(
        {
            "seed": seed,
            "race": rng.choice(list("abc"), PAIRS),
            "gender": rng.choice(list("fm"), PAIRS),
            "pose": rng.integers(0, 5, PAIRS).astype(float),
            "same_identity": rng.random(PAIRS) < 0.5,
            "distance": rng.normal(0.6, 0.1, PAIRS),
            "score": rng.integers(0, 5, PAIRS),
            "same": rng.integers(0, 2, PAIRS),
        }
    )


def made_up(gaussian: Fit, spec: ModelSpec, frame: pd.DataFrame) -> Fit:
    """The fit of another family with the draws of a Gaussian one."""
    used = model_frame(spec, frame)
    posterior = gaussian["posterior"].to_dataset().drop_vars("sigma")
    if spec.family == "cumulative":
        cuts = posterior["pose"] + xr.DataArray(np.linspace(-1.5, 1.5, 4), dims="threshold_dim")
        posterior = posterior.drop_vars("Intercept").assign(threshold=cuts)
    response = "score" if spec.family == "cumulative" else "same"
    packed = pack_frame(used)
    groups = {"posterior": posterior, "observed_data": packed[[response]], "constant_data": packed}
    found = Fit(children={name: xr.DataTree(one) for name, one in groups.items()})
    found.attrs = gaussian.attrs | {"spec": spec.to_json()}
    return found


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(name: str, verb) -> None:  # type: ignore[no-untyped-def]
    started, cpu = time.perf_counter(), time.process_time()
    verb()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{name:45s} {wall:6.2f} s {cpu:6.2f} s CPU {memory():6.1f} GiB", flush=True)


if __name__ == "__main__":
    main("--links" in sys.argv)
