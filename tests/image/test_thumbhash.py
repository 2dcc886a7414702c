"""ThumbHash: the placeholder of a picture, and its record in the manifest."""

import json
from base64 import b64decode

import pytest
from PIL import Image

from tests.corpus import needs_corpus, photos
from tests.image.pictures import saved, textured
from tests.pictures import picture
from thumbsmith import Recipe, converge
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.image.thumbhash import thumbhash
from thumbsmith.reader import BytesReader
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore

# What the author's implementation, npm thumbhash 0.1.1, gives for the noise of `_noise`: opacity, width, height, hash.
VECTORS = [
    (False, 32, 32, "e0f7010702bb92667784878879a7a456776630bcfbbf8f0b"),
    (True, 32, 32, "e0f78105020897828a39976801f3cffbfc98b9e79ab856a804"),
    (False, 100, 75, "2008020580ad9ec8bc89c08c579c457cf69d8da016"),
    (True, 100, 75, "2008820480076b9ab9a67ff923aff838baa0211b6843565c0f"),
    (False, 13, 100, "df0702090232604595777d4a2f683d2096"),
    (True, 13, 100, "dff78101020730615565c78f566d30a56dee43a0b5f72d"),
    (False, 1, 1, "1c4b3bc75208f708888788708f7088f80888808008088800"),
    (True, 1, 1, "1c4bbbc552cc08f78887707ff8088880800808f78887707ff8"),
    (False, 100, 1, "e0074211828877788888087717870f8677"),
    (True, 100, 1, "e007c209847787878888803a872f8608787788887078f8"),
    (False, 2, 3, "d7f92d2d1a77087888778887887878088f870c3748"),
    (True, 2, 3, "d90986230c997057488cb88f880b271577087a88768898"),
    (False, 16, 12, "1fe8011d82f41e4d7e3ba248896c29da95af18048f"),
    (True, 16, 12, "1ed881148208d46e9d0c778a26f94870e2fac86587b888ba08"),
    (False, 12, 16, "e007020d025b3977b5f6c9add201030a58469f460c"),
    (True, 12, 16, "e007820c00075a7c56fbd94bc225f4306296d70db93c38c60a"),
]


def _noise(width: int, height: int, *, alpha: bool) -> bytes:
    """Return pixels of Lehmer's generator (16807), a byte each, opaque by default."""
    state, levels = width * 100 + height, []
    for index in range(width * height * 4):
        state = state * 16807 % 2147483647
        levels.append(state // 256 % 256 if alpha or index % 4 < 3 else 255)
    return bytes(levels)


@pytest.mark.parametrize(("alpha", "width", "height", "expected"), VECTORS)
def test_the_hash_is_that_of_the_reference_implementation(alpha: bool, width: int, height: int, expected: str):
    """For pictures of any shape, with and without alpha, the hash is that of the author's implementation."""
    assert thumbhash(width, height, _noise(width, height, alpha=alpha)).hex() == expected


def test_flat_and_empty_pictures_have_a_hash():
    """A picture of one color, and a fully transparent one, has a hash of the usual length."""
    assert len(thumbhash(16, 16, bytes((200, 100, 50, 255)) * 256)) in range(15, 26)
    assert len(thumbhash(4, 3, bytes(48))) in range(15, 27)


def _hash_of(data: bytes) -> bytes:
    reader = BytesReader(data)
    made = make_renditions(check_source(Job(reader=reader, recipe=Recipe.loads("[variants.a]\nwidth = 100"))))
    return b64decode(made.thumbhash, validate=True)


def _mean(hashed: bytes) -> tuple[int, ...]:
    """Return the mean color in a hash: luminance, yellow against blue, red against green."""
    head = int.from_bytes(hashed[:3], "little")
    luminance, yellow, red = (head & 63) / 63, (head >> 6 & 63) / 31.5 - 1, (head >> 12 & 63) / 31.5 - 1
    blue = luminance - 2 / 3 * yellow
    first = (3 * luminance - blue + red) / 2
    return tuple(round(255 * level) for level in (first, first - red, blue))


@pytest.mark.parametrize("color", ["#c04020", "#102030", "#f0f0f0", "#20c0a0"])
def test_the_hash_has_the_mean_color(color: str):
    """The mean color in the hash is that of the picture, within its 6 bits."""
    expected = tuple(bytes.fromhex(color[1:]))
    assert all(abs(found - level) <= 8 for found, level in zip(_mean(_hash_of(picture(color))), expected, strict=True))


def test_the_hash_respects_orientation_and_alpha():
    """The hash is that of the picture as seen, and it says whether there is alpha."""
    image = textured(400, 240)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    found, expected = (_hash_of(each).hex()[10:] for each in (turned, saved(image, "PNG")))
    assert all(abs(int(one, 16) - int(other, 16)) <= 1 for one, other in zip(found, expected, strict=True))
    assert _hash_of(turned)[4] & 128
    assert not _hash_of(saved(image, "PNG"))[2] & 128
    clear = image.convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 200, 240))
    assert _hash_of(saved(clear, "PNG"))[2] & 128


def test_the_manifest_keeps_the_hash():
    """The manifest has the hash, and keeps it when only a variant is removed."""
    source, destination = MemoryStore("source"), MemoryStore("destination")
    source.put("a.jpg", picture(), Headers(content_type="image/jpeg"))
    made = converge("a.jpg", source, destination, Recipe.default()).manifest
    assert len(b64decode(made["placeholder"]["thumbhash"], validate=True)) >= 15
    fewer = Recipe.loads("[variants.icon]\nwidth = 64\nheight = 64\nfit = 'cover'")
    assert converge("a.jpg", source, destination, fewer).manifest["placeholder"] == made["placeholder"]


def test_a_manifest_without_a_hash_is_fresh():
    """A manifest without a hash is fresh; the next rendition that is made adds one."""
    source, destination = MemoryStore("source"), MemoryStore("destination")
    source.put("a.jpg", picture(), Headers(content_type="image/jpeg"))
    made = converge("a.jpg", source, destination, Recipe.default()).manifest
    del made["placeholder"]["thumbhash"]
    headers = Headers(content_type="application/json")
    destination.put("a.jpg/manifest.json", json.dumps(made).encode(), headers)
    outcome = converge("a.jpg", source, destination, Recipe.default())
    assert (outcome.status, outcome.manifest["placeholder"]) == ("fresh", made["placeholder"])
    destination.delete("a.jpg/icon.webp")
    assert converge("a.jpg", source, destination, Recipe.default()).manifest["placeholder"]["thumbhash"]


@needs_corpus
def test_photographs_have_their_mean_color():
    """The mean color in the hash of a photograph is the recorded one, within 3 %."""
    for photo in photos():
        reader = BytesReader(photo.read_bytes())
        made = make_renditions(check_source(Job(reader=reader, recipe=Recipe.loads("[variants.a]\nwidth = 100"))))
        color = bytes.fromhex(made.color[1:])
        found = _mean(b64decode(made.thumbhash))
        assert all(abs(level - expected) <= 8 for level, expected in zip(found, color, strict=True)), photo.name
