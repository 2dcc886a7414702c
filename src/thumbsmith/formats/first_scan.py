"""A progressive JPEG as far as its first scan goes, which holds the mean of every 8 x 8 pixels: ITU-T T.81, annex G."""

from __future__ import annotations

from typing import Final

from thumbsmith.probe.jpeg import segments
from thumbsmith.probe.window import Window
from thumbsmith.reader import BytesReader, RangeReader

_DQT: Final = 0xDB
_SOS: Final = 0xDA
_EOI: Final = b"\xff\xd9"


def alone(reader: RangeReader, end: int) -> BytesReader:
    """Return a JPEG of nothing but the first scan of a source, which ends at `end`, to be decoded at an eighth.

    Where finer detail is not there yet libjpeg guesses at it from the blocks around, and blurs what is decoded at an
    eighth: of 7 photographs at 256 px the worst SSIM was 0.991 with that, 0.994 without, in a half of the time. It
    does not where a quantizer of detail is 0 (`smoothing_ok` in its jdcoefct.c), so all of these are made that; there
    is no detail to multiply by them. Raises what the reader raises. The probe has been over these segments before.
    """
    data = bytearray(reader.read(0, end))
    for marker, body in segments(Window.over(BytesReader(bytes(data)))):
        if marker == _SOS:
            break
        if marker == _DQT:
            _clear(memoryview(data)[body.start : body.start + body.size])
    return BytesReader(bytes(data) + _EOI)


def _clear(tables: memoryview) -> None:
    """Make all quantizers 0 but the first of each table, which is that of the mean: T.81, B.2.4.1."""
    while tables:
        width = 2 if tables[0] >> 4 else 1
        detail = tables[1 + width : 1 + 64 * width]
        detail[:] = bytes(len(detail))
        tables = tables[1 + 64 * width :]
