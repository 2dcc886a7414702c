"""Chunks of a PNG that do not belong to its picture cannot damage it, and are not uncompressed."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from tests.containers.files import chunk, good
from tests.hostile.bombs import text_bombs
from tests.image.pictures import difference, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.decode_png import without_metadata
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader

PICTURE = textured(60, 40)


def _with(data: bytes, *before: bytes, after: bytes = b"") -> bytes:
    pixels, end = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    return data[:pixels] + b"".join(before) + data[pixels:end] + after + data[end:]


def _broken(kind: bytes, body: bytes) -> bytes:
    return chunk(kind, body)[:-1] + b"\0"


@pytest.mark.parametrize(
    "data",
    [
        _with(saved(PICTURE, "PNG"), _broken(b"tEXt", b"a\0b")),
        _with(saved(PICTURE, "PNG"), _broken(b"iCCP", b"a\0\0" + zlib.compress(b"x"))),
        _with(saved(PICTURE, "PNG"), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2 << 20)))),
        _with(saved(PICTURE, "PNG"), chunk(b"iCCP", b"a\0\0" + bytes(2 << 20))),
        _with(saved(PICTURE, "PNG"), chunk(b"iCCP", b"a\0\0no")),
        _with(saved(PICTURE, "PNG"), chunk(b"pHYs", b"\1")),
        _with(saved(PICTURE, "PNG"), chunk(b"gAMA", b"")),
        _with(saved(PICTURE, "PNG"), after=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9 << 20)))),
        _with(saved(PICTURE, "PNG"), after=_broken(b"tEXt", b"a\0b")),
        _with(saved(PICTURE, "PNG"), chunk(b"acTL", struct.pack(">II", 1, 0)), after=chunk(b"fdAT", bytes(50))),
    ],
)
def test_a_broken_or_swollen_chunk_beside_the_picture_costs_nothing(data: bytes):
    """The picture is made despite wrong checksums, texts and profiles of megabytes, and fields that are too short."""
    assert difference(shown(data), shown(saved(PICTURE, "PNG"))) == 0


def test_what_belongs_to_the_picture_is_kept():
    """Palette, transparency and a valid profile reach the decoder."""
    palette = saved(PICTURE.quantize(8), "PNG", transparency=1)
    assert shown(palette).has_transparency_data
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = without_metadata(BytesReader(saved(PICTURE, "PNG", icc_profile=profile, dpi=(72, 72))))
    with Image.open(BytesIO(kept.read(0, kept.size))) as image:
        assert image.info["icc_profile"] == profile
        assert "dpi" not in image.info


def test_the_first_picture_of_an_animation_is_made():
    """Frames are left out of a still picture, so that a broken one does no harm."""
    data = good()["png-animated"]
    still = shown(data)
    assert difference(still, shown(data.replace(b"fdAT", b"fdAX"))) == 0


def test_broken_pixels_are_still_refused():
    """A damaged chunk that the picture needs is corrupt."""
    data = _with(saved(PICTURE, "PNG"), _broken(b"PLTE", bytes(3)))
    with pytest.raises(Rejected) as refused:
        render(data, recipe())
    assert refused.value.code == Code.CORRUPT


@pytest.mark.parametrize("bomb", [each for each in text_bombs() if each.expected == "thumbnail"], ids=repr)
def test_texts_never_cost_a_picture(bomb):
    """Images with megabytes of text, compressed or not, have thumbnails."""
    assert render(bomb.data, recipe())
