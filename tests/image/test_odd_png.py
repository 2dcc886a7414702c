"""PNGs with damage outside of their pixels are made; those with missing rows are rejected."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.containers.files import chunk
from tests.image.pictures import difference, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.png import uncompressed_bytes
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader

WIDTH, HEIGHT = 161, 120
HEAD = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")
SIZES = (300, 64, 16)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def header(color: int = 2, depth: int = 8, interlaced: int = 0) -> bytes:
    """Return an image header."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, interlaced))


def rows(pixels: np.ndarray) -> bytes:
    """Return pixels as in a PNG before compression."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def passes(pixels: np.ndarray) -> bytes:
    """Return interlaced pixels."""
    return b"".join(rows(pixels[top::down, left::right]) for left, top, right, down in PASSES)


def black_below() -> np.ndarray:
    """Return a picture whose lower half is black."""
    pixels = np.array(textured(WIDTH, HEIGHT))
    pixels[HEIGHT // 2 :] = 0
    return pixels


RGB = np.asarray(textured(WIDTH, HEIGHT))
GRAY = np.asarray(textured(WIDTH, HEIGHT).convert("L"))
DEEP = (GRAY.astype(">u2") * 257).view(np.uint8).reshape(HEIGHT, WIDTH, 2)
CLEAR = np.dstack([RGB, GRAY])
LAYOUTS = {
    "rgb": (header(), rows(RGB)),
    "gray": (header(0), rows(GRAY)),
    "deep gray": (header(0, 16), rows(DEEP)),
    "alpha": (header(6), rows(CLEAR)),
    "gray with alpha": (header(4), rows(np.dstack([GRAY, GRAY[::-1]]))),
    "palette": (header(3) + chunk(b"PLTE", bytes(range(256)) * 3), rows(GRAY)),
    "bits": (header(0, 1), rows(np.packbits(GRAY > 99, axis=1))),
    "black below": (header(), rows(black_below())),
    "interlaced": (header(interlaced=1), passes(RGB)),
    "interlaced alpha": (header(6, interlaced=1), passes(CLEAR)),
}


def png(head: bytes, packed: bytes, tail: bytes = END) -> bytes:
    """Return a PNG with these data."""
    return HEAD + head + chunk(b"IDAT", packed) + tail


def refusals(data: bytes) -> set[str]:
    """Return the rejection codes of a file at all sizes."""
    found = set()
    for side in SIZES:
        with pytest.raises(Rejected) as refused:
            render(data, recipe(width=side, height=side))
        found.add(str(refused.value.code))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_rows_are_found(layout: str):
    """Valid data that end before the last row are truncated at every size, not black."""
    head, data = LAYOUTS[layout]
    assert render(png(head, zlib.compress(data)), recipe())
    line = (len(data) // HEIGHT) + 1
    for short in (len(data) * 3 // 4, len(data) - 3 * line, len(data) - line, len(data) - 1):
        assert refusals(png(head, zlib.compress(data[:short]))) == {Code.TRUNCATED}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_wrong_checksum_of_the_data_costs_nothing(layout: str):
    """A complete image is made with a wrong or missing Adler-32."""
    head, data = LAYOUTS[layout]
    packed = zlib.compress(data)
    for odd in (packed[:-4] + b"abcd", packed[:-4], packed[:-2], packed[:-4] + b"abcd" + bytes(500), packed + b"more"):
        for side in SIZES:
            found, wanted = (shown(png(head, each), width=side, height=side) for each in (odd, packed))
            assert difference(found.convert("RGBA"), wanted.convert("RGBA")) < 1.5


def test_what_follows_the_pixels_may_be_broken_or_missing():
    """A missing end, wrong checksums, cut chunks and bytes after the pixels are ignored."""
    head, data = LAYOUTS["rgb"]
    whole = png(head, zlib.compress(data))
    beyond = struct.pack(">I", 10_000) + b"tEXtab"
    for odd in (whole[:-12], whole[:-16], png(head, zlib.compress(data), beyond), whole + bytes(999)):
        assert difference(shown(odd), shown(whole)) == 0
    split = HEAD + head + b"".join(chunk(b"IDAT", bytes((byte,))) for byte in zlib.compress(data)[:2000])
    assert refusals(split + END) == {Code.TRUNCATED}


def test_more_rows_than_there_are_do_no_harm():
    """Data after the last row are ignored."""
    head, data = LAYOUTS["rgb"]
    more = shown(png(head, zlib.compress(data + data[:5000])))
    assert difference(more, shown(png(head, zlib.compress(data)))) == 0


@pytest.mark.parametrize(
    ("layout", "transparency"),
    [
        ("rgb", b"\0\1"),
        ("gray", b"\0"),
        ("palette", b""),
        ("palette", bytes(300)),
        ("alpha", b"\0\1\0\1\0\1"),
    ],
)
def test_a_transparency_that_cannot_be_is_ignored(layout: str, transparency: bytes):
    """An invalid transparency is ignored, and removed from a stripped source."""
    head, data = LAYOUTS[layout]
    plain, odd = png(head, zlib.compress(data)), png(head + chunk(b"tRNS", transparency), zlib.compress(data))
    assert difference(shown(odd), shown(plain)) == 0
    assert probe(BytesReader(odd)).alpha == probe(BytesReader(plain)).alpha
    (made,) = render(odd, recipe(width=999, height=999, formats=("source",)))
    assert b"tRNS" not in made.data


def test_the_first_sound_transparency_counts():
    """A transparency with a wrong checksum, before the palette or after another one is ignored."""
    head, data = LAYOUTS["palette"]
    clear, opaque = chunk(b"tRNS", bytes(256)), chunk(b"tRNS", b"\xff" * 256)
    packed = zlib.compress(data)
    wanted = shown(png(head + clear, packed))
    assert wanted.getextrema()[3] == (0, 0)
    assert shown(png(head + clear + opaque, packed)).tobytes() == wanted.tobytes()
    assert shown(png(head + clear[:-4] + b"dead", packed)).mode == "RGB"
    assert shown(png(head[:25] + clear + head[25:], packed)).mode == "RGB"


def test_damage_in_the_pixels_is_corrupt():
    """Data that cannot be uncompressed are corrupt."""
    head, data = LAYOUTS["interlaced"]
    packed = bytearray(zlib.compress(data))
    packed[200:260] = bytes(60)
    assert refusals(png(head, bytes(packed))) <= {Code.CORRUPT, Code.TRUNCATED}


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("interlaced", [0, 1])
def test_the_size_of_the_data_is_that_of_the_specification(depth: int, interlaced: int):
    """The uncompressed size of odd sides and passes is that of Pillow's encoder and of a manual count."""
    for width, height in ((1, 1), (2, 3), (5, 1), (9, 8), (33, 17)):
        fields = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
        seen = np.zeros((height, width))
        parts = [seen[top::down, left::right] for left, top, right, down in (PASSES if interlaced else ((0, 0, 1, 1),))]
        assert uncompressed_bytes(fields) == sum(
            each.shape[0] * (1 + -(-each.shape[1] * depth // 8)) for each in parts if each.size
        )


def test_a_png_for_iphones_is_named():
    """A PNG that Xcode rewrote is unsupported, not corrupt."""
    head, data = LAYOUTS["rgb"]
    with pytest.raises(Rejected, match="CgBI") as refused:
        render(png(chunk(b"CgBI", b"\x50\0\x20\2") + head, zlib.compress(data)), recipe())
    assert refused.value.code == Code.UNSUPPORTED_FORMAT


def animation(*frames: bytes, announced: int = 1, aside: bytes = b"") -> bytes:
    """Return an APNG whose first image is no frame."""
    head, data = LAYOUTS["rgb"]
    made = HEAD + head + aside + chunk(b"acTL", struct.pack(">II", announced, 0)) + chunk(b"IDAT", zlib.compress(data))
    for number, packed in enumerate(frames):
        control = struct.pack(">IIIIIHHBB", 2 * number, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
        made += chunk(b"fcTL", control) + chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + packed)
    return made + END


def test_a_hidden_picture_is_not_shown():
    """If the first image of an animation is no frame, the first frame is used, and repaired."""
    turned = np.asarray(Image.fromarray(RGB).rotate(180))
    packed = zlib.compress(rows(turned))
    wanted = shown(saved(Image.fromarray(turned), "PNG"))
    assert difference(shown(animation(packed)), wanted) < 1
    assert difference(shown(animation(packed, packed, announced=2)), wanted) < 1
    assert difference(shown(animation(packed[:-4] + b"abcd")), wanted) < 1
    assert refusals(animation(zlib.compress(rows(turned[:-1])))) == {Code.TRUNCATED}
    assert difference(shown(animation(packed, announced=0)), shown(saved(Image.fromarray(RGB), "PNG"))) < 1


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("side", [300, 16])
def test_colors_beyond_the_palette_are_its_last(side: int, depth: int, interlaced: int):
    """Colors beyond the palette are its last one, as in Chromium. Such a file is not passed through."""
    count = max(1, (1 << depth) - 1)
    colors = bytes(range(30, 30 + 3 * count)) if depth < 8 else bytes(range(256)) * 3
    colors = colors[: 3 * count]
    indexes = (GRAY >> (8 - depth)).astype(np.uint8)
    bits = np.unpackbits(indexes[..., None], axis=-1)[..., 8 - depth :]
    data = b"".join(
        rows(np.packbits(bits[top::down, left::right].reshape(-(-(HEIGHT - top) // down), -1), axis=1))
        for left, top, right, down in (PASSES if interlaced else ((0, 0, 1, 1),))
    )
    odd, full = (
        png(header(3, depth, interlaced) + chunk(b"PLTE", palette), zlib.compress(data))
        for palette in (colors, colors + colors[-3:])
    )
    found, wanted = (shown(each, width=side, height=side).convert("RGB") for each in (odd, full))
    assert difference(found, wanted) == 0


def test_an_animations_palette_may_be_short():
    """Frames after the first image use the same palette."""
    short, full = (chunk(b"PLTE", bytes((9, 99, 199)) * count) for count in (2, 256))
    control = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    packed = zlib.compress(rows(GRAY))
    tail = chunk(b"IDAT", packed) + chunk(b"fcTL", control) + chunk(b"fdAT", struct.pack(">I", 1) + packed) + END
    head = HEAD + header(3) + chunk(b"acTL", struct.pack(">II", 1, 0))
    assert difference(shown(head + short + tail), shown(head + full + tail)) == 0


ORIENTED = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"acTL", b"\0\0"),
        chunk(b"acTL", b""),
        chunk(b"iCCP", b""),
        chunk(b"iCCP", b"name"),
        chunk(b"iCCP", b"name\0\5" + zlib.compress(bytes(200))),
        chunk(b"iCCP", b"name\0\0broken"),
        chunk(b"eXIf", ORIENTED)[:-4] + b"dead",
        chunk(b"eXIf", b""),
        chunk(b"eXIf", b"junk"),
        chunk(b"sBIT", b"\0\xff"),
        chunk(b"pHYs", b"\1"),
        chunk(b"bKGD", b"")[:-4] + b"dead",
        chunk(b"abCd", b"who knows"),
        chunk(b"sRGB", b"\x09\1"),
        chunk(b"gAMA", b"\0\1"),
    ],
)
def test_broken_chunks_beside_the_picture_cost_nothing(odd: bytes):
    """Chunks outside of the pixels that are too short, unknown or have a wrong checksum are ignored."""
    head, data = LAYOUTS["rgb"]
    for side in (300, 16):
        found, wanted = (shown(png(head + extra, zlib.compress(data)), width=side, height=side) for extra in (odd, b""))
        assert difference(found, wanted) == 0
    assert shown(png(head + chunk(b"eXIf", ORIENTED), zlib.compress(data)), width=300, height=300).size == (
        HEIGHT,
        WIDTH,
    )
