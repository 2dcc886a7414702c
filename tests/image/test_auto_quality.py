"""`quality = "auto"`: the smallest file that is similar enough, in few encodings."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from tests.corpus import needs_corpus, photos
from tests.image.pictures import saved, textured
from thumbsmith.image.encode import (
    MAX_AUTO_QUALITY,
    MAX_SIMILARITY_ENCODES,
    MIN_AUTO_QUALITY,
    MIN_SIMILARITY,
    Moments,
    quality_for_similarity,
    similarity,
)
from thumbsmith.image.pillow import Image
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Quality, Recipe, Variant

NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8))
KINDS = [Format.JPEG, Format.WEBP, Format.AVIF]


def _own(image: object) -> Image.Image:
    """Return a picture as one of the Pillow that the package loads."""
    return Image.fromarray(np.asarray(image))


def _encoded(image: Image.Image, kind: Format, quality: object, **fields) -> bytes:
    variant = Variant(name="v", width=300, formats=(kind,), quality=Quality(**{kind.value: quality}), **fields)
    (made,) = render(saved(image, "PNG"), Recipe(variants=(variant,)))
    return made.data


def _likeness(image: Image.Image, data: bytes) -> float:
    return similarity(Moments.of(image), Moments.of(Image.open(BytesIO(data)).convert(image.mode)))


@pytest.mark.parametrize("kind", KINDS)
def test_smooth_pictures_get_a_lower_quality_than_rough_ones(kind: Format):
    """A smooth picture is smaller than at the default quality, and similar enough; a rough one is larger."""
    smooth = _own(textured(300, 200))
    easy, default = _encoded(smooth, kind, "auto"), _encoded(smooth, kind, getattr(Quality(), kind.value))
    assert len(easy) < len(default)
    assert _likeness(smooth, easy) >= MIN_SIMILARITY
    rough = Image.blend(NOISE, _own(textured(300, 200)), 0.5)
    hard, default = _encoded(rough, kind, "auto"), _encoded(rough, kind, 60)
    assert len(hard) > len(default)


def test_max_output_bytes_also_limits_auto():
    """A file that is similar enough but too large gets a lower quality, like any other."""
    free = len(_encoded(NOISE, Format.WEBP, "auto"))
    assert len(_encoded(NOISE, Format.WEBP, "auto", max_output_bytes=free * 4 // 5)) <= free * 4 // 5


def test_transparent_pictures_are_compared_as_seen():
    """A transparent picture is compared as seen on black."""
    clear = _own(textured(300, 200)).convert("RGBA")
    clear.putalpha(clear.getchannel("R"))
    assert _likeness(clear, _encoded(clear, Format.WEBP, "auto")) >= MIN_SIMILARITY


@given(st.integers(30, 95), st.floats(0.0001, 0.8), st.floats(5, 40), st.floats(-0.3, 0.3))
def test_at_most_three_encodings_are_tried(first: int, lost: float, halving: float, bend: float):
    """At most three qualities are tried, and a sufficient one is chosen if one was found."""
    tried: dict[int, float] = {}

    def likeness(quality: int) -> float:
        assert quality == first or MIN_AUTO_QUALITY <= quality <= MAX_AUTO_QUALITY
        curved = (quality - 70) * (1 + bend * (quality - 70) / 60)
        tried[quality] = 1 - min(lost * 2 ** (-curved / halving), 1.0)
        return tried[quality]

    chosen = quality_for_similarity(likeness, first)
    assert len(tried) <= MAX_SIMILARITY_ENCODES
    good = [quality for quality, found in tried.items() if found >= MIN_SIMILARITY]
    assert chosen == (min(good) if good else max(tried))


@pytest.mark.parametrize("quality", [20, 50, 80, 95])
@pytest.mark.parametrize("size", [(64, 48), (300, 200), (1500, 1100)])
def test_the_metric_is_close_to_ssim(size: tuple[int, int], quality: int):
    """The fast metric is within 0.02 of scikit-image's SSIM with the same windows at every place."""
    image = Image.blend(_own(textured(*size)), NOISE.resize(size), 0.2)
    data = saved(image, "JPEG", quality=quality)
    one, other = (np.asarray(each.convert("L"), dtype=float) for each in (image, Image.open(BytesIO(data))))
    expected = structural_similarity(one, other, win_size=7, data_range=255, use_sample_covariance=False)
    assert _likeness(image, data) == pytest.approx(expected, abs=0.02)
    assert similarity(Moments.of(image), Moments.of(image)) == pytest.approx(1, abs=1e-4)


@needs_corpus
@pytest.mark.parametrize("kind", KINDS[:2])
def test_photographs_reach_the_similarity(kind: Format):
    """Each of 10 photographs reaches the similarity, in a file at most a fifth above the smallest possible."""
    for photo in photos()[:10]:
        (made,) = render(photo.read_bytes(), Recipe.loads("[variants.v]\nwidth = 256\nformats = ['png']"))
        image = Image.open(BytesIO(made.data)).convert("RGB")
        found = _encoded(image, kind, "auto")
        assert _likeness(image, found) >= MIN_SIMILARITY, photo.name
        smallest = next(
            data
            for data in (_encoded(image, kind, q) for q in range(30, 96))
            if _likeness(image, data) >= MIN_SIMILARITY
        )
        assert len(found) <= 1.2 * len(smallest), photo.name
