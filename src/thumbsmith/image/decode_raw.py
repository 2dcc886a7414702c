"""Camera raw: the JPEG in the file if it is large enough, else the data of the sensor at half size, by LibRaw."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Final

from thumbsmith.image.containers.base import Probe, Window
from thumbsmith.image.containers.raw import Preview, find_preview
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream, Spliced
from thumbsmith.reader import RangeReader

# A preview with this share of the required pixels on each axis is enough: LibRaw's picture has other colors than the
# camera's, and takes many times as long.
_ENOUGH: Final = 0.95


def preview(reader: RangeReader, probe: Probe, reduction: float) -> tuple[RangeReader, Probe, float] | None:
    """Return the JPEG in a raw file, its probe with the orientation of the photograph, and how much smaller it is.

    None if fewer than the required pixels are in it. Raises Rejected, ShortRead, and what the reader raises.
    """
    found: Preview = find_preview(Window.over(reader))
    if found.larger > 1 and found.probe.width < _ENOUGH * probe.width / reduction:
        return None
    part = Spliced(reader, ((found.offset, found.offset + found.length),))
    return part, replace(found.probe, orientation=found.orientation), found.larger


def open_raw(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the photograph at half of its size, RGB in sRGB, not oriented. Raises what LibRaw and the stream raise."""
    import rawpy  # noqa: PLC0415 - an optional package

    stream.seek(0)
    with rawpy.imread(BytesIO(stream.read())) as raw:
        pixels = raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0, output_bps=8)
    size = (max(1, probe.width // 2), max(1, probe.height // 2))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)  # a sensor has a few more pixels


def load_library() -> None:
    """Load LibRaw, which needs files, and what its package imports for the first photograph."""
    import multiprocessing  # noqa: F401, PLC0415 - only where rawpy is installed

    import rawpy  # noqa: F401, PLC0415 - an optional package
