"""Raw photographs: the JPEG in them is found in the files of all makers; without one the sensor is developed."""

import io
import struct
import sys
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.containers.files import picture, saved
from tests.containers.raw_files import arw, cr2, cr3, dng, nef, orf, raf, rw2
from thumbsmith import Recipe, render
from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

WHOLE = Recipe.loads("[variants.whole]\nwidth = 256\nheight = 256\nformats = ['png']\n")
SMALL = Recipe.loads("[variants.small]\nwidth = 30\nformats = ['png']\n")
JPEG = saved("JPEG", quality=95)
MAKERS: dict[str, Callable[..., bytes]] = {
    "cr2": cr2, "cr3": cr3, "nef": nef, "arw": arw, "dng": dng, "orf": orf, "rw2": rw2,
}  # fmt: skip


def shown(data: bytes, recipe: Recipe = WHOLE) -> Image.Image:
    """Return the only rendition of a photograph."""
    (made,) = render(data, recipe)
    return Image.open(io.BytesIO(made.data)).convert("RGB")


@pytest.mark.parametrize("maker", MAKERS)
def test_the_picture_for_display_is_used(maker: str):
    """The largest JPEG of each format is found, and shown in the colors that it has."""
    data = MAKERS[maker](JPEG)
    found = probe(BytesReader(data))
    assert (found.format, found.size, found.orientation) == ("raw", (40, 24), 1)
    assert np.abs(np.asarray(shown(data), int) - np.asarray(picture(), int)).mean() < 3


@pytest.mark.parametrize("maker", MAKERS)
def test_the_orientation_is_that_of_the_photograph(maker: str):
    """The orientation in the raw file counts, also where the JPEG in it has another one or none."""
    upright = shown(MAKERS[maker](JPEG))
    turned = shown(MAKERS[maker](saved("JPEG", orientation=3, quality=95), orientation=6))
    assert turned.size == (24, 40)
    assert np.abs(np.asarray(turned, int) - np.asarray(upright.transpose(Image.Transpose.ROTATE_270), int)).mean() < 3


def test_a_fujifilm_photograph():
    """A RAF has no orientation but that of its JPEG."""
    assert shown(raf(JPEG)).size == (40, 24)
    assert shown(raf(saved("JPEG", orientation=8))).size == (24, 40)


@pytest.mark.parametrize("maker", ["nef", "arw", "dng", "rw2"])
def test_a_small_picture_is_used_where_it_is_large_enough(maker: str):
    """The size is that of the sensor; a small JPEG serves thumbnails that need no more pixels."""
    data = MAKERS[maker](JPEG, size=(402, 240))
    assert probe(BytesReader(data)).size == (402, 241)
    assert shown(data, SMALL).size == (30, 18)
    assert probe(BytesReader(MAKERS[maker](JPEG, size=(402, 402)))).size == (40, 24)  # another shape


def test_the_sensor_is_developed_at_half_size():
    """Without a JPEG that is large enough, the data of the sensor give a picture of about the right color."""
    size = (400, 240)
    levels = {0: 40_000, 1: 20_000, 2: 10_000}  # red, green, blue
    colors = (0, 1, 1, 2)  # of two pixels in two rows
    rows = [[levels[colors[y % 2 * 2 + x % 2]] * x // size[0] for x in range(size[0])] for y in range(size[1])]
    data = dng(JPEG, size=size, sensor=struct.pack(f"<{size[0] * size[1]}H", *(level for row in rows for level in row)))
    assert probe(BytesReader(data)).size == size
    found = shown(data)
    assert found.size == (256, 154)
    red, green, blue = np.asarray(found, float).mean(axis=(0, 1))
    assert red > green > blue


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    """If the sensor must be developed, and LibRaw is not installed, the message names the extra."""
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MissingDecoder, match=r'needs the extra "raw": run .*\[raw\]'):
        render(dng(JPEG, size=(400, 240)), WHOLE)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_cut_photograph_is_rejected(maker: str):
    """A file that ends within its JPEG is truncated, also where a smaller JPEG in it is complete."""
    data = MAKERS[maker](JPEG)
    cut = data[: data.index(JPEG) + 400]
    with pytest.raises(Rejected) as refused:
        render(cut, WHOLE)
    assert refused.value.code in (Code.TRUNCATED, Code.CORRUPT, Code.UNSUPPORTED_FORMAT)


def test_false_directories_end():
    """Directories in circles, impossible numbers of entries and places beyond the file have a code."""
    for data in (
        nef(JPEG, size=(2**31, 2**31)),
        arw(JPEG)[:8] + b"\xff" * 400,
        b"IIRO\x08\0\0\0" + struct.pack("<HHHIII", 1, 330, 4, 1, 8, 8),
        b"IIU\0\xff\xff\xff\x7f" + bytes(99),
        raf(JPEG)[:84] + b"\xff" * 99,
    ):
        try:
            render(data, WHOLE)
        except (Rejected, MissingDecoder):
            continue


def test_a_photograph_without_a_picture_for_display():
    """A raw file whose JPEG is broken is unsupported."""
    with pytest.raises(Rejected) as refused:
        render(nef(b"<no picture>" * 9), WHOLE)
    assert refused.value.code == Code.UNSUPPORTED_FORMAT
