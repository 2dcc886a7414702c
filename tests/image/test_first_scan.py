"""Progressive JPEGs of which only the first scan is read."""

from dataclasses import dataclass, field, replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from tests.image.pictures import pixels, recipe, saved, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.geometry import first_scan_suffices
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.recipe import Limits

SIDE = 200
SMALL = recipe(width=SIDE, height=SIDE)
IN_FULL = replace(SMALL, limits=Limits(first_scan=False))


def progressive(mode: str = "RGB", **options) -> bytes:
    """Return a file of 2496 x 1664 pixels, soft and noisy like photographs, with few bytes in its first scan."""
    image = textured(312, 208).resize((2496, 1664), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(3).integers(-20, 20, (1664, 2496, 3))
    image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    return saved(image.convert(mode), "JPEG", progressive=True, **options)


FILE = progressive()


@dataclass
class Counting:
    """Bytes in memory that record their reads as (offset, length)."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice."""
        self.reads.append((offset, min(length, self.size - offset)))
        return self.data[offset : offset + length]


@pytest.mark.parametrize(
    ("mode", "options"),
    [("RGB", {}), ("RGB", {"subsampling": "4:4:4"}), ("L", {}), ("CMYK", {}), ("RGB", {"restart_marker_rows": 3})],
)
def test_a_small_picture_is_that_of_the_whole_file(mode: str, options: dict):
    """The first scan gives the same thumbnail as all scans: SSIM 0.993 and more."""
    data = progressive(mode, **options)
    assert probe(Counting(data), first_scan_suffices(SMALL)).first_scan
    found, wanted = (np.asarray(pixels(*render(data, each)).convert("RGB")) for each in (SMALL, IN_FULL))
    assert structural_similarity(found, wanted, channel_axis=2) >= 0.993


def test_only_the_beginning_is_read():
    """Only the first scan and the last two bytes of the file are read."""
    reader = Counting(FILE)
    render(reader, SMALL)
    first = probe(Counting(FILE), first_scan_suffices(SMALL)).first_scan
    assert first < len(FILE) / 3
    assert all(
        offset + length <= first + (1 << 17) or (offset, length) == (len(FILE) - 2, 2)
        for offset, length in reader.reads
    )


def test_a_recipe_can_have_it_read_in_full():
    """`first_scan = false` reads and counts all scans."""
    reader = Counting(FILE)
    render(reader, IN_FULL)
    assert sum(length for _, length in reader.reads) >= len(FILE)
    assert probe(reader, first_scan_suffices(IN_FULL)).scans == 10


@pytest.mark.parametrize("width", [209, 2496])
def test_what_wants_more_is_decoded_in_full(width: int):
    """A thumbnail of more than a twelfth of the source is made from all scans, like all others of the recipe."""
    larger = replace(SMALL, variants=(*SMALL.variants, replace(SMALL.variants[0], name="w", width=width, height=width)))
    assert probe(Counting(FILE), first_scan_suffices(larger)).first_scan == 0


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_found_out(kept: float):
    """A cut file is truncated, within its first scan or after it."""
    with pytest.raises(Rejected) as refused:
        render(FILE[: int(len(FILE) * kept)], SMALL)
    assert refused.value.code == Code.TRUNCATED


def test_scans_that_are_not_decoded_do_not_count():
    """Ten scans are too many if two are allowed, unless only the first is decoded."""
    limits = Limits(max_scans=2)
    assert render(FILE, replace(SMALL, limits=limits))
    with pytest.raises(Rejected) as refused:
        render(FILE, replace(SMALL, limits=replace(limits, first_scan=False)))
    assert refused.value.code == Code.TOO_MANY_SCANS


def test_one_scan_is_all_there_is():
    """A file that ends with its first scan is decoded normally."""
    end = probe(Counting(FILE), first_scan_suffices(SMALL)).first_scan
    alone = FILE[:end] + b"\xff\xd9"
    found = probe(Counting(alone), first_scan_suffices(SMALL))
    assert (found.first_scan, found.scans) == (0, 1)
    assert render(alone, SMALL)


def test_a_first_scan_that_is_not_all_colours_does_not_do():
    """A first scan without all components, or without the mean to its last but one bit, is not used alone."""
    start = FILE.index(b"\xff\xda")
    for place, value in ((4, 1), (11, 1), (12, 5), (13, 2)):
        data = bytearray(FILE)
        data[start + place] = value
        assert probe(Counting(bytes(data)), first_scan_suffices(SMALL)).first_scan == 0


def test_tables_of_two_bytes_are_cleared_too():
    """Quantization tables of 16 bits are supported."""
    place = FILE.index(b"\xff\xdb")
    length = int.from_bytes(FILE[place + 2 : place + 4])
    tables = FILE[place + 4 : place + 2 + length]
    wide = b"".join(
        bytes([0x10 | tables[at]]) + b"".join(bytes([0, each]) for each in tables[at + 1 : at + 65])
        for at in range(0, len(tables), 65)
    )
    data = FILE[: place + 2] + (len(wide) + 2).to_bytes(2) + wide + FILE[place + 2 + length :]
    assert Image.open(BytesIO(data)).size == (2496, 1664)
    assert render(data, SMALL)[0].data == render(FILE, SMALL)[0].data


def test_garbage_between_segments_is_passed_over():
    """Fill bytes and other bytes between segments are skipped, as in the probe and libjpeg."""
    place = FILE.index(b"\xff\xdb")
    for garbage in (b"\xff\xff\xff", b"nothing\xff\x00", bytes(40)):
        found = render(FILE[:place] + garbage + FILE[place:], SMALL)[0]
        assert found.data == render(FILE, SMALL)[0].data


def test_a_picture_that_lies_on_its_side_is_turned():
    """The orientation is applied after decoding."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (found,) = render(progressive(exif=exif), SMALL)
    assert (found.width, found.height) == (133, 200)
