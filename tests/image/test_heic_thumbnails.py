"""The thumbnail in a HEIC may consist of tiles, like the image: it is used, and decoding takes a tenth of the work."""

from functools import cache
from itertools import product

import pytest
from PIL import Image

from tests.containers.files import box, ispe
from tests.image.heif_items import Entry, Reference, coded, grid, heif, irot
from tests.image.pictures import difference, shown, textured
from thumbsmith.image import decode_heic

SIZE = (1024, 768)
TILE = 256
THUMBNAIL = (256, 192)
SMALL_TILE = 128


@cache
def photo() -> Image.Image:
    """Return the picture of the source."""
    return textured(64, 48).resize(SIZE, Image.Resampling.BICUBIC)


@cache
def tiles(picture: str, side: int) -> tuple[Entry, ...]:
    """Return the coded tiles of a picture, row by row. The last row may reach beyond it."""
    image = {"photo": photo, "thumbnail": lambda: photo().resize(THUMBNAIL), "other": _other}[picture]()
    boxes = [(left, top) for top in range(0, image.height, side) for left in range(0, image.width, side)]
    return tuple(coded(image.crop((left, top, left + side, top + side))) for left, top in boxes)


def _other() -> Image.Image:
    return photo().resize(THUMBNAIL).transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def phone(thumbnail: str, *properties: bytes, own: tuple[bytes, ...] = ()) -> bytes:
    """Return a photo in 12 tiles, with a thumbnail in 4; both have these properties, and the thumbnail its `own`."""
    large, small = tiles("photo", TILE), tiles(thumbnail, SMALL_TILE)
    items = [grid(4, 3, *SIZE).having(*properties), *large, grid(2, 2, *THUMBNAIL).having(*properties, *own), *small]
    first = 2 + len(large)
    references: list[Reference] = [
        (b"dimg", 1, range(2, first)),
        (b"dimg", first, range(first + 1, first + 1 + len(small))),
        (b"thmb", first, [1]),
    ]
    return heif(items, references)


@pytest.fixture
def decoded_pixels(monkeypatch) -> list[int]:
    """Record the pixels of each coded item that the decoder decodes."""
    found, decode = [], decode_heic._coded

    def counted(items, colors):
        image = decode(items, colors)
        found.append(image.width * image.height)
        return image

    monkeypatch.setattr(decode_heic, "_coded", counted)
    return found


@pytest.mark.parametrize("properties", [(), (irot(1),)])
def test_a_tiled_thumbnail_stands_for_the_picture(properties, decoded_pixels):
    """The thumbnail and a tile for comparison are decoded, and the result is that of the whole picture."""
    made = shown(phone("thumbnail", *properties), width=80, height=80)
    assert sorted(decoded_pixels) == [SMALL_TILE**2] * 4 + [TILE**2]
    expected = photo().rotate(90, expand=True) if properties else photo()
    assert difference(made.convert("RGB"), expected.resize(made.size, Image.Resampling.LANCZOS)) < 3


@pytest.mark.parametrize(("columns", "rows", "side"), [(8, 6, 512), (4, 3, 1024)])
def test_a_photo_of_12_megapixels_takes_a_tenth_of_the_work(columns, rows, side, decoded_pixels):
    """With tiles of any size, less than a tenth of the pixels of a full decode is decoded."""
    part = textured(32, 32).resize((side, side), Image.Resampling.BICUBIC)
    small, whole = part.resize((64, 64), Image.Resampling.BOX), Image.new("RGB", THUMBNAIL)
    reduced = small.resize((THUMBNAIL[0] // columns, THUMBNAIL[1] // rows), Image.Resampling.BOX)
    for row, column in product(range(rows), range(columns)):
        whole.paste(reduced, (column * reduced.width, row * reduced.height))
    cut = [coded(whole.crop((left, top, left + 128, top + 96))) for top in (0, 96) for left in (0, 128)]
    count = columns * rows
    items = [grid(columns, rows, columns * side, rows * side), *[coded(part)] * count, grid(2, 2, *THUMBNAIL), *cut]
    first = count + 2
    references = [(b"dimg", 1, range(2, first)), (b"dimg", first, range(first + 1, first + 5)), (b"thmb", first, [1])]
    made = shown(heif(items, references), width=128, height=128)
    assert made.size == (128, 96)
    assert sum(decoded_pixels) < 0.1 * count * side * side
    assert difference(made.convert("RGB"), whole.resize(made.size, Image.Resampling.LANCZOS)) < 3


@pytest.mark.parametrize(
    ("thumbnail", "own", "size"),
    [
        ("other", (), 80),
        ("thumbnail", (), 150),
        ("thumbnail", (irot(2),), 80),
        ("thumbnail", (box(b"colr", b"nclx", b"\0\x0c\0\x0d\0\6\x80"),), 80),
    ],
)
def test_a_thumbnail_that_differs_or_is_too_small_is_not_used(thumbnail, own, size, decoded_pixels):
    """Thumbnails of other content, orientation or colors, or with too few pixels, are not used."""
    made = shown(phone(thumbnail, own=own), width=size, height=size)
    assert sum(decoded_pixels) >= SIZE[0] * SIZE[1]
    assert difference(made.convert("RGB"), photo().resize(made.size, Image.Resampling.LANCZOS)) < 3


def test_a_thumbnail_with_a_tile_in_other_colors_is_not_used(decoded_pixels):
    """The tiles of a thumbnail must have the colors of the picture, too."""
    small = tiles("thumbnail", SMALL_TILE)[0]
    colored = small.having(box(b"colr", b"nclx", b"\0\x0c\0\x0d\0\6\x80"))
    items = [grid(4, 3, *SIZE), *tiles("photo", TILE), grid(2, 2, *THUMBNAIL), *[colored] * 4]
    references = [(b"dimg", 1, range(2, 14)), (b"dimg", 14, range(15, 19)), (b"thmb", 14, [1])]
    shown(heif(items, references), width=80, height=80)
    assert sum(decoded_pixels) >= SIZE[0] * SIZE[1]


def test_a_thumbnail_with_a_broken_tile_costs_no_picture(decoded_pixels):
    """If a tile of the thumbnail is broken, or missing, the picture is decoded."""
    small = list(tiles("thumbnail", SMALL_TILE))
    broken = Entry(b"hvc1", small[2].properties, b"\0\0\0\4" + b"\xff" * 40)
    for parts in ([*small[:2], broken, small[3]], small[:3]):
        items = [grid(4, 3, *SIZE), *tiles("photo", TILE), grid(2, 2, *THUMBNAIL), *parts]
        references = [(b"dimg", 1, range(2, 14)), (b"dimg", 14, range(15, 15 + len(parts))), (b"thmb", 14, [1])]
        made = shown(heif(items, references), width=80, height=80)
        assert difference(made.convert("RGB"), photo().resize(made.size, Image.Resampling.LANCZOS)) < 3
    assert sum(decoded_pixels) >= 2 * SIZE[0] * SIZE[1]


def test_a_thumbnail_is_not_larger_than_it_says(decoded_pixels):
    """A grid that claims more pixels than its tiles have is not decoded as a thumbnail."""
    large = grid(2, 2, 512, 384)
    items = [grid(4, 3, *SIZE), *tiles("photo", TILE), large, *tiles("thumbnail", SMALL_TILE)]
    references = [(b"dimg", 1, range(2, 14)), (b"dimg", 14, range(15, 19)), (b"thmb", 14, [1])]
    shown(heif(items, references), width=80, height=80)
    assert sum(decoded_pixels) == SIZE[0] * SIZE[1]
    assert ispe(512, 384) in large.properties
