"""Wrong guesses end in words: no function leaves a library's traceback for what it was given."""

import contextlib
import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.arguments import generator
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
    "discriminability of a study": lambda t: cb.discriminability(t["study"]),
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
    "predictions",
    "effects",
    "dose",
    "heterogeneity",
    "variance_shares",
    "summary",
    "check",
    "failures",
    "model_checks.rerun",
    "model_checks.with_predictive",
    "model_checks.with_log_likelihood",
    "influence",
    "sensitivity",
    "model_checks.prior_sensitivity",
    "discriminability",
    "counterfactual",
    "interaction",
    "compare",
    "design.power",
)
OF_DRAWS = ("summarise", "table", "hypotheses", "equivalence")
OF_ROWS = ("error_rates", "det", "equal_error_rate", "rates.group_pair_rates")
FIGURES = tuple(f"plots.{name}" for name in cb.plots.__all__ if name not in ("render", "write"))
FURTHER = {
    "variable": "x",
    "by": "x",
    "cell": {"x": 1},
    "against": {"x": 0},
    "between": "x",
    "b": None,
    "expressions": {"a": "effect[1]"},
    "rope": (-1, 1),
    "estimand": len,
    "sizes": [4],
    "threshold": 0.5,
    "dim": "x",
    "draws": None,
    "machine": None,
}


@pytest.mark.parametrize("name", [*OF_A_FIT, *OF_DRAWS, *OF_ROWS, *FIGURES])
def test_nothing_ends_in_a_librarys_error_whatever_it_is_given(name, things):
    function = cb
    for part in name.split("."):
        function = getattr(function, part)
    first, *others = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    taken = OF_A_FIT * (name in OF_A_FIT) or ()
    for what, thing in things.items():
        if taken and what == "fit":
            continue
        arguments = {one.name: FURTHER.get(one.name) for one in others} | {first.name: thing}
        with contextlib.suppress(DataError):
            function(**arguments)


BAD = [5, None, ["race"], {"race": "a"}, ("a", "b"), "nope", 3.5, True, float("nan"), "", []]
OPTIONS = {
    "by": lambda fit, _, bad: cb.effects(fit, "x", by=bad),
    "variable": lambda fit, _, bad: cb.effects(fit, bad),
    "reference": lambda fit, _, bad: cb.effects(fit, "x", reference=bad),
    "scale": lambda fit, _, bad: cb.effects(fit, "x", scale=bad),
    "population": lambda fit, _, bad: cb.effects(fit, "x", population=bad),
    "threshold": lambda fit, _, bad: cb.effects(fit, "x", scale="FMR", threshold=bad),
    "cell": lambda fit, _, bad: cb.counterfactual(fit, bad, {"x": 0}),
    "grid": lambda fit, _, bad: cb.dose(fit, "x", grid=bad),
    "monotone": lambda fit, _, bad: cb.dose(fit, "x", monotone=bad),
    "between": lambda fit, _, bad: cb.interaction(fit, "x", bad),
    "names": lambda fit, _, bad: cb.compare(fit, fit, "x", names=bad),
    "rate": lambda fit, _, bad: cb.compare(fit, fit, "x", rate=bad),
    "over": lambda fit, _, bad: cb.heterogeneity(fit, "x", over=bad),
    "prob": lambda _, draws, bad: cb.summarise(draws, prob=bad),
    "of": lambda _, draws, bad: cb.summarise(draws, of=bad),
    "expressions": lambda _, draws, bad: cb.hypotheses(draws, bad),
    "rope": lambda _, draws, bad: cb.equivalence(draws, bad),
    "rows": lambda _, draws, bad: cb.plots.forest(draws, rows=bad),
    "change": lambda _, draws, bad: cb.per_unit(draws["effect"], bad),
    "dim": lambda _, draws, bad: cb.rank_probabilities(draws["effect"], bad),
    "estimand": lambda fit, _, bad: cb.influence(fit, bad, over="x"),
    "subset": lambda _, __, bad: cb.fit("y ~ x", FRAME, subset=bad, draws=50),
    "priors": lambda _, __, bad: cb.fit("y ~ x", FRAME, priors=bad, draws=50),
    "family": lambda _, __, bad: cb.fit("y ~ x", FRAME, family=bad, draws=50),
}


@pytest.mark.parametrize("name", ["random_seed", "draws", "tune", "chains"])
@pytest.mark.parametrize("bad", [-1, 1.5, "a", True, None])
@pytest.mark.parametrize("method", ["auto", "collapsed"])
def test_what_is_a_whole_number_is_one(name, bad, method):
    with pytest.raises(DataError, match=f"{name} is .*whole number"):
        cb.fit("y ~ x", FRAME, method=method, **{"draws": 50, name: bad})
    with pytest.raises(DataError, match=r"seed is .*whole number"):
        cb.prior_predictive("y ~ x", FRAME, random_seed=bad)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_wrong_kind_is_named(option, things):
    for bad in BAD:
        with contextlib.suppress(DataError):
            OPTIONS[option](things["fit"], things["draws"], bad)


def test_a_text_in_place_of_data_is_the_path_of_parquet_files():
    with pytest.raises(DataError, match=r"no Parquet file here.*as a DataFrame"):
        cb.fit("y ~ x", "data.csv")


@pytest.mark.parametrize("bad", [-1, 1.5, "a", True, None, [1, 2]])
def test_a_seed_of_random_numbers_is_a_whole_number(bad):
    with pytest.raises(DataError, match=r"random_seed is .*whole number from 0"):
        generator(bad)


EXAMPLE = re.compile(r"\s*(>>>|\.\.\.) ")


def test_random_numbers_come_of_a_seed_that_was_checked():
    sources = Path(cb.__file__).parent.rglob("*.py")
    unchecked = [
        f"{path.name}: {line.strip()}"
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if "default_rng(" in line and "seed" in line and not EXAMPLE.match(line)
    ]
    assert unchecked == [
        "arguments.py: return np.random.default_rng([seed, *stream] if stream else seed)"
    ]
