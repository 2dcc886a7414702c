"""Output that cannot be written gives one sentence and an exit code, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Command

COMMANDS = (
    "plan photos thumbs",
    "plan photos thumbs --json",
    "sync photos thumbs --json",
    "explain photos a.jpg thumbs",
)


def _run(arguments: str, folder: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    script = f'"$0" -m thumbsmith {arguments} {redirection}'
    return subprocess.run(["sh", "-c", script, sys.executable], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", [*COMMANDS, "--help", "--version", "doctor"])
def test_a_full_disk_is_one_sentence(thumbsmith: Command, arguments: str):
    """If the output cannot be written, each command prints one line and exits with 1."""
    ran = _run(arguments, thumbsmith.folder, ">/dev/full")
    assert (ran.returncode, ran.stderr) == (1, "thumbsmith: No space left on device\n")
    assert _run(arguments, thumbsmith.folder, ">/dev/full 2>/dev/full").returncode == 1


@pytest.mark.parametrize("redirection", ["<&- >&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_discard_the_output(thumbsmith: Command, redirection: str):
    """A closed standard stream loses its output only; the exit code is that of the work."""
    ran = _run("sync photos thumbs", thumbsmith.folder, redirection)
    assert ran.returncode == 0
    assert "Traceback" not in ran.stderr
    assert "a.jpg/small.webp" in thumbsmith.thumbs()


def test_closed_streams_are_open_before_a_worker_starts(thumbsmith: Command):
    """With closed streams no descriptor of a worker is taken for one, so each worker gets its orders alone."""
    for command in ("make photos/a.jpg -v", "sync photos thumbs -v"):
        ran = _run(command, thumbsmith.folder, "<&- >&-")
        assert (ran.returncode, "worker process" in ran.stderr) == (0, False)


def test_a_reader_that_leaves_ends_the_command_quietly(thumbsmith: Command):
    """A closed pipe gives exit code 1 and no message."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "thumbsmith", "plan", "photos", "thumbs", "--json"]
    with os.fdopen(writing, "wb") as closed:
        ran = subprocess.run(command, cwd=thumbsmith.folder, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (1, b"")
