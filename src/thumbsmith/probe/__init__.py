"""What a source is, by its header: pure Python, and no image library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe import bmp, gif, heif, jpeg, png, signature, tiff, webp
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import ShortRead, Window
from thumbsmith.reader import RangeReader

__all__ = ["Probe", "probe"]

_READERS: Final[Mapping[str, Callable[[Window], Probe]]] = {
    "jpeg": jpeg.read,
    "png": png.read,
    "gif": gif.read,
    "webp": webp.read,
    "tiff": tiff.read,
    "bmp": bmp.read,
    "heif": heif.read,
}


def probe(reader: RangeReader) -> Probe:
    """Return what a source is, by its bytes and never by its name, reading as little of it as tells.

    Raises Rejected, with code empty, unsupported_format, corrupt or truncated, for what is no picture that is read
    here; what is wrong behind the header is for the decoder to find. Raises StoreError as the reader does.

    `orientation` is always still to be applied to `width` and `height`, but not always to decoded pixels: Pillow turns
    a TIFF when it loads it, and libheif crops and turns a HEIC. All others, AVIF among them, are decoded as stored.
    """
    if reader.size == 0:
        raise Rejected(Code.EMPTY, "the source holds no bytes")
    data = Window.over(reader)
    try:
        name = signature.identify(data.read(0, min(signature.LENGTH, data.size)))
        return _READERS[name](data)
    except ShortRead:
        detail = f"the file ends, after {reader.size} bytes, before its header does"
        raise Rejected(Code.TRUNCATED, detail) from None
