"""The probe of TIFF: directories in all four layouts."""

import struct

import pytest

from tests.containers.files import exif_block, tiff
from tests.containers.readers import CountingReader, probed, rejected
from thumbsmith.image.containers import exif
from thumbsmith.image.containers.base import Window
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES, EXTRA = 256, 257, 258, 259, 262, 274, 277, 338
SIZE = [(WIDTH, 4, 300), (LENGTH, 3, 200)]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_layouts_are_read(order: str, big: bool):
    """TIFF and BigTIFF are read in both byte orders."""
    found = probed(tiff([*SIZE, (BITS, 3, 16), (PHOTOMETRIC, 3, 1), (ORIENTATION, 3, 6)], order=order, big=big))
    assert (found.width, found.height, found.orientation, found.size) == (300, 200, 6, (200, 300))
    assert (found.depth, found.channels, found.alpha, found.frames) == (16, 1, False, 1)


@pytest.mark.parametrize(("order", "mark"), [("<", b"II\0*"), (">", b"MM*\0")])
def test_the_number_42_may_stand_in_the_wrong_order(order: str, mark: bytes):
    """Files with the number 42 in the wrong byte order are read, as in Pillow."""
    assert probed(tiff(SIZE, order=order, mark=mark)).size == (300, 200)


def test_sides_of_64_bits_are_read():
    """Sides in 64 bits, which BigTIFF allows, are read."""
    assert probed(tiff([(WIDTH, 16, 2**40), (LENGTH, 1, 2)], big=True)).width == 2**40


@pytest.mark.parametrize(
    ("photometric", "samples", "extra", "alpha"),
    [
        (2, 4, 1, True),
        (2, 4, 2, True),
        (2, 4, 0, False),
        (2, 4, 999, True),
        (2, 4, None, True),
        (2, 3, None, False),
        (1, 2, 2, True),
        (5, 4, None, False),
        (5, 5, 2, False),
    ],
)
def test_alpha_is_an_extra_sample(photometric: int, samples: int, extra: int | None, alpha: bool):
    """Alpha is an extra sample that Pillow reads as alpha, or a fourth sample of RGB without a description."""
    fields = [*SIZE, (PHOTOMETRIC, 3, photometric), (SAMPLES, 3, samples)]
    found = probed(tiff([*fields, (EXTRA, 3, extra)] if extra is not None else fields))
    assert (found.alpha, found.channels) == (alpha, samples)


def test_old_jpeg_compression_has_three_samples():
    """Without a number of samples there is one, but three with the old JPEG compression."""
    assert probed(tiff([*SIZE, (COMPRESSION, 3, 6)])).channels == 3
    assert probed(tiff(SIZE)).channels == 1


def _chain(*offsets: int) -> bytes:
    """Return a TIFF with an empty directory at each of these offsets except the first. Each points to the next."""
    data = bytearray(tiff(SIZE, following=offsets[0]))
    for here, following in zip(offsets, [*offsets[1:], 0], strict=True):
        data.extend(bytes(max(0, here + 6 - len(data))))
        data[here : here + 6] = struct.pack("<HI", 0, following)
    return bytes(data)


def test_pictures_are_counted_along_their_chain():
    """Directories are counted in any order. One beyond the file ends the chain."""
    assert probed(_chain(400, 100, 200)).frames == 4
    assert probed(tiff(SIZE, following=1_000_000)).frames == 1


def test_counting_pictures_ends():
    """At most 1,000 directories are counted, and few bytes are read."""
    reader = CountingReader(_chain(*range(60_000 * 6, 100, -60)))
    assert probe(reader).frames == 1000
    assert reader.cost <= 6_000_000


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_upright(orientation: int):
    """An orientation that EXIF does not define counts as 1."""
    assert probed(tiff([*SIZE, (ORIENTATION, 3, orientation)])).orientation == 1


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (tiff([(WIDTH, 4, 300)]), "corrupt", "no size"),
        (tiff([(WIDTH, 4, 300), (LENGTH, 4, 0)]), "corrupt", "no size"),
        (tiff([*SIZE, (WIDTH, 4, 301)]), "corrupt", "tag 256 two different values"),
        (tiff([*SIZE, (SAMPLES, 3, 7)]), "unsupported_format", "7 samples"),
        (tiff([*SIZE, (SAMPLES, 3, 0)]), "unsupported_format", "0 samples"),
        (tiff(SIZE, big=True)[:16] + struct.pack("<Q", 70_000), "corrupt", "70000 entries"),
        (tiff(SIZE)[:20], "truncated", "the file ends"),
        (b"II*\0\xff\xff\xff\xff", "truncated", "the file ends"),
        (tiff(SIZE).replace(struct.pack("<HHI", WIDTH, 4, 1), struct.pack("<HHI", WIDTH, 4, 9)), "truncated", "ends"),
    ],
)
def test_broken_directories_are_rejected(data: bytes, code: str, words: str):
    """Each is rejected with its code, and a message that says why."""
    found, detail = rejected(data)
    assert found == code
    assert words in detail


def test_directories_that_go_round_in_a_circle_end_where_they_began():
    """A directory that points to itself or an earlier one ends the chain. The first image is read."""
    assert probed(tiff(SIZE, following=8)).frames == 1
    assert probed(_chain(100, 200)[:202] + struct.pack("<I", 100)).frames == 3


def test_a_field_that_comes_twice_with_one_value_is_no_harm():
    """A field that occurs twice with the same value is accepted."""
    assert probed(tiff([*SIZE, *SIZE])).size == (300, 200)


def test_fields_that_are_no_numbers_are_ignored():
    """A field of another type, or without a value, is ignored."""
    data = tiff([*SIZE, (ORIENTATION, 3, 6)])
    assert probed(data.replace(struct.pack("<HHI", ORIENTATION, 3, 1), struct.pack("<HHI", 274, 2, 1))).orientation == 1
    assert probed(data.replace(struct.pack("<HHI", ORIENTATION, 3, 1), struct.pack("<HHI", 274, 3, 0))).orientation == 1


def _orientation(block: bytes) -> int:
    return exif.orientation(Window.over(BytesReader(block)))


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_an_exif_block_tells_the_orientation(prefix: bytes, order: str, kind: int):
    """The orientation is read in both byte orders, with and without prefix, in any width, also from a cut block."""
    for number in range(1, 9):
        block = prefix + exif_block(number, order, kind)
        assert _orientation(block) == _orientation(block[:-4]) == number


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"II*\0\xff\xff\xff\xff", b"IM*\0" + bytes(50), exif_block(9), exif_block(6)[:20]]
)
def test_a_broken_exif_block_is_upright(block: bytes):
    """A broken EXIF block counts as upright, and rejects no image."""
    assert _orientation(block) == 1
