"""Thumbnails contain nothing of a source but its picture."""

import base64
import io
import random
import struct
from collections.abc import Iterator

from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from tests.containers.files import HEIC, box, chunk, segment
from tests.hostile.trials import bench
from thumbsmith.image.check_output import check
from thumbsmith.recipe import Recipe

RECIPE = Recipe.loads('[variants.a]\nwidth = 48\nheight = 48\nformats = ["jpeg", "png", "webp", "avif"]')
SOURCES = 252


class Secret:
    """Secrets in an image: its position, the serial number of the camera, a comment, and random bytes."""

    def __init__(self, seed: int) -> None:
        """Invent the secrets."""
        self._chance = random.Random(seed)
        self.serial = f"SN-{self._chance.randrange(10**12):012}"
        self.comment = f"for {self._chance.randrange(10**12):012} only"
        self.noise = self._chance.randbytes(24)
        self.degrees = tuple(float(self._chance.randrange(1, 60)) for _ in range(3))

    def exif(self) -> bytes:
        """Return an EXIF block with GPS, serial number, maker note and comment."""
        exif = Image.Exif()
        exif[0x010E] = self.comment
        exif[0x8769] = {0xA431: self.serial, 0x927C: self.noise, 0x9286: self.comment.encode()}
        exif[0x8825] = {1: "N", 2: self.degrees, 29: self.serial}
        return exif.tobytes()

    def xmp(self) -> bytes:
        """Return an XMP packet."""
        packet = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{self.serial} {self.comment}</x:xmpmeta>".encode()
        return packet + base64.b64encode(self.noise)

    def profile(self) -> bytes:
        """Return a valid color profile with secret bytes after its end."""
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + self.serial.encode() + self.noise

    def traces(self) -> list[bytes]:
        """Return the bytes to search for: the secrets as they are, in UTF-16 and base64, and the degrees as in EXIF."""
        words = [self.serial.encode(), self.comment.encode(), self.noise, self.noise[:8], self.noise[8:16]]
        words += [word.decode().encode("utf-16-le") for word in words[:2]]
        words.append(base64.b64encode(self.noise))
        words += [struct.pack(order + "6I", *(n for d in self.degrees for n in (int(d), 1))) for order in "<>"]
        return words


def _sources() -> Iterator[tuple[Secret, bytes]]:
    for seed in range(SOURCES):
        secret = Secret(seed)
        yield secret, KINDS[seed % len(KINDS)](secret) + secret.noise


def _image(secret: Secret, mode: str = "RGB") -> Image.Image:
    image = Image.frombytes("RGB", (6, 4), secret._chance.randbytes(72)).resize((60, 40), Image.Resampling.BICUBIC)
    return image.convert(mode)


def _saved(kind: str, secret: Secret, **options: object) -> bytes:
    stream = io.BytesIO()
    _image(secret).save(stream, kind, **options)
    return stream.getvalue()


def _jpeg(secret: Secret) -> bytes:
    data = _saved(
        "JPEG", secret, exif=secret.exif(), xmp=secret.xmp(), icc_profile=secret.profile(), comment=secret.comment
    )
    more = segment(0xED, b"Photoshop 3.0\0008BIM\4\4\0\0\0\0" + struct.pack(">I", 40) + secret.serial.encode())
    more += segment(0xE0, b"JFXX\0\x13\1\1" + secret.noise[:3]) + segment(0xEF, secret.noise)
    return data[:2] + more + data[2:]


def _png(secret: Secret) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", secret.comment)
    texts.add_itxt("Serial", secret.serial)
    data = _saved("PNG", secret, exif=secret.exif(), icc_profile=secret.profile(), pnginfo=texts)
    return data[:-12] + chunk(b"prVt", secret.noise) + data[-12:]


def _gif(secret: Secret) -> bytes:
    return _saved("GIF", secret, comment=secret.comment + secret.serial)


def _webp(secret: Secret) -> bytes:
    return _saved("WEBP", secret, exif=secret.exif(), xmp=secret.xmp(), icc_profile=secret.profile())


def _tiff(secret: Secret) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[315], tags[305] = secret.comment, secret.serial, secret.serial
    tags[700], tags[33723] = secret.xmp(), secret.noise
    return _saved("TIFF", secret, tiffinfo=tags, exif=secret.exif(), icc_profile=secret.profile())


def _avif(secret: Secret) -> bytes:
    data = _saved("AVIF", secret, exif=secret.exif(), xmp=secret.xmp(), icc_profile=secret.profile())
    return data + box(b"free", secret.serial.encode())


def _heic(secret: Secret) -> bytes:
    return HEIC + box(b"free", secret.serial.encode(), secret.noise)


KINDS = (_jpeg, _png, _gif, _webp, _tiff, _avif, _heic)


def test_a_thousand_outputs_hold_nothing_of_what_was_planted():
    """The thumbnails of 252 sources of seven kinds, in four formats, contain no secret in any encoding.

    One process makes many of them. They do not contain the secrets of the source before either.
    """
    searched, planted = 0, 0
    before: list[bytes] = []
    with bench(RECIPE, isolation="shared") as trial:
        for secret, data in _sources():
            verdict = trial(data)
            assert verdict.outcome == "thumbnail", verdict.detail
            planted += sum(trace in data for trace in secret.traces())
            for made in verdict.renditions:
                assert [trace for trace in (*secret.traces(), *before) if trace in made.data] == []
                check(made)
                searched += 1
            before = secret.traces()
    assert searched == 4 * SOURCES
    assert planted > 4 * SOURCES
