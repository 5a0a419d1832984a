"""A study analysed: models fitted, and a report written."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import causalbias as cb
from causalbias.cli.cluster import workers_at
from causalbias.cli.console import (
    Command,
    console,
    errors_in_one_line,
    say,
    show_table,
    steps_shown,
)
from causalbias.cli.embed import embedded, warn, write_enrolment
from causalbias.cli.networks import chosen_embedders
from causalbias.cli.options import (
    PATH,
    Dataset,
    Device,
    Embedders,
    Prob,
    RandomSeed,
    Report,
    Scheduler,
    StudyPath,
    with_facts,
)
from causalbias.cli.studies import load_study

if TYPE_CHECKING:
    from causalbias.report.content import Content

STYLES = {"passed": "green", "misfit": "yellow", "unchecked": "yellow", "unconverged": "red"}


class ListsAnalyses(Command):
    """A command whose help ends with the registered analyses."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Parameters; the analyses are imported only where these are asked for."""
        from causalbias.analyses.registry import ANALYSES

        each = [f"{analysis.name}: {analysis.description}" for analysis in ANALYSES.values()]
        self.epilog = "\n\n".join(["Analyses:", *each])
        return super().get_params(ctx)


def demo(out: Report = Path("demo-report"), random_seed: RandomSeed = 1) -> None:
    """Analyse a small simulated experiment and show the estimates beside the truth."""
    _analyse(cb.demo_study(random_seed), out, prob=0.95, random_seed=random_seed)


@with_facts
def run(
    path: StudyPath = None,
    out: Report = Path("report"),
    dataset: Dataset = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the faces: embed them, for new distances.", **PATH),
    ] = None,
    embedder: Embedders = None,
    device: Device = "cpu",
    analysis: Annotated[
        str | None,
        typer.Option(help="A name below. [default: the first that applies to the study]"),
    ] = None,
    prob: Prob = 0.95,
    random_seed: RandomSeed = 1,
    scheduler: Scheduler = None,
    **facts: Any,
) -> None:
    """Load an experiment, analyse it, and write figures, tables and a report."""
    files = None
    with errors_in_one_line():
        study = load_study(path, dataset)
        if images is not None:
            files = cb.recognition.images_of(study, images)
            chosen = chosen_embedders(files, embedder, device, facts)
            cube = embedded(files, chosen, out)
            study = cb.recognition.with_distances(study, cube)
            warn(files, chosen, cube, study)
            cb.save(study, out / "study.nc")
            write_enrolment(study, out)
    with errors_in_one_line(), workers_at(scheduler):
        _analyse(study, out, name=analysis, images=files, prob=prob, random_seed=random_seed)


def _analyse(
    study: "cb.Study",
    out: Path,
    *,
    name: str | None = None,
    images: Mapping[str, Path] | None = None,
    prob: float,
    random_seed: int,
) -> None:
    """Write a report on a study, and print its main table and its verdict."""
    from causalbias.analyses.registry import choose_analysis
    from causalbias.report.page import write_report
    from causalbias.report.verdicts import overall

    say(study)
    with steps_shown() as say_step:
        analysis = choose_analysis(study, name)
        result = analysis.run(
            study,
            prob=prob,
            random_seed=random_seed,
            progress=say_step,
            keep=out / "fits",
        )
        say_step("report")
        content = analysis.content(result, images=images)
        page = write_report(content, out)
    _show_headline(content)
    verdict = overall(content.record.verdicts.values())
    console.print(verdict.sentence, style=STYLES[verdict.level])
    say(f"report: {page}")
    if verdict.level == "unconverged":
        raise typer.Exit(2)


def _show_headline(content: "Content") -> None:
    """Print the headline table: the columns that identify a row, estimate, interval and sizes."""
    from causalbias.report.tables import rounded

    table = content.results[content.headline]
    names = [str(name) for name in table]
    labels = names[: names.index("estimate")]
    interval = [name for name in ("estimate", "lower", "upper", "covered") if name in names]
    sizes = [name for name in names if name == "n" or name.startswith("n_")]
    table = table[[*labels, *interval, *sizes]]
    show_table(content.titles[content.headline], map(str, table), rounded(table))
