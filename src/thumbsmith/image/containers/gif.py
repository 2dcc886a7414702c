"""GIF: the canvas, and the frames, counted by walking the blocks.

GIF89a, https://www.w3.org/Graphics/GIF/spec-gif89a.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import MAX_FRAMES, Probe, ShortRead, Window

_EXTENSION, _IMAGE, _TRAILER = b"!,;"
_GRAPHIC_CONTROL: Final = 0xF9

# Bytes between blocks that begin none are passed over, as Pillow does.
_INTRODUCER: Final = re.compile(b"[!,;]")

# Frames have a block before them, and comments are few.
_MAX_BLOCKS: Final = 4 * MAX_FRAMES


def read(data: Window) -> Probe:
    """Return what a GIF says. Raises Rejected(corrupt) for one without a picture, ShortRead for one cut before it.

    The size is the one Pillow decodes the first frame to: the logical screen, made larger where that frame reaches
    outside it. `alpha` is set where a frame has a transparent colour, or the first leaves a part of the canvas free.
    `frames` counts those that are there, to MAX_FRAMES; what is missing from the last one is for the decoder to judge.
    """
    canvas_width, canvas_height, packed = data.unpack("<HHB", 6)
    first, frames, transparent = None, 0, False
    try:
        for kind, body in _blocks(data, 13 + color_table(packed)):
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
        interlaced=bool(flags & 0x40),
    )


def frames(data: Window) -> Iterator[tuple[Window | None, Window]]:
    """Yield each frame: its graphic control (flags, delay, transparent colour) where it has one, and its image.

    The image is from the descriptor on, without its introducer, to the end of its data. Raises ShortRead for one that
    is cut.
    """
    control = None
    for kind, body in _blocks(data, 13 + color_table(data.byte(10))):
        if kind == _IMAGE:
            yield control, body.window(0, _after_sub_blocks(body, 10 + color_table(body.byte(8))))
            control = None
        else:
            control = body.window(1, 4)


def _blocks(data: Window, offset: int) -> Iterator[tuple[int, Window]]:
    """Yield each image (from its descriptor on) and each graphic control extension (from its length on)."""
    for _ in range(_MAX_BLOCKS):
        offset = data.search(_INTRODUCER, 1, offset)
        kind, body = data.byte(offset), data.window(offset + 1)
        if kind == _TRAILER:
            return
        if kind == _IMAGE:
            yield kind, body
            offset = _after_sub_blocks(data, offset + 11 + color_table(body.byte(8)))
        else:
            if body.byte(0) == _GRAPHIC_CONTROL:
                yield kind, body.window(1)
            offset = _after_sub_blocks(data, offset + 2)


def color_table(packed: int) -> int:
    """Return how many bytes the colour table that a packed field announces takes."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _after_sub_blocks(data: Window, offset: int) -> int:
    """Return the offset after a chain of sub-blocks and the empty one that ends it."""
    while True:
        block = data.ahead(offset)
        position, end = 0, len(block)
        while position < end and (length := block[position]):
            position += length + 1
        offset += position
        if position < end:
            return offset + 1
