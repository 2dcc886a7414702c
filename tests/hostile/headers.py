"""Header bombs: a few bytes that claim an image of gigabytes, or sizes that contradict each other."""

import struct
from collections.abc import Iterator
from functools import cache

from tests.containers.files import box, chunk, good, heif, ispe, riff, saved, segment, tiff
from tests.hostile.samples import Sample

LARGE = ("too_long_side", "too_many_pixels", "over_memory")
LYING = ("corrupt", "truncated", *LARGE)

PIXELS = (
    (50_000, 50_000),
    (65_535, 65_535),
    (1, 2**31 - 1),
    (2**31 - 1, 1),
    (2**31 - 1, 2**31 - 1),
    (60_000, 2),
    (16_385, 16_384),
)


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(12)) + chunk(b"IEND", b"")


def _gif(canvas: tuple[int, int], frame: tuple[int, int]) -> bytes:
    screen = b"GIF89a" + struct.pack("<HH", *canvas) + b"\x80\0\0" + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\0;"


def _jpeg(width: int, height: int, marker: int = 0xC2) -> bytes:
    body = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x22\0\2\x11\0\3\x11\0"
    return b"\xff\xd8" + segment(marker, body) + segment(0xDA, b"\3\1\0\2\0\3\0\0\x3f\0") + bytes(20) + b"\xff\xd9"


def _bmp(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(64)


def _webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return riff((b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(8)))


def _webp_canvas(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff((b"VP8X", bytes(4) + sides), (b"VP8 ", good()["webp"][20:]))


def _tiff(width: int, height: int, **more: int) -> bytes:
    fields = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    fields += [(int(tag[1:]), 4, value) for tag, value in more.items()]
    return tiff(sorted(fields)) + bytes(64)


def _psd(width: int, height: int) -> bytes:
    return b"8BPS" + struct.pack(">H6xHIIHHIIIH", 1, 3, height, width, 8, 3, 0, 0, 0, 1) + bytes(64)


def _jp2(width: int, height: int, tile: tuple[int, int] | None = None) -> bytes:
    sides = (width, height, 0, 0, *(tile or (width, height)), 0, 0)
    size = struct.pack(">HHH8IH", 0xFF51, 47, 0, *sides, 3) + b"\7\1\1" * 3
    return (
        b"\xff\x4f"
        + size
        + bytes.fromhex("ff52000c00000001000504040001")
        + bytes.fromhex("ff90000a0000000000000001ff93ffd9")
    )


def _icon(width: int, height: int) -> bytes:
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height * 2, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(64)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(bitmap), 22) + bitmap


def _same_claims(width: int, height: int) -> Iterator[tuple[str, bytes]]:
    """Yield the same claim in PNM, PAM, QOI, PSD, JPEG 2000 and an icon."""
    yield "ppm", b"P6 %d %d 255\n" % (width, height) + bytes(64)
    yield "pbm-text", b"P1 %d %d\n" % (width, height) + b"0 1 " * 16
    yield "pam", b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 4\nMAXVAL 65535\nENDHDR\n" % (width, height) + bytes(64)
    yield "qoi", b"qoif" + struct.pack(">IIBB", width, height, 4, 0) + b"\xfd" * 64
    yield "psd", _psd(width, height)
    yield "jp2", _jp2(width, height)
    if height < 2**30:
        yield "ico", _icon(width, height)


@cache
def header_bombs() -> tuple[Sample, ...]:
    """Return files whose header shows that they are too large."""
    return tuple(_header_bombs())


def _header_bombs() -> Iterator[Sample]:
    for width, height in PIXELS:
        size = f"{width}x{height}"
        yield Sample(f"png-{size}", _png(width, height), "reject", LARGE)
        yield Sample(f"tiff-{size}", _tiff(width, height), "reject", LARGE)
        yield Sample(f"bmp-{size}", _bmp(width, height), "reject", LARGE)
        yield Sample(f"avif-{size}", heif(ispe(width, height)), "reject", LARGE)
        yield Sample(f"heic-{size}", heif(ispe(width, height), brand=b"heic"), "reject", LARGE)
        yield Sample(f"webp-canvas-{size}", _webp_canvas(min(width, 1 << 24), min(height, 1 << 24)), "reject", LARGE)
        for name, data in _same_claims(width, height):
            yield Sample(f"{name}-{size}", data, "reject", LARGE)
        if max(width, height) < 1 << 16:
            yield Sample(f"jpeg-{size}", _jpeg(width, height), "reject", LARGE)
            yield Sample(f"gif-canvas-{size}", _gif((width, height), (1, 1)), "reject", LARGE)
            yield Sample(f"gif-frame-{size}", _gif((1, 1), (width, height)), "reject", LARGE)
    yield Sample("bmp-top-down", _bmp(8, -(2**31)), "reject", LARGE)
    yield Sample("bmp-run-lengths", _bmp(40_000, 40_000, 8, 1), "reject", LARGE)
    yield Sample("webp-lossless-16383", _webp_lossless(16_383, 16_383), "reject", LARGE)
    yield Sample("avif-8192-solid", _avif_solid(), "reject", LARGE)
    yield Sample("png-interlaced-16-bit", _png(786_464, 32), "reject", LARGE)
    yield Sample("png-1x1057024", _png(1, 1_057_024), "reject", LARGE)


def _avif_solid() -> bytes:
    """Return an AVIF that claims 8192 x 8192: in one color, that size needs only a kilobyte."""
    return good()["avif"].replace(struct.pack(">II", 40, 24), struct.pack(">II", 8192, 8192))


def grid(rows: int, columns: int, width: int, height: int, tile: int, tiles: int, brand: bytes = b"heic") -> bytes:
    """Return an image of tiles: item 1 is the grid, with its description in `idat`, and the tiles follow it."""
    grid = bytes((0, 1, rows - 1, columns - 1)) + struct.pack(">II", width, height)
    places = bytes((1, 0, 0, 0, 0x44, 0)) + struct.pack(">H", 1) + struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(grid))
    numbers = range(2, 2 + tiles)
    kinds = [b"grid", *[b"hvc1" if brand == b"heic" else b"av01"] * tiles]
    entries = b"".join(
        box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, b"\0") for number, kind in enumerate(kinds, 1)
    )
    own = struct.pack(">HBB", 1, 1, 0x81)
    theirs = b"".join(struct.pack(">HBB", number, 1, 0x82) for number in numbers)
    meta = box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), struct.pack(">H", 1)),
        box(b"iloc", places),
        box(b"iinf", bytes(4), struct.pack(">H", 1 + tiles), entries),
        box(
            b"iprp",
            box(b"ipco", ispe(width, height), ispe(tile, tile)),
            box(b"ipma", bytes(4), struct.pack(">I", 1 + tiles), own, theirs),
        ),
        box(b"iref", bytes(4), box(b"dimg", struct.pack(f">HH{tiles}H", 1, tiles, *numbers))),
        box(b"idat", grid),
    )
    return box(b"ftyp", brand, bytes(4), brand, b"mif1") + meta + box(b"mdat", bytes(16))


def _sequence_header(data: bytes, width: int, height: int) -> bytes:
    """Return an AVIF whose AV1 sequence header has another size, of up to 65536, than its container."""
    at = data.index(b"mdat") + 4 + 2  # after the temporal delimiter
    assert data[at] == 0x0A
    old = data[at + 2 : at + 2 + data[at + 1]]
    bits = "".join(f"{byte:08b}" for byte in old)
    # profile 3 bits, still and reduced header 1 each, level 5; then how many bits the sizes have, and they
    assert bits[4] == "1"
    wide, high = int(bits[10:14], 2) + 1, int(bits[14:18], 2) + 1
    rest = bits[18 + wide + high :].rstrip("0")[:-1]
    changed = bits[:10] + "1111" * 2 + f"{width - 1:016b}{height - 1:016b}" + rest + "1"
    new = int(changed.ljust(-(-len(changed) // 8) * 8, "0"), 2).to_bytes(-(-len(changed) // 8), "big")
    grown = data[: at + 1] + bytes((len(new),)) + new + data[at + 2 + len(old) :]
    place = grown.index(b"iloc") + 4 + 8 + 6
    offset, length = struct.unpack_from(">II", grown, place)
    more = len(new) - len(old)
    media = grown.index(b"mdat") - 4
    size = struct.unpack_from(">I", grown, media)[0] + more
    grown = grown[:media] + struct.pack(">I", size) + grown[media + 4 :]
    return grown[:place] + struct.pack(">II", offset, length + more) + grown[place + 8 :]


@cache
def liars() -> tuple[Sample, ...]:
    """Return files whose parts contradict each other about sizes, or point beyond the file."""
    return tuple(_liars())


def _liars() -> Iterator[Sample]:
    tiled = {"t322": 1 << 16, "t323": 1 << 16, "t324": 8, "t325": 64}
    yield Sample("tiff-tile-65536", _tiff(10, 10, **tiled), "reject", LYING)
    yield Sample("tiff-tile-2-31", _tiff(10, 10, **(tiled | {"t322": 2**31 - 16})), "reject", LYING)
    yield Sample("tiff-strip-beyond", _tiff(100, 100, t273=1 << 30, t278=100, t279=1 << 30), "reject", LYING)
    yield Sample("gif-empty-frame", _gif((9, 9), (0, 0)), "reject", LYING)
    yield Sample("webp-profile-of-4-gb", _riff_lie(b"ICCP"), "reject", LYING)
    yield Sample("webp-frame-beyond-canvas", _webp_frame(2, (9, 9), (40, 24)), "reject", LYING)
    yield Sample("webp-frame-moved-out", _webp_frame(2, (40, 24), (40, 24), at=8), "reject", LYING)
    yield Sample("apng-frame-beyond-canvas", _apng_frame(100, 100), "reject", LYING)
    yield Sample("avif-larger-than-it-says", _sequence_header(saved("AVIF"), 16_384, 16_384), "reject", LYING)
    for brand, name in ((b"heic", "heic"), (b"avif", "avif")):
        yield Sample(f"{name}-grid-256x256", grid(256, 256, 400, 400, 8192, 65_000, brand), "reject", LYING)
        yield Sample(f"{name}-grid-of-too-few", grid(4, 4, 400, 400, 100, 3, brand), "reject", LYING)
        yield Sample(f"{name}-grid-too-small", grid(2, 2, 4000, 4000, 64, 4, brand), "reject", LYING)
        yield Sample(f"{name}-grid-of-giants", grid(2, 2, 100, 100, 16_384, 4, brand), "reject", LYING)
        yield Sample(f"{name}-grid-of-another-size", _lying_grid(brand), "reject", LYING)
    yield Sample("jp2-tiles-of-a-pixel", _jp2(40_000, 6_000, (1, 1)), "reject", LYING)
    yield Sample("jp2-without-most-tiles", _jp2(1_000, 1_000, (10, 10)), "reject", LYING)
    yield Sample("jp2-tile-2-31", _jp2(1_000, 1_000, (2**31 - 1, 2**31 - 1)), "reject", LYING)
    yield Sample("psd-rows-beyond", _psd(100, 100)[:-65] + b"\1" + b"\xff" * 700, "reject", LYING)
    yield Sample("psd-resources-of-4-gb", _psd(9, 9)[:30] + b"\xff" * 64, "reject", LYING)
    yield Sample("ico-beyond", struct.pack("<HHHBBBBHHII", 0, 1, 1, 9, 9, 0, 0, 1, 32, 99, 2**31), "reject", LYING)
    yield Sample("ico-in-itself", struct.pack("<HHHBBBBHHII", 0, 1, 1, 9, 9, 0, 0, 1, 32, 22, 0), "reject", LYING)
    yield Sample("ico-65535-pictures", b"\0\0\1\0\xff\xff" + bytes(2_000), "reject", LYING)
    yield Sample("ppm-number-without-end", b"P3 9 9 255 " + b"1" * 500_000, "reject", LYING)
    yield Sample("ppm-comment-without-end", b"P6 #" + b"x" * 500_000, "reject", LYING)
    yield Sample("pam-of-65535-channels", b"P7\nWIDTH 9\nHEIGHT 9\nDEPTH 65535\nMAXVAL 255\nENDHDR\n", "reject")
    yield Sample("tiff-directories-in-a-circle", tiff([(256, 4, 9), (257, 4, 9)], following=8), "reject", LYING)
    yield Sample("avif-boxes-without-end", box(b"ftyp", b"avif", bytes(4)) + box(b"free") * 20_000, "reject", LYING)
    yield Sample("avif-box-in-box", box(b"ftyp", b"avif", bytes(4)) + _nested(500), "reject", LYING)


def _lying_grid(brand: bytes) -> bytes:
    data = grid(2, 2, 100, 100, 64, 4, brand)
    at = data.index(b"idat") + 4 + 4
    return data[:at] + struct.pack(">II", 30_000, 30_000) + data[at + 8 :]


def _nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = box(b"meta", bytes(4), data)
    return data


def _riff_lie(kind: bytes) -> bytes:
    extended = riff((b"VP8X", b"\x20\0\0\0\x27\0\0\x17\0\0"), (kind, b"x" * 8), (b"VP8 ", good()["webp"][20:]))
    at = extended.index(kind) + 4
    return extended[:at] + b"\xff\xff\xff\xff" + extended[at + 4 :]


def _webp_frame(flags: int, canvas: tuple[int, int], frame: tuple[int, int], at: int = 0) -> bytes:
    sides = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
    place = (at // 2).to_bytes(3, "little") * 2 + b"".join((side - 1).to_bytes(3, "little") for side in frame)
    inner = good()["webp"][12:]
    moving = (b"ANMF", place + b"\x64\0\0\0" + inner)
    return riff((b"VP8X", bytes((flags, 0, 0, 0)) + sides), (b"ANIM", bytes(6)), moving, moving)


def _apng_frame(width: int, height: int) -> bytes:
    data = good()["png-animated"]
    at = data.index(b"fcTL") - 4
    body = data[at + 8 : at + 12] + struct.pack(">II", width, height) + data[at + 20 : at + 34]
    return data[:at] + chunk(b"fcTL", body) + data[at + 12 + 26 :]
