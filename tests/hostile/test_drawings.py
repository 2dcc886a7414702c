"""Malicious drawings are rejected with a code, or drawn without what they refer to."""

from collections.abc import Iterator

import pytest

from tests.hostile.drawings import drawings
from tests.hostile.samples import Sample
from tests.hostile.trials import Bench, bench, complaint


@pytest.fixture(scope="module")
def trial() -> Iterator[Bench]:
    """Give real workers."""
    with bench() as made:
        yield made


@pytest.mark.parametrize("sample", drawings(), ids=repr)
def test_a_malicious_drawing_ends_well(trial: Bench, sample: Sample):
    """It has a thumbnail or a code, and takes at most 768 MB."""
    verdict = trial(sample.data)
    assert complaint(verdict, sample.expected) is None
    assert not sample.codes or verdict.outcome in ("thumbnail", *sample.codes)
    assert verdict.peak_memory < 768 << 20
