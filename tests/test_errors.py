"""The error that bad data ends in: it says where and what to do, in every process."""

import concurrent.futures
import copy
import multiprocessing
import pickle
from pathlib import Path

import pandas as pd
import pytest

import causalbias as cb
from causalbias import DataError
from causalbias.errors import user_path
from causalbias.inference.problem import EngineError, ImproperError

PLACES = [
    {},
    {"file": "a.csv"},
    {"column": "score", "row": 3},
    {"file": "a.csv", "column": "score", "row": 0},
]


def parts(error):
    return str(error), error.problem, error.hint, error.file, error.column, error.row


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "again", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy]
)
def test_an_error_is_the_same_after_pickling_and_copying(place, again):
    error = DataError("half of a \ud800 surrogate", hint="write text", **place)
    error.add_note("while reading")
    found = again(error)
    assert type(found) is DataError
    assert parts(found) == parts(error)
    assert found.__notes__ == ["while reading"]


@pytest.mark.parametrize("kind", [EngineError, ImproperError])
def test_errors_of_engines_cross_processes(kind):
    assert str(pickle.loads(pickle.dumps(kind("no variance")))) == "no variance"


def misspelt() -> None:
    cb.make_study(factors=["seed"], stimuli=pd.DataFrame({"stimulus": ["a"], "sede": [1]}))


def test_an_error_raised_in_another_process_arrives_whole():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        error = pool.submit(misspelt).exception(timeout=120)
    assert isinstance(error, DataError)
    assert (error.file, error.column) == ("stimuli", "seed")
    assert "found stimulus, sede" in str(error)


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a b.nc") == tmp_path / "a b.nc"
    assert user_path(Path("~/x")) == tmp_path / "x"
    assert user_path("a~b/~") == Path("a~b/~")
    study = cb.demo_study()
    assert cb.save(study, "~/demo.nc") == tmp_path / "demo.nc"
    assert cb.open("~/demo.nc").identical(study)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/a", "a\0b", None, 3])
def test_what_is_no_path_is_named(path):
    with pytest.raises(DataError):
        user_path(path)


def test_commands_know_the_tilde_too(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from causalbias.cli.main import app

    monkeypatch.setenv("HOME", str(tmp_path))
    cb.save(cb.demo_study(), "~/demo.nc")
    found = CliRunner().invoke(app, ["validate", "~/demo.nc"])
    assert found.exit_code == 0
    assert "valid" in found.output
    assert CliRunner().invoke(app, ["validate", "~nobody-of-this-name/x.nc"]).exit_code == 2
