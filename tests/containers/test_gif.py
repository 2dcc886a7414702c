"""The probe of GIF: screens, frames and extensions."""

import struct

import pytest

from tests.containers.files import good
from tests.containers.readers import CountingReader, probed, rejected
from thumbsmith.image.containers.base import MAX_FRAMES
from thumbsmith.image.probe import probe

TRAILER = b";"
CONTROL = b"!\xf9\x04\x01\0\0\0\0"
COMMENT = b"!\xfe\x03abc\x02de\0"


def _screen(width: int = 10, height: int = 8, packed: int = 0) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, packed, 0, 0)


def _image(left: int = 0, top: int = 0, width: int = 10, height: int = 8, packed: int = 0, data: bytes = b"\x01\0"):
    table = bytes(3 << (packed & 7) + 1 if packed & 0x80 else 0)
    return b"," + struct.pack("<HHHHB", left, top, width, height, packed) + table + b"\x02" + data + b"\0"


def test_frames_are_counted():
    """Every image is a frame. Color tables and data that look like blocks are skipped."""
    images = [_image(), COMMENT, _image(packed=0x82), b"\0\0", _image(data=b"\x04,;!,"), b"!\xff\x0bNETSCAPE2.0\0"]
    found = probed(_screen(packed=0x81) + b"," * 12 + b"".join(images) + TRAILER + _image())
    assert (found.frames, found.size, found.channels, found.alpha) == (3, (10, 8), 1, False)


def test_the_canvas_holds_the_first_frame():
    """The canvas grows to contain the first frame, as in Pillow, but not later ones."""
    found = probed(_screen(10, 8) + _image(5, 6, 10, 4) + _image(0, 0, 99, 99) + TRAILER)
    assert (found.width, found.height) == (15, 10)
    assert probed(_screen(0, 0) + _image(0, 0, 3, 2) + TRAILER).size == (3, 2)


@pytest.mark.parametrize(
    ("blocks", "alpha"),
    [
        (_image(), False),
        (CONTROL + _image(), True),
        (_image() + CONTROL + _image(), True),
        (CONTROL.replace(b"\x04\x01", b"\x04\x00") + _image(), False),
        (b"!\xf9\0" + COMMENT + _image(), False),
        (_image(1, 0, 9, 8), True),
        (_image(0, 0, 10, 7), True),
    ],
)
def test_transparency_is_told(blocks: bytes, alpha: bool):
    """A GIF has alpha if a frame has a transparent color, or if the first one leaves a part of the canvas free."""
    assert probed(_screen() + blocks + TRAILER).alpha == alpha


def test_interlacing_is_the_first_frame_s():
    """`interlaced` is that of the first frame."""
    assert probed(_screen() + _image(packed=0x40) + _image() + TRAILER).interlaced
    assert not probed(_screen() + _image() + _image(packed=0x40) + TRAILER).interlaced


def test_a_cut_animation_has_the_frames_that_are_there():
    """A GIF that is cut after the first image descriptor has fewer frames, and is not rejected."""
    whole = good()["gif-animated"]
    assert probed(whole[:-1]).frames == 3
    assert probed(whole[: len(whole) // 2]).frames == 2


def test_counting_frames_ends():
    """Blocks are counted up to a bound. A file with only extensions is rejected."""
    assert probed(_screen() + _image() * 150_000).frames == MAX_FRAMES
    assert rejected(_screen() + b"!\xfe\0" * 150_000 + _image())[0] == "corrupt"


def test_frames_are_walked_in_few_requests():
    """A walk over megabytes of image data reads them about once."""
    reader = CountingReader(_screen() + _image(data=(b"\xff" + bytes(255)) * 12_000) * 2 + TRAILER)
    assert probe(reader).frames == 2
    assert reader.cost <= reader.size + 100
    assert len(reader.reads) <= 12


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_screen() + TRAILER, "corrupt"),
        (_screen() + COMMENT + b";", "corrupt"),
        (_screen() + _image(width=0), "corrupt"),
        (_screen() + _image(height=0), "corrupt"),
        (_screen(), "truncated"),
        (_screen() + bytes(500), "truncated"),
        (_screen() + b"," + bytes(7), "truncated"),
        (_screen()[:12], "truncated"),
    ],
)
def test_a_file_without_a_picture_is_rejected(data: bytes, code: str):
    """Each is rejected with its code."""
    assert rejected(data)[0] == code
