"""libvips reduces pictures to what Lanczos gives."""

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import booleans, floats, tuples
from PIL import Image

from tests.image.pictures import textured
from thumbsmith.image import vips
from thumbsmith.image.lanczos import MIN_PIXELS, _reduction, lanczos

LANCZOS = Image.Resampling.LANCZOS


def _levels_off(found: Image.Image, wanted: Image.Image) -> np.ndarray:
    assert (found.mode, found.size) == (wanted.mode, wanted.size)
    return np.abs(np.asarray(found, int) - np.asarray(wanted, int))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(512, 341), (300, 300), (100, 480), (767, 65), (768, 300)])
def test_a_picture_is_within_a_few_levels_of_exact_lanczos(mode: str, size: tuple[int, int]):
    """For any reduction, whole or not, no level is more than 4 off, and the mean less than 1."""
    image = textured(768, 512).convert(mode)
    off = _levels_off(lanczos(image, size, (0, 0, 768, 512)), image.resize(size, LANCZOS))
    assert off.max() <= 4
    assert off.mean() < 1


@given(
    shrinks=tuples(floats(1.02, 5.9), floats(1.02, 5.9)),
    lengths=tuples(floats(300, 700), floats(300, 500)),
    place=tuples(floats(0, 1), floats(0, 1)),
    whole=booleans(),
)
def test_a_part_has_the_position_of_exact_lanczos(shrinks, lengths, place, whole):
    """For any part, also between pixels, no level is more than 5 off, and the mean less than 1."""
    image = textured(768, 512)
    size = (max(1, round(lengths[0] / shrinks[0])), max(1, round(lengths[1] / shrinks[1])))
    left, top = ((held - length) * at for held, length, at in zip(image.size, lengths, place, strict=True))
    box = (left, top, left + lengths[0], top + lengths[1])
    box = tuple(map(round, box)) if whole else box
    off = _levels_off(lanczos(image, size, box), image.resize(size, LANCZOS, box))
    assert off.max() <= 5
    assert off.mean() < 1


def test_libvips_handles_most_parts():
    """Of boxes in eighths of a pixel, as with JPEGs and crops, libvips handles nine of ten."""
    image, chance = textured(1600, 1200), random.Random(7)
    found = []
    for _ in range(200):
        left, top, right, bottom = (chance.randrange(8 * each) / 8 for each in (100, 100, 100, 100))
        box = (left, top, 1600 - right, 1200 - bottom)
        size = (chance.randrange(300, 1300), chance.randrange(250, 900))
        found.append(_reduction(image, size, box, 3.0) is not None)
    assert sum(found) >= 180


def test_a_large_picture_is_averaged_first():
    """A reduction by twenty gives what Pillow gives with the same gap, within a few levels."""
    image = textured(4000, 3000)
    off = _levels_off(
        lanczos(image, (200, 150), (0, 0, 4000, 3000), 3.0), image.resize((200, 150), LANCZOS, reducing_gap=3.0)
    )
    assert off.max() <= 10  # 9 with whole pixels too: what is averaged has harder edges than what is not
    assert off.mean() < 1


@pytest.mark.parametrize(
    ("width", "size", "box"),
    [
        (600, (300, 200), (0.5, 0.0, 300.5, 400.0)),
        (600, (250, 170), (0.3, 0.3, 250.4, 399.7)),
        (600, (900, 200), (0.0, 0.0, 600.0, 400.0)),
        (100, (50, 200), (0.0, 0.0, 100.0, 400.0)),
        (600, (600, 400), (0.0, 0.0, 600.0, 400.0)),
        (600, (300, 1), (0.0, 0.0, 600.0, 400.0)),
    ],
)
def test_pillow_handles_what_libvips_cannot(width: int, size: tuple[int, int], box: tuple[float, float, float, float]):
    """Half a pixel's shift, an enlargement, a small picture, an unchanged one and a line are exact."""
    image = textured(width, 400)
    assert not _levels_off(lanczos(image, size, box), image.resize(size, LANCZOS, box)).any()


def test_the_same_picture_gives_the_same_pixels():
    """The same picture gives the same pixels, again and in a different place of memory."""
    image = textured(1200, 800)
    assert len({lanczos(image.copy(), (500, 333), (0, 0, 1200, 800)).tobytes() for _ in range(5)}) == 1


THREADS = """
import io, sys
from pathlib import Path
from PIL import Image
from thumbsmith.recipe import Recipe
from thumbsmith.image.render import render
recipe = Recipe.loads('[variants.a]\\nwidth=200\\nformats=["jpeg"]')
for size in ((1600, 1200), (1601, 1203)):
    stream = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(stream, "jpeg")
    render(stream.getvalue(), recipe)
print("_libvips" in sys.modules, len(list(Path("/proc/self/task").iterdir())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel by Linux's /proc")
def test_a_process_can_be_forked_after_a_resize():
    """A resize leaves no thread behind, which a fork would lose together with its locks."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["True", "1"]


def test_pillow_handles_small_pictures(monkeypatch: pytest.MonkeyPatch):
    """A picture with fewer pixels than pay off does not go to libvips."""
    monkeypatch.setattr(vips.Picture, "from_pixels", None)
    side = int(MIN_PIXELS**0.5) - 1
    assert lanczos(textured(side, side), (50, 50), (0, 0, side, side)).size == (50, 50)


def test_a_failed_operation_raises_vips_error():
    """An unknown operation and wrong arguments raise VipsError, which says what is wrong."""
    picture = vips.Picture.from_pixels(bytes(12), 2, 2, 3)
    with pytest.raises(vips.VipsError, match="nonsense"):
        picture.run("nonsense")
    with pytest.raises(vips.VipsError, match="wrong"):
        picture.run("reduce", wrong=1)
    with pytest.raises(vips.VipsError, match="hshrink"):
        picture.run("reduce", vshrink=2)
