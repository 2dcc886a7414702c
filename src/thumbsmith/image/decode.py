"""Bytes to picture: each source is decoded once, at the smallest scale that serves what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thumbsmith.errors import Rejected
from thumbsmith.image import canvas, color, decode_avif, decode_png, repair, shrink_on_load, transfer, vips_stream
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers import webp
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.geometry import DCT_MARGIN, decoder_shrink
from thumbsmith.image.limits import MAX_FULL_DECODE_PIXELS
from thumbsmith.image.opening import ORIENTED_BY_DECODER, check_size, open_image, translate_decoder_errors
from thumbsmith.image.pillow import Image
from thumbsmith.image.shrink_on_load import at_level, preview
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.transform import drop_opaque_alpha
from thumbsmith.reader import RangeReader

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """A decoded source: the picture that all renditions are made from.

    `image` is L, LA, RGB, RGBA, CMYK or LAB; `shrink` of the source's pixels make one of its own, on each axis;
    `orientation` is the turn that is still to be made, `to_srgb` the conversion of its colours, where there is one.
    `own` is the same in the source's colours, of which `profile` tells, where they are other RGB; `note` a sentence on
    what was ignored.
    """

    image: Image.Image
    shrink: float
    orientation: int
    to_srgb: ImageCmsTransform | None
    own: Image.Image | None = None
    profile: bytes | None = None
    note: str | None = None

    def in_own_colors(self) -> DecodedImage:
        """Return the source in its own colours; itself where these are no others."""
        return self if self.own is None else replace(self, image=self.own, to_srgb=None)


def decode(reader: RangeReader, probe: Probe, reduction: float) -> DecodedImage:
    """Return the source's first picture, where at most every `reduction`-th pixel of each axis is needed.

    Raises Rejected where the file is cut short (its end was reached while more was needed) or broken in another way;
    MissingDecoder; MemoryError; and what the reader raises, whatever the decoder made of it.
    """
    try:
        return _decoded(reader, probe, reduction)
    except Rejected:
        whole = repair.mended(reader, probe)
        if whole is None:
            raise
    return _decoded(whole, probe, reduction)


def _decoded(reader: RangeReader, probe: Probe, reduction: float) -> DecodedImage:
    """Return the source's first picture, as `decode` does, from a source whose decoder finds no fault in it."""
    shrink = decoder_shrink(probe, reduction)
    if probe.format == "tiff":
        reader, probe = at_level(reader, probe, shrink)
    source = prepared(reader, probe)
    stream = SourceStream(webp.revealed(source, alpha=probe.alpha) if probe.format == "webp" else source)
    with translate_decoder_errors(stream):
        image, colors, scale = _loaded(stream, probe, shrink, reduction)
        doubtful = probe.format == "jpeg" and repair.is_doubtful(image, stream, probe)
        own, to_srgb = image, colors.to_srgb
        scaled = probe.format == "jpeg" and shrink > 1 and not probe.first_scan  # of which there is nothing finer
        if (
            scaled
            and image.mode != "CMYK"
            and probe.width * probe.height <= MAX_FULL_DECODE_PIXELS
            and color.is_clipped(image, to_srgb)
        ):
            del image, own  # the next takes all the memory there is for one
            image, own = _finely(stream, probe, shrink)
            to_srgb = None
    if doubtful:
        repair.closed(reader)
    if to_srgb and image.mode == "CMYK":  # inks do not mix as light does: an average of them has another colour
        count = max(1, int(reduction / scale / DCT_MARGIN))
        image, scale, to_srgb = color.convert_colors(image.reduce(count), to_srgb), scale * count, None
    return DecodedImage(
        image=image,
        shrink=scale,
        orientation=1 if probe.format in ORIENTED_BY_DECODER else probe.orientation,
        to_srgb=to_srgb,
        own=own if colors.profile else None,
        profile=colors.profile,
        note=colors.note,
    )


def prepared(reader: RangeReader, probe: Probe) -> RangeReader:
    """Return a source without what its decoder need not see, or with what it misses."""
    if probe.format == "png" and not probe.hidden:
        return decode_png.plain(reader)
    if probe.format == "avif":
        return decode_avif.plain(reader)
    if probe.format == "gif":
        return canvas.with_table(reader)
    return shrink_on_load.alone(reader, probe.first_scan) if probe.first_scan else reader


def _loaded(
    stream: SourceStream, probe: Probe, shrink: int, reduction: float = 1.0
) -> tuple[Image.Image, color.Colors, float]:
    """Return the decoded picture, what its colours mean, and what its sides were divided by: of a JPEG, `shrink`."""
    if small_webp := vips_stream.load_webp_shrunk(stream, probe, reduction):
        made, profile, scale = small_webp
        colors = color.interpret_color(profile, made.mode)
        # libwebp averages before it cuts off what RGB cannot hold, as a JPEG decoder does at a DCT scale.
        if not color.is_clipped(made, colors.to_srgb):
            return made, colors, scale
    stream.seek(0)
    if probe.format == "avif":
        decode_avif.check_ends(stream)
        stream.seek(0)
    image = open_image(stream, probe)
    check_size(image, probe)
    laid = probe.hidden or (probe.format == "gif" and probe.alpha)
    if laid and (frame := canvas.first(stream, probe)):
        return frame, image_colors(image, "RGBA", probe), 1
    if probe.format == "heic" and (small := preview(stream, probe, reduction)):
        # Its own thumbnail stands for it.
        return small, image_colors(image, small.mode, probe), probe.size[0] / small.width
    if averaged := vips_stream.load_shrunk(stream, probe, image, reduction):
        return averaged[0], image_colors(image, averaged[0].mode, probe), averaged[1]
    if probe.format in ("jpeg", "heic") and shrink > 1:
        image.draft(image.mode, (image.width // shrink, image.height // shrink))
    image.load()
    found = normalize_mode(_cropped(image, probe), probe.depth)
    if probe.format == "webp" and not probe.alpha:
        found = drop_opaque_alpha(found)
    return found, image_colors(image, found.mode, probe), shrink


def _cropped(image: Image.Image, probe: Probe) -> Image.Image:
    """Return the part of a picture that is meant to be seen: a HEIC has no other, libavif leaves all."""
    if probe.format != "avif" or not probe.crop_width:
        return image
    left, top = probe.crop_left, probe.crop_top
    return image.crop((left, top, left + probe.crop_width, top + probe.crop_height))


def image_colors(image: Image.Image, mode: str, probe: Probe) -> color.Colors:
    """Return what the colours of a picture mean that was opened, and then brought into this mode.

    An embedded profile says it, else the code points of its header; in a PNG these come first (W3C PNG, third edition,
    4.3), and its gamma last, also where the profile is broken.
    """
    embedded = image.info.get("icc_profile") or None
    if embedded and not (probe.format == "png" and probe.primaries):
        found = color.interpret_color(embedded, mode)
        if not (found.note and probe.gamma):
            return found
        return replace(color.interpret_color(_by_gamma(mode, probe), mode), note=found.note)
    if probe.primaries:
        return color.interpret_color(
            transfer.cicp_profile(probe.primaries, probe.transfer) if mode in ("RGB", "RGBA") else None, mode
        )
    return color.interpret_color(_by_gamma(mode, probe), mode)


def _by_gamma(mode: str, probe: Probe) -> bytes | None:
    return transfer.gamma_profile(probe.gamma, probe.chromaticities, mode in ("L", "LA"))


def _finely(stream: SourceStream, probe: Probe, shrink: int) -> tuple[Image.Image, Image.Image]:
    """Return a JPEG decoded with more pixels and then averaged to the same size: in sRGB, and in its own colours.

    Decoded at a quarter of the shrink and no less, the two photos that color.cut_off speaks of have SSIM 0.997.
    """
    less = max(1, shrink // 4)
    image, colors, _ = _loaded(stream, probe, less)
    own = image.reduce(shrink // less)
    if not colors.to_srgb:
        return own, own
    return color.convert_colors(image, colors.to_srgb).reduce(shrink // less), own
