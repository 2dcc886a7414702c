"""Lanczos: pictures to smaller ones, by libvips where that is faster, else by Pillow.

libvips' vector code takes a quarter of the time of Pillow's scalar code. Measured on 1920 x 1080 pixels to 1024 x 576:
11 ms, 3 of them for copies from and to Pillow, against 37 ms. The bytes are the same with every vector unit and without
one (tried with AVX-512, AVX2, SSE4 and none).

libvips resizes only whole pictures. A part that starts or ends between two pixels occurs with crops, and with a picture
whose sides a DCT scale or an average does not divide. libvips gets a slightly larger area for such a part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor
from typing import Final, NamedTuple

from thumbsmith.image import vips
from thumbsmith.image.geometry import REDUCING_GAP, Box, Size
from thumbsmith.image.limits import MAX_COPIED_PIXELS
from thumbsmith.image.pillow import Image

# With fewer pixels the copy to libvips costs more than it saves.
MIN_PIXELS: Final = 1 << 16

# libvips has no kernel wider than about 300 pixels. No wide kernel is needed where whole pixels are averaged first.
MAX_REDUCTION: Final = 8

# Modes that libvips resizes. It has 64 positions between two pixels: up to 8 levels off at an edge as hard as those of
# alpha. SSIM of photographs to exact Lanczos is 0.998.
VIPS_MODES: Final = frozenset({"L", "RGB"})

# One position of libvips, in pixels: it cannot distinguish less.
SUBPIXEL: Final = 1 / 64

# A pixel of the result is computed from this many of its own widths to each side.
LANCZOS_RADIUS: Final = 3

# libvips may compute up to this many more pixels, to be cropped, if that puts the others at the right position.
MAX_EXTRA_PIXELS: Final = 48

# Mode with alpha -> the mode in which colors are multiplied by alpha, and back.
PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}
STRAIGHT: Final = {"RGBa": "RGBA", "La": "LA"}


class _Span(NamedTuple):
    """An axis as libvips gets it: from `start` to `stop`. `skip` pixels of its result are cropped at the start."""

    start: int
    stop: int
    skip: int


@dataclass(frozen=True, slots=True)
class Reduction:
    """How libvips makes a picture of `size`: it averages `averaged` pixels on each axis, then reduces by `shrink`."""

    size: Size
    averaged: Size
    shrink: tuple[float, float]
    spans: tuple[_Span, _Span]

    def of(self, source: vips.Picture) -> vips.Picture:
        """Return the reduced picture with the pixels that `crop` removes. It can be computed row by row."""
        if self.averaged != (1, 1):
            source = source.run("shrink", hshrink=self.averaged[0], vshrink=self.averaged[1], ceil="true")
        across, down = self.spans
        if (across.start, down.start, across.stop, down.stop) != (0, 0, *source.shape[:2]):
            area = {"width": across.stop - across.start, "height": down.stop - down.start}
            source = source.run("embed", x=-across.start, y=-down.start, **area, extend="copy")
        return source.run("reduce", hshrink=self.shrink[0], vshrink=self.shrink[1])

    def crop(self, image: Image.Image) -> Image.Image:
        """Return the wanted pixels of a reduced picture."""
        left, top = (span.skip for span in self.spans)
        return image.crop((left, top, left + self.size[0], top + self.size[1]))


def lanczos(image: Image.Image, size: Size, box: Box, gap: float | None = None) -> Image.Image:
    """Return the part of a picture in `box`, which may be fractional, at `size`, by Lanczos.

    If more than `gap` pixels go into one, whole pixels are averaged first, so that at least `gap` are left for one.
    """
    if gap and box == (0, 0, *image.size):
        across, down = (max(1, int(whole / side / gap)) for whole, side in zip(image.size, size, strict=True))
        if across * down > 1:
            box = (0, 0, image.width / across, image.height / down)
            image = image.reduce((across, down))
    reduction = _reduction(image, size, box, gap)
    if reduction is None:
        return image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=gap)
    source = vips.Picture.from_pixels(image.tobytes(), *image.size, len(image.getbands()))
    reduced = reduction.of(source)
    pixels = reduced.pixels_in_this_thread()
    return reduction.crop(Image.frombuffer(image.mode, reduced.shape[:2], pixels, "raw", image.mode, 0, 1))


def _reduction(image: Image.Image, size: Size, box: Box, gap: float | None) -> Reduction | None:
    """Return how libvips does this resize, None if it is no reduction or libvips is not faster."""
    lengths = (box[2] - box[0], box[3] - box[1])
    most = min(MAX_REDUCTION, 2 * gap) if gap else MAX_REDUCTION
    is_reduction = size != image.size and all(
        side <= length < most * side for length, side in zip(lengths, size, strict=True)
    )
    is_faster = lengths[0] * lengths[1] >= MIN_PIXELS and image.width * image.height <= MAX_COPIED_PIXELS
    if not (is_reduction and is_faster and image.mode in VIPS_MODES):
        return None
    across = _span(box[0], lengths[0], size[0], image.width)
    down = _span(box[1], lengths[1], size[1], image.height)
    if across is None or down is None:
        return None
    return Reduction(size, (1, 1), (lengths[0] / size[0], lengths[1] / size[1]), (across, down))


def lanczos_of_strips(strips: Iterable[vips.Pointer], mode: str, whole: Size, size: Size) -> Image.Image:
    """Return a picture with alpha at `size`, premultiplied, from its rows as they are decoded.

    `strips` are pixels of `mode`, some rows at a time, from the top to the bottom of a picture of the size `whole`. The
    bytes are those of Pillow's resize of all rows: it reduces rows before columns too.
    """
    premultiplied = PREMULTIPLIED[mode]
    rows = Image.new(premultiplied, (size[0], whole[1]))
    top = 0
    for strip in strips:
        height = len(strip) // (whole[0] * len(mode))
        part: Image.Image = Image.frombuffer(mode, (whole[0], height), strip, "raw", mode, 0, 1)
        rows.paste(part.convert(premultiplied).resize((size[0], height), Image.Resampling.LANCZOS), (0, top))
        top += height
    return rows.resize(size, Image.Resampling.LANCZOS)


def streamed_reduction(whole: Size, size: Size) -> Reduction | None:
    """Return how libvips makes a picture of `size` from rows as they are decoded.

    None if that is no reduction, or if few pixels are left after averaging. As in `lanczos`, pixels are averaged so
    that REDUCING_GAP or more are left for one. If libvips cannot do what then remains, one more or less is averaged.
    """
    across, down = (_averaged_axis(*each) for each in zip(whole, size, strict=True))
    if across is None or down is None or whole == size:
        return None
    if whole[0] * whole[1] < MIN_PIXELS * across[0] * down[0]:
        return None
    return Reduction(size, (across[0], down[0]), (across[1], down[1]), (across[2], down[2]))


def _averaged_axis(whole: int, count: int) -> tuple[int, float, _Span] | None:
    """Return how many pixels to average, by how much to reduce then, and the span, for `count` pixels of `whole`."""
    best = max(1, int(whole / count / REDUCING_GAP))
    for averaged in (best, best - 1, best + 1):
        length = averaged and whole / averaged
        if count <= length < MAX_REDUCTION * count and (span := _span(0.0, length, count, -(-whole // averaged))):
            return averaged, length / count, span
    return None


def _span(first: float, length: float, count: int, whole: int) -> _Span | None:
    """Return the pixels from which libvips makes `count` pixels for `length` of a side of `whole`, from `first` on.

    libvips makes round(pixels / shrink) of all that it gets, and aligns the middle of the result with the middle of
    the input (vips_reduceh_build in libvips/resample/reduceh.cpp). So it gets more pixels, as many as bring the result
    to the right position: start + stop = 2 first + length + extra shrink, for a whole number `extra`. None if there is
    no such number.
    """
    if abs(first) < SUBPIXEL and abs(length - whole) < SUBPIXEL:
        return _Span(0, whole, 0)
    shrink = length / count
    for extra in sorted(range(-MAX_EXTRA_PIXELS, MAX_EXTRA_PIXELS + 1), key=abs):
        both = 2 * first + length + extra * shrink
        if abs(both - round(both)) > 2 * SUBPIXEL:
            continue
        outermost = floor(first - (LANCZOS_RADIUS - min(extra, 0)) * shrink)
        for start in range(outermost, outermost - MAX_REDUCTION, -1):
            made = floor((round(both) - 2 * start) / shrink + 0.5)
            if (made - count - extra) % 2 == 0:  # as many to crop at the start as after the extra ones at the end
                return _Span(start, round(both) - start, (made - count - extra) // 2)
    return None
