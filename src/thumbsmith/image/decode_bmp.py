"""BMP of all kinds that its header reader accepts, in bands of rows.

Pillow reads only common kinds: no unusual bit masks, headers of OS/2, offsets of 0, or profiles. What Chromium 156
shows is the reference: a mask of zero gives a black channel, colors beyond the palette and skipped pixels are black.
One thing differs: an image whose alpha is zero everywhere is opaque, not invisible.

Run lengths of 4 and 8 bits, and of 24 bits in files of OS/2:
https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-compression.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.containers.bmp import MAX_PALETTE_COLORS, Layout, read_layout
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream

# Pixels that are decoded at once: each takes a few additional bytes meanwhile.
_BAND_PIXELS: Final = 1 << 16

# Bits per pixel or masks -> Pillow's mode, and Pillow's name of the layout.
_PILLOW_LAYOUTS: Final = {
    1: ("P", "P;1"),
    2: ("P", "P;2"),
    4: ("P", "P;4"),
    8: ("P", "P"),
    24: ("RGB", "BGR"),
    (0xFF0000, 0xFF00, 0xFF, 0): ("RGB", "BGRX"),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000): ("RGBA", "BGRA"),
}


def open_bmp(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return the decoded image of a BMP: P, RGB or RGBA, with its color profile in `info`.

    Raises Rejected as the header reader, ShortRead if the file ends before the image, and what the stream raises.
    """
    found = read_layout(stream.window())
    palette = _read_palette(stream, found)
    if found.run_lengths:
        mode, bands = "RGB", _run_length_bands(stream, found, palette)
    else:
        mode, bands = _mode(found), _bands(stream, found, palette)
    image = Image.new(mode, (found.width, found.height))
    if mode == "P":
        image.putpalette(palette)
    done = 0
    for band in bands:
        top = done if found.top_down else found.height - done - band.height
        image.paste(band, (0, top))
        done += band.height
    if mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        image.putalpha(255)
    if found.profile:
        stream.seek(found.profile[0])
        image.info["icc_profile"] = stream.read(found.profile[1])
    return image


def _read_palette(stream: SourceStream, found: Layout) -> bytes:
    """Return 256 colors, in RGB: those of the palette, then black."""
    start, length = found.palette
    stream.seek(start)
    table = stream.read(length)
    stream.exhausted = False  # a palette may be cut; pixels may not
    colors = bytearray(3 * MAX_PALETTE_COLORS)
    for channel in range(3):
        levels = table[2 - channel :: found.color_bytes]
        colors[channel : channel + 3 * len(levels) : 3] = levels
    return bytes(colors)


def _mode(found: Layout) -> str:
    if found.masks:
        return "RGBA" if found.masks[3] else "RGB"
    return "P" if found.bits <= 8 else "RGB"


def _bands(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[Image.Image]:
    """Yield uncompressed rows, in the order of the file. Within each band the first row is the top."""
    stride = -(-found.width * found.bits // 32) * 4
    padding = stride - -(-found.width * found.bits // 8)
    count = max(1, _BAND_PIXELS // found.width)
    pillow_layout = _PILLOW_LAYOUTS.get(found.masks or found.bits)
    masks = found.masks or (0, 0, 0, 0)
    channels = [] if pillow_layout else [_Channel(mask) for mask in masks[: 4 if masks[3] else 3]]
    stream.seek(found.pixels)
    for first in range(0, found.height, count):
        rows = min(count, found.height - first)
        data = stream.read(stride * rows)
        last = first + rows == found.height
        if len(data) < stride * rows - padding * last:
            raise ShortRead
        data = data.ljust(stride * rows, b"\0")
        size = (found.width, rows)
        if pillow_layout:
            band = Image.frombytes(pillow_layout[0], size, data, "raw", pillow_layout[1], stride, 1)
        else:
            band = Image.merge(_mode(found), [each.decode(data, found, rows, stride) for each in channels])
        if band.mode == "P":
            band.putpalette(palette)
        yield band if found.top_down else band.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _run_length_bands(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[Image.Image]:
    """Yield compressed rows, as `_bands` does."""
    count = max(1, _BAND_PIXELS // found.width)
    stream.seek(found.pixels)
    band: list[bytes] = []
    left = found.height
    for row in _run_length_rows(stream, found, palette):
        band.append(row)
        if len(band) == min(count, left):
            rows = band if found.top_down else band[::-1]
            yield Image.frombytes("RGB", (found.width, len(band)), b"".join(rows))
            left -= len(band)
            band = []


class _Channel:
    """The channel of one mask: two adjacent bytes contain its 8 highest bits, `levels` maps them to 8 bits."""

    def __init__(self, mask: int) -> None:
        low, high = (mask & -mask).bit_length() - 1, mask.bit_length()
        width = min(8, high - low)
        self.present = bool(mask)
        self.byte = (high - width) // 8 if mask else 0
        shift, top = high - width - 8 * self.byte, (1 << width) - 1
        self.levels = [(((pair >> shift) & top) * 255 + top // 2) // top for pair in range(1 << 16)] if mask else []

    def decode(self, data: bytes, found: Layout, rows: int, stride: int) -> Image.Image:
        """Return this channel of some rows."""
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


# After a length of zero: the meaning of the next byte. Values from 3 on are a number of single pixels that follow.
_END_OF_IMAGE, _MOVE = 1, 2
_MIN_SINGLE_PIXELS: Final = 3


def _run_length_rows(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[bytes]:
    """Yield each row in RGB, in the order of the file. Pixels beyond a row or the last row are ignored.

    Raises ShortRead if the data end before the last pixel and without an end mark, and what the stream raises.
    """
    width, bits = found.width, found.bits
    row, column, done = bytearray(3 * width), 0, 0

    def put(colors: bytes) -> int:
        """Write colors into the row; return the column after them."""
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
        elif value[0] >= _MIN_SINGLE_PIXELS:
            column = put(_single_pixels(stream, value[0], bits, palette))
        else:
            right = down = 0
            if value[0] == _MOVE:
                step = stream.read(2)
                if len(step) < 2:
                    raise ShortRead
                right, down = step
            elif value[0] == _END_OF_IMAGE:
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
    stream.exhausted = False  # the end mark may be missing


def _run(stream: SourceStream, count: int, value: bytes, bits: int, palette: bytes) -> bytes:
    """Return a run of one color; with 4 bits, of two colors in turn."""
    if bits == 24:
        rest = stream.read(2)
        if len(rest) < 2:
            raise ShortRead
        return (value + rest)[::-1] * count
    if bits == 8:
        return palette[3 * value[0] : 3 * value[0] + 3] * count
    return _colors(value * -(-count // 2), count, bits, palette)


def _single_pixels(stream: SourceStream, count: int, bits: int, palette: bytes) -> bytes:
    """Return single pixels. They are padded to an even number of bytes."""
    length = -(-count * bits // 8)
    data = stream.read(length)
    stream.read(length & 1)
    if len(data) < length:
        raise ShortRead
    return _colors(data, count, bits, palette)


def _colors(data: bytes, count: int, bits: int, palette: bytes) -> bytes:
    if bits == 24:
        return b"".join(data[start : start + 3][::-1] for start in range(0, len(data), 3))
    indexes = data if bits == 8 else bytes(nibble for byte in data for nibble in (byte >> 4, byte & 15))
    return b"".join(palette[3 * index : 3 * index + 3] for index in indexes[:count])
