"""Every hostile file of the corpus, through real workers: a thumbnail or a rejection, within its budget."""

import pytest

from tests.corpus import hostile, is_of_newer_format, needs_corpus
from tests.hostile.trials import ISOLATIONS, Kind, bench, complaint

# Valid images that are rejected: by a limit of the recipe, or because the decoder does not support them.
KNOWN = {
    "gen__jpg_65000x3.jpg": "too_long_side",
    "gen__png_1x65535.png": "too_long_side",
    "real__avif-conformance__b52996d7dc8b.avif": "unsupported_format",  # a matrix that libavif does not convert
}


def _complaints(isolation: Kind, step: int, start: int = 0) -> list[tuple[str, str]]:
    found = []
    with bench(isolation=isolation) as trial:
        for path, expected in hostile()[start::step]:
            data = path.read_bytes()
            verdict = trial(data)
            known = KNOWN.get(path.name) == verdict.outcome or is_of_newer_format(data)
            if wrong := complaint(verdict, "either" if known else expected):
                found.append((path.name, wrong))
    return found


@needs_corpus
@pytest.mark.parametrize(("isolation", "start"), [("source", 0), ("shared", 3)])
def test_a_slice_of_the_corpus_ends_well(isolation: Kind, start: int):
    """Every sixth file has the expected outcome, within 10 CPU seconds and 768 MiB; another sixth if shared."""
    assert _complaints(isolation, 6, start) == []


@needs_corpus
@pytest.mark.deep
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_all_of_the_corpus_ends_well(isolation: Kind):
    """Every file has the expected outcome, within 10 CPU seconds and 768 MiB, with both kinds of isolation."""
    assert _complaints(isolation, 1) == []
