"""ICO and CUR: the largest picture, decoded as the PNG or BMP that it is, with its transparency mask."""

from __future__ import annotations

from dataclasses import replace

from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.containers.ico import largest, read_bitmap
from thumbsmith.image.decode_bmp import open_bmp
from thumbsmith.image.decode_png import open_png
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream, Spliced

_PNG_START = b"\x89PNG"


def open_ico(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the largest picture of an icon. Raises Rejected as the header reader, ShortRead, and as the stream."""
    data = stream.window()
    offset, size = largest(data)
    reader = stream.ranges()
    if data.read(offset, 4) == _PNG_START:
        return open_png(SourceStream(Spliced(reader, ((offset, offset + size),))), replace(probe, format="png"))
    found = read_bitmap(data, offset)
    bitmap = SourceStream(Spliced(reader, (found.header, (found.start, found.mask))))
    image = open_bmp(bitmap, replace(probe, format="bmp"))
    if found.bits == 32 and _has_alpha(data.read(found.start, found.mask - found.start)):
        return image
    stream.seek(found.mask)
    mask = stream.read(found.mask_row_bytes * found.height)
    if len(mask) < found.mask_row_bytes * found.height:
        raise ShortRead
    image = image.convert("RGB")
    image.putalpha(Image.frombytes("1", image.size, mask, "raw", ("1;I", found.mask_row_bytes, -1)).convert("L"))
    return image


def _has_alpha(pixels: bytes) -> bool:
    """Return whether any alpha of these pixels of 32 bits is not 0: else only the mask counts, as in Windows."""
    return any(pixels[3::4])
