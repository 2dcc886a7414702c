"""A source as its decoder gets it: without parts that the decoder fails on, and with parts that it misses."""

from __future__ import annotations

from typing import Final

from thumbsmith.image import decode_avif, decode_jpeg, decode_png, decode_webp
from thumbsmith.image.containers import gif
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.stream import Spliced
from thumbsmith.reader import RangeReader

# The number of colors in the largest color table of a GIF, as its flags write it: 2 ** (7 + 1).
_LARGEST_TABLE: Final = 7


def prepare(reader: RangeReader, probe: Probe) -> RangeReader:
    """Return a source for the first try of its decoder. Raises what the reader raises."""
    if probe.format == "png" and not probe.hidden:
        return decode_png.without_metadata(reader)
    if probe.format == "avif":
        return decode_avif.without_metadata(reader)
    if probe.format == "gif":
        return with_color_table(reader)
    return decode_jpeg.first_scan_only(reader, probe.first_scan) if probe.first_scan else reader


def repair(reader: RangeReader, probe: Probe) -> RangeReader | None:
    """Return a source that its decoder refused for a second try, None if there is no way to repair it.

    Raises Rejected(truncated) if a part of the picture is missing, and what the reader raises.
    """
    if probe.format == "jpeg" and not probe.first_scan:  # with first_scan, scans were not counted
        return decode_jpeg.complete_picture(reader)
    if probe.format == "png" and not probe.hidden:
        return decode_png.up_to_data_end(reader)
    if probe.format == "webp":
        return decode_webp.picture_only(reader)
    if probe.format == "avif":
        return decode_avif.described_again(reader, probe)
    return None


def with_color_table(reader: RangeReader) -> RangeReader:
    """Return a GIF, which was probed before, with a global color table: a black one if it has none, as in browsers.

    GIF89a, 18, does not define what is displayed without one; Pillow makes such a GIF gray. Raises what the reader
    raises.
    """
    header = bytearray(reader.read(0, gif.HEADER_BYTES))
    if header[gif.SCREEN_FLAGS] & gif.HAS_COLOR_TABLE:
        return reader
    header[gif.SCREEN_FLAGS] |= gif.HAS_COLOR_TABLE | _LARGEST_TABLE
    table = bytes(gif.color_table_bytes(header[gif.SCREEN_FLAGS]))
    return Spliced(reader, (bytes(header), table, (gif.HEADER_BYTES, reader.size)))
