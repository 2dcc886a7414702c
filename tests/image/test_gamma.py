"""Gamma and chromaticities of a PNG are applied as in browsers."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.containers.files import chunk
from tests.image.pictures import difference, recipe, saved, shown, textured
from tests.image.test_colors import DISPLAY_P3, SRGB_CURVE, parametric, profile
from thumbsmith.image import transfer
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.model import Color

PICTURE = textured(96, 64)
SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
INTENT = chunk(b"sRGB", b"\0")


def gama(value: int) -> bytes:
    """Return a gAMA chunk."""
    return chunk(b"gAMA", struct.pack(">I", value))


def chrm(*values: float) -> bytes:
    """Return a cHRM chunk."""
    return chunk(b"cHRM", struct.pack(">8I", *(round(each * 100_000) for each in values)))


def png(*chunks: bytes, image: Image.Image = PICTURE, **options) -> bytes:
    """Return a PNG with these chunks after its header."""
    data = saved(image, "PNG", **options)
    return data[:33] + b"".join(chunks) + data[33:]


def in_srgb(levels: np.ndarray, exponent: float) -> np.ndarray:
    """Return levels of light to the power of 1 / `exponent` as levels of sRGB (IEC 61966-2-1)."""
    light = (levels / 255.0) ** exponent
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("value", [30_000, 40_000, 50_000, 55_556, 100_000, 180_000])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P"])
def test_a_gamma_is_applied(value: int, mode: str):
    """The levels of a picture are converted to those of sRGB, for each color type."""
    data = png(gama(value), image=PICTURE.convert(mode))
    plain = np.asarray(shown(png(image=PICTURE.convert(mode)), width=96, height=96).convert("RGB"), float)
    found = np.asarray(shown(data, width=96, height=96).convert("RGB"), float)
    assert np.abs(found - in_srgb(plain, 100_000 / value)).mean() < 1


def test_a_gamma_of_deep_gray_is_applied():
    """The levels of 16 bit gray are converted too."""
    deep = Image.fromarray(np.asarray(PICTURE.convert("L"), np.uint16) * 257)
    plain = np.asarray(shown(png(image=deep), width=96, height=96).convert("L"), float)
    found = np.asarray(shown(png(gama(100_000), image=deep), width=96, height=96).convert("L"), float)
    assert np.abs(found - in_srgb(plain, 1.0)).mean() < 1


@pytest.mark.parametrize(
    "chunks",
    [
        (gama(45_455),),
        (gama(44_000),),
        (gama(47_000),),
        (gama(0),),
        (chrm(*P3),),  # without a gamma
        (gama(55_556), chrm(*[0] * 8)),
        (gama(55_556), chrm(0.3127, 0.329, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)),
        (gama(55_556), chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.9, 0.15, 0.06)),
        (gama(100_000), INTENT),
        (INTENT, gama(100_000), chrm(*P3)),
        (gama(100_000)[:-4] + b"dead",),
        (chunk(b"gAMA", b"\0\1"),),
        (chunk(b"gAMA", struct.pack(">II", 100_000, 1)),),
        (chunk(b"cICP", bytes((1, 13, 0, 1))), gama(100_000)),
    ],
)
def test_an_irrelevant_gamma_changes_nothing(chunks: tuple[bytes, ...]):
    """A gamma is ignored if it is that of sRGB, impossible or overruled, as in Chromium."""
    assert shown(png(*chunks)).tobytes() == shown(png()).tobytes()


@pytest.mark.parametrize(
    "chunks",
    [
        (gama(100_000), gama(45_455)),  # the first counts
        (chunk(b"sRGB", b"\5"), gama(100_000)),  # no intent
        (chunk(b"cICP", bytes((2, 2, 0, 1))), gama(100_000)),  # unspecified
        (chunk(b"iCCP", b"x\0\0" + zlib.compress(b"nonsense" * 30)), gama(100_000)),
        (chunk(b"iCCP", b"x\0\0broken"), gama(100_000)),
    ],
)
def test_chunks_without_information_do_not_overrule(chunks: tuple[bytes, ...]):
    """Chunks without information do not overrule a gamma."""
    assert difference(shown(png(*chunks)), shown(png(gama(100_000)))) == 0
    assert difference(shown(png(*chunks)), shown(png())) > 10


def test_a_profile_comes_first():
    """A gamma is ignored beside a valid profile."""
    wide = profile(DISPLAY_P3, parametric(3, *SRGB_CURVE))
    found = shown(png(gama(100_000), icc_profile=wide))
    assert difference(found, shown(png(icc_profile=wide))) == 0


def test_chromaticities_are_applied():
    """Chromaticities of Display P3 with a gamma of 2.2 give what an equal profile gives."""
    exponent = 100_000 / 45_455
    wanted = shown(png(icc_profile=profile(DISPLAY_P3, parametric(0, exponent))))
    found = shown(png(gama(45_455), chrm(*P3)))
    assert difference(found, wanted) < 1
    assert difference(found, shown(png())) > 1
    assert difference(shown(png(gama(55_556), chrm(*SRGB))), shown(png(gama(55_556)))) < 1


def test_kept_colors_have_a_profile():
    """With `color = "keep"`, the levels stay and get a profile; gray is converted to sRGB."""
    data = png(gama(100_000))
    (made,) = render(data, recipe(color=Color.KEEP, width=96, height=96))
    kept = shown(data, color=Color.KEEP, width=96, height=96)
    assert difference(kept.convert("RGB"), PICTURE) < 1
    assert kept.info["icc_profile"]
    assert b"gAMA" not in made.data
    gray = shown(png(gama(100_000), image=PICTURE.convert("L")), color=Color.KEEP)
    assert "icc_profile" not in gray.info


def test_a_file_with_a_gamma_is_not_a_rendition():
    """A rendition in the source's own format has no gamma, and the pixels as seen."""
    for value in (45_455, 100_000):
        data = png(gama(value))
        (made,) = render(data, recipe(width=96, height=96, formats=("source",)))
        assert b"gAMA" not in made.data
        assert difference(shown(made.data, width=96, height=96), shown(data, width=96, height=96)) == 0


def test_a_gamma_of_a_large_picture_is_applied(streamed: list[bool]):
    """A large picture that libvips reduces is converted too."""
    large = textured(800, 600)
    found, plain = shown(png(gama(55_556), image=large)), shown(png(image=large))
    assert streamed == [True, True]
    wanted = in_srgb(np.asarray(plain, float), 1.8)
    assert np.abs(np.asarray(found, float) - wanted).mean() < 1.5


def test_impossible_numbers_give_no_profile():
    """No number causes an error."""
    for value in (1, 2**31 - 1, 2**32 - 1):
        assert transfer.gamma_profile(value, "", False)
        assert render(png(gama(value)), recipe())
    for points in ("00" * 32, "ff" * 32, "7f" * 32):
        assert transfer.gamma_profile(45_455, points, False) is None
    assert probe(BytesReader(png(gama(7), chrm(*P3)))).gamma == 7
