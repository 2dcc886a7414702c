"""Malicious raw photographs, PSD, JPEG 2000, icons, PNM and QOI: false directories and sizes, circles, and bombs."""

import struct
from functools import cache

from tests.containers.files import box, chunk, pam, picture, psd, psd_resource, saved, segment
from tests.containers.raw_files import Tiff, arw, cr2, cr3, dng, nef, orf, raf, rw2
from tests.hostile.bombs import scans_jpeg
from tests.hostile.samples import Sample, repeated

TOO_MUCH = (
    "corrupt", "truncated", "unsupported_format", "over_time", "over_memory", "too_many_pixels", "too_long_side",
    "too_many_scans",
)  # fmt: skip


@cache
def kinds() -> tuple[Sample, ...]:
    """Return files that each have a thumbnail or a code."""
    found = {**_raw(), **_canon(), **_photoshop(), **_jpeg2000(), **_icons(), **_simple()}
    return tuple(Sample(name, data, "either", TOO_MUCH) for name, data in found.items())


def _raw() -> dict[str, bytes]:
    """Return raw photographs whose directories are circles, trees or claims."""
    jpeg = saved("JPEG", picture())
    huge = (
        b"\xff\xd8" + segment(0xC0, struct.pack(">BHHB", 8, 65500, 65500, 3) + b"\1\x22\0\2\x11\0\3\x11\0") + jpeg[2:]
    )
    circle, wide = Tiff(), Tiff()
    own = circle.directory((271, 2, b"Canon\0"), (330, 4, (8,)), (34665, 4, (8,)), (50706, 1, bytes(4)), following=8)
    tree = wide.directory((271, 2, b"SONY\0"), (50706, 1, bytes(4)))
    for _ in range(6):
        tree = wide.directory((271, 2, b"SONY\0"), (330, 4, (tree,) * 50_000), (50706, 1, bytes(4)), following=tree)
    chain = Tiff()
    last = 0
    for _ in range(20_000):
        last = chain.directory((271, 2, b"A\0"), (50706, 1, bytes(4)), following=last)
    entries = b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + struct.pack("<HHII", 50706, 1, 0xFFFFFFFF, 0) * 65535
    good = dng(jpeg)
    lies = bytearray(good)
    places = [lies.find(struct.pack("<H", tag)) for tag in (273, 279, 330)]
    for place in places:
        struct.pack_into("<I", lies, place + 8, 0xFFFFFFF0)
    sensor = (30_000, 20_000)
    return {
        "raw-directory-circle": circle.file(own),
        "raw-directory-tree": wide.file(tree),
        "raw-directory-chain": chain.file(last),
        "raw-entries-of-2-32": entries,
        "raw-false-places": bytes(lies),
        "raw-huge-jpeg": cr2(huge),
        "raw-huge-jpeg-nef": nef(huge),
        "raw-huge-jpeg-raf": raf(huge),
        "raw-jpeg-of-scans": arw(scans_jpeg(3000, 3, 14)),
        "raw-huge-sensor-dng": dng(jpeg, size=sensor),
        "raw-huge-sensor-dng-square": dng(jpeg, size=(40_000, 24_000), sensor=bytes(1000)),
        "raw-sensor-without-data": dng(jpeg, size=(4_000, 2_400), sensor=bytes(1000)),
        "raw-huge-sensor-nef": nef(jpeg, size=(40_000, 24_000)),
        "raw-huge-sensor-arw": arw(jpeg, size=(4_000, 2_400)),
        "raw-huge-sensor-rw2": rw2(jpeg, size=(40_000, 24_000)),
        "raw-sensor-of-2-32": dng(jpeg, size=(0xFFFFFFFF, 0xFFFFFFFF)),
        "raw-note-circle": orf(jpeg).replace(b"OLYMPUS\0II\3\0", b"OLYMPUS\0II\0\0"),
        "raw-jpeg-in-jpeg": cr2(cr2(cr2(jpeg))),
        "raw-fuji-place": raf(jpeg)[:84] + b"\xff" * 8 + raf(jpeg)[92:],
        "raw-fuji-circle": raf(jpeg)[:84] + struct.pack(">II", 0, 1 << 20) + raf(jpeg)[92:],
    }


def _canon() -> dict[str, bytes]:
    """Return CR3 files with boxes in boxes, and sample tables that claim too much."""
    good = cr3(saved("JPEG", picture()))
    start = box(b"ftyp", b"crx ", bytes(4), b"crx isom")
    deep = b""
    for _ in range(2_000):
        deep = box(b"trak", deep)
    tracks = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsz", bytes(12)), box(b"co64", bytes(16))))))
    return {
        "cr3-deep-boxes": start + box(b"moov", deep),
        "cr3-tracks": start + box(b"moov", tracks * 50_000),
        "cr3-boxes": start + box(b"free") * 500_000,
        "cr3-box-of-2-64": start + b"\0\0\0\1moov" + b"\xff" * 8,
        "cr3-sample-of-2-32": good.replace(b"stsz" + bytes(4), b"stsz" + bytes(4) + b"\xff\xff\xff\xf0", 1),
        "cr3-cut": good[:-30],
    }


def _photoshop() -> dict[str, bytes]:
    """Return PSDs whose channels uncompress to gigabytes, and sections that claim too much."""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30_000, 8_000, 8, 3) + bytes(12)
    run = b"\x81\0" * 63
    rows = struct.pack(">H", 1) + struct.pack(">H", len(run)) * 90_000
    large = b"8BPS" + struct.pack(">H6xHIIHH", 2, 56, 16_000, 16_000, 16, 3) + bytes(16) + b"\0\1"
    good = psd(picture())
    return {
        "psd-run-lengths": head + rows + run * 90_000,
        "psd-one-long-row": psd(picture(), packed=True).replace(b"\0\1", b"\0\1\xff\xff", 1),
        "psd-56-channels-of-16-bits": large + struct.pack(">I", 4) * 16_000 * 56,
        "psd-overlong-row": b"8BPS"
        + struct.pack(">H6xHIIHH", 1, 1, 1, 9, 8, 1)
        + bytes(12)
        + b"\0\1\xff\xff"
        + run * 500,
        "psd-30000": b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30_000, 30_000, 8, 3) + bytes(14),
        "psd-of-2-32": b"8BPS" + struct.pack(">H6xHIIHH", 2, 3, 0xFFFFFFFF, 0xFFFFFFFF, 8, 3) + bytes(14),
        "psd-resources-of-2-32": good[:30] + b"\xff" * 4 + good[34:],
        "psd-many-resources": psd(picture(), resources=psd_resource(1, b"") * 100_000),
        "psd-profile": psd(picture(), resources=psd_resource(1039, bytes(3 << 20)) * 3),
        "psd-layers-of-2-64": b"8BPS" + struct.pack(">H6xHIIHH", 2, 4, 9, 9, 8, 3) + bytes(8) + b"\xff" * 8,
    }


def _codestream(
    side: int,
    tile: int,
    channels: int = 3,
    levels: int = 5,
    *,
    layers: int = 1,
    depth: int = 7,
    block: int = 4,
    style: int = 0,
) -> bytes:
    size = struct.pack(">HH8IH", 38 + 3 * channels, 0, side, side, 0, 0, tile, tile, 0, 0, channels)
    size += bytes((depth, 1, 1)) * channels
    coding = struct.pack(">HBBHBBBBBB", 12, style, 0, layers, 0, levels, block, block, 0, 1)
    quantization = struct.pack(">HB", 3 + 1 + 3 * levels, 0x40) + b"\x48" * (1 + 3 * levels)
    return b"\xff\x4f\xff\x51" + size + b"\xff\x52" + coding + b"\xff\x5c" + quantization


def _tile(number: int, body: bytes = b"", parts: int = 1) -> bytes:
    return b"\xff\x90" + struct.pack(">HHIBB", 10, number, 14 + len(body), 0, parts) + b"\xff\x93" + body


def _jpeg2000() -> dict[str, bytes]:
    """Return JPEG 2000 with huge canvases, tiles by the thousand, and layers that say nothing."""
    end = b"\xff\xd9"
    tiles = b"".join(_tile(number) for number in range(62_500))
    start = b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"ftyp", b"jp2 ", bytes(4), b"jp2 ")
    colors = box(b"ihdr", struct.pack(">IIHBBBB", 9, 9, 3, 7, 7, 0, 0)) + box(b"colr", b"\1\0\0", struct.pack(">I", 16))
    deep = colors
    for _ in range(5_000):
        deep = box(b"jp2h", deep)
    return {
        "jp2-one-tile-of-256-mp": _codestream(16_000, 16_000) + _tile(0) + end,
        "jp2-one-tile-of-36-mp": _codestream(6_000, 6_000) + _tile(0, bytes(5_000)) + end,
        "jp2-tiles": _codestream(2_000, 8) + tiles + end,
        "jp2-tiles-large": _codestream(16_000, 64) + tiles + end,
        "jp2-tiles-of-one-pixel": _codestream(250, 1) + tiles + end,
        "jp2-tile-often": _codestream(64, 64) + _tile(0, parts=255) * 200_000 + end,
        "jp2-layers": _codestream(2_000, 2_000, layers=65_535) + _tile(0, bytes(2 << 20)) + end,
        "jp2-layers-of-ones": _codestream(2_000, 2_000, layers=65_535) + _tile(0, b"\xff\x7f" * (1 << 20)) + end,
        "jp2-levels": _codestream(2_000, 2_000, levels=32) + _tile(0, bytes(1_000)) + end,
        "jp2-small-blocks": _codestream(5_000, 5_000, block=0, levels=0) + _tile(0, b"\x80" * 100_000) + end,
        "jp2-channels": _codestream(1_000, 1_000, channels=16_384) + _tile(0) + end,
        "jp2-38-bits": _codestream(1_000, 1_000, depth=37) + _tile(0) + end,
        "jp2-of-2-32": _codestream(0xFFFFFFFF, 0xFFFFFFFF) + _tile(0) + end,
        "jp2-noise": _codestream(4_000, 4_000) + _tile(0, bytes(n * 197 % 251 for n in range(1 << 20))) + end,
        "jp2-boxes": start + box(b"free") * 500_000,
        "jp2-deep-boxes": start + deep + box(b"jp2c", _codestream(9, 9) + _tile(0) + end),
        "jp2-header-often": start + box(b"jp2h", colors) * 50_000 + box(b"jp2c", _codestream(9, 9) + _tile(0) + end),
        "jp2-comments": _codestream(9, 9) + (b"\xff\x64\xff\xff" + bytes(65_533)) * 300 + _tile(0) + end,
        "jp2-short-comments": _codestream(9, 9) + b"\xff\x64\0\2" * 1_000_000 + _tile(0) + end,
    }


def _icons() -> dict[str, bytes]:
    """Return icons with thousands of pictures, or with pictures that are bombs."""

    def icon(data: bytes, count: int = 1, place: int = 22) -> bytes:
        entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(data), place)
        return struct.pack("<HHH", 0, 1, count) + entry * min(count, 65_535) + data

    zeros = repeated(bytes(1 << 20), 200)
    header = struct.pack(">IIBBBBB", 16_000, 16_000, 8, 6, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")
    bitmap = struct.pack("<IiiHHIIiiII", 40, 60_000, 120_000, 1, 32, 0, 0, 0, 0, 0, 0)
    return {
        "ico-65535-pictures": icon(b"", 65_535),
        "ico-1000-pictures": icon(saved("PNG"), 1_000, 6 + 16_000),
        "ico-itself": icon(b"", 1, 0),
        "ico-icon": icon(icon(saved("PNG"))),
        "ico-png-of-256-mp": icon(bomb),
        "ico-bitmap-of-3600-mp": icon(bitmap),
        "ico-bitmap-1-bit": icon(
            struct.pack("<IiiHHIIiiII", 40, 16_000, 32_000, 1, 1, 0, 0, 0, 0, 0, 0) + bytes(1 << 20)
        ),
        "ico-palette-of-2-32": icon(
            struct.pack("<IiiHHIIiiII", 40, 9, 18, 1, 8, 0, 0, 0, 0, 0xFFFFFFFF, 0) + bytes(9_999)
        ),
        "ico-negative": icon(struct.pack("<IiiHHIIiiII", 40, -9, -(2**31), 1, 8, 0, 0, 0, 0, 0, 0)),
        "ico-png-of-texts": icon(saved("PNG")[:33] + chunk(b"zTXt", b"a\0\0" + zeros) * 20 + saved("PNG")[33:]),
    }


def _simple() -> dict[str, bytes]:
    """Return PNM and QOI whose headers claim too much, and runs of one color."""
    runs = b"qoif" + struct.pack(">IIBB", 16_000, 16_000, 4, 0) + b"\xfd" * 4_200_000
    return {
        "qoi-256-mp": runs,
        "qoi-4-mp": b"qoif" + struct.pack(">IIBB", 2_000, 2_000, 4, 0) + b"\xfd" * 70_000,
        "qoi-of-2-32": b"qoif" + struct.pack(">IIBB", 0xFFFFFFFF, 0xFFFFFFFF, 4, 0),
        "pnm-digits": b"P6\n" + b"9" * 100_000 + b" 9\n255\n",
        "pnm-comments": b"P6\n" + b"#\n" * 1_000_000 + b"9 9 255\n" + bytes(999),
        "pnm-spaces": b"P2\n" + b" " * 5_000_000 + b"9 9 255\n" + b"1 " * 81,
        "pnm-text-4-mp": b"P2 2000 2000 65535\n" + b"65535 " * 4_000_000,
        "pnm-text-bits": b"P1 3000 3000\n" + b"1" * 9_000_000,
        "pnm-bits-256-mp": b"P4 16000 16000\n" + bytes(1_000_000),
        "pnm-long-numbers": b"P2 9 9 255\n" + b"0" * 5_000_000,
        "pam-lies": pam(picture()).replace(b"DEPTH 3", b"DEPTH 2147483647"),
        "pam-headers": b"P7\n" + b"WIDTH 9\n" * 500_000 + b"ENDHDR\n",
    }
