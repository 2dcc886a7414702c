"""JPEG: the header, the segments, the end of the picture, and the output check.

ITU-T T.81, annex B; JFIF: ITU-T T.871; color profiles: ICC.1:2022, B.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import exif
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.checks import Extras, read_number, require, require_few_parts

SOI, EOI, SOS, DQT = 0xD8, 0xD9, 0xDA, 0xDB
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_DHP: Final = 0xDE

# The bytes that end a JPEG.
END: Final = bytes((0xFF, EOI))

# What EXIF, XMP and color profiles begin with, in segments APP1 and APP2.
_EXIF_PREFIX: Final = b"Exif\0\0"
_XMP_PREFIX: Final = b"http://ns.adobe.com/xap/1.0/\0"
_PROFILE_PREFIX: Final = b"ICC_PROFILE\0"

# Start of frame: baseline, extended and progressive, with Huffman or arithmetic coding -> whether it is progressive.
# Pillow decodes no other: not even lossless, which libjpeg-turbo can (tried with Pillow 13, libjpeg-turbo 3.2).
_SUPPORTED_FRAMES: Final = {0xC0: False, 0xC1: False, 0xC2: True, 0xC9: False, 0xCA: True}
_UNSUPPORTED_FRAMES: Final = {
    **dict.fromkeys((0xC3, 0xCB), "lossless"),
    0xF7: "near-lossless (JPEG-LS)",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, _DHP), "hierarchical"),
}

# A marker with a meaning. Stuffed bytes, restarts and reserved codes are skipped, as libjpeg skips bytes between
# segments.
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")

# What ends coded data for libjpeg: anything but a stuffed zero, a restart and a fill byte.
_MARKER_AFTER_DATA: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

# More segments than any image has: at 64 KiB each, more bytes than a source may have by default.
_MAX_HEADER_SEGMENTS: Final = 4_096
_MAX_SEGMENTS: Final = 65_536

# Scans are counted up to this number, which is above every reasonable limit.
_MAX_SCANS: Final = 10_000

# Coefficients of a block of 8 x 8 pixels.
_COEFFICIENTS: Final = 64


def read(data: Window, first_scan_suffices: Callable[[Probe], bool] = lambda _: False) -> Probe:
    """Return what the header of a JPEG says. Raises Rejected for a broken or unsupported header, ShortRead.

    A baseline image is read up to its first scan. One with several scans is read to its end, to count them. For a
    progressive one `first_scan_suffices` says whether an eighth of its sides is enough: then it is read up to the end
    of its first scan, if that scan contains an eighth and the file is complete.
    """
    frame = orientation = None
    metadata = 0
    walk = segments(data)
    for count, (marker, body) in enumerate(walk):
        if marker == SOS:
            break
        if count == _MAX_HEADER_SEGMENTS:
            raise Rejected(Code.CORRUPT, f"the JPEG has more than {count} segments before its first scan")
        if marker == EOI:
            raise Rejected(Code.CORRUPT, "the JPEG ends without a picture")
        if marker in _SUPPORTED_FRAMES or marker in _UNSUPPORTED_FRAMES:
            if frame:
                raise Rejected(Code.CORRUPT, "the JPEG has two frame headers")
            frame = _read_frame(marker, body)
        elif marker == APP1 and orientation is None and _is_exif(body):
            orientation = exif.orientation(body)
        metadata += body.size if marker >= APP0 else 0
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
    if (
        frame.progressive
        and _contains_eighth(body, found)
        and first_scan_suffices(found)
        and (end := _first_scan_end(body, data))
    ):
        return replace(found, first_scan=end)
    return replace(found, scans=_count_scans(walk))


def segments(data: Window) -> Iterator[tuple[int, Window]]:
    """Yield the marker and the body of every segment. Bytes between segments, such as coded data, are skipped.

    This is as tolerant as libjpeg. Raises ShortRead at the end of the file, Rejected(corrupt) for too many segments.
    """
    offset = 2
    for _ in range(_MAX_SEGMENTS):
        offset = data.search(_MARKER, 2, offset)
        marker = data.byte(offset + 1)
        if marker in (SOI, EOI):
            yield marker, data.window(offset, 0)
            offset += 2
        else:
            length = max(2, data.unpack(">H", offset + 2)[0])
            yield marker, data.window(offset + 4, length - 2)
            offset += 2 + length
    raise Rejected(Code.CORRUPT, f"the JPEG has more than {_MAX_SEGMENTS} segments")


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a start of frame says. `sampling` is the product of the sampling factors of each component."""

    width: int
    height: int
    progressive: bool
    sampling: tuple[int, ...]


def _read_frame(marker: int, body: Window) -> _Frame:
    if marker in _UNSUPPORTED_FRAMES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a {_UNSUPPORTED_FRAMES[marker]} JPEG is not supported")
    precision, height, width, count = body.unpack(">BHHB", 0)
    if precision != 8 or count not in (1, 3, 4):
        what = f"{precision} bits and {count} components"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a JPEG of {what} is not supported")
    if width and not height:  # T.81, B.2.5
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a JPEG with its height after its data (DNL) is not supported")
    factors = [body.byte(7 + 3 * index) for index in range(count)]
    if not (width and height and all(1 <= each >> 4 <= 4 and 1 <= each & 15 <= 4 for each in factors)):
        raise Rejected(Code.CORRUPT, "the JPEG's frame header has no size or impossible sampling factors")
    sampling = tuple((each >> 4) * (each & 15) for each in factors)
    return _Frame(width, height, _SUPPORTED_FRAMES[marker], sampling)


def _is_exif(body: Window) -> bool:
    return body.size > 6 and body.read(0, 5) == b"Exif\x00"  # a padding byte of any value follows


def _contains_eighth(scan: Window, found: Probe) -> bool:
    """Return whether a scan has the mean of each block of all components, at least but for its lowest bit.

    T.81, G.1.1.1.
    """
    count = scan.byte(0)
    spectral, approximation = scan.unpack(">HB", 1 + 2 * count)
    return count == found.channels and spectral == 0 and approximation <= 1


def _first_scan_end(scan: Window, data: Window) -> int:
    """Return where the coded data of the first scan end, 0 if no scan follows or the file has no end marker."""
    try:
        end = data.search(_MARKER, 2, scan.start + scan.size)
        return end if end < data.size - 2 and data.read(data.size - 2, 2) == END else 0
    except ShortRead:
        return 0


def _count_scans(walk: Iterator[tuple[int, Window]]) -> int:
    """Return the number of scans, of which the first was read before. A cut file is for the decoder to judge.

    Decoders stop at a second start or frame header: what follows it is another image, or no JPEG at all.
    """
    scans = 1
    try:
        for marker, _ in walk:
            if marker in (SOI, EOI) or marker in _SUPPORTED_FRAMES or scans > _MAX_SCANS:
                break
            scans += marker == SOS
    except ShortRead:
        pass
    return scans


def profile_parts(data: Window) -> list[bytes]:
    """Return the parts of the color profile of a JPEG that was probed before, each without its prefix."""
    parts = []
    for marker, body in segments(data):
        if marker == SOS:
            break
        prefix = len(_PROFILE_PREFIX)
        if marker == APP2 and body.size >= prefix and body.read(0, prefix) == _PROFILE_PREFIX:
            parts.append(body.read(prefix, body.size - prefix))
    return parts


def last_scan(data: Window) -> tuple[int, int]:
    """Return where the data of the last required scan begin and end; (0, 0) if a scan is missing.

    An image needs every component; a progressive one needs every coefficient to its last bit (T.81, G.1.1.1).
    """
    missing: set[tuple[int, int]] = set()
    progressive = False
    try:
        for marker, body in segments(data):
            if marker in (SOI, EOI):
                break
            if marker in _SUPPORTED_FRAMES:
                progressive = _SUPPORTED_FRAMES[marker]
                components = [body.byte(6 + 3 * index) for index in range(body.byte(5))]
                missing = {(component, index) for component in components for index in range(_COEFFICIENTS)}
            elif marker == SOS:
                missing -= _completed_coefficients(body, progressive)
                if not missing:
                    begin = body.start + body.size
                    return begin, _coded_data_end(data, begin)
    except (ShortRead, Rejected):
        pass
    return 0, 0


def _completed_coefficients(scan: Window, progressive: bool) -> set[tuple[int, int]]:
    """Return the coefficients, as (component, index), of which a scan contains the last bit."""
    count = scan.byte(0)
    first, last, bits = scan.unpack("BBB", 1 + 2 * count) if progressive else (0, _COEFFICIENTS - 1, 0)
    indexes = range(first, last + 1) if bits & 15 == 0 else range(0)
    return {(scan.byte(1 + 2 * component), index) for component in range(count) for index in indexes}


def _coded_data_end(data: Window, offset: int) -> int:
    """Return the offset of the next marker that ends coded data, or the end of the file."""
    try:
        return data.search(_MARKER_AFTER_DATA, 2, offset)
    except ShortRead:
        return data.size


# The output check. It walks the segments itself: `segments` skips bytes between them, and here any such byte is an
# error.

# Baseline, extended and progressive frame; Huffman and quantization tables; restart interval; scan.
_PICTURE_MARKERS: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC4, DQT, 0xDD, SOS})

# What ends the data of a scan: a marker that is no stuffed byte and no restart.
_SCAN_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")

# A whole JFIF segment: its length, name, version, unit, densities, and a thumbnail of 0 x 0.
_JFIF: Final = re.compile(rb"\x00\x10JFIF\x00.{7}\x00\x00", re.DOTALL)


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for a JPEG with more than a picture: comments, APP segments, data after its end.

    A JFIF header without thumbnail, tables, one frame, scans and the end marker are allowed, and the extras.
    """
    offset, profile, metadata_segments, count = 2, list[bytes](), 0, 0
    while True:
        count += 1
        require_few_parts(count, len(data), animated=False)
        require(read_number(data, "B", offset) == 0xFF, f"there is no marker at byte {offset}")
        marker = read_number(data, "B", offset + 1)
        if marker == EOI:
            break
        length = read_number(data, ">H", offset + 2)
        body = data[offset + 4 : offset + 2 + length]
        if extras.any and marker == APP2 and body.startswith(_PROFILE_PREFIX):
            profile.append(body[len(_PROFILE_PREFIX) + 2 :])
        elif extras.any and marker == APP1:
            metadata_segments += 1
            require(metadata_segments <= 2, "it contains metadata more than once")
            _check_metadata(body, extras)
        else:
            _check_picture_segment(data, offset, marker, length)
        offset += 2 + max(2, length)
        if marker == SOS:
            found = _SCAN_END.search(data, offset)
            offset = found.start() if found else len(data)
    require(offset + 2 == len(data), f"{len(data) - offset - 2} bytes follow its end")
    if profile:
        extras.require_profile(b"".join(profile))


def _check_metadata(body: bytes, extras: Extras) -> None:
    if body.startswith(_XMP_PREFIX):
        extras.require_packet(body.removeprefix(_XMP_PREFIX))
    else:
        extras.require_exif(body.removeprefix(_EXIF_PREFIX))


def _check_picture_segment(data: bytes, offset: int, marker: int, length: int) -> None:
    jfif = marker == APP0 and _JFIF.fullmatch(data, offset + 2, offset + 2 + length)
    require(bool(marker in _PICTURE_MARKERS or jfif), f"it contains a segment FF{marker:02X} of {length} bytes")
