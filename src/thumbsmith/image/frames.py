"""The frames of an animation as displayed: each contains what earlier frames left on the canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import canvas, decode_heic, decode_webp
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.decode import DecodedImage, image_colors
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.opening import open_image, translate_decoder_errors
from thumbsmith.image.pillow import Image
from thumbsmith.image.prepare import with_color_table
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import RangeReader

INFINITE: Final = 0

# The longest time that a GIF can say, about 11 minutes. That of all frames that are counted (MAX_FRAMES) then fits into
# the 31 bits of libwebp's times.
MAX_MILLISECONDS: Final = 655_350.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame: its picture, its duration in milliseconds, and how often the animation plays (0: without end)."""

    base: DecodedImage
    duration: float
    plays: int


def frames(reader: RangeReader, probe: Probe) -> Iterator[Frame]:
    """Yield the frames of a source, in full size. Raises as `decode`, and Rejected(truncated) for a missing frame."""
    if probe.format == "webp" and probe.alpha:
        reader = decode_webp.announce_alpha(reader, alpha=True, frames=probe.frames)
    if probe.format == "gif":
        reader = with_color_table(reader)
    stream = SourceStream(reader)
    with translate_decoder_errors(stream):
        image = open_image(stream, probe)
        number = 0
        for picture, duration in _displayed_frames(stream, image, probe):
            number += 1
            yield Frame(base=_base(picture, image, probe), duration=min(duration, MAX_MILLISECONDS), plays=plays(image))
        if number < probe.frames:
            raise Rejected(Code.TRUNCATED, f"the file has {number} of {probe.frames} frames")


def plays(image: Image.Image) -> int:
    """Return how often an animation plays, 0 for without end.

    WebP (RFC 9649, 2.7.1.1) and PNG (third edition, 11.3.6.1) contain this number. A GIF contains the number of
    repetitions, and plays once without it. The decoders of AVIF and HEIC do not return it.
    """
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else INFINITE
    return int(loop or INFINITE)


def _displayed_frames(stream: SourceStream, image: Image.Image, probe: Probe) -> Iterator[tuple[Image.Image, float]]:
    """Yield the picture of each frame, and its duration in milliseconds."""
    if probe.format in canvas.FRAME_READERS:
        yield from canvas.composed(stream, probe)
        return
    if probe.format == "heic":
        yield from decode_heic.frames(stream, probe)
        return
    for number in range(probe.frames):
        image.seek(number)
        image.load()
        yield normalize_mode(image.copy(), probe.depth), float(image.info.get("duration", 0))


def _base(picture: Image.Image, image: Image.Image, probe: Probe) -> DecodedImage:
    colors = image_colors(image, picture.mode, probe)
    return DecodedImage(
        image=picture,
        shrink=(1, 1),
        orientation=1 if SOURCE_FORMATS[probe.format].orients else probe.orientation,
        to_srgb=colors.to_srgb,
        own=picture if colors.profile else None,
        to_own=colors.to_own,
        profile=colors.profile,
        note=colors.note,
    )
