"""Kinds of TIFF that Pillow misreads or refuses: each shows what was stored, or is named as a kind that is not read."""

import struct

import pytest

from thumbsmith.errors import Rejected
from thumbsmith.formats.decoding import decode
from thumbsmith.formats.pillow import Image
from thumbsmith.probe import probe
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
    """Return a TIFF that grows from black on the left to white on the right, over all that its depth can hold."""
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
    """Gray of 16 and 32 bits without sign, whether 0 is black or white, in both byte orders."""
    assert _near(_row(_decoded(_gray(bits, order, photometric)).convert("L")), RAMP)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_color_map_of_8_bits_is_not_black(order: str):
    """A color map whose values end at 255, as some programs write it, is taken for 8 bits."""
    palette = [*range(256), *range(255, -1, -1), *[128] * 256]
    levels = bytes(round(level) for level in RAMP) * HEIGHT
    image = _decoded(_tiff((8,), 3, levels, order, t320=(SHORT, *palette)))
    assert _near(_row(image, 0), RAMP)
    assert _near(_row(image, 1), RAMP[::-1])


def test_a_palette_of_16_bits_is_read():
    """65,536 colors are looked up."""
    levels = [x * 65535 // (WIDTH - 1) for x in range(WIDTH)]
    palette = [*range(65536), *range(65535, -1, -1), *[0] * 65536]
    image = _decoded(_tiff((16,), 3, struct.pack(f"<{WIDTH}H", *levels) * HEIGHT, t320=(SHORT, *palette)))
    assert _near(_row(image, 0), RAMP)
    assert _near(_row(image, 1), RAMP[::-1])


@pytest.mark.parametrize(("extra", "alpha"), [(0, False), (2, True)])
def test_gray_with_a_second_channel_of_16_bits_is_read(extra: int, alpha: bool):
    """The second channel is alpha where the file says so."""
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
    """YCbCr is read where it is subsampled and not compressed."""
    assert _near(_row(_decoded(_subsampled())), RAMP)


@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_type_of_the_orientation_does_not_matter(kind: int, orientation: int):
    """An orientation that is stored as a BYTE or LONG turns the picture as a SHORT does."""
    levels = bytes(range(WIDTH)) * HEIGHT
    usual = _decoded(_tiff((8,), 1, levels, t274=(SHORT, orientation)))
    found = _decoded(_tiff((8,), 1, levels, t274=(kind, orientation)))
    assert (found.size, found.tobytes()) == (usual.size, usual.tobytes())
    assert found.size == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))


def test_libvips_turns_pictures_as_well():
    """A kind that libvips reads comes turned."""
    data = _gray(16, "<", 0)
    turned = _tiff((16,), 0, data[-2 * WIDTH * HEIGHT :], t274=(SHORT, 6))
    assert _decoded(turned).tobytes() == _decoded(data).transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("bits", [(3,), (5,), (10,), (14,), (4, 4, 4), (10, 10, 10), (32, 32, 32)])
def test_a_depth_that_is_not_read_is_no_damage(bits: tuple[int, ...]):
    """The code is `unsupported_format`, and the sentence tells the kind."""
    with pytest.raises(Rejected) as caught:
        _decoded(_tiff(bits, 1 if len(bits) == 1 else 2, bytes(WIDTH * HEIGHT * 16)))
    assert caught.value.code == "unsupported_format"
    assert f"of {bits[0]} bits" in caught.value.detail


def test_a_picture_without_pixels_is_corrupt():
    """A directory that names neither strips nor tiles is damage, not a kind."""
    data = _gray(16, "<", 1).replace(struct.pack("<HHI", 273, LONG, 1), struct.pack("<HHI", 272, LONG, 1))
    with pytest.raises(Rejected, match="where its pixels are") as caught:
        _decoded(data)
    assert caught.value.code == "corrupt"


@pytest.mark.parametrize("data", [_subsampled(), _gray(32, "<", 1), _gray(16, ">", 0)])
def test_no_picture_is_made_of_a_file_that_is_cut(data: bytes):
    """A file that lacks pixels is rejected by libvips too."""
    with pytest.raises(Rejected) as caught:
        _decoded(data[:-20])
    assert caught.value.code in ("corrupt", "truncated")
