"""Files of other types with names of images, and images that are valid files of another type too."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache

from tests.containers.files import box, chunk, good, saved, segment
from tests.hostile.samples import Sample

SCRIPT = b"<script>alert(document.domain)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">%s</svg>'

# The name of each type in the message of the rejection.
NAMED = {
    "HTML": [b"<!DOCTYPE html>" + SCRIPT, b"<html><body>" + SCRIPT, SCRIPT, b"\n\n<HTML>"],
    "XML": [b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'],
    "a PDF": [b"\n\n%PDF-1.4"],
    "PostScript": [
        b"%!PS\n(%pipe%id) (w) file",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100000 100000",
        b"\xc5\xd0\xd3\xc6" + bytes(30),
        b"\x04%!PS-Adobe-3.0",
    ],
    "an MVG drawing": [b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://127.0.0.1/a.jpg\"|id\")'"],
    "an MSL script": [b'<?xml version="1.0"?><image><read filename="/etc/passwd"/><write filename="x.php"/></image>'],
    "an icon": [b"icns\0\0\0\x10"],
    "gzip data": [gzip.compress(bytes(1 << 20)), gzip.compress(SVG % b"")],
    "a tar archive": [],
    "a ZIP archive": [],
    "a 7z archive": [b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24)],
    "a RAR archive": [b"Rar!\x1a\x07\1\0" + bytes(24)],
    "bzip2 data": [b"BZh91AY&SY" + bytes(24)],
    "XZ data": [b"\xfd7zXZ\0\0\4" + bytes(24)],
    "a program": [b"\x7fELF\2\1\1" + bytes(60), b"MZ\x90\0" + bytes(60)],
    "a script": [b"#!/bin/sh\nid\n"],
    "an OpenEXR picture": [b"v/1\1" + bytes(40)],
    "a FITS file": [b"SIMPLE  =                    T"],
    "a file of unknown type": [
        b"hello, world",
        "text".encode("utf-16"),
        b'{"a": 1}',
        b"\xff\xd8",
        b"a" + saved("JPEG"),
    ],
}


def _archives() -> Iterator[tuple[str, bytes]]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    yield "a tar archive", file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.jpg", saved("JPEG"))
    yield "a ZIP archive", file.getvalue()


@cache
def foreign() -> tuple[Sample, ...]:
    """Return files of unsupported types, each with the name that its rejection must have."""
    files = [(name, data) for name, each in NAMED.items() for data in each] + list(_archives())
    found = [Sample(f"{name}, {len(data)} bytes", data, "reject", (name,)) for name, data in files]
    video = box(b"ftyp", b"mp42", bytes(4), b"isom") + box(b"moov")
    return (*found, Sample("a video", video, "reject", ("a video or another ISO container (brand 'mp42')",)))


@cache
def polyglots() -> tuple[Sample, ...]:
    """Return images that are also a page, a script, an archive or a document."""
    jpeg, png, gif, webp = (saved(kind) for kind in ("JPEG", "PNG", "GIF", "WEBP"))
    archive = dict(_archives())["a ZIP archive"]
    scripted = b"GIF89a" + b"/*" + gif[8:]  # its width and height begin a comment
    return (
        Sample("jpeg-and-zip", jpeg + archive, "thumbnail"),
        Sample("jpeg-and-page", jpeg[:2] + segment(0xFE, SCRIPT) + jpeg[2:], "thumbnail"),
        Sample("jpeg-and-pdf", jpeg[:2] + segment(0xFE, b"%PDF-1.4 ") + jpeg[2:] + b"%PDF-1.4", "thumbnail"),
        Sample("jpeg-and-php", jpeg + b"<?php system($_GET[0]);", "thumbnail"),
        Sample("png-and-page", png[:33] + chunk(b"tEXt", b"a\0" + SCRIPT) + png[33:], "thumbnail"),
        Sample("png-and-jar", png + archive, "thumbnail"),
        Sample("gif-and-page", gif + SCRIPT, "thumbnail"),
        Sample("gif-and-script", scripted + b"*/=1;alert(1)", "either"),
        Sample("webp-and-page", webp + SCRIPT, "thumbnail"),
        Sample("tiff-and-page", saved("TIFF") + SCRIPT, "thumbnail"),
        Sample("bmp-and-script", saved("BMP") + b"*/=1;alert(1)", "thumbnail"),
        Sample("avif-and-page", saved("AVIF") + box(b"free", SCRIPT), "thumbnail"),
        Sample("heic-and-page", good()["heic"] + box(b"free", SCRIPT), "thumbnail"),
    )
