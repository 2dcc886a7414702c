"""Malicious documents, drawings, raw photographs and other kinds are rejected with a code, or do no harm."""

from collections.abc import Iterator

import pytest

from tests.hostile.documents import documents
from tests.hostile.drawings import drawings
from tests.hostile.kinds import kinds
from tests.hostile.samples import Sample
from tests.hostile.svg_bombs import svg_bombs
from tests.hostile.trials import Bench, bench, complaint

# They take a large part of a second, up to ten seconds of CPU time.
SLOW = {
    "pdf-form-tree-10",
    "pdf-form-tree-groups",
    "pdf-form-tree-groups-large",
    "pdf-form-circle-groups",
    "pdf-flate-lines",
    "pdf-flate-states",
    "pdf-picture-jbig2",
    "pdf-picture-fax",
    "svg-kernel",
    "svg-filter-list",
    "svg-filter-on-all",
    "svg-morphologies",
    "svg-text-many",
    "svg-descendants",
    "jp2-short-comments",
    "pdf-form-in-states",
    "pdf-mask-chain",
    "pdf-picture-16-bits",
    "pdf-curves",
    "pdf-clips",
    "pdf-calculator",
    "pdf-form-circle",
    "pdf-shading-of-everything",
    "pdf-notes-circle",
    "pdf-form-wide",
    "svg-noise",
    "svg-noise-many",
    "svg-markers",
    "svg-curves",
    "svg-circles",
    "svg-points",
    "svg-large-all",
    "svg-selectors",
    "svg-declarations",
    "svg-style-many",
    "svg-picture-of-many-uses",
    "svg-merges",
    "svg-gradients",
    "jp2-tiles",
    "pnm-text-4-mp",
    "pnm-text-bits",
}
ALL = (*drawings(), *documents(), *svg_bombs(), *kinds())


@pytest.fixture(scope="module")
def trial() -> Iterator[Bench]:
    """Give real workers."""
    with bench() as made:
        yield made


def _ends_well(trial: Bench, sample: Sample) -> None:
    verdict = trial(sample.data)
    assert complaint(verdict, sample.expected) is None
    assert not sample.codes or verdict.outcome in ("thumbnail", *sample.codes)


@pytest.mark.parametrize("sample", [each for each in ALL if each.name not in SLOW], ids=repr)
def test_a_malicious_file_ends_well(trial: Bench, sample: Sample):
    """It has a thumbnail or a code, within 10 CPU seconds and 768 MB."""
    _ends_well(trial, sample)


@pytest.mark.deep
@pytest.mark.parametrize("sample", [each for each in ALL if each.name in SLOW], ids=repr)
def test_a_slow_malicious_file_ends_well(trial: Bench, sample: Sample):
    """The same is true for files that take long."""
    _ends_well(trial, sample)


def test_slow_files_exist():
    """No name in the list of slow files is misspelled."""
    assert {each.name for each in ALL} >= SLOW
