"""HEIC: pictures that are put together here from what HEVC codes, which the optional package pi_heif decodes.

Each coded item is handed to it alone, in a file of its own. So tiles of a large photo are never in memory at once, a
broken tile is an error and not a black square, and items that are broken or unknown harm no other. ISO/IEC 23008-12.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, Final, TypeAlias

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers.base import ShortRead, Window
from thumbsmith.image.containers.heif import read_grid
from thumbsmith.image.containers.isobmff import Box, find
from thumbsmith.image.containers.items import Items, read_items
from thumbsmith.image.heif_file import Item, box, check_end, written
from thumbsmith.image.pillow import Image, ImageFile
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.transform import orient
from thumbsmith.reader import BytesReader

# What a decoder needs to know of a coded item besides its colors. Crops and turns are made here.
_NEEDED: Final = frozenset({b"hvcC", b"ispe", b"pixi"})

# Profiles in a `colr` box.
_PROFILES: Final = (b"prof", b"rICC")

# Alpha has the whole range of levels, also where it is coded as a color picture.
_WHOLE_RANGE: Final = box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0x80))

# The `colr` boxes of an item.
Colors: TypeAlias = tuple[bytes, ...]


class HeicFile(ImageFile.ImageFile):
    """A HEIC file's main picture, as seen, put together when it is loaded."""

    format = "HEIF"
    _items: Items | None = None
    _count = 1

    def _open(self) -> None:
        self._items = items = read(self.fp)  # type: ignore[arg-type]  # only open_heic makes one
        self._size = items.seen
        self._mode = "RGB"
        self.info.update({**_profile(items), **_metadata(items)})

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:  # noqa: ARG002 - Pillow's signature
        """Have the tiles of the picture averaged to this size when it is loaded."""
        if size:
            self._count = self.size[0] // size[0]

    def load(self) -> Any:
        """Decode it. Raises Rejected, ShortRead, and what pi_heif raises."""
        if self._items:
            made = shown(self._items, self._count)
            self._items, self.tile = None, []
            self.im, self._mode, self._size = made.im, made.mode, made.size
        return Image.Image.load(self)


def open_heic(stream: SourceStream) -> Image.Image:
    """Return a HEIC file's main picture, decoded when it is loaded: cropped and turned as it is meant to be seen.

    Raises MissingDecoder where pi_heif is not installed.
    """
    try:
        import pi_heif  # noqa: F401, PLC0415 - an extra that need not be there
    except ImportError as error:
        raise MissingDecoder('photos in HEIC need the extra "heic": pip install "thumbsmith[heic]"') from error
    return HeicFile(stream)  # type: ignore[arg-type]  # it has what Pillow needs of a file


def read(stream: SourceStream) -> Items:
    """Return the items of a HEIC file. Raises Rejected, ShortRead, and what the reader raises."""
    file = stream.window()
    meta = find(file, b"meta")
    if meta is None:
        raise Rejected(Code.CORRUPT, "the file holds no picture")
    # The description in a buffer of its own: it is read again for each tile, and lies far from the tiles.
    description = Window.over(BytesReader(meta.read(0, meta.size)))
    return read_items(file, description).master()


def shown(items: Items, count: int = 1, colors: Colors = ()) -> Image.Image:
    """Return the primary item as seen, `count` pixels of each axis averaged: cropped, turned, with its alpha.

    `count` above 1 is for grids without crop or alpha (Probe.levels). `colors` are what the picture that the item is a
    part of says of colors. Raises Rejected(corrupt) where what is coded has another size than the item, ShortRead
    where the file ends before, Rejected(unsupported_format), and what pi_heif raises.
    """
    image = _stored(items, count, colors)
    (left, top, width, height), orientation = items.view
    if width:
        image = image.crop((left, top, left + width, top + height))
    return orient(image, orientation)


def _stored(items: Items, count: int, colors: Colors) -> Image.Image:
    """Return the primary item before its crop and turn, with its alpha."""
    image = _opaque(items, count, colors)
    if image.size != _reduced(items.size, count):
        sizes = "{}x{}, not {}x{}".format(*image.size, *_reduced(items.size, count))
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")
    return _with_alpha(image, items) if items.alpha_item else image


def _opaque(items: Items, count: int, colors: Colors) -> Image.Image:
    colors = own_colors(items) or colors
    match items.kind:
        case b"grid":
            return _grid(items, count, colors)
        case b"iovl":
            return _overlay(items, colors)
        case b"iden" if items.tiles:
            return shown(items.of(items.tiles[0]), 1, colors)
        case b"hvc1":
            return _coded(items, colors)
    raise Rejected(Code.UNSUPPORTED_FORMAT, "a part of the picture is coded in a way that is not read here")


def own_colors(items: Items) -> Colors:
    """Return the boxes by which the primary item says its colors."""
    return tuple(_boxed(each) for each in items.colors)


def _boxed(each: Box) -> bytes:
    return box(each.kind, each.body.read(0, each.body.size))


def _coded(items: Items, colors: Colors) -> Image.Image:
    """Return what HEVC codes in the primary item."""
    from pi_heif import HeifFile  # noqa: PLC0415 - an extra that need not be there

    data = items.data
    check_end(data)
    kept = [each for each in items.properties.get(items.primary, ()) if each.kind in _NEEDED]
    alone = written(BytesReader(b""), b"heic", [Item(b"hvc1", (*map(_boxed, kept), *colors), (data,))])
    file = HeifFile(
        BytesIO(alone.read(0, alone.size)), convert_hdr_to_8bit=True, hdr_to_16bit=True, remove_stride=False
    )
    picture = file[0]
    pixels = picture.data  # the size may change in decoding
    image = Image.frombytes(picture.mode, picture.size, pixels, "raw", picture.mode, picture.stride)
    return normalize_mode(image, 16)  # pi_heif hands out deep gray in 16 bits


def _grid(items: Items, count: int, colors: Colors) -> Image.Image:
    grid = read_grid(items)
    if grid is None:
        raise Rejected(Code.CORRUPT, "the picture is no grid")
    made: Image.Image | None = None
    for item, left, top in grid.places():
        tile = shown(items.of(item), 1, colors)
        if tile.size != grid.tile:
            raise Rejected(Code.CORRUPT, "a tile of the picture has another size than it says")
        tile = tile.crop((0, 0, min(tile.width, grid.size[0] - left), min(tile.height, grid.size[1] - top)))
        if made is None:
            made = Image.new(tile.mode, _reduced(grid.size, count))
        made.paste((tile.reduce(count) if count > 1 else tile).convert(made.mode), (left // count, top // count))
    if made is None:
        raise Rejected(Code.CORRUPT, "the picture has no tiles")
    return made


def _overlay(items: Items, colors: Colors) -> Image.Image:
    """Return pictures laid on a canvas of one color, the last on top. ISO/IEC 23008-12, 6.6.2.2."""
    holder, parts = items.windows[0], items.tiles
    wide = holder.byte(1) & 1
    *fill, _, width, height = holder.unpack(">4HII" if wide else ">4HHH", 2)
    if (width, height) != items.size:
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {width}x{height}")
    places = holder.unpack(f">{2 * len(parts)}{'i' if wide else 'h'}", 18 if wide else 14)
    canvas = Image.new("RGB", (width, height), tuple(level >> 8 for level in fill))
    for item, left, top in zip(parts, places[::2], places[1::2], strict=True):
        part = shown(items.of(item), 1, colors)
        canvas.paste(part.convert("RGB"), (left, top), part.getchannel("A") if "A" in part.getbands() else None)
    return canvas


def _with_alpha(image: Image.Image, items: Items) -> Image.Image:
    """Return a picture with the alpha that belongs to the primary item, which may have another size.

    Colors that are stored multiplied by it are divided again. ISO/IEC 23008-12, 6.5.8 and 7.3.5.2 of 23000-22 (prem).
    """
    alpha = _opaque(items.of(items.alpha_item), 1, (_WHOLE_RANGE,)).convert("L")
    if alpha.size != image.size:
        alpha = alpha.resize(image.size, Image.Resampling.BILINEAR)
    if any(kind == b"prem" and item == items.primary for kind, item, _ in items.references):
        return Image.merge("RGBa", (*image.convert("RGB").split(), alpha)).convert("RGBA")
    image.putalpha(alpha)
    return image


def _reduced(size: tuple[int, int], count: int) -> tuple[int, int]:
    return -(-size[0] // count), -(-size[1] // count)


def _profile(items: Items) -> dict[str, bytes]:
    """Return the ICC profile of the picture, or of its first tile."""
    for kind, body in items.configuration:
        if kind == b"colr" and body.read(0, 4) in _PROFILES:
            return {"icc_profile": body.read(4, body.size - 4)}
    return {}


def _metadata(items: Items) -> dict[str, bytes]:
    """Return EXIF and XMP that describe the picture. What cannot be read is left out."""
    found: dict[str, bytes] = {}
    for kind, item, targets in items.references:
        each = items.of(item)
        if kind == b"cdsc" and items.primary in targets and each.kind in (b"Exif", b"mime"):
            try:
                data = each.data
            except (Rejected, ShortRead):
                continue
            if each.kind == b"mime":
                found.setdefault("xmp", data)
            elif len(data) > 4:  # first comes how many bytes precede the TIFF header
                found.setdefault("exif", b"Exif\0\0" + data[4 + int.from_bytes(data[:4], "big") :])
    return found
