"""HEIC: images assembled here from their coded items, which pi_heif decodes; and the frames of sequences.

Each coded item is decoded alone, from a file of its own. So the tiles of a large photo are never in memory at once, a
broken tile is an error and not a black square, and broken or unknown items do not affect others. ISO/IEC 23008-12.
The first picture of a sequence is decoded like an item, too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final, TypeAlias

from thumbsmith.errors import Code, Rejected
from thumbsmith.image import hevc
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.heic_sequence import HeicSequence, read_sequence
from thumbsmith.image.containers.heif import read_grid
from thumbsmith.image.containers.isobmff import Box, find
from thumbsmith.image.containers.items import Items, read_items
from thumbsmith.image.containers.tracks import Track, read_durations, read_sample_places
from thumbsmith.image.heif_file import Item, build_file, check_end, make_box
from thumbsmith.image.pillow import Image, ImageFile
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.transform import orient
from thumbsmith.reader import BytesReader

# Properties of a coded item that a decoder needs in addition to its colors. Crop and orientation are applied here.
_DECODER_PROPERTIES: Final = frozenset({b"hvcC", b"ispe", b"pixi"})

# Types of `colr` boxes with a profile.
_PROFILE_TYPES: Final = (b"prof", b"rICC")

# Alpha uses the full range of levels, even if it is coded as a color image.
_FULL_RANGE: Final = make_box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0x80))

# The `colr` boxes of an item.
Colors: TypeAlias = tuple[bytes, ...]


class HeicFile(ImageFile.ImageFile):
    """The main image of a HEIC, as displayed. It is decoded and assembled when it is loaded."""

    format = "HEIF"
    _items: Items | None = None
    _shrink = 1

    def _open(self) -> None:
        self._items = items = read(self.fp)  # type: ignore[arg-type]  # only open_heic makes one
        self._size = items.displayed_size
        self._mode = "RGB"
        self.info.update({**_read_profile(items), **_read_metadata(items)})

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:  # noqa: ARG002 - Pillow's signature
        """Average the tiles of the image to this size when it is loaded."""
        if size:
            self._shrink = self.size[0] // size[0]

    def load(self) -> Any:
        """Decode it. Raises Rejected, ShortRead, and what pi_heif raises."""
        if self._items:
            image = displayed(self._items, self._shrink)
            self._items, self.tile = None, []
            self.im, self._mode, self._size = image.im, image.mode, image.size
        return Image.Image.load(self)


def open_heic(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return the main image of a HEIC, which is decoded when it is loaded: with its crop and orientation applied.

    Raises Rejected, ShortRead, and what the reader raises.
    """
    return HeicFile(stream)  # type: ignore[arg-type]  # it has what Pillow needs of a file


def load_library() -> None:
    """Load libheif, and let it decode in one thread: a worker uses one core."""
    import pi_heif  # noqa: PLC0415 - loaded only where HEIC is decoded

    pi_heif.options.DECODE_THREADS = 1
    hevc.load()


def read(stream: SourceStream) -> Items:
    """Return the items of a HEIC file, or the first picture of a sequence as such.

    Raises Rejected, ShortRead, and what the reader raises.
    """
    file = stream.window()
    if sequence := read_sequence(file):
        return sequence.first
    meta = find(file, b"meta")
    if meta is None:
        raise Rejected(Code.CORRUPT, "the file holds no picture")
    # The description gets a buffer of its own: it is read again for each tile, and is far from the tiles.
    description = Window.over(BytesReader(meta.read_all()))
    return read_items(file, description).main_image()


def displayed(items: Items, shrink: int = 1, colors: Colors = ()) -> Image.Image:
    """Return the primary item as displayed: with crop, orientation and alpha, both sides divided by `shrink`.

    `shrink` above 1 is for grids without crop or alpha (Probe.levels). `colors` are the color boxes of the image that
    the item is a part of. Raises Rejected(corrupt) if the coded size differs from that of the item, ShortRead if the
    file ends too early, Rejected(unsupported_format), and what pi_heif raises.
    """
    return _turned(_stored(items, shrink, colors), items)


def frames(stream: SourceStream, probe: Probe) -> Iterator[tuple[Image.Image, float]]:
    """Yield the frames of a sequence as displayed, and their durations in milliseconds.

    Raises Rejected, ShortRead, MemoryError, and what the reader raises.
    """
    sequence = read_sequence(stream.window())
    if sequence is None:
        raise Rejected(Code.CORRUPT, "the file has no frames")
    pictures = _decode_track(sequence, sequence.colors, 1, probe.frames)
    if sequence.alpha:
        alphas = _decode_track(sequence, sequence.alpha, 2, probe.frames)
        pictures = (_joined(each, alpha, sequence.first) for each, alpha in zip(pictures, alphas, strict=True))
    durations = read_durations(sequence.colors, probe.frames)
    for picture, duration in zip(pictures, durations, strict=True):
        yield _turned(picture, sequence.first), duration


def _decode_track(sequence: HeicSequence, track: Track, item: int, count: int) -> Iterator[Image.Image]:
    """Yield the frames of a track as stored. Raises as `frames`."""
    items = sequence.first.of(item)
    places = read_sample_places(track, count)
    if sum(length for _, length in places) > items.file.size:
        raise Rejected(Code.CORRUPT, "the frames have more bytes than the file")
    coded = [items.file.read(*place) for place in places]
    for each in coded:
        check_end(each)
    configuration = next((body for kind, body in items.properties[item] if kind == b"hvcC"), None)
    if configuration is None:
        raise Rejected(Code.CORRUPT, "the file does not say how its frames are coded")
    found = hevc.frames(configuration, coded, track.coded_size, _coding(items), gray=track.alpha)
    number = 0
    for frame in found:
        number += 1
        yield frame
    if number != count:
        raise Rejected(Code.CORRUPT, f"the file has {number} of {count} frames")


def _coding(items: Items) -> hevc.Coding | None:
    """Return how levels mean colors, None if the container does not say it."""
    for _, body in items.colors:
        if body.read(0, 4) == b"nclx":
            return hevc.Coding(body.unpack(">H", 8)[0], bool(body.byte(10) & 0x80))
    return None


def _turned(image: Image.Image, items: Items) -> Image.Image:
    """Return an image with the crop and the orientation of the primary item."""
    (left, top, width, height), orientation = items.crop_and_orientation
    if width:
        image = image.crop((left, top, left + width, top + height))
    return orient(image, orientation)


def _stored(items: Items, shrink: int, colors: Colors) -> Image.Image:
    """Return the primary item before crop and orientation, with its alpha."""
    image = _opaque(items, shrink, colors)
    if image.size != _divided(items.size, shrink):
        sizes = "{}x{}, not {}x{}".format(*image.size, *_divided(items.size, shrink))
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")
    return _with_alpha(image, items) if items.alpha_item else image


def _opaque(items: Items, shrink: int, colors: Colors) -> Image.Image:
    colors = own_colors(items) or colors
    match items.kind:
        case b"grid":
            return _grid(items, shrink, colors)
        case b"iovl":
            return _overlay(items, colors)
        case b"iden" if items.tiles:
            return displayed(items.of(items.tiles[0]), 1, colors)
        case b"hvc1":
            return _coded(items, colors)
    raise Rejected(Code.UNSUPPORTED_FORMAT, "a part of the picture has an encoding that is not supported")


def own_colors(items: Items) -> Colors:
    """Return the color boxes of the primary item."""
    return tuple(_boxed(each) for each in items.colors)


def _boxed(each: Box) -> bytes:
    return make_box(each.kind, each.body.read_all())


def _coded(items: Items, colors: Colors) -> Image.Image:
    """Return the decoded HEVC data of the primary item."""
    from pi_heif import HeifFile  # noqa: PLC0415 - loaded only where HEIC is decoded

    data = items.data
    check_end(data)
    kept = [each for each in items.properties.get(items.primary, ()) if each.kind in _DECODER_PROPERTIES]
    alone = build_file(BytesReader(b""), b"heic", [Item(b"hvc1", (*map(_boxed, kept), *colors), (data,))])
    file = HeifFile(
        BytesIO(alone.read(0, alone.size)), convert_hdr_to_8bit=True, hdr_to_16bit=True, remove_stride=False
    )
    picture = file[0]
    try:
        pixels = picture.data  # the size may change in decoding
    except ValueError as error:
        if not items.layered:
            raise
        # libheif decodes the first layer, and refuses it if it is smaller than the image.
        raise Rejected(Code.UNSUPPORTED_FORMAT, "this HEIC of several layers is not supported") from error
    image = Image.frombytes(picture.mode, picture.size, pixels, "raw", picture.mode, picture.stride)
    return normalize_mode(image, 16)  # pi_heif returns gray of more than 8 bits in 16 bits


def _grid(items: Items, shrink: int, colors: Colors) -> Image.Image:
    grid = read_grid(items)
    if grid is None:
        raise Rejected(Code.CORRUPT, "the picture is no grid")
    whole: Image.Image | None = None
    for item, left, top in grid.places():
        tile = displayed(items.of(item), 1, colors)
        if tile.size != grid.tile:
            raise Rejected(Code.CORRUPT, "a tile of the picture has another size than it says")
        tile = tile.crop((0, 0, min(tile.width, grid.size[0] - left), min(tile.height, grid.size[1] - top)))
        if whole is None:
            whole = Image.new(tile.mode, _divided(grid.size, shrink))
        reduced = tile.reduce(shrink) if shrink > 1 else tile
        whole.paste(reduced.convert(whole.mode), (left // shrink, top // shrink))
    if whole is None:
        raise Rejected(Code.CORRUPT, "the picture has no tiles")
    return whole


def _overlay(items: Items, colors: Colors) -> Image.Image:
    """Return images on a canvas of one color, the last on top. ISO/IEC 23008-12, 6.6.2.2."""
    overlay, parts = items.windows[0], items.tiles
    wide = overlay.byte(1) & 1
    *fill, _, width, height = overlay.unpack(">4HII" if wide else ">4HHH", 2)
    if (width, height) != items.size:
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {width}x{height}")
    places = overlay.unpack(f">{2 * len(parts)}{'i' if wide else 'h'}", 18 if wide else 14)
    canvas = Image.new("RGB", (width, height), tuple(level >> 8 for level in fill))
    for item, left, top in zip(parts, places[::2], places[1::2], strict=True):
        part = displayed(items.of(item), 1, colors)
        canvas.paste(part.convert("RGB"), (left, top), part.getchannel("A") if "A" in part.getbands() else None)
    return canvas


def _with_alpha(image: Image.Image, items: Items) -> Image.Image:
    """Return an image with the alpha of the primary item, which may have another size.

    Premultiplied colors are divided by alpha. ISO/IEC 23008-12, 6.5.8, and 23000-22, 7.3.5.2 (prem).
    """
    return _joined(image, _opaque(items.of(items.alpha_item), 1, (_FULL_RANGE,)), items)


def _joined(image: Image.Image, alpha: Image.Image, items: Items) -> Image.Image:
    alpha = alpha.convert("L")
    if alpha.size != image.size:
        alpha = alpha.resize(image.size, Image.Resampling.BILINEAR)
    if any(kind == b"prem" and item == items.primary for kind, item, _ in items.references):
        return Image.merge("RGBa", (*image.convert("RGB").split(), alpha)).convert("RGBA")
    image.putalpha(alpha)
    return image


def _divided(size: tuple[int, int], shrink: int) -> tuple[int, int]:
    return -(-size[0] // shrink), -(-size[1] // shrink)


def _read_profile(items: Items) -> dict[str, bytes]:
    """Return the ICC profile of the image, or of its first tile."""
    for kind, body in items.configuration:
        if kind == b"colr" and body.read(0, 4) in _PROFILE_TYPES:
            return {"icc_profile": body.read(4, body.size - 4)}
    return {}


def _read_metadata(items: Items) -> dict[str, bytes]:
    """Return EXIF and XMP of the image, without what cannot be read."""
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
            elif len(data) > 4:  # it begins with the offset of the TIFF header
                found.setdefault("exif", b"Exif\0\0" + data[4 + int.from_bytes(data[:4], "big") :])
    return found
