"""HEIF: the header of AVIF and HEIC, as a still image or as a sequence; and grids of tiles.

ISO/IEC 23008-12; AV1 Image File Format, https://aomediacodec.github.io/av1-avif/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import raw
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.heic_sequence import read_sequence
from thumbsmith.image.containers.isobmff import Box, boxes, find_description
from thumbsmith.image.containers.items import Items, read_items
from thumbsmith.image.containers.tracks import read_tracks

# Brands. Files with a neutral brand are HEIC unless they are compatible with AVIF.
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
# The brand of a raw photograph of Canon.
_CANON_RAW: Final = b"crx "

_NEUTRAL: Final = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})

# Supported types of items in a HEIC: coded by HEVC, and derived from other items.
_HEIC_ITEMS: Final = frozenset({b"hvc1", b"grid", b"iovl", b"iden"})

# The value of `lsel` that selects no layer (ISO/IEC 23008-12, 6.5.11).
_ANY_LAYER: Final = 0xFFFF

# Types of items that libavif reads as an image.
_AVIF_ITEMS: Final = frozenset({b"av01", b"grid"})

# Matrices of ITU-T H.273, table 4, that libavif does not convert (its src/reformat.c).
_UNSUPPORTED_MATRICES: Final = frozenset({3, 10, 11, 13, 14})

# Pixels of all images of an overlay.
_MAX_OVERLAY_PIXELS: Final = 1 << 26

# The sides of a tile are halved at most 3 times: to an eighth, like the blocks of a JPEG.
_MAX_HALVINGS: Final = 3

# Bytes of the list of brands that are read.
_MAX_BRANDS_BYTES: Final = 1024

# The sample entry of AV1 in a track.
_AV1: Final = frozenset({b"av01"})


def read(data: Window) -> Probe:
    """Return what an AVIF or HEIC says. Raises Rejected for other containers and for broken boxes, ShortRead.

    The size is as stored. `orientation` is the result of irot and imir: for a HEIC in the order of the file, for an
    AVIF irot before imir. An EXIF orientation is ignored (ISO/IEC 23008-12, annex A). libavif decodes pixels as stored,
    and Pillow writes irot and imir into the EXIF block that it returns.
    """
    if data.read(8, 4) == _CANON_RAW:
        return raw.read(data)
    brand, name = _read_brands(data)
    found = (_read_avif_sequence(data, brand) if name == "avif" else _read_heic_sequence(data)) or _read_still(
        data, name
    )
    if not (found.width and found.height):
        raise Rejected(Code.CORRUPT, f"the picture claims to be {found.width} x {found.height}")
    return found


def _read_brands(data: Window) -> tuple[bytes, str]:
    """Return the major brand and the format, by the major brand, then by the others, AVIF before HEIC."""
    ftyp = next(boxes(data)).body
    brands = ftyp.read(0, min(ftyp.size, _MAX_BRANDS_BYTES))
    major = brands[:4]
    compatible = {brands[start : start + 4] for start in range(8, len(brands), 4)}
    if major in _AVIF or (major not in _HEIC and compatible & _AVIF):
        return major, "avif"
    if major in _HEIC | _NEUTRAL or compatible & _HEIC:
        return major, "heic"
    brand = major.decode("ascii", "backslashreplace").strip()
    detail = f"this is a video or another ISO container (brand {brand!r}), not a supported image format"
    raise Rejected(Code.UNSUPPORTED_FORMAT, detail)


def _read_heic_sequence(data: Window) -> Probe | None:
    """Return what a sequence says, with its first picture; None if its still image comes first."""
    sequence = read_sequence(data)
    return _describe(sequence.first, "heic", sequence.colors.frames) if sequence else None


def _read_avif_sequence(data: Window, brand: bytes) -> Probe | None:
    """Return what the first track of images says, the one that libavif chooses; None if there is no track."""
    moov = find_description(data, b"moov") if brand != b"avif" else None
    tracks = read_tracks(moov, _AV1) if moov else ()
    color = next((track for track in tracks if not track.auxiliary), None)
    if color is None:
        return None
    alpha = any(track.alpha for track in tracks)
    channels, depth = _samples(color.configuration)
    primaries, transfer = _code_points(color.configuration)
    return Probe(
        format="avif",
        bytes=data.size,
        width=color.width,
        height=color.height,
        frames=max(1, color.frames),
        channels=channels + alpha,
        depth=depth,
        alpha=alpha,
        primaries=primaries,
        transfer=transfer,
    )


def _read_still(data: Window, name: str) -> Probe:
    meta = find_description(data, b"meta")
    if meta is None and find_description(data, b"moov"):
        what = "without a still picture" if name == "avif" else "of other pictures than HEVC"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a sequence {what} is not supported")
    if meta is None:
        raise Rejected(Code.CORRUPT, "the file holds no picture")
    items = read_items(data, meta)
    # Browsers apply irot and imir of an AVIF in the prescribed order; libheif uses the order of the file.
    items = items.main_image() if name == "heic" else items.in_prescribed_order()
    return _describe(items, name)


def _describe(items: Items, name: str, frames: int = 1) -> Probe:
    """Return the probe of the primary item. Raises Rejected, ShortRead."""
    members = items.members()
    _check_kind(items, name)
    if name == "heic":
        _check_parts(items, members)
    grid = read_grid(items)
    _check_complete(items, members)
    (width, height), alpha = items.size, items.alpha
    (crop_left, crop_top, crop_width, crop_height), orientation = items.crop_and_orientation
    channels, depth = _samples(items.configuration)
    primaries, transfer = _code_points(items.configuration)
    return Probe(
        format=name,
        bytes=items.file.size,
        width=width,
        height=height,
        frames=frames,
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
    """Raise Rejected(unsupported_format) for another codec, and for images that a decoder here cannot read."""
    supported = _HEIC_ITEMS if name == "heic" else _AVIF_ITEMS
    if items.kind and items.kind not in supported:
        kind = items.kind.decode("ascii", "backslashreplace").strip()
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a picture of type {kind!r} in a HEIF file is not supported")
    alpha = items.of(items.alpha_item)
    if name == "avif" and items.alpha_item and alpha.has_size and alpha.size != items.size:  # libavif refuses it
        raise Rejected(
            Code.UNSUPPORTED_FORMAT, "an AVIF whose alpha has another size than its picture is not supported"
        )
    if name == "avif" and (matrix := _matrix(items.configuration)) in _UNSUPPORTED_MATRICES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"an AVIF with colors by matrix {matrix} of H.273 is not supported")
    if any(kind == b"pred" and item == items.primary for kind, item, _ in items.references):
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a picture that is coded as changes to another is not supported")


def _check_parts(items: Items, members: Iterable[int]) -> None:
    """Raise Rejected(unsupported_format) if a part of a HEIC has another codec, or shows a layer above the first.

    The first layer alone is plain HEVC, in an item with `hvcC`. Only `lhvC` describes the other layers, which `lsel`
    or `tols` select (ISO/IEC 23008-12, 6.5.11 and annex B; ISO/IEC 14496-15, 9.6).
    """
    for item in members:
        kind = items.kinds.get(item, b"hvc1")
        if kind not in _HEIC_ITEMS:
            name = kind.decode("ascii", "backslashreplace").strip()
            raise Rejected(Code.UNSUPPORTED_FORMAT, f"a picture with a part of type {name!r} is not supported")
        own = {box.kind: box.body for box in items.properties.get(item, ())}
        without_first = b"lhvC" in own and b"hvcC" not in own
        layer = own[b"lsel"].unpack(">H", 0)[0] if b"lsel" in own else 0
        layer_set = own[b"tols"].unpack(">H", 4)[0] if b"tols" in own else 0
        if without_first or layer not in (0, _ANY_LAYER) or layer_set:
            raise Rejected(Code.UNSUPPORTED_FORMAT, "a HEIC that shows a layer above the first is not supported")


def _check_complete(items: Items, members: Iterable[int]) -> None:
    """Raise Rejected(truncated) if the file ends before the data of the image, its parts or its alpha."""
    try:
        for item in members:
            if item in items.places:
                items.of(item).windows  # noqa: B018 - only what it raises matters
    except ShortRead:
        raise Rejected(Code.TRUNCATED, "the file ends before the picture does") from None
    except Rejected:  # an invalid place is for the decoder to judge
        return


def _largest_part(items: Items, members: tuple[int, ...]) -> int:
    """Return the pixels of the largest part of a derived image, 0 for any other image.

    Raises Rejected(unsupported_format) for an overlay with too many pixels.
    """
    if not items.tiles:
        return 0
    pixels = [width * height for width, height in (items.of(item).size for item in members[1:])]
    if sum(pixels) > _MAX_OVERLAY_PIXELS:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"an overlay of {sum(pixels)} pixels is not supported")
    return max(pixels)


def _larger_alpha(items: Items) -> int:
    """Return the pixels of the alpha if it has more than its image, else 0."""
    if not items.alpha_item or not items.of(items.alpha_item).has_size:
        return 0
    pixels, own = (width * height for width, height in (items.of(items.alpha_item).size, items.size))
    return pixels if pixels > own else 0


def _halvings(tile: tuple[int, int]) -> int:
    """Return how often both sides of a tile can be halved."""
    return next(count for count in range(_MAX_HALVINGS, -1, -1) if not any(side % (1 << count) for side in tile))


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
    """Return the matrix coefficients of an `nclx`, 2 (unspecified) without one."""
    return next((body.unpack(">H", 8)[0] for kind, body in configuration if _is_nclx(kind, body)), 2)


def _is_nclx(kind: bytes, body: Window) -> bool:
    return kind == b"colr" and body.read(0, 4) == b"nclx"


def _code_points(configuration: Iterable[Box]) -> tuple[int, int]:
    """Return the color primaries and the transfer characteristics of an `nclx`, zeros without one."""
    for kind, body in configuration:
        if _is_nclx(kind, body):
            primaries, transfer = body.unpack(">HH", 4)
            return primaries, transfer
    return 0, 0


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of tiles (ISO/IEC 23008-12, 6.6.2.3), as phones write it. `size` is that of the whole image."""

    columns: int
    tile: tuple[int, int]
    size: tuple[int, int]
    tiles: tuple[int, ...]

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Yield the item of each tile, and its left and top in the image: row by row, from the left."""
        for number, item in enumerate(self.tiles):
            row, column = divmod(number, self.columns)
            yield item, column * self.tile[0], row * self.tile[1]


def read_grid(items: Items) -> Grid | None:
    """Return the tiles of the primary item, None if it is not a grid.

    Raises Rejected(corrupt), or ShortRead, for a grid with a wrong number of tiles, tiles of several sizes, an
    uncovered part, or tiles that are entirely outside of the image, which would be decoded for nothing.
    """
    if items.kind != b"grid":
        return None
    grid = items.windows[0]
    _, flags, rows, columns = grid.unpack(">BBBB", 0)
    width, height = grid.unpack(">II" if flags & 1 else ">HH", 4)
    return _check_grid(items, rows + 1, columns + 1, (width, height))


def _check_grid(items: Items, rows: int, columns: int, size: tuple[int, int]) -> Grid:
    sizes = {_size_of(items.properties.get(tile, ())) for tile in items.tiles}
    if len(items.tiles) != rows * columns or len(sizes) != 1:
        what = f"{len(items.tiles)} tiles of {len(sizes)} sizes"
        raise Rejected(Code.CORRUPT, f"the picture should have {rows} x {columns} tiles of one size, and has {what}")
    ((width, height),) = sizes
    right, bottom = columns * width, rows * height
    has_idle_tiles = right - width >= size[0] or bottom - height >= size[1]
    if size != items.size or right < size[0] or bottom < size[1] or has_idle_tiles:
        what = f"{rows} x {columns} tiles of {width} x {height}"
        raise Rejected(Code.CORRUPT, f"{what} do not make a picture of {size[0]} x {size[1]}")
    return Grid(columns, (width, height), size, items.tiles)


def _size_of(properties: Iterable[Box]) -> tuple[int, int]:
    for kind, body in properties:
        if kind == b"ispe":
            width, height = body.unpack(">II", 4)
            return width, height
    return 0, 0
