"""Told to stop in the middle, a sync ends soon and in order, and nothing is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.test_kills import Yard

STOPPED = 130


def _terminated(yard: Yard, more: int, seconds: float) -> int:
    """Return the exit code of a sync that gets SIGTERM after `more` pictures; it ends in these seconds."""
    before = _made(yard)
    command = [sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs", "--yes"]
    with subprocess.Popen(command, cwd=yard.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None and _made(yard) < before + more:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)


def _made(yard: Yard) -> int:
    """Return how many pictures have thumbnails."""
    return sum(1 for _ in (yard.folder / "thumbs").rglob("manifest.json"))


def _again_and_again(tmp_path: Path, count: int, times: int, seconds: float) -> None:
    yard, calm = Yard(tmp_path / "yard", count), Yard(tmp_path / "calm", count)
    calm.sync("thumbs")
    chance = random.Random(times)
    codes = [_terminated(yard, chance.randrange(count // times), seconds) for _ in range(times)]
    assert set(codes) <= {0, STOPPED, -signal.SIGTERM}  # the last before it had begun
    assert codes.count(STOPPED)
    assert not [path for path in (yard.folder / "thumbs").rglob("*") if ".thumbsmith" in path.name]
    yard.sync("thumbs")
    assert yard.contents("thumbs") == calm.contents("thumbs")


def test_a_sync_that_is_terminated_ends_in_order(tmp_path: Path):
    """No half a file is left behind, and the next one makes the rest."""
    _again_and_again(tmp_path, count=150, times=5, seconds=120)


@pytest.mark.deep
def test_a_sync_that_is_terminated_a_hundred_times_loses_nothing(tmp_path: Path):
    """The same a hundred times over two thousand pictures, each time within 10 seconds."""
    _again_and_again(tmp_path, count=2000, times=100, seconds=10)
