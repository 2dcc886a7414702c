"""Where the test corpus is: photographs and hostile files that the project does not ship."""

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from thumbsmith.errors import Rejected
from thumbsmith.image.containers.signature import identify
from thumbsmith.worker.wire import HEAD_BYTES

CORPUS = Path(os.environ.get("THUMBSMITH_CORPUS") or Path(__file__).resolve().parents[1].parent / "shared" / "corpus")

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at THUMBSMITH_CORPUS ({CORPUS})")


@cache
def photos() -> list[Path]:
    """Return the photographs, sorted by name."""
    return sorted((CORPUS / "photos").iterdir())


@cache
def hostile() -> list[tuple[Path, str]]:
    """Return (file, expected) of every hostile file; expected is thumbnail, reject or either."""
    with (CORPUS / "hostile" / "MANIFEST.csv").open(newline="") as rows:
        return [(CORPUS / "hostile" / row["file"], row["expected"]) for row in csv.DictReader(rows)]


# The corpus expects that no file of these formats is read: it is older than their support. Such a file may be made or
# rejected. tests/hostile/drawings.py has drawings that must be rejected.
NEWER_FORMATS = {"svg", "pdf", "pnm", "ico", "jp2", "psd", "qoi", "raw"}


def is_of_newer_format(data: bytes) -> bool:
    """Return whether a file has one of these formats."""
    try:
        return identify(data[:HEAD_BYTES]).name in NEWER_FORMATS
    except Rejected:
        return False
