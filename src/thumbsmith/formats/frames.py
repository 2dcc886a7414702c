"""The frames of an animation, each as it is seen: what earlier ones left on the canvas is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import Image

from thumbsmith.formats.decoding import Base, opened, understood, verdict
from thumbsmith.formats.stream import SourceStream
from thumbsmith.probe.types import Probe
from thumbsmith.reader import RangeReader

FOR_EVER: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame: its picture, the milliseconds that it is shown, and how often all of them are, 0 for ever."""

    base: Base
    duration: float
    plays: int


def frames(reader: RangeReader, probe: Probe) -> Iterator[Frame]:
    """Yield the frames of a source, in full size. Raises as `decoding.decode` does, where a frame is missing too."""
    stream = SourceStream(reader)
    with verdict(stream):
        image = opened(stream, probe)
        # A PNG may hold a picture that is no part of its animation, for those who show none.
        first = int(bool(image.info.get("default_image")))
        for number in range(first, first + probe.frames):
            image.seek(number)
            image.load()
            yield Frame(base=_base(image, probe), duration=float(image.info.get("duration", 0)), plays=plays(image))


def _base(image: Image.Image, probe: Probe) -> Base:
    # Decoders paint the next frame over the one that they hand out.
    found, colors = understood(image.copy(), probe)
    return Base(
        image=found,
        shrink=1,
        orientation=probe.orientation,
        to_srgb=colors.to_srgb,
        own=found if colors.profile else None,
        profile=colors.profile,
        note=colors.note,
    )


def plays(image: Image.Image) -> int:
    """Return how often an animation is to be shown, 0 for ever.

    WebP (RFC 9649, 2.7.1.1) and PNG (third edition, 11.3.6.1) say that themselves. A GIF says how often it is to be
    repeated, and is shown once where it does not. Of an AVIF no decoder here tells.
    """
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else FOR_EVER
    return int(loop or FOR_EVER)
