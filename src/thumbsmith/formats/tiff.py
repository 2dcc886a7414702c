"""TIFF by Pillow, and by libvips the few kinds that Pillow reads wrongly or not at all.

Which kind a picture is, its header says. Nothing is decoded by libvips because Pillow failed: what is broken stays
rejected.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.formats import vips
from thumbsmith.formats.picture import turned
from thumbsmith.formats.pillow import Image, TiffImagePlugin
from thumbsmith.formats.stream import SourceStream
from thumbsmith.probe.types import Probe

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
SIGNED: Final = 2
SEPARATE: Final = 2
YCBCR: Final = 6
JPEG: Final = (6, 7)  # the JPEG decoder itself undoes the subsampling

# Held while Pillow's one switch for the way to read a TIFF is set.
_LIBTIFF: Final = Lock()

# Bits and channels of kinds that Pillow has no mode for: a palette of 16 bits and gray that is stored white as zero;
# gray with alpha; gray of 32 bits with the highest byte first.
_ONLY_VIPS: Final = frozenset({(16, 1), (16, 2), (32, 1)})
_MODES: Final = {3: "RGB", 4: "RGBA"}


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
    try:
        image = _by_pillow(stream)
    except SyntaxError as unknown:  # raised where Pillow has no mode for what the header says
        if (probe.depth, probe.channels) in _ONLY_VIPS:
            return _by_vips(stream, probe)
        what = f"{probe.channels} {'channels' if probe.channels > 1 else 'channel'} of {probe.depth} bits"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a TIFF of {what}, stored as this one, is not read here") from unknown
    return _by_vips(stream, probe) if _is_misread(image) else image


def _by_pillow(stream: SourceStream) -> TiffImagePlugin.TiffImageFile:
    """Return the picture, opened. Uncompressed planes go through libtiff: Pillow itself reads 8 bits only."""
    file: Any = stream
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
    black, which libtiff and libvips take for 8 bits; gray of 16 bits for black as zero; and gray of 32 bits for signed.
    """
    tags = image.tag_v2
    if image.mode.startswith("I"):
        bits = tags.get(BITS, (1,))[0]
        signed = tags.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
        return bool((bits == 32 and not signed) or (bits == 16 and tags.get(PHOTOMETRIC, 0) == WHITE_IS_ZERO))
    if tags.get(PHOTOMETRIC) == YCBCR and tags.get(COMPRESSION, 1) not in JPEG:
        return bool(tags.get(SUBSAMPLING, (2, 2)) != (1, 1))  # TIFF 6.0, section 21: 2, 2 is the default
    return image.mode == "P" and bool(max(tags.get(COLOR_MAP) or (0,)) < 256)


def _by_vips(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the picture decoded by libvips: in RGB, in RGBA where it has alpha, and gray of 32 bits in F.

    Raises vips.VipsError.
    """
    stream.seek(0)
    read = vips.Picture.read("tiffload", stream.read())
    profile = read.profile()
    if probe.depth == 32:
        made, mode = read.run("cast", format="float"), "F"
    else:
        made = read.run("colourspace", space="srgb")
        mode = _MODES[made.shape[2]]
    image: Image.Image = Image.frombuffer(mode, made.shape[:2], made.pixels(), "raw", mode, 0, 1)
    if mode == "RGBA" and not probe.alpha:
        image = image.convert("RGB")
    if profile:
        image.info["icc_profile"] = profile
    turn: Image.Image = turned(image, probe.orientation)
    turn.info.update(image.info)
    return turn
