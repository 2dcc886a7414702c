"""Fixtures for the tests of the functions."""

from collections.abc import Iterator

import pytest

from tests.aws.scene import Scene
from thumbsmith.worker import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Give two workers, shared by all tests."""
    with Workers(count=2) as started:
        yield started


@pytest.fixture
def scene(workers: Workers) -> Scene:
    """Return a function between two empty stores."""
    return Scene(workers)
