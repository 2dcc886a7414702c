"""What the header of a source says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Counting frames ends here, far above what is watched or decoded: to count on would cost more than to decode the first.
MAX_FRAMES: Final = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a source is, by its header. `width` and `height` are as stored: before the crop and the turn."""

    format: str  # jpeg | png | gif | webp | tiff | bmp | avif | heic
    bytes: int  # of the whole file
    width: int
    height: int
    crop_left: int = 0  # AVIF and HEIC: the part of it that is seen, before the turn; width and height 0 are all
    crop_top: int = 0
    crop_width: int = 0
    crop_height: int = 0
    orientation: int = 1  # EXIF's 1 to 8; for AVIF and HEIC worked out from irot and imir
    frames: int = 1
    channels: int = 3  # of the stored picture: 1 grey or palette, 2 grey+alpha, 3, 4 (RGBA or CMYK)
    depth: int = 8  # bits a channel
    alpha: bool = False  # the picture can be transparent
    interlaced: bool = False  # PNG Adam7, GIF
    progressive: bool = False  # JPEG SOF2, SOF10
    scans: int = 1  # of a JPEG: those that are decoded
    first_scan: int = 0  # progressive JPEG: where the first scan ends, if that alone is decoded, at an eighth; else 0
    levels: int = 0  # TIFF: how often the picture is there once more, halved each time; HEIC: how often tiles can be
    subsampled: bool = True  # JPEG: chroma is stored smaller than luma (decides a progressive JPEG's memory)
    piece: int = 0  # TIFF: bytes of the largest strip or tile, unpacked; HEIC and AVIF: pixels of one tile
    primaries: int = (
        0  # PNG, AVIF, HEIC: code points of ITU-T H.273 for the colours and their curve; 0 where none are told
    )
    transfer: int = 0
    gamma: int = (
        0  # PNG: the exponent from light to level, times 100,000, where the file has nothing more exact; 0 for none
    )
    chromaticities: str = ""  # PNG: what cHRM holds, in hexadecimal: x and y of white, red, green, blue, times 100,000
    hidden: bool = False  # PNG: its first picture is no frame of its animation, and is not shown
    metadata: int = 0  # JPEG: bytes of profiles, texts and EXIF before the picture, which its decoder keeps

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) as seen, after the crop and the turn."""
        width, height = self.crop_width or self.width, self.crop_height or self.height
        return (height, width) if self.orientation >= 5 else (width, height)
