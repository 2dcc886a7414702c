"""Colors are converted to sRGB, or kept with their profile."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from skimage.color import deltaE_ciede2000, rgb2lab

from tests.corpus import needs_corpus, photos
from tests.image.pictures import difference, recipe, saved, shown, textured
from thumbsmith.image import color, pillow, profiles
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.recipe.model import Color

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# Primaries of Adobe RGB (1998), adapted to D50, from its specification.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_PRIMARIES = tuple(profiles.SRGB_PRIMARIES.values())


def ours(image: Image.Image) -> pillow.Image.Image:
    """Return a picture of the installed Pillow as one of the Pillow that the package loads."""
    return pillow.Image.frombytes(image.mode, image.size, image.tobytes())


def fixed(*values: float) -> bytes:
    """Return numbers as s15Fixed16."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def profile(primaries, curve: bytes, *, space: bytes = b"RGB ", extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Return a display profile of three primaries and one tone curve, version 2.1."""
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)), *extra]
    for name, primary in zip("rgb"[: len(primaries)], primaries, strict=True):
        tags += [(f"{name}XYZ".encode(), b"XYZ \0\0\0\0" + fixed(*primary)), (f"{name}TRC".encode(), curve)]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, element in tags:
        table += struct.pack(">4sII", name, start + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    size = struct.pack(">I", start + len(body))
    head = size + bytes(4) + b"\x02\x10\0\0mntr" + space + b"XYZ " + bytes(12) + b"acsp"
    return head + bytes(128 - len(head)) + table + body


def gamma(value: float) -> bytes:
    """Return a curve of one gamma."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def parametric(kind: int, *numbers: float) -> bytes:
    """Return a parametric curve."""
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*numbers)


def sampled(points: int) -> bytes:
    """Return the sRGB curve as a table."""
    levels = np.linspace(0, 1, points)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(f">I{points}H", points, *np.round(linear * 65535).astype(int))


SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def to_srgb(image: Image.Image, found: bytes | None) -> Image.Image:
    """Return the picture with its colors converted, as a rendition has it."""
    conversion = color.interpret_color(found, image.mode).to_srgb
    return color.to_rgb(color.convert_colors(image, conversion) if conversion else image)


@pytest.mark.parametrize(
    "found",
    [
        SRGB,
        profile(SRGB_PRIMARIES, sampled(1024)),
        profile(SRGB_PRIMARIES, sampled(64)),
        profile(SRGB_PRIMARIES, parametric(3, *SRGB_CURVE)),
    ],
    ids=["littleCMS", "1024 points", "64 points", "parametric"],
)
def test_srgb_is_recognized_in_every_notation(found):
    """Profiles of sRGB are recognized in every notation, and their pictures are not converted."""
    assert profiles.is_srgb(found)
    image = textured(40, 30)
    assert to_srgb(image, found).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"not a profile at all" * 20,
        SRGB[:140],
        SRGB[:300],
        profile(ADOBE, sampled(1024)),
        profile(SRGB_PRIMARIES, gamma(1.8)),
        profile(SRGB_PRIMARIES, gamma(2.2)),
        profile(SRGB_PRIMARIES, b"curv\0\0\0\0" + bytes(4)),
        profile(SRGB_PRIMARIES, parametric(0, 2.2)),
        profile(SRGB_PRIMARIES, parametric(4, *SRGB_CURVE, 0, 0)),
        profile(SRGB_PRIMARIES, b"what" + bytes(12)),
        profile(SRGB_PRIMARIES, sampled(1024), space=b"CMYK"),
        profile(SRGB_PRIMARIES, sampled(1024), extra=((b"A2B0", bytes(32)),)),
    ],
)
def test_other_profiles_are_not_srgb(found):
    """Other primaries, curves, tables, spaces and invalid data are not sRGB."""
    assert not profiles.is_srgb(found)


def test_adobe_rgb_is_converted():
    """A picture in Adobe RGB is what littleCMS gives, and more saturated than its numbers."""
    image = textured(200, 150)
    adobe = profile(ADOBE, gamma(563 / 256))
    found = shown(saved(image, "PNG", icc_profile=adobe), width=200, height=150)
    source, target = ImageCms.ImageCmsProfile(BytesIO(adobe)), ImageCms.createProfile("sRGB")
    assert difference(found, ImageCms.profileToProfile(image, source, target)) < 0.5
    assert difference(found, image) > 5


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_an_unsuitable_profile_is_ignored(mode):
    """An RGB profile on a gray picture, or a broken one on any, changes nothing."""
    image = textured(40, 30).convert(mode)
    adobe = profile(ADOBE, gamma(2.2))
    wrong = adobe if mode != "RGBA" else adobe[:200]
    plain = to_srgb(image, None)
    assert to_srgb(image, wrong).tobytes() == plain.tobytes()
    assert plain.mode == ("RGB" if mode == "L" else "RGBA")


def test_gray_with_alpha_is_converted():
    """Gray with a profile becomes lighter or darker as the profile says, with the same alpha."""
    gray = profile((), b"", space=b"GRAY", extra=((b"kTRC", gamma(1.0)),))
    image = textured(40, 30).convert("LA")
    image.putalpha(Image.linear_gradient("L").resize((40, 30)))
    found = to_srgb(ours(image), gray)
    assert found.mode == "RGBA"
    assert found.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    middle, made = image.getchannel("L").tobytes()[100], found.getchannel("R").tobytes()[100]
    assert made > middle + 20  # linear light, in the curve of sRGB, has larger numbers


def test_a_converted_picture_keeps_its_alpha():
    """Colors of a transparent picture are converted, its alpha is not."""
    image = textured(40, 30)
    image.putalpha(Image.linear_gradient("L").resize((40, 30)))
    found = to_srgb(image, profile(ADOBE, gamma(2.2)))
    assert found.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    assert found.convert("RGB").tobytes() != image.convert("RGB").tobytes()


def test_lab_becomes_rgb():
    """Lab is converted close to its original colors."""
    image = ImageOps.posterize(textured(64, 48), 3)
    assert difference(shown(saved(lab(image), "TIFF")), image) < 3


@pytest.mark.parametrize(
    ("inks", "rgb"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 255, 255, 255), (0, 0, 0)),
        ((255, 0, 0, 0), (0, 158, 224)),  # what printers call these inks is no pure color of a screen
        ((0, 255, 0, 0), (230, 0, 126)),
        ((0, 0, 255, 0), (255, 237, 0)),
        ((0, 255, 255, 0), (227, 30, 36)),
        ((255, 0, 255, 0), (0, 150, 64)),
        ((255, 255, 0, 0), (49, 39, 131)),
        ((0, 0, 0, 255), (29, 29, 27)),
        ((0, 0, 0, 128), (157, 157, 156)),
    ],
)
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile_looks_printed(kind, inks, rgb):
    """White is white and black black; inks are within CIEDE2000 5 of Fogra's on coated paper."""
    options = {"quality": 100} if kind == "JPEG" else {}
    found = shown(saved(Image.new("CMYK", (32, 32), inks), kind, **options)).getpixel((16, 16))
    assert float(distance(np.array([[found]]), np.array([[rgb]])).max()) < 5
    assert (found in {(255, 255, 255), (0, 0, 0)}) == (len(set(inks)) == 1)


def distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return CIEDE2000 between two sRGB pictures of 8 bits."""
    return deltaE_ciede2000(rgb2lab(left / 255), rgb2lab(right / 255))


def test_the_table_of_cmyk_is_fine_enough(monkeypatch):
    """Twice as many nodes change no color by more than CIEDE2000 3, and by 0.5 in the mean."""
    inks = np.random.default_rng(3).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    image = Image.fromarray(inks, "CMYK")
    coarse = np.asarray(color.convert_colors(image, color.interpret_color(None, "CMYK").to_srgb))
    monkeypatch.setattr(profiles, "NODES", 17)
    profiles.cmyk_profile.cache_clear()
    fine = np.asarray(color.convert_colors(image, color.interpret_color(profiles.cmyk_profile(), "CMYK").to_srgb))
    profiles.cmyk_profile.cache_clear()
    found = distance(coarse, fine)
    assert found.max() < 3
    assert found.mean() < 0.5


def lab(image: Image.Image) -> Image.Image:
    """Return the picture in Lab."""
    target = ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), target, outputMode="LAB")


@needs_corpus
@pytest.mark.parametrize("name", ["tea-gardens.display-p3.jpg", "lake-sherburne.cmyk.jpg", "canyon-wren.jpg"])
def test_conversion_may_follow_the_reduction(name):
    """Conversion after the reduction gives the colors of conversion before it."""
    data = next(path for path in photos() if path.name == name).read_bytes()
    image = Image.open(BytesIO(data))
    source, srgb = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"])), ImageCms.createProfile("sRGB")
    image.draft(image.mode, (image.width // 4, image.height // 4))
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    whole = ImageCms.profileToProfile(image, source, srgb, intent, "RGB", flags=flags)
    found = shown(data, width=256, height=256)
    expected = whole.resize(found.size, Image.Resampling.LANCZOS)
    assert difference(found, expected) < 2
    assert found.info == {}


# Primaries of Display P3, adapted to D50: from its white point and chromaticities (SMPTE RP 431-2, D65), by Bradford.
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def exactly(levels: np.ndarray, primaries, curve) -> np.ndarray:
    """Return sRGB 0 to 1 of RGB levels 0 to 1 in another space: relative colorimetric, in floating point."""
    light = curve(levels) @ np.array(primaries) @ np.linalg.inv(np.array(SRGB_PRIMARIES))
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_light(levels: np.ndarray) -> np.ndarray:
    """Return the linear light of sRGB's curve, which Display P3 shares."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


SPACES = {
    "Display P3": (profile(DISPLAY_P3, parametric(3, *SRGB_CURVE)), DISPLAY_P3, srgb_light),
    "Adobe RGB": (profile(ADOBE, gamma(563 / 256)), ADOBE, lambda levels: levels ** (563 / 256)),
    "linear": (profile(SRGB_PRIMARIES, b"curv\0\0\0\0" + bytes(4)), SRGB_PRIMARIES, lambda levels: levels),
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_patches_have_the_colors_of_an_exact_conversion(kind, space):
    """For 729 patches, the mean distance to floating point is at most CIEDE2000 1, and the worst 3."""
    found_profile, primaries, curve = SPACES[space]
    levels = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round()] * 3, indexing="ij"), -1).reshape(27, 27, 3)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = saved(Image.fromarray(levels.astype(np.uint8)), kind, icc_profile=found_profile, **options)
    found = np.asarray(shown(data))
    distances = deltaE_ciede2000(rgb2lab(found / 255), rgb2lab(exactly(levels / 255, primaries, curve)))
    assert distances.mean() <= 1
    assert distances.max() <= 3


def test_a_cmyk_profile_is_applied():
    """A picture with the profile of printing looks like one without a profile."""
    inks = Image.fromarray(np.random.default_rng(5).integers(0, 256, (32, 32, 4), dtype=np.uint8), "CMYK")
    with_profile = shown(saved(inks, "TIFF", icc_profile=profiles.cmyk_profile()))
    assert with_profile.tobytes() == shown(saved(inks, "TIFF")).tobytes()


def rendered(data: bytes, **fields):
    """Return the one rendition of a file, opened, with its color information."""
    (made,) = render(data, recipe(**fields))
    return Image.open(BytesIO(made.data))


@pytest.mark.parametrize("kind", list(Format))
def test_an_rgb_picture_keeps_its_color_space(kind):
    """With `color = "keep"`, it has the source's numbers and profile; otherwise those of sRGB and no profile."""
    adobe = profile(ADOBE, gamma(563 / 256))
    image = textured(64, 48)
    data = saved(image, "PNG", icc_profile=adobe)
    kept, converted = rendered(data, color=Color.KEEP, formats=(kind,)), rendered(data, formats=(kind,))
    assert kept.info["icc_profile"] == adobe
    assert "icc_profile" not in converted.info
    assert difference(kept.convert("RGB"), image) < 3
    assert difference(converted.convert("RGB"), image) > 5


@pytest.mark.parametrize("mode", ["L", "CMYK", "LAB", "RGB"])
def test_other_spaces_than_rgb_become_srgb(mode):
    """Gray, CMYK and Lab are converted to sRGB, and sRGB needs no profile."""
    gray = profile((), b"", space=b"GRAY", extra=((b"kTRC", gamma(1.8)),))
    found = {"L": gray, "CMYK": profiles.cmyk_profile(), "LAB": None, "RGB": SRGB}[mode]
    image = lab(textured(64, 48)) if mode == "LAB" else textured(64, 48).convert(mode)
    data = saved(image, "TIFF", icc_profile=found)
    kept = rendered(data, color=Color.KEEP)
    assert "icc_profile" not in kept.info
    assert kept.tobytes() == rendered(data).tobytes()


@needs_corpus
def test_kept_and_converted_pictures_are_independent():
    """A recipe with both gives each the same bytes as alone, also with clipped colors."""
    data = next(path for path in photos() if path.name == "tea-gardens.display-p3.jpg").read_bytes()
    sides = {"width": 128, "height": 128, "formats": (Format.PNG,)}
    one, other = Variant(name="a", **sides), Variant(name="b", color=Color.KEEP, **sides)
    both = render(data, Recipe(variants=(one, other)))
    alone = [render(data, Recipe(variants=(each,)))[0] for each in (one, other)]
    assert [each.data for each in both] == [each.data for each in alone]
    assert both[0].data != both[1].data


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (b"not a profile at all" * 20, "broken"),
        (SRGB[:300], "broken"),
        (profile((), b"", space=b"GRAY", extra=((b"kTRC", gamma(1.8)),)), "for GRAY"),
        (SRGB, None),
        (None, None),
    ],
)
def test_an_ignored_profile_is_noted(found, words):
    """A broken profile is ignored, and a note says so."""
    data = saved(textured(64, 48), "PNG", icc_profile=found)
    reader = BytesReader(data)
    made = make_renditions(check_source(Job(reader=reader, recipe=recipe())))
    assert difference(Image.open(BytesIO(made.renditions[0].data)), textured(64, 48)) == 0
    assert bool(made.notes) == bool(words)
    assert all(words in note for note in made.notes)
