"""The source's own file as a rendition: never larger than the source, and without its metadata."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.image.pictures import pixels, saved, textured
from thumbsmith.image import passthrough
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Quality, Recipe, Variant
from thumbsmith.recipe.model import Metadata
from thumbsmith.recipe.names import Rendition

SECRET = b"48.2082 N 16.3738 E"
IMAGE = textured(120, 90)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    return exif


def _made(data: bytes, **fields) -> Rendition:
    """Return the rendition of a variant that shows the whole source at its size, at quality 100."""
    high = Quality(jpeg=100, webp=100, avif=100)
    variant = Variant(**{"name": "v", "width": 500, "formats": ("source",), "quality": high, **fields})
    (made,) = render(data, Recipe(variants=(variant,)))
    return made


def _segment(data: bytes, marker: int, content: bytes) -> bytes:
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + data[2:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", SECRET.decode())
    return info


def _dense(image: Image.Image, **options) -> bytes:
    """Return a PNG with the smallest compressed data."""
    return saved(image, "PNG", optimize=True, **options)


JPEG = saved(IMAGE, "JPEG", quality=40, exif=_exif(), comment=SECRET)
PALETTE = IMAGE.quantize(16)
CLEAR = IMAGE.convert("RGBA")
CLEAR.putalpha(IMAGE.convert("L"))
SOURCES = {
    "jpeg": JPEG,
    "progressive": saved(IMAGE, "JPEG", quality=40, progressive=True, exif=_exif()),
    "gray": saved(IMAGE.convert("L"), "JPEG", quality=40, exif=_exif()),
    "with restarts": saved(IMAGE, "JPEG", quality=40, restart_marker_blocks=3, exif=_exif()),
    "with a profile": saved(IMAGE, "JPEG", quality=40, icc_profile=SRGB, exif=_exif()),
    "with a tail": JPEG + SECRET,
    "with a thumbnail": _segment(
        saved(IMAGE, "JPEG", quality=40)[:2] + saved(IMAGE, "JPEG", quality=40)[20:],
        0xE0,
        b"JFIF\0\1\1\0\0\1\0\1\x03\x02" + SECRET.ljust(18, b" "),
    ),
    "palette": _dense(PALETTE, exif=_exif(), pnginfo=_text()),
    "palette with a tail": _dense(PALETTE, exif=_exif()) + SECRET,
    "palette with a profile": _dense(PALETTE, icc_profile=SRGB, exif=_exif()),
    "webp": saved(IMAGE, "WEBP", quality=40, exif=_exif(), xmp=SECRET, icc_profile=SRGB),
    "webp with alpha": saved(CLEAR, "WEBP", quality=40, exif=_exif()),
    "lossless webp": saved(PALETTE.convert("RGB"), "WEBP", lossless=True, exif=_exif()),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_source_file_is_smaller_with_the_same_pixels(source: str):
    """The rendition is smaller than the source, has the same pixels, and no metadata."""
    data = SOURCES[source]
    assert SECRET in data
    made = _made(data)
    assert len(made.data) < len(data)
    assert SECRET not in made.data
    original, found = Image.open(BytesIO(data)), pixels(made)
    mode = "RGBA" if original.has_transparency_data else "RGB"
    assert found.convert(mode).tobytes() == original.convert(mode).tobytes()
    assert not {"exif", "xmp", "icc_profile", "comment"} & found.info.keys()
    assert (made.width, made.height) == (120, 90)


@pytest.mark.parametrize("image", [IMAGE, CLEAR], ids=["opaque", "alpha"])
def test_an_avif_without_metadata_is_used_unchanged(image: Image.Image):
    """An AVIF without metadata is used byte for byte; one with metadata is encoded again, without it."""
    plain, told = saved(image, "AVIF", quality=40), saved(image, "AVIF", quality=40, exif=_exif())
    assert _made(plain).data == plain
    assert SECRET in told
    made = _made(told).data
    assert made != plain
    assert SECRET not in made


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 60},
        {"sharpen": 0.5},
        {"height": 500, "fit": "contain", "enlarge": True},
        {"height": 60, "fit": "cover"},
    ],
)
def test_a_changed_picture_is_encoded(fields: dict):
    """A variant that is smaller, sharpened, padded or cropped is encoded."""
    assert _made(JPEG, **fields).data != _made(JPEG).data


TURNED = Image.Exif()
TURNED[0x0112] = 6
OTHER = bytearray(SRGB)
for _at in range(128, len(OTHER) - 12):
    if OTHER[_at : _at + 4] == b"XYZ " and OTHER[_at - 4 : _at] != b"RGB ":
        OTHER[_at + 8 : _at + 12] = struct.pack(">i", 30_000)
DEEP = Image.new("I;16", (120, 90), 7000)


@pytest.mark.parametrize(
    "data",
    [
        saved(IMAGE, "JPEG", quality=40, exif=TURNED),
        saved(IMAGE, "JPEG", quality=40, icc_profile=bytes(OTHER)),
        saved(IMAGE.convert("CMYK"), "JPEG", quality=40),
        saved(DEEP, "PNG"),
        saved(IMAGE, "WEBP", quality=40, save_all=True, append_images=[IMAGE.rotate(180)]),
    ],
    ids=["turned", "another profile", "cmyk", "16 bit", "animated"],
)
def test_an_unsuitable_source_is_encoded(data: bytes, monkeypatch: pytest.MonkeyPatch):
    """A source that is rotated, in other colors, deeper or animated is encoded."""
    made = _made(data)
    monkeypatch.setattr(passthrough, "MAX_PIXELS", 0)
    assert _made(data) == made


def test_data_after_the_pixels_of_a_png_is_not_kept():
    """A PNG with more compressed data than its pixels, as some tools left after a crop, is encoded."""
    whole = _dense(PALETTE)
    start = whole.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", whole, start)
    pixels_only = whole[start + 8 : start + 8 + length]
    hidden = whole[:start] + _chunk(b"IDAT", pixels_only + SECRET) + whole[start + 12 + length :]
    assert SECRET in hidden
    assert SECRET not in _made(hidden).data
    assert len(_made(hidden).data) > len(whole)


def test_a_picture_with_a_credit_is_encoded():
    """If a variant keeps author and copyright notice, and there are some, the picture is encoded with them."""
    exif = Image.Exif()
    exif[0x013B] = "Ada"
    made = _made(saved(IMAGE, "JPEG", quality=40, exif=exif), metadata=Metadata.COPYRIGHT)
    assert pixels(made).getexif()[0x013B] == "Ada"
    assert len(_made(SOURCES["gray"], metadata=Metadata.COPYRIGHT).data) < len(SOURCES["gray"])


def test_another_format_is_encoded():
    """A JPEG as WebP is a WebP."""
    assert _made(JPEG, formats=(Format.WEBP,)).data[8:12] == b"WEBP"
