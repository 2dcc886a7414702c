"""Kinds of TIFF that Pillow misreads or refuses are decoded correctly, or are unsupported_format with their kind."""

import struct
from io import BytesIO

import pytest

from thumbsmith.errors import Rejected
from thumbsmith.image.decode import decode
from thumbsmith.image.pillow import Image
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

WIDTH, HEIGHT = 32, 8
SHORT, LONG, BYTE = 3, 4, 1
LETTERS = {BYTE: "B", SHORT: "H", LONG: "I"}


def _tiff(bits: tuple[int, ...], photometric: int, data: bytes, order: str = "<", **fields: tuple[int, ...]) -> bytes:
    """Return an uncompressed TIFF in one strip; `fields` are named t and their tag, and hold a type and the values."""
    tags = {256: (LONG, WIDTH), 257: (LONG, HEIGHT), 258: (SHORT, *bits), 262: (SHORT, photometric), 273: (LONG, 0)}
    tags |= {277: (SHORT, len(bits)), 278: (LONG, HEIGHT), 279: (LONG, len(data))}
    tags |= {int(name[1:]): values for name, values in fields.items()}
    start = 8 + 2 + 12 * len(tags) + 4
    behind = b""
    table = b""
    sizes = {tag: struct.calcsize(LETTERS[kind]) * len(values) for tag, (kind, *values) in tags.items()}
    pixels = start + sum(size for size in sizes.values() if size > 4)
    for tag, (kind, *values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *([pixels] if tag == 273 else values))
        if len(packed) > 4:
            packed, behind = struct.pack(f"{order}I", start + len(behind)), behind + packed
        table += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + table + bytes(4) + behind + data


def _gray(bits: int, order: str, photometric: int) -> bytes:
    """Return a TIFF that grows from black on the left to white on the right, over the full range of its depth."""
    top = (1 << bits) - 1
    row = [round(x * top / (WIDTH - 1)) for x in range(WIDTH)]
    row = row if photometric else [top - level for level in row]
    return _tiff((bits,), photometric, struct.pack(f"{order}{WIDTH}{'H' if bits == 16 else 'I'}", *row) * HEIGHT, order)


def _decoded(data: bytes) -> Image.Image:
    reader = BytesReader(data)
    return decode(reader, probe(reader), 1.0).image


def _row(image: Image.Image, band: int = 0) -> list[int]:
    return list(image.getchannel(band).crop((0, 4, image.width, 5)).tobytes())


def _near(found: list[int], wanted: list[float]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= 1 for a, b in zip(found, wanted, strict=True))


RAMP = [x * 255 / (WIDTH - 1) for x in range(WIDTH)]


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [16, 32])
def test_deep_gray_is_neither_inverted_nor_wrapped(bits: int, order: str, photometric: int):
    """Unsigned gray of 16 and 32 bits is decoded, with 0 as black or white, in both byte orders."""
    assert _near(_row(_decoded(_gray(bits, order, photometric)).convert("L")), RAMP)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_color_map_of_8_bits_is_not_black(order: str):
    """A color map with values up to 255, as some programs write it, is read as 8 bits."""
    palette = [*range(256), *range(255, -1, -1), *[128] * 256]
    levels = bytes(round(level) for level in RAMP) * HEIGHT
    image = _decoded(_tiff((8,), 3, levels, order, t320=(SHORT, *palette)))
    assert _near(_row(image, 0), RAMP)
    assert _near(_row(image, 1), RAMP[::-1])


def test_a_palette_of_16_bits_is_read():
    """A palette of 65,536 colors is decoded."""
    levels = [x * 65535 // (WIDTH - 1) for x in range(WIDTH)]
    palette = [*range(65536), *range(65535, -1, -1), *[0] * 65536]
    image = _decoded(_tiff((16,), 3, struct.pack(f"<{WIDTH}H", *levels) * HEIGHT, t320=(SHORT, *palette)))
    assert _near(_row(image, 0), RAMP)
    assert _near(_row(image, 1), RAMP[::-1])


@pytest.mark.parametrize(("extra", "alpha"), [(0, False), (2, True)])
def test_gray_with_a_second_channel_of_16_bits_is_read(extra: int, alpha: bool):
    """The second channel of gray is alpha if the file says so."""
    row = [level for x in range(WIDTH) for level in (x * 65535 // (WIDTH - 1), 32768)]
    image = _decoded(_tiff((16, 16), 1, struct.pack(f"<{2 * WIDTH}H", *row) * HEIGHT, t338=(SHORT, extra)))
    assert _near(_row(image), RAMP)
    assert (image.mode == "RGBA") == alpha
    assert not alpha or _near(_row(image, 3), [128] * WIDTH)


def _subsampled() -> bytes:
    """Return uncompressed YCbCr whose chroma is halved on both axes: a ramp of gray."""
    blocks = [bytes([round(RAMP[x]), round(RAMP[x + 1])] * 2 + [128, 128]) for x in range(0, WIDTH, 2)]
    return _tiff((8, 8, 8), 6, b"".join(blocks) * (HEIGHT // 2), t530=(SHORT, 2, 2))


def test_subsampled_chroma_is_spread():
    """Subsampled YCbCr without compression is decoded."""
    assert _near(_row(_decoded(_subsampled())), RAMP)


@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_type_of_the_orientation_does_not_matter(kind: int, orientation: int):
    """An orientation of type BYTE or LONG is applied like one of type SHORT."""
    levels = bytes(range(WIDTH)) * HEIGHT
    usual = _decoded(_tiff((8,), 1, levels, t274=(SHORT, orientation)))
    found = _decoded(_tiff((8,), 1, levels, t274=(kind, orientation)))
    assert (found.size, found.tobytes()) == (usual.size, usual.tobytes())
    assert found.size == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))


def test_libvips_turns_pictures_as_well():
    """An image that libvips decodes gets its orientation."""
    data = _gray(16, "<", 0)
    turned = _tiff((16,), 0, data[-2 * WIDTH * HEIGHT :], t274=(SHORT, 6))
    assert _decoded(turned).tobytes() == _decoded(data).transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("bits", [(3,), (5,), (10,), (14,), (4, 4, 4), (10, 10, 10), (32, 32, 32)])
def test_a_depth_that_is_not_read_is_no_damage(bits: tuple[int, ...]):
    """The code is `unsupported_format`, and the message names the kind."""
    with pytest.raises(Rejected) as caught:
        _decoded(_tiff(bits, 1 if len(bits) == 1 else 2, bytes(WIDTH * HEIGHT * 16)))
    assert caught.value.code == "unsupported_format"
    assert f"of {bits[0]} bits" in caught.value.detail


def test_a_picture_without_pixels_is_corrupt():
    """A directory without strips and tiles is corrupt."""
    data = _gray(16, "<", 1).replace(struct.pack("<HHI", 273, LONG, 1), struct.pack("<HHI", 272, LONG, 1))
    with pytest.raises(Rejected, match="where its pixels are") as caught:
        _decoded(data)
    assert caught.value.code == "corrupt"


@pytest.mark.parametrize("data", [_subsampled(), _gray(32, "<", 1), _gray(16, ">", 0)])
def test_no_picture_is_made_of_a_file_that_is_cut(data: bytes):
    """A file with missing pixels that libvips decodes is rejected."""
    with pytest.raises(Rejected) as caught:
        _decoded(data[:-20])
    assert caught.value.code in ("corrupt", "truncated")


@pytest.mark.parametrize("order", ["<", ">"])
def test_half_floats_are_read(order: str):
    """Gray in floating point of 16 bits goes from 0 to 1."""
    row = struct.pack(f"{order}{WIDTH}e", *(level / 255 for level in RAMP))
    assert _near(_row(_decoded(_tiff((16,), 1, row * HEIGHT, order, t339=(SHORT, 3))).convert("L")), RAMP)


@pytest.mark.parametrize(("bits", "letter"), [(16, "e"), (32, "f")])
@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_with_white_at_zero_are_not_read(bits: int, letter: str, order: str):
    """Floating point with white as zero is unsupported: both libraries would return it inverted."""
    row = struct.pack(f"{order}{WIDTH}{letter}", *(level / 255 for level in RAMP))
    with pytest.raises(Rejected) as caught:
        _decoded(_tiff((bits,), 0, row * HEIGHT, order, t339=(SHORT, 3)))
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("extra", [(0, 0), (2, 0), (2, 0, 0)])
def test_channels_beyond_color_and_alpha_are_left_out(extra: tuple[int, ...]):
    """RGB of 16 bits with additional channels, such as masks or spot colors, is decoded without them."""
    row = [level for x in range(WIDTH) for level in (*[x * 65535 // (WIDTH - 1)] * 3, 32768, *[999] * (len(extra) - 1))]
    bits = (16,) * (3 + len(extra))
    image = _decoded(_tiff(bits, 2, struct.pack(f"<{len(row)}H", *row) * HEIGHT, t338=(SHORT, *extra)))
    assert _near(_row(image), RAMP)
    assert image.mode == ("RGBA" if extra[0] else "RGB")
    assert not extra[0] or _near(_row(image, 3), [128] * WIDTH)


@pytest.mark.parametrize("bits", [8, 16])
def test_inks_with_a_further_channel_are_inks(bits: int):
    """CMYK with a fifth channel is decoded without it."""
    top = (1 << bits) - 1
    letter = "B" if bits == 8 else "H"

    def stored(count: int) -> bytes:
        row = [level for x in range(WIDTH) for level in (x * top // (WIDTH - 1), 0, top // 3, 0, top)[:count]]
        more = {"t338": (SHORT, 0)} if count > 4 else {}
        return _tiff((bits,) * count, 5, struct.pack(f"<{len(row)}{letter}", *row) * HEIGHT, **more)

    assert _decoded(stored(5)).tobytes() == _decoded(stored(4)).tobytes()


def _big(bits: tuple[int, ...], photometric: int, data: bytes, **fields: int) -> bytes:
    """Return a big-endian BigTIFF; all its fields are one number, of SHORT or LONG."""
    tags = {256: WIDTH, 257: HEIGHT, 262: photometric, 277: len(bits), 278: HEIGHT, 279: len(data)}
    tags |= {int(name[1:]): value for name, value in fields.items()}
    start = 16 + 8 + 20 * (len(tags) + 2) + 8
    entries = {tag: struct.pack(">HHQQ", tag, LONG, 1, value << 32) for tag, value in tags.items()}
    depths = struct.pack(f">{len(bits)}H", *bits).ljust(8, b"\0")
    entries |= {
        258: struct.pack(">HHQ", 258, SHORT, len(bits)) + depths,
        273: struct.pack(">HHQQ", 273, LONG, 1, start << 32),
    }
    table = b"".join(entries[tag] for tag in sorted(entries))
    return b"MM\0+" + struct.pack(">HHQQ", 8, 0, 16, len(entries)) + table + bytes(8) + data


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_gray_of_a_bigtiff_with_the_highest_byte_first(bits: int, photometric: int):
    """A big-endian BigTIFF, whose offsets Pillow takes for those of a TIFF, is decoded."""
    top = (1 << bits) - 1
    levels = [round(x * top / (WIDTH - 1)) for x in range(WIDTH)]
    levels = levels if photometric else [top - level for level in levels]
    row = struct.pack(f">{WIDTH}{ {8: 'B', 16: 'H', 32: 'I'}[bits] }", *levels)
    image = _decoded(_big((bits,), photometric, row * HEIGHT))
    assert _near(_row(image.convert("L")), RAMP)
    turned = _decoded(_big((bits,), photometric, row * HEIGHT, t274=6))
    assert turned.convert("L").tobytes() == image.convert("L").transpose(Image.Transpose.ROTATE_270).tobytes()


def test_colors_of_a_bigtiff_with_the_highest_byte_first():
    """A big-endian BigTIFF in RGB, with alpha or cut, has the right outcome. Lab and Zstandard are unsupported."""
    row = bytes(level for x in range(WIDTH) for level in (round(RAMP[x]), 0, 255 - round(RAMP[x])))
    image = _decoded(_big((8, 8, 8), 2, row * HEIGHT))
    assert (image.mode, _near(_row(image), RAMP), _near(_row(image, 2), RAMP[::-1])) == ("RGB", True, True)
    clear = bytes(level for x in range(WIDTH) for level in (9, 99, 199, round(RAMP[x])))
    assert _near(_row(_decoded(_big((8,) * 4, 2, clear * HEIGHT, t338=2)), 3), RAMP)
    for odd in (_big((8, 8, 8), 8, row * HEIGHT), _big((8, 8, 8), 2, row * HEIGHT, t259=50000)):
        with pytest.raises(Rejected) as caught:
            _decoded(odd)
        assert caught.value.code == "unsupported_format"
    with pytest.raises(Rejected) as caught:
        _decoded(_big((8, 8, 8), 2, row * HEIGHT)[:-50])
    assert caught.value.code in ("corrupt", "truncated")


def _webp_inside(alpha: bool) -> bytes:
    """Return a TIFF of one lossless WebP."""
    image = Image.new("RGBA" if alpha else "RGB", (WIDTH, HEIGHT))
    image.paste(Image.merge("RGB", [Image.linear_gradient("L").rotate(90).resize((WIDTH, HEIGHT))] * 3))
    if alpha:
        image.putalpha(77)
    file = BytesIO()
    image.save(file, "WEBP", lossless=True, exact=True)
    more = {"t338": (SHORT, 2)} if alpha else {}
    return _tiff((8,) * (3 + alpha), 2, file.getvalue(), t259=(SHORT, 50001), **more)


@pytest.mark.parametrize("alpha", [False, True])
def test_webp_inside_a_tiff_is_read(alpha: bool):
    """WebP in TIFF is decoded by libvips: the libtiff of Pillow does not support it."""
    image = _decoded(_webp_inside(alpha))
    wanted = list(Image.linear_gradient("L").rotate(90).resize((WIDTH, HEIGHT)).crop((0, 4, WIDTH, 5)).tobytes())
    assert image.mode == ("RGBA" if alpha else "RGB")
    assert _near(_row(image), wanted)
    assert not alpha or _row(image, 3) == [77] * WIDTH


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        (259, (9, 9999, 32766, 32809, 32909, 34676, 34712, 34887, 34933, 34934, 50002)),
        (262, (4, 9, 10, 32803, 32844, 32845, 34892, 51177)),
        (339, (4, 5, 6)),
    ],
)
def test_what_is_not_read_is_named(tag: int, values: tuple[int, ...]):
    """An unsupported compression, interpretation or sample format is unsupported_format, for any depth."""
    for value in values:
        for bits in ((8,), (16,), (8, 8, 8), (16, 16, 16)):
            fields = {"t262": (SHORT, 2 if len(bits) > 1 else 1)} | {f"t{tag}": (SHORT, value)}
            with pytest.raises(Rejected, match=str(value)) as caught:
                _decoded(_tiff(bits, 1, bytes(WIDTH * HEIGHT * 8), **fields))
            assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("count", [None, 0, 9_999])
def test_the_size_of_a_strip_may_be_missing_or_wrong(count: int | None):
    """Wrong or missing sizes of uncompressed strips are ignored."""
    levels = bytes(round(level) for level in RAMP) * HEIGHT
    data = _tiff((8,), 1, levels, t279=(LONG, 0 if count is None else count))
    if count is None:
        data = data.replace(struct.pack("<HHII", 279, LONG, 1, 0), struct.pack("<HHII", 280, LONG, 1, 0))
    assert _near(_row(_decoded(data)), RAMP)


def test_missing_tiles_are_found_by_libvips():
    """An image with a cut tile is truncated."""
    tile = bytes(range(16)) * 16
    fields = {"t322": 16, "t323": 16, "t325": len(tile)}
    whole = _big((8,), 1, tile, t256=16, t257=16, t339=1, **fields)
    tiled = whole.replace(struct.pack(">HH", 273, LONG), struct.pack(">HH", 324, LONG))
    entries = [tiled[at : at + 20] for at in range(24, len(tiled) - len(tile) - 8, 20)]
    kept = sorted(each for each in entries if each[:2] not in (b"\x01\x16", b"\x01\x17"))
    data = tiled[:16] + struct.pack(">Q", len(kept)) + b"".join(kept) + bytes(48) + tile
    assert _decoded(data).size == (16, 16)
    with pytest.raises(Rejected):
        _decoded(data[:-40])
