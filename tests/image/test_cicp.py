"""Colors that are given by code points look like those of an equal profile."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.image.pictures import difference, recipe, saved, shown, textured
from tests.image.test_colors import ADOBE, DISPLAY_P3, SRGB_CURVE, gamma, parametric, profile
from thumbsmith.image import profiles, transfer
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.image.transfer import cicp_profile
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.model import Color

P3, BT_2020, DCI = 12, 9, 11
SRGB_TRANSFER, LINEAR, PQ = 13, 8, 16
HEIC = (Path(__file__).parent / "heic" / "tiles.heic").read_bytes()
AFTER_HEADER = 33

# ITU-T H.273, table 2: x and y of red, green and blue, and of white.
D65, DCI_WHITE = (0.3127, 0.3290), (0.314, 0.351)
CHROMATICITIES = {
    1: (((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), D65),
    BT_2020: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    DCI: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), DCI_WHITE),
    P3: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
}
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def xyz(x: float, y: float) -> np.ndarray:
    """Return a chromaticity as X, Y, Z with a Y of 1."""
    return np.array([x / y, 1, (1 - x - y) / y])


def png(image: Image.Image, primaries: int, transfer: int, **options) -> bytes:
    """Return a PNG with its color space in cICP."""
    data = saved(image, "PNG", **options)
    chunk = b"cICP" + bytes([primaries, transfer, 0, 1])
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:AFTER_HEADER] + chunk + data[AFTER_HEADER:]


def told(data: bytes, primaries: int, transfer: int) -> bytes:
    """Return an AVIF or HEIC with other code points in its nclx."""
    place = data.index(b"nclx")
    return data.replace(data[place : place + 8], b"nclx" + struct.pack(">HH", primaries, transfer))


@pytest.mark.parametrize("primaries", CHROMATICITIES)
def test_primaries_are_those_of_the_table(primaries):
    """The primaries are the chromaticities of H.273, adapted from their white to D50."""
    colors, white = CHROMATICITIES[primaries]
    columns = np.array([xyz(*each) for each in colors]).T
    columns = columns * np.linalg.solve(columns, xyz(*white))
    gain = np.diag((BRADFORD @ profiles.D50) / (BRADFORD @ xyz(*white)))
    adapted = np.linalg.inv(BRADFORD) @ gain @ BRADFORD @ columns
    assert np.abs(adapted.T - transfer.PRIMARIES[primaries]).max() < 0.0001


def test_code_points_look_like_an_equal_profile():
    """Code points and an equal profile give the same colors, which are not those of sRGB."""
    image, p3 = textured(64, 48), profile(DISPLAY_P3, parametric(3, *SRGB_CURVE))
    plain = saved(image, "AVIF", quality=95)
    found = shown(told(plain, P3, SRGB_TRANSFER), width=64, height=48)
    assert difference(found, shown(saved(image, "AVIF", quality=95, icc_profile=p3), width=64, height=48)) < 0.5
    assert difference(found, shown(plain, width=64, height=48)) > 3


def test_a_heic_in_display_p3_is_converted():
    """A HEIC of a phone without a profile keeps its saturation."""
    plain = shown(told(HEIC, 1, SRGB_TRANSFER), width=96, height=96).convert("HSV")
    found = shown(told(HEIC, P3, SRGB_TRANSFER), width=96, height=96).convert("HSV")
    assert np.mean(np.asarray(found)[..., 1]) > np.mean(np.asarray(plain)[..., 1]) + 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_code_points_of_a_png_come_before_its_profile(mode):
    """Code points of a PNG come before its profile, in both directions."""
    image, p3 = textured(64, 48).convert(mode), profile(DISPLAY_P3, parametric(3, *SRGB_CURVE))
    wanted = shown(saved(image, "PNG", icc_profile=p3), width=64, height=48)
    adobe = profile(ADOBE, gamma(2.2))
    assert difference(shown(png(image, P3, SRGB_TRANSFER, icc_profile=adobe), width=64, height=48), wanted) < 0.5
    assert (
        difference(
            shown(png(image, 1, SRGB_TRANSFER, icc_profile=adobe), width=64, height=48).convert("RGB"),
            image.convert("RGB"),
        )
        < 0.5
    )


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 1), (2, 2), (6, 6), (1, 13), (255, 255), (0, 0)])
def test_srgb_and_unknown_code_points_change_nothing(primaries, transfer):
    """Colors of television and unknown code points are not converted."""
    assert cicp_profile(primaries, transfer) is None
    image = textured(64, 48)
    assert difference(shown(png(image, primaries, transfer), width=64, height=48), image) == 0


def test_linear_light_becomes_brighter():
    """Linear light is converted to the curve of sRGB."""
    image = Image.new("RGB", (40, 40), (55, 55, 55))
    assert shown(png(image, 1, LINEAR), width=40, height=40).getpixel((20, 20)) == pytest.approx((128,) * 3, abs=1)


def test_gray_ignores_code_points_for_rgb():
    """A gray picture ignores code points for RGB, and no note is written."""
    image = textured(64, 48).convert("L")
    found = shown(png(image, P3, SRGB_TRANSFER), width=64, height=48)
    assert difference(found.convert("L"), image) == 0


def test_a_file_with_code_points_is_never_a_rendition():
    """The file of a source with code points is not used as a rendition, however small it is."""
    image = Image.new("RGB", (30, 20), (200, 40, 40))
    small = recipe(width=30, height=20)
    kept = render(png(image, P3, SRGB_TRANSFER), small)[0].data
    assert kept != render(saved(image, "PNG"), small)[0].data
    keeping = recipe(width=30, height=20, color=Color.KEEP)
    assert b"iCCP" in render(png(image, P3, SRGB_TRANSFER), keeping)[0].data


def test_the_probe_has_the_code_points():
    """The probe reads the code points, also those of an animation."""
    still, moving = saved(textured(16, 16), "AVIF"), textured(16, 16)
    animated = saved(moving, "AVIF", save_all=True, append_images=[textured(16, 16).rotate(90)])
    assert probe(BytesReader(told(still, BT_2020, PQ))).transfer == PQ
    assert probe(BytesReader(told(animated, P3, SRGB_TRANSFER))).primaries == P3
