"""`max_output_bytes`: files with a limit on their size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus import needs_corpus, photos
from tests.image.pictures import saved, textured
from thumbsmith.image.encode import MAX_SIZE_ENCODES, MIN_SIZE_QUALITY, quality_for_size
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Quality, Recipe, Variant

SOURCE = saved(textured(640, 480), "JPEG", quality=95)


def _bytes(kind: str, most: int | None, quality: int = 80, source: bytes = SOURCE) -> int:
    variant = Variant(
        name="v",
        width=400,
        formats=(Format(kind),),
        quality=Quality(jpeg=quality, webp=quality, avif=quality),
        max_output_bytes=most,
    )
    (made,) = render(source, Recipe(variants=(variant,)))
    return len(made.data)


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_a_file_fits_its_limit(kind: str):
    """A file that would be larger fits, and nearly fills the limit; a file that fits stays unchanged."""
    free, least = _bytes(kind, None), _bytes(kind, None, quality=MIN_SIZE_QUALITY)
    for share in (0.9, 0.5, 0.2):
        most = int(least + share * (free - least))
        assert 0.8 * most < _bytes(kind, most) <= most
    assert _bytes(kind, free) == free


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_a_file_that_cannot_fit_has_the_lowest_quality(kind: str):
    """A picture that is too large at the lowest quality has that quality, and never more than the wanted one."""
    assert _bytes(kind, 10) == _bytes(kind, None, quality=MIN_SIZE_QUALITY)
    assert _bytes(kind, 10, quality=3) == _bytes(kind, None, quality=3)


def test_png_ignores_the_limit():
    """A PNG has no quality to lower."""
    assert _bytes("png", 10) == _bytes("png", None)


@given(st.integers(1, 100), st.integers(1, 200_000), st.floats(5, 60), st.floats(0.8, 1.2))
def test_few_encodings_find_a_file_that_fits(wanted: int, most: int, halving: float, bend: float):
    """For any sizes, at most five files are encoded, and one that fits is found if the lowest quality fits."""
    sizes = {q: int(min(100_000 * 2 ** ((q**bend - 80) / halving), 1e6 + q)) + 1 for q in range(1, 101)}
    qualities: list[int] = []

    def write(quality: int) -> bytes:
        qualities.append(quality)
        return bytes(sizes[quality])

    found = len(quality_for_size(most, write, wanted))
    assert len(qualities) == len(set(qualities)) <= MAX_SIZE_ENCODES
    assert max(qualities) == wanted
    lowest = min(MIN_SIZE_QUALITY, wanted)
    assert found <= most if sizes[lowest] <= most else found == sizes[lowest]


@needs_corpus
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_photographs_fill_their_limit(kind: str):
    """Photographs of 400 px fit into 12,000 bytes, and fill 85 % of it if they would be larger."""
    for photo in photos()[:8]:
        free, found = (_bytes(kind, most, source=photo.read_bytes()) for most in (None, 12_000))
        assert found == free if free <= 12_000 else 0.85 * 12_000 <= found <= 12_000, photo.name
