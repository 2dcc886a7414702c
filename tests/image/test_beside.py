"""Pictures beside the main one are ignored: gain maps, depth maps, mattes, thumbnails. Alpha of tiles is not."""

import struct
from io import BytesIO
from itertools import product

import numpy as np
import pytest
from PIL import Image

from tests.containers.files import box, ispe, segment
from tests.image.heif_items import AVIF_BRANDS, Entry, alpha, avif_items, grid, heif, tile
from tests.image.pictures import difference, recipe, saved, shown, textured
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.image.transfer import cicp_profile
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format
from thumbsmith.recipe.model import Color, Metadata

# Purposes of auxiliary images that are not alpha (ISO/IEC 23008-2, annex F; 23091-2; Apple's cameras).
PURPOSES = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0",
    b"urn:mpeg:hevc:2015:auxid:2\0",
    b"urn:com:apple:photo:2020:aux:hdrgainmap\0",
    b"urn:com:apple:photo:2018:aux:portraiteffectsmatte\0",
    b"urn:com:apple:photo:2019:aux:semanticskinmatte\0",
    b"tag:apple.com,2023:photo:aux:styledeltamap\0",
)
HEVC_ALPHA = b"urn:mpeg:hevc:2015:auxid:1\0"
AVIF_ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"

SIZE = (320, 240)
MARKS = (b"hdrgm", b"hdrgainmap", b"GainMap", b"HDRGainMap", b"21496", b"MPF\0")
ADOBE_MAP = b'<x:xmpmeta xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" Semantic="GainMap"/>'
APPLE_MAP = b'<x:xmpmeta xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="65536"/>'


def auxiliary(purpose: bytes) -> bytes:
    """Return the property that says what an auxiliary image is for."""
    return box(b"auxC", bytes(4), purpose)


def with_gain_map(base: bytes, gain_map: bytes, xmp: bytes) -> bytes:
    """Return a JPEG with a gain map behind it, as phones write it: XMP, ISO 21496-1, and an index of both pictures.

    Multi-Picture Format, CIPA DC-007, 5.2.
    """
    before = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    before += segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    size = len(base) + len(before) + len(_index(0, 0, 0))
    place = size - (2 + len(before) + 8)  # from the header of the index
    return base[:2] + before + _index(size, len(gain_map), place) + base[2:] + gain_map


def _index(size: int, length: int, place: int) -> bytes:
    entries = struct.pack(">IIIHHIIIHH", 0x20030000, size, 0, 0, 0, 0, length, place, 0, 0)
    fields = struct.pack(">HHI4sHHIIHHII", 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, len(entries), 50)
    return segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\0\3" + fields + bytes(4) + entries)


def gain_map(**options) -> bytes:
    """Return the brightness of a gain map as a JPEG of half the size."""
    return saved(Image.linear_gradient("L").resize((SIZE[0] // 2, SIZE[1] // 2)), "JPEG", **options)


@pytest.mark.parametrize("xmp", [ADOBE_MAP, APPLE_MAP])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("width", [SIZE[0], 100, 20])
def test_a_jpeg_with_a_gain_map_shows_its_ordinary_picture(xmp, progressive, width):
    """The thumbnail is that of the same file without a gain map, at every scale, also if the gain map is cut."""
    base = saved(textured(*SIZE), "JPEG", quality=90, progressive=progressive)
    plain = shown(base, width=width, height=width)
    whole = with_gain_map(base, gain_map(), xmp)
    assert (probe(BytesReader(whole)).frames, probe(BytesReader(whole)).size) == (1, SIZE)
    assert shown(whole, width=width, height=width).tobytes() == plain.tobytes()
    for cut in (whole[:-200], whole[: -len(gain_map()) + 40]):  # of such files, more than the first scan is decoded
        assert difference(shown(cut, width=width, height=width), plain) < 10


@pytest.mark.parametrize("xmp", [ADOBE_MAP, APPLE_MAP])
@pytest.mark.parametrize(("metadata", "color"), list(product(Metadata, Color)))
def test_no_rendition_has_a_gain_map(xmp, metadata, color):
    """No rendition has a second picture or describes one, in any format, also if the source's own file is used."""
    picture = textured(64, 48)
    p3 = {"icc_profile": cicp_profile(12, 13)} if color is Color.KEEP else {}
    data = with_gain_map(saved(picture, "JPEG", quality=30, **p3), gain_map(), xmp)
    for quality in (30, 95):  # the source's own file is smaller than one of quality 95
        formats = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF)
        for made in render(data, recipe(formats=formats, metadata=metadata, color=color, quality=quality)):
            assert not [mark for mark in MARKS if mark in made.data]
            if made.format == "jpeg":
                assert made.data.count(b"\xff\xd8\xff") == 1
            profile = Image.open(BytesIO(made.data)).info.get("icc_profile")
            assert profile == p3.get("icc_profile")


@pytest.mark.parametrize("purpose", PURPOSES)
def test_auxiliary_images_that_are_not_alpha_are_ignored(purpose):
    """Depth maps, gain maps and mattes change nothing, of the picture or of its tiles, also beside real alpha."""
    plain = shown(heif([tile()])).tobytes()
    other = tile(1).having(auxiliary(purpose))
    assert shown(heif([tile(), other], [(b"auxl", 2, [1])])).tobytes() == plain
    tiled = [grid(1, 1, 64, 64), tile(), other]
    assert shown(heif(tiled, [(b"dimg", 1, [2]), (b"auxl", 3, [1])])).tobytes() == plain
    assert shown(heif(tiled, [(b"dimg", 1, [2]), (b"auxl", 3, [2])])).tobytes() == plain
    mapped = [tile(), grid(2, 1, 128, 64).having(auxiliary(purpose)), tile(2), tile(3)]
    assert shown(heif(mapped, [(b"dimg", 2, [3, 4]), (b"auxl", 2, [1])])).tobytes() == plain
    clear = shown(heif([tile(), alpha()], [(b"auxl", 2, [1])]))
    both = heif([tile(), other, alpha()], [(b"auxl", 2, [1]), (b"auxl", 3, [1])])
    assert shown(both).tobytes() == clear.tobytes()
    colors, _ = avif_items(textured(64, 48))
    second, _ = avif_items(textured(64, 48).rotate(180))
    data = heif([colors, second.having(auxiliary(purpose))], [(b"auxl", 2, [1])], brands=AVIF_BRANDS)
    assert shown(data).tobytes() == shown(heif([colors], brands=AVIF_BRANDS)).tobytes()


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", AVIF_BRANDS])
def test_a_tone_map_beside_the_picture_is_ignored(brands):
    """A tone map and its gain map are ignored, if the picture itself is the primary item."""
    first, second = (tile(), tile(1)) if brands != AVIF_BRANDS else (
        avif_items(textured(64, 64))[0], avif_items(textured(64, 64).rotate(90))[0]
    )  # fmt: skip
    mapped = Entry(b"tmap", (ispe(64, 64),), bytes(62))
    data = heif([first, second, mapped], [(b"dimg", 3, [1, 2])], brands=brands)
    assert shown(data).tobytes() == shown(heif([first], brands=brands)).tobytes()


def halves() -> list[Image.Image]:
    """Return two pictures with different alpha."""
    found = [textured(128, 128).convert("RGBA"), textured(128, 128).rotate(90).convert("RGBA")]
    found[0].putalpha(Image.linear_gradient("L").resize((128, 128)))
    found[1].putalpha(Image.linear_gradient("L").resize((128, 128)).rotate(90))
    return found


def joined() -> Image.Image:
    """Return both pictures beside each other."""
    whole = Image.new("RGBA", (256, 128))
    for number, half in enumerate(halves()):
        whole.paste(half, (128 * number, 0))
    return whole


def without_purpose(entry: Entry) -> Entry:
    """Return a coded alpha that does not say that it is alpha."""
    return Entry(entry.kind, tuple(each for each in entry.properties if each[4:8] != b"auxC"), entry.data)


def avif_grid(*properties: bytes, channels: int) -> Entry:
    """Return an AVIF item of two tiles. libavif requires the number of channels."""
    depth = box(b"pixi", bytes(4), bytes((channels, *[8] * channels)))
    return grid(2, 1, 256, 128).having(depth, *properties)


@pytest.mark.parametrize("each_says", [True, False])
def test_alpha_of_an_avif_may_be_a_grid(each_says):
    """A grid of alpha belongs to a grid of colors, whether its tiles say that they are alpha or not."""
    (left, left_alpha), (right, right_alpha) = (avif_items(half) for half in halves())
    if not each_says:
        left_alpha, right_alpha = without_purpose(left_alpha), without_purpose(right_alpha)
    items = [
        avif_grid(channels=3), left, right, avif_grid(auxiliary(AVIF_ALPHA), channels=1), left_alpha, right_alpha,
    ]  # fmt: skip
    data = heif(items, [(b"dimg", 1, [2, 3]), (b"dimg", 4, [5, 6]), (b"auxl", 4, [1])], brands=AVIF_BRANDS)
    _assert_alike(shown(data, width=256, height=128), joined())


def test_alpha_of_an_avif_may_belong_to_its_tiles():
    """Each tile may have its alpha."""
    (left, left_alpha), (right, right_alpha) = (avif_items(half) for half in halves())
    references = [(b"dimg", 1, [2, 3]), (b"auxl", 4, [2]), (b"auxl", 5, [3])]
    data = heif([avif_grid(channels=3), left, right, left_alpha, right_alpha], references, brands=AVIF_BRANDS)
    _assert_alike(shown(data, width=256, height=128), joined())


def test_alpha_of_a_heic_may_be_a_grid():
    """A grid of alpha belongs to a grid of colors, to one picture, or has tiles of another size."""
    whole = shown(heif([tile(), alpha()], [(b"auxl", 2, [1])]), width=64, height=64).getchannel("A")
    twice = [grid(2, 1, 128, 64), tile(), tile(1), grid(2, 1, 128, 64).having(auxiliary(HEVC_ALPHA)), alpha(), alpha()]
    references = [(b"dimg", 1, [2, 3]), (b"dimg", 4, [5, 6]), (b"auxl", 4, [1])]
    found = shown(heif(twice, references), width=128, height=64).getchannel("A")
    for left in (0, 64):
        assert found.crop((left, 0, left + 64, 64)).tobytes() == whole.tobytes()
    plain = [without_purpose(each) for each in twice[4:]]
    assert (
        shown(heif([*twice[:4], *plain], references), width=128, height=64).getchannel("A").tobytes() == found.tobytes()
    )
    single = [tile(), grid(2, 1, 128, 64).having(auxiliary(HEVC_ALPHA)), alpha(), alpha()]
    narrow = shown(heif(single, [(b"dimg", 2, [3, 4]), (b"auxl", 2, [1])]), width=64, height=64).getchannel("A")
    assert difference(narrow.convert("RGB"), found.resize((64, 64), Image.Resampling.BILINEAR).convert("RGB")) < 3


def _assert_alike(found: Image.Image, expected: Image.Image) -> None:
    assert (found.mode, found.size) == (expected.mode, expected.size)
    assert np.abs(np.asarray(found).astype(int)[..., 3] - np.asarray(expected)[..., 3]).mean() < 3
    assert difference(found.convert("RGBa").convert("RGB"), expected.convert("RGBa").convert("RGB")) < 12
