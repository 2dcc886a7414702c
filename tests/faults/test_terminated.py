"""A sync that gets SIGTERM ends soon and cleanly, and nothing is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.test_kills import Library

STOPPED = 130


def _terminated(library: Library, more: int, seconds: float) -> int:
    """Return the exit code of a sync that gets SIGTERM after `more` sources and must end within these seconds."""
    before = _made(library)
    command = [sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs", "--yes"]
    with subprocess.Popen(command, cwd=library.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None and _made(library) < before + more:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)


def _made(library: Library) -> int:
    """Return how many sources have thumbnails."""
    return sum(1 for _ in (library.folder / "thumbs").rglob("manifest.json"))


def _terminated_repeatedly(tmp_path: Path, count: int, times: int, seconds: float) -> None:
    library, calm = Library(tmp_path / "library", count), Library(tmp_path / "calm", count)
    calm.sync("thumbs")
    chance = random.Random(times)
    codes = [_terminated(library, chance.randrange(count // times), seconds) for _ in range(times)]
    assert set(codes) <= {0, STOPPED, -signal.SIGTERM}  # the last one if the signal came before the start
    assert codes.count(STOPPED)
    assert not [path for path in (library.folder / "thumbs").rglob("*") if ".thumbsmith" in path.name]
    library.sync("thumbs")
    assert library.contents("thumbs") == calm.contents("thumbs")


def test_a_terminated_sync_ends_cleanly(tmp_path: Path):
    """After SIGTERM no incomplete file is left, and the next sync does the rest."""
    _terminated_repeatedly(tmp_path, count=150, times=5, seconds=120)


@pytest.mark.deep
def test_a_sync_terminated_a_hundred_times_loses_nothing(tmp_path: Path):
    """The same a hundred times for two thousand sources, each time within 10 seconds."""
    _terminated_repeatedly(tmp_path, count=2000, times=100, seconds=10)
