"""The probe against Pillow, and against the corpus."""

import pytest

from tests.containers.files import good
from tests.containers.pillow import disagreement, opinion
from tests.containers.readers import CountingReader, judged
from tests.corpus import hostile, needs_corpus, photos
from thumbsmith.errors import Rejected
from thumbsmith.image.probe import Probe, probe


@pytest.mark.parametrize("name", sorted(good()))
def test_good_files_are_what_pillow_says(name: str):
    """Format, size, orientation, frames and alpha of every kind of file are Pillow's."""
    assert opinion(good()[name]) is not None
    assert disagreement(good()[name]) is None
    assert probe(CountingReader(good()[name])).format == name.partition("-")[0]


@needs_corpus
def test_photographs_are_what_pillow_says():
    """Every photograph of the corpus is to the probe what it is to Pillow."""
    assert [(path.name, found) for path in photos() if (found := disagreement(path.read_bytes()))] == []


# Its colors are in a matrix that libavif does not convert: Pillow opens it and fails to decode it.
UNSUPPORTED = "real__avif-conformance__b52996d7dc8b.avif"


@needs_corpus
def test_hostile_files_are_what_pillow_says():
    """Every hostile file that Pillow opens is the same to the probe, or differs in a way that is stated."""
    files = [path for path, _ in hostile() if path.name != UNSUPPORTED]
    assert [(path.name, found) for path in files if (found := disagreement(path.read_bytes()))] == []


@needs_corpus
def test_hostile_files_are_judged_within_bounds():
    """Every hostile file gives a Probe or a Rejected, and costs hardly more reading than it is long."""
    costly = []
    for path, _ in hostile():
        reader = CountingReader(path.read_bytes())
        found = judged(reader)
        assert isinstance(found, Probe) or found.detail.isprintable(), path.name
        if reader.cost > reader.size + 65_536:
            costly.append((path.name, reader.size, reader.cost))
    assert costly == []


@needs_corpus
def test_what_must_give_a_thumbnail_is_not_rejected():
    """No file that is expected to give a thumbnail is stopped by the probe."""
    wanted = [path for path, expected in hostile() if expected == "thumbnail" and path.name != UNSUPPORTED]
    assert wanted
    assert [(path.name, found) for path in wanted if isinstance(found := judged(path.read_bytes()), Rejected)] == []


@needs_corpus
def test_a_baseline_photograph_costs_little_reading():
    """A JPEG that is not progressive is probed from at most 128 KiB, whatever its size."""
    costs = []
    for path in photos():
        reader = CountingReader(path.read_bytes())
        found = probe(reader)
        if found.format == "jpeg" and not found.progressive:
            costs.append(reader.cost)
    assert costs
    assert max(costs) <= 128 * 1024
