"""Draw the generated samples of `thumbsmith demo`: `python -m tests.samples` writes them to src/thumbsmith/samples."""

import math
import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

FOLDER = Path(__file__).parents[1] / "src" / "thumbsmith" / "samples"

# Display P3 with the transfer function of sRGB, RGB, full range: ITU-T H.273, and the PNG specification, 11.3.2.6.
CICP_DISPLAY_P3 = bytes((12, 13, 0, 1))


def wide_gamut() -> bytes:
    """Return a PNG in Display P3: saturated stripes, of which sRGB cannot show the outer ones."""
    image = Image.new("RGB", (900, 600), "#101010")
    draw = ImageDraw.Draw(image)
    for row, (red, green, blue) in enumerate(((255, 0, 0), (0, 255, 0), (255, 170, 0), (255, 0, 190))):
        for column in range(9):
            mix = column / 8
            color = tuple(round(128 + (each - 128) * mix) for each in (red, green, blue))
            draw.rectangle((column * 100, row * 150, column * 100 + 97, row * 150 + 147), fill=color)
    return _with_chunk(_png(image), b"cICP", CICP_DISPLAY_P3)


def transparent() -> bytes:
    """Return a PNG with transparent parts and a soft shadow."""
    shadow = Image.new("L", (1000, 700))
    ImageDraw.Draw(shadow).ellipse((210, 140, 790, 640), fill=150)
    image = Image.merge("RGBA", (*(Image.new("L", shadow.size, 20),) * 3, shadow.filter(ImageFilter.GaussianBlur(28))))
    draw = ImageDraw.Draw(image)
    draw.ellipse((210, 90, 790, 590), fill="#0d6b62")
    draw.rounded_rectangle((360, 220, 640, 460), 24, outline="#ffffff", width=22)
    draw.rounded_rectangle((500, 340, 600, 420), 12, fill="#ffffff")
    return _png(image.quantize(128))


def large() -> bytes:
    """Return a JPEG of 24 megapixels: hills in front of an evening sky."""
    width, height = 6000, 4000
    gradient = Image.linear_gradient("L").resize((width, height))
    sky = Image.merge(
        "RGB",
        [gradient.point(lambda at, a=a, b=b: a + (b - a) * at // 255) for a, b in ((36, 250), (52, 170), (110, 90))],
    )
    draw = ImageDraw.Draw(sky)
    draw.ellipse((4100, 1500, 4700, 2100), fill="#ffe9b0")
    for layer in range(5):
        base, swing = 2100 + layer * 400, 300 - layer * 30
        hills = [
            (x, base + swing * math.sin(x / (700 + 90 * layer) + layer * 2) + 60 * math.sin(x / 190 + layer))
            for x in range(0, width + 20, 20)
        ]
        shade = tuple(round(each * (1 - layer / 5.5)) for each in (120, 90, 130))
        draw.polygon([*hills, (width, height), (0, height)], fill=shade)
    stream = BytesIO()
    sky.save(stream, "JPEG", quality=60, progressive=True, optimize=True)
    return stream.getvalue()


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """Return a PNG with one more chunk, behind its header."""
    end_of_header = 8 + 25
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:end_of_header] + chunk + png[end_of_header:]


SAMPLES = {"wide-gamut.png": wide_gamut, "transparent.png": transparent, "large.jpg": large}

if __name__ == "__main__":
    for name, draw_sample in SAMPLES.items():
        (FOLDER / name).write_bytes(draw_sample())
