"""Bytes to pixels: each source is decoded once, at the smallest scale that suffices for its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from thumbsmith.errors import Rejected
from thumbsmith.image import (
    canvas,
    color,
    decode_avif,
    decode_jpeg,
    decode_jpeg2000,
    decode_pdf,
    decode_raw,
    decode_svg,
    decode_tiff,
    decode_webp,
    still_webp,
    transfer,
    vips_stream,
)
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.geometry import DCT_MARGIN, Size, decoder_shrink
from thumbsmith.image.heic_preview import preview
from thumbsmith.image.lanczos import STRAIGHT
from thumbsmith.image.limits import MAX_FULL_DECODE_PIXELS, decodes_natively
from thumbsmith.image.opening import check_size, open_image, translate_decoder_errors
from thumbsmith.image.pillow import Image
from thumbsmith.image.prepare import prepare, repair
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.tone_mapping import tone_mapping
from thumbsmith.image.transform import drop_opaque_alpha
from thumbsmith.image.vips import VipsError
from thumbsmith.reader import RangeReader

# Formats that are drawn at the size that is needed.
_DRAWINGS: Final = {"svg": decode_svg.draw, "pdf": decode_pdf.draw}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """A decoded source, from which all pictures are made.

    `image` is L, LA, RGB, RGBA, CMYK, LAB, or premultiplied: La, RGBa. `shrink` is the number of source pixels for each
    of its pixels, across and down as stored. `orientation` (EXIF, 1 to 8) and `to_srgb` must still be applied;
    `to_srgb` is None if nothing is to convert.
    `own` is the same in the source's own colors, with their ICC `profile`, if these are RGB but not sRGB. `to_own` is
    like `to_srgb`, for high dynamic range. `note` is a sentence about what was ignored.
    """

    image: Image.Image
    shrink: tuple[float, float]
    orientation: int
    to_srgb: color.ColorConversion | None
    own: Image.Image | None = None
    to_own: color.ColorConversion | None = None
    profile: bytes | None = None
    note: str | None = None

    def in_own_colors(self) -> DecodedImage:
        """Return the source in its own colors; itself if it has no others."""
        return self if self.own is None else replace(self, image=self.own, to_srgb=self.to_own)


def decode(
    reader: RangeReader, probe: Probe, reduction: float, only: Size | None = None, *, confined: bool = False
) -> DecodedImage:
    """Return the first frame of a source, of which at most every `reduction`-th pixel of each axis is needed.

    `only` is the size, as seen, of the picture of the whole source from which all pictures are made; None if there is
    no such picture. Only with `confined`, the native decoder of small JPEGs may be used: see `Job`.

    Raises Rejected (truncated if the file ended while more bytes were needed, else corrupt), MissingDecoder,
    MemoryError, and what the reader raises.
    """
    if probe.format == "raw":
        return _decoded_raw(reader, probe, reduction, confined=confined)
    try:
        return _decoded(reader, probe, reduction, only, confined=confined)
    except Rejected:
        repaired = repair(reader, probe)
        if repaired is None:
            raise
    return _decoded(repaired, probe, reduction, only)


def _decoded_raw(reader: RangeReader, probe: Probe, reduction: float, *, confined: bool) -> DecodedImage:
    """Return a raw photograph: its embedded JPEG if that is large enough. Raises as `decode`."""
    stream = SourceStream(reader)
    with translate_decoder_errors(stream):
        embedded = decode_raw.preview(stream.ranges(), probe, reduction)
    if embedded:
        part, found, larger = embedded
        decoded = decode(part, found, max(1.0, reduction / larger), confined=confined)
        return replace(decoded, shrink=(decoded.shrink[0] * larger, decoded.shrink[1] * larger))
    with translate_decoder_errors(stream):
        image = open_image(stream, probe)
    scale = probe.width / image.width, probe.height / image.height
    return DecodedImage(image=image, shrink=scale, orientation=probe.orientation, to_srgb=None)


def _decoded(
    reader: RangeReader, probe: Probe, reduction: float, only: Size | None, *, confined: bool = False
) -> DecodedImage:
    """Return the first frame of a source, as `decode` does, without any repair."""
    size = only[::-1] if only and probe.orientation >= 5 else only  # as stored
    shrink = decoder_shrink(probe, reduction)
    if probe.format == "tiff":
        reader, probe = decode_tiff.at_level(reader, probe, shrink)
    source = prepare(reader, probe)
    if probe.format == "webp":
        source = decode_webp.announce_alpha(source, alpha=probe.alpha)
    stream = SourceStream(source)
    with translate_decoder_errors(stream):
        image, colors, scale = _loaded(stream, probe, shrink, reduction, size, confined=confined)
        may_lack_end = probe.format == "jpeg" and decode_jpeg.may_be_cut(image, stream, probe)
        own, to_srgb = image, colors.to_srgb
        has_finer_scale = probe.format == "jpeg" and shrink > 1 and not probe.first_scan
        if (
            has_finer_scale
            and image.mode != "CMYK"
            and probe.width * probe.height <= MAX_FULL_DECODE_PIXELS
            and color.is_clipped(image, to_srgb)
        ):
            del image, own  # the finer picture needs the memory
            image, own = _decoded_finely(stream, probe, shrink)
            to_srgb = None
    if may_lack_end:
        decode_jpeg.complete_picture(reader)
    if to_srgb and image.mode == "CMYK":  # convert before averaging: the average of two inks is another color
        count = max(1, int(reduction / max(scale) / DCT_MARGIN))
        scale = (scale[0] * count, scale[1] * count)
        image, to_srgb = color.convert_colors(image.reduce(count), to_srgb), None
    return DecodedImage(
        image=image,
        shrink=scale,
        orientation=1 if SOURCE_FORMATS[probe.format].orients else probe.orientation,
        to_srgb=to_srgb,
        own=own if colors.profile else None,
        to_own=colors.to_own,
        profile=colors.profile,
        note=colors.note,
    )


class _Loaded(NamedTuple):
    """A decoded image, its colors, and the divisors of its sides."""

    image: Image.Image
    colors: color.Colors
    shrink: tuple[float, float] = (1, 1)


def _loaded(
    stream: SourceStream,
    probe: Probe,
    shrink: int,
    reduction: float = 1.0,
    size: Size | None = None,
    *,
    confined: bool = False,
) -> _Loaded:
    """Return the decoded image at a divisor of at least `shrink`, which is what a JPEG, TIFF or HEIC is decoded at."""
    if probe.format == "webp" and probe.frames == 1 and (webp := _webp(stream, probe, reduction, size)):
        return webp
    stream.seek(0)
    if probe.format in _DRAWINGS:
        SOURCE_FORMATS[probe.format].require_package()
        drawn = _DRAWINGS[probe.format](stream, probe, reduction)
        scale = probe.size[0] / drawn.width
        return _Loaded(drawn, color.Colors(), (scale, scale))
    if probe.format == "avif":
        decode_avif.check_ends(stream)
        stream.seek(0)
    image = open_image(stream, probe)
    check_size(image, probe)
    needs_canvas = probe.hidden or (probe.format == "gif" and probe.alpha)
    if needs_canvas and (frame := canvas.first(stream, probe)):
        return _Loaded(frame, image_colors(image, "RGBA", probe))
    if probe.format == "heic" and (thumbnail := preview(stream, probe, reduction)):
        scale = probe.size[0] / thumbnail.width
        return _Loaded(thumbnail, image_colors(image, thumbnail.mode, probe), (scale, scale))
    if reduced := vips_stream.load_reduced(stream, probe, image, reduction, size):
        colors = image_colors(image, STRAIGHT.get(reduced.image.mode, reduced.image.mode), probe)
        return _Loaded(reduced.image, colors, reduced.shrink)
    if confined and decodes_natively(probe, shrink) and (eighth := decode_jpeg.load_eighth(stream, image)):
        return _Loaded(eighth, image_colors(image, eighth.mode, probe), (shrink, shrink))
    if probe.format == "jp2":
        decode_jpeg2000.reduce_in_decoder(image, shrink)
    if probe.format in ("jpeg", "heic") and shrink > 1:
        image.draft(image.mode, (image.width // shrink, image.height // shrink))
    image.load()
    found = normalize_mode(_clean_aperture(image, probe), probe.depth)
    if probe.format == "webp" and not probe.alpha:
        found = drop_opaque_alpha(found)
    return _Loaded(found, image_colors(image, found.mode, probe), (shrink, shrink))


def _webp(stream: SourceStream, probe: Probe, reduction: float, size: Size | None) -> _Loaded | None:
    """Return a still WebP, None if its alpha is for Pillow to judge. Raises VipsError if libwebp cannot decode it."""
    count = still_webp.average(probe, reduction)
    if count > 1:
        found = still_webp.load(stream, probe, count, size)
        colors = color.interpret_color(found.profile, found.image.mode)
        if found.image.mode == "RGB" and not color.is_clipped(found.sample, colors.to_srgb):
            return _Loaded(found.image, colors, found.shrink)
        stream.seek(0)
    try:
        found = still_webp.load(stream, probe, 1, size)
    except VipsError:
        if not probe.alpha:
            raise
        return None
    colors = color.interpret_color(found.profile, STRAIGHT.get(found.image.mode, found.image.mode))
    return _Loaded(found.image, colors, found.shrink)


def _clean_aperture(image: Image.Image, probe: Probe) -> Image.Image:
    """Return the part of an AVIF that is meant to be seen: libavif leaves the crop to the caller, libheif does it."""
    if probe.format != "avif" or not probe.crop_width:
        return image
    left, top = probe.crop_left, probe.crop_top
    return image.crop((left, top, left + probe.crop_width, top + probe.crop_height))


def _decoded_finely(stream: SourceStream, probe: Probe, shrink: int) -> tuple[Image.Image, Image.Image]:
    """Return a JPEG decoded with more pixels and then averaged to the same size: in sRGB, and in its own colors.

    A quarter of the shrink suffices: the two photographs that `color.is_clipped` mentions then have SSIM 0.997.
    """
    less = max(1, shrink // 4)
    image, colors, _ = _loaded(stream, probe, less)
    own = image.reduce(shrink // less)
    if not colors.to_srgb:
        return own, own
    return color.convert_colors(image, colors.to_srgb).reduce(shrink // less), own


def image_colors(image: Image.Image, mode: str, probe: Probe) -> color.Colors:
    """Return the colors of an opened image that was then converted to this mode.

    The first of these counts: an embedded profile, the code points of the header, the gamma. In a PNG, code points
    come before the profile (W3C PNG, third edition, 4.3), and the gamma also counts if the profile is broken.
    """
    embedded = image.info.get("icc_profile") or None
    if embedded and not (probe.format == "png" and probe.primaries):
        found = color.interpret_color(embedded, mode)
        if not (found.note and probe.gamma):
            return found
        return replace(color.interpret_color(_gamma_profile(mode, probe), mode), note=found.note)
    if probe.primaries:
        is_rgb = mode in ("RGB", "RGBA")
        profile = transfer.cicp_profile(probe.primaries, probe.transfer) if is_rgb else None
        return color.in_high_range(color.interpret_color(profile, mode), tone_mapping(probe.transfer))
    return color.interpret_color(_gamma_profile(mode, probe), mode)


def _gamma_profile(mode: str, probe: Probe) -> bytes | None:
    return transfer.gamma_profile(probe.gamma, probe.chromaticities, mode in ("L", "LA"))
