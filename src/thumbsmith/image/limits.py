"""Limits of one source: its size and header are checked, and its memory predicted, before a decoder runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.geometry import EIGHTH, Layout, Plan, Size, decoder_shrink, is_animated_as
from thumbsmith.recipe.model import Format, Limits
from thumbsmith.recipe.recipe import Recipe

# A JPEG of up to this many pixels may be decoded at full size after all, if its colors are clipped.
MAX_FULL_DECODE_PIXELS: Final = 25_000_000

# A JPEG of up to this many bytes may be decoded by the native decoder, which has the whole file in memory. It takes so
# many bytes for every 8 x 8 pixels, see native/eighth.h.
MAX_NATIVE_FILE_BYTES: Final = 32 << 20

# Larger pictures are decoded by libjpeg-turbo, row by row: the native decoder keeps all of the small picture.
MAX_NATIVE_PIXELS: Final = 64_000_000
NATIVE_BYTES: Final = 40

# The largest picture that is copied to another library to be reduced.
MAX_COPIED_PIXELS: Final = 1 << 24

# Buffers of any decoder and of reading, independent of the size of the picture.
FIXED_BYTES: Final = 4 << 20

# Pillow uses 1 byte for a pixel of gray or of a palette, and 4 bytes for any other.
PIXEL_BYTES: Final = 4

# Whole pictures that a decoder keeps to compose the next frame of an animation, and our copy of the frame.
ANIMATION_CANVASES: Final = 4

# Pictures that an HEVC decoder keeps to predict others from: 16 at most (ITU-T H.265, A.4.2), and those it returns.
HEVC_PICTURES: Final = 18

# Bytes that LibRaw takes for each pixel of a sensor, at half size: the data, four colors, and the picture.
RAW_BYTES: Final = 8

# Bytes for each pixel of a drawing: the canvas, layers of it, and copies.
DRAWING_BYTES: Final = 6 * PIXEL_BYTES

# Bytes that openjpeg takes for each sample of a tile: the sample, and its share of the code blocks.
JPEG2000_SAMPLE_BYTES: Final = 8

# Bytes for each pixel that encoding takes in addition: measured 25 for AVIF, 2 at most for others; and a padded copy.
AVIF_ENCODE_BYTES: Final = 32
ENCODE_BYTES: Final = 8


def check_file_size(size: int, limits: Limits) -> None:
    """Raise Rejected (empty or too_many_bytes) if a source of `size` bytes must not be read."""
    if size == 0:
        raise Rejected(Code.EMPTY, "the source holds no bytes")
    if size > limits.max_bytes:
        raise Rejected(Code.TOO_MANY_BYTES, f"the source is {size} bytes; max_bytes is {limits.max_bytes}")


def check_limits(probe: Probe, limits: Limits, *, frames: int = 1) -> None:
    """Raise Rejected if a picture is too large to decode this many frames of it.

    The code is too_long_side, too_many_frames, too_many_pixels or too_many_scans: the first that applies, in order.
    """
    side = max(probe.width, probe.height)
    if side > limits.max_side:
        raise Rejected(Code.TOO_LONG_SIDE, f"a side is {side} pixels; max_side is {limits.max_side}")
    if frames > limits.max_frames:
        raise Rejected(Code.TOO_MANY_FRAMES, f"{frames} frames must be decoded; max_frames is {limits.max_frames}")
    pixels = probe.width * probe.height * frames
    if pixels > limits.max_pixels:
        times = f" x {frames} frames" if frames > 1 else ""
        what = f"{probe.width} x {probe.height}{times} is {pixels} pixels"
        raise Rejected(Code.TOO_MANY_PIXELS, f"{what}; max_pixels is {limits.max_pixels}")
    if probe.scans > limits.max_scans:
        raise Rejected(Code.TOO_MANY_SCANS, f"the JPEG has {probe.scans} scans; max_scans is {limits.max_scans}")


def check_memory(probe: Probe, recipe: Recipe, layout: Layout | None = None) -> int:
    """Return the predicted peak of memory for this source in bytes, without the interpreter.

    `layout` has the plans of the recipe's variants first; by default these are computed. Raises Rejected (over_memory)
    if the prediction is above the recipe's `max_memory`.
    """
    layout = layout or Layout.of(probe.size, recipe.variants_by_density)
    plans = layout.plans[: len(recipe.variants_by_density)]
    shrunk = decoder_shrink(probe, min((each.reduction for each in plans), default=1.0))
    kinds = {kind for variant in recipe.variants for kind in variant.outputs(probe.format, alpha=probe.alpha)}
    encoding = AVIF_ENCODE_BYTES if Format.AVIF in kinds else ENCODE_BYTES
    only = layout.only_root()
    base = only if only and _is_decoded_by_libwebp(probe) else _scaled(probe, shrunk)
    predicted = predict_decode_bytes(probe, shrunk) + _picture_bytes(plans, base, encoding)
    predicted += _animation_bytes(probe, recipe, plans)
    limit = recipe.limits.max_memory
    if predicted > limit:
        raise Rejected(Code.OVER_MEMORY, f"decoding it takes {predicted} bytes; max_memory is {limit}")
    return predicted


def predict_decode_bytes(probe: Probe, shrink: int) -> int:  # noqa: C901, PLR0912 - a table: one case for each format
    """Return an upper bound of the bytes that decoding takes, with the buffers of the decoder.

    `shrink` is the divisor of the sides of a JPEG, a TIFF or a HEIC of tiles. Each rule was checked against the peak
    of a new process with a picture of 12 megapixels. If the probe does not tell something (how planes are sampled,
    how a TIFF is cut), the worst case is assumed.
    """
    width, height = _scaled(probe, shrink)
    match probe.format:
        case "jpeg":
            in_full = _pixels(probe) * PIXEL_BYTES if shrink > 1 and _pixels(probe) <= MAX_FULL_DECODE_PIXELS else 0
            native = NATIVE_BYTES * _pixels(probe) // 64 + 2 * probe.bytes if decodes_natively(probe, shrink) else 0
            held = width * height * PIXEL_BYTES + max(in_full, native) + _coefficients(probe) + 2 * probe.metadata
        case "webp" if _is_decoded_by_libwebp(probe):  # a lossless one: two pictures in RGBA; its alpha, or a copy
            held = _pixels(probe) * 10 + 2 * probe.bytes
        case "webp":  # two canvases and the frame, in RGBA; then Pillow's picture; the file twice
            held = _pixels(probe) * (3 * 4 + _pixel_bytes(probe)) + 2 * probe.bytes
        case "heic" if probe.piece and not probe.alpha:  # the picture and its oriented copy; a tile's planes and frames
            tile = probe.piece * (2 * max(probe.channels, 3) * _depth_bytes(probe) + 2 * PIXEL_BYTES)
            held = width * height * 2 * PIXEL_BYTES + tile + probe.bytes
        case "avif" | "heic":  # planes at full resolution; the frame; then Pillow's picture
            planes = max(probe.channels, 3 + probe.alpha)
            held = _pixels(probe) * (planes * _depth_bytes(probe) + planes + _pixel_bytes(probe)) + 2 * probe.bytes
            held += probe.piece * (
                (planes + 1) * _depth_bytes(probe) + planes + PIXEL_BYTES
            )  # and the copies of a part
        case "tiff":  # libtiff gets the whole file, which may be one strip
            held = (
                width * height * (probe.channels * _depth_bytes(probe) + _pixel_bytes(probe))
                + probe.bytes
                + probe.piece
            )
        case "gif" | "png" if probe.hidden or (probe.alpha and probe.format == "gif"):  # its frame is drawn on a canvas
            held = (
                _pixels(probe) * (_pixel_bytes(probe) + ANIMATION_CANVASES * PIXEL_BYTES)
                + 3 * probe.bytes * probe.hidden
            )
        case "jp2":  # the picture; samples of a tile in 32 bits, their parts, and a copy in 8 or 16 bits
            tile = -(-probe.piece // shrink**2) * probe.channels * (JPEG2000_SAMPLE_BYTES + _depth_bytes(probe))
            held = width * height * _pixel_bytes(probe) + tile + 2 * probe.bytes
        case "psd":  # planes, and the merged picture with copies
            planes = probe.channels * (1 + 4 * (probe.depth > 8))
            held = _pixels(probe) * (planes + 2 * PIXEL_BYTES + _pixel_bytes(probe)) + probe.bytes
        case "raw":  # the JPEG in it; without one that is large enough, the sensor's data, and half of its size
            held = probe.piece * 2 * PIXEL_BYTES + _coefficients(probe)
            held += (_pixels(probe) * RAW_BYTES + probe.bytes) * (probe.piece < _pixels(probe))
        case "svg" | "pdf":  # what is drawn, coded and copied; and the pictures in it
            held = width * height * DRAWING_BYTES + probe.piece * 3 * PIXEL_BYTES + 4 * probe.bytes
        case "ico" | "qoi":  # the pixels as bytes, twice, and copies of the picture
            held = _pixels(probe) * (3 * PIXEL_BYTES + _pixel_bytes(probe)) + 2 * probe.bytes
        case _:  # PNM, PNG, GIF and BMP are decoded row by row; a run-length coded BMP needs one array of bytes
            held = _pixels(probe) * (_pixel_bytes(probe) + (probe.format == "bmp"))
    return held + FIXED_BYTES


def _is_decoded_by_libwebp(probe: Probe) -> bool:
    """Return whether a source is decoded to one picture, which is reduced without a copy: image/still_webp.py."""
    return probe.format == "webp" and not probe.alpha and probe.frames == 1


def decodes_natively(probe: Probe, shrink: int) -> bool:
    """Return whether the native decoder is to try this source. `shrink` is the divisor of its sides."""
    is_small = probe.bytes <= MAX_NATIVE_FILE_BYTES and _pixels(probe) <= MAX_NATIVE_PIXELS
    return probe.format == "jpeg" and shrink == EIGHTH and is_small


def _pixel_bytes(probe: Probe) -> int:
    """Return the bytes for each pixel of Pillow's picture and of its copies for averaging."""
    if probe.channels == 1 and probe.depth > 8:  # deep gray is scaled, and then converted to 8 bits
        return 2 * _depth_bytes(probe) + 1
    index = 1 if probe.channels == 1 else 0  # gray counts as a palette
    copies = (2 if probe.channels == 3 else 1) * probe.alpha  # alpha from one transparent color; premultiplied colors
    return index + PIXEL_BYTES * (1 + copies)


def _coefficients(probe: Probe) -> int:
    """Return the bytes that libjpeg keeps between scans: 2 a sample. A subsampled pixel has 2 at most (4:2:2)."""
    if not probe.progressive and probe.scans < 2:
        return 0
    samples = 2 if probe.subsampled and probe.channels == 3 else probe.channels
    return 2 * samples * _pixels(probe)


def _picture_bytes(plans: Sequence[Plan], base: Size, encoding: int) -> int:
    """Return the bytes of all pictures, which are kept, and of the largest work space for one of them."""
    areas = [each.canvas[0] * each.canvas[1] for each in plans]
    rows = [each.size[0] * base[1] * PIXEL_BYTES for each in plans]  # a resize handles rows first, then columns
    copy = min(base[0] * base[1], MAX_COPIED_PIXELS) * PIXEL_BYTES  # or gets a copy
    return PIXEL_BYTES * sum(areas) + encoding * max(areas, default=0) + max(copy, *rows, 0)


def _animation_bytes(probe: Probe, recipe: Recipe, plans: Sequence[Plan]) -> int:
    """Return the bytes of animations: all frames twice, since they may be converted to one mode; and the canvases."""
    held = 0
    for variant, each in zip(recipe.variants_by_density, plans, strict=True):
        kinds = [
            kind for kind in variant.outputs(probe.format, alpha=probe.alpha) if is_animated_as(probe, variant, kind)
        ]
        held += 2 * PIXEL_BYTES * probe.frames * len(kinds) * each.canvas[0] * each.canvas[1]
    return held and held + ANIMATION_CANVASES * PIXEL_BYTES * _pixels(probe) + _reference_bytes(probe)


def _reference_bytes(probe: Probe) -> int:
    """Return the bytes that a HEIC sequence adds to its current frame: pictures that others are predicted from."""
    if probe.format != "heic":
        return 0
    planes = (1 + probe.alpha) * max(3, probe.channels) * _depth_bytes(probe)  # of colors and of alpha
    return HEVC_PICTURES * planes * _pixels(probe) + 2 * probe.bytes


def _scaled(probe: Probe, shrink: int) -> Size:
    return (-(-probe.width // shrink), -(-probe.height // shrink))


def _pixels(probe: Probe) -> int:
    return probe.width * probe.height


def _depth_bytes(probe: Probe) -> int:
    return -(-probe.depth // 8)
