"""Broken metadata and unusual descriptions do not reject an AVIF."""

import struct
from dataclasses import replace

import pytest
from PIL import Image

from tests.containers.files import box, ispe
from tests.image.heif_items import Entry, Layout, grid, heif
from tests.image.pictures import saved, textured
from thumbsmith.errors import Rejected
from thumbsmith.image import decode_avif
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.isobmff import find
from thumbsmith.image.containers.items import read_items
from thumbsmith.image.decode import decode
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader


def _decoded(data: bytes) -> Image.Image:
    reader = BytesReader(data)
    return decode(reader, probe(reader), 1.0).image


def _avif() -> tuple[bytes, int, int]:
    """Return an AVIF with EXIF, the offset of its EXIF, and where that offset and its length are stored."""
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    data = saved(textured(64, 48), "AVIF", exif=exif.tobytes(), xmp=b"<x:xmpmeta/>")
    start = data.index(b"Exif\0\0" + exif.tobytes()[6:]) - 4  # a length comes before it
    return data, start, data.index(struct.pack(">I", start))


@pytest.mark.parametrize("length", [0, 2, 4, 8, 1 << 20])
def test_exif_of_any_length_costs_no_picture(length: int):
    """Metadata that are empty, cut or beyond the file are skipped, as in browsers."""
    data, start, place = _avif()
    broken = data[:place] + struct.pack(">II", start, length) + data[place + 8 :]
    assert _decoded(broken).tobytes() == _decoded(data).tobytes()


def test_exif_that_is_none_costs_no_picture():
    """Metadata with other content are skipped."""
    data, start, _ = _avif()
    assert _decoded(data[:start] + b"\xff" * 20 + data[start + 20 :]).tobytes() == _decoded(data).tobytes()


def test_broken_lists_of_items_are_left_to_the_decoder():
    """A file with a broken or missing list of items stays unchanged."""
    data, *_ = _avif()
    place = data.index(b"infe")
    for broken in (data[: place - 4] + b"\xff" * 4 + data[place:], data.replace(b"iinf", b"free"), data[:40]):
        reader = BytesReader(broken)
        assert decode_avif.without_metadata(reader) is reader


def _described(*kinds: bytes) -> tuple[Entry, Entry]:
    """Return the image and the alpha of an AVIF as items, without some properties of the alpha."""
    picture = textured(64, 64).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    file = Window.over(BytesReader(saved(picture, "AVIF")))
    meta = find(file, b"meta")
    assert meta
    items = read_items(file, meta)
    color, alpha = (
        Entry(
            b"av01",
            tuple(box(kind, body.read(0, body.size)) for kind, body in each.properties[each.primary]),
            each.data,
        )
        for each in (items, items.of(items.alpha_item))
    )
    return color, Entry(b"av01", tuple(each for each in alpha.properties if each[4:8] not in kinds), alpha.data)


AVIF = b"avif\0\0\0\0mif1avifmiaf"


@pytest.mark.parametrize(
    "data",
    [
        heif(_described(b"ispe"), [(b"auxl", 2, [1])], brands=AVIF),
        heif(_described(b"pixi"), [(b"auxl", 2, [1])], brands=AVIF),
        heif(_described(), [(b"auxl", 2, [1])], brands=AVIF, layout=Layout(spread=True)),
        heif([*_described(), Entry(b"av01", (), b"\xff" * 40)], [(b"auxl", 2, [1])], brands=AVIF),
    ],
)
def test_unusual_descriptions_cost_no_picture(data: bytes):
    """Alpha without a size, properties in several boxes, and other broken items do not reject an AVIF."""
    expected = heif(_described(), [(b"auxl", 2, [1])], brands=AVIF)
    assert _decoded(data).tobytes() == _decoded(expected).tobytes()


def test_multiplied_alpha_and_tiles_are_described_again():
    """A new description keeps the tiles of image and alpha, and whether colors are premultiplied."""
    color, alpha = _described()
    name = box(b"auxC", bytes(4), b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    items = [grid(2, 1, 128, 64), color, color, grid(2, 1, 128, 64).having(name), alpha, alpha]
    references = [(b"dimg", 1, [2, 3]), (b"dimg", 4, [5, 6]), (b"auxl", 4, [1]), (b"prem", 1, [4])]
    reader = BytesReader(heif(items, references, brands=AVIF))
    again = decode_avif.described_again(reader, probe(reader))
    assert again
    assert decode(again, probe(again), 1.0).image.tobytes() == decode(reader, probe(reader), 1.0).image.tobytes()


@pytest.mark.parametrize("kind", [b"iden", b"iovl", b"tmap", b"hvc1"])
def test_pictures_that_libavif_does_not_put_together_are_unsupported(kind: bytes):
    """An AVIF with an image of another type is unsupported."""
    with pytest.raises(Rejected) as problem:
        _decoded(heif([Entry(kind, (ispe(),), bytes(14))], brands=AVIF))
    assert problem.value.code == "unsupported_format"


def test_alpha_of_another_size_is_unsupported():
    """An AVIF whose alpha has another size than its image is unsupported."""
    color, alpha = _described(b"ispe")
    with pytest.raises(Rejected) as problem:
        _decoded(heif([color, alpha.having(ispe(32, 32))], [(b"auxl", 2, [1])], brands=AVIF))
    assert problem.value.code == "unsupported_format"


def test_what_cannot_be_described_again_is_left():
    """A sequence, and a file without an image, cannot be described again."""
    reader = BytesReader(heif(_described(), brands=AVIF))
    found = probe(reader)
    assert decode_avif.described_again(reader, replace(found, frames=2)) is None
    for broken in (b"", reader.read(0, 60), reader.read(0, reader.size).replace(b"pitm", b"none")):
        assert decode_avif.described_again(BytesReader(broken), found) is None
