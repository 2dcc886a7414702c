"""The probe of JPEG: frame headers, scans and metadata."""

import pytest

from tests.containers.files import exif_block, frame, good, scan, segment
from tests.containers.readers import CountingReader, probed, rejected
from thumbsmith.image.probe import Probe, probe

SOI, EOI = b"\xff\xd8", b"\xff\xd9"


def _orientation(*segments: bytes) -> int:
    return probed(SOI + b"".join(segments) + frame() + scan()).orientation


def test_a_frame_header_is_read():
    """Size, components and `progressive` are those of the frame header."""
    assert probed(SOI + frame(0xC1, 300, 200) + scan()) == Probe(
        format="jpeg", bytes=len(SOI + frame() + scan()), width=300, height=200
    )


@pytest.mark.parametrize(
    ("marker", "scans", "progressive", "counted"),
    [(0xC0, 3, False, 1), (0xC9, 1, False, 1), (0xC2, 1, True, 1), (0xC2, 12, True, 12), (0xCA, 3, True, 3)],
)
def test_scans_are_counted_where_they_cost(marker: int, scans: int, progressive: bool, counted: int):
    """All scans of a progressive image are counted; a baseline image is read up to its first."""
    found = probed(SOI + frame(marker) + scan() * scans + EOI + scan() * 5)
    assert (found.progressive, found.scans) == (progressive, counted)


def test_scans_of_single_components_are_counted():
    """The scans of a baseline image with one component each are counted."""
    assert probed(SOI + frame() + scan(1) + segment(0xC4, b"\0\xff\xda\0") + scan(1) + scan(1)).scans == 3


def test_counting_scans_ends():
    """At most about 10,000 scans are counted, which is above any limit."""
    assert probed(SOI + frame(0xC2) + scan() * 20_000).scans == 10_001


def test_a_progressive_picture_is_read_once():
    """Counting scans reads every byte about once, in few requests."""
    reader = CountingReader(SOI + frame(0xC2) + scan() + bytes(3_000_000) + scan() + EOI)
    assert probe(reader).scans == 2
    assert reader.cost <= reader.size + 100
    assert len(reader.reads) <= 10


def test_segments_are_skipped_unread():
    """A color profile of a megabyte before the frame header is not read."""
    profile = segment(0xE2, b"ICC_PROFILE\0" + bytes(65_000)) * 16
    reader = CountingReader(SOI + profile + frame() + scan() + bytes(1_000_000))
    assert probe(reader).width == 16
    assert reader.cost <= 131_072


@pytest.mark.parametrize(
    ("factors", "subsampled"),
    [
        (b"\x22\x11\x11", True),
        (b"\x11\x11\x11", False),
        (b"\x22\x22\x22", False),
        (b"\x22", False),
        (b"\x11" * 4, False),
    ],
)
def test_sampling_factors_tell_subsampling(factors: bytes, subsampled: bool):
    """An image is subsampled if a component has fewer samples than another."""
    found = probed(SOI + frame(factors=factors) + scan(len(factors)))
    assert (found.subsampled, found.channels, found.alpha) == (subsampled, len(factors), False)


def test_orientation_is_the_first_exif_segment_s():
    """The first EXIF segment counts. Other APP1 segments are skipped."""
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0")
    six, eight = (segment(0xE1, b"Exif\0\0" + exif_block(number)) for number in (6, 8))
    assert _orientation(xmp, six, eight) == 6
    assert _orientation(xmp) == 1


def test_garbage_between_segments_is_passed_over():
    """Fill bytes, stuffed bytes, markers without a body and other bytes between segments are skipped, as in Pillow."""
    assert _orientation(SOI + b"\xff\xff\0junk\xff\0\xff\xd0\xff\x01", segment(0xE1, b"Exif\0\0" + exif_block(3))) == 3


def test_what_follows_the_picture_is_ignored():
    """Bytes after the first image, such as a second image, are ignored."""
    one = good()["jpeg-progressive"]
    two = probed(one + b"trailing" + one)
    assert (two.scans, two.bytes) == (probed(one).scans, 2 * len(one) + 8)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (frame(0xC3), "unsupported_format", "a lossless JPEG"),
        (frame(0xC5), "unsupported_format", "a hierarchical JPEG"),
        (frame(0xDE), "unsupported_format", "a hierarchical JPEG"),
        (frame(precision=12), "unsupported_format", "12 bits and 3 components"),
        (frame(factors=b"\x11\x11"), "unsupported_format", "8 bits and 2 components"),
        (frame(width=0), "corrupt", "no size"),
        (frame(0xF7), "unsupported_format", "a near-lossless (JPEG-LS) JPEG"),
        (frame(height=0), "unsupported_format", "its height after its data"),
        (frame(factors=b"\x02\x11\x11"), "corrupt", "impossible sampling factors"),
        (frame(factors=b"\x51\x11\x11"), "corrupt", "impossible sampling factors"),
        (frame() + frame(), "corrupt", "two frame headers"),
        (scan(), "corrupt", "a scan before its frame header"),
        (segment(0xFE, b"nothing else") + EOI, "corrupt", "ends without a picture"),
        (b"\xff\xc0\0\x05\x08\0\0" + scan(), "corrupt", "longer than its container"),
        (b"\xff\xc4\0\0" * 70_000, "corrupt", "more than 4096 segments"),
        (frame(), "truncated", "the file ends, after 21 bytes"),
        (segment(0xE0, b"JFIF")[:-2], "truncated", "the file ends"),
    ],
)
def test_broken_headers_are_rejected(data: bytes, code: str, words: str):
    """Each is rejected with its code, and a message that says why."""
    found, detail = rejected(SOI + data)
    assert found == code
    assert words in detail
