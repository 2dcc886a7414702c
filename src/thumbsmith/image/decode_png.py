"""PNG without what has nothing to do with its picture: no text, and no damage of a text, ever reaches the decoder.

Pillow reads every chunk, unpacks the texts, and refuses a picture for a comment that is broken, or that unpacks to a
megabyte. Other decoders pass over such chunks (W3C PNG, third edition, section 13.2).
"""

from __future__ import annotations

import zlib
from typing import Any, Final, cast

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.png import HEADER, chunks, is_intact, is_transparency, unpacked_bytes
from thumbsmith.image.pillow import Image, PngImagePlugin
from thumbsmith.image.stream import Part, SourceStream, Spliced
from thumbsmith.reader import RangeReader

# Profiles of printers take 1 to 3 MB; Pillow reads none that unpacks to more than 1 MiB.
_LARGEST_PROFILE: Final = 1 << 20

_SIGNATURE_AND_HEADER: Final = 8 + 12 + 13

# What stands in the last row until the decoder writes it, by mode: a color that few pictures end with.
_UNWRITTEN: Final[dict[str, Any]] = {"L": 77, "P": 77, "LA": (77, 3), "RGB": (77, 1, 2), "RGBA": (77, 1, 2, 3)}

_COLORS: Final = 256

# Bytes that are unpacked at a time.
_BLOCK: Final = 1 << 16


class StillPng(PngImagePlugin.PngImageFile):
    """The first picture of a PNG, of a SourceStream: what follows its pixels is not looked at.

    Loading raises Rejected, `truncated`, where rows are missing: Pillow leaves them black if the data end well.
    """

    def load_prepare(self) -> None:
        """Prepare loading. Colors beyond the palette are its last one, as in Chromium; Pillow makes them white."""
        if self.palette and self.palette.palette:
            self.palette.palette = _filled(bytes(self.palette.palette))
        super().load_prepare()
        if self.mode in _UNWRITTEN:
            self.im.paste(_UNWRITTEN[self.mode], self._last_row)

    def load_end(self) -> None:
        """End loading, where Pillow would go on to read texts and further frames."""
        self.png = None
        stream = cast("SourceStream", self.fp)
        if self.info.get("interlace") or self._may_lack_rows():
            data_end(stream.window())

    @property
    def _last_row(self) -> tuple[int, int, int, int]:
        return (0, self.height - 1, self.width, self.height)

    def _may_lack_rows(self) -> bool:
        unwritten = Image.new(self.mode, (self.width, 1), _UNWRITTEN.get(self.mode, 0))
        return self.crop(self._last_row).tobytes() == unwritten.tobytes()


def _filled(palette: bytes) -> bytes:
    """Return a palette in RGB with 256 colors, the last one repeated."""
    return palette + palette[-3:] * (_COLORS - len(palette) // 3)


def plain(reader: RangeReader) -> RangeReader:
    """Return a PNG, which was probed before, without the chunks before its pixels that a still picture does not need.

    Of palettes and transparencies the first that is sound is kept. Raises what the reader raises.
    """
    data = Window.over(reader)
    parts: list[Part] = [(0, _SIGNATURE_AND_HEADER)]
    palette = 0
    transparent = False
    color = data.read(*HEADER)[9]
    for kind, body in chunks(data):
        start = body.start - 8
        if kind == b"IDAT":
            break
        needed = False
        if kind == b"PLTE" and not palette:
            needed, palette = True, body.size // 3
        elif kind == b"tRNS" and not transparent:
            needed = transparent = is_transparency(body, color, palette)
        elif kind == b"iCCP":
            needed = _is_sound(body)
        if needed:
            parts.append((start, start + 12 + body.size))
    return Spliced(reader, (*parts, (start, reader.size)))


def data_end(data: Window) -> int:
    """Return where so much of a PNG's data ends that all rows are there, before their checksum.

    Raises Rejected: `truncated` where they end before the last row does, `corrupt` where they cannot be unpacked;
    ShortRead where the file ends before; and what the reader raises.
    """
    missing = unpacked_bytes(data.read(*HEADER))
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    skipped = 2  # the header of the zlib stream
    try:
        for kind, body in chunks(data):
            if kind == b"IDAT":
                start = min(skipped, body.size)
                skipped -= start
                while start < body.size and missing > 0 and not unpacker.eof:
                    packed = body.read(start, min(_BLOCK, body.size - start, data.size - body.start - start))
                    start += len(packed)
                    while packed and missing > 0 and not unpacker.eof:
                        missing -= len(unpacker.decompress(packed, _BLOCK))
                        packed = unpacker.unconsumed_tail
                if missing <= 0:
                    return body.start + start - len(unpacker.unused_data)
            elif skipped == 0 or kind == b"IEND":
                break
    except zlib.error:
        raise Rejected(Code.CORRUPT, "the data of the PNG cannot be unpacked") from None
    raise Rejected(Code.TRUNCATED, "the data of the PNG end before its last row")


def _is_sound(body: Window) -> bool:
    """Return whether a profile's checksum is right, and it unpacks, by deflate, to what can be a profile."""
    if body.size > _LARGEST_PROFILE or not is_intact(b"iCCP", body):
        return False
    _, _, packed = body.read(0, body.size).partition(b"\0")
    if not packed.startswith(b"\0"):  # the name of the compression
        return False
    try:
        profile = zlib.decompressobj().decompress(packed[1:], _LARGEST_PROFILE + 1)
    except zlib.error:
        return False
    return len(profile) <= _LARGEST_PROFILE
