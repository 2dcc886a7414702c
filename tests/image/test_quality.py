"""Renditions are as good as those of the slow way: decode at full size, then Lanczos."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from skimage.metrics import structural_similarity

from tests.corpus import needs_corpus, photos
from tests.image.pictures import pixels, saved
from tests.native.building import needs_decoder
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Recipe, Variant

SIDES = (256, 1024)
RECIPE = Recipe(
    variants=tuple(Variant(name=f"v{side}", width=side, height=side, formats=(Format.PNG,)) for side in SIDES)
)


def whole(data: bytes) -> Image.Image:
    """Return the picture decoded at full size, oriented, and in sRGB."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    source, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.profileToProfile(image, source, srgb, intent, "RGB", flags=flags)


def similarities(data: bytes, reference: Image.Image, recipe: Recipe = RECIPE) -> list[float]:
    """Return the SSIM of each rendition to Lanczos alone."""
    found = []
    for rendition in render(data, recipe):
        image = pixels(rendition)
        expected = reference.resize(image.size, Image.Resampling.LANCZOS)
        found.append(float(structural_similarity(np.asarray(image), np.asarray(expected), channel_axis=2)))
    return found


@needs_corpus
def test_decoding_photos_small_loses_almost_nothing():
    """Over all photos, SSIM to the slow way is 0.997 or more in the mean, and 0.995 at worst."""
    files = [path.read_bytes() for path in photos() if path.suffix == ".jpg"]
    found = np.array([similarities(data, whole(data)) for data in files])
    assert found.mean(axis=0).min() >= 0.997
    assert found.min() >= 0.995


@needs_corpus
@pytest.mark.parametrize(
    "name", ["tea-gardens.jpg", "high-trestle-trail.jpg", "abstract-spiral.jpg", "lake-sherburne.cmyk.jpg"]
)
def test_a_small_thumbnail_alone_is_equally_good(name):
    """At 256 pixels alone, decoded at an eighth, photos stay above 0.995, with clipped colors and without."""
    data = next(path.read_bytes() for path in photos() if path.name == name)
    small = Recipe(variants=RECIPE.variants[:1])
    assert similarities(data, whole(data), small)[0] >= 0.995


@needs_corpus
@needs_decoder
def test_what_is_measured_is_equally_good():
    """The photographs of the first row of bench/speed.py, made by the native decoder, stay above 0.995."""
    files = [path.read_bytes() for path in photos() if path.suffix == ".jpg"]
    images = [Image.open(BytesIO(data)) for data in files]
    baseline = [
        data
        for data, image in zip(files, images, strict=True)
        if image.mode == "RGB" and image.width * image.height >= 7_500_000 and not image.info.get("progressive")
    ][:5]
    assert len(baseline) == 5
    for number, data in enumerate(baseline):
        job = Job(reader=BytesReader(data), recipe=Recipe(variants=RECIPE.variants[:1]), confined=True)
        made = pixels(make_renditions(check_source(job)).renditions[0])
        expected = whole(data).resize(made.size, Image.Resampling.LANCZOS)
        assert structural_similarity(np.asarray(made), np.asarray(expected), channel_axis=2) >= 0.995, number


@needs_corpus
def test_clipped_wide_colors_are_decoded_finely():
    """A photo in Display P3 with colors beyond sRGB stays above 0.994 at 256 pixels alone, not 0.987."""
    data = next(path.read_bytes() for path in photos() if path.name == "tea-gardens.display-p3.jpg")
    assert similarities(data, whole(data), Recipe(variants=RECIPE.variants[:1]))[0] >= 0.994


@needs_corpus
@pytest.mark.parametrize("name", ["roman-colosseum.jpg"])
def test_a_lossless_source_loses_less(name):
    """From a lossless file, 1024 and 256 pixels are within 0.998 of Lanczos alone."""
    reference = whole(next(path.read_bytes() for path in photos() if path.name == name))
    reference.info = {}
    assert min(similarities(saved(reference, "PNG", compress_level=1), reference)) >= 0.998
