"""Limits are kept exactly, and the sentence has both numbers."""

from dataclasses import replace

import pytest

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.limits import check_file_size, check_limits, check_memory
from thumbsmith.image.probe import Probe
from thumbsmith.recipe import Limits, Recipe

LIMITS = Limits(max_bytes=1000, max_pixels=600, max_side=100, max_frames=4, max_scans=7)


def _probe(width: int = 20, height: int = 30, scans: int = 1) -> Probe:
    return Probe(format="jpeg", bytes=9, width=width, height=height, scans=scans, frames=1000)


def test_what_is_within_the_limits_passes():
    """A source that reaches every limit exceeds none."""
    check_file_size(1000, LIMITS)
    check_file_size(1, LIMITS)
    check_limits(_probe(20, 30, scans=7), LIMITS)
    check_limits(_probe(100, 6), LIMITS)
    check_limits(_probe(6, 25), LIMITS, frames=4)


@pytest.mark.parametrize(
    ("size", "code", "detail"),
    [
        (0, Code.EMPTY, "the source holds no bytes"),
        (1001, Code.TOO_MANY_BYTES, "the source is 1001 bytes; max_bytes is 1000"),
    ],
)
def test_bytes_are_judged(size: int, code: Code, detail: str):
    """No bytes, and one byte too many, are rejected."""
    with pytest.raises(Rejected) as rejected:
        check_file_size(size, LIMITS)
    assert (rejected.value.code, rejected.value.detail) == (code, detail)


@pytest.mark.parametrize(
    ("found", "frames", "code", "detail"),
    [
        (_probe(101, 1), 1, Code.TOO_LONG_SIDE, "a side is 101 pixels; max_side is 100"),
        (_probe(1, 101), 1, Code.TOO_LONG_SIDE, "a side is 101 pixels; max_side is 100"),
        (_probe(1, 1), 5, Code.TOO_MANY_FRAMES, "5 frames must be decoded; max_frames is 4"),
        (_probe(601 // 20 + 1, 20), 1, Code.TOO_MANY_PIXELS, "31 x 20 is 620 pixels; max_pixels is 600"),
        (_probe(20, 30), 2, Code.TOO_MANY_PIXELS, "20 x 30 x 2 frames is 1200 pixels; max_pixels is 600"),
        (_probe(scans=8), 1, Code.TOO_MANY_SCANS, "the JPEG has 8 scans; max_scans is 7"),
    ],
)
def test_a_header_is_judged(found: Probe, frames: int, code: Code, detail: str):
    """One more than a limit is rejected with its code; only frames that will be decoded count."""
    with pytest.raises(Rejected) as rejected:
        check_limits(found, LIMITS, frames=frames)
    assert (rejected.value.code, rejected.value.detail) == (code, detail)


@pytest.mark.parametrize("size", [(16320, 12240), (12240, 16320)])
def test_the_default_lets_photos_of_200_megapixels_pass(size: tuple[int, int]):
    """The largest photos of today's phones are judged by the memory that they take, not refused for their pixels."""
    photo = _probe(*size)
    check_limits(photo, Limits())
    assert check_memory(photo, Recipe.default()) < 64 << 20
    with pytest.raises(Rejected, match="max_memory is 536870912") as caught:
        check_memory(replace(photo, format="heic"), Recipe.default())
    assert caught.value.code is Code.OVER_MEMORY
