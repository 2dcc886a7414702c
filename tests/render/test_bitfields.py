"""BMP with bit masks of any layout: what is decoded is what was stored."""

import struct

import pytest

from thumbsmith.errors import Rejected
from thumbsmith.formats.decoding import decode
from thumbsmith.probe import probe
from thumbsmith.reader import BytesReader

WIDTH, HEIGHT = 5, 3  # rows of 16 bits end in padding

# Red, green, blue, alpha.
LAYOUTS = {
    "565": (16, (0xF800, 0x7E0, 0x1F, 0)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "5551": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "3103": (16, (0x38, 0xFFC0, 0x7, 0)),
    "without blue": (16, (0xFF00, 0xFF, 0, 0)),
    "bytes out of order": (32, (0xFF000000, 0xFF0, 0xFF0000, 0)),
    "1010102": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "6 17 5 4": (32, (0xFC00000, 0x3FFFE0, 0x1F, 0xF0000000)),
    "8 12 8 4": (32, (0xFF00, 0xFFF0000, 0xFF, 0xF0000000)),
}


def _bmp(bits: int, masks: tuple[int, ...], pixels: list[int], *, top_down: bool = False, code: int = 3) -> bytes:
    """Return a BMP with a header of 56 bytes; of 40 bytes and four masks behind it where `code` is 6."""
    height = -HEIGHT if top_down else HEIGHT
    size = 56 if code == 3 else 40
    header = struct.pack("<IiiHHIIIIII4I", size, WIDTH, height, 1, bits, code, 0, 0, 0, 0, 0, *masks)
    lines = [pixels[start : start + WIDTH] for start in range(0, WIDTH * HEIGHT, WIDTH)]
    form = f"<{WIDTH}{'H' if bits == 16 else 'I'}"
    rows = [struct.pack(form, *line).ljust(-(-WIDTH * bits // 32) * 4, b"\0") for line in lines]
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, start) + header + b"".join(rows if top_down else rows[::-1])


def _stored(pixel: int, mask: int) -> int:
    """Return what a channel holds in 8 bits: the 8 highest bits, or fewer spread over the range."""
    if not mask:
        return 0
    width = mask.bit_count()
    value = (pixel & mask) // (mask & -mask)
    return value >> (width - 8) if width > 8 else round(value * 255 / ((1 << width) - 1))


def _pixels(bits: int) -> list[int]:
    """Return a pixel for each place, all different."""
    return [(0x9E3779B1 * (place + 1)) % (1 << bits) for place in range(WIDTH * HEIGHT)]


def _decoded(data: bytes) -> tuple[str, bytes]:
    reader = BytesReader(data)
    image = decode(reader, probe(reader), 1.0).image
    return image.mode, image.tobytes()


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_channel_comes_from_its_mask(name: str, top_down: bool):
    """Masks of any width and place are followed, whichever row comes first."""
    bits, masks = LAYOUTS[name]
    pixels = _pixels(bits)
    used = masks if masks[3] else masks[:3]
    wanted = bytes(_stored(pixel, mask) for pixel in pixels for mask in used)
    assert _decoded(_bmp(bits, masks, pixels, top_down=top_down)) == ("RGBA" if masks[3] else "RGB", wanted)


def test_four_masks_follow_the_shortest_header():
    """Compression 6 of Windows CE puts a mask for alpha behind a header of 40 bytes."""
    bits, masks = LAYOUTS["1010102"]
    pixels = _pixels(bits)
    assert _decoded(_bmp(bits, masks, pixels, code=6)) == _decoded(_bmp(bits, masks, pixels))


def test_alpha_that_is_zero_everywhere_is_none():
    """A picture whose alpha is 0 in every pixel is opaque: its writer left the mask unused."""
    _, data = _decoded(_bmp(16, LAYOUTS["4444"][1], [0x123] * (WIDTH * HEIGHT)))
    assert data == b"\x11\x22\x33\xff" * (WIDTH * HEIGHT)


def test_a_picture_that_lacks_pixels_is_truncated():
    """No picture is made where the last row is cut."""
    bits, masks = LAYOUTS["565"]
    with pytest.raises(Rejected) as caught:
        _decoded(_bmp(bits, masks, _pixels(bits))[:-1])
    assert caught.value.code == "truncated"


def test_two_bits_a_pixel_are_a_palette():
    """A BMP of 2 bits, of Windows CE, has a palette of four colors."""
    palette = bytes.fromhex("0000ff00 00ff0000 ff000000 ffffff00")  # blue, green, red, reserved
    header = struct.pack("<IiiHHIIIIII", 40, 4, 1, 1, 2, 0, 0, 0, 0, 4, 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 70) + header + palette + bytes([0b00011011, 0, 0, 0])
    assert _decoded(data) == ("RGB", bytes.fromhex("ff0000 00ff00 0000ff ffffff"))
