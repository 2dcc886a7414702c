"""JPEG 2000: size, channels and tiles from the codestream, color from the boxes around it.

ITU-T T.800: Annex A (codestream) and Annex I (JP2). A file is a codestream alone, or one in a box of a JP2 or JPX.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.isobmff import Box, boxes

_CODESTREAM: Final = b"\xff\x4f\xff\x51"

# Markers: coding style, start of a tile-part, start of data, end.
_SIZE, _CODING, _TILE_PART, _END = 0xFF51, 0xFF52, 0xFF90, 0xFFD9

# Enumerated color spaces that Pillow decodes: CMYK, sRGB, gray, sYCC.
_COLOR_SPACES: Final = (12, 16, 17, 18)
_ENUMERATED, _RESTRICTED_PROFILE, _ANY_PROFILE = 1, 2, 3
_CMYK: Final = 12

_MAX_PROFILE_BYTES: Final = 4 << 20
_MAX_TILES: Final = 65_535

# Each has a header of at least 14 bytes. More are a waste of time.
_MAX_TILE_PARTS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Boxes:
    """What the boxes say: where the codestream is, the color space or 0, and (offset, length) of a profile."""

    codestream: Window
    color_space: int = 0
    profile: tuple[int, int] | None = None
    has_palette: bool = False


@dataclass(frozen=True, slots=True)
class Codestream:
    """What the main header of a codestream says. `parts` is the offset of the first tile-part in the codestream."""

    width: int
    height: int
    channels: int
    depth: int
    tile_pixels: int
    tiles: int
    levels: int
    parts: int
    subsampled: bool = field(default=False)


def read(data: Window) -> Probe:
    """Return what the header of a JPEG 2000 file says. Raises Rejected, ShortRead.

    `levels` is the number of times that the decoder can halve the picture; `piece` is the number of pixels of a tile.
    """
    around = read_boxes(data)
    found = read_codestream(around.codestream)
    if around.color_space not in (0, *_COLOR_SPACES):
        what = f"the color space {around.color_space}"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a JPEG 2000 picture in {what} is not supported")
    if found.channels > 4 or found.depth > 16:
        what = f"{found.channels} channels of {found.depth} bits"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a JPEG 2000 picture of {what} is not supported")
    if found.subsampled:
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a JPEG 2000 picture with smaller color channels is not supported")
    if around.has_palette:
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a JPEG 2000 picture with a palette is not supported")
    return Probe(
        format="jp2",
        bytes=data.size,
        width=found.width,
        height=found.height,
        channels=found.channels,
        depth=found.depth,
        alpha=found.channels == 2 or (found.channels == 4 and around.color_space != _CMYK),
        levels=found.levels,
        piece=found.tile_pixels,
    )


def read_boxes(data: Window) -> Boxes:
    """Return what the boxes of a JP2 say; of a codestream alone, where it is. Raises Rejected, ShortRead."""
    if data.read(0, 4) == _CODESTREAM:
        return Boxes(data)
    space, profile, palette = 0, None, False
    for each in boxes(data):
        if each.kind == b"jp2h":
            space, profile, palette = _read_header(each)
        elif each.kind == b"jp2c":
            return Boxes(each.body, space, profile, palette)
    raise ShortRead


def _read_header(header: Box) -> tuple[int, tuple[int, int] | None, bool]:
    space, profile, palette = 0, None, False
    for each in boxes(header.body):
        palette = palette or each.kind == b"pclr"
        if each.kind == b"colr" and not (space or profile):
            method = each.body.byte(0)
            if method == _ENUMERATED:
                (space,) = each.body.unpack(">I", 3)
            elif method in (_RESTRICTED_PROFILE, _ANY_PROFILE) and each.body.size <= _MAX_PROFILE_BYTES:
                profile = (each.body.start + 3, each.body.size - 3)
    return space, profile, palette


def read_codestream(data: Window) -> Codestream:
    """Return what the main header of a codestream says. Raises Rejected(corrupt), ShortRead."""
    if data.read(0, 4) != _CODESTREAM:
        raise Rejected(Code.CORRUPT, "the JPEG 2000 codestream does not begin with its size")
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, channels = data.unpack(">8IH", 8)
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or not (tile_width and tile_height and channels):
        raise Rejected(Code.CORRUPT, f"the JPEG 2000 picture claims to be {width} x {height}")
    parts = [data.unpack(">BBB", 42 + 3 * index) for index in range(min(channels, 5))]
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if not 0 < tiles <= _MAX_TILES:
        raise Rejected(Code.CORRUPT, f"the JPEG 2000 picture claims {tiles} tiles")
    levels, start = _read_main_header(data)
    return Codestream(
        width=width,
        height=height,
        channels=channels,
        depth=max((depth & 0x7F) + 1 for depth, _, _ in parts),
        tile_pixels=min(tile_width, width) * min(tile_height, height),
        tiles=tiles,
        levels=0 if left or top or tile_left or tile_top else levels,  # the sides would be rounded in other ways
        parts=start,
        subsampled=any(across != 1 or down != 1 for _, across, down in parts),
    )


def _read_main_header(data: Window) -> tuple[int, int]:
    """Return the number of decomposition levels, and the offset of the first tile-part."""
    offset, levels = 2, 0
    while True:
        (marker, length) = data.unpack(">HH", offset)
        if marker == _TILE_PART:
            return levels, offset
        if marker < 0xFF00 or length < 2:
            raise Rejected(Code.CORRUPT, "the header of the JPEG 2000 codestream is broken")
        if marker == _CODING:
            levels = min(data.byte(offset + 9), 32)
        offset += 2 + length


def check_complete(data: Window) -> None:
    """Raise ShortRead if a tile of a codestream is missing or cut: the decoder leaves it gray or blurred.

    Raises Rejected(corrupt) if the tile-parts are broken.
    """
    found = read_codestream(data)
    seen: set[int] = set()
    offset = found.parts
    for _ in range(_MAX_TILE_PARTS):
        (marker,) = data.unpack(">H", offset)
        if marker == _END:
            break
        if marker != _TILE_PART:
            raise Rejected(Code.CORRUPT, "the tiles of the JPEG 2000 picture do not follow one another")
        tile, length = data.unpack(">HI", offset + 4)
        seen.add(tile)
        if length == 0:  # the last one, up to the end mark
            length = data.size - 2 - offset
            if length < 14 or data.read(data.size - 2, 2) != _END.to_bytes(2, "big"):
                raise ShortRead
        if length < 14:
            raise Rejected(Code.CORRUPT, "a tile of the JPEG 2000 picture is shorter than its header")
        data.require(offset, length)
        offset += length
    if len(seen) < found.tiles:
        raise ShortRead
