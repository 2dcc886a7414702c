"""PDF: one page, drawn by PDFium at the size that is needed. No JavaScript runs, and no forms are filled in.

The page tree of a PDF is compressed in most files, so PDFium reads the size of the page too.
https://pdfium.googlesource.com/pdfium/+/refs/heads/main/public/fpdfview.h
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream

# FPDF_GetLastError: a password, or a way of encryption that PDFium does not know.
_ENCRYPTED: Final = (4, 5)

# FPDF_ANNOT draws notes and highlights, as viewers do. FPDF_REVERSE_BYTE_ORDER gives RGBA.
_FLAGS: Final = 0x01 | 0x10
_BITMAP_RGBX: Final = 3  # FPDFBitmap_BGRx, reversed
_WHITE: Final = 0xFFFFFFFF

# A complete file ends with this mark, and perhaps with some bytes after it.
_END: Final = b"%%EOF"
_MAX_END_BYTES: Final = 2048

# Points to the inch, and CSS pixels.
_PIXELS_PER_POINT: Final = 96 / 72


def read(data: Window, page: int = 1) -> Probe:
    """Return the size of a page in CSS pixels, and its number: that of the last page if there are fewer.

    Raises Rejected, MissingDecoder, and as the reader.
    """
    with _document(data.read_all()) as (pdfium, document):
        size = pdfium.FS_SIZEF()
        number = min(page, pdfium.FPDF_GetPageCount(document))
        if number < 1 or not pdfium.FPDF_GetPageSizeByIndexF(document, number - 1, size):
            raise Rejected(Code.CORRUPT, f"the PDF has no page {max(1, number)}")
    width, height = (max(1, round(side * _PIXELS_PER_POINT)) for side in (size.width, size.height))
    return Probe(format="pdf", bytes=data.size, width=width, height=height, levels=32, page=number)


def draw(stream: SourceStream, probe: Probe, reduction: float) -> Image.Image:
    """Return the page, RGB on white, with one pixel for each `reduction` x `reduction` of its CSS pixels.

    Raises Rejected, and what the stream raises.
    """
    size = (max(1, round(probe.width / reduction)), max(1, round(probe.height / reduction)))
    image = Image.new("RGBX", size)
    pixels = ctypes.create_string_buffer(size[0] * size[1] * 4)
    stream.seek(0)
    with _document(stream.read()) as (pdfium, document):
        page = pdfium.FPDF_LoadPage(document, probe.page - 1)
        if not page:
            raise Rejected(Code.CORRUPT, f"page {probe.page} of the PDF cannot be read")
        bitmap = pdfium.FPDFBitmap_CreateEx(*size, _BITMAP_RGBX, pixels, size[0] * 4)
        try:
            pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, *size, _WHITE)
            pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, *size, 0, _FLAGS)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
            pdfium.FPDF_ClosePage(page)
    image.frombytes(pixels.raw)
    return image.convert("RGB")


def open_pdf(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the page at its own size. Raises as `draw`."""
    return draw(stream, probe, 1.0)


@contextmanager
def _document(data: bytes) -> Iterator[tuple[Any, Any]]:
    """Open a PDF; yield PDFium and the document. Raises Rejected (encrypted or corrupt), ShortRead, MissingDecoder."""
    pdfium = load_library()
    document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        if pdfium.FPDF_GetLastError() in _ENCRYPTED:
            raise Rejected(Code.ENCRYPTED, "the PDF is encrypted, and opens with a password only")
        if _END not in data[-_MAX_END_BYTES:]:
            raise ShortRead
        raise Rejected(Code.CORRUPT, "PDFium cannot make sense of the PDF")
    try:
        yield pdfium, document
    finally:
        pdfium.FPDF_CloseDocument(document)


@lru_cache(maxsize=1)
def load_library() -> Any:
    """Return PDFium, which knows no fonts of the system: pages look the same everywhere, and no file is opened.

    Raises MissingDecoder if it is not installed.
    """
    try:
        import pypdfium2_raw as pdfium  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise MissingDecoder('decoding pdf needs the extra "documents"', "documents") from error
    no_fonts = (ctypes.POINTER(ctypes.c_char) * 1)()
    config = pdfium.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=no_fonts)
    pdfium.FPDF_InitLibraryWithConfig(config)
    return pdfium
