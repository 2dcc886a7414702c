"""The server that the tests of a module share."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import thumbsmith
from tests.web.serving import RunningServer, run_server

__all__ = ["server", "thumbsmith"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server for all tests of a module. Each test uses its own keys."""
    with run_server(tmp_path_factory.mktemp("server")) as running:
        yield running
