"""WebP: one picture, with alpha where there is some. RFC 9649."""

from __future__ import annotations

from typing import Final

from thumbsmith.purity.parts import number, require

_ALPHA: Final = 0x10
_PICTURES: Final = ([b"VP8 "], [b"VP8L"], [b"VP8X", b"VP8L"], [b"VP8X", b"VP8 "], [b"VP8X", b"ALPH", b"VP8 "])


def check(data: bytes) -> None:
    """Raise Impure for a WebP that holds more than one picture: EXIF, XMP, a profile, frames, anything after it."""
    require(8 + number(data, "<I", 4) == len(data), "its size is not what it says")
    offset, kinds = 12, []
    while offset < len(data):
        kind, length = data[offset : offset + 4], number(data, "<I", offset + 4)
        end = offset + 8 + length
        require(end <= len(data), f"its chunk {kind!r} ends beyond it")
        if kind == b"VP8X":
            require(length == 10 and not number(data, "<I", offset + 8) & ~_ALPHA, "it announces more than a picture")
        if length & 1:
            require(number(data, "B", end) == 0, "the padding is not empty")
        kinds.append(kind)
        offset = end + (length & 1)
    require(kinds in _PICTURES, f"it holds the chunks {kinds}")
