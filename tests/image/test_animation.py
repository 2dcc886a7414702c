"""Animations keep their frames, durations and loops; stills show the first frame."""

import zlib
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.metrics import structural_similarity

from tests.corpus import needs_corpus, photos
from tests.image.animations import CLEAR, SIDE, Patch, apng, gif, seen_apng, seen_gif
from tests.image.pictures import recipe, saved, textured
from tests.image.test_colors import ADOBE, gamma, profile
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.geometry import whole_milliseconds
from thumbsmith.image.limits import check_memory
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Fit, Format, Limits, Recipe
from thumbsmith.recipe.model import Animation, Color


def kept(data: bytes, *kinds: Format, **fields) -> list[bytes]:
    """Return the renditions of an animation in each format."""
    return [made.data for made in render(data, recipe(formats=kinds, animation=Animation.KEEP, **fields))]


def played(data: bytes) -> list[tuple[np.ndarray, int]]:
    """Return the displayed pictures of a file with their milliseconds. Equal pictures in a row are joined."""
    image, found = Image.open(BytesIO(data)), []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        shown, duration = np.asarray(image.convert("RGBa").copy()), round(image.info.get("duration", 0))
        if found and np.array_equal(found[-1][0], shown):
            found[-1] = (shown, found[-1][1] + duration)
        else:
            found.append((shown, duration))
    return found


def timeline(shown: list[np.ndarray], times: list[int]) -> list[tuple[np.ndarray, int]]:
    """Return pictures and times as `played` does, of RGBA pictures."""
    found = []
    for each, duration in zip(shown, times, strict=True):
        premultiplied = np.asarray(Image.fromarray(each).convert("RGBa"))
        if found and np.array_equal(found[-1][0], premultiplied):
            found[-1] = (premultiplied, found[-1][1] + duration)
        else:
            found.append((premultiplied, duration))
    return found


def patches(draw, pixels, disposals: range) -> list[Patch]:
    """Draw frames of any size and place on the canvas."""
    found = []
    for _ in range(draw(st.integers(2, 5))):
        width, height = draw(st.integers(1, SIDE)), draw(st.integers(1, SIDE))
        left, top = draw(st.integers(0, SIDE - width)), draw(st.integers(0, SIDE - height))
        seed, dispose = draw(st.integers(0, 99)), draw(st.sampled_from(disposals))
        drawn = pixels(np.random.default_rng(seed), (height, width))
        found.append(Patch(left, top, drawn, dispose, 10 * draw(st.integers(2, 200)), draw(st.booleans())))
    return found


@st.composite
def gif_patches(draw) -> list[Patch]:
    """Draw the frames of a GIF."""
    return patches(draw, lambda random, shape: random.integers(0, CLEAR + 1, shape), range(4))


@st.composite
def png_patches(draw) -> list[Patch]:
    """Draw the frames of a PNG: clear, half-transparent and opaque."""

    def pixels(random, shape):
        drawn = random.integers(0, 256, (*shape, 4))
        drawn[..., 3] = random.choice([0, 128, 255], shape)
        return drawn

    first, *rest = patches(draw, pixels, range(3))
    whole = pixels(np.random.default_rng(1), (SIDE, SIDE))  # as the first has to be: PNG, third edition, 11.3.6.2
    return [replace(first, left=0, top=0, pixels=whole), *rest]


@settings(max_examples=60)
@given(gif_patches())
def test_a_gif_shows_what_the_book_says(frames):
    """Every frame is displayed exactly, to the level and the millisecond, for all kinds of disposal."""
    (made,) = kept(gif(frames), Format.PNG)
    expected = timeline(seen_gif(frames), [frame.duration for frame in frames])
    found = played(made)
    assert len(found) == len(expected)
    for (left, shown), (right, duration) in zip(found, expected, strict=True):
        assert np.array_equal(left, right)
        assert shown == duration or len(expected) == 1  # what never changes needs no time


@settings(max_examples=60)
@given(png_patches())
def test_an_animated_png_shows_what_the_book_says(frames):
    """Half-transparent frames that blend or replace are displayed within two levels of rounding."""
    (made,) = kept(apng(frames), Format.PNG)
    found, start, times = played(made), 0, [frame.duration for frame in frames]
    ends = np.cumsum([duration for _, duration in found])
    for shown, duration in zip(seen_apng(frames), times, strict=True):
        now = next((each for (each, _), end in zip(found, ends, strict=True) if start < end), found[-1][0])
        expected = np.asarray(Image.fromarray(shown).convert("RGBa"))
        assert np.abs(now.astype(int) - expected).max() <= 2
        start += duration
    assert len(found) == 1 or ends[-1] == start


FRAMES = [Patch(0, 0, np.full((SIDE, SIDE), index), duration=duration) for index, duration in enumerate((70, 130, 20))]
OUTPUTS = [Format.PNG, Format.WEBP, Format.AVIF]


def colored(frames: list[Patch]) -> list[Patch]:
    """Return the frames in RGBA."""
    shown = seen_gif(frames)
    return [Patch(0, 0, each, duration=frame.duration, over=False) for each, frame in zip(shown, frames, strict=True)]


def source(kind: str) -> bytes:
    """Return an animation of three plain frames in this format."""
    if kind == "GIF":
        return gif(FRAMES)
    if kind == "PNG":
        return apng(colored(FRAMES))
    first, *rest = (Image.fromarray(each).convert("RGB") for each in seen_gif(FRAMES))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": "4:4:4"}
    return saved(first, kind, save_all=True, append_images=rest, duration=[70, 130, 20], **options)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_every_animation_is_kept_in_every_format_that_holds_it(kind):
    """Renditions keep frames, colors and durations. JPEG, and a recipe without animation, show the first frame."""
    for made in kept(source(kind), *OUTPUTS):
        found = played(made)
        assert [duration for _, duration in found] == [70, 130, 20]
        for (shown, _), color in zip(found, ((255, 0, 0), (0, 255, 0), (0, 0, 255)), strict=True):
            assert np.abs(shown[..., :3].reshape(-1, 3).mean(axis=0) - color).max() < 12
    still = [*kept(source(kind), Format.JPEG), *(made.data for made in render(source(kind), recipe(formats=OUTPUTS)))]
    for made in still:
        ((shown, _),) = played(made)
        assert np.abs(shown[12, 12, :3].astype(int) - (255, 0, 0)).max() < 12


@pytest.mark.parametrize(("loop", "plays"), [(None, 1), (0, 0), (1, 2), (4, 5)])
def test_a_gif_says_how_often_it_is_repeated_others_how_often_it_is_shown(loop, plays):
    """A GIF without a loop plays once, with a loop of 1 twice, with 0 without end."""
    for made in kept(gif(FRAMES, loop), Format.PNG, Format.WEBP):
        assert Image.open(BytesIO(made)).info["loop"] == plays


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_loops_of_other_formats_stay(kind):
    """An animation that plays three times still does."""
    data = apng(colored(FRAMES), 3) if kind == "PNG" else kept(apng(colored(FRAMES), 3), Format.WEBP)[0]
    for made in kept(data, Format.PNG, Format.WEBP):
        assert Image.open(BytesIO(made)).info["loop"] == 3


def test_a_picture_beside_the_animation_is_no_frame():
    """The first image of a PNG that is no frame is never displayed, not even as a still, as in browsers."""
    aside = np.full((SIDE, SIDE, 4), (9, 99, 199, 255))
    data = apng(colored(FRAMES), aside=aside)
    assert [duration for _, duration in played(kept(data, Format.PNG)[0])] == [70, 130, 20]
    ((shown, _),) = played(kept(data, Format.JPEG)[0])
    ((first, _),) = played(kept(apng(colored(FRAMES)), Format.JPEG)[0])
    assert np.abs(shown.astype(int) - first).max() < 6


def test_what_a_gif_leaves_free_is_clear():
    """The canvas around the first frame of a GIF is transparent, also in a still."""
    data = gif([Patch(6, 6, np.full((12, 12), 1), over=False)])
    (made,) = render(data, recipe(formats=(Format.PNG,)))
    shown = Image.open(BytesIO(made.data)).convert("RGBA")
    assert shown.getpixel((0, 0))[3] == 0
    assert shown.getpixel((12, 12)) == (0, 255, 0, 255)


def test_times_add_up():
    """Durations are rounded so that each frame begins within half a millisecond of its exact time."""
    made = whole_milliseconds([1000 / 3] * 9)
    assert sum(made) == 3000
    assert set(made) == {333, 334}
    assert whole_milliseconds([]) == []


def test_animations_are_judged_by_all_frames_that_are_decoded():
    """All frames count for max_frames and max_pixels if they are kept, and only the first one if not."""
    data = gif(FRAMES)
    moving = recipe(animation=Animation.KEEP)
    for limits, code in (
        (Limits(max_frames=2), Code.TOO_MANY_FRAMES),
        (Limits(max_pixels=3 * SIDE * SIDE - 1), Code.TOO_MANY_PIXELS),
    ):
        with pytest.raises(Rejected) as refused:
            render(data, Recipe(variants=moving.variants, limits=limits))
        assert refused.value.code == code
        assert render(data, Recipe(variants=recipe().variants, limits=limits))
    exact = Limits(max_frames=3, max_pixels=3 * SIDE * SIDE)
    assert render(data, Recipe(variants=moving.variants, limits=exact))


def test_frames_take_memory():
    """The predicted memory includes every frame of every animated rendition."""
    found = probe(BytesReader(gif(FRAMES)))
    still, moving = check_memory(found, recipe()), check_memory(found, recipe(animation=Animation.KEEP))
    assert moving - still >= 3 * SIDE * SIDE * 4
    with pytest.raises(Rejected) as refused:
        check_memory(found, Recipe(variants=recipe(animation=Animation.KEEP).variants, limits=Limits(max_memory=still)))
    assert refused.value.code == Code.OVER_MEMORY


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_missing_frames_are_missed(kind):
    """An animation that is cut, or announces too many frames, is rejected if its frames are kept."""
    data = source(kind)
    cut = data[: data.index(b"fdAT")] if kind == "PNG" else data[: len(data) - 300]
    with pytest.raises(Rejected):
        kept(cut, Format.PNG)
    if kind == "PNG":
        announced = data.index(b"acTL") + 4
        body = b"acTL" + (9).to_bytes(4) + bytes(4)
        lying = data[: announced - 4] + body + zlib.crc32(body).to_bytes(4) + data[announced + 12 :]
        with pytest.raises(Rejected) as refused:
            kept(lying, Format.PNG)
        assert refused.value.code == Code.TRUNCATED


def test_a_frame_larger_than_the_canvas_is_refused():
    """A frame that is larger than the canvas is rejected, because its size was not checked."""
    huge = Patch(0, 0, np.zeros((SIDE + 1, SIDE), int))
    with pytest.raises(Rejected) as refused:
        kept(gif([FRAMES[0], huge]), Format.PNG)
    assert refused.value.code == Code.CORRUPT


def test_a_frame_without_pixels_is_a_pause():
    """Frames without a size, which some programs write, do not change the canvas."""
    (made,) = kept(gif([FRAMES[0], Patch(3, 3, np.zeros((0, 0), int), duration=50), FRAMES[1]]), Format.PNG)
    assert [duration for _, duration in played(made)] == [120, 130]


def test_frames_are_turned_cropped_and_padded_as_pictures_are():
    """Orientation, fit and background apply to every frame."""
    exif = Image.Exif()
    exif[274] = 6
    pages = [textured(40, 20), textured(40, 20).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    data = saved(pages[0], "WEBP", save_all=True, append_images=pages[1:], lossless=True, exif=exif, duration=90)
    (made,) = kept(data, Format.PNG, width=20, height=40)
    for (shown, _), page in zip(played(made), pages, strict=True):
        assert np.array_equal(shown[..., :3], np.asarray(page.transpose(Image.Transpose.ROTATE_270)))
    (padded,) = kept(data, Format.WEBP, width=60, height=60, fit=Fit.CONTAIN, background="#00ff00")
    assert all(shown.shape[:2] == (60, 60) for shown, _ in played(padded))


@needs_corpus
def test_a_filmed_photograph_keeps_its_frames():
    """24 frames of a photograph have exact durations, and each resembles one made by Lanczos (SSIM 0.99)."""
    data = next(path for path in photos() if path.name == "photo-24-frames.webp").read_bytes()
    film, (made,) = Image.open(BytesIO(data)), kept(data, Format.PNG, width=200, height=200)
    copy = Image.open(BytesIO(made))
    assert copy.n_frames == film.n_frames == 24
    for number in range(24):
        film.seek(number)
        copy.seek(number)
        expected = film.convert("RGB").resize(copy.size, Image.Resampling.LANCZOS)
        assert structural_similarity(np.asarray(copy.convert("RGB")), np.asarray(expected), channel_axis=2) > 0.99
        assert copy.info["duration"] == film.info["duration"]


def test_frames_keep_their_colour_space():
    """An animation in another RGB is kept in it, or converted, like stills."""
    pages = [textured(40, 20), textured(40, 20).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    adobe = profile(ADOBE, gamma(563 / 256))
    options = {"save_all": True, "append_images": pages[1:], "lossless": True, "icc_profile": adobe, "duration": 90}
    data = saved(pages[0], "WEBP", **options)
    (own,) = kept(data, Format.PNG, color=Color.KEEP)
    assert Image.open(BytesIO(own)).info["icc_profile"] == adobe
    assert np.array_equal(played(own)[1][0][..., :3], np.asarray(pages[1]))
    (shown,) = kept(data, Format.PNG)
    assert "icc_profile" not in Image.open(BytesIO(shown)).info
    assert np.abs(played(shown)[1][0][..., :3].astype(int) - np.asarray(pages[1])).mean() > 3
