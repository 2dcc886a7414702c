"""A cloud for a module of tests, and keys that no other test uses."""

import secrets
from collections.abc import Iterator

import pytest

from tests.cloud.emulator import Cloud, cloud


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a cloud in which things can be deployed."""
    with cloud(tmp_path_factory.mktemp("cloud")) as made:
        made.bootstrap()
        yield made


@pytest.fixture
def key() -> str:
    """Return a key that no other test uses."""
    return f"photos/{secrets.token_hex(6)}.jpg"
