"""The run lengths of BMP: of 4 and 8 bits, and of 24 bits in files of OS/2.

https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-compression. Pixels that are skipped are black, as in
Chromium 156.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.formats.stream import SourceStream
from thumbsmith.probe.bmp import Layout
from thumbsmith.probe.window import ShortRead

# After a length of zero: what the next byte means, if it is no number of pixels that are told one by one.
_END_OF_ROW, _END_OF_PICTURE, _MOVE = 0, 1, 2
_FEWEST: Final = 3


def rows(stream: SourceStream, found: Layout, palette: bytes) -> Iterator[bytes]:
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
