"""GIF without a color table, which Pillow makes gray."""

from __future__ import annotations

from typing import Final

from thumbsmith.formats.patches import GIF_HEADER
from thumbsmith.formats.spliced import Spliced
from thumbsmith.reader import RangeReader

# Where the flags of the logical screen are, the flag of a global table, and the code of its largest size.
_FLAGS: Final = 10
_TABLE: Final = 0x80
_LARGEST: Final = 7


def with_table(reader: RangeReader) -> RangeReader:
    """Return a GIF, which was probed before, with a global color table: of black where it has none, as in browsers.

    GIF89a, 18, leaves open what is shown without one. Raises what the reader raises.
    """
    head = bytearray(reader.read(0, GIF_HEADER))
    if head[_FLAGS] & _TABLE:
        return reader
    head[_FLAGS] |= _TABLE | _LARGEST
    return Spliced(reader, (bytes(head), bytes(3 << (_LARGEST + 1)), (GIF_HEADER, reader.size)))
