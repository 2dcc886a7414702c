"""Frames laid over one another, as the specifications of GIF and PNG have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.formats.mending import mended
from thumbsmith.formats.modes import to_plain
from thumbsmith.formats.opening import opened, verdict
from thumbsmith.formats.patches import Disposal, Patch, gif_patches, png_patches
from thumbsmith.formats.pillow import Image
from thumbsmith.formats.stream import SourceStream
from thumbsmith.probe.types import Probe
from thumbsmith.reader import BytesReader, RangeReader

PATCHES: Final = {"gif": gif_patches, "png": png_patches}


def first(stream: SourceStream, probe: Probe) -> Image.Image | None:
    """Return the first frame of a GIF or PNG on its canvas, in RGBA; None where an animation has none."""
    return next((picture for picture, _ in composed(stream, probe)), None)


def composed(stream: SourceStream, probe: Probe) -> Iterator[tuple[Image.Image, float]]:
    """Yield what a GIF or PNG shows, frame by frame, in RGBA, and for how many milliseconds."""
    canvas = Image.new("RGBA", (probe.width, probe.height))
    for number, patch in enumerate(_patches(stream, probe)):
        picture = _picture(patch, probe)
        before = canvas.copy() if patch.disposal is Disposal.RESTORE else canvas
        place = (patch.left, patch.top, patch.left + patch.size[0], patch.top + patch.size[1])
        if patch.over:
            picture = Image.alpha_composite(canvas.crop(place), picture)
        canvas.paste(picture, place)
        yield canvas.copy(), patch.duration
        if patch.disposal is Disposal.CLEAR or (patch.disposal is Disposal.RESTORE and number == 0):
            canvas.paste((0, 0, 0, 0), place)
        else:
            canvas = before


def _patches(stream: SourceStream, probe: Probe) -> Iterable[Patch]:
    return islice(PATCHES[probe.format](stream.window()), probe.frames)


def _picture(patch: Patch, probe: Probe) -> Image.Image:
    """Return the picture of one patch. One that is larger than the canvas was not judged, and is refused."""
    width, height = patch.size
    if width > probe.width or height > probe.height:
        raise Rejected(Code.CORRUPT, f"a frame is {width}x{height}, on a canvas of {probe.width}x{probe.height}")
    if not (width and height):
        return Image.new("RGBA", patch.size)
    return _decoded(BytesReader(patch.file), replace(probe, hidden=False)).convert("RGBA")


def _decoded(file: RangeReader, probe: Probe) -> Image.Image:
    try:
        return _loaded(file, probe)
    except Rejected:
        whole = mended(file, probe)
        if whole is None:
            raise
    return _loaded(whole, probe)


def _loaded(file: RangeReader, probe: Probe) -> Image.Image:
    stream = SourceStream(file)
    with verdict(stream):
        image = opened(stream, probe)
        image.load()
        return to_plain(image, probe.depth)
