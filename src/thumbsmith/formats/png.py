"""PNG without what has nothing to do with its picture: no text, and no damage of a text, ever reaches the decoder.

Pillow reads every chunk, unpacks the texts, and refuses a picture for a comment that is broken, or that unpacks to a
megabyte. Other decoders pass over such chunks (W3C PNG, third edition, section 13.2).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from thumbsmith.formats.pillow import PngImagePlugin
from thumbsmith.probe.png import chunks
from thumbsmith.probe.window import Window
from thumbsmith.reader import RangeReader

# What a decoder needs before the pixels; a profile as well, where it is sound.
_NEEDED: Final = frozenset({b"PLTE", b"tRNS"})
_PROFILE: Final = b"iCCP"

# Profiles of printers take 1 to 3 MB; Pillow reads none that unpacks to more than 1 MiB.
_LARGEST_PROFILE: Final = 1 << 20

_SIGNATURE_AND_HEADER: Final = 8 + 12 + 13


class StillPng(PngImagePlugin.PngImageFile):
    """The first picture of a PNG: what follows its pixels is not looked at."""

    def load_end(self) -> None:
        """End loading, where Pillow would go on to read texts and further frames."""
        self.png = None


@dataclass(frozen=True, slots=True)
class PlainPng:
    """A range reader over a PNG of which some chunks are left out: `head`, then the source from `rest` on."""

    head: bytes
    reader: RangeReader
    rest: int

    @property
    def size(self) -> int:
        """Return the number of bytes that are left."""
        return len(self.head) + self.reader.size - self.rest

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends. Raises as the reader."""
        begin = self.head[offset : offset + length]
        missing = min(length, self.size - offset) - len(begin)
        if missing <= 0:
            return begin
        return begin + self.reader.read(self.rest + max(0, offset - len(self.head)), missing)


def plain(reader: RangeReader) -> PlainPng:
    """Return a PNG, which was probed before, without the chunks before its pixels that a still picture does not need.

    Raises what the reader raises.
    """
    data = Window.over(reader)
    head = [data.read(0, _SIGNATURE_AND_HEADER)]
    rest = _SIGNATURE_AND_HEADER
    for kind, body in chunks(data):
        rest = body.start - 8
        if kind == b"IDAT":
            break
        if kind in _NEEDED or (kind == _PROFILE and _is_sound(data, body)):
            head.append(data.read(rest, 12 + body.size))
    return PlainPng(b"".join(head), reader, rest)


def _is_sound(data: Window, body: Window) -> bool:
    """Return whether a profile's checksum is right, and it unpacks to what can be a profile."""
    if body.size > _LARGEST_PROFILE:
        return False
    chunk = data.read(body.start - 4, 4 + body.size + 4)
    _, _, packed = chunk[4:-4].partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(packed[1:], _LARGEST_PROFILE + 1)
    except zlib.error:
        return False
    return zlib.crc32(chunk[:-4]) == struct.unpack(">I", chunk[-4:])[0] and len(profile) <= _LARGEST_PROFILE
