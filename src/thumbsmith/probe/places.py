"""Where the data of items lie: the `iloc` box. ISO/IEC 14496-12, 8.11.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.window import Window

# More than the tiles of any picture that is within the limits.
MAX_ITEMS: Final = 8_192

# Construction methods: offsets count from the start of the file, or of the `idat` box.
_FILE: Final = 0
_IDAT: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where one item's data lie: `extents` are (offset, length), a length of 0 means up to the end."""

    method: int
    outside: bool  # in another file
    extents: tuple[tuple[int, int], ...]

    def windows(self, file: Window, idat: Window | None) -> tuple[Window, ...]:
        """Return the data as windows, in their order.

        Raises ShortRead where the file ends before they do, Rejected(unsupported_format) for data that are part of
        another item or file, Rejected(corrupt) for data that lie nowhere.
        """
        if self.outside or self.method not in (_FILE, _IDAT):
            raise Rejected(Code.UNSUPPORTED_FORMAT, "the picture is stored in another item or file, which is not read")
        holder = file if self.method == _FILE else idat
        if holder is None or not self.extents:
            raise Rejected(Code.CORRUPT, "the file does not say where the picture is stored")
        for offset, length in self.extents:
            holder.require(offset, length)
        return tuple(holder.window(offset, length or None) for offset, length in self.extents)


def read_places(places: Window) -> dict[int, Place]:
    """Return the place of each item, from the body of an `iloc` box. Raises Rejected(corrupt), ShortRead."""
    version, sizes, more = places.unpack("BxxxBB", 0)
    offsets, lengths, bases, indexes = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    if not {offsets, lengths, bases, indexes} <= {0, 4, 8}:
        raise Rejected(Code.CORRUPT, "the file writes offsets in a way that no file can")
    number = 4 if version == 2 else 2
    count, at = _number(places, 6, number), 6 + number
    if count > MAX_ITEMS:
        raise Rejected(Code.CORRUPT, f"the file places {count} items")
    found: dict[int, Place] = {}
    for _ in range(count):
        item = _number(places, at, number)
        at += number
        method = _number(places, at, 2) & 15 if version else _FILE
        at += 2 if version else 0
        outside = _number(places, at, 2) != 0
        base, extents = _number(places, at + 2, bases), _number(places, at + 2 + bases, 2)
        at += 2 + bases + 2
        step = indexes + offsets + lengths
        spans = tuple(
            (base + _number(places, here + indexes, offsets), _number(places, here + indexes + offsets, lengths))
            for here in range(at, at + extents * step, step or 1)
        )
        at += extents * step
        found.setdefault(item, Place(method, outside, spans if step else ((base, 0),) * min(extents, 1)))
    return found


def _number(data: Window, offset: int, length: int) -> int:
    return int.from_bytes(data.read(offset, length), "big") if length else 0
