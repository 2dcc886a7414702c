"""A second try for a source that its decoder refused: without what is wrong besides the picture."""

from __future__ import annotations

from thumbsmith.formats import avif, jpeg_end, png, webp
from thumbsmith.formats.spliced import Spliced
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import ShortRead, Window
from thumbsmith.reader import RangeReader


def mended(reader: RangeReader, probe: Probe) -> RangeReader | None:
    """Return a source as its decoder can read it, None where nothing can be done.

    Raises Rejected, `truncated`, where a part of the picture is missing, and what the reader raises.
    """
    if probe.format == "jpeg" and not probe.first_scan:  # whose scans were not counted
        return jpeg_end.closed(reader)
    if probe.format == "png" and not probe.hidden:
        try:
            return Spliced(reader, ((0, png.data_end(Window.over(reader))),))
        except ShortRead:
            return None
    if probe.format == "webp":
        return webp.picture_alone(reader)
    if probe.format == "avif":
        return avif.described_again(reader, probe)
    return None
