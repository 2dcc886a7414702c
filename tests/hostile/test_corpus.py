"""Every hostile file of the corpus, through real workers: a thumbnail or a rejection, within its budget."""

import pytest

from tests.corpus import hostile, needs_corpus
from tests.hostile.trials import bench, complaint

# Pictures that are well and refused all the same: by a limit that is stated, or by what the decoder cannot do.
KNOWN = {
    "gen__jpg_65000x3.jpg": "too_long_side",
    "gen__png_1x65535.png": "too_long_side",
    "real__avif-conformance__b52996d7dc8b.avif": "unsupported_format",  # a matrix that libavif does not convert
}


def _complaints(step: int) -> list[tuple[str, str]]:
    found = []
    with bench() as trial:
        for path, expected in hostile()[::step]:
            verdict = trial(path.read_bytes())
            known = KNOWN.get(path.name) == verdict.outcome
            if wrong := complaint(verdict, "either" if known else expected):
                found.append((path.name, wrong))
    return found


@needs_corpus
def test_a_slice_of_the_corpus_ends_well():
    """Every third file: at most 10 CPU seconds and 768 MiB, and what is expected of it."""
    assert _complaints(3) == []


@needs_corpus
@pytest.mark.deep
def test_all_of_the_corpus_ends_well():
    """Every file."""
    assert _complaints(1) == []
