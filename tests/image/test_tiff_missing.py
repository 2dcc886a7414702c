"""TIFF files that lack pixels: no thumbnail is made. Complete files of the same kinds are decoded."""

import struct
from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.image.pictures import textured
from thumbsmith.errors import Rejected
from thumbsmith.image.decode import decode
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

WIDTH, HEIGHT, ROWS, TILE = 320, 256, 32, 64
SHORT, LONG = 3, 4
STRIPS = {256: WIDTH, 257: HEIGHT, 278: ROWS}
TILES = {256: WIDTH, 257: HEIGHT, 322: TILE, 323: TILE}
STRIP_TAGS, TILE_TAGS = (273, 279), (324, 325)


def _tiff(fields: dict, segments: list[bytes], offsets: Callable[[list[int]], list[int]] = list, sizes=None) -> bytes:
    """Return a TIFF whose directory comes first, so that it can be cut. Numbers are LONG, tuples SHORT."""
    where, lengths = TILE_TAGS if 322 in fields else STRIP_TAGS
    lists = {tag: (value,) if isinstance(value, int) else value for tag, value in fields.items()}
    kinds = {tag: LONG if isinstance(value, int) else SHORT for tag, value in fields.items()}
    lists |= {where: [0] * len(segments), lengths: sizes or [len(each) for each in segments]}
    start = 8 + 2 + 12 * len(lists) + 4
    letters = {SHORT: "H", LONG: "I"}
    forms = {tag: f"<{len(values)}{letters[kinds.get(tag, LONG)]}" for tag, values in lists.items()}
    pixels = start + sum(struct.calcsize(form) for form in forms.values() if struct.calcsize(form) > 4)
    places = [pixels + sum(map(len, segments[:index])) for index in range(len(segments))]
    lists[where] = offsets(places)
    table, behind = b"", b""
    for tag, values in sorted(lists.items()):
        packed = struct.pack(forms[tag], *values)
        if len(packed) > 4:
            packed, behind = struct.pack("<I", start + len(behind)), behind + packed
        table += struct.pack("<HHI", tag, kinds.get(tag, LONG), len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, len(lists)) + table + bytes(4) + behind + b"".join(segments)


def _parts(file: bytes) -> tuple[dict, list[bytes]]:
    """Return the fields of an image that a program wrote, and its strips or tiles."""
    with tifffile.TiffFile(BytesIO(file)) as opened:
        page = opened.pages[0]
        kept = (258, 259, 262, 277, 284, 317, 338, 347, 530)
        fields = {tag.code: tag.value for tag in page.tags if tag.code in kept}
        fields = {code: value if isinstance(value, tuple) else (int(value),) for code, value in fields.items()}
        fields.pop(347, None)
        ends = zip(page.dataoffsets, page.databytecounts, strict=True)
        return fields, [file[start : start + size] for start, size in ends]


def _strips(compression: str, mode: str) -> tuple[dict, list[bytes]]:
    """Return an image of strips, as Pillow writes it."""
    file = BytesIO()
    image = textured(WIDTH, HEIGHT).convert(mode)
    image.save(file, "TIFF", compression=compression, tiffinfo={278: ROWS})
    fields, segments = _parts(file.getvalue())
    return STRIPS | fields, segments


def _tiles(compression: str | None, **options: object) -> tuple[dict, list[bytes]]:
    """Return an image of tiles, as tifffile writes it."""
    file = BytesIO()
    pixels = np.asarray(textured(WIDTH, HEIGHT).convert("L"))
    if options.pop("deep", False):
        pixels = pixels.astype("uint16") * 257
    tifffile.imwrite(file, pixels, compression=compression, tile=(TILE, TILE), metadata=None, **options)
    fields, segments = _parts(file.getvalue())
    return TILES | fields, segments


def _encoded(kind: str, code: int, pieces: Iterator[Image.Image], **options: object) -> tuple[dict, list[bytes]]:
    """Return an image of tiles that are files of another format."""
    segments = []
    for each in pieces:
        file = BytesIO()
        each.save(file, kind, **options)
        segments.append(file.getvalue())
    color = 6 if kind == "JPEG" else 2
    return TILES | {258: (8, 8, 8), 259: (code,), 262: (color,), 277: (3,), 530: (1, 1)}, segments


def _pieces() -> Iterator[Image.Image]:
    image = textured(WIDTH, HEIGHT).convert("RGB")
    for top in range(0, HEIGHT, TILE):
        for left in range(0, WIDTH, TILE):
            yield image.crop((left, top, left + TILE, top + TILE))


KINDS = {
    "uncompressed": _strips("raw", "RGB"),
    "LZW": _strips("tiff_lzw", "RGB"),
    "PackBits": _strips("packbits", "L"),
    "Deflate": _strips("tiff_adobe_deflate", "RGB"),
    "Zstandard": _strips("zstd", "RGB"),
    "LZMA": _strips("lzma", "L"),
    "fax 3": _strips("group3", "1"),
    "fax 4": _strips("group4", "1"),
    "Huffman": _strips("tiff_ccitt", "1"),
    "uncompressed tiles": _tiles(None),
    "deep tiles": _tiles(None, deep=True, photometric="miniswhite"),
    "Deflate tiles": _tiles("zlib"),
    "WebP tiles": _encoded("WEBP", 50001, _pieces(), lossless=True),
    "JPEG tiles": _encoded("JPEG", 7, _pieces(), subsampling=0),
}


def _damaged(fields: dict, segments: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield an image that lacks pixels in different ways, each with its name."""
    whole = _tiff(fields, segments)
    data = sum(map(len, segments))
    for percent in (1, 50, 95):
        yield f"cut to {percent} %", whole[: len(whole) - data * (100 - percent) // 100]
    yield "without the last byte", whole[:-1]
    yield "without the last segment", _tiff(fields, segments[:-1])
    sizes = [len(each) for each in segments]

    for index in (0, len(segments) // 2, len(segments) - 1):

        def moved(to: int, places: list[int], index: int = index) -> list[int]:
            return [*places[:index], to, *places[index + 1 :]]

        absent = [*sizes[:index], 0, *sizes[index + 1 :]]
        yield f"segment {index} beyond the end", _tiff(fields, segments, lambda places: moved(10**8, places))
        yield f"segment {index} without place", _tiff(fields, segments, lambda places: moved(0, places))
        yield f"segment {index} sparse", _tiff(fields, segments, lambda places: moved(0, places), absent)
        if fields[259] != (1,):
            yield f"segment {index} without size", _tiff(fields, segments, sizes=absent)


def _outcome(data: bytes, reduction: float) -> str:
    reader = BytesReader(data)
    try:
        decode(reader, probe(reader), reduction)
    except Rejected as rejection:
        return str(rejection.code)
    return "made"


@pytest.mark.parametrize("reduction", [1.0, 6.0])
@pytest.mark.parametrize("kind", KINDS)
def test_no_picture_is_made_without_all_strips_and_tiles(kind: str, reduction: float):
    """Cut files, and files with sparse strips or tiles, are rejected at any scale; the complete file is decoded."""
    fields, segments = KINDS[kind]
    assert _outcome(_tiff(fields, segments), reduction) == "made"
    made = {name: _outcome(data, reduction) for name, data in _damaged(fields, segments)}
    assert {name for name, outcome in made.items() if outcome not in {"truncated", "corrupt"}} == set()


@pytest.mark.parametrize("kind", ["Deflate tiles", "WebP tiles", "JPEG tiles", "deep tiles"])
@pytest.mark.parametrize("reduction", [1.0, 6.0])
def test_a_tile_with_half_of_its_data_is_found(kind: str, reduction: float):
    """A tile whose data end early is corrupt or truncated."""
    fields, segments = KINDS[kind]
    half = [*segments[:7], segments[7][: len(segments[7]) // 2], *segments[8:]]
    assert _outcome(_tiff(fields, half), reduction) in {"corrupt", "truncated"}


@pytest.mark.parametrize("kind", ["Deflate tiles", "WebP tiles", "deep tiles"])
def test_unknown_fields_are_no_damage(kind: str):
    """A private field, for which libvips has a warning, does not matter."""
    fields, segments = KINDS[kind]
    for reduction in (1.0, 6.0):
        assert _outcome(_tiff({**fields, 65001: (1, 2, 3)}, segments), reduction) == "made"


def _old_jpeg(stated: str | None, *, sized: bool, more: bytes = b"") -> bytes:
    """Return one strip of the old JPEG compression, with its size or with 0.

    `stated` is the size that the file gives for its JPEG: "none", that of the header, as some programs write it, or of
    "all". If it is None there is no such field, and the strip is the JPEG.
    """
    file = BytesIO()
    textured(WIDTH, HEIGHT).save(file, "JPEG", subsampling=2)
    jpeg = file.getvalue()
    fields = {256: WIDTH, 257: HEIGHT, 258: (8, 8, 8), 259: (6,), 262: (6,), 277: (3,), 278: HEIGHT, 530: (2, 2)}
    if stated is None:
        return _tiff(fields, [jpeg], sizes=[len(jpeg) * sized]) + more
    header = jpeg.index(b"\xff\xda")
    place = len(_tiff(fields | {513: 0, 514: 0}, [b""]))
    fields |= {513: place, 514: {"none": 0, "header": header, "all": len(jpeg)}[stated]}
    return _tiff(fields, [jpeg], lambda _: [place + header], [(len(jpeg) - header) * sized]) + more


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("stated", [None, "none", "header", "all"])
def test_the_old_jpeg_compression_is_whole_or_rejected(stated: str | None, sized: bool):
    """An image of the old compression is decoded, also with further data behind it, and rejected if it is cut."""
    for more in (b"", bytes(100)):
        assert _outcome(_old_jpeg(stated, sized=sized, more=more), 1.0) == "made"
    for cut in (1, 2, 20, 200, 2000):
        assert _outcome(_old_jpeg(stated, sized=sized)[:-cut], 1.0) == "truncated"


def test_a_level_of_a_pyramid_is_whole_or_rejected():
    """A level in a sub-directory that is used instead of the image is decoded, and rejected if it is cut."""
    image = textured(1024, 1024).convert("L")
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        options = {"tile": (TILE, TILE), "compression": "zlib", "metadata": None}
        writer.write(np.asarray(image), subifds=1, **options)
        writer.write(np.asarray(image.resize((512, 512))), subfiletype=1, **options)
    data = file.getvalue()
    assert probe(BytesReader(data)).levels == 1
    assert _outcome(data, 8.0) == "made"
    assert _outcome(data[:-400], 8.0) in {"truncated", "corrupt"}
    assert _outcome(data[:-400], 1.0) == "made"  # the image itself is whole
