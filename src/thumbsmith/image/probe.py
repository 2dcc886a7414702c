"""What a source is, by its header: in pure Python, without an image library."""

from __future__ import annotations

from collections.abc import Callable

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.reader import RangeReader

__all__ = ["Probe", "probe"]


def probe(reader: RangeReader, first_scan_suffices: Callable[[Probe], bool] = lambda _: False, page: int = 1) -> Probe:
    """Return what the header of a source says. The bytes decide, never the name. Reads as few bytes as possible.

    `first_scan_suffices` says of a progressive JPEG whether an eighth of its sides is enough (see jpeg.read).
    `page` is the page of a PDF to show.

    `orientation` is always to be applied to `width` and `height`, but not always to decoded pixels: for some formats
    the decoder applies it (`orients` in the table of formats).

    Raises Rejected, with code empty, unsupported_format, corrupt or truncated, for anything that is no supported image.
    Damage behind the header is for the decoder to find. Raises StoreError as the reader does.
    """
    from thumbsmith.image.containers import jpeg, signature  # noqa: PLC0415 - a parent of workers needs `Probe` alone
    from thumbsmith.image.containers.base import ShortRead, Window  # noqa: PLC0415 - as above

    if reader.size == 0:
        raise Rejected(Code.EMPTY, "the source has no bytes")
    data = Window.over(reader)
    try:
        source_format = signature.identify(data.read(0, min(signature.SIGNATURE_BYTES, data.size)))
        if source_format.name == "jpeg":  # how far it is read depends on the thumbnails
            return jpeg.read(data, first_scan_suffices)
        return source_format.read_header(data, page)
    except ShortRead:
        detail = f"the file ends, after {reader.size} bytes, before its header does"
        raise Rejected(Code.TRUNCATED, detail) from None
