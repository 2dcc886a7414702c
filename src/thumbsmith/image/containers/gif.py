"""GIF: the canvas and the frames, which are counted by a walk over the blocks.

GIF89a, https://www.w3.org/Graphics/GIF/spec-gif89a.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import MAX_FRAMES, Probe, ShortRead, Window

HEADER_BYTES: Final = 13  # before the global color table

# Offset of the flags of the logical screen, and their bit for a global color table.
SCREEN_FLAGS: Final = 10
HAS_COLOR_TABLE: Final = 0x80

_EXTENSION, _IMAGE, _TRAILER = b"!,;"
_GRAPHIC_CONTROL: Final = 0xF9
_INTERLACED: Final = 0x40

# Other bytes between blocks are skipped, as Pillow does.
_INTRODUCER: Final = re.compile(b"[!,;]")

# Each frame has one block before it, and there are few comments.
_MAX_BLOCKS: Final = 4 * MAX_FRAMES


def read(data: Window) -> Probe:
    """Return what a GIF says. Raises Rejected(corrupt) for one without a frame, ShortRead for one cut before it.

    The size is the one that Pillow decodes the first frame to: the logical screen, enlarged where that frame reaches
    outside of it. `alpha` is set if a frame has a transparent color, or if the first leaves a part of the canvas free.
    `frames` counts the existing frames, up to MAX_FRAMES. Whether the last one is complete is for the decoder to judge.
    """
    canvas_width, canvas_height, packed = data.unpack("<HHB", 6)
    first, frames, transparent = None, 0, False
    try:
        for kind, body in _blocks(data, HEADER_BYTES + color_table_bytes(packed)):
            if kind == _IMAGE:
                first = first or body.unpack("<HHHHB", 0)
                frames += 1
                if frames == MAX_FRAMES:
                    break
            else:
                transparent |= bool(body.byte(0) >= 4 and body.byte(1) & 1)
    except ShortRead:
        if first is None:
            raise
    if first is None:
        raise Rejected(Code.CORRUPT, "the GIF ends without a picture")
    left, top, frame_width, frame_height, flags = first
    width, height = max(canvas_width, left + frame_width), max(canvas_height, top + frame_height)
    if not (frame_width and frame_height):
        raise Rejected(Code.CORRUPT, f"the GIF's first frame is {frame_width} x {frame_height}")
    return Probe(
        format="gif",
        bytes=data.size,
        width=width,
        height=height,
        frames=frames,
        channels=1,
        alpha=transparent or (frame_width, frame_height) != (width, height),
        interlaced=bool(flags & _INTERLACED),
    )


def frames(data: Window) -> Iterator[tuple[Window | None, Window]]:
    """Yield each frame: its graphic control (flags, delay, transparent color) if it has one, and its image.

    The image begins at its descriptor, after the introducer, and ends with its data. Raises ShortRead for a cut frame.
    """
    control = None
    for kind, body in _blocks(data, HEADER_BYTES + color_table_bytes(data.byte(SCREEN_FLAGS))):
        if kind == _IMAGE:
            yield control, body.window(0, _sub_blocks_end(body, 10 + color_table_bytes(body.byte(8))))
            control = None
        else:
            control = body.window(1, 4)


def color_table_bytes(flags: int) -> int:
    """Return the size of the color table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & HAS_COLOR_TABLE else 0


def _blocks(data: Window, offset: int) -> Iterator[tuple[int, Window]]:
    """Yield each image (from its descriptor on) and each graphic control extension (from its length on)."""
    for _ in range(_MAX_BLOCKS):
        offset = data.search(_INTRODUCER, 1, offset)
        kind, body = data.byte(offset), data.window(offset + 1)
        if kind == _TRAILER:
            return
        if kind == _IMAGE:
            yield kind, body
            offset = _sub_blocks_end(data, offset + 11 + color_table_bytes(body.byte(8)))
        else:
            if body.byte(0) == _GRAPHIC_CONTROL:
                yield kind, body.window(1)
            offset = _sub_blocks_end(data, offset + 2)


def _sub_blocks_end(data: Window, offset: int) -> int:
    """Return the offset after a chain of sub-blocks and the empty block that ends it."""
    while True:
        block = data.buffered(offset)
        position, end = 0, len(block)
        while position < end and (length := block[position]):
            position += length + 1
        offset += position
        if position < end:
            return offset + 1
