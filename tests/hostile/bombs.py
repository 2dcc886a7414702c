"""Bombs that the header does not show: scans, frames, and highly compressed data."""

import struct
import zlib
from collections.abc import Iterator
from functools import cache

from PIL import Image

from tests.containers.files import chunk, good, picture, riff, saved, segment
from tests.hostile.samples import Sample

SCANS = ("too_many_scans",)


def scans_jpeg(side: int, components: int, bits: int, *, height: int | None = None) -> bytes:
    """Return a valid progressive JPEG of one color, with a scan for each coefficient and each of its bits.

    Components times (63 times bits, and one) scans: 2,649 with 3 components and 14 bits. The scans say nothing, in a
    few bytes each; a decoder walks over all of the picture for each of them.
    """
    high = height or side
    blocks = -(-side // 8) * -(-high // 8)
    frame = struct.pack(">BHHB", 8, high, side, components)
    frame += b"".join(bytes((number, 0x11, 0)) for number in range(1, components + 1))
    tables = segment(0xDB, b"\0" + b"\1" * 64)
    tables += segment(0xC4, b"\0" + b"\1" + bytes(15) + b"\0")  # one code, of one bit: no difference
    runs = bytes(power << 4 for power in range(15))
    tables += segment(0xC4, b"\x10" + b"\0\0\0\x0f" + bytes(12) + runs)  # 15 codes of 4 bits: runs of empty blocks
    parts = [b"\xff\xd8", tables, segment(0xC2, frame)]
    empty = _coded(_runs(blocks))
    for number in range(1, components + 1):
        parts.append(segment(0xDA, bytes((1, number, 0, 0, 0, 0))) + _coded("0" * blocks))
        for coefficient in range(1, 64):
            for bit in reversed(range(bits)):
                before = 0 if bit == bits - 1 else bit + 1
                scan = bytes((1, number, 0, coefficient, coefficient, before << 4 | bit))
                parts.append(segment(0xDA, scan) + empty)
    return b"".join(parts) + b"\xff\xd9"


def _runs(blocks: int) -> str:
    """Return the bits of runs that skip this number of blocks."""
    bits = ""
    while blocks:
        power = min(14, blocks.bit_length() - 1)
        run = min(blocks, (2 << power) - 1)
        bits += f"{power:04b}" + (f"{run - (1 << power):0{power}b}" if power else "")
        blocks -= run
    return bits


def _coded(bits: str) -> bytes:
    padded = bits + "1" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big").replace(b"\xff", b"\xff\0")


def frames_gif(count: int) -> bytes:
    """Return a GIF with this number of frames of 2 x 2."""
    screen = b"GIF89a" + struct.pack("<HH", 2, 2) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    control = b"\x21\xf9\x04\x04\x01\0\0\0"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + b"\x02\x03\x04\x12\x05\0"
    return screen + (control + frame) * count + b";"


def frames_webp(count: int) -> bytes:
    """Return a WebP with this number of frames of 9 x 7."""
    inner = saved("WEBP", picture().resize((9, 7)), lossless=True)[12:]
    frame = bytes(6) + b"\x08\0\0\x06\0\0\x0a\0\0\0" + inner
    return riff((b"VP8X", b"\x02\0\0\0\x08\0\0\x06\0\0"), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * count)


def frames_apng(count: int, said: int | None = None) -> bytes:
    """Return an APNG with this number of frames of 2 x 2, which announces `said` frames."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
    pixels = zlib.compress(bytes(6))
    control = struct.pack(">IIIIHHBB", 2, 2, 0, 0, 1, 10, 0, 0)
    parts = [header, chunk(b"acTL", struct.pack(">II", count if said is None else said, 0))]
    parts += [chunk(b"fcTL", struct.pack(">I", 0) + control), chunk(b"IDAT", pixels)]
    for number in range(count - 1):
        parts.append(chunk(b"fcTL", struct.pack(">I", 2 * number + 1) + control))
        parts.append(chunk(b"fdAT", struct.pack(">I", 2 * number + 2) + pixels))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@cache
def scan_bombs() -> tuple[Sample, ...]:
    """Return valid progressive JPEGs of 1 to 81 megapixels, with more scans than any image needs."""
    return (
        Sample("jpeg-2649-scans-81-mp", scans_jpeg(9000, 3, 14), "reject", SCANS),
        Sample("jpeg-883-scans-81-mp", scans_jpeg(9000, 1, 14), "reject", SCANS),
        Sample("jpeg-2649-scans-9-mp", scans_jpeg(3000, 3, 14), "reject", SCANS),
        Sample("jpeg-883-scans-9-mp", scans_jpeg(3000, 1, 14), "reject", SCANS),
        Sample("jpeg-2649-scans-1-mp", scans_jpeg(1000, 3, 14), "reject", SCANS),
        Sample("jpeg-190-scans-9-mp", scans_jpeg(3000, 3, 1), "reject", SCANS),
    )


@cache
def frame_bombs() -> tuple[Sample, ...]:
    """Return animations with very many frames. By default only the first frame of each is needed."""
    return (
        Sample("gif-50000-frames", frames_gif(50_000), "thumbnail"),
        Sample("webp-50000-frames", frames_webp(50_000), "either"),
        Sample("apng-50000-frames", frames_apng(50_000), "thumbnail"),
        Sample("apng-that-says-2-31-frames", frames_apng(3, 2**31 - 1), "thumbnail"),
        Sample("apng-that-says-no-frames", frames_apng(3, 0), "thumbnail"),
    )


def _png_with(*before: bytes, after: bytes = b"") -> bytes:
    data = good()["png"]
    end = data.rindex(b"IEND") - 4
    return data[:33] + b"".join(before) + data[33:end] + after + data[end:]


@cache
def text_bombs() -> tuple[Sample, ...]:
    """Return images with texts, profiles and comments that are, or uncompress to, far more than the image."""
    return tuple(_text_bombs())


def _text_bombs() -> Iterator[Sample]:
    packed = zlib.compress(bytes(32 << 20), 9)
    yield Sample("png-64-texts-of-32-mb", _png_with(chunk(b"zTXt", b"a\0\0" + packed) * 64), "thumbnail")
    yield Sample("png-64-texts-at-the-end", _png_with(after=chunk(b"zTXt", b"a\0\0" + packed) * 64), "thumbnail")
    yield Sample("png-international-text", _png_with(chunk(b"iTXt", b"a\0\1\0\0\0" + packed)), "thumbnail")
    yield Sample("png-profile-of-32-mb", _png_with(chunk(b"iCCP", b"a\0\0" + packed)), "thumbnail")
    yield Sample("png-30000-texts", _png_with(chunk(b"tEXt", b"a\0b") * 30_000), "reject", ("corrupt",))
    yield Sample("png-text-of-20-mb", _png_with(chunk(b"tEXt", b"a\0" + b"b" * (20 << 20))), "thumbnail")
    yield Sample("png-150000-chunks", _png_with(chunk(b"tEXt", b"a\0b") * 150_000), "reject", ("corrupt",))
    data = saved("JPEG")
    comments = segment(0xFE, bytes(65_533))
    yield Sample("jpeg-20-mb-of-comments", data[:2] + comments * 320 + data[2:], "thumbnail")
    yield Sample("jpeg-70000-comments", data[:2] + segment(0xFE, b"") * 70_000 + data[2:], "reject", ("corrupt",))
    pieces = b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, 255)) + bytes(65_000)) for number in range(1, 256)
    )
    yield Sample("jpeg-profile-of-16-mb", data[:2] + pieces + data[2:], "thumbnail")
    profile = bytearray(bytes(128) + b"\xff\xff\xff\xff" + bytes(200))
    profile[36:40] = b"acsp"
    yield Sample("jpeg-profile-of-2-32-tags", saved("JPEG", icc_profile=bytes(profile)), "thumbnail")
    yield Sample("png-profile-of-2-32-tags", saved("PNG", icc_profile=bytes(profile)), "thumbnail")


def memory_bombs() -> Iterator[Sample]:
    """Yield valid images of a few kilobytes that need more memory than a source may take."""
    large = ("over_memory", "too_many_pixels")
    interlaced = _interlaced(8000)
    yield Sample("png-interlaced-64-mp-rgba", interlaced, "reject", large)
    yield Sample("webp-100-mp", saved("WEBP", Image.new("RGB", (9990, 9990)), lossless=True), "reject", large)
    yield Sample(
        "tiff-bits-900-mp", saved("TIFF", Image.new("1", (30_000, 30_000)), compression="group4"), "reject", large
    )


def _interlaced(side: int) -> bytes:
    """Return an interlaced PNG of one transparent color."""
    packer = zlib.compressobj(1)
    packed = b""
    for left, top, right, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        row = bytes(1 + 4 * len(range(left, side, right)))
        for _ in range(top, side, down):
            packed += packer.compress(row)
    packed += packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
