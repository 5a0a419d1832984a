"""Wrong guesses end in words: no function leaves a library's traceback for what it was given."""

import contextlib
import inspect

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError

FRAME = pd.DataFrame({"y": [1.0, 2, 3, 4, 2, 3] * 4, "x": [0, 1, 0, 1, 0, 1] * 4})


@pytest.fixture(scope="module")
def things():
    """One of everything that a user holds in hand."""
    fit = cb.fit("y ~ x", FRAME, draws=100)
    effect = cb.effects(fit, "x")
    return {
        "fit": fit,
        "study": cb.demo_study(),
        "frame": FRAME,
        "draws": effect,
        "one variable": effect["effect"],
        "table": cb.summarise(effect),
        "summary": cb.summary(fit),
        "checks": cb.check(fit),
        "text": "race",
        "nothing": None,
        "number": 5,
        "list": ["a", "b"],
        "dict": {"y": [1, 2]},
        "array": np.arange(3.0),
        "dataset": fit["posterior"].to_dataset(),
        "function": len,
    }


GUESSES = {
    "fit swapped": lambda t: cb.fit(t["frame"], "y ~ x"),
    "fit of a fit": lambda t: cb.fit("y ~ x", t["fit"]),
    "fit of a text": lambda _: cb.fit("y ~ x", "data.csv"),
    "forest of a fit": lambda t: cb.plots.forest(t["fit"]),
    "forest of a table": lambda t: cb.plots.forest(t["table"]),
    "summary of draws": lambda t: cb.summary(t["draws"]),
    "summarise of a fit": lambda t: cb.summarise(t["fit"]),
    "table of a fit": lambda t: cb.table(t["fit"]),
    "effects swapped": lambda t: cb.effects("x", t["fit"]),
    "effects of a study": lambda t: cb.effects(t["study"], "x"),
    "predictions of a study": lambda t: cb.predictions(t["study"], "x"),
    "predictions of a table": lambda t: cb.predictions(t["frame"], "x"),
    "check of draws": lambda t: cb.check(t["draws"]),
    "check of a study": lambda t: cb.check(t["study"]),
    "rates of a fit": lambda t: cb.error_rates(t["fit"], by="race", threshold=0.5),
    "compare of one": lambda t: cb.compare(t["fit"], "x", "x"),
    "compare of draws": lambda t: cb.compare(t["draws"], t["draws"], "x"),
    "hypotheses of a fit": lambda t: cb.hypotheses(t["fit"], {"a": "effect[1]"}),
    "equivalence of a table": lambda t: cb.equivalence(t["table"], (-1, 1)),
    "failures of draws": lambda t: cb.failures(t["draws"]),
    "dose of a table": lambda t: cb.dose(t["table"], "x"),
    "separation of a study": lambda t: cb.separation(t["study"]),
    "influence of draws": lambda t: cb.influence(t["draws"], len),
    "frame of a fit": lambda t: cb.to_frame(t["fit"], "machine"),
}


@pytest.mark.parametrize("guess", GUESSES)
def test_a_guess_ends_in_what_is_needed_and_what_was_given(guess, things):
    with pytest.raises(DataError, match=r"needed here, and .* was given"):
        GUESSES[guess](things)


def test_what_was_meant_is_done_where_it_is_clear(things):
    whole, one = cb.summarise(things["draws"]), cb.summarise(things["one variable"])
    assert one["estimate"].tolist() == whole["estimate"].tolist()


# What takes one thing first, by name of its parameter.
OF_A_FIT = (
    "predictions", "effects", "dose", "heterogeneity", "variance_shares", "summary", "check",
    "failures", "rerun", "with_predictive", "with_log_likelihood", "influence", "sensitivity",
    "prior_sensitivity", "separation", "counterfactual", "interaction", "compare", "design.power",
)  # fmt: skip
OF_DRAWS = ("summarise", "table", "hypotheses", "equivalence")
OF_ROWS = ("error_rates", "det", "equal_error_rate", "group_pair_rates")
FIGURES = tuple(f"plots.{name}" for name in cb.plots.__all__ if name not in ("render", "write"))
FURTHER = {
    "variable": "x", "by": "x", "cell": {"x": 1}, "against": {"x": 0}, "between": "x", "b": None,
    "expressions": {"a": "effect[1]"}, "rope": (-1, 1), "estimand": len, "sizes": [4],
    "threshold": 0.5, "dim": "x", "draws": None, "machine": None,
}  # fmt: skip


@pytest.mark.parametrize("name", [*OF_A_FIT, *OF_DRAWS, *OF_ROWS, *FIGURES])
def test_nothing_ends_in_a_librarys_error_whatever_it_is_given(name, things):
    function = cb
    for part in name.split("."):
        function = getattr(function, part)
    first, *others = [
        one for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]  # fmt: skip
    taken = OF_A_FIT * (name in OF_A_FIT) or ()
    for what, thing in things.items():
        if taken and what == "fit":
            continue
        arguments = {one.name: FURTHER.get(one.name) for one in others} | {first.name: thing}
        with contextlib.suppress(DataError):
            function(**arguments)
