"""PNM: the size, the largest value and the kind of samples, from headers of PBM, PGM, PPM and PAM.

https://netpbm.sourceforge.net/doc/ppm.html, pgm.html, pbm.html and pam.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, Window

# A header with its comments is not longer.
_MAX_HEADER_BYTES: Final = 1 << 16

_MAX_VALUE: Final = 65535

# Digit of the signature -> samples per pixel. 1 to 3 are written as text, 4 to 6 in binary.
_CHANNELS: Final = {1: 1, 2: 1, 3: 3, 4: 1, 5: 1, 6: 3}
_PAM: Final = 7

# The first token and white space or a comment after it; comments end with the line.
_SPACE: Final = rb"(?:[\s]|#[^\r\n]*[\r\n])+"
_NUMBERS: Final = {
    count: re.compile(rb"P[1-6]" + (_SPACE + rb"(\d{1,10})") * count + rb"(?:#[^\r\n]*[\r\n])?\s") for count in (2, 3)
}
_PAM_END: Final = re.compile(rb"\nENDHDR[ \t]*\n")

_PAM_FIELDS: Final = (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a PNM is stored: size in pixels, samples per pixel, largest value, and the offset of the samples.

    `text`: samples are decimal numbers. `packed`: 8 pixels a byte, and 1 is black.
    """

    width: int
    height: int
    channels: int
    max_value: int
    pixels: int
    text: bool
    packed: bool
    white_is_zero: bool


def read(data: Window) -> Probe:
    """Return what the header of a PNM says. Raises Rejected for a broken or unsupported header, ShortRead."""
    found = read_layout(data)
    return Probe(
        format="pnm",
        bytes=data.size,
        width=found.width,
        height=found.height,
        channels=found.channels,
        depth=16 if found.max_value > 255 else 8,
        alpha=found.channels in (2, 4),
    )


def read_layout(data: Window) -> Layout:
    """Return how a PNM is stored. Raises as `read`."""
    head = data.read(0, min(data.size, _MAX_HEADER_BYTES))
    kind = head[1] - ord("0")
    found = _read_pam(data, head) if kind == _PAM else _read_numbers(data, head, kind)
    if not (found.width and found.height):
        raise Rejected(Code.CORRUPT, f"the PNM claims to be {found.width} x {found.height}")
    if not 1 <= found.max_value <= _MAX_VALUE:
        raise Rejected(Code.CORRUPT, f"the PNM claims {found.max_value} as its largest value")
    return found


def _read_numbers(data: Window, head: bytes, kind: int) -> Layout:
    bits = kind in (1, 4)
    match = _NUMBERS[2 if bits else 3].match(head)
    if match is None:
        raise _broken(data)
    width, height, *rest = map(int, match.groups())
    return Layout(
        width=width,
        height=height,
        channels=_CHANNELS[kind],
        max_value=rest[0] if rest else 1,
        pixels=match.end(),
        text=kind <= 3,
        packed=kind == 4,
        white_is_zero=bits,
    )


def _read_pam(data: Window, head: bytes) -> Layout:
    end = _PAM_END.search(head)
    if end is None:
        raise _broken(data)
    fields: dict[bytes, int] = {}
    for line in head[: end.start()].split(b"\n")[1:]:
        name, _, value = line.strip().partition(b" ")
        if name in _PAM_FIELDS and value.strip().isdigit() and len(value) <= 12:
            fields[name] = int(value)
    if len(fields) != len(_PAM_FIELDS):
        raise Rejected(Code.CORRUPT, "the PAM lacks its size, its depth or its largest value")
    width, height, channels, max_value = (fields[name] for name in _PAM_FIELDS)
    if channels not in (1, 2, 3, 4):
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a PAM of {channels} samples per pixel is not supported")
    return Layout(width, height, channels, max_value, end.end(), text=False, packed=False, white_is_zero=False)


def _broken(data: Window) -> Rejected:
    """Return the error for a header that is not understood. Raises ShortRead if it may be cut."""
    if data.size < _MAX_HEADER_BYTES:
        data.require(data.size, 1)  # raises ShortRead at the end of a file
    return Rejected(Code.CORRUPT, "the header of the PNM is broken")
