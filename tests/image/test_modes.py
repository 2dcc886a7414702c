"""Pixels of every mode keep their full range and their alpha."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageChops, ImageDraw

from tests.containers.files import chunk
from tests.image.pictures import difference, saved, shown, textured
from thumbsmith.image.color import normalize_mode
from thumbsmith.recipe import Format


def ramp(top: float, kind) -> Image.Image:
    """Return a picture that rises from 0 on the left to `top` on the right."""
    return Image.fromarray(np.tile(np.linspace(0, top, 256), (64, 1)).astype(kind))


def assert_ramp(image: Image.Image) -> None:
    """Check that a picture is the same ramp in 8 bits."""
    row = np.asarray(image.convert("L"))[10].astype(int)
    assert np.abs(row - np.linspace(0, 255, len(row))).max() <= 2


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (ramp(65535, np.uint16), "PNG"),
        (ramp(65535, np.uint16), "TIFF"),
        (ramp(1, np.float32), "TIFF"),
        (ramp(900, np.float32), "TIFF"),
        (ramp(2_000_000, np.int32), "TIFF"),
    ],
)
def test_deep_gray_is_scaled_and_not_clipped(image, kind):
    """A ramp over the whole range of 16 or 32 bits, or of floating point, is one over the whole range of 8 bits."""
    assert_ramp(shown(saved(image, kind), width=256, height=64))


def test_big_endian_16_bit_gray_is_scaled():
    """A TIFF in Motorola byte order has the same levels."""
    image = ramp(65535, np.uint16)
    swapped = Image.frombytes("I;16B", image.size, np.asarray(image).astype(">u2").tobytes())
    assert_ramp(shown(saved(swapped, "TIFF"), width=256, height=64))


def test_gray_of_one_level_is_made():
    """A deep picture of one level is made without an error."""
    assert shown(saved(Image.new("I", (8, 8), 70_000), "TIFF")).getextrema() == ((0, 0),) * 3


def test_12_bits_fill_the_range():
    """The range is that of 12 bits, though they are stored in 16."""
    assert_ramp(normalize_mode(ramp(4095, np.uint16), 12))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "YCbCr"])
def test_opaque_pictures_of_every_mode_keep_their_colors(mode):
    """Palettes and black-and-white are averaged, not sampled, and stay opaque."""
    image = textured(256, 192).convert(mode)
    found = shown(saved(image, "TIFF" if mode == "YCbCr" else "PNG"))
    assert found.mode == "RGB"
    assert difference(found, image.convert("RGB").resize(found.size, Image.Resampling.LANCZOS)) < 3


def transparent(mode: str) -> bytes:
    """Return a PNG whose left half is transparent."""
    image = textured(128, 96)
    if mode == "RGB":  # one color means transparent
        image.paste((1, 2, 3), (0, 0, 64, 96))
        return saved(image, "PNG", transparency=(1, 2, 3))
    if mode == "L":
        gray = image.convert("L").point(lambda level: max(level, 1))
        gray.paste(0, (0, 0, 64, 96))
        return saved(gray, "PNG", transparency=0)
    if mode == "P":
        palette = image.quantize(255)
        palette.putpalette([*palette.getpalette()[: 3 * 255], 0, 0, 0])
        palette.paste(255, (0, 0, 64, 96))
        return saved(palette, "PNG", transparency=255)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 64, 96))
    image.putalpha(alpha)
    return saved(image.convert(mode), "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP, Format.AVIF])
def test_every_kind_of_transparency_becomes_alpha(mode, kind):
    """Alpha, a transparent index and a transparent color all become alpha."""
    found = shown(transparent(mode), formats=(kind,))
    assert found.mode == "RGBA"
    assert found.getpixel((8, 24))[3] < 8
    assert found.getpixel((56, 24))[3] > 247


def test_jpeg_flattens_onto_the_background():
    """The background shows through in JPEG, which has no alpha, and in no other format."""
    found = shown(transparent("RGBA"), formats=(Format.JPEG,), background="#00ff00")
    red, green, blue = found.getpixel((8, 24))
    assert red < 12
    assert green > 243
    assert blue < 12


def test_transparent_pixels_leave_no_fringe():
    """A white disc on transparent black stays white to its rim."""
    image = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (128, 128, 384, 384))
    for side in (200, 33):
        found = np.asarray(shown(saved(image, "PNG"), width=side, height=side))
        visible = found[found[..., 3] > 8]
        assert visible[:, :3].min() >= 250


@pytest.mark.parametrize("side", [200, 97, 33])
def test_edges_are_those_of_the_premultiplied_picture(side):
    """Premultiplied colors are within a level of 255 of Lanczos on the premultiplied picture."""
    image = textured(256, 256)
    disc = Image.new("L", (1024, 1024))
    ImageDraw.Draw(disc).ellipse((100, 140, 900, 940), fill=255)
    image.putalpha(disc.resize((256, 256), Image.Resampling.BOX))
    found = shown(saved(image, "PNG"), width=side, height=side).convert("RGBa")
    expected = image.convert("RGBa").resize((side, side), Image.Resampling.LANCZOS)
    alpha = expected.getchannel(3)
    for made, wanted in zip(found.split(), expected.split(), strict=True):
        possible = ImageChops.darker(wanted, alpha)  # where Lanczos overshoots, no color holds more than its alpha
        assert np.abs(np.asarray(made, int) - np.asarray(possible, int)).max() <= 1


def test_opaque_alpha_is_dropped():
    """An RGBA picture that is fully opaque is written as RGB."""
    assert shown(saved(textured(64, 48).convert("RGBA"), "PNG")).mode == "RGB"


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "RGBX", "HSV"])
def test_rare_modes_are_converted(mode):
    """Modes that Pillow has but few files use are converted."""
    image = Image.new("LA", (4, 4), (100, 255)).convert("PA") if mode == "PA" else Image.new(mode, (4, 4))
    assert normalize_mode(image, 8).mode in {"LA", "RGBA", "RGB"}


def test_gif_and_bmp_are_read():
    """GIF and BMP are read."""
    image = textured(128, 96).quantize(64)
    expected = image.convert("RGB").resize((64, 48), Image.Resampling.LANCZOS)
    for kind in ("GIF", "BMP"):
        assert difference(shown(saved(image, kind)), expected) < 2


def test_only_the_first_frame_of_an_animation_is_shown():
    """Later frames leave no trace in a rendition of the first one."""
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue", "lime")]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
        assert shown(data).convert("RGB").getpixel((20, 20)) == (255, 0, 0)


@pytest.mark.parametrize(("mode", "depth"), [("L", 2), ("L", 4), ("L", 16), ("RGB", 16)])
def test_a_transparent_color_is_found_in_any_depth(mode, depth):
    """A transparent color of a PNG is found in every depth, from 2 to 16 bits."""
    top, key = (1 << depth) - 1, (1 << depth) // 3
    channels = len(mode)
    levels = np.full((16, 16, channels), top)
    levels[:, :8] = key
    if depth == 16 and mode == "L":
        levels[:, 12:] = key + 1  # as good as the same gray, and opaque
    rows = levels.astype(">u2") if depth == 16 else levels
    packed = [row.tobytes() if depth == 16 else bits(row.ravel(), depth) for row in rows]
    image = zlib.compress(b"".join(b"\0" + row for row in packed))
    header = struct.pack(">IIBBBBB", 16, 16, depth, 0 if mode == "L" else 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", struct.pack(">H", key) * channels), (b"IDAT", image), (b"IEND", b"")]
    found = shown(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts), formats=(Format.WEBP,))
    assert found.mode == "RGBA"
    alpha = np.asarray(found)[8, :, 3]
    assert alpha[:7].max() == 0
    assert alpha[9:].min() == 255


def bits(levels: np.ndarray, depth: int) -> bytes:
    """Return samples of less than 8 bits packed into bytes."""
    digits = "".join(f"{level:0{depth}b}" for level in levels)
    return int(digits, 2).to_bytes(len(digits) // 8)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("depth", [8, 16])
def test_separate_planes_are_joined(compression, depth):
    """A TIFF with separate planes looks like one with interleaved channels, in 8 and 16 bits."""
    image = textured(96, 64)
    pixels = np.moveaxis(np.asarray(image), 2, 0).astype(np.uint16 if depth == 16 else np.uint8)
    file = BytesIO()
    deep = pixels * 257 if depth == 16 else pixels
    kinds = {None: None, "tiff_lzw": "zlib"}
    tifffile.imwrite(file, deep, photometric="rgb", planarconfig="separate", compression=kinds[compression])
    assert difference(shown(file.getvalue(), width=96, height=64), image) < 1
