"""What libvips makes smaller is what Lanczos makes of it."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.render.pictures import textured
from thumbsmith.formats import vips
from thumbsmith.formats.resampling import FEWEST, lanczos

LANCZOS = Image.Resampling.LANCZOS


def _levels_off(found: Image.Image, wanted: Image.Image) -> np.ndarray:
    assert (found.mode, found.size) == (wanted.mode, wanted.size)
    return np.abs(np.asarray(found, int) - np.asarray(wanted, int))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(512, 341), (300, 300), (100, 480), (767, 65), (768, 300)])
def test_a_picture_is_within_a_few_levels_of_exact_lanczos(mode: str, size: tuple[int, int]):
    """Whatever both sides are divided by, whole or not, no level is more than 4 off, and the mean less than one."""
    image = textured(768, 512).convert(mode)
    off = _levels_off(lanczos(image, size, (0, 0, 768, 512)), image.resize(size, LANCZOS))
    assert off.max() <= 4
    assert off.mean() < 1


def test_a_large_picture_is_averaged_first():
    """A picture that is made twenty times smaller is what Pillow makes with the same gap, to a few levels."""
    image = textured(4000, 3000)
    found = lanczos(image, (200, 150), (0, 0, 4000, 3000), 3.0)
    assert _levels_off(found, image.resize((200, 150), LANCZOS, reducing_gap=3.0)).max() <= 4


@pytest.mark.parametrize(
    ("width", "size", "box"),
    [
        (600, (300, 200), (0.0, 0.0, 599.5, 400.0)),
        (600, (300, 200), (1.0, 0.0, 600.0, 400.0)),
        (600, (900, 200), (0.0, 0.0, 600.0, 400.0)),
        (100, (50, 200), (0.0, 0.0, 100.0, 400.0)),
        (600, (600, 400), (0.0, 0.0, 600.0, 400.0)),
        (600, (300, 1), (0.0, 0.0, 600.0, 400.0)),
    ],
)
def test_what_libvips_cannot_do_pillow_does(width: int, size: tuple[int, int], box: tuple[float, float, float, float]):
    """A part of a picture, one that is enlarged, one that is small, one that stays as it is, and a line are exact."""
    image = textured(width, 400)
    assert not _levels_off(lanczos(image, size, box), image.resize(size, LANCZOS, box)).any()


def test_the_same_picture_gives_the_same_pixels():
    """Again and again, and from its memory alone."""
    image = textured(1200, 800)
    assert len({lanczos(image.copy(), (500, 333), (0, 0, 1200, 800)).tobytes() for _ in range(5)}) == 1


THREADS = """
import io, sys
from pathlib import Path
from PIL import Image
from thumbsmith.recipe import Recipe
from thumbsmith.render import render
recipe = Recipe.loads('[variants.a]\\nwidth=200\\nformats=["jpeg"]')
for kind, options in (("jpeg", {}), ("png", {}), ("tiff", {"compression": "tiff_adobe_deflate"})):
    stream = io.BytesIO()
    Image.effect_noise((1600, 1200), 80).convert("RGB").save(stream, kind, **options)
    render(stream.getvalue(), recipe)
print("_libvips" in sys.modules, len(list(Path("/proc/self/task").iterdir())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel by Linux's /proc")
def test_a_process_that_made_pictures_can_be_forked():
    """Decoding and resizing leave no thread behind, which a fork would lose, and with it what the thread held."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "1"]


def test_few_pixels_are_not_handed_over(monkeypatch: pytest.MonkeyPatch):
    """Below the least that pays libvips is not asked."""
    monkeypatch.setattr(vips.Picture, "of", None)
    side = int(FEWEST**0.5) - 1
    assert lanczos(textured(side, side), (50, 50), (0, 0, side, side)).size == (50, 50)


def test_what_libvips_refuses_is_an_error_of_ours():
    """An operation that there is not, and one whose arguments are wrong, say what is wrong."""
    picture = vips.Picture.of(bytes(12), 2, 2, 3)
    with pytest.raises(vips.VipsError, match="nonsense"):
        picture.run("nonsense")
    with pytest.raises(vips.VipsError, match="wrong"):
        picture.run("reduce", wrong=1)
    with pytest.raises(vips.VipsError, match="hshrink"):
        picture.run("reduce", vshrink=2)
