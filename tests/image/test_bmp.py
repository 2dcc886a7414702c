"""BMP of many kinds is decoded to the stored pixels."""

import struct

import pytest

from tests.image.pictures import recipe
from thumbsmith.errors import Rejected
from thumbsmith.image import transfer
from thumbsmith.image.decode import decode
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
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
    "overlapping": (16, (0xF800, 0xF800, 0x1F, 0)),
    "1010102": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "6 17 5 4": (32, (0xFC00000, 0x3FFFE0, 0x1F, 0xF0000000)),
    "8 12 8 4": (32, (0xFF00, 0xFFF0000, 0xFF, 0xF0000000)),
}


def _bmp(bits: int, masks: tuple[int, ...], pixels: list[int], *, top_down: bool = False, code: int = 3) -> bytes:
    """Return a BMP with a header of 56 bytes, or of 40 bytes and four masks if `code` is 6."""
    height = -HEIGHT if top_down else HEIGHT
    size = 56 if code == 3 else 40
    header = struct.pack("<IiiHHIIIIII4I", size, WIDTH, height, 1, bits, code, 0, 0, 0, 0, 0, *masks)
    lines = [pixels[start : start + WIDTH] for start in range(0, WIDTH * HEIGHT, WIDTH)]
    form = f"<{WIDTH}{'H' if bits == 16 else 'I'}"
    rows = [struct.pack(form, *line).ljust(-(-WIDTH * bits // 32) * 4, b"\0") for line in lines]
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, start) + header + b"".join(rows if top_down else rows[::-1])


def _stored(pixel: int, mask: int) -> int:
    """Return a channel in 8 bits: its 8 highest bits, or fewer bits scaled to the full range."""
    if not mask:
        return 0
    width = mask.bit_count()
    value = (pixel & mask) // (mask & -mask)
    return value >> (width - 8) if width > 8 else round(value * 255 / ((1 << width) - 1))


def _pixels(bits: int) -> list[int]:
    """Return different pixels."""
    return [(0x9E3779B1 * (place + 1)) % (1 << bits) for place in range(WIDTH * HEIGHT)]


def _decoded(data: bytes) -> tuple[str, bytes]:
    reader = BytesReader(data)
    image = decode(reader, probe(reader), 1.0).image
    return image.mode, image.tobytes()


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_channel_comes_from_its_mask(name: str, top_down: bool):
    """Masks of any width and position are decoded, in both orders of rows."""
    bits, masks = LAYOUTS[name]
    pixels = _pixels(bits)
    used = masks if masks[3] else masks[:3]
    wanted = bytes(_stored(pixel, mask) for pixel in pixels for mask in used)
    assert _decoded(_bmp(bits, masks, pixels, top_down=top_down)) == ("RGBA" if masks[3] else "RGB", wanted)


def test_four_masks_follow_the_shortest_header():
    """Compression 6 of Windows CE has a mask for alpha after a header of 40 bytes."""
    bits, masks = LAYOUTS["1010102"]
    pixels = _pixels(bits)
    assert _decoded(_bmp(bits, masks, pixels, code=6)) == _decoded(_bmp(bits, masks, pixels))


def test_alpha_that_is_zero_everywhere_is_none():
    """An image whose alpha is 0 in every pixel is opaque: its writer did not use the mask."""
    _, data = _decoded(_bmp(16, LAYOUTS["4444"][1], [0x123] * (WIDTH * HEIGHT)))
    assert data == b"\x11\x22\x33\xff" * (WIDTH * HEIGHT)


def test_a_picture_that_lacks_pixels_is_truncated():
    """A BMP with a missing pixel in its last row is truncated."""
    bits, masks = LAYOUTS["565"]
    with pytest.raises(Rejected) as caught:
        _decoded(_bmp(bits, masks, _pixels(bits))[:-3])  # two bytes pad the row
    assert caught.value.code == "truncated"


def test_two_bits_a_pixel_are_a_palette():
    """A BMP of 2 bits, of Windows CE, has a palette of four colors."""
    palette = bytes.fromhex("0000ff00 00ff0000 ff000000 ffffff00")  # blue, green, red, reserved
    header = struct.pack("<IiiHHIIIIII", 40, 4, 1, 1, 2, 0, 0, 0, 0, 4, 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 70) + header + palette + bytes([0b00011011, 0, 0, 0])
    assert _decoded(data) == ("RGB", bytes.fromhex("ff0000 00ff00 0000ff ffffff"))


def stored(bits: int, pixels: bytes, header: int = 40, **fields: int) -> bytes:
    """Return a BMP whose palette, in the order of the file, is blue n, green 2n, red 3n for the color n."""
    compression, colors, height = (fields.get(name, 0) for name in ("compression", "colors", "height"))
    if header == 12:
        head = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        sizes = (header, WIDTH, height or HEIGHT, 1, bits, compression, 0, 0, 0, colors, 0)
        head = struct.pack("<IiiHHIIIIII", *sizes)[:header].ljust(header, b"\0")
    count = colors or (1 << bits if bits <= 8 else 0)
    palette = b"".join(bytes(n * step & 255 for step in (1, 2, 3)) + b"\0" * (header > 12) for n in range(count))
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, fields.get("offset", start)) + head + palette + pixels


def colored(*indexes: int) -> bytes:
    """Return these colors of the palette in RGB; -1 is black."""
    return b"".join(bytes((3 * n & 255, 2 * n & 255, n)) if n >= 0 else bytes(3) for n in indexes)


PIXELS = [(7 * place + 3) % 251 for place in range(WIDTH * HEIGHT)]
ROWS = b"".join(bytes(PIXELS[at : at + WIDTH]).ljust(8, b"\0") for at in (10, 5, 0))
TRUE_COLOR = b"".join(b"".join(colored(n)[::-1] for n in PIXELS[at : at + WIDTH]).ljust(16, b"\0") for at in (10, 5, 0))


@pytest.mark.parametrize("header", [12, 16, 20, 24, 32, 36, 40, 42, 46, 48, 52, 56, 60, 64, 108, 124])
def test_headers_of_all_sizes_are_read(header: int):
    """Headers of OS/2 have any length from 16 to 64 bytes; missing fields are zero."""
    assert _decoded(stored(8, ROWS, header)) == ("RGB", colored(*PIXELS))
    assert _decoded(stored(24, TRUE_COLOR, header)) == ("RGB", colored(*PIXELS))


@pytest.mark.parametrize("colors", [256, 257, 300, 1000])
def test_a_palette_may_claim_or_hold_too_many_colors(colors: int):
    """A palette may have more than 256 colors: the first 256 count, and the offset locates the pixels."""
    assert _decoded(stored(8, ROWS, colors=colors)) == ("RGB", colored(*PIXELS))
    claimed = bytearray(stored(8, ROWS))
    claimed[46:50] = struct.pack("<I", 0xFFFFFFFF)
    assert _decoded(bytes(claimed)) == ("RGB", colored(*PIXELS))


def test_colors_beyond_the_palette_are_black():
    """Colors beyond a palette of 100 colors are black."""
    assert _decoded(stored(8, ROWS, colors=100))[1] == colored(*(n if n < 100 else -1 for n in PIXELS))


def test_an_offset_within_the_header_is_none():
    """With an offset of 0 the pixels follow the palette."""
    for offset in (0, 20):
        assert _decoded(stored(8, ROWS, offset=offset)) == ("RGB", colored(*PIXELS))


def test_the_padding_of_the_last_row_may_be_missing():
    """The padding of the last row may be missing; with one byte less the BMP is truncated."""
    assert _decoded(stored(8, ROWS[:-3])) == ("RGB", colored(*PIXELS))
    with pytest.raises(Rejected) as caught:
        _decoded(stored(8, ROWS[:-4]))
    assert caught.value.code == "truncated"


def _v5(compression: int, kind: bytes, profile: bytes, offset: int | None = None, alpha: int = 0) -> bytes:
    """Return a BMP of 32 bits with a header of 124 bytes, and a color profile after the pixels."""
    pixels = b"".join(bytes((n, n, n, n)) for n in PIXELS)
    fields = (124, WIDTH, HEIGHT, 1, 32, compression, 0, 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, alpha)
    place = 124 + len(pixels) if offset is None else offset
    header = struct.pack("<IiiHHIIIIII4I", *fields) + kind + bytes(48)
    header += struct.pack("<IIII", 4, place, len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + header + pixels + profile


def test_an_embedded_profile_is_followed():
    """A profile in the file is applied. One that is linked, broken or beyond the file is ignored."""
    profile = transfer.cicp_profile(12, 13)
    plain = _v5(0, b"BGRs", b"")

    def shown(data: bytes) -> tuple[bool, bytes]:
        reader = BytesReader(data)
        base = decode(reader, probe(reader), 1.0)
        return base.to_srgb is not None, base.image.tobytes()

    assert shown(_v5(0, b"DEBM", profile)) == (True, shown(plain)[1])
    for other in (
        _v5(0, b"KNIL", b"C:\\x.icm\0"),
        _v5(0, b"DEBM", b"no profile"),
        _v5(0, b"DEBM", profile, offset=1 << 20),
        _v5(0, b"DEBM", b""),
    ):
        assert shown(other) == shown(plain)


def test_alpha_of_the_long_headers_counts_without_bit_fields():
    """A mask for alpha in the header makes the fourth byte alpha, as in Chromium."""
    wanted = b"".join(bytes((n, n, n, n)) for n in (*PIXELS[10:], *PIXELS[5:10], *PIXELS[:5]))
    assert _decoded(_v5(0, b"BGRs", b"", alpha=0xFF000000)) == ("RGBA", wanted)
    assert _decoded(_v5(0, b"BGRs", b""))[0] == "RGB"


END_OF_ROW, END = b"\0\0", b"\0\1"
FULL = b"\5\1" + END_OF_ROW + b"\5\2" + END_OF_ROW + b"\5\3"
FROM_TOP = (*[3] * 5, *[2] * 5, *[1] * 5)


@pytest.mark.parametrize(
    ("packed", "wanted"),
    [
        (FULL + END_OF_ROW + END, FROM_TOP),
        (FULL + END, FROM_TOP),
        (FULL + END_OF_ROW, FROM_TOP),
        (FULL, FROM_TOP),
        (FULL + END + b"more", FROM_TOP),
        (b"\xff\1" + END_OF_ROW + b"\6\2" + END_OF_ROW + b"\5\3" + END, FROM_TOP),
        (FULL + END_OF_ROW + b"\5\4" + END, FROM_TOP),
        (b"\0\3\1\2\3\0\2\4" + END, (*[-1] * 10, 1, 2, 3, 4, 4)),
        (b"\0\2\2\1\2\7" + END, (*[-1] * 5, -1, -1, 7, 7, -1, *[-1] * 5)),
        (b"\1\7" + END_OF_ROW + b"\2\7" + END, (*[-1] * 5, 7, 7, -1, -1, -1, 7, -1, -1, -1, -1)),
        (END, (-1,) * 15),
        (b"\0\2\0\x63", (-1,) * 15),
    ],
)
def test_run_lengths_are_followed(packed: bytes, wanted: tuple[int, ...]):
    """Runs, single pixels, moves and ends are decoded. Skipped pixels are black, those beyond the image are ignored."""
    assert _decoded(stored(8, packed, compression=1)) == ("RGB", colored(*wanted))
    upside_down = [n for at in (10, 5, 0) for n in wanted[at : at + 5]]
    assert _decoded(stored(8, packed, compression=1, height=-HEIGHT))[1] == colored(*upside_down)


@pytest.mark.parametrize("header", [40, 64])
def test_run_lengths_of_4_bits_hold_two_colors_in_turn(header: int):
    """A run of 4 bits uses both halves of its byte in turn; single pixels are padded to 16 bits."""
    packed = b"\5\x12" + END_OF_ROW + b"\0\5\x34\x56\x70\0" + END_OF_ROW + b"\4\x99" + END
    wanted = (9, 9, 9, 9, -1, 3, 4, 5, 6, 7, 1, 2, 1, 2, 1)
    assert _decoded(stored(4, packed, header, compression=2)) == ("RGB", colored(*wanted))


def test_run_lengths_of_24_bits_are_of_os2():
    """The compression of OS/2 for 24 bits means JPEG data in headers of Windows, which are unsupported."""
    packed = b"\5\1\2\3" + END_OF_ROW + b"\0\3\1\2\3\2\4\6\3\6\x09\0\2\5\x0a\x0f" + END_OF_ROW + b"\1\7\x0e\x15" + END
    wanted = (7, -1, -1, -1, -1, 1, 2, 3, 5, 5, 1, 1, 1, 1, 1)
    assert _decoded(stored(24, packed, 64, compression=4)) == ("RGB", colored(*wanted))
    with pytest.raises(Rejected) as caught:
        _decoded(stored(24, packed, 40, compression=4))
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize(
    ("bits", "packed"),
    [(8, FULL[:-2]), (8, FULL[:-1]), (8, b"\5\1\0\2\1"), (8, b"\0\5\1\2"), (8, b""), (4, b"\0\4\1"), (24, b"\5\1\2")],
)
def test_run_lengths_that_are_cut_are_truncated(bits: int, packed: bytes):
    """Run lengths without an end mark and with missing pixels are truncated at every size."""
    data = stored(bits, packed, 64, compression={8: 1, 4: 2, 24: 4}[bits])
    for side in (300, 2):
        with pytest.raises(Rejected) as caught:
            render(data, recipe(width=side, height=side))
        assert caught.value.code == "truncated"
