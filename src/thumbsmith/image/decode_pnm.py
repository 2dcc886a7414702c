"""PNM in bands of rows. Pillow decodes values of other ranges than 255 one by one, and does not read PAM."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.containers.pnm import Layout, read_layout
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream

# Pixels that are decoded at once: each takes a few additional bytes meanwhile.
_BAND_PIXELS: Final = 1 << 16

# Bytes of text that are read at once.
_TEXT_BYTES: Final = 1 << 16

_MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def open_pnm(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return the decoded image of a PNM: L, LA, RGB or RGBA, 8 bits for each channel.

    Raises Rejected as the header reader, ShortRead if the file ends before the image, and what the stream raises.
    """
    found = read_layout(stream.window())
    image = Image.new(_MODES[found.channels], (found.width, found.height))
    stream.seek(found.pixels)
    rows = max(1, _BAND_PIXELS // found.width)
    numbers = _text_samples(stream, found) if found.text else None
    levels = [min(255, (level * 255 + found.max_value // 2) // found.max_value) for level in range(256)]
    for top in range(0, found.height, rows):
        size = (found.width, min(rows, found.height - top))
        if numbers:
            band = _merged([next(numbers) for _ in range(size[0] * size[1] * found.channels)], found, size)
        else:
            band = _band(stream, found, size, levels)
        image.paste(band, (0, top))
    return image


def _band(stream: SourceStream, found: Layout, size: tuple[int, int], levels: list[int]) -> Image.Image:
    """Return the next rows of binary samples."""
    mode = _MODES[found.channels]
    if found.packed:
        data = _exactly(stream, -(-size[0] // 8) * size[1])
        return Image.frombytes("1", size, data, "raw", "1;I").convert("L")
    samples = size[0] * size[1] * found.channels
    if found.max_value <= 255:
        band = Image.frombytes(mode, size, _exactly(stream, samples))
        return band if found.max_value == 255 else band.point(levels * found.channels)
    data = _exactly(stream, 2 * samples)
    if found.max_value == 65535:
        return Image.frombytes(mode, size, data[0::2])  # the high byte comes first
    return _merged(list(struct.unpack(f">{samples}H", data)), found, size)


def _merged(values: list[int], found: Layout, size: tuple[int, int]) -> Image.Image:
    top = found.max_value
    return Image.frombytes(
        _MODES[found.channels], size, bytes(min(255, (each * 255 + top // 2) // top) for each in values)
    )


def _exactly(stream: SourceStream, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ShortRead
    return data


def _text_samples(stream: SourceStream, found: Layout) -> Iterator[int]:
    """Yield the samples that are written as text. Those of a PBM are single digits, with or without spaces.

    Raises Rejected(corrupt) for anything else than numbers, ShortRead at the end of the file.
    """
    rest = b""
    while block := stream.read(_TEXT_BYTES):
        text = rest + block
        end = max(text.rfind(space) for space in (b" ", b"\n", b"\t", b"\r")) + 1
        whole, rest = (text, b"") if found.white_is_zero else (text[:end], text[end:])
        yield from _parsed(whole, found)
        if len(rest) > _TEXT_BYTES:
            raise Rejected(Code.CORRUPT, "the PNM has a number that does not end")
    yield from _parsed(rest, found)
    stream.exhausted = True
    raise ShortRead


def _parsed(text: bytes, found: Layout) -> Iterator[int]:
    text = b" ".join(line.partition(b"#")[0] for line in text.splitlines()) if b"#" in text else text
    digits = text.split()
    if found.white_is_zero:
        joined = b"".join(digits)
        if joined.strip(b"01"):
            raise Rejected(Code.CORRUPT, "the PBM has samples other than 0 and 1")
        return iter(joined.translate(bytes.maketrans(b"01", b"\x01\x00")))
    if not all(each.isdigit() and len(each) <= 10 for each in digits):
        raise Rejected(Code.CORRUPT, "the PNM has samples that are no numbers")
    return map(int, digits)
