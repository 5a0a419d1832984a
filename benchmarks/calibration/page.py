"""Tables and figures of docs/calibration.md, from the summaries in results/.

    python -m benchmarks.calibration.page

The words of the page are written by hand; what stands between ``<!-- name -->`` and
``<!-- /name -->`` is replaced. A table is a function in `TABLES`.
"""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.calibration import records
from benchmarks.calibration.intervals import wilson
from benchmarks.calibration.uniform import BINS, envelope
from benchmarks.calibration.worlds import RACES

DOCS = records.HERE.parents[1] / "docs"
PAGE = DOCS / "calibration.md"
WANTED = (0.87, 0.93)  # of the 90% intervals
HEALED = ("healed", "remedied skewness")  # cases of lines that `check` prints
FAULTS = ("wrong", *HEALED, "remedied", "remedied annotators")  # cases of planted faults
# Not intervals that could have their nominal coverage; the page says why.
AT_THE_END = ("equal rates", "share flipped")
BLUE, RED, GREY = "#0072B2", "#D55E00", "#BBBBBB"


def result(name: str) -> pd.DataFrame:
    return pd.read_csv(records.RESULTS / f"{name}.csv")


def right_models() -> pd.DataFrame:
    """Coverage by estimand, of models that are right."""
    found = result("coverage")
    return found[~found["case"].isin(FAULTS)].reset_index(drop=True)


def verdict(row: pd.Series) -> str:
    """Whether 90% intervals hold the truth as often as they should, as far as can be told."""
    if any(one in row["estimand"] for one in AT_THE_END):
        return "see text"
    if WANTED[0] <= row["90"] <= WANTED[1]:
        return "yes"
    away = row["90 high"] < WANTED[0] or row["90 low"] > WANTED[1]
    return ("**too few**" if row["90"] < WANTED[0] else "too many") if away else "open"


def percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f}"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *escaped]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ranks_table() -> str:
    """One row a case of simulation-based calibration."""
    rows = []
    for case, part in result("sbc").groupby("case", sort=False):
        likelihood = part.loc[part["quantity"] == "log likelihood", "p_ecdf"].iloc[0]
        smallest = part[["p_ecdf", "p_chi_square"]].min()
        adjusted = np.minimum(1.0, smallest * len(part))
        worst = part.loc[part["p_ecdf"].idxmin(), "quantity"]
        rows.append(
            [
                str(case),
                str(part["replicates"].iloc[0]),
                str(part["failed"].iloc[0]),
                str(len(part)),
                f"{adjusted['p_ecdf']:.2f} (`{worst}`)",
                f"{adjusted['p_chi_square']:.2f}",
                f"{likelihood:.2f}",
            ]
        )
    header = [
        "engine, family, model",
        "data sets",
        "marked",
        "quantities",
        "ECDF: smallest p, times quantities",
        "chi-square: the same",
        "p of the log likelihood",
    ]
    return markdown(header, rows)


def kind_of(quantity: str) -> str:
    """What a quantity of `sbc` is, as a column of `rank_coverage_table` says it."""
    if quantity == "log likelihood":
        return quantity
    if quantity.startswith("sd ") or ("|" in quantity and quantity.endswith("_sigma")):
        return "sds of groups"
    if "|" in quantity and not quantity.startswith("cor"):
        return "effects of levels"
    mean = quantity.startswith(("Intercept", "race", "x", "threshold", "coefficient"))
    return "coefficients, thresholds" if mean else "other parameters"


def rank_coverage_table() -> str:
    """Coverage of central 90% intervals, which leave out the first and last of 20 bins of ranks.

    Shares are over all quantities of a kind. Wilson's interval has as many trials as data sets,
    as if the quantities of one were no more than one.
    """
    kinds = ["coefficients, thresholds", "sds of groups", "effects of levels", "other parameters"]
    kinds.append("log likelihood")
    rows = []
    for case, part in result("sbc").groupby("case", sort=False):
        replicates, cells = int(part["replicates"].iloc[0]), []
        of_kind = dict(iter(part.groupby(part["quantity"].map(kind_of))))
        for kind in kinds:
            if kind not in of_kind:
                cells.append("")
                continue
            counts = sum(np.array(one.split(), int) for one in of_kind[kind]["ranks"])
            rate = counts[1:-1].sum() / counts.sum()
            low, high = wilson(rate, replicates)
            cells.append(f"{percent(rate)} ({percent(low)} to {percent(high)})")
        rows.append([str(case), str(replicates), *cells])
    return markdown(["engine, family, model", "data sets", *kinds], rows)


def coverage_table() -> str:
    """One row an estimand."""
    rows = [
        [
            f"`{row['estimand']}`",
            str(row["studies"]),
            str(row["intervals"]),
            percent(row["50"]),
            f"{percent(row['90'], 1)} ({percent(row['90 low'])} to {percent(row['90 high'])})",
            percent(row["99"], 1),
            verdict(row),
        ]
        for _, row in right_models().iterrows()
    ]
    header = [
        "estimand",
        "studies",
        "intervals",
        "50%",
        "90% (Monte Carlo interval)",
        "99%",
        "87 to 93?",
    ]
    return markdown(header, rows)


def totals_table() -> str:
    """How many studies and estimands, and how they came out."""
    every = right_models()
    told = every.apply(verdict, axis=1)
    studies = every.groupby("case")["studies"].max()
    regular = every[told != "see text"]
    pooled = np.average(regular["90"], weights=regular["intervals"])
    counts = told.value_counts()
    rows = [
        ["simulated studies of right models", f"{studies.sum():,}"],
        ["intervals", f"{every['intervals'].sum():,}"],
        ["coverage of all 90% intervals together", f"{percent(pooled, 1)}%"],
        *(
            [f"estimands: {name}", str(counts.get(name, 0))]
            for name in ("yes", "open", "too many", "**too few**", "see text")
        ),
    ]
    return markdown(["", ""], rows)


def signs_table() -> str:
    """False alarms where the effect is zero, power where it is not, and wrong signs."""
    found = result("coverage_by_setting")
    found = found[~found["case"].isin(FAULTS)]
    lines = [
        "effects: response, typical",
        "interaction: response, these",
        "effects: FMR, new",
        "effects: mean category, new",
        "effects: probability, new",
        "checks.leaks",
    ]
    rows = []
    for name in lines:
        part = found[found["estimand"] == name]
        zeros, alarms = part["true zeros"].sum(), part["zeros excluded"].sum()
        powers = [
            f"{percent(one['clear of zero'] / max(one['intervals'] - one['true zeros'], 1))}"
            if one["intervals"] > one["true zeros"]
            else ""
            for setting in ("small bias", "large bias")
            for _, one in part[part["setting"].astype(str).str.startswith(setting)].iterrows()
        ]
        powers += [""] * (2 - len(powers))
        wrong, clear = part["wrong sign"].sum(), part["clear of zero"].sum()
        rate = f" ({percent(alarms / zeros)}%)" if zeros else ""
        rows.append([f"`{name}`", f"{alarms} of {zeros}{rate}", *powers, f"{wrong} of {clear}"])
    header = [
        "95% interval of",
        "excludes a true zero",
        "power, small bias (%)",
        "power, large bias (%)",
        "wrong sign, of those clear of zero",
    ]
    return markdown(header, rows)


def wrong_table() -> str:
    """Coverage of models that are wrong on purpose, and who notices."""
    found = result("coverage_by_setting")
    found = found[found["case"] == "wrong"]
    names = [
        "effects: race",
        *(f"dose: slope of {one}" for one in ("asian", "black", "white")),
        "heterogeneity: sd",
    ]
    rows = []
    for setting, part in found.groupby("setting", sort=False):
        part = part.set_index("estimand")
        by = [f"noticed by {one}" for one in ("check", "checks.leaks")]
        seen = [
            f"{round(part.loc[name, '90'] * part.loc[name, 'intervals']):.0f} of "
            f"{part.loc[name, 'intervals']:.0f}"
            if name in part.index
            else ""
            for name in by
        ]
        rows.append([str(setting), *(percent(part.loc[name, "90"]) for name in names), *seen])
    header = [
        "what is wrong",
        *(f"`{name}`" for name in names),
        "`check` fails or says to look",
        "`checks.leaks` clear",
    ]
    return markdown(header, rows)


def healed_table() -> str:
    """Coverage of 90% intervals before a line of `check` is pasted, and after."""
    found = result("coverage_by_setting")
    found = found[found["case"].isin(HEALED)].set_index(["setting", "estimand"])
    names = ["effects: race", "dose: slope of black", "heterogeneity: sd"]
    rows = []
    for setting in found.index.unique("setting"):
        part = found.loc[setting]
        seen = [held(part.loc[f"{by}noticed by check"]) for by in ("", "healed: ")]
        cells = [
            f"{held(part.loc[name])} → {held(after)} "
            f"({percent(after['90 low'])} to {percent(after['90 high'])})"
            for name in names
            for after in [part.loc[f"healed: {name}"]]
        ]
        rows.append([str(setting), str(part["studies"].iloc[0]), *seen, *cells])
    header = ["what is wrong", "studies", "`check` fails", "the new fit's too"]
    return markdown([*header, *(f"`{name}`" for name in names)], rows)


def remedied_table() -> str:
    """Coverage of 50% and 90% intervals of the model that answers a fault."""
    found = result("coverage_by_setting")
    found = found[found["case"].isin(("remedied", "remedied annotators"))]
    found = found.set_index(["setting", "estimand"])
    names = ["effects: race", *(f"dose: slope of {race}" for race in RACES), "heterogeneity: sd"]
    rows = [
        [
            str(setting),
            str(found.loc[(setting, names[0]), "studies"]),
            *(
                f"{percent(one['50'])}, {percent(one['90'])} "
                f"({percent(one['90 low'])} to {percent(one['90 high'])})"
                for one in (found.loc[(setting, name)] for name in names)
            ),
        ]
        for setting in found.index.unique("setting")
    ]
    return markdown(["what is wrong", "studies", *(f"`{name}`" for name in names)], rows)


def held(row: pd.Series) -> str:
    """How many of the 90% intervals hold the truth, of how many."""
    return f"{row['90'] * row['intervals']:.0f} of {row['intervals']:.0f}"


def figure_of_ranks() -> Figure:
    """Differences of ECDFs and the uniform distribution, with their 95% envelope."""
    cases = list(result("sbc").groupby("case", sort=False))
    across = 4
    down = -(-len(cases) // across)
    figure = Figure(figsize=(10, 1.8 * down), layout="constrained")
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    edges = np.arange(BINS + 1) / BINS
    for axis, (case, part) in zip(axes, cases, strict=False):
        n = int(part["replicates"].iloc[0])
        low, high = (np.concatenate([[0], one, [1]]) - edges for one in envelope(n))
        axis.fill_between(edges, low, high, color=GREY, alpha=0.5, lw=0)
        for _, row in part.iterrows():
            ecdf = np.concatenate([[0], np.cumsum(np.array(row["ranks"].split(), int)) / n])
            special = row["quantity"] == "log likelihood"
            axis.plot(
                edges,
                ecdf - edges,
                color=RED if special else BLUE,
                lw=1.4 if special else 0.6,
                zorder=3 if special else 2,
            )
        axis.set_title(f"{case} ({n})", fontsize=6.5)
        axis.tick_params(labelsize=7)
    for axis in axes[len(cases) :]:
        axis.set_visible(False)
    figure.supxlabel("rank of the truth among 99 draws, as a share", fontsize=8)
    figure.supylabel("ECDF less uniform", fontsize=8)
    return figure


def figure_of_coverage() -> Figure:
    """Coverage of 90% intervals, a dot an estimand."""
    found = right_models()
    found = found[~found["estimand"].str.contains(AT_THE_END[0])].iloc[::-1].reset_index(drop=True)
    figure = Figure(figsize=(7.5, 0.16 * len(found) + 1), layout="constrained")
    axis = figure.subplots()
    axis.axvspan(*WANTED, color=GREY, alpha=0.5, lw=0)
    axis.axvline(0.9, color="black", lw=0.6)
    for at, row in found.iterrows():
        colour = RED if "too" in verdict(row) else BLUE
        axis.plot([row["90 low"], row["90 high"]], [at, at], color=colour, lw=1)
        axis.plot(
            row["90"],
            at,
            "o",
            color=colour,
            ms=3,
            mfc="white" if verdict(row) == "see text" else colour,
        )
    axis.set_yticks(range(len(found)), found["estimand"], fontsize=6)
    axis.set_ylim(-1, len(found))
    axis.set_xlim(0.6, 1.005)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_xlabel("share of 90% intervals that hold the truth", fontsize=8)
    return figure


TABLES: dict[str, Callable[[], str]] = {
    "totals": totals_table,
    "ranks": ranks_table,
    "rank coverage": rank_coverage_table,
    "coverage": coverage_table,
    "signs": signs_table,
    "wrong": wrong_table,
    "healed": healed_table,
    "remedied": remedied_table,
}
FIGURES = {"calibration_ranks.png": figure_of_ranks, "calibration_coverage.png": figure_of_coverage}


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        table = make()
        text, n = pattern.subn(lambda found, t=table: f"{found[1]}{t}\n{found[2]}", text)
        if n != 1:
            raise SystemExit(f"{PAGE} has {n} places for the table {name!r}")
    PAGE.write_text(text, encoding="utf-8")
    for name, draw in FIGURES.items():
        draw().savefig(DOCS / "figures" / name, dpi=130)


if __name__ == "__main__":
    main()
