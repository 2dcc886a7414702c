"""Difficult pictures: small, generated, each with the expected pixels."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))  # to use the pictures of the tests

from tests.image import test_cicp
from tests.image.animations import Patch, apng, gif, seen_apng, seen_gif
from tests.image.test_colors import ADOBE, DISPLAY_P3, SRGB_CURVE, gamma, parametric, profile

from thumbsmith.image import profiles

SIZE = (192, 128)
TURNS = {5: 5, 6: 2, 7: 6, 8: 4, 3: 3}
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


@dataclass(frozen=True)
class Hard:
    """A file, and the picture that it must show."""

    name: str
    file: bytes
    shows: Image.Image


def pictures() -> list[Hard]:
    """Return all difficult pictures."""
    return [*turned(), *colored(), *deep(), *clear(), *moving(), *levelled()]


def scene() -> Image.Image:
    """Return a picture with a sky, a hill and a sun: upright, wide, and in color."""
    across, down = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    sky = np.dstack([90 + 90 * down, 150 + 60 * down, 250 - 60 * down])
    image = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 14, 62, 56), fill=(250, 190, 40))
    draw.polygon([(60, 128), (140, 44), (192, 128)], fill=(30, 120, 50))
    draw.polygon([(0, 128), (50, 84), (110, 128)], fill=(170, 40, 60))
    noise = 12 * np.sin(40 * across) * np.sin(30 * down)
    return Image.fromarray(np.clip(np.asarray(image) + noise[..., None], 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned() -> list[Hard]:
    """Return pictures with an orientation."""
    found = []
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        for orientation, undo in TURNS.items():
            exif = Image.Exif()
            exif[274] = orientation
            options = {"JPEG": {"quality": 95, "subsampling": 0}, "AVIF": {"quality": 95}, "WEBP": {"lossless": True}}
            stored = scene().transpose(Image.Transpose(undo))
            found.append(
                Hard(
                    f"{kind.lower()} turn {orientation}",
                    saved(stored, kind, exif=exif, **options.get(kind, {})),
                    scene(),
                )
            )
    return found


def converted(image: Image.Image, found: bytes) -> Image.Image:
    """Return a picture in sRGB: relative colorimetric, with black point compensation."""
    source, srgb = ImageCms.ImageCmsProfile(BytesIO(found)), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, source, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB", flags=FLAGS)


def colored() -> list[Hard]:
    """Return pictures in other color spaces than sRGB."""
    spaces = {
        "Display P3": profile(DISPLAY_P3, parametric(3, *SRGB_CURVE)),
        "Adobe RGB": profile(ADOBE, gamma(563 / 256)),
    }
    found = [
        Hard(f"{kind.lower()} {name}", saved(scene(), kind, icc_profile=icc, **options), converted(scene(), icc))
        for name, icc in spaces.items()
        for kind, options in (("PNG", {}), ("JPEG", {"quality": 95, "subsampling": 0}), ("TIFF", {}))
    ]
    p3 = converted(scene(), spaces["Display P3"])
    avif = saved(scene(), "AVIF", quality=95, subsampling="4:4:4")
    found.append(Hard("png Display P3, cICP", test_cicp.png(scene(), 12, 13), p3))
    found.append(Hard("avif Display P3, nclx", test_cicp.told(avif, 12, 13), p3))
    inks = scene().convert("CMYK")
    tagged = converted(inks, profiles.cmyk_profile())
    for kind in ("JPEG", "TIFF"):
        options = {"quality": 95} if kind == "JPEG" else {}
        found.append(
            Hard(
                f"{kind.lower()} CMYK, profile",
                saved(inks, kind, icc_profile=profiles.cmyk_profile(), **options),
                tagged,
            )
        )
        found.append(Hard(f"{kind.lower()} CMYK, none", saved(inks, kind, **options), tagged))
    lab = ImageCms.profileToProfile(
        scene(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    found.append(Hard("tiff Lab", saved(lab, "TIFF"), scene()))
    found.append(Hard("png, broken profile", saved(scene(), "PNG", icc_profile=b"no profile" * 30), scene()))
    return found


def deep() -> list[Hard]:
    """Return pictures of more or fewer than 8 bits a channel."""
    pixels = np.asarray(scene()).astype(np.uint16) * 257
    gray = scene().convert("L")
    planes, side_by_side = BytesIO(), BytesIO()
    tifffile.imwrite(planes, np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(side_by_side, pixels, photometric="rgb", compression="zlib")
    deep_gray = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    bits = scene().convert("1")
    few = scene().quantize(4)
    return [
        Hard("tiff 16 bits", side_by_side.getvalue(), scene()),
        Hard("tiff 16 bits, planes", planes.getvalue(), scene()),
        Hard("png gray 16 bits", saved(deep_gray, "PNG"), gray.convert("RGB")),
        Hard("tiff gray 16 bits", saved(deep_gray, "TIFF"), gray.convert("RGB")),
        Hard("png 1 bit", saved(bits, "PNG"), bits.convert("RGB")),
        Hard("png 4 colors", saved(few, "PNG", bits=2), few.convert("RGB")),
    ]


def clear() -> list[Hard]:
    """Return transparent pictures with other colors under the transparent pixels."""
    disc = Image.new("L", (SIZE[0] * 4, SIZE[1] * 4))
    ImageDraw.Draw(disc).ellipse((140, 40, 620, 470), fill=255)
    alpha = disc.resize(SIZE, Image.Resampling.BOX)
    under = Image.composite(
        scene(), Image.new("RGB", SIZE, (255, 0, 255)), alpha.point(lambda level: 255 * (level > 0))
    )
    under.putalpha(alpha)
    key = scene()
    key.paste((1, 2, 3), (0, 0, 60, 128))
    cut = key.convert("RGBA")
    cut.paste((0, 0, 0, 0), (0, 0, 60, 128))
    return [
        Hard("png alpha", saved(under, "PNG"), under),
        Hard("webp alpha", saved(under, "WEBP", lossless=True, exact=True), under),
        Hard("png transparent color", saved(key, "PNG", transparency=(1, 2, 3)), cut),
    ]


def moving() -> list[Hard]:
    """Return animations whose first frame covers the canvas in part."""
    patch = Patch(6, 6, np.full((12, 12), 1), over=False)
    half = np.dstack([np.asarray(scene().resize((24, 24))), np.full((24, 24), 128)])
    return [
        Hard("gif, part of the canvas", gif([patch]), Image.fromarray(seen_gif([patch])[0])),
        Hard("apng, half transparent", apng([Patch(0, 0, half)]), Image.fromarray(seen_apng([Patch(0, 0, half)])[0])),
    ]


def levelled() -> list[Hard]:
    """Return a pyramid TIFF."""
    small = scene().resize((96, 64), Image.Resampling.BOX)
    small.encoderinfo = {"tiffinfo": {254: 1}}
    return [Hard("tiff pyramid", saved(scene(), "TIFF", save_all=True, append_images=[small]), scene())]
