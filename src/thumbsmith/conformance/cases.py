"""Small images that are easy to process wrongly, and the thumbnails that each must give.

Most show the same card with a red, a green, a blue and a white quarter. The place and the color of each quarter in a
thumbnail show how the image was processed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final, TypeAlias

from PIL import Image

from thumbsmith.errors import Code
from thumbsmith.image import transfer
from thumbsmith.image.transform import ORIENTATIONS

Color: TypeAlias = tuple[int, int, int]

SIZE: Final = (240, 160)
CARD: Final[tuple[Color, ...]] = ((200, 50, 50), (60, 180, 80), (50, 70, 200), (240, 240, 240))
GRAYS: Final[tuple[Color, ...]] = tuple((level, level, level) for level in (40, 110, 170, 240))

# Primaries and transfer curve, as numbers of ITU-T H.273. Display P3 has the primaries of SMPTE EG 432-1 and the curve
# of sRGB.
P3: Final = (12, 13)
SRGB: Final = (1, 13)

# High dynamic range: the primaries of BT.2020 and the curve PQ.
HIGH_RANGE: Final = (9, 16)

# The colors of the card in high dynamic range, before the roll-off of BT.2390 between 203 and 1,000 cd/m2.
HIGH_RANGE_CARD: Final[tuple[Color, ...]] = ((123, 84, 73), (105, 126, 94), (83, 82, 132), (156, 156, 156))

# The colors of the card in Display P3.
P3_CARD: Final[tuple[Color, ...]] = ((184, 63, 57), (96, 178, 92), (54, 69, 193), (240, 240, 240))

# Differences of color levels, 0 to 255, that are accepted. CMYK is converted by a profile: another profile than ours
# gives slightly different colors, an inverted picture very different ones.
TOLERANCE: Final = 14
CMYK_TOLERANCE: Final = 70

PNG_HEADER_BYTES: Final = 33  # the signature and the chunk IHDR
ORIENTATION: Final = 0x0112  # Exif 3.0, 4.6.5.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One image, and the thumbnails that it must give.

    `size` is in pixels, after orientation; `colors` are those of the quarters, row by row, within `tolerance` levels.
    `clear`: the first quarter is transparent in formats with alpha. `codes`: it must be rejected with one of these.
    """

    name: str
    file: str
    data: bytes
    size: tuple[int, int] = SIZE
    colors: tuple[Color, ...] = CARD
    tolerance: int = TOLERANCE
    clear: bool = False
    codes: tuple[Code, ...] = ()


def cases() -> Iterator[Case]:
    """Yield all cases. They are the same on each call."""
    yield from _turned()
    yield from _stored()
    yield from _colored()
    yield from _transparent()
    yield from _rejected()
    card = _saved(_card(CARD), "JPEG", quality=95)
    yield Case(name="a name that needs escaping", file="Été 1 + %20 \"&'<b>.jpg", data=card)


def _turned() -> Iterator[Case]:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = _stored_for(orientation)
        yield Case(
            name=f"EXIF orientation {orientation}",
            file=f"orientation-{orientation}.jpg",
            data=_saved(stored, "JPEG", quality=95, exif=exif),
        )


def _stored_for(orientation: int) -> Image.Image:
    """Return the card as a camera with this orientation stores it."""
    card = _card(CARD)
    undone = {6: 8, 8: 6}.get(orientation, orientation)  # each other orientation is its own inverse
    return card.transpose(ORIENTATIONS[undone]) if undone in ORIENTATIONS else card


def _stored() -> Iterator[Case]:
    card = _card(CARD)
    yield Case(name="progressive JPEG", file="progressive.jpg", data=_saved(card, "JPEG", quality=95, progressive=True))
    yield Case(name="PNG called .jpg", file="png.jpg", data=_saved(card, "PNG"))
    yield Case(name="interlaced palette", file="palette.gif", data=_saved(card.quantize(4), "GIF", interlace=True))
    yield Case(
        name="first frame of an animation",
        file="animation.gif",
        data=_saved(card, "GIF", save_all=True, append_images=[Image.new("RGB", SIZE, "#000")], duration=100, loop=0),
    )
    yield Case(name="lossless WebP", file="lossless.webp", data=_saved(card, "WEBP", lossless=True))
    yield Case(name="AVIF", file="picture.avif", data=_saved(card, "AVIF", quality=90, speed=8))
    yield Case(name="TIFF", file="picture.tif", data=_saved(card, "TIFF", compression="tiff_lzw"))
    yield Case(name="BMP", file="picture.bmp", data=_saved(card, "BMP"))


def _colored() -> Iterator[Case]:
    p3 = _saved(_card(P3_CARD), "JPEG", quality=98, subsampling=0, icc_profile=transfer.cicp_profile(*P3))
    yield Case(name="Display P3", file="p3.jpg", data=p3)
    for name, file, numbers, colors in (
        ("Display P3 by numbers", "p3", P3, P3_CARD),
        ("high dynamic range", "high-range", HIGH_RANGE, HIGH_RANGE_CARD),
    ):
        png = _saved(_card(colors), "PNG")
        cicp = _chunk(b"cICP", bytes([*numbers, 0, 1]))
        data = png[:PNG_HEADER_BYTES] + cicp + png[PNG_HEADER_BYTES:]
        yield Case(name=f"{name}, PNG", file=f"{file}.png", data=data)
        avif = _saved(_card(colors), "AVIF", quality=95, speed=8, subsampling="4:4:4")
        data = avif.replace(struct.pack(">4sHH", b"nclx", *SRGB), struct.pack(">4sHH", b"nclx", *numbers))
        yield Case(name=f"{name}, AVIF", file=f"{file}.avif", data=data)
    yield Case(name="gray JPEG", file="gray.jpg", data=_saved(_card(GRAYS).convert("L"), "JPEG"), colors=GRAYS)
    deep = _card(GRAYS).convert("L").convert("I").point(lambda level: level * 257).convert("I;16")
    yield Case(name="gray of 16 bits", file="deep.png", data=_saved(deep, "PNG"), colors=GRAYS)
    cmyk = _saved(_card(CARD).convert("CMYK"), "JPEG", quality=95)
    yield Case(name="CMYK without a profile", file="cmyk.jpg", data=cmyk, tolerance=CMYK_TOLERANCE)


def _transparent() -> Iterator[Case]:
    clear = _card(CARD).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, SIZE[0] // 2, SIZE[1] // 2))
    yield Case(name="transparent PNG", file="clear.png", data=_saved(clear, "PNG"), clear=True)
    yield Case(name="transparent WebP", file="clear.webp", data=_saved(clear, "WEBP", quality=95), clear=True)
    palette = clear.quantize(8, Image.Quantize.FASTOCTREE)
    yield Case(name="transparent palette", file="clear-palette.png", data=_saved(palette, "PNG"), clear=True)


def _rejected() -> Iterator[Case]:
    whole = _saved(_card(CARD), "JPEG", quality=95)
    damaged = (Code.TRUNCATED, Code.CORRUPT)
    yield Case(name="no bytes", file="empty.jpg", data=b"", codes=(Code.EMPTY,))
    yield Case(name="text called .jpg", file="text.jpg", data=b"Not a picture.\n", codes=(Code.UNSUPPORTED_FORMAT,))
    yield Case(name="half a JPEG", file="half.jpg", data=whole[: len(whole) // 2], codes=damaged)
    too_large = (Code.TOO_MANY_PIXELS, Code.TOO_LONG_SIDE, Code.OVER_MEMORY)
    yield Case(name="a decompression bomb", file="bomb.png", data=_bomb(60_000), codes=too_large)


def _card(colors: tuple[Color, ...]) -> Image.Image:
    image = Image.new("RGB", SIZE)
    width, height = SIZE[0] // 2, SIZE[1] // 2
    for number, color in enumerate(colors):
        left, top = number % 2 * width, number // 2 * height
        image.paste(color, (left, top, left + width, top + height))
    return image


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _bomb(side: int) -> bytes:
    """Return a PNG of a few hundred bytes whose header claims `side` x `side` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side // 8 + 1) * 100)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
