"""A server for a module's tests, and one for a test that changes what others would see."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import thumbsmith
from tests.web.serving import Served, served

__all__ = ["server", "thumbsmith"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that the tests of a module share: they keep to keys of their own."""
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running
