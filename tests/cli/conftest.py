"""A command line with photographs."""

from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.fixture
def thumbsmith(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs the command in a new folder with photographs."""
    return Command(tmp_path, monkeypatch, capsys)
