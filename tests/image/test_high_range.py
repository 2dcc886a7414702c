"""Pictures in high dynamic range, PQ and HLG, become ordinary ones of the same hue."""

import base64
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from skimage.color import rgb2lab

from tests.image.pictures import difference, recipe, saved, shown, textured
from tests.image.test_cicp import BT_2020, P3, SRGB_TRANSFER, png, told
from tests.web.browser import chromium, needs_chromium
from thumbsmith.image import tone_mapping
from thumbsmith.image.color import interpret_color
from thumbsmith.image.pillow import Image as OurImage
from thumbsmith.image.render import render
from thumbsmith.image.tone_mapping import HLG, PQ, hlg_scene, pq_luminance, roll_off
from thumbsmith.image.transfer import cicp_profile
from thumbsmith.recipe import Format
from thumbsmith.recipe.model import Animation, Color

SRGB = 1
PATCH = 16

# Shares of the brightest channel: gray, and hues all around, pale and saturated.
HUES = (
    (1, 1, 1), (1, 0.5, 0.5), (1, 0.2, 0.2), (1, 0, 0), (1, 0.6, 0.2), (1, 1, 0.2), (0.2, 1, 0.2),
    (0.2, 1, 1), (0.2, 0.2, 1), (1, 0.2, 1), (0.6, 0.3, 1), (1, 0.8, 0.7),
)  # fmt: skip
LEVELS = [tuple(round(level * share) for share in hue) for level in (90, 120, 148, 170, 192, 220, 255) for hue in HUES]

# The function of a page that returns the pixels of a picture, as RGBA.
READ = """async url => {
    const image = new Image(); image.src = url; await image.decode()
    const canvas = document.createElement("canvas"); canvas.width = image.width; canvas.height = image.height
    const context = canvas.getContext("2d"); context.drawImage(image, 0, 0)
    return btoa(String.fromCharCode(...context.getImageData(0, 0, canvas.width, canvas.height).data))
}"""


def patches() -> Image.Image:
    """Return a picture with one patch for each of LEVELS, a row of 12 for each brightness."""
    picture = Image.new("RGB", (PATCH * len(HUES), PATCH * len(LEVELS) // len(HUES)))
    for number, level in enumerate(LEVELS):
        row, column = divmod(number, len(HUES))
        picture.paste(level, (column * PATCH, row * PATCH, (column + 1) * PATCH, (row + 1) * PATCH))
    return picture


def centers(pixels: np.ndarray) -> np.ndarray:
    """Return the color in the middle of each patch."""
    return pixels[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH, :3].reshape(-1, 3)


def avif(image: Image.Image, primaries: int, transfer: int, **options) -> bytes:
    """Return an AVIF with these code points."""
    return told(saved(image, "AVIF", quality=100, subsampling="4:4:4", **options), primaries, transfer)


def colors(data: bytes) -> np.ndarray:
    """Return the colors of the patches in a thumbnail of the size of the source."""
    size = patches().size
    return centers(np.asarray(shown(data, width=size[0], height=size[1]).convert("RGB")))


def hue_and_chroma(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hue in degrees, and chroma, in CIELAB of colors with their brightest channel at its maximum.

    CIELAB changes the hue of dark colors with their brightness.
    """
    light = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    light /= light.max(axis=1, keepdims=True)
    bright = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    _, across, up = rgb2lab(bright).T
    return np.degrees(np.arctan2(up, across)), np.hypot(across, up)


def turn(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the angle between hues, for the colors that are not almost gray."""
    (first, strong), (second, also) = hue_and_chroma(one), hue_and_chroma(other)
    between = np.abs((first - second + 180) % 360 - 180)
    return between[(strong > 12) & (also > 12)]


@needs_chromium
def test_hues_are_those_of_a_browser():
    """Chromium shows the same hues for PQ and HLG in PNG and AVIF: within 7 degrees, and within 1 on average."""
    kinds = [
        (make, primaries, transfer)
        for make in (png, avif)
        for primaries in (BT_2020, P3, SRGB)
        for transfer in (PQ, HLG)
    ]
    size = patches().size
    with chromium() as browser:
        page = browser.new_page()
        for make, primaries, transfer in kinds:
            data = make(patches(), primaries, transfer)
            url = f"data:image/{make.__name__};base64,{base64.b64encode(data).decode()}"
            pixels = np.frombuffer(base64.b64decode(page.evaluate(READ, url)), np.uint8)
            angles = turn(colors(data), centers(pixels.reshape(size[1], size[0], 4)))
            assert len(angles) > 60
            assert angles.mean() < 1
            assert angles.max() < 7


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_light_keeps_its_hue(transfer: int):
    """A color that gets brighter has the same hue, as far as sRGB has it: red stays red, and magenta magenta."""
    shares = [(1, 0.6, 0.6), (1, 0.8, 0.6), (1, 0.7, 1), (0.7, 1, 1), (0.8, 0.8, 1)]
    factors = {PQ: (0.1, 0.5, 1, 5), HLG: (0.1, 0.5, 1)}[transfer]
    mapping = tone_mapping.tone_mapping(transfer)
    levels = np.arange(256) / 255
    light = np.array([pq_luminance(each) if transfer == PQ else 1000 * hlg_scene(each) for each in levels])
    for share in shares:
        nits = [np.array(share) * 200 * factor for factor in factors]
        row = [[np.abs(light - each).argmin() for each in color] for color in nits]
        made = np.asarray(mapping.apply(OurImage.fromarray(np.array([row], np.uint8))))[0]
        exact = np.array([light[each] for each in row])
        hues, expected = hue_and_chroma(made)[0], hue_and_chroma(255 * _srgb(exact / exact.max(axis=1)[:, None]))[0]
        assert np.abs((hues - expected + 180) % 360 - 180).max() < 4


def _srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_gray_is_mapped_to_a_display(transfer: int):
    """Black stays black, the brightest level becomes white, gray stays gray, and brighter is never darker."""
    ramp = Image.linear_gradient("L")
    for picture in (ramp, ramp.convert("RGB")):
        found = np.asarray(shown(png(picture, BT_2020, transfer), width=256, height=256).convert("RGB")).astype(int)
        column = found[:, 128]
        assert np.ptp(column, axis=1).max() <= 1
        assert (column[0].max(), column[-1].min()) == (0, 255)
        assert (np.diff(column[:, 0]) >= 0).all()


def test_light_within_the_range_of_a_display_stays():
    """40 cd/m2 are 40/203 of white, and 203 are almost white. The scene of HLG has a twelfth at its middle."""
    assert roll_off(40) == pytest.approx(40 / 203, rel=0.001)
    assert 0.7 < roll_off(203) < 0.9
    assert (roll_off(1000), roll_off(5000)) == (pytest.approx(1), pytest.approx(1))
    assert pq_luminance(0.5807) == pytest.approx(203, rel=0.01)
    assert hlg_scene(0.5) == pytest.approx(1 / 12)
    assert 1000 * hlg_scene(0.75) ** 1.2 == pytest.approx(203, rel=0.01)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_large_picture_is_handled_in_bands(transfer: int, monkeypatch):
    """Bands give the pixels of the whole, also if a band is less than a row. Alpha stays."""
    picture = textured(64, 48).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    ours, mapping = OurImage.fromarray(np.asarray(picture)), tone_mapping.tone_mapping(transfer)
    whole = mapping.apply(ours)
    assert np.array_equal(np.asarray(whole)[..., 3], np.asarray(picture)[..., 3])
    for pixels in (9, 64 * 5):
        monkeypatch.setattr(tone_mapping, "_BAND_PIXELS", pixels)
        assert mapping.apply(ours).tobytes() == whole.tobytes()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_kept_colors_are_those_of_the_primaries(transfer: int):
    """With `color = "keep"` the range is mapped too. The profile has the primaries of the source."""
    (kept,) = render(png(patches(), BT_2020, transfer), recipe(formats=[Format.PNG], color=Color.KEEP))
    image = Image.open(BytesIO(kept.data))
    assert image.info["icc_profile"] == cicp_profile(BT_2020, SRGB_TRANSFER)
    to_srgb = interpret_color(image.info["icc_profile"], "RGB").to_srgb
    converted = to_srgb.apply(OurImage.fromarray(np.asarray(image.convert("RGB"))))
    plain = shown(png(patches(), BT_2020, transfer)).convert("RGB")
    assert difference(Image.fromarray(np.asarray(converted)), plain) < 1
    (own,) = render(png(patches(), SRGB, transfer), recipe(formats=[Format.PNG], color=Color.KEEP))
    assert "icc_profile" not in Image.open(BytesIO(own.data)).info


def test_every_frame_of_an_animation_is_mapped():
    """The frames of an animated AVIF have the colors of its stills."""
    data = avif(patches(), BT_2020, PQ, save_all=True, append_images=[patches().rotate(180)], duration=100)
    size = patches().size
    (made,) = render(data, recipe(formats=[Format.PNG], animation=Animation.KEEP, width=size[0], height=size[1]))
    film, still = Image.open(BytesIO(made.data)), colors(avif(patches(), BT_2020, PQ))
    assert film.n_frames == 2
    assert np.abs(centers(np.asarray(film.convert("RGB"))).astype(int) - still).mean() < 3
    film.seek(1)
    assert np.abs(centers(np.asarray(film.convert("RGB").rotate(180))).astype(int) - still).mean() < 3


def test_a_source_in_high_range_is_never_a_rendition():
    """The file of a source is not used as a rendition, although it is smaller."""
    image = Image.new("RGB", (30, 20), (200, 40, 40))
    small = recipe(width=30, height=20)
    assert render(png(image, SRGB, PQ), small)[0].data != render(saved(image, "PNG"), small)[0].data


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("depth", [8, 10])
def test_a_heic_has_the_colors_of_a_png(transfer: int, depth: int):
    """A HEIC in high dynamic range, of 8 and 10 bits, has the colors of an equal PNG."""
    size, file = patches().size, BytesIO()
    if depth == 8:
        pillow_heif.from_pillow(patches()).save(file, quality=-1, chroma=444)
    else:
        levels = np.asarray(patches()).astype(np.uint16) * 257
        pillow_heif.from_bytes("RGB;16", size, levels.tobytes()).save(file, quality=-1, chroma=444)
    found = colors(told(file.getvalue(), BT_2020, transfer))
    expected = colors(png(patches(), BT_2020, transfer))
    assert np.abs(found.astype(int) - expected).mean() < 1
    assert turn(found, expected).max() < 4
