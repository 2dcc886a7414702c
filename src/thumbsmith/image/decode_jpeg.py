"""JPEG by Pillow: its color profile, its first scan alone, and whether all of its picture is in the file.

A JPEG does not contain the length of its data, and libjpeg fills missing data with gray. But bytes behind the last bit
of a picture have no effect on it. So a picture is complete if different bytes behind its data give the same pixels.
"""

from __future__ import annotations

import re
from typing import IO, Final, cast
from zlib import crc32

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import eighth, vips
from thumbsmith.image.containers.base import Probe, Window
from thumbsmith.image.containers.jpeg import APP0, APP2, APP14, DQT, END, SOS, last_scan, profile_parts, segments
from thumbsmith.image.geometry import EIGHTH
from thumbsmith.image.pillow import Image, JpegImagePlugin
from thumbsmith.image.profiles import join_parts
from thumbsmith.image.stream import Part, SourceStream, Spliced
from thumbsmith.image.vips_stream import VipsInput
from thumbsmith.reader import BytesReader, RangeReader

_CUT: Final = "the JPEG ends before its picture does"

# Bytes that may follow the data of a picture: zeros, ones (0xFF is written as FF 00), and bits that begin with each of
# 01, 10 and 11. There are more than 64 bits: a decoder reads ahead by that much.
_TRIAL_ENDS: Final = (
    bytes(16),
    bytes.fromhex("5ac3963ca569b14e") * 2,
    bytes.fromhex("93e17c0d5fb8264a") * 2,
    bytes.fromhex("d82f61b74ce50a9b") * 2,
    b"\xff\x00" * 16,
)

# Bytes that storage is filled with. Up to 2 of them may be data; more are padding.
_PADDING: Final = b"\x00\xff"
_MAX_DATA_BYTES_IN_PADDING: Final = 2

# Bytes that are read at a time, backwards from the end.
_BLOCK_BYTES: Final = 1 << 16

# Application segments that are kept -> their minimum size in bytes: JFIF, ICC profile, Adobe.
_KEPT_SEGMENTS: Final = {APP0: 14, APP2: 15, APP14: 12}
_NEVER: Final = 1 << 16  # more bytes than a segment can have

_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")

# What libjpeg decodes missing blocks to: the middle level of each channel, which CMYK inverts.
_MISSING_LEVELS: Final = frozenset({127, 128})

# Bytes at the end of the data that are compared with zeros: zeros may replace the data of a picture.
_TAIL_BYTES: Final = 16


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG without its resolution, which nothing here uses. Pillow would parse EXIF for it."""

    def _read_dpi_from_exif(self) -> None:
        pass


def open_jpeg(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return a JPEG with its header read. Raises what Pillow raises.

    The color profile is joined here: Pillow counts its parts, and ignores their numbers.
    """
    image = _Jpeg(cast("IO[bytes]", stream))
    image.info["icc_profile"] = join_parts(profile_parts(stream.window()))
    return image


def load_eighth(stream: SourceStream, image: Image.Image) -> Image.Image | None:
    """Return the pixels of an opened JPEG at an eighth by the native decoder, None where Pillow must decode it.

    That is so if anything in the file is irregular, so that Pillow's decoder judges all damaged files. It is also so if
    the data end with bytes that may be padding. Otherwise the stream is left behind the end marker. Raises what the
    reader raises.
    """
    if not eighth.is_available():
        return None
    stream.seek(0)
    data = stream.read()
    found = eighth.decode(data, image.size, len(image.getbands()))
    if found is None or not data[found.end - _MAX_DATA_BYTES_IN_PADDING - 1 : found.end].strip(_PADDING):
        return None
    stream.seek(found.end + len(END))
    size = (-(-image.width // EIGHTH), -(-image.height // EIGHTH))
    return Image.frombuffer(image.mode, size, found.pixels, "raw", image.mode, 0, 1)


def first_scan_only(reader: RangeReader, end: int) -> BytesReader:
    """Return a JPEG with only the first scan of a source, which ends at `end`, to be decoded at an eighth.

    That scan of a progressive JPEG has the mean of every 8 x 8 pixels: ITU-T T.81, annex G. libjpeg estimates missing
    detail from the neighboring blocks, and blurs what is decoded at an eighth: for 7 photographs at 256 px the worst
    SSIM was 0.991 with that, 0.994 without, in half of the time. It does not estimate if a quantizer of detail is 0
    (`smoothing_ok` in its jdcoefct.c), so all of these are set to 0; there is no detail to multiply by them. Raises
    what the reader raises. The probe has read these segments before.
    """
    data = bytearray(reader.read(0, end))
    for marker, body in segments(Window.over(BytesReader(bytes(data)))):
        if marker == SOS:
            break
        if marker == DQT:
            _clear_detail(memoryview(data)[body.start : body.start + body.size])
    return BytesReader(bytes(data) + END)


def _clear_detail(tables: memoryview) -> None:
    """Set all quantizers to 0 but the first of each table, which is that of the mean: T.81, B.2.4.1."""
    while tables:
        width = 2 if tables[0] >> 4 else 1
        detail = tables[1 + width : 1 + 64 * width]
        detail[:] = bytes(len(detail))
        tables = tables[1 + 64 * width :]


def may_be_cut(image: Image.Image, stream: SourceStream, probe: Probe) -> bool:
    """Return whether a JPEG that was decoded from this stream may lack its end although it has an end marker.

    This is so if the picture ends with the level of missing blocks, and if the data of a picture with one scan end in
    zeros.
    """
    corner = image.getpixel((image.width - 1, image.height - 1))
    if _MISSING_LEVELS.issuperset(corner if isinstance(corner, tuple) else (corner,)):
        return True
    end = stream.tell()
    stream.seek(max(0, end - _TAIL_BYTES - len(END)))
    return not probe.progressive and not any(stream.read(min(end, _TAIL_BYTES + len(END))).removesuffix(END))


def complete_picture(reader: RangeReader) -> RangeReader | None:
    """Return a JPEG that ends with its picture, None if it cannot be decoded.

    Raises Rejected(truncated) if a part of the picture is missing: all scans must be in the file that contain each
    component, of a progressive picture to the last bit. Raises what the reader raises.
    """
    begin, end = last_scan(Window.over(reader))
    if not end:
        raise Rejected(Code.TRUNCATED, _CUT)
    end, restart = _data_end(reader, begin, end)
    complete = _without_metadata(reader, end)
    restart_marker = bytes((0xFF, 0xD0 | restart))
    data = complete.parts[:-1]
    first: int | None = None
    for trial in _TRIAL_ENDS:
        checksum = _pixel_checksum(Spliced(reader, (*data, trial + restart_marker + trial + END)))
        if checksum is None:
            return None
        if first not in (None, checksum):
            raise Rejected(Code.TRUNCATED, _CUT)
        first = checksum
    return complete


def _data_end(reader: RangeReader, begin: int, end: int) -> tuple[int, int]:
    """Return where the data of a scan end without padding, and the number of the next restart marker."""
    offset, data = end, b""
    while offset > begin and not data.rstrip(_PADDING):
        offset = max(begin, offset - _BLOCK_BYTES)
        data = reader.read(offset, min(_BLOCK_BYTES, end - offset))
    kept = len(data.rstrip(_PADDING))
    rest = data[kept : kept + _MAX_DATA_BYTES_IN_PADDING]
    if rest.startswith(b"\xff") and rest != b"\xff\x00":
        rest = b""
    found = offset + kept + len(rest.removesuffix(b"\xff"))
    while not (restarts := _RESTART.findall(data)) and offset > begin:
        offset = max(begin, offset - _BLOCK_BYTES)
        data = reader.read(offset, _BLOCK_BYTES + 1)
    return found, (restarts[-1][1] + 1) & 7 if restarts else 0


def _without_metadata(reader: RangeReader, end: int) -> Spliced:
    """Return a JPEG up to `end` with an end marker, without segments that Pillow may refuse it for.

    Of the application segments, profiles are kept, and those of JFIF and Adobe, which say what the components are.
    """
    parts: list[Part] = [(0, 2)]
    for marker, body in segments(Window.over(reader)):
        if marker == SOS:
            return Spliced(reader, (*parts, (body.start - 4, end), END))
        if marker < APP0 or body.size >= _KEPT_SEGMENTS.get(marker, _NEVER):
            parts.append((body.start - 4, body.start + body.size))
    raise AssertionError("a JPEG that has a scan has none")


def _pixel_checksum(reader: RangeReader) -> int | None:
    """Return a checksum of a JPEG's pixels in full size, None if libvips cannot decode it. Raises as the reader.

    Any number of warnings is allowed: cut data cause many. A baseline picture is decoded from the top and takes some
    rows of memory; no other takes more than Pillow's decoder.
    """
    feed = VipsInput(SourceStream(reader))
    found = 0
    try:
        for strip in vips.Picture.open("jpegload", feed, unlimited="true").strips():
            found = crc32(strip, found)
    except vips.VipsError:
        if feed.raised:
            raise feed.raised from None
        return None
    return found
