"""Pictures that are put together from tiles, as phones write them. ISO/IEC 23008-12, 6.6.2.3.

HEIF: AVIF and HEIC, as a picture or, for AVIF, as a sequence.

ISO/IEC 23008-12; AV1 Image File Format, https://aomediacodec.github.io/av1-avif/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.isobmff import Box, boxes, find, read_tracks
from thumbsmith.image.containers.items import Items, read_items


@dataclass(frozen=True, slots=True)
class Grid:
    """A picture of tiles: how many there are in a row, their size, and the size of the picture that they cover."""

    columns: int
    tile: tuple[int, int]
    size: tuple[int, int]
    tiles: tuple[int, ...]

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Yield each tile's item, and its left and top in the picture: rows from the top, each from the left."""
        for number, item in enumerate(self.tiles):
            row, column = divmod(number, self.columns)
            yield item, column * self.tile[0], row * self.tile[1]


def read_grid(items: Items) -> Grid | None:
    """Return the tiles of the primary item, None where it is not a grid.

    Raises Rejected(corrupt), or ShortRead, for a grid whose tiles are not as many as it says, are not all of one size,
    leave a part of the picture open, or lie wholly outside of it: those would be decoded in vain.
    """
    if items.kind != b"grid":
        return None
    holder = items.windows[0]
    _, flags, rows, columns = holder.unpack(">BBBB", 0)
    width, height = holder.unpack(">II" if flags & 1 else ">HH", 4)
    return _checked(items, rows + 1, columns + 1, (width, height))


def _checked(items: Items, rows: int, columns: int, size: tuple[int, int]) -> Grid:
    sizes = {_size(items.properties.get(tile, ())) for tile in items.tiles}
    if len(items.tiles) != rows * columns or len(sizes) != 1:
        what = f"{len(items.tiles)} tiles of {len(sizes)} sizes"
        raise Rejected(Code.CORRUPT, f"the picture should have {rows} x {columns} tiles of one size, and has {what}")
    ((width, height),) = sizes
    reach = (columns * width, rows * height)
    idle = (reach[0] - width >= size[0], reach[1] - height >= size[1])
    if size != items.size or reach[0] < size[0] or reach[1] < size[1] or any(idle):
        what = f"{rows} x {columns} tiles of {width} x {height}"
        raise Rejected(Code.CORRUPT, f"{what} do not make a picture of {size[0]} x {size[1]}")
    return Grid(columns, (width, height), size, items.tiles)


def _size(properties: Iterable[Box]) -> tuple[int, int]:
    for kind, body in properties:
        if kind == b"ispe":
            width, height = body.unpack(">II", 4)
            return width, height
    return 0, 0


_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_NEITHER: Final = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})

# Types of items that a HEIC is made of here: coded by HEVC, and put together from others.
CODED: Final = b"hvc1"
DERIVED: Final = frozenset({b"grid", b"iovl", b"iden"})

# Types of items that libavif reads as a picture.
_AVIF_ITEMS: Final = frozenset({b"av01", b"grid"})

# Matrices of ITU-T H.273, table 4, that libavif does not convert (its src/reformat.c).
_MATRICES_NOT_READ: Final = frozenset({3, 10, 11, 13, 14})

# Pixels of all pictures that are laid on a canvas.
_MOST_OVERLAID: Final = 1 << 26

# How often the sides of a tile are halved at most: to an eighth, as of a JPEG's blocks.
_MOST_HALVINGS: Final = 3

# How much of the list of brands is read.
_MAX_BRANDS: Final = 1024

# What describes the pictures holds none of them: a few KiB for a photograph that is cut into dozens of tiles.
_MAX_DESCRIPTION: Final = 1 << 20


def read(data: Window) -> Probe:
    """Return what an AVIF or HEIC says. Raises Rejected for other containers and for broken boxes, ShortRead.

    The size is as stored; `orientation` is what irot and imir come to: of a HEIC in the order they are listed in, of an
    AVIF the turn before the mirror. An EXIF orientation counts for nothing (ISO/IEC 23008-12, annex A). libavif decodes
    pixels as stored, and Pillow writes irot and imir into the EXIF block it hands out.
    """
    brand, name = _brands(data)
    moov = _description(data, b"moov") if name == "avif" and brand != b"avif" else None
    found = (moov and _sequence(data, moov)) or _picture(data, name)
    if not (found.width and found.height):
        raise Rejected(Code.CORRUPT, f"the picture claims to be {found.width} x {found.height}")
    return found


def _brands(data: Window) -> tuple[bytes, str]:
    """Return the major brand and the format: by the major brand, then by the others, AVIF before HEIC."""
    ftyp = next(boxes(data)).body
    brands = ftyp.read(0, min(ftyp.size, _MAX_BRANDS))
    major = brands[:4]
    compatible = {brands[start : start + 4] for start in range(8, len(brands), 4)}
    if major in _AVIF or (major not in _HEIC and compatible & _AVIF):
        return major, "avif"
    if major in _HEIC | _NEITHER or compatible & _HEIC:
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
    items = read_items(data, meta)
    # Browsers turn an AVIF in the prescribed order, whatever the order in the file; libheif takes that of the file.
    items = items.master() if name == "heic" else items.in_fixed_order()
    members = items.members()
    _check_kind(items, name)
    grid = read_grid(items)
    _check_whole(items, members)
    (width, height), alpha = items.size, items.alpha
    (crop_left, crop_top, crop_width, crop_height), orientation = items.view
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
        orientation=orientation,
        channels=channels + alpha,
        depth=depth,
        alpha=alpha,
        primaries=primaries,
        transfer=transfer,
        piece=max(grid.tile[0] * grid.tile[1] if grid else _largest_part(items, members), _larger_alpha(items)),
        levels=_halvings(grid.tile) if grid and name == "heic" and not alpha and not crop_width else 0,
    )


def _check_kind(items: Items, name: str) -> None:
    """Raise Rejected(unsupported_format) for a picture that is coded by another codec, or in parts of others."""
    read = DERIVED | {CODED} if name == "heic" else _AVIF_ITEMS
    if items.kind and items.kind not in read:
        shown = items.kind.decode("ascii", "backslashreplace").strip()
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a picture of type {shown!r} in a HEIF file is not read here")
    alpha = items.of(items.alpha_item)
    if name == "avif" and items.alpha_item and alpha.has_size and alpha.size != items.size:  # libavif refuses it
        raise Rejected(
            Code.UNSUPPORTED_FORMAT, "an AVIF whose alpha has another size than its picture is not read here"
        )
    if name == "avif" and (matrix := _matrix(items.configuration)) in _MATRICES_NOT_READ:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"an AVIF with colors by matrix {matrix} of H.273 is not read here")
    if any(kind == b"pred" and item == items.primary for kind, item, _ in items.references):
        raise Rejected(Code.UNSUPPORTED_FORMAT, "the picture is coded as changes to another, which is not read here")


def _check_whole(items: Items, members: Iterable[int]) -> None:
    """Raise Rejected(truncated) where the file ends before the data of the picture, its parts or its alpha do."""
    try:
        for item in members:
            if item in items.places:
                items.of(item).windows  # noqa: B018 - what it raises is what counts
    except ShortRead:
        raise Rejected(Code.TRUNCATED, "the file ends before the picture does") from None
    except Rejected:  # a place that cannot be read is for the decoder to judge
        return


def _largest_part(items: Items, members: tuple[int, ...]) -> int:
    """Return the pixels of the largest part of a picture that is put together from others, 0 of any other.

    Raises Rejected(unsupported_format) for an overlay of more than is decoded for one picture.
    """
    if not items.tiles:
        return 0
    pixels = [width * height for width, height in (items.of(item).size for item in members[1:])]
    if sum(pixels) > _MOST_OVERLAID:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"an overlay of {sum(pixels)} pixels is not read here")
    return max(pixels)


def _larger_alpha(items: Items) -> int:
    """Return the pixels of the picture's alpha where it has more than the picture, else 0."""
    if not items.alpha_item or not items.of(items.alpha_item).has_size:
        return 0
    pixels, own = (width * height for width, height in (items.of(items.alpha_item).size, items.size))
    return pixels if pixels > own else 0


def _halvings(tile: tuple[int, int]) -> int:
    """Return how often both sides of a tile can be halved."""
    return next(count for count in range(_MOST_HALVINGS, -1, -1) if not any(side % (1 << count) for side in tile))


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


def _matrix(configuration: Iterable[Box]) -> int:
    """Return the matrix coefficients that an `nclx` tells, or 2, which is unspecified."""
    return next((body.unpack(">H", 8)[0] for kind, body in configuration if _is_nclx(kind, body)), 2)


def _is_nclx(kind: bytes, body: Window) -> bool:
    return kind == b"colr" and body.read(0, 4) == b"nclx"


def _code_points(configuration: Iterable[Box]) -> tuple[int, int]:
    """Return the colour primaries and the transfer characteristics that an `nclx` tells, or zeros."""
    for kind, body in configuration:
        if _is_nclx(kind, body):
            primaries, transfer = body.unpack(">HH", 4)
            return primaries, transfer
    return 0, 0
