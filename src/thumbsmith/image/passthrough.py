"""The source's own file as a rendition, without its metadata, and only if its pixels are exactly those decoded.

The parts that are kept are listed, not those that are removed, so that nothing unknown gets through. References: JPEG,
ITU-T T.81, Annex B; PNG, third edition, section 5; WebP, RFC 9649, section 2.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import IO, Final, TypeAlias, cast

from thumbsmith.errors import Rejected
from thumbsmith.image import check_output
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.containers.png import INDEXED, MAX_PALETTE_COLORS, SIGNATURE, uncompressed_bytes
from thumbsmith.image.containers.webp import ALPHA_FLAG, STILL_LAYOUTS
from thumbsmith.image.decode import DecodedImage, decode
from thumbsmith.image.decode_png import StillPng
from thumbsmith.image.decode_webp import announce_alpha
from thumbsmith.image.prepare import prepare
from thumbsmith.image.probe import probe as look
from thumbsmith.image.profiles import is_srgb
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import BytesReader, RangeReader
from thumbsmith.recipe.names import Rendition

# A file without metadata, and the color profile that it had.
Stripped: TypeAlias = tuple[bytes, bytes]

# Larger sources are always encoded: the comparison needs the memory of a second decoded picture.
MAX_PIXELS: Final = 4_000_000

# Baseline, extended and progressive frames; Huffman and quantization tables; the restart interval; scans.
JPEG_KEPT: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xDA})
JPEG_METADATA: Final = frozenset({*range(0xE0, 0xF0), 0xFE})
WEBP_METADATA: Final = frozenset({b"EXIF", b"XMP ", b"ICCP"})


def prefer_source(made: Rendition, reader: RangeReader, probe: Probe, decoded: DecodedImage) -> Rendition:
    """Return a rendition with the source's file instead of the encoded one, if that is smaller.

    The rendition must have the format and size of the source. `decoded` is the decoded source. Raises what the reader
    raises.
    """
    data = strip_source(reader, probe, decoded, len(made.data))
    if data is None:
        return made
    kept = replace(made, data=data)
    try:
        check_output.check(kept)
    except check_output.OutputError:  # the file has parts that the check does not know
        return made
    return kept


def strip_source(reader: RangeReader, probe: Probe, decoded: DecodedImage, below: int) -> bytes | None:
    """Return the source's file without metadata, None if it has `below` bytes or more, or cannot be used.

    It can be used if it is a JPEG, PNG, WebP or AVIF of one frame, in sRGB, with 8 bits a channel at most, and not
    rotated. The stripped file is parsed and decoded again, and must give the same pixels. Raises what the reader
    raises.
    """
    plain = probe.orientation == 1 and probe.frames == 1 and probe.depth <= 8 and decoded.shrink == (1, 1)
    is_cmyk = probe.format == "jpeg" and probe.channels == 4
    has_other_colors = decoded.to_srgb is not None or decoded.profile is not None
    if not plain or is_cmyk or has_other_colors or probe.width * probe.height > MAX_PIXELS:
        return None
    if probe.format not in STRIPPERS:
        return None
    try:
        source = prepare(reader, probe)
        if probe.format == "webp" and decoded.image.mode == "RGBA":  # viewers differ if alpha is not announced
            source = announce_alpha(source, alpha=True)
        data, profile = STRIPPERS[probe.format](source.read(0, source.size))
        if len(data) >= below or (profile and not is_srgb(profile)):
            return None
        kept = BytesReader(data)
        again = decode(kept, look(kept), 1.0).image
        return data if (again.mode, again.tobytes()) == (decoded.image.mode, decoded.image.tobytes()) else None
    except (Rejected, ValueError, IndexError, struct.error, zlib.error):
        return None


def _jpeg(data: bytes) -> Stripped:
    """Return a JPEG with its tables, frame and scans, and a JFIF header without thumbnail.

    If the colors depend on Adobe's segment, the stripped file has other pixels, and is not used.
    """
    kept, profile = [data[:2]], b""
    for marker, segment, scan in _segments(data):
        content = segment[4:]
        if marker == 0xE0 and content.startswith(b"JFIF\0"):
            kept.append(segment[:2] + struct.pack(">H", 16) + content[:12] + b"\0\0")  # without its thumbnail
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
            profile += content[14:]
        elif marker in JPEG_KEPT:
            kept.append(segment + scan)
        elif marker not in JPEG_METADATA:
            raise ValueError(f"a segment {marker:#x}")
    return b"".join([*kept, b"\xff\xd9"]), profile


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield marker, segment and, for a scan, its coded bytes, up to the end of the picture."""
    position = 2
    while data[position : position + 2] != b"\xff\xd9":
        start, marker, length = struct.unpack_from(">BBH", data, position)
        end = position + 2 + length
        if start != 0xFF or length < 2 or end > len(data):
            raise ValueError("no segment")
        scanned = _scan_end(data, end) if marker == 0xDA else end
        yield marker, data[position:end], data[end:scanned]
        position = scanned


def _scan_end(data: bytes, position: int) -> int:
    """Return the position of the next marker after coded bytes, except restarts and stuffed zeros."""
    while True:
        position = data.index(b"\xff", position)
        following = data[position + 1]
        if following != 0 and not 0xD0 <= following <= 0xD7:
            return position
        position += 2


def _png(data: bytes) -> Stripped:
    """Return a PNG with header, palette, transparency and pixels. Its compressed data must be exactly its pixels."""
    kept, profile, packed, position, name = [SIGNATURE], b"", b"", len(SIGNATURE), b""
    colors = MAX_PALETTE_COLORS
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        position += 12 + length
        if name == b"iCCP":
            profile = zlib.decompressobj().decompress(content[content.index(b"\0") + 2 :], 1 << 20)
        elif name == b"IDAT":
            packed += content
        elif name in (b"IHDR", b"PLTE", b"tRNS"):
            kept.append(_chunk(name, content))
            colors = length // 3 if name == b"PLTE" and data[25] == INDEXED else colors
    interlaced = data[28]
    unpacked = uncompressed_bytes(data[16:29])
    stream = zlib.decompressobj()
    if interlaced or len(stream.decompress(packed, unpacked + 1)) != unpacked or not stream.eof or stream.unused_data:
        raise ValueError("more than its pixels")
    made = b"".join([*kept, _chunk(b"IDAT", packed), _chunk(b"IEND", b"")])
    if colors < 1 << data[24] and _highest_index(made) >= colors:
        raise ValueError("a color beyond the palette, which viewers show differently")
    return made, profile


def _highest_index(data: bytes) -> int:
    """Return the highest palette index in the pixels of a PNG."""
    image = StillPng(cast("IO[bytes]", SourceStream(BytesReader(data))))
    image.load()
    _, highest = image.getextrema()
    return int(cast("int", highest))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _webp(data: bytes) -> Stripped:
    """Return a WebP with the chunks of its picture, and the header of the extended format if it had one."""
    kept, profile, position = [], b"", 12
    while position < len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
        if name == b"VP8X":
            content = bytes([content[0] & ALPHA_FLAG, 0, 0, 0]) + content[4:10]
        if name == b"ICCP":
            profile = content
        elif name not in WEBP_METADATA:
            kept.append((name, content))
    if [name for name, _ in kept] not in STILL_LAYOUTS:
        raise ValueError("more than a picture")
    chunks = [struct.pack("<4sI", name, len(each)) + each + bytes(len(each) % 2) for name, each in kept]
    made = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(made)) + made, profile


def _avif(data: bytes) -> Stripped:
    """Return an AVIF unchanged: its parts refer to each other by position. The output check refuses other parts."""
    return data, b""


STRIPPERS: Final[Mapping[str, Callable[[bytes], Stripped]]] = MappingProxyType(
    {"jpeg": _jpeg, "png": _png, "webp": _webp, "avif": _avif}
)
