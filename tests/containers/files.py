"""Valid files of every format, made in memory, and parts for unusual ones."""

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from functools import cache

from PIL import Image

WIDTH, HEIGHT = 40, 24

# A picture of 30 x 20 with alpha, half transparent, with orientation 6. HEVC codes it as 64 x 64.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAqttZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "AEZpbG9jAAAAAERAAAMAAQAAAAACzwABAAAAAAAAACcAAgAAAAAC9gABAAAAAAAAABoAAwAAAAADEAABAAAAAAAAACQAAABNaWlu"
    "ZgAAAAAAAwAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAAACAABodmMxAAAAABVpbmZlAgAAAQADAABFeGlmAAAAAA5w"
    "aXRtAAAAAAABAAABtWlwcnAAAAGLaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAA"
    "AAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xy"
    "bmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAHgAAAAEAAAAUAAAAAf///94AAAAC////1AAAAAIAAAAQ"
    "cGl4aQAAAAADCAgIAAAACWlyb3QDAAAAcWh2Y0MBBAgAAACf+AAAAAAe8AD8/Pj4AAAPA2AAAQAXQAEMAf//BAgAAAMAn/gAAAMA"
    "AB66AkBhAAEAJkIBAQQIAAADAJ/4AAADAAAewIIEFluqumubAgAAAwAyAAADAAIQYgABAAZEAcFzwYkAAAAOcGl4aQAAAAABCAAA"
    "ACdhdXhDAAAAAHVybjptcGVnOmhldmM6MjAxNTphdXhpZDoxAAAAACJpcG1hAAAAAAAAAAIAAQaBAgMFhIYAAgaHAwiJhIYAAAAo"
    "aXJlZgAAAAAAAAAOYXV4bAACAAEAAQAAAA5jZHNjAAMAAQABAAAAbW1kYXQAAAAjKAGvBBITjOD46cJoP9rb/BiVhIvJ+0CrK+NJ"
    "n3exGJKp/6AAAAAWKAGuCCRtuOBr0zWyQStQpn9mwJUBEQAAAAZFeGlmAABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)


def picture(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT), shade: int = 0) -> Image.Image:
    """Return a picture of diagonal lines."""
    image = Image.new("L", size)
    image.putdata([(x * 6 + y * 3 + shade) % 256 for y in range(size[1]) for x in range(size[0])])
    return image.convert("RGB").convert(mode)


def saved(kind: str, image: Image.Image | None = None, *, orientation: int | None = None, **options: object) -> bytes:
    """Return the picture as a file that Pillow writes in this format."""
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    file = io.BytesIO()
    (image or picture()).save(file, kind, **options)
    return file.getvalue()


def animated(kind: str, frames: int = 3) -> bytes:
    """Return an animation with this number of different frames."""
    others = [picture(shade=40 * number) for number in range(1, frames)]
    return saved(kind, picture(), save_all=True, append_images=others)


def exif_block(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """Return a TIFF block with only an orientation, in a field of this type."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind], orientation)
    return mark + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1) + value + bytes(4)


def segment(marker: int, body: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def frame(
    marker: int = 0xC0, width: int = 16, height: int = 8, *, factors: bytes = b"\x22\x11\x11", precision: int = 8
):
    """Return the start of frame of a JPEG with one component per sampling factor."""
    components = b"".join(bytes((number, each, 0)) for number, each in enumerate(factors, 1))
    return segment(marker, struct.pack(">BHHB", precision, height, width, len(factors)) + components)


def scan(components: int = 3) -> bytes:
    """Return the start of scan of a JPEG for this number of components, and some coded bytes."""
    chosen = b"".join(bytes((number, 0)) for number in range(1, components + 1))
    return segment(0xDA, bytes((components,)) + chosen + b"\0\x3f\0") + b"\x12\xff\0\x34\xff\xd0\x56"


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, header: bytes = struct.pack(">IIBBBBB", 5, 4, 8, 2, 0, 0, 0)) -> bytes:
    """Return a PNG with an image header, these chunks, and an empty IDAT."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", b"")


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP with these chunks."""
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff(
    fields: list[tuple[int, int, int]], *, order: str = "<", big: bool = False, following: int = 0, mark: bytes = b""
) -> bytes:
    """Return a TIFF without pixels, with one directory of (tag, type, value)."""
    head = {("<", 0): b"II*\0", (">", 0): b"MM\0*", ("<", 1): b"II+\0", (">", 1): b"MM\0+"}[order, int(big)]
    values = b"".join(_field(*each, order, big) for each in fields)
    if big:
        start = struct.pack(order + "HHQQ", 8, 0, 16, len(fields))
        return head + start + values + struct.pack(order + "Q", following)
    return (mark or head) + struct.pack(order + "IH", 8, len(fields)) + values + struct.pack(order + "I", following)


def _field(tag: int, kind: int, value: int, order: str, big: bool) -> bytes:
    room = 8 if big else 4
    written = struct.pack(order + {1: "B", 3: "H", 4: "I", 16: "Q"}[kind], value)
    return struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1) + written.ljust(room, b"\0")


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of the ISO base media file format."""
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def heif(
    *properties: bytes,
    brand: bytes = b"avif",
    others: bytes = b"mif1",
    references: bytes = b"",
    more: bytes = b"",
    version: int = 0,
    item: int = 1,
    wide: bool = False,
) -> bytes:
    """Return an AVIF or HEIC without pixels. Its item, and another one, have these properties in this order."""
    number = ">I" if version else ">H"
    indexes = [index | (0x8000 if wide else 0x80) for index in range(1, len(properties) + 1)]
    associations = struct.pack(f">{len(indexes)}{'H' if wide else 'B'}", *indexes)
    full = bytes((version, 0, 0, wide))
    entry = bytes((len(indexes),)) + associations
    listed = struct.pack(">I", 2) + struct.pack(number, item + 1) + entry + struct.pack(number, item) + entry
    meta = box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes((version, 0, 0, 0)), struct.pack(number, item)),
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", full, listed)),
        box(b"iref", bytes((version, 0, 0, 0)), references) if references else b"",
    )
    return box(b"ftyp", brand, bytes(4), brand, others) + meta + more + box(b"mdat", bytes(16))


def ispe(width: int = 8, height: int = 6) -> bytes:
    """Return the size property of an item."""
    return box(b"ispe", bytes(4), struct.pack(">II", width, height))


def pnm(kind: int = 6, max_value: int = 255, pixels: bytes = b"", size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """Return a PBM, PGM or PPM with a comment in its header."""
    largest = b"" if kind in (1, 4) else b"%d\n" % max_value
    return b"P%d\n# by hand\n%d %d\n%b" % (kind, *size, largest) + pixels


def pam(image: Image.Image) -> bytes:
    """Return a PAM."""
    fields = (*image.size, len(image.getbands()))
    return b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL 255\nENDHDR\n" % fields + image.tobytes()


def psd(
    image: Image.Image,
    mode: int = 3,
    *,
    depth: int = 8,
    packed: bool = False,
    large: bool = False,
    resources: bytes = b"",
    layers: int = 0,
    palette: bytes = b"",
) -> bytes:
    """Return a PSD, or a PSB if `large`. `layers` is the number of layers, below 0 for transparency."""
    bands = [each.tobytes() for each in image.split()]
    if depth == 16:
        bands = [bytes(byte for level in band for byte in (level, level)) for band in bands]
    row = -(-image.width * depth // 8)
    rows = [band[start : start + row] for band in bands for start in range(0, len(band), row)]
    if packed:
        rows = [b"".join(bytes((0, byte)) for byte in each) for each in rows]  # literal runs of one byte
    counts = b"".join(struct.pack(">I" if large else ">H", len(each)) for each in rows) if packed else b""
    section = ">Q" if large else ">I"
    layer = struct.pack(section, 2) + struct.pack(">h", layers) if layers else b""
    return b"".join(
        (
            b"8BPS" + struct.pack(">H6xHIIHH", 1 + large, len(bands), image.height, image.width, depth, mode),
            struct.pack(">I", len(palette)) + palette,
            struct.pack(">I", len(resources)) + resources,
            struct.pack(section, len(layer)) + layer,
            struct.pack(">H", packed) + counts + b"".join(rows),
        )
    )


def psd_resource(number: int, body: bytes) -> bytes:
    """Return a resource of a PSD."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) & 1)


def svg(
    body: str = '<rect width="20" height="24" fill="red"/>', size: str = 'viewBox="0 0 40 24"', before: str = ""
) -> bytes:
    """Return an SVG."""
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{before}<svg {names} {size}>{body}</svg>".encode()


def pdf(
    content: bytes = b"1 0 0 rg 0 0 15 18 re f",
    box: bytes = b"0 0 30 18",
    page: bytes = b"",
    trailer: bytes = b"",
    more: Sequence[bytes] = (),
) -> bytes:
    """Return a PDF. Its first page shows a red half in 40 x 24 CSS pixels; `more` are the boxes of further pages."""
    kids = b"".join(b" %d 0 R" % (5 + number) for number in range(len(more)))
    pages = [b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Contents 4 0 R>>" % each for each in more]
    first = b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Contents 4 0 R/Resources<<>>%b>>" % (box, page)
    return pdf_file(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R%b]/Count %d>>" % (kids, 1 + len(more)),
        first,
        pdf_stream(content),
        *pages,
        trailer=trailer,
    )


def pdf_file(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a PDF of these objects, which have the numbers from 1. The first is its catalog."""
    data, places = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, each in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj%b endobj\n" % (number, each)
    size = len(objects) + 1
    end = b"trailer<</Root 1 0 R/Size %d%b>>\nstartxref\n%d\n%%%%EOF" % (size, trailer, len(data))
    return data + b"xref\n0 %d\n" % size + places + end


def pdf_stream(body: bytes, fields: bytes = b"") -> bytes:
    """Return a stream object of a PDF."""
    return b"<<%b/Length %d>>stream\n%b\nendstream" % (fields, len(body), body)


@cache
def good() -> dict[str, bytes]:
    """Return valid files of every kind, by a name that begins with the format."""
    from tests.containers.raw_files import cr2, cr3, nef, rw2  # noqa: PLC0415 - it imports this module

    palette = picture().quantize(8)
    pages = [picture(), picture("L"), picture(shade=9)]
    return {
        "jpeg": saved("JPEG"),
        "jpeg-progressive": saved("JPEG", progressive=True, orientation=6),
        "jpeg-grey": saved("JPEG", picture("L")),
        "jpeg-cmyk": saved("JPEG", picture("CMYK")),
        "jpeg-444": saved("JPEG", subsampling=0, orientation=8),
        "png": saved("PNG", orientation=3),
        "png-alpha": saved("PNG", picture("RGBA")),
        "png-grey-alpha": saved("PNG", picture("LA")),
        "png-palette": saved("PNG", palette),
        "png-transparent": saved("PNG", palette, transparency=1),
        "png-16": saved("PNG", Image.new("I;16", (WIDTH, HEIGHT), 999)),
        "png-animated": animated("PNG"),
        "gif": saved("GIF", palette),
        "gif-transparent": saved("GIF", palette, transparency=1),
        "gif-interlaced": saved("GIF", palette, interlace=1),
        "gif-animated": animated("GIF"),
        "webp": saved("WEBP"),
        "webp-lossless": saved("WEBP", lossless=True),
        "webp-alpha": saved("WEBP", picture("RGBA").resize((9, 7)), lossless=True),
        "webp-lossy-alpha": saved("WEBP", Image.new("RGBA", (WIDTH, HEIGHT), (9, 99, 199, 50))),
        "webp-exif": saved("WEBP", orientation=5),
        "webp-animated": animated("WEBP"),
        "tiff": saved("TIFF", orientation=7),
        "tiff-alpha": saved("TIFF", picture("RGBA"), compression="tiff_lzw"),
        "tiff-palette": saved("TIFF", palette),
        "tiff-pages": saved("TIFF", pages[0], save_all=True, append_images=pages[1:]),
        "tiff-big": saved("TIFF", big_tiff=True),
        "tiff-bits": saved("TIFF", picture("1")),
        "tiff-cmyk": saved("TIFF", picture("CMYK")),
        "bmp": saved("BMP"),
        "bmp-alpha": saved("BMP", picture("RGBA")),
        "bmp-palette": saved("BMP", palette),
        "bmp-bits": saved("BMP", picture("1")),
        "avif": saved("AVIF", orientation=7),
        "avif-alpha": saved("AVIF", Image.new("RGBA", (WIDTH, HEIGHT), (9, 99, 199, 50))),
        "avif-animated": animated("AVIF"),
        "heic": HEIC,
        "pnm": pnm(6, pixels=picture().tobytes()),
        "pnm-deep": pnm(5, 1000, bytes(range(96)) * 20),
        "pnm-bits": pnm(4, pixels=picture("1").tobytes()),
        "pnm-text": pnm(3, pixels=b" ".join(b"%d" % level for level in picture().tobytes()) + b"\n"),
        "pnm-alpha": pam(picture("RGBA")),
        "ico": saved("ICO", picture("RGBA"), sizes=[(WIDTH, HEIGHT)]),
        "ico-bmp": saved("ICO", picture("RGBA"), sizes=[(WIDTH, HEIGHT)], bitmap_format="bmp"),
        "jp2": saved("JPEG2000"),
        "jp2-alpha": saved("JPEG2000", picture("RGBA"), irreversible=True),
        "jp2-tiles": saved("JPEG2000", picture("L"), tile_size=(16, 16)),
        "jp2-bare": saved("JPEG2000", no_jp2=True),
        "psd": psd(picture()),
        "psd-packed": psd(picture(), packed=True, layers=1),
        "psd-alpha": psd(picture("RGBA"), layers=-1),
        "psd-deep": psd(picture("CMYK"), 4, depth=16),
        "psd-large": psd(picture("L"), 1, packed=True, large=True),
        "raw": rw2(saved("JPEG")),
        "raw-canon": cr2(saved("JPEG")),
        "raw-directories": nef(saved("JPEG"), 6, (60, 36)),
        "raw-boxes": cr3(saved("JPEG")),
        "svg": svg(before='<?xml version="1.0"?><!-- made by hand -->'),
        "svg-text": svg('<text x="2" y="20" font-size="20">Hi</text>', 'width="30pt" height="18pt"'),
        "pdf": pdf(),
        "pdf-picture": saved("PDF"),
        "qoi": saved("QOI"),
        "qoi-alpha": saved("QOI", picture("RGBA")),
    }
