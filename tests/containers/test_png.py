"""The probe of PNG: the image header, and the chunks before the image data."""

import struct

import pytest

from tests.containers.files import chunk, exif_block, png
from tests.containers.readers import CountingReader, probed, rejected
from thumbsmith.image.probe import probe


def _header(width: int = 5, height: int = 4, depth: int = 8, colour: int = 2, *rest: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, *(rest or (0, 0, 0)))


@pytest.mark.parametrize(
    ("depth", "colour", "channels", "alpha"),
    [(1, 0, 1, False), (16, 0, 1, False), (8, 2, 3, False), (4, 3, 1, False), (16, 4, 2, True), (8, 6, 4, True)],
)
def test_the_colour_type_tells_channels_and_alpha(depth: int, colour: int, channels: int, alpha: bool):
    """Each color type has its channels. Two have alpha, the others with tRNS."""
    found = probed(png(header=_header(depth=depth, colour=colour)))
    assert (found.depth, found.channels, found.alpha) == (depth, channels, alpha)
    palette = chunk(b"PLTE", bytes(6))
    assert probed(png(palette, chunk(b"tRNS", bytes(6)), header=_header(depth=depth, colour=colour))).alpha


def test_chunks_before_the_image_data_count():
    """`frames` comes from acTL, the orientation from eXIf. Chunks after the image data are not read."""
    found = probed(png(chunk(b"acTL", struct.pack(">II", 7, 0)), chunk(b"eXIf", exif_block(6, ">"))))
    assert (found.frames, found.orientation, found.size) == (7, 6, (4, 5))
    late = probed(png() + chunk(b"eXIf", exif_block(6)) + chunk(b"tRNS", bytes(6)))
    assert (late.orientation, late.alpha) == (1, False)


def test_an_animation_of_no_frames_is_a_picture():
    """An acTL chunk that announces no frames means one."""
    assert probed(png(chunk(b"acTL", bytes(8)))).frames == 1


def test_interlacing_is_told():
    """`interlaced` comes from the header."""
    assert probed(png(header=_header(5, 4, 8, 2, 0, 0, 1))).interlaced
    assert not probed(png()).interlaced


def test_bodies_of_chunks_are_not_read():
    """Megabytes of text before the image data are not read."""
    reader = CountingReader(png(*[chunk(b"tEXt", bytes(500_000))] * 8))
    probe(reader)
    assert reader.cost <= 131_072


def test_a_damaged_checksum_elsewhere_is_the_decoder_s():
    """The probe checks only the checksum of the image header."""
    data = png(chunk(b"tEXt", b"abc"))
    assert probed(data.replace(b"abc", b"abd")).width == 5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png(header=_header(width=0)), "corrupt"),
        (png(header=_header(height=0)), "corrupt"),
        (png(header=_header(width=2**31)), "corrupt"),
        (png(header=_header(colour=5)), "corrupt"),
        (png(header=_header(depth=4)), "corrupt"),
        (png(header=_header(depth=16, colour=3)), "corrupt"),
        (png(header=_header(5, 4, 8, 2, 1, 0, 0)), "corrupt"),
        (png(header=_header(5, 4, 8, 2, 0, 1, 0)), "corrupt"),
        (png(header=_header(5, 4, 8, 2, 0, 0, 2)), "corrupt"),
        (png(header=_header() + b"\0"), "corrupt"),
        (png().replace(b"IHDR", b"IHDr"), "corrupt"),
        (png().replace(_header(), _header(width=6)), "corrupt"),
        (png(chunk(b"IEND", b"")), "corrupt"),
        (png(chunk(b"ab\0d", b"")), "corrupt"),
        (png(chunk(b"teXt", b"") * 100_000), "corrupt"),
        (png()[:-12] + struct.pack(">I", 2**31) + b"tEXt", "corrupt"),
        (png()[:-12] + struct.pack(">I", 2**31 - 1) + b"tEXt", "truncated"),
        (png()[:-12], "truncated"),
    ],
)
def test_broken_headers_are_rejected(data: bytes, code: str):
    """Each is rejected with its code."""
    assert rejected(data)[0] == code
