"""PSD and PSB: the size, and where the flattened picture is that Photoshop stores in addition to the layers.

https://www.adobe.com/devnet-apps/photoshop/fileformatashtml/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, Window

# Color modes: bitmap, gray, palette, RGB, CMYK, duotone (stored as gray), Lab. With the number of their channels.
BITMAP, _GRAY, PALETTE, RGB, CMYK, _DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9
_CHANNELS: Final = {BITMAP: 1, _GRAY: 1, PALETTE: 1, RGB: 3, CMYK: 4, _DUOTONE: 1, LAB: 3}

_MAX_CHANNELS: Final = 56
_MAX_RESOURCES: Final = 10_000

# Resources: the color profile, and whether the flattened picture is there (version info).
_PROFILE, _VERSION_INFO = 1039, 1057
_MAX_PROFILE_BYTES: Final = 4 << 20

RAW, RUN_LENGTHS = 0, 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How the flattened picture is stored: channel after channel, from the offset `pixels` on.

    With RUN_LENGTHS, the bytes of each row of each channel come first: numbers of `count_bytes` bytes. `transparent`:
    the channel after the colors is transparency, and the colors are mixed with white where it is not 255.
    """

    width: int
    height: int
    mode: int
    depth: int
    channels: int  # in the file
    colors: int  # of the mode
    compression: int
    pixels: int
    count_bytes: int
    palette: tuple[int, int]
    profile: tuple[int, int] | None
    transparent: bool


def read(data: Window) -> Probe:
    """Return what the header of a PSD says. Raises Rejected, ShortRead."""
    found = read_layout(data)
    return Probe(
        format="psd",
        bytes=data.size,
        width=found.width,
        height=found.height,
        channels=1 if found.mode == PALETTE else found.colors + found.transparent,
        depth=8 if found.depth == 1 else found.depth,
        alpha=found.transparent,
    )


def read_layout(data: Window) -> Layout:
    """Return how the flattened picture is stored. Raises as `read`."""
    version, channels, height, width, depth, mode = data.unpack(">H6xHIIHH", 4)
    if version not in (1, 2):
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a PSD of version {version} is not supported")
    if mode not in _CHANNELS or depth not in ((1,) if mode == BITMAP else (8, 16)):
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a PSD of color mode {mode} with {depth} bits is not supported")
    if not (width and height) or not _CHANNELS[mode] <= channels <= _MAX_CHANNELS:
        raise Rejected(Code.CORRUPT, f"the PSD claims to be {width} x {height} with {channels} channels")
    (palette_bytes,) = data.unpack(">I", 26)
    palette = (30, palette_bytes)
    if mode == PALETTE and palette_bytes != 768:
        raise Rejected(Code.CORRUPT, "the palette of the PSD has no 256 colors")
    offset = 30 + palette_bytes
    (resource_bytes,) = data.unpack(">I", offset)
    profile = _read_resources(data.window(offset + 4, resource_bytes))
    offset += 4 + resource_bytes
    large = version == 2
    (layer_bytes,) = data.unpack(">Q" if large else ">I", offset)
    offset += 8 if large else 4
    transparent = channels > _CHANNELS[mode] and _has_transparency(data.window(offset, layer_bytes), large=large)
    offset += layer_bytes
    (compression,) = data.unpack(">H", offset)
    if compression not in (RAW, RUN_LENGTHS):
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a PSD with the compression {compression} is not supported")
    return Layout(
        width=width,
        height=height,
        mode=mode,
        depth=depth,
        channels=channels,
        colors=_CHANNELS[mode],
        compression=compression,
        pixels=offset + 2,
        count_bytes=4 if large else 2,
        palette=palette,
        profile=profile,
        transparent=transparent and mode in (RGB, _GRAY),
    )


def _read_resources(data: Window) -> tuple[int, int] | None:
    """Return (offset, length) in the file of the color profile, None if there is none.

    Raises Rejected(unsupported_format) if the file says that it has no flattened picture.
    """
    profile = None
    offset = 0
    for _ in range(_MAX_RESOURCES):
        if offset + 12 > data.size:
            break
        (kind,) = data.unpack(">H", offset + 4)
        name_bytes = data.byte(offset + 6) + 1
        offset += 6 + name_bytes + (name_bytes & 1)
        (length,) = data.unpack(">I", offset)
        start = offset + 4
        if kind == _PROFILE and length <= _MAX_PROFILE_BYTES and start + length <= data.size:
            profile = (data.start + start, length)
        if kind == _VERSION_INFO and length >= 5 and data.byte(start + 4) == 0:
            raise Rejected(
                Code.UNSUPPORTED_FORMAT,
                'the PSD has no flattened picture: Photoshop stores one with "Maximize Compatibility"',
            )
        offset = start + length + (length & 1)
    return profile


def _has_transparency(layers: Window, *, large: bool) -> bool:
    """Return whether the first channel after the colors is transparency: the number of layers is then negative."""
    start = 8 if large else 4
    if layers.size < start + 2:
        return False
    (count,) = layers.unpack(">h", start)
    return count < 0
