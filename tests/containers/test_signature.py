"""The bytes of a file decide its format. Unsupported files are rejected with the name of their type."""

import pytest

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b\x08", "gzip data"),
        (b"\0" * 257 + b"ustar\x0000", "a tar archive"),
        (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
        (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
        (b"Pf 10 10 -1.0\n", "a portable float map (PFM)"),
        (b"\n<!DOCTYPE html><p>", "HTML"),
        (b"<HTML><svg>", "HTML"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b"<note>", "markup"),
        (b"<?xml version='1.0'?><image><read filename='x'/></image>", "an MSL script"),
        (b"<msl>", "an MSL script"),
        (b"push graphic-context\nviewbox 0 0 640 480", "an MVG drawing"),
        (b"\x04%!PS-Adobe-3.0", "PostScript"),
        (b"\xc5\xd0\xd3\xc6", "PostScript"),
        (b"a mail before it %PDF-1.4", "a PDF"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"!<arch>\ndebian-binary", "an ar archive"),
        (b"MSCF\0\0\0\0", "a cabinet archive"),
        (b"\x08\xf2\xa6\xb6", "a libvips picture"),
        (b"II\xbc\x01", "a JPEG XR picture"),
        (b"hello, world", "a file of unknown type"),
        (b"\xff\xd8", "a file of unknown type"),
        (b"PARTS WEBP", "a file of unknown type"),
        (b"a" * 8 + b"WEBP", "a file of unknown type"),
    ],
)
def test_what_is_not_read_is_named(head: bytes, name: str):
    """Each is unsupported_format, with the name of the type in the message."""
    with pytest.raises(Rejected) as rejected:
        probe(BytesReader(head))
    assert rejected.value.code == Code.UNSUPPORTED_FORMAT
    assert rejected.value.detail == f"this is {name}, not a supported image format"
