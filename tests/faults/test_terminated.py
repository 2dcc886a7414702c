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
SECONDS = 10.0


def _terminated(yard: Yard, after: float) -> int:
    """Return the exit code of a sync that is sent SIGTERM after so many seconds."""
    command = [sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs", "--yes"]
    with subprocess.Popen(command, cwd=yard.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        code = process.wait(6 * SECONDS)
        assert time.monotonic() - sent <= SECONDS
        return code


def _again_and_again(tmp_path: Path, count: int, times: int) -> None:
    yard, calm = Yard(tmp_path / "yard", count), Yard(tmp_path / "calm", count)
    calm.sync("thumbs")
    chance = random.Random(times)
    codes = [_terminated(yard, chance.uniform(0.2, 1.5)) for _ in range(times)]
    assert set(codes) <= {0, STOPPED, -signal.SIGTERM}  # the last before it had begun
    assert codes.count(0) < times
    assert not [path for path in (yard.folder / "thumbs").rglob("*") if ".thumbsmith" in path.name]
    yard.sync("thumbs")
    assert yard.contents("thumbs") == calm.contents("thumbs")


def test_a_sync_that_is_terminated_ends_in_order(tmp_path: Path):
    """Within 10 seconds, with no half a file left behind; the next one makes the rest."""
    _again_and_again(tmp_path, count=150, times=5)


@pytest.mark.deep
def test_a_sync_that_is_terminated_a_hundred_times_loses_nothing(tmp_path: Path):
    """The same a hundred times over two thousand pictures."""
    _again_and_again(tmp_path, count=2000, times=100)
