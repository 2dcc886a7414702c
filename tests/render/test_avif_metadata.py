"""EXIF and XMP of an AVIF that are empty or broken cost no picture."""

import struct

import pytest
from PIL import Image

from tests.render.pictures import saved, textured
from thumbsmith.formats import avif
from thumbsmith.formats.decoding import decode
from thumbsmith.probe import probe
from thumbsmith.reader import BytesReader


def _decoded(data: bytes) -> Image.Image:
    reader = BytesReader(data)
    return decode(reader, probe(reader), 1.0).image


def _avif() -> tuple[bytes, int, int]:
    """Return an AVIF with EXIF, where its EXIF begins, and where the offset and length of it are written."""
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    data = saved(textured(64, 48), "AVIF", exif=exif.tobytes(), xmp=b"<x:xmpmeta/>")
    start = data.index(b"Exif\0\0" + exif.tobytes()[6:]) - 4  # a length comes before it
    return data, start, data.index(struct.pack(">I", start))


@pytest.mark.parametrize("length", [0, 2, 4, 8, 1 << 20])
def test_exif_of_any_length_costs_no_picture(length: int):
    """Metadata that is empty, cut, or lies beyond the file is passed over, as in browsers."""
    data, start, place = _avif()
    broken = data[:place] + struct.pack(">II", start, length) + data[place + 8 :]
    assert _decoded(broken).tobytes() == _decoded(data).tobytes()


def test_exif_that_is_none_costs_no_picture():
    """Metadata that holds something else is passed over."""
    data, start, _ = _avif()
    assert _decoded(data[:start] + b"\xff" * 20 + data[start + 20 :]).tobytes() == _decoded(data).tobytes()


def test_broken_lists_of_items_are_left_to_the_decoder():
    """A list of items that claims more than it holds, or is missing, leaves the file as it is."""
    data, *_ = _avif()
    place = data.index(b"infe")
    for broken in (data[: place - 4] + b"\xff" * 4 + data[place:], data.replace(b"iinf", b"free"), data[:40]):
        reader = BytesReader(broken)
        assert avif.plain(reader) is reader
