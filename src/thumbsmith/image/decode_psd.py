"""The flattened picture of a PSD, in 8 bits for each channel. Pillow reads no 16 bits, no PSB, and guesses alpha."""

from __future__ import annotations

from typing import Final

from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.containers.psd import BITMAP, CMYK, LAB, PALETTE, RGB, RUN_LENGTHS, Layout, read_layout
from thumbsmith.image.pillow import Image, ImageChops
from thumbsmith.image.stream import SourceStream

_MODES: Final = {RGB: "RGB", CMYK: "CMYK", LAB: "LAB"}


def open_psd(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return the flattened picture: L, LA, P, RGB, RGBA, CMYK or LAB, with its color profile in `info`.

    Raises Rejected as the header reader, ShortRead if the file ends before the picture, and what the stream raises.
    """
    found = read_layout(stream.window())
    channels = _channels(stream, found)
    image = Image.merge(_MODES[found.mode], channels[: found.colors]) if found.colors > 1 else channels[0]
    if found.mode == CMYK:
        image = ImageChops.invert(image)  # 255 is no ink
    if found.mode == PALETTE:
        stream.seek(found.palette[0])
        colors = stream.read(found.palette[1])
        image.putpalette(bytes(colors[index % 3 * 256 + index // 3] for index in range(768)))
    if found.transparent:
        image = _unmixed(image, channels[found.colors])
    if found.profile:
        stream.seek(found.profile[0])
        image.info["icc_profile"] = stream.read(found.profile[1])
    return image


def _unmixed(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return a picture whose colors were mixed with white, with alpha."""
    white = ImageChops.invert(alpha)
    bands = [ImageChops.subtract(each, white) for each in image.split()]
    # Pillow's modes with a small a hold colors multiplied by alpha.
    mode = "RGBa" if image.mode == "RGB" else "La"
    return Image.merge(mode, [*bands, alpha]).convert(mode.upper())


def _channels(stream: SourceStream, found: Layout) -> list[Image.Image]:
    """Return the channels of the colors, and that of transparency."""
    wanted = found.colors + found.transparent
    stream.seek(found.pixels)
    if found.compression != RUN_LENGTHS:
        return [_plane(_exactly(stream, _row_bytes(found) * found.height), "raw", found) for _ in range(wanted)]
    table = _exactly(stream, found.count_bytes * found.channels * found.height)
    counts = [
        int.from_bytes(table[start : start + found.count_bytes], "big")
        for start in range(0, found.count_bytes * wanted * found.height, found.count_bytes)
    ]
    sizes = [sum(counts[first : first + found.height]) for first in range(0, len(counts), found.height)]
    return [_plane(_exactly(stream, size), "packbits", found) for size in sizes]


def _plane(data: bytes, decoder: str, found: Layout) -> Image.Image:
    """Return a channel in 8 bits: of 16 bits, the higher byte, which comes first."""
    if found.mode == BITMAP:
        return Image.frombytes("1", (found.width, found.height), data, decoder, "1;I").convert("L")
    row = _row_bytes(found)
    plane = Image.frombytes("L", (row, found.height), data, decoder, "L")
    if found.depth == 8:
        return plane
    return Image.frombytes("L", (found.width, found.height), plane.tobytes()[0::2])


def _row_bytes(found: Layout) -> int:
    return -(-found.width * found.depth // 8)


def _exactly(stream: SourceStream, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ShortRead
    return data
