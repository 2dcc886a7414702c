"""Reads what a source is from its header, in pure Python, without an image library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.reader import RangeReader

__all__ = ["SOURCE_FORMATS", "Probe", "probe"]

# The values of `Probe.format`, in the order in which they are listed for people.
SOURCE_FORMATS: Final = ("jpeg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic")


def probe(reader: RangeReader, first_scan_suffices: Callable[[Probe], bool] = lambda _: False) -> Probe:
    """Return what the header of a source says. The name of the source has no influence. It reads as little as possible.

    Raises Rejected (empty, unsupported_format, corrupt or truncated) if the bytes are no image that can be read here.
    Faults after the header are left to the decoder. Raises StoreError as the reader does.

    `orientation` always still applies to `width` and `height`, but not always to decoded pixels: Pillow orients a TIFF
    when it loads it, and libheif crops and orients a HEIC. All others, AVIF too, are decoded as stored.

    `first_scan_suffices` tells for a progressive JPEG whether an eighth of its sides suffices. If so, and if the first
    scan holds an eighth and the file is complete, the JPEG is not read beyond its first scan.
    """
    # Programs that leave decoding to workers need `Probe` only.
    from thumbsmith.image.containers import bmp, gif, heif, jpeg, png, signature, tiff, webp  # noqa: PLC0415 - see above
    from thumbsmith.image.containers.base import ShortRead, Window  # noqa: PLC0415 - see above

    readers: dict[str, Callable[[Window], Probe]] = {
        "jpeg": lambda data: jpeg.read(data, first_scan_suffices),
        "png": png.read,
        "gif": gif.read,
        "webp": webp.read,
        "tiff": tiff.read,
        "bmp": bmp.read,
        "heif": heif.read,
    }
    if reader.size == 0:
        raise Rejected(Code.EMPTY, "the source holds no bytes")
    data = Window.over(reader)
    try:
        name = signature.identify(data.read(0, min(signature.LENGTH, data.size)))
        return readers[name](data)
    except ShortRead:
        detail = f"the file ends, after {reader.size} bytes, before its header does"
        raise Rejected(Code.TRUNCATED, detail) from None
