"""Draws the README's figure: effects of race on two simulated networks, beside what was put in.

    python paper/readme_figure.py

The experiment and its seed are the paper's (settings.toml); writes paper/readme.svg.
"""

import tomllib
from pathlib import Path

from simulated import study_of

import causalbias as cb
from causalbias.analyses.identity.report import estimates_of

HERE = Path(__file__).resolve().parent


def main() -> None:
    settings = tomllib.loads((HERE / "settings.toml").read_text())
    study = study_of(settings["simulated"], settings["seed"])
    result = cb.analyses.analyse_identity(
        study, prob=settings["prob"], draws=settings["draws"], random_seed=settings["seed"]
    )
    truth = estimates_of(result)["truth"]
    side = truth["fit"].str.rsplit(", ", n=1)
    truth = truth.assign(system=side.str[0], pairs=side.str[1]).query("system != 'people'")
    seeds = settings["simulated"]["seeds"]
    figure = cb.plots.group_effects(
        result.machine,
        truth=truth,
        prob=result.prob,
        xlabel=f"change of distance against {result.reference} faces",
        note=f"{100 * result.prob:g}% intervals. {seeds} simulated seeds. Impostor pairs left of "
        "zero: two persons are found more alike. Network A was made so; B treats all alike.",
    )
    print(cb.plots.write(figure, HERE / "readme.svg"))


if __name__ == "__main__":
    main()
