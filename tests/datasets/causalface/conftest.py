"""Fixtures shared by tests."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.datasets.causalface.release_files import write_release

# No timed assertions: on a busy machine they fail for no fault of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def root(pristine, tmp_path):
    """A small release on disk that a test may break."""
    return Path(shutil.copytree(pristine, tmp_path / "release"))
