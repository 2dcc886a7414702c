"""BMP whose channels lie at bit masks of any width and place, which Pillow reads for some layouts only.

https://learn.microsoft.com/en-us/windows/win32/api/wingdi/ns-wingdi-bitmapv5header. What a browser shows is the
reference: a mask of zero gives a black channel, and alpha that is zero everywhere is no alpha (Chromium).
"""

from __future__ import annotations

from typing import Final

from thumbsmith.formats.pillow import Image
from thumbsmith.formats.stream import SourceStream
from thumbsmith.probe.bmp import Fields, bit_fields
from thumbsmith.probe.window import ShortRead

# Pixels that are unpacked at once: each takes a few bytes more while it is.
_BAND: Final = 1 << 16


def read(stream: SourceStream) -> Image.Image | None:
    """Return the picture of a BMP with bit masks, RGB or RGBA; None for a BMP without them.

    Raises ShortRead where the file ends before the picture, and what the stream raises.
    """
    found = bit_fields(stream.window())
    if found is None:
        return None
    size = (found.width, found.height)
    masks = found.masks if found.masks[3] else found.masks[:3]
    image = Image.new("RGB" if len(masks) == 3 else "RGBA", size)
    channels = [_Channel(mask) for mask in masks]
    stride = -(-found.width * found.bits // 32) * 4
    count = max(1, _BAND // found.width)
    stream.seek(found.offset)
    for first in range(0, found.height, count):
        rows = min(count, found.height - first)
        data = stream.read(stride * rows)
        if len(data) < stride * rows:
            raise ShortRead
        band = Image.merge(image.mode, [each.unpacked(data, found, rows, stride) for each in channels])
        if not found.top_down:
            band = band.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        image.paste(band, (0, first if found.top_down else found.height - first - rows))
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        image.putalpha(255)
    return image


class _Channel:
    """The channel at one mask: two neighboring bytes of a pixel hold its 8 highest bits; `levels` translates them."""

    def __init__(self, mask: int) -> None:
        low, high = (mask & -mask).bit_length() - 1, mask.bit_length()
        width = min(8, high - low)
        self.present = bool(mask)
        self.byte = (high - width) // 8 if mask else 0
        shift, top = high - width - 8 * self.byte, (1 << width) - 1
        self.levels = [(((pair >> shift) & top) * 255 + top // 2) // top for pair in range(1 << 16)] if mask else []

    def unpacked(self, data: bytes, found: Fields, rows: int, stride: int) -> Image.Image:
        """Return the channel of these rows."""
        size = (found.width, rows)
        if not self.present:
            return Image.new("L", size)
        step, line = found.bits // 8, stride // (found.bits // 8)
        pairs = bytearray(2 * line * rows)
        pairs[0::2] = data[self.byte :: step]
        if self.byte + 1 < step:
            pairs[1::2] = data[self.byte + 1 :: step]
        whole = Image.frombytes("I;16", (line, rows), bytes(pairs)).convert("I")
        return whole.point(self.levels, "L").crop((0, 0, *size))
