"""What a source is, by its header: pure Python, and no image library."""

from __future__ import annotations

from collections.abc import Callable

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.reader import RangeReader

__all__ = ["Probe", "probe"]


def probe(reader: RangeReader, eighth_serves: Callable[[Probe], bool] = lambda _: False) -> Probe:
    """Return what a source is, by its bytes and never by its name, reading as little of it as tells.

    Raises Rejected, with code empty, unsupported_format, corrupt or truncated, for what is no picture that is read
    here; what is wrong behind the header is for the decoder to find. Raises StoreError as the reader does.

    `orientation` is always still to be applied to `width` and `height`, but not always to decoded pixels: Pillow turns
    a TIFF when it loads it, and libheif crops and turns a HEIC. All others, AVIF among them, are decoded as stored.
    `eighth_serves` says of a progressive JPEG whether an eighth of its sides is enough: then it is read no further than
    its first scan, where that holds an eighth and the file is whole.
    """
    from thumbsmith.image.containers import bmp, gif, heif, jpeg, png, signature, tiff, webp  # noqa: PLC0415 - whoever leaves
    from thumbsmith.image.containers.base import ShortRead, Window  # noqa: PLC0415 - pictures to workers needs `Probe` alone

    readers: dict[str, Callable[[Window], Probe]] = {
        "jpeg": lambda data: jpeg.read(data, eighth_serves),
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
