"""TIFF by Pillow, and by libvips the few kinds that Pillow reads wrongly or not at all; and the levels of a pyramid.

The header decides which library decodes an image. libvips is no second try after an error of Pillow: broken files stay
rejected.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import vips_stream
from thumbsmith.image.containers import tiff, tiff_pixels
from thumbsmith.image.containers.base import Probe, Window
from thumbsmith.image.containers.exif import ORIENTATION
from thumbsmith.image.pillow import Image, TiffImagePlugin
from thumbsmith.image.stream import Patched, SourceStream
from thumbsmith.image.transform import orient
from thumbsmith.reader import RangeReader

# Kinds that Pillow has no mode for, as (bits, channels, photometric interpretation): palettes of 16 bits and gray that
# is stored with white as zero; gray with alpha; big-endian gray of 32 bits; RGB and CMYK with spare channels.
_ONLY_VIPS: Final = frozenset(
    {
        *((16, 1, photometric) for photometric in (0, 1, 3)),
        *((16, 2, photometric) for photometric in (0, 1)),
        *((32, 1, photometric) for photometric in (0, 1)),
        *((16, channels, 2) for channels in (5, 6)),
        *((depth, 5, tiff.CMYK) for depth in (8, 16)),
    }
)

# Compressions that the installed libvips does not have.
_NOT_IN_VIPS: Final = (tiff.ZSTANDARD, tiff.LZMA)

_CMYK_CHANNELS: Final = 4

# The start of a big-endian BigTIFF: Pillow takes its offsets for those of a TIFF.
_BIG_ENDIAN_BIGTIFF: Final = b"MM\0+"

_SHORT: Final = 3  # a field type

# Held while READ_LIBTIFF is set, Pillow's global switch for how it reads a TIFF.
_LIBTIFF: Final = Lock()


def open_tiff(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the first image of a TIFF, which gets its orientation when it is loaded.

    Raises Rejected(unsupported_format) for a combination of depth and channels that neither library reads, ShortRead
    and Rejected for missing pixels, and what Pillow and libvips raise for a broken file.
    """
    tags = tiff.fields(stream.window())
    photometric = tags.get(tiff.PHOTOMETRIC, (tiff.WHITE_IS_ZERO,))[0]
    stream.seek(0)
    if stream.read(len(_BIG_ENDIAN_BIGTIFF)) == _BIG_ENDIAN_BIGTIFF:
        return _by_vips(stream, probe, tags)
    try:
        image = _by_pillow(stream)
    except SyntaxError as unknown:  # Pillow has no mode for this header
        if (probe.depth, probe.channels, photometric) not in _ONLY_VIPS:
            raise _unsupported(probe) from unknown
        return _by_vips(stream, probe, tags)
    if image.mode == "F" and photometric == tiff.WHITE_IS_ZERO:
        raise _unsupported(probe)  # both libraries return it inverted
    tiff_pixels.require_pixels(stream.window())
    return _by_vips(stream, probe, tags) if _is_misread(image) else image


def at_level(reader: RangeReader, probe: Probe, shrink: int) -> tuple[RangeReader, Probe]:
    """Return a TIFF and its probe with one level of its pyramid as the first image.

    It is the level whose sides are divided by `shrink`; for 1 both are returned unchanged.
    """
    if shrink == 1:
        return reader, probe
    layout, levels = tiff.pyramid(Window.over(reader))
    level = levels[shrink.bit_length() - 2]
    # The header contains the offset of the first directory. The decoder begins there, and reads no other.
    edit = (8 if layout.big else 4, struct.pack(layout.offset_format, level.offset))
    return Patched(reader, (edit,)), replace(probe, width=level.width, height=level.height)


def _unsupported(probe: Probe) -> Rejected:
    what = f"{probe.channels} {'channels' if probe.channels > 1 else 'channel'} of {probe.depth} bits"
    return Rejected(Code.UNSUPPORTED_FORMAT, f"a TIFF of {what}, stored like this one, is not supported")


class _File(TiffImagePlugin.TiffImageFile):
    """A TIFF whose orientation may be stored as a BYTE, which libtiff reads too."""

    _byte = 0

    def _setup(self) -> None:
        stored = self.tag_v2.get(ORIENTATION)
        if isinstance(stored, bytes) and stored:
            self._byte = stored[0]
            self.tag_v2.tagtype[ORIENTATION] = _SHORT
            self.tag_v2[ORIENTATION] = self._byte
        try:
            super()._setup()
        except SyntaxError as unknown:
            if tiff.STRIP_OFFSETS not in self.tag_v2 and tiff.TILE_OFFSETS not in self.tag_v2:
                raise Rejected(Code.CORRUPT, "the TIFF does not say where its pixels are") from unknown
            raise

    def load_end(self) -> None:
        """End loading. Pillow applies the orientation now."""
        if self._byte:
            self.getexif()[ORIENTATION] = self._byte
        super().load_end()


def _by_pillow(stream: SourceStream) -> TiffImagePlugin.TiffImageFile:
    """Return the image with its header read. libtiff decodes uncompressed planes: Pillow itself reads only 8 bits."""
    file: Any = stream
    stream.seek(0)
    with _LIBTIFF:
        TiffImagePlugin.READ_LIBTIFF = False
        image = _File(file)
        if image.tag_v2.get(tiff.PLANAR) == tiff.SEPARATE_PLANES:
            stream.seek(0)
            TiffImagePlugin.READ_LIBTIFF = True
            image = _File(file)
    return image


def _is_misread(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether Pillow would misread an image that it opened.

    It takes subsampled YCbCr for full size if it is not JPEG. It makes a color map with values up to 255 black, which
    libtiff and libvips take for 8 bits. It takes gray of 16 bits for integers with black as zero, and gray of 32 bits
    for signed integers. It cannot decode WebP inside TIFF.
    """
    tags = image.tag_v2
    if tags.get(tiff.COMPRESSION) == tiff.WEBP:
        return True
    if image.mode.startswith("I"):
        bits, sample_format = tags.get(tiff.BITS, (1,))[0], tags.get(tiff.SAMPLE_FORMAT, (1,))[0]
        if bits == 16:
            white_is_zero = tags.get(tiff.PHOTOMETRIC, 0) == tiff.WHITE_IS_ZERO
            return bool(sample_format == tiff.FLOATING_POINT or white_is_zero)
        return bool(bits == 32 and sample_format != tiff.SIGNED)
    is_jpeg = tags.get(tiff.COMPRESSION, 1) in (tiff.OLD_JPEG, tiff.JPEG)  # its decoder undoes the subsampling
    if tags.get(tiff.PHOTOMETRIC) == tiff.YCBCR and not is_jpeg:
        return bool(tags.get(tiff.SUBSAMPLING, (2, 2)) != (1, 1))  # TIFF 6.0, section 21: 2, 2 is the default
    return image.mode == "P" and bool(max(tags.get(tiff.COLOR_MAP) or (0,)) < 256)


def _by_vips(stream: SourceStream, probe: Probe, tags: Mapping[int, tuple[int, ...]]) -> Image.Image:
    """Return the image decoded by libvips: RGB, RGBA with alpha, CMYK, or F for gray of 32 bits or floating point.

    Raises VipsError, and Rejected(unsupported_format) for images that libvips does not read, or reads wrongly.
    """
    compression = tags.get(tiff.COMPRESSION, (1,))[0]
    photometric = tags.get(tiff.PHOTOMETRIC, (0,))[0]
    floating = tags.get(tiff.SAMPLE_FORMAT, (1,))[0] == tiff.FLOATING_POINT
    deep = floating or probe.depth == 32
    if compression in _NOT_IN_VIPS or photometric == tiff.LAB or (deep and probe.channels > 1):
        raise _unsupported(probe)
    if floating and photometric == tiff.WHITE_IS_ZERO:
        raise _unsupported(probe)
    tiff_pixels.require_pixels(stream.window(), by_libvips=True)
    stream.seek(0)
    data = stream.read()
    read = vips_stream.open_tiff(data, probe)
    profile = read.profile()
    if deep:
        made, mode = read.run("cast", format="float"), "F"
    elif photometric == tiff.CMYK:
        made, mode = read.run("extract_band", band=0, n=_CMYK_CHANNELS), "CMYK"
        if probe.depth == 16:
            made = made.run("cast", format="uchar", shift="true")
    else:
        mode = "RGBA" if probe.alpha else "RGB"
        made = read.run("colourspace", space="srgb").run("extract_band", band=0, n=len(mode))
    image: Image.Image = Image.frombuffer(mode, made.shape[:2], made.pixels(), "raw", mode, 0, 1)
    if profile:
        image.info["icc_profile"] = profile
    oriented: Image.Image = orient(image, probe.orientation)
    oriented.info.update(image.info)
    return oriented
