"""HEIC files in other layouts, derived from items, complete or not."""

import struct
from itertools import permutations

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.containers.files import box, exif_block, ispe
from tests.image.heif_items import SIDE, TILES, Entry, Layout, alpha, clap, grid, heif, imir, irot, tile
from tests.image.pictures import difference, saved, shown, textured
from thumbsmith.errors import Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.decode import decode
from thumbsmith.image.decode_heic import open_heic
from thumbsmith.image.limits import check_memory, predict_decode_bytes
from thumbsmith.image.probe import probe
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe


def decoded(data: bytes, reduction: float = 1.0) -> Image.Image:
    """Return the decoded image of a file, as displayed."""
    reader = BytesReader(data)
    return decode(reader, probe(reader), reduction).image


def pixels(data: bytes) -> np.ndarray:
    """Return the pixels of a file, as displayed."""
    return np.asarray(decoded(data).convert("RGB")).astype(int)


def refused(data: bytes) -> str:
    """Return the rejection code of a file."""
    with pytest.raises(Rejected) as problem:
        decoded(data)
    return problem.value.code.value


PLAIN = heif([tile()])


@pytest.mark.parametrize(
    "data",
    [
        heif([tile()], layout=Layout(version=0)),
        heif([tile()], layout=Layout(version=1, base=40)),
        heif([tile()], layout=Layout(version=2, base=100)),
        heif([tile()], layout=Layout(pieces=3)),
        heif([Entry(b"hvc1", tile().properties, tile().data, inside=True)]),
        heif([Entry(b"hvc1", tile().properties, tile().data, flags=1)]),
        heif([tile()], last=True),
        heif([tile()], last=True, between=box(b"free", bytes(3_000_000))),
        heif([tile()], between=box(b"uuid", bytes(100)) + box(b"moov", box(b"mvhd", bytes(100)))),
        heif([tile()]) + bytes(1000),
        heif([tile()]) + box(b"ftyp", b"mp42\0\0\0\0isom") + box(b"moov", box(b"mvhd", bytes(100))),
        heif([tile()]) + box(b"sefd", b"SEFH" + bytes(40) + b"SEFT"),
        heif([tile()], brands=b"mif1\0\0\0\0mif1heic"),
        heif([tile()], brands=b"mif2\0\0\0\0mif1MiHBheic"),
        heif([tile()], brands=b"msf1\0\0\0\0hevcmif1heic"),
        heif([tile()], brands=b"heix\0\0\0\0mif1"),
        heif([tile()], brands=b"\0\0\0\0\0\0\0\0mif1heic"),
        heif([tile(5), tile(), tile(3)], primary=2),
        heif([tile(), tile(1).having(clap(999, 999, 0, 0))]),
        heif([tile(), Entry(b"hvc1", (), b"\xff" * 50), Entry(b"none", (), b"\xff" * 50)]),
        heif([tile(), Entry(b"tmap", (ispe(SIDE, SIDE),), bytes(62))], [(b"dimg", 2, [1, 1])]),
        heif([tile(), Entry(b"Exif", (), b"\xff" * 30)], [(b"cdsc", 2, [1])]),
        heif([tile(), Entry(b"Exif", (), b"")], [(b"cdsc", 2, [1])]),
        heif([tile(), Entry(b"Exif", (), bytes(4) + exif_block(6))], [(b"cdsc", 2, [1])]),
        heif([tile(), Entry(b"mime", (), b"<x:xmpmeta")], [(b"cdsc", 2, [1])]),
        heif([tile().having(box(b"free", b"abc"), box(b"pasp", struct.pack(">II", 1, 1)))]),
        heif([Entry(b"hvc1", tuple(each for each in tile().properties if each[4:8] != b"pixi"), tile().data)]),
        heif([tile(), tile(1).having(box(b"auxC", bytes(4), b"urn:mpeg:hevc:2015:auxid:2\0"))], [(b"auxl", 2, [1])]),
        heif([tile(2), tile()], [(b"thmb", 1, [2])]),
        heif([grid(1, 1, SIDE, SIDE), tile()], [(b"dimg", 1, [2])]),
        heif([Entry(b"iden", (ispe(SIDE, SIDE),)), tile()], [(b"dimg", 1, [2])]),
        heif([Entry(b"iden", (ispe(1, 1),)), grid(1, 1, SIDE, SIDE), tile()], [(b"dimg", 1, [2]), (b"dimg", 2, [3])]),
    ],
)
def test_a_picture_is_found_however_it_is_laid_out(data: bytes):
    """Places, brands, boxes, trailers, other items and broken metadata do not change the image."""
    assert decoded(data).tobytes() == decoded(PLAIN).tobytes()


def _expected(picture: np.ndarray, properties: tuple[bytes, ...]) -> np.ndarray:
    for each in properties:
        if each[4:8] == b"irot":
            picture = np.rot90(picture, each[8])
        elif each[4:8] == b"imir":
            picture = picture[::-1] if each[8] == 0 else picture[:, ::-1]
        else:
            width, _, height, _, across, _, down, _ = struct.unpack_from(">4IiIiI", each, 8)
            top, left = ((picture.shape[0] - height) + down) // 2, ((picture.shape[1] - width) + across) // 2
            picture = picture[top : top + height, left : left + width]
    return picture


@pytest.mark.parametrize(
    "properties",
    [
        each
        for turn, axis in ((1, 0), (3, 1), (2, 0))
        for each in permutations((clap(20, 36, 12, -8), irot(turn), imir(axis)))
    ],
)
def test_crops_turns_and_mirrors_apply_in_their_order(properties: tuple[bytes, ...]):
    """Crop, rotation and mirroring apply one after the other. The orientation in EXIF is ignored."""
    exif = Entry(b"Exif", (), bytes(4) + exif_block(8))
    found = pixels(heif([tile().having(*properties), exif], [(b"cdsc", 2, [1])]))
    assert np.array_equal(found, _expected(pixels(PLAIN), properties))


def test_crops_of_crops_add_up():
    """An identity derivation (`iden`) can have a crop and an orientation. Its own size is ignored."""
    first, second = (clap(40, 30, 4, 2), irot(1)), (clap(16, 20, -6, 4), irot(1))
    data = heif([Entry(b"iden", (ispe(9, 9), *second)), tile().having(*first)], [(b"dimg", 1, [2])])
    assert np.array_equal(pixels(data), _expected(_expected(pixels(PLAIN), first), second))


def test_tiles_lie_side_by_side():
    """A grid has its tiles in rows from the upper left. The last ones may be cut off."""
    data = heif([grid(2, 2, 120, 100), *map(tile, range(4))], [(b"dimg", 1, [2, 3, 4, 5])])
    found, parts = pixels(data), [pixels(heif([tile(number)])) for number in range(4)]
    whole = np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])
    assert np.array_equal(found, whole[:100, :120])


@pytest.mark.parametrize("wide", [False, True])
def test_an_overlay_shows_its_pictures_one_over_the_other(wide: bool):
    """An overlay has images on a canvas of one color. They may reach beyond its edges."""
    fill = struct.pack(">4H", 0xFFFF, 0x8080, 0, 0xFFFF)
    size, places = struct.pack(">II" if wide else ">HH", 100, 80), struct.pack(">4i" if wide else ">4h", 0, 0, 50, -10)
    overlay = Entry(b"iovl", (ispe(100, 80),), bytes((0, wide)) + fill + size + places, inside=True)
    found = pixels(heif([overlay, tile(), tile(1)], [(b"dimg", 1, [2, 3])]))
    expected = np.full((80, 100, 3), (255, 128, 0))
    expected[:64, :64] = pixels(PLAIN)
    expected[:54, 50:] = pixels(heif([tile(1)]))[10:, :50]
    assert np.array_equal(found, expected)


def test_alpha_belongs_to_a_picture_of_any_size():
    """Alpha is scaled to its image, and gets the same crop and orientation. Premultiplied colors are divided by it."""
    plain = decoded(heif([tile(), alpha()], [(b"auxl", 2, [1])]))
    assert plain.mode == "RGBA"
    turned = decoded(heif([tile().having(irot(1)), alpha()], [(b"auxl", 2, [1])]))
    assert turned.tobytes() == plain.transpose(Image.Transpose.ROTATE_90).tobytes()
    large = heif([grid(2, 1, 128, 64), tile(), tile(1), alpha()], [(b"dimg", 1, [2, 3]), (b"auxl", 4, [1])])
    stretched = plain.getchannel("A").resize((128, 64), Image.Resampling.BILINEAR)
    assert difference(decoded(large).getchannel("A").convert("RGB"), stretched.convert("RGB")) < 1
    each = heif([grid(2, 1, 128, 64), tile(), tile(), alpha()], [(b"dimg", 1, [2, 3]), (b"auxl", 4, [2])])
    left = decoded(each).crop((0, 0, 64, 64))
    assert left.getchannel("A").tobytes() == plain.getchannel("A").tobytes()
    divided = decoded(heif([tile(), alpha()], [(b"auxl", 2, [1]), (b"prem", 1, [2])]))
    assert divided.getchannel("A").tobytes() == plain.getchannel("A").tobytes()
    assert np.asarray(divided)[..., :3].sum() > np.asarray(plain)[..., :3].sum()


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_picture_that_is_cut_is_truncated(cut: int):
    """A file that ends within its last tile is truncated, for any number of missing bytes."""
    data = heif([grid(2, 1, 128, 64), tile(), tile(1)], [(b"dimg", 1, [2, 3])])
    assert refused(data[:-cut]) == "truncated"
    assert refused(heif([tile()])[:-cut]) == "truncated"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_zeros_in_place_of_data_are_truncated(share: float):
    """A HEIC or AVIF with zeros in place of the end of its image or alpha is truncated."""
    start = int(len(tile(1).data) * share)
    half = Entry(b"hvc1", tile(1).properties, tile(1).data[:start] + bytes(len(tile(1).data) - start))
    assert refused(heif([grid(2, 1, 128, 64), tile(), half], [(b"dimg", 1, [2, 3])])) == "truncated"
    for picture in (textured(64, 48), textured(64, 48).convert("RGBA")):
        picture.putpixel((0, 0), (9,) * len(picture.getbands()))  # so that there is alpha
        data = saved(picture, "AVIF")
        missing = int(200 * (1 - share)) + 64
        assert refused(data[:-missing] + bytes(missing)) == "truncated"


def test_a_broken_tile_is_no_black_square():
    """A grid with a broken tile is rejected at every size."""
    broken = Entry(b"hvc1", tile(1).properties, b"\0\0\0\4" + b"\xff" * 40)
    data = heif([grid(2, 1, 128, 64), tile(), broken], [(b"dimg", 1, [2, 3])])
    assert refused(data) == "corrupt"
    with pytest.raises(Rejected):
        decoded(data, 16.0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        *((heif([Entry(kind, (ispe(),), b"abc")]), "unsupported_format") for kind in (b"jpeg", b"unci", b"av01")),
        (heif([grid(1, 1, 8, 6), Entry(b"j2k1", (ispe(),), b"abc")], [(b"dimg", 1, [2])]), "unsupported_format"),
        (heif([tile(), tile(1)], [(b"pred", 1, [2])]), "unsupported_format"),
        (heif([tile()], layout=Layout(method=2)), "unsupported_format"),
        (heif([tile()], layout=Layout(pieces=0)), "corrupt"),
        (heif([Entry(b"iden", (ispe(),))], [(b"dimg", 1, [1])]), "corrupt"),
        (heif([Entry(b"iden", (ispe(),))]), "unsupported_format"),
        (heif([Entry(b"iovl", (ispe(),), bytes(14), inside=True)], [(b"dimg", 1, [1, 1, 1])]), "corrupt"),
        (heif([Entry(b"iovl", (ispe(),), bytes(14), inside=True), tile()], [(b"dimg", 1, [2] * 20_000)]), "corrupt"),
        (
            heif([Entry(b"iovl", (ispe(),), bytes(14), inside=True), tile()], [(b"dimg", 1, [2])]).replace(
                ispe(SIDE, SIDE), ispe(9000, 9000)
            ),
            "unsupported_format",
        ),
        (heif([Entry(b"iovl", (ispe(),), bytes(20), inside=True), tile()], [(b"dimg", 1, [2])]), "corrupt"),
        (heif([tile()]).replace(ispe(SIDE, SIDE), ispe(66, 64)), "corrupt"),
        (heif([grid(1, 1, 64, 64), tile().having(irot(0), clap(9, 9, 0, 0))], [(b"dimg", 1, [2])]), "corrupt"),
    ],
)
def test_what_is_not_read_and_what_cannot_be(data: bytes, code: str):
    """Other codecs and constructions are unsupported; circles, contradictions and empty files are corrupt."""
    assert refused(data) == code


def test_tiles_are_averaged_one_by_one():
    """For a small thumbnail each tile of a grid is averaged; the result differs only by rounding."""
    data = TILES.replace(b"thmb", b"none")
    whole, small = decoded(data), decoded(data, 12.0)
    assert small.size == (64, 48)
    assert difference(small.convert("RGB"), whole.reduce(4).convert("RGB")) <= 1
    odd = heif([grid(2, 2, 101, 99), *map(tile, range(4))], [(b"dimg", 1, [2, 3, 4, 5])])
    assert decoded(odd, 24.0).size == (13, 13)
    assert shown(odd, width=20, height=20).size == (20, 20)


def test_a_photo_of_200_megapixels_is_within_the_default_memory():
    """A large photo is within max_memory in tiles of 512 for small thumbnails, but not in full size or in one piece."""
    photo = Probe(format="heic", bytes=40_000_000, width=16_320, height=12_240, piece=512 * 512, levels=3)
    assert check_memory(photo, Recipe.default()) < 320 << 20
    assert predict_decode_bytes(photo, 1) > 1 << 30
    with pytest.raises(Rejected):
        check_memory(Probe(format="heic", bytes=9, width=16_320, height=12_240), Recipe.default())


def test_alpha_larger_than_its_picture_counts():
    """A small image with alpha of gigabytes is over_memory, and is not decoded."""
    large = Entry(b"hvc1", tuple(each if each[4:8] != b"ispe" else ispe(30_000, 30_000) for each in alpha().properties))
    found = probe(BytesReader(heif([tile(), large], [(b"auxl", 2, [1])])))
    with pytest.raises(Rejected) as problem:
        check_memory(found, Recipe.default())
    assert problem.value.code.value == "over_memory"


def test_what_lies_apart_is_read_once():
    """The description is not read again for each tile, even if the tiles are far from it."""
    numbers = range(12)
    data = heif(
        [grid(4, 3, 256, 192), *map(tile, numbers)],
        [(b"dimg", 1, [2 + each for each in numbers])],
        between=box(b"free", bytes(9_000_000)),
    )
    found, given = probe(BytesReader(data)), []

    class Counting(BytesReader):
        def read(self, offset: int, length: int) -> bytes:
            part = super().read(offset, length)
            given.append(len(part))
            return part

    decode(Counting(data), found, 1.0)
    assert sum(given) < 20_000_000


def test_a_profile_is_followed_and_metadata_is_read():
    """The profile of the image or its first tile is used before code points. Metadata beyond the file are ignored."""
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colored = tile().having(box(b"colr", b"prof", swapped))
    exif, xmp = Entry(b"Exif", (), bytes(4) + exif_block(1)), Entry(b"mime", (), b"<x/>")
    items = [grid(1, 1, SIDE, SIDE), colored, exif, xmp]
    data = heif(items, [(b"dimg", 1, [2]), (b"cdsc", 3, [1]), (b"cdsc", 4, [1])])
    info = open_heic(SourceStream(BytesReader(data)), probe(BytesReader(data))).info
    assert (info["icc_profile"], info["exif"], info["xmp"]) == (swapped, b"Exif\0\0" + exif_block(1), b"<x/>")
    cut = heif([tile(), exif], [(b"cdsc", 2, [1])])[:-1]
    assert open_heic(SourceStream(BytesReader(cut)), probe(BytesReader(data))).info == {}
    assert decoded(cut).tobytes() == decoded(PLAIN).tobytes()


def test_an_overlay_that_contradicts_itself_is_corrupt():
    """An overlay whose canvas has another size than the item is corrupt."""
    overlay = Entry(b"iovl", (ispe(100, 80),), bytes(10) + struct.pack(">HHhh", 90, 80, 0, 0), inside=True)
    assert refused(heif([overlay, tile()], [(b"dimg", 1, [2])])) == "corrupt"


def test_how_often_tiles_can_be_halved_is_told():
    """Tiles are halved only if both sides can be; images with alpha or a crop are decoded in full size."""
    relation = (b"dimg", 1, [2, 3])
    assert probe(BytesReader(heif([grid(2, 1, 128, 64), tile(), tile(1)], [relation]))).levels == 3
    odd = heif([grid(2, 1, 120, 60), tile(), tile(1)], [relation]).replace(ispe(SIDE, SIDE), ispe(62, 64))
    assert probe(BytesReader(odd)).levels == 1
    items = [grid(2, 1, 128, 64), tile(), tile(1), alpha()]
    assert probe(BytesReader(heif(items, [relation, (b"auxl", 4, [1])]))).levels == 0
    items[0] = items[0].having(clap(10, 10, 0, 0))
    assert probe(BytesReader(heif(items, [relation]))).levels == 0


FIRST_LAYER = next(each for each in tile().properties if each[4:8] == b"hvcC")
MORE_LAYERS = box(b"lhvC", FIRST_LAYER[8:])
OTHERS = tuple(each for each in tile().properties if each != FIRST_LAYER)
ONLY_MORE = Entry(b"lhv1", (*OTHERS, MORE_LAYERS), tile().data)
LARGER = tuple(each for each in tile().properties if each[4:8] != b"ispe")


@pytest.mark.parametrize(
    "data",
    [
        heif([ONLY_MORE], brands=b"heis\0\0\0\0mif1heis"),
        heif([Entry(b"lhv1", tile().properties, tile().data)], brands=b"heim\0\0\0\0mif1heim"),
        heif([Entry(b"hvc1", ONLY_MORE.properties, ONLY_MORE.data)]),
        heif([ONLY_MORE, tile()], [(b"exbl", 1, [2])]),
        heif([grid(1, 1, SIDE, SIDE), ONLY_MORE], [(b"dimg", 1, [2])]),
        heif([Entry(b"iden", (ispe(SIDE, SIDE),)), ONLY_MORE], [(b"dimg", 1, [2])]),
        heif([tile().having(box(b"lsel", b"\0\1"))]),
        heif([tile().having(box(b"oinf", bytes(20)), box(b"tols", bytes(4), b"\0\1"))]),
        heif([grid(1, 1, SIDE, SIDE), tile().having(box(b"lsel", b"\0\2"))], [(b"dimg", 1, [2])]),
        heif([Entry(b"hvc1", (*LARGER, ispe(2 * SIDE, 2 * SIDE), MORE_LAYERS), tile().data)]),
        heif([Entry(b"hvc1", (*LARGER, ispe(2 * SIDE, 2 * SIDE), box(b"oinf", bytes(20))), tile().data)]),
    ],
)
def test_layers_above_the_first_are_unsupported(data: bytes):
    """An image that is coded in several layers, and shows another than the first, is no damage."""
    assert refused(data) == "unsupported_format"


@pytest.mark.parametrize(
    "more",
    [
        (MORE_LAYERS,),
        (box(b"lsel", b"\0\0"),),
        (box(b"lsel", b"\xff\xff"),),
        (MORE_LAYERS, box(b"oinf", bytes(20)), box(b"tols", bytes(6))),
    ],
)
def test_the_first_of_several_layers_is_read(more: tuple[bytes, ...]):
    """An image whose first layer is shown is decoded, although there are others."""
    assert decoded(heif([tile().having(*more)])).tobytes() == decoded(PLAIN).tobytes()
    assert refused(heif([Entry(b"hvc1", (*LARGER, ispe(2 * SIDE, 2 * SIDE)), tile().data)])) == "corrupt"
