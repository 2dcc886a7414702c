"""HEIF: AVIF and HEIC, as a picture or, for AVIF, as a sequence.

ISO/IEC 23008-12; AV1 Image File Format, https://aomediacodec.github.io/av1-avif/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.grid import check_grid
from thumbsmith.probe.isobmff import Box, boxes, find
from thumbsmith.probe.items import read_items
from thumbsmith.probe.tracks import read_tracks
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window

_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_NEITHER: Final = frozenset({b"mif1", b"msf1"})

# How much of the list of brands is read.
_MAX_BRANDS: Final = 1024

# What describes the pictures holds none of them: a few KiB for a photograph that is cut into dozens of tiles.
_MAX_DESCRIPTION: Final = 1 << 20


def read(data: Window) -> Probe:
    """Return what an AVIF or HEIC says. Raises Rejected for other containers and for broken boxes, ShortRead.

    The size is as stored; `orientation` is what irot and imir come to, in the order they are listed in. An EXIF
    orientation counts for nothing (ISO/IEC 23008-12, annex A). libheif crops and turns the pixels it decodes and hides
    that it did; libavif decodes them as stored, and Pillow writes irot and imir into the EXIF block it hands out.
    """
    brand, name = _brands(data)
    moov = _description(data, b"moov") if name == "avif" and brand != b"avif" else None
    found = (moov and _sequence(data, moov)) or _picture(data, name)
    if not (found.width and found.height):
        raise Rejected(Code.CORRUPT, f"the picture claims to be {found.width} x {found.height}")
    return found


def _brands(data: Window) -> tuple[bytes, str]:
    """Return the major brand and the format: as Pillow's plugins choose, by the major brand, then by the others."""
    ftyp = next(boxes(data)).body
    brands = ftyp.read(0, min(ftyp.size, _MAX_BRANDS))
    major = brands[:4]
    compatible = {brands[start : start + 4] for start in range(8, len(brands), 4)}
    if major in _AVIF or (major in _NEITHER and compatible & _AVIF):
        return major, "avif"
    if major in _HEIC | _NEITHER:
        return major, "heic"
    shown = major.decode("ascii", "backslashreplace").strip()
    detail = f"this is a video or another ISO container (brand {shown!r}), not an image that is read here"
    raise Rejected(Code.UNSUPPORTED_FORMAT, detail)


def _description(data: Window, kind: bytes) -> Window | None:
    found = find(data, kind)
    if found and found.size > _MAX_DESCRIPTION:
        raise Rejected(Code.CORRUPT, f"the description of the picture takes {found.size} bytes")
    return found


def _sequence(data: Window, moov: Window) -> Probe | None:
    """Return what the first track of pictures says, as libavif chooses it, or None without one."""
    tracks = read_tracks(moov)
    colour = next((track for track in tracks if not track.auxiliary), None)
    if colour is None:
        return None
    alpha = any(track.alpha for track in tracks)
    channels, depth = _samples(colour.configuration)
    primaries, transfer = _code_points(colour.configuration)
    return Probe(
        format="avif",
        bytes=data.size,
        width=colour.width,
        height=colour.height,
        frames=max(1, colour.frames),
        channels=channels + alpha,
        depth=depth,
        alpha=alpha,
        primaries=primaries,
        transfer=transfer,
    )


def _picture(data: Window, name: str) -> Probe:
    meta = _description(data, b"meta")
    if meta is None and _description(data, b"moov"):
        what = "AV1" if name == "avif" else "HEVC"
        raise Rejected(
            Code.UNSUPPORTED_FORMAT, f"a sequence of {what} pictures without a still picture is not read here"
        )
    if meta is None:
        raise Rejected(Code.CORRUPT, "the file holds no picture")
    items = read_items(meta)
    tile = check_grid(data, meta, items)
    (width, height), alpha = items.size, items.alpha
    crop_left, crop_top, crop_width, crop_height = items.crop
    channels, depth = _samples(items.configuration)
    primaries, transfer = _code_points(items.configuration)
    return Probe(
        format=name,
        bytes=data.size,
        width=width,
        height=height,
        crop_left=crop_left,
        crop_top=crop_top,
        crop_width=crop_width,
        crop_height=crop_height,
        orientation=items.orientation,
        channels=channels + alpha,
        depth=depth,
        alpha=alpha,
        primaries=primaries,
        transfer=transfer,
        piece=tile,
    )


def _samples(configuration: Iterable[Box]) -> tuple[int, int]:
    """Return the number of channels without alpha, 1 or 3, and the bits of each."""
    found = {box.kind: box.body for box in reversed(tuple(configuration))}
    if pixi := found.get(b"pixi"):
        return (1 if pixi.byte(4) == 1 else 3), pixi.byte(5)
    if av1 := found.get(b"av1C"):
        flags = av1.byte(2)
        return (1 if flags & 0x10 else 3), 8 + 2 * (flags >> 6 & 1) + 2 * (flags >> 5 & 1)
    if hevc := found.get(b"hvcC"):
        return (3 if hevc.byte(16) & 3 else 1), 8 + (hevc.byte(17) & 7)
    return 3, 8


def _code_points(configuration: Iterable[Box]) -> tuple[int, int]:
    """Return the colour primaries and the transfer characteristics that an `nclx` tells, or zeros."""
    for kind, body in configuration:
        if kind == b"colr" and body.read(0, 4) == b"nclx":
            primaries, transfer = body.unpack(">HH", 4)
            return primaries, transfer
    return 0, 0
