"""PNM, icons, JPEG 2000, Photoshop documents and QOI: what is decoded is what the file shows."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.containers.files import pam, picture, pnm, psd, psd_resource, saved
from thumbsmith import Recipe, render
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

WHOLE = Recipe.loads("[variants.whole]\nwidth = 256\nheight = 256\nformats = ['png']\n")
TINY = Recipe.loads("[variants.tiny]\nwidth = 64\nheight = 64\nformats = ['png']\n")
BITS = picture("1")
ALPHA = picture("RGBA")
ALPHA.putalpha(picture("L", shade=90).point(lambda level: 64 + level // 2))


def shown(data: bytes, recipe: Recipe = WHOLE) -> Image.Image:
    """Return the only rendition of a file."""
    (made,) = render(data, recipe)
    return Image.open(io.BytesIO(made.data))


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of a channel of two pictures of the same size."""
    assert one.size == other.size
    return int(np.abs(np.asarray(one.convert("RGBA"), int) - np.asarray(other.convert("RGBA"), int)).max())


def _text(image: Image.Image) -> bytes:
    return b"\n".join(b"%d" % level for level in image.tobytes())


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (pnm(6, pixels=picture().tobytes()), picture()),
        (pnm(5, pixels=picture("L").tobytes()), picture("L")),
        (pnm(4, pixels=Image.eval(picture("L"), lambda level: 255 * (level < 128)).convert("1").tobytes()), None),
        (pnm(3, pixels=_text(picture())), picture()),
        (pnm(2, pixels=b"# a comment\n" + _text(picture("L"))), picture("L")),
        (pnm(6, 65535, bytes(each for level in picture().tobytes() for each in (level, level))), picture()),
        (pnm(5, 15, bytes(level // 16 for level in picture("L").tobytes())), picture("L")),
        (pam(ALPHA), ALPHA),
        (pam(picture("LA")), picture("L")),
    ],
    ids=["P6", "P5", "P4", "P3", "P2", "16-bit", "4-bit", "PAM", "PAM-gray"],
)
def test_pnm_in_all_kinds(data: bytes, wanted: Image.Image | None):
    """Text and binary samples, 1 to 16 bits, with and without alpha, show the same picture."""
    found = shown(data)
    if wanted is None:
        assert set(found.convert("L").tobytes()) <= {0, 255}
        wanted = picture("L").point(lambda level: 255 * (level >= 128))
    assert difference(found, wanted) <= 16


def test_bits_without_spaces():
    """The samples of a text PBM need no space between them, and 1 is black."""
    found = shown(pnm(1, pixels=b"1 0 1\n010", size=(3, 2))).convert("L")
    assert found.tobytes() == bytes((0, 255, 0, 255, 0, 255))


@pytest.mark.parametrize("kind", ["PPM", "JPEG2000", "QOI", "ICO"])
def test_a_cut_file_is_rejected(kind: str):
    """A file whose second half is missing is truncated, or corrupt: never a picture with missing pixels."""
    whole = saved(kind)
    for length in (len(whole) // 2, len(whole) - 20):
        with pytest.raises(Rejected) as refused:
            render(whole[:length], WHOLE)
        assert refused.value.code in (Code.TRUNCATED, Code.CORRUPT)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("large", [False, True])
def test_photoshop_documents(packed: bool, depth: int, large: bool):
    """The flattened picture is decoded in 8 and 16 bits, raw and packed, in PSD and PSB; a cut one is truncated."""
    whole = psd(picture(), depth=depth, packed=packed, large=large)
    assert difference(shown(whole), picture()) == 0
    with pytest.raises(Rejected) as refused:
        render(whole[:-5], WHOLE)
    assert refused.value.code == Code.TRUNCATED


def test_transparency_of_a_photoshop_document():
    """With layers below 0, the fourth channel is alpha, and colors were mixed with white; else it is a mask."""
    white = Image.new("RGBA", ALPHA.size, "white")
    mixed = Image.alpha_composite(white, ALPHA)
    mixed.putalpha(ALPHA.getchannel("A"))
    assert difference(shown(psd(mixed, layers=-2)), ALPHA) <= 5
    assert shown(psd(mixed, layers=2)).mode == "RGB"


def test_other_modes_of_photoshop():
    """Gray, palette, bitmap, Lab and CMYK show their colors; CMYK is stored inverted."""
    assert difference(shown(psd(picture("L"), 1)), picture("L")) == 0
    palette = bytes(range(256)) + bytes(256) + bytes(256)
    assert (
        difference(
            shown(psd(picture("L"), 2, palette=palette)),
            Image.merge("RGB", [picture("L"), *[Image.new("L", picture().size)] * 2]),
        )
        == 0
    )
    assert shown(psd(Image.new("CMYK", (8, 8), (255, 255, 255, 255)), 4)).getpixel((4, 4)) == (255, 255, 255)
    lab = Image.merge("LAB", [Image.new("L", (8, 8), 255), *[Image.new("L", (8, 8), 128)] * 2])
    assert min(shown(psd(lab, 9)).convert("RGB").getpixel((4, 4))) >= 250


def test_a_photoshop_document_without_its_picture():
    """A document that was saved without a flattened picture is rejected, with the option that stores one."""
    without = psd_resource(1057, struct.pack(">IB", 1, 0) + bytes(8))
    with pytest.raises(Rejected, match="Maximize Compatibility"):
        render(psd(picture(), resources=without), WHOLE)


def test_the_profile_of_a_photoshop_document():
    """An embedded color profile is applied; one that is broken is noted."""
    found = psd(picture(), resources=psd_resource(1039, b"no profile"))
    assert difference(shown(found), picture()) == 0


@pytest.mark.parametrize("size", [(1280, 960), (1279, 953), (1001, 1025)])
def test_jpeg_2000_is_decoded_small(size: tuple[int, int]):
    """A large picture of any size is decoded at a lower resolution, and looks like one that was decoded whole."""
    large = Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 20).filter(ImageFilter.GaussianBlur(9))
    coded = saved("JPEG2000", large)
    assert probe(BytesReader(coded)).levels == 5
    found, wanted = shown(coded, TINY), shown(saved("PNG", large), TINY)
    assert np.abs(np.asarray(found, int) - np.asarray(wanted, int)).mean() < 2


def test_icons_show_their_largest_picture():
    """Of several pictures the largest counts; the mask of a picture without alpha makes pixels transparent."""
    several = saved("ICO", ALPHA.resize((64, 64)), sizes=[(16, 16), (64, 64), (32, 32)], bitmap_format="bmp")
    assert shown(several).size == (64, 64)
    pixels = b"".join(bytes((0, 0, 255)) * 2 + bytes(2) for _ in range(2))
    mask = struct.pack(">II", 0x80000000, 0)  # the first pixel of the lowest row
    bitmap = struct.pack("<IiiHHIIiiII", 40, 2, 4, 1, 24, 0, 0, 0, 0, 0, 0) + pixels + mask
    entry = struct.pack("<HHHBBBBHHII", 0, 2, 1, 2, 2, 0, 0, 0, 0, len(bitmap), 22)
    found = shown(entry + bitmap).convert("RGBA")
    assert [found.getpixel(place)[3] for place in ((0, 1), (1, 1), (0, 0))] == [0, 255, 255]
    assert found.getpixel((1, 1))[:3] == (255, 0, 0)
