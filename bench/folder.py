"""The photographs to measure."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def photos(arguments: Sequence[str]) -> list[Path]:
    """Return the sorted JPEG files of the folder on the command line, by default of the test corpus."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    default = Path(os.environ.get("THUMBSMITH_CORPUS") or beside) / "photos"
    folder = Path(arguments[1]) if len(arguments) > 1 else default
    found = sorted(folder.glob("*.jpg"))
    if not found:
        sys.exit(f"no JPEG files in {folder}: name a folder of photographs, or set THUMBSMITH_CORPUS")
    return found
