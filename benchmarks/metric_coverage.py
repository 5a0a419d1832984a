"""How often 90% intervals of perceived metrics hold the truth, and what error does uncorrected.

Each study has 12 seeds; three attributes are pushed one at a time and leak into each other
(`simulate_metric`); a network and people judge the same nine pairs a seed. Faces are rated by few
raters, so exactly or so badly that the error of a difference is two thirds of a push.

Run: python -m benchmarks.metric_coverage [studies]. Prints the table of docs/explanation/metric.md.
"""

import sys
import warnings

import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb

SEEDS, PROB = 12, 0.9
FEW = {"draws": 250, "tune": 250, "chains": 2}
GIVEN = {"by": "judge", "reference": "people", "moved": ["attribute", "level"], **FEW}
MEANS = ["stimulus", "question"]


def metrics(number: int) -> dict[str, pd.DataFrame]:
    """Intervals and truths of a study, by method."""
    found = {}
    for name, noise in (("6 raters", 6.0), ("4 raters, noisy", 12.0)):
        raters = 6 if noise == 6 else 4
        distances, scores, truth = cb.simulation.simulate_metric(
            SEEDS, raters=raters, noise=noise, random_seed=1000 + number
        )
        metric = cb.causal.perceived_metric(distances, scores, random_seed=number, **GIVEN)
        found[name] = _against(metric, truth)
        if noise > 6:
            means = scores.groupby(MEANS, as_index=False)["score"].mean()
            metric = cb.causal.perceived_metric(
                distances, means, score_error=0, random_seed=number, **GIVEN
            )
            found[f"{name}, error ignored"] = _against(metric, truth)
    return found


def _against(metric: xr.Dataset, truth: xr.Dataset) -> pd.DataFrame:
    """Intervals of worths, ratios and correlations beside their true values."""
    relative = truth["worth"] / np.exp(np.log(truth["worth"]).mean("question"))
    true = {
        "worth": truth["worth"],
        "ratio": relative / relative.sel(judge="people", drop=True),
        "correlation": truth["correlation"],
    }
    parts = []
    for of, values in true.items():
        table = metric.summary(PROB, of=of)
        if of == "correlation":
            table = table[table["question"] < table["other"]]
        labels = [dim for dim in values.dims if dim in table]
        places = table[labels].to_dict("records")
        known = [values.sel(place).item() for place in places]
        parts.append(table[["estimate", "lower", "upper"]].assign(of=of, truth=known))
    return pd.concat(parts, ignore_index=True)


def main(studies: int = 60) -> None:
    warnings.simplefilter("ignore")
    found = [metrics(number) for number in range(studies)]
    print("| scores | studies | worth | ratio | correlation | worth / truth (median) |")
    print("| --- | --- | --- | --- | --- | --- |")
    for method in found[0]:
        rows = pd.concat([one[method] for one in found])
        held = (rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])
        share = held.groupby(rows["of"]).mean()
        worth = rows[rows["of"] == "worth"]
        size = (worth["estimate"] / worth["truth"]).median()
        told = " | ".join(f"{share[one]:.0%}" for one in ("worth", "ratio", "correlation"))
        print(f"| {method} | {studies} | {told} | {size:.2f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
