"""HEIC: every orientation, and the thumbnail in the file only if it shows the same as the image.

The files were written by pillow-heif with x265. `tiles.heic` is 256 x 192 in tiles of 64 with a thumbnail of 128, and
`stale.heic` the same with the thumbnail of the mirrored picture. `turned.heic` has four colours, irot and imir.
"""

from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from tests.image.pictures import BLUE, GREEN, RED, WHITE, difference, saved, shown
from thumbsmith.errors import StoreError
from thumbsmith.image import decode_heic, stream
from thumbsmith.image.containers import base
from thumbsmith.image.heic_preview import preview, read_thumbnails
from thumbsmith.image.probe import probe
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import BytesReader

FILES = Path(__file__).parent / "heic"
TILES, STALE, TURNED = ((FILES / f"{name}.heic").read_bytes() for name in ("tiles", "stale", "turned"))


def previewed(data: bytes, reduction: float) -> Image.Image | None:
    """Return the thumbnail that is used in place of the image."""
    return preview(SourceStream(BytesReader(data)), probe(BytesReader(data)), reduction)


def turned(angle: int, mirror: int | None) -> bytes:
    """Return the four colors after this number of rotations anticlockwise, and then mirrored, or not."""
    data = bytearray(TURNED)
    rotation, reflection = data.index(b"irot") + 4, data.index(b"imir") + 4
    data[rotation] = angle
    if mirror is None:  # replace it by a property of an unknown kind that is not essential
        data[reflection - 4 : reflection] = b"none"
        associations = data.index(b"ipma")
        end = associations - 4 + int.from_bytes(data[associations - 4 : associations])
        data[end - 1] &= 0x7F
    else:
        data[reflection] = mirror
    return bytes(data)


@pytest.mark.parametrize(("angle", "mirror"), list(product(range(4), (None, 0, 1))))
def test_every_turn_and_mirror_is_made_once(angle, mirror):
    """Irot is anticlockwise; imir with axis 0 swaps top and bottom, with 1 left and right. Sides are swapped too."""
    corners = np.array([[RED, GREEN], [BLUE, WHITE]])
    expected = np.rot90(corners, angle)
    if mirror is not None:
        expected = expected[::-1] if mirror == 0 else expected[:, ::-1]
    image = shown(turned(angle, mirror), width=64, height=64).convert("RGB")
    assert image.size == ((48, 64) if angle % 2 else (64, 48))
    for row, column in product((0, 1), (0, 1)):
        place = (image.width * (1 + 2 * column) // 4, image.height * (1 + 2 * row) // 4)
        assert np.abs(np.array(image.getpixel(place)) - expected[row, column]).max() < 25


def test_a_thumbnail_that_shows_the_same_stands_for_the_picture():
    """The thumbnail is used if it is large enough, and looks like the image."""
    assert previewed(TILES, 4.0).size == (128, 96)
    assert previewed(TILES, 3.9) is None
    whole = shown(TILES, width=256, height=192)
    made = shown(TILES, width=40, height=40)
    expected = whole.resize(made.size, Image.Resampling.LANCZOS)
    assert structural_similarity(np.asarray(made), np.asarray(expected), channel_axis=2) > 0.95


def test_a_thumbnail_of_what_the_picture_was_is_not_believed():
    """The thumbnail of an image that was edited later is not used."""
    assert previewed(STALE, 8.0) is None
    whole = shown(TILES, width=256, height=192)
    made = shown(STALE, width=40, height=30)
    assert difference(made, whole.resize(made.size, Image.Resampling.LANCZOS)) < 3


@pytest.mark.parametrize("tag", [b"thmb", b"dimg", b"iinf", b"iref"])
def test_without_tiles_or_thumbnails_the_picture_is_decoded(tag):
    """A thumbnail that cannot be found, or compared with the image, is not used."""
    data, found = TILES.replace(tag, b"none", 1), probe(BytesReader(TILES))
    assert preview(SourceStream(BytesReader(data)), found, 8.0) is None


def test_a_broken_thumbnail_costs_no_picture():
    """If the thumbnail is broken, the image is decoded."""
    items = decode_heic.read(SourceStream(BytesReader(TILES)))
    (thumbnail,) = read_thumbnails(items, probe(BytesReader(TILES)))
    (place,) = thumbnail.windows
    broken = TILES[: place.start + 4] + bytes(place.size - 4) + TILES[place.start + place.size :]
    assert previewed(broken, 8.0) is None
    assert difference(shown(broken), shown(STALE)) < 3


def test_a_store_that_fails_meanwhile_is_told(monkeypatch):
    """An error of the reader is raised while the thumbnail is read."""

    class Failing:
        size = len(TILES)

        def read(self, offset: int, length: int) -> bytes:
            if offset > 4096:
                raise StoreError("no answer", transient=True)
            return TILES[offset : offset + length]

    found = probe(BytesReader(TILES))
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(base, "FIRST_BLOCK_BYTES", 4096)
    with pytest.raises(StoreError):
        preview(SourceStream(Failing()), found, 8.0)


def test_avif_is_turned_as_exif_would_have_it():
    """Every orientation that Pillow writes into an AVIF, as irot and imir, gives an upright thumbnail."""
    quarters = Image.new("RGB", (64, 48))
    for color, corner in zip((RED, GREEN, BLUE, WHITE), ((0, 0), (32, 0), (0, 24), (32, 24)), strict=True):
        quarters.paste(color, (*corner, corner[0] + 32, corner[1] + 24))
    for upright in (quarters, quarters.transpose(Image.Transpose.ROTATE_90)):
        for orientation, undo in ((2, 0), (3, 3), (4, 1), (5, 5), (6, 2), (7, 6), (8, 4)):
            exif = Image.Exif()
            exif[274] = orientation
            data = saved(upright.transpose(Image.Transpose(undo)), "AVIF", exif=exif, quality=95)
            assert difference(shown(data).convert("RGB"), upright) < 3
            assert Image.open(BytesIO(data)).size == upright.transpose(Image.Transpose(undo)).size
