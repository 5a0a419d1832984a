"""Contents of reports, usual and odd, made once a session."""

from collections.abc import Callable
from functools import cache

import causalbias as cb
from causalbias.analyses import fitting
from causalbias.analyses.identity.analysis import analyse_identity
from causalbias.analyses.identity.report import identity_content
from causalbias.analyses.manipulation.analysis import analyse_manipulation
from causalbias.analyses.manipulation.report import manipulation_content
from causalbias.models.fit import fit as real_fit
from causalbias.report.content import Content

LEVELS = {"pose": [-3.0, 0.0, 3.0]}
HOSTILE = '<script>alert(1)</script> & "net" $x^2$'
LONG = "a group whose name is so long that nobody would want it on the axis of any figure"


def demo() -> Content:
    return manipulation_content(analyse_manipulation(cb.demo_study(), draws=500))


def one_attribute() -> Content:
    """One attribute with a hostile name, asked about two levels, no network."""
    human = cb.to_frame(cb.demo_study(), "human").query("attribute == 'age'")
    judgements = human.assign(attribute=HOSTILE, question="age", seed=1)
    columns = ["question", "annotator", "score", "attribute", "level"]
    study = cb.make_study(
        factors=["seed", "attribute", "level"],
        judgements=judgements[columns],
        scales=(0, 100),
        name=HOSTILE,
        title=HOSTILE,
    )
    return manipulation_content(analyse_manipulation(study, draws=500))


def people_and_networks() -> Content:
    system = cb.simulation.System(
        "net",
        threshold=0.8,
        biases=(
            cb.simulation.Bias("alike", -0.1, race="black", same_identity=False),
            cb.simulation.Bias("apart", 0.05, race="black", same_identity=True),
        ),
    )
    people = cb.simulation.People(annotators=60, judgements=4, questions=())
    study = cb.simulate(
        10,
        random_seed=2,
        systems=(system, cb.simulation.System("net 10")),
        people=people,
        levels=LEVELS,
        impostors=10,
    )
    return identity_content(analyse_identity(study, draws=500))


def no_people() -> Content:
    """One network of a hostile name with failures, long names of groups, nobody asked."""
    system = cb.simulation.System(HOSTILE, failure=0.1)
    study = cb.simulate(
        5, systems=(system,), people=None, levels=LEVELS, impostors=5, races=(LONG, "<b>white</b>")
    )
    return identity_content(analyse_identity(study, draws=500))


def failed() -> Content:
    """Networks' models sampled so shortly that they cannot converge."""

    def worthless(*args, **kwargs):
        options = {"method": "nuts", "draws": 10, "tune": 10, "chains": 2, "random_seed": 1}
        return real_fit(*args, **(kwargs | options))

    kept, fitting.fit = fitting.fit, worthless
    try:
        human = cb.to_frame(cb.demo_study(), "human").query("attribute == 'age'")
        columns = ["question", "annotator", "score", "attribute", "level"]
        study = cb.make_study(
            factors=["seed", "attribute", "level"],
            scales=(0, 100),
            judgements=human.assign(seed=1)[columns],
        )
        return manipulation_content(analyse_manipulation(study))
    finally:
        fitting.fit = kept


MADE: dict[str, Callable[[], Content]] = {
    one.__name__: cache(one)
    for one in (demo, one_attribute, people_and_networks, no_people, failed)
}
