"""A second try for a source that its decoder refused: without what is wrong besides the picture.

Whether all of a JPEG is there that has no end marker, or whose end marker may come too early.

A JPEG does not say how long its data are, and libjpeg fills what is missing with gray. But what follows the last bit
of a picture has no influence on it. So a picture is whole where different bytes behind its data give the same pixels.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import decode_avif, decode_png, vips
from thumbsmith.image.containers import webp
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.jpeg import last_scan, segments
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import Part, SourceStream, Spliced
from thumbsmith.image.vips_stream import VipsInput
from thumbsmith.reader import RangeReader


def mended(reader: RangeReader, probe: Probe) -> RangeReader | None:
    """Return a source as its decoder can read it, None where nothing can be done.

    Raises Rejected, `truncated`, where a part of the picture is missing, and what the reader raises.
    """
    if probe.format == "jpeg" and not probe.first_scan:  # whose scans were not counted
        return closed(reader)
    if probe.format == "png" and not probe.hidden:
        try:
            return Spliced(reader, ((0, decode_png.data_end(Window.over(reader))),))
        except ShortRead:
            return None
    if probe.format == "webp":
        return webp.picture_alone(reader)
    if probe.format == "avif":
        return decode_avif.described_again(reader, probe)
    return None


_LACKS: Final = "the JPEG ends before its picture does"

_EOI: Final = b"\xff\xd9"

# What may follow the data of a picture: zeros, ones (0xFF is written as FF 00), and bits that begin with each of 01, 10
# and 11. 64 bits and more: a decoder reads ahead by that much.
_FOLLOWING: Final = (
    bytes(16),
    bytes.fromhex("5ac3963ca569b14e") * 2,
    bytes.fromhex("93e17c0d5fb8264a") * 2,
    bytes.fromhex("d82f61b74ce50a9b") * 2,
    b"\xff\x00" * 16,
)

# Bytes that storage is filled with, and how many of them may still be data: more are padding.
_PADDING: Final = b"\x00\xff"
_MOST_DATA: Final = 2

# Bytes that are read at a time, from the end backwards.
_BLOCK: Final = 1 << 16

_SOS: Final = 0xDA
_APP0: Final = 0xE0

# Segments of applications that are kept, and the bytes that they have at least: JFIF, ICC profile, Adobe.
_KEPT: Final = {0xE0: 14, 0xE2: 15, 0xEE: 12}
_NONE: Final = 1 << 16

_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")

# What libjpeg makes of blocks that are missing: the middle of each channel, which CMYK turns upside down.
_MISSING: Final = frozenset({127, 128})

# Zeros may be in the place of a picture's data. This number of bytes is looked at.
_TAIL: Final = 16


def closed(reader: RangeReader) -> RangeReader | None:
    """Return a JPEG that ends with its picture, None for one that cannot be decoded.

    Raises Rejected, `truncated`, where a part of the picture is missing: all scans must be there that bring each
    component, of a progressive picture to the last bit. Raises what the reader raises.
    """
    begin, end = last_scan(Window.over(reader))
    if not end:
        raise Rejected(Code.TRUNCATED, _LACKS)
    end, restart = _data_end(reader, begin, end)
    whole = _without_metadata(reader, end)
    between = bytes((0xFF, 0xD0 | restart))
    data = whole.parts[:-1]
    first: int | None = None
    for following in _FOLLOWING:
        found = _print(Spliced(reader, (*data, following + between + following + _EOI)))
        if found is None:
            return None
        if first not in (None, found):
            raise Rejected(Code.TRUNCATED, _LACKS)
        first = found
    return whole


def _without_metadata(reader: RangeReader, end: int) -> Spliced:
    """Return a JPEG up to `end`, and closed, without what Pillow may refuse it for: segments that tell other things.

    Of the segments of applications JFIF's and Adobe's, which say what the components are, and profiles are kept.
    """
    parts: list[Part] = [(0, 2)]
    for marker, body in segments(Window.over(reader)):
        if marker == _SOS:
            return Spliced(reader, (*parts, (body.start - 4, end), _EOI))
        if marker < _APP0 or body.size >= _KEPT.get(marker, _NONE):
            parts.append((body.start - 4, body.start + body.size))
    raise AssertionError("a JPEG that has a scan has none")


def is_doubtful(image: Image.Image, stream: SourceStream, probe: Probe) -> bool:
    """Return whether a JPEG that was decoded from this stream may lack its end though nothing says so.

    It does where the picture ends with what libjpeg puts in the place of missing blocks, and where the last that was
    read of data which are gone through once are zeros.
    """
    corner = image.crop((image.width - 1, image.height - 1, image.width, image.height)).tobytes()
    if _MISSING.issuperset(corner):
        return True
    end = stream.tell()
    stream.seek(max(0, end - _TAIL - len(_EOI)))
    return not probe.progressive and not any(stream.read(min(end, _TAIL + len(_EOI))).removesuffix(_EOI))


def _data_end(reader: RangeReader, begin: int, end: int) -> tuple[int, int]:
    """Return where the data of a scan end without padding, and the number of the restart marker that would be next."""
    place, data = end, b""
    while place > begin and not data.rstrip(_PADDING):
        place = max(begin, place - _BLOCK)
        data = reader.read(place, min(_BLOCK, end - place))
    kept = len(data.rstrip(_PADDING))
    rest = data[kept : kept + _MOST_DATA]
    if rest.startswith(b"\xff") and rest != b"\xff\x00":
        rest = b""
    found = place + kept + len(rest.removesuffix(b"\xff"))
    while not (restarts := _RESTART.findall(data)) and place > begin:
        place = max(begin, place - _BLOCK)
        data = reader.read(place, _BLOCK + 1)
    return found, (restarts[-1][1] + 1) & 7 if restarts else 0


def _print(reader: RangeReader) -> int | None:
    """Return a checksum of a JPEG's pixels in full size, None where libvips cannot decode it. Raises as the reader.

    Any number of warnings is allowed: data that are cut give many. Decoded from the top, a baseline picture takes some
    rows of memory, and no other takes more than Pillow's decoder.
    """
    stream = SourceStream(reader)
    feed = VipsInput(stream)
    found = 0
    try:
        for strip in vips.Picture.open("jpegload", feed, unlimited="true").strips():
            found = crc32(strip, found)
    except vips.VipsError:
        if feed.raised:
            raise feed.raised from None
        return None
    return found
