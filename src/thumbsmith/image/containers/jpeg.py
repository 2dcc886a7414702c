"""JPEG: size, components, orientation, and the number of scans where it decides what decoding costs.

ITU-T T.81, annex B. A baseline picture is read up to its first scan; one with several scans is walked to its end, but
for a progressive one whose first scan is all that will be decoded.

JPEG: a JFIF header without thumbnail, tables, one frame, scans, and the end. ITU-T T.81, annex B; T.871.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import exif
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.checks import Extras, number, require, require_few

_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _DHP = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xDE
_PROFILE: Final = b"ICC_PROFILE\0"

# Start of frame: baseline, extended and progressive, with Huffman or arithmetic coding, and whether it is progressive.
# Pillow reads no other: not even the lossless one, which libjpeg-turbo could (tried with Pillow 13, libjpeg-turbo 3.2).
_READ: Final = {0xC0: False, 0xC1: False, 0xC2: True, 0xC9: False, 0xCA: True}
_NOT_READ: Final = {
    **dict.fromkeys((0xC3, 0xCB), "lossless"),
    0xF7: "near-lossless (JPEG-LS)",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, _DHP), "hierarchical"),
}

# A marker that means something. Stuffed bytes, restarts and reserved codes are passed over, as libjpeg does with
# garbage between segments.
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")

# What ends coded bytes for libjpeg: anything but a stuffed zero, a restart and a fill byte.
_AFTER_DATA: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_LAST: Final = bytes((0xFF, _EOI))

# Far above every picture: in 64 KiB segments that is more than a source may have by default.
_MAX_HEADER_SEGMENTS: Final = 4_096
_MAX_SEGMENTS: Final = 65_536

# Counting ends here: a picture with more scans is refused by any limit that makes sense.
_MAX_SCANS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a start of frame says: `sampling` holds each component's factors, horizontal times vertical."""

    width: int
    height: int
    progressive: bool
    sampling: tuple[int, ...]


def read(data: Window, first_scan_suffices: Callable[[Probe], bool]) -> Probe:
    """Return what a JPEG's header says. Raises Rejected for a broken header or a kind that is not read, ShortRead."""
    frame = orientation = None
    metadata = 0
    found_segments = segments(data)
    for count, (marker, body) in enumerate(found_segments):
        if marker == _SOS:
            break
        if count == _MAX_HEADER_SEGMENTS:
            raise Rejected(Code.CORRUPT, f"the JPEG has more than {count} segments before its picture")
        if marker == _EOI:
            raise Rejected(Code.CORRUPT, "the JPEG ends without a picture")
        if marker in _READ or marker in _NOT_READ:
            if frame:
                raise Rejected(Code.CORRUPT, "the JPEG has two frame headers")
            frame = _frame(marker, body)
        elif marker == _APP1 and orientation is None and _is_exif(body):
            orientation = exif.orientation(body)
        metadata += body.size if marker >= _APP0 else 0
    if frame is None:
        raise Rejected(Code.CORRUPT, "the JPEG has a scan before its frame header")
    found = Probe(
        format="jpeg",
        bytes=data.size,
        width=frame.width,
        height=frame.height,
        orientation=orientation or 1,
        channels=len(frame.sampling),
        progressive=frame.progressive,
        subsampled=len(set(frame.sampling)) > 1,
        metadata=metadata,
    )
    if not frame.progressive and body.byte(0) == len(frame.sampling):
        return found
    if frame.progressive and _holds_eighth(body, found) and first_scan_suffices(found) and (end := _end(body, data)):
        return replace(found, first_scan=end)
    return replace(found, scans=_count_scans(found_segments))


def segments(data: Window) -> Iterator[tuple[int, Window]]:
    """Yield the marker and the body of every segment; what lies between them, compressed data too, is passed over.

    As libjpeg does. Raises ShortRead at the end of the file, Rejected(corrupt) for more segments than any has.
    """
    offset = 2
    for _ in range(_MAX_SEGMENTS):
        offset = data.search(_MARKER, 2, offset)
        marker = data.byte(offset + 1)
        if marker in (_SOI, _EOI):
            yield marker, data.window(offset, 0)
            offset += 2
        else:
            length = max(2, data.unpack(">H", offset + 2)[0])
            yield marker, data.window(offset + 4, length - 2)
            offset += 2 + length
    raise Rejected(Code.CORRUPT, f"the JPEG has more than {_MAX_SEGMENTS} segments")


def profile_parts(data: Window) -> list[bytes]:
    """Return the parts of a color profile of a JPEG that was probed before, without their name: ICC.1:2022, B.4."""
    parts = []
    for marker, body in segments(data):
        if marker == _SOS:
            break
        if marker == _APP2 and body.size >= len(_PROFILE) and body.read(0, len(_PROFILE)) == _PROFILE:
            parts.append(body.read(len(_PROFILE), body.size - len(_PROFILE)))
    return parts


def last_scan(data: Window) -> tuple[int, int]:
    """Return where the data of the last scan that a picture needs begin and end; (0, 0) where a scan is missing.

    A picture needs every component, and of a progressive one every coefficient to its last bit (T.81, G.1.1.1).
    """
    needed: set[tuple[int, int]] = set()
    progressive = False
    try:
        for marker, body in segments(data):
            if marker in (_SOI, _EOI):
                break
            if marker in _READ:
                progressive = _READ[marker]
                needed = {(body.byte(6 + 3 * index), each) for index in range(body.byte(5)) for each in range(64)}
            elif marker == _SOS:
                needed -= _told(body, progressive)
                if not needed:
                    begin = body.start + body.size
                    return begin, _marker_from(data, begin)
    except (ShortRead, Rejected):
        pass
    return 0, 0


def _told(scan: Window, progressive: bool) -> set[tuple[int, int]]:
    """Return the coefficients, (component, place), that a scan brings to their last bit."""
    count = scan.byte(0)
    first, last, bits = scan.unpack("BBB", 1 + 2 * count) if progressive else (0, 63, 0)
    places = range(first, last + 1) if bits & 15 == 0 else range(0)
    return {(scan.byte(1 + 2 * index), place) for index in range(count) for place in places}


def _marker_from(data: Window, offset: int) -> int:
    """Return where the next marker is that ends coded bytes, or the end of the file."""
    try:
        return data.search(_AFTER_DATA, 2, offset)
    except ShortRead:
        return data.size


def _frame(marker: int, body: Window) -> _Frame:
    if marker in _NOT_READ:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is a {_NOT_READ[marker]} JPEG, which is not read here")
    precision, height, width, count = body.unpack(">BHHB", 0)
    if precision != 8 or count not in (1, 3, 4):
        what = f"{precision} bits and {count} components"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is a JPEG of {what}, which is not read here")
    if width and not height:  # T.81, B.2.5
        raise Rejected(Code.UNSUPPORTED_FORMAT, "this is a JPEG that tells its height after its data (DNL)")
    factors = [body.byte(7 + 3 * index) for index in range(count)]
    if not (width and height and all(1 <= each >> 4 <= 4 and 1 <= each & 15 <= 4 for each in factors)):
        raise Rejected(Code.CORRUPT, "the JPEG's frame header has no size or impossible sampling factors")
    sampling = tuple((each >> 4) * (each & 15) for each in factors)
    return _Frame(width, height, _READ[marker], sampling)


def _is_exif(body: Window) -> bool:
    return body.size > 6 and body.read(0, 5) == b"Exif\x00"  # and a byte that pads, which need not be 0


def _holds_eighth(scan: Window, found: Probe) -> bool:
    """Return whether a scan has the mean of each block, of all components, but for its lowest bit: T.81, G.1.1.1."""
    count = scan.byte(0)
    spectral, approximation = scan.unpack(">HB", 1 + 2 * count)
    return count == found.channels and spectral == 0 and approximation <= 1


def _end(scan: Window, data: Window) -> int:
    """Return where the coded bytes of a scan end, of a file that has more and is whole by its last bytes; else 0."""
    try:
        end = data.search(_MARKER, 2, scan.start + scan.size)
        return end if end < data.size - 2 and data.read(data.size - 2, 2) == _LAST else 0
    except ShortRead:
        return 0


def _count_scans(segments: Iterator[tuple[int, Window]]) -> int:
    """Return the number of scans, the first included. A file that is cut is for the decoder to judge.

    No decoder goes on at a second start or frame: what stands there is another picture, or no JPEG at all.
    """
    scans = 1
    try:
        for marker, _ in segments:
            if marker in (_SOI, _EOI) or marker in _READ or scans > _MAX_SCANS:
                break
            scans += marker == _SOS
    except ShortRead:
        pass
    return scans


# Baseline, extended and progressive frame; Huffman and quantization tables; restart interval; scan.
_NEEDED: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, _SOS})

# The end of a scan's data: a marker that is no stuffed byte and no restart.
_PART: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")

# The whole segment: its length, the name, version, unit, densities, and a thumbnail of 0 x 0.
_JFIF: Final = re.compile(rb"\x00\x10JFIF\x00.{7}\x00\x00", re.DOTALL)

# What a colour profile (ICC.1:2022, B.4), EXIF and XMP begin with, in segments APP2 and APP1.
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for a JPEG that holds more than a picture: comments, APP segments, anything after its end."""
    offset, profile, credited, count = 2, list[bytes](), 0, 0
    while True:
        count += 1
        require_few(count, len(data), moves=False)
        require(number(data, "B", offset) == 0xFF, f"there is no marker at byte {offset}")
        marker = number(data, "B", offset + 1)
        if marker == _EOI:
            break
        length = number(data, ">H", offset + 2)
        body = data[offset + 4 : offset + 2 + length]
        if extras.some and marker == _APP2 and body.startswith(_PROFILE):
            profile.append(body[len(_PROFILE) + 2 :])
        elif extras.some and marker == _APP1:
            credited += 1
            require(credited <= 2, "it holds metadata more than once")
            _check_metadata(body, extras)
        else:
            _check_needed(data, offset, marker, length)
        offset += 2 + max(2, length)
        if marker == _SOS:
            found = _PART.search(data, offset)
            offset = found.start() if found else len(data)
    require(offset + 2 == len(data), f"{len(data) - offset - 2} bytes follow its end")
    if profile:
        extras.require_profile(b"".join(profile))


def _check_metadata(body: bytes, extras: Extras) -> None:
    if body.startswith(_XMP):
        extras.require_packet(body.removeprefix(_XMP))
    else:
        extras.require_exif(body.removeprefix(_EXIF))


def _check_needed(data: bytes, offset: int, marker: int, length: int) -> None:
    jfif = marker == _APP0 and _JFIF.fullmatch(data, offset + 2, offset + 2 + length)
    require(bool(marker in _NEEDED or jfif), f"it holds a segment FF{marker:02X} of {length} bytes")
