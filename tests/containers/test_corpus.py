"""The probe agrees with Pillow, for valid files and for the corpus."""

import pytest

from tests.containers.files import good
from tests.containers.pillow import disagreement, opinion
from tests.containers.readers import CountingReader, judged
from tests.corpus import hostile, needs_corpus, photos
from thumbsmith.errors import Rejected
from thumbsmith.image.probe import Probe, probe

# Drawings, raw photographs, PAM, and Photoshop documents with 16 bits or of the large kind.
UNKNOWN_TO_PILLOW = {
    "pdf",
    "pdf-picture",
    "pnm-alpha",
    "psd-deep",
    "psd-large",
    "raw",
    "raw-boxes",
    "raw-canon",
    "raw-directories",
    "svg",
    "svg-text",
}


@pytest.mark.parametrize("name", sorted(set(good()) - UNKNOWN_TO_PILLOW))
def test_good_files_are_what_pillow_says(name: str):
    """Format, size, orientation, frames and alpha of every kind of file are those of Pillow."""
    assert opinion(good()[name]) is not None
    assert disagreement(good()[name]) is None
    assert probe(CountingReader(good()[name])).format == name.partition("-")[0]


@needs_corpus
def test_photographs_are_what_pillow_says():
    """The probe and Pillow agree about every photograph of the corpus."""
    assert [(path.name, found) for path in photos() if (found := disagreement(path.read_bytes()))] == []


# Its colors are in a matrix that libavif does not convert: Pillow opens it and fails to decode it.
UNSUPPORTED = "real__avif-conformance__b52996d7dc8b.avif"


@needs_corpus
def test_hostile_files_are_what_pillow_says():
    """The probe and Pillow agree about every hostile file that Pillow opens, or differ in a known way."""
    files = [path for path, _ in hostile() if path.name != UNSUPPORTED]
    assert [(path.name, found) for path in files if (found := disagreement(path.read_bytes()))] == []


@needs_corpus
def test_hostile_files_are_judged_within_bounds():
    """Every hostile file gives a Probe or a Rejected, and is read about once."""
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
    """The probe rejects no file that is expected to give a thumbnail."""
    wanted = [path for path, expected in hostile() if expected == "thumbnail" and path.name != UNSUPPORTED]
    assert wanted
    assert [(path.name, found) for path in wanted if isinstance(found := judged(path.read_bytes()), Rejected)] == []


@needs_corpus
def test_a_baseline_photograph_costs_little_reading():
    """The probe reads at most 128 KiB of a baseline JPEG of any size."""
    costs = []
    for path in photos():
        reader = CountingReader(path.read_bytes())
        found = probe(reader)
        if found.format == "jpeg" and not found.progressive:
            costs.append(reader.cost)
    assert costs
    assert max(costs) <= 128 * 1024
