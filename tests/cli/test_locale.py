"""File names in any locale: keys are the same, and characters that a terminal cannot print are escaped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.pictures import picture

NAME = "Жé.jpg"
LOCALES = pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
)


def _run(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "thumbsmith", *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False)


@LOCALES
def test_every_command_works_in_every_locale(thumbsmith: Command, environment: dict[str, str]):
    """Commands handle names outside ASCII; only a name that is not UTF-8 is rejected."""
    photos = thumbsmith.folder / "photos"
    (photos / NAME).write_bytes(picture())
    Path(os.fsdecode(os.fsencode(photos) + b"/b\xff.jpg")).write_bytes(picture())
    ran = _run(thumbsmith.folder, environment, "sync", "photos", "thumbs", "--json")
    events = {event.get("key"): event for event in map(json.loads, ran.stdout.splitlines())}
    assert (ran.returncode, events[NAME]["outcome"]) == (0, "made"), ran.stderr
    assert events["b\udcff.jpg"]["code"] == "unsupported_key"
    manifest = (thumbsmith.folder / "thumbs" / NAME / "manifest.json").read_text(encoding="utf-8")
    assert json.loads(manifest)["source"]["key"] == NAME
    for arguments in (
        ["plan", "photos", "thumbs", "--all", "--keep-orphans"],
        ["explain", "photos", NAME, "thumbs"],
        ["make", f"photos/{NAME}", os.fsdecode(b"photos/b\xff.jpg"), "-o", "out"],
        ["html", NAME, "thumbs"],
        ["explain", "photos", os.fsdecode(b"b\xff.jpg"), "thumbs"],
    ):
        ran = _run(thumbsmith.folder, environment, *arguments)
        assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False), (arguments, ran.stderr)


def test_terminal_escapes_stay_escaped(thumbsmith: Command):
    """A name that would change the color of a terminal is printed with escapes."""
    (thumbsmith.folder / "photos" / "\x1b[31m.jpg").write_text("no picture")
    ran = _run(thumbsmith.folder, {}, "sync", "photos", "thumbs")
    assert b"\x1b" not in ran.stdout + ran.stderr
    assert rb"rejected \x1b[31m.jpg" in ran.stderr
