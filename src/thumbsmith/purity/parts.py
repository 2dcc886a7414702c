"""What all formats are checked with."""

from __future__ import annotations

import struct


class Impure(Exception):
    """A rendition is not the plain picture that it should be; says what it holds instead."""


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
