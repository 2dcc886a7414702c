"""Runs the command line in this process, so that coverage measures it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pictures import picture
from thumbsmith.cli import main


@dataclass(frozen=True)
class Ran:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict]:
        """Return the JSON lines of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict:
        """Return the last JSON line, without the fields that differ between runs."""
        event, last = self.events[-1].pop("event"), self.events[-1]
        assert last.pop("event") == event == "summary"
        last.pop("seconds", None)
        last.pop("estimate", None)
        return last


class Command:
    """Runs commands in its own folder, with three photographs in `photos`."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        """Create the photographs and enter the folder."""
        self.folder, self.patch, self.capture = folder, patch, capture
        patch.chdir(folder)
        patch.delenv("THUMBSMITH_RECIPE", raising=False)
        (folder / "photos" / "sub").mkdir(parents=True)
        for name, color in (("a.jpg", "#102030"), ("b.jpg", "#405060"), ("sub/c.jpg", "#708090")):
            (folder / "photos" / name).write_bytes(picture(color))

    def __call__(self, *arguments: str | Path) -> Ran:
        """Run `thumbsmith ARGUMENTS` and return the result."""
        self.patch.setattr(sys, "argv", ["thumbsmith", *map(str, arguments)])
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capture.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    def thumbs(self) -> set[str]:
        """Return the files under `thumbs`."""
        root = self.folder / "thumbs"
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
