"""WebP: one picture, with alpha where there is some. RFC 9649."""

from __future__ import annotations

from collections import Counter
from typing import Final

from thumbsmith.purity.extras import Extras
from thumbsmith.purity.parts import number, require, require_few

# Flags of the extended header: a profile, alpha, EXIF, XMP, an animation (2.7.1).
_PROFILE, _ALPHA, _EXIF, _XMP, _MOVES = 0x20, 0x10, 0x08, 0x04, 0x02
_PICTURES: Final = ([b"VP8 "], [b"VP8L"], [b"VP8X", b"VP8L"], [b"VP8X", b"VP8 "], [b"VP8X", b"ALPH", b"VP8 "])


def check(data: bytes, extras: Extras) -> None:
    """Raise Impure for a WebP that holds more than one picture: EXIF, XMP, a profile, frames, anything after it."""
    require(8 + number(data, "<I", 4) == len(data), "its size is not what it says")
    offset, kinds, seen = 12, list[bytes](), Counter[bytes]()
    while offset < len(data):
        require_few(seen.total(), len(data), moves=extras.frames)
        kind, length = data[offset : offset + 4], number(data, "<I", offset + 4)
        seen[kind] += 1
        require(seen[kind] == 1 or kind == b"ANMF", f"it holds {kind!r} more than once")
        end = offset + 8 + length
        require(end <= len(data), f"its chunk {kind!r} ends beyond it")
        if kind == b"VP8X":
            flags = number(data, "<I", offset + 8)
            require(length == 10 and not flags & ~_allowed(extras), "it announces more than a picture")
        if length & 1:
            require(number(data, "B", end) == 0, "the padding is not empty")
        if not _is_extra(kind, data[offset + 8 : end], extras):
            kinds.append(kind)
        offset = end + (length & 1)
    moves = extras.frames and kinds == [b"VP8X"]
    require(moves or kinds in _PICTURES, f"it holds the chunks {kinds}")


def _allowed(extras: Extras) -> int:
    return _ALPHA | _PROFILE * extras.profile | (_EXIF | _XMP) * extras.credit | _MOVES * extras.frames


def _is_extra(kind: bytes, body: bytes, extras: Extras) -> bool:
    """Return whether a chunk is one that is allowed besides the picture. Raises Impure where its content is not."""
    if extras.profile and kind == b"ICCP":
        extras.require_profile(body)
    elif extras.credit and kind == b"EXIF":
        extras.require_exif(body.removeprefix(b"Exif\0\0"))
    elif extras.credit and kind == b"XMP ":
        extras.require_packet(body)
    else:
        return extras.frames and kind in (b"ANIM", b"ANMF")
    return True
