"""TIFF by Pillow, and by libvips the few kinds that Pillow reads wrongly or not at all.

Which kind a picture is, its header says. Nothing is decoded by libvips because Pillow failed: what is broken stays
rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import vips
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.containers.tiff import check_tiles, fields
from thumbsmith.image.pillow import Image, TiffImagePlugin
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.transform import orient

# Tags of TIFF 6.0, and values that matter here.
BITS: Final = 258
COMPRESSION: Final = 259
PHOTOMETRIC: Final = 262
STRIPS: Final = 273
ORIENTATION: Final = 274
PLANAR: Final = 284
COLOR_MAP: Final = 320
TILES: Final = 324
SAMPLE_FORMAT: Final = 339
SUBSAMPLING: Final = 530
WHITE_IS_ZERO: Final = 0
SIGNED, FLOATING = 2, 3
SEPARATE: Final = 2
CMYK, YCBCR, LAB = 5, 6, 8
JPEG: Final = (6, 7)  # the JPEG decoder itself undoes the subsampling
ZSTANDARD, LZMA, WEBP = 50000, 34925, 50001

# Held while Pillow's one switch for the way to read a TIFF is set.
_LIBTIFF: Final = Lock()

# Bits, channels and photometric interpretations of kinds that Pillow has no mode for: palettes of 16 bits and gray that
# is stored white as zero; gray with alpha; gray of 32 bits with the highest byte first; RGB and CMYK with more channels
# than they need.
_ONLY_VIPS: Final = frozenset(
    {
        *((16, 1, photometric) for photometric in (0, 1, 3)),
        *((16, 2, photometric) for photometric in (0, 1)),
        *((32, 1, photometric) for photometric in (0, 1)),
        *((16, channels, 2) for channels in (5, 6)),
        *((depth, 5, CMYK) for depth in (8, 16)),
    }
)

# Compressions that the libvips which is installed lacks.
_NOT_IN_VIPS: Final = (ZSTANDARD, LZMA)

_INKS: Final = 4

# How a BigTIFF begins that has the highest byte first: Pillow takes its offsets for those of a TIFF.
_BIG_END_FIRST: Final = b"MM\0+"


class _File(TiffImagePlugin.TiffImageFile):
    """A TIFF whose orientation may be stored as a BYTE, as libtiff reads it too."""

    _byte = 0

    def _setup(self) -> None:
        stored = self.tag_v2.get(ORIENTATION)
        if isinstance(stored, bytes) and stored:
            self._byte = stored[0]
            self.tag_v2.tagtype[ORIENTATION] = 3  # SHORT
            self.tag_v2[ORIENTATION] = self._byte
        try:
            super()._setup()
        except SyntaxError as unknown:
            if STRIPS not in self.tag_v2 and TILES not in self.tag_v2:
                raise Rejected(Code.CORRUPT, "the TIFF does not say where its pixels are") from unknown
            raise

    def load_end(self) -> None:
        """Turn the picture."""
        if self._byte:
            self.getexif()[ORIENTATION] = self._byte
        super().load_end()


def opened(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return a TIFF's first picture, which is turned when it is loaded.

    Raises Rejected, `unsupported_format`, for a combination of depth and channels that neither library reads; and what
    Pillow and libvips raise for a broken file.
    """
    tags = fields(stream.window())
    photometric = tags.get(PHOTOMETRIC, (WHITE_IS_ZERO,))[0]
    stream.seek(0)
    if stream.read(len(_BIG_END_FIRST)) == _BIG_END_FIRST:
        return _by_vips(stream, probe, tags)
    try:
        image = _by_pillow(stream)
    except SyntaxError as unknown:  # raised where Pillow has no mode for what the header says
        if (probe.depth, probe.channels, photometric) not in _ONLY_VIPS:
            raise _unread(probe) from unknown
        return _by_vips(stream, probe, tags)
    if image.mode == "F" and photometric == WHITE_IS_ZERO:
        raise _unread(probe)  # both libraries leave it the wrong way around
    return _by_vips(stream, probe, tags) if _is_misread(image) else image


def _unread(probe: Probe) -> Rejected:
    what = f"{probe.channels} {'channels' if probe.channels > 1 else 'channel'} of {probe.depth} bits"
    return Rejected(Code.UNSUPPORTED_FORMAT, f"a TIFF of {what}, stored as this one, is not read here")


def _by_pillow(stream: SourceStream) -> TiffImagePlugin.TiffImageFile:
    """Return the picture, opened. Uncompressed planes go through libtiff: Pillow itself reads 8 bits only."""
    file: Any = stream
    stream.seek(0)
    with _LIBTIFF:
        TiffImagePlugin.READ_LIBTIFF = False
        image = _File(file)
        if image.tag_v2.get(PLANAR) == SEPARATE:
            stream.seek(0)
            TiffImagePlugin.READ_LIBTIFF = True
            image = _File(file)
    return image


def _is_misread(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether Pillow would misread a picture that it opened.

    It takes subsampled YCbCr for full size where it is not JPEG; the values of a color map that go to 255 only for
    black, which libtiff and libvips take for 8 bits; gray of 16 bits for whole numbers, and for black as zero; and gray
    of 32 bits for signed. WebP inside TIFF it cannot decode.
    """
    tags = image.tag_v2
    if tags.get(COMPRESSION) == WEBP:
        return True
    if image.mode.startswith("I"):
        bits, form = tags.get(BITS, (1,))[0], tags.get(SAMPLE_FORMAT, (1,))[0]
        if bits == 16:
            return bool(form == FLOATING or tags.get(PHOTOMETRIC, 0) == WHITE_IS_ZERO)
        return bool(bits == 32 and form != SIGNED)
    if tags.get(PHOTOMETRIC) == YCBCR and tags.get(COMPRESSION, 1) not in JPEG:
        return bool(tags.get(SUBSAMPLING, (2, 2)) != (1, 1))  # TIFF 6.0, section 21: 2, 2 is the default
    return image.mode == "P" and bool(max(tags.get(COLOR_MAP) or (0,)) < 256)


def _by_vips(stream: SourceStream, probe: Probe, tags: Mapping[int, tuple[int, ...]]) -> Image.Image:
    """Return the picture decoded by libvips: RGB, RGBA where it has alpha, CMYK, and gray of 32 bits or floating in F.

    Raises vips.VipsError; Rejected, `unsupported_format`, for what libvips lacks or reads wrongly.
    """
    compression, photometric, form = (
        tags.get(tag, (usual,))[0] for tag, usual in ((COMPRESSION, 1), (PHOTOMETRIC, 0), (SAMPLE_FORMAT, 1))
    )
    floating = form == FLOATING
    deep = floating or probe.depth == 32
    if compression in _NOT_IN_VIPS or photometric == LAB or (deep and probe.channels > 1):
        raise _unread(probe)
    if floating and photometric == WHITE_IS_ZERO:
        raise _unread(probe)
    stream.seek(0)
    data = stream.read()
    check_tiles(tags, len(data))
    read = vips.Picture.open("tiffload", data)
    profile = read.profile()
    if deep:
        made, mode = read.run("cast", format="float"), "F"
    elif photometric == CMYK:
        made, mode = read.run("extract_band", band=0, n=_INKS), "CMYK"
        if probe.depth == 16:
            made = made.run("cast", format="uchar", shift="true")
    else:
        mode = "RGBA" if probe.alpha else "RGB"
        made = read.run("colourspace", space="srgb").run("extract_band", band=0, n=len(mode))
    image: Image.Image = Image.frombuffer(mode, made.shape[:2], made.pixels(), "raw", mode, 0, 1)
    if profile:
        image.info["icc_profile"] = profile
    turn: Image.Image = orient(image, probe.orientation)
    turn.info.update(image.info)
    return turn
