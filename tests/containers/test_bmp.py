"""The probe of BMP, for all headers that Pillow reads."""

import struct

import pytest

from tests.containers.files import good
from tests.containers.pillow import disagreement, opinion
from tests.containers.readers import probed, rejected

BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def _bmp(
    size: int = 40, width: int = 5, height: int = 4, bits: int = 24, compression: int = 0, masks: tuple[int, ...] = ()
) -> bytes:
    """Return a BMP with a header of `size` bytes, masks at their place, and pixels that are all zero."""
    if size == 12:
        header = struct.pack("<IHHHH", size, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIIIII", size, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + bytes(1024 + 4 * 5 * 4)


@pytest.mark.parametrize("size", [12, 40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 4, 8, 16, 24, 32])
def test_every_header_is_what_pillow_says(size: int, bits: int):
    """Size, depth and alpha of every kind of header are those of Pillow."""
    data = _bmp(size, bits=bits)
    assert opinion(data) is not None
    assert disagreement(data) is None
    found = probed(data)
    assert (found.size, found.channels, found.depth) == ((5, 4), 1 if bits <= 8 else 3, min(bits, 8))


@pytest.mark.parametrize("size", [40, 52, 56, 108, 124])
@pytest.mark.parametrize(
    "masks",
    [
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        BGRA,
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
        (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000),
    ],
)
def test_a_mask_for_alpha_counts_where_the_header_holds_one(size: int, masks: tuple[int, ...]):
    """A BMP has alpha if its header has a mask for alpha, as in Chromium."""
    data = _bmp(size, bits=32, compression=3, masks=masks)
    assert disagreement(data) is None
    assert probed(data).alpha == (size >= 56 and masks[3] > 0)


@pytest.mark.parametrize(
    "masks",
    [(0, 0, 0, 0), (0xFF00FF, 0xFF00, 0xFF000000, 0)],
    ids=["zero", "with a gap"],
)
def test_masks_that_tell_no_color_are_not_read(masks: tuple[int, ...]):
    """Masks that are all zero or have a gap are unsupported."""
    assert rejected(_bmp(56, bits=32, compression=3, masks=masks))[0] == "unsupported_format"


def test_a_mask_lies_within_a_pixel():
    """A mask beyond the 16 bits of a pixel is unsupported."""
    assert rejected(_bmp(bits=16, compression=3, masks=(0x1F0000, 0x3E0, 0x1F)))[0] == "unsupported_format"


def test_alpha_makes_a_fourth_channel():
    """A BMP with a mask for alpha has four channels."""
    found = probed(_bmp(56, bits=32, compression=3, masks=BGRA))
    assert (found.alpha, found.channels) == (True, 4)


def test_rows_may_come_from_the_top():
    """A negative height only means that the first row is the top."""
    assert probed(_bmp(height=-4)).size == (5, 4)
    assert probed(_bmp(height=-(2**31))).height == 2**31


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_bmp(width=0), "corrupt"),
        (_bmp(width=-5), "corrupt"),
        (_bmp(height=0), "corrupt"),
        (_bmp(68), "unsupported_format"),
        (_bmp(bits=3), "unsupported_format"),
        (_bmp(bits=1, compression=3), "unsupported_format"),
        (_bmp(compression=4), "unsupported_format"),
        (b"BM is how this text begins, and there is more of it", "unsupported_format"),
        (good()["bmp"][:30], "truncated"),
    ],
)
def test_broken_and_unread_headers_are_rejected(data: bytes, code: str):
    """Each is rejected with its code."""
    assert rejected(data)[0] == code
