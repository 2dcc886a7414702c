"""What a terminal shows during a run."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Command


def _shown(*arguments: str) -> str:
    """Return what a terminal receives from a command on standard error."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    command = [sys.executable, "-m", "thumbsmith", *arguments]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        received = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the terminal of a process that has ended
                break
            received += piece
    os.close(ours)
    assert process.returncode == 0
    return received.decode()


@pytest.mark.parametrize("command", ["plan", "sync"])
def test_progress_is_shown_while_stores_are_listed_and_after(thumbsmith: Command, command: str):
    """A terminal shows that stores are listed, then a bar of all sources. With -q and --json it shows no listing."""
    shown = _shown(command, "photos", "thumbs")
    assert 0 <= shown.index("listing") < shown.index(f"{command} ")
    assert "0/3" in shown
    assert _shown(command, "photos", "thumbs", "-q") == ""


def test_messages_stay_above_the_bar(thumbsmith: Command):
    """A rejection is printed as a whole line, in color, while the bar is shown."""
    Path("photos/note.gif").write_text("no image")
    assert "\x1b[35mrejected\x1b[0m note.gif: unsupported_format, " in _shown("sync", "photos", "thumbs")


def test_a_few_images_need_no_bar(thumbsmith: Command):
    """Make shows a bar for many images only."""
    assert _shown("make", "photos/a.jpg", "--size", "9") == ""
    images = [f"{number}.jpg" for number in range(6)]
    for name in images:
        Path(name).write_bytes(Path("photos/a.jpg").read_bytes())
    assert "0/6" in _shown("make", *images, "--size", "9")
