"""The format of a file by its first bytes, or the name of an unsupported file type."""

from __future__ import annotations

import re
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.formats import SOURCE_FORMATS, SourceFormat

# Bytes of a file that are enough to recognize it.
SIGNATURE_BYTES: Final = 1024

# (offset, bytes, name) of file types that are not supported, for the message.
_UNSUPPORTED: Final = (
    (0, b"%!", "PostScript"),
    (0, b"\x04%!", "PostScript"),
    (0, b"\x1b%-12345X", "a print job"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"icns", "an icon"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance picture"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"\x01\xda", "an SGI picture"),
    (0, b"/* XPM */", "an XPM picture"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (40, b" EMF", "a Windows metafile"),
    (0, b"\x08\xf2\xa6\xb6", "a libvips picture"),
    (0, b"\xb6\xa6\xf2\x08", "a libvips picture"),
    (0, b"BLP", "a BLP texture"),
    (0, b"BEGMF", "a CGM drawing"),
    (0, b"II\xbc\x01", "a JPEG XR picture"),
    (0, b"id=ImageMagick", "an ImageMagick file"),
    (0, b"FWS", "a Flash animation"),
    (0, b"CWS", "a Flash animation"),
    (0, b"MM\x00R", "a raw photograph"),
    (0, b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (0, b"\x8bJNG\r\n\x1a\n", "a JNG picture"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"FLIF", "a FLIF picture"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b"\x00\x00\x01\xba", "an MPEG video"),
    (0, b"\x00\x00\x01\xb3", "an MPEG video"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a WAVE sound"),
    (0, b"ID3", "an MP3 sound"),
    (0, b"OggS", "an Ogg file"),
    (0, b"fLaC", "a FLAC sound"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"BZh", "bzip2 data"),
    (0, b"\x1f\x9d", "compressed data"),
    (0, b"\x04\x22\x4d\x18", "LZ4 data"),
    (0, b"LZIP", "lzip data"),
    (2, b"-lh", "an LHA archive"),
    (0, b"MSCF", "a cabinet archive"),
    (0, b"!<arch>\n", "an ar archive"),
    (0, b"xar!", "a xar archive"),
    (0, b"070701", "a cpio archive"),
    (0, b"070707", "a cpio archive"),
    (0, b"\xfd7zXZ\x00", "XZ data"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document"),
    (0, b"{\\rtf", "a rich text document"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"#!", "a script"),
)

_FLOAT_MAP: Final = re.compile(rb"P[fF]\s")
_MARKUP: Final = re.compile(
    rb"(?i)<(?:!doctype )?(svg|msl|read|write|!doctype html|html|head|body|script)[\s>:]|<(?:\w+:)(svg)[\s>]"
)
_MARKUP_NAMES: Final = {b"svg": "SVG", b"msl": "an MSL script", b"read": "an MSL script", b"write": "an MSL script"}

# XML of an unknown kind may begin with long comments: the header reader of SVG finds its root element.
_READ_AS_SVG: Final = ("SVG", "XML")

# The drawing commands of ImageMagick, one of which begins every such file.
_DRAWING: Final = re.compile(rb"(?i)(push graphic-context|viewbox \d|image over \d|image copy \d|encoding [\"\w])")

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def identify(head: bytes) -> SourceFormat:
    """Return the format of a file that begins with `head`: its first SIGNATURE_BYTES, or all of a shorter file.

    For an ISO container it is the first format in it; the header reader tells AVIF and HEIC apart. Raises
    Rejected(unsupported_format) for all other files, with the name of the file type in the message if it is known.
    """
    for source_format in SOURCE_FORMATS.values():
        if source_format.matches(head):
            return source_format
    name = _name(head)
    if name in _READ_AS_SVG:
        return SOURCE_FORMATS["svg"]
    raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is {name}, not a supported image format")


def _name(head: bytes) -> str:
    for offset, magic, name in _UNSUPPORTED:
        if head.startswith(magic, offset):
            return name
    if _FLOAT_MAP.match(head):
        return "a portable float map (PFM)"
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if text.startswith(b"<"):
        return _markup_name(text)
    if _DRAWING.match(text):
        return "an MVG drawing"
    return "a PDF" if b"%PDF-" in head else "a file of unknown type"


def _markup_name(text: bytes) -> str:
    found = _MARKUP.search(text)
    if found is None:
        return "XML" if text.startswith(b"<?xml") else "markup"
    return _MARKUP_NAMES.get((found[1] or found[2]).lower(), "HTML")
