"""Every hostile file ends in a thumbnail or a rejection, without a crash, a hang or too much memory."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.corpus import hostile, is_of_newer_format, needs_corpus

# Renders every file that standard input names. Prints a line for each: the rejection code, or nothing.
RENDER = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from thumbsmith.errors import MissingDecoder, Rejected
from thumbsmith.recipe import Recipe
from thumbsmith.image.render import render
for name in sys.stdin.read().splitlines():
    try:
        render(Path(name).read_bytes(), Recipe.default())
        print()
    except Rejected as refused:
        print(refused.code)
    except MissingDecoder:
        print("missing")
"""

# Valid images that are rejected: two exceed the default limits, one is unsupported by its decoder.
REFUSED = {
    "gen__jpg_65000x3.jpg": "too_long_side",
    "gen__png_1x65535.png": "too_long_side",
    "real__avif-conformance__b52996d7dc8b.avif": "unsupported_format",  # a matrix that libavif does not convert
}


@needs_corpus
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")
def test_every_hostile_file_ends_as_it_should():
    """In 2 GiB of memory, hostile files are rejected, and unusual ones have thumbnails, except for a known few."""
    # A drawing may take any time, too: only a worker process limits it (tests/hostile).
    files = [each for each in hostile() if not is_of_newer_format(each[0].read_bytes())]
    ran = subprocess.run(
        [sys.executable, "-c", RENDER],
        input="\n".join(str(path) for path, _ in files),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    outcomes = ran.stdout.splitlines()
    assert len(outcomes) == len(files)
    refused = {}
    for (path, expected), outcome in zip(files, outcomes, strict=True):
        if expected == "reject":
            assert outcome, path.name
        elif expected == "thumbnail" and outcome:
            refused[path.name] = outcome
    assert refused == REFUSED
    assert Counter(outcomes)["truncated"] > 100
