"""The frames of an animation, each as it is seen: what earlier ones left on the canvas is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import canvas
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers import webp
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.decode import DecodedImage, image_colors
from thumbsmith.image.opening import open_image, translate_decoder_errors
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import RangeReader

FOR_EVER: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame: its picture, the milliseconds that it is shown, and how often all of them are, 0 for ever."""

    base: DecodedImage
    duration: float
    plays: int


def frames(reader: RangeReader, probe: Probe) -> Iterator[Frame]:
    """Yield the frames of a source, in full size. Raises as `decoding.decode` does, where a frame is missing too."""
    if probe.format == "webp" and probe.alpha:
        reader = webp.revealed(reader, alpha=True)
    if probe.format == "gif":
        reader = canvas.with_table(reader)
    stream = SourceStream(reader)
    with translate_decoder_errors(stream):
        image = open_image(stream, probe)
        number = 0
        for picture, duration in _shown(stream, image, probe):
            number += 1
            yield Frame(base=_base(picture, image, probe), duration=duration, plays=plays(image))
        if number < probe.frames:
            raise Rejected(Code.TRUNCATED, f"of {probe.frames} frames there are {number}")


def plays(image: Image.Image) -> int:
    """Return how often an animation is to be shown, 0 for ever.

    WebP (RFC 9649, 2.7.1.1) and PNG (third edition, 11.3.6.1) say that themselves. A GIF says how often it is to be
    repeated, and is shown once where it does not. Of an AVIF no decoder here tells.
    """
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else FOR_EVER
    return int(loop or FOR_EVER)


def _shown(stream: SourceStream, image: Image.Image, probe: Probe) -> Iterator[tuple[Image.Image, float]]:
    """Yield each frame's picture, and for how long it is shown."""
    if probe.format in canvas.PATCHES:
        yield from canvas.composed(stream, probe)
        return
    for number in range(probe.frames):
        image.seek(number)
        image.load()
        yield normalize_mode(image.copy(), probe.depth), float(image.info.get("duration", 0))


def _base(picture: Image.Image, image: Image.Image, probe: Probe) -> DecodedImage:
    colors = image_colors(image, picture.mode, probe)
    return DecodedImage(
        image=picture,
        shrink=1,
        orientation=probe.orientation,
        to_srgb=colors.to_srgb,
        own=picture if colors.profile else None,
        profile=colors.profile,
        note=colors.note,
    )
