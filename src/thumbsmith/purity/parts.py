"""What all formats are checked with."""

from __future__ import annotations

import struct
from typing import Final


class Impure(Exception):
    """A rendition is not the plain picture that it should be; says what it holds instead."""


# How many segments, chunks or units a plain file may have, and one with all frames: both, and one more for each
# _BYTES_A_PART.
_MOST: Final = 2_000
_MOST_MOVING: Final = 10_000
_BYTES_A_PART: Final = 2_048


def require_few(count: int, size: int, *, moves: bool) -> None:
    """Raise Impure for more parts than a file of this many bytes has: walking over them takes time."""
    most = (_MOST_MOVING if moves else _MOST) + size // _BYTES_A_PART
    require(count <= most, f"it has more than {most} parts")


def number(data: bytes, layout: str, offset: int) -> int:
    """Return the one whole number at an offset, laid out as `struct` writes it. Raises Impure where the data end."""
    if offset < 0 or offset + struct.calcsize(layout) > len(data):
        raise Impure(f"it ends within its part at byte {offset}")
    found: int = struct.unpack_from(layout, data, offset)[0]
    return found


def require(holds: bool, otherwise: str) -> None:
    """Raise Impure, saying what is wrong, unless something holds."""
    if not holds:
        raise Impure(otherwise)
