"""The run lengths of BMP: of 4 and 8 bits, and of 24 bits in files of OS/2.

https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-compression. Pixels that are skipped are black, as in
Chromium 156.

BMP of all kinds that the probe lets through, in bands of rows.

Pillow reads the usual kinds only: no bit masks of other layouts, headers of OS/2, offsets of 0, or profiles. What
Chromium 156 shows is the reference: a mask of zero gives a black channel, colors beyond the palette and pixels that
run lengths skip are black. One thing differs: where alpha is zero everywhere the picture is opaque, not invisible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.image.containers.base import ShortRead
from thumbsmith.image.containers.bmp import Layout, layout
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream

# After a length of zero: what the next byte means, if it is no number of pixels that are told one by one.
_END_OF_ROW, _END_OF_PICTURE, _MOVE = 0, 1, 2
_FEWEST: Final = 3


def run_length_rows(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[bytes]:
    """Yield each row in RGB, in the order of the file. Pixels beyond a row or the last row are left out.

    Raises ShortRead where the data end before the picture, and neither an end is marked nor all pixels are there; and
    what the stream raises.
    """
    width, bits = found.width, found.bits
    row, column, done = bytearray(3 * width), 0, 0

    def put(colors: bytes) -> int:
        """Write colors into the row; return the column behind them."""
        row[3 * column : 3 * width] = (colors + row[3 * column + len(colors) :])[: len(row) - 3 * column]
        return min(width, column + len(colors) // 3)

    while done < found.height:
        length, value = stream.read(1), stream.read(1)
        if not value:
            if done == found.height - 1 and column >= width:
                break
            raise ShortRead
        if length[0]:
            column = put(_run(stream, length[0], value, bits, palette))
        elif value[0] >= _FEWEST:
            column = put(_told(stream, value[0], bits, palette))
        else:
            right = down = 0
            if value[0] == _MOVE:
                step = stream.read(2)
                if len(step) < 2:
                    raise ShortRead
                right, down = step
            elif value[0] == _END_OF_PICTURE:
                break
            else:
                down, column = 1, 0
            column = min(width, column + right)
            for _ in range(min(down, found.height - done)):
                yield bytes(row)
                row, done = bytearray(3 * width), done + 1
    for _ in range(found.height - done):
        yield bytes(row)
        row = bytearray(3 * width)
    stream.exhausted = False  # the end need not be marked


def _run(stream: SourceStream, count: int, value: bytes, bits: int, palette: bytes) -> bytes:
    """Return a run of one color, of 4 bits of two in turn."""
    if bits == 24:
        rest = stream.read(2)
        if len(rest) < 2:
            raise ShortRead
        return (value + rest)[::-1] * count
    if bits == 8:
        return palette[3 * value[0] : 3 * value[0] + 3] * count
    return _colors(value * -(-count // 2), count, bits, palette)


def _told(stream: SourceStream, count: int, bits: int, palette: bytes) -> bytes:
    """Return pixels that are told one by one; they fill an even number of bytes."""
    length = -(-count * bits // 8)
    data = stream.read(length)
    stream.read(length & 1)
    if len(data) < length:
        raise ShortRead
    return _colors(data, count, bits, palette)


def _colors(data: bytes, count: int, bits: int, palette: bytes) -> bytes:
    if bits == 24:
        return b"".join(data[place : place + 3][::-1] for place in range(0, len(data), 3))
    indexes = data if bits == 8 else bytes(nibble for byte in data for nibble in (byte >> 4, byte & 15))
    return b"".join(palette[3 * index : 3 * index + 3] for index in indexes[:count])


# Pixels that are unpacked at once: each takes a few bytes more while it is.
_BAND: Final = 1 << 16

_MOST_COLORS: Final = 256

# Pillow's mode and the name of the layout, by bits a pixel, and masks.
_LAYOUTS: Final = {
    1: ("P", "P;1"),
    2: ("P", "P;2"),
    4: ("P", "P;4"),
    8: ("P", "P"),
    24: ("RGB", "BGR"),
    (0xFF0000, 0xFF00, 0xFF, 0): ("RGB", "BGRX"),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000): ("RGBA", "BGRA"),
}


def read(stream: SourceStream) -> Image.Image:
    """Return the picture of a BMP: P, RGB or RGBA, with its color profile in `info`.

    Raises Rejected as the probe, ShortRead where the file ends before the picture, and what the stream raises.
    """
    found = layout(stream.window())
    palette = _palette(stream, found)
    if found.run_lengths:
        mode, bands = "RGB", _run_length_bands(stream, found, palette)
    else:
        mode, bands = _mode(found), _bands(stream, found, palette)
    image = Image.new(mode, (found.width, found.height))
    if mode == "P":
        image.putpalette(palette)
    place = 0
    for band in bands:
        top = place if found.top_down else found.height - place - band.height
        image.paste(band, (0, top))
        place += band.height
    if mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        image.putalpha(255)
    if found.profile:
        stream.seek(found.profile[0])
        image.info["icc_profile"] = stream.read(found.profile[1])
    return image


def _palette(stream: SourceStream, found: Layout) -> bytes:
    """Return the colors of the palette, RGB, black behind the last."""
    start, length = found.palette
    stream.seek(start)
    table = stream.read(length)
    stream.exhausted = False  # a palette may be cut: it is the pixels that must be there
    colors = bytearray(3 * _MOST_COLORS)
    for channel in range(3):
        levels = table[2 - channel :: found.entry]
        colors[channel : channel + 3 * len(levels) : 3] = levels
    return bytes(colors)


def _mode(found: Layout) -> str:
    if found.masks:
        return "RGBA" if found.masks[3] else "RGB"
    return "P" if found.bits <= 8 else "RGB"


def _bands(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[Image.Image]:
    """Yield rows that are not compressed, in the order of the file, each band the right way up."""
    stride = -(-found.width * found.bits // 32) * 4
    padding = stride - -(-found.width * found.bits // 8)
    count = max(1, _BAND // found.width)
    usual = _LAYOUTS.get(found.masks or found.bits)
    masks = found.masks or (0, 0, 0, 0)
    channels = [] if usual else [_Channel(mask) for mask in masks[: 4 if masks[3] else 3]]
    stream.seek(found.pixels)
    for first in range(0, found.height, count):
        rows = min(count, found.height - first)
        data = stream.read(stride * rows)
        last = first + rows == found.height
        if len(data) < stride * rows - padding * last:
            raise ShortRead
        data = data.ljust(stride * rows, b"\0")
        size = (found.width, rows)
        if usual:
            band = Image.frombytes(usual[0], size, data, "raw", usual[1], stride, 1)
        else:
            band = Image.merge(_mode(found), [each.unpacked(data, found, rows, stride) for each in channels])
        if band.mode == "P":
            band.putpalette(palette)
        yield band if found.top_down else band.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _run_length_bands(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[Image.Image]:
    """Yield rows that are compressed, as `_bands` does."""
    count = max(1, _BAND // found.width)
    stream.seek(found.pixels)
    made: list[bytes] = []
    left = found.height
    for row in run_length_rows(stream, found, palette):
        made.append(row)
        if len(made) == min(count, left):
            rows = made if found.top_down else made[::-1]
            yield Image.frombytes("RGB", (found.width, len(made)), b"".join(rows))
            left -= len(made)
            made = []


class _Channel:
    """The channel at one mask: two neighboring bytes of a pixel hold its 8 highest bits; `levels` translates them."""

    def __init__(self, mask: int) -> None:
        low, high = (mask & -mask).bit_length() - 1, mask.bit_length()
        width = min(8, high - low)
        self.present = bool(mask)
        self.byte = (high - width) // 8 if mask else 0
        shift, top = high - width - 8 * self.byte, (1 << width) - 1
        self.levels = [(((pair >> shift) & top) * 255 + top // 2) // top for pair in range(1 << 16)] if mask else []

    def unpacked(self, data: bytes, found: Layout, rows: int, stride: int) -> Image.Image:
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
