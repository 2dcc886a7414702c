"""JPEG: a JFIF header without thumbnail, tables, one frame, scans, and the end. ITU-T T.81, annex B; T.871."""

from __future__ import annotations

import re
from typing import Final

from thumbsmith.purity.extras import Extras
from thumbsmith.purity.parts import number, require, require_few

_SOI, _EOI, _SOS, _APP0 = 0xD8, 0xD9, 0xDA, 0xE0

# Baseline, extended and progressive frame; Huffman and quantization tables; restart interval; scan.
_NEEDED: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, _SOS})

# The end of a scan's data: a marker that is no stuffed byte and no restart.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")

# The whole segment: its length, the name, version, unit, densities, and a thumbnail of 0 x 0.
_JFIF: Final = re.compile(rb"\x00\x10JFIF\x00.{7}\x00\x00", re.DOTALL)

# What a colour profile (ICC.1:2022, B.4), EXIF and XMP begin with, in segments APP2 and APP1.
_APP1, _APP2 = 0xE1, 0xE2
_PROFILE, _EXIF, _XMP = b"ICC_PROFILE\0", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def check(data: bytes, extras: Extras) -> None:
    """Raise Impure for a JPEG that holds more than a picture: comments, APP segments, anything after its end."""
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
            found = _MARKER.search(data, offset)
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
