"""PNG by Pillow, without the chunks that do not belong to its picture: texts and their damage never reach the decoder.

Pillow reads every chunk, uncompresses the texts, and refuses a picture for a comment that is broken or too long. Other
decoders skip such chunks (W3C PNG, third edition, section 13.2).
"""

from __future__ import annotations

import zlib
from typing import IO, Any, Final, cast

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.png import (
    AFTER_HEADER,
    HEADER,
    MAX_PALETTE_COLORS,
    chunks,
    is_intact,
    is_transparency,
    uncompressed_bytes,
)
from thumbsmith.image.pillow import Image, PngImagePlugin
from thumbsmith.image.stream import Part, SourceStream, Spliced
from thumbsmith.reader import RangeReader

# Pillow reads no larger profile. Profiles of printers take 1 to 3 MB.
_MAX_PROFILE_BYTES: Final = 1 << 20

# The initial color of the last row, by mode: one that few pictures end with. The decoder overwrites it.
_UNWRITTEN: Final[dict[str, Any]] = {"L": 77, "P": 77, "LA": (77, 3), "RGB": (77, 1, 2), "RGBA": (77, 1, 2, 3)}

# Bytes that are uncompressed at a time.
_BLOCK_BYTES: Final = 1 << 16


class StillPng(PngImagePlugin.PngImageFile):
    """The first image of a PNG in a SourceStream. Chunks after its pixels are not read.

    Loading raises Rejected(truncated) if rows are missing: Pillow leaves them black if the compressed data are valid.
    """

    def load_prepare(self) -> None:
        """Prepare loading. Colors beyond the palette become its last one, as in Chromium; Pillow makes them white."""
        if self.palette and self.palette.palette:
            self.palette.palette = _filled(bytes(self.palette.palette))
        super().load_prepare()
        if self.mode in _UNWRITTEN:
            self.im.paste(_UNWRITTEN[self.mode], self._last_row)

    def load_end(self) -> None:
        """End loading. Pillow would read texts and further frames now."""
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
    """Return a palette in RGB with 256 colors: its last one is repeated."""
    return palette + palette[-3:] * (MAX_PALETTE_COLORS - len(palette) // 3)


def open_png(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return the first image of a PNG with its header read. Raises what Pillow raises."""
    return StillPng(cast("IO[bytes]", stream))


def without_metadata(reader: RangeReader) -> RangeReader:
    """Return a PNG, which was probed before, without the chunks before its pixels that a still image does not need.

    The first palette and the first valid transparency are kept. Raises what the reader raises.
    """
    data = Window.over(reader)
    parts: list[Part] = [(0, AFTER_HEADER)]
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
            needed = _is_valid_profile(body)
        if needed:
            parts.append((start, start + 12 + body.size))
    return Spliced(reader, (*parts, (start, reader.size)))


def up_to_data_end(reader: RangeReader) -> RangeReader | None:
    """Return a PNG that ends after the data of its last row, None if the file ends before. Raises as `data_end`."""
    try:
        return Spliced(reader, ((0, data_end(Window.over(reader))),))
    except ShortRead:
        return None


def data_end(data: Window) -> int:
    """Return the offset in a PNG after the data of its last row, before their checksum.

    Raises Rejected(truncated) if the data end before the last row, Rejected(corrupt) if they cannot be uncompressed,
    ShortRead if the file ends before, and what the reader raises.
    """
    missing = uncompressed_bytes(data.read(*HEADER))
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    to_skip = 2  # the header of the zlib stream
    try:
        for kind, body in chunks(data):
            if kind == b"IDAT":
                start = min(to_skip, body.size)
                to_skip -= start
                while start < body.size and missing > 0 and not stream.eof:
                    compressed = body.read(start, min(_BLOCK_BYTES, body.size - start, data.size - body.start - start))
                    start += len(compressed)
                    while compressed and missing > 0 and not stream.eof:
                        missing -= len(stream.decompress(compressed, _BLOCK_BYTES))
                        compressed = stream.unconsumed_tail
                if missing <= 0:
                    return body.start + start - len(stream.unused_data)
            elif to_skip == 0 or kind == b"IEND":
                break
    except zlib.error:
        raise Rejected(Code.CORRUPT, "the data of the PNG cannot be uncompressed") from None
    raise Rejected(Code.TRUNCATED, "the data of the PNG end before its last row")


def _is_valid_profile(body: Window) -> bool:
    """Return whether the checksum of a profile is right, and it uncompresses to an allowed size."""
    if body.size > _MAX_PROFILE_BYTES or not is_intact(b"iCCP", body):
        return False
    _, _, compressed = body.read(0, body.size).partition(b"\0")
    if not compressed.startswith(b"\0"):  # the compression method: 0 is deflate
        return False
    try:
        profile = zlib.decompressobj().decompress(compressed[1:], _MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return False
    return len(profile) <= _MAX_PROFILE_BYTES
