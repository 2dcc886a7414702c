"""The probe of WebP: its three kinds of headers, and its chunks."""

import struct

import pytest

from tests.containers.files import exif_block, good, riff
from tests.containers.readers import CountingReader, probed, rejected
from thumbsmith.image.containers.base import MAX_FRAMES
from thumbsmith.image.probe import probe

ANIMATION, EXIF, ALPHA = 0x02, 0x08, 0x10


def _extended(flags: int, *chunks: tuple[bytes, bytes], width: int = 300, height: int = 200) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff((b"VP8X", bytes((flags, 0, 0, 0)) + sides), *chunks)


def _lossy(width: int = 300, height: int = 200, tag: bytes = b"\0\0\0\x9d\x01\x2a") -> bytes:
    return riff((b"VP8 ", tag + struct.pack("<HH", width, height)))


def _lossless(bits: int, signature: int = 0x2F) -> bytes:
    return riff((b"VP8L", struct.pack("<BI", signature, bits)))


def test_a_lossy_header_is_read():
    """The sides of a lossy image are 14 bits each; the other two bits are a scale."""
    found = probed(_lossy(0x4000 | 300, 0xC000 | 200))
    assert (found.size, found.channels, found.alpha) == ((300, 200), 3, False)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_lossless_header_is_read(alpha: bool):
    """A lossless header has both sides and the alpha hint."""
    found = probed(_lossless(299 | 199 << 14 | alpha << 28))
    assert (found.size, found.alpha, found.channels) == ((300, 200), alpha, 3 + alpha)


def test_the_canvas_of_an_extended_file_counts():
    """An extended file has the size of its canvas and its alpha flag."""
    found = probed(_extended(ALPHA, width=2**24, height=1))
    assert (found.width, found.height, found.alpha, found.channels) == (2**24, 1, True, 4)


def test_frames_and_orientation_are_found_where_the_flags_announce_them():
    """ANMF chunks are frames, and an EXIF chunk has the orientation, also after a chunk of odd length."""
    chunks = [(b"ICCP", b"odd"), (b"ANMF", bytes(16)), (b"ANMF", bytes(17)), (b"EXIF", exif_block(6))]
    both = probed(_extended(ANIMATION | EXIF, *chunks))
    assert (both.frames, both.orientation) == (2, 6)
    neither = probed(_extended(0, *chunks))
    assert (neither.frames, neither.orientation) == (1, 1)
    assert probed(_extended(EXIF, *chunks)).frames == 1
    assert probed(_extended(ANIMATION)).frames == 1


def test_frames_are_walked_in_few_requests():
    """A walk over megabytes of frames takes few requests, whether their data are read or not."""
    reader = CountingReader(_extended(ANIMATION, *[(b"ANMF", bytes(60_000))] * 60))
    assert probe(reader).frames == 60
    assert reader.cost <= reader.size
    assert len(reader.reads) <= 12


def test_counting_frames_ends():
    """Chunks are counted up to a bound."""
    assert probed(_extended(ANIMATION, *[(b"ANMF", bytes(16))] * 150_000)).frames == MAX_FRAMES


def test_what_follows_the_riff_is_ignored():
    """Bytes after the RIFF size are ignored."""
    assert probed(_extended(EXIF) + b"EXIF" + struct.pack("<I", 26) + exif_block(6)).orientation == 1


@pytest.mark.parametrize("more", [1, 2, 100, 1 << 30])
def test_a_size_beyond_the_file_is_not_believed(more: int):
    """If the RIFF size is beyond the file, the header is read up to the end of the file."""
    data = good()["webp"]
    size = struct.pack("<I", len(data) - 8 + more)
    assert probed(data[:4] + size + data[8:]) == probed(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_lossy(0, 9), "corrupt"),
        (_lossy(9, 0), "corrupt"),
        (_lossy(tag=b"\x01\0\0\x9d\x01\x2a"), "corrupt"),
        (_lossy(tag=b"\0\0\0\x9d\x01\x2b"), "corrupt"),
        (_lossless(0, signature=0x2E), "corrupt"),
        (_lossless(1 << 29), "corrupt"),
        (riff((b"ALPH", bytes(20))), "corrupt"),
        (_lossy().replace(struct.pack("<I", len(_lossy()) - 8), bytes(4)), "corrupt"),
        (good()["webp"][:12], "truncated"),
    ],
)
def test_broken_headers_are_rejected(data: bytes, code: str):
    """Each is rejected with its code."""
    assert rejected(data)[0] == code
